//! The four endpoints on actix-web, awc and deadpool-postgres, as their documentation uses them.

mod auth;
mod catalog;
mod config;
mod error;
mod info;
mod movies;
mod users;

use std::io;
use std::time::Duration;

use actix_web::{App, HttpServer, web};

use auth::Verifier;
use config::Config;
use error::Error;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEEP_ALIVE: Duration = Duration::from_secs(75);
const SHUTDOWN_SECS: u64 = 12;

#[actix_web::main]
async fn main() -> io::Result<()> {
    env_logger::init();
    let config = Config::from_env().unwrap_or_else(|error| {
        eprintln!("actix-web: {error}");
        std::process::exit(2);
    });
    let verifier = web::Data::new(Verifier::new(&config.jwt_secret));
    let pool = web::Data::new(users::pool(&config).map_err(io::Error::other)?);
    let address = (config.host.clone(), config.port);
    let workers = config.workers;
    HttpServer::new(move || {
        // A client of awc belongs to its worker's thread.
        let upstream = web::Data::new(catalog::Upstream::new(&config));
        App::new()
            .app_data(verifier.clone())
            .app_data(pool.clone())
            .app_data(upstream)
            .app_data(movies::json_config())
            .service(info::info)
            .service(movies::create)
            .service(catalog::catalog)
            .service(users::me)
            .route("/health", web::get().to(async || "ok"))
            .default_service(web::to(async || Err::<&str, _>(Error::NotFound)))
    })
    .workers(workers)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(KEEP_ALIVE)
    .shutdown_timeout(SHUTDOWN_SECS)
    .bind(address)?
    .run()
    .await
}

//! Allocations per request, of the target's whole process.

use std::alloc::System;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::num::NonZeroUsize;

use harness::bench::scenario::Scenario;
use harness::postgres::TemporaryPostgres;
use schema::env;
use serve::{Background, Server, Worker};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use target_axum::{AppState, Config};

use crate::exchange::{CLIENTS, Client, start_upstream};
use crate::table::{Column, hold};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Enough that what happens now and then, such as a timer, rounds to nothing.
const REQUESTS: u32 = 2000;

/// All in this process is counted, so this is one test.
#[test]
fn a_request_allocates_as_often_as_the_table_says() {
    let postgres = TemporaryPostgres::start().unwrap();
    let upstream = format!("http://{}", start_upstream());
    let mut figures = BTreeMap::new();
    for clients in CLIENTS {
        let target = start(clients, &upstream, postgres.port());
        for scenario in Scenario::ALL {
            let mut client = Client::connect(target.address(), scenario);
            client.ask(100);
            let region = Region::new(ALLOCATOR);
            client.ask(REQUESTS);
            let change = region.change();
            let allocations = change.allocations + change.reallocations;
            let each = (allocations as f64 / f64::from(REQUESTS)).round();
            figures.insert((scenario, clients), each as u64);
        }
    }
    hold(Column::Allocations, 0.0, &figures);
}

fn start(clients: &str, upstream: &str, postgres: u16) -> Background {
    let config = Config::read(|name| match name {
        "CLIENTS" => Some(clients.into()),
        "UPSTREAM_URL" => Some(upstream.into()),
        "DB_HOST" => Some("127.0.0.1".into()),
        "DB_PORT" => Some(postgres.to_string().into()),
        _ => env::bench_lookup(name),
    })
    .unwrap();
    let listener = serve::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
    let make_service =
        move |worker: Worker| AppState::new(&config, worker).map(target_axum::router);
    Server::new(NonZeroUsize::MIN)
        .spawn(listener, make_service)
        .unwrap()
}

//! Allocations per request, of the target's whole process.

use std::alloc::System;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use load::scenario::Scenario;
use schema::env;
use serve::{Background, Server, Worker};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use target_axum::{AppState, Config};
use testbed::postgres::TemporaryPostgres;

use crate::exchange::{CLIENTS, Client, environment, start_upstream};
use crate::table::{Column, hold};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Enough that what happens now and then, such as a timer, rounds to nothing.
const REQUESTS: u32 = 2000;

/// All in this process is counted, so this is one test.
#[test]
fn a_request_allocates_as_often_as_the_table_says() {
    let postgres = TemporaryPostgres::start().unwrap();
    let upstream = start_upstream(Duration::ZERO);
    let mut figures = BTreeMap::new();
    for clients in CLIENTS {
        let target = start(clients, upstream, postgres.port());
        for scenario in Scenario::ALL {
            let mut client = Client::connect(target.address(), scenario);
            client.ask(100, Duration::ZERO);
            let region = Region::new(ALLOCATOR);
            client.ask(REQUESTS, Duration::ZERO);
            let change = region.change();
            let allocations = change.allocations + change.reallocations;
            let each = (allocations as f64 / f64::from(REQUESTS)).round();
            figures.insert((scenario, clients), each as u64);
        }
    }
    hold(Column::Allocations, 0.0, &figures);
}

fn start(clients: &str, upstream: SocketAddr, postgres: u16) -> Background {
    let environment = environment(clients, upstream, postgres);
    let config = Config::read(|name| {
        let own = environment.iter().find(|(known, _)| *known == name);
        own.map_or_else(|| env::bench_lookup(name), |(_, value)| Some(value.into()))
    })
    .unwrap();
    let listener = serve::bind(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
    let make_service =
        move |worker: Worker| AppState::new(&config, worker).map(target_axum::service);
    Server::new(NonZeroUsize::MIN)
        .spawn(listener, make_service)
        .unwrap()
}

//! Allocations per request, counted in the whole process of the target.

use std::alloc::System;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use schema::env;
use serve::{Background, Server, Worker};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use target_axum::{AppState, Config};
use testbed::postgres::TemporaryPostgres;

use crate::exchange::{Client, PROFILES, SCENARIOS, environment, start_upstream};
use crate::expected::{Costs, Unit, compare};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// So many that rare allocations, such as a timer's, round to nothing.
const REQUESTS: u32 = 2000;

/// The allocator counts the whole process, so this is one test.
#[test]
fn request_allocates_as_often_as_expected() {
    let postgres = TemporaryPostgres::start().unwrap();
    let upstream = start_upstream(Duration::ZERO);
    let mut costs = Costs::new();
    for profile in PROFILES {
        let target = start(profile, upstream, postgres.port());
        for scenario in SCENARIOS {
            let mut client = Client::connect(target.address(), scenario);
            client.ask(100, Duration::ZERO);
            let region = Region::new(ALLOCATOR);
            client.ask(REQUESTS, Duration::ZERO);
            let change = region.change();
            let allocations = change.allocations + change.reallocations;
            let each = (allocations as f64 / f64::from(REQUESTS)).round();
            costs.insert((scenario, profile), each as u64);
        }
    }
    compare(Unit::Allocations, 0.0, &costs);
}

fn start(profile: &str, upstream: SocketAddr, postgres: u16) -> Background {
    let environment = environment(profile, upstream, postgres);
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

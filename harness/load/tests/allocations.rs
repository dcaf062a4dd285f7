//! The engine allocates nothing per request. A binary of its own: all allocations of the process
//! are counted.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use conformance::Target;
use load::engine::builtin::Builtin;
use load::engine::{Load, measure};
use load::input::{Requests, Variety};
use load::record::LoadModel;
use load::scenario::Scenario;
use schema::fixtures;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Starts a server that responds correctly and does not allocate per request.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let body = serde_json::to_string(&fixtures::info()).unwrap();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-response-id: 1\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let connection = move |mut stream: TcpStream, answer: &str| {
        let mut request = [0; 1024];
        // A request is small and sent by one write, so it arrives in one piece.
        while stream.read(&mut request).is_ok_and(|read| read > 0) {
            if stream.write_all(answer.as_bytes()).is_err() {
                break;
            }
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            thread::spawn(move || connection(stream.unwrap(), &answer));
        }
    });
    address
}

/// Returns the numbers of requests and of allocations of a run.
fn run(target: SocketAddr, load_model: LoadModel, duration: Duration) -> (u64, usize) {
    let load = Load {
        requests: Requests {
            scenario: Scenario::Info,
            target: &Target::local(target),
            users: &[],
            secret: "secret",
            variety: Variety::Unique,
        },
        connections: 4,
        threads: 2,
        load_model,
        warmup: Duration::ZERO,
        duration,
    };
    let region = Region::new(ALLOCATOR);
    let measured = measure(&Builtin, &load).unwrap();
    let change = region.change();
    assert_eq!(measured.error_count(), 0);
    (measured.requests, change.allocations + change.reallocations)
}

#[test]
fn number_of_allocations_does_not_grow_with_requests() {
    for load_model in [LoadModel::Closed, LoadModel::Open(1000.0)] {
        let target = serve();
        let (few, for_few) = run(target, load_model, Duration::from_millis(200));
        let (many, for_many) = run(target, load_model, Duration::from_millis(2000));
        assert!(many > few + 500, "{many} and {few} requests");
        // A few buffers in the threads of the server, and the slices of the time.
        let grown = for_many.saturating_sub(for_few);
        assert!(
            grown < 20,
            "{grown} allocations more for {} requests",
            many - few
        );
    }
}

//! The budget of 64 + 64 connections, whatever the number of workers.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use schema::fixtures;
use testbed::postgres::TemporaryPostgres;
use testbed::raw::Connection;

use crate::database::Session;
use crate::suite::{Target, authorization, request, start_upstream};

/// More than the 64 connections of the budget, and more than two workers' shares.
const CLIENTS: usize = 150;

#[test]
fn all_workers_together_hold_64_database_connections() {
    for workers in ["1", "2", "3"] {
        let postgres = TemporaryPostgres::start().unwrap();
        let port = postgres.port().to_string();
        let target = Target::with(&[("DB_PORT", &port), ("WORKERS", workers)]);
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| target.connect()).collect();
        // Logging in takes a while: the pools are filled before their users are made to wait.
        ask_all(&mut clients);
        answer_all(&mut clients);
        let mut session = Session::open(postgres.port());
        session.execute("BEGIN");
        session.execute("LOCK TABLE users");
        ask_all(&mut clients);
        // What the session sees of others stays the same within its transaction.
        let mut observer = Session::open(postgres.port());
        let held = (0..80).find(|_| {
            thread::sleep(Duration::from_millis(50));
            observer.target_connections() == 64
        });
        session.execute("ROLLBACK");
        answer_all(&mut clients);
        assert!(held.is_some(), "{workers} workers");
        assert_eq!(session.target_connections(), 64, "{workers} workers");
    }
}

/// Asks for the token's user on every connection.
fn ask_all(clients: &mut [Connection]) {
    let request = request(
        "GET",
        "/users/me",
        &[&authorization(&fixtures::claims())],
        "",
    );
    for client in clients {
        client.send(&request).unwrap();
    }
}

fn answer_all(clients: &mut [Connection]) {
    for client in clients {
        assert_eq!(client.answer().unwrap().status, 200);
    }
}

#[test]
fn all_workers_together_hold_at_most_64_upstream_connections() {
    for (workers, prefix) in [
        ("1", ""),
        ("1", "/faults/delay-20"),
        ("2", ""),
        ("3", "/faults/delay-20"),
    ] {
        let upstream = start_upstream(0);
        let relay = Relay::start(upstream.address());
        let url = format!("http://{}{prefix}", relay.address);
        let target = Target::with(&[("UPSTREAM_URL", &url), ("WORKERS", workers)]);
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| target.connect()).collect();
        for _ in 0..20 {
            for client in &mut clients {
                client.send(request("GET", "/catalog", &[], "")).unwrap();
            }
            for client in &mut clients {
                assert_eq!(client.answer().unwrap().text(), fixtures::PRODUCT_JSON);
            }
        }
        let most = relay.connections.most.load(Ordering::SeqCst);
        assert_eq!(most, 64, "{workers} workers, {prefix}");
    }
}

/// Stands between the target and the upstream and counts the connections.
struct Relay {
    address: SocketAddr,
    connections: Arc<Connections>,
}

#[derive(Default)]
struct Connections {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Relay {
    fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(Connections::default());
        let counted = Arc::clone(&connections);
        thread::spawn(move || {
            for client in listener.incoming() {
                let now = counted.now.fetch_add(1, Ordering::SeqCst) + 1;
                counted.most.fetch_max(now, Ordering::SeqCst);
                let server = TcpStream::connect(upstream).unwrap();
                relay(client.unwrap(), server, &counted);
            }
        });
        Self {
            address,
            connections,
        }
    }
}

fn relay(client: TcpStream, server: TcpStream, connections: &Arc<Connections>) {
    let (from_client, to_client) = (client.try_clone().unwrap(), client);
    let (from_server, to_server) = (server.try_clone().unwrap(), server);
    let connections = Arc::clone(connections);
    thread::spawn(move || {
        pass(from_client, to_server);
        connections.now.fetch_sub(1, Ordering::SeqCst);
    });
    thread::spawn(move || pass(from_server, to_client));
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    // Either side may be gone: that is the end of the connection.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

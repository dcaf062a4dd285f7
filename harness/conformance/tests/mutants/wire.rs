//! A relay between a client and a mutant that changes the bytes of requests and responses as no HTTP
//! library lets a service do. It reads whole responses with a content length, one at a time.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The change that a relay makes to bytes.
#[derive(Clone, Copy)]
pub(crate) struct Wire {
    /// Returns the bytes that are forwarded of those that a read returned. No more are read after fewer.
    pub(crate) request: fn(&[u8]) -> usize,
    /// Changes a response.
    pub(crate) response: fn(Vec<u8>) -> Vec<u8>,
}

impl Wire {
    /// Changes nothing.
    pub(crate) const HONEST: Self = Self {
        request: <[u8]>::len,
        response: |response| response,
    };
}

/// A listening relay; its threads end with the process.
pub(crate) struct Relay {
    address: SocketAddr,
}

impl Relay {
    pub(crate) fn start(target: SocketAddr, wire: Wire) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                thread::spawn(move || relay(client, target, wire));
            }
        });
        Self { address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn relay(mut client: TcpStream, target: SocketAddr, wire: Wire) {
    let Ok(mut server) = TcpStream::connect(target) else {
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (Ok(mut from_client), Ok(mut to_server)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let is_head = Arc::new(AtomicBool::new(false));
    let is_head_request = Arc::clone(&is_head);
    thread::spawn(move || {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from_client.read(&mut bytes) {
            // Every request is written at once, after the response to the one before.
            is_head_request.store(bytes.starts_with(b"HEAD "), Ordering::Release);
            let forwarded = (wire.request)(&bytes[..count]);
            if to_server.write_all(&bytes[..forwarded]).is_err() || forwarded < count {
                break;
            }
        }
        let _ = to_server.shutdown(std::net::Shutdown::Write);
    });
    while let Some(response) = read_response(&mut server, &is_head) {
        if client.write_all(&(wire.response)(response)).is_err() {
            break;
        }
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
}

/// Repeats the first successful response of a connection that has this field, in place of later ones.
/// Every connection has a thread of its own.
pub(crate) fn repeat_first(response: Vec<u8>, field: &str) -> Vec<u8> {
    thread_local! {
        static FIRST: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
    }
    let text = String::from_utf8_lossy(&response);
    let is_success = text.starts_with("HTTP/1.1 200 ") && text.contains("\r\n\r\n{\"id\":");
    match is_success && text.contains(field) {
        true => FIRST.with_borrow_mut(|first| first.get_or_insert(response).clone()),
        false => response,
    }
}

/// Reads a whole response; none at the end of the connection. One without a content length ends with
/// its head, as the response to HEAD does.
fn read_response(server: &mut TcpStream, is_head: &AtomicBool) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        match server.read(&mut byte) {
            Ok(1) => bytes.push(byte[0]),
            _ => return None,
        }
    }
    if is_head.load(Ordering::Acquire) {
        return Some(bytes);
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    server.read_exact(&mut body).ok()?;
    bytes.extend(body);
    Some(bytes)
}

//! An upstream that ends the connections which a contender keeps, as servers, balancers and proxies do.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use anyhow::Result;
use schema::fixtures;
use socket2::SockRef;

/// Time after which idle connections are closed.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_millis(20);

/// Time for the contender to read a response before its connection is reset.
const READ_TIME: Duration = Duration::from_millis(2);

/// Timeout of a request on a connection without another limit.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How connections end after their first response.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// They are closed once they are idle for a time.
    Idle,
    /// They are reset after the response.
    Reset,
    /// They are closed once the next request was read.
    Unanswered,
}

/// A running upstream of this kind; it serves the contract's product to every request.
pub(super) struct EndingUpstream {
    address: SocketAddr,
    is_stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl EndingUpstream {
    pub(super) fn start(address: SocketAddr, ending: Ending) -> Result<Self> {
        let listener = serve::bind(address.ip(), address.port())?;
        let is_stopped = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&is_stopped);
        let thread = spawn(move || {
            for client in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                spawn(move || serve_client(&client, ending));
            }
        });
        Ok(Self {
            address,
            is_stopped,
            thread: Some(thread),
        })
    }
}

impl Drop for EndingUpstream {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Serves one connection until it ends.
fn serve_client(client: &TcpStream, ending: Ending) -> io::Result<()> {
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(REQUEST_TIMEOUT))?;
    read_request(client)?;
    respond(client)?;
    match ending {
        Ending::Idle => {
            client.set_read_timeout(Some(IDLE_TIMEOUT))?;
            loop {
                read_request(client)?;
                respond(client)?;
            }
        }
        Ending::Reset => {
            sleep(READ_TIME);
            SockRef::from(client).set_linger(Some(Duration::ZERO))
        }
        Ending::Unanswered => read_request(client),
    }
}

fn read_request(mut client: &TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    let mut bytes = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        match client.read(&mut bytes)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => head.extend_from_slice(&bytes[..read]),
        }
    }
    Ok(())
}

fn respond(mut client: &TcpStream) -> io::Result<()> {
    let product = fixtures::PRODUCT_JSON;
    let length = product.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length";
    client.write_all(format!("{head}: {length}\r\n\r\n{product}").as_bytes())
}

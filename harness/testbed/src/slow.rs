//! Clients that send a byte at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::aside::{Aside, Tasks};

/// Time between two bytes.
const SLOWLY: Duration = Duration::from_millis(200);

/// Pause of a client whose connection was refused or ended, before it opens another.
pub const PAUSE: Duration = Duration::from_millis(100);

/// Sends what comes at once, then the rest a byte at a time, until the other side answers or has had
/// enough.
pub async fn send(stream: &mut TcpStream, at_once: &[u8], rest: &[u8]) {
    if stream.write_all(at_once).await.is_err() {
        return;
    }
    let mut answer = [0; 512];
    for byte in rest {
        sleep(SLOWLY).await;
        let ended = stream.try_read(&mut answer).is_ok();
        if ended || stream.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
}

/// Sends a head that does not end: its first lines, then a header a byte at a time.
pub async fn send_head(stream: &mut TcpStream) {
    const BEGIN: &[u8] = b"GET /info HTTP/1.1\r\nHost: slow\r\nX-Slow: ";
    send(stream, BEGIN, &[b'x'; 4096]).await;
}

/// A connection, as soon as there is one.
pub async fn connect(address: SocketAddr) -> TcpStream {
    loop {
        if let Ok(stream) = TcpStream::connect(address).await {
            return stream;
        }
        sleep(PAUSE).await;
    }
}

/// Clients that send heads so, each on one connection after another, from a thread of their own; they
/// go when this is dropped.
#[derive(Debug)]
pub struct SlowClients {
    _tasks: Tasks,
    _aside: Aside,
}

impl SlowClients {
    /// So many, once all of them are connected.
    ///
    /// # Errors
    /// They cannot be started, or not all connect within this time.
    pub fn gather(count: usize, address: SocketAddr, within: Duration) -> Result<Self> {
        let aside = Aside::start("slow clients")?;
        let connected = Arc::new(AtomicUsize::new(0));
        let mut tasks = Tasks::default();
        for _ in 0..count {
            let connected = Arc::clone(&connected);
            tasks.add(aside.spawn(async move {
                let mut stream = connect(address).await;
                connected.fetch_add(1, Ordering::Relaxed);
                loop {
                    send_head(&mut stream).await;
                    sleep(PAUSE).await;
                    stream = connect(address).await;
                }
            }));
        }
        let deadline = Instant::now() + within;
        while connected.load(Ordering::Relaxed) < count {
            let so_far = connected.load(Ordering::Relaxed);
            ensure!(
                Instant::now() < deadline,
                "{so_far} of {count} slow clients could connect"
            );
            thread::sleep(Duration::from_millis(1));
        }
        Ok(Self {
            _tasks: tasks,
            _aside: aside,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn they_are_all_there_with_a_head_that_goes_on_and_go_with_their_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let clients =
            SlowClients::gather(3, listener.local_addr().unwrap(), Duration::from_secs(10))
                .unwrap();
        let mut streams: Vec<_> = (0..3).map(|_| listener.accept().unwrap().0).collect();
        for stream in &mut streams {
            let mut head = [0; 42];
            stream.read_exact(&mut head).unwrap();
            assert!(head.starts_with(b"GET /info HTTP/1.1\r\n"), "{head:?}");
            assert!(head.ends_with(b"X-Slow: xx"), "{head:?}");
        }
        drop(clients);
        for mut stream in streams {
            assert!(stream.read_to_end(&mut Vec::new()).is_ok());
        }
    }

    #[test]
    fn who_lets_nobody_in_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let gathered = SlowClients::gather(2, address, Duration::from_millis(200));
        let error = gathered.unwrap_err().to_string();
        assert_eq!(error, "0 of 2 slow clients could connect");
    }
}

//! Clients that send a byte at a time.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

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

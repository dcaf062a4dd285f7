//! Connections to a name with several addresses.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// Time for an address before the next one is tried (RFC 8305, 5: the connection attempt delay).
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(250);

/// Connects to the first address of `host` that accepts: one that swallows packets costs little.
/// tokio's `TcpStream::connect` waits for each address for minutes.
pub(crate) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    connect_to_any(&look_up(host, port).await?).await
}

/// Returns the addresses of a host.
pub(crate) async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(lookup_host((host, port)).await?.collect())
}

/// Connects to the first of these addresses that accepts.
pub(crate) async fn connect_to_any(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let Some((last, others)) = addresses.split_last() else {
        return Err(ErrorKind::AddrNotAvailable.into());
    };
    for address in others {
        if let Ok(Ok(stream)) = timeout(ATTEMPT_TIMEOUT, TcpStream::connect(address)).await {
            return Ok(stream);
        }
    }
    // The caller limits the whole time.
    TcpStream::connect(last).await
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use socket2::{Domain, Socket, Type};

    use super::*;

    /// Returns a listener whose backlog is full, so that it lets further connections wait, and the
    /// connections that fill it.
    fn start_silent() -> (Socket, Vec<Socket>) {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        listener.bind(&any_port.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = |_| {
            let client = socket();
            client.set_nonblocking(true).unwrap();
            // In progress.
            let _ = client.connect(&address);
            client
        };
        (listener, (0..8).map(connect).collect())
    }

    #[tokio::test]
    async fn address_that_is_silent_or_refuses_is_skipped() {
        let (silent, _waiting) = start_silent();
        let silent = silent.local_addr().unwrap().as_socket().unwrap();
        let refusing = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let refusing_address = refusing.local_addr().unwrap();
        drop(refusing);
        let accepting = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let accepting = accepting.local_addr().unwrap();
        for addresses in [
            &[accepting][..],
            &[silent, accepting],
            &[refusing_address, silent, accepting, silent],
        ] {
            let stream = connect_to_any(addresses).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), accepting);
        }
        let refused = connect_to_any(&[silent, refusing_address]).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert!(connect_to_any(&[]).await.is_err());
    }
}

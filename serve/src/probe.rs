//! A health check that needs no shell and no client in the container image.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Time for each step of a probe. Docker's own limit for a health check is longer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest answer that is read: more than any health answer of the suite.
const ANSWER_MAX_BYTES: u64 = 4096;

/// Why a probe failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No connection or no answer.
    #[error("no answer from {address}: {source}")]
    Io {
        /// Who was asked.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// An answer other than 200; holds it.
    #[error("{0}")]
    Unhealthy(String),
}

/// Sends `GET path` to the service that listens on `host:port` of this machine and expects 200.
///
/// # Errors
/// [`ProbeError`].
pub fn probe(host: IpAddr, port: u16, path: &str) -> Result<(), ProbeError> {
    let host = match host.is_unspecified() {
        true => Ipv4Addr::LOCALHOST.into(),
        false => host,
    };
    let address = SocketAddr::new(host, port);
    let answer = get(address, path).map_err(|source| ProbeError::Io { address, source })?;
    let status = answer.split(' ').nth(1);
    if status == Some("200") {
        Ok(())
    } else {
        Err(ProbeError::Unhealthy(answer))
    }
}

fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}

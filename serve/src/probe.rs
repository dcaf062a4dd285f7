//! A health check that needs no shell and no HTTP client in the container image.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Time for each step of a probe, shorter than Docker's own limit for a health check.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest answer that is read, longer than any health answer of the suite.
const ANSWER_MAX_BYTES: u64 = 4096;

/// Sends `GET path` to the service that listens on `host:port` of this machine and expects 200.
///
/// # Errors
/// The service does not answer, or with another status; the error then holds the answer.
pub fn probe(host: IpAddr, port: u16, path: &str) -> io::Result<()> {
    let host = match host.is_unspecified() {
        true => Ipv4Addr::LOCALHOST.into(),
        false => host,
    };
    let address = SocketAddr::new(host, port);
    let answer = get(address, path).map_err(|error| {
        io::Error::new(error.kind(), format!("no answer from {address}: {error}"))
    })?;
    match answer.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(io::Error::other(answer)),
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

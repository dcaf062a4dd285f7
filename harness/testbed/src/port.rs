//! Ports of 127.0.0.1: free ones, reserved ones, and the process that listens on one.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result, anyhow};
use procfs::net::{self, TcpState};
use procfs::process::{FDTarget, Process, all_processes};
use socket2::{Domain, Socket, Type};

/// Returns a port that no process listens on.
///
/// # Errors
/// There is none.
pub fn free_port() -> Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    let address = listener.local_addr().context("looking for a free port")?;
    Ok(address.port())
}

/// First port of the ephemeral range, from which the kernel takes the ports of clients (`ip(7)`).
const EPHEMERAL: (&str, u16) = ("/proc/sys/net/ipv4/ip_local_port_range", 32_768);

/// Lowest port that a contender is given.
const LOWEST: u16 = 10_000;

/// Returns a free port outside the ephemeral range: a contender finds it free again after a restart,
/// however many connections are opened in between.
///
/// # Errors
/// There is none.
pub fn lasting_port() -> Result<u16> {
    let range = fs::read_to_string(EPHEMERAL.0).unwrap_or_default();
    let first = range.split_whitespace().next();
    let first = first.and_then(|first| first.parse().ok());
    let below = first.unwrap_or(EPHEMERAL.1);
    let mut tries = (0..100).map(|_| match below > LOWEST {
        true => Ok(fastrand::u16(LOWEST..below)),
        false => free_port(),
    });
    tries
        .find(|port| port.as_ref().is_ok_and(|port| is_free(*port)))
        .context("looking for a port that stays free")?
}

/// Reserves a port for a server that stops and starts again; in between, the kernel could give the port
/// to a client. Connections are refused while no server listens. The server must set `SO_REUSEADDR`,
/// as every server does.
#[derive(Debug)]
pub struct Kept {
    address: SocketAddr,
    _socket: Socket,
}

impl Kept {
    /// Reserves this address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is not available, or a process listens there.
    pub fn new(address: SocketAddr) -> Result<Self> {
        let keep = || {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            let address = socket.local_addr()?.as_socket();
            let address = address.ok_or(ErrorKind::AddrNotAvailable)?;
            std::io::Result::Ok(Self {
                address,
                _socket: socket,
            })
        };
        keep().with_context(|| format!("cannot listen on {address}"))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Returns true if no process listens on this port.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Checks that a service can listen on this port, which `variable` sets.
///
/// # Errors
/// Another process does, or the port is not permitted; the error says what to do.
pub fn must_be_free(port: u16, variable: &str) -> Result<()> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    bound.map(drop).map_err(|error| {
        let why = match (error.kind(), listener(port)) {
            (ErrorKind::AddrInUse, Some(who)) => format!("is in use (by {who})"),
            (ErrorKind::AddrInUse, None) => "is in use".to_owned(),
            _ => format!("is not available ({error})"),
        };
        anyhow!(
            "port {port} on 127.0.0.1 {why}: stop what listens there or choose another with \
             {variable}=…"
        )
    })
}

/// Returns the process that listens on a port, as `name, process 123`; none for a process of another
/// user.
fn listener(port: u16) -> Option<String> {
    let inode = listening_sockets(port).pop_first()?;
    let has_it = |process: &Process| {
        let mut files = process.fd().into_iter().flatten().flatten();
        files.any(|file| file.target == FDTarget::Socket(inode))
    };
    let process = all_processes().ok()?.flatten().find(has_it)?;
    let name = process.stat().ok()?.comm;
    Some(format!("{name}, process {}", process.pid))
}

/// Returns the inodes of the sockets that listen on a port: a process that restarts has others.
pub fn listening_sockets(port: u16) -> BTreeSet<u64> {
    let sockets = [net::tcp(), net::tcp6()].into_iter().flatten().flatten();
    sockets
        .filter(|socket| socket.state == TcpState::Listen && socket.local_address.port() == port)
        .map(|socket| socket.inode)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn port_in_use_is_reported_with_its_variable() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        let error = must_be_free(port, "TARGET_PORT").unwrap_err().to_string();
        let start = format!("port {port} on 127.0.0.1 is in use");
        let end = ": stop what listens there or choose another with TARGET_PORT=…";
        let who = error
            .strip_prefix(&start)
            .and_then(|rest| rest.strip_suffix(end))
            .unwrap();
        assert!(
            who.ends_with(&format!(", process {})", std::process::id())),
            "{who}"
        );
    }

    #[test]
    fn kept_port_refuses_connections_until_a_server_listens_again() {
        let kept = Kept::new((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = kept.address();
        for _ in 0..2 {
            assert!(TcpStream::connect(address).is_err());
            let listener = serve::bind(address.ip(), address.port()).unwrap();
            assert!(TcpStream::connect(address).is_ok());
            assert!(Kept::new(address).is_err());
            drop(listener);
        }
    }
}

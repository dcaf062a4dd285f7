//! The listening socket, and the number of connections that the process may hold.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use schema::limits::CONNECTIONS_MAX;
use socket2::{Domain, Protocol, Socket, Type};

/// Backlog of the listener; the kernel lowers it to its own limit.
const BACKLOG: i32 = 4096;

/// File descriptors left for everything but clients' connections: pools, log, runtime. At most half of all.
const DESCRIPTORS_RESERVED: u64 = 512;

/// Listens on `host:port`; port 0 takes a free one.
///
/// # Errors
/// The port is in use or privileged, or the address is not one of this machine.
pub fn bind(host: IpAddr, port: u16) -> io::Result<TcpListener> {
    let address = SocketAddr::new(host, port);
    listen(address).map_err(|error| {
        let message = format!("cannot listen on {address}: {error}");
        io::Error::new(error.kind(), message)
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait until the closed connections of the last run have timed out.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Raises the limit of open files as far as the system allows, and returns the number of connections that fit.
#[must_use]
pub fn connections_max() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = CONNECTIONS_MAX + DESCRIPTORS_RESERVED;
    let allowed = limit.maximum.unwrap_or(wanted).min(wanted);
    let raised = Rlimit {
        current: Some(allowed),
        maximum: limit.maximum,
    };
    let current = limit.current.unwrap_or(wanted);
    let descriptors = if current < allowed && setrlimit(Resource::Nofile, raised).is_ok() {
        allowed
    } else {
        current
    };
    let reserved = DESCRIPTORS_RESERVED.min(descriptors / 2);
    let connections = (descriptors - reserved).clamp(1, CONNECTIONS_MAX);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

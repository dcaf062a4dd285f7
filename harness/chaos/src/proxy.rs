//! A TCP proxy between the contender and a dependency, which injects network failures.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::select;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use conformance::upstream::full_listener;
use testbed::port::Kept;

/// Pause before the address is bound again: a process that another thread starts inherits the old
/// listener between its fork and its exec.
const REBIND_PAUSE: Duration = Duration::from_millis(2);

/// Interval at which idle connections are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(2);

/// How connections and their data are treated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// Forwards everything.
    Pass,
    /// Forwards after this delay, in both directions.
    Delay(Duration),
    /// Accepts connections and forwards nothing; data is forwarded when the mode ends.
    Stall,
    /// Forwards nothing and leaves new connections unanswered, like a firewall that drops packets.
    BlackHole,
    /// Resets all connections, also new ones.
    Reset,
    /// Sends FIN to the contender and discards its data.
    HalfClose,
    /// Refuses new connections; open ones continue.
    Refuse,
    /// Closes connections that are idle for this time after a response.
    Expire(Duration),
}

impl Mode {
    /// Returns true if the mode ends connections.
    fn breaks(self) -> bool {
        matches!(self, Self::Reset | Self::HalfClose)
    }

    fn withholds(self) -> bool {
        matches!(self, Self::Stall | Self::BlackHole)
    }
}

/// A running proxy; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: Kept,
    mode: watch::Sender<Mode>,
    /// The mode that is in effect, which follows `mode`.
    effective: watch::Receiver<Mode>,
    _task: JoinSet<()>,
}

impl Proxy {
    /// Listens on `host` and `port` (0 for any free port) and forwards to `server`.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(crate) fn start(
        background: &Runtime,
        host: IpAddr,
        port: u16,
        server: SocketAddr,
    ) -> Result<Self> {
        let port = Kept::new((host, port).into())?;
        let address = port.address();
        let (mode, watched) = watch::channel(Mode::Pass);
        let (report, effective) = watch::channel(Mode::Pass);
        let context = background.enter();
        let listener = listen(address).with_context(|| format!("listening on {address}"))?;
        drop(context);
        let mut task = JoinSet::new();
        let accept = accept(listener, address, server, watched, report);
        task.spawn_on(accept, background.handle());
        Ok(Self {
            port,
            mode,
            effective,
            _task: task,
        })
    }

    /// Returns the address it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Switches to `mode` and returns once it is in effect.
    ///
    /// # Errors
    /// The proxy has ended.
    pub(crate) fn set(&self, background: &Runtime, mode: Mode) -> Result<()> {
        self.mode.send_replace(mode);
        let mut effective = self.effective.clone();
        let set = background.block_on(async move {
            let set = effective.wait_for(|effective| *effective == mode).await;
            set.map(drop)
        });
        set.context("the proxy has ended")
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = serve::bind(address.ip(), address.port()).map_err(io::Error::other)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Listens as the mode demands, and relays connections.
async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    server: SocketAddr,
    mut mode: watch::Receiver<Mode>,
    report: watch::Sender<Mode>,
) {
    let mut listener = Some(listener);
    let mut hole = None;
    loop {
        let now = *mode.borrow_and_update();
        // One releases the address before the other binds it.
        match now {
            Mode::Refuse => (listener, hole) = (None, None),
            Mode::BlackHole => {
                listener = None;
                hole = hole.or_else(|| full_listener(address).ok());
            }
            _ => {
                hole = None;
                listener = listener.or_else(|| listen(address).ok());
            }
        }
        if listener.is_none() && hole.is_none() && now != Mode::Refuse {
            sleep(REBIND_PAUSE).await;
            mode.mark_changed();
            continue;
        }
        report.send_replace(now);
        select! {
            changed = mode.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            accepted = accept_one(listener.as_ref()) => match accepted {
                Ok(client) => drop(tokio::spawn(relay(client, server, mode.clone()))),
                Err(_) => sleep(REBIND_PAUSE).await,
            },
        }
    }
}

async fn accept_one(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(client, _)| client),
        None => std::future::pending().await,
    }
}

/// Forwards the data of one connection as the current mode demands.
async fn relay(mut client: TcpStream, server: SocketAddr, mut mode: watch::Receiver<Mode>) {
    let _ = client.set_nodelay(true);
    if wait_for(&mut mode, |mode| !mode.withholds())
        .await
        .is_none()
    {
        return;
    }
    let now = *mode.borrow();
    if !now.breaks() {
        let Ok(mut server) = TcpStream::connect(server).await else {
            return reset(&client);
        };
        let _ = server.set_nodelay(true);
        let mut broken = mode.clone();
        let answered = Mutex::new(None);
        let ended = {
            let (from_client, to_client) = client.split();
            let (from_server, to_server) = server.split();
            let both = async {
                tokio::try_join!(
                    pump(from_client, to_server, mode.clone(), || note(
                        &answered, None
                    )),
                    pump(from_server, to_client, mode.clone(), || {
                        note(&answered, Some(Instant::now()));
                    }),
                )
            };
            select! {
                ended = both => Some(ended),
                _ = wait_for(&mut broken, Mode::breaks) => None,
                () = expired(mode.clone(), &answered) => return,
            }
        };
        match ended {
            Some(Ok(_)) => return,
            Some(Err(_)) => return reset(&client),
            None => reset(&server),
        }
    }
    let now = *mode.borrow();
    if now == Mode::HalfClose {
        let _ = client.shutdown().await;
        let mut discarded = [0; 4096];
        loop {
            select! {
                read = client.read(&mut discarded) => {
                    if !matches!(read, Ok(1..)) {
                        return;
                    }
                }
                _ = wait_for(&mut mode, |mode| mode != Mode::HalfClose) => break,
            }
        }
    }
    reset(&client);
}

/// Waits for a mode; none if the proxy has ended.
async fn wait_for(mode: &mut watch::Receiver<Mode>, fits: impl Fn(Mode) -> bool) -> Option<Mode> {
    mode.wait_for(|mode| fits(*mode))
        .await
        .ok()
        .map(|mode| *mode)
}

/// Notes the time of the last response, or that a request is in flight.
fn note(answered: &Mutex<Option<Instant>>, time: Option<Instant>) {
    *answered.lock().unwrap_or_else(PoisonError::into_inner) = time;
}

/// Returns once the connection is idle for the time of the mode.
async fn expired(mut mode: watch::Receiver<Mode>, answered: &Mutex<Option<Instant>>) {
    loop {
        let expires = |mode| matches!(mode, Mode::Expire(_));
        let Some(Mode::Expire(time)) = wait_for(&mut mode, expires).await else {
            return std::future::pending().await;
        };
        let since = *answered.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_some_and(|since| since.elapsed() >= time) {
            return;
        }
        sleep(EXPIRY_INTERVAL).await;
    }
}

/// Makes the close of this stream a reset.
fn reset(stream: &TcpStream) {
    // If it fails, the peer sees an ordinary close.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut mode: watch::Receiver<Mode>,
    note: impl Fn(),
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        let now = *mode.borrow();
        if let Mode::Delay(time) = now {
            sleep(time).await;
        }
        if wait_for(&mut mode, |mode| !mode.withholds())
            .await
            .is_none()
        {
            return Ok(());
        }
        if read == 0 {
            return to.shutdown().await;
        }
        note();
        to.write_all(&buffer[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpStream};
    use std::thread;

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    /// Starts an echo server with a proxy, and connects through it.
    fn connected() -> (Runtime, Proxy, TcpStream) {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut buffer = [0; 64];
                    while let Ok(read @ 1..) = client.read(&mut buffer) {
                        client.write_all(&buffer[..read]).unwrap();
                    }
                });
            }
        });
        let background = crate::background("test").unwrap();
        let proxy = Proxy::start(&background, Ipv4Addr::LOCALHOST.into(), 0, server).unwrap();
        let client = TcpStream::connect(proxy.address()).unwrap();
        (background, proxy, client)
    }

    fn send(mut client: &TcpStream) {
        client.write_all(b"hello").unwrap();
    }

    /// Returns the data that arrives within a short time.
    fn receive(mut client: &TcpStream) -> io::Result<String> {
        client.set_read_timeout(Some(SHORT)).unwrap();
        let mut buffer = [0; 64];
        let read = client.read(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..read]).into_owned())
    }

    #[test]
    fn delay_applies_in_both_directions() {
        let (background, proxy, client) = connected();
        send(&client);
        assert_eq!(receive(&client).unwrap(), "hello");
        proxy
            .set(&background, Mode::Delay(Duration::from_millis(40)))
            .unwrap();
        let begun = Instant::now();
        send(&client);
        assert_eq!(receive(&client).unwrap(), "hello");
        assert!(
            begun.elapsed() >= Duration::from_millis(80),
            "in both directions"
        );
    }

    #[test]
    fn withheld_data_is_forwarded_when_the_mode_ends() {
        for mode in [Mode::Stall, Mode::BlackHole] {
            let (background, proxy, client) = connected();
            send(&client);
            assert_eq!(receive(&client).unwrap(), "hello");
            proxy.set(&background, mode).unwrap();
            send(&client);
            assert_eq!(
                receive(&client).unwrap_err().kind(),
                io::ErrorKind::WouldBlock
            );
            proxy.set(&background, Mode::Pass).unwrap();
            assert_eq!(receive(&client).unwrap(), "hello");
        }
    }

    #[test]
    fn black_hole_leaves_new_connections_unanswered() {
        let (background, proxy, _client) = connected();
        proxy.set(&background, Mode::BlackHole).unwrap();
        let connected = TcpStream::connect_timeout(&proxy.address(), SHORT);
        assert_eq!(connected.unwrap_err().kind(), io::ErrorKind::TimedOut);
        proxy.set(&background, Mode::Pass).unwrap();
        assert!(TcpStream::connect(proxy.address()).is_ok());
    }

    #[test]
    fn idle_connection_expires_after_a_response() {
        let (background, proxy, client) = connected();
        send(&client);
        assert_eq!(receive(&client).unwrap(), "hello");
        let mode = Mode::Expire(Duration::from_millis(20));
        proxy.set(&background, mode).unwrap();
        assert_eq!(receive(&client).unwrap(), "");
        let fresh = TcpStream::connect(proxy.address()).unwrap();
        send(&fresh);
        assert_eq!(receive(&fresh).unwrap(), "hello");
    }

    #[test]
    fn connections_are_half_closed_reset_or_refused() {
        let (background, proxy, client) = connected();
        proxy.set(&background, Mode::HalfClose).unwrap();
        assert_eq!(receive(&client).unwrap(), "");
        send(&client);
        let fresh = TcpStream::connect(proxy.address()).unwrap();
        assert_eq!(receive(&fresh).unwrap(), "");

        let (background, proxy, client) = connected();
        send(&client);
        assert_eq!(receive(&client).unwrap(), "hello");
        proxy.set(&background, Mode::Reset).unwrap();
        let kind = receive(&client).unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::ConnectionReset);

        let (background, proxy, client) = connected();
        send(&client);
        assert_eq!(receive(&client).unwrap(), "hello");
        proxy.set(&background, Mode::Refuse).unwrap();
        let refused = TcpStream::connect(proxy.address()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        send(&client);
        assert_eq!(
            receive(&client).unwrap(),
            "hello",
            "an open connection continues"
        );
        proxy.set(&background, Mode::Pass).unwrap();
        assert!(TcpStream::connect(proxy.address()).is_ok());
    }
}

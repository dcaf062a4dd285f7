//! A TCP proxy between the contender and what it depends on: the network's ways to fail.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::watch;
use tokio::time::sleep;

use conformance::upstream::full_listener;
use testbed::aside::{Aside, Tasks};
use testbed::port::Kept;

/// Pause before a listener is tried again: a process that another thread starts holds a copy of the
/// last one between its fork and its exec.
const LISTEN_PAUSE: Duration = Duration::from_millis(2);

/// What happens to connections and their bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// Everything passes.
    Pass,
    /// Every piece passes after this time, in both directions.
    Delay(Duration),
    /// Connections are taken and nothing passes; what was held back passes afterwards.
    Stall,
    /// Nothing passes, and who connects is not answered, as behind a firewall that drops.
    BlackHole,
    /// All connections are reset, new ones at once.
    Reset,
    /// The side of the contender is told that nothing more comes, and its bytes are discarded.
    HalfClose,
    /// Nobody listens; connections there are go on.
    Refuse,
}

impl Mode {
    /// Whether connections end by it.
    fn breaks(self) -> bool {
        matches!(self, Self::Reset | Self::HalfClose)
    }

    fn holds(self) -> bool {
        matches!(self, Self::Stall | Self::BlackHole)
    }
}

/// The proxy; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    port: Kept,
    mode: watch::Sender<Mode>,
    /// How the listener is, which follows the mode.
    listens: watch::Receiver<Mode>,
    _tasks: Tasks,
}

impl Proxy {
    /// Listens there, port 0 takes a free one, and passes everything on to `server`.
    ///
    /// # Errors
    /// The address cannot be had.
    pub(super) fn start(
        aside: &Aside,
        host: IpAddr,
        port: u16,
        server: SocketAddr,
    ) -> Result<Self> {
        let port = Kept::new((host, port).into())?;
        let address = port.address();
        let (mode, watched) = watch::channel(Mode::Pass);
        let (tell, listens) = watch::channel(Mode::Pass);
        let context = aside.handle().enter();
        let listener = listen(address).with_context(|| format!("listening on {address}"))?;
        drop(context);
        let mut tasks = Tasks::default();
        tasks.add(aside.spawn(accept(listener, address, server, watched, tell)));
        Ok(Self {
            port,
            mode,
            listens,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// From now on, connections and bytes fare so; returns when it is so.
    ///
    /// # Errors
    /// The proxy is gone.
    pub(super) fn set(&self, aside: &Aside, mode: Mode) -> Result<()> {
        self.mode.send_replace(mode);
        let mut listens = self.listens.clone();
        let set = aside.handle().block_on(async move {
            let set = listens.wait_for(|listens| *listens == mode).await;
            set.map(drop)
        });
        set.context("the proxy is gone")
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = serve::bind(address.ip(), address.port()).map_err(io::Error::other)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Listens as the mode says, and relays what comes.
async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    server: SocketAddr,
    mut mode: watch::Receiver<Mode>,
    tell: watch::Sender<Mode>,
) {
    let mut listener = Some(listener);
    let mut hole = None;
    loop {
        let now = *mode.borrow_and_update();
        // The address is given back by one before the other takes it.
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
            sleep(LISTEN_PAUSE).await;
            mode.mark_changed();
            continue;
        }
        tell.send_replace(now);
        select! {
            changed = mode.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            accepted = accept_one(listener.as_ref()) => match accepted {
                Ok(client) => drop(tokio::spawn(relay(client, server, mode.clone()))),
                Err(_) => sleep(LISTEN_PAUSE).await,
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

/// Passes the bytes of one connection on, as the mode of the moment says.
async fn relay(mut client: TcpStream, server: SocketAddr, mut mode: watch::Receiver<Mode>) {
    let _ = client.set_nodelay(true);
    if wait_for(&mut mode, |mode| !mode.holds()).await.is_none() {
        return;
    }
    let now = *mode.borrow();
    if !now.breaks() {
        let Ok(mut server) = TcpStream::connect(server).await else {
            return reset(&client);
        };
        let _ = server.set_nodelay(true);
        let mut broken = mode.clone();
        let ended = {
            let (from_client, to_client) = client.split();
            let (from_server, to_server) = server.split();
            let both = async {
                tokio::try_join!(
                    pump(from_client, to_server, mode.clone()),
                    pump(from_server, to_client, mode.clone()),
                )
            };
            select! {
                ended = both => Some(ended),
                _ = wait_for(&mut broken, Mode::breaks) => None,
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

/// Waits for such a mode; none if there will be no other.
async fn wait_for(mode: &mut watch::Receiver<Mode>, fits: impl Fn(Mode) -> bool) -> Option<Mode> {
    mode.wait_for(|mode| fits(*mode))
        .await
        .ok()
        .map(|mode| *mode)
}

/// The next close of this is a reset.
fn reset(stream: &TcpStream) {
    // If it fails, the peer sees an ordinary close, which is as much of an end.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        let now = *mode.borrow();
        if let Mode::Delay(time) = now {
            sleep(time).await;
        }
        if wait_for(&mut mode, |mode| !mode.holds()).await.is_none() {
            return Ok(());
        }
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpStream};
    use std::thread;
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    /// A server that sends back what comes, a proxy before it, and a connection through both.
    fn set() -> (Aside, Proxy, TcpStream) {
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
        let aside = Aside::start("test").unwrap();
        let proxy = Proxy::start(&aside, Ipv4Addr::LOCALHOST.into(), 0, server).unwrap();
        let client = TcpStream::connect(proxy.address()).unwrap();
        (aside, proxy, client)
    }

    fn send(mut client: &TcpStream) {
        client.write_all(b"hello").unwrap();
    }

    /// What comes back within a moment.
    fn came(mut client: &TcpStream) -> io::Result<String> {
        client.set_read_timeout(Some(SHORT)).unwrap();
        let mut buffer = [0; 64];
        let read = client.read(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..read]).into_owned())
    }

    #[test]
    fn bytes_pass_at_once_or_after_the_delay() {
        let (aside, proxy, client) = set();
        send(&client);
        assert_eq!(came(&client).unwrap(), "hello");
        proxy
            .set(&aside, Mode::Delay(Duration::from_millis(40)))
            .unwrap();
        let begun = Instant::now();
        send(&client);
        assert_eq!(came(&client).unwrap(), "hello");
        assert!(begun.elapsed() >= Duration::from_millis(80), "both ways");
    }

    #[test]
    fn what_is_held_back_comes_afterwards() {
        for mode in [Mode::Stall, Mode::BlackHole] {
            let (aside, proxy, client) = set();
            send(&client);
            assert_eq!(came(&client).unwrap(), "hello");
            proxy.set(&aside, mode).unwrap();
            send(&client);
            assert_eq!(came(&client).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            proxy.set(&aside, Mode::Pass).unwrap();
            assert_eq!(came(&client).unwrap(), "hello");
        }
    }

    #[test]
    fn a_black_hole_does_not_answer_who_connects() {
        let (aside, proxy, _client) = set();
        proxy.set(&aside, Mode::BlackHole).unwrap();
        let connected = TcpStream::connect_timeout(&proxy.address(), SHORT);
        assert_eq!(connected.unwrap_err().kind(), io::ErrorKind::TimedOut);
        proxy.set(&aside, Mode::Pass).unwrap();
        assert!(TcpStream::connect(proxy.address()).is_ok());
    }

    #[test]
    fn connections_are_reset_half_closed_and_refused() {
        let (aside, proxy, client) = set();
        proxy.set(&aside, Mode::HalfClose).unwrap();
        assert_eq!(came(&client).unwrap(), "");
        send(&client);
        let fresh = TcpStream::connect(proxy.address()).unwrap();
        assert_eq!(came(&fresh).unwrap(), "");

        let (aside, proxy, client) = set();
        send(&client);
        assert_eq!(came(&client).unwrap(), "hello");
        proxy.set(&aside, Mode::Reset).unwrap();
        let kind = came(&client).unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::ConnectionReset);

        let (aside, proxy, client) = set();
        send(&client);
        assert_eq!(came(&client).unwrap(), "hello");
        proxy.set(&aside, Mode::Refuse).unwrap();
        let refused = TcpStream::connect(proxy.address()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        send(&client);
        assert_eq!(came(&client).unwrap(), "hello", "the old one goes on");
        proxy.set(&aside, Mode::Pass).unwrap();
        assert!(TcpStream::connect(proxy.address()).is_ok());
    }
}

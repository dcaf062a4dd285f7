//! Misbehaving clients, up to ten thousand at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use load::scenario::Scenario;
use testbed::http1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::generator::Generator;
use crate::operation::Operation;

/// Tasks that open idle connections at the same time.
const OPENING_TASKS: usize = 64;

/// Receive buffer of a client that never reads: small, so that the contender's buffers fill up.
const SMALL_BUFFER_BYTES: u32 = 4096;

/// Time between two bytes of a slow client.
const BYTE_INTERVAL: Duration = Duration::from_millis(200);

/// Pause before a refused or ended connection is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// A kind of misbehaviour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Behaviour {
    /// They connect and send nothing.
    Idle,
    /// They send an endless head, a byte at a time.
    SlowHeads,
    /// They send a body, a byte at a time.
    SlowBodies,
    /// They send requests without end and read no response.
    NeverRead,
    /// They pipeline one request of each operation in a closed loop.
    Flood,
}

impl Behaviour {
    fn clients(self) -> usize {
        match self {
            Self::Idle => 10_000,
            Self::SlowHeads | Self::SlowBodies => 1000,
            Self::NeverRead => 200,
            Self::Flood => 512,
        }
    }
}

/// Connected misbehaving clients; dropping this disconnects them.
#[derive(Debug)]
pub(crate) struct MisbehavingClients {
    behaviour: Behaviour,
    clients: usize,
    since: Instant,
    counts: Arc<Counts>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Counts {
    opened: AtomicU64,
    responses: AtomicU64,
}

impl MisbehavingClients {
    /// Starts the clients, at most `limit` of them.
    pub(crate) fn start(
        behaviour: Behaviour,
        limit: usize,
        background: &Runtime,
        address: SocketAddr,
        generator: &Arc<Generator>,
    ) -> Self {
        let clients = behaviour.clients().min(limit);
        let counts = Arc::new(Counts::default());
        let mut tasks = JoinSet::new();
        let mut spawn = |connections: usize| {
            let (generator, counts) = (Arc::clone(generator), Arc::clone(&counts));
            let misbehave = async move {
                match behaviour {
                    Behaviour::Idle => stay_idle(address, connections, &counts).await,
                    Behaviour::SlowHeads => send_heads_slowly(address, &counts).await,
                    Behaviour::SlowBodies => send_bodies_slowly(address, &generator, &counts).await,
                    Behaviour::NeverRead => never_read(address, &generator, &counts).await,
                    Behaviour::Flood => flood(address, &generator, &counts).await,
                }
            };
            tasks.spawn_on(misbehave, background.handle());
        };
        match behaviour {
            Behaviour::Idle => (0..OPENING_TASKS)
                .map(|task| (clients + task) / OPENING_TASKS)
                .for_each(&mut spawn),
            _ => (0..clients).for_each(|_| spawn(1)),
        }
        Self {
            behaviour,
            clients,
            since: Instant::now(),
            counts,
            _tasks: tasks,
        }
    }

    /// Describes how many connections were opened, or how many responses the flood got.
    pub(crate) fn note(&self) -> String {
        let opened = self.counts.opened.load(Ordering::Relaxed);
        match self.behaviour {
            Behaviour::Flood => {
                let responses = self.counts.responses.load(Ordering::Relaxed) as f64;
                let rate = responses / self.since.elapsed().as_secs_f64();
                format!("the flood got {rate:.0} responses per second")
            }
            Behaviour::Idle if self.clients < self.behaviour.clients() => format!(
                "{opened} of {} connections were opened; the limit of open files allows no more",
                self.clients
            ),
            _ => format!("{opened} connections were opened"),
        }
    }
}

/// Connects, again and again until it succeeds.
async fn connect(address: SocketAddr, counts: &Counts) -> TcpStream {
    loop {
        if let Ok(stream) = TcpStream::connect(address).await {
            counts.opened.fetch_add(1, Ordering::Relaxed);
            return stream;
        }
        sleep(RECONNECT_PAUSE).await;
    }
}

async fn stay_idle(address: SocketAddr, connections: usize, counts: &Counts) {
    let mut streams = Vec::with_capacity(connections);
    while streams.len() < connections {
        streams.push(connect(address, counts).await);
    }
    std::future::pending::<()>().await;
}

async fn send_heads_slowly(address: SocketAddr, counts: &Counts) {
    const BEGIN: &[u8] = b"GET /info HTTP/1.1\r\nHost: slow\r\nX-Slow: ";
    loop {
        let mut stream = connect(address, counts).await;
        send_slowly(&mut stream, BEGIN, &[b'x'; 4096]).await;
        sleep(RECONNECT_PAUSE).await;
    }
}

async fn send_bodies_slowly(address: SocketAddr, generator: &Generator, counts: &Counts) {
    loop {
        let mut stream = connect(address, counts).await;
        let request = generator
            .request(Operation::Scenario(Scenario::Movies))
            .bytes;
        let end = request.windows(4).position(|end| end == b"\r\n\r\n");
        let (head, body) = request.split_at(end.map_or(0, |end| end + 4));
        send_slowly(&mut stream, head, body).await;
        sleep(RECONNECT_PAUSE).await;
    }
}

/// Sends `begin` at once and `rest` a byte at a time, until the server responds or closes.
async fn send_slowly(stream: &mut TcpStream, begin: &[u8], rest: &[u8]) {
    if stream.write_all(begin).await.is_err() {
        return;
    }
    for byte in rest {
        sleep(BYTE_INTERVAL).await;
        let has_ended = stream.try_read(&mut [0; 512]).is_ok();
        if has_ended || stream.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
}

async fn never_read(address: SocketAddr, generator: &Generator, counts: &Counts) {
    let [first, ..] = generator.cycle();
    loop {
        let connect = async {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(SMALL_BUFFER_BYTES)?;
            socket.connect(address).await
        };
        if let Ok(mut stream) = connect.await {
            counts.opened.fetch_add(1, Ordering::Relaxed);
            let request = generator.request(first).bytes;
            while stream.write_all(&request).await.is_ok() {}
        }
        sleep(RECONNECT_PAUSE).await;
    }
}

async fn flood(address: SocketAddr, generator: &Generator, counts: &Counts) {
    let requests = generator
        .cycle()
        .map(|operation| generator.request(operation).bytes);
    let pipelined = requests.len();
    let requests: Vec<u8> = requests.concat();
    loop {
        let mut stream = connect(address, counts).await;
        let _ = stream.set_nodelay(true);
        let mut buffer = Vec::with_capacity(8 * 1024);
        while stream.write_all(&requests).await.is_ok()
            && read_responses(&mut stream, &mut buffer, pipelined, counts).await
        {}
        sleep(RECONNECT_PAUSE).await;
    }
}

/// Reads so many responses and counts those below 500; false if the connection ended before.
async fn read_responses(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    mut missing: usize,
    counts: &Counts,
) -> bool {
    while missing > 0 {
        match http1::response(buffer, false, None) {
            Ok(Some(response)) => {
                buffer.drain(..response.end);
                missing -= 1;
                if response.status < 500 {
                    counts.responses.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(None) if matches!(stream.read_buf(buffer).await, Ok(1..)) => {}
            _ => return false,
        }
    }
    true
}

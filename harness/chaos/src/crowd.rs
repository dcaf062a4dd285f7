//! Clients that behave badly, a thousand at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;

use super::question::Questions;
use super::route::Route;
use load::scenario::Scenario;
use testbed::aside::{Aside, Tasks};
use testbed::http1;
use testbed::slow::{self, PAUSE};

/// Connections that are opened at the same time.
const OPENING: usize = 64;

/// Receive buffer of a client that never reads: small, so that little is taken from the contender.
const SMALL_BUFFER_BYTES: u32 = 4096;

/// A crowd of such clients.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Crowd {
    /// They connect, and that is all.
    Idle,
    /// A head without an end, a byte at a time.
    SlowHeads,
    /// A body a byte at a time.
    SlowBodies,
    /// Requests without an end, and no answer is read.
    NeverRead,
    /// As much as goes.
    Flood,
}

impl Crowd {
    fn size(self) -> usize {
        match self {
            Self::Idle => 10_000,
            Self::SlowHeads | Self::SlowBodies => 1000,
            Self::NeverRead => 200,
            Self::Flood => 512,
        }
    }
}

/// A crowd that is there; it goes when this is dropped.
#[derive(Debug)]
pub(super) struct Present {
    crowd: Crowd,
    size: usize,
    since: Instant,
    counts: Arc<Counts>,
    _tasks: Tasks,
}

#[derive(Debug, Default)]
struct Counts {
    opened: AtomicU64,
    answered: AtomicU64,
}

impl Present {
    /// Brings it there, of this size at the most.
    pub(super) fn gather(
        crowd: Crowd,
        most: usize,
        aside: &Aside,
        address: SocketAddr,
        questions: &Arc<Questions>,
    ) -> Self {
        let size = crowd.size().min(most);
        let counts = Arc::new(Counts::default());
        let mut tasks = Tasks::default();
        let mut add = |share: usize| {
            let (questions, counts) = (Arc::clone(questions), Arc::clone(&counts));
            tasks.add(aside.spawn(async move {
                match crowd {
                    Crowd::Idle => idle(address, share, &counts).await,
                    Crowd::SlowHeads | Crowd::SlowBodies => {
                        slow(crowd, address, &questions, &counts).await;
                    }
                    Crowd::NeverRead => never_read(address, &questions, &counts).await,
                    Crowd::Flood => flood(address, &questions, &counts).await,
                }
            }));
        };
        match crowd {
            Crowd::Idle => (0..OPENING)
                .map(|index| size / OPENING + usize::from(index < size % OPENING))
                .for_each(&mut add),
            _ => (0..size).for_each(|_| add(1)),
        }
        Self {
            crowd,
            size,
            since: Instant::now(),
            counts,
            _tasks: tasks,
        }
    }

    /// What is to be said of it.
    pub(super) fn note(&self) -> String {
        let opened = self.counts.opened.load(Ordering::Relaxed);
        match self.crowd {
            Crowd::Flood => {
                let answered = self.counts.answered.load(Ordering::Relaxed) as f64;
                let rate = answered / self.since.elapsed().as_secs_f64();
                format!("the flood was answered {rate:.0} times a second")
            }
            Crowd::Idle if self.size < self.crowd.size() => format!(
                "{opened} connections were opened of {}, the limit of open files allows no more",
                self.size
            ),
            _ => format!("{opened} connections were opened"),
        }
    }
}

async fn connect(address: SocketAddr, counts: &Counts) -> TcpStream {
    let stream = slow::connect(address).await;
    counts.opened.fetch_add(1, Ordering::Relaxed);
    stream
}

async fn idle(address: SocketAddr, share: usize, counts: &Counts) {
    let mut kept = Vec::with_capacity(share);
    while kept.len() < share {
        kept.push(connect(address, counts).await);
    }
    std::future::pending::<()>().await;
}

async fn slow(crowd: Crowd, address: SocketAddr, questions: &Questions, counts: &Counts) {
    loop {
        let mut stream = connect(address, counts).await;
        if crowd == Crowd::SlowHeads {
            slow::send_head(&mut stream).await;
        } else {
            let request = questions.make(Route::Scenario(Scenario::Movies)).bytes;
            let head = request.windows(4).position(|end| end == b"\r\n\r\n");
            let (head, body) = request.split_at(head.map_or(0, |head| head + 4));
            slow::send(&mut stream, head, body).await;
        }
        sleep(PAUSE).await;
    }
}

async fn never_read(address: SocketAddr, questions: &Questions, counts: &Counts) {
    let [first, ..] = questions.round();
    loop {
        let connect = async {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(SMALL_BUFFER_BYTES)?;
            socket.connect(address).await
        };
        if let Ok(mut stream) = connect.await {
            counts.opened.fetch_add(1, Ordering::Relaxed);
            let request = questions.make(first).bytes;
            while stream.write_all(&request).await.is_ok() {}
        }
        sleep(PAUSE).await;
    }
}

async fn flood(address: SocketAddr, questions: &Questions, counts: &Counts) {
    let requests = questions.round().map(|route| questions.make(route).bytes);
    let ahead = requests.len();
    let requests: Vec<u8> = requests.concat();
    loop {
        let mut stream = connect(address, counts).await;
        let _ = stream.set_nodelay(true);
        let mut buffer = Vec::with_capacity(8 * 1024);
        loop {
            if stream.write_all(&requests).await.is_err() {
                break;
            }
            let mut came = 0;
            while came < ahead {
                match http1::response(&mut buffer, false, None) {
                    Ok(Some(answer)) => {
                        buffer.drain(..answer.end);
                        came += 1;
                        if answer.status < 500 {
                            counts.answered.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    Ok(None) if matches!(stream.read_buf(&mut buffer).await, Ok(1..)) => {}
                    _ => break,
                }
            }
            if came < ahead {
                break;
            }
        }
        sleep(PAUSE).await;
    }
}

//! The upstream of a contender under check: the suite's own, with a recorder in front. What it
//! serves changes from one request to the next, and every call is counted.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use schema::fault::Fault;
use schema::{env, fixtures, routes};
use serve::{Background, Server};
use socket2::{Domain, Socket, Type};
use tokio::time::{Instant, timeout_at};
use tower::{BoxError, Service, ServiceExt};
use upstream::Reset;

use testbed::port::Kept;

/// Longest time that an answer is held back on purpose: the longest deadline of the contract, and
/// what a check waits beyond it. Then the connection is reset, so that a contender without a
/// deadline can go on.
const HOLD_MAX: Duration = Duration::from_secs(8);

/// Time for a listener to be gone once it was told to.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections that fill the queue of a listener that accepts none.
const QUEUE_FILLERS: usize = 4;

/// Time for the connections that are idle then to be closed.
const IDLE_CLOSE: Duration = Duration::from_millis(100);

type Body = UnsyncBoxBody<Bytes, BoxError>;

/// What the next calls get.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// These bytes as the product, after this time.
    Product(Bytes, Duration),
    /// A refusal of the key, whatever it is.
    Refusal,
    /// A fault of the contract.
    Fault(Fault),
}

/// One call of the product.
#[derive(Clone, Debug)]
pub struct Call {
    /// Method and path, as `GET /data`.
    pub line: String,
    /// Whether it carried the key.
    pub has_key: bool,
}

#[derive(Debug)]
struct Recorder {
    api_key: String,
    book: Mutex<Book>,
    called: Condvar,
    counter: Counter,
}

/// What is kept of calls while a contender is measured: a number, and the time they took.
#[derive(Debug, Default)]
struct Counter {
    /// Nothing else is kept, and every call gets the contract's product.
    is_all: AtomicBool,
    calls: AtomicU64,
    /// Sum of the times that calls were in our hands, in nanoseconds.
    in_hand_ns: AtomicU64,
}

#[derive(Debug)]
struct Book {
    behaviour: Behaviour,
    calls: Vec<Call>,
    in_flight: usize,
    in_flight_max: usize,
}

impl Recorder {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this call gets, and its place among those in flight.
    fn take_down<B>(&self, request: &Request<B>) -> (Behaviour, Flight<'_>) {
        let key = format!("Bearer {}", self.api_key);
        let sent = request.headers().get(AUTHORIZATION);
        let call = Call {
            line: format!("{} {}", request.method(), request.uri()),
            has_key: sent.is_some_and(|value| value.as_bytes() == key.as_bytes()),
        };
        let mut book = self.book();
        book.calls.push(call);
        book.in_flight += 1;
        book.in_flight_max = book.in_flight_max.max(book.in_flight);
        let behaviour = book.behaviour.clone();
        drop(book);
        self.called.notify_all();
        (behaviour, Flight(self))
    }
}

/// The recording upstream.
#[derive(Debug)]
pub struct RecordingUpstream {
    recorder: Arc<Recorder>,
    port: Kept,
    /// None while it is refused or unreachable.
    server: Mutex<Option<Background>>,
    turn: Mutex<()>,
}

impl RecordingUpstream {
    /// Listens; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(host: IpAddr, port: u16, api_key: &str) -> Result<Self> {
        let recorder = Arc::new(Recorder {
            api_key: api_key.to_owned(),
            book: Mutex::new(Book {
                behaviour: honest(),
                calls: Vec::new(),
                in_flight: 0,
                in_flight_max: 0,
            }),
            called: Condvar::new(),
            counter: Counter::default(),
        });
        let port = Kept::new(SocketAddr::new(host, port))?;
        let server = serve(&recorder, port.address())?;
        Ok(Self {
            recorder,
            port,
            server: Mutex::new(Some(server)),
            turn: Mutex::new(()),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Waits until no other check uses it. From then on it serves the contract's product, and
    /// calls are counted from zero.
    pub fn turn(&self) -> Turn<'_> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = Turn {
            upstream: self,
            _turn: turn,
        };
        turn.behave(honest());
        turn
    }
}

/// One check's turn with the upstream; when it ends, the contract's product is served again. A call
/// that came within it keeps what it was given.
#[derive(Debug)]
pub struct Turn<'a> {
    upstream: &'a RecordingUpstream,
    _turn: MutexGuard<'a, ()>,
}

impl<'a> Turn<'a> {
    /// What calls get from now on; they are counted from zero.
    pub fn behave(&self, behaviour: Behaviour) {
        let mut book = self.upstream.recorder.book();
        book.behaviour = behaviour;
        book.calls.clear();
        book.in_flight_max = book.in_flight;
    }

    /// This text as the product.
    pub fn serve(&self, product: impl Into<Bytes>) {
        self.behave(Behaviour::Product(product.into(), Duration::ZERO));
    }

    /// From now on every call gets the contract's product as soon as the suite's upstream can give
    /// it: calls are only counted.
    pub fn count_only(self) -> Counting<'a> {
        let counter = &self.upstream.recorder.counter;
        counter.is_all.store(true, Ordering::Relaxed);
        Counting { turn: self }
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.upstream.recorder.book().calls.clone()
    }

    /// Most calls that were in flight at the same time.
    pub fn in_flight_max(&self) -> usize {
        self.upstream.recorder.book().in_flight_max
    }

    /// Whether this many calls come within this time.
    pub fn is_called(&self, count: usize, time: Duration) -> bool {
        let recorder = &self.upstream.recorder;
        let waited = recorder
            .called
            .wait_timeout_while(recorder.book(), time, |book| book.calls.len() < count);
        let (book, _) = waited.unwrap_or_else(PoisonError::into_inner);
        book.calls.len() >= count
    }

    /// Runs `check` while nobody listens: connections are refused.
    ///
    /// # Errors
    /// The listener cannot be made again.
    pub fn while_refusing<T>(&self, check: impl FnOnce() -> T) -> Result<T> {
        self.stop()?;
        let checked = check();
        self.start_again()?;
        Ok(checked)
    }

    /// Runs `check` while connections are neither taken nor refused.
    ///
    /// # Errors
    /// The port cannot be had, or the listener not be made again.
    pub fn while_unreachable<T>(&self, check: impl FnOnce() -> T) -> Result<T> {
        self.stop()?;
        let address = self.upstream.address();
        let full = full_listener(address).context("making the upstream unreachable")?;
        let checked = check();
        drop(full);
        self.start_again()?;
        Ok(checked)
    }

    /// Asks until no call comes of it, while nobody listens. On a busy machine an idle connection may
    /// outlive its listener for a while: a call there is reset, which says nothing of connections
    /// that cannot be opened. Ends because every call ends its own.
    pub fn uncalled<T>(&self, ask: impl Fn() -> T) -> T {
        loop {
            self.behave(Behaviour::Fault(Fault::Reset));
            let answer = ask();
            if self.calls().is_empty() {
                return answer;
            }
        }
    }

    fn server(&self) -> MutexGuard<'_, Option<Background>> {
        let server = self.upstream.server.lock();
        server.unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops listening. Calls of other checks that are still held go on.
    fn stop(&self) -> Result<()> {
        // For a call on a connection that is not closed yet.
        self.behave(Behaviour::Fault(Fault::Reset));
        let server = self.server().take();
        thread::spawn(move || drop(server));
        let deadline = std::time::Instant::now() + CLOSE_TIMEOUT;
        while TcpStream::connect(self.upstream.address()).is_ok() {
            ensure!(
                std::time::Instant::now() < deadline,
                "the upstream still listens"
            );
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(IDLE_CLOSE);
        Ok(())
    }

    /// Listens again. A process that another thread starts has a copy of the last listener between
    /// its fork and its exec, so the port may be in use for a moment.
    fn start_again(&self) -> Result<()> {
        let deadline = std::time::Instant::now() + CLOSE_TIMEOUT;
        let server = loop {
            match serve(&self.upstream.recorder, self.upstream.address()) {
                Ok(server) => break server,
                Err(error) if std::time::Instant::now() > deadline => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        };
        *self.server() = Some(server);
        Ok(())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.behave(honest());
    }
}

/// The upstream while a contender is measured.
#[derive(Debug)]
pub struct Counting<'a> {
    turn: Turn<'a>,
}

impl Counting<'_> {
    /// Calls that were answered so far, and the sum of the times that they were in our hands.
    pub fn count(&self) -> (u64, Duration) {
        let counter = &self.turn.upstream.recorder.counter;
        let in_hand = Duration::from_nanos(counter.in_hand_ns.load(Ordering::Relaxed));
        (counter.calls.load(Ordering::Relaxed), in_hand)
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        let counter = &self.turn.upstream.recorder.counter;
        counter.is_all.store(false, Ordering::Relaxed);
    }
}

fn honest() -> Behaviour {
    let product = Bytes::from_static(fixtures::PRODUCT_JSON.as_bytes());
    Behaviour::Product(product, Duration::ZERO)
}

/// A listener whose queue is full, and the connections that fill it: the kernel drops what else
/// comes (Linux, `listen(2)`).
pub fn full_listener(address: SocketAddr) -> Result<(TcpListener, Vec<Socket>)> {
    let new_socket = || Socket::new(Domain::for_address(address), Type::STREAM, None);
    let listener = new_socket()?;
    listener.set_reuse_address(true)?;
    listener.bind(&address.into())?;
    listener.listen(0)?;
    let mut fillers = Vec::new();
    for _ in 0..QUEUE_FILLERS {
        let filler = new_socket()?;
        filler.set_nonblocking(true)?;
        // In progress, or waiting for ever: both fill the queue.
        let _ = filler.connect(&address.into());
        fillers.push(filler);
    }
    Ok((listener.into(), fillers))
}

fn serve(recorder: &Arc<Recorder>, address: SocketAddr) -> Result<Background> {
    let listener = serve::bind(address.ip(), address.port())?;
    let mut server = Server::new(NonZeroUsize::MIN);
    server.drain_timeout = HOLD_MAX;
    let recorder = Arc::clone(recorder);
    let config = upstream::Config::read(|name| match name {
        _ if name == env::UPSTREAM_FAULTS.name => Some("1".into()),
        _ if name == env::UPSTREAM_API_KEY.name => Some(recorder.api_key.clone().into()),
        _ => env::bench_lookup(name),
    })
    .context("configuring the upstream")?;
    let make_service = move |_| {
        let (recorder, inner) = (Arc::clone(&recorder), upstream::service(&config));
        Ok(tower::service_fn(move |request| {
            answer(Arc::clone(&recorder), inner.clone(), request)
        }))
    };
    server
        .spawn(listener, make_service)
        .context("starting the recording upstream")
}

/// Takes a call down and gives it what is served now.
async fn answer<B>(
    recorder: Arc<Recorder>,
    inner: impl Service<Request<Incoming>, Response = Response<B>, Error = Reset>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Reset>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    if recorder.counter.is_all.load(Ordering::Relaxed) {
        return recorder.counter.count(inner.oneshot(request)).await;
    }
    let held_until = Instant::now() + HOLD_MAX;
    if request.uri().path() == routes::HEALTH {
        return Ok(inner
            .oneshot(request)
            .await?
            .map(|body| held(body, held_until)));
    }
    let (behaviour, _flight) = recorder.take_down(&request);
    let is_data = request.uri().path() == routes::UPSTREAM_DATA;
    let mut product = None;
    match behaviour {
        Behaviour::Fault(fault) if is_data => *request.uri_mut() = fault_path(fault),
        Behaviour::Product(bytes, delay) if is_data => {
            tokio::time::sleep(delay).await;
            product = Some(bytes);
        }
        Behaviour::Refusal => {
            request.headers_mut().remove(AUTHORIZATION);
        }
        _ => {}
    }
    let response = timeout_at(held_until, inner.oneshot(request)).await;
    let response = response.map_err(|_| Reset)??;
    let response = response.map(|body| held(body, held_until));
    match product {
        Some(product) if response.status() == StatusCode::OK => {
            let mut response = Response::new(full(product));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            Ok(response)
        }
        _ => Ok(response),
    }
}

impl Counter {
    /// Counts a call by its answer.
    async fn count<B>(
        &self,
        answer: impl Future<Output = Result<Response<B>, Reset>>,
    ) -> Result<Response<Body>, Reset>
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let begun = Instant::now();
        let answer = answer.await?;
        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.in_hand_ns.fetch_add(took, Ordering::Relaxed);
        Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
    }
}

/// A body that breaks off if it has not ended by then.
fn held<B>(body: B, until: Instant) -> Body
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let frames = futures_util::stream::unfold(Box::pin(body), move |mut body| async move {
        let frame = match timeout_at(until, body.frame()).await {
            Ok(frame) => frame?.map_err(Into::into),
            Err(_) => Err(Reset.into()),
        };
        Some((frame, body))
    });
    StreamBody::new(frames).boxed_unsync()
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

fn fault_path(fault: Fault) -> Uri {
    let path = format!(
        "{}{fault}{}",
        routes::UPSTREAM_FAULTS,
        routes::UPSTREAM_DATA
    );
    path.parse().expect("a fault's name is a path segment")
}

/// A call in flight until its answer is made.
struct Flight<'a>(&'a Recorder);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.book().in_flight -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_call_on_a_connection_that_outlives_its_listener_is_asked_again() {
        let api_key = "a-key-of-the-test";
        let upstream = RecordingUpstream::start([127, 0, 0, 1].into(), 0, api_key).unwrap();
        let turn = upstream.turn();
        let connect = || TcpStream::connect(upstream.address());
        // No connection in the middle of a head is closed for being idle.
        let mut begun = connect().unwrap();
        write!(begun, "GET {} HTTP/1.1\r\n", routes::UPSTREAM_DATA).unwrap();
        let mut later = connect().unwrap();
        write!(later, "GET {} HTTP/1.1\r\nhost: a\r\n\r\n", routes::HEALTH).unwrap();
        later.read_exact(&mut [0; 12]).unwrap();

        let asked = AtomicU64::new(0);
        let refused = turn.while_refusing(|| {
            turn.uncalled(|| match asked.fetch_add(1, Ordering::Relaxed) {
                0 => {
                    let mut begun = &begun;
                    write!(begun, "host: a\r\nauthorization: Bearer {api_key}\r\n\r\n").unwrap();
                    begun.read(&mut [0]).err()
                }
                _ => connect().err(),
            })
        });
        let refused = refused.unwrap().map(|error| error.kind());
        assert_eq!(refused, Some(std::io::ErrorKind::ConnectionRefused));
        assert_eq!(asked.into_inner(), 2);
    }
}

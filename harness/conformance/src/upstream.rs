//! The upstream of a contender: the suite's own behind a recorder. Checks change what it serves from one
//! request to the next, and every call is counted.

mod ending;

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
use schema::fault::Fault;
use schema::{env, fixtures, routes};
use serve::{Background, RequestBody, Server};
use socket2::{Domain, Socket, Type};
use tokio::time::{Instant, timeout_at};
use tower::{BoxError, Service, ServiceExt};
use upstream::Reset;

use testbed::port::Kept;

pub(crate) use ending::{Ending, IDLE_TIMEOUT};

use ending::EndingUpstream;

/// Longest delay of a response on purpose: the longest deadline of the contract and the tolerance of the
/// checks. Then the connection is reset, so that a contender without a deadline can continue.
const HOLD_MAX: Duration = Duration::from_secs(8);

/// Timeout of the end of a listener.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections that fill the queue of a listener that accepts none.
const QUEUE_FILLERS: usize = 4;

/// Time in which the idle connections of a stopped server are closed.
const IDLE_CLOSE: Duration = Duration::from_millis(100);

type Body = UnsyncBoxBody<Bytes, BoxError>;

/// The response to the next calls.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// These bytes as the product, after this delay.
    Product(Bytes, Duration),
    /// A refusal of the key, right or wrong.
    Refusal,
    /// A fault of the contract.
    Fault(Fault),
}

/// One call of the upstream.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Method and path, such as `GET /data`.
    pub(crate) line: String,
    /// True if it carried the key.
    pub(crate) has_key: bool,
}

#[derive(Debug)]
struct Recorder {
    api_key: String,
    book: Mutex<Book>,
    called: Condvar,
    counter: Counter,
}

/// Counts the calls while a contender is measured, and their time.
#[derive(Debug, Default)]
struct Counter {
    /// True while calls are only counted, and every call gets the contract's product.
    is_all: AtomicBool,
    calls: AtomicU64,
    /// Sum of the times from call to response, in nanoseconds.
    in_service_ns: AtomicU64,
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

    /// Records a call. Returns the response to it, and its place among those in flight.
    fn record<B>(&self, request: &Request<B>) -> (Behaviour, Flight<'_>) {
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
    /// None while connections are refused or not accepted.
    server: Mutex<Option<Background>>,
    lock: Mutex<()>,
}

impl RecordingUpstream {
    /// Starts to listen; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(host: IpAddr, port: u16, api_key: &str) -> Result<Self> {
        let recorder = Arc::new(Recorder {
            api_key: api_key.to_owned(),
            book: Mutex::new(Book {
                behaviour: default_behaviour(),
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
            lock: Mutex::new(()),
        })
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Waits until no other check uses the upstream, which then serves the contract's product and counts
    /// calls from zero.
    pub fn lock(&self) -> Guard<'_> {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = Guard {
            upstream: self,
            _guard: guard,
        };
        guard.behave(default_behaviour());
        guard
    }
}

/// Exclusive use of the upstream; when it ends, the contract's product is served again. A call that
/// came before the end keeps its response.
#[derive(Debug)]
pub struct Guard<'a> {
    upstream: &'a RecordingUpstream,
    _guard: MutexGuard<'a, ()>,
}

impl<'a> Guard<'a> {
    /// Sets the response to the next calls, and counts them from zero.
    pub fn behave(&self, behaviour: Behaviour) {
        let mut book = self.upstream.recorder.book();
        book.behaviour = behaviour;
        book.calls.clear();
        book.in_flight_max = book.in_flight;
    }

    /// Serves a text as the product, and counts calls from zero.
    pub fn serve(&self, product: impl Into<Bytes>) {
        self.behave(Behaviour::Product(product.into(), Duration::ZERO));
    }

    /// Only counts calls from now on, each of which gets the contract's product without a delay.
    pub fn count_only(self) -> Counting<'a> {
        let counter = &self.upstream.recorder.counter;
        counter.is_all.store(true, Ordering::Relaxed);
        Counting { guard: self }
    }

    /// Returns the calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.upstream.recorder.book().calls.clone()
    }

    /// Returns the largest number of calls in flight.
    pub(crate) fn in_flight_max(&self) -> usize {
        self.upstream.recorder.book().in_flight_max
    }

    /// Waits for a number of calls; returns false if they do not come in time.
    pub(crate) fn is_called(&self, count: usize, time: Duration) -> bool {
        let recorder = &self.upstream.recorder;
        let waited = recorder
            .called
            .wait_timeout_while(recorder.book(), time, |book| book.calls.len() < count);
        let (book, _) = waited.unwrap_or_else(PoisonError::into_inner);
        book.calls.len() >= count
    }

    /// Runs `check` while nothing listens: connections are refused.
    ///
    /// # Errors
    /// The upstream cannot listen again.
    pub fn while_refusing<T>(&self, check: impl FnOnce() -> T) -> Result<T> {
        self.while_replaced(|_| Ok(()), check)
    }

    /// Runs `check` while connections are neither accepted nor refused.
    ///
    /// # Errors
    /// The port is in use, or the upstream cannot listen again.
    pub(crate) fn while_unreachable<T>(&self, check: impl FnOnce() -> T) -> Result<T> {
        self.while_replaced(full_listener, check)
    }

    /// Runs `check` while another upstream ends the connections that the contender keeps.
    ///
    /// # Errors
    /// The port is in use, or the upstream cannot listen again.
    pub(crate) fn while_ending<T>(&self, ending: Ending, check: impl FnOnce() -> T) -> Result<T> {
        self.while_replaced(|address| EndingUpstream::start(address, ending), check)
    }

    /// Runs `check` while `other` has the address.
    fn while_replaced<O, T>(
        &self,
        other: impl Fn(SocketAddr) -> Result<O>,
        check: impl FnOnce() -> T,
    ) -> Result<T> {
        self.stop()?;
        let address = self.upstream.address();
        let other = retried(|| other(address))?;
        let checked = check();
        drop(other);
        let server = retried(|| serve(&self.upstream.recorder, address))?;
        *self.server() = Some(server);
        Ok(checked)
    }

    /// Repeats `send` until it causes no call, while nothing listens. On a busy machine an idle connection
    /// may outlive its listener for a while: a call there is reset, which is not a refused connection.
    /// It ends because every call ends its connection.
    pub(crate) fn until_uncalled<T>(&self, send: impl Fn() -> T) -> T {
        loop {
            self.behave(Behaviour::Fault(Fault::Reset));
            let sent = send();
            if self.calls().is_empty() {
                return sent;
            }
        }
    }

    fn server(&self) -> MutexGuard<'_, Option<Background>> {
        let server = self.upstream.server.lock();
        server.unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops listening. Calls of other checks that are still held go on.
    fn stop(&self) -> Result<()> {
        // The response to a call on a connection that is not closed yet.
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
}

/// Repeats the start of a listener. Its port may be in use for a moment: a process that another thread
/// starts has a copy of the last listener between its fork and its exec.
fn retried<T>(start: impl Fn() -> Result<T>) -> Result<T> {
    let deadline = std::time::Instant::now() + CLOSE_TIMEOUT;
    loop {
        match start() {
            Err(_) if std::time::Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.behave(default_behaviour());
    }
}

/// The upstream while a contender is measured.
#[derive(Debug)]
pub struct Counting<'a> {
    guard: Guard<'a>,
}

impl Counting<'_> {
    /// Returns the number of responses so far, and the sum of the times from call to response.
    pub fn count(&self) -> (u64, Duration) {
        let counter = &self.guard.upstream.recorder.counter;
        let in_service = Duration::from_nanos(counter.in_service_ns.load(Ordering::Relaxed));
        (counter.calls.load(Ordering::Relaxed), in_service)
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        let counter = &self.guard.upstream.recorder.counter;
        counter.is_all.store(false, Ordering::Relaxed);
    }
}

fn default_behaviour() -> Behaviour {
    let product = Bytes::from_static(fixtures::PRODUCT_JSON.as_bytes());
    Behaviour::Product(product, Duration::ZERO)
}

/// Opens a listener whose queue is full, and the connections that fill it: the kernel drops further
/// connections (Linux, `listen(2)`).
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
        // In progress or pending for ever: both fill the queue.
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
            respond(Arc::clone(&recorder), inner.clone(), request)
        }))
    };
    server
        .spawn(listener, make_service)
        .context("starting the recording upstream")
}

/// Records a call and responds as checks have set.
async fn respond<B>(
    recorder: Arc<Recorder>,
    inner: impl Service<Request<RequestBody>, Response = Response<B>, Error = Reset>,
    mut request: Request<RequestBody>,
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
    let (behaviour, _flight) = recorder.record(&request);
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
    /// Counts a call by its response.
    async fn count<B>(
        &self,
        response: impl Future<Output = Result<Response<B>, Reset>>,
    ) -> Result<Response<Body>, Reset>
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let started = Instant::now();
        let response = response.await?;
        let took = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.in_service_ns.fetch_add(took, Ordering::Relaxed);
        Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
    }
}

/// Resets a body that has not ended at a time.
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

/// A call in flight until its response is created.
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
    fn call_on_a_connection_that_outlives_its_listener_is_repeated() {
        let api_key = "a-key-of-the-test";
        let upstream = RecordingUpstream::start([127, 0, 0, 1].into(), 0, api_key).unwrap();
        let guard = upstream.lock();
        let connect = || TcpStream::connect(upstream.address());
        // A connection in the middle of a head is not closed as idle.
        let mut begun = connect().unwrap();
        write!(begun, "GET {} HTTP/1.1\r\n", routes::UPSTREAM_DATA).unwrap();
        let mut later = connect().unwrap();
        write!(later, "GET {} HTTP/1.1\r\nhost: a\r\n\r\n", routes::HEALTH).unwrap();
        later.read_exact(&mut [0; 12]).unwrap();

        let asked = AtomicU64::new(0);
        let refused = guard.while_refusing(|| {
            guard.until_uncalled(|| match asked.fetch_add(1, Ordering::Relaxed) {
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

//! The answers of the upstream with a fault.

use std::future;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Either, StreamBody};
use hyper::body::Frame;
use schema::fault::Fault;
use schema::fixtures::PRODUCT_JSON;
use schema::limits::UPSTREAM_BODY_MAX_BYTES;
use schema::routes;
use tokio::time::sleep;
use tower::BoxError;

use crate::Reset;
use crate::answer::{self, Body, JSON};

/// Pause before each byte of a trickle: the product then takes about 25 s, five deadlines of a call.
const TRICKLE_PAUSE: Duration = Duration::from_millis(100);

/// Returns the answer with `fault`.
pub(crate) async fn answer(fault: Fault) -> Result<Response<Body>, Reset> {
    Ok(match fault {
        Fault::Status(code) => {
            let mut response = answer::product();
            *response.status_mut() =
                StatusCode::from_u16(code).expect("a fault's status is from 200 to 599");
            response
        }
        Fault::Delay(delay) => {
            sleep(delay).await;
            answer::product()
        }
        Fault::Hang => future::pending().await,
        Fault::Reset => return Err(Reset),
        Fault::Truncate => {
            let half = &PRODUCT_JSON.as_bytes()[..PRODUCT_JSON.len() / 2];
            let cut = Err(io::Error::other("truncated on demand").into());
            let mut response = stream([Ok(Bytes::from_static(half)), cut], Duration::ZERO);
            let announced = HeaderValue::from(PRODUCT_JSON.len());
            response.headers_mut().insert(CONTENT_LENGTH, announced);
            response
        }
        Fault::Trickle => {
            let bytes = PRODUCT_JSON.as_bytes().chunks(1);
            stream(
                bytes.map(|byte| Ok(Bytes::from_static(byte))),
                TRICKLE_PAUSE,
            )
        }
        Fault::Malformed => answer::ok(JSON, Bytes::from_static(b"{\"id\":\"prod-1\",")),
        Fault::WrongShape => answer::ok(
            JSON,
            Bytes::from_static(b"{\"id\":\"prod-1\",\"title\":42}"),
        ),
        Fault::Redirect => {
            let mut response = answer::product();
            *response.status_mut() = StatusCode::FOUND;
            let location = HeaderValue::from_static(routes::UPSTREAM_DATA);
            response.headers_mut().insert(LOCATION, location);
            response
        }
        Fault::Huge => {
            let padding = Bytes::from(vec![b' '; UPSTREAM_BODY_MAX_BYTES]);
            let product = Bytes::from_static(PRODUCT_JSON.as_bytes());
            stream([padding.clone(), padding, product].map(Ok), Duration::ZERO)
        }
    })
}

/// Returns 200 with a body in parts, each after a pause; an error among them closes the connection.
fn stream(
    parts: impl IntoIterator<Item = Result<Bytes, BoxError>, IntoIter: Send + Sync + 'static>,
    pause: Duration,
) -> Response<Body> {
    let frames = futures_util::stream::unfold(parts.into_iter(), move |mut parts| async move {
        let part = parts.next()?;
        sleep(pause).await;
        Some((part.map(Frame::data), parts))
    });
    let mut response = Response::new(Either::Right(BodyExt::boxed(StreamBody::new(frames))));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

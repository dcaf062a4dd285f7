//! What a request's head must be, beyond what the HTTP library asks for, before anything else looks
//! at it: of an unsound one it is not certain who is meant, or where it ends.

use bytes::Bytes;
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::Empty;

/// Whether the host is named once (RFC 9112, 3.2), and a body that is not announced by its length
/// comes in chunks alone (RFC 9112, 6.1).
pub(crate) fn is_sound<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let names_host = request.version() < Version::HTTP_11 || names_one_host(headers);
    names_host && is_plain(headers)
}

/// The answer to an unsound head: none of the service's, without a body. The connection closes.
pub(crate) fn bad_request() -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// An empty one is right where the URL has no host.
fn names_one_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    host.as_bytes().iter().all(|byte| is_of_host(*byte))
}

/// What a host and its port consist of (RFC 3986, 3.2.2 and 3.2.3). Whether there is such a host is
/// nobody's concern here; whether it could hide another one is.
fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'$'..=b'.' | b':' | b';' | b'=' | b'[' | b']' | b'_' | b'~'
        )
}

/// The suite takes no other coding: a body that was compressed, or chunked twice, would be taken for
/// what it is not.
fn is_plain(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(one), None) => one.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(version: Version, headers: &[(&str, &str)]) -> bool {
        let request = Request::builder().version(version);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        is_sound(&request.body(()).unwrap())
    }

    #[test]
    fn one_host_is_named() {
        for host in ["a", "a:80", "127.0.0.1:8000", "[::1]:8000", ""] {
            assert!(sound(Version::HTTP_11, &[("host", host)]), "{host}");
        }
        for host in ["a b", "a/b", "u@a", "a?b", "a#b"] {
            assert!(!sound(Version::HTTP_11, &[("host", host)]), "{host}");
        }
        assert!(!sound(Version::HTTP_11, &[]));
        assert!(!sound(Version::HTTP_11, &[("host", "a"), ("host", "a")]));
        assert!(sound(Version::HTTP_10, &[]));
    }

    #[test]
    fn chunks_are_the_only_coding() {
        let with = |codings: &[&str]| {
            let headers = codings.iter().map(|coding| ("transfer-encoding", *coding));
            let headers: Vec<_> = [("host", "a")].into_iter().chain(headers).collect();
            sound(Version::HTTP_11, &headers)
        };
        assert!(with(&[]) && with(&["chunked"]) && with(&["Chunked"]));
        for codings in [
            &["gzip, chunked"][..],
            &["chunked, chunked"],
            &["chunked", "chunked"],
            &["gzip"],
            &["chunked;q=1"],
            &[""],
        ] {
            assert!(!with(codings), "{codings:?}");
        }
    }
}

//! What a request's head must be, beyond what the HTTP library asks for, before anything else looks
//! at it: of an unsound one it is not certain who is meant, or where it ends.

use bytes::Bytes;
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::Empty;

/// Whether the host is named once, or in HTTP/1.0 at most once (RFC 9112, 3.2), and a body that is not
/// announced by its length comes in chunks alone (RFC 9112, 6.1): the suite takes no other coding, and
/// a body that was compressed, or chunked twice, would be taken for what it is not.
///
/// One pass over the fields, of which there are few, costs less than to look two of them up.
pub(crate) fn is_sound<B>(request: &Request<B>) -> bool {
    let (mut hosts, mut codings) = (0, 0);
    let values_are_sound = request.headers().iter().all(|(name, value)| {
        if name == HOST {
            hosts += 1;
            value
                .as_bytes()
                .iter()
                .all(|byte| OF_HOST[usize::from(*byte)])
        } else if name == TRANSFER_ENCODING {
            codings += 1;
            value.as_bytes().eq_ignore_ascii_case(b"chunked")
        } else {
            true
        }
    });
    let hosts_min = usize::from(request.version() >= Version::HTTP_11);
    values_are_sound && (hosts_min..=1).contains(&hosts) && codings <= 1
}

/// The answer to an unsound head: none of the service's, without a body. The connection closes.
pub(crate) fn bad_request() -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// What a host and its port consist of (RFC 3986, 3.2.2 and 3.2.3), of which an empty one is right
/// where the URL has none. Whether there is such a host is nobody's concern here; whether it could hide
/// another one is.
const fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'$'..=b'.' | b':' | b';' | b'=' | b'[' | b']' | b'_' | b'~'
        )
}

/// [`is_of_host`] of every byte.
const OF_HOST: [bool; 256] = {
    let mut of_host = [false; 256];
    let mut byte = 0;
    while byte < of_host.len() {
        of_host[byte] = is_of_host(byte as u8);
        byte += 1;
    }
    of_host
};

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
        assert!(sound(Version::HTTP_10, &[("host", "a")]));
        assert!(!sound(Version::HTTP_10, &[("host", "a"), ("host", "a")]));
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

//! The check of a request's head beyond hyper's: an invalid head leaves it unclear which host is meant, or where
//! the request ends.

use bytes::Bytes;
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::Empty;

/// Returns true if the head has one Host field with valid characters, or in HTTP/1.0 at most one (RFC 9112, 3.2),
/// and no transfer coding other than chunked (RFC 9112, 6.1). Other codings are refused: a compressed or twice
/// chunked body would be read wrongly.
///
/// One pass over the few fields costs less than two look-ups.
pub(crate) fn is_valid<B>(request: &Request<B>) -> bool {
    let (mut hosts, mut codings) = (0, 0);
    let values_are_valid = request.headers().iter().all(|(name, value)| {
        if name == HOST {
            hosts += 1;
            value.as_bytes().iter().all(is_host_byte)
        } else if name == TRANSFER_ENCODING {
            codings += 1;
            value.as_bytes().eq_ignore_ascii_case(b"chunked")
        } else {
            true
        }
    });
    let hosts_min = usize::from(request.version() >= Version::HTTP_11);
    values_are_valid && (hosts_min..=1).contains(&hosts) && codings <= 1
}

/// Returns the answer to an invalid head: 400 without a body. The connection closes.
pub(crate) fn bad_request() -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// Returns true for the bytes of a host and its port (RFC 3986, 3.2.2 and 3.2.3). An empty host is valid where
/// the URL has none.
fn is_host_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'$'..=b'.' | b':' | b';' | b'=' | b'[' | b']' | b'_' | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid(version: Version, headers: &[(&str, &str)]) -> bool {
        let request = Request::builder().version(version);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        is_valid(&request.body(()).unwrap())
    }

    #[test]
    fn head_without_exactly_one_valid_host_is_invalid() {
        for host in ["a", "a:80", "127.0.0.1:8000", "[::1]:8000", ""] {
            assert!(valid(Version::HTTP_11, &[("host", host)]), "{host}");
        }
        for host in ["a b", "a/b", "u@a", "a?b", "a#b"] {
            assert!(!valid(Version::HTTP_11, &[("host", host)]), "{host}");
        }
        assert!(!valid(Version::HTTP_11, &[]));
        assert!(!valid(Version::HTTP_11, &[("host", "a"), ("host", "a")]));
        assert!(valid(Version::HTTP_10, &[]));
        assert!(valid(Version::HTTP_10, &[("host", "a")]));
        assert!(!valid(Version::HTTP_10, &[("host", "a"), ("host", "a")]));
    }

    #[test]
    fn transfer_coding_other_than_chunked_is_invalid() {
        let with = |codings: &[&str]| {
            let headers = codings.iter().map(|coding| ("transfer-encoding", *coding));
            let headers: Vec<_> = [("host", "a")].into_iter().chain(headers).collect();
            valid(Version::HTTP_11, &headers)
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

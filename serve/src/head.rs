//! The check of a request's head beyond hyper's: an invalid head leaves it unclear which host is meant, or where
//! the request ends.

use std::net::Ipv6Addr;

use http::header::{HOST, TRANSFER_ENCODING};
use http::{Request, Version};

/// Returns true if the head has one valid Host field, or in HTTP/1.0 at most one (RFC 9112, 3.2),
/// and no transfer coding other than chunked (RFC 9112, 6.1). Other codings are refused: a compressed or twice
/// chunked body would be read wrongly.
///
/// One pass over the few fields costs less than two look-ups.
pub(crate) fn is_valid<B>(request: &Request<B>) -> bool {
    let (mut hosts, mut codings) = (0, 0);
    let values_are_valid = request.headers().iter().all(|(name, value)| {
        if name == HOST {
            hosts += 1;
            is_host(value.as_bytes())
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

/// Returns true for a host with an optional port (RFC 9110, 7.2). An empty host is valid where the URL has none.
fn is_host(value: &[u8]) -> bool {
    let name = value.iter().position(|byte| !is_name_byte(*byte));
    match &value[name.unwrap_or(value.len())..] {
        [] => true,
        [b':', port @ ..] => port.iter().all(u8::is_ascii_digit),
        _ => is_unusual_host(value),
    }
}

/// Returns true for an IPv6 address in brackets, or a name with percent-encoded bytes (RFC 3986, 3.2.2).
fn is_unusual_host(value: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(value) else {
        return false;
    };
    let (is_valid, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (is_encoded_name(name), port)
        }
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    is_valid && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_encoded_name(name: &str) -> bool {
    let mut parts = name.as_bytes().split(|byte| *byte == b'%');
    let first = parts.next().unwrap_or_default();
    let is_name = |part: &[u8]| part.iter().copied().all(is_name_byte);
    is_name(first)
        && parts.all(|part| match part {
            [high, low, rest @ ..] => {
                high.is_ascii_hexdigit() && low.is_ascii_hexdigit() && is_name(rest)
            }
            _ => false,
        })
}

/// Returns true for the bytes of a name that are not percent-encoded.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'$' | b'&'..=b'.' | b';' | b'=' | b'_' | b'~')
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
        for host in [
            "a",
            "a:80",
            "a:",
            "127.0.0.1:8000",
            "[::1]",
            "[::1]:8000",
            "a%41.b:80",
            "",
        ] {
            assert!(valid(Version::HTTP_11, &[("host", host)]), "{host}");
        }
        for host in [
            "a b", "a/b", "u@a", "a?b", "a#b", "[::1", "[a]", "[::1]a", "::1", "a:80:90", "a:x",
            "%zz", "a%4",
        ] {
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

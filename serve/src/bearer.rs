//! The bearer token of a request.

use http::HeaderMap;
use http::header::AUTHORIZATION;

const SCHEME: &str = "Bearer";

/// Returns the token of `Authorization: Bearer <token>` (RFC 9110, 11.4: the scheme is case-insensitive). None
/// without the header, with two of them, another scheme, or an empty token.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, rest) = value.to_str().ok()?.split_at_checked(SCHEME.len())?;
    let token = rest.trim_start_matches(' ');
    let has_space = token.len() < rest.len();
    (scheme.eq_ignore_ascii_case(SCHEME) && has_space && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn scheme_in_any_case_is_accepted() {
        for value in ["Bearer t", "bearer t", "BEARER t", "bEaReR   t"] {
            assert_eq!(token(&[value]).as_deref(), Some("t"), "{value}");
        }
    }

    #[test]
    fn other_credentials_have_no_token() {
        let refused: [&[&str]; 8] = [
            &[],
            &["t"],
            &["Bearer"],
            &["Bearer "],
            &["Basic t"],
            &["Bearer\tt"],
            &["Bearert"],
            &["Bearer t", "Bearer t"],
        ];
        for values in refused {
            assert_eq!(token(values), None, "{values:?}");
        }
    }
}

//! Generates requests of which no two are alike, and judges their responses: a lost, repeated or
//! mixed-up response is detected. The responses of an upstream are compared byte for byte.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use conformance::request::{Request, Url};
use conformance::{Secrets, random};
use load::engine::builtin::{Failure, Response};
use load::input::{Expected, created, json};
use load::scenario::Scenario;
use schema::{ErrorCode, Product, Profile, fixtures, routes};
use serde::Deserialize;
use testbed::{http1, token};
use uuid::Uuid;

use crate::operation::{Cycle, Operation};
use crate::steady_load::Outcome;

/// Time for which a replaced product is still accepted: longer than any request takes.
const PRODUCT_KEPT: Duration = Duration::from_secs(60);

/// A request and its correct response.
#[derive(Debug)]
pub(crate) struct PlannedRequest {
    pub(crate) operation: Operation,
    pub(crate) bytes: Vec<u8>,
    expected: ExpectedBody,
}

/// The body of a correct response.
#[derive(Debug)]
enum ExpectedBody {
    Json(Expected),
    /// A product that the upstream served meanwhile.
    Product,
    Bytes(String),
}

/// Generates and judges; shared by all tasks of the load.
pub(crate) struct Generator {
    cycle: Cycle,
    host: String,
    path_prefix: String,
    secrets: Secrets,
    /// Users with rows in the database.
    users: Vec<Profile>,
    products: Mutex<VecDeque<ServedProduct>>,
    /// Fresh ids seen so far.
    ids: Mutex<HashSet<Uuid>>,
}

/// A product, and when it was replaced.
#[derive(Debug)]
struct ServedProduct {
    expected: Expected,
    replaced_at: Option<Instant>,
}

impl Generator {
    /// Creates a generator for a contender with rows for `users`, or for an upstream.
    pub(crate) fn new(
        cycle: Cycle,
        (host, path_prefix): (String, String),
        secrets: Secrets,
        users: Vec<Profile>,
    ) -> Self {
        let generator = Self {
            cycle,
            host,
            path_prefix,
            secrets,
            users,
            products: Mutex::default(),
            ids: Mutex::default(),
        };
        generator.expect_contract_product(|| {});
        generator
    }

    /// Returns the operations that are sent in turn.
    pub(crate) fn cycle(&self) -> Cycle {
        self.cycle
    }

    /// Expects the contract's product from now on; `change` makes the upstream serve it.
    pub(crate) fn expect_contract_product(&self, change: impl FnOnce()) {
        let product = serde_json::from_str(fixtures::PRODUCT_JSON);
        self.expect_product(&product.expect("the fixture is a product"), change);
    }

    /// Expects this product from now on; `change` makes the upstream serve it. During the change,
    /// this one and the one before are correct.
    pub(crate) fn expect_product(&self, product: &Product<'_>, change: impl FnOnce()) {
        self.products().push_back(ServedProduct {
            expected: Expected::body(&json(product)),
            replaced_at: None,
        });
        change();
        let now = Instant::now();
        let mut products = self.products();
        let replaced = products.len() - 1;
        for product in products.iter_mut().take(replaced) {
            product.replaced_at.get_or_insert(now);
        }
        products.retain(|product| {
            product
                .replaced_at
                .is_none_or(|at| at + PRODUCT_KEPT >= now)
        });
    }

    /// Generates a request.
    pub(crate) fn request(&self, operation: Operation) -> PlannedRequest {
        let url = Url {
            host: self.host.clone(),
            path: format!("{}{}", self.path_prefix, operation.path()),
        };
        let request = Request::new(operation.method(), url);
        let token =
            |user: &Profile| token::sign(&random::claims_of(user), &self.secrets.jwt_secret);
        let (request, expected) = match operation {
            Operation::Scenario(Scenario::Info) => {
                let expected = Expected::body(&json(&fixtures::info()));
                (request, ExpectedBody::Json(expected))
            }
            Operation::Scenario(Scenario::Catalog) => (request, ExpectedBody::Product),
            Operation::Scenario(Scenario::Movies) => {
                let (user, movie) = (random::profile(), random::movie());
                let expected = Expected::body(&created(json(&movie), &user)).with_fresh_id();
                let request = request
                    .token(&token(&user))
                    .json(random::javascript(&movie));
                (request, ExpectedBody::Json(expected))
            }
            Operation::Scenario(Scenario::UsersMe) => {
                let user = fastrand::choice(&self.users).expect("there is the seed row's user");
                let expected = Expected::body(&json(user));
                (request.token(&token(user)), ExpectedBody::Json(expected))
            }
            Operation::Data => (
                request.token(&self.secrets.api_key),
                ExpectedBody::Bytes(fixtures::PRODUCT_JSON.to_owned()),
            ),
            Operation::DataWrongKey => (
                request.token(&with_one_change(&self.secrets.api_key)),
                ExpectedBody::Bytes(ErrorCode::InvalidApiKey.body().to_json()),
            ),
        };
        PlannedRequest {
            operation,
            bytes: request.bytes(),
            expected,
        }
    }

    /// Judges the result of a request that was sent at `sent_at`.
    pub(crate) fn judge(
        &self,
        request: &PlannedRequest,
        sent_at: Instant,
        result: &Result<Response<'_>, Failure>,
    ) -> Outcome {
        let response = match result {
            Ok(response) => response,
            Err(Failure::Connect(_)) => return Outcome::Refused,
            Err(Failure::Broken(_)) => return Outcome::Broken,
            Err(Failure::Timeout) => return Outcome::TimedOut,
            Err(Failure::Invalid(reason)) => return Outcome::Wrong((*reason).to_owned()),
        };
        if response.status == request.operation.status() {
            return match self.mismatch(request, sent_at, response) {
                None => Outcome::Correct,
                Some(reason) => Outcome::Wrong(reason),
            };
        }
        match contract_error(response) {
            Some(code) => Outcome::ContractError(code),
            None if response.status >= 500 => Outcome::OtherError(response.status),
            None => Outcome::Wrong(format!("status {}", response.status)),
        }
    }

    /// Returns how a response with the expected status differs from a correct one.
    fn mismatch(
        &self,
        request: &PlannedRequest,
        sent_at: Instant,
        response: &Response<'_>,
    ) -> Option<String> {
        if !response.is_json {
            return Some("content type".to_owned());
        }
        match &request.expected {
            ExpectedBody::Json(expected) => {
                if let Err(reason) = expected.check(response.body) {
                    return Some(reason);
                }
            }
            ExpectedBody::Product => {
                let products = self.products();
                let mut served = products
                    .iter()
                    .filter(|product| product.replaced_at.is_none_or(|at| at >= sent_at));
                let is_served = served.any(|product| product.expected.check(response.body).is_ok());
                return (!is_served).then(|| "a product that is not served".to_owned());
            }
            ExpectedBody::Bytes(body) => {
                let is_equal = response.body == body.as_bytes();
                return (!is_equal).then(|| "body: other bytes".to_owned());
            }
        }
        let id = match request.operation {
            Operation::Scenario(Scenario::Info) => {
                let id = header(response, routes::RESPONSE_ID).unwrap_or_default();
                let Ok(id) = Uuid::parse_str(&id) else {
                    return Some(format!("header {}", routes::RESPONSE_ID));
                };
                Some(id)
            }
            Operation::Scenario(Scenario::Movies) => Some(id_of(response.body)),
            _ => None,
        };
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = id.is_none_or(|id| ids.insert(id));
        (!is_fresh).then(|| "a repeated id".to_owned())
    }

    fn products(&self) -> MutexGuard<'_, VecDeque<ServedProduct>> {
        self.products.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id_of(body: &[u8]) -> Uuid {
    #[derive(Deserialize)]
    struct WithId {
        id: Uuid,
    }
    let body = serde_json::from_slice::<WithId>(body);
    body.expect("the body was compared with one that has an id")
        .id
}

/// Returns a key that differs from this one in one character.
fn with_one_change(key: &str) -> String {
    let changed = fastrand::usize(..key.chars().count());
    let other = |c| if c == 'x' { 'y' } else { 'x' };
    key.chars()
        .enumerate()
        .map(|(at, c)| if at == changed { other(c) } else { c })
        .collect()
}

/// Returns the error of the contract that a response shows exactly.
fn contract_error(response: &Response<'_>) -> Option<ErrorCode> {
    let body: schema::ErrorBody<'_> = serde_json::from_slice(response.body).ok()?;
    let code = [
        ErrorCode::UpstreamUnavailable,
        ErrorCode::UpstreamTimeout,
        ErrorCode::DatabaseUnavailable,
    ]
    .into_iter()
    .find(|code| (code.status(), code.phrase()) == (response.status, &*body.error))?;
    let has_retry_after = || header(response, "retry-after").is_some();
    let is_exact = response.is_json && (code.status() != 503 || has_retry_after());
    is_exact.then_some(code)
}

/// Returns the value of a header; none if it is missing or repeated.
fn header(response: &Response<'_>, name: &str) -> Option<String> {
    let mut values = Vec::new();
    // Cannot fail: the engine has parsed the head.
    let _ = http1::head(response.head, |field, value| {
        if field.eq_ignore_ascii_case(name) {
            values.push(String::from_utf8_lossy(value).into_owned());
        }
    });
    match values.len() {
        1 => values.pop(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::contender_cycle;

    fn generator() -> Generator {
        let users = vec![random::profile(), random::profile()];
        let url = ("h:1".to_owned(), String::new());
        Generator::new(contender_cycle(), url, Secrets::bench(), users)
    }

    const PLAIN_HEAD: &str = "HTTP/1.1 200 OK\r\n\r\n";

    fn judge(generator: &Generator, request: &PlannedRequest, status: u16, body: &str) -> Outcome {
        judge_with_head(generator, request, (status, PLAIN_HEAD), body)
    }

    fn judge_with_head(
        generator: &Generator,
        request: &PlannedRequest,
        (status, head): (u16, &str),
        body: &str,
    ) -> Outcome {
        judge_sent_at(generator, request, Instant::now(), (status, head), body)
    }

    fn judge_sent_at(
        generator: &Generator,
        request: &PlannedRequest,
        sent_at: Instant,
        (status, head): (u16, &str),
        body: &str,
    ) -> Outcome {
        let response = Response {
            status,
            is_json: true,
            has_header: true,
            head: head.as_bytes(),
            body: body.as_bytes(),
            length: head.len() + body.len(),
        };
        generator.judge(request, sent_at, &Ok(response))
    }

    fn wrong(reason: &str) -> Outcome {
        Outcome::Wrong(reason.to_owned())
    }

    fn text(value: &impl serde::Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn response_for_another_user_is_wrong() {
        let generator = generator();
        let request = generator.request(Operation::Scenario(Scenario::UsersMe));
        let users = generator.users.iter();
        let outcomes: Vec<_> = users
            .map(|user| judge(&generator, &request, 200, &text(user)))
            .collect();
        assert!(outcomes.contains(&Outcome::Correct), "{outcomes:?}");
        assert!(outcomes.contains(&wrong("body: id")), "{outcomes:?}");
    }

    #[test]
    fn repeated_or_missing_id_is_wrong() {
        let generator = generator();
        let request = generator.request(Operation::Scenario(Scenario::Info));
        let body = text(&fixtures::info());
        let head = format!(
            "HTTP/1.1 200 OK\r\nX-Response-Id: {}\r\n\r\n",
            Uuid::new_v4()
        );
        let judge = |head: &str| judge_with_head(&generator, &request, (200, head), &body);
        assert_eq!(judge(&head), Outcome::Correct);
        assert_eq!(judge(&head), wrong("a repeated id"));
        assert_eq!(judge(PLAIN_HEAD), wrong("header x-response-id"));
    }

    #[test]
    fn product_is_correct_only_while_it_is_served() {
        let generator = generator();
        let request = generator.request(Operation::Scenario(Scenario::Catalog));
        let (first, second) = (random::product(), random::product());
        let judge = |product| judge(&generator, &request, 200, &text(product));
        let not_served = wrong("a product that is not served");
        assert_eq!(judge(&first), not_served);
        generator.expect_product(&first, || {});
        let sent_at = Instant::now();
        generator.expect_product(&second, || {
            for served in [&first, &second] {
                assert_eq!(judge(served), Outcome::Correct, "during the change");
            }
        });
        let head = (200, PLAIN_HEAD);
        let late = judge_sent_at(&generator, &request, sent_at, head, &text(&first));
        assert_eq!(late, Outcome::Correct, "it was served when it was sent");
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(judge(&first), not_served);
        assert_eq!(judge(&second), Outcome::Correct);
    }

    #[test]
    fn upstream_must_serve_exact_bytes_and_refuse_another_key() {
        let generator = generator();
        let refusal = ErrorCode::InvalidApiKey.body().to_json();
        let spaced = fixtures::PRODUCT_JSON.replace(':', ": ");
        let with_key = generator.request(Operation::Data);
        let wrong_key = generator.request(Operation::DataWrongKey);
        assert_ne!(with_key.bytes, wrong_key.bytes);
        assert_eq!(with_key.bytes.len(), wrong_key.bytes.len());
        for (request, status, body, outcome) in [
            (&with_key, 200, fixtures::PRODUCT_JSON, Outcome::Correct),
            (&wrong_key, 401, &refusal, Outcome::Correct),
            (&with_key, 200, &spaced, wrong("body: other bytes")),
            (&with_key, 401, &refusal, wrong("status 401")),
            (&wrong_key, 200, fixtures::PRODUCT_JSON, wrong("status 200")),
        ] {
            assert_eq!(judge(&generator, request, status, body), outcome);
        }
    }

    #[test]
    fn only_an_exact_error_is_a_contract_error() {
        const RETRY: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n";
        let generator = generator();
        let request = generator.request(Operation::Scenario(Scenario::UsersMe));
        let unavailable = ErrorCode::DatabaseUnavailable;
        let timeout = ErrorCode::UpstreamTimeout.body().to_json();
        for (status, head, body, outcome) in [
            (
                503,
                RETRY,
                &*unavailable.body().to_json(),
                Outcome::ContractError(unavailable),
            ),
            (
                503,
                PLAIN_HEAD,
                &unavailable.body().to_json(),
                Outcome::OtherError(503),
            ),
            (502, PLAIN_HEAD, &timeout, Outcome::OtherError(502)),
            (500, PLAIN_HEAD, "oops", Outcome::OtherError(500)),
            (404, PLAIN_HEAD, "{}", wrong("status 404")),
            (201, PLAIN_HEAD, "{}", wrong("status 201")),
        ] {
            let actual = judge_with_head(&generator, &request, (status, head), body);
            assert_eq!(actual, outcome);
        }
    }
}

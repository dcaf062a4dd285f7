//! Requests that no other request is like, and what a right answer to each is: an answer that is
//! lost, comes twice or belongs to somebody else is seen. An upstream answers all alike: byte for byte.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use schema::{ErrorCode, Product, Profile, fixtures, routes};
use serde::Deserialize;
use uuid::Uuid;

use super::client::{Answer, Came};
use super::route::{Round, Route};
use conformance::request::{Request, Url};
use conformance::{Secrets, random};
use load::input::{Expected, created, json};
use load::scenario::Scenario;
use testbed::token;

/// Products that have been served are right for this long after: longer than any request is waited
/// for.
const PHASES_KEPT: Duration = Duration::from_secs(60);

/// What became of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// The right answer.
    Right,
    /// An error of the contract, whole.
    Error(ErrorCode),
    /// A 5xx that is not the contract's.
    Unformed(u16),
    /// Any other answer, and what is wrong with it.
    Wrong(String),
    /// No connection was made.
    Refused,
    /// The connection ended without the answer.
    Broken,
    /// No answer came in time.
    Silent,
}

/// A request, and what a right answer to it is.
#[derive(Debug)]
pub(super) struct Question {
    route: Route,
    pub(super) bytes: Vec<u8>,
    /// The header that a right answer has.
    pub(super) header: Option<&'static str>,
    right: Right,
}

/// The body of a right answer.
#[derive(Debug)]
enum Right {
    /// JSON of this value.
    Value(Expected),
    /// What the upstream served meanwhile.
    Served,
    /// This, byte for byte.
    Exactly(String),
}

/// What requests are made of.
pub(super) struct Questions {
    round: Round,
    host: String,
    prefix: String,
    secrets: Secrets,
    /// Users that have rows.
    users: Vec<Profile>,
    phases: Mutex<VecDeque<Phase>>,
    /// Fresh ids that came so far.
    seen: Mutex<HashSet<Uuid>>,
}

/// A product, and since when and until when it was served.
#[derive(Debug)]
struct Phase {
    expected: Expected,
    until: Option<Instant>,
}

impl Questions {
    /// To the contender of this URL, whose database has rows for these users, or to an upstream.
    pub(super) fn new(
        round: Round,
        (host, prefix): (String, String),
        secrets: Secrets,
        users: Vec<Profile>,
    ) -> Self {
        let questions = Self {
            round,
            host,
            prefix,
            secrets,
            users,
            phases: Mutex::default(),
            seen: Mutex::default(),
        };
        questions.serve_the_contract_s(|| {});
        questions
    }

    /// From now on the upstream serves the contract's product: `change` makes it do so.
    pub(super) fn serve_the_contract_s(&self, change: impl FnOnce()) {
        let product = serde_json::from_str(fixtures::PRODUCT_JSON);
        self.serve(&product.expect("a fixture is a product"), change);
    }

    /// From now on the upstream serves this product: `change` makes it do so. Until it has, this one
    /// and the one before are right.
    pub(super) fn serve(&self, product: &Product<'_>, change: impl FnOnce()) {
        self.phases().push_back(Phase {
            expected: Expected::body(&json(product)),
            until: None,
        });
        change();
        let now = Instant::now();
        let mut phases = self.phases();
        let gone = phases.len() - 1;
        for phase in phases.iter_mut().take(gone) {
            phase.until.get_or_insert(now);
        }
        phases.retain(|phase| phase.until.is_none_or(|until| until + PHASES_KEPT >= now));
    }

    /// What is asked in turn.
    pub(super) fn round(&self) -> Round {
        self.round
    }

    /// A new request.
    pub(super) fn make(&self, route: Route) -> Question {
        let url = Url {
            host: self.host.clone(),
            path: format!("{}{}", self.prefix, route.path()),
        };
        let request = Request::new(route.method(), url);
        let token =
            |user: &Profile| token::sign(&random::claims_of(user), &self.secrets.jwt_secret);
        let (request, header, right) = match route {
            Route::Scenario(Scenario::Info) => {
                let expected = Expected::body(&json(&fixtures::info()));
                let header = Some(routes::RESPONSE_ID);
                (request, header, Right::Value(expected))
            }
            Route::Scenario(Scenario::Catalog) => (request, None, Right::Served),
            Route::Scenario(Scenario::Movies) => {
                let (user, movie) = (random::profile(), random::movie());
                let request = request
                    .token(&token(&user))
                    .json(random::javascript(&movie));
                let expected = Expected::body(&created(json(&movie), &user)).with_fresh_id();
                (request, None, Right::Value(expected))
            }
            Route::Scenario(Scenario::UsersMe) => {
                let user = fastrand::choice(&self.users).expect("there is the seed row's user");
                (
                    request.token(&token(user)),
                    None,
                    Right::Value(Expected::body(&json(user))),
                )
            }
            Route::Data => {
                let product = fixtures::PRODUCT_JSON.to_owned();
                let request = request.token(&self.secrets.api_key);
                (request, None, Right::Exactly(product))
            }
            Route::WrongKey => {
                let refusal = ErrorCode::InvalidApiKey.body().to_json();
                let request = request.token(&almost(&self.secrets.api_key));
                (request, None, Right::Exactly(refusal))
            }
        };
        Question {
            route,
            bytes: request.bytes(),
            header,
            right,
        }
    }

    /// What came of a question that was asked then.
    pub(super) fn judge(&self, question: &Question, asked: Instant, came: Came) -> Outcome {
        let answer = match came {
            Came::Answer(answer) => answer,
            Came::Refused => return Outcome::Refused,
            Came::Broken => return Outcome::Broken,
            Came::Nonsense(what) => return Outcome::Wrong(what.to_owned()),
        };
        if answer.status == question.route.status() {
            return match self.flaw(question, asked, &answer) {
                None => Outcome::Right,
                Some(flaw) => Outcome::Wrong(flaw),
            };
        }
        match contract_error(&answer) {
            Some(code) => Outcome::Error(code),
            None if answer.status >= 500 => Outcome::Unformed(answer.status),
            None => Outcome::Wrong(format!("status {}", answer.status)),
        }
    }

    /// What is wrong with an answer of the right status.
    fn flaw(&self, question: &Question, asked: Instant, answer: &Answer) -> Option<String> {
        #[derive(Deserialize)]
        struct Id {
            id: Uuid,
        }
        if !answer.is_json {
            return Some("content type".to_owned());
        }
        match &question.right {
            Right::Value(expected) => {
                if let Err(flaw) = expected.check(&answer.body) {
                    return Some(flaw);
                }
            }
            Right::Served => {
                let phases = self.phases();
                let mut served = phases
                    .iter()
                    .filter(|phase| phase.until.is_none_or(|until| until >= asked));
                let is_right = served.any(|phase| phase.expected.check(&answer.body).is_ok());
                return (!is_right).then(|| "a product that is not served".to_owned());
            }
            Right::Exactly(body) => {
                let is_right = answer.body == body.as_bytes();
                return (!is_right).then(|| "body: other bytes".to_owned());
            }
        }
        let fresh = match question.route {
            Route::Scenario(Scenario::Info) => {
                let header = answer.header.as_deref().unwrap_or_default();
                let Ok(id) = Uuid::parse_str(header) else {
                    return Some(format!("header {}", routes::RESPONSE_ID));
                };
                Some(id)
            }
            Route::Scenario(Scenario::Movies) => {
                let id = serde_json::from_slice::<Id>(&answer.body);
                Some(id.expect("the body was compared").id)
            }
            Route::Scenario(Scenario::Catalog | Scenario::UsersMe)
            | Route::Data
            | Route::WrongKey => None,
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = fresh.is_none_or(|id| seen.insert(id));
        (!is_fresh).then(|| "an id that came before".to_owned())
    }

    fn phases(&self) -> MutexGuard<'_, VecDeque<Phase>> {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another key than this one, which is not empty: it differs in one place.
fn almost(key: &str) -> String {
    let place = fastrand::usize(..key.chars().count());
    let other = |c| if c == 'x' { 'y' } else { 'x' };
    let changed = |(at, c)| if at == place { other(c) } else { c };
    key.chars().enumerate().map(changed).collect()
}

/// The contract's error that an answer is, if it is a whole one.
fn contract_error(answer: &Answer) -> Option<ErrorCode> {
    let codes = [
        ErrorCode::UpstreamUnavailable,
        ErrorCode::UpstreamTimeout,
        ErrorCode::DatabaseUnavailable,
    ];
    let body: schema::ErrorBody<'_> = serde_json::from_slice(&answer.body).ok()?;
    let code = codes
        .into_iter()
        .find(|code| (code.status(), code.phrase()) == (answer.status, &*body.error))?;
    let is_whole = answer.is_json && (code.status() != 503 || answer.has_retry_after);
    is_whole.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::super::route::of_contender;
    use super::*;

    fn questions() -> Questions {
        let users = vec![random::profile(), random::profile()];
        let there = ("h:1".to_owned(), String::new());
        Questions::new(of_contender(), there, Secrets::bench(), users)
    }

    fn answer(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer {
            status,
            is_json: true,
            has_retry_after: false,
            header: None,
            body: body.into(),
        }
    }

    fn judged(questions: &Questions, question: &Question, answer: Answer) -> Outcome {
        questions.judge(question, Instant::now(), Came::Answer(answer))
    }

    #[test]
    fn an_answer_to_somebody_else_is_wrong() {
        let questions = questions();
        let question = questions.make(Route::Scenario(Scenario::UsersMe));
        let outcomes = questions.users.iter().map(|user| {
            let body = serde_json::to_vec(user).unwrap();
            judged(&questions, &question, answer(200, body))
        });
        let outcomes: Vec<_> = outcomes.collect();
        assert!(outcomes.contains(&Outcome::Right), "{outcomes:?}");
        assert!(outcomes.contains(&Outcome::Wrong("body: id".to_owned())));
    }

    #[test]
    fn an_answer_that_comes_twice_is_wrong() {
        let questions = questions();
        let question = questions.make(Route::Scenario(Scenario::Info));
        let body = serde_json::to_vec(&fixtures::info()).unwrap();
        let once = |header: &str| Answer {
            header: Some(header.to_owned()),
            ..answer(200, body.clone())
        };
        let id = Uuid::new_v4().to_string();
        assert_eq!(judged(&questions, &question, once(&id)), Outcome::Right);
        let again = judged(&questions, &question, once(&id));
        assert_eq!(again, Outcome::Wrong("an id that came before".to_owned()));
        let none = judged(&questions, &question, answer(200, body.clone()));
        assert_eq!(none, Outcome::Wrong("header x-response-id".to_owned()));
    }

    #[test]
    fn a_product_is_right_while_it_is_served_and_wrong_afterwards() {
        let questions = questions();
        let question = questions.make(Route::Scenario(Scenario::Catalog));
        let (first, second) = (random::product(), random::product());
        let product = |product: &Product<'_>| answer(200, serde_json::to_vec(product).unwrap());
        let before = judged(&questions, &question, product(&first));
        assert!(matches!(before, Outcome::Wrong(_)));
        questions.serve(&first, || {});
        let asked = Instant::now();
        questions.serve(&second, || {
            for served in [&first, &second] {
                let outcome = judged(&questions, &question, product(served));
                assert_eq!(outcome, Outcome::Right, "it is being changed");
            }
        });
        let late = questions.judge(&question, asked, Came::Answer(product(&first)));
        assert_eq!(late, Outcome::Right, "it was served when it was asked for");
        std::thread::sleep(Duration::from_millis(1));
        let stale = judged(&questions, &question, product(&first));
        assert!(matches!(stale, Outcome::Wrong(_)));
        let now = judged(&questions, &question, product(&second));
        assert_eq!(now, Outcome::Right);
    }

    #[test]
    fn an_upstream_gives_the_product_byte_for_byte_and_nothing_to_who_has_another_key() {
        let questions = questions();
        let product = || answer(200, fixtures::PRODUCT_JSON);
        let refusal = || answer(401, ErrorCode::InvalidApiKey.body().to_json());
        let with_key = questions.make(Route::Data);
        let another = questions.make(Route::WrongKey);
        assert_ne!(with_key.bytes, another.bytes);
        assert_eq!(with_key.bytes.len(), another.bytes.len());
        let judged = |question, answer| judged(&questions, question, answer);
        assert_eq!(judged(&with_key, product()), Outcome::Right);
        assert_eq!(judged(&another, refusal()), Outcome::Right);
        let spaced = answer(200, fixtures::PRODUCT_JSON.replace(':', ": "));
        let wrong = |what: &str| Outcome::Wrong(what.to_owned());
        assert_eq!(judged(&with_key, spaced), wrong("body: other bytes"));
        assert_eq!(judged(&with_key, refusal()), wrong("status 401"));
        assert_eq!(judged(&another, product()), wrong("status 200"));
    }

    #[test]
    fn an_error_is_the_contract_s_only_if_it_is_whole() {
        let questions = questions();
        let question = questions.make(Route::Scenario(Scenario::UsersMe));
        let whole = Answer {
            has_retry_after: true,
            ..answer(503, ErrorCode::DatabaseUnavailable.body().to_json())
        };
        let code = Outcome::Error(ErrorCode::DatabaseUnavailable);
        assert_eq!(judged(&questions, &question, whole), code);
        for (answer, outcome) in [
            (
                answer(503, ErrorCode::DatabaseUnavailable.body().to_json()),
                Outcome::Unformed(503),
            ),
            (
                answer(502, ErrorCode::UpstreamTimeout.body().to_json()),
                Outcome::Unformed(502),
            ),
            (answer(500, "oops"), Outcome::Unformed(500)),
            (answer(404, "{}"), Outcome::Wrong("status 404".to_owned())),
            (answer(201, "{}"), Outcome::Wrong("status 201".to_owned())),
        ] {
            assert_eq!(judged(&questions, &question, answer), outcome);
        }
    }
}

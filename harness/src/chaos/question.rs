//! Requests that no other request is like, and what a right answer to each is: an answer that is
//! lost, comes twice or belongs to somebody else is seen.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use schema::{ErrorCode, Product, Profile, fixtures, routes};
use serde::Deserialize;
use uuid::Uuid;

use super::client::{Answer, Came};
use crate::bench::input::{Expected, created, json};
use crate::bench::scenario::Scenario;
use crate::check::request::{Request, Url};
use crate::check::{Secrets, random};
use crate::token;

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
    pub(super) scenario: Scenario,
    pub(super) bytes: Vec<u8>,
    /// The header that a right answer has.
    pub(super) header: Option<&'static str>,
    /// None for what the upstream served meanwhile.
    expected: Option<Expected>,
}

/// What requests are made of.
pub(super) struct Questions {
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
    /// To the contender of this URL, whose database has rows for these users.
    pub(super) fn new(host: String, prefix: String, secrets: Secrets, users: Vec<Profile>) -> Self {
        let questions = Self {
            host,
            prefix,
            secrets,
            users,
            phases: Mutex::default(),
            seen: Mutex::default(),
        };
        questions.serve_the_contract_s();
        questions
    }

    /// From now on the upstream serves the contract's product.
    pub(super) fn serve_the_contract_s(&self) {
        let product = serde_json::from_str(fixtures::PRODUCT_JSON);
        self.serve(&product.expect("a fixture is a product"));
    }

    /// From now on the upstream serves this product.
    pub(super) fn serve(&self, product: &Product<'_>) {
        let now = Instant::now();
        let mut phases = self.phases();
        while phases
            .front()
            .is_some_and(|phase| phase.until.is_some_and(|until| until + PHASES_KEPT < now))
        {
            phases.pop_front();
        }
        if let Some(last) = phases.back_mut() {
            last.until = Some(now);
        }
        phases.push_back(Phase {
            expected: Expected::body(&json(product)),
            until: None,
        });
    }

    /// A new request of a scenario.
    pub(super) fn make(&self, scenario: Scenario) -> Question {
        let url = Url {
            host: self.host.clone(),
            path: format!("{}{}", self.prefix, scenario.path()),
        };
        let request = Request::new(scenario.method(), url);
        let token =
            |user: &Profile| token::sign(&random::claims_of(user), &self.secrets.jwt_secret);
        let (request, header, expected) = match scenario {
            Scenario::Info => {
                let expected = Expected::body(&json(&fixtures::info()));
                (request, Some(routes::RESPONSE_ID), Some(expected))
            }
            Scenario::Catalog => (request, None, None),
            Scenario::Movies => {
                let (user, movie) = (random::profile(), random::movie());
                let request = request
                    .token(&token(&user))
                    .json(random::javascript(&movie));
                let expected = Expected::body(&created(json(&movie), &user)).with_fresh_id();
                (request, None, Some(expected))
            }
            Scenario::UsersMe => {
                let user = fastrand::choice(&self.users).expect("there is the seed row's user");
                (
                    request.token(&token(user)),
                    None,
                    Some(Expected::body(&json(user))),
                )
            }
        };
        Question {
            scenario,
            bytes: request.bytes(),
            header,
            expected,
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
        if answer.status == question.scenario.status() {
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
        let Some(expected) = &question.expected else {
            let phases = self.phases();
            let mut served = phases
                .iter()
                .filter(|phase| phase.until.is_none_or(|until| until >= asked));
            let is_right = served.any(|phase| phase.expected.check(&answer.body).is_ok());
            return (!is_right).then(|| "a product that is not served".to_owned());
        };
        if let Err(flaw) = expected.check(&answer.body) {
            return Some(flaw.to_owned());
        }
        let fresh = match question.scenario {
            Scenario::Info => {
                let header = answer.header.as_deref().unwrap_or_default();
                let Ok(id) = Uuid::parse_str(header) else {
                    return Some(format!("header {}", routes::RESPONSE_ID));
                };
                Some(id)
            }
            Scenario::Movies => {
                let id = serde_json::from_slice::<Id>(&answer.body);
                Some(id.expect("the body was compared").id)
            }
            Scenario::Catalog | Scenario::UsersMe => None,
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = fresh.is_none_or(|id| seen.insert(id));
        (!is_fresh).then(|| "an id that came before".to_owned())
    }

    fn phases(&self) -> MutexGuard<'_, VecDeque<Phase>> {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    use super::*;

    fn questions() -> Questions {
        let users = vec![random::profile(), random::profile()];
        Questions::new("h:1".to_owned(), String::new(), Secrets::bench(), users)
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
        let question = questions.make(Scenario::UsersMe);
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
        let question = questions.make(Scenario::Info);
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
        let question = questions.make(Scenario::Catalog);
        let (first, second) = (random::product(), random::product());
        let product = |product: &Product<'_>| answer(200, serde_json::to_vec(product).unwrap());
        let before = judged(&questions, &question, product(&first));
        assert!(matches!(before, Outcome::Wrong(_)));
        questions.serve(&first);
        let asked = Instant::now();
        questions.serve(&second);
        let late = questions.judge(&question, asked, Came::Answer(product(&first)));
        assert_eq!(late, Outcome::Right, "it was served when it was asked for");
        std::thread::sleep(Duration::from_millis(1));
        let stale = judged(&questions, &question, product(&first));
        assert!(matches!(stale, Outcome::Wrong(_)));
        let now = judged(&questions, &question, product(&second));
        assert_eq!(now, Outcome::Right);
    }

    #[test]
    fn an_error_is_the_contract_s_only_if_it_is_whole() {
        let questions = questions();
        let question = questions.make(Scenario::UsersMe);
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

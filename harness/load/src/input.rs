//! Requests, made before a run: tokens, users and bodies that no cache has seen, and what a right
//! answer to each is.

use std::net::SocketAddr;

use schema::{NewMovie, Profile, fixtures, routes};
use serde_json::{Map, Value};

use super::scenario::Scenario;
use conformance::random;
use conformance::request::{Request, Url};
pub use testbed::json::Expected;
use testbed::token;

/// One request of a scenario.
#[derive(Clone, Debug)]
pub struct Input {
    /// The bytes on the wire, as k6 would send them.
    pub bytes: Vec<u8>,
    /// Whose token it carries, if the scenario asks for one.
    pub caller: Option<Caller>,
    /// The body, if the scenario has one.
    pub body: Option<String>,
    /// The header that a right answer has, its name in lower case.
    pub header: Option<&'static str>,
    /// The body of a right answer.
    pub expected: Expected,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user's id.
    pub id: String,
    /// A token of this user.
    pub token: String,
}

/// The requests of a scenario to a contender that listens there: one for each of these users, who
/// have rows and tokens of this secret, or a single one where nothing can vary.
#[must_use]
pub fn inputs(
    scenario: Scenario,
    target: SocketAddr,
    users: &[Profile],
    secret: &str,
) -> Vec<Input> {
    made(scenario, target, users, secret, random::movie)
}

/// The one request of a scenario that k6 sends in the public harness: of the seed row's user, who
/// posts the movie of the fixtures.
#[must_use]
pub fn fixture(scenario: Scenario, target: SocketAddr, secret: &str) -> Vec<Input> {
    let users = [fixtures::profile()];
    made(scenario, target, &users, secret, fixtures::new_movie)
}

fn made(
    scenario: Scenario,
    target: SocketAddr,
    users: &[Profile],
    secret: &str,
    new_movie: impl Fn() -> NewMovie<'static>,
) -> Vec<Input> {
    let request = || {
        let url = Url {
            host: target.to_string(),
            path: scenario.path().to_owned(),
        };
        Request::new(scenario.method(), url)
    };
    let plain = |header, expected| Input {
        bytes: request().bytes(),
        caller: None,
        body: None,
        header,
        expected,
    };
    let caller = |user: &Profile| Caller {
        id: user.id.clone(),
        token: token::sign(&random::claims_of(user), secret),
    };
    match scenario {
        Scenario::Info => {
            let expected = Expected::body(&json(&fixtures::info()));
            vec![plain(Some(routes::RESPONSE_ID), expected)]
        }
        Scenario::Catalog => {
            let product = serde_json::from_str(fixtures::PRODUCT_JSON);
            let expected = Expected::body(&product.expect("a fixture is JSON"));
            vec![plain(None, expected)]
        }
        Scenario::Movies => users
            .iter()
            .map(|user| {
                let movie = new_movie();
                let caller = caller(user);
                // The headers in k6's order: sorted by name.
                let body = random::javascript(&movie);
                let request = request().token(&caller.token).json(body.clone());
                Input {
                    bytes: request.bytes(),
                    caller: Some(caller),
                    body: Some(body),
                    header: None,
                    expected: Expected::body(&created(json(&movie), user)).with_fresh_id(),
                }
            })
            .collect(),
        Scenario::UsersMe => users
            .iter()
            .map(|user| {
                let caller = caller(user);
                Input {
                    bytes: request().token(&caller.token).bytes(),
                    caller: Some(caller),
                    body: None,
                    header: None,
                    expected: Expected::body(&json(user)),
                }
            })
            .collect(),
    }
}

/// The movie with who created it.
pub fn created(movie: Value, user: &Profile) -> Value {
    let user = Map::from_iter([
        ("id".to_owned(), Value::from(user.id.clone())),
        ("name".to_owned(), Value::from(user.name.clone())),
    ]);
    let mut created = movie;
    created["user"] = Value::Object(user);
    created
}

/// A wire type as a JSON value.
pub fn json(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).expect("wire types are plain JSON")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn users() -> Vec<Profile> {
        (0..50).map(|_| random::profile()).collect()
    }

    fn of_users(scenario: Scenario, users: &[Profile]) -> Vec<Input> {
        inputs(
            scenario,
            SocketAddr::from(([127, 0, 0, 1], 8000)),
            users,
            "s",
        )
    }

    #[test]
    fn every_user_has_a_token_and_a_movie_of_its_own() {
        let inputs = of_users(Scenario::Movies, &users());
        let tokens: HashSet<_> = inputs
            .iter()
            .map(|i| &i.caller.as_ref().unwrap().token)
            .collect();
        let bodies: HashSet<_> = inputs.iter().map(|i| i.body.as_ref().unwrap()).collect();
        assert_eq!((tokens.len(), bodies.len()), (50, 50));
        for input in &inputs {
            let text = String::from_utf8(input.bytes.clone()).unwrap();
            assert!(text.starts_with("POST /movies HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"));
            assert!(text.contains(&input.caller.as_ref().unwrap().token));
            assert!(text.ends_with(input.body.as_ref().unwrap()));
        }
    }

    #[test]
    fn a_right_movie_is_the_one_that_was_sent_and_its_user() {
        let users = users();
        for (input, user) in of_users(Scenario::Movies, &users).iter().zip(&users) {
            let mut answer: Value = serde_json::from_str(input.body.as_ref().unwrap()).unwrap();
            answer["id"] = Value::from("8f14e45f-ceea-467f-a4b4-6e4c1b5ad2b0");
            answer["user"] = serde_json::json!({"id": user.id, "name": user.name});
            assert_eq!(input.expected.check(answer.to_string().as_bytes()), Ok(()));
            answer["user"]["name"] = Value::from("Ada Lovelace");
            let wrong = input.expected.check(answer.to_string().as_bytes());
            assert_eq!(wrong, Err("body: user.name".to_owned()));
        }
    }

    #[test]
    fn a_right_profile_is_the_row_of_the_token() {
        let users = users();
        let inputs = of_users(Scenario::UsersMe, &users);
        let answers = users.iter().map(|user| serde_json::to_vec(user).unwrap());
        let answers: Vec<_> = answers.collect();
        assert_eq!(inputs[3].expected.check(&answers[3]), Ok(()));
        assert_eq!(
            inputs[3].expected.check(&answers[4]),
            Err("body: id".to_owned())
        );
    }

    #[test]
    fn what_cannot_vary_is_asked_by_one_request() {
        for (scenario, line) in [
            (Scenario::Info, "GET /info HTTP/1.1\r\n"),
            (Scenario::Catalog, "GET /catalog HTTP/1.1\r\n"),
        ] {
            let inputs = of_users(scenario, &users());
            assert_eq!(inputs.len(), 1);
            assert!(inputs[0].bytes.starts_with(line.as_bytes()));
        }
        let catalog = &of_users(Scenario::Catalog, &[])[0];
        assert_eq!(
            catalog.expected.check(fixtures::PRODUCT_JSON.as_bytes()),
            Ok(())
        );
    }
}

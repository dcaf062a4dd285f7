//! Requests generated before a run, with tokens, users and bodies that no cache knows, and the
//! expected responses.

use std::net::SocketAddr;

use schema::{NewMovie, Profile, fixtures, routes};
use serde_json::{Value, json};

use crate::scenario::Scenario;
use conformance::random;
use conformance::request::{Request, Url};
pub use testbed::json::Expected;
use testbed::token;

/// One request of a scenario.
#[derive(Clone, Debug)]
pub struct Input {
    /// The bytes on the wire, as k6 would send them.
    pub bytes: Vec<u8>,
    /// The user of its token, if the scenario has one.
    pub caller: Option<Caller>,
    /// The body, if the scenario has one.
    pub body: Option<String>,
    /// The header of a right answer, its name in lower case.
    pub header: Option<&'static str>,
    /// The body of a right answer.
    pub expected: Expected,
}

/// A user with a token.
#[derive(Clone, Debug)]
pub struct Caller {
    pub id: String,
    pub token: String,
}

/// Returns the requests of a scenario: one for each of these users, who have rows, with tokens
/// signed with `secret`; a single one where nothing can vary.
#[must_use]
pub fn inputs(
    scenario: Scenario,
    target: SocketAddr,
    users: &[Profile],
    secret: &str,
) -> Vec<Input> {
    generate(scenario, target, users, secret, random::movie)
}

/// Returns the one request that k6 sends in the public harness: of the seed row's user, who posts the
/// movie of the fixtures.
pub(crate) fn fixture(scenario: Scenario, target: SocketAddr, secret: &str) -> Vec<Input> {
    let users = [fixtures::profile()];
    generate(scenario, target, &users, secret, fixtures::new_movie)
}

fn generate(
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
    let anonymous = |header, expected: &Value| Input {
        bytes: request().bytes(),
        caller: None,
        body: None,
        header,
        expected: Expected::body(expected),
    };
    let authorized = |user: &Profile, body: Option<String>, expected| {
        let token = token::sign(&random::claims_of(user), secret);
        let request = request().token(&token);
        // Headers are in k6's order: sorted by name.
        let request = match &body {
            Some(body) => request.json(body.clone()),
            None => request,
        };
        let id = user.id.clone();
        Input {
            bytes: request.bytes(),
            caller: Some(Caller { id, token }),
            body,
            header: None,
            expected,
        }
    };
    match scenario {
        Scenario::Info => {
            let expected = self::json(&fixtures::info());
            vec![anonymous(Some(routes::RESPONSE_ID), &expected)]
        }
        Scenario::Catalog => {
            let product = serde_json::from_str(fixtures::PRODUCT_JSON);
            vec![anonymous(None, &product.expect("a fixture is JSON"))]
        }
        Scenario::Movies => {
            let inputs = users.iter().map(|user| {
                let movie = new_movie();
                let expected = created(self::json(&movie), user);
                let expected = Expected::body(&expected).with_fresh_id();
                authorized(user, Some(random::javascript(&movie)), expected)
            });
            inputs.collect()
        }
        Scenario::UsersMe => {
            let inputs = users.iter();
            let inputs =
                inputs.map(|user| authorized(user, None, Expected::body(&self::json(user))));
            inputs.collect()
        }
    }
}

/// Adds its creator to a movie.
#[must_use]
pub fn created(mut movie: Value, user: &Profile) -> Value {
    movie["user"] = json!({"id": user.id, "name": user.name});
    movie
}

/// Converts a wire type to a JSON value.
#[must_use]
pub fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("wire types are plain JSON")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn of_users(scenario: Scenario, users: &[Profile]) -> Vec<Input> {
        let target = ([127, 0, 0, 1], 8000).into();
        inputs(scenario, target, users, "s")
    }

    fn users() -> Vec<Profile> {
        (0..50).map(|_| random::profile()).collect()
    }

    #[test]
    fn every_user_has_a_token_and_a_movie_of_its_own() {
        let users = users();
        let inputs = of_users(Scenario::Movies, &users);
        let callers = inputs.iter().flat_map(|input| &input.caller);
        let tokens: HashSet<_> = callers.map(|caller| &caller.token).collect();
        let bodies: HashSet<_> = inputs.iter().flat_map(|input| &input.body).collect();
        assert_eq!((tokens.len(), bodies.len()), (50, 50));
        for (input, user) in inputs.iter().zip(&users) {
            let text = String::from_utf8(input.bytes.clone()).unwrap();
            let (body, caller) = (input.body.as_ref().unwrap(), input.caller.as_ref().unwrap());
            assert!(text.starts_with("POST /movies HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"));
            assert!(text.contains(&caller.token) && text.ends_with(body));
            let mut answer: Value = serde_json::from_str(body).unwrap();
            answer["id"] = Value::from("8f14e45f-ceea-467f-a4b4-6e4c1b5ad2b0");
            answer["user"] = json!({"id": user.id, "name": user.name});
            let check = |answer: &Value| input.expected.check(answer.to_string().as_bytes());
            assert_eq!(check(&answer), Ok(()));
            answer["user"]["name"] = Value::from("Ada Lovelace");
            assert_eq!(check(&answer), Err("body: user.name".to_owned()));
        }
    }

    #[test]
    fn right_profile_is_the_row_of_the_token() {
        let users = users();
        let expected = &of_users(Scenario::UsersMe, &users)[3].expected;
        let check = |user: &Profile| expected.check(&serde_json::to_vec(user).unwrap());
        assert_eq!(check(&users[3]), Ok(()));
        assert_eq!(check(&users[4]), Err("body: id".to_owned()));
    }

    #[test]
    fn scenario_without_users_has_a_single_request() {
        for (scenario, line, body) in [
            (
                Scenario::Info,
                "GET /info HTTP/1.1\r\n",
                self::json(&fixtures::info()).to_string(),
            ),
            (
                Scenario::Catalog,
                "GET /catalog HTTP/1.1\r\n",
                fixtures::PRODUCT_JSON.to_owned(),
            ),
        ] {
            let inputs = of_users(scenario, &users());
            assert_eq!(inputs.len(), 1);
            assert!(inputs[0].bytes.starts_with(line.as_bytes()));
            assert_eq!(inputs[0].expected.check(body.as_bytes()), Ok(()));
        }
    }
}

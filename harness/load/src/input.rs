//! The requests of a load and their expected answers. Each thread of an engine composes its requests
//! while it sends them: token, body, user and order of fields differ from request to request, drawn
//! from a cryptographic generator, so that neither repeats nor can be predicted from earlier ones.

use std::borrow::Cow;
use std::ops::Range;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use schema::{Profile, UserRef, fixtures};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::scenario::Scenario;
use conformance::request::{self, Url};
use conformance::{Target, random};
pub use testbed::json::Expected;
use testbed::json::parse_uuid_v4;
use testbed::token::Signer;

/// Different requests of [`Variety::Repeated`].
const REPEATED: usize = 32;

/// Times of issue of the tokens, in seconds since the epoch: all have ten digits, and none is later
/// than k6's. Some libraries refuse one in the future.
const ISSUED_AT: Range<u32> = 1_000_000_000..1_735_689_601;

/// The requests of a load.
#[derive(Clone, Copy, Debug)]
pub struct Requests<'a> {
    pub scenario: Scenario,
    pub target: &'a Target,
    /// The users of the tokens, drawn at random; they have rows if the scenario reads them.
    pub users: &'a [Profile],
    /// Secret of the tokens.
    pub secret: &'a str,
    pub variety: Variety,
}

/// The differences between the requests of a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Variety {
    /// No two are alike, where the scenario has a token or a body.
    Unique,
    /// Unique, and this share (0 to 1) has an expired token or a broken body.
    Invalid(f64),
    /// A few that are drawn before the load, again and again.
    Repeated,
    /// The one that k6 sends in the public harness, with the user of the seed row.
    Fixture,
}

/// One request. It is filled again and again, so that nothing is allocated for the next.
#[derive(Debug, Default)]
pub struct Request {
    /// The bytes on the wire, as k6 would send them.
    pub bytes: Vec<u8>,
    /// Range of the token in `bytes`; empty if the scenario has none.
    pub token: Range<usize>,
    /// Index of the body in `bytes`, which may be empty.
    pub body: usize,
    /// Index of the token's user.
    pub user: usize,
    movie: Movie,
    pub(crate) flaw: Option<Flaw>,
}

/// The reason why a request must be refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flaw {
    ExpiredToken,
    BrokenBody,
}

/// The values of a new movie.
#[derive(Debug, Default)]
struct Movie {
    title: String,
    year: i32,
    director: String,
    genre: String,
    rating: f64,
}

/// The contract's answer to `POST /movies`, its fields in any order.
#[derive(Deserialize)]
struct Created<'a> {
    #[serde(borrow)]
    title: Cow<'a, str>,
    year: i32,
    #[serde(borrow)]
    director: Cow<'a, str>,
    #[serde(borrow)]
    genre: Cow<'a, str>,
    rating: f64,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    user: UserRef<'a>,
}

/// The request generator of one thread.
#[derive(Debug)]
pub struct Composer<'a> {
    requests: Requests<'a>,
    random: StdRng,
    /// Seeds of the repeated requests, and the index of the next.
    seeds: Vec<u64>,
    next: usize,
    signer: Signer,
    /// The first lines of every head.
    head: Vec<u8>,
    payload: Vec<u8>,
    body: Vec<u8>,
}

impl<'a> Composer<'a> {
    /// Creates the generator, seeded by the system.
    #[must_use]
    pub fn new(requests: Requests<'a>) -> Self {
        let (host, prefix) = requests.target.host_and_prefix();
        let path = prefix + requests.scenario.path();
        let method = requests.scenario.method();
        let mut head = request::Request::new(method, Url { host, path }).bytes();
        // The empty line.
        head.truncate(head.len() - 2);
        let mut random: StdRng = rand::make_rng();
        let seeds = match requests.variety {
            Variety::Repeated => (0..REPEATED).map(|_| random.random()).collect(),
            _ => Vec::new(),
        };
        Self {
            signer: Signer::new(requests.secret),
            requests,
            random,
            seeds,
            next: 0,
            head,
            payload: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Fills `request` with the next request.
    pub fn compose(&mut self, request: &mut Request) {
        if let Some(seed) = self.seeds.get(self.next) {
            self.random = StdRng::seed_from_u64(*seed);
            self.next = (self.next + 1) % self.seeds.len();
        }
        let scenario = self.requests.scenario;
        request.flaw = self.flaw();
        request.bytes.clear();
        request.bytes.extend_from_slice(&self.head);
        request.token = 0..0;
        self.body.clear();
        if scenario == Scenario::Movies {
            self.compose_body(request);
            push(&mut request.bytes, "Content-Length: ");
            push_json(&mut request.bytes, &self.body.len());
            push(&mut request.bytes, "\r\n");
        }
        if scenario.has_token() {
            self.compose_claims(request);
            push(&mut request.bytes, "Authorization: Bearer ");
            let start = request.bytes.len();
            self.signer.sign(&self.payload, &mut request.bytes);
            request.token = start..request.bytes.len();
            push(&mut request.bytes, "\r\n");
        }
        if scenario == Scenario::Movies {
            push(&mut request.bytes, "Content-Type: application/json\r\n");
        }
        push(&mut request.bytes, "\r\n");
        request.body = request.bytes.len();
        request.bytes.extend_from_slice(&self.body);
    }

    /// Draws the flaw of the next request, if it has one.
    fn flaw(&mut self) -> Option<Flaw> {
        let Variety::Invalid(share) = self.requests.variety else {
            return None;
        };
        let is_invalid = self.requests.scenario.has_token() && self.random.random_bool(share);
        let has_body = self.requests.scenario == Scenario::Movies;
        is_invalid.then(|| match has_body && self.random.random() {
            true => Flaw::BrokenBody,
            false => Flaw::ExpiredToken,
        })
    }

    /// Draws a movie and encodes it as JavaScript does: an integer has no fraction.
    fn compose_body(&mut self, request: &mut Request) {
        let movie = &mut request.movie;
        let mut order = [0, 1, 2, 3, 4];
        for text in [&mut movie.title, &mut movie.director, &mut movie.genre] {
            text.clear();
        }
        if self.requests.variety == Variety::Fixture {
            let known = fixtures::new_movie();
            movie.title.push_str(&known.title);
            movie.director.push_str(&known.director);
            movie.genre.push_str(&known.genre);
            (movie.year, movie.rating) = (known.year, known.rating);
        } else {
            order.shuffle(&mut self.random);
            for text in [&mut movie.title, &mut movie.director, &mut movie.genre] {
                random::push_text(text, self.random.random());
            }
            movie.year = self.random.random_range(1900..2030);
            movie.rating = f64::from(self.random.random_range(1_u16..1000)) / 100.0;
        }
        let body = &mut self.body;
        for (place, field) in order.into_iter().enumerate() {
            push(body, if place == 0 { "{" } else { "," });
            match field {
                0 => push_field(body, "title", &movie.title),
                1 => push_field(body, "year", &movie.year),
                2 => push_field(body, "director", &movie.director),
                3 => push_field(body, "genre", &movie.genre),
                _ if movie.rating.fract() == 0.0 => {
                    push_field(body, "rating", &(movie.rating as u32));
                }
                _ => push_field(body, "rating", &movie.rating),
            }
        }
        if request.flaw != Some(Flaw::BrokenBody) {
            push(body, "}");
        }
    }

    /// Draws a user and encodes the claims.
    fn compose_claims(&mut self, request: &mut Request) {
        let mut order = [0, 1, 2];
        let mut issued_at = ISSUED_AT.end - 1;
        request.user = 0;
        if self.requests.variety != Variety::Fixture {
            order.shuffle(&mut self.random);
            issued_at = self.random.random_range(ISSUED_AT);
            request.user = self.random.random_range(..self.requests.users.len());
        }
        let user = &self.requests.users[request.user];
        let payload = &mut self.payload;
        payload.clear();
        for (place, claim) in order.into_iter().enumerate() {
            push(payload, if place == 0 { "{" } else { "," });
            match claim {
                0 => push_field(payload, "sub", &user.id),
                1 => push_field(payload, "name", &user.name),
                _ => push_field(payload, "iat", &issued_at),
            }
        }
        if request.flaw == Some(Flaw::ExpiredToken) {
            push(payload, ",");
            push_field(payload, "exp", &(issued_at + 1));
        }
        push(payload, "}");
    }

    /// Returns true if `body` is the contract's answer to a valid request of `movies`. Answers of
    /// another form are left to [`Composer::expected`], which takes longer.
    #[must_use]
    pub(crate) fn is_created(&self, request: &Request, body: &[u8]) -> bool {
        let (movie, user) = (&request.movie, &self.requests.users[request.user]);
        serde_json::from_slice(body).is_ok_and(|created: Created<'_>| {
            created.title == movie.title
                && created.year == movie.year
                && created.director == movie.director
                && created.genre == movie.genre
                && created.rating == movie.rating
                && parse_uuid_v4(&created.id).is_some()
                && created.user.id == user.id
                && created.user.name == user.name
        })
    }

    /// Returns the answer to a valid request.
    #[must_use]
    pub fn expected(&self, request: &Request) -> Expected {
        let user = || &self.requests.users[request.user];
        match self.requests.scenario {
            Scenario::Info => Expected::body(&json(&fixtures::info())),
            Scenario::Catalog => {
                let product = serde_json::from_str(fixtures::PRODUCT_JSON);
                Expected::body(&product.expect("a fixture is JSON"))
            }
            Scenario::Movies => {
                let body = serde_json::from_slice(&request.bytes[request.body..]);
                let movie = body.expect("a valid request has a JSON body");
                Expected::body(&created(movie, user())).with_fresh_id()
            }
            Scenario::UsersMe => Expected::body(&json(user())),
        }
    }
}

fn push(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(text.as_bytes());
}

fn push_json<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(bytes, value).expect("strings and numbers are plain JSON");
}

fn push_field<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, name: &str, value: &T) {
    push(bytes, "\"");
    push(bytes, name);
    push(bytes, "\":");
    push_json(bytes, value);
}

/// Adds its creator to a movie.
#[must_use]
pub fn created(mut movie: Value, user: &Profile) -> Value {
    movie["user"] = json!({"id": user.id, "name": user.name});
    movie
}

/// Converts a wire type to a JSON value.
#[must_use]
pub fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("wire types are plain JSON")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn users() -> Vec<Profile> {
        (0..50).map(|_| random::profile()).collect()
    }

    /// Composes so many requests and calls `each` with them as text.
    fn composed(
        scenario: Scenario,
        variety: Variety,
        count: usize,
        mut each: impl FnMut(&Composer<'_>, &Request, &str),
    ) {
        let target = Target::local(([127, 0, 0, 1], 8000).into());
        let users = match variety {
            Variety::Fixture => vec![fixtures::profile()],
            _ => users(),
        };
        let mut composer = Composer::new(Requests {
            scenario,
            target: &target,
            users: &users,
            secret: "secret",
            variety,
        });
        let mut request = Request::default();
        for _ in 0..count {
            composer.compose(&mut request);
            let text = String::from_utf8(request.bytes.clone()).unwrap();
            each(&composer, &request, &text);
        }
    }

    #[test]
    fn no_token_and_no_body_of_a_load_is_sent_twice() {
        let (mut tokens, mut bodies, mut orders) = Default::default();
        let distinct: (&mut HashSet<_>, &mut HashSet<_>, &mut HashSet<_>) =
            (&mut tokens, &mut bodies, &mut orders);
        composed(
            Scenario::Movies,
            Variety::Unique,
            1000,
            |_, request, text| {
                assert!(text.starts_with("POST /movies HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"));
                let body = &text[request.body..];
                assert!(text.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
                distinct.0.insert(text[request.token.clone()].to_owned());
                distinct.1.insert(body.to_owned());
                distinct
                    .2
                    .insert(testbed::json::field_order(body.as_bytes()).unwrap());
            },
        );
        assert_eq!((tokens.len(), bodies.len()), (1000, 1000));
        assert!(orders.len() > 60, "{} of 120 orders", orders.len());
    }

    #[test]
    fn token_is_valid_and_right_profile_is_the_row_of_its_user() {
        let each = |composer: &Composer<'_>, request: &Request, text: &str| {
            let (signed, signature) = text[request.token.clone()].rsplit_once('.').unwrap();
            let algorithm = testbed::token::Algorithm::HS256;
            let expected = testbed::token::signature(signed, algorithm, "secret");
            assert_eq!(signature, expected);
            let mut user = json(&composer.requests.users[request.user]);
            let check = |user: &Value| {
                composer
                    .expected(request)
                    .check(user.to_string().as_bytes())
            };
            assert_eq!(check(&user), Ok(()));
            user["city"] = "elsewhere".into();
            assert_eq!(check(&user), Err("body: city".to_owned()));
        };
        composed(Scenario::UsersMe, Variety::Unique, 10, each);
    }
}

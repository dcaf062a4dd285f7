//! `POST /movies`: a token is verified, a body decoded, a movie made of both.

use schema::{Claims, NewMovie, fixtures};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::client::{CONNECTIONS, Exchange};
use super::super::verdict::{Failure, Verdict};
use super::super::{Check, Level, Subject, random};
use super::{fresh, in_order, random as bits_are_random, uuid_v4, value};

const SOURCE: &str = "docs/CONTRACT.md#endpoints-of-the-target";
const SOURCE_OF_ID: &str = "docs/CONTRACT.md#endpoints-of-the-target; RFC 9562, 5.4";

/// Requests on each connection when all are at once.
const REQUESTS_EACH: usize = 3;

/// Random movies of one check, more than any warm-up of a service that is right at first only.
const MOVIES: usize = 150;

pub(super) fn checks() -> Vec<Check> {
    use Level::{Strict, Work};
    vec![
        Check::new(
            "movies/echo",
            Work,
            "Random movies come back as they were sent, of any script and with any ordinary number, and k6's own among them.",
            SOURCE,
            echo,
        ),
        Check::new(
            "movies/integer-rating",
            Work,
            "An integer is a valid rating: k6 sends `8`, because JavaScript drops the `.0`.",
            SOURCE,
            |subject| {
                let movie = json!({"title": random::text(), "year": 2017, "director": "a", "genre": "b", "rating": 8});
                let claims = random::claims();
                let exchange = subject.ask(subject.post_movie(&claims, movie.to_string()))?;
                Ok(is_movie(&exchange, &movie, &claims)?)
            },
        ),
        Check::new(
            "movies/decodes",
            Work,
            "The body is decoded and encoded: white space, escapes and another order of its fields do not come back as they were sent.",
            "docs/CONTRACT.md#endpoints-of-the-target; RFC 8259, 7",
            decodes,
        ),
        Check::new(
            "movies/user",
            Work,
            "`user` is the token's, on every request: another user on the same connection gets an answer of its own.",
            "docs/CONTRACT.md#authentication",
            user,
        ),
        Check::new(
            "movies/fresh-ids",
            Work,
            "`id` is another on each of thousands of requests with one body.",
            SOURCE_OF_ID,
            |subject| Ok(fresh(&ids(subject)?, "POST /movies")?),
        ),
        Check::new(
            "movies/random-ids",
            Work,
            "The ids are UUIDs v4 of random bits: a counter in their form is no work.",
            SOURCE_OF_ID,
            |subject| Ok(bits_are_random(&ids(subject)?, "POST /movies")?),
        ),
        Check::new(
            "movies/at-once",
            Work,
            "On 100 connections at once, each with its own user and movies, no answer is another's.",
            SOURCE,
            at_once,
        ),
        Check::new(
            "movies/field-order",
            Strict,
            "The fields come in the contract's order, in whatever order they were sent.",
            SOURCE,
            |subject| {
                let body = r#"{"rating":1.5,"genre":"a","director":"b","year":1,"title":"c"}"#;
                let exchange = subject.ask(subject.post_movie(&random::claims(), body))?;
                exchange.has_status(201)?;
                let order = [
                    "title",
                    "year",
                    "director",
                    "genre",
                    "rating",
                    "id",
                    "user",
                    "user.id",
                    "user.name",
                ];
                Ok(in_order(&exchange, &order)?)
            },
        ),
        Check::new(
            "movies/content-type",
            Strict,
            "The content type is `application/json`.",
            SOURCE,
            |subject| Ok(subject.ask(subject.post_k6_movie())?.is_json_typed()?),
        ),
    ]
}

/// Fails unless the answer is this movie of this user, with a UUID v4.
pub(super) fn is_movie(exchange: &Exchange, movie: &Value, claims: &Claims) -> Result<(), Failure> {
    exchange.has_status(201)?;
    let id = exchange.field("/id")?;
    let mut expected = movie.clone();
    expected["user"] = json!({"id": claims.sub, "name": claims.name});
    expected["id"] = id.clone();
    exchange.is(201, &expected)?;
    uuid_v4(id.as_str().unwrap_or_default(), exchange).map(drop)
}

fn echo(subject: &Subject) -> Verdict {
    let mut conversation = subject.client.conversation();
    let claims = random::claims();
    for count in 0..MOVIES {
        // Every other time k6's user and body, with another rating.
        let (claims, movie) = match count % 2 {
            0 => (claims.clone(), random::movie()),
            _ => (
                fixtures::claims(),
                NewMovie {
                    rating: random::movie().rating,
                    ..fixtures::new_movie()
                },
            ),
        };
        let body = random::javascript(&movie);
        let exchange = conversation.ask(subject.post_movie(&claims, body))?;
        is_movie(&exchange, &value(&movie), &claims)?;
    }
    Ok(())
}

fn decodes(subject: &Subject) -> Verdict {
    let claims = random::claims();
    let mark = random::text();
    // \u0041 is "A": no encoder writes it so.
    let body = format!(
        "{{\n  \"rating\" : 7.25 ,\n  \"genre\":\"\\u0041\\u0062\\/c\",\"year\":\t1999,\"title\": {},\"director\":\"\\ud83c\\udfac\"\r\n}} ",
        Value::from(mark.clone())
    );
    let movie =
        json!({"title": mark, "year": 1999, "director": "🎬", "genre": "Ab/c", "rating": 7.25});
    let exchange = subject.ask(subject.post_movie(&claims, body))?;
    is_movie(&exchange, &movie, &claims)?;
    let text = exchange.answer.text();
    if text.contains("\\u0041") || text.contains("7.25 ,") {
        return Err(exchange
            .failure("a movie that was decoded and encoded, not the body's own bytes")
            .into());
    }
    Ok(())
}

fn user(subject: &Subject) -> Verdict {
    let mut conversation = subject.client.conversation();
    let users: Vec<_> = (0..5)
        .map(|_| random::claims())
        .chain([fixtures::claims()])
        .collect();
    let movie = fixtures::new_movie();
    let body = random::javascript(&movie);
    for claims in users.iter().chain(&users).chain(users.iter().rev()) {
        let exchange = conversation.ask(subject.post_movie(claims, body.clone()))?;
        is_movie(&exchange, &value(&movie), claims)?;
    }
    Ok(())
}

fn ids(subject: &Subject) -> Result<Vec<Uuid>, Failure> {
    let request = subject.post_k6_movie();
    let lists = vec![vec![request; subject.burst()]; CONNECTIONS];
    let answers = subject.client.at_once(lists).into_iter().flatten();
    answers
        .map(|exchange| {
            let exchange = exchange?;
            exchange.has_status(201)?;
            let id = exchange.field("/id")?;
            uuid_v4(id.as_str().unwrap_or_default(), &exchange)
        })
        .collect()
}

fn at_once(subject: &Subject) -> Verdict {
    let sent: Vec<Vec<_>> = (0..CONNECTIONS)
        .map(|_| {
            let claims = random::claims();
            (0..subject.each(REQUESTS_EACH))
                .map(|_| (claims.clone(), random::movie()))
                .collect()
        })
        .collect();
    let post = |(claims, movie): &(Claims, NewMovie<'_>)| {
        subject.post_movie(claims, random::javascript(movie))
    };
    let lists = sent
        .iter()
        .map(|list| list.iter().map(post).collect())
        .collect();
    let answers = subject.client.at_once(lists);
    for (exchange, (claims, movie)) in answers.into_iter().flatten().zip(sent.iter().flatten()) {
        is_movie(&exchange?, &value(movie), claims)?;
    }
    Ok(())
}

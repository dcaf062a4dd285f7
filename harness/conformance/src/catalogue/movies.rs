//! `POST /movies`: a token is verified, a body decoded, a movie made of both.

use schema::{Claims, NewMovie, fixtures};
use serde_json::{Value, json};
use testbed::json::{ANY_UUID_V4, parse_uuid_v4};
use uuid::Uuid;

use super::{AUTHENTICATION, ENDPOINTS, Group, are_different, are_random, value};
use crate::client::{CONNECTIONS, Exchange};
use crate::verdict::Verdict;
use crate::{Check, Subject, random};

/// Requests per connection when all connections send at once.
const REQUESTS_EACH: usize = 3;

/// Random movies of one check: more than the warm-up of a service that works only at first.
const MOVIES: usize = 150;

pub(super) fn checks() -> Vec<Check> {
    let (work, strict) = (Group::work(ENDPOINTS), Group::strict(ENDPOINTS));
    let of_id = work.source("docs/CONTRACT.md#endpoints-of-the-target; RFC 9562, 5.4");
    vec![
        work.check(
            "movies/echo",
            "Random movies, of any script and with any ordinary number, and k6's own among them come back as they were sent.",
            echo,
        ),
        work.check(
            "movies/integer-rating",
            "An integer is a valid rating: k6 sends `8`, because JavaScript drops the `.0`.",
            |subject| {
                let movie = json!({
                    "title": random::text(), "year": 2017, "director": "a", "genre": "b", "rating": 8,
                });
                let claims = random::claims();
                let exchange = subject.send(subject.post_movie(&claims, movie.to_string()))?;
                is_movie(&exchange, &movie, &claims)
            },
        ),
        work.source("docs/CONTRACT.md#endpoints-of-the-target; RFC 8259, 7").check(
            "movies/decodes",
            "The body is decoded and encoded: its white space, escapes and order of fields do not come back.",
            decodes,
        ),
        work.source(AUTHENTICATION).check(
            "movies/user",
            "`user` is the token's on every request: another user on the same connection gets another response.",
            user,
        ),
        of_id.check(
            "movies/fresh-ids",
            "`id` differs in each of thousands of responses to one body.",
            |subject| are_different(&ids(subject)?, "POST /movies"),
        ),
        of_id.check(
            "movies/random-ids",
            "The ids are UUIDs v4 of random bits, not a counter in the form of one.",
            |subject| are_random(&ids(subject)?, "POST /movies"),
        ),
        work.check(
            "movies/at-once",
            "On 100 connections at once, each with its own user and movies, every response belongs to its request.",
            at_once,
        ),
        strict.check(
            "movies/field-order",
            "The fields come in the contract's order, whatever the order of the request.",
            |subject| {
                let body = r#"{"rating":1.5,"genre":"a","director":"b","year":1,"title":"c"}"#;
                let exchange = subject.send(subject.post_movie(&random::claims(), body))?;
                let order = "title year director genre rating id user user.id user.name";
                exchange.has_status(201)?.has_fields_in_order(order)
            },
        ),
        strict.check(
            "movies/content-type",
            "The content type is `application/json`.",
            |subject| subject.send(subject.post_k6_movie())?.is_json_typed(),
        ),
    ]
}

/// Fails unless the response is this movie of this user, with a UUID v4.
pub(super) fn is_movie(exchange: &Exchange, movie: &Value, claims: &Claims) -> Verdict {
    let mut expected = movie.clone();
    expected["user"] = json!({"id": claims.sub, "name": claims.name});
    expected["id"] = ANY_UUID_V4.into();
    exchange.is(201, &expected)
}

fn echo(subject: &Subject) -> Verdict {
    let mut connection = subject.client.connection();
    let claims = random::claims();
    for count in 0..MOVIES {
        // Every second movie and its user are k6's, with another rating.
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
        let exchange = connection.send(subject.post_movie(&claims, body))?;
        is_movie(&exchange, &value(&movie), &claims)?;
    }
    Ok(())
}

fn decodes(subject: &Subject) -> Verdict {
    let claims = random::claims();
    let title = random::text();
    // \u0041 is "A": no encoder writes it so.
    let body = format!(
        "{{\n  \"rating\" : 7.25 ,\n  \"genre\":\"\\u0041\\u0062\\/c\",\"year\":\t1999,\
         \"title\": {},\"director\":\"\\ud83c\\udfac\"\r\n}} ",
        Value::from(title.clone())
    );
    let movie =
        json!({"title": title, "year": 1999, "director": "🎬", "genre": "Ab/c", "rating": 7.25});
    let exchange = subject.send(subject.post_movie(&claims, body))?;
    is_movie(&exchange, &movie, &claims)?;
    let text = exchange.answer.text();
    match text.contains("\\u0041") || text.contains("7.25 ,") {
        true => exchange.fail("a movie that was decoded and encoded, not the body's own bytes"),
        false => Ok(()),
    }
}

fn user(subject: &Subject) -> Verdict {
    let mut connection = subject.client.connection();
    let users = (0..5).map(|_| random::claims()).chain([fixtures::claims()]);
    let users: Vec<_> = users.collect();
    let movie = fixtures::new_movie();
    let body = random::javascript(&movie);
    for claims in users.iter().chain(&users).chain(users.iter().rev()) {
        let exchange = connection.send(subject.post_movie(claims, body.clone()))?;
        is_movie(&exchange, &value(&movie), claims)?;
    }
    Ok(())
}

fn ids(subject: &Subject) -> Verdict<Vec<Uuid>> {
    let ids = subject.movies_burst()?.iter().map(|exchange| {
        let id = exchange.has_status(201)?.field("/id")?;
        match id.as_str().and_then(parse_uuid_v4) {
            Some(id) => Ok(id),
            None => exchange.fail(format!("a UUID v4, but the id is {id}")),
        }
    });
    ids.collect()
}

fn at_once(subject: &Subject) -> Verdict {
    let each = REQUESTS_EACH.min(subject.burst());
    let sent: Vec<Vec<_>> = (0..CONNECTIONS)
        .map(|_| {
            let claims = random::claims();
            let movies = (0..each).map(|_| (claims.clone(), random::movie()));
            movies.collect()
        })
        .collect();
    let post = |(claims, movie): &(Claims, NewMovie<'_>)| {
        subject.post_movie(claims, random::javascript(movie))
    };
    let lists = sent.iter().map(|list| list.iter().map(post).collect());
    let exchanges = subject.client.send_at_once(lists.collect()).into_iter();
    for (exchange, (claims, movie)) in exchanges.flatten().zip(sent.iter().flatten()) {
        is_movie(&exchange?, &value(movie), claims)?;
    }
    Ok(())
}

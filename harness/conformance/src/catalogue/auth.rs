//! Tokens: who is let in, who is not, and how the refusal looks. Every case is asked of both
//! endpoints that want a token.

mod bad;
mod good;

use std::collections::BTreeSet;

use schema::{Claims, ErrorCode, Profile, fixtures, routes};

use super::super::client::Exchange;
use super::super::request::Request;
use super::super::verdict::{Failure, Verdict, ensure};
use super::super::{Check, Level, Subject, random};
use super::{movies, value};

/// An endpoint that wants a token.
#[derive(Clone, Copy)]
enum Endpoint {
    Movies,
    UsersMe,
}

impl Endpoint {
    const ALL: [Self; 2] = [Self::Movies, Self::UsersMe];

    fn name(self) -> &'static str {
        match self {
            Self::Movies => "movies",
            Self::UsersMe => "users-me",
        }
    }

    fn line(self) -> &'static str {
        match self {
            Self::Movies => "`POST /movies`",
            Self::UsersMe => "`GET /users/me`",
        }
    }

    /// A right request but for these `Authorization` headers.
    fn request(self, subject: &Subject, headers: &[String]) -> Request {
        let request = match self {
            Self::Movies => subject.client.request("POST", routes::MOVIES),
            Self::UsersMe => subject.get(routes::USERS_ME),
        };
        let request = headers.iter().fold(request, |request, value| {
            request.header("Authorization", value)
        });
        match self {
            Self::Movies => request.json(random::k6_movie()),
            Self::UsersMe => request,
        }
    }

    /// Sends it, while no other check counts what it causes.
    fn ask(self, subject: &Subject, headers: &[String]) -> Result<Exchange, Failure> {
        let _turn = match self {
            Self::Movies => None,
            Self::UsersMe => subject.database_if_any(),
        };
        subject.ask(self.request(subject, headers))
    }
}

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for endpoint in Endpoint::ALL {
        for case in bad::cases().filter(|case| case.work) {
            checks.push(refuses(endpoint, &case));
        }
        for case in bad::cases() {
            checks.push(is_401(endpoint, &case));
        }
        for case in good::cases() {
            checks.push(accepts(endpoint, case));
        }
    }
    checks.push(Check::new(
        "movies/401-before-body",
        Level::Strict,
        "The token is checked before the body is read: a bad token is 401 whatever the body is, and even if it never comes.",
        "docs/CONTRACT.md#authentication",
        before_body,
    ));
    checks
}

/// `work`: who is not let in gets no answer of a success.
fn refuses(endpoint: Endpoint, case: &bad::Case) -> Check {
    let make = case.make;
    let check = Check::new(
        format!("{}/refuses-{}", endpoint.name(), case.name),
        Level::Work,
        format!(
            "{} is refused {}, whatever the status.",
            endpoint.line(),
            case.what
        ),
        case.source,
        move |subject| {
            for headers in make(&bad::Signer::of(subject)) {
                let exchange = endpoint.ask(subject, &headers)?;
                if exchange.answer.status < 400 {
                    return Err(exchange.failure("a refusal, status 400 or more").into());
                }
            }
            Ok(())
        },
    );
    // The field's rules ask for no `exp`: who says that it is not looked at is believed.
    match case.name {
        bad::EXPIRED => check.declarable(),
        _ => check,
    }
}

/// `strict`: the refusal is the contract's.
fn is_401(endpoint: Endpoint, case: &bad::Case) -> Check {
    let make = case.make;
    Check::new(
        format!("{}/401-{}", endpoint.name(), case.name),
        Level::Strict,
        format!(
            "{} {} is 401 with `WWW-Authenticate: Bearer`.",
            endpoint.line(),
            case.what
        ),
        case.source,
        move |subject| {
            for headers in make(&bad::Signer::of(subject)) {
                endpoint
                    .ask(subject, &headers)?
                    .is_error(ErrorCode::InvalidToken)?;
            }
            Ok(())
        },
    )
}

/// `strict`: who is let in is not turned away.
fn accepts(endpoint: Endpoint, case: good::Case) -> Check {
    let check = Check::new(
        format!("{}/accepts-{}", endpoint.name(), case.name),
        Level::Strict,
        format!("{} accepts {}.", endpoint.line(), case.what),
        case.source,
        move |subject| {
            let sent = (case.make)(&bad::Signer::of(subject));
            match endpoint {
                Endpoint::Movies => sent
                    .iter()
                    .try_for_each(|sent| makes_a_movie(subject, sent)),
                Endpoint::UsersMe => are_users(subject, &sent),
            }
        },
    );
    match endpoint {
        Endpoint::Movies => check,
        Endpoint::UsersMe => check.needs(&[super::super::Side::Database]),
    }
}

fn makes_a_movie(subject: &Subject, sent: &good::Sent) -> Verdict {
    let claims = Claims {
        sub: sent.sub.clone(),
        name: sent.name.clone(),
        ..fixtures::claims()
    };
    let exchange = Endpoint::Movies.ask(subject, std::slice::from_ref(&sent.header))?;
    Ok(movies::is_movie(
        &exchange,
        &value(&fixtures::new_movie()),
        &claims,
    )?)
}

/// Several tokens may be one user's. All rows at once: to log in takes longer than to ask.
fn are_users(subject: &Subject, all: &[good::Sent]) -> Verdict {
    let turn = subject.database()?;
    let ids: BTreeSet<_> = all.iter().map(|sent| sent.sub.clone()).collect();
    let profiles: Vec<_> = ids
        .into_iter()
        .map(|id| Profile {
            id,
            ..random::profile()
        })
        .collect();
    let _rows = turn.insert(&profiles)?;
    for profile in &profiles {
        for sent in all.iter().filter(|sent| sent.sub == profile.id) {
            let headers = std::slice::from_ref(&sent.header);
            let exchange = subject.ask(Endpoint::UsersMe.request(subject, headers))?;
            exchange.is(200, &value(profile))?;
        }
    }
    Ok(())
}

fn before_body(subject: &Subject) -> Verdict {
    let post = || {
        let request = subject.client.request("POST", routes::MOVIES);
        request.token("no-token")
    };
    let requests = [
        post().json("{"),
        post().body("no JSON"),
        post().json(vec![b' '; 70_000]),
        post().json("{}").withheld(),
    ];
    for request in requests {
        subject.ask(request)?.is_error(ErrorCode::InvalidToken)?;
    }
    let good = subject.ask(subject.post_k6_movie())?;
    Ok(ensure(
        good.answer.status == 201,
        "201 for a good token afterwards",
        good.came(),
    )?)
}

//! Tokens that are refused or accepted. Every case is checked at both endpoints that require one.

mod bad;
mod good;
mod signer;
mod time;

use std::collections::BTreeSet;

use schema::{Claims, ErrorCode, Profile, fixtures, routes};

use self::signer::{Bearer, Headers, Signer};
use super::{AUTHENTICATION, Group, movies, value};
use crate::client::Exchange;
use crate::database::Guard;
use crate::request::Request;
use crate::verdict::{Verdict, ensure};
use crate::{Check, Dependency, Subject, random};

/// An endpoint that requires a token.
#[derive(Clone, Copy)]
enum Endpoint {
    Movies,
    UsersMe,
}

impl Endpoint {
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

    /// Creates a valid request but for these `Authorization` headers.
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

    /// Keeps other checks from counting the scan of a request among theirs.
    fn guard(self, subject: &Subject) -> Option<Guard<'_>> {
        match self {
            Self::Movies => None,
            Self::UsersMe => subject.database_if_any(),
        }
    }

    fn send(self, subject: &Subject, headers: &[String]) -> Verdict<Exchange> {
        let _guard = self.guard(subject);
        subject.send(self.request(subject, headers))
    }
}

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for endpoint in [Endpoint::Movies, Endpoint::UsersMe] {
        for case in bad::cases().into_iter().filter(|case| case.is_work) {
            checks.push(refuses(endpoint, case));
        }
        checks.extend(time::checks(endpoint));
        checks.extend(bad::cases().into_iter().map(|case| is_401(endpoint, case)));
        checks.extend(
            good::cases()
                .into_iter()
                .map(|case| accepts(endpoint, case)),
        );
    }
    checks.push(Group::strict(AUTHENTICATION).check(
        "movies/401-before-body",
        "The token is verified before the body is read: a bad token is 401 whatever the body, even if it never comes.",
        before_body,
    ));
    checks
}

/// Creates a check of level `work`: a bad token gets no successful response.
fn refuses(endpoint: Endpoint, case: bad::Case) -> Check {
    let description = format!(
        "{} {} is refused with any status.",
        endpoint.line(),
        case.token
    );
    // The rules of the public field do not ask for `exp`: a contender may declare that it is ignored.
    let declarable = case.name == bad::EXPIRED;
    let check = Group::work(case.source).check(
        format!("{}/refuses-{}", endpoint.name(), case.name),
        description,
        move |subject| {
            send_all(endpoint, subject, &case, |exchange| {
                match exchange.answer.status {
                    400.. => Ok(()),
                    _ => exchange.fail("a refusal, status 400 or more"),
                }
            })
        },
    );
    Check {
        declarable,
        ..check
    }
}

/// Creates a check of level `strict`: the refusal is the contract's.
fn is_401(endpoint: Endpoint, case: bad::Case) -> Check {
    let description = format!(
        "{} {} is 401 with `WWW-Authenticate: Bearer`.",
        endpoint.line(),
        case.token
    );
    Group::strict(case.source).check(
        format!("{}/401-{}", endpoint.name(), case.name),
        description,
        move |subject| {
            send_all(endpoint, subject, &case, |exchange| {
                exchange.is_error(ErrorCode::InvalidToken)
            })
        },
    )
}

fn send_all(
    endpoint: Endpoint,
    subject: &Subject,
    case: &bad::Case,
    expect: impl Fn(&Exchange) -> Verdict,
) -> Verdict {
    let requests: Vec<Headers> = (case.headers)(&Signer::of(subject));
    let mut requests = requests.iter();
    requests.try_for_each(|headers| expect(&endpoint.send(subject, headers)?))
}

/// Creates a check of level `strict`: a good token is not refused.
fn accepts(endpoint: Endpoint, case: good::Case) -> Check {
    let group = Group::strict(case.source);
    let group = match endpoint {
        Endpoint::Movies => group,
        Endpoint::UsersMe => group.needs(&[Dependency::Database]),
    };
    group.check(
        format!("{}/accepts-{}", endpoint.name(), case.name),
        format!("{} accepts {}.", endpoint.line(), case.token),
        move |subject| {
            let bearers = (case.bearers)(&Signer::of(subject));
            match endpoint {
                Endpoint::Movies => bearers
                    .iter()
                    .try_for_each(|bearer| creates_a_movie(subject, bearer)),
                Endpoint::UsersMe => are_users(subject, &bearers),
            }
        },
    )
}

fn creates_a_movie(subject: &Subject, bearer: &Bearer) -> Verdict {
    let claims = Claims {
        sub: bearer.sub.clone(),
        name: bearer.name.clone(),
        ..fixtures::claims()
    };
    let headers = std::slice::from_ref(&bearer.header);
    let exchange = Endpoint::Movies.send(subject, headers)?;
    movies::is_movie(&exchange, &value(&fixtures::new_movie()), &claims)
}

/// Inserts all users at once, as connecting takes longer than a query. Tokens may share a user.
fn are_users(subject: &Subject, bearers: &[Bearer]) -> Verdict {
    let database = subject.database()?;
    let ids: BTreeSet<_> = bearers.iter().map(|bearer| bearer.sub.clone()).collect();
    let profiles = ids.into_iter().map(|id| Profile {
        id,
        ..random::profile()
    });
    let profiles: Vec<_> = profiles.collect();
    let _rows = database.insert(&profiles)?;
    for profile in &profiles {
        for bearer in bearers.iter().filter(|bearer| bearer.sub == profile.id) {
            let headers = std::slice::from_ref(&bearer.header);
            let exchange = subject.send(Endpoint::UsersMe.request(subject, headers))?;
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
        subject.send(request)?.is_error(ErrorCode::InvalidToken)?;
    }
    let good = subject.send(subject.post_k6_movie())?;
    let expected = "201 for a good token afterwards";
    ensure(good.answer.status == 201, expected, good.actual())
}

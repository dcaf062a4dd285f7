//! What HTTP and the contract ask of every path: methods, heads, clients of any kind.

use schema::{ErrorCode, fixtures, routes};

use super::super::client::Exchange;
use super::super::request::Request;
use super::super::verdict::{Failure, Verdict};
use super::super::{Check, Level, Subject, random};
use super::{info, movies, value};

const ERRORS: &str = "docs/CONTRACT.md#errors-of-the-target";

/// What other clients call themselves; another version of k6 among them.
const USER_AGENTS: [&str; 5] = [
    "curl/8.5.0",
    "Grafana k6/2.0.0",
    "oha/1.4.5",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "Go-http-client/1.1",
];

/// Longer than the longest head that the suite's server takes.
const LONG_HEAD_BYTES: usize = 20 * 1024;

pub(super) fn checks() -> Vec<Check> {
    use Level::{Strict, Work};
    let mut checks = vec![
        Check::new(
            "http/any-client",
            Work,
            "The four endpoints answer any client alike: another name, another order of its headers, headers of its own.",
            "docs/CONTRACT.md#endpoints-of-the-target; RFC 9110, 10.1.5",
            any_client,
        ),
        Check::new(
            "http/404",
            Strict,
            "An unknown path is 404.",
            ERRORS,
            |subject| {
                for path in [
                    "/no-such-path",
                    "/",
                    "/info/",
                    "/movies/1",
                    "/users",
                    "/INFO",
                ] {
                    subject
                        .ask(subject.get(path))?
                        .is_error(ErrorCode::NotFound)?;
                }
                Ok(())
            },
        ),
        Check::new(
            "http/431-long-head",
            Strict,
            "A head of more than 16 KiB is 431, and the next connection is served.",
            "docs/CONTRACT.md#errors-of-the-target; RFC 6585, 5",
            |subject| {
                let long = subject
                    .get(routes::INFO)
                    .header("X-Long", "x".repeat(LONG_HEAD_BYTES));
                subject.ask(long)?.has_status(431)?;
                subject.ask(subject.get(routes::INFO))?.has_status(200)?;
                Ok(())
            },
        ),
        Check::new(
            "http/400-not-http",
            Strict,
            "What is not HTTP/1.1 is 400, and the next connection is served.",
            "docs/CONTRACT.md#errors-of-the-target; RFC 9112, 2.2",
            |subject| {
                for bytes in [
                    "\0\0\0\0\r\n\r\n",
                    "GET /info\r\n\r\n",
                    "GET /info HTTP/1.1\r\nno colon\r\n\r\n",
                ] {
                    let request = subject.get("/").raw(bytes.into());
                    subject.ask(request)?.has_status(400)?;
                }
                subject.ask(subject.get(routes::INFO))?.has_status(200)?;
                Ok(())
            },
        ),
    ];
    for (endpoint, path, allowed) in [
        ("info", routes::INFO, "GET"),
        ("movies", routes::MOVIES, "POST"),
        ("catalog", routes::CATALOG, "GET"),
        ("users-me", routes::USERS_ME, "GET"),
    ] {
        checks.push(Check::new(
            format!("{endpoint}/405"),
            Strict,
            format!("Another method than {allowed} is 405, and `Allow` names {allowed}."),
            "docs/CONTRACT.md#errors-of-the-target; RFC 9110, 15.5.6",
            move |subject| method_not_allowed(subject, path, allowed),
        ));
    }
    checks.push(Check::new(
        "info/head",
        Strict,
        "`HEAD` works where `GET` does: the same head, no body.",
        "docs/CONTRACT.md#endpoints-of-the-target; RFC 9110, 9.3.2",
        |subject| {
            head(
                subject,
                subject.get(routes::INFO),
                subject.client.request("HEAD", routes::INFO),
            )
        },
    ));
    checks.push(Check::new(
        "catalog/head",
        Strict,
        "`HEAD` works where `GET` does: the same head, no body.",
        "docs/CONTRACT.md#endpoints-of-the-target; RFC 9110, 9.3.2",
        |subject| {
            let _turn = subject.upstream_if_any();
            head(
                subject,
                subject.get(routes::CATALOG),
                subject.client.request("HEAD", routes::CATALOG),
            )
        },
    ));
    checks.push(Check::new(
        "users-me/head",
        Strict,
        "`HEAD` works where `GET` does: the same head, no body.",
        "docs/CONTRACT.md#endpoints-of-the-target; RFC 9110, 9.3.2",
        |subject| {
            let _turn = subject.database_if_any();
            let claims = fixtures::claims();
            let head_of_me = subject.client.request("HEAD", routes::USERS_ME);
            head(
                subject,
                subject.get_me(&claims),
                head_of_me.token(&subject.token(&claims)),
            )
        },
    ));
    checks
}

fn any_client(subject: &Subject) -> Verdict {
    let clients = USER_AGENTS.into_iter().map(|name| {
        move |request: Request| request.user_agent(name).header("Accept", "*/*").reversed()
    });
    for client in clients {
        let exchange = subject.ask(client(subject.get(routes::INFO)))?;
        info::is_info(&exchange)?;

        let (claims, movie) = (random::claims(), random::movie());
        let post = subject.post_movie(&claims, random::javascript(&movie));
        movies::is_movie(&subject.ask(client(post))?, &value(&movie), &claims)?;

        if let Some(turn) = subject.upstream_if_any() {
            let product = random::product();
            turn.serve(random::javascript(&product));
            let exchange = subject.ask(client(subject.get(routes::CATALOG)))?;
            exchange.is(200, &value(&product))?;
        }
        if let Some(turn) = subject.database_if_any() {
            let profile = random::profile();
            let _rows = turn.insert(std::slice::from_ref(&profile))?;
            let get = subject.get_me(&random::claims_of(&profile));
            subject.ask(client(get))?.is(200, &value(&profile))?;
        }
    }
    Ok(())
}

fn method_not_allowed(subject: &Subject, path: &'static str, allowed: &str) -> Verdict {
    let other = if allowed == "GET" { "POST" } else { "GET" };
    for method in [other, "PUT", "DELETE", "PATCH"] {
        let request = subject.client.request(method, path);
        let request = match method {
            "GET" | "DELETE" => request,
            _ => request.json("{}"),
        };
        let exchange = subject.ask(request)?;
        exchange.is_error(ErrorCode::MethodNotAllowed)?;
        allows(&exchange, allowed)?;
    }
    Ok(())
}

fn allows(exchange: &Exchange, method: &str) -> Result<(), Failure> {
    let allow = exchange.answer.header("allow").unwrap_or_default();
    if allow.split(',').any(|name| name.trim() == method) {
        return Ok(());
    }
    Err(exchange.failure(format!(
        "the header Allow with {method}, but it is {allow:?}"
    )))
}

/// Fails unless the answer to `head` is 200 with the headers of that to `get`, and no body: the
/// connection serves the next request right after the head.
fn head(subject: &Subject, get: Request, head: Request) -> Verdict {
    let mut conversation = subject.client.conversation();
    let with_body = conversation.ask(get.clone())?;
    with_body.has_status(200)?;
    let without = conversation.ask(head)?;
    without.has_status(200)?;
    for name in ["content-type", "content-length"] {
        let (expected, came) = (with_body.answer.header(name), without.answer.header(name));
        // The length of what is not sent may be left out (RFC 9110, 9.3.2).
        if came != expected && (name != "content-length" || came.is_some()) {
            return Err(without
                .failure(format!("{name}: {} as of GET", expected.unwrap_or("none")))
                .into());
        }
    }
    conversation.ask(get)?.has_status(200)?;
    Ok(())
}

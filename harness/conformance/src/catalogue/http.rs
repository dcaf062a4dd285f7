//! Rules of HTTP and the contract for every path: methods, heads, clients of any kind.

use schema::{ErrorCode, NewMovie, fixtures, routes};

use super::{ERRORS, Group, info, movies, value};
use crate::request::Request;
use crate::verdict::Verdict;
use crate::{Check, Subject, random};

/// Names of other clients, another version of k6 among them.
const USER_AGENTS: [&str; 5] = [
    "curl/8.5.0",
    "Grafana k6/2.0.0",
    "oha/1.4.5",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "Go-http-client/1.1",
];

/// More than the longest head that the target accepts.
const LONG_HEAD_BYTES: usize = 20 * 1024;

pub(super) fn checks() -> Vec<Check> {
    let strict = Group::strict(ERRORS);
    let mut checks = vec![
        Group::work("docs/CONTRACT.md#endpoints-of-the-target; RFC 9110, 10.1.5").check(
            "http/any-client",
            "The four endpoints answer every client alike, whatever its name and the order of its headers.",
            any_client,
        ),
        Group::work("docs/CONTRACT.md#endpoints-of-the-target; RFC 9112, 2").check(
            "http/split-requests",
            "A request may arrive in two parts, whatever byte of its head or its body the second starts with.",
            split_requests,
        ),
        Group::work("docs/CONTRACT.md#endpoints-of-the-target; RFC 9112, 9.3.2").check(
            "http/pipelined",
            "Requests that arrive at once on a connection are answered in their order, unless it is closed.",
            pipelined,
        ),
        strict.check("http/404", "An unknown path is 404.", |subject| {
            let paths = ["/no-such-path", "/", "/info/", "/movies/1", "/users", "/INFO"];
            paths.into_iter().try_for_each(|path| {
                let exchange = subject.send(subject.get(path))?;
                exchange.is_error(ErrorCode::NotFound)
            })
        }),
        strict.source("docs/CONTRACT.md#errors-of-the-target; RFC 6585, 5").check(
            "http/431-long-head",
            "A head of more than 16 KiB is 431, and the next connection is served.",
            |subject| {
                let long = "x".repeat(LONG_HEAD_BYTES);
                let request = subject.get(routes::INFO).header("X-Long", long);
                is_refused(subject, request, 431)
            },
        ),
        strict.source("docs/CONTRACT.md#errors-of-the-target; RFC 9112, 2.2").check(
            "http/400-not-http",
            "Bytes that are not HTTP/1.1 are 400, and the next connection is served.",
            |subject| {
                let texts = [
                    "\0\0\0\0\r\n\r\n",
                    "GET /info\r\n\r\n",
                    "GET /info HTTP/1.1\r\nno colon\r\n\r\n",
                ];
                texts.into_iter().try_for_each(|text| {
                    let request = subject.get("/").raw(text.into());
                    is_refused(subject, request, 400)
                })
            },
        ),
    ];
    let of_method = strict.source("docs/CONTRACT.md#errors-of-the-target; RFC 9110, 15.5.6");
    for (endpoint, path, allowed) in [
        ("info", routes::INFO, "GET"),
        ("movies", routes::MOVIES, "POST"),
        ("catalog", routes::CATALOG, "GET"),
        ("users-me", routes::USERS_ME, "GET"),
    ] {
        checks.push(of_method.check(
            format!("{endpoint}/405"),
            format!("Another method than {allowed} is 405, and `Allow` names {allowed}."),
            move |subject| method_not_allowed(subject, path, allowed),
        ));
    }
    let of_head = strict.source("docs/CONTRACT.md#endpoints-of-the-target; RFC 9110, 9.3.2");
    for (endpoint, path) in [
        ("info", routes::INFO),
        ("catalog", routes::CATALOG),
        ("users-me", routes::USERS_ME),
    ] {
        checks.push(of_head.check(
            format!("{endpoint}/head"),
            "`HEAD` works where `GET` does: the same head, no body.",
            move |subject| head(subject, path),
        ));
    }
    checks
}

/// Fails unless the request has this status, and another connection is served.
fn is_refused(subject: &Subject, request: Request, status: u16) -> Verdict {
    subject.send(request)?.has_status(status)?;
    subject.send(subject.get(routes::INFO))?.has_status(200)?;
    Ok(())
}

fn any_client(subject: &Subject) -> Verdict {
    for name in USER_AGENTS {
        let client = |request: Request| request.user_agent(name).header("Accept", "*/*").reversed();
        info::is_info(&subject.send(client(subject.get(routes::INFO)))?)?;

        let (claims, movie) = (random::claims(), random::movie());
        let post = subject.post_movie(&claims, random::javascript(&movie));
        movies::is_movie(&subject.send(client(post))?, &value(&movie), &claims)?;

        if let Some(upstream) = subject.upstream_if_any() {
            let product = random::product();
            upstream.serve(random::javascript(&product));
            let exchange = subject.send(client(subject.get(routes::CATALOG)))?;
            exchange.is(200, &value(&product))?;
        }
        if let Some(database) = subject.database_if_any() {
            let profile = random::profile();
            let _rows = database.insert(std::slice::from_ref(&profile))?;
            let get = subject.get_me(&random::claims_of(&profile));
            subject.send(client(get))?.is(200, &value(&profile))?;
        }
    }
    Ok(())
}

/// Creates a movie whose rating is no integer: another check is of those.
fn random_movie() -> NewMovie<'static> {
    NewMovie {
        rating: 7.25,
        ..random::movie()
    }
}

fn split_requests(subject: &Subject) -> Verdict {
    let (claims, movie) = (random::claims(), random_movie());
    let request = subject.post_movie(&claims, random::javascript(&movie));
    let exchanges = subject
        .client
        .send_in_two(&request, &boundaries(&request.bytes()));
    for exchange in exchanges {
        movies::is_movie(&exchange?, &value(&movie), &claims)?;
    }
    Ok(())
}

/// Returns the places between two bytes of another kind, such as a letter and a colon, and those inside
/// of a character.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let kind = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' => 'a',
        other => char::from(other),
    };
    let is_boundary = |place: &usize| kind(bytes[place - 1]) != kind(bytes[*place]);
    (1..bytes.len()).filter(is_boundary).collect()
}

fn pipelined(subject: &Subject) -> Verdict {
    let (claims, movie) = (random::claims(), random_movie());
    let info = subject.get(routes::INFO);
    let post = subject.post_movie(&claims, random::javascript(&movie));
    let requests = [info.clone(), info, post];
    let exchanges = subject.client.send_pipelined(&requests)?;
    for exchange in exchanges.iter().take(2) {
        info::is_info(exchange)?;
    }
    match exchanges.get(2) {
        Some(exchange) => movies::is_movie(exchange, &value(&movie), &claims),
        None => Ok(()),
    }
}

fn method_not_allowed(subject: &Subject, path: &str, allowed: &str) -> Verdict {
    let other = if allowed == "GET" { "POST" } else { "GET" };
    for method in [other, "PUT", "DELETE", "PATCH"] {
        let request = subject.client.request(method, path);
        let request = match method {
            "GET" | "DELETE" => request,
            _ => request.json("{}"),
        };
        let exchange = subject.send(request)?;
        exchange.is_error(ErrorCode::MethodNotAllowed)?;
        let allow = exchange.answer.header("allow").unwrap_or_default();
        if !allow.split(',').any(|name| name.trim() == allowed) {
            return exchange.fail(format!(
                "the header Allow with {allowed}, but it is {allow:?}"
            ));
        }
    }
    Ok(())
}

/// Fails unless `HEAD` is 200 with the headers of `GET`, and no body: the connection serves the next
/// request right after the head.
fn head(subject: &Subject, path: &str) -> Verdict {
    let _upstream = (path == routes::CATALOG).then(|| subject.upstream_if_any());
    let _database = (path == routes::USERS_ME).then(|| subject.database_if_any());
    let request = |method| {
        let request = subject.client.request(method, path);
        match path {
            routes::USERS_ME => request.token(&subject.token(&fixtures::claims())),
            _ => request,
        }
    };
    let mut connection = subject.client.connection();
    let with_body = connection.send(request("GET"))?;
    with_body.has_status(200)?;
    let without = connection.send(request("HEAD"))?;
    without.has_status(200)?;
    for name in ["content-type", "content-length"] {
        let expected = with_body.answer.header(name);
        let actual = without.answer.header(name);
        // The length of a body that is not sent may be left out (RFC 9110, 9.3.2).
        if actual != expected && (name != "content-length" || actual.is_some()) {
            let expected = expected.unwrap_or("none");
            return without.fail(format!("{name}: {expected}, as for GET"));
        }
    }
    connection.send(request("GET"))?.has_status(200)?;
    Ok(())
}

//! What `up` ends with: where everything is, and requests to paste.

use std::fmt::{self, Display};
use std::io::{self, ErrorKind, IsTerminal, Write, stdout};
use std::sync::OnceLock;

use anyhow::{Result, bail};
use comfy_table::{Table, presets};
use schema::env::{DB_NAME, DB_PASSWORD, DB_USER, JWT_SECRET, bench_value};
use schema::{fixtures, routes};

use crate::columns;
use crate::service::ADDRESS;
use crate::token;

/// Where a running suite is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guide {
    /// Port of the target.
    pub(crate) target_port: u16,
    /// Port of the upstream.
    pub(crate) upstream_port: u16,
    /// Port of Postgres.
    pub(crate) postgres_port: u16,
}

impl Display for Guide {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = url(self.target_port);
        let rows = [
            [
                "target".to_owned(),
                target.clone(),
                "the four endpoints".to_owned(),
            ],
            [
                "upstream".to_owned(),
                url(self.upstream_port),
                "the product behind an API key, and its faults".to_owned(),
            ],
            [
                "postgres".to_owned(),
                postgres_url(self.postgres_port),
                "the seeded users; no durability".to_owned(),
            ],
        ];
        writeln!(
            formatter,
            "{}\n",
            table(["SERVICE", "URL", "WHAT IT IS"], rows)
        )?;

        let token = token::sign(&fixtures::claims(), bench_value(&JWT_SECRET));
        let bearer = format!("-H 'Authorization: Bearer {token}'");
        let movie = serde_json::to_string(&fixtures::new_movie()).map_err(|_| fmt::Error)?;
        let movie = format!("-H 'Content-Type: application/json' -d {}", quoted(&movie));
        writeln!(formatter, "curl -i {target}{}", routes::INFO)?;
        writeln!(formatter, "curl {target}{}", routes::CATALOG)?;
        writeln!(formatter, "curl {target}{} {bearer}", routes::USERS_ME)?;
        write!(
            formatter,
            "curl {target}{} {bearer} {movie}",
            routes::MOVIES
        )
    }
}

/// Why something could not be printed, if that was so.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Prints a text and a line end.
pub(crate) fn print(text: impl Display) {
    let mut output = stdout();
    note(writeln!(output, "{text}").and_then(|()| output.flush()));
}

/// Prints a text that may have colours, for people.
pub(crate) fn show(text: &str) {
    let mut output = anstream::stdout();
    note(
        output
            .write_all(text.as_bytes())
            .and_then(|()| output.flush()),
    );
}

/// A reader that has gone (`| head`) has seen enough. What is lost otherwise is an error in the end.
fn note(printed: io::Result<()>) {
    if let Err(error) = printed
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = LOST.set(error);
    }
}

/// Fails if something could not be printed.
///
/// # Errors
/// As said.
pub(crate) fn all_is_printed() -> Result<()> {
    match LOST.get() {
        Some(error) => bail!("writing to standard output: {error}"),
        None => Ok(()),
    }
}

/// URL of a service.
pub(crate) fn url(port: u16) -> String {
    format!("http://{ADDRESS}:{port}")
}

/// URL of Postgres, with the bench user.
pub(crate) fn postgres_url(port: u16) -> String {
    let [user, password, name] = [DB_USER, DB_PASSWORD, DB_NAME].map(|v| bench_value(&v));
    format!("postgres://{user}:{password}@{ADDRESS}:{port}/{name}")
}

/// A table with lines on a terminal, with spaces elsewhere.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.set_header(header).add_rows(rows);
    if stdout().is_terminal() {
        table.load_style(presets::UTF8_FULL_CONDENSED);
    } else {
        table.load_style(presets::NOTHING);
        for column in table.column_iter_mut() {
            column.set_padding((0, columns::GAP));
        }
    }
    table.trim_fmt()
}

/// A text as one word of a shell.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guide() -> String {
        Guide {
            target_port: 8000,
            upstream_port: 8001,
            postgres_port: 54320,
        }
        .to_string()
    }

    #[test]
    fn every_endpoint_has_a_line_to_paste() {
        let guide = guide();
        let lines: Vec<&str> = guide
            .lines()
            .filter(|line| line.starts_with("curl "))
            .collect();
        assert_eq!(lines.len(), 4);
        for path in [
            routes::INFO,
            routes::CATALOG,
            routes::USERS_ME,
            routes::MOVIES,
        ] {
            let url = format!("http://127.0.0.1:8000{path}");
            let named = lines
                .iter()
                .filter(|line| line.split(' ').any(|word| word == url));
            assert_eq!(named.count(), 1, "{path}");
        }
        let with_token = |line: &&&str| line.contains("Authorization: Bearer eyJ");
        assert_eq!(lines.iter().filter(with_token).count(), 2);
    }

    #[test]
    fn every_service_has_its_url() {
        let guide = guide();
        for url in [
            "http://127.0.0.1:8000 ",
            "http://127.0.0.1:8001 ",
            "@127.0.0.1:54320/",
        ] {
            assert!(guide.contains(url), "{url} in {guide}");
        }
    }

    #[test]
    fn a_quote_stays_inside_its_word() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}

//! Text on standard output: plain or coloured.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write, stdout};
use std::net::Ipv4Addr;
use std::sync::OnceLock;

use anyhow::{Result, bail};
use schema::env::{DB_NAME, DB_PASSWORD, DB_USER, bench_value};

/// Address that the services listen on.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The first error of printing.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Prints a text and a line end.
pub fn print(text: impl Display) {
    let mut output = stdout();
    note(writeln!(output, "{text}").and_then(|()| output.flush()));
}

/// Prints a text that may have colours.
pub fn show(text: &str) {
    let mut output = anstream::stdout();
    note(
        output
            .write_all(text.as_bytes())
            .and_then(|()| output.flush()),
    );
}

/// Notes an error of printing, unless the reader closed the pipe (`| head`).
fn note(printed: io::Result<()>) {
    if let Err(error) = printed
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = LOST.set(error);
    }
}

/// Fails if a text could not be printed.
///
/// # Errors
/// The first error of printing.
pub fn all_is_printed() -> Result<()> {
    match LOST.get() {
        Some(error) => bail!("writing to standard output: {error}"),
        None => Ok(()),
    }
}

/// Returns the URL of a service.
pub fn url(port: u16) -> String {
    format!("http://{ADDRESS}:{port}")
}

/// Returns the URL of Postgres, with the bench user.
pub fn postgres_url(port: u16) -> String {
    let [user, password, name] = [DB_USER, DB_PASSWORD, DB_NAME].map(|v| bench_value(&v));
    format!("postgres://{user}:{password}@{ADDRESS}:{port}/{name}")
}

/// Quotes a text as one word of a shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quote_stays_inside_its_word() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}

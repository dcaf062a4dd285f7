//! Text on standard output: plain, coloured, or as a table.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write, stdout};
use std::net::Ipv4Addr;
use std::sync::OnceLock;

use anyhow::{Result, bail};
use comfy_table::{Table, presets};
use schema::env::{DB_NAME, DB_PASSWORD, DB_USER, bench_value};

use crate::columns;

/// Address that the services listen on.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Why something could not be printed, if that was so.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Prints a text and a line end.
pub fn print(text: impl Display) {
    let mut output = stdout();
    note(writeln!(output, "{text}").and_then(|()| output.flush()));
}

/// Prints a text that may have colours, for people.
pub fn show(text: &str) {
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
pub fn all_is_printed() -> Result<()> {
    match LOST.get() {
        Some(error) => bail!("writing to standard output: {error}"),
        None => Ok(()),
    }
}

/// URL of a service.
pub fn url(port: u16) -> String {
    format!("http://{ADDRESS}:{port}")
}

/// URL of Postgres, with the bench user.
pub fn postgres_url(port: u16) -> String {
    let [user, password, name] = [DB_USER, DB_PASSWORD, DB_NAME].map(|v| bench_value(&v));
    format!("postgres://{user}:{password}@{ADDRESS}:{port}/{name}")
}

/// A table with lines on a terminal, with spaces elsewhere.
pub fn table<const N: usize>(
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
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_stays_inside_its_word() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}

//! The summary of a run for a terminal: a table per scenario, as wide as fits.

use std::fmt::Write;
use std::io::stdout;

use anstyle::{AnsiColor, Style};

use super::super::standings::{Standing, Standings};
use super::{columns, facts, open_loop};
use testbed::number::whole;

/// Width if standard output is no terminal.
const DEFAULT_WIDTH: usize = 100;

const ODD: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().dimmed();

/// Renders the standings in at most this many columns of a terminal, with styles.
pub(super) fn summary(standings: &Standings<'_>, width: usize) -> String {
    let mut table = columns::standings(standings);
    table.fit(&standings.cells(), width);
    let mut text = String::new();
    for standing in &standings.scenarios {
        let open = open_loop::rows(standings, standing.scenario);
        if standing.was_measured() || !open.is_empty() {
            let _ = writeln!(text, "{}", heading(standing));
        }
        if standing.was_measured() {
            let _ = writeln!(text, "{}", table.terminal(standing.cells.iter()));
        }
        if !open.is_empty() {
            let mut table = open_loop::table(&open);
            table.fit(&open.iter(), width);
            let _ = writeln!(text, "{FAINT}{}{FAINT:#}", facts::OPEN_LOOP);
            let _ = writeln!(text, "{}", table.terminal(open.iter()));
        }
    }
    for warning in facts::warnings(standings) {
        let _ = writeln!(text, "{ODD}{warning}{ODD:#}");
    }
    let _ = writeln!(text, "{FAINT}{}{FAINT:#}", facts::baseline(standings));
    text + &facts::headline(standings) + "\n"
}

fn heading(standing: &Standing<'_>) -> String {
    let scenario = standing.scenario;
    let ceiling = standing.engine_ceiling.map(|rate| {
        let rate = whole(rate);
        format!(", ceiling of the engine {rate} requests/s")
    });
    let (method, path) = (scenario.method(), scenario.path());
    let ceiling = ceiling.unwrap_or_default();
    format!("{scenario}  {FAINT}{method} {path}{ceiling}{FAINT:#}")
}

/// Returns the number of columns of the terminal at standard output.
#[must_use]
pub fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(stdout());
    let columns = size.ok().map(|size| usize::from(size.ws_col));
    columns
        .filter(|columns| *columns > 0)
        .unwrap_or(DEFAULT_WIDTH)
}

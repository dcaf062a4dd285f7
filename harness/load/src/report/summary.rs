//! The end of a run on a terminal: a table per scenario, as wide as fits.

use std::fmt::Write;
use std::io::stdout;

use anstyle::{AnsiColor, Style};

use super::super::cell::Cell;
use super::super::results::Results;
use super::super::standings::{Standing, Standings};
use super::super::statistics::Estimate;
use super::facts;
use super::figure::{interval, or_none, percent, short, whole};
use super::{latency, rates};

/// Width where there is no terminal to ask.
const DEFAULT_WIDTH: usize = 100;

const ODD: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().dimmed();

/// A column: its head, what stands in it, and how soon it is left out where there is no room.
struct Column {
    head: &'static str,
    importance: u8,
    text: fn(&Cell<'_>) -> String,
}

/// Importance of what is never left out.
const MOST_IMPORTANT: u8 = 9;

const SCORE: &str = "VS ALL";

const COLUMNS: [Column; 12] = [
    Column {
        head: "#",
        importance: MOST_IMPORTANT,
        text: |cell| rank(cell.cpu_rank),
    },
    Column {
        head: "CONTENDER",
        importance: MOST_IMPORTANT,
        text: |cell| cell.contender.name.clone(),
    },
    Column {
        head: "CPU µs/REQ",
        importance: MOST_IMPORTANT,
        text: |cell| median(cell.cpu_us_per_request, short),
    },
    Column {
        head: "95 %",
        importance: 6,
        text: |cell| ends(cell.cpu_us_per_request, short),
    },
    Column {
        head: "OF LIMIT",
        importance: 5,
        text: |cell| or_none(cell.of_limit, percent),
    },
    Column {
        head: "REQ/s",
        importance: 8,
        text: |cell| median(cell.requests_per_sec, whole),
    },
    Column {
        head: "95 %",
        importance: 0,
        text: |cell| ends(cell.requests_per_sec, whole),
    },
    Column {
        head: "MEAN ms",
        importance: 2,
        text: |cell| median(cell.mean_ms, short),
    },
    Column {
        head: "P99 ms",
        importance: 4,
        text: |cell| median(cell.p99_ms, short),
    },
    Column {
        head: SCORE,
        importance: 3,
        text: |cell| or_none(cell.vs_all, |score| format!("{score:.2}")),
    },
    Column {
        head: "SPREAD",
        importance: 1,
        text: |cell| or_none(cell.spread(), percent),
    },
    Column {
        head: "VERDICT",
        importance: 7,
        text: verdict,
    },
];

/// The standings in at most this many columns of a terminal, with colours; who prints it takes them
/// away where there is no terminal.
#[must_use]
pub fn summary(results: &Results, standings: &Standings<'_>, width: usize) -> String {
    let measured = standings
        .scenarios
        .iter()
        .filter(|standing| standing.was_measured());
    let columns = widest(&measured.collect::<Vec<_>>(), width);
    let mut text = String::new();
    for standing in &standings.scenarios {
        let open = rates::text(&latency::curves(results, standing.scenario), width);
        if standing.was_measured() || open.is_some() {
            let _ = writeln!(text, "{}", heading(standing, width));
        }
        if standing.was_measured() {
            let _ = writeln!(text, "{}\n", drawn(standing, &columns));
        }
        if let Some(open) = open {
            let _ = writeln!(text, "{FAINT}open loop{FAINT:#}\n{open}\n");
        }
    }
    for warning in facts::warnings(results, standings) {
        let _ = writeln!(text, "{ODD}{warning}{ODD:#}");
    }
    let warnings = facts::attempt_warnings(results).len();
    if warnings > 0 {
        let _ = writeln!(
            text,
            "{ODD}Attempts that do not add up: {warnings}, see the report.{ODD:#}"
        );
    }
    let shows_score = columns.iter().any(|column| column.head == SCORE);
    if let Some(baseline) = standings.baseline.filter(|_| shows_score) {
        let _ = writeln!(text, "{FAINT}vs all: {} is 1{FAINT:#}", baseline.name);
    }
    text + &facts::headline(results, standings) + "\n"
}

/// Columns of the terminal at standard output.
#[must_use]
pub fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(stdout());
    let columns = size.ok().map(|size| usize::from(size.ws_col));
    columns
        .filter(|columns| *columns > 0)
        .unwrap_or(DEFAULT_WIDTH)
}

fn heading(standing: &Standing<'_>, width: usize) -> String {
    let scenario = standing.scenario;
    let request = format!("{} {}", scenario.method(), scenario.path());
    let ceiling = standing
        .ceiling
        .map(|ceiling| format!("{request}, engine's ceiling {} requests/s", whole(ceiling)));
    let fits = |about: &String| scenario.name().len() + 2 + about.len() <= width;
    let about = ceiling.filter(fits).unwrap_or(request);
    format!("{scenario}  {FAINT}{about}{FAINT:#}")
}

/// As many columns as fit, the same for all scenarios.
fn widest(standings: &[&Standing<'_>], width: usize) -> Vec<&'static Column> {
    let columns = |least: u8| -> Vec<_> {
        let columns = COLUMNS.iter();
        columns
            .filter(|column| column.importance >= least)
            .collect()
    };
    let fits = |columns: &Vec<&Column>| {
        let mut tables = standings.iter().map(|standing| table(standing, columns));
        tables.all(|table| table.lines().all(|line| line.chars().count() <= width))
    };
    let narrowest = columns(MOST_IMPORTANT);
    (0..MOST_IMPORTANT)
        .map(columns)
        .find(fits)
        .unwrap_or(narrowest)
}

/// The table of a scenario; who is not ranked by everything is faint.
fn drawn(standing: &Standing<'_>, columns: &[&Column]) -> String {
    let cells = [None].into_iter().chain(standing.cells.iter().map(Some));
    let table = table(standing, columns);
    let lines = table.lines().zip(cells);
    let lines = lines.map(|(line, cell)| match cell.and_then(Cell::unranked_because) {
        Some(_) => format!("{FAINT}{line}{FAINT:#}"),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn table(standing: &Standing<'_>, columns: &[&Column]) -> String {
    let heads: Vec<_> = columns.iter().map(|column| column.head).collect();
    let texts = |cell| columns.iter().map(move |column| (column.text)(cell));
    let is_figure = |place: usize| !["CONTENDER", "VERDICT"].contains(&heads[place]);
    testbed::columns::columns(&heads, standing.cells.iter().map(texts), is_figure)
}

fn rank(rank: Option<usize>) -> String {
    or_none(rank, |rank| rank.to_string())
}

fn median(estimate: Option<Estimate>, figure: fn(f64) -> String) -> String {
    or_none(estimate, |estimate| figure(estimate.median))
}

fn ends(estimate: Option<Estimate>, figure: fn(f64) -> String) -> String {
    let interval = estimate.and_then(|estimate| interval(&estimate, figure));
    interval.unwrap_or_default()
}

fn verdict(cell: &Cell<'_>) -> String {
    let bottleneck = cell
        .unranked_because()
        .unwrap_or_else(|| "server-bound".to_owned());
    if cell.is_wide() {
        format!("{bottleneck}, wide")
    } else {
        bottleneck
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    fn plain(width: usize) -> String {
        let results = sample::results();
        let standings = Standings::of(&results, results.default_baseline());
        anstream::adapter::strip_str(&summary(&results, &standings, width)).to_string()
    }

    #[test]
    fn no_table_is_wider_than_the_terminal() {
        for width in [50, 60, 80, 100, 120, 200] {
            let text = plain(width);
            let tables = text.lines().filter(|line| line.contains("  "));
            let widest = tables.map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} columns in {width}:\n{text}");
        }
    }

    #[test]
    fn what_matters_most_is_left_where_there_is_little_room() {
        let (narrow, wide) = (plain(50), plain(200));
        for text in ["CPU µs/REQ", "axum-tuned", "20.8"] {
            assert!(narrow.contains(text), "{text} in\n{narrow}");
        }
        assert!(!narrow.contains("VS ALL") && !narrow.contains("axum is 1"));
        assert!(wide.contains("vs all: axum is 1"));
        assert!(wide.contains("VS ALL") && wide.contains("SPREAD"));
    }

    #[test]
    fn the_summary_ends_with_who_costs_least() {
        let text = plain(80);
        let last = text.lines().last().unwrap();
        assert!(
            last.starts_with("Least processor time per request: "),
            "{last}"
        );
        assert!(
            last.ends_with("; axum-tuned in movies, catalog and users-me."),
            "{last}"
        );
    }
}

//! A comparison as a table, for a terminal and to paste.

use std::fmt::Write;

use super::{Compared, Comparison, Word};
use testbed::columns::columns;

const HEAD: [&str; 8] = [
    "contender",
    "scenario",
    "CPU µs/request",
    "95 %",
    "",
    "requests/s",
    "95 %",
    "",
];

impl Comparison {
    /// As a table of a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for note in self.remarks() {
            let _ = writeln!(text, "{note}");
        }
        if !text.is_empty() {
            text.push('\n');
        }
        let header = HEAD.map(str::to_ascii_uppercase);
        let is_figure = |place| [2, 3, 5, 6].contains(&place);
        text + &columns(header, self.rows(), is_figure) + "\n"
    }

    /// As Markdown to paste.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for note in self.remarks() {
            let _ = writeln!(text, "- {note}");
        }
        let _ = writeln!(
            text,
            "\n| {} |\n|---|---|--:|--:|---|--:|--:|---|",
            HEAD.join(" | ")
        );
        for row in self.rows() {
            let row = row.map(|cell| {
                if cell == Word::Real.name() {
                    format!("**{cell}**")
                } else {
                    cell
                }
            });
            let _ = writeln!(
                text,
                "| {} |",
                row.map(|cell| cell.replace('|', "\\|")).join(" | ")
            );
        }
        text.trim_start().to_owned()
    }

    fn rows(&self) -> impl Iterator<Item = [String; 8]> {
        self.pairs.iter().map(|pair| {
            let [cpu, cpu_interval, cpu_word] = cells(pair.cpu_us_per_request);
            let [rate, rate_interval, rate_word] = cells(pair.requests_per_sec);
            let (contender, scenario) = (pair.contender.clone(), pair.scenario.to_string());
            [
                contender,
                scenario,
                cpu,
                cpu_interval,
                cpu_word,
                rate,
                rate_interval,
                rate_word,
            ]
        })
    }

    fn remarks(&self) -> Vec<String> {
        let mut remarks = self.notes.clone();
        let only = |names: &[String], which| {
            (!names.is_empty()).then(|| format!("only in the {which} run: {}", names.join(", ")))
        };
        remarks.extend(only(&self.only_before, "first"));
        remarks.extend(only(&self.only_after, "second"));
        remarks
    }
}

fn cells(compared: Option<Compared>) -> [String; 3] {
    let Some(Compared { change, word }) = compared else {
        return ["–".to_owned(), String::new(), String::new()];
    };
    let interval = match word {
        Word::OneAttempt => String::new(),
        _ => format!("{} to {}", signed(change.low), signed(change.high)),
    };
    [
        format!("{} %", signed(change.ratio)),
        interval,
        word.name().to_owned(),
    ]
}

fn signed(share: f64) -> String {
    format!("{:+.1}", share * 100.0)
}

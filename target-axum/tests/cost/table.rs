//! The table of `docs/PERFORMANCE.md` that has what a request costs.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use load::scenario::Scenario;

use crate::exchange::CLIENTS;

const BEGIN: &str = "<!-- cost -->\n";
const END: &str = "<!-- /cost -->";
const HEAD: &str = "| scenario | clients | allocations | instructions |\n|---|---|--:|--:|\n";

/// A column of figures.
#[derive(Clone, Copy)]
pub(crate) enum Column {
    Allocations,
    Instructions,
}

/// A row: allocations, instructions.
type Row = [u64; 2];

/// Fails unless each figure is within this fraction of the table's, or writes the table anew.
pub(crate) fn hold(column: Column, within: f64, figures: &BTreeMap<(Scenario, &str), u64>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/PERFORMANCE.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let mut rows = read(table);
    let mut wrong = String::new();
    for (key, figure) in figures {
        let known = &mut rows.entry(*key).or_default()[column as usize];
        let ratio = *figure as f64 / *known as f64;
        if !((1.0 - within)..=(1.0 + within)).contains(&ratio) {
            let (scenario, clients) = key;
            writeln!(wrong, "{scenario}, {clients}: {figure}, not {known}").unwrap();
        }
        *known = *figure;
    }
    if env::var_os("UPDATE_COST").is_some() {
        let document = format!("{before}{BEGIN}{}{END}{after}", written(&rows));
        fs::write(&path, document).unwrap();
    } else {
        assert!(
            wrong.is_empty(),
            "what a request costs has changed; with UPDATE_COST=1 the table is written anew:\n{wrong}"
        );
    }
}

fn read(table: &str) -> BTreeMap<(Scenario, &'static str), Row> {
    let rows = table.lines().filter_map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [scenario, clients, figures @ ..] = cells.as_slice() else {
            return None;
        };
        let scenario = Scenario::ALL
            .into_iter()
            .find(|known| *scenario == format!("`{known}`"))?;
        let clients = CLIENTS.into_iter().find(|known| known == clients)?;
        let figures: Vec<u64> = figures
            .iter()
            .map(|figure| figure.replace(' ', "").parse().unwrap())
            .collect();
        Some(((scenario, clients), figures.try_into().unwrap()))
    });
    rows.collect()
}

fn written(rows: &BTreeMap<(Scenario, &str), Row>) -> String {
    let mut table = HEAD.to_owned();
    for ((scenario, clients), [allocations, instructions]) in rows {
        writeln!(
            table,
            "| `{scenario}` | {clients} | {allocations} | {instructions} |"
        )
        .unwrap();
    }
    table
}

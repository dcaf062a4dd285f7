//! The figures of the documents are those of committed reports.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const DOCUMENT: &str = include_str!("../../../docs/PERFORMANCE.md");
const FIELD: [&str; 2] = [
    include_str!("../../../reports/2026-11-25-vm/results.csv"),
    include_str!("../../../reports/2026-11-26-vm-quiet/results.csv"),
];
const SCENARIOS: [&str; 4] = ["info", "movies", "catalog", "users-me"];
const OURS: [&str; 2] = ["axum", "axum-tuned"];
const LIMIT: &str = "limit";

/// The median processor time of a request, by contender, in one scenario of a run.
fn costs(results: &str, scenario: &str) -> BTreeMap<String, f64> {
    let mut rows = csv::Reader::from_reader(results.as_bytes());
    let mut costs: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in rows.deserialize::<BTreeMap<String, String>>() {
        let row = row.unwrap();
        if row["kind"] == "attempt" && row["pace"] == "closed" && row["scenario"] == scenario {
            let cost = row["cpu_us_per_request"].parse().unwrap();
            costs
                .entry(row["contender"].clone())
                .or_default()
                .push(cost);
        }
    }
    let median = |mut costs: Vec<f64>| {
        assert_eq!(costs.len(), 3);
        costs.sort_by(f64::total_cmp);
        costs[1]
    };
    costs
        .into_iter()
        .map(|(contender, costs)| (contender, median(costs)))
        .collect()
}

#[test]
fn the_page_on_performance_has_the_ratios_of_the_reports() {
    for results in FIELD {
        let table = ratios(results);
        assert!(DOCUMENT.contains(&table), "it should be\n{table}");
    }
}

/// The table of a run: the others' costs, and the limit's, divided by ours.
fn ratios(results: &str) -> String {
    let mut table = "| | info | movies | catalog | users-me |\n|---|--:|--:|--:|--:|\n".to_owned();
    let mut row = |title: &str, ratio: &dyn Fn(&BTreeMap<String, f64>) -> String| {
        write!(table, "| {title} |").unwrap();
        for scenario in SCENARIOS {
            write!(table, " {} |", ratio(&costs(results, scenario))).unwrap();
        }
        table.push('\n');
    };
    for ours in OURS {
        row(&format!("`{ours}` against the best other"), &|costs| {
            let is_other = |name: &str| name != LIMIT && !OURS.contains(&name);
            let others = costs.iter().filter(|(name, _)| is_other(name));
            let (best, cost) = others
                .min_by(|one, other| one.1.total_cmp(other.1))
                .unwrap();
            format!("{:.2} × {best}", cost / costs[ours])
        });
    }
    for ours in OURS {
        row(&format!("`{ours}` against the limit"), &|costs| {
            format!("{:.2}", costs[LIMIT] / costs[ours])
        });
    }
    table
}

#[test]
fn the_page_on_performance_says_how_much_is_answered_of_too_much() {
    let results = include_str!("../../../reports/2026-11-25-vm-overload/results.csv");
    let mut rows = csv::Reader::from_reader(results.as_bytes());
    let rows = rows.deserialize::<BTreeMap<String, String>>();
    let rows: Vec<_> = rows.map(Result::unwrap).collect();
    let rate = |row: &BTreeMap<String, String>| row["requests_per_sec"].parse::<f64>().unwrap();
    let mut furthest: f64 = 0.0;
    for row in rows.iter().filter(|row| row["pace"] == "open") {
        assert_eq!(row["errors"], "0", "{row:?}");
        let is_closed = |other: &&BTreeMap<_, _>| {
            other["kind"] == "attempt"
                && other["pace"] == "closed"
                && other["scenario"] == row["scenario"]
        };
        let closed = rows.iter().find(is_closed).unwrap();
        furthest = furthest.max((rate(row) / rate(closed) - 1.0).abs());
    }
    let within = format!("stay within {:.0} % of it", (furthest * 100.0).ceil());
    assert!(DOCUMENT.contains(&within), "it should be {within}");
}

/// What stands between `<!-- from FILE -->` and `<!-- /from -->`.
#[test]
fn what_a_page_copies_from_a_report_is_in_that_report() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut copied = 0;
    for page in ["docs/PERFORMANCE.md", "docs/RELIABILITY.md"] {
        let text = fs::read_to_string(root.join(page)).unwrap();
        for part in text.split("<!-- from ").skip(1) {
            let (file, rest) = part.split_once(" -->\n").unwrap();
            let (lines, _) = rest.split_once("<!-- /from -->").unwrap();
            let report = fs::read_to_string(root.join(file)).unwrap();
            let known: Vec<_> = report.lines().map(str::trim_end).collect();
            for line in lines.lines().filter(|line| !line.starts_with("```")) {
                assert!(known.contains(&line), "{page}: {file} has no line\n{line}");
                copied += 1;
            }
        }
    }
    assert!(copied > 20, "{copied}");
}

//! The figures of the documents are those of committed reports.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const DOCUMENT: &str = include_str!("../../../docs/PERFORMANCE.md");
const FIELD: [&str; 2] = [
    include_str!("../../../reports/2026-11-25-vm/results.csv"),
    include_str!("../../../reports/2026-11-26-vm-field/results.csv"),
];
const SCENARIOS: [&str; 4] = ["info", "movies", "catalog", "users-me"];
const OURS: [&str; 2] = ["axum", "axum-tuned"];
const LIMIT: &str = "limit";

/// The ratios that are aimed at, by scenario.
const OF_OTHERS: [f64; 4] = [1.25, 1.9, 1.3, 1.0];
const OF_OTHERS_TUNED: [f64; 4] = [1.3, 2.2, 1.75, 1.6];
const OF_LIMIT_TUNED: [f64; 4] = [0.85, 0.65, 0.72, 0.8];

/// The processor time of a request, by contender.
type Costs = BTreeMap<String, f64>;

/// A row of a `results.csv`, by the names of its columns.
type Row = BTreeMap<String, String>;

fn rows(results: &str) -> Vec<Row> {
    let mut rows = csv::Reader::from_reader(results.as_bytes());
    rows.deserialize().map(Result::unwrap).collect()
}

/// The median of a figure of all rounds, by contender.
fn medians<'a>(rows: impl Iterator<Item = &'a Row>, figure: &str) -> BTreeMap<String, f64> {
    let mut figures: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in rows {
        let figures = figures.entry(row["contender"].clone()).or_default();
        figures.push(row[figure].parse().unwrap());
    }
    let median = |mut figures: Vec<f64>| {
        assert!(figures.len() >= 3 && figures.len() % 2 == 1, "{figures:?}");
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    figures
        .into_iter()
        .map(|(contender, figures)| (contender, median(figures)))
        .collect()
}

/// The median processor time of a request, by contender, in one scenario of a run.
fn costs(results: &str, scenario: &str) -> Costs {
    let rows = rows(results);
    let closed = rows.iter().filter(|row| {
        row["kind"] == "attempt" && row["pace"] == "closed" && row["scenario"] == scenario
    });
    medians(closed, "cpu_us_per_request")
}

#[test]
fn the_page_on_performance_has_the_ratios_of_the_reports() {
    for results in FIELD {
        let table = ratios(results);
        assert!(DOCUMENT.contains(&table), "it should be\n{table}");
    }
}

/// The table of a run: the others' costs, and the limit's, divided by ours. What falls short of what is
/// aimed at is bold.
fn ratios(results: &str) -> String {
    let mut table = "| | info | movies | catalog | users-me |\n|---|--:|--:|--:|--:|\n".to_owned();
    let costs = SCENARIOS.map(|scenario| costs(results, scenario));
    let mut row = |title: &str, aims: [f64; 4], ratio: &dyn Fn(&Costs) -> (f64, String)| {
        write!(table, "| {title} |").unwrap();
        for (costs, aim) in costs.iter().zip(aims) {
            let (ratio, of) = ratio(costs);
            let cell = format!("{ratio:.2}{of}");
            match ratio + 0.005 < aim {
                true => write!(table, " **{cell}** |"),
                false => write!(table, " {cell} |"),
            }
            .unwrap();
        }
        table.push('\n');
    };
    for (ours, aims) in OURS.into_iter().zip([OF_OTHERS, OF_OTHERS_TUNED]) {
        row(
            &format!("`{ours}` against the best other"),
            aims,
            &|costs| {
                let is_other = |name: &str| name != LIMIT && !OURS.contains(&name);
                let others = costs.iter().filter(|(name, _)| is_other(name));
                let (best, cost) = others
                    .min_by(|one, other| one.1.total_cmp(other.1))
                    .unwrap();
                (cost / costs[ours], format!(" × {best}"))
            },
        );
    }
    for (ours, aims) in OURS.into_iter().zip([[0.0; 4], OF_LIMIT_TUNED]) {
        row(&format!("`{ours}` against the limit"), aims, &|costs| {
            (costs[LIMIT] / costs[ours], String::new())
        });
    }
    table
}

#[test]
fn the_page_on_performance_says_what_is_aimed_at() {
    for (title, aims) in [
        ("`axum` against the best other", OF_OTHERS),
        ("`axum-tuned` against the best other", OF_OTHERS_TUNED),
        ("`axum-tuned` against the limit", OF_LIMIT_TUNED),
    ] {
        let row = format!(
            "| {title} | {} |",
            aims.map(|aim| format!("{aim:.2}")).join(" | ")
        );
        assert!(DOCUMENT.contains(&row), "it should be\n{row}");
    }
}

#[test]
fn the_page_on_containers_has_the_costs_of_the_report() {
    let page = include_str!("../../../docs/CONTAINERS.md");
    let results = include_str!("../../../reports/2026-11-26-vm-libc/results.csv");
    for (name, title) in [
        ("glibc", "glibc, its allocator (what the images have)"),
        ("jemalloc", "glibc, jemalloc"),
        ("mimalloc", "glibc, mimalloc"),
        ("static", "glibc, linked statically"),
    ] {
        let digits = |cost: f64| match cost < 9.995 {
            true => format!("{cost:.2}"),
            false => format!("{cost:.1}"),
        };
        let costs = SCENARIOS.map(|scenario| digits(costs(results, scenario)[name]));
        let row = format!("| {title} | {} |", costs.join(" | "));
        assert!(page.contains(&row), "it should be\n{row}");
    }
    // What the page concludes from: glibc's `movies` is the highest there, and no higher than
    // mimalloc's in the run of the field.
    let here = costs(results, "movies");
    assert!(here.values().all(|cost| *cost <= here["glibc"]));
    let field = include_str!("../../../reports/2026-11-26-vm-quiet/results.csv");
    assert!(costs(field, "movies")["axum-tuned"] <= here["mimalloc"]);
}

#[test]
fn the_page_on_performance_says_how_much_is_answered_of_too_much() {
    let results = include_str!("../../../reports/2026-11-25-vm-overload/results.csv");
    let rows = rows(results);
    let rate = |row: &Row| row["requests_per_sec"].parse::<f64>().unwrap();
    let mut furthest: f64 = 0.0;
    for row in rows.iter().filter(|row| row["pace"] == "open") {
        assert_eq!(row["errors"], "0", "{row:?}");
        let is_closed = |other: &&Row| {
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

#[test]
fn the_page_on_performance_says_who_has_the_lowest_latencies_at_equal_rates() {
    let everybody = ["info", "movies", "catalog", "users-me"].map(|scenario| {
        let folder = format!("../reports/2026-11-26-vm-rates/{scenario}/results.csv");
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap()
    });
    let nearest = include_str!("../../../reports/2026-11-26-vm-latency/results.csv").to_owned();
    for (results, contenders) in [(vec![nearest], 4), (everybody.to_vec(), 10)] {
        let lowest = lowest(&results, contenders);
        let all: usize = lowest.values().sum();
        let is_ours = |name: &String| OURS.contains(&name.as_str());
        assert!(all == 12 && lowest.keys().all(is_ours), "{lowest:?}");
        let [idiomatic, tuned] = OURS.map(|name| lowest.get(name).copied().unwrap_or(0));
        let said = format!("`axum` in {idiomatic}, `axum-tuned` in {tuned}");
        assert!(DOCUMENT.contains(&said), "it should be {said}");
    }
}

/// At how many rates of the open loops of these runs each contender's 99th percentile is the lowest;
/// of so many contenders.
fn lowest(results: &[String], contenders: usize) -> BTreeMap<String, usize> {
    let mut lowest = BTreeMap::new();
    for results in results {
        let mut open: BTreeMap<(String, String), Vec<Row>> = BTreeMap::new();
        for row in rows(results)
            .into_iter()
            .filter(|row| row["pace"] == "open")
        {
            let place = (row["scenario"].clone(), row["asked_per_sec"].clone());
            open.entry(place).or_default().push(row);
        }
        for rows in open.values() {
            let latencies = medians(rows.iter(), "p99_ms");
            assert_eq!(latencies.len(), contenders, "{latencies:?}");
            let best = latencies
                .into_iter()
                .min_by(|one, other| one.1.total_cmp(&other.1));
            *lowest.entry(best.unwrap().0).or_default() += 1;
        }
    }
    lowest
}

#[test]
fn the_page_on_reliability_says_what_slow_clients_cost_those_that_are_fast() {
    let page = include_str!("../../../docs/RELIABILITY.md");
    let results = include_str!("../../../reports/2026-11-26-vm-slow-clients/scale.csv");
    let rate = |row: &Row| row["requests_per_sec"].parse::<f64>().unwrap();
    let rows = rows(results);
    let (beside, alone): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| row["slow_clients"] == "1000");
    assert_eq!((beside.len(), alone.len()), (4, 4));
    let falls = beside.iter().zip(&alone).map(|(beside, alone)| {
        assert_eq!(
            (&beside["contender"], &beside["scenario"]),
            (&alone["contender"], &alone["scenario"])
        );
        1.0 - rate(beside) / rate(alone)
    });
    let most = falls.fold(0.0, f64::max);
    assert!(most < 0.1, "{most}");
    let said = format!("falls by {:.0} % at most", (most * 100.0).ceil());
    assert!(page.contains(&said), "it should be {said}");
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

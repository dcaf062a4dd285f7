//! The columns of the standings and of `results.csv`.

use anyhow::Result;

use super::super::bottleneck::is_remembered;
use super::super::cell::Cell;
use super::super::record::{Attempt, LoadModel, Point};
use super::super::scenario::Scenario;
use super::super::standings::Standings;
use super::super::statistics::Estimate;
use super::facts::StartTimes;
use testbed::number::{mebibytes, percent, short, whole};
use testbed::table::{self, Column, Table};

/// Returns the table of the cells of a scenario.
pub(super) fn standings<'a>(standings: &Standings<'a>) -> Table<'a, Cell<'a>> {
    let rank = |rank: Option<usize>| rank.map(|rank| table::Cell::from(rank as u64));
    let share = |share: Option<f64>| share.map(|share| table::Cell::number(share, percent));
    let cpu_interval = |cell: &Cell<'_>| {
        let interval = table::Cell::from(interval(cell.cpu_us_per_request, short));
        match cell.is_wide() {
            true => interval.strong(),
            false => interval,
        }
    };
    let repeated = move |cell: &Cell<'_>| {
        let cost = cell.repeated_cost.map(|estimate| estimate.median);
        let is_remembered = cost.is_some_and(is_remembered);
        match share(cost) {
            Some(cost) if is_remembered => Some(cost.strong()),
            cost => cost,
        }
    };
    let name = [
        Column::number("#", "", move |cell: &Cell<'_>| rank(cell.cpu_rank)),
        Column::text("contender", |cell: &Cell<'_>| cell.contender.name.clone()),
        Column::text("category", |cell: &Cell<'_>| cell.contender.category.name()).priority(2),
    ];
    let point = [
        Column::number("workers", "", |cell: &Cell<'_>| cell.point.workers as u64),
        Column::number("connections", "", |cell: &Cell<'_>| {
            cell.point.connections as u64
        }),
    ];
    let metrics = [
        Column::number("CPU", "µs/request", |cell: &Cell<'_>| {
            median(cell.cpu_us_per_request, short)
        }),
        Column::number("95 %", "", cpu_interval).priority(8),
        Column::number("of ceiling", "", move |cell: &Cell<'_>| {
            share(cell.of_ceiling)
        })
        .priority(7),
        Column::number("requests", "/s", |cell: &Cell<'_>| {
            median(cell.requests_per_sec, whole)
        })
        .priority(10),
        Column::number("#", "", move |cell: &Cell<'_>| rank(cell.rate_rank)).priority(1),
        Column::number("mean", "ms", |cell: &Cell<'_>| median(cell.mean_ms, short)).priority(4),
        Column::number("p99", "ms", |cell: &Cell<'_>| median(cell.p99_ms, short)).priority(6),
        Column::number("vs all", "", |cell: &Cell<'_>| {
            let two_decimals = |score| format!("{score:.2}");
            cell.vs_all
                .map(|score| table::Cell::number(score, two_decimals))
        })
        .priority(5),
        Column::number("peak RSS", "", |cell: &Cell<'_>| {
            let bytes = cell.rss_peak_bytes;
            bytes.map(|bytes| table::Cell::number(bytes as f64, mebibytes))
        })
        .priority(2),
        Column::number("repeated", "", repeated).priority(3),
        Column::text("bottleneck", Cell::state).priority(9),
    ];
    let point = point.into_iter().filter(|_| standings.runs.len() > 1);
    let refused = Column::number("refused", "µs", |cell: &Cell<'_>| {
        median(cell.cpu_us_per_refusal, short)
    });
    let refused = Some(refused.priority(8)).filter(|_| standings.plan().invalid > 0.0);
    let columns = name.into_iter().chain(point).chain(metrics).chain(refused);
    Table::new(columns).class(Cell::class)
}

fn median(estimate: Option<Estimate>, format: fn(f64) -> String) -> Option<table::Cell> {
    estimate.map(|estimate| table::Cell::number(estimate.median, format))
}

/// Returns the interval of several attempts, such as `6.65 – 6.78`, or an empty text.
fn interval(estimate: Option<Estimate>, format: fn(f64) -> String) -> String {
    match estimate {
        Some(Estimate {
            low, high, count, ..
        }) if count > 1 => format!("{} – {}", format(low), format(high)),
        _ => String::new(),
    }
}

/// Returns the table of the times of the starts.
pub(super) fn starts() -> Table<'static, StartTimes> {
    let contender = Column::text("contender", |times: &StartTimes| times.contender.clone());
    let ready = Column::number("ready", "ms", |times: &StartTimes| {
        times.ready_ms.map(|ms| table::Cell::number(ms, short))
    });
    let first = (0..).zip(Scenario::ALL).map(|(index, scenario)| {
        Column::number(scenario.name(), "ms", move |times: &StartTimes| {
            times.first_ms[index].map(|ms| table::Cell::number(ms, short))
        })
    });
    Table::new([contender, ready].into_iter().chain(first))
}

/// A row of `results.csv`.
struct AttemptRow<'a> {
    kind: &'static str,
    point: Point,
    attempt: &'a Attempt,
}

type AttemptColumn = (&'static str, fn(&AttemptRow<'_>) -> table::Cell);

/// The columns of `results.csv`. Their names contain the units.
const ATTEMPT: [AttemptColumn; 43] = [
    ("kind", |row| row.kind.into()),
    ("contender", |row| row.attempt.contender.as_str().into()),
    ("workers", |row| (row.point.workers as u64).into()),
    ("connections", |row| (row.point.connections as u64).into()),
    ("scenario", |row| row.attempt.scenario.name().into()),
    ("round", |row| u64::from(row.attempt.round).into()),
    ("load_model", |row| match row.attempt.load_model {
        LoadModel::Closed => "closed".into(),
        LoadModel::Invalid(_) => "invalid".into(),
        LoadModel::Open(_) => "open".into(),
    }),
    ("scheduled_per_sec", |row| match row.attempt.load_model {
        LoadModel::Open(rate) => rate.into(),
        LoadModel::Closed | LoadModel::Invalid(_) => None::<f64>.into(),
    }),
    ("started_at", |row| row.attempt.started_at.as_str().into()),
    ("bottleneck", |row| row.attempt.bottleneck.name().into()),
    ("seconds", |row| row.attempt.measured.seconds.into()),
    ("requests", |row| row.attempt.measured.requests.into()),
    ("refused", |row| row.attempt.measured.refused.into()),
    ("resent", |row| row.attempt.measured.resent.into()),
    ("errors", |row| row.attempt.measured.error_count().into()),
    ("requests_per_sec", |row| {
        row.attempt.measured.requests_per_sec().into()
    }),
    ("cpu_us_per_request", |row| {
        row.attempt.cpu_us_per_request().into()
    }),
    ("repeated_cost_share", |row| {
        row.attempt.repeated_cost.into()
    }),
    ("mean_ms", |row| row.attempt.measured.latency.mean_ms.into()),
    ("min_ms", |row| row.attempt.measured.latency.min_ms.into()),
    ("p50_ms", |row| row.attempt.measured.latency.p50_ms.into()),
    ("p75_ms", |row| row.attempt.measured.latency.p75_ms.into()),
    ("p90_ms", |row| row.attempt.measured.latency.p90_ms.into()),
    ("p95_ms", |row| row.attempt.measured.latency.p95_ms.into()),
    ("p99_ms", |row| row.attempt.measured.latency.p99_ms.into()),
    ("p99_9_ms", |row| {
        row.attempt.measured.latency.p99_9_ms.into()
    }),
    ("max_ms", |row| row.attempt.measured.latency.max_ms.into()),
    ("contender_cpu_secs", |row| {
        row.attempt.usage.contender.cpu_secs.into()
    }),
    ("generator_cpu_secs", |row| {
        row.attempt.usage.generator.cpu_secs.into()
    }),
    ("upstream_cpu_secs", |row| {
        row.attempt.usage.upstream.cpu_secs.into()
    }),
    ("postgres_cpu_secs", |row| {
        row.attempt.usage.postgres.cpu_secs.into()
    }),
    ("contender_rss_peak_bytes", |row| {
        row.attempt.usage.contender.rss_peak_bytes.into()
    }),
    ("contender_rss_mean_bytes", |row| {
        row.attempt.usage.contender.rss_mean_bytes.into()
    }),
    ("contender_context_switches", |row| {
        row.attempt.usage.contender.context_switches.into()
    }),
    ("contender_cpus_idle_share", |row| {
        row.attempt.usage.contender_cpus_idle.into()
    }),
    ("other_cpus_idle_share", |row| {
        row.attempt.usage.other_cpus_idle.into()
    }),
    ("steal_share", |row| row.attempt.usage.steal.into()),
    ("foreign_share", |row| row.attempt.usage.foreign.into()),
    ("load_1min", |row| row.attempt.usage.load_1min.into()),
    ("served", |row| row.attempt.usage.served.into()),
    ("upstream_in_flight", |row| {
        row.attempt.usage.upstream_in_flight.into()
    }),
    ("response_bytes", |row| row.attempt.measured.bytes.into()),
    ("warnings", |row| row.attempt.warnings.join("; ").into()),
];

/// Renders every attempt of the runs as `results.csv`.
pub(super) fn attempts_csv<'a>(standings: &Standings<'a>) -> Result<String> {
    let mut rows = Vec::new();
    for results in &standings.runs {
        let point = results.run.plan.point();
        let mut add = |kind, attempts: &'a [Attempt]| {
            rows.extend(attempts.iter().map(|attempt| AttemptRow {
                kind,
                point,
                attempt,
            }));
        };
        add("calibration", &results.calibrations);
        add("attempt", &results.attempts);
    }
    let columns = ATTEMPT.map(|(name, cell)| Column::text(name, cell));
    Table::new(columns).csv(rows.iter())
}

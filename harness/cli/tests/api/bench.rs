//! `harness bench` as its user meets it: what is measured, judged and written, and what is left of a
//! run that is interrupted or killed.

use std::fs;
use std::process::{Child, Command};

use load::record::{Attempt, Pace};
use load::results::{self, Results};
use load::scenario::Scenario;
use rustix::process::{Pid, Signal, kill_process};

use crate::field::Field;
use crate::stand_in;
use crate::suite::{Said, is_alive, said, wait_until};

/// One that is honest and one that answers `{}` to everything.
fn field() -> Field {
    Field::of(&["honest", "hollow"])
}

impl Field {
    /// For a run as short as can be.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.harness(&[&["bench"], arguments].concat())
    }

    pub(crate) fn bench(&self, arguments: &[&str]) -> Said {
        let short = ["--duration=500ms", "--warmup=100ms", "--connections=10"];
        let arguments = [arguments, &short, &["--out", "run"]].concat();
        said(self.command(&arguments).output().unwrap())
    }

    pub(crate) fn results(&self) -> Results {
        results::read(&self.path("run")).unwrap()
    }

    /// Starts a run of two rounds, and waits until the first attempt is written down.
    pub(crate) fn begin(&self) -> Child {
        let arguments = [
            "honest",
            "--scenarios=info,movies",
            "--rounds=2",
            "--duration=1s",
            "--warmup=100ms",
            "--connections=10",
            "--out=run",
        ];
        let harness = self.command(&arguments).spawn().unwrap();
        wait_until("an attempt", || {
            let results = results::read(&self.path("run"));
            results.is_ok_and(|results| !results.attempts.is_empty())
        });
        harness
    }

    /// Fails unless the run is resumed to its end, with the attempts that it had.
    pub(crate) fn resume_after(&self, before: &[Attempt]) {
        let resumed = said(self.command(&["--resume=run"]).output().unwrap());
        assert_eq!(resumed.code, Some(0), "{resumed:?}");
        let results = self.results();
        assert_eq!(results.attempts[..before.len()], *before);
        let mut cells: Vec<_> = results
            .attempts
            .iter()
            .map(|attempt| (attempt.round, attempt.scenario))
            .collect();
        cells.sort();
        let all = [1, 2].map(|round| [(round, Scenario::Info), (round, Scenario::Movies)]);
        assert_eq!(cells, all.concat());
        assert!(results.ended_at.is_some() && !results.resumed_at.is_empty());
    }
}

#[test]
fn who_does_the_work_is_measured_and_who_does_not_is_reported() {
    let field = field();
    let said = field.bench(&["--rounds=1"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let results = field.results();
    assert_eq!(results.attempts.len(), 4);
    for (attempt, scenario) in results.attempts.iter().zip(Scenario::ALL) {
        assert_eq!(attempt.contender, "honest");
        assert_eq!(attempt.scenario, scenario);
        assert!(attempt.measured.errors.is_empty(), "{attempt:?}");
        assert!(attempt.measured.requests > 0);
        assert!(attempt.cpu_us_per_request().unwrap() > 0.0);
        let usage = &attempt.usage;
        assert!(usage.contender.rss_peak_bytes > Some(0) && usage.generator.cpu_secs > Some(0.0));
        assert!(!usage.timeline.contender.is_empty());
        assert!(scenario != Scenario::Catalog || usage.upstream.cpu_secs > Some(0.0));
        // What the other side counted is what was answered.
        let counted = matches!(scenario, Scenario::Catalog | Scenario::UsersMe);
        let served = usage
            .served
            .map(|served| served.abs_diff(attempt.measured.answers_in_all));
        assert_eq!(served.is_some(), counted, "{scenario}");
        assert!(served.unwrap_or(0) <= 10, "{served:?} of {attempt:?}");
    }
    let failed = results.failed_checks("hollow");
    assert!(failed.iter().any(|failed| failed.slug == "movies/201"));
    assert!(results.failed_checks("honest").is_empty());
    for file in ["results.csv", "report.md", "report.html", "chart.svg"] {
        assert!(field.path("run").join(file).is_file(), "{file}");
    }
    let line = said.out.lines().find(|line| line.contains("honest"));
    assert!(line.unwrap().starts_with('1'), "{}", said.out);
    assert!(said.out.contains("hollow"), "{}", said.out);
}

#[test]
fn an_open_loop_is_asked_for_its_rate() {
    let field = field();
    let open = ["honest", "--scenarios=info", "--rounds=0", "--rate=200"];
    let said = field.bench(&open);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("P99 ms  200/s"), "{said:?}");
    let attempts = field.results().attempts;
    let rounds: Vec<_> = attempts.iter().map(|attempt| attempt.round).collect();
    assert_eq!(rounds, [1]);
    for attempt in &attempts {
        assert_eq!(attempt.pace, Pace::Open(200.0));
        // Far from what a closed loop would have asked for; how exactly it is kept, the engine's
        // tests say.
        let rate = attempt.measured.requests_per_sec();
        assert!((20.0..=400.0).contains(&rate), "{rate}");
    }
}

#[test]
fn several_numbers_of_connections_and_workers_are_as_many_runs_and_one_report() {
    let field = field();
    let honest = stand_in::script("honest");
    field.add_limit(&format!("[ \"$WORKERS\" = 1 ] || exit 3; {honest}"));
    let numbers = ["--connections=1,4", "--workers=1,2", "--rounds=2"];
    let short = [
        "honest",
        "--scenarios=info",
        "--duration=500ms",
        "--warmup=100ms",
        "--out=run",
    ];
    let said = said(
        field
            .command(&[numbers.as_slice(), &short].concat())
            .output()
            .unwrap(),
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    let mut began = Vec::new();
    for (workers, connections) in [(1, 1), (1, 4), (2, 1), (2, 4)] {
        let name = format!("workers-{workers}-connections-{connections}");
        let folder = field.path("run").join(name);
        let results = results::read(&folder).unwrap();
        let plan = &results.run.plan;
        assert_eq!((plan.workers, plan.connections), (workers, connections));
        assert!(folder.join("report.html").is_file());
        // The limit has one thread, whatever the contenders have.
        assert_eq!(results.calibrations.len(), 1);
        let rounds = results.attempts.iter().map(|attempt| attempt.round);
        assert_eq!(rounds.collect::<Vec<_>>(), [1, 2]);
        let starts = results
            .attempts
            .iter()
            .map(|attempt| attempt.started_at.clone().unwrap());
        began.push(starts.collect::<Vec<_>>());
    }
    // All first rounds come before any second one.
    let firsts = began.iter().map(|starts| &starts[0]).max();
    let seconds = began.iter().map(|starts| &starts[1]).min();
    assert!(firsts <= seconds, "{began:?}");
    let table = fs::read_to_string(field.path("run").join("scale.csv")).unwrap();
    assert_eq!(table.lines().count(), 5, "{table}");
    assert_eq!(said.out.matches("honest").count(), 4, "{}", said.out);
    // The report can be made again.
    fs::remove_file(field.path("run").join("scale.html")).unwrap();
    let report = field.harness(&["report", "run"]).output().unwrap();
    assert!(report.status.success() && field.path("run").join("scale.html").is_file());
}

#[test]
fn a_run_that_would_measure_nothing_is_refused() {
    let field = field();
    for rates in [&[][..], &["--rate=25%,sweep"]] {
        let said = field.bench(&[&["honest", "--rounds=0"], rates].concat());
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains("measures nothing"), "{said:?}");
    }
    assert!(field.pid("honest").is_none());
}

#[test]
fn more_connections_than_can_be_held_are_refused_before_anything_starts() {
    let field = field();
    let arguments = ["--connections=1000000", "--out=run"];
    let said = said(field.command(&arguments).output().unwrap());
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("limit of open files"), "{said:?}");
    assert!(!field.path("run").exists() && field.pid("honest").is_none());
}

#[test]
fn several_runs_are_resumed_together() {
    let field = field();
    let arguments = [
        "honest",
        "--scenarios=info",
        "--connections=1,2",
        "--rounds=1",
        "--duration=1s",
        "--warmup=100ms",
        "--out=run",
    ];
    let mut harness = field.command(&arguments).spawn().unwrap();
    let read = |connections: u32| {
        let name = format!("workers-1-connections-{connections}");
        results::read(&field.path("run").join(name))
    };
    wait_until("an attempt", || {
        read(1).is_ok_and(|results| !results.attempts.is_empty())
    });
    harness.kill().unwrap();
    harness.wait().unwrap();
    let before = read(1).unwrap().attempts;
    let resumed = said(field.command(&["--resume=run"]).output().unwrap());
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(read(1).unwrap().attempts, before);
    assert_eq!(read(2).unwrap().attempts.len(), 1);
    assert!(field.path("run").join("scale.md").is_file());
}

#[test]
fn a_killed_run_leaves_nothing_behind_and_is_resumed_with_all_it_had() {
    let field = field();
    let mut harness = field.begin();
    let contender = field.pid("honest").unwrap();
    harness.kill().unwrap();
    harness.wait().unwrap();
    wait_until("the contender is gone", || !is_alive(contender));
    let before = field.results().attempts;
    field.resume_after(&before);
}

#[test]
fn an_interrupted_run_stops_all_and_says_how_to_go_on() {
    let field = field();
    let harness = field.begin();
    let contender = field.pid("honest").unwrap();
    kill_process(Pid::from_child(&harness), Signal::INT).unwrap();
    let said = said(harness.wait_with_output().unwrap());
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("harness bench --resume run"), "{said:?}");
    assert!(!is_alive(contender));
    let before = field.results().attempts;
    field.resume_after(&before);
}

#[test]
fn a_contender_that_does_not_start_is_reported_and_the_others_are_measured() {
    let field = field();
    field.add("broken", "echo no luck; exit 3");
    let said = field.bench(&["broken", "honest", "--scenarios=info", "--rounds=1"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let results = field.results();
    assert!(results.failures[0].error.contains("no luck"), "{results:?}");
    assert_eq!(results.attempts[0].contender, "honest");
}

#[test]
fn an_engine_that_is_missing_says_how_to_get_it() {
    let field = field();
    let mut command = field.command(&["honest", "--engine=k6"]);
    let said = said(command.env("PATH", field.path("")).output().unwrap());
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("k6=="), "{said:?}");
    assert!(!field.path("reports").exists());
}

#[test]
fn a_run_is_never_written_over_another() {
    let field = field();
    fs::create_dir(field.path("run")).unwrap();
    fs::write(field.path("run/results.jsonl"), "").unwrap();
    let said = field.bench(&["honest"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("--resume"), "{said:?}");
}

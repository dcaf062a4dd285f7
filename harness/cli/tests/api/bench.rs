//! `harness bench`: what is measured and written, and how an ended run is continued.

use std::fs;
use std::process::Child;

use load::record::{Attempt, Bottleneck, LoadModel};
use load::results::{self, Results};
use load::scenario::Scenario;
use rustix::process::Signal;

use crate::sandbox::{Outcome, Sandbox, end_by, wait_until};
use crate::stand_in::script;

/// Options of a short run.
const SHORT: [&str; 4] = [
    "--duration=500ms",
    "--warmup=100ms",
    "--connections=10",
    "--out=run",
];

impl Sandbox {
    pub(crate) fn bench(&self, arguments: &[&str]) -> Outcome {
        self.run(&[&["bench"], arguments, &SHORT].concat())
    }

    pub(crate) fn results(&self) -> Results {
        results::read(&self.path("run")).unwrap()
    }

    /// Starts a run of two rounds, and waits until its first attempt is recorded.
    pub(crate) fn begin_bench(&self) -> Child {
        let arguments = ["bench", "target", "--scenarios=info,movies", "--rounds=2"];
        let arguments = [&arguments[..], &["--duration=1s"], &SHORT[1..]].concat();
        let harness = self.command(&arguments).spawn().unwrap();
        wait_until("an attempt is recorded", || {
            let results = results::read(&self.path("run"));
            results.is_ok_and(|results| !results.attempts.is_empty())
        });
        harness
    }

    /// Continues the run, and fails unless it keeps these attempts and adds only the missing ones.
    pub(crate) fn resume_after(&self, before: &[Attempt]) {
        self.run_to(0, &["bench", "--resume=run"]);
        let results = self.results();
        assert_eq!(results.attempts[..before.len()], *before);
        let attempts = results.attempts.iter();
        let mut cells: Vec<_> = attempts.map(|it| (it.round, it.scenario)).collect();
        cells.sort();
        let all = [1, 2].map(|round| [(round, Scenario::Info), (round, Scenario::Movies)]);
        assert_eq!(cells, all.concat());
        assert!(results.ended_at.is_some());
    }
}

#[test]
fn contender_that_works_is_measured_and_others_are_reported() {
    let sandbox = Sandbox::new(&["target", "hollow"]);
    sandbox.add("broken", "echo no luck; exit 3", "");
    let bench = sandbox.bench(&["--rounds=1"]);
    assert_eq!(bench.code, Some(1), "{bench:?}");
    let results = sandbox.results();
    assert_eq!(results.attempts.len(), 4);
    for (attempt, scenario) in results.attempts.iter().zip(Scenario::ALL) {
        assert_eq!(attempt.contender, "target");
        assert_eq!(attempt.scenario, scenario);
        assert!(attempt.measured.errors.is_empty(), "{attempt:?}");
        assert!(attempt.measured.requests > 0);
        assert!(attempt.cpu_us_per_request().unwrap() > 0.0);
        let counted = "the server's side counted";
        let warnings = &attempt.warnings;
        assert!(
            !warnings.iter().any(|it| it.contains(counted)),
            "{attempt:?}"
        );
    }
    let failed = results.failed_checks("hollow");
    assert!(failed.iter().any(|failed| failed.slug == "movies/201"));
    assert!(results.failed_checks("target").is_empty());
    assert!(results.failures[0].error.contains("no luck"), "{results:?}");
    for file in ["results.csv", "report.md", "report.html", "chart.svg"] {
        assert!(sandbox.path("run").join(file).is_file(), "{file}");
    }
    let line = bench.out.lines().find(|line| line.contains("target"));
    assert!(line.unwrap().starts_with('1'), "{}", bench.out);
    assert!(bench.out.contains("hollow"), "{}", bench.out);

    let again = sandbox.bench(&["target"]);
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.err.contains("--resume"), "{again:?}");
}

#[test]
fn contender_that_remembers_is_not_comparable_beside_an_honest_one() {
    let sandbox = Sandbox::new(&["working", "remembering"]);
    // Both on one CPU, which none of them has for itself.
    let bench = sandbox.bench(&["--rounds=1", "--scenarios=movies", "--cpus=0/0"]);
    assert_eq!(bench.code, Some(0), "{bench:?}");
    let mut attempts = sandbox.results().attempts;
    attempts.sort_by_key(|attempt| attempt.contender.clone());
    let bottlenecks: Vec<_> = attempts.iter().map(|attempt| attempt.bottleneck).collect();
    assert_eq!(
        bottlenecks,
        [Bottleneck::NotComparable, Bottleneck::SharedCpus]
    );
    let costs: Vec<_> = attempts
        .iter()
        .map(|it| it.repeated_cost.unwrap())
        .collect();
    assert!(costs[0] < 0.8 && costs[1] > 0.8, "{costs:?}");
    let read = |name| fs::read_to_string(sandbox.path("run").join(name)).unwrap();
    for text in [&bench.out, &read("report.md"), &read("report.html")] {
        assert!(
            text.contains("not comparable") && text.contains("shared CPUs"),
            "{text}"
        );
        assert!(
            text.contains("no rate is ranked: contender and engine share CPU 0"),
            "{text}"
        );
    }
    assert!(read("report.md").contains("it remembers earlier requests"));
    assert!(read("results.csv").contains(",not comparable,"));
}

#[test]
fn running_contender_is_measured_with_invalid_requests_and_not_ranked() {
    let sandbox = Sandbox::suite();
    sandbox.run_to(0, &["up"]);
    let url = format!("http://127.0.0.1:{}", sandbox.target_port);
    let pid = sandbox.service_pids()[2].unwrap().to_string();
    let external = ["--url", &url, "--pid", &pid, "--rounds=1", "--invalid=10%"];
    let bench = sandbox.bench(&[&external[..], &["--scenarios=info,users-me,movies"]].concat());
    assert_eq!(bench.code, Some(0), "{bench:?}");
    assert!(
        bench.out.contains("was not checked and is not ranked"),
        "{bench:?}"
    );
    let attempts = sandbox.results().attempts;
    assert_eq!(attempts.len(), 5);
    for attempt in &attempts {
        assert!(attempt.measured.errors.is_empty(), "{attempt:?}");
        assert!(attempt.cpu_us_per_request().unwrap() > 0.0);
        let is_mixed = attempt.load_model == LoadModel::Invalid(0.1);
        assert_eq!(attempt.measured.refused > 0, is_mixed, "{attempt:?}");
    }
    let refused = bench.out.lines().filter(|line| line.contains("REFUSED"));
    assert!(refused.count() > 0, "{}", bench.out);
}

#[test]
fn open_loop_sends_at_its_rate() {
    let sandbox = Sandbox::new(&["target"]);
    let bench = sandbox.bench(&["target", "--scenarios=info", "--rounds=0", "--rate=200"]);
    assert_eq!(bench.code, Some(0), "{bench:?}");
    assert!(bench.out.contains("200/s"), "{bench:?}");
    let attempts = sandbox.results().attempts;
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].load_model, LoadModel::Open(200.0));
    // Far from the rate of a closed loop; the engine's tests measure how exact the rate is.
    let rate = attempts[0].measured.requests_per_sec();
    assert!((20.0..=400.0).contains(&rate), "{rate}");
}

#[test]
fn ended_run_leaves_nothing_running_and_is_continued() {
    for signal in [Signal::INT, Signal::KILL] {
        let sandbox = Sandbox::new(&["target"]);
        let bench = end_by(signal, sandbox.begin_bench());
        if signal == Signal::INT {
            assert_eq!(bench.code, Some(2), "{bench:?}");
            assert!(
                bench.err.contains("harness bench --resume run"),
                "{bench:?}"
            );
        }
        sandbox.assert_nothing_runs();
        let before = sandbox.results().attempts;
        sandbox.resume_after(&before);
    }
}

#[test]
fn runs_of_several_connections_and_workers_are_interleaved_and_continued() {
    let sandbox = Sandbox::new(&["target"]);
    let one_thread = format!("[ \"$WORKERS\" = 1 ] || exit 3; {}", script("target"));
    sandbox.add("ceiling", &one_thread, "category = \"ceiling\"");
    let numbers = [
        "bench",
        "target",
        "--connections=1,4",
        "--workers=1,2",
        "--rounds=2",
    ];
    let short = [
        "--scenarios=info",
        "--duration=500ms",
        "--warmup=100ms",
        "--out=run",
    ];
    let points = [(1, 1), (1, 4), (2, 1), (2, 4)];
    let read = |(workers, connections)| {
        let name = format!("workers-{workers}-connections-{connections}");
        results::read(&sandbox.path("run").join(name))
    };
    let bench = sandbox
        .command(&[&numbers[..], &short].concat())
        .spawn()
        .unwrap();
    wait_until("an attempt is recorded", || {
        read(points[0]).is_ok_and(|results| !results.attempts.is_empty())
    });
    end_by(Signal::KILL, bench);
    let before = read(points[0]).unwrap().attempts;
    let resumed = sandbox.run_to(0, &["bench", "--resume=run"]);
    assert_eq!(
        resumed.out.matches("\n1  target").count(),
        4,
        "{}",
        resumed.out
    );
    let mut starts = Vec::new();
    for point in points {
        let results = read(point).unwrap();
        let plan = &results.run.plan;
        assert_eq!((plan.workers, plan.connections), point);
        let rounds: Vec<_> = results.attempts.iter().map(|it| it.round).collect();
        assert_eq!(rounds, [1, 2]);
        let started = results.attempts.iter().map(|it| it.started_at.clone());
        starts.push(started.collect::<Vec<_>>());
    }
    assert_eq!(read(points[0]).unwrap().attempts[..before.len()], before);
    let last_first = starts.iter().map(|starts| &starts[0]).max();
    let first_second = starts.iter().map(|starts| &starts[1]).min();
    assert!(last_first <= first_second, "{starts:?}");
}

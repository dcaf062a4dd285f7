//! What befalls the harness itself: a full disk, a path that takes nothing, another harness at the
//! same time, and its own death.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::chaos::is_stopped;
use crate::field::Field;
use crate::suite::{Said, said, wait_until};
use crate::{hollow, stand_in};

impl Field {
    /// Fails unless all that a harness has started has ended.
    pub(crate) fn assert_nothing_runs(&self) {
        let mut running = Vec::new();
        wait_until("all has ended", || {
            running = self.running();
            running.is_empty()
        });
    }
}

/// What was said in the one line that says why nothing came of a command.
fn refusal(said: &Said) -> &str {
    assert_eq!(said.code, Some(2), "{said:?}");
    let line = said.err.lines().last().unwrap();
    assert!(line.starts_with("harness: "), "{said:?}");
    line
}

#[test]
fn a_full_disk_ends_a_run_whose_lines_stay_and_which_goes_on_when_there_is_room() {
    let field = Field::of(&["honest"]);
    let harness = field.begin();
    let results = field.path("run/results.jsonl");
    // The next line begins, and does not end.
    let most = Some(fs::metadata(&results).unwrap().len() + 100);
    let most = Rlimit {
        current: most,
        maximum: most,
    };
    prlimit(Some(Pid::from_child(&harness)), Resource::Fsize, most).unwrap();
    let said = said(harness.wait_with_output().unwrap());
    let line = refusal(&said);
    for phrase in [
        "harness bench --resume run",
        "writing to run/results.jsonl: File too large",
    ] {
        assert!(line.contains(phrase), "{phrase} in {line}");
    }
    field.assert_nothing_runs();
    assert!(fs::read(&results).unwrap().ends_with(b"\n"));
    let before = field.results();
    // It was not the contender that failed.
    assert_eq!(before.failures, []);
    field.resume_after(&before.attempts);
}

#[test]
fn a_run_that_cannot_begin_leaves_no_run_behind() {
    let field = Field::of(&["honest"]);
    // Room for what is no file: the engine is asked for its version, Postgres is not started.
    let mut command = field.harness_after("ulimit -f 0", &["bench", "honest", "--out=run"]);
    let said = said(command.output().unwrap());
    assert!(refusal(&said).contains("results.jsonl"), "{said:?}");
    assert!(!field.path("run/results.jsonl").exists());
    assert_eq!(field.pid("honest"), None);
}

#[test]
fn reports_of_a_run_that_cannot_be_written_are_written_later() {
    let field = Field::of(&["honest"]);
    fs::create_dir_all(field.path("run/report.md/in-the-way")).unwrap();
    let said = field.bench(&["honest", "--scenarios=info", "--rounds=1"]);
    let line = refusal(&said);
    for phrase in ["writing run/report.md", "harness report run"] {
        assert!(line.contains(phrase), "{phrase} in {line}");
    }
    field.assert_nothing_runs();
    let left = fs::read_dir(field.path("run")).unwrap().flatten();
    let mut hidden = left.filter(|file| file.file_name().as_encoded_bytes().starts_with(b"."));
    assert!(hidden.next().is_none());
    fs::remove_dir_all(field.path("run/report.md")).unwrap();
    let report = field.harness(&["report", "run"]).status().unwrap();
    assert_eq!(report.code(), Some(0));
    assert!(field.path("run/report.md").is_file());
}

#[test]
fn what_cannot_be_written_is_said_before_anything_starts() {
    let field = Field::of(&["honest"]);
    for (arguments, path) in [
        (&["check", "honest", "--json=missing/it"][..], "missing/it"),
        (&["check", "honest", "--junit=tmp"], "tmp"),
        (
            &["check", "honest", "--markdown=contenders.toml/it"],
            "contenders.toml/it",
        ),
        (
            &["chaos", "honest", "--out=contenders.toml/out"],
            "contenders.toml/out",
        ),
        (&["soak", "honest", "--json=missing/it"], "missing/it"),
        (
            &["bench", "honest", "--out=contenders.toml/out"],
            "contenders.toml/out",
        ),
    ] {
        let said = said(field.harness(arguments).output().unwrap());
        let line = refusal(&said);
        assert!(line.contains(path), "{path} in {line}");
        assert_eq!(said.err.lines().count(), 1, "{said:?}");
        assert_eq!(field.pid("honest"), None, "{arguments:?}");
    }
    let mut names: Vec<_> = fs::read_dir(field.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["contenders.toml", "tmp"]);
}

#[test]
fn a_report_that_finds_no_room_is_said_and_the_one_before_it_stays() {
    let field = Field::of(&[]);
    let url = format!("http://{}", hollow::start());
    fs::create_dir(field.path("out")).unwrap();
    let check = ["check", "--url", &url, "--only=info/200"];
    let chaos = ["chaos", "--url", &url, "--duration=300ms", "--faults=none"];
    for (command, option, file) in [
        (&check[..], "--json=check.json", "check.json"),
        (&check, "--junit=check.xml", "check.xml"),
        (&check, "--markdown=check.md", "check.md"),
        (&chaos, "--out=out", "out/chaos.json"),
    ] {
        let named = option.split('=').next_back().unwrap();
        fs::write(field.path(file), "the one before").unwrap();
        let arguments = [command, &[option]].concat();
        let full = field.harness_after("ulimit -f 0", &arguments).output();
        let said = said(full.unwrap());
        let line = refusal(&said);
        assert!(line.contains(&format!("writing {named}: ")), "{line}");
        let kept = fs::read_to_string(field.path(file)).unwrap();
        assert_eq!(kept, "the one before", "{file}");
        let hidden = fs::read_dir(field.path(file).parent().unwrap())
            .unwrap()
            .flatten()
            .filter(|file| file.file_name().as_encoded_bytes().starts_with(b"."));
        assert_eq!(hidden.count(), 0, "half a {file} is left");
    }
    let full = [&check[..], &["--json=/dev/full"]].concat();
    let said = said(field.harness(&full).output().unwrap());
    assert!(refusal(&said).contains("writing /dev/full"), "{said:?}");
}

#[test]
fn standard_output_that_takes_nothing_is_an_error_and_a_reader_that_has_gone_is_none() {
    let field = Field::of(&[]);
    let url = format!("http://{}", hollow::start());
    for format in ["--json", "--junit", "--markdown", "--verbose"] {
        let ask = |output: Stdio| {
            let mut command = field.harness(&["check", "--url", &url, "--only=info/200", format]);
            said(command.stdout(output).output().unwrap())
        };
        let full = File::options().write(true).open("/dev/full").unwrap();
        let full = ask(full.into());
        assert!(refusal(&full).contains("standard output"), "{full:?}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(ask(writer.into()).code, Some(1), "{format}");
    }
}

#[test]
fn two_at_once_on_the_same_contender_are_both_right() {
    let field = Field::of(&["honest"]);
    let check = || field.harness(&["check", "honest", "--only=info/*"]);
    let chaos = |out| {
        let arguments = ["honest", "--faults=none", "--duration=500ms", out];
        field.chaos_command(&arguments)
    };
    let all = [check(), check(), chaos("--out=one"), chaos("--out=two")];
    let all = all.map(|mut command: Command| command.spawn().unwrap());
    for one in all {
        let said = said(one.wait_with_output().unwrap());
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    field.assert_nothing_runs();
}

#[test]
fn a_run_on_processors_of_another_is_refused_with_who_has_them() {
    let field = Field::of(&["honest"]);
    let mut first = field.begin();
    let second = said(field.command(&["honest", "--out=other"]).output().unwrap());
    let line = refusal(&second);
    let who = format!("process {}: harness bench honest", first.id());
    assert!(line.contains("processor") && line.contains(&who), "{line}");
    assert!(!field.path("other").exists());
    first.kill().unwrap();
    first.wait().unwrap();
    // Who was killed has nothing any more.
    let before = field.results().attempts;
    field.resume_after(&before);
}

#[test]
fn a_check_or_chaos_that_is_killed_leaves_nothing_not_even_what_is_stopped() {
    let field = Field::of(&["honest"]);
    field.add(
        "leaving",
        &format!(
            "setsid sleep 300 </dev/null >/dev/null 2>&1 & {}",
            stand_in::script("honest")
        ),
    );
    let stop = ["honest", "--duration=30s", "--faults=process/stopped"];
    let (check, chaos) = (["check", "leaving"], field.chaos_command(&stop));
    for (name, mut command) in [("leaving", field.harness(&check)), ("honest", chaos)] {
        let mut harness = command.spawn().unwrap();
        wait_until("the contender", || field.pid(name).is_some());
        let contender = field.pid(name).unwrap();
        if name == "honest" {
            wait_until("the contender is stopped", || is_stopped(contender));
        }
        // The harness, the contender, Postgres and who watches them.
        assert!(field.running().len() >= 5, "{:?}", field.running());
        harness.kill().unwrap();
        harness.wait().unwrap();
        field.assert_nothing_runs();
        let folders = fs::read_dir(field.path(crate::field::TMP)).unwrap();
        let folders = folders.flatten().filter(|entry| entry.path().is_dir());
        assert_eq!(folders.count(), 0, "a folder is left");
    }
}

#[test]
fn a_build_ends_with_the_harness_that_is_killed() {
    let field = Field::of(&[]);
    field.add("built", "exec false");
    let path = field.path("contenders.toml");
    let build = fs::read_to_string(&path).unwrap() + "build = 'touch building; sleep 300'\n";
    fs::write(&path, build).unwrap();
    let mut harness = field.harness(&["check", "built"]).spawn().unwrap();
    wait_until("it is built", || field.path("building").exists());
    kill_process(Pid::from_child(&harness), Signal::KILL).unwrap();
    harness.wait().unwrap();
    field.assert_nothing_runs();
}

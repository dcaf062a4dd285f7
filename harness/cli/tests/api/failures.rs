//! Failures of contenders, of the machine and of the harness itself: each command reports them in
//! time, and no process is left.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::sandbox::{Outcome, Sandbox, TMP, end_by, outcome, process_state, wait_until};
use crate::server;
use crate::stand_in::{FLOODED, script};

/// Disk space that a log may take, with what is written between two measurements of it.
const LOG_MAX_MIB: u64 = 128;

/// More than a log without a limit would hold.
const FLOOD_MIB: u64 = 300;

/// Longer than the check of a contender that hangs, but not once per check.
const IN_TIME: Duration = Duration::from_secs(90);

/// Waits for a harness, and kills it if it takes too long.
fn in_time(harness: Child) -> Outcome {
    let pid = Pid::from_child(&harness);
    let (ended, wait) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        let late = wait.recv_timeout(IN_TIME) == Err(RecvTimeoutError::Timeout);
        if late {
            let _ = kill_process(pid, Signal::KILL);
        }
        late
    });
    let ended_with = outcome(harness.wait_with_output().unwrap());
    drop(ended);
    assert!(
        !guard.join().unwrap(),
        "not within {IN_TIME:?}: {ended_with:?}"
    );
    ended_with
}

/// Returns the one line that says why a command could not run.
fn error(ended: &Outcome) -> &str {
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let line = ended.err.lines().last().unwrap();
    assert!(line.starts_with("harness: "), "{ended:?}");
    line
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[test]
fn contender_that_ends_or_hangs_during_its_check_fails_it() {
    for trouble in [Signal::KILL, Signal::STOP] {
        let sandbox = Sandbox::new(&["target"]);
        let log = sandbox.path("log");
        let mut check = sandbox.command(&["check", "target"]);
        check.stderr(File::create(&log).unwrap());
        let check = check.spawn().unwrap();
        wait_until("the check has begun", || {
            fs::read_to_string(&log).unwrap().contains("checking")
        });
        signal(sandbox.pid("target").unwrap(), trouble);
        let check = in_time(check);
        assert_eq!(check.code, Some(1), "{check:?}");
        assert!(check.out.contains("FAILED"), "{}", check.out);
        sandbox.assert_nothing_runs();
    }
}

#[test]
fn contender_that_ends_or_hangs_under_load_loses_one_round() {
    for trouble in [Signal::KILL, Signal::STOP] {
        let sandbox = Sandbox::new(&["target"]);
        let bench = sandbox.begin_bench();
        signal(sandbox.pid("target").unwrap(), trouble);
        let bench = outcome(bench.wait_with_output().unwrap());
        assert_eq!(bench.code, Some(1), "{bench:?}");
        sandbox.assert_nothing_runs();
        let results = sandbox.results();
        let failures: Vec<_> = results.failures.iter().map(|it| it.round).collect();
        assert_eq!(failures, [1], "{results:?}");
        let rounds: Vec<_> = results.attempts.iter().map(|it| it.round).collect();
        assert_eq!(rounds, [1, 2, 2]);
        assert!(results.ended_at.is_some());
    }
}

#[test]
fn flooded_log_takes_limited_disk_space() {
    let sandbox = Sandbox::new(&["flooding"]);
    let long = ["bench", "flooding", "--scenarios=info", "--duration=10m"];
    let bench = sandbox.command(&long).spawn().unwrap();
    let mut most = 0;
    wait_until("the log is flooded", || {
        let folders = fs::read_dir(sandbox.path(TMP)).unwrap().flatten();
        let logs = folders.map(|folder| folder.path().join("contender.log"));
        let blocks = logs.filter_map(|log| Some(log.metadata().ok()?.blocks()));
        most = most.max(blocks.sum::<u64>() * 512 / (1 << 20));
        let flooded = fs::read_to_string(sandbox.path(FLOODED)).unwrap_or_default();
        flooded.parse().is_ok_and(|mib: u64| mib >= FLOOD_MIB)
    });
    assert!((1..LOG_MAX_MIB).contains(&most), "{most} MiB");
    let bench = end_by(Signal::INT, bench);
    assert_eq!(bench.code, Some(2), "{bench:?}");
    sandbox.assert_nothing_runs();
}

#[test]
fn end_of_a_flooded_log_is_shown() {
    let sandbox = Sandbox::new(&[]);
    let flood =
        "head -c 200000000 /dev/zero | tr '\\0' x >&2; echo; echo the reason; sleep 0.5; exit 3";
    sandbox.add("last-words", flood, "");
    let check = sandbox.run_to(2, &["check", "last-words"]);
    assert!(check.err.contains("the reason"), "{}", check.err.len());
    assert!(check.err.len() < 100_000, "{} bytes", check.err.len());
}

#[test]
fn processes_that_leave_the_group_or_ignore_signals_are_ended() {
    let sandbox = Sandbox::new(&[]);
    let detached = "setsid sleep 300 </dev/null >/dev/null 2>&1 & setsid sleep 300 <&0 &";
    sandbox.add("leaving", &format!("{detached} {}", script("target")), "");
    let deaf = format!("trap '' INT TERM HUP; {}", script("target"));
    sandbox.add("deaf", &deaf, "");
    for name in ["leaving", "deaf"] {
        let check = sandbox.command(&["check", name, "--only=info/200"]).spawn();
        let check = in_time(check.unwrap());
        assert_eq!(check.code, Some(0), "{check:?}");
        assert_eq!(
            name == "deaf",
            check.err.contains("killing it"),
            "{check:?}"
        );
        sandbox.assert_nothing_runs();
    }
}

/// Starts and continuations of invalid responses; each connection gets the next one, without end.
const INVALID: [(&str, &str); 9] = [
    ("\0\0\0\0", ""),
    (
        "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n",
        "",
    ),
    (
        "HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775807\r\n\r\n",
        "x",
    ),
    (
        "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n",
        "x",
    ),
    ("HTTP/1.1 200 OK\r\n\r\n", "x"),
    ("HTTP/1.1 200 OK\r\nx: ", "x"),
    ("HTTP/1.1 200 OK\r\n", "x: y\r\n"),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1"),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffff\r\n",
        "x",
    ),
];

fn respond_invalidly(mut client: TcpStream, (begin, rest): (&str, &str)) {
    let _ = client.read(&mut [0; 4096]);
    let rest = rest.repeat(64 * 1024);
    let mut sent = client.write_all(begin.as_bytes());
    while sent.is_ok() && !rest.is_empty() {
        sent = client.write_all(rest.as_bytes());
    }
}

fn start_invalid_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let clients = listener.incoming().flatten();
        for (client, response) in clients.zip(INVALID.iter().cycle()) {
            thread::spawn(move || respond_invalidly(client, *response));
        }
    });
    address
}

#[test]
fn endless_invalid_responses_fail_every_check_in_bounded_memory() {
    let sandbox = Sandbox::new(&[]);
    let url = format!("http://{}", start_invalid_server());
    let check = ["check", "--url", &url, "--level=work"];
    // KiB of address space, most of it for threads: an endless response fills it in seconds.
    let check = sandbox.command_after("ulimit -v 8000000", &check).spawn();
    let check = in_time(check.unwrap());
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(check.out.contains("FAILED info/200"), "{}", check.out);
}

#[test]
fn run_on_a_full_disk_is_continued_once_there_is_room() {
    let sandbox = Sandbox::new(&["target"]);
    let bench = sandbox.begin_bench();
    let results = sandbox.path("run/results.jsonl");
    // The next line begins and does not end.
    let limit = Some(fs::metadata(&results).unwrap().len() + 100);
    let limit = Rlimit {
        current: limit,
        maximum: limit,
    };
    prlimit(Some(Pid::from_child(&bench)), Resource::Fsize, limit).unwrap();
    let bench = outcome(bench.wait_with_output().unwrap());
    for phrase in [
        "harness bench --resume run",
        "run/results.jsonl: File too large",
    ] {
        assert!(error(&bench).contains(phrase), "{phrase} in {bench:?}");
    }
    sandbox.assert_nothing_runs();
    assert!(fs::read(&results).unwrap().ends_with(b"\n"));
    let before = sandbox.results();
    assert_eq!(before.failures, [], "not the contender's failure");
    sandbox.resume_after(&before.attempts);
}

#[test]
fn unwritable_files_are_reported_before_anything_starts() {
    let sandbox = Sandbox::new(&["target"]);
    for (line, path) in [
        ("check target --json=missing/it", "missing/it"),
        ("check target --junit=tmp", "tmp"),
        (
            "check target --markdown=contenders.toml/it",
            "contenders.toml/it",
        ),
        (
            "chaos target --out=contenders.toml/out",
            "contenders.toml/out",
        ),
        ("soak target --json=missing/it", "missing/it"),
        (
            "bench target --out=contenders.toml/out",
            "contenders.toml/out",
        ),
    ] {
        let arguments: Vec<_> = line.split(' ').collect();
        let ended = sandbox.run(&arguments);
        assert!(error(&ended).contains(path), "{path} in {ended:?}");
        assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    }
    // Room for no file at all, but for what is not one.
    let bench = ["bench", "target", "--out=run"];
    let bench = outcome(
        sandbox
            .command_after("ulimit -f 0", &bench)
            .output()
            .unwrap(),
    );
    assert!(error(&bench).contains("results.jsonl"), "{bench:?}");
    assert!(!sandbox.path("run/results.jsonl").exists());
    assert_eq!(sandbox.pid("target"), None);
}

#[test]
fn reports_that_could_not_be_written_are_written_by_report() {
    let sandbox = Sandbox::new(&["target"]);
    fs::create_dir_all(sandbox.path("run/report.md/in-the-way")).unwrap();
    let bench = sandbox.bench(&["target", "--scenarios=info", "--rounds=1"]);
    for phrase in ["writing run/report.md", "harness report run"] {
        assert!(error(&bench).contains(phrase), "{phrase} in {bench:?}");
    }
    fs::remove_dir_all(sandbox.path("run/report.md")).unwrap();
    sandbox.run_to(0, &["report", "run"]);
    assert!(sandbox.path("run/report.md").is_file());
}

#[test]
fn report_without_room_leaves_the_previous_one() {
    let sandbox = Sandbox::new(&[]);
    let url = format!("http://{}", server::start());
    fs::create_dir(sandbox.path("out")).unwrap();
    let check = ["check", "--url", &url, "--only=info/200"];
    let chaos = ["chaos", "--url", &url, "--duration=300ms", "--faults=none"];
    for (command, option, file) in [
        (&check[..], "--json=check.json", "check.json"),
        (&chaos, "--out=out", "out/chaos.json"),
    ] {
        fs::write(sandbox.path(file), "the previous one").unwrap();
        let arguments = [command, &[option]].concat();
        let full = sandbox.command_after("ulimit -f 0", &arguments).output();
        let full = outcome(full.unwrap());
        assert!(error(&full).contains("writing "), "{full:?}");
        let kept = fs::read_to_string(sandbox.path(file)).unwrap();
        assert_eq!(kept, "the previous one", "{file}");
        let folder = fs::read_dir(sandbox.path(file).parent().unwrap()).unwrap();
        let names = folder.flatten().map(|file| file.file_name());
        let mut hidden = names.filter(|name| name.as_encoded_bytes().starts_with(b"."));
        assert_eq!(hidden.next(), None);
    }
}

#[test]
fn full_standard_output_is_an_error_and_a_closed_one_is_not() {
    let sandbox = Sandbox::new(&[]);
    let url = format!("http://{}", server::start());
    for format in ["--json", "--verbose"] {
        let check = |output: Stdio| {
            let mut command = sandbox.command(&["check", "--url", &url, "--only=info/200", format]);
            outcome(command.stdout(output).output().unwrap())
        };
        let full = check(
            File::options()
                .write(true)
                .open("/dev/full")
                .unwrap()
                .into(),
        );
        assert!(error(&full).contains("standard output"), "{full:?}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(check(writer.into()).code, Some(1), "{format}");
    }
}

#[test]
fn two_harnesses_on_one_contender_both_pass() {
    let sandbox = Sandbox::new(&["target"]);
    let check = || sandbox.command(&["check", "target", "--only=info/*"]);
    let chaos = |out| sandbox.chaos(&["target", "--faults=none", "--duration=500ms", out]);
    let all = [check(), check(), chaos("--out=one"), chaos("--out=two")];
    for harness in all.map(|mut command| command.spawn().unwrap()) {
        let ended = outcome(harness.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    sandbox.assert_nothing_runs();
}

#[test]
fn missing_cpus_are_refused_before_anything_is_written() {
    let sandbox = Sandbox::new(&["target"]);
    for cpus in ["--cpus=1000/0", "--cpus=0/1000"] {
        let refused = sandbox.run_to(2, &["bench", "target", "--out=run", cpus]);
        assert!(refused.err.contains("this process may use"), "{refused:?}");
        assert!(!sandbox.path("run").exists(), "{cpus}");
    }
}

#[test]
fn second_run_on_the_same_cpus_is_refused() {
    let sandbox = Sandbox::new(&["target"]);
    let first = sandbox.begin_bench();
    let second = sandbox.run(&["bench", "target", "--out=other"]);
    let owner = format!("process {}: harness bench target", first.id());
    assert!(error(&second).contains(&owner), "{second:?}");
    assert!(!sandbox.path("other").exists());
    end_by(Signal::KILL, first);
    // The lock of a killed run is free.
    let before = sandbox.results().attempts;
    sandbox.resume_after(&before);
}

#[test]
fn killed_harness_leaves_no_process_and_no_folder() {
    let sandbox = Sandbox::new(&["target"]);
    let detached = "setsid sleep 300 </dev/null >/dev/null 2>&1 &";
    sandbox.add("leaving", &format!("{detached} {}", script("target")), "");
    sandbox.add(
        "built",
        "exec false",
        "build = 'echo $$ > built; sleep 300'",
    );
    let stop = ["target", "--duration=30s", "--faults=process/stopped"];
    for (name, mut command) in [
        ("leaving", sandbox.command(&["check", "leaving"])),
        ("target", sandbox.chaos(&stop)),
        ("built", sandbox.command(&["check", "built"])),
    ] {
        let harness = command.spawn().unwrap();
        wait_until("the contender runs", || {
            let state = sandbox.pid(name).and_then(process_state);
            state.is_some() && (name != "target" || state == Some('T'))
        });
        end_by(Signal::KILL, harness);
        sandbox.assert_nothing_runs();
        let folders = fs::read_dir(sandbox.path(TMP)).unwrap().flatten();
        assert_eq!(folders.filter(|entry| entry.path().is_dir()).count(), 0);
    }
}

//! Contenders that make trouble: each command ends in time and says what it met, and nothing is left
//! of them.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::field::{Field, TMP};
use crate::stand_in::{self, FLOODED};
use crate::suite::{Said, said, wait_until};

/// What a log may take, beside what is written between two looks at it.
const LOG_MAX_MIB: u64 = 128;

/// Longer than a log that is not cut would need.
const FLOOD_MIB: u64 = 300;

/// A check of what answers no more, its last patience included; by far not one patience for each of
/// 175 checks.
const IN_TIME: Duration = Duration::from_secs(90);

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// What a harness says, which is killed if it takes too long.
fn in_time(harness: Child) -> Output {
    let pid = Pid::from_child(&harness);
    let (ended, wait) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        let late = wait.recv_timeout(IN_TIME) == Err(RecvTimeoutError::Timeout);
        if late {
            let _ = kill_process(pid, Signal::KILL);
        }
        late
    });
    let output = harness.wait_with_output().unwrap();
    drop(ended);
    assert!(!guard.join().unwrap(), "not within {IN_TIME:?}: {output:?}");
    output
}

/// Does this to a contender in the middle of its check: what came of that.
fn check_and(trouble: Signal) -> Said {
    let field = Field::of(&["honest"]);
    let told = field.path("told");
    let mut check = field.harness(&["check", "honest"]);
    check.stderr(File::create(&told).unwrap());
    let check = check.spawn().unwrap();
    wait_until("the check has begun", || {
        fs::read_to_string(&told).unwrap().contains("checking")
    });
    signal(field.pid("honest").unwrap(), trouble);
    let output = in_time(check);
    field.assert_nothing_runs();
    Said {
        err: fs::read_to_string(told).unwrap(),
        ..said(output)
    }
}

#[test]
fn who_dies_while_it_is_checked_is_told_and_asked_no_more() {
    let said = check_and(Signal::KILL);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("contender has ended"), "{said:?}");
    assert!(said.out.contains("answers no more"), "{}", said.out);
}

#[test]
fn who_hangs_while_it_is_checked_is_told_and_waited_for_once() {
    let said = check_and(Signal::STOP);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("no answer"), "{}", said.out);
    assert!(said.out.contains("answers no more"), "{}", said.out);
}

/// Does this to a contender in the first round of its measurement, and fails unless that round
/// alone is lost, for this reason.
fn bench_and(trouble: Signal, reason: &str) {
    let field = Field::of(&["honest"]);
    let bench = field.begin();
    signal(field.pid("honest").unwrap(), trouble);
    let said = said(bench.wait_with_output().unwrap());
    assert_eq!(said.code, Some(1), "{said:?}");
    field.assert_nothing_runs();
    let results = field.results();
    let failures: Vec<_> = results.failures.iter().map(|it| it.round).collect();
    assert_eq!(failures, [1], "{results:?}");
    let error = &results.failures[0].error;
    assert!(error.contains(reason), "{error}");
    let rounds: Vec<_> = results.attempts.iter().map(|it| it.round).collect();
    assert_eq!(rounds, [1, 2, 2]);
    assert!(results.ended_at.is_some());
}

#[test]
fn who_dies_under_load_loses_a_round_and_is_started_again() {
    bench_and(Signal::KILL, "contender has ended");
}

#[test]
fn who_hangs_under_load_loses_a_round_and_is_started_again() {
    bench_and(Signal::STOP, "does not answer any more");
}

/// MiB on the disk of the logs of a field's contenders.
fn log_mib(field: &Field) -> u64 {
    let folders = fs::read_dir(field.path(TMP)).unwrap().flatten();
    let logs = folders.map(|folder| folder.path().join("contender.log"));
    let blocks = logs.filter_map(|log| Some(log.metadata().ok()?.blocks()));
    blocks.sum::<u64>() * 512 / (1 << 20)
}

fn interrupted(harness: Child) {
    signal(i32::try_from(harness.id()).unwrap(), Signal::INT);
    let said = said(harness.wait_with_output().unwrap());
    assert_eq!(said.code, Some(2), "{said:?}");
}

#[test]
fn a_log_that_is_flooded_takes_no_more_than_its_share_of_the_disk() {
    let field = Field::of(&["flooding"]);
    let long = [
        "flooding",
        "--scenarios=info",
        "--duration=10m",
        "--out=run",
    ];
    let bench = field.command(&long).spawn().unwrap();
    let mut most = 0;
    wait_until("the log is flooded", || {
        most = most.max(log_mib(&field));
        let flooded = fs::read_to_string(field.path(FLOODED)).unwrap_or_default();
        flooded.parse().is_ok_and(|mib: u64| mib >= FLOOD_MIB)
    });
    assert!((1..LOG_MAX_MIB).contains(&most), "{most} MiB");
    interrupted(bench);
    field.assert_nothing_runs();
}

#[test]
fn the_end_of_a_flooded_log_is_still_shown() {
    let field = Field::of(&[]);
    field.add(
        "last-words",
        "head -c 200000000 /dev/zero | tr '\\0' x >&2; echo; echo the reason; sleep 0.5; exit 3",
    );
    let said = said(field.harness(&["check", "last-words"]).output().unwrap());
    assert_eq!(said.code, Some(2), "{}", said.err.len());
    assert!(said.err.contains("the reason"), "{}", said.err.len());
    assert!(said.err.len() < 100_000, "{} bytes", said.err.len());
}

#[test]
fn what_leaves_its_session_is_ended_too() {
    let field = Field::of(&[]);
    let leaving = format!(
        "setsid sleep 300 </dev/null >/dev/null 2>&1 & setsid sleep 300 <&0 & {}",
        stand_in::script("honest")
    );
    field.add("leaving", &leaving);
    let check = ["check", "leaving", "--only=info/200"];
    let said = said(field.harness(&check).output().unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");
    field.assert_nothing_runs();
}

#[test]
fn who_ignores_signals_is_killed() {
    let field = Field::of(&[]);
    let deaf = format!("trap '' INT TERM HUP; {}", stand_in::script("honest"));
    field.add("deaf", &deaf);
    let check = field.harness(&["check", "deaf", "--only=info/200"]).spawn();
    let check = said(in_time(check.unwrap()));
    assert_eq!(check.code, Some(0), "{check:?}");
    let bench = field.bench(&["deaf", "--scenarios=info", "--rounds=1"]);
    assert_eq!(bench.code, Some(0), "{bench:?}");
    for said in [check, bench] {
        assert!(said.err.contains("killing it"), "{said:?}");
    }
    field.assert_nothing_runs();
}

/// A server whose answers are none, each connection's another one; gives where.
fn garbage() -> SocketAddr {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            thread::spawn(move || babble(client, number));
        }
    });
    address
}

/// What an answer begins with, and what it goes on with for ever.
const GARBAGE: [(&str, &str); 9] = [
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

fn babble(mut client: TcpStream, number: usize) {
    // The request, or as much of it as comes first.
    let _ = client.read(&mut [0; 4096]);
    let (begin, rest) = GARBAGE[number % GARBAGE.len()];
    let rest = rest.repeat(64 * 1024);
    let mut sent = client.write_all(begin.as_bytes());
    while sent.is_ok() && !rest.is_empty() {
        sent = client.write_all(rest.as_bytes());
    }
}

#[test]
fn garbage_without_end_fails_every_check_and_costs_no_memory() {
    let field = Field::of(&[]);
    let url = format!("http://{}", garbage());
    let check = ["check", "--url", &url, "--level=work"];
    // KiB of address space, most of it the stacks of threads: an answer for ever takes that in seconds.
    let check = field.harness_after("ulimit -v 8000000", &check).spawn();
    let said = said(in_time(check.unwrap()));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("FAILED info/200"), "{}", said.out);
}

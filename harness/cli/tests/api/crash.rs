//! Processes that are killed: by what they leave behind, `down` finds all the rest.

use rustix::process::{Pid, Signal, kill_process};

use crate::stand_in;
use crate::suite::{Suite, is_alive, wait_until};

#[test]
fn down_stops_what_a_killed_up_has_started() {
    let suite = Suite::new();
    suite.install("target-axum", &stand_in::script("never-ready"));
    let mut up = suite.command(&["up"]).spawn().unwrap();
    wait_until("the target runs", || suite.pid("target").is_some());
    up.kill().unwrap();
    up.wait().unwrap();
    let pids = suite.pids().map(Option::unwrap);
    let down = suite.succeed(&["down"]);
    assert_eq!(down.matches("stopped").count(), 3, "{down}");
    assert!(pids.into_iter().all(|pid| !is_alive(pid)));
}

#[test]
fn an_up_that_is_killed_while_the_cluster_is_made_leaves_nothing_that_stays() {
    let suite = Suite::new().opened();
    let mut up = suite.command(&["up"]).spawn().unwrap();
    let half_made = suite.state().join("data.new/PG_VERSION");
    wait_until("initdb is at work", || half_made.exists());
    up.kill().unwrap();
    up.wait().unwrap();
    let down = suite.succeed(&["down"]);
    assert!(down.contains("initdb: stopped"), "{down}");
    suite.succeed(&["up"]);
}

#[test]
fn up_replaces_what_was_killed_and_keeps_the_rest() {
    let suite = Suite::new();
    suite.succeed(&["up"]);
    let [postgres, upstream, target] = suite.pids().map(Option::unwrap);
    for pid in [postgres, upstream] {
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }
    wait_until("they are gone", || {
        suite.pids() == [None, None, Some(target)]
    });
    suite.succeed(&["up"]);
    let now = suite.pids().map(Option::unwrap);
    assert!(now[0] != postgres && now[1] != upstream);
    assert_eq!(
        now[2], target,
        "same ports: the target has nothing to learn"
    );
}

//! `harness prepare` as its user meets it: who is ready, who is not and what to do, and that what
//! was prepared is what `check` starts.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::stand_in;
use crate::suite::{Suite, is_alive, said, wait_until};

/// Writes a list of contenders, each of a name and more lines of its stanza.
fn list(suite: &Suite, name: &str, stanzas: &[(&str, &str)]) -> String {
    let stanzas = stanzas.iter().map(|(name, more)| {
        format!(
            "[{name}]\nlanguage = \"L\"\nframework = \"F\"\ncommand = \"exec ./hollow\"\n{more}\n"
        )
    });
    let path = suite.path(name);
    fs::write(&path, stanzas.collect::<String>()).unwrap();
    path.display().to_string()
}

/// The words of a contender's row.
fn row<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let rows = table.lines().map(|line| line.split_whitespace().collect());
    rows.into_iter()
        .find(|words: &Vec<&str>| words.first() == Some(&name))
        .unwrap()
}

#[test]
fn who_fails_stops_nobody_and_the_table_says_what_to_do() {
    let suite = Suite::new();
    let stanzas = [
        ("a", "build = 'echo first; echo no luck today; false'"),
        (
            "b",
            "needs = { no-such-program = 'get it there' }\nbuild = 'touch b'",
        ),
        ("c", "folder = 'nowhere'"),
        (
            "d",
            "needs = { sh = 'never said' }\nbuild = '''echo \"$CONTENDERS_DIR\"\ntouch d'''",
        ),
    ];
    let file = list(&suite, "contenders.toml", &stanzas);
    let said = suite.run(&["prepare", "--all", "--contenders", &file]);
    assert_eq!(said.code, Some(2), "{said:?}");
    let why = |name| row(&said.out, name)[1..].join(" ");
    assert!(
        why("a").starts_with("missing") && why("a").ends_with("no luck today"),
        "{}",
        said.out
    );
    assert!(
        why("b").ends_with("no-such-program is missing: get it there"),
        "{}",
        said.out
    );
    assert!(why("c").contains("there is no folder"), "{}", said.out);
    assert!(
        why("d").starts_with("ready") && why("d").ends_with("L, F"),
        "{}",
        said.out
    );
    assert!(suite.path("d").exists() && !suite.path("b").exists());
    assert!(said.err.contains("  first\n"), "{}", said.err);
    assert!(
        said.err
            .ends_with("harness: 3 of 4 are not ready: a, b, c\n"),
        "{}",
        said.err
    );
    let said = suite.run(&["prepare", "d", "--contenders", &file]);
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn a_contender_of_a_checkout_is_prepared_and_checked_by_its_stanza_beside_the_list_s() {
    let suite = Suite::new();
    let file = list(&suite, "contenders.toml", &[("mine", "")]);
    list(
        &suite,
        "contenders.api-benchmarks.toml",
        &[("gin", "build = 'cp ../hollow hollow'\nfolder = 'gin'")],
    );
    fs::create_dir_all(suite.path("checkout/gin")).unwrap();
    let checkout = suite.path("checkout").display().to_string();
    fs::write(suite.path("checkout/compose.base.yml"), "services: {}\n").unwrap();
    let compose = "services:\n  gin:\n    build: .\n  runner: {}\n";
    fs::write(suite.path("checkout/compose.gin.yml"), compose).unwrap();
    suite.install("hollow", &stand_in::script("hollow"));
    suite.install("checkout/hollow", &stand_in::script("hollow"));

    let chosen = ["--contenders", &file, "--api-benchmarks", &checkout];
    let table = suite.succeed(&[&["prepare", "--all"], &chosen[..]].concat());
    assert_eq!(
        [row(&table, "mine")[1], row(&table, "gin")[1]],
        ["ready"; 2]
    );
    assert!(suite.path("checkout/gin/hollow").exists());
    let check = [&["check", "gin", "mine", "--only", "info/200"], &chosen[..]].concat();
    let said = suite.run(&check);
    assert_eq!(said.code, Some(1), "{said:?}");
    let (gin, mine) = (
        said.out.find("gin (L, F): 1 checks"),
        said.out.find("mine (L, F): 1 checks"),
    );
    assert!(gin.is_some() && gin < mine, "{}", said.out);
}

#[test]
fn an_interrupted_build_leaves_nothing_running() {
    let suite = Suite::new();
    let build = "build = 'sleep 300 & echo $! >pid.new; mv pid.new pid; wait'";
    let file = list(
        &suite,
        "contenders.toml",
        &[("a", build), ("b", "build = 'touch b'")],
    );
    let prepare = suite
        .command(&["prepare", "--all", "--contenders", &file])
        .spawn();
    let prepare = prepare.unwrap();
    wait_until("the build runs", || suite.path("pid").exists());
    kill_process(Pid::from_child(&prepare), Signal::TERM).unwrap();
    let said = said(prepare.wait_with_output().unwrap());
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.ends_with("harness: interrupted\n"), "{}", said.err);
    let pid = fs::read_to_string(suite.path("pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    wait_until("what the build started is gone", || !is_alive(pid));
    assert!(!suite.path("b").exists());
}

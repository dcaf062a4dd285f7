//! A server: the machine's own, else one that is got for it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use schema::limits::POSTGRES_MIN_MAJOR;

use super::base::base;
use super::embedded;
use super::find::{self, Server};
use super::packages::Manager;
use crate::account::Account;
use crate::interrupt::Interrupt;
use crate::state::{State, checkout};

/// When set to anything but nothing and `0`, no server is downloaded or installed.
const NO_INSTALL: &str = "NO_INSTALL";

/// One way to get a server.
struct Way<'a> {
    /// As it ends the sentence "getting …".
    name: String,
    get: Box<dyn FnOnce() -> Result<()> + 'a>,
}

/// A server for what needs no state of its own: looks first, and touches the suite's state only to
/// get one.
///
/// # Errors
/// As [`server`].
pub fn shared_server(interrupt: &Interrupt) -> Result<Server> {
    let state = State::find()?;
    if let Some(server) = known(&state)? {
        return Ok(server);
    }
    // Commands that start together get one once.
    let _lock = state.lock(interrupt)?;
    server(state.folder(), interrupt)
}

/// The newest server that there is, without getting one.
///
/// # Errors
/// There is no user for Postgres.
pub fn known(state: &State) -> Result<Option<Server>> {
    let unpacked = if state.exists() {
        unpacked(state.folder())?
    } else {
        state.folder().to_path_buf()
    };
    Ok(find::newest(&unpacked))
}

/// Whether [`NO_INSTALL`] forbids getting a server.
pub fn is_forbidden() -> bool {
    env::var_os(NO_INSTALL).is_some_and(|value| !value.is_empty() && value != "0")
}

/// How a person gets a server.
pub fn advice() -> String {
    Manager::of_this_machine().map_or_else(
        || "put the folder of its initdb and postgres into PATH".to_owned(),
        |manager| format!("run `{manager}`"),
    )
}

/// Where a build is unpacked: where the user of Postgres can run it.
fn unpacked(state: &Path) -> Result<PathBuf> {
    Ok(base(state, &Account::for_postgres()?)?.join("postgresql"))
}

/// The newest server of the machine. If there is none, says so and gets one: a pinned build
/// unpacked beside the cluster, else a package of the system. The logs of that go to `state`.
///
/// A package may bring the user `postgres` with it, so [`Account::for_postgres`] is asked after
/// this.
///
/// # Errors
/// Interrupted, or there is no server and none can be got: says what to do.
pub fn server(state: &Path, interrupt: &Interrupt) -> Result<Server> {
    let unpacked = unpacked(state)?;
    let manager = Manager::of_this_machine();
    let mut ways = Vec::new();
    ways.extend(checkout().map(|checkout| Way {
        name: format!(
            "PostgreSQL {} for this suite alone; building its download takes a few minutes",
            embedded::VERSION
        ),
        get: Box::new({
            let unpacked = &unpacked;
            move || embedded::get(&checkout, unpacked, state, interrupt)
        }),
    }));
    ways.extend(manager.map(|manager| Way {
        name: format!("the system's package, as by `{manager}`"),
        get: Box::new(move || manager.install(&state.join("install.log"))),
    }));
    obtain(
        || find::newest(&unpacked),
        is_forbidden(),
        ways,
        &advice(),
        interrupt,
    )
}

fn obtain(
    find: impl Fn() -> Option<Server>,
    forbidden: bool,
    ways: Vec<Way<'_>>,
    advice: &str,
    interrupt: &Interrupt,
) -> Result<Server> {
    if let Some(server) = find() {
        return Ok(server);
    }
    let none = format!("no PostgreSQL server of version {POSTGRES_MIN_MAJOR} or newer here");
    if forbidden {
        bail!("{none}, and {NO_INSTALL} forbids getting one: {advice}");
    }
    eprintln!("postgres: {none}");
    for way in ways {
        eprintln!("postgres: getting {}", way.name);
        let got = (way.get)();
        interrupt.check()?;
        match (got, find()) {
            (Ok(()), Some(server)) => return Ok(server),
            (Ok(()), None) => eprintln!("postgres: it holds no such server"),
            (Err(error), _) => eprintln!("postgres: that failed: {error:#}"),
        }
    }
    Err(anyhow!("{none}, and none could be got: {advice}"))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::path::PathBuf;

    use super::*;

    /// What happens on a machine where a server is there from the beginning, or after the named
    /// way, or never: the ways that were tried, and the outcome.
    fn try_on(there_after: Option<&str>, forbidden: bool) -> (Vec<&'static str>, Result<Server>) {
        let tried = RefCell::new(Vec::new());
        let way = |name: &'static str, works: bool| Way {
            name: name.to_owned(),
            get: Box::new({
                let tried = &tried;
                move || {
                    tried.borrow_mut().push(name);
                    if works { Ok(()) } else { bail!("no way") }
                }
            }),
        };
        let server = Server {
            major: 17,
            version: "17.2".to_owned(),
            bin: PathBuf::from("/bin"),
        };
        let find = || {
            let there = there_after
                .is_some_and(|name| name == "the beginning" || tried.borrow().contains(&name));
            there.then(|| server.clone())
        };
        let ways = vec![
            way("a download", false),
            way("an empty package", true),
            way("a package", true),
        ];
        let found = obtain(find, forbidden, ways, "run `x`", &Interrupt::never());
        (tried.take(), found)
    }

    #[test]
    fn a_server_that_is_there_is_taken_even_if_nothing_may_be_installed() {
        let (tried, found) = try_on(Some("the beginning"), true);
        assert!(tried.is_empty());
        assert_eq!(found.unwrap().major, 17);
    }

    #[test]
    fn the_ways_are_tried_in_order_until_one_gives_a_server() {
        let (tried, found) = try_on(Some("a package"), false);
        assert_eq!(tried, ["a download", "an empty package", "a package"]);
        assert_eq!(found.unwrap().major, 17);
    }

    #[test]
    fn without_any_server_one_line_says_what_to_run() {
        let (tried, found) = try_on(None, false);
        assert_eq!(tried.len(), 3);
        let error = found.unwrap_err().to_string();
        assert!(error.ends_with("and none could be got: run `x`"), "{error}");
    }

    #[test]
    fn no_install_forbids_every_way() {
        let (tried, found) = try_on(None, true);
        assert!(tried.is_empty());
        let error = found.unwrap_err().to_string();
        assert!(
            error.contains("NO_INSTALL forbids getting one: run `x`"),
            "{error}"
        );
    }
}

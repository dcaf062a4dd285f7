//! `harness check --watch`: checks again whenever the contender restarts, and shows what changed.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use glob::Pattern;

use conformance::{Format, Options, Report, Subject};
use testbed::contender::Category;
use testbed::interrupt::Interrupt;
use testbed::port::listening_sockets;
use testbed::terminal::show;

use super::watched;

/// Interval at which the contender's listening sockets are read.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Checks the contender and again after each restart, until interrupted. Where `options` choose no
/// checks, only those that failed last run again, as long as some fail.
///
/// # Errors
/// Interrupted, the harness fails, or no process of this machine listens at the address.
pub(super) fn watch(
    subject: &Arc<Subject>,
    address: SocketAddr,
    options: &Options,
    url: &str,
    interrupt: &Interrupt,
) -> Result<Infallible> {
    let mut former: Option<Report> = None;
    loop {
        let sockets = listening_sockets(address.port());
        ensure!(
            !sockets.is_empty(),
            "--watch needs a contender on this machine: no process listens on port {}",
            address.port()
        );
        let report = watched(subject, &chosen(options, former.as_ref()), url, interrupt)?;
        let report = report.of(url, "", Category::Standard);
        let restarted = listening_sockets(address.port()) != sockets;
        if restarted {
            eprintln!("{url} ended while it was checked");
        } else {
            show(&match &former {
                Some(former) => report.changes_since(former),
                None => Format::Text { verbose: false }.write(std::slice::from_ref(&report))?,
            });
            former = Some(report);
            eprintln!("waiting for a restart of {url}; Ctrl-C ends");
        }
        wait_for_restart(address, &sockets, interrupt)?;
    }
}

/// Narrows the checks to those that failed last, unless some are chosen already.
fn chosen(options: &Options, former: Option<&Report>) -> Options {
    let mut options = options.clone();
    if options.only.is_empty() {
        let failed = former.into_iter().flat_map(Report::failed);
        let failed = failed.filter_map(|slug| Pattern::new(slug).ok());
        options.only = failed.collect();
    }
    options
}

/// Waits until other sockets than these listen and a connection is accepted.
fn wait_for_restart(
    address: SocketAddr,
    sockets: &BTreeSet<u64>,
    interrupt: &Interrupt,
) -> Result<()> {
    loop {
        let now = listening_sockets(address.port());
        if !now.is_empty() && now != *sockets && TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        interrupt.check()?;
        sleep(POLL_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use conformance::{Level, Outcome, Row};
    use testbed::contender::Category;

    use super::*;

    /// Returns a report of failed checks (their declarations are no longer true) and one that passed.
    fn report(failed: &[&str]) -> Report {
        let row = |slug: &str, outcome| Row {
            slug: slug.to_owned(),
            level: Level::Core,
            description: String::new(),
            source: "",
            outcome,
            took_ms: 0,
        };
        let stale = |slug: &&str| row(slug, Outcome::Stale { why: String::new() });
        let failed = failed.iter().map(stale);
        Report {
            contender: String::new(),
            made_of: String::new(),
            category: Category::Standard,
            level: Level::Core,
            required: Level::Core,
            took_ms: 0,
            checks: failed.chain([row("info/200", Outcome::Passed)]).collect(),
        }
    }

    #[test]
    fn checks_that_failed_last_run_again_unless_some_are_chosen() {
        let only = |options: &Options, former: Option<&Report>| {
            let chosen = chosen(options, former).only;
            let slugs = chosen.iter().map(|pattern| pattern.as_str().to_owned());
            slugs.collect::<Vec<_>>()
        };
        let all = Options::all_of(Level::Core);
        let failed = report(&["movies/201", "catalog/200"]);
        assert_eq!(only(&all, None), [""; 0]);
        assert_eq!(only(&all, Some(&failed)), ["movies/201", "catalog/200"]);
        assert_eq!(only(&all, Some(&report(&[]))), [""; 0]);
        let some = Options {
            only: vec![Pattern::new("info/*").unwrap()],
            ..all
        };
        assert_eq!(only(&some, Some(&failed)), ["info/*"]);
    }
}

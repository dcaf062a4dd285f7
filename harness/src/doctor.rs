//! `harness doctor`: what this machine has and lacks for each way of using the suite.

mod bench;
mod docker;
mod native;

use std::fmt;

use crate::guide::table;

/// A way of using the suite.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// `make up` with what is built here.
    Native,
    /// `make test`, and what else `.ci/run` asks for.
    Tests,
    /// `make up` in containers.
    Docker,
    /// `harness bench`.
    Bench,
    /// Our contender in a checkout of the public harness.
    Kit,
}

/// What is found of a thing that a way needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// It is there.
    Ok,
    /// The way does not work without it.
    Missing,
    /// The way works without it, but not for everything or not as well.
    Note,
}

/// A line.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Finding {
    way: Way,
    what: &'static str,
    state: State,
    /// What is there, or what to do.
    says: String,
}

impl Finding {
    fn new(way: Way, what: &'static str, state: State, says: impl Into<String>) -> Self {
        Self {
            way,
            what,
            state,
            says: says.into(),
        }
    }
}

/// All that was found.
#[derive(Debug)]
pub(crate) struct Findings(Vec<Finding>);

/// Looks at this machine; the ports are the target's and the upstream's.
pub(crate) fn look(ports: [u16; 2]) -> Findings {
    let mut findings = native::findings(ports);
    findings.extend(docker::findings());
    findings.extend(bench::findings());
    findings.extend(docker::kit());
    Findings(findings)
}

impl Findings {
    /// Whether the suite can be started in one way at least.
    pub(crate) fn can_start(&self) -> bool {
        self.works(Way::Native) || self.works(Way::Docker)
    }

    fn works(&self, way: Way) -> bool {
        let mut of = self.0.iter().filter(|finding| finding.way == way);
        of.all(|finding| finding.state != State::Missing)
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.0.iter().map(|finding| {
            [
                finding.way.name().to_owned(),
                finding.what.to_owned(),
                finding.state.name().to_owned(),
                finding.says.clone(),
            ]
        });
        writeln!(formatter, "{}\n", table(["FOR", "WHAT", "", ""], rows))?;
        let native = self.works(Way::Native).then_some("natively");
        let docker = self.works(Way::Docker).then_some("in containers");
        match (native, docker) {
            (Some(native), Some(docker)) => {
                write!(
                    formatter,
                    "The suite can start {native} and {docker}: make up"
                )
            }
            (Some(way), None) | (None, Some(way)) => {
                write!(formatter, "The suite can start {way}: make up")
            }
            (None, None) => write!(
                formatter,
                "The suite cannot start here: natively and in containers something is missing"
            ),
        }
    }
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Tests => "tests",
            Self::Docker => "docker",
            Self::Bench => "bench",
            Self::Kit => "kit",
        }
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Note => "note",
        }
    }
}

/// The first version in a text, as major and minor: of `cargo 1.95.0 (…)`, `v2.26.1-4`, `29.1`.
fn version(text: &str) -> Option<(u32, u32)> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    let mut versions = words.filter_map(|word| {
        let mut numbers = word
            .strip_prefix('v')
            .unwrap_or(word)
            .split(['.', '-', '+']);
        let major = numbers.next()?.parse().ok()?;
        Some((major, numbers.next()?.parse().ok()?))
    });
    versions.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        let said = [
            ("cargo 1.95.0 (f2d3ce0bd 2026-03-21)", Some((1, 95))),
            ("v2.26.1-4", Some((2, 26))),
            ("k6 v1.1.0 (commit/b2f9ef0, go1.24.3)", Some((1, 1))),
            ("git version 2.39.5", Some((2, 39))),
            ("no version at all", None),
        ];
        for (text, expected) in said {
            assert_eq!(version(text), expected, "{text}");
        }
    }

    #[test]
    fn one_way_to_start_is_enough_and_a_note_hinders_none() {
        let of = |native, docker| {
            Findings(vec![
                Finding::new(Way::Native, "cc", native, ""),
                Finding::new(Way::Docker, "engine", docker, ""),
                Finding::new(Way::Bench, "k6", State::Missing, ""),
            ])
        };
        assert!(of(State::Note, State::Missing).can_start());
        assert!(of(State::Missing, State::Ok).can_start());
        assert!(!of(State::Missing, State::Missing).can_start());
        let text = of(State::Ok, State::Missing).to_string();
        assert!(
            text.ends_with("The suite can start natively: make up"),
            "{text}"
        );
    }
}

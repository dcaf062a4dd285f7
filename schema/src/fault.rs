//! The faults that the upstream shows on demand, at `/faults/<fault>/data`.

use std::fmt;
use std::time::Duration;

const DELAY_MAX: Duration = Duration::from_secs(60);

/// A fault of the upstream. A contender meets it when its `UPSTREAM_URL` ends in `/faults/<fault>`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The product under this status, 200 to 599: a client that ignores the status accepts it.
    Status(u16),
    /// The product after this time, at most a minute.
    Delay(Duration),
    /// No answer, ever.
    Hang,
    /// The connection is reset before the answer.
    Reset,
    /// The head announces the product, and the connection ends in the middle of the body.
    Truncate,
    /// The product a byte at a time, far slower than the deadline of a call.
    Trickle,
    /// 200, but not JSON.
    Malformed,
    /// 200 and JSON, but not a product.
    WrongShape,
    /// 302 to the real product.
    Redirect,
    /// A valid product in chunks, twice as long as the longest answer that a target may accept.
    Huge,
}

/// The faults without a parameter.
const PLAIN: [(&str, Fault); 8] = [
    ("hang", Fault::Hang),
    ("reset", Fault::Reset),
    ("truncate", Fault::Truncate),
    ("trickle", Fault::Trickle),
    ("malformed", Fault::Malformed),
    ("wrong-shape", Fault::WrongShape),
    ("redirect", Fault::Redirect),
    ("huge", Fault::Huge),
];

impl Fault {
    /// Every fault as the contract writes it.
    pub const NAMES: [&'static str; 10] = [
        "status-<code>",
        "delay-<ms>",
        "hang",
        "reset",
        "truncate",
        "trickle",
        "malformed",
        "wrong-shape",
        "redirect",
        "huge",
    ];

    /// Parses the name of a fault.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(code) = name.strip_prefix("status-") {
            let code = code.parse().ok()?;
            return (200..=599).contains(&code).then_some(Self::Status(code));
        }
        if let Some(delay_ms) = name.strip_prefix("delay-") {
            let delay = Duration::from_millis(delay_ms.parse().ok()?);
            return (delay <= DELAY_MAX).then_some(Self::Delay(delay));
        }
        let (_, fault) = PLAIN.iter().find(|(plain, _)| *plain == name)?;
        Some(*fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(formatter, "status-{code}"),
            Self::Delay(delay) => write!(formatter, "delay-{}", delay.as_millis()),
            plain => PLAIN
                .iter()
                .filter(|(_, fault)| fault == plain)
                .try_for_each(|(name, _)| formatter.write_str(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_contract_parse_and_print_alike() {
        for name in Fault::NAMES {
            let name = name.replace("<code>", "503").replace("<ms>", "250");
            assert_eq!(Fault::parse(&name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        for name in [
            "",
            "status-",
            "status-199",
            "status-600",
            "delay--1",
            "delay-60001",
            "HANG",
        ] {
            assert_eq!(Fault::parse(name), None, "{name}");
        }
    }
}

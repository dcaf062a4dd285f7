//! The faults the upstream can show on demand, at `/faults/<fault>/data`.

use std::fmt;
use std::time::Duration;

/// Longest delay that can be asked for.
const DELAY_MAX: Duration = Duration::from_secs(60);

/// One way for the upstream to misbehave. `UPSTREAM_URL=…/faults/<fault>` makes any contender meet
/// it without a change to the contender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The product under this status, 200 to 599: who looks at the body alone is fooled.
    Status(u16),
    /// The product after this time, at most a minute.
    Delay(Duration),
    /// No answer, ever.
    Hang,
    /// The connection is reset before the answer.
    Reset,
    /// The answer's head announces the product, the connection ends in the middle of it.
    Truncate,
    /// The product a byte at a time, far slower than the deadline of a call.
    Trickle,
    /// 200, but not JSON.
    Malformed,
    /// 200 and JSON, but no product.
    WrongShape,
    /// 302 to the real product.
    Redirect,
    /// A valid product twice as long as the longest answer that a target may take, in chunks.
    Huge,
}

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

    /// The fault of this name.
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
        match name {
            "hang" => Some(Self::Hang),
            "reset" => Some(Self::Reset),
            "truncate" => Some(Self::Truncate),
            "trickle" => Some(Self::Trickle),
            "malformed" => Some(Self::Malformed),
            "wrong-shape" => Some(Self::WrongShape),
            "redirect" => Some(Self::Redirect),
            "huge" => Some(Self::Huge),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(formatter, "status-{code}"),
            Self::Delay(delay) => write!(formatter, "delay-{}", delay.as_millis()),
            Self::Hang => formatter.write_str("hang"),
            Self::Reset => formatter.write_str("reset"),
            Self::Truncate => formatter.write_str("truncate"),
            Self::Trickle => formatter.write_str("trickle"),
            Self::Malformed => formatter.write_str("malformed"),
            Self::WrongShape => formatter.write_str("wrong-shape"),
            Self::Redirect => formatter.write_str("redirect"),
            Self::Huge => formatter.write_str("huge"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_contract_is_a_fault_and_prints_as_it_reads() {
        for name in Fault::NAMES {
            let name = name.replace("<code>", "503").replace("<ms>", "250");
            assert_eq!(Fault::parse(&name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_out_of_range_is_no_fault() {
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

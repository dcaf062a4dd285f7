//! Figures as they are read.

use std::collections::BTreeSet;

use super::super::statistics::Estimate;

/// What stands where no figure is known.
pub const NONE: &str = "–";

/// With three significant digits: `6.71`, `12.3`, `147`, `4,120`.
pub fn short(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        small if small < 0.9995 => 3,
        small if small < 9.995 => 2,
        middle if middle < 99.95 => 1,
        _ => 0,
    };
    grouped(&format!("{value:.decimals$}"))
}

/// A whole number: `149,203`.
pub fn whole(value: f64) -> String {
    grouped(&format!("{value:.0}"))
}

/// A share of one: `85 %`, and `3.1 %` below ten.
pub fn percent(share: f64) -> String {
    let decimals = usize::from(share.abs() < 0.0995);
    format!("{:.decimals$} %", share * 100.0)
}

/// Memory: `14 MiB`.
pub fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", whole(bytes as f64 / f64::from(1 << 20)))
}

/// A latency in the unit that suits it: `45 µs`, `3.7 ms`, `1.2 s`.
pub fn latency(ms: f64) -> String {
    match ms {
        _ if ms < 1.0 => format!("{:.0} µs", ms * 1000.0),
        _ if ms < 1000.0 => format!("{} ms", trimmed(ms)),
        _ => format!("{} s", trimmed(ms / 1000.0)),
    }
}

/// A rate on an axis: `850`, `3.3k`, `48k`.
pub fn rate(per_sec: f64) -> String {
    if per_sec < 1000.0 {
        whole(per_sec)
    } else {
        format!("{}k", trimmed(per_sec / 1000.0))
    }
}

/// The interval of several attempts: `6.65 – 6.78`.
pub fn interval(estimate: &Estimate, figure: fn(f64) -> String) -> Option<String> {
    let ends = || format!("{} – {}", figure(estimate.low), figure(estimate.high));
    (estimate.count > 1).then(ends)
}

/// A figure that may be missing.
pub fn or_none<T>(value: Option<T>, figure: impl Fn(T) -> String) -> String {
    value.map_or_else(|| NONE.to_owned(), figure)
}

/// Words as a list: `a`, `a and b`, `a, b and c`.
pub fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Each of the numbers once, in order, as a list.
pub fn each(numbers: impl Iterator<Item = usize>) -> String {
    let numbers: BTreeSet<_> = numbers.collect();
    let words: Vec<_> = numbers.iter().map(|number| whole(*number as f64)).collect();
    listed(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// With two significant digits or so, and no zeros at the end.
fn trimmed(value: f64) -> String {
    let decimals = usize::from(value < 9.95);
    let text = format!("{value:.decimals$}");
    text.strip_suffix(".0")
        .map_or_else(|| grouped(&text), str::to_owned)
}

/// Commas between thousands.
fn grouped(number: &str) -> String {
    let (whole, decimals) = number
        .split_once('.')
        .map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        let left = whole.len() - index;
        if index > 0 && left % 3 == 0 && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    match decimals {
        Some(decimals) => format!("{text}.{decimals}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_that_matter() {
        let figures = [0.0, 0.31, 6.714, 9.996, 12.34, 99.96, 147.2, 4120.4].map(short);
        assert_eq!(
            figures,
            ["0", "0.310", "6.71", "10.0", "12.3", "100", "147", "4,120"]
        );
    }

    #[test]
    fn thousands_are_grouped() {
        let numbers = [0.0, 999.0, 1000.0, 149_203.4, 1_234_567.0, -100_000.0].map(whole);
        assert_eq!(
            numbers,
            ["0", "999", "1,000", "149,203", "1,234,567", "-100,000"]
        );
    }

    #[test]
    fn latencies_and_rates_have_the_unit_that_suits_them() {
        assert_eq!(
            [0.0451, 3.72, 45.2, 1200.0].map(latency),
            ["45 µs", "3.7 ms", "45 ms", "1.2 s"]
        );
        assert_eq!(
            [850.0, 3300.0, 48_000.0, 174_000.0].map(rate),
            ["850", "3.3k", "48k", "174k"]
        );
    }

    #[test]
    fn a_share_is_given_per_cent() {
        assert_eq!(
            [0.854, 0.031, 1.0, -0.05].map(percent),
            ["85 %", "3.1 %", "100 %", "-5.0 %"]
        );
    }

    #[test]
    fn words_are_listed() {
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
        assert_eq!(listed(&["a"]), "a");
    }
}

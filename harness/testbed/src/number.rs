//! Numbers as text for people.

/// The placeholder of a missing value.
pub const NONE: &str = "–";

/// Formats with three significant digits: `6.71`, `12.3`, `147`, `4,120`.
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

/// Formats a whole number: `149,203`.
pub fn whole(value: f64) -> String {
    grouped(&format!("{value:.0}"))
}

/// Formats a share of one: `85 %`, and `3.1 %` below ten.
pub fn percent(share: f64) -> String {
    let decimals = usize::from(share.abs() < 0.0995);
    format!("{:.decimals$} %", share * 100.0)
}

/// Formats a number of bytes: `14 MiB`.
pub fn mebibytes(bytes: f64) -> String {
    format!("{} MiB", whole(bytes / f64::from(1 << 20)))
}

/// Formats a value, or [`NONE`] if it is missing.
pub fn or_none<T>(value: Option<T>, format: impl Fn(T) -> String) -> String {
    value.map_or_else(|| NONE.to_owned(), format)
}

/// Joins words to a list: `a`, `a and b`, `a, b and c`.
pub fn listed(words: &[impl AsRef<str>]) -> String {
    let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Inserts commas between thousands.
fn grouped(number: &str) -> String {
    let (whole, decimals) = match number.split_once('.') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (number, None),
    };
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
    fn short_number_has_three_significant_digits() {
        let numbers = [0.0, 0.31, 6.714, 9.996, 12.34, 99.96, 147.2, 4120.4].map(short);
        assert_eq!(
            numbers,
            ["0", "0.310", "6.71", "10.0", "12.3", "100", "147", "4,120"]
        );
    }

    #[test]
    fn whole_number_has_grouped_thousands() {
        let numbers = [0.0, 999.0, 1000.0, 149_203.4, 1_234_567.0, -100_000.0].map(whole);
        assert_eq!(
            numbers,
            ["0", "999", "1,000", "149,203", "1,234,567", "-100,000"]
        );
    }

    #[test]
    fn share_is_shown_in_percent() {
        assert_eq!(
            [0.854, 0.031, 1.0, -0.05].map(percent),
            ["85 %", "3.1 %", "100 %", "-5.0 %"]
        );
    }

    #[test]
    fn last_word_of_a_list_follows_and() {
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
        assert_eq!(listed(&["a"]), "a");
    }
}

//! A badge for a README: how many checks of each level passed.

use serde_json::json;

use super::Report;
use crate::Level;
use crate::verdict::Outcome;

const LABEL: &str = "contract";

/// Colours of a badge, as shields.io names them and as SVG does.
const PASSED: (&str, &str) = ("brightgreen", "#44aa11");
const FAILED: (&str, &str) = ("red", "#cc4433");

/// Width of a character of the badge's text in pixels, and the space around a text.
const CHARACTER: usize = 7;
const PADDING: usize = 6;

/// Renders the JSON of an endpoint badge of shields.io.
pub(super) fn shields(report: &Report) -> String {
    let (color, _) = color(report);
    let badge = json!({
        "schemaVersion": 1,
        "label": LABEL,
        "message": message(report),
        "color": color,
    });
    format!("{badge}\n")
}

/// Renders the badge as SVG.
pub(super) fn svg(report: &Report) -> String {
    let message = message(report);
    let (_, color) = color(report);
    let (left, right) = (width(LABEL), width(&message));
    let all = left + right;
    let text = |x: usize, text: &str| {
        let length = width(text) - 2 * PADDING;
        let x = x + PADDING;
        format!("<text x=\"{x}\" y=\"14\" textLength=\"{length}\">{text}</text>")
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all}\" height=\"20\" role=\"img\" aria-label=\"{LABEL}: {message}\">\n\
         <title>{LABEL}: {message}</title>\n\
         <clipPath id=\"round\"><rect width=\"{all}\" height=\"20\" rx=\"3\"/></clipPath>\n\
         <g clip-path=\"url(#round)\">\n\
         <rect width=\"{left}\" height=\"20\" fill=\"#555555\"/>\n\
         <rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{color}\"/>\n\
         </g>\n\
         <g fill=\"#ffffff\" font-family=\"Verdana, Geneva, DejaVu Sans, sans-serif\" font-size=\"11\">\n\
         {}\n{}\n\
         </g>\n\
         </svg>\n",
        text(0, LABEL),
        text(left, &message),
    )
}

/// Returns the passed checks of each level, such as `core 4/4 · work 38/38 · strict 129/133`.
fn message(report: &Report) -> String {
    let levels = [Level::Core, Level::Work, Level::Strict].into_iter();
    let parts = levels.filter_map(|level| {
        let rows = report.checks.iter().filter(|row| row.level == level);
        let all = rows.clone().count();
        let passed = rows.filter(|row| row.outcome == Outcome::Passed).count();
        (all > 0).then(|| format!("{level} {passed}/{all}"))
    });
    parts.collect::<Vec<_>>().join(" · ")
}

fn color(report: &Report) -> (&'static str, &'static str) {
    match report.is_whole() && report.passed() {
        true => PASSED,
        false => FAILED,
    }
}

fn width(text: &str) -> usize {
    CHARACTER * text.chars().count() + 2 * PADDING
}

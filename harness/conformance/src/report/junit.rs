//! Reports as JUnit XML, which build servers read.

use std::time::Duration;

use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report as Suites, TestCase, TestCaseStatus, TestSuite};

use super::{Report, Row};
use crate::verdict::Outcome;

/// Renders a suite for each contender. What is reported but not required is skipped.
pub(super) fn xml(reports: &[Report]) -> Result<String> {
    let mut suites = Suites::new("harness check");
    for report in reports {
        let mut suite = TestSuite::new(report.contender.clone());
        suite.set_time(Duration::from_millis(report.took_ms));
        if let Some(remark) = report.by_design() {
            suite.set_system_out(remark);
        }
        suite.add_test_cases(report.checks.iter().map(case));
        suites.add_test_suite(suite);
    }
    suites.to_string().context("writing JUnit XML")
}

fn case(row: &Row) -> TestCase {
    let mut status = match &row.outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Failed(_) | Outcome::Stale { .. } => {
            TestCaseStatus::non_success(NonSuccessKind::Failure)
        }
        Outcome::Broken { .. } => TestCaseStatus::non_success(NonSuccessKind::Error),
        Outcome::Deviates(_) | Outcome::Declared { .. } | Outcome::NotChecked { .. } => {
            TestCaseStatus::skipped()
        }
    };
    if let Some(failure) = row.failure() {
        let (expected, actual) = (&failure.expected, &failure.actual);
        status.set_message(format!("expected {expected}; actual {actual}"));
        let sent = failure.sent.iter().cloned();
        let lines: Vec<_> = sent.chain(failure.difference.iter().cloned()).collect();
        status.set_description(lines.join("\n"));
    } else if let Some(why) = row.why() {
        status.set_message(why);
    }
    let mut case = TestCase::new(row.slug.clone(), status);
    case.set_classname(row.level.to_string());
    case.set_time(Duration::from_millis(row.took_ms));
    case
}

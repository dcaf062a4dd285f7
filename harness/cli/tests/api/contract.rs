//! `harness contract`, and the sources that the checks name.

use std::path::Path;
use std::process::Command;
use std::fs;

use conformance::{all, checks_table};
use serde_json::Value;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CONTRACT.md");

fn contract(part: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    let output = command.arg("contract").args(part).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn contract_prints_openapi_checks_or_both() {
    let openapi = contract(&["openapi"]);
    let document: Value = serde_json::from_str(&openapi).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let checks = contract(&["checks"]);
    assert_eq!(checks, checks_table(&all()));
    assert_eq!(contract(&[]), openapi + &checks);
}

#[test]
fn every_check_names_a_section_of_the_contract_or_an_rfc() {
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let sections = document.lines().filter_map(|line| line.strip_prefix("## "));
    let anchors: Vec<_> = sections
        .map(|section| section.to_lowercase().replace(' ', "-"))
        .collect();
    for check in all() {
        for source in check.source.split("; ") {
            match source.strip_prefix("docs/CONTRACT.md#") {
                Some(anchor) => assert!(
                    anchors.iter().any(|known| known == anchor),
                    "{}: {anchor}",
                    check.slug
                ),
                None => assert!(source.starts_with("RFC "), "{}: {source}", check.slug),
            }
        }
        let sentence = &check.what;
        assert!(
            sentence.ends_with('.') && !sentence.contains('\n'),
            "{sentence}"
        );
        assert!(
            Path::new(&check.slug).components().count() == 2,
            "{}",
            check.slug
        );
    }
    let mut slugs: Vec<_> = all().into_iter().map(|check| check.slug).collect();
    let count = slugs.len();
    slugs.sort();
    slugs.dedup();
    assert_eq!(slugs.len(), count, "two checks have one name");
}

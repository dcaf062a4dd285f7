//! `harness contract`, and the table of checks in `docs/CONTRACT.md`.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

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
fn the_contract_is_printed_whole_or_in_parts() {
    let openapi = contract(&["openapi"]);
    let document: Value = serde_json::from_str(&openapi).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let checks = contract(&["checks"]);
    assert_eq!(checks, checks_table(&all()));
    assert_eq!(contract(&[]), openapi + &checks);
}

/// `UPDATE_CONTRACT=1` writes the table anew.
#[test]
fn the_document_s_table_of_checks_is_the_code_s() {
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = document.split_once("<!-- checks -->\n").unwrap();
    let (table, after) = rest.split_once("<!-- /checks -->").unwrap();
    let current = checks_table(&all());
    if env::var_os("UPDATE_CONTRACT").is_some_and(|value| value == "1") {
        let written = format!("{before}<!-- checks -->\n{current}<!-- /checks -->{after}");
        fs::write(DOCUMENT, written).unwrap();
        return;
    }
    assert_eq!(
        table, current,
        "docs/CONTRACT.md is out of date: `make contract` writes it anew"
    );
}

#[test]
fn every_check_says_where_it_is_written() {
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

//! `entry::import` under libFuzzer.
#![no_main]

#[path = "../entry.rs"]
#[allow(dead_code, reason = "the other targets' entry points")]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::import(data));

//! Every file of the fuzz corpus goes where the fuzz targets send it: what was found once, by them
//! or by hand, is looked for in every run, without a nightly compiler.

#[path = "../../../fuzz/entry.rs"]
mod entry;

use std::fs;
use std::path::Path;

#[test]
fn no_file_of_the_corpus_does_any_harm() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    for (name, target) in entry::ALL {
        let folder = root.join("fuzz/corpus").join(name);
        let mut files = 0;
        for file in fs::read_dir(&folder).unwrap() {
            target(&fs::read(file.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files >= 4, "{files} in {}", folder.display());
    }
}

#[test]
fn every_target_is_built_and_run() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let read = |name: &str| fs::read_to_string(root.join("fuzz").join(name)).unwrap();
    let names: Vec<_> = entry::ALL.iter().map(|(name, _)| *name).collect();
    assert!(read("run").contains(&format!("for target in {}; do", names.join(" "))));
    for name in names {
        assert!(read("Cargo.toml").contains(&format!("name = \"{name}\"")));
        assert!(read(&format!("fuzz_targets/{name}.rs")).contains(&format!("entry::{name}(data)")));
    }
}

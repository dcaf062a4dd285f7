//! `harness kit` on a checkout with the files of the public harness that the kit changes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use schema::env;

use crate::sandbox::{Outcome, Sandbox, outcome};

const UPSTREAM: &str = "services/upstream";

/// The files of the checkout.
const FILES: [(&str, &str); 7] = [
    (
        "compose.base.yml",
        "services: { upstream: {}, runner: {} }\n",
    ),
    (
        "compose.gin.yml",
        "services: { gin: { build: . }, runner: {} }\n",
    ),
    (
        "bench.py",
        "type Framework = Literal[\n    \"gin\",\n]\nOTHER = [\n]\n",
    ),
    (
        "README.md",
        "| Framework | Language | Server (1 worker) | Outbound HTTP client | DB driver |\n\
         | --- | --- | --- | --- | --- |\n| Gin | Go | net/http | net/http | pgx |\n\n\
         \x20 | | Validates body (test 2) | Parses upstream (test 3) | JSON serializer |\n\
         \x20 | --- | --- | --- | --- |\n\nThe end",
    ),
    (
        "export_results.py",
        "FRAMEWORK_FACTS: dict[str, dict[str, str]] = {\n    \"gin\": {\n    },\n}\n",
    ),
    (
        "services/upstream/Cargo.toml",
        "[package]\nname = \"theirs\"\n",
    ),
    ("services/upstream/src/main.rs", "fn main() {}\n"),
];

/// A committed checkout in a sandbox.
struct Checkout {
    sandbox: Sandbox,
    folder: PathBuf,
}

impl Checkout {
    fn new() -> Self {
        let sandbox = Sandbox::new(&[]);
        let folder = sandbox.path("checkout");
        let checkout = Self { sandbox, folder };
        for (path, text) in FILES {
            checkout.write(path, text);
        }
        checkout.git(&["init", "--quiet"]);
        checkout.git(&["add", "--all"]);
        checkout.git(&["commit", "--quiet", "--message", "m"]);
        checkout
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=N", "-c", "user.email=n@localhost"]);
        let git = git.args(arguments).current_dir(&self.folder).output();
        let git = outcome(git.unwrap());
        assert_eq!(git.code, Some(0), "{arguments:?}: {git:?}");
        git.out
    }

    /// Returns what git sees changed.
    fn status(&self) -> String {
        self.git(&["status", "--porcelain", "--untracked-files=all"])
    }

    /// Runs `harness kit` inside the suite's checkout.
    fn kit(&self, options: &[&str]) -> Outcome {
        let mut kit = Command::new(env!("CARGO_BIN_EXE_harness"));
        kit.arg("kit").arg(&self.folder).args(options);
        outcome(kit.output().unwrap())
    }

    fn assert_changes(&self, options: &[&str], is_changed: bool) {
        let kit = self.kit(options);
        assert_eq!(kit.code, Some(0), "{options:?}: {kit:?}");
        assert_eq!(!kit.out.contains("nothing to "), is_changed, "{kit:?}");
    }

    fn assert_refused(&self, options: &[&str], reason: &str) {
        let before = self.status();
        let kit = self.kit(options);
        assert_eq!(kit.code, Some(2), "{options:?}: {kit:?}");
        assert!(kit.err.contains(reason), "{reason} in {}", kit.err);
        assert_eq!(self.status(), before, "all or nothing");
    }
}

#[test]
fn kit_is_put_in_once_and_taken_out_completely() {
    let checkout = Checkout::new();
    checkout.assert_changes(&[], true);
    let names = "    \"axum\",\n    \"axum-tuned\",\n]\nOTHER";
    assert!(checkout.read("bench.py").contains(names));
    assert!(checkout.read("README.md").contains("\n| axum | "));
    assert!(!checkout.status().contains(UPSTREAM));
    let tuned = checkout.read("compose.axum-tuned.yml");
    assert!(tuned.contains("PROFILE: tuned") && tuned.contains("FRAMEWORK: axum-tuned"));
    let compose = checkout.read("compose.axum.yml");
    assert!(compose.contains("PROFILE: idiomatic") && !compose.contains('@'));
    for (name, value) in env::bench() {
        let is_named = compose.contains(&format!("{name}: "));
        assert!(!is_named || compose.contains(value), "{name}");
    }
    checkout.assert_changes(&[], false);
    checkout.assert_changes(&["--remove"], true);
    assert_eq!(checkout.status(), "");
    assert!(!checkout.path("services/axum").exists());
    checkout.assert_changes(&["--remove"], false);
}

#[test]
fn upstream_is_replaced_and_restored() {
    let checkout = Checkout::new();
    checkout.assert_changes(&[], true);
    checkout.assert_changes(&["--upstream"], true);
    assert!(!checkout.path("services/upstream/src/main.rs").exists());
    let manifest = checkout.read("services/upstream/Cargo.toml");
    assert!(manifest.contains("members = [\"schema\""), "{manifest}");
    checkout.assert_changes(&["--upstream"], false);
    checkout.assert_changes(&[], false);
    checkout.assert_changes(&["--remove"], true);
    assert_eq!(checkout.status(), "");
}

#[test]
fn dry_run_prints_a_patch_that_git_applies() {
    let checkout = Checkout::new();
    let patch = checkout.kit(&["--upstream", "--dry-run"]);
    assert_eq!((patch.code, checkout.status()), (Some(0), String::new()));
    let mut git = Command::new("git");
    let git = git.args(["apply", "--index"]).current_dir(&checkout.folder);
    let mut git = git.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = git.stdin.take().unwrap();
    input.write_all(patch.out.as_bytes()).unwrap();
    drop(input);
    assert!(git.wait().unwrap().success());
    checkout.assert_changes(&["--upstream"], false);
    assert_eq!(checkout.kit(&["--upstream", "--dry-run"]).out, "");
}

#[test]
fn edited_files_are_neither_overwritten_nor_lost() {
    let checkout = Checkout::new();
    let theirs = "services/upstream/src/main.rs";
    checkout.write(theirs, "fn main() { edited() }\n");
    checkout.assert_refused(&["--upstream"], theirs);
    checkout.git(&["checkout", "--quiet", "."]);

    checkout.assert_changes(&[], true);
    let ours = "services/axum/serve/src/lib.rs";
    let text = checkout.read(ours);
    checkout.write(ours, &format!("{text}// mine\n"));
    checkout.assert_refused(&[], ours);
    checkout.assert_refused(&["--remove"], ours);
    checkout.write(ours, &text);

    let bench = checkout.read("bench.py");
    let bench = bench.replace("\"gin\",\n", "\"gin\",\n    \"mine\",\n");
    checkout.write("bench.py", &bench);
    checkout.assert_changes(&["--remove"], true);
    assert_eq!(checkout.status(), " M bench.py\n");
    let bench = checkout.read("bench.py");
    assert!(bench.starts_with("type Framework = Literal[\n    \"gin\",\n    \"mine\",\n]\n"));
}

#[test]
fn other_folders_and_changed_files_are_refused() {
    let checkout = Checkout::new();
    checkout.write("bench.py", "FRAMEWORKS = [\"gin\"]\n");
    checkout.assert_refused(
        &[],
        "bench.py has changed shape: it has no line `type Framework = Literal[`",
    );
    checkout.git(&["rm", "-r", "--quiet", "--force", UPSTREAM]);
    checkout.assert_refused(&["--upstream"], "git has no services/upstream in it");
    fs::remove_file(checkout.path("compose.base.yml")).unwrap();
    checkout.assert_refused(&[], "it has no compose.base.yml");
    let no_repository = Sandbox::new(&[]);
    fs::write(no_repository.path("compose.base.yml"), "").unwrap();
    let kit = no_repository.run_to(2, &["kit", "."]);
    assert!(kit.err.contains("git rev-parse in "), "{}", kit.err);
}

/// Builds a service of the kit from its folder alone, as its image is built. The dependencies are
/// shared with the workspace's build.
fn build(folder: &Path, binary: &str) -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let target = temporary.join("kit");
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "build",
            "--locked",
            "--offline",
            "--quiet",
            "--package",
            binary,
        ])
        .current_dir(folder)
        .env("CARGO_BUILD_BUILD_DIR", temporary.parent().unwrap())
        .env("CARGO_TARGET_DIR", &target);
    let cargo = outcome(cargo.output().unwrap());
    assert_eq!((cargo.code, &*cargo.err), (Some(0), ""), "{binary}");
    target.join("debug").join(binary)
}

#[test]
fn kit_builds_alone_and_passes_the_checks() {
    let checkout = Checkout::new();
    checkout.assert_changes(&["--upstream"], true);
    let target = build(&checkout.path("services/axum"), "target-axum");
    let upstream = build(&checkout.path(UPSTREAM), "upstream");
    let sandbox = &checkout.sandbox;
    sandbox.add("kit", &format!("exec '{}'", target.display()), "");
    sandbox.run_to(0, &["check", "kit", "--level", "work"]);
    let upstream = format!("exec '{}'", upstream.display());
    sandbox.add("kit-upstream", &upstream, "category = \"upstream\"");
    let chaos = ["kit-upstream", "--faults=none", "--duration=500ms"];
    let chaos = outcome(sandbox.chaos(&chaos).output().unwrap());
    assert_eq!(chaos.code, Some(0), "{chaos:?}");
}

//! `harness kit` on a checkout that has what the public harness's has, as far as the kit looks at it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use schema::{env, fixtures, routes};
use testbed::child::Service;
use testbed::raw::Connection;

use crate::suite::{Said, Suite, said};

const UPSTREAM: &str = "services/upstream";

/// A checkout, committed, in a suite's folder.
struct Checkout {
    suite: Suite,
    folder: PathBuf,
}

impl Checkout {
    fn new() -> Self {
        let suite = Suite::new();
        let folder = suite.path("checkout");
        let checkout = Self { suite, folder };
        for (path, text) in [
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
        ] {
            checkout.write(path, text);
        }
        checkout.git(&["init", "--quiet"]);
        checkout.commit();
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
        let said = said(
            git.args(arguments)
                .current_dir(&self.folder)
                .output()
                .unwrap(),
        );
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
        said.out
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "m"]);
    }

    /// What git sees changed.
    fn status(&self) -> String {
        self.git(&["status", "--porcelain", "--untracked-files=all"])
    }

    fn kit(&self, options: &[&str]) -> Said {
        let mut arguments = vec!["kit", self.folder.to_str().unwrap()];
        arguments.extend(options);
        self.suite.run(&arguments)
    }

    fn changed(&self, options: &[&str]) {
        let said = self.kit(options);
        assert_eq!(said.code, Some(0), "{options:?}: {said:?}");
        assert!(!said.out.contains("nothing to change"), "{options:?}");
    }

    fn refused(&self, options: &[&str], why: &str) {
        let before = self.status();
        let said = self.kit(options);
        assert_eq!(said.code, Some(2), "{options:?}: {said:?}");
        assert!(said.err.contains(why), "{}", said.err);
        assert_eq!(self.status(), before, "nothing is half done");
    }
}

#[test]
fn the_kit_brings_a_contender_once_and_removing_it_leaves_nothing_behind() {
    let checkout = Checkout::new();
    checkout.changed(&[]);
    let name = "    \"axum\",\n    \"axum-tuned\",\n]\nOTHER";
    assert!(checkout.read("bench.py").contains(name));
    assert!(checkout.read("README.md").contains("\n| axum | "));
    assert!(!checkout.status().contains(UPSTREAM));
    let tuned = checkout.read("compose.axum-tuned.yml");
    assert!(tuned.contains("CLIENTS: tuned") && tuned.contains("FRAMEWORK: axum-tuned"));
    let compose = checkout.read("compose.axum.yml");
    assert!(compose.contains("CLIENTS: idiomatic") && !compose.contains('@'));
    for (name, value) in env::bench() {
        let is_named = compose.contains(&format!("{name}: "));
        assert!(!is_named || compose.contains(value), "{name}");
    }
    let said = checkout.kit(&[]);
    assert!(said.out.contains("nothing to change"), "{said:?}");
    checkout.changed(&["--remove"]);
    assert_eq!(checkout.status(), "");
    assert!(!checkout.path("services/axum").exists());
    assert!(!checkout.path(".git/reference-target-suite.patch").exists());
}

#[test]
fn our_upstream_replaces_theirs_and_theirs_comes_back() {
    let checkout = Checkout::new();
    checkout.changed(&["--upstream"]);
    assert!(!checkout.path("services/upstream/src/main.rs").exists());
    assert!(
        checkout
            .read("services/upstream/Cargo.toml")
            .contains("members = [\"schema\"")
    );
    assert!(
        checkout
            .kit(&["--upstream"])
            .out
            .contains("nothing to change")
    );
    assert!(checkout.kit(&[]).out.contains("nothing to change"));
    checkout.changed(&["--remove"]);
    assert_eq!(checkout.status(), "");
}

#[test]
fn a_dry_run_changes_nothing_and_prints_a_patch_that_git_applies() {
    let checkout = Checkout::new();
    let patch = checkout.kit(&["--upstream", "--dry-run"]);
    assert_eq!((patch.code, checkout.status()), (Some(0), String::new()));
    let mut git = Command::new("git");
    git.args(["apply", "--index", "-"])
        .current_dir(&checkout.folder);
    let mut git = git.stdin(Stdio::piped()).spawn().unwrap();
    git.stdin
        .take()
        .unwrap()
        .write_all(patch.out.as_bytes())
        .unwrap();
    assert!(git.wait().unwrap().success());
    let said = checkout.kit(&["--upstream"]);
    assert!(said.out.contains("nothing to change"), "{said:?}");
    let nothing = checkout.kit(&["--upstream", "--dry-run"]);
    assert_eq!((nothing.code, &*nothing.out), (Some(0), ""));
}

#[test]
fn what_somebody_edited_is_neither_overwritten_nor_lost() {
    let checkout = Checkout::new();
    let theirs = "services/upstream/src/main.rs";
    checkout.write(theirs, "fn main() { edited() }\n");
    checkout.refused(&["--upstream"], theirs);
    checkout.git(&["checkout", "--quiet", "."]);

    checkout.changed(&[]);
    let ours = "services/axum/serve/src/lib.rs";
    let text = checkout.read(ours);
    checkout.write(ours, &format!("{text}// mine\n"));
    checkout.refused(&[], ours);
    checkout.refused(&["--remove"], ours);
    checkout.write(ours, &text);

    // Lines of others beside ours stay.
    let bench = checkout.read("bench.py");
    checkout.write(
        "bench.py",
        &bench.replace("\"gin\",\n", "\"gin\",\n    \"mine\",\n"),
    );
    checkout.changed(&["--remove"]);
    assert_eq!(checkout.status(), " M bench.py\n");
    assert!(
        checkout
            .read("bench.py")
            .starts_with("type Framework = Literal[\n    \"gin\",\n    \"mine\",\n]\n")
    );
}

#[test]
fn a_folder_that_is_no_such_checkout_or_has_changed_shape_is_told_what_was_looked_for() {
    let checkout = Checkout::new();
    checkout.write("bench.py", "FRAMEWORKS = [\"gin\"]\n");
    checkout.refused(
        &[],
        "bench.py has changed shape: it has no line `type Framework = Literal[`",
    );
    checkout.git(&["rm", "-r", "--quiet", "--force", UPSTREAM]);
    checkout.refused(&["--upstream"], "git has no services/upstream in it");
    fs::remove_file(checkout.path("compose.base.yml")).unwrap();
    checkout.refused(
        &[],
        "is no checkout of api-benchmarks: it has no compose.base.yml",
    );
    let suite = Suite::new();
    fs::write(suite.path("compose.base.yml"), "").unwrap();
    let said = suite.run(&["kit", suite.path("").to_str().unwrap()]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("git rev-parse in "), "{}", said.err);
}

/// Builds a service of the kit from its folder alone, as its image is. The crates that it depends on
/// are the workspace's, so that they are compiled with it once; what comes out lies elsewhere.
fn build(folder: &Path, binary: &str) -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let target = temporary.join("kit");
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--locked", "--offline", "--quiet"])
        .args(["--package", binary])
        .current_dir(folder)
        .env("CARGO_BUILD_BUILD_DIR", temporary.parent().unwrap())
        .env("CARGO_TARGET_DIR", &target);
    let said = said(cargo.output().unwrap());
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{binary}");
    target.join("release").join(binary)
}

#[test]
fn what_the_kit_brings_builds_alone_and_does_what_the_workspace_s_does() {
    let checkout = Checkout::new();
    checkout.changed(&["--upstream"]);

    let target = build(&checkout.path("services/axum"), "target-axum");
    let list = checkout.suite.path("contenders.toml");
    let command = format!("exec '{}'", target.display());
    let stanza = format!(
        "[kit]\nlanguage = \"L\"\nframework = \"F\"\npromises = \"strict\"\ncommand = \"{command}\"\n"
    );
    fs::write(&list, stanza).unwrap();
    let arguments = [
        "check",
        "kit",
        "--level",
        "work",
        "--contenders",
        list.to_str().unwrap(),
    ];
    checkout.suite.succeed(&arguments);

    let upstream = build(&checkout.path(UPSTREAM), "upstream");
    let key = env::bench_value(&env::UPSTREAM_API_KEY);
    let mut command = Command::new(upstream);
    command
        .env("UPSTREAM_API_KEY", key)
        .env("PORT", "0")
        .env("HOST", "127.0.0.1");
    let service = Service::start(&mut command).unwrap();
    let mut connection = Connection::open(service.address()).unwrap();
    let path = routes::UPSTREAM_DATA;
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key}\r\n\r\n");
    assert_eq!(
        connection.ask(request).unwrap().text(),
        fixtures::PRODUCT_JSON
    );
}

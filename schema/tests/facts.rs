//! The facts that files in other languages repeat, and the invariants of `docs/ARCHITECTURE.md`,
//! held against this crate.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use schema::env::{self, Service};
use schema::fault::Fault;
use schema::{ErrorCode, fixtures, limits, routes};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The cells of every table row in a document.
fn rows(document: &str) -> Vec<Vec<&str>> {
    document
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// Every text file of the project but what is built, fetched, or hidden (`.ci` is not).
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name == "target" || (name.starts_with('.') && name != ".ci") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn the_bench_secrets_are_written_in_schema_alone() {
    let root = root();
    let mut searched = 0;
    for file in files() {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        if file.starts_with(root.join("schema")) {
            continue;
        }
        searched += 1;
        for variable in [&env::JWT_SECRET, &env::UPSTREAM_API_KEY] {
            let secret = env::bench_value(variable);
            assert!(
                !text.contains(secret),
                "{} in {}",
                variable.name,
                file.display()
            );
        }
    }
    assert!(searched > 50, "{searched} files searched");
}

#[test]
fn the_contract_s_table_of_variables_is_the_code_s() {
    let contract = read("docs/CONTRACT.md");
    let table: Vec<_> = rows(&contract)
        .into_iter()
        .filter(|row| {
            env::ALL
                .iter()
                .any(|one| row[0] == format!("`{}`", one.name))
        })
        .collect();
    assert_eq!(table.len(), env::ALL.len());
    for (row, variable) in table.iter().zip(env::ALL) {
        assert_eq!(
            row[0],
            format!("`{}`", variable.name),
            "the order is the code's"
        );
        let read_by = variable.read_by.iter().map(|service| match service {
            Service::Target => "target",
            Service::Upstream => "upstream",
        });
        assert_eq!(
            row[1],
            read_by.collect::<Vec<_>>().join(", "),
            "{}",
            variable.name
        );
        assert_eq!(
            row[2],
            variable.default.unwrap_or("required"),
            "{}",
            variable.name
        );
    }
}

#[test]
fn the_contract_s_table_of_errors_is_the_code_s() {
    let contract = read("docs/CONTRACT.md");
    for code in ErrorCode::ALL {
        if code == ErrorCode::InvalidApiKey {
            let row = format!("| {} `{}`, compared", code.status(), code.body().to_json());
            assert!(contract.contains(&row), "{row}");
            continue;
        }
        let phrase = format!("`{}`", code.phrase());
        let row = rows(&contract)
            .into_iter()
            .find(|row| row.get(2) == Some(&&*phrase))
            .unwrap_or_else(|| panic!("no row for {phrase}"));
        assert!(row[1].starts_with(&code.status().to_string()), "{row:?}");
    }
}

#[test]
fn the_contract_names_every_path_fault_and_limit() {
    let contract = read("docs/CONTRACT.md");
    for (method, path) in [
        ("GET", routes::INFO),
        ("POST", routes::MOVIES),
        ("GET", routes::CATALOG),
        ("GET", routes::PROXY),
        ("GET", routes::USERS_ME),
        ("GET", routes::HEALTH),
        ("GET", routes::READY),
        ("GET", routes::UPSTREAM_DATA),
        (
            "GET",
            &format!(
                "{}<fault>{}",
                routes::UPSTREAM_FAULTS,
                routes::UPSTREAM_DATA
            ),
        ),
    ] {
        assert!(
            contract.contains(&format!("`{method} {path}`")),
            "{method} {path}"
        );
    }
    for fault in Fault::NAMES {
        assert!(
            rows(&contract)
                .iter()
                .any(|row| row[0] == format!("`{fault}`")),
            "{fault}"
        );
    }
    for sentence in [
        format!("body over {} KiB", limits::REQUEST_BODY_MAX_BYTES / 1024),
        format!("nested deeper than {}", limits::JSON_DEPTH_MAX),
        format!(
            "body not in within {} s",
            limits::REQUEST_BODY_TIMEOUT.as_secs()
        ),
        format!(
            "body over {} MiB",
            limits::UPSTREAM_BODY_MAX_BYTES / 1024 / 1024
        ),
        format!("connect {} s", limits::UPSTREAM_CONNECT_TIMEOUT.as_secs()),
        format!("whole call {} s", limits::UPSTREAM_CALL_TIMEOUT.as_secs()),
        format!(
            "pool exhausted ({} s)",
            limits::DB_ACQUIRE_TIMEOUT.as_secs()
        ),
        format!(
            "statement over {} s",
            limits::DB_STATEMENT_TIMEOUT.as_secs()
        ),
        format!("version {} or newer", limits::POSTGRES_MIN_MAJOR),
        format!("`max_connections={}`", limits::POSTGRES_MAX_CONNECTIONS),
        format!("exit code {}", env::EXIT_COULD_NOT_RUN),
        format!("`{}: <fresh UUID v4>`", routes::RESPONSE_ID),
        format!("`id` \"{}\"", fixtures::info().id),
    ] {
        let unwrapped = contract.replace('\n', " ");
        assert!(unwrapped.contains(&sentence), "{sentence}");
    }
}

#[test]
fn compose_reads_the_files_of_schema_and_repeats_none_of_their_facts() {
    let compose = read("docker-compose.yml");
    for fact in [
        "schema/bench.env".to_owned(),
        "./schema/sql/users.sql:/docker-entrypoint-initdb.d/".to_owned(),
        format!("max_connections={}", limits::POSTGRES_MAX_CONNECTIONS),
        "postgres:18".to_owned(),
    ] {
        assert!(compose.contains(&fact), "{fact}");
    }
    for (name, port) in [env::TARGET_PORT, env::UPSTREAM_PORT, env::POSTGRES_PORT] {
        let published = format!("127.0.0.1:${{{name}:-{port}}}:");
        assert!(compose.contains(&published), "{published}");
    }
    for variable in [
        &env::JWT_SECRET,
        &env::UPSTREAM_API_KEY,
        &env::DB_PASSWORD,
        &env::DB_USER,
    ] {
        let assignment = format!("{}:", variable.name);
        assert!(
            !compose.contains(&assignment),
            "{assignment} belongs into schema/bench.env"
        );
    }
    for variable in [
        &env::WORKERS,
        &env::CLIENTS,
        &env::DB_POOL_SIZE,
        &env::UPSTREAM_POOL_SIZE,
    ] {
        let (name, value) = (variable.name, variable.default.unwrap());
        let passed_on = format!("- {name}=${{{name}:-{value}}}");
        assert!(compose.contains(&passed_on), "{passed_on}");
    }
    let postgres = read("schema/postgres.env");
    for (name, variable) in [
        ("DB", &env::DB_NAME),
        ("USER", &env::DB_USER),
        ("PASSWORD", &env::DB_PASSWORD),
    ] {
        let line = format!("POSTGRES_{name}={}\n", env::bench_value(variable));
        assert!(postgres.contains(&line), "{line}");
    }
    let hosts = [("UPSTREAM_URL", "upstream"), ("DB_HOST", "postgres")];
    for (variable, service) in hosts {
        assert!(
            compose.contains(&format!("\n  {service}:\n")),
            "{variable} names a service"
        );
        let value = env::bench().find(|(name, _)| *name == variable).unwrap().1;
        assert!(value.contains(service), "{variable} is {value}");
    }
}

#[test]
fn compose_overlays_publish_no_port_and_mount_no_docker_socket() {
    let folder = root().join("deploy/compose");
    let overlays = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    for path in overlays.filter(|path| path.extension().is_some_and(|ext| ext == "yml")) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("ports:"), "{}", path.display());
        assert!(!text.contains("docker.sock"), "{}", path.display());
    }
}

/// The crates named in the given section of a manifest.
fn dependencies(manifest: &str, section: &str) -> Vec<String> {
    let manifest = read(manifest);
    manifest
        .lines()
        .skip_while(|line| *line != format!("[{section}]"))
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_crates_depend_on_each_other_as_the_architecture_says() {
    let harness = ["testbed", "conformance", "load", "chaos"];
    for (package, allowed) in [
        ("schema", &[][..]),
        ("serve", &["schema"]),
        ("upstream", &["schema", "serve"]),
        ("target-axum", &["schema", "serve"]),
        ("limit", &["schema", "serve"]),
        ("harness/testbed", &["schema", "serve"]),
        (
            "harness/conformance",
            &["schema", "serve", "upstream", "testbed"],
        ),
        ("harness/load", &["schema", "testbed", "conformance"]),
        (
            "harness/chaos",
            &[
                "schema",
                "serve",
                "upstream",
                "testbed",
                "conformance",
                "load",
            ],
        ),
        (
            "harness/cli",
            &["schema", "serve", "testbed", "conformance", "load", "chaos"],
        ),
    ] {
        let dependencies = dependencies(&format!("{package}/Cargo.toml"), "dependencies");
        assert!(!dependencies.is_empty());
        let services = [
            "schema",
            "serve",
            "upstream",
            "target-axum",
            "limit",
            "harness",
        ];
        for member in services.iter().chain(&harness) {
            let depends = dependencies.iter().any(|name| name == member);
            assert!(
                !depends || allowed.contains(member),
                "{package} depends on {member}"
            );
        }
    }
    for framework in ["axum", "hyper", "tokio", "reqwest", "tower"] {
        let schema = dependencies("schema/Cargo.toml", "dependencies");
        assert!(
            !schema.iter().any(|name| name == framework),
            "schema knows {framework}"
        );
    }
}

#[test]
fn the_workflows_use_the_toolchain_of_the_workspace_and_actions_by_their_commit() {
    let manifest = read("Cargo.toml");
    let toolchain = manifest.split("rust-version = \"").nth(1).unwrap();
    let toolchain = toolchain.split('"').next().unwrap();
    let workflow = read(".github/workflows/ci.yml");
    assert!(workflow.contains(&format!("RUSTUP_TOOLCHAIN: {toolchain}.")));
    for name in ["ci", "release"] {
        let workflow = read(&format!(".github/workflows/{name}.yml"));
        let uses = workflow
            .lines()
            .filter_map(|line| line.split_once("uses: "));
        for (_, action) in uses.filter(|(_, action)| !action.starts_with("./")) {
            let (_, commit) = action.split_once('@').unwrap();
            let commit = commit.split(' ').next().unwrap();
            assert_eq!(commit.len(), 40, "{action}");
            assert!(commit.chars().all(|c| c.is_ascii_hexdigit()), "{action}");
        }
    }
}

#[test]
fn a_release_takes_each_executable_out_of_an_image_that_there_is() {
    let workflow = read(".github/workflows/release.yml");
    let images = workflow
        .split("IMAGES: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let dockerfile = read("Dockerfile");
    for name in images.split(' ') {
        assert!(
            dockerfile.contains(&format!(" AS {name}\n")),
            "no stage {name}"
        );
        assert!(
            dockerfile.contains(&format!(" /{name}\n")),
            "no executable /{name}"
        );
    }
}

#[test]
fn every_source_file_says_its_purpose_first() {
    for file in files() {
        if file.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("//! "), "{}", file.display());
        }
    }
}

/// Deadlines run on a clock that only goes on.
#[test]
fn no_service_asks_what_time_it_is_but_for_its_tokens() {
    let services = ["schema", "serve", "upstream", "target-axum"];
    let sources = services.map(|service| root().join(service).join("src"));
    let sources = files().into_iter().filter(|file| {
        let is_service_s = sources.iter().any(|source| file.starts_with(source));
        is_service_s && fs::read_to_string(file).is_ok_and(|text| text.contains("SystemTime"))
    });
    let sources: Vec<_> = sources.collect();
    assert_eq!(sources, [root().join("target-axum/src/auth.rs")]);
}

#[test]
fn relative_links_of_documents_lead_to_files() {
    let documents = files().into_iter().filter(|file| {
        let is_report = file.starts_with(root().join("reports"));
        !is_report && file.extension().is_some_and(|extension| extension == "md")
    });
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap();
            let exists = link.is_empty() || link.starts_with("http") || folder.join(link).exists();
            assert!(exists, "{}: {link}", document.display());
        }
    }
}

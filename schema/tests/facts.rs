//! Compares the facts that files in other languages repeat, and the layers of the workspace, with this crate.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use schema::env::{self, Service};
use schema::fault::Fault;
use schema::{ErrorCode, limits, routes};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the cells of every table row of the contract.
fn contract_rows() -> Vec<Vec<String>> {
    let cells = |row: &str| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    read("docs/CONTRACT.md")
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(cells)
        .collect()
}

/// Returns every file of the project, without build output and hidden folders other than `.ci`.
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

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|known| known == extension)
}

#[test]
fn bench_secrets_appear_only_in_schema() {
    let outside = files()
        .into_iter()
        .filter(|file| !file.starts_with(root().join("schema")));
    let mut searched = 0;
    for file in outside {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        searched += 1;
        for variable in [&env::JWT_SECRET, &env::UPSTREAM_API_KEY] {
            let secret = env::bench_value(variable);
            let (name, file) = (variable.name, file.display());
            assert!(!text.contains(secret), "{name} in {file}");
        }
    }
    assert!(searched > 50, "{searched} files searched");
}

#[test]
fn contract_table_of_variables_matches_env() {
    let expected: Vec<_> = env::ALL
        .iter()
        .map(|variable| {
            let services = variable.read_by.iter().map(|service| match service {
                Service::Target => "target",
                Service::Upstream => "upstream",
            });
            [
                format!("`{}`", variable.name),
                services.collect::<Vec<_>>().join(", "),
                variable.default.unwrap_or("required").to_owned(),
            ]
        })
        .collect();
    let written: Vec<_> = contract_rows()
        .into_iter()
        .filter(|row| expected.iter().any(|[name, ..]| row[0] == *name))
        .map(|row| row[..3].to_vec())
        .collect();
    assert_eq!(written, expected);
}

#[test]
fn contract_table_of_errors_matches_error_codes() {
    let rows = contract_rows();
    for code in ErrorCode::ALL {
        // The upstream's own error is in the table of the upstream's routes.
        if code == ErrorCode::InvalidApiKey {
            let answer = format!("{} `{}`", code.status(), code.body().to_json());
            assert!(rows.iter().any(|row| row[1].starts_with(&answer)));
            continue;
        }
        let phrase = format!("`{}`", code.phrase());
        let row = rows.iter().find(|row| row.get(2) == Some(&phrase));
        let row = row.unwrap_or_else(|| panic!("no row for {phrase}"));
        assert!(row[1].starts_with(&code.status().to_string()), "{row:?}");
    }
}

#[test]
fn contract_tables_have_every_route_fault_and_limit() {
    let rows = contract_rows();
    let fault_route = format!(
        "{}<fault>{}",
        routes::UPSTREAM_FAULTS,
        routes::UPSTREAM_DATA
    );
    for route in [
        &format!("GET {}", routes::INFO),
        &format!("POST {}", routes::MOVIES),
        &format!("GET {}", routes::CATALOG),
        &format!("GET {}", routes::PROXY),
        &format!("GET {}", routes::USERS_ME),
        &format!("GET {}", routes::HEALTH),
        &format!("GET {}", routes::READY),
        &format!("GET {}", routes::UPSTREAM_DATA),
        &format!("GET {fault_route}"),
    ] {
        let quoted = format!("`{route}`");
        assert!(rows.iter().any(|row| row[0].contains(&quoted)), "{route}");
    }
    for fault in Fault::NAMES {
        let quoted = format!("`{fault}`");
        assert!(rows.iter().any(|row| row[0] == quoted), "{fault}");
    }
    let kib = |bytes: usize| format!("{} KiB", bytes / 1024);
    for (code, limits) in [
        (
            ErrorCode::MalformedBody,
            vec![limits::JSON_DEPTH_MAX.to_string()],
        ),
        (
            ErrorCode::BodyTooLarge,
            vec![kib(limits::REQUEST_BODY_MAX_BYTES)],
        ),
        (
            ErrorCode::RequestTimeout,
            vec![format!("{} s", limits::REQUEST_BODY_TIMEOUT.as_secs())],
        ),
        (
            ErrorCode::UpstreamUnavailable,
            vec![format!("{} MiB", limits::UPSTREAM_BODY_MAX_BYTES >> 20)],
        ),
        (
            ErrorCode::UpstreamTimeout,
            vec![
                format!("connect {} s", limits::UPSTREAM_CONNECT_TIMEOUT.as_secs()),
                format!("call {} s", limits::UPSTREAM_CALL_TIMEOUT.as_secs()),
            ],
        ),
        (
            ErrorCode::DatabaseUnavailable,
            vec![
                format!("({} s)", limits::DB_ACQUIRE_TIMEOUT.as_secs()),
                format!("over {} s", limits::DB_STATEMENT_TIMEOUT.as_secs()),
            ],
        ),
    ] {
        let phrase = format!("`{}`", code.phrase());
        let row = rows.iter().find(|row| row.get(2) == Some(&phrase)).unwrap();
        for limit in limits {
            assert!(row[0].contains(&limit), "{limit} in {row:?}");
        }
    }
}

#[test]
fn compose_repeats_ports_and_defaults_of_schema_and_no_secret() {
    let compose = read("docker-compose.yml");
    let published = [env::TARGET_PORT, env::UPSTREAM_PORT, env::POSTGRES_PORT]
        .map(|(name, port)| format!("127.0.0.1:${{{name}:-{port}}}:"));
    let passed_on = [
        &env::WORKERS,
        &env::PROFILE,
        &env::DB_POOL_SIZE,
        &env::UPSTREAM_POOL_SIZE,
    ]
    .map(|variable| {
        format!(
            "- {0}=${{{0}:-{1}}}",
            variable.name,
            variable.default.unwrap()
        )
    });
    let files = [
        "schema/bench.env".to_owned(),
        "./schema/sql/users.sql:/docker-entrypoint-initdb.d/".to_owned(),
        format!("max_connections={}", limits::POSTGRES_MAX_CONNECTIONS),
        format!("mem_limit: {}m", limits::SERVICE_MEMORY_MIB),
        "\n  upstream:\n".to_owned(),
        "\n  postgres:\n".to_owned(),
    ];
    for fact in published.iter().chain(&passed_on).chain(&files) {
        assert!(compose.contains(fact), "{fact}");
    }
    for variable in [&env::JWT_SECRET, &env::UPSTREAM_API_KEY, &env::DB_PASSWORD] {
        assert!(!compose.contains(&format!("{}:", variable.name)));
    }
    // The names of the services in Compose.
    assert!(env::bench_value(&env::UPSTREAM_URL).contains("//upstream:"));
    assert_eq!(env::bench_value(&env::DB_HOST), "postgres");
    let postgres = read("schema/postgres.env");
    for (name, variable) in [
        ("DB", &env::DB_NAME),
        ("USER", &env::DB_USER),
        ("PASSWORD", &env::DB_PASSWORD),
    ] {
        let line = format!("POSTGRES_{name}={}\n", env::bench_value(variable));
        assert!(postgres.contains(&line), "{line}");
    }
}

#[test]
fn compose_overlays_publish_no_port_and_mount_no_docker_socket() {
    let overlays = files()
        .into_iter()
        .filter(|file| file.starts_with(root().join("deploy/compose")))
        .filter(|file| has_extension(file, "yml"));
    for path in overlays {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("ports:"), "{}", path.display());
        assert!(!text.contains("docker.sock"), "{}", path.display());
    }
}

/// Returns the names in the section `dependencies` of a manifest.
fn dependencies(manifest: &str) -> Vec<String> {
    let manifest = read(manifest);
    manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn crates_depend_only_on_the_layers_below_them() {
    let manifest = read("Cargo.toml");
    let members: Vec<_> = manifest
        .lines()
        .filter(|line| line.contains("path = \""))
        .filter_map(|line| line.split([' ', '.']).next())
        .collect();
    assert!(members.contains(&"schema"), "{members:?}");
    for (package, allowed) in [
        ("schema", ""),
        ("serve", "schema"),
        ("upstream", "schema serve"),
        ("target-axum", "schema serve"),
        ("ceiling", "schema serve"),
        ("harness/testbed", "schema serve"),
        ("harness/conformance", "schema serve upstream testbed"),
        ("harness/load", "schema testbed conformance"),
        (
            "harness/chaos",
            "schema serve upstream testbed conformance load",
        ),
        ("harness/cli", "schema serve testbed conformance load chaos"),
    ] {
        let dependencies = dependencies(&format!("{package}/Cargo.toml"));
        assert!(!dependencies.is_empty());
        for name in dependencies.iter().map(String::as_str) {
            let is_allowed = !members.contains(&name) || allowed.split(' ').any(|one| one == name);
            assert!(is_allowed, "{package} depends on {name}");
            let is_framework = ["axum", "hyper", "tokio", "reqwest", "tower"].contains(&name);
            assert!(package != "schema" || !is_framework, "schema knows {name}");
        }
    }
}

#[test]
fn workflows_pin_actions_to_commits_and_the_toolchain_of_the_workspace() {
    let manifest = read("Cargo.toml");
    let toolchain = manifest.split("rust-version = \"").nth(1).unwrap();
    let toolchain = toolchain.split('"').next().unwrap();
    let pinned = format!("RUSTUP_TOOLCHAIN: {toolchain}.");
    assert!(read(".github/workflows/ci.yml").contains(&pinned));
    for name in ["ci", "release"] {
        let workflow = read(&format!(".github/workflows/{name}.yml"));
        let actions = workflow
            .lines()
            .filter_map(|line| line.split_once("uses: "))
            .map(|(_, action)| action)
            .filter(|action| !action.starts_with("./"));
        for action in actions {
            let (_, commit) = action.split_once('@').unwrap();
            let commit = commit.split(' ').next().unwrap();
            assert_eq!(commit.len(), 40, "{action}");
            assert!(commit.chars().all(|c| c.is_ascii_hexdigit()), "{action}");
        }
    }
}

#[test]
fn released_images_are_stages_of_the_dockerfile() {
    let workflow = read(".github/workflows/release.yml");
    let images = workflow.split("IMAGES: ").nth(1).unwrap();
    let dockerfile = read("Dockerfile");
    for name in images.lines().next().unwrap().split(' ') {
        assert!(dockerfile.contains(&format!(" AS {name}\n")), "{name}");
        assert!(dockerfile.contains(&format!(" /{name}\n")), "{name}");
    }
}

#[test]
fn source_files_begin_with_their_purpose() {
    for file in files().iter().filter(|file| has_extension(file, "rs")) {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.starts_with("//! "), "{}", file.display());
    }
}

/// Deadlines must not depend on the wall clock, which can be set: only tokens are compared with it.
#[test]
fn services_read_the_wall_clock_only_for_tokens() {
    let services = ["schema", "serve", "upstream", "target-axum"];
    let sources = services.map(|service| root().join(service).join("src"));
    for file in files() {
        let is_source = sources.iter().any(|source| file.starts_with(source));
        let text = fs::read_to_string(&file).unwrap_or_default();
        let is_token_check = text.contains("Claims");
        let reads_clock = is_source && text.contains("SystemTime");
        assert!(!reads_clock || is_token_check, "{}", file.display());
    }
}

#[test]
fn relative_links_of_documents_lead_to_files() {
    let documents = files()
        .into_iter()
        .filter(|file| has_extension(file, "md") && !file.starts_with(root().join("reports")));
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

//! Checks deploy/k8s against the types of the Kubernetes API and against the contract.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use schema::limits::SERVICE_MEMORY_MIB;
use schema::{env, routes};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Longest drain of a service after SIGTERM, in seconds.
const DRAIN_SECS: u64 = 12;

fn objects(path: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = fs::read_to_string(&path).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the objects of the suite's kustomization, without the generated ones.
fn manifests() -> Vec<Value> {
    let kustomization = &objects("deploy/k8s/kustomization.yaml")[0];
    let resources = kustomization["resources"].as_array().unwrap();
    let files = resources.iter().filter_map(Value::as_str);
    let manifests: Vec<_> = files
        .filter(|name| name.ends_with(".yaml"))
        .flat_map(|name| objects(&format!("deploy/k8s/{name}")))
        .collect();
    assert!(manifests.len() > 10);
    manifests
}

/// Returns the names of the objects of a kind.
fn names(manifests: &[Value], kind: &str) -> Vec<String> {
    let objects = manifests.iter().filter(|object| object["kind"] == kind);
    let names = objects.filter_map(|object| object["metadata"]["name"].as_str());
    names.map(str::to_owned).collect()
}

/// Returns the workloads: name, replicas, specification of the pod.
fn workloads(manifests: &[Value]) -> Vec<(&str, u64, &Value)> {
    let workloads = manifests
        .iter()
        .filter(|object| object["spec"]["template"].is_object())
        .map(|object| {
            let name = object["metadata"]["name"].as_str().unwrap();
            let spec = &object["spec"];
            (
                name,
                spec["replicas"].as_u64().unwrap(),
                &spec["template"]["spec"],
            )
        });
    workloads.collect()
}

/// Decodes an object and encodes it again: a field that `T` does not know is lost.
fn is_known<T: DeserializeOwned + Serialize>(object: &Value) -> bool {
    let decoded = serde_json::from_value::<T>(object.clone());
    decoded.is_ok_and(|typed| serde_json::to_value(typed).unwrap() == *object)
}

#[test]
fn manifests_have_only_fields_of_their_api() {
    let manifests = manifests();
    for object in &manifests {
        let known = match (object["apiVersion"].as_str(), object["kind"].as_str()) {
            (Some("v1"), Some("Namespace")) => is_known::<Namespace>(object),
            (Some("v1"), Some("Service")) => is_known::<Service>(object),
            (Some("apps/v1"), Some("Deployment")) => is_known::<Deployment>(object),
            (Some("apps/v1"), Some("StatefulSet")) => is_known::<StatefulSet>(object),
            (Some("policy/v1"), Some("PodDisruptionBudget")) => {
                is_known::<PodDisruptionBudget>(object)
            }
            (Some("networking.k8s.io/v1"), Some("NetworkPolicy")) => {
                is_known::<NetworkPolicy>(object)
            }
            _ => false,
        };
        assert!(known, "{} {}", object["kind"], object["metadata"]["name"]);
    }
    let is_deployment = |object: &Value| object["kind"] == "Deployment";
    let mut misspelt = manifests.into_iter().find(is_deployment).unwrap();
    misspelt["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = json!("x");
    assert!(!is_known::<Deployment>(&misspelt));
}

#[test]
fn pods_read_the_secrets_of_schema_and_probes_the_routes_of_the_contract() {
    let generated = &objects("schema/kustomization.yaml")[0];
    let secrets = &generated["secretGenerator"];
    assert_eq!(secrets[0]["envs"], json!(["bench.env"]));
    assert_eq!(secrets[1]["envs"], json!(["postgres.env"]));
    let users = &generated["configMapGenerator"][0]["files"];
    assert_eq!(*users, json!(["sql/users.sql"]));
    let kustomization = &objects("deploy/k8s/kustomization.yaml")[0];
    let images: Vec<_> = kustomization["images"]
        .as_array()
        .unwrap()
        .iter()
        .inspect(|image| assert_eq!(image["newTag"], env!("CARGO_PKG_VERSION")))
        .map(|image| &image["name"])
        .collect();
    for (workload, _, pod) in workloads(&manifests()) {
        let container = &pod["containers"][0];
        let is_postgres = workload == "postgres";
        let secret = &container["envFrom"][0]["secretRef"]["name"];
        assert_eq!(*secret, secrets[usize::from(is_postgres)]["name"]);
        for variable in container["env"].as_array().into_iter().flatten() {
            let known = env::ALL.iter().any(|known| variable["name"] == known.name);
            assert!(known, "{workload}: {variable}");
        }
        if is_postgres {
            continue;
        }
        assert!(images.contains(&&container["image"]), "{workload}");
        let ready = match workload {
            "target" => routes::READY,
            _ => routes::HEALTH,
        };
        for (probe, path) in [
            ("readinessProbe", ready),
            ("livenessProbe", routes::HEALTH),
            ("startupProbe", routes::HEALTH),
        ] {
            let probed = &container[probe]["httpGet"]["path"];
            assert_eq!(*probed, path, "{workload}: {probe}");
        }
    }
}

#[test]
fn pods_have_no_privileges_and_limited_resources() {
    let load = objects("deploy/k8s/load/base/testrun.yaml").remove(0);
    let manifests = manifests();
    let pods = workloads(&manifests);
    let contexts = pods
        .iter()
        .map(|(name, _, pod)| {
            let container = &pod["containers"][0];
            assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
            let resources = &container["resources"];
            assert!(resources["limits"].is_object(), "{name}");
            assert_eq!(resources["limits"], resources["requests"], "{name}");
            (&pod["securityContext"], &container["securityContext"])
        })
        .chain(["runner", "starter"].map(|name| {
            let pod = &load["spec"][name];
            (&pod["securityContext"], &pod["containerSecurityContext"])
        }));
    for (pod, container) in contexts {
        assert_eq!(pod["runAsNonRoot"], true);
        assert!(pod["runAsUser"].as_u64().is_some_and(|user| user > 0));
        assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(container["readOnlyRootFilesystem"], true);
        assert_eq!(container["allowPrivilegeEscalation"], false);
        assert_eq!(container["capabilities"]["drop"], json!(["ALL"]));
    }
}

#[test]
fn replicated_workloads_have_a_budget_and_time_to_drain() {
    let manifests = manifests();
    let policies = names(&manifests, "NetworkPolicy");
    let budgets = names(&manifests, "PodDisruptionBudget");
    for (workload, replicas, pod) in workloads(&manifests) {
        let has = |names: &[String]| names.iter().any(|name| name == workload);
        assert!(has(&policies), "{workload}");
        assert_eq!(has(&budgets), replicas > 1, "{workload}");
        if replicas > 1 {
            let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
            let pre_stop = &pod["containers"][0]["lifecycle"]["preStop"];
            let pause = pre_stop["sleep"]["seconds"].as_u64().unwrap();
            assert!(grace > pause + DRAIN_SECS, "{workload}");
            let memory = format!("{SERVICE_MEMORY_MIB}Mi");
            let limits = &pod["containers"][0]["resources"]["limits"];
            assert_eq!(limits["memory"], memory, "{workload}");
        }
    }
}

#[test]
fn load_scenarios_mount_the_script_of_the_test_run() {
    let load = objects("deploy/k8s/load/base/testrun.yaml").remove(0);
    let script = &load["spec"]["script"]["configMap"]["file"];
    for scenario in ["info", "movies", "catalog", "users-me"] {
        let path = format!("deploy/k8s/load/{scenario}/kustomization.yaml");
        let map = &objects(&path)[0]["configMapGenerator"][0];
        assert_eq!(map["name"], format!("load-{scenario}"));
        assert_eq!(map["files"], json!([script, "inputs.json"]));
    }
}

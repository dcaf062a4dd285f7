//! deploy/k8s against the types of Kubernetes' own API, and against the contract.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{
    Container, EnvVar, Namespace, PodSecurityContext, PodSpec, Probe, ResourceRequirements,
    SecurityContext, Service, Volume, VolumeMount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use schema::{env, routes};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The objects of a file.
fn objects(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All objects of the suite's kustomization but those that are generated.
fn manifests() -> Vec<Value> {
    let kustomization = &objects("deploy/k8s/kustomization.yaml")[0];
    let resources = kustomization["resources"].as_array().unwrap();
    let files = resources.iter().map(|name| name.as_str().unwrap());
    let files = files.filter(|name| name.ends_with(".yaml"));
    files
        .flat_map(|name| objects(&format!("deploy/k8s/{name}")))
        .collect()
}

fn of_kind<T: DeserializeOwned>(kind: &str) -> Vec<T> {
    let objects = manifests().into_iter();
    let objects = objects.filter(|object| object["kind"] == kind);
    objects
        .map(|object| serde_json::from_value(object).unwrap())
        .collect()
}

/// What a type keeps of an object is all of it: a field that it does not know would be lost.
fn assert_known<T: DeserializeOwned + Serialize>(object: &Value) {
    let about = format!("{} {}", object["kind"], object["metadata"]["name"]);
    let typed: T =
        serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{about}: {error}"));
    assert_eq!(serde_json::to_value(typed).unwrap(), *object, "{about}");
}

/// The pods of all workloads, with how many there are of each.
fn pods() -> Vec<(String, i32, PodSpec)> {
    let deployments = of_kind::<Deployment>("Deployment").into_iter();
    let deployments = deployments.map(|of| {
        let spec = of.spec.unwrap();
        (of.metadata, spec.replicas, spec.template)
    });
    let sets = of_kind::<StatefulSet>("StatefulSet").into_iter();
    let sets = sets.map(|of| {
        let spec = of.spec.unwrap();
        (of.metadata, spec.replicas, spec.template)
    });
    deployments
        .chain(sets)
        .map(|(metadata, replicas, template)| {
            (
                metadata.name.unwrap(),
                replicas.unwrap(),
                template.spec.unwrap(),
            )
        })
        .collect()
}

/// A `TestRun` of the k6 operator 1.6, as far as it is used.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TestRun {
    api_version: String,
    kind: String,
    metadata: Value,
    spec: TestRunSpec,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TestRunSpec {
    parallelism: i32,
    arguments: String,
    script: Script,
    runner: TestRunPod,
    starter: TestRunPod,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Script {
    config_map: ScriptConfigMap,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ScriptConfigMap {
    name: String,
    file: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TestRunPod {
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    env: Vec<EnvVar>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<ResourceRequirements>,
    security_context: PodSecurityContext,
    container_security_context: SecurityContext,
    /// A string in this API.
    automount_service_account_token: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<Volume>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    volume_mounts: Vec<VolumeMount>,
}

#[test]
fn every_manifest_is_what_its_api_knows() {
    let manifests = manifests();
    assert!(manifests.len() > 10);
    for object in &manifests {
        match (object["apiVersion"].as_str(), object["kind"].as_str()) {
            (Some("v1"), Some("Namespace")) => assert_known::<Namespace>(object),
            (Some("v1"), Some("Service")) => assert_known::<Service>(object),
            (Some("apps/v1"), Some("Deployment")) => assert_known::<Deployment>(object),
            (Some("apps/v1"), Some("StatefulSet")) => assert_known::<StatefulSet>(object),
            (Some("policy/v1"), Some("PodDisruptionBudget")) => {
                assert_known::<PodDisruptionBudget>(object);
            }
            (Some("networking.k8s.io/v1"), Some("NetworkPolicy")) => {
                assert_known::<NetworkPolicy>(object);
            }
            other => panic!("{other:?} is not looked at"),
        }
    }
    for run in objects("deploy/k8s/load/base/testrun.yaml") {
        assert_eq!(run["apiVersion"], "k6.io/v1alpha1");
        assert_known::<TestRun>(&run);
    }
}

#[test]
fn a_misspelt_field_is_seen() {
    let mut deployment = manifests()
        .into_iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = Value::from("x");
    let seen = std::panic::catch_unwind(|| assert_known::<Deployment>(&deployment));
    assert!(seen.is_err());
}

#[test]
fn every_file_is_part_of_a_kustomization() {
    let listed = |folder: &str, name: &str| {
        let kustomization = &objects(&format!("{folder}/kustomization.yaml"))[0];
        let resources = kustomization["resources"].as_array().unwrap();
        resources.iter().any(|resource| resource == name)
    };
    for folder in ["deploy/k8s", "deploy/k8s/load/base"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".yaml") && name != "kustomization.yaml" {
                assert!(listed(folder, &name), "{folder}/{name}");
            }
        }
    }
    assert!(listed("deploy/k8s", "../../schema"));
}

#[test]
fn values_come_from_the_files_of_schema_and_paths_from_the_contract() {
    let generated = &objects("schema/kustomization.yaml")[0];
    let name = |generator: &str, index: usize| generated[generator][index]["name"].clone();
    assert_eq!(generated["secretGenerator"][0]["envs"][0], "bench.env");
    assert_eq!(generated["secretGenerator"][1]["envs"][0], "postgres.env");
    assert_eq!(
        generated["configMapGenerator"][0]["files"][0],
        "sql/users.sql"
    );
    for (workload, _, pod) in pods() {
        let container = &pod.containers[0];
        let secret = container.env_from.as_ref().unwrap()[0].secret_ref.clone();
        let own = if workload == "postgres" { 1 } else { 0 };
        assert_eq!(
            secret.unwrap().name,
            name("secretGenerator", own),
            "{workload}"
        );
        for variable in container.env.iter().flatten() {
            let known = env::ALL.iter().any(|known| known.name == variable.name);
            assert!(known, "{workload}: {}", variable.name);
        }
        let path = |probe: &Option<Probe>| probe.clone()?.http_get?.path;
        if workload != "postgres" {
            let ready = if workload == "target" {
                routes::READY
            } else {
                routes::HEALTH
            };
            assert_eq!(path(&container.readiness_probe).as_deref(), Some(ready));
            assert_eq!(
                path(&container.liveness_probe).as_deref(),
                Some(routes::HEALTH)
            );
            assert_eq!(
                path(&container.startup_probe).as_deref(),
                Some(routes::HEALTH)
            );
        }
    }
}

/// What every container may not.
fn is_locked(pod: Option<&PodSecurityContext>, container: Option<&SecurityContext>) -> bool {
    let (Some(pod), Some(container)) = (pod, container) else {
        return false;
    };
    let dropped = container
        .capabilities
        .as_ref()
        .and_then(|all| all.drop.clone());
    pod.run_as_non_root == Some(true)
        && pod.run_as_user.is_some_and(|user| user > 0)
        && pod
            .seccomp_profile
            .as_ref()
            .is_some_and(|of| of.type_ == "RuntimeDefault")
        && container.read_only_root_filesystem == Some(true)
        && container.allow_privilege_escalation == Some(false)
        && dropped.is_some_and(|dropped| dropped == ["ALL"])
}

#[test]
fn no_pod_may_more_than_it_needs_and_all_have_limits() {
    for (workload, _, pod) in pods() {
        let container: &Container = &pod.containers[0];
        let context = container.security_context.as_ref();
        assert!(
            is_locked(pod.security_context.as_ref(), context),
            "{workload}"
        );
        assert_eq!(
            pod.automount_service_account_token,
            Some(false),
            "{workload}"
        );
        let resources = container.resources.clone().unwrap();
        assert!(resources.limits.is_some(), "{workload}");
        assert_eq!(resources.limits, resources.requests, "{workload}");
    }
    let run = objects("deploy/k8s/load/base/testrun.yaml").remove(0);
    let run: TestRun = serde_json::from_value(run).unwrap();
    for pod in [run.spec.runner, run.spec.starter] {
        let context = Some(&pod.container_security_context);
        assert!(is_locked(Some(&pod.security_context), context));
    }
}

#[test]
fn every_workload_has_its_policy_and_one_of_several_pods_a_budget_and_a_stop_in_peace() {
    let policies = of_kind::<NetworkPolicy>("NetworkPolicy");
    let budgets = of_kind::<PodDisruptionBudget>("PodDisruptionBudget");
    for (workload, replicas, pod) in pods() {
        let named = |name: &Option<String>| name.as_deref() == Some(&workload);
        assert!(
            policies.iter().any(|of| named(&of.metadata.name)),
            "{workload}"
        );
        let has_budget = budgets.iter().any(|of| named(&of.metadata.name));
        assert_eq!(has_budget, replicas > 1, "{workload}");
        if replicas > 1 {
            let grace = pod.termination_grace_period_seconds.unwrap();
            let stop = pod.containers[0]
                .lifecycle
                .clone()
                .unwrap()
                .pre_stop
                .unwrap();
            // The drain takes up to twelve seconds.
            assert!(grace > stop.sleep.unwrap().seconds + 12, "{workload}");
        }
    }
}

#[test]
fn images_carry_the_version_of_the_workspace() {
    let kustomization = &objects("deploy/k8s/kustomization.yaml")[0];
    let images = kustomization["images"].as_array().unwrap();
    let names: Vec<_> = images
        .iter()
        .map(|image| image["name"].as_str().unwrap())
        .collect();
    for image in images {
        assert_eq!(image["newTag"], env!("CARGO_PKG_VERSION"));
    }
    for (workload, _, pod) in pods()
        .iter()
        .filter(|(workload, ..)| workload != "postgres")
    {
        let image = pod.containers[0].image.as_deref().unwrap();
        assert!(names.contains(&image), "{workload}: {image}");
    }
}

#[test]
fn the_load_sets_what_the_script_reads() {
    let script = read("harness/src/bench/engine/scripts/k6/load.js");
    let run = objects("deploy/k8s/load/base/testrun.yaml").remove(0);
    let run: TestRun = serde_json::from_value(run).unwrap();
    let set: Vec<_> = run
        .spec
        .runner
        .env
        .iter()
        .map(|of| of.name.as_str())
        .collect();
    for name in &set {
        assert!(script.contains(&format!("__ENV.{name}")), "{name}");
    }
    let read = script.split("__ENV.").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_');
        &rest[..end.unwrap()]
    });
    for name in read.filter(|name| *name != "RATE") {
        assert!(set.contains(&name), "{name}");
    }
    for scenario in ["info", "movies", "catalog", "users-me"] {
        let of = &objects(&format!("deploy/k8s/load/{scenario}/kustomization.yaml"))[0];
        let map = &of["configMapGenerator"][0];
        assert_eq!(map["name"], format!("load-{scenario}"));
        let files = [run.spec.script.config_map.file.as_str(), "inputs.json"];
        assert_eq!(map["files"].as_array().unwrap().as_slice(), files);
    }
}

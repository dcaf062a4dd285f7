//! The checked-in OpenAPI document: current, complete, and right about its own examples.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use schema::{ErrorCode, openapi, routes};
use serde_json::{Map, Value, json};

fn document() -> Value {
    serde_json::to_value(openapi::document()).unwrap()
}

/// Calls `visit` with every object of the document and its JSON pointer.
fn walk(value: &Value, pointer: &str, visit: &mut impl FnMut(&Map<String, Value>, &str)) {
    match value {
        Value::Object(object) => {
            visit(object, pointer);
            for (key, value) in object {
                let key = key.replace('~', "~0").replace('/', "~1");
                walk(value, &format!("{pointer}/{key}"), visit);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                walk(value, &format!("{pointer}/{index}"), visit);
            }
        }
        _ => {}
    }
}

/// The value that a `$ref` stands for, or the value itself.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
        return value;
    };
    let pointer = reference.strip_prefix('#').unwrap();
    document
        .pointer(pointer)
        .unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

/// Status and response of every answer of every operation.
fn responses(document: &Value) -> Vec<(&str, &Value)> {
    let items = document["paths"].as_object().unwrap().values();
    items
        .flat_map(|item| item.as_object().unwrap().values())
        .filter_map(|operation| operation.get("responses")?.as_object())
        .flatten()
        .map(|(status, response)| (status.as_str(), resolve(document, response)))
        .collect()
}

fn error_example(response: &Value) -> Option<&str> {
    response["content"]["application/json"]["example"]["error"].as_str()
}

#[test]
fn the_checked_in_document_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let generated = openapi::to_json();
    if env::var_os("UPDATE_OPENAPI").is_some_and(|update| update == "1") {
        fs::write(&path, &generated).unwrap();
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    assert!(checked_in == generated, "run make openapi");
}

#[test]
fn the_document_is_openapi_3_1() {
    let document = document();
    let version = document["openapi"].as_str().unwrap();
    assert!(version.starts_with("3.1."), "{version}");
}

#[test]
fn the_paths_are_the_routes() {
    let document = document();
    let paths: BTreeSet<_> = document["paths"].as_object().unwrap().keys().collect();
    let faults = format!("{}{{fault}}/data", routes::UPSTREAM_FAULTS);
    let routes = [
        routes::INFO,
        routes::MOVIES,
        routes::CATALOG,
        routes::PROXY,
        routes::USERS_ME,
        routes::HEALTH,
        routes::READY,
        routes::UPSTREAM_DATA,
        &faults,
    ];
    assert_eq!(
        paths
            .into_iter()
            .map(String::as_str)
            .collect::<BTreeSet<_>>(),
        BTreeSet::from(routes)
    );
}

#[test]
fn every_error_is_an_example_under_its_status() {
    let document = document();
    let responses = responses(&document);
    for code in ErrorCode::ALL {
        let reusable = &document["components"]["responses"][format!("{code:?}")];
        assert_eq!(error_example(reusable), Some(code.phrase()));
        // No operation answers another method than its own.
        let documented = responses.iter().any(|(status, response)| {
            *status == code.status().to_string() && error_example(response) == Some(code.phrase())
        });
        assert_eq!(documented, code != ErrorCode::MethodNotAllowed, "{code:?}");
        if !documented {
            let description = reusable["description"].as_str().unwrap();
            assert!(description.starts_with(&code.status().to_string()));
        }
    }
}

#[test]
fn errors_carry_the_headers_of_their_status() {
    let document = document();
    for code in ErrorCode::ALL {
        let reusable = &document["components"]["responses"][format!("{code:?}")];
        let expected = match code.status() {
            401 => Some("WWW-Authenticate"),
            405 => Some("Allow"),
            503 => Some("Retry-After"),
            _ => None,
        };
        let headers: Vec<_> = reusable["headers"]
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str)
            .collect();
        assert_eq!(headers, Vec::from_iter(expected), "{code:?}");
    }
}

#[test]
fn every_example_fits_its_schema() {
    let document = document();
    let mut checked = 0;
    let mut check = |schema: &Value, example: &Value, pointer: &str| {
        let schema = json!({
            "allOf": [schema],
            "components": document["components"],
            "unevaluatedProperties": false,
        });
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap();
        let errors: Vec<_> = validator
            .iter_errors(example)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{pointer}: {example}: {errors:?}");
        checked += 1;
    };
    walk(&document, "", &mut |object, pointer| {
        // A media type, header or parameter: its example stands beside its schema.
        if let Some(schema) = object.get("schema") {
            let examples = object.get("examples").and_then(Value::as_object);
            let named = examples.into_iter().flat_map(Map::values);
            for example in named
                .map(|named| &named["value"])
                .chain(object.get("example"))
            {
                check(schema, example, pointer);
            }
        }
        // A schema: its examples stand inside.
        if let Some(Value::Array(examples)) = object.get("examples") {
            for example in examples {
                check(&Value::Object(object.clone()), example, pointer);
            }
        }
    });
    assert!(checked > 40, "{checked} examples checked");
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    walk(&document, "", &mut |object, _| {
        if let Some(reference) = object.get("$ref") {
            resolve(&document, &json!({ "$ref": reference }));
        }
    });
}

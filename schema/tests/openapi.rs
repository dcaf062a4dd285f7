//! Compares the OpenAPI document with the file that is checked in, the routes, the error table and its own
//! examples.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use schema::env::{JWT_SECRET, UPSTREAM_API_KEY, bench_value};
use schema::{ErrorCode, openapi};
use serde_json::{Value, json};

fn document() -> Value {
    serde_json::from_str(&openapi::to_json()).unwrap()
}

/// Returns every value of the document, outer values before inner ones.
fn values(value: &Value) -> Vec<&Value> {
    let inner: Vec<&Value> = match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    let inner = inner.into_iter().flat_map(values);
    [value].into_iter().chain(inner).collect()
}

fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields = value.as_object().into_iter().flatten();
    fields.map(|(name, value)| (name.as_str(), value))
}

/// Follows a `$ref` into the document.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap();
            let target = document.pointer(pointer);
            target.unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => value,
    }
}

/// Returns every operation with its name, such as `get /info`.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    fields(&document["paths"])
        .flat_map(|(path, item)| fields(item).map(move |(key, value)| (path, key, value)))
        .filter(|(_, key, _)| ["get", "post"].contains(key))
        .map(|(path, method, operation)| (format!("{method} {path}"), operation))
        .collect()
}

/// Returns the responses of an operation by status, references resolved.
fn responses<'a>(
    document: &'a Value,
    operation: &'a Value,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    fields(&operation["responses"])
        .map(move |(status, response)| (status, resolve(document, response)))
}

/// Returns the examples beside a schema (of a body, header or parameter) and the schema's own.
fn examples(value: &Value) -> Vec<(&Value, &Value)> {
    let schema = &value["schema"];
    let named = fields(&value["examples"]).map(|(_, example)| &example["value"]);
    let own = schema["examples"].as_array().into_iter().flatten();
    let all = value.get("example").into_iter().chain(named).chain(own);
    all.filter(|_| schema.is_object())
        .map(|example| (schema, example))
        .collect()
}

fn errors(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let schema = json!({ "allOf": [schema], "components": document["components"] });
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let errors = validator.iter_errors(value);
    errors.map(|error| error.to_string()).collect()
}

#[test]
fn checked_in_document_equals_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let generated = openapi::to_json();
    if env::var("UPDATE_OPENAPI").is_ok_and(|value| value == "1") {
        fs::write(&path, &generated).unwrap();
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    let differs = checked_in
        .lines()
        .zip(generated.lines())
        .position(|(checked_in, generated)| checked_in != generated);
    assert!(
        checked_in == generated,
        "schema/openapi.json is not the generated document (first different line: {differs:?}); \
         `UPDATE_OPENAPI=1 cargo test -p schema --test openapi` rewrites it"
    );
    for variable in [&JWT_SECRET, &UPSTREAM_API_KEY] {
        let secret = bench_value(variable);
        assert!(!generated.contains(secret), "{}", variable.name);
    }
}

#[test]
fn every_route_is_a_path_with_an_operation() {
    let document = document();
    let operations = operations(&document);
    let source = include_str!("../src/routes.rs");
    let routes: Vec<_> = source
        .split('"')
        .filter(|text| text.starts_with('/') && !text.contains('\n'))
        .collect();
    assert_eq!(routes.len(), source.matches(" = \"/").count());
    for route in routes {
        let is_path = |name: &str| {
            let path = name.split(' ').next_back().unwrap();
            path == route || (route.ends_with('/') && path.starts_with(route))
        };
        assert!(operations.iter().any(|(name, _)| is_path(name)), "{route}");
    }
}

#[test]
fn every_error_is_the_example_of_a_response_under_its_status() {
    let document = document();
    let answered: BTreeSet<_> = operations(&document)
        .into_iter()
        .flat_map(|(_, operation)| responses(&document, operation))
        .filter_map(|(status, response)| {
            let error = &response["content"]["application/json"]["example"]["error"];
            Some((status.parse::<u16>().ok()?, error.as_str()?))
        })
        .collect();
    let expected: BTreeSet<_> = ErrorCode::ALL
        .into_iter()
        // An operation has one method, so none can answer that the method is another.
        .filter(|code| *code != ErrorCode::MethodNotAllowed)
        .map(|code| (code.status(), code.phrase()))
        .collect();
    assert_eq!(answered, expected);
    let description = document["info"]["description"].as_str().unwrap();
    let component = format!("`#/components/responses/{:?}`", ErrorCode::MethodNotAllowed);
    assert!(description.contains(&component));
}

#[test]
fn errors_carry_the_headers_of_their_status() {
    let document = document();
    for code in ErrorCode::ALL {
        let response = &document["components"]["responses"][format!("{code:?}")];
        let headers: Vec<_> = fields(&response["headers"]).map(|(name, _)| name).collect();
        let expected = match code.status() {
            401 => vec!["WWW-Authenticate"],
            405 => vec!["Allow"],
            503 => vec!["Retry-After"],
            _ => vec![],
        };
        assert_eq!(headers, expected, "{code:?}");
    }
}

#[test]
fn operations_name_a_security_scheme_exactly_if_they_answer_401() {
    let document = document();
    for (name, operation) in operations(&document) {
        let refuses = !operation["responses"]["401"].is_null();
        let schemes: Vec<_> = values(&operation["security"])
            .into_iter()
            .flat_map(fields)
            .map(|(scheme, _)| &document["components"]["securitySchemes"][scheme]["scheme"])
            .collect();
        let expected = if refuses { vec!["bearer"] } else { vec![] };
        assert_eq!(schemes, expected, "{name}");
    }
}

#[test]
fn references_resolve_and_examples_fit_their_schemas() {
    let document = document();
    let references = values(&document)
        .into_iter()
        .filter(|value| value["$ref"].is_string())
        .map(|value| resolve(&document, value));
    assert!(references.count() > 40);
    let examples: Vec<_> = values(&document).into_iter().flat_map(examples).collect();
    for (schema, example) in &examples {
        let errors = errors(&document, schema, example);
        assert!(errors.is_empty(), "{example}: {errors:?}");
    }
    assert!(examples.len() > 40, "{} examples", examples.len());
}

#[test]
fn bodies_need_all_their_fields_and_may_have_more() {
    let document = document();
    let examples: Vec<_> = values(&document).into_iter().flat_map(examples).collect();
    let mut checked = BTreeSet::new();
    for (schema, example) in examples {
        let (Some(reference), Some(object)) = (schema["$ref"].as_str(), example.as_object()) else {
            continue;
        };
        let mut more = example.clone();
        more["more"] = json!({});
        assert!(errors(&document, schema, &more).is_empty(), "{reference}");
        for field in object.keys().filter(|field| *field != "detail") {
            let mut less = example.clone();
            less.as_object_mut().unwrap().remove(field);
            let fits = errors(&document, schema, &less).is_empty();
            assert!(!fits, "{reference} without {field}");
        }
        checked.insert(reference.rsplit('/').next().unwrap());
    }
    let bodies = [
        "ErrorBody",
        "Info",
        "Movie",
        "NewMovie",
        "Product",
        "Profile",
    ];
    assert_eq!(checked, BTreeSet::from(bodies));
}

#[test]
fn years_are_32_bit_integers_and_ratings_numbers() {
    let document = document();
    let schema = json!({ "$ref": "#/components/schemas/NewMovie" });
    for (field, value, fits) in [
        ("year", json!(i32::MIN), true),
        ("year", json!(i32::MAX), true),
        ("year", json!(i64::from(i32::MIN) - 1), false),
        ("year", json!(i64::from(i32::MAX) + 1), false),
        ("year", json!(1.5), false),
        ("year", json!("1"), false),
        ("rating", json!(8), true),
        ("rating", json!(8.8), true),
        ("rating", json!("8"), false),
        ("rating", Value::Null, false),
    ] {
        let mut movie = serde_json::to_value(schema::fixtures::new_movie()).unwrap();
        movie[field] = value.clone();
        let errors = errors(&document, &schema, &movie);
        assert_eq!(errors.is_empty(), fits, "{field}: {value}");
    }
}

#[test]
fn properties_have_descriptions_without_links_of_rustdoc() {
    let document = document();
    for (name, schema) in fields(&document["components"]["schemas"]) {
        let properties = values(schema)
            .into_iter()
            .flat_map(|value| fields(&value["properties"]));
        for (property, schema) in properties {
            let description = schema["description"].as_str();
            let description = description.unwrap_or_else(|| panic!("{name}: {property}"));
            assert!(!description.contains("[`"), "{description}");
        }
    }
}

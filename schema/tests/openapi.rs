//! Holds the OpenAPI document against the file that is checked in, the routes, the error table and
//! its own examples.
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

/// Every value of the document, the outer before the inner ones.
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

/// Every operation with its name, such as `get /info`.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    fields(&document["paths"])
        .flat_map(|(path, item)| fields(item).map(move |(key, value)| (path, key, value)))
        .filter(|(_, key, _)| ["get", "post"].contains(key))
        .map(|(path, method, operation)| (format!("{method} {path}"), operation))
        .collect()
}

/// What an operation answers: the status, and the response with its reference resolved.
fn responses<'a>(
    document: &'a Value,
    operation: &'a Value,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    fields(&operation["responses"])
        .map(move |(status, response)| (status, resolve(document, response)))
}

/// The examples beside a schema: of a body, a header or a parameter, and a schema's own.
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
fn the_checked_in_document_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let generated = openapi::to_json();
    if env::var("UPDATE_OPENAPI").is_ok_and(|value| value == "1") {
        fs::write(&path, &generated).unwrap();
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    let line = checked_in
        .lines()
        .zip(generated.lines())
        .take_while(|(checked_in, generated)| checked_in == generated)
        .count()
        + 1;
    assert!(
        checked_in == generated,
        "schema/openapi.json is not the generated document, from line {line} on; \
         `UPDATE_OPENAPI=1 cargo test -p schema --test openapi` rewrites it"
    );
}

#[test]
fn the_document_is_of_openapi_3_1() {
    let version = document()["openapi"].as_str().unwrap().to_owned();
    assert!(version.starts_with("3.1."), "{version}");
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
        // An operation is of one method, so none can answer that the method is another.
        .filter(|code| *code != ErrorCode::MethodNotAllowed)
        .map(|code| (code.status(), code.phrase()))
        .collect();
    assert_eq!(answered, expected);
}

#[test]
fn what_belongs_to_no_operation_is_described_at_the_top() {
    let document = document();
    let description = document["info"]["description"].as_str().unwrap();
    for code in [ErrorCode::NotFound, ErrorCode::MethodNotAllowed] {
        let pointer = format!("#/components/responses/{code:?}");
        assert!(description.contains(&format!("{} (`{pointer}`)", code.status())));
        let reference = json!({ "$ref": pointer });
        let example = &resolve(&document, &reference)["content"]["application/json"]["example"];
        assert_eq!(*example, json!({ "error": code.phrase() }));
    }
    assert!(description.contains("`HEAD`"));
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
fn an_operation_names_a_security_scheme_if_and_only_if_it_answers_401() {
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
fn every_reference_resolves() {
    let document = document();
    let mut references = 0;
    for value in values(&document) {
        if value["$ref"].is_string() {
            resolve(&document, value);
            references += 1;
        }
    }
    assert!(references > 40, "{references} references");
}

#[test]
fn every_example_fits_its_schema() {
    let document = document();
    let examples: Vec<_> = values(&document).into_iter().flat_map(examples).collect();
    for (schema, example) in &examples {
        let errors = errors(&document, schema, example);
        assert!(errors.is_empty(), "{example}: {errors:?}");
    }
    assert!(examples.len() > 40, "{} examples", examples.len());
}

#[test]
fn a_body_fits_only_with_all_its_fields_and_more_fields_do_no_harm() {
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
            assert!(
                !errors(&document, schema, &less).is_empty(),
                "{reference} without {field}"
            );
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
fn a_year_is_a_32_bit_integer_and_a_rating_any_number() {
    let document = document();
    let schema = json!({ "$ref": "#/components/schemas/NewMovie" });
    let fits = |field: &str, value: Value| {
        let mut movie = serde_json::to_value(schema::fixtures::new_movie()).unwrap();
        movie[field] = value;
        errors(&document, &schema, &movie).is_empty()
    };
    for year in [i32::MIN, 0, i32::MAX] {
        assert!(fits("year", year.into()), "{year}");
    }
    for year in [
        json!(-2_147_483_649_i64),
        json!(2_147_483_648_i64),
        json!(1.5),
        json!("1"),
    ] {
        assert!(!fits("year", year.clone()), "{year}");
    }
    assert!(fits("rating", json!(8)) && fits("rating", json!(8.8)));
    assert!(!fits("rating", json!("8")) && !fits("rating", Value::Null));
}

#[test]
fn every_property_is_described_without_links_that_only_rustdoc_follows() {
    let document = document();
    for (name, schema) in fields(&document["components"]["schemas"]) {
        for property in values(schema)
            .into_iter()
            .flat_map(|value| fields(&value["properties"]))
        {
            let description = property.1["description"].as_str();
            assert!(description.is_some(), "{name}: {}", property.0);
        }
    }
    assert!(!openapi::to_json().contains("[`"));
}

#[test]
fn the_document_holds_no_secret() {
    let json = openapi::to_json();
    for variable in [&JWT_SECRET, &UPSTREAM_API_KEY] {
        assert!(!json.contains(bench_value(variable)), "{}", variable.name);
    }
}

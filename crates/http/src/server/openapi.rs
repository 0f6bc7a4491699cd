//! The description of the server's routes, as OpenAPI 3.1 and as a page, made from the table of routes itself.
use super::routes::{Describe, Media, Needs, Route, Side};
use crate::wire::failure::Failure;
use crate::wire::frame::MEDIA_TYPE;
use crate::wire::keeping::FILE_TYPE;
use axum::Json;
use axum::response::Html;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Tree, json};

/// Answers with the description.
pub async fn document() -> Json<Tree> {
    Json(described())
}

/// The routes for programs; those for browsers are linked to one another.
fn routes() -> Vec<Route> {
    let mut routes = super::routes::routes();
    routes.retain(|route| route.side == Side::Programs);
    routes
}

/// Answers with the description as a page.
pub async fn page() -> Html<String> {
    Html(as_page(&routes()))
}

/// The description of every route.
pub fn described() -> Tree {
    let mut schemas = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into()).into_generator();
    let failure = schemas.subschema_for::<Failure>();
    let mut paths = Map::new();
    for route in routes() {
        let operation = operation(&route, &mut schemas, failure.as_value());
        let path = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mainstem",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A server's datasets: their versions, rows, conflicts, history, and the protocol that replicas speak.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator, failure: &Tree) -> Tree {
    let mut responses = Map::new();
    let success = if matches!(route.gives, Media::Socket) { "101" } else { "200" };
    responses.insert(success.into(), body(route.gives, "What was asked for.", schemas));
    for (status, why) in refusals(route) {
        responses.insert(status.into(), json!({ "description": why, "content": { "application/json": { "schema": failure } } }));
    }
    let mut parameters: Vec<Tree> = route.path.split('{').skip(1).filter_map(|part| part.split('}').next()).map(path_parameter).collect();
    parameters.extend(route.query.map(|query| query_parameters(query, schemas)).unwrap_or_default());
    if route.is_keyed {
        parameters.push(key_parameter());
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if route.needs != Needs::Nothing {
        operation["security"] = json!([{ "token": [] }]);
    }
    if !matches!(route.takes, Media::Nothing) {
        operation["requestBody"] = body(route.takes, "What is given.", schemas);
        operation["requestBody"]["required"] = true.into();
    }
    operation
}

fn operation_id(route: &Route) -> String {
    let words = route.path.replace(['/', '-', '.'], "_").replace(['{', '}'], "");
    format!("{}{words}", route.method.as_str().to_lowercase())
}

fn body(media: Media, description: &str, schemas: &mut SchemaGenerator) -> Tree {
    let (media, schema) = match media {
        Media::Nothing | Media::Socket => return json!({ "description": description }),
        Media::Feed(describe) => {
            let text = json!({ "schema": { "type": "string" } });
            let content = json!({
                "application/json": { "schema": describe(schemas).to_value() },
                "application/x-ndjson": text, "text/event-stream": text,
            });
            return json!({ "description": description, "content": content });
        }
        Media::File => (FILE_TYPE, json!({ "type": "string", "format": "binary" })),
        Media::Frames => (MEDIA_TYPE, json!({ "type": "string", "format": "binary" })),
        Media::Json(describe) => ("application/json", describe(schemas).to_value()),
        Media::Text => ("text/plain; version=0.0.4", json!({ "type": "string" })),
        Media::Page => ("text/html; charset=utf-8", json!({ "type": "string" })),
    };
    json!({ "description": description, "content": { media: { "schema": schema } } })
}

/// The statuses of what a route may refuse with.
fn refusals(route: &Route) -> Vec<(&'static str, &'static str)> {
    // What the porter and the gate refuse, they refuse on every route.
    let mut refusals = vec![
        ("400", "What was asked makes no sense."),
        ("403", "That is not allowed to you, or by that name."),
        ("405", "The path takes another method."),
        ("414", "The path is too long."),
        ("415", "What was sent is of another media type."),
        ("429", "Too much was asked at once."),
        ("503", "It may work later."),
    ];
    if route.needs != Needs::Nothing {
        refusals.push(("401", "Nobody is known by this token."));
    }
    if route.path.contains('{') || matches!(route.takes, Media::Json(_)) {
        refusals.extend([("404", "There is no such thing."), ("409", "The state of the data stands against it.")]);
    }
    if route.path.ends_with("/merge") {
        refusals.push(("422", "A gate stands in the way."));
    }
    if !matches!(route.takes, Media::Nothing) {
        refusals.extend([("408", "It came too slowly."), ("413", "It is too large.")]);
    }
    refusals.push(("500", "The server failed."));
    refusals.sort_unstable();
    refusals
}

fn path_parameter(name: &str) -> Tree {
    let is_number = matches!(name, "version" | "proposal" | "revision");
    let schema = if is_number { json!({ "type": "integer", "minimum": 0 }) } else { json!({ "type": "string", "minLength": 1 }) };
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

/// The header that names a request. Lengths are those of the server's own check.
fn key_parameter() -> Tree {
    let description = "Names this request: sent again with the same text, it is answered as it was, and nothing is done twice. \
                       With another body the text is refused (`request_reused`).";
    let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" });
    json!({ "name": "Idempotency-Key", "in": "header", "required": false, "description": description, "schema": schema })
}

/// Each property of the query's type as a parameter.
fn query_parameters(query: Describe, schemas: &mut SchemaGenerator) -> Vec<Tree> {
    let described = query(schemas).to_value();
    let name = described["$ref"].as_str().and_then(|r| r.rsplit('/').next()).unwrap_or_default().to_string();
    let definition = schemas.definitions_mut().remove(&name).unwrap_or_default();
    let required = |name: &str| definition["required"].as_array().is_some_and(|all| all.iter().any(|each| each == name));
    let of = |(name, schema): (&String, &Tree)| {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description")).unwrap_or_default();
        json!({ "name": name, "in": "query", "required": required(name), "description": description, "schema": schema })
    };
    definition["properties"].as_object().map(|properties| properties.iter().map(of).collect()).unwrap_or_default()
}

fn as_page(routes: &[Route]) -> String {
    let mut page = String::from(HEAD);
    for route in routes {
        let needs = match route.needs {
            Needs::Nothing => "nothing".to_string(),
            Needs::Setup => "the setup token".to_string(),
            Needs::Identity => "a token".to_string(),
            Needs::Account => "a token without a limit".to_string(),
            Needs::Dataset(right) => format!("the right to {right:?}").to_lowercase(),
            Needs::Server => "to administer the server".to_string(),
        };
        page.push_str(&format!(
            "<tr><td><code>{}</code></td><td><code>{}</code></td><td>{}</td><td>{needs}</td></tr>\n",
            route.method, route.path, route.summary
        ));
    }
    page.push_str("</tbody></table></main></body></html>\n");
    page
}

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mainstem: the HTTP interface</title>
<style>
:root { color-scheme: light dark; background: Canvas; font: 16px/1.5 system-ui, sans-serif }
main { max-width: 84rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent) }
code { font-size: .9em; overflow-wrap: anywhere }
@media (min-width: 64rem) { td code { white-space: nowrap } }
@media (max-width: 44rem) {
  thead { display: none }
  td:last-child::before { content: 'needs ' }
  tr, td { display: block; border: 0; padding: .1rem 0 }
  tr { border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .6rem 0 }
}
</style></head><body><main>
<h1>The HTTP interface</h1>
<p>Everything here is described for programs in <a href="/api/v1/openapi.json">openapi.json</a> (OpenAPI 3.1). A token goes into the header
<code>Authorization: Bearer …</code>. An error is <code>{"code", "message", "hint"}</code>.</p>
<table><thead><tr><th>Method</th><th>Path</th><th>What it does</th><th>Needs</th></tr></thead><tbody>
"#;

//! The served description, held against the served answers: each route answers with documented statuses, media types and JSON.
//!
//! `scripts/schemathesis` asks the same of far more requests.
use mainstem::core::proposal::{Decision, Stage};
use mainstem::review::{By, Deed, Everybody, Review};
use mainstem::sync;
use mainstem_http::server::openapi::described;
use mainstem_http::wire::frame::MEDIA_TYPE;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::Served;
use mainstem_traffic::plain::{Came, ask};
use rusqlite::Connection;
use serde_json::Value as Json;
use tempfile::TempDir;

/// What a value has against a schema, in the part of JSON Schema that the description uses; anything else is a panic.
fn wrong(whole: &Json, schema: &Json, value: &Json, at: &str) -> Option<String> {
    let Some(schema) = schema.as_object() else {
        return (*schema == Json::Bool(false)).then(|| format!("{at} is not expected"));
    };
    schema.iter().find_map(|(word, said)| {
        let each = || said.as_array().into_iter().flatten();
        let fits = match word.as_str() {
            "$ref" => {
                let target =
                    said.as_str().and_then(|path| whole.pointer(path.trim_start_matches('#'))).expect("a reference leads somewhere");
                return wrong(whole, target, value, at);
            }
            "type" if said.is_array() => each().any(|kind| is_of(kind, value)),
            "type" => is_of(said, value),
            "enum" => each().any(|one| one == value),
            "const" => said == value,
            "anyOf" | "oneOf" => each().any(|one| wrong(whole, one, value, at).is_none()),
            "allOf" => return each().find_map(|one| wrong(whole, one, value, at)),
            "required" => return each().find_map(|name| value.get(name.as_str()?).is_none().then(|| format!("{at} lacks {name}"))),
            "properties" => {
                let named = said.as_object().into_iter().flatten();
                return named
                    .filter_map(|(name, of)| Some((name, of, value.get(name)?)))
                    .find_map(|(name, of, value)| wrong(whole, of, value, &format!("{at}.{name}")));
            }
            "additionalProperties" => {
                let known = schema.get("properties");
                let others = value.as_object().into_iter().flatten().filter(|(name, _)| known.is_none_or(|k| k.get(name).is_none()));
                return others.map(|(name, value)| wrong(whole, said, value, &format!("{at}.{name}"))).find_map(|found| found);
            }
            "items" => {
                let first = schema.get("prefixItems").and_then(Json::as_array).map_or(0, Vec::len);
                return value.as_array().into_iter().flatten().skip(first).find_map(|item| wrong(whole, said, item, &format!("{at}[]")));
            }
            "prefixItems" => {
                let items = value.as_array().into_iter().flatten();
                return each().zip(items).enumerate().find_map(|(n, (of, item))| wrong(whole, of, item, &format!("{at}[{n}]")));
            }
            "minItems" => value.as_array().is_none_or(|items| Some(items.len() as u64) >= said.as_u64()),
            "maxItems" => value.as_array().is_none_or(|items| Some(items.len() as u64) <= said.as_u64()),
            "minimum" => value.as_f64().is_none_or(|number| said.as_f64().is_some_and(|least| number >= least)),
            "title" | "description" | "format" | "default" => true,
            other => panic!("the description says {other}, which nobody checks"),
        };
        (!fits).then(|| format!("{at} is {value}, which is not {word} {said}"))
    })
}

fn is_of(kind: &Json, value: &Json) -> bool {
    match kind.as_str().expect("a name") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

/// A server with a dataset in which something of everything happened.
struct World {
    _folder: TempDir,
    served: Served,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let around = Seeded::around(7);
        let served = Served::begin(&folder.path().join("data"), around.clone());
        let path = folder.path().join("ada.db");
        let edit = |sql: &str| Connection::open(&path).expect("it opens").execute_batch(sql).expect("it runs");
        edit(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, v, w REAL); INSERT INTO item VALUES (1, 'a', 0.5), (2, x'00ff', 2e300), (3, NULL, 3);",
        );
        let options = InitOptions { actor: Some("ada".into()), ..InitOptions::default() };
        SqliteReplica::init(&path, &options, around.clone(), &mut |_, _, _| {}).expect("tracked");
        let mut replica = SqliteReplica::open(&path, around).expect("it opens");
        replica.publish_at(&mut served.place("notes"), Some("notes"), "ada", &mut |_, _, _| {}).expect("published");
        for sql in
            ["UPDATE item SET v = 9007199254740993 WHERE id = 1;", "DELETE FROM item WHERE id = 3;", "ALTER TABLE item ADD COLUMN n;"]
        {
            edit(sql);
            sync::sync(&mut replica, &mut served.primary("notes"), "ada", &mut |_, _, _| {}).expect("it is sent");
        }
        let mut primary = served.primary("notes");
        let by = By { actor: "owner", token: None, people: &Everybody, request: None };
        for (version, is_rejected) in [(3, false), (2, false), (3, true)] {
            let id = primary.propose_revert(version, "it was wrong", by).expect("a proposal");
            if is_rejected {
                let decision = Decision { stage: Stage::Rejected, reason: "it was right".into() };
                primary.act(id, &Deed::Decide(decision), by).expect("it is closed");
            }
        }
        World { _folder: folder, served }
    }

    /// What merging a proposal does now; anything where it is closed.
    fn digest(&self, proposal: u64) -> String {
        let by = By { actor: "owner", token: None, people: &Everybody, request: None };
        let judged = self.served.primary("notes").proposal(proposal, by).expect("an answer").expect("it is there");
        judged.assessment.map(|assessment| assessment.digest).unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Came {
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        ask(self.served.socket(), head.as_bytes()).unwrap_or_else(|| panic!("no answer: {head}"))
    }
}

/// What an answer has against the operation that it answers.
fn against(whole: &Json, operation: &Json, came: &Came) -> Option<String> {
    let Some(response) = operation["responses"].get(came.status.to_string()) else {
        return Some(format!("{} is not documented", came.status));
    };
    let content = response["content"].as_object()?;
    let media = came.header("content-type").unwrap_or_default();
    let Some(media) = content.get(media) else { return Some(format!("{media} is not documented with {}", came.status)) };
    let is_json = came.header("content-type") == Some("application/json");
    if is_json { wrong(whole, &media["schema"], &came.json(), "the body") } else { None }
}

/// A good body for what takes JSON, and none for the rest.
fn body_for(operation: &Json, digest: &str) -> String {
    let about = |rest: &str| format!(r#"{{"digest": "{digest}", {rest}}}"#);
    match operation["operationId"].as_str().expect("an id") {
        "post_api_v1_datasets_dataset_proposals_proposal_votes" => about(r#""revision": 1, "vote": "abstain""#),
        "post_api_v1_datasets_dataset_proposals_proposal_merge" => {
            about(r#""request": "00000000000000000000000000000001", "force": true, "skip_conflicts": true"#)
        }
        _ => plain_body_for(operation).to_string(),
    }
}

fn plain_body_for(operation: &Json) -> &'static str {
    match operation["operationId"].as_str().expect("an id") {
        _ if operation["requestBody"].is_null() => "",
        "post_api_v1_datasets_dataset_proposals_proposal_comments" => r#"{"table": "item", "key": [1], "column": "v", "text": "why?"}"#,
        "post_api_v1_datasets_dataset_proposals_proposal_decision" => r#"{"stage": "rejected", "reason": "no"}"#,
        "post_api_v1_datasets_dataset_proposals_proposal_part" => r#"{"only": [{"table": "item"}]}"#,
        "post_api_v1_setup" | "post_api_v1_actors" => r#"{"name": "eve"}"#,
        "patch_api_v1_actors_actor" => r#"{"is_disabled": false}"#,
        "post_api_v1_datasets_dataset_roles" => r#"{"actor": "owner", "role": "owner"}"#,
        "patch_api_v1_datasets_dataset" => r#"{"is_archived": false}"#,
        "put_api_v1_datasets_dataset_policy" => r#"{"policy": ""}"#,
        "post_api_v1_datasets_dataset_conflicts_answers" => r#"{"answers": [{"conflict": "0000000000000000", "choice": "ours"}]}"#,
        "post_api_v1_datasets_dataset_tombstones_restore" => r#"{"tombstones": ["3.1"]}"#,
        _ => "{}",
    }
}

#[test]
fn every_answer_is_as_it_is_described() {
    let world = World::new();
    let described: Json = described();
    let token = format!("Authorization: Bearer {}\r\n", world.served.token().expect("a token"));
    let json = format!("{token}Content-Type: application/json\r\n");
    let frames = format!("{token}Content-Type: {MEDIA_TYPE}\r\n");
    let mut found = Vec::new();
    let mut never_good = Vec::new();
    let mut answers = 0;
    for (path, operations) in described["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let method = method.to_uppercase();
            let proposal = if path.ends_with("/merge") {
                2
            } else if path.ends_with("/decision") {
                3
            } else {
                1
            };
            let digest = world.digest(proposal);
            let at = |dataset: &str| {
                let path = path.replace("{dataset}", dataset).replace("{table}", "item");
                let path = path.replace("{version}", if path.ends_with("/revert") { "3" } else { "1" });
                let path = path.replace("{proposal}", &proposal.to_string()).replace("{revision}", "1");
                path.replace("{actor}", "owner").replace("{token}", "999").replace("{replica}", &"0".repeat(32)).replace("{backup}", "x")
            };
            let needed =
                operation["parameters"].as_array().expect("parameters").iter().filter(|p| p["in"] == "query" && p["required"] == true);
            let query = needed.fold(String::from("?"), |query, p| {
                let name = p["name"].as_str().expect("a name");
                format!("{query}{name}={}&", if name == "digest" { &digest } else { "1" })
            });
            let query = query.trim_end_matches(['?', '&']);
            let mut is_good = path.contains("/primary/");
            let (there, absent) = (at("notes"), at("nothing"));
            let body = body_for(operation, &digest);
            for (path, headers, body) in [
                (format!("{there}{query}"), &json, body.as_str()),
                (format!("{there}{query}"), &String::new(), body.as_str()),
                (format!("{absent}{query}"), &json, body.as_str()),
                (format!("{there}?nonsense=1"), &json, body.as_str()),
                (format!("{there}{query}"), &json, "[[["),
                (format!("{there}{query}"), &frames, ""),
                (format!("{there}{query}"), &frames, "frames?"),
                (format!("{there}{query}"), &token, "what?"),
                (format!("{there}{query}").replace("item", "none").replace("versions/1", "versions/x"), &json, "{}"),
            ] {
                let came = world.ask(&method, &path, headers, body);
                answers += 1;
                is_good |= came.status < 300;
                if came.status >= 500 {
                    found.push(format!("{method} {path} {body}: {}", came.status));
                }
                found.extend(against(&described, operation, &came).map(|what| format!("{method} {path} {body}: {what}")));
            }
            if !is_good {
                never_good.push(format!("{method} {path}"));
            }
        }
    }
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
    assert!(answers > 400, "{answers} answers");
    // What these would do is tried elsewhere: here it is refused.
    let elsewhere = [
        "POST /api/v1/setup",
        "DELETE /api/v1/tokens/{token}",
        "DELETE /api/v1/browsers/{browser}",
        "DELETE /api/v1/replicas/{replica}",
        "DELETE /api/v1/datasets/{dataset}",
        "GET /api/v1/datasets/{dataset}/feed/socket",
        "POST /api/v1/datasets/{dataset}/conflicts/answers",
        "POST /api/v1/datasets/{dataset}/proposals/{proposal}/answers",
        "POST /api/v1/datasets/{dataset}/webhooks",
        "DELETE /api/v1/datasets/{dataset}/webhooks/{webhook}",
        "GET /api/v1/datasets/{dataset}/webhooks/{webhook}/dead-letters",
        "POST /api/v1/datasets/{dataset}/webhooks/{webhook}/dead-letters/{letter}/replay",
        "POST /api/v1/datasets/{dataset}/backups/{backup}/restore",
    ];
    assert_eq!(never_good, elsewhere);
}

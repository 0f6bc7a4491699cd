//! Accounts of a server as people read them. In JSON they are as the server told them.
use crate::output::Output;
use crate::plain_text::name;
use mainstem::Result;
use mainstem::core::stamp::Time;
use serde_json::Value as Json;

/// Shows whom a token stands for.
pub fn me(out: &mut Output, me: &Json) -> Result<()> {
    if out.is_json() {
        return out.json(me);
    }
    let administers = if me["is_administrator"] == true { ", an administrator" } else { "" };
    out.line(format_args!("{}{administers}", text(&me["actor"])))?;
    for role in me["roles"].as_array().into_iter().flatten() {
        out.line(format_args!("{} of {}", text(&role["role"]), place(role)))?;
    }
    let token = &me["token"];
    out.line(format_args!("by token {}{}", text(&token["id"]), limits(token)))
}

/// Shows actors.
pub fn actors(out: &mut Output, actors: &Json) -> Result<()> {
    table(out, actors, &["name", "added", "roles"], |actor| {
        let mut roles: Vec<String> = Vec::new();
        if actor["is_agent"] == true {
            roles.push(format!("agent of {}", text(&actor["answered_by"])));
        }
        if actor["is_disabled"] == true {
            roles.push("disabled".into());
        }
        if actor["is_administrator"] == true {
            roles.push("administrator".into());
        }
        roles.extend(actor["roles"].as_array().into_iter().flatten().map(|role| format!("{} of {}", text(&role["role"]), place(role))));
        vec![text(&actor["name"]), moment(&actor["added_at_ms"]), roles.join(", ")]
    })
}

/// Shows what became of an actor.
pub fn done(out: &mut Output, actor: &Json, what: &str) -> Result<()> {
    if out.is_json() { out.json(actor) } else { out.line(format_args!("{what}: {}", text(&actor["name"]))) }
}

/// Says that something ended.
pub fn ended(out: &mut Output, answer: &Json, what: &str) -> Result<()> {
    if out.is_json() { out.json(answer) } else { out.line(what) }
}

/// Shows who has which role.
pub fn roles(out: &mut Output, roles: &Json) -> Result<()> {
    table(out, roles, &["actor", "role", "table"], |role| vec![text(&role["actor"]), text(&role["role"]), text(&role["table"])])
}

/// Shows tokens.
pub fn tokens(out: &mut Output, tokens: &Json) -> Result<()> {
    table(out, tokens, &["token", "actor", "created", "label and limits"], |token| {
        let about = format!("{}{}", text(&token["label"]), limits(token));
        vec![text(&token["id"]), text(&token["actor"]), moment(&token["created_at_ms"]), about]
    })
}

/// Shows a token that was just created, and what to do with it.
pub fn created(out: &mut Output, created: &Json, server: &str) -> Result<()> {
    if out.is_json() {
        return out.json(created);
    }
    out.line(format_args!("token {}, shown this once:", text(&created["id"])))?;
    out.line(text(&created["token"]))?;
    out.line(format_args!("to be used with: mainstem login {server}"))
}

/// Shows datasets.
pub fn datasets(out: &mut Output, datasets: &Json) -> Result<()> {
    table(out, datasets, &["name", "version", "tables", ""], |dataset| {
        let tables = dataset["tables"].as_array().map_or(0, Vec::len);
        let state = if dataset["is_archived"] == true { "archived" } else { "" };
        vec![text(&dataset["name"]), text(&dataset["version"]), tables.to_string(), state.to_string()]
    })
}

/// Shows backups that a server keeps.
pub fn backups(out: &mut Output, backups: &Json) -> Result<()> {
    table(out, backups, &["backup", "version", "bytes"], |backup| {
        vec![text(&backup["backup"]), text(&backup["version"]), text(&backup["bytes"])]
    })
}

/// Shows replicas.
pub fn replicas(out: &mut Output, replicas: &Json) -> Result<()> {
    table(out, replicas, &["replica", "actor", "dataset", "registered"], |replica| {
        let end = if replica["revoked_at_ms"].is_null() { "" } else { ", shut out" };
        let registered = format!("{}{end}", moment(&replica["registered_at_ms"]));
        vec![text(&replica["replica"]), text(&replica["actor"]), text(&replica["dataset"]), registered]
    })
}

/// Shows what concerns somebody.
pub fn notices(out: &mut Output, notices: &Json) -> Result<()> {
    if !out.is_json() && notices.as_array().is_some_and(Vec::is_empty) {
        return out.line("nothing waits for you");
    }
    table(out, notices, &["about", "", "what"], |notice| {
        let urgent = if notice["is_urgent"] == true { "waits" } else { "" };
        vec![text(&notice["about"]), urgent.to_string(), text(&notice["text"])]
    })
}

/// Shows the browsers in which somebody is signed in.
pub fn browsers(out: &mut Output, browsers: &Json) -> Result<()> {
    table(out, browsers, &["browser", "what it calls itself", "token", "since", "last seen"], |browser| {
        let named = text(&browser["browser"]);
        vec![text(&browser["id"]), named, text(&browser["token"]), moment(&browser["began_at_ms"]), moment(&browser["seen_at_ms"])]
    })
}

/// Shows what happened to accounts.
pub fn events(out: &mut Output, events: &Json) -> Result<()> {
    table(out, events, &["", "when", "by", "what"], |event| {
        let parts = ["what", "actor", "name", "token", "replica", "role", "dataset", "table"];
        let what: Vec<String> = parts.iter().map(|part| text(&event[*part]).replace('_', " ")).filter(|part| !part.is_empty()).collect();
        vec![text(&event["position"]), moment(&event["at_ms"]), text(&event["by"]), what.join(" ")]
    })
}

fn place(role: &Json) -> String {
    let table = text(&role["table"]);
    let dataset = text(&role["dataset"]);
    if table.is_empty() { dataset } else { format!("table {table} of {dataset}") }
}

fn limits(token: &Json) -> String {
    let mut limits = Vec::new();
    if let Some(right) = token["limit"]["right"].as_str() {
        limits.push(format!("only to {right}"));
    }
    if let Some(dataset) = token["limit"]["dataset"].as_str() {
        limits.push(format!("only for {}", name(dataset)));
    }
    if !token["expires_at_ms"].is_null() {
        limits.push(format!("until {}", moment(&token["expires_at_ms"])));
    }
    if !token["revoked_at_ms"].is_null() {
        limits.push(format!("revoked {}", moment(&token["revoked_at_ms"])));
    }
    limits.iter().fold(String::new(), |all, limit| all + ", " + limit)
}

fn moment(ms: &Json) -> String {
    ms.as_u64().map_or(String::new(), |ms| crate::plain_text::moment(Time::from_ms(ms)))
}

fn text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => name(text),
        other => other.to_string(),
    }
}

fn table(out: &mut Output, items: &Json, heads: &[&str], row: impl Fn(&Json) -> Vec<String>) -> Result<()> {
    if out.is_json() {
        return out.json(items);
    }
    out.table(heads, items.as_array().into_iter().flatten().map(row).collect())
}

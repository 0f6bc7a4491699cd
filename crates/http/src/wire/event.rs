//! Events of the feed as they are shown, and what they are, for the description of the routes.
use mainstem::feed::{self, FeedEvent};
use schemars::JsonSchema;
use serde::Serialize;

/// An event of the feed.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct ShownEvent(pub serde_json::Value);

impl From<&FeedEvent> for ShownEvent {
    fn from(event: &FeedEvent) -> Self {
        ShownEvent(feed::to_json(event))
    }
}

impl JsonSchema for ShownEvent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ShownEvent".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "description": "An event of the feed.",
            "required": ["offset", "kind", "version", "author", "replica", "changeset", "accepted_at"],
            "properties": {
                "offset": { "type": "string", "description": "Whoever has had the event goes on from here." },
                "kind": { "enum": ["created", "updated", "deleted", "schema", "resolved"] },
                "version": { "type": ["integer", "null"], "description": "The version it is a part of." },
                "table": { "type": "string" },
                "key": { "type": "object", "description": "The row's key by column." },
                "before": { "type": ["object", "null"], "description": "Cells before; all of a row that went, none of one that came." },
                "after": { "type": ["object", "null"], "description": "Cells after; all of a row that came, none of one that went." },
                "author": { "type": "string" },
                "replica": { "type": "string" },
                "proposal": { "type": "integer", "description": "The proposal that it came of, where there was one." },
                "approvers": { "type": "array", "items": { "type": "string" }, "description": "Who approved that." },
                "merged_by": { "type": "string", "description": "Who merged that." },
                "changeset": { "type": ["object", "null"], "description": "Its write id, title and time." },
                "written_at": { "type": "string" },
                "accepted_at": { "type": ["string", "null"] },
            },
        })
    }
}

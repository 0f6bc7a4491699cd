//! Shows one changeset, wherever it comes from: who, when, and every cell it changed.
use crate::commands::conflicts::place;
use crate::diff::FormArguments;
use crate::exit_codes::Exit;
use crate::json;
use crate::plain_text::{count, key, moment, name};
use crate::wiring::Session;
use mainstem::Result;
use mainstem::primary::Pages;
use mainstem_core::change::{Front, Header, Shape};
use mainstem_core::event::Version;
use mainstem_core::schema::SchemaChange;
use serde_json::Value as Json;

/// Something that can be shown: what it is, and its rows.
pub struct View<'a> {
    title: String,
    about: Vec<String>,
    head: Json,
    shapes: Vec<Shape>,
    pages: Box<dyn Pages + 'a>,
}

impl<'a> View<'a> {
    /// An accepted version.
    pub fn of_version(version: &Version, pages: Box<dyn Pages + 'a>) -> Self {
        let title = format!("Version {}", version.version);
        View { title, about: about_version(version), head: json::version(version), shapes: version.shapes.clone(), pages }
    }
    /// A changeset that no primary has accepted; `called` says what it is called here.
    pub fn of_changeset(called: &str, front: &Front, pages: Box<dyn Pages + 'a>) -> Self {
        let mut about = vec![format!("{called}, {}", count(front.count, "row", "rows"))];
        about.extend(about_header(&front.header));
        about.extend(front.schema.iter().map(schema_line));
        let title = format!("Changeset {called}");
        View { title, about, head: json::unsent(front), shapes: front.shapes.clone(), pages }
    }

    /// Shows it in the form asked for.
    pub fn show(mut self, session: &mut Session, form: &FormArguments) -> Result<Exit> {
        let is_json = session.out.is_json();
        let mut file = form.sink(is_json)?;
        let out = file.as_mut().unwrap_or(&mut session.out);
        let mut rendering = form.rendering(is_json, &self.title);
        if is_json {
            let head = object_with_rows(self.head).to_string();
            out.write(format_args!("{},\"changes\":", head.trim_end_matches('}')))?;
        } else if !form.is_bare() {
            self.about.iter().try_for_each(|line| out.line(line))?;
            out.line("")?;
        }
        rendering.begin(out)?;
        while let Some(changes) = self.pages.next()? {
            changes.iter().try_for_each(|change| rendering.change(out, &self.shapes[change.table], change))?;
        }
        rendering.end(out)?;
        if is_json {
            out.line("}")?;
        }
        out.flush()?;
        Ok(Exit::Done)
    }
}

/// In a list `changes` is a number; where the changes themselves follow, the number is called `rows`.
fn object_with_rows(mut head: Json) -> Json {
    if let Json::Object(fields) = &mut head
        && let Some(number) = fields.shift_remove("changes")
    {
        fields.insert("rows".into(), number);
    }
    head
}

fn about_version(version: &Version) -> Vec<String> {
    let (accepted, rows) = (moment(version.accepted_at), count(version.count, "row", "rows"));
    let mut about = vec![format!("version {}, accepted {accepted}, {rows}", version.version)];
    about.extend(about_header(&version.header));
    about.extend(version.review.as_ref().map(crate::review_text::reviewed));
    about.extend(version.schema.iter().map(schema_line));
    about.extend(version.renumbered.iter().map(|r| format!("renumbered: {} {} is {} now", name(&r.table), r.from, r.to)));
    about.extend(version.conflicts.iter().map(|c| format!("conflict: {} {} ({})", json::conflict_id(c.id), place(c), c.kind.name())));
    about.extend(
        version
            .resolved
            .iter()
            .map(|r| format!("resolution: {} takes {}, by {}", json::conflict_id(r.conflict), r.choice.name(), name(&r.actor))),
    );
    about.extend(version.waiting.iter().map(|w| format!("waiting: {} {} for {}", name(&w.table), key(&w.key), name(&w.parent))));
    about
}

fn about_header(header: &Header) -> Vec<String> {
    let (actor, replica, at) = (name(&header.actor), header.replica.short(), moment(header.at));
    let mut lines = vec![format!("by {actor} on replica {replica}, {at}, on version {}", header.base_version)];
    lines.extend(header.title.as_deref().map(|t| format!("\n    {}", name(t))));
    lines.extend(header.description.lines().map(|l| format!("    {}", name(l))));
    lines
}

/// A schema step in one line.
pub fn schema_line(step: &SchemaChange) -> String {
    let what = match step {
        SchemaChange::CreateTable { table } => format!("table {} made", name(&table.name)),
        SchemaChange::DropTable { name: table } => format!("table {} dropped", name(table)),
        SchemaChange::RenameTable { from, to } => {
            format!("table {} is {} now", name(from), name(to))
        }
        SchemaChange::AddColumn { table, column, .. } => {
            format!("column {} added to {}", name(&column.name), name(table))
        }
        SchemaChange::DropColumn { table, column } => {
            format!("column {} dropped from {}", name(column), name(table))
        }
        SchemaChange::RenameColumn { table, from, to } => {
            format!("column {} of {} is {} now", name(from), name(table), name(to))
        }
        SchemaChange::Rebuild { table, .. } => format!("table {} declared anew", name(&table.name)),
        SchemaChange::PutObject { object } => {
            format!("{} {} made", object.kind, name(&object.name))
        }
        SchemaChange::DropObject { kind, name: object } => {
            format!("{kind} {} dropped", name(object))
        }
    };
    format!("schema: {what}")
}

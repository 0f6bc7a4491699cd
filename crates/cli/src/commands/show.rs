//! `mainstem show`.
use crate::diff::{FormArguments, Rendering};
use crate::exit_codes::Exit;
use crate::json;
use crate::output::{Output, Paint};
use crate::plain_text::{count, moment, name};
use crate::wiring::{Opened, Session};
use mainstem::primary::Primary;
use mainstem::replica::Replica;
use mainstem::{Error, Result};
use mainstem_core::change::{Change, Front, Header, Shape};
use mainstem_core::event::Version;
use mainstem_core::format::page;
use mainstem_core::schema::SchemaChange;
use serde_json::Value as Json;

/// Shows one version or unsent changeset: who, when, and every cell it changed
///
/// Versions are named by their number, changesets that were not sent u1, u2 and so on, as `mainstem log` lists them.
///
/// Examples:
///   mainstem show 12
///   mainstem show u3
///   mainstem show 12 --sql
///   mainstem show 12 --html -o version12.html
///   mainstem show 12 --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Show {
    /// A version, or an unsent changeset
    #[arg(value_name = "ID")]
    id: Id,
    #[command(flatten)]
    form: FormArguments,
}

/// A version's number, or an unsent changeset's sequence number or write id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    /// A version.
    Version(u64),
    /// A changeset of this replica, by its sequence number.
    Unsent(u64),
    /// A changeset of this replica, by its write id.
    WriteId(u128),
}

impl std::str::FromStr for Id {
    type Err = String;
    fn from_str(typed: &str) -> std::result::Result<Self, String> {
        let is_write_id = typed.len() == 32 && typed.bytes().all(|b| b.is_ascii_hexdigit());
        if is_write_id {
            return u128::from_str_radix(typed, 16)
                .map(Id::WriteId)
                .map_err(|e| e.to_string());
        }
        let number = |digits: &str| {
            digits
                .parse()
                .map_err(|_| "give a version such as 12, or an unsent changeset such as u3")
        };
        match typed.strip_prefix('u') {
            Some(digits) => Ok(Id::Unsent(number(digits)?)),
            None => Ok(Id::Version(number(typed)?)),
        }
    }
}

impl Show {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let is_json = session.out.is_json();
        let mut source = match self.id {
            Id::Version(version) => of_primary(session, &opened, version)?,
            Id::Unsent(_) | Id::WriteId(_) => of_replica(&mut opened, self.id)?,
        };
        let mut file = self.form.sink(is_json)?;
        let out = file.as_mut().unwrap_or(&mut session.out);
        let mut rendering = self.form.rendering(is_json, &source.title);
        if is_json {
            out.write(format_args!(
                "{},\"changes\":",
                source.head.to_string().trim_end_matches('}')
            ))?;
        } else if !self.form.is_bare() {
            source.about.iter().try_for_each(|line| out.line(line))?;
            out.line("")?;
        }
        show_rows(out, rendering.as_mut(), &mut source)?;
        if is_json {
            out.line("}")?;
        }
        out.flush()?;
        Ok(Exit::Done)
    }
}

/// Gives row changes page by page; none at the end.
type NextPage<'a> = Box<dyn FnMut() -> Result<Option<Vec<Change>>> + 'a>;

/// Something that can be shown: what it is, and its rows.
struct Source<'a> {
    title: String,
    about: Vec<String>,
    head: Json,
    shapes: Vec<Shape>,
    next: NextPage<'a>,
}

fn show_rows(
    out: &mut Output,
    rendering: &mut dyn Rendering,
    source: &mut Source<'_>,
) -> Result<()> {
    rendering.begin(out)?;
    while let Some(changes) = (source.next)()? {
        for change in &changes {
            rendering.change(out, &source.shapes[change.table], change)?;
        }
    }
    rendering.end(out)
}

fn of_primary(session: &Session, opened: &Opened, wanted: u64) -> Result<Source<'static>> {
    let mut primary: Box<dyn Primary> = session.primary_of(&opened.standing)?;
    let Some(version) = primary.version(wanted)? else {
        let message = format!("{} has no version {wanted}", opened.standing.dataset);
        return Err(Error::not_found(message).hint("mainstem log"));
    };
    let mut head = json::version(&version);
    let counted = head["changes"].take();
    head["rows"] = counted;
    without_changes(&mut head);
    let about = about_version(&session.out, &version);
    let (shapes, pages) = (version.shapes.clone(), version.pages);
    let mut at = 0;
    let next = move || {
        if at == pages {
            return Ok(None);
        }
        let bytes = primary.page(wanted, at)?;
        at += 1;
        let missing = || {
            Error::corrupt(format!(
                "page {at} of version {wanted} is missing on the primary"
            ))
        };
        Ok(Some(page::decode(
            &bytes.ok_or_else(missing)?,
            &version.shapes,
        )?))
    };
    Ok(Source {
        title: format!("Version {wanted}"),
        about,
        head,
        shapes,
        next: Box::new(next),
    })
}

fn of_replica<'a>(opened: &'a mut Opened, id: Id) -> Result<Source<'a>> {
    let is_meant = |front: &Front| match id {
        Id::WriteId(write_id) => front.header.write_id == write_id,
        Id::Unsent(sequence) => front.header.sequence == sequence,
        Id::Version(_) => false,
    };
    let Some(front) = opened.replica.unsent()?.into_iter().find(is_meant) else {
        return Err(Error::not_found("no unsent changeset has that name").hint("mainstem log"));
    };
    let mut head = json::unsent(&front);
    let counted = head["changes"].take();
    head["rows"] = counted;
    without_changes(&mut head);
    let title = format!("Changeset u{}", front.header.sequence);
    let mut about = vec![format!(
        "changeset u{} (not sent), {}",
        front.header.sequence,
        count(front.count, "row", "rows")
    )];
    about.extend(about_header(&front.header));
    about.extend(front.schema.iter().map(schema_line));
    let mut pages = opened.replica.pages(front.header.write_id)?;
    Ok(Source {
        title,
        about,
        head,
        shapes: front.shapes,
        next: Box::new(move || pages.next()),
    })
}

/// The list of changes takes the name that their number has in `log`.
fn without_changes(head: &mut Json) {
    if let Json::Object(fields) = head {
        fields.shift_remove("changes");
    }
}

fn about_version(out: &Output, version: &Version) -> Vec<String> {
    let id = out.paint(Paint::Heading, format!("version {}", version.version));
    let mut about = vec![format!(
        "{id}, accepted {}, {}",
        moment(version.accepted_at),
        count(version.count, "row", "rows")
    )];
    about.extend(about_header(&version.header));
    about.extend(version.schema.iter().map(schema_line));
    about.extend(
        version
            .renumbered
            .iter()
            .map(|r| format!("renumbered: {} {} is {} now", name(&r.table), r.from, r.to)),
    );
    about.extend(version.conflicts.iter().map(|c| {
        format!(
            "conflict: {} {} ({})",
            json::conflict_id(c.id),
            crate::commands::conflicts::place(c),
            c.kind.name()
        )
    }));
    about.extend(version.resolved.iter().map(|r| {
        format!(
            "resolution: {} takes {}, by {}",
            json::conflict_id(r.conflict),
            r.choice.name(),
            name(&r.actor)
        )
    }));
    about.extend(version.waiting.iter().map(|w| {
        format!(
            "waiting: {} {} for {}",
            name(&w.table),
            crate::plain_text::key(&w.key),
            name(&w.parent)
        )
    }));
    about
}

fn about_header(header: &Header) -> Vec<String> {
    let mut lines = vec![format!(
        "by {} on replica {}, {}, on version {}",
        name(&header.actor),
        header.replica.short(),
        moment(header.at),
        header.base_version
    )];
    lines.extend(
        header
            .title
            .as_deref()
            .map(|t| format!("\n    {}", name(t))),
    );
    lines.extend(
        header
            .description
            .lines()
            .map(|l| format!("    {}", name(l))),
    );
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
            format!(
                "column {} of {} is {} now",
                name(from),
                name(table),
                name(to)
            )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_versions_unsent_or_write_ids() {
        assert_eq!("12".parse(), Ok(Id::Version(12)));
        assert_eq!("u3".parse(), Ok(Id::Unsent(3)));
        assert_eq!(
            "0123456789abcdef0123456789abcdef".parse(),
            Ok(Id::WriteId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef))
        );
        for wrong in ["", "u", "-1", "v3", "u-1", "1.5"] {
            assert!(wrong.parse::<Id>().is_err(), "{wrong}");
        }
    }
}

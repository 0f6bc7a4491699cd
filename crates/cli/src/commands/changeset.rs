//! `mainstem changeset`.
use crate::changeset_source::{self, MemoryPages, front_of};
use crate::changeset_view::View;
use crate::commands::show::{Id, unsent, version};
use crate::diff::FormArguments;
use crate::exit_codes::Exit;
use crate::json;
use crate::output::note;
use crate::plain_text::{self, count, name};
use crate::wiring::{Opened, Session, output_file};
use mainstem::changeset_session::{self, Form};
use mainstem::primary::Pages;
use mainstem::replica::{Replica, Since};
use mainstem::stale::{LeftOut, StalePages};
use mainstem::{Error, Result};
use mainstem::{changeset_file, changeset_json};
use mainstem_core::change::{Change, Changeset as Whole, Choice, Front, Header};
use mainstem_core::condense;
use mainstem_core::conflict::Conflict;
use mainstem_core::stamp::Time;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Carries changesets in files: export, import, show, invert, combine
///
/// A file is binary (.msc, compressed, with a digest) or, with --json, text. With --session or --patchset it is in the
/// format of SQLite's session extension, for other programs. All can be read by every command here; those of the session
/// extension, which name no columns, where the tables are tracked.
///
/// Examples:
///   mainstem changeset export -o today.msc
///   mainstem changeset export u3 -o fix.msc
///   mainstem changeset export 12 --json > version12.json
///   mainstem changeset export u3 --session fix.changeset
///   mainstem changeset show fix.msc
///   mainstem changeset import fix.msc
///   mainstem changeset invert fix.msc -o undo.msc
///   mainstem changeset combine monday.msc tuesday.msc -o both.msc
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Changeset {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Write a version or an unsent changeset to a file
    Export {
        /// A version such as 12, or an unsent changeset such as u3 [default: what was not committed yet, or else the
        /// only unsent changeset]
        #[arg(value_name = "ID")]
        id: Option<Id>,
        #[command(flatten)]
        to: Destination,
    },
    /// Apply a changeset from a file, as edits of yours, merged like a push
    Import {
        /// The file to read
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show what a file changes
    Show {
        /// The file to read
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        form: FormArguments,
    },
    /// Write the changeset that undoes a file
    Invert {
        /// The file to read
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        to: Destination,
    },
    /// Write the net changeset of several files, each made on the one before
    Combine {
        /// The files to read, oldest first
        #[arg(value_name = "FILE", required = true, num_args = 2..)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        to: Destination,
    },
}

/// Where a changeset is written, and in which form.
#[derive(clap::Args, Debug)]
struct Destination {
    /// The file to write
    #[arg(short = 'o', long = "output", value_name = "FILE", required_unless_present_any = ["json", "session", "patchset"])]
    output: Option<PathBuf>,
    /// Write the changeset format of SQLite's session extension
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "patchset"])]
    session: Option<PathBuf>,
    /// Write its patchset format, which leaves out the values before
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    patchset: Option<PathBuf>,
}

impl Changeset {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        match &self.action {
            Action::Export { id, to } => export(session, *id, to),
            Action::Import { file } => import(session, file),
            Action::Show { file, form } => {
                let (front, pages) = changeset_source::open(session, file)?;
                View::of_changeset(&name(&file.display().to_string()), &front, pages).show(session, form)
            }
            Action::Invert { file, to } => {
                let mut inverted = condense::invert(&changeset_source::read(session, file)?)?;
                let title = inverted.front.header.title.take();
                inverted.front.header.title = Some(format!("Undo: {}", title.as_deref().unwrap_or("(no title)")));
                stand_on_what_is_here(session, &mut inverted.front.header)?;
                write_new(session, inverted, to)
            }
            Action::Combine { files, to } => {
                let whole = files.iter().map(|f| changeset_source::read(session, f)).collect::<Result<Vec<_>>>()?;
                write_new(session, condense::combine(&whole)?, to)
            }
        }
    }
}

fn export(session: &mut Session, id: Option<Id>, to: &Destination) -> Result<Exit> {
    let mut opened = session.replica()?;
    let id = match id {
        Some(id) => id,
        None => match the_only_unsent(session, &mut opened)? {
            Some(id) => id,
            None => return export_working(session, &mut opened, to),
        },
    };
    if let Id::Version(number) = id {
        let (version, mut pages) = version(session, &opened, number)?;
        return write(session, &front_of(&version), &mut pages, to);
    }
    let front = unsent(&mut opened, id)?;
    let mut pages = opened.replica.pages(front.header.write_id)?;
    write(session, &front, pages.as_mut(), to)
}

/// Which changeset is meant without an id: the only unsent one; none where changes are not committed yet, which are meant then.
fn the_only_unsent(session: &Session, opened: &mut Opened) -> Result<Option<Id>> {
    let mut is_changed = !opened.replica.schema_steps()?.is_empty();
    opened.replica.changes(Since::Commit, &mut |_, _| {
        is_changed = true;
        Ok(())
    })?;
    if is_changed {
        note("these are the changes since the last commit");
        return Ok(None);
    }
    let unsent = opened.replica.unsent()?;
    match unsent.as_slice() {
        [only] => {
            let id = only.header.sequence;
            note(format!("this is u{id}, the only changeset that was not sent"));
            Ok(Some(Id::Unsent(id)))
        }
        [] => Err(Error::not_found("nothing changed here that was not sent").hint(session.out.suggest("mainstem log"))),
        several => Err(Error::invalid(format!("{} changesets were not sent", several.len()))
            .hint(format!("mainstem changeset export u{} -o FILE.msc (mainstem log lists them)", several[0].header.sequence))),
    }
}

/// Writes the changes since the last commit, which stay uncommitted.
fn export_working(session: &mut Session, opened: &mut Opened, to: &Destination) -> Result<Exit> {
    let standing = &opened.standing;
    let mut whole = Whole::default();
    whole.front.schema = opened.replica.schema_steps()?;
    let header = &mut whole.front.header;
    header.lineage = standing.known.as_ref().map_or(0, |k| k.lineage);
    header.replica = standing.replica;
    header.base_version = standing.base_version;
    opened.replica.changes(Since::Commit, &mut |shape, change| {
        let shapes = &mut whole.front.shapes;
        let table = shapes.iter().position(|s| s == shape).unwrap_or_else(|| {
            shapes.push(shape.clone());
            shapes.len() - 1
        });
        whole.changes.push(Change { table, ..change.clone() });
        Ok(())
    })?;
    write_new(session, whole, to)
}

/// Whoever undoes a changeset knows what became of it here: rows that it deleted come back on purpose.
fn stand_on_what_is_here(session: &Session, header: &mut Header) -> Result<()> {
    if let Ok(path) = session.db_path() {
        let standing = session.replica_at(&path)?.standing;
        if standing.known.is_some_and(|known| known.lineage == header.lineage) {
            header.base_version = standing.base_version;
        }
    }
    Ok(())
}

/// Writes a changeset that was made here out of others: it is a changeset of its own.
fn write_new(session: &mut Session, mut whole: Whole, to: &Destination) -> Result<Exit> {
    let header = &mut whole.front.header;
    header.write_id = session.around.random();
    header.actor = session.actor_anywhere()?;
    header.at = header.at.max(Time::from_ms(session.around.now_ms()));
    whole.front.count = whole.changes.len() as u64;
    write(session, &whole.front, &mut MemoryPages::new(whole.changes), to)
}

fn write(session: &mut Session, front: &Front, pages: &mut dyn Pages, to: &Destination) -> Result<Exit> {
    for (file, form) in [(&to.session, Form::Changeset), (&to.patchset, Form::Patchset)] {
        if let Some(path) = file {
            return write_for_others(session, form, front, pages, path);
        }
    }
    let Some(path) = &to.output else {
        let mut text = Vec::new();
        changeset_json::export(front, pages, &mut text)?;
        session.out.bytes(&text)?;
        return Ok(Exit::Done);
    };
    let mut out = std::io::BufWriter::new(output_file(path)?);
    let is_json = session.out.is_json();
    if is_json {
        changeset_json::export(front, pages, &mut out)?;
    } else {
        changeset_file::write(&mut out, front, pages)?;
    }
    flush(&mut out)?;
    if is_json { Ok(Exit::Done) } else { say_written(session, path, front.count) }
}

/// Writes the format of the session extension, which has rows and nothing else.
fn write_for_others(session: &mut Session, form: Form, front: &Front, pages: &mut dyn Pages, path: &Path) -> Result<Exit> {
    let mut out = std::io::BufWriter::new(output_file(path)?);
    let rows = changeset_session::export(form, &front.shapes, pages, &mut out)?;
    flush(&mut out)?;
    if !front.schema.is_empty() {
        let steps = count(front.schema.len() as u64, "change", "changes");
        note(format!("{steps} of the schema cannot be said in this format: make them first, where the file is applied"));
    }
    if session.out.is_json() {
        session.out.json(&json!({ "file": path.display().to_string(), "rows": rows }))?;
        return Ok(Exit::Done);
    }
    say_written(session, path, rows)
}

fn say_written(session: &mut Session, path: &Path, rows: u64) -> Result<Exit> {
    session.out.line(format_args!("wrote {}: {}", name(&path.display().to_string()), count(rows, "row", "rows")))?;
    Ok(Exit::Done)
}

fn flush(out: &mut dyn Write) -> Result<()> {
    out.flush().map_err(|e| Error::new(mainstem_core::ErrorKind::Unavailable, "output", e.to_string()).because(e))
}

fn import(session: &mut Session, file: &Path) -> Result<Exit> {
    let (front, mut pages) = changeset_source::open(session, file)?;
    let mut opened = session.replica()?;
    let (rows, conflicts, left_out) = import_file(session, &mut opened, &front, pages.as_mut())?;
    if session.out.is_json() {
        let ids: Vec<String> = conflicts.iter().map(|c| json::conflict_id(c.id)).collect();
        let left_out = left_out
            .iter()
            .map(|row| json!({ "table": row.table, "key": row.key.iter().map(json::value).collect::<Vec<_>>(), "version": row.version }));
        session.out.json(&json!({ "rows": rows, "conflicts": ids, "left_out": left_out.collect::<Vec<_>>() }))?;
        return Ok(Exit::Done);
    }
    let next = session.out.suggest("mainstem diff");
    session.out.line(format_args!("changed {} (see them with: {next})", count(rows, "row", "rows")))?;
    for conflict in &conflicts {
        let place = crate::commands::conflicts::place(conflict);
        let kept =
            conflict.answer.as_ref().map_or("no side was chosen; see which one stands with mainstem diff", |answer| match answer.choice {
                Choice::Ours => "the file's side holds",
                Choice::Theirs => "what is here stands",
                Choice::Base | Choice::Value | Choice::Merged => "both were combined",
            });
        session.out.line(format_args!("clashed with what is here: {place} ({}): {kept}", conflict.kind.name()))?;
    }
    tell_left_out(session, &left_out)?;
    Ok(Exit::Done)
}

/// Takes a file; where it was made on an earlier version of this dataset, without what was deleted since.
fn import_file(session: &Session, opened: &mut Opened, front: &Front, pages: &mut dyn Pages) -> Result<(u64, Vec<Conflict>, Vec<LeftOut>)> {
    let is_ours = opened.standing.known.is_some_and(|known| known.lineage == front.header.lineage);
    if !is_ours || front.header.base_version >= opened.standing.base_version {
        let (rows, conflicts) = opened.replica.import(front, pages)?;
        return Ok((rows, conflicts, Vec::new()));
    }
    let mut primary = session.primary_of(&opened.standing)?;
    let mut pages = StalePages { pages, front, primary: primary.as_mut(), left_out: Vec::new() };
    let (rows, conflicts) = opened.replica.import(front, &mut pages)?;
    Ok((rows, conflicts, pages.left_out))
}

fn tell_left_out(session: &mut Session, left_out: &[LeftOut]) -> Result<()> {
    for row in left_out {
        let (place, version) = (format!("{} {}", name(&row.table), plain_text::key(&row.key)), row.version);
        let back = session.out.suggest(&format!("mainstem tombstones restore {place}"));
        session
            .out
            .line(format_args!("left out {place}, which version {version} deleted after the file was made (bring it back with: {back})"))?;
    }
    Ok(())
}

//! `mainstem changeset`.
use crate::changeset_source::{self, MemoryPages, front_of};
use crate::changeset_view::View;
use crate::commands::show::{Id, unsent, version};
use crate::diff::FormArguments;
use crate::exit_codes::Exit;
use crate::json;
use crate::output::note;
use crate::plain_text::{count, name};
use crate::wiring::{Opened, Session, output_file};
use mainstem::primary::Pages;
use mainstem::replica::{Replica, Since};
use mainstem::{Error, Result};
use mainstem::{changeset_file, changeset_json};
use mainstem_core::change::{Change, Changeset as Whole, Choice, Front};
use mainstem_core::condense;
use mainstem_core::stamp::Time;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Carries changesets in files: export, import, show, invert, combine
///
/// A file is binary (.msc, compressed, with a digest) or, with --json, text. Both can be read by every command here.
///
/// Examples:
///   mainstem changeset export -o today.msc
///   mainstem changeset export u3 -o fix.msc
///   mainstem changeset export 12 --json > version12.json
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
        /// The file to write
        #[arg(short = 'o', long = "output", value_name = "FILE", required_unless_present = "json")]
        file: Option<PathBuf>,
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
        /// The file to write
        #[arg(short = 'o', long = "output", value_name = "FILE", required_unless_present = "json")]
        output: Option<PathBuf>,
    },
    /// Write the net changeset of several files, each made on the one before
    Combine {
        /// The files to read, oldest first
        #[arg(value_name = "FILE", required = true, num_args = 2..)]
        files: Vec<PathBuf>,
        /// The file to write
        #[arg(short = 'o', long = "output", value_name = "FILE", required_unless_present = "json")]
        output: Option<PathBuf>,
    },
}

impl Changeset {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        match &self.action {
            Action::Export { id, file } => export(session, *id, file.as_deref()),
            Action::Import { file } => import(session, file),
            Action::Show { file, form } => {
                let (front, pages) = changeset_source::open(file)?;
                View::of_changeset(&name(&file.display().to_string()), &front, pages).show(session, form)
            }
            Action::Invert { file, output } => {
                let mut inverted = condense::invert(&changeset_source::read(file)?)?;
                let title = inverted.front.header.title.take();
                inverted.front.header.title = Some(format!("Undo: {}", title.as_deref().unwrap_or("(no title)")));
                write_new(session, inverted, output.as_deref())
            }
            Action::Combine { files, output } => {
                let whole = files.iter().map(|f| changeset_source::read(f)).collect::<Result<Vec<_>>>()?;
                write_new(session, condense::combine(&whole)?, output.as_deref())
            }
        }
    }
}

fn export(session: &mut Session, id: Option<Id>, file: Option<&Path>) -> Result<Exit> {
    let mut opened = session.replica()?;
    let id = match id {
        Some(id) => id,
        None => match the_only_unsent(session, &mut opened)? {
            Some(id) => id,
            None => return export_working(session, &mut opened, file),
        },
    };
    if let Id::Version(number) = id {
        let (version, mut pages) = version(session, &opened, number)?;
        return write(session, &front_of(&version), &mut pages, file);
    }
    let front = unsent(&mut opened, id)?;
    let mut pages = opened.replica.pages(front.header.write_id)?;
    write(session, &front, pages.as_mut(), file)
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
fn export_working(session: &mut Session, opened: &mut Opened, file: Option<&Path>) -> Result<Exit> {
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
    write_new(session, whole, file)
}

/// Writes a changeset that was made here out of others: it is a changeset of its own.
fn write_new(session: &mut Session, mut whole: Whole, file: Option<&Path>) -> Result<Exit> {
    let header = &mut whole.front.header;
    header.write_id = session.around.random();
    header.actor = session.actor_anywhere()?;
    header.at = header.at.max(Time::from_ms(session.around.now_ms()));
    whole.front.count = whole.changes.len() as u64;
    write(session, &whole.front, &mut MemoryPages::new(whole.changes), file)
}

fn write(session: &mut Session, front: &Front, pages: &mut dyn Pages, file: Option<&Path>) -> Result<Exit> {
    let is_json = session.out.is_json();
    let Some(path) = file else {
        let mut text = Vec::new();
        changeset_json::export(front, pages, &mut text)?;
        session.out.bytes(&text)?;
        return Ok(Exit::Done);
    };
    let mut out = std::io::BufWriter::new(output_file(path)?);
    if is_json {
        changeset_json::export(front, pages, &mut out)?;
    } else {
        changeset_file::write(&mut out, front, pages)?;
    }
    out.flush().map_err(|e| Error::new(mainstem_core::ErrorKind::Unavailable, "output", e.to_string()).because(e))?;
    if !is_json {
        let rows = count(front.count, "row", "rows");
        session.out.line(format_args!("wrote {}: {rows}", name(&path.display().to_string())))?;
    }
    Ok(Exit::Done)
}

fn import(session: &mut Session, file: &Path) -> Result<Exit> {
    let (front, mut pages) = changeset_source::open(file)?;
    let mut opened = session.replica()?;
    let (rows, conflicts) = opened.replica.import(&front, pages.as_mut())?;
    if session.out.is_json() {
        let ids: Vec<String> = conflicts.iter().map(|c| json::conflict_id(c.id)).collect();
        session.out.json(&json!({ "rows": rows, "conflicts": ids }))?;
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
    Ok(Exit::Done)
}

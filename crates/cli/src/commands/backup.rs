//! `mainstem backup`.
use crate::exit_codes::Exit;
use crate::json;
use crate::output;
use crate::plain_text::{count, moment_ms, name, shell_word};
use crate::wiring::{Address, Session};
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_sqlite::backup::{self, ENDING, Kind, Manifest, Restored};
use mainstem_sqlite::primary::FolderDatasets;
use mainstem_sqlite::registry::SERVER_FILE;
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

/// Keeps copies of a database, a primary or a whole server, and puts them back
///
/// A backup is one plain SQLite file that holds one committed state, made while other programs write. Never copy a database
/// with cp: what is in its write-ahead log would be missing.
///
/// Examples:
///   mainstem backup create app.db
///   mainstem backup create ../shared-primary /media/disk/monday.backup
///   mainstem backup list /media/disk
///   mainstem backup create /srv/mainstem /media/disk/server
///   mainstem backup restore app-2026-11-20T072610.000Z.backup app.db --force
///   mainstem backup restore /media/disk/monday.backup ../shared-primary --force
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Backup {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Copy a tracked database, the primary in a folder, or all that a server keeps, while it is in use
    Create {
        /// The tracked database, the primary's folder, or a server's data folder
        #[arg(value_name = "ADDRESS_OR_DB")]
        source: PathBuf,
        /// The file to make, or the folder for a server's files [default: names with dataset and time in the current folder]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// The backups in a folder, oldest first
    List {
        /// The folder
        #[arg(value_name = "FOLDER", default_value = ".")]
        folder: PathBuf,
    },
    /// Put a backup in the place of a database or primary, once it is checked
    Restore {
        /// The backup
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The database file, the primary's folder, or the server's
        #[arg(value_name = "TARGET")]
        target: PathBuf,
        /// Replace what is there; it is kept aside
        #[arg(long)]
        force: bool,
    },
}

impl Backup {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        match &self.action {
            Action::Create { source, file } => create(session, source, file.as_deref()),
            Action::List { folder } => list(session, folder),
            Action::Restore { file, target, force } => restore(session, file, target, *force),
        }
    }
}

fn create(session: &mut Session, source: &Path, file: Option<&Path>) -> Result<Exit> {
    let source = Address::parse(&source.to_string_lossy()).and_then(|address| address.folder().map(Path::to_path_buf))?;
    if source.join(SERVER_FILE).is_file() {
        return create_of_server(session, &source, file.unwrap_or(Path::new(".")));
    }
    let named = |manifest: &Manifest| match file {
        Some(file) => file.to_path_buf(),
        None => PathBuf::from(default_name(manifest)),
    };
    let (file, manifest) = make(session, &source, &named)?;
    if session.out.is_json() {
        session.out.json(&shown(&file, &manifest))?;
    } else {
        told(session, &file, &manifest)?;
    }
    Ok(Exit::Done)
}

/// A backup of each thing that a server keeps. Each is one state; a token that is made meanwhile may be in none.
fn create_of_server(session: &mut Session, server: &Path, folder: &Path) -> Result<Exit> {
    let datasets = FolderDatasets::new(server.to_path_buf(), session.around.clone())?;
    std::fs::create_dir_all(folder).map_err(|e| {
        let message = format!("{} cannot be made", folder.display());
        Error::new(ErrorKind::Unavailable, "read_only", message).hint("choose a folder that you may write to").because(e)
    })?;
    let mut made = Vec::new();
    for source in backup::sources_of_server(server, &datasets)? {
        made.push(make(session, &source, &|manifest: &Manifest| folder.join(default_name(manifest)))?);
    }
    if session.out.is_json() {
        session.out.json(&made.iter().map(|(file, manifest)| shown(file, manifest)).collect::<Vec<_>>().into())?;
    } else {
        made.iter().try_for_each(|(file, manifest)| told(session, file, manifest))?;
    }
    Ok(Exit::Done)
}

fn make(session: &Session, source: &Path, named: &dyn Fn(&Manifest) -> PathBuf) -> Result<(PathBuf, Manifest)> {
    let mut bar = session.bar();
    backup::create(source, named, &session.around, &mut |what, done, of| bar.report(what, done, of))
}

fn told(session: &mut Session, file: &Path, manifest: &Manifest) -> Result<()> {
    let (kind, dataset) = (manifest.kind.name(), name(&manifest.dataset));
    let file = name(&file.display().to_string());
    session.out.line(match manifest.kind {
        Kind::Replica | Kind::Primary => format!("{file} holds the {kind} of {dataset} at version {}", manifest.version),
        Kind::Accounts => format!("{file} holds the server's accounts, {}", count(manifest.version, "event", "events")),
        Kind::Webhooks => format!("{file} holds {}", count(manifest.version, "webhook", "webhooks")),
    })
}

fn default_name(manifest: &Manifest) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let dataset: String = manifest.dataset.chars().take(100).map(plain).collect();
    let what = match manifest.kind {
        Kind::Primary => "-primary",
        Kind::Accounts | Kind::Webhooks => "-server",
        Kind::Replica => "",
    };
    format!("{dataset}{what}-{}.{ENDING}", moment_ms(manifest.at_ms).replace(':', ""))
}

fn shown(file: &Path, manifest: &Manifest) -> Json {
    json!({
        "file": file.display().to_string(),
        "kind": manifest.kind.name(),
        "dataset": manifest.dataset,
        "lineage": manifest.lineage.map(json::bits),
        "epoch": manifest.epoch.map(json::bits),
        "version": manifest.version,
        "at": moment_ms(manifest.at_ms),
        "digest": crate::plain_text::hex(&manifest.digest),
    })
}

fn list(session: &mut Session, folder: &Path) -> Result<Exit> {
    let (mut good, mut damaged) = (Vec::new(), Vec::new());
    for (path, manifest) in backup::list(folder)? {
        match manifest {
            Ok(manifest) => good.push((path, manifest)),
            Err(e) => damaged.push(e),
        }
    }
    if session.out.is_json() {
        session.out.json(&good.iter().map(|(path, manifest)| shown(path, manifest)).collect::<Vec<_>>().into())?;
    } else {
        for (path, m) in &good {
            let at = moment_ms(m.at_ms).replacen('T', " ", 1);
            let file = name(&path.display().to_string());
            session.out.line(format_args!("{}  {:7}  {} at version {}  {file}", &at[..19], m.kind.name(), name(&m.dataset), m.version))?;
        }
        if good.is_empty() {
            session.out.line(format_args!("no backups in {}", name(&folder.display().to_string())))?;
        }
    }
    damaged.iter().for_each(|e| output::note(&e.message));
    Ok(if damaged.is_empty() { Exit::Done } else { Exit::Found })
}

fn restore(session: &mut Session, file: &Path, target: &Path, force: bool) -> Result<Exit> {
    let target = Address::parse(&target.to_string_lossy()).and_then(|address| address.folder().map(Path::to_path_buf))?;
    let actor = session.actor_anywhere()?;
    let mut bar = session.bar();
    let done = backup::restore(file, &target, force, &actor, &session.around, &mut |what, done, of| bar.report(what, done, of));
    drop(bar);
    let restored = done?;
    if session.out.is_json() {
        let aside = restored.aside.as_ref().map(|p| p.display().to_string());
        let mut json = shown(&restored.file, &restored.manifest);
        json["aside"] = aside.into();
        json["unsent"] = restored.unsent.into();
        session.out.json(&json)?;
    } else {
        tell(session, &target, &restored)?;
    }
    Ok(Exit::Done)
}

fn tell(session: &mut Session, target: &Path, restored: &Restored) -> Result<()> {
    let (m, file) = (&restored.manifest, name(&restored.file.display().to_string()));
    let (dataset, at) = (name(&m.dataset), moment_ms(m.at_ms).replacen('T', " ", 1));
    session.out.line(match m.kind {
        Kind::Replica | Kind::Primary => format!("{file} is {dataset} at version {} again, as of {} UTC", m.version, &at[..19]),
        Kind::Accounts | Kind::Webhooks => format!("{file} holds the server's {dataset} again, as of {} UTC", &at[..19]),
    })?;
    if let Some(aside) = &restored.aside {
        session.out.line(format_args!("what was there is kept as {}", name(&aside.display().to_string())))?;
    }
    match m.kind {
        Kind::Primary => session.out.line("replicas bring back what they have of it with their next sync"),
        Kind::Accounts => session.out.line("tokens and roles that ended since are good again: look at mainstem access tokens ADDRESS"),
        Kind::Webhooks => session.out.line("what was told since is told again"),
        Kind::Replica => {
            if restored.unsent > 0 {
                session.out.line(format_args!("{} to send", count(restored.unsent, "changeset is", "changesets are")))?;
            }
            session.out.line(format_args!("next: mainstem --db {} sync", shell_word(&target.display().to_string())))
        }
    }
}

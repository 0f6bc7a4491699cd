//! `mainstem datasets`.
use super::access::accounts;
use crate::access_view as view;
use crate::exit_codes::Exit;
use crate::plain_text::name;
use crate::wiring::Session;
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_http::address::Address;
use mainstem_http::client::HttpAccounts;
use mainstem_http::wire::keeping::FILE_TYPE;
use serde_json::{Value as Json, json};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Runs the datasets of a server: lists, archives, exports, backs up, restores and deletes them
///
/// An archived dataset can be read and cloned, and takes no changes. A backup is made while others write; a restored one begins
/// a new life of the dataset, to which replicas bring back what it lost, and what was there becomes a backup itself.
///
/// Examples:
///   mainstem datasets list https://data.example.org
///   mainstem datasets export https://data.example.org/recipes recipes.backup
///   mainstem datasets backup https://data.example.org/recipes
///   mainstem datasets restore https://data.example.org/recipes 2026-11-20T072610.000Z
///   mainstem datasets archive https://data.example.org/recipes
///   mainstem datasets delete https://data.example.org/recipes --confirm recipes
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Datasets {
    #[command(subcommand)]
    what: What,
}

/// A dataset: http(s)://HOST:PORT/DATASET
#[derive(clap::Args, Debug)]
struct Dataset {
    /// The dataset: http(s)://HOST:PORT/DATASET
    #[arg(value_name = "ADDRESS")]
    address: String,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Lists the datasets that you may read
    List {
        /// The server: http(s)://HOST:PORT
        #[arg(value_name = "ADDRESS")]
        address: String,
        /// Archived ones as well
        #[arg(long)]
        all: bool,
    },
    /// Lets a dataset be read and not changed
    Archive(Dataset),
    /// Lets an archived dataset be changed again
    Unarchive(Dataset),
    /// Deletes an archived dataset, for everybody and for ever
    Delete {
        #[command(flatten)]
        dataset: Dataset,
        /// The dataset's name once more
        #[arg(long, value_name = "NAME")]
        confirm: String,
    },
    /// Copies a whole dataset as it is now into a file, which `mainstem backup restore` takes
    Export {
        #[command(flatten)]
        dataset: Dataset,
        /// The file to make
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Has the server keep a backup of a dataset as it is now
    Backup(Dataset),
    /// Lists the backups that the server keeps, oldest first
    Backups(Dataset),
    /// Puts a backup that the server keeps in the dataset's place
    Restore {
        #[command(flatten)]
        dataset: Dataset,
        /// The backup, as listed
        #[arg(value_name = "BACKUP")]
        backup: String,
    },
}

impl Datasets {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let out = &mut session.out;
        match &self.what {
            What::List { address, all } => {
                let listed = accounts(Address::parse_server(address)?)?.get_by(&["datasets"], ("all", &all.to_string()))?;
                view::datasets(out, &listed["items"])?;
            }
            What::Archive(dataset) => view::ended(out, &dataset.archive(true)?, &format!("{} is archived", dataset.shown()?))?,
            What::Unarchive(dataset) => view::ended(out, &dataset.archive(false)?, &format!("{} is in use again", dataset.shown()?))?,
            What::Delete { dataset, confirm } => {
                let (mut server, dataset) = dataset.server()?;
                let answer = server.delete_named(&["datasets", &dataset], confirm)?;
                view::ended(out, &answer, &format!("{} is deleted", name(&dataset)))?;
            }
            What::Export { dataset, file } => {
                let bytes = dataset.export(file)?;
                let answer = json!({ "file": file.display().to_string(), "bytes": bytes });
                view::ended(out, &answer, &format!("{} holds {}, {bytes} bytes", name(&file.display().to_string()), dataset.shown()?))?;
            }
            What::Backup(dataset) => {
                let (mut server, dataset) = dataset.server()?;
                let kept = server.post(&["datasets", &dataset, "backups"], &Json::Null)?;
                let told = format!("backup {} holds {} at version {}", text(&kept["backup"]), name(&dataset), kept["version"]);
                view::ended(out, &kept, &told)?;
            }
            What::Backups(dataset) => {
                let (mut server, dataset) = dataset.server()?;
                view::backups(out, &server.get(&["datasets", &dataset, "backups"])?["items"])?;
            }
            What::Restore { dataset, backup } => {
                let (mut server, dataset) = dataset.server()?;
                let done = server.post(&["datasets", &dataset, "backups", backup, "restore"], &Json::Null)?;
                let told = format!("{} is as it was at version {}; replicas bring back what it lost", name(&dataset), done["version"]);
                view::ended(out, &done, &told)?;
            }
        }
        Ok(Exit::Done)
    }
}

fn text(value: &Json) -> String {
    name(value.as_str().unwrap_or_default())
}

impl Dataset {
    fn server(&self) -> Result<(HttpAccounts, String)> {
        let address = Address::parse(&self.address)?;
        let dataset = address.dataset.clone();
        Ok((accounts(address)?, dataset))
    }
    fn shown(&self) -> Result<String> {
        Ok(name(&Address::parse(&self.address)?.dataset))
    }
    fn archive(&self, is_archived: bool) -> Result<Json> {
        let (mut server, dataset) = self.server()?;
        server.patch(&["datasets", &dataset], &json!({ "is_archived": is_archived }))
    }
    /// Appears under its name only once it is whole.
    fn export(&self, path: &Path) -> Result<u64> {
        let (mut server, dataset) = self.server()?;
        let cannot = |e: std::io::Error| {
            Error::new(ErrorKind::Unavailable, "output", format!("{} cannot be written: {e}", path.display()))
                .hint("choose another file, or move that one away")
                .because(e)
        };
        if std::fs::symlink_metadata(path).is_ok() {
            return Err(Error::new(ErrorKind::Conflict, "exists", format!("{} exists already", path.display()))
                .hint("choose another name, or move the file away"));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".mainstem-part");
        let part = PathBuf::from(part);
        // What an interrupted attempt left is of no use to anyone.
        let _ = std::fs::remove_file(&part);
        let mut file = private(&part).map_err(cannot)?;
        let written = server.download(&["datasets", &dataset, "export"], FILE_TYPE, &mut file);
        let written = written.and_then(|bytes| file.sync_all().map(|()| bytes).map_err(cannot));
        let placed = written.and_then(|bytes| std::fs::rename(&part, path).map(|()| bytes).map_err(cannot));
        placed.inspect_err(|_| drop(std::fs::remove_file(&part)))
    }
}

/// Everything is in it, so it is for its owner alone.
fn private(path: &Path) -> std::io::Result<File> {
    let mut how = File::options();
    how.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    how.open(path)
}

//! `mainstem publish`.
use crate::exit_codes::Exit;
use crate::json;
use crate::plain_text::{count, name, shell_word};
use crate::wiring::{Address, Session, warn_of_place};
use mainstem::Result;
use serde_json::json;

/// Makes a primary from this replica, for others to clone and sync with
///
/// Examples:
///   mainstem publish ../shared-primary
///   mainstem publish /mnt/team/recipes --dataset recipes
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Publish {
    /// A folder that is empty or not there yet, or a new name on a server: http(s)://HOST/DATASET
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// The dataset's name [default: the file's name]
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
}

impl Publish {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let address = Address::parse(&self.address)?;
        let remembered = address.remembered()?;
        let mut opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        let mut bar = session.bar();
        let dataset = self.dataset.as_deref();
        let mut place = address.place(session.around.clone())?;
        let description = opened.replica.publish_at(&mut *place, dataset, &actor, &mut |what, done, of| {
            bar.report(what, done, of);
        })?;
        drop(bar);
        if let Address::Folder(folder) = &address {
            warn_of_place(&folder.join(mainstem_sqlite::primary::PRIMARY_FILE));
        }
        let rows: u64 = description.tables.iter().map(|t| t.rows).sum();
        let tables = description.tables.len() as u64;
        let version = description.head.version;
        if session.out.is_json() {
            session.out.json(&json!({
                "dataset": description.dataset,
                "remote": remembered,
                "lineage": json::bits(description.lineage),
                "version": version,
                "tables": tables,
                "rows": rows,
            }))?;
        } else {
            let (dataset, folder) = (name(&description.dataset), name(&remembered));
            let address = shell_word(&remembered);
            let (tables, rows) = (count(tables, "table", "tables"), count(rows, "row", "rows"));
            session.out.line(format_args!("published {dataset} as version {version} in {folder}: {tables}, {rows}"))?;
            session.out.line(format_args!("others get it with: mainstem clone {} COPY.db", name(&address)))?;
        }
        Ok(Exit::Done)
    }
}

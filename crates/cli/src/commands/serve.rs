//! `mainstem serve`.
use crate::exit_codes::Exit;
use crate::wiring::Session;
use mainstem::Result;
use mainstem_http::server::{self, Door, Hall, Limits, Porter, Record, Shared, Stop, Style};
use mainstem_sqlite::primary::FolderDatasets;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Serves the datasets in a folder to replicas elsewhere
///
/// Examples:
///   mainstem serve
///   mainstem serve --data /srv/mainstem --listen 0.0.0.0:7430
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Serve {
    /// The folder that holds the datasets; it is made where it is not there
    #[arg(long, value_name = "FOLDER", default_value = "mainstem-data", env = "MAINSTEM_DATA")]
    data: PathBuf,
    /// The address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7430", env = "MAINSTEM_LISTEN")]
    listen: String,
}

impl Serve {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let datasets = FolderDatasets::new(self.data.clone(), session.around.clone())?;
        let record = Record::to(Box::new(std::io::stderr()), Style::Json, session.around.clone());
        let shared = Arc::new(Shared {
            hall: Hall::new(Arc::new(datasets), &Limits::default()),
            porter: Porter::new(Limits::default(), Door::default(), record, session.around.clone()),
            stop: Stop::default(),
        });
        let folder = self.data.display().to_string();
        server::run(&self.listen, shared, None, &mut |address| {
            if session.out.is_json() {
                session.out.json(&json!({"listening": address.to_string(), "data": folder}))?;
            } else {
                session.out.line(format_args!("serving {folder} at http://{address}"))?;
            }
            session.out.flush()
        })?;
        Ok(Exit::Done)
    }
}

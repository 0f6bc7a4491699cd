//! `mainstem serve`.
use crate::exit_codes::Exit;
use crate::wiring::Session;
use mainstem::Result;
use mainstem::accounts::Registrar;
use mainstem::token::Secret;
use mainstem_http::server::{self, Door, Hall, Limits, Porter, Record, Shared, Stop, Style};
use mainstem_sqlite::primary::FolderDatasets;
use mainstem_sqlite::registry::SqliteRegistry;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Serves the datasets in a folder to replicas elsewhere
///
/// The first time, it prints a token with which `mainstem login` makes the administrator.
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
    /// Print a token by which another administrator can be made, where nobody can log in as one any more
    #[arg(long)]
    setup_token: bool,
}

impl Serve {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let datasets = FolderDatasets::new(self.data.clone(), session.around.clone())?;
        let registry = SqliteRegistry::open(&self.data)?;
        let registrar = Registrar::open(Box::new(registry), session.around.clone())?;
        let is_wanted = self.setup_token || !registrar.accounts().is_set_up();
        let setup = if is_wanted { Some(registrar.create_setup_token()?) } else { None };
        let record = Record::to(Box::new(std::io::stderr()), Style::Json, session.around.clone());
        let shared = Arc::new(Shared {
            hall: Hall::new(Arc::new(datasets), &Limits::default()),
            registrar,
            porter: Porter::new(Limits::default(), Door::default(), record, session.around.clone()),
            stop: Stop::default(),
        });
        let folder = self.data.display().to_string();
        server::run(&self.listen, shared, None, &mut |address| {
            let setup = setup.as_ref().map(Secret::reveal);
            if session.out.is_json() {
                let mut said = json!({"listening": address.to_string(), "data": folder});
                if let Some(token) = setup {
                    said["setup_token"] = token.into();
                }
                session.out.json(&said)?;
            } else {
                session.out.line(format_args!("serving {folder} at http://{address}"))?;
                if let Some(token) = setup {
                    session.out.line(format_args!("to make an administrator: mainstem login http://{address}"))?;
                    session.out.line(format_args!("with this token, which works once: {token}"))?;
                }
            }
            session.out.flush()
        })?;
        Ok(Exit::Done)
    }
}

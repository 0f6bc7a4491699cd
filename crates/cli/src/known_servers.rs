//! Whom this program believes to be the server that it looks for: what was asked for this run, and the user's known servers.
//!
//! Invariant: one answer for the whole run, settled before anything is sent.
use crate::arguments::Global;
use mainstem_http::client::Trust;
use std::path::PathBuf;
use std::sync::OnceLock;

static SETTLED: OnceLock<Trust> = OnceLock::new();

/// Settles it from what was typed.
pub fn settle(global: &Global) {
    let trust = Trust { authorities: global.ca.clone(), known_servers: file(), is_open_http_allowed: global.insecure_http };
    // A second session of one process has typed the same.
    let _ = SETTLED.set(trust);
}

/// What is believed in this run.
pub fn trust() -> Trust {
    SETTLED.get().cloned().unwrap_or_else(|| Trust { known_servers: file(), ..Trust::default() })
}

/// The user's own; none where the system names no folder for it.
fn file() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = named("XDG_CONFIG_HOME").or_else(|| named("HOME").map(|home| home.join(".config")));
    folder.map(|folder| folder.join("mainstem").join("known_servers"))
}

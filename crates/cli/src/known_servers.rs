//! Whom this program believes to be the server that it looks for: what was asked for this run, and the user's known servers.
//!
//! Invariant: one answer for the whole run, settled before anything is sent.
use crate::arguments::Global;
use crate::output::note;
use mainstem_http::address::Address;
use mainstem_http::client::{Trust, Ways};
use std::path::PathBuf;
use std::sync::{Once, OnceLock};

static SETTLED: OnceLock<Trust> = OnceLock::new();

/// Settles it from what was typed.
pub fn settle(global: &Global) {
    let (authorities, is_open_http_allowed) = (global.ca.clone(), global.insecure_http);
    let trust = Trust { authorities, known_servers: file(), is_open_http_allowed, ways: ways() };
    // A second session of one process has typed the same.
    let _ = SETTLED.set(trust);
}

/// What is believed in this run.
pub fn trust() -> Trust {
    SETTLED.get().cloned().unwrap_or_else(|| Trust { known_servers: file(), ways: ways(), ..Trust::default() })
}

/// The proxies that this run's variables name.
fn ways() -> Ways {
    Ways::named(&|name| std::env::var(name).ok())
}

/// What is believed of a server, to which a token goes where there is one. Says once where anybody on the way can read it.
pub fn trust_with(address: &Address, token: Option<&str>) -> Trust {
    static SAID: Once = Once::new();
    if token.is_some() && !address.is_secret && !address.is_loopback() {
        SAID.call_once(|| note(format_args!("the token for {} goes over a line that anybody on the way can read", address.server())));
    }
    trust()
}

/// The user's own; none where the system names no folder for it.
fn file() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = named("XDG_CONFIG_HOME").or_else(|| named("HOME").map(|home| home.join(".config")));
    folder.map(|folder| folder.join("mainstem").join("known_servers"))
}

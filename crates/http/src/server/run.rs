//! Runs a server until it is told to stop.
use super::accept::serve;
use super::stop::Signals;
use super::{Shared, Tls};
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The code of a process that was ended while it was ending.
const ENDED_AT_ONCE: i32 = 130;
/// Open files beside connections: databases and what travels.
const FILES_BESIDE: u64 = 2_000;

/// Listens and answers until the process is asked to stop; a second time, and it ends at once. `ready` hears where, once
/// connections are taken.
pub fn run(listen: &str, shared: Arc<Shared>, tls: Option<Tls>, ready: &mut dyn FnMut(SocketAddr) -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| cannot(listen, e))?;
    bound_files(&shared);
    runtime.block_on(async {
        let mut signals = Signals::new();
        let listener = TcpListener::bind(listen).await.map_err(|e| cannot(listen, e))?;
        let address = listener.local_addr().map_err(|e| cannot(listen, e))?;
        shared.porter.record.line("listening", vec![("address", Value::from(address.to_string()))]);
        ready(address)?;
        let stopping = shared.clone();
        tokio::spawn(async move {
            signals.next().await;
            stopping.porter.record.line("stopping", vec![("requests", Value::from(stopping.porter.requests()))]);
            stopping.stop.ask();
            signals.next().await;
            std::process::exit(ENDED_AT_ONCE);
        });
        let acceptor = tls.as_ref().map(Tls::acceptor).transpose()?;
        if let Some(tls) = tls {
            let keeping = shared.clone();
            tokio::spawn(async move { tls.keep_current(&keeping.porter.record).await });
        }
        serve(listener, shared.clone(), acceptor).await;
        Ok::<(), Error>(())
    })?;
    // What works on a dataset still ends; what is more than late is left to recovery, as after a crash.
    runtime.shutdown_timeout(std::time::Duration::from_millis(shared.porter.limits.stop_ms_max));
    shared.porter.record.line("stopped", Vec::new());
    Ok(())
}

/// Takes as many open files as the system lets us have, and says where they are fewer than connections may be.
fn bound_files(shared: &Shared) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it may not be raised, what is there has to do.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let wanted = shared.porter.limits.connections_max.saturating_add(FILES_BESIDE);
    if files < wanted {
        shared.porter.record.line("few_files", vec![("open_files_max", Value::from(files)), ("wanted", Value::from(wanted))]);
    }
}

fn cannot(listen: &str, e: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "listen", format!("{listen} cannot be listened on: {e}"))
        .hint("mainstem serve --listen 127.0.0.1:0 takes a free port")
        .because(e)
}

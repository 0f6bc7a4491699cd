//! Runs a server until it is told to stop.
use super::{Shared, router};
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Listens and answers until the process is asked to stop. `ready` hears where, once connections are taken.
pub fn run(listen: &str, shared: Arc<Shared>, ready: &mut dyn FnMut(SocketAddr) -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| cannot(listen, e))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.map_err(|e| cannot(listen, e))?;
        ready(listener.local_addr().map_err(|e| cannot(listen, e))?)?;
        axum::serve(listener, router(shared)).with_graceful_shutdown(asked_to_stop()).await.map_err(|e| cannot(listen, e))
    })
}

fn cannot(listen: &str, e: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "listen", format!("{listen} cannot be listened on: {e}"))
        .hint("mainstem serve --listen 127.0.0.1:0 takes a free port")
        .because(e)
}

/// Resolves when the terminal or the system asks the process to end.
async fn asked_to_stop() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<Option<()>>();
    tokio::select! {
        _ = interrupted => {}
        _ = terminated => {}
    }
}

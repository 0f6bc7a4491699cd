//! The end of a server: asked for once, heard everywhere.
//!
//! Invariant: what waits for news ends at once; what works on a dataset ends when it is done.
use std::sync::Arc;
use tokio::sync::watch;

/// Whether the server was asked to stop. All clones are one.
#[derive(Clone, Debug)]
pub struct Stop {
    asked: Arc<watch::Sender<bool>>,
}

impl Default for Stop {
    fn default() -> Self {
        Stop { asked: Arc::new(watch::Sender::new(false)) }
    }
}

impl Stop {
    /// Asks for it.
    pub fn ask(&self) {
        self.asked.send_replace(true);
    }
    /// True once it was asked for.
    pub fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }
    /// Resolves once it was asked for: for whatever waits, beside what it waits for.
    pub async fn asked(&self) {
        let mut hears = self.asked.subscribe();
        // The sender lives as long as `self`, so an error cannot be.
        let _ = hears.wait_for(|is_asked| *is_asked).await;
    }
}

/// Resolves with each signal by which the terminal or the system asks a process to end.
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: Option<tokio::signal::unix::Signal>,
    #[cfg(unix)]
    interrupt: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    #[cfg(unix)]
    pub fn new() -> Signals {
        use tokio::signal::unix::{SignalKind, signal};
        Signals { terminate: signal(SignalKind::terminate()).ok(), interrupt: signal(SignalKind::interrupt()).ok() }
    }
    #[cfg(not(unix))]
    pub fn new() -> Signals {
        Signals {}
    }
    #[cfg(unix)]
    pub async fn next(&mut self) {
        async fn one(signal: &mut Option<tokio::signal::unix::Signal>) {
            match signal {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        }
        tokio::select! {
            () = one(&mut self.terminate) => {}
            () = one(&mut self.interrupt) => {}
        }
    }
    #[cfg(not(unix))]
    pub async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

//! A real browser (Debian's chromium) under control, and what every page that it shows must keep.
//!
//! Never shipped. Speaks the DevTools protocol over a pipe, so there is no port, no driver program and no WebSocket; each
//! browser has a profile of its own and ends with its value, or with the process that started it.
pub mod checks;
mod line;
mod outside;
mod page;
mod png;
mod seen;

pub use line::Browser;
pub use page::{Page, Shape};
pub use seen::Seen;

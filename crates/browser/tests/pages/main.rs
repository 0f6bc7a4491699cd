//! The pages of a real server in a real browser.
#![allow(clippy::disallowed_methods, reason = "a browser lives in real time")]
#![allow(clippy::print_stdout, reason = "what was measured is said")]
mod api;
mod checking;
mod crawl;
mod entrance;
mod hostile;
mod house;
mod payloads;
mod pictures;
mod review;

//! The pages of a real server in a real browser.
#![allow(clippy::disallowed_methods, reason = "a browser lives in real time")]
mod api;
mod checking;
mod crawl;
mod entrance;
mod hostile;
mod house;
mod payloads;
mod pictures;
mod review;

//! Deletions that are remembered, what may be forgotten, and what never comes back: replicas and a primary in real files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod collecting;
mod listing;
mod returning;
mod world;

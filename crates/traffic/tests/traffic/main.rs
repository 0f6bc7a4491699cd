//! The replica protocol through a real socket.
#![allow(clippy::disallowed_methods, reason = "what other threads and lines do is waited for, with a generous limit")]
mod actions;
mod audits;
mod between;
mod browsers;
mod contract;
mod documented;
mod feed;
mod forgery;
mod hostile;
mod matrix;
mod parts;
mod patience;
mod resuming;
mod review;
mod tables;
mod tls;
mod ways;
mod webhooks;

//! Capture as its users see it: every program's writes, to the bit, and nothing that the app could notice.
//!
//! The oracle is I-30: the rows before, plus the net changes, are the rows after, compared by storage class and bytes.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a failure fails the test; a test that is skipped says so")]
mod differential;
mod hazards;
mod migrations;
mod orms;
mod tracked;
mod values;

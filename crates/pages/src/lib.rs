//! What a browser shows of a server: typed pages, each a struct with its template beside it, rendered to HTML.
//!
//! Invariant: every text is escaped where it is written; what is not is a piece of this crate, which escaped its own.
//! Deliberately absent: I/O, clocks, and who may see what; whoever fills a page has decided that.
pub mod asset;
pub mod failed;
pub mod frame;
pub mod moment;
pub mod notice;
pub mod overview;
pub mod sign_in;

pub use askama::Template as Page;

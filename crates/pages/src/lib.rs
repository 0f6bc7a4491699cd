//! What a browser shows of a server: typed pages, each a struct with its template beside it, rendered to HTML.
//!
//! Invariant: every text is escaped where it is written; what is not is a piece of this crate, which escaped its own.
//! Deliberately absent: I/O, clocks, and who may see what; whoever fills a page has decided that.
pub mod account;
pub mod address;
pub mod asset;
pub mod audit;
pub mod cell;
pub mod change;
pub mod conflicts;
pub mod dataset;
pub mod deleted;
pub mod failed;
pub mod feed;
pub mod frame;
pub mod history;
pub mod members;
pub mod merging;
pub mod moment;
pub mod notice;
pub mod notices;
pub mod overview;
pub mod pager;
pub mod policy;
pub mod proposal;
pub mod proposals;
pub mod reviewed;
pub mod row;
pub mod row_change;
pub mod rows;
pub mod server;
pub mod sign_in;
pub mod thread;
pub mod value;
pub mod version;
mod words;

pub use askama::Template as Page;

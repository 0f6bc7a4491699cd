//! Servers, replicas and what is between them, over real sockets: for tests of the replica protocol and for loads.
//!
//! Never shipped. Every server has a folder and a free port of its own, and ends with its value.
pub mod apart;
mod following;
mod forward;
pub mod hostility;
pub mod load;
pub mod plain;
mod proxy;
pub mod report;
mod served;

pub use following::Following;
pub use forward::Forward;
pub use proxy::{FAULTS, Fault, Plan, Proxy};
pub use served::{ADMINISTRATOR, Served};

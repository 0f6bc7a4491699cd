//! Every limit of a server, by name, with its default.
//!
//! Invariant: whatever grows with what strangers send has a limit here; one that is reached is an answer and never a crash.
use mainstem::error::{Error, Result};

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident = $default:expr;)+) => {
        /// The limits of a server.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }
        impl Default for Limits {
            fn default() -> Self {
                Limits { $($name: $default,)+ }
            }
        }
        impl Limits {
            /// Their names, in order.
            pub const NAMES: &[&str] = &[$(stringify!($name),)+];
            /// What each is for.
            pub const MEANINGS: &[&str] = &[$(concat!($($doc),+),)+];
            /// The limit of that name.
            pub fn named(&mut self, name: &str) -> Result<&mut u64> {
                match name {
                    $(stringify!($name) => Ok(&mut self.$name),)+
                    _ => Err(Error::invalid(format!("there is no limit called {name}")).hint("mainstem serve --show-config lists them")),
                }
            }
        }
    };
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

limits! {
    /// Connections in all.
    connections_max = 8_192;
    /// Connections from one address (IPv6: one /64). Trusted proxies are not counted.
    connections_per_address_max = 1_024;
    /// Milliseconds for a TLS handshake.
    handshake_ms_max = 10_000;
    /// Milliseconds until a new connection sends its first byte.
    first_byte_ms_max = 10_000;
    /// Milliseconds from the first byte of a request to the end of its head.
    head_ms_max = 10_000;
    /// Milliseconds between two requests on one connection.
    idle_ms_max = 75_000;
    /// Bytes a second that a body moves at least, in either direction.
    rate_bytes_min = KIB;
    /// Milliseconds that a body may fall behind that rate before it is cut.
    behind_ms_max = 20_000;
    /// Milliseconds that running requests have to end when the server stops.
    stop_ms_max = 10_000;
    /// Bytes of a request's head.
    head_bytes_max = 32 * KIB;
    /// Headers of a request.
    headers_max = 64;
    /// Bytes of a request's path and query.
    path_bytes_max = 4 * KIB;
    /// Bytes of a request that brings rows, as they travel.
    request_bytes_max = KIB * MIB;
    /// Bytes of any other request of the replica protocol, as they travel.
    question_bytes_max = 16 * MIB;
    /// Bytes of a request once unfolded, all its frames together.
    unfolded_bytes_max = 4 * KIB * MIB;
    /// Bytes of one frame once unfolded; a row has to fit into it.
    frame_bytes_max = 256 * MIB;
    /// Times that a frame may grow when it is unfolded.
    unfolded_ratio_max = crate::wire::frame::RATIO_MAX;
    /// Frames of a request.
    frames_max = 1_000_000;
    /// Rows changed by one push.
    push_rows_max = 10_000_000;
    /// Bytes of a request in JSON.
    json_bytes_max = MIB;
    /// Datasets on the server.
    datasets_max = 1_000;
    /// Requests that are being answered at once, those that wait for news included.
    requests_max = 4_096;
    /// Requests of one token that are being answered at once, those that wait for news included.
    requests_per_token_max = 256;
    /// Requests that read datasets at once, and as many that write, each to another; others wait for their turn.
    running_max = 8;
    /// Of those that read, how many may be of one actor, with whatever token. Of those that write to one dataset, it is one.
    running_per_actor_max = 2;
    /// Writes to one dataset that wait for their turn, of one actor.
    writes_waiting_per_actor_max = 64;
    /// Requests a second from one address, in the long run.
    address_rate_max = 1_000;
    /// Requests from one address at once, after a pause.
    address_burst_max = 4_000;
    /// Requests a second with one token, in the long run.
    token_rate_max = 500;
    /// Requests with one token at once, after a pause.
    token_burst_max = 2_000;
    /// Bytes that stay free on the disk where requests and answers are kept while they travel.
    disk_free_bytes_min = 256 * MIB;
}

impl Limits {
    /// Reads one as it is written in flags and variables: a number, with `_` for the eye.
    pub fn set(&mut self, name: &str, typed: &str) -> Result<()> {
        let limit = self.named(name)?;
        let number = typed.replace('_', "").parse();
        *limit = number.map_err(|_| Error::invalid(format!("the limit {name} is a number, and {typed} is none")))?;
        Ok(())
    }
    /// Each name with its value.
    pub fn list(&self) -> Vec<(&'static str, u64)> {
        let mut own = self.clone();
        Self::NAMES.iter().map(|name| (*name, own.named(name).map_or(0, |value| *value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_set_by_its_name() {
        let mut limits = Limits::default();
        for name in Limits::NAMES {
            limits.set(name, "1_234").expect(name);
        }
        assert!(limits.list().iter().all(|(_, value)| *value == 1_234));
        assert_eq!(Limits::NAMES.len(), Limits::MEANINGS.len());
        assert!(limits.set("no_such_max", "1").expect_err("unknown").message.contains("no_such_max"));
        assert!(limits.set("frames_max", "-1").expect_err("no number").message.contains("frames_max"));
    }
}

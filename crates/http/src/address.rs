//! Addresses of datasets on a server: `http(s)://HOST[:PORT][/PREFIX]/DATASET`.
use hyper::Uri;
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use std::fmt;

/// Where a server is, and a dataset on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// True for `https`.
    pub is_secret: bool,
    /// The host, as in the `Host` header without the port.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What comes before the dataset, without a slash at its end; for servers behind a proxy.
    pub prefix: String,
    /// The dataset's name; empty for the server itself.
    pub dataset: String,
}

/// The longest name of a dataset.
pub const NAME_BYTES_MAX: usize = 100;

/// The server's own file beside its datasets.
const SERVER_FILE: &str = "server.db";

/// True for a name that a dataset on a server may have: letters, digits, `-`, `_` and `.`, beginning with a letter or digit,
/// and not with the name of the server's own file.
pub fn is_dataset_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && !name.to_ascii_lowercase().starts_with(SERVER_FILE)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

impl Address {
    /// Reads the address of a dataset, as typed.
    pub fn parse(typed: &str) -> Result<Address> {
        let server = Address::parse_server(typed)?;
        let wrong = || wrong(typed, "names no dataset").hint("https://HOST[:PORT]/DATASET");
        let (prefix, dataset) = server.prefix.rsplit_once('/').ok_or_else(wrong)?;
        if !is_dataset_name(dataset) {
            return Err(wrong());
        }
        Ok(Address { prefix: prefix.to_string(), dataset: dataset.to_string(), ..server })
    }
    /// Reads the address of a server, as typed: `http(s)://HOST[:PORT][/PREFIX]`.
    pub fn parse_server(typed: &str) -> Result<Address> {
        let wrong = |why: &str| wrong(typed, why);
        let uri: Uri = typed.parse().map_err(|_| wrong("cannot be read"))?;
        let is_secret = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("is none of http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("holds a name or password; tokens are kept apart from addresses").hint("mainstem login ADDRESS"));
        }
        if uri.query().is_some() {
            return Err(wrong("has a question mark"));
        }
        let port = authority.port_u16().unwrap_or(if is_secret { 443 } else { 80 });
        let prefix = uri.path().trim_end_matches('/').to_string();
        Ok(Address { is_secret, host: authority.host().to_string(), port, prefix, dataset: String::new() })
    }
    /// The server, without the dataset: what a token belongs to.
    pub fn server(&self) -> String {
        let scheme = if self.is_secret { "https" } else { "http" };
        format!("{scheme}://{}{}{}", self.host, self.port_text(), self.prefix)
    }
    /// What the `Host` header says.
    pub fn authority(&self) -> String {
        format!("{}{}", self.host, self.port_text())
    }
    fn port_text(&self) -> String {
        let usual = if self.is_secret { 443 } else { 80 };
        if self.port == usual { String::new() } else { format!(":{}", self.port) }
    }
}

fn wrong(typed: &str, why: &str) -> Error {
    Error::new(ErrorKind::Invalid, "invalid", format!("the address {typed} {why}")).hint("https://HOST[:PORT][/PREFIX]")
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server(), self.dataset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for (typed, shown) in [
            ("http://localhost:7430/recipes", "http://localhost:7430/recipes"),
            ("https://data.example.org/recipes/", "https://data.example.org/recipes"),
            ("https://example.org:443/team/data/recipes", "https://example.org/team/data/recipes"),
            ("http://[::1]:80/a.b-c_d", "http://[::1]/a.b-c_d"),
        ] {
            let address = Address::parse(typed).expect(typed);
            assert_eq!(address.to_string(), shown);
            assert_eq!(Address::parse(shown).expect(shown), address);
        }
    }

    #[test]
    fn others_are_refused_by_name() {
        for typed in [
            "http://host",
            "http://host/",
            "ftp://host/x",
            "https://u:p@host/x",
            "http://host/x?y",
            "http://host/.x",
            "http://host/server.db",
            "x",
            "",
        ] {
            let error = Address::parse(typed).expect_err(typed);
            assert!(error.message.contains(typed), "{error}");
        }
    }
}

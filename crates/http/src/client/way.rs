//! The way to a server: straight, or through a proxy that the environment names.
//!
//! Invariant: what is for this machine goes through nobody else.
//! Deliberately absent: proxies that are themselves spoken to over TLS, and scripts that choose one.
use super::line::Patience;
use crate::address::Address;
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use std::fmt::Display;
use std::io;
use std::net::IpAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The longest answer of a proxy that is read.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// One proxy.
#[derive(Clone, PartialEq, Eq)]
struct Proxy {
    host: String,
    port: u16,
    /// What it is shown, where it wants to know who asks.
    authorization: Option<String>,
}

/// Which proxies are between here and servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// What was named; why it is no proxy where it is none, to be said by whoever would go through it.
    http: Option<std::result::Result<Proxy, Unusable>>,
    https: Option<std::result::Result<Proxy, Unusable>>,
    straight: Vec<String>,
}

/// Why a variable names no proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unusable {
    variable: &'static str,
    why: &'static str,
}

impl std::fmt::Debug for Proxy {
    /// Without its password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Ways {
    /// As variables say, in small letters or capitals: `HTTPS_PROXY` for `https://`, `HTTP_PROXY` for `http://`, `NO_PROXY` for
    /// where neither is used.
    pub fn named(variable: &dyn Fn(&str) -> Option<String>) -> Ways {
        let either = |name: &str| {
            let said = variable(&name.to_ascii_lowercase()).or_else(|| variable(name));
            said.map(|said| said.trim().to_string()).filter(|said| !said.is_empty())
        };
        let proxy = |name| either(name).map(|typed| Proxy::parse(&typed).map_err(|why| Unusable { variable: name, why }));
        let straight = either("NO_PROXY").unwrap_or_default();
        let straight = straight.split([',', ' ']).map(str::trim).filter(|part| !part.is_empty()).map(str::to_ascii_lowercase);
        Ways { http: proxy("HTTP_PROXY"), https: proxy("HTTPS_PROXY"), straight: straight.collect() }
    }

    /// The proxy on the way to a server; none where there is none.
    fn to(&self, address: &Address) -> Result<Option<&Proxy>> {
        let proxy = if address.is_secret { &self.https } else { &self.http };
        let proxy = proxy.as_ref().filter(|_| !address.is_loopback() && !self.straight.iter().any(|part| is_meant(part, address)));
        proxy.map(|proxy| proxy.as_ref().map_err(Unusable::said)).transpose()
    }

    /// Opens a connection to a server, through whatever is on the way.
    pub(super) async fn open(&self, address: &Address, patience: Patience) -> Result<TcpStream> {
        let proxy = self.to(address)?;
        let (host, port) = proxy.map_or((address.host.as_str(), address.port), |proxy| (proxy.host.as_str(), proxy.port));
        let opening = async {
            let mut stream = TcpStream::connect((bare(host), port)).await?;
            stream.set_nodelay(true)?;
            match proxy {
                Some(proxy) => passed_on(&mut stream, proxy, address).await.map(|said| (stream, said)),
                None => Ok((stream, None)),
            }
        };
        match (timeout(patience.connect, opening).await, proxy) {
            (Ok(Ok((stream, None))), _) => Ok(stream),
            (Ok(Ok((_, Some(refused)))), Some(proxy)) => Err(proxy.refused(address, &refused)),
            (Ok(Ok((_, Some(refused)))), None) => Err(unreachable(address, &refused)),
            (Ok(Err(e)), Some(proxy)) => Err(unreachable(address, &format!("the proxy {proxy:?}: {e}"))),
            (Ok(Err(e)), None) => Err(unreachable(address, &e)),
            (Err(_), Some(proxy)) => Err(unreachable(address, &format!("the proxy {proxy:?} does not answer"))),
            (Err(_), None) => Err(unreachable(address, &"it does not answer")),
        }
    }
}

/// True where a part of `NO_PROXY` means an address: `*`, a host with all below it, one of its ports, or an address.
fn is_meant(part: &str, address: &Address) -> bool {
    let host = bare(&address.host).to_ascii_lowercase();
    let (name, port) = match part.rsplit_once(':') {
        Some((name, port)) if !bare(name).contains(':') && port.bytes().all(|digit| digit.is_ascii_digit()) => (name, port.parse().ok()),
        _ => (part, None),
    };
    let name = bare(name).trim_start_matches("*.").trim_start_matches('.');
    let is_below = || host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let is_host = match (name.parse::<IpAddr>(), host.parse::<IpAddr>()) {
        (Ok(named), Ok(host)) => named.to_canonical() == host.to_canonical(),
        _ => name == "*" || (!name.is_empty() && is_below()),
    };
    is_host && port.is_none_or(|port: u16| port == address.port)
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

impl Unusable {
    /// A password may be in what was typed, so that it is not said again.
    fn said(&self) -> Error {
        Error::invalid(format!("the proxy in {} {}", self.variable, self.why)).hint(format!("{}=http://HOST:PORT", self.variable))
    }
}

impl Proxy {
    fn parse(typed: &str) -> std::result::Result<Proxy, &'static str> {
        let rest = match typed.split_once("://") {
            Some(("http", rest)) => rest,
            Some(_) => return Err("is no http:// one; no other kind is spoken to"),
            None => typed,
        };
        let (who, place) = rest.rsplit_once('@').map_or((None, rest), |(who, place)| (Some(who), place));
        let address = Address::parse_server(&format!("http://{place}")).map_err(|_| "cannot be read")?;
        let authorization = who.map(|who| format!("Basic {}", base64(&unescaped(who))));
        Ok(Proxy { host: address.host, port: address.port, authorization })
    }

    fn refused(&self, address: &Address, said: &str) -> Error {
        let status = said.split(' ').nth(1).unwrap_or_default();
        let message = format!("the proxy {self:?} does not pass on to {}: it answers {status}", address.authority());
        let error = Error::new(ErrorKind::Unavailable, "line", message);
        match status {
            "407" => error.hint("name and password go into the variable: http://NAME:PASSWORD@HOST:PORT"),
            _ => error.hint("ask whoever runs the proxy, or leave it out: NO_PROXY=HOST"),
        }
    }
}

/// Asks a proxy to pass everything on from here. Gives its first line where it does not.
async fn passed_on(stream: &mut TcpStream, proxy: &Proxy, address: &Address) -> io::Result<Option<String>> {
    let to = format!("{}:{}", address.host, address.port);
    let who = proxy.authorization.as_ref().map_or(String::new(), |shown| format!("Proxy-Authorization: {shown}\r\n"));
    stream.write_all(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{who}\r\n").as_bytes()).await?;
    let mut head = Vec::new();
    // Byte by byte: what comes after the head is the server's.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_BYTES_MAX {
            return Err(io::Error::other("it is no proxy"));
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let first = head.lines().next().unwrap_or_default();
    let is_passed_on = first.starts_with("HTTP/1.") && first.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
    Ok((!is_passed_on).then(|| first.to_string()))
}

/// Bytes written as `%41` in addresses.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        let digits = more.get(..2).filter(|_| first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(first);
                rest = more;
            }
        }
    }
    bytes
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = bytes.chunks(3).flat_map(|three| {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        (0..4).map(move |at| if at <= three.len() { char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63]) } else { '=' })
    });
    digits.collect()
}

/// A server that cannot be spoken to now.
pub(super) fn unreachable(address: &Address, why: &dyn Display) -> Error {
    Error::new(ErrorKind::Unavailable, "line", format!("{} cannot be reached: {why}", address.server()))
        .hint("all work goes on without it; mainstem sync when it is back")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(variables: &[(&str, &str)]) -> Ways {
        Ways::named(&|name| variables.iter().find(|(known, _)| *known == name).map(|(_, said)| said.to_string()))
    }

    #[test]
    fn each_scheme_has_its_proxy_and_some_servers_have_none() {
        let all = [
            ("HTTPS_PROXY", "http://secret.proxy:3128"),
            ("HTTP_PROXY", "upper:1"),
            ("http_proxy", "plain.proxy:8080"),
            ("NO_PROXY", "inside.example, .corp, *.wild.example,10.0.0.7,[fd00::1],only.example:7430 "),
        ];
        let found = ways(&all);
        for (server, proxy) in [
            ("https://data.example.org", Some("secret.proxy:3128")),
            ("http://data.example.org", Some("plain.proxy:8080")),
            ("https://localhost:7430", None),
            ("http://127.0.0.1:7430", None),
            ("http://[::1]:7430", None),
            ("https://INSIDE.example", None),
            ("https://deep.inside.example", None),
            ("https://outside.example", Some("secret.proxy:3128")),
            ("https://notinside.example", Some("secret.proxy:3128")),
            ("https://data.corp", None),
            ("https://a.wild.example", None),
            ("https://10.0.0.7:7430", None),
            ("https://10.0.0.77", Some("secret.proxy:3128")),
            ("https://[fd00::1]:7430", None),
            ("https://only.example:7430", None),
            ("https://only.example", Some("secret.proxy:3128")),
        ] {
            let address = Address::parse_server(server).expect(server);
            assert_eq!(found.to(&address).expect("good").map(|proxy| format!("{proxy:?}")).as_deref(), proxy, "{server}");
        }
        let none = ways(&[("https_proxy", "proxy:1"), ("no_proxy", "*"), ("http_proxy", " ")]);
        assert_eq!(none.to(&Address::parse_server("https://data.example.org").expect("good")).expect("good"), None);
        assert_eq!(none.to(&Address::parse_server("http://data.example.org").expect("good")).expect("good"), None);
    }

    #[test]
    fn names_and_passwords_are_shown_to_the_proxy_and_to_nobody_else() {
        let ways = ways(&[("HTTPS_PROXY", "http://ann:p%40ss%3aword@proxy:3128/")]);
        let proxy = ways.https.clone().expect("it is there").expect("a proxy");
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy", 3128));
        assert_eq!(proxy.authorization.as_deref(), Some("Basic YW5uOnBAc3M6d29yZA=="));
        assert!(!format!("{ways:?}").contains("p@ss"));
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn other_kinds_of_proxy_are_refused_without_saying_what_was_typed() {
        for typed in ["https://u:secret@proxy:1", "socks5://u:secret@proxy:1", "http://u:secret@", "http://u:secret@pro xy"] {
            let found = ways(&[("HTTPS_PROXY", typed)]);
            let error = found.to(&Address::parse_server("https://data.example.org").expect("good")).expect_err(typed);
            // Whoever does not go through it is not kept by it.
            assert_eq!(found.to(&Address::parse_server("http://data.example.org").expect("good")).expect("good"), None);
            assert!(error.message.contains("HTTPS_PROXY") && !format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}

//! Where a webhook may be sent: public addresses, and those that the server's settings allow (T23).
//!
//! Invariant: every address that a name leads to is looked at, and the connection goes to one that was looked at.
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

const URL_BYTES_MAX: usize = 2_048;

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    /// Of IPv4, as the last bits of the whole.
    first: u128,
    bits: u32,
    is_v4: bool,
}

impl Network {
    fn parse(typed: &str) -> Option<Network> {
        let (address, bits) = typed.split_once('/').map_or((typed, None), |(address, bits)| (address, Some(bits)));
        let (first, is_v4) = bits_of(address.parse().ok()?);
        let width = if is_v4 { 32 } else { 128 };
        let bits = bits.map_or(Some(width), |bits| bits.parse().ok()).filter(|bits| *bits <= width)?;
        Some(Network { first, bits: bits + 128 - width, is_v4 })
    }
    fn has(&self, address: IpAddr) -> bool {
        let (bits, is_v4) = bits_of(address);
        is_v4 == self.is_v4 && (bits ^ self.first).leading_zeros() >= self.bits
    }
}

fn bits_of(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(four) => (four.to_bits().into(), true),
        IpAddr::V6(six) => (six.to_bits(), false),
    }
}

/// What is allowed beside public addresses.
#[derive(Clone, Debug, Default)]
pub struct Allowed(Vec<Network>);

impl Allowed {
    /// Reads addresses and networks, such as `10.0.0.0/8`.
    pub fn parse(typed: &[String]) -> Result<Allowed> {
        let wrong = |typed: &str| Error::invalid(format!("{typed} is no address and no network")).hint("such as 10.1.2.3 or fd00::/8");
        typed.iter().map(|typed| Network::parse(typed).ok_or_else(|| wrong(typed))).collect::<Result<_>>().map(Allowed)
    }
    fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.has(address))
    }
}

/// True for an address that anybody on the internet may have, and that leads nowhere else.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(four) => is_public_v4(four),
        IpAddr::V6(six) => is_public_v6(six),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

/// Of IPv6, only what is given out to everybody, without what holds an IPv4 address or is for documents.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_given_out = a & 0xe000 == 0x2000;
    let is_special = a == 0x2001 && (b < 0x0200 || b == 0x0db8) || a == 0x2002 || a == 0x3fff && b < 0x1000;
    is_given_out && !is_special
}

/// An address that events are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// True for `https`.
    pub is_secret: bool,
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What the `Host` header says.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

impl Target {
    /// Reads an address as typed.
    pub fn parse(typed: &str) -> Result<Target> {
        let wrong = |why: &str| Error::invalid(format!("the webhook's address {why}")).hint("https://HOST[:PORT]/PATH");
        if typed.len() > URL_BYTES_MAX || !typed.bytes().all(|byte| byte.is_ascii_graphic()) || typed.contains(['\\', '#', '"', '<', '>']) {
            return Err(wrong("is too long or holds what no address holds"));
        }
        let (scheme, rest) = typed.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
        let is_secret = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("is none of https:// or http://")),
        };
        let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
        if authority.contains('@') {
            return Err(wrong("holds a name or password"));
        }
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((six, port)) => (six.parse::<Ipv6Addr>().map_err(|_| wrong("holds no IPv6 address in brackets"))?.to_string(), port),
            None => authority.find(':').map_or((authority.to_string(), ""), |at| (authority[..at].to_string(), &authority[at..])),
        };
        let is_named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if host.is_empty() || host.parse::<Ipv6Addr>().is_err() && !host.chars().all(is_named) {
            return Err(wrong("names no host"));
        }
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => Some(if is_secret { 443 } else { 80 }),
            None => None,
            Some(port) => port.parse().ok().filter(|number| *number > 0 && port.bytes().all(|digit| digit.is_ascii_digit())),
        };
        let port = port.ok_or_else(|| wrong("has no good port"))?;
        let path = if path.starts_with('/') { path.to_string() } else { format!("/{path}") };
        Ok(Target { is_secret, host, port, authority: authority.to_string(), path })
    }

    /// Where it is, if it may be sent to. One address of many that may not be refuses them all.
    pub fn addresses(&self, allowed: &Allowed) -> Result<Vec<SocketAddr>> {
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let unknown = || Error::new(ErrorKind::Unavailable, "unknown_host", format!("no address is known of {}", self.host));
        let found: Vec<SocketAddr> = found.map_err(|e| unknown().because(e))?.collect();
        if found.is_empty() {
            return Err(unknown());
        }
        self.check(&found, allowed).map(|()| found)
    }

    fn check(&self, found: &[SocketAddr], allowed: &Allowed) -> Result<()> {
        let blocked = |why: String| Error::new(ErrorKind::Denied, "blocked_address", why).hint("mainstem serve --webhook-network NETWORK");
        if !found.iter().all(|found| is_public(found.ip()) || allowed.has(found.ip())) {
            return Err(blocked(format!("{} is not on the internet, and this server's settings do not allow it", self.host)));
        }
        if !self.is_secret && !found.iter().all(|found| allowed.has(found.ip())) {
            return Err(blocked(format!("{} is reached over http:// only where this server's settings allow its address", self.host)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_everybodys_are_none() {
        let inner = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:a9fe:a9fe",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:7f00:1::",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for address in inner {
            assert!(!is_public(address.parse().expect(address)), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:200::1",
            "2003::1",
        ] {
            assert!(is_public(address.parse().expect(address)), "{address}");
        }
    }

    /// However this machine is spelled, it is this machine.
    #[test]
    fn spellings_of_inner_addresses_are_refused() {
        let spelled = [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "0",
            "0x7f000001",
            "0x7f.1",
            "2130706433",
            "017700000001",
            "0177.0.0.1",
            "0x7f.0x0.0x0.0x1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:0:0:1]",
            "localhost",
            "LOCALHOST",
            "10.1",
            "0xa9fea9fe",
            "169.254.43518",
            "3232235521",
            "0300.0250.0.1",
            "[fe80::1]",
            "[fd00::1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[::]",
        ];
        for host in spelled {
            let target = Target::parse(&format!("https://{host}/hook")).expect(host);
            assert!(target.addresses(&Allowed::default()).is_err(), "{host}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let wrong = [
            "",
            "https://",
            "https:///x",
            "ftp://example.org",
            "file:///etc/passwd",
            "gopher://x/",
            "https://user@example.org/",
            "https://a:b@example.org/",
            "https://example.org:0/",
            "https://example.org:99999/",
            "https://example.org:+1/",
            "https://example.org:x/",
            "https://exa mple.org/",
            "https://example.org/\r\nX: y",
            "https://example.org/#a",
            "https://example.org\\@evil.example/",
            "https://[::1",
            "https://[v1.x]/",
            "https://ex\u{e4}mple.org/",
            "https://[::1%25eth0]/",
            "javascript:alert(1)",
            "//example.org/",
            "https://%31%32%37.0.0.1/",
        ];
        for typed in wrong {
            assert!(Target::parse(typed).is_err(), "{typed:?}");
        }
        let good = Target::parse("HTTPS://Example.org:8443?x=1").expect("an address");
        assert_eq!((good.is_secret, good.host.as_str(), good.port, good.path.as_str()), (true, "Example.org", 8443, "/?x=1"));
    }

    #[test]
    fn one_address_of_many_refuses_all() {
        let target = Target::parse("https://example.org/").expect("an address");
        let at = |text: &str| SocketAddr::new(text.parse().expect("an address"), 443);
        let none = Allowed::default();
        assert!(target.check(&[at("8.8.8.8"), at("1.1.1.1")], &none).is_ok());
        assert!(target.check(&[at("8.8.8.8"), at("127.0.0.1")], &none).is_err());
        let some = Allowed::parse(&["127.0.0.0/8".into(), "fd00::/8".into()]).expect("networks");
        assert!(target.check(&[at("8.8.8.8"), at("127.0.0.1"), at("fd00::1"), at("::ffff:127.9.9.9")], &some).is_ok());
        assert!(target.check(&[at("10.0.0.1")], &some).is_err());
        let open = Target { is_secret: false, ..target };
        assert!(open.check(&[at("8.8.8.8")], &some).is_err(), "nothing is sent in the open over the internet");
        assert!(open.check(&[at("127.0.0.1")], &some).is_ok());
        for wrong in ["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/-1"] {
            assert!(Allowed::parse(&[wrong.into()]).is_err(), "{wrong}");
        }
    }
}

//! By which names a server answers, and whom it believes about others' addresses.
//!
//! Invariant: on a loopback address no page of somebody else's site gets an answer, whatever its name resolves to (T22); what
//! a header says about an address counts only where a configured proxy says it (T28).
use super::accept::Ends;
use hyper::header::{self, HeaderMap, HeaderName};
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use std::net::IpAddr;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who can read what goes between a browser and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Nobody: it is encrypted, by us or by a proxy that is believed.
    Secret,
    /// Nobody else: the browser is on this machine, or believes that the server is on its own.
    Near,
    /// Whoever is on the way.
    Open,
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    fn parse(typed: &str) -> Result<Network> {
        let wrong = || Error::invalid(format!("{typed} is no address and no network")).hint("such as 10.0.0.1, 10.0.0.0/8 or fd00::/8");
        let (address, bits) = typed.split_once('/').map_or((typed, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits > most { Err(wrong()) } else { Ok(Network { address, bits }) }
    }
    fn has(&self, other: IpAddr) -> bool {
        let shared = |one: u128, other: u128, width: u8| u32::from(self.bits) <= (one ^ other).leading_zeros() - u32::from(128 - width);
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(one), IpAddr::V4(other)) => shared(one.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(one), IpAddr::V6(other)) => shared(one.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

/// What a server knows of what is in front of it.
#[derive(Clone, Debug, Default)]
pub struct Door {
    hosts: Vec<String>,
    proxies: Vec<Network>,
}

impl Door {
    /// That answers by these names and believes proxies at these addresses or networks.
    pub fn new(hosts: &[String], proxies: &[String]) -> Result<Door> {
        let proxies = proxies.iter().map(|typed| Network::parse(typed)).collect::<Result<_>>()?;
        Ok(Door { hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(), proxies })
    }
    /// True for a proxy that is believed.
    pub fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.has(address))
    }
    /// Where a request comes from: the other end, or what proxies that are believed say of it, as far as they are believed.
    pub fn origin(&self, ends: &Ends, headers: &HeaderMap) -> IpAddr {
        let said = headers.get_all(FORWARDED_FOR).iter().rev().filter_map(|value| value.to_str().ok());
        let mut hops = said.flat_map(|value| value.rsplit(',')).map(|hop| hop.trim().parse::<IpAddr>());
        let mut address = ends.remote.ip().to_canonical();
        while self.is_trusted_proxy(address) {
            match hops.next() {
                Some(Ok(hop)) => address = hop.to_canonical(),
                Some(Err(_)) | None => break,
            }
        }
        address
    }
    /// How a browser reaches us.
    pub fn line(&self, ends: &Ends, headers: &HeaderMap) -> Line {
        let said = headers.get(FORWARDED_PROTO).filter(|_| self.is_trusted_proxy(ends.remote.ip().to_canonical()));
        if ends.is_secret || said.is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https")) {
            return Line::Secret;
        }
        // A browser that was told a name of its own machine sends nothing beyond it in the open.
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if is_loopback(&bare(host)) { Line::Near } else { Line::Open }
    }
    /// Refuses a request for a name that is not ours, and one that a page of another site makes.
    pub fn admit(&self, ends: &Ends, headers: &HeaderMap, named: Option<&str>) -> Result<()> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (hosts.next().map(|host| host.to_str()), hosts.next()) {
            (Some(Ok(host)), None) => host,
            _ => return Err(Error::invalid("a request names one host in its Host header, and this one does not")),
        };
        let is_bound = ends.local.ip().to_canonical().is_loopback() || !self.hosts.is_empty();
        if is_bound && ![Some(host), named].into_iter().flatten().all(|host| self.is_own(host)) {
            return Err(forbidden("this server does not answer by that name", "mainstem serve --host NAME, where it is one of its names"));
        }
        let Some(page) = headers.get(header::ORIGIN) else { return Ok(()) };
        let site = page.to_str().ok().and_then(|page| page.split_once("://")).map(|(_, site)| site);
        match site {
            Some(site) if site.eq_ignore_ascii_case(host) || !self.hosts.is_empty() && self.hosts.contains(&bare(site)) => Ok(()),
            _ => Err(forbidden("pages of other sites get no answer here", "mainstem serve --host NAME, where that site is this server's")),
        }
    }
    fn is_own(&self, host: &str) -> bool {
        let bare = bare(host);
        is_loopback(&bare) || self.hosts.contains(&bare)
    }
}

fn is_loopback(bare: &str) -> bool {
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// A host without its port and brackets, in lower case.
fn bare(host: &str) -> String {
    let is_port = |port: &str| port.chars().all(|c| c.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    };
    name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
}

fn forbidden(why: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Denied, "forbidden_host", why).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn ends(remote: &str, local: &str) -> Ends {
        let at = |text: &str| SocketAddr::new(text.parse().expect("an address"), 7430);
        Ends { remote: at(remote), local: at(local), is_secret: false }
    }

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn names_of_others_get_no_answer_on_loopback() {
        let door = Door::new(&["data.example.org".into()], &[]).expect("a door");
        let open = Door::default();
        let table = [
            (&open, "127.0.0.1", "127.0.0.1:7430", true),
            (&open, "127.0.0.1", "localhost", true),
            (&open, "127.0.0.1", "LOCALHOST:80", true),
            (&open, "::1", "[::1]:7430", true),
            (&open, "127.0.0.1", "evil.example", false),
            (&open, "127.0.0.1", "localhost.evil.example", false),
            (&open, "127.0.0.1", "127.0.0.1.evil.example:7430", false),
            (&open, "127.0.0.1", "", false),
            (&open, "192.0.2.1", "anything.example", true),
            (&door, "192.0.2.1", "anything.example", false),
            (&door, "192.0.2.1", "Data.Example.org:443", true),
            (&door, "127.0.0.1", "data.example.org", true),
        ];
        for (door, local, host, is_admitted) in table {
            let admitted = door.admit(&ends("192.0.2.9", local), &headers(&[("host", host)]), None);
            assert_eq!(admitted.is_ok(), is_admitted, "{host} at {local}");
        }
        let both = headers(&[("host", "localhost")]);
        assert!(open.admit(&ends("127.0.0.1", "127.0.0.1"), &both, Some("evil.example")).is_err());
        assert!(open.admit(&ends("127.0.0.1", "192.0.2.1"), &HeaderMap::new(), None).is_err());
    }

    #[test]
    fn pages_of_other_sites_get_none() {
        let door = Door::new(&["data.example.org".into()], &[]).expect("a door");
        let local = ends("127.0.0.1", "127.0.0.1");
        for (page, is_admitted) in [
            ("http://localhost:7430", true),
            ("https://data.example.org", true),
            ("http://evil.example", false),
            ("http://localhost:9999", false),
            ("null", false),
        ] {
            let admitted = door.admit(&local, &headers(&[("host", "localhost:7430"), ("origin", page)]), None);
            assert_eq!(admitted.is_ok(), is_admitted, "{page}");
        }
    }

    #[test]
    fn what_a_browser_sends_is_read_by_nobody_on_the_way() {
        let door = Door::new(&[], &["10.0.0.1".into()]).expect("a door");
        for (remote, host, scheme, line) in [
            ("192.0.2.9", "localhost:7430", "http", Line::Near),
            ("192.0.2.9", "[::1]:7430", "http", Line::Near),
            ("192.0.2.9", "data.example.org", "http", Line::Open),
            ("192.0.2.9", "data.example.org", "https", Line::Open),
            ("10.0.0.1", "data.example.org", "https", Line::Secret),
            ("10.0.0.1", "data.example.org", "http", Line::Open),
        ] {
            let found = door.line(&ends(remote, "10.0.0.7"), &headers(&[("host", host), ("x-forwarded-proto", scheme)]));
            assert_eq!(found, line, "{host} from {remote} by {scheme}");
        }
        let secret = Ends { is_secret: true, ..ends("192.0.2.9", "10.0.0.7") };
        assert_eq!(door.line(&secret, &headers(&[("host", "data.example.org")])), Line::Secret);
    }

    #[test]
    fn only_known_proxies_are_believed() {
        let door = Door::new(&[], &["10.0.0.0/8".into(), "fd00::1".into()]).expect("a door");
        let said = |hops: &str| headers(&[("x-forwarded-for", hops)]);
        let table = [
            ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
            ("10.1.2.3", "198.51.100.7", "198.51.100.7"),
            ("::ffff:10.1.2.3", "198.51.100.7", "198.51.100.7"),
            ("10.1.2.3", "1.1.1.1, 198.51.100.7, 10.9.9.9", "198.51.100.7"),
            ("10.1.2.3", "nonsense", "10.1.2.3"),
            ("fd00::1", "2001:db8::5", "2001:db8::5"),
            ("fd00::2", "2001:db8::5", "fd00::2"),
        ];
        for (remote, hops, origin) in table {
            assert_eq!(door.origin(&ends(remote, "10.0.0.1"), &said(hops)).to_string(), origin, "{remote}: {hops}");
        }
        for wrong in ["10.0.0.0/33", "proxy", "10.0.0.0/x", ""] {
            assert!(Door::new(&[], &[wrong.into()]).is_err(), "{wrong}");
        }
        assert!(Door::new(&[], &["0.0.0.0/0".into()]).expect("all").is_trusted_proxy("203.0.113.9".parse().expect("an address")));
    }
}

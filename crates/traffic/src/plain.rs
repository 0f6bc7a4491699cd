//! A socket that says exactly what it is told to, for what no good client would say.
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// A test that waits longer than this has failed.
const TOO_LONG: Duration = Duration::from_secs(30);

/// An open connection to a server.
pub struct Plain {
    stream: TcpStream,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Came {
    /// The status.
    pub status: u16,
    /// The head, as text.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Came {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }
    /// The code of an error.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_else(|| panic!("an error has a code: {self:?}")).to_string()
    }
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Plain {
    /// Connects to a server.
    pub fn to(server: SocketAddr) -> Plain {
        let stream = TcpStream::connect(server).expect("the server listens");
        stream.set_read_timeout(Some(TOO_LONG)).expect("a deadline");
        stream.set_write_timeout(Some(TOO_LONG)).expect("a deadline");
        Plain { stream }
    }
    /// Connects from another address of the loopback network, as if it were another machine.
    pub fn from(address: IpAddr, server: SocketAddr) -> Plain {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::new(address, 0).into()).expect("a loopback address");
        socket.connect(&server.into()).expect("the server listens");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(TOO_LONG)).expect("a deadline");
        Plain { stream }
    }
    /// Sends bytes; the other side may have closed.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }
    /// The next answer; none where the connection is closed instead.
    pub fn answer(&mut self) -> Option<Came> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match self.stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => panic!("nothing comes"),
                _ => return None,
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut came = Came { status, head, body: Vec::new() };
        let length = came.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        came.body = vec![0; length];
        self.stream.read_exact(&mut came.body).ok()?;
        Some(came)
    }
    /// True once that text has come, whatever came before; false where the other side closes first.
    pub fn reads_until(&mut self, text: &str) -> bool {
        let (mut read, mut byte) = (Vec::new(), [0]);
        while !read.ends_with(text.as_bytes()) {
            match self.stream.read(&mut byte) {
                Ok(1) => read.push(byte[0]),
                _ => return false,
            }
        }
        true
    }
    /// True once the other side has closed, whatever it sent before.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(e) => !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        }
    }
}

/// Asks once on a connection of its own.
pub fn ask(server: SocketAddr, request: &[u8]) -> Option<Came> {
    let mut line = Plain::to(server);
    // What refuses early may close early.
    let _ = line.send(request);
    line.answer()
}

//! One who follows a stream of a server's, piece by piece as it comes.
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A test that waits longer than this has failed.
const TOO_LONG: Duration = Duration::from_secs(30);

/// An open stream.
pub struct Following {
    stream: BufReader<TcpStream>,
    /// The status of the answer.
    pub status: u16,
    /// The answer's head.
    pub head: String,
    /// What is left of the chunk that is being read.
    left: usize,
    line: Vec<u8>,
}

impl Following {
    /// Asks for a stream.
    pub fn begin(server: SocketAddr, path: &str, headers: &str) -> Following {
        let mut stream = TcpStream::connect(server).expect("the server listens");
        stream.set_read_timeout(Some(TOO_LONG)).expect("a deadline");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").expect("it is sent");
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).expect("a head") > 0, "the line is closed");
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Following { stream, status, head, left: 0, line: Vec::new() }
    }
    /// The next line; none where the stream has ended, in order or not.
    pub fn line(&mut self) -> Option<String> {
        while !self.line.ends_with(b"\n") {
            if self.left == 0 && !self.chunk()? {
                return None;
            }
            let mut byte = [0];
            self.stream.read_exact(&mut byte).ok()?;
            self.line.extend(byte);
            self.left -= 1;
            if self.left == 0 {
                self.stream.read_line(&mut String::new()).ok()?;
            }
        }
        let line = std::mem::take(&mut self.line);
        Some(String::from_utf8_lossy(&line).trim_end_matches('\n').to_string())
    }
    /// The next line that is not empty and no comment.
    pub fn said(&mut self) -> Option<String> {
        loop {
            let line = self.line()?;
            if !line.is_empty() && !line.starts_with(':') {
                return Some(line);
            }
        }
    }
    /// The next server-sent event that holds data: its id and its data.
    pub fn event(&mut self) -> Option<(String, String)> {
        let mut id = String::new();
        loop {
            let line = self.said()?;
            if let Some(new) = line.strip_prefix("id: ") {
                id = new.to_string();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((id, data.to_string()));
            }
        }
    }

    fn chunk(&mut self) -> Option<bool> {
        let mut size = String::new();
        let read: io::Result<usize> = self.stream.read_line(&mut size);
        match read {
            Ok(0) => return None,
            Ok(_) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => panic!("nothing comes"),
            Err(_) => return None,
        }
        self.left = usize::from_str_radix(size.trim(), 16).expect("a chunk");
        Some(self.left > 0)
    }
}

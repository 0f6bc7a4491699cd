//! The rest of the world, as the browser sees it: a proxy that notes what was asked and answers nothing.
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Whom the browser asks by itself, whatever page it shows.
const MAKERS: &[&str] = &["google.com", "googleapis.com", "gstatic.com"];

/// A proxy to nowhere.
pub struct Outside {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Outside {
    /// Listens on a free port, as long as the process lives.
    pub fn listen() -> Outside {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let noted = noted.clone();
                std::thread::spawn(move || {
                    let mut line = String::new();
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                    if BufReader::new(&stream).read_line(&mut line).is_ok_and(|read| read > 0) {
                        noted.lock().expect("nobody panics with it").push(line.trim_end().to_string());
                    }
                    let _ = (&stream).write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                });
            }
        });
        Outside { port, asked }
    }
    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
    /// The first line of each request, but for what the browser asks its makers.
    pub fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("nobody panics with it");
        asked.iter().filter(|line| !is_own_talk(line)).cloned().collect()
    }
}

fn is_own_talk(line: &str) -> bool {
    let asked = line.split(' ').nth(1).unwrap_or_default();
    let host = asked.split("://").last().unwrap_or_default().split(['/', ':', '?']).next().unwrap_or_default();
    MAKERS.iter().any(|maker| host == *maker || host.strip_suffix(maker).is_some_and(|rest| rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::is_own_talk;

    #[test]
    fn only_the_makers_are_left_out() {
        assert!(is_own_talk("CONNECT accounts.google.com:443 HTTP/1.1"));
        assert!(is_own_talk("GET http://clients2.google.com/time/1/current?x HTTP/1.1"));
        assert!(!is_own_talk("GET http://hostile.example/google.com HTTP/1.1"));
        assert!(!is_own_talk("CONNECT notgoogle.com:443 HTTP/1.1"));
    }
}

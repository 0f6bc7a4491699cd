//! A proxy that passes lines on to one server, whatever it is called, and remembers what it heard.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

#[derive(Default)]
struct Memory {
    asked: Vec<String>,
    heard: Vec<u8>,
}

/// The proxy; dropped, it takes no more lines.
pub struct Forward {
    socket: SocketAddr,
    memory: Arc<Mutex<Memory>>,
    is_over: Arc<AtomicBool>,
}

impl Forward {
    /// Begins on a free port. With a name and password it passes on for nobody else.
    pub fn begin(server: SocketAddr, wanted: Option<&str>) -> Forward {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let forward = Forward { socket: listener.local_addr().expect("it is bound"), memory: Arc::default(), is_over: Arc::default() };
        let (memory, is_over, wanted) = (forward.memory.clone(), forward.is_over.clone(), wanted.map(str::to_string));
        thread::spawn(move || {
            for line in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (memory, wanted) = (memory.clone(), wanted.clone());
                thread::spawn(move || pass_on(line, server, &memory, wanted.as_deref()));
            }
        });
        forward
    }
    /// Where it listens.
    pub fn socket(&self) -> SocketAddr {
        self.socket
    }
    /// The first line of each request for it.
    pub fn asked(&self) -> Vec<String> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }
    /// Every byte that went through it towards the server.
    pub fn heard(&self) -> Vec<u8> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).heard.clone()
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes it, so that its port is free.
        let _ = TcpStream::connect(self.socket);
    }
}

/// `ann:p@ss`, as it is shown.
fn basic(shown: &str) -> bool {
    shown == "Proxy-Authorization: Basic YW5uOnBAc3M="
}

fn pass_on(mut line: TcpStream, server: SocketAddr, memory: &Mutex<Memory>, wanted: Option<&str>) -> Option<()> {
    let mut reader = BufReader::new(line.try_clone().ok()?);
    let mut head = Vec::new();
    loop {
        let mut text = String::new();
        reader.read_line(&mut text).ok()?;
        match text.trim_end() {
            "" => break,
            text => head.push(text.to_string()),
        }
    }
    memory.lock().unwrap_or_else(PoisonError::into_inner).asked.push(head.first()?.clone());
    if wanted.is_some() && !head.iter().any(|shown| basic(shown)) {
        return line.write_all(b"HTTP/1.1 407 Who asks?\r\nContent-Length: 0\r\n\r\n").ok();
    }
    let mut there = TcpStream::connect(server).ok()?;
    line.write_all(b"HTTP/1.1 200 Connected\r\nVia: a test\r\n\r\n").ok()?;
    let (mut from, mut back) = (there.try_clone().ok()?, line.try_clone().ok()?);
    thread::spawn(move || std::io::copy(&mut from, &mut back));
    let mut piece = [0; 16 * 1024];
    loop {
        let count = reader.read(&mut piece).ok().filter(|count| *count > 0)?;
        memory.lock().unwrap_or_else(PoisonError::into_inner).heard.extend(&piece[..count]);
        there.write_all(&piece[..count]).ok()?;
    }
}

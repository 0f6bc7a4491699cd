//! Something between a replica and its server that does to each request what a plan says.
//!
//! It understands just enough HTTP/1.1 to tell requests and answers apart: heads, and bodies of a known length.
#![expect(clippy::disallowed_methods, reason = "a late answer is late in real time")]
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What is done to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// It never arrives.
    Drop,
    /// It arrives, and its answer does not.
    Deafen,
    /// Its answer comes so much later.
    Delay(Duration),
    /// It arrives twice; the second answer is heard.
    Twice,
    /// It arrives, and again after the next one.
    Again,
    /// It is answered with what the request before was answered with.
    Stale,
    /// Its answer is cut after so many thousandths.
    Cut(u64),
    /// The request itself is cut after so many thousandths.
    CutRequest(u64),
    /// It does not arrive, and is answered with this status and an error in JSON.
    Status(u16),
    /// It does not arrive, and is answered with a portal's page.
    Portal,
    /// It does not arrive, and is answered with an empty 200.
    Empty,
}

/// Every fault, each in one form or more.
pub const FAULTS: &[Fault] = &[
    Fault::Drop,
    Fault::Deafen,
    Fault::Delay(Duration::from_millis(400)),
    Fault::Twice,
    Fault::Again,
    Fault::Stale,
    Fault::Cut(0),
    Fault::Cut(300),
    Fault::Cut(999),
    Fault::CutRequest(500),
    Fault::Status(500),
    Fault::Status(413),
    Fault::Status(429),
    Fault::Status(503),
    Fault::Portal,
    Fault::Empty,
];

/// Says what is done to the request of that number, from 0.
pub type Plan = Arc<dyn Fn(u64) -> Fault + Send + Sync>;

struct Way {
    server: SocketAddr,
    plan: Mutex<Plan>,
    count: AtomicU64,
    bytes: AtomicU64,
    is_cut: AtomicBool,
}

/// A running proxy. Its threads end with the lines that they serve.
pub struct Proxy {
    address: SocketAddr,
    way: Arc<Way>,
}

/// A head with its body, as bytes.
#[derive(Clone, Default)]
struct Message {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Proxy {
    /// Stands before a server, and passes everything.
    pub fn before(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let plan: Plan = Arc::new(|_| Fault::Pass);
        let way =
            Way { server, plan: Mutex::new(plan), count: AtomicU64::new(0), bytes: AtomicU64::new(0), is_cut: AtomicBool::new(false) };
        let way = Arc::new(way);
        let shared = way.clone();
        thread::spawn(move || {
            for line in listener.incoming().flatten() {
                let way = shared.clone();
                // A line that breaks is what this is for.
                thread::spawn(move || way.serve(line));
            }
        });
        Proxy { address, way }
    }
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
    /// Does from now on what a plan says, and counts from 0 again.
    pub fn follow(&self, plan: impl Fn(u64) -> Fault + Send + Sync + 'static) {
        *self.way.plan.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
        self.way.count.store(0, Ordering::SeqCst);
        self.way.bytes.store(0, Ordering::SeqCst);
    }
    /// How many requests came since.
    pub fn count(&self) -> u64 {
        self.way.count.load(Ordering::SeqCst)
    }
    /// How many bytes of bodies went either way since.
    pub fn bytes(&self) -> u64 {
        self.way.bytes.load(Ordering::SeqCst)
    }
    /// Cuts the network, or mends it.
    pub fn cut(&self, is_cut: bool) {
        self.way.is_cut.store(is_cut, Ordering::SeqCst);
    }
}

impl Way {
    fn serve(&self, line: TcpStream) -> io::Result<()> {
        let mut asked = BufReader::new(line.try_clone()?);
        let (mut late, mut before) = (None::<Message>, Message::default());
        while let Some(request) = read(&mut asked)? {
            if self.is_cut.load(Ordering::SeqCst) {
                return line.shutdown(Shutdown::Both);
            }
            let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let fault = plan(self.count.fetch_add(1, Ordering::SeqCst));
            let Some(answer) = self.suffer(fault, &request, &before)? else { return line.shutdown(Shutdown::Both) };
            let earlier = std::mem::replace(&mut late, (fault == Fault::Again).then_some(request));
            if let Some(earlier) = earlier {
                self.ask(&earlier)?;
            }
            self.bytes.fetch_add(answer.body.len() as u64, Ordering::SeqCst);
            send(&line, &answer, if let Fault::Cut(thousandths) = fault { Some(thousandths) } else { None })?;
            if matches!(fault, Fault::Cut(_)) {
                return line.shutdown(Shutdown::Both);
            }
            before = answer;
        }
        Ok(())
    }

    /// What a request comes back with; none where the line breaks.
    fn suffer(&self, fault: Fault, request: &Message, before: &Message) -> io::Result<Option<Message>> {
        self.bytes.fetch_add(request.body.len() as u64, Ordering::SeqCst);
        let json = |status: u16| {
            let body = format!("{{\"code\":\"unavailable\",\"message\":\"a proxy says {status}\"}}");
            Message::of(status, "application/json", &body)
        };
        Ok(match fault {
            Fault::Drop => None,
            Fault::Deafen => {
                self.ask(request)?;
                None
            }
            Fault::Delay(time) => {
                let answer = self.ask(request)?;
                thread::sleep(time);
                Some(answer)
            }
            Fault::Twice => {
                self.ask(request)?;
                Some(self.ask(request)?)
            }
            Fault::Stale if !before.head.is_empty() => Some(before.clone()),
            Fault::CutRequest(thousandths) => {
                let server = TcpStream::connect(self.server)?;
                send(&server, request, Some(thousandths))?;
                server.shutdown(Shutdown::Both)?;
                None
            }
            Fault::Status(status) => Some(json(status)),
            Fault::Portal => Some(Message::of(200, "text/html", "<html><body>Welcome to the hotel</body></html>")),
            Fault::Empty => Some(Message::of(200, "text/plain", "")),
            Fault::Pass | Fault::Again | Fault::Cut(_) | Fault::Stale => Some(self.ask(request)?),
        })
    }

    fn ask(&self, request: &Message) -> io::Result<Message> {
        let server = TcpStream::connect(self.server)?;
        send(&server, request, None)?;
        read(&mut BufReader::new(server))?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Message {
    fn of(status: u16, media: &str, body: &str) -> Message {
        let head = format!("HTTP/1.1 {status} Said\r\ncontent-type: {media}\r\ncontent-length: {}\r\n\r\n", body.len());
        Message { head: head.into_bytes(), body: body.as_bytes().to_vec() }
    }
}

fn read(from: &mut impl BufRead) -> io::Result<Option<Message>> {
    let mut message = Message::default();
    let mut length = 0;
    loop {
        let begin = message.head.len();
        if from.read_until(b'\n', &mut message.head)? == 0 {
            return if begin == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        let line = String::from_utf8_lossy(&message.head[begin..]).to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    message.body = vec![0; length];
    from.read_exact(&mut message.body)?;
    Ok(Some(message))
}

fn send(mut to: &TcpStream, message: &Message, thousandths: Option<u64>) -> io::Result<()> {
    let whole = [&message.head[..], &message.body].concat();
    let end = thousandths.map_or(whole.len(), |thousandths| whole.len() * thousandths as usize / 1000);
    to.write_all(&whole[..end])
}

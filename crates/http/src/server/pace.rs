//! How long a connection may keep the server waiting: for its first byte, a head, the next request, and for bodies to move.
//!
//! Invariant: only time in which the server waits for the other side counts, never time in which it works itself.
use super::Limits;
use super::counting::Entered;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Patience with a body: each byte that moves earns some, each moment of waiting costs some, and it never exceeds what it
/// was at the start. A body at the least rate goes on for ever, one below it ends.
#[derive(Debug)]
pub struct Allowance {
    most: Duration,
    left: Duration,
    each_byte: Duration,
    waits: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Allowance {
    /// The allowance of a body.
    pub fn new(limits: &Limits) -> Self {
        let most = Duration::from_millis(limits.behind_ms_max);
        Allowance {
            most,
            left: most,
            each_byte: Duration::from_secs(1) / u32::try_from(limits.rate_bytes_min.max(1)).unwrap_or(u32::MAX),
            waits: None,
        }
    }
    /// So many bytes moved.
    pub fn moved(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waits.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let earned = self.each_byte.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.left = self.most.min(self.left.saturating_add(earned));
    }
    /// The other side lets us wait; ready once it did for too long.
    pub fn poll_spent(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let left = self.left;
        let (_, sleep) = self.waits.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + left)))
        });
        sleep.as_mut().poll(context)
    }
}

/// What a body that moves too slowly ends with.
pub fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "too few bytes move")
}

/// Whether a connection has a request that is being answered.
#[derive(Clone, Debug, Default)]
pub struct Busy(Arc<Mutex<Business>>);

#[derive(Debug, Default)]
struct Business {
    is_busy: bool,
    /// Requests so far.
    begun: u64,
    reader: Option<Waker>,
}

impl Busy {
    /// Says so. Whoever reads from the connection hears that it waits for the next request from here on.
    pub fn set(&self, is_busy: bool) {
        let mut business = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        business.is_busy = is_busy;
        business.begun += u64::from(is_busy);
        if let Some(reader) = business.reader.take().filter(|_| !is_busy) {
            reader.wake();
        }
    }
    /// Whether it is busy, and how many requests it had so far.
    fn look(&self, context: &Context<'_>) -> (bool, u64) {
        let mut business = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if business.is_busy {
            business.reader = Some(context.waker().clone());
        }
        (business.is_busy, business.begun)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    FirstByte,
    Head,
    Request,
    Nothing,
}

/// A connection with its deadlines.
pub struct Paced<S> {
    stream: S,
    busy: Busy,
    begun: u64,
    awaits: Awaits,
    deadline: Pin<Box<Sleep>>,
    head: Duration,
    idle: Duration,
    writing: Allowance,
    _place: Entered,
}

impl<S> Paced<S> {
    /// A new connection, which holds its place as long as it lives. `busy` is told by whoever answers requests on it.
    pub fn new(stream: S, limits: &Limits, busy: Busy, place: Entered) -> Self {
        Paced {
            stream,
            busy,
            begun: 0,
            awaits: Awaits::FirstByte,
            deadline: Box::pin(sleep_until(Instant::now() + Duration::from_millis(limits.first_byte_ms_max))),
            head: Duration::from_millis(limits.head_ms_max),
            idle: Duration::from_millis(limits.idle_ms_max),
            writing: Allowance::new(limits),
            _place: place,
        }
    }
    fn begin(&mut self, awaits: Awaits, within: Duration) {
        self.awaits = awaits;
        self.deadline.as_mut().reset(Instant::now() + within);
    }
    fn looked(&mut self, context: &Context<'_>, came: usize) {
        let (is_busy, begun) = self.busy.look(context);
        if std::mem::replace(&mut self.begun, begun) != begun {
            self.awaits = Awaits::Nothing;
        }
        match (is_busy, self.awaits) {
            (true, _) => self.awaits = Awaits::Nothing,
            (false, Awaits::FirstByte | Awaits::Request | Awaits::Nothing) if came > 0 => self.begin(Awaits::Head, self.head),
            (false, Awaits::Nothing) => self.begin(Awaits::Request, self.idle),
            (false, _) => {}
        }
    }
    fn written(&mut self, context: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(bytes)) => {
                self.writing.moved(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Pending => {
                ready!(self.writing.poll_spent(context));
                Poll::Ready(Err(too_slow()))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        self.looked(context, into.filled().len() - before);
        if read.is_ready() || self.awaits == Awaits::Nothing {
            return read;
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no request came in time")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, written)
    }
    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(context, written)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context).map_ok(|()| 0);
        self.written(context, flushed).map_ok(drop)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(context).map_ok(|()| 0);
        self.written(context, closed).map_ok(drop)
    }
}

//! The thread of one primary: hears where its ledger ends, and finds it again when it was lost.
use super::{News, PrimaryNews};
use crate::wiring;
use mainstem::Result;
use mainstem::watch::{Patience, Trouble};
use mainstem::wiring::Around;
use mainstem_http::client;
use std::convert::Infallible;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long one wait for news lasts.
const WAIT_MS: u64 = 25_000;

/// The thread, from outside. It ends when this is dropped, at the latest after the wait that it is in.
pub struct Listener {
    _end: Sender<Infallible>,
}

impl Listener {
    /// Starts to listen.
    pub fn start(address: &str, around: Around, tell: Sender<News>) -> Listener {
        let (end, ended) = channel();
        let inside = Inside { address: address.to_owned(), around, tell, ended };
        std::thread::spawn(move || inside.run());
        Listener { _end: end }
    }
}

struct Inside {
    address: String,
    around: Around,
    tell: Sender<News>,
    ended: Receiver<Infallible>,
}

impl Inside {
    fn run(self) {
        let mut patience = wiring::patience(&self.address);
        loop {
            let Err(e) = self.listen(&mut patience);
            let trouble = Trouble::from(&e);
            let pause_ms = patience.after(&trouble, self.around.random() as u64);
            self.say(PrimaryNews::Unheard(trouble));
            if self.ended.recv_timeout(Duration::from_millis(pause_ms)) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    fn listen(&self, patience: &mut Patience) -> Result<Infallible> {
        let mut primary = wiring::open_primary(&self.address, self.around.clone(), client::Patience::brisk())?;
        let mut head = primary.describe()?.head;
        self.say(PrimaryNews::Heard(head));
        loop {
            let next = primary.wait(&head, WAIT_MS)?;
            // A primary that can be asked but not be waited for is not asked all the time.
            patience.reset();
            if next != head {
                head = next;
                self.say(PrimaryNews::Heard(head));
            }
        }
    }

    fn say(&self, news: PrimaryNews) {
        // Where nobody listens any more the next pause ends this thread.
        let _ = self.tell.send(News::Primary(self.address.clone(), news));
    }
}

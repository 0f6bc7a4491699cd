//! What the system tells of a folder: that a file in it was written, made, renamed or removed.
//!
//! Invariant: only the folder is named to the system, and no file in it is opened.
//! Where the system tells nothing (another system, or all its watches are taken), waiting is all that happens here.
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The time passed.
    Nothing,
    /// Something happened in the folder.
    Rumour,
    /// Somebody asks for attention.
    Call,
}

/// The system's news of one folder.
pub struct FolderEvents {
    news: Option<OwnedFd>,
}

impl FolderEvents {
    /// Asks the system to tell of a folder.
    pub fn of(folder: &Path) -> FolderEvents {
        FolderEvents { news: ask(folder) }
    }

    /// No news of any folder.
    pub fn none() -> FolderEvents {
        FolderEvents { news: None }
    }

    /// True where the system tells of what happens.
    pub fn is_told(&self) -> bool {
        self.news.is_some()
    }

    /// Waits for news or a call, or for a call alone. A call can be read from `call` when there is one.
    pub fn wait(&self, at_most: Duration, call: Option<BorrowedFd<'_>>, for_news: bool) -> Heard {
        let timeout = Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: at_most.subsec_nanos() as _ };
        let news = self.news.as_ref().filter(|_| for_news).map(AsFd::as_fd);
        let mut asked: Vec<PollFd<'_>> = [call, news].into_iter().flatten().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        // A signal ends the wait early, which is as good as a rumour.
        if poll(&mut asked, Some(&timeout)).is_err() {
            return Heard::Rumour;
        }
        let answered: Vec<bool> = asked.iter().map(|fd| !fd.revents().is_empty()).collect();
        match (call.is_some(), answered.as_slice()) {
            (true, [true, ..]) => Heard::Call,
            (_, answered) if answered.contains(&true) => Heard::Rumour,
            _ => Heard::Nothing,
        }
    }

    /// Takes all news that are there. True where any is about a file whose name begins so.
    pub fn take(&self, name: &OsStr) -> bool {
        self.news.as_ref().is_some_and(|news| take(news, name))
    }
}

#[cfg(target_os = "linux")]
fn ask(folder: &Path) -> Option<OwnedFd> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    let news = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
    let what = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
    add_watch(&news, folder, what | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF | WatchFlags::ONLYDIR).ok()?;
    Some(news)
}

#[cfg(target_os = "linux")]
fn take(news: &OwnedFd, name: &OsStr) -> bool {
    use rustix::fs::inotify::Reader;
    use std::mem::MaybeUninit;
    use std::os::unix::ffi::OsStrExt;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(news, &mut buffer);
    let mut is_about = false;
    while let Ok(event) = reader.next() {
        // News without a name are about the folder itself, or say that some were lost.
        is_about |= event.file_name().is_none_or(|file| file.to_bytes().starts_with(name.as_bytes()));
    }
    is_about
}

#[cfg(not(target_os = "linux"))]
fn ask(_folder: &Path) -> Option<OwnedFd> {
    None
}

#[cfg(not(target_os = "linux"))]
fn take(_news: &OwnedFd, _name: &OsStr) -> bool {
    true
}

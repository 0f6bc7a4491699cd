//! Where an event is in the feed of a dataset, written `12.34@9f3a01bc`.
//!
//! Invariant: offsets of one epoch are in the order of their events.
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A place after an event, or after a whole version.
///
/// | written | after |
/// |---|---|
/// | `0` | nothing: the feed begins |
/// | `12` | all of version 12 |
/// | `12.34` | the 34th event of version 12, counted from 1 |
/// | `12.3.34` | the 34th of its page 3, counted from 0; large versions have more pages than one |
///
/// `@` and eight digits after it name the dataset's epoch; without them whatever epoch there is is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset {
    /// The version.
    pub version: u64,
    /// The page in it; [`u64::MAX`] after all of them.
    pub page: u64,
    /// Which event of the page, from 1; zero before the first.
    pub place: u64,
    /// The first bits of the epoch's name.
    pub epoch: Option<u32>,
}

impl Offset {
    /// Before everything.
    pub const START: Offset = Offset::after(0);

    /// After all of a version.
    pub const fn after(version: u64) -> Offset {
        Offset { version, page: u64::MAX, place: u64::MAX, epoch: None }
    }
    /// What names an epoch in an offset.
    pub fn mark(epoch: u128) -> u32 {
        (epoch >> 96) as u32
    }
    /// The same place, of that epoch.
    pub fn in_epoch(self, mark: u32) -> Offset {
        Offset { epoch: Some(mark), ..self }
    }
    /// After all of its version.
    pub fn whole(self) -> Offset {
        Offset { epoch: self.epoch, ..Offset::after(self.version) }
    }
    /// True where all of the version comes before.
    pub fn is_whole(&self) -> bool {
        self.page == u64::MAX
    }
    /// True where it is not after that version.
    pub fn is_within(&self, version: u64) -> bool {
        self.version <= version
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_whole(), self.page) {
            (true, _) => write!(f, "{}", self.version)?,
            (false, 0) => write!(f, "{}.{}", self.version, self.place)?,
            (false, page) => write!(f, "{}.{page}.{}", self.version, self.place)?,
        }
        self.epoch.map_or(Ok(()), |epoch| write!(f, "@{epoch:08x}"))
    }
}

impl FromStr for Offset {
    type Err = Error;

    fn from_str(typed: &str) -> Result<Offset> {
        let wrong = || Error::invalid(format!("{} is no offset", typed.escape_debug())).hint("such as 0, 12 or 12.34");
        let (numbers, epoch) = match typed.split_once('@') {
            Some((numbers, mark)) if mark.len() == 8 && mark.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                (numbers, Some(u32::from_str_radix(mark, 16).map_err(|_| wrong())?))
            }
            Some(_) => return Err(wrong()),
            None => (typed, None),
        };
        let number = |part: &str| {
            let is_plain = part.bytes().all(|digit| digit.is_ascii_digit());
            part.parse::<u64>().ok().filter(|number| is_plain && *number < u64::MAX).ok_or_else(wrong)
        };
        let parts = numbers.split('.').map(number).collect::<Result<Vec<u64>>>()?;
        match parts[..] {
            [version] => Ok(Offset { epoch, ..Offset::after(version) }),
            [version, place] => Ok(Offset { version, page: 0, place, epoch }),
            [version, page, place] => Ok(Offset { version, page, place, epoch }),
            _ => Err(wrong()),
        }
    }
}

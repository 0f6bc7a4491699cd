//! Exit codes: the one place where an outcome becomes the number that scripts see.
//!
//! Invariant: a number, once released, keeps its meaning.
use mainstem_core::ErrorKind;

/// How a command ended, other than by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: it did what was asked.
    Done,
    /// 1: it ran, and what it looked at is not in order (`verify`, `doctor`).
    Found,
    /// 5: it ran, and conflicts are open (`sync`).
    ConflictsOpen,
}

impl Exit {
    /// The number for the operating system.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Found => 1,
            Exit::ConflictsOpen => 5,
        }
    }
}

/// The number for an error of that kind. Usage errors found by the argument parser are 2 as well.
pub fn of_error(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Invalid => 2,
        ErrorKind::Denied => 3,
        ErrorKind::NotFound => 4,
        ErrorKind::Conflict => 5,
        ErrorKind::Unavailable => 6,
        ErrorKind::Corrupt => 7,
        ErrorKind::Internal => 70,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_the_documented_number() {
        let numbers = [
            (ErrorKind::Invalid, 2),
            (ErrorKind::Denied, 3),
            (ErrorKind::NotFound, 4),
            (ErrorKind::Conflict, 5),
            (ErrorKind::Unavailable, 6),
            (ErrorKind::Corrupt, 7),
            (ErrorKind::Internal, 70),
        ];
        for (kind, number) in numbers {
            assert_eq!(of_error(kind), number, "{kind:?}");
        }
        assert_eq!([Exit::Done, Exit::Found, Exit::ConflictsOpen].map(Exit::code), [0, 1, 5]);
    }
}

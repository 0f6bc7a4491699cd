//! A wire on which one push or pull goes wrong: its request or its answer is lost, or it arrives twice.
use crate::tape::Loss;
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use mainstem_testkit::between::{Moment, Turn};

/// Which call goes wrong.
pub struct Wire {
    /// Its number, from zero.
    pub at: usize,
    /// How.
    pub loss: Loss,
    /// Calls made so far.
    pub calls: usize,
}

impl Wire {
    /// What becomes of a call.
    pub fn meddle(&mut self, moment: Moment) -> Result<Turn> {
        let lost = || Err(Error::new(ErrorKind::Unavailable, "wire", "the wire was cut"));
        match (moment, self.loss) {
            (Moment::Before("push" | "pull"), loss) => {
                let is_wrong = self.calls == self.at;
                self.calls += 1;
                match loss {
                    Loss::Request if is_wrong => lost(),
                    Loss::Double if is_wrong => Ok(Turn::Twice),
                    _ => Ok(Turn::Once),
                }
            }
            (Moment::After("push" | "pull"), Loss::Answer) if self.calls == self.at + 1 => lost(),
            _ => Ok(Turn::Once),
        }
    }
}

//! The states that a recording leaves when it is cut: every prefix, and of each what a power cut may take from it.
use mainstem_disk::{Act, Fate, Image, Operation, unsynced};
use std::fmt;

/// What is lost of the operations that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: the process ended.
    None,
    /// One operation.
    One(usize),
    /// Sectors of one write.
    Torn(usize, u64),
    /// All.
    All,
    /// Each by a die: nothing of it, all of it, or some of its sectors.
    Dice(u64),
}

/// A cut: so many operations happened, and something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// How many operations happened.
    pub end: usize,
    /// What of them was lost.
    pub loss: Loss,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.loss {
            Loss::None => write!(f, "after {} operations", self.end),
            Loss::One(at) => write!(f, "after {} operations, operation {} lost", self.end, at + 1),
            Loss::Torn(at, kept) => write!(f, "after {} operations, operation {} torn to sectors {kept:x}", self.end, at + 1),
            Loss::All => write!(f, "after {} operations, all lost that was not synced", self.end),
            Loss::Dice(seed) => write!(f, "after {} operations, lost by dice {seed}", self.end),
        }
    }
}

/// Sectors that are kept of a torn write: every other one, and the first alone.
const TORN: [u64; 2] = [0x5555_5555_5555_5555, 1];

/// How often dice are thrown over what was not synced at each operation.
const DICE: u64 = 3;

/// What a die says of an operation.
fn thrown(seed: u64, at: usize) -> Fate {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (at as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
    match state >> 60 {
        0..6 => Fate::Kept,
        6..12 => Fate::Lost,
        _ => Fate::Torn(state),
    }
}

/// All cuts of a recording.
pub fn cuts(operations: &[Operation]) -> Vec<Cut> {
    let mut all = Vec::new();
    for end in 0..=operations.len() {
        all.push(Cut { end, loss: Loss::None });
        let open = unsynced(&operations[..end]);
        for &at in &open {
            all.push(Cut { end, loss: Loss::One(at) });
            if matches!(&operations[at].act, Act::Write(_, bytes) if bytes.len() > 512) {
                all.extend(TORN.map(|kept| Cut { end, loss: Loss::Torn(at, kept) }));
            }
        }
        if open.len() > 1 {
            all.push(Cut { end, loss: Loss::All });
            all.extend((1..=DICE).map(|seed| Cut { end, loss: Loss::Dice(seed) }));
        }
    }
    all
}

impl Cut {
    /// The files after this cut.
    pub fn image(self, base: &Image, operations: &[Operation]) -> Image {
        let operations = &operations[..self.end];
        let open = if matches!(self.loss, Loss::All | Loss::Dice(_)) { unsynced(operations) } else { Vec::new() };
        base.after(operations, |at| match self.loss {
            Loss::One(lost) if lost == at => Fate::Lost,
            Loss::Torn(torn, kept) if torn == at => Fate::Torn(kept),
            Loss::All if open.binary_search(&at).is_ok() => Fate::Lost,
            Loss::Dice(seed) if open.binary_search(&at).is_ok() => thrown(seed, at),
            _ => Fate::Kept,
        })
    }
}

/// At most `count` of a list, evenly spread, the first and the last among them.
pub fn sample<T: Copy>(all: &[T], count: usize) -> Vec<T> {
    if all.len() <= count {
        return all.to_vec();
    }
    let last = all.len() - 1;
    (0..count).map(|nth| all[nth * last / (count - 1).max(1)]).collect()
}

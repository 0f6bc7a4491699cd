//! What a seed's run is made of: each seed takes some of the features, so that common ones do not hide rare ones
//! (Groce et al., "Swarm testing", 2012).
use crate::dice::Dice;
use crate::tables::{Spec, THEMES};
use crate::values::Lengths;

/// One seed's choice.
#[derive(Debug)]
pub struct Features {
    /// Tables.
    pub specs: Vec<&'static Spec>,
    /// Copies at first.
    pub copies: usize,
    /// Sessions of programs.
    pub sessions: usize,
    /// Statements of a session, about.
    pub statements: usize,
    /// Weights of the kinds of statements: insert, update, delete, swap of keys or unique values, no-op, failing.
    pub statement_weights: [usize; 6],
    /// Weights of the kinds of transactions: none, all, with savepoints, rolled back.
    pub transaction_weights: [usize; 4],
    /// Weights of what happens beside sessions, see [`crate::workload`].
    pub event_weights: Vec<usize>,
    /// Sessions of a thousand that go straight to the primary.
    pub direct: usize,
    /// Sessions of a thousand whose triggers are off.
    pub blind: usize,
    /// Statements of a thousand that change the schema.
    pub schema: usize,
    /// Sessions of a thousand that remake a table.
    pub remake: usize,
    /// True where columns are dropped and renamed.
    pub reshapes: bool,
    /// Values.
    pub lengths: Lengths,
    /// How many different row numbers programs use.
    pub numbers: usize,
    /// True where keys move.
    pub moves: bool,
    /// True where programs keep foreign keys.
    pub keeps_links: bool,
    /// True where the first file is UTF-16.
    pub is_wide_text: bool,
    /// True where clocks are wrong.
    pub has_clocks: bool,
    /// True where the disk fails.
    pub has_disk: bool,
    /// The most events between two sessions.
    pub gap: usize,
}

/// Kinds of events beside sessions.
pub const EVENTS: usize = 21;

impl Features {
    /// The choice of a seed.
    pub fn of(dice: &Dice) -> Features {
        let mut specs: Vec<&'static Spec> = dice.of(THEMES).iter().collect();
        if dice.one_in(4) {
            specs.extend(dice.of(THEMES).iter());
            specs.sort_by_key(|spec| spec.name);
            specs.dedup_by_key(|spec| spec.name);
        }
        let copies = *dice.of(&[2, 2, 2, 3, 3, 3, 4, 4, 5, 8]);
        // Half of the seeds are plain: what rare events do would hide what plain ones do wrong.
        let has_rare = dice.one_in(2);
        let mut event_weights = vec![0; EVENTS];
        for (at, weight) in event_weights.iter_mut().enumerate() {
            let common = [8, 10, 12, 26, 6, 4, 10, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let rare = [8, 10, 12, 26, 6, 4, 10, 6, 3, 2, 2, 2, 2, 2, 8, 8, 2, 4, 3, 0, 3];
            *weight = if has_rare { rare[at] } else { common[at] };
            if at != 3 && dice.one_in(4) {
                *weight = 0;
            }
        }
        let (moves, has_disk) = (dice.one_in(2), dice.one_in(4));
        event_weights[19] = if has_disk { 20 } else { 0 };
        let blind = if has_rare && dice.one_in(3) { 60 } else { 0 };
        Features {
            specs,
            copies,
            sessions: dice.between(20, 90),
            statements: *dice.of(&[1, 2, 8, 20, 40, 60]),
            statement_weights: [5, 6, 2, usize::from(moves), dice.below(2), dice.below(2)],
            transaction_weights: [dice.below(3), 3, dice.below(3), dice.below(2)],
            event_weights,
            direct: if dice.one_in(2) { dice.below(150) } else { 0 },
            blind,
            schema: if has_rare && dice.one_in(3) { 8 } else { 0 },
            // A table that a pull drops takes rows with it that nobody saw come.
            remake: if has_rare && blind == 0 && dice.one_in(3) { 60 } else { 0 },
            reshapes: dice.one_in(3),
            lengths: match dice.below(200) {
                0 => Lengths::Huge,
                1..=10 => Lengths::Long,
                _ => Lengths::Short,
            },
            numbers: *dice.of(&[4, 4, 8, 20]),
            moves,
            keeps_links: !dice.one_in(8),
            is_wide_text: dice.one_in(16),
            has_clocks: dice.one_in(3),
            has_disk,
            gap: dice.between(1, 6),
        }
    }
}

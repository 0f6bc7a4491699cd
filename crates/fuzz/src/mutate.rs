//! Seeded mutations that know what binary formats are made of: lengths, big numbers, repeated parts, pieces of other inputs.

/// Small seeded numbers (xorshift, Marsaglia 2003).
pub struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    /// The next number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % limit.max(1) as u64) as usize
    }
}

const BYTES: [u8; 12] = [0, 1, 2, 5, 9, 18, 23, 0x7f, 0x80, 0xff, b'T', b'{'];
const NUMBERS: [&[u8]; 8] = [
    &[0x80, 0x00],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0, 0, 0, 0, 0, 0, 0, 1],
    &[0x80, 0, 0, 0, 0, 0, 0, 0],
    &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
    &[0xc3, 0x28],
];
const LENGTH_MAX: usize = 1 << 14;

/// One input made of another: one to four small changes. `others` lend pieces.
pub fn mutate(dice: &mut Dice, input: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=dice.below(4) {
        change(dice, &mut bytes, others);
    }
    bytes.truncate(LENGTH_MAX);
    bytes
}

fn change(dice: &mut Dice, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    let at = dice.below(bytes.len() + 1);
    let end = (at + dice.below(16)).min(bytes.len());
    match dice.below(10) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => drop(bytes.splice(at..at, NUMBERS[dice.below(NUMBERS.len())].iter().copied())),
        3 => drop(bytes.splice(at..end, NUMBERS[dice.below(NUMBERS.len())].iter().copied())),
        4 => bytes.insert(at, BYTES[dice.below(BYTES.len())]),
        5 => {
            let from = dice.below(bytes.len() + 1);
            let piece = bytes[from..(from + dice.below(64)).min(bytes.len())].to_vec();
            bytes.splice(at..at, piece);
        }
        6 => {
            if let Some(other) = others.get(dice.below(others.len())) {
                let from = dice.below(other.len() + 1);
                let piece = other[from..(from + dice.below(64)).min(other.len())].to_vec();
                bytes.splice(at..end, piece);
            }
        }
        which => {
            let new = BYTES[dice.below(BYTES.len())];
            let bit = 1 << dice.below(8);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = match which {
                    7 => *byte ^ bit,
                    8 => byte.wrapping_add(if bit > 8 { 1 } else { 0xff }),
                    _ => new,
                };
            }
        }
    }
}

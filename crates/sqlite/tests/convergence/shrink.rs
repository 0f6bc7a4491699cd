//! Leaves out of a failing tape what it does not need to fail.
use crate::tape::{Step, Tape};

/// Runs at most while shrinking.
const TRIES_MAX: usize = 300;

/// The first words of a complaint: a smaller tape must fail for the same reason.
pub fn reason(why: &str) -> String {
    let parts = if why.starts_with("panic") { 4 } else { 1 };
    why.splitn(parts + 1, ':').take(parts).collect()
}

/// A smaller tape that fails alike, and its complaint.
pub fn shrink(tape: &Tape, why: String, complaint: impl Fn(&Tape) -> Option<String>) -> (Tape, String) {
    let (mut best, mut said, mut tries) = (tape.clone(), why, 0);
    let mut attempt = |candidate: Tape, best: &mut Tape, said: &mut String| -> bool {
        tries += 1;
        if tries > TRIES_MAX {
            return false;
        }
        match complaint(&candidate) {
            Some(again) if reason(&again) == reason(said) => {
                (*best, *said) = (candidate, again);
                true
            }
            _ => false,
        }
    };
    let mut size = best.steps.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < best.steps.len() {
            let mut candidate = best.clone();
            candidate.steps.drain(at..(at + size).min(best.steps.len()));
            if !attempt(candidate, &mut best, &mut said) {
                at += size;
            }
        }
        if size == 1 {
            break;
        }
        size /= 2;
    }
    for at in (0..best.schema.len()).rev() {
        let mut candidate = best.clone();
        if !candidate.schema.remove(at).starts_with("INSERT") {
            continue;
        }
        attempt(candidate, &mut best, &mut said);
    }
    for at in 0..best.policy.len() {
        let mut candidate = best.clone();
        candidate.policy.remove(best.policy.len().saturating_sub(1 + at).min(best.policy.len() - 1));
        attempt(candidate, &mut best, &mut said);
        if best.policy.is_empty() {
            break;
        }
    }
    for at in 0..best.steps.len() {
        let mut line = 0;
        while let Step::Sql(_, lines) | Step::Direct(lines) = &best.steps[at] {
            if line >= lines.len() || lines.len() == 1 {
                break;
            }
            let mut candidate = best.clone();
            if let Step::Sql(_, lines) | Step::Direct(lines) = &mut candidate.steps[at] {
                lines.remove(line);
            }
            if !attempt(candidate, &mut best, &mut said) {
                line += 1;
            }
        }
    }
    (best, said)
}

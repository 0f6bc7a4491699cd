//! Answers to pulls, kept a while: a thousand replicas that hear of a version ask the same question at once.
//!
//! Invariant: an answer is kept with where the ledger ended when it was made. That hash covers all events, which are all that a
//! pull of everything is made from, so that the same question at the same end has the same answer, of whichever dataset.
use bytes::Bytes;
use mainstem::ledger::Head;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Answers that are kept.
const ANSWERS_MAX: usize = 64;
/// Bytes of them all.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a question that is kept, and of an answer: a longer one is asked for by few.
const QUESTION_BYTES_MAX: u64 = 4 * 1024;
/// See above.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// Answers that were told lately.
#[derive(Default)]
pub struct Told(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// The latest last.
    answers: VecDeque<Answer>,
    bytes: usize,
}

struct Answer {
    head: Head,
    question: Vec<u8>,
    answer: Bytes,
}

impl Told {
    /// True where a question of so many bytes may have an answer here.
    pub fn is_for(question_bytes: u64) -> bool {
        question_bytes <= QUESTION_BYTES_MAX
    }
    /// True where an answer of so many bytes is kept.
    pub fn keeps(answer_bytes: u64) -> bool {
        answer_bytes <= ANSWER_BYTES_MAX
    }
    /// What was answered to that question while the ledger ended there.
    pub fn find(&self, head: &Head, question: &[u8]) -> Option<Bytes> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.answers.iter().rev().find(|one| one.head == *head && one.question == question);
        found.map(|one| one.answer.clone())
    }
    /// Keeps an answer, in place of the oldest.
    pub fn keep(&self, head: Head, question: Vec<u8>, answer: Bytes) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += answer.len();
        kept.answers.push_back(Answer { head, question, answer });
        while kept.answers.len() > ANSWERS_MAX || kept.bytes > BYTES_MAX {
            let Some(oldest) = kept.answers.pop_front() else { return };
            kept.bytes -= oldest.answer.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(events: u64, hash: u8) -> Head {
        Head { events, hash: [hash; 32], version: events }
    }

    #[test]
    fn an_answer_is_for_its_question_at_its_time() {
        let told = Told::default();
        told.keep(head(5, 1), b"all".to_vec(), Bytes::from_static(b"five"));
        assert_eq!(told.find(&head(5, 1), b"all"), Some(Bytes::from_static(b"five")));
        for (head, question) in [(head(6, 1), b"all"), (head(5, 2), b"all"), (head(5, 1), b"few")] {
            assert_eq!(told.find(&head, question), None);
        }
    }

    #[test]
    fn few_are_kept_and_the_latest() {
        let told = Told::default();
        for events in 0..1_000 {
            told.keep(head(events, 0), b"all".to_vec(), vec![0; 1024 * 1024].into());
        }
        let kept = told.0.lock().expect("sound");
        assert_eq!((kept.answers.len(), kept.bytes), (16, BYTES_MAX));
        drop(kept);
        assert!(told.find(&head(999, 0), b"all").is_some() && told.find(&head(900, 0), b"all").is_none());
    }
}

//! Answers that stay the same until a run ends or a file of the models changes: kept, so that many readers cost what one
//! does. A server owns its warehouse, so nothing else changes it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;

/// Answers at most, and bytes of one.
const MOST: usize = 2_000;
const LARGEST: usize = 256 * 1024;

/// What answers rest on: how many runs ended, and the models' files.
pub(super) type Version = (u64, u64);

/// What is kept.
#[derive(Default)]
pub(super) struct Answers(Mutex<(Version, HashMap<String, Bytes>)>);

impl Answers {
    /// The answer to this path and query, if it rests on this version.
    pub(super) fn get(&self, version: Version, asked: &str) -> Option<Bytes> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 != version {
            *kept = (version, HashMap::new());
        }
        kept.1.get(asked).cloned()
    }

    /// Keeps an answer, unless what it rests on has changed meanwhile.
    pub(super) fn keep(&self, version: Version, asked: &str, answer: &Bytes) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 != version || answer.len() > LARGEST {
            return;
        }
        if kept.1.len() >= MOST {
            kept.1.clear();
        }
        kept.1.insert(asked.to_owned(), answer.clone());
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::Answers;

    #[test]
    fn an_answer_lasts_as_long_as_what_it_rests_on() {
        let answers = Answers::default();
        assert_eq!(answers.get((1, 1), "/a"), None);
        answers.keep((1, 1), "/a", &Bytes::from_static(b"one"));
        assert_eq!(answers.get((1, 1), "/a"), Some(Bytes::from_static(b"one")));
        assert_eq!(answers.get((2, 1), "/a"), None, "a run ended");
        answers.keep((1, 1), "/a", &Bytes::from_static(b"old"));
        assert_eq!(answers.get((2, 1), "/a"), None, "what was asked before the run ended is not kept after it");
    }
}

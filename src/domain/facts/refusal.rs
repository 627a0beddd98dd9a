//! A polite no: what was wrong, and the next thing to do. For the person who asked, never for a
//! log.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why, in a few words: never content. What the desk itself acts on has a name.
//  Warning: this type is used in stored state (the journal), as the text that it displays as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Reason {
    /// The signature of the mail was used before: it is a copy.
    SentTwice,
    /// What somebody was asked about has changed since.
    Changed,
    /// Anything else; for people.
    Said(String),
}

impl Reason {
    const SENT_TWICE: &'static str = "sent twice";
    const CHANGED: &'static str = "what was to be confirmed has changed";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SentTwice => Self::SENT_TWICE,
            Self::Changed => Self::CHANGED,
            Self::Said(text) => text,
        })
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        match text.as_str() {
            Self::SENT_TWICE => Self::SentTwice,
            Self::CHANGED => Self::Changed,
            _ => Self::Said(text),
        }
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.to_string()
    }
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// In a few words, for a subject that leaves sealed, and for the journal: never content.
    pub reason: Reason,
    /// In a sentence.
    pub why: String,
    /// What to write or do instead; may be empty.
    pub next: String,
}

impl Refusal {
    /// A refusal with its next step.
    #[must_use]
    pub fn new(reason: impl Into<Reason>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self { reason: reason.into(), why: why.into(), next: next.into() }
    }
}

/// The known word that is nearest to what was written, if one is near.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    known
        .map(|other| (distance(&word, other), other))
        .filter(|(distance, other)| *distance <= (other.len() / 3).clamp(1, 2))
        .min()
        .map(|(_, other)| other)
}

/// How many letters must be put in, taken out, replaced or swapped to make one word the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().take(40).collect(), b.chars().take(40).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i.saturating_add(1)];
        for (j, y) in b.iter().enumerate() {
            let get = |row: &[usize], n: usize| row.get(n).copied().unwrap_or(usize::MAX / 2);
            let change = get(&row, j).saturating_add(usize::from(x != y));
            let drop = get(&row, j.saturating_add(1)).saturating_add(1);
            let insert = get(&next, j).saturating_add(1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            let swap = if swapped { get(&before, j - 1).saturating_add(1) } else { usize::MAX };
            next.push(change.min(drop).min(insert).min(swap));
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_slips_find_their_word_and_other_words_do_not() {
        let known = ["accept", "approve", "hold", "help", "disclose"];
        for (slip, word) in
            [("acept", "accept"), ("aprove", "approve"), ("hodl", "hold"), ("Disclsoe", "disclose")]
        {
            assert_eq!(nearest(slip, known.into_iter()), Some(word), "{slip}");
        }
        assert_eq!(nearest("etc", known.into_iter()), None);
        assert_eq!(nearest("publish", known.into_iter()), None);
    }
}

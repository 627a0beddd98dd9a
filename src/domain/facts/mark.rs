//! What somebody was told of, once: the marks by which the desk knows that it has said it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::facts::names::{Fingerprint, Moment};

/// What somebody was told of.
//  Warning: this type is used in stored state (the journal), as the text that it displays as.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Mark {
    /// A subkey ends at that moment, in so many days or less.
    Ends(String, Moment, i64),
    /// A subkey can be used from that moment on.
    Begins(String, Moment),
    /// Nothing can be sealed to this key.
    NoKey(Fingerprint),
    /// A review of a group was due at that moment; again, where it came late.
    Review(String, Moment, bool),
    /// Something that this version does not know: kept as it was written.
    Other(String),
}

impl Mark {
    fn known(text: &str) -> Option<Self> {
        let at = |text: &str| Moment::from_timestamp(text.parse().ok()?, 0);
        let (kind, rest) = text.split_once(':')?;
        let parts: Vec<&str> = rest.split(':').collect();
        match (kind, parts.as_slice()) {
            ("key", [subkey, end, days]) => {
                Some(Self::Ends((*subkey).to_owned(), at(end)?, days.parse().ok()?))
            }
            ("begins", [subkey, from]) => Some(Self::Begins((*subkey).to_owned(), at(from)?)),
            ("nokey", [key]) => Some(Self::NoKey(Fingerprint::parse(key)?)),
            ("review", [group, due, late]) => {
                Some(Self::Review((*group).to_owned(), at(due)?, late.parse().ok()?))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ends(subkey, end, days) => write!(f, "key:{subkey}:{}:{days}", end.timestamp()),
            Self::Begins(subkey, from) => write!(f, "begins:{subkey}:{}", from.timestamp()),
            Self::NoKey(key) => write!(f, "nokey:{key}"),
            Self::Review(group, due, late) => {
                write!(f, "review:{group}:{}:{late}", due.timestamp())
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl From<String> for Mark {
    fn from(text: String) -> Self {
        // What would be written in another way is not what was read.
        Self::known(&text).filter(|mark| mark.to_string() == text).unwrap_or(Self::Other(text))
    }
}

impl From<Mark> for String {
    fn from(mark: Mark) -> Self {
        mark.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts that journals hold: read as what they are, and written as they were.
    #[test]
    fn what_journals_hold_comes_back_as_it_was() {
        let key = "AB".repeat(20);
        for (text, known) in [
            ("key:ABCD:1772442000:7".to_owned(), true),
            ("begins:ABCD:1772442000".to_owned(), true),
            (format!("nokey:{key}"), true),
            ("review:private_distributors:1772442000:true".to_owned(), true),
            ("key:x:1:+7".to_owned(), false),
            ("begins:x".to_owned(), false),
            ("nokey:none".to_owned(), false),
            ("review:g:1:yes".to_owned(), false),
            ("of a later version: a:b".to_owned(), false),
            (String::new(), false),
        ] {
            let mark = Mark::from(text.clone());
            assert_eq!(matches!(mark, Mark::Other(_)), !known, "{text}");
            assert_eq!(String::from(mark), text);
        }
    }
}

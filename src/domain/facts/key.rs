//! Keys as the domain sees them: from when until when a mail can be sealed to one.
//!
//! The edge reads certificates and says what it found as [`KeyFacts`]; what follows from that is
//! decided here. Facts follow from the certificate's text alone, so they are no part of the
//! history.

use serde::{Deserialize, Serialize};

use crate::domain::facts::names::{Address, Fingerprint, Moment, Span, later};

/// A certificate that is pinned for somebody.
//  Warning: this type is used in stored state (the journal).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedKey {
    /// The fingerprint of its primary key.
    pub fingerprint: Fingerprint,
    /// The certificate, armored.
    pub certificate: String,
}

/// A key of a certificate that mails can be sealed to, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subkey {
    /// The last 16 digits of its fingerprint.
    pub id: String,
    /// From when until when it can be used; `None` is for ever. In order, and apart.
    pub spans: Vec<(Moment, Option<Moment>)>,
}

impl Subkey {
    /// Whether it can be used at a moment.
    #[must_use]
    pub fn is_usable(&self, at: Moment) -> bool {
        self.spans.iter().any(|(from, until)| *from <= at && until.is_none_or(|until| at < until))
    }

    /// When it can be used for the last time, if there is such a moment.
    #[must_use]
    pub fn end(&self) -> Option<Moment> {
        self.spans.last().and_then(|(_, until)| *until)
    }
}

/// What a certificate says, as far as mails can be sealed to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFacts {
    /// The keys of it that can be encrypted to, now or later.
    pub subkeys: Vec<Subkey>,
    /// The addresses in its user ids.
    pub addresses: Vec<Address>,
    /// The name in its first user id.
    pub name: String,
    /// Whether the whole of it is revoked.
    pub revoked: bool,
}

impl KeyFacts {
    /// Whether a mail can be sealed to it at a moment.
    #[must_use]
    pub fn is_usable(&self, at: Moment) -> bool {
        self.subkeys.iter().any(|subkey| subkey.is_usable(at))
    }

    /// Until when mails can be sealed to it without a gap, beginning at a moment; `None` is for
    /// ever, and the moment itself if it cannot be used then.
    #[must_use]
    pub fn usable_until(&self, from: Moment) -> Option<Moment> {
        let mut at = from;
        // Each round goes on to the end of a span, so it ends with the last of them.
        loop {
            let here = self.subkeys.iter().flat_map(|subkey| &subkey.spans);
            let here = here.filter(|(begin, end)| *begin <= at && end.is_none_or(|end| at < end));
            let ends: Vec<Option<Moment>> = here.map(|(_, end)| *end).collect();
            if ends.iter().any(Option::is_none) {
                return None;
            }
            match ends.into_iter().flatten().max() {
                Some(end) => at = end,
                None => return Some(at),
            }
        }
    }

    /// The next moment from one on at which a mail can be sealed to it.
    #[must_use]
    pub fn usable_from(&self, from: Moment) -> Option<Moment> {
        let spans = self.subkeys.iter().flat_map(|subkey| &subkey.spans);
        let ahead = spans.filter(|(_, end)| end.is_none_or(|end| from < end));
        ahead.map(|(begin, _)| (*begin).max(from)).min()
    }
}

/// So many days before a key can be used for the last time its owner is told; 0 is the moment itself.
pub const WARNINGS_DAYS: [i64; 6] = [90, 30, 14, 7, 1, 0];

/// The warnings that a key's end brings: moment, subkey, end, days before.
#[must_use]
pub fn warnings(facts: &KeyFacts) -> Vec<(Moment, &Subkey, Moment, i64)> {
    let ends = facts.subkeys.iter().filter_map(|subkey| Some((subkey, subkey.end()?)));
    ends.flat_map(|(subkey, end)| {
        WARNINGS_DAYS.map(|days| (later(end, Span::days(-days)), subkey, end, days))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        format!("2026-{text}T00:00:00Z").parse().unwrap()
    }

    #[test]
    fn a_second_subkey_takes_over_where_the_first_one_ends() {
        let subkey = |id: &str, from: &str, until: Option<&str>| Subkey {
            id: id.to_owned(),
            spans: vec![(at(from), until.map(at))],
        };
        let mut facts = KeyFacts {
            subkeys: vec![subkey("A", "01-01", Some("03-01")), subkey("B", "02-01", Some("04-01"))],
            ..KeyFacts::default()
        };
        assert_eq!(facts.usable_until(at("01-05")), Some(at("04-01")));
        assert_eq!(facts.usable_until(at("05-01")), Some(at("05-01")));
        assert!(facts.is_usable(at("03-31")) && !facts.is_usable(at("04-01")));
        facts.subkeys.push(subkey("C", "06-01", None));
        assert_eq!(facts.usable_until(at("01-05")), Some(at("04-01")), "there is a gap");
        assert_eq!(facts.usable_from(at("05-01")), Some(at("06-01")));
        assert_eq!(facts.usable_until(at("06-01")), None);
        let first: Vec<i64> = warnings(&facts).iter().take(6).map(|(.., days)| *days).collect();
        assert_eq!(first, WARNINGS_DAYS);
    }
}

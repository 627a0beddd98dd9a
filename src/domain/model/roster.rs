//! Who is who: people, their pinned keys, their roles and groups.
//!
//! A person with a role is a maintainer; a person in a group is a member of an audience (a
//! distributor). Identity is the fingerprint, never an address, a user id or a display name.

use std::collections::{BTreeMap, BTreeSet};

use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::domain::facts::key::PinnedKey;
use crate::domain::facts::names::{Address, Digest, Fingerprint, Handle, PersonId, base32};

/// A person with a pinned OpenPGP certificate.
//  Warning: this type is used in stored state (the roster text that `Configured` names).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The id that commands and the journal use.
    pub id: PersonId,
    /// The name that mails use.
    pub name: String,
    /// Where their mail goes.
    pub address: Address,
    /// The fingerprint of the pinned certificate's primary key.
    pub fingerprint: Fingerprint,
    /// The pinned certificate, armored.
    pub certificate: String,
    /// Roles held, as playbooks name them; empty for members of groups only.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// Groups whose notices this person gets now. In a config: the groups that the journal is to
    /// take over at its first start with them.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// Whether mails to them are sealed in the newer form from the beginning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seal_newer: bool,
    /// Keys that count beside the first one while it takes their place.
    #[serde(skip)]
    pub further: Vec<PinnedKey>,
}

impl Person {
    /// Whether this person may read incidents and give commands at all.
    #[must_use]
    pub fn is_maintainer(&self) -> bool {
        !self.roles.is_empty()
    }

    /// The fingerprints of their keys, the one that mails are sealed to first.
    pub fn fingerprints(&self) -> impl Iterator<Item = &Fingerprint> {
        std::iter::once(&self.fingerprint).chain(self.further.iter().map(|key| &key.fingerprint))
    }
}

/// Everybody who is known by a key: by the config, or by the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// The people, by id.
    pub people: BTreeMap<PersonId, Person>,
    /// People as they are known by a key that is offered and not in force: they may answer for it,
    /// and nothing else.
    #[serde(skip)]
    pub pending_keys: BTreeMap<Fingerprint, Person>,
}

/// The role whose holders get the desk's own alarms.
pub const OPERATOR: &str = "operator";

impl Roster {
    /// The person with this id.
    #[must_use]
    pub fn person(&self, id: &PersonId) -> Option<&Person> {
        self.people.get(id)
    }

    /// The person for whom this fingerprint is pinned.
    #[must_use]
    pub fn by_fingerprint(&self, fingerprint: &Fingerprint) -> Option<&Person> {
        self.people.values().find(|person| person.fingerprints().any(|key| key == fingerprint))
    }

    /// The person whose mail goes to this address. Says where an answer may go, never who wrote.
    #[must_use]
    pub fn by_address(&self, address: &Address) -> Option<&Person> {
        self.people.values().find(|person| person.address.same_box(address))
    }

    /// The holders of a role, in the order of their ids.
    pub fn holders<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a Person> {
        self.people.values().filter(move |person| person.roles.contains(role))
    }

    /// The members of a group, in the order of their ids.
    pub fn members<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Person> {
        self.people.values().filter(move |person| person.groups.contains(group))
    }

    /// Those who get alarms: the operators, or where nobody has that role every maintainer.
    #[must_use]
    pub fn operators(&self) -> Vec<&Person> {
        let named: Vec<_> = self.holders(OPERATOR).collect();
        if named.is_empty() {
            self.people.values().filter(|p| p.is_maintainer()).collect()
        } else {
            named
        }
    }
}

/// Whom an incident's `Ref` is made out to.
#[derive(Debug, Clone, Copy)]
pub enum Party<'a> {
    /// A person of the roster.
    Person(&'a PersonId),
    /// The incident's reporter.
    Reporter,
}

type HmacSha256 = Hmac<Sha256>;

impl<'a> Party<'a> {
    fn bound_to(self, desk: &'a Address, handle: &'a Handle) -> [&'a [u8]; 4] {
        let (kind, name) = match self {
            Self::Person(id) => ("person", id.as_str()),
            Self::Reporter => ("reporter", ""),
        };
        [desk.as_str(), handle.as_str(), kind, name].map(str::as_bytes)
    }

    /// 80 bits for a person, whose signature is the proof; 130 for a reporter without a key, who
    /// proves with this and nothing else who they are.
    fn letters(self) -> usize {
        match self {
            Self::Person(_) => 16,
            Self::Reporter => 26,
        }
    }
}

/// The desk's key for references.
#[derive(Clone)]
pub struct RefKey(pub [u8; 32]);

impl RefKey {
    /// The token that binds a mail to desk, incident and party: so many bits of a MAC. For a person
    /// it is no authority by itself; it only says which incident a signed mail speaks about.
    #[must_use]
    pub fn token(&self, desk: &Address, handle: &Handle, party: Party<'_>) -> String {
        // RFC 2104, 2: a key that is shorter than a block is filled up with zeros.
        let mut block = Key::<HmacSha256>::default();
        block.iter_mut().zip(self.0).for_each(|(to, byte)| *to = byte);
        let mut mac = HmacSha256::new(&block);
        for part in party.bound_to(desk, handle) {
            // Length-prefixed, so that no two lists of parts are the same bytes.
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        base32(mac.finalize().as_bytes(), party.letters())
    }

    /// The tokens that count for this party: as it is made now, and as it was made before it was an
    /// HMAC, since references live as long as threads do.
    #[must_use]
    pub fn tokens(&self, desk: &Address, handle: &Handle, party: Party<'_>) -> [String; 2] {
        [self.token(desk, handle, party), self.old_token(desk, handle, party)]
    }

    /// Whether a token is that of this party.
    #[must_use]
    pub fn is_token(&self, desk: &Address, handle: &Handle, party: Party<'_>, given: &str) -> bool {
        self.tokens(desk, handle, party).iter().any(|token| token == given)
    }

    fn old_token(&self, desk: &Address, handle: &Handle, party: Party<'_>) -> String {
        let [desk, handle, kind, name] = party.bound_to(desk, handle);
        let inner = Digest::of_parts(&[&self.0, desk, handle, kind, name]);
        base32(&Digest::of_parts(&[&self.0, &inner.0]).0, party.letters())
    }
}

impl Drop for RefKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl std::fmt::Debug for RefKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefKey(..)")
    }
}

/// A reference as it stands in a mail, `Ref: HANDLE/TOKEN`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The incident it names.
    pub handle: Handle,
    /// The token, upper case.
    pub token: String,
}

/// What has the form of a reference in a text, in the order in which it stands there; whether it is one
/// that the desk has made is another question. Anybody can write such a line.
pub fn references_in(text: &str) -> impl Iterator<Item = Reference> {
    text.split("Ref:").skip(1).filter_map(|rest| {
        let word = rest.split_whitespace().next()?;
        let (handle, token) = word.split_once('/')?;
        let token = token.trim_end_matches(['.', ',', ';', ')', '>']).to_ascii_uppercase();
        let handle = Handle::parse(handle)?;
        matches!(token.len(), 16 | 26).then_some(Reference { handle, token })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::names::Fresh;

    #[test]
    fn a_reference_is_for_one_desk_one_incident_one_party() {
        let mut fresh = Fresh::new([1; 32]);
        let (a, b) = (Handle::draw("AB", 2026, &mut fresh), Handle::draw("AB", 2026, &mut fresh));
        let desk = Address::parse("security@desk.test").unwrap();
        let other = Address::parse("security@other.test").unwrap();
        let mia = PersonId::parse("mia").unwrap();
        let key = RefKey([3; 32]);
        let token = key.token(&desk, &a, Party::Person(&mia));
        assert_eq!(token.len(), 16);
        let others = [
            key.token(&desk, &b, Party::Person(&mia)),
            key.token(&other, &a, Party::Person(&mia)),
            key.token(&desk, &a, Party::Reporter),
            RefKey([4; 32]).token(&desk, &a, Party::Person(&mia)),
        ];
        assert!(!others.contains(&token));
        // References of threads that began before are references still.
        let old = key.old_token(&desk, &a, Party::Person(&mia));
        assert_eq!(old, "K5NRHK1RNN6X2WEE");
        for (token, fits) in [(&token, true), (&old, true), (&others[0], false)] {
            assert_eq!(key.is_token(&desk, &a, Party::Person(&mia), token), fits);
            assert!(!key.is_token(&desk, &a, Party::Reporter, token));
        }
        let text = format!("hi\n> Ref: {a}/{token}\nRef: {a}/{token}. Ref: nonsense");
        let found = references_in(&text);
        let found: BTreeSet<Reference> = found.collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [Reference { handle: a, token }]);
    }
}

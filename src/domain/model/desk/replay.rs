//! What was seen before, so that it is done once: signatures, ciphertexts, and what the store was put
//! back from.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::facts::event::Event;
use crate::domain::facts::names::{Address, Digest, Fingerprint, Handle, Moment, PersonId, Span};
use crate::domain::facts::record::Record;
use crate::domain::facts::refusal::Reason;

/// The name that the copy of a known ciphertext was acknowledged under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The incident that the ciphertext opened; none where the mail turned out to be about none.
    pub incident: Option<Handle>,
    /// Where the acknowledgement went.
    pub address: Option<Address>,
    /// What it is written to in; none for English.
    pub language: Option<String>,
    /// When somebody last asked under that name where it stands.
    pub asked: Option<Moment>,
}

/// What was seen before.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    used_signatures: BTreeSet<(Fingerprint, Digest)>,
    sessions: BTreeMap<Digest, Handle>,
    aliases: BTreeMap<Handle, Alias>,
    /// The names of the copies of each incident's report.
    copies: BTreeMap<Handle, Vec<Handle>>,
    told: BTreeMap<PersonId, Moment>,
    restored: Option<Moment>,
    /// The record by which each history began that this store is of: the first, and each time that it
    /// was put back.
    histories: Vec<Digest>,
    /// From when to when nobody was here, the newest last.
    outages: Vec<(Moment, Moment)>,
}

/// So many are remembered.
const OUTAGES_MAX: usize = 1_000;

impl Replay {
    /// Whether this signature was used before.
    #[must_use]
    pub fn is_used(&self, fingerprint: &Fingerprint, hash: Digest) -> bool {
        self.used_signatures.contains(&(fingerprint.clone(), hash))
    }

    /// The incident that a ciphertext with this session key opened.
    #[must_use]
    pub fn session(&self, session: Digest) -> Option<&Handle> {
        self.sessions.get(&session)
    }

    /// The name that a copy was acknowledged under.
    #[must_use]
    pub fn alias(&self, handle: &Handle) -> Option<&Alias> {
        self.aliases.get(handle)
    }

    /// The names under which copies of an incident's report were acknowledged, and where.
    pub fn aliases_of(&self, incident: &Handle) -> impl Iterator<Item = (&Handle, &Alias)> {
        let named = self.copies.get(incident).into_iter().flatten();
        let known = named.filter_map(|name| Some((name, self.aliases.get(name)?)));
        known.filter(|(_, alias)| alias.address.is_some())
    }

    /// When a person was last told that a copy of a mail of theirs came in.
    #[must_use]
    pub fn told(&self, person: &PersonId) -> Option<Moment> {
        self.told.get(person).copied()
    }

    /// When the store was last put back from a backup.
    #[must_use]
    pub fn restored(&self) -> Option<Moment> {
        self.restored
    }

    /// The record by which the present history began, and those of the ones before it.
    #[must_use]
    pub fn histories(&self) -> (Option<Digest>, &[Digest]) {
        (self.histories.last().copied(), &self.histories)
    }

    /// How long the desk was down between two moments.
    #[must_use]
    pub fn was_down(&self, from: Moment, to: Moment) -> Span {
        let within = |(begin, end): &(Moment, Moment)| {
            (*end).min(to).signed_duration_since((*begin).max(from)).max(Span::zero())
        };
        // Old ones are long before anything that counts.
        self.outages.iter().rev().take(OUTAGES_MAX).map(within).sum()
    }

    pub(super) fn apply(&mut self, record: &Record, hash: Digest) {
        if let Event::Started { down_since } = &record.event {
            self.outages.push((*down_since, record.at));
            let more = self.outages.len().saturating_sub(OUTAGES_MAX);
            self.outages.drain(..more);
        }
        if let (Event::Refused { why: Reason::SentTwice, .. }, Some(person)) =
            (&record.event, &record.by)
        {
            self.told.insert(person.clone(), record.at);
        }
        if let Event::SignatureSpent { fingerprint, hash } = &record.event {
            self.used_signatures.insert((fingerprint.clone(), *hash));
        }
        if let Event::Restored = &record.event {
            self.restored = Some(record.at);
            self.histories.push(hash);
        }
        if let Event::CopySeen { alias, address, language, .. } = &record.event {
            let (incident, address) = (record.incident.clone(), address.clone());
            let language = language.clone();
            let known = Alias { incident, address, language, asked: None };
            self.aliases.insert(alias.clone(), known);
        }
        if let Event::StatusAsked { alias: Some(alias) } = &record.event
            && let Some(alias) = self.aliases.get_mut(alias)
        {
            alias.asked = Some(record.at);
        }
        if let (Some(handle), event) = (&record.incident, &record.event) {
            self.apply_about(handle, event);
        }
    }

    fn apply_about(&mut self, handle: &Handle, event: &Event) {
        if let Event::Opened(opening) = event
            && let Some(session) = opening.session
        {
            self.sessions.entry(session).or_insert_with(|| handle.clone());
        }
        if let Event::Joined { letter } = event
            && let Some(session) = letter.session
        {
            self.sessions.entry(session).or_insert_with(|| handle.clone());
        }
        if let Event::CopySeen { alias, .. } = event {
            self.copies.entry(handle.clone()).or_default().push(alias.clone());
        }
    }
}

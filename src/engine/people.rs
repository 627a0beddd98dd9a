//! People and their keys: what the operator says of members, and what certificates say.

use std::collections::BTreeSet;

use crate::domain::decide::membership;
use crate::domain::facts::member_fact::MemberFact;
use crate::domain::facts::names::{Digest, Fingerprint, PersonId};
use crate::domain::model::roster::Person;
use crate::engine::commit::Cause;
use crate::error::Fault;
use crate::ports::vault::Pin;

use super::{Engine, lock};

/// Of so many strangers certificates are kept in memory.
const STRANGERS_MAX: usize = 2_000;

impl Engine {
    /// Takes members over whom the config names and the journal has never heard of: from then on the
    /// journal alone says who is in a group.
    pub(super) fn take_over(&mut self) -> Result<(), Fault> {
        let now = self.now();
        let people: Vec<_> = self.desk.not_taken_over().into_iter().cloned().collect();
        if people.is_empty() {
            return Ok(());
        }
        let decision =
            membership::taken_over(&self.desk, &people, "config", now, self.entropy.fresh()?);
        self.carry_out(decision, Cause::Time)
    }

    /// Tells everybody if the desk has another key than when it last ran.
    pub(super) fn tell_new_key(&mut self, before: Option<Fingerprint>) -> Result<(), Fault> {
        let Some(before) = before.filter(|key| *key != self.desk.settings.fingerprint) else {
            return Ok(());
        };
        let now = self.now();
        let decision = membership::new_desk_key(&self.desk, &before, now, self.entropy.fresh()?);
        self.carry_out(decision, Cause::Time)
    }

    /// Whoever had a role in the config and has none any more gets nothing as a member either, until
    /// two of the team let them in again: what the journal has of them may be long out of date.
    pub(super) fn rest_who_left(&mut self, staff_before: &[PersonId]) -> Result<(), Fault> {
        for id in self.desk.left_the_team(staff_before) {
            let reason = "they are not of the team any more, by the config".to_owned();
            self.order(&id, MemberFact::Suspended { reason })?;
        }
        Ok(())
    }

    /// Puts people in groups, on the operator's word: each as the file has them.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn import(&mut self, people: &[Person], source: &str) -> Result<(), Fault> {
        let now = self.now();
        let decision =
            membership::taken_over(&self.desk, people, source, now, self.entropy.fresh()?);
        self.carry_out(decision, Cause::Time)
    }

    /// Takes a fact about a member in, on the operator's word.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn order(&mut self, member: &PersonId, fact: MemberFact) -> Result<(), Fault> {
        let now = self.now();
        let decision = membership::ordered(&self.desk, member, fact, now, self.entropy.fresh()?);
        self.carry_out(decision, Cause::Time)
    }

    /// Reads the certificates of people that are new, or have a new text, and tells the domain what
    /// they say.
    pub(super) fn learn(&mut self) -> Result<(), Fault> {
        let version = self.desk.roster_version();
        if self.learned == Some(version) {
            return Ok(());
        }
        let roster = &self.desk.roster;
        let people = roster.people.values().chain(roster.pending_keys.values());
        let mut new = Vec::new();
        for person in people {
            let first = (&person.fingerprint, &person.certificate);
            let further = person.further.iter().map(|key| (&key.fingerprint, &key.certificate));
            for (fingerprint, text) in std::iter::once(first).chain(further) {
                // A revocation that has come in counts whatever the config's file says.
                let revocation = self.desk.revocation(fingerprint).unwrap_or("");
                let digest = Digest::of_parts(&[text.as_bytes(), revocation.as_bytes()]);
                if self.read.get(fingerprint) != Some(&digest) {
                    let (certificate, revocation) = (text.clone(), revocation.to_owned());
                    let pin = Pin { owner: person.id.to_string(), certificate, revocation };
                    new.push(((fingerprint.clone(), digest), pin));
                }
            }
        }
        let now = self.now();
        let (named, pins): (Vec<_>, Vec<_>) = new.into_iter().unzip();
        let read = self.vault.pin(&pins, now);
        for (((fingerprint, digest), pin), read) in named.into_iter().zip(pins).zip(read) {
            match read {
                Ok(facts) => self.desk.learn_key(&fingerprint, facts),
                // Nothing can be sealed to it, which is said when it is tried; the others are served.
                Err(why) => {
                    let id = pin.owner;
                    tracing::error!(
                        event = "key.unreadable",
                        id,
                        why,
                        "A certificate cannot be read."
                    )
                }
            }
            self.read.insert(fingerprint, digest);
        }
        let (own, facts) = self.vault.own(now);
        self.desk.learn_key(&own, facts);
        self.learned = Some(version);
        Ok(())
    }

    /// Forgets certificates that are pinned for nobody any more.
    pub(super) fn forget_keys(&mut self) {
        let roster = &self.desk.roster;
        let people = roster.people.values().chain(roster.pending_keys.values());
        let pinned: BTreeSet<_> = people.flat_map(|p| p.fingerprints().cloned()).collect();
        if self.read.len() > pinned.len() {
            self.vault.keep_pinned(&pinned);
            self.read.retain(|fingerprint, _| pinned.contains(fingerprint));
        }
    }

    /// Reads the certificates of reporters, before the first mail is opened and not at the start: a desk with
    /// thousands of reports is at its desk at once. Those of closed incidents are not read, and of the others as
    /// many as are kept in memory: what is read must not grow with what was.
    pub(super) fn meet_reporters(&mut self) -> Result<(), Fault> {
        if std::mem::replace(&mut self.has_met, true) {
            return Ok(());
        }
        let mut open: Vec<_> = self.desk.open().filter(|it| it.reporter.key.is_some()).collect();
        open.sort_by_key(|incident| incident.opened);
        let newest = open.split_off(open.len().saturating_sub(STRANGERS_MAX));
        let mut texts = Vec::new();
        for key in newest.iter().filter_map(|incident| incident.reporter.key.as_ref()) {
            texts.extend(lock(&self.store).body(key.certificate)?);
        }
        self.vault.meet(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        Ok(())
    }
}

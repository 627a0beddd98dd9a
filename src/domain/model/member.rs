//! Members of groups: how somebody becomes one, with which key, and how it ends.
//!
//! applied, vouched for, key proven, terms accepted, active, suspended, removed. All of it is in the
//! journal; [`Members::apply`] is the only thing that changes it. What still misses before somebody
//! is active is derived ([`Member::missing`]), and nothing is ever stored about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::facts::key::PinnedKey;
use crate::domain::facts::member_fact::MemberFact;
use crate::domain::facts::names::{Address, Digest, Fingerprint, Moment, PersonId, Span, later};
use crate::domain::process::playbook::Group;

mod apply;

/// So many people must agree before somebody is added or let in again: two keys of one person are
/// one person.
pub const APPROVALS: usize = 2;

/// How long a key that two maintainers put in the place of another one waits, so that its owner can
/// say no.
pub const KEY_WAITS: Span = Span::hours(24);

/// How long the old key counts beside the new one, where the old one itself gave way to it.
pub const KEY_OVERLAP: Span = Span::days(30);

/// Where somebody stands in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Proposed; nothing else is known.
    Applied,
    /// As many members as the group asks for have vouched.
    Vouched,
    /// They have shown that they hold the key.
    KeyProven,
    /// They have signed the terms of the embargo.
    TermsAccepted,
    /// They get what the group gets.
    Active,
    /// They get nothing for now.
    Suspended,
    /// They get nothing any more, and their key is dropped.
    Removed,
}

impl Standing {
    /// As a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Vouched => "vouched for",
            Self::KeyProven => "key proven",
            Self::TermsAccepted => "terms accepted",
            Self::Active => "active",
            Self::Suspended => "SUSPENDED",
            Self::Removed => "removed",
        }
    }
}

/// What was found out about a criterion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Whether it is met.
    pub met: bool,
    /// By what, or why not.
    pub evidence: String,
    /// By whom.
    pub by: Option<PersonId>,
    /// When.
    pub at: Moment,
}

/// What joins somebody to one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// When they were proposed.
    pub applied: Moment,
    /// Who has vouched.
    pub vouched: BTreeMap<PersonId, Moment>,
    /// What was found out about each criterion.
    pub criteria: BTreeMap<String, Judged>,
    /// Who has agreed, to the proposal as it stands.
    pub approved: BTreeMap<PersonId, Moment>,
    /// Since when they are active.
    pub active: Option<Moment>,
    /// When they were last looked at.
    pub reviewed: Option<Moment>,
}

/// Somebody gets nothing for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    /// Since when.
    pub at: Moment,
    /// Why.
    pub reason: String,
    /// Who wants to let them in again.
    pub lifting: BTreeMap<PersonId, Moment>,
}

/// A key that is to take the place of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedKey {
    /// It.
    pub key: PinnedKey,
    /// When it was offered.
    pub at: Moment,
    /// Whether the old key signed that.
    pub by_old: bool,
    /// By which number approvals name it.
    pub number: u32,
    /// When its holder answered the challenge.
    pub proven: Option<Moment>,
    /// Which maintainers agree.
    pub approved: BTreeMap<PersonId, Moment>,
}

impl OfferedKey {
    /// How many maintainers must agree: one where the old key vouches for it.
    #[must_use]
    pub fn wanted(&self) -> usize {
        if self.by_old { 1 } else { APPROVALS }
    }

    /// How many more maintainers must agree.
    #[must_use]
    pub fn approvals_missing(&self) -> usize {
        self.wanted().saturating_sub(self.approved.len())
    }

    /// When it takes effect, once all that it takes is there.
    #[must_use]
    pub fn takes_effect(&self) -> Option<Moment> {
        let agreed = self.agreed()?;
        let proven = self.proven?;
        let from = if self.by_old { agreed } else { later(agreed, KEY_WAITS) };
        Some(from.max(proven))
    }

    /// When the last of those who must agree did.
    #[must_use]
    pub fn agreed(&self) -> Option<Moment> {
        let mut moments: Vec<Moment> = self.approved.values().copied().collect();
        moments.sort();
        moments.get(self.wanted().saturating_sub(1)).copied()
    }
}

/// What misses before somebody is active in a group. Its words are the views' business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// No playbook has the group.
    Group,
    /// Nobody has proposed them.
    Proposal,
    /// So many more members must vouch for them.
    Vouches(usize),
    /// This criterion was judged, and is not met.
    NotMet(String),
    /// Nobody has judged this criterion.
    NotJudged(String),
    /// They have not shown that they hold their key.
    Proof,
    /// They have not accepted the terms.
    Terms,
    /// So many more of the team must approve.
    Approvals(usize),
    /// They are suspended.
    Reinstatement,
    /// The group is full.
    Place {
        /// How many are in it.
        taken: usize,
        /// How many may be.
        cap: usize,
    },
}

/// Somebody who is, was or wants to be in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Their id.
    pub id: PersonId,
    /// What mails call them.
    pub name: String,
    /// Where their mail goes.
    pub address: Address,
    /// Their keys: the one that mails are sealed to first, then those that count beside it.
    pub keys: Vec<PinnedKey>,
    /// Until when those beside it count.
    pub overlap: Option<Moment>,
    /// A key that is to take its place.
    pub offered: Option<OfferedKey>,
    /// The hash of the nonce that a key must answer, and which key.
    pub challenge: Option<(Digest, Fingerprint)>,
    /// When they showed that they hold the key; for those who were imported, never.
    pub proven: Option<Moment>,
    /// When they accepted the terms, and which, by the hash of their text.
    pub terms: Option<(Moment, Digest)>,
    /// Their groups.
    pub groups: BTreeMap<String, Membership>,
    /// Keys of theirs that are not to be trusted any more.
    pub distrusted: BTreeSet<Fingerprint>,
    /// The keys that were theirs when they were removed.
    pub former: BTreeSet<Fingerprint>,
    /// Why they get nothing for now.
    pub suspended: Option<Suspension>,
    /// When they were removed from the last group.
    pub removed: Option<Moment>,
    /// Whether the operator put them there, and by what.
    pub imported: Option<String>,
    /// Grows with every change that an approval rests on.
    pub number: u32,
}

impl Member {
    /// Somebody of whom nothing is known but who they are.
    #[must_use]
    pub fn new(id: &PersonId, name: &str, address: &Address, key: PinnedKey) -> Self {
        Self {
            id: id.clone(),
            name: name.to_owned(),
            address: address.clone(),
            keys: vec![key],
            overlap: None,
            offered: None,
            challenge: None,
            proven: None,
            terms: None,
            groups: BTreeMap::new(),
            distrusted: BTreeSet::new(),
            former: BTreeSet::new(),
            suspended: None,
            removed: None,
            imported: None,
            number: 0,
        }
    }

    /// Where they stand in a group.
    #[must_use]
    pub fn standing(&self, group: &str, rules: Option<&Group>) -> Standing {
        let Some(membership) = self.groups.get(group).filter(|_| self.removed.is_none()) else {
            return Standing::Removed;
        };
        if self.suspended.is_some() {
            return Standing::Suspended;
        }
        if membership.active.is_some() {
            return Standing::Active;
        }
        let vouches = rules.map_or(0, |rules| rules.vouch);
        if membership.vouched.len() < vouches {
            return Standing::Applied;
        }
        match (self.proven, &self.terms) {
            (Some(_), Some(_)) => Standing::TermsAccepted,
            (Some(_), None) => Standing::KeyProven,
            (None, _) => Standing::Vouched,
        }
    }

    /// Whether they get what a group gets, now.
    #[must_use]
    pub fn is_active(&self, group: &str) -> bool {
        let membership = self.groups.get(group);
        self.removed.is_none()
            && self.suspended.is_none()
            && membership.is_some_and(|membership| membership.active.is_some())
    }

    /// The groups whose mail they get now.
    #[must_use]
    pub fn active_groups(&self) -> BTreeSet<String> {
        self.groups.keys().filter(|group| self.is_active(group)).cloned().collect()
    }

    /// What still misses before they are active in a group, as people read it. `counts` says whether
    /// an approver still may approve.
    #[must_use]
    pub fn missing(
        &self,
        group: &str,
        rules: &Group,
        taken: usize,
        counts: impl Fn(&PersonId) -> bool,
        vouches: impl Fn(&PersonId) -> bool,
    ) -> Vec<Missing> {
        let Some(membership) = self.groups.get(group) else {
            return vec![Missing::Proposal];
        };
        let mut missing = Vec::new();
        let vouched = membership.vouched.keys().filter(|id| vouches(id)).count();
        let vouches = rules.vouch.saturating_sub(vouched);
        if vouches > 0 {
            missing.push(Missing::Vouches(vouches));
        }
        for criterion in &rules.criteria {
            match membership.criteria.get(&criterion.id) {
                Some(judged) if judged.met => {}
                Some(_) => missing.push(Missing::NotMet(criterion.id.clone())),
                None => missing.push(Missing::NotJudged(criterion.id.clone())),
            }
        }
        if self.proven.is_none() {
            missing.push(Missing::Proof);
        }
        if self.terms.is_none() {
            missing.push(Missing::Terms);
        }
        let agreed = membership.approved.keys().filter(|id| **id != self.id && counts(id)).count();
        let more = APPROVALS.saturating_sub(agreed);
        if more > 0 {
            missing.push(Missing::Approvals(more));
        }
        if self.suspended.is_some() {
            missing.push(Missing::Reinstatement);
        }
        if let Some(cap) = rules.cap
            && taken >= cap
        {
            missing.push(Missing::Place { taken, cap });
        }
        missing
    }

    /// When a review of a group is due.
    #[must_use]
    pub fn review_due(&self, group: &str, rules: &Group) -> Option<Moment> {
        if !self.is_active(group) {
            return None;
        }
        let membership = self.groups.get(group)?;
        let last = membership.reviewed.max(membership.active)?;
        rules.review.map(|every| later(last, every.rough()))
    }
}

/// Everybody who is, was or wants to be in a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    //  Shared, so that a decision can work on a copy of the whole without copying the people.
    people: BTreeMap<PersonId, Arc<Member>>,
}

impl Members {
    /// Somebody by their id.
    #[must_use]
    pub fn get(&self, id: &PersonId) -> Option<&Member> {
        self.people.get(id).map(Arc::as_ref)
    }

    /// Everybody, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.people.values().map(Arc::as_ref)
    }

    /// Those who get what a group gets, now.
    pub fn active<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Member> {
        self.iter().filter(move |member| member.is_active(group))
    }

    /// How many places of a group are taken: by those who are active, and by those who are suspended.
    #[must_use]
    pub fn places(&self, group: &str) -> usize {
        let taken = |member: &&Member| {
            member.removed.is_none()
                && member.groups.get(group).is_some_and(|membership| membership.active.is_some())
        };
        self.iter().filter(taken).count()
    }

    /// Whose key it was that is not to be trusted any more: it comes back for nobody.
    #[must_use]
    pub fn lost_by(&self, key: &Fingerprint) -> Option<&PersonId> {
        let holder = self.iter().find(|member| member.distrusted.contains(key));
        holder.map(|member| &member.id)
    }

    /// Whether an id was somebody's who had other keys: their ledger, and what they were to know, would
    /// become another's.
    #[must_use]
    pub fn was_another(&self, id: &PersonId, key: &Fingerprint) -> bool {
        let before = self.get(id).filter(|member| member.removed.is_some());
        before.is_some_and(|before| !before.former.contains(key))
    }

    /// Who holds a key, pinned or offered.
    #[must_use]
    pub fn holder(&self, fingerprint: &Fingerprint) -> Option<&Member> {
        self.iter().find(|member| {
            let offered = member.offered.iter().map(|offered| &offered.key);
            let mut keys = member.keys.iter().chain(offered);
            member.removed.is_none() && keys.any(|key| key.fingerprint == *fingerprint)
        })
    }

    /// Takes a fact in. Cannot fail, decides nothing, and is the same at replay.
    pub fn apply(&mut self, at: Moment, by: Option<&PersonId>, id: &PersonId, fact: &MemberFact) {
        apply::apply(&mut self.people, at, by, id, fact);
    }
}

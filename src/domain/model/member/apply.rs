//! What each fact means for a member.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::facts::member_fact::MemberFact;
use crate::domain::facts::names::{Moment, PersonId, later};
use crate::domain::model::member::{
    Judged, KEY_OVERLAP, Member, Membership, OfferedKey, Suspension,
};

/// Takes a fact in.
pub(super) fn apply(
    people: &mut BTreeMap<PersonId, Arc<Member>>,
    at: Moment,
    by: Option<&PersonId>,
    id: &PersonId,
    fact: &MemberFact,
) {
    let number = people.get(id).map_or(0, |before| before.number).saturating_add(1);
    match fact {
        MemberFact::Proposed { name, address, group, key } => {
            let known = people.get(id).filter(|member| member.removed.is_none());
            let mut member = match (known, key) {
                (Some(known), _) => Member::clone(known),
                (None, Some(key)) => again(people, Member::new(id, name, address, key.clone())),
                (None, None) => return,
            };
            member.number = number;
            let membership = Membership { applied: at, ..Membership::default() };
            member.groups.insert(group.clone(), membership);
            people.insert(id.clone(), Arc::new(member));
        }
        MemberFact::Imported { name, address, groups, key, source } => {
            let mut member = again(people, Member::new(id, name, address, key.clone()));
            member.number = number;
            member.imported = Some(source.clone());
            for group in groups {
                let membership =
                    Membership { applied: at, active: Some(at), ..Membership::default() };
                member.groups.insert(group.clone(), membership);
            }
            people.insert(id.clone(), Arc::new(member));
        }
        MemberFact::Challenged { .. }
        | MemberFact::KeyShown { .. }
        | MemberFact::TermsAccepted { .. }
        | MemberFact::Vouched { .. }
        | MemberFact::Judged { .. }
        | MemberFact::Approved { .. }
        | MemberFact::Activated { .. }
        | MemberFact::Suspended { .. }
        | MemberFact::ReinstatementAsked
        | MemberFact::Reinstated { .. }
        | MemberFact::Removed { .. }
        | MemberFact::Reviewed { .. }
        | MemberFact::KeyOffered { .. }
        | MemberFact::KeyApproved { .. }
        | MemberFact::KeyCancelled
        | MemberFact::KeyTaken { .. }
        | MemberFact::KeyUpdated { .. }
        | MemberFact::KeyDropped { .. }
        | MemberFact::KeyDistrusted { .. } => {
            if let Some(member) = people.get_mut(id) {
                change(Arc::make_mut(member), at, by, fact);
            }
        }
    }
}

/// Somebody who was removed and comes back: what is known against their keys stays.
fn again(people: &BTreeMap<PersonId, Arc<Member>>, new: Member) -> Member {
    let Some(before) = people.get(&new.id) else { return new };
    let (distrusted, former) = (before.distrusted.clone(), before.former.clone());
    Member { distrusted, former, ..new }
}

#[expect(clippy::too_many_lines, reason = "one arm for each fact; a table of what each means")]
fn change(member: &mut Member, at: Moment, by: Option<&PersonId>, fact: &MemberFact) {
    match fact {
        // Not about somebody who is there already.
        MemberFact::Proposed { .. } | MemberFact::Imported { .. } => {}
        MemberFact::Challenged { nonce, fingerprint } => {
            member.challenge = Some((*nonce, fingerprint.clone()));
        }
        MemberFact::KeyShown { fingerprint } => {
            member.challenge = None;
            match &mut member.offered {
                Some(offered) if offered.key.fingerprint == *fingerprint => {
                    offered.proven = Some(at);
                }
                Some(_) | None => member.proven = Some(at),
            }
        }
        MemberFact::TermsAccepted { terms } => member.terms = Some((at, *terms)),
        MemberFact::Vouched { group } => {
            if let (Some(by), Some(membership)) = (by, member.groups.get_mut(group)) {
                membership.vouched.insert(by.clone(), at);
                // What is approved is what stands then.
                member.number = member.number.saturating_add(1);
            }
        }
        MemberFact::Judged { group, criterion, met, evidence } => {
            if let Some(membership) = member.groups.get_mut(group) {
                let judged = Judged { met: *met, evidence: evidence.clone(), by: by.cloned(), at };
                membership.criteria.insert(criterion.clone(), judged);
                member.number = member.number.saturating_add(1);
            }
        }
        MemberFact::Approved { group, .. } => {
            if let (Some(by), Some(membership)) = (by, member.groups.get_mut(group)) {
                membership.approved.insert(by.clone(), at);
            }
        }
        MemberFact::Activated { group, .. } => {
            if let Some(membership) = member.groups.get_mut(group) {
                membership.active = Some(at);
            }
        }
        MemberFact::Suspended { reason } => {
            member.number = member.number.saturating_add(1);
            let lifting = BTreeMap::new();
            member.suspended = Some(Suspension { at, reason: reason.clone(), lifting });
        }
        MemberFact::ReinstatementAsked => {
            if let (Some(by), Some(suspension)) = (by, &mut member.suspended) {
                suspension.lifting.insert(by.clone(), at);
            }
        }
        MemberFact::Reinstated { .. } => member.suspended = None,
        MemberFact::Removed { group, .. } => remove(member, group.as_deref(), at),
        MemberFact::Reviewed { group, .. } => {
            if let Some(membership) = member.groups.get_mut(group) {
                membership.reviewed = Some(at);
            }
        }
        MemberFact::KeyOffered { key, by_old } => {
            member.number = member.number.saturating_add(1);
            forget_approvals(member);
            // What they offer for themselves is no approval.
            let first = by.filter(|by| !by_old && **by != member.id);
            member.offered = Some(OfferedKey {
                key: key.clone(),
                at,
                by_old: *by_old,
                number: member.number,
                proven: None,
                approved: first.map(|by| (by.clone(), at)).into_iter().collect(),
            });
        }
        MemberFact::KeyApproved { .. } => {
            if let (Some(by), Some(offered)) = (by, &mut member.offered) {
                offered.approved.insert(by.clone(), at);
            }
        }
        MemberFact::KeyCancelled => {
            member.offered = None;
            member.challenge = None;
        }
        MemberFact::KeyTaken { .. } => take(member, at),
        MemberFact::KeyUpdated { key, .. } => {
            let offered = member.offered.iter_mut().map(|offered| &mut offered.key);
            let keys = member.keys.iter_mut().chain(offered);
            for known in keys.filter(|known| known.fingerprint == key.fingerprint) {
                known.certificate.clone_from(&key.certificate);
            }
        }
        MemberFact::KeyDistrusted { fingerprint } => {
            member.distrusted.insert(fingerprint.clone());
        }
        MemberFact::KeyDropped { fingerprint } => {
            // The last one stays, and nothing is sealed to it: without it nobody would know whose
            // mails are withheld.
            if member.keys.len() > 1 {
                member.keys.retain(|key| key.fingerprint != *fingerprint);
            }
            if member.keys.len() < 2 {
                member.overlap = None;
            }
        }
    }
}

/// What people agreed to was somebody with another key.
fn forget_approvals(member: &mut Member) {
    for membership in member.groups.values_mut().filter(|m| m.active.is_none()) {
        membership.approved.clear();
    }
    if let Some(suspension) = &mut member.suspended {
        suspension.lifting.clear();
    }
}

fn remove(member: &mut Member, group: Option<&str>, at: Moment) {
    match group {
        Some(group) => {
            member.groups.remove(group);
        }
        None => member.groups.clear(),
    }
    member.number = member.number.saturating_add(1);
    if member.groups.is_empty() {
        member.removed = Some(at);
        member.former.extend(member.keys.drain(..).map(|key| key.fingerprint));
        member.offered = None;
        member.challenge = None;
        member.suspended = None;
    }
}

/// The offered key takes the place of the one before.
fn take(member: &mut Member, at: Moment) {
    let Some(offered) = member.offered.take() else { return };
    forget_approvals(member);
    member.challenge = None;
    member.number = member.number.saturating_add(1);
    member.proven = offered.proven;
    if offered.by_old {
        // One goes on counting beside it for a while: mails are on their way.
        member.keys.truncate(1);
        member.overlap = Some(later(at, KEY_OVERLAP));
    } else {
        member.keys.clear();
        member.overlap = None;
    }
    member.keys.insert(0, offered.key);
}

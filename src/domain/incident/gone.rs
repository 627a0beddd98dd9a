//! What becomes of an incident when people leave it, or lose their role.

use std::collections::{BTreeMap, BTreeSet};

use super::Incident;
use crate::domain::names::{PersonId, TaskId};
use crate::domain::roster::Roster;

impl Incident {
    pub(super) fn leave(&mut self, person: &PersonId) {
        self.joined.remove(person);
        self.left.insert(person.clone());
        self.forget(&|id| id == person);
    }

    /// Takes back what people did who are not in the roster any more, or have lost the role for it.
    pub fn forget_who_is_gone(&mut self, roster: &Roster) {
        let team: BTreeSet<PersonId> = roster
            .people
            .values()
            .filter(|person| self.is_team(person))
            .map(|person| person.id.clone())
            .collect();
        self.forget(&|id| !team.contains(id));
        // Agreements and approvals were given in a role.
        let holders = |role: &str| -> BTreeSet<PersonId> {
            let people = roster.people.values().filter(|person| self.holds(person, role));
            people.map(|person| person.id.clone()).collect()
        };
        let of_role: BTreeMap<String, BTreeSet<PersonId>> =
            self.playbook.roles.keys().map(|role| (role.clone(), holders(role))).collect();
        let fits = |role: &str, id: &PersonId| {
            // Several of one role have places with a number behind it.
            let role = role.split('#').next().unwrap_or(role);
            of_role.get(role).is_some_and(|ids| ids.contains(id))
        };
        let roles: BTreeMap<TaskId, String> =
            self.tasks().map(|task| (task.id.clone(), task.role.clone())).collect();
        for (task, agreed) in &mut self.agreed {
            if !self.done.contains_key(task) {
                agreed.retain(|role, id| fits(role, id));
            }
        }
        for (id, notice) in &mut self.notices {
            if let (false, Some(role)) = (notice.has_left(), roles.get(id)) {
                notice.approvals.retain(|person, _| fits(role, person));
            }
        }
    }

    /// Takes back what still counts of some people: the lead, what they were asked, approvals of
    /// what has not left, and agreements to gates that are not open.
    fn forget(&mut self, gone: &dyn Fn(&PersonId) -> bool) {
        let is_gone = |id: &Option<PersonId>| id.as_ref().is_some_and(gone);
        if is_gone(&self.lead) {
            self.lead = None;
        }
        if is_gone(&self.deputy) {
            self.deputy = None;
        }
        if self.offer.as_ref().is_some_and(|offer| gone(&offer.to)) {
            self.offer = None;
        }
        self.asks.retain(|_, ask| !gone(&ask.person) && !is_gone(&ask.by));
        for notice in self.notices.values_mut().filter(|notice| !notice.has_left()) {
            notice.approvals.retain(|id, _| !gone(id));
        }
        for (task, agreed) in &mut self.agreed {
            if !self.done.contains_key(task) {
                agreed.retain(|_, id| !gone(id));
            }
        }
    }

    /// A role ends on this incident: nobody holds it any more, and who joined with it alone is off.
    pub(super) fn end_role(&mut self, role: &str) {
        self.ended.insert(role.to_owned());
        for roles in self.joined.values_mut() {
            roles.remove(role);
        }
        self.joined.retain(|_, roles| !roles.is_empty());
    }
}

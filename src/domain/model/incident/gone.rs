//! What becomes of an incident when people leave it, or lose their role.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::event::Recipient;
use crate::domain::facts::names::{Moment, PersonId, TaskId};
use crate::domain::facts::seconded::{Alone, Footing, Seconded};
use crate::domain::model::incident::state::Incident;
use crate::domain::model::roster::{Person, Roster};
use crate::domain::process::playbook::{Action, Audience, Kind, Playbook, Task};

impl Incident {
    pub(super) fn leave(&mut self, person: &PersonId) {
        self.joined.remove(person);
        self.left.insert(person.clone());
        self.parked.retain(|(parked, _), _| parked != person);
        self.forget(&|id| id == person);
    }

    /// Takes note of whom the config has made one of those who work on it, and of how the desk is
    /// staffed. Whoever joined by a person's word alone is none of them.
    pub fn know_team(&mut self, roster: &Roster, alone: Option<Alone>) {
        let known = |role: &&String| {
            self.playbook.roles.get(*role).is_some_and(|role| role.held_by.is_none())
        };
        let theirs = |person: &Person| person.roles.iter().filter(known).cloned().collect();
        let all = roster.people.values().map(|person| (person.id.clone(), theirs(person)));
        self.of_config = all.filter(|(_, roles): &(_, BTreeSet<_>)| !roles.is_empty()).collect();
        self.alone = alone;
    }

    /// How somebody comes to have a say on it by one of some roles; none where they hold none of them,
    /// or not any more.
    #[must_use]
    pub fn footing(&self, person: &PersonId, entitles: &dyn Fn(&str) -> bool) -> Option<Footing> {
        let counts = |role: &&String| entitles(role) && !self.ended.contains(*role);
        let of_config = self.of_config.get(person).filter(|_| !self.left.contains(person));
        let by_config = of_config.is_some_and(|roles| roles.iter().any(|role| counts(&role)));
        let given = self.joined.get(person).into_iter().flatten();
        let given: Vec<&Option<PersonId>> =
            given.filter(|(role, _)| entitles(role)).map(|(_, given_by)| given_by).collect();
        // What two people gave, or the config, is owed to nobody; of the rest all is owed to all.
        let free = by_config || given.iter().any(|given_by| given_by.is_none());
        if given.is_empty() && !free {
            return None;
        }
        let given_by = if free { BTreeSet::new() } else { self.givers(person) };
        Some(Footing { person: person.clone(), given_by })
    }

    /// Everybody to whom somebody owes being here: who alone gave them a role, and who gave those theirs.
    /// Nobody brings themselves in.
    fn givers(&self, person: &PersonId) -> BTreeSet<PersonId> {
        let (mut found, mut todo) = (BTreeSet::new(), vec![person.clone()]);
        while let Some(next) = todo.pop() {
            let of_config = self.of_config.contains_key(&next) && !self.left.contains(&next);
            if of_config && next != *person {
                continue;
            }
            for giver in
                self.joined.get(&next).into_iter().flatten().filter_map(|(_, by)| by.as_ref())
            {
                if giver != person && found.insert(giver.clone()) {
                    todo.push(giver.clone());
                }
            }
        }
        found
    }

    /// Two of these people neither of whom made the other, if there are two, by any role that they
    /// hold.
    #[must_use]
    pub fn two_of(&self, people: &[&PersonId]) -> Option<Seconded> {
        self.two_by(people, &|_| true)
    }

    /// The same by one of some roles.
    #[must_use]
    pub fn two_by(
        &self,
        people: &[&PersonId],
        entitles: &dyn Fn(&str) -> bool,
    ) -> Option<Seconded> {
        let all: Vec<Footing> = people.iter().filter_map(|id| self.footing(id, entitles)).collect();
        let (mut firsts, seconds) = (all.iter(), &all);
        firsts.find_map(|first| seconds.iter().find_map(|second| Seconded::of(first, second)))
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
        let roles: BTreeMap<TaskId, Vec<String>> =
            self.tasks().map(|task| (task.id.clone(), task.roles().cloned().collect())).collect();
        for (task, agreed) in &mut self.agreed {
            if !self.done.contains_key(task) {
                agreed.retain(|role, id| fits(role, id));
            }
        }
        for (id, notice) in &mut self.notices {
            if let (false, Some(roles)) = (notice.has_left(), roles.get(id)) {
                notice.approvals.retain(|person, _| roles.iter().any(|role| fits(role, person)));
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
        for (person, roles) in &mut self.joined {
            if let Some(given_by) = roles.remove(role) {
                self.parked.insert((person.clone(), role.to_owned()), given_by);
            }
        }
        self.joined.retain(|_, roles| !roles.is_empty());
    }

    /// Gates that were opened for the day of T.
    #[must_use]
    pub fn gates_of_the_day(&self) -> Vec<String> {
        let settled = || self.done.keys().chain(self.skipped.keys());
        let open = |task: &&Task| {
            is_of_the_day(task) && settled().any(|id| *id == task.id || is_part_of(id, &task.id))
        };
        self.tasks().filter(open).map(|task| task.word().to_string()).collect()
    }

    /// Public lists that were told a date.
    #[must_use]
    pub fn lists_with_a_date(&self) -> Vec<String> {
        let releases = self.notices.values().flat_map(|notice| notice.releases.values());
        let copies = releases.filter(|release| release.t.is_some()).flat_map(|r| r.copies.keys());
        let lists: BTreeSet<String> = copies
            .filter_map(|to| match to {
                Recipient::List(address) => Some(address.to_string()),
                Recipient::Person(_) | Recipient::Reporter | Recipient::Outsider(_) => None,
            })
            .collect();
        lists.into_iter().collect()
    }

    /// T has moved: gates that were opened for its day were opened for another day.
    pub(super) fn lapse_gates(&mut self, at: Moment, by: Option<&PersonId>) {
        let of_the_day = self.tasks().filter(|task| is_of_the_day(task));
        let gates: Vec<(TaskId, Option<Anchor>)> =
            of_the_day.map(|task| (task.id.clone(), task.sets)).collect();
        for (gate, sets) in gates {
            let of_it = |id: &TaskId| *id == gate || is_part_of(id, &gate);
            let done = self.done.iter().find(|(id, _)| of_it(id)).map(|(_, done)| done.at);
            self.done.retain(|id, _| !of_it(id));
            self.skipped.retain(|id, _| !of_it(id));
            self.agreed.retain(|id, _| !of_it(id));
            if let (Some(anchor), Some(done)) = (sets, done)
                && self.anchors.get(&anchor) == Some(&done)
            {
                self.mark(anchor, None, at, by);
                self.take_back_ended(anchor);
            }
        }
    }

    /// An anchor was taken back: roles that ended by it are held again.
    pub(super) fn take_back_ended(&mut self, anchor: Anchor) {
        let by_it = |task: &&Task| {
            task.action == Some(Action::EndRole)
                && task.when.as_ref().is_some_and(|when| when.anchors.contains(&anchor))
        };
        let rows: Vec<(TaskId, String)> = self
            .tasks()
            .filter(by_it)
            .filter_map(|task| Some((task.id.clone(), task.to.clone()?)))
            .collect();
        for (row, role) in rows {
            self.done.remove(&row);
            self.ended.remove(&role);
            let (back, stay) =
                std::mem::take(&mut self.parked).into_iter().partition(|((_, r), _)| *r == role);
            self.parked = stay;
            let back: BTreeMap<(PersonId, String), Option<PersonId>> = back;
            for ((person, role), given_by) in back {
                if self.left.contains(&person) {
                    continue;
                }
                self.joined.entry(person).or_default().insert(role, given_by);
            }
        }
    }

    /// The same incident under another playbook.
    #[must_use]
    pub fn under(&self, playbook: &Arc<Playbook>, at: Moment) -> Self {
        let mut after = self.clone();
        let before = std::mem::replace(&mut after.playbook, Arc::clone(playbook));
        after.forget_what_changed(&before);
        after.note_branches(at);
        after
    }

    /// Its playbook is another from here on: what was frozen or agreed for a row that says something
    /// else now counts no more.
    pub fn forget_what_changed(&mut self, before: &Playbook) {
        let same = |id: &TaskId| {
            let now = self.playbook.tasks.iter().find(|task| task.id == *id);
            let then = before.tasks.iter().find(|task| task.id == *id);
            let groups =
                now.and_then(|task| task.audience.as_ref()).is_none_or(|audience| match audience {
                    Audience::Group(name)
                    | Audience::Member { group: name, .. }
                    | Audience::Public(name) => {
                        self.playbook.groups.get(name) == before.groups.get(name)
                    }
                    Audience::Role(_) | Audience::Reporter => true,
                });
            let roles = now.is_none_or(|task| {
                task.roles().all(|role| self.playbook.roles.get(role) == before.roles.get(role))
            });
            now.is_some() && now == then && groups && roles
        };
        let own: BTreeSet<TaskId> = self.own.iter().map(|own| own.task.id.clone()).collect();
        let kept: BTreeSet<TaskId> =
            self.notices.keys().chain(self.agreed.keys()).filter(|id| same(id)).cloned().collect();
        for (id, notice) in &mut self.notices {
            if !notice.has_left() && !own.contains(id) && !kept.contains(id) {
                notice.approvals.clear();
                notice.void = notice.draft().map(|draft| draft.number);
            }
        }
        // What one person did is not a gate that two have opened, whatever the row is now.
        let is_gate = |playbook: &Playbook, id: &TaskId| {
            playbook.tasks.iter().any(|task| task.id == *id && task.kind == Kind::Gate)
        };
        let became = |id: &TaskId| is_gate(&self.playbook, id) && !is_gate(before, id);
        self.done.retain(|id, _| !became(id));
        let done: BTreeSet<TaskId> = self.done.keys().cloned().collect();
        self.agreed.retain(|id, _| kept.contains(id) || done.contains(id));
    }
}

/// Whether an id is that of a part of a row.
fn is_part_of(id: &TaskId, row: &TaskId) -> bool {
    id.as_str().strip_prefix(row.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a row is a gate that is opened on the day that T names, or so long before or after it.
fn is_of_the_day(task: &Task) -> bool {
    task.kind == Kind::Gate
        && task.when.as_ref().is_some_and(|when| {
            when.window.earliest.is_some() && when.anchors.iter().all(|a| a.is_planned())
        })
}

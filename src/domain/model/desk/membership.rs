//! Who is who, put together: the people of the config, and the members that the journal knows; and
//! what their keys bring.

use std::collections::BTreeSet;

use crate::domain::facts::event::{Delivery, Event, Recipient};
use crate::domain::facts::key::{KeyFacts, PinnedKey};
use crate::domain::facts::letter::Fate;
use crate::domain::facts::mark::Mark;
use crate::domain::facts::member_fact::MemberFact;
use crate::domain::facts::names::{Address, Fingerprint, Handle, Moment, PersonId};
use crate::domain::facts::seconded::{Footing, Seconded};
use crate::domain::model::desk::{Desk, cares};
use crate::domain::model::member::{Member, Standing};
use crate::domain::model::roster::{Person, Roster};
use crate::domain::process::playbook::Group;

impl Desk {
    /// The rules of a group: by the playbook of new incidents, or by another that has it.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        let own = self.playbooks.get(&self.settings.playbook);
        let all = own.into_iter().chain(self.playbooks.values());
        all.filter_map(|playbook| playbook.groups.get(name)).find(|group| group.public.is_empty())
    }

    /// The groups that have members, in the order of their names.
    #[must_use]
    pub fn group_names(&self) -> Vec<&str> {
        let own = self.playbooks.get(&self.settings.playbook);
        let groups = own.into_iter().flat_map(|playbook| &playbook.groups);
        let named = groups.filter(|(_, group)| group.public.is_empty());
        let mut names: Vec<&str> = named.map(|(name, _)| name.as_str()).collect();
        let further = self.members.iter().flat_map(|member| member.groups.keys());
        names.extend(further.map(String::as_str));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The name in a reference that speaks of the desk and of no incident. No incident can have it:
    /// there is no year 0.
    #[must_use]
    pub fn own_handle(&self) -> Handle {
        Handle::of_desk(&self.settings.prefix)
    }

    /// Those who look after the members: the holders of the intake role of new incidents.
    pub fn stewards(&self) -> impl Iterator<Item = &Person> {
        let playbook = self.playbooks.get(&self.settings.playbook);
        let intake = playbook.map_or("", |playbook| playbook.intake.as_str());
        self.roster.people.values().filter(move |person| person.roles.contains(intake))
    }

    /// Whether somebody looks after the members.
    #[must_use]
    pub fn is_steward(&self, id: &PersonId) -> bool {
        self.stewards().any(|person| person.id == *id)
    }

    /// Two of those who look after the members, out of some who agree to one. The config has made them
    /// so, and nobody agrees to themselves.
    pub fn two_of_stewards<'a>(
        &self,
        agreed: impl Iterator<Item = &'a PersonId>,
        member: &PersonId,
    ) -> Option<Seconded> {
        let agreed = agreed.filter(|id| self.is_steward(id) && *id != member);
        let all: Vec<Footing> =
            agreed.map(|id| Footing { person: id.clone(), given_by: BTreeSet::new() }).collect();
        all.iter().find_map(|first| all.iter().find_map(|s| Seconded::of(first, s)))
    }

    /// What is known of a key.
    #[must_use]
    pub fn key_facts(&self, fingerprint: &Fingerprint) -> Option<&KeyFacts> {
        self.keys.get(fingerprint)
    }

    /// The key that a mail to somebody is sealed to: the first of theirs that can be used, or the
    /// first, which then says why not.
    #[must_use]
    pub fn key_for(&self, person: &Person, at: Moment) -> Fingerprint {
        let usable = |key: &&Fingerprint| self.is_usable(person, key, at);
        person.fingerprints().find(usable).unwrap_or(&person.fingerprint).clone()
    }

    /// Whether mails to a key are sealed in the newer form: once its owner has shown or said that they read
    /// it, or the config says so.
    #[must_use]
    pub fn seals_newer(&self, key: &Fingerprint) -> bool {
        let by_config = || self.roster.by_fingerprint(key).is_some_and(|who| who.seal_newer);
        self.limits.reads_newer(key).unwrap_or_else(by_config)
    }

    /// Whether a mail can be sealed to somebody at a moment.
    #[must_use]
    pub fn can_seal(&self, person: &Person, at: Moment) -> bool {
        person.fingerprints().any(|key| self.is_usable(person, key, at))
    }

    fn is_usable(&self, person: &Person, key: &Fingerprint, at: Moment) -> bool {
        !self.distrusts(&person.id, key) && self.keys.get(key).is_some_and(|f| f.is_usable(at))
    }

    /// Whether a key of somebody was said to be in other hands.
    #[must_use]
    pub fn distrusts(&self, person: &PersonId, key: &Fingerprint) -> bool {
        self.members.get(person).is_some_and(|member| member.distrusted.contains(key))
    }

    /// Whether an id would be taken for something else: a word of the desk, a group, a role.
    #[must_use]
    pub fn is_reserved(&self, id: &PersonId) -> bool {
        let words = ["me", "all", "unknown", "outside", "reporter", "suspend", "operator"];
        let named = self.playbooks.values().any(|playbook| {
            playbook.groups.contains_key(id.as_str()) || playbook.roles.contains_key(id.as_str())
        });
        words.contains(&id.as_str()) || named
    }

    /// Whether an address is one of the desk's own: its mailbox, or a detail of it.
    #[must_use]
    pub fn is_own_address(&self, address: &Address) -> bool {
        let own = &self.settings.address;
        let local = address.local().split('+').next().unwrap_or("");
        address.domain() == own.domain() && local.eq_ignore_ascii_case(own.local())
    }

    /// Until when mails can be sealed to somebody; `None` is for ever.
    #[must_use]
    pub fn sealable_until(&self, person: &Person, from: Moment) -> Option<Moment> {
        let mut ends = Vec::new();
        for facts in person.fingerprints().filter_map(|key| self.keys.get(key)) {
            ends.push(facts.usable_until(from)?);
        }
        Some(ends.into_iter().max().unwrap_or(from))
    }

    /// The text of a certificate with a revocation of it, if one has come in. It counts whatever file
    /// the config names.
    #[must_use]
    pub fn revocation(&self, fingerprint: &Fingerprint) -> Option<&str> {
        self.revoked.get(fingerprint).map(String::as_str)
    }

    /// Whether a whole certificate is revoked.
    #[must_use]
    pub fn is_revoked(&self, fingerprint: &Fingerprint) -> bool {
        self.keys.get(fingerprint).is_some_and(|facts| facts.revoked)
    }

    /// What the config and the journal say that does not go together: then nobody could tell who
    /// somebody is.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn contradiction(&self, staff_before: &[PersonId]) -> Result<(), String> {
        for person in self.staff.people.values().filter(|person| person.is_maintainer()) {
            for member in self.members.iter().filter(|member| member.removed.is_none()) {
                let same_key = member.keys.iter().any(|key| key.fingerprint == person.fingerprint);
                let new = !staff_before.contains(&person.id);
                if member.id == person.id && !same_key && new {
                    return Err(format!(
                        "the config gives `{}` a role, and the journal has a member of that id with another key",
                        person.id
                    ));
                }
                if member.id != person.id && (same_key || member.address.same_box(&person.address))
                {
                    return Err(format!(
                        "`{}` in the config has the key or the address of the member `{}`",
                        person.id, member.id
                    ));
                }
            }
        }
        Ok(())
    }

    /// The people to whom the config gives a role.
    #[must_use]
    pub fn staff(&self) -> Vec<PersonId> {
        let staff = self.staff.people.values().filter(|person| person.is_maintainer());
        staff.map(|person| person.id.clone()).collect()
    }

    /// Members who had a role in the config and have none any more: what they hold was given to
    /// somebody of the team.
    #[must_use]
    pub fn left_the_team(&self, staff_before: &[PersonId]) -> Vec<PersonId> {
        let gone = |id: &&PersonId| {
            let member = self.members.get(id).filter(|member| member.removed.is_none());
            let still = self.staff.people.get(id).is_some_and(Person::is_maintainer);
            !still && member.is_some_and(|member| member.suspended.is_none())
        };
        staff_before.iter().filter(gone).cloned().collect()
    }

    /// What is wrong with mail to somebody, by the newest that was heard, on whatever incident.
    #[must_use]
    pub fn trouble(&self, person: &PersonId) -> Option<&str> {
        self.trouble.get(person).map(String::as_str)
    }

    /// Takes note of what became of mail to people.
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other fact is about something else")]
    pub(super) fn remember_trouble(&mut self, handle: &Handle, event: &Event) {
        let (id, trouble) = match event {
            Event::Delivered { message_id, outcome: Delivery::Dead, .. } => {
                (message_id, Some("last mail REFUSED".to_owned()))
            }
            Event::Delivered { message_id, outcome: Delivery::Accepted, .. } => (message_id, None),
            Event::Reported { message_id, fate: Fate::Failed, status } => {
                (message_id, Some(format!("last mail BOUNCED {status}").trim_end().to_owned()))
            }
            _ => return,
        };
        let mail = self.incident(handle).and_then(|incident| incident.mails.get(id));
        let Some(Recipient::Person(person)) = mail.map(|mail| mail.to.clone()) else { return };
        match trouble {
            Some(trouble) => self.trouble.insert(person, trouble),
            None => self.trouble.remove(&person),
        };
    }

    /// Takes in what a certificate says. It follows from its text, so it is no fact of the history.
    pub fn learn_key(&mut self, fingerprint: &Fingerprint, facts: KeyFacts) {
        if self.keys.get(fingerprint) == Some(&facts) {
            return;
        }
        self.keys.insert(fingerprint.clone(), facts);
        self.missed = true;
        let holders: Vec<PersonId> = self
            .roster
            .people
            .values()
            .filter(|person| person.fingerprints().any(|key| key == fingerprint))
            .map(|person| person.id.clone())
            .collect();
        for id in holders {
            self.watch_person(&id);
        }
    }

    /// Grows whenever somebody's keys may have changed.
    #[must_use]
    pub fn roster_version(&self) -> u64 {
        self.roster_version
    }

    /// Whether somebody may have missed a notice: somebody became active, or a key is usable again.
    #[must_use]
    pub fn may_have_missed(&self) -> bool {
        self.missed
    }

    /// Notes that everybody who had missed a notice was looked at.
    pub fn looked_for_missed(&mut self) {
        self.missed = false;
    }

    /// People whose keys or memberships want something by `now`.
    #[must_use]
    pub fn people_due(&self, now: Moment) -> Vec<PersonId> {
        let due = self.watch.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, id)| id.clone()).collect()
    }

    /// When somebody's key or membership next wants something.
    #[must_use]
    pub fn next_person_due(&self) -> Option<Moment> {
        let own = cares::own_key_due(self);
        self.watch.first().map(|(at, _)| *at).into_iter().chain(own).min()
    }

    /// Whether somebody was told this.
    #[must_use]
    pub fn was_told(&self, person: &PersonId, what: &Mark) -> bool {
        self.told.contains(&(person.clone(), what.clone()))
    }

    /// Members that the config names and the journal has never heard of.
    #[must_use]
    pub fn not_taken_over(&self) -> Vec<&Person> {
        let unknown =
            |person: &&Person| !person.groups.is_empty() && self.members.get(&person.id).is_none();
        self.staff.people.values().filter(unknown).collect()
    }

    pub(super) fn take_staff(&mut self, staff: Roster) {
        self.staff = staff;
        let staff = self.staff.people.keys();
        let members = self.members.iter().map(|member| &member.id);
        let ids: BTreeSet<PersonId> = staff.chain(members).cloned().collect();
        self.roster = Roster::default();
        self.watch.clear();
        self.watched.clear();
        for id in ids {
            self.put_together(&id);
        }
    }

    pub(super) fn member(
        &mut self,
        at: Moment,
        by: Option<&PersonId>,
        id: &PersonId,
        fact: &MemberFact,
    ) {
        if let MemberFact::KeyUpdated { key, revoked: true } = fact {
            self.revoked.insert(key.fingerprint.clone(), key.certificate.clone());
        }
        self.members.apply(at, by, id, fact);
        self.put_together(id);
    }

    pub(super) fn note_told(&mut self, person: &PersonId, what: &Mark) {
        self.told.insert((person.clone(), what.clone()));
        // A key that can be used from now on: what was withheld can leave.
        self.missed |= matches!(what, Mark::Begins(..));
        self.watch_person(person);
    }

    /// Puts together who somebody is: by the config where it gives them a role, and by the journal.
    fn put_together(&mut self, id: &PersonId) {
        self.roster_version = self.roster_version.saturating_add(1);
        let before = self.roster.people.remove(id);
        self.roster.pending_keys.retain(|_, person| person.id != *id);
        let member = self.members.get(id).filter(|member| member.removed.is_none());
        let staff = self.staff.people.get(id).filter(|person| person.is_maintainer());
        let groups = member.map(Member::active_groups).unwrap_or_default();
        let person = match (staff, member) {
            (Some(staff), _) => Some(Person { groups, ..staff.clone() }),
            (None, Some(member)) => of_member(member, &member.keys, groups),
            (None, None) => None,
        };
        let offered = member.and_then(|member| member.offered.as_ref());
        if let (Some(offered), Some(member), None) = (offered, member, staff) {
            let key = std::slice::from_ref(&offered.key);
            let newcomer = of_member(member, key, BTreeSet::new());
            let newcomer = newcomer.map(|person| (offered.key.fingerprint.clone(), person));
            self.roster.pending_keys.extend(newcomer);
        }
        let had = |person: &Option<Person>| {
            person.as_ref().map(|person| {
                (person.groups.clone(), person.fingerprints().cloned().collect::<Vec<_>>())
            })
        };
        self.missed |= had(&before) != had(&person);
        if let Some(person) = person {
            self.roster.people.insert(id.clone(), person);
        }
        self.watch_person(id);
    }

    /// Looks up when somebody's key or membership next wants something. Only their place in the
    /// index can have changed, so the work does not grow with the number of people.
    fn watch_person(&mut self, id: &PersonId) {
        if let Some(at) = self.watched.remove(id) {
            self.watch.remove(&(at, id.clone()));
        }
        if let Some(at) = cares::next_due(self, id) {
            self.watched.insert(id.clone(), at);
            self.watch.insert((at, id.clone()));
        }
    }
}

fn of_member(member: &Member, keys: &[PinnedKey], groups: BTreeSet<String>) -> Option<Person> {
    let (first, further) = keys.split_first()?;
    Some(Person {
        id: member.id.clone(),
        name: member.name.clone(),
        address: member.address.clone(),
        fingerprint: first.fingerprint.clone(),
        certificate: first.certificate.clone(),
        roles: BTreeSet::new(),
        groups,
        seal_newer: false,
        further: further.to_vec(),
    })
}

/// Whether somebody is or wants to be a member: then the words of members are for them.
#[must_use]
pub(crate) fn is_known(desk: &Desk, id: &PersonId) -> bool {
    desk.members.get(id).is_some_and(|member| {
        member.removed.is_none()
            && member.groups.keys().any(|g| member.standing(g, None) != Standing::Removed)
    })
}

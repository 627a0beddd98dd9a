//! The people of a config, and whether they fit its playbook: roles, groups, and whether there are two.

use toml::Spanned;

use crate::config::shape::{DeskPart, PersonPart};
use crate::config::{Reader, shape};
use crate::domain::facts::names::{Moment, PersonId};
use crate::domain::model::roster::{Person, Roster};
use crate::domain::outgoing::texts;
use crate::domain::process::playbook;
use crate::edge::files;
use crate::edge::pgp::{Certificate, mend_key};

impl Reader<'_> {
    /// Somebody's certificate.
    fn certificate(&mut self, at: usize, part: &PersonPart, now: Moment) -> Option<Certificate> {
        let path = self.own(&part.certificate);
        let place = self.key_place(at, "certificate");
        let certificate = match files::read(&path) {
            Ok(bytes) => bytes,
            Err(fault) => {
                self.wrong(place, fault.what, fault.next);
                return None;
            }
        };
        let public = |bytes: Vec<u8>| match Certificate::is_secret(&bytes) {
            true => Err("it is a secret key, which only its owner has".to_owned()),
            false => Certificate::read(&bytes),
        };
        let certificate = match public(certificate) {
            Ok(certificate) => certificate,
            Err(why) => {
                self.wrong(
                    place,
                    format!("{}: {why}", path.display()),
                    "export it with `gpg --export --armor ADDRESS`",
                );
                return None;
            }
        };
        // An expired key is a finding and no reason not to start: the others must be served, and
        // what cannot be sealed is withheld and said so.
        if let Err(why) = certificate.check(now) {
            let what = format!("{}: the key of `{}`: {why}", path.display(), part.id);
            let next = format!("{}; until then what is for them is withheld", mend_key(&why));
            self.warn(place, what, next);
        }
        Some(certificate)
    }

    pub(super) fn person(
        &mut self,
        part: Spanned<PersonPart>,
        known: &Roster,
        now: Moment,
    ) -> Option<Person> {
        let (at, part) = (part.span().start, part.into_inner());
        let id = PersonId::parse(&part.id);
        if id.as_ref().is_none_or(|id| known.person(id).is_some()) {
            let place = self.key_place(at, "id");
            self.wrong(
                place,
                format!("`{}` is no id, or is used twice", part.id),
                "give each person a short id of letters and digits",
            );
        }
        let address = self.address(at, &part.address);
        let certificate = self.certificate(at, &part, now)?;
        if texts::clean_line(&part.name, 80).is_empty() {
            let place = self.key_place(at, "name");
            self.wrong(place, format!("`{}` has no name", part.id), "mails call them by it");
        }
        if part.roles.is_empty() && part.groups.is_empty() {
            let place = self.place(at);
            self.wrong(
                place,
                format!("`{}` has neither a role nor a group", part.id),
                "give them one, or take them out",
            );
        }
        let fingerprint = certificate.fingerprint();
        if let Some(other) = known.by_fingerprint(&fingerprint) {
            let place = self.place(at);
            self.wrong(
                place,
                format!("`{}` and `{}` have the same key", part.id, other.id),
                "a key stands for one person",
            );
        }
        if let Some(other) = address.as_ref().and_then(|address| known.by_address(address)) {
            let place = self.key_place(at, "address");
            self.wrong(
                place,
                format!("`{}` and `{}` have the same address", part.id, other.id),
                "one person with two keys must not count as two people; name each person once",
            );
        }
        Some(Person {
            id: id?,
            name: texts::clean_line(&part.name, 80),
            address: address?,
            fingerprint,
            certificate: certificate.armored(),
            seal_newer: self.seals_newer(at, &part, &certificate, now),
            roles: part.roles.into_iter().collect(),
            groups: part.groups.into_iter().collect(),
            further: Vec::new(),
        })
    }

    /// The place of a key of somebody's.
    fn of_person(&self, id: &PersonId, key: &str) -> String {
        self.key_place(self.people_at.get(id).copied().unwrap_or(0), key)
    }

    /// Complains of certificates that are not their owners', as far as their addresses tell.
    pub(super) fn whose_keys(&mut self, roster: &Roster, now: Moment) {
        for person in roster.people.values() {
            let Ok(certificate) = Certificate::read(person.certificate.as_bytes()) else {
                continue;
            };
            if certificate.is_for(&person.address) {
                continue;
            }
            let place = self.of_person(&person.id, "certificate");
            let other = roster.people.values().find(|other| certificate.is_for(&other.address));
            if let Some(other) = other {
                let what = format!("the certificate of `{}` is that of `{}`", person.id, other.id);
                self.wrong(place, what, "name the file with their own");
                continue;
            }
            let named = named(&certificate, now);
            let what = format!(
                "the certificate of `{}` is for {named}, and their address is {}",
                person.id, person.address
            );
            self.warn(place, what, "compare its fingerprint with them by another way");
        }
    }

    /// What cannot be taken back takes two people: says so where there is one, and refuses that time
    /// stands for the second where there are two.
    pub(super) fn two_people(
        &mut self,
        at: usize,
        desk: &DeskPart,
        playbook: &playbook::Playbook,
        roster: &Roster,
    ) {
        let minutes = desk.alone_minutes.into();
        self.within(at, "alone_minutes", minutes, shape::ALONE_MINUTES);
        let works = |person: &&Person| {
            person.roles.iter().any(|role| playbook.roles.contains_key(role.as_str()))
        };
        let count = roster.people.values().filter(works).count();
        let place = self.key_place(at, if desk.alone { "alone" } else { "playbook" });
        if desk.alone && count > 1 {
            let what = format!("`alone` is true, and {count} people have a role of the playbook");
            self.wrong(place, what, "take the line out: the second person is asked, then");
        } else if desk.alone {
            let what = format!(
                "the desk has one maintainer: whoever has that one key makes things public, moves dates and \
                 lets people in, {minutes} minutes after the word"
            );
            self.note(
                place,
                what,
                "find a second person; anybody's `/hold ALL` stops it meanwhile",
            );
        } else if count < 2 {
            let what = "fewer than two people have a role of the playbook, so nothing that takes two can be \
                        done: no notice to a group or the public, no earlier date, no `/published`"
                .to_owned();
            let next =
                "add a second [[person]]; or write `alone = true` in [desk], which waits instead";
            self.warn(place, what, next);
        }
    }

    /// Whether mails to a person are sealed in the newer form from the beginning.
    pub(super) fn seals_newer(
        &mut self,
        at: usize,
        part: &PersonPart,
        certificate: &Certificate,
        now: Moment,
    ) -> bool {
        let newer = match part.seal.as_deref() {
            None | Some("v1") => false,
            Some("v2") => true,
            Some(other) => {
                let place = self.key_place(at, "seal");
                self.wrong(
                    place,
                    format!("`{other}` is no form of sealed mail"),
                    "write `v1`, which every program reads, or `v2`, which GnuPG does not",
                );
                false
            }
        };
        if newer && !certificate.says_newer(now) {
            let place = self.key_place(at, "seal");
            let what = format!("the certificate of `{}` does not say that it reads `v2`", part.id);
            self.note(
                place,
                what,
                "take the line out; mails to them are sealed as `v1` all the same",
            );
        }
        newer
    }

    /// Refuses roles and groups that the playbook does not know.
    pub(super) fn people_fit(&mut self, playbook: &playbook::Playbook, roster: &Roster) {
        let known: Vec<&String> = playbook
            .roles
            .iter()
            .filter(|(_, role)| role.held_by.is_none())
            .map(|(id, _)| id)
            .collect();
        for person in roster.people.values() {
            for role in
                person.roles.iter().filter(|role| !known.contains(role) && *role != "operator")
            {
                let what = format!(
                    "`{}` has the role `{role}`, which playbook `{}` does not give by name",
                    person.id, playbook.id
                );
                let known = known.iter().map(|role| role.as_str()).chain(["operator"]);
                let known: Vec<&str> = known.collect();
                let place = self.of_person(&person.id, "roles");
                self.wrong(place, what, format!("write one of {}", known.join(", ")));
            }
            for group in person.groups.iter().filter(|group| !playbook.groups.contains_key(*group))
            {
                let what = format!(
                    "`{}` is in the group `{group}`, which playbook `{}` does not know",
                    person.id, playbook.id
                );
                let known: Vec<_> = playbook.groups.keys().cloned().collect();
                let place = self.of_person(&person.id, "groups");
                self.wrong(place, what, format!("write one of {}", known.join(", ")));
            }
        }
    }

    /// Tells of the roles that nobody has, where rows are for them.
    pub(super) fn nobody(&mut self, place: &str, playbook: &playbook::Playbook, roster: &Roster) {
        let asked = |id: &String| {
            playbook.tasks.iter().filter(|task| task.roles().any(|role| role == id)).count()
        };
        for (id, role) in &playbook.roles {
            let rows = asked(id);
            let held = role.held_by.is_some() || roster.holders(id).next().is_some();
            if rows > 0 && !held {
                let what = format!(
                    "nobody has the role `{id}`, and {rows} rows of playbook `{}` are for it",
                    playbook.id
                );
                let next = "give it to somebody; until then the whole team is reminded of them";
                self.note(place.to_owned(), what, next);
            }
        }
        if roster.holders("operator").next().is_none() {
            let what = "nobody has the role `operator`: nobody hears that the desk cannot hear, speak or keep";
            self.warn(place.to_owned(), what, "give it to whoever looks after this machine");
        }
    }
}

/// The addresses that a certificate is for.
pub(super) fn named(certificate: &Certificate, now: Moment) -> String {
    let addresses = certificate.facts(now).addresses;
    let named: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    if named.is_empty() { "no address".to_owned() } else { named.join(", ") }
}

//! The people of a config, and whether they fit its playbook: roles, groups, and whether there are two.

use toml::Spanned;

use crate::config::shape::{DeskPart, PersonPart};
use crate::config::{Finding, Reader, shape};
use crate::domain::facts::names::{Moment, PersonId};
use crate::domain::model::roster::{Person, Roster};
use crate::domain::outgoing::texts;
use crate::domain::process::playbook;
use crate::domain::process::playbook::Audience;
use crate::edge::pgp::{Certificate, mend_key};

impl Reader<'_> {
    /// Somebody's certificate.
    fn certificate(&mut self, at: usize, part: &PersonPart, now: Moment) -> Option<Certificate> {
        let path = self.full(&part.certificate);
        let place = self.key_place(at, "certificate");
        let certificate = std::fs::read(&path).map_err(|error| error.to_string());
        let public = |bytes: Vec<u8>| match Certificate::is_secret(&bytes) {
            true => Err("it is a secret key, which only its owner has".to_owned()),
            false => Certificate::read(&bytes),
        };
        let certificate = match certificate.and_then(public) {
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
            self.findings.push(Finding {
                place,
                what: format!("{}: the key of `{}`: {why}", path.display(), part.id),
                next: format!("{}; until then what is for them is withheld", mend_key(&why)),
                fatal: false,
            });
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
            let next = "find a second person; anybody's `/hold ALL` stops it meanwhile".to_owned();
            self.notes.push(Finding { place, what, next, fatal: false });
        } else if count < 2 {
            let what = "fewer than two people have a role of the playbook, so nothing that takes two can be \
                        done: no notice to a group or the public, no earlier date, no `/published`"
                .to_owned();
            let next =
                "add a second [[person]]; or write `alone = true` in [desk], which waits instead";
            self.notes.push(Finding { place, what, next: next.to_owned(), fatal: false });
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
            let next =
                "take the line out; mails to them are sealed as `v1` all the same".to_owned();
            self.notes.push(Finding { place, what, next, fatal: false });
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
                self.wrong(
                    self.path.display().to_string(),
                    what,
                    format!("write one of {}", known.join(", ")),
                );
            }
            for group in person.groups.iter().filter(|group| !playbook.groups.contains_key(*group))
            {
                let what = format!(
                    "`{}` is in the group `{group}`, which playbook `{}` does not know",
                    person.id, playbook.id
                );
                let known: Vec<_> = playbook.groups.keys().cloned().collect();
                self.wrong(
                    self.path.display().to_string(),
                    what,
                    format!("write one of {}", known.join(", ")),
                );
            }
        }
    }

    /// Notes the roles that nobody has and the groups that nobody is in, where rows are for them.
    pub(super) fn nobody(&mut self, place: &str, playbook: &playbook::Playbook, roster: &Roster) {
        let mut note = |what: String, next: &str| {
            let (place, next) = (place.to_owned(), next.to_owned());
            self.notes.push(Finding { place, what, next, fatal: false });
        };
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
                note(what, "give it to somebody; until then the whole team is reminded of them");
            }
        }
        for id in playbook.groups.keys() {
            let audience = Some(Audience::Group(id.clone()));
            let notices = playbook.tasks.iter().filter(|task| task.audience == audience).count();
            if notices > 0 && roster.members(id).next().is_none() {
                let what = format!(
                    "nobody is in the group `{id}`, which gets {notices} notices of playbook `{}`",
                    playbook.id
                );
                note(what, "give it members, or they go to nobody");
            }
        }
    }
}

//! A decision in the making: facts tried on a copy of the incident, and the mails that follow.
//!
//! Whoever decides works through a [`Work`]. Every fact it adds is applied to a copy at once, so
//! that the next step of the same mail sees what the one before did; if one step refuses, the
//! whole is thrown away and nothing has happened.

use serde_json::{Value, json};

use crate::domain::decide::decision::{Decision, Entry};
use crate::domain::facts::event::{Blob, Event, Mailed, Purpose, Recipient};
use crate::domain::facts::letter::Attachment;
use crate::domain::facts::member_fact::MemberFact;
use crate::domain::facts::names::{
    Address, Fingerprint, Fresh, Handle, MessageId, Moment, PersonId,
};
use crate::domain::facts::record::Body;
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::Incident;
use crate::domain::model::member::Members;
use crate::domain::model::roster::{Party, Person};
use crate::domain::outgoing::mail::{Mail, Words};
use crate::domain::outgoing::texts::{ClearFacts, SealedFacts, Written, wrapped};
use crate::domain::process::playbook::Playbook;

/// A decision in the making.
pub struct Work<'a> {
    /// The desk as it is.
    pub desk: &'a Desk,
    /// The present moment.
    pub now: Moment,
    /// Randomness.
    pub fresh: Fresh,
    /// The incident, with the facts so far.
    pub incident: Option<Incident>,
    /// The person whose signed mail is being worked on.
    pub by: Option<PersonId>,
    /// The key that signed it.
    pub signed: Option<Fingerprint>,
    decision: Decision,
    /// The members, once this decision has changed one of them.
    members: Option<Members>,
    /// Other incidents that this decision has touched, with the facts so far.
    others: std::collections::BTreeMap<Handle, Incident>,
}

/// A mail to the reporter.
pub struct ToReporter {
    /// What for.
    pub purpose: Purpose,
    /// The key that it is sealed to; none for words that may leave in clear.
    pub key: Option<Fingerprint>,
    /// What it says.
    pub words: Words,
    /// When it leaves.
    pub at: Moment,
    /// Whether our certificate is attached.
    pub with_our_key: bool,
    /// Passed on byte for byte.
    pub attachments: Vec<Attachment>,
}

impl<'a> Work<'a> {
    /// Begins a decision, on an incident if it is about one.
    #[must_use]
    pub fn on(desk: &'a Desk, handle: Option<&Handle>, now: Moment, fresh: Fresh) -> Self {
        let incident = handle.and_then(|handle| desk.incidents.get(handle)).cloned();
        let (decision, others) = (Decision::default(), std::collections::BTreeMap::new());
        Self { desk, now, fresh, incident, by: None, signed: None, decision, members: None, others }
    }

    /// Adds a fact about the incident.
    pub fn add(&mut self, event: Event) {
        if let Some(incident) = &mut self.incident {
            incident.apply(self.now, self.by.as_ref(), &event);
        }
        let incident = self.incident.as_ref().map(|incident| incident.handle.clone());
        self.decision.entries.push(Entry { incident, by: self.by.clone(), event });
    }

    /// Goes on for a while with another incident, in the same decision.
    pub fn on_other(&mut self, handle: &Handle, then: impl FnOnce(&mut Self)) {
        let other = self.others.remove(handle);
        let other = other.or_else(|| self.desk.incidents.get(handle).cloned());
        let Some(other) = other else { return };
        let own = self.incident.replace(other);
        then(self);
        if let Some(other) = std::mem::replace(&mut self.incident, own) {
            self.others.insert(other.handle.clone(), other);
        }
    }

    /// Notes that a prepared answer went to the reporter, for the rows that ask for it.
    pub fn settle_answer(&mut self, name: &str) {
        let Some(incident) = &self.incident else { return };
        let open = |task: &&crate::domain::process::playbook::Task| {
            task.answer.as_deref() == Some(name)
                && crate::domain::model::schedule::done_at(incident, task).is_none()
                && incident.applies(task) != crate::domain::process::playbook::Truth::No
        };
        let tasks: Vec<_> = incident.tasks().filter(open).map(|t| (t.id.clone(), t.sets)).collect();
        for (task, sets) in tasks {
            self.add(Event::TaskDone { task, evidence: None, sets });
        }
    }

    /// Adds a fact about another incident than the one that is worked on.
    pub fn add_about(&mut self, handle: &Handle, event: Event) {
        let (incident, by) = (Some(handle.clone()), self.by.clone());
        self.decision.entries.push(Entry { incident, by, event });
    }

    /// Adds a fact about the desk as a whole.
    pub fn add_to_desk(&mut self, event: Event) {
        self.decision.entries.push(Entry { incident: None, by: self.by.clone(), event });
    }

    /// The members, with the facts so far.
    #[must_use]
    pub fn members(&self) -> &Members {
        self.members.as_ref().unwrap_or(&self.desk.members)
    }

    /// Whether the key that mails to somebody are sealed to was said to be in other hands.
    #[must_use]
    pub fn distrusts(&self, person: &Person) -> bool {
        let member = self.members().get(&person.id);
        member.is_some_and(|member| member.distrusted.contains(&person.fingerprint))
    }

    /// Adds a fact about a member.
    pub fn add_member(&mut self, member: &PersonId, fact: MemberFact) {
        let members = self.members.get_or_insert_with(|| self.desk.members.clone());
        members.apply(self.now, self.by.as_ref(), member, &fact);
        self.add_to_desk(Event::Member { member: member.clone(), fact });
    }

    /// Adds the fact that opens an incident, and goes on with it.
    pub fn open(
        &mut self,
        handle: Handle,
        opening: crate::domain::facts::event::Opening,
        playbook: std::sync::Arc<Playbook>,
    ) {
        self.incident = Some(Incident::open(handle.clone(), self.now, &opening, playbook));
        let event = Event::Opened(Box::new(opening));
        self.decision.entries.push(Entry { incident: Some(handle), by: self.by.clone(), event });
    }

    /// Notes something for the operator. Never content.
    pub fn fault(&mut self, fault: impl Into<String>) {
        self.decision.faults.push(fault.into());
    }

    /// Notes what the mail turned out to be.
    pub fn dispose(&mut self, disposition: &'static str) {
        self.decision.disposition = disposition;
    }

    /// Keeps a body and returns the name by which facts speak of it.
    pub fn keep(&mut self, text: impl Into<String>) -> Blob {
        let (salt, text) = (self.fresh.draw(), text.into());
        let name = crate::domain::facts::names::Digest::of_parts(&[&salt, text.as_bytes()]);
        self.decision.bodies.push(Body { name, salt, text });
        name
    }

    /// The body that this decision keeps under a name.
    #[must_use]
    pub fn kept(&self, name: Blob) -> Option<&str> {
        self.decision.bodies.iter().find(|body| body.name == name).map(|body| body.text.as_str())
    }

    /// The line that brings an answer to this incident.
    #[must_use]
    pub fn reference(&self, party: Party<'_>) -> String {
        let Some(incident) = &self.incident else {
            return String::new();
        };
        let token = self.desk.ref_key.token(&self.desk.settings.address, &incident.handle, party);
        format!("Ref: {}/{token}", incident.handle)
    }

    /// The line that binds somebody's answer to this desk, and to no incident.
    #[must_use]
    pub fn desk_reference(&self, person: &PersonId) -> String {
        let handle = self.desk.own_handle();
        let party = Party::Person(person);
        let token = self.desk.ref_key.token(&self.desk.settings.address, &handle, party);
        format!("Ref: {handle}/{token}")
    }

    /// Sends a sealed mail to exactly the key that this person is known by here.
    pub fn tell_by_key(
        &mut self,
        person: &Person,
        purpose: Purpose,
        template: &str,
        mut facts: Value,
    ) {
        let incident = self.incident.take();
        if let Value::Object(map) = &mut facts {
            map.insert("ref".to_owned(), self.desk_reference(&person.id).into());
        }
        let written = self.write(template, &facts);
        let key = person.fingerprint.clone();
        self.post_sealed(person, purpose, key, written, Vec::new(), None);
        self.incident = incident;
    }

    /// A moment with date, hour and zone: the incident's zone, or the desk's.
    #[must_use]
    pub fn say(&self, moment: Moment) -> String {
        let desk = crate::domain::process::offset::Calendar::plain(self.desk.settings.zone);
        desk.say(moment)
    }

    /// A new Message-ID of ours.
    pub fn message_id(&mut self) -> MessageId {
        MessageId::draw(self.desk.settings.address.domain(), &mut self.fresh)
    }

    /// Renders a text that leaves sealed. A template that an operator broke after the start does
    /// not stop the desk: the operator is told, and the mail says where to look.
    pub fn write(&mut self, template: &str, facts: &Value) -> Written {
        let mut all = json!({
            "desk": self.desk.settings.name,
            "address": self.desk.settings.address,
            "handle": self.incident.as_ref().map_or(self.desk.settings.name.as_str(), |i| i.handle.as_str()),
        });
        if let (Value::Object(all), Value::Object(facts)) = (&mut all, facts) {
            all.extend(facts.clone());
        }
        self.desk.texts.sealed(template, &all).unwrap_or_else(|problem| {
            self.fault(problem.to_string());
            Written {
                subject: "A template of the desk is broken".to_owned(),
                body: format!("{problem}\n\nWhat to do: mend it and run `embargod check`.\n"),
            }
        })
    }

    /// Sends a person a sealed mail.
    pub fn tell(&mut self, person: &Person, purpose: Purpose, template: &str, mut facts: Value) {
        if let Value::Object(map) = &mut facts {
            let reference = match &self.incident {
                Some(_) => self.reference(Party::Person(&person.id)),
                None => self.desk_reference(&person.id),
            };
            map.insert("ref".to_owned(), Value::String(reference));
        }
        let written = self.write(template, &facts);
        self.tell_written(person, purpose, written, Vec::new(), None);
    }

    /// Sends a person a sealed mail whose words are ready.
    pub fn tell_written(
        &mut self,
        person: &Person,
        purpose: Purpose,
        written: Written,
        attachments: Vec<Attachment>,
        answers: Option<MessageId>,
    ) {
        // An answer goes to the key that asked, where two of one person count.
        let theirs = |key: &&Fingerprint| person.fingerprints().any(|own| own == *key);
        let answers_them = matches!(purpose, Purpose::Transcript | Purpose::Refusal);
        let asked = self.signed.as_ref().filter(theirs).filter(|_| answers_them);
        let key = asked.cloned().unwrap_or_else(|| self.desk.key_for(person, self.now));
        self.post_sealed(person, purpose, key, written, attachments, answers);
    }

    fn post_sealed(
        &mut self,
        person: &Person,
        purpose: Purpose,
        key: Fingerprint,
        written: Written,
        attachments: Vec<Attachment>,
        answers: Option<MessageId>,
    ) {
        let mail = Mail {
            message_id: self.message_id(),
            about: self.incident.as_ref().map(|incident| incident.handle.clone()),
            to: Recipient::Person(person.id.clone()),
            address: person.address.clone(),
            key: Some(key),
            purpose,
            not_before: self.now,
            words: Words::Sealed(written),
            attachments,
            with_our_key: false,
            answers: answers.or_else(|| self.root_for(&Recipient::Person(person.id.clone()))),
        };
        self.decision.mails.push(mail);
    }

    /// The first mail on the incident that this recipient got: what later ones answer, so that
    /// a mail program shows one thread.
    fn root_for(&self, to: &Recipient) -> Option<MessageId> {
        let incident = self.incident.as_ref()?;
        let about = |mail: &&Mail| mail.about.as_ref() == Some(&incident.handle);
        let pending = self.decision.mails.iter().find(|mail| mail.to == *to && about(mail));
        if *to == Recipient::Reporter {
            return incident.letters.first().and_then(|letter| letter.message_id.clone());
        }
        incident.root_mails.get(to).cloned().or_else(|| pending.map(|mail| mail.message_id.clone()))
    }

    /// Tells people what happened and what they can do about it: each a sealed copy of their own,
    /// nobody twice, and nobody who is not on the incident.
    pub fn inform(&mut self, people: &[&Person], heading: &str, lines: &[String], next: &str) {
        let title = self.incident.as_ref().and_then(|incident| incident.title.clone());
        let lines: Vec<String> = lines.iter().map(|line| wrapped(line)).collect();
        let next = wrapped(&format!("What to do: {next}"));
        let next = next.strip_prefix("What to do: ").unwrap_or(&next);
        let facts = json!({
            "heading": heading, "lines": lines, "next": next, "title": title.unwrap_or_default(),
        });
        let mut told: Vec<&PersonId> = Vec::new();
        for person in people {
            let on_it = self.incident.as_ref().is_none_or(|incident| incident.is_team(person));
            if on_it && !told.contains(&&person.id) {
                told.push(&person.id);
                self.tell(person, Purpose::Reminder, "reminder", facts.clone());
            }
        }
    }

    /// Sends several people the same news, each a sealed copy of their own.
    pub fn tell_all(
        &mut self,
        people: &[&Person],
        purpose: &Purpose,
        template: &str,
        facts: &Value,
    ) {
        for person in people {
            self.tell(person, purpose.clone(), template, facts.clone());
        }
    }

    /// Writes to the reporter in words that may leave in clear; sealed when a key is known.
    pub fn write_reporter(
        &mut self,
        purpose: Purpose,
        template: &str,
        facts: &ClearFacts,
        more: &SealedFacts,
        at: Moment,
    ) {
        let Some(incident) = &self.incident else {
            return;
        };
        let Some(address) = incident.reporter.address.clone() else {
            return;
        };
        let key = incident.reporter.key.as_ref().map(|key| key.fingerprint.clone());
        let words = match &key {
            Some(_) => self.desk.texts.clear_but_sealed(template, facts, more).map(Words::Sealed),
            None => self.desk.texts.clear(template, facts).map(Words::Clear),
        };
        match words {
            Ok(words) => {
                let attachments = Vec::new();
                let letter =
                    ToReporter { purpose, key, words, at, with_our_key: true, attachments };
                self.post_reporter(address, letter);
            }
            Err(problem) => self.fault(problem.to_string()),
        }
    }

    /// Puts a mail to the reporter in the outbox.
    pub fn post_reporter(&mut self, address: Address, letter: ToReporter) {
        let mail = Mail {
            message_id: self.message_id(),
            about: self.incident.as_ref().map(|incident| incident.handle.clone()),
            to: Recipient::Reporter,
            address,
            key: letter.key,
            purpose: letter.purpose,
            not_before: letter.at,
            words: letter.words,
            attachments: letter.attachments,
            with_our_key: letter.with_our_key,
            answers: self.root_for(&Recipient::Reporter),
        };
        self.decision.mails.push(mail);
    }

    /// What a clear text about this incident may say.
    #[must_use]
    pub fn clear_facts(&self) -> ClearFacts {
        let settings = &self.desk.settings;
        let incident = self.incident.as_ref();
        ClearFacts {
            desk: settings.name.clone(),
            address: settings.address.to_string(),
            fingerprint: settings.fingerprint.spaced(),
            handle: incident.map_or_else(String::new, |incident| incident.handle.to_string()),
            received: incident
                .and_then(|incident| incident.letters.first())
                .map_or_else(String::new, |letter| self.say(letter.received)),
            answer_by: incident.map_or_else(String::new, |i| {
                self.say(crate::domain::model::schedule::human_due(i))
            }),
            ask: incident
                .and_then(|i| i.playbook.ask.clone())
                .unwrap_or_else(|| "all that helps".into()),
            reference: self.reference(Party::Reporter),
            openpgp: None,
            not_to_us: false,
            key_known: incident.is_some_and(|incident| incident.reporter.key.is_some()),
            state: incident.map_or("received", |i| i.status.word_for_reporter()).to_owned(),
        }
    }

    /// Puts a finished mail in the decision.
    pub fn post(&mut self, mail: Mail) {
        self.decision.mails.push(mail);
    }

    /// Everybody who has a role of the playbook on this incident.
    #[must_use]
    pub fn team(&self) -> Vec<&'a Person> {
        self.people(|incident, person| incident.is_team(person))
    }

    /// Those to whom talk on the incident goes: the intake role, the lead and the deputy, who
    /// joined, and who of the team has written on it.
    #[must_use]
    pub fn circle(&self) -> Vec<&'a Person> {
        self.people(|incident, person| {
            let id = &person.id;
            let leads = [&incident.lead, &incident.deputy].contains(&&Some(id.clone()));
            let by_them = crate::domain::facts::event::Author::Person(id.clone());
            let wrote = incident.letters.iter().any(|letter| letter.author == by_them);
            let named = leads || wrote || incident.joined.contains_key(id);
            let intake = incident.holds(person, &incident.playbook.intake);
            intake || (named && incident.is_team(person))
        })
    }

    /// The holders of a role on this incident.
    #[must_use]
    pub fn holders(&self, role: &str) -> Vec<&'a Person> {
        self.people(|incident, person| incident.holds(person, role))
    }

    fn people(&self, fits: impl Fn(&Incident, &Person) -> bool) -> Vec<&'a Person> {
        let Some(incident) = &self.incident else { return Vec::new() };
        self.desk.roster.people.values().filter(|person| fits(incident, person)).collect()
    }

    /// The person with this id, if the roster has them.
    #[must_use]
    pub fn person(&self, id: &PersonId) -> Option<&'a Person> {
        self.desk.roster.person(id)
    }

    /// What people call somebody.
    #[must_use]
    pub fn name(&self, id: &PersonId) -> String {
        self.person(id).map_or_else(|| id.to_string(), |person| person.name.clone())
    }

    /// The finished decision, with the mails on the incident as a fact of their own.
    pub fn done(mut self) -> Decision {
        let mut by_incident: std::collections::BTreeMap<Handle, Vec<Mailed>> =
            std::collections::BTreeMap::new();
        for mail in &self.decision.mails {
            if let (Some(about), false) =
                (&mail.about, matches!(mail.purpose, Purpose::Notice { .. }))
            {
                by_incident.entry(about.clone()).or_default().push(Mailed {
                    message_id: mail.message_id.clone(),
                    to: mail.to.clone(),
                    purpose: mail.purpose.clone(),
                });
            }
        }
        for (handle, mails) in by_incident {
            let event = Event::Mailed { mails };
            if self.incident.as_ref().is_some_and(|incident| incident.handle == handle) {
                self.add(event);
            } else {
                self.add_about(&handle, event);
            }
        }
        self.decision
    }
}

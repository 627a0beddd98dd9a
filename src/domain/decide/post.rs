//! How the mails of a decision are addressed: whose key, which reference, which thread.

use serde_json::{Value, json};

use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Purpose, Recipient, ReporterKey};
use crate::domain::facts::letter::Attachment;
use crate::domain::facts::names::{Address, Fingerprint, Handle, MessageId, Moment, PersonId};
use crate::domain::facts::outer_view::KeyRank;
use crate::domain::model::roster::{Party, Person};
use crate::domain::model::schedule;
use crate::domain::outgoing::mail::{Mail, Words};
use crate::domain::outgoing::texts::{ClearFacts, SealedFacts, Written, wrapped};

/// So many senders of copies hear of an answer.
const COPIES_MAX: usize = 20;

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

impl Work<'_> {
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

    /// Tells somebody something, with a file beside it.
    pub fn hand(
        &mut self,
        person: &Person,
        heading: &str,
        line: String,
        next: &str,
        file: &Attachment,
    ) {
        let before = self.decision.mails.len();
        self.inform(&[person], heading, &[line], next);
        for mail in self.decision.mails.iter_mut().skip(before) {
            mail.attachments.push(file.clone());
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
        if matches!(purpose, Purpose::Answer | Purpose::Update) {
            self.tell_copies(&purpose, template);
        }
        let Some(incident) = &self.incident else {
            return;
        };
        let more = &SealedFacts { opened_with: self.opened_with(&purpose), ..more.clone() };
        let Some(address) = incident.reporter.address.clone() else {
            return;
        };
        // What no person says is sealed to a key that lay inside only after a person has answered: sooner it
        // would tell whether the mail opened.
        let may_seal = |key: &&ReporterKey| {
            let by_person = purpose == Purpose::Answer || incident.reporter.told.is_some();
            by_person || key.rank == KeyRank::Outside
        };
        let key = incident.reporter.key.as_ref().filter(may_seal);
        let key = key.map(|key| key.fingerprint.clone());
        let facts = &ClearFacts { key_known: key.is_some(), ..facts.clone() };
        let words = match &key {
            Some(_) => self.desk.texts.clear_but_sealed(template, facts, more).map(Words::Sealed),
            None => self.desk.texts.clear(template, facts).map(Words::Clear),
        };
        match words {
            Ok(words) => {
                let attachments = Vec::new();
                // What no person says is small, and the same whatever the mail turned out to be.
                let with_our_key = purpose != Purpose::Acknowledgement;
                let letter = ToReporter { purpose, key, words, at, with_our_key, attachments };
                self.post_reporter(address, letter);
            }
            Err(problem) => self.fault(problem.to_string()),
        }
    }

    /// Sends the reporter words with content, sealed to their key; and to whoever mailed in a copy that
    /// there is an answer.
    pub fn answer_reporter(
        &mut self,
        address: Address,
        key: Fingerprint,
        template: &str,
        facts: &Value,
        attachments: Vec<Attachment>,
    ) {
        let mut facts = facts.clone();
        if let Value::Object(map) = &mut facts {
            map.insert("ref".to_owned(), self.reference(Party::Reporter).into());
            map.insert("opened_with".to_owned(), self.opened_with(&Purpose::Answer).into());
        }
        let words = Words::Sealed(self.write(template, &facts));
        self.tell_copies(&Purpose::Answer, "answer-waits");
        let (purpose, at, key) = (Purpose::Answer, self.now, Some(key));
        let letter = ToReporter { purpose, key, words, at, with_our_key: false, attachments };
        self.post_reporter(address, letter);
    }

    /// Puts a mail to the reporter in the outbox.
    pub fn post_reporter(&mut self, address: Address, letter: ToReporter) {
        // What no person says names no mail that it answers: of a copy it would be another one.
        let automatic = letter.purpose == Purpose::Acknowledgement;
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
            answers: self.root_for(&Recipient::Reporter).filter(|_| !automatic),
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
            answer_by: incident.map_or_else(String::new, |i| self.say(schedule::human_due(i))),
            // What is about no incident is answered in the words of one: they would tell it otherwise.
            ask: incident
                .map(|incident| &*incident.playbook)
                .or_else(|| self.desk.playbooks.get(&settings.playbook).map(|known| &**known))
                .and_then(|playbook| playbook.ask.clone())
                .unwrap_or_else(|| "all that helps".into()),
            reference: self.reference(Party::Reporter),
            openpgp: None,
            hint: None,
            unusable_key: None,
            key_known: incident.is_some_and(|incident| incident.reporter.key.is_some()),
            key_attached: false,
            is_last: false,
            state: incident.map_or("received", |i| i.status.word_for_reporter()).to_owned(),
            language: incident.and_then(|incident| incident.reporter.language.clone()),
        }
    }

    /// The same under another name for it: the one that a copy of its report was acknowledged under.
    #[must_use]
    pub fn clear_facts_under(&self, name: &Handle) -> ClearFacts {
        let desk = self.desk;
        let token = desk.ref_key.token(&desk.settings.address, name, Party::Reporter);
        let (reference, handle) = (format!("Ref: {name}/{token}"), name.to_string());
        ClearFacts { reference, handle, ..self.clear_facts() }
    }

    /// The key that a report was opened with, for the first word of a person to whoever signed inside:
    /// sooner it would tell whether it opened.
    fn opened_with(&self, purpose: &Purpose) -> Option<String> {
        let reporter = &self.incident.as_ref()?.reporter;
        let first = reporter.told.is_none() && *purpose == Purpose::Answer;
        let signed = reporter.key.as_ref().is_some_and(|key| key.rank == KeyRank::Signer);
        (first && signed).then(|| self.desk.settings.fingerprint.spaced())
    }

    /// Tells whoever mailed in a copy of the report what a reporter without a key is told: silence would
    /// show that it was one that opened.
    fn tell_copies(&mut self, purpose: &Purpose, template: &str) {
        let Some(incident) = self.incident.clone() else { return };
        let desk = self.desk;
        for (name, alias) in desk.replay.aliases_of(&incident.handle).take(COPIES_MAX) {
            let Some(address) = &alias.address else { continue };
            let language = alias.language.clone();
            let under = self.clear_facts_under(name);
            let facts = ClearFacts { key_known: false, language, ..under };
            let words = match desk.texts.clear(template, &facts) {
                Ok(words) => Words::Clear(words),
                Err(problem) => return self.fault(problem.to_string()),
            };
            let mail = Mail {
                message_id: self.message_id(),
                about: Some(incident.handle.clone()),
                to: Recipient::Outsider(address.clone()),
                address: address.clone(),
                key: None,
                purpose: purpose.clone(),
                not_before: self.now,
                words,
                attachments: Vec::new(),
                with_our_key: true,
                answers: None,
            };
            self.decision.mails.push(mail);
        }
    }

    /// Puts a finished mail in the decision.
    pub fn post(&mut self, mail: Mail) {
        self.decision.mails.push(mail);
    }
}

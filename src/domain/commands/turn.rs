//! A command mail being carried out, and what every word asks of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::commands::rights;
use crate::domain::decide::relay;
use crate::domain::decide::work::{Question, Work};
use crate::domain::facts::event::{Ask, Event};
use crate::domain::facts::letter::{AttachedKey, Attachment, Letter};
use crate::domain::facts::names::{
    Digest, Handle, Moment, PersonId, Span, TaskId, base32, later, nonce_hash,
};
use crate::domain::facts::refusal::{Reason, Refusal, nearest};
use crate::domain::facts::seconded::{Alone, Seconded};
use crate::domain::model::incident::{Incident, Status};
use crate::domain::model::roster::Person;
use crate::domain::outgoing::texts::Problem;
use crate::domain::process::playbook::Task;
use crate::domain::process::vocabulary::{Row, Second, Word, row_of, team_word, unknown};

/// What a word answers with, for the transcript; or why nothing was done.
pub type Answer = Result<String, Refusal>;

/// What somebody was asked to confirm, and did.
#[derive(Clone)]
pub struct Confirmed<'d> {
    /// What they were asked.
    pub ask: Ask,
    /// Who confirms it.
    pub by: &'d Person,
}

impl Confirmed<'_> {
    /// Whether whoever gave the command confirms it.
    #[must_use]
    pub fn own(&self) -> bool {
        self.ask.by.is_none()
    }
}

/// One line of a command mail being carried out.
pub struct Turn<'w, 'd> {
    /// The decision in the making.
    pub work: &'w mut Work<'d>,
    /// Who gave the order.
    pub person: &'d Person,
    /// The mail that it stands in; of one that was confirmed, the mail of the confirmation; none where
    /// time confirms it.
    pub letter: Option<&'w Letter>,
    /// The writer's own words below the commands; nothing where something is confirmed.
    pub text: &'w str,
    /// Whether a command took the text, so that it is not passed on to the team as well.
    pub text_used: bool,
    /// The line being carried out, as understood.
    pub line: String,
    /// That it was confirmed, and by whom.
    pub confirmed: Option<Confirmed<'d>>,
    /// What a second person must be besides: on these other incidents as well.
    pub also_on: Vec<Handle>,
    /// What a second person must be besides: a holder of one of these roles. Where some stand here, a
    /// second person is asked whatever the playbook says.
    pub also_holds: Vec<String>,
    /// That this only finds out what the line would bring: nobody is asked, and nothing comes of it.
    pub trial: bool,
    /// That the line takes a second person, by what it would bring.
    pub must_second: bool,
    /// What it would bring that nobody takes back, for whoever is asked.
    pub brings: String,
    /// The same in a form that a confirmation rests on: what would happen is a part of what was asked.
    pub rests_on: BTreeSet<String>,
}

impl<'w, 'd> Turn<'w, 'd> {
    /// A line that nobody has confirmed yet.
    pub fn new(
        work: &'w mut Work<'d>,
        letter: Option<&'w Letter>,
        person: &'d Person,
        line: String,
        text: &'w str,
    ) -> Self {
        Self {
            work,
            person,
            letter,
            text,
            text_used: false,
            line,
            confirmed: None,
            also_on: Vec::new(),
            also_holds: Vec::new(),
            trial: false,
            must_second: false,
            brings: String::new(),
            rests_on: BTreeSet::new(),
        }
    }
}

impl<'w, 'd> Turn<'w, 'd> {
    /// The incident as it is after the commands so far.
    ///
    /// # Errors
    /// When the mail names none.
    pub fn incident(&self) -> Result<&Arc<Incident>, Refusal> {
        self.work.incident.as_ref().ok_or_else(|| {
            Refusal::new(
                "no incident named",
                "your mail does not say which incident it is about.",
                "keep the `Ref:` line of our mail in yours, or begin with `| /incident HANDLE`, without the bar.",
            )
        })
    }

    /// Refuses what cannot be done to an incident in its state.
    ///
    /// # Errors
    /// When it is closed, rejected or spam.
    pub fn open_incident(&self) -> Result<&Arc<Incident>, Refusal> {
        let incident = self.incident()?;
        if incident.status.is_open() {
            return Ok(incident);
        }
        Err(Refusal::new(
            "the incident is closed",
            format!("{} is {}.", incident.handle, incident.status.word()),
            "write `| /reopen` first, without the bar.",
        ))
    }

    /// The task that the first word of the arguments names, and the rest.
    ///
    /// # Errors
    /// When there is none of that name, or the person does not hold its role.
    pub fn task<'a>(&self, arguments: &'a str) -> Result<(Task, &'a str), Refusal> {
        let (word, rest) = arguments.split_once(char::is_whitespace).unwrap_or((arguments, ""));
        let task = self.find_task(word)?;
        let incident = self.incident()?;
        if task.roles().any(|role| incident.holds(self.person, role)) {
            return Ok((task, rest.trim()));
        }
        let playbook = &incident.playbook;
        let roles: Vec<_> = task.roles().map(|role| playbook.role_label(role)).collect();
        let led = task
            .roles()
            .all(|role| playbook.roles.get(role).is_some_and(|role| role.held_by.is_some()));
        let next = match (led, &incident.lead) {
            (true, None) => "nobody leads yet: somebody take it with `| /take`, without the bar.",
            _ => "ask one of them to send it.",
        };
        Err(Refusal::new(
            "not your role",
            format!(
                "`{}` is for the {}, and you do not hold that role.",
                task.word(),
                roles.join(" or the ")
            ),
            next,
        ))
    }

    /// The task and the part of it that the first word of the arguments names, and the rest.
    ///
    /// # Errors
    /// As [`Self::task`]; and when a part is missing, or is not one.
    pub fn task_part<'a>(&self, arguments: &'a str) -> Result<(Task, TaskId, &'a str), Refusal> {
        let (word, rest) = arguments.split_once(char::is_whitespace).unwrap_or((arguments, ""));
        let (name, part) = match word.split_once('/') {
            Some((name, part)) => (name, Some(part)),
            None => (word, None),
        };
        let (task, _) = self.task(name)?;
        let rest = rest.trim();
        let Some(fan_out) = task.fan_out else {
            let id = task.id.clone();
            return match part {
                None => Ok((task, id, rest)),
                Some(_) => Err(Refusal::new(
                    "it has no parts",
                    format!("`{}` is one task and has no parts.", task.word()),
                    format!("write `| /done {}`, without the bar.", task.word()),
                )),
            };
        };
        let Some(parts) = self.incident()?.parts(fan_out) else {
            return Err(Refusal::new(
                "its parts are not known",
                format!(
                    "`{}` is done once for each, and the record does not say for which.",
                    task.word()
                ),
                format!("set them first, like `| /set {} ...`, without the bar.", fan_out.field()),
            ));
        };
        let known = part.and_then(|part| parts.iter().find(|p| p.eq_ignore_ascii_case(part)));
        match known {
            Some(part) => {
                let id = task.id.part(part);
                Ok((task, id, rest))
            }
            None => {
                let words: Vec<_> =
                    parts.iter().map(|part| format!("{}/{part}", task.word())).collect();
                Err(Refusal::new(
                    "say which part",
                    format!("`{}` is done once for each.", task.word()),
                    format!("write one of {}.", words.join(", ")),
                ))
            }
        }
    }

    pub(crate) fn find_task(&self, word: &str) -> Result<Task, Refusal> {
        let incident = self.incident()?;
        let playbook = &incident.playbook;
        if let Some(task) = incident.tasks().find(|task| task.is_called(word)) {
            return Ok(task.clone());
        }
        let known = incident.tasks().map(|task| task.word().as_str());
        let next = nearest(word, known).map_or_else(
            || "write `| /agenda` for the list, without the bar.".to_owned(),
            |hint| format!("did you mean `{hint}`?"),
        );
        let why = if word.is_empty() {
            "the line does not say which task or notice.".to_owned()
        } else {
            format!("the playbook `{}` has no task or notice `{word}`.", playbook.id)
        };
        Err(Refusal::new("no such task", why, next))
    }

    /// Goes on if this was confirmed; otherwise asks for it: the person themselves, or where the
    /// playbook says so, or where it lets something happen that nobody takes back, everybody else who
    /// may use the word. `basis` is everything that the confirmation rests on: should any of it
    /// change, the confirmation is dead.
    ///
    /// # Errors
    /// When what was confirmed has changed since, or when there is no second person.
    /// `Ok(Some(text))` is the question.
    pub fn confirmed(&mut self, what: &str, basis: &[&str]) -> Result<Option<String>, Refusal> {
        if self.trial {
            return Ok(None);
        }
        let incident = self.incident()?;
        let mut parts = vec![incident.handle.as_str(), self.person.id.as_str(), self.line.as_str()];
        parts.extend(basis);
        // What it would bring may become less until it is confirmed: something of it has come by then.
        let brings = self.rests_on.iter().cloned().collect::<Vec<_>>().join(" ");
        let digest = |parts: &[&str]| {
            let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
            Digest::of_parts(&parts)
        };
        let alone = digest(&parts);
        parts.push(&brings);
        let whole = digest(&parts);
        let wider = self.wider();
        let basis = if wider.is_empty() { whole } else { alone };
        let word = self.line.trim_start_matches('/').split(' ').next().unwrap_or("");
        let row = team_word(word).ok_or_else(|| unknown(word))?;
        let two = self.must_second || self.needs_second(row.word);
        if let Some(confirmed) = &self.confirmed {
            // Who was asked may have lost what made them the one to ask.
            let seconded = self.seconded_by(confirmed, row);
            let asked = &confirmed.ask;
            let same = if asked.wider.is_empty() {
                asked.basis == whole
            } else {
                asked.basis == alone && wider.is_subset(&asked.wider)
            };
            if same && (seconded.is_some() || (confirmed.own() && !two)) {
                self.work.seconded = seconded;
                return Ok(None);
            }
            return Err(Refusal::new(
                Reason::Changed,
                "since you were asked, something changed that your confirmation rests on.",
                format!("send the command again: `| {}`, without the bar.", self.line),
            ));
        }
        if two {
            return self.ask_others(row, what, basis).map(Some);
        }
        let until = later(self.work.now, Span::hours(24));
        let (person, line) = (self.person.id.clone(), self.line.clone());
        let nonce = self.ask(Ask { person, by: None, line, basis, wider, said: None, until });
        Ok(Some(format!(
            "Not done yet. {what}\nTo do it, reply by {} with:\n\n  | /confirm {nonce}\n\nTo call it off:\n\n  | /cancel {nonce}\n",
            self.work.say(until)
        )))
    }

    /// The hashes of what the line would bring that takes two people.
    fn wider(&self) -> BTreeSet<Digest> {
        self.rests_on.iter().map(|key| Digest::of(key.as_bytes())).collect()
    }

    /// Whether the process asks for a second person for this word. What ends the work on an incident
    /// that was accepted is asked for as closing it is.
    #[must_use]
    pub fn needs_second(&self, word: Word) -> bool {
        let Some(incident) = &self.work.incident else { return false };
        let Some(row) = row_of(word) else { return true };
        let says = |word: &str| incident.playbook.rights.get(word).is_some_and(|r| r.second);
        let always = match row.second {
            Second::AsSaid => false,
            Second::Always => true,
            Second::AsClose => incident.status == Status::Accepted && says("close"),
        };
        says(row.name) || always || !self.also_holds.is_empty()
    }

    /// Two people, or at a desk with one person the time, if that is what confirms this.
    fn seconded_by(&self, confirmed: &Confirmed<'_>, row: &Row) -> Option<Seconded> {
        let incident = self.work.incident.as_ref()?;
        if let (true, Some(said), Some(alone)) =
            (confirmed.own(), confirmed.ask.said, incident.alone)
        {
            return Seconded::waited(alone, &self.person.id, said, self.work.now);
        }
        let other = confirmed.by;
        let roles = rights::entitling(self.work, row);
        let entitles =
            |role: &str| roles.as_ref().is_none_or(|roles| roles.iter().any(|r| r == role));
        let two = incident.two_by(&[&self.person.id, &other.id], &entitles)?;
        self.can_second(other, row).then_some(two)
    }

    /// Whether somebody may be the second person for a word: who may use it, here and on every other
    /// incident that it touches, and was not brought in by the first alone, nor the first by them.
    fn can_second(&self, other: &Person, row: &Row) -> bool {
        let Some(incident) = &self.work.incident else { return false };
        let roles = rights::entitling(self.work, row);
        let entitles =
            |role: &str| roles.as_ref().is_none_or(|roles| roles.iter().any(|r| r == role));
        let two = |incident: &Incident| {
            incident.two_by(&[&self.person.id, &other.id], &entitles).is_some()
        };
        let elsewhere = self.also_on.iter().filter_map(|handle| self.work.desk.incident(handle));
        let holds = self.also_holds.is_empty()
            || self.also_holds.iter().any(|role| incident.holds(other, role));
        rights::may_use(self.work, other, row).is_ok()
            && two(incident)
            && elsewhere.into_iter().all(|incident| incident.is_team(other) && two(incident))
            && holds
    }

    /// Draws a nonce, remembers its hash with what it confirms, and returns it.
    fn ask(&mut self, ask: Ask) -> String {
        let nonce = base32(&self.work.fresh.draw(), 16);
        self.work.add(Event::ConfirmAsked { nonce: nonce_hash(&nonce), ask });
        nonce
    }

    /// Asks everybody else who may use the word: two people, since two keys of one person prove no
    /// more than one does.
    fn ask_others(&mut self, row: &Row, what: &str, basis: Digest) -> Answer {
        let what = [what.trim_end(), &self.brings].into_iter().filter(|part| !part.is_empty());
        let what = what.collect::<Vec<_>>().join("\n");
        if let Some(alone) = self.incident()?.alone {
            return Ok(self.ask_time(alone, &what, basis));
        }
        let others: Vec<&Person> = self
            .work
            .team()
            .into_iter()
            .filter(|other| other.id != self.person.id)
            .filter(|other| self.can_second(other, row))
            .collect();
        if others.is_empty() {
            return Err(Refusal::new(
                "nobody could confirm it",
                format!(
                    "`/{}` needs a second person, and nobody else may use it who was not brought in by you, or you by them.",
                    row.name
                ),
                "ask the operator to give the role to another person in the config.",
            ));
        }
        let until = later(self.work.now, Span::hours(24));
        let by = Some(self.person.id.clone());
        let mut asked = Vec::new();
        for other in &others {
            let (person, by, line) = (other.id.clone(), by.clone(), self.line.clone());
            let nonce =
                self.ask(Ask { person, by, line, basis, wider: self.wider(), said: None, until });
            asked.push((other.id.clone(), nonce));
        }
        let (person, line) = (self.person.id.clone(), self.line.clone());
        self.work.questions.push(Question {
            by: person.clone(),
            line: line.clone(),
            what: what.clone(),
            until,
            asked,
        });
        let own = self.ask(Ask { person, by, line, basis, wider: self.wider(), said: None, until });
        let names: Vec<&str> = others.iter().map(|other| other.name.as_str()).collect();
        Ok(format!(
            "Not done yet. {what}\nA second person must confirm it by {}. Asked: {}.\nTo call it off:\n\n  | /cancel {own}\n",
            self.work.say(until),
            names.join(", ")
        ))
    }

    /// At a desk with one person it is done when the time has passed in which anybody can call it off.
    /// The operators are told, so that a stolen key does not do it unseen.
    fn ask_time(&mut self, alone: Alone, what: &str, basis: Digest) -> String {
        let now = self.work.now;
        let at = alone.from(now);
        let until = later(at, Span::hours(24));
        let (person, line) = (self.person.id.clone(), self.line.clone());
        let own = self.ask(Ask {
            person,
            by: None,
            line,
            basis,
            wider: self.wider(),
            said: Some(now),
            until,
        });
        self.tell_operators(at);
        format!(
            "Not done yet. {what}\nYou are alone at this desk, so it is done at {} unless it is called off. To call it off:\n\n  | /cancel {own}\n",
            self.work.say(at)
        )
    }

    /// Tells the operators that what takes two people was said by one, and how they stop it.
    pub fn tell_operators(&mut self, at: Moment) {
        let Some(incident) = &self.work.incident else { return };
        let handle = incident.handle.clone();
        let lines = [
            format!("{} said on {handle} what takes two people, and is alone.", self.person.name),
            format!("It happens on {}, unless somebody stops it.", self.work.say(at)),
        ];
        let next = format!(
            "if they did not write that, send these two lines, without the bars:\n\n  | /incident {handle}\n  | /hold ALL"
        );
        let operators = self.work.desk.roster.operators();
        let others: Vec<&Person> =
            operators.into_iter().filter(|person| person.id != self.person.id).collect();
        relay::tell_outside(self.work, &others, "What takes two was said by one", &lines, &next);
    }

    /// The attachments of the mail that it stands in.
    #[must_use]
    pub fn attachments(&self) -> &'w [Attachment] {
        self.letter.map_or(&[], |letter| &letter.attachments)
    }

    /// The certificates that came inside it.
    #[must_use]
    pub fn certificates(&self) -> &'w [AttachedKey] {
        self.letter.map_or(&[], |letter| &letter.certificates)
    }

    /// Tells people that a command touched them; never those who gave or confirmed it.
    pub fn tell_concerned(
        &mut self,
        people: &[&Person],
        heading: &str,
        lines: &[String],
        next: &str,
    ) {
        let confirmer = self.confirmed.as_ref().map(|confirmed| &confirmed.by.id);
        let acts = |person: &Person| person.id == self.person.id || Some(&person.id) == confirmer;
        let others: Vec<&Person> = people.iter().copied().filter(|person| !acts(person)).collect();
        self.work.inform(&others, heading, lines, next);
    }

    /// Somebody of the roster, as a command names them: by id, or `me`.
    ///
    /// # Errors
    /// Who is known.
    pub fn whom(&self, word: &str) -> Result<&'d Person, Refusal> {
        if word.eq_ignore_ascii_case("me") {
            return Ok(self.person);
        }
        let roster = &self.work.desk.roster;
        let found = PersonId::parse(word).and_then(|id| roster.person(&id));
        found.ok_or_else(|| {
            let team = roster.people.values().filter(|person| person.is_maintainer());
            let known: Vec<&str> = team.map(|person| person.id.as_str()).collect();
            let next = nearest(word, known.iter().copied()).map_or_else(
                || format!("write one of {}.", known.join(", ")),
                |hint| format!("did you mean `{hint}`?"),
            );
            Refusal::new("no such person", format!("the roster has nobody called `{word}`."), next)
        })
    }
}

/// Refuses a word that came without what it needs.
pub(crate) fn needs(arguments: &str, word: &str, what: &str) -> Result<(), Refusal> {
    if arguments.trim().is_empty() {
        return Err(Refusal::new(
            format!("`/{word}` needs more"),
            format!("`/{word}` stands alone, and needs {what}."),
            format!("write `| /{word} {what}`, without the bar."),
        ));
    }
    Ok(())
}

/// What becomes of an answer to the reporter, for the transcript.
pub(crate) fn told(work: &Work<'_>) -> &'static str {
    let reporter = work.incident.as_ref().map(|incident| &incident.reporter);
    match reporter {
        Some(reporter) if reporter.address.is_none() => {
            "The reporter left no address; nobody is told."
        }
        Some(reporter) if reporter.key.is_some() => "The reporter is told, sealed to their key.",
        _ => "The reporter is told in clear, without content: we have no key of theirs.",
    }
}

pub(crate) fn broken(problem: Problem) -> Refusal {
    Refusal::new(
        "a template is broken",
        format!("{problem}."),
        "tell the operator; `embargod check` shows it.",
    )
}

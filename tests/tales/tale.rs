//! How a tale is told: what people write, what comes of it, and when.

use std::collections::{BTreeMap, BTreeSet};

use embargod::domain::facts::names::{Handle, Moment, PersonId, Span};
use embargod::domain::model::schedule;
use embargod::domain::model::schedule::State;
use embargod::domain::process::playbook::Task;
use embargod::rehearsal::mail::{Draft, Read};
use embargod::rehearsal::{Stage, Who};

use crate::common::{Golden, World};

/// Who has which roles and groups in a process.
pub(crate) type Cast = &'static [(Who, &'static [&'static str], &'static [&'static str])];

pub(crate) struct Tale {
    pub world: World,
    golden: Golden,
    seen: usize,
    states: BTreeMap<(Handle, String), String>,
    /// Rows that were done, skipped or not asked for at some time: nothing is left out.
    reached: BTreeSet<String>,
}

impl Tale {
    pub(crate) fn of(playbook: &str, cast: Cast) -> Self {
        let world = World::bare(|sources| {
            sources.settings.playbook = playbook.to_owned();
            for person in sources.roster.people.values_mut() {
                person.roles.retain(|role| role == "operator");
                person.groups.clear();
            }
            for (who, roles, groups) in cast {
                let id = PersonId::parse(who.id()).unwrap();
                let person = sources.roster.people.get_mut(&id).unwrap();
                person.roles.extend(roles.iter().map(|role| (*role).to_owned()));
                person.groups.extend(groups.iter().map(|group| (*group).to_owned()));
            }
        });
        let mut golden = Golden::default();
        golden.scene(&format!("The process `{playbook}`"));
        let (states, reached) = (BTreeMap::new(), BTreeSet::new());
        Self { world, golden, seen: 0, states, reached }
    }

    fn now(&self) -> Moment {
        self.world.stage.now()
    }

    pub(crate) fn scene(&mut self, what: &str) {
        self.golden.line("");
        let now = self.now().format("%a %Y-%m-%d %H:%M");
        self.golden.line(&format!("==== {now}  {what}"));
    }

    /// Writes down what arrived and which rows stand elsewhere than before.
    fn flush(&mut self) {
        let mut new: Vec<_> = self.world.stage.arrivals.iter().skip(self.seen).cloned().collect();
        // By age, not by handle: handles are drawn at random, and so would the order be.
        let desk = self.world.stage.engine().unwrap().desk();
        let mut by_age: Vec<Handle> = desk.incidents.keys().cloned().collect();
        by_age.sort_by_key(|handle| desk.incidents[handle].opened);
        let age = |mail: &Read| {
            by_age.iter().position(|handle| mail.subject.contains(handle.as_str())).unwrap_or(99)
        };
        new.sort_by_key(|(at, _, mail)| (at.timestamp(), age(mail)));
        self.seen += new.len();
        for (at, who, mail) in new {
            let form = match (mail.protection.is_encrypted(), mail.by_desk) {
                (true, true) => "sealed",
                (false, true) => "clear ",
                (_, false) => "FORGED",
            };
            let at = at.format("%m-%d %H:%M:%S");
            self.golden.line(&format!("  {at} -> {:<9}{form} {}", who.id(), mail.subject));
        }
        let now = self.now();
        let desk = self.world.stage.engine().unwrap().desk();
        desk.audit().unwrap();
        let mut lines = Vec::new();
        for incident in by_age.iter().map(|handle| &desk.incidents[handle]) {
            for item in schedule::agenda(incident, now) {
                let at = match item.state {
                    State::Done(at) | State::Skipped(at) => Some(at),
                    State::Due | State::Late | State::Upcoming => item.due,
                    _ => None,
                };
                let at = at.map_or_else(String::new, |at| at.format(" %m-%d %H:%M").to_string());
                let waits = match &item.state {
                    State::WaitingFor(what) => format!(" for {what}"),
                    State::BlockedBy(tasks) => format!(" by {}", tasks.len()),
                    _ => String::new(),
                };
                let state = format!("{}{at}{waits}", item.state.word());
                if matches!(item.state, State::Done(_) | State::Skipped(_) | State::Always) {
                    self.reached.insert(item.task.id.to_string());
                }
                let key = (
                    incident.handle.clone(),
                    format!("{} {}", item.task.id, item.part.as_deref().unwrap_or("")),
                );
                if self.states.insert(key.clone(), state.clone()).as_ref() != Some(&state) {
                    lines.push(format!("  {} {}: {state}", incident.handle, key.1.trim_end()));
                }
            }
        }
        for line in lines {
            self.golden.line(&line);
        }
    }

    fn writes(&mut self, who: Who, text: &str) {
        self.golden.line(&format!(" {} writes: {}", who.id(), text.replace('\n', " | ")));
    }

    /// A report by Rita, sealed; the tale goes on with its incident.
    pub(crate) fn report(&mut self, what: &str) {
        self.golden.line(&format!(" rita reports: {what}"));
        let draft = Draft { with_key: true, ..Draft::sealed(what) };
        let new = self.world.sends(Who::Rita, &draft);
        // Of several reports in a day not each is answered by a program.
        let first = new.iter().find(|(_, mail)| mail.subject.contains("New report")).unwrap();
        self.world.handle = Handle::parse(&first.1.handle().unwrap()).unwrap();
        self.flush();
    }

    pub(crate) fn does(&mut self, who: Who, text: &str) -> Read {
        self.writes(who, text);
        let mail = self.world.does(who, text);
        self.flush();
        mail
    }

    pub(crate) fn confirms(&mut self, who: Who, text: &str) -> Read {
        self.writes(who, &format!("{text}, and confirms it"));
        let mail = self.world.confirms(who, text);
        self.flush();
        mail
    }

    /// A second person confirms what the first asked for.
    pub(crate) fn second(&mut self, who: Who, text: &str, other: Who) {
        self.second_and(who, text, other, "");
    }

    /// The same, with more lines in the mail of the second.
    pub(crate) fn second_and(&mut self, who: Who, text: &str, other: Who, more: &str) {
        self.writes(who, &format!("{text}; {} confirms it{more}", other.id()));
        self.world.seconds_and(who, text, other, more);
        self.flush();
    }

    pub(crate) fn refused(&mut self, who: Who, text: &str, why: &str) {
        self.writes(who, text);
        let mail = self.world.is_refused(who, text, why);
        self.golden
            .line(&format!("   refused: {}", mail.subject.split("Not done: ").last().unwrap()));
        self.flush();
    }

    pub(crate) fn waits(&mut self, span: Span) {
        self.world.stage.pass(span).unwrap();
        self.flush();
    }

    /// Lets time go by up to a moment.
    pub(crate) fn until(&mut self, moment: &str) {
        let to: Moment = moment.parse().unwrap();
        let span = to.signed_duration_since(self.now());
        assert!(span > Span::zero(), "{moment} has passed; it is {}", self.now());
        self.waits(span);
    }

    pub(crate) fn on(&mut self, handle: &Handle) {
        self.world.handle = handle.clone();
    }

    /// How many mails with this in their subject somebody has got.
    pub(crate) fn count(&mut self, who: Who, subject: &str) -> usize {
        let mails = self.world.stage.mailbox(who).unwrap();
        mails.iter().filter(|mail| mail.subject.contains(subject)).count()
    }

    pub(crate) fn state(&self, id: &str) -> State {
        let incident = self.world.incident();
        let items = schedule::agenda(incident, self.now());
        items.into_iter().find(|item| item.task.id.as_str() == id).unwrap().state
    }

    /// The end: each branch was taken in some incident, every row was reached in some, and the
    /// sequence is that of the golden file.
    pub(crate) fn end(mut self, name: &str, branches: &[&str], not_reached: &[&str]) {
        self.flush();
        let desk = self.world.stage.engine().unwrap().desk();
        let mut taken = BTreeSet::new();
        for incident in desk.all() {
            taken.extend(incident.branches().map(|branch| branch.id.clone()));
        }
        let wanted: BTreeSet<String> = branches.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(taken, wanted, "branches that were taken");
        let playbook =
            desk.playbooks.values().find(|playbook| playbook.id == desk.settings.playbook);
        let known: BTreeSet<String> =
            playbook.unwrap().branches.iter().map(|b| b.id.clone()).collect();
        assert_eq!(known, wanted, "branches of the process");
        let missing: Vec<&Task> = playbook
            .unwrap()
            .tasks
            .iter()
            .filter(|task| !self.reached.contains(task.id.as_str()))
            .collect();
        let missing: Vec<&str> = missing.iter().map(|task| task.id.as_str()).collect();
        assert_eq!(missing, not_reached, "rows that no incident of the tale came to");
        desk.audit().unwrap();
        // What was decided is what replaying gives.
        let replayed = self.world.stage.replayed().unwrap();
        for (handle, incident) in &desk.incidents {
            assert_eq!(format!("{:?}", replayed.incidents[handle]), format!("{incident:?}"));
        }
        self.golden.check(&format!("tale-{name}"));
    }
}

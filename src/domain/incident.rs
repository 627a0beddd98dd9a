//! An incident: what its facts add up to.
//!
//! [`Incident::apply`] is the only thing that changes an incident, and replay uses the same
//! function.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::event::{
    Ask, Blob, Copy, Delivery, Draft, Event, LetterNote, Mailed, Opening, Purpose, Recipient,
    ReporterKey,
};
use super::letter::KeyRank;
use super::names::{Address, Digest, Handle, MessageId, Moment, PersonId, TaskId};
use super::playbook::{Anchor, Audience, Kind, Playbook, Task};
use super::roster::Person;

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A report is there; nobody has judged it.
    Received,
    /// It is a vulnerability and is worked on.
    Accepted,
    /// It is not one.
    Rejected,
    /// It is rubbish.
    Spam,
    /// All is done.
    Closed,
    /// The same was reported before.
    Duplicate,
    /// It goes on as another incident.
    Merged,
}

impl Status {
    /// Whether anything is still to be done.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Received | Self::Accepted)
    }

    /// All that a reporter is told when they ask.
    #[must_use]
    pub fn word_for_reporter(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Accepted => "being worked on",
            Self::Rejected | Self::Spam | Self::Closed | Self::Duplicate | Self::Merged => "closed",
        }
    }

    /// As a word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Spam => "spam",
            Self::Closed => "closed",
            Self::Duplicate => "a duplicate",
            Self::Merged => "merged into another",
        }
    }
}

/// A notice that left or is leaving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// When it was released.
    pub at: Moment,
    /// Whether it was late.
    pub late: bool,
    /// Those whose copy is not in the outbox yet.
    pub pending: BTreeSet<Recipient>,
    /// The ledger: what became of each copy.
    pub copies: BTreeMap<Recipient, Delivery>,
    /// The T that it told.
    pub t: Option<Moment>,
}

/// A notice of the playbook, or one of the desk's own, in all its drafts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notice {
    /// The frozen drafts, the newest last.
    pub drafts: Vec<Draft>,
    /// Who approved the newest, and when.
    pub approvals: BTreeMap<PersonId, Moment>,
    /// What left, by number.
    pub releases: BTreeMap<u32, Release>,
}

impl Notice {
    /// The newest draft.
    #[must_use]
    pub fn draft(&self) -> Option<&Draft> {
        self.drafts.last()
    }

    /// Whether anything of it left.
    #[must_use]
    pub fn has_left(&self) -> bool {
        !self.releases.is_empty()
    }
}

/// A task that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// When.
    pub at: Moment,
    /// By whom; none for the desk.
    pub by: Option<PersonId>,
    /// By what.
    pub evidence: Option<String>,
}

/// Somebody who was asked to lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Who.
    pub to: PersonId,
    /// Who asked; none for the rotation.
    pub by: Option<PersonId>,
    /// When they were asked.
    pub at: Moment,
    /// Until when they can take it.
    pub until: Moment,
    /// Whether it is their turn in the rotation.
    pub turn: bool,
}

/// A notice that the playbook does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnNotice {
    /// It, in the shape of a row.
    pub task: Task,
    /// When it was added: it leaves as soon as it is approved.
    pub at: Moment,
}

/// The reporter of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporter {
    /// Where answers go.
    pub address: Option<Address>,
    /// Their key.
    pub key: Option<ReporterKey>,
    /// Whether the key may get content: it came from inside, or was proven since.
    pub key_proven: bool,
    /// When they last got a word that a person wrote, or the regular one.
    pub told: Option<Moment>,
    /// When they last asked where it stands.
    pub asked: Option<Moment>,
}

/// A score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Score {
    /// The CVSS vector.
    pub vector: String,
    /// The score in tenths, so that thresholds compare exactly.
    pub tenths: u32,
    /// None, Low, Medium, High or Critical.
    pub band: String,
}

impl Score {
    /// As people write it: `7.5 (High)`.
    #[must_use]
    pub fn say(&self) -> String {
        format!("{}.{} ({})", self.tenths / 10, self.tenths % 10, self.band)
    }
}

/// An incident, as its history adds up.
#[derive(Debug, Clone)]
pub struct Incident {
    /// Its name.
    pub handle: Handle,
    /// The process that it follows.
    pub playbook: Arc<Playbook>,
    /// When it was opened.
    pub opened: Moment,
    /// Where it stands.
    pub status: Status,
    /// Who reported it.
    pub reporter: Reporter,
    /// Its mails, the report first.
    pub letters: Vec<LetterNote>,
    /// Whether the report waits for the digest.
    pub deferred: bool,
    /// When the acknowledgement leaves.
    pub acknowledge: Option<Moment>,
    /// When a person's answer was taken by SMTP.
    pub answered: Option<Moment>,
    /// Its title.
    pub title: Option<String>,
    /// Its score.
    pub score: Option<Score>,
    /// Its CVE numbers.
    pub cves: BTreeSet<String>,
    /// Numbers of its advisories.
    pub ghsas: BTreeSet<String>,
    /// Its fields.
    pub fields: BTreeMap<String, String>,
    /// Who leads it.
    pub lead: Option<PersonId>,
    /// Who stands in for the lead.
    pub deputy: Option<PersonId>,
    /// Who is asked to lead.
    pub offer: Option<Offer>,
    /// Who did not want to lead it.
    pub declined: BTreeSet<PersonId>,
    /// Roles that people have on this incident only.
    pub joined: BTreeMap<PersonId, BTreeSet<String>>,
    /// Who has nothing to do with it any more.
    pub left: BTreeSet<PersonId>,
    /// The incident that it is a duplicate of, or that it was merged into.
    pub same_as: Option<Handle>,
    /// Incidents that are the same as this one; `true` for those that go on as this one.
    pub linked: BTreeMap<Handle, bool>,
    /// When one of the team last did something.
    pub last_word: Moment,
    /// The facts that tasks count from.
    pub anchors: BTreeMap<Anchor, Moment>,
    /// When T was last set: what was due before that is late by no one's fault.
    pub t_set: Option<Moment>,
    /// Tasks done.
    pub done: BTreeMap<TaskId, Done>,
    /// Tasks that will not be done; the reason stands where the evidence would.
    pub skipped: BTreeMap<TaskId, Done>,
    /// Notices that the playbook does not have.
    pub own: Vec<OwnNotice>,
    /// Who agreed to which gate, by role.
    pub agreed: BTreeMap<TaskId, BTreeMap<String, PersonId>>,
    /// Notices.
    pub notices: BTreeMap<TaskId, Notice>,
    /// Held notices; `None` holds all.
    pub held: BTreeSet<Option<TaskId>>,
    /// Notes to the team.
    pub notes: Vec<(Moment, Option<PersonId>, Blob)>,
    /// Open confirmations by the hash of their nonce.
    pub asks: BTreeMap<Digest, Ask>,
    /// What people were reminded of.
    pub reminded: BTreeSet<String>,
    /// Mails that went out, by id.
    pub mails: BTreeMap<MessageId, Mailed>,
    /// The first mail that each recipient got: what later ones answer.
    pub root_mails: BTreeMap<Recipient, MessageId>,
}

impl Incident {
    /// An incident that a report has just opened.
    #[must_use]
    pub fn open(handle: Handle, at: Moment, opening: &Opening, playbook: Arc<Playbook>) -> Self {
        let received = opening.letter.received;
        Self {
            handle,
            playbook,
            opened: at,
            status: Status::Received,
            reporter: Reporter {
                address: opening.reporter.clone(),
                key_proven: opening.key.as_ref().is_some_and(|key| key.rank < KeyRank::Outside),
                key: opening.key.clone(),
                told: None,
                asked: None,
            },
            letters: vec![opening.letter.clone()],
            deferred: opening.deferred,
            acknowledge: opening.acknowledge,
            answered: None,
            title: None,
            score: None,
            cves: BTreeSet::new(),
            ghsas: BTreeSet::new(),
            fields: BTreeMap::new(),
            lead: None,
            deputy: None,
            offer: None,
            declined: BTreeSet::new(),
            joined: BTreeMap::new(),
            left: BTreeSet::new(),
            same_as: None,
            linked: BTreeMap::new(),
            last_word: at,
            anchors: BTreeMap::from([(Anchor::Received, received), (Anchor::Disclosed, received)]),
            t_set: None,
            done: BTreeMap::new(),
            skipped: BTreeMap::new(),
            own: Vec::new(),
            agreed: BTreeMap::new(),
            notices: BTreeMap::new(),
            held: BTreeSet::new(),
            notes: Vec::new(),
            asks: BTreeMap::new(),
            reminded: BTreeSet::new(),
            mails: BTreeMap::new(),
            root_mails: BTreeMap::new(),
        }
    }

    /// The planned moment of public disclosure.
    #[must_use]
    pub fn t(&self) -> Option<Moment> {
        self.anchors.get(&Anchor::T).copied()
    }

    /// When it became public.
    #[must_use]
    pub fn published(&self) -> Option<Moment> {
        self.anchors.get(&Anchor::Released).copied()
    }

    /// When it was said that the public knows of it.
    #[must_use]
    pub fn known_public(&self) -> Option<Moment> {
        self.anchors.get(&Anchor::PublicKnown).copied()
    }

    /// When it was said that it is exploited.
    #[must_use]
    pub fn exploited(&self) -> Option<Moment> {
        self.anchors.get(&Anchor::ExploitationKnown).copied()
    }

    /// Its tasks: the rows of the playbook, and the notices that were added.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.playbook.tasks.iter().chain(self.own.iter().map(|own| &own.task))
    }

    /// The task with this id.
    #[must_use]
    pub fn task(&self, id: &TaskId) -> Option<&Task> {
        self.tasks().find(|task| task.id == *id)
    }

    /// Its notices.
    pub fn notice_tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks().filter(|task| task.kind == Kind::Draft)
    }

    /// Whether somebody holds a role on this incident: by the roster unless they left, or because
    /// they joined with it, be it after they had left.
    #[must_use]
    pub fn holds(&self, person: &Person, role: &str) -> bool {
        let joined = self.joined.get(&person.id).is_some_and(|roles| roles.contains(role));
        joined || (!self.left.contains(&person.id) && person.roles.contains(role))
    }

    /// Whether somebody holds any role of the playbook on this incident.
    #[must_use]
    pub fn is_team(&self, person: &Person) -> bool {
        self.playbook.roles.keys().any(|role| self.holds(person, role))
    }

    /// Whether a notice may not leave now.
    #[must_use]
    pub fn is_held(&self, notice: &TaskId) -> bool {
        self.held.contains(&None) || self.held.contains(&Some(notice.clone()))
    }

    /// Everyone whose last word from us about the date was another than the present T.
    #[must_use]
    pub fn holders_of_a_date(&self) -> BTreeMap<Recipient, Moment> {
        let mut last: BTreeMap<Recipient, (Moment, Moment)> = BTreeMap::new();
        for release in self.notices.values().flat_map(|notice| notice.releases.values()) {
            let Some(t) = release.t else { continue };
            for (to, delivery) in &release.copies {
                let told = !matches!(delivery, Delivery::Withheld | Delivery::Withdrawn);
                if told && last.get(to).is_none_or(|(at, _)| *at <= release.at) {
                    last.insert(to.clone(), (release.at, t));
                }
            }
        }
        last.into_iter().map(|(to, (_, t))| (to, t)).collect()
    }

    /// Takes a fact in. Cannot fail, decides nothing, and is the same at replay.
    #[expect(clippy::too_many_lines, reason = "one arm for each fact; a table of what each means")]
    pub fn apply(&mut self, at: Moment, by: Option<&PersonId>, event: &Event) {
        // A refused mail may be a copy that anybody sent; so may what answers it.
        let refused = matches!(event, Event::Refused { .. } | Event::Mailed { .. });
        if by.is_some() && !refused {
            self.last_word = at;
        }
        if matches!(
            event,
            Event::Rejected { .. }
                | Event::Spam
                | Event::Closed
                | Event::Duplicated { .. }
                | Event::Merged { .. }
        ) {
            self.offer = None;
        }
        match event {
            Event::Configured { .. }
            | Event::SignatureSpent { .. }
            | Event::KeySent { .. }
            | Event::Warned { .. }
            | Event::Digested { .. }
            | Event::Opened(_)
            | Event::CopySeen { .. }
            | Event::Commanded { .. }
            | Event::Refused { .. }
            | Event::Unreadable
            | Event::AwaySet { .. }
            | Event::Restored => {}
            Event::Joined { letter } => self.letters.push(letter.clone()),
            Event::KeyPinned { key } => {
                self.reporter.key = Some(key.clone());
                self.reporter.key_proven = true;
            }
            Event::KeyProven { fingerprint } => {
                let same =
                    self.reporter.key.as_ref().is_some_and(|key| key.fingerprint == *fingerprint);
                self.reporter.key_proven |= same;
            }
            Event::Mailed { mails } => mails.iter().for_each(|mail| self.mailed(at, mail.clone())),
            Event::Delivered { message_id, outcome } => self.delivered(at, message_id, *outcome),
            Event::Accepted => {
                self.status = Status::Accepted;
                self.anchors.entry(Anchor::Accepted).or_insert(at);
            }
            Event::Rejected { .. } => self.status = Status::Rejected,
            Event::Spam => self.status = Status::Spam,
            Event::Closed => self.status = Status::Closed,
            Event::Duplicated { of } => {
                self.status = Status::Duplicate;
                self.same_as = Some(of.clone());
            }
            Event::Merged { into } => {
                self.status = Status::Merged;
                self.same_as = Some(into.clone());
            }
            Event::Linked { handle, merged } => {
                self.linked.insert(handle.clone(), *merged);
            }
            Event::Unlinked { handle } => {
                self.linked.remove(handle);
            }
            Event::Reopened => {
                let accepted = self.anchors.contains_key(&Anchor::Accepted);
                self.status = if accepted { Status::Accepted } else { Status::Received };
                self.same_as = None;
            }
            Event::KnownPublic => {
                self.anchors.entry(Anchor::PublicKnown).or_insert(at);
            }
            Event::Exploited => {
                self.anchors.entry(Anchor::ExploitationKnown).or_insert(at);
            }
            Event::FieldSet { field, value } => {
                self.fields.insert(field.clone(), value.clone());
            }
            Event::Titled { title } => self.title = Some(title.clone()),
            Event::Scored { vector, tenths, band } => {
                self.score =
                    Some(Score { vector: vector.clone(), tenths: *tenths, band: band.clone() });
                self.anchors.entry(Anchor::Triaged).or_insert(at);
            }
            Event::CveSet { cve } => {
                self.cves.insert(cve.clone());
            }
            Event::GhsaSet { ghsa } => {
                self.ghsas.insert(ghsa.clone());
            }
            Event::Credited { credit } => {
                self.fields.insert("credit".to_owned(), credit.clone());
            }
            Event::WillPublish { .. } => {}
            Event::StatusAsked { alias } => {
                if alias.is_none() {
                    self.reporter.asked = Some(at);
                }
            }
            Event::LeadSet { person, .. } => {
                self.lead = Some(person.clone());
                self.offer = None;
            }
            Event::LeadOffered { to, until, turn } => {
                let (to, by) = (to.clone(), by.cloned());
                self.offer = Some(Offer { to, by, at, until: *until, turn: *turn });
            }
            Event::LeadDeclined { person, .. } => {
                self.offer = None;
                self.declined.insert(person.clone());
            }
            Event::DeputySet { person } => self.deputy = Some(person.clone()),
            Event::MemberJoined { person, role } => {
                self.joined.entry(person.clone()).or_default().insert(role.clone());
            }
            Event::MemberLeft { person } => self.leave(person),
            Event::TaskDone { task, evidence, sets } => {
                let done = Done { at, by: by.cloned(), evidence: evidence.clone() };
                self.done.insert(task.clone(), done);
                if let Some(anchor) = sets {
                    self.anchors.insert(*anchor, at);
                }
            }
            Event::TaskUndone { task } => self.undo(task),
            Event::TaskSkipped { task, reason } => {
                let done = Done { at, by: by.cloned(), evidence: Some(reason.clone()) };
                self.skipped.insert(task.clone(), done);
            }
            Event::NoticeAdded { notice, title, template, group, approvals } => {
                let task = Task {
                    title: title.clone(),
                    role: self.playbook.intake.clone(),
                    phase: "added".to_owned(),
                    template: Some(template.clone()),
                    audience: Some(Audience::Group(group.clone())),
                    approvals: usize::try_from(*approvals).unwrap_or(1).max(1),
                    four_eyes: true,
                    ..Task::bare(notice.clone(), Kind::Draft)
                };
                self.own.push(OwnNotice { task, at });
            }
            Event::Agreed { task, role } => {
                if let Some(person) = by {
                    self.agreed
                        .entry(task.clone())
                        .or_default()
                        .insert(role.clone(), person.clone());
                }
            }
            Event::Noted { note } => self.notes.push((at, by.cloned(), *note)),
            Event::TSet { t } => {
                self.anchors.insert(Anchor::T, *t);
                self.t_set = Some(at);
            }
            Event::Published { at } => {
                self.anchors.insert(Anchor::Released, *at);
            }
            Event::Frozen(draft) => {
                let notice = self.notices.entry(draft.notice.clone()).or_default();
                notice.drafts.push(Draft::clone(draft));
                notice.approvals.clear();
            }
            Event::Approved { notice, .. } => {
                if let Some(person) = by {
                    let notice = self.notices.entry(notice.clone()).or_default();
                    notice.approvals.insert(person.clone(), at);
                }
            }
            Event::Held { notice } => {
                self.held.insert(notice.clone());
            }
            Event::Resumed { notice } => match notice {
                Some(_) => {
                    self.held.remove(notice);
                }
                None => self.held.clear(),
            },
            Event::Released { notice, number, late, recipients } => {
                let notice = self.notices.entry(notice.clone()).or_default();
                let t =
                    notice.drafts.iter().find(|draft| draft.number == *number).and_then(|d| d.t);
                let release = Release {
                    at,
                    late: *late,
                    pending: recipients.clone(),
                    copies: BTreeMap::new(),
                    t,
                };
                notice.releases.insert(*number, release);
            }
            Event::Sent { notice, number, copies } => self.sent(at, notice, *number, copies),
            Event::ConfirmAsked { nonce, ask } => {
                self.asks.insert(*nonce, ask.clone());
            }
            Event::Confirmed { nonce } | Event::Cancelled { nonce } => {
                // What was asked of several people is settled by the first of them.
                if let Some(settled) = self.asks.remove(nonce) {
                    self.asks.retain(|_, ask| ask.basis != settled.basis);
                }
            }
            Event::Reminded { what } => {
                self.reminded.insert(what.clone());
            }
        }
    }

    fn leave(&mut self, person: &PersonId) {
        self.joined.remove(person);
        self.left.insert(person.clone());
        self.forget(&|id| id == person);
    }

    /// Takes back what people did who are not in the roster any more, or have lost the role for it.
    pub fn forget_who_is_gone(&mut self, roster: &super::roster::Roster) {
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
        let fits =
            |role: &str, id: &PersonId| of_role.get(role).is_some_and(|ids| ids.contains(id));
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

    fn undo(&mut self, task: &TaskId) {
        let sets = self.task(task).and_then(|task| task.sets);
        let done = self.done.remove(task);
        self.skipped.remove(task);
        self.agreed.remove(task);
        // Only what this task had set: somebody may have said the same by another word.
        if let (Some(anchor), Some(done)) = (sets, done)
            && self.anchors.get(&anchor) == Some(&done.at)
        {
            self.anchors.remove(&anchor);
        }
    }

    fn sent(&mut self, at: Moment, notice: &TaskId, number: u32, copies: &[Copy]) {
        let releases = self.notices.get_mut(notice).map(|notice| &mut notice.releases);
        let Some(release) = releases.and_then(|releases| releases.get_mut(&number)) else {
            return;
        };
        for copy in copies {
            release.pending.remove(&copy.to);
            release.copies.insert(copy.to.clone(), copy.state);
        }
        for copy in copies {
            let purpose = Purpose::Notice { notice: notice.clone(), number };
            let (message_id, to) = (copy.message_id.clone(), copy.to.clone());
            self.mailed(at, Mailed { message_id, to, purpose });
        }
    }

    fn mailed(&mut self, at: Moment, mail: Mailed) {
        if matches!(mail.purpose, Purpose::Answer | Purpose::Update) {
            self.reporter.told = Some(at);
        }
        self.root_mails.entry(mail.to.clone()).or_insert_with(|| mail.message_id.clone());
        self.mails.insert(mail.message_id.clone(), mail);
    }

    fn delivered(&mut self, at: Moment, message_id: &MessageId, outcome: Delivery) {
        let Some(mail) = self.mails.get(message_id) else {
            return;
        };
        match &mail.purpose {
            Purpose::Answer if outcome == Delivery::Accepted => {
                self.answered.get_or_insert(at);
            }
            Purpose::Notice { notice, number } => {
                let release = self.notices.get_mut(notice).and_then(|n| n.releases.get_mut(number));
                if let Some(release) = release {
                    release.copies.insert(mail.to.clone(), outcome);
                }
            }
            Purpose::Acknowledgement
            | Purpose::Answer
            | Purpose::Relay
            | Purpose::Transcript
            | Purpose::Refusal
            | Purpose::Reminder
            | Purpose::Key
            | Purpose::Waiting
            | Purpose::Alert
            | Purpose::Update => {}
        }
    }
}

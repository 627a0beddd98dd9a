//! An incident, and how each fact changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::event::{
    Ask, Blob, Draft, Event, LetterNote, Mailed, Opening, Purpose, Recipient,
};
use crate::domain::facts::names::{Digest, Handle, MessageId, Moment, PersonId, TaskId};
use crate::domain::facts::outer_view::KeyRank;
use crate::domain::facts::seconded::Alone;
use crate::domain::model::incident::parts::{
    AnchorSet, Done, Notice, Offer, OwnNotice, Release, Reporter, Shared, Sharing, Status,
};
use crate::domain::model::roster::Person;
use crate::domain::process::playbook::field::Score;
use crate::domain::process::playbook::{Audience, HeldBy, Kind, Playbook, Task};

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
    /// Whether it is a report in clear that nobody has touched: people are reminded of it by the digest alone.
    pub waits: bool,
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
    /// Roles that people have on this incident only, and who alone gave each; none where two did.
    pub joined: BTreeMap<PersonId, BTreeMap<String, Option<PersonId>>>,
    /// Whom the config has given which roles of the playbook, left or not.
    pub of_config: BTreeMap<PersonId, BTreeSet<String>>,
    /// That the desk has one maintainer, as its config says.
    pub alone: Option<Alone>,
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
    /// Every change of an anchor, in order.
    pub anchor_changes: Vec<AnchorSet>,
    /// When each thing in the record was last set.
    pub set_at: BTreeMap<String, Moment>,
    /// The release that it shares with others.
    pub batch: Option<String>,
    /// Who leads the first incident of that release.
    pub first_lead: Option<PersonId>,
    /// What is done once for that release.
    pub sharing: Sharing,
    /// Notices about this and others that left on another: where, which, and its number.
    pub shared: BTreeMap<(Handle, TaskId, u32), Shared>,
    /// Since when each branch of its process is taken.
    pub taken: BTreeMap<String, Moment>,
    /// Roles that have ended on this incident.
    pub ended: BTreeSet<String>,
    /// Who had joined with them: what is taken back brings them back.
    pub parked: BTreeMap<(PersonId, String), Option<PersonId>>,
    /// When T was last set: what was due before that is late by no one's fault.
    pub t_set: Option<Moment>,
    /// Gates that somebody has closed again, until two people open them.
    pub reopened: BTreeSet<TaskId>,
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
    /// Who of a group gets what is sent to it, where it is not everybody.
    pub audiences: BTreeMap<String, BTreeSet<PersonId>>,
    /// Who of the recipients objects, and their words.
    pub objections: Vec<(Moment, PersonId, Blob)>,
    /// When it got out, and by whom, as far as that is known.
    pub leaked: Option<(Moment, Option<PersonId>)>,
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
        let mut incident = Self {
            handle,
            playbook,
            opened: at,
            status: Status::Received,
            reporter: Reporter {
                address: opening.reporter.clone(),
                language: opening.language.clone(),
                key_proven: opening.key.as_ref().is_some_and(|key| key.rank < KeyRank::Outside),
                key: opening.key.clone(),
                told: None,
                asked: None,
                on_date: None,
                unreached: None,
                unsent: 0,
                looked_encrypted: opening.looks_encrypted,
            },
            letters: vec![opening.letter.clone()],
            deferred: opening.deferred,
            waits: opening.waits(),
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
            of_config: BTreeMap::new(),
            alone: None,
            left: BTreeSet::new(),
            same_as: None,
            linked: BTreeMap::new(),
            last_word: at,
            anchors: BTreeMap::from([(Anchor::Received, received), (Anchor::Disclosed, received)]),
            anchor_changes: Vec::new(),
            set_at: BTreeMap::new(),
            batch: None,
            first_lead: None,
            sharing: Sharing::default(),
            shared: BTreeMap::new(),
            taken: BTreeMap::new(),
            ended: BTreeSet::new(),
            parked: BTreeMap::new(),
            t_set: None,
            reopened: BTreeSet::new(),
            done: BTreeMap::new(),
            skipped: BTreeMap::new(),
            own: Vec::new(),
            agreed: BTreeMap::new(),
            notices: BTreeMap::new(),
            held: BTreeSet::new(),
            notes: Vec::new(),
            asks: BTreeMap::new(),
            audiences: BTreeMap::new(),
            objections: Vec::new(),
            leaked: None,
            reminded: BTreeSet::new(),
            mails: BTreeMap::new(),
            root_mails: BTreeMap::new(),
        };
        incident.note_branches(at);
        incident
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
        self.tasks().filter(|task| task.is_notice())
    }

    /// Whether somebody holds a role on this incident: by the roster unless they left, because
    /// they joined with it, be it after they had left, or because they lead.
    #[must_use]
    pub fn holds(&self, person: &Person, role: &str) -> bool {
        let is = |id: &Option<PersonId>| id.as_ref() == Some(&person.id);
        match self.playbook.roles.get(role).and_then(|role| role.held_by) {
            Some(HeldBy::Lead) => return is(&self.lead),
            Some(HeldBy::Deputy) => return is(&self.deputy),
            Some(HeldBy::FirstLead) if self.first_lead.is_some() => {
                return is(&self.first_lead);
            }
            Some(HeldBy::FirstLead) => return is(&self.lead),
            None => {}
        }
        // Who joins after a role has ended was asked to; the roster alone gives it no more.
        let joined = self.joined.get(&person.id).is_some_and(|roles| roles.contains_key(role));
        let off = self.left.contains(&person.id) || self.ended.contains(role);
        joined || (!off && person.roles.contains(role))
    }

    /// Whether somebody holds any role of the playbook on this incident.
    #[must_use]
    pub fn is_team(&self, person: &Person) -> bool {
        // Who leads must have a role besides: leading alone makes nobody one of the team.
        let roles = self.playbook.roles.iter().filter(|(_, role)| role.held_by.is_none());
        roles.into_iter().any(|(id, _)| self.holds(person, id))
    }

    fn shares_no_more(&mut self) {
        self.batch = None;
        self.first_lead = None;
        let mut elsewhere = std::mem::take(&mut self.sharing).elsewhere;
        elsewhere.retain(|_, row| row.done.is_some());
        self.sharing.elsewhere = elsewhere;
    }

    /// Whether a notice may not leave now.
    #[must_use]
    pub fn is_held(&self, notice: &TaskId) -> bool {
        self.held.contains(&None) || self.held.contains(&Some(notice.clone()))
    }

    /// Takes a fact in. Cannot fail, decides nothing, and is the same at replay.
    #[expect(clippy::too_many_lines, reason = "one arm for each fact; a table of what each means")]
    pub fn apply(&mut self, at: Moment, by: Option<&PersonId>, event: &Event) {
        // A refused mail may be a copy that anybody sent; so may what answers it.
        let refused = matches!(event, Event::Refused { .. } | Event::Mailed { .. });
        if by.is_some() && !refused {
            self.last_word = at;
            self.waits = false;
        }
        if matches!(
            event,
            Event::Rejected { .. }
                | Event::Spam
                | Event::Untouched
                | Event::Closed
                | Event::Duplicated { .. }
                | Event::Merged { .. }
        ) {
            self.offer = None;
            // What is over shares no release any more; opened again, it joins anew.
            self.shares_no_more();
        }
        match event {
            Event::Configured { .. }
            | Event::SignatureSpent { .. }
            | Event::KeySent { .. }
            | Event::AutoAnswered { .. }
            | Event::Warned { .. }
            | Event::ServerTakes { .. }
            | Event::ReadsNewer { .. }
            | Event::WithheldTold { .. }
            | Event::Digested { .. }
            | Event::Listed { .. }
            | Event::MadeReport { .. }
            | Event::ReportGone { .. }
            | Event::Opened(_)
            | Event::CopySeen { .. }
            | Event::Commanded { .. }
            | Event::Refused { .. }
            | Event::Unreadable
            | Event::AwaySet { .. }
            | Event::Restored
            | Event::ClockTrusted
            | Event::Started { .. }
            | Event::Member { .. }
            | Event::Told { .. }
            | Event::Migrated { .. } => {}
            Event::SaidInClear { text } => self.notes.push((at, by.cloned(), *text)),
            Event::AnswerUnsent { .. } => {
                self.reporter.unsent = self.reporter.unsent.saturating_add(1)
            }
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
            Event::Delivered { message_id, outcome, reply } => {
                self.delivered(at, message_id, *outcome, reply);
            }
            Event::Reported { message_id, fate, status } => {
                self.reported(at, message_id, *fate, status);
            }
            Event::CaughtUp { notice, number, recipients } => {
                self.catch_up(notice, *number, recipients);
            }
            Event::Answered { notice, number, answer } => {
                if let Some(person) = by {
                    self.answered_notice(at, person, notice, *number, *answer);
                }
            }
            Event::Objected { words } => {
                if let Some(person) = by {
                    self.objections.push((at, person.clone(), *words));
                }
            }
            Event::AudienceSet { group, members } => {
                match members {
                    Some(members) => self.audiences.insert(group.clone(), members.clone()),
                    None => self.audiences.remove(group),
                };
            }
            Event::Leaked { who, .. } => self.leaked = Some((at, who.clone())),
            Event::Accepted => {
                self.status = Status::Accepted;
                self.mark_first(Anchor::Accepted, at, by);
            }
            Event::Rejected { .. } => {
                self.status = Status::Rejected;
                self.mark(Anchor::Invalid, Some(at), at, by);
            }
            Event::Spam => self.status = Status::Spam,
            Event::Gathered => {}
            Event::Untouched => self.status = Status::Closed,
            Event::Closed => {
                self.status = Status::Closed;
                // Who is asked about it on the day that it is opened again is asked anew.
                self.asks.clear();
                self.mark(Anchor::Closed, Some(at), at, by);
            }
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
                self.sharing.elsewhere.clear();
                let accepted = self.anchors.contains_key(&Anchor::Accepted);
                self.status = if accepted { Status::Accepted } else { Status::Received };
                self.same_as = None;
                for anchor in [Anchor::Invalid, Anchor::Closed] {
                    if self.anchors.contains_key(&anchor) {
                        self.mark(anchor, None, at, by);
                    }
                }
            }
            Event::KnownPublic => self.mark_first(Anchor::PublicKnown, at, by),
            Event::Exploited => self.mark_first(Anchor::ExploitationKnown, at, by),
            Event::AnchorSet { anchor, moment } => self.mark(*anchor, Some(*moment), at, by),
            Event::BatchJoined { batch } => self.batch = Some(batch.clone()),
            Event::BatchLeft => {
                self.shares_no_more();
                self.sharing.elsewhere.clear();
            }
            Event::SharedSent { on, notice, number, to, seconded } => {
                let id = (on.clone(), notice.clone(), *number);
                let t = self.t();
                let new = Shared { at, t, to: BTreeSet::new(), seconded: seconded.clone() };
                self.shared.entry(id).or_insert(new).to.extend(to.iter().cloned());
            }
            Event::RoleEnded { role } => self.end_role(role),
            Event::FieldSet { field, value } => {
                self.fields.insert(field.clone(), value.clone());
                self.recorded(field, at, by);
            }
            Event::Titled { title } => {
                self.title = Some(title.clone());
                self.recorded("title", at, by);
            }
            Event::Scored { vector, tenths, band } => {
                self.score =
                    Some(Score { vector: vector.clone(), tenths: *tenths, band: band.clone() });
                self.recorded("cvss", at, by);
            }
            Event::CveSet { cve } => {
                self.cves.insert(cve.clone());
                self.recorded("cve", at, by);
            }
            Event::GhsaSet { ghsa } => {
                self.ghsas.insert(ghsa.clone());
                self.recorded("ghsa", at, by);
            }
            Event::Credited { credit } => {
                self.fields.insert("credit".to_owned(), credit.to_string());
                self.recorded("credit", at, by);
            }
            Event::WillPublish { .. } => self.mark_first(Anchor::IntentToPublish, at, by),
            Event::ReporterOnDate { agrees, t, .. } => {
                self.reporter.on_date = Some((at, *agrees, *t));
            }
            Event::StatusAsked { alias } => {
                if alias.is_none() {
                    self.reporter.asked = Some(at);
                }
            }
            Event::LeadSet { person, .. } => {
                self.lead = Some(person.clone());
                self.set_at.insert("lead".to_owned(), at);
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
            Event::DeputySet { person } => {
                self.deputy = Some(person.clone());
                self.set_at.insert("deputy".to_owned(), at);
            }
            Event::MemberJoined { person, role, seconded } => {
                let given_by = if seconded.is_some() { None } else { by.cloned() };
                self.joined.entry(person.clone()).or_default().insert(role.clone(), given_by);
            }
            Event::MemberLeft { person } => self.leave(person),
            Event::TaskDone { task, evidence, sets, seconded } => {
                let (evidence, seconded) = (evidence.clone(), seconded.clone());
                let done = Done { at, by: by.cloned(), evidence, seconded };
                self.done.insert(task.clone(), done);
                if let Some(anchor) = sets {
                    self.mark(*anchor, Some(at), at, by);
                }
            }
            Event::TaskUndone { task } => self.undo(task, at, by),
            Event::TaskSkipped { task, reason } => {
                let evidence = Some(reason.clone());
                let done = Done { at, by: by.cloned(), evidence, seconded: None };
                self.skipped.insert(task.clone(), done);
            }
            Event::NoticeAdded { notice, title, template, group, member, approvals } => {
                let audience = Audience::of(group.clone(), member.clone());
                let task = Task {
                    title: title.clone(),
                    role: self.playbook.intake.clone(),
                    phase: "added".to_owned(),
                    template: Some(template.clone()),
                    audience: Some(audience),
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
                if self.t().is_some_and(|old| old != *t) {
                    self.lapse_gates(at, by);
                }
                self.mark(Anchor::T, Some(*t), at, by);
                self.t_set = Some(at);
                self.set_at.insert("t".to_owned(), at);
            }
            Event::Published { at: public, .. } => {
                // What is public was released, whether or not somebody has said so.
                if !self.anchors.contains_key(&Anchor::Released) {
                    self.mark(Anchor::Released, Some(*public), at, by);
                }
                self.mark(Anchor::Public, Some(*public), at, by);
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
                // What one person said alone, and waits: this is how anybody stops it.
                if notice.is_none() {
                    self.asks.retain(|_, ask| ask.said.is_none());
                }
                self.held.insert(notice.clone());
            }
            Event::Resumed { notice, .. } => match notice {
                Some(_) => {
                    self.held.remove(notice);
                }
                None => self.held.clear(),
            },
            Event::Released { notice, number, late, recipients, seconded } => {
                let to_group = self.task(notice).is_some_and(|task| {
                    matches!(task.audience, Some(Audience::Group(_))) && !recipients.is_empty()
                });
                if to_group {
                    self.mark_first(Anchor::ListNotified, at, by);
                }
                let notice = self.notices.entry(notice.clone()).or_default();
                let t =
                    notice.drafts.iter().find(|draft| draft.number == *number).and_then(|d| d.t);
                let release = Release {
                    at,
                    late: *late,
                    pending: recipients.clone(),
                    copies: BTreeMap::new(),
                    caught_up: BTreeSet::new(),
                    complete: recipients.is_empty().then_some(at),
                    t,
                    accepted: None,
                    seconded: seconded.clone(),
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
        self.note_branches(at);
    }

    fn undo(&mut self, task: &TaskId, at: Moment, by: Option<&PersonId>) {
        let base = task.as_str().split('/').next().and_then(TaskId::parse);
        let sets = base.and_then(|base| self.task(&base)).and_then(|task| task.sets);
        if self.task(task).is_some_and(|task| task.kind == Kind::Gate) {
            self.reopened.insert(task.clone());
        }
        let done = self.done.remove(task);
        self.skipped.remove(task);
        self.agreed.remove(task);
        // Only what this task had set: somebody may have said the same by another word.
        if let (Some(anchor), Some(done)) = (sets, done)
            && self.anchors.get(&anchor) == Some(&done.at)
        {
            self.mark(anchor, None, at, by);
            self.take_back_ended(anchor);
        }
    }

    pub(crate) fn mailed(&mut self, at: Moment, mail: Mailed) {
        let to_reporter = mail.to == Recipient::Reporter;
        if to_reporter && matches!(mail.purpose, Purpose::Answer | Purpose::Update) {
            self.reporter.told = Some(at);
        }
        // With their key the answers leave again.
        if to_reporter && mail.purpose == Purpose::Answer && self.reporter.key_proven {
            self.reporter.unsent = 0;
        }
        self.root_mails.entry(mail.to.clone()).or_insert_with(|| mail.message_id.clone());
        self.mails.insert(mail.message_id.clone(), mail);
    }
}

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
use super::playbook::{Anchor, Playbook};

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
}

impl Status {
    /// Whether anything is still to be done.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Received | Self::Accepted)
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

/// The reporter of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporter {
    /// Where answers go.
    pub address: Option<Address>,
    /// Their key.
    pub key: Option<ReporterKey>,
    /// Whether the key may get content: it came from inside, or was proven since.
    pub key_proven: bool,
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
    /// Its fields.
    pub fields: BTreeMap<String, String>,
    /// Who leads it.
    pub lead: Option<PersonId>,
    /// The facts that tasks count from.
    pub anchors: BTreeMap<Anchor, Moment>,
    /// When T was last set: what was due before that is late by no one's fault.
    pub t_set: Option<Moment>,
    /// Tasks done.
    pub done: BTreeMap<TaskId, Done>,
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
            },
            letters: vec![opening.letter.clone()],
            deferred: opening.deferred,
            acknowledge: opening.acknowledge,
            answered: None,
            title: None,
            score: None,
            cves: BTreeSet::new(),
            fields: BTreeMap::new(),
            lead: None,
            anchors: BTreeMap::from([(Anchor::Received, received), (Anchor::Disclosed, received)]),
            t_set: None,
            done: BTreeMap::new(),
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
            | Event::Unreadable => {}
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
            Event::Mailed { mails } => mails.iter().for_each(|mail| self.mailed(mail.clone())),
            Event::Delivered { message_id, outcome } => self.delivered(at, message_id, *outcome),
            Event::Accepted => {
                self.status = Status::Accepted;
                self.anchors.entry(Anchor::Accepted).or_insert(at);
            }
            Event::Rejected { .. } => self.status = Status::Rejected,
            Event::Spam => self.status = Status::Spam,
            Event::Closed => self.status = Status::Closed,
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
            Event::LeadSet { person } => self.lead = Some(person.clone()),
            Event::TaskDone { task, evidence, sets } => {
                let done = Done { at, by: by.cloned(), evidence: evidence.clone() };
                self.done.insert(task.clone(), done);
                if let Some(anchor) = sets {
                    self.anchors.insert(*anchor, at);
                }
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
            Event::Sent { notice, number, copies } => self.sent(notice, *number, copies),
            Event::ConfirmAsked { nonce, ask } => {
                self.asks.insert(*nonce, ask.clone());
            }
            Event::Confirmed { nonce } | Event::Cancelled { nonce } => {
                self.asks.remove(nonce);
            }
            Event::Reminded { what } => {
                self.reminded.insert(what.clone());
            }
        }
    }

    fn sent(&mut self, notice: &TaskId, number: u32, copies: &[Copy]) {
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
            self.mailed(Mailed {
                message_id: copy.message_id.clone(),
                to: copy.to.clone(),
                purpose,
            });
        }
    }

    fn mailed(&mut self, mail: Mailed) {
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
            | Purpose::Alert => {}
        }
    }
}

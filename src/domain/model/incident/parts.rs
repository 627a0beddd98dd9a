//! What an incident is made of: where it stands, its notices and their ledger, what was done.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::event::{Answer, Delivery, Draft, Recipient, ReporterKey};
use crate::domain::facts::letter::Fate;
use crate::domain::facts::names::{Address, Handle, Moment, PersonId, TaskId};
use crate::domain::facts::seconded::Seconded;
use crate::domain::process::playbook::Task;

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

/// A line of the ledger: one notice, one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// How far we got with it.
    pub delivery: Delivery,
    /// Since when.
    pub since: Moment,
    /// What the mail server answered when it took it, or refused it.
    pub reply: String,
    /// What a delivery report said last. Evidence, and no more.
    pub report: Option<(Moment, Fate, String)>,
    /// When they said that they have it.
    pub received: Option<Moment>,
    /// When they said that they are ready.
    pub ready: Option<Moment>,
}

impl Entry {
    /// A copy that has come so far, and of which nothing else is known.
    #[must_use]
    pub fn new(delivery: Delivery, since: Moment) -> Self {
        Self { delivery, since, reply: String::new(), report: None, received: None, ready: None }
    }

    /// Whether it went out, as far as we know.
    #[must_use]
    pub fn went_out(&self) -> bool {
        matches!(self.delivery, Delivery::Queued | Delivery::Accepted | Delivery::Unknown)
    }

    /// Takes in what the recipient said.
    pub fn answered(&mut self, at: Moment, answer: Answer) {
        self.received.get_or_insert(at);
        if answer == Answer::Ready {
            self.ready.get_or_insert(at);
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
    /// The ledger: what became of each copy, and what its recipient said.
    pub copies: BTreeMap<Recipient, Entry>,
    /// Those who get it after the others, because they came later or had no usable key.
    pub caught_up: BTreeSet<Recipient>,
    /// When the last copy was first in the outbox.
    pub complete: Option<Moment>,
    /// The T that it told.
    pub t: Option<Moment>,
    /// When the mail server first took a copy.
    pub accepted: Option<Moment>,
    /// Who stands behind it; none where it stays within the team.
    pub seconded: Option<Seconded>,
}

/// A notice about this and other incidents of the same release, that left on the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// When its first copy was in the outbox.
    pub at: Moment,
    /// The T that it told.
    pub t: Option<Moment>,
    /// Who had a copy.
    pub to: BTreeSet<PersonId>,
    /// Who stands behind it; none where it stays within the team.
    pub seconded: Option<Seconded>,
}

/// What an incident and the others of its release do for one another. Derived after every fact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Rows that the first incident of that release does for all of them.
    pub elsewhere: BTreeMap<TaskId, Elsewhere>,
    /// The first incident of that release, where it is another.
    pub first: Option<Handle>,
    /// The others for which this one, being the first, speaks of the date ahead.
    pub mates: BTreeSet<Handle>,
    /// The same for all that does not announce it.
    pub mates_after: BTreeSet<Handle>,
    /// What on one of them holds back a notice that is for all of them, in words.
    pub lacks: BTreeMap<TaskId, String>,
}

/// A row that is done once for a release, on the first of its incidents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// On which.
    pub on: Handle,
    /// When and by whom it was done there; nobody where the desk did it.
    pub done: Option<(Moment, Option<PersonId>)>,
}

/// A notice of the playbook, or one of the desk's own, in all its drafts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notice {
    /// The frozen drafts, the newest last.
    pub drafts: Vec<Draft>,
    /// Who approved the newest, and when.
    pub approvals: BTreeMap<PersonId, Moment>,
    /// The newest draft that counts no more, because its row says something else since.
    pub void: Option<u32>,
    /// What left, by number.
    pub releases: BTreeMap<u32, Release>,
}

impl Notice {
    /// The newest draft.
    #[must_use]
    pub fn draft(&self) -> Option<&Draft> {
        self.drafts.last()
    }

    /// The newest draft, unless it counts no more.
    #[must_use]
    pub fn valid_draft(&self) -> Option<&Draft> {
        self.draft().filter(|draft| self.void.is_none_or(|void| draft.number > void))
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
    /// The two people who opened it, where it is a gate before something public.
    pub seconded: Option<Seconded>,
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
    /// The language that they are written to in; none for English.
    pub language: Option<String>,
    /// Their key.
    pub key: Option<ReporterKey>,
    /// Whether the key may get content: it came from inside, or was proven since.
    pub key_proven: bool,
    /// When they last got a word that a person wrote, or the regular one.
    pub told: Option<Moment>,
    /// When they last asked where it stands.
    pub asked: Option<Moment>,
    /// When they last said whether a day suits them, whether it does, and which day it was.
    pub on_date: Option<(Moment, bool, Option<Moment>)>,
    /// Since when it is known that the acknowledgement did not arrive, and the server's code.
    pub unreached: Option<(Moment, String)>,
    /// So many answers of people wait for a key of theirs.
    pub unsent: u32,
    /// Whether their report bore OpenPGP data, as anybody could see.
    pub looked_encrypted: bool,
}

impl Reporter {
    /// That the acknowledgement did not arrive, in words.
    #[must_use]
    pub fn unreached_words(&self) -> Option<String> {
        let (_, code) = self.unreached.as_ref()?;
        let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
        Some(format!("the acknowledgement did not arrive{code}"))
    }
}

/// A change of an anchor: planned moments move, facts come once and can be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorSet {
    /// Which one.
    pub anchor: Anchor,
    /// What it is from then on; none when it was taken back.
    pub moment: Option<Moment>,
    /// When it was said.
    pub at: Moment,
    /// By whom; none for the desk.
    pub by: Option<PersonId>,
}

/// What is missing, in words: `waiting for cvss, scope`.
#[must_use]
pub fn names(missing: &BTreeSet<String>) -> String {
    let plain = |name: &String| match name.as_str() {
        "cvss.score" | "cvss.band" => "cvss".to_owned(),
        other => other.to_owned(),
    };
    let names: BTreeSet<String> = missing.iter().map(plain).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

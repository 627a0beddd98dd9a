//! The mailbox and the mail server, and what is wrong with them.

use std::sync::Arc;

use embargod::domain::facts::names::{Digest, Moment, Span};
use embargod::domain::outgoing::verdict::{Outcome, Stage};
use embargod::ports::store::Folder;

use super::dice::Dice;
use super::plan::Fault;

/// A mail in the mailbox.
pub(crate) struct Lying {
    pub(crate) uid: u32,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) raw: Digest,
    pub(crate) received: Moment,
    /// Not shown before.
    pub(crate) from: Moment,
    pub(crate) marked: bool,
}

/// The mailbox.
pub(crate) struct Mailbox {
    pub(crate) uidvalidity: u32,
    next: u32,
    pub(crate) mails: Vec<Lying>,
}

impl Mailbox {
    pub(crate) fn new() -> Self {
        Self { uidvalidity: 1, next: 1, mails: Vec::new() }
    }

    pub(crate) fn folder(&self) -> Folder {
        Folder { name: "INBOX".to_owned(), uidvalidity: self.uidvalidity }
    }

    pub(crate) fn lay(&mut self, bytes: Vec<u8>, now: Moment, from: Moment) {
        let (uid, raw) = (self.next, Digest::of(&bytes));
        self.next += 1;
        self.mails.push(Lying {
            uid,
            bytes: bytes.into(),
            raw,
            received: now,
            from,
            marked: false,
        });
    }

    /// The server numbers all of them anew, and has forgotten nothing else.
    pub(crate) fn number_anew(&mut self) {
        self.uidvalidity += 1;
        for (uid, mail) in (1..).zip(&mut self.mails) {
            mail.uid = uid;
        }
        self.next = self.mails.len() as u32 + 1;
    }

    /// Those from a number on, shown or not.
    pub(crate) fn from(&self, uid: u32) -> &[Lying] {
        let first = self.mails.partition_point(|mail| mail.uid < uid);
        &self.mails[first..]
    }

    pub(crate) fn mark(&mut self, uids: &[u32]) {
        for uid in uids {
            if let Ok(at) = self.mails.binary_search_by_key(uid, |mail| mail.uid) {
                self.mails[at].marked = true;
            }
        }
    }

    pub(crate) fn marked_of(&self, uids: &[u32]) -> Vec<Digest> {
        let at = |uid: &u32| self.mails.binary_search_by_key(uid, |mail| mail.uid).ok();
        uids.iter().filter_map(at).map(|at| self.mails[at].raw).collect()
    }

    pub(crate) fn remove(&mut self, uids: &[u32]) {
        self.mails.retain(|mail| !uids.contains(&mail.uid));
    }
}

/// What becomes of a mail that the desk offers.
pub(crate) struct Fate {
    /// Whether the server has it, and how often it delivers it, each after so long.
    pub(crate) delivered: Vec<Span>,
    /// What the desk hears, after so long.
    pub(crate) heard: Outcome,
    pub(crate) after: Span,
    /// Whether the server lets it wait after the last bytes.
    pub(crate) slow: bool,
}

/// What is wrong, and until when.
#[derive(Default)]
pub(crate) struct Troubles(Vec<(Fault, Moment)>);

impl Troubles {
    pub(crate) fn add(&mut self, what: Fault, until: Moment) {
        self.0.push((what, until));
    }

    pub(crate) fn has(&self, what: Fault, now: Moment) -> bool {
        self.0.iter().any(|(it, until)| *it == what && now < *until)
    }

    /// Something that happens once.
    pub(crate) fn take(&mut self, what: Fault, now: Moment) -> bool {
        let has = self.has(what, now);
        self.0.retain(|(it, until)| now < *until && *it != what);
        has
    }

    pub(crate) fn forget(&mut self, now: Moment) {
        self.0.retain(|(_, until)| now < *until);
    }

    /// What the server does with a mail to somebody.
    pub(crate) fn offered(&self, who: &str, now: Moment, dice: &mut Dice) -> Fate {
        let soon = Span::milliseconds(dice.between(20, 900) as i64);
        let way = Span::seconds(dice.between(1, 90) as i64);
        let said = |stage, words: &str| Fate {
            delivered: Vec::new(),
            heard: Outcome::Said(stage, words.to_owned()),
            after: soon,
            slow: false,
        };
        let taken = |delivered: Vec<Span>| Fate {
            delivered,
            heard: Outcome::Accepted("250 2.0.0 ok".to_owned()),
            after: soon,
            slow: false,
        };
        let mut fate = taken(vec![way]);
        for (what, until) in &self.0 {
            if now >= *until {
                continue;
            }
            fate = match what {
                Fault::ServerAway => Fate {
                    delivered: Vec::new(),
                    heard: Outcome::Broken("connection refused".to_owned()),
                    after: soon,
                    slow: false,
                },
                Fault::NotLetIn => said(Stage::LogIn, "535 5.7.8 authentication failed"),
                Fault::PutsOff => said(Stage::To, "450 4.7.1 try again later"),
                Fault::RefusesAll => said(Stage::Dot, "554 5.7.1 looks like spam"),
                Fault::Refuses(whom) if *whom == who => said(Stage::To, "550 5.1.1 no such user"),
                Fault::AnswerLost => Fate { heard: Outcome::Unknown, ..taken(vec![way]) },
                Fault::LastByteLost => Fate { heard: Outcome::Unknown, ..taken(Vec::new()) },
                Fault::Slow => Fate { after: Span::minutes(30), slow: true, ..taken(vec![way]) },
                Fault::Repeats => taken(vec![way, Span::hours(3)]),
                Fault::Late => taken(vec![Span::hours(5)]),
                Fault::MailboxAway
                | Fault::CutsBeforeMark
                | Fault::CutsAfterMark
                | Fault::Renumbered
                | Fault::Doubles
                | Fault::Hides
                | Fault::Refuses(_)
                | Fault::DiskFull => continue,
            };
            break;
        }
        fate
    }
}

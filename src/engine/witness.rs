//! A past that cannot be rolled back: the head of the journal is known outside of the store, and a
//! store that is behind it is an older copy.
//!
//! Three things say so. A file beside the store, or on another disk, that is written with every commit.
//! The mails to ourselves, whose id says how far the journal had come: in the mailbox, which a rollback
//! of the machine does not reach. And the mark that only the desk puts on a mail in the mailbox, on one
//! that this store has never had. Until somebody puts the right store in place or says
//! `embargod restored --yes`, nothing is done with such a copy: the mails of the lost history would be
//! answered again and its commands carried out again.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::decide::time;
use crate::domain::facts::event::Purpose;
use crate::domain::facts::heart::Ailment;
use crate::domain::facts::names::{
    Digest, Fresh, MessageId, Moment, Span, base32, later, unbase32,
};
use crate::domain::facts::record::Head;
use crate::engine::commit::Cause;
use crate::engine::{Engine, lock};
use crate::error::Fault;
use crate::ports::store::{Location, Outgoing, RawMail};

/// A mail to ourselves at most so often because the journal has grown: what a rollback of the whole
/// machine with its files may hide at most.
const MAIL_EVERY: Span = Span::minutes(10);
/// So far the mail server's clock may be behind ours where a mail is dated.
const APART: Span = Span::minutes(5);

/// Stands before what the mailbox says of a history that was held before.
const MAILBOX: &str = ". In the mailbox: ";

/// What is known of the history outside of the store.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Why nothing is done: a later history is known.
    held: Option<String>,
    /// Why the witness cannot be read.
    unreadable: Option<String>,
    /// Whether the operators were mailed of that.
    told: bool,
    /// Nothing is decided before the mailbox was looked at: it may know of a later history.
    pub(super) awaits_mailbox: bool,
    /// When the last mail to ourselves left, and with which record.
    pub(super) mailed: Option<(Moment, u64)>,
    /// When the desk of this copy last ran, as this one began.
    alive: Option<Moment>,
    /// The last mail that waited in the outbox as this one began.
    last_before: i64,
}

/// What a mail to ourselves says.
struct Said {
    /// How far the journal had come.
    number: u64,
    /// The beginning of the record by which that history began; nothing for the first one.
    history: [u8; 4],
    /// The beginning of the hash of the newest record.
    hash: [u8; 8],
}

/// Why a store is an older copy, if a head that was seen says so.
fn is_behind(own: Head, seen: u64, same: bool) -> Option<String> {
    if seen > own.number {
        return Some(format!(
            "it ends with record {}, and record {seen} was written before",
            own.number
        ));
    }
    (!same).then(|| format!("its record {seen} is another one than was written before"))
}

impl Engine {
    /// Looks at the witness at start.
    pub(super) fn is_rolled_back(&mut self) -> Result<bool, Fault> {
        let own = self.desk.head;
        self.witness.mailed = lock(&self.store).mailed()?;
        self.witness.alive = lock(&self.store).alive()?;
        self.is_held_still()?;
        let witness = lock(&self.store).witness();
        match witness {
            Ok(Some(seen)) => {
                let hash = lock(&self.store).line_hash(seen.number)?;
                let same = seen.number == 0 || hash == Some(seen.hash);
                if let Some(why) = is_behind(own, seen.number, same) {
                    self.hold(why)?;
                }
            }
            Ok(None) if own.number > 0 => {
                tracing::warn!(
                    event = "witness.begun",
                    "There is no witness file; one is begun now."
                );
            }
            Ok(None) => {}
            Err(fault) => {
                tracing::error!(event = "witness.unreadable", why = %fault.what, "The witness cannot be read; notices are held.");
                self.ail(Ailment::Witness, Some(fault.what.clone()));
                self.witness.unreadable = Some(fault.what);
                self.witness.last_before = lock(&self.store).last_mail()?;
            }
        }
        if self.held().is_none() && self.witness.unreadable.is_none() {
            self.ail(Ailment::Witness, None);
            self.ail(Ailment::RolledBack, None);
        }
        Ok(self.held().is_some())
    }

    /// Goes on being held where this copy was found to be one: what said so in the mailbox is taken in by
    /// now, and would not be seen again.
    fn is_held_still(&mut self) -> Result<(), Fault> {
        let why = lock(&self.store).held()?;
        if why.is_some() {
            tracing::error!(event = "desk.held", why, "HELD still: the database is an older one.");
            self.learn()?;
            self.ail(Ailment::RolledBack, why.clone());
            self.witness.held = why;
        }
        Ok(())
    }

    /// Tells the operators, once, that only reports are taken in.
    pub(super) fn tell_of_the_witness(&mut self, now: Moment) -> Result<(), Fault> {
        let Some(why) = self.witness.unreadable.clone().filter(|_| !self.witness.told) else {
            return Ok(());
        };
        self.witness.told = true;
        let decision = time::unwitnessed(&self.desk, &why, now, self.entropy.fresh()?);
        self.carry_out(decision, Cause::Time)
    }

    /// Nothing is decided, and nothing leaves, until the mailbox was looked at in full.
    pub fn await_mailbox(&mut self) {
        self.witness.awaits_mailbox = true;
    }

    /// Why nothing is done, if nothing is.
    #[must_use]
    pub fn held(&self) -> Option<&str> {
        self.witness.held.as_deref()
    }

    /// Whether the desk may decide by itself: it has looked at the mailbox, and is not held.
    pub(super) fn may_decide(&self) -> bool {
        !self.witness.awaits_mailbox && self.held().is_none()
    }

    /// Notices do not leave while it is not known whether this is the newest history.
    pub(super) fn witness_is_readable(&self) -> Result<(), String> {
        match &self.witness.unreadable {
            Some(why) => Err(why.clone()),
            None => Ok(()),
        }
    }

    fn hold(&mut self, why: String) -> Result<(), Fault> {
        if let Some(known) = self.held() {
            let known = known.to_owned();
            return self.holds_on(&known, &why);
        }
        tracing::error!(
            event = "desk.held",
            why,
            "HELD: the database is older than what the desk has written."
        );
        self.learn()?;
        let now = self.now();
        let decision = time::rolled_back(&self.desk, &why, now, self.entropy.fresh()?);
        self.carry_out(decision, Cause::Time)?;
        self.ail(Ailment::RolledBack, Some(why.clone()));
        lock(&self.store).set_held(Some(&why))?;
        self.write_heart(now)?;
        self.witness.held = Some(why);
        Ok(())
    }

    /// What the mailbox knows of the lost history, beside what was known: how far it had come, and no more.
    fn holds_on(&mut self, known: &str, why: &str) -> Result<(), Fault> {
        let (before, _) = known.split_once(MAILBOX).unwrap_or((known, ""));
        if before == why {
            return Ok(());
        }
        let both = format!("{before}{MAILBOX}{why}");
        self.ail(Ailment::RolledBack, Some(both.clone()));
        lock(&self.store).set_held(Some(&both))?;
        let now = self.now();
        self.witness.held = Some(both);
        self.write_heart(now)
    }

    /// The operator says that the lost history is lost.
    pub(super) fn goes_on(&mut self) -> Result<(), Fault> {
        self.witness = Standing::default();
        lock(&self.store).set_held(None)?;
        self.ail(Ailment::RolledBack, None);
        self.ail(Ailment::Witness, None);
        let now = self.now();
        self.write_heart(now)
    }

    /// While all is held only the word about that leaves: what else waits may have left before. Without
    /// a witness nothing leaves that waited when the desk began, and nothing that people have written since
    /// could be among it.
    pub(super) fn may_leave(&self, row: &Outgoing) -> bool {
        let of_the_desk = row.label.purpose == Purpose::Alert && row.label.about.is_none();
        let is_new = || row.id > self.witness.last_before;
        match (&self.witness.held, &self.witness.unreadable) {
            _ if self.witness.awaits_mailbox => of_the_desk,
            (None, None) => true,
            (Some(_), _) => of_the_desk,
            (None, Some(_)) => of_the_desk || is_new(),
        }
    }

    /// Whether the mailbox knows of a later history: by a mail to ourselves, or by our own mark on a
    /// mail that this store has never had.
    pub(super) fn look_for_a_later_history(
        &mut self,
        mails: &[(Option<Location>, RawMail)],
        marked: &[Digest],
    ) -> Result<(), Fault> {
        // What is older than the store, or than its being put back, is another history's.
        let restored = self.desk.replay.restored();
        let from = restored.map_or(self.made, |at| at.max(self.made));
        for (_, mail) in mails {
            let raw = Digest::of(&mail.bytes);
            let said = message_id(&mail.bytes).and_then(|id| self.said(&id));
            if let Some(why) = said.map(|said| self.contradicts(&said)).transpose()? {
                let Some(why) = why else { continue };
                self.hold(why)?;
                continue;
            }
            // What this copy's desk could have had when it last ran, it may have had in other bytes: somebody
            // took an attachment off it and filed it again.
            let since = self.witness.alive.map_or(from, |alive| from.max(later(alive, -APART)));
            if mail.received > since && marked.contains(&raw) && !lock(&self.store).knows(raw)? {
                let why = "a mail in the mailbox bears the desk's own mark, and this database has never had it";
                return self.hold(why.to_owned());
            }
        }
        Ok(())
    }

    /// Why a mail to ourselves is from a later history than this, if it is.
    fn contradicts(&self, said: &Said) -> Result<Option<String>, Fault> {
        let (_, histories) = self.desk.replay.histories();
        if said.history != self.this_history() {
            // One that was given up, and said so late; or one that knows more than this.
            let known = said.history == [0; 4]
                || histories.iter().any(|begun| begun.0.starts_with(&said.history));
            let why = "a mail of the desk to itself speaks of a history that this database knows nothing of";
            return Ok((!known).then(|| why.to_owned()));
        }
        let own = lock(&self.store).line_hash(said.number)?;
        let same = own.is_some_and(|own| own.0.starts_with(&said.hash));
        Ok(is_behind(self.desk.head, said.number, same))
    }

    fn this_history(&self) -> [u8; 4] {
        let (begun, _) = self.desk.replay.histories();
        begun.and_then(|begun| begun.0.first_chunk::<4>().copied()).unwrap_or_default()
    }

    /// The keyword by which the mailbox knows what this desk has taken in: another desk on the same mailbox,
    /// such as one that somebody tries out, has another.
    #[must_use]
    pub fn mark(&self) -> String {
        mark_of(&self.desk.ref_key.0)
    }

    /// When the next mail to ourselves is due because the journal has grown.
    pub(super) fn witness_due(&self) -> Option<Moment> {
        let number = self.desk.head.number;
        match self.witness.mailed {
            Some((at, mailed)) => (number > mailed).then(|| later(at, MAIL_EVERY)),
            None => (number > 0).then_some(self.made),
        }
    }

    /// The id of a mail to ourselves: how far the journal has come, hidden and authenticated by a key
    /// that only the desk has.
    pub(super) fn witness_id(&self, fresh: &mut Fresh) -> MessageId {
        let head = self.desk.head;
        let mut bytes = [0_u8; 32];
        let (salt, rest) = bytes.split_at_mut(SALT);
        salt.copy_from_slice(fresh.draw().get(..SALT).unwrap_or(&[0; SALT]));
        let mask = self.by_witness_key(b"said", salt);
        let (number, history) = (head.number.to_be_bytes(), self.this_history());
        let said = number.iter().skip(2).chain(&history).chain(head.hash.0.iter().take(8));
        rest.iter_mut().zip(said).zip(mask).for_each(|((to, byte), mask)| *to = byte ^ mask);
        let (said, mac) = bytes.split_at_mut(SALT + SAID);
        let tag = self.by_witness_key(b"mac", said);
        mac.iter_mut().zip(tag).for_each(|(to, byte)| *to = byte);
        let domain = self.desk.settings.address.domain();
        let id = format!("{}@{domain}", base32(&bytes, ID_CHARS).to_ascii_lowercase());
        MessageId::parse(&id).unwrap_or_else(|| MessageId::draw(domain, fresh))
    }

    /// Whether this is the id of a mail of the desk to itself.
    pub(super) fn is_witness(&self, id: &MessageId) -> bool {
        self.said(id).is_some()
    }

    fn said(&self, id: &MessageId) -> Option<Said> {
        let (local, _) = id.as_str().split_once('@')?;
        if local.len() != ID_CHARS {
            return None;
        }
        let bytes: [u8; 32] = unbase32(local)?.get(..32)?.try_into().ok()?;
        let (said, mac) = bytes.split_at(SALT + SAID);
        if !self.by_witness_key(b"mac", said).starts_with(mac) {
            return None;
        }
        let (salt, rest) = said.split_at(SALT);
        let mask = self.by_witness_key(b"said", salt);
        let shown: Vec<u8> = rest.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
        let mut number = [0_u8; 8];
        number.get_mut(2..)?.copy_from_slice(shown.get(..6)?);
        Some(Said {
            number: u64::from_be_bytes(number),
            history: shown.get(6..10)?.try_into().ok()?,
            hash: shown.get(10..SAID)?.try_into().ok()?,
        })
    }

    fn by_witness_key(&self, what: &[u8], text: &[u8]) -> [u8; 32] {
        by_witness_key(&self.desk.ref_key.0, what, text)
    }
}

fn by_witness_key(key: &[u8; 32], what: &[u8], text: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(b"witness mail ");
    mac.update(what);
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// The keyword of the desk with this secret.
#[must_use]
pub fn mark_of(ref_key: &[u8; 32]) -> String {
    let name = base32(&by_witness_key(ref_key, b"mark", b""), 8);
    format!("$embargod-{}", name.to_ascii_lowercase())
}

/// Letters that 32 bytes take: salt, what is said, and a MAC over both.
const ID_CHARS: usize = 52;
/// Bytes of the salt.
const SALT: usize = 6;
/// Bytes of what is said: the number, the history and the hash.
const SAID: usize = 18;

/// The Message-ID in the headers of a mail, as it came.
fn message_id(raw: &[u8]) -> Option<MessageId> {
    let head = raw.get(..raw.len().min(16 * 1024))?;
    let text = String::from_utf8_lossy(head);
    let lines = text.lines().take_while(|line| !line.is_empty());
    let mut ids = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("message-id")
            .then(|| value.trim().trim_matches(['<', '>']).to_owned())
    });
    MessageId::parse(&ids.next()?)
}

//! What comes in: kept, opened on all cores, decided on one after the other.

use crate::domain::decide::decision::Decision;
use crate::domain::decide::{membership, time};
use crate::domain::facts::event::{Event, Purpose};
use crate::domain::facts::foreign::Foreign;
use crate::domain::facts::heart::Ailment;
use crate::domain::facts::letter::Letter;
use crate::domain::facts::names;
use crate::domain::facts::names::{Digest, Fresh, Moment, Span};
use crate::domain::intake::classify;
use crate::domain::intake::classify::{Arrival, OWN_MAIL};
use crate::edge::imap::{MailboxAsk, Told, Troubled};
use crate::engine::commit::Cause;
use crate::engine::{Engine, lock};
use crate::error::Fault;
use crate::ports::store::{Folder, Location, RawMail, WITNESS, Waiting};

/// A mail that the server does not hand out is tried again after so long.
const TRIED_AGAIN: Span = Span::days(1);
/// The operators are mailed of such mails so often at most.
const TROUBLES_EVERY: Span = Span::hours(1);

/// What comes of a mail takes so many times its bytes.
const COPIES: u64 = 4;
/// So much room must be left on the disk.
const ROOM: u64 = 8 * 1024 * 1024;

/// The most mails that are opened together.
const BATCH: u32 = 32;
/// A mail that stopped the desk so often is set aside.
const ATTEMPTS_MAX: u32 = 3;

impl Engine {
    /// Keeps mails as they came. Once this returns they are durable, and the server may be told.
    ///
    /// # Errors
    /// When they could not be written.
    pub fn take_in(&mut self, mails: &[(Option<Location>, RawMail)]) -> Result<(), Fault> {
        self.look_for_a_later_history(mails, &[])?;
        lock(&self.store).take_in(mails)
    }

    /// Answers the mailbox.
    ///
    /// # Errors
    /// When mails could not be kept; whatever else goes wrong is told to the mailbox, which tries
    /// again.
    pub fn answer(&mut self, ask: MailboxAsk) -> Result<(), Fault> {
        /// Nobody waiting means that the connection broke; it is asked again.
        fn tell<T>(told: Told<T>, answer: Result<T, Fault>) {
            let _ = told.send(answer);
        }
        if let MailboxAsk::Keep(mails, marked, _) = &ask {
            self.look_for_a_later_history(mails, marked)?;
            self.find_missed(mails)?;
        }
        let now = self.now();
        self.hear_of_the_mailbox(&ask, now);
        let held = self.held().is_some();
        let mut store = lock(&self.store);
        match ask {
            // That there is no room is no reason to stop: the mails are on the server still.
            MailboxAsk::Keep(mails, _, told) => {
                // With nothing else: what the mailbox hears is durable, and what there is no room for takes
                // nothing along.
                store.write_out()?;
                let kept = store.take_in(&mails).and_then(|()| store.write_out());
                tell(told, kept);
            }
            MailboxAsk::Troubled(folder, told) => {
                let found = store.troubled(&folder, names::later(now, -TRIED_AGAIN));
                tell(told, found.map(|(all, again)| Troubled { all, again }));
            }
            MailboxAsk::Trouble(folder, uid, why, told) => {
                let Folder { name, uidvalidity } = folder;
                let at = Location { folder: name, uidvalidity, uid };
                tell(told, store.set_trouble(&at, &Foreign::line(&why, 200).to_string(), now));
            }
            MailboxAsk::Unreachable(_) => {}
            MailboxAsk::Looked(_, _, told)
            | MailboxAsk::Watches(_, told)
            | MailboxAsk::Missed(_, _, told) => tell(told, Ok(())),
            // The mark says that this history has it; what another one has marked stays as it is.
            MailboxAsk::ToMark(_, told) | MailboxAsk::Spent(_, told) if held => {
                tell(told, Ok(Vec::new()));
            }
            MailboxAsk::Spent(folder, told) => tell(told, store.spent_witnesses(&folder)),
            MailboxAsk::Removed(folder, uids, told) => tell(told, store.removed(&folder, &uids)),
            MailboxAsk::Bookmark(folder, told) => tell(told, store.bookmark(&folder)),
            MailboxAsk::SetBookmark(folder, low_water, base, told) => {
                tell(told, store.set_bookmark(&folder, low_water, base));
            }
            MailboxAsk::Known(folder, from, told) => tell(told, store.known_uids(&folder, from)),
            MailboxAsk::ToMark(folder, told) => tell(told, store.to_mark(&folder)),
            MailboxAsk::Marked(folder, uids, told) => tell(told, store.marked(&folder, &uids)),
        }
        Ok(())
    }

    /// How large the mails may be that are opened now: they are kept, passed on to several, and journalled.
    fn fits(&self) -> Result<u64, Fault> {
        let room = lock(&self.store).room()?;
        Ok(room.saturating_sub(ROOM) / COPIES)
    }

    /// Whether there is room on the disk for anything at all. Without it the desk waits, and says so where it
    /// can.
    pub(super) fn has_room(&mut self) -> Result<bool, Fault> {
        let room = lock(&self.store).room()?;
        let is_short = room < ROOM;
        let text = (is_short || self.too_large).then(|| {
            let mib = room / (1024 * 1024);
            let large = if is_short { "" } else { ", too few for a mail that waits" };
            format!("{mib} MiB are left{large}")
        });
        if text.is_some() && !self.heart.down.contains_key(&Ailment::Disk) {
            tracing::error!(
                event = "disk.full",
                why = text,
                "The disk is full; the desk waits for more."
            );
        }
        self.ail(Ailment::Disk, text);
        Ok(!is_short)
    }

    /// Whether couriers have copies of a notice in hand. What servers report of their delivery can wait, and
    /// would take the cores from those that are still to leave.
    fn is_notice_leaving(&self) -> bool {
        let in_hand = self.busy.iter().filter(|(row, _)| !self.slow.contains(row));
        in_hand.map(|(_, label)| &label.purpose).any(|it| matches!(it, Purpose::Notice { .. }))
    }

    /// The next mails to open: as many as there is room for. One that is too large for what is left stops none
    /// behind it.
    fn next_batch(&mut self) -> Result<Vec<Waiting>, Fault> {
        let fits = self.fits()?;
        let mut batch = lock(&self.store).waiting(BATCH, fits, !self.is_notice_leaving())?;
        let mut bytes = 0_u64;
        batch.retain(|row| {
            let size = u64::try_from(row.mail.bytes.len()).unwrap_or(u64::MAX);
            let has_room = bytes.saturating_add(size) <= fits;
            bytes = bytes.saturating_add(if has_room { size } else { 0 });
            has_room
        });
        let waits = batch.is_empty() && !self.is_notice_leaving();
        self.too_large = waits && lock(&self.store).unopened()?.is_some();
        Ok(batch)
    }

    /// Tells the operators of mails that the server does not hand out.
    pub(super) fn tell_of_troubles(&mut self, now: Moment) -> Result<(), Fault> {
        // Many that come one by one are one mail, and not one each.
        if self.troubles_told.is_some_and(|at| now >= at && now < names::later(at, TROUBLES_EVERY))
        {
            return Ok(());
        }
        let new = lock(&self.store).new_troubles()?;
        if !new.is_empty() {
            self.troubles_told = Some(now);
            let named: Vec<(String, u32, String)> =
                new.into_iter().map(|(at, why)| (at.folder, at.uid, why)).collect();
            let decision = time::left_mails(&self.desk, &named, now, self.entropy.fresh()?);
            self.carry_out(decision, Cause::Time)?;
        }
        Ok(())
    }

    /// What a word of the mailbox's says of how it is.
    fn hear_of_the_mailbox(&mut self, ask: &MailboxAsk, now: Moment) {
        if let MailboxAsk::Watches(folders, _) = ask {
            self.looks_at(folders);
        }
        if let MailboxAsk::Looked(looked, missing, _) = ask {
            self.found = 0;
            for name in looked {
                if let Some(look) = self.heart.folders.get_mut(name) {
                    // The first one is news; the others are written down with the next beat.
                    if look.ended.replace(now).is_none() {
                        self.beat = None;
                    }
                }
            }
            // What is waited for is the folder that mail comes to; the others stop nothing.
            if looked.contains(&self.main_folder) {
                self.witness.awaits_mailbox = false;
                self.ail(Ailment::Mailbox, None);
            }
            let missing: Vec<String> =
                missing.iter().map(|(name, why)| format!("{name} ({why})")).collect();
            let missing = Foreign::line(&missing.join(", "), 300).to_string();
            self.ail(Ailment::Folder, (!missing.is_empty()).then_some(missing));
        }
        if let MailboxAsk::Missed(folder, uids, _) = ask {
            // Each look finds the same gap again.
            let count = self.heart.misses(folder, uids, now);
            if count > 0 {
                tracing::warn!(
                    event = "mailbox.missed",
                    count,
                    "Mails came and were gone before the desk had them."
                );
            }
            // The other folders were looked at just before.
            self.found = self.heart.finds(self.found);
            self.beat = None;
        }
        if let MailboxAsk::Unreachable(why) = ask {
            self.ail(Ailment::Mailbox, Some(Foreign::line(why, 200).to_string()));
        }
    }

    /// Mails that nobody had seen came from another folder than the one that mail comes to, or there after all:
    /// they may be some that were missed.
    fn find_missed(&mut self, mails: &[(Option<Location>, RawMail)]) -> Result<(), Fault> {
        let mut found = 0_u64;
        for (location, mail) in mails {
            let is_missed = |at: &Location| {
                let missed = self.heart.missed.get(&at.folder);
                at.folder != self.main_folder || missed.is_some_and(|missed| at.uid <= missed.up_to)
            };
            if location.as_ref().is_some_and(is_missed)
                && !lock(&self.store).knows(Digest::of(&mail.bytes))?
            {
                found = found.saturating_add(1);
            }
        }
        self.found = self.found.saturating_add(self.heart.finds(found));
        Ok(())
    }

    /// Opens and decides on the mails that wait, a batch at a time; says how many it did.
    ///
    /// # Errors
    /// When the store cannot be written; the mails are still there then.
    pub fn work_inbox(&mut self) -> Result<usize, Fault> {
        if !self.may_decide() || !self.has_room()? {
            return Ok(0);
        }
        // Before an attempt is counted: a full disk is the fault of no mail.
        let batch = self.next_batch()?;
        let ids: Vec<i64> = batch.iter().map(|row| row.id).collect();
        if ids.is_empty() {
            return Ok(0);
        }
        if let [row] = batch.as_slice()
            && row.attempts >= ATTEMPTS_MAX
        {
            lock(&self.store).set_aside(row.id, "stopped the desk three times")?;
            tracing::error!(
                event = "mail.set-aside",
                inbox = row.id,
                "A mail stopped the desk three times and was set aside."
            );
            return Ok(1);
        }
        {
            let mut store = lock(&self.store);
            store.charge(&ids)?;
            // Before one of them is opened: it may be the last thing that the desk does.
            store.write_out()?;
        }
        self.meet_reporters()?;
        // What came before the store was put back may have been answered in the history that was lost.
        let restored = self.desk.replay.restored();
        let made = restored.map_or(self.made, |at| at.max(self.made));
        let unwitnessed = self.witness_is_readable().is_err();
        let sure = self.trust.come(self.clock.reading());
        let mails: Vec<&RawMail> = batch.iter().map(|row| &row.mail).collect();
        let letters = self.vault.open(&mails, &self.desk.settings).into_iter();
        let letters = letters.map(|letter| {
            let from_before = letter.received < made;
            Letter { from_before, unwitnessed, sure, ..letter }
        });
        let letters: Vec<Letter> = letters.collect();
        let mut version = self.desk.roster_version();
        for (row, letter) in batch.iter().zip(letters) {
            // Whose keys are whose may have changed by a mail before it, or by this one.
            let before = self.desk.roster_version();
            self.take_revocations(&letter)?;
            let now = self.desk.roster_version();
            let letter = if now == version && now == before {
                letter
            } else {
                let again = self.opened(&row.mail);
                // What it revokes is in force by now, and is still what it is about.
                let from_before = letter.from_before;
                Letter { from_before, unwitnessed, sure, revoked: letter.revoked, ..again }
            };
            self.receive(row.id, &letter)?;
            if self.desk.roster_version() == now && now == version {
                continue;
            }
            version = u64::MAX;
        }
        Ok(batch.len())
    }

    /// Takes in what a mail revokes, before the mail itself is looked at: it may be signed by that very
    /// key.
    pub(super) fn take_revocations(&mut self, letter: &Letter) -> Result<(), Fault> {
        if letter.revoked.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let decision = membership::revoked(&self.desk, letter, now, self.entropy.fresh()?);
        self.carry_out(decision, Cause::Revocation { raw: letter.raw })
    }

    fn opened(&self, mail: &RawMail) -> Letter {
        let mut letters = self.vault.open(&[mail], &self.desk.settings);
        letters.pop().unwrap_or_else(|| self.vault.whole(mail, &self.desk.settings))
    }

    /// Opens as reports what machines sent and somebody says are some.
    pub(super) fn open_what_is_wanted(&mut self, now: Moment) -> Result<(), Fault> {
        while let Some(raw) = self.desk.waitlist.wanted() {
            self.meet_reporters()?;
            let mail = lock(&self.store).mail(raw)?;
            let letter = mail.map(|mail| self.opened(&mail));
            let fresh = self.entropy.fresh()?;
            let decision = match &letter {
                Some(letter) => classify::made_report(&self.desk, letter, now, fresh),
                // It is not kept any more; whoever asked is told where to look.
                None => time::desk_fact(&self.desk, Event::ReportGone { raw }, now, fresh),
            };
            self.carry_out(decision, Cause::Time)?;
        }
        Ok(())
    }

    /// What the desk would do with a mail, without doing it: nothing is kept and nothing is sent.
    pub fn trial(&self, mail: &RawMail, fresh: Fresh) -> (Letter, Decision) {
        let letter = Letter { sure: self.trust.come(self.clock.reading()), ..self.opened(mail) };
        let arrival = Arrival { letter: &letter, ours: false, returned: None };
        let decision = classify::receive(&self.desk, arrival, self.now(), fresh);
        (letter, decision)
    }

    pub(super) fn receive(&mut self, inbox: i64, letter: &Letter) -> Result<(), Fault> {
        let (ours, returned) = {
            let store = lock(&self.store);
            let ours = letter
                .outer
                .message_id
                .as_ref()
                .map(|id| store.is_ours(id.as_str()))
                .transpose()?;
            let returned =
                letter.return_token.as_deref().map(|token| store.returned(token)).transpose()?;
            (ours.unwrap_or(false), returned.flatten())
        };
        // One that a history that was lost has sent is the desk's own all the same.
        let ours = ours || letter.outer.message_id.as_ref().is_some_and(|id| self.is_witness(id));
        let arrival = Arrival { letter, ours, returned: returned.as_ref() };
        let now = self.now();
        if ours {
            self.hear_clock_probe(letter)?;
        }
        let decision = classify::receive(&self.desk, arrival, now, self.entropy.fresh()?);
        // Only what is the desk's own by its sender as well: such a mail is deleted once it is overtaken,
        // and whoever reads the mailbox knows the ids.
        let witness = letter.outer.message_id.as_ref().is_some_and(|id| self.is_witness(id));
        let witness = witness && decision.disposition == OWN_MAIL;
        let what = if witness { WITNESS } else { decision.disposition };
        let incident = decision.entries.iter().find_map(|entry| entry.incident.as_ref());
        let incident = incident.map(tracing::field::display);
        tracing::info!(event = "mail.taken-in", inbox, what, incident, "A mail was taken in.");
        self.heart.last_in = Some(now);
        // What is written to is what is remembered: the best one, and the one that lay outside, which the
        // acknowledgement goes to whatever lay inside.
        for found in letter.keys.first().into_iter().chain(letter.outer.keys.first()) {
            self.vault.meet(&[&found.certificate]);
        }
        self.carry_out(decision, Cause::Mail { inbox, what, raw: letter.raw })
    }
}

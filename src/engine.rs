//! The engine: takes mails and moments in, asks the domain, and commits what it decides in one
//! transaction.
//!
//! It holds the one copy of the state, and everything goes through it one after the other, so that
//! no two decisions can cross. It is synchronous; the sockets around it live in `edge`. The same
//! engine runs in the daemon and in `embargod demo`, where a post office in the same process
//! stands for the servers and the clock jumps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::domain::decide::decision::Decision;
use crate::domain::decide::watch::Leave;
use crate::domain::decide::{catch_up, membership, watch};
use crate::domain::facts::event::{Delivery, Event, Purpose};
use crate::domain::facts::letter::Letter;
use crate::domain::facts::names::{Digest, Fingerprint, Handle, MessageId, Moment};
use crate::domain::facts::record::{Record, chain};
use crate::domain::facts::settings::Settings;
use crate::domain::intake::classify;
use crate::domain::intake::classify::Arrival;
use crate::domain::model::desk::{Desk, cares};
use crate::domain::model::roster::{RefKey, Roster};
use crate::domain::outgoing::mail::{Label, Next, Outcome, Words, after, next_attempt};
use crate::domain::process::calendar::Calendars;
use crate::edge::clock::Clock;
use crate::edge::compose::Sender;
use crate::edge::opening::{LIMITS, Opener, RawMail};
use crate::edge::pgp::{Certificate, Directory, Keyring};
use crate::edge::store::{Commit, Location, Outgoing, Settled, Store, read_journal};
use crate::edge::{fresh, pool};
use crate::error::{Fault, Place};

mod people;
mod sealing;
mod witness;

/// What config, roster, templates and playbooks say at start.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The desk itself.
    pub settings: Settings,
    /// Who is who.
    pub roster: Roster,
    /// Templates that replace the program's own.
    pub templates: BTreeMap<String, String>,
    /// Playbooks by name.
    pub playbooks: BTreeMap<String, String>,
    /// Calendars by name.
    pub calendars: Calendars,
}

/// The store, shared with those who only touch columns of the inbox and the outbox.
pub type SharedStore = Arc<Mutex<Store>>;

/// Takes the store for a moment.
pub fn lock(store: &SharedStore) -> MutexGuard<'_, Store> {
    // A panic elsewhere aborts the release build; in a test the store is still what was committed.
    store.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The most mails that are opened together.
const BATCH: u32 = 32;
/// A mail that stopped the desk so often is set aside.
const ATTEMPTS_MAX: u32 = 3;

/// The engine.
pub struct Engine {
    desk: Desk,
    store: SharedStore,
    keyring: Keyring,
    directory: Directory,
    /// The texts of the certificates that were read, by their hashes.
    read: BTreeMap<Fingerprint, Digest>,
    /// The state of the roster that they were read for.
    learned: Option<u64>,
    sender: Sender,
    clock: Box<dyn Clock>,
    newest: Option<Moment>,
    busy: BTreeMap<i64, Label>,
    unvouched: Option<String>,
    witness: witness::Witness,
    made: Moment,
}

/// Replays a store's journal.
///
/// # Errors
/// When the chain is broken or a text is missing.
pub fn replay(store: &Store, settings: Settings) -> Result<(Desk, Option<Moment>), Fault> {
    let secrets = store.secrets()?;
    let mut desk =
        Desk::new(RefKey(secrets.ref_key), settings).map_err(|why| Fault::new(why, ""))?;
    for text in store.shelf()? {
        desk.shelve(&text);
    }
    let mut newest = None;
    read_journal(store, |record, hash| {
        newest = newest.max(Some(record.at));
        desk.apply(&record, hash);
    })?;
    match desk.faults.first() {
        Some(fault) => Err(Fault::new(fault.clone(), "restore a backup of the store")),
        None => Ok((desk, newest)),
    }
}

impl Engine {
    /// Replays the journal, and journals what config, roster, templates and playbooks say if that
    /// has changed.
    ///
    /// # Errors
    /// When the journal or one of the sources is not in order; nothing was changed then.
    pub fn start(
        store: Store,
        keyring: Keyring,
        sources: &Sources,
        clock: Box<dyn Clock>,
    ) -> Result<Self, Fault> {
        let (desk, newest) = replay(&store, sources.settings.clone())?;
        let sender = Sender {
            name: sources.settings.name.clone(),
            address: sources.settings.address.to_string(),
            certificate: sources.settings.certificate.clone(),
            threads_outside: sources.settings.threads_outside,
        };
        let made = store.made()?;
        let mut engine = Self {
            desk,
            store: Arc::new(Mutex::new(store)),
            keyring,
            directory: Directory::default(),
            read: BTreeMap::new(),
            learned: None,
            sender,
            clock,
            newest,
            busy: BTreeMap::new(),
            unvouched: None,
            witness: witness::Witness::default(),
            made,
        };
        lock(&engine.store).set_alarm("clock", None)?;
        let before = engine.desk.configured.is_some().then(|| engine.desk.settings.clone());
        let staff = engine.desk.staff();
        engine.configure(sources)?;
        engine.take_over()?;
        engine.rest_who_left(&staff)?;
        engine.fill_directory()?;
        engine.tell_new_key(before.map(|before| before.fingerprint))?;
        engine.settle_what_was_in_flight()?;
        Ok(engine)
    }

    /// The desk, for looking at.
    #[must_use]
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// The store, for those who keep mails and mark outbox rows.
    #[must_use]
    pub fn store(&self) -> SharedStore {
        Arc::clone(&self.store)
    }

    fn configure(&mut self, sources: &Sources) -> Result<(), Fault> {
        let place = || "writing down the configuration".to_owned();
        let settings = serde_json::to_string(&sources.settings).at(place)?;
        let roster = serde_json::to_string(&sources.roster).at(place)?;
        let templates = serde_json::to_string(&sources.templates).at(place)?;
        let mut shelf = Vec::new();
        let mut lay = |text: &str| {
            let digest = Digest::of(text.as_bytes());
            shelf.push((digest, text.to_owned()));
            digest
        };
        let event = Event::Configured {
            settings: lay(&settings),
            roster: lay(&roster),
            templates: lay(&templates),
            playbooks: sources
                .playbooks
                .iter()
                .map(|(name, text)| (name.clone(), lay(text)))
                .collect(),
            calendars: sources
                .calendars
                .iter()
                .map(|(name, text)| (name.clone(), lay(text)))
                .collect(),
        };
        if self.desk.configured.as_ref() == Some(&event) {
            return Ok(());
        }
        // Tried on a copy first: what does not load must not be in the journal.
        let mut trial = self.desk.clone();
        for (_, text) in &shelf {
            trial.shelve(text);
            self.desk.shelve(text);
        }
        let record = self.record(&event, None, None, self.now());
        trial.apply(&record.0, record.1);
        if let Some(fault) = trial.faults.first() {
            return Err(Fault::new(fault.clone(), "run `embargod check`"));
        }
        let staff = self.desk.staff();
        trial.contradiction(&staff).map_err(|why| {
            Fault::new(why, "give the person in the config another id, key or address, or remove the member first")
        })?;
        self.desk.apply(&record.0, record.1);
        lock(&self.store).commit(&Commit { records: &[record], shelf: &shelf, ..Commit::default() })
    }

    /// Mails whose last bytes were on their way when the desk stopped may have left: the one
    /// window that SMTP leaves open.
    fn settle_what_was_in_flight(&mut self) -> Result<(), Fault> {
        let rows = lock(&self.store).left_in_flight()?;
        for row in rows {
            self.settle(&row, &Outcome::Unknown)?;
        }
        Ok(())
    }

    /// Takes in that the store was put back from a backup: what was signed before may have been
    /// carried out in the history that was lost, and what waits in the outbox may have left. So no
    /// old signature counts, nothing of the outbox is sent again, and all notices are held until
    /// people let them go. Says how many mails may have left, and how many incidents are held.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn restored(&mut self) -> Result<(usize, usize), Fault> {
        let now = self.now();
        let rows = lock(&self.store).due_mails(Moment::MAX_UTC, u32::MAX)?;
        for row in &rows {
            let settled = Settled {
                id: row.id,
                state: "unknown",
                next_attempt: now,
                unknowns: row.unknowns.saturating_add(1),
                reply: "the store was put back from a backup".to_owned(),
            };
            self.delivered(row, Delivery::Unknown, "", &settled, now)?;
        }
        let decision = watch::restored(&self.desk, now, fresh()?);
        let held = decision.entries.len().saturating_sub(1);
        self.carry_out(decision, now, None, None, &[])?;
        Ok((rows.len(), held))
    }

    /// Puts an incident on the present text of a playbook, and tells its team.
    ///
    /// # Errors
    /// When there is no such incident or playbook, or it cannot be written.
    pub fn migrate(&mut self, handle: &Handle, name: &str) -> Result<(), Fault> {
        let now = self.now();
        let playbook = self.desk.playbooks.get(name).cloned();
        let playbook =
            playbook.ok_or_else(|| Fault::new(format!("there is no playbook `{name}`"), ""))?;
        let decision = watch::migrated(&self.desk, handle, &playbook, now, fresh()?);
        self.carry_out(decision, now, None, None, &[])
    }

    //-------- What comes in ----------------------------------------------------------------------

    /// Keeps mails as they came. Once this returns they are durable, and the server may be told.
    ///
    /// # Errors
    /// When they could not be written.
    pub fn take_in(&mut self, mails: &[(Option<Location>, RawMail)]) -> Result<(), Fault> {
        lock(&self.store).take_in(mails)
    }

    /// Opens and decides on the mails that wait, a batch at a time; says how many it did.
    ///
    /// # Errors
    /// When the store cannot be written; the mails are still there then.
    pub fn work_inbox(&mut self) -> Result<usize, Fault> {
        let batch = lock(&self.store).waiting(BATCH)?;
        let ids: Vec<i64> = batch.iter().map(|row| row.id).collect();
        if ids.is_empty() {
            return Ok(0);
        }
        if let [row] = batch.as_slice()
            && row.attempts >= ATTEMPTS_MAX
        {
            lock(&self.store).set_aside(row.id, "stopped the desk three times")?;
            tracing::error!(
                inbox = row.id,
                "A mail stopped the desk three times and was set aside."
            );
            return Ok(1);
        }
        lock(&self.store).charge(&ids)?;
        let opener = self.opener();
        let made = self.made;
        let letters: Vec<Letter> = pool::map(&batch, |row| {
            let letter = opener.open(&row.mail);
            Letter { from_before: letter.received < made, ..letter }
        });
        let mut version = self.desk.roster_version();
        for (row, letter) in batch.iter().zip(letters) {
            // Whose keys are whose may have changed by a mail before it, or by this one.
            let before = self.desk.roster_version();
            self.take_revocations(&letter)?;
            let now = self.desk.roster_version();
            let letter = if now == version && now == before {
                letter
            } else {
                let again = self.opener().open(&row.mail);
                // What it revokes is in force by now, and is still what it is about.
                Letter { from_before: letter.from_before, revoked: letter.revoked, ..again }
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
    fn take_revocations(&mut self, letter: &Letter) -> Result<(), Fault> {
        if letter.revoked.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let decision = membership::revoked(&self.desk, letter, now, fresh()?);
        self.carry_out(decision, now, Some(letter.raw), None, &[])
    }

    fn opener(&self) -> Opener<'_> {
        Opener {
            keyring: &self.keyring,
            known: &self.directory,
            address: Some(&self.desk.settings.address),
            limits: LIMITS,
        }
    }

    /// What the desk would do with a mail, without doing it: nothing is kept and nothing is sent.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn trial(&self, mail: &RawMail) -> Result<(Letter, Decision), Fault> {
        let letter = self.opener().open(mail);
        let arrival = Arrival { letter: &letter, ours: false, returned: None };
        let decision = classify::receive(&self.desk, arrival, self.now(), fresh()?);
        Ok((letter, decision))
    }

    fn receive(&mut self, inbox: i64, letter: &Letter) -> Result<(), Fault> {
        let (ours, returned) = {
            let store = lock(&self.store);
            let ours =
                letter.message_id.as_ref().map(|id| store.is_ours(id.as_str())).transpose()?;
            let returned =
                letter.return_token.as_deref().map(|token| store.returned(token)).transpose()?;
            (ours.unwrap_or(false), returned.flatten())
        };
        let arrival = Arrival { letter, ours, returned: returned.as_ref() };
        let now = self.now();
        if ours {
            self.hear_witness(letter);
        }
        let decision = classify::receive(&self.desk, arrival, now, fresh()?);
        let what = decision.disposition;
        tracing::info!(inbox, what, "A mail was taken in.");
        // The best one only: what is written to is what is remembered.
        for found in letter.keys.iter().take(1) {
            if let Ok(certificate) = Certificate::read(found.certificate.as_bytes()) {
                self.directory.add(certificate, None);
            }
        }
        self.carry_out(decision, now, Some(letter.raw), Some((inbox, what)), &[])
    }

    //-------- What time brings -------------------------------------------------------------------

    fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The next moment at which the engine itself has something to do: an agenda, or the outbox.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn next_due(&self) -> Result<Option<Moment>, Fault> {
        let soon = crate::domain::facts::names::later(
            self.now(),
            crate::domain::facts::names::Span::seconds(1),
        );
        let mail = lock(&self.store).next_mail()?;
        // A row that a courier still has in hand may be due again by the clock; it is no reason to
        // hurry. Nor is a notice that waits for the clock to be right.
        let mail = if self.busy.is_empty() { mail } else { mail.map(|at| at.max(soon)) };
        let agenda = self.desk.next_due();
        let waits = self.unvouched.is_some() || self.witness.vouch(self.now()) != Ok(true);
        let agenda = if waits { agenda.map(|at| at.max(soon)) } else { agenda };
        let notice = self.desk.next_notice();
        let asks = self.clock.vouch(self.newest).is_ok();
        let witness = notice.filter(|_| asks).and_then(|at| self.witness.due(at));
        let witness = witness.map(|at| at.max(soon));
        Ok(agenda.into_iter().chain(mail).chain(witness).min())
    }

    /// Does what is due. Level-triggered: it looks at what is due, whatever woke it. Stops after some
    /// copies of a notice, so that couriers are on their way with them while the next are sealed;
    /// `true` when it did, and there may be more.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn work_due(&mut self) -> Result<bool, Fault> {
        let now = self.now();
        let before = self.unvouched.clone();
        self.ask_witness()?;
        let vouched = self.vouched();
        if self.unvouched != before {
            lock(&self.store).set_alarm("clock", self.unvouched.as_deref())?;
            if let Some(why) = self.unvouched.clone() {
                let decision = watch::clock_alarm(&self.desk, &why, now, fresh()?);
                self.carry_out(decision, now, None, None, &[])?;
            }
        }
        if self.desk.digest().is_some_and(|(at, _)| at <= now) {
            let decision = watch::digest(&self.desk, now, fresh()?);
            self.carry_out(decision, now, None, None, &[])?;
        }
        for id in self.desk.people_due(now) {
            let decision = membership::due(&self.desk, &id, now, fresh()?);
            self.carry_out(decision, now, None, None, &[])?;
        }
        if cares::own_key_due(&self.desk).is_some_and(|at| at <= now) {
            let decision = membership::own_key(&self.desk, now, fresh()?);
            self.carry_out(decision, now, None, None, &[])?;
        }
        self.let_catch_up(now)?;
        for handle in self.desk.due(now) {
            // A bound, since a rule that never rests must not stop the others.
            for _ in 0..10_000 {
                let decision = watch::due(&self.desk, &handle, vouched, now, fresh()?);
                if decision.entries.is_empty() {
                    break;
                }
                let copies =
                    decision.mails.iter().any(|mail| matches!(mail.words, Words::Frozen { .. }));
                self.carry_out(decision, now, None, None, &[])?;
                if copies {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Looks who has missed what, whenever somebody may have.
    fn let_catch_up(&mut self, now: Moment) -> Result<(), Fault> {
        if !self.desk.may_have_missed() {
            return Ok(());
        }
        self.desk.looked_for_missed();
        let open: Vec<Handle> = self.desk.open().map(|open| open.handle.clone()).collect();
        for handle in open {
            let decision = catch_up::look(&self.desk, &handle, now, fresh()?);
            if !decision.entries.is_empty() {
                self.carry_out(decision, now, None, None, &[])?;
            }
        }
        Ok(())
    }

    /// Whether notices may leave on the clock as it is. Said once each time that changes.
    fn vouched(&mut self) -> bool {
        let own = self.clock.vouch(self.newest);
        if own.is_err() {
            self.witness.forget();
        }
        match (own.and_then(|()| self.witness.vouch(self.now())), &self.unvouched) {
            (Ok(vouched), None) => vouched,
            (Ok(vouched), Some(_)) => {
                // While a new witness is on its way nothing is known to be wrong.
                tracing::info!("The clock is right again; notices go on once it has a witness.");
                self.unvouched = None;
                vouched
            }
            (Err(why), before) => {
                // The figures in it change with every look; the reason is what is told.
                let kind = |text: &String| text.replace(|c: char| c.is_ascii_digit(), "");
                if before.as_ref().map(kind) != Some(kind(&why)) {
                    tracing::error!(why, "Notices are held: the clock cannot be trusted.");
                    self.unvouched = Some(why);
                }
                false
            }
        }
    }

    //-------- What leaves ------------------------------------------------------------------------

    /// Hands out mails that may leave now: their attempt is counted and the next one written down
    /// before anyone dials. Each row is with one courier at a time.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is handed out then.
    pub fn dispatch(&mut self, max: usize) -> Result<Vec<Outgoing>, Fault> {
        let now = self.now();
        let room = max.saturating_sub(self.busy.len());
        if room == 0 {
            return Ok(Vec::new());
        }
        let wanted = u32::try_from(room.saturating_add(self.busy.len())).unwrap_or(u32::MAX);
        let rows = lock(&self.store).due_mails(now, wanted)?;
        let mut attempts = Vec::new();
        let mut out = Vec::new();
        for row in rows {
            if self.busy.contains_key(&row.id) {
                continue;
            }
            let next = next_attempt(row.attempts.saturating_add(1), now);
            match watch::leaves(&self.desk, &row.label) {
                Leave::Now => {
                    attempts.push((row.id, next));
                    self.busy.insert(row.id, row.label.clone());
                    out.push(row);
                }
                Leave::Held => self.postpone(&row, now)?,
                Leave::Never => self.withdraw(&row, now)?,
            }
        }
        lock(&self.store).attempt(&attempts)?;
        Ok(out)
    }

    /// A held mail is looked at again soon; `/resume` has no need to know where it lies.
    fn postpone(&self, row: &Outgoing, now: Moment) -> Result<(), Fault> {
        let soon =
            crate::domain::facts::names::later(now, crate::domain::facts::names::Span::seconds(2));
        let settled = Settled {
            id: row.id,
            state: "waiting",
            next_attempt: soon,
            unknowns: row.unknowns,
            reply: String::new(),
        };
        lock(&self.store)
            .commit(&Commit { outbox: std::slice::from_ref(&settled), ..Commit::default() })
    }

    fn withdraw(&mut self, row: &Outgoing, now: Moment) -> Result<(), Fault> {
        let settled = Settled {
            id: row.id,
            state: "withdrawn",
            next_attempt: now,
            unknowns: row.unknowns,
            reply: String::new(),
        };
        self.delivered(row, Delivery::Withdrawn, "", &settled, now)
    }

    /// The bytes of a mail, which are about to be sent: that is written down first.
    ///
    /// # Errors
    /// As [`Store::in_flight`].
    pub fn in_flight(store: &SharedStore, row: &Outgoing) -> Result<Vec<u8>, Fault> {
        lock(store).in_flight(row.id)
    }

    /// Takes in how an attempt ended.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn settle(&mut self, row: &Outgoing, outcome: &Outcome) -> Result<(), Fault> {
        let now = self.now();
        let (settled, delivery) = self.settled(row, outcome, now);
        match delivery {
            Some(delivery) => self.delivered(row, delivery, &settled.reply, &settled, now),
            None => lock(&self.store)
                .commit(&Commit { outbox: std::slice::from_ref(&settled), ..Commit::default() }),
        }
    }

    /// The same for many at once: those that were simply taken are written down together.
    ///
    /// # Errors
    /// As [`Self::settle`].
    pub fn settle_all(&mut self, done: &[(Outgoing, Outcome)]) -> Result<(), Fault> {
        let now = self.now();
        let mut together = Decision::default();
        let mut rows = Vec::new();
        for (row, outcome) in done {
            if !matches!(outcome, Outcome::Accepted(_)) {
                self.settle(row, outcome)?;
                continue;
            }
            let (settled, _) = self.settled(row, outcome, now);
            let id = Self::id_of(row)?;
            let label = &row.label;
            let accepted = Delivery::Accepted;
            let more =
                watch::delivered(&self.desk, &id, label, accepted, &settled.reply, now, fresh()?);
            together.entries.extend(more.entries);
            together.bodies.extend(more.bodies);
            together.mails.extend(more.mails);
            together.faults.extend(more.faults);
            rows.push(settled);
        }
        if rows.is_empty() {
            return Ok(());
        }
        self.carry_out(together, now, None, None, &rows)
    }

    /// What an attempt comes to, for its row and for the history.
    fn settled(
        &mut self,
        row: &Outgoing,
        outcome: &Outcome,
        now: Moment,
    ) -> (Settled, Option<Delivery>) {
        self.busy.remove(&row.id);
        let unknowns = row.unknowns.saturating_add(u32::from(*outcome == Outcome::Unknown));
        let attempts = row.attempts.saturating_add(1);
        let (state, next_attempt, delivery) =
            match after(outcome, attempts, unknowns, row.written, now) {
                Next::Sent => ("sent", now, Some(Delivery::Accepted)),
                Next::Dead => ("dead", now, Some(Delivery::Dead)),
                Next::Unknown => ("unknown", now, Some(Delivery::Unknown)),
                Next::Again(at) => ("waiting", at, None),
            };
        let reply = match outcome {
            Outcome::Accepted(reply) | Outcome::Later(reply) | Outcome::Refused(reply) => {
                crate::domain::outgoing::texts::clean_line(reply, 200)
            }
            Outcome::Unknown => String::new(),
        };
        tracing::info!(outbox = row.id, state, attempts, "A mail was handed over, or not.");
        if row.label.purpose == Purpose::Witness && delivery == Some(Delivery::Accepted) {
            self.witness.handed_over(&row.message_id, now);
        }
        (Settled { id: row.id, state, next_attempt, unknowns, reply }, delivery)
    }

    fn id_of(row: &Outgoing) -> Result<MessageId, Fault> {
        MessageId::parse(&row.message_id)
            .ok_or_else(|| Fault::new(format!("outbox row {} has no Message-ID", row.id), ""))
    }

    fn delivered(
        &mut self,
        row: &Outgoing,
        delivery: Delivery,
        reply: &str,
        settled: &Settled,
        now: Moment,
    ) -> Result<(), Fault> {
        let id = Self::id_of(row)?;
        let decision =
            watch::delivered(&self.desk, &id, &row.label, delivery, reply, now, fresh()?);
        self.carry_out(decision, now, None, None, std::slice::from_ref(settled))
    }

    //-------- Carrying out -----------------------------------------------------------------------

    fn record(
        &self,
        event: &Event,
        entry: Option<&crate::domain::decide::decision::Entry>,
        cause: Option<Digest>,
        now: Moment,
    ) -> (Record, Digest) {
        let head = self.desk.head;
        let record = Record {
            number: head.number.saturating_add(1),
            at: now,
            incident: entry.and_then(|entry| entry.incident.clone()),
            by: entry.and_then(|entry| entry.by.clone()),
            cause,
            event: event.clone(),
        };
        let json = serde_json::to_string(&record).unwrap_or_default();
        let hash = chain(head.hash, &json);
        (record, hash)
    }

    /// Takes a decision's facts in, seals its mails, and commits all of it. The state in memory is
    /// ahead of the store only until the commit; should that fail the caller stops the desk, and
    /// the next start replays what was committed.
    fn carry_out(
        &mut self,
        decision: Decision,
        now: Moment,
        cause: Option<Digest>,
        inbox: Option<(i64, &str)>,
        outbox: &[Settled],
    ) -> Result<(), Fault> {
        let mut records = Vec::new();
        let mut bodies = Vec::new();
        let mut sealed = Vec::new();
        let mut next = Some(decision);
        // A mail that cannot be sealed leads to others that say so; those are bounded, since what
        // says so is content-free or an alert, and an alert makes no further one.
        for _ in 0..4 {
            let Some(decision) = next.take() else { break };
            for fault in &decision.faults {
                tracing::error!("{fault}");
            }
            for entry in &decision.entries {
                let record = self.record(&entry.event, Some(entry), cause, now);
                self.desk.apply(&record.0, record.1);
                records.push(record);
            }
            // A mail may be for a key that came in with it; one that was dropped just now can still
            // be told so.
            self.learn()?;
            bodies.extend(decision.bodies);
            let (made, withheld) = self.seal(&decision.mails, &bodies, now)?;
            sealed.extend(made);
            let mut follow_up = Decision::default();
            for (mail, why) in withheld {
                let more = watch::withheld(&self.desk, &mail, &why, now, fresh()?);
                follow_up.entries.extend(more.entries);
                follow_up.bodies.extend(more.bodies);
                follow_up.mails.extend(more.mails);
                follow_up.faults.extend(more.faults);
            }
            if !follow_up.entries.is_empty() || !follow_up.mails.is_empty() {
                next = Some(follow_up);
            }
        }
        if let Some((record, _)) = records.last() {
            self.newest = self.newest.max(Some(record.at));
        }
        let commit = Commit {
            records: &records,
            bodies: &bodies,
            shelf: &[],
            mails: &sealed,
            inbox,
            outbox,
        };
        // What couriers have in hand may be for somebody who is out by what was just taken in.
        let out = |label: &Label| watch::leaves(&self.desk, label) != Leave::Now;
        let gone = self.busy.iter().filter(|(_, label)| out(label));
        let gone: Vec<i64> = gone.map(|(id, _)| *id).collect();
        let mut store = lock(&self.store);
        store.commit(&commit)?;
        store.recall(gone);
        drop(store);
        self.forget_keys();
        Ok(())
    }
}

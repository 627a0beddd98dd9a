//! The engine: takes mails and moments in, asks the domain, and commits what it decides in one
//! transaction.
//!
//! It holds the one copy of the state, and everything goes through it one after the other, so that
//! no two decisions can cross. It is synchronous; the sockets around it live in `edge`. The same
//! engine runs in the daemon and in `embargod demo`, where a post office in the same process
//! stands for the servers and the clock jumps.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::domain::decide::time::{Belief, migrated, restored};
use crate::domain::facts::event::{Delivery, Event};
use crate::domain::facts::heart::Heart;
use crate::domain::facts::names::{Digest, Fingerprint, Handle, Moment, Span};
use crate::domain::facts::settings::Settings;
use crate::domain::model::clock::{Doubt, Trust};
use crate::domain::model::desk::Desk;
use crate::domain::model::roster::{RefKey, Roster};
use crate::domain::outgoing::mail::Label;
use crate::domain::outgoing::pace::Pace;
use crate::domain::process::calendar::Calendars;
use crate::edge::compose::Sender;
use crate::edge::pgp::Keyring;
use crate::engine::commit::Cause;
use crate::engine::vault::OpenPgp;
use crate::error::{Fault, Place};
use crate::ports::clock::Clock;
use crate::ports::entropy::Entropy;
use crate::ports::store::{Commit, Outgoing, Settled, Store, read_journal};
use crate::ports::vault::Vault;

mod clock_probe;
mod commit;
mod delivery;
mod heart;
mod inbox;
mod people;
mod sealing;
mod time;
mod turn;
mod vault;
mod witness;
pub use crate::engine::witness::mark_of;

pub use heart::heart_of;
pub use turn::{Heard, Turn};

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

impl Sources {
    /// What the journal is told of them; `lay` keeps a text and gives its digest.
    ///
    /// # Errors
    /// When a part cannot be written as JSON.
    pub fn event(&self, mut lay: impl FnMut(&str) -> Digest) -> Result<Event, Fault> {
        let place = || "writing down the configuration".to_owned();
        let settings = lay(&serde_json::to_string(&self.settings).at(place)?);
        let roster = lay(&serde_json::to_string(&self.roster).at(place)?);
        let templates = lay(&serde_json::to_string(&self.templates).at(place)?);
        let mut named = |texts: &BTreeMap<String, String>| {
            texts.iter().map(|(name, text)| (name.clone(), lay(text))).collect()
        };
        let (playbooks, calendars) = (named(&self.playbooks), named(&self.calendars));
        Ok(Event::Configured { settings, roster, templates, playbooks, calendars })
    }
}

/// The store, and what couriers have in hand and must not hand over any more.
pub struct Kept {
    store: Box<dyn Store>,
    recalled: BTreeSet<i64>,
}

/// Counts how often all that is in hand was called back: because the mail server takes nothing, or because
/// the desk stops. A courier that was given a mail before the last time puts it back.
pub type Door = Arc<AtomicU64>;

impl Deref for Kept {
    type Target = dyn Store;
    fn deref(&self) -> &Self::Target {
        self.store.as_ref()
    }
}

impl DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.store.as_mut()
    }
}

/// The store, shared with those who only touch columns of the inbox and the outbox.
pub type SharedStore = Arc<Mutex<Kept>>;

/// Takes the store for a moment.
pub fn lock(store: &SharedStore) -> MutexGuard<'_, Kept> {
    // A panic elsewhere ends the program; in a test the store is still what was committed.
    store.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The engine.
pub struct Engine {
    desk: Desk,
    store: SharedStore,
    vault: Box<dyn Vault>,
    /// The texts of the certificates that were read, by their hashes.
    read: BTreeMap<Fingerprint, Digest>,
    /// The state of the roster that they were read for.
    learned: Option<u64>,
    /// Whether the certificates of reporters were read.
    has_met: bool,
    clock: Box<dyn Clock>,
    entropy: Box<dyn Entropy>,
    busy: BTreeMap<i64, Label>,
    /// Those that wait because a notice is held.
    withheld: BTreeMap<i64, Outgoing>,
    /// Since when each of them is in hand, by the clock that nobody sets.
    handed: BTreeMap<i64, Span>,
    /// Those in hand that the server lets wait after the last bytes: they hold up no other.
    slow: BTreeSet<i64>,
    /// What is believed of the clock, and why it is not, if it is not.
    trust: Trust,
    doubt: Option<Doubt>,
    /// Whether the clock was looked at since the start.
    has_seen_clock: bool,
    /// What the wall clock said when it was last looked at.
    wall_seen: Option<Moment>,
    clock_probe: clock_probe::ClockProbe,
    made: Moment,
    witness: witness::Standing,
    /// When the desk last wrote down that it runs.
    alive: Option<Moment>,
    pace: Pace,
    door: Door,
    /// How the desk is, and when that was last written down.
    heart: Heart,
    beat: Option<Moment>,
    /// Since when the desk opens what comes in.
    decides: Option<Moment>,
    /// Whether nothing that waits fits on the disk.
    too_large: bool,
    /// When the operators were last mailed of mails that the server does not hand out.
    troubles_told: Option<Moment>,
    /// Incidents with something due that has to wait: how far the clock was trusted when that was found, and when.
    idle: BTreeMap<Handle, (Belief, Moment)>,
    /// The folder that mail comes to, and how many mails were just found in others that nobody had seen.
    main_folder: String,
    found: u64,
    /// Whether a mail to ourselves is sent each day, whatever there is to do.
    probes_daily: bool,
}

/// Replays a store's journal.
///
/// # Errors
/// When the chain is broken or a text is missing.
pub fn replay(store: &dyn Store, settings: Settings) -> Result<(Desk, Option<Moment>), Fault> {
    let secrets = store.secrets()?;
    let mut desk =
        Desk::new(RefKey(secrets.ref_key), settings).map_err(|why| Fault::new(why, ""))?;
    for text in store.texts()? {
        desk.keep_text(&text);
    }
    let mut newest = None;
    desk.begins_reading();
    read_journal(store, |record, hash| {
        newest = newest.max(Some(record.at));
        desk.apply(&record, hash);
    })?;
    desk.has_read();
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
        store: Box<dyn Store>,
        keyring: Keyring,
        sources: &Sources,
        clock: Box<dyn Clock>,
        entropy: Box<dyn Entropy>,
    ) -> Result<Self, Fault> {
        let sender = Sender {
            name: sources.settings.name.clone(),
            address: sources.settings.address.to_string(),
            certificate: sources.settings.certificate.clone(),
            threads_outside: sources.settings.threads_outside,
        };
        let vault = Box::new(OpenPgp::new(keyring, sender));
        Self::with_vault(store, vault, sources, clock, entropy)
    }

    /// The same with somebody else who opens and seals.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn with_vault(
        store: Box<dyn Store>,
        vault: Box<dyn Vault>,
        sources: &Sources,
        clock: Box<dyn Clock>,
        entropy: Box<dyn Entropy>,
    ) -> Result<Self, Fault> {
        let (desk, newest) = replay(store.as_ref(), sources.settings.clone())?;
        let made = store.made()?;
        // The journal of an older version says what the desk was sure of.
        let sure = heart_of(store.as_ref())?.map_or(newest, |heart| heart.sure);
        let trust = Trust::begin(clock.reading(), sure);
        let mut engine = Self {
            desk,
            store: Arc::new(Mutex::new(Kept { store, recalled: BTreeSet::new() })),
            vault,
            read: BTreeMap::new(),
            learned: None,
            has_met: false,
            clock,
            entropy,
            busy: BTreeMap::new(),
            withheld: BTreeMap::new(),
            handed: BTreeMap::new(),
            slow: BTreeSet::new(),
            trust,
            doubt: None,
            has_seen_clock: false,
            wall_seen: None,
            clock_probe: clock_probe::ClockProbe::default(),
            made,
            witness: witness::Standing::default(),
            alive: None,
            pace: Pace::default(),
            door: Door::default(),
            heart: Heart::default(),
            beat: None,
            decides: None,
            too_large: false,
            troubles_told: None,
            idle: BTreeMap::new(),
            main_folder: String::new(),
            found: 0,
            probes_daily: false,
        };
        engine.wake(env!("CARGO_PKG_VERSION"))?;
        if engine.is_rolled_back()? {
            // Nothing is written to it: a copy that was put in place by mistake is put away again.
            return Ok(engine);
        }
        let before = engine.desk.configured.is_some().then(|| engine.desk.settings.clone());
        let staff = engine.desk.staff();
        engine.configure(sources)?;
        engine.take_over()?;
        engine.rest_who_left(&staff)?;
        engine.learn()?;
        engine.tell_new_key(before.map(|before| before.fingerprint))?;
        engine.note_outage()?;
        engine.settle_what_was_in_flight()?;
        // Why something was put off is not known any more: the server may be well by now.
        let now = engine.now();
        // When it last ran is still to come: the clock was set back since.
        let was_ahead = lock(&engine.store).alive()?.is_some_and(|at| at > now);
        lock(&engine.store).let_go(now, was_ahead)?;
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

    pub(super) fn configure(&mut self, sources: &Sources) -> Result<(), Fault> {
        let mut texts = Vec::new();
        let event = sources.event(|text| {
            let digest = Digest::of(text.as_bytes());
            texts.push((digest, text.to_owned()));
            digest
        })?;
        if self.desk.configured.as_ref() == Some(&event) {
            return Ok(());
        }
        // Tried on a copy first: what does not load must not be in the journal.
        let mut trial = self.desk.clone();
        for (_, text) in &texts {
            trial.keep_text(text);
            self.desk.keep_text(text);
        }
        let before = self.desk.head;
        let (record, line) = self.line(&event, None, None, self.now())?;
        trial.apply(&record, line.hash);
        if let Some(fault) = trial.faults.first() {
            return Err(Fault::new(fault.clone(), "run `embargod check`"));
        }
        let staff = self.desk.staff();
        trial.contradiction(&staff).map_err(|why| {
            Fault::new(why, "give the person in the config another id, key or address, or remove the member first")
        })?;
        self.desk.apply(&record, line.hash);
        let commit = Commit { lines: &[line], texts: &texts, ..Commit::default() };
        lock(&self.store).commit(before, &commit)
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
        self.goes_on()?;
        let rows = lock(&self.store).due_mails(Moment::MAX_UTC, u32::MAX)?;
        for row in &rows {
            let settled = Settled {
                id: row.id,
                state: "unknown",
                next_attempt: now,
                tries: row.tries,
                reply: "the store was put back from a backup".to_owned(),
            };
            self.delivered(row, Delivery::Unknown, "", &settled, now)?;
        }
        let decision = restored(&self.desk, now, self.entropy.fresh()?);
        let held = decision.entries.len().saturating_sub(1);
        self.carry_out(decision, Cause::Time)?;
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
        let decision = migrated(&self.desk, handle, &playbook, now, self.entropy.fresh()?);
        self.carry_out(decision, Cause::Time)
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }
}

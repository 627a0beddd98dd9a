//! A store in memory that can be stopped at any call, and then has what was written out and nothing else.
//!
//! It keeps the contract of `tests/store.rs`, as the database does. Its state is made of maps that share what
//! they have in common, so that what is durable, what is ahead of it and what a change began with are three
//! names for nearly the same.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use embargod::domain::facts::event::{Blob, Purpose};
use embargod::domain::facts::heart::Down;
use embargod::domain::facts::names::{Digest, Handle, MessageId, Moment};
use embargod::domain::facts::record::{Head, Line, Record};
use embargod::domain::outgoing::mail::Label;
use embargod::domain::outgoing::tries::UNKNOWN_LONGEST;
use embargod::error::Fault;
use embargod::ports::store::{
    Alarms, Bookmark, Commit, Content, Counts, Folder, Gather, Inbox, Journal, Kept, Listed,
    Location, Note, Outbox, Outgoing, RawMail, Sealed, Secrets, Settled, Spool, Spooling, WITNESS,
    Waiting,
};
use imbl::{OrdMap, OrdSet, Vector};

/// What is kept of a mail that came in.
#[derive(Clone)]
struct In {
    mail: Arc<RawMail>,
    raw: Digest,
    report: bool,
    attempts: u32,
    state: &'static str,
    disposition: Arc<str>,
}

/// A row of the outbox.
#[derive(Clone)]
struct Out {
    row: Outgoing,
    bytes: Option<Arc<[u8]>>,
    state: &'static str,
    next: Moment,
    told: bool,
    retried: u32,
    reply: Arc<str>,
}

type At = (String, u32, u32);

/// All that there is.
#[derive(Clone)]
struct State {
    lines: Vector<Arc<Line>>,
    of: OrdMap<Handle, Vector<Arc<Line>>>,
    bodies: OrdMap<Blob, ([u8; 32], Arc<str>)>,
    texts: OrdMap<Digest, Arc<str>>,
    inbox: OrdMap<i64, In>,
    waiting_in: OrdSet<i64>,
    ids: OrdMap<Digest, i64>,
    places: OrdMap<At, (Digest, bool)>,
    folders: OrdMap<(String, u32), (u32, u32)>,
    troubles: OrdMap<At, (String, Moment, bool)>,
    outbox: OrdMap<i64, Out>,
    waiting_out: OrdSet<(u8, Moment, i64)>,
    given_up: OrdSet<i64>,
    untold: OrdSet<i64>,
    /// Those of them that have their bytes still, and since when they are given up.
    kept: OrdSet<(Moment, i64)>,
    /// Which incident each line is about.
    about: Vector<Option<Handle>>,
    by_id: OrdMap<String, i64>,
    by_token: OrdMap<String, i64>,
    notes: OrdMap<&'static str, String>,
    alive: Option<Moment>,
    mailed: Option<(Moment, u64)>,
    held: Option<String>,
    witnessed: bool,
    last_in: i64,
    last_out: i64,
}

/// What outlives a stop: the disk, and beside it the witness of the newest head.
struct Disk {
    durable: State,
    ahead: State,
    witness: Option<Head>,
    secrets: Secrets,
    made: Moment,
    gathers: bool,
    lost: Option<Fault>,
    room: u64,
    /// Calls that write until the next is to fail, or the one that stops the desk.
    plan: Plan,
    writes: u64,
}

/// What is to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Plan {
    /// Nothing.
    #[default]
    Well,
    /// The desk is stopped at the call that writes of this number: before it has an effect.
    StopBefore(u64),
    /// The same, when it has had its effect and nobody has heard of it.
    StopAfter(u64),
}

/// Said by a call at which the desk is stopped: whoever hears it lets go of the engine.
pub(crate) const STOPPED: &str = "the power is cut";

/// A store; its clones are the same disk.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Mutex<Disk>>);

impl State {
    fn new() -> Self {
        Self {
            lines: Vector::new(),
            of: OrdMap::new(),
            bodies: OrdMap::new(),
            texts: OrdMap::new(),
            inbox: OrdMap::new(),
            waiting_in: OrdSet::new(),
            ids: OrdMap::new(),
            places: OrdMap::new(),
            folders: OrdMap::new(),
            troubles: OrdMap::new(),
            outbox: OrdMap::new(),
            waiting_out: OrdSet::new(),
            given_up: OrdSet::new(),
            untold: OrdSet::new(),
            kept: OrdSet::new(),
            about: Vector::new(),
            by_id: OrdMap::new(),
            by_token: OrdMap::new(),
            notes: OrdMap::new(),
            alive: None,
            mailed: None,
            held: None,
            witnessed: false,
            last_in: 0,
            last_out: 0,
        }
    }

    fn head(&self) -> Head {
        self.lines.last().map_or(Head::EMPTY, |line| Head { number: line.number, hash: line.hash })
    }

    /// Changes a row, and its places in what is looked up.
    fn out(&mut self, id: i64, change: impl FnOnce(&mut Out)) {
        let Some(before) = self.outbox.get(&id) else { return };
        let mut after = before.clone();
        self.waiting_out.remove(&(before.row.label.urgency(), before.next, id));
        self.given_up.remove(&id);
        self.untold.remove(&id);
        self.kept.remove(&(before.next, id));
        change(&mut after);
        if after.state == "waiting" {
            self.waiting_out.insert((after.row.label.urgency(), after.next, id));
        }
        if ["dead", "unknown"].contains(&after.state) {
            self.given_up.insert(id);
            if after.bytes.is_some() {
                self.kept.insert((after.next, id));
            }
            if !after.told {
                self.untold.insert(id);
            }
        }
        self.outbox.insert(id, after);
    }

    fn put(&mut self, mail: &Sealed) -> Result<(), Fault> {
        let twice = self.by_id.contains_key(&mail.message_id)
            || self.by_token.contains_key(&mail.return_token);
        if twice {
            return Err(Fault::new("a mail is there already", ""));
        }
        let Kept::Here(bytes) = &mail.content else {
            return Err(Fault::new("this store keeps nothing apart", ""));
        };
        self.last_out += 1;
        let id = self.last_out;
        let row = Outgoing {
            id,
            message_id: mail.message_id.clone(),
            label: mail.label.clone(),
            return_token: mail.return_token.clone(),
            recipient: mail.recipient.clone(),
            written: mail.not_before,
            size: bytes.len() as u64,
            attempts: 0,
            tries: embargod::domain::outgoing::tries::Tries::default(),
            unwanted: false,
            in_flight: false,
        };
        let (bytes, next) = (Some(bytes.as_slice().into()), mail.not_before);
        let (state, reply) = ("waiting", "".into());
        let out = Out { row, bytes, state, next, told: false, retried: 0, reply };
        self.waiting_out.insert((out.row.label.urgency(), next, id));
        self.by_id.insert(mail.message_id.clone(), id);
        self.by_token.insert(mail.return_token.clone(), id);
        self.outbox.insert(id, out);
        Ok(())
    }

    fn settle(&mut self, settled: &Settled) {
        self.out(settled.id, |out| {
            out.state = settled.state;
            out.next = settled.next_attempt;
            out.row.tries = settled.tries;
            out.reply = settled.reply.as_str().into();
            out.row.in_flight = false;
            if !["waiting", "dead", "unknown"].contains(&settled.state) {
                out.bytes = None;
            }
        });
    }

    fn commit(&mut self, expected: Head, commit: &Commit<'_>) -> Result<(), Fault> {
        if self.head() != expected {
            let what = format!("the journal does not end with record {}", expected.number);
            return Err(Fault::new(what, ""));
        }
        for (digest, text) in commit.texts {
            self.texts.entry(*digest).or_insert_with(|| text.as_str().into());
        }
        for body in commit.bodies {
            if self.bodies.insert(body.name, (body.salt, body.text.as_str().into())).is_some() {
                return Err(Fault::new("a body is there already", ""));
            }
        }
        for line in commit.lines {
            let record: Record = serde_json::from_str(&line.json)
                .map_err(|error| Fault::new(error.to_string(), ""))?;
            let line = Arc::new(line.clone());
            self.about.push_back(record.incident.clone());
            if let Some(handle) = record.incident {
                self.of.entry(handle).or_default().push_back(Arc::clone(&line));
            }
            self.lines.push_back(line);
        }
        for mail in commit.mails {
            self.put(mail)?;
        }
        if let Some((id, what)) = commit.inbox
            && let Some(row) = self.inbox.get_mut(&id)
        {
            (row.state, row.disposition) = ("done", what.into());
            self.waiting_in.remove(&id);
        }
        commit.outbox.iter().for_each(|settled| self.settle(settled));
        for id in commit.told {
            self.out(*id, |out| out.told = true);
        }
        Ok(())
    }
}

impl Disk {
    /// A call that writes, if the desk is not stopped at it.
    fn call<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        self.writes += 1;
        let (plan, stopped) = (self.plan, Fault::new(STOPPED, ""));
        if plan == Plan::StopBefore(self.writes) {
            self.lost = Some(stopped.clone());
            return Err(stopped);
        }
        let done = work(self);
        if plan == Plan::StopAfter(self.writes) {
            self.lost = Some(stopped.clone());
            return Err(stopped);
        }
        done
    }

    /// A change: whole or not at all, durable at once unless changes are gathered.
    fn unit<T>(&mut self, work: impl FnOnce(&mut State) -> Result<T, Fault>) -> Result<T, Fault> {
        self.call(|disk| {
            let before = disk.ahead.clone();
            let done = work(&mut disk.ahead);
            if done.is_err() {
                disk.ahead = before;
            } else if !disk.gathers {
                disk.close();
            }
            done
        })
    }

    fn close(&mut self) {
        let grown = self.ahead.lines.len() > self.durable.lines.len();
        self.durable = self.ahead.clone();
        if grown {
            self.witness = Some(self.durable.head());
            self.ahead.witnessed = true;
            self.durable.witnessed = true;
        }
    }
}

impl Memory {
    /// An empty one; its secrets follow from a number.
    pub(crate) fn new(made: Moment, number: u64) -> Self {
        let drawn = |what: &[u8]| Digest::of_parts(&[what, &number.to_be_bytes()]).0;
        let secrets = Secrets { ref_key: drawn(b"ref"), session_salt: drawn(b"session") };
        Self(Arc::new(Mutex::new(Disk {
            durable: State::new(),
            ahead: State::new(),
            witness: None,
            secrets,
            made,
            gathers: false,
            lost: None,
            room: 1 << 40,
            plan: Plan::Well,
            writes: 0,
        })))
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    /// The machine stops: what was not written out is gone. The store is as it is when it is opened again.
    pub(crate) fn stop(&self) {
        let mut disk = self.disk();
        disk.ahead = disk.durable.clone();
        (disk.lost, disk.gathers, disk.plan) = (None, false, Plan::Well);
    }

    /// What is to go wrong; the calls are counted from here.
    pub(crate) fn plan(&self, plan: Plan) {
        let mut disk = self.disk();
        (disk.plan, disk.writes) = (plan, 0);
    }

    /// How many calls have written since the plan.
    pub(crate) fn writes(&self) -> u64 {
        self.disk().writes
    }

    /// Whether the desk was stopped at a call.
    pub(crate) fn is_stopped(&self) -> bool {
        self.disk().lost.is_some()
    }

    /// Whether people were told that a mail with these words to somebody did not leave, or may not have.
    pub(crate) fn has_told_of(&self, recipient: &str, words: &str) -> bool {
        self.see(|state| {
            let rows = state.given_up.iter().filter_map(|id| state.outbox.get(id));
            let is_it = |out: &Out| {
                let bytes = out.bytes.as_deref().unwrap_or_default();
                out.told && memchr::memmem::find(bytes, words.as_bytes()).is_some()
            };
            rows.filter(|out| out.row.recipient == recipient).any(is_it)
        })
    }

    /// Mails to somebody of which people were told that they did not leave, or may not have.
    pub(crate) fn told(&self, recipient: &str) -> Vec<i64> {
        self.see(|state| {
            let rows = state.given_up.iter().filter_map(|id| state.outbox.get(id));
            let rows = rows.filter(|out| out.told && out.row.recipient == recipient);
            rows.map(|out| out.row.id).collect()
        })
    }

    /// The incidents that the journal speaks of from a line on; and how many lines there are.
    pub(crate) fn touched(&self, from: usize) -> (BTreeSet<Handle>, usize) {
        self.see(|state| {
            let new = (from..state.about.len()).filter_map(|at| state.about.get(at)?.clone());
            (new.collect(), state.about.len())
        })
    }

    /// Whether a mail in the mailbox would still be known if the machine stopped now.
    pub(crate) fn has_durably(&self, raw: Digest) -> bool {
        self.disk().durable.ids.contains_key(&raw)
    }

    /// Whether it is durable that a mail may have left.
    pub(crate) fn is_durably_in_flight(&self, row: i64) -> bool {
        self.disk().durable.outbox.get(&row).is_some_and(|out| out.row.in_flight)
    }

    /// The whole journal as it would be found if the machine stopped now: how long it is, and its last hash.
    pub(crate) fn durable_head(&self) -> Head {
        self.disk().durable.head()
    }

    pub(crate) fn set_room(&self, room: u64) {
        self.disk().room = room;
    }

    /// A copy of the disk, as a snapshot has it.
    pub(crate) fn copy(&self) -> Copied {
        Copied(self.disk().durable.clone())
    }

    /// Puts a copy back; the witness beside it stays.
    pub(crate) fn put_back(&self, copy: &Copied) {
        let mut disk = self.disk();
        (disk.durable, disk.ahead) = (copy.0.clone(), copy.0.clone());
    }

    fn see<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.disk().ahead)
    }
}

/// A copy of a disk.
#[derive(Clone)]
pub(crate) struct Copied(State);

impl Gather for Memory {
    fn gather(&mut self) {
        self.disk().gathers = true;
    }

    fn write_out(&mut self) -> Result<(), Fault> {
        self.disk().call(|disk| {
            disk.close();
            Ok(())
        })
    }
}

impl Journal for Memory {
    fn replay(&self, take: &mut dyn FnMut(Line) -> Result<(), Fault>) -> Result<(), Fault> {
        let lines = self.see(|state| state.lines.clone());
        lines.iter().try_for_each(|line| take(Line::clone(line)))
    }

    fn history(&self, handle: &Handle) -> Result<Vec<Record>, Fault> {
        let lines = self.see(|state| state.of.get(handle).cloned().unwrap_or_default());
        let read = |line: &Arc<Line>| serde_json::from_str(&line.json);
        let records: Result<Vec<Record>, _> = lines.iter().map(read).collect();
        records.map_err(|error| Fault::new(error.to_string(), ""))
    }

    fn body(&self, name: Blob) -> Result<Option<String>, Fault> {
        Ok(self.see(|state| state.bodies.get(&name).map(|(_, text)| text.to_string())))
    }

    fn bodies(&self, take: &mut dyn FnMut(&str, &[u8], &str)) -> Result<(), Fault> {
        let bodies = self.see(|state| state.bodies.clone());
        bodies.iter().for_each(|(name, (salt, text))| take(&name.to_string(), salt, text));
        Ok(())
    }

    fn texts(&self) -> Result<Vec<String>, Fault> {
        Ok(self.see(|state| state.texts.values().map(ToString::to_string).collect()))
    }

    fn secrets(&self) -> Result<Secrets, Fault> {
        Ok(self.disk().secrets.clone())
    }

    fn made(&self) -> Result<Moment, Fault> {
        Ok(self.disk().made)
    }

    fn witness(&self) -> Result<Option<Head>, Fault> {
        Ok(self.disk().witness)
    }

    fn line_hash(&self, number: u64) -> Result<Option<Digest>, Fault> {
        let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        Ok(self.see(|state| state.lines.get(at?).map(|line| line.hash)))
    }

    fn commit(&mut self, expected: Head, commit: &Commit<'_>) -> Result<(), Fault> {
        self.disk().unit(|state| state.commit(expected, commit))
    }
}

fn place(at: &Location) -> At {
    (at.folder.clone(), at.uidvalidity, at.uid)
}

/// The places of a folder, in order.
fn of<'a, T>(
    all: &'a OrdMap<At, T>,
    folder: &Folder,
    from: u32,
) -> impl Iterator<Item = (u32, &'a T)>
where
    T: Clone,
{
    let (name, incarnation) = (folder.name.clone(), folder.uidvalidity);
    let range = (name.clone(), incarnation, from)..=(name, incarnation, u32::MAX);
    all.range(range).map(|((_, _, uid), it)| (*uid, it))
}

impl Inbox for Memory {
    fn knows(&self, raw: Digest) -> Result<bool, Fault> {
        Ok(self.see(|state| state.ids.contains_key(&raw)))
    }

    fn take_in(&mut self, mails: &[(Option<Location>, RawMail)]) -> Result<(), Fault> {
        self.disk().unit(|state| {
            for (location, mail) in mails {
                let raw = Digest::of(&mail.bytes);
                if !state.ids.contains_key(&raw) {
                    state.last_in += 1;
                    let id = state.last_in;
                    let report = embargod::edge::mime::says_report(&mail.bytes);
                    let (mail, disposition) = (Arc::new(mail.clone()), "".into());
                    let row = In { mail, raw, report, attempts: 0, state: "waiting", disposition };
                    state.inbox.insert(id, row);
                    state.waiting_in.insert(id);
                    state.ids.insert(raw, id);
                }
                if let Some(at) = location {
                    state.places.entry(place(at)).or_insert((raw, false));
                    state.troubles.remove(&place(at));
                }
            }
            Ok(())
        })
    }

    fn waiting(&self, max: u32, bytes_max: u64, all: bool) -> Result<Vec<Waiting>, Fault> {
        let mut list: Vec<Waiting> = self.see(|state| {
            let rows = state.waiting_in.iter().filter_map(|id| Some((*id, state.inbox.get(id)?)));
            let fits = |row: &In| row.mail.bytes.len() as u64 <= bytes_max && (all || !row.report);
            let rows = rows.filter(|(_, row)| fits(row)).take(max as usize);
            rows.map(|(id, row)| Waiting {
                id,
                attempts: row.attempts,
                mail: RawMail::clone(&row.mail),
            })
            .collect()
        });
        let mut bytes = 0_usize;
        let over = list.iter().enumerate().position(|(n, row)| {
            bytes += row.mail.bytes.len();
            bytes > Waiting::TOGETHER_BYTES && n > 0
        });
        list.truncate(over.unwrap_or(list.len()));
        Ok(Waiting::together(list))
    }

    fn unopened(&self) -> Result<Option<Moment>, Fault> {
        Ok(self.see(|state| {
            let first = state.waiting_in.get_min()?;
            state.inbox.get(first).map(|row| row.mail.arrived)
        }))
    }

    fn charge(&mut self, ids: &[i64]) -> Result<(), Fault> {
        self.disk().unit(|state| {
            for id in ids {
                if let Some(row) = state.inbox.get_mut(id) {
                    row.attempts += 1;
                }
            }
            Ok(())
        })
    }

    fn set_aside(&mut self, id: i64, why: &str) -> Result<(), Fault> {
        self.disk().unit(|state| {
            if let Some(row) = state.inbox.get_mut(&id) {
                (row.state, row.disposition) = ("aside", why.into());
                state.waiting_in.remove(&id);
            }
            Ok(())
        })
    }

    fn retry_aside(&mut self) -> Result<usize, Fault> {
        self.disk().unit(|state| {
            let aside = state.inbox.iter().filter(|(_, row)| row.state == "aside");
            let aside: Vec<i64> = aside.map(|(id, _)| *id).collect();
            for id in &aside {
                if let Some(row) = state.inbox.get_mut(id) {
                    (row.state, row.attempts) = ("waiting", 0);
                    state.waiting_in.insert(*id);
                }
            }
            let troubled = state.troubles.len();
            let tried = state
                .troubles
                .iter()
                .map(|(at, (why, _, told))| (at.clone(), (why.clone(), Moment::default(), *told)));
            state.troubles = tried.collect();
            Ok(aside.len() + troubled)
        })
    }

    fn mail(&self, raw: Digest) -> Result<Option<RawMail>, Fault> {
        Ok(self.see(|state| {
            let row = state.inbox.get(state.ids.get(&raw)?)?;
            Some(RawMail::clone(&row.mail))
        }))
    }

    fn bookmark(&self, folder: &Folder) -> Result<Bookmark, Fault> {
        let made = self.disk().made;
        Ok(self.see(|state| {
            let known = state.folders.get(&(folder.name.clone(), folder.uidvalidity));
            let incarnations = state.folders.keys().filter(|(name, _)| *name == folder.name);
            Bookmark {
                low_water: known.map(|(low, _)| *low),
                base: known.map(|(_, base)| *base),
                incarnations: incarnations.count() as i64,
                made,
            }
        }))
    }

    fn set_bookmark(&mut self, folder: &Folder, low_water: u32, base: bool) -> Result<(), Fault> {
        self.disk().unit(|state| {
            let key = (folder.name.clone(), folder.uidvalidity);
            let (low, from) = *state.folders.get(&key).unwrap_or(&(low_water, low_water));
            let low = low.max(low_water);
            state.folders.insert(key, (low, if base { low } else { from }));
            Ok(())
        })
    }

    fn known_uids(&self, folder: &Folder, from: u32) -> Result<BTreeSet<u32>, Fault> {
        Ok(self.see(|state| of(&state.places, folder, from).map(|(uid, _)| uid).collect()))
    }

    fn to_mark(&self, folder: &Folder) -> Result<Vec<u32>, Fault> {
        Ok(self.see(|state| {
            let open = of(&state.places, folder, 0).filter(|(_, (_, marked))| !marked);
            open.map(|(uid, _)| uid).take(1_000).collect()
        }))
    }

    fn marked(&mut self, folder: &Folder, uids: &[u32]) -> Result<(), Fault> {
        self.disk().unit(|state| {
            for uid in uids {
                let at = (folder.name.clone(), folder.uidvalidity, *uid);
                if let Some((_, marked)) = state.places.get_mut(&at) {
                    *marked = true;
                }
            }
            Ok(())
        })
    }

    fn troubled(
        &self,
        folder: &Folder,
        before: Moment,
    ) -> Result<(BTreeSet<u32>, BTreeSet<u32>), Fault> {
        Ok(self.see(|state| {
            let all: Vec<(u32, Moment)> =
                of(&state.troubles, folder, 0).map(|(uid, (_, tried, _))| (uid, *tried)).collect();
            let again = all.iter().filter(|(_, tried)| *tried < before).map(|(uid, _)| *uid);
            (all.iter().map(|(uid, _)| *uid).collect(), again.collect())
        }))
    }

    fn set_trouble(&mut self, at: &Location, why: &str, now: Moment) -> Result<(), Fault> {
        self.disk().unit(|state| {
            let told = state.troubles.get(&place(at)).is_some_and(|(_, _, told)| *told);
            state.troubles.insert(place(at), (why.to_owned(), now, told));
            Ok(())
        })
    }

    fn new_troubles(&mut self) -> Result<Vec<(Location, String)>, Fault> {
        let new: Vec<(Location, String)> = self.see(|state| troubles(state, false));
        if !new.is_empty() {
            self.disk().unit(|state| {
                for (at, _) in &new {
                    if let Some((_, _, told)) = state.troubles.get_mut(&place(at)) {
                        *told = true;
                    }
                }
                Ok(())
            })?;
        }
        Ok(new)
    }

    fn troubles(&self) -> Result<Vec<(Location, String)>, Fault> {
        Ok(self.see(|state| troubles(state, true)))
    }

    fn spent_witnesses(&self, folder: &Folder) -> Result<Vec<u32>, Fault> {
        Ok(self.see(|state| {
            let newest = newest_witness(state);
            let is_spent = |raw: &Digest| {
                let id = state.ids.get(raw);
                let row = id.and_then(|id| state.inbox.get(id));
                row.is_some_and(|row| &*row.disposition == WITNESS) && id.copied() < newest
            };
            let spent = of(&state.places, folder, 0).filter(|(_, (raw, _))| is_spent(raw));
            spent.map(|(uid, _)| uid).take(100).collect()
        }))
    }

    fn removed(&mut self, folder: &Folder, uids: &[u32]) -> Result<(), Fault> {
        self.disk().unit(|state| {
            for uid in uids {
                let at = (folder.name.clone(), folder.uidvalidity, *uid);
                let Some((raw, _)) = state.places.remove(&at) else { continue };
                let newest = newest_witness(state);
                let Some(id) = state.ids.get(&raw).copied() else { continue };
                let spent = state.inbox.get(&id).is_some_and(|row| &*row.disposition == WITNESS);
                let lies = state.places.values().any(|(other, _)| *other == raw);
                if spent && Some(id) < newest && !lies {
                    state.inbox.remove(&id);
                    state.ids.remove(&raw);
                }
            }
            Ok(())
        })
    }
}

fn troubles(state: &State, all: bool) -> Vec<(Location, String)> {
    let those = state.troubles.iter().filter(|(_, (_, _, told))| all || !told).take(1_000);
    those
        .map(|((folder, uidvalidity, uid), (why, _, _))| {
            let at = Location { folder: folder.clone(), uidvalidity: *uidvalidity, uid: *uid };
            (at, why.clone())
        })
        .collect()
}

fn newest_witness(state: &State) -> Option<i64> {
    let witnesses = state.inbox.iter().rev().filter(|(_, row)| &*row.disposition == WITNESS);
    witnesses.map(|(id, _)| *id).next()
}

/// A store that keeps nothing apart: what is large is as the rest.
struct NoSpool;

impl Spool for NoSpool {
    fn begin(&self) -> Result<Box<dyn Spooling>, Fault> {
        Ok(Box::new(Whole(Vec::new())))
    }
}

struct Whole(Vec<u8>);

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spooling for Whole {
    fn end(self: Box<Self>) -> Result<Kept, Fault> {
        Ok(Kept::Here(self.0))
    }
}

fn listed(out: &Out) -> Listed {
    Listed {
        row: out.row.clone(),
        state: out.state.to_owned(),
        at: out.next,
        reply: out.reply.to_string(),
        retried: out.retried,
    }
}

impl Outbox for Memory {
    fn spool(&self) -> Arc<dyn Spool> {
        Arc::new(NoSpool)
    }

    fn due_mails(&self, now: Moment, max: u32) -> Result<Vec<Outgoing>, Fault> {
        Ok(self.see(|state| {
            let due = (0..=Label::LEAST_URGENT).flat_map(|urgency| {
                state
                    .waiting_out
                    .range((urgency, Moment::MIN_UTC, i64::MIN)..=(urgency, now, i64::MAX))
            });
            let rows = due.filter_map(|(_, _, id)| state.outbox.get(id));
            rows.take(max as usize).map(|out| out.row.clone()).collect()
        }))
    }

    fn mails_to_try(&self, now: Moment, max: u32) -> Result<Vec<Outgoing>, Fault> {
        Ok(self.see(|state| {
            let rows = state.waiting_out.iter().filter_map(|(_, _, id)| state.outbox.get(id));
            let tries = |out: &Out| {
                let tries = out.row.tries;
                tries.deferrals + tries.refusals + tries.unknowns > 0
            };
            let mut rows: Vec<&Out> = rows
                .filter(|out| {
                    out.next <= now || out.row.attempts > 0 && out.row.tries.unknowns == 0
                })
                .collect();
            rows.sort_by_key(|out| {
                let stranger =
                    matches!(out.row.label.purpose, Purpose::Acknowledgement | Purpose::Key);
                let urgency = out.row.label.urgency();
                (out.next > now, tries(out), stranger, urgency, out.next, out.row.id)
            });
            rows.into_iter().take(max as usize).map(|out| out.row.clone()).collect()
        }))
    }

    fn let_go(&mut self, now: Moment, all: bool) -> Result<usize, Fault> {
        self.disk().unit(|state| {
            let rows = state.waiting_out.iter().filter_map(|(_, _, id)| state.outbox.get(id));
            let put_off = rows.filter(|out| {
                out.row.tries.unknowns == 0 && (out.row.attempts > 0 || all && out.next > now)
            });
            let ids: Vec<i64> = put_off.map(|out| out.row.id).collect();
            let rows = state.waiting_out.iter().filter_map(|(_, _, id)| state.outbox.get(id));
            let soon = now + UNKNOWN_LONGEST;
            let unknown = rows.filter(|out| all && out.row.tries.unknowns > 0 && out.next > soon);
            let unknown: Vec<i64> = unknown.map(|out| out.row.id).collect();
            unknown.iter().for_each(|id| state.out(*id, |out| out.next = soon));
            for id in &ids {
                state.out(*id, |out| {
                    out.next = now;
                    out.row.tries.deferrals = 0;
                    if out.row.tries.refusals == 0 {
                        out.row.tries.since = None;
                    }
                });
            }
            Ok(ids.len())
        })
    }

    fn last_mail(&self) -> Result<i64, Fault> {
        Ok(self.see(|state| state.outbox.get_max().map_or(0, |(id, _)| *id)))
    }

    fn next_mail(&self) -> Result<Option<Moment>, Fault> {
        Ok(self.see(|state| {
            let first = |urgency: u8| {
                let from = (urgency, Moment::MIN_UTC, i64::MIN);
                let next =
                    state.waiting_out.range(from..=(urgency, Moment::MAX_UTC, i64::MAX)).next();
                next.map(|(_, at, _)| *at)
            };
            (0..=Label::LEAST_URGENT).filter_map(first).min()
        }))
    }

    fn attempt(&mut self, rows: &[(i64, Moment)]) -> Result<(), Fault> {
        if rows.is_empty() {
            return Ok(());
        }
        self.disk().unit(|state| {
            for (id, next) in rows {
                state.out(*id, |out| {
                    out.row.attempts += 1;
                    out.next = *next;
                });
            }
            Ok(())
        })
    }

    fn in_flight(&mut self, ids: &[i64]) -> Result<Vec<Option<Content>>, Fault> {
        self.disk().unit(|state| {
            let mut mails = Vec::new();
            for id in ids {
                state.out(*id, |out| out.row.in_flight = true);
                let bytes = state.outbox.get(id).and_then(|out| out.bytes.clone());
                mails.push(bytes.map(|bytes| Content::Here(bytes.to_vec())));
            }
            Ok(mails)
        })
    }

    fn left_in_flight(&self) -> Result<Vec<Outgoing>, Fault> {
        Ok(self.see(|state| {
            let rows = state.waiting_out.iter().filter_map(|(_, _, id)| state.outbox.get(id));
            rows.filter(|out| out.row.in_flight).map(|out| out.row.clone()).collect()
        }))
    }

    fn untold(&self) -> Result<Vec<Listed>, Fault> {
        Ok(self.see(|state| {
            let rows = state.untold.iter().filter_map(|id| state.outbox.get(id));
            rows.take(1_000).map(listed).collect()
        }))
    }

    fn listed(&self, id: Option<i64>, max: u32) -> Result<Vec<Listed>, Fault> {
        Ok(self.see(|state| match id {
            Some(id) => state.outbox.get(&id).map(listed).into_iter().collect(),
            None => {
                let rows = state.outbox.values().rev();
                let open = ["waiting", "dead", "unknown"];
                rows.filter(|out| open.contains(&out.state))
                    .take(max as usize)
                    .map(listed)
                    .collect()
            }
        }))
    }

    fn retry(&mut self, id: i64, now: Moment) -> Result<bool, Fault> {
        self.disk().unit(|state| {
            let Some(out) = state.outbox.get(&id) else { return Ok(false) };
            let may = !out.row.in_flight
                && !out.row.unwanted
                && out.bytes.is_some()
                && match out.state {
                    "waiting" => out.next > now && out.row.attempts > 0,
                    "dead" => true,
                    "unknown" => out.retried == 0,
                    _ => false,
                };
            if may {
                state.out(id, |out| {
                    out.retried += u32::from(out.state != "waiting");
                    (out.state, out.next, out.told) = ("waiting", now, false);
                    out.row.tries = embargod::domain::outgoing::tries::Tries::default();
                });
            }
            Ok(may)
        })
    }

    fn withdraw(&mut self, id: i64, now: Moment) -> Result<bool, Fault> {
        self.disk().unit(|state| {
            let waits = state.outbox.get(&id).is_some_and(|out| out.state == "waiting");
            if waits {
                state.out(id, |out| {
                    out.row.unwanted = true;
                    out.next = out.next.min(now);
                });
            }
            Ok(waits)
        })
    }

    fn forget_given_up(&mut self, before: Moment) -> Result<usize, Fault> {
        let ids: Vec<i64> = self.see(|state| {
            let old = state.kept.range(..(before, i64::MIN));
            old.map(|(_, id)| *id).take(1_000).collect()
        });
        if !ids.is_empty() {
            self.disk().unit(|state| {
                ids.iter().for_each(|id| state.out(*id, |out| out.bytes = None));
                Ok(())
            })?;
        }
        Ok(ids.len())
    }

    fn overdue(&self, before: Moment) -> Result<Option<(u64, Down)>, Fault> {
        Ok(self.see(|state| {
            let rows = state.waiting_out.iter().filter_map(|(_, _, id)| state.outbox.get(id));
            let late: Vec<&Out> = rows
                .filter(|out| {
                    out.next <= before || out.row.tries.since.is_some_and(|at| at <= before)
                })
                .collect();
            let since = |out: &Out| out.row.tries.since.unwrap_or(out.next).min(out.next);
            let oldest = late.iter().min_by_key(|out| since(out))?;
            let down = Down { since: since(oldest), why: oldest.reply.to_string() };
            Some((late.len() as u64, down))
        }))
    }

    fn is_ours(&self, message_id: &str) -> Result<bool, Fault> {
        Ok(self.see(|state| state.by_id.contains_key(message_id)))
    }

    fn returned(&self, token: &str) -> Result<Option<(MessageId, Label)>, Fault> {
        Ok(self.see(|state| {
            let out = state.outbox.get(state.by_token.get(token)?)?;
            Some((MessageId::parse(&out.row.message_id)?, out.row.label.clone()))
        }))
    }

    fn return_token(&self, id: &MessageId) -> Result<Option<String>, Fault> {
        Ok(self.see(|state| {
            let out = state.outbox.get(state.by_id.get(id.as_str())?)?;
            Some(out.row.return_token.clone())
        }))
    }
}

impl Alarms for Memory {
    fn note(&self, note: Note) -> Result<Option<String>, Fault> {
        Ok(self.see(|state| state.notes.get(note.name()).cloned()))
    }

    fn set_note(&mut self, note: Note, text: Option<&str>) -> Result<(), Fault> {
        self.disk().unit(|state| {
            match text {
                Some(text) => state.notes.insert(note.name(), text.to_owned()),
                None => state.notes.remove(note.name()),
            };
            Ok(())
        })
    }

    fn unwitnessed(&self) -> Option<String> {
        None
    }

    fn alive(&self) -> Result<Option<Moment>, Fault> {
        Ok(self.see(|state| state.alive))
    }

    fn set_alive(&mut self, at: Moment) -> Result<(), Fault> {
        self.disk().unit(|state| {
            state.alive = Some(at);
            Ok(())
        })
    }

    fn mailed(&self) -> Result<Option<(Moment, u64)>, Fault> {
        Ok(self.see(|state| state.mailed))
    }

    fn held(&self) -> Result<Option<String>, Fault> {
        Ok(self.see(|state| state.held.clone()))
    }

    fn set_held(&mut self, why: Option<&str>) -> Result<(), Fault> {
        self.disk().unit(|state| {
            state.held = why.map(ToOwned::to_owned);
            Ok(())
        })
    }

    fn set_mailed(&mut self, at: Moment, number: u64) -> Result<(), Fault> {
        self.disk().unit(|state| {
            state.mailed = Some((at, number));
            Ok(())
        })
    }

    fn room(&self) -> Result<u64, Fault> {
        Ok(self.disk().room)
    }

    fn counts(&self) -> Result<Counts, Fault> {
        Ok(self.see(|state| {
            let count = |wanted: &str| {
                state.outbox.values().filter(|out| out.state == wanted).count() as u64
            };
            let aside = state.inbox.values().filter(|row| row.state == "aside").count();
            Counts {
                inbox_waiting: state.waiting_in.len() as u64,
                inbox_aside: (aside + state.troubles.len()) as u64,
                outbox_waiting: count("waiting"),
                outbox_dead: count("dead"),
                outbox_unknown: count("unknown"),
            }
        }))
    }
}

//! The desk: everything it knows, and how a fact changes that.
//!
//! [`Desk::apply`] is the only thing that changes the state, and replay uses the same function.
//! Whatever decides works on `&Desk` and returns a decision; the engine commits it in one
//! transaction and then applies its facts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::domain::facts::event::Event;
use crate::domain::facts::key::KeyFacts;
use crate::domain::facts::names::{
    Address, Digest, Fingerprint, Handle, MessageId, Moment, PersonId, Span, later,
};
use crate::domain::facts::record::{Head, Record};
use crate::domain::facts::settings::Settings;
use crate::domain::model::incident::Incident;
use crate::domain::model::member::Members;
use crate::domain::model::roster::{RefKey, Roster};
use crate::domain::outgoing::texts::Texts;
use crate::domain::process::calendar::Calendars;
use crate::domain::process::playbook::{Playbook, common_fields};

mod agenda;
pub mod cares;
pub(crate) mod membership;
mod sharing;

/// The name that the copy of a known ciphertext was acknowledged under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The incident that the ciphertext opened.
    pub incident: Handle,
    /// Where the acknowledgement went.
    pub address: Option<Address>,
    /// When somebody last asked under that name where it stands.
    pub asked: Option<Moment>,
}

/// Texts that records name by hash: settings, roster, templates, playbooks.
pub type Shelf = BTreeMap<Digest, Arc<str>>;

/// Everything the desk knows.
#[derive(Debug, Clone)]
pub struct Desk {
    /// What the config says.
    pub settings: Settings,
    /// Who is who: by the config, and by the journal.
    pub roster: Roster,
    /// Who is, was or wants to be in a group.
    pub members: Members,
    /// The wording.
    pub texts: Texts,
    /// The playbooks of new incidents, by name.
    pub playbooks: BTreeMap<String, Arc<Playbook>>,
    /// The calendars that they name.
    pub calendars: Calendars,
    /// Releases that several incidents share: their incidents in the order in which they joined.
    pub batches: BTreeMap<String, Vec<Handle>>,
    /// The incidents.
    pub incidents: BTreeMap<Handle, Incident>,
    /// The end of the journal.
    pub head: Head,
    /// The hashes of the newest `Configured`.
    pub configured: Option<Event>,
    /// Makes references.
    pub ref_key: RefKey,
    /// What went wrong while taking facts in: a text that is not on the shelf.
    pub faults: Vec<String>,
    /// Whom the config names.
    staff: Roster,
    /// Certificates of people that were revoked, with the revocation.
    revoked: BTreeMap<Fingerprint, String>,
    /// What certificates say. It follows from their texts.
    keys: BTreeMap<Fingerprint, KeyFacts>,
    told: BTreeSet<(PersonId, String)>,
    trouble: BTreeMap<PersonId, String>,
    watch: BTreeSet<(Moment, PersonId)>,
    watched: BTreeMap<PersonId, Moment>,
    roster_version: u64,
    missed: bool,
    shelf: Shelf,
    agenda: agenda::Agenda,
    spent: BTreeSet<(Fingerprint, Digest)>,
    sessions: BTreeMap<Digest, Handle>,
    aliases: BTreeMap<Handle, Alias>,
    turns: BTreeMap<PersonId, Moment>,
    offered: BTreeMap<Handle, PersonId>,
    away: BTreeMap<PersonId, Moment>,
    joined: BTreeSet<(PersonId, Handle)>,
    restored: Option<Moment>,
    threads: BTreeMap<MessageId, Handle>,
    key_sent: BTreeMap<Address, Moment>,
    warned: BTreeMap<(PersonId, bool), Moment>,
    replayed: BTreeMap<PersonId, Moment>,
    acknowledged: [VecDeque<Moment>; 2],
    reports: [VecDeque<Moment>; 2],
    deferred: BTreeMap<Handle, Moment>,
}

/// Why a mail is refused whose signature was used before; the journal remembers it by this.
pub const SENT_TWICE: &str = "sent twice";

/// How long deferred reports wait for company before the digest leaves.
const DIGEST_AFTER: Span = Span::minutes(15);

impl Desk {
    /// An empty desk. It knows nothing until a `Configured` is applied.
    ///
    /// # Errors
    /// When the program's own templates do not load, which a test rules out.
    pub fn new(ref_key: RefKey, settings: Settings) -> Result<Self, String> {
        let fields = common_fields().into_keys().collect();
        let texts =
            Texts::load(&BTreeMap::new(), &fields).map_err(|problems| format!("{problems:?}"))?;
        Ok(Self {
            settings,
            roster: Roster::default(),
            members: Members::default(),
            texts,
            playbooks: BTreeMap::new(),
            calendars: Calendars::new(),
            batches: BTreeMap::new(),
            incidents: BTreeMap::new(),
            head: Head::EMPTY,
            configured: None,
            ref_key,
            faults: Vec::new(),
            staff: Roster::default(),
            revoked: BTreeMap::new(),
            keys: BTreeMap::new(),
            told: BTreeSet::new(),
            trouble: BTreeMap::new(),
            watch: BTreeSet::new(),
            watched: BTreeMap::new(),
            roster_version: 0,
            // Looked at once at start: the desk may have stopped between a fact and what follows.
            missed: true,
            shelf: Shelf::new(),
            agenda: agenda::Agenda::default(),
            spent: BTreeSet::new(),
            sessions: BTreeMap::new(),
            aliases: BTreeMap::new(),
            turns: BTreeMap::new(),
            offered: BTreeMap::new(),
            away: BTreeMap::new(),
            joined: BTreeSet::new(),
            restored: None,
            threads: BTreeMap::new(),
            key_sent: BTreeMap::new(),
            warned: BTreeMap::new(),
            replayed: BTreeMap::new(),
            acknowledged: [VecDeque::new(), VecDeque::new()],
            reports: [VecDeque::new(), VecDeque::new()],
            deferred: BTreeMap::new(),
        })
    }

    /// Lays a text on the shelf, where records find it by its hash.
    pub fn shelve(&mut self, text: &str) -> Digest {
        let digest = Digest::of(text.as_bytes());
        self.shelf.entry(digest).or_insert_with(|| text.into());
        digest
    }

    /// The incident that a mail with these references belongs to.
    pub fn thread(&self, ids: &[MessageId]) -> Option<&Handle> {
        ids.iter().find_map(|id| self.threads.get(id))
    }

    /// Whether this signature was used before.
    #[must_use]
    pub fn is_spent(&self, fingerprint: &Fingerprint, hash: Digest) -> bool {
        self.spent.contains(&(fingerprint.clone(), hash))
    }

    /// The incident that a ciphertext with this session key opened.
    #[must_use]
    pub fn session(&self, session: Digest) -> Option<&Handle> {
        self.sessions.get(&session)
    }

    /// Whether a handle is taken: by an incident, or by the acknowledgement of a copy.
    #[must_use]
    pub fn is_taken(&self, handle: &Handle) -> bool {
        self.incidents.contains_key(handle) || self.aliases.contains_key(handle)
    }

    /// The name that a copy was acknowledged under.
    #[must_use]
    pub fn alias(&self, handle: &Handle) -> Option<&Alias> {
        self.aliases.get(handle)
    }

    /// When somebody last took a turn at leading.
    #[must_use]
    pub fn turn(&self, person: &PersonId) -> Option<Moment> {
        self.turns.get(person).copied()
    }

    /// How many turns somebody is being asked to take.
    #[must_use]
    pub fn turns_offered(&self, person: &PersonId) -> usize {
        self.offered.values().filter(|to| *to == person).count()
    }

    /// Until when somebody is away, if they are.
    #[must_use]
    pub fn away(&self, person: &PersonId, now: Moment) -> Option<Moment> {
        self.away.get(person).copied().filter(|until| *until > now)
    }

    /// Whether somebody has joined any incident: then the words of the desk are for them as well.
    #[must_use]
    pub fn has_joined(&self, person: &PersonId) -> bool {
        let first = self.joined.range((person.clone(), Handle::first())..).next();
        first.is_some_and(|(id, _)| id == person)
    }

    /// When the store was last put back from a backup.
    #[must_use]
    pub fn restored(&self) -> Option<Moment> {
        self.restored
    }

    /// When somebody at this address last got our key.
    #[must_use]
    pub fn key_sent(&self, to: &Address) -> Option<Moment> {
        self.key_sent.get(to).copied()
    }

    /// When a person was last told of a mail in their name that was not obeyed; of one that only
    /// asked what their mail program did, if `ping`.
    #[must_use]
    pub fn warned(&self, person: &PersonId, ping: bool) -> Option<Moment> {
        self.warned.get(&(person.clone(), ping)).copied()
    }

    /// When a person was last told that a copy of a mail of theirs came in.
    #[must_use]
    pub fn replayed(&self, person: &PersonId) -> Option<Moment> {
        self.replayed.get(person).copied()
    }

    /// When an acknowledgement of a mail that arrived at `arrived` leaves: on the next tick, or
    /// when its turn comes. Limits delay, they never drop.
    #[must_use]
    pub fn acknowledge_at(&self, encrypted: bool, arrived: Moment, now: Moment) -> Moment {
        let tick = i64::from(self.settings.tick_s.max(1)).saturating_mul(1_000);
        let gone = now.signed_duration_since(arrived).num_milliseconds().max(0);
        let ticks = gone.checked_div(tick).unwrap_or(0).saturating_add(1);
        let next = later(arrived, Span::milliseconds(ticks.saturating_mul(tick)));
        let limit =
            usize::try_from(self.settings.acknowledgements_per_hour).unwrap_or(usize::MAX).max(1);
        let [plain, sealed] = &self.acknowledged;
        let times = if encrypted { sealed } else { plain };
        match times.len().checked_sub(limit).and_then(|n| times.get(n)) {
            Some(earlier) => next.max(later(*earlier, Span::hours(1))),
            None => next,
        }
    }

    /// Whether another report by somebody unproven waits for the digest. Encrypted and plain ones
    /// are counted apart, so that a flood of one kind does not delay the other.
    #[must_use]
    pub fn defers(&self, encrypted: bool, now: Moment) -> bool {
        let hour = later(now, Span::hours(-1));
        let [plain, sealed] = &self.reports;
        let (times, limit) = if encrypted {
            (sealed, self.settings.encrypted_per_hour)
        } else {
            (plain, self.settings.plain_per_hour)
        };
        let recent = times.iter().filter(|at| **at > hour).count();
        recent >= usize::try_from(limit).unwrap_or(usize::MAX)
    }

    /// The reports that wait for the digest, and when it leaves.
    #[must_use]
    pub fn digest(&self) -> Option<(Moment, Vec<&Handle>)> {
        let first = self.deferred.values().min()?;
        Some((later(*first, DIGEST_AFTER), self.deferred.keys().collect()))
    }

    /// The next moment at which the desk has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        let incident = self.agenda.next();
        let digest = self.digest().map(|(at, _)| at);
        incident.into_iter().chain(digest).chain(self.next_person_due()).min()
    }

    /// When a notice that is ready leaves next.
    #[must_use]
    pub fn next_notice(&self) -> Option<Moment> {
        self.agenda.next_notice()
    }

    /// The incidents that have something due by `now`.
    #[must_use]
    pub fn due(&self, now: Moment) -> Vec<Handle> {
        self.agenda.due(now)
    }

    /// Incidents with something still to be done, by handle.
    pub fn open(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values().filter(|incident| incident.status.is_open())
    }

    /// Takes a record in. Cannot fail; what does not fit is noted in `faults`, and a desk with
    /// faults is not started.
    #[expect(clippy::too_many_lines, reason = "one line for each fact that is about an incident")]
    pub fn apply(&mut self, record: &Record, hash: Digest) {
        self.head = Head { number: record.number, hash };
        if let (Event::Refused { why, .. }, Some(person)) = (&record.event, &record.by)
            && why == SENT_TWICE
        {
            self.replayed.insert(person.clone(), record.at);
        }
        match &record.event {
            Event::Configured { settings, roster, templates, playbooks, calendars } => {
                self.configured = Some(record.event.clone());
                let texts = [*settings, *roster, *templates];
                if let Err(fault) = self.configure(texts, playbooks, calendars) {
                    self.faults.push(format!("journal record {}: {fault}", record.number));
                }
            }
            Event::SignatureSpent { fingerprint, hash } => {
                self.spent.insert((fingerprint.clone(), *hash));
            }
            Event::KeySent { to } => {
                self.key_sent.insert(to.clone(), record.at);
            }
            Event::Warned { person, ping } => {
                self.warned.insert((person.clone(), *ping), record.at);
            }
            Event::AwaySet { person, until } => {
                match until {
                    Some(until) => self.away.insert(person.clone(), *until),
                    None => self.away.remove(person),
                };
            }
            Event::Restored => self.restored = Some(record.at),
            Event::Member { member, fact } => {
                self.member(record.at, record.by.as_ref(), member, fact);
            }
            Event::Told { person, what } => self.note_told(person, what),
            Event::Digested { handles } => {
                for handle in handles {
                    self.deferred.remove(handle);
                }
            }
            Event::Opened(_)
            | Event::Joined { .. }
            | Event::CopySeen { .. }
            | Event::KeyPinned { .. }
            | Event::KeyProven { .. }
            | Event::Mailed { .. }
            | Event::Delivered { .. }
            | Event::Commanded { .. }
            | Event::Refused { .. }
            | Event::Accepted
            | Event::Rejected { .. }
            | Event::Unreadable
            | Event::Spam
            | Event::Closed
            | Event::FieldSet { .. }
            | Event::Titled { .. }
            | Event::Scored { .. }
            | Event::CveSet { .. }
            | Event::LeadSet { .. }
            | Event::LeadOffered { .. }
            | Event::LeadDeclined { .. }
            | Event::DeputySet { .. }
            | Event::MemberJoined { .. }
            | Event::MemberLeft { .. }
            | Event::Duplicated { .. }
            | Event::Merged { .. }
            | Event::Linked { .. }
            | Event::Unlinked { .. }
            | Event::Reopened
            | Event::KnownPublic
            | Event::Exploited
            | Event::GhsaSet { .. }
            | Event::Credited { .. }
            | Event::WillPublish { .. }
            | Event::StatusAsked { .. }
            | Event::TaskUndone { .. }
            | Event::TaskSkipped { .. }
            | Event::NoticeAdded { .. }
            | Event::TaskDone { .. }
            | Event::Agreed { .. }
            | Event::Noted { .. }
            | Event::TSet { .. }
            | Event::Published { .. }
            | Event::Frozen(_)
            | Event::Approved { .. }
            | Event::Held { .. }
            | Event::Resumed { .. }
            | Event::Released { .. }
            | Event::Sent { .. }
            | Event::ConfirmAsked { .. }
            | Event::Confirmed { .. }
            | Event::Cancelled { .. }
            | Event::Reminded { .. }
            | Event::AnchorSet { .. }
            | Event::BatchJoined { .. }
            | Event::BatchLeft
            | Event::RoleEnded { .. }
            | Event::Reported { .. }
            | Event::CaughtUp { .. }
            | Event::Answered { .. }
            | Event::Objected { .. }
            | Event::AudienceSet { .. }
            | Event::Leaked { .. }
            | Event::Migrated { .. } => self.apply_to_incident(record),
        }
    }

    fn apply_to_incident(&mut self, record: &Record) {
        let Some(handle) = &record.incident else {
            return;
        };
        if let Event::Opened(opening) = &record.event {
            let Some(playbook) = self.playbook_of(opening.playbook, opening.calendar) else {
                self.faults
                    .push(format!("journal record {}: its playbook is missing", record.number));
                return;
            };
            self.incidents.insert(
                handle.clone(),
                Incident::open(handle.clone(), record.at, opening, playbook),
            );
            if let Some(session) = opening.session {
                self.sessions.entry(session).or_insert_with(|| handle.clone());
            }
            let encrypted = opening.looks_encrypted;
            if let Some(at) = opening.acknowledge {
                let [plain, sealed] = &mut self.acknowledged;
                remember(if encrypted { sealed } else { plain }, at);
            }
            let [plain, sealed] = &mut self.reports;
            remember(if encrypted { sealed } else { plain }, record.at);
            if opening.deferred {
                self.deferred.insert(handle.clone(), record.at);
            }
        }
        self.remember_threads(handle, &record.event);
        self.remember_turns(handle, record);
        if let Event::Migrated { playbook, calendar } = &record.event {
            match self.playbook_of(*playbook, *calendar) {
                Some(playbook) => self.migrate(handle, playbook, record.at),
                None => {
                    let fault =
                        format!("journal record {}: its playbook is missing", record.number);
                    self.faults.push(fault);
                }
            }
        }
        let Some(incident) = self.incidents.get_mut(handle) else {
            return;
        };
        incident.apply(record.at, record.by.as_ref(), &record.event);
        // Only this incident's place in the agenda can have changed.
        self.agenda.put(incident);
        self.missed |= matches!(
            record.event,
            Event::AudienceSet { .. }
                | Event::Resumed { .. }
                | Event::Reopened
                | Event::Delivered {
                    outcome: crate::domain::facts::event::Delivery::Withdrawn,
                    ..
                }
        );
        self.remember_trouble(handle, &record.event);
        self.remember_batches(handle, &record.event);
    }

    fn migrate(&mut self, handle: &Handle, playbook: Arc<Playbook>, at: Moment) {
        if let Some(incident) = self.incidents.get_mut(handle) {
            let before = std::mem::replace(&mut incident.playbook, playbook);
            incident.forget_what_changed(&before);
            // Its place in the agenda is looked up below, as after every fact.
            incident.note_branches(at);
        }
    }

    /// Takes note of whose turn it is. A turn is used up when it is taken, not when it is offered.
    fn remember_turns(&mut self, handle: &Handle, record: &Record) {
        let event = &record.event;
        if let Event::LeadOffered { to, turn: true, .. } = event {
            self.offered.insert(handle.clone(), to.clone());
        }
        if let Event::LeadSet { person, turn: true } = event {
            self.turns.insert(person.clone(), record.at);
        }
        let asked_has_left = matches!(event, Event::MemberLeft { person }
            if self.offered.get(handle) == Some(person));
        if asked_has_left || ends_offer(event) {
            self.offered.remove(handle);
        }
        if let Event::MemberJoined { person, .. } = event {
            self.joined.insert((person.clone(), handle.clone()));
        }
        if let Event::MemberLeft { person } = event {
            self.joined.remove(&(person.clone(), handle.clone()));
        }
        if let Event::StatusAsked { alias: Some(alias) } = event
            && let Some(alias) = self.aliases.get_mut(alias)
        {
            alias.asked = Some(record.at);
        }
    }

    /// Takes note of the ids by which later mails find this incident.
    fn remember_threads(&mut self, handle: &Handle, event: &Event) {
        let mut theirs = |letter: &crate::domain::facts::event::LetterNote| {
            if let Some(id) = &letter.message_id {
                self.threads.entry(id.clone()).or_insert_with(|| handle.clone());
            }
        };
        if let Event::Opened(opening) = event {
            theirs(&opening.letter);
        }
        if let Event::Joined { letter } = event {
            theirs(letter);
            if let Some(session) = letter.session {
                self.sessions.entry(session).or_insert_with(|| handle.clone());
            }
        }
        if let Event::Mailed { mails } = event {
            let ours = mails.iter().map(|mail| (mail.message_id.clone(), handle.clone()));
            self.threads.extend(ours);
        }
        if let Event::Sent { copies, .. } = event {
            let ours = copies.iter().map(|copy| (copy.message_id.clone(), handle.clone()));
            self.threads.extend(ours);
        }
        if let Event::CopySeen { alias, acknowledge, address, .. } = event {
            let known = Alias { incident: handle.clone(), address: address.clone(), asked: None };
            self.aliases.insert(alias.clone(), known);
            let [_, sealed] = &mut self.acknowledged;
            if let Some(at) = acknowledge {
                remember(sealed, *at);
            }
        }
    }

    /// The playbook whose text has this hash, with the calendar whose text has that.
    fn playbook_of(&self, digest: Digest, calendar: Option<Digest>) -> Option<Arc<Playbook>> {
        let fits =
            |playbook: &Playbook| playbook.digest == digest && playbook.calendar_digest == calendar;
        if let Some(known) = self.playbooks.values().find(|playbook| fits(playbook)) {
            return Some(Arc::clone(known));
        }
        let known = self.incidents.values().find(|incident| fits(&incident.playbook));
        if let Some(incident) = known {
            return Some(Arc::clone(&incident.playbook));
        }
        let text = self.shelf.get(&digest)?;
        let name = crate::domain::process::playbook::calendar_of(text);
        let calendars = match (name, calendar) {
            (Some(name), Some(calendar)) => {
                Calendars::from([(name, self.shelf.get(&calendar)?.to_string())])
            }
            _ => Calendars::new(),
        };
        crate::domain::process::playbook::load_stored(text, &calendars).ok().map(Arc::new)
    }

    fn configure(
        &mut self,
        [settings, roster, templates]: [Digest; 3],
        playbooks: &BTreeMap<String, Digest>,
        calendars: &BTreeMap<String, Digest>,
    ) -> Result<(), String> {
        let text = |digest: &Digest, what: &str| {
            self.shelf.get(digest).cloned().ok_or_else(|| format!("the text of {what} is missing"))
        };
        let settings: Settings =
            serde_json::from_str(&text(&settings, "the settings")?).map_err(|e| e.to_string())?;
        let roster: Roster =
            serde_json::from_str(&text(&roster, "the roster")?).map_err(|e| e.to_string())?;
        let own: BTreeMap<String, String> =
            serde_json::from_str(&text(&templates, "the templates")?).map_err(|e| e.to_string())?;
        let mut days = Calendars::new();
        for (name, digest) in calendars {
            days.insert(name.clone(), text(digest, name)?.to_string());
        }
        let mut loaded = BTreeMap::new();
        for (name, digest) in playbooks {
            let playbook =
                crate::domain::process::playbook::load_stored(&text(digest, name)?, &days)
                    .map_err(|problems| {
                        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
                        format!("playbook `{name}`: {}", lines.join("; "))
                    })?;
            loaded.insert(name.clone(), Arc::new(playbook));
        }
        let fields = loaded.values().flat_map(|playbook| playbook.fields.keys().cloned()).collect();
        let texts = Texts::load(&own, &fields).map_err(|problems| {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        })?;
        if !loaded.contains_key(&settings.playbook) {
            return Err(format!("there is no playbook `{}`", settings.playbook));
        }
        (self.settings, self.texts, self.playbooks) = (settings, texts, loaded);
        self.calendars = days;
        self.take_staff(roster);
        self.forget_who_is_gone();
        Ok(())
    }

    /// Whoever the operator has taken out, or has taken a role from, leads, approves and confirms
    /// nothing any more on what is still open: their key may be in other hands.
    fn forget_who_is_gone(&mut self) {
        let open = self.incidents.values_mut().filter(|incident| incident.status.is_open());
        for incident in open {
            let asked = incident.offer.as_ref().map(|offer| offer.to.clone());
            incident.forget_who_is_gone(&self.roster);
            if asked.is_some() && incident.offer.is_none() {
                self.offered.remove(&incident.handle);
            }
            self.agenda.put(incident);
        }
        self.find_first_leads();
    }
}

/// Whether a fact ends the question who leads.
fn ends_offer(event: &Event) -> bool {
    matches!(
        event,
        Event::LeadSet { .. }
            | Event::LeadDeclined { .. }
            | Event::Rejected { .. }
            | Event::Spam
            | Event::Closed
            | Event::Duplicated { .. }
            | Event::Merged { .. }
    )
}

/// Keeps the newest moments only; what is counted is the last hour, and never more than this.
fn remember(times: &mut VecDeque<Moment>, at: Moment) {
    times.push_back(at);
    if times.len() > 10_000 {
        times.pop_front();
    }
}

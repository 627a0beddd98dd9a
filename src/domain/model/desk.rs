//! The desk: everything it knows, and how a fact changes that.
//!
//! [`Desk::apply`] is the only thing that changes the state, and replay uses the same function.
//! Whatever decides works on `&Desk` and returns a decision; the engine commits it in one
//! transaction and then applies its facts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use crate::domain::facts::event::{Delivery, Event, LetterNote};
use crate::domain::facts::key::KeyFacts;
use crate::domain::facts::mark::Mark;
use crate::domain::facts::names::{Digest, Fingerprint, Handle, MessageId, Moment, PersonId};
use crate::domain::facts::record::{Head, Record};
use crate::domain::facts::seconded::Alone;
use crate::domain::facts::settings::Settings;
use crate::domain::model::desk::limits::Limits;
use crate::domain::model::desk::replay::Replay;
use crate::domain::model::desk::rota::Rota;
use crate::domain::model::desk::waiting::Waitlist;
use crate::domain::model::incident::Incident;
use crate::domain::model::member::Members;
use crate::domain::model::roster::{RefKey, Roster};
use crate::domain::outgoing::texts::Texts;
use crate::domain::process::calendar::Calendars;
use crate::domain::process::playbook;
use crate::domain::process::playbook::{Playbook, common_fields};

mod agenda;
pub mod cares;
pub mod limits;
pub(crate) mod membership;
pub mod replay;
pub mod rota;
mod sharing;
mod team;
pub mod waiting;

/// Texts that records name by hash: settings, roster, templates, playbooks.
pub type TextsByHash = BTreeMap<Digest, Arc<str>>;

/// The program's own texts, compiled and tried once: that is the same at every start.
static OWN_TEXTS: LazyLock<Result<Texts, String>> = LazyLock::new(|| {
    let fields = common_fields().into_keys().collect();
    Texts::load(&BTreeMap::new(), &fields).map_err(|problems| format!("{problems:?}"))
});

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
    pub incidents: BTreeMap<Handle, Arc<Incident>>,
    /// The end of the journal.
    pub head: Head,
    /// The hashes of the newest `Configured`.
    pub configured: Option<Event>,
    /// Makes references.
    pub ref_key: RefKey,
    /// What was seen before.
    pub replay: Replay,
    /// Whose turn it is.
    pub rota: Rota,
    /// What is counted against floods.
    pub limits: Limits,
    /// What waits for somebody to look at it.
    pub waitlist: Waitlist,
    /// What went wrong while taking facts in: a text that is missing.
    pub faults: Vec<String>,
    /// Whom the config names.
    staff: Roster,
    /// Certificates of people that were revoked, with the revocation.
    revoked: BTreeMap<Fingerprint, String>,
    /// What certificates say. It follows from their texts.
    keys: BTreeMap<Fingerprint, KeyFacts>,
    told: BTreeSet<(PersonId, Mark)>,
    trouble: BTreeMap<PersonId, String>,
    watch: BTreeSet<(Moment, PersonId)>,
    watched: BTreeMap<PersonId, Moment>,
    roster_version: u64,
    missed: bool,
    alone: Option<Alone>,
    texts_by_hash: TextsByHash,
    agenda: agenda::Agenda,
    threads: BTreeMap<MessageId, Handle>,
}

impl Desk {
    /// An empty desk. It knows nothing until a `Configured` is applied.
    ///
    /// # Errors
    /// When the program's own templates do not load, which a test rules out.
    pub fn new(ref_key: RefKey, settings: Settings) -> Result<Self, String> {
        let texts = OWN_TEXTS.clone()?;
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
            replay: Replay::default(),
            rota: Rota::default(),
            limits: Limits::default(),
            waitlist: Waitlist::default(),
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
            alone: None,
            texts_by_hash: TextsByHash::new(),
            agenda: agenda::Agenda::default(),
            threads: BTreeMap::new(),
        })
    }

    /// Keeps a text, where records find it by its hash.
    pub fn keep_text(&mut self, text: &str) -> Digest {
        let digest = Digest::of(text.as_bytes());
        self.texts_by_hash.entry(digest).or_insert_with(|| text.into());
        digest
    }

    /// The incident that a mail with these references belongs to.
    pub fn thread(&self, ids: &[MessageId]) -> Option<&Handle> {
        ids.iter().find_map(|id| self.threads.get(id))
    }

    /// Whether a handle is taken: by an incident, or by the acknowledgement of a copy.
    #[must_use]
    pub fn is_taken(&self, handle: &Handle) -> bool {
        self.incidents.contains_key(handle) || self.replay.alias(handle).is_some()
    }

    /// History is read from here on: what follows from an incident is looked up once all of it is known.
    pub fn begins_reading(&mut self) {
        self.agenda.wait();
    }

    /// All of it is read.
    pub fn has_read(&mut self) {
        for handle in self.agenda.waited() {
            if let Some(incident) = self.incidents.get(&handle) {
                self.agenda.put(incident);
            }
        }
    }

    /// Open incidents, those first that have something due soonest.
    pub fn soonest(&self) -> impl Iterator<Item = &Incident> {
        let due = self.agenda.soonest().filter_map(|handle| self.incident(handle));
        let due: Vec<&Incident> = due.filter(|incident| incident.status.is_open()).collect();
        let known: BTreeSet<&Handle> = due.iter().map(|incident| &incident.handle).collect();
        let others: Vec<&Incident> =
            self.open().filter(|incident| !known.contains(&incident.handle)).collect();
        due.into_iter().chain(others)
    }

    /// The next moment at which the desk has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        let incident = self.agenda.next();
        let digest = self.waitlist.due(self.settings.zone, self.settings.quiet_days);
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

    /// Whether something of an incident is due by `now`.
    #[must_use]
    pub fn is_due(&self, handle: &Handle, now: Moment) -> bool {
        self.agenda.is_due(handle, now)
    }

    /// The incident of this name.
    #[must_use]
    pub fn incident(&self, handle: &Handle) -> Option<&Incident> {
        self.incidents.get(handle).map(Arc::as_ref)
    }

    /// All incidents, by handle.
    pub fn all(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values().map(Arc::as_ref)
    }

    /// Incidents with something still to be done, by handle.
    pub fn open(&self) -> impl Iterator<Item = &Incident> {
        self.all().filter(|incident| incident.status.is_open())
    }

    /// Takes a record in. Cannot fail; what does not fit is noted in `faults`, and a desk with
    /// faults is not started.
    #[expect(clippy::too_many_lines, reason = "one line for each fact that is about an incident")]
    pub fn apply(&mut self, record: &Record, hash: Digest) {
        self.head = Head { number: record.number, hash };
        self.replay.apply(record, hash);
        self.rota.apply(record);
        self.limits.apply(record);
        self.waitlist.apply(record);
        match &record.event {
            Event::Configured { settings, roster, templates, playbooks, calendars } => {
                self.configured = Some(record.event.clone());
                let texts = [*settings, *roster, *templates];
                if let Err(fault) = self.configure(record.at, texts, playbooks, calendars) {
                    self.faults.push(format!("journal record {}: {fault}", record.number));
                }
            }
            Event::Member { member, fact } => {
                self.member(record.at, record.by.as_ref(), member, fact);
            }
            Event::Told { person, what } => self.note_told(person, what),
            // Of the desk as a whole, and taken in above.
            Event::SignatureSpent { .. }
            | Event::KeySent { .. }
            | Event::AutoAnswered { .. }
            | Event::Warned { .. }
            | Event::ServerTakes { .. }
            | Event::ReadsNewer { .. }
            | Event::WithheldTold { .. }
            | Event::AwaySet { .. }
            | Event::Restored
            | Event::ClockTrusted
            | Event::Started { .. }
            | Event::Digested { .. }
            | Event::Listed { .. }
            | Event::MadeReport { .. }
            | Event::ReportGone { .. } => {}
            Event::Opened(_)
            | Event::SaidInClear { .. }
            | Event::AnswerUnsent { .. }
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
            | Event::Gathered
            | Event::Untouched
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
            | Event::ReporterOnDate { .. }
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
            | Event::SharedSent { .. }
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
                Arc::new(Incident::open(handle.clone(), record.at, opening, playbook)),
            );
        }
        self.remember_threads(handle, &record.event);
        if let Event::Migrated { playbook, calendar } = &record.event {
            match self.playbook_of(*playbook, *calendar) {
                Some(playbook) => self.migrate(handle, &playbook, record.at),
                None => {
                    let fault =
                        format!("journal record {}: its playbook is missing", record.number);
                    self.faults.push(fault);
                }
            }
        }
        let Some(incident) = self.incidents.get_mut(handle).map(Arc::make_mut) else {
            return;
        };
        incident.apply(record.at, record.by.as_ref(), &record.event);
        if matches!(record.event, Event::Opened(_) | Event::Migrated { .. } | Event::Reopened) {
            incident.know_team(&self.roster, self.alone);
        }
        // Only this incident's place in the agenda can have changed.
        self.agenda.put(incident);
        self.missed |= matches!(
            record.event,
            Event::AudienceSet { .. }
                | Event::Resumed { .. }
                | Event::Reopened
                | Event::Delivered { outcome: Delivery::Withdrawn, .. }
        );
        self.remember_trouble(handle, &record.event);
        self.remember_batches(handle, &record.event);
    }

    fn migrate(&mut self, handle: &Handle, playbook: &Arc<Playbook>, at: Moment) {
        if let Some(incident) = self.incidents.get_mut(handle) {
            // Its place in the agenda is looked up below, as after every fact.
            *incident = Arc::new(incident.under(playbook, at));
        }
    }

    /// Takes note of the ids by which later mails find this incident.
    fn remember_threads(&mut self, handle: &Handle, event: &Event) {
        let mut theirs = |letter: &LetterNote| {
            if let Some(id) = &letter.message_id {
                self.threads.entry(id.clone()).or_insert_with(|| handle.clone());
            }
        };
        if let Event::Opened(opening) = event {
            theirs(&opening.letter);
        }
        if let Event::Joined { letter } = event {
            theirs(letter);
        }
        if let Event::Mailed { mails } = event {
            let ours = mails.iter().map(|mail| (mail.message_id.clone(), handle.clone()));
            self.threads.extend(ours);
        }
        if let Event::Sent { copies, .. } = event {
            let ours = copies.iter().map(|copy| (copy.message_id.clone(), handle.clone()));
            self.threads.extend(ours);
        }
    }

    /// The playbook whose text has this hash, with the calendar whose text has that.
    fn playbook_of(&self, digest: Digest, calendar: Option<Digest>) -> Option<Arc<Playbook>> {
        let fits =
            |playbook: &Playbook| playbook.digest == digest && playbook.calendar_digest == calendar;
        if let Some(known) = self.playbooks.values().find(|playbook| fits(playbook)) {
            return Some(Arc::clone(known));
        }
        let known = self.all().find(|incident| fits(&incident.playbook));
        if let Some(incident) = known {
            return Some(Arc::clone(&incident.playbook));
        }
        let text = self.texts_by_hash.get(&digest)?;
        let name = playbook::calendar_of(text);
        let calendars = match (name, calendar) {
            (Some(name), Some(calendar)) => {
                Calendars::from([(name, self.texts_by_hash.get(&calendar)?.to_string())])
            }
            _ => Calendars::new(),
        };
        playbook::load_stored(text, &calendars).ok().map(Arc::new)
    }

    fn configure(
        &mut self,
        at: Moment,
        [settings, roster, templates]: [Digest; 3],
        playbooks: &BTreeMap<String, Digest>,
        calendars: &BTreeMap<String, Digest>,
    ) -> Result<(), String> {
        let text = |digest: &Digest, what: &str| {
            self.texts_by_hash
                .get(digest)
                .cloned()
                .ok_or_else(|| format!("the text of {what} is missing"))
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
                playbook::load_stored(&text(digest, name)?, &days).map_err(|problems| {
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
        let since = self.alone.map_or(at, |alone| alone.since);
        self.alone = self.settings.alone_minutes.map(|minutes| Alone { minutes, since });
        self.take_staff(roster);
        self.forget_who_is_gone();
        Ok(())
    }

    /// Whoever the operator has taken out, or has taken a role from, leads, approves and confirms
    /// nothing any more on what is still open: their key may be in other hands.
    fn forget_who_is_gone(&mut self) {
        let open = self.incidents.values_mut().filter(|incident| incident.status.is_open());
        for incident in open {
            let incident = Arc::make_mut(incident);
            incident.know_team(&self.roster, self.alone);
            let asked = incident.offer.as_ref().map(|offer| offer.to.clone());
            incident.forget_who_is_gone(&self.roster);
            if asked.is_some() && incident.offer.is_none() {
                self.rota.call_off(&incident.handle);
            }
            self.agenda.put(incident);
        }
        self.find_first_leads();
    }
}

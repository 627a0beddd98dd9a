//! What is counted against floods. A limit delays or gathers; it never drops.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::facts::event::{Event, Recipient};
use crate::domain::facts::names::{Address, Fingerprint, Handle, Moment, PersonId, Span, later};
use crate::domain::facts::record::Record;
use crate::domain::facts::settings::Settings;

/// How long deferred reports wait for company before the digest leaves.
const DIGEST_AFTER: Span = Span::minutes(15);

/// The newest of what is counted, plain and encrypted apart: a flood of one kind must not delay the
/// other.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    key_sent: BTreeMap<Address, Moment>,
    warned: BTreeMap<(PersonId, bool), Moment>,
    acknowledged: [VecDeque<Moment>; 2],
    reports: [VecDeque<Moment>; 2],
    deferred: BTreeMap<Handle, Moment>,
    /// What cannot be sealed, by for whom; a reporter is one for each incident.
    withheld: BTreeMap<(Option<Handle>, Recipient), (String, Moment)>,
    /// Who reads the newer form of sealed mails, or does not.
    newer: BTreeMap<Fingerprint, bool>,
}

impl Limits {
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

    /// Whether it was told within a day that mails for somebody cannot be sealed for this reason.
    #[must_use]
    pub fn withheld_told(
        &self,
        about: Option<&Handle>,
        to: &Recipient,
        why: &str,
        now: Moment,
    ) -> bool {
        let told = self.withheld.get(&withheld_key(about, to));
        told.is_some_and(|(cause, at)| cause == why && later(*at, Span::days(1)) > now)
    }

    /// Whether whoever holds a key reads the newer form of sealed mails (RFC 9580, 5.13.2), as far as they
    /// have shown or said so.
    #[must_use]
    pub fn reads_newer(&self, fingerprint: &Fingerprint) -> Option<bool> {
        self.newer.get(fingerprint).copied()
    }

    /// When an acknowledgement of a mail that arrived at `arrived` leaves: on the next tick, or
    /// when its turn comes. Limits delay, they never drop.
    #[must_use]
    pub fn acknowledge_at(
        &self,
        settings: &Settings,
        encrypted: bool,
        arrived: Moment,
        now: Moment,
    ) -> Moment {
        let tick = i64::from(settings.tick_s.max(1)).saturating_mul(1_000);
        let gone = now.signed_duration_since(arrived).num_milliseconds().max(0);
        let ticks = gone.checked_div(tick).unwrap_or(0).saturating_add(1);
        let next = later(arrived, Span::milliseconds(ticks.saturating_mul(tick)));
        let limit =
            usize::try_from(settings.acknowledgements_per_hour).unwrap_or(usize::MAX).max(1);
        let times = of_kind(&self.acknowledged, encrypted);
        match times.len().checked_sub(limit).and_then(|n| times.get(n)) {
            Some(earlier) => next.max(later(*earlier, Span::hours(1))),
            None => next,
        }
    }

    /// Whether another report by somebody unproven waits for the digest.
    #[must_use]
    pub fn defers(&self, settings: &Settings, encrypted: bool, now: Moment) -> bool {
        let hour = later(now, Span::hours(-1));
        let limit = if encrypted { settings.encrypted_per_hour } else { settings.plain_per_hour };
        let times = of_kind(&self.reports, encrypted);
        let recent = times.iter().filter(|at| **at > hour).count();
        recent >= usize::try_from(limit).unwrap_or(usize::MAX)
    }

    /// The reports that wait for the digest, and when it leaves.
    #[must_use]
    pub fn digest(&self) -> Option<(Moment, Vec<&Handle>)> {
        let first = self.deferred.values().min()?;
        Some((later(*first, DIGEST_AFTER), self.deferred.keys().collect()))
    }

    pub(super) fn apply(&mut self, record: &Record) {
        if let Event::KeySent { to } = &record.event {
            self.key_sent.insert(to.clone(), record.at);
        }
        if let Event::Warned { person, ping } = &record.event {
            self.warned.insert((person.clone(), *ping), record.at);
        }
        if let Event::ReadsNewer { fingerprint, reads } = &record.event {
            self.newer.insert(fingerprint.clone(), *reads);
        }
        if let Event::WithheldTold { to, why } = &record.event {
            let key = withheld_key(record.incident.as_ref(), to);
            self.withheld.insert(key, (why.clone(), record.at));
        }
        if let Event::Digested { handles } = &record.event {
            self.deferred.retain(|handle, _| !handles.contains(handle));
        }
        let Some(handle) = &record.incident else { return };
        if let Event::Opened(opening) = &record.event {
            let [plain, sealed] = &mut self.acknowledged;
            let encrypted = opening.looks_encrypted;
            if let Some(at) = opening.acknowledge {
                remember(if encrypted { sealed } else { plain }, at);
            }
            let [plain, sealed] = &mut self.reports;
            remember(if encrypted { sealed } else { plain }, record.at);
            if opening.deferred {
                self.deferred.insert(handle.clone(), record.at);
            }
        }
        if let Event::CopySeen { acknowledge: Some(at), .. } = &record.event {
            let [_, sealed] = &mut self.acknowledged;
            remember(sealed, *at);
        }
    }
}

/// A person is one, whatever it is about.
fn withheld_key(about: Option<&Handle>, to: &Recipient) -> (Option<Handle>, Recipient) {
    let about = about.filter(|_| *to == Recipient::Reporter);
    (about.cloned(), to.clone())
}

fn of_kind(times: &[VecDeque<Moment>; 2], encrypted: bool) -> &VecDeque<Moment> {
    let [plain, sealed] = times;
    if encrypted { sealed } else { plain }
}

/// Keeps the newest moments only; what is counted is the last hour, and never more than this.
fn remember(times: &mut VecDeque<Moment>, at: Moment) {
    times.push_back(at);
    if times.len() > 10_000 {
        times.pop_front();
    }
}

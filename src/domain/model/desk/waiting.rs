//! What waits for somebody to look at it: reports in clear that no person has touched, and what machines sent.
//! All of it is listed in one digest, so that two hundred mails of spam are a few lines a day and no mail
//! is ever lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{Datelike as _, Timelike as _, Weekday};
use chrono_tz::Tz;

use crate::domain::facts::event::{Blob, Event};
use crate::domain::facts::names::{Digest, Handle, Moment, Span, later};
use crate::domain::facts::record::Record;
use crate::domain::facts::source::Source;

/// How long what waits for the digest waits for company.
const COMPANY: Span = Span::minutes(15);
/// So long lies between two digests in working time, and at other times.
const APART: Span = Span::hours(4);
const APART_AT_NIGHT: Span = Span::hours(20);
/// What machines sent is no reason to write sooner than that.
const MACHINES_APART: Span = Span::hours(24);
/// So many mails of machines a digest lists.
pub const MACHINES_LISTED: usize = 100;
/// So many mails of machines are remembered; what is older is in the mailbox.
const MACHINES_MAX: usize = 10_000;

/// A report that nobody has touched: in clear, or one of too many.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Since when.
    pub since: Moment,
    /// Its number in the digest, once it stood there.
    pub number: Option<u32>,
    /// Whether it was encrypted: then it is never closed because nobody touched it.
    pub sealed: bool,
}

/// What a machine sent.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The SHA-256 of its bytes.
    pub raw: Digest,
    /// When it came.
    pub at: Moment,
    /// Its line in the digest.
    pub line: Blob,
}

impl Machine {
    /// The name by which somebody says that it is a report.
    #[must_use]
    pub fn name(&self) -> String {
        self.raw.to_string().chars().take(8).collect()
    }
}

/// All that waits.
#[derive(Debug, Clone, Default)]
pub struct Waitlist {
    plain: BTreeMap<Handle, Waiting>,
    /// What is to stand in the next digest, and since when.
    gathered: BTreeMap<Handle, Moment>,
    /// The line of each that waits, and where it came from.
    lines: BTreeMap<Handle, (Option<Blob>, Option<Source>)>,
    numbers: BTreeMap<u32, Handle>,
    last_number: u32,
    machines: VecDeque<Machine>,
    /// How many of the newest were not listed yet.
    unlisted: usize,
    wanted: BTreeSet<Digest>,
    last: Option<Moment>,
}

impl Waitlist {
    /// The reports that nobody has touched, in clear or one of too many.
    pub fn plain(&self) -> impl Iterator<Item = (&Handle, &Waiting)> {
        self.plain.iter()
    }

    /// The reports that are to stand in the next digest.
    pub fn gathered(&self) -> impl Iterator<Item = &Handle> {
        self.gathered.keys()
    }

    /// Where a waiting report came from.
    #[must_use]
    pub fn source(&self, handle: &Handle) -> Option<&Source> {
        self.lines.get(handle)?.1.as_ref()
    }

    /// The line of a waiting report in the digest.
    #[must_use]
    pub fn line(&self, handle: &Handle) -> Option<Blob> {
        self.lines.get(handle)?.0
    }

    /// Whether a report is one of those: it is reminded of in the digest, and nowhere else.
    #[must_use]
    pub fn holds(&self, handle: &Handle) -> bool {
        self.plain.contains_key(handle)
    }

    /// Whether it stood in a digest before.
    #[must_use]
    pub fn stood(&self, handle: &Handle) -> bool {
        self.plain.get(handle).is_some_and(|waiting| waiting.number.is_some())
    }

    /// The report that bears a number in the digest.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Option<&Handle> {
        self.numbers.get(&number)
    }

    /// The number that a report bears, or would bear, in the digest that is made now: `next` counts the new ones.
    #[must_use]
    pub fn number(&self, handle: &Handle, next: &mut u32) -> u32 {
        self.plain.get(handle).and_then(|waiting| waiting.number).unwrap_or_else(|| {
            *next = next.saturating_add(1);
            self.last_number.saturating_add(*next)
        })
    }

    /// What machines sent since the last digest, the newest last.
    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.machines.iter().skip(self.machines.len().saturating_sub(self.unlisted))
    }

    /// What a machine sent that bears this name.
    #[must_use]
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        let name = name.to_ascii_lowercase();
        self.machines.iter().rev().find(|machine| machine.name() == name)
    }

    /// What somebody said is a report, and was not opened as one yet.
    #[must_use]
    pub fn wanted(&self) -> Option<Digest> {
        self.wanted.first().copied()
    }

    /// When the next digest leaves: soon after the first report that waits for it, hours after the one before,
    /// and in working time.
    #[must_use]
    pub fn due(&self, zone: Tz, quiet_days: u32) -> Option<Moment> {
        let company = self.gathered.values().min().map(|first| later(*first, COMPANY));
        // One list of them a day, also where more are left than it holds.
        let daily = |at: Moment| self.last.map_or(at, |last| at.max(later(last, APART_AT_NIGHT)));
        let machines = self.machines().next().map(|first| daily(later(first.at, MACHINES_APART)));
        // The oldest is closed by a digest, where it was never touched.
        let quiet = Span::try_days(i64::from(quiet_days)).filter(|_| quiet_days > 0);
        let closes = self.plain.values().filter(|waiting| !waiting.sealed);
        let oldest = closes.map(|waiting| waiting.since).min();
        let quiet = oldest.zip(quiet).map(|(oldest, quiet)| later(oldest, quiet));
        let first = [company, machines, quiet].into_iter().flatten().min()?;
        let Some(last) = self.last else { return Some(first) };
        let at = first.max(later(last, APART));
        Some(if is_working_time(at, zone) {
            at
        } else {
            // The next working hour, but no later than a day after the last.
            let mut at = at;
            let end = later(last, APART_AT_NIGHT).max(first);
            while at < end && !is_working_time(at, zone) {
                at = later(at, Span::hours(1)).min(end);
            }
            at
        })
    }

    /// What nobody has touched for so many days, though digests had it, as an entry or in their count.
    pub fn untouched(&self, quiet_days: u32, now: Moment) -> impl Iterator<Item = &Handle> {
        let quiet = Span::try_days(i64::from(quiet_days)).filter(|_| quiet_days > 0);
        let closes = self.plain.iter().filter(|(_, waiting)| !waiting.sealed);
        closes.filter_map(move |(handle, waiting)| {
            let end = later(waiting.since, quiet?);
            let was_told = self.last.is_some_and(|last| last > waiting.since);
            (end <= now && was_told).then_some(handle)
        })
    }

    pub(super) fn apply(&mut self, record: &Record) {
        match (&record.incident, &record.event) {
            (Some(handle), Event::Opened(opening)) => {
                self.wanted.remove(&opening.letter.raw);
                if opening.waits() || opening.deferred {
                    self.lines.insert(handle.clone(), (opening.line, opening.source.clone()));
                }
                if opening.waits() {
                    let sealed = opening.letter.protection.is_encrypted();
                    let waiting = Waiting { since: record.at, number: None, sealed };
                    self.plain.insert(handle.clone(), waiting);
                }
                if opening.deferred {
                    self.gathered.insert(handle.clone(), record.at);
                }
            }
            (Some(handle), Event::Gathered) => {
                self.gathered.insert(handle.clone(), record.at);
            }
            // Whatever a person does with it.
            (Some(handle), event)
                if matches!(event, Event::Untouched)
                    || record.by.is_some()
                        && !matches!(event, Event::Refused { .. } | Event::Mailed { .. }) =>
            {
                self.plain.remove(handle);
                self.gathered.remove(handle);
                self.lines.remove(handle);
            }
            (_, Event::Digested { handles }) => {
                // What did not fit comes with the next.
                for handle in handles {
                    self.gathered.remove(handle);
                }
                self.unlisted = self.unlisted.saturating_sub(MACHINES_LISTED);
                self.last = Some(record.at);
                for handle in handles {
                    if let Some(waiting) = self.plain.get_mut(handle)
                        && waiting.number.is_none()
                    {
                        self.last_number = self.last_number.saturating_add(1);
                        waiting.number = Some(self.last_number);
                    }
                    let number = self.plain.get(handle).and_then(|waiting| waiting.number);
                    if let Some(number) = number {
                        self.numbers.insert(number, handle.clone());
                    }
                }
            }
            (_, Event::Listed { raw, line }) => {
                self.machines.push_back(Machine { raw: *raw, at: record.at, line: *line });
                self.unlisted = self.unlisted.saturating_add(1);
                while self.machines.len() > MACHINES_MAX {
                    self.machines.pop_front();
                }
            }
            (_, Event::MadeReport { raw }) => {
                self.wanted.insert(*raw);
            }
            (_, Event::ReportGone { raw }) => {
                self.wanted.remove(raw);
            }
            _ => {}
        }
    }
}

/// Whether people may be expected to read what comes.
fn is_working_time(at: Moment, zone: Tz) -> bool {
    let local = at.with_timezone(&zone);
    let is_day = !matches!(local.weekday(), Weekday::Sat | Weekday::Sun);
    is_day && (8..18).contains(&local.hour())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        text.parse().unwrap()
    }

    fn gathered(first: &str, last: Option<&str>) -> Waitlist {
        let handle = Handle::first();
        Waitlist {
            gathered: BTreeMap::from([(handle, at(first))]),
            last: last.map(at),
            ..Waitlist::default()
        }
    }

    #[test]
    fn what_was_encrypted_is_never_closed_because_nobody_touched_it() {
        let since = at("2026-03-02T09:00:00Z");
        for (sealed, closed) in [(false, 1), (true, 0)] {
            let waiting = Waiting { since, number: Some(1), sealed };
            let list = Waitlist {
                plain: BTreeMap::from([(Handle::first(), waiting)]),
                last: Some(at("2026-03-03T09:00:00Z")),
                ..Waitlist::default()
            };
            assert_eq!(list.untouched(14, at("2026-04-02T09:00:00Z")).count(), closed);
        }
    }

    #[test]
    fn what_does_not_fit_a_digest_comes_with_the_next() {
        let now = at("2026-03-02T09:00:00Z");
        let raw = Digest::of(b"x");
        let mut list = gathered("2026-03-02T09:00:00Z", None);
        let record =
            |event| Record { number: 1, at: now, by: None, incident: None, event, cause: None };
        for _ in 0..MACHINES_LISTED + 30 {
            list.apply(&record(Event::Listed { raw, line: raw }));
        }
        list.apply(&record(Event::Digested { handles: Vec::new() }));
        assert_eq!((list.machines().count(), list.gathered().count()), (30, 1));
        // Hours later, and the machines' the next day.
        assert_eq!(list.due(Tz::UTC, 0), Some(at("2026-03-02T13:00:00Z")));
        list.apply(&record(Event::Digested { handles: vec![Handle::first()] }));
        assert_eq!((list.machines().count(), list.gathered().count()), (0, 0));
    }

    #[test]
    fn digests_come_in_working_time_and_hours_apart() {
        for (first, last, due) in [
            // Monday.
            ("2026-03-02T09:00:00Z", None, "2026-03-02T09:15:00Z"),
            ("2026-03-02T03:00:00Z", None, "2026-03-02T03:15:00Z"),
            ("2026-03-02T09:00:00Z", Some("2026-03-02T08:30:00Z"), "2026-03-02T12:30:00Z"),
            ("2026-03-02T17:50:00Z", Some("2026-03-02T15:00:00Z"), "2026-03-03T08:00:00Z"),
            // Friday evening: a day later all the same.
            ("2026-03-06T20:00:00Z", Some("2026-03-06T17:00:00Z"), "2026-03-07T13:00:00Z"),
        ] {
            let due_at = gathered(first, last).due(Tz::UTC, 0).unwrap();
            assert!(
                (due_at - at(due)).num_minutes().abs() <= 60 && due_at >= at(first),
                "{first} {last:?}: {due_at}"
            );
        }
        assert_eq!(Waitlist::default().due(Tz::UTC, 14), None);
    }
}

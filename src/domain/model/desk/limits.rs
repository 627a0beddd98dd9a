//! What is counted against floods. A limit delays or gathers reports, and drops none; answers that no person
//! writes go to one address a few times a day, and no more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::domain::facts::event::{Author, Event, Recipient};
use crate::domain::facts::names::{
    Address, Digest, Fingerprint, Handle, Moment, PersonId, Span, later,
};
use crate::domain::facts::record::Record;
use crate::domain::facts::settings::Settings;
use crate::domain::facts::source::{Source, mailbox_of};

/// So many answers that no person wrote go to one address in a day. Those to addresses that are vouched for
/// are counted apart, so that nobody uses up what is theirs by forging them.
const ANSWERS_A_DAY: usize = 3;
/// And to a reporter who has answered one of ours, so that the address is theirs.
const ANSWERS_TO_KNOWN: usize = 20;
/// So many acknowledgements an hour leave at once in all.
const ALL_PER_HOUR: usize = 12_000;
/// The others leave within this time after arrival, drawn evenly: within the promised day, and never in a
/// heap.
const SPREAD_FROM: Span = Span::hours(1);
const SPREAD: Span = Span::hours(19);
/// So many sources are remembered before those that have been quiet are forgotten.
const SOURCES_MAX: usize = 10_000;

/// The newest of what is counted.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    key_sent: BTreeMap<Address, Moment>,
    warned: BTreeMap<(PersonId, bool), Moment>,
    /// By mailbox, and whether it was vouched for.
    answers: BTreeMap<(String, bool), VecDeque<Moment>>,
    /// The mailboxes of reporters, and of those who have answered with what we sent there.
    reporters: BTreeMap<Handle, String>,
    known: BTreeSet<String>,
    /// Answers by the source of what was answered, and all of them.
    acknowledged: BTreeMap<String, VecDeque<Moment>>,
    acknowledged_all: VecDeque<Moment>,
    /// Reports, plain and encrypted apart, and by source.
    reports: [VecDeque<Moment>; 2],
    reports_of: BTreeMap<String, VecDeque<Moment>>,
    /// What cannot be sealed, by for whom; a reporter is one for each incident.
    withheld: BTreeMap<(Option<Handle>, Recipient), (String, Moment)>,
    /// How large a mail the mail server takes, as it last said.
    server_takes: Option<Option<u64>>,
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

    /// How large a mail may be that the mail server takes, as it last said: `None` where it was not heard yet.
    #[must_use]
    pub fn server_takes(&self) -> Option<Option<u64>> {
        self.server_takes
    }

    /// The most bytes of a mail that passes something on: as the config says, and no more than the mail server
    /// takes.
    #[must_use]
    pub fn relay_bytes(&self, settings: &Settings) -> usize {
        let most = usize::try_from(settings.relay_bytes).unwrap_or(usize::MAX);
        let takes = self.server_takes.flatten().and_then(|bytes| usize::try_from(bytes).ok());
        takes.map_or(most, |takes| most.min(takes))
    }

    /// Whether whoever holds a key reads the newer form of sealed mails (RFC 9580, 5.13.2), as far as they
    /// have shown or said so.
    #[must_use]
    pub fn reads_newer(&self, fingerprint: &Fingerprint) -> Option<bool> {
        self.newer.get(fingerprint).copied()
    }

    /// Whether another answer that no person writes may go to an address: whoever forges it could have it
    /// flooded otherwise, and two machines could answer each other for ever (RFC 3834, 2).
    #[must_use]
    pub fn may_answer(&self, to: &Address, vouched: bool, now: Moment) -> bool {
        self.answers_left(to, vouched, now) > 0
    }

    /// How many answers that no person writes may still go to an address within the day.
    #[must_use]
    pub fn answers_left(&self, to: &Address, vouched: bool, now: Moment) -> usize {
        let mailbox = mailbox_of(to);
        let most = if self.known.contains(&mailbox) { ANSWERS_TO_KNOWN } else { ANSWERS_A_DAY };
        let sent = self.answers.get(&(mailbox, vouched));
        most.saturating_sub(sent.map_or(0, |times| since(times, later(now, Span::days(-1)))))
    }

    /// When the acknowledgement of a mail leaves: on the next tick, and where its source or all of them send
    /// heaps, some time within the day. Made of what anybody could see of the
    /// mail, as all of an acknowledgement is.
    #[must_use]
    pub fn acknowledge_at(
        &self,
        settings: &Settings,
        source: &Source,
        raw: &Digest,
        arrived: Moment,
        now: Moment,
    ) -> Moment {
        let tick = i64::from(settings.tick_s.max(1)).saturating_mul(1_000);
        let gone = now.signed_duration_since(arrived).num_milliseconds().max(0);
        let ticks = gone.checked_div(tick).unwrap_or(0).saturating_add(1);
        let next = later(arrived, Span::milliseconds(ticks.saturating_mul(tick)));
        let hour = later(now, Span::hours(-1));
        let limit =
            usize::try_from(settings.acknowledgements_per_hour).unwrap_or(usize::MAX).max(1);
        let of_source =
            self.acknowledged.get(&source.group()).map_or(0, |times| since(times, hour));
        if of_source < limit && since(&self.acknowledged_all, hour) < ALL_PER_HOUR {
            return next;
        }
        let drawn = raw.fraction(u64::try_from(SPREAD.num_milliseconds()).unwrap_or(0));
        let drawn = Span::milliseconds(i64::try_from(drawn).unwrap_or(0));
        next.max(later(later(arrived, SPREAD_FROM), drawn))
    }

    /// Whether another report by somebody unproven waits for the digest: while few come, none does. Of what
    /// really opened ten times as many are few.
    #[must_use]
    pub fn defers(&self, settings: &Settings, source: &Source, opened: bool, now: Moment) -> bool {
        let (hour, day) = (later(now, Span::hours(-1)), later(now, Span::days(-1)));
        let most = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        let [plain, sealed] = &self.reports;
        // One source takes half of it at most.
        let one_source = most(settings.plain_per_hour).div_ceil(2);
        let of_source = self.reports_of.get(&source.group()).map_or(0, |times| since(times, hour));
        if opened {
            return since(sealed, hour) >= most(settings.encrypted_per_hour)
                || of_source >= one_source.saturating_mul(10);
        }
        since(plain, hour) >= most(settings.plain_per_hour)
            || since(plain, day) >= most(settings.plain_per_day)
            || of_source >= one_source
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
        if let Event::ServerTakes { bytes } = &record.event {
            self.server_takes = Some(*bytes);
        }
        if let Event::WithheldTold { to, why } = &record.event {
            let key = withheld_key(record.incident.as_ref(), to);
            self.withheld.insert(key, (why.clone(), record.at));
        }
        if let Event::AutoAnswered { to, vouched, source } = &record.event {
            let times = self.answers.entry((mailbox_of(to), *vouched)).or_default();
            remember(times, record.at);
            forget(&mut self.answers, later(record.at, Span::days(-1)));
            remember(self.acknowledged.entry(source.group()).or_default(), record.at);
            forget(&mut self.acknowledged, later(record.at, Span::hours(-1)));
            remember(&mut self.acknowledged_all, record.at);
        }
        if let (Some(handle), Event::Joined { letter }) = (&record.incident, &record.event)
            && letter.author == Author::Reporter
            && let Some(mailbox) = self.reporters.get(handle)
        {
            self.known.insert(mailbox.clone());
        }
        let (Some(handle), Event::Opened(opening)) = (&record.incident, &record.event) else {
            return;
        };
        if let Some(address) = &opening.reporter {
            self.reporters.insert(handle.clone(), mailbox_of(address));
        }
        if let Some(source) = &opening.source {
            remember(self.reports_of.entry(source.group()).or_default(), record.at);
            forget(&mut self.reports_of, later(record.at, Span::hours(-1)));
        }
        let [plain, sealed] = &mut self.reports;
        let opened = opening.letter.protection.is_encrypted();
        remember(if opened { sealed } else { plain }, record.at);
    }
}

/// A person is one, whatever it is about.
fn withheld_key(about: Option<&Handle>, to: &Recipient) -> (Option<Handle>, Recipient) {
    let about = about.filter(|_| *to == Recipient::Reporter);
    (about.cloned(), to.clone())
}

/// How many of them are later than a moment; they are in order.
fn since(times: &VecDeque<Moment>, from: Moment) -> usize {
    times.len().saturating_sub(times.partition_point(|at| *at <= from))
}

/// Keeps the newest moments only, and never more than this.
fn remember(times: &mut VecDeque<Moment>, at: Moment) {
    times.push_back(at);
    if times.len() > 20_000 {
        times.pop_front();
    }
}

/// Forgets whoever has been quiet since a moment, where there are many.
fn forget<K: Ord>(all: &mut BTreeMap<K, VecDeque<Moment>>, from: Moment) {
    if all.len() > SOURCES_MAX && all.len().is_power_of_two() {
        all.retain(|_, times| times.back().is_some_and(|at| *at > from));
    }
}

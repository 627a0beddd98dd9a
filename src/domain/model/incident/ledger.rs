//! The ledger: who got which notice, how far it came, and what they said about it.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::event::{Answer, Copy, Delivery, Draft, Mailed, Purpose, Recipient};
use crate::domain::facts::letter::Fate;
use crate::domain::facts::names::{Handle, MessageId, Moment, PersonId, TaskId};
use crate::domain::facts::seconded::Seconded;
use crate::domain::model::incident::parts::{Entry, Release};
use crate::domain::model::incident::state::Incident;
use crate::domain::model::roster::{Person, Roster};
use crate::domain::outgoing::texts::{Class, Texts};
use crate::domain::process::playbook::{Audience, Task};

impl Incident {
    /// Whether somebody gets what this incident sends to a group: they are in it, and among those of
    /// it who are to know.
    #[must_use]
    pub fn is_for(&self, group: &str, person: &Person) -> bool {
        let among = self.audiences.get(group).is_none_or(|few| few.contains(&person.id));
        among && person.groups.contains(group)
    }

    /// Whether somebody is meant by an audience: who gets a notice when it is frozen, when a copy is
    /// written and when it is dialled, and nobody else.
    #[must_use]
    pub fn is_meant(&self, audience: &Audience, person: &Person) -> bool {
        match audience {
            // Only those of the group who are to know of this incident.
            Audience::Group(group) => self.is_for(group, person),
            Audience::Member { group, id } => *id == person.id && self.is_for(group, person),
            Audience::Role(role) => self.holds(person, role),
            // A reporter and a list are no people of the roster.
            Audience::Reporter | Audience::Public(_) => false,
        }
    }

    /// Whether a draft still speaks of the dates as they are: T, and the release where it names one.
    #[must_use]
    pub fn is_dated(&self, draft: &Draft) -> bool {
        let release = self.anchor(Anchor::Release);
        draft.t == self.t() && draft.release.is_none_or(|then| Some(then) == release)
    }

    /// Whether a draft still speaks of the incidents that share the release.
    #[must_use]
    pub fn is_of_all(&self, draft: &Draft) -> bool {
        let task = self.task(&draft.notice).filter(|task| task.once);
        task.is_none_or(|task| draft.mates == *self.mates_of(task))
    }

    /// The others of its release that a row is done for here.
    #[must_use]
    pub fn mates_of(&self, task: &Task) -> &BTreeSet<Handle> {
        const NONE: &BTreeSet<Handle> = &BTreeSet::new();
        match (task.once, task.announces()) {
            (false, _) => NONE,
            (true, true) => &self.sharing.mates,
            (true, false) => &self.sharing.mates_after,
        }
    }

    /// Whether somebody is still in a group through which they had a notice. Then they hear that a date
    /// moves and that the embargo ends, whoever else is to know of the incident by now: they would ship
    /// on the old date.
    #[must_use]
    pub fn is_for_what_they_had(&self, person: &Person) -> bool {
        let to = Recipient::Person(person.id.clone());
        self.notices.iter().any(|(id, notice)| {
            let task = self.task(id);
            let audience = task.and_then(|task| task.audience.as_ref());
            let Some(group) = audience.and_then(Audience::under_embargo) else { return false };
            let releases = notice.releases.values();
            let mut had = releases
                .map(|release| release.copies.contains_key(&to) || release.pending.contains(&to));
            person.groups.contains(group) && had.any(|had| had)
        }) || self.shared.iter().any(|((_, id, _), shared)| {
            let audience = self.task(id).and_then(|task| task.audience.as_ref());
            let group = audience.and_then(Audience::under_embargo);
            group.is_some_and(|group| person.groups.contains(group))
                && shared.to.contains(&person.id)
        })
    }

    /// Whether the desk's own words about what a recipient had still go to them.
    #[must_use]
    pub fn hears_of_what_they_had(&self, roster: &Roster, to: &Recipient) -> bool {
        let Recipient::Person(id) = to else { return true };
        roster
            .person(id)
            .is_some_and(|person| self.is_for_what_they_had(person) || self.is_team(person))
    }

    /// Whether somebody gets anything that this incident sends to groups of its process.
    #[must_use]
    pub fn is_for_any_group(&self, person: &Person) -> bool {
        person.groups.iter().any(|group| self.is_for(group, person))
    }

    /// Everyone whose last word from us about the date was another than the present T.
    #[must_use]
    pub fn holders_of_a_date(&self) -> BTreeMap<Recipient, Moment> {
        let mut last: BTreeMap<Recipient, (Moment, Moment)> = BTreeMap::new();
        for release in self.notices.values().flat_map(|notice| notice.releases.values()) {
            let Some(t) = release.t else { continue };
            for (to, entry) in &release.copies {
                // A public list gets no sealed word; who moves a date is told that it had one.
                let told = !matches!(entry.delivery, Delivery::Withheld | Delivery::Withdrawn)
                    && !matches!(to, Recipient::List(_));
                if told && last.get(to).is_none_or(|(at, _)| *at <= release.at) {
                    last.insert(to.clone(), (release.at, t));
                }
            }
        }
        // While they share the release, the first of them speaks of its date for all.
        let apart =
            self.shared.iter().filter(|((on, ..), _)| self.sharing.first.as_ref() != Some(on));
        for (_, shared) in apart {
            let Some(t) = shared.t else { continue };
            for to in shared.to.iter().cloned().map(Recipient::Person) {
                if last.get(&to).is_none_or(|(at, _)| *at <= shared.at) {
                    last.insert(to, (shared.at, t));
                }
            }
        }
        last.into_iter().map(|(to, (_, t))| (to, t)).collect()
    }

    /// Who stands behind the newest notice that told people outside the team a date: also behind what
    /// the desk itself has to say of that date.
    #[must_use]
    pub fn date_seconded(&self) -> Option<Seconded> {
        let releases = self.notices.values().flat_map(|notice| notice.releases.values());
        let told = releases.filter(|release| release.t.is_some() && release.seconded.is_some());
        let own = told.map(|release| (release.at, &release.seconded));
        let shared = self.shared.values().filter(|shared| shared.t.is_some());
        let shared = shared.map(|shared| (shared.at, &shared.seconded));
        own.chain(shared).max_by_key(|(at, _)| *at)?.1.clone()
    }

    /// Who stands behind the act by which it became public, and not before T: a notice that the public
    /// list's server has taken, or a row by which people publish.
    #[must_use]
    pub fn made_public_by(&self, now: Moment) -> Option<Seconded> {
        if self.t().is_none_or(|t| now < t) {
            return None;
        }
        let full = |task: &&Task| {
            matches!(task.audience, Some(Audience::Public(_)))
                && task.template.as_deref().and_then(Texts::class) == Some(Class::Public)
        };
        let notices =
            self.notice_tasks().filter(full).filter_map(|task| self.notices.get(&task.id));
        let releases = notices.flat_map(|notice| notice.releases.values());
        let taken = releases.filter(|release| release.accepted.is_some() && release.t == self.t());
        let by_notice = taken.filter_map(|release| release.seconded.clone()).next();
        // Or by people's hands, after a gate that two have opened.
        let by_hand = || {
            let rows = self.tasks().filter(|task| {
                matches!(task.sets, Some(Anchor::Released | Anchor::Public))
                    && self.done.contains_key(&task.id)
            });
            let gates = rows.flat_map(|task| &task.after);
            // For the day that is agreed on, and not for one that somebody has set since.
            let of_the_day = gates.filter_map(|gate| self.done.get(gate));
            let of_the_day = of_the_day.filter(|done| self.t_set.is_some_and(|set| done.at > set));
            of_the_day.filter_map(|done| done.seconded.clone()).next()
        };
        by_notice.or_else(by_hand)
    }

    /// Since when it has been public by what the team did: since the public list's server took the full
    /// notice, or somebody did the row by which it is published; otherwise since now.
    #[must_use]
    pub fn public_since(&self, now: Moment) -> Moment {
        let full = |task: &&Task| {
            matches!(task.audience, Some(Audience::Public(_)))
                && task.template.as_deref().and_then(Texts::class) == Some(Class::Public)
        };
        let notices =
            self.notice_tasks().filter(full).filter_map(|task| self.notices.get(&task.id));
        let taken =
            notices.flat_map(|n| n.releases.values()).filter_map(|release| release.accepted);
        let rows = self.tasks().filter(|task| task.sets == Some(Anchor::Public));
        let done = rows.filter_map(|task| self.done.get(&task.id)).map(|done| done.at);
        taken.chain(done).filter(|at| *at <= now).min().unwrap_or(now)
    }

    /// Everybody to whom a copy of a sealed notice went out.
    #[must_use]
    pub fn everybody_told(&self) -> BTreeSet<Recipient> {
        let releases = self.notices.values().flat_map(|notice| notice.releases.values());
        let copies = releases.flat_map(|release| &release.copies);
        copies
            .filter(|(to, entry)| matches!(to, Recipient::Person(_)) && entry.went_out())
            .map(|(to, _)| to.clone())
            .chain(self.shared.values().flat_map(|s| s.to.iter().cloned().map(Recipient::Person)))
            .collect()
    }

    /// The newest line of the ledger for each recipient of a notice, over all its numbers. Those
    /// whose copy is still to be written stand there as on their way.
    #[must_use]
    pub fn ledger(&self, notice: &TaskId) -> BTreeMap<Recipient, (u32, Entry)> {
        let mut lines = BTreeMap::new();
        for (number, release) in self.notices.get(notice).iter().flat_map(|n| &n.releases) {
            for (to, entry) in &release.copies {
                lines.insert(to.clone(), (*number, entry.clone()));
            }
            for to in &release.pending {
                let waits = Entry::new(Delivery::Queued, release.at);
                lines.insert(to.clone(), (*number, waits));
            }
        }
        lines
    }

    fn release(&mut self, notice: &TaskId, number: u32) -> Option<&mut Release> {
        self.notices.get_mut(notice)?.releases.get_mut(&number)
    }

    /// The line of the ledger that a mail stands for.
    fn entry_of(&mut self, message_id: &MessageId) -> Option<(&mut Release, Recipient)> {
        let mail = self.mails.get(message_id)?;
        let to = mail.to.clone();
        let Purpose::Notice { notice, number } = mail.purpose.clone() else { return None };
        Some((self.release(&notice, number)?, to))
    }

    pub(super) fn sent(&mut self, at: Moment, notice: &TaskId, number: u32, copies: &[Copy]) {
        let Some(release) = self.release(notice, number) else { return };
        for copy in copies {
            release.pending.remove(&copy.to);
            release.copies.insert(copy.to.clone(), Entry::new(copy.state, at));
        }
        if release.pending.is_empty() {
            release.complete.get_or_insert(at);
        }
        for copy in copies {
            let purpose = Purpose::Notice { notice: notice.clone(), number };
            let (message_id, to) = (copy.message_id.clone(), copy.to.clone());
            self.mailed(at, Mailed { message_id, to, purpose });
        }
    }

    pub(super) fn delivered(
        &mut self,
        at: Moment,
        message_id: &MessageId,
        outcome: Delivery,
        reply: &str,
    ) {
        let purpose = self.mails.get(message_id).map(|mail| &mail.purpose);
        if purpose == Some(&Purpose::Answer) && outcome == Delivery::Accepted {
            self.answered.get_or_insert(at);
        }
        if outcome == Delivery::Dead {
            self.did_not_arrive(at, message_id, reply);
        }
        let Some((release, to)) = self.entry_of(message_id) else { return };
        let entry = release.copies.entry(to).or_insert_with(|| Entry::new(outcome, at));
        (entry.delivery, entry.since) = (outcome, at);
        entry.reply = reply.to_owned();
        if outcome == Delivery::Accepted {
            release.accepted.get_or_insert(at);
        }
    }

    fn did_not_arrive(&mut self, at: Moment, message_id: &MessageId, code: &str) {
        let purpose = self.mails.get(message_id).map(|mail| &mail.purpose);
        if purpose == Some(&Purpose::Acknowledgement) && self.reporter.unreached.is_none() {
            let code = code.split_whitespace().next().unwrap_or("").to_owned();
            self.reporter.unreached = Some((at, code));
        }
    }

    pub(super) fn reported(
        &mut self,
        at: Moment,
        message_id: &MessageId,
        fate: Fate,
        status: &str,
    ) {
        if fate == Fate::Failed {
            self.did_not_arrive(at, message_id, status);
        }
        let Some((release, to)) = self.entry_of(message_id) else { return };
        // One of several boxes behind an address may have it: that another has not is what stands.
        if let Some(entry) = release.copies.get_mut(&to)
            && (fate == Fate::Failed || !matches!(entry.report, Some((_, Fate::Failed, _))))
        {
            entry.report = Some((at, fate, status.to_owned()));
        }
    }

    pub(super) fn catch_up(
        &mut self,
        notice: &TaskId,
        number: u32,
        recipients: &BTreeSet<Recipient>,
    ) {
        if let Some(release) = self.release(notice, number) {
            release.pending.extend(recipients.iter().cloned());
            release.caught_up.extend(recipients.iter().cloned());
        }
    }

    pub(super) fn answered_notice(
        &mut self,
        at: Moment,
        person: &PersonId,
        notice: &TaskId,
        number: u32,
        answer: Answer,
    ) {
        let to = Recipient::Person(person.clone());
        if let Some(entry) = self.release(notice, number).and_then(|r| r.copies.get_mut(&to)) {
            entry.answered(at, answer);
        }
    }
}

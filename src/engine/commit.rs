//! Carrying out: a decision taken in, its mails sealed, and all of it written in one transaction.

use crate::domain::decide::decision::{Decision, Entry};
use crate::domain::decide::delivery;
use crate::domain::decide::delivery::Leave;
use crate::domain::facts::event::Event;
use crate::domain::facts::names::{Digest, Moment};
use crate::domain::facts::record::{Line, Record};
use crate::domain::outgoing::mail::Label;
use crate::engine::{Engine, lock};
use crate::error::Fault;
use crate::ports::store::{Commit, Settled};

/// What a decision follows from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cause<'a> {
    /// Time, or the operator.
    Time,
    /// A mail: its inbox row, what it was, and the hash of its bytes.
    Mail { inbox: i64, what: &'a str, raw: Digest },
    /// What a mail revokes, before the mail itself is looked at.
    Revocation { raw: Digest },
    /// How attempts to deliver ended.
    Delivered(&'a [Settled]),
    /// That mails will not leave, which people are told.
    GivenUp(&'a [i64]),
}

impl<'a> Cause<'a> {
    fn raw(self) -> Option<Digest> {
        match self {
            Self::Mail { raw, .. } | Self::Revocation { raw } => Some(raw),
            Self::Time | Self::Delivered(_) | Self::GivenUp(_) => None,
        }
    }

    fn inbox(self) -> Option<(i64, &'a str)> {
        if let Self::Mail { inbox, what, .. } = self { Some((inbox, what)) } else { None }
    }

    fn told(self) -> &'a [i64] {
        if let Self::GivenUp(told) = self { told } else { &[] }
    }

    fn outbox(self) -> &'a [Settled] {
        if let Self::Delivered(settled) = self { settled } else { &[] }
    }
}

impl Engine {
    /// The line that a fact becomes, if it were the next.
    pub(super) fn line(
        &self,
        event: &Event,
        entry: Option<&Entry>,
        cause: Option<Digest>,
        now: Moment,
    ) -> Result<(Record, Line), Fault> {
        let head = self.desk.head;
        let record = Record {
            number: head.number.saturating_add(1),
            at: now,
            incident: entry.and_then(|entry| entry.incident.clone()),
            by: entry.and_then(|entry| entry.by.clone()),
            cause,
            event: event.clone(),
        };
        let line = record.line(head)?;
        Ok((record, line))
    }

    /// Takes a decision's facts in, seals its mails, and commits all of it. The state in memory is
    /// ahead of the store only until the commit; should that fail the caller stops the desk, and
    /// the next start replays what was committed.
    pub(super) fn carry_out(&mut self, decision: Decision, cause: Cause<'_>) -> Result<(), Fault> {
        if let (Some(why), false) = (self.held(), decision.entries.is_empty()) {
            return Err(Fault::new(
                format!("nothing is written while the desk is held: {why}"),
                "put the newest database back, or run `embargod restored --yes`",
            ));
        }
        let now = self.now();
        let before = self.desk.head;
        let mut lines = Vec::new();
        let mut bodies = Vec::new();
        let mut sealed = Vec::new();
        let mut next = Some(decision);
        // What is due next is looked up once, when all of it is taken in.
        self.desk.begins_reading();
        // A mail that cannot be sealed leads to others that say so; those are bounded, since what
        // says so is content-free or an alert, and an alert makes no further one.
        for _ in 0..4 {
            let Some(decision) = next.take() else { break };
            for fault in &decision.faults {
                tracing::error!(event = "desk.fault", "{fault}");
            }
            for entry in &decision.entries {
                let (record, line) = self.line(&entry.event, Some(entry), cause.raw(), now)?;
                self.desk.apply(&record, line.hash);
                match &record.incident {
                    Some(handle) => drop(self.idle.remove(handle)),
                    None => self.idle.clear(),
                }
                lines.push(line);
            }
            // A mail may be for a key that came in with it; one that was dropped just now can still
            // be told so.
            self.learn()?;
            bodies.extend(decision.bodies);
            let (made, withheld) = self.seal(&decision.mails, &bodies, now)?;
            sealed.extend(made);
            let follow_up = delivery::withheld(&self.desk, &withheld, now, &self.entropy.fresh()?);
            if !follow_up.entries.is_empty() || !follow_up.mails.is_empty() {
                next = Some(follow_up);
            }
        }
        self.desk.has_read();
        let (inbox, outbox, told) = (cause.inbox(), cause.outbox(), cause.told());
        let (lines, bodies, mails, texts) = (&lines, &bodies, &sealed, &[]);
        let commit = Commit { lines, bodies, texts, mails, inbox, outbox, told };
        // What couriers have in hand may be for somebody who is out by what was just taken in.
        let out = |label: &Label| delivery::leaves(&self.desk, label) != Leave::Now;
        let gone = self.busy.iter().filter(|(_, label)| out(label));
        let gone: Vec<i64> = gone.map(|(id, _)| *id).collect();
        let mut store = lock(&self.store);
        store.commit(before, &commit)?;
        for settled in outbox {
            store.recalled.remove(&settled.id);
        }
        store.recalled.extend(gone);
        drop(store);
        self.forget_keys();
        self.let_go_of()
    }
}

//! What leaves: handed to couriers, and what became of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::domain::decide::decision::Decision;
use crate::domain::decide::delivery::{GivenUp, Leave};
use crate::domain::decide::{delivery, time};
use crate::domain::facts::event::{Delivery, Purpose};
use crate::domain::facts::foreign::Foreign;
use crate::domain::facts::heart::Ailment;
use crate::domain::facts::names;
use crate::domain::facts::names::{MessageId, Moment, Span};
use crate::domain::outgoing::pace::Change;
use crate::domain::outgoing::tries::{Next, after, next_attempt};
use crate::domain::outgoing::verdict;
use crate::domain::outgoing::verdict::{Blame, Outcome, Stage};
use crate::engine::commit::Cause;
use crate::engine::{Door, Engine, SharedStore, lock};
use crate::error::Fault;
use crate::ports::store::{CALLED_BACK, Commit, Content, GONE, Outgoing, Settled};

/// When a mail is looked at again whose notice is held, or that may have left in another history. Whoever lets a
/// notice go need not wait for it: see [`Engine::let_go_of`].
const NOT_NOW: Span = Span::minutes(1);
/// So long after a mail was given up its people are told, if no other was meanwhile.
const QUIET: Span = Span::seconds(5);
/// And no later than so long after the first.
const TOLD_AFTER: Span = Span::minutes(1);

/// What the log says of an outcome: of a server's words the code alone, since the rest may name an address or
/// quote the mail.
fn code(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Accepted(said) | Outcome::Said(_, said) => said.get(..3).unwrap_or(""),
        Outcome::Broken(_) => "no connection",
        Outcome::Unknown => "no answer",
        Outcome::Never(_) => "not sent",
        Outcome::Untried => "put back",
    }
}

/// One line for an attempt, by how it ended.
fn log_of(row: &Outgoing, state: &'static str, code: &str) {
    let (outbox, attempt) = (row.id, row.attempts);
    match state {
        "sent" => {
            tracing::info!(
                event = "mail.sent",
                outbox,
                attempt,
                code,
                "The mail server took a mail."
            );
        }
        "waiting" => {
            tracing::info!(
                event = "mail.deferred",
                outbox,
                attempt,
                code,
                "A mail is tried again later."
            );
        }
        "dead" => {
            tracing::warn!(
                event = "mail.refused",
                outbox,
                attempt,
                code,
                "A mail was refused for good."
            );
        }
        _ => {
            tracing::warn!(
                event = "mail.unknown",
                outbox,
                attempt,
                code,
                "A mail may or may not have left."
            );
        }
    }
}

/// Whether an outcome is a refusal of an address that anybody may have made up: it says nothing of the server. Whoever
/// writes in the names of a hundred people that there are not would otherwise have the desk believe that the server takes
/// nothing, and keep the answers to everybody else.
fn is_about_a_stranger(row: &Outgoing, outcome: &Outcome) -> bool {
    let to_stranger = matches!(row.label.purpose, Purpose::Acknowledgement | Purpose::Key);
    let refused = matches!(outcome, Outcome::Said(Stage::To, said) if !said.starts_with("421"));
    to_stranger && refused
}

/// When people are told of mails that were given up: soon after the last, and not long after the first.
/// What a clock that was ahead dated into a time to come was given up before now: it is told at once.
fn told_at(given_up: impl Iterator<Item = Moment>, now: Moment) -> Option<Moment> {
    let given_up: Vec<Moment> =
        given_up.map(|at| if at > now { Moment::MIN_UTC } else { at }).collect();
    let (first, last) = (*given_up.iter().min()?, *given_up.iter().max()?);
    Some(names::later(last, QUIET).min(names::later(first, TOLD_AFTER)))
}

impl Engine {
    /// Mails whose last bytes were on their way when the desk stopped may have left: the one
    /// window that SMTP leaves open.
    pub(super) fn settle_what_was_in_flight(&mut self) -> Result<(), Fault> {
        let rows = lock(&self.store).left_in_flight()?;
        for row in rows {
            self.settle(&row, &Outcome::Unknown)?;
        }
        Ok(())
    }

    /// Hands out mails that may leave now: their attempt is counted and the next one written down
    /// before anyone dials. Each row is with one courier at a time. How many there are is the mail server's
    /// pace; while it takes nothing, one at a time tries it.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is handed out then.
    pub fn dispatch(&mut self, max: usize) -> Result<Vec<Outgoing>, Fault> {
        let now = self.now();
        if !self.has_room()? {
            return Ok(Vec::new());
        }
        let in_hand = self.busy.len().saturating_sub(self.slow.len());
        let room = self.pace.room(now, in_hand, max);
        if room == 0 {
            return Ok(Vec::new());
        }
        let wanted = u32::try_from(room.saturating_add(self.busy.len())).unwrap_or(u32::MAX);
        let rows = match self.pace.closed() {
            // Nothing but that the mailbox cannot be looked at.
            _ if self.witness.awaits_mailbox => {
                let mut rows = lock(&self.store).due_mails(now, u32::MAX)?;
                rows.retain(|row| self.may_leave(row));
                rows
            }
            None => lock(&self.store).due_mails(now, wanted)?,
            Some(_) => lock(&self.store).mails_to_try(now, wanted)?,
        };
        let mut attempts = Vec::new();
        let mut out = Vec::new();
        for row in rows {
            if out.len() >= room {
                break;
            }
            if self.busy.contains_key(&row.id) {
                continue;
            }
            if !self.may_leave(&row) {
                self.postpone(&row, names::later(now, NOT_NOW))?;
                continue;
            }
            self.withheld.remove(&row.id);
            let next = next_attempt(row.tries.deferrals.saturating_add(1), now);
            let leave = delivery::leaves(&self.desk, &row.label);
            match if row.unwanted { Leave::Never } else { leave } {
                Leave::Now => {
                    attempts.push((row.id, next));
                    self.busy.insert(row.id, row.label.clone());
                    self.handed.insert(row.id, self.clock.reading().boot);
                    self.pace.offers(now);
                    out.push(row);
                }
                Leave::Held => {
                    self.postpone(&row, names::later(now, NOT_NOW))?;
                    self.withheld.insert(row.id, row);
                }
                Leave::Never => self.withdraw(&row, now)?,
            }
        }
        lock(&self.store).attempt(&attempts)?;
        Ok(out)
    }

    /// When the next mail may be handed over, as far as the mail server lets it.
    pub(super) fn next_mail(&self) -> Result<Option<Moment>, Fault> {
        let (pace, store) = (self.pace.not_before(), lock(&self.store));
        let Some(closed) = self.pace.closed() else {
            return Ok(store.next_mail()?.map(|at| pace.map_or(at, |pace| at.max(pace))));
        };
        // What was tried before tries again for all the others, whenever it would be due itself.
        let wanted = u32::try_from(self.busy.len()).unwrap_or(u32::MAX).saturating_add(1);
        let rows = store.mails_to_try(closed.next, wanted)?;
        Ok(rows.iter().any(|row| !self.busy.contains_key(&row.id)).then_some(closed.next))
    }

    /// Tells people of mails that will not leave, once no more of them come for a moment: ten that were
    /// refused are one word, and not ten to each.
    pub(super) fn tell_of_given_up(&mut self, now: Moment) -> Result<(), Fault> {
        let rows = lock(&self.store).untold()?;
        if told_at(rows.iter().map(|row| row.at), now).is_none_or(|at| now < at) {
            return Ok(());
        }
        let ids: Vec<i64> = rows.iter().map(|listed| listed.row.id).collect();
        let mails: Vec<GivenUp> = rows
            .into_iter()
            .map(|listed| GivenUp {
                label: listed.row.label,
                is_unknown: listed.state == "unknown",
                reply: listed.reply,
            })
            .collect();
        let decision = delivery::given_up(&self.desk, &mails, now, self.entropy.fresh()?);
        self.carry_out(decision, Cause::GivenUp(&ids))
    }

    /// When they are told.
    pub(super) fn next_word_of_given_up(&self) -> Result<Option<Moment>, Fault> {
        let rows = lock(&self.store).untold()?;
        Ok(told_at(rows.iter().map(|row| row.at), self.now()))
    }

    /// The server does not answer after the last bytes of a mail: whoever waits for that holds up no other,
    /// not even the one that tries whether the server takes anything.
    pub fn waits_long(&mut self, row: i64) {
        if self.busy.contains_key(&row) {
            self.slow.insert(row);
        }
    }

    /// The mail server says how large a mail may be.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn hears_size(&mut self, largest: Option<u64>) -> Result<(), Fault> {
        if self.desk.limits.server_takes() == Some(largest) || self.held().is_some() {
            return Ok(());
        }
        let now = self.now();
        let decision = time::server_takes(&self.desk, largest, now, self.entropy.fresh()?);
        self.carry_out(decision, Cause::Time)
    }

    /// How many mails couriers have in hand.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.busy.len()
    }

    /// For how long a courier has had the oldest of them.
    #[must_use]
    pub fn in_hand_for(&self) -> Option<std::time::Duration> {
        let oldest = self.handed.values().min()?;
        self.clock.reading().boot.checked_sub(oldest)?.to_std().ok()
    }

    /// Calls back all that is in hand and has not left: the desk stops.
    pub fn call_back(&self) {
        self.door.fetch_add(1, Ordering::SeqCst);
        lock(&self.store).recalled.extend(self.busy.keys());
    }

    /// What tells couriers that a mail in hand is to be put back.
    #[must_use]
    pub fn door(&self) -> Door {
        Arc::clone(&self.door)
    }

    /// Whether the mail server takes nothing: it says so, or it lets everything wait.
    pub(super) fn look_at_the_server(&mut self, now: Moment) {
        let closed = self.pace.closed().map(|closed| closed.why.clone());
        let boot = self.clock.reading().boot;
        let long = |row: &i64| {
            let since = self.handed.get(row).and_then(|since| boot.checked_sub(since));
            since.is_some_and(|long| long > TOLD_AFTER)
        };
        let takes = self.heart.last_out.is_some_and(|at| now <= names::later(at, TOLD_AFTER));
        let hangs = !takes && self.slow.iter().any(long);
        let words = || "it does not answer after the last bytes of a mail".to_owned();
        let slack = self.pace.slack().filter(|_| !takes);
        let slack = slack.map(|_| "it puts off every mail".to_owned());
        self.ail(Ailment::Server, closed.or_else(|| hangs.then(words)).or(slack));
    }

    /// Looks at once at mails that were held, and are not by what was just taken in.
    pub(super) fn let_go_of(&mut self) -> Result<(), Fault> {
        let now = self.now();
        let may = |row: &&Outgoing| delivery::leaves(&self.desk, &row.label) == Leave::Now;
        let free: Vec<i64> = self.withheld.values().filter(may).map(|row| row.id).collect();
        for id in free {
            if let Some(row) = self.withheld.remove(&id) {
                self.postpone(&row, now)?;
            }
        }
        Ok(())
    }

    /// A mail that may not leave is looked at again; `/resume` has no need to know where it lies.
    fn postpone(&self, row: &Outgoing, until: Moment) -> Result<(), Fault> {
        let settled = Settled {
            id: row.id,
            state: "waiting",
            next_attempt: until,
            tries: row.tries,
            reply: String::new(),
        };
        lock(&self.store).commit(
            self.desk.head,
            &Commit { outbox: std::slice::from_ref(&settled), ..Commit::default() },
        )
    }

    pub(super) fn withdraw(&mut self, row: &Outgoing, now: Moment) -> Result<(), Fault> {
        let settled = Settled {
            id: row.id,
            state: "withdrawn",
            next_attempt: now,
            tries: row.tries,
            reply: String::new(),
        };
        self.delivered(row, Delivery::Withdrawn, "", &settled, now)
    }

    /// The bytes of mails that are about to be sent, in the same order: that is written down first, for all
    /// of them together. One that was called back, or has none, is not sent.
    pub fn in_flight(store: &SharedStore, rows: &[i64]) -> Vec<Result<Content, Fault>> {
        let called_back = || Fault::new(CALLED_BACK, "nothing; it is looked at again");
        let gone = || Fault::new(GONE, "put the spool's folder back beside the database");
        let mut store = lock(store);
        let stays: Vec<bool> = rows.iter().map(|row| store.recalled.remove(row)).collect();
        let leave: Vec<i64> =
            rows.iter().zip(&stays).filter(|(_, stays)| !**stays).map(|(row, _)| *row).collect();
        let marked = store.in_flight(&leave);
        let bytes = match marked.and_then(|bytes| store.write_out().map(|()| bytes)) {
            Ok(bytes) => bytes,
            Err(fault) => return rows.iter().map(|_| Err(fault.clone())).collect(),
        };
        let mut bytes = bytes.into_iter();
        let mut of = |stays: &bool| match *stays {
            true => Err(called_back()),
            false => bytes.next().flatten().ok_or_else(gone),
        };
        stays.iter().map(&mut of).collect()
    }

    /// Whether a mail that is marked was called back since: then it is not sent, and says so.
    pub fn is_called_back(store: &SharedStore, row: i64) -> bool {
        lock(store).recalled.remove(&row)
    }

    /// Takes in how an attempt ended.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn settle(&mut self, row: &Outgoing, outcome: &Outcome) -> Result<(), Fault> {
        let now = self.now();
        let (settled, delivery) = self.settled(row, outcome, now)?;
        match delivery.filter(|_| self.held().is_none()) {
            Some(delivery) => self.delivered(row, delivery, &settled.reply, &settled, now),
            None => lock(&self.store).commit(
                self.desk.head,
                &Commit { outbox: std::slice::from_ref(&settled), ..Commit::default() },
            ),
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
        let mut again = Vec::new();
        for (row, outcome) in done {
            let (settled, delivery) = self.settled(row, outcome, now)?;
            // An older copy of the history takes nothing in: what it says is lost with it.
            match delivery.filter(|_| self.held().is_none()) {
                None => again.push(settled),
                // What nobody looks up in the history: the row alone says it.
                Some(Delivery::Accepted) if !delivery::matters(&row.label.purpose) => {
                    again.push(settled);
                }
                Some(Delivery::Accepted) => {
                    let (id, fresh) = (Self::id_of(row)?, self.entropy.fresh()?);
                    let (label, reply) = (&row.label, &settled.reply);
                    let accepted = Delivery::Accepted;
                    let more =
                        delivery::delivered(&self.desk, &id, label, accepted, reply, now, fresh);
                    together.merge(more);
                    rows.push(settled);
                }
                Some(other) => self.delivered(row, other, &settled.reply, &settled, now)?,
            }
        }
        if !again.is_empty() {
            let commit = Commit { outbox: &again, ..Commit::default() };
            lock(&self.store).commit(self.desk.head, &commit)?;
        }
        for (row, _) in done {
            lock(&self.store).recalled.remove(&row.id);
        }
        if rows.is_empty() {
            return Ok(());
        }
        self.carry_out(together, Cause::Delivered(&rows))
    }

    /// What an attempt comes to, for its row, for the history, and for all the others.
    pub(super) fn settled(
        &mut self,
        row: &Outgoing,
        outcome: &Outcome,
        now: Moment,
    ) -> Result<(Settled, Option<Delivery>), Fault> {
        self.busy.remove(&row.id);
        self.handed.remove(&row.id);
        self.slow.remove(&row.id);
        let (next, tries) = after(outcome, row.tries, &self.pace, now);
        let (state, next_attempt, delivery) = match next {
            Next::Sent => ("sent", now, Some(Delivery::Accepted)),
            Next::Dead => ("dead", now, Some(Delivery::Dead)),
            Next::Unknown => ("unknown", now, Some(Delivery::Unknown)),
            Next::Again(at) => ("waiting", at, None),
        };
        let reply = match outcome {
            Outcome::Accepted(reply)
            | Outcome::Said(_, reply)
            | Outcome::Broken(reply)
            // Whoever runs the recipient's server chose the words.
            | Outcome::Never(reply) => Foreign::line(reply, 200).to_string(),
            Outcome::Unknown => "the connection broke after the last byte".to_owned(),
            Outcome::Untried => String::new(),
        };
        let code = code(outcome);
        log_of(row, state, code);
        if row.label.purpose == Purpose::ClockProbe && delivery == Some(Delivery::Accepted) {
            self.clock_probe.handed_over(&row.message_id, now);
        }
        if !is_about_a_stranger(row, outcome) {
            self.hear_of_the_server(row.id, outcome, &reply, now)?;
        }
        if delivery == Some(Delivery::Accepted) {
            self.heart.last_out = Some(now);
        }
        self.look_at_the_server(now);
        Ok((Settled { id: row.id, state, next_attempt, tries, reply }, delivery))
    }

    /// What an outcome says of the mail server, and so of all other mails.
    fn hear_of_the_server(
        &mut self,
        row: i64,
        outcome: &Outcome,
        why: &str,
        now: Moment,
    ) -> Result<(), Fault> {
        let turn = match outcome {
            Outcome::Accepted(_) => self.pace.taken(now),
            Outcome::Said(stage, said) => {
                let of_one = *stage > Stage::From && !said.starts_with("421");
                self.pace.failed(row, Some(verdict::blame(*stage, said)), of_one, why, now)
            }
            Outcome::Broken(_) => self.pace.failed(row, Some(Blame::Server), false, why, now),
            Outcome::Unknown => self.pace.failed(row, None, false, why, now),
            Outcome::Never(_) | Outcome::Untried => Change::Same,
        };
        match turn {
            Change::Same => {}
            Change::Closes => {
                self.door.fetch_add(1, Ordering::SeqCst);
                let code = code(outcome);
                tracing::warn!(
                    event = "server.closed",
                    code,
                    "The mail server takes nothing; one mail at a time tries it."
                );
            }
            Change::Opens { of_server } => {
                let count = if of_server { lock(&self.store).let_go(now, false)? } else { 0 };
                tracing::info!(
                    event = "server.open",
                    count,
                    "The mail server takes mails again; what waited goes on."
                );
            }
        }
        Ok(())
    }

    pub(super) fn id_of(row: &Outgoing) -> Result<MessageId, Fault> {
        MessageId::parse(&row.message_id)
            .ok_or_else(|| Fault::new(format!("outbox row {} has no Message-ID", row.id), ""))
    }

    pub(super) fn delivered(
        &mut self,
        row: &Outgoing,
        delivery: Delivery,
        reply: &str,
        settled: &Settled,
        now: Moment,
    ) -> Result<(), Fault> {
        let id = Self::id_of(row)?;
        let decision = delivery::delivered(
            &self.desk,
            &id,
            &row.label,
            delivery,
            reply,
            now,
            self.entropy.fresh()?,
        );
        self.carry_out(decision, Cause::Delivered(std::slice::from_ref(settled)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_is_told_soon_whatever_the_clock_said() {
        let now: Moment = "2026-12-01T12:00:00Z".parse().unwrap();
        let told = |times: &[Moment]| told_at(times.iter().copied(), now);
        assert_eq!(told(&[]), None);
        let soon = told(&[now]).unwrap();
        assert!(soon > now && soon <= names::later(now, TOLD_AFTER));
        // By a clock that was ahead.
        assert!(told(&[names::later(now, Span::days(30))]).unwrap() <= now);
    }
}

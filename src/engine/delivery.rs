//! What leaves: handed to couriers, and what became of it.

use crate::domain::decide::decision::Decision;
use crate::domain::decide::delivery;
use crate::domain::decide::delivery::Leave;
use crate::domain::facts::event::{Delivery, Purpose};
use crate::domain::facts::names;
use crate::domain::facts::names::{MessageId, Moment, Span};
use crate::domain::outgoing::mail::{Next, Outcome, after, next_attempt};
use crate::domain::outgoing::texts;
use crate::engine::commit::Cause;
use crate::engine::{Engine, SharedStore, lock};
use crate::error::Fault;
use crate::ports::store::{Commit, Outgoing, Settled};

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
    /// before anyone dials. Each row is with one courier at a time.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is handed out then.
    pub fn dispatch(&mut self, max: usize) -> Result<Vec<Outgoing>, Fault> {
        let now = self.now();
        let room = max.saturating_sub(self.busy.len());
        if room == 0 {
            return Ok(Vec::new());
        }
        let wanted = u32::try_from(room.saturating_add(self.busy.len())).unwrap_or(u32::MAX);
        let rows = lock(&self.store).due_mails(now, wanted)?;
        let mut attempts = Vec::new();
        let mut out = Vec::new();
        for row in rows {
            if self.busy.contains_key(&row.id) || !self.may_leave_held(&row.label) {
                continue;
            }
            let next = next_attempt(row.attempts.saturating_add(1), now);
            match delivery::leaves(&self.desk, &row.label) {
                Leave::Now => {
                    attempts.push((row.id, next));
                    self.busy.insert(row.id, row.label.clone());
                    out.push(row);
                }
                Leave::Held => self.postpone(&row, now)?,
                Leave::Never => self.withdraw(&row, now)?,
            }
        }
        lock(&self.store).attempt(&attempts)?;
        Ok(out)
    }

    /// A held mail is looked at again soon; `/resume` has no need to know where it lies.
    pub(super) fn postpone(&self, row: &Outgoing, now: Moment) -> Result<(), Fault> {
        let soon = names::later(now, Span::seconds(2));
        let settled = Settled {
            id: row.id,
            state: "waiting",
            next_attempt: soon,
            unknowns: row.unknowns,
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
            unknowns: row.unknowns,
            reply: String::new(),
        };
        self.delivered(row, Delivery::Withdrawn, "", &settled, now)
    }

    /// The bytes of a mail, which are about to be sent: that is written down first.
    ///
    /// # Errors
    /// As [`Outbox::in_flight`](crate::ports::store::Outbox::in_flight), and when it was called back.
    pub fn in_flight(store: &SharedStore, row: &Outgoing) -> Result<Vec<u8>, Fault> {
        let mut store = lock(store);
        if store.recalled.remove(&row.id) {
            return Err(Fault::new(
                "it was called back before it left",
                "nothing; it is looked at again",
            ));
        }
        store.in_flight(row.id)
    }

    /// Takes in how an attempt ended.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn settle(&mut self, row: &Outgoing, outcome: &Outcome) -> Result<(), Fault> {
        let now = self.now();
        let (settled, delivery) = self.settled(row, outcome, now);
        match delivery {
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
        for (row, outcome) in done {
            if !matches!(outcome, Outcome::Accepted(_)) {
                self.settle(row, outcome)?;
                continue;
            }
            let (settled, _) = self.settled(row, outcome, now);
            let id = Self::id_of(row)?;
            let label = &row.label;
            let accepted = Delivery::Accepted;
            let more = delivery::delivered(
                &self.desk,
                &id,
                label,
                accepted,
                &settled.reply,
                now,
                self.entropy.fresh()?,
            );
            together.merge(more);
            rows.push(settled);
        }
        if rows.is_empty() {
            return Ok(());
        }
        self.carry_out(together, Cause::Delivered(&rows))
    }

    /// What an attempt comes to, for its row and for the history.
    pub(super) fn settled(
        &mut self,
        row: &Outgoing,
        outcome: &Outcome,
        now: Moment,
    ) -> (Settled, Option<Delivery>) {
        self.busy.remove(&row.id);
        let unknowns = row.unknowns.saturating_add(u32::from(*outcome == Outcome::Unknown));
        let attempts = row.attempts.saturating_add(1);
        let (state, next_attempt, delivery) =
            match after(outcome, attempts, unknowns, row.written, now) {
                Next::Sent => ("sent", now, Some(Delivery::Accepted)),
                Next::Dead => ("dead", now, Some(Delivery::Dead)),
                Next::Unknown => ("unknown", now, Some(Delivery::Unknown)),
                Next::Again(at) => ("waiting", at, None),
            };
        let reply = match outcome {
            Outcome::Accepted(reply) | Outcome::Later(reply) | Outcome::Refused(reply) => {
                texts::clean_line(reply, 200)
            }
            Outcome::Unknown => String::new(),
        };
        tracing::info!(outbox = row.id, state, attempts, "A mail was handed over, or not.");
        if row.label.purpose == Purpose::ClockProbe && delivery == Some(Delivery::Accepted) {
            self.clock_probe.handed_over(&row.message_id, now);
        }
        (Settled { id: row.id, state, next_attempt, unknowns, reply }, delivery)
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

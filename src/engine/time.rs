//! What time brings: looked at in full whatever woke the desk.

use crate::domain::decide::decision::Decision;
use crate::domain::decide::work::Work;
use crate::domain::decide::{catch_up, membership, time};
use crate::domain::facts::event::Event;
use crate::domain::facts::names;
use crate::domain::facts::names::{Handle, Moment, Span};
use crate::domain::intake::command_mail;
use crate::domain::model::desk::cares;
use crate::domain::outgoing::mail::Words;
use crate::engine::commit::Cause;
use crate::engine::{Engine, lock};
use crate::error::Fault;

/// How often the desk writes down that it runs.
const ALIVE_EVERY: Span = Span::minutes(1);
/// What was given up can be tried once more for so long.
const KEPT: Span = Span::days(30);
/// What is shorter is no outage.
const OUTAGE: Span = Span::hours(1);

impl Engine {
    /// The next moment at which the engine itself has something to do: an agenda, or the outbox.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn next_due(&self) -> Result<Option<Moment>, Fault> {
        let soon = names::later(self.now(), Span::seconds(1));
        let mail = self.next_mail()?;
        if self.witness.awaits_mailbox {
            return Ok(self.unreachable.is_some().then(|| names::later(self.now(), ALIVE_EVERY)));
        }
        if self.held().is_some() {
            return Ok(mail.map(|at| at.max(names::later(self.now(), Span::seconds(5)))));
        }
        // A row that a courier still has in hand may be due again by the clock; it is no reason to
        // hurry. Nor is a notice that waits for the clock to be right.
        let mail = if self.busy.is_empty() { mail } else { mail.map(|at| at.max(soon)) };
        let agenda = self.desk.next_due();
        let waits = self.unvouched.is_some() || self.clock_probe.vouch(self.now()) != Ok(true);
        let agenda = if waits { agenda.map(|at| at.max(soon)) } else { agenda };
        let notice = self.desk.next_notice();
        let asks = self.clock.vouch(self.newest).is_ok();
        let probe = notice.filter(|_| asks).and_then(|at| self.clock_probe.due(at));
        let probe = probe.map(|at| at.max(soon));
        let own = self.witness_due().into_iter().chain(self.proof_due()).min();
        let witness = own.filter(|_| asks).map(|at| at.max(soon));
        let given_up = self.next_word_of_given_up()?;
        Ok(agenda.into_iter().chain(mail).chain(probe).chain(witness).chain(given_up).min())
    }

    /// Does what is due. Level-triggered: it looks at what is due, whatever woke it. Stops after some
    /// copies of a notice, so that couriers are on their way with them while the next are sealed;
    /// `true` when it did, and there may be more.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn work_due(&mut self) -> Result<bool, Fault> {
        let now = self.now();
        if !self.has_room(0)? {
            return Ok(false);
        }
        if self.held().is_none() {
            self.watch_the_mailbox(now)?;
        }
        if !self.may_decide() {
            return Ok(false);
        }
        self.is_alive(now)?;
        self.watch_the_server(now)?;
        self.tell_of_given_up(now)?;
        let before = self.unvouched.clone();
        self.send_clock_probe()?;
        let vouched = self.vouched();
        if self.unvouched != before {
            let of_witness = self.witness_is_readable().is_err();
            let clock = self.unvouched.as_deref().filter(|_| !of_witness);
            lock(&self.store).set_alarm("clock", clock)?;
            if let Some(why) = self.unvouched.clone() {
                let alarm = if of_witness { time::unwitnessed } else { time::clock_alarm };
                let decision = alarm(&self.desk, &why, now, self.entropy.fresh()?);
                self.carry_out(decision, Cause::Time)?;
            }
        }
        if self.desk.limits.digest().is_some_and(|(at, _)| at <= now) {
            let decision = time::digest(&self.desk, now, self.entropy.fresh()?);
            self.carry_out(decision, Cause::Time)?;
        }
        for id in self.desk.people_due(now) {
            let decision = membership::due(&self.desk, &id, now, self.entropy.fresh()?);
            self.carry_out(decision, Cause::Time)?;
        }
        if cares::own_key_due(&self.desk).is_some_and(|at| at <= now) {
            let decision = membership::own_key(&self.desk, now, self.entropy.fresh()?);
            self.carry_out(decision, Cause::Time)?;
        }
        self.let_catch_up(now)?;
        for handle in self.desk.due(now) {
            // A bound, since a rule that never rests must not stop the others.
            for _ in 0..10_000 {
                if self.witness_is_readable().is_ok() {
                    let waited =
                        command_mail::waited(&self.desk, &handle, now, self.entropy.fresh()?);
                    self.carry_out_if_any(waited)?;
                }
                let decision = time::due(&self.desk, &handle, vouched, now, self.entropy.fresh()?);
                if decision.entries.is_empty() {
                    break;
                }
                let copies =
                    decision.mails.iter().any(|mail| matches!(mail.words, Words::Frozen { .. }));
                self.carry_out(decision, Cause::Time)?;
                if copies {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Writes down now and then that the desk runs, so that the next start knows how long it did not.
    fn is_alive(&mut self, now: Moment) -> Result<(), Fault> {
        if self.alive.is_none_or(|at| now >= names::later(at, ALIVE_EVERY)) {
            let mut store = lock(&self.store);
            store.set_alive(now)?;
            store.forget_given_up(names::later(now, -KEPT))?;
            drop(store);
            self.alive = Some(now);
        }
        Ok(())
    }

    /// Journals how long nobody was here: a signed mail that waited for that long is not old by it.
    pub(super) fn note_outage(&mut self) -> Result<(), Fault> {
        let (now, alive) = (self.now(), lock(&self.store).alive()?);
        let Some(down_since) = alive.max(self.newest).filter(|at| now > names::later(*at, OUTAGE))
        else {
            return Ok(());
        };
        let mut work = Work::on(&self.desk, None, now, self.entropy.fresh()?);
        work.add_to_desk(Event::Started { down_since });
        let decision = work.done();
        self.carry_out(decision, Cause::Time)
    }

    fn carry_out_if_any(&mut self, decision: Decision) -> Result<(), Fault> {
        if decision.entries.is_empty() {
            return Ok(());
        }
        self.carry_out(decision, Cause::Time)
    }

    /// Looks who has missed what, whenever somebody may have.
    pub(super) fn let_catch_up(&mut self, now: Moment) -> Result<(), Fault> {
        if !self.desk.may_have_missed() {
            return Ok(());
        }
        self.desk.looked_for_missed();
        let open: Vec<Handle> = self.desk.open().map(|open| open.handle.clone()).collect();
        for handle in open {
            let decision = catch_up::look(&self.desk, &handle, now, self.entropy.fresh()?);
            self.carry_out_if_any(decision)?;
        }
        Ok(())
    }

    /// Whether notices may leave on the clock as it is. Said once each time that changes.
    pub(super) fn vouched(&mut self) -> bool {
        let own = self.clock.vouch(self.newest).and_then(|()| self.witness_is_readable());
        if own.is_err() {
            self.clock_probe.forget();
        }
        match (own.and_then(|()| self.clock_probe.vouch(self.now())), &self.unvouched) {
            (Ok(vouched), None) => vouched,
            (Ok(vouched), Some(_)) => {
                // While a new witness is on its way nothing is known to be wrong.
                tracing::info!("Notices go on once the clock has a witness.");
                self.unvouched = None;
                vouched
            }
            (Err(why), before) => {
                // The figures in it change with every look; the reason is what is told.
                let kind = |text: &String| text.replace(|c: char| c.is_ascii_digit(), "");
                if before.as_ref().map(kind) != Some(kind(&why)) {
                    tracing::error!(why, "Notices are held.");
                    self.unvouched = Some(why);
                }
                false
            }
        }
    }
}

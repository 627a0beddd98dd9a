//! What time brings: looked at in full whatever woke the desk.

use crate::domain::decide::decision::Decision;
use crate::domain::decide::time::Belief;
use crate::domain::decide::work::Work;
use crate::domain::decide::{catch_up, digest, membership, time};
use crate::domain::facts::event::Event;
use crate::domain::facts::heart::Ailment;
use crate::domain::facts::names;
use crate::domain::facts::names::{Handle, Moment, Span};
use crate::domain::intake::command_mail;
use crate::domain::model::clock::Doubt;
use crate::domain::model::desk::cares;
use crate::domain::outgoing::mail::Words;
use crate::engine::commit::Cause;
use crate::engine::{Engine, lock};
use crate::error::Fault;

/// How often the desk writes down that it runs.
const ALIVE_EVERY: Span = Span::minutes(1);
/// While notices wait for the clock the desk looks around so often.
const LOOKS_AROUND: Span = Span::seconds(15);
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
        if self.heart.down.contains_key(&Ailment::Disk) {
            // Nothing is done without room, however much is due: it is looked for now and then.
            return Ok(Some(names::later(self.now(), LOOKS_AROUND)));
        }
        let mail = self.next_mail()?;
        if self.witness.awaits_mailbox {
            let is_down = self.heart.down.contains_key(&Ailment::Mailbox);
            return Ok(is_down.then(|| names::later(self.now(), ALIVE_EVERY)));
        }
        if self.held().is_some() {
            return Ok(mail.map(|at| at.max(names::later(self.now(), Span::seconds(5)))));
        }
        // A row that a courier still has in hand may be due again by the clock; it is no reason to
        // hurry. Nor is a notice that waits for the clock to be right.
        let mail = if self.busy.is_empty() { mail } else { mail.map(|at| at.max(soon)) };
        let agenda = self.desk.next_due();
        let unproven = self.clock_probe.vouch(self.now()) != Ok(true);
        let waits = self.doubt.is_some() || unproven || self.witness_is_readable().is_err();
        // What ends the waiting wakes the desk by itself: a mail, or the look around every now and then.
        let is_wrong = self.heart.down.contains_key(&Ailment::Clock);
        let patience = if is_wrong { LOOKS_AROUND * 8 } else { LOOKS_AROUND };
        let patience = names::later(self.now(), patience);
        let agenda = if waits { agenda.map(|at| at.max(patience)) } else { agenda };
        let probe = self.probe_due().map(|at| at.max(soon));
        let given_up = self.next_word_of_given_up()?;
        Ok(agenda.into_iter().chain(mail).chain(probe).chain(given_up).min())
    }

    /// Does what is due. Level-triggered: it looks at what is due, whatever woke it. Stops after some
    /// copies of a notice, so that couriers are on their way with them while the next are sealed;
    /// `true` when it did, and there may be more.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn work_due(&mut self) -> Result<bool, Fault> {
        let now = self.now();
        if !self.has_room()? {
            self.write_heart(now)?;
            return Ok(false);
        }
        if !self.may_decide() {
            self.write_heart(now)?;
            if self.held().is_none() {
                self.tell_how_it_is(now)?;
            }
            return Ok(false);
        }
        self.look_at_the_server(now);
        self.tell_of_troubles(now)?;
        self.is_alive(now)?;
        self.tell_of_given_up(now)?;
        self.look_at_the_clock()?;
        self.send_clock_probe()?;
        let belief = self.belief();
        self.write_heart(now)?;
        self.tell_how_it_is(now)?;
        self.tell_of_the_witness(now)?;
        let digest = self.desk.waitlist.due(self.desk.settings.zone, self.desk.settings.quiet_days);
        if digest.is_some_and(|at| at <= now) {
            let decision = digest::digest(&self.desk, now, self.entropy.fresh()?);
            self.carry_out(decision, Cause::Time)?;
        }
        self.open_what_is_wanted(now)?;
        // What people are told because a day has come is not told on a day that may be another.
        if belief != Belief::Doubted {
            self.care_for_people(now)?;
        }
        let desk = &self.desk;
        self.idle.retain(|handle, _| desk.is_due(handle, now));
        for handle in self.desk.due(now) {
            if self.waits_still(&handle, belief, now) {
                continue;
            }
            // A bound, since a rule that never rests must not stop the others.
            for _ in 0..10_000 {
                if self.witness_is_readable().is_ok() {
                    let waited =
                        command_mail::waited(&self.desk, &handle, now, self.entropy.fresh()?);
                    self.carry_out_if_any(waited)?;
                }
                let decision = time::due(&self.desk, &handle, belief, now, self.entropy.fresh()?);
                if decision.entries.is_empty() {
                    self.idle.insert(handle, (belief, now));
                    break;
                }
                let copies =
                    decision.mails.iter().any(|mail| matches!(mail.words, Words::Frozen { .. }));
                self.carry_out(decision, Cause::Time)?;
                if copies {
                    return Ok(true);
                }
                if !self.desk.is_due(&handle, now) {
                    break;
                }
            }
        }
        Ok(false)
    }

    /// Whether what is due on an incident was just found to wait for another moment: a notice for the clock to be
    /// vouched for, above all. Nothing was said of it since, and the clock is trusted as it was.
    fn waits_still(&self, handle: &Handle, belief: Belief, now: Moment) -> bool {
        let idle = self.idle.get(handle);
        let found = idle.filter(|(then, at)| *then == belief && now >= *at);
        found.is_some_and(|(_, at)| now < names::later(*at, LOOKS_AROUND))
    }

    /// What is due for members and for keys, and who has missed what.
    fn care_for_people(&mut self, now: Moment) -> Result<(), Fault> {
        for id in self.desk.people_due(now) {
            let decision = membership::due(&self.desk, &id, now, self.entropy.fresh()?);
            self.carry_out(decision, Cause::Time)?;
        }
        if cares::own_key_due(&self.desk).is_some_and(|at| at <= now) {
            let decision = membership::own_key(&self.desk, now, self.entropy.fresh()?);
            self.carry_out(decision, Cause::Time)?;
        }
        self.let_catch_up(now)
    }

    /// Writes down now and then that the desk runs, so that the next start knows how long it did not.
    fn is_alive(&mut self, now: Moment) -> Result<(), Fault> {
        if self.alive.is_none_or(|at| now >= names::later(at, ALIVE_EVERY) || now < at) {
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
        let Some(down_since) =
            alive.max(self.trust.sure()).filter(|at| now > names::later(*at, OUTAGE))
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

    /// How far the clock may be trusted now; notices wait for a readable witness of the journal as well.
    pub(super) fn belief(&mut self) -> Belief {
        let now = self.now();
        let probe = self.clock_probe.vouch(now);
        let wrong = self.doubt.as_ref().map(Doubt::say).or_else(|| probe.clone().err());
        self.ail(Ailment::Clock, wrong.clone());
        let waits = self.clock_probe.missing(now).map(|_| String::new());
        let since = self.clock_probe.missing(now);
        self.ail_since(Ailment::Probe, waits, since);
        match probe {
            // A mail server that is off by minutes holds notices, and no reminder.
            Err(_) if self.doubt.is_none() && !self.clock_probe.is_far => Belief::Unproven,
            _ if wrong.is_some() => Belief::Doubted,
            Ok(true) => {
                self.trust.is_sure(now);
                if self.witness_is_readable().is_ok() { Belief::Sure } else { Belief::Unproven }
            }
            Ok(false) | Err(_) => Belief::Unproven,
        }
    }
}

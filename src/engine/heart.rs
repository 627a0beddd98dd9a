//! How the desk is: gathered from whoever sees something of it, written down for those who look from
//! outside, and told to the operators.

use crate::domain::decide::time;
use crate::domain::facts::event::Event;
use crate::domain::facts::heart::{Ailment, Heart, Look};
use crate::domain::facts::names::{Moment, Span, later};
use crate::domain::views::health;
use crate::engine::commit::Cause;
use crate::engine::{Engine, lock};
use crate::error::Fault;
use crate::ports::store::{Note, Store};

/// It is written so often at least.
const BEATS: Span = Span::minutes(1);
/// A clock that goes back by more was set back.
const SET_BACK: Span = Span::minutes(1);
/// A mail that could have left for so long is worth counting.
const OVERDUE: Span = Span::minutes(1);

/// Reads how the desk of a store was when it last wrote that down; nothing where it never has, or in a form
/// that this version does not know.
///
/// # Errors
/// When the store cannot be read.
pub fn heart_of(store: &dyn Store) -> Result<Option<Heart>, Fault> {
    Ok(store.note(Note::Heart)?.and_then(|text| serde_json::from_str(&text).ok()))
}

impl Engine {
    /// How the desk is.
    #[must_use]
    pub fn heart(&self) -> &Heart {
        &self.heart
    }

    /// Takes in what it was before this start, and begins anew.
    pub(super) fn wake(&mut self, version: &str) -> Result<(), Fault> {
        let before = heart_of(lock(&self.store).store.as_ref())?.unwrap_or_default();
        let now = self.now();
        self.heart = Heart { version: version.to_owned(), started: Some(now), ..before };
        // What is found out anew at once.
        for ailment in [
            Ailment::Server,
            Ailment::Clock,
            Ailment::Disk,
            Ailment::Mailbox,
            Ailment::Figures,
            Ailment::Heartbeat,
        ] {
            self.heart.set(ailment, None, now);
        }
        self.heart.not_after(now);
        self.heart.folders.clear();
        Ok(())
    }

    /// Mail comes to this folder, which is looked at so often.
    pub fn looks_every(&mut self, folder: &str, every_s: u64) {
        folder.clone_into(&mut self.main_folder);
        self.heart.full_look_s = every_s;
        self.looks_at(&[folder.to_owned()]);
    }

    /// The folders that are looked at from here on.
    pub(super) fn looks_at(&mut self, folders: &[String]) {
        let new = || Look { from: self.now(), ended: None };
        let look = |name: &String| {
            let known = self.heart.folders.get(name).cloned();
            (name.clone(), known.unwrap_or_else(new))
        };
        self.heart.folders = folders.iter().map(look).collect();
    }

    /// Something is wrong, or well again. News are written down at once.
    pub fn ail(&mut self, ailment: Ailment, why: Option<String>) {
        self.ail_since(ailment, why, None);
    }

    /// The same, since a moment other than now.
    pub(super) fn ail_since(
        &mut self,
        ailment: Ailment,
        why: Option<String>,
        since: Option<Moment>,
    ) {
        let since = since.unwrap_or_else(|| self.now());
        if self.heart.set(ailment, why, since) {
            self.beat = None;
        }
    }

    /// From here on a mail to ourselves is sent each day.
    pub fn probes_daily(&mut self) {
        self.probes_daily = true;
    }

    /// Writes down how the desk is at its end.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn rest(&mut self) -> Result<(), Fault> {
        self.beat = None;
        self.write_heart(self.now())
    }

    /// Writes down how the desk is, if that has changed or a minute has passed.
    pub(super) fn write_heart(&mut self, now: Moment) -> Result<(), Fault> {
        let is_due = |at: Moment| now >= later(at, BEATS) || now < at;
        if !self.beat.is_none_or(is_due) {
            return Ok(());
        }
        {
            let mut store = lock(&self.store);
            if store.note(Note::MissedSeen)?.is_some() {
                self.heart.missed.values_mut().for_each(|missed| missed.count = 0);
                store.set_note(Note::MissedSeen, None)?;
            }
            self.heart.room = store.room()?;
            self.heart.waits = store.overdue(later(now, -OVERDUE))?;
            self.heart.unopened = store.unopened()?;
        }
        // While nothing may be decided nothing is opened, and that is told apart.
        self.decides = self.may_decide().then(|| self.decides.unwrap_or(now));
        let since = self.decides;
        self.heart.unopened = self.heart.unopened.zip(since).map(|(at, since)| at.max(since));
        let unwitnessed = lock(&self.store).unwitnessed();
        self.heart.set(Ailment::Unwitnessed, unwitnessed, now);
        self.heart.sure = self.trust.sure();
        self.heart.beat = Some(now);
        let text = serde_json::to_string(&self.heart)
            .map_err(|error| Fault::new(format!("how the desk is: {error}"), ""))?;
        let written = lock(&self.store).set_note(Note::Heart, Some(&text));
        match written {
            Ok(()) => self.beat = Some(now),
            // There may be no room for this either; that there is none was said.
            Err(fault) if self.heart.down.contains_key(&Ailment::Disk) => {
                tracing::error!(
                    event = "heart.unwritten",
                    why = fault.what,
                    "How the desk is cannot be written down."
                );
                self.beat = Some(now);
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// Mails the operators what is wrong with the desk, and what is over.
    pub(super) fn tell_how_it_is(&mut self, now: Moment) -> Result<(), Fault> {
        let Some(words) = health::words(&mut self.heart, now) else { return Ok(()) };
        self.beat = None;
        let decision = time::how_the_desk_is(&self.desk, &words, now, self.entropy.fresh()?);
        self.carry_out(decision, Cause::Time)
    }

    /// Looks whether the clock is believed, and takes in what follows where that has changed.
    pub(super) fn look_at_the_clock(&mut self) -> Result<(), Fault> {
        let reading = self.clock.reading();
        let mut doubt = self.trust.look(reading).err();
        let kind = |doubt: &Option<_>| doubt.as_ref().map(std::mem::discriminant);
        let begins = doubt.is_some() && self.doubt.is_none();
        // The operator's word is about the doubt that stands. One that was said before this doubt began, or that a
        // start finds where there is none, is for nothing that comes later.
        let is_start = !std::mem::replace(&mut self.has_seen_clock, true);
        self.look_at_what_was_put_off(reading.wall, is_start)?;
        if is_start != begins {
            lock(&self.store).set_note(Note::ClockWord, None)?;
        }
        if begins {
            // What was said before the clock was set says nothing of it now.
            self.trust.asks_again();
            self.clock_probe.forget();
            doubt = self.trust.look(reading).err();
        }
        let is_new = kind(&doubt) != kind(&self.doubt);
        if is_new && let Some(doubt) = &doubt {
            tracing::error!(
                event = "clock.doubted",
                why = doubt.say(),
                "The clock is not believed; notices are held."
            );
        }
        if doubt.is_none() && self.doubt.is_some() {
            tracing::info!(event = "clock.believed", "The clock is believed again.");
            self.clock_was_wrong(reading.wall)?;
        }
        self.doubt = doubt;
        self.hear_the_operator()
    }

    /// Where the clock was set back, also while nobody ran, what was put off by it waits for a moment of a time that
    /// is over: it goes now, whatever is believed of the clock. Notices are held as long as it is doubted.
    fn look_at_what_was_put_off(&mut self, now: Moment, is_start: bool) -> Result<(), Fault> {
        let before = self.wall_seen.replace(now);
        let before = if is_start { lock(&self.store).alive()? } else { before };
        if before.is_none_or(|before| now > later(before, -SET_BACK)) {
            return Ok(());
        }
        self.pace = self.pace.anew();
        self.beat = None;
        self.heart.not_after(now);
        lock(&self.store).let_go(now, true).map(drop)
    }

    /// What was noted by a clock that was wrong may lie in a future that never comes: mails that were put off,
    /// what was last done when. All of it is looked at anew.
    pub(super) fn clock_was_wrong(&mut self, now: Moment) -> Result<(), Fault> {
        self.pace = self.pace.anew();
        self.beat = None;
        self.clock_probe.forget();
        if self.witness.mailed.is_some_and(|(at, _)| at > now) {
            self.witness.mailed = None;
        }
        self.heart.not_after(now);
        let mut store = lock(&self.store);
        store.set_alive(now)?;
        store.let_go(now, true).map(drop)
    }

    /// A word about the clock that the operator left for the running desk.
    fn hear_the_operator(&mut self) -> Result<(), Fault> {
        let Some(doubt) = self.doubt.clone().filter(|_| self.may_decide()) else { return Ok(()) };
        if lock(&self.store).note(Note::ClockWord)?.is_none() {
            return Ok(());
        }
        let reading = self.clock.reading();
        if !self.trust.believe(reading) {
            return Ok(());
        }
        tracing::warn!(
            event = "clock.trusted",
            why = doubt.say(),
            "The operator says that the clock is right."
        );
        self.doubt = None;
        self.clock_was_wrong(reading.wall)?;
        let decision =
            time::desk_fact(&self.desk, Event::ClockTrusted, reading.wall, self.entropy.fresh()?);
        self.carry_out(decision, Cause::Time)?;
        lock(&self.store).set_note(Note::ClockWord, None)
    }
}

//! What people do, and what goes wrong.

use embargod::domain::facts::names::{Moment, Span};

use super::{Event, Run};
use crate::simulation::debts::Debts;
use crate::simulation::oracle::{Broken, Holds};
use crate::simulation::people::{Say, address, card_of};
use crate::simulation::plan::{Act, Attack, Fault, How, LIST, TEAM};
use crate::simulation::store::Plan;
use crate::simulation::vault::{Inbound, Outbound};

impl Run {
    pub(super) fn reads(&mut self, who: &str, mail: &Outbound) {
        let says = self.people.read(who, mail);
        for say in says {
            self.after(say.after, Event::Says(say));
        }
    }

    pub(super) fn says(&mut self, say: &Say) {
        let mut mail = self.people.signed(&say.who, &say.handle, &say.text, self.now);
        mail.answers.clone_from(&say.answers);
        self.writes(&say.who, &say.handle, &say.text, mail);
    }

    /// A mail of somebody who may be believed is on its way.
    fn writes(&mut self, who: &str, handle: &str, text: &str, mail: Inbound) {
        self.tell(|| {
            format!("{who} writes on {handle}: {} ({})", text.replace('\n', " ; "), mail.id)
        });
        self.oracle.hears(&mail.id, who, handle, text, self.now);
        let is_team = TEAM.contains(&who) || who == "uma";
        if is_team && text.starts_with('/') && !self.away.contains(who) {
            self.owes(|debts, now| debts.answer(&mail.id, who, now));
        }
        let way = self.dice(&mail.id).between(1, 60) as i64;
        self.brings(Span::seconds(way), &mail);
    }

    pub(super) fn owes(&mut self, owe: impl FnOnce(&mut Debts, Moment) -> Option<Moment>) {
        if let Some(at) = owe(&mut self.debts, self.now) {
            self.at(at, Event::Owed);
        }
    }

    pub(super) fn act(&mut self, act: Act) -> Holds {
        match act {
            Act::Says { who, case, text } => self.team_says(who, case, &text, 0),
            Act::Report { case, how } => self.stranger_reports(case, how),
            Act::Writes { case, text } => self.reporter_writes(case, &text),
            Act::AtDesk { who, text } => self.writes_at_desk(who, &text),
            Act::Attack { case, how } => self.attack(case, how),
            Act::Noise { mails, automatic } => {
                for n in 0..mails {
                    let who = format!("spam{n}");
                    let mut mail = self.people.mail(&who, "Buy this now, it is cheap.".to_owned());
                    mail.automatic = automatic;
                    self.brings(Span::seconds(i64::from(n)), &mail);
                }
            }
            Act::Fault { what, minutes } => self.breaks(what, minutes),
            Act::Stop { calls, after, minutes } => {
                self.debts.trouble(self.now + Span::minutes(i64::from(minutes)));
                self.store.plan(if after {
                    Plan::StopAfter(calls)
                } else {
                    Plan::StopBefore(calls)
                });
            }
            Act::Restart { in_order, minutes } => {
                self.tell(|| format!("the desk stops, in order: {in_order}"));
                if let (true, Some(engine)) = (in_order, &mut self.engine) {
                    engine.call_back();
                    let ended = engine.rest().and_then(|()| engine.write_out());
                    if let Err(fault) = ended {
                        return self.stopped(&fault);
                    }
                }
                self.fall(Span::minutes(i64::from(minutes)));
            }
            Act::Clock { seconds, minutes } => {
                let by = Span::seconds(seconds);
                self.tell(|| format!("the clock is set by {seconds} s"));
                self.clock.step(by);
                self.skew += by;
                let until = self.now + Span::minutes(i64::from(minutes));
                self.debts.trouble(until);
                self.at(until, Event::Right);
            }
            Act::Snapshot => self.snapshot = Some(self.store.copy()),
            Act::RollBack { minutes } => self.roll_back(minutes),
            Act::Roster { who, there } => {
                // Whoever is let go is a stranger from then on, also with what they wrote before.
                self.debts.excuse(who, self.now);
                let _ = if there { self.away.remove(who) } else { self.away.insert(who) };
            }
        }
        Ok(())
    }

    fn stranger_reports(&mut self, case: u32, how: How) {
        let who = format!("r{case}");
        let text = format!("Something overflows. SECRET-{case}.");
        self.tell(|| format!("{who} reports ({how:?})"));
        let mut mail = self.people.mail(&who, text);
        let card = card_of(&who);
        self.oracle.owns(card.fingerprint.clone(), &who);
        (mail.sealed, mail.damaged) = (how.sealed, how.damaged);
        mail.key = how.key.map(|_| card.text());
        mail.beside = how.key == Some(false);
        mail.signer = how.signed.then(|| (card.fingerprint.clone(), self.now));
        self.owes(|debts, now| debts.acknowledgement(&who, now));
        if how.sealed && !how.damaged {
            let away = self.away.clone();
            let there = TEAM.into_iter().filter(|who| !away.contains(who));
            self.owes(|debts, now| debts.report(case, there, now));
        }
        self.captured.entry(case).or_default().push(mail.clone());
        self.brings(Span::seconds(7), &mail);
    }

    fn writes_at_desk(&mut self, who: &'static str, text: &str) {
        let Some(engine) = &self.engine else { return };
        let handle = engine.desk().own_handle().to_string();
        if !self.away.contains(who) {
            let mail = self.people.signed(who, &handle, text, self.now);
            self.writes(who, &handle, text, mail);
        }
    }

    /// Once they know of it; until then they try later.
    pub(super) fn team_says(&mut self, who: &'static str, case: u32, text: &str, tries: u32) {
        let Some(handle) = self.people.handle(case).map(ToOwned::to_owned) else { return };
        let knows = self.people.knows(who, &handle);
        let is_team = TEAM.contains(&who) && text.starts_with('/');
        if self.away.contains(who) || (!knows && !is_team) {
            // Whoever is not brought in yet waits for it.
            if tries < 12 && !self.away.contains(who) {
                let later = Act::Says { who, case, text: text.to_owned() };
                self.after(Span::hours(8), Event::Again(later, tries + 1));
            }
            return;
        }
        let mut mail = self.people.signed(who, &handle, text, self.now);
        mail.answers =
            self.people.newest(who, &handle).map(ToOwned::to_owned).into_iter().collect();
        self.captured.entry(case).or_default().push(mail.clone());
        self.writes(who, &handle, text, mail);
    }

    fn reporter_writes(&mut self, case: u32, text: &str) {
        let who = format!("r{case}");
        let Some(handle) = self.people.handle(case).map(ToOwned::to_owned) else { return };
        if !self.people.knows(&who, &handle) {
            return;
        }
        self.tell(|| format!("{who} writes again: {text}"));
        let mut mail = self.people.signed(&who, &handle, text, self.now);
        mail.signer = Some((card_of(&who).fingerprint, self.now));
        mail.key = Some(card_of(&who).text());
        mail.answers =
            self.people.newest(&who, &handle).map(ToOwned::to_owned).into_iter().collect();
        self.brings(Span::seconds(5), &mail);
    }

    fn attack(&mut self, case: u32, how: Attack) {
        let Some(handle) = self.people.handle(case).map(ToOwned::to_owned) else { return };
        let mut dice = self.dice("attack");
        let who = *dice.one(&TEAM);
        let forged = format!("/title FORGED-{case}");
        let old = self.captured.get(&case).cloned().unwrap_or_default();
        let mut mail = self.people.signed(who, &handle, &forged, self.now);
        match how {
            Attack::Unsigned => mail.signer = None,
            Attack::OwnKey => {
                let thief = card_of("r999999");
                mail.signer = Some((thief.fingerprint.clone(), self.now));
                mail.key = Some(thief.text());
            }
            Attack::Replay | Attack::Rewrapped => {
                let of_team =
                    old.iter().filter(|mail| mail.signer.is_some() && mail.text.starts_with('/'));
                let all: Vec<&Inbound> = of_team.collect();
                if all.is_empty() {
                    return;
                }
                // What is too old by itself shows nothing of whether it counts twice.
                let is_new = |mail: &&&Inbound| {
                    let made = mail.signer.as_ref().map(|(_, made)| *made);
                    made.is_some_and(|made| self.now - made < Span::hours(20))
                };
                let new: Vec<&Inbound> = all.iter().filter(is_new).copied().collect();
                let before = (*dice.one(if new.is_empty() { &all } else { &new })).clone();
                let id = mail.id.clone();
                mail = before;
                mail.id = id;
                if how == Attack::Rewrapped {
                    mail.session = dice.next();
                }
            }
            Attack::Old => mail.signer = mail.signer.map(|(key, at)| (key, at - Span::days(3))),
            Attack::InClear => mail.sealed = false,
            Attack::Member => {
                mail =
                    self.people.signed(dice.one::<&'static str>(&LIST), &handle, &forged, self.now)
            }
            Attack::Thief => {
                let Some(report) = old.into_iter().next().filter(|mail| mail.sealed) else {
                    return;
                };
                let thief = card_of("r999999");
                self.oracle.owns(thief.fingerprint.clone(), "r999999");
                let id = mail.id.clone();
                let (from, key) = (address("r999999"), Some(thief.text()));
                mail = Inbound { id, from, key, beside: true, ..report };
            }
        }
        self.tell(|| format!("an attack on case {case}: {how:?}"));
        self.brings(Span::seconds(3), &mail);
    }

    fn breaks(&mut self, what: Fault, minutes: u32) {
        let until = self.now + Span::minutes(i64::from(minutes));
        self.tell(|| format!("{what:?} for {minutes} minutes"));
        self.debts.trouble(until);
        match what {
            Fault::Renumbered => {
                self.mailbox.number_anew();
                self.after(Span::seconds(1), Event::Look);
            }
            Fault::DiskFull => self.store.set_room(1 << 20),
            // What was refused for good is given up, and people are told.
            Fault::Refuses(who) => self.debts.excuse(who, until + Span::hours(9)),
            Fault::MailboxAway
            | Fault::CutsBeforeMark
            | Fault::CutsAfterMark
            | Fault::Doubles
            | Fault::Hides
            | Fault::ServerAway
            | Fault::PutsOff
            | Fault::RefusesAll
            | Fault::NotLetIn
            | Fault::AnswerLost
            | Fault::LastByteLost
            | Fault::Slow
            | Fault::Repeats
            | Fault::Late => {}
        }
        self.troubles.add(what, until);
        self.at(until, Event::Well);
        if what == Fault::MailboxAway {
            self.after(Span::seconds(1), Event::Look);
        }
    }

    fn roll_back(&mut self, minutes: u32) {
        let Some(copy) = self.snapshot.take() else { return };
        self.tell(|| "an older copy of the disk is put in place".to_owned());
        self.engine = None;
        self.store.stop();
        self.newest = Some(self.store.copy());
        let newest = self.store.durable_head();
        self.store.put_back(&copy);
        self.rolled_back = self.store.durable_head() != newest;
        self.fall(Span::minutes(1));
        let until = self.now + Span::minutes(i64::from(minutes) + 2);
        self.debts.trouble(until);
        self.at(until, Event::Newest);
    }

    pub(super) fn put_newest_back(&mut self) -> Holds {
        // Where no line was lost and the desk goes on, what it has done since is all that there is. Mails that were
        // lost it may find out as well, by those in its mailbox.
        let is_held = self.engine.as_ref().is_some_and(|engine| engine.held().is_some());
        if let Some(newest) = self.newest.take().filter(|_| self.rolled_back || is_held) {
            if let Some(engine) = &self.engine
                && engine.held().is_none()
                && self.rolled_back
            {
                let what = "an older copy of the disk runs as if it were the newest".to_owned();
                return Err(Broken { promise: 9, what });
            }
            self.tell(|| "the newest disk is put back".to_owned());
            self.engine = None;
            self.store.stop();
            self.store.put_back(&newest);
            self.fall(Span::minutes(1));
        }
        Ok(())
    }
}

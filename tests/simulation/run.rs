//! A desk over months: the real engine, and around it everything that is not the engine, one event after the other.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt;

use embargod::domain::facts::names::{Moment, Span};
use embargod::domain::outgoing::verdict::{Outcome, Stage};
use embargod::engine::{Engine, Heard};
use embargod::error::Fault as Failure;
use embargod::ports::store::{CALLED_BACK, Outgoing};

mod acts;
mod mailbox;

use super::debts::Debts;
use super::dice::{Dice, number};
use super::oracle::{Broken, Holds, Oracle};
use super::people::{People, Say};
use super::plan::{Act, Fault, LIST, Step};
use super::real::Real;
use super::servers::{Mailbox, Troubles};
use super::store::{Copied, Memory};
use super::vault::{Glass, Inbound, Outbound};
use super::world::{Draws, HandClock, begin, own, sources};

/// What is to happen.
enum Event {
    Act(Act),
    Again(Act, u32),
    Arrives(Vec<u8>),
    Look,
    /// Unless there was another since.
    FullLook,
    Send(Vec<Outgoing>),
    Answers(Vec<(Outgoing, Outcome)>),
    Reads(String, Box<Outbound>),
    Says(Say),
    Wake,
    Start,
    /// The clock is right again.
    Right,
    /// The newest disk is put back.
    Newest,
    /// A trouble ends.
    Well,
    Owed,
    /// A notice should have left.
    Promised,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    /// Days that an incident was open, over all of them.
    pub(crate) incident_days: f64,
    pub(crate) incidents: usize,
    pub(crate) mails_in: u64,
    pub(crate) mails_out: u64,
    pub(crate) starts: u64,
    pub(crate) turns: u64,
    pub(crate) notices: u64,
    /// Calls that wrote, since the last stop that was planned.
    pub(crate) writes: u64,
}

impl Sum {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            incident_days: self.incident_days + other.incident_days,
            incidents: self.incidents + other.incidents,
            mails_in: self.mails_in + other.mails_in,
            mails_out: self.mails_out + other.mails_out,
            starts: self.starts + other.starts,
            turns: self.turns + other.turns,
            notices: self.notices + other.notices,
            writes: self.writes + other.writes,
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { incidents, mails_in, mails_out, starts, turns, notices, .. } = self;
        write!(
            f,
            "incidents {incidents}, mails in {mails_in}, out {mails_out} (copies of notices {notices}), starts {starts}, turns {turns}"
        )
    }
}

/// A history is so long.
pub(crate) const DAYS: u32 = 150;

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) sum: Sum,
    pub(crate) broken: Option<Broken>,
    pub(crate) story: Vec<String>,
}

/// A look at the whole mailbox whatever is new: seldom, for what it costs.
const FULL_LOOK_S: u64 = 6 * 3_600;
/// The longest that the desk sleeps here: what it does each half minute does not matter in between.
const SLEEP_MAX: Span = Span::hours(12);

pub(crate) struct Run {
    seed: u64,
    /// The true time; the desk's wall clock may say otherwise.
    now: Moment,
    skew: Span,
    clock: HandClock,
    store: Memory,
    engine: Option<Engine>,
    /// Counts the starts; what belongs to an earlier one is not heard any more.
    life: u64,
    queue: BinaryHeap<Reverse<(Moment, u64)>>,
    events: BTreeMap<u64, (u64, Event)>,
    drawn: u64,
    heard: Vec<Heard>,
    wake_at: Option<Moment>,
    watches: bool,
    looks: u64,
    next_look: Moment,
    pub(super) mailbox: Mailbox,
    troubles: Troubles,
    people: People,
    pub(super) oracle: Oracle,
    debts: Debts,
    away: BTreeSet<&'static str>,
    snapshot: Option<Copied>,
    newest: Option<Copied>,
    /// Whether the copy in its place lacks anything.
    rolled_back: bool,
    /// Mails that counted, by who wrote them and about what.
    captured: BTreeMap<u32, Vec<Inbound>>,
    sum: Sum,
    counted: Moment,
    story: Option<Vec<String>>,
    /// Lines of the journal that were looked at.
    seen: usize,
    /// Opens and seals in earnest.
    real: Option<Real>,
    /// What was sealed, by its row: nobody can look into the bytes afterwards.
    sealed: BTreeMap<i64, String>,
}

/// Plays a plan.
pub(crate) fn play(seed: u64, steps: &[Step], days: u32, tells: bool) -> Ended {
    played(Run::new(seed, tells), steps, days)
}

/// The same with real OpenPGP.
pub(crate) fn play_in_earnest(seed: u64, steps: &[Step], days: u32, tells: bool) -> Ended {
    let mut run = Run::new(seed, tells);
    run.real = Some(Real::new());
    played(run, steps, days)
}

fn played(mut run: Run, steps: &[Step], days: u32) -> Ended {
    for step in steps {
        let at = begin() + Span::minutes(i64::from(step.at));
        run.at(at, Event::Act(step.act.clone()));
    }
    let end = begin() + Span::days(i64::from(days));
    let broken = run.until(end).err();
    run.sum.incidents = run.oracle.handles.len();
    run.sum.writes = run.store.writes();
    Ended { sum: run.sum, broken, story: run.story.unwrap_or_default() }
}

impl Run {
    fn new(seed: u64, tells: bool) -> Self {
        let clock = HandClock::at(begin());
        let mut run = Self {
            seed,
            now: begin(),
            skew: Span::zero(),
            clock,
            store: Memory::new(begin(), seed),
            engine: None,
            life: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            drawn: 0,
            heard: Vec::new(),
            wake_at: None,
            watches: false,
            looks: 0,
            next_look: begin(),
            mailbox: Mailbox::new(),
            troubles: Troubles::default(),
            people: People::new(seed),
            oracle: Oracle::new(),
            debts: Debts::new(begin()),
            away: BTreeSet::new(),
            snapshot: None,
            newest: None,
            rolled_back: false,
            captured: BTreeMap::new(),
            sum: Sum::default(),
            counted: begin(),
            story: tells.then(Vec::new),
            seen: 0,
            real: None,
            sealed: BTreeMap::new(),
        };
        run.at(begin(), Event::Start);
        run
    }

    fn at(&mut self, at: Moment, event: Event) {
        self.drawn += 1;
        self.events.insert(self.drawn, (self.life, event));
        self.queue.push(Reverse((at.max(self.now), self.drawn)));
    }

    fn after(&mut self, span: Span, event: Event) {
        self.at(self.now + span, event);
    }

    fn dice(&mut self, what: &str) -> Dice {
        Dice::of(&[self.seed, 9, number(what), self.now.timestamp_millis() as u64])
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{}  {}", self.now.format("%a %Y-%m-%d %H:%M:%S"), what()));
        }
    }

    fn until(&mut self, end: Moment) -> Holds {
        while let Some(Reverse((at, id))) = self.queue.pop() {
            if at > end {
                return Ok(());
            }
            let Some((life, event)) = self.events.remove(&id) else { continue };
            self.clock.pass(at - self.now);
            self.count(at);
            self.now = at;
            self.happens(life, event)?;
        }
        Ok(())
    }

    fn count(&mut self, until: Moment) {
        if (until - self.counted) < Span::hours(1) {
            return;
        }
        let days = (until - self.counted).num_minutes() as f64 / 1440.0;
        if let Some(engine) = &self.engine {
            self.sum.incident_days += days * engine.desk().open().count() as f64;
        }
        self.counted = until;
    }

    fn happens(&mut self, life: u64, event: Event) -> Holds {
        let is_now = life == self.life;
        match event {
            Event::Act(act) => self.act(act)?,
            Event::Again(Act::Says { who, case, text }, tries) => {
                self.team_says(who, case, &text, tries);
                return Ok(());
            }
            Event::Again(..) => return Ok(()),
            Event::Arrives(bytes) => self.arrives(bytes),
            Event::Look => self.look()?,
            Event::FullLook if self.next_look > self.now || !is_now => return Ok(()),
            Event::FullLook => self.look()?,
            Event::Send(rows) if is_now => self.send(rows)?,
            Event::Answers(done) if is_now => self.heard.push(Heard::Settled(done)),
            Event::Send(_) | Event::Answers(_) => return Ok(()),
            Event::Reads(who, mail) => {
                self.reads(&who, &mail);
                return Ok(());
            }
            Event::Says(say) => {
                self.says(&say);
                return Ok(());
            }
            Event::Wake => {
                if self.wake_at != Some(self.now) {
                    return Ok(());
                }
                self.wake_at = None;
            }
            Event::Start => self.start()?,
            Event::Right => {
                self.clock.step(-self.skew);
                self.skew = Span::zero();
                self.tell(|| "the clock is right again".to_owned());
            }
            Event::Newest => self.put_newest_back()?,
            Event::Well => {
                self.troubles.forget(self.now);
                if !self.troubles.has(Fault::DiskFull, self.now) {
                    self.store.set_room(1 << 40);
                }
                self.after(Span::seconds(20), Event::Look);
            }
            Event::Promised => {
                let debts = &self.debts;
                let excused = |who: &str, now| debts.is_excused(who, now);
                if let Some(next) = self.oracle.owes(self.now, debts.patience(), excused)? {
                    self.at(next, Event::Promised);
                }
                return Ok(());
            }
            Event::Owed => {
                let (store, sealed) = (&self.store, &self.sealed);
                let told = |to: &str, words: &str| {
                    let says = |row| sealed.get(&row).is_some_and(|text| text.contains(words));
                    store.has_told_of(to, words) || store.told(to).into_iter().any(says)
                };
                if let Some(next) = self.debts.due(self.now, told)? {
                    self.at(next, Event::Owed);
                }
                return Ok(());
            }
        }
        self.turn()
    }

    // ---- The desk ---------------------------------------------------------------------------------

    /// What an error of the desk's means: it was stopped, or it stopped by itself.
    fn stopped(&mut self, fault: &Failure) -> Holds {
        if self.store.is_stopped() {
            self.tell(|| "the machine stops at a call that writes".to_owned());
            let minutes = self.dice("down").between(1, 200) as i64;
            self.fall(Span::minutes(minutes));
            return Ok(());
        }
        Err(Broken { promise: 0, what: format!("the desk stopped by itself: {}", fault.line()) })
    }

    /// The desk is not there for a while.
    fn fall(&mut self, down: Span) {
        self.engine = None;
        self.store.stop();
        self.life += 1;
        self.heard.clear();
        self.wake_at = None;
        self.debts.trouble(self.now + down);
        self.after(down, Event::Start);
    }

    fn start(&mut self) -> Holds {
        if self.engine.is_some() {
            return Ok(());
        }
        self.life += 1;
        self.sum.starts += 1;
        self.oracle.starts_without(&self.away);
        let draws = Draws::from(Dice::of(&[self.seed, 10, self.life]).next());
        let (store, clock) = (Box::new(self.store.clone()), Box::new(self.clock.clone()));
        let sources = sources(&self.away);
        let begun = match &mut self.real {
            None => {
                let glass = Box::new(Glass::new(own()));
                Engine::with_vault(store, glass, &sources, clock, Box::new(draws))
            }
            Some(real) => {
                let sources = real.sources(sources);
                Engine::start(store, real.keyring(), &sources, clock, Box::new(draws))
            }
        };
        let mut engine = match begun {
            Ok(engine) => engine,
            Err(fault) => return self.stopped(&fault),
        };
        engine.await_mailbox();
        engine.probes_daily();
        engine.looks_every("INBOX", FULL_LOOK_S);
        engine.gathers();
        self.watches = false;
        self.engine = Some(engine);
        self.tell(|| "the desk starts".to_owned());
        self.after(Span::seconds(1), Event::Look);
        Ok(())
    }

    /// Everything that the desk does at once.
    fn turn(&mut self) -> Holds {
        for n in 0.. {
            let Some(engine) = &mut self.engine else { return Ok(()) };
            let heard = std::mem::take(&mut self.heard);
            self.sum.turns += 1;
            let turn = match engine.turn(heard, 64) {
                Ok(turn) => turn,
                Err(fault) => return self.stopped(&fault),
            };
            if !turn.hand_over.is_empty() {
                let soon = Span::milliseconds(self.dice("send").between(2, 400) as i64);
                self.after(soon, Event::Send(turn.hand_over));
            }
            if !turn.more {
                break;
            }
            if n > 10_000 {
                return Err(Broken {
                    promise: 0,
                    what: "the desk does not come to rest".to_owned(),
                });
            }
        }
        let Some(engine) = &self.engine else { return Ok(()) };
        let (touched, lines) = self.store.touched(self.seen);
        let is_older = self.rolled_back && self.newest.is_some();
        if self.seen != lines && !is_older {
            // After a stop the history is shorter, and everything is looked at.
            let all = || engine.desk().all().map(|incident| incident.handle.clone()).collect();
            let touched = if lines < self.seen {
                self.oracle.forgets();
                all()
            } else {
                touched
            };
            self.seen = lines;
            self.oracle.looks(engine.desk(), &touched, self.now)?;
        }
        let next = match engine.next_due() {
            Ok(next) => next,
            Err(fault) => return self.stopped(&fault),
        };
        if let Some(at) = self.oracle.new_promise() {
            self.at(at, Event::Promised);
        }
        let wall = self.now + self.skew;
        let wait = next.map_or(SLEEP_MAX, |next| next - wall);
        let wait = wait.max(Span::milliseconds(20)).min(SLEEP_MAX);
        let at = self.now + wait;
        if self.wake_at != Some(at) {
            self.wake_at = Some(at);
            self.at(at, Event::Wake);
        }
        Ok(())
    }

    // ---- The mail server --------------------------------------------------------------------------

    fn send(&mut self, rows: Vec<Outgoing>) -> Holds {
        let Some(engine) = &self.engine else { return Ok(()) };
        let shared = engine.store();
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let contents = Engine::in_flight(&shared, &ids);
        if self.store.is_stopped() {
            return self.stopped(&Failure::new("", ""));
        }
        let mut done: BTreeMap<Span, Vec<(Outgoing, Outcome)>> = BTreeMap::new();
        for (row, content) in rows.into_iter().zip(contents) {
            let bytes = match content.and_then(|content| content.whole()) {
                Ok(bytes) => bytes,
                Err(fault) => {
                    let what = match fault.what == CALLED_BACK {
                        true => Outcome::Untried,
                        false => Outcome::Never(fault.what),
                    };
                    done.entry(Span::zero()).or_default().push((row, what));
                    continue;
                }
            };
            let mail = match &self.real {
                None => Outbound::read(&bytes),
                Some(real) => real.read(&bytes),
            };
            let (after, outcome) = self.offered(&row, &mail, bytes)?;
            done.entry(after).or_default().push((row, outcome));
        }
        for (after, done) in done {
            self.after(after, Event::Answers(done));
        }
        Ok(())
    }

    /// The server has a mail before it.
    fn offered(
        &mut self,
        row: &Outgoing,
        mail: &Outbound,
        bytes: Vec<u8>,
    ) -> Result<(Span, Outcome), Broken> {
        let to = row.recipient.clone();
        if self.real.is_some() {
            let answers = mail.answers.as_deref().unwrap_or_default();
            let text = format!("{}\n{}\n\"answers\":\"{answers}\"", mail.subject, mail.body);
            self.sealed.insert(row.id, text);
        }
        let who = to.split('@').next().unwrap_or_default().to_owned();
        let mut dice = Dice::of(&[self.seed, 11, number(&mail.id), u64::from(row.attempts)]);
        let fate = self.troubles.offered(&who, self.now, &mut dice);
        let has_all = match &fate.heard {
            Outcome::Accepted(_) | Outcome::Unknown => true,
            Outcome::Said(stage, _) => *stage == Stage::Dot,
            Outcome::Broken(_) | Outcome::Never(_) | Outcome::Untried => false,
        };
        if mail.to != to {
            let what = format!("a mail for {} is handed over for {to}", mail.to);
            return Err(Broken { promise: 4, what });
        }
        if has_all {
            if !self.store.is_durably_in_flight(row.id) {
                let what = format!("{} leaves, and that is not durable", mail.subject);
                return Err(Broken { promise: 3, what });
            }
            self.sum.mails_out += 1;
            self.sum.notices += u64::from(LIST.contains(&who.as_str()));
            self.tell(|| format!("leaves to {to} ({:?}): {}", fate.heard, mail.subject));
            if let Some(engine) = &self.engine {
                self.oracle.sees(mail, self.now, engine.desk())?;
            }
        }
        for span in &fate.delivered {
            self.debts.delivered(&who, mail);
            if to == "security@desk.test" {
                let bytes = match &self.real {
                    None => bytes.clone(),
                    Some(real) => real.delivered(&bytes),
                };
                self.after(*span, Event::Arrives(bytes));
            } else {
                self.after(*span, Event::Reads(who.clone(), Box::new(mail.clone())));
            }
        }
        let is_refused =
            matches!(&fate.heard, Outcome::Said(Stage::To, said) if said.starts_with('5'));
        if is_refused && LIST.contains(&who.as_str()) && mail.key.is_some() {
            self.owes(|debts, now| debts.refusal(&who, &mail.id, now));
            self.oracle.refused(mail, &who);
        }
        if !fate.delivered.is_empty() && dice.percent(15) {
            self.reports(row, &mut dice);
        }
        if fate.slow {
            self.heard.push(Heard::Slow(row.id));
        }
        Ok((fate.after, fate.heard))
    }

    /// A server on the way reports of a mail.
    fn reports(&mut self, row: &Outgoing, dice: &mut Dice) {
        use embargod::domain::facts::letter::Fate;
        let mut mail = self.people.mail("mailer", String::new());
        mail.fate = Some(if dice.percent(90) { Fate::Delivered } else { Fate::Delayed });
        mail.token = Some(row.return_token.clone());
        mail.automatic = true;
        let after = Span::seconds(dice.between(2, 4_000) as i64);
        self.brings(after, &mail);
    }

    /// A mail is on its way to the desk.
    fn brings(&mut self, after: Span, mail: &Inbound) {
        let bytes = match &mut self.real {
            None => mail.bytes(),
            Some(real) => real.bytes(mail),
        };
        self.after(after, Event::Arrives(bytes));
    }
}

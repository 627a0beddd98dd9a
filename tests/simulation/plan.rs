//! What is to happen to a desk over months, drawn from a seed: each step stands by itself, so that a history that
//! fails can be made shorter by leaving steps out.

use std::fmt;

use chrono::{Datelike, Weekday};
use embargod::domain::facts::names::{Moment, Span};

use super::dice::Dice;
use super::world::begin;

/// One thing that happens, and after how many minutes.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) at: u32,
    pub(crate) act: Act,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Somebody whom nobody knows reports something.
    Report { case: u32, how: How },
    /// Somebody of the team writes about it.
    Says { who: &'static str, case: u32, text: String },
    /// Its reporter writes again.
    Writes { case: u32, text: String },
    /// Somebody writes about the desk itself.
    AtDesk { who: &'static str, text: String },
    /// Somebody tries to have the desk do what nobody said.
    Attack { case: u32, how: Attack },
    /// Offers, bounces and answers by machines.
    Noise { mails: u32, automatic: bool },
    /// Something is broken for so many minutes.
    Fault { what: Fault, minutes: u32 },
    /// The machine stops at one of the calls that write, and is back after so many minutes.
    Stop { calls: u64, after: bool, minutes: u32 },
    /// The program is killed, or stopped in order, and starts again.
    Restart { in_order: bool, minutes: u32 },
    /// The wall clock is set by so many seconds, and set right after so many minutes.
    Clock { seconds: i64, minutes: u32 },
    /// An older copy of the disk is put in place, and the newest put back after so many minutes.
    RollBack { minutes: u32 },
    /// The disk as it is now is kept aside, for a roll-back.
    Snapshot,
    /// Somebody of the team is taken out of the config, or put back.
    Roster { who: &'static str, there: bool },
}

/// How a report comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct How {
    pub(crate) sealed: bool,
    /// Whether its writer's certificate lies inside, outside, or nowhere.
    pub(crate) key: Option<bool>,
    pub(crate) signed: bool,
    /// It is sealed to us and does not open.
    pub(crate) damaged: bool,
}

/// What somebody tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attack {
    /// Sealed in somebody's name, and signed by nobody.
    Unsigned,
    /// In somebody's name, signed by a key that lies in the mail.
    OwnKey,
    /// A mail that counted, sent again as it was.
    Replay,
    /// The same in another seal.
    Rewrapped,
    /// Signed days ago, and held back until now.
    Old,
    /// Signed, and not sealed.
    InClear,
    /// A distributor says a word of the team's.
    Member,
    /// A captured report in a mail of one's own, with one's own key.
    Thief,
}

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    MailboxAway,
    /// The connection breaks when mails were kept, before the server is told.
    CutsBeforeMark,
    /// And when it was told, before that is written down.
    CutsAfterMark,
    Renumbered,
    /// The server hands each new mail out twice, under two numbers.
    Doubles,
    /// New mails are not shown for a while.
    Hides,
    ServerAway,
    PutsOff,
    /// It refuses everything at its last byte, for good.
    RefusesAll,
    NotLetIn,
    /// It takes the mail, and the answer is lost.
    AnswerLost,
    /// It breaks at the last byte, and has not taken the mail.
    LastByteLost,
    /// It answers after half an hour.
    Slow,
    /// It delivers each mail twice, hours apart.
    Repeats,
    /// It delivers after hours.
    Late,
    /// It refuses one recipient for good.
    Refuses(&'static str),
    DiskFull,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = begin() + Span::minutes(i64::from(self.at));
        write!(f, "{}  {:?}", at.format("%a %Y-%m-%d %H:%M"), self.act)
    }
}

/// The team, without those who are brought in.
pub(crate) const TEAM: [&str; 3] = ["mia", "tom", "vic"];
/// The private list.
pub(crate) const LIST: [&str; 4] = ["ann", "bob", "cleo", "dan"];

const HOUR: u32 = 60;
const DAY: u32 = 24 * HOUR;

struct Planner {
    seed: u64,
    days: u32,
    steps: Vec<Step>,
}

/// A history of so many days.
pub(crate) fn drawn(seed: u64, days: u32) -> Vec<Step> {
    let mut planner = Planner { seed, days, steps: Vec::new() };
    let mut dice = Dice::of(&[seed, 1]);
    let mut at = dice.between(1, 40) as u32;
    let mut case = 0;
    let busy = dice.between(2, 6) as u32;
    // The last month is there to end in.
    while at < days.saturating_sub(30) * DAY {
        planner.case(case, at);
        case += 1;
        at += dice.between(u64::from(DAY / busy), u64::from(10 * DAY / busy)) as u32;
    }
    planner.list(&mut Dice::of(&[seed, 2]));
    planner.trouble(&mut Dice::of(&[seed, 3]), case);
    planner.steps.sort_by_key(|step| step.at);
    planner.steps
}

/// One report of a history and what people make of it, and nothing that goes wrong.
pub(crate) fn told(seed: u64) -> Vec<Step> {
    let mut planner = Planner { seed, days: 60, steps: Vec::new() };
    planner.case(0, 10);
    planner.steps.sort_by_key(|step| step.at);
    planner.steps
}

/// A Thursday or another day on which something may be public, so many days after a minute.
fn day(from: u32, days: u32) -> (String, Moment) {
    let mut at = begin() + Span::minutes(i64::from(from)) + Span::days(i64::from(days));
    while matches!(at.weekday(), Weekday::Fri | Weekday::Sat | Weekday::Sun) {
        at += Span::days(1);
    }
    let text = at.format("%Y-%m-%d").to_string();
    let t = format!("{text}T16:00:00Z").parse().unwrap();
    (text, t)
}

fn minute(at: Moment) -> u32 {
    u32::try_from((at - begin()).num_minutes()).unwrap_or(0)
}

impl Planner {
    fn add(&mut self, at: u32, act: Act) {
        if at < self.days * DAY {
            self.steps.push(Step { at, act });
        }
    }

    fn says(&mut self, at: u32, who: &'static str, case: u32, text: impl Into<String>) {
        self.add(at, Act::Says { who, case, text: text.into() });
    }

    /// One report, and what people make of it.
    fn case(&mut self, case: u32, at: u32) {
        let mut dice = Dice::of(&[self.seed, 4, u64::from(case)]);
        let sealed = dice.percent(85);
        let key = match dice.between(0, 2) {
            0 => None,
            1 => Some(true),
            _ => Some(false),
        };
        let signed = sealed && key == Some(true) && dice.percent(70);
        let damaged = sealed && dice.percent(5);
        self.add(at, Act::Report { case, how: How { sealed, key, signed, damaged } });
        let lead = *dice.one(&TEAM);
        let first = at + dice.between(20, 20 * 60) as u32;
        if dice.percent(85) {
            self.says(first, lead, case, "/take");
        }
        for n in 0..dice.between(0, 4) {
            let when = at + dice.between(60, 40 * 24 * 60) as u32;
            let text = if dice.percent(30) {
                "/status".to_owned()
            } else {
                format!("FOLLOW-{case}, {n}th.")
            };
            self.add(when, Act::Writes { case, text });
        }
        for n in 0..dice.between(0, 3) {
            let when = first + dice.between(60, 30 * 24 * 60) as u32;
            let who = *dice.one(&TEAM);
            self.says(when, who, case, format!("I have looked at it. NOTE-{case}, {n}th."));
        }
        self.attacks(case, at, &mut dice);
        match dice.between(0, 99) {
            0..8 => self.says(first + 30, lead, case, "/reject it is no hole, for we have looked"),
            8..12 => self.says(first + 30, lead, case, "/spam"),
            12..16 => {}
            16..22 => {
                self.says(first + 30, lead, case, "/accept");
                let what = *dice.one(&["/known-public", "/exploited", "/unreadable"]);
                self.says(first + 3 * DAY, lead, case, what);
            }
            _ => self.embargo(case, first + 30, lead, &mut dice),
        }
        self.replays(case);
    }

    /// Words about the day once more, soon after they were said.
    fn replays(&mut self, case: u32) {
        let mut dice = Dice::of(&[self.seed, 10, u64::from(case)]);
        let is_one = |step: &&Step| matches!(&step.act, Act::Says { case: of, text, .. } if *of == case && text.starts_with("/disclose"));
        let said: Vec<u32> = self.steps.iter().filter(is_one).map(|step| step.at).collect();
        for at in said {
            if dice.percent(40) {
                let how = *dice.one(&[Attack::Replay, Attack::Rewrapped]);
                self.add(at + dice.between(60, 1_200) as u32, Act::Attack { case, how });
            }
        }
    }

    fn attacks(&mut self, case: u32, at: u32, dice: &mut Dice) {
        use Attack::{InClear, Member, Old, OwnKey, Replay, Rewrapped, Thief, Unsigned};
        let all = [Unsigned, OwnKey, Replay, Rewrapped, Old, InClear, Member, Thief];
        for _ in 0..dice.between(0, 5) {
            let when = at + dice.between(120, 50 * 24 * 60) as u32;
            let how = *dice.one(&all);
            self.add(when, Act::Attack { case, how });
        }
        if dice.percent(30) {
            let when = at + dice.between(120, 20 * 24 * 60) as u32;
            let who = *dice.one(&TEAM);
            self.says(when, who, case, format!("/title NEVER-{case}\n/frobnicate"));
        }
    }

    /// From the assessment to the look back.
    fn embargo(&mut self, case: u32, at: u32, lead: &'static str, dice: &mut Dice) {
        self.says(at, lead, case, format!(
            "/accept\n/title Overflow TITLE-{case}\n/set affected all\n/set impact much, IMPACT-{case}\n/set fixed 3.2\n\
             /set scope supported\n/set class normal\n/set exploitation not_found\n/set credit anonymous\n\
             /set binaries https://x.example/\n/cve CVE-2026-{}\n/cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            40_000 + case
        ));
        self.says(at + 4 * HOUR, lead, case, "/join uma fix_team");
        self.says(
            at + 8 * HOUR,
            lead,
            case,
            "/done request-cve by their form\n/done fix-team\n/done leak-check",
        );
        let fixed = at + dice.between(20, 100) as u32 * HOUR;
        let hash = format!("{:020x}", 0xabc0 + case);
        self.says(fixed, "uma", case, format!("/done fix-ready {hash}"));
        self.says(fixed + 2 * HOUR, "uma", case, "/done reviewed");
        let other = *TEAM.iter().find(|who| **who != lead).unwrap();
        self.says(fixed + 3 * HOUR, other, case, "/done reviewed");
        let mut planned = fixed + dice.between(4, 40) as u32 * HOUR;
        let (text, mut t) = day(planned, dice.between(9, 75) as u32);
        self.says(planned, lead, case, format!("/disclose {text}\n/done plan"));
        self.says(
            planned + 3 * HOUR,
            lead,
            case,
            "/preview advance\n/preview final\n/preview announce",
        );
        while dice.percent(35) {
            planned += dice.between(10, 200) as u32 * HOUR;
            let who = *dice.one(&TEAM);
            let (text, moved) = day(planned, dice.between(3, 30) as u32);
            t = moved;
            self.says(planned, who, case, format!("/disclose {text}"));
            if dice.percent(85) {
                let when = planned + dice.between(5, 40) as u32 * HOUR;
                self.says(when, who, case, "/preview advance\n/preview final\n/preview announce");
            }
        }
        self.on_the_way(case, planned, t, dice);
        let end = minute(t);
        if dice.percent(10) {
            self.says(
                planned + dice.between(1, 200) as u32 * HOUR,
                lead,
                case,
                "/leak unknown the patch in a forum",
            );
        }
        self.says(end + dice.between(1, 90) as u32, lead, case, "/done clearance");
        let out = end + dice.between(100, 400) as u32;
        let who = *dice.one(&["mia", "tom"]);
        self.says(out, who, case, format!("/done publish {hash}"));
        self.says(out + 30, who, case, "/published");
        self.says(
            end + DAY,
            other,
            case,
            "/done tickets\n/answer complete\n/done cve-publish by their form",
        );
        self.says(
            end + 2 * DAY,
            other,
            case,
            "/preview retrospective\n/set went_well speed\n/set improve tests",
        );
        self.says(end + dice.between(4, 12) as u32 * DAY, lead, case, "/close");
    }

    /// Holds, and people who are out for a while, before the day.
    fn on_the_way(&mut self, case: u32, from: u32, t: Moment, dice: &mut Dice) {
        let span = u64::from(minute(t).saturating_sub(from).max(60));
        if dice.percent(20) {
            let when = from + dice.between(1, span) as u32;
            let who = *dice.one(&TEAM);
            let what = *dice.one(&["ALL", "advance", "final", "announce"]);
            self.says(when, who, case, format!("/hold {what}"));
            if dice.percent(80) {
                self.says(
                    when + dice.between(60, 4_000) as u32,
                    who,
                    case,
                    format!("/resume {what}"),
                );
            }
        }
        if dice.percent(20) {
            let when = from + dice.between(1, span) as u32;
            let (who, whom) = (*dice.one(&TEAM), *dice.one(&TEAM));
            self.says(when, who, case, format!("/handoff {whom}"));
        }
    }

    /// The private list: who is out, who is back, who goes.
    fn list(&mut self, dice: &mut Dice) {
        let mut at = 0;
        loop {
            at += dice.between(5, 30) as u32 * DAY;
            if at >= self.days * DAY {
                return;
            }
            let (who, whom) = (*dice.one(&TEAM), *dice.one(&LIST));
            let when = at + dice.between(0, 1_000) as u32;
            if dice.percent(80) {
                self.add(
                    when,
                    Act::AtDesk { who, text: format!("/member suspend {whom} they do not answer") },
                );
                let back = when + dice.between(30, 15_000) as u32;
                self.add(back, Act::AtDesk { who, text: format!("/member reinstate {whom}") });
            } else {
                self.add(
                    when,
                    Act::AtDesk { who, text: format!("/member remove {whom} they have left") },
                );
            }
        }
    }

    /// Everything that goes wrong.
    fn trouble(&mut self, dice: &mut Dice, cases: u32) {
        let mut at = DAY / 2;
        let often = dice.between(1, 6);
        while at < self.days.saturating_sub(3) * DAY {
            at += dice.between(60, often * 1_440) as u32;
            self.one_trouble(at, dice);
        }
        let mut at = 0;
        while at < self.days * DAY && cases > 0 {
            at += dice.between(300, 6_000) as u32;
            let (mails, automatic) = (dice.between(1, 6) as u32, dice.percent(50));
            self.add(at, Act::Noise { mails, automatic });
        }
        if dice.percent(40) {
            let at = dice.between(5, u64::from(self.days)) as u32 * DAY;
            self.add(at, Act::Roster { who: "vic", there: false });
            self.add(at + 1, Act::Restart { in_order: true, minutes: 1 });
            if dice.percent(50) {
                self.add(at + 9 * DAY, Act::Roster { who: "vic", there: true });
                self.add(at + 9 * DAY + 1, Act::Restart { in_order: true, minutes: 1 });
            }
        }
    }

    fn one_trouble(&mut self, at: u32, dice: &mut Dice) {
        use Fault::{
            AnswerLost, CutsAfterMark, CutsBeforeMark, DiskFull, Doubles, Hides, LastByteLost,
            Late, MailboxAway, NotLetIn, PutsOff, Refuses, RefusesAll, Renumbered, Repeats,
            ServerAway, Slow,
        };
        let minutes = match dice.between(0, 9) {
            0..5 => dice.between(1, 60),
            5..9 => dice.between(60, 1_500),
            _ => dice.between(1_500, 5_000),
        } as u32;
        let faults = [
            MailboxAway,
            CutsBeforeMark,
            CutsAfterMark,
            Renumbered,
            Doubles,
            Hides,
            ServerAway,
            PutsOff,
            RefusesAll,
            NotLetIn,
            AnswerLost,
            LastByteLost,
            Slow,
            Repeats,
            Late,
            Refuses(dice.one::<&'static str>(&LIST)),
            Refuses(dice.one::<&'static str>(&TEAM)),
            DiskFull,
        ];
        match dice.between(0, 99) {
            0..55 => self.add(at, Act::Fault { what: *dice.one(&faults), minutes }),
            55..75 => {
                let (calls, after) = (dice.between(1, 120), dice.percent(50));
                self.add(at, Act::Stop { calls, after, minutes: minutes.min(600) });
            }
            75..85 => {
                let in_order = dice.percent(50);
                self.add(at, Act::Restart { in_order, minutes });
            }
            85..95 => {
                let far = match dice.between(0, 3) {
                    0 => dice.between(130, 4_000) as i64,
                    1 => dice.between(4_000, 90_000) as i64,
                    2 => dice.between(90_000, 3_000_000) as i64,
                    _ => -(dice.between(130, 400_000) as i64),
                };
                self.add(at, Act::Clock { seconds: far, minutes });
            }
            _ => {
                let before = dice.between(10, 4_000) as u32;
                self.add(at.saturating_sub(before), Act::Snapshot);
                self.add(at, Act::RollBack { minutes: minutes.min(400) });
            }
        }
    }
}

//! How the desk is, as it writes it down for whoever looks from outside.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::facts::names::Moment;

/// What can be wrong with the desk as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ailment {
    /// No desk runs.
    Stopped,
    /// It runs and makes no progress.
    Hangs,
    /// The database is an older copy.
    RolledBack,
    /// What knows the newest head outside of the store cannot be read.
    Witness,
    /// It cannot be written.
    Unwitnessed,
    /// There is no room on the disk.
    Disk,
    /// The mailbox cannot be looked at.
    Mailbox,
    /// A folder that is to be looked at is not there.
    Folder,
    /// A folder was not looked at to its end for too long.
    Look,
    /// Mails came and were gone before the desk had them.
    Missed,
    /// Mails that came wait to be opened for too long.
    Intake,
    /// The mail server takes nothing.
    Server,
    /// Mails wait to leave for too long.
    Waits,
    /// The clock cannot be trusted.
    Clock,
    /// A mail to ourselves does not come back.
    Probe,
    /// A mail to ourselves came back and did not open.
    Seal,
    /// The file for whoever measures cannot be written.
    Figures,
    /// Whoever watches over the desk from elsewhere is not reached.
    Heartbeat,
}

impl Ailment {
    /// Its name, for machines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Hangs => "hangs",
            Self::RolledBack => "rolled-back",
            Self::Witness => "witness",
            Self::Unwitnessed => "unwitnessed",
            Self::Disk => "disk",
            Self::Mailbox => "mailbox",
            Self::Folder => "folder",
            Self::Look => "look",
            Self::Missed => "missed",
            Self::Intake => "intake",
            Self::Server => "server",
            Self::Waits => "waits",
            Self::Clock => "clock",
            Self::Probe => "probe",
            Self::Seal => "seal",
            Self::Figures => "figures",
            Self::Heartbeat => "heartbeat",
        }
    }
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Since when something is wrong, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Down {
    /// Since when.
    pub since: Moment,
    /// What the other side said, or what was seen; may be empty.
    pub why: String,
}

/// What the operators were mailed of something that was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Since when it was wrong.
    pub since: Moment,
    /// When they were mailed.
    pub at: Moment,
    /// Whether it is over and they know.
    pub is_over: bool,
    /// Since when it has not been seen any more.
    pub gone: Option<Moment>,
}

/// A folder that is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Since when this desk looks at it.
    pub from: Moment,
    /// When a look at all of it last came to its end.
    pub ended: Option<Moment>,
}

/// Mails that came and were gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// The highest of their numbers: up to it all were counted.
    pub up_to: u32,
    /// How many have not been found elsewhere.
    pub count: u64,
    /// Since when.
    pub since: Moment,
}

/// How the desk is. Written at least once a minute while it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heart {
    /// The program's version.
    pub version: String,
    /// When it was started.
    pub started: Option<Moment>,
    /// When this was written.
    pub beat: Option<Moment>,
    /// The folders that are looked at, and how often at least, in seconds.
    pub folders: BTreeMap<String, Look>,
    /// How often each folder is looked at, in seconds.
    pub full_look_s: u64,
    /// When a mail last came in.
    pub last_in: Option<Moment>,
    /// When the mail server last took a mail.
    pub last_out: Option<Moment>,
    /// Mails that should have left by now: how many, since when, and why not.
    pub waits: Option<(u64, Down)>,
    /// Mails that came in and wait to be opened: since when.
    pub unopened: Option<Moment>,
    /// Bytes that can be written where the store lies.
    pub room: u64,
    /// When the last mail to ourselves came back.
    pub probe: Option<Moment>,
    /// The newest moment of which the desk was sure.
    pub sure: Option<Moment>,
    /// Mails that came to a folder and were gone before they could be taken in.
    pub missed: BTreeMap<String, Missed>,
    /// What is wrong.
    pub down: BTreeMap<Ailment, Down>,
    /// What the operators were mailed.
    pub told: BTreeMap<Ailment, Told>,
}

impl Heart {
    /// Nothing in it is later than a moment: a clock that was ahead had written of what had not been yet.
    pub fn not_after(&mut self, now: Moment) {
        let clamp = |at: &mut Moment| *at = (*at).min(now);
        let all = [&mut self.last_in, &mut self.last_out, &mut self.probe, &mut self.unopened];
        all.into_iter().flatten().for_each(clamp);
        for look in self.folders.values_mut() {
            clamp(&mut look.from);
            look.ended.iter_mut().for_each(clamp);
        }
        self.down.values_mut().for_each(|down| clamp(&mut down.since));
        for told in self.told.values_mut() {
            clamp(&mut told.since);
            clamp(&mut told.at);
            told.gone.iter_mut().for_each(clamp);
        }
    }

    /// Takes in that mails came to a folder and were gone. Gives how many of them were not known to be.
    pub fn misses(&mut self, folder: &str, uids: &[u32], now: Moment) -> usize {
        let begin = Missed { up_to: 0, count: 0, since: now };
        let missed = self.missed.entry(folder.to_owned()).or_insert(begin);
        let new = uids.iter().filter(|uid| **uid > missed.up_to).count();
        if missed.count == 0 {
            missed.since = now;
        }
        missed.count = missed.count.saturating_add(u64::try_from(new).unwrap_or(u64::MAX));
        missed.up_to = uids.iter().copied().max().unwrap_or(0).max(missed.up_to);
        new
    }

    /// Takes in that so many mails were found in another folder that nobody had seen: they may be those. Gives
    /// how many are more than were missed.
    pub fn finds(&mut self, mut found: u64) -> u64 {
        for missed in self.missed.values_mut() {
            let here = found.min(missed.count);
            missed.count = missed.count.saturating_sub(here);
            found = found.saturating_sub(here);
        }
        found
    }

    /// Takes in that something is wrong, or well again. Says whether that is news.
    pub fn set(&mut self, ailment: Ailment, why: Option<String>, now: Moment) -> bool {
        let Some(why) = why else { return self.down.remove(&ailment).is_some() };
        match self.down.get_mut(&ailment) {
            Some(down) => {
                down.why = why;
                false
            }
            None => {
                self.down.insert(ailment, Down { since: now, why });
                true
            }
        }
    }
}

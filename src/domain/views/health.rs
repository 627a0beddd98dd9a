//! How the desk is, in words: the same for `status`, for the mails to the operators, for systemd and for
//! whoever measures. What is wrong, since when, and what to do about it is a row of one table.

use crate::domain::facts::heart::{Ailment, Down, Heart, Told};
use crate::domain::facts::names::{Moment, Span, later};

/// A desk that has not written for so long makes no progress: it does so once a minute.
const BEATS: Span = Span::minutes(3);
/// A folder is looked at within so many times its own time, and this.
const LOOKS: i32 = 3;
const LOOKS_AT_LEAST: Span = Span::minutes(10);
/// Mails that should have left, and mails that wait to be opened, are shown after so long.
const WAITS: Span = Span::minutes(15);
const UNOPENED: Span = Span::minutes(10);
/// The operators are mailed of one kind of thing once in so long.
const MAILED_EVERY: Span = Span::hours(1);
/// And again, while it lasts, once in so long.
const AGAIN: Span = Span::days(1);
/// The desk mails itself once a day at least.
const SPEAKS: Span = Span::hours(26);
/// What has not been seen for so long is over.
const OVER: Span = Span::minutes(1);
/// What nobody could be mailed of while it lasted is told at its end, if it lasted for so long.
const WORTH_A_WORD: Span = Span::minutes(10);

/// Whether a desk runs, as far as whoever asks can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// It is the desk that asks.
    Here,
    /// Somebody holds its lock.
    Yes,
    /// Nobody does.
    No,
}

/// When the operators are mailed of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mail {
    /// Once it has lasted for so many minutes.
    After(i64),
    /// At its end: nothing leaves while it lasts.
    AtItsEnd,
    /// By a mail of its own, or not at all.
    Apart,
}

/// What there is to say about one kind of thing.
struct Row {
    ailment: Ailment,
    heading: &'static str,
    /// What is wrong: `{since}` and `{why}` stand for what is known.
    what: &'static str,
    next: &'static str,
    /// It is shown once it has lasted for so many seconds.
    shown_s: i64,
    mail: Mail,
    /// Whether a desk with it is deaf or mute: the heartbeat stops.
    is_grave: bool,
}

const fn row(
    ailment: Ailment,
    heading: &'static str,
    what: &'static str,
    next: &'static str,
    shown_s: i64,
    mail: Mail,
    is_grave: bool,
) -> Row {
    Row { ailment, heading, what, next, shown_s, mail, is_grave }
}

const CHECK: &str = "`embargod check` says what the server answers and what to change. The desk tries again by itself, and reads the file of the password anew each time.";

const ROWS: &[Row] = &[
    row(
        Ailment::Stopped,
        "No desk runs",
        "no desk runs{why}: nothing comes in and nothing leaves",
        "start it: `embargod run`, or its unit with systemctl",
        0,
        Mail::Apart,
        true,
    ),
    row(
        Ailment::Hangs,
        "The desk makes no progress",
        "a desk runs, and has made no progress since {since}",
        "look at its log, and start it again",
        0,
        Mail::Apart,
        true,
    ),
    row(
        Ailment::RolledBack,
        "HELD: the database is an older one",
        "HELD: the database is an older one: {why}",
        "put the newest back, or run `embargod restored --yes`",
        0,
        Mail::Apart,
        true,
    ),
    row(
        Ailment::Witness,
        "Only reports are taken in: no witness",
        "whether the database is the newest is not known: {why}",
        "put the witness back in its place and start the desk again; if it is lost and the database is the newest, run `embargod restored --yes`",
        0,
        Mail::Apart,
        true,
    ),
    row(
        Ailment::Unwitnessed,
        "The witness cannot be written",
        "how far the journal has come is not known outside of the database: {why}",
        "see that the folder of the witness can be written; an older copy of the database could not be told from the newest meanwhile",
        0,
        Mail::After(0),
        false,
    ),
    row(
        Ailment::Disk,
        "The disk was full",
        "the disk is full: {why}; the desk waits for more",
        "make room where the database lies. Nothing is lost: mails stay in the mailbox meanwhile.",
        0,
        Mail::AtItsEnd,
        true,
    ),
    row(
        Ailment::Mailbox,
        "The mailbox cannot be read",
        "the mailbox cannot be read since {since}: {why}. Nothing comes in meanwhile: no report is acknowledged, and no command is heard",
        CHECK,
        60,
        Mail::After(10),
        true,
    ),
    row(
        Ailment::Folder,
        "A folder is not there",
        "a folder cannot be looked at since {since}: {why}",
        "make the folder, or name another in [imap]. All other folders are looked at.",
        0,
        Mail::After(10),
        true,
    ),
    row(
        Ailment::Look,
        "The mailbox was not looked at to its end",
        "a look at all of {why} has not come to its end since {since}",
        CHECK,
        0,
        Mail::After(0),
        true,
    ),
    row(
        Ailment::Missed,
        "Mails were gone before the desk had them",
        "{why}",
        "look for them in the mailbox's other folders. Put them back into the one that the desk looks at, or name the folder in [imap] `folders`. `embargod aside --seen` ends this word.",
        0,
        Mail::After(0),
        false,
    ),
    row(
        Ailment::Intake,
        "Mails wait to be opened",
        "mails that came in wait to be opened since {since}",
        "look at the desk's log, and start it again",
        0,
        Mail::After(0),
        true,
    ),
    row(
        Ailment::Server,
        "The mail server took nothing",
        "the mail server has taken nothing since {since}: {why}",
        CHECK,
        60,
        Mail::AtItsEnd,
        true,
    ),
    row(
        Ailment::Waits,
        "Mails wait to leave",
        "{why}",
        "`embargod outbox list` shows them",
        0,
        Mail::After(0),
        false,
    ),
    row(
        Ailment::Clock,
        "Notices are held: the clock",
        "the clock of the desk cannot be trusted: {why}. No notice leaves until it can; reports and answers go on",
        "set the machine's clock right if it is wrong. The desk goes on by itself once its clock and the mail server's agree; if they do, and it still waits for a word of yours, run `embargod clock trust`.",
        0,
        Mail::After(0),
        false,
    ),
    row(
        Ailment::Probe,
        "Mail to the desk's own address does not arrive",
        "a mail that the desk sent to its own address on {since} has not come back: reports may be lost on the same way",
        "send a mail to the address yourself and see where it lies; look at the mail server's log",
        0,
        Mail::After(0),
        true,
    ),
    row(
        Ailment::Seal,
        "The desk does not open what is sealed to it",
        "a mail that the desk sealed to its own key on {since} does not open: {why}",
        "run `embargod check`, and see that [keys] names the key that is published",
        0,
        Mail::After(0),
        true,
    ),
    row(
        Ailment::Figures,
        "The figures are not written",
        "the file of [metrics] is not written since {since}: {why}",
        "see that its folder is there and that the desk's user may write in it; whoever measures sees old figures meanwhile",
        0,
        Mail::After(10),
        false,
    ),
    row(
        Ailment::Heartbeat,
        "The heartbeat is not heard",
        "whoever [heartbeat] names is not reached since {since}: {why}",
        "look at `url` and `command` in [heartbeat]; the desk tries again each time",
        0,
        Mail::After(10),
        false,
    ),
];

/// What a desk that runs can say of itself.
pub fn kinds() -> impl Iterator<Item = Ailment> {
    let of_others = [Ailment::Stopped, Ailment::Hangs];
    ROWS.iter().map(|row| row.ailment).filter(move |ailment| !of_others.contains(ailment))
}

fn row_of(ailment: Ailment) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.ailment == ailment)
}

/// Something that is wrong with the desk, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What it is.
    pub ailment: Ailment,
    /// Since when.
    pub since: Moment,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub next: &'static str,
}

fn hour(at: Moment) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

fn trouble(ailment: Ailment, since: Moment, why: &str) -> Option<Trouble> {
    let row = row_of(ailment)?;
    let what = row.what.replace("{since}", &hour(since)).replace("{why}", why);
    Some(Trouble { ailment, since, what, next: row.next })
}

/// What is wrong, the worst first. Without a heart no desk has ever run here.
#[must_use]
pub fn troubles(heart: Option<&Heart>, runs: Runs, now: Moment) -> Vec<Trouble> {
    let Some(heart) = heart else {
        let never = trouble(Ailment::Stopped, now, ", and none ever has with this database");
        return never.filter(|_| runs == Runs::No).into_iter().collect();
    };
    let beat = heart.beat.unwrap_or(now);
    let mut all: Vec<Trouble> = match runs {
        Runs::Here => None,
        Runs::No => trouble(Ailment::Stopped, beat, &format!(" since {}", hour(beat))),
        // A clock that was put back makes no desk hang; it is told apart.
        Runs::Yes if now > later(beat, BEATS) => trouble(Ailment::Hangs, beat, ""),
        Runs::Yes => None,
    }
    .into_iter()
    .collect();
    let stands = |ailment: Ailment, down: &Down| {
        let row = row_of(ailment)?;
        // What has never worked since the start needs no patience.
        let is_new = ailment == Ailment::Mailbox && heart.has_never_looked();
        let shown = if is_new { down.since } else { later(down.since, Span::seconds(row.shown_s)) };
        (now >= shown).then(|| trouble(ailment, down.since, &down.why)).flatten()
    };
    all.extend(heart.down.iter().filter_map(|(ailment, down)| stands(*ailment, down)));
    let has = |all: &[Trouble], ailment| all.iter().any(|trouble| trouble.ailment == ailment);
    let is_down = |ailment: Ailment| heart.down.contains_key(&ailment);
    if !is_down(Ailment::Mailbox) && !is_down(Ailment::Folder) && !has(&all, Ailment::Stopped) {
        all.extend(
            heart.not_looked_at(now).and_then(|(name, since)| trouble(Ailment::Look, since, name)),
        );
    }
    // They may be found in another folder at the next look at all.
    let missed = heart.missed.iter().filter(|(_, missed)| missed.count > 0);
    all.extend(missed.filter_map(|(name, missed)| {
        let count = missed.count;
        let why = format!("{count} mails came into {name} and were gone before the desk had them");
        let is_long = now > later(missed.since, heart.often());
        is_long.then(|| trouble(Ailment::Missed, missed.since, &why)).flatten()
    }));
    let unopened =
        heart.unopened.filter(|at| now > later(*at, UNOPENED) && !is_down(Ailment::Disk));
    all.extend(unopened.and_then(|since| trouble(Ailment::Intake, since, "")));
    let waits = heart.waits.as_ref().filter(|(_, down)| {
        now > later(down.since, WAITS) && !is_down(Ailment::Server) && !has(&all, Ailment::Stopped)
    });
    all.extend(waits.and_then(|(count, down)| {
        let said =
            if down.why.is_empty() { String::new() } else { format!("; last: {}", down.why) };
        let why =
            format!("{count} mails wait to leave, the oldest since {}{said}", hour(down.since));
        trouble(Ailment::Waits, down.since, &why)
    }));
    all.sort_by_key(|trouble| trouble.ailment);
    all
}

/// Whether the desk hears and speaks: whoever watches over it from outside is told so, and nothing else.
#[must_use]
pub fn is_well(heart: &Heart, now: Moment) -> bool {
    let grave = |trouble: &Trouble| row_of(trouble.ailment).is_some_and(|row| row.is_grave);
    let looked =
        !heart.folders.is_empty() && heart.folders.values().all(|look| look.ended.is_some());
    let spoke = heart.last_out.is_some_and(|at| now <= later(at, SPEAKS));
    looked && spoke && !troubles(Some(heart), Runs::Here, now).iter().any(grave)
}

impl Heart {
    /// Whether no look has come to its end since the start.
    fn has_never_looked(&self) -> bool {
        self.folders.values().all(|look| look.ended.is_none_or(|ended| Some(ended) < self.started))
    }

    /// The time within which everything was looked at more than once.
    fn often(&self) -> Span {
        let seconds = i64::try_from(self.full_look_s).unwrap_or(i64::MAX / 1_000);
        let often = Span::try_seconds(seconds).and_then(|span| span.checked_mul(LOOKS));
        often.unwrap_or_else(|| Span::hours(1))
    }

    /// The folder that was not looked at for too long, and since when.
    fn not_looked_at(&self, now: Moment) -> Option<(&str, Moment)> {
        let patience = self.often().max(LOOKS_AT_LEAST);
        let since = |look: &crate::domain::facts::heart::Look| {
            look.ended.map_or(look.from, |ended| ended.max(look.from))
        };
        let all = self.folders.iter().map(|(name, look)| (name.as_str(), since(look)));
        all.filter(|(_, since)| now > later(*since, patience)).min_by_key(|(_, since)| *since)
    }
}

/// What the operators are to be mailed, all in one mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// The subject.
    pub heading: String,
    /// What is wrong, or over.
    pub lines: Vec<String>,
    /// What to do.
    pub next: String,
}

/// What the operators are to be mailed now, and takes note that they were: of each kind of thing at most once
/// an hour, and once more when it is over.
#[must_use]
pub fn words(heart: &mut Heart, now: Moment) -> Option<Words> {
    let all = troubles(Some(heart), Runs::Here, now);
    let begun: Vec<&Trouble> = all.iter().filter(|trouble| is_news(heart, trouble, now)).collect();
    for trouble in &begun {
        let (since, at) = (trouble.since, now);
        heart.told.insert(trouble.ailment, Told { since, at, is_over: false, gone: None });
    }
    // Nothing leaves while it lasts: it is remembered, and told at its end.
    for trouble in &all {
        let at_its_end = row_of(trouble.ailment).is_some_and(|row| row.mail == Mail::AtItsEnd);
        if at_its_end && now >= later(trouble.since, WORTH_A_WORD) {
            let told = Told { since: trouble.since, at: now, is_over: false, gone: None };
            heart
                .told
                .entry(trouble.ailment)
                .and_modify(|told| told.is_over = false)
                .or_insert(told);
        }
    }
    let mut over = Vec::new();
    for (ailment, told) in &mut heart.told {
        if told.is_over || all.iter().any(|trouble| trouble.ailment == *ailment) {
            told.gone = None;
            continue;
        }
        let gone = *told.gone.get_or_insert(now);
        if now >= later(gone, OVER) {
            told.is_over = true;
            over.push((*ailment, told.since, gone));
        }
    }
    in_words(&begun, &over)
}

fn is_news(heart: &Heart, trouble: &Trouble, now: Moment) -> bool {
    let Some(Row { mail: Mail::After(minutes), .. }) = row_of(trouble.ailment) else {
        return false;
    };
    let lasts = now >= later(trouble.since, Span::minutes(*minutes));
    lasts
        && match heart.told.get(&trouble.ailment) {
            None => true,
            Some(told) if told.is_over => now >= later(told.at, MAILED_EVERY),
            Some(told) => now >= later(told.at, AGAIN),
        }
}

fn in_words(begun: &[&Trouble], over: &[(Ailment, Moment, Moment)]) -> Option<Words> {
    let heading = |ailment: Ailment| row_of(ailment).map_or("", |row| row.heading);
    let mut lines = Vec::new();
    let mut steps = Vec::new();
    for trouble in begun {
        let mut what = trouble.what.clone();
        if let Some(first) = what.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        lines.push(format!("{what}."));
        steps.push(trouble.next);
    }
    for (ailment, since, gone) in over {
        let (what, since, gone) = (heading(*ailment), hour(*since), hour(*gone));
        lines.push(format!(
            "It is over: {}{}, from {since} to {gone}.",
            what.get(..1)?.to_lowercase(),
            what.get(1..)?
        ));
    }
    let heading = match (begun, over) {
        ([], []) => return None,
        ([one], _) => heading(one.ailment).to_owned(),
        ([], [(one, ..)]) => format!("It is over: {}", heading(*one)),
        ([], several) => format!("{} things are over", several.len()),
        (several, _) => format!("{} things are wrong with the desk", several.len()),
    };
    let next = if steps.is_empty() {
        "nothing. What waited goes on by itself.".to_owned()
    } else {
        steps.join(" ")
    };
    Some(Words { heading, lines, next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::heart::Look;

    fn at(minutes: i64) -> Moment {
        later("2026-12-01T00:00:00Z".parse().unwrap(), Span::minutes(minutes))
    }

    /// A desk that has just looked at its mailbox and sent something.
    fn well(now: Moment) -> Heart {
        let look = Look { from: at(0), ended: Some(now) };
        Heart {
            started: Some(at(0)),
            beat: Some(now),
            full_look_s: 120,
            folders: [("INBOX".to_owned(), look)].into(),
            last_out: Some(now),
            ..Heart::default()
        }
    }

    fn kinds(heart: &Heart, runs: Runs, now: Moment) -> Vec<Ailment> {
        troubles(Some(heart), runs, now).into_iter().map(|trouble| trouble.ailment).collect()
    }

    #[test]
    fn each_kind_has_words_a_next_step_and_a_heading_of_its_own() {
        let mut headings = std::collections::BTreeSet::new();
        // One without a row would be seen by nobody.
        let source = include_str!("../facts/heart.rs");
        let (_, names) = source.split_once("pub fn name(self)").unwrap();
        let (names, _) = names.split_once("impl fmt::Display").unwrap();
        for row in ROWS {
            assert!(names.contains(&format!("=> \"{}\"", row.ailment)), "{}", row.ailment);
        }
        assert_eq!(names.matches("=> \"").count(), ROWS.len());
        for row in ROWS {
            assert!(!row.next.is_empty() && !row.what.ends_with('.'), "{}", row.ailment);
            assert!(headings.insert(row.heading), "{}", row.heading);
            let shown = trouble(row.ailment, at(0), "it is so").unwrap().what;
            assert!(!shown.contains('{'), "{shown}");
        }
    }

    #[test]
    fn a_desk_that_does_not_run_or_hangs_is_shown_to_whoever_asks() {
        let heart = well(at(0));
        assert_eq!(kinds(&heart, Runs::Yes, at(2)), []);
        assert_eq!(kinds(&heart, Runs::No, at(2)), [Ailment::Stopped]);
        assert_eq!(kinds(&heart, Runs::Yes, at(4)), [Ailment::Hangs]);
        assert_eq!(troubles(None, Runs::No, at(0)).len(), 1);
        assert!(troubles(None, Runs::Yes, at(0)).is_empty(), "it begins");
    }

    #[test]
    fn a_mailbox_that_was_never_read_is_shown_at_once_and_another_after_a_minute() {
        let mut heart = well(at(0));
        heart.set(Ailment::Mailbox, Some("no".to_owned()), at(0));
        assert_eq!(kinds(&heart, Runs::Here, at(0)), []);
        assert_eq!(kinds(&heart, Runs::Here, at(1)), [Ailment::Mailbox]);
        heart.folders.clear();
        assert_eq!(kinds(&heart, Runs::Here, at(0)), [Ailment::Mailbox]);
        assert!(!is_well(&heart, at(1)));
    }

    #[test]
    fn a_look_that_does_not_end_is_seen_whatever_nobody_says() {
        let mut heart = well(at(0));
        assert_eq!(kinds(&heart, Runs::Here, at(10)), []);
        assert_eq!(kinds(&heart, Runs::Here, at(11)), [Ailment::Look]);
        assert!(is_well(&heart, at(10)) && !is_well(&heart, at(11)));
        heart.full_look_s = 3_600;
        assert_eq!(kinds(&heart, Runs::Here, at(11)), []);
    }

    #[test]
    fn mails_that_wait_are_shown_with_the_reason_unless_the_server_is_shown() {
        let mut heart = well(at(0));
        heart.waits = Some((60, Down { since: at(0), why: "421 later".to_owned() }));
        let shown = troubles(Some(&heart), Runs::Yes, at(16));
        assert!(
            shown.iter().any(|it| it.what.contains("60 mails") && it.what.contains("421 later"))
        );
        heart.set(Ailment::Server, Some("421".to_owned()), at(0));
        assert!(!kinds(&heart, Runs::Here, at(16)).contains(&Ailment::Waits));
    }

    #[test]
    fn of_each_kind_the_operators_hear_once_an_hour_and_when_it_is_over() {
        let mut heart = well(at(0));
        let mut mails = Vec::new();
        // A mailbox that comes and goes every twenty minutes, for four hours.
        for minute in 0..240 {
            let is_down = minute % 40 < 20;
            heart.set(Ailment::Mailbox, is_down.then(|| "no".to_owned()), at(minute));
            let look = Look { from: at(0), ended: Some(at(minute)) };
            heart.folders.insert("INBOX".to_owned(), look);
            if let Some(words) = words(&mut heart, at(minute)) {
                mails.push((minute, words.heading));
            }
        }
        let begun = mails.iter().filter(|(_, heading)| !heading.starts_with("It is over")).count();
        assert!((3..=4).contains(&begun), "{mails:?}");
        assert_eq!(mails.len(), begun * 2, "{mails:?}");
    }

    #[test]
    fn what_stops_all_mail_is_told_at_its_end_if_it_lasted() {
        let mut heart = well(at(0));
        heart.set(Ailment::Server, Some("421".to_owned()), at(0));
        for minute in 0..5 {
            assert_eq!(words(&mut heart, at(minute)), None);
        }
        heart.set(Ailment::Server, None, at(5));
        assert_eq!(
            (words(&mut heart, at(6)), words(&mut heart, at(8))),
            (None, None),
            "it was short"
        );
        heart.set(Ailment::Server, Some("421".to_owned()), at(10));
        for minute in 10..40 {
            heart.folders.insert("INBOX".to_owned(), Look { from: at(0), ended: Some(at(minute)) });
            assert_eq!(words(&mut heart, at(minute)), None);
        }
        heart.set(Ailment::Server, None, at(40));
        assert_eq!(words(&mut heart, at(40)), None);
        let told = words(&mut heart, at(42)).unwrap();
        assert!(
            told.lines[0].contains("from 2026-12-01 00:10 UTC to 2026-12-01 00:40 UTC"),
            "{told:?}"
        );
        assert_eq!(words(&mut heart, at(43)), None);
    }

    #[test]
    fn several_things_are_one_mail() {
        let mut heart = well(at(0));
        heart.set(Ailment::Clock, Some("it was set".to_owned()), at(0));
        heart.set(Ailment::Seal, Some("it is damaged".to_owned()), at(0));
        let told = words(&mut heart, at(1)).unwrap();
        assert_eq!(told.heading, "2 things are wrong with the desk");
        assert!(told.lines.iter().any(|line| line.contains("it was set")), "{told:?}");
        assert!(told.next.contains("embargod clock trust"));
    }
}

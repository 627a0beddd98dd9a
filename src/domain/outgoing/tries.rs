//! What follows for one mail from an attempt to hand it over.
//!
//! What is the server's fault is not counted against the mail. What is its own is tried again, later each
//! time; a refusal for good ends it once it was said again while the server took other mails.

use crate::domain::facts::names::{Moment, Span, later};
use crate::domain::outgoing::pace::Pace;
use crate::domain::outgoing::verdict::{Blame, Outcome, blame};

/// What came of the attempts so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tries {
    /// Attempts whose end is not known.
    pub unknowns: u32,
    /// How often it was put off.
    pub deferrals: u32,
    /// How often it was refused for good.
    pub refusals: u32,
    /// When it was first put off or refused.
    pub since: Option<Moment>,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It left.
    Sent,
    /// Try again then.
    Again(Moment),
    /// It may have left several times; not tried again, people are told.
    Unknown,
    /// It will not leave; people are told.
    Dead,
}

/// How long to wait after the n-th failed attempt, in seconds. The last one repeats.
const LADDER_S: [i64; 9] = [15, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800];
/// The same where it was the server, or may have been: one that stumbles now and then is asked again soon.
const STUMBLES_S: [i64; 10] = [5, 10, 20, 30, 30, 60, 120, 300, 900, 1_800];
/// A mail that was only ever put off is given up after so long, and so many attempts: what was not tried
/// because the desk was off is not held against it.
const GIVE_UP: Span = Span::days(5);
const GIVE_UP_TRIES: u32 = 12;
/// How long to wait until what may have left is tried once more with the same Message-ID, in seconds; after
/// the last one people are asked.
const UNKNOWN_S: [i64; 4] = [15, 60, 300, 900];
/// The longest of these.
pub const UNKNOWN_LONGEST: Span = Span::seconds(900);
/// How long to wait until a refusal is tried once more, in seconds; the last one repeats.
const REFUSED_S: [i64; 4] = [15, 300, 900, 1_800];
/// A refusal that is plain is believed the second time. One that may be about all of us is believed after so
/// many, and so long.
const UNCLEAR_TRIES: u32 = 4;
const UNCLEAR_FOR: Span = Span::minutes(30);

/// Decides what becomes of a mail after an attempt. `pace` is as it was before that.
#[must_use]
pub fn after(outcome: &Outcome, tries: Tries, pace: &Pace, now: Moment) -> (Next, Tries) {
    match outcome {
        Outcome::Accepted(_) => (Next::Sent, tries),
        Outcome::Never(_) => (Next::Dead, tries),
        Outcome::Untried => (Next::Again(now), tries),
        Outcome::Unknown => {
            let tries = Tries { unknowns: tries.unknowns.saturating_add(1), ..tries };
            let next = match step(&UNKNOWN_S, tries.unknowns) {
                Some(wait) => Next::Again(later(now, wait)),
                None => Next::Unknown,
            };
            (next, tries)
        }
        Outcome::Broken(_) => put_off(&STUMBLES_S, tries, pace, now),
        Outcome::Said(stage, said) => match blame(*stage, said) {
            Blame::Server => put_off(&STUMBLES_S, tries, pace, now),
            Blame::ForNow => put_off(&LADDER_S, tries, pace, now),
            Blame::Recipient | Blame::Mail => refused(true, tries, pace, now),
            Blame::Unclear => refused(false, tries, pace, now),
        },
    }
}

fn put_off(ladder: &[i64], tries: Tries, pace: &Pace, now: Moment) -> (Next, Tries) {
    let since = tries.since.unwrap_or(now);
    let deferrals = tries.deferrals.saturating_add(1);
    let tries = Tries { deferrals, since: Some(since), ..tries };
    let is_late = now > later(since, GIVE_UP) && deferrals >= GIVE_UP_TRIES;
    if is_late && pace.closed().is_none() {
        return (Next::Dead, tries);
    }
    let wait = step(ladder, deferrals).unwrap_or(Span::hours(8));
    (Next::Again(later(now, wait)), tries)
}

fn refused(plain: bool, tries: Tries, pace: &Pace, now: Moment) -> (Next, Tries) {
    let since = tries.since.unwrap_or(now);
    let refusals = tries.refusals.saturating_add(1);
    let tries = Tries { refusals, since: Some(since), ..tries };
    let is_said = match plain {
        true => refusals >= 2,
        false => refusals >= UNCLEAR_TRIES && now >= later(since, UNCLEAR_FOR),
    };
    // Without a mail that was taken since it is as good as said of all of us.
    if is_said && pace.is_well_since(since) {
        return (Next::Dead, tries);
    }
    let wait = step(&REFUSED_S, refusals).unwrap_or(Span::minutes(30));
    (Next::Again(later(now, wait)), tries)
}

fn step(ladder: &[i64], n: u32) -> Option<Span> {
    let at = usize::try_from(n.saturating_sub(1)).unwrap_or(usize::MAX);
    ladder.get(at).copied().map(Span::seconds)
}

/// When the next attempt is due if this one, the n-th, comes to nothing. Written to the row before
/// the server is dialled, so that whatever happens then does not bother it again at once.
#[must_use]
pub fn next_attempt(attempts: u32, now: Moment) -> Moment {
    later(now, step(&LADDER_S, attempts).unwrap_or(Span::hours(8)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outgoing::verdict::Stage;

    fn at(seconds: i64) -> Moment {
        let start: Moment = "2026-12-01T00:00:00Z".parse().unwrap();
        later(start, Span::seconds(seconds))
    }

    fn said(stage: Stage, text: &str) -> Outcome {
        Outcome::Said(stage, text.to_owned())
    }

    /// Tries again whenever it is due, up to a number of times; says when it was over, and how.
    fn played(outcome: &Outcome, max: usize, well: bool) -> (Next, i64) {
        let (mut tries, mut now, mut pace) = (Tries::default(), at(0), Pace::default());
        for _ in 0..max {
            let (next, more) = after(outcome, tries, &pace, now);
            tries = more;
            let Next::Again(again) = next else { return (next, (now - at(0)).num_seconds()) };
            now = again;
            if well {
                pace.taken(now);
            }
        }
        (Next::Again(now), (now - at(0)).num_seconds())
    }

    #[test]
    fn a_refusal_is_believed_once_it_was_said_again_while_others_were_taken() {
        let nobody = said(Stage::To, "550 5.1.1 no such user");
        assert_eq!(played(&nobody, 99, true), (Next::Dead, 15));
        assert!(matches!(played(&nobody, 99, false).0, Next::Again(_)), "nothing else was taken");
        let spam = said(Stage::Dot, "554 5.7.1 looks like spam");
        let (next, seconds) = played(&spam, 99, true);
        assert!(next == Next::Dead && seconds >= 1_800, "{seconds}");
        assert!(matches!(played(&spam, 99, false).0, Next::Again(_)));
    }

    /// What is the server's never ends a mail while the door is closed, however long it takes.
    #[test]
    fn a_server_that_takes_nothing_loses_nothing() {
        let mut pace = Pace::default();
        pace.failed(1, Some(Blame::Server), false, "530", at(0));
        for text in ["550 5.1.1 no such user", "450 4.7.1 later", "550 5.7.1 refused"] {
            let (mut tries, mut now) = (Tries::default(), at(0));
            for _ in 0..500 {
                let (next, more) = after(&said(Stage::To, text), tries, &pace, now);
                let Next::Again(again) = next else { panic!("{text}: {next:?}") };
                (tries, now) = (more, again);
            }
        }
    }

    #[test]
    fn what_is_put_off_waits_longer_each_time_and_is_given_up_after_days_of_trying() {
        let busy = said(Stage::To, "450 4.7.1 greylisted");
        let (next, seconds) = played(&busy, 99, true);
        assert!(next == Next::Dead && seconds > 5 * 86_400, "{seconds}");
        // Six days off after the first one: it is not given up by that.
        let pace = Pace::default();
        let (_, tries) = after(&busy, Tries::default(), &pace, at(0));
        let (next, _) = after(&busy, tries, &pace, at(6 * 86_400));
        assert!(matches!(next, Next::Again(_)));
    }

    #[test]
    fn what_may_have_left_is_tried_again_later_each_time_and_not_for_ever() {
        let (next, seconds) = played(&Outcome::Unknown, 99, true);
        assert_eq!((next, seconds), (Next::Unknown, 15 + 60 + 300 + 900));
    }

    #[test]
    fn what_nobody_tried_counts_nothing() {
        let pace = Pace::default();
        let (next, tries) = after(&Outcome::Untried, Tries::default(), &pace, at(0));
        assert_eq!((next, tries), (Next::Again(at(0)), Tries::default()));
    }
}

//! How fast mails are offered to the mail server, and whether it is there at all. The pace is the server's,
//! not a mail's: what fails because of the server fails for all, and must neither count against one mail
//! nor be asked again by each of them.
//!
//! While the server takes mails, they go as fast as it takes them; where it says "later" now and then,
//! offers are slowed by a part and grow again by a little with each that is taken. Where it takes nothing the
//! door is closed: one mail at a time tries it, later each time, and with the first that is taken all the
//! others go at once.

use std::collections::BTreeSet;

use crate::domain::facts::names::{Moment, Span, later};
use crate::domain::outgoing::verdict::Blame;

/// So many different mails in a row that come to nothing say that it is the server, whatever it says.
const IN_A_ROW: usize = 3;
/// How long the door stays closed after the n-th failure in a row, in seconds; the last one repeats. What
/// waits must not wait longer than half a minute once the server is well.
const CLOSED_S: [i64; 6] = [1, 2, 4, 8, 15, 20];
/// The longest and the first time between two offers where the server is slow to take them, in milliseconds.
const GAP_MAX_MS: i64 = 20_000;
const GAP_FIRST_MS: i64 = 200;
/// What each mail that is taken adds to the offers per second, in thousandths.
const FASTER_MILLI: i64 = 500;
/// What one that is put off leaves of them: a server that says "later" to every second mail, however slowly they
/// come, must not be offered ever fewer.
const SLOWER: (i64, i64) = (3, 4);
/// A server that put all off for so long and takes one again takes the others as well: they need not wait out
/// their own time.
const SLACK: Span = Span::seconds(30);
/// So short a time between two offers is none.
const GAP_MIN_MS: i64 = 20;
/// Within this time the offers are slowed once: several couriers hear of the same refusal.
const SLOWER_ONCE: Span = Span::seconds(1);

/// Why the door is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Since when.
    pub since: Moment,
    /// When one mail may try next.
    pub next: Moment,
    /// Tries that came to nothing.
    failures: u32,
    /// The mails that met it.
    met_by: BTreeSet<i64>,
    /// What the server said, or how the connection ended.
    pub why: String,
}

/// What an outcome changes for all the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Same,
    /// Nothing leaves any more but one mail at a time, to try.
    Closes,
    /// The server takes mails again. Whether it was the server: then whatever it had put off goes at once;
    /// otherwise it was the one mail that met it.
    Opens { of_server: bool },
}

/// The pace.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    closed: Option<Closed>,
    /// The mails that came to nothing since the last one that was taken.
    refused: BTreeSet<i64>,
    /// Whether all of these were refused for what they are, and not for what the server is.
    for_themselves: bool,
    /// When the server last took one.
    accepted: Option<Moment>,
    /// Milliseconds between two offers; none where it takes what it gets.
    gap_ms: i64,
    offered: Option<Moment>,
    slowed: Option<Moment>,
    /// Since when several mails in a row were put off, where the server takes none for now.
    slack: Option<Moment>,
}

impl Pace {
    /// The same for a clock that was wrong: what is known of the server stays, and what was to be waited for
    /// does not.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self { gap_ms: self.gap_ms, ..Self::default() }
    }

    /// How many mails may be offered now, with so many in hand; at most `most`.
    #[must_use]
    pub fn room(&self, now: Moment, in_hand: usize, most: usize) -> usize {
        let free = most.saturating_sub(in_hand);
        match &self.closed {
            Some(closed) => usize::from(in_hand == 0 && now >= closed.next).min(free),
            None if self.gap_ms == 0 => free,
            None => usize::from(self.next_offer().is_none_or(|at| now >= at)).min(free),
        }
    }

    /// Before when it is of no use to look, if that is known.
    #[must_use]
    pub fn not_before(&self) -> Option<Moment> {
        match &self.closed {
            Some(closed) => Some(closed.next),
            None if self.gap_ms == 0 => None,
            None => self.next_offer(),
        }
    }

    fn next_offer(&self) -> Option<Moment> {
        self.offered.map(|at| later(at, Span::milliseconds(self.gap_ms)))
    }

    /// Since when the server puts everything off, if it does.
    #[must_use]
    pub fn slack(&self) -> Option<Moment> {
        self.slack
    }

    /// Why nothing leaves, if nothing does.
    #[must_use]
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// Whether the server has taken a mail since a moment: then it is well, and a refusal is not its own.
    #[must_use]
    pub fn is_well_since(&self, at: Moment) -> bool {
        self.closed.is_none() && self.accepted.is_some_and(|accepted| accepted > at)
    }

    /// Whether it would help to know if the server takes anything at all: what it refused was refused for
    /// good, and nothing else was taken since.
    #[must_use]
    pub fn wants_proof(&self) -> bool {
        !self.refused.is_empty() && self.for_themselves
    }

    /// A mail was offered.
    pub fn offers(&mut self, now: Moment) {
        self.offered = Some(now);
    }

    /// A mail was taken.
    pub fn taken(&mut self, now: Moment) -> Change {
        self.accepted = Some(now);
        self.refused.clear();
        if self.gap_ms > 0 {
            let rate = 1_000_000_i64.saturating_div(self.gap_ms).saturating_add(FASTER_MILLI);
            self.gap_ms = 1_000_000_i64.checked_div(rate).unwrap_or(0);
            if self.gap_ms < GAP_MIN_MS {
                self.gap_ms = 0;
            }
        }
        let slack = self.slack.take().is_some_and(|since| now >= later(since, SLACK));
        match self.closed.take() {
            Some(closed) => Change::Opens { of_server: closed.met_by.len() > 1 },
            None if slack => Change::Opens { of_server: true },
            None => Change::Same,
        }
    }

    /// A mail came to nothing, or it is not known what became of it (`None`). `of_one` where the server had taken
    /// the sender, and what it said may be about this one's way: that is the server's once it meets another.
    pub fn failed(
        &mut self,
        row: i64,
        blame: Option<Blame>,
        of_one: bool,
        why: &str,
        now: Moment,
    ) -> Change {
        let for_itself = matches!(blame, Some(Blame::Recipient | Blame::Mail | Blame::Unclear));
        self.for_themselves = for_itself && (self.refused.is_empty() || self.for_themselves);
        self.refused.insert(row);
        if let Some(closed) = &mut self.closed {
            closed.met_by.insert(row);
            // A server that refuses mails for what they plainly are is there, and need not be spared. One that may
            // mean all of us is asked less and less: a mail each second looks like the attack it takes us for.
            let plainly = matches!(blame, Some(Blame::Recipient | Blame::Mail));
            if !plainly {
                closed.failures = closed.failures.saturating_add(1);
            }
            closed.next = later(now, pause(closed.failures));
            why.clone_into(&mut closed.why);
            return Change::Same;
        }
        let of_server = matches!(blame, None | Some(Blame::Server));
        let of_server = of_server && (!of_one || self.refused.len() > 1);
        let in_a_row = self.refused.len() >= IN_A_ROW;
        if in_a_row && blame == Some(Blame::ForNow) {
            self.slack.get_or_insert(now);
        } else if of_server || in_a_row {
            let met_by = if of_server { [row].into() } else { self.refused.clone() };
            let next = later(now, pause(1));
            let why = why.to_owned();
            self.closed = Some(Closed { since: now, next, failures: 1, met_by, why });
            return Change::Closes;
        }
        let once = self.slowed.is_none_or(|at| now >= later(at, SLOWER_ONCE));
        if matches!(blame, Some(Blame::ForNow | Blame::Unclear)) && once {
            self.slowed = Some(now);
            let slower = self.gap_ms.saturating_mul(SLOWER.1).checked_div(SLOWER.0);
            self.gap_ms = slower.unwrap_or(GAP_MAX_MS).clamp(GAP_FIRST_MS, GAP_MAX_MS);
        }
        Change::Same
    }
}

fn pause(failures: u32) -> Span {
    let step = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    Span::seconds(CLOSED_S.get(step).or(CLOSED_S.last()).copied().unwrap_or(20))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Moment {
        "2026-12-01T00:00:00Z".parse().unwrap()
    }

    fn at(seconds: i64) -> Moment {
        later(start(), Span::seconds(seconds))
    }

    /// A server that refuses everything by what it may say of all of us is asked less and less.
    #[test]
    fn a_server_that_refuses_all_is_not_asked_each_second() {
        let (mut pace, mut now, mut offers) = (Pace::default(), start(), 0);
        while now < at(3_600) {
            pace.failed(offers, Some(Blame::Unclear), true, "554", now);
            offers += 1;
            let soon = later(now, Span::seconds(1));
            now = pace.not_before().map_or(soon, |next| next.max(now));
        }
        assert!(offers < 200, "{offers}");
    }

    #[test]
    fn a_server_that_is_well_is_offered_all_that_there_is_room_for() {
        let pace = Pace::default();
        assert_eq!(pace.room(start(), 3, 10), 7);
        assert_eq!(pace.not_before(), None);
    }

    #[test]
    fn where_it_takes_nothing_one_mail_at_a_time_tries_and_then_all_go() {
        let mut pace = Pace::default();
        assert_eq!(pace.failed(1, Some(Blame::Server), false, "530", at(0)), Change::Closes);
        assert_eq!(pace.room(at(0), 0, 10), 0);
        assert_eq!(pace.room(at(1), 0, 10), 1);
        assert_eq!(pace.room(at(1), 1, 10), 0, "one at a time");
        let mut now = 1;
        for row in 2..40 {
            assert_eq!(pace.failed(row, Some(Blame::Server), false, "530", at(now)), Change::Same);
            let next = pace.not_before().unwrap();
            assert!(next <= at(now + 20), "no later than half a minute after the server is well");
            now = (next - start()).num_seconds();
        }
        assert_eq!(pace.closed().unwrap().since, at(0));
        assert_eq!(pace.taken(at(now)), Change::Opens { of_server: true });
        assert_eq!(pace.room(at(now), 0, 10), 10);
    }

    /// One mail that a server cannot take, while it takes others, is not the server's fault.
    #[test]
    fn one_mail_that_closes_the_door_is_not_the_server() {
        let mut pace = Pace::default();
        assert_eq!(pace.failed(1, Some(Blame::Server), false, "451 4.3.0", at(0)), Change::Closes);
        assert_eq!(pace.taken(at(1)), Change::Opens { of_server: false });
    }

    #[test]
    fn a_refusal_for_good_wants_proof_that_anything_is_taken() {
        let mut pace = Pace::default();
        assert!(!pace.wants_proof());
        pace.failed(1, Some(Blame::Recipient), false, "550 5.1.1", at(0));
        assert!(pace.wants_proof());
        pace.taken(at(1));
        assert!(!pace.wants_proof());
        pace.failed(1, Some(Blame::Recipient), false, "550 5.1.1", at(2));
        pace.failed(2, Some(Blame::Server), false, "530", at(3));
        pace.failed(3, Some(Blame::Recipient), false, "550 5.1.1", at(4));
        assert!(!pace.wants_proof(), "it is clear whose fault it is");
    }

    #[test]
    fn the_same_refusal_for_three_mails_is_the_servers_whatever_it_says() {
        let mut pace = Pace::default();
        for (row, turn) in
            [(1, Change::Same), (1, Change::Same), (2, Change::Same), (3, Change::Closes)]
        {
            assert_eq!(pace.failed(row, Some(Blame::Recipient), false, "550 5.1.1", at(row)), turn);
        }
        assert!(!pace.is_well_since(at(0)));
        assert_eq!(pace.taken(at(9)), Change::Opens { of_server: true });
        assert!(pace.is_well_since(at(8)) && !pace.is_well_since(at(9)));
    }

    /// A server that takes one mail a second and puts all others off: nearly as many leave as could.
    #[test]
    fn the_pace_finds_what_the_server_takes() {
        let (mut pace, mut now, mut left, mut last) = (Pace::default(), 0_i64, 0, -10_000_i64);
        let ms = |ms: i64| later(start(), Span::milliseconds(ms));
        while left < 60 {
            if pace.room(ms(now), 0, 8) > 0 {
                pace.offers(ms(now));
                if now - last >= 1_000 {
                    last = now;
                    left += 1;
                    pace.taken(ms(now));
                } else {
                    pace.failed(now, Some(Blame::ForNow), false, "450", ms(now));
                }
            }
            now += 10;
        }
        assert!(now < 150_000, "60 mails in {now} ms");
    }
}

//! Whether the machine's clock may be believed: three witnesses, and what follows where they differ.
//!
//! The wall clock is what people set. The time since the machine was started is what nobody sets. The mail
//! server dates a mail to ourselves. Where wall clock and boot-time clock part, one of them was set or stood
//! still, and the mail server says which is right. One case it cannot decide: it agreed before, both went
//! ahead together, and it is on the same machine. Then both have one clock, and a word of the operator's
//! is needed, as it is where the desk was sure of a moment that is still to come.

use crate::domain::facts::names::{Moment, Reading, Span, later};

/// How far the two may drift apart: what a time service corrects without anyone noticing.
const DRIFT_MAX: Span = Span::seconds(5);
/// How far the clock may be behind a moment of which the desk was sure: what a time service takes back in
/// one step. A clock that is behind makes notices later, never earlier.
const BEHIND_MAX: Span = Span::seconds(1);

/// Why the clock is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// The wall clock was set by so much while the desk was running.
    Set(Span),
    /// It is so far behind a moment of which the desk was sure.
    Behind(Span),
    /// It went ahead by so much, and the mail server of this machine with it.
    BothAhead(Span),
    /// The mail server agrees, and the desk was sure of a later moment.
    WasSure(Span),
}

/// A span for people: the two largest of days, hours, minutes and seconds.
fn span(span: Span) -> String {
    let seconds = span.num_seconds().abs();
    let parts =
        [("day", 86_400, i64::MAX), ("hour", 3_600, 24), ("minute", 60, 60), ("second", 1, 60)];
    let part = |(name, of, most): (&str, i64, i64)| {
        let count = seconds.checked_div(of)?.checked_rem(most)?;
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {name}{plural}"))
    };
    let all: Vec<String> = parts.into_iter().filter_map(part).take(2).collect();
    if all.is_empty() { "less than a second".to_owned() } else { all.join(" ") }
}

impl Doubt {
    /// In words.
    #[must_use]
    pub fn say(&self) -> String {
        match self {
            Self::Set(by) => {
                let way = if *by < Span::zero() { "back" } else { "ahead" };
                format!(
                    "it was set {way} by {} while the desk was running, and the mail server has not confirmed it yet",
                    span(*by)
                )
            }
            Self::Behind(by) => format!(
                "it is {} behind a moment of which the desk was sure, and the mail server has not confirmed it yet",
                span(*by)
            ),
            Self::BothAhead(by) => format!(
                "it went ahead by {} while the desk was running, and the mail server on this machine with it, so that nobody else says whether it is right; if it is, run `embargod clock trust`",
                span(*by)
            ),
            Self::WasSure(by) => format!(
                "the mail server agrees with it, and both are {} behind a moment of which the desk was sure; if they are right, run `embargod clock trust`",
                span(*by)
            ),
        }
    }

    /// Whether nothing but a word of the operator's ends it.
    #[must_use]
    pub fn needs_a_word(&self) -> bool {
        matches!(self, Self::BothAhead(_) | Self::WasSure(_))
    }
}

/// What the desk believes of its clock.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Where both clocks stood when the wall clock was last believed.
    line: Reading,
    /// Whether the mail server has agreed with that line.
    is_confirmed: bool,
    /// Whether the mail server agrees with the wall clock as it is now.
    agrees: bool,
    /// The newest moment of which the desk was sure.
    sure: Option<Moment>,
    /// Whether the mail server is on this machine.
    is_here: bool,
}

impl Trust {
    /// Begins with both clocks as they are.
    #[must_use]
    pub fn begin(reading: Reading, sure: Option<Moment>) -> Self {
        Self { line: reading, is_confirmed: false, agrees: false, sure, is_here: true }
    }

    /// The mail server is on this machine, or on another.
    pub fn server_is_here(&mut self, is_here: bool) {
        self.is_here = is_here;
    }

    /// The newest moment of which the desk was sure.
    #[must_use]
    pub fn sure(&self) -> Option<Moment> {
        self.sure
    }

    /// A moment that has surely come, whatever the wall clock says: by the clock that nobody sets, counted from where
    /// the mail server agreed.
    #[must_use]
    pub fn come(&self, now: Reading) -> Option<Moment> {
        let since = now.boot.checked_sub(&self.line.boot).unwrap_or_default();
        let by_boot = self.is_confirmed.then(|| later(self.line.wall, since));
        self.sure.max(by_boot)
    }

    fn set_by(&self, now: Reading) -> Option<Span> {
        let wall = now.wall.signed_duration_since(self.line.wall);
        let boot = now.boot.checked_sub(&self.line.boot).unwrap_or_default();
        let apart = wall.checked_sub(&boot).unwrap_or(Span::MAX);
        (apart.abs() > DRIFT_MAX).then_some(apart)
    }

    /// Whether the wall clock is believed, as far as the two clocks of this machine and what was said of
    /// them tell.
    ///
    /// # Errors
    /// Why not.
    pub fn look(&self, now: Reading) -> Result<(), Doubt> {
        let behind = self.sure.map(|sure| sure.signed_duration_since(now.wall));
        let behind = behind.filter(|by| *by > BEHIND_MAX);
        match (self.set_by(now), behind) {
            (None, None) => Ok(()),
            (Some(by), _) if !self.agrees => Err(Doubt::Set(by)),
            (Some(by), _) => Err(Doubt::BothAhead(by)),
            (None, Some(by)) if self.agrees => Err(Doubt::WasSure(by)),
            (None, Some(by)) => Err(Doubt::Behind(by)),
        }
    }

    /// The mail server's clock agrees with the wall clock. Says by how much the clock was set, if the desk
    /// goes on because of it.
    pub fn agrees(&mut self, now: Reading) -> Option<Span> {
        self.agrees = true;
        let Some(by) = self.set_by(now) else {
            self.is_confirmed = true;
            return None;
        };
        // Both have gone ahead of the one clock that nobody sets, and may be one clock themselves.
        if self.is_confirmed && self.is_here && by > Span::zero() {
            return None;
        }
        self.line = now;
        self.is_confirmed = true;
        Some(by)
    }

    /// The mail server's clock does not agree, or is to be asked anew.
    pub fn asks_again(&mut self) {
        self.agrees = false;
    }

    /// The operator says that the clock is right. Counts only where the mail server agrees.
    pub fn believe(&mut self, now: Reading) -> bool {
        if self.agrees {
            *self = Self { line: now, is_confirmed: true, sure: Some(now.wall), ..*self };
        }
        self.agrees
    }

    /// Takes note that the desk is sure of the present moment.
    pub fn is_sure(&mut self, now: Moment) {
        self.sure = self.sure.max(Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Moment {
        "2026-12-01T00:00:00Z".parse().unwrap()
    }

    /// Both clocks after so many seconds, with the wall clock ahead by so many.
    fn at(seconds: i64, ahead: i64) -> Reading {
        let wall = later(start(), Span::seconds(seconds.saturating_add(ahead)));
        Reading { wall, boot: Span::seconds(1_000 + seconds) }
    }

    const HOUR: i64 = 3_600;
    const DAY: i64 = 86_400;
    const MONTH: i64 = 30 * DAY;

    fn confirmed() -> Trust {
        let mut trust = Trust::begin(at(0, 0), Some(start()));
        assert_eq!(trust.agrees(at(10, 0)), None);
        trust
    }

    #[test]
    fn a_clock_that_is_set_and_set_back_is_believed_again() {
        for by in [HOUR, DAY, MONTH, -HOUR, -DAY, -MONTH] {
            let trust = confirmed();
            assert!(matches!(trust.look(at(20, by)), Err(Doubt::BothAhead(_) | Doubt::Set(_))));
            assert_eq!(trust.look(at(30, 0)), Ok(()));
        }
    }

    #[test]
    fn what_has_come_is_not_undone_by_setting_the_clock_back() {
        let trust = confirmed();
        assert_eq!(trust.come(at(DAY, -2 * HOUR)), Some(later(start(), Span::seconds(DAY))));
        // Nor does one that was never confirmed say that something has come.
        assert_eq!(Trust::begin(at(0, MONTH), None).come(at(DAY, 0)), None);
    }

    #[test]
    fn a_clock_that_was_wrong_at_start_is_believed_once_the_mail_server_agrees() {
        for by in [HOUR, DAY, MONTH, -HOUR, -DAY, -MONTH] {
            let mut trust = Trust::begin(at(0, by), None);
            // The mail server says otherwise; then the clock is put right.
            trust.asks_again();
            assert!(trust.look(at(20, 0)).is_err());
            assert_eq!(trust.agrees(at(30, 0)), Some(Span::seconds(-by)));
            assert_eq!(trust.look(at(40, 0)), Ok(()));
        }
    }

    #[test]
    fn a_machine_that_stood_still_goes_on_by_the_word_of_another() {
        let mut trust = confirmed();
        trust.server_is_here(false);
        trust.asks_again();
        assert_eq!(trust.look(at(20, HOUR)), Err(Doubt::Set(Span::seconds(HOUR))));
        assert_eq!(trust.agrees(at(30, HOUR)), Some(Span::seconds(HOUR)));
        assert_eq!(trust.look(at(40, HOUR)), Ok(()));
    }

    #[test]
    fn two_that_have_one_clock_are_not_two() {
        let mut trust = confirmed();
        trust.asks_again();
        assert_eq!(trust.agrees(at(20, HOUR)), None);
        let doubt = trust.look(at(30, HOUR)).unwrap_err();
        assert!(doubt.needs_a_word() && doubt.say().contains("1 hour"), "{}", doubt.say());
        assert!(trust.believe(at(40, HOUR)));
        assert_eq!(trust.look(at(50, HOUR)), Ok(()));
        // Back is never too early.
        trust.asks_again();
        assert!(trust.agrees(at(60, 0)).is_some());
    }

    #[test]
    fn a_word_counts_only_where_the_mail_server_agrees() {
        let mut trust = confirmed();
        trust.asks_again();
        assert!(!trust.believe(at(20, DAY)));
        assert!(trust.look(at(30, DAY)).is_err());
    }

    #[test]
    fn what_the_desk_was_sure_of_is_taken_back_by_a_word_and_never_waited_out() {
        let future = later(start(), Span::seconds(MONTH));
        let mut trust = Trust::begin(at(0, 0), Some(future));
        assert!(matches!(trust.look(at(1, 0)), Err(Doubt::Behind(_))));
        trust.agrees(at(2, 0));
        let doubt = trust.look(at(3, 0)).unwrap_err();
        assert!(
            doubt.needs_a_word() && doubt.say().contains("29 days 23 hours behind"),
            "{}",
            doubt.say()
        );
        assert!(trust.believe(at(4, 0)));
        assert_eq!(trust.look(at(5, 0)), Ok(()));
        assert_eq!(trust.sure(), Some(at(4, 0).wall));
    }

    #[test]
    fn small_steps_are_nobodys_business() {
        let trust = confirmed();
        assert_eq!(trust.look(at(100, 4)), Ok(()));
        assert_eq!(trust.look(at(100, -4)), Ok(()));
    }
}

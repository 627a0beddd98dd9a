//! The mail server's clock as a witness of ours: a mail to ourselves, and what its INTERNALDATE says
//!. It shows as well that mail to the published address arrives.
//!
//! One is asked for at start, after a jump, and before the first notice of a day; well ahead, so that no
//! notice waits for it. Until it has come back and agrees, no notice leaves.

use crate::domain::decide::time;
use crate::domain::facts::heart::Ailment;
use crate::domain::facts::letter::Letter;
use crate::domain::facts::names::{MessageId, Moment, Span, later};
use crate::engine::commit::Cause;
use crate::error::Fault;

use super::{Engine, lock};

/// How long one is good for.
const GOOD_FOR: Span = Span::hours(24);
/// How long before a notice a new one is asked for.
const AHEAD: Span = Span::hours(1);
/// How long one may be on its way before the operators are told and another is sent.
const PATIENCE: Span = Span::minutes(10);
/// While the clock is doubted one is sent so often, later each time that the mail server says otherwise.
const AGAIN: Span = Span::minutes(2);
/// Where they are further apart than this, no day and no hour is believed.
const FAR: Span = Span::hours(1);
/// How far the two clocks may be apart.
const APART: Span = Span::minutes(2);

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct ClockProbe {
    /// Those that are on their way, and when the mail server took each.
    asked: Vec<(MessageId, Option<Moment>)>,
    /// When the last one was sent.
    sent: Option<Moment>,
    /// When the last one came back and agreed.
    agreed: Option<Moment>,
    /// What the last one said, if it did not agree.
    wrong: Option<String>,
    /// Since when none has come back.
    waiting: Option<Moment>,
    /// How often the mail server said otherwise, and whether by so much that it may be another day here.
    disagreed: u32,
    pub(super) is_far: bool,
}

/// One is sent a day at least by a desk that runs.
const DAILY: Span = Span::hours(20);
/// So many are remembered at once.
const ASKED_MAX: usize = 20;

impl ClockProbe {
    /// Forgets what was said: the clock was set since. The next one is due at once.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn is_good(&self, at: Moment) -> bool {
        self.agreed.is_some_and(|agreed| agreed <= at && at < later(agreed, GOOD_FOR))
    }

    /// Whether it vouches for the clock now.
    ///
    /// # Errors
    /// Why not, where the mail server says otherwise; `Ok(false)` while one is on its way.
    pub(super) fn vouch(&self, now: Moment) -> Result<bool, String> {
        match &self.wrong {
            Some(wrong) => Err(wrong.clone()),
            None => Ok(self.is_good(now)),
        }
    }

    /// Since when one should have come back that has not.
    pub(super) fn missing(&self, now: Moment) -> Option<Moment> {
        self.waiting.filter(|since| now > later(*since, PATIENCE))
    }

    /// When one is to be sent because the clock is doubted, or the mail server says otherwise.
    fn due_in_doubt(&self) -> Moment {
        let wait = AGAIN.checked_mul(1 << self.disagreed.min(4)).unwrap_or(PATIENCE);
        self.sent.map_or(Moment::MIN_UTC, |sent| later(sent, wait))
    }

    /// When one is to be sent, if a notice leaves next at that moment.
    pub(super) fn due(&self, notice: Moment) -> Option<Moment> {
        if self.is_good(notice) {
            return None;
        }
        let at = later(notice, -AHEAD);
        Some(self.sent.map_or(at, |sent| at.max(later(sent, PATIENCE))))
    }

    /// Notes when the mail server took one: by our clock, which its own is held against.
    pub(super) fn handed_over(&mut self, id: &str, now: Moment) {
        for (asked, handed) in &mut self.asked {
            if asked.as_str() == id {
                *handed = Some(now);
            }
        }
    }

    /// Takes in that one came back. The server's clock stamped it when it lay in the mailbox, which is
    /// soon after it was taken, or else says nothing.
    fn came_back(&mut self, letter: &Letter, now: Moment) {
        let it = self.asked.iter().find(|(id, _)| letter.outer.message_id.as_ref() == Some(id));
        let Some((_, Some(handed))) = it.cloned() else { return };
        let server = letter.server_time;
        let behind = server < later(handed, -APART);
        let ahead = server > later(now, APART);
        if behind || ahead {
            self.agreed = None;
            self.waiting = None;
            self.disagreed = self.disagreed.saturating_add(1);
            self.is_far = (server - now).abs() > FAR;
            self.asked.clear();
            self.wrong = Some(format!(
                "the mail server says {} where it is {} here",
                server.format("%Y-%m-%d %H:%M:%S UTC"),
                now.format("%Y-%m-%d %H:%M:%S UTC")
            ));
        } else if server <= later(handed, APART) {
            *self = Self { agreed: Some(now), sent: self.sent, ..Self::default() };
        }
        // One that lay on its way for long is no witness; the next one may be.
    }
}

impl Engine {
    /// Sends one if it is time.
    pub(super) fn send_clock_probe(&mut self) -> Result<(), Fault> {
        let now = self.now();
        if self.probe_due().is_none_or(|due| due > now) {
            return Ok(());
        }
        let mut fresh = self.entropy.fresh()?;
        let id = self.witness_id(&mut fresh);
        let (decision, id) = time::clock_probe(&self.desk, id, now, fresh);
        let number = self.desk.head.number;
        lock(&self.store).set_mailed(now, number)?;
        self.witness.mailed = Some((now, number));
        self.carry_out(decision, Cause::Time)?;
        self.clock_probe.asked.extend(id.map(|id| (id, None)));
        let more = self.clock_probe.asked.len().saturating_sub(ASKED_MAX);
        self.clock_probe.asked.drain(..more);
        self.clock_probe.sent = Some(now);
        self.clock_probe.waiting.get_or_insert(now);
        Ok(())
    }

    /// When the next one is due, whatever for.
    pub(super) fn probe_due(&self) -> Option<Moment> {
        let notice = self.desk.next_notice().and_then(|notice| self.clock_probe.due(notice));
        let asks = self.doubt.is_some() || self.clock_probe.wrong.is_some();
        let doubt = asks.then(|| self.clock_probe.due_in_doubt());
        let all = notice.into_iter().chain(doubt).chain(self.witness_due());
        all.chain(self.proof_due()).chain(self.daily_due()).min()
    }

    /// When one is due because none has come back for a day: what a desk with nothing to do hears of its own
    /// mailbox.
    fn daily_due(&self) -> Option<Moment> {
        let last = self.heart.probe.max(self.clock_probe.sent);
        self.probes_daily.then(|| last.map_or(self.made, |last| later(last, DAILY)))
    }

    /// When one is due because it would show whether the mail server takes anything: what it refused for good
    /// is believed only then.
    pub(super) fn proof_due(&self) -> Option<Moment> {
        let after = |sent| later(sent, PATIENCE);
        self.pace.wants_proof().then(|| self.clock_probe.sent.map_or(self.made, after))
    }

    /// Takes in that it came back, if this mail is it.
    pub(super) fn hear_clock_probe(&mut self, letter: &Letter) -> Result<(), Fault> {
        let now = self.now();
        let before = self.clock_probe.wrong.clone();
        let agreed = self.clock_probe.agreed;
        self.clock_probe.came_back(letter, now);
        self.heart.probe = Some(now);
        let closed = letter.verdict.failure.is_some();
        let why = "it came back and could not be read, as no report that is sealed could be";
        self.ail(Ailment::Seal, closed.then(|| why.to_owned()));
        if let Some(why) = &self.clock_probe.wrong {
            self.trust.asks_again();
            if self.clock_probe.wrong != before {
                tracing::error!(
                    event = "clock.disagrees",
                    why,
                    "The mail server's clock does not agree."
                );
            }
        } else if self.clock_probe.agreed != agreed
            && let Some(by) = self.trust.agrees(self.clock.reading())
        {
            let seconds = by.num_seconds();
            tracing::warn!(
                event = "clock.set",
                seconds,
                "The clock was set, and the mail server agrees; the desk goes on."
            );
            self.doubt = None;
            let probe = std::mem::take(&mut self.clock_probe);
            self.clock_was_wrong(now)?;
            self.clock_probe = probe;
        }
        Ok(())
    }
}

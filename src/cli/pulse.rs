//! How the desk is, said to those around it: systemd, whoever measures, and whoever watches over it from
//! elsewhere.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

use crate::domain::facts::heart::{Ailment, Heart};
use crate::domain::facts::names::Moment;
use crate::domain::views::health;
use crate::domain::views::health::Runs;
use crate::edge::heartbeat::{Caller, Heartbeat};
use crate::edge::write_whole;
use crate::engine::SharedStore;
use crate::error::Fault;
use crate::ports::store::Counts;

/// Tells those around the desk how it is.
pub(super) struct Pulse {
    metrics: Option<PathBuf>,
    heartbeat: Option<(Caller, Duration)>,
    beaten: Option<Instant>,
    /// Of what the figures were last written: nothing is written twice.
    written: Option<(Option<Moment>, usize, bool)>,
    said: String,
    /// How long the mailbox may say nothing.
    silence: Duration,
    heard: Instant,
    /// Whether it was said that a part makes no progress.
    is_stuck: bool,
    /// Why the file could not be written the last time.
    failed: Option<String>,
}

impl Pulse {
    pub(super) fn new(
        metrics: Option<&Path>,
        heartbeat: Option<&Heartbeat>,
        silence: Duration,
    ) -> Result<Self, Fault> {
        Ok(Self {
            metrics: metrics.map(Path::to_owned),
            heartbeat: heartbeat
                .map(|beat| Ok::<_, Fault>((beat.caller()?, beat.every)))
                .transpose()?,
            beaten: None,
            written: None,
            said: String::new(),
            silence,
            heard: Instant::now(),
            is_stuck: false,
            failed: None,
        })
    }

    /// The mailbox has said something: whoever watches it goes on.
    pub(super) fn hears(&mut self) {
        self.heard = Instant::now();
    }

    /// How long the loop may sleep, so that those around hear of it in time.
    pub(super) fn sleep_max(&self) -> Option<Duration> {
        let watchdog = sd_notify::watchdog_enabled().map(|patience| patience / 3);
        let heartbeat = self.heartbeat.as_ref().map(|(_, every)| *every);
        watchdog.into_iter().chain(heartbeat).min()
    }

    /// Whom it could not tell, and why not.
    pub(super) fn untold(&self) -> [(Ailment, Option<String>); 2] {
        let unheard = self.heartbeat.as_ref().and_then(|(caller, _)| caller.wrong());
        [(Ailment::Figures, self.failed.clone()), (Ailment::Heartbeat, unheard)]
    }

    /// Tells all of them.
    pub(super) fn beat(
        &mut self,
        heart: &Heart,
        store: &SharedStore,
        in_hand_since: Option<Duration>,
        now: Moment,
    ) {
        // Tied to progress of all three: this loop, whoever watches the mailbox, and the couriers.
        let mailbox = self.heard.elapsed() < self.silence;
        let couriers = in_hand_since.is_none_or(|long| long < STUCK);
        if mailbox && couriers {
            self.is_stuck = false;
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        } else if !std::mem::replace(&mut self.is_stuck, true) {
            tracing::error!(
                event = "desk.stuck",
                mailbox,
                couriers,
                "A part of the desk makes no progress."
            );
        }
        let troubles = health::troubles(Some(heart), Runs::Here, now);
        let line = match troubles.as_slice() {
            [] => "all is well".to_owned(),
            [one] => one.what.clone(),
            [first, rest @ ..] => format!("{}, and {} more", first.what, rest.len()),
        };
        if line != self.said {
            let _ = sd_notify::notify(&[NotifyState::Status(&line)]);
            self.said = line;
        }
        let is_well = health::is_well(heart, now);
        if is_well
            && let Some((caller, every)) = &self.heartbeat
            && self.beaten.is_none_or(|at| at.elapsed() >= *every)
        {
            self.beaten = Some(Instant::now());
            caller.call();
        }
        let state = Some((heart.beat, troubles.len(), is_well));
        if let Some(path) = self.metrics.as_ref().filter(|_| self.written != state) {
            let counts = crate::engine::lock(store).counts();
            let text = counts.map(|counts| metrics(heart, &counts, now));
            let written = text.and_then(|text| write_whole(path, text.as_bytes()));
            if let (Err(fault), None) = (&written, &self.failed) {
                tracing::error!(
                    event = "figures.unwritten",
                    why = fault.what,
                    "The figures cannot be written."
                );
            }
            self.failed = written.err().map(|fault| fault.what);
            self.written = state;
        }
    }
}

/// A mail that a courier has had in hand for so long is with nobody any more: the longest that a server may
/// take is bounded far below.
const STUCK: Duration = Duration::from_secs(3 * 3_600);

/// What is measured: name, what it says, and where it comes from.
type Figure = (&'static str, &'static str, fn(&Heart, &Counts, Moment) -> Option<f64>);

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn count(number: u64) -> Option<f64> {
    Some(number as f64)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn moment(at: Option<Moment>) -> Option<f64> {
    at.map(|at| at.timestamp_millis() as f64 / 1_000.0)
}

const FIGURES: &[Figure] = &[
    ("started_seconds", "When the desk was started.", |heart, _, _| moment(heart.started)),
    ("beat_seconds", "When the desk last wrote that it runs.", |heart, _, _| moment(heart.beat)),
    ("well", "1 while the desk hears and speaks.", |heart, _, now| {
        Some(if health::is_well(heart, now) { 1.0 } else { 0.0 })
    }),
    ("looked_seconds", "When a full look at all folders last ended.", |heart, _, _| {
        moment(heart.folders.values().map(|look| look.ended).min().flatten())
    }),
    ("last_in_seconds", "When a mail last came in.", |heart, _, _| moment(heart.last_in)),
    ("last_out_seconds", "When the mail server last took a mail.", |heart, _, _| {
        moment(heart.last_out)
    }),
    (
        "own_mail_back_seconds",
        "When a mail to the desk's own address last came back.",
        |heart, _, _| moment(heart.probe),
    ),
    ("room_bytes", "What can be written where the database lies.", |heart, _, _| count(heart.room)),
    ("inbox_waiting", "Mails that wait to be opened.", |_, counts, _| count(counts.inbox_waiting)),
    ("inbox_aside", "Mails that were set aside.", |_, counts, _| count(counts.inbox_aside)),
    ("outbox_waiting", "Mails that wait to leave.", |_, counts, _| count(counts.outbox_waiting)),
    ("outbox_overdue", "Mails that should have left by now.", |heart, _, _| {
        count(heart.waits.as_ref().map_or(0, |(count, _)| *count))
    }),
    ("outbox_dead", "Mails that were given up.", |_, counts, _| count(counts.outbox_dead)),
    ("outbox_unknown", "Mails that may or may not have left.", |_, counts, _| {
        count(counts.outbox_unknown)
    }),
];

/// The figures in the form that Prometheus reads from text files.
fn metrics(heart: &Heart, counts: &Counts, now: Moment) -> String {
    let mut out = String::new();
    for (name, help, value) in FIGURES {
        if let Some(value) = value(heart, counts, now) {
            let _ = writeln!(
                out,
                "# HELP embargod_{name} {help}\n# TYPE embargod_{name} gauge\nembargod_{name} {value}"
            );
        }
    }
    let troubles = health::troubles(Some(heart), Runs::Here, now);
    let _ = writeln!(
        out,
        "# HELP embargod_trouble 1 while something is wrong, by kind.\n# TYPE embargod_trouble gauge"
    );
    for kind in health::kinds() {
        let stands = u8::from(troubles.iter().any(|trouble| trouble.ailment == kind));
        let _ = writeln!(out, "embargod_trouble{{kind=\"{kind}\"}} {stands}");
    }
    let version = heart.version.replace(['"', '\\', '\n'], "");
    let _ = writeln!(
        out,
        "# HELP embargod_info The program's version.\n# TYPE embargod_info gauge\nembargod_info{{version=\"{version}\"}} 1"
    );
    out
}

//! `embargod run`: the daemon. Three parties and one loop: the mailbox and the couriers wait on
//! sockets, the engine decides on a thread of its own, and everything that can wake it is one
//! closed type.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use clap::Args;
use rustix::fs::{FlockOperation, flock};
use sd_notify::NotifyState;
use zeroize::Zeroizing;

use crate::config;
use crate::config::Level;
use crate::domain::facts::names::{Moment, Span, later};
use crate::edge::clock::WallClock;
use crate::edge::imap::Way;
use crate::edge::oauth::Keeps;
use crate::edge::smtp::couriers::{self, Handed, Post};
use crate::edge::{SystemEntropy, imap};
use crate::engine::{Engine, Heard, SharedStore, lock};
use crate::error::{Fault, Place};
use crate::ports::clock::Clock;
use crate::ports::store::{Journal, Note};

use super::pulse::Pulse;
use super::{Done, say};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// At the first run on a mailbox, take in mails that arrived since this date as well.
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Option<chrono::NaiveDate>,
    /// Write the log as JSON lines.
    #[arg(long)]
    json: bool,
}

/// Everything that can wake the engine.
enum Wake {
    /// Somebody who waits on a socket says something.
    Heard(Heard),
    /// Stop in order; the second time at once.
    Stop,
}

/// The longest the engine sleeps: what is due is looked at again whatever woke it, so that a clock
/// that was set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(30);

impl Run {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        log(self.json);
        let mut config = config::read_or_fault(path, now)?;
        config.mailbox.since =
            self.since.and_then(|date| date.and_hms_opt(0, 0, 0)).map(|date| date.and_utc());
        for warning in config.findings.iter().filter(|found| found.level == Level::Warn) {
            // Its words may hold an address.
            let place = &warning.place;
            tracing::warn!(event = "config.warning", %place, "The config has something to see to: `embargod check` says what.");
        }
        let _only_one = only_one(&config.store)?;
        let store = config.open_store_alone()?;
        let keyring = config::keyring(&config, store.secrets()?.session_salt, now)?;
        let engine = Engine::start(
            Box::new(store),
            keyring,
            &config.sources,
            Box::new(WallClock),
            Box::new(SystemEntropy),
        )?;
        let mut engine = engine;
        engine.await_mailbox();
        config.mailbox.mark = engine.mark();
        if let Some(giver) = &config.oauth {
            giver.keep_in(Arc::new(InEngine(engine.store())));
        }
        tracing::info!(
            event = "desk.started",
            version = env!("CARGO_PKG_VERSION"),
            incidents = engine.desk().open().count(),
            "The database is open."
        );
        engine.probes_daily();
        engine.looks_every(&config.mailbox.folder, config.mailbox.full_look.as_secs());
        let pulse =
            Pulse::new(config.metrics.as_deref(), config.heartbeat.as_ref(), silence(&config))?;
        let address = &config.sources.settings.address;
        say(&match engine.held() {
            Some(why) => format!(
                "embargod: HELD, the database is an older one: {why}. Put the newest back, or run `embargod restored --yes`"
            ),
            None => format!("embargod: the database is open; looking at the mailbox of {address}"),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .at(|| "runtime".to_owned())?;
        let (wake, woken) = channel();
        let couriers = runtime.block_on(async { couriers::hire(post(&config, &engine, &wake)) });
        let mailbox_wake = wake.clone();
        let way: Way = Arc::new(move |ask| {
            // The engine being gone drops the answer's sender, which the mailbox notices.
            let _ = mailbox_wake.send(Wake::Heard(Heard::Mailbox(ask)));
        });
        let clock = WallClock;
        runtime.spawn(imap::watch(config.mailbox.clone(), way, move || clock.now()));
        runtime.spawn(stop_on_signal(wake));
        // What nobody waits for is no trouble: without systemd it says nothing.
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        let ended = serve(engine, &woken, &couriers, &config, pulse);
        runtime.shutdown_timeout(Duration::from_secs(2));
        ended.map(|()| ExitCode::SUCCESS)
    }
}

/// The running desk's store, as a place to keep a sign-in in.
struct InEngine(SharedStore);

impl Keeps for InEngine {
    fn kept(&self) -> Result<Option<Zeroizing<String>>, Fault> {
        Ok(lock(&self.0).note(Note::SignIn)?.map(Zeroizing::new))
    }

    fn keep(&self, text: &str) -> Result<(), Fault> {
        let mut store = lock(&self.0);
        store.set_note(Note::SignIn, Some(text))?;
        store.write_out()
    }
}

fn log(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("EMBARGOD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("embargod=info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    if json { log.json().init() } else { log.init() }
}

/// Makes sure that this desk runs once. Two would answer everything twice.
pub(super) fn only_one(store: &Path) -> Result<std::fs::File, Fault> {
    let path = store.with_extension("lock");
    let place = || path.display().to_string();
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .at(place)?;
    // Whoever looks whether a desk runs holds it for a moment.
    for _ in 0..10 {
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(file);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Fault::new("this desk is running already", "stop the other one first"))
}

/// Whether a desk runs on a store.
pub(super) fn is_running(store: &Path) -> bool {
    let Ok(file) = std::fs::File::open(store.with_extension("lock")) else { return false };
    flock(&file, FlockOperation::NonBlockingLockShared).is_err()
}

async fn stop_on_signal(wake: Sender<Wake>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    loop {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        if wake.send(Wake::Stop).is_err() {
            return;
        }
    }
}

/// How long whoever watches the mailbox may say nothing, at most: a look at all of it, and the longest that one
/// answer may take.
fn silence(config: &config::Config) -> Duration {
    config.mailbox.full_look.saturating_add(imap::ANSWER_MAX).saturating_add(SLEEP_MAX * 4)
}

/// What couriers need of a desk.
fn post(config: &config::Config, engine: &Engine, wake: &Sender<Wake>) -> Post {
    let (store, marked) = (engine.store(), engine.store());
    let (wake, slow, takes) = (wake.clone(), wake.clone(), wake.clone());
    Post {
        takes: Arc::new(move |largest| {
            let _ = takes.send(Wake::Heard(Heard::Takes(largest)));
        }),
        slow: Arc::new(move |row| {
            let _ = slow.send(Wake::Heard(Heard::Slow(row)));
        }),
        server: config.smtp.server.clone(),
        own: config.sources.settings.address.clone(),
        connections: config.smtp.connections,
        connections_max: config.smtp.connections_max,
        door: engine.door(),
        mark: Arc::new(move |rows| Engine::in_flight(&store, rows)),
        called_back: Arc::new(move |row| Engine::is_called_back(&marked, row)),
        settled: Arc::new(move |done| {
            // The engine being gone leaves the mark, and so the mail counts as perhaps sent.
            let _ = wake.send(Wake::Heard(Heard::Settled(done)));
        }),
    }
}

/// The loop: takes what wakes it, then looks at everything that could be due.
fn serve(
    mut engine: Engine,
    woken: &Receiver<Wake>,
    couriers: &tokio::sync::mpsc::UnboundedSender<Handed>,
    config: &config::Config,
    mut pulse: Pulse,
) -> Result<(), Fault> {
    let clock = WallClock;
    let door = engine.door();
    let store = engine.store();
    let mut at_its_desk = false;
    let mut share = Share::new(config.smtp.connections, config.smtp.connections_max);
    let mut heard = Vec::new();
    engine.gathers();
    loop {
        let turn = engine.turn(std::mem::take(&mut heard), share.in_hand)?;
        for row in turn.hand_over {
            // A courier that is gone took the runtime with it; the attempt is written down.
            let _ = couriers.send((row, door.load(Ordering::SeqCst)));
        }
        if !at_its_desk && engine.heart().folders.values().all(|look| look.ended.is_some()) {
            at_its_desk = true;
            let (address, open) = (&config.sources.settings.address, engine.desk().open().count());
            say(&format!("embargod: {address} is at its desk, {open} incidents open"));
        }
        let now = clock.now();
        pulse.beat(engine.heart(), &store, engine.in_hand_for(), now);
        for (ailment, why) in pulse.untold() {
            engine.ail(ailment, why);
        }
        let pause = if turn.more { Duration::ZERO } else { pause(&engine, now)? };
        let pause = pulse.sleep_max().map_or(pause, |most| pause.min(most));
        let taken = take(woken, pause)?;
        if taken.heard.iter().any(|word| matches!(word, Heard::Mailbox(_))) {
            pulse.hears();
        }
        heard = taken.heard;
        share.took(heard.iter().map(Heard::settled).sum(), engine.in_hand_for());
        if taken.stop {
            let stopped = stop(&mut engine, woken, heard, config.smtp.stop);
            return stopped.and_then(|()| engine.rest()).and_then(|()| engine.write_out());
        }
    }
}

/// How many mails couriers have in hand: as many as leave within half a second, so that what is urgent does not
/// stand behind many others at a server that is slow.
struct Share {
    least: usize,
    most: usize,
    in_hand: usize,
}

impl Share {
    fn new(connections: usize, connections_max: usize) -> Self {
        let (least, most) = (connections.saturating_mul(4), connections_max.saturating_mul(32));
        Self { least, most, in_hand: least.saturating_mul(4).min(most) }
    }

    /// Some have left, and the oldest of the others is in hand for so long.
    fn took(&mut self, count: usize, oldest: Option<Duration>) {
        let next = match oldest.unwrap_or_default().as_millis() {
            _ if count == 0 => self.in_hand,
            0..500 => self.in_hand.saturating_mul(2),
            500..1_000 => self.in_hand,
            _ => self.in_hand / 2,
        };
        self.in_hand = next.clamp(self.least, self.most);
    }
}

/// What was taken from those who wait on sockets.
struct Taken {
    heard: Vec<Heard>,
    stop: bool,
}

/// Takes what wakes the engine, and whatever else has come meanwhile along with it, so that mails are opened,
/// and outcomes written down, in batches.
fn take(woken: &Receiver<Wake>, pause: Duration) -> Result<Taken, Fault> {
    let mut next = match woken.recv_timeout(pause) {
        Ok(wake) => Some(wake),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => {
            return Err(Fault::new("the mailbox and the couriers are gone", ""));
        }
    };
    let mut taken = Taken { heard: Vec::new(), stop: false };
    while let Some(wake) = next {
        match wake {
            Wake::Heard(word) => taken.heard.push(word),
            Wake::Stop => taken.stop = true,
        }
        next = if taken.stop { None } else { woken.try_recv().ok() };
    }
    Ok(taken)
}

/// Stops in order: nothing more is handed over, and the server's answers to what has left are waited for, so
/// that no mail is left of which nobody knows whether it did.
fn stop(
    engine: &mut Engine,
    woken: &Receiver<Wake>,
    heard: Vec<Heard>,
    patience: Duration,
) -> Result<(), Fault> {
    engine.call_back();
    engine.hear(heard)?;
    engine.write_out()?;
    let micros = u32::try_from(patience.as_micros()).unwrap_or(u32::MAX);
    let _ = sd_notify::notify(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(micros)]);
    let clock = WallClock;
    let end = later(clock.now(), Span::from_std(patience).unwrap_or(Span::zero()));
    if engine.in_hand() > 0 {
        tracing::info!(
            event = "desk.stopping",
            mails = engine.in_hand(),
            seconds = patience.as_secs(),
            "Stopping: the mail server still owes answers. A second signal stops at once."
        );
    }
    while engine.in_hand() > 0 {
        let left = end.signed_duration_since(clock.now()).to_std().unwrap_or_default();
        let taken = take(woken, left)?;
        engine.hear(taken.heard)?;
        engine.write_out()?;
        if taken.stop || left.is_zero() {
            tracing::warn!(
                event = "desk.stopped",
                mails = engine.in_hand(),
                "Stopped; these may or may not have left."
            );
            return Ok(());
        }
    }
    tracing::info!(event = "desk.stopped", mails = 0, "Stopped in order.");
    Ok(())
}

/// How long nothing is due. Never quite nothing: a duty that waits for the clock must not spin.
fn pause(engine: &Engine, now: Moment) -> Result<Duration, Fault> {
    let Some(next) = engine.next_due()? else { return Ok(SLEEP_MAX) };
    let wait = next.signed_duration_since(now).max(Span::milliseconds(20));
    Ok(wait.to_std().unwrap_or(SLEEP_MAX).min(SLEEP_MAX))
}

//! `embargod run`: the daemon. Three parties and one loop: the mailbox and the couriers wait on
//! sockets, the engine decides on a thread of its own, and everything that can wake it is one
//! closed type.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use clap::Args;

use crate::config;
use crate::domain::facts::names::{Moment, Span};
use crate::domain::outgoing::mail::Outcome;
use crate::edge::clock::WallClock;
use crate::edge::imap::{MailboxAsk, Way};
use crate::edge::smtp::Courier;
use crate::edge::{SystemEntropy, imap};
use crate::engine::{Engine, SharedStore};
use crate::error::{Fault, Place};
use crate::ports::clock::Clock;
use crate::ports::store::{Journal, Outgoing};

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
    /// The mailbox asks something.
    Mailbox(MailboxAsk),
    /// A courier is done with a mail.
    Settled(Box<Outgoing>, Outcome),
    /// Stop in order.
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
        for warning in &config.warnings {
            tracing::warn!("{}", warning.what);
        }
        let _only_one = only_one(&config.store)?;
        let store = config.open_store_alone()?;
        let keyring = config::keyring(&config, store.secrets()?.session_salt, now)?;
        let engine = Engine::start(
            Box::new(store),
            keyring,
            &config.sources,
            Box::new(WallClock::start()),
            Box::new(SystemEntropy),
        )?;
        let mut engine = engine;
        engine.await_mailbox();
        config.mailbox.mark = engine.mark();
        say(&match engine.held() {
            Some(why) => format!(
                "embargod: HELD, the database is an older one: {why}. Put the newest back, or run `embargod restored --yes`"
            ),
            None => format!(
                "embargod: {} is at its desk, {} incidents open",
                config.sources.settings.address,
                engine.desk().open().count()
            ),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .at(|| "runtime".to_owned())?;
        let (wake, woken) = channel();
        let store = engine.store();
        let couriers = runtime.block_on(async { hire(&config, &store, &wake) });
        let mailbox_wake = wake.clone();
        let way: Way = Arc::new(move |ask| {
            // The engine being gone drops the answer's sender, which the mailbox notices.
            let _ = mailbox_wake.send(Wake::Mailbox(ask));
        });
        let clock = WallClock::start();
        runtime.spawn(imap::watch(config.mailbox.clone(), way, move || clock.now()));
        runtime.spawn(stop_on_signal(wake));
        let ended = serve(engine, &woken, &couriers, config.connections);
        runtime.shutdown_timeout(Duration::from_secs(2));
        ended.map(|()| ExitCode::SUCCESS)
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
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| Fault::new("this desk is running already", "stop the other one first"))?;
    Ok(file)
}

async fn stop_on_signal(wake: Sender<Wake>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    let _ = wake.send(Wake::Stop);
}

/// Starts the couriers; each takes the next mail when it is done with one.
fn hire(
    config: &config::Config,
    store: &SharedStore,
    wake: &Sender<Wake>,
) -> tokio::sync::mpsc::UnboundedSender<Outgoing> {
    let (hand, mails) = tokio::sync::mpsc::unbounded_channel::<Outgoing>();
    let mails = Arc::new(tokio::sync::Mutex::new(mails));
    for _ in 0..config.connections {
        let mut courier =
            Courier::new(config.smtp.clone(), config.sources.settings.address.clone());
        let (mails, store, wake) = (Arc::clone(&mails), Arc::clone(store), wake.clone());
        tokio::spawn(async move {
            loop {
                let next = tokio::time::timeout(Duration::from_secs(60), async {
                    mails.lock().await.recv().await
                })
                .await;
                let row = match next {
                    Ok(Some(row)) => row,
                    Ok(None) => break,
                    // Nothing to do for a minute: a connection that stands idle is closed in order.
                    Err(_) => {
                        courier.close().await;
                        continue;
                    }
                };
                let (marking, copy) = (Arc::clone(&store), row.clone());
                let last_bytes = async move {
                    let done =
                        tokio::task::spawn_blocking(move || Engine::in_flight(&marking, &copy))
                            .await;
                    done.unwrap_or_else(|_| Err(Fault::new("the store is gone", "")))
                };
                let outcome = courier.hand_over(&row, last_bytes).await;
                if wake.send(Wake::Settled(Box::new(row), outcome)).is_err() {
                    break;
                }
            }
        });
    }
    hand
}

/// The loop: takes what wakes it, then looks at everything that could be due.
fn serve(
    mut engine: Engine,
    woken: &Receiver<Wake>,
    couriers: &tokio::sync::mpsc::UnboundedSender<Outgoing>,
    connections: usize,
) -> Result<(), Fault> {
    let clock = WallClock::start();
    // Whether copies of a notice are leaving: then the rest of them goes before what has come.
    let mut more = false;
    loop {
        while !more && engine.work_inbox()? > 0 {}
        more = engine.work_due()?;
        for row in engine.dispatch(connections.saturating_mul(16))? {
            // A courier that is gone took the runtime with it; the attempt is written down.
            let _ = couriers.send(row);
        }
        let pause = if more { Duration::ZERO } else { pause(&engine, clock.now())? };
        let mut next = match woken.recv_timeout(pause) {
            Ok(wake) => Some(wake),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Fault::new("the mailbox and the couriers are gone", ""));
            }
        };
        // Whatever else has come meanwhile is taken along, so that mails are opened, and outcomes
        // written down, in batches.
        let mut settled = Vec::new();
        while let Some(wake) = next {
            match wake {
                Wake::Settled(row, outcome) => settled.push((*row, outcome)),
                Wake::Mailbox(ask) => engine.answer(ask)?,
                Wake::Stop => {
                    engine.settle_all(&settled)?;
                    tracing::info!("Stopped in order.");
                    return Ok(());
                }
            }
            next = woken.try_recv().ok();
        }
        engine.settle_all(&settled)?;
    }
}

/// How long nothing is due. Never quite nothing: a duty that waits for the clock must not spin.
fn pause(engine: &Engine, now: Moment) -> Result<Duration, Fault> {
    let Some(next) = engine.next_due()? else { return Ok(SLEEP_MAX) };
    let wait = next.signed_duration_since(now).max(Span::milliseconds(20));
    Ok(wait.to_std().unwrap_or(SLEEP_MAX).min(SLEEP_MAX))
}

//! The couriers together: who has which mail in hand, over how many connections.
//!
//! So many mails are handed over at a time as the operator says. A server that does not answer after the last
//! bytes holds up none of the others: whoever waits for it no longer counts, and another connection takes
//! their place, up to the most that the operator lets stand.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::domain::facts::names::Address;
use crate::domain::outgoing::verdict::Outcome;
use crate::edge::server::Server;
use crate::edge::smtp::{Courier, Lines};
use crate::error::Fault;
use crate::ports::store::{CALLED_BACK, Outgoing};

/// A connection that had nothing to do for so long is closed in order.
const IDLE: Duration = Duration::from_secs(60);
/// So long after it let nobody else in the server is asked again.
const AGAIN: Duration = Duration::from_secs(2);
/// For so long one connection fewer is used, after the server let no more in.
const FEWER: Duration = Duration::from_secs(60);
/// So many mails are marked together at most.
const MARKED_MAX: usize = 32;

/// Marks mails as about to leave, and gives their bytes.
pub type Mark = Arc<dyn Fn(&[i64]) -> Vec<Result<Vec<u8>, Fault>> + Send + Sync>;
/// Hears what became of a mail.
pub type Settled = Arc<dyn Fn(Outgoing, Outcome) + Send + Sync>;
/// A mail, and how often all that is in hand had been called back when it was given out.
pub type Handed = (Outgoing, u64);

/// What couriers need.
pub struct Post {
    /// The mail server.
    pub server: Server,
    /// The desk's own address.
    pub own: Address,
    /// So many mails are handed over at a time.
    pub connections: usize,
    /// So many connections stand at most, with those that wait for a slow server.
    pub connections_max: usize,
    /// Counts how often all that is in hand was called back.
    pub door: Arc<AtomicU64>,
    /// Marks mails as about to leave.
    pub mark: Mark,
    /// Hears of one that the server lets wait after the last bytes: it holds up no other.
    pub slow: Arc<dyn Fn(i64) + Send + Sync>,
    /// Hears how large a mail the server takes, once for each answer.
    pub takes: Arc<dyn Fn(Option<u64>) + Send + Sync>,
    /// Hears what became of each.
    pub settled: Settled,
}

/// How large a mail the server takes, as it last said.
struct Size {
    said: Mutex<Option<Option<u64>>>,
    takes: Arc<dyn Fn(Option<u64>) + Send + Sync>,
}

impl Size {
    /// Passes on what is new.
    fn hears(&self, largest: Option<Option<u64>>) {
        let Some(largest) = largest else { return };
        let before = self.said.lock().unwrap_or_else(PoisonError::into_inner).replace(largest);
        if before != Some(largest) {
            (self.takes)(largest);
        }
    }
}

type Clerk = mpsc::UnboundedSender<(i64, oneshot::Sender<Result<Vec<u8>, Fault>>)>;
type Idle = Arc<Mutex<Vec<(Courier, tokio::time::Instant)>>>;

/// Starts the couriers; they end when nobody can hand them anything any more. To be called within the
/// runtime.
#[must_use]
pub fn hire(post: Post) -> mpsc::UnboundedSender<Handed> {
    let (hand, mails) = mpsc::unbounded_channel();
    tokio::spawn(give_out(post, mails));
    hand
}

async fn give_out(post: Post, mut mails: mpsc::UnboundedReceiver<Handed>) {
    let at_work = Arc::new(Semaphore::new(post.connections));
    let standing = Arc::new(Semaphore::new(post.connections_max.max(post.connections)));
    let idle = Idle::default();
    let lines = Lines::default();
    let fewer = Arc::new(AtomicUsize::new(0));
    let room = Arc::new(Notify::new());
    let size = Arc::new(Size { said: Mutex::new(None), takes: Arc::clone(&post.takes) });
    let clerk = employ(Arc::clone(&post.mark));
    loop {
        let Ok(place) = Arc::clone(&at_work).acquire_owned().await else { return };
        let Some(line) = line_for(&standing, &room, &mails).await else { return };
        let (row, number) = loop {
            match tokio::time::timeout(IDLE, mails.recv()).await {
                Ok(Some(handed)) => break handed,
                Ok(None) => return,
                Err(_) => close_idle(&idle).await,
            }
        };
        let back = Arc::clone(&post.door);
        let is_called_back = move || back.load(Ordering::SeqCst) != number;
        if is_called_back() {
            (post.settled)(row, Outcome::Untried);
            continue;
        }
        // The one that was at work last: its connection is the freshest.
        let courier = idle.lock().unwrap_or_else(PoisonError::into_inner).pop().map(|it| it.0);
        let lines = Lines::clone(&lines);
        let new = || Courier::among(post.server.clone(), post.own.clone(), Lines::clone(&lines));
        let mut courier = courier.unwrap_or_else(new);
        let (idle, clerk) = (Arc::clone(&idle), clerk.clone());
        let (settled, slow) = (Arc::clone(&post.settled), Arc::clone(&post.slow));
        let size = Arc::clone(&size);
        let (fewer, room, most) = (Arc::clone(&fewer), Arc::clone(&room), post.connections);
        tokio::spawn(async move {
            let last_bytes = async {
                if is_called_back() {
                    return Err(Fault::new(CALLED_BACK, "nothing; it is looked at again"));
                }
                let (tell, told) = oneshot::channel();
                let gone = |_| Fault::new("the desk is stopping", "");
                clerk.send((row.id, tell)).map_err(|_| Fault::new("the desk is stopping", ""))?;
                told.await.map_err(gone)?
            };
            let place = Mutex::new(Some(place));
            let let_go = || place.lock().unwrap_or_else(PoisonError::into_inner).take();
            let is_slow = || {
                drop(let_go());
                slow(row.id);
            };
            let mut outcome = courier.hand_over(&row, last_bytes, is_slow, &room).await;
            size.hears(courier.largest());
            // A server that lets no more of us in is not one that takes nothing: fewer go on.
            let others = lines.load(Ordering::SeqCst) > 0;
            if courier.stood_outside() && others && !matches!(outcome, Outcome::Untried) {
                tracing::info!(
                    event = "server.fewer",
                    "The mail server lets fewer connections in; fewer are used for a while."
                );
                outcome = Outcome::Untried;
                use_fewer(let_go(), &fewer, most).await;
            }
            if !courier.is_closed() {
                let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.push((courier, tokio::time::Instant::now()));
            }
            drop(line);
            settled(row, outcome);
        });
    }
}

/// For a while one mail fewer is handed over at a time. One always is, whatever the server says: those who are
/// let in may hang.
async fn use_fewer(place: Option<OwnedSemaphorePermit>, fewer: &Arc<AtomicUsize>, most: usize) {
    let is_one_left = fewer.fetch_add(1, Ordering::SeqCst).saturating_add(1) >= most;
    let fewer = Arc::clone(fewer);
    let Some(place) = place.filter(|_| !is_one_left) else {
        fewer.fetch_sub(1, Ordering::SeqCst);
        // Nor is it asked without a pause.
        return tokio::time::sleep(AGAIN).await;
    };
    tokio::spawn(async move {
        tokio::time::sleep(FEWER).await;
        drop(place);
        fewer.fetch_sub(1, Ordering::SeqCst);
    });
}

/// One of the connections that may stand. Where all of them wait for a server that does not answer, one of those
/// that have waited long makes room.
async fn line_for(
    standing: &Arc<Semaphore>,
    room: &Notify,
    mails: &mpsc::UnboundedReceiver<Handed>,
) -> Option<OwnedSemaphorePermit> {
    loop {
        let line = Arc::clone(standing).acquire_owned();
        match tokio::time::timeout(AGAIN, line).await {
            Ok(line) => return line.ok(),
            Err(_) if mails.is_empty() => {}
            Err(_) => room.notify_one(),
        }
    }
}

async fn close_idle(idle: &Idle) {
    let long = |since: &tokio::time::Instant| since.elapsed() >= IDLE;
    let closed: Vec<_> = {
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.iter().position(|(_, since)| !long(since)).unwrap_or(idle.len());
        idle.drain(..kept).collect()
    };
    for (mut courier, _) in closed {
        courier.close().await;
    }
}

/// One who marks what is about to leave: all that are asked for meanwhile in one go.
fn employ(mark: Mark) -> Clerk {
    let (ask, mut asked) = mpsc::unbounded_channel::<(i64, oneshot::Sender<_>)>();
    tokio::spawn(async move {
        while let Some(first) = asked.recv().await {
            let mut together = vec![first];
            while together.len() < MARKED_MAX
                && let Ok(more) = asked.try_recv()
            {
                together.push(more);
            }
            let ids: Vec<i64> = together.iter().map(|(id, _)| *id).collect();
            let mark = Arc::clone(&mark);
            let marked = tokio::task::spawn_blocking(move || mark(&ids)).await;
            for ((_, tell), bytes) in together.into_iter().zip(marked.unwrap_or_default()) {
                // Whoever asked and is gone leaves a mark behind: the mail counts as perhaps sent.
                let _ = tell.send(bytes);
            }
        }
    });
    ask
}

//! The couriers together: who has which mails in hand, over how many connections.
//!
//! A courier gets several mails at once, marks them together, and hands one after the other over. So many are at
//! work as the operator says, and more where what waits would take them long: connections are opened for what
//! is waiting, and closed once they are idle. A server that does not answer after the last bytes holds up none
//! of the others: whoever waits for it gives back what else was in hand and no longer counts, and another
//! connection takes their place, up to the most that the operator lets stand.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::domain::facts::names::Address;
use crate::domain::outgoing::verdict::Outcome;
use crate::edge::server::Server;
use crate::edge::smtp::{Courier, Lines};
use crate::error::Fault;
use crate::ports::store::{CALLED_BACK, Content, Outgoing};

/// A connection that had nothing to do for so long is closed in order.
const IDLE: Duration = Duration::from_secs(60);
/// So long after it let nobody else in the server is asked again.
const AGAIN: Duration = Duration::from_secs(2);
/// For so long one connection fewer is used, after the server let no more in.
const FEWER: Duration = Duration::from_secs(60);
/// So many mails, and of so many bytes together, a courier has in hand at most; one always. What is marked when
/// the machine stops may have left, and is sent once more.
const PARCEL: usize = 16;
const PARCEL_BYTES: u64 = 256 * 1024;
/// And no more than leave within this time.
const MOMENT: Duration = Duration::from_millis(400);
/// What became of them is told together, and no later than this.
const TOLD: Duration = Duration::from_millis(20);
/// What waits is to have left within this time, if more connections make it so.
const AIM: Duration = Duration::from_millis(250);
/// So often it is looked at again whether they would.
const LOOKS: Duration = Duration::from_millis(20);

/// Marks mails as about to leave, and gives their bytes.
pub type Mark = Arc<dyn Fn(&[i64]) -> Marked + Send + Sync>;
/// The bytes of each, or why it does not leave.
pub type Marked = Vec<Result<Content, Fault>>;
/// Hears what became of mails.
pub type Settled = Arc<dyn Fn(Vec<(Outgoing, Outcome)>) + Send + Sync>;
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
    /// Whether one that is marked was called back since.
    pub called_back: Arc<dyn Fn(i64) -> bool + Send + Sync>,
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

type Clerk = mpsc::UnboundedSender<(Vec<i64>, oneshot::Sender<Marked>)>;
type Idle = Arc<Mutex<Vec<(Courier, tokio::time::Instant)>>>;

/// Starts the couriers; they end when nobody can hand them anything any more. To be called within the
/// runtime.
#[must_use]
pub fn hire(post: Post) -> mpsc::UnboundedSender<Handed> {
    let (hand, mails) = mpsc::unbounded_channel();
    tokio::spawn(give_out(post, mails));
    hand
}

/// What couriers share.
struct Office {
    post: Post,
    at_work: Arc<Semaphore>,
    more: Arc<Semaphore>,
    standing: Arc<Semaphore>,
    idle: Idle,
    lines: Lines,
    fewer: Arc<AtomicUsize>,
    room: Arc<Notify>,
    size: Size,
    clerk: Clerk,
    /// Microseconds that a mail takes, the newest ones counting most.
    each: AtomicU64,
}

async fn give_out(post: Post, mut mails: mpsc::UnboundedReceiver<Handed>) {
    let most = post.connections_max.max(post.connections);
    let office = Arc::new(Office {
        at_work: Arc::new(Semaphore::new(post.connections)),
        more: Arc::new(Semaphore::new(most.saturating_sub(post.connections))),
        standing: Arc::new(Semaphore::new(most)),
        idle: Idle::default(),
        lines: Lines::default(),
        fewer: Arc::new(AtomicUsize::new(0)),
        room: Arc::new(Notify::new()),
        size: Size { said: Mutex::new(None), takes: Arc::clone(&post.takes) },
        clerk: employ(Arc::clone(&post.mark)),
        each: AtomicU64::new(0),
        post,
    });
    let mut waiting: VecDeque<Handed> = VecDeque::new();
    loop {
        while waiting.is_empty() {
            match tokio::time::timeout(IDLE, mails.recv()).await {
                Ok(Some(handed)) => waiting.push_back(handed),
                Ok(None) => return,
                Err(_) => close_idle(&office.idle).await,
            }
        }
        let Some(place) = office.place(&mut waiting, &mut mails).await else { return };
        let Some(line) = line_for(&office.standing, &office.room).await else { return };
        let parcel = office.parcel(&mut waiting);
        if parcel.is_empty() {
            continue;
        }
        let office = Arc::clone(&office);
        tokio::spawn(async move {
            office.carry(parcel, place).await;
            drop(line);
        });
    }
}

impl Office {
    /// Somebody who is free; or one more, where what waits would take those who are at work long.
    async fn place(
        &self,
        waiting: &mut VecDeque<Handed>,
        mails: &mut mpsc::UnboundedReceiver<Handed>,
    ) -> Option<OwnedSemaphorePermit> {
        loop {
            while let Ok(handed) = mails.try_recv() {
                waiting.push_back(handed);
            }
            let free = Arc::clone(&self.at_work).acquire_owned();
            if let Ok(place) = tokio::time::timeout(Duration::ZERO, free).await {
                return place.ok();
            }
            let count = u64::try_from(waiting.len()).unwrap_or(u64::MAX);
            let long = count.saturating_mul(self.each.load(Ordering::Relaxed));
            let at_work = u64::try_from(self.at_work().max(1)).unwrap_or(1);
            let aim = u64::try_from(AIM.as_micros()).unwrap_or(u64::MAX);
            if long > aim.saturating_mul(at_work)
                && let Ok(place) = Arc::clone(&self.more).try_acquire_owned()
            {
                return Some(place);
            }
            let free = Arc::clone(&self.at_work).acquire_owned();
            if let Ok(place) = tokio::time::timeout(LOOKS, free).await {
                return place.ok();
            }
        }
    }

    /// How many are at work.
    fn at_work(&self) -> usize {
        let most = self.post.connections_max.max(self.post.connections);
        let free = self.at_work.available_permits().saturating_add(self.more.available_permits());
        most.saturating_sub(free)
    }

    fn is_called_back(&self, number: u64) -> bool {
        self.post.door.load(Ordering::SeqCst) != number
    }

    /// The share of one courier of what waits, with when it was given out. What was called back goes back.
    fn parcel(&self, waiting: &mut VecDeque<Handed>) -> VecDeque<Handed> {
        let lines = self.at_work().max(self.post.connections).max(1);
        // No more than leave in a moment: whatever is behind them in a parcel has no other way.
        let each = self.each.load(Ordering::Relaxed);
        let fit = u64::try_from(MOMENT.as_micros()).unwrap_or(0).checked_div(each).unwrap_or(4);
        let fit = usize::try_from(fit).unwrap_or(PARCEL).clamp(1, PARCEL);
        let share = waiting.len().div_ceil(lines).clamp(1, fit);
        let (mut parcel, mut back, mut bytes) = (VecDeque::new(), Vec::new(), 0_u64);
        while parcel.len() < share
            && let Some((row, number)) = waiting.pop_front()
        {
            if self.is_called_back(number) {
                back.push((row, Outcome::Untried));
                continue;
            }
            bytes = bytes.saturating_add(row.size);
            if bytes > PARCEL_BYTES && !parcel.is_empty() {
                waiting.push_front((row, number));
                break;
            }
            parcel.push_back((row, number));
        }
        if !back.is_empty() {
            (self.post.settled)(back);
        }
        parcel
    }

    /// Hands the mails of a parcel over, one after the other.
    async fn carry(&self, parcel: VecDeque<Handed>, place: OwnedSemaphorePermit) {
        // The one that was at work last: its connection is the freshest.
        let courier = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let own = self.post.own.clone();
        let new = || Courier::among(self.post.server.clone(), own, Lines::clone(&self.lines));
        let mut courier = courier.map_or_else(new, |(courier, _)| courier);
        let place = Mutex::new(Some(place));
        let let_go = || place.lock().unwrap_or_else(PoisonError::into_inner).take();
        let rest = Mutex::new(parcel);
        let bytes: Mutex<Option<VecDeque<Result<Content, Fault>>>> = Mutex::new(None);
        let (mut done, mut told) = (Vec::new(), tokio::time::Instant::now());
        loop {
            let begun = tokio::time::Instant::now();
            let (row, next) = {
                let mut rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
                let Some((row, number)) = rest.pop_front() else { break };
                ((row, number), rest.front().map(|(row, _)| row.clone()))
            };
            let (row, number) = row;
            let is_slow = || {
                drop(let_go());
                // Whoever waits here holds up no other.
                self.put_back(&rest);
                (self.post.slow)(row.id);
            };
            let last_bytes = self.last_bytes(&row, number, &rest, &bytes);
            let room = &self.room;
            let mut outcome =
                courier.hand_over_before(&row, next.as_ref(), last_bytes, is_slow, room).await;
            self.size.hears(courier.largest());
            let goes_on = matches!(outcome, Outcome::Accepted(_))
                || matches!(&outcome, Outcome::Said(..)) && !courier.is_closed();
            if goes_on {
                self.takes(begun.elapsed());
            }
            // A server that lets no more of us in is not one that takes nothing: fewer go on.
            let others = self.lines.load(Ordering::SeqCst) > 0;
            if courier.stood_outside() && others && !matches!(outcome, Outcome::Untried) {
                tracing::info!(
                    event = "server.fewer",
                    "The mail server lets fewer connections in; fewer are used for a while."
                );
                outcome = Outcome::Untried;
                use_fewer(let_go(), &self.fewer, self.post.connections).await;
            }
            done.push((row, outcome));
            if !goes_on {
                break;
            }
            if told.elapsed() >= TOLD {
                (self.post.settled)(std::mem::take(&mut done));
                told = tokio::time::Instant::now();
            }
        }
        courier.leave_off();
        if !courier.is_closed() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push((courier, tokio::time::Instant::now()));
        }
        (self.post.settled)(done);
        self.put_back(&rest);
    }

    /// What of a parcel is not tried: it waits for its turn again.
    fn put_back(&self, rest: &Mutex<VecDeque<Handed>>) {
        let rest = std::mem::take(&mut *rest.lock().unwrap_or_else(PoisonError::into_inner));
        if !rest.is_empty() {
            (self.post.settled)(rest.into_iter().map(|(row, _)| (row, Outcome::Untried)).collect());
        }
    }

    /// Takes note of how long a mail took.
    fn takes(&self, long: Duration) {
        let long = u64::try_from(long.as_micros()).unwrap_or(u64::MAX);
        let before = self.each.load(Ordering::Relaxed);
        let now =
            if before == 0 { long } else { before.saturating_mul(7).saturating_add(long) / 8 };
        self.each.store(now, Ordering::Relaxed);
    }

    /// The bytes of a mail that is about to leave. With the first of a parcel all of it is marked.
    async fn last_bytes(
        &self,
        row: &Outgoing,
        number: u64,
        rest: &Mutex<VecDeque<Handed>>,
        bytes: &Mutex<Option<VecDeque<Result<Content, Fault>>>>,
    ) -> Result<Content, Fault> {
        let called_back = || Fault::new(CALLED_BACK, "nothing; it is looked at again");
        if self.is_called_back(number) {
            return Err(called_back());
        }
        let known = {
            let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
            bytes.as_mut().map(|all| all.pop_front())
        };
        if let Some(known) = known {
            // It was marked a moment ago: who may not have it any more was taken in since.
            if (self.post.called_back)(row.id) {
                return Err(called_back());
            }
            return known.unwrap_or_else(|| Err(called_back()));
        }
        let stops = || Fault::new("the desk is stopping", "");
        let ids: Vec<i64> = {
            let rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
            std::iter::once(row.id).chain(rest.iter().map(|(row, _)| row.id)).collect()
        };
        let (tell, told) = oneshot::channel();
        self.clerk.send((ids, tell)).map_err(|_| stops())?;
        let mut all: VecDeque<_> = told.await.map_err(|_| stops())?.into();
        let first = all.pop_front().unwrap_or_else(|| Err(stops()));
        *bytes.lock().unwrap_or_else(PoisonError::into_inner) = Some(all);
        first
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
async fn line_for(standing: &Arc<Semaphore>, room: &Notify) -> Option<OwnedSemaphorePermit> {
    loop {
        let line = Arc::clone(standing).acquire_owned();
        match tokio::time::timeout(AGAIN, line).await {
            Ok(line) => return line.ok(),
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
    let (ask, mut asked) = mpsc::unbounded_channel::<(Vec<i64>, oneshot::Sender<Marked>)>();
    tokio::spawn(async move {
        while let Some(first) = asked.recv().await {
            let mut together = vec![first];
            while let Ok(more) = asked.try_recv() {
                together.push(more);
            }
            let ids: Vec<i64> = together.iter().flat_map(|(ids, _)| ids).copied().collect();
            let mark = Arc::clone(&mark);
            let marked = tokio::task::spawn_blocking(move || mark(&ids)).await;
            let mut marked = marked.unwrap_or_default().into_iter();
            for (ids, tell) in together {
                // Whoever asked and is gone leaves a mark behind: the mail counts as perhaps sent.
                let _ = tell.send(marked.by_ref().take(ids.len()).collect());
            }
        }
    });
    ask
}

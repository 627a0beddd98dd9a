//! The mailbox: taking mails in over IMAP.
//!
//! Durable first, then marked: a mail is handed to the engine's store before the server is told
//! anything, and what the server remembers is never the truth. IDLE makes it quick; a full look at
//! the folder every few minutes makes it certain, whatever IDLE says. Nothing is ever deleted but the
//! desk's own mails to itself, once a newer one has come.

use std::collections::BTreeSet;
use std::time::Duration;

use async_imap::extensions::idle::IdleResponse;
use async_imap::types::{Fetch, Flag, UnsolicitedResponse};
use async_imap::{Client, Session};
use futures::TryStreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::domain::facts::names::{Digest, Moment, Span, later};
use crate::edge::server::Server;
use crate::error::{Fault, Setback};
use crate::ports::store::{Bookmark, Folder, Location, RawMail};

use crate::edge::tls;

/// The mailbox that is watched.
#[derive(Debug, Clone)]
pub struct Mailbox {
    /// Where it is.
    pub server: Server,
    /// The folder.
    pub folder: String,
    /// How often the whole folder is looked at, whatever IDLE says.
    pub full_look: Duration,
    /// Mails larger than this stay on the server; their beginning is kept.
    pub size_max: u32,
    /// Take in mails from this moment on at the first run; otherwise it begins at the present end.
    pub since: Option<Moment>,
    /// The keyword that marks a mail as stored, where the server allows keywords.
    pub mark: String,
}

/// Whoever waits for an answer; gone where the connection broke.
pub type Told<T> = oneshot::Sender<Result<T, Fault>>;

/// What the mailbox asks of the engine.
pub enum MailboxAsk {
    /// Keep these mails; answered once they are durable.
    /// Those of which the hashes stand behind them bear our own mark.
    Keep(Vec<(Option<Location>, RawMail)>, Vec<Digest>, Told<()>),
    /// The folder was looked at in full.
    Looked(Told<()>),
    /// How far is this folder known?
    Bookmark(Folder, Told<Bookmark>),
    /// Below this number nothing is looked at again.
    SetBookmark(Folder, u32, Told<()>),
    /// Which of its mails are stored, from this number on?
    Known(Folder, u32, Told<BTreeSet<u32>>),
    /// Which are stored and not marked on the server?
    ToMark(Folder, Told<Vec<u32>>),
    /// These are marked.
    Marked(Folder, Vec<u32>, Told<()>),
    /// Which of the desk's own witnesses are not needed any more?
    Spent(Folder, Told<Vec<u32>>),
    /// These do not lie there any more.
    Removed(Folder, Vec<u32>, Told<()>),
}

/// The way to the engine.
pub type Way = std::sync::Arc<dyn Fn(MailboxAsk) + Send + Sync>;

trait Wire: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Wire for T {}

type Link = Session<Box<dyn Wire>>;

/// Mails that are fetched, kept and marked together: by number and by size.
const BATCH: usize = 50;
const BATCH_BYTES: u64 = 32 * 1024 * 1024;
/// What is kept of a mail that is too large.
const OVERSIZE_BYTES: usize = 64 * 1024;
/// How long the server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// A server that never speaks while idle may be gone (RFC 2177 asks to renew within 29 minutes).
const IDLE_MAX: Duration = Duration::from_secs(9 * 60);

fn setback(error: impl std::fmt::Display) -> Setback {
    Setback(error.to_string())
}

async fn patient<T, E: std::fmt::Display>(
    what: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Setback> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done.map_err(|error| Setback(format!("{what}: {error}"))),
        Err(_) => Err(Setback(format!("{what}: the server did not answer"))),
    }
}

/// Connects and logs in.
///
/// # Errors
/// What the server or the network said.
pub async fn connect(server: &Server) -> Result<impl Sized + use<>, Setback> {
    log_in(server).await
}

async fn log_in(server: &Server) -> Result<Link, Setback> {
    let connector = tls::connector(server.ca_file.as_deref()).map_err(setback)?;
    let name = tls::server_name(&server.host).map_err(setback)?;
    let address = (server.host.as_str(), server.port);
    let tcp = patient("connecting", TcpStream::connect(address)).await?;
    tcp.set_nodelay(true).map_err(setback)?;
    let stream: Box<dyn Wire> = if server.implicit_tls {
        Box::new(patient("TLS", connector.connect(name, tcp)).await?)
    } else {
        let mut client = Client::new(tcp);
        patient("greeting", client.read_response()).await?;
        patient("STARTTLS", client.run_command_and_check_ok("STARTTLS", None)).await?;
        Box::new(patient("TLS", connector.connect(name, client.into_inner())).await?)
    };
    let mut client = Client::new(stream);
    if server.implicit_tls {
        patient("greeting", client.read_response()).await?;
    }
    let login = client.login(&server.user, &server.password);
    match tokio::time::timeout(PATIENCE, login).await {
        Ok(Ok(session)) => Ok(session),
        // The server's words on a failed login are shown; the password is not among them.
        Ok(Err((error, _))) => Err(Setback(format!("log-in: {error}"))),
        Err(_) => Err(Setback("log-in: the server did not answer".to_owned())),
    }
}

/// Watches the mailbox until the task is dropped. What goes wrong is logged and tried again, later
/// each time.
pub async fn watch(mailbox: Mailbox, way: Way, clock: impl Fn() -> Moment + Send + Sync) {
    let mut wait = Duration::from_secs(1);
    loop {
        let begun = clock();
        let end = Watch { mailbox: &mailbox, way: &way, clock: &clock }.run().await;
        if let Err(why) = end {
            tracing::warn!(%why, "The mailbox is not reachable; it is tried again.");
        }
        if later(begun, Span::minutes(2)) < clock() {
            wait = Duration::from_secs(1);
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(120));
    }
}

struct Watch<'a, C> {
    mailbox: &'a Mailbox,
    way: &'a Way,
    clock: &'a C,
}

impl<C: Fn() -> Moment + Send + Sync> Watch<'_, C> {
    async fn run(&self) -> Result<(), Setback> {
        let mut session = log_in(&self.mailbox.server).await?;
        let capabilities = patient("capabilities", session.capabilities()).await?;
        let can_idle = capabilities.has_str("IDLE");
        // Without it an expunge would take what people have marked as deleted (RFC 4315).
        let can_clean = capabilities.has_str("UIDPLUS");
        let folder = patient("select", session.select(&self.mailbox.folder)).await?;
        let uidvalidity = folder.uid_validity.ok_or_else(|| {
            Setback("the server gives no UIDVALIDITY, so its mails cannot be told apart".to_owned())
        })?;
        let can_mark = folder.permanent_flags.contains(&Flag::MayCreate);
        let begin = self.begin(&mut session, uidvalidity, folder.uid_next).await?;
        tracing::info!(uidvalidity, "The mailbox is being watched.");
        loop {
            self.look(&mut session, uidvalidity, begin).await?;
            self.ask(MailboxAsk::Looked).await?;
            if can_mark {
                self.mark(&mut session, uidvalidity).await?;
            }
            if can_clean {
                self.clean(&mut session, uidvalidity).await?;
            }
            // What the server told while we were busy it does not tell again once we idle.
            let mut news = false;
            while let Ok(told) = session.unsolicited_responses.try_recv() {
                news |= matches!(told, UnsolicitedResponse::Exists(_));
            }
            if !news {
                session = self.wait(session, can_idle).await?;
            }
        }
    }

    /// Asks the engine something.
    async fn ask<T>(&self, question: impl FnOnce(Told<T>) -> MailboxAsk) -> Result<T, Setback> {
        let (told, answer) = oneshot::channel();
        (self.way)(question(told));
        let answer = answer.await.map_err(|_| Setback("the desk is stopping".to_owned()))?;
        answer.map_err(setback)
    }

    fn folder(&self, uidvalidity: u32) -> Folder {
        Folder { name: self.mailbox.folder.clone(), uidvalidity }
    }

    /// Where to begin in this folder: at its present end on the very first run, from the beginning
    /// of the desk's time when the server has numbered its mails anew.
    async fn begin(
        &self,
        session: &mut Link,
        uidvalidity: u32,
        uid_next: Option<u32>,
    ) -> Result<Begin, Setback> {
        let folder = self.folder(uidvalidity);
        let bookmark = self.ask(|told| MailboxAsk::Bookmark(folder, told)).await?;
        let made = bookmark.made;
        match (bookmark.incarnations, bookmark.low_water) {
            // What lies above the low-water mark came after the first run, or was asked for by it;
            // unless the server has numbered everything anew.
            (1, Some(_)) => Ok(Begin { not_before: None }),
            (_, Some(_)) => Ok(Begin { not_before: Some(made) }),
            (1.., None) => {
                tracing::warn!(
                    uidvalidity,
                    "The server has numbered the folder anew; its mails are looked at again."
                );
                self.low_water(uidvalidity, 1).await?;
                Ok(Begin { not_before: Some(self.mailbox.since.unwrap_or(made).min(made)) })
            }
            (_, None) => {
                let first = match self.mailbox.since {
                    Some(_) => 1,
                    None => match uid_next {
                        Some(uid) => uid,
                        // A server that does not say: everything that is there now is old.
                        None => self
                            .uids(session, 1)
                            .await?
                            .last()
                            .map_or(1, |uid| uid.saturating_add(1)),
                    },
                };
                let old = if first > 1 {
                    self.uids(session, 1).await?.iter().filter(|uid| **uid < first).count()
                } else {
                    0
                };
                tracing::info!(
                    left = old,
                    "First run: this many older mails are left where they are."
                );
                self.low_water(uidvalidity, first).await?;
                Ok(Begin { not_before: self.mailbox.since })
            }
        }
    }

    async fn low_water(&self, uidvalidity: u32, uid: u32) -> Result<(), Setback> {
        let folder = self.folder(uidvalidity);
        self.ask(|told| MailboxAsk::SetBookmark(folder, uid, told)).await
    }

    /// The uids of the folder from one on, ascending.
    async fn uids(&self, session: &mut Link, from: u32) -> Result<Vec<u32>, Setback> {
        let found = patient("search", session.uid_search(format!("UID {from}:*"))).await?;
        // `n:*` always names the last mail, even if it is older than n (RFC 3501, 6.4.8).
        let mut uids: Vec<u32> = found.into_iter().filter(|uid| *uid >= from).collect();
        uids.sort_unstable();
        Ok(uids)
    }

    /// Looks at the whole folder above the low-water mark and takes in what is not stored.
    async fn look(
        &self,
        session: &mut Link,
        uidvalidity: u32,
        begin: Begin,
    ) -> Result<(), Setback> {
        let folder = self.folder(uidvalidity);
        let bookmark = self.ask(|told| MailboxAsk::Bookmark(folder.clone(), told)).await?;
        let low = bookmark.low_water.unwrap_or(1);
        let uids = self.uids(session, low).await?;
        let known = self.ask(|told| MailboxAsk::Known(folder.clone(), low, told)).await?;
        let new: Vec<u32> = uids.iter().copied().filter(|uid| !known.contains(uid)).collect();
        let mut not_ours = BTreeSet::new();
        for batch in new.chunks(500) {
            not_ours.extend(self.take(session, uidvalidity, batch, begin).await?);
        }
        // Only what is stored, or was there before the desk, is behind us: a mail that the server
        // listed and did not hand out is asked for again.
        let known = self.ask(|told| MailboxAsk::Known(folder, low, told)).await?;
        let missing = uids.iter().find(|uid| !known.contains(uid) && !not_ours.contains(uid));
        let next = uids.last().map(|last| last.saturating_add(1));
        if let Some(up_to) = missing.copied().or(next) {
            self.low_water(uidvalidity, up_to).await?;
        }
        Ok(())
    }

    /// Takes mails in; gives those that are older than the desk and none of its business.
    async fn take(
        &self,
        session: &mut Link,
        uidvalidity: u32,
        uids: &[u32],
        begin: Begin,
    ) -> Result<Vec<u32>, Setback> {
        let set = uid_set(uids);
        let heads: Vec<Fetch> = {
            let stream =
                patient("fetch", session.uid_fetch(&set, "(UID FLAGS RFC822.SIZE INTERNALDATE)"))
                    .await?;
            patient("fetch", stream.try_collect()).await?
        };
        let mut small: Vec<Head> = Vec::new();
        let mut not_ours = Vec::new();
        let mut size = 0_u64;
        for head in &heads {
            let Some(uid) = head.uid else { continue };
            let received = head.internal_date().map_or_else(self.clock, |date| date.to_utc());
            if begin.not_before.is_some_and(|not_before| received < not_before) {
                not_ours.push(uid);
                continue;
            }
            // Only in the folder that this desk has always read: a mailbox that was moved to another
            // server may keep the marks and change the bytes.
            let ours = |flag: Flag<'_>| matches!(&flag, Flag::Custom(mark) if mark.eq_ignore_ascii_case(&self.mailbox.mark));
            let marked = begin.not_before.is_none() && head.flags().any(ours);
            let bytes = head.size.unwrap_or(u32::MAX);
            if bytes > self.mailbox.size_max {
                self.take_large(session, uidvalidity, Head { uid, received, marked }).await?;
                continue;
            }
            small.push(Head { uid, received, marked });
            size = size.saturating_add(u64::from(bytes));
            if small.len() >= BATCH || size >= BATCH_BYTES {
                self.take_small(session, uidvalidity, &std::mem::take(&mut small)).await?;
                size = 0;
            }
        }
        self.take_small(session, uidvalidity, &small).await?;
        Ok(not_ours)
    }

    async fn take_small(
        &self,
        session: &mut Link,
        uidvalidity: u32,
        mails: &[Head],
    ) -> Result<(), Setback> {
        if mails.is_empty() {
            return Ok(());
        }
        let set = uid_set(&mails.iter().map(|mail| mail.uid).collect::<Vec<_>>());
        // PEEK: people read this mailbox too, and what they have read is theirs.
        let fetched: Vec<Fetch> = {
            let stream = patient("fetch", session.uid_fetch(&set, "(UID BODY.PEEK[])")).await?;
            patient("fetch", stream.try_collect()).await?
        };
        let arrived = (self.clock)();
        let (mut keep, mut marked) = (Vec::new(), Vec::new());
        for mail in &fetched {
            let (Some(uid), Some(bytes)) = (mail.uid, mail.body()) else { continue };
            let head = mails.iter().find(|head| head.uid == uid);
            let received = head.map_or(arrived, |head| head.received);
            if head.is_some_and(|head| head.marked) {
                marked.push(Digest::of(bytes));
            }
            let raw = RawMail {
                bytes: bytes.to_vec(),
                received: received.min(arrived),
                arrived,
                oversize: false,
            };
            keep.push((Some(self.location(uidvalidity, uid)), raw));
        }
        self.keep(keep, marked).await
    }

    /// A mail that is too large: its headers and its beginning are kept, the rest stays there.
    async fn take_large(
        &self,
        session: &mut Link,
        uidvalidity: u32,
        Head { uid, received, marked: is_marked }: Head,
    ) -> Result<(), Setback> {
        let query = format!("(UID BODY.PEEK[HEADER] BODY.PEEK[TEXT]<0.{OVERSIZE_BYTES}>)");
        let fetched: Vec<Fetch> = {
            let stream = patient("fetch", session.uid_fetch(uid.to_string(), &query)).await?;
            patient("fetch", stream.try_collect()).await?
        };
        let arrived = (self.clock)();
        let (mut keep, mut marked) = (Vec::new(), Vec::new());
        for mail in fetched.iter().filter(|mail| mail.uid == Some(uid)) {
            let mut bytes = mail.header().unwrap_or_default().to_vec();
            bytes.extend(mail.text().unwrap_or_default().iter().take(OVERSIZE_BYTES));
            if is_marked {
                marked.push(Digest::of(&bytes));
            }
            let raw = RawMail { bytes, received: received.min(arrived), arrived, oversize: true };
            keep.push((Some(self.location(uidvalidity, uid)), raw));
        }
        self.keep(keep, marked).await
    }

    fn location(&self, uidvalidity: u32, uid: u32) -> Location {
        Location { folder: self.mailbox.folder.clone(), uidvalidity, uid }
    }

    /// Hands mails to the store and waits until they are durable.
    async fn keep(
        &self,
        mails: Vec<(Option<Location>, RawMail)>,
        marked: Vec<Digest>,
    ) -> Result<(), Setback> {
        self.ask(|told| MailboxAsk::Keep(mails, marked, told)).await
    }

    /// Marks on the server what is stored. Only a courtesy to people who look at the mailbox.
    async fn mark(&self, session: &mut Link, uidvalidity: u32) -> Result<(), Setback> {
        let folder = self.folder(uidvalidity);
        let uids = self.ask(|told| MailboxAsk::ToMark(folder.clone(), told)).await?;
        if uids.is_empty() {
            return Ok(());
        }
        let command = format!("+FLAGS.SILENT ({})", self.mailbox.mark);
        {
            let stream = patient("store", session.uid_store(uid_set(&uids), command)).await?;
            let _: Vec<Fetch> = patient("store", stream.try_collect()).await?;
        }
        self.ask(|told| MailboxAsk::Marked(folder, uids, told)).await
    }

    /// Takes the desk's own older witnesses out of the folder.
    async fn clean(&self, session: &mut Link, uidvalidity: u32) -> Result<(), Setback> {
        let folder = self.folder(uidvalidity);
        let uids = self.ask(|told| MailboxAsk::Spent(folder.clone(), told)).await?;
        if uids.is_empty() {
            return Ok(());
        }
        let set = uid_set(&uids);
        {
            let stream = session.uid_store(&set, "+FLAGS.SILENT (\\Deleted)");
            let stream = patient("store", stream).await?;
            let _: Vec<Fetch> = patient("store", stream.try_collect()).await?;
        }
        {
            let stream = patient("expunge", session.uid_expunge(&set)).await?;
            let _: Vec<u32> = patient("expunge", stream.try_collect()).await?;
        }
        self.ask(|told| MailboxAsk::Removed(folder, uids, told)).await
    }

    /// Waits for news, or for the next full look.
    async fn wait(&self, mut session: Link, can_idle: bool) -> Result<Link, Setback> {
        let wait = self.mailbox.full_look.min(IDLE_MAX);
        if !can_idle {
            tokio::time::sleep(wait.min(Duration::from_secs(20))).await;
            patient("noop", session.noop()).await?;
            return Ok(session);
        }
        let mut idle = session.idle();
        patient("idle", idle.init()).await?;
        let (news, _stop) = idle.wait_with_timeout(wait);
        match news.await.map_err(setback)? {
            IdleResponse::NewData(_) | IdleResponse::Timeout | IdleResponse::ManualInterrupt => {}
        }
        patient("idle", idle.done()).await
    }
}

/// What the server says of a mail before it is fetched.
#[derive(Clone, Copy)]
struct Head {
    uid: u32,
    received: Moment,
    /// Whether it bears our own mark: some history of this desk has it.
    marked: bool,
}

#[derive(Clone, Copy)]
struct Begin {
    /// Mails from before this are not the desk's.
    not_before: Option<Moment>,
}

/// A set of uids in IMAP's short form.
fn uid_set(uids: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for uid in uids {
        match ranges.last_mut() {
            Some((_, to)) if to.checked_add(1) == Some(*uid) => *to = *uid,
            _ => ranges.push((*uid, *uid)),
        }
    }
    let text = |(from, to): &(u32, u32)| {
        if from == to { from.to_string() } else { format!("{from}:{to}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    #[test]
    fn uid_sets_are_short() {
        assert_eq!(super::uid_set(&[1, 2, 3, 7, 9, 10]), "1:3,7,9:10");
        assert_eq!(super::uid_set(&[]), "");
    }
}

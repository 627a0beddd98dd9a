//! The mailbox: taking mails in over IMAP.
//!
//! Durable first, then marked: a mail is handed to the engine's store before the server is told
//! anything, and what the server remembers is never the truth. IDLE makes it quick; a full look at
//! the folder every few minutes makes it certain, whatever IDLE says. Nothing is ever deleted but the
//! desk's own mails to itself, once a newer one has come.

mod enter;
mod fetch;
pub mod glance;
mod plan;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_imap::extensions::idle::IdleResponse;
use async_imap::types::{Name, NameAttribute, UnsolicitedResponse};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::domain::facts::names::{Digest, Moment, Span, later};
use crate::edge::imap::enter::{Line, log_in};
use crate::edge::imap::plan::Suspects;
use crate::edge::imap::wire::{Progress, patient};
use crate::edge::server::Server;
use crate::error::Fault;
use crate::ports::store::{Bookmark, Folder, Location, RawMail};

/// The mailbox that is watched.
#[derive(Debug, Clone)]
pub struct Mailbox {
    /// Where it is.
    pub server: Server,
    /// The folder.
    pub folder: String,
    /// The folder for what the host takes for junk.
    pub junk: Junk,
    /// More folders that a mail may have been moved to.
    pub others: Vec<String>,
    /// How often the whole folder is looked at, whatever IDLE says.
    pub full_look: Duration,
    /// Mails larger than this stay on the server; their beginning is kept.
    pub size_max: u32,
    /// Take in mails from this moment on at the first run; otherwise it begins at the present end.
    pub since: Option<Moment>,
    /// The keyword that marks a mail as stored, where the server allows keywords.
    pub mark: String,
}

/// Which folder is the one for junk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Junk {
    /// The one that the server marks so, or that bears one of the usual names.
    Find,
    /// This one.
    Named(String),
    /// None is looked at.
    None,
}

/// Whoever waits for an answer; gone where the connection broke.
pub type Told<T> = oneshot::Sender<Result<T, Fault>>;

/// What the mailbox asks of the engine.
pub enum MailboxAsk {
    /// Keep these mails; answered once they are durable.
    /// Those of which the hashes stand behind them bear our own mark.
    Keep(Vec<(Option<Location>, RawMail)>, Vec<Digest>, Told<()>),
    /// These folders are looked at from here on.
    Watches(Vec<String>, Told<()>),
    /// These were looked at in full, and these could not be; why.
    Looked(Vec<String>, Vec<(String, String)>, Told<()>),
    /// Mails of these numbers came into a folder and were gone before they could be taken in.
    Missed(String, Vec<u32>, Told<()>),
    /// How far is this folder known?
    Bookmark(Folder, Told<Bookmark>),
    /// Below this number nothing is looked at again for now; and at no time, where what lies there is not the
    /// desk's.
    SetBookmark(Folder, u32, bool, Told<()>),
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
    /// Which mails does the server not hand out, and which of them are to be tried again?
    Troubled(Folder, Told<Troubled>),
    /// The server does not hand this one out; why.
    Trouble(Folder, u32, String, Told<()>),
    /// The mailbox cannot be looked at; why.
    Unreachable(String),
}

/// Mails that the server does not hand out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Troubled {
    /// All of them.
    pub all: BTreeSet<u32>,
    /// Those that are to be tried again now.
    pub again: BTreeSet<u32>,
}

/// The way to the engine.
pub type Way = std::sync::Arc<dyn Fn(MailboxAsk) + Send + Sync>;

/// The longest that one answer of the server's may take.
pub const ANSWER_MAX: Duration = wire::ANSWER_MAX;
/// Everything from the desk's time is looked at so often, and not only what is new.
const DEEP: Duration = Duration::from_secs(600);
/// A server that has news each time it is waited for is looked at so often at most.
const LOOKS_APART: Duration = Duration::from_millis(500);
/// What a folder for junk is usually called, where the server does not mark it.
const JUNK: &[&str] = &["Junk", "Spam", "Junk E-mail", "Junk Email", "Bulk Mail", "Bulk"];
/// So many folders are listed at most.
const LISTED: usize = 10_000;
/// A server that never speaks while idle may be gone (RFC 2177 asks to renew within 29 minutes).
const IDLE_MAX: Duration = Duration::from_secs(9 * 60);
/// The longest time between two tries. Whatever waits is taken in soon after the server is well.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// And where the server refuses the password: more would look like an attack.
const REFUSED_WAIT: Duration = Duration::from_secs(60);

/// Why something came to nothing.
#[derive(Debug)]
pub(super) enum Failed {
    /// The server said no; the connection stands.
    Refused(String),
    /// The connection is of no more use.
    Broken(String),
    /// It refuses our log-in.
    NotLetIn(String),
    /// The desk could not do its part.
    Here(Fault),
}

impl Failed {
    fn at(self, what: &str) -> Self {
        let say = |why: String| format!("{what}: {why}");
        match self {
            Self::Refused(why) => Self::Refused(say(why)),
            Self::Broken(why) => Self::Broken(say(why)),
            Self::NotLetIn(_) | Self::Here(_) => self,
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Refused(why) | Self::Broken(why) | Self::NotLetIn(why) => why.clone(),
            Self::Here(fault) => fault.line(),
        }
    }
}

/// What a server said with its no. The library hands it on as `code: Some(..), info: Some("words")`.
fn words_of(said: &str) -> String {
    let info = said.split_once("info: Some(\"").and_then(|(_, rest)| rest.rsplit_once("\")"));
    let code = said.strip_prefix("code: Some(").and_then(|rest| rest.split_once("), info: "));
    match (info, code) {
        (Some((words, _)), _) => words.replace("\\\"", "\"").replace("\\\\", "\\"),
        (None, Some((code, _))) => code.to_owned(),
        (None, None) if said.starts_with("code: None") => "no, without a reason".to_owned(),
        (None, None) => said.to_owned(),
    }
}

impl From<async_imap::error::Error> for Failed {
    fn from(error: async_imap::error::Error) -> Self {
        use async_imap::error::Error;
        match error {
            Error::No(why) | Error::Bad(why) => Self::Refused(words_of(&why)),
            Error::Io(error) => Self::from(error),
            Error::ConnectionLost => Self::Broken("the connection was closed".to_owned()),
            // The library quotes what it cannot read, and that may be somebody's report.
            Error::Parse(_) | Error::Validate(_) | Error::Append => {
                Self::Broken("the server said what is not understood".to_owned())
            }
            _ => Self::Broken("the server said what is not understood".to_owned()),
        }
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        // Of what the library itself puts into such an error only the kind: it quotes what it cannot read.
        let inner = error.get_ref();
        let is_known = inner.is_some_and(|inner| {
            inner.is::<wire::NotAsked>() || inner.is::<tokio_rustls::rustls::Error>()
        });
        let words = if is_known { error.to_string() } else { error.kind().to_string() };
        Self::Broken(words)
    }
}

/// Connects and logs in.
///
/// # Errors
/// What the server or the network said; the next step where it can be told.
pub async fn connect(server: &Server) -> Result<impl Sized + use<>, Fault> {
    let most = fetch::literal_max(0);
    log_in(server, most).await.map_err(|failed| fault_of(server, failed))
}

/// What went wrong, for the operator.
fn fault_of(server: &Server, failed: Failed) -> Fault {
    match failed {
        Failed::Refused(why) | Failed::Broken(why) => Fault::new(why, ""),
        Failed::NotLetIn(why) => Fault::new(why, server.mend()),
        Failed::Here(fault) => fault,
    }
}

/// The folder that the server marks as the one for junk (RFC 6154), or that bears one of the usual names.
fn junk_among(names: &[Name]) -> Option<String> {
    let is_marked = |name: &&Name| name.attributes().contains(&NameAttribute::Junk);
    let is_named = |name: &&Name| {
        let last = name.name().rsplit(name.delimiter().unwrap_or("/")).next();
        last.is_some_and(|last| JUNK.iter().any(|known| known.eq_ignore_ascii_case(last)))
    };
    let found = names.iter().find(is_marked).or_else(|| names.iter().find(is_named));
    found.map(|name| name.name().to_owned())
}

/// Watches the mailbox until the task is dropped. What goes wrong is logged and tried again, later
/// each time.
pub async fn watch(mailbox: Mailbox, way: Way, clock: impl Fn() -> Moment + Send + Sync) {
    let mut wait = Duration::from_secs(1);
    let suspects = Mutex::default();
    let mut before = suspects_of(&suspects);
    loop {
        let begun = clock();
        let watch = Watch { mailbox: &mailbox, way: &way, clock: &clock, suspects: &suspects };
        let failed = match watch.run().await {
            Ok(()) => continue,
            Err(failed) => failed,
        };
        let why = without_addresses(&failed.why());
        tracing::warn!(
            event = "mailbox.unreachable",
            why = why.as_str(),
            "The mailbox is not reachable; it is tried again."
        );
        (way)(MailboxAsk::Unreachable(why));
        // Whoever got further than before, or stayed for a while, is let in again soon.
        let came = suspects_of(&suspects);
        if later(begun, Span::seconds(30)) < clock() || came != before {
            wait = Duration::from_secs(1);
        }
        before = came;
        let refused = matches!(failed, Failed::NotLetIn(_)) && wait >= WAIT_MAX;
        tokio::time::sleep(if refused { REFUSED_WAIT } else { wait }).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// What a server or a token endpoint says, without any address that it names: it may be somebody's.
fn without_addresses(said: &str) -> String {
    let word = |word: &str| if word.contains('@') { "(an address)" } else { word }.to_owned();
    said.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// How far all folders have come, and how many mails are suspected: a change is a step ahead.
fn suspects_of(suspects: &Mutex<BTreeMap<String, Suspects>>) -> Vec<(u64, usize)> {
    let all = suspects.lock().unwrap_or_else(PoisonError::into_inner);
    all.values().map(Suspects::progress).collect()
}

struct Watch<'a, C> {
    mailbox: &'a Mailbox,
    way: &'a Way,
    clock: &'a C,
    /// By folder.
    suspects: &'a Mutex<BTreeMap<String, Suspects>>,
}

impl<C: Fn() -> Moment + Send + Sync> Watch<'_, C> {
    async fn run(&self) -> Result<(), Failed> {
        let most = fetch::literal_max(self.mailbox.size_max);
        let mut line = log_in(&self.mailbox.server, most).await?;
        let progress = Progress::clone(&line.progress);
        let capabilities = patient(&progress, "capabilities", line.session.capabilities()).await?;
        let can_idle = capabilities.has_str("IDLE");
        // Without it an expunge would take what people have marked as deleted (RFC 4315).
        let can_clean = capabilities.has_str("UIDPLUS");
        let mut others: Option<Vec<(String, Kind)>> = None;
        let mut all: Option<Instant> = None;
        let mut main: Option<Place> = None;
        let mut session = Session { can_clean, looks: BTreeMap::new() };
        loop {
            let begun = Instant::now();
            let (mut looked, mut missing) = (Vec::new(), Vec::new());
            if all.is_none_or(|at| at.elapsed() >= self.mailbox.full_look) {
                // The one that is waited in is selected last.
                main = None;
                let found = self.others(&mut line, others.as_deref()).await?;
                if others.as_ref() != Some(&found) {
                    let names = found.iter().map(|(name, _)| name.clone());
                    let names = std::iter::once(self.mailbox.folder.clone()).chain(names).collect();
                    self.ask(|told| MailboxAsk::Watches(names, told)).await?;
                }
                for (name, kind) in others.insert(found) {
                    match self.visit(&mut line, name, *kind, &mut session).await {
                        Ok(_) => looked.push(name.clone()),
                        Err(Failed::Refused(why)) => {
                            missing.push((name.clone(), without_addresses(&why)));
                        }
                        Err(failed) => return Err(failed),
                    }
                }
                all = Some(Instant::now());
            }
            let place = match main.take() {
                Some(place) => self.look_again(&mut line, place, &mut session).await?,
                None => {
                    let name = &self.mailbox.folder;
                    let visited = self.visit(&mut line, name, Kind::Main, &mut session).await;
                    if let Err(Failed::Refused(why)) = &visited {
                        missing.push((name.clone(), without_addresses(why)));
                        self.ask(|told| MailboxAsk::Looked(looked.clone(), missing, told)).await?;
                        return visited.map(drop);
                    }
                    visited?
                }
            };
            looked.push(place.name.clone());
            main = Some(place);
            self.ask(|told| MailboxAsk::Looked(looked, missing, told)).await?;
            // What the server told while we were busy it does not tell again once we idle.
            let mut news = false;
            while let Ok(told) = line.session.unsolicited_responses.try_recv() {
                news |= matches!(told, UnsolicitedResponse::Exists(_));
            }
            if !news {
                line = self.wait(line, can_idle).await?;
            }
            tokio::time::sleep_until(begun + LOOKS_APART).await;
        }
    }

    /// Selects a folder and looks at all of it.
    async fn visit(
        &self,
        line: &mut Line,
        name: &str,
        kind: Kind,
        session: &mut Session,
    ) -> Result<Place, Failed> {
        let progress = Progress::clone(&line.progress);
        let folder = patient(&progress, "select", line.session.select(name)).await?;
        let uidvalidity = folder.uid_validity.ok_or_else(|| {
            let why = "the server gives no UIDVALIDITY, so its mails cannot be told apart";
            Failed::Broken(why.to_owned())
        })?;
        let may_create = async_imap::types::Flag::MayCreate;
        let can_mark = folder.permanent_flags.contains(&may_create);
        let mut place = Place {
            name: name.to_owned(),
            uidvalidity,
            kind,
            can_mark,
            next: folder.uid_next,
            begin: Begin { not_before: None, is_new: false },
        };
        place.begin = self.begin(line, &place).await?;
        if !session.looks.contains_key(name) {
            let kind = kind.word();
            tracing::info!(
                event = "mailbox.watched",
                kind,
                uidvalidity,
                "The mailbox is being watched."
            );
        }
        self.look_again(line, place, session).await
    }

    /// Looks at all of the folder that is selected.
    async fn look_again(
        &self,
        line: &mut Line,
        mut place: Place,
        session: &mut Session,
    ) -> Result<Place, Failed> {
        let looks = session.looks.entry(place.name.clone()).or_default();
        let is_due = looks.deep.is_none_or(|at| at.elapsed() >= DEEP);
        self.look(line, &place, is_due, &mut looks.gap).await?;
        if is_due {
            looks.deep = Some(Instant::now());
        }
        (place.next, place.begin.is_new) = (None, false);
        if place.can_mark {
            self.mark(line, &place).await?;
        }
        if session.can_clean {
            self.clean(line, &place).await?;
        }
        Ok(place)
    }

    /// The folders beside the one that mail comes to.
    async fn others(
        &self,
        line: &mut Line,
        known: Option<&[(String, Kind)]>,
    ) -> Result<Vec<(String, Kind)>, Failed> {
        let main = &self.mailbox.folder;
        let junk = match &self.mailbox.junk {
            Junk::None => None,
            Junk::Named(name) => Some(name.clone()),
            Junk::Find => {
                let mut before = known.into_iter().flatten();
                let before = before.find(|(_, kind)| *kind == Kind::Junk).map(|(name, _)| name);
                // One that was there and is not any more is missed when it is looked at.
                self.find_junk(line, known.is_none()).await?.or_else(|| before.cloned())
            }
        };
        let junk = junk.filter(|name| name != main);
        let others = self.mailbox.others.iter().filter(|name| Some(*name) != junk.as_ref());
        let others = others.map(|name| (name.clone(), Kind::Other));
        Ok(junk.iter().map(|name| (name.clone(), Kind::Junk)).chain(others).collect())
    }

    /// The folder for junk, where the server lists its folders.
    async fn find_junk(&self, line: &mut Line, is_first: bool) -> Result<Option<String>, Failed> {
        let progress = Progress::clone(&line.progress);
        let listed = async {
            let stream = line.session.list(Some(""), Some("*"));
            let stream = patient(&progress, "list", stream).await?;
            let names: Vec<Name> =
                patient(&progress, "list", stream.take(LISTED).try_collect()).await?;
            Ok(names)
        };
        let names = match listed.await {
            Ok(names) => names,
            Err(Failed::Refused(why)) => {
                if is_first {
                    tracing::warn!(
                        event = "mailbox.unlisted",
                        why = without_addresses(&why),
                        "The server does not list its folders; none for junk is looked at."
                    );
                }
                return Ok(None);
            }
            Err(failed) => return Err(failed),
        };
        Ok(junk_among(&names))
    }

    /// Asks the engine something.
    async fn ask<T>(&self, question: impl FnOnce(Told<T>) -> MailboxAsk) -> Result<T, Failed> {
        let (told, answer) = oneshot::channel();
        (self.way)(question(told));
        let answer = answer.await;
        let answer = answer.map_err(|_| Failed::Here(Fault::new("the desk is stopping", "")))?;
        answer.map_err(Failed::Here)
    }

    /// Where to begin in this folder: at its present end on the very first run, from the beginning
    /// of the desk's time when the server has numbered its mails anew.
    async fn begin(&self, line: &mut Line, place: &Place) -> Result<Begin, Failed> {
        let (folder, uidvalidity) = (place.folder(), place.uidvalidity);
        let bookmark = self.ask(|told| MailboxAsk::Bookmark(folder, told)).await?;
        // A server dates mails to the second: one of the desk's first second is the desk's.
        let made = whole_second(bookmark.made);
        match (bookmark.incarnations, bookmark.low_water) {
            // What lies above the low-water mark came after the first run, or was asked for by it;
            // unless the server has numbered everything anew.
            (1, Some(_)) => Ok(Begin { not_before: None, is_new: false }),
            (_, Some(_)) => Ok(Begin { not_before: Some(made), is_new: false }),
            (1.., None) => {
                tracing::warn!(
                    event = "mailbox.renumbered",
                    uidvalidity,
                    "The server has numbered the folder anew; its mails are looked at again."
                );
                self.low_water(place, 1, false).await?;
                Ok(Begin {
                    not_before: Some(self.mailbox.since.unwrap_or(made).min(made)),
                    is_new: true,
                })
            }
            // What lies in another folder may have come to this mailbox since the desk began.
            (_, None) if place.kind != Kind::Main => {
                self.low_water(place, 1, false).await?;
                Ok(Begin {
                    not_before: Some(self.mailbox.since.unwrap_or(made).min(made)),
                    is_new: true,
                })
            }
            (_, None) => {
                // Not what the server says will be the next number, which may be any: what is there, and what
                // it can tell something about.
                let (there, last) = if self.mailbox.since.is_some() {
                    (Vec::new(), None)
                } else {
                    let there = self.uids(line, 1).await?;
                    let last = self.last_real(line, place, &there).await?;
                    (there, last)
                };
                let first = last.map_or(1, |uid| uid.saturating_add(1));
                tracing::info!(
                    event = "mailbox.begins",
                    left = there.len(),
                    "First run: this many older mails are left where they are."
                );
                self.low_water(place, first, false).await?;
                Ok(Begin { not_before: self.mailbox.since, is_new: true })
            }
        }
    }

    async fn low_water(&self, place: &Place, uid: u32, base: bool) -> Result<(), Failed> {
        let folder = place.folder();
        self.ask(|told| MailboxAsk::SetBookmark(folder, uid, base, told)).await
    }

    /// Hands mails to the store and waits until they are durable.
    async fn keep(
        &self,
        mails: Vec<(Option<Location>, RawMail)>,
        marked: Vec<Digest>,
    ) -> Result<(), Failed> {
        self.ask(|told| MailboxAsk::Keep(mails, marked, told)).await
    }

    /// Marks on the server what is stored. Only a courtesy to people who look at the mailbox, so that a
    /// server that does not let it be is left alone.
    async fn mark(&self, line: &mut Line, place: &Place) -> Result<(), Failed> {
        let folder = place.folder();
        let uids = self.ask(|told| MailboxAsk::ToMark(folder.clone(), told)).await?;
        if uids.is_empty() {
            return Ok(());
        }
        let command = format!("+FLAGS.SILENT ({})", self.mailbox.mark);
        match store(line, &uid_set(&uids), &command).await {
            Ok(()) | Err(Failed::Refused(_)) => {}
            Err(failed) => return Err(failed),
        }
        self.ask(|told| MailboxAsk::Marked(folder, uids, told)).await
    }

    /// Takes the desk's own older witnesses out of the folder.
    async fn clean(&self, line: &mut Line, place: &Place) -> Result<(), Failed> {
        let folder = place.folder();
        let uids = self.ask(|told| MailboxAsk::Spent(folder.clone(), told)).await?;
        if uids.is_empty() {
            return Ok(());
        }
        let set = uid_set(&uids);
        let removed = async {
            store(line, &set, "+FLAGS.SILENT (\\Deleted)").await?;
            let progress = Progress::clone(&line.progress);
            let stream = patient(&progress, "expunge", line.session.uid_expunge(&set)).await?;
            let gone: Vec<u32> = patient(&progress, "expunge", stream.try_collect()).await?;
            drop(gone);
            Ok(())
        };
        match removed.await {
            Ok(()) => {}
            Err(Failed::Refused(why)) => {
                tracing::warn!(
                    event = "mailbox.own-mails-stay",
                    why = without_addresses(&why),
                    "The desk's own older mails stay in the mailbox."
                );
            }
            Err(failed) => return Err(failed),
        }
        self.ask(|told| MailboxAsk::Removed(folder, uids, told)).await
    }

    /// Waits for news, or for the next full look, whatever the server says meanwhile.
    async fn wait(&self, line: Line, can_idle: bool) -> Result<Line, Failed> {
        let wait = self.mailbox.full_look.min(IDLE_MAX);
        let Line { mut session, progress } = line;
        if !can_idle {
            tokio::time::sleep(wait.min(Duration::from_secs(20))).await;
            patient(&progress, "noop", session.noop()).await?;
            return Ok(Line { session, progress });
        }
        let mut idle = session.idle();
        patient(&progress, "idle", idle.init()).await?;
        {
            let (news, _stop) = idle.wait_with_timeout(wait);
            // By our own clock: a server that says "still here" would begin the library's time anew.
            if let Ok(news) = tokio::time::timeout(wait, news).await {
                let _: IdleResponse = news?;
            }
        }
        let session = patient(&progress, "idle", idle.done()).await?;
        Ok(Line { session, progress })
    }
}

async fn store(line: &mut Line, set: &str, command: &str) -> Result<(), Failed> {
    let progress = Progress::clone(&line.progress);
    let stream = patient(&progress, "store", line.session.uid_store(set, command)).await?;
    let stored: Vec<_> = patient(&progress, "store", stream.try_collect()).await?;
    drop(stored);
    Ok(())
}

fn whole_second(moment: Moment) -> Moment {
    Moment::from_timestamp(moment.timestamp(), 0).unwrap_or(moment)
}

/// What a folder is to the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The one that mail comes to.
    Main,
    /// The one for what the host takes for junk.
    Junk,
    /// One that a mail may have been moved to.
    Other,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Junk => "junk",
            Self::Other => "other",
        }
    }
}

/// What holds for all folders of a connection.
struct Session {
    /// Whether the desk's own older mails can be taken out.
    can_clean: bool,
    /// How each folder was looked at so far.
    looks: BTreeMap<String, Looks>,
}

#[derive(Default)]
struct Looks {
    /// When all of it was last looked at, and not only what is new.
    deep: Option<Instant>,
    /// The first number since then that came and was not there: a server may have left it out, so that it is
    /// looked for again with what is new.
    gap: Option<u32>,
}

/// A folder that is looked at.
struct Place {
    name: String,
    uidvalidity: u32,
    kind: Kind,
    /// Whether mails can be marked in it.
    can_mark: bool,
    /// What the server said would be the next number, as the folder was selected.
    next: Option<u32>,
    begin: Begin,
}

impl Place {
    fn folder(&self) -> Folder {
        Folder { name: self.name.clone(), uidvalidity: self.uidvalidity }
    }

    fn location(&self, uid: u32) -> Location {
        Location { folder: self.name.clone(), uidvalidity: self.uidvalidity, uid }
    }
}

#[derive(Clone, Copy)]
struct Begin {
    /// Mails from before this are not the desk's.
    not_before: Option<Moment>,
    /// Whether this incarnation was never looked at.
    is_new: bool,
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
    fn what_a_server_says_is_told_in_its_words() {
        for (said, words) in [
            (r#"code: Some(AuthenticationFailed), info: Some("No \"x\" here")"#, "No \"x\" here"),
            (r#"code: None, info: Some("[UNAVAILABLE] later")"#, "[UNAVAILABLE] later"),
            ("code: Some(Alert), info: None", "Alert"),
            ("code: None, info: None", "no, without a reason"),
            ("outcome: odd", "outcome: odd"),
        ] {
            assert_eq!(super::words_of(said), words);
        }
    }

    #[test]
    fn what_a_server_says_names_nobody() {
        let said = "log-in: no: user <rita@people.test> is unknown";
        assert_eq!(super::without_addresses(said), "log-in: no: user (an address) is unknown");
    }

    #[test]
    fn uid_sets_are_short() {
        assert_eq!(super::uid_set(&[1, 2, 3, 7, 9, 10]), "1:3,7,9:10");
        assert_eq!(super::uid_set(&[]), "");
    }
}

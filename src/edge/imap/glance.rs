//! A glance at a mailbox by a command of the operator's: which folders there are, and whether a mail has come.

use std::time::Duration;

use async_imap::types::{Flag, Name};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::domain::facts::names::Moment;
use crate::edge::imap::enter::{Line, log_in};
use crate::edge::imap::fetch::literal_max;
use crate::edge::imap::wire::{Progress, patient};
use crate::edge::imap::{Failed, Junk, LISTED, Mailbox, fault_of, junk_among};
use crate::error::Fault;

/// The headers of a mail are read to this length.
const HEAD_MAX: u32 = 64 * 1024;

/// A mailbox that is looked at.
pub struct Glance {
    line: Line,
    mailbox: Mailbox,
    names: Vec<Name>,
    /// Folders that could be opened, with the number that the next mail gets.
    open: Vec<(String, u32)>,
}

/// A mail that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The folder.
    pub folder: String,
    /// When the server says that it came.
    pub received: Option<Moment>,
    /// Its headers.
    pub head: String,
    uid: u32,
}

impl std::fmt::Debug for Glance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Glance({:?})", self.mailbox.server)
    }
}

impl Glance {
    /// Logs in and lists the folders.
    ///
    /// # Errors
    /// What the server or the network said; the next step where it can be told.
    pub async fn at(mailbox: &Mailbox) -> Result<Self, Fault> {
        let server = &mailbox.server;
        let glance = async {
            let mut line = log_in(server, literal_max(HEAD_MAX)).await?;
            let progress = Progress::clone(&line.progress);
            let list = line.session.list(Some(""), Some("*"));
            let list = patient(&progress, "list", list).await?;
            let names: Vec<Name> =
                patient(&progress, "list", list.take(LISTED).try_collect()).await?;
            Ok::<_, Failed>((line, names))
        };
        let (line, names) = glance.await.map_err(|failed| fault_of(server, failed))?;
        Ok(Self { line, mailbox: mailbox.clone(), names, open: Vec::new() })
    }

    /// The folders that a desk looks at: the first is where mail comes in.
    fn folders(&self) -> Vec<String> {
        let mut all = vec![self.mailbox.folder.clone()];
        all.extend(match &self.mailbox.junk {
            Junk::None => None,
            Junk::Named(name) => Some(name.clone()),
            Junk::Find => junk_among(&self.names),
        });
        all.extend(self.mailbox.others.iter().cloned());
        all
    }

    /// Opens each folder: those that cannot be opened, and the keywords of desks that have been at work in the first.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn open(&mut self) -> Result<(Vec<(String, String)>, Vec<String>), Fault> {
        let (mut closed, mut marks) = (Vec::new(), Vec::new());
        let progress = Progress::clone(&self.line.progress);
        for (n, name) in self.folders().into_iter().enumerate() {
            match patient(&progress, "select", self.line.session.examine(&name)).await {
                Ok(folder) => {
                    self.open.push((name, folder.uid_next.unwrap_or(1)));
                    let is_mark = |flag: &Flag<'_>| {
                        let Flag::Custom(word) = flag else { return None };
                        word.starts_with("$embargod-").then(|| word.to_string())
                    };
                    if n == 0 {
                        marks.extend(folder.flags.iter().filter_map(is_mark));
                    }
                }
                Err(Failed::Refused(why)) => closed.push((name, why)),
                Err(failed) => return Err(fault_of(&self.mailbox.server, failed)),
            }
        }
        Ok((closed, marks))
    }

    /// Looks for a mail by its Message-ID, among those that came since the folders were opened.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn find(&mut self, id: &str) -> Result<Option<Found>, Fault> {
        let found = self.look_for(id).await;
        found.map_err(|failed| fault_of(&self.mailbox.server, failed))
    }

    async fn look_for(&mut self, id: &str) -> Result<Option<Found>, Failed> {
        let progress = Progress::clone(&self.line.progress);
        for (name, next) in self.open.clone() {
            // Opened anew: a server may tell what is new only then.
            patient(&progress, "select", self.line.session.select(&name)).await?;
            let query = format!("UID {next}:* HEADER Message-ID {id}");
            let uids = patient(&progress, "search", self.line.session.uid_search(query)).await?;
            for uid in uids.into_iter().filter(|uid| *uid >= next) {
                let what = format!("(UID INTERNALDATE BODY.PEEK[HEADER]<0.{HEAD_MAX}>)");
                let fetch = self.line.session.uid_fetch(uid.to_string(), what);
                let fetch = patient(&progress, "fetch", fetch).await?;
                let mails: Vec<_> = patient(&progress, "fetch", fetch.try_collect()).await?;
                let head = |mail: &async_imap::types::Fetch| {
                    let bytes = mail.header()?;
                    Some(String::from_utf8_lossy(bytes).into_owned())
                };
                for mail in mails.iter().filter(|mail| mail.uid == Some(uid)) {
                    let Some(head) = head(mail).filter(|head| head.contains(id)) else { continue };
                    let received = mail.internal_date().map(|at| at.to_utc());
                    return Ok(Some(Found { folder: name, received, head, uid }));
                }
            }
        }
        Ok(None)
    }

    /// Removes a mail of ours that has served its purpose, so that no desk takes it for a report.
    ///
    /// # Errors
    /// When the server does not do so.
    pub async fn remove(&mut self, mail: &Found) -> Result<(), Fault> {
        let progress = Progress::clone(&self.line.progress);
        let removed = async {
            patient(&progress, "select", self.line.session.select(&mail.folder)).await?;
            let uid = mail.uid.to_string();
            let store = self.line.session.uid_store(&uid, "+FLAGS (\\Deleted)");
            let store = patient(&progress, "store", store).await?;
            let _: Vec<_> = patient(&progress, "store", store.try_collect()).await?;
            let gone = patient(&progress, "expunge", self.line.session.uid_expunge(&uid)).await?;
            let _: Vec<u32> = patient(&progress, "expunge", gone.try_collect()).await?;
            Ok::<_, Failed>(())
        };
        removed.await.map_err(|failed| fault_of(&self.mailbox.server, failed))
    }

    /// Says good-bye.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(3), self.line.session.logout()).await;
    }
}

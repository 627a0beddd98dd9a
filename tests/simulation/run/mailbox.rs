//! The mailbox, and who watches it for the desk.

use std::collections::BTreeSet;

use embargod::domain::facts::names::{Digest, Span};
use embargod::edge::imap::MailboxAsk;
use embargod::engine::Heard;
use embargod::error::Fault as Failure;
use embargod::ports::store::{Folder, Location, RawMail};
use tokio::sync::oneshot;

use super::{Event, Run};
use crate::simulation::oracle::{Broken, Holds};
use crate::simulation::plan::Fault;

/// What a look finds.
struct New {
    mails: Vec<(Option<Location>, RawMail)>,
    marked: Vec<Digest>,
    /// Below this number all is done.
    settled: u32,
}

impl Run {
    pub(super) fn arrives(&mut self, bytes: Vec<u8>) {
        self.sum.mails_in += 1;
        let hides = self.troubles.has(Fault::Hides, self.now);
        let from = if hides { self.now + Span::minutes(45) } else { self.now };
        if self.troubles.has(Fault::Doubles, self.now) {
            self.mailbox.lay(bytes.clone(), self.now, from);
        }
        self.mailbox.lay(bytes, self.now, from);
        if hides {
            self.after(Span::minutes(46), Event::Look);
        }
        self.after(Span::milliseconds(500), Event::Look);
    }

    fn ask<T>(
        &mut self,
        ask: impl FnOnce(oneshot::Sender<Result<T, Failure>>) -> MailboxAsk,
    ) -> Result<Option<T>, Broken> {
        let Some(engine) = &mut self.engine else { return Ok(None) };
        let (told, mut tells) = oneshot::channel();
        if let Err(fault) = engine.hear(vec![Heard::Mailbox(ask(told))]) {
            self.stopped(&fault)?;
            return Ok(None);
        }
        match tells.try_recv() {
            Ok(Ok(answer)) => Ok(Some(answer)),
            // What could not be done is asked again at the next look.
            Ok(Err(fault)) if self.store.is_stopped() => {
                self.stopped(&fault)?;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// A look at the whole folder, as the watcher takes one.
    pub(super) fn look(&mut self) -> Holds {
        if self.engine.is_none() {
            return Ok(());
        }
        if self.troubles.has(Fault::MailboxAway, self.now) {
            if let Some(engine) = &mut self.engine {
                let why = "connection refused".to_owned();
                if let Err(fault) = engine.hear(vec![Heard::Mailbox(MailboxAsk::Unreachable(why))])
                {
                    return self.stopped(&fault);
                }
            }
            return Ok(());
        }
        self.looked().map(drop)
    }

    /// The same; nothing where it was cut off.
    fn looked(&mut self) -> Result<Option<()>, Broken> {
        if !self.watches {
            let names = vec!["INBOX".to_owned()];
            let Some(()) = self.ask(|told| MailboxAsk::Watches(names, told))? else {
                return Ok(None);
            };
            self.watches = true;
        }
        let folder = self.mailbox.folder();
        let asked = folder.clone();
        let Some(bookmark) = self.ask(|told| MailboxAsk::Bookmark(asked, told))? else {
            return Ok(None);
        };
        self.looks += 1;
        let deep = self.looks.is_multiple_of(40);
        let from = match bookmark.low_water {
            Some(low) if !deep => low,
            Some(_) => bookmark.base.unwrap_or(1),
            None => {
                let asked = folder.clone();
                self.ask(|told| MailboxAsk::SetBookmark(asked, 1, true, told))?;
                1
            }
        };
        let asked = folder.clone();
        let Some(known) = self.ask(|told| MailboxAsk::Known(asked, from, told))? else {
            return Ok(None);
        };
        let New { mails: new, marked, settled } = self.unknown(&folder, from, &known);
        if !new.is_empty() {
            let Some(()) = self.ask(|told| MailboxAsk::Keep(new, marked, told))? else {
                return Ok(None);
            };
        }
        if self.troubles.take(Fault::CutsBeforeMark, self.now) {
            self.after(Span::seconds(5), Event::Look);
            return Ok(None);
        }
        self.marks(&folder)?;
        let asked = folder.clone();
        if settled > from {
            self.ask(|told| MailboxAsk::SetBookmark(asked, settled, false, told))?;
        }
        if deep {
            let asked = folder.clone();
            if let Some(spent) = self.ask(|told| MailboxAsk::Spent(asked, told))?
                && !spent.is_empty()
            {
                self.mailbox.remove(&spent);
                self.ask(|told| MailboxAsk::Removed(folder, spent, told))?;
            }
        }
        self.next_look = self.now + Span::hours(5);
        self.at(self.next_look, Event::FullLook);
        self.ask(|told| MailboxAsk::Looked(vec!["INBOX".to_owned()], Vec::new(), told))
    }

    /// The mails that are not known yet, and which of them bear the desk's mark.
    fn unknown(&self, folder: &Folder, from: u32, known: &BTreeSet<u32>) -> New {
        let mut new = Vec::new();
        let mut marked = Vec::new();
        let mut settled = from;
        let mut is_settled = true;
        for mail in self.mailbox.from(from) {
            let is_known = known.contains(&mail.uid);
            // Below what is not settled yet everything is looked at again.
            is_settled &= is_known && mail.marked;
            if is_settled {
                settled = mail.uid + 1;
            }
            if is_known || mail.from > self.now {
                continue;
            }
            let at = Location {
                folder: folder.name.clone(),
                uidvalidity: folder.uidvalidity,
                uid: mail.uid,
            };
            let arrived = self.now + self.skew;
            let received = mail.received;
            let bytes = mail.bytes.to_vec();
            new.push((
                Some(at),
                RawMail { bytes, received, arrived, oversize: false, junk: false },
            ));
            if mail.marked {
                marked.push(mail.raw);
            }
        }
        New { mails: new, marked, settled }
    }

    fn marks(&mut self, folder: &Folder) -> Holds {
        let asked = folder.clone();
        let Some(open) = self.ask(|told| MailboxAsk::ToMark(asked, told))? else { return Ok(()) };
        if open.is_empty() {
            return Ok(());
        }
        for raw in self.mailbox.marked_of(&open) {
            if !self.store.has_durably(raw) {
                let what =
                    "a mail is marked in the mailbox and not durable in the store".to_owned();
                return Err(Broken { promise: 1, what });
            }
        }
        self.mailbox.mark(&open);
        if self.troubles.take(Fault::CutsAfterMark, self.now) {
            self.after(Span::seconds(5), Event::Look);
            return Ok(());
        }
        self.ask(|told| MailboxAsk::Marked(folder.clone(), open, told)).map(drop)
    }
}

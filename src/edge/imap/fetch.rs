//! Taking mails in: what is there, what is new, and the mails themselves.
//!
//! A mail is read in pieces that we choose, so that neither what the server says of its size nor what it
//! announces decides how much is read. A server that gives the whole of a mail where a piece was asked for is
//! taken at its word, up to the most that the desk reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use async_imap::types::{Fetch, Flag};
use futures::TryStreamExt;

use crate::domain::facts::names::{Digest, Moment};
use crate::edge::imap::plan::{Head, Heads, How, Suspects};
use crate::edge::imap::wire::{Progress, patient};
use crate::edge::imap::{
    Begin, Failed, Kind, Line, MailboxAsk, Place, Watch, uid_set, without_addresses,
};
use crate::ports::store::RawMail;

/// Bytes that are asked for at once of one mail.
const PIECE: usize = 1024 * 1024;
/// What may come above the largest mail in one literal.
const MARGIN: u64 = 1024 * 1024;
/// Bytes that are asked for at once of several, by what the server says of their sizes.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// So often a server may speak of one mail in an answer, and of those that nobody asked about.
const SAID_OF_ONE: usize = 20;
const SAID_OF_OTHERS: usize = 10_000;
/// What is kept of a mail that is too large, after its headers.
const OVERSIZE_BYTES: usize = 64 * 1024;
/// More mails than these are not gone at once; where a server says so it is wrong.
const GONE_MAX: u32 = 1_000;
/// So many times at most it is asked which of what was there at first is real.
const ASKED_AT_FIRST: usize = 20;
/// Mails that are asked about at once.
const ASKED: usize = 500;

/// The numbers, from one on, that are neither there nor known: mails that came and were gone before they could
/// be taken in. A server gives each number once (RFC 9051, 2.3.1.1), and says which is next; one that says too
/// much is not believed.
fn gone(low: u32, there: &[u32], next: Option<u32>, known: &BTreeSet<u32>) -> Vec<u32> {
    let last = there.last().copied().unwrap_or_else(|| low.saturating_sub(1));
    let believed = next.filter(|next| next.saturating_sub(last) <= GONE_MAX);
    let end = believed.unwrap_or(0).max(last.saturating_add(1));
    let there: BTreeSet<u32> = there.iter().copied().collect();
    let all = (low.max(1)..end).filter(|uid| !there.contains(uid) && !known.contains(uid));
    all.take(usize::try_from(GONE_MAX).unwrap_or(usize::MAX)).collect()
}

/// The longest literal that is begun, where mails of so many bytes are read.
pub(super) fn literal_max(size_max: u32) -> u64 {
    u64::from(size_max).saturating_add(MARGIN)
}

/// A mail as it was read.
struct Read {
    bytes: Vec<u8>,
    /// Whether the rest of it stays on the server.
    oversize: bool,
}

impl<C: Fn() -> Moment + Send + Sync> Watch<'_, C> {
    /// The uids of the folder from one on, ascending. A server that does not search lists them.
    pub(super) async fn uids(&self, line: &mut Line, from: u32) -> Result<Vec<u32>, Failed> {
        let progress = Progress::clone(&line.progress);
        let search = line.session.uid_search(format!("UID {from}:*"));
        let found = match patient(&progress, "search", search).await {
            Ok(found) => found.into_iter().collect(),
            Err(Failed::Refused(_)) => {
                let list = line.session.uid_fetch(format!("{from}:*"), "(UID)");
                let list = patient(&progress, "list", list).await?;
                let list: Vec<Fetch> = patient(&progress, "list", list.try_collect()).await?;
                list.iter().filter_map(|mail| mail.uid).collect::<Vec<u32>>()
            }
            Err(failed) => return Err(failed),
        };
        // `n:*` always names the last mail, even if it is older than n (RFC 3501, 6.4.8).
        let uids: BTreeSet<u32> = found.into_iter().filter(|uid| *uid >= from).collect();
        Ok(uids.into_iter().collect())
    }

    /// Looks at the folder above the low-water mark, or at all of it that is the desk's, and takes in what is
    /// not stored.
    pub(super) async fn look(
        &self,
        line: &mut Line,
        place: &Place,
        deep: bool,
        gap: &mut Option<u32>,
    ) -> Result<(), Failed> {
        let folder = place.folder();
        let bookmark = self.ask(|told| MailboxAsk::Bookmark(folder.clone(), told)).await?;
        let low = bookmark.low_water.unwrap_or(1);
        let again = gap.take_if(|_| deep).or(*gap).unwrap_or(low);
        let from = bookmark.base.filter(|_| deep).unwrap_or(again).min(low);
        let uids = self.uids(line, from).await?;
        let known = self.ask(|told| MailboxAsk::Known(folder.clone(), from, told)).await?;
        let troubled = self.ask(|told| MailboxAsk::Troubled(folder.clone(), told)).await?;
        let is_new = |uid: &u32| !known.contains(uid) && !troubled.all.contains(uid);
        let new = uids.iter().copied().filter(is_new).chain(troubled.again.iter().copied());
        let mut not_ours = BTreeSet::new();
        let new = self.with_suspects(place, |suspects| suspects.order(new.collect()));
        for asked in new.chunks(ASKED) {
            not_ours.extend(self.take(line, place, asked).await?);
        }
        // Only what is stored, or was there before the desk, or is known to be in trouble, is behind us: a
        // mail that the server listed and did not hand out is asked for again.
        let known = self.ask(|told| MailboxAsk::Known(folder.clone(), from, told)).await?;
        let troubled = self.ask(|told| MailboxAsk::Troubled(folder, told)).await?;
        let behind =
            |uid: &u32| known.contains(uid) || not_ours.contains(uid) || troubled.all.contains(uid);
        if let Some(first) = self.miss(line, place, low, &uids, &known).await? {
            *gap = Some(gap.unwrap_or(first).min(first));
        }
        let missing = uids.iter().copied().filter(|uid| *uid >= low).find(|uid| !behind(uid));
        // Never above what was really there: a number that the server made up hides nothing.
        let real = known.iter().chain(&not_ours).copied().max();
        let next = real.map(|last| last.saturating_add(1));
        let up_to = missing.into_iter().chain(next).min();
        if let Some(up_to) = up_to {
            self.low_water(place, up_to, place.begin.is_new && missing.is_none()).await?;
        }
        Ok(())
    }

    /// Notes what came and is gone, and gives the first of it. Asked for a second time, since a server may
    /// leave out what is there.
    async fn miss(
        &self,
        line: &mut Line,
        place: &Place,
        low: u32,
        there: &[u32],
        known: &BTreeSet<u32>,
    ) -> Result<Option<u32>, Failed> {
        let mut gone = gone(low, there, place.next, known);
        if !gone.is_empty() {
            let there = self.uids(line, low).await?;
            gone.retain(|uid| !there.contains(uid));
        }
        let first = gone.first().copied();
        let is_steady = place.kind == Kind::Main && place.begin.not_before.is_none();
        if is_steady && first.is_some() {
            let name = place.name.clone();
            self.ask(|told| MailboxAsk::Missed(name, gone, told)).await?;
        }
        Ok(first)
    }

    /// The highest number of which the server can say anything.
    pub(super) async fn last_real(
        &self,
        line: &mut Line,
        place: &Place,
        there: &[u32],
    ) -> Result<Option<u32>, Failed> {
        for asked in there.rchunks(ASKED).take(ASKED_AT_FIRST) {
            let heads = self.heads(line, asked, place.begin).await?;
            let is_real = |uid: &&u32| heads.of_mail(**uid).received.is_some();
            if let Some(last) = asked.iter().rev().find(is_real) {
                return Ok(Some(*last));
            }
        }
        Ok(None)
    }

    fn with_suspects<T>(&self, place: &Place, look: impl FnOnce(&mut Suspects) -> T) -> T {
        let mut all = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        look(all.entry(place.name.clone()).or_default())
    }

    /// Takes mails in, together as long as that goes well; gives those that are older than the desk and none
    /// of its business.
    async fn take(&self, line: &mut Line, place: &Place, uids: &[u32]) -> Result<Vec<u32>, Failed> {
        let mut not_ours = Vec::new();
        let mut rest = uids;
        while !rest.is_empty() {
            let together = self.with_suspects(place, |suspects| suspects.together());
            let (batch, later) = rest.split_at(together.min(rest.len()));
            let taken = self.take_batch(line, place, batch).await;
            match taken {
                Ok(older) => {
                    self.with_suspects(place, |suspects| suspects.went_well(batch));
                    not_ours.extend(older);
                    rest = later;
                }
                Err(failed @ (Failed::Refused(_) | Failed::Broken(_))) => {
                    let is_refused = matches!(failed, Failed::Refused(_));
                    let how = if is_refused { How::Refused } else { How::Broken };
                    let left = self.with_suspects(place, |suspects| suspects.failed(batch, how));
                    if let Some(uid) = left {
                        self.leave(place, uid, &failed.why()).await?;
                    }
                    if !is_refused {
                        return Err(failed);
                    }
                    // One by one from here on; the one that was refused by itself is left for the next look.
                    rest = if batch.len() > 1 { rest } else { later };
                }
                Err(failed) => return Err(failed),
            }
        }
        Ok(not_ours)
    }

    async fn leave(&self, place: &Place, uid: u32, why: &str) -> Result<(), Failed> {
        let why = without_addresses(why);
        tracing::warn!(
            event = "mailbox.mail-withheld",
            uid,
            why = why.as_str(),
            "The server does not hand out a mail; it is left where it is."
        );
        let folder = place.folder();
        self.ask(|told| MailboxAsk::Trouble(folder, uid, why, told)).await
    }

    async fn take_batch(
        &self,
        line: &mut Line,
        place: &Place,
        uids: &[u32],
    ) -> Result<Vec<u32>, Failed> {
        let heads = self.heads(line, uids, place.begin).await?;
        let mut not_ours = Vec::new();
        let mut wanted: Vec<(u32, Head)> = Vec::new();
        for uid in uids {
            let head = heads.of_mail(*uid);
            let is_older = |from| head.received.is_some_and(|received| received < from);
            if place.begin.not_before.is_some_and(is_older) {
                not_ours.push(*uid);
            } else {
                wanted.push((*uid, head));
            }
        }
        // Small ones together, and first; what is large, or of unknown size, by itself.
        let mut small: Vec<(u32, Head)> = Vec::new();
        let mut single: Vec<(u32, Head)> = Vec::new();
        let mut bytes = 0_u64;
        for (uid, head) in wanted {
            let size = head.size.filter(|size| usize::try_from(*size).is_ok_and(|n| n < PIECE));
            let Some(size) = size else {
                single.push((uid, head));
                continue;
            };
            small.push((uid, head));
            bytes = bytes.saturating_add(u64::from(size));
            if bytes >= BATCH_BYTES {
                self.take_small(line, place, &std::mem::take(&mut small)).await?;
                bytes = 0;
            }
        }
        self.take_small(line, place, &small).await?;
        for (uid, head) in single {
            let read = self.read(line, uid, head).await?;
            self.keep_read(place, vec![(uid, head, read)]).await?;
        }
        Ok(not_ours)
    }

    /// What the server says of mails. One that it does not speak of is asked for all the same.
    async fn heads(&self, line: &mut Line, uids: &[u32], begin: Begin) -> Result<Heads, Failed> {
        let asked = "(UID FLAGS RFC822.SIZE INTERNALDATE)";
        let answers = self.asked(line, uids, asked, 0).await?;
        let mut heads = Heads::of(uids);
        for answer in &answers {
            let ours = |flag: Flag<'_>| matches!(&flag, Flag::Custom(mark) if mark.eq_ignore_ascii_case(&self.mailbox.mark));
            // Only in the folder that this desk has always read: a mailbox that was moved to another
            // server may keep the marks and change the bytes.
            let marked = begin.not_before.is_none() && answer.flags().any(ours);
            let received = answer.internal_date().map(|date| date.to_utc());
            heads.take(answer.uid, Head { received, size: answer.size, marked });
        }
        Ok(heads)
    }

    /// Several that are small, by what the server says. What turns out to be larger is read by itself.
    async fn take_small(
        &self,
        line: &mut Line,
        place: &Place,
        mails: &[(u32, Head)],
    ) -> Result<(), Failed> {
        if mails.is_empty() {
            return Ok(());
        }
        let uids: Vec<u32> = mails.iter().map(|(uid, _)| *uid).collect();
        // PEEK: people read this mailbox too, and what they have read is theirs.
        let query = format!("(UID BODY.PEEK[]<0.{PIECE}>)");
        let bytes = uids.len().saturating_mul(PIECE);
        let fetched = self.asked(line, &uids, &query, bytes).await?;
        let (mut whole, mut missing) = (Vec::new(), Vec::new());
        for (uid, head) in mails {
            let found = fetched.iter().find(|mail| mail.uid == Some(*uid) && mail.body().is_some());
            // Less than the server said is a part of it.
            let is_whole = |bytes: &&[u8]| {
                let size = head.size.and_then(|size| usize::try_from(size).ok());
                bytes.len() != PIECE && size.is_some_and(|size| bytes.len() >= size)
            };
            match found.and_then(Fetch::body).filter(|bytes| !bytes.is_empty()).filter(is_whole) {
                Some(bytes) => whole.push((*uid, *head, self.whole(bytes.to_vec()))),
                None => missing.push((*uid, *head)),
            }
        }
        drop(fetched);
        self.keep_read(place, whole).await?;
        for (uid, head) in missing {
            let read = self.read(line, uid, head).await?;
            self.keep_read(place, vec![(uid, head, read)]).await?;
        }
        Ok(())
    }

    /// A whole mail, or of one that is too large the beginning.
    fn whole(&self, mut bytes: Vec<u8>) -> Read {
        let most = usize::try_from(self.mailbox.size_max).unwrap_or(usize::MAX);
        let oversize = bytes.len() > most;
        if oversize {
            bytes.truncate(OVERSIZE_BYTES);
        }
        Read { bytes, oversize }
    }

    /// One mail, piece by piece; of one that is too large, by what the server says, the beginning.
    async fn read(&self, line: &mut Line, uid: u32, head: Head) -> Result<Read, Failed> {
        let most = usize::try_from(self.mailbox.size_max).unwrap_or(usize::MAX);
        if head.size.is_some_and(|size| size > self.mailbox.size_max) {
            return self.beginning(line, uid).await;
        }
        let size = head.size.and_then(|size| usize::try_from(size).ok());
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let query = format!("(UID BODY.PEEK[]<{}.{PIECE}>)", bytes.len());
            let piece = self.one(line, uid, &query, PIECE).await?;
            let piece = piece.iter().find_map(Fetch::body).unwrap_or_default();
            let is_first = bytes.is_empty();
            if is_first && piece.is_empty() {
                let why = "the server lists it and gives nothing of it".to_owned();
                return Err(Failed::Refused(why));
            }
            // One that gives the whole each time gave it all the first time.
            let is_again = !is_first && piece.len() >= bytes.len() && piece.starts_with(&bytes);
            if !is_again {
                bytes.extend_from_slice(piece);
            }
            // However small the pieces are that it gives: at the end it gives none.
            let is_all = size.is_some_and(|size| bytes.len() >= size);
            if is_again || is_all || piece.is_empty() || bytes.len() > most {
                return Ok(self.whole(bytes));
            }
        }
    }

    /// The headers of a mail and the beginning of its text.
    async fn beginning(&self, line: &mut Line, uid: u32) -> Result<Read, Failed> {
        let query = format!("(UID BODY.PEEK[HEADER] BODY.PEEK[TEXT]<0.{OVERSIZE_BYTES}>)");
        let answers = self.one(line, uid, &query, 2 * OVERSIZE_BYTES).await?;
        let header = answers.iter().find_map(Fetch::header).unwrap_or_default();
        let text = answers.iter().find_map(Fetch::text).unwrap_or_default();
        if header.is_empty() && text.is_empty() {
            let why = "the server lists it and gives nothing of it".to_owned();
            return Err(Failed::Refused(why));
        }
        // Where that is all of it the server was wrong about its size.
        let oversize = text.len() >= OVERSIZE_BYTES;
        let text = text.get(..OVERSIZE_BYTES).unwrap_or(text);
        Ok(Read { bytes: [header, text].concat(), oversize })
    }

    /// What the server says to a question about one mail.
    async fn one(
        &self,
        line: &mut Line,
        uid: u32,
        query: &str,
        bytes: usize,
    ) -> Result<Vec<Fetch>, Failed> {
        self.asked(line, &[uid], query, bytes).await
    }

    /// What the server says to a question about some mails, of which so many bytes are wanted. What it says of
    /// others is not kept, nor what it says too often.
    async fn asked(
        &self,
        line: &mut Line,
        uids: &[u32],
        query: &str,
        bytes: usize,
    ) -> Result<Vec<Fetch>, Failed> {
        let progress = Progress::clone(&line.progress);
        progress.allow(bytes, self.mailbox.size_max);
        let stream = line.session.uid_fetch(uid_set(uids), query);
        let stream = patient(&progress, "fetch", stream).await?;
        let wanted: BTreeSet<u32> = uids.iter().copied().collect();
        let mut counts = BTreeMap::<u32, usize>::new();
        let mut others = 0_usize;
        let kept = stream.try_filter_map(|answer: Fetch| {
            let uid = answer.uid.filter(|uid| wanted.contains(uid));
            let count = uid.map_or(&mut others, |uid| counts.entry(uid).or_default());
            *count = count.saturating_add(1);
            let too_many = *count > if uid.is_some() { SAID_OF_ONE } else { SAID_OF_OTHERS };
            let answer = if too_many {
                Err(async_imap::error::Error::Bad("it speaks without end".to_owned()))
            } else {
                Ok(uid.map(|_| answer))
            };
            std::future::ready(answer)
        });
        let answers: Result<Vec<Fetch>, Failed> =
            patient(&progress, "fetch", kept.try_collect()).await;
        answers.map_err(|failed| match failed {
            // The rest of it is on its way still.
            Failed::Refused(why) if why.contains("without end") => Failed::Broken(why),
            failed @ (Failed::Refused(_)
            | Failed::Broken(_)
            | Failed::NotLetIn(_)
            | Failed::Here(_)) => failed,
        })
    }

    async fn keep_read(&self, place: &Place, mails: Vec<(u32, Head, Read)>) -> Result<(), Failed> {
        if mails.is_empty() {
            return Ok(());
        }
        let arrived = (self.clock)();
        let (mut keep, mut marked) = (Vec::new(), Vec::new());
        for (uid, head, Read { bytes, oversize }) in mails {
            if head.marked {
                marked.push(Digest::of(&bytes));
            }
            // As the server says it, even where that is ahead of ours: then one of the two clocks is wrong.
            let received = head.received.unwrap_or(arrived);
            let junk = place.kind == Kind::Junk;
            let raw = RawMail { bytes, received, arrived, oversize, junk };
            keep.push((Some(place.location(uid)), raw));
        }
        self.keep(keep, marked).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_went_leaves_a_gap_in_the_numbers() {
        let known: BTreeSet<u32> = [3, 5].into();
        assert_eq!(gone(3, &[4, 6, 9], None, &known), [7, 8]);
        assert_eq!(gone(3, &[4, 6, 9], Some(12), &known), [7, 8, 10, 11]);
        assert_eq!(gone(3, &[], Some(7), &known), [4, 6]);
        assert!(gone(3, &[], None, &known).is_empty());
        assert!(gone(3, &[4], Some(4_000_000_000), &known).is_empty(), "not believed");
        assert_eq!(gone(1, &[u32::MAX], None, &known).len(), 1_000);
    }
}

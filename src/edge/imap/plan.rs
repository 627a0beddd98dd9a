//! Which mails are asked for together, and what to do about those that the server does not hand out.
//!
//! One mail that a server cannot give must not stand before all others. Whatever goes wrong with several is
//! tried again one by one, the suspects last; what fails by itself again and again, while others come, is left
//! where it is and told.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::facts::names::Moment;

/// So many mails are asked for together where all goes well.
pub(super) const TOGETHER: usize = 50;
/// A mail that is refused so often, while others come, is left.
const REFUSALS: u32 = 2;
/// And one at which the connection breaks.
const BREAKS: u32 = 3;
/// Or one that comes to nothing so often where there is no other.
const ALONE: u32 = 8;

/// What the server says of a mail before it is fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// When the server took it; none where it does not say.
    pub(super) received: Option<Moment>,
    /// How large it is; none where it does not say.
    pub(super) size: Option<u32>,
    /// Whether it bears our own mark: some history of this desk has it.
    pub(super) marked: bool,
}

/// What was asked about, and what came of it. Answers that nobody asked for are not used, and several about
/// one mail add up: a server may tell of a changed flag between two of them (RFC 9051, 7.5.2).
#[derive(Debug, Default)]
pub(super) struct Heads {
    asked: BTreeSet<u32>,
    found: BTreeMap<u32, Head>,
}

impl Heads {
    pub(super) fn of(asked: &[u32]) -> Self {
        Self { asked: asked.iter().copied().collect(), found: BTreeMap::new() }
    }

    /// Takes one answer in.
    pub(super) fn take(&mut self, uid: Option<u32>, head: Head) {
        let Some(uid) = uid.filter(|uid| self.asked.contains(uid)) else { return };
        let known = self.found.entry(uid).or_default();
        known.received = head.received.or(known.received);
        known.size = head.size.or(known.size);
        known.marked |= head.marked;
    }

    /// What is known of a mail; nothing of one that the server did not speak of.
    pub(super) fn of_mail(&self, uid: u32) -> Head {
        self.found.get(&uid).copied().unwrap_or_default()
    }
}

/// Whether the server said no, or the connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Refused,
    Broken,
}

#[derive(Debug, Clone, Copy, Default)]
struct Strikes {
    /// While others came.
    counted: u32,
    all: u32,
    /// How many had come by the last one.
    at: u64,
}

/// Which mails are suspected of being what a server stumbles over.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    strikes: BTreeMap<u32, Strikes>,
    /// How many go together now; all where none.
    together: Option<usize>,
    /// How many came.
    came: u64,
}

impl Suspects {
    /// How many came, and how many are suspected.
    pub(super) fn progress(&self) -> (u64, usize) {
        (self.came, self.strikes.len())
    }

    /// How many mails are asked for together.
    pub(super) fn together(&self) -> usize {
        self.together.unwrap_or(TOGETHER)
    }

    /// The mails in the order in which they are asked for: suspects last.
    pub(super) fn order(&self, mut uids: Vec<u32>) -> Vec<u32> {
        uids.sort_by_key(|uid| (self.strikes.get(uid).map_or(0, |strikes| strikes.all), *uid));
        uids
    }

    /// Mails came.
    pub(super) fn went_well(&mut self, uids: &[u32]) {
        self.came = self.came.saturating_add(u64::try_from(uids.len()).unwrap_or(0));
        for uid in uids {
            self.strikes.remove(uid);
        }
        let more = self.together().saturating_mul(2);
        self.together = (more < TOGETHER).then_some(more);
    }

    /// Mails did not come. Says which of them is to be left, if it is clear by now.
    pub(super) fn failed(&mut self, uids: &[u32], how: How) -> Option<u32> {
        self.together = Some(1);
        let [uid] = uids else { return None };
        let came = self.came;
        let strikes = self.strikes.entry(*uid).or_default();
        strikes.all = strikes.all.saturating_add(1);
        if strikes.all == 1 || came > strikes.at {
            strikes.counted = strikes.counted.saturating_add(1);
        }
        strikes.at = came;
        let enough = if how == How::Refused { REFUSALS } else { BREAKS };
        let is_clear = (came > 0 && strikes.counted >= enough) || strikes.all >= ALONE;
        if is_clear {
            self.strikes.remove(uid);
        }
        is_clear.then_some(*uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server with one mail that it never gives; says after how many tries the others had come, and when
    /// the one was left.
    fn played(mails: u32, culprit: u32, how: How) -> (usize, usize) {
        let (mut suspects, mut got, mut left) = (Suspects::default(), BTreeSet::new(), None);
        let (mut tries, mut others) = (0, 0);
        while left.is_none() && tries < 200 {
            let new: Vec<u32> = (1..=mails).filter(|uid| !got.contains(uid)).collect();
            for batch in suspects.order(new).chunks(suspects.together()) {
                tries += 1;
                if batch.contains(&culprit) {
                    left = suspects.failed(batch, how);
                    break;
                }
                suspects.went_well(batch);
                got.extend(batch.iter().copied());
            }
            if got.len() == mails as usize - 1 && others == 0 {
                others = tries;
            }
        }
        assert_eq!(left, Some(culprit));
        assert_eq!(got.len(), mails as usize - 1, "all others came");
        (others, tries)
    }

    #[test]
    fn one_mail_that_never_comes_stands_before_no_other() {
        for how in [How::Refused, How::Broken] {
            for culprit in [1, 30, 60] {
                let (others, tries) = played(60, culprit, how);
                assert!(others < 80 && tries < 100, "{others} {tries}");
            }
            assert_eq!(played(1, 1, how).1, 8, "where it is alone it is tried more often");
        }
    }

    /// A server that gives nothing for a while: nobody is left for it.
    #[test]
    fn a_server_that_gives_nothing_leaves_nobody() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.failed(&[1, 2, 3], How::Broken), None);
        for _ in 0..2 {
            for uid in 1..=3 {
                assert_eq!(suspects.failed(&[uid], How::Broken), None);
            }
        }
        suspects.went_well(&[1]);
        suspects.went_well(&[2]);
        assert_eq!(suspects.order(vec![1, 2, 3]), [1, 2, 3]);
    }

    #[test]
    fn answers_that_nobody_asked_for_are_not_used_and_several_add_up() {
        let mut heads = Heads::of(&[5, 6]);
        let marked = Head { marked: true, ..Head::default() };
        let sized = Head { size: Some(700), ..Head::default() };
        let dated = Head { received: Some(Moment::default()), ..Head::default() };
        heads.take(Some(5), sized);
        heads.take(Some(5), marked);
        heads.take(Some(5), dated);
        heads.take(Some(4), sized);
        heads.take(None, sized);
        let all = Head { received: Some(Moment::default()), size: Some(700), marked: true };
        assert_eq!(heads.of_mail(5), all);
        assert_eq!((heads.of_mail(4), heads.of_mail(6)), (Head::default(), Head::default()));
    }
}

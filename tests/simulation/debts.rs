//! What the desk owes, by when, as long as nothing is broken: an answer to whoever wrote, and what they wrote to
//! whoever has to read it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use embargod::domain::facts::names::{Moment, Span};

use super::oracle::Broken;
use super::people::{address, tokens};
use super::vault::Outbound;

/// One thing that is owed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Debt {
    Acknowledgement(String),
    Report(u32, String),
    Answer(String, String),
    /// The team's: a mail to a member was refused for good.
    Refusal(String),
}

/// All of them.
pub(crate) struct Debts {
    owed: BTreeSet<Debt>,
    due: BinaryHeap<Reverse<(Moment, Debt)>>,
    /// Until when something is broken, as far as is known.
    trouble: Moment,
    /// Mails to members that were refused, and of which nobody was told.
    refused: BTreeMap<String, BTreeSet<String>>,
    excused: BTreeMap<String, Moment>,
}

impl Debt {
    fn whose(&self) -> &str {
        match self {
            Self::Acknowledgement(who) | Self::Report(_, who) | Self::Answer(_, who) => who,
            Self::Refusal(_) => "mia",
        }
    }
}

/// How long it may take, counted from when all is well.
const PATIENCE: Span = Span::hours(10);

impl Debts {
    pub(crate) fn new(now: Moment) -> Self {
        Self {
            owed: BTreeSet::new(),
            due: BinaryHeap::new(),
            trouble: now,
            excused: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Something is broken until then.
    pub(crate) fn trouble(&mut self, until: Moment) {
        self.trouble = self.trouble.max(until);
    }

    /// Somebody's server refuses them for good: for so long they are owed nothing.
    pub(crate) fn excuse(&mut self, who: &str, until: Moment) {
        self.excused.insert(who.to_owned(), until);
        self.owed.retain(|debt| debt.whose() != who);
    }

    fn owe(&mut self, debt: Debt, now: Moment) -> Option<Moment> {
        if self.excused.get(debt.whose()).is_some_and(|until| now < *until) {
            return None;
        }
        let at = self.trouble.max(now) + PATIENCE;
        self.owed.insert(debt.clone());
        self.due.push(Reverse((at, debt)));
        Some(at)
    }

    pub(crate) fn acknowledgement(&mut self, who: &str, now: Moment) -> Option<Moment> {
        self.owe(Debt::Acknowledgement(who.to_owned()), now)
    }

    pub(crate) fn report<'a>(
        &mut self,
        case: u32,
        whom: impl Iterator<Item = &'a str>,
        now: Moment,
    ) -> Option<Moment> {
        let whom: Vec<String> = whom.map(ToOwned::to_owned).collect();
        whom.into_iter().filter_map(|who| self.owe(Debt::Report(case, who), now)).last()
    }

    pub(crate) fn answer(&mut self, id: &str, who: &str, now: Moment) -> Option<Moment> {
        self.owe(Debt::Answer(id.to_owned(), who.to_owned()), now)
    }

    /// A mail to a member was refused for good.
    pub(crate) fn refusal(&mut self, whose: &str, id: &str, now: Moment) -> Option<Moment> {
        self.refused.entry(whose.to_owned()).or_default().insert(id.to_owned());
        self.owe(Debt::Refusal(whose.to_owned()), now)
    }

    /// When everything that is due by now has had its time.
    pub(crate) fn patience(&self) -> Moment {
        self.trouble + PATIENCE
    }

    /// Whether somebody's server refuses them.
    pub(crate) fn is_excused(&self, who: &str, now: Moment) -> bool {
        self.excused.get(who).is_some_and(|until| now < *until)
    }

    /// A mail is on its way to somebody.
    pub(crate) fn delivered(&mut self, who: &str, mail: &Outbound) {
        // A refusal is believed the second time: what is taken then is no news to anybody.
        if let Some(refused) = self.refused.get_mut(who)
            && refused.remove(&mail.id)
            && refused.is_empty()
        {
            self.owed.remove(&Debt::Refusal(who.to_owned()));
        }
        if mail.subject.contains("We received") {
            self.owed.remove(&Debt::Acknowledgement(who.to_owned()));
        }
        for case in tokens(&mail.body, "SECRET-") {
            self.owed.remove(&Debt::Report(case, who.to_owned()));
        }
        if mail.subject.contains("could not be delivered") {
            let is_told = |debt: &Debt| match debt {
                Debt::Refusal(whose) => mail.body.contains(&format!("Our mail to {whose} ")),
                Debt::Acknowledgement(_) | Debt::Report(..) | Debt::Answer(..) => false,
            };
            self.owed.retain(|debt| !is_told(debt));
            self.refused.retain(|whose, _| !mail.body.contains(&format!("Our mail to {whose} ")));
        }
        if let Some(id) = &mail.answers {
            self.owed.remove(&Debt::Answer(id.clone(), who.to_owned()));
        }
    }

    /// What is due now, and when the next is.
    pub(crate) fn due(
        &mut self,
        now: Moment,
        has_told_of: impl Fn(&str, &str) -> bool,
    ) -> Result<Option<Moment>, Broken> {
        while let Some(Reverse((at, debt))) = self.due.peek() {
            if *at > now {
                return Ok(Some(*at));
            }
            let debt = debt.clone();
            self.due.pop();
            if !self.owed.contains(&debt) {
                continue;
            }
            let patience = self.trouble + PATIENCE;
            if patience > now {
                self.due.push(Reverse((patience, debt)));
                continue;
            }
            let words = match &debt {
                Debt::Acknowledgement(_) => "We received your report".to_owned(),
                Debt::Report(case, _) => format!("SECRET-{case}."),
                Debt::Answer(id, _) => format!("\"answers\":\"{id}\""),
                Debt::Refusal(whose) => format!("Our mail to {whose} "),
            };
            if has_told_of(&address(debt.whose()), &words) {
                continue;
            }
            let (promise, what) = match &debt {
                Debt::Acknowledgement(who) => (1, format!("{who} was not acknowledged")),
                Debt::Report(case, who) => (1, format!("{who} never got report {case}")),
                Debt::Answer(id, who) => (7, format!("{who} got no answer to the mail {id}")),
                Debt::Refusal(whose) => {
                    (3, format!("nobody was told that mails to {whose} are refused"))
                }
            };
            return Err(Broken { promise, what: format!("{what} (it is {now})") });
        }
        Ok(None)
    }
}

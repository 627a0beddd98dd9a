//! How long things took: by playbook and overall. Live embargoes are left out, since their numbers
//! would tell that there is something and since when.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::names::{Handle, Moment, Span};
use crate::domain::model::incident::{Incident, Status};
use crate::domain::model::schedule;
use crate::domain::model::schedule::State;
use crate::domain::process::playbook::Kind;

/// A set of spans, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spans {
    /// How many there are.
    pub count: usize,
    /// The one in the middle; of an even number, the lower of the two.
    pub median_s: Option<i64>,
    /// Their mean.
    pub mean_s: Option<i64>,
    /// The longest.
    pub longest_s: Option<i64>,
}

impl Spans {
    fn of(mut spans: Vec<Span>) -> Self {
        spans.sort();
        let seconds: Vec<i64> = spans.iter().map(Span::num_seconds).collect();
        let count = seconds.len();
        let middle = count.checked_sub(1).map(|last| last / 2);
        let sum: i64 = seconds.iter().sum();
        let mean = i64::try_from(count).ok().and_then(|count| sum.checked_div(count));
        Self {
            count,
            median_s: middle.and_then(|at| seconds.get(at).copied()),
            mean_s: mean,
            longest_s: seconds.last().copied(),
        }
    }
}

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct Share {
    /// So many.
    pub on_time: usize,
    /// Of so many.
    pub all: usize,
}

impl Share {
    fn add(&mut self, on_time: bool) {
        self.all = self.all.saturating_add(1);
        self.on_time = self.on_time.saturating_add(usize::from(on_time));
    }

    /// In per cent, if there is anything.
    #[must_use]
    pub fn percent(self) -> Option<usize> {
        self.on_time.saturating_mul(100).checked_div(self.all)
    }
}

/// The figures of a set of incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// The playbook; none for all.
    pub playbook: Option<String>,
    /// How many incidents are counted.
    pub incidents: usize,
    /// How many of them were vulnerabilities.
    pub vulnerabilities: usize,
    /// From the report to the automatic acknowledgement.
    pub acknowledged: Spans,
    /// From the report to a person's answer.
    pub answered: Spans,
    /// From the report to the day on which it was public: how long it was kept.
    pub embargo: Spans,
    /// From the first word to a list until it was public.
    pub list_embargo: Spans,
    /// Answers by a person within the promised time.
    pub answers: Share,
    /// Notices that left on time.
    pub notices: Share,
    /// Tasks with a deadline that were done by it.
    pub tasks: Share,
}

/// Whether an incident may be counted: it is over, or public. One that lives says nothing.
fn counts(incident: &Incident, all: &BTreeMap<&Handle, &Incident>) -> bool {
    // What is the same as another counts with it, or it would tell of one that lives.
    let mut last = incident;
    for _ in 0..100 {
        match last.same_as.as_ref().and_then(|handle| all.get(handle)) {
            Some(other) => last = other,
            None => break,
        }
    }
    let over = |incident: &Incident| {
        incident.published().is_some()
            || (!incident.status.is_open() && incident.status != Status::Spam)
    };
    over(incident) && over(last)
}

fn figures(playbook: Option<String>, incidents: &[&Incident], now: Moment) -> Figures {
    let since = |incident: &&Incident, to: Option<Moment>| {
        let received = incident.anchor(Anchor::Received)?;
        Some(to?.signed_duration_since(received))
    };
    let spans = |to: &dyn Fn(&Incident) -> Option<Moment>| {
        Spans::of(incidents.iter().filter_map(|incident| since(incident, to(incident))).collect())
    };
    let (mut answers, mut notices, mut tasks) =
        (Share::default(), Share::default(), Share::default());
    for incident in incidents {
        if incident.reporter.address.is_some() {
            let due = schedule::human_due(incident);
            answers.add(incident.answered.is_some_and(|at| at <= due));
        }
        for release in incident.notices.values().flat_map(|notice| notice.releases.values()) {
            notices.add(!release.late);
        }
        for item in schedule::agenda(incident, now) {
            let by_people =
                matches!(item.task.kind, Kind::Human | Kind::Decide | Kind::Gate | Kind::Record);
            if let (true, State::Done(at), Some(due)) = (by_people, &item.state, item.due) {
                tasks.add(*at <= due);
            }
        }
    }
    let listed = |incident: &&&Incident| {
        let from = incident.anchor(Anchor::ListNotified)?;
        Some(incident.published()?.signed_duration_since(from))
    };
    Figures {
        playbook,
        incidents: incidents.len(),
        vulnerabilities: incidents
            .iter()
            .filter(|incident| incident.anchor(Anchor::Accepted).is_some())
            .count(),
        acknowledged: spans(&|incident| incident.acknowledge),
        answered: spans(&|incident| incident.answered),
        embargo: spans(&Incident::published),
        list_embargo: Spans::of(incidents.iter().filter_map(|i| listed(&i)).collect()),
        answers,
        notices,
        tasks,
    }
}

/// The figures of all incidents that are over, overall first, then by playbook; and how many live
/// ones were left out.
#[must_use]
pub fn statistics<'i>(
    incidents: impl Iterator<Item = &'i Incident>,
    now: Moment,
) -> (Vec<Figures>, usize) {
    let all: Vec<&Incident> = incidents.collect();
    let known = all.iter().map(|incident| (&incident.handle, *incident)).collect();
    let (over, live): (Vec<&Incident>, Vec<&Incident>) =
        all.into_iter().partition(|incident| counts(incident, &known));
    let live = live.iter().filter(|incident| incident.status.is_open()).count();
    let mut by: BTreeMap<&str, Vec<&Incident>> = BTreeMap::new();
    for incident in &over {
        by.entry(incident.playbook.id.as_str()).or_default().push(incident);
    }
    let mut all = vec![figures(None, &over, now)];
    all.extend(by.into_iter().map(|(id, list)| figures(Some(id.to_owned()), &list, now)));
    (all, live)
}

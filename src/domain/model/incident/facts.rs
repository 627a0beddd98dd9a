//! What is known of an incident: its anchors with their history, its record, and the branches that
//! follow from them.

use std::collections::BTreeSet;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::event::Author;
use crate::domain::facts::names::{Moment, PersonId, TaskId};
use crate::domain::model::incident::parts::AnchorSet;
use crate::domain::model::incident::state::Incident;
use crate::domain::process::offset::Offset;
use crate::domain::process::playbook::{Branch, Effect, Facts, FanOut, Task, Truth, field};

impl Incident {
    /// When an anchor is or was, if that is known.
    #[must_use]
    pub fn anchor(&self, anchor: Anchor) -> Option<Moment> {
        let noted = |anchor| self.anchors.get(&anchor).copied();
        match anchor {
            Anchor::Opened => Some(self.opened),
            Anchor::Acknowledged => self.acknowledge,
            Anchor::HumanAck => self.answered,
            Anchor::Batch => self.t(),
            // Alone it is all that its release fixes, once there is a date.
            Anchor::BatchFinal => noted(anchor).or_else(|| self.alone_in_release()),
            Anchor::Release => {
                let (t, calendar) = (self.t()?, &self.playbook.calendar);
                Some(self.grace().map_or(t, |grace| grace.negated().from(t, calendar)))
            }
            Anchor::Received
            | Anchor::Disclosed
            | Anchor::Accepted
            | Anchor::Triaged
            | Anchor::FixReady
            | Anchor::MitigationReady
            | Anchor::T
            | Anchor::Released
            | Anchor::PublicKnown
            | Anchor::ExploitationKnown
            | Anchor::Invalid
            | Anchor::FixConfirmed
            | Anchor::ReproducerReady
            | Anchor::ListNotified
            | Anchor::Public
            | Anchor::IntentToPublish
            | Anchor::CorrectiveMeasure
            | Anchor::Upstream
            | Anchor::Application
            | Anchor::Review
            | Anchor::Closed => noted(anchor),
        }
    }

    fn alone_in_release(&self) -> Option<Moment> {
        self.t_set.filter(|_| self.batch.is_none() && self.t().is_some())
    }

    /// The time between the release and its details, where the process knows one.
    #[must_use]
    pub fn grace(&self) -> Option<Offset> {
        let field = self.playbook.t.grace.as_ref()?;
        Offset::parse(&self.value(field)?).ok()
    }

    /// The planned moment of public disclosure.
    #[must_use]
    pub fn t(&self) -> Option<Moment> {
        self.anchors.get(&Anchor::T).copied()
    }

    /// When it became public.
    #[must_use]
    pub fn published(&self) -> Option<Moment> {
        self.anchors.get(&Anchor::Public).copied()
    }

    /// When it was said that the public knows of it.
    #[must_use]
    pub fn known_public(&self) -> Option<Moment> {
        self.anchors.get(&Anchor::PublicKnown).copied()
    }

    /// When it was said that it is exploited.
    #[must_use]
    pub fn exploited(&self) -> Option<Moment> {
        self.anchors.get(&Anchor::ExploitationKnown).copied()
    }

    /// Notes a change of an anchor.
    pub(super) fn mark(
        &mut self,
        anchor: Anchor,
        moment: Option<Moment>,
        at: Moment,
        by: Option<&PersonId>,
    ) {
        match moment {
            Some(moment) => self.anchors.insert(anchor, moment),
            None => self.anchors.remove(&anchor),
        };
        self.anchor_changes.push(AnchorSet { anchor, moment, at, by: by.cloned() });
    }

    /// Notes a fact that counts from its first time.
    pub(super) fn mark_first(&mut self, anchor: Anchor, at: Moment, by: Option<&PersonId>) {
        if !self.anchors.contains_key(&anchor) {
            self.mark(anchor, Some(at), at, by);
        }
    }

    /// Notes that something was put in the record, and whether the incident is triaged by it.
    pub(super) fn recorded(&mut self, field: &str, at: Moment, by: Option<&PersonId>) {
        self.set_at.insert(field.to_owned(), at);
        let triaged = self.playbook.triaged.iter().all(|name| self.is_known(name));
        if triaged {
            self.mark_first(Anchor::Triaged, at, by);
        }
    }

    /// Whether the record has something. What holds by default is not in the record.
    #[must_use]
    pub fn is_known(&self, field: &str) -> bool {
        match field {
            "cve" => !self.cves.is_empty(),
            "cvss" => self.score.is_some(),
            "ghsa" => !self.ghsas.is_empty(),
            "title" => self.title.is_some(),
            "lead" => self.lead.is_some(),
            "deputy" => self.deputy.is_some(),
            "t" => self.t().is_some(),
            "published" => self.published().is_some(),
            other => self.fields.contains_key(other),
        }
    }

    /// Whether a row applies to this incident, and if that cannot be said, what is missing.
    #[must_use]
    pub fn applies(&self, task: &Task) -> Truth {
        let dropped = |branch: &&Branch| match &branch.effect {
            Effect::Drop(rows) => rows.contains(&task.id),
            Effect::Asap | Effect::Stretch(_) => false,
        };
        if self.sharing.elsewhere.contains_key(&task.id)
            || self.branches().any(|branch| dropped(&branch))
        {
            return Truth::No;
        }
        task.applies.as_ref().map_or(Truth::Yes, |predicate| predicate.holds(self))
    }

    /// Whether this incident, being the first of its release, does a row for all of them.
    #[must_use]
    pub fn does_once(&self, task: &Task) -> bool {
        task.once && self.applies(task) == Truth::Yes && !self.skipped.contains_key(&task.id)
    }

    /// The branches that are taken.
    pub fn branches(&self) -> impl Iterator<Item = &Branch> {
        // Mostly none is, and this is asked for each row whenever anything happens.
        let all = if self.taken.is_empty() { &[] } else { self.playbook.branches.as_slice() };
        all.iter().filter(|branch| self.taken.contains_key(&branch.id))
    }

    /// Since when open work is due at once. A playbook that says nothing about it means: since the
    /// public knows.
    #[must_use]
    pub fn asap(&self) -> Option<Moment> {
        let hurries = |branch: &&Branch| branch.effect == Effect::Asap;
        if !self.playbook.branches.iter().any(|branch| hurries(&branch)) {
            return self.known_public();
        }
        let taken = self.playbook.branches.iter().filter(hurries);
        taken.filter_map(|branch| self.taken.get(&branch.id)).min().copied()
    }

    /// Notes since when each branch is taken. Called after every fact, so that what asks for branches
    /// need not weigh their conditions again.
    pub fn note_branches(&mut self, at: Moment) {
        if self.playbook.branches.is_empty() {
            self.taken.clear();
            return;
        }
        let holds = |branch: &&Branch| match branch.when.holds(self) {
            Truth::Yes => true,
            Truth::No => false,
            Truth::Unknown(_) => branch.unless_known,
        };
        let now: BTreeSet<String> =
            self.playbook.branches.iter().filter(holds).map(|branch| branch.id.clone()).collect();
        self.taken.retain(|id, _| now.contains(id));
        for id in now {
            self.taken.entry(id).or_insert(at);
        }
    }

    /// How much longer open work may take.
    #[must_use]
    pub fn stretch(&self) -> Option<Offset> {
        self.branches().find_map(|branch| match branch.effect {
            Effect::Stretch(by) => Some(by),
            Effect::Asap | Effect::Drop(_) => None,
        })
    }

    /// The names of a row's parts, once they are known; none for a row without parts.
    #[must_use]
    pub fn parts(&self, fan_out: FanOut) -> Option<Vec<String>> {
        if fan_out == FanOut::Cves {
            let mut cves: Vec<String> = self.cves.iter().cloned().collect();
            cves.sort_by_key(|cve| field::cve_order(cve));
            return (!cves.is_empty()).then_some(cves);
        }
        let list = self.fields.get(fan_out.field())?;
        Some(list.split(", ").map(str::to_owned).collect())
    }
}

impl Facts for Incident {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "cvss.score" => {
                self.score.as_ref().map(|s| format!("{}.{}", s.tenths / 10, s.tenths % 10))
            }
            "cvss.band" => self.score.as_ref().map(|score| score.band.clone()),
            "reporter.external" => {
                let ours = self
                    .letters
                    .first()
                    .is_some_and(|letter| matches!(letter.author, Author::Person(_)));
                if ours { Some("no".to_owned()) } else { self.value("reporter_external") }
            }
            "report.channel" => self.value("channel"),
            field => {
                let default = || self.playbook.fields.get(field)?.default.clone();
                self.fields.get(field).cloned().or_else(default)
            }
        }
    }

    fn knows(&self, anchor: Anchor) -> bool {
        self.anchor(anchor).is_some()
    }

    fn is_done(&self, task: &TaskId) -> bool {
        // By a person's word only: a row that is settled by the record would ask itself.
        self.playbook.task(task.as_str()).is_some_and(|task| {
            self.done.contains_key(&task.id) && !self.skipped.contains_key(&task.id)
        })
    }
}

/// The CVE numbers in a line.
pub(crate) fn cves(incident: &Incident) -> String {
    incident.cves.iter().cloned().collect::<Vec<_>>().join(", ")
}

//! The people of a rehearsed process: a team that does each thing as soon as the process lets it, by the
//! words that the real one would write.
//!
//! It knows the process and nothing of what the desk decides: whatever it is refused is a finding.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::event::Event;
use crate::domain::facts::names::{Moment, PersonId, Span, TaskId, later};
use crate::domain::model::incident::{Incident, Status};
use crate::domain::model::schedule;
use crate::domain::model::schedule::{Item, State};
use crate::domain::outgoing::texts::OWN_ANSWER;
use crate::domain::process::playbook::field::FieldType;
use crate::domain::process::playbook::{Audience, Kind, Task, Truth};
use crate::error::Fault;
use crate::rehearsal::play::Play;

/// The group of the CNA, to which one writes by its form where it has no key.
const CNA: &str = "cna";

/// So often a row is tried before it counts as blocked.
const TRIES: u32 = 3;

/// The team, and what it has met with.
pub struct Team {
    /// T, as it is to be set.
    pub t: Option<Moment>,
    /// What is to be in the record, in place of the samples.
    pub record: BTreeMap<String, String>,
    /// What could not be done: the row, and why.
    pub blocked: BTreeMap<String, String>,
    tries: BTreeMap<TaskId, u32>,
    tried_at: BTreeMap<TaskId, Moment>,
    has_begun: bool,
    has_set_t: bool,
    pace: Pace,
}

/// How fast a team is.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long after a report the first of them looks at it.
    pub first: Span,
    /// How long somebody waits before they try again what was refused.
    pub again: Span,
    /// How long after T somebody says that it is public.
    pub after: Span,
}

impl Default for Pace {
    fn default() -> Self {
        Self { first: Span::hours(1), again: Span::hours(12), after: Span::minutes(2) }
    }
}

impl Team {
    /// A team that has not begun.
    #[must_use]
    pub fn new(t: Option<Moment>, record: BTreeMap<String, String>) -> Self {
        let (blocked, tries) = (BTreeMap::new(), BTreeMap::new());
        let tried_at = BTreeMap::new();
        let pace = Pace::default();
        Self { t, record, blocked, tries, tried_at, has_begun: false, has_set_t: false, pace }
    }

    /// The same team at another pace.
    #[must_use]
    pub fn at_pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Plays the process from its report to its end.
    ///
    /// # Errors
    /// When the report opens nothing.
    pub fn plays(&mut self, play: &mut Play, horizon: Moment) -> Result<(), Fault> {
        loop {
            play.runs();
            while self.acts(play) {
                play.runs();
            }
            let Some(next) = self.next(play).filter(|next| *next <= horizon) else { return Ok(()) };
            play.now = next.max(later(play.now, Span::seconds(1)));
        }
    }

    /// The next moment at which anybody has something to do.
    fn next(&self, play: &Play) -> Option<Moment> {
        let incident = play.incident()?;
        // What comes after its end is about the desk, and not about the process.
        if !incident.status.is_open() {
            return None;
        }
        let items = schedule::agenda(incident, play.now);
        let theirs = items.iter().filter(|item| !is_over(&item.state));
        let theirs = theirs.filter_map(|item| self.moment(incident, item));
        let t = incident.t().map(|t| later(t, later_than(self.pace.after)));
        theirs.chain(t).chain(play.desk.next_due()).filter(|at| *at > play.now).min()
    }

    /// When the team does a row: in the middle of its time, or when it begins.
    fn moment(&self, incident: &Incident, item: &Item<'_>) -> Option<Moment> {
        let from = item.earliest.or(item.due)?;
        let last = self.tried_at.get(&item.task.id).map(|at| later(*at, self.pace.again));
        let window = item.task.when.as_ref().is_some_and(|when| !when.window.is_moment());
        let middle = match item.due {
            Some(due) if window && due > from => later(from, due.signed_duration_since(from) / 2),
            _ => from,
        };
        // What prepares a day is done before it.
        let on_the_day = incident.t().is_some_and(|t| middle > t) && item.due == incident.t();
        let at = if on_the_day { incident.t().unwrap_or(middle) } else { middle };
        // What others wait for is done before their time comes.
        let at = needed_by(incident, &item.task.id).map_or(at, |needed| at.min(needed).max(from));
        // Nobody writes to the public on a day off if the day before does as well.
        let at = if window { incident.playbook.calendar.roll_earlier(at).max(from) } else { at };
        Some(last.map_or(at, |last| at.max(last)))
    }

    /// Does something, if there is anything to be done now.
    fn acts(&mut self, play: &mut Play) -> bool {
        let Some(incident) = play.incident().cloned() else { return false };
        if !incident.status.is_open() {
            return false;
        }
        if !self.has_begun {
            self.has_begun = true;
            play.now = later(play.now, self.pace.first);
            self.begins(play);
            return true;
        }
        if incident.t().is_none() && !self.has_set_t && incident.status == Status::Accepted {
            self.has_set_t = true;
            self.sets_t(play);
            return true;
        }
        let items: Vec<(Task, Option<String>, State)> = schedule::agenda(&incident, play.now)
            .into_iter()
            .filter(|item| self.is_its_time(&incident, item, play.now))
            .map(|item| (item.task.clone(), item.part.clone(), item.state.clone()))
            .collect();
        for (task, part, _) in items {
            if self.does(play, &task, part.as_deref()) {
                return true;
            }
        }
        self.ends(play)
    }

    fn is_its_time(&self, incident: &Incident, item: &Item<'_>, now: Moment) -> bool {
        let tries = self.tries.get(&item.task.id).copied().unwrap_or(0);
        let rests =
            self.tried_at.get(&item.task.id).is_some_and(|at| now < later(*at, self.pace.again));
        if tries >= TRIES || rests || is_over(&item.state) || item.task.optional {
            return false;
        }
        let drafts = item.task.is_notice() && incident.t().is_some();
        if drafts && !schedule::is_with_a_person(incident, item.task) {
            let is_out = |field: &str| field != "published" || incident.published().is_some();
            if !schedule::missing(incident, item.task).all(is_out) {
                return false;
            }
            // What stays within the team is written when it is asked for, and the rest once its day is known.
            let outside = item.task.audience.as_ref().is_some_and(Audience::is_outside);
            let now_or_known = matches!(item.state, State::Due | State::Open | State::Late)
                || (outside && item.earliest.is_some());
            if !now_or_known {
                return false;
            }
            let notice = incident.notices.get(&item.task.id);
            return notice.is_none_or(|notice| notice.valid_draft().is_none());
        }
        let open = matches!(item.state, State::Due | State::Open | State::Late);
        let waits = matches!(item.state, State::WaitingFor(_)) && item.task.when.is_none();
        (open || waits) && self.moment(incident, item).is_none_or(|at| at <= now)
    }

    /// The report is accepted, led, and its record filled.
    fn begins(&mut self, play: &mut Play) {
        let Some(incident) = play.incident().cloned() else { return };
        let Some(first) = holders(play, &incident, &incident.playbook.intake).first().cloned()
        else {
            let what = format!("nobody holds the role `{}`", incident.playbook.intake);
            self.blocked.insert("the report".to_owned(), what);
            return;
        };
        self.says(play, "accept", &first, &["/accept".to_owned()]);
        self.says(play, "lead", &first, &["/lead me".to_owned()]);
        let deputy = holders(play, &incident, &incident.playbook.intake).get(1).cloned();
        if let Some(deputy) = deputy {
            self.says(play, "deputy", &first, &[format!("/deputy {deputy}")]);
        }
        let mut lines = self.samples(play);
        lines.retain(|line| line.trim_end().contains(' '));
        for chunk in lines.chunks(15) {
            self.says(play, "record", &first, chunk);
        }
    }

    /// Values for the whole record: those that were given, and samples that lead to no branch.
    fn samples(&self, play: &Play) -> Vec<String> {
        let Some(incident) = play.incident() else { return Vec::new() };
        let given = |name: &str, sample: &str| {
            self.record.get(name).cloned().unwrap_or_else(|| sample.to_owned())
        };
        let mut lines = vec![
            format!("/title {}", given("title", "A vulnerability for the rehearsal")),
            format!("/cvss {}", given("cvss", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H")),
            format!("/cve {}", given("cve", "CVE-2099-10001")),
            format!("/ghsa {}", given("ghsa", "GHSA-2345-cfgh-jmpq")),
        ];
        let taken: BTreeSet<String> = incident.taken.keys().cloned().collect();
        for (name, field) in &incident.playbook.fields {
            if field.anchor.is_some() || incident.fields.contains_key(name) {
                continue;
            }
            if let Some(own) = self.record.get(name) {
                if !own.is_empty() {
                    lines.push(format!("/set {name} {own}"));
                }
                continue;
            }
            let quiet = |value: &String| {
                let mut trial = incident.clone();
                let event = Event::FieldSet { field: name.clone(), value: value.clone() };
                trial.apply(play.now, None, &event);
                trial.note_branches(play.now);
                trial.taken.keys().all(|branch| taken.contains(branch))
            };
            let values = sample_values(name, &field.kind, field.band);
            // A text that a branch hangs on is left out; of choices one is made in any case.
            let choice =
                matches!(field.kind, FieldType::Enum(_) | FieldType::Some(_) | FieldType::YesNo);
            let first = values.first().filter(|_| choice);
            if let Some(value) = values.iter().find(|value| quiet(value)).or(first) {
                lines.push(format!("/set {name} {value}"));
            }
        }
        lines
    }

    fn sets_t(&mut self, play: &mut Play) {
        let Some(incident) = play.incident().cloned() else { return };
        let t = self.t.unwrap_or_else(|| proposed(&incident, play.now));
        self.t = Some(t);
        let line = format!("/disclose {}", t.format("%Y-%m-%dT%H:%M:%SZ"));
        let Some(lead) = incident.lead.clone() else { return };
        self.says(play, "T", &lead, &[line]);
    }

    /// Does a row, if anybody can. `false` where there was nothing to try.
    fn does(&mut self, play: &mut Play, task: &Task, part: Option<&str>) -> bool {
        let Some(incident) = play.incident().cloned() else { return false };
        let mut lines = lines_for(&incident, task, part);
        if lines.is_empty() {
            return false;
        }
        // What nobody of the desk gets is given to them by another way, once it is its time.
        let given = task.is_notice() && is_for_nobody(play, task);
        if given {
            if schedule::span_of(&incident, task).is_none_or(|(at, _)| at > play.now)
                || schedule::open_before(&incident, task).next().is_some()
            {
                return false;
            }
            if !matches!(&task.audience, Some(Audience::Group(group)) if group == CNA) {
                let why = format!("nobody is in `{}`", audience_words(task));
                self.blocked.insert(format!("notice {}", task.word()), why);
            }
            lines = vec![format!("/done {} by their form", task.word())];
        }
        let people = row_holders(play, &incident, task);
        *self.tries.entry(task.id.clone()).or_insert(0) += 1;
        self.tried_at.insert(task.id.clone(), play.now);
        let word = task.word().to_string();
        let Some(first) = people.first().cloned() else {
            let roles: Vec<&str> =
                task.roles().map(|role| incident.playbook.role_label(role)).collect();
            self.blocked.insert(word, format!("nobody is {}", roles.join(" or ")));
            return true;
        };
        if !self.says(play, &word, &first, &lines) {
            return true;
        }
        self.blocked.remove(&word);
        if task.is_notice() && !given {
            self.approves(play, task, &first, &people);
        } else if task.people > 1 || !task.agree.is_empty() {
            let others = people.iter().filter(|id| **id != first).cloned();
            for other in others.collect::<Vec<_>>() {
                let open = play.incident().is_some_and(|i| schedule::done_at(i, task).is_none());
                if open && self.says(play, &word, &other, &lines) {
                    self.blocked.remove(&word);
                }
            }
        }
        true
    }

    fn approves(&mut self, play: &mut Play, task: &Task, first: &PersonId, people: &[PersonId]) {
        let word = task.word().to_string();
        let everybody: Vec<PersonId> = play.desk.roster.people.keys().cloned().collect();
        let order = people.iter().chain(&everybody).filter(|id| *id != first).chain([first]);
        let mut asked: BTreeSet<PersonId> = BTreeSet::new();
        for who in order.cloned().collect::<Vec<_>>() {
            let Some(incident) = play.incident() else { return };
            let Some(notice) = incident.notices.get(&task.id) else { return };
            let Some(draft) = notice.valid_draft() else { return };
            let missing = schedule::approvals_missing(incident, notice, task);
            let person = play.desk.roster.person(&who);
            let may = person.is_some_and(|person| incident.is_team(person));
            if missing == 0 || notice.has_left() {
                self.blocked.remove(&word);
                return;
            }
            if !may || !asked.insert(who.clone()) {
                continue;
            }
            let line = format!("/approve {word}@{}", draft.number);
            self.says(play, &word, &who, &[line]);
        }
        let Some(incident) = play.incident() else { return };
        let none = crate::domain::model::incident::Notice::default();
        let notice = incident.notices.get(&task.id).unwrap_or(&none);
        if schedule::approvals_missing(incident, notice, task) > 0 {
            self.blocked.insert(word, "nobody else may approve it".to_owned());
        } else {
            self.blocked.remove(&word);
        }
    }

    /// It is public once all of the day is done, and closed once nothing is left.
    fn ends(&mut self, play: &mut Play) -> bool {
        let Some(incident) = play.incident().cloned() else { return false };
        let Some(lead) = incident.lead.clone() else { return false };
        let passed = incident.t().is_some_and(|t| later(t, self.pace.after) <= play.now);
        let said = incident.asks.values().any(|ask| ask.line == "/published");
        if passed && !said && incident.published().is_none() && self.once("published") {
            return self.says(play, "published", &lead, &["/published".to_owned()]);
        }
        let waits = |item: &Item<'_>| {
            let repeat = item.task.when.as_ref().and_then(|when| when.repeat.as_ref());
            let for_ever =
                repeat.is_some_and(|repeat| repeat.until.is_none_or(|u| u == Anchor::Closed));
            let human = !item.task.optional && !item.task.is_standing() && !is_over(&item.state);
            let human = human && !for_ever;
            let tried = self.tries.get(&item.task.id).copied().unwrap_or(0) >= TRIES;
            let ahead = self.moment(&incident, item).is_some_and(|at| at > play.now);
            human && !tried && (ahead || item.task.is_notice())
        };
        let items = schedule::agenda(&incident, play.now);
        let rests = incident.published().is_some() && !items.iter().any(waits);
        rests && self.once("close") && self.says(play, "close", &lead, &["/close".to_owned()])
    }

    fn once(&mut self, word: &str) -> bool {
        let Some(id) = TaskId::parse(&format!("own-{word}")) else { return false };
        let tries = self.tries.entry(id).or_insert(0);
        *tries += 1;
        *tries <= TRIES
    }

    /// Writes a mail, and confirms what the desk asks about, by whom it asks.
    fn says(&mut self, play: &mut Play, what: &str, who: &PersonId, lines: &[String]) -> bool {
        match play.says(who, lines) {
            Ok(asks) => {
                // Of several who are asked, whoever it is not the writer counts first.
                let other = asks.iter().find(|(id, _)| id != who).or_else(|| asks.first());
                let Some((other, word)) = other.cloned() else { return true };
                match play.says(&other, &[word]) {
                    Ok(_) => true,
                    Err(why) => {
                        self.blocked.insert(what.to_owned(), why);
                        false
                    }
                }
            }
            Err(why) => {
                self.blocked.insert(what.to_owned(), why);
                false
            }
        }
    }
}

fn is_for_nobody(play: &Play, task: &Task) -> bool {
    matches!(&task.audience, Some(Audience::Group(group))
        if !play.desk.roster.people.values().any(|person| person.groups.contains(group)))
}

fn is_over(state: &State) -> bool {
    matches!(
        state,
        State::Done(_)
            | State::Always
            | State::Moot
            | State::NotHere(_)
            | State::Skipped(_)
            | State::Elsewhere(_)
    )
}

/// When the first of the rows that come after a row is to be done, over all that come after those.
fn needed_by(incident: &Incident, id: &TaskId) -> Option<Moment> {
    let mut todo = vec![id.clone()];
    let mut seen = BTreeSet::new();
    let mut first: Option<Moment> = None;
    while let Some(id) = todo.pop() {
        for after in incident.tasks().filter(|task| task.after.contains(&id)) {
            if seen.insert(after.id.clone()) {
                let moment =
                    schedule::span_of(incident, after).map(|(from, due)| due.unwrap_or(from));
                first = first.into_iter().chain(moment).min();
                todo.push(after.id.clone());
            }
        }
    }
    first
}

fn later_than(span: Span) -> Span {
    span.checked_add(&Span::seconds(1)).unwrap_or(span)
}

/// The people who hold a role on the incident.
fn holders(play: &Play, incident: &Incident, role: &str) -> Vec<PersonId> {
    let people = play.desk.roster.people.values();
    people.filter(|person| incident.holds(person, role)).map(|person| person.id.clone()).collect()
}

fn row_holders(play: &Play, incident: &Incident, task: &Task) -> Vec<PersonId> {
    let mut found: Vec<PersonId> = Vec::new();
    for role in task.roles() {
        for id in holders(play, incident, role) {
            if !found.contains(&id) {
                found.push(id);
            }
        }
    }
    found
}

/// What is written for a row; nothing for what the desk does, or what nobody can do yet.
fn lines_for(incident: &Incident, task: &Task, part: Option<&str>) -> Vec<String> {
    let word =
        part.map_or_else(|| task.word().to_string(), |part| format!("{}/{part}", task.word()));
    if let Truth::No | Truth::Unknown(_) = incident.applies(task) {
        return Vec::new();
    }
    if task.is_notice() {
        let done = schedule::is_with_a_person(incident, task);
        return vec![if done { format!("/done {word}") } else { format!("/preview {word}") }];
    }
    if let Some(answer) = &task.answer {
        return if answer == OWN_ANSWER {
            vec!["/reply".into(), String::new(), "Thank you. We are at work on your report.".into()]
        } else {
            vec![format!("/answer {answer}")]
        };
    }
    if task.kind == Kind::Draft || task.follows.is_some() {
        return Vec::new();
    }
    if !task.fact.is_empty() {
        let by_word = task.fact.iter().any(|anchor| {
            matches!(anchor, Anchor::Accepted | Anchor::Invalid | Anchor::T | Anchor::HumanAck)
        });
        let reason = format!("/done {word} it does not hold here");
        return if by_word { Vec::new() } else { vec![reason] };
    }
    if task.kind == Kind::Auto && !task.is_closed_by_a_person() {
        return Vec::new();
    }
    let missing: Vec<&str> = schedule::missing(incident, task).collect();
    if missing.iter().any(|field| ["published", "lead", "deputy", "t"].contains(field)) {
        return Vec::new();
    }
    if matches!(task.kind, Kind::Record | Kind::Decide) && !task.needs.is_empty() {
        return Vec::new();
    }
    let evidence = match &task.evidence {
        Some(kind) => sample_values("", kind, false).first().cloned().unwrap_or_default(),
        None if task.is_closed_by_a_person() => "by telephone".to_owned(),
        None => String::new(),
    };
    vec![format!("/done {word} {evidence}").trim_end().to_owned()]
}

/// Values that a field can have, the likeliest first.
fn sample_values(name: &str, kind: &FieldType, band: bool) -> Vec<String> {
    let one = |text: &str| vec![text.to_owned()];
    match kind {
        FieldType::Text => match name {
            "fixed" => one("2.4.1"),
            "binaries" => one("https://downloads.example/2.4.1"),
            "credit" => one("Rita Reporter"),
            "deploy" => one("no; not before that moment"),
            "test" => one("run `product --version`: 2.0 to 2.4 are affected"),
            "patches" => one("git am"),
            "contact" => Vec::new(),
            "" => one("as the team says it"),
            name => vec![format!("({name}, as your record will say it)")],
        },
        // The level of the sample's score.
        FieldType::Enum(_) if band => vec!["High".to_owned()],
        FieldType::Enum(values) => values.clone(),
        FieldType::Some(values) => values.iter().take(1).cloned().collect(),
        FieldType::YesNo => vec!["yes".to_owned(), "no".to_owned()],
        FieldType::Date => one("2099-01-01"),
        FieldType::Moment | FieldType::Span => one("0"),
        FieldType::Number => one("1"),
        FieldType::Share => one("40/500"),
        FieldType::Versions => one("2.0 to 2.4"),
        FieldType::List => one("2.4"),
        FieldType::Commits => one("0123456789abcdef0123"),
        FieldType::Url => one("https://tracker.example/1"),
        FieldType::Thread => one("<20990101.1@example.org>"),
        FieldType::CommitMessage => one("Check the length before the copy"),
        FieldType::Cvss => one("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"),
        FieldType::Cve => one("CVE-2099-10001"),
        FieldType::Ghsa => one("GHSA-2345-cfgh-jmpq"),
    }
}

/// A moment that the process allows, two to three weeks ahead.
fn proposed(incident: &Incident, now: Moment) -> Moment {
    let (playbook, calendar) = (&incident.playbook, &incident.playbook.calendar);
    let latest = playbook
        .t
        .max_span
        .iter()
        .filter_map(|cap| Some(cap.span.from(incident.anchor(cap.from)?, calendar)));
    let earliest = playbook.t.min_span.iter().filter_map(|cap| {
        Some(calendar.end_of_day(cap.span.from(incident.anchor(cap.from)?, calendar)))
    });
    let lead = later(playbook.t.min_lead.from(now, calendar), Span::days(2));
    let wanted = later(now, Span::days(14)).max(lead);
    let rule = crate::domain::process::offset::Slots {
        at: playbook.t.at.or_else(|| chrono::NaiveTime::from_hms_opt(15, 0, 0)),
        days: playbook.t.days,
        snap: crate::domain::process::offset::Snap::Nearest,
        earliest: earliest.max().unwrap_or(now).max(lead),
        latest: latest.min(),
    };
    calendar.slot(wanted, &rule).unwrap_or(wanted)
}

/// Whom the audience of a row has, as the time line names it.
#[must_use]
pub fn audience_words(task: &Task) -> String {
    match &task.audience {
        Some(Audience::Group(name) | Audience::Public(name) | Audience::Role(name)) => name.clone(),
        Some(Audience::Member { id, .. }) => id.to_string(),
        Some(Audience::Reporter) => "the reporter".to_owned(),
        None => String::new(),
    }
}

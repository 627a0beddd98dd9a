//! The rows of a playbook: each for itself, and all of them in their order.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::facts::anchor::{ANCHORS, Anchor, SetBy};
use crate::domain::facts::names::{Span, TaskId};
use crate::domain::outgoing::texts;
use crate::domain::outgoing::texts::{Class, OWN_ANSWER, PREPARED, Texts};
use crate::domain::process::offset::{Offset, WeekDays, Window, parse_time};
use crate::domain::process::playbook::field::FieldType;
use crate::domain::process::playbook::file;
use crate::domain::process::playbook::loader::Loader;
use crate::domain::process::playbook::rules::{OWN_WORDS, Playbook};
use crate::domain::process::playbook::task::{
    Action, Audience, Kind, Repeat, Rung, Step, Task, When,
};

impl Loader<'_> {
    #[expect(clippy::too_many_lines, reason = "one step for each key of a row")]
    pub(super) fn task(&mut self, at: usize, row: file::Task, so_far: &Playbook) -> Task {
        let id = self.task_id(at, &row.id);
        for word in [Some(&row.id), row.alias.as_ref()].into_iter().flatten() {
            if so_far.task(word).is_some() {
                self.wrong(at, format!("`{word}` names two tasks; ids and aliases must differ"));
            }
        }
        if row.src.is_some() == row.origin.is_some() {
            self.wrong(
                at,
                format!("task `{id}` needs either `src` (a line of the document) or `origin`"),
            );
        }
        let role = row.role.clone().unwrap_or_else(|| so_far.intake.clone());
        for role in row.agree.iter().chain(&row.with).chain(&row.to).chain([&role]) {
            if !so_far.roles.contains_key(role) {
                self.wrong(at, format!("task `{id}` is for role `{role}`, which is not declared"));
            }
        }
        let different: BTreeSet<&String> = row.agree.iter().collect();
        if different.len() != row.agree.len() || row.agree.len() == 1 {
            self.wrong(
                at,
                format!("gate `{id}` cannot be opened: `agree` needs two roles or more, each once"),
            );
        }
        if !row.agree.is_empty() && row.kind != Kind::Gate {
            self.wrong(at, format!("task `{id}`: `agree` belongs to kind `gate`"));
        }
        if row.people.is_some()
            && (!(2..=5).contains(&row.people.unwrap_or(0))
                || row.kind != Kind::Gate
                || !row.agree.is_empty())
        {
            self.wrong(
                at,
                format!(
                    "task `{id}`: `people` is from 2 to 5, and belongs to a gate without `agree`"
                ),
            );
        }
        for field in &row.needs {
            if !so_far.fields.contains_key(field) && !OWN_WORDS.contains(&field.as_str()) {
                self.wrong(at, format!("task `{id}` needs field `{field}`, which is not declared"));
            }
        }
        let when = self.when(at, &row);
        let sets = self.sets(at, &row);
        let (audience, approvals) = self.notice(at, &row, so_far, when.as_ref());
        self.action(at, &row, so_far);
        let applies = row.r#if.as_deref().and_then(|text| self.predicate(at, text, so_far));
        let fact = self.facts(at, &row);
        let follows = row.follows.as_deref().map(Anchor::parse).transpose();
        let follows = self.take(at, follows, None);
        let evidence = self.evidence(at, &row);
        let escalate = row.escalate.iter().filter_map(|text| self.step(at, text, so_far)).collect();
        let alias = row.alias.as_deref().map(|alias| self.task_id(at, alias));
        let after = row.after.iter().map(|id| self.task_id(at, id)).collect();
        let of = row.of.as_deref().map(|id| self.task_id(at, id));
        let same_as = row.same_as.as_deref().map(|id| self.task_id(at, id));
        Task {
            id,
            alias,
            phase: row.phase,
            section: row.section,
            title: row.title,
            role,
            with: row.with,
            kind: row.kind,
            when,
            applies,
            fan_out: row.fan_out,
            once: row.once,
            optional: row.optional,
            must: row.must,
            escalate,
            fact,
            follows,
            answer: row.answer,
            to: row.to,
            of,
            same_as,
            after,
            action: row.action,
            close: row.close,
            sets,
            agree: row.agree,
            people: row.people.unwrap_or(1),
            evidence,
            needs: row.needs,
            template: row.template,
            audience,
            approvals,
            four_eyes: row.four_eyes,
            src: row.src,
            origin: row.origin,
        }
    }

    fn sets(&mut self, at: usize, row: &file::Task) -> Option<Anchor> {
        let anchor = row.sets.as_deref().map(Anchor::parse).transpose();
        let anchor = self.take(at, anchor, None)?;
        match anchor.set_by() {
            SetBy::Row => Some(anchor),
            SetBy::Word(word) => {
                let why = format!(
                    "task `{}` sets `{anchor}`, which only the word `{word}` sets; write `fact` in place of `sets`",
                    row.id
                );
                self.wrong(at, why);
                None
            }
            SetBy::Field | SetBy::Desk => {
                let why = format!("task `{}` sets `{anchor}`, which no row sets", row.id);
                self.wrong(at, why);
                None
            }
        }
    }

    fn facts(&mut self, at: usize, row: &file::Task) -> Vec<Anchor> {
        let Some(names) = &row.fact else { return Vec::new() };
        let read = names.split('|').map(Anchor::parse).collect::<Result<Vec<_>, _>>();
        self.take(at, read, Vec::new())
    }

    fn evidence(&mut self, at: usize, row: &file::Task) -> Option<FieldType> {
        match &row.evidence {
            None | Some(file::Evidence::Any(false)) => None,
            Some(file::Evidence::Any(true)) => Some(FieldType::Text),
            Some(file::Evidence::Of(name)) => {
                let read = FieldType::parse(name, &[]).map(Some);
                self.take(at, read, None)
            }
        }
    }

    /// Reads a step like `80% lead`, `100% security_team` or `100%+1d operator`.
    fn step(&mut self, at: usize, text: &str, so_far: &Playbook) -> Option<Step> {
        let wrong = || {
            format!(
                "`{text}` is no step of an escalation; write one like `80% lead` or `100%+1d operator`"
            )
        };
        let read = || {
            let (when, to) = text.split_once(' ').ok_or_else(wrong)?;
            let (percent, after) = when.split_once('%').ok_or_else(wrong)?;
            let percent: u32 = percent.parse().map_err(|_| wrong())?;
            let after = if after.is_empty() { "0" } else { after };
            let after = Offset::parse(after).map_err(|_| wrong())?;
            let to = match to.trim() {
                "owner" => Rung::Owner,
                "lead" => Rung::Lead,
                "deputy" => Rung::Deputy,
                "operator" => Rung::Operator,
                role if so_far.roles.contains_key(role) => Rung::Role(role.to_owned()),
                role => return Err(format!("escalation to role `{role}`, which is not declared")),
            };
            if percent > 100 || after.is_before() {
                Err(wrong())
            } else {
                Ok(Step { percent, after, to })
            }
        };
        read().map_err(|why| self.wrong(at, why)).ok()
    }

    fn action(&mut self, at: usize, row: &file::Task, so_far: &Playbook) {
        let id = &row.id;
        if (row.kind == Kind::Auto) != row.action.is_some() {
            self.wrong(at, format!("task `{id}`: `action` belongs to kind `auto`, and only there"));
        }
        let to_own = row.template.is_some()
            && so_far.roles.contains_key(row.audience.as_deref().unwrap_or(""));
        if row.close && !to_own && !row.action.is_some_and(Action::waits_for_its_moment) {
            self.wrong(
                at,
                format!("task `{id}`: `close` belongs to what the desk does at a moment, or to a draft for a role"),
            );
        }
        let needs_to = matches!(row.action, Some(Action::Tell | Action::EndRole));
        if needs_to != row.to.is_some() {
            self.wrong(
                at,
                format!("task `{id}`: `to` names the role for the actions `tell` and `end_role`"),
            );
        }
        if row.action == Some(Action::EndRole) {
            let role = row.to.as_ref().and_then(|role| so_far.roles.get(role));
            let held = role.is_some_and(|role| role.held_by.is_some());
            if held || row.to.as_ref() == Some(&so_far.intake) {
                self.wrong_if_new(
                    at,
                    format!("task `{id}`: the intake role and that of whoever leads do not end"),
                );
            }
        }
        let verifies = row.action.is_some_and(Action::verifies);
        if verifies != row.of.is_some() {
            self.wrong(
                at,
                format!(
                    "task `{id}`: `of` names the notice for the actions `verify` and `verify_new`"
                ),
            );
        }
        let together = row.people.is_some() || !row.agree.is_empty();
        if row.fan_out.is_some() && row.sets.is_some() {
            self.wrong_if_new(
                at,
                format!("task `{id}`: what has parts sets no fact; let a row after it do so"),
            );
        }
        if row.fan_out.is_some() && together {
            self.wrong_if_new(
                at,
                format!("task `{id}`: a gate that several open has no parts; give each part a row"),
            );
        }
        if row.fan_out.is_some() && !matches!(row.kind, Kind::Human | Kind::Decide | Kind::Gate) {
            self.wrong(at, format!("task `{id}`: `fan_out` belongs to what people do"));
        }
        if row.follows.is_some() && row.kind != Kind::Decide {
            self.wrong(at, format!("task `{id}`: `follows` belongs to kind `decide`"));
        }
        self.naming(at, row);
    }

    /// What a row is called and where it comes from.
    fn naming(&mut self, at: usize, row: &file::Task) {
        let id = &row.id;
        if row.kind == Kind::Gate && row.fact.is_some() {
            self.wrong_if_new(at, format!("gate `{id}` is opened by people, and by no `fact`"));
        }
        let all = |word: &String| word.eq_ignore_ascii_case("all");
        if all(&row.id) || row.alias.as_ref().is_some_and(all) {
            self.wrong_if_new(at, "`all` is every notice, and no row's name".to_owned());
        }
        let of_lines = |src: &String| {
            src.split([',', '-']).all(|n| n.parse::<u32>().is_ok_and(|n| (1..100_000).contains(&n)))
        };
        if row.src.as_ref().is_some_and(|src| !of_lines(src)) {
            self.wrong_if_new(
                at,
                format!(
                    "task `{id}`: `src` is lines of the document, like `44`, `9-11` or `12,27`"
                ),
            );
        }
        let late =
            |when: &file::When| ["closed", "application", "review"].contains(&when.anchor.as_str());
        if row.template.is_some() && row.when.as_ref().is_some_and(late) {
            self.wrong_if_new(at, format!("task `{id}`: nothing leaves any more after that"));
        }
        let plain = |text: &String| texts::clean_line(text, 200) == *text;
        if row.phase.is_empty() || row.title.is_empty() || !plain(&row.phase) || !plain(&row.title)
        {
            self.wrong_if_new(at, format!("task `{id}` needs a phase and a title, each a plain line of at most 200 letters"));
        }
    }

    fn when(&mut self, at: usize, row: &file::Task) -> Option<When> {
        let id = &row.id;
        let Some(when) = &row.when else {
            if !row.standing && row.kind != Kind::Record {
                self.wrong(
                    at,
                    format!("task `{id}` has no anchor; add `when`, or `standing = true`"),
                );
            }
            if row.standing && row.kind != Kind::Gate {
                self.wrong(at, format!("task `{id}`: only a gate can be standing"));
            }
            return None;
        };
        if row.standing {
            self.wrong(at, format!("task `{id}`: what is standing has no `when`"));
        }
        let anchors = when.anchor.split('|').map(Anchor::parse).collect::<Result<Vec<_>, _>>();
        let anchors = self.take(at, anchors, Vec::new());
        let window = when.offset.as_deref().map_or(Ok(Window::FROM_THEN_ON), Window::parse);
        let window = self.take(at, window, Window::AT);
        if let (Some(earliest), Some(due)) = (window.earliest, window.due)
            && earliest != due
            && earliest.is_of_days() != due.is_of_days()
            && earliest != Offset::ZERO
        {
            self.wrong_if_new(
                at,
                format!("task `{id}`: a window from `{earliest}` to `{due}` mixes hours and days"),
            );
        }
        let time = when.at.as_deref().map(parse_time).transpose();
        let days = when.days.as_deref().map(WeekDays::parse).transpose();
        let roll = match when.roll.as_deref() {
            None | Some("none") => false,
            Some("earlier") => true,
            Some(other) => {
                let why = format!(
                    "task `{id}`: a day off moves \"earlier\" or not at all, and not `{other}`"
                );
                self.wrong(at, why);
                false
            }
        };
        let (at_time, days) = (self.take(at, time, None), self.take(at, days, None));
        if (roll || days.is_some()) && at_time.is_none() {
            let why = format!(
                "task `{id}`: a moment that moves to another day needs `at`, or it could get later when T gets earlier"
            );
            self.wrong(at, why);
        }
        let repeat = match (&when.repeat, &when.until) {
            (Some(every), until) => {
                let every = self.longer_than_nothing(at, every);
                let until = until.as_deref().map(Anchor::parse).transpose();
                Some(Repeat { every, until: self.take(at, until, None) })
            }
            (None, Some(_)) => {
                self.wrong(at, format!("task `{id}`: `until` belongs to `repeat`"));
                None
            }
            (None, None) => None,
        };
        if repeat.is_some() && (row.template.is_some() || row.kind == Kind::Gate) {
            self.wrong(at, format!("task `{id}`: a notice or a gate does not come again"));
        }
        let (snap, origin) = (when.snap, when.origin);
        Some(When { anchors, window, at: at_time, days, snap, roll, repeat, origin })
    }

    fn reporters_row(&mut self, at: usize, row: &file::Task, of_notice: bool) {
        let id = &row.id;
        if of_notice || (row.answer.is_none() && row.fact.is_none()) {
            self.wrong(at, format!("task `{id}`: what goes to the reporter is a prepared `answer`, or is settled by a `fact`"));
        }
        if let Some(answer) = &row.answer
            && answer != OWN_ANSWER
            && !PREPARED.iter().any(|(name, _)| name == answer)
        {
            let known = PREPARED.iter().map(|(name, _)| *name);
            let known: Vec<_> = known.chain([OWN_ANSWER]).collect();
            let known = known.join(", ");
            self.wrong(
                at,
                format!(
                    "task `{id}`: there is no prepared answer `{answer}`; write one of {known}"
                ),
            );
        }
    }

    fn notice(
        &mut self,
        at: usize,
        row: &file::Task,
        so_far: &Playbook,
        when: Option<&When>,
    ) -> (Option<Audience>, usize) {
        let id = &row.id;
        let of_notice = row.template.is_some() || row.approvals.is_some() || row.four_eyes;
        if row.kind != Kind::Draft {
            if of_notice || row.audience.is_some() || row.answer.is_some() {
                self.wrong(
                    at,
                    format!("task `{id}`: template, audience and approvals belong to kind `draft`"),
                );
            }
            return (None, 1);
        }
        if row.audience.as_deref() == Some("reporter") {
            self.reporters_row(at, row, of_notice);
            return (Some(Audience::Reporter), 1);
        }
        let template = row.template.as_deref().unwrap_or("");
        let class = Texts::class(template);
        let public_text = match class {
            Some(Class::Public | Class::Forthcoming | Class::Forecast) => true,
            Some(Class::Notice) => false,
            Some(Class::Clear | Class::Sealed | Class::Part) | None => {
                self.wrong(at, format!("task `{id}`: `{template}` is no template of a notice"));
                false
            }
        };
        let audience = self.audience(at, row, so_far);
        if class.is_some() && public_text != matches!(audience, Some(Audience::Public(_))) {
            self.wrong(
                at,
                format!("task `{id}`: a public group and a public template go together only"),
            );
        }
        let before = |when: &When| when.window.is_before() || when.window.earliest.is_none();
        let early = when.is_some_and(|when| {
            before(when) && when.anchors.iter().any(|anchor| anchor.is_planned())
        });
        if early && class == Some(Class::Public) {
            self.wrong(
                at,
                format!(
                    "task `{id}` would publish before its moment; a text with content waits for it"
                ),
            );
        }
        if early
            && let Some(Audience::Group(name)) = &audience
            && so_far.groups.get(name).is_some_and(|group| group.tlp == "GREEN")
        {
            self.wrong_if_new(at, format!("task `{id}`: group `{name}` is GREEN, and what is under embargo is AMBER at most"));
        }
        let approvals = row.approvals.unwrap_or(1);
        let role = row.role.as_ref().unwrap_or(&so_far.intake);
        let own = matches!(&audience, Some(Audience::Role(to)) if to == role);
        if !(usize::from(!own)..=5).contains(&approvals) {
            self.wrong(
                at,
                format!(
                    "task `{id}`: approvals are 1 to 5, or 0 for what goes to its own role only"
                ),
            );
        }
        (audience, approvals.clamp(usize::from(!own), 5))
    }

    fn audience(&mut self, at: usize, row: &file::Task, so_far: &Playbook) -> Option<Audience> {
        let name = row.audience.as_deref().unwrap_or("");
        match so_far.groups.get(name) {
            Some(group) if group.public.is_empty() => Some(Audience::Group(name.to_owned())),
            Some(_) => Some(Audience::Public(name.to_owned())),
            None if so_far.roles.contains_key(name) => Some(Audience::Role(name.to_owned())),
            None => {
                let id = &row.id;
                let why = format!("task `{id}`: audience `{name}` is neither a group nor a role");
                self.wrong(at, why);
                None
            }
        }
    }

    /// What can only be seen with all rows in hand: what is named and not there, circles, T-minus
    /// rows out of order, public notices without a gate, anchors that nothing sets.
    pub(super) fn check_order(&mut self, playbook: &Playbook, places: &[usize]) {
        let at = |n: usize| places.get(n).copied().unwrap_or(0);
        let by_id: BTreeMap<&TaskId, &Task> =
            playbook.tasks.iter().map(|task| (&task.id, task)).collect();
        let circles = in_circles(playbook);
        let reached = reachable(playbook);
        let mut t_minus: BTreeMap<Anchor, Span> = BTreeMap::new();
        for (n, task) in playbook.tasks.iter().enumerate() {
            for before in &task.after {
                match by_id.get(before) {
                    None => self.wrong(
                        at(n),
                        format!("task `{}` comes after `{before}`, which is not there", task.id),
                    ),
                    Some(row) if is_never_done(row) => self.wrong_if_new(
                        at(n),
                        format!("task `{}` comes after `{before}`, which is never done", task.id),
                    ),
                    Some(_) => {}
                }
            }
            if circles.contains(&task.id) {
                self.wrong(at(n), format!("task `{}` waits for itself; look at `after`", task.id));
            }
            if matches!(task.audience, Some(Audience::Public(_))) && !has_gate(&by_id, task) {
                self.wrong(at(n), format!("task `{}` is public and comes after no gate", task.id));
            }
            self.check_named(playbook, task, at(n), &reached);
            let Some(when) = &task.when else { continue };
            if let (true, true, [anchor], Some(due)) = (
                when.window.is_moment(),
                task.is_notice(),
                when.anchors.as_slice(),
                when.window.due,
            ) && anchor.is_planned()
                && due.is_before()
            {
                if t_minus.get(anchor).is_some_and(|earlier| due.rough() < *earlier) {
                    self.wrong_about(
                        *anchor,
                        at(n),
                        format!("task `{}` is earlier than the T-minus row above it", task.id),
                    );
                }
                t_minus.insert(*anchor, due.rough());
            }
        }
    }

    fn check_named(
        &mut self,
        playbook: &Playbook,
        task: &Task,
        at: usize,
        reached: &BTreeSet<Anchor>,
    ) {
        let find = |id: &TaskId| playbook.tasks.iter().find(|other| other.id == *id);
        if let Some(of) = &task.of
            && !find(of).is_some_and(Task::is_notice)
        {
            self.wrong(at, format!("task `{}` verifies `{of}`, which is no notice", task.id));
        }
        if let Some(same) = &task.same_as
            && find(same).is_none_or(|other| other.evidence != task.evidence)
        {
            self.wrong(at, format!("task `{}` compares its evidence with that of `{same}`, which has none of its type", task.id));
        }
        let known: Vec<&Anchor> = task.when.iter().flat_map(|when| &when.anchors).collect();
        if !known.is_empty() && !known.iter().any(|anchor| reached.contains(anchor)) {
            let names: Vec<_> = known.iter().map(ToString::to_string).collect();
            let what = if task.kind == Kind::Gate { "gate that nobody can open" } else { "row" };
            let names = names.join(" nor ");
            self.wrong_if_new(
                at,
                format!("{what} `{}` counts from `{names}`, which no row sets", task.id),
            );
        }
    }
}

/// The anchors that can come to be known: those that no row need set, and step by step those that
/// rows set which count from one of these.
fn reachable(playbook: &Playbook) -> BTreeSet<Anchor> {
    let of_fields = playbook.fields.values().filter_map(|field| field.anchor);
    let mut reached: BTreeSet<Anchor> = ANCHORS
        .iter()
        .filter(|(_, _, set_by)| *set_by != SetBy::Row)
        .map(|(_, anchor, _)| *anchor)
        .chain(of_fields)
        // Whoever publishes says that it was released as well.
        .chain([Anchor::Released])
        .collect();
    for _ in 0..ANCHORS.len() {
        for task in &playbook.tasks {
            let Some(sets) = task.sets else { continue };
            let comes = task.when.as_ref().is_none_or(|when| {
                when.window.earliest.is_none() || when.anchors.iter().any(|a| reached.contains(a))
            });
            if comes {
                reached.insert(sets);
            }
        }
    }
    reached
}

/// Whether a row can never be done, so that nothing may wait for it.
fn is_never_done(task: &Task) -> bool {
    let ends = |when: &When| when.repeat.as_ref().is_none_or(|repeat| repeat.until.is_some());
    task.is_standing()
        || matches!(task.action, Some(Action::SendKey | Action::Link))
        || !task.when.as_ref().is_none_or(ends)
}

/// The rows that wait for themselves over others: what is left when those that wait for nothing
/// are taken away again and again.
fn in_circles(playbook: &Playbook) -> BTreeSet<TaskId> {
    let mut left: BTreeMap<&TaskId, BTreeSet<&TaskId>> =
        playbook.tasks.iter().map(|task| (&task.id, task.after.iter().collect())).collect();
    let known: BTreeSet<&TaskId> = left.keys().copied().collect();
    for before in left.values_mut() {
        before.retain(|id| known.contains(id));
    }
    // Forwards takes away what leads into a circle, backwards what only comes after one.
    for backwards in [false, true] {
        loop {
            let waited_for: BTreeSet<&TaskId> = left.values().flatten().copied().collect();
            let free: Vec<&TaskId> = left
                .iter()
                .filter(
                    |(id, before)| {
                        if backwards { !waited_for.contains(**id) } else { before.is_empty() }
                    },
                )
                .map(|(id, _)| *id)
                .collect();
            if free.is_empty() {
                break;
            }
            for id in &free {
                left.remove(id);
            }
            for before in left.values_mut() {
                before.retain(|id| !free.contains(id));
            }
        }
    }
    left.into_keys().cloned().collect()
}

fn has_gate(by_id: &BTreeMap<&TaskId, &Task>, task: &Task) -> bool {
    let gate = |before: &&Task| before.kind == Kind::Gate && !before.is_standing();
    task.after.iter().filter_map(|id| by_id.get(id).copied()).any(|before| gate(&before))
}

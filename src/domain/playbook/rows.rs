//! The rows of a playbook: each for itself, and all of them in their order.

use std::collections::BTreeSet;

use super::loader::Loader;
use super::{
    Action, Anchor, Audience, FieldType, Kind, OWN_WORDS, Playbook, Repeat, Rung, SetBy, Step,
    Task, When, file,
};
use crate::domain::commands::talk::PREPARED;
use crate::domain::names::{Span, TaskId};
use crate::domain::offset::{Offset, WeekDays, Window, parse_time};
use crate::domain::texts::{Class, Texts};

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
        self.action(at, &row);
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
            title: row.title,
            role,
            with: row.with,
            kind: row.kind,
            when,
            applies,
            fan_out: row.fan_out,
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

    fn action(&mut self, at: usize, row: &file::Task) {
        let id = &row.id;
        if (row.kind == Kind::Auto) != row.action.is_some() {
            self.wrong(at, format!("task `{id}`: `action` belongs to kind `auto`, and only there"));
        }
        let needs_to = matches!(row.action, Some(Action::Tell | Action::EndRole));
        if needs_to != row.to.is_some() {
            self.wrong(
                at,
                format!("task `{id}`: `to` names the role for the actions `tell` and `end_role`"),
            );
        }
        let verifies = row.action.is_some_and(Action::is_closed_by_a_person);
        if verifies != row.of.is_some() {
            self.wrong(
                at,
                format!(
                    "task `{id}`: `of` names the notice for the actions `verify` and `verify_new`"
                ),
            );
        }
        if row.fan_out.is_some() && !matches!(row.kind, Kind::Human | Kind::Decide | Kind::Gate) {
            self.wrong(at, format!("task `{id}`: `fan_out` belongs to what people do"));
        }
        if row.follows.is_some() && row.kind != Kind::Decide {
            self.wrong(at, format!("task `{id}`: `follows` belongs to kind `decide`"));
        }
        let sized = [row.phase.len(), row.title.len()];
        if sized.contains(&0) || sized.iter().any(|length| *length > 200) {
            self.wrong(at, format!("task `{id}` needs a phase and a title of at most 200 letters"));
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
            if of_notice || (row.answer.is_none() && row.fact.is_none()) {
                self.wrong(at, format!("task `{id}`: what goes to the reporter is a prepared `answer`, or is settled by a `fact`"));
            }
            if let Some(answer) = &row.answer
                && !PREPARED.iter().any(|(name, _)| name == answer)
            {
                let known: Vec<_> = PREPARED.iter().map(|(name, _)| *name).collect();
                let known = known.join(", ");
                self.wrong(
                    at,
                    format!(
                        "task `{id}`: there is no prepared answer `{answer}`; write one of {known}"
                    ),
                );
            }
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
            self.wrong(at, format!("task `{id}`: group `{name}` is GREEN, and what is under embargo is AMBER at most"));
        }
        let approvals = row.approvals.unwrap_or(1);
        if !(1..=5).contains(&approvals) {
            self.wrong(at, format!("task `{id}`: approvals are 1 to 5"));
        }
        (audience, approvals.clamp(1, 5))
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
        let mut t_minus: Option<Span> = None;
        for (n, task) in playbook.tasks.iter().enumerate() {
            let there = |id: &&TaskId| !playbook.tasks.iter().any(|other| other.id == **id);
            for before in task.after.iter().filter(there) {
                self.wrong(
                    at(n),
                    format!("task `{}` comes after `{before}`, which is not there", task.id),
                );
            }
            if in_circle(playbook, n) {
                self.wrong(at(n), format!("task `{}` waits for itself; look at `after`", task.id));
            }
            if matches!(task.audience, Some(Audience::Public(_))) && !has_gate(playbook, task) {
                self.wrong(at(n), format!("task `{}` is public and comes after no gate", task.id));
            }
            self.check_named(playbook, task, at(n));
            let Some(when) = &task.when else { continue };
            let exact = when.anchors == [Anchor::T] && when.window.is_moment();
            if let (true, true, Some(due)) = (exact, task.is_notice(), when.window.due)
                && due.is_before()
            {
                if t_minus.is_some_and(|earlier| due.rough() < earlier) {
                    self.wrong(
                        at(n),
                        format!("task `{}` is earlier than the T-minus row above it", task.id),
                    );
                }
                t_minus = Some(due.rough());
            }
        }
    }

    fn check_named(&mut self, playbook: &Playbook, task: &Task, at: usize) {
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
        let set = |anchor: &Anchor| {
            anchor.set_by() != SetBy::Row
                || playbook.tasks.iter().any(|other| other.sets == Some(*anchor))
                || playbook.fields.values().any(|field| field.anchor == Some(*anchor))
        };
        // Whoever publishes says that it was released as well.
        let settable = |anchor: &Anchor| *anchor == Anchor::Released || set(anchor);
        let anchors = task.when.iter().flat_map(|when| &when.anchors);
        let known: Vec<&Anchor> = anchors.collect();
        if !known.is_empty() && !known.iter().any(|anchor| settable(anchor)) {
            let names: Vec<_> = known.iter().map(ToString::to_string).collect();
            let what = if task.kind == Kind::Gate { "gate that nobody can open" } else { "row" };
            let names = names.join(" nor ");
            self.wrong(
                at,
                format!("{what} `{}` counts from `{names}`, which no row sets", task.id),
            );
        }
    }
}

fn in_circle(playbook: &Playbook, start: usize) -> bool {
    let Some(first) = playbook.tasks.get(start) else {
        return false;
    };
    let mut seen = BTreeSet::new();
    let mut todo: Vec<&TaskId> = first.after.iter().collect();
    while let Some(id) = todo.pop() {
        if *id == first.id {
            return true;
        }
        if seen.insert(id)
            && let Some(task) = playbook.tasks.iter().find(|task| task.id == *id)
        {
            todo.extend(&task.after);
        }
    }
    false
}

fn has_gate(playbook: &Playbook, task: &Task) -> bool {
    task.after.iter().any(|id| {
        playbook
            .tasks
            .iter()
            .any(|other| other.id == *id && other.kind == Kind::Gate && !other.is_standing())
    })
}

//! From a file to a [`Playbook`]: everything that is wrong with it, each with its line.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use super::{
    ANCHORS, Anchor, Assign, Audience, COMMON_FIELDS, Field, Group, HumanAnswer, Kind, Playbook,
    Problem, Right, TLP, TRule, Task, When, file,
};
use crate::domain::keyword::{Scope, keyword};
use crate::domain::names::{Address, Digest, Span, TaskId, is_id};
use crate::domain::offset::{Calendar, Offset, WeekDays, Window, parse_time, parse_zone};
use crate::domain::texts::{Class, Texts};

/// Reads a playbook and checks it whole.
///
/// # Errors
/// Everything that is wrong with it, each with its line.
pub fn load(text: &str) -> Result<Playbook, Vec<Problem>> {
    let file: file::File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        vec![Problem { line, message: error.message().to_owned() }]
    })?;
    let mut loader = Loader { text, problems: Vec::new() };
    let playbook = loader.playbook(file);
    if loader.problems.is_empty() { Ok(playbook) } else { Err(loader.problems) }
}

fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|b| *b == b'\n').count().saturating_add(1)
}

struct Loader<'a> {
    text: &'a str,
    problems: Vec<Problem>,
}

impl Loader<'_> {
    fn wrong(&mut self, at: usize, message: impl Into<String>) {
        self.problems.push(Problem { line: line_of(self.text, at), message: message.into() });
    }

    /// Takes the value, or notes the problem and goes on with a stand-in.
    fn take<T>(&mut self, at: usize, read: Result<T, String>, otherwise: T) -> T {
        read.unwrap_or_else(|message| {
            self.wrong(at, message);
            otherwise
        })
    }

    fn offset(&mut self, at: usize, text: Option<&str>, otherwise: &str) -> Offset {
        let read = Offset::parse(text.unwrap_or(otherwise));
        self.take(at, read, Offset::ZERO)
    }

    fn playbook(&mut self, file: file::File) -> Playbook {
        let head_at = file.playbook.span().start;
        let head = file.playbook.into_inner();
        if !is_id(&head.id) {
            self.wrong(
                head_at,
                format!("`{}` is no id; use letters, digits, `-` and `_`", head.id),
            );
        }
        let zone = parse_zone(head.zone.as_deref().unwrap_or("UTC"));
        let mut calendar = Calendar::plain(self.take(head_at, zone, chrono_tz::Tz::UTC));
        for day in &head.holidays {
            match day.parse() {
                Ok(date) => {
                    calendar.holidays.insert(date);
                }
                Err(_) => {
                    self.wrong(head_at, format!("holiday `{day}` is no date; write `2026-12-25`"))
                }
            }
        }
        let roles = self.roles(file.roles);
        let groups = self.groups(file.groups);
        let fields = self.fields(file.fields);
        if !roles.contains_key(&head.intake) {
            self.wrong(
                head_at,
                format!("intake role `{}` is not declared; add a [[role]]", head.intake),
            );
        }
        let human_answer = self.human_answer(file.human_answer, &roles);
        let t = self.t_rule(file.t);
        let rights = self.rights(file.rights, &roles);
        let assign = file.assign.and_then(|section| self.assign(section, &roles));
        let every = file.reporter_update.map(|row| (row.span().start, row.into_inner().every));
        let reporter_update = every.map(|(at, every)| self.longer_than_nothing(at, &every));
        let after = file.silence.map(|row| (row.span().start, row.into_inner().after));
        let (at, after) = after.unwrap_or_else(|| (0, "7d".to_owned()));
        let silence = self.longer_than_nothing(at, &after);
        let mut playbook = Playbook {
            id: head.id,
            version: head.version,
            title: head.title,
            ask: head.ask,
            intake: head.intake,
            calendar,
            human_answer,
            t,
            rights,
            assign,
            reporter_update,
            silence,
            roles,
            groups,
            fields,
            tasks: Vec::new(),
            digest: Digest::of(self.text.as_bytes()),
        };
        let places: Vec<usize> = file.tasks.iter().map(|task| task.span().start).collect();
        for row in file.tasks {
            let at = row.span().start;
            let task = self.task(at, row.into_inner(), &playbook);
            playbook.tasks.push(task);
        }
        self.check_order(&playbook, &places);
        playbook
    }

    fn roles(&mut self, rows: Vec<Spanned<file::Role>>) -> BTreeMap<String, String> {
        let mut roles = BTreeMap::new();
        for row in rows {
            let at = row.span().start;
            let role = row.into_inner();
            if !is_id(&role.id) {
                self.wrong(at, format!("`{}` is no id for a role", role.id));
            }
            if roles.insert(role.id.clone(), role.label).is_some() {
                self.wrong(at, format!("role `{}` is declared twice", role.id));
            }
        }
        roles
    }

    fn groups(&mut self, rows: Vec<Spanned<file::Group>>) -> BTreeMap<String, Group> {
        let mut groups = BTreeMap::new();
        for row in rows {
            let at = row.span().start;
            let group = row.into_inner();
            if !TLP.contains(&group.tlp.as_str()) {
                self.wrong(
                    at,
                    format!("`{}` is no TLP 2.0 label; write one of {}", group.tlp, TLP.join(", ")),
                );
            }
            if !group.public.is_empty() && group.tlp != "CLEAR" {
                self.wrong(
                    at,
                    format!("group `{}` has public addresses, so its tlp must be CLEAR", group.id),
                );
            }
            let mut public = Vec::new();
            for text in &group.public {
                match Address::parse(text) {
                    Some(address) => public.push(address),
                    None => self.wrong(at, format!("`{text}` is no mail address")),
                }
            }
            let known = groups
                .insert(group.id.clone(), Group { label: group.label, tlp: group.tlp, public });
            if known.is_some() {
                self.wrong(at, format!("group `{}` is declared twice", group.id));
            }
        }
        groups
    }

    fn fields(&mut self, rows: Vec<Spanned<file::Field>>) -> BTreeMap<String, Field> {
        let mut fields: BTreeMap<String, Field> = COMMON_FIELDS
            .iter()
            .map(|(id, label)| ((*id).to_owned(), Field { label: (*label).to_owned() }))
            .collect();
        for row in rows {
            let at = row.span().start;
            let field = row.into_inner();
            if !is_id(&field.id) {
                self.wrong(at, format!("`{}` is no id for a field", field.id));
            }
            fields.insert(field.id, Field { label: field.label });
        }
        fields
    }

    fn human_answer(
        &mut self,
        section: Option<Spanned<file::Human>>,
        roles: &BTreeMap<String, String>,
    ) -> HumanAnswer {
        let Some(section) = section else {
            return HumanAnswer {
                due: Offset::parse("24h").unwrap_or(Offset::ZERO),
                remind: vec![50, 80],
                escalate: Vec::new(),
            };
        };
        let at = section.span().start;
        let human = section.into_inner();
        let due = self.offset(at, Some(&human.due), "24h");
        if due.rough() <= Span::zero() {
            self.wrong(at, "the time for a person's answer must be longer than nothing");
        }
        if human.remind.iter().any(|percent| !(1..100).contains(percent)) {
            self.wrong(at, "reminders are per cent of the time, from 1 to 99");
        }
        for role in &human.escalate {
            if !roles.contains_key(role) {
                self.wrong(at, format!("escalation to role `{role}`, which is not declared"));
            }
        }
        HumanAnswer { due, remind: human.remind, escalate: human.escalate }
    }

    fn longer_than_nothing(&mut self, at: usize, text: &str) -> Offset {
        let offset = self.offset(at, Some(text), "7d");
        if offset.rough() < Span::minutes(1) {
            self.wrong(at, format!("`{text}` is too short; the least is a minute"));
        }
        offset
    }

    fn rights(
        &mut self,
        rows: Vec<Spanned<file::Right>>,
        roles: &BTreeMap<String, String>,
    ) -> BTreeMap<String, Right> {
        let mut rights = BTreeMap::new();
        for row in rows {
            let at = row.span().start;
            let right = row.into_inner();
            match keyword(&right.word) {
                None => self.wrong(at, format!("the desk has no word `{}`", right.word)),
                Some(row) if row.scope == Scope::Desk => {
                    self.wrong(
                        at,
                        format!("`{}` is about no incident, so no playbook rules it", row.word),
                    );
                }
                Some(row) if right.second && !row.dangerous => self.wrong(
                    at,
                    format!("`{}` is never asked about, so nobody can confirm it", row.word),
                ),
                Some(row) if row.group == "confirm" => {
                    self.wrong(
                        at,
                        format!(
                            "`{}` answers a question; rule the word that is asked about",
                            row.word
                        ),
                    );
                }
                Some(_) => {}
            }
            for role in &right.roles {
                if !roles.contains_key(role) {
                    self.wrong(
                        at,
                        format!("`{}` is for role `{role}`, which is not declared", right.word),
                    );
                }
            }
            if right.roles.is_empty() && !right.second {
                self.wrong(
                    at,
                    format!("the right for `{}` says nothing; add roles or second", right.word),
                );
            }
            let known = rights.insert(
                right.word.to_ascii_lowercase(),
                Right { roles: right.roles, second: right.second },
            );
            if known.is_some() {
                self.wrong(at, format!("the rights for `{}` stand twice", right.word));
            }
        }
        rights
    }

    fn assign(
        &mut self,
        section: Spanned<file::Assign>,
        roles: &BTreeMap<String, String>,
    ) -> Option<Assign> {
        let at = section.span().start;
        let assign = section.into_inner();
        if assign.order != "round_robin" {
            self.wrong(at, format!("order `{}` is not known; write \"round_robin\"", assign.order));
        }
        if !roles.contains_key(&assign.role) {
            self.wrong(
                at,
                format!("the lead comes from role `{}`, which is not declared", assign.role),
            );
        }
        let within = self.longer_than_nothing(at, &assign.within);
        Some(Assign { role: assign.role, within })
    }

    fn t_rule(&mut self, section: Option<Spanned<file::T>>) -> TRule {
        let (at, t) = section.map_or((0, None), |s| (s.span().start, Some(s.into_inner())));
        let time = t.as_ref().and_then(|t| t.at.as_deref()).map(parse_time).transpose();
        let days = t.as_ref().and_then(|t| t.days.as_deref()).map(WeekDays::parse).transpose();
        TRule {
            at: self.take(at, time, None),
            days: self.take(at, days, None),
            min_lead: self.offset(at, t.as_ref().and_then(|t| t.min_lead.as_deref()), "0"),
            stale: self.offset(at, t.as_ref().and_then(|t| t.stale.as_deref()), "24h"),
            slip: self.offset(at, t.as_ref().and_then(|t| t.slip.as_deref()), "1h"),
        }
    }

    fn task(&mut self, at: usize, row: file::Task, so_far: &Playbook) -> Task {
        let id = self.task_id(at, &row.id);
        for word in [Some(&row.id), row.alias.as_ref()].into_iter().flatten() {
            if so_far.task(word).is_some() {
                self.wrong(at, format!("`{word}` names two tasks; ids and aliases must differ"));
            }
        }
        self.refuse_what_is_not_executed(at, &row);
        if row.src.is_some() == row.origin.is_some() {
            self.wrong(
                at,
                format!("task `{id}` needs either `src` (a line of the document) or `origin`"),
            );
        }
        let role = row.role.clone().unwrap_or_else(|| so_far.intake.clone());
        for role in row.agree.iter().chain([&role]) {
            if !so_far.roles.contains_key(role) {
                self.wrong(at, format!("task `{id}` is for role `{role}`, which is not declared"));
            }
        }
        for field in &row.needs {
            if !so_far.fields.contains_key(field)
                && !["cve", "cvss", "ghsa", "title"].contains(&field.as_str())
            {
                self.wrong(at, format!("task `{id}` needs field `{field}`, which is not declared"));
            }
        }
        let when = self.when(at, &row);
        let sets = row.sets.as_deref().map(|name| {
            ANCHORS
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, a)| *a)
                .ok_or_else(|| no_anchor(name))
        });
        let sets = self.take(at, sets.transpose(), None);
        let (audience, approvals) = self.notice(at, &row, so_far);
        if (row.kind == Kind::Auto) != row.action.is_some() {
            self.wrong(at, format!("task `{id}`: `action` belongs to kind `auto`, and only there"));
        }
        let alias = row.alias.as_deref().map(|alias| self.task_id(at, alias));
        let after = row.after.iter().map(|id| self.task_id(at, id)).collect();
        Task {
            id,
            alias,
            phase: row.phase,
            title: row.title,
            role,
            kind: row.kind,
            when,
            after,
            action: row.action,
            sets,
            agree: row.agree,
            evidence: row.evidence,
            needs: row.needs,
            template: row.template,
            audience,
            approvals,
            four_eyes: row.four_eyes,
            src: row.src,
        }
    }

    fn task_id(&mut self, at: usize, text: &str) -> TaskId {
        TaskId::parse(text).unwrap_or_else(|| {
            self.wrong(at, format!("`{text}` is no id for a task"));
            TaskId::none()
        })
    }

    fn refuse_what_is_not_executed(&mut self, at: usize, row: &file::Task) {
        let keys = [
            ("if", &row.r#if),
            ("fan_out", &row.fan_out),
            ("repeat", &row.repeat),
            ("skip", &row.skip),
            ("escalate", &row.escalate),
            ("optional", &row.optional),
        ];
        for (key, value) in keys {
            if value.is_some() {
                let id = &row.id;
                self.wrong(
                    at,
                    format!(
                        "task `{id}`: this version does not execute `{key}`; leave the row out"
                    ),
                );
            }
        }
    }

    fn when(&mut self, at: usize, row: &file::Task) -> Option<When> {
        let Some(when) = &row.when else {
            let needs_none = row.standing || row.kind == Kind::Record;
            if !needs_none {
                self.wrong(
                    at,
                    format!("task `{}` has no anchor; add `when`, or `standing = true`", row.id),
                );
            }
            if row.standing && row.kind != Kind::Gate {
                self.wrong(at, format!("task `{}`: only a gate can be standing", row.id));
            }
            return None;
        };
        let mut anchors = Vec::new();
        let names = when.get("anchor").map_or("", String::as_str);
        for name in names.split('|') {
            match ANCHORS.iter().find(|(known, _)| *known == name) {
                Some((_, anchor)) => anchors.push(*anchor),
                None => self.wrong(at, no_anchor(name)),
            }
        }
        for key in when.keys() {
            if !["anchor", "offset", "at"].contains(&key.as_str()) {
                self.wrong(
                    at,
                    format!("task `{}`: `when` knows anchor, offset and at, not `{key}`", row.id),
                );
            }
        }
        let window = Window::parse(when.get("offset").map_or("0", String::as_str));
        let zero = Window { earliest: Offset::ZERO, due: Offset::ZERO };
        let time = when.get("at").map(|text| parse_time(text)).transpose();
        Some(When { anchors, window: self.take(at, window, zero), at: self.take(at, time, None) })
    }

    fn notice(
        &mut self,
        at: usize,
        row: &file::Task,
        so_far: &Playbook,
    ) -> (Option<Audience>, usize) {
        let id = &row.id;
        if row.kind != Kind::Draft {
            if row.template.is_some()
                || row.audience.is_some()
                || row.approvals.is_some()
                || row.four_eyes
            {
                self.wrong(
                    at,
                    format!("task `{id}`: template, audience and approvals belong to kind `draft`"),
                );
            }
            return (None, 1);
        }
        let template = row.template.as_deref().unwrap_or("");
        let class = Texts::class(template);
        if !matches!(class, Some(Class::Notice | Class::Public)) {
            self.wrong(at, format!("task `{id}`: `{template}` is no template of a notice"));
        }
        let name = row.audience.as_deref().unwrap_or("");
        let audience = match so_far.groups.get(name) {
            Some(group) if group.public.is_empty() => Some(Audience::Group(name.to_owned())),
            Some(_) => Some(Audience::Public(name.to_owned())),
            None if so_far.roles.contains_key(name) => Some(Audience::Role(name.to_owned())),
            None => {
                self.wrong(
                    at,
                    format!("task `{id}`: audience `{name}` is neither a group nor a role"),
                );
                None
            }
        };
        if (class == Some(Class::Public)) != matches!(audience, Some(Audience::Public(_))) {
            self.wrong(
                at,
                format!("task `{id}`: a public group and a public template go together only"),
            );
        }
        let approvals = row.approvals.unwrap_or(1);
        if !(1..=5).contains(&approvals) {
            self.wrong(at, format!("task `{id}`: approvals are 1 to 5"));
        }
        (audience, approvals.clamp(1, 5))
    }

    /// What can only be seen with all rows in hand: unknown and circular `after`, T-minus rows out
    /// of order, public notices without a gate.
    fn check_order(&mut self, playbook: &Playbook, places: &[usize]) {
        let at = |n: usize| places.get(n).copied().unwrap_or(0);
        let mut t_minus: Option<(usize, Span)> = None;
        for (n, task) in playbook.tasks.iter().enumerate() {
            for before in &task.after {
                if !playbook.tasks.iter().any(|other| other.id == *before) {
                    self.wrong(
                        at(n),
                        format!("task `{}` comes after `{before}`, which is not there", task.id),
                    );
                }
            }
            if in_circle(playbook, n) {
                self.wrong(at(n), format!("task `{}` waits for itself; look at `after`", task.id));
            }
            if matches!(task.audience, Some(Audience::Public(_))) && !has_gate(playbook, task) {
                self.wrong(at(n), format!("task `{}` is public and comes after no gate", task.id));
            }
            let before_t = task
                .when
                .as_ref()
                .filter(|when| when.anchors == [Anchor::T] && when.window.due.is_before());
            if let (Some(when), Kind::Draft) = (before_t, task.kind) {
                let due = when.window.due.rough();
                if let Some((_, earlier)) = t_minus
                    && due < earlier
                {
                    self.wrong(
                        at(n),
                        format!("task `{}` is earlier than the T-minus row above it", task.id),
                    );
                }
                t_minus = Some((n, due));
            }
        }
    }
}

fn no_anchor(name: &str) -> String {
    let known: Vec<_> = ANCHORS.iter().map(|(name, _)| *name).collect();
    format!("`{name}` is no anchor; write one of {}", known.join(", "))
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

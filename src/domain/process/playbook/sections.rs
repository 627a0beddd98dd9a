//! The sections of a playbook beside its rows: roles, groups, fields, T, rights, branches.

use std::collections::BTreeMap;

use toml::Spanned;

use crate::domain::facts::anchor::{Anchor, SetBy};
use crate::domain::facts::names::{Address, Moment, Span, TaskId, is_id};
use crate::domain::process::offset::{Calendar, Offset, WeekDays, parse_time};
use crate::domain::process::playbook::field::{Field, FieldType};
use crate::domain::process::playbook::file;
use crate::domain::process::playbook::loader::Loader;
use crate::domain::process::playbook::predicate::Predicate;
use crate::domain::process::playbook::rules::{
    Assign, Branch, Cap, Criterion, Effect, Group, HumanAnswer, OWN_WORDS, Playbook, Right, Role,
    TLP, TRule, common_fields,
};
use crate::domain::process::vocabulary::{Scope, team_word};

type Roles = BTreeMap<String, Role>;

impl Loader<'_> {
    pub(super) fn roles(&mut self, rows: Vec<Spanned<file::Role>>) -> Roles {
        let mut roles = Roles::new();
        for row in rows {
            let at = row.span().start;
            let role = row.into_inner();
            if !is_id(&role.id) {
                self.wrong(at, format!("`{}` is no id for a role", role.id));
            }
            if role.id == "reporter" {
                self.wrong_if_new(at, "`reporter` is who reports, and no role of the team");
            }
            let known =
                roles.insert(role.id.clone(), Role { label: role.label, held_by: role.held_by });
            if known.is_some() {
                self.wrong(at, format!("role `{}` is declared twice", role.id));
            }
        }
        roles
    }

    pub(super) fn groups(
        &mut self,
        rows: Vec<Spanned<file::Group>>,
        roles: &Roles,
    ) -> BTreeMap<String, Group> {
        let mut groups = BTreeMap::new();
        for row in rows {
            let at = row.span().start;
            let group = row.into_inner();
            self.claim(at, group.row.as_ref());
            if !is_id(&group.id) {
                self.wrong_if_new(at, format!("`{}` is no id for a group", group.id));
            }
            if roles.contains_key(&group.id) || group.id == "reporter" {
                let why = format!(
                    "`{}` is a role already; people would mistake one for the other",
                    group.id
                );
                self.wrong_if_new(at, why);
            }
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
            if group.public.is_empty() && group.tlp == "CLEAR" {
                let why = format!("group `{}` is CLEAR and has no public address", group.id);
                self.wrong_if_new(at, why);
            }
            let mut public = Vec::new();
            for text in &group.public {
                match Address::parse(text) {
                    Some(address) => public.push(address),
                    None => self.wrong(at, format!("`{text}` is no mail address")),
                }
            }
            let id = group.id.clone();
            let rules = self.group_rules(at, group, public);
            if groups.insert(id.clone(), rules).is_some() {
                self.wrong(at, format!("group `{id}` is declared twice"));
            }
        }
        groups
    }

    /// What a group asks of its members.
    fn group_rules(&mut self, at: usize, group: file::Group, public: Vec<Address>) -> Group {
        let mut criteria: Vec<Criterion> = Vec::new();
        for criterion in group.criteria {
            if !is_id(&criterion.id) || criteria.iter().any(|known| known.id == criterion.id) {
                let why = format!("`{}` is no id for a criterion, or is used twice", criterion.id);
                self.wrong(at, why);
            }
            criteria.push(Criterion { id: criterion.id, text: criterion.text });
        }
        let rules = group.vouch > 0 || group.cap.is_some() || group.review.is_some();
        if !public.is_empty() && (rules || !criteria.is_empty()) {
            self.wrong(at, format!("group `{}` is public, and has no members to rule", group.id));
        }
        if group.cap == Some(0) {
            self.wrong(at, format!("group `{}` has room for nobody: its cap is 0", group.id));
        }
        let review = group.review.as_deref().map(|text| {
            let every = self.offset(at, Some(text), "365d");
            if every.rough() < Span::days(1) {
                let why = "members are looked at every so many days, like 365d";
                self.wrong(at, format!("`review = \"{text}\"`: {why}"));
            }
            every
        });
        Group {
            label: group.label,
            tlp: group.tlp,
            public,
            vouch: group.vouch,
            review,
            cap: group.cap,
            criteria,
        }
    }

    #[expect(clippy::too_many_lines, reason = "one step for each key of a field")]
    pub(super) fn fields(&mut self, rows: Vec<Spanned<file::Field>>) -> BTreeMap<String, Field> {
        let mut fields = common_fields();
        let common: Vec<String> = fields.keys().cloned().collect();
        let mut own = Vec::new();
        for row in rows {
            let at = row.span().start;
            let field = row.into_inner();
            self.claim(at, field.row.as_ref());
            if !is_id(&field.id) {
                self.wrong(at, format!("`{}` is no id for a field; use small letters", field.id));
            } else if field.id.chars().any(|c| c.is_ascii_uppercase()) {
                let why = format!("`{}` is no id for a field; use small letters", field.id);
                self.wrong_if_new(at, why);
            }
            if field.values.iter().any(|value| value.contains([',', ';'])) {
                self.wrong_if_new(at, format!("field `{}`: a value has no comma in it", field.id));
            }
            if OWN_WORDS.contains(&field.id.as_str()) {
                self.wrong(at, format!("`{}` has a word of its own; it is no field", field.id));
            }
            if own.contains(&field.id) {
                self.wrong(at, format!("field `{}` is declared twice", field.id));
            }
            let kind = FieldType::parse(field.r#type.as_deref().unwrap_or("text"), &field.values);
            let kind = self.take(at, kind, FieldType::Text);
            let anchor = field.anchor.as_deref().map(Anchor::parse).transpose();
            let anchor = self.take(at, anchor, None);
            let settable = anchor.is_none_or(|anchor| {
                kind == FieldType::Moment && matches!(anchor.set_by(), SetBy::Field | SetBy::Row)
            });
            if !settable {
                let why = format!(
                    "field `{}`: only a `moment` sets an anchor, and only one that no word or event sets",
                    field.id
                );
                self.wrong(at, why);
            }
            if common.contains(&field.id)
                && fields
                    .get(&field.id)
                    .is_some_and(|known| known.kind != FieldType::Text && known.kind != kind)
            {
                self.wrong_if_new(
                    at,
                    format!("every incident has a field `{}` of another type", field.id),
                );
            }
            own.push(field.id.clone());
            let band = field.same_as.as_deref() == Some("cvss.band");
            if field.same_as.is_some() && !(band && matches!(kind, FieldType::Enum(_))) {
                let why = format!(
                    "field `{}`: only an `enum` can be the same as `cvss.band`, and as nothing else",
                    field.id
                );
                self.wrong(at, why);
            }
            if let Some(default) = &field.default {
                let calendar = Calendar::plain(chrono_tz::Tz::UTC);
                if let Err(why) = kind.check(default, Moment::UNIX_EPOCH, &calendar) {
                    let id = &field.id;
                    self.wrong_if_new(
                        at,
                        format!("field `{id}` is by default what it cannot be: {why}"),
                    );
                }
            }
            fields.insert(
                field.id,
                Field { label: field.label, kind, anchor, default: field.default, band },
            );
        }
        fields
    }

    pub(super) fn triaged(
        &mut self,
        at: usize,
        names: Vec<String>,
        fields: &BTreeMap<String, Field>,
    ) -> Vec<String> {
        for name in &names {
            if !fields.contains_key(name) && !OWN_WORDS.contains(&name.as_str()) {
                self.wrong(at, format!("`triaged` needs field `{name}`, which is not declared"));
            }
        }
        if names.is_empty() { vec!["cvss".to_owned()] } else { names }
    }

    pub(super) fn human_answer(
        &mut self,
        section: Option<Spanned<file::Human>>,
        roles: &Roles,
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
        self.claim(at, human.row.as_ref());
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

    pub(super) fn rights(
        &mut self,
        rows: Vec<Spanned<file::Right>>,
        roles: &Roles,
    ) -> BTreeMap<String, Right> {
        let mut rights = BTreeMap::new();
        for row in rows {
            let at = row.span().start;
            let right = row.into_inner();
            self.claim(at, right.row.as_ref());
            match team_word(&right.word) {
                None => self.wrong(at, format!("the desk has no word `{}`", right.word)),
                Some(row) if row.scope == Scope::Desk => {
                    self.wrong(
                        at,
                        format!("`{}` is about no incident, so no playbook rules it", row.name),
                    );
                }
                Some(row) if right.second && !row.dangerous => self.wrong(
                    at,
                    format!("`{}` is never asked about, so nobody can confirm it", row.name),
                ),
                Some(row) if row.group.name() == "confirm" => {
                    self.wrong(
                        at,
                        format!(
                            "`{}` answers a question; rule the word that is asked about",
                            row.name
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

    pub(super) fn assign(
        &mut self,
        section: Spanned<file::Assign>,
        roles: &Roles,
    ) -> Option<Assign> {
        let at = section.span().start;
        let assign = section.into_inner();
        self.claim(at, assign.row.as_ref());
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

    pub(super) fn t_rule(
        &mut self,
        section: Option<Spanned<file::T>>,
        fields: &BTreeMap<String, Field>,
    ) -> TRule {
        let Some(section) = section else {
            let stale = Offset::parse("24h").unwrap_or(Offset::ZERO);
            let slip = Offset::parse("1h").unwrap_or(Offset::ZERO);
            return TRule { stale, slip, ..TRule::free(None) };
        };
        let (at, t) = (section.span().start, section.into_inner());
        self.claim(at, t.row.as_ref());
        let time = t.at.as_deref().map(parse_time).transpose();
        let days = t.days.as_deref().map(WeekDays::parse).transpose();
        let max_span = t.max_span.iter().filter_map(|cap| self.cap(at, cap)).collect();
        let min_span = t.min_span.iter().filter_map(|cap| self.cap(at, cap)).collect();
        if let Some(grace) = &t.grace
            && fields.get(grace).is_none_or(|field| field.kind != FieldType::Span)
        {
            self.wrong(at, format!("grace `{grace}` is no field of type `span`"));
        }
        for (key, text) in [("min_lead", &t.min_lead), ("stale", &t.stale), ("slip", &t.slip)] {
            let before = text.as_deref().is_some_and(|text| text.trim_start().starts_with('-'));
            if before {
                self.wrong_if_new(
                    at,
                    format!("`{key}` is a length of time and not before anything"),
                );
            }
        }
        TRule {
            at: self.take(at, time, None),
            days: self.take(at, days, None),
            min_lead: self.offset(at, t.min_lead.as_deref(), "0"),
            stale: self.offset(at, t.stale.as_deref(), "24h"),
            slip: self.offset(at, t.slip.as_deref(), "1h"),
            snap: t.snap,
            max_span,
            min_span,
            grace: t.grace,
        }
    }

    fn cap(&mut self, at: usize, cap: &file::Cap) -> Option<Cap> {
        let from = Anchor::parse(&cap.from).map_err(|why| self.wrong(at, why)).ok()?;
        if from.is_planned() {
            self.wrong(
                at,
                format!("max_span and min_span count from a fact, and `{from}` is a plan"),
            );
        }
        let span = self.longer_than_nothing(at, &cap.span);
        Some(Cap { from, span, line: cap.line.clone() })
    }

    pub(super) fn branch(
        &mut self,
        section: Spanned<file::Branch>,
        so_far: &Playbook,
    ) -> Option<Branch> {
        let at = section.span().start;
        let branch = section.into_inner();
        self.claim(at, branch.row.as_ref());
        if !is_id(&branch.id) || so_far.branches.iter().any(|known| known.id == branch.id) {
            self.wrong(at, format!("`{}` is no id for a branch, or is used twice", branch.id));
        }
        let when = self.predicate(at, &branch.r#if, so_far)?;
        let effect = self.effect(at, &branch, &when, so_far)?;
        let unless_known = branch.unless_known;
        Some(Branch { id: branch.id, title: branch.title, when, unless_known, effect })
    }

    fn effect(
        &mut self,
        at: usize,
        branch: &file::Branch,
        when: &Predicate,
        so_far: &Playbook,
    ) -> Option<Effect> {
        let id = &branch.id;
        let drops = !branch.rows.is_empty() || !branch.phases.is_empty();
        if drops != (branch.r#do == "drop") {
            self.wrong(at, format!("branch `{id}`: `rows` and `phases` belong to do = \"drop\""));
        }
        if branch.by.is_some() != (branch.r#do == "stretch") {
            self.wrong(at, format!("branch `{id}`: `by` belongs to do = \"stretch\""));
        }
        match branch.r#do.as_str() {
            "asap" if when.anchors().is_empty() && when.fields().is_empty() => {
                self.wrong(at, format!("branch `{id}`: what is due at once is due since when? ask for a field, or `is_set(...)` of an anchor"));
                None
            }
            "asap" => Some(Effect::Asap),
            "stretch" => {
                let by = branch.by.as_deref().unwrap_or("");
                Some(Effect::Stretch(self.longer_than_nothing(at, by)))
            }
            "drop" => Some(Effect::Drop(self.dropped(at, branch, so_far))),
            other => {
                let why = format!(
                    "branch `{id}`: `{other}` does nothing; write \"asap\", \"stretch\" or \"drop\""
                );
                self.wrong(at, why);
                None
            }
        }
    }

    fn dropped(&mut self, at: usize, branch: &file::Branch, so_far: &Playbook) -> Vec<TaskId> {
        let mut rows = Vec::new();
        for name in &branch.rows {
            match so_far.task(name) {
                Some(task) if task.must && self.new => {
                    let why = format!(
                        "branch `{}` drops row `{name}`, which may not be skipped",
                        branch.id
                    );
                    self.wrong(at, why);
                }
                Some(task) => rows.push(task.id.clone()),
                None => {
                    let why =
                        format!("branch `{}` drops row `{name}`, which is not there", branch.id);
                    self.wrong(at, why);
                }
            }
        }
        for phase in &branch.phases {
            let before = rows.len();
            let of_phase = so_far.tasks.iter().filter(|task| task.phase == *phase);
            rows.extend(of_phase.map(|task| task.id.clone()));
            if rows.len() == before {
                let why = format!("branch `{}` drops phase `{phase}`, which has no row", branch.id);
                self.wrong(at, why);
            }
        }
        rows
    }

    /// Predicates may ask whether rows are done: these must be there, be done by people, and not ask
    /// for one another in a circle.
    pub(super) fn check_predicates(
        &mut self,
        playbook: &Playbook,
        tasks: &[usize],
        branches: &[usize],
    ) {
        let of_rows = playbook
            .tasks
            .iter()
            .zip(tasks)
            .filter_map(|(task, at)| task.applies.as_ref().map(|predicate| (predicate, *at)));
        let of_branches =
            playbook.branches.iter().zip(branches).map(|(branch, at)| (&branch.when, *at));
        for (predicate, at) in of_rows.chain(of_branches).collect::<Vec<_>>() {
            for row in predicate.rows() {
                let task = playbook.tasks.iter().find(|task| task.id == *row);
                match task {
                    None => {
                        let why = format!("the condition asks for row `{row}`, which is not there");
                        self.wrong(at, why);
                    }
                    Some(task) if task.is_notice() || task.is_standing() => {
                        let why = format!(
                            "the condition asks for row `{row}`, which nobody says is done"
                        );
                        self.wrong_if_new(at, why);
                    }
                    Some(task) if task.applies.as_ref().is_some_and(|p| !p.rows().is_empty()) => {
                        let why = format!(
                            "the condition asks for row `{row}`, which asks for another itself"
                        );
                        self.wrong_if_new(at, why);
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

//! From a file to a [`Playbook`]: everything that is wrong with it, each with its line. The
//! sections are read in `sections`, the rows in `rows`.

use toml::Spanned;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::names::{Digest, Span, TaskId, is_id};
use crate::domain::process::calendar;
use crate::domain::process::calendar::Calendars;
use crate::domain::process::offset::{Calendar, Offset, parse_zone};
use crate::domain::process::playbook::predicate::Predicate;
use crate::domain::process::playbook::rules::{Playbook, Problem};
use crate::domain::process::playbook::{file, form};

/// The longest text of a playbook, in bytes, and the most rows, fields and branches.
const TEXT_MAX: usize = 512 * 1024;
const ROWS_MAX: usize = 500;

/// Reads a playbook and checks it whole. `calendars` are those that it can name.
///
/// # Errors
/// Everything that is wrong with it, each with its line.
pub fn load(text: &str, calendars: &Calendars) -> Result<Playbook, Vec<Problem>> {
    read(text, calendars, true)
}

/// Reads a playbook that is stored with incidents. What was let through when it was stored must
/// still be read, whatever is asked of new ones since: the journal cannot be changed.
///
/// # Errors
/// What no version could carry out.
pub fn load_stored(text: &str, calendars: &Calendars) -> Result<Playbook, Vec<Problem>> {
    read(text, calendars, false)
}

fn read(text: &str, calendars: &Calendars, new: bool) -> Result<Playbook, Vec<Problem>> {
    let much = |what: &str| vec![Problem { line: 1, message: what.to_owned() }];
    if new && text.len() > TEXT_MAX {
        return Err(much("a playbook of more than 512 KiB"));
    }
    let file: file::File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        vec![Problem { line, message: error.message().to_owned() }]
    })?;
    let count = [file.tasks.len(), file.fields.len(), file.branches.len(), file.groups.len()];
    if new && count.iter().any(|count| *count > ROWS_MAX) {
        return Err(much("a playbook of more than 500 rows, fields, branches or groups"));
    }
    let mut loader = Loader { text, calendars, new, problems: Vec::new(), claims: Vec::new() };
    let playbook = loader.playbook(file);
    if loader.problems.is_empty() { Ok(playbook) } else { Err(loader.problems) }
}

/// The name of the calendar that a playbook's text asks for, if the text can be read at all.
#[must_use]
pub fn calendar_of(text: &str) -> Option<String> {
    toml::from_str::<file::File>(text).ok()?.playbook.into_inner().calendar
}

fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|b| *b == b'\n').count().saturating_add(1)
}

pub(super) struct Loader<'a> {
    pub(super) text: &'a str,
    calendars: &'a Calendars,
    /// Whether it is a new text, of which more is asked than of one that is stored.
    pub(super) new: bool,
    problems: Vec<Problem>,
    /// Rows that sections say they execute: each must be there.
    claims: Vec<(usize, String)>,
}

impl Loader<'_> {
    pub(super) fn wrong(&mut self, at: usize, message: impl Into<String>) {
        self.problems.push(Problem { line: line_of(self.text, at), message: message.into() });
    }

    /// Notes what is asked of new texts only.
    pub(super) fn wrong_if_new(&mut self, at: usize, message: impl Into<String>) {
        if self.new {
            self.wrong(at, message);
        }
    }

    /// Notes rows out of order: what was asked from the first of those before T, and since of others.
    pub(super) fn wrong_about(&mut self, anchor: Anchor, at: usize, message: impl Into<String>) {
        if anchor == Anchor::T {
            self.wrong(at, message);
        } else {
            self.wrong_if_new(at, message);
        }
    }

    /// Takes the value, or notes the problem and goes on with a stand-in.
    pub(super) fn take<T>(&mut self, at: usize, read: Result<T, String>, otherwise: T) -> T {
        read.unwrap_or_else(|message| {
            self.wrong(at, message);
            otherwise
        })
    }

    pub(super) fn offset(&mut self, at: usize, text: Option<&str>, otherwise: &str) -> Offset {
        let read = Offset::parse(text.unwrap_or(otherwise));
        self.take(at, read, Offset::ZERO)
    }

    pub(super) fn longer_than_nothing(&mut self, at: usize, text: &str) -> Offset {
        let offset = self.offset(at, Some(text), "7d");
        if offset.rough() < Span::minutes(1) {
            self.wrong(at, format!("`{text}` is too short; the least is a minute"));
        }
        offset
    }

    /// Notes that a section executes a row.
    pub(super) fn claim(&mut self, at: usize, row: Option<&String>) {
        self.claims.extend(row.map(|row| (at, row.clone())));
    }

    pub(super) fn task_id(&mut self, at: usize, text: &str) -> TaskId {
        TaskId::parse(text).unwrap_or_else(|| {
            self.wrong(at, format!("`{text}` is no id for a task"));
            TaskId::none()
        })
    }

    /// Reads a predicate over the fields so far.
    pub(super) fn predicate(
        &mut self,
        at: usize,
        text: &str,
        so_far: &Playbook,
    ) -> Option<Predicate> {
        if self.new && text.len() > 2_000 {
            self.wrong(at, "a condition of more than 2000 letters");
            return None;
        }
        match Predicate::parse(text, &|name| so_far.fields.get(name)) {
            Ok(predicate) => Some(predicate),
            Err(message) => {
                self.wrong(at, format!("the condition `{text}`: {message}"));
                None
            }
        }
    }

    fn calendar(&mut self, at: usize, head: &file::Head) -> (Calendar, Option<Digest>) {
        let zone = parse_zone(head.zone.as_deref().unwrap_or("UTC"));
        let mut calendar = Calendar::plain(self.take(at, zone, chrono_tz::Tz::UTC));
        for day in &head.holidays {
            match day.parse() {
                Ok(date) => {
                    calendar.holidays.insert(date);
                }
                Err(_) => {
                    self.wrong(at, format!("holiday `{day}` is no date; write `2026-12-25`"));
                }
            }
        }
        let Some(name) = &head.calendar else { return (calendar, None) };
        let Some(text) = self.calendars.get(name) else {
            let known: Vec<_> = self.calendars.keys().map(String::as_str).collect();
            let known = known.join(", ");
            self.wrong(at, format!("there is no calendar `{name}`; write one of {known}"));
            return (calendar, None);
        };
        match calendar::parse(text) {
            Ok(days) => calendar.holidays.extend(days),
            Err((line, what)) => {
                self.wrong(at, format!("calendar `{name}`, line {line}: {what}"));
            }
        }
        (calendar, Some(Digest::of(text.as_bytes())))
    }

    #[expect(clippy::too_many_lines, reason = "one step for each section of the file")]
    fn playbook(&mut self, file: file::File) -> Playbook {
        let head_at = file.playbook.span().start;
        let head = file.playbook.into_inner();
        if !is_id(&head.id) {
            self.wrong(
                head_at,
                format!("`{}` is no id; use letters, digits, `-` and `_`", head.id),
            );
        }
        let (calendar, calendar_digest) = self.calendar(head_at, &head);
        let roles = self.roles(file.roles);
        let groups = self.groups(file.groups, &roles);
        let fields = self.fields(file.fields);
        if roles.get(&head.intake).is_none_or(|role| role.held_by.is_some()) {
            let why = format!(
                "intake role `{}` is not declared, or is held by whoever leads; add a [[role]]",
                head.intake
            );
            self.wrong(head_at, why);
        }
        let human_answer = self.human_answer(file.human_answer, &roles);
        let t = self.t_rule(file.t, &fields);
        let rights = self.rights(file.rights, &roles);
        let assign = file.assign.and_then(|section| self.assign(section, &roles));
        let reporter_update = file.reporter_update.map(|row| {
            let (at, row) = (row.span().start, row.into_inner());
            self.claim(at, row.row.as_ref());
            self.longer_than_nothing(at, &row.every)
        });
        let silence = match file.silence {
            None => self.longer_than_nothing(0, "7d"),
            Some(row) => {
                let (at, row) = (row.span().start, row.into_inner());
                self.claim(at, row.row.as_ref());
                self.longer_than_nothing(at, &row.after)
            }
        };
        let triaged = self.triaged(head_at, head.triaged, &fields);
        let mut playbook = Playbook {
            id: head.id,
            version: head.version,
            title: head.title,
            ask: head.ask,
            clear_answers: head.clear_answers != Some(file::ClearAnswers::Never),
            intake: head.intake,
            calendar,
            human_answer,
            t,
            rights,
            assign,
            reporter_update,
            silence,
            roles,
            triaged,
            branches: Vec::new(),
            reporter_joins: None,
            checklist: None,
            document: head.document,
            groups,
            fields,
            tasks: Vec::new(),
            digest: Digest::of(self.text.as_bytes()),
            calendar_digest,
        };
        let places: Vec<usize> = file.tasks.iter().map(|task| task.span().start).collect();
        for row in file.tasks {
            let at = row.span().start;
            let task = self.task(at, row.into_inner(), &playbook);
            playbook.tasks.push(task);
        }
        self.check_order(&playbook, &places);
        let branch_places: Vec<usize> = file.branches.iter().map(|b| b.span().start).collect();
        for branch in file.branches {
            let branch = self.branch(branch, &playbook);
            playbook.branches.extend(branch);
        }
        self.check_predicates(&playbook, &places, &branch_places);
        playbook.reporter_joins =
            file.reporter_joins.and_then(|section| self.reporter_joins(section, &playbook));
        playbook.checklist = file.checklist.map(|section| self.checklist(section, &playbook));
        for (at, row) in std::mem::take(&mut self.claims) {
            if playbook.task(&row).is_none() {
                self.wrong(at, format!("this executes row `{row}`, which is not there"));
            }
        }
        playbook
    }

    fn reporter_joins(
        &mut self,
        section: Spanned<file::ReporterJoins>,
        playbook: &Playbook,
    ) -> Option<(Predicate, TaskId)> {
        let (at, section) = (section.span().start, section.into_inner());
        self.claim(at, Some(&section.row));
        let row = self.task_id(at, &section.row);
        self.predicate(at, &section.r#if, playbook).map(|predicate| (predicate, row))
    }

    fn checklist(&mut self, section: Spanned<file::Checklist>, playbook: &Playbook) -> String {
        let (at, text) = (section.span().start, section.into_inner().text);
        if text.len() > 20_000 {
            self.wrong_if_new(at, "the checklist's text has more than 20000 bytes");
        }
        if let Err((line, message)) = form::try_template(&text, playbook) {
            self.wrong_if_new(at, format!("the checklist's text, line {line}: {message}"));
        }
        text
    }
}

//! The forms in which what the desk knows can be written down: one table. The command line takes the
//! names of its `--format` from it, so that a new form is a row here and the function it names.

use crate::domain::facts::names::Moment;
use crate::domain::model::incident::Incident;
use crate::domain::process::playbook::Playbook;
use crate::domain::views::plan::Row;
use crate::domain::views::{agenda, checklist, plan, preview_calendar};
use crate::error::{Fault, Place};

/// What is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// What is due when, of one incident or of several.
    Agenda,
    /// What a process would ask for.
    Preview,
}

/// The same, with what there is to write.
#[derive(Debug, Clone, Copy)]
pub enum View<'a> {
    /// See [`Subject::Agenda`].
    Agenda {
        /// Whose.
        incidents: &'a [&'a Incident],
        /// The present moment.
        now: Moment,
        /// In which zone times are told, where the process has none of its own.
        zone: chrono_tz::Tz,
    },
    /// See [`Subject::Preview`].
    Preview {
        /// The process.
        playbook: &'a Playbook,
        /// Its rows with their moments.
        rows: &'a [Row],
        /// When the report is supposed to come in.
        received: Moment,
        /// T, if it is supposed to be set.
        t: Option<Moment>,
    },
}

impl View<'_> {
    fn subject(&self) -> Subject {
        match self {
            Self::Agenda { .. } => Subject::Agenda,
            Self::Preview { .. } => Subject::Preview,
        }
    }

    /// Writes it in the form of this name.
    ///
    /// # Errors
    /// When there is none of that name for it, or it cannot be written.
    pub fn write(&self, name: &str) -> Result<String, Fault> {
        let form = FORMATS.iter().find(|form| form.name == name && form.of == self.subject());
        let Some(form) = form else {
            let known: Vec<&str> = names(self.subject()).collect();
            let next = format!("write one of {}", known.join(", "));
            return Err(Fault::new(format!("there is no form `{name}` of it"), next));
        };
        (form.write)(self)
    }
}

/// A form.
#[derive(Debug)]
pub struct Format {
    /// What it is called.
    pub name: &'static str,
    /// What can be written in it.
    pub of: Subject,
    /// One sentence, for people.
    pub help: &'static str,
    write: fn(&View<'_>) -> Result<String, Fault>,
}

const fn form(
    of: Subject,
    name: &'static str,
    help: &'static str,
    write: fn(&View<'_>) -> Result<String, Fault>,
) -> Format {
    Format { name, of, help, write }
}

/// The forms; the first of each subject is what people get who ask for none.
#[rustfmt::skip]
pub const FORMATS: &[Format] = &[
    form(Subject::Agenda, "table", "On a line of time, and row by row.", table),
    form(Subject::Agenda, "together", "What is due soonest, of all incidents together.", together),
    form(Subject::Agenda, "json", "One JSON array.", json),
    form(Subject::Agenda, "markdown", "The checklist for a tracker, in the form that its process has; of one incident.", markdown),
    form(Subject::Preview, "table", "Row by row, with dates.", table),
    form(Subject::Preview, "json", "One JSON array.", json),
    form(Subject::Preview, "ics", "An iCalendar file.", ics),
];

/// The names of the forms of a subject.
pub fn names(of: Subject) -> impl Iterator<Item = &'static str> {
    FORMATS.iter().filter(move |form| form.of == of).map(|form| form.name)
}

fn table(view: &View<'_>) -> Result<String, Fault> {
    Ok(match *view {
        View::Agenda { incidents, now, zone } => agenda::table(incidents, zone, now),
        View::Preview { playbook, rows, received, t } => plan::table(playbook, rows, received, t),
    })
}

fn together(view: &View<'_>) -> Result<String, Fault> {
    let View::Agenda { incidents, now, zone } = *view else {
        return Err(Fault::new("a preview is of one incident", "choose another form"));
    };
    Ok(agenda::together(incidents, zone, now))
}

fn json(view: &View<'_>) -> Result<String, Fault> {
    let place = || "writing JSON".to_owned();
    match *view {
        View::Agenda { incidents, now, .. } => {
            serde_json::to_string(&agenda::rows(incidents, now)).at(place)
        }
        View::Preview { rows, .. } => serde_json::to_string(rows).at(place),
    }
}

fn markdown(view: &View<'_>) -> Result<String, Fault> {
    let View::Agenda { incidents: [incident], now, .. } = *view else {
        return Err(Fault::new(
            "a checklist is of one incident",
            "name it: `embargod agenda HANDLE`",
        ));
    };
    let text = checklist::markdown(incident, now)
        .map_err(|why| Fault::new(why, "mend the playbook's checklist"))?;
    Ok(text.trim_start().to_owned())
}

fn ics(view: &View<'_>) -> Result<String, Fault> {
    let View::Preview { playbook, rows, received, .. } = *view else {
        return Err(Fault::new("only a preview is a calendar", "choose another form"));
    };
    Ok(preview_calendar::calendar(playbook, rows, received))
}

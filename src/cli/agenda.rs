//! `embargod agenda`: what is due when.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::domain::facts::names::Moment;
use crate::domain::model::incident::Incident;
use crate::domain::views::formats::{Subject, View, names};

use super::{Done, look, say};

/// Arguments of `agenda`.
#[derive(Debug, Args)]
pub(super) struct AgendaOf {
    /// Only this incident; all open ones otherwise.
    handle: Option<String>,
    /// Each open incident in full, however many there are.
    #[arg(long, conflicts_with = "handle")]
    all: bool,
    /// The form: a table, JSON, or the checklist of one incident as Markdown.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(names(Subject::Agenda)), default_value = "table")]
    format: String,
    /// The same as `--format json`.
    #[arg(long, hide = true, conflicts_with_all = ["markdown", "format"])]
    json: bool,
    /// The same as `--format markdown`.
    #[arg(long, hide = true, requires = "handle", conflicts_with = "format")]
    markdown: bool,
}

/// So many incidents are shown in full without being asked to.
const IN_FULL: usize = 3;

impl AgendaOf {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let (_, desk) = look::open(path, now)?;
        let incidents: Vec<&Incident> = match &self.handle {
            Some(handle) => vec![look::find(&desk, handle)?],
            None => desk.open().collect(),
        };
        let format = match (self.json, self.markdown) {
            (true, _) => "json",
            (_, true) => "markdown",
            (false, false) => &self.format,
        };
        let together = !self.all && incidents.len() > IN_FULL && format == "table";
        let format = if together { "together" } else { format };
        let view = View::Agenda { incidents: &incidents, now, zone: desk.settings.zone };
        say(&view.write(format)?);
        Ok(ExitCode::SUCCESS)
    }
}

//! `embargod list`: the incidents, open or closed, and those that something is said of.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::names::{Handle, Moment};
use crate::domain::model::incident::Incident;
use crate::domain::process::offset::Calendar;

use super::{Done, json, look, say, table};

/// Arguments of `list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those of which handle, title, CVE numbers or state hold this; case is free.
    search: Option<String>,
    /// Those that are closed.
    #[arg(long)]
    closed: bool,
    /// Open and closed ones.
    #[arg(long, conflicts_with = "closed")]
    all: bool,
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
}

/// A line of it.
#[derive(Serialize)]
struct Listed<'a> {
    handle: &'a Handle,
    status: &'static str,
    received: Option<Moment>,
    t: Option<Moment>,
    title: Option<&'a str>,
    cves: Vec<&'a str>,
}

impl<'a> Listed<'a> {
    fn of(incident: &'a Incident) -> Self {
        Self {
            handle: &incident.handle,
            status: incident.status.word(),
            received: incident.anchor(Anchor::Received),
            t: incident.t(),
            title: incident.title.as_deref(),
            cves: incident.cves.iter().map(String::as_str).collect(),
        }
    }

    fn holds(&self, text: &str) -> bool {
        let fields = [self.handle.as_str(), self.status, self.title.unwrap_or("")];
        let mut all = fields.iter().chain(&self.cves);
        all.any(|field| field.to_lowercase().contains(text))
    }
}

impl List {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let (_store, desk) = look::open(path, now)?;
        let text = self.search.as_deref().unwrap_or("").to_lowercase();
        let is_meant = |incident: &&Incident| self.all || incident.status.is_open() != self.closed;
        let mut listed: Vec<Listed<'_>> =
            desk.all().filter(is_meant).map(Listed::of).filter(|one| one.holds(&text)).collect();
        listed.sort_by_key(|one| std::cmp::Reverse(one.received));
        if self.json {
            say(&json(&listed)?);
            return Ok(ExitCode::SUCCESS);
        }
        if listed.is_empty() {
            let state = if self.all {
                ""
            } else if self.closed {
                "closed "
            } else {
                "open "
            };
            let of = self.search.as_ref().map_or_else(String::new, |text| format!(" of `{text}`"));
            say(&format!(
                "There is no {state}incident{of}. `embargod list --all` shows all there are."
            ));
            return Ok(ExitCode::SUCCESS);
        }
        say(&table(&rows(&listed, &Calendar::plain(desk.settings.zone))));
        Ok(ExitCode::SUCCESS)
    }
}

fn rows(listed: &[Listed<'_>], calendar: &Calendar) -> Vec<Vec<String>> {
    let mut rows =
        vec![["incident", "state", "received", "T", "title"].map(str::to_owned).to_vec()];
    for one in listed {
        let day = |at: Option<Moment>| at.map_or_else(|| "-".to_owned(), |at| calendar.say(at));
        let title = one.title.unwrap_or("(no title)");
        let cves: String = one.cves.iter().map(|cve| format!(" {cve}")).collect();
        rows.push(vec![
            one.handle.to_string(),
            one.status.to_owned(),
            day(one.received),
            day(one.t),
            format!("{title}{cves}"),
        ]);
    }
    rows
}

//! `embargod playbook`: check a process before anybody relies on it, see what it asks of whom and
//! when, compare two, and put an incident on a newer one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::config::OwnFiles;
use crate::domain::facts::names::Moment;
use crate::domain::model::desk::Desk;
use crate::domain::process::calendar;
use crate::domain::process::calendar::Calendars;
use crate::domain::process::offset::parse_moment;
use crate::domain::process::playbook::{BUILTIN, Playbook, Problem, load};
use crate::domain::views::compare::Change;
use crate::domain::views::formats::{Subject, View, names};
use crate::domain::views::{compare, plan};
use crate::edge::SystemEntropy;
use crate::edge::clock::WallClock;
use crate::edge::files;
use crate::engine::Engine;
use crate::error::{Fault, Place};
use crate::ports::store::Journal;
use crate::{config, engine};

use super::{Done, json, look, say, say_error};

/// Arguments of `playbook`.
#[derive(Debug, Args)]
pub(super) struct PlaybookCommand {
    #[command(subcommand)]
    what: What,
    /// A folder of calendars (`NAME.txt`) that playbooks can name, besides those of the program.
    #[arg(long, global = true, value_name = "FOLDER")]
    calendars: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the playbooks that come with the program.
    List,
    /// Print the text of one of them, to make your own of it.
    Show {
        /// Its name.
        name: String,
    },
    /// Check a playbook; says each mistake with file and line.
    Check(Check),
    /// Show who does what when, for a report and a T that you suppose.
    Preview(Preview),
    /// Show what is different between two playbooks.
    Diff(Diff),
    /// Show what another version would change for an incident, and put it on that version.
    Migrate(Migrate),
}

#[derive(Debug, Args)]
struct Check {
    /// The file, or the name of one that comes with the program.
    file: String,
    /// Print one JSON array of mistakes.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Preview {
    /// The file, or the name of one that comes with the program.
    file: String,
    /// When the report comes in: `2026-12-01 09:00 UTC`; now if left out.
    #[arg(long, value_name = "WHEN")]
    received: Option<String>,
    /// The planned moment of public disclosure: `2026-12-16 16:00 UTC`.
    #[arg(long, value_name = "WHEN")]
    t: Option<String>,
    /// The form: a table, JSON, or an iCalendar file.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(names(Subject::Preview)), default_value = "table")]
    format: String,
    /// The same as `--format json`.
    #[arg(long, hide = true, conflicts_with_all = ["ics", "format"])]
    json: bool,
    /// The same as `--format ics`.
    #[arg(long, hide = true, conflicts_with = "format")]
    ics: bool,
}

#[derive(Debug, Args)]
struct Diff {
    /// The older: a file, or the name of one that comes with the program.
    before: String,
    /// The newer.
    after: String,
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Migrate {
    /// The incident.
    handle: String,
    /// The playbook; the present version of its own if left out.
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// Do it. The desk must not be running.
    #[arg(long)]
    yes: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Mistake {
    file: String,
    line: usize,
    message: String,
}

impl PlaybookCommand {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let own = config::own_files(path);
        match &self.what {
            What::List => list(&own),
            What::Show { name } => show(&own, name),
            What::Check(check) => self.check(&own, check),
            What::Preview(preview) => self.preview(&own, preview, now),
            What::Diff(diff) => self.diff(&own, diff),
            What::Migrate(migrate) => migrate.run(path, now),
        }
    }

    fn known_calendars(&self, own: &OwnFiles) -> Result<Calendars, Fault> {
        let mut calendars = calendar::builtin();
        calendars.extend(own.calendars.clone());
        let Some(folder) = &self.calendars else { return Ok(calendars) };
        let place = || folder.display().to_string();
        for entry in std::fs::read_dir(folder).at(place)? {
            let file = entry.at(place)?.path();
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("");
            if let Some(stem) = name.strip_suffix(".txt") {
                let text = files::text(&file)?;
                calendars.insert(stem.to_owned(), text);
            }
        }
        Ok(calendars)
    }

    /// A playbook by its file, or by its name: one's own first, as the desk takes them, and then the
    /// program's. Or its mistakes.
    fn read(&self, own: &OwnFiles, name: &str) -> Result<Result<Playbook, Vec<Mistake>>, Fault> {
        let built_in = BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
        let by_name = own.playbooks.get(name).map(String::as_str).or(built_in);
        let text = match by_name {
            Some(text) if !Path::new(name).is_file() => text.to_owned(),
            _ => files::text(Path::new(name)).map_err(|fault| {
                let known: Vec<_> = BUILTIN.iter().map(|(name, _)| *name).collect();
                let next = format!("name a file, or one of {}", known.join(", "));
                Fault::new(fault.what, next)
            })?,
        };
        let mistake = |problem: Problem| Mistake {
            file: name.to_owned(),
            line: problem.line,
            message: problem.message,
        };
        let loaded = load(&text, &self.known_calendars(own)?);
        Ok(loaded.map_err(|problems| problems.into_iter().map(mistake).collect()))
    }

    fn good(&self, own: &OwnFiles, name: &str) -> Result<Playbook, Fault> {
        self.read(own, name)?.map_err(|mistakes| {
            let lines: Vec<_> = mistakes
                .iter()
                .map(|mistake| format!("{}:{}: {}", mistake.file, mistake.line, mistake.message))
                .collect();
            Fault::new(lines.join("\n"), "mend it; `embargod playbook check` reads it again")
        })
    }

    fn check(&self, own: &OwnFiles, check: &Check) -> Done {
        let read = self.read(own, &check.file)?;
        let mistakes = read.as_ref().err().map_or(&[][..], Vec::as_slice);
        if check.json {
            say(&json(&mistakes)?);
        }
        match &read {
            Ok(_) if check.json => {}
            Ok(playbook) => {
                let rows = playbook.tasks.len();
                let of_document = playbook.tasks.iter().filter(|task| task.src.is_some()).count();
                say(&format!(
                    "{}: playbook `{}`, version {}, is in order: {rows} rows, {of_document} of them lines of {}.",
                    check.file,
                    playbook.id,
                    playbook.version,
                    playbook.document.as_deref().unwrap_or("no document")
                ));
                say("Next: embargod playbook preview, to see who does what when.");
            }
            Err(_) if check.json => {}
            Err(mistakes) => {
                for mistake in mistakes {
                    say_error(&format!("{}:{}: {}", mistake.file, mistake.line, mistake.message));
                }
                let count = mistakes.len();
                let what = if count == 1 { "thing is" } else { "things are" };
                say_error(&format!("{count} {what} wrong."));
            }
        }
        Ok(if read.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn preview(&self, own: &OwnFiles, preview: &Preview, now: Moment) -> Done {
        let playbook = Arc::new(self.good(own, &preview.file)?);
        let moment = |text: &String, at| {
            parse_moment(text, now, at, &playbook.calendar)
                .map_err(|why| Fault::new(why, "give date, hour and zone"))
        };
        let t = preview.t.as_ref().map(|text| moment(text, playbook.t.at)).transpose()?;
        let midnight = Some(chrono::NaiveTime::MIN);
        let received = preview.received.as_ref().map(|text| moment(text, midnight)).transpose()?;
        // Whole seconds: what is printed can be given again.
        let received = received.unwrap_or_else(|| chrono::SubsecRound::trunc_subsecs(now, 0));
        if t.is_some_and(|t| t <= received) {
            return Err(Fault::new("T is not after the report", "give a later --t"));
        }
        let rows = plan::preview(&playbook, received, t);
        for doubt in plan::doubts(&playbook, received, t) {
            say_error(&format!("note: {doubt}"));
        }
        let format = match (preview.json, preview.ics) {
            (true, _) => "json",
            (_, true) => "ics",
            (false, false) => &preview.format,
        };
        say(&View::Preview { playbook: &playbook, rows: &rows, received, t }.write(format)?);
        Ok(ExitCode::SUCCESS)
    }

    fn diff(&self, own: &OwnFiles, diff: &Diff) -> Done {
        let (before, after) = (self.good(own, &diff.before)?, self.good(own, &diff.after)?);
        let changes = compare::compare(&before, &after);
        say(&if diff.json { json(&changes)? } else { lines(&changes) });
        Ok(ExitCode::SUCCESS)
    }
}

fn lines(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "There is no difference.".to_owned();
    }
    changes.iter().map(Change::say).collect::<Vec<_>>().join("\n")
}

fn list(own: &OwnFiles) -> Done {
    let mut all: std::collections::BTreeMap<&str, (&str, bool)> =
        BUILTIN.iter().map(|(name, text)| (*name, (*text, false))).collect();
    all.extend(own.playbooks.iter().map(|(name, text)| (name.as_str(), (text.as_str(), true))));
    let mut calendars = calendar::builtin();
    calendars.extend(own.calendars.clone());
    for (name, (text, is_own)) in all {
        let whose = if is_own { "  (yours)" } else { "" };
        match load(text, &calendars) {
            Ok(playbook) => {
                let (version, title) = (playbook.version, &playbook.title);
                say(&format!("{name:<10} version {version}  {title}{whose}"));
            }
            Err(problems) => say(&format!("{name:<10} {} mistakes{whose}", problems.len())),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(own: &OwnFiles, name: &str) -> Done {
    let built_in = BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    let Some(text) = own.playbooks.get(name).map(String::as_str).or(built_in) else {
        let known: Vec<_> = BUILTIN.iter().map(|(name, _)| *name).collect();
        let next = format!("name one of {}", known.join(", "));
        return Err(Fault::new(format!("the program has no playbook `{name}`"), next));
    };
    say(text);
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Migration {
    incident: String,
    from: String,
    to: String,
    playbook: Vec<Change>,
    incident_changes: Vec<Change>,
    done: bool,
}

impl Migrate {
    fn run(&self, path: &Path, now: Moment) -> Done {
        if self.yes {
            let config = config::read_or_fault(path, now)?;
            let _only_one = super::run::only_one(&config.store)?;
            let store = config.open_store_alone()?;
            let keyring = config::keyring(&config, store.secrets()?.session_salt, now)?;
            let clock = Box::new(WallClock);
            let mut engine = Engine::start(
                Box::new(store),
                keyring,
                &config.sources,
                clock,
                Box::new(SystemEntropy),
            )?;
            let (report, name) = self.report(engine.desk(), now)?;
            let incident = look::find(engine.desk(), &self.handle)?.handle.clone();
            engine.migrate(&incident, &name)?;
            self.tell(&Migration { done: true, ..report })?;
            return Ok(ExitCode::SUCCESS);
        }
        let config = config::read_or_fault(path, now)?;
        let store = config.open_store()?;
        let (mut desk, _) = engine::replay(&store, config.sources.settings)?;
        // What the files say now, which a running desk has read at its start.
        for (name, text) in &config.sources.playbooks {
            if let Ok(playbook) = load(text, &config.sources.calendars) {
                desk.playbooks.insert(name.clone(), Arc::new(playbook));
            }
        }
        let (report, _) = self.report(&desk, now)?;
        self.tell(&report)?;
        Ok(ExitCode::SUCCESS)
    }

    fn report(&self, desk: &Desk, now: Moment) -> Result<(Migration, String), Fault> {
        let incident = look::find(desk, &self.handle)?;
        let own = &incident.playbook;
        let name = self.to.clone().unwrap_or_else(|| own.id.clone());
        let Some(playbook) = desk.playbooks.get(&name) else {
            let known: Vec<_> = desk.playbooks.keys().cloned().collect();
            let next = format!("name one of {}", known.join(", "));
            return Err(Fault::new(format!("there is no playbook `{name}`"), next));
        };
        if !incident.status.is_open() {
            let what = format!("{} is {}", incident.handle, incident.status.word());
            return Err(Fault::new(what, "what is over keeps its playbook"));
        }
        if playbook.digest == own.digest && playbook.calendar_digest == own.calendar_digest {
            let what = format!("{} follows this version of `{name}` already", incident.handle);
            return Err(Fault::new(what, "nothing is to be done"));
        }
        let report = Migration {
            incident: incident.handle.to_string(),
            from: format!("{} v{}", own.id, own.version),
            to: format!("{} v{}", playbook.id, playbook.version),
            playbook: compare::compare(own, playbook),
            incident_changes: compare::consequences(incident, playbook, now),
            done: false,
        };
        Ok((report, name))
    }

    fn tell(&self, report: &Migration) -> Result<(), Fault> {
        if self.json {
            say(&json(report)?);
            return Ok(());
        }
        say(&format!("{}: from {} to {}", report.incident, report.from, report.to));
        say("\nThe playbook:");
        say(&lines(&report.playbook));
        say("\nThis incident:");
        say(&lines(&report.incident_changes));
        say(if report.done {
            "\nDone. The team is told at the next `embargod run`."
        } else {
            "\nNothing was changed. Stop the desk and add --yes to do it."
        });
        Ok(())
    }
}

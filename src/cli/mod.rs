//! The command line.

mod agenda;
mod backup;
mod check;
mod clock;
mod demo;
mod desks;
mod group;
mod init;
mod journal;
mod key;
mod list;
mod log;
mod login;
mod look;
mod manual;
mod open;
mod outbox;
mod part;
mod playbook;
mod pulse;
mod quickstart;
mod rehearse;
mod restore;
mod restored;
mod run;
mod statistics;
mod status;
mod trip;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::domain::facts::names::Moment;
use crate::edge::clock::WallClock;
use crate::edge::contained::end_at_other_panics;
use crate::edge::process::keep_memory_private;
use crate::error::Fault;
use crate::ports::clock::Clock;

/// A security@ mailbox that acknowledges, records, and keeps embargoes on time, steered by signed
/// mail.
#[derive(Debug, Parser)]
#[command(name = "embargod", version, about, max_term_width = 100)]
struct Arguments {
    /// The config file; otherwise `embargod.toml` here, or the one in /etc/embargod.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One desk among several: its config is /etc/embargod/NAME.toml.
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "config")]
    desk: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set a desk up from its address: find its servers, make its key and its config, and check it by a mail.
    Quickstart(quickstart::Quickstart),
    /// Make a folder with a documented config, the desk's key, and an empty database.
    Init(init::Init),
    /// Check config, keys, playbooks and templates, and log in to both servers.
    Check(check::Check),
    /// Sign the desk in, once, to a mailbox whose host takes no passwords.
    Login(login::Login),
    /// Run the desk.
    Run(run::Run),
    /// Show how the desk stands; the exit code is 1 while something needs the operator.
    Status(status::Status),
    /// List incidents, open or closed, or those that something is said of.
    List(list::List),
    /// Show an incident.
    Show(look::Show),
    /// Show what is due when.
    Agenda(agenda::AgendaOf),
    /// Show an incident's history, and write out the signed mails that ordered it.
    Log(log::Log),
    /// Look after the journal.
    Journal(journal::Journal),
    /// Check, preview and compare playbooks, and put an incident on a newer one.
    Playbook(playbook::PlaybookCommand),
    /// Show how long things took; open embargoes are left out.
    Statistics(statistics::Statistics),
    /// Look after the members of groups: list, show, import, export, suspend, reinstate, remove.
    Group(group::Group),
    /// Look after the desk's own key: show, rotate, publish.
    Key(key::Key),
    /// Look after mails that wait to leave or were given up: list, show, retry, withdraw.
    Outbox(outbox::Outbox),
    /// Look after mails that were set aside.
    Aside(look::Aside),
    /// Show whether the desk believes its clock, or say that it is right.
    Clock(clock::ClockCommand),
    /// Copy the desk as it is, sealed to its operators, and look whether such a copy is whole.
    Backup(backup::Backup),
    /// Put a backup into a folder; the desk in it is held until you say how it goes on.
    Restore(restore::Restore),
    /// Say that the database was put back from a backup, before the desk runs again.
    Restored(restored::Restored),
    /// Play your own process with your own people, keys and texts, from a report to its end; nothing is sent.
    Rehearse(rehearse::Rehearse),
    /// Play a story from the first report to the retrospective; needs no server and no set-up.
    Demo(demo::Demo),
    /// Write a part of a mail to a file: what is too large for any mail of the desk.
    Part(part::Part),
    /// Open mails and print what they are; nothing is stored or sent.
    Open(open::Open),
    /// Print what completes this program's commands in a shell.
    Completions(manual::Completions),
    /// Write the manual pages.
    Manual(manual::Manual),
}

/// Runs a command line.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    end_at_other_panics();
    // Before the first secret is read.
    keep_memory_private();
    let now = WallClock.now();
    let config = desks::config(arguments.config, arguments.desk.as_deref());
    let done = config.and_then(|config| run(arguments.command, &config, now));
    match done {
        Ok(code) => code,
        Err(fault) => {
            say_error(&format!("embargod: {fault}"));
            ExitCode::from(2)
        }
    }
}

fn run(command: Command, config: &Path, now: Moment) -> Done {
    match command {
        Command::Quickstart(quickstart) => quickstart.run(now),
        Command::Init(init) => init.run(now),
        Command::Check(check) if check.all => desks::each(|config| check.run(config, now)),
        Command::Check(check) => check.run(config, now),
        Command::Login(login) => login.run(config, now),
        Command::Run(run) => run.run(config, now),
        Command::Status(status) if status.all => desks::each(|config| status.run(config, now)),
        Command::Status(status) => status.run(config, now),
        Command::List(list) => list.run(config, now),
        Command::Show(show) => show.run(config, now),
        Command::Agenda(agenda) => agenda.run(config, now),
        Command::Journal(journal) => journal.run(config, now),
        Command::Group(group) => group.run(config, now),
        Command::Key(key) => key.run(config, now),
        Command::Outbox(outbox) => outbox.run(config, now),
        Command::Aside(aside) => aside.run(config, now),
        Command::Clock(clock) => clock.run(config, now),
        Command::Log(log) => log.run(config, now),
        Command::Part(part) => part.run(config, now),
        Command::Playbook(playbook) => playbook.run(config, now),
        Command::Statistics(statistics) => statistics.run(config, now),
        Command::Backup(backup) => backup.run(config, now),
        Command::Restore(restore) => restore.run(now),
        Command::Restored(restored) => restored.run(config, now),
        Command::Rehearse(rehearse) => rehearse.run(config, now),
        Command::Demo(demo) => demo.run(now),
        Command::Open(open) => open.run(config, now),
        Command::Completions(completions) => completions.run(),
        Command::Manual(manual) => manual.run(),
    }
}

/// Rows of a table as a person reads them: each column as wide as it must be.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let wide =
        |n: usize| rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|n| wide(n).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, wide)| format!("{cell:<wide$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

type Done = Result<ExitCode, Fault>;

/// Prints a line for a person or a machine: the one place that does.
fn say(text: &str) {
    use std::io::Write;
    // Whoever reads may stop reading, like `head`; that is no reason to panic.
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
}

#[expect(clippy::print_stderr, reason = "a command line prints")]
fn say_error(text: &str) {
    eprintln!("{text}");
}

fn json(value: &impl serde::Serialize) -> Result<String, Fault> {
    use crate::error::Place;
    serde_json::to_string(value).at(|| "writing JSON".to_owned())
}

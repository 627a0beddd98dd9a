//! `embargod clock`: what the desk believes of its clock, and the operator's word about it.

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config;
use crate::domain::facts::heart::Ailment;
use crate::domain::facts::names::Moment;
use crate::engine::heart_of;
use crate::error::Fault;
use crate::ports::store::{Alarms as _, Note};

use super::run::is_running;
use super::{Done, say};

/// Arguments of `clock`.
#[derive(Debug, Args)]
pub(super) struct ClockCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show whether the desk believes its clock, and why not.
    Show,
    /// Say that the machine's clock is right. Counts once the mail server agrees; then what was held goes on.
    Trust,
}

impl ClockCommand {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let config = config::read_or_fault(path, now)?;
        let mut store = config.open_store()?;
        let here = now.format("%Y-%m-%d %H:%M:%S UTC");
        let heart = heart_of(&store)?;
        let doubt = heart.as_ref().and_then(|heart| heart.down.get(&Ailment::Clock));
        match (&self.what, doubt) {
            (What::Show, None) => {
                say(&format!("The clock is believed. It is {here} here."));
                Ok(ExitCode::SUCCESS)
            }
            (What::Show, Some(down)) => {
                let since = down.since.format("%Y-%m-%d %H:%M UTC");
                say(&format!("It is {here} here. Not believed since {since}: {}.", down.why));
                Ok(ExitCode::FAILURE)
            }
            (What::Trust, None) if is_running(&config.store) => Err(Fault::new(
                "the desk believes its clock, so there is nothing to say",
                "run `embargod status` to see what else holds it",
            )),
            (What::Trust, _) => {
                store.set_note(Note::ClockWord, Some(&now.to_rfc3339()))?;
                let next = if is_running(&config.store) {
                    "The running desk hears it within half a minute, and goes on once the mail server agrees: `embargod status`."
                } else {
                    "No desk runs; it is heard at the next start: `embargod run`."
                };
                say(&format!("Written down: {here} is right. {next}"));
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

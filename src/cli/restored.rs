//! `embargod restored`: said once after the database was put back from a backup.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use crate::config;
use crate::domain::facts::names::Moment;
use crate::edge::SystemEntropy;
use crate::edge::clock::WallClock;
use crate::engine::Engine;
use crate::error::Fault;
use crate::ports::store::Journal;

use super::{Done, say};

/// Arguments of `restored`.
#[derive(Debug, Args)]
pub(super) struct Restored {
    /// Say that you mean it: what waits in the outbox will not be sent any more.
    #[arg(long)]
    yes: bool,
}

impl Restored {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        if !self.yes {
            let what = "this marks all that waits in the outbox as perhaps sent, holds all notices, and refuses every mail signed before now";
            return Err(Fault::new(
                what,
                "run `embargod restored --yes` if the database was put back from a backup",
            ));
        }
        let config = config::read_or_fault(path, now)?;
        let _only_one = super::run::only_one(&config.store)?;
        config.put_witness_away()?;
        let store = config.open_store_alone()?;
        let keyring = config::keyring(&config, store.secrets()?.session_salt, now)?;
        let mut engine = Engine::start(
            Box::new(store),
            keyring,
            &config.sources,
            Box::new(WallClock),
            Box::new(SystemEntropy),
        )?;
        let (mails, incidents) = engine.restored()?;
        say(&format!(
            "{mails} mails may or may not have left; they are not sent again by themselves."
        ));
        say(&format!("The notices of {incidents} incidents are held."));
        say("Next: `embargod run`; then let the notices go with `/resume ALL` on each incident.");
        Ok(ExitCode::SUCCESS)
    }
}

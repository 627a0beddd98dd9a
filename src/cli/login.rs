//! `embargod login`: signing the desk in, once, to a mailbox whose host takes no passwords.

use std::io::BufRead as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use zeroize::Zeroizing;

use crate::config;
use crate::domain::facts::names::Moment;
use crate::edge::oauth::{Keeps, SignIn};
use crate::edge::sqlite::Sqlite;
use crate::error::{Fault, Place as _};
use crate::ports::store::{Alarms as _, Note};

use super::{Done, say};

/// Arguments of `login`.
#[derive(Debug, Args)]
pub(super) struct Login {}

/// The store of a command that ends soon, as a place to keep a sign-in in.
pub(super) struct InStore(pub(super) Mutex<Sqlite>);

impl Keeps for InStore {
    fn kept(&self) -> Result<Option<Zeroizing<String>>, Fault> {
        let store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(store.note(Note::SignIn)?.map(Zeroizing::new))
    }

    fn keep(&self, text: &str) -> Result<(), Fault> {
        let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        store.set_note(Note::SignIn, Some(text))
    }
}

impl Login {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let Self {} = self;
        let config = config::read_or_fault(path, now)?;
        let Some(giver) = &config.oauth else {
            return Err(Fault::new(
                "the config has no [oauth] section, so there is nothing to sign in to",
                "see [oauth] in the sample that `embargod init` writes",
            ));
        };
        giver.keep_in(Arc::new(InStore(Mutex::new(config.open_store()?))));
        match giver.begin()? {
            SignIn::Device(device) => {
                let minutes = device.expires_in().as_secs() / 60;
                say(&format!(
                    "Open this page on any device, as the mailbox's user:\n\n    {}\n\nand enter this code there within {minutes} minutes:\n\n    {}\n\nWaiting.",
                    device.verification_uri().as_str(),
                    device.user_code().secret(),
                ));
                giver.end_device(&device)?;
            }
            SignIn::Browser { url, state, verifier } => {
                say(&format!(
                    "Open this address in a browser, as the mailbox's user, and agree:\n\n    {url}\n\nThe browser is then sent to an address of this machine where nothing answers; that is as it\nshould be. Copy the whole address that it shows, paste it here and press Enter:"
                ));
                let mut shown = Zeroizing::new(String::new());
                std::io::stdin().lock().read_line(&mut shown).at(|| "reading".to_owned())?;
                giver.end_browser(&shown, &state, verifier)?;
            }
        }
        say(
            "Signed in; what lasts is kept in the encrypted database. A desk that runs goes on by itself.\nNext: embargod check",
        );
        Ok(ExitCode::SUCCESS)
    }
}

//! `embargod part`: a part of a mail, written to a file: what no mail of the desk can carry.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::config;
use crate::domain::facts::names::Moment;
use crate::edge::opening::Opener;
use crate::edge::pgp::{Directory, LIMITS};
use crate::edge::write_private;
use crate::engine::replay;
use crate::error::{Fault, Place};
use crate::ports::store::{Inbox as _, Journal as _};

use super::look::find;
use super::{Done, say};

/// Arguments of `part`.
#[derive(Debug, Args)]
pub(super) struct Part {
    /// The incident.
    handle: String,
    /// Which part, as it stands beside it in the report: `3`, or `2.3` for the third of the second mail.
    which: String,
    /// Where to write it; there must be no such file.
    file: PathBuf,
}

impl Part {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let (letter, part) = self.which.split_once('.').unwrap_or(("1", &self.which));
        let number = |text: &str| text.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let (Some(letter), Some(part)) = (number(letter), number(part)) else {
            let next = "write it as it stands in the report: `3`, or `2.3`";
            return Err(Fault::new(format!("`{}` names no part", self.which), next));
        };
        let config = config::read_or_fault(path, now)?;
        let store = config.open_store()?;
        let (desk, _) = replay(&store, config.sources.settings.clone())?;
        let incident = find(&desk, &self.handle)?;
        let gone = || Fault::new("that mail is not kept any more", "");
        let note = incident.letters.get(letter);
        let note = note.ok_or_else(|| Fault::new("the incident has no such mail", ""))?;
        let mail = store.mail(note.raw)?.ok_or_else(gone)?;
        let keyring = config::keyring(&config, store.secrets()?.session_salt, now)?;
        let known = Directory::default();
        let opener = Opener { keyring: &keyring, known: &known, settings: None, limits: LIMITS };
        let mut parts = opener.whole(&mail).attachments.into_iter();
        let found = parts.nth(part).ok_or_else(|| Fault::new("the mail has no such part", ""))?;
        if self.file.exists() {
            let what = format!("{} exists already", self.file.display());
            return Err(Fault::new(what, "name another file"));
        }
        write_private(&self.file, &found.bytes).at(|| self.file.display().to_string())?;
        say(&format!(
            "{}: {} bytes, SHA-256 {}. A stranger called it `{}`: open it with care, and delete it afterwards.",
            self.file.display(),
            found.size(),
            found.sum(),
            found.name
        ));
        Ok(ExitCode::SUCCESS)
    }
}

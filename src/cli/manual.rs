//! `embargod completions` and `embargod manual`: what a package brings beside the program, made of the command line
//! itself.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::edge::files;
use crate::error::Fault;

use super::{Arguments, Done, say};

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

/// Arguments of `manual`.
#[derive(Debug, Args)]
pub(super) struct Manual {
    /// The folder that the pages are written to.
    folder: PathBuf,
}

impl Completions {
    pub(super) fn run(&self) -> Done {
        let mut out = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "embargod", &mut out);
        say(&String::from_utf8_lossy(&out));
        Ok(ExitCode::SUCCESS)
    }
}

impl Manual {
    pub(super) fn run(&self) -> Done {
        let wrong = |error: std::io::Error| files::unread(&self.folder, &error);
        std::fs::create_dir_all(&self.folder).map_err(wrong)?;
        clap_mangen::generate_to(Arguments::command(), &self.folder).map_err(wrong)?;
        say(&format!("Wrote the pages into {}.", self.folder.display()));
        Ok::<_, Fault>(ExitCode::SUCCESS)
    }
}

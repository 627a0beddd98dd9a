//! `embargod demo`: the story, on one of its two stages.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::domain::facts::names::{Moment, Span, later};
use crate::error::Fault;
use crate::rehearsal::live::{Killer, Live, Servers};
use crate::rehearsal::post_office::PostOffice;
use crate::rehearsal::{how_to_read, story};

use super::{Done, say};

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Where mails, keys and the database are left; a new folder in the present one otherwise.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Play on the servers that this file of `scripts/mailstack` names, with GnuPG as the people's
    /// mail program.
    #[arg(long, value_name = "FILE")]
    live: Option<PathBuf>,
    /// Kill the daemon each time it has run so long, and start it again.
    #[arg(long, value_name = "MILLISECONDS", requires = "live")]
    kill_after: Option<u64>,
}

impl Demo {
    pub(super) fn run(&self, now: Moment) -> Done {
        let folder = self.folder.clone().unwrap_or_else(new_folder);
        if folder.join("embargod.db").exists() || folder.join("desk").exists() {
            return Err(Fault::new(
                format!("{} holds an earlier rehearsal", folder.display()),
                "name another --folder",
            ));
        }
        std::fs::create_dir_all(&folder)
            .map_err(|error| Fault::new(format!("{}: {error}", folder.display()), ""))?;
        let narrate = Box::new(|line: &str| say(line));
        match &self.live {
            None => {
                // The past, so that GnuPG does not find the mails to be from the future.
                let start = later(chrono::SubsecRound::trunc_subsecs(now, 0), Span::days(-70));
                let mut stage = PostOffice::open(&folder, start, narrate)?;
                story::play(&mut stage)?;
                let desk = stage.engine()?.desk();
                say(&format!("\nThe journal has {} records.", desk.head.number));
                stage.leave_config()?;
                say(&how_to_read(&folder));
                let shown = folder.display();
                say(&format!(
                    "\nTo look at its desk as an operator does:\n  embargod --config {shown}/embargod.toml list --all"
                ));
            }
            Some(file) => {
                let killer = self.kill_after.map(|ms| Killer { after: Duration::from_millis(ms) });
                let mut stage = Live::open(&folder, Servers::read(file)?, killer, narrate)?;
                story::play(&mut stage)?;
                if killer.is_some() {
                    say(&format!(
                        "The daemon was killed {} times; {} mails came twice, with one Message-ID.",
                        stage.kills, stage.doubles
                    ));
                }
                stage.stop()?;
                say(&format!("\nThe desk's folder is {}.", stage.desk().display()));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn new_folder() -> PathBuf {
    let name = |n: u32| {
        PathBuf::from(if n == 1 {
            "embargod-demo".to_owned()
        } else {
            format!("embargod-demo-{n}")
        })
    };
    (1..1_000).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(1_000))
}

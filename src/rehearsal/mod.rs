//! A rehearsal: one story from the first report to the retrospective, told once and played on two
//! stages.
//!
//! [`post_office`] runs the real engine with a real store and real OpenPGP in this process, and
//! jumps from one due moment to the next. [`live`] runs the real daemon against real mail servers
//! and plays the people with GnuPG. What the story expects is the same on both.

pub mod live;
pub mod mail;
pub mod play;
pub mod post_office;
pub mod story;
pub mod team;

use std::path::Path;

use crate::domain::facts::names::Span;
use crate::error::Fault;

/// The people of the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Reports with OpenPGP.
    Rita,
    /// Reports in plain mail.
    Paul,
    /// A maintainer, the lead.
    Mia,
    /// A maintainer of the Fix Team.
    Tom,
    /// A maintainer without a role in the story's process.
    Uma,
    /// A distributor.
    Ann,
    /// A distributor.
    Bob,
    /// A distributor.
    Cleo,
    /// Wants to be one, like the next six.
    Dora,
    /// Wants to be a distributor.
    Eve,
    /// Wants to be a distributor.
    Finn,
    /// Wants to be a distributor.
    Gus,
    /// Wants to be a distributor.
    Hal,
    /// Wants to be a distributor.
    Ida,
    /// Wants to be a distributor.
    Jon,
    /// The public development list.
    List,
}

impl Who {
    /// Everybody.
    pub const ALL: [Self; 16] = [
        Self::Rita,
        Self::Paul,
        Self::Mia,
        Self::Tom,
        Self::Uma,
        Self::Ann,
        Self::Bob,
        Self::Cleo,
        Self::List,
        Self::Dora,
        Self::Eve,
        Self::Finn,
        Self::Gus,
        Self::Hal,
        Self::Ida,
        Self::Jon,
    ];
    /// Those with a key of their own.
    pub const WITH_KEY: [Self; 7] =
        [Self::Rita, Self::Mia, Self::Tom, Self::Uma, Self::Ann, Self::Bob, Self::Cleo];
    /// Those with a key whom nobody knows at the beginning.
    pub const NEWCOMERS: [Self; 7] =
        [Self::Dora, Self::Eve, Self::Finn, Self::Gus, Self::Hal, Self::Ida, Self::Jon];
    /// The distributors.
    pub const DISTRIBUTORS: [Self; 3] = [Self::Ann, Self::Bob, Self::Cleo];

    /// Short name, also the id in the config.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Rita => "rita",
            Self::Paul => "paul",
            Self::Mia => "mia",
            Self::Tom => "tom",
            Self::Uma => "uma",
            Self::Ann => "ann",
            Self::Bob => "bob",
            Self::Cleo => "cleo",
            Self::Dora => "dora",
            Self::Eve => "eve",
            Self::Finn => "finn",
            Self::Gus => "gus",
            Self::Hal => "hal",
            Self::Ida => "ida",
            Self::Jon => "jon",
            Self::List => "dev-list",
        }
    }

    /// Mail address.
    #[must_use]
    pub fn address(self) -> String {
        format!("{}@people.test", self.id())
    }

    /// The `[[person]]` of the config, for those whom the config names.
    #[must_use]
    pub fn config(self, certificate: &str) -> Option<String> {
        let (name, belongs) = match self {
            Self::Mia => ("Mia", r#"roles = ["security_team", "lead", "operator"]"#),
            Self::Tom => ("Tom", r#"roles = ["security_team", "fix_team"]"#),
            Self::Uma => ("Uma", r#"roles = ["operator"]"#),
            Self::Ann => ("Ann of Aleph Linux", r#"groups = ["private_distributors"]"#),
            Self::Bob => ("Bob of Beth Linux", r#"groups = ["private_distributors"]"#),
            Self::Cleo => ("Cleo of Gimel Linux", r#"groups = ["private_distributors"]"#),
            Self::Rita
            | Self::Paul
            | Self::List
            | Self::Dora
            | Self::Eve
            | Self::Finn
            | Self::Gus
            | Self::Hal
            | Self::Ida
            | Self::Jon => return None,
        };
        let (id, address) = (self.id(), self.address());
        Some(format!(
            "\n[[person]]\nid = \"{id}\"\nname = \"{name}\"\naddress = \"{address}\"\ncertificate = \"{certificate}\"\n{belongs}\n"
        ))
    }
}

/// The desk of the story.
pub const DESK: &str = "security@desk.test";

/// A place where the story is played.
pub trait Stage {
    /// What differs: names of days, lengths of time.
    fn pace(&self) -> &story::Pace;
    /// Tells the audience what happens.
    fn say(&mut self, line: &str);
    /// Writes a mail with the person's own mail program and sends it to the desk.
    ///
    /// # Errors
    /// When it cannot be made or sent.
    fn write(&mut self, who: Who, mail: &mail::Draft) -> Result<(), Fault>;
    /// Everything in the person's mailbox, opened with their own program.
    ///
    /// # Errors
    /// When it cannot be read.
    fn mailbox(&mut self, who: Who) -> Result<Vec<mail::Read>, Fault>;
    /// Lets something happen: a moment on a live stage, the next due thing in the post office.
    /// `false` when nothing more will happen within the story's patience.
    ///
    /// # Errors
    /// When the desk stopped.
    fn step(&mut self) -> Result<bool, Fault>;
    /// Lets time go by, with everything that falls into it.
    ///
    /// # Errors
    /// When the desk stopped.
    fn pass(&mut self, span: Span) -> Result<(), Fault>;
}

/// How to read a mail of the rehearsal with GnuPG: lines that can be pasted into a shell.
#[must_use]
pub fn how_to_read(folder: &Path) -> String {
    let who = Who::Ann.id();
    let to = format!("-desk-to-{who}.eml");
    let mails = std::fs::read_dir(folder.join("mails")).into_iter().flatten().flatten();
    let names = mails.filter_map(|entry| entry.file_name().into_string().ok());
    let newest = names.filter(|name| name.ends_with(&to)).max();
    let newest = newest.unwrap_or_else(|| format!("NNN{to}"));
    let folder = folder.display();
    format!(
        "Every mail is in {folder}/mails, and everybody's key in {folder}/keys. To read one as {who}:\n\n  \
         export GNUPGHOME=$(mktemp -d)\n  gpg --import {folder}/keys/*.asc\n  \
         gpg --decrypt {folder}/mails/{newest}"
    )
}

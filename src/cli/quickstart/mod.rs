//! `embargod quickstart`: from an address to a desk that runs, without an editor.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::config::{Finding, Level};
use crate::domain::facts::names::{Address, Fingerprint, Moment};
use crate::domain::process::offset::parse_zone;
use crate::edge::files;
use crate::edge::server::Server;
use crate::error::Fault;

use super::check::findings_of;
use super::init::Init;
use super::{Done, json, say};
use servers::Preset;

mod found;
mod people;
mod servers;
mod written;

/// Arguments of `quickstart`.
#[derive(Debug, Args)]
pub(super) struct Quickstart {
    /// The address that people report to; its mailbox is the desk's.
    address: String,
    /// The folder of the desk.
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/embargod")]
    folder: PathBuf,
    /// What mails call the desk; made of the address if not given.
    #[arg(long)]
    name: Option<String>,
    /// The first part of every handle; made of the name if not given.
    #[arg(long)]
    prefix: Option<String>,
    /// The process: one that comes with the program.
    #[arg(long, default_value = "default")]
    playbook: String,
    /// The zone that times are told in, beside UTC.
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// A maintainer: their certificate, and after a colon their roles. Without roles they have all of the process, and
    /// are an operator. Once for each.
    #[arg(long = "person", value_name = "FILE[:ROLE,ROLE]", required = true)]
    people: Vec<String>,
    /// Where mail is read; otherwise it is looked for.
    #[arg(long, value_name = "HOST[:PORT]")]
    imap: Option<String>,
    /// Where mail is handed over; otherwise it is looked for.
    #[arg(long, value_name = "HOST[:PORT]")]
    smtp: Option<String>,
    /// Whose mailbox it is: `google`, `microsoft`, `fastmail`, `proton-bridge`, or `local` for servers on this machine.
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// The name that the servers know; the address, or the part before the @, if not given.
    #[arg(long)]
    user: Option<String>,
    /// The file with the mailbox's password; without it the password is asked for.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The same for handing over, where it is another.
    #[arg(long, value_name = "FILE")]
    smtp_password_file: Option<PathBuf>,
    /// Trust this authority instead of the system's.
    #[arg(long, value_name = "FILE.pem")]
    ca_file: Option<PathBuf>,
    /// Ask this name server instead of the system's.
    #[arg(long, value_name = "ADDRESS:PORT")]
    resolver: Option<SocketAddr>,
    /// Ask nothing: what cannot be found by itself ends it, before anything is written.
    #[arg(long)]
    yes: bool,
    /// Print one JSON object at the end, and nothing else.
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Serialize)]
struct Report {
    folder: PathBuf,
    config: PathBuf,
    fingerprint: Fingerprint,
    imap: Option<Shown>,
    smtp: Option<Shown>,
    people: Vec<String>,
    findings: Vec<Finding>,
    /// What is left for a person.
    next: Vec<String>,
}

#[derive(Clone, Serialize)]
struct Shown {
    host: String,
    port: u16,
    tls: &'static str,
    user: String,
    from: String,
}

impl From<&Server> for Shown {
    fn from(server: &Server) -> Self {
        let tls = if server.implicit_tls { "implicit" } else { "starttls" };
        let (host, port, user) = (server.host.clone(), server.port, server.user.clone());
        Self { host, port, tls, user, from: String::new() }
    }
}

/// So long a mail to ourselves is waited for.
const WAITS: Duration = Duration::from_secs(60);

impl Quickstart {
    pub(super) fn run(&self, now: Moment) -> Done {
        let address = Address::parse(&self.address).ok_or_else(|| {
            let next = "write it like security@example.org";
            Fault::new(format!("`{}` is no mail address", self.address), next)
        })?;
        // All that can be refused is, before anything is written.
        parse_zone(&self.zone).map_err(|why| {
            Fault::new(format!("--zone: {why}; nothing was written"), "name one like Europe/Berlin")
        })?;
        let authority = self.ca_file.as_deref().map(files::read).transpose()?;
        let people = self.someones(now)?;
        let (imap, smtp, preset) = self.found(&address)?;
        let name = self.name.clone().unwrap_or_else(|| format!("{} security", address.domain()));
        let init = Init::of(&self.folder, &address, &name, self.prefix.as_deref());
        let made = init.make(now)?;
        self.tell(&format!(
            "Made a desk in {}; its key is {}.",
            self.folder.display(),
            made.spaced()
        ));
        let written = self.write(
            &people,
            (&imap, &smtp),
            authority.as_deref(),
            preset.and_then(|it| it.oauth),
        );
        let config = written?;
        let asks_for_login = preset.is_some_and(|it| it.oauth.is_some());
        let wait = (!asks_for_login).then_some(WAITS);
        if wait.is_some() {
            self.tell("Checking it, with a mail to the desk's own address ...");
        }
        let findings = findings_of(&config, now, wait)?;
        let report = Report {
            folder: self.folder.clone(),
            config: config.clone(),
            fingerprint: made,
            imap: imap.map(|it| it.shown),
            smtp: smtp.map(|it| it.shown),
            people: people.iter().map(|one| one.id.clone()).collect(),
            next: self.left(&config, &findings, preset),
            findings,
        };
        if self.json {
            say(&json(&report)?);
        } else {
            told(&report);
        }
        let is_wrong = report.findings.iter().any(Finding::is_wrong);
        Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn tell(&self, text: &str) {
        if !self.json {
            say(text);
        }
    }

    /// What no program can do.
    fn left(&self, config: &Path, findings: &[Finding], preset: Option<&Preset>) -> Vec<String> {
        let folder = self.folder.display();
        let mut left = Vec::new();
        if preset.is_some_and(|it| it.oauth.is_some()) {
            left.push(format!("register an application with your host (docs/login.md), write its client_id into [oauth] in {}, and run `embargod --config {0} login` and `check`", config.display()));
        }
        if findings.iter().any(Finding::is_wrong) {
            left.push(format!(
                "mend what is wrong above, and run `embargod --config {} check`",
                config.display()
            ));
        }
        left.push(format!("move {folder}/keys/revocation.asc off this machine, and keep a copy of {folder}/keys/passphrase elsewhere: nothing opens without it"));
        left.push(format!(
            "publish {folder}/keys/desk.public.asc and the fingerprint where people look for them"
        ));
        left.push(format!("start it: `embargod --config {} run`, or its unit", config.display()));
        left.push("let each maintainer send a signed and encrypted mail with the first line `/ping`: the answer says whether their commands count".to_owned());
        left
    }
}

fn told(report: &Report) {
    let not_well = report.findings.iter().filter(|it| it.level < Level::Note);
    not_well.for_each(|finding| say(&finding.to_string()));
    let ok = report.findings.iter().filter(|it| it.level == Level::Ok).count();
    say(&format!(
        "{ok} things were looked at and are in order; the config is {}.",
        report.config.display()
    ));
    say("\nLeft for you:");
    for (n, step) in report.next.iter().enumerate() {
        say(&format!("  {}. {step}", n + 1));
    }
}

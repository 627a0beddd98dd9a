//! `embargod quickstart`: from an address to a desk that runs, without an editor.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};
use zeroize::Zeroizing;

use crate::config::{Finding, Level};
use crate::domain::facts::names::{Address, Fingerprint, Moment, is_id};
use crate::domain::model::roster::OPERATOR;
use crate::domain::outgoing::texts::clean_line;
use crate::domain::process::calendar;
use crate::domain::process::calendar::Calendars;
use crate::domain::process::playbook;
use crate::domain::process::playbook::BUILTIN;
use crate::edge::dns::Names;
use crate::edge::pgp::{Certificate, mend_key};
use crate::edge::server::{Credential, Secret, Server};
use crate::edge::smtp::Courier;
use crate::edge::{files, imap, write_private};
use crate::error::{Fault, Place};

use super::check::findings_of;
use super::init::Init;
use super::{Done, json, say};
use servers::{Guess, Kind, Preset, autoconfig, guesses, said};

mod servers;

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

/// A maintainer-to-be.
struct Someone {
    id: String,
    name: String,
    address: Address,
    roles: Vec<String>,
    certificate: Certificate,
}

/// One of the servers, found and tried.
struct Found {
    shown: Shown,
    password: Option<Zeroizing<String>>,
}

/// The two servers, where there are any yet, and the row of their host.
type Both = (Option<Found>, Option<Found>, Option<&'static Preset>);

/// A password that is held while it is tried.
struct Typed(Zeroizing<String>);

impl Secret for Typed {
    fn now(&self) -> Result<Zeroizing<String>, Fault> {
        Ok(self.0.clone())
    }

    fn refused(&self, _: &str) {}

    fn mend(&self) -> String {
        "see that the password, and `--user`, are what the server knows".to_owned()
    }
}

/// So long one guess is tried.
const TRIED_FOR: Duration = Duration::from_secs(12);
/// So long a mail to ourselves is waited for.
const WAITS: Duration = Duration::from_secs(60);

impl Quickstart {
    pub(super) fn run(&self, now: Moment) -> Done {
        let address = Address::parse(&self.address).ok_or_else(|| {
            let next = "write it like security@example.org";
            Fault::new(format!("`{}` is no mail address", self.address), next)
        })?;
        // All that can be refused is, before anything is written.
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
        let written = self.write(&people, &imap, &smtp, preset.and_then(|it| it.oauth));
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

    /// The people, each with a certificate that can be used.
    fn someones(&self, now: Moment) -> Result<Vec<Someone>, Fault> {
        let roles = self.roles()?;
        let mut all: Vec<Someone> = Vec::new();
        for text in &self.people {
            let (path, given) = parted(text);
            let bytes = files::read(Path::new(path))?;
            let wrong = |why: String, next: &str| {
                Fault::new(format!("{path}: {why}; nothing was written"), next)
            };
            if Certificate::is_secret(&bytes) {
                let next = "give the certificate: `gpg --export --armor ADDRESS`";
                return Err(wrong("it is a secret key, which only its owner has".to_owned(), next));
            }
            let certificate = Certificate::read(&bytes)
                .map_err(|why| wrong(why, "export it with `gpg --export --armor ADDRESS`"))?;
            certificate.check(now).map_err(|why| wrong(why.clone(), mend_key(&why)))?;
            let (name, address) = certificate.owner(now).ok_or_else(|| {
                wrong(
                    "it names no mail address".to_owned(),
                    "let its owner add one: `gpg --quick-add-uid`",
                )
            })?;
            for role in given.iter().flatten() {
                if !roles.contains(role) {
                    let next = format!("the roles of `{}` are {}", self.playbook, roles.join(", "));
                    return Err(Fault::new(
                        format!("`{role}` is no role; nothing was written"),
                        next,
                    ));
                }
            }
            let base: String = address
                .local()
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
                .collect();
            let base = base.trim_matches('-').to_owned();
            let base = if is_id(&base) { base } else { "person".to_owned() };
            let mut id = base.clone();
            let mut number = 2;
            while all.iter().any(|one| one.id == id) {
                id = format!("{base}-{number}");
                number += 1;
            }
            let roles = given.unwrap_or_else(|| roles.clone());
            all.push(Someone { id, name: clean_line(&name, 80), address, roles, certificate });
        }
        Ok(all)
    }

    /// The roles that people of the config have in the process.
    fn roles(&self) -> Result<Vec<String>, Fault> {
        let known = || BUILTIN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let text = BUILTIN.iter().find(|(name, _)| *name == self.playbook);
        let (_, text) = text.ok_or_else(|| {
            let what = format!("there is no playbook `{}`; nothing was written", self.playbook);
            Fault::new(what, format!("name one of {}", known()))
        })?;
        let calendars: Calendars = calendar::builtin();
        let loaded = playbook::load(text, &calendars);
        let loaded = loaded.map_err(|_| Fault::new("the playbook does not load", ""))?;
        let own = loaded.roles.iter().filter(|(_, role)| role.held_by.is_none());
        Ok(own.map(|(id, _)| id.clone()).chain([OPERATOR.to_owned()]).collect())
    }

    /// Both servers, tried with the password; nothing of them where the host takes none.
    fn found(&self, address: &Address) -> Result<Both, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .at(|| "runtime".to_owned())?;
        let domain = address.domain().to_owned();
        let named = self.preset.as_deref().map(|name| {
            Preset::named(name).ok_or_else(|| {
                let all: Vec<_> = servers::PRESETS.iter().map(|preset| preset.name).collect();
                let what = format!("there is no preset `{name}`; nothing was written");
                Fault::new(
                    what,
                    format!("name one of {}, or `--imap` and `--smtp`", all.join(", ")),
                )
            })
        });
        let named = named.transpose()?;
        let both_said = self.imap.is_some() && self.smtp.is_some();
        let looks = !both_said && named.is_none();
        let names = if looks { Names::new(self.resolver).ok() } else { None };
        let preset = match (&names, named) {
            (Some(names), None) => Preset::of(&runtime.block_on(names.takers(&domain))),
            (_, named) => named,
        };
        if let Some(preset) = preset {
            self.tell(&format!("{}.", preset.note));
            if preset.oauth.is_some() && !both_said {
                let guess =
                    |kind| runtime.block_on(guesses(&domain, kind, None, Some(preset), &[]));
                let shown = |kind| guess(kind).first().map(|it| self.untried(it, address));
                return Ok((shown(Kind::Imap), shown(Kind::Smtp), Some(preset)));
            }
        }
        let config_file = if looks && preset.is_none() {
            autoconfig(&domain, self.ca_file.as_deref())
        } else {
            Vec::new()
        };
        let password = self.password(self.password_file.as_deref(), address)?;
        let smtp_password = match &self.smtp_password_file {
            Some(path) => self.password(Some(path), address)?,
            None => password.clone(),
        };
        let mut found = Vec::new();
        for (kind, given, password) in
            [(Kind::Imap, &self.imap, password), (Kind::Smtp, &self.smtp, smtp_password)]
        {
            let all = match given {
                Some(text) => said(text, kind).ok_or_else(|| {
                    let what =
                        format!("`--{} {text}` is no host; nothing was written", kind.section());
                    Fault::new(what, "write it like mail.example.org or mail.example.org:993")
                })?,
                None => {
                    runtime.block_on(guesses(&domain, kind, names.as_ref(), preset, &config_file))
                }
            };
            let server = runtime.block_on(self.tried(kind, all, address, &password))?;
            self.tell(&format!(
                "{} {}:{} lets us in as {} ({}).",
                kind.section(),
                server.host,
                server.port,
                server.user,
                server.from
            ));
            found.push(Found { shown: server, password: Some(password) });
        }
        let smtp = found.pop();
        Ok((found.pop(), smtp, preset))
    }

    fn untried(&self, guess: &Guess, address: &Address) -> Found {
        let user = self.user.clone().unwrap_or_else(|| address.to_string());
        let tls = if guess.implicit_tls { "implicit" } else { "starttls" };
        let (host, from) = (guess.host.clone(), guess.from.clone());
        Found { shown: Shown { host, port: guess.port, tls, user, from }, password: None }
    }

    fn password(&self, file: Option<&Path>, address: &Address) -> Result<Zeroizing<String>, Fault> {
        if let Some(path) = file {
            return files::secret(path);
        }
        if self.yes || !std::io::stdin().is_terminal() {
            let what = "no password was given, and nobody can be asked; nothing was written";
            return Err(Fault::new(what, "name a file that holds it with `--password-file`"));
        }
        let typed = rpassword::prompt_password(format!("Password of the mailbox {address}: "));
        typed.map(Zeroizing::new).at(|| "reading the password".to_owned())
    }

    /// The first guess at which the password is taken. It is shown to no host that does not prove its name, and to
    /// none that an unproven answer names; where it is refused it is not carried to the next.
    async fn tried(
        &self,
        kind: Kind,
        all: Vec<Guess>,
        address: &Address,
        password: &Zeroizing<String>,
    ) -> Result<Shown, Fault> {
        let section = kind.section();
        let mut why = Vec::new();
        for guess in all {
            let place = format!("{}:{}", guess.host, guess.port);
            if !guess.is_trusted && !self.agrees(&guess)? {
                why.push(format!(
                    "{place}: {} names it, and it is outside of the domain; if it is right: --{section} {place}",
                    guess.from
                ));
                continue;
            }
            let local = address.local().to_owned();
            let users = match &self.user {
                Some(user) => vec![user.clone()],
                None => vec![address.to_string(), local],
            };
            for user in users {
                let secret: Arc<dyn Secret> = Arc::new(Typed(password.clone()));
                let server = Server {
                    host: guess.host.clone(),
                    port: guess.port,
                    implicit_tls: guess.implicit_tls,
                    ca_file: self.ca_file.clone(),
                    user,
                    credential: Credential::Password(secret),
                };
                let done = tokio::time::timeout(TRIED_FOR, enter(kind, &server, address)).await;
                match done {
                    Ok(Ok(())) => {
                        return Ok(Shown { from: guess.from.clone(), ..Shown::from(&server) });
                    }
                    Err(_) => why.push(format!("{place}: it does not answer")),
                    // It is the server that we look for, and does not let us in.
                    Ok(Err(fault)) if !fault.next.is_empty() => {
                        why.push(format!("{place}, as {}: {}", server.user, fault.what));
                        continue;
                    }
                    Ok(Err(fault)) => why.push(format!("{place}: {}", fault.what)),
                }
                break;
            }
            if why.last().is_some_and(|last| last.contains(", as ")) {
                let what = format!(
                    "the {section} server does not let us in; nothing was written:\n  {}",
                    why.join("\n  ")
                );
                return Err(Fault::new(
                    what,
                    "see that the password, and `--user`, are what the server knows",
                ));
            }
        }
        let what =
            format!("no {section} server was found; nothing was written:\n  {}", why.join("\n  "));
        Err(Fault::new(
            what,
            format!(
                "name it with `--{section} HOST:PORT`; `--ca-file` where its certificate is your own"
            ),
        ))
    }

    /// Asks whether a password may go to a host that only a name server names (RFC 6186, 6).
    fn agrees(&self, guess: &Guess) -> Result<bool, Fault> {
        if self.yes || !std::io::stdin().is_terminal() {
            return Ok(false);
        }
        say(&format!(
            "{} says that the server is {}:{}, outside of the domain.",
            guess.from, guess.host, guess.port
        ));
        say("May the password go there? Type `yes` if that is your mailbox's host:");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).at(|| "reading the answer".to_owned())?;
        Ok(answer.trim().eq_ignore_ascii_case("yes"))
    }

    /// Writes certificates, passwords and the config; gives its place.
    fn write(
        &self,
        people: &[Someone],
        imap: &Option<Found>,
        smtp: &Option<Found>,
        oauth: Option<&str>,
    ) -> Result<PathBuf, Fault> {
        let config = self.folder.join("embargod.toml");
        let keys = self.folder.join("keys");
        let mut document: DocumentMut =
            files::text(&config)?.parse().at(|| config.display().to_string())?;
        if let Some(ca_file) = &self.ca_file {
            write_private(&keys.join("ca.pem"), &files::read(ca_file)?)?;
        }
        for (section, place) in [("imap", imap), ("smtp", smtp)] {
            let (Some(place), Some(table)) =
                (place, document.get_mut(section).and_then(Item::as_table_mut))
            else {
                continue;
            };
            set(table, "host", place.shown.host.as_str());
            set(table, "port", i64::from(place.shown.port));
            set(table, "tls", place.shown.tls);
            set(table, "user", place.shown.user.as_str());
            match &place.password {
                Some(password) => {
                    write_private(&keys.join(format!("{section}-password")), password.as_bytes())?;
                }
                None => drop(table.remove("password_file")),
            }
            if self.ca_file.is_some() {
                table.insert("ca_file", value("keys/ca.pem"));
            }
        }
        if let Some(desk) = document.get_mut("desk").and_then(Item::as_table_mut) {
            set(desk, "playbook", self.playbook.as_str());
            set(desk, "zone", self.zone.as_str());
        }
        if let Some(preset) = oauth {
            let mut table = Table::new();
            table.insert("preset", value(preset));
            table.insert("client_id", value("FILL-IN"));
            document.insert("oauth", Item::Table(table));
        }
        let mut tables = ArrayOfTables::new();
        for one in people {
            let file = format!("keys/{}.asc", one.id);
            write_private(&self.folder.join(&file), one.certificate.armored().as_bytes())?;
            let mut table = Table::new();
            table.insert("id", value(one.id.as_str()));
            table.insert("name", value(one.name.as_str()));
            table.insert("address", value(one.address.to_string()));
            table.insert("certificate", value(file));
            table.insert("roles", value(one.roles.iter().collect::<toml_edit::Array>()));
            tables.push(table);
        }
        document.insert("person", Item::ArrayOfTables(tables));
        std::fs::write(&config, document.to_string())
            .map_err(|error| files::unread(&config, &error))?;
        Ok(config)
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

/// Puts a value in the place of another, with the comment behind it.
fn set(table: &mut Table, key: &str, new: impl Into<toml_edit::Value>) {
    let mut new: toml_edit::Value = new.into();
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(key, Item::Value(new));
}

/// A file and the roles behind it, if there are any.
fn parted(text: &str) -> (&str, Option<Vec<String>>) {
    let is_role = |role: &str| {
        !role.is_empty()
            && role.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
    };
    match text.rsplit_once(':') {
        Some((path, roles)) if roles.split(',').all(is_role) => {
            (path, Some(roles.split(',').map(ToOwned::to_owned).collect()))
        }
        _ => (text, None),
    }
}

async fn enter(kind: Kind, server: &Server, address: &Address) -> Result<(), Fault> {
    match kind {
        Kind::Imap => imap::connect(server).await.map(drop),
        Kind::Smtp => {
            let mut courier = Courier::new(server.clone(), address.clone());
            let done = courier.connect().await;
            courier.close().await;
            done
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SAMPLE;

    #[test]
    fn roles_stand_behind_the_last_colon() {
        let of = |text| {
            let (path, roles) = parted(text);
            (path.to_owned(), roles.map(|all| all.join("+")))
        };
        assert_eq!(
            of("mia.asc:lead,operator"),
            ("mia.asc".to_owned(), Some("lead+operator".to_owned()))
        );
        assert_eq!(of("mia.asc"), ("mia.asc".to_owned(), None));
        assert_eq!(of("a:b/mia.asc"), ("a:b/mia.asc".to_owned(), None));
    }

    #[test]
    fn the_sample_has_what_is_filled_in() {
        let document: DocumentMut = SAMPLE.parse().unwrap();
        for (section, keys) in [
            ("imap", &["host", "port", "tls", "user", "password_file"][..]),
            ("smtp", &["host", "port", "tls", "user", "password_file"]),
            ("desk", &["playbook", "zone"]),
        ] {
            let table = document.get(section).unwrap().as_table().unwrap();
            assert!(keys.iter().all(|key| table.contains_key(key)), "{section}");
        }
    }
}

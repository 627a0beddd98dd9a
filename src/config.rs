//! The config file: read whole, checked whole, refused whole, with the place of each problem.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shape::{DeskPart, File};
use toml::Spanned;

use crate::config::shape::KeysPart;
use crate::domain::facts::names::{Address, Moment, PersonId, is_prefix};
use crate::domain::facts::settings::Settings;
use crate::domain::model::roster::Roster;
use crate::domain::outgoing::texts;
use crate::domain::outgoing::texts::{Problem, TRANSLATED, Texts};
use crate::domain::process::calendar::Calendars;
use crate::domain::process::offset::parse_zone;
use crate::domain::process::playbook;
use crate::edge::files;
use crate::edge::heartbeat::Heartbeat;
use crate::edge::imap::Mailbox;
use crate::edge::oauth::Giver;
use crate::edge::pgp::{Certificate, Keyring, Passphrase, secret_fingerprint};
use crate::edge::server::Server;
use crate::edge::sqlite::Sqlite;
use crate::engine::Sources;
use crate::error::{Fault, Place};
use crate::ports::store::Journal as _;

mod finding;
mod oauth;
mod own_texts;
mod people;
pub mod rehearsal;
mod secrets;
mod servers;
mod shape;

pub use crate::config::finding::{Finding, Level};

/// The documented sample, which `init` writes and a test holds against the fields below.
pub const SAMPLE: &str = include_str!("../config/embargod.toml");

/// A config, read and checked, with everything that it points to.
#[derive(Debug)]
pub struct Config {
    /// What the journal is told.
    pub sources: Sources,
    /// The secret keys, still locked.
    pub keys: Vec<Vec<u8>>,
    /// Opens keys and database.
    pub passphrase: Passphrase,
    /// The database.
    pub store: PathBuf,
    /// Where the newest head is kept outside of it; beside it if none is named.
    pub witness: Option<PathBuf>,
    /// The mailbox.
    pub mailbox: Mailbox,
    /// The mail server.
    pub smtp: Sending,
    /// Who gives tokens where the servers take them in place of a password.
    pub oauth: Option<Arc<Giver>>,
    /// Where figures are written for whoever measures.
    pub metrics: Option<PathBuf>,
    /// Whom to tell that the desk is well.
    pub heartbeat: Option<Heartbeat>,
    /// The `.well-known` folder in which certificate and `security.txt` are published.
    pub publish: Option<PathBuf>,
    /// The files and folders that it names, but for those of the store and those that are written.
    pub named: Vec<Named>,
    /// What is not in order and is no reason not to run.
    pub findings: Vec<Finding>,
}

/// A file or folder that a config names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// How it is written there.
    pub written: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// How mails are handed over.
#[derive(Debug, Clone)]
pub struct Sending {
    /// To whom.
    pub server: Server,
    /// How many at a time.
    pub connections: usize,
    /// How many connections stand at most, with those that wait for a slow server.
    pub connections_max: usize,
    /// How long a desk that is told to stop waits for answers that it is owed.
    pub stop: Duration,
}

impl Config {
    /// Opens the store to look at it.
    ///
    /// # Errors
    /// As [`Sqlite::open`].
    pub fn open_store(&self) -> Result<Sqlite, Fault> {
        self.witnessed(Sqlite::open(&self.store, &self.passphrase)?)
    }

    /// Opens the store of a desk that nobody else is running.
    ///
    /// # Errors
    /// As [`Sqlite::open_alone`].
    pub fn open_store_alone(&self) -> Result<Sqlite, Fault> {
        self.witnessed(Sqlite::open_alone(&self.store, &self.passphrase)?)
    }

    /// Puts a witness away that cannot be read, so that a new one is begun.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn put_witness_away(&self) -> Result<(), Fault> {
        let path = self.witness.clone().unwrap_or_else(|| Sqlite::witness_beside(&self.store));
        let store = self.open_store_alone()?;
        if store.witness().is_ok() {
            return Ok(());
        }
        store.forget_witness()?;
        if path.exists() {
            let away = path.with_extension("witness-damaged");
            std::fs::rename(&path, &away).at(|| path.display().to_string())?;
        }
        Ok(())
    }

    fn witnessed(&self, store: Sqlite) -> Result<Sqlite, Fault> {
        match &self.witness {
            Some(path) => store.witnessed_by(path),
            None => Ok(store),
        }
    }
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    findings: Vec<Finding>,
    /// What the journal would be told, whatever is wrong beside it.
    sources: Option<Sources>,
    /// The database, and what opens it.
    store: Option<(PathBuf, Passphrase)>,
    /// Which of the findings are about servers.
    servers: Range<usize>,
    /// Which of the findings are about people that do not fit the playbook.
    fits: Range<usize>,
    /// Playbooks of the operator that cannot be used.
    refused: BTreeSet<String>,
    /// Where each person begins.
    people_at: BTreeMap<PersonId, usize>,
    /// What a copy of the desk takes along.
    named: Vec<Named>,
}

impl<'a> Reader<'a> {
    fn of(path: &'a Path, text: &'a str) -> Self {
        Self {
            path,
            text,
            findings: Vec::new(),
            sources: None,
            store: None,
            servers: 0..0,
            fits: 0..0,
            refused: BTreeSet::new(),
            people_at: BTreeMap::new(),
            named: Vec::new(),
        }
    }
}

impl Reader<'_> {
    fn place(&self, at: usize) -> String {
        let line = self.text.bytes().take(at).filter(|b| *b == b'\n').count().saturating_add(1);
        format!("{}:{line}", self.path.display())
    }

    /// The place of a key inside a section, as near as the text tells.
    fn key_place(&self, section: usize, key: &str) -> String {
        let rest = self.text.get(section..).unwrap_or("");
        let offset = rest
            .match_indices(key)
            .find(|(at, _)| {
                rest.get(..*at).is_none_or(|before| before.ends_with('\n') || before.is_empty())
            })
            .map_or(0, |(at, _)| at);
        self.place(section.saturating_add(offset))
    }

    fn wrong(&mut self, place: String, what: impl Into<String>, next: impl Into<String>) {
        self.findings.push(Finding::new(Level::Wrong, place, what, next));
    }

    fn warn(&mut self, place: String, what: impl Into<String>, next: impl Into<String>) {
        self.findings.push(Finding::new(Level::Warn, place, what, next));
    }

    fn note(&mut self, place: String, what: impl Into<String>, next: impl Into<String>) {
        self.findings.push(Finding::new(Level::Note, place, what, next));
    }

    /// Refuses a number that is none of those that it may be.
    fn within(&mut self, section: usize, key: &str, value: u64, range: RangeInclusive<u64>) {
        if !range.contains(&value) {
            let (from, to) = range.into_inner();
            let what = format!("`{key}` is {value}, and may be {from} to {to}");
            let place = self.key_place(section, key);
            self.wrong(place, what, "write a number in between, or take the line out");
        }
    }

    fn full(&self, path: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    /// The same for what belongs to the desk.
    fn own(&mut self, path: &Path) -> PathBuf {
        let full = self.full(path);
        self.named.push(Named { written: path.display().to_string(), path: full.clone() });
        full
    }

    fn address(&mut self, section: usize, text: &str) -> Option<Address> {
        let address = Address::parse(text);
        if address.is_none() {
            let place = self.key_place(section, "address");
            self.wrong(
                place,
                format!("`{text}` is no mail address"),
                "write it like security@example.org",
            );
        }
        address
    }
}

/// Reads a config and everything it points to.
///
/// # Errors
/// All that is wrong, each with its place and the next step.
pub fn read(path: &Path, now: Moment) -> Result<Config, Vec<Finding>> {
    let read = read_all(path, now)?;
    match read.config {
        Some(config) if !read.findings.iter().any(Finding::is_wrong) => {
            Ok(Config { findings: read.findings, ..config })
        }
        _ => Err(read.findings),
    }
}

struct Read {
    config: Option<Config>,
    sources: Option<Sources>,
    findings: Vec<Finding>,
    store: Option<(PathBuf, Passphrase)>,
    servers: Range<usize>,
    fits: Range<usize>,
    refused: BTreeSet<String>,
}

fn read_all(path: &Path, now: Moment) -> Result<Read, Vec<Finding>> {
    let one = |what: String, next: &str, place: String| {
        vec![Finding::new(Level::Wrong, place, what, next)]
    };
    let text = files::text(path).map_err(|fault| {
        let next = match path.exists() {
            true => fault.next.as_str(),
            false => "run `embargod init FOLDER`, or name the file with --config",
        };
        one(fault.what, next, path.display().to_string())
    })?;
    let file: File = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| {
            text.bytes().take(span.start).filter(|b| *b == b'\n').count().saturating_add(1)
        });
        let next = "compare with the sample that `embargod init` writes";
        one(error.message().to_owned(), next, format!("{}:{line}", path.display()))
    })?;
    let mut reader = Reader::of(path, &text);
    let config = reader.config(file, now);
    let Reader { findings, sources, store, servers, fits, refused, .. } = reader;
    Ok(Read { config, sources, findings, store, servers, fits, refused })
}

impl Reader<'_> {
    /// The passphrase, the desk's secret keys, and both together.
    fn keys(
        &mut self,
        part: Spanned<KeysPart>,
        now: Moment,
    ) -> (Option<Passphrase>, Vec<Vec<u8>>, Option<Keyring>) {
        let keys_at = part.span().start;
        let keys = part.into_inner();
        let passphrase = self
            .secret_path(keys_at, "passphrase_file", &keys.passphrase_file)
            .and_then(|path| Some(Passphrase::new(&files::secret(&path).ok()?)));
        let mut secret_keys = Vec::new();
        for (n, path) in std::iter::once(&keys.secret).chain(&keys.old).enumerate() {
            let path = self.own(path);
            let place = self.key_place(keys_at, if n == 0 { "secret" } else { "old" });
            match files::read(&path).map(|bytes| (secret_fingerprint(&bytes), bytes)) {
                Ok((Ok(_), bytes)) => {
                    self.is_private(place, &path);
                    secret_keys.push(bytes);
                }
                Ok((Err(why), _)) => {
                    let what = format!("{}: {why}", path.display());
                    self.wrong(place, what, "name the file of the desk's secret key");
                }
                Err(fault) => self.wrong(place, fault.what, fault.next),
            }
        }
        let keyring = match (&passphrase, secret_keys.is_empty()) {
            (Some(passphrase), false) => {
                match Keyring::open(&secret_keys, Some(passphrase), [0; 32], now) {
                    Ok(keyring) => Some(keyring),
                    Err(why) => {
                        let place = self.key_place(keys_at, "secret");
                        self.wrong(
                            place,
                            format!("the desk's key: {why}"),
                            "look at `passphrase_file`, or make a new key",
                        );
                        None
                    }
                }
            }
            _ => None,
        };
        (passphrase, secret_keys, keyring)
    }

    /// Complains where mail programs would not find the desk's key by its address.
    fn own_key(
        &mut self,
        keys_at: usize,
        certificate: &Certificate,
        address: &Address,
        now: Moment,
    ) {
        if certificate.is_for(address) {
            return;
        }
        let place = self.key_place(keys_at, "secret");
        let named = people::named(certificate, now);
        let what = format!(
            "the desk's key is for {named}, and the desk's address is {address}: mail programs do not seal to it"
        );
        let next =
            "correct `address` in [desk], or add the address to the key: `gpg --quick-add-uid`";
        self.warn(place, what, next);
    }

    fn config(&mut self, file: File, now: Moment) -> Option<Config> {
        let keys_at = file.keys.span().start;
        let (passphrase, secret_keys, keyring) = self.keys(file.keys, now);
        let folders = [&file.files.calendars, &file.files.playbooks, &file.files.templates];
        for folder in folders.into_iter().flatten() {
            self.own(folder);
        }
        let calendars = self.calendars(file.files.calendars.as_ref());
        let playbooks = self.playbooks(file.files.playbooks.as_ref(), &calendars);
        let templates = self.templates_of(file.files.templates.as_ref());
        let loaded: BTreeMap<&String, playbook::Playbook> = playbooks
            .iter()
            .filter_map(|(name, text)| Some((name, playbook::load(text, &calendars).ok()?)))
            .collect();
        self.templates(&templates, &loaded, file.files.templates.as_ref());
        let mut roster = Roster::default();
        for part in file.people {
            let at = part.span().start;
            if let Some(person) = self.person(part, &roster, now) {
                self.people_at.insert(person.id.clone(), at);
                roster.people.insert(person.id.clone(), person);
            }
        }
        self.whose_keys(&roster, now);
        let desk_at = file.desk.span().start;
        let desk = file.desk.into_inner();
        self.desk(desk_at, &desk, &loaded, (&roster, &templates));
        drop(loaded);
        let address = self.address(desk_at, &desk.address);
        let zone = parse_zone(desk.zone.as_deref().unwrap_or("UTC")).ok();
        let before = self.findings.len();
        let wants_oauth = file.oauth.is_some();
        let oauth = file.oauth.and_then(|part| self.oauth(part));
        let (verdicts_of, spam_header) = self.verdicts(&file.imap);
        let mailbox = self.mailbox(file.imap, oauth.as_ref());
        let smtp = self.sending(file.smtp, oauth.as_ref());
        let heartbeat = file.heartbeat.map(|part| self.heartbeat(part));
        self.servers = before..self.findings.len();
        let store = file.store.into_inner();
        let witness = store.witness.as_ref().map(|path| self.full(path));
        let store = self.full(&store.path);
        self.store = passphrase.clone().map(|passphrase| (store.clone(), passphrase));
        let limits = self.limits(file.limits);
        let place = (address?, zone?);
        let certificate = keyring?.certificate();
        self.own_key(keys_at, &certificate, &place.0, now);
        let settings = settings(desk, &limits, &certificate, place, (verdicts_of, spam_header));
        let sources = Sources { settings, roster, templates, playbooks, calendars };
        self.sources = Some(sources.clone());
        if wants_oauth && oauth.is_none() {
            return None;
        }
        Some(Config {
            sources,
            keys: secret_keys,
            passphrase: passphrase?,
            store,
            witness,
            mailbox: mailbox?,
            smtp: smtp?,
            oauth,
            metrics: file.metrics.file.as_ref().map(|path| self.full(path)),
            heartbeat,
            publish: file.publish.folder.as_ref().map(|folder| self.full(folder)),
            named: std::mem::take(&mut self.named),
            findings: Vec::new(),
        })
    }

    fn desk(
        &mut self,
        at: usize,
        desk: &DeskPart,
        playbooks: &BTreeMap<&String, playbook::Playbook>,
        (roster, own): (&Roster, &BTreeMap<String, String>),
    ) {
        for tag in &desk.languages {
            let has = |name: &str| name.starts_with(&format!("{tag}/"));
            let known =
                TRANSLATED.iter().any(|(name, ..)| has(name)) || own.keys().any(|name| has(name));
            if !known {
                let what = format!("`{tag}` is no language that there are texts in");
                let place = self.key_place(at, "languages");
                self.wrong(place, what, "write some of de, es, fr, ja, or lay texts in a folder of that name in [files] templates");
            }
        }
        if !is_prefix(&desk.prefix) {
            let place = self.key_place(at, "prefix");
            self.wrong(
                place,
                format!("`{}` is no prefix", desk.prefix),
                "use 2 to 12 capital letters or digits, a letter first",
            );
        }
        if let Err(why) = parse_zone(desk.zone.as_deref().unwrap_or("UTC")) {
            let place = self.key_place(at, "zone");
            let said = why.split_once("; ");
            let (what, next) = said.unwrap_or((why.as_str(), "write a name like `UTC`"));
            self.wrong(place, what, next);
        }
        let place = self.key_place(at, "playbook");
        let Some(playbook) = playbooks.get(&desk.playbook) else {
            let known: Vec<_> = playbooks.keys().map(|name| name.as_str()).collect();
            self.wrong(
                place,
                format!("there is no playbook `{}`", desk.playbook),
                format!("write one of {}", known.join(", ")),
            );
            return;
        };
        for (name, group) in &playbook.groups {
            for list in group.public.iter().filter(|list| list.domain().ends_with(".example")) {
                let what = format!(
                    "playbook `{}`, group `{name}`: {list} is an example, and no list",
                    playbook.id
                );
                let next = format!(
                    "`embargod playbook show {}` gives the text: put your list in it, in the folder of [files] playbooks",
                    desk.playbook
                );
                self.note(place.clone(), what, next);
            }
        }
        let before = self.findings.len();
        if roster.holders(&playbook.intake).next().is_none() {
            let what = format!(
                "nobody has the role `{}`, so no report would reach anybody",
                playbook.intake
            );
            self.wrong(place.clone(), what, "give it to somebody: add a [[person]] with that role");
        }
        self.two_people(at, desk, playbook, roster);
        self.nobody(&place, playbook, roster);
        self.people_fit(playbook, roster);
        self.fits = before..self.findings.len();
    }

    fn templates(
        &mut self,
        own: &BTreeMap<String, String>,
        playbooks: &BTreeMap<&String, playbook::Playbook>,
        folder: Option<&PathBuf>,
    ) {
        let fields = playbooks.values().flat_map(|playbook| playbook.fields.keys().cloned());
        let fields = fields.collect();
        let shown =
            folder.map_or_else(String::new, |folder| self.full(folder).display().to_string());
        let place =
            |problem: &Problem| format!("{shown}/{}.txt:{}", problem.template, problem.line);
        for problem in Texts::load(own, &fields).err().into_iter().flatten() {
            let next = "mend the template, or remove it to use the program's own";
            let text = own.get(&problem.template).map_or("", String::as_str);
            let line = text.lines().nth(problem.line.saturating_sub(1)).unwrap_or("").trim();
            self.wrong(place(&problem), format!("`{line}`: {}", problem.message), next);
        }
        for (name, what) in texts::omissions(own) {
            let next = "add it; `templates/README.md` tells what there is";
            self.warn(format!("{shown}/{name}.txt:1"), what, next);
        }
    }
}

/// What the journal is told of the desk itself.
fn settings(
    desk: DeskPart,
    limits: &shape::LimitsPart,
    certificate: &Certificate,
    (address, zone): (Address, chrono_tz::Tz),
    (verdicts_of, spam_header): (Option<String>, Option<(String, String)>),
) -> Settings {
    Settings {
        name: texts::clean_line(&desk.name, 80),
        address,
        prefix: desk.prefix,
        zone,
        playbook: desk.playbook,
        languages: desk.languages,
        threads_outside: desk.threads_outside,
        clear_answers: desk.clear_answers != Some(shape::ClearAnswers::Never),
        fingerprint: certificate.fingerprint(),
        certificate: certificate.armored(),
        tick_s: limits.tick_s,
        plain_per_hour: limits.plain_per_hour,
        encrypted_per_hour: limits.encrypted_per_hour,
        acknowledgements_per_hour: limits.acknowledgements_per_hour,
        plain_per_day: limits.plain_per_day,
        quiet_days: limits.quiet_days,
        relay_bytes: limits.relay_bytes,
        verdicts_of,
        spam_header,
        alone_minutes: desk.alone.then_some(desk.alone_minutes),
    }
}

/// The operator's own playbooks and calendars, by name.
#[derive(Debug, Default)]
pub struct OwnFiles {
    /// Playbooks.
    pub playbooks: BTreeMap<String, String>,
    /// Calendars.
    pub calendars: Calendars,
}

/// What `[files]` of a config points to, as far as it can be read: for commands that work without a
/// config as well, and leave complaints to `check`.
#[must_use]
pub fn own_files(path: &Path) -> OwnFiles {
    let text = files::text(path).unwrap_or_default();
    let files = text.parse::<toml::Table>().ok().and_then(|file| file.get("files").cloned());
    let folder = |key: &str| {
        let name = files.as_ref()?.get(key)?.as_str()?;
        Some(PathBuf::from(name))
    };
    let mut reader = Reader::of(path, &text);
    OwnFiles {
        playbooks: reader.folder(folder("playbooks").as_ref(), ".toml"),
        calendars: reader.folder(folder("calendars").as_ref(), ".txt"),
    }
}

/// Reads a config, or says everything that is wrong with it as one fault.
///
/// # Errors
/// As [`read`].
pub fn read_or_fault(path: &Path, now: Moment) -> Result<Config, Fault> {
    read(path, now).map_err(|findings| {
        let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
        Fault::new(
            format!("the configuration is not in order:\n{}", lines.join("\n")),
            "mend it and run `embargod check`",
        )
    })
}

/// Opens the keys of a config.
///
/// # Errors
/// When they do not open.
pub fn keyring(config: &Config, session_salt: [u8; 32], now: Moment) -> Result<Keyring, Fault> {
    Keyring::open(&config.keys, Some(&config.passphrase), session_salt, now)
        .at(|| "the desk's key".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_names_every_key_and_no_other() {
        // What stands behind a mark of a comment is as good a line as the others.
        let is_setting = |bare: &str| {
            let key = bare.split(" = ").next().filter(|key| *key != bare);
            let is_key = |key: &str| key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            bare.starts_with('[') || key.is_some_and(is_key)
        };
        let open = SAMPLE.lines().map(|line| {
            let bare = line.strip_prefix("# ").filter(|bare| is_setting(bare));
            format!("{}\n", bare.unwrap_or(line))
        });
        let open: String = open.collect();
        let file: File = toml::from_str(&open).unwrap();
        assert_eq!(file.people.len(), 2);
        assert!(file.publish.folder.is_some() && file.store.get_ref().witness.is_some());
        assert!(file.files.templates.is_some() && file.imap.get_ref().ca_file.is_some());
        assert!(file.oauth.is_some() && file.limits.is_some());
    }
}

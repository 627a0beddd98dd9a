//! `embargod backup`: a copy of the desk as it is at one moment, sealed to its operators.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use crate::config;
use crate::config::{Config, Named};
use crate::domain::facts::names::{Digest, Fingerprint, Moment};
use crate::domain::model::roster::OPERATOR;
use crate::edge::bundle::{Bundle, FORM, Held, Manifest, held, is_plain, unpack};
use crate::edge::pgp::{ArchiveKey, Certificate, Opener, open_archive, seal_archive};
use crate::edge::sqlite::{Copied, Sqlite};
use crate::edge::{files, write_private};
use crate::error::{Fault, Place};
use crate::ports::store::{Alarms as _, Note};

use super::restore::Verify;
use super::{Done, json, say};

/// Arguments of `backup`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_precedence_over_arg = true)]
pub(super) struct Backup {
    /// A file that is not there yet, with all in it; or a folder, for a file with the time in its name. In a folder
    /// what is large is kept once for all backups.
    #[arg(value_name = "FILE|FOLDER", required = true)]
    place: Option<PathBuf>,
    /// In a folder: keep so many of this desk's backups, and remove older ones.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    keep: Option<u16>,
    /// Seal it to this certificate as well: of somebody who is not in the config, or a key that lies in a safe.
    #[arg(long, value_name = "CERTIFICATE.asc")]
    also: Vec<PathBuf>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Look whether a backup is whole: as far as it can be seen from outside, or all of it once it is opened.
    Verify(Verify),
}

/// What a desk says of a backup, beside it and in clear: nothing that an onlooker cannot count.
//  Warning: this type is used in stored state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Statement {
    /// When it was begun.
    pub(super) made: Moment,
    /// The backup's file.
    pub(super) file: Held,
    /// How far the journal had come.
    pub(super) record: u64,
    /// Whom it is sealed to.
    pub(super) sealed_to: Vec<Fingerprint>,
    /// The files in the folder beside it that it needs.
    pub(super) beside: BTreeMap<String, Held>,
}

/// Where what is large lies beside the backups of a folder.
pub(super) const LARGE: &str = "large";
/// How a backup's file ends, and what is said of it.
const ENDING: &str = "pgp";
const STATEMENT: &str = "asc";
/// How files end that are not finished: the database's copy, and the backup itself.
const UNFINISHED: [&str; 2] = [".copy", ".part"];
const DAY: Duration = Duration::from_secs(86_400);
/// The store may let go of a file between its copy and the file's.
const TRIES: usize = 5;

/// What is said of a backup lies beside it.
pub(super) fn statement_of(backup: &Path) -> PathBuf {
    let mut name = backup.as_os_str().to_owned();
    name.push(".");
    name.push(STATEMENT);
    PathBuf::from(name)
}

impl Backup {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        match (&self.what, &self.place) {
            (Some(What::Verify(verify)), _) => verify.run(path, now),
            (None, Some(place)) => self.take(path, place, now),
            (None, None) => Err(Fault::new("no place is named", "name a file or a folder")),
        }
    }

    fn take(&self, path: &Path, place: &Path, now: Moment) -> Done {
        let config = config::read_or_fault(path, now)?;
        let to = self.readers(&config, now)?;
        let in_folder = place.is_dir();
        if self.keep.is_some() && !in_folder {
            let what = format!("`--keep` is for a folder, and {} is none", place.display());
            return Err(Fault::new(what, "make the folder, or leave `--keep` out"));
        }
        let prefix = format!("embargod-{}-", config.sources.settings.prefix);
        if in_folder {
            clear(place, &prefix);
        }
        let file = if in_folder {
            place.join(format!("{prefix}{}.{ENDING}", now.format("%Y%m%dT%H%M%SZ")))
        } else {
            place.to_owned()
        };
        if file.exists() {
            let next = "name another file; nothing was written";
            return Err(Fault::new(format!("{} exists already", file.display()), next));
        }
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        let large = in_folder.then(|| folder.join(LARGE));
        let taken = Taken { path, config: &config, to: &to, large: large.as_deref(), now };
        let statement = taken.write(&file)?;
        let mut store = config.open_store()?;
        store.set_note(Note::BackedUp, Some(&now.to_rfc3339()))?;
        drop(store);
        say(&format!(
            "Wrote {} and what the desk says of it, {}.",
            file.display(),
            statement_of(&file).display()
        ));
        say(&format!(
            "  {} bytes, and {} files beside it; read back, opened, and compared",
            statement.file.size,
            statement.beside.len()
        ));
        say(&format!("  up to record {} of the journal", statement.record));
        for certificate in &to {
            say(&format!("  opens with the key {}", certificate.fingerprint().spaced()));
        }
        if let (Some(keep), true) = (self.keep, in_folder) {
            prune(folder, &prefix, usize::from(keep))?;
        }
        say(
            "Next: copy it off this machine. Once in a while, see that it opens: `gpg --decrypt FILE | embargod backup verify -`",
        );
        Ok(ExitCode::SUCCESS)
    }

    /// Whoever may open it: the operators of the config, and who else is named.
    fn readers(&self, config: &Config, now: Moment) -> Result<Vec<Certificate>, Fault> {
        let place = || "a certificate".to_owned();
        let operators = config.sources.roster.holders(OPERATOR);
        let mut all = Vec::new();
        for person in operators {
            all.push(Certificate::read(person.certificate.as_bytes()).at(place)?);
        }
        for path in &self.also {
            let certificate = Certificate::read(&files::read(path)?);
            all.push(certificate.at(|| path.display().to_string())?);
        }
        if all.is_empty() {
            return Err(Fault::new(
                "nobody could open a backup: nobody in the config has the role `operator`",
                "add `operator` to the roles of a [[person]], or name a certificate with `--also`",
            ));
        }
        for certificate in &all {
            certificate.check(now).at(|| format!("the key {}", certificate.fingerprint()))?;
        }
        let mut seen = BTreeSet::new();
        all.retain(|certificate| seen.insert(certificate.fingerprint().to_string()));
        Ok(all)
    }
}

/// A backup that is being taken.
struct Taken<'a> {
    path: &'a Path,
    config: &'a Config,
    to: &'a [Certificate],
    /// Where what is large is kept, if not in the backup itself.
    large: Option<&'a Path>,
    now: Moment,
}

/// What goes into the archive: files by name, and how the config names them.
struct Content {
    files: BTreeMap<String, PathBuf>,
    paths: BTreeMap<String, String>,
    config: String,
    store: String,
}

/// A file that is removed when it is let go of, unless it was given its name.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

impl Taken<'_> {
    /// Writes the backup: it has its name once it was read back, opened and compared.
    fn write(&self, file: &Path) -> Result<Statement, Fault> {
        let paths = UNFINISHED.map(|ending| with_ending(file, ending));
        if let Some(there) = paths.iter().find(|path| path.exists()) {
            let what = format!(
                "{} is there: another backup is being written, or was stopped",
                there.display()
            );
            return Err(Fault::new(what, "wait for it; if none is running, remove the file"));
        }
        let [copy, part] = paths.map(Unfinished);
        let copied = self.copy(&copy.0)?;
        let beside = self.keep_large(&copied)?;
        let content = self.content(&copied, &copy.0);
        let head = self.head(&copied)?;
        drop(copied);
        let place = || format!("writing {}", file.display());
        let mut sink = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part.0)
            .map_err(|error| files::unread(&part.0, &error))?;
        let key = seal_archive(self.to, self.now, &mut sink, |sink| {
            self.bundle(sink, &content, head, &beside).map_err(|fault| fault.line())
        });
        let key = key.at(place)?;
        sink.sync_all().at(place)?;
        self.read_back(&part.0, &key)?;
        let statement = Statement {
            made: self.now,
            file: held(&part.0)?,
            record: head.0,
            sealed_to: self.to.iter().map(Certificate::fingerprint).collect(),
            beside,
        };
        let keyring = config::keyring(self.config, [0; 32], self.now)?;
        let text = serde_json::to_string_pretty(&statement).at(place)?;
        let said = keyring.clear_signed(&format!("{text}\n"), self.now).at(place)?;
        write_private(&statement_of(file), &said)?;
        std::fs::rename(&part.0, file).at(place)?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = std::fs::File::open(folder.unwrap_or_else(|| Path::new(".")));
        folder.and_then(|folder| folder.sync_all()).at(place)?;
        Ok(statement)
    }

    /// The database as it is at one moment, with all that it names still there.
    fn copy(&self, to: &Path) -> Result<Copied, Fault> {
        let mut missing = None;
        for _ in 0..TRIES {
            let copied = Sqlite::copy(&self.config.store, &self.config.passphrase, to)?;
            missing = copied.spooled.iter().find(|(_, path)| !path.exists()).cloned();
            if missing.is_none() {
                return Ok(copied);
            }
            drop(copied);
            std::fs::remove_file(to).at(|| to.display().to_string())?;
        }
        let path = missing.map(|(_, path)| path.display().to_string()).unwrap_or_default();
        let what = format!("the database names {path}, which is not there");
        Err(Fault::new(what, "`embargod journal verify` says more; an older backup may have it"))
    }

    fn head(&self, copied: &Copied) -> Result<(u64, Digest), Fault> {
        let (desk, _) = crate::engine::replay(&copied.store, self.config.sources.settings.clone())?;
        Ok((desk.head.number, desk.head.hash))
    }

    /// Keeps in the folder what is large, once: such a file is enciphered by the store and never changes.
    fn keep_large(&self, copied: &Copied) -> Result<BTreeMap<String, Held>, Fault> {
        let Some(large) = self.large else { return Ok(BTreeMap::new()) };
        let mut all = BTreeMap::new();
        if copied.spooled.is_empty() {
            return Ok(all);
        }
        files::private_folder(large)?;
        for (name, from) in &copied.spooled {
            let (to, said) = (large.join(name), held(from)?);
            // One that was cut short by a full disk is written anew.
            if !to.exists() || held(&to)? != said {
                let part = Unfinished(with_ending(&to, ".part"));
                let place = || format!("writing {}", to.display());
                std::fs::copy(from, &part.0).at(place)?;
                std::fs::File::open(&part.0).and_then(|file| file.sync_all()).at(place)?;
                std::fs::rename(&part.0, &to).at(place)?;
            }
            all.insert(name.clone(), said);
        }
        Ok(all)
    }

    /// The files of the archive: the config and what it names under their own names where they lie in the config's
    /// folder, and numbered where they lie elsewhere.
    fn content(&self, copied: &Copied, copy: &Path) -> Content {
        let base = self.path.parent().unwrap_or_else(|| Path::new(""));
        let config_name = name_of(self.path);
        let store_name = name_of(&self.config.store);
        let mut content = Content {
            files: BTreeMap::new(),
            paths: BTreeMap::new(),
            config: format!("config/{config_name}"),
            store: format!("store/{store_name}"),
        };
        content.files.insert(content.config.clone(), self.path.to_owned());
        content.files.insert(content.store.clone(), copy.to_owned());
        let key = name_of(&Sqlite::key_file(&self.config.store));
        content.files.insert(format!("store/{key}"), copied.key_file.clone());
        if self.large.is_none() {
            let folder = name_of(&Sqlite::spool_folder(&self.config.store));
            for (name, path) in &copied.spooled {
                content.files.insert(format!("store/{folder}/{name}"), path.clone());
            }
        }
        for (n, named) in self.config.named.iter().enumerate() {
            let inside = named.path.strip_prefix(base).ok().filter(|rest| is_plain(rest));
            let name = match inside {
                Some(rest) => format!("config/{}", rest.display()),
                None => format!("elsewhere/{n}-{}", name_of(&named.path)),
            };
            content.take_in(named, &name);
        }
        content
    }

    fn bundle(
        &self,
        sink: &mut dyn Write,
        content: &Content,
        head: (u64, Digest),
        beside: &BTreeMap<String, Held>,
    ) -> Result<(), Fault> {
        let mut bundle = Bundle::begin(sink);
        for (name, path) in &content.files {
            bundle.add(name, path, self.now)?;
        }
        let settings = &self.config.sources.settings;
        let manifest = Manifest {
            form: FORM,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made: self.now,
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            desk: settings.address.to_string(),
            key: settings.fingerprint.clone(),
            head,
            sealed_to: self.to.iter().map(Certificate::fingerprint).collect(),
            config: content.config.clone(),
            store: content.store.clone(),
            paths: content.paths.clone(),
            files: bundle.files().clone(),
            beside: beside.clone(),
        };
        let text = json(&manifest)?;
        let keyring = config::keyring(self.config, [0; 32], self.now)?;
        let signature = keyring.sign(text.as_bytes(), self.now).at(|| "signing".to_owned())?;
        let certificate = keyring.certificate().armored();
        bundle.end((text.as_bytes(), &signature, certificate.as_bytes()), self.now)
    }

    /// Opens what was written, as an operator would, and compares all of it.
    fn read_back(&self, written: &Path, key: &ArchiveKey) -> Result<(), Fault> {
        let place = || format!("reading {} back", written.display());
        let file = std::fs::File::open(written).at(place)?;
        let read = open_archive(Opener::Own(key), file, self.now, |content| {
            unpack(content, &|_| None).map_err(|fault| fault.line())
        });
        read.map(drop).at(place)
    }
}

impl Content {
    /// A file, or all texts of a folder and of the folders in it.
    fn take_in(&mut self, named: &Named, name: &str) {
        self.paths.insert(named.written.clone(), restored_as(name));
        let mut todo = vec![(name.to_owned(), named.path.clone(), 0)];
        while let Some((name, path, depth)) = todo.pop() {
            if path.is_file() {
                self.files.insert(name, path);
            } else if depth < 3 {
                let all = std::fs::read_dir(&path).into_iter().flatten().flatten();
                todo.extend(all.map(|entry| {
                    let inner = entry.file_name().to_string_lossy().into_owned();
                    (format!("{name}/{inner}"), entry.path(), depth + 1)
                }));
            }
        }
    }
}

/// Where a file of an archive lies in the folder of a restored desk.
pub(super) fn restored_as(name: &str) -> String {
    let inside = name.strip_prefix("config/").or_else(|| name.strip_prefix("store/"));
    inside.unwrap_or(name).to_owned()
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Removes what a backup of this desk left that was stopped, once it is a day old.
fn clear(folder: &Path, prefix: &str) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_left = name.starts_with(prefix) && UNFINISHED.iter().any(|end| name.ends_with(end));
        let written = entry.metadata().and_then(|it| it.modified()).ok();
        let age = written.and_then(|at| at.elapsed().ok());
        if is_left && age.is_some_and(|age| age > DAY) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Removes this desk's older backups, and what none of those that are kept needs.
fn prune(folder: &Path, prefix: &str, keep: usize) -> Result<(), Fault> {
    let place = || format!("looking at {}", folder.display());
    let all = std::fs::read_dir(folder).at(place)?.flatten();
    let mut ours: Vec<PathBuf> = all
        .map(|entry| entry.path())
        .filter(|path| {
            let name = name_of(path);
            name.starts_with(prefix) && path.extension().is_some_and(|it| it == ENDING)
        })
        .collect();
    // The time stands in the name.
    ours.sort();
    let (old, kept) = ours.split_at(ours.len().saturating_sub(keep));
    for path in old {
        for file in [path.clone(), statement_of(path)] {
            if let Err(error) = std::fs::remove_file(&file)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(files::unread(&file, &error));
            }
        }
        say(&format!("Removed {}.", path.display()));
    }
    // A backup of which it is not known what it needs keeps all.
    let mut needed = BTreeSet::new();
    for path in kept.iter().map(|path| statement_of(path)) {
        let Some(statement) = said(&path) else { return Ok(()) };
        needed.extend(statement.beside.into_keys());
    }
    let others = std::fs::read_dir(folder).at(place)?.flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("embargod-") && !name.starts_with(prefix)
    });
    if others {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder.join(LARGE)).into_iter().flatten().flatten() {
        if !needed.contains(&entry.file_name().to_string_lossy().into_owned()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// What a desk says of a backup, unchecked.
fn said(path: &Path) -> Option<Statement> {
    let text = files::text(path).ok()?;
    let begin = text.find('{')?;
    let end = text.rfind('}')?;
    serde_json::from_str(text.get(begin..=end)?).ok()
}

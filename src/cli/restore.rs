//! `embargod restore` and `embargod backup verify`: what a backup holds, put into a folder or looked at.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use toml_edit::{DocumentMut, Item, Value};

use crate::config;
use crate::domain::facts::letter::Signature;
use crate::domain::facts::names::{Fingerprint, Moment, base32};
use crate::edge::bundle::{Manifest, Unpacked, held, unpack};
use crate::edge::files;
use crate::edge::pgp::{
    Certificate, Directory, Keyring, LIMITS, Opener, Passphrase, open_archive, verify_detached,
    verify_inline,
};
use crate::edge::random;
use crate::edge::sqlite::Sqlite;
use crate::error::{Fault, Place};
use crate::ports::store::{Alarms as _, Journal as _, Outbox as _};

use super::backup::{LARGE, Statement, restored_as, statement_of};
use super::{Done, say};

/// What is common to whatever opens a backup.
#[derive(Debug, Args)]
struct Source {
    /// The backup; `-` for one that is opened already: `gpg --decrypt FILE | embargod ... -`.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// The secret key of somebody to whom it is sealed.
    #[arg(long, value_name = "SECRET.asc")]
    key: Option<PathBuf>,
    /// The file with that key's passphrase.
    #[arg(long, value_name = "FILE", requires = "key")]
    key_passphrase_file: Option<PathBuf>,
    /// Where what is large lies; `large` beside the file if not given.
    #[arg(long, value_name = "FOLDER")]
    large: Option<PathBuf>,
    /// The desk's key as you know it: a backup by any other is refused.
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub(super) struct Restore {
    #[command(flatten)]
    source: Source,
    /// The folder, which is not there yet or is empty: the whole desk comes to lie in it.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
}

/// Arguments of `backup verify`.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    source: Source,
}

impl Source {
    fn is_opened(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    /// Reads it through, each file to the place that `into` says, and looks at who made it.
    fn unpack(
        &self,
        into: &(dyn Fn(&str) -> Option<PathBuf> + Sync),
        now: Moment,
    ) -> Result<Manifest, Fault> {
        let place = || self.file.display().to_string();
        let read = if self.is_opened() {
            unpack(&mut std::io::stdin().lock(), into)?
        } else {
            let file = std::fs::File::open(&self.file)
                .map_err(|error| files::unread(&self.file, &error))?;
            let keyring = self.keyring()?;
            let mut fault = None;
            let read = open_archive(Opener::Key(&keyring), file, now, |content| {
                unpack(content, into).map_err(|why| {
                    let line = why.line();
                    fault = Some(why);
                    line
                })
            });
            read.map_err(|why| {
                let next =
                    "name the file as it was written, and the key of somebody to whom it is sealed";
                fault.unwrap_or_else(|| Fault::new(format!("{}: {why}", place()), next))
            })?
        };
        self.vouched(&read, now)?;
        Ok(read.manifest)
    }

    fn keyring(&self) -> Result<Keyring, Fault> {
        let Some(path) = &self.key else {
            let what = format!("{} is sealed to its operators", self.file.display());
            let next = "open it where your key is: `gpg --decrypt FILE | embargod restore - --to FOLDER`; or name a secret key with `--key`";
            return Err(Fault::new(what, next));
        };
        let passphrase = self.key_passphrase_file.as_deref().map(files::secret).transpose()?;
        let passphrase = passphrase.map(|text| Passphrase::new(&text));
        let ring = Keyring::for_looking(&[files::read(path)?], passphrase.as_ref());
        ring.map_err(|why| {
            let next = "export it with `gpg --export-secret-keys`, and give its passphrase with `--key-passphrase-file`";
            Fault::new(format!("{}: {why}", path.display()), next)
        })
    }

    /// The desk that it names has signed its manifest.
    fn vouched(&self, read: &Unpacked, now: Moment) -> Result<(), Fault> {
        let next = "take another backup; nothing was restored";
        let certificate = Certificate::read(&read.certificate)
            .map_err(|why| Fault::new(format!("the desk's certificate in it: {why}"), next))?;
        let key = certificate.fingerprint();
        let (directory, more) = (Directory::default(), [certificate]);
        let (signature, _) =
            verify_detached(None, &directory, &more, &read.text, &read.signature, now);
        let by_it = matches!(&signature, Signature::Valid(signed) if signed.fingerprint == key);
        if !by_it || key != read.manifest.key {
            return Err(Fault::new("its manifest is not signed by the desk that it names", next));
        }
        let Some(expected) = &self.fingerprint else { return Ok(()) };
        if Fingerprint::parse(&expected.replace(' ', "")) != Some(key.clone()) {
            let what = format!("it was made by the key {}, and not by {expected}", key.spaced());
            return Err(Fault::new(
                what,
                "look for the backup of your own desk; nothing was restored",
            ));
        }
        Ok(())
    }

    fn large(&self) -> Option<PathBuf> {
        let beside = || self.file.parent().map(|folder| folder.join(LARGE));
        self.large.clone().or_else(|| if self.is_opened() { None } else { beside() })
    }

    /// The large files that a manifest names, each as it was written.
    fn beside(&self, manifest: &Manifest) -> Result<Vec<(String, PathBuf)>, Fault> {
        if manifest.beside.is_empty() {
            return Ok(Vec::new());
        }
        let Some(folder) = self.large() else {
            let what = format!("it needs {} large files beside it", manifest.beside.len());
            return Err(Fault::new(what, "name the folder they lie in with `--large`"));
        };
        let mut all = Vec::new();
        for (name, said) in &manifest.beside {
            let path = folder.join(name);
            let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !is_plain || held(&path).ok().as_ref() != Some(said) {
                let what = format!("{} is missing, or is not as it was written", path.display());
                return Err(Fault::new(
                    what,
                    "copy the folder of the backups with all that is in it",
                ));
            }
            all.push((name.clone(), path));
        }
        Ok(all)
    }
}

/// A folder that is removed unless it is given its name.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One beside a path, by a name that nobody can have taken before: it may lie where others write.
fn unfinished(beside: &Path) -> Result<Unfinished, Fault> {
    if let Some(above) = beside.parent().filter(|above| !above.as_os_str().is_empty()) {
        files::private_folder(above)?;
    }
    let word = base32(&random::<10>()?, 16).to_ascii_lowercase();
    let mut name = beside.as_os_str().to_owned();
    name.push(format!(".restoring-{word}"));
    let folder = PathBuf::from(name);
    let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
    made.map_err(|error| files::unread(&folder, &error))?;
    Ok(Unfinished(folder))
}

fn told(manifest: &Manifest) {
    say(&format!(
        "A backup of {}, made on {} at {}.",
        manifest.desk,
        manifest.made.format("%Y-%m-%d %H:%M UTC"),
        manifest.host
    ));
    say(&format!("  by the key        {}", manifest.key.spaced()));
    say(&format!("  by the version    {}", manifest.version));
    say(&format!("  up to the record  {} {}", manifest.head.0, manifest.head.1));
    say(&format!(
        "  files             {}, and {} beside it",
        manifest.files.len(),
        manifest.beside.len()
    ));
}

impl Restore {
    pub(super) fn run(&self, now: Moment) -> Done {
        let is_free = match std::fs::read_dir(&self.to) {
            Ok(mut entries) => entries.next().is_none(),
            Err(_) => !self.to.exists(),
        };
        if !is_free {
            let what = format!("{} is not empty; nothing was restored", self.to.display());
            return Err(Fault::new(what, "name a folder that is not there yet"));
        }
        let folder = unfinished(&self.to)?;
        let place = |name: &str| Some(folder.0.join(restored_as(name)));
        let manifest = self.source.unpack(&place, now)?;
        self.bring_large(&manifest, &folder.0)?;
        // A folder of one's own texts may hold none yet.
        for path in manifest.paths.values().map(|name| folder.0.join(name)) {
            if !path.exists() {
                files::private_folder(&path)?;
            }
        }
        let config = folder.0.join(restored_as(&manifest.config));
        let (text, left_out) = adapted(&files::text(&config)?, &manifest)?;
        std::fs::write(&config, text).at(|| config.display().to_string())?;
        let store = folder.0.join(restored_as(&manifest.store));
        let store = self.held(&config, &store, &manifest, now)?;
        let waiting = store.listed(None, 10_000)?;
        drop(store);
        if self.to.exists() {
            std::fs::remove_dir(&self.to).at(|| self.to.display().to_string())?;
        }
        std::fs::rename(&folder.0, &self.to).at(|| self.to.display().to_string())?;
        told(&manifest);
        say("  compare the key with what is published before you go on");
        let waits = waiting.iter().filter(|listed| listed.state == "waiting").count();
        if waits > 0 {
            say(&format!("{waits} mails waited to leave then, and may have left since:"));
        }
        for listed in waiting.iter().filter(|listed| listed.state == "waiting").take(20) {
            let about =
                listed.row.label.about.as_ref().map_or("the desk", |handle| handle.as_str());
            say(&format!("  {about}, to {}", listed.row.recipient));
        }
        for section in left_out {
            say(&format!(
                "Left out of the config: {section}. Put it in again once this desk takes the other's place."
            ));
        }
        let config = self.to.join(restored_as(&manifest.config));
        let with = format!("embargod --config {}", config.display());
        say(&format!(
            "The desk in {} is HELD: it takes in what comes, and decides and sends nothing.\nNext:\n  \
             1. see that the old one does not run any more\n  \
             2. {with} check\n  \
             3. {with} run      # it looks in the mailbox for what was done since\n  \
             4. {with} status   # and says it here\n  \
             5. stop it; {with} restored --yes; start it again",
            self.to.display()
        ));
        Ok(ExitCode::SUCCESS)
    }

    fn bring_large(&self, manifest: &Manifest, folder: &Path) -> Result<(), Fault> {
        let all = self.source.beside(manifest)?;
        let spool = Sqlite::spool_folder(&folder.join(restored_as(&manifest.store)));
        if !all.is_empty() {
            files::private_folder(&spool)?;
        }
        for (name, from) in all {
            let to = spool.join(name);
            std::fs::copy(&from, &to).at(|| format!("writing {}", to.display()))?;
        }
        Ok(())
    }

    /// Opens the database, looks whether it is the one that the manifest speaks of, and holds it.
    fn held(
        &self,
        config: &Path,
        store: &Path,
        manifest: &Manifest,
        now: Moment,
    ) -> Result<Sqlite, Fault> {
        let passphrase = passphrase_of(config)?;
        let mut store = Sqlite::open_alone(store, &passphrase)?;
        let (number, hash) = manifest.head;
        if number > 0 && store.line_hash(number)? != Some(hash) {
            let what =
                format!("its database does not end with record {number} as its manifest says");
            return Err(Fault::new(what, "take another backup; nothing was restored"));
        }
        let made = manifest.made.format("%Y-%m-%d %H:%M UTC");
        let at = now.format("%Y-%m-%d %H:%M UTC");
        store.set_held(Some(&format!(
            "it was put back on {at} from a backup of {made}, and ends with record {number}"
        )))?;
        store.forget_witness()?;
        Ok(store)
    }
}

/// The passphrase of a desk whose config may not be in order.
fn passphrase_of(config: &Path) -> Result<Passphrase, Fault> {
    let text = files::text(config)?;
    let document: DocumentMut = text.parse().at(|| config.display().to_string())?;
    let named = document.get("keys").and_then(|keys| keys.get("passphrase_file")?.as_str());
    let Some(named) = named else {
        return Err(Fault::new("its config names no passphrase", "take another backup"));
    };
    let folder = config.parent().unwrap_or_else(|| Path::new(""));
    Ok(Passphrase::new(&files::secret(&folder.join(named))?))
}

/// The config with the places of the files as they are now, and without what writes or calls outside of the folder:
/// a copy that is tried out must not speak for the desk.
fn adapted(text: &str, manifest: &Manifest) -> Result<(String, Vec<&'static str>), Fault> {
    let mut document: DocumentMut = text.parse().at(|| "the config".to_owned())?;
    let mut left_out = Vec::new();
    for section in ["metrics", "heartbeat", "publish"] {
        if document.remove(section).is_some() {
            left_out.push(section);
        }
    }
    if let Some(store) = document.get_mut("store").and_then(Item::as_table_like_mut) {
        if store.remove("witness").is_some() {
            left_out.push("[store] witness");
        }
        store.insert("path", toml_edit::value(restored_as(&manifest.store)));
    }
    for (_, item) in document.iter_mut() {
        rename(item, &manifest.paths);
    }
    Ok((document.to_string(), left_out))
}

fn rename(item: &mut Item, paths: &BTreeMap<String, String>) {
    match item {
        Item::Value(value) => rename_value(value, paths),
        Item::Table(table) => table.iter_mut().for_each(|(_, item)| rename(item, paths)),
        Item::ArrayOfTables(tables) => {
            let tables = tables.iter_mut();
            tables.for_each(|table| table.iter_mut().for_each(|(_, item)| rename(item, paths)));
        }
        Item::None => {}
    }
}

fn rename_value(value: &mut Value, paths: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(new) = paths.get(text.value()) {
                let decor = text.decor().clone();
                *value = Value::from(new.as_str());
                *value.decor_mut() = decor;
            }
        }
        Value::Array(array) => array.iter_mut().for_each(|value| rename_value(value, paths)),
        Value::InlineTable(table) => {
            table.iter_mut().for_each(|(_, value)| rename_value(value, paths));
        }
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

impl Verify {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let source = &self.source;
        if !source.is_opened() && source.key.is_none() {
            return self.seen_outside(path, now);
        }
        let beside = if source.is_opened() {
            std::env::temp_dir().join("embargod")
        } else {
            source.file.clone()
        };
        let folder = unfinished(&beside)?;
        // Only what is enciphered touches the disk.
        let place =
            |name: &str| name.starts_with("store/").then(|| folder.0.join(restored_as(name)));
        let manifest = source.unpack(&place, now)?;
        let large = source.beside(&manifest)?;
        let store = folder.0.join(restored_as(&manifest.store));
        let spool = Sqlite::spool_folder(&store);
        for (name, from) in &large {
            files::private_folder(&spool)?;
            std::os::unix::fs::symlink(from.canonicalize().at(|| name.clone())?, spool.join(name))
                .at(|| spool.display().to_string())?;
        }
        told(&manifest);
        say("ok    each file is as its manifest says, and the desk has signed that");
        match config::read(path, now) {
            Ok(config) => {
                let store = Sqlite::open_alone(&store, &config.passphrase)?;
                let damage = store.damage()?;
                if let Some(first) = damage.first() {
                    return Err(Fault::new(
                        format!("its database is damaged: {first}"),
                        "take another backup",
                    ));
                }
                let settings = config.sources.settings.clone();
                let (desk, _) = crate::engine::replay(&store, settings)?;
                say(&format!(
                    "ok    its database opens, and its history is whole: {} records, {} incidents",
                    desk.head.number,
                    desk.incidents.len()
                ));
            }
            Err(_) => say(
                "note  its database was not opened: that takes a config of this desk (--config)",
            ),
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Without a key: whether it is the file that the desk wrote.
    fn seen_outside(&self, path: &Path, now: Moment) -> Done {
        let file = &self.source.file;
        let said = statement_of(file);
        let config = config::read_or_fault(path, now)?;
        let keyring = config::keyring(&config, [0; 32], now)?;
        let mut directory = Directory::default();
        directory.pin(keyring.certificate(), "desk");
        let text = files::read(&said)?;
        let read = verify_inline(None, &directory, &text, now, LIMITS);
        let own = keyring.certificate().fingerprint();
        let by_us = |signature: &Signature| matches!(signature, Signature::Valid(signed) if signed.fingerprint == own);
        let Some((text, ..)) = read.filter(|(_, signature, _)| by_us(signature)) else {
            let what = format!("{} is not signed by this desk", said.display());
            return Err(Fault::new(what, "look for the file that was written with the backup"));
        };
        let statement: Statement =
            serde_json::from_slice(&text).at(|| said.display().to_string())?;
        if held(file)? != statement.file {
            let what = format!("{} is not as the desk wrote it", file.display());
            return Err(Fault::new(what, "take another backup, and copy this one anew"));
        }
        let folder = self.source.large().unwrap_or_default();
        for (name, said) in &statement.beside {
            if held(&folder.join(name)).ok().as_ref() != Some(said) {
                let what = format!(
                    "{} is missing, or is not as the desk wrote it",
                    folder.join(name).display()
                );
                return Err(Fault::new(
                    what,
                    "copy the folder of the backups with all that is in it",
                ));
            }
        }
        say(&format!(
            "ok    {} is as this desk wrote it on {}, up to record {}",
            file.display(),
            statement.made.format("%Y-%m-%d %H:%M UTC"),
            statement.record
        ));
        say(&format!(
            "ok    {} large files beside it are as they were written",
            statement.beside.len()
        ));
        for key in &statement.sealed_to {
            say(&format!("note  it opens with the key {}", key.spaced()));
        }
        say(
            "note  nothing was opened. To see that it opens: `gpg --decrypt FILE | embargod backup verify -`",
        );
        Ok(ExitCode::SUCCESS)
    }
}

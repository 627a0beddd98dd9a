//! `embargod init`: a new desk in a folder.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::config::SAMPLE;
use crate::domain::facts::names::{Address, Fingerprint, Moment, base32, is_prefix};
use crate::edge::files;
use crate::edge::pgp::{Certificate, Keyring, Passphrase, generate, secret_fingerprint};
use crate::edge::sqlite::Sqlite;
use crate::edge::{random, write_private};
use crate::error::{Fault, Place};

use super::{Done, say};

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The folder; it is made if it is not there.
    folder: PathBuf,
    /// The mailbox's address.
    #[arg(long, value_name = "ADDRESS")]
    address: String,
    /// What mails call the desk.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The first part of every handle; taken from the name when not given.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// An existing secret key, locked with the passphrase that is asked for or made.
    #[arg(long, value_name = "SECRET.asc")]
    key: Option<PathBuf>,
    /// Read the passphrase from this file; without it one is made and written down.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Init {
    /// One that makes its key and its passphrase.
    pub(super) fn of(folder: &Path, address: &Address, name: &str, prefix: Option<&str>) -> Self {
        Self {
            folder: folder.to_owned(),
            address: address.to_string(),
            name: name.to_owned(),
            prefix: prefix.map(ToOwned::to_owned),
            key: None,
            passphrase_file: None,
        }
    }

    pub(super) fn run(&self, now: Moment) -> Done {
        let fingerprint = self.make(now)?;
        let config = self.folder.join("embargod.toml");
        say(&format!("Made a desk in {}.", self.folder.display()));
        say(&format!("  key          {}", fingerprint.spaced()));
        say("  certificate  keys/desk.public.asc; publish this one, and the fingerprint");
        say(
            "  passphrase   keys/passphrase; keep a copy off this machine, nothing opens without it",
        );
        if self.key.is_none() {
            say("  revocation   keys/revocation.asc; move it off this machine now");
        }
        say(&format!(
            "\nNext: fill in [imap], [smtp] and the people in {}, then run\n  embargod --config {} check",
            config.display(),
            config.display()
        ));
        Ok(ExitCode::SUCCESS)
    }

    /// Makes the folder; gives the fingerprint of the desk's key.
    pub(super) fn make(&self, now: Moment) -> Result<Fingerprint, Fault> {
        let address = Address::parse(&self.address).ok_or_else(|| {
            Fault::new(
                format!("`{}` is no mail address", self.address),
                "write it like security@example.org",
            )
        })?;
        let prefix = self.prefix.clone().unwrap_or_else(|| prefix_from(&self.name));
        if !is_prefix(&prefix) {
            let next =
                "handles begin with it, as in ACME-3F7K: give 2 to 12 capital letters or digits";
            return Err(Fault::new(format!("`--prefix {prefix}` is no prefix"), next));
        }
        let keys = self.folder.join("keys");
        self.is_free(&keys)?;
        let text = match &self.passphrase_file {
            Some(path) => files::text(path)?,
            // 160 bits: nobody types it, systemd or the file holds it.
            None => base32(&random::<20>()?, 32),
        };
        let passphrase = Passphrase::new(text.trim_end_matches(['\r', '\n']));
        // All that can be refused is, before anything is written.
        let (secret, revocation) = self.key(&address, &passphrase, now)?;
        std::fs::create_dir_all(&self.folder)
            .map_err(|error| files::unread(&self.folder, &error))?;
        let private = std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&keys);
        private.map_err(|error| files::unread(&keys, &error))?;
        write_private(&keys.join("passphrase"), text.as_bytes())?;
        write_private(&keys.join("desk.asc"), &secret)?;
        if let Some(revocation) = revocation {
            write_private(&keys.join("revocation.asc"), &revocation)?;
        }
        let place = || "the desk's key".to_owned();
        let public = Certificate::read(&secret).at(place)?.armored();
        write_private(&keys.join("desk.public.asc"), public.as_bytes())?;
        let config = self.folder.join("embargod.toml");
        let sample = filled(&self.name, &address, &prefix);
        write_private(&config, sample.as_bytes())?;
        Sqlite::create(&self.folder.join("embargod.db"), &passphrase, now)?;
        secret_fingerprint(&secret).at(|| "the desk's key".to_owned())
    }

    /// Refuses a folder in which a desk was made, wholly or in part.
    fn is_free(&self, keys: &Path) -> Result<(), Fault> {
        let names = ["passphrase", "desk.asc", "desk.public.asc", "revocation.asc"];
        let mut files = names.map(|name| keys.join(name)).to_vec();
        files.extend(["embargod.toml", "embargod.db"].map(|name| self.folder.join(name)));
        match files.into_iter().find(|file| file.exists()) {
            None => Ok(()),
            Some(file) => {
                let next = "a desk was made there: look at it with `embargod check`, or name another folder";
                Err(Fault::new(
                    format!("{} exists already; nothing was written", file.display()),
                    next,
                ))
            }
        }
    }

    /// The key that was given, or one that is made, with what revokes it.
    fn key(
        &self,
        address: &Address,
        passphrase: &Passphrase,
        now: Moment,
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), Fault> {
        let Some(path) = &self.key else {
            let made = generate(&self.name, address.as_str(), Some(passphrase), Some(3), now);
            return made
                .map(|(key, revocation)| (key, Some(revocation)))
                .at(|| "making a key".to_owned());
        };
        let bytes = files::read(path)?;
        let opened = Keyring::open(std::slice::from_ref(&bytes), Some(passphrase), [0; 32], now);
        let keyring = opened.map_err(|why| {
            let next =
                format!("{}; `keys/README.md` has a recipe for a key that fits", mend_own(&why));
            Fault::new(format!("{}: {why}; nothing was written", path.display()), next)
        })?;
        if !keyring.certificate().is_for(address) {
            let what = format!("{}: it is not for {address}; nothing was written", path.display());
            let next = "mail programs look for the desk's key by its address: `gpg --quick-add-uid` adds it";
            return Err(Fault::new(what, next));
        }
        Ok((bytes, None))
    }
}

/// What to do about a key that cannot be the desk's.
fn mend_own(why: &str) -> &'static str {
    match why {
        _ if why.contains("passphrase") => "give its passphrase with `--passphrase-file`",
        _ if why.contains("encrypt") => {
            "add a subkey to encrypt to: `gpg --quick-add-key FINGERPRINT cv25519 encr 3y`, and export it again"
        }
        _ if why.contains("secret key") => {
            "export it with `gpg --export-secret-keys --armor ADDRESS`"
        }
        _ => "give another key, or none, and one is made",
    }
}

/// The first letters of a name; of a name that has too few, a word that fits every desk.
fn prefix_from(name: &str) -> String {
    let mut letters: Vec<char> = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let alphabetic = letters.iter().filter(|c| c.is_ascii_alphabetic()).count();
    if alphabetic >= 2 {
        letters.retain(char::is_ascii_alphabetic);
    }
    let prefix = letters.into_iter().take(4).collect::<String>().to_ascii_uppercase();
    if is_prefix(&prefix) { prefix } else { "SEC".to_owned() }
}

/// The documented sample with this desk's words in it.
fn filled(name: &str, address: &Address, prefix: &str) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace(['"', '\\', '\n'], ""));
    let mut out = String::new();
    for line in SAMPLE.lines() {
        let line = match line.split_once(" = ") {
            Some(("name", rest)) => with(rest, "name", &quoted(name)),
            Some(("address", rest)) => with(rest, "address", &quoted(address.as_str())),
            Some(("prefix", rest)) => with(rest, "prefix", &quoted(prefix)),
            Some(("user", rest)) => with(rest, "user", &quoted(address.as_str())),
            _ => line.to_owned(),
        };
        out.push_str(&line);
        out.push('\n');
    }
    out
}

fn with(rest: &str, key: &str, value: &str) -> String {
    let comment =
        rest.split_once('#').map_or(String::new(), |(_, comment)| format!("  #{comment}"));
    format!("{key} = {value}{comment}")
}

//! `embargod init`: a new desk in a folder.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::config::SAMPLE;
use crate::domain::facts::names::{Address, Moment, base32, is_prefix};
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
    pub(super) fn run(&self, now: Moment) -> Done {
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
        std::fs::create_dir_all(&self.folder).at(|| self.folder.display().to_string())?;
        std::fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&keys)
            .at(|| keys.display().to_string())?;
        let passphrase_path = keys.join("passphrase");
        let text = match &self.passphrase_file {
            Some(path) => files::text(path)?,
            // 160 bits: nobody types it, systemd or the file holds it.
            None => base32(&random::<20>()?, 32),
        };
        let passphrase = Passphrase::new(&text);
        write_private(&passphrase_path, text.as_bytes())?;
        let secret_path = keys.join("desk.asc");
        let made = self.key(&keys, &secret_path, &address, &passphrase, now)?;
        let secret = files::read(&secret_path)?;
        let public = Certificate::read(&secret).at(|| secret_path.display().to_string())?.armored();
        write_private(&keys.join("desk.public.asc"), public.as_bytes())?;
        let config = self.folder.join("embargod.toml");
        let sample = filled(&self.name, &address, &prefix);
        write_private(&config, sample.as_bytes())?;
        Sqlite::create(&self.folder.join("embargod.db"), &passphrase, now)?;
        let fingerprint = secret_fingerprint(&secret).at(|| "the desk's key".to_owned())?;
        say(&format!("Made a desk in {}.", self.folder.display()));
        say(&format!("  key          {}", fingerprint.spaced()));
        say("  certificate  keys/desk.public.asc; publish this one, and the fingerprint");
        say(
            "  passphrase   keys/passphrase; keep a copy off this machine, nothing opens without it",
        );
        if made {
            say("  revocation   keys/revocation.asc; move it off this machine now");
        }
        say(&format!(
            "\nNext: fill in [imap], [smtp] and the people in {}, then run\n  embargod --config {} check",
            config.display(),
            config.display()
        ));
        Ok(ExitCode::SUCCESS)
    }

    /// Takes the given key, or makes one; says whether it made one.
    fn key(
        &self,
        keys: &Path,
        secret: &Path,
        address: &Address,
        passphrase: &Passphrase,
        now: Moment,
    ) -> Result<bool, Fault> {
        if let Some(path) = &self.key {
            let bytes = files::read(path)?;
            Keyring::open(std::slice::from_ref(&bytes), Some(passphrase), [0; 32], now)
                .at(|| path.display().to_string())?;
            write_private(secret, &bytes)?;
            return Ok(false);
        }
        let (key, revocation) =
            generate(&self.name, address.as_str(), Some(passphrase), Some(3), now)
                .at(|| "making a key".to_owned())?;
        write_private(secret, &key)?;
        write_private(&keys.join("revocation.asc"), &revocation)?;
        Ok(true)
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

//! `embargod open`: what a mail is, without a desk.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::config;
use crate::domain::decide::answered::answered;
use crate::domain::facts::letter::{Failure, Letter, Protection, Signature};
use crate::domain::facts::names::{Address, Digest, Moment};
use crate::domain::facts::outer_view::{Ciphertext, Hint};
use crate::domain::facts::outer_view::{KeyRank, Shape};
use crate::domain::intake::key_request;
use crate::domain::outgoing::texts;
use crate::edge::files;
use crate::edge::opening::Opener;
use crate::edge::pgp::{Certificate, Directory, Keyring, LIMITS, Passphrase};
use crate::error::{Fault, Place};
use crate::ports::store::RawMail;

use super::{Done, json, say};

/// Arguments of `open`.
#[derive(Debug, Args)]
pub(super) struct Open {
    /// The mails, as files.
    #[arg(required = true, value_name = "FILE.eml")]
    files: Vec<PathBuf>,
    /// Print one JSON object a mail, each on a line.
    #[arg(long)]
    json: bool,
    /// A secret key to open with; the config is not read then.
    #[arg(long, value_name = "SECRET.asc")]
    key: Vec<PathBuf>,
    /// The file with the key's passphrase.
    #[arg(long, value_name = "FILE", requires = "key")]
    passphrase_file: Option<PathBuf>,
    /// A certificate that counts as pinned.
    #[arg(long, value_name = "PINNED.asc")]
    cert: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Opened<'a> {
    file: &'a Path,
    kind: &'static str,
    protection: Protection,
    inline: bool,
    repaired: bool,
    signature: &'static str,
    fingerprint: Option<String>,
    pinned: bool,
    signed_at: Option<Moment>,
    intended_for_us: bool,
    failure: Option<Failure>,
    reason: Option<&'a str>,
    ciphertexts: &'a [Ciphertext],
    hint: Option<Hint>,
    answered: Vec<String>,
    subject: &'a str,
    subject_protected: bool,
    from: Vec<&'a str>,
    malformed: bool,
    text: &'a str,
    outside: &'a str,
    html_only: bool,
    attachments: Vec<Part<'a>>,
    keys: Vec<Key<'a>>,
    session: Option<Digest>,
    sha256: Digest,
}

#[derive(Serialize)]
struct Part<'a> {
    name: &'a str,
    r#type: &'a str,
    size: usize,
    outside: bool,
    sha256: Digest,
}

#[derive(Serialize)]
struct Key<'a> {
    rank: KeyRank,
    fingerprint: &'a str,
}

impl Open {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let (keyring, mut directory) = self.keys(path, now)?;
        for file in &self.cert {
            let bytes = files::read(file)?;
            directory.pin(Certificate::read(&bytes).at(|| file.display().to_string())?, "somebody");
        }
        let opener =
            Opener { keyring: &keyring, known: &directory, settings: None, limits: LIMITS };
        let mut code = ExitCode::SUCCESS;
        for file in &self.files {
            let bytes = match files::read(file) {
                Ok(bytes) => bytes,
                Err(fault) => {
                    super::say_error(&fault.to_string());
                    code = ExitCode::from(2);
                    continue;
                }
            };
            let raw = RawMail { bytes, received: now, arrived: now, oversize: false, junk: false };
            let letter = opener.whole(&raw);
            say(&if self.json {
                json(&report(file, &letter, &directory))?
            } else {
                text(file, &letter)
            });
        }
        Ok(code)
    }

    fn keys(&self, path: &Path, now: Moment) -> Result<(Keyring, Directory), Fault> {
        let mut directory = Directory::default();
        if self.key.is_empty() {
            let config = config::read_or_fault(path, now)?;
            for person in config.sources.roster.people.values() {
                let certificate = Certificate::read(person.certificate.as_bytes())
                    .at(|| person.id.to_string())?;
                directory.pin(certificate, person.id.as_str());
            }
            return Ok((config::keyring(&config, [0; 32], now)?, directory));
        }
        let passphrase = match &self.passphrase_file {
            Some(file) => Some(files::text(file)?),
            None => None,
        };
        let passphrase = passphrase.as_deref().map(Passphrase::new);
        let keys: Vec<Vec<u8>> =
            self.key.iter().map(|file| files::read(file)).collect::<Result<_, _>>()?;
        let keyring =
            Keyring::for_looking(&keys, passphrase.as_ref()).at(|| "the secret key".to_owned())?;
        Ok((keyring, directory))
    }
}

fn signature(signature: &Signature) -> &'static str {
    match signature {
        Signature::None => "none",
        Signature::Partial => "partial",
        Signature::UnknownKey => "unknown_key",
        Signature::Unsupported(_) => "unsupported",
        Signature::Invalid => "invalid",
        Signature::Valid(_) => "valid",
        Signature::Several => "several",
    }
}

/// What a mail is by its own structure; what it means to a desk only that desk knows.
fn kind(letter: &Letter) -> &'static str {
    match letter.outer.shape {
        Shape::DeliveryReport => "bounce",
        Shape::Automatic => "auto",
        Shape::Mail if key_request::is_one(letter) => "key_request",
        Shape::Mail if !letter.answers.is_empty() => "reply",
        Shape::Mail => "report",
    }
}

/// Who would be answered without a person looking.
fn answered_at(letter: &Letter) -> Vec<String> {
    let nobody = Address::parse("nobody@desk.invalid");
    let answered = nobody.map(|ours| answered(&ours, &letter.outer)).unwrap_or_default();
    answered.to.iter().chain(&answered.also).map(ToString::to_string).collect()
}

fn report<'a>(file: &'a Path, letter: &'a Letter, known: &Directory) -> Opened<'a> {
    use crate::edge::pgp::Known;
    let verdict = &letter.verdict;
    let signed = verdict.signed();
    Opened {
        file,
        kind: kind(letter),
        protection: verdict.protection,
        inline: verdict.inline,
        repaired: verdict.repaired,
        signature: signature(&verdict.signature),
        fingerprint: signed.map(|signed| signed.fingerprint.to_string()),
        pinned: signed.is_some_and(|signed| known.is_pinned(&signed.fingerprint)),
        signed_at: signed.map(|signed| signed.made),
        intended_for_us: signed.is_some_and(|signed| signed.names_us),
        failure: verdict.failure,
        reason: verdict.reason.as_deref(),
        ciphertexts: &letter.outer.ciphertexts,
        hint: letter.outer.hint,
        answered: answered_at(letter),
        subject: letter.subject.as_str(),
        subject_protected: letter.subject_protected,
        from: letter.outer.writers.from.iter().map(Address::as_str).collect(),
        malformed: letter.malformed,
        text: &letter.text,
        outside: &letter.outside,
        html_only: letter.html_only,
        attachments: letter
            .attachments
            .iter()
            .map(|a| Part {
                name: a.name.as_str(),
                r#type: &a.media,
                size: a.bytes.len(),
                outside: a.outside,
                sha256: Digest::of(&a.bytes),
            })
            .collect(),
        keys: letter
            .keys
            .iter()
            .map(|key| Key { rank: key.rank, fingerprint: key.fingerprint.as_str() })
            .collect(),
        session: verdict.session,
        sha256: letter.raw,
    }
}

fn text(file: &Path, letter: &Letter) -> String {
    use std::fmt::Write as _;
    let verdict = &letter.verdict;
    let mut out = format!("{}\n", file.display());
    let mut row = |name: &str, value: String| {
        let _ = writeln!(out, "  {name:<11}{value}");
    };
    row("kind", kind(letter).to_owned());
    row(
        "protection",
        format!(
            "{:?}{}{}",
            verdict.protection,
            if verdict.inline { ", inline" } else { "" },
            if verdict.repaired { ", repaired" } else { "" }
        ),
    );
    let by = verdict
        .signed()
        .map_or_else(String::new, |signed| format!(" by {}", signed.fingerprint.spaced()));
    row("signature", format!("{}{by}", signature(&verdict.signature)));
    if let Some(failure) = verdict.failure {
        row("failure", format!("{failure:?}"));
    }
    if let Some(reason) = &verdict.reason {
        row("reason", reason.clone());
    }
    for ciphertext in &letter.outer.ciphertexts {
        let opened = ciphertext.tried && verdict.protection.is_encrypted();
        let what = if opened { "opened" } else { "not opened" };
        row("encrypted", format!("{}{}: {what}", ciphertext.place, ciphertext.for_whom()));
    }
    row("from", letter.from_text.to_string());
    row(
        "subject",
        format!("{}{}", letter.subject, if letter.subject_protected { " (protected)" } else { "" }),
    );
    for a in &letter.attachments {
        row(
            "attached",
            format!(
                "{} ({}, {} bytes, sha256 {})",
                a.name,
                a.media,
                a.bytes.len(),
                Digest::of(&a.bytes).short()
            ),
        );
    }
    let _ = write!(out, "\n{}", texts::quote(&letter.text));
    if !letter.outside.is_empty() {
        let _ = write!(
            out,
            "\nBeside what was encrypted, protected by nothing:\n\n{}",
            texts::quote(&letter.outside)
        );
    }
    out
}

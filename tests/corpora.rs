//! Mails that other people wrote, for the tests of other programs: are they read as those programs
//! and GnuPG read them? The mails are not ours to pass on, so they lie in a folder of their own
//! that `EMBARGOD_CORPORA` names; without it nothing is tested. `scripts/corpora` runs this.
//!
//! Where we differ, `corpora/differences.txt` says why. A difference that is not there, or one
//! there that is none, fails.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use embargod::domain::facts::letter::{Failure, Letter, Signature};
use embargod::domain::facts::names::Moment;
use embargod::domain::facts::outer_view::Shape;
use embargod::edge::opening::Opener;
use embargod::edge::pgp::{Certificate, Directory, Keyring, Known, LIMITS, Passphrase};
use embargod::ports::store::RawMail;
use serde_json::Value;
use thunderbird::Thunderbird;

#[path = "corpora/thunderbird.rs"]
mod thunderbird;

const DIFFERENCES: &str = include_str!("corpora/differences.txt");

const TB: &str = "tb-comm/mail/test/browser/openpgp/data";
const SCHLEUDER: &str = "schleuder/spec/fixtures";
const KDE: &str = "kde-mimetreeparser/autotests/testdata";

/// Folders that hold no mails.
const NO_MAILS: [&str; 6] =
    ["csaf-oasis", "cvelib", "manifest", "osv-schema", "refreshed-keys", "vulndb"];

/// Keys that open one corpus, and certificates that count as pinned there.
struct Keys {
    keyring: Keyring,
    known: Directory,
}

impl Keys {
    fn new(root: &Path, secret: &[&str], pinned: &[&str]) -> Self {
        let read = |file: &&str| std::fs::read(root.join(file)).unwrap();
        let secret: Vec<Vec<u8>> = secret.iter().map(read).collect();
        // Of all keys in use only one is locked, and the others do not mind.
        let keyring = Keyring::for_looking(&secret, Some(&Passphrase::new("x"))).unwrap();
        let mut known = Directory::default();
        for file in pinned {
            known.pin(Certificate::read(&read(file)).unwrap(), file);
        }
        Self { keyring, known }
    }

    /// All that can be used of the keys that lie in a folder, none of them pinned.
    fn of_folder(files: &[PathBuf], other: &Path) -> Self {
        let mut secret = Vec::new();
        let mut known = Directory::default();
        for file in files {
            let Ok(bytes) = std::fs::read(file) else { continue };
            if Keyring::for_looking(std::slice::from_ref(&bytes), None).is_ok() && secret.len() < 20
            {
                secret.push(bytes.clone());
            }
            if let Ok(certificate) = Certificate::read(&bytes) {
                known.meet(certificate, 1);
            }
        }
        if secret.is_empty() {
            secret.push(std::fs::read(other).unwrap());
        }
        Self { keyring: Keyring::for_looking(&secret, None).unwrap(), known }
    }

    fn open(&self, bytes: Vec<u8>) -> Letter {
        // After all signatures, before any of the keys expires; and the same in every run.
        let at: Moment = "2026-09-01T00:00:00Z".parse().unwrap();
        let opener =
            Opener { keyring: &self.keyring, known: &self.known, settings: None, limits: LIMITS };
        opener.open(&RawMail { bytes, received: at, arrived: at, oversize: false, junk: false })
    }

    fn is_pinned(&self, letter: &Letter) -> bool {
        letter.verdict.signed().is_some_and(|signed| self.known.is_pinned(&signed.fingerprint))
    }
}

/// What was expected of a mail, and what was found.
struct Compared {
    file: String,
    expected: String,
    found: String,
}

/// The outcome of a corpus.
struct Corpus {
    name: String,
    mails: Vec<Compared>,
}

impl Corpus {
    fn differ(&self) -> impl Iterator<Item = &Compared> {
        self.mails.iter().filter(|mail| mail.expected != mail.found)
    }
}

struct Run {
    root: PathBuf,
    files: Vec<PathBuf>,
    /// GnuPG's word on every OpenPGP object of a mail.
    gnupg: BTreeMap<String, Vec<Value>>,
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// A mail as a server would have delivered it: files begin with the line of an mbox, with headers
/// of the program that made them, or with blank lines that somebody copied along.
fn delivered(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut in_head = true;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let blank = line.trim_ascii().is_empty();
        if out.is_empty() && (blank || line.starts_with(b"From ")) {
            if let Some(b"MAILER-DAEMON") = line.split(|byte| *byte == b' ').nth(1) {
                out.extend(b"Return-Path: <>\r\n");
            }
            continue;
        }
        in_head &= !blank;
        if !(in_head && line.starts_with(b"X-Espoofer-")) {
            out.extend(line);
        }
    }
    out
}

impl Run {
    fn new(root: PathBuf) -> Self {
        let mut files = Vec::new();
        walk(&root, &mut files);
        files.sort();
        let mut gnupg = BTreeMap::new();
        for file in files.iter().filter(|file| file.parent() == Some(&root.join("manifest"))) {
            for line in std::fs::read_to_string(file).unwrap().lines() {
                let entry: Value = serde_json::from_str(line).unwrap();
                let objects = entry["objects"].as_array().unwrap().clone();
                gnupg.insert(entry["file"].as_str().unwrap().to_owned(), objects);
            }
        }
        Self { root, files, gnupg }
    }

    fn name(&self, file: &Path) -> String {
        file.strip_prefix(&self.root).unwrap().to_string_lossy().into_owned()
    }

    fn under(&self, folder: &str) -> impl Iterator<Item = &PathBuf> {
        let folder = self.root.join(folder);
        self.files.iter().filter(move |file| file.starts_with(&folder))
    }

    /// Opens all mails of a folder and compares them.
    fn corpus(
        &self,
        folder: &str,
        keys: &Keys,
        compare: impl Fn(&str, &Letter) -> (String, String),
    ) -> Corpus {
        let is_mail = |path: &&PathBuf| {
            path.extension().is_some_and(|end| end == "eml" || end == "txt" || end == "mbox")
        };
        let mails = self.under(folder).filter(is_mail).map(|path| {
            let file = self.name(path);
            let letter = keys.open(delivered(&std::fs::read(path).unwrap()));
            let (expected, found) = compare(&file, &letter);
            Compared { file, expected, found }
        });
        Corpus { name: folder.split('/').next().unwrap().to_owned(), mails: mails.collect() }
    }

    fn thunderbird(&self) -> Corpus {
        let key = |name: &str| format!("{TB}/keys/{name}.asc");
        let (alice, bob) = ("alice@openpgp.example-0xf231550c4f47e38e", "bob@openpgp.example");
        let bob = format!("{bob}-0xfbfcc82a015e7330");
        let keys = Keys::new(
            &self.root,
            &[
                &key(&format!("{alice}-secret")),
                &key(&format!("{bob}-secret")),
                &key("carol@example.com-0x3099ff1238852b9f-secret"),
                &key("carol@pgp.icu-0xEF2FD01608AFD744-revoked-secret"),
            ],
            &[&key(&format!("{alice}-pub")), &key(&format!("{bob}-pub"))],
        );
        let verdicts = std::fs::read_to_string(self.root.join("tb-comm.verdicts.txt")).unwrap();
        let verdicts = Thunderbird::all(&verdicts);
        self.corpus(&format!("{TB}/eml"), &keys, |file, letter| {
            let verdict = file.rsplit('/').next().and_then(|name| verdicts.get(name));
            let verdict = verdict.filter(|verdict| !verdict.is_silent());
            verdict.map_or_else(
                || (self.expected(file), found(letter)),
                |verdict| verdict.compare(letter, keys.is_pinned(letter)),
            )
        })
    }

    fn schleuder(&self) -> Corpus {
        let at = |file: &str| format!("{SCHLEUDER}/{file}");
        let keys = Keys::new(
            &self.root,
            &[
                "refreshed-keys/schleuder-list.sec.asc",
                &at("openpgpkey_421C19AF8B9C33B8B62D76EBDB2F7E271D773073.sec"),
                &at("openpgp-keys/encapsulated-list.sec"),
            ],
            &[
                "refreshed-keys/schleuder-list.pub.asc",
                &at("openpgpkey_52507B0163A8D9F0094FFE03B1A36F08069E55DE.asc"),
                &at("openpgp-keys/encapsulated-sender.pub"),
            ],
        );
        self.corpus(&at("mails"), &keys, |file, letter| {
            if file.contains("/bounces/") || file.ends_with("/bounce.eml") {
                return automatic(letter);
            }
            if file.contains("/not_bounces/") {
                let found =
                    if letter.outer.shape == Shape::DeliveryReport { "bounce" } else { "other" };
                return ("other".to_owned(), found.to_owned());
            }
            (self.expected(file), found(letter))
        })
    }

    fn kde(&self) -> Corpus {
        let keys = Keys::new(
            &self.root,
            &["refreshed-keys/kde-test-kolab.sec.asc"],
            &["refreshed-keys/kde-test-kolab.pub.asc"],
        );
        self.corpus(KDE, &keys, |file, letter| {
            let smime = file.contains("/smime-");
            (if smime { "smime".to_owned() } else { self.expected(file) }, found(letter))
        })
    }

    /// Nothing panics, whatever the file is, and no text of it is lost.
    fn others(&self) -> Vec<Corpus> {
        let folders = std::fs::read_dir(&self.root).unwrap().flatten();
        let folders: BTreeSet<String> = folders
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !NO_MAILS.contains(&name.as_str()))
            .collect();
        let other = self.root.join("refreshed-keys/schleuder-list.sec.asc");
        let run = |name: &String| {
            let files: Vec<PathBuf> = self.under(name).cloned().collect();
            let keys = Keys::of_folder(&files, &other);
            let mails = files.iter().map(|path| self.robust(name, path, &keys)).collect();
            Corpus { name: format!("{name}, every file"), mails }
        };
        folders.iter().map(run).collect()
    }

    fn robust(&self, corpus: &str, path: &Path, keys: &Keys) -> Compared {
        let bytes = std::fs::read(path).unwrap();
        let file = self.name(path);
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let as_it_is = keys.open(bytes.clone());
            (as_it_is, keys.open(delivered(&bytes)))
        }));
        let Ok((as_it_is, letter)) = opened else {
            return Compared { file, expected: "read".to_owned(), found: "panic".to_owned() };
        };
        // The folder of mailboxes names its files as Maildir does, without an ending.
        let ending = path.extension().map_or("", |ending| ending.to_str().unwrap_or(""));
        let is_mail =
            matches!(ending, "eml" | "txt" | "msg" | "raw" | "mbox") || corpus == "mime-is-broken";
        let (expected, found) = match corpus {
            "flufl.bounce" if is_mail => automatic(&letter),
            "espoofer" => author(&bytes, &letter),
            _ => {
                let lost =
                    is_mail && (is_lost(&bytes, &as_it_is) || is_lost(&delivered(&bytes), &letter));
                ("read".to_owned(), if lost { "lost" } else { "read" }.to_owned())
            }
        };
        Compared { file, expected, found }
    }

    /// What GnuPG found, in our words.
    fn expected(&self, file: &str) -> String {
        let objects = &self.gnupg[file];
        let Some(object) = objects.first() else { return "plain unsigned".to_owned() };
        let status = |object: &Value, word: &str| {
            object["status"].as_array().is_some_and(|all| all.iter().any(|one| one == word))
        };
        let signature = |object: &Value| {
            if status(object, "GOODSIG") {
                "valid"
            } else if status(object, "ERRSIG") {
                "unknown"
            } else {
                "invalid"
            }
        };
        if object["kind"] != "encrypted" {
            return format!("plain {}", signature(object));
        }
        if !status(object, "DECRYPTION_OKAY") {
            return "closed".to_owned();
        }
        let inner = object["inner"].as_array().and_then(|inner| inner.first());
        let signed = [Some(object), inner].into_iter().flatten();
        let mut signed = signed.filter(|o| status(o, "GOODSIG") || status(o, "ERRSIG"));
        format!("encrypted {}", signed.next().map_or("unsigned", signature))
    }
}

/// What we found, in the same words.
fn found(letter: &Letter) -> String {
    let verdict = &letter.verdict;
    match verdict.failure {
        Some(Failure::Smime) => return "smime".to_owned(),
        Some(_) => return "closed".to_owned(),
        None => {}
    }
    let content = if verdict.protection.is_encrypted() { "encrypted" } else { "plain" };
    let signature = match &verdict.signature {
        Signature::None => "unsigned",
        Signature::Partial => "partial",
        Signature::UnknownKey => "unknown",
        Signature::Unsupported(_) => "unsupported",
        Signature::Invalid => "invalid",
        Signature::Valid(_) => "valid",
        Signature::Several => "several",
    };
    format!("{content} {signature}")
}

/// A delivery report or automatic mail: opens no incident and is never answered.
fn automatic(letter: &Letter) -> (String, String) {
    let answered = letter.outer.shape == Shape::Mail;
    ("automatic".to_owned(), if answered { "mail" } else { "automatic" }.to_owned())
}

/// The author is who stands in From where there is one From and one address in it; else nobody.
fn author(bytes: &[u8], letter: &Letter) -> (String, String) {
    let text = String::from_utf8_lossy(&delivered(bytes)).to_ascii_lowercase();
    let head = text.split("\r\n\r\n").next().unwrap().split("\n\n").next().unwrap();
    let is_from = |line: &&str| line.trim_start().starts_with("from");
    let lines: Vec<&str> = head.lines().filter(is_from).collect();
    let literal = match lines.as_slice() {
        [line] => line.strip_prefix("from:").map(|one| one.trim().trim_matches(['<', '>'])),
        _ => None,
    };
    let literal = literal.filter(|one| one.matches('@').count() == 1 && !one.contains(['=', ' ']));
    let author = letter.author().filter(|_| !letter.malformed).map(|author| author.as_str());
    (literal.unwrap_or("nobody").to_owned(), author.unwrap_or("nobody").to_owned())
}

/// Whether a mail has a body and nothing of it came out, and no word about why.
fn is_lost(bytes: &[u8], letter: &Letter) -> bool {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let body = text.split_once("\n\n").map_or("", |(_, body)| body);
    !body.trim().is_empty()
        && letter.text.trim().is_empty()
        && letter.attachments.is_empty()
        && letter.verdict.failure.is_none()
}

//------------ The test ---------------------------------------------------------------------------

/// The reasons that were written down: by file, expected and found.
fn reasons() -> BTreeMap<[&'static str; 3], &'static str> {
    let lines = DIFFERENCES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.splitn(4, " | ").collect();
        let [file, expected, found, reason] = cells[..] else { panic!("not a difference: {line}") };
        ([file, expected, found], reason)
    };
    lines.map(row).collect()
}

fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("EMBARGOD_CORPORA")?);
    let inside = [folder.clone(), folder.join("mails")];
    inside.into_iter().find(|folder| folder.join("tb-comm.verdicts.txt").is_file())
}

#[test]
fn mails_of_others_are_read_as_others_read_them() {
    let Some(root) = folder() else {
        println!("Skipped: EMBARGOD_CORPORA does not name a folder with the mails of others.");
        return;
    };
    let run = Run::new(root);
    let mut corpora = vec![run.thunderbird(), run.schleuder(), run.kde()];
    corpora.extend(run.others());

    println!("\n{:<40}{:>7}{:>7}{:>8}", "corpus", "mails", "agree", "differ");
    for corpus in &corpora {
        let (all, differ) = (corpus.mails.len(), corpus.differ().count());
        println!("{:<40}{all:>7}{:>7}{differ:>8}", corpus.name, all - differ);
    }
    println!();
    let mut reasons = reasons();
    let mut unknown = 0;
    for mail in corpora.iter().flat_map(Corpus::differ) {
        let reason = reasons.remove(&[mail.file.as_str(), &mail.expected, &mail.found]);
        unknown += usize::from(reason.is_none());
        let reason = reason.unwrap_or("NO REASON GIVEN");
        println!("{} | {} | {} | {reason}", mail.file, mail.expected, mail.found);
    }
    for [file, expected, found] in reasons.keys() {
        println!("{file} | {expected} | {found} | IS NO DIFFERENCE ANY MORE");
    }
    assert_eq!((unknown, reasons.len()), (0, 0), "see the lines in capitals above");
}

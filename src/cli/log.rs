//! `embargod log`: the history of an incident, and what authorised it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::config;
use crate::domain::facts::event::Event;
use crate::domain::facts::names::{Digest, Handle, Moment, PersonId};
use crate::domain::facts::record::Record;
use crate::domain::model::roster::Roster;
use crate::domain::views::history;
use crate::edge::opening::Opener;
use crate::edge::pgp::{Certificate, Directory, LIMITS};
use crate::edge::write_private;
use crate::engine::replay;
use crate::error::{Fault, Place};
use crate::ports::store::{Journal, Store};

use super::{Done, look, say};

/// Arguments of `log`.
#[derive(Debug, Args)]
pub(super) struct Log {
    /// The incident; `desk` for what is about none: the members, and who ordered it.
    handle: String,
    /// Print the records as they stand in the journal, one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Write every signed mail that caused something into this new folder, with its signature and
    /// the certificates, so that GnuPG alone can check who ordered what.
    #[arg(long, value_name = "FOLDER")]
    evidence: Option<PathBuf>,
}

impl Log {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let config = config::read_or_fault(path, now)?;
        let store = config.open_store()?;
        let of_desk = self.handle == "desk";
        let records = match Handle::parse(&self.handle) {
            _ if of_desk => about_no_incident(&store)?,
            // Without reading all of the journal, which may be what is looked into.
            Some(handle) => store.history(&handle)?,
            None => {
                let (desk, _) = replay(&store, config.sources.settings.clone())?;
                store.history(&look::find(&desk, &self.handle)?.handle)?
            }
        };
        if records.is_empty() {
            let what = format!("there is no incident `{}`", self.handle);
            return Err(Fault::new(what, "run `embargod list --all` to see which there are"));
        }
        if let Some(folder) = &self.evidence {
            let keyring = config::keyring(&config, store.secrets()?.session_salt, now)?;
            let known = everybody(&store)?;
            let opener =
                Opener { keyring: &keyring, known: &known.0, settings: None, limits: LIMITS };
            return evidence(folder, &self.handle, &records, &store, opener, &known.1);
        }
        for record in &records {
            if self.json {
                say(&serde_json::to_string(record).at(|| "a record".to_owned())?);
            } else if let Some(line) = history::line(record) {
                say(&line);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn read(json: &str) -> Result<Record, Fault> {
    serde_json::from_str(json).at(|| "the journal".to_owned())
}

/// What the journal has about no incident.
fn about_no_incident(store: &dyn Store) -> Result<Vec<Record>, Fault> {
    let mut records = Vec::new();
    store.replay(&mut |line| {
        let record: Record = read(&line.json)?;
        let told = matches!(record.event, Event::Member { .. } | Event::AwaySet { .. });
        if record.incident.is_none() && told {
            records.push(record);
        }
        Ok(())
    })?;
    Ok(records)
}

/// Everybody whom the config has ever named, and every member, with the certificates of that time: an
/// order that was given by a key that has been replaced since was given all the same.
fn everybody(store: &dyn Store) -> Result<(Directory, Vec<(PersonId, Certificate)>), Fault> {
    let (mut directory, mut people) = (Directory::default(), Vec::new());
    for text in store.texts()? {
        let Ok(roster) = serde_json::from_str::<Roster>(&text) else { continue };
        for person in roster.people.values() {
            let certificate = Certificate::read(person.certificate.as_bytes())
                .at(|| format!("the certificate of `{}`", person.id))?;
            directory.pin(certificate.clone(), person.id.as_str());
            people.push((person.id.clone(), certificate));
        }
    }
    store.replay(&mut |line| {
        let record: Record = read(&line.json)?;
        let Event::Member { member, fact } = &record.event else { return Ok(()) };
        let certificate = fact.key().map(|key| Certificate::read(key.certificate.as_bytes()));
        if let Some(Ok(certificate)) = certificate {
            directory.pin(certificate.clone(), member.as_str());
            people.push((member.clone(), certificate));
        }
        Ok(())
    })?;
    Ok((directory, people))
}

fn evidence(
    folder: &Path,
    handle: &str,
    records: &[Record],
    store: &dyn Store,
    opener: Opener<'_>,
    people: &[(PersonId, Certificate)],
) -> Done {
    std::fs::create_dir(folder).at(|| folder.display().to_string())?;
    let (mut list, mut written, mut missing) = (String::new(), 0_u32, 0_u32);
    let mut seen: BTreeSet<Digest> = BTreeSet::new();
    let mut used: BTreeSet<PersonId> = BTreeSet::new();
    for record in records {
        if let Some(line) = history::line(record) {
            let _ = writeln!(list, "{line}");
        }
        let (Some(by), Some(cause)) = (&record.by, record.cause) else { continue };
        if !seen.insert(cause) {
            continue;
        }
        let proof = store.mail(cause)?.and_then(|mail| opener.proof(&mail));
        let Some(proof) = proof else {
            missing = missing.saturating_add(1);
            let _ =
                writeln!(list, "       (the signed mail {} is not here any more)", cause.short());
            continue;
        };
        written = written.saturating_add(1);
        used.insert(by.clone());
        let name = format!("{:06}-{by}.eml", record.number);
        write_private(&folder.join(&name), &proof.signed)?;
        if let Some(signature) = &proof.signature {
            write_private(&folder.join(format!("{name}.asc")), signature)?;
        }
        let _ = writeln!(list, "       ordered by {name}");
    }
    for (number, (id, certificate)) in people.iter().enumerate() {
        if used.contains(id) {
            let name = format!("key-{id}-{number}.asc");
            write_private(&folder.join(name), certificate.armored().as_bytes())?;
        }
    }
    write_private(&folder.join("journal.jsonl"), &lines(records)?)?;
    // A fingerprint of 32 bytes (RFC 9580, 5.5.4.3).
    let is_new = |(id, certificate): &&(PersonId, Certificate)| {
        used.contains(id) && certificate.fingerprint().as_str().len() == 64
    };
    let new: BTreeSet<&str> = people.iter().filter(is_new).map(|(id, _)| id.as_str()).collect();
    let newer = if new.is_empty() {
        String::new()
    } else {
        let who = new.into_iter().collect::<Vec<_>>().join(", ");
        format!(
            "GnuPG does not know keys of version 6 (RFC 9580), which {who} signs with. Check those with a\n\
             program that does, for instance:\n\n  \
             rsop verify FILE.eml.asc key-WHO-0.asc < FILE.eml\n  \
             rsop inline-verify key-WHO-0.asc < FILE.eml     # where there is no .asc\n\n"
        )
    };
    let text = format!(
        "What happened on {handle}, and the signed mails that ordered it.\n\n\
         To check who ordered what, with GnuPG and nothing else:\n\n  \
         export GNUPGHOME=$(mktemp -d)\n  gpg --import key-*.asc\n  \
         for f in *.eml; do\n    \
         if [ -e $f.asc ]; then gpg --verify $f.asc $f; else gpg --verify $f; fi\n  done\n\n\
         {newer}A signature says who wrote the mail and when; what the desk made of it stands below and, as\n\
         it was recorded, in journal.jsonl. A mail that ordered something here may be about another\n\
         incident, and its words are then of that one. These files hold what was written: keep them sealed.\n\n{list}"
    );
    write_private(&folder.join("README.txt"), text.as_bytes())?;
    say(&format!(
        "{written} signed mails were written to {}, {missing} are missing.",
        folder.display()
    ));
    say(&format!("Next: read {}/README.txt", folder.display()));
    Ok(if missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lines(records: &[Record]) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    for record in records {
        out.extend(serde_json::to_vec(record).at(|| "a record".to_owned())?);
        out.push(b'\n');
    }
    Ok(out)
}

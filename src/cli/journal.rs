//! `embargod journal verify`: whether the history is whole, goes on from what somebody saw of it, and was
//! ordered by those whom it names.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config;
use crate::domain::facts::event::Event;
use crate::domain::facts::key::PinnedKey;
use crate::domain::facts::member_fact::MemberFact;
use crate::domain::facts::names::{Digest, Fingerprint, Moment};
use crate::domain::facts::record::{Head, Record};
use crate::domain::model::roster::Roster;
use crate::edge::opening::Opener;
use crate::edge::pgp::{Certificate, Directory, Keyring, LIMITS};
use crate::edge::sqlite::Sqlite;
use crate::engine::replay;
use crate::error::Fault;
use crate::ports::store::{Inbox as _, Journal as _, read_journal};

use super::{Done, say};

/// Arguments of `journal`.
#[derive(Debug, Args)]
pub(super) struct Journal {
    #[command(subcommand)]
    what: JournalCommand,
}

#[derive(Debug, Subcommand)]
enum JournalCommand {
    /// Check the chain of hashes, the bodies it names, that it can be replayed, and that it is not
    /// older than its witness.
    Verify {
        /// A number and hash that somebody has of it, as every transcript carries them: the journal
        /// must have that very record.
        #[arg(long, value_name = "N:HASH", value_parser = parse_head)]
        head: Vec<Head>,
        /// Verify again every signed mail that ordered something, with the certificate that was pinned
        /// on that day.
        #[arg(long)]
        signatures: bool,
    },
}

fn parse_head(text: &str) -> Result<Head, String> {
    let (number, hash) = text.split_once([':', ' ']).unwrap_or((text, ""));
    let hash = Digest::parse(hash.trim());
    match (number.trim().parse(), hash) {
        (Ok(number), Some(hash)) => Ok(Head { number, hash }),
        _ => Err("write the number, a colon and the 64 digits of the hash".to_owned()),
    }
}

impl Journal {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let JournalCommand::Verify { head: heads, signatures } = &self.what;
        let config = config::read_or_fault(path, now)?;
        let store = config.open_store()?;
        let damage = store.damage()?;
        if let Some(first) = damage.first() {
            let what = format!("the database is damaged in {} places: {first}", damage.len());
            return Err(Fault::new(what, "put a backup back, and say `embargod restored --yes`"));
        }
        let head = read_journal(&store, |_, _| {})?;
        let bodies = bodies(&store)?;
        let (desk, _) = replay(&store, config.sources.settings.clone())?;
        desk.audit().map_err(|why| Fault::new(why, "report this; restart the desk"))?;
        say(&format!(
            "The journal is whole: {} records, {bodies} bodies, head {}",
            head.number, head.hash
        ));
        for seen in heads {
            has(&store, head, *seen, "what you have")?;
            say(&format!("It goes on from record {} as you have it.", seen.number));
        }
        match store.witness()? {
            Some(seen) => {
                has(&store, head, seen, "its witness")?;
                say(&format!("Its witness has seen record {}, which is this one's.", seen.number));
            }
            None => say("There is no witness file; `embargod run` begins one."),
        }
        if !signatures {
            return Ok(ExitCode::SUCCESS);
        }
        let keyring = config::keyring(&config, store.secrets()?.session_salt, now)?;
        let found = Orders::check(&store, &keyring)?;
        say(&format!(
            "{} signed mails ordered something: {} verify with the certificate of their day, {} are not kept any more.",
            found.all, found.good, found.gone
        ));
        for (number, why) in &found.bad {
            say(&format!("  record {number}: {why}"));
        }
        if found.bad.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let what = format!("{} orders are not signed as the journal says", found.bad.len());
        Err(Fault::new(
            what,
            "look at those records; restore a backup if somebody has changed the store",
        ))
    }
}

/// Checks every body against its name; says how many there are.
fn bodies(store: &Sqlite) -> Result<u64, Fault> {
    let mut count = 0_u64;
    let mut damaged = None;
    store.bodies(&mut |name, salt, text| {
        count = count.saturating_add(1);
        if Digest::of_parts(&[salt, text.as_bytes()]).to_string() != name {
            damaged.get_or_insert_with(|| name.to_owned());
        }
    })?;
    match damaged {
        Some(name) => Err(Fault::new(
            format!("body {name} was changed: its hash does not fit"),
            "restore a backup",
        )),
        None => Ok(count),
    }
}

/// Refuses a journal that lacks a record that was seen.
fn has(store: &Sqlite, own: Head, seen: Head, whose: &str) -> Result<(), Fault> {
    let next = "this is an older copy, or another history: put the newest database back";
    if seen.number > own.number {
        let what = format!(
            "the journal ends with record {}, and by {whose} record {} was written",
            own.number, seen.number
        );
        return Err(Fault::new(what, next));
    }
    if seen.number > 0 && store.line_hash(seen.number)? != Some(seen.hash) {
        let what = format!("record {} is another one than by {whose}", seen.number);
        return Err(Fault::new(what, next));
    }
    Ok(())
}

/// What became of verifying all orders again.
#[derive(Default)]
struct Orders {
    all: usize,
    good: usize,
    gone: usize,
    bad: Vec<(u64, String)>,
}

impl Orders {
    fn check(store: &Sqlite, keyring: &Keyring) -> Result<Self, Fault> {
        let texts: BTreeMap<Digest, String> =
            store.texts()?.into_iter().map(|text| (Digest::of(text.as_bytes()), text)).collect();
        let mut records = Vec::new();
        read_journal(store, |record, _| {
            let matters = matches!(
                record.event,
                Event::Configured { .. } | Event::Member { .. } | Event::SignatureSpent { .. }
            );
            if matters {
                records.push(record);
            }
        })?;
        let (mut known, mut orders) = (Directory::default(), Self::default());
        for record in records {
            if let Event::Configured { roster, .. } = &record.event {
                pin_roster(&mut known, texts.get(roster));
            }
            if let Event::Member { member, fact } = &record.event
                && let Some(key) = key_of(fact)
            {
                pin(&mut known, &key.certificate, member.as_str());
            }
            if let Event::SignatureSpent { fingerprint, hash } = &record.event {
                orders.order(store, keyring, &known, &record, (fingerprint, *hash))?;
            }
        }
        Ok(orders)
    }

    fn order(
        &mut self,
        store: &Sqlite,
        keyring: &Keyring,
        known: &Directory,
        record: &Record,
        (fingerprint, hash): (&Fingerprint, Digest),
    ) -> Result<(), Fault> {
        self.all = self.all.saturating_add(1);
        let mail = record.cause.map(|raw| store.mail(raw)).transpose()?.flatten();
        let Some(mail) = mail else {
            self.gone = self.gone.saturating_add(1);
            return Ok(());
        };
        let opener = Opener { keyring, known, settings: None, limits: LIMITS };
        let letter = opener.open(&mail);
        let fits = letter
            .verdict
            .signed()
            .is_some_and(|signed| signed.fingerprint == *fingerprint && signed.hash == hash);
        if fits && Some(letter.raw) == record.cause {
            self.good = self.good.saturating_add(1);
        } else {
            let why = "its mail is not signed by that key, or says something else".to_owned();
            self.bad.push((record.number, why));
        }
        Ok(())
    }
}

fn pin_roster(known: &mut Directory, text: Option<&String>) {
    let roster = text.and_then(|text| serde_json::from_str::<Roster>(text).ok());
    for person in roster.iter().flat_map(|roster| roster.people.values()) {
        pin(known, &person.certificate, person.id.as_str());
    }
}

fn pin(known: &mut Directory, text: &str, owner: &str) {
    if let Ok(certificate) = Certificate::read(text.as_bytes()) {
        known.pin(certificate, owner);
    }
}

/// The key that a fact about a member brings.
fn key_of(fact: &MemberFact) -> Option<&PinnedKey> {
    if let MemberFact::Proposed { key, .. } = fact {
        return key.as_ref();
    }
    if let MemberFact::Imported { key, .. }
    | MemberFact::KeyOffered { key, .. }
    | MemberFact::KeyUpdated { key, .. } = fact
    {
        return Some(key);
    }
    None
}

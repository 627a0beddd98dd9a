//! From words to sealed bytes: what a mail says is filled in, its key is found, and all cores seal.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use crate::domain::decide::relay::holds_reference;
use crate::domain::facts::event::Enclosure;
use crate::domain::facts::foreign::Foreign;
use crate::domain::facts::letter::Attachment;
use crate::domain::facts::names::{Digest, Handle, Moment};
use crate::domain::facts::record::Body;
use crate::domain::outgoing::mail::{Mail, Words};
use crate::domain::outgoing::texts::{Written, fill_blobs, fill_history};
use crate::domain::views::history;
use crate::edge::unhex;
use crate::error::{Fault, Place};
use crate::ports::store::Sealed;
use crate::ports::vault::{Encoded, Job, Unsealed, Vault};

use super::{Engine, lock};

/// The most lines of history in one mail.
const HISTORY_MAX: usize = 200;
/// The most characters of one stored letter that a mail shows.
const LETTER_SHOWN_MAX: usize = 20_000;

/// What the mails of one decision have in common: each attachment is fetched and encoded once, however many
/// get it.
#[derive(Default)]
struct Shared {
    enclosed: BTreeMap<Digest, Encoded>,
    /// By where its bytes lie, what it is called and what it says that it is.
    parts: BTreeMap<(*const u8, String, String), Encoded>,
    stored: BTreeMap<(Digest, usize), Encoded>,
}

/// What stands under a name, made where it is not there yet.
fn once<K: Ord>(
    all: &mut BTreeMap<K, Encoded>,
    name: K,
    make: impl FnOnce() -> Result<Encoded, Fault>,
) -> Result<Encoded, Fault> {
    Ok(match all.entry(name) {
        Slot::Occupied(known) => Encoded::clone(known.get()),
        Slot::Vacant(free) => Encoded::clone(free.insert(make()?)),
    })
}

impl Shared {
    fn enclosed(
        &mut self,
        vault: &dyn Vault,
        enclosure: &Enclosure,
        read: impl FnOnce() -> Result<Attachment, Fault>,
    ) -> Result<Encoded, Fault> {
        once(&mut self.enclosed, enclosure.bytes, || vault.encoded(&read()?))
    }

    fn part(
        &mut self,
        vault: &dyn Vault,
        part: &Attachment,
        read: impl FnOnce() -> Result<Attachment, Fault>,
    ) -> Result<Encoded, Fault> {
        if let Some(stored) = part.stored {
            return once(&mut self.stored, stored, || vault.encoded(&read()?));
        }
        let media = format!("{}{}", part.media, part.parameters);
        let place = (part.bytes.as_ptr(), part.name.to_string(), media);
        once(&mut self.parts, place, || vault.encoded(part))
    }
}

impl Engine {
    /// Seals mails on all cores. What cannot be sealed comes back with the reason.
    #[expect(clippy::type_complexity, reason = "two lists: made, and withheld with why")]
    pub(super) fn seal(
        &self,
        mails: &[Mail],
        bodies: &[Body],
        now: Moment,
    ) -> Result<(Vec<Sealed>, Vec<(Mail, String)>), Fault> {
        let (mut jobs, vault) = (Vec::new(), self.vault.as_ref());
        let mut shared = Shared::default();
        for mail in mails {
            let mut parts = Vec::new();
            for part in &mail.attachments {
                parts.push(shared.part(vault, part, || self.fetched(part))?);
            }
            if let Words::Frozen { enclosures, .. } = &mail.words {
                for enclosure in enclosures {
                    parts.push(
                        shared.enclosed(vault, enclosure, || self.attachment(enclosure, bodies))?,
                    );
                }
            }
            let (written, certificate) = (self.words(mail, bodies)?, self.certificate(mail)?);
            let newer = mail.key.as_ref().is_some_and(|key| self.desk.seals_newer(key));
            jobs.push(Job { mail, written, parts, certificate, newer });
        }
        drop(shared);
        let spool = lock(&self.store).spool();
        let results = vault.seal(&jobs, spool.as_ref(), now);
        let mut made = Vec::new();
        let mut withheld = Vec::new();
        for (mail, result) in mails.iter().zip(results) {
            match result {
                Ok(sealed) => made.push(sealed),
                Err(Unsealed::Key(why)) => withheld.push((mail.clone(), why)),
                Err(Unsealed::Fault(fault)) => return Err(fault),
            }
        }
        Ok((made, withheld))
    }

    /// The certificate of a mail's key, where it is not in memory: those of reporters of closed incidents are
    /// fetched when they are needed.
    pub(super) fn certificate(&self, mail: &Mail) -> Result<Option<String>, Fault> {
        let Some(fingerprint) = mail.key.as_ref().filter(|key| !self.vault.knows(key)) else {
            return Ok(None);
        };
        let incident = mail.about.as_ref().and_then(|handle| self.desk.incident(handle));
        let key = incident.and_then(|incident| incident.reporter.key.as_ref());
        let Some(key) = key.filter(|key| key.fingerprint == *fingerprint) else { return Ok(None) };
        lock(&self.store).body(key.certificate)
    }

    /// A part of a kept mail where one stands for it, or a note in its place.
    fn fetched(&self, part: &Attachment) -> Result<Attachment, Fault> {
        let Some((raw, n)) = part.stored else { return Ok(part.clone()) };
        let mail = lock(&self.store).mail(raw)?;
        let found = mail.map(|mail| self.vault.whole(&mail, &self.desk.settings).attachments);
        let found = found.map(|parts| parts.into_iter().nth(n));
        let most = self.desk.limits.relay_bytes(&self.desk.settings);
        let most = (most / 19).saturating_mul(10);
        let why = match found {
            None => "The mail is not kept any more.".to_owned(),
            Some(None) => "The mail has no such part.".to_owned(),
            Some(Some(part)) if holds_reference(&part) => {
                "It quotes a reference of ours, which is nobody else's.".to_owned()
            }
            Some(Some(part)) if part.bytes.len() > most => format!(
                "It has {} bytes, more than a mail of this desk may carry (`relay_bytes` in [limits], or what the mail server takes).\n\
                 Whoever runs the desk writes it to a file with `embargod part`, and hands it on.",
                part.bytes.len()
            ),
            Some(Some(part)) => return Ok(part),
        };
        Ok(Attachment::of_file("not-attached.txt", format!("{why}\n").into_bytes()))
    }

    /// What was approved with a draft, byte for byte.
    pub(super) fn attachment(
        &self,
        enclosure: &Enclosure,
        bodies: &[Body],
    ) -> Result<Attachment, Fault> {
        let gone = || Fault::new("an attachment of a frozen draft is gone", "freeze it again");
        let fresh = bodies.iter().find(|body| body.name == enclosure.bytes);
        let hex = match fresh {
            Some(body) => body.text.clone(),
            None => lock(&self.store).body(enclosure.bytes)?.ok_or_else(gone)?,
        };
        let bytes = unhex(&hex).ok_or_else(gone)?;
        if Digest::of(&bytes) != enclosure.sha256 {
            return Err(gone());
        }
        Ok(Attachment {
            name: Foreign::line(&enclosure.name, enclosure.name.len()),
            media: enclosure.media.clone(),
            // They stand in the type, as it was frozen.
            parameters: String::new(),
            bytes: bytes.into(),
            of_other_form: false,
            outside: false,
            stored: None,
            left: None,
        })
    }

    /// The newest lines of an incident's history.
    pub(super) fn history(&self, handle: &Handle) -> Result<Vec<String>, Fault> {
        let records = lock(&self.store).history(handle)?;
        let lines = records.iter().filter_map(history::line);
        let mut lines: Vec<String> = lines.collect();
        let older = lines.len().saturating_sub(HISTORY_MAX);
        if older > 0 {
            lines.drain(..older);
            lines.insert(0, format!("({older} older lines: `embargod log {handle}`)"));
        }
        Ok(lines)
    }

    /// The words of a mail with everything filled in.
    pub(super) fn words(&self, mail: &Mail, bodies: &[Body]) -> Result<Written, Fault> {
        let fetch = |name: Digest| -> Option<String> {
            let fresh = bodies.iter().find(|body| body.name == name).map(|body| body.text.clone());
            fresh.or_else(|| lock(&self.store).body(name).ok().flatten())
        };
        let frozen = |name: Digest| -> Result<Written, Fault> {
            let text = fetch(name)
                .ok_or_else(|| Fault::new("a frozen draft is gone", "freeze it again"))?;
            serde_json::from_str(&text).at(|| "a frozen draft".to_owned())
        };
        match &mail.words {
            Words::Sealed(written) => {
                let body = fill_history(&written.body, |handle| self.history(handle))?;
                let body = fill_blobs(&body, |name| fetch(name).map(|text| shortened(&text)));
                Ok(Written { subject: written.subject.clone(), body })
            }
            Words::Clear(text) => Ok(text.written().clone()),
            Words::Frozen { draft, name, reference, late, enclosures: _ } => {
                Ok(frozen(*draft)?.for_recipient(name, reference, late.as_deref()))
            }
            Words::SaidInClear { draft, by: _ } => frozen(*draft),
            Words::Public { draft, late, gate: _ } => {
                Ok(frozen(*draft)?.for_recipient("", "", late.as_deref()))
            }
        }
    }
}

/// The beginning of a letter that is too long to be shown whole.
fn shortened(text: &str) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.by_ref().take(LETTER_SHOWN_MAX).collect();
    let rest = chars.count();
    if rest > 0 {
        out.push_str(&format!("\n(cut here: {rest} more characters are kept at the desk)"));
    }
    out
}

//! From raw bytes to a [`Letter`]: what a mail is, whether it is encrypted and signed, and what it
//! says. At the MIME root and nowhere else.

use crate::domain::facts::foreign::{Foreign, LINE_MAX};
use crate::domain::facts::letter::{
    Failure, FoundKey, KeyRank, Letter, Protection, Shape, Signature, Verdict,
};
use crate::domain::facts::names::{Address, Digest, Moment};
use crate::domain::outgoing::texts;
use crate::edge::mime::{Mime, Part, TooComplex};
use crate::edge::pgp::{Certificate, Keyring, Known, Limits};
use crate::edge::{mime, pgp};
use crate::ports::store::RawMail;

/// Opens mails. Holds no state, so mails are opened in parallel.
#[derive(Clone, Copy)]
pub struct Opener<'a> {
    /// Our keys.
    pub keyring: &'a Keyring,
    /// Certificates that signatures are checked against.
    pub known: &'a dyn Known,
    /// Our address, by which a return path of ours is recognised.
    pub address: Option<&'a Address>,
    /// How much may come out.
    pub limits: Limits,
}

/// What shows who wrote a mail.
#[derive(Debug)]
pub struct Proof {
    /// The bytes that are signed.
    pub signed: Vec<u8>,
    /// The signature over them, detached; `None` when it stands among them (clear-signed).
    pub signature: Option<Vec<u8>>,
}

/// A certificate, and where it was found.
struct Found {
    rank: KeyRank,
    certificate: Certificate,
}

/// The most certificates of one mail that are looked at.
const CERTIFICATES_MAX: usize = 5;
/// The largest that is kept for a reporter.
const CERTIFICATE_MAX: usize = 64 * 1024;

/// The content of a mail once its protection is off.
struct Content {
    bytes: Option<Vec<u8>>,
    verdict: Verdict,
    signer: Option<Certificate>,
    /// The content of an inline block has no headers of its own.
    is_entity: bool,
    /// The charset that the block or the mail around it says its text is in.
    charset: Option<String>,
}

impl Content {
    fn plain(verdict: Verdict) -> Self {
        Self { bytes: None, verdict, signer: None, is_entity: true, charset: None }
    }

    fn failed(failure: Failure, message: Option<&[u8]>) -> Self {
        let mut verdict = Verdict::plain();
        verdict.failure = Some(failure);
        verdict.openpgp = message.map(Digest::of);
        Self::plain(verdict)
    }
}

impl Opener<'_> {
    /// Opens a mail. Whatever it holds, a letter comes out; what could not be opened says so.
    #[must_use]
    pub fn open(&self, raw: &RawMail) -> Letter {
        let Ok(outer) = Mime::parse(&raw.bytes) else {
            return self.unread(raw, Failure::TooComplex);
        };
        let at = raw.received;
        let mut found = self.outer_keys(&outer);
        let outside: Vec<_> = found.iter().map(|found| found.certificate.clone()).collect();
        let mut content = if raw.oversize {
            Content::failed(Failure::TooLarge, None)
        } else {
            self.content(&outer, &outside, at)
        };
        let encrypted = content.verdict.protection.is_encrypted();
        let bytes = content.bytes.take();
        let Some(bytes) = bytes else {
            return self.letter(raw, &outer, None, content, None, found);
        };
        let inner = content.is_entity.then(|| Mime::parse(&bytes));
        // What has no content type is a text that somebody encrypted without a mail around it.
        let inner = inner.filter(|i| i.as_ref().map_or(true, |i| i.count("Content-Type") > 0));
        let inner = match inner {
            None => {
                let text = mime::decode(&bytes, content.charset.as_deref());
                return self.letter(raw, &outer, None, content, Some(text), found);
            }
            Some(Err(TooComplex)) => {
                content.verdict.failure = Some(Failure::TooComplex);
                return self.letter(raw, &outer, None, content, Some(String::new()), found);
            }
            Some(Ok(inner)) => inner,
        };
        found.extend(self.inner_keys(&inner, encrypted));
        // A signed entity inside the encryption (RFC 3156, 6.1): the payload is one layer further
        // in, and its headers and keys are what counts, whoever signed it: they came encrypted.
        let payload = signed_parts(&inner).filter(|_| encrypted).map(|(content, _)| content);
        let payload = payload.and_then(|part| Mime::parse(inner.raw(part)).ok());
        if let Some(payload) = &payload {
            found.extend(self.inner_keys(payload, encrypted));
        }
        if content.verdict.signature == Signature::UnknownKey
            || (encrypted && content.verdict.signature == Signature::None)
        {
            self.look_again(&outer, &inner, &mut content, &found, at);
        }
        let shown = payload.as_ref().unwrap_or(&inner);
        self.letter(raw, &outer, Some(shown), content, None, found)
    }

    /// The signature may be by a key that came along inside, or may be one layer further in
    /// (RFC 3156, 6.1: a signed entity inside the encryption).
    fn look_again(
        &self,
        outer: &Mime<'_>,
        inner: &Mime<'_>,
        content: &mut Content,
        found: &[Found],
        at: Moment,
    ) {
        let more: Vec<_> = found.iter().map(|found| found.certificate.clone()).collect();
        if content.verdict.signature == Signature::None {
            if let Some((signature, signer)) = self.signed_root(inner, &more, at) {
                content.verdict.signature = signature;
                content.signer = signer;
                content.verdict.protection = Protection::Both;
            }
            return;
        }
        if let Some(message) = encrypted_message(outer).ok().flatten()
            && let Ok(opened) =
                pgp::open(self.keyring, self.known, &more, &message.bytes, at, self.limits)
        {
            content.verdict.signature = opened.signature;
            content.signer = opened.signer;
        }
    }

    /// The bytes of a mail that are signed, and the signature over them, so that another program can
    /// check who wrote it. `None` when no signature of a known key holds.
    #[must_use]
    pub fn proof(&self, raw: &RawMail) -> Option<Proof> {
        let outer = Mime::parse(&raw.bytes).ok()?;
        let at = raw.received;
        if let Some(message) = encrypted_message(&outer).ok()? {
            let opened =
                pgp::open(self.keyring, self.known, &[], &message.bytes, at, self.limits).ok()?;
            if let (Signature::Valid(_), Some(proof)) = (&opened.signature, &opened.proof) {
                let signature = Some(proof.armored()?);
                return Some(Proof { signed: opened.content, signature });
            }
            return self.detached(&Mime::parse(&opened.content).ok()?, at);
        }
        self.detached(&outer, at).or_else(|| {
            let content = self.inline(&outer, at)?;
            let holds = matches!(content.verdict.signature, Signature::Valid(_));
            let signed = holds.then(|| whole_text(&outer)).flatten()?;
            Some(Proof { signed, signature: None })
        })
    }

    fn detached(&self, mime: &Mime<'_>, at: Moment) -> Option<Proof> {
        let (Signature::Valid(_), _) = self.signed_root(mime, &[], at)? else { return None };
        let parts = mime.children(mime.root());
        let [content, signature] = parts.as_slice() else { return None };
        let signed = crlf(mime.raw(*content));
        Some(Proof { signed, signature: Some(mime.bytes(*signature)) })
    }

    fn content(&self, outer: &Mime<'_>, outside: &[Certificate], at: Moment) -> Content {
        let root = outer.root();
        let media = outer.media(root);
        if matches!(media.as_str(), "application/pkcs7-mime" | "application/x-pkcs7-mime")
            || outer.parameter(root, "protocol").is_some_and(|p| p.contains("pkcs7"))
        {
            return Content::failed(Failure::Smime, None);
        }
        match encrypted_message(outer) {
            Err(failure) => return Content::failed(failure, None),
            Ok(Some(message)) => return self.encrypted(&message, at),
            Ok(None) => {}
        }
        if let Some((signature, signer)) = self.signed_root(outer, outside, at) {
            let mut verdict = Verdict::plain();
            verdict.protection = Protection::Signed;
            verdict.signature = signature;
            let bytes = outer.children(root).first().map(|part| outer.raw(*part).to_vec());
            return Content { bytes, verdict, signer, is_entity: true, charset: None };
        }
        if let Some(content) = self.inline(outer, at) {
            return content;
        }
        let mut verdict = Verdict::plain();
        if outer.has_signed_part() {
            verdict.signature = Signature::Partial;
        }
        Content::plain(verdict)
    }

    fn encrypted(&self, message: &Encrypted, at: Moment) -> Content {
        let opened = match pgp::open(self.keyring, self.known, &[], &message.bytes, at, self.limits)
        {
            Ok(opened) => opened,
            Err(failure) => {
                let mut content = Content::failed(failure, Some(&message.bytes));
                content.verdict.inline = message.inline;
                content.verdict.repaired = message.repaired;
                return content;
            }
        };
        let signed = opened.signature != Signature::None;
        let verdict = Verdict {
            protection: if signed { Protection::Both } else { Protection::Encrypted },
            inline: message.inline,
            repaired: message.repaired,
            signature: opened.signature,
            failure: None,
            session: Some(opened.session),
            openpgp: Some(Digest::of(&message.bytes)),
        };
        let is_entity = !message.inline;
        Content {
            bytes: Some(opened.content),
            verdict,
            signer: opened.signer,
            is_entity,
            charset: message.charset.clone(),
        }
    }

    /// A signature over the whole of an entity: `multipart/signed` at its root, exactly two parts
    /// (RFC 3156, 5).
    fn signed_root(
        &self,
        mime: &Mime<'_>,
        more: &[Certificate],
        at: Moment,
    ) -> Option<(Signature, Option<Certificate>)> {
        let root = mime.root();
        if mime.media(root) != "multipart/signed" {
            return None;
        }
        let Some((content, signature)) = signed_parts(mime) else {
            return Some((Signature::Invalid, None));
        };
        let entity = crlf(mime.raw(content));
        Some(pgp::verify_detached(
            Some(self.keyring),
            self.known,
            more,
            &entity,
            &mime.bytes(signature),
            at,
        ))
    }

    /// An inline block that is the whole body of a mail of one part.
    fn inline(&self, outer: &Mime<'_>, at: Moment) -> Option<Content> {
        let block = whole_text(outer)?;
        let text = String::from_utf8_lossy(&block);
        if !text.starts_with("-----BEGIN PGP SIGNED MESSAGE-----") {
            return None;
        }
        // What stands after the signature is not covered by it.
        let end = "-----END PGP SIGNATURE-----";
        if text.matches(end).count() != 1 || !text.ends_with(end) {
            let mut verdict = Verdict::plain();
            verdict.signature = Signature::Partial;
            return Some(Content::plain(verdict));
        }
        // The bytes, not the text: a signature over Latin-1 holds over Latin-1 only.
        let (content, signature, signer) =
            pgp::verify_inline(Some(self.keyring), self.known, &block, at, self.limits)?;
        let mut verdict = Verdict::plain();
        verdict.protection = Protection::Signed;
        verdict.inline = true;
        verdict.signature = signature;
        let charset = charset_of(outer, &text);
        Some(Content { bytes: Some(content), verdict, signer, is_entity: false, charset })
    }

    //-------- Keys that came along ---------------------------------------------------------------

    fn outer_keys(&self, outer: &Mime<'_>) -> Vec<Found> {
        let mut found = attached_keys(outer, KeyRank::Outside);
        found.extend(autocrypt(outer, KeyRank::Outside));
        found
    }

    fn inner_keys(&self, inner: &Mime<'_>, encrypted: bool) -> Vec<Found> {
        let (attached, header) = if encrypted {
            (KeyRank::Inside, KeyRank::ProtectedHeader)
        } else {
            (KeyRank::Outside, KeyRank::Outside)
        };
        let mut found = attached_keys(inner, attached);
        found.extend(autocrypt(inner, header));
        found
    }

    //-------- The letter -------------------------------------------------------------------------

    fn unread(&self, raw: &RawMail, failure: Failure) -> Letter {
        // Headers of a mail that is not taken apart are not trusted either; it is kept and shown.
        Letter {
            received: raw.received.min(raw.arrived),
            arrived: raw.arrived,
            server_time: raw.received,
            raw: Digest::of(&raw.bytes),
            message_id: None,
            from: Vec::new(),
            from_text: Foreign::line("(not read)", LINE_MAX),
            return_path: None,
            to: Vec::new(),
            subject: Foreign::line("(not read)", LINE_MAX),
            subject_protected: false,
            answers: Vec::new(),
            shape: Shape::Mail,
            report: None,
            malformed: true,
            verdict: Verdict { failure: Some(failure), ..Verdict::plain() },
            text: String::new(),
            html_only: false,
            text_cut: false,
            attachments: Vec::new(),
            keys: Vec::new(),
            certificates: Vec::new(),
            revoked: Vec::new(),
            junk: raw.junk,
            from_before: false,
            unwitnessed: false,
            return_token: None,
        }
    }

    fn letter(
        &self,
        raw: &RawMail,
        outer: &Mime<'_>,
        inner: Option<&Mime<'_>>,
        content: Content,
        text: Option<String>,
        found: Vec<Found>,
    ) -> Letter {
        let verdict = content.verdict;
        let body_of = inner.unwrap_or(outer);
        let mut body = body_of.body();
        if inner.is_none() && (verdict.openpgp.is_some() || text.is_some()) {
            // The armor itself is nobody's text.
            body.plain.clear();
        }
        // Neither is a ciphertext that was opened.
        let opened = text.is_some() && verdict.failure.is_none();
        if opened || verdict.failure == Some(Failure::TooLarge) {
            body.attachments.clear();
        }
        // Headers inside a signature that does not hold are anybody's.
        let holds = verdict.protection.is_encrypted() || verdict.signed().is_some();
        let protected = inner.filter(|inner| holds && is_protected(inner));
        let subject = protected.and_then(Mime::subject);
        let (message_id, mut answers) = outer.ids();
        if let Some(inner) = protected {
            answers.splice(0..0, inner.ids().1);
        }
        let (from, from_text) = outer.from();
        let to = outer.to();
        let keys = ranked(found, content.signer, &verdict, &from, raw.received);
        let at = raw.received;
        let encrypted = verdict.protection.is_encrypted();
        let inside = inner.filter(|_| encrypted).map(attached_bytes).unwrap_or_default();
        let certificates =
            inside.iter().filter_map(|bytes| pgp::attached(self.known, bytes, at)).collect();
        let mut revoked = Vec::new();
        // Attached, or pasted into the text.
        let pasted = body.plain.iter().filter_map(|text| public_key_block(text));
        for bytes in inside.iter().cloned().chain(attached_bytes(outer)).chain(pasted) {
            revoked.extend(pgp::revoked(self.known, &bytes, at));
        }
        Letter {
            received: raw.received.min(raw.arrived),
            arrived: raw.arrived,
            server_time: raw.received,
            raw: Digest::of(&raw.bytes),
            message_id,
            from,
            from_text: Foreign::line(&from_text, LINE_MAX),
            return_path: outer.return_path(),
            subject_protected: subject.is_some(),
            subject: Foreign::line(
                &subject.or_else(|| outer.subject()).unwrap_or_default(),
                LINE_MAX,
            ),
            answers,
            shape: outer.shape(),
            report: outer.delivery_report(),
            malformed: outer.is_malformed(),
            verdict,
            text: text.map_or_else(|| body.plain.join("\n"), |text| texts::clean(&text)),
            html_only: body.html_only,
            text_cut: body.cut,
            attachments: body.attachments,
            keys,
            certificates,
            revoked,
            junk: raw.junk,
            from_before: false,
            unwitnessed: false,
            return_token: self.address.and_then(|address| return_token(address, &to)),
            to,
        }
    }
}

/// What is signed and the signature over it, where a root is just that (RFC 3156, 5).
fn signed_parts(mime: &Mime<'_>) -> Option<(Part, Part)> {
    let root = mime.root();
    match mime.children(root).as_slice() {
        [content, signature]
            if mime.media(root) == "multipart/signed"
                && mime.media(*signature) == "application/pgp-signature" =>
        {
            Some((*content, *signature))
        }
        _ => None,
    }
}

/// An encrypted message, found at the root of a mail.
struct Encrypted {
    bytes: Vec<u8>,
    inline: bool,
    repaired: bool,
    charset: Option<String>,
}

/// Finds the encrypted message that is the whole of a mail. Ciphertext anywhere else is an
/// attachment and is left alone: decrypting what is found is how captured mail is read back.
fn encrypted_message(outer: &Mime<'_>) -> Result<Option<Encrypted>, Failure> {
    let root = outer.root();
    let parts = outer.children(root);
    let media: Vec<String> = parts.iter().map(|part| outer.media(*part)).collect();
    let media: Vec<&str> = media.iter().map(String::as_str).collect();
    let pgp_mime = |part: Part, repaired| Encrypted {
        bytes: outer.bytes(part),
        inline: false,
        repaired,
        charset: None,
    };
    match (outer.media(root).as_str(), media.as_slice(), parts.as_slice()) {
        (
            "multipart/encrypted",
            ["application/pgp-encrypted", "application/octet-stream"],
            [_, data],
        ) => {
            return Ok(Some(pgp_mime(*data, false)));
        }
        ("multipart/encrypted", ..) => return Err(Failure::Malformed),
        // What Exchange makes of it: an empty text, the control part, the ciphertext, nothing else.
        (
            "multipart/mixed",
            ["text/plain", "application/pgp-encrypted", "application/octet-stream"],
            [text, _, data],
        ) if outer.text_of(*text).trim().is_empty() => return Ok(Some(pgp_mime(*data, true))),
        _ => {}
    }
    let Some(block) = whole_text(outer) else { return Ok(None) };
    let text = String::from_utf8_lossy(&block);
    let (begin, end) = ("-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----");
    let whole = text.starts_with(begin) && text.ends_with(end) && text.matches(begin).count() == 1;
    let charset = charset_of(outer, &text);
    Ok(whole.then(|| Encrypted { bytes: block.clone(), inline: true, repaired: false, charset }))
}

/// The bytes of a mail that is one plain text and nothing else.
fn whole_text(outer: &Mime<'_>) -> Option<Vec<u8>> {
    let root = outer.root();
    let is_text = outer.children(root).is_empty() && outer.media(root) == "text/plain";
    let bytes = is_text.then(|| outer.bytes(root))?;
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    Some(text.trim_ascii().to_vec())
}

/// What charset an inline block is in: by its own armor header, or by the mail around it.
fn charset_of(outer: &Mime<'_>, block: &str) -> Option<String> {
    let own = block.lines().take(10).find_map(|line| line.strip_prefix("Charset:"));
    own.map(|charset| charset.trim().to_ascii_lowercase())
        .or_else(|| outer.parameter(outer.root(), "charset"))
}

/// Line ends as they were signed (RFC 3156, 5): a server may have made them bare.
#[must_use]
pub fn crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut before = 0;
    for byte in bytes {
        if *byte == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(*byte);
        before = *byte;
    }
    out
}

fn is_protected(inner: &Mime<'_>) -> bool {
    let root = inner.root();
    inner.parameter(root, "hp").is_some() || inner.parameter(root, "protected-headers").is_some()
}

/// An armored block of public keys, or of a revocation, that stands in a text.
fn public_key_block(text: &str) -> Option<Vec<u8>> {
    const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
    let from = text.find("-----BEGIN PGP PUBLIC KEY BLOCK-----")?;
    let block = text.get(from..)?;
    let to = block.find(END)?.saturating_add(END.len());
    block.get(..to).map(|block| block.as_bytes().to_vec())
}

/// What is attached that may be a certificate.
fn attached_bytes(mime: &Mime<'_>) -> Vec<Vec<u8>> {
    let some = mime.certificates().filter(|bytes| bytes.len() <= CERTIFICATE_MAX);
    some.take(CERTIFICATES_MAX).collect()
}

fn attached_keys(mime: &Mime<'_>, rank: KeyRank) -> Vec<Found> {
    attached_bytes(mime)
        .into_iter()
        .filter_map(|bytes| Certificate::read(&bytes).ok())
        .map(|certificate| Found { rank, certificate })
        .collect()
}

/// The key of an `Autocrypt` header, if there is exactly one that is valid (Autocrypt 1.1, 2.3).
fn autocrypt(mime: &Mime<'_>, rank: KeyRank) -> Option<Found> {
    if mime.count("Autocrypt") != 1 || mime.from().0.len() != 1 {
        return None;
    }
    let header = mime.header("Autocrypt")?;
    let (mut address, mut data) = (None, None);
    for attribute in header.split(';') {
        let (name, value) = attribute.split_once('=')?;
        match name.trim() {
            "addr" => address = Address::parse(value),
            "keydata" => {
                data = Some(value.chars().filter(|c| !c.is_whitespace()).collect::<String>())
            }
            "prefer-encrypt" => {}
            // An attribute that is not known and not marked as optional makes the header invalid.
            other if other.starts_with('_') => {}
            _ => return None,
        }
    }
    let same =
        mime.from().0.first().zip(address.as_ref()).is_some_and(|(from, addr)| from.same_box(addr));
    let bytes = mime::base64(data?.as_bytes())?;
    let certificate =
        Certificate::read(&bytes).ok().filter(|_| same && bytes.len() <= CERTIFICATE_MAX)?;
    Some(Found { rank, certificate })
}

/// The certificates that came along, best rank first, usable ones only.
fn ranked(
    found: Vec<Found>,
    signer: Option<Certificate>,
    verdict: &Verdict,
    from: &[Address],
    at: Moment,
) -> Vec<FoundKey> {
    let mut all = Vec::new();
    if let Some(certificate) = signer.filter(|_| verdict.protection == Protection::Both) {
        all.push(Found { rank: KeyRank::Signer, certificate });
    }
    // A key that came in from outside must at least bear the author's address; of several inside,
    // the author's own comes first.
    let own = |found: &Found| from.iter().any(|from| found.certificate.is_for(from));
    all.extend(found.into_iter().filter(|found| found.rank != KeyRank::Outside || own(found)));
    all.sort_by_key(|found| (found.rank, !own(found)));
    let mut keys: Vec<FoundKey> = Vec::new();
    for Found { rank, certificate } in all {
        let fingerprint = certificate.fingerprint();
        let known = keys.iter().any(|key| key.fingerprint == fingerprint);
        if !known && certificate.check(at).is_ok() && keys.len() < CERTIFICATES_MAX {
            keys.push(FoundKey { rank, fingerprint, certificate: certificate.armored() });
        }
    }
    keys
}

/// The token of a return path of ours among the addresses that a mail was delivered to.
fn return_token(address: &Address, to: &[Address]) -> Option<String> {
    to.iter().filter(|to| to.domain() == address.domain()).find_map(|to| {
        let rest = to.local().strip_prefix(address.local())?;
        let token = rest.strip_prefix("+r-")?;
        (token.len() == 32).then(|| token.to_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use crate::edge::pgp::{Directory, LIMITS, generate};

    use super::*;

    const NOW: &str = "2026-03-02T09:00:00Z";

    fn keyring(name: &str) -> Keyring {
        let at: Moment = NOW.parse().unwrap();
        let address = format!("{name}@people.test");
        let (secret, _) = generate(name, &address, None, None, at).unwrap();
        Keyring::open(&[secret], None, [0; 32], at).unwrap()
    }

    /// What the desk reads in an entity that somebody unknown signed and sealed for it.
    fn opened(entity: &str) -> Letter {
        let desk = keyring("security");
        let at: Moment = NOW.parse().unwrap();
        let sealed = keyring("rita").seal(&desk.certificate(), entity.as_bytes(), at).unwrap();
        let mail = format!(
            "From: rita@people.test\r\nDate: {}\r\nSubject: ...\r\n\
             Content-Type: multipart/encrypted; boundary=e\r\n\r\n\
             --e\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\
             --e\r\nContent-Type: application/octet-stream; name=msg.asc\r\n\r\n{}\r\n--e--\r\n",
            at.to_rfc2822(),
            String::from_utf8(sealed).unwrap()
        );
        let known = Directory::default();
        let opener = Opener { keyring: &desk, known: &known, address: None, limits: LIMITS };
        let bytes = mail.into_bytes();
        opener.open(&RawMail { bytes, received: at, arrived: at, oversize: false, junk: false })
    }

    #[test]
    fn a_ciphertext_that_was_opened_is_no_attachment() {
        let letter = opened("\nOnly a text, and no mail around it.\n");
        assert_eq!(letter.text.trim(), "Only a text, and no mail around it.");
        assert!(letter.attachments.is_empty());
    }

    #[test]
    fn the_subject_inside_is_read_whoever_signed_it() {
        let payload = "Content-Type: text/plain; protected-headers=v1\r\n\
             Subject: Overflow in parse()\r\n\r\nIt overflows.\r\n";
        for entity in [
            payload.to_owned(),
            format!(
                "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n{payload}\r\n--s\r\n\
                 Content-Type: application/pgp-signature\r\n\r\nnone\r\n--s--\r\n"
            ),
        ] {
            let letter = opened(&entity);
            assert_eq!(letter.verdict.signature, Signature::UnknownKey);
            assert_eq!(letter.subject.as_str(), "Overflow in parse()");
            assert!(letter.subject_protected && letter.text.contains("It overflows."));
        }
        // What is not signed as a whole is not one payload, and all of it is read.
        let letter = opened(
            "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\none\r\n\
             --s\r\n\r\ntwo\r\n--s--\r\n",
        );
        assert!(letter.text.contains("one") && letter.text.contains("two"));
    }
}

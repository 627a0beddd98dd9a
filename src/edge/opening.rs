//! From raw bytes to a [`Letter`]: what a mail is, whether it is encrypted and signed, and what it
//! says. What is opened is one ciphertext at most, by the table in `forms`; what counts as signed is a
//! signature over all of what was encrypted, or over the whole mail, and nothing else.

mod armor;
mod forms;
mod inside;
mod keys;
mod outside;

use crate::domain::facts::foreign::{Foreign, LINE_MAX};
use crate::domain::facts::letter::{Attachment, Failure, Letter, Protection, Signature, Verdict};
use crate::domain::facts::names::{Address, Digest, Moment};
use crate::domain::facts::outer_view::KeyRank;
use crate::domain::facts::outer_view::{OuterView, Place};
use crate::domain::facts::settings::Settings;
use crate::domain::outgoing::texts;
use crate::edge::contained::contained;
use crate::edge::mime::{Body, Mime, Part, TooComplex};
use crate::edge::opening::forms::Look;
use crate::edge::opening::inside::{
    Inside, charset_of, is_entity, is_protected, text_name, whole_text, wrapped_mail,
};
use crate::edge::opening::keys::Found;
use crate::edge::pgp::{Certificate, Holds, Keyring, Known, Limits};
use crate::edge::{mime, pgp};
use crate::ports::store::RawMail;

/// Opens mails. Holds no state, so mails are opened in parallel.
#[derive(Clone, Copy)]
pub struct Opener<'a> {
    /// Our keys.
    pub keyring: &'a Keyring,
    /// Certificates that signatures are checked against.
    pub known: &'a dyn Known,
    /// What the config says of the desk: its address, by which a return path of ours is recognised, and whose
    /// word on strangers counts.
    pub settings: Option<&'a Settings>,
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

/// The content of a mail once its protection is off.
struct Content {
    inside: Option<Inside>,
    verdict: Verdict,
    signer: Option<Certificate>,
}

impl Content {
    fn plain(verdict: Verdict) -> Self {
        Self { inside: None, verdict, signer: None }
    }

    fn failed(failure: Failure) -> Self {
        Self::plain(Verdict { failure: Some(failure), ..Verdict::plain() })
    }
}

/// A text that was signed and is readable by anybody.
struct ClearSigned {
    text: Vec<u8>,
    signature: Signature,
    signer: Option<Certificate>,
}

/// A mail, and what anybody can see of it.
struct Case<'a, 'm> {
    raw: &'a RawMail,
    outer: &'a Mime<'m>,
    look: &'a Look<'a>,
    view: OuterView,
}

impl<'a, 'm> Case<'a, 'm> {
    fn read(&'a self, content: Content, found: Vec<Found>) -> Read<'a, 'm> {
        Read { case: self, content, shown: None, is_mail: false, text: None, file: None, found }
    }
}

/// What a letter is made of.
struct Read<'a, 'm> {
    case: &'a Case<'a, 'm>,
    content: Content,
    /// The entity that is shown, if there is one inside.
    shown: Option<&'a Mime<'m>>,
    /// Whether that is a whole mail, with all of its headers.
    is_mail: bool,
    /// The text that is shown, if there is one and no entity.
    text: Option<String>,
    /// The file that came out.
    file: Option<Attachment>,
    found: Vec<Found>,
}

impl Opener<'_> {
    /// Opens a mail. Whatever it holds, a letter comes out; what could not be opened says so. By somebody unknown
    /// it brings no more than a few times what was sent: the rest of its parts is left in the mail.
    #[must_use]
    pub fn open(&self, raw: &RawMail) -> Letter {
        let mut letter = self.whole(raw);
        if letter.verdict.signed().is_some_and(|by| self.known.is_pinned(&by.fingerprint)) {
            return letter;
        }
        let mut room = letter.room();
        for part in &mut letter.attachments {
            match room.checked_sub(part.size()) {
                Some(less) => room = less,
                None => part.leave(),
            }
        }
        letter
    }

    /// The same with all that it holds, whoever wrote it.
    #[must_use]
    pub fn whole(&self, raw: &RawMail) -> Letter {
        contained(|| self.taken_apart(raw)).unwrap_or_else(|| unread(raw))
    }

    fn taken_apart(&self, raw: &RawMail) -> Letter {
        let Ok(outer) = Mime::parse(&raw.bytes) else {
            return unread(raw);
        };
        let at = raw.latest();
        // From here to the answer nothing has to do with a secret key.
        let look =
            if raw.oversize { Look::default() } else { forms::look(&outer, &self.keyring.ids()) };
        let mut found = outside::keys(&outer);
        let mut view = outside::view(&outer, &look, &found, self.settings, at);
        view.spam |= raw.junk;
        let outside: Vec<_> = found.iter().map(|found| found.certificate.clone()).collect();
        let mut content = if raw.oversize {
            Content::failed(Failure::TooLarge)
        } else {
            self.content(&outer, &look, &outside, at)
        };
        let case = Case { raw, outer: &outer, look: &look, view };
        let encrypted = content.verdict.protection.is_encrypted();
        match content.inside.take() {
            None => self.letter(case.read(content, found)),
            Some(Inside::File(name, bytes)) => {
                let file = Attachment::of_file(&name, bytes);
                self.letter(Read { file: Some(file), ..case.read(content, found) })
            }
            Some(Inside::Text(bytes, charset)) => {
                let (bytes, charset) = self.clear_signed_inside(&mut content, bytes, charset, at);
                let text = mime::decode(&bytes, charset.as_deref());
                let rank = if encrypted { KeyRank::Inside } else { KeyRank::Outside };
                found.extend(keys::read(&keys::pasted(&text), rank));
                self.letter(Read { text: Some(text), ..case.read(content, found) })
            }
            Some(Inside::Entity(bytes)) => self.entity(&case, &bytes, content, found),
        }
    }

    /// The letter of a mail in which an entity was encrypted or signed.
    fn entity(
        &self,
        case: &Case<'_, '_>,
        bytes: &[u8],
        mut content: Content,
        mut found: Vec<Found>,
    ) -> Letter {
        let (at, encrypted) = (case.raw.latest(), content.verdict.protection.is_encrypted());
        let inner = match Mime::parse(bytes) {
            Err(TooComplex) => {
                content.verdict.failure = Some(Failure::TooComplex);
                return self
                    .letter(Read { text: Some(String::new()), ..case.read(content, found) });
            }
            Ok(inner) if inner.count("Content-Type") > 0 => inner,
            // What has no content type is a text that somebody encrypted without a mail around it.
            Ok(_) => {
                let (bytes, _) = self.clear_signed_inside(&mut content, bytes.to_vec(), None, at);
                let text = Some(mime::decode(&bytes, None));
                return self.letter(Read { text, ..case.read(content, found) });
            }
        };
        found.extend(inner_keys(&inner, encrypted));
        // A signed entity inside the encryption (RFC 3156, 6.1): the payload is one layer further
        // in, and its headers and keys are what counts, whoever signed it: they came encrypted.
        let payload = signed_parts(&inner).filter(|_| encrypted).map(|(content, _)| content);
        let payload = payload.and_then(|part| Mime::parse(inner.raw(part)).ok());
        if let Some(payload) = &payload {
            found.extend(inner_keys(payload, encrypted));
        }
        if content.verdict.signature == Signature::UnknownKey
            || (encrypted && content.verdict.signature == Signature::None)
        {
            self.look_again(case.look, &inner, &mut content, &found, at);
        }
        let entity = payload.as_ref().unwrap_or(&inner);
        // The whole mail, with the headers that were to be protected (RFC 8551, 3.1).
        let protected = wrapped_mail(entity).filter(|_| encrypted);
        let mail = protected.as_deref().and_then(|bytes| Mime::parse(bytes).ok());
        if let Some(mail) = &mail {
            found.extend(inner_keys(mail, encrypted));
        }
        let shown = mail.as_ref().unwrap_or(entity);
        if let Some(text) = self.clear_signed_entity(&mut content, shown, at) {
            return self.letter(Read { text: Some(text), ..case.read(content, found) });
        }
        let is_mail = mail.is_some();
        self.letter(Read { shown: Some(shown), is_mail, ..case.read(content, found) })
    }

    /// The signature may be by a key that came along inside, or may be one layer further in
    /// (RFC 3156, 6.1: a signed entity inside the encryption).
    fn look_again(
        &self,
        look: &Look<'_>,
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
        if let Some(tried) = look.tried()
            && let Ok(opened) =
                pgp::open(self.keyring, self.known, &more, tried.message(), at, self.limits)
        {
            content.verdict.signature = opened.signature;
            content.signer = opened.signer;
        }
    }

    /// A text that was signed in clear and then encrypted (`gpg --clearsign`, `gpg -e`): the signature
    /// covers all that was encrypted.
    fn clear_signed_inside(
        &self,
        content: &mut Content,
        bytes: Vec<u8>,
        charset: Option<String>,
        at: Moment,
    ) -> (Vec<u8>, Option<String>) {
        let verdict = &mut content.verdict;
        if verdict.signature != Signature::None || !verdict.protection.is_encrypted() {
            return (bytes, charset);
        }
        let Some(signed) = self.clear_signed(bytes.trim_ascii(), at) else {
            return (bytes, charset);
        };
        let Ok(signed) = signed else {
            verdict.signature = Signature::Partial;
            return (bytes, charset);
        };
        (verdict.signature, verdict.protection) = (signed.signature, Protection::Both);
        content.signer = signed.signer;
        (signed.text, charset)
    }

    /// The same in an entity that is one text and nothing else.
    fn clear_signed_entity(
        &self,
        content: &mut Content,
        shown: &Mime<'_>,
        at: Moment,
    ) -> Option<String> {
        let block = whole_text(shown)?;
        let charset = shown.parameter(shown.root(), "charset");
        let before = content.verdict.signature.clone();
        let (bytes, charset) = self.clear_signed_inside(content, block.clone(), charset, at);
        let is_signed = content.verdict.signature != before && bytes != block;
        is_signed.then(|| mime::decode(&bytes, charset.as_deref()))
    }

    /// The bytes of a mail that are signed, and the signature over them, so that another program can
    /// check who wrote it. `None` when no signature of a known key holds.
    #[must_use]
    pub fn proof(&self, raw: &RawMail) -> Option<Proof> {
        contained(|| self.proven(raw)).flatten()
    }

    fn proven(&self, raw: &RawMail) -> Option<Proof> {
        let outer = Mime::parse(&raw.bytes).ok()?;
        let at = raw.latest();
        if let Some(tried) = forms::look(&outer, &self.keyring.ids()).tried() {
            let opened =
                pgp::open(self.keyring, self.known, &[], tried.message(), at, self.limits).ok()?;
            if let (Signature::Valid(_), Some(proof)) = (&opened.signature, &opened.proof) {
                let signature = Some(proof.armored()?);
                return Some(Proof { signed: opened.content, signature });
            }
            let inner = Mime::parse(&opened.content).ok()?;
            return self
                .detached(&inner, at)
                .or_else(|| self.signed_text(opened.content.trim_ascii(), at))
                .or_else(|| self.signed_text(&whole_text(&inner)?, at));
        }
        self.detached(&outer, at).or_else(|| self.signed_text(&whole_text(&outer)?, at))
    }

    fn detached(&self, mime: &Mime<'_>, at: Moment) -> Option<Proof> {
        let (Signature::Valid(_), _) = self.signed_root(mime, &[], at)? else { return None };
        let parts = mime.children(mime.root());
        let [content, signature] = parts.as_slice() else { return None };
        let signed = crlf(mime.raw(*content));
        Some(Proof { signed, signature: Some(mime.bytes(*signature)) })
    }

    fn signed_text(&self, block: &[u8], at: Moment) -> Option<Proof> {
        let signed = self.clear_signed(block, at)?.ok()?;
        let holds = matches!(signed.signature, Signature::Valid(_));
        holds.then(|| Proof { signed: block.to_vec(), signature: None })
    }

    fn content(
        &self,
        outer: &Mime<'_>,
        look: &Look<'_>,
        outside: &[Certificate],
        at: Moment,
    ) -> Content {
        let root = outer.root();
        let media = outer.media(root);
        if matches!(media.as_str(), "application/pkcs7-mime" | "application/x-pkcs7-mime")
            || outer.parameter(root, "protocol").is_some_and(|p| p.contains("pkcs7"))
        {
            return Content::failed(Failure::Smime);
        }
        if look.tried().is_some() {
            return self.encrypted(outer, look, at);
        }
        if look.malformed {
            return Content::failed(Failure::Malformed);
        }
        // Something in it is closed; what is around it may be a good mail all the same.
        let is_smime = |place: &Place| *place == Place::Smime;
        let failure = look
            .first()
            .map(|found| if is_smime(&found.place) { Failure::Smime } else { Failure::Elsewhere });
        let mut content = self.readable(outer, outside, at);
        content.verdict.failure = failure;
        content
    }

    /// A mail in which nothing is encrypted.
    fn readable(&self, outer: &Mime<'_>, outside: &[Certificate], at: Moment) -> Content {
        if let Some((signature, signer)) = self.signed_root(outer, outside, at) {
            let mut verdict = Verdict::plain();
            verdict.protection = Protection::Signed;
            verdict.signature = signature;
            let part = outer.children(outer.root()).first().map(|part| outer.raw(*part).to_vec());
            return Content { inside: part.map(Inside::Entity), verdict, signer };
        }
        let mut verdict = Verdict::plain();
        let block = whole_text(outer);
        let signed = block.as_ref().and_then(|block| {
            self.clear_signed(block, at).or_else(|| self.packed(block, at).map(Ok))
        });
        let (Some(block), Some(Ok(signed))) = (block, &signed) else {
            if signed.is_some() || outer.has_signed_part() {
                verdict.signature = Signature::Partial;
            }
            return Content::plain(verdict);
        };
        let is_signed = signed.signature != Signature::None;
        verdict.protection = if is_signed { Protection::Signed } else { Protection::None };
        (verdict.inline, verdict.signature) = (true, signed.signature.clone());
        let charset = charset_of(outer, outer.root(), &block);
        let inside = Some(Inside::Text(signed.text.clone(), charset));
        Content { inside, verdict, signer: signed.signer.clone() }
    }

    fn encrypted(&self, outer: &Mime<'_>, look: &Look<'_>, at: Moment) -> Content {
        let Some(tried) = look.tried() else { return Content::plain(Verdict::plain()) };
        let pgp_mime = matches!(tried.place, Place::Whole | Place::Mended | Place::Among);
        let mut verdict = Verdict {
            repaired: tried.place == Place::Mended || tried.mended.is_some(),
            ..Verdict::plain()
        };
        let message = tried.message();
        let open = || pgp::open(self.keyring, self.known, &[], message, at, self.limits);
        // A library that stops at it has not opened it: to the outside that is the same.
        let opened = match contained(open).unwrap_or(Err(Failure::CannotDecrypt)) {
            Ok(opened) => opened,
            Err(failure) => {
                (verdict.failure, verdict.inline) = (Some(failure), !pgp_mime);
                verdict.reason = contained(|| pgp::reason(self.keyring, message)).flatten();
                return Content::plain(verdict);
            }
        };
        let signed = opened.signature != Signature::None;
        verdict.protection = if signed { Protection::Both } else { Protection::Encrypted };
        verdict.signature = opened.signature;
        verdict.session = Some(opened.session);
        verdict.newer = tried.seen.as_ref().is_some_and(|seen| seen.newer);
        let bytes = opened.content;
        let inside = if pgp_mime || is_entity(&bytes) {
            Inside::Entity(bytes)
        } else if matches!(tried.place, Place::File(_)) {
            match text_name(&tried.name) {
                Ok(()) if std::str::from_utf8(&bytes).is_ok() => Inside::Text(bytes, None),
                Ok(()) => Inside::File("decrypted".to_owned(), bytes),
                Err(name) => Inside::File(mime::file_name(&name, 0), bytes),
            }
        } else {
            Inside::Text(bytes, charset_of(outer, tried.part, &tried.bytes))
        };
        verdict.inline = !matches!(inside, Inside::Entity(_));
        Content { inside: Some(inside), verdict, signer: opened.signer }
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

    /// A clear-signed text; an error where only a part of it is signed.
    fn clear_signed(&self, block: &[u8], at: Moment) -> Option<Result<ClearSigned, ()>> {
        if !block.starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----") {
            return None;
        }
        // What stands after the signature is not covered by it.
        let text = String::from_utf8_lossy(block);
        let end = "-----END PGP SIGNATURE-----";
        if text.matches(end).count() != 1 || !text.ends_with(end) {
            return Some(Err(()));
        }
        // The bytes, not the text: a signature over Latin-1 holds over Latin-1 only.
        let (text, signature, signer) =
            pgp::verify_inline(Some(self.keyring), self.known, block, at, self.limits)?;
        Some(Ok(ClearSigned { text, signature, signer }))
    }

    /// A text that was signed or only packed as a whole (`gpg --sign --armor`, `gpg --store`): it looks
    /// like ciphertext, and anybody can read it.
    fn packed(&self, block: &[u8], at: Moment) -> Option<ClearSigned> {
        let is_armor = block.starts_with(b"-----BEGIN PGP MESSAGE");
        let seen = is_armor.then(|| pgp::see(block, &self.keyring.ids())).flatten()?;
        if seen.holds != Holds::Readable {
            return None;
        }
        let (text, signature, signer) =
            pgp::verify_inline(Some(self.keyring), self.known, block, at, self.limits)?;
        Some(ClearSigned { text, signature, signer })
    }

    //-------- The letter -------------------------------------------------------------------------

    fn letter(&self, read: Read<'_, '_>) -> Letter {
        let Read { case, content, shown, is_mail, text, file, found } = read;
        let Case { raw, outer, look, view } = case;
        let verdict = content.verdict;
        let opened = shown.is_some() || text.is_some() || file.is_some();
        let mut body = match shown {
            Some(inner) => inner.body(),
            None if opened || look.tried().is_some() => Body::default(),
            None => outer.body(),
        };
        let outside = if look.tried().is_some() { beside(outer, look) } else { Body::default() };
        if let Some(text) = text {
            body.plain = vec![texts::clean(&text)];
        }
        let too_large = verdict.failure == Some(Failure::TooLarge);
        body.attachments.extend(file.into_iter().chain(outside.attachments));
        body.attachments.retain(|_| !too_large);
        // Headers inside a signature that does not hold are anybody's.
        let encrypted = verdict.protection.is_encrypted();
        let holds = encrypted || verdict.signed().is_some();
        let protected = shown.filter(|inner| holds && (is_mail || is_protected(inner)));
        let subject = protected.and_then(Mime::subject);
        let mut answers = view.answers.clone();
        if let Some(inner) = protected {
            answers.splice(0..0, inner.ids().1);
        }
        let at = raw.latest();
        let inside = shown.filter(|_| encrypted).map(keys::candidates).unwrap_or_default();
        let pasted: Vec<Vec<u8>> = body.plain.iter().flat_map(|text| keys::pasted(text)).collect();
        let certificates = inside.iter().chain(pasted.iter().filter(|_| encrypted));
        let certificates =
            certificates.filter_map(|bytes| pgp::attached(self.known, bytes, at)).collect();
        let mut revoked = Vec::new();
        for bytes in inside.iter().chain(&keys::candidates(outer)).chain(&pasted) {
            revoked.extend(pgp::revoked(self.known, bytes, at));
        }
        let signer = content.signer.filter(|_| verdict.protection == Protection::Both);
        let (keys, unusable_key) = keys::ranked(found, signer, &view.writers.from, at);
        let to = outer.to();
        let subject_text = subject.clone().or_else(|| outer.subject()).unwrap_or_default();
        let (text, cut) = mime::one_text(&body.plain);
        let (beside, beside_cut) = mime::one_text(&outside.plain);
        Letter {
            received: raw.taken(),
            arrived: raw.arrived,
            server_time: raw.received,
            raw: Digest::of(&raw.bytes),
            from_text: Foreign::line(&outer.from().1, LINE_MAX),
            subject_protected: subject.is_some(),
            subject: Foreign::line(&subject_text, LINE_MAX),
            answers,
            report: outer.delivery_report(),
            malformed: outer.is_malformed(),
            verdict,
            text,
            outside: beside.trim().to_owned(),
            html_only: body.html_only,
            text_cut: body.cut || outside.cut || cut || beside_cut,
            attachments: body.attachments,
            keys,
            unusable_key,
            certificates,
            revoked,
            size: raw.bytes.len(),
            junk: raw.junk,
            from_before: false,
            unwitnessed: false,
            sure: None,
            return_token: self.settings.and_then(|desk| return_token(&desk.address, &to)),
            to,
            outer: view.clone(),
        }
    }
}

/// A mail that is not taken apart: its headers are not trusted either; it is kept and shown.
fn unread(raw: &RawMail) -> Letter {
    Letter {
        received: raw.taken(),
        arrived: raw.arrived,
        server_time: raw.received,
        from_text: Foreign::line("(not read)", LINE_MAX),
        subject: Foreign::line("(not read)", LINE_MAX),
        malformed: true,
        verdict: Verdict { failure: Some(Failure::TooComplex), ..Verdict::plain() },
        size: raw.bytes.len(),
        junk: raw.junk,
        ..Letter::blank(Digest::of(&raw.bytes), raw.taken())
    }
}

/// What stands beside what was opened or tried: texts, and files that nobody looked into.
fn beside(outer: &Mime<'_>, look: &Look<'_>) -> Body {
    let mut body = outer.body_without(&look.parts(outer));
    let texts = body.plain.iter().map(|text| forms::without_blocks(text));
    body.plain = texts.filter(|text| !text.is_empty()).collect();
    // HTML around ciphertext is how plaintext is taken away; it repeats the block at best.
    let repeats = |part: &Attachment| {
        let marks = |mark: &[u8]| part.bytes.windows(mark.len()).any(|bytes| bytes == mark);
        part.media == "text/html" && marks(b"BEGIN PGP MESSAGE")
    };
    body.attachments.retain(|part| !repeats(part));
    let blocks =
        look.other_blocks().map(|(name, bytes)| Attachment::of_file(&name, bytes.to_vec()));
    body.attachments.extend(blocks);
    for part in &mut body.attachments {
        part.outside = true;
    }
    body
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

fn inner_keys(inner: &Mime<'_>, encrypted: bool) -> Vec<Found> {
    let (attached, header) = if encrypted {
        (KeyRank::Inside, KeyRank::ProtectedHeader)
    } else {
        (KeyRank::Outside, KeyRank::Outside)
    };
    let mut found: Vec<Found> = keys::read(&keys::candidates(inner), attached).collect();
    found.extend(keys::autocrypt(inner, header));
    found
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

/// The token of a return path of ours among the addresses that a mail was delivered to.
fn return_token(address: &Address, to: &[Address]) -> Option<String> {
    // However a server on the way writes letters.
    let start = format!("{}+r-", address.local()).to_lowercase();
    to.iter().filter(|to| to.domain().eq_ignore_ascii_case(address.domain())).find_map(|to| {
        let local = to.local().to_lowercase();
        let token = local.strip_prefix(&start)?;
        (token.len() == 32).then(|| token.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use crate::domain::facts::names::{Span, later};
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
        opened_at(entity, NOW.parse().unwrap(), false)
    }

    /// The same by the clock of a desk, and by somebody who may be known.
    fn opened_at(entity: &str, arrived: Moment, is_known: bool) -> Letter {
        let desk = keyring("security");
        let at: Moment = NOW.parse().unwrap();
        let rita = keyring("rita");
        let sealed = rita.seal(&desk.certificate(), entity.as_bytes(), at).unwrap();
        let mail = format!(
            "From: rita@people.test\r\nDate: {}\r\nSubject: ...\r\n\
             Content-Type: multipart/encrypted; boundary=e\r\n\r\n\
             --e\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\
             --e\r\nContent-Type: application/octet-stream; name=msg.asc\r\n\r\n{}\r\n--e--\r\n",
            at.to_rfc2822(),
            String::from_utf8(sealed).unwrap()
        );
        let mut known = Directory::default();
        if is_known {
            known.pin(rita.certificate(), "rita");
        }
        let opener = Opener { keyring: &desk, known: &known, settings: None, limits: LIMITS };
        let bytes = mail.into_bytes();
        opener.open(&RawMail { bytes, received: at, arrived, oversize: false, junk: false })
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_signature_bad() {
        for days in [0, 1, 4, 20_000] {
            let arrived = later(NOW.parse().unwrap(), -Span::days(days));
            let letter = opened_at("\nIt overflows.\n", arrived, true);
            let signature = &letter.verdict.signature;
            assert!(matches!(signature, Signature::Valid(_)), "{days} days: {signature:?}");
        }
    }

    #[test]
    fn a_return_path_is_ours_however_a_server_writes_letters() {
        let own = Address::parse("security@desk.test").unwrap();
        let token = "0123456789abcdefghjkmnpqrstvwxyz";
        for to in [
            format!("security+r-{token}@desk.test"),
            format!("security+R-{}@desk.test", token.to_uppercase()),
            format!("SECURITY+R-{}@DESK.TEST", token.to_uppercase()),
        ] {
            let to = [Address::parse(&to).unwrap()];
            assert_eq!(return_token(&own, &to).as_deref(), Some(token), "{to:?}");
        }
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

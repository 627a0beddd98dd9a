//! Reading a mail: its parts, and where each begins and ends in the bytes as they came.
//!
//! The only file that names mail-parser. Limits come before parsing; a signature is checked over
//! the raw bytes and never over a tree that was written out again (RFC 3156, 5).

use std::borrow::Cow;
use std::sync::Arc;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::html::html_to_text;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{
    Address as Addresses, Encoding, HeaderName, HeaderValue, Message, MessageParser, MessagePart,
    MimeHeaders, PartType,
};

use crate::domain::facts::foreign::Foreign;
use crate::domain::facts::letter::Attachment;
use crate::domain::facts::names::{Address, MessageId};
use crate::domain::outgoing::texts::{clean, clean_line};
pub use crate::edge::mime::report::says_report;
use crate::edge::mime::text::{cut, is_long, unflow, with_breaks};
pub use crate::edge::mime::text::{decode, one_text};
use crate::edge::mime::transfer::lenient_base64;

mod report;
mod text;
mod transfer;

/// The most bytes of headers that are read.
const HEADERS_MAX: usize = 256 * 1024;
/// The most parts.
const PARTS_MAX: usize = 500;
/// The deepest nesting of multiparts.
const DEPTH_MAX: usize = 20;

/// The most multiparts that are closed for a mail which does not close them.
const UNCLOSED_MAX: usize = 8;

/// Why a mail is not taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooComplex;

/// A mail, taken apart.
pub struct Mime<'a> {
    raw: &'a [u8],
    message: Message<'a>,
}

/// A part, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part(usize);

impl<'a> Mime<'a> {
    /// Takes a mail apart. Never panics and never fails on odd input; what is too much is refused.
    ///
    /// # Errors
    /// When headers, parts or nesting are more than a mail needs.
    pub fn parse(raw: &'a [u8]) -> Result<Self, TooComplex> {
        if header_bytes(raw) > HEADERS_MAX {
            return Err(TooComplex);
        }
        let mut copy = masked(raw);
        let mut mime = Self::read(raw, copy.as_deref())?;
        let mut inserted = Inserted::default();
        for _ in 0..UNCLOSED_MAX {
            let Some((at, end)) = mime.unclosed(copy.as_deref().unwrap_or(raw)) else { break };
            let bytes = copy.get_or_insert_with(|| raw.to_vec());
            inserted.note(at, end.len());
            bytes.splice(at..at, end);
            mime = Self::read(raw, Some(bytes))?;
        }
        inserted.undo(&mut mime.message);
        Ok(mime)
    }

    /// Reads a mail, or the copy of it that the parser is given instead.
    fn read(raw: &'a [u8], copy: Option<&[u8]>) -> Result<Self, TooComplex> {
        let parser = MessageParser::default();
        // Something without a single header is a body and nothing else.
        let parsed = match copy {
            Some(copy) => parser.parse(copy).map(Message::into_owned),
            None => parser.parse(raw),
        };
        let mut message = parsed.unwrap_or_default();
        if message.parts.is_empty() {
            // The parser looks headers up in the first part without asking whether there is one.
            message.parts.push(only_part(raw));
        }
        if message.parts.len() > PARTS_MAX {
            return Err(TooComplex);
        }
        let mime = Self { raw, message };
        if mime.depth(Part(0), 0) > DEPTH_MAX { Err(TooComplex) } else { Ok(mime) }
    }

    /// Where a multipart ends without saying so, and the delimiter that is missing there. A
    /// delimiter of what is around it ends it all the same (RFC 2046, 5.1.2), and the parser
    /// reads on: a signature would be taken for text.
    fn unclosed(&self, bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
        let multipart = |part: &MessagePart<'a>| {
            let boundary = part.content_type()?.attribute("boundary")?.as_bytes().to_vec();
            part.sub_parts().map(|_| (usize_of(part.offset_body), boundary))
        };
        let mut to_come = self.message.parts.iter().filter_map(multipart).peekable();
        let mut open: Vec<Vec<u8>> = Vec::new();
        let mut at = 0_usize;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let begin = at;
            at = at.saturating_add(line.len());
            let Some(line) = line.strip_prefix(b"--") else { continue };
            let line = line.trim_ascii_end();
            while let Some((_, boundary)) = to_come.next_if(|(body, _)| *body <= begin) {
                open.push(boundary);
            }
            let Some(innermost) = open.last() else { continue };
            match line.strip_prefix(innermost.as_slice()) {
                Some(b"--") => {
                    open.pop();
                }
                Some(b"") => {}
                _ if open.iter().any(|boundary| is_delimiter(line, boundary)) => {
                    let before = bytes.get(..begin)?.strip_suffix(b"\n")?;
                    let before = before.strip_suffix(b"\r").unwrap_or(before);
                    let end = [b"\r\n\r\n--", innermost.as_slice(), b"--"].concat();
                    return Some((before.len(), end));
                }
                _ => {}
            }
        }
        None
    }

    fn depth(&self, part: Part, so_far: usize) -> usize {
        if so_far > DEPTH_MAX {
            return so_far;
        }
        let deeper = self
            .children(part)
            .into_iter()
            .map(|child| self.depth(child, so_far.saturating_add(1)));
        deeper.max().unwrap_or(so_far)
    }

    fn part(&self, part: Part) -> Option<&MessagePart<'a>> {
        self.message.parts.get(part.0)
    }

    /// The outermost part.
    #[must_use]
    pub fn root(&self) -> Part {
        Part(0)
    }

    /// All parts, the outermost first.
    pub fn parts(&self) -> impl Iterator<Item = Part> + use<> {
        (0..self.message.parts.len()).map(Part)
    }

    /// The name of a file; empty where there is none.
    #[must_use]
    pub fn name(&self, part: Part) -> String {
        self.part(part).and_then(MimeHeaders::attachment_name).unwrap_or_default().to_owned()
    }

    /// Whether a part says that it is attached, and no text of the mail.
    #[must_use]
    pub fn is_attached(&self, part: Part) -> bool {
        let disposition = self.part(part).and_then(MimeHeaders::content_disposition);
        disposition.is_some_and(|d| d.ctype().eq_ignore_ascii_case("attachment"))
    }

    /// The parts directly inside a multipart.
    #[must_use]
    pub fn children(&self, part: Part) -> Vec<Part> {
        match self.part(part).map(|part| &part.body) {
            Some(PartType::Multipart(ids)) => {
                ids.iter().filter_map(|id| usize::try_from(*id).ok()).map(Part).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The media type, lower case; `text/plain` where none is given.
    #[must_use]
    pub fn media(&self, part: Part) -> String {
        let Some(kind) = self.part(part).and_then(MimeHeaders::content_type) else {
            return "text/plain".to_owned();
        };
        unmasked(&format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("plain")))
            .to_ascii_lowercase()
    }

    /// A parameter of the media type.
    #[must_use]
    pub fn parameter(&self, part: Part, name: &str) -> Option<String> {
        let kind = self.part(part).and_then(MimeHeaders::content_type)?;
        kind.attribute(name).map(|value| value.trim().to_ascii_lowercase())
    }

    /// The bytes of a part as they came, headers and body, without the line end that belongs to
    /// the boundary.
    #[must_use]
    pub fn raw(&self, part: Part) -> &[u8] {
        let Some(part) = self.part(part) else { return &[] };
        let (from, to) = (usize_of(part.offset_header), usize_of(part.offset_end));
        self.raw.get(from..to).unwrap_or(&[])
    }

    /// The mail as it came.
    #[must_use]
    pub fn whole(&self) -> &[u8] {
        self.raw
    }

    /// The body of a part, its transfer encoding undone and nothing else.
    #[must_use]
    pub fn bytes(&self, part: Part) -> Vec<u8> {
        self.body_of(part).into_owned()
    }

    /// The same, where it lies if nothing has to be undone.
    #[must_use]
    pub fn body_of(&self, part: Part) -> Cow<'_, [u8]> {
        let Some(part) = self.part(part) else { return Cow::default() };
        let (from, to) = (usize_of(part.offset_body), usize_of(part.offset_end));
        let raw = self.raw.get(from..to).unwrap_or(&[]);
        // The parser gives up on an encoding at the first flaw; what can be decoded is worth more.
        let declared = part.content_transfer_encoding().map(str::to_ascii_lowercase);
        match (part.encoding, declared.as_deref()) {
            (Encoding::Base64, _) | (_, Some("base64")) => Cow::Owned(lenient_base64(raw)),
            (Encoding::QuotedPrintable, _) | (_, Some("quoted-printable")) => {
                quoted_printable_decode(raw).map_or(Cow::Borrowed(raw), Cow::Owned)
            }
            (Encoding::None, _) => Cow::Borrowed(raw),
        }
    }

    /// The text of a part, in Unicode.
    #[must_use]
    pub fn text_of(&self, part: Part) -> String {
        let flowed = self.parameter(part, "format").as_deref() == Some("flowed");
        let delsp = self.parameter(part, "delsp").as_deref() == Some("yes");
        // A legacy display is a copy of the headers for old mail programs (RFC 9788, 2.1.2); it
        // exists in encrypted mail only, so elsewhere it is text that somebody wants to hide.
        let cipher = self.parameter(self.root(), "hp").as_deref() == Some("cipher");
        let legacy = cipher && self.parameter(part, "hp-legacy-display").is_some();
        let decoded = || decode(&self.bytes(part), self.parameter(part, "charset").as_deref());
        // The parser keeps the bytes of what it could not decode, and puts marks in place of
        // letters of a charset that it does not know. We read more than that.
        let sound = |text: &str| {
            self.part(part).is_some_and(|part| !part.is_encoding_problem)
                && !text.contains(char::REPLACEMENT_CHARACTER)
        };
        let text = match self.part(part).map(|part| &part.body) {
            Some(PartType::Text(text)) if sound(text) => cut(text).to_owned(),
            Some(PartType::Html(html)) if sound(html) => html_to_text(&with_breaks(cut(html))),
            Some(PartType::Html(_)) => html_to_text(&with_breaks(&decoded())),
            _ => decoded(),
        };
        let text = clean(&unmasked(&text));
        let text = match text.split_once("\n\n") {
            Some((_, rest)) if legacy => rest.to_owned(),
            _ => text,
        };
        if flowed { unflow(&text, delsp) } else { text }
    }

    /// The body: all plain text that is not an attachment, or HTML reduced to text.
    #[must_use]
    pub fn body(&self) -> Body {
        self.body_without(&[])
    }

    /// The same without some of the parts.
    #[must_use]
    pub fn body_without(&self, parts: &[Part]) -> Body {
        let mut body = Body::default();
        self.collect(self.root(), parts, &mut body, false, 0);
        let html: Vec<_> = std::mem::take(&mut body.html);
        if is_blank(&body.plain) && !html.is_empty() {
            body.html_only = true;
            body.plain = html.into_iter().map(|(_, text)| text).collect();
        } else {
            // HTML next to a plain text (a footer, say) and not in place of it: not to be lost,
            // and not to be taken for what somebody wrote as plain text.
            let html = html.into_iter().filter(|(_, text)| !text.trim().is_empty());
            body.attachments.extend(html.map(|(part, _)| self.attachment(part, "text/html")));
        }
        if is_blank(&body.plain)
            && let Some(part) = self.named_text(parts)
        {
            // A text that bears a name and is shown: whole mail programs send theirs so.
            let file = self.attachment(part, "text/plain");
            if let Some(at) = body.attachments.iter().position(|other| *other == file) {
                body.attachments.remove(at);
                body.cut |= is_long(file.bytes.len());
                body.plain = vec![self.text_of(part)];
            }
        }
        body
    }

    /// The first text that has a name, and does not say that it is attached.
    fn named_text(&self, without: &[Part]) -> Option<Part> {
        let mut texts = self.parts().filter(|part| self.children(*part).is_empty());
        texts.find(|part| {
            let is_text = self.media(*part) == "text/plain" && !self.is_attached(*part);
            is_text && !self.name(*part).is_empty() && !without.contains(part)
        })
    }

    /// `alternative` says that the part is another form of a text that is there as well: nobody
    /// meant it as an attachment, whatever name it bears, and what is passed on of the text must
    /// not travel again in it.
    fn collect(
        &self,
        part: Part,
        without: &[Part],
        body: &mut Body,
        alternative: bool,
        depth: usize,
    ) {
        if without.contains(&part) {
            return;
        }
        let media = self.media(part);
        let children = self.children(part);
        if !children.is_empty() {
            let mut inner = Body::default();
            for child in children {
                if depth < DEPTH_MAX {
                    let alternative = alternative || media == "multipart/alternative";
                    self.collect(child, without, &mut inner, alternative, depth.saturating_add(1));
                }
            }
            if media == "multipart/alternative" {
                // The same twice; but some programs leave the plain one empty.
                if !is_blank(&inner.plain) {
                    inner.html.clear();
                } else if !inner.html.is_empty() {
                    inner.plain.clear();
                }
            }
            body.cut |= inner.cut;
            body.plain.append(&mut inner.plain);
            body.html.append(&mut inner.html);
            body.attachments.append(&mut inner.attachments);
            return;
        }
        let attached = self.is_attached(part);
        let named = self.part(part).and_then(MimeHeaders::attachment_name).is_some();
        let old_headers = self.parameter(part, "protected-headers").is_some();
        match (media.as_str(), (attached || named) && !alternative) {
            ("text/plain", false) => {
                body.cut |= is_long(self.bytes(part).len());
                body.plain.push(self.text_of(part));
            }
            ("text/html", false) => body.html.push((part, self.text_of(part))),
            // Old protected headers: shown by the mail program, not a part of the content, and
            // they hold the subject that was to be hidden.
            ("text/rfc822-headers", false) => {}
            ("text/rfc822-headers", true) if old_headers => {}
            // What PGP/MIME itself needs is not an attachment: the control part and the signature,
            // in their places and nowhere else.
            ("application/pgp-encrypted" | "application/pgp-signature", _)
                if self.is_protocol(part) => {}
            _ => {
                let whole = self.attachment(part, &media);
                body.attachments.push(Attachment { of_other_form: alternative, ..whole });
            }
        }
    }

    fn is_protocol(&self, part: Part) -> bool {
        (0..self.message.parts.len()).map(Part).any(|parent| {
            let children = self.children(parent);
            match self.media(parent).as_str() {
                "multipart/signed" => children.get(1) == Some(&part),
                "multipart/encrypted" => children.first() == Some(&part),
                // What Exchange makes of PGP/MIME, and no other mail of three parts.
                "multipart/mixed" => {
                    children.len() == 3
                        && children.get(1) == Some(&part)
                        && self.media(part) == "application/pgp-encrypted"
                }
                _ => false,
            }
        })
    }

    fn attachment(&self, part: Part, media: &str) -> Attachment {
        let name = self.part(part).and_then(MimeHeaders::attachment_name).unwrap_or("");
        Attachment {
            of_other_form: false,
            outside: false,
            stored: None,
            left: None,
            name: Foreign::line(
                &file_name(name, self.part(part).map_or(0, |part| part.offset_header)),
                100,
            ),
            media: if media.len() <= 100 && media.is_ascii() {
                media.to_owned()
            } else {
                "application/octet-stream".into()
            },
            parameters: self.parameters(part),
            bytes: Arc::from(self.bytes(part)),
        }
    }

    /// What a part's type says beside its name, as it may be written again: plain values alone, and none
    /// that speaks of the mail that the part came in.
    fn parameters(&self, part: Part) -> String {
        let kind = self.part(part).and_then(MimeHeaders::content_type);
        let all = kind.and_then(|kind| kind.attributes()).unwrap_or_default();
        let is_token = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
        };
        let is_plain = |text: &str| {
            text.len() <= 100
                && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\')
        };
        let ours = ["name", "boundary", "hp", "hp-legacy-display", "protected-headers", "protocol"];
        let known = all.iter().filter(|one| {
            let is_ours = ours.iter().any(|name| one.name.eq_ignore_ascii_case(name));
            is_token(&one.name) && is_plain(&one.value) && !is_ours
        });
        known.take(8).map(|one| format!("; {}=\"{}\"", one.name, one.value)).collect()
    }

    //-------- Headers ----------------------------------------------------------------------------

    fn values(&self, name: &HeaderName<'static>) -> impl Iterator<Item = &HeaderValue<'a>> {
        let name = name.clone();
        let root = self.message.parts.first();
        root.into_iter()
            .flat_map(|part| &part.headers)
            .filter(move |h| h.name == name)
            .map(|h| &h.value)
    }

    fn raw_values(&self, wanted: &str) -> Vec<String> {
        let raw = self.raw;
        let root = self.message.parts.first();
        let headers = root.into_iter().flat_map(|part| &part.headers);
        headers
            .filter(|header| header.name().eq_ignore_ascii_case(wanted))
            .filter_map(|header| {
                raw.get(usize_of(header.offset_start)..usize_of(header.offset_end))
            })
            .map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
            .collect()
    }

    /// How often a header stands in the mail.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.raw_values(name).len()
    }

    /// A header of the outermost part as it came, unfolded; the first one of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.raw_values(name)
            .first()
            .map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The subject, decoded.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        self.message.subject().map(|subject| clean_line(subject, 300))
    }

    /// The addresses of From, and From as it reads.
    #[must_use]
    pub fn from(&self) -> (Vec<Address>, String) {
        let mut addresses = Vec::new();
        let mut text = Vec::new();
        for value in self.values(&HeaderName::From) {
            if let HeaderValue::Address(list) = value {
                for one in all(list) {
                    let address = one.address.as_deref().unwrap_or("");
                    text.push(match &one.name {
                        Some(name) => format!("{} <{address}>", clean_line(name, 80)),
                        None => address.to_owned(),
                    });
                    // An address that is none still counts: the mail has more than one author.
                    addresses.push(Address::parse(address));
                }
            }
        }
        let all_good = addresses.iter().all(Option::is_some);
        let good = addresses.into_iter().flatten().collect();
        (if all_good { good } else { Vec::new() }, clean_line(&text.join(", "), 200))
    }

    /// The one address of a header that bears it, if it is one.
    #[must_use]
    pub fn one_address(&self, name: &str) -> Option<Address> {
        match self.addresses_in(&[name]).as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        }
    }

    /// The addresses in some headers, wherever they stand in them.
    #[must_use]
    pub fn addresses_in(&self, names: &[&str]) -> Vec<Address> {
        let values = names.iter().flat_map(|name| self.raw_values(name));
        let word = |c: char| c.is_whitespace() || "<>,;()\"".contains(c);
        let mut found: Vec<Address> = Vec::new();
        for value in values {
            let words = value.split(word).map(|w| w.trim_start_matches("mailto:"));
            found.extend(words.filter_map(|w| Address::parse(w.split('?').next().unwrap_or(w))));
        }
        found.dedup();
        found.truncate(20);
        found
    }

    /// Addresses that the mail was sent or delivered to, as far as headers say.
    #[must_use]
    pub fn to(&self) -> Vec<Address> {
        let mut to: Vec<Address> = ["Delivered-To", "X-Original-To", "Envelope-To"]
            .iter()
            .flat_map(|name| self.raw_values(name))
            .filter_map(|value| Address::parse(value.trim_matches(['<', '>'])))
            .collect();
        for name in [HeaderName::To, HeaderName::Cc] {
            for value in self.values(&name) {
                if let HeaderValue::Address(list) = value {
                    to.extend(
                        all(list).iter().filter_map(|one| Address::parse(one.address.as_deref()?)),
                    );
                }
            }
        }
        to.truncate(100);
        to
    }

    /// The envelope sender that the last server wrote down; `Some(None)` for the null path.
    #[must_use]
    pub fn return_path(&self) -> Option<Option<Address>> {
        let value = self.raw_values("Return-Path").into_iter().next()?;
        let path = value.trim().trim_start_matches('<').trim_end_matches('>').trim();
        // Some servers write the null path as the name of who uses it.
        let null = path.is_empty() || path.eq_ignore_ascii_case("mailer-daemon");
        if null { Some(None) } else { Address::parse(path).map(Some) }
    }

    /// The mail's own id, and the ids that it answers.
    #[must_use]
    pub fn ids(&self) -> (Option<MessageId>, Vec<MessageId>) {
        let own = self.message.message_id().and_then(MessageId::parse);
        let mut answers = Vec::new();
        for name in [HeaderName::InReplyTo, HeaderName::References] {
            for value in self.values(&name) {
                if let HeaderValue::Text(one) = value {
                    answers.extend(MessageId::parse(one));
                }
                if let HeaderValue::TextList(list) = value {
                    let newest = list.iter().rev().take(50);
                    answers.extend(newest.filter_map(|id| MessageId::parse(id)));
                }
            }
        }
        (own, answers)
    }

    /// Whether it breaks a rule that every mail keeps: one From with one address, one Date, at
    /// most one of each that names it (RFC 5322, 3.6).
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        self.count("From") != 1
            || self.from().0.len() != 1
            || self.count("Date") != 1
            || has_odd_header(self.raw)
            || ["To", "Subject", "Message-ID", "Sender", "Reply-To"]
                .iter()
                .any(|name| self.count(name) > 1)
    }

    /// Whether some part below the root is signed: then the mail is partly signed at best.
    #[must_use]
    pub fn has_signed_part(&self) -> bool {
        const CLEAR: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
        let by_media = (0..self.message.parts.len())
            .map(Part)
            .any(|part| self.media(part) == "multipart/signed");
        by_media || self.raw.windows(CLEAR.len()).any(|part| part == CLEAR)
    }
}

/// Whether what follows the two dashes of a line is this boundary, or its end.
fn is_delimiter(line: &[u8], boundary: &[u8]) -> bool {
    line.strip_prefix(boundary).is_some_and(|rest| matches!(rest, b"" | b"--"))
}

/// What was put into the copy that the parser read: where, and how much.
#[derive(Default)]
struct Inserted(Vec<(usize, usize)>);

impl Inserted {
    fn note(&mut self, at: usize, len: usize) {
        for (earlier, _) in &mut self.0 {
            if *earlier >= at {
                *earlier = earlier.saturating_add(len);
            }
        }
        self.0.push((at, len));
    }

    /// Makes places in the copy places in the mail as it came.
    fn undo(&self, message: &mut Message<'_>) {
        if self.0.is_empty() {
            return;
        }
        let original = |offset: &mut u32| {
            let here = usize_of(*offset);
            let before = |(at, len): &(usize, usize)| here.saturating_sub(*at).min(*len);
            let all: usize = self.0.iter().map(before).sum();
            *offset = u32::try_from(here.saturating_sub(all)).unwrap_or(u32::MAX);
        };
        for part in &mut message.parts {
            original(&mut part.offset_header);
            original(&mut part.offset_body);
            original(&mut part.offset_end);
        }
    }
}

/// Undoes base64 as mail uses it.
#[must_use]
pub fn base64(text: &[u8]) -> Option<Vec<u8>> {
    base64_decode(text)
}

/// What a mail says and carries.
#[derive(Debug, Default)]
pub struct Body {
    /// The plain texts, in order; or the reduced HTML where there are none.
    pub plain: Vec<String>,
    html: Vec<(Part, String)>,
    /// Whether there was HTML only.
    pub html_only: bool,
    /// Whether a text was longer than what is read of it.
    pub cut: bool,
    /// Everything else.
    pub attachments: Vec<Attachment>,
}

/// All of it as one text without headers.
fn only_part(raw: &[u8]) -> MessagePart<'_> {
    MessagePart {
        headers: Vec::new(),
        is_encoding_problem: false,
        body: PartType::Text(String::from_utf8_lossy(raw)),
        encoding: Encoding::None,
        offset_header: 0,
        offset_body: 0,
        offset_end: u32::try_from(raw.len()).unwrap_or(u32::MAX),
    }
}

fn is_blank(texts: &[String]) -> bool {
    texts.iter().all(|text| text.trim().is_empty())
}

fn usize_of(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

fn all<'a>(list: &'a Addresses<'a>) -> Vec<&'a mail_parser::Addr<'a>> {
    match list {
        Addresses::List(list) => list.iter().take(100).collect(),
        Addresses::Group(groups) => {
            groups.iter().flat_map(|group| &group.addresses).take(100).collect()
        }
    }
}

fn header_bytes(raw: &[u8]) -> usize {
    let end = raw.windows(2).position(|pair| pair == b"\n\n");
    let crlf = raw.windows(4).position(|four| four == b"\r\n\r\n");
    end.into_iter().chain(crlf).min().unwrap_or(raw.len())
}

/// The same bytes with `message/...` and `multipart/digest` taken out of `Content-Type` headers,
/// byte for byte, where there are any. The parser would follow mails inside mails, one call for
/// each level, until the stack is gone: a mail of three kilobytes can stop the desk that way. A
/// mail inside a mail is an attachment here, never opened (STANDARDS 8).
fn masked(raw: &[u8]) -> Option<Vec<u8>> {
    const HEADER: &[u8] = b"content-type:";
    let mut out: Option<Vec<u8>> = None;
    let mut inside = false;
    let mut at = 0_usize;
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        let begins = line.get(..HEADER.len()).is_some_and(|head| head.eq_ignore_ascii_case(HEADER));
        inside =
            begins || (inside && line.starts_with(b" ")) || (inside && line.starts_with(b"\t"));
        // A header name may be followed by blanks before its colon.
        let odd = line.get(..12).is_some_and(|head| head.eq_ignore_ascii_case(b"content-type"));
        if inside || odd {
            inside = true;
            for (word, mask) in MASKS {
                for n in 0..line.len() {
                    let found = line.get(n..n.saturating_add(word.len()));
                    if found.is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes())) {
                        let copy = out.get_or_insert_with(|| raw.to_vec());
                        let from = at.saturating_add(n);
                        if let Some(place) = copy.get_mut(from..from.saturating_add(mask.len())) {
                            place.copy_from_slice(mask.as_bytes());
                        }
                    }
                }
            }
        }
        at = at.saturating_add(line.len());
    }
    out
}

/// Words of the same length; the masks are no media type and stand in no text.
const MASKS: [(&str, &str); 2] =
    [("message/", "messagx/"), ("multipart/digest", "multipart/digesx")];

fn unmasked(text: &str) -> String {
    MASKS.iter().fold(text.to_owned(), |text, (word, mask)| {
        if text.contains(mask) { text.replace(mask, word) } else { text }
    })
}

/// A header line without its colon, or a continuation that begins with one: two readers would see
/// two different mails.
fn has_odd_header(raw: &[u8]) -> bool {
    let head = raw.get(..header_bytes(raw)).unwrap_or(raw);
    head.split(|byte| *byte == b'\n').any(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let folded = line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        if folded {
            return line.trim_ascii_start().starts_with(b":");
        }
        !line.is_empty() && !line.contains(&b':') && !line.starts_with(b"From ")
    })
}

/// A file name that is safe to print and to write: no path, no control characters, never empty,
/// never an option.
#[must_use]
pub fn file_name(name: &str, number: u32) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or("");
    let name: String = shortened(&clean_line(last, 1_000), 100)
        .chars()
        .map(|c| if c.is_control() || "<>:\"|?*".contains(c) { '_' } else { c })
        .collect();
    let name = name.trim_start_matches(['.', '-', ' ']).trim();
    if name.is_empty() { format!("part-{number}") } else { name.to_owned() }
}

/// A name of so many letters at most, with the ending that says what it is.
fn shortened(name: &str, max: usize) -> String {
    let count = name.chars().count();
    if count <= max {
        return name.to_owned();
    }
    // `.tar.gz` is one ending.
    let from = |most: usize| name.rmatch_indices('.').take(most).map(|(at, _)| at).last();
    let short = |at: &usize| name.get(*at..).is_some_and(|rest| rest.chars().count() <= 16);
    let ending = from(2).filter(short).or_else(|| from(1).filter(short));
    let ending = ending.and_then(|at| name.get(at..)).unwrap_or("");
    let room = max.saturating_sub(ending.chars().count()).saturating_sub(1);
    format!("{}~{ending}", name.chars().take(room).collect::<String>())
}

#[cfg(test)]
mod tests;

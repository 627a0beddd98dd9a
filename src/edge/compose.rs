//! Writing a mail: the MIME entity, its protected headers, and the sealed or signed whole.
//!
//! A [`Sealed`] is made here and nowhere else: encrypted to one key, or signed and made from a
//! content-free or public text. What an outsider sees of a sealed mail is two addresses, a date,
//! an id that says nothing, and a size.

use std::borrow::Cow;
use std::io::Write;

use base64_simd::{AsOut as _, STANDARD};
use email_encoding::headers::rfc2047;
use email_encoding::headers::writer::EmailWriter;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, HeaderName, HeaderValue, Headers,
};
use lettre::message::{Attachment as Attached, Body, MultiPart, SinglePart};

use crate::domain::facts::event::{Purpose, Recipient};
use crate::domain::facts::letter::Attachment;
use crate::domain::facts::names::{Moment, base32};
use crate::domain::outgoing::mail::{Label, Mail, Words};
use crate::domain::outgoing::texts::Written;
use crate::edge::pgp::{Certificate, Form, Keyring};
use crate::edge::random;
use crate::error::{Fault, Place};
use crate::ports::store::{APART_FROM, Kept, Sealed, Spool};
use crate::ports::vault::{Encoded, Unsealed};

/// Who we are, for the headers.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The desk's name.
    pub name: String,
    /// The desk's address.
    pub address: String,
    /// The desk's certificate, armored.
    pub certificate: String,
    /// Whether mails to people say outside which mail they answer.
    pub threads_outside: bool,
}

/// Makes the bytes of a mail. `written` are its words with everything filled in, `parts` its attachments.
///
/// # Errors
/// When the recipient's key cannot be used, or a text that must be sealed has no key: then there
/// are no bytes, in clear or otherwise.
pub fn make(
    keyring: &Keyring,
    sender: &Sender,
    mail: &Mail,
    written: &Written,
    parts: &[Encoded],
    certificate: Option<(&Certificate, Form)>,
    (at, spool): (Moment, &dyn Spool),
) -> Result<Sealed, Unsealed> {
    // Not a fault of the recipient's key: nothing is withheld from them for it.
    let rotate = "run `embargod key rotate`, and start the desk again";
    keyring.can_sign(at).map_err(|why| Fault::new(why, rotate))?;
    let content = match (&mail.words, certificate) {
        (_, Some(certificate)) if mail.key.is_some() => {
            encrypted(keyring, sender, mail, (written, parts), certificate, (at, spool))?
        }
        (Words::Clear(_) | Words::Public { .. } | Words::SaidInClear { .. }, _)
            if mail.key.is_none() =>
        {
            Kept::Here(signed(keyring, sender, mail, (written, parts), at)?)
        }
        _ => return Err(Unsealed::Key("there is no key for it".to_owned())),
    };
    Ok(Sealed {
        message_id: mail.message_id.to_string(),
        label: Label {
            about: mail.about.clone(),
            to: mail.to.clone(),
            purpose: mail.purpose.clone(),
            key: mail.key.clone(),
        },
        return_token: base32(&random::<20>()?, 32).to_ascii_lowercase(),
        recipient: mail.address.wire(),
        content,
        not_before: mail.not_before,
    })
}

fn line(name: &'static str, value: &str) -> String {
    let mut headers = Headers::new();
    let header = HeaderName::new_from_ascii_str(name);
    headers.insert_raw(if name == "To" && !value.is_ascii() {
        // As it is (RFC 6532, 3.2): encoded it would be no address any more.
        HeaderValue::dangerous_new_pre_encoded(header, value.to_owned(), value.to_owned())
    } else {
        HeaderValue::new(header, value.to_owned())
    });
    headers.to_string()
}

/// The headers that everyone on the way sees.
fn envelope(
    sender: &Sender,
    mail: &Mail,
    subject: &str,
    at: Moment,
    named: bool,
) -> Vec<(&'static str, String)> {
    let from = if named { mailbox(&sender.name, &sender.address) } else { sender.address.clone() };
    let mut headers = vec![
        ("From", from),
        ("To", mail.address.wire()),
        ("Subject", subject.to_owned()),
        ("Date", at.to_rfc2822()),
        ("Message-ID", format!("<{}>", mail.message_id)),
    ];
    // RFC 3834, 5: what a machine answers, what a machine sends by itself; a person's words carry
    // neither.
    match &mail.purpose {
        Purpose::Acknowledgement | Purpose::Key | Purpose::Transcript | Purpose::Refusal => {
            headers.push(("Auto-Submitted", "auto-replied".to_owned()));
        }
        Purpose::Answer => {}
        Purpose::Relay
        | Purpose::Reminder
        | Purpose::Notice { .. }
        | Purpose::Nudge
        | Purpose::NewKey
        | Purpose::ClockProbe
        | Purpose::Waiting
        | Purpose::Alert
        | Purpose::Update => {
            headers.push(("Auto-Submitted", "auto-generated".to_owned()));
        }
    }
    headers
}

fn mailbox(name: &str, address: &str) -> String {
    let plain: String =
        name.chars().filter(|c| c.is_alphanumeric() || " -.".contains(*c)).collect();
    if plain.is_ascii() { format!("\"{plain}\" <{address}>") } else { address.to_owned() }
}

fn threading(mail: &Mail) -> Vec<(&'static str, String)> {
    let answers = mail.answers.as_ref().map(|id| format!("<{id}>"));
    answers.map_or_else(Vec::new, |id| vec![("In-Reply-To", id.clone()), ("References", id)])
}

fn block(headers: &[(&'static str, String)]) -> String {
    headers.iter().map(|(name, value)| line(name, value)).collect()
}

/// The entity that is protected, in pieces: headers that count, text, attachments.
fn entity<'a>(
    sender: &Sender,
    mail: &Mail,
    (written, parts): (&Written, &'a [Encoded]),
    headers: String,
    protection: &str,
) -> Result<Vec<Cow<'a, [u8]>>, Fault> {
    let place = || "composing a mail".to_owned();
    let kind = |text: &str| ContentType::parse(text).at(place);
    // Quoted-printable whatever the text: seven bits, no blank at a line's end (RFC 3156, 3).
    let body =
        Body::new_with_encoding(written.body.clone(), ContentTransferEncoding::QuotedPrintable)
            .map_err(|_| Fault::new("a text cannot be encoded", ""))?;
    let root = format!("{protection}; protected-headers=\"v1\"");
    let our_key = if mail.with_our_key {
        let name = "openpgp-key.asc".to_owned();
        let key = sender.certificate.clone();
        let key = Attached::new(name).body(key, kind("application/pgp-keys")?);
        Some(Cow::Owned(key.formatted()))
    } else {
        None
    };
    let parts = parts.iter().map(|part| Cow::Borrowed(part.as_ref()));
    let parts: Vec<Cow<'_, [u8]>> = parts.chain(our_key).collect();
    let mut head = headers.into_bytes();
    if parts.is_empty() {
        let kind = kind(&format!("text/plain; charset=utf-8; {root}"))?;
        head.extend(SinglePart::builder().header(kind).body(body).formatted());
        return Ok(vec![Cow::Owned(head)]);
    }
    let boundary = base32(&random::<20>()?, 32);
    let kind_of_all = kind(&format!("multipart/mixed; boundary=\"{boundary}\"; {root}"))?;
    let text = SinglePart::builder().header(kind("text/plain; charset=utf-8")?).body(body);
    // As the library writes it, but for the attachments: those are not copied for each.
    let all = MultiPart::mixed().header(kind_of_all).singlepart(text).formatted();
    let end = format!("--{boundary}--\r\n");
    head.extend(all.strip_suffix(end.as_bytes()).unwrap_or(&all));
    let mut pieces = vec![Cow::Owned(head)];
    for part in parts {
        pieces.push(Cow::Owned(format!("--{boundary}\r\n").into_bytes()));
        pieces.push(part);
    }
    pieces.push(Cow::Owned(end.into_bytes()));
    Ok(pieces)
}

/// Letters of a line of base64 in mail, and the bytes in them (RFC 2045, 6.8).
const LETTERS: usize = 76;
const LINE: usize = 57;

/// An attachment as a part of a mail.
///
/// # Errors
/// When it cannot be written as one.
pub fn encoded(attachment: &Attachment) -> Result<Encoded, Fault> {
    // A type that would be interpreted on its way (RFC 2046: message/*, multipart/*) travels as
    // bytes, so that it arrives as it left.
    let opaque =
        attachment.media.starts_with("message/") || attachment.media.starts_with("multipart/");
    let octets = "application/octet-stream";
    let (media, parameters) = if opaque {
        (octets, "")
    } else {
        (attachment.media.as_str(), attachment.parameters.as_str())
    };
    // The name as RFC 2231 wants it stands in the disposition; here it is for old programs.
    let name = old_name(attachment.name.as_str());
    let kind = ContentType::parse(&format!("{media}{parameters}; name=\"{name}\""))
        .or_else(|_| ContentType::parse(&format!("{octets}; name=\"{name}\"")))
        .at(|| "composing an attachment".to_owned())?;
    let none = Body::dangerous_pre_encoded(Vec::new(), ContentTransferEncoding::Base64);
    let mut part = Attached::new(attachment.name.to_string()).body(none, kind).formatted();
    // Behind the headers, with the line end that the library puts behind the body.
    part.truncate(part.len().saturating_sub(2));
    part.reserve(attachment.bytes.len().div_ceil(LINE).saturating_mul(LETTERS.saturating_add(2)));
    for (n, line) in attachment.bytes.chunks(LINE).enumerate() {
        if n > 0 {
            part.extend_from_slice(b"\r\n");
        }
        let mut letters = [0; LETTERS];
        part.extend_from_slice(STANDARD.encode(line, letters.as_mut_slice().as_out()));
    }
    part.extend_from_slice(b"\r\n");
    Ok(part.into())
}

/// A name as a parameter that old programs read: encoded as in a subject (RFC 2047), though that is not meant for
/// parameters.
fn old_name(name: &str) -> String {
    let plain = name.replace(['"', '\\'], "_");
    if plain.is_ascii() {
        return plain;
    }
    let mut out = String::new();
    let written = rfc2047::encode(&plain, &mut EmailWriter::new(&mut out, 0, 0, false));
    // Into a string nothing fails.
    if written.is_ok() { out.replace("\r\n", "") } else { "file".to_owned() }
}

fn encrypted(
    keyring: &Keyring,
    sender: &Sender,
    mail: &Mail,
    content: (&Written, &[Encoded]),
    (to, form): (&Certificate, Form),
    (at, spool): (Moment, &dyn Spool),
) -> Result<Kept, Unsealed> {
    let mut outer = envelope(sender, mail, "[...]", at, false);
    // Everything that counts is inside, with a note of what stood outside (RFC 9788, 2.2); the
    // threading headers are inside only, since outside they would show an incident's size, unless
    // the operator wants the team's programs to thread by them.
    let to_team =
        matches!(mail.to, Recipient::Person(_)) && !matches!(mail.purpose, Purpose::Notice { .. });
    if sender.threads_outside && to_team {
        outer.extend(threading(mail));
    }
    let mut inner = envelope(sender, mail, &content.0.subject, at, true);
    inner.extend(threading(mail));
    let seen = outer.iter().map(|(name, value)| ("HP-Outer", format!("{name}: {value}")));
    let mut headers = block(&inner);
    headers.push_str(&block(&seen.collect::<Vec<_>>()));
    let pieces = entity(sender, mail, content, headers, "hp=\"cipher\"")?;
    let pieces: Vec<&[u8]> = pieces.iter().map(AsRef::as_ref).collect();
    let boundary = base32(&random::<20>()?, 32);
    let mut head = block(&outer);
    head.push_str(&format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/encrypted; \
         protocol=\"application/pgp-encrypted\";\r\n boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n\
         --{boundary}\r\nContent-Type: application/octet-stream; name=\"encrypted.asc\"\r\n\
         Content-Disposition: inline; filename=\"encrypted.asc\"\r\n\r\n"
    ));
    let how = (form, mail.purpose == Purpose::NewKey);
    let write = |sink: &mut (dyn Write + Send + Sync)| -> Result<(), Unsealed> {
        let place = || "composing a mail".to_owned();
        sink.write_all(head.as_bytes()).at(place)?;
        keyring.seal_into(how, to, &pieces, at, sink).map_err(Unsealed::Key)?;
        Ok(sink.write_all(format!("--{boundary}--\r\n").as_bytes()).at(place)?)
    };
    let size: usize = pieces.iter().map(|piece| piece.len()).sum();
    if size > APART_FROM {
        // Never whole in memory: several of them are sealed at once.
        let mut file = spool.begin()?;
        write(&mut file)?;
        return Ok(file.end()?);
    }
    let mut sealed = Vec::with_capacity(size.saturating_mul(7) / 5 + 4_096);
    write(&mut sealed)?;
    Ok(Kept::Here(sealed))
}

fn signed(
    keyring: &Keyring,
    sender: &Sender,
    mail: &Mail,
    content: (&Written, &[Encoded]),
    at: Moment,
) -> Result<Vec<u8>, Unsealed> {
    let mut headers = envelope(sender, mail, &content.0.subject, at, true);
    headers.extend(threading(mail));
    let headers = block(&headers);
    let entity = entity(sender, mail, content, headers.clone(), "hp=\"clear\"")?.concat();
    // The line end before a boundary belongs to the boundary (RFC 3156, 5).
    let entity = entity.strip_suffix(b"\r\n").unwrap_or(&entity);
    let signature =
        keyring.sign(entity, at).map_err(|why| Fault::new(format!("signing: {why}"), ""))?;
    let signature = String::from_utf8(signature)
        .at(|| "signing".to_owned())?
        .replace("\r\n", "\n")
        .replace('\n', "\r\n");
    let boundary = base32(&random::<20>()?, 32);
    let head = format!(
        "{headers}MIME-Version: 1.0\r\nContent-Type: multipart/signed; \
         protocol=\"application/pgp-signature\";\r\n micalg=pgp-sha256; boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\n"
    );
    let mut mail = head.into_bytes();
    mail.extend(entity);
    mail.extend(
        format!(
            "\r\n--{boundary}\r\nContent-Type: application/pgp-signature; name=\"signature.asc\"\r\n\r\n\
             {signature}\r\n--{boundary}--\r\n"
        )
        .into_bytes(),
    );
    Ok(mail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::mime::Mime;

    /// What a mail with one attachment of this form holds, and how it is written again.
    fn again(headers: &str) -> (Attachment, String) {
        let mail = format!(
            "Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n{headers}\r\n\r\nx\r\n--q--\r\n"
        );
        let came = Mime::parse(mail.as_bytes()).unwrap().body().attachments.remove(0);
        let written = encoded(&came).unwrap();
        (came, String::from_utf8(written.to_vec()).unwrap())
    }

    #[test]
    fn an_attachment_arrives_with_its_type_and_its_name() {
        let long = "a very long name of a file ".repeat(6);
        for (headers, name) in [
            (
                "Content-Type: text/calendar; charset=iso-8859-1; method=REQUEST; name=\"i.ics\"",
                "i.ics",
            ),
            (
                "Content-Type: text/x-patch\r\nContent-Disposition: attachment; filename=\"a \\\"b\\\".patch\"",
                "a _b_.patch",
            ),
            (
                "Content-Type: a/b\r\nContent-Disposition: attachment; filename*=utf-8''sch%C3%B6n%20l.pdf",
                "schön l.pdf",
            ),
            (
                "Content-Type: a/b\r\nContent-Disposition: attachment; filename*0*=utf-8''%E3%83%86%E3%82%B9; filename*1=x.pdf",
                "テスx.pdf",
            ),
            (&format!("Content-Type: a/b; name=\"{long}.tar.gz\""), ".tar.gz"),
            ("Content-Type: a/b; x=\"; evil\"; name=\"=?utf-8?q?caf=C3=A9.txt?=\"", "café.txt"),
        ] {
            let (came, written) = again(headers);
            assert!(came.name.as_str().ends_with(name), "{headers}: {}", came.name);
            assert!(came.name.as_str().chars().count() <= 100, "{headers}");
            assert!(written.contains(" name=\""), "for old programs: {written}");
            assert!(written.lines().all(|line| line.len() < 200 && line.is_ascii()), "{written}");
            let (twice, _) = again(written.split_once("\r\n\r\n").unwrap().0);
            let of = |it: &Attachment| (it.name.clone(), it.media.clone(), it.parameters.clone());
            assert_eq!(of(&came), of(&twice), "{written}");
        }
        let (_, written) =
            again("Content-Type: text/calendar; method=REQUEST; charset=x; boundary=y");
        assert!(
            written.contains("method=\"REQUEST\"; charset=\"x\"") && !written.contains("boundary")
        );
        // A type that says of the mail what it is not is not handed on.
        let (came, _) = again("Content-Type: text/x; protected-headers=v1; hp=cipher");
        assert_eq!(came.parameters, "");
    }
}

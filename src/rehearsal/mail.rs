//! The people's mail: what they write, what they read. What is common to every mail program.

use lettre::message::Body;
use lettre::message::header::ContentTransferEncoding;

use crate::domain::facts::letter::Protection;
use crate::domain::facts::names::{Handle, MessageId};
use crate::domain::outgoing::texts;
use crate::edge::mime::Mime;
use crate::error::{Fault, Place};

/// How a person protects a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Signed and encrypted.
    Both,
    /// Encrypted only.
    Encrypted,
    /// Signed only.
    Signed,
    /// Neither.
    Plain,
}

/// A mail that a person writes.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The address it bears; the writer's own when none.
    pub from: Option<String>,
    /// Subject.
    pub subject: String,
    /// Text.
    pub text: String,
    /// Name and bytes.
    pub attachments: Vec<(String, Vec<u8>)>,
    /// Whether the writer's certificate is attached.
    pub with_key: bool,
    /// How it is protected.
    pub guard: Guard,
    /// The mail that it answers, by its Message-ID.
    pub answers: Option<String>,
}

impl Draft {
    /// A signed and encrypted mail.
    #[must_use]
    pub fn sealed(text: &str) -> Self {
        Self {
            from: None,
            subject: "Re: ...".to_owned(),
            text: text.to_owned(),
            attachments: Vec::new(),
            with_key: false,
            guard: Guard::Both,
            answers: None,
        }
    }

    /// A mail in clear.
    #[must_use]
    pub fn plain(subject: &str, text: &str) -> Self {
        Self { guard: Guard::Plain, subject: subject.to_owned(), ..Self::sealed(text) }
    }

    /// The answer to a mail: its reference quoted, as every mail program does.
    #[must_use]
    pub fn answer(to: &Read, text: &str) -> Self {
        let quoted = texts::quote(&to.text);
        let mut draft =
            Self::sealed(&format!("{text}\n\nOn 2026-12-01 10:00 the desk wrote:\n{quoted}\n"));
        draft.answers.clone_from(&to.message_id);
        draft
    }

    /// The entity that is protected: text and attachments, with its content headers.
    #[must_use]
    pub fn entity(&self, key: Option<&str>) -> Vec<u8> {
        let text = self.text.replace('\n', "\r\n");
        let head =
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
        let mut parts = vec![format!("{head}{text}\r\n").into_bytes()];
        for (name, bytes) in &self.attachments {
            let mut part = format!(
                "Content-Type: application/octet-stream; name=\"{name}\"\r\n\
                 Content-Disposition: attachment; filename=\"{name}\"\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n"
            );
            part.push_str(&base64(bytes));
            parts.push(part.into_bytes());
        }
        if let Some(key) = key.filter(|_| self.with_key) {
            let part = format!(
                "Content-Type: application/pgp-keys; name=\"key.asc\"\r\n\
                 Content-Disposition: attachment; filename=\"key.asc\"\r\n\r\n{}\r\n",
                key.replace("\r\n", "\n").replace('\n', "\r\n")
            );
            parts.push(part.into_bytes());
        }
        if let [only] = parts.as_slice() {
            return only.clone();
        }
        let mut entity = b"Content-Type: multipart/mixed; boundary=\"parts\"\r\n\r\n".to_vec();
        for part in parts {
            entity.extend(b"--parts\r\n");
            entity.extend(part);
            entity.extend(b"\r\n");
        }
        entity.extend(b"--parts--\r\n");
        entity
    }

    /// The whole mail around what a mail program made of the entity.
    #[must_use]
    pub fn whole(&self, writer: &str, id: &str, date: &str, protected: &Protected) -> Vec<u8> {
        let from = self.from.as_deref().unwrap_or(writer);
        let mut mail = format!(
            "From: <{from}>\r\nTo: <{}>\r\nSubject: {}\r\nDate: {date}\r\nMessage-ID: <{id}>\r\nMIME-Version: 1.0\r\n",
            super::DESK,
            self.subject
        );
        if let Some(id) = &self.answers {
            mail.push_str(&format!("In-Reply-To: <{id}>\r\nReferences: <{id}>\r\n"));
        }
        let mut mail = mail.into_bytes();
        match protected {
            Protected::Clear(entity) => mail.extend(entity),
            Protected::Encrypted(armor) => {
                let armor = armor.replace("\r\n", "\n").replace('\n', "\r\n");
                mail.extend(
                    format!(
                        "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"seal\"\r\n\r\n\
                         --seal\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n\
                         --seal\r\nContent-Type: application/octet-stream\r\n\r\n{armor}\r\n--seal--\r\n"
                    )
                    .into_bytes(),
                );
            }
            Protected::Signed(entity, armor) => {
                let armor = armor.replace("\r\n", "\n").replace('\n', "\r\n");
                mail.extend(
                    b"Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha512; boundary=\"sign\"\r\n\r\n--sign\r\n",
                );
                mail.extend(entity);
                mail.extend(
                    format!("\r\n--sign\r\nContent-Type: application/pgp-signature\r\n\r\n{armor}\r\n--sign--\r\n").into_bytes(),
                );
            }
        }
        mail
    }
}

/// What a mail program made of an entity.
#[derive(Debug)]
pub enum Protected {
    /// Nothing.
    Clear(Vec<u8>),
    /// An armored message.
    Encrypted(String),
    /// The entity, and an armored signature over it.
    Signed(Vec<u8>, String),
}

/// In lines, as mail carries it.
fn base64(bytes: &[u8]) -> String {
    let encoding = ContentTransferEncoding::Base64;
    let body = Body::new_with_encoding(bytes.to_vec(), encoding);
    let lines = body.map(|body| String::from_utf8_lossy(body.as_ref()).into_owned());
    let mut lines = lines.unwrap_or_default();
    if !lines.ends_with('\n') {
        lines.push_str("\r\n");
    }
    lines
}

/// A mail as a person's program shows it.
#[derive(Debug, Clone)]
pub struct Read {
    /// Its Message-ID.
    pub message_id: Option<String>,
    /// The subject: the protected one if there is one.
    pub subject: String,
    /// The subject that everyone on the way could read.
    pub outer_subject: String,
    /// The text.
    pub text: String,
    /// How it came protected.
    pub protection: Protection,
    /// Whether the desk's signature over all of it holds.
    pub by_desk: bool,
    /// Name and bytes of what is attached.
    pub attachments: Vec<(String, Vec<u8>)>,
    /// The mails that it answers, by the headers inside the protection.
    pub references: Vec<String>,
}

impl Read {
    /// Takes apart the entity that came out of the protection.
    ///
    /// # Errors
    /// When it is no entity.
    pub fn of(
        outer: &[u8],
        inner: &[u8],
        protection: Protection,
        by_desk: bool,
    ) -> Result<Self, Fault> {
        let broken = |_| Fault::new("a mail of the desk cannot be taken apart", "");
        let (outer, inner) =
            (Mime::parse(outer).map_err(broken)?, Mime::parse(inner).map_err(broken)?);
        let body = inner.body();
        let outer_subject = outer.subject().unwrap_or_default();
        Ok(Self {
            message_id: outer.ids().0.map(|id| id.to_string()),
            subject: inner.subject().unwrap_or_else(|| outer_subject.clone()),
            outer_subject,
            text: body.plain.join("\n"),
            protection,
            by_desk,
            attachments: body
                .attachments
                .into_iter()
                .map(|a| (a.name.to_string(), a.bytes.to_vec()))
                .collect(),
            references: unique(inner.ids().1),
        })
    }

    /// Whether its text says these words, wherever its lines are folded: where they are depends on how long an hour
    /// or a name on the same line is.
    #[must_use]
    pub fn says(&self, words: &str) -> bool {
        let folded = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        folded(&self.text).contains(&folded(words))
    }

    /// The incident's handle, from the subject.
    #[must_use]
    pub fn handle(&self) -> Option<String> {
        let inside = self.subject.split_once('[')?.1.split_once(']')?.0;
        Handle::parse(inside).map(|handle| handle.to_string())
    }

    /// The nonce of a `/confirm` that the desk asks for.
    #[must_use]
    pub fn nonce(&self) -> Option<String> {
        let line = self.text.lines().find(|line| line.contains("/confirm "))?;
        line.split_whitespace().last().map(ToOwned::to_owned)
    }
}

/// Each id once, in order.
#[must_use]
pub fn unique(ids: Vec<MessageId>) -> Vec<String> {
    let mut out = Vec::new();
    for id in ids.into_iter().map(|id| id.to_string()) {
        if !out.contains(&id) {
            out.push(id);
        }
    }
    out
}

/// Writes a file of the rehearsal.
///
/// # Errors
/// When it cannot be written.
pub fn write_file(path: &std::path::Path, bytes: &[u8]) -> Result<(), Fault> {
    std::fs::write(path, bytes).at(|| path.display().to_string())
}

//! A mail as the domain sees it: opened, checked, taken apart, and nothing decided yet.
//!
//! The edge makes a [`Letter`] from raw bytes; what it found out about encryption and signatures
//! is the [`Verdict`], as data. No field of a letter is trusted because a header said so.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::facts::foreign::Foreign;
use crate::domain::facts::key::KeyFacts;
use crate::domain::facts::names::{Address, Digest, Fingerprint, MessageId, Moment};
use crate::domain::facts::outer_view::{FoundKey, OuterView};

/// How a mail was protected when it arrived, decided by its structure at the MIME root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Neither signed nor encrypted.
    None,
    /// Signed at the root, readable by anyone.
    Signed,
    /// Encrypted, no signature inside.
    Encrypted,
    /// Encrypted, with a signature over the whole content inside.
    Both,
}

impl Protection {
    /// Whether the content was encrypted.
    #[must_use]
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Encrypted | Self::Both)
    }
}

/// What became of the signatures over the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// There is none that covers the root.
    None,
    /// Only a part of the mail is signed; counts as unsigned (STANDARDS 18.1).
    Partial,
    /// Signed by a key that we do not have.
    UnknownKey,
    /// It is of a kind that this desk cannot check, named by its algorithm: neither good nor bad.
    Unsupported(String),
    /// There is a signature and it does not hold: altered, expired, revoked, weak, or not for us.
    Invalid,
    /// Exactly one certificate's signature holds over the whole root.
    Valid(Signed),
    /// Signatures of two or more different known people hold; the mail speaks for nobody.
    Several,
}

/// A signature that holds, and what it binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The signer's primary fingerprint: who it is.
    pub fingerprint: Fingerprint,
    /// When the signature says it was made.
    pub made: Moment,
    /// The hash that the signature was made over. The packet's own bytes are malleable (its
    /// unhashed area), so replay is measured by this.
    pub hash: Digest,
    /// Whether the signature names our key as an intended recipient (RFC 9580, 5.2.3.36).
    pub names_us: bool,
}

/// Why a mail that is meant to be encrypted or signed could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// None of the keys it is encrypted to is ours. Public knowledge: the ids are in the clear.
    NotToUs,
    /// It is encrypted to us, and did not open: damaged, not integrity-protected, or too large
    /// once decompressed. One word for all of them, so that no answer tells them apart.
    CannotDecrypt,
    /// Encrypted with a password only.
    PasswordOnly,
    /// S/MIME, which this desk does not read.
    Smime,
    /// It claims to be PGP/MIME, and there is no ciphertext in it (RFC 3156, 4).
    Malformed,
    /// What is encrypted in it lies where nothing is opened.
    Elsewhere,
    /// Larger than the desk reads; the rest stays on the server.
    TooLarge,
    /// More parts, deeper nesting or longer headers than the desk reads.
    TooComplex,
}

/// What opening found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Encrypted, signed, both, or neither.
    pub protection: Protection,
    /// Whether it was an inline (not PGP/MIME) block: headers were then never protected.
    pub inline: bool,
    /// Whether what a gateway or a mail program did to its form was recognised and undone.
    pub repaired: bool,
    /// The signature over the root.
    pub signature: Signature,
    /// Whether it was sealed in the newer form (SEIPDv2), so that its writer's program knows it.
    pub newer: bool,
    /// What failed, if something did.
    pub failure: Option<Failure>,
    /// Why it failed, for the team: what the sender's program does that is not accepted.
    pub reason: Option<String>,
    /// A keyed hash of the session key; the same ciphertext gives it again whatever is wrapped
    /// around it.
    pub session: Option<Digest>,
}

impl Verdict {
    /// The verdict on a mail without any OpenPGP.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            protection: Protection::None,
            inline: false,
            repaired: false,
            signature: Signature::None,
            newer: false,
            failure: None,
            reason: None,
            session: None,
        }
    }

    /// The signature that holds, if one does.
    #[must_use]
    pub fn signed(&self) -> Option<&Signed> {
        match &self.signature {
            Signature::Valid(signed) => Some(signed),
            Signature::None
            | Signature::Partial
            | Signature::UnknownKey
            | Signature::Unsupported(_)
            | Signature::Invalid
            | Signature::Several => None,
        }
    }
}

/// A certificate that was attached inside the encryption, whatever can be done with it. Of one that
/// is pinned already this is the pinned one, with what is new merged in: nothing that is known can be
/// taken back by an older copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedKey {
    /// Its primary fingerprint.
    pub fingerprint: Fingerprint,
    /// The certificate, armored.
    pub certificate: String,
    /// What it says.
    pub facts: KeyFacts,
}

/// A part of a mail that is passed on byte for byte and never looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// A name safe to print, and without a path.
    pub name: Foreign,
    /// The media type as given, lower case.
    pub media: String,
    /// Its parameters as they are written behind it, `; method="REQUEST"`: without them a program cannot
    /// tell an invitation from a note. Empty where there are none.
    pub parameters: String,
    /// The decoded bytes.
    pub bytes: Arc<[u8]>,
    /// Whether it stands inside an alternative form of the text: an image of the HTML form, or one
    /// more form. Nobody attached it.
    pub of_other_form: bool,
    /// Whether it came beside what was encrypted, in a mail that was.
    pub outside: bool,
    /// Where it lies, if it is fetched only as the mail is made: the mail, by its hash, and which of its parts.
    pub stored: Option<(Digest, usize)>,
    /// Of one that was left in the mail that it came in, so that a small mail that unpacks to a large one costs
    /// little: how many bytes it has, and their SHA-256.
    pub left: Option<(usize, Digest)>,
}

impl Attachment {
    /// A file that came out of something, or was made here.
    #[must_use]
    pub fn of_file(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            name: Foreign::line(name, 100),
            media: "application/octet-stream".to_owned(),
            parameters: String::new(),
            bytes: Arc::from(bytes),
            of_other_form: false,
            outside: false,
            stored: None,
            left: None,
        }
    }

    /// How many bytes it has, wherever they are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.left.map_or(self.bytes.len(), |(size, _)| size)
    }

    /// Their SHA-256.
    #[must_use]
    pub fn sum(&self) -> Digest {
        self.left.map_or_else(|| Digest::of(&self.bytes), |(_, sum)| sum)
    }

    /// Leaves its bytes in the mail that it came in.
    pub fn leave(&mut self) {
        self.left = Some((self.size(), self.sum()));
        self.bytes = Arc::from(Vec::new());
    }

    /// A part of a mail that is kept, which is fetched as the mail that brings it is made.
    #[must_use]
    pub fn stored(raw: Digest, part: usize) -> Self {
        Self { stored: Some((raw, part)), ..Self::of_file("part", Vec::new()) }
    }

    /// Whether it is a part of the text that nobody attached: HTML without a name, or another form
    /// of the text. Of a mail with commands it is not passed on, since it may repeat them.
    #[must_use]
    pub fn is_text_of_mail(&self) -> bool {
        self.of_other_form || (self.media == "text/html" && self.name.as_str().starts_with("part-"))
    }

    /// Whether it shows who wrote the mail: a key, a signature, a card, an invitation. Known by what
    /// is in it as well as by what it is called, since either may be missing.
    #[must_use]
    pub fn tells_who_wrote(&self) -> bool {
        const MEDIA: &[&str] = &[
            "application/pgp-keys",
            "application/pgp-signature",
            "application/pkcs7-signature",
            "application/x-pkcs7-signature",
            "text/vcard",
            "text/x-vcard",
            "text/calendar",
        ];
        const INSIDE: &[&[u8]] = &[
            b"-----BEGIN PGP PUBLIC KEY",
            b"-----BEGIN PGP PRIVATE KEY",
            b"-----BEGIN PGP SIGNATURE",
            b"-----BEGIN PGP SIGNED MESSAGE",
            b"BEGIN:VCARD",
            b"BEGIN:VCALENDAR",
        ];
        let name = self.name.as_str().to_ascii_lowercase();
        let named = [".vcf", ".p7s", ".ics", ".sig"].iter().any(|end| name.ends_with(end));
        // A key without armor begins with the tag of a public key packet (RFC 9580, 4.2).
        let key = [".gpg", ".pgp", ".key", ".asc"].iter().any(|end| name.ends_with(end))
            && self.bytes.first().is_some_and(|byte| matches!(byte, 0x98..=0x9b | 0xc6));
        let head = self.bytes.get(..64 * 1024).unwrap_or(&self.bytes);
        let inside = INSIDE.iter().any(|mark| head.windows(mark.len()).any(|part| part == *mark));
        MEDIA.contains(&self.media.as_str()) || named || key || inside
    }
}

/// What a delivery report says became of a mail (RFC 3464, 2.3.3); the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It lies in the recipient's mailbox.
    Delivered,
    /// It was handed to a server that sends no reports; what became of it there is not known.
    Relayed,
    /// It waits on its way.
    Delayed,
    /// It was given up.
    Failed,
}

impl Fate {
    /// Reads the value of an `Action` field.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "delivered" => Some(Self::Delivered),
            "relayed" | "expanded" => Some(Self::Relayed),
            "delayed" => Some(Self::Delayed),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// A delivery report, as far as it counts. It is evidence and no proof: anybody who has seen the
/// return path can write one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryReport {
    /// What became of the mail.
    pub fate: Fate,
    /// The enhanced status code (RFC 3463), like `5.1.1`; empty when there is none.
    pub status: String,
}

/// A mail, opened.
#[derive(Debug, Clone)]
pub struct Letter {
    /// When the mail server took it, never later than now.
    pub received: Moment,
    /// When we had it: what answers are timed from.
    pub arrived: Moment,
    /// What the mail server's clock said when it took the mail, even where that is ahead of ours.
    pub server_time: Moment,
    /// The SHA-256 of the raw bytes.
    pub raw: Digest,
    /// What anybody could see of it.
    pub outer: OuterView,
    /// From as the mail prints it; for people to read, never for decisions.
    pub from_text: Foreign,
    /// Addresses that it was sent or delivered to, as far as headers say.
    pub to: Vec<Address>,
    /// Its subject: the protected one if there is one.
    pub subject: Foreign,
    /// Whether the subject came from inside the protection.
    pub subject_protected: bool,
    /// Ids that it answers.
    pub answers: Vec<MessageId>,
    /// What it says, if it is a delivery report.
    pub report: Option<DeliveryReport>,
    /// Whether it breaks a rule that every mail must keep (one From, one Date).
    pub malformed: bool,
    /// What opening found out.
    pub verdict: Verdict,
    /// The text: `text/plain`, or HTML reduced to text.
    pub text: String,
    /// The texts beside what was encrypted, in a mail that was: protected by nothing, said by anybody.
    pub outside: String,
    /// Whether the text was HTML only. Commands in it never count.
    pub html_only: bool,
    /// Whether the text is longer than the desk reads, so that its end is missing.
    pub text_cut: bool,
    /// The other parts.
    pub attachments: Vec<Attachment>,
    /// Certificates that came along, best rank first.
    pub keys: Vec<FoundKey>,
    /// Why a certificate of its writer's that came along cannot be sealed to, where none can.
    pub unusable_key: Option<String>,
    /// Certificates that were attached inside the encryption.
    pub certificates: Vec<AttachedKey>,
    /// Pinned certificates that something in this mail revokes, wholly or in part: by the key itself,
    /// so it does not matter who sent it.
    pub revoked: Vec<AttachedKey>,
    /// How many bytes it has as it came.
    pub size: usize,
    /// Whether the mailbox's host took it for junk: it lay in that folder.
    pub junk: bool,
    /// Whether it is from before the desk began: it is taken in, and answered by nobody but people.
    pub from_before: bool,
    /// Whether the desk does not know, as it takes it in, if its history is the newest: then it may have
    /// carried it out before.
    pub unwitnessed: bool,
    /// A moment that had surely come when it was taken in: our clock may have been set back.
    pub sure: Option<Moment>,
    /// The token of our return path that it was delivered to, if it was.
    pub return_token: Option<String>,
}

impl Letter {
    /// How many bytes of parts it may bring when nobody known signed it: a few times what was sent.
    #[must_use]
    pub fn room(&self) -> usize {
        self.size.saturating_mul(4).saturating_add(1_000_000)
    }

    /// A mail of which nothing is known but its bytes, and when it came.
    #[must_use]
    pub fn blank(raw: Digest, at: Moment) -> Self {
        Self {
            received: at,
            arrived: at,
            server_time: at,
            raw,
            outer: OuterView::default(),
            from_text: Foreign::default(),
            to: Vec::new(),
            subject: Foreign::default(),
            subject_protected: false,
            answers: Vec::new(),
            report: None,
            malformed: false,
            verdict: Verdict::plain(),
            text: String::new(),
            outside: String::new(),
            html_only: false,
            text_cut: false,
            attachments: Vec::new(),
            keys: Vec::new(),
            unusable_key: None,
            certificates: Vec::new(),
            revoked: Vec::new(),
            size: 0,
            junk: false,
            from_before: false,
            unwitnessed: false,
            sure: None,
            return_token: None,
        }
    }

    /// The one author, if there is exactly one.
    #[must_use]
    pub fn author(&self) -> Option<&Address> {
        match self.outer.writers.from.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }
}

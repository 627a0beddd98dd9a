//! What anybody on the way could see of a mail: its addresses, the structure of what is encrypted in it, and
//! the keys that lie outside. Every automatic answer to a stranger is made of this and of nothing else, so
//! that no answer depends on whether our secret key opened anything.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::facts::foreign::Foreign;
use crate::domain::facts::names::{Address, Digest, Fingerprint, MessageId};

/// Where ciphertext lies in a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// It is the whole mail, as PGP/MIME (RFC 3156, 4).
    Whole,
    /// It is the whole text of a mail of one part.
    Inline,
    /// PGP/MIME of which the wrapping was changed on the way.
    Mended,
    /// PGP/MIME among other parts.
    Among,
    /// A block in a text.
    Text,
    /// A block in a text of HTML.
    Html,
    /// A file.
    File(Foreign),
    /// A block that somebody quotes.
    Quoted,
    /// Inside a mail that is handed on as a part.
    Forwarded,
    /// Where nothing is looked for: in another charset, a comment, a preamble.
    Elsewhere,
    /// S/MIME.
    Smime,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Whole => "the whole mail, as PGP/MIME",
            Self::Inline => "the whole text of the mail",
            Self::Mended => "PGP/MIME whose form was changed on the way",
            Self::Among => "PGP/MIME among other parts",
            Self::Text => "a block in the text",
            Self::Html => "a block in the HTML text",
            Self::File(name) => return write!(f, "the file {name}"),
            Self::Quoted => "a block that is quoted",
            Self::Forwarded => "a mail that is attached",
            Self::Elsewhere => "in a form that the desk does not read",
            Self::Smime => "S/MIME",
        };
        f.write_str(words)
    }
}

/// Something encrypted in a mail, by what anybody can see of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ciphertext {
    /// Where it lies.
    pub place: Place,
    /// The ids of the keys that it is encrypted to, in hex.
    pub recipients: Vec<String>,
    /// Whether it is to some key that is hidden.
    pub hidden: bool,
    /// Whether it is encrypted with a password.
    pub password: bool,
    /// Whether one of the keys is ours.
    pub ours: bool,
    /// Whether it is the one that the desk tries to open; at most one of a mail is.
    pub tried: bool,
}

/// So many key ids are named.
const NAMED: usize = 5;

impl Ciphertext {
    /// To whom it is encrypted, as what follows where it lies; nothing where that cannot be seen.
    #[must_use]
    pub fn for_whom(&self) -> String {
        let mut whom: Vec<String> = self.recipients.iter().take(NAMED).cloned().collect();
        let more = self.recipients.len().saturating_sub(NAMED);
        if more > 0 {
            whom.push(format!("{more} more keys"));
        }
        if self.hidden {
            whom.push("a key that is not named".to_owned());
        }
        if self.password {
            whom.push("a password".to_owned());
        }
        match (whom.is_empty(), self.ours) {
            (true, _) => String::new(),
            (false, true) => format!(", for {}; one of them is ours", whom.join(", ")),
            (false, false) => format!(", for {}", whom.join(", ")),
        }
    }
}

/// What a reporter can do better, by what anybody can see of their mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    /// None of the keys it is encrypted to is ours.
    NotToUs,
    /// It is encrypted with a password only.
    Password,
    /// It is S/MIME.
    Smime,
    /// What is encrypted in it lies where this desk opens nothing.
    Closed,
    /// More than one thing in it is encrypted, and one at most is opened.
    Several,
    /// It says that it is PGP/MIME, and is not.
    Malformed,
    /// All of it lies in `winmail.dat`, which only Outlook reads.
    Winmail,
}

impl Hint {
    /// For the acknowledgement.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NotToUs => {
                "Your mail is encrypted, and none of the keys it is encrypted to is ours.\n\
                 Please send it again, encrypted to the key named below."
            }
            Self::Password => {
                "Your mail is encrypted with a password, and to no key of ours.\n\
                 Please send it again, encrypted to the key named below."
            }
            Self::Smime => {
                "Your mail uses S/MIME, and we read OpenPGP only. If it is encrypted,\n\
                 please send it again, encrypted to the OpenPGP key named below."
            }
            Self::Closed => {
                "What is encrypted in your mail lies in a place where we open nothing, for\n\
                 instance in a quoted mail. Please send it as a mail of its own."
            }
            Self::Several => {
                "Your mail has more than one encrypted part, and we look into one only.\n\
                 Please send each of the others as a mail of its own."
            }
            Self::Winmail => {
                "Your mail came as `winmail.dat`, which only Outlook reads. Please send\n\
                 it again as plain text."
            }
            Self::Malformed => {
                "Your mail says that it is encrypted (PGP/MIME), and the encrypted part\n\
                 is not in it. Please send it again."
            }
        }
    }
}

/// Where a certificate was found. The order is the rank: an earlier one is trusted further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRank {
    /// It made the root signature inside the encryption.
    Signer,
    /// It was attached inside the encryption.
    Inside,
    /// It stood in the protected headers.
    ProtectedHeader,
    /// It came along outside; anyone between could have put it there.
    Outside,
}

/// A certificate that came with a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundKey {
    /// Where it was.
    pub rank: KeyRank,
    /// Its primary fingerprint.
    pub fingerprint: Fingerprint,
    /// The certificate, armored, without third-party signatures.
    pub certificate: String,
}

/// What kind of thing a mail is by its structure alone, before the desk looks at who wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Shape {
    /// A mail.
    #[default]
    Mail,
    /// `multipart/report` with a delivery status (RFC 3464), by structure and never by words.
    DeliveryReport,
    /// An automatic answer: `Auto-Submitted`, or a null return path (RFC 3834).
    Automatic,
}

/// What anybody could see of a mail.
#[derive(Debug, Clone, Default)]
pub struct OuterView {
    /// Its Message-ID, if it has a usable one.
    pub message_id: Option<MessageId>,
    /// Ids that it answers, by its outer headers.
    pub answers: Vec<MessageId>,
    /// Mail, delivery report, or automatic answer.
    pub shape: Shape,
    /// What is encrypted in it, in the order in which it lies there.
    pub ciphertexts: Vec<Ciphertext>,
    /// The SHA-256 of the OpenPGP bytes as received: of those that are tried, or of the first.
    pub openpgp: Option<Digest>,
    /// What its writer can do better.
    pub hint: Option<Hint>,
    /// The certificates that came along outside, and can be sealed to.
    pub keys: Vec<FoundKey>,
    /// Whether a certificate came along outside to which nothing can be sealed; why not.
    pub unusable_key: Option<String>,
    /// The addresses that it names as its writer's.
    pub writers: Writers,
    /// Whether the mailbox's own server vouches for the address of From, where it says anything of it (RFC
    /// 8601): by DMARC, or by SPF or DKIM for the same domain.
    pub vouched: Option<bool>,
    /// Whether the mailbox's host takes it for spam, by a header of its own or by where it lay.
    pub spam: bool,
    /// The languages that its headers name, by their primary tags, the first first.
    pub languages: Vec<String>,
}

/// Who wrote a mail, in all the ways in which its headers say it. None of them is proven.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writers {
    /// The addresses of From.
    pub from: Vec<Address>,
    /// The envelope sender: `None` when no Return-Path is there, `Some(None)` for the null path.
    pub return_path: Option<Option<Address>>,
    /// Reply-To, where it is one address.
    pub reply_to: Option<Address>,
    /// Whom a list or a group took From away from (`X-Original-From`, `X-Original-Sender`).
    pub original: Option<Address>,
    /// Sender, where it is one address.
    pub sender: Option<Address>,
    /// The addresses that a list names as its own (`List-Post`, `List-Id`, `Mailing-list`).
    pub list: Vec<Address>,
    /// Whether it came over a list or a group.
    pub by_list: bool,
}

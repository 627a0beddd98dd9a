//! What a person's mail program did with a mail, in words, and what to change: the answer to
//! `/ping`, and the word to somebody in whose name a mail came in.

use crate::domain::facts::foreign::Foreign;
use crate::domain::facts::letter::{Letter, Protection, Signature};
use crate::domain::facts::names::Handle;
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::roster::Person;

/// Tells what a mail program did. `person` is who proved to have written it; `refusal` is why a
/// command in it would not have counted, and `about` the incident that it is bound to.
#[must_use]
pub fn tell(
    letter: &Letter,
    person: Option<&Person>,
    about: Option<&Handle>,
    refusal: Option<&Refusal>,
) -> String {
    let verdict = &letter.verdict;
    let yes_no = |yes: bool| if yes { "yes" } else { "NO" };
    let mut rows = vec![
        ("encrypted", encrypted(letter).to_owned()),
        ("signed", signed(letter)),
        ("covers all", covers(letter).to_owned()),
    ];
    if let Some(signed) = verdict.signed() {
        rows.push(("key", signed.fingerprint.spaced()));
        let pinned = person.map_or_else(
            || "NOT the one pinned for you".to_owned(),
            |person| format!("pinned for {}", person.name),
        );
        rows.push(("", pinned));
        rows.push(("signed at", signed.made.format("%Y-%m-%d %H:%M:%S UTC").to_string()));
        let names = if signed.names_us { "yes" } else { "no, so only our Ref line binds a mail" };
        rows.push(("names us", names.to_owned()));
        let bound = about.map_or_else(|| "no incident".to_owned(), ToString::to_string);
        rows.push(("bound to", bound));
    }
    let hidden = letter.subject_protected && verdict.protection.is_encrypted();
    rows.push(("subject", if hidden { "protected" } else { "readable on the way" }.to_owned()));
    let text = if letter.html_only { "HTML only" } else { "plain text" };
    rows.push(("text", text.to_owned()));
    rows.push(("counts", yes_no(refusal.is_none()).to_owned()));
    let mut out = String::new();
    for (name, value) in rows {
        out.push_str(format!("  {name:<12}{value}").trim_end());
        out.push('\n');
    }
    match refusal {
        None if about.is_none() => out.push_str(
            "Words about the desk in a mail like this one count (`| /help`, `| /list`). Words about an incident need our Ref line: answer one of our mails and keep it.",
        ),
        None => out.push_str("Commands in a mail like this one count."),
        Some(refusal) => {
            let (why, next) = (&refusal.why, &refusal.next);
            out.push_str(&format!(
                "A command in it would NOT have counted: {why}\n\nWhat to change: {next}"
            ));
        }
    }
    out
}

fn encrypted(letter: &Letter) -> &'static str {
    match (letter.verdict.protection, letter.verdict.inline) {
        (Protection::Both | Protection::Encrypted, false) => "yes, the whole mail",
        (Protection::Both | Protection::Encrypted, true) => {
            "yes, but inline: PGP/MIME protects headers and attachments as well"
        }
        (Protection::None | Protection::Signed, _) => "NO: readable on the way",
    }
}

fn signed(letter: &Letter) -> String {
    if let Signature::Unsupported(kind) = &letter.verdict.signature {
        let kind = Foreign::line(kind, 60);
        return format!(
            "by an algorithm that this desk cannot check ({kind}), which counts as unsigned"
        );
    }
    let text = match &letter.verdict.signature {
        Signature::Valid(_) => "yes, and the signature holds",
        Signature::None => "NO",
        Signature::Partial => "a part of it only, which counts as unsigned",
        Signature::UnknownKey => "by a key that we do not have, which counts as unsigned",
        Signature::Unsupported(_) => "by an algorithm that this desk cannot check",
        Signature::Invalid => "the signature does NOT hold: altered, expired, or not made for us",
        Signature::Several => "by several people, so for nobody",
    };
    text.to_owned()
}

/// Whether the signature is over the root of the mail, or over a part.
fn covers(letter: &Letter) -> &'static str {
    match &letter.verdict.signature {
        Signature::Valid(_)
        | Signature::Invalid
        | Signature::Unsupported(_)
        | Signature::UnknownKey
        | Signature::Several => "yes: text and attachments",
        Signature::Partial => "NO: what stands outside it could be anybody's",
        Signature::None => "there is no signature",
    }
}

/// What to do so that a mail counts that came in without a signature that does.
#[must_use]
pub fn remedy(letter: &Letter) -> &'static str {
    match &letter.verdict.signature {
        Signature::Valid(_) => "sign with the key that is pinned for you.",
        Signature::None => "switch signing on, and encrypt to our key.",
        Signature::Partial => {
            "let your program sign the whole mail (PGP/MIME); a list or gateway that adds a footer breaks that, so write to us directly."
        }
        Signature::UnknownKey => {
            "sign with the key that is pinned for you, or give the operator your present one."
        }
        Signature::Unsupported(_) => {
            "sign with a key of a usual kind (Ed25519, ECDSA or RSA), and give the operator its certificate if it is not the pinned one."
        }
        Signature::Invalid => {
            "look whether your key has expired, and whether something on the way changes your mails."
        }
        Signature::Several => "sign with your own key only.",
    }
}

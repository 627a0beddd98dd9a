//! What Thunderbird's own tests say of a mail, from the extract that comes with the mails.

use std::collections::{BTreeMap, BTreeSet};

use embargod::domain::facts::letter::{Letter, Signature};
use embargod::domain::facts::names::Digest;

/// What they say of one mail: the first word on each thing counts, since some of them go on to do
/// something with the mail.
#[derive(Default)]
pub(crate) struct Thunderbird {
    encrypted: Option<bool>,
    signature: Option<String>,
    says: BTreeSet<Words>,
    is_silent_on: BTreeSet<Words>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Words {
    Literal(String),
    /// The sentence that most of these mails consist of.
    Sentence,
}

/// The hash of that sentence, which is not ours to write down.
const SENTENCE: &str = "84e50e192f14c7f6faaba4cf9b9c272ab6369f8035b5bf8ec085c91b342c0bf9";

impl Words {
    fn of(line: &str) -> Option<Self> {
        let rest = line.split_once("includes(").or_else(|| line.split_once("(msgc),"))?.1.trim();
        if rest.starts_with("MSG_TEXT") {
            return Some(Self::Sentence);
        }
        Some(Self::Literal(rest.strip_prefix('"')?.split('"').next()?.to_owned()))
    }

    fn stand_in(&self, text: &str) -> bool {
        match self {
            Self::Literal(words) => text.contains(words),
            Self::Sentence => {
                text.lines().any(|line| Digest::of(line.trim().as_bytes()).to_string() == SENTENCE)
            }
        }
    }
}

impl Thunderbird {
    pub(crate) fn all(text: &str) -> BTreeMap<String, Self> {
        let mut all: BTreeMap<String, Self> = BTreeMap::new();
        let mut files: Vec<String> = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.starts_with("###") {
                files.clear();
            } else if let Some(names) = line.strip_prefix("eml: ") {
                files = names.split(", ").map(str::to_owned).collect();
            } else {
                for file in &files {
                    all.entry(file.clone()).or_default().read(line);
                }
            }
        }
        all
    }

    fn read(&mut self, line: &str) {
        let line = line.split_once(": ").map_or("", |(_, line)| line);
        let is_body = ["getMsgBodyTxt(msgc)", "getMsgBodyTxt()", "msgBody.includes"];
        if let Some(rest) = line.strip_prefix("hasSignedIconState(doc, \"") {
            let word = rest.split('"').next().unwrap().replace("ok", "verified");
            self.signature.get_or_insert(word);
        } else if line.starts_with("hasNoSignedIconState(doc)") {
            self.signature.get_or_insert_with(|| "none".to_owned());
        } else if line.starts_with("hasEncryptedIconState(doc, \"ok\")") {
            self.encrypted.get_or_insert(true);
        } else if line.starts_with("!hasEncryptedIconState(doc")
            || line.starts_with("hasNoEncryptedIconState(doc)")
        {
            self.encrypted.get_or_insert(false);
        } else if is_body.iter().any(|start| line.starts_with(start)) {
            self.says.extend(Words::of(line));
        } else if line.starts_with("!getMsgBodyTxt(msgc)") {
            self.is_silent_on.extend(Words::of(line));
        }
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.encrypted.is_none() && self.signature.is_none() && self.says.is_empty()
    }

    pub(crate) fn compare(&self, letter: &Letter, pinned: bool) -> (String, String) {
        let encrypted = letter.verdict.protection.is_encrypted();
        // It shows no sign at all for a signature that it cannot check over a plain mail, and
        // calls it a mismatch when From is not the signer's.
        let signature = match &letter.verdict.signature {
            Signature::Valid(_) if pinned && letter.author().is_none() => "mismatch",
            Signature::Valid(_) if pinned => "verified",
            Signature::Valid(_) | Signature::UnknownKey if encrypted => "unknown",
            Signature::None
            | Signature::Partial
            | Signature::UnknownKey
            | Signature::Unsupported(_)
            | Signature::Invalid
            | Signature::Valid(_)
            | Signature::Several => "none",
        };
        let reads = self.says.iter().all(|words| words.stand_in(&letter.text))
            && !self.is_silent_on.iter().any(|words| words.stand_in(&letter.text));
        let word = |encrypted| if encrypted { "encrypted" } else { "plain" };
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        if let Some(theirs) = self.encrypted {
            expected.push(word(theirs));
            found.push(word(encrypted));
        }
        if let Some(theirs) = &self.signature {
            expected.push(theirs);
            found.push(signature);
        }
        if !self.says.is_empty() || !self.is_silent_on.is_empty() {
            expected.push("text");
            found.push(if reads { "text" } else { "no-text" });
        }
        (expected.join(" "), found.join(" "))
    }
}

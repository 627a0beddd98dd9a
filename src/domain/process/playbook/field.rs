//! The types of fields: what a value must look like, and the sentence for one that does not.
//!
//! A value is checked when it is set, so that whatever reads the record later, a notice or a
//! predicate, need not doubt it.

use std::str::FromStr;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::names::Moment;
use crate::domain::process::offset::{Calendar, Offset, parse_moment};

/// What a field may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldType {
    /// Any text that fits a line.
    Text,
    /// One of these words.
    Enum(Vec<String>),
    /// Some of these words, with commas between.
    Some(Vec<String>),
    /// `yes` or `no`.
    YesNo,
    /// A day.
    Date,
    /// A moment; in UTC, as RFC 3339 writes it.
    Moment,
    /// A length of time, as an offset writes it.
    Span,
    /// A whole number.
    Number,
    /// So many of so many, or per cent.
    Share,
    /// Versions: single ones and ranges, with commas between.
    Versions,
    /// Words, with commas between: branches, parties.
    List,
    /// Hashes of commits, with commas between.
    Commits,
    /// A web address.
    Url,
    /// The Message-ID of a mail, or the web address of a thread.
    Thread,
    /// The message of a commit, which must not name a vulnerability.
    CommitMessage,
    /// A CVSS vector.
    Cvss,
    /// A CVE number.
    Cve,
    /// The number of a GitHub advisory.
    Ghsa,
}

/// The names of types in files. Those that take `values` are the first two.
const TYPES: &[(&str, FieldType)] = &[
    ("enum", FieldType::Enum(Vec::new())),
    ("some", FieldType::Some(Vec::new())),
    ("text", FieldType::Text),
    ("yes_no", FieldType::YesNo),
    ("date", FieldType::Date),
    ("moment", FieldType::Moment),
    ("span", FieldType::Span),
    ("number", FieldType::Number),
    ("share", FieldType::Share),
    ("versions", FieldType::Versions),
    ("list", FieldType::List),
    ("commits", FieldType::Commits),
    ("url", FieldType::Url),
    ("thread", FieldType::Thread),
    ("commit_message", FieldType::CommitMessage),
    ("cvss", FieldType::Cvss),
    ("cve", FieldType::Cve),
    ("ghsa", FieldType::Ghsa),
];

/// A field of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// What people call it.
    pub label: String,
    /// What it may hold.
    pub kind: FieldType,
    /// The anchor that it sets, for a moment.
    pub anchor: Option<Anchor>,
    /// What holds as long as nobody sets it.
    pub default: Option<String>,
    /// Whether it must be the band of the score.
    pub band: bool,
}

impl Field {
    /// A field that holds any text.
    #[must_use]
    pub fn text(label: &str) -> Self {
        Self::of(label, FieldType::Text)
    }

    /// A field of a type.
    #[must_use]
    pub fn of(label: &str, kind: FieldType) -> Self {
        Self { label: label.to_owned(), kind, anchor: None, default: None, band: false }
    }
}

impl FieldType {
    /// Reads a type's name, with the words that it allows.
    ///
    /// # Errors
    /// A sentence that lists the types.
    pub fn parse(name: &str, values: &[String]) -> Result<Self, String> {
        let Some((_, kind)) = TYPES.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = TYPES.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "`{name}` is no type of a field; write one of {}",
                known.join(", ")
            ));
        };
        let words = matches!(kind, Self::Enum(_) | Self::Some(_));
        if words == values.is_empty() {
            return Err(format!(
                "`values` belongs to the types `enum` and `some`, and only there; this is `{name}`"
            ));
        }
        if matches!(kind, Self::Enum(_)) {
            return Ok(Self::Enum(values.to_vec()));
        }
        Ok(if words { Self::Some(values.to_vec()) } else { kind.clone() })
    }

    /// The words that it allows; none where any will do.
    #[must_use]
    pub fn words(&self) -> Option<Vec<String>> {
        if let Self::Enum(words) | Self::Some(words) = self {
            return Some(words.clone());
        }
        (*self == Self::YesNo).then(|| vec!["yes".to_owned(), "no".to_owned()])
    }

    /// What a value looks like, for `/help` and refusals.
    #[must_use]
    pub fn example(&self) -> String {
        match self {
            Self::Text => "any text".to_owned(),
            Self::Enum(values) => format!("one of {}", values.join(", ")),
            Self::Some(values) => format!("some of {}, with commas between", values.join(", ")),
            Self::YesNo => "`yes` or `no`".to_owned(),
            Self::Date => "a day, like `2026-12-16`".to_owned(),
            Self::Moment => "a moment, like `2026-12-16 16:00 UTC`, or `now`".to_owned(),
            Self::Span => "a length of time, like `15bd`, `2w` or `0`".to_owned(),
            Self::Number => "a whole number".to_owned(),
            Self::Share => "so many of so many, like `40/500`, or `8%`".to_owned(),
            Self::Versions => "versions, like `2.0 to 3.1, 4.0.2`, or `all`".to_owned(),
            Self::List => "words with commas between, like `9.18, 9.20`".to_owned(),
            Self::Commits => "hashes of commits with commas between".to_owned(),
            Self::Url => "a web address, like `https://example.org/3.2`".to_owned(),
            Self::Thread => "the Message-ID of the mail or the address of the thread".to_owned(),
            Self::CommitMessage => {
                "the message of the commit, in words that do not point to a vulnerability"
                    .to_owned()
            }
            Self::Cvss => {
                "a whole CVSS vector, like `CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H`"
                    .to_owned()
            }
            Self::Cve => "a CVE number, like `CVE-2026-12345`".to_owned(),
            Self::Ghsa => "an advisory's number, like `GHSA-2345-cfgh-jmpq`".to_owned(),
        }
    }

    /// Checks a value and gives it in the form in which it is kept.
    ///
    /// # Errors
    /// A sentence that says what it must look like.
    pub fn check(&self, text: &str, now: Moment, calendar: &Calendar) -> Result<String, String> {
        let text = text.trim();
        let wrong = || format!("`{text}` does not fit; write {}", self.example());
        match self {
            Self::Text => Ok(text.to_owned()),
            Self::Enum(values) => one_of(text, values).ok_or_else(wrong),
            Self::Some(values) => {
                // Their words may have blanks in them.
                let words: Option<Vec<_>> =
                    text.split([',', ';']).map(|word| one_of(word, values)).collect();
                words.map(|words| words.join(", ")).ok_or_else(wrong)
            }
            Self::YesNo => match text.to_ascii_lowercase().as_str() {
                "yes" | "y" | "true" => Ok("yes".to_owned()),
                "no" | "n" | "false" => Ok("no".to_owned()),
                _ => Err(wrong()),
            },
            Self::Date => {
                let day = chrono::NaiveDate::from_str(text).map_err(|_| wrong())?;
                Ok(day.to_string())
            }
            Self::Moment => {
                let moment = if text.eq_ignore_ascii_case("now") {
                    now
                } else {
                    parse_moment(text, now, None, calendar)?
                };
                Ok(moment.format("%Y-%m-%dT%H:%M:%SZ").to_string())
            }
            Self::Span => match Offset::parse(text) {
                Ok(span) if !span.is_before() => Ok(span.to_string().replace('+', "")),
                Ok(_) => Err(wrong()),
                Err(_) if ["none", "no"].contains(&text) => Ok("0".to_owned()),
                Err(_) => Err(wrong()),
            },
            Self::Number => text.parse::<u64>().map(|n| n.to_string()).map_err(|_| wrong()),
            Self::Share => share(text).ok_or_else(wrong),
            Self::Versions => versions(text).ok_or_else(wrong),
            Self::List => {
                let words: Vec<_> = parts(text).collect();
                let fits = |word: &&str| is_part_name(word);
                (!words.is_empty() && words.len() <= 50 && words.iter().all(fits))
                    .then(|| words.join(", "))
                    .ok_or_else(wrong)
            }
            Self::Commits => {
                let words: Vec<_> = parts(text).map(str::to_ascii_lowercase).collect();
                let hash = |word: &String| {
                    (7..=64).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_hexdigit())
                };
                (!words.is_empty() && words.iter().all(hash))
                    .then(|| words.join(", "))
                    .ok_or_else(wrong)
            }
            Self::Url => is_url(text).then(|| text.to_owned()).ok_or_else(wrong),
            Self::Thread => {
                let id = text.trim_start_matches('<').trim_end_matches('>');
                let mail = id.split_once('@').is_some_and(|(a, b)| {
                    !a.is_empty() && !b.is_empty() && !id.contains(char::is_whitespace)
                });
                (mail || is_url(text)).then(|| id.to_owned()).ok_or_else(wrong)
            }
            Self::CommitMessage => match telling_word(text) {
                Some(word) => Err(format!(
                    "`{word}` in the message of a commit tells what it fixes; write it without"
                )),
                None => Ok(text.to_owned()),
            },
            Self::Cvss => Score::of(text).map(|score| score.vector).ok_or_else(wrong),
            Self::Cve => cve(text).ok_or_else(wrong),
            Self::Ghsa => ghsa(text).ok_or_else(wrong),
        }
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';']).flat_map(str::split_whitespace).filter(|word| !word.is_empty())
}

fn one_of(text: &str, values: &[String]) -> Option<String> {
    values.iter().find(|value| value.eq_ignore_ascii_case(text.trim())).cloned()
}

/// Whether a word can name a part of a task: a branch, a party, a CVE number.
#[must_use]
pub fn is_part_name(word: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.+".contains(&b);
    !word.is_empty() && word.len() <= 40 && word.bytes().all(plain)
}

/// A word that shows in public that a commit fixes a vulnerability.
fn telling_word(text: &str) -> Option<&'static str> {
    const TELLING: &[&str] =
        &["cve-", "ghsa-", "cwe-", "vulnerab", "security", "exploit", "advisory", "embargo"];
    let lower = text.to_lowercase();
    TELLING.iter().find(|word| lower.contains(*word)).copied()
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}

fn share(text: &str) -> Option<String> {
    let number = |text: &str| text.trim().trim_start_matches('~').parse::<u64>().ok();
    if let Some(percent) = text.strip_suffix('%') {
        return number(percent).filter(|n| *n <= 100).map(|n| format!("{n}%"));
    }
    let (some, all) = text.split_once('/').or_else(|| text.split_once(" of "))?;
    let (some, all) = (number(some)?, number(all.trim_start_matches("out "))?);
    (some <= all).then(|| format!("{some}/{all}"))
}

/// Versions as people write them: `2.0 to 3.1`, `>= 2.0 < 3.2`, `9.18.11-S1`, `v1.2`, `all`.
fn versions(text: &str) -> Option<String> {
    let version = |word: &str| {
        let bare = word.trim_start_matches(['<', '>', '=', '~', '^']);
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.+:*".contains(&b);
        bare.len() <= 60
            && bare.bytes().all(fits)
            && (bare.bytes().any(|b| b.is_ascii_digit()) || ["main", "master"].contains(&bare))
    };
    let range = |part: &str| {
        let mut before = false;
        let mut any = false;
        for word in part.split_whitespace() {
            const JOINS: &[&str] =
                &["to", "-", "before", "until", "through", "and", "<", "<=", ">", ">=", "="];
            if JOINS.contains(&word) {
                before = false;
            } else if version(word) && (!before || word.starts_with(['<', '>', '='])) {
                (before, any) = (true, true);
            } else {
                return false;
            }
        }
        any
    };
    let all = ["all", "none"].iter().find(|word| text.eq_ignore_ascii_case(word));
    if let Some(word) = all {
        return Some((*word).to_owned());
    }
    let parts: Vec<_> = text.split([',', ';']).map(str::trim).collect();
    parts.iter().all(|part| range(part)).then(|| parts.join(", "))
}

/// A score by its vector. The vector is the truth; score and band follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Score {
    /// The CVSS vector.
    pub vector: String,
    /// The score in tenths, so that a threshold of 4.0 compares exactly (STANDARDS 12).
    pub tenths: u32,
    /// None, Low, Medium, High or Critical.
    pub band: String,
}

impl Score {
    /// Reads a CVSS 3 or 4 vector.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let vector: cvss::Cvss = text.trim().parse().ok()?;
        let tenths = format!("{:.1}", vector.score()).replace('.', "").parse().ok()?;
        let band = match tenths {
            0 => "None",
            1..=39 => "Low",
            40..=69 => "Medium",
            70..=89 => "High",
            _ => "Critical",
        };
        Some(Self { vector: vector.to_string(), tenths, band: band.to_owned() })
    }

    /// As people write it: `7.5 (High)`.
    #[must_use]
    pub fn say(&self) -> String {
        format!("{}.{} ({})", self.tenths / 10, self.tenths % 10, self.band)
    }
}

/// Reads a CVE number.
#[must_use]
pub fn cve(text: &str) -> Option<String> {
    let cve = text.trim().to_ascii_uppercase();
    let mut parts = cve.splitn(3, '-');
    let (head, year, number) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let fits = head == "CVE"
        && year.len() == 4
        && digits(year)
        && (4..=19).contains(&number.len())
        && digits(number);
    fits.then_some(cve)
}

/// A CVE number as it sorts: by year, then by number, not by its letters.
#[must_use]
pub fn cve_order(cve: &str) -> (u64, u64) {
    let mut parts = cve.splitn(3, '-').skip(1).map(|part| part.parse().unwrap_or(u64::MAX));
    (parts.next().unwrap_or(u64::MAX), parts.next().unwrap_or(u64::MAX))
}

/// Reads the number of a GitHub advisory.
#[must_use]
pub fn ghsa(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    let parts: Vec<&str> = lower.split('-').collect();
    // GitHub's letters, without those that read like others.
    let part =
        |part: &&str| part.len() == 4 && part.bytes().all(|b| b"23456789cfghjmpqrvwx".contains(&b));
    let fits =
        matches!(parts.as_slice(), ["ghsa", rest @ ..] if rest.len() == 3 && rest.iter().all(part));
    fits.then(|| lower.replacen("ghsa", "GHSA", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_in_one_form_or_refused_with_a_sentence() {
        let now: Moment = "2026-12-01T09:00:00Z".parse().unwrap();
        let calendar = Calendar::plain(chrono_tz::Tz::UTC);
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (kind, text, wanted) in [
            (FieldType::Enum(words("High Low")), "high", Some("High")),
            (FieldType::Enum(words("High Low")), "middling", None),
            (
                FieldType::Some(vec!["e mail".into(), "none".into()]),
                "E mail, none",
                Some("e mail, none"),
            ),
            (FieldType::YesNo, "Yes", Some("yes")),
            (FieldType::YesNo, "perhaps", None),
            (FieldType::Date, "2026-12-16", Some("2026-12-16")),
            (FieldType::Date, "16.12.2026", None),
            (FieldType::Moment, "now", Some("2026-12-01T09:00:00Z")),
            (FieldType::Moment, "2026-12-16 16:00 UTC", Some("2026-12-16T16:00:00Z")),
            (FieldType::Moment, "2026-12-16", None),
            (FieldType::Span, "15bd", Some("15bd")),
            (FieldType::Span, "none", Some("0")),
            (FieldType::Span, "-3d", None),
            (FieldType::Number, "17", Some("17")),
            (FieldType::Share, "~40 out of 500", None),
            (FieldType::Share, "~40 of 500", Some("40/500")),
            (FieldType::Share, "600/500", None),
            (FieldType::Share, "8%", Some("8%")),
            (FieldType::Versions, "2.0 to 3.1, 4.0.2", Some("2.0 to 3.1, 4.0.2")),
            (FieldType::Versions, "9.18.11-S1 to 9.18.32-S1", Some("9.18.11-S1 to 9.18.32-S1")),
            (FieldType::Versions, ">= 1.0 < 2.0", Some(">= 1.0 < 2.0")),
            (FieldType::Versions, "all", Some("all")),
            (FieldType::Versions, "the old ones", None),
            (FieldType::List, "9.18,9.20 main", Some("9.18, 9.20, main")),
            (FieldType::List, "a/b", None),
            (FieldType::Commits, "ABCDEF0 1234567", Some("abcdef0, 1234567")),
            (FieldType::Commits, "latest", None),
            (FieldType::Url, "https://example.org/3.2", Some("https://example.org/3.2")),
            (FieldType::Url, "example.org", None),
            (FieldType::Thread, "<a@b.c>", Some("a@b.c")),
            (FieldType::Thread, "we talked", None),
            (
                FieldType::CommitMessage,
                "Check the length of tables",
                Some("Check the length of tables"),
            ),
            (FieldType::CommitMessage, "Fix CVE-2026-12345", None),
            (FieldType::CommitMessage, "Security fix", None),
            (FieldType::Cve, "cve-2026-12345", Some("CVE-2026-12345")),
            (FieldType::Ghsa, "GHSA-2345-CFGH-JMPQ", Some("GHSA-2345-cfgh-jmpq")),
        ] {
            let read = kind.check(text, now, &calendar);
            assert_eq!(read.as_deref().ok(), wanted, "{kind:?} {text}: {read:?}");
        }
        assert!(cve_order("CVE-2026-9999") < cve_order("CVE-2026-10000"));
    }
}

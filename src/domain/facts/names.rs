//! The words of the desk as types: moments, handles, people, digests.
//!
//! Each type is made by a parser that refuses what it does not know, so that a value in hand is a
//! value that was checked. Nothing here reads a clock or draws a random number: randomness comes
//! in as [`Fresh`].

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// An instant in UTC. The domain never asks for the present one; it is given.
pub type Moment = DateTime<Utc>;

/// A span of elapsed time.
pub type Span = chrono::TimeDelta;

/// What both clocks of a machine say at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock, which people set.
    pub wall: Moment,
    /// The time since the machine was started, sleep included, which nobody sets.
    pub boot: Span,
}

/// Adds a span to a moment; at the end of representable time it stays where it is.
#[must_use]
pub fn later(moment: Moment, span: Span) -> Moment {
    moment.checked_add_signed(span).unwrap_or(moment)
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);
        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_name!(
    /// An incident's public name, `PREFIX-YYYY-XXXXX`. The last part is random: a sequential
    /// number would tell every reporter how many holes a project has.
    Handle
);
text_name!(
    /// A person of the roster, by the id that the operator gave in the config.
    PersonId
);
text_name!(
    /// A task or notice of a playbook, as its file names it.
    TaskId
);
text_name!(
    /// A mail address, checked for shape only.
    Address
);
text_name!(
    /// A primary key fingerprint in upper-case hex: what identity means here.
    Fingerprint
);
text_name!(
    /// A Message-ID without its angle brackets.
    MessageId
);

/// The letters of Crockford's base 32: no I, L, O or U, so a handle survives a telephone.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Writes the first `chars` five-bit groups of `bytes` in Crockford's base 32.
#[must_use]
pub fn base32(bytes: &[u8], chars: usize) -> String {
    let mut out = String::with_capacity(chars);
    for n in 0..chars {
        let bit = n.saturating_mul(5);
        let (at, shift) = (bit / 8, bit % 8);
        let high = u16::from(bytes.get(at).copied().unwrap_or(0));
        let low = u16::from(bytes.get(at.saturating_add(1)).copied().unwrap_or(0));
        let five = ((high << 8 | low) >> (11_usize.saturating_sub(shift))) & 31;
        out.push(char::from(CROCKFORD.get(usize::from(five)).copied().unwrap_or(b'0')));
    }
    out
}

/// Reads what [`base32`] wrote, in either case; what is left over of the last letter is dropped.
#[must_use]
pub fn unbase32(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0_u32);
    for letter in text.bytes() {
        let five = CROCKFORD.iter().position(|known| known.eq_ignore_ascii_case(&letter))?;
        bits = (bits << 5 | u32::try_from(five).ok()?) & 0xfff;
        count = count.saturating_add(5);
        if count >= 8 {
            count = count.saturating_sub(8);
            out.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(out)
}

impl Handle {
    /// What stands before every handle in their order, and is none.
    #[must_use]
    pub fn first() -> Self {
        Self(String::new())
    }

    /// The name by which a reference speaks of a desk and of no incident.
    #[must_use]
    pub fn of_desk(prefix: &str) -> Self {
        Self(format!("{prefix}-0000-DESK0"))
    }

    /// Makes the handle of an incident that was received in `year`.
    #[must_use]
    pub fn draw(prefix: &str, year: i32, fresh: &mut Fresh) -> Self {
        Self(format!("{prefix}-{year:04}-{}", base32(&fresh.draw(), 5)))
    }

    /// Reads a handle that a person typed; case is free.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        let mut parts = text.rsplitn(3, '-');
        let (tail, year, prefix) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = tail.len() == 5
            && tail.bytes().all(|b| CROCKFORD.contains(&b))
            && year.len() == 4
            && year.bytes().all(|b| b.is_ascii_digit())
            && is_prefix(prefix);
        fits.then_some(Self(text))
    }
}

/// Whether `text` may stand before the year in a handle: 2 to 12 of `A-Z 0-9`, a letter first.
#[must_use]
pub fn is_prefix(text: &str) -> bool {
    (2..=12).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && text.starts_with(|c: char| c.is_ascii_uppercase())
}

/// Whether `text` may name a person, role, group, field or task: letters, digits, `-`, `_`, `.`.
#[must_use]
pub fn is_id(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

impl PersonId {
    /// Reads a person's id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        is_id(&text).then_some(Self(text))
    }
}

impl PersonId {
    /// What stands for the desk itself among those who are told something. Nobody can have it as an
    /// id: it begins with a stroke.
    #[must_use]
    pub fn of_desk() -> Self {
        Self("-desk".to_owned())
    }
}

impl TaskId {
    /// A stand-in that no file can name; a loader goes on with it after noting a problem.
    pub(crate) fn none() -> Self {
        Self(String::new())
    }

    /// The notice by which the desk tells a new date.
    #[must_use]
    pub fn date_changed() -> Self {
        Self("date-changed".to_owned())
    }

    /// The notice by which the desk tells that it has got out.
    #[must_use]
    pub fn leaked() -> Self {
        Self("leak".to_owned())
    }

    /// The notice by which the desk tells that the embargo has ended.
    #[must_use]
    pub fn ended() -> Self {
        Self("ended".to_owned())
    }

    /// The notice by which the desk tells that a date has slipped.
    #[must_use]
    pub fn slipped() -> Self {
        Self("slipped".to_owned())
    }

    /// A part of a task that is repeated over branches, CVE numbers or parties.
    #[must_use]
    pub fn part(&self, name: &str) -> Self {
        Self(format!("{self}/{name}"))
    }

    /// Reads a task's id; case is kept, comparison is the playbook's business.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        is_id(text).then(|| Self(text.to_owned()))
    }
}

impl Address {
    /// Reads `local@domain`; the domain is lower-cased. Refuses anything that could be more than
    /// one address, or a command to a mail program (an address that begins with `-`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@')?;
        // Letters of every script (RFC 6531, 3.3), and no sign that could be taken for another.
        let plain = |part: &str, extra: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || extra.contains(c))
        };
        let fits = text.len() <= 254
            && local.len() <= 64
            && plain(local, "!#$%&'*+-/=?^_`{|}~.")
            && plain(domain, "-.")
            && !local.starts_with('-')
            && !domain.starts_with(['-', '.'])
            && !domain.contains("..")
            && (domain.is_ascii() || idna::domain_to_ascii_strict(domain).is_ok());
        fits.then(|| Self(format!("{local}@{}", domain.to_lowercase())))
    }

    /// As it travels: the domain in the letters that every server reads (RFC 5890). What stands before the
    /// `@` has no such form.
    #[must_use]
    pub fn wire(&self) -> String {
        let domain = idna::domain_to_ascii_strict(self.domain());
        let domain = domain.unwrap_or_else(|_| self.domain().to_owned());
        format!("{}@{domain}", self.local())
    }

    /// The part before the `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or(self.0.as_str(), |(local, _)| local)
    }

    /// The part after the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// Whether two addresses reach the same box as far as we can tell: local parts without regard
    /// to case, as practically every server treats them.
    #[must_use]
    pub fn same_box(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
            || (!self.0.is_ascii() || !other.0.is_ascii())
                && self.wire().to_lowercase() == other.wire().to_lowercase()
    }
}

impl Fingerprint {
    /// A fingerprint that no key has.
    #[must_use]
    pub fn nobody() -> Self {
        Self(String::new())
    }

    /// Reads 40 or 64 hex digits; blanks between them are allowed, as people print them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let hex = hex.trim_start_matches("0x").to_ascii_uppercase();
        let fits = matches!(hex.len(), 40 | 64) && hex.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then_some(Self(hex))
    }

    /// In groups of four, as people compare them.
    #[must_use]
    pub fn spaced(&self) -> String {
        let mut out = String::with_capacity(self.0.len().saturating_mul(5) / 4);
        for (n, c) in self.0.chars().enumerate() {
            if n > 0 && n % 4 == 0 {
                out.push(' ');
            }
            out.push(c);
        }
        out
    }
}

impl MessageId {
    /// Takes an id as a header gave it, with or without angle brackets.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('<').trim_end_matches('>');
        let fits = (1..=900).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>');
        fits.then(|| Self(text.to_owned()))
    }

    /// Makes an id that says nothing but which host it comes from.
    #[must_use]
    pub fn draw(domain: &str, fresh: &mut Fresh) -> Self {
        Self(format!("{}@{domain}", base32(&fresh.draw(), 32).to_ascii_lowercase()))
    }
}

/// A SHA-256 value; written in lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The SHA-256 of the parts in order, each preceded by its length, so that no two lists of
    /// parts give the same value.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The plain SHA-256 of `bytes`, as `sha256sum` prints it.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A number below `below` that is drawn by the hash, evenly.
    #[must_use]
    pub fn fraction(&self, below: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h]).checked_rem(below).unwrap_or(0)
    }

    /// Reads 64 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut out = [0_u8; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(out))
    }

    /// The first characters, enough for a person to compare.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}
impl TryFrom<String> for Digest {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no SHA-256 value"))
    }
}

/// Randomness that the edge drew for one decision. Deciding twice with the same seed gives the
/// same result, which is what makes a decision testable.
#[derive(Clone)]
pub struct Fresh {
    seed: [u8; 32],
    drawn: u64,
}

impl Fresh {
    /// Wraps 32 bytes from the system's generator (or fixed ones, in a test).
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Another one from the same seed, that draws what this one never does.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::new(Digest::of_parts(&[b"again", &self.seed, &self.drawn.to_be_bytes()]).0)
    }

    /// The next 32 bytes.
    pub fn draw(&mut self) -> [u8; 32] {
        self.drawn = self.drawn.saturating_add(1);
        Digest::of_parts(&[&self.seed, &self.drawn.to_be_bytes()]).0
    }
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fresh(..)")
    }
}

/// How a nonce is remembered.
#[must_use]
pub fn nonce_hash(nonce: &str) -> Digest {
    Digest::of_parts(&[b"nonce", nonce.trim().to_ascii_uppercase().as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_read_as_people_type_them() {
        let mut fresh = Fresh::new([7; 32]);
        let handle = Handle::draw("ACME", 2026, &mut fresh);
        assert_eq!(Handle::parse(&handle.as_str().to_lowercase()), Some(handle.clone()));
        assert_ne!(Handle::draw("ACME", 2026, &mut fresh), handle);
        for bad in
            ["ACME-2026-1", "ACME-26-ABCDE", "-2026-ABCDE", "ACME-2026-ABCDU", "A/B-2026-ABCDE"]
        {
            assert_eq!(Handle::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn addresses_that_could_be_options_or_lists_are_refused() {
        assert!(
            Address::parse("Eve.O'Neil+x@Example.ORG").is_some_and(|a| a.domain() == "example.org")
        );
        for bad in [
            "-oQ/tmp@example.org",
            "a@b@",
            "a b@example.org",
            "a@-x.org",
            "a,b@c.org",
            "a@b..org",
            // What nobody sees, what turns the direction of writing, what looks like a dot.
            "a\u{200b}b@example.org",
            "a\u{202e}b@example.org",
            "a@example\u{3002}org",
        ] {
            assert_eq!(Address::parse(bad), None, "{bad}");
        }
        let international = Address::parse("J\u{f6}rg@B\u{fc}cher.example").unwrap();
        assert_eq!(international.wire(), "J\u{f6}rg@xn--bcher-kva.example");
        let other = Address::parse("j\u{f6}rg@xn--bcher-kva.example").unwrap();
        assert!(international.same_box(&other));
        assert!(!international.same_box(&Address::parse("jorg@xn--bcher-kva.example").unwrap()));
    }

    #[test]
    fn base32_reads_bits_in_order() {
        assert_eq!(base32(&[0xff, 0x00], 3), "ZW0");
        assert_eq!(base32(&[0b0000_1000, 0b0100_0010, 0, 0, 0], 4), "1110");
    }
}

//! The forms in which ciphertext comes, and which of them are opened.
//!
//! Mail programs and gateways wrap what somebody encrypted in other ways than RFC 3156 has it, and a report
//! that is not read for that is a report lost. An attacker wraps ciphertext as well: somebody else's, to have
//! it read back. So the forms are a closed table, each row with the attack that it withstands. What makes all
//! of them harmless is the same: at most one ciphertext of a mail is tried, which one is decided by what
//! anybody can see; what comes out goes to pinned people of the team and to nobody else; and what stands
//! beside it is shown apart, is signed by nobody and holds no command.

use std::borrow::Cow;
use std::ops::Range;

use crate::domain::facts::foreign::{Foreign, LINE_MAX};
use crate::domain::facts::outer_view::{Ciphertext, Hint, Place};
use crate::edge::mime::{Mime, Part, TooComplex};
use crate::edge::opening::armor;
use crate::edge::opening::armor::Label;
use crate::edge::pgp::{Holds, OurIds, Seen, see};

/// A row of the table.
struct Row {
    is: fn(&Place) -> bool,
    opens: bool,
    /// The attack, and why it gains nothing.
    #[cfg_attr(not(test), expect(dead_code, reason = "for people, and held by a test"))]
    withstands: &'static str,
}

/// In the order in which they are chosen, where a mail has several.
const ROWS: &[Row] = &[
    Row {
        is: |place| matches!(place, Place::Whole),
        opens: true,
        withstands: "A captured report that is mailed in once more: the session key is known, so it is a copy.",
    },
    Row {
        is: |place| matches!(place, Place::Inline),
        opens: true,
        withstands: "As a whole mail; its headers are anybody's, and it is told as weaker.",
    },
    Row {
        is: |place| matches!(place, Place::Mended),
        opens: true,
        withstands: "Text put before the ciphertext, so that it passes for a part of what was encrypted: it is \
                     shown apart, and never signed.",
    },
    Row {
        is: |place| matches!(place, Place::Among),
        opens: true,
        withstands: "Parts before and after that a mail program would join with the plaintext and send on \
                     (CVE-2017-17688): nothing is joined, fetched or sent to anybody but the team.",
    },
    Row {
        is: |place| matches!(place, Place::Text),
        opens: true,
        withstands: "A stranger's letter around somebody else's block, to have it answered with a quote: \
                     answers leave without quoted lines, and only sealed to the key that signed inside.",
    },
    Row {
        is: |place| matches!(place, Place::Html),
        opens: true,
        withstands: "HTML that takes the plaintext to its author: it is reduced to text and shown apart, nothing is \
                     fetched, and HTML with a block in it is not passed on.",
    },
    Row {
        is: |place| matches!(place, Place::File(_)),
        opens: true,
        withstands: "A captured report under another name: its session key is known, so it is a copy. Its name is \
                     anybody's, and is cleaned before a file is called so.",
    },
    Row {
        is: |place| matches!(place, Place::Quoted),
        opens: false,
        withstands: "A block that somebody quotes is what somebody else wrote; and who quotes may have changed \
                     it (STANDARDS 18).",
    },
    Row {
        is: |place| matches!(place, Place::Forwarded),
        opens: false,
        withstands: "A mail inside a mail has an author of its own, and would be shown as the outer one's.",
    },
    Row {
        is: |place| matches!(place, Place::Elsewhere),
        opens: false,
        withstands: "Armor in another charset, in a preamble or a comment: each program would read another mail, so it \
                     is named and not read.",
    },
    Row {
        is: |place| matches!(place, Place::Smime),
        opens: false,
        withstands: "The desk has no S/MIME key.",
    },
];

fn opens(place: &Place) -> bool {
    ROWS.iter().any(|row| (row.is)(place) && row.opens)
}

fn rank(place: &Place) -> usize {
    ROWS.iter().position(|row| (row.is)(place)).unwrap_or(ROWS.len())
}

/// Something encrypted that was found in a mail.
pub(super) struct Found<'m> {
    pub(super) place: Place,
    /// The part that it is, or stands in.
    pub(super) part: Part,
    /// The OpenPGP bytes as they came.
    pub(super) bytes: Cow<'m, [u8]>,
    /// What anybody can see of them; nothing where they are damaged.
    pub(super) seen: Option<Seen>,
    /// As they can be read, where their armor had to be mended.
    pub(super) mended: Option<Vec<u8>>,
    /// The name of the file.
    pub(super) name: String,
    /// Where in the text of the part.
    range: Option<Range<usize>>,
}

impl Found<'_> {
    /// What is to be opened.
    pub(super) fn message(&self) -> &[u8] {
        self.mended.as_deref().unwrap_or(&self.bytes)
    }

    fn view(&self, tried: bool) -> Ciphertext {
        let seen = self.seen.as_ref();
        Ciphertext {
            place: self.place.clone(),
            recipients: seen.map(|seen| seen.recipients.clone()).unwrap_or_default(),
            hidden: seen.is_some_and(|seen| seen.hidden),
            password: seen.is_some_and(|seen| seen.password),
            ours: seen.is_some_and(|seen| seen.ours),
            tried,
        }
    }

    fn may_be_ours(&self) -> bool {
        self.seen.as_ref().is_none_or(|seen| seen.ours || seen.hidden)
    }
}

/// All that is encrypted in a mail.
#[derive(Default)]
pub(super) struct Look<'m> {
    found: Vec<Found<'m>>,
    tried: Option<usize>,
    /// Whether it says that it is PGP/MIME, and has no ciphertext.
    pub(super) malformed: bool,
}

impl<'m> Look<'m> {
    /// What the desk tries to open.
    pub(super) fn tried(&self) -> Option<&Found<'m>> {
        self.found.get(self.tried?)
    }

    /// That, or else what comes first.
    pub(super) fn first(&self) -> Option<&Found<'m>> {
        self.tried().or_else(|| self.found.first())
    }

    /// Everything, by what anybody can see of it.
    pub(super) fn view(&self) -> Vec<Ciphertext> {
        let all = self.found.iter().enumerate();
        all.map(|(n, found)| found.view(self.tried == Some(n))).collect()
    }

    /// What their writer can do better.
    pub(super) fn hint(&self) -> Option<Hint> {
        if self.malformed {
            return Some(Hint::Malformed);
        }
        let first = self.first()?;
        if first.place == Place::Smime {
            return Some(Hint::Smime);
        }
        let Some(tried) = self.tried() else { return Some(Hint::Closed) };
        let seen = tried.seen.as_ref();
        let elsewhere = |seen: &Seen| !seen.ours && !seen.hidden;
        match seen.filter(|seen| elsewhere(seen)) {
            Some(seen) if !seen.recipients.is_empty() => Some(Hint::NotToUs),
            Some(seen) if seen.password => Some(Hint::Password),
            _ if self.found.len() > 1 => Some(Hint::Several),
            _ => None,
        }
    }

    /// The parts that are nobody's attachments: what is tried, and what PGP/MIME itself needs.
    pub(super) fn parts(&self, mime: &Mime<'_>) -> Vec<Part> {
        let Some(tried) = self.tried() else { return Vec::new() };
        let control = |part: &Part| is_control(mime, *part);
        let mut parts: Vec<Part> = mime.parts().filter(control).collect();
        if tried.range.is_none() {
            parts.push(tried.part);
        }
        parts
    }

    /// The blocks that stand in a text and are not tried, as files.
    pub(super) fn other_blocks(&self) -> impl Iterator<Item = (String, &[u8])> {
        let all = self.found.iter().enumerate();
        let others = all.filter(|(n, found)| self.tried != Some(*n) && found.range.is_some());
        others
            .filter(|(_, found)| found.place != Place::Quoted)
            .map(|(n, found)| (format!("block-{}.asc", n.saturating_add(1)), found.bytes.as_ref()))
    }
}

/// A text without the blocks of ciphertext in it, which are files or were opened.
pub(super) fn without_blocks(text: &str) -> String {
    let (mut out, mut at) = (String::new(), 0_usize);
    for block in armor::blocks(text, Label::Message).iter().filter(|block| !block.quoted) {
        out.push_str(text.get(at..block.range.start).unwrap_or_default());
        at = block.range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out.trim().to_owned()
}

/// So many are looked at in one mail; what comes after is no business of a letter.
const FOUND_MAX: usize = 64;

/// The part of PGP/MIME that says only that it is that (RFC 3156, 4).
const CONTROL: &str = "application/pgp-encrypted";

/// Whether a part is that one, and no file that somebody calls so.
fn is_control(mime: &Mime<'_>, part: Part) -> bool {
    let says = || mime.bytes(part);
    mime.media(part) == CONTROL
        && mime.raw(part).len() < 1_000
        && says().is_ascii()
        && !armor::is_marked(&says())
}

/// Looks for everything that is encrypted in a mail, by its structure alone.
pub(super) fn look<'m>(mime: &'m Mime<'_>, ours: &OurIds) -> Look<'m> {
    let mut look = Look::default();
    walk(mime, mime.root(), false, ours, &mut look);
    // HTML that repeats the block of the text is one more form of it.
    if look.found.iter().any(|found| found.place == Place::Html) {
        let texts: Vec<String> =
            look.found.iter().filter(|f| f.place != Place::Html).map(same).collect();
        look.found.retain(|found| found.place != Place::Html || !texts.contains(&same(found)));
    }
    // What is written in a way that nothing above reads is named all the same.
    let marked =
        |part: Part| armor::is_marked(&mime.bytes(part)) && !is_signed_only(mime, part, ours);
    if look.found.is_empty()
        && !look.malformed
        && (mime.parts().any(marked) || marked_beside_its_parts(mime))
    {
        let root = found(mime, mime.root(), Cow::default(), None);
        look.found.push(Found { place: Place::Elsewhere, ..root });
    }
    let choice = |(_, found): &(usize, &Found<'_>)| (!found.may_be_ours(), rank(&found.place));
    let open = look.found.iter().enumerate().filter(|(_, found)| opens(&found.place));
    look.tried = open.min_by_key(choice).map(|(n, _)| n);
    look
}

/// Whether the armor in a part is of what anybody can read.
fn is_signed_only(mime: &Mime<'_>, part: Part, ours: &OurIds) -> bool {
    let text = String::from_utf8_lossy(&mime.bytes(part)).into_owned();
    armor::blocks(&text, Label::Message).into_iter().any(|block| {
        let seen = text.get(block.range).and_then(|block| see(block.as_bytes(), ours));
        seen.is_some_and(|seen| seen.holds != Holds::Ciphertext)
    })
}

/// Whether there is armor before, between or behind the parts of a mail, where no program shows it.
fn marked_beside_its_parts(mime: &Mime<'_>) -> bool {
    let leaves = mime.parts().filter(|part| mime.children(*part).is_empty());
    let inside = leaves.map(|part| mime.raw(part).len()).fold(0_usize, usize::saturating_add);
    // What is in the parts was looked at, decoded.
    let in_parts = || {
        mime.parts()
            .filter(|part| mime.children(*part).is_empty())
            .any(|part| armor::is_marked(mime.raw(part)))
    };
    mime.whole().len() > inside && armor::is_marked(mime.whole()) && !in_parts()
}

fn same(found: &Found<'_>) -> String {
    armor::body(&String::from_utf8_lossy(&found.bytes))
}

fn walk<'m>(mime: &'m Mime<'_>, part: Part, control: bool, ours: &OurIds, look: &mut Look<'m>) {
    if look.found.len() >= FOUND_MAX {
        return;
    }
    let children = mime.children(part);
    let media = mime.media(part);
    if media == "multipart/encrypted" {
        return encrypted(mime, part, &children, ours, look);
    }
    if !children.is_empty() {
        // What Exchange makes of PGP/MIME: a text, the control part, the ciphertext.
        let control = children.iter().any(|child| is_control(mime, *child));
        for child in children {
            walk(mime, child, control, ours, look);
        }
        return;
    }
    let name = mime.name(part);
    let is_mail = matches!(media.as_str(), "message/rfc822" | "message/global")
        || name.to_ascii_lowercase().ends_with(".eml");
    if is_mail {
        look.found.extend(forwarded(mime, part, ours));
    } else if matches!(media.as_str(), "application/pkcs7-mime" | "application/x-pkcs7-mime")
        || name.to_ascii_lowercase().ends_with(".p7m")
    {
        look.found.push(Found { place: Place::Smime, ..found(mime, part, Cow::default(), None) });
    } else if media == "text/html" && !mime.is_attached(part) {
        let text = mime.text_of(part);
        look.found.extend(blocks(mime, part, &text, ours).map(|found| {
            if found.place == Place::Text { Found { place: Place::Html, ..found } } else { found }
        }));
    } else if media == "text/plain" && !mime.is_attached(part) {
        let text = String::from_utf8_lossy(&mime.bytes(part)).into_owned();
        look.found.extend(blocks(mime, part, &text, ours));
    } else if !is_control(mime, part) {
        let place = if control { Place::Mended } else { file(&name) };
        look.found.extend(message(mime, part, ours).map(|found| Found { place, ..found }));
    }
}

/// PGP/MIME: the ciphertext is one of its parts, whatever its type and its name became on the way.
fn encrypted<'m>(
    mime: &'m Mime<'_>,
    part: Part,
    parts: &[Part],
    ours: &OurIds,
    look: &mut Look<'m>,
) {
    let media: Vec<String> = parts.iter().map(|part| mime.media(*part)).collect();
    let media: Vec<&str> = media.iter().map(String::as_str).collect();
    let data = parts.iter().copied().filter(|part| !is_control(mime, *part));
    let data: Vec<(Part, Option<Found<'_>>)> =
        data.map(|part| (part, message(mime, part, ours))).collect();
    let as_it_should = matches!(media.as_slice(), [CONTROL, "application/octet-stream"]);
    let place = match (part == mime.root(), as_it_should) {
        (true, true) => Place::Whole,
        (true, false) => Place::Mended,
        (false, _) => Place::Among,
    };
    if as_it_should && data.iter().all(|(_, found)| found.is_none()) {
        // Damaged to the point that nothing can be seen of it.
        let damaged = parts.get(1).map(|part| found(mime, *part, mime.body_of(*part), None));
        let damaged = damaged.filter(|found| !found.bytes.trim_ascii().is_empty());
        look.malformed |= damaged.is_none();
        look.found.extend(damaged.map(|found| Found { place, ..found }));
        return;
    }
    let mut place = Some(place);
    for (part, message) in data {
        match message {
            Some(found) => {
                let place = place.take().unwrap_or_else(|| file(&found.name));
                look.found.push(Found { place, ..found });
            }
            None => walk(mime, part, false, ours, look),
        }
    }
    look.malformed |= place.is_some();
}

fn file(name: &str) -> Place {
    Place::File(Foreign::line(if name.is_empty() { "without a name" } else { name }, LINE_MAX))
}

/// A part that is ciphertext as a whole.
fn message<'m>(mime: &'m Mime<'_>, part: Part, ours: &OurIds) -> Option<Found<'m>> {
    let bytes = mime.body_of(part);
    let trimmed = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes).trim_ascii_start();
    if trimmed.starts_with(b"-----BEGIN PGP MESSAGE") {
        let text = String::from_utf8_lossy(trimmed);
        let block = armor::blocks(&text, Label::Message).into_iter().next()?;
        let (seen, mended) = looked_at(text.get(block.range)?, ours)?;
        drop(text);
        // The part as it came is what its sender can hash.
        return Some(Found { mended, ..found(mime, part, bytes, seen) });
    }
    let is_binary = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let looks = is_binary.then(|| see(&bytes, ours)).flatten();
    let looks = looks.filter(|seen| seen.holds == Holds::Ciphertext)?;
    Some(found(mime, part, bytes, Some(looks)))
}

/// The blocks of a text.
fn blocks<'m>(
    mime: &'m Mime<'_>,
    part: Part,
    text: &str,
    ours: &OurIds,
) -> impl Iterator<Item = Found<'m>> + use<'m> {
    let trimmed = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let is_root = part == mime.root();
    let all = armor::blocks(text, Label::Message);
    let found: Vec<Found<'m>> = all
        .into_iter()
        .filter_map(|block| {
            let armor = text.get(block.range.clone())?;
            // What is quoted is only looked at.
            let bare = |line: &str| line.trim_start_matches(['>', '|', ' ']).to_owned() + "\n";
            let unquoted = block.quoted.then(|| armor.lines().map(bare).collect::<String>());
            let found = seen(mime, part, unquoted.as_deref().unwrap_or(armor), ours)?;
            let place = match (block.quoted, is_root && armor == trimmed) {
                (true, _) => Place::Quoted,
                (false, true) => Place::Inline,
                (false, false) => Place::Text,
            };
            Some(Found { place, range: Some(block.range), ..found })
        })
        .collect();
    found.into_iter()
}

/// A block that is ciphertext, or too damaged to say; not one that anybody can read.
fn seen<'m>(mime: &'m Mime<'_>, part: Part, block: &str, ours: &OurIds) -> Option<Found<'m>> {
    let (seen, mended) = looked_at(block, ours)?;
    Some(Found { mended, ..found(mime, part, Cow::Owned(block.as_bytes().to_vec()), seen) })
}

/// What anybody can see of a block, and how it reads where it had to be mended.
fn looked_at(block: &str, ours: &OurIds) -> Option<(Option<Seen>, Option<Vec<u8>>)> {
    let as_it_is = see(block.as_bytes(), ours);
    let mended = as_it_is.is_none().then(|| armor::mended(block)).flatten();
    let seen = as_it_is.or_else(|| see(mended.as_ref()?.as_bytes(), ours));
    let is_ciphertext = seen.as_ref().is_none_or(|seen| seen.holds == Holds::Ciphertext);
    is_ciphertext.then(|| (seen, mended.map(String::into_bytes)))
}

fn found<'m>(mime: &Mime<'_>, part: Part, bytes: Cow<'m, [u8]>, seen: Option<Seen>) -> Found<'m> {
    let name = mime.name(part);
    Found { place: file(&name), part, bytes, seen, mended: None, name, range: None }
}

/// What is encrypted in a mail that is a part of this one: named, and left as it is.
fn forwarded<'m>(mime: &Mime<'_>, part: Part, ours: &OurIds) -> Option<Found<'m>> {
    let bytes = mime.bytes(part);
    let inner: Result<Mime<'_>, TooComplex> = Mime::parse(&bytes);
    let inner = inner.ok()?;
    // A mail inside that one is looked into no further.
    let is_mail = |part: &Part| inner.media(*part).starts_with("message/");
    let mut look = Look::default();
    for part in inner.parts().filter(|part| inner.children(*part).is_empty() && !is_mail(part)) {
        walk(&inner, part, false, ours, &mut look);
    }
    let first = look.found.into_iter().find(|found| found.place != Place::Quoted)?;
    let Found { bytes, seen, mended, name, .. } = first;
    let bytes = Cow::Owned(bytes.into_owned());
    Some(Found { place: Place::Forwarded, part, bytes, seen, mended, name, range: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_one_row_and_every_row_its_attack() {
        let places = [
            Place::Whole,
            Place::Inline,
            Place::Mended,
            Place::Among,
            Place::Text,
            Place::Html,
            Place::File(Foreign::default()),
            Place::Quoted,
            Place::Forwarded,
            Place::Elsewhere,
            Place::Smime,
        ];
        for place in &places {
            assert_eq!(ROWS.iter().filter(|row| (row.is)(place)).count(), 1, "{place:?}");
        }
        assert_eq!(ROWS.len(), places.len());
        assert!(ROWS.iter().all(|row| row.withstands.len() > 20));
    }

    #[test]
    fn blocks_are_cut_out_of_a_text() {
        let block =
            "-----BEGIN PGP MESSAGE-----\n\nhGVsbG8hGVsbG8hGVsbG8hGV\n-----END PGP MESSAGE-----";
        let text = format!("Hello,\n\n{block}\n\nRita\n{block}\n");
        assert_eq!(without_blocks(&text), "Hello,\n\n\n\nRita");
        assert_eq!(without_blocks("Hello"), "Hello");
        let quoted = "> -----BEGIN PGP MESSAGE-----\n> x";
        assert_eq!(without_blocks(quoted), quoted);
    }
}

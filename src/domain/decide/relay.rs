//! Passing on to the team what came in, with what the desk found out about it placed where a
//! sender cannot imitate it: before the quoted text, line by line the desk's own.

use serde_json::json;

use crate::domain::decide::answered::answered;
use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Purpose, Recipient};
use crate::domain::facts::foreign::Foreign;
use crate::domain::facts::letter::{Attachment, Failure, Letter, Protection, Signature, Verdict};
use crate::domain::facts::names::Handle;
use crate::domain::facts::outer_view::{Ciphertext, Place};
use crate::domain::model::desk::Desk;
use crate::domain::model::roster::{Party, Person};
use crate::domain::model::schedule;
use crate::domain::outgoing::texts;
use crate::domain::outgoing::texts::{
    Written, clean, clean_line, quote, without_references, wrapped,
};

/// A report, to each holder of the playbook's intake role.
pub fn report(work: &mut Work<'_>, letter: &Letter) {
    let Some(incident) = &work.incident else {
        return;
    };
    let intake = incident.playbook.intake.clone();
    let answer_by = work.say(schedule::human_due(incident));
    let people = work.holders(&intake);
    if people.is_empty() {
        work.fault(format!("nobody holds the intake role `{intake}`; a report reached nobody"));
    }
    // Whom answers go to is said where they begin.
    let told = answered(&work.desk.settings.address, &letter.outer).told;
    let told: Vec<&str> = told.into_iter().collect();
    for person in people {
        let facts = json!({ "answer_by": answer_by, "told": told });
        pass_on(work, letter, person, "report", &from(work, letter, None), facts);
    }
}

/// A further mail, to those who talk on the incident; not to the person who wrote it. `told` is
/// what the desk itself has to say about it.
pub fn mail_with(
    work: &mut Work<'_>,
    letter: &Letter,
    writer: Option<&Person>,
    by: &str,
    told: &[String],
) {
    let people = work.circle();
    if people.is_empty() {
        let handle = work.incident.as_ref().map_or_else(String::new, |i| i.handle.to_string());
        work.fault(format!("a mail on {handle} reached nobody: nobody is on it"));
        let operators = work.desk.roster.operators();
        let lines =
            [format!("Somebody wrote on {handle}, and nobody of the team is on it any more.")];
        let next = "give somebody the intake role in the config, and restart the desk.";
        tell_outside(work, &operators, "A mail reached nobody", &lines, next);
    }
    for person in people.into_iter().filter(|person| writer.is_none_or(|w| w.id != person.id)) {
        let more = json!({ "told": told });
        pass_on(work, letter, person, "mail", &from(work, letter, Some(by)), more);
    }
}

/// [`mail_with`], with nothing to say about it.
pub fn mail(work: &mut Work<'_>, letter: &Letter, writer: Option<&Person>, by: &str) {
    mail_with(work, letter, writer, by, &[]);
}

/// A subject without what mail programs and the desk put before it, so that it does not grow with
/// every answer, and without the placeholder that stands outside.
#[must_use]
pub fn bare_subject(subject: &str, otherwise: &str) -> String {
    const ANSWERS: &[&str] = &[
        "re", "aw", "sv", "vs", "antw", "odp", "rif", "res", "fwd", "fw", "wg", "tr", "rv", "vl",
        "回复", "答复",
    ];
    let mut rest = subject.trim();
    // Each round takes something away, so this ends; the bound is for subjects made to be long.
    for _ in 0..50 {
        let before = rest;
        if let Some((word, tail)) = rest.split_once([':', '：'])
            && ANSWERS.iter().any(|known| word.trim().eq_ignore_ascii_case(known))
        {
            rest = tail.trim();
        }
        if let Some((inside, tail)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'))
            && Handle::parse(inside).is_some()
        {
            rest = tail.trim();
        }
        if before == rest {
            break;
        }
    }
    match rest {
        "" | "..." | "[...]" => clean_line(otherwise, 150),
        rest => clean_line(rest, 150),
    }
}

fn from(work: &Work<'_>, letter: &Letter, by: Option<&str>) -> String {
    let signer = work.desk.signer(letter);
    let claimed = clean_line(letter.from_text.as_str(), 100);
    match (signer, by) {
        // A mail in clear that was signed once can be sent by anybody who has it.
        (Some(person), _) if !letter.verdict.protection.is_encrypted() => {
            format!("{} (by signature; it came in clear, so it may be a copy)", person.name)
        }
        (Some(person), _) if work.incident.as_ref().is_some_and(|i| !i.is_team(person)) => {
            format!("{} (proven by signature; not of the team)", person.name)
        }
        (Some(person), _) => format!("{} (proven by signature)", person.name),
        (None, Some(by)) => format!("{by}; the mail says {claimed}"),
        (None, None) => format!("{claimed} (as the mail says)"),
    }
}

fn pass_on(
    work: &mut Work<'_>,
    letter: &Letter,
    person: &Person,
    template: &str,
    from: &str,
    more: serde_json::Value,
) {
    let reference = work.reference(Party::Person(&person.id));
    let title = work.incident.as_ref().and_then(|incident| incident.title.clone());
    let otherwise =
        title.unwrap_or_else(|| format!("by {}", from.split(" (").next().unwrap_or("")));
    // To whom an answer goes is not for the reader to guess.
    let member = work
        .desk
        .signer(letter)
        .filter(|person| work.desk.members.get(&person.id).is_some())
        .filter(|person| work.incident.as_ref().is_none_or(|i| !i.is_team(person)))
        .map_or_else(String::new, |person| person.id.to_string());
    let (taken, left) = divided(work, letter);
    let at = number(work, letter);
    let parts: Vec<String> = letter
        .attachments
        .iter()
        .enumerate()
        .map(|(n, it)| if left.contains(&n) { left_out(work, at, n, it) } else { part(it) })
        .collect();
    let mut facts = json!({
        "member": member,
        "subject": bare_subject(letter.subject.as_str(), &otherwise),
        "told": [],
        "received": work.say(letter.received),
        "from": from,
        "protection": protection(letter),
        "signature": signature(work, letter),
        "notes": notes(letter),
        "parts": parts,
        "text": quoted(&letter.text),
        "outside": quoted(&letter.outside),
        "ref": reference,
    });
    if let (serde_json::Value::Object(facts), serde_json::Value::Object(more)) = (&mut facts, more)
    {
        facts.extend(more);
    }
    let written: Written = work.write(template, &facts);
    let attachments = taken.into_iter().map(|(_, part)| part).filter(|part| !holds_reference(part));
    work.tell_written(person, Purpose::Relay, written, attachments.cloned().collect(), None);
}

/// Whether a part is the HTML form of a text and quotes a reference of ours, which proves who a
/// reporter is.
pub(crate) fn holds_reference(attachment: &Attachment) -> bool {
    let html = attachment.is_text_of_mail();
    html && texts::holds_reference(&String::from_utf8_lossy(&attachment.bytes))
}

/// How much of what a mail carries is passed on with it: as much as a mail of ours may have, and of a mail by
/// nobody known a few times what they sent, so that a small mail that unpacks to a large one costs little.
fn room(work: &Work<'_>, letter: &Letter) -> usize {
    let most = work.desk.limits.relay_bytes(&work.desk.settings);
    // Base64 inside of base64, and a text beside it.
    let most = (most / 19).saturating_mul(10).saturating_sub(100_000);
    match work.desk.signer(letter) {
        Some(_) => most,
        None => most.min(letter.room()),
    }
}

/// The parts that are passed on, and those that come when they are asked for, each with its number.
fn divided<'l>(work: &Work<'_>, letter: &'l Letter) -> (Vec<(usize, &'l Attachment)>, Vec<usize>) {
    let mut room = room(work, letter);
    let (mut taken, mut left) = (Vec::new(), Vec::new());
    for (n, part) in letter.attachments.iter().enumerate() {
        if part.left.is_none() && part.size() <= room {
            room = room.saturating_sub(part.size());
            taken.push((n, part));
        } else {
            left.push(n);
        }
    }
    (taken, left)
}

/// The number of a letter on its incident, from one on; one for what opens it.
fn number(work: &Work<'_>, letter: &Letter) -> usize {
    let letters = work.incident.as_ref().map(|incident| incident.letters.as_slice());
    let at = letters.and_then(|all| all.iter().rposition(|known| known.raw == letter.raw));
    at.map_or(1, |at| at.saturating_add(1))
}

/// A part that is left out, and the word that brings it.
fn left_out(work: &Work<'_>, letter: usize, n: usize, part: &Attachment) -> String {
    let n = n.saturating_add(1);
    let which = if letter == 1 { n.to_string() } else { format!("{letter}.{n}") };
    let (name, size, sum) = (&part.name, part.size(), part.sum());
    let most = work.desk.limits.relay_bytes(&work.desk.settings);
    let how = if size > (most / 19).saturating_mul(10) {
        let handle = work.incident.as_ref().map_or("", |incident| incident.handle.as_str());
        format!(
            "too large for any mail of ours; whoever runs the desk gets it with `embargod part {handle} {which} FILE`"
        )
    } else {
        format!("too large; `| /part {which}` brings it")
    };
    format!("{name} ({size} bytes, SHA-256 {sum}): NOT attached, {how}")
}

fn part(attachment: &Attachment) -> String {
    if holds_reference(attachment) {
        return "(an HTML text was left out: it quotes a reference of ours)".to_owned();
    }
    let media = Foreign::line(&attachment.media, 100);
    let (name, size) = (&attachment.name, attachment.size());
    let outside = if attachment.outside { "; NOT from inside the encryption" } else { "" };
    format!("{name} ({media}, {size} bytes{outside})")
}

fn quoted(text: &str) -> String {
    quote(&without_references(&clean(text)))
}

fn protection(letter: &Letter) -> String {
    let verdict = &letter.verdict;
    // "NOT encrypted" is said only of a mail in which nothing is.
    let holds_some = !letter.outer.ciphertexts.is_empty();
    let tried = letter.outer.ciphertexts.iter().any(|ciphertext| ciphertext.tried);
    let how = match verdict.protection {
        Protection::Both => "encrypted and signed",
        Protection::Encrypted => "encrypted, not signed",
        Protection::Signed if holds_some => "signed; something encrypted lies in it, see below",
        Protection::Signed => "signed, NOT encrypted: it was readable on the way",
        Protection::None if tried => "encrypted, and not opened",
        Protection::None if verdict.failure == Some(Failure::Smime) => "by S/MIME, not opened",
        Protection::None if holds_some => "something encrypted lies in it, see below",
        Protection::None => "NOT encrypted: it was readable on the way",
    };
    let inline = if verdict.inline { "; inline, so its headers were not protected" } else { "" };
    let repaired =
        if verdict.repaired { "; its form was damaged on the way and mended here" } else { "" };
    format!("{how}{inline}{repaired}")
}

fn signature(work: &Work<'_>, letter: &Letter) -> String {
    let reporter = work.incident.as_ref().and_then(|incident| incident.reporter.key.as_ref());
    match &letter.verdict.signature {
        Signature::Valid(signed) => match work.desk.signer(letter) {
            Some(person) => format!("holds, by {}", person.name),
            None if work.desk.is_revoked(&signed.fingerprint) => {
                "by a key that is REVOKED, so it counts as unsigned".to_owned()
            }
            None if reporter.is_some_and(|key| key.fingerprint == signed.fingerprint) => {
                format!("holds, by the reporter's key {}", signed.fingerprint.spaced())
            }
            None => format!(
                "holds, by a key that is not in the roster: {}",
                signed.fingerprint.spaced()
            ),
        },
        Signature::None => "none".to_owned(),
        Signature::Partial => "covers a part only, so it counts as unsigned".to_owned(),
        Signature::UnknownKey => {
            "by a key that we do not have, so it counts as unsigned".to_owned()
        }
        Signature::Unsupported(kind) => {
            let kind = Foreign::line(kind, 60);
            format!("of a kind that this desk cannot check ({kind}), so it counts as unsigned")
        }
        Signature::Invalid => "does NOT hold, so it counts as unsigned".to_owned(),
        Signature::Several => "of several people, so it speaks for nobody".to_owned(),
    }
}

/// Why a mail does not count as signed by the person whose address it bears.
#[must_use]
pub fn signature_fault(verdict: &Verdict) -> String {
    let why = match &verdict.signature {
        Signature::Valid(_) => "It is signed by another key than the one pinned for you.",
        Signature::None => "It is not signed.",
        Signature::Partial => "Only a part of it is signed.",
        Signature::UnknownKey => "It is signed by a key that we do not know.",
        Signature::Unsupported(_) => "Its signature is of a kind that the desk cannot check.",
        Signature::Invalid => "Its signature does not hold.",
        Signature::Several => "It is signed by several people.",
    };
    why.to_owned()
}

/// What lies encrypted in a mail, where that is not simply the whole of it.
fn ciphertexts(letter: &Letter) -> Vec<String> {
    let all = &letter.outer.ciphertexts;
    let whole = |place: &Place| matches!(place, Place::Whole | Place::Inline);
    let opened = letter.verdict.protection.is_encrypted();
    if let [one] = all.as_slice()
        && whole(&one.place)
        && opened
    {
        return Vec::new();
    }
    let line = |ciphertext: &Ciphertext| {
        let what = match (ciphertext.tried, opened) {
            (true, true) => "opened",
            (true, false) => "NOT opened",
            (false, _) => "left closed",
        };
        format!("encrypted: {}{}: {what}", ciphertext.place, ciphertext.for_whom())
    };
    let mut lines: Vec<String> = all.iter().take(10).map(line).collect();
    let more = all.len().saturating_sub(10);
    if more > 0 {
        lines.push(format!("encrypted: {more} more parts: left closed"));
    }
    if all.iter().any(|ciphertext| !ciphertext.tried || !opened) {
        lines.push("`| /unreadable` asks the sender for it in a form that is read".to_owned());
    }
    lines
}

fn notes(letter: &Letter) -> Vec<String> {
    let mut notes = ciphertexts(letter);
    if let Some(reason) = &letter.verdict.reason {
        notes.push(format!("why it was not opened: {reason}"));
    }
    if let Some(why) = &letter.unusable_key {
        notes.push(format!("a key of theirs came along that cannot be used: {why}"));
    }
    notes.extend(plain_notes(letter).into_iter().map(str::to_owned));
    notes
}

fn plain_notes(letter: &Letter) -> Vec<&'static str> {
    let failure = letter.verdict.failure.map(|failure| match failure {
        Failure::NotToUs => "it is encrypted to keys that are not ours; the reporter was told so",
        Failure::Elsewhere => "what is encrypted in it is in a place where nothing is opened",
        Failure::CannotDecrypt => "it could NOT be opened; the mail is kept as it came",
        Failure::PasswordOnly => "it is encrypted with a password; the mail is kept as it came",
        Failure::Smime => "it is S/MIME, which the desk does not read; the mail is kept as it came",
        Failure::Malformed => {
            "it claims to be PGP/MIME and is malformed; the mail is kept as it came"
        }
        Failure::TooLarge => "it is larger than the desk reads; the rest is on the mail server",
        Failure::TooComplex => {
            "it is built in a way that the desk does not read; it is kept as it came"
        }
    });
    let winmail = letter.attachments.iter().any(|part| part.media == "application/ms-tnef");
    let winmail = winmail.then_some(
        "Outlook wrapped parts of it into `winmail.dat`, which other programs read with `tnef`",
    );
    let html = letter.html_only.then_some("its text was HTML only and was reduced to plain text");
    let odd = letter
        .malformed
        .then_some("its headers are malformed; do not trust who it says it is from");
    let cut = letter.text_cut.then_some(
        "its text is longer than the desk reads: the END IS MISSING here; the mail is kept whole",
    );
    let junk = letter
        .junk
        .then_some("it lay in the mailbox's folder for JUNK: your host took it for that");
    failure.into_iter().chain(winmail).chain(html).chain(odd).chain(cut).chain(junk).collect()
}

/// Who a recipient is, for the team.
#[must_use]
pub fn who(desk: &Desk, to: &Recipient) -> String {
    who_in(desk, to, usize::MAX)
}

/// As [`who`], in so many characters at most. A member's id is part of it and never cut: names are what
/// people call themselves, and two may look the same.
#[must_use]
pub fn who_in(desk: &Desk, to: &Recipient, width: usize) -> String {
    let cut = |text: &str, width: usize| text.chars().take(width).collect::<String>();
    match to {
        Recipient::Person(id) => {
            // Also one who was removed since.
            let known = desk.roster.person(id).map(|person| person.name.as_str());
            match (desk.members.get(id), known) {
                (Some(member), known) => {
                    let id = format!(" ({id})");
                    let left = width.saturating_sub(id.chars().count());
                    cut(known.unwrap_or(&member.name), left) + &id
                }
                (None, Some(name)) => cut(name, width),
                (None, None) => id.to_string(),
            }
        }
        Recipient::Reporter => "the reporter".to_owned(),
        Recipient::List(address) => cut(&format!("the list {address}"), width),
        Recipient::Outsider(_) => "somebody outside".to_owned(),
    }
}

fn alert_facts(heading: &str, lines: &[String], next: &str) -> serde_json::Value {
    let lines: Vec<String> = lines.iter().map(|line| wrapped(line)).collect();
    let next = wrapped(&format!("What to do: {next}"));
    let next = next.strip_prefix("What to do: ").unwrap_or(&next);
    json!({ "heading": heading, "lines": lines, "next": next })
}

/// Tells people who are not on the incident that something is wrong: sealed, without its title and
/// without a reference to it.
pub fn tell_outside(
    work: &mut Work<'_>,
    people: &[&Person],
    heading: &str,
    lines: &[String],
    next: &str,
) {
    let incident = work.incident.take();
    let facts = alert_facts(heading, lines, next);
    work.tell_all(people, &Purpose::Alert, "alert", &facts);
    work.incident = incident;
}

/// Tells those who work on the incident, or the operators where it is about none, that something
/// is wrong.
pub fn alert(
    work: &mut Work<'_>,
    about: Option<&Recipient>,
    heading: &str,
    lines: &[String],
    next: &str,
) {
    let people = match &work.incident {
        Some(incident) => {
            let intake = incident.playbook.intake.clone();
            work.holders(&intake)
        }
        None => work.desk.roster.operators(),
    };
    // Not to the one whom it is about: their mailbox or key is what does not work.
    let people: Vec<&Person> = people
        .into_iter()
        .filter(|person| about != Some(&Recipient::Person(person.id.clone())))
        .collect();
    let facts = alert_facts(heading, lines, next);
    work.tell_all(&people, &Purpose::Alert, "alert", &facts);
}

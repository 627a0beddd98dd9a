//! What a mail is, and what follows from it: and in which order that is asked.
//!
//! Each step works on the result of the one before, and the last one takes everything: a mail that
//! is nothing else is a report. Nothing is dropped because of a header, and nothing that goes back
//! to an outsider depends on more than what an outsider could see, except under the key that
//! signed inside the encryption.

use serde_json::json;

use crate::domain::commands::grammar::{Parsed, is_ping};
use crate::domain::commands::{diagnosis, reporter};
use crate::domain::decide::answered::{Answered, answered};
use crate::domain::decide::decision::{Decision, Entry};
use crate::domain::decide::digest;
use crate::domain::decide::letters::{join, note};
use crate::domain::decide::relay;
use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Author, Event, Opening, Purpose, Recipient, ReporterKey};
use crate::domain::facts::language;
use crate::domain::facts::letter::{Attachment, DeliveryReport, Fate, Letter, Signature};
use crate::domain::facts::names::{Address, Fresh, Handle, MessageId, Moment, Span, later};
use crate::domain::facts::outer_view::{KeyRank, Shape};
use crate::domain::facts::refusal::Refusal;
use crate::domain::facts::source::Source;
use crate::domain::intake::acknowledge;
use crate::domain::intake::acknowledge::{Named, draw_handle};
use crate::domain::intake::binding::{Binding, bind};
use crate::domain::intake::{command_mail, copies, key_request};
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::Status;
use crate::domain::model::roster::Person;
use crate::domain::outgoing::mail::Label;
use crate::domain::outgoing::texts;

/// What the desk calls a mail of its own.
pub const OWN_MAIL: &str = "own mail";

/// A mail, with what the store knows about it.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The mail.
    pub letter: &'a Letter,
    /// Whether one of our own mails has its Message-ID.
    pub ours: bool,
    /// The mail of ours whose return path it came to: its id, and what it is.
    pub returned: Option<&'a (MessageId, Label)>,
}

/// Decides what follows from a mail.
pub fn receive(desk: &Desk, arrival: Arrival<'_>, now: Moment, fresh: Fresh) -> Decision {
    let mut decision = follows(desk, arrival, now, fresh.clone());
    decision.entries.extend(reads_newer(desk, arrival.letter));
    // Not of our own making, and no machine's: those are answered by nobody, opened or not.
    let stranger = !arrival.ours && arrival.letter.outer.shape == Shape::Mail;
    let owed = stranger
        .then(|| copies::owed(desk, arrival.letter, &decision, now, fresh.again()))
        .flatten();
    if let Some(owed) = owed {
        decision.merge(owed);
    }
    decision
}

/// That whoever signed a mail reads the newer form, since their program wrote in it.
fn reads_newer(desk: &Desk, letter: &Letter) -> Option<Entry> {
    let signed = letter.verdict.signed().filter(|_| letter.verdict.newer)?;
    let fingerprint = signed.fingerprint.clone();
    let is_new = desk.limits.reads_newer(&fingerprint).is_none();
    let event = Event::ReadsNewer { fingerprint, reads: true };
    is_new.then_some(Entry { incident: None, by: None, event })
}

fn follows(desk: &Desk, arrival: Arrival<'_>, now: Moment, fresh: Fresh) -> Decision {
    let letter = arrival.letter;
    // Both, since whoever got a mail of ours knows its id.
    let from_us = letter.author().is_some_and(|author| author.same_box(&desk.settings.address));
    if arrival.ours && from_us {
        return noted(desk, now, fresh, OWN_MAIL);
    }
    // Of another desk at this address, such as one that somebody tries out: a report of it would be
    // news to that desk, and so on for ever.
    let machine =
        letter.outer.shape == Shape::Automatic && !letter.verdict.protection.is_encrypted();
    if from_us && machine && letter.verdict.signed().is_none() {
        return noted(desk, now, fresh, "another desk's own mail");
    }
    if letter.outer.shape == Shape::DeliveryReport {
        return returned(desk, arrival, now, fresh);
    }
    let open = letter.verdict.protection.is_encrypted();
    let place = bind(desk, letter);
    if let Some(decision) = command_mail::person_mail(desk, letter, &place, now, &fresh) {
        return decision;
    }
    // What comes to the unguessable return path of a mail of ours answers that mail, whatever its form: it
    // opens nothing, and is answered by nobody, or two machines would write to each other for ever.
    if let Some((_, label)) = arrival.returned {
        return match label.about.as_ref().or(place.handle.as_ref()) {
            Some(handle) => automatic(desk, letter, handle, now, fresh),
            None => by_machine(desk, letter, now, fresh),
        };
    }
    if letter.outer.shape == Shape::Automatic
        && let Some(handle) = &place.handle
    {
        return automatic(desk, letter, handle, now, fresh);
    }
    // A person whose program marks their mails so encrypts them.
    if letter.outer.shape == Shape::Automatic && !open {
        return by_machine(desk, letter, now, fresh);
    }
    if let Some(first) = letter.verdict.session.and_then(|session| desk.replay.session(session)) {
        return copies::received(desk, letter, first, now, fresh);
    }
    if let Some(decision) = copies::status_asked(desk, letter, &place, now, &fresh) {
        return decision;
    }
    if let Some(handle) = &place.handle {
        return follow_up(desk, letter, handle, &place, now, fresh);
    }
    if only_a_ping(desk, letter, &place.parsed) {
        let mut work = Work::on(desk, None, now, fresh);
        warn_if_in_a_persons_name(&mut work, letter, &place);
        work.dispose("ping");
        return work.done();
    }
    if key_request::is_one(letter) {
        return key_request::answer(desk, letter, now, fresh);
    }
    if only_a_revocation(letter) {
        return noted(desk, now, fresh, "revocation");
    }
    report(desk, letter, &place, false, now, fresh)
}

/// Whether a mail brought a revocation that counts, and nothing that was not passed on with the word
/// about it.
fn only_a_revocation(letter: &Letter) -> bool {
    let key = |part: &Attachment| part.tells_who_wrote();
    !letter.revoked.is_empty() && letter.attachments.iter().all(key) && letter.text.len() < 4_000
}

/// Whether a mail under the address of somebody of the roster asks what their mail program did, and
/// nothing else: no report, whatever the program made of it.
fn only_a_ping(desk: &Desk, letter: &Letter, parsed: &Parsed) -> bool {
    let author = letter.author().and_then(|author| desk.roster.by_address(author));
    author.is_some_and(|who| who.is_maintainer() || desk.rota.has_joined(&who.id))
        && is_ping(&parsed.lines)
        && parsed.text.is_empty()
        && letter.attachments.iter().all(Attachment::tells_who_wrote)
}

fn noted(desk: &Desk, now: Moment, fresh: Fresh, what: &'static str) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    work.dispose(what);
    work.done()
}

/// A delivery report is evidence only: it changes no membership and no state. One
/// that came to the unguessable return path of a mail of ours is told to the team.
fn returned(desk: &Desk, arrival: Arrival<'_>, now: Moment, fresh: Fresh) -> Decision {
    let known = arrival.returned.zip(arrival.letter.report.as_ref());
    let about =
        known.and_then(|((id, label), report)| Some((id, label, label.about.as_ref()?, report)));
    let Some((id, label, handle, report)) = about else {
        // Of a mail of ours that was about nothing; anything else may be a report in that shape.
        return match arrival.returned {
            Some(_) => noted(desk, now, fresh, "delivery report"),
            None => by_machine(desk, arrival.letter, now, fresh),
        };
    };
    let mut work = Work::on(desk, Some(handle), now, fresh);
    work.dispose("delivery report");
    note_report(&mut work, id, label, report);
    if report.fate != Fate::Failed {
        return work.done();
    }
    if label.purpose == Purpose::Acknowledgement {
        tell_of_unreached(&mut work, id, report);
        return work.done();
    }
    // Never about an alert, which would come back as well; and once an hour for each recipient,
    // however many reports somebody forges.
    let quiet = matches!(label.purpose, Purpose::Alert | Purpose::Waiting);
    if !quiet && once_an_hour(&mut work, &format!("returned:{:?}", label.to)) {
        let who = relay::who(desk, &label.to);
        relay::alert(
            &mut work,
            Some(&label.to),
            "A mail came back",
            &[
                format!("A mail server reports that our mail to {who} was not delivered."),
                "The report may be forged; nothing was changed by it.".to_owned(),
            ],
            "ask them by another way, and check their address.",
        );
    }
    work.done()
}

/// An acknowledgement did not arrive: it is noted on the incident, once. The team is mailed of a report that was
/// sealed or that they have taken up; of all others, which may bear any address, they see it where they look.
fn tell_of_unreached(work: &mut Work<'_>, id: &MessageId, report: &DeliveryReport) {
    let Some(incident) = work.incident.clone() else { return };
    if incident.reporter.unreached.is_some() {
        return;
    }
    let status = report.status.clone();
    work.add(Event::Reported { message_id: id.clone(), fate: Fate::Failed, status });
    let sealed = incident.letters.first().is_some_and(|letter| letter.protection.is_encrypted());
    if !sealed && incident.status != Status::Accepted {
        return;
    }
    let lines = [
        "A mail server reports that our acknowledgement to the reporter was not delivered.".to_owned(),
        "They may not know that their report arrived. The word may be forged; nothing was changed by it."
            .to_owned(),
    ];
    let next = "look in the report for another way to reach them.";
    relay::alert(
        work,
        Some(&Recipient::Reporter),
        "The acknowledgement did not arrive",
        &lines,
        next,
    );
}

/// Notes in the ledger what a report says of a notice. A report that says the same again is no news,
/// and one that says something else counts once an hour, however many somebody forges.
fn note_report(work: &mut Work<'_>, id: &MessageId, label: &Label, report: &DeliveryReport) {
    let Purpose::Notice { notice, number } = &label.purpose else { return };
    let entry = work.incident.as_ref().and_then(|incident| {
        incident.notices.get(notice)?.releases.get(number)?.copies.get(&label.to)
    });
    let before = entry.and_then(|entry| entry.report.clone());
    let new = match before {
        None => true,
        Some((_, fate, _)) if fate == report.fate => false,
        Some(_) => once_an_hour(work, &format!("report:{id}")),
    };
    if new {
        let (message_id, fate, status) = (id.clone(), report.fate, report.status.clone());
        work.add(Event::Reported { message_id, fate, status });
    }
}

/// A mail of a machine that is about nothing of ours: no clock begins and nobody is written to. It stands in the
/// digest, and is a report as soon as somebody says so.
fn by_machine(desk: &Desk, letter: &Letter, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    work.dispose("a machine's mail");
    let line = work.keep(digest::line(letter, letter.size));
    work.add_to_desk(Event::Listed { raw: letter.raw, line });
    work.done()
}

/// What a machine sent is a report, as somebody says.
pub fn made_report(desk: &Desk, letter: &Letter, now: Moment, fresh: Fresh) -> Decision {
    let place = bind(desk, letter);
    report(desk, letter, &place, true, now, fresh)
}

/// An automatic mail in an incident's thread: kept, never answered, and passed on once an hour at
/// most. Two machines answering each other must not fill people's mailboxes, and a
/// person whose mail program marks their mails so must be heard.
fn automatic(desk: &Desk, letter: &Letter, handle: &Handle, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, Some(handle), now, fresh);
    join(&mut work, letter, Author::Unproven);
    if once_an_hour(&mut work, "automatic") {
        relay::mail(&mut work, letter, None, "an automatic mail, unproven");
    }
    work.dispose("automatic answer");
    work.done()
}

/// Whether something was not yet done for this incident in the present hour; takes note of it.
fn once_an_hour(work: &mut Work<'_>, what: &str) -> bool {
    let what = format!("{what}:{}", work.now.timestamp() / 3_600);
    let new = work.incident.as_ref().is_some_and(|incident| !incident.reminded.contains(&what));
    if new {
        work.add(Event::Reminded { what });
    }
    new
}

/// A further mail on an incident, by its reporter or by somebody.
fn follow_up(
    desk: &Desk,
    letter: &Letter,
    handle: &Handle,
    place: &Binding<'_>,
    now: Moment,
    fresh: Fresh,
) -> Decision {
    let mut work = Work::on(desk, Some(handle), now, fresh);
    warn_if_in_a_persons_name(&mut work, letter, place);
    let reporter = work.incident.as_ref().map(|incident| incident.reporter.clone());
    let key = reporter.as_ref().and_then(|reporter| reporter.key.as_ref());
    let signed_by_reporter = key
        .zip(letter.verdict.signed())
        .is_some_and(|(key, signed)| key.fingerprint == signed.fingerprint);
    if let (true, true, Some(key)) = (signed_by_reporter, place.by_reporter, key)
        && reporter.as_ref().is_some_and(|reporter| !reporter.key_proven)
    {
        work.add(Event::KeyProven { fingerprint: key.fingerprint.clone() });
    }
    let news = if place.by_reporter { new_key(&mut work, letter) } else { None };
    let pinned = work.incident.as_ref().and_then(|incident| incident.reporter.key.clone());
    let taken = pinned.as_ref().map(|key| &key.fingerprint) != key.map(|key| &key.fingerprint);
    // The reference of theirs, and another key than theirs: whoever has read our answer has the one.
    let by_another = key.is_some() && is_signed(letter) && !signed_by_reporter && place.by_reporter;
    if by_another {
        tell_of_another_key(&mut work, taken);
    }
    let other_key = by_another && !taken;
    let proven = (signed_by_reporter || place.by_reporter) && !other_key;
    let has_key = work.incident.as_ref().is_some_and(|incident| incident.reporter.key_proven);
    let waits = work.incident.as_ref().map_or(0, |incident| incident.reporter.unsent);
    let had_key = reporter.as_ref().is_some_and(|reporter| reporter.key_proven);
    let waiting = (has_key && !had_key && waits > 0).then(|| {
        format!("{waits} of your answers were NOT sent for want of a key; send them again with `| /reply`")
    });
    let words = if proven { reporter::words(letter, &place.parsed) } else { &[] };
    let mut told = reporter::carry_out(&mut work, words);
    told.extend(news.clone());
    told.extend(waiting);
    // Who only asks where it stands has said nothing that anyone needs to read.
    let nothing_else = words.iter().all(|line| line.word.eq_ignore_ascii_case("status"))
        && place.parsed.text.is_empty()
        && letter.attachments.is_empty();
    if !words.is_empty() && nothing_else {
        work.dispose("status asked");
        return work.done();
    }
    work.dispose("reply");
    let heap = is_a_heap(&work, proven);
    if proven {
        join(&mut work, letter, Author::Reporter);
        if let Some(of) = work.incident.as_ref().and_then(|incident| incident.same_as.clone()) {
            told.push(format!("this incident goes on as {of}"));
        }
        // What nobody was shown yet waits for the digest with all that comes after it: whoever has the reference of a
        // thousand reports of their own has no thousand ways to the team's mailboxes.
        let unseen =
            work.incident.as_ref().is_some_and(|incident| incident.waits && incident.deferred);
        if unseen {
            work.add(Event::Gathered);
        } else if heap {
            tell_of_a_heap(&mut work, "The reporter's mails come in heaps");
        } else {
            relay::mail_with(&mut work, letter, None, "the reporter", &told);
        }
        return work.done();
    }
    join(&mut work, letter, Author::Unproven);
    if !heap {
        let by = if other_key {
            "somebody with the reporter's reference and ANOTHER KEY than theirs"
        } else {
            "somebody, unproven"
        };
        let news: Vec<String> = news.into_iter().collect();
        relay::mail_with(&mut work, letter, None, by, &news);
    } else {
        tell_of_a_heap(&mut work, "Mails by somebody unproven come in heaps");
    }
    work.done()
}

/// Says once an hour that more mails come on an incident than are passed on.
fn tell_of_a_heap(work: &mut Work<'_>, heading: &str) {
    if once_an_hour(work, "heap") {
        let lines = ["More are kept, and not passed on one by one in this hour.".to_owned()];
        let next = "read them with `| /show`, without the bar.";
        relay::alert(work, None, heading, &lines, next);
    }
}

/// Whether somebody signed a mail, as far as can be told: by a key that we do not have, it is by another key than
/// any that we have.
fn is_signed(letter: &Letter) -> bool {
    matches!(
        letter.verdict.signature,
        Signature::Valid(_) | Signature::UnknownKey | Signature::Unsupported(_)
    )
}

/// Says aloud that a mail bears a reporter's reference and another key's signature; once an hour.
fn tell_of_another_key(work: &mut Work<'_>, taken: bool) {
    if !once_an_hour(work, "another key") {
        return;
    }
    let became = if taken {
        "Nothing had shown yet that the key we knew was theirs, so the new one took its place."
    } else {
        "It was NOT taken as theirs, and nothing was changed by it."
    };
    let lines = [
        "A mail with the reporter's reference is signed by another key than the one that is known \
         for them. It may be a new key of theirs, or somebody who has read our answer to them."
            .to_owned(),
        became.to_owned(),
    ];
    let next = "ask the reporter by another way before you write what must stay secret.";
    relay::alert(work, None, "Another key on the reporter's reference", &lines, next);
}

/// Takes a key that came inside encryption with the reference that only the reporter was given; says
/// what the team should know of it. Whoever has read a reporter's acknowledgement has the reference
/// as well, so at least the address must be the one that reported, and people are told to look.
fn new_key(work: &mut Work<'_>, letter: &Letter) -> Option<String> {
    let reporter = work.incident.as_ref()?.reporter.clone();
    let known = reporter.key.as_ref().map(|key| &key.fingerprint);
    let inside = letter.keys.first().filter(|key| key.rank < KeyRank::Outside);
    if known.is_none() && inside.is_none() && !letter.outer.keys.is_empty() {
        let news = "a key came with it in clear and was NOT taken, since anybody on the way could have put it \
                    there; ask them to send it in a mail that is encrypted to ours";
        return Some(news.to_owned());
    }
    let found = inside.filter(|found| !reporter.key_proven && known != Some(&found.fingerprint))?;
    let from = letter.author().zip(reporter.address.as_ref());
    if !from.is_some_and(|(from, at)| from.same_box(at)) {
        let news = "a key came with it, from another address than the report's, and was NOT taken";
        return Some(news.to_owned());
    }
    let certificate = work.keep(found.certificate.clone());
    let (fingerprint, rank) = (found.fingerprint.clone(), found.rank);
    work.add(Event::KeyPinned { key: ReporterKey { fingerprint, rank, certificate } });
    Some(format!(
        "NEW KEY of the reporter, {}: it came with this mail, and who has seen our answer to the \
         report could have sent it; compare it by another way before you write what must stay secret",
        found.fingerprint.spaced()
    ))
}

/// So many mails of unproven writers an hour are passed on one by one on one incident.
const UNPROVEN_PER_HOUR: usize = 10;
/// Of a reporter whose report nobody has judged yet, with the report itself, and of one whose report was accepted.
const REPORTERS_PER_HOUR: usize = 5;
const ACCEPTED_PER_HOUR: usize = 30;

/// Whether mails of a reporter, or of unproven writers, come in heaps. Looks at the newest only.
fn is_a_heap(work: &Work<'_>, by_reporter: bool) -> bool {
    let hour_ago = later(work.now, Span::hours(-1));
    work.incident.as_ref().is_some_and(|incident| {
        let (author, most) = match (by_reporter, incident.status) {
            (false, _) => (Author::Unproven, UNPROVEN_PER_HOUR),
            (true, Status::Accepted) => (Author::Reporter, ACCEPTED_PER_HOUR),
            (true, _) => (Author::Reporter, REPORTERS_PER_HOUR),
        };
        let newest = incident.letters.iter().rev().take_while(|letter| letter.received > hour_ago);
        newest.filter(|letter| letter.author == author).count() >= most
    })
}

/// Tells a pinned person, sealed, that a mail came in under their address and does not count as theirs, where
/// it was meant to: it holds commands, belongs to an incident, or OpenPGP has to do with it. Spam in a forged
/// name is none of these. At most once an hour, so that nobody can flood them with it.
fn warn_if_in_a_persons_name(work: &mut Work<'_>, letter: &Letter, place: &Binding<'_>) {
    let lines = &place.parsed.lines;
    let on_incident = work.incident.is_some();
    let is_meant = !lines.is_empty()
        || on_incident
        || letter.outer.openpgp.is_some()
        || letter.verdict.signature != Signature::None;
    // With a reporter's reference it counts as the reporter's.
    if !is_meant || (lines.is_empty() && place.by_reporter) {
        return;
    }
    let desk = work.desk;
    let Some(person) = letter.author().and_then(|author| desk.roster.by_address(author)) else {
        return;
    };
    if place.speaker.is_some_and(|signer| signer.id == person.id) {
        return;
    }
    // What is asked about is told apart from what comes unasked, so that neither hides the other.
    let ping = is_ping(lines);
    let hour_ago = later(work.now, Span::hours(-1));
    if desk.limits.warned(&person.id, ping).is_some_and(|at| at > hour_ago) {
        return;
    }
    work.add_to_desk(Event::Warned { person: person.id.clone(), ping });
    let refusal =
        Refusal::new("", relay::signature_fault(&letter.verdict), diagnosis::remedy(letter));
    let (heading, holds, became) = match (lines.is_empty(), on_incident) {
        (false, _) => ("was not obeyed", " and holds commands", "Nothing of it was carried out."),
        (true, true) => {
            ("did not count as yours", "", "The team reads it as from somebody unproven.")
        }
        (true, false) => ("did not count as yours", "", "It was taken for a stranger's report."),
    };
    let facts = json!({
        "heading": heading,
        "holds": holds,
        "became": became,
        "received": work.say(letter.received),
        "why": refusal.why,
        "program": texts::wrapped(&diagnosis::tell(letter, None, None, Some(&refusal))),
        "pinned": person.fingerprint.spaced(),
    });
    work.tell(person, Purpose::Refusal, "warning", facts);
}

/// A new report.
fn report(
    desk: &Desk,
    letter: &Letter,
    place: &Binding<'_>,
    asked_for: bool,
    now: Moment,
    fresh: Fresh,
) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    let Some(playbook) = desk.playbooks.get(&desk.settings.playbook).cloned() else {
        work.fault("the playbook of new incidents is missing");
        return work.done();
    };
    warn_if_in_a_persons_name(&mut work, letter, place);
    let handle = draw_handle(&mut work);
    let encrypted = letter.outer.openpgp.is_some();
    let person = proven_author(&mut work, letter);
    let author = person.map(|person| Author::Person(person.id.clone()));
    let letter_note = note(&mut work, letter, author.clone().unwrap_or(Author::Reporter));
    let key = letter.keys.first().map(|found| ReporterKey {
        fingerprint: found.fingerprint.clone(),
        rank: found.rank,
        certificate: work.keep(found.certificate.clone()),
    });
    let Answered { to: reporter, also, .. } = answered(&desk.settings.address, &letter.outer);
    // Under a name that was given before it is no first mail.
    let may = |to: &Address| {
        let proven = author.is_some() && acknowledge::is_ours(desk, letter, to);
        acknowledge::may(desk, letter, to, now) || (proven && !letter.from_before)
    };
    let answered = place.alias.is_none() && reporter.as_ref().is_some_and(may);
    let acknowledge = answered.then(|| acknowledge::at(desk, letter, now));
    let source = Source::of(&letter.outer);
    let opened = letter.verdict.protection.is_encrypted();
    let deferred = !asked_for
        && author.is_none()
        && (desk.limits.defers(&desk.settings, &source, opened, now)
            || (letter.outer.spam && !opened));
    let line = work.keep(digest::line(letter, letter.size));
    let opening = Opening {
        playbook: playbook.digest,
        calendar: playbook.calendar_digest,
        letter: letter_note,
        reporter: reporter.clone(),
        key,
        session: letter.verdict.session,
        acknowledge,
        deferred,
        source: Some(source),
        line: Some(line),
        language: language::chosen(&desk.settings.languages, &letter.outer.languages),
        looks_encrypted: encrypted,
    };
    work.open(handle.clone(), opening, playbook);
    if let Some((at, address)) = acknowledge.zip(reporter) {
        let (to, received) = (Recipient::Reporter, letter.received);
        let named = Named { name: &handle, to, address, received };
        acknowledge::acknowledgement(&mut work, &letter.outer, &named, also.as_ref(), at);
    }
    if !deferred {
        relay::report(&mut work, letter);
    }
    work.dispose("report");
    work.done()
}

/// The person of the roster who wrote a report, if it can be nobody else who sent it: encrypted, by
/// a signature that was not seen before. Any mail of theirs that is public could otherwise open
/// incidents without end.
fn proven_author<'a>(work: &mut Work<'a>, letter: &Letter) -> Option<&'a Person> {
    let signed = letter.verdict.signed()?;
    // Not by a key that is offered and not in force.
    let person = work.desk.signer(letter)?;
    let spent = work.desk.replay.is_used(&signed.fingerprint, signed.hash);
    if !spent {
        let (fingerprint, hash) = (signed.fingerprint.clone(), signed.hash);
        work.add_to_desk(Event::SignatureSpent { fingerprint, hash });
    }
    (!spent && letter.verdict.protection.is_encrypted()).then_some(person)
}

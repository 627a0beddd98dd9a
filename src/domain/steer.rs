//! A mail signed by a person of the roster: whether its commands count, and carrying them out.
//!
//! A command counts only from the bytes of a root signature by a pinned fingerprint, inside
//! encryption, bound to this desk and one incident, fresh, and never seen before. Several in one
//! mail happen together or not at all, and every command mail gets a sealed answer.

use serde_json::json;

use super::commands::{Turn, read::named_incident};
use super::desk::{Decision, Desk, SENT_TWICE};
use super::event::{Author, Event, Purpose};
use super::intake::{Place, join};
use super::keyword::{Keyword, Line, Needs, Parsed, Scope, is_misplaced, keyword, parse, unknown};
use super::letter::{Letter, Signed};
use super::names::{Fresh, Handle, Moment, Span};
use super::refusal::Refusal;
use super::relay;
use super::roster::Person;
use super::texts::clean_line;
use super::work::Work;

/// A signature older than this at arrival carries no command.
const AGE_MAX: Span = Span::hours(48);
/// Nor does one from further ahead than this.
const AHEAD_MAX: Span = Span::minutes(10);

/// The command block of a mail, whoever wrote it and whether or not it counts.
#[must_use]
pub fn commands_in(letter: &Letter) -> Vec<Line> {
    parse(&letter.text).lines
}

/// Decides on a mail that a person of the roster signed. `None` leaves it to the other rules: it
/// is a report of theirs.
pub fn person_mail(
    desk: &Desk,
    letter: &Letter,
    person: &Person,
    place: &Place,
    now: Moment,
    fresh: &Fresh,
) -> Option<Decision> {
    let signed = letter.verdict.signed()?;
    let parsed = parse(&letter.text);
    if is_misplaced(&parsed) && person.is_maintainer() {
        let refusal = Refusal::new(
            "a word in the wrong place",
            "your mail begins with a word of the desk that does not stand at the beginning of its line.",
            "write it at the very beginning of the line, without blanks and without the bar.",
        );
        return Some(refuse(
            desk,
            letter,
            person,
            place.handle.as_ref(),
            &parsed,
            &refusal,
            now,
            fresh,
        ));
    }
    // A command line from anyone but a maintainer is ordinary text.
    if parsed.lines.is_empty() || !person.is_maintainer() {
        let handle = place.handle.as_ref()?;
        return Some(conversation(desk, letter, person, handle, signed, now, fresh));
    }
    let mut work = Work::on(desk, None, now, fresh.clone());
    work.by = Some(person.id.clone());
    work.dispose("commands");
    let handle = match admitted(desk, letter, signed, place, &parsed.lines, now) {
        Ok(handle) => handle,
        Err(refusal) => {
            return Some(refuse(
                desk,
                letter,
                person,
                place.handle.as_ref(),
                &parsed,
                &refusal,
                now,
                fresh,
            ));
        }
    };
    work.incident = handle.as_ref().and_then(|handle| desk.incidents.get(handle)).cloned();
    work.add_to_desk(Event::SignatureSpent {
        fingerprint: signed.fingerprint.clone(),
        hash: signed.hash,
    });
    match carry_out(work, letter, person, &parsed) {
        Ok(work) => Some(work.done()),
        Err(refusal) => {
            Some(refuse(desk, letter, person, handle.as_ref(), &parsed, &refusal, now, fresh))
        }
    }
}

/// A signed mail without commands, in an incident's thread: kept and passed on to the others.
fn conversation(
    desk: &Desk,
    letter: &Letter,
    person: &Person,
    handle: &Handle,
    signed: &Signed,
    now: Moment,
    fresh: &Fresh,
) -> Decision {
    let mut work = Work::on(desk, Some(handle), now, fresh.clone());
    work.dispose("reply");
    if desk.is_spent(&signed.fingerprint, signed.hash) {
        work.dispose("replay");
        return work.done();
    }
    work.by = Some(person.id.clone());
    work.add_to_desk(Event::SignatureSpent {
        fingerprint: signed.fingerprint.clone(),
        hash: signed.hash,
    });
    join(&mut work, letter, Author::Person(person.id.clone()));
    relay::mail(&mut work, letter, Some(person), &person.name);
    work.done()
}

/// Checks everything about a mail that must hold before its first word is looked at, and says
/// which incident it speaks of.
fn admitted(
    desk: &Desk,
    letter: &Letter,
    signed: &Signed,
    place: &Place,
    lines: &[Line],
    now: Moment,
) -> Result<Option<Handle>, Refusal> {
    if letter.html_only {
        return Err(Refusal::new(
            "HTML only",
            "your mail has no plain text, and commands are read from plain text only.",
            "send it again as plain text (in your mail program: format, plain text only).",
        ));
    }
    if !letter.verdict.protection.is_encrypted() {
        return Err(Refusal::new(
            "not encrypted",
            "your mail was signed and not encrypted; anyone on the way could read it.",
            "send it again, signed and encrypted to our key.",
        ));
    }
    if desk.is_spent(&signed.fingerprint, signed.hash) {
        return Err(Refusal::new(
            SENT_TWICE,
            "a mail with this very signature was taken before, so this one is a copy.",
            "to do it again, write a new mail. If you did not send this one, somebody has a copy of the first.",
        ));
    }
    check_age(letter, signed, lines, now)?;
    // What is quoted from elsewhere may hold anything; it counts only where nothing of ours does.
    if place.foreign && place.own.is_empty() {
        return Err(Refusal::new(
            "a reference that is not yours",
            "your mail holds a `Ref:` that was not made out to you for that incident.",
            "answer the mail that you got from us yourself.",
        ));
    }
    let named = lines.iter().find(|line| line.word.eq_ignore_ascii_case("incident"));
    let named = named.map(|line| named_incident(&line.arguments)).transpose()?;
    let mut handles: Vec<&Handle> = place.own.iter().map(|reference| &reference.handle).collect();
    handles.sort();
    handles.dedup();
    let contradiction = || {
        Refusal::new(
            "two incidents named",
            "your mail speaks of two incidents at once.",
            "answer a mail about the one that you mean, and quote no other.",
        )
    };
    if handles.len() > 1 {
        return Err(contradiction());
    }
    let by_ref = handles.first().copied().cloned();
    let agrees = |a: Option<&Handle>, b: Option<&Handle>| a.is_none() || b.is_none() || a == b;
    if !agrees(by_ref.as_ref(), named.as_ref())
        || !agrees(by_ref.as_ref(), place.by_headers.as_ref())
        || !agrees(named.as_ref(), place.by_headers.as_ref())
    {
        return Err(contradiction());
    }
    match (by_ref, named) {
        (Some(handle), _) => Ok(Some(handle)),
        (None, None) => Ok(None),
        (None, Some(handle)) if !desk.incidents.contains_key(&handle) => Err(Refusal::new(
            "no such incident",
            format!("there is no incident {handle}."),
            "write `| /list` to see the open ones, without the bar.",
        )),
        // Without our key among the intended recipients the same signed bytes could have been
        // meant for another desk.
        (None, Some(handle)) if signed.names_us => Ok(Some(handle)),
        (None, Some(_)) => Err(Refusal::new(
            "not bound to this desk",
            "your mail program does not sign for whom the mail is meant, so `/incident` alone does not count.",
            "answer a mail of ours on that incident and keep its `Ref:` line.",
        )),
    }
}

fn check_age(letter: &Letter, signed: &Signed, lines: &[Line], now: Moment) -> Result<(), Refusal> {
    // Holding something back must work however long the mail took.
    let harmless = ["hold", "incident"];
    let only_hold =
        lines.iter().all(|line| harmless.iter().any(|w| line.word.eq_ignore_ascii_case(w)));
    let dangerous = lines.iter().any(|line| keyword(&line.word).is_some_and(|row| row.dangerous));
    let mut age = letter.received.signed_duration_since(signed.made);
    if dangerous {
        age = age.max(now.signed_duration_since(signed.made));
    }
    if age > AGE_MAX && !only_hold {
        return Err(Refusal::new(
            "too old",
            format!(
                "your signature was {} hours old, and {} is the most that counts.",
                age.num_hours(),
                AGE_MAX.num_hours()
            ),
            "send it again, signed anew.",
        ));
    }
    if age < -AHEAD_MAX {
        return Err(Refusal::new(
            "from the future",
            format!(
                "your signature is dated {} minutes ahead of our clock.",
                age.num_minutes().abs()
            ),
            "set your computer's clock, and send it again.",
        ));
    }
    Ok(())
}

pub(super) fn may_use(work: &Work<'_>, person: &Person, row: &Keyword) -> Result<(), Refusal> {
    if row.scope == Scope::Incident && work.incident.is_none() {
        return Err(Refusal::new(
            "no incident named",
            format!("`/{}` is about an incident, and your mail names none.", row.word),
            "keep the `Ref:` line of our mail in yours.",
        ));
    }
    let intake = work.incident.as_ref().map(|incident| incident.playbook.intake.clone());
    let in_team =
        work.incident.is_none() || work.team().iter().any(|member| member.id == person.id);
    let holds = match row.needs {
        Needs::Maintainer => true,
        Needs::Team | Needs::TaskRole => in_team,
        Needs::Intake => intake.is_some_and(|intake| person.roles.contains(&intake)),
    };
    if holds {
        return Ok(());
    }
    Err(Refusal::new(
        "not your role",
        format!("`/{}` is for {}, and you are not among them.", row.word, row.needs.words()),
        "ask one of them to send it.",
    ))
}

/// Carries out all lines on the copy, or none.
fn carry_out<'d>(
    mut work: Work<'d>,
    letter: &Letter,
    person: &Person,
    parsed: &Parsed,
) -> Result<Work<'d>, Refusal> {
    let person = work.desk.roster.person(&person.id).ok_or_else(|| unknown(""))?;
    // All words are known and allowed before the first is carried out.
    let mut rows = Vec::new();
    for line in &parsed.lines {
        let row = keyword(&line.word).ok_or_else(|| unknown(&line.word))?;
        may_use(&work, person, row)?;
        rows.push((row, line));
    }
    let words = rows.iter().map(|(row, _)| row.word.to_owned()).collect();
    work.add(Event::Commanded { words });
    let mut turn = Turn {
        work: &mut work,
        person,
        letter,
        text: &parsed.text,
        text_used: false,
        line: String::new(),
        confirming: None,
    };
    let mut steps = Vec::new();
    for (row, line) in &rows {
        turn.line = line.text();
        let shown = turn.line.clone();
        let answer = (row.run)(&mut turn, &line.arguments).map_err(|mut refusal| {
            if rows.len() > 1 {
                refusal.why = format!("at `{shown}`: {}", refusal.why);
            }
            refusal
        })?;
        steps.push(json!({ "line": shown, "answer": answer }));
    }
    let asks = |work: &Work<'_>| work.incident.as_ref().map_or(0, |incident| incident.asks.len());
    let before = work_asks(turn.work.desk, turn.work.incident.as_ref());
    let asked = asks(turn.work).saturating_sub(before);
    let passed_on = !turn.text_used && !parsed.text.is_empty() && turn.work.incident.is_some();
    if passed_on {
        pass_text_on(&mut work, letter, person, &parsed.text);
    }
    let words: Vec<_> = rows.iter().map(|(row, _)| row.word).collect();
    let head = work.desk.head;
    let what = if asked > 0 { "Confirm" } else { "Done" };
    let facts = json!({
        "summary": clean_line(&format!("{what}: {}", words.join(", ")), 100),
        "steps": steps,
        "text_kept": passed_on,
        "journal_number": head.number,
        "journal_hash": head.hash,
    });
    answer(&mut work, letter, person, Purpose::Transcript, "transcript", facts);
    Ok(work)
}

/// How many confirmations were open before this mail.
fn work_asks(desk: &Desk, incident: Option<&super::incident::Incident>) -> usize {
    let known = incident.and_then(|incident| desk.incidents.get(&incident.handle));
    known.map_or(0, |incident| incident.asks.len())
}

/// What stands below the commands is a word to the team. Only the writer's own lines travel.
fn pass_text_on(work: &mut Work<'_>, letter: &Letter, person: &Person, text: &str) {
    let own = Letter { text: text.to_owned(), ..letter.clone() };
    join(work, &own, Author::Person(person.id.clone()));
    relay::mail(work, &own, Some(person), &person.name);
}

fn answer(
    work: &mut Work<'_>,
    letter: &Letter,
    person: &Person,
    purpose: Purpose,
    template: &str,
    mut facts: serde_json::Value,
) {
    let handle = work
        .incident
        .as_ref()
        .map_or_else(|| work.desk.settings.name.clone(), |i| i.handle.to_string());
    if let serde_json::Value::Object(map) = &mut facts {
        map.insert("handle".to_owned(), handle.into());
        map.insert(
            "ref".to_owned(),
            work.reference(super::roster::Party::Person(&person.id)).into(),
        );
    }
    let written = work.write(template, &facts);
    work.tell_written(person, purpose, written, Vec::new(), letter.message_id.clone());
}

/// Nothing happens, and the person whose key signed is told why; nobody else.
#[expect(clippy::too_many_arguments, reason = "the parts of one refused mail")]
fn refuse(
    desk: &Desk,
    letter: &Letter,
    person: &Person,
    handle: Option<&Handle>,
    parsed: &Parsed,
    refusal: &Refusal,
    now: Moment,
    fresh: &Fresh,
) -> Decision {
    let mut work = Work::on(desk, handle, now, fresh.clone());
    work.by = Some(person.id.clone());
    work.dispose("commands, refused");
    // Used up whatever became of it: what was refused today must not be carried out tomorrow by
    // somebody who kept a copy.
    let signed = letter.verdict.signed();
    let spent = signed.is_some_and(|signed| desk.is_spent(&signed.fingerprint, signed.hash));
    if let (Some(signed), false) = (signed, spent) {
        let (fingerprint, hash) = (signed.fingerprint.clone(), signed.hash);
        work.add_to_desk(Event::SignatureSpent { fingerprint, hash });
    }
    // A flood of copies is told once an hour, and fills neither the mailbox nor the journal.
    let hour_ago = super::names::later(now, Span::hours(-1));
    if spent && desk.replayed(&person.id).is_some_and(|at| at > hour_ago) {
        work.dispose("replay");
        return work.done();
    }
    let words = parsed
        .lines
        .iter()
        .filter_map(|line| keyword(&line.word))
        .map(|row| row.word.to_owned())
        .collect();
    work.add(Event::Refused { words, why: refusal.reason.clone() });
    let head = desk.head;
    let understood: Vec<_> =
        parsed.lines.iter().map(|line| clean_line(&line.text(), 200)).collect();
    let facts = json!({
        "received": work.say(letter.received),
        "reason": refusal.reason,
        "understood": understood,
        "why": refusal.why,
        "next": refusal.next,
        "journal_number": head.number,
        "journal_hash": head.hash,
    });
    answer(&mut work, letter, person, Purpose::Refusal, "refusal", facts);
    work.done()
}

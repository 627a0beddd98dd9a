//! A mail signed by a person of the roster: whether its commands count, and carrying them out.
//!
//! A command counts only from the bytes of a root signature by a pinned fingerprint, inside
//! encryption, bound to this desk and one incident, fresh, and never seen before. Several in one
//! mail happen together or not at all, and every command mail gets a sealed answer.

use serde_json::json;

use crate::domain::commands::confirm::Order;
use crate::domain::commands::grammar::{Line, Parsed, check_arguments, is_ping};
use crate::domain::commands::rights::may_use;
use crate::domain::commands::several::is_for_several;
use crate::domain::commands::turn::{Answer, Turn};
use crate::domain::commands::{confirm, diagnosis, second, several};
use crate::domain::decide::decision::Decision;
use crate::domain::decide::letters::join;
use crate::domain::decide::work::Work;
use crate::domain::decide::{membership, outdated, relay};
use crate::domain::facts::event::{Author, Event, Purpose};
use crate::domain::facts::letter::Letter;
use crate::domain::facts::names;
use crate::domain::facts::names::{Digest, Fresh, Handle, Moment, Span};
use crate::domain::facts::refusal::{Reason, Refusal};
use crate::domain::intake::admission::{SignedMail, row_for};
use crate::domain::intake::binding::Binding;
use crate::domain::model::desk::Desk;
use crate::domain::model::desk::membership::is_known;
use crate::domain::model::incident::Incident;
use crate::domain::model::roster::{Party, Person};
use crate::domain::model::schedule;
use crate::domain::model::schedule::Duty;
use crate::domain::outgoing::texts;
use crate::domain::outgoing::texts::{clean_line, wrapped};
use crate::domain::process::vocabulary::{For, KeyState, Row, Word, reporter_word, unknown_to};

/// Decides on a mail that a person of the roster signed. `None` leaves it to the other rules: it
/// is a report of theirs.
pub fn person_mail(
    desk: &Desk,
    letter: &Letter,
    place: &Binding<'_>,
    now: Moment,
    fresh: &Fresh,
) -> Option<Decision> {
    let (signed, person) = (letter.verdict.signed()?, place.speaker?);
    let parsed = &place.parsed;
    let incident = place.handle.as_ref().and_then(|handle| desk.incident(handle));
    let here = incident.is_some_and(|incident| incident.is_team(person));
    let elsewhere = place.handle.is_none() && desk.rota.has_joined(&person.id);
    let newcomer = desk.roster.pending_keys.contains_key(&signed.fingerprint);
    let steers = !newcomer && (person.is_maintainer() || here || elsewhere);
    let answers = !parsed.lines.is_empty() && is_known(desk, &person.id);
    let audience = if steers { For::Team } else { For::Members };
    let mail = SignedMail { audience, desk, letter, person, signed, place, parsed, now, fresh };
    // With the reference of the report that they wrote themselves they speak as its reporter.
    if place.by_reporter && place.own.is_empty() {
        let is_not_theirs = |line: &Line| {
            let of_reporter = reporter_word(&line.word).is_some();
            !of_reporter && row_for(desk, person, audience, &line.word).is_some()
        };
        let commands = steers && parsed.lines.iter().any(is_not_theirs);
        return commands.then(|| mail.refuse(place.handle.as_ref(), &spoken_as_reporter()));
    }
    // A key that is not in force may answer for itself, and speaks for nobody.
    if newcomer && !answers {
        return None;
    }
    // A command line from anyone else is ordinary text.
    if !steers && !answers {
        if place.handle.is_none() && place.to_desk && is_known(desk, &person.id) {
            return Some(mail.word_to_stewards());
        }
        return mail.place.handle.as_ref().map(|handle| mail.conversation(handle));
    }
    if let Some(refusal) = mail.out_of_place() {
        return Some(mail.refuse(place.handle.as_ref(), &refusal));
    }
    if mail.parsed.lines.is_empty() {
        return mail.place.handle.as_ref().map(|handle| mail.conversation(handle));
    }
    Some(mail.commands())
}

/// One who reports and is of the team as well has two references, and answered with the wrong one.
fn spoken_as_reporter() -> Refusal {
    Refusal::new(
        "said as the reporter",
        "your mail holds the `Ref:` line that you were given as the one who reported this, and a reporter has no such word.",
        "answer a mail that you got as one of the team, and keep its `Ref:` line.",
    )
}

impl<'a> SignedMail<'a> {
    fn work(&self, handle: Option<&Handle>, what: &'static str) -> Work<'a> {
        let mut work = Work::on(self.desk, handle, self.now, self.fresh.clone());
        work.by = Some(self.person.id.clone());
        work.signed = Some(self.signed.fingerprint.clone());
        work.dispose(what);
        work
    }

    fn spend(&self, work: &mut Work<'_>) {
        let (fingerprint, hash) = (self.signed.fingerprint.clone(), self.signed.hash);
        work.add_to_desk(Event::SignatureSpent { fingerprint, hash });
    }

    /// A signed mail without commands, in an incident's thread: kept and passed on to the others.
    fn conversation(&self, handle: &Handle) -> Decision {
        let mut work = self.work(Some(handle), "reply");
        if self.is_spent() {
            work.dispose("replay");
            return work.done();
        }
        // What is quoted from another incident is not for those who are on this one only.
        if self.place.named.iter().any(|named| named != handle) {
            let refusal = Refusal::new(
                "two incidents in one mail",
                "your mail quotes a mail on another incident, so it was passed on to nobody.",
                "send it again without that quote.",
            );
            return self.refuse(Some(handle), &refusal);
        }
        if let Err(refusal) = self.talk_is_bound() {
            return self.refuse(Some(handle), &refusal);
        }
        self.spend(&mut work);
        join(&mut work, self.letter, Author::Person(self.person.id.clone()));
        relay::mail(&mut work, self.letter, Some(self.person), &self.person.name);
        if !self.letter.verdict.protection.is_encrypted() {
            let lines = [
                "Your mail was passed on sealed, but it came to us NOT encrypted: it was readable on the way."
                    .to_owned(),
            ];
            let next = "encrypt mail to the desk; `| /ping` (without the bar) tells what your program does.";
            work.inform(&[self.person], "Your mail was not encrypted", &lines, next);
        }
        work.done()
    }

    /// A member answers a mail of the desk that is about no incident: it goes to those who look after
    /// the members, and opens none.
    fn word_to_stewards(&self) -> Decision {
        let mut work = self.work(None, "word of a member");
        if self.is_spent() {
            work.dispose("replay");
            return work.done();
        }
        self.spend(&mut work);
        let text: String = texts::clean(&self.parsed.text).chars().take(20_000).collect();
        let text = texts::quote(&texts::without_references(&text));
        let mut lines = vec![format!("{} ({}) writes:", self.person.name, self.person.id), text];
        if !self.letter.attachments.is_empty() {
            lines.push("Attachments are kept with the mail, and were not passed on.".to_owned());
        }
        let people = membership::stewards_but(&work, &self.person.id);
        let next = format!("answer them from your own address: {}.", self.person.address);
        membership::tell_at_desk(&mut work, &people, "A member writes", &lines, &next);
        work.done()
    }

    fn commands(&self) -> Decision {
        let handle = match self.admitted() {
            Ok(handle) => handle,
            // What a mail program did is told whatever it did, to the pinned key.
            Err(refusal) if is_ping(&self.parsed.lines) && !self.is_spent() => {
                return self.ping(&refusal);
            }
            Err(refusal) => return self.refuse(self.place.handle.as_ref(), &refusal),
        };
        let mut work = self.work(handle.as_ref(), "commands");
        self.spend(&mut work);
        match carry_out(work, self.letter, self.person, self.parsed, self.audience) {
            Ok(work) => work.done(),
            Err(refusal) => self.refuse(handle.as_ref(), &refusal),
        }
    }

    /// Answers `/ping` in a mail whose commands would not have counted.
    fn ping(&self, refusal: &Refusal) -> Decision {
        let mut work = self.work(self.place.handle.as_ref(), "ping");
        self.spend(&mut work);
        let told = diagnosis::tell(
            self.letter,
            Some(self.person),
            self.place.handle.as_ref(),
            Some(refusal),
        );
        let head = self.desk.head;
        let facts = json!({
            "summary": "Done: ping",
            "steps": [{ "line": "/ping", "answer": wrapped(&told) }],
            "text_kept": false,
            "cut": false,
            "left_out": "",
            "journal_number": head.number,
            "journal_hash": shown_hash(self.desk, self.person),
        });
        answer(&mut work, self.letter, self.person, Purpose::Transcript, "transcript", facts);
        work.done()
    }

    /// Nothing happens, and the person whose key signed is told why; nobody else.
    fn refuse(&self, handle: Option<&Handle>, refusal: &Refusal) -> Decision {
        let mut work = self.work(handle, "commands, refused");
        // Used up whatever became of it: what was refused today must not be carried out tomorrow by
        // somebody who kept a copy.
        let spent = self.is_spent();
        if !spent {
            self.spend(&mut work);
        }
        // A flood of copies is told once an hour, and fills neither the mailbox nor the journal.
        let hour_ago = names::later(self.now, Span::hours(-1));
        if spent && self.desk.replay.told(&self.person.id).is_some_and(|at| at > hour_ago) {
            work.dispose("replay");
            return work.done();
        }
        let lines = &self.parsed.lines;
        let words = lines.iter().filter_map(|line| self.row(&line.word));
        let words = words.map(|row| row.name.to_owned()).collect();
        work.add(Event::Refused { words, why: refusal.reason.clone() });
        let next = match refusal.next.as_str() {
            "" if self.audience == For::Members => "see `| /help`, without the bar.",
            "" => "look where it stands with `| /status`, without the bar.",
            next => next,
        };
        let head = self.desk.head;
        let understood: Vec<_> = lines.iter().map(|line| clean_line(&line.text(), 200)).collect();
        let facts = json!({
            "received": work.say(self.letter.received),
            "reason": refusal.reason,
            "understood": understood,
            "why": after("Why not: ", &refusal.why),
            "next": after("What to do: ", next),
            "journal_number": head.number,
            "journal_hash": shown_hash(self.desk, self.person),
        });
        answer(&mut work, self.letter, self.person, Purpose::Refusal, "refusal", facts);
        work.done()
    }
}

/// Breaks a sentence so that it fits behind what the template puts before it.
fn after(before: &str, sentence: &str) -> String {
    let whole = wrapped(&format!("{before}{sentence}"));
    whole.strip_prefix(before).unwrap_or(sentence).to_owned()
}

/// The words of a mail, once each: a whole record set in one mail is one word of the subject.
fn names(rows: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for name in rows {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

//------------ Carrying out -----------------------------------------------------------------------

/// The rows of all words of a mail: each is known, and stands as it may, before the first is carried out.
fn understood<'p>(
    work: &Work<'_>,
    person: &Person,
    parsed: &'p Parsed,
    audience: For,
) -> Result<Vec<(&'static Row, &'p Line)>, Refusal> {
    let row_of = |line: &Line| row_for(work.desk, person, audience, &line.word);
    let unknown = parsed.lines.iter().filter(|line| row_of(line).is_none());
    let unknown: Vec<&str> = unknown.map(|line| line.word.as_str()).collect();
    if !unknown.is_empty() {
        return Err(unknown_to(&unknown, audience));
    }
    let mut rows = Vec::new();
    for line in &parsed.lines {
        let Some(row) = row_of(line) else { continue };
        check_arguments(row, line)?;
        let several = is_for_several(row, line, work.incident.is_some());
        if several && work.incident.is_some() {
            let why = format!("`/{}` stands alone on its line in a mail on one report.", row.name);
            let next =
                "to name several, answer a digest or another mail of the desk's that is on none.";
            return Err(Refusal::new("too much on a line", why, next));
        }
        counts_from_this_key(work, person, row, line)?;
        rows.push((row, line));
    }
    Ok(rows)
}

/// Carries out all lines on the copy, or none.
fn carry_out<'d>(
    mut work: Work<'d>,
    letter: &Letter,
    person: &'d Person,
    parsed: &Parsed,
    audience: For,
) -> Result<Work<'d>, Refusal> {
    let rows = understood(&work, person, parsed, audience)?;
    let words = rows.iter().map(|(row, _)| row.name.to_owned()).collect();
    work.add(Event::Commanded { words });
    let asked_before = open_asks(&work);
    let mut steps = Vec::new();
    let mut text_used = false;
    for (row, line) in &rows {
        let shown = line.text();
        if is_for_several(row, line, work.incident.is_some()) {
            let answer = several::carry_out(&mut work, letter, person, row, line)?;
            steps.push(json!({ "line": shown, "answer": wrapped(&answer) }));
            continue;
        }
        // By the rights that the lines before have left: who takes the lead names the deputy with it.
        may_use(&work, person, row)?;
        let mut turn = Turn::new(&mut work, Some(letter), person, shown.clone(), &parsed.text);
        turn.text_used = text_used;
        let answer = if row.word == Word::Confirm {
            let order = confirm::resolve(&mut turn, &line.arguments);
            order.and_then(|order| confirmed(&mut turn, order))
        } else {
            said_as_well(&mut turn, row, &line.arguments)
        };
        text_used = turn.text_used;
        let answer = answer.map_err(|mut refusal| {
            if rows.len() > 1 {
                refusal.why = format!("at `{shown}`: {}", refusal.why);
            }
            refusal
        })?;
        steps.push(json!({ "line": shown, "answer": wrapped(&answer) }));
    }
    outdated::tell(&mut work);
    let newcomer = work.desk.roster.pending_keys.contains_key(&person.fingerprint);
    let text_left = !text_used && !parsed.text.is_empty() && !newcomer;
    let passed_on = text_left && work.incident.is_some();
    let asks = open_asks(&work) > asked_before;
    second::send_questions(&mut work);
    if passed_on {
        pass_text_on(&mut work, letter, person, &parsed.text);
    }
    let words = names(rows.iter().map(|(row, _)| row.name));
    let head = work.desk.head;
    let what = if asks { "Confirm" } else { "Done" };
    let facts = json!({
        "summary": clean_line(&format!("{what}: {}", words.join(", ")), 100),
        "steps": steps,
        "text_kept": passed_on,
        "cut": parsed.cut,
        "left_out": parsed.left_out(),
        "journal_number": head.number,
        "journal_hash": shown_hash(work.desk, person),
    });
    answer(&mut work, letter, person, Purpose::Transcript, "transcript", facts);
    Ok(work)
}

/// Carries out what one person said at a desk that has no other, once the time has passed in which it
/// could be called off: one command at a time. Nothing, where none is due.
pub fn waited(desk: &Desk, handle: &Handle, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, Some(handle), now, fresh);
    // What waits is rare, and looking through all that is due for it is not.
    let incident = work.incident.as_deref().filter(|incident| !incident.asks.is_empty());
    let duties = incident.map(schedule::duties);
    let nonce = |(at, duty): (Moment, Duty)| {
        if let (Duty::Waited(nonce), true) = (duty, at <= now) { Some(nonce) } else { None }
    };
    let due = duties.into_iter().flatten().find_map(nonce);
    let ask =
        due.and_then(|nonce| Some((nonce, work.incident.as_ref()?.asks.get(&nonce)?.clone())));
    let Some((nonce, ask)) = ask else { return work.done() };
    let person = work.person(&ask.person);
    let before = work.clone();
    let line = ask.line.trim_start_matches('/').to_owned();
    work.by = Some(ask.person.clone());
    let done = person.ok_or_else(|| unknown_to(&[&line], For::Team)).and_then(|person| {
        let mut turn = Turn::new(&mut work, None, person, ask.line.clone(), "");
        let order = confirm::ordered(&mut turn, nonce, ask)?;
        confirmed(&mut turn, order)
    });
    second::send_questions(&mut work);
    let (heading, lines, next) = match done {
        Ok(answer) => {
            ("Done, as you said", vec![format!("Nobody called off `{line}`."), answer], "")
        }
        Err(refusal) => {
            work = before;
            work.add(Event::Cancelled { nonce });
            let lines = vec![format!("`{line}` was NOT done: {}", refusal.why)];
            (
                "Not done after all",
                lines,
                "look with `| /status`, and send it again if it is still meant.",
            )
        }
    };
    let people: Vec<&Person> = person.into_iter().collect();
    let next = if next.is_empty() { "nothing more; it is done." } else { next };
    work.inform(&people, heading, &lines, next);
    work.done()
}

/// Carries out what a line confirms, on behalf of who gave the command. What stands below the
/// confirmation was not there when it was asked about: it is a word to the team, and never a part of
/// what is confirmed.
fn confirmed<'d>(turn: &mut Turn<'_, 'd>, order: Order<'d>) -> Answer {
    let (by, line) = (order.by, order.line.clone());
    let mut inner = Turn::new(turn.work, turn.letter, by, order.line, "");
    inner.confirmed = Some(order.confirmed);
    let answer = second::carry_out(&mut inner, order.row, &order.arguments)?;
    if by.id != turn.person.id {
        let lines = [format!("{} confirmed `{}`.", turn.person.name, line.trim_start_matches('/'))];
        turn.work.inform(&[by], "Confirmed, and done", &lines, "nothing more; it is done.");
    }
    Ok(answer)
}

/// Carries a line out: as the answer to a question about the same line, or for itself. A question that does
/// not fit any more is called off, since who writes the line wants it as things are.
fn said_as_well(turn: &mut Turn<'_, '_>, row: &Row, arguments: &str) -> Answer {
    while let Some((nonce, ask)) = confirm::answered_by(turn) {
        let before = turn.work.clone();
        let order = confirm::ordered(turn, nonce, ask);
        match order.and_then(|order| confirmed(turn, order)) {
            Err(refusal) if refusal.reason == Reason::Changed => {
                *turn.work = before;
                turn.work.add(Event::Cancelled { nonce });
            }
            answer => return answer,
        }
    }
    second::carry_out(turn, row, arguments)
}

/// Refuses a word that does not count from the key that signed it: the table says which do.
fn counts_from_this_key(
    work: &Work<'_>,
    person: &Person,
    row: &Row,
    line: &Line,
) -> Result<(), Refusal> {
    let state = key_state(work, person);
    if row.counts_from(state, &line.arguments) {
        return Ok(());
    }
    let (reason, why, next) = match state {
        KeyState::InForce => return Ok(()),
        KeyState::Distrusted => (
            "a key that is not trusted",
            "your key was said to be in other hands, so it counts no more.",
            "offer another one: `| /key replace`, the new key attached, without the bar.",
        ),
        KeyState::Replaced => (
            "a key that was replaced",
            "your mail is signed by a key that another one of yours has taken the place of.",
            "sign with the new one. If that is not yours: `| /key revoke`, without the bar.",
        ),
        KeyState::Offered => (
            "a key that is not in force",
            "your mail is signed by a key that is offered and not in force yet.",
            "write `| /key confirm NONCE` with it; everything else with the old one.",
        ),
    };
    Err(Refusal::new(reason, why, next))
}

/// What the desk makes of the key that signed.
fn key_state(work: &Work<'_>, person: &Person) -> KeyState {
    let signed = work.signed.as_ref();
    if work.desk.roster.pending_keys.contains_key(&person.fingerprint) {
        KeyState::Offered
    } else if !person.is_maintainer() && work.distrusts(person) {
        KeyState::Distrusted
    } else if signed.is_some_and(|signed| *signed != person.fingerprint) {
        KeyState::Replaced
    } else {
        KeyState::InForce
    }
}

/// How many confirmations are open.
fn open_asks(work: &Work<'_>) -> usize {
    work.incident.as_ref().map_or(0, |incident| incident.asks.len())
}

/// What stands below the commands is a word to the team. Only the writer's own lines travel.
fn pass_text_on(work: &mut Work<'_>, letter: &Letter, person: &Person, text: &str) {
    let mut own = Letter { text: text.to_owned(), ..letter.clone() };
    own.attachments.retain(|attachment| !attachment.is_text_of_mail());
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
    // Whoever has left gets the answer to their mail, and no reference to go on with.
    let on_it = |incident: &Incident| incident.is_team(person) || incident.is_for_any_group(person);
    let party = Party::Person(&person.id);
    let reference = match &work.incident {
        Some(incident) if on_it(incident) => work.reference(party),
        Some(_) => String::new(),
        None => work.desk_reference(&person.id),
    };
    if let serde_json::Value::Object(map) = &mut facts {
        map.insert("handle".to_owned(), handle.into());
        map.insert("ref".to_owned(), reference.into());
    }
    let written = work.write(template, &facts);
    work.tell_written(person, purpose, written, Vec::new(), letter.outer.message_id.clone());
}

/// The head of the journal, for those who may know how much goes on here: members would see it grow
/// with incidents that are none of theirs.
fn shown_hash(desk: &Desk, person: &Person) -> Option<Digest> {
    let own = desk.roster.person(&person.id).is_some_and(Person::is_maintainer);
    let member = desk.members.get(&person.id).is_some();
    (own || !member).then_some(desk.head.hash)
}

//! The words that keep the record.

use crate::domain::commands::talk;
use crate::domain::commands::turn::{Answer, Turn, needs};
use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::event::Event;
use crate::domain::facts::names::{Moment, TaskId};
use crate::domain::facts::refusal::{Refusal, nearest};
use crate::domain::model::incident::Incident;
use crate::domain::outgoing::texts;
use crate::domain::outgoing::texts::clean_line;
use crate::domain::process::playbook::field::{FieldType, Score};
use crate::domain::process::playbook::{Kind, Truth, field};

/// The longest value of a field.
pub(super) const VALUE_MAX: usize = 500;

/// `/title TEXT`
pub fn title(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    needs(arguments, "title", "TEXT")?;
    let title = clean_line(arguments, 120);
    turn.work.add(Event::Titled { title: title.clone() });
    Ok(format!("Title: {title}"))
}

/// `/set FIELD VALUE`
pub fn set(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let incident = turn.open_incident()?;
    let (field, value) = arguments.split_once(char::is_whitespace).unwrap_or((arguments, ""));
    let fields = &incident.playbook.fields;
    let field = field.to_ascii_lowercase();
    if !fields.contains_key(&field) {
        let own = [
            ("cve", "/cve ID"),
            ("cvss", "/cvss VECTOR"),
            ("title", "/title TEXT"),
            ("t", "/disclose WHEN"),
            ("lead", "/lead WHO"),
            ("deputy", "/deputy WHO"),
        ];
        let next = own
            .iter()
            .find(|(name, _)| *name == field)
            .map(|(_, line)| format!("that has a word of its own: `| {line}`, without the bar."))
            .or_else(|| {
                nearest(&field, fields.keys().map(String::as_str))
                    .map(|f| format!("did you mean `{f}`?"))
            })
            .unwrap_or_else(|| {
                format!("write one of {}.", fields.keys().cloned().collect::<Vec<_>>().join(", "))
            });
        return Err(Refusal::new(
            "no such field",
            format!("the record has no field `{field}`."),
            next,
        ));
    }
    needs(value, "set", "FIELD VALUE")?;
    put(turn, &field, value)
}

/// Puts a value in a field, in the form that its type asks for, and sets the anchor that hangs on
/// it.
fn put(turn: &mut Turn<'_, '_>, name: &str, value: &str) -> Answer {
    let incident = turn.open_incident()?;
    let playbook = incident.playbook.clone();
    let wrong = |why: String| {
        let next = format!("write `| /set {name} VALUE`, without the bar.");
        Refusal::new("the value does not fit", format!("field `{name}`: {why}."), next)
    };
    let kind = playbook.fields.get(name).map_or(&FieldType::Text, |field| &field.kind);
    let value = kind
        .check(&clean_line(value, VALUE_MAX), turn.work.now, &playbook.calendar)
        .map_err(wrong)?;
    let band = playbook.fields.get(name).is_some_and(|field| field.band);
    if let (true, Some(score)) = (band, &incident.score)
        && !score.band.eq_ignore_ascii_case(&value)
    {
        return Err(wrong(format!("the score is {}, and the vector is the truth", score.say())));
    }
    let anchor = playbook.fields.get(name).and_then(|field| field.anchor);
    let moment = anchor.and_then(|anchor| Some((anchor, value.parse::<Moment>().ok()?)));
    if let Some((anchor, moment)) = moment
        && !anchor.is_planned()
        && moment > turn.work.now
    {
        let when = turn.work.say(moment);
        return Err(wrong(format!("{when} has not come, and this says what has happened")));
    }
    let mut events = vec![Event::FieldSet { field: name.to_owned(), value: value.clone() }];
    let said = match moment {
        Some((anchor, moment)) => {
            events.push(Event::AnchorSet { anchor, moment });
            turn.work.say(moment)
        }
        None => value,
    };
    if let Some(ask) = weigh(turn, &events)? {
        return Ok(ask);
    }
    events.into_iter().for_each(|event| turn.work.add(event));
    Ok(format!("{name}: {said}"))
}

/// What a value changes besides the record: the branches of the process, and the release. The team
/// is told; where rows or gates drop out, or a date that is set moves, it is asked about.
fn weigh(turn: &mut Turn<'_, '_>, events: &[Event]) -> Result<Option<String>, Refusal> {
    let before = turn.incident()?.clone();
    let mut after = Incident::clone(&before);
    for event in events {
        after.apply(turn.work.now, Some(&turn.person.id), event);
    }
    let titles = |incident: &Incident, other: &Incident| -> Vec<String> {
        let new = incident.branches().filter(|branch| !other.taken.contains_key(&branch.id));
        new.map(|branch| branch.title.clone()).collect()
    };
    let mut lines: Vec<String> = titles(&after, &before);
    lines.extend(titles(&before, &after).iter().map(|title| format!("No more: {title}")));
    let rows = |incident: &Incident| -> Vec<TaskId> {
        let applies = incident.tasks().filter(|task| incident.applies(task) == Truth::Yes);
        let held = applies.filter(|task| task.is_notice() || task.kind == Kind::Gate);
        held.map(|task| task.id.clone()).collect()
    };
    let (then, now) = (rows(&before), rows(&after));
    let gone: Vec<String> =
        then.iter().filter(|id| !now.contains(id)).map(ToString::to_string).collect();
    let mut asks = !gone.is_empty();
    if asks {
        lines.push(format!(
            "These notices and gates would not apply any more: {}.",
            gone.join(", ")
        ));
    }
    let release = |incident: &Incident| incident.anchor(Anchor::Release);
    if let (Some(from), Some(to)) = (release(&before), release(&after))
        && from != to
    {
        asks = true;
        let (from, to) = (turn.work.say(from), turn.work.say(to));
        lines.push(format!("The release moves from {from} to {to}; drafts speak of the old one."));
    }
    if lines.is_empty() {
        return Ok(None);
    }
    if asks && let Some(ask) = turn.confirmed(&lines.join("\n"), &[&format!("{then:?} {now:?}")])? {
        return Ok(Some(ask));
    }
    let team = turn.work.team();
    lines.insert(0, format!("{} set {}.", turn.person.name, named(events)));
    let next = "see `| /agenda`; whoever disagrees sets it again, without the bar.";
    turn.tell_concerned(&team, "The process takes another way", &lines, next);
    Ok(None)
}

/// The field that is set.
fn named(events: &[Event]) -> String {
    let field = events.iter().find_map(|event| {
        if let Event::FieldSet { field, value } = event {
            Some(format!("`{field}` to {value}"))
        } else {
            None
        }
    });
    field.unwrap_or_else(|| "the score".to_owned())
}

/// `/cvss VECTOR`
pub fn cvss(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    needs(arguments, "cvss", "VECTOR")?;
    let Some(score) = Score::of(arguments) else {
        return Err(Refusal::new(
            "no CVSS vector",
            "that is no CVSS 3 or 4 vector.",
            "write the whole vector, like `| /cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H`, without the bar.",
        ));
    };
    let said = score.say();
    let Score { vector, tenths, band } = score;
    let playbook = turn.incident()?.playbook.clone();
    let mut events = vec![Event::Scored { vector, tenths, band: band.clone() }];
    // What must be the band of the score follows the vector.
    for (name, field) in playbook.fields.iter().filter(|(_, field)| field.band) {
        if let Ok(value) = field.kind.check(&band, turn.work.now, &playbook.calendar) {
            events.push(Event::FieldSet { field: name.clone(), value });
        }
    }
    if let Some(ask) = weigh(turn, &events)? {
        return Ok(ask);
    }
    events.into_iter().for_each(|event| turn.work.add(event));
    Ok(format!("Severity: {said}"))
}

/// `/cve ID`
pub fn cve(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    let Some(cve) = field::cve(arguments) else {
        return Err(Refusal::new(
            "no CVE number",
            "that is no CVE number.",
            "write it whole, like `| /cve CVE-2026-12345`, without the bar.",
        ));
    };
    turn.work.add(Event::CveSet { cve: cve.clone() });
    Ok(format!("CVE: {cve}"))
}

/// `/note TEXT`, or the text below.
pub fn note(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.incident()?;
    let text = if arguments.is_empty() {
        talk::take_text(turn)?;
        turn.text
    } else {
        arguments
    };
    needs(text, "note", "TEXT")?;
    let note = turn.work.keep(texts::clean(text));
    turn.work.add(Event::Noted { note });
    Ok("Noted.".to_owned())
}

/// `/ghsa ID`
pub fn ghsa(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    let Some(ghsa) = field::ghsa(arguments) else {
        return Err(Refusal::new(
            "no advisory number",
            "that is no GHSA number.",
            "write it whole, like `| /ghsa GHSA-2345-cfgh-jmpq`, without the bar.",
        ));
    };
    turn.work.add(Event::GhsaSet { ghsa: ghsa.clone() });
    Ok(format!("Advisory: {ghsa}"))
}

/// `/affects RANGE`
pub fn affects(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    needs(arguments, "affects", "RANGE")?;
    put(turn, "affected", arguments)
}

/// `/fixed VERSION`
pub fn fixed(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    needs(arguments, "fixed", "VERSION")?;
    put(turn, "fixed", arguments)
}

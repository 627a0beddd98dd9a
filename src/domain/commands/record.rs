//! The words that keep the record.

use super::super::event::Event;
use super::super::playbook::Kind;
use super::super::refusal::{Refusal, nearest};
use super::super::schedule;
use super::super::texts::clean_line;
use super::triage::person_id;
use super::{Turn, needs};

type Answer = Result<String, Refusal>;

/// The longest value of a field.
const VALUE_MAX: usize = 500;

/// `/lead WHO`
pub fn lead(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    needs(arguments, "lead", "WHO")?;
    let person = if arguments.eq_ignore_ascii_case("me") {
        turn.person.id.clone()
    } else {
        person_id(turn, arguments)?
    };
    turn.work.add(Event::LeadSet { person: person.clone() });
    Ok(format!("{person} leads."))
}

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
    let value = clean_line(value, VALUE_MAX);
    turn.work.add(Event::FieldSet { field: field.clone(), value: value.clone() });
    Ok(format!("{field}: {value}"))
}

/// `/cvss VECTOR`
pub fn cvss(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    needs(arguments, "cvss", "VECTOR")?;
    let vector: cvss::Cvss = arguments.parse().map_err(|_| {
        Refusal::new(
            "no CVSS vector",
            "that is no CVSS 3 or 4 vector.",
            "write the whole vector, like `| /cvss CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H`, without the bar.",
        )
    })?;
    // Tenths, so that a threshold of 4.0 compares exactly (STANDARDS 12).
    let tenths = format!("{:.1}", vector.score()).replace('.', "").parse().unwrap_or(0);
    let band = match tenths {
        0 => "None",
        1..=39 => "Low",
        40..=69 => "Medium",
        70..=89 => "High",
        _ => "Critical",
    };
    turn.work.add(Event::Scored { vector: vector.to_string(), tenths, band: band.to_owned() });
    let score = turn.incident()?.score.as_ref().map_or_else(String::new, |score| score.say());
    Ok(format!("Severity: {score}"))
}

/// `/cve ID`
pub fn cve(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    let cve = arguments.to_ascii_uppercase();
    let mut parts = cve.splitn(3, '-');
    let (head, year, number) =
        (parts.next(), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let fits = head == Some("CVE")
        && year.len() == 4
        && digits(year)
        && (4..=19).contains(&number.len())
        && digits(number);
    if !fits {
        return Err(Refusal::new(
            "no CVE number",
            "that is no CVE number.",
            "write it whole, like `| /cve CVE-2026-12345`, without the bar.",
        ));
    }
    turn.work.add(Event::CveSet { cve: cve.clone() });
    Ok(format!("CVE: {cve}"))
}

/// `/note TEXT`, or the text below.
pub fn note(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.incident()?;
    let text = if arguments.is_empty() {
        turn.text_used = true;
        turn.text
    } else {
        arguments
    };
    needs(text, "note", "TEXT")?;
    let note = turn.work.keep(super::super::texts::clean(text));
    turn.work.add(Event::Noted { note });
    Ok("Noted.".to_owned())
}

/// `/done TASK [EVIDENCE]`
pub fn done(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    let (task, evidence) = turn.task(arguments)?;
    let incident = turn.incident()?;
    let word = task.word().to_string();
    let refuse = |reason: &str, why: String, next: String| Err(Refusal::new(reason, why, next));
    if let Some(at) = schedule::done_at(incident, &task) {
        return refuse(
            "done already",
            format!("`{word}` was done {}.", turn.work.say(at)),
            String::new(),
        );
    }
    if task.is_standing() || matches!(task.kind, Kind::Auto | Kind::Draft) {
        let next = match task.kind {
            Kind::Draft => {
                format!("write `| /preview {word}` and approve the draft, without the bar.")
            }
            Kind::Auto | Kind::Human | Kind::Decide | Kind::Gate | Kind::Record => String::new(),
        };
        return refuse(
            "nothing to be done",
            format!("`{word}` is not a task that a person does."),
            next,
        );
    }
    let missing: Vec<_> = schedule::missing(incident, &task).map(ToOwned::to_owned).collect();
    if !missing.is_empty() {
        let why = format!("`{word}` needs these in the record first: {}.", missing.join(", "));
        return refuse(
            "the record is incomplete",
            why,
            "set them with `| /set`, `| /cve` or `| /cvss`.".into(),
        );
    }
    let before: Vec<_> = schedule::open_before(incident, &task).map(ToString::to_string).collect();
    if !before.is_empty() {
        return refuse(
            "others come first",
            format!("before `{word}` come {}.", before.join(", ")),
            String::new(),
        );
    }
    if task.evidence && evidence.is_empty() {
        return refuse(
            "evidence is needed",
            format!("`{word}` asks by what."),
            format!("write `| /done {word} EVIDENCE`."),
        );
    }
    if !task.agree.is_empty() {
        return agree(turn, &task);
    }
    let evidence = (!evidence.is_empty()).then(|| clean_line(evidence, VALUE_MAX));
    turn.work.add(Event::TaskDone { task: task.id.clone(), evidence, sets: task.sets });
    Ok(format!("Done: {}", task.title))
}

/// A gate at which several roles must agree, each by a person of its own.
fn agree(turn: &mut Turn<'_, '_>, task: &super::super::playbook::Task) -> Answer {
    let incident = turn.incident()?;
    let agreed = incident.agreed.get(&task.id).cloned().unwrap_or_default();
    if agreed.values().any(|person| *person == turn.person.id) {
        return Err(Refusal::new(
            "agreed already",
            "you have agreed; the other role must be another person.",
            "",
        ));
    }
    let role = task
        .agree
        .iter()
        .find(|role| !agreed.contains_key(*role) && turn.person.roles.contains(*role));
    let Some(role) = role.cloned() else {
        return Err(Refusal::new(
            "not your role",
            "the roles that have not agreed yet are not yours.",
            "ask somebody who holds them.",
        ));
    };
    turn.work.add(Event::Agreed { task: task.id.clone(), role });
    let agreed = turn.incident()?.agreed.get(&task.id).map_or(0, std::collections::BTreeMap::len);
    let missing = task.agree.len().saturating_sub(agreed);
    if missing > 0 {
        return Ok(format!("You agree. {missing} more role must."));
    }
    turn.work.add(Event::TaskDone { task: task.id.clone(), evidence: None, sets: task.sets });
    Ok(format!("All agree: {}", task.title))
}

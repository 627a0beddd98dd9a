//! The words that keep the record.

use super::{Turn, needs};
use crate::domain::event::Event;
use crate::domain::refusal::{Refusal, nearest};
use crate::domain::texts::clean_line;

type Answer = Result<String, Refusal>;

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
        super::talk::take_text(turn)?;
        turn.text
    } else {
        arguments
    };
    needs(text, "note", "TEXT")?;
    let note = turn.work.keep(crate::domain::texts::clean(text));
    turn.work.add(Event::Noted { note });
    Ok("Noted.".to_owned())
}

/// `/ghsa ID`
pub fn ghsa(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    let lower = arguments.to_ascii_lowercase();
    let parts: Vec<&str> = lower.split('-').collect();
    // GitHub's letters, without those that read like others.
    let part =
        |part: &&str| part.len() == 4 && part.bytes().all(|b| b"23456789cfghjmpqrvwx".contains(&b));
    let fits =
        matches!(parts.as_slice(), ["ghsa", rest @ ..] if rest.len() == 3 && rest.iter().all(part));
    if !fits {
        return Err(Refusal::new(
            "no advisory number",
            "that is no GHSA number.",
            "write it whole, like `| /ghsa GHSA-2345-cfgh-jmpq`, without the bar.",
        ));
    }
    let ghsa = lower.replacen("ghsa", "GHSA", 1);
    turn.work.add(Event::GhsaSet { ghsa: ghsa.clone() });
    Ok(format!("Advisory: {ghsa}"))
}

/// `/affects RANGE`
pub fn affects(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    field(turn, "affected", arguments, "affects", "RANGE")
}

/// `/fixed VERSION`
pub fn fixed(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    field(turn, "fixed", arguments, "fixed", "VERSION")
}

fn field(turn: &mut Turn<'_, '_>, name: &str, value: &str, word: &str, what: &str) -> Answer {
    turn.open_incident()?;
    needs(value, word, what)?;
    let value = clean_line(value, VALUE_MAX);
    turn.work.add(Event::FieldSet { field: name.to_owned(), value: value.clone() });
    Ok(format!("{name}: {value}"))
}

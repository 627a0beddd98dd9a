//! The words that only look.

use std::fmt::Write as _;

use crate::domain::commands::diagnosis;
use crate::domain::commands::rights::may_use;
use crate::domain::commands::turn::{Answer, Turn};
use crate::domain::decide::delivery_table;
use crate::domain::facts::event::{Delivery, Event, Recipient};
use crate::domain::facts::letter::Attachment;
use crate::domain::facts::names::{Handle, PersonId, TaskId};
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::incident::Incident;
use crate::domain::model::incident::facts::cves;
use crate::domain::model::roster::Party;
use crate::domain::model::schedule;
use crate::domain::model::schedule::State;
use crate::domain::outgoing::texts::{
    blob_place, clean_line, columns, history_place, indented, wrapped,
};
use crate::domain::process::playbook::Task;
use crate::domain::process::playbook::field::Score;
use crate::domain::process::vocabulary::{For, Row, WORDS, unknown_to, word_for};

fn explain(row: &Row, more: &str) -> String {
    let line = format!("| /{} {}", row.name, row.arguments);
    let text = wrapped(&format!("{} For {}.{more}", row.help, row.needs.words()));
    let text: Vec<String> = text.lines().map(|line| format!("    {line}")).collect();
    format!("{}\n{}", line.trim_end(), text.join("\n"))
}

/// `/help [WORD]`
pub fn help(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let word = arguments.trim_start_matches('/');
    let team = turn.person.is_maintainer() || turn.work.desk.rota.has_joined(&turn.person.id);
    let audience = if team { For::Team } else { For::Members };
    if !word.is_empty() {
        let row = word_for(word, audience);
        return row.map(|row| explain(row, "")).ok_or_else(|| unknown_to(&[word], audience));
    }
    let mut out = String::from(
        "Write words as the first lines of a mail, each on a line of its own and without the bar, \
         signed and encrypted. Keep the Ref line of our mail. What stands below them is passed on to \
         the team.\n",
    );
    let mut group = "";
    for row in WORDS.iter().filter(|row| row.for_whom() == audience) {
        if row.group.name() != group {
            group = row.group.name();
            let _ = write!(out, "\n{group}\n");
        }
        let yours = turn.work.incident.is_none() || may_use(turn.work, turn.person, row).is_ok();
        let yours = if yours { "" } else { " Not for you here." };
        let _ = writeln!(out, "  {}", explain(row, yours).replace('\n', "\n  "));
    }
    Ok(out)
}

/// `/ping`
pub fn ping(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let about = turn.work.incident.as_ref().map(|incident| &incident.handle);
    let Some(letter) = turn.letter else { return Ok(String::new()) };
    Ok(diagnosis::tell(letter, Some(turn.person), about, None))
}

/// `/whoami`
pub fn whoami(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let (person, desk) = (turn.person, turn.work.desk);
    let list = |names: &mut dyn Iterator<Item = &str>| {
        let names: Vec<_> = names.collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let leads = desk.open().filter(|incident| incident.lead.as_ref() == Some(&person.id));
    let away = desk.rota.away(&person.id, turn.work.now);
    let mut rows = vec![
        ("id", person.id.to_string()),
        ("name", person.name.clone()),
        ("address", person.address.to_string()),
        ("key", person.fingerprint.spaced()),
        ("sealed", sealed_as(desk.seals_newer(&person.fingerprint)).to_owned()),
        ("roles", list(&mut person.roles.iter().map(String::as_str))),
        ("groups", list(&mut person.groups.iter().map(String::as_str))),
        ("leads", list(&mut leads.map(|incident| incident.handle.as_str()))),
        (
            "away",
            away.map_or_else(|| "no".to_owned(), |until| format!("until {}", turn.work.say(until))),
        ),
    ];
    if let Some(incident) = &turn.work.incident {
        let held = incident.playbook.roles.keys().filter(|role| incident.holds(person, role));
        rows.push(("here", list(&mut held.map(String::as_str))));
    }
    let mut out = String::new();
    for (name, value) in rows {
        let _ = writeln!(out, "  {name:<10}{value}");
    }
    Ok(out)
}

fn sealed_as(newer: bool) -> &'static str {
    if newer {
        "v2 (SEIPDv2), if your certificate says that it is read"
    } else {
        "v1 (SEIPDv1), which every program reads"
    }
}

/// `/seal v1|v2`
pub fn seal(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let reads = match arguments.trim().to_ascii_lowercase().as_str() {
        "v1" => false,
        "v2" => true,
        _ => {
            return Err(Refusal::new(
                "which form",
                "mails can be sealed as `v1` or as `v2`.",
                "write `| /seal v1`, which every program reads, or `| /seal v2`, without the bar.",
            ));
        }
    };
    let fingerprint = turn.work.signed.clone().unwrap_or_else(|| turn.person.fingerprint.clone());
    turn.work.add_to_desk(Event::ReadsNewer { fingerprint, reads });
    Ok(format!(
        "Mails to your key are sealed as {} from the next one on. If you cannot read one: \
         `| /seal v1`, without the bar.",
        sealed_as(reads)
    ))
}

/// `/part N`, or `/part LETTER.N`
pub fn part(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let wrong = || {
        let next =
            "write the word as it stands beside the part, like `| /part 2`, without the bar.";
        Refusal::new(
            "no such part",
            format!("`{}` names no part.", clean_line(arguments, 40)),
            next,
        )
    };
    let which = arguments.trim();
    let (letter, part) = which.split_once('.').unwrap_or(("1", which));
    let (Ok(letter), Ok(part)) = (letter.parse::<usize>(), part.parse::<usize>()) else {
        return Err(wrong());
    };
    let at = letter.checked_sub(1).ok_or_else(wrong)?;
    let part = part.checked_sub(1).ok_or_else(wrong)?;
    let raw = turn.incident()?.letters.get(at).ok_or_else(wrong)?.raw;
    let line = format!(
        "You asked for `part {}`. It is attached, or a note that says why not.",
        arguments.trim()
    );
    let next = "nothing. What it holds is a stranger's: open it with care.";
    let person = turn.person;
    turn.work.hand(person, "A part of a mail", line, next, &Attachment::stored(raw, part));
    Ok("It comes in a mail of its own.".to_owned())
}

/// `/log`
pub fn log(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    Ok(history_place(&turn.incident()?.handle))
}

/// `/incident HANDLE`: read before the others, so here it only says what was understood.
pub fn incident(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    Ok(format!("This mail is about {}.", turn.incident()?.handle))
}

/// `/list`
pub fn list(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let desk = turn.work.desk;
    let mut out = String::new();
    for incident in desk.open() {
        if !incident.is_team(turn.person) {
            continue;
        }
        let t =
            incident.t().map_or_else(|| "no T".to_owned(), |t| format!("T {}", turn.work.say(t)));
        let title = incident.title.as_deref().unwrap_or("(no title)");
        let (handle, state) = (&incident.handle, incident.status.word());
        let party = Party::Person(&turn.person.id);
        let token = desk.ref_key.token(&desk.settings.address, handle, party);
        let _ = writeln!(out, "{handle}  {state}  {t}\n    {title}\n    Ref: {handle}/{token}");
    }
    Ok(if out.is_empty() { "There is no open incident.".to_owned() } else { out })
}

/// `/status`
pub fn status(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let incident = turn.incident()?;
    let say = |moment| turn.work.say(moment);
    let or = |text: Option<String>, none: &str| text.unwrap_or_else(|| none.to_owned());
    let mut out = format!("{}  {}\n", incident.handle, or(incident.title.clone(), "(no title)"));
    let answered = match incident.answered {
        Some(at) => format!("answered {}", say(at)),
        None => format!("a person's answer is owed by {}", say(schedule::human_due(incident))),
    };
    let unreached = incident.reporter.unreached_words().map(|words| format!("{answered}; {words}"));
    let mut answered = unreached.unwrap_or(answered);
    if let Some((_, agrees, t)) = incident.reporter.on_date {
        let which = if t == incident.t() { "the day" } else { "an earlier day" };
        let word = if agrees { "agreed to" } else { "OBJECTS to" };
        answered.push_str(&format!("; {word} {which}"));
    }
    let rows = [
        ("state", incident.status.word().to_owned()),
        ("reporter", answered),
        ("lead", lead(turn, incident)),
        ("severity", or(incident.score.as_ref().map(Score::say), "not scored")),
        ("CVE", or((!incident.cves.is_empty()).then(|| cves(incident)), "none")),
        ("T", or(incident.t().map(say), "not set")),
        ("public", public(turn, incident)),
        ("exploited", or(incident.exploited().map(|at| format!("since {}", say(at))), "not known")),
        ("held", if incident.held.is_empty() { "nothing".into() } else { held(incident) }),
    ];
    let next = schedule::duties(incident).first().map(|(at, _)| ("next", say(*at)));
    out.push_str(&columns(rows.into_iter().chain(next)));
    Ok(out)
}

fn lead(turn: &Turn<'_, '_>, incident: &Incident) -> String {
    let name = |id: &PersonId| id.to_string();
    let mut out = incident.lead.as_ref().map_or_else(|| "nobody".to_owned(), name);
    if let Some(deputy) = &incident.deputy {
        out.push_str(&format!(", deputy {deputy}"));
    }
    if let Some(offer) = &incident.offer {
        out.push_str(&format!("; {} was asked, until {}", offer.to, turn.work.say(offer.until)));
    }
    out
}

fn public(turn: &Turn<'_, '_>, incident: &Incident) -> String {
    match (incident.published(), incident.known_public()) {
        (Some(at), _) => turn.work.say(at),
        (None, Some(at)) => format!("not by us; known to the public since {}", turn.work.say(at)),
        (None, None) => "no".to_owned(),
    }
}

/// Which notices are held.
fn held(incident: &Incident) -> String {
    let word = |notice: &Option<TaskId>| match notice {
        None => "all notices".to_owned(),
        Some(id) => incident.task(id).map_or_else(|| id.to_string(), |t| t.word().to_string()),
    };
    incident.held.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// The most letters in one answer, the report and the newest.
const LETTERS_MAX: usize = 30;

/// `/show`
pub fn show(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let mut out = status(turn, "")?;
    let incident = turn.incident()?;
    for (handle, merged) in &incident.linked {
        let what = if *merged { "goes on as this one" } else { "is a duplicate of this one" };
        let _ = writeln!(out, "  {:<10}{handle} {what}", "see also");
    }
    if let Some(of) = &incident.same_as {
        let _ = writeln!(out, "  {:<10}{of}", "goes on as");
    }
    for ghsa in &incident.ghsas {
        let _ = writeln!(out, "  {:<10}{ghsa}", "advisory");
    }
    if !incident.fields.is_empty() {
        out.push_str("\nRecord\n");
        let rows = incident.fields.iter().map(|(field, value)| (field.as_str(), value.clone()));
        out.push_str(&columns(rows));
    }
    for (id, notice) in &incident.notices {
        for (number, release) in &notice.releases {
            let count =
                |wanted: Delivery| release.copies.values().filter(|e| e.delivery == wanted).count();
            let late = if release.late { ", late" } else { "" };
            let _ = writeln!(
                out,
                "\nNotice {}@{number}, left {}{late}: {} taken by the mail server, {} on their way, {} \
                 refused, {} unknown, {} withheld",
                incident.task(id).map_or(id, Task::word),
                turn.work.say(release.at),
                count(Delivery::Accepted),
                count(Delivery::Queued).saturating_add(release.pending.len()),
                count(Delivery::Dead),
                count(Delivery::Unknown),
                count(Delivery::Withheld),
            );
            for (to, entry) in &release.copies {
                if entry.delivery != Delivery::Accepted
                    && let Recipient::Person(person) = to
                {
                    let _ = writeln!(out, "  {person}: {}", delivery_table::state(entry));
                }
            }
        }
    }
    for (at, by, note) in &incident.notes {
        let by = by.as_ref().map_or("the desk", |by| by.as_str());
        let _ = writeln!(out, "\nNote of {by}, {}\n{}", turn.work.say(*at), blob_place(*note));
    }
    let older = incident.letters.len().saturating_sub(LETTERS_MAX);
    if older > 0 {
        let _ =
            writeln!(out, "\n({older} mails between the report and those below are not shown.)");
    }
    for (n, letter) in incident.letters.iter().enumerate() {
        if (1..=older).contains(&n) {
            continue;
        }
        let what = if n == 0 { "Report" } else { "Mail" };
        let _ = writeln!(
            out,
            "\n{what} of {}\n{}",
            turn.work.say(letter.received),
            blob_place(letter.text)
        );
    }
    Ok(out)
}

/// `/agenda`
pub fn agenda(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let incident = turn.incident()?;
    let mut out = String::new();
    let mut phase = "";
    for item in schedule::agenda(incident, turn.work.now) {
        if item.task.phase != phase {
            phase = &item.task.phase;
            let _ = write!(out, "\n{phase}\n");
        }
        let when = match (&item.state, item.due) {
            (State::Done(at) | State::Skipped(at), _) => turn.work.say(*at),
            (State::WaitingFor(what), _) => format!("for {what}"),
            (State::NotHere(why), _) => why.clone(),
            (State::Elsewhere(row), _) => {
                let when = row.done.as_ref().map_or_else(String::new, |(at, by)| {
                    let by = by.as_ref().map_or("the desk", |by| by.as_str());
                    format!(", by {by} {}", turn.work.say(*at))
                });
                format!("once for the release, on {}{when}", row.on)
            }
            (State::BlockedBy(tasks), _) => {
                format!(
                    "by {}",
                    tasks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                )
            }
            (State::Due, None) => "as soon as possible".to_owned(),
            (_, Some(due)) => turn.work.say(due),
            (_, None) => String::new(),
        };
        let role = incident.playbook.role_label(&item.task.role);
        let _ = writeln!(
            out,
            "  {:<9}{:<15} {when}\n{}",
            item.state.word(),
            item.word(),
            indented(&format!("({role}) {}", item.task.title), 11)
        );
    }
    let branches: Vec<_> = incident.branches().map(|branch| branch.title.as_str()).collect();
    let taken =
        if branches.is_empty() { String::new() } else { format!("{}\n\n", branches.join("\n")) };
    Ok(format!("{taken}{}", out.trim_start()))
}

/// `/checklist`
pub fn checklist(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let incident = turn.incident()?;
    let text =
        crate::domain::views::checklist::markdown(incident, turn.work.now).map_err(|why| {
            let why = format!("the checklist of the playbook is broken: {why}.");
            Refusal::new("the checklist is broken", why, "tell the operator.")
        })?;
    // A line of the desk that begins with a stroke would be a word in the answer to it.
    let line = |line: &str| {
        if line.starts_with('/') { format!("| {line}") } else { line.to_owned() }
    };
    Ok(text.lines().map(line).collect::<Vec<_>>().join("\n"))
}

/// Reads the handle of an `/incident` line.
pub(crate) fn named_incident(arguments: &str) -> Result<Handle, Refusal> {
    Handle::parse(arguments).ok_or_else(|| {
        Refusal::new(
            "no such incident",
            "the line names no handle.",
            "write it as in our mails, like `| /incident ACME-2026-7F3K2`, without the bar.",
        )
    })
}

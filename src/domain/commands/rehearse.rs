//! The words that look at a notice before and after it leaves: the rehearsal, the ledger, and who of a
//! group is to know at all.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::domain::commands::turn::{Answer, Turn, needs};
use crate::domain::commands::who::first;
use crate::domain::decide::{catch_up, delivery_table, notice, relay};
use crate::domain::facts::event::{Event, Recipient};
use crate::domain::facts::names::{Moment, PersonId, TaskId};
use crate::domain::facts::refusal::{Refusal, nearest};
use crate::domain::model::incident::{Incident, Notice};
use crate::domain::model::schedule;
use crate::domain::model::schedule::approvals_missing;
use crate::domain::process::playbook::{Audience, Task};

fn notice_named(turn: &Turn<'_, '_>, word: &str) -> Result<Task, Refusal> {
    let word = word.split('@').next().unwrap_or("").trim();
    let incident = turn.incident()?;
    if let Some(task) = incident.notice_tasks().find(|task| task.is_called(word)) {
        return Ok(task.clone());
    }
    let words: Vec<&str> = incident.notice_tasks().map(|task| task.word().as_str()).collect();
    let next = nearest(word, words.iter().copied()).map_or_else(
        || format!("write one of {}.", words.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    Err(Refusal::new("no such notice", format!("there is no notice `{word}`."), next))
}

/// The moment at which a notice would leave: its own, or now.
fn moment_of(turn: &Turn<'_, '_>, incident: &Incident, task: &Task) -> Moment {
    let planned = schedule::span_of(incident, task).map(|(at, _)| at);
    planned.map_or(turn.work.now, |at| at.max(turn.work.now))
}

/// One recipient's line: is the key usable at that moment, did the last mail come back?
fn recipient_line(turn: &Turn<'_, '_>, to: &Recipient, at: Moment) -> String {
    let name = relay::who_in(turn.work.desk, to, 26);
    let Recipient::Person(id) = to else { return format!("  {name}") };
    let Some(person) = turn.work.person(id) else { return format!("  {name}: not known") };
    let desk = turn.work.desk;
    let key = if desk.can_seal(person, at) {
        match desk.sealable_until(person, at) {
            None => "key for ever".to_owned(),
            Some(until) => format!("key to {}", until.format("%Y-%m-%d")),
        }
    } else {
        "NO KEY THEN".to_owned()
    };
    let last = desk.trouble(id).unwrap_or("no trouble known");
    format!("  {name:<27}{key:<18}{last}").trim_end().to_owned()
}

/// `/rehearse NOTICE`
pub fn rehearse(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    needs(arguments, "rehearse", "NOTICE")?;
    let task = notice_named(turn, arguments)?;
    let incident = turn.incident()?.clone();
    if incident.notices.get(&task.id).is_some_and(Notice::has_left) {
        let next = format!("see `| /ledger {}`, without the bar.", task.word());
        return Err(Refusal::new("it has left", "the notice has left already.", next));
    }
    let at = moment_of(turn, &incident, &task);
    let recipients =
        task.audience.as_ref().map(|a| notice::recipients(turn.work, a)).unwrap_or_default();
    let label = task.audience.as_ref().map_or_else(String::new, |a| notice::label(&incident, a));
    let mut out = format!("Rehearsal of `{}`; nothing is sent.\n", task.word());
    let found = incident.notices.get(&task.id);
    let draft = found.and_then(|notice| notice.valid_draft());
    match (found, draft) {
        (Some(found), Some(draft)) => {
            let missing = approvals_missing(&incident, found, &task);
            let wanted = schedule::approvals_wanted(&incident, &task).max(1);
            let have = wanted.saturating_sub(missing);
            let _ = writeln!(out, "  draft     {}@{}", task.word(), draft.number);
            let _ = writeln!(out, "  approvals {have} of {wanted}");
            if !incident.is_dated(draft) {
                out.push_str("  date      it speaks of ANOTHER DATE: freeze a new one\n");
            }
            if notice::would_differ(turn.work, &task) {
                let _ =
                    writeln!(out, "  record    HAS CHANGED since: `| /preview {}`", task.word());
            }
            for enclosure in &draft.attachments {
                let _ = writeln!(
                    out,
                    "  attached  {} ({} bytes, SHA-256 {})",
                    enclosure.name,
                    enclosure.size,
                    enclosure.sha256.short()
                );
            }
        }
        _ => {
            let _ = writeln!(out, "  draft     NONE: write `| /preview {}`", task.word());
        }
    }
    let _ = writeln!(out, "  leaves    {}", notice::moment(turn.work, &task));
    let _ = writeln!(out, "  to        {label} ({})\n", recipients.len());
    for to in &recipients {
        let _ = writeln!(out, "{}", recipient_line(turn, to, at));
    }
    if recipients.is_empty() {
        out.push_str("  NOBODY would get it.\n");
    }
    out.push_str(&doubtful(turn, &incident, &task));
    if let Err(block) = schedule::may_leave(&incident, &task, at) {
        let _ = writeln!(out, "\nIt would NOT leave then: {}.", block_words(&block));
    }
    Ok(out)
}

/// What has changed since a draft was frozen, and what is doubtful in its text.
fn doubtful(turn: &Turn<'_, '_>, incident: &Incident, task: &Task) -> String {
    let mut out = String::new();
    let draft = incident.notices.get(&task.id).and_then(|notice| notice.valid_draft());
    let (new, gone) = catch_up::difference(turn.work, incident, task);
    if !(new.is_empty() && gone.is_empty()) {
        out.push_str("\nSince it was frozen:\n");
        for (mark, list) in [("+", &new), ("-", &gone)] {
            for to in list {
                let _ = writeln!(out, "  {mark} {}", relay::who(turn.work.desk, to));
            }
        }
    }
    match draft.map(|draft| draft.doubts.as_slice()) {
        Some([]) => out.push_str("\nNothing is doubtful in the text.\n"),
        Some(doubts) => {
            out.push_str("\nIn the text:\n");
            doubts.iter().for_each(|doubt| {
                let _ = writeln!(out, "  - {doubt}");
            });
        }
        None => {}
    }
    out
}

/// Why a notice would not leave.
pub(crate) fn block_words(block: &schedule::Block) -> String {
    use schedule::Block;
    match block {
        Block::Over => "the process does not ask for it any more".to_owned(),
        Block::Unknown(what) => format!("it hangs on {what}, which the record does not say"),
        Block::NoDraft => "there is no draft".to_owned(),
        Block::OtherDate => "the draft speaks of another date".to_owned(),
        Block::OtherMates => "the release has other incidents since".to_owned(),
        Block::Mates(lack) => format!("it waits for {lack}"),
        Block::Approvals(more) => format!("{more} more must approve it"),
        Block::Before(tasks) => {
            let tasks: Vec<&str> = tasks.iter().map(TaskId::as_str).collect();
            format!("it waits for {}", tasks.join(", "))
        }
        Block::Held => "it is held".to_owned(),
        Block::Early(_) => "its moment has not come".to_owned(),
        Block::NoMoment => "its moment is not known".to_owned(),
        Block::Stale => "its moment is too long ago; it must be approved again".to_owned(),
    }
}

/// `/ledger [NOTICE]`
pub fn ledger(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let incident = turn.incident()?.clone();
    let wanted = if arguments.trim().is_empty() {
        None
    } else {
        let word = arguments.split('@').next().unwrap_or("").trim();
        let own = incident.notices.keys().find(|id| id.as_str().eq_ignore_ascii_case(word));
        Some(match own {
            Some(id) => id.clone(),
            None => notice_named(turn, arguments)?.id,
        })
    };
    let mut out = String::new();
    for (id, found) in &incident.notices {
        if wanted.as_ref().is_some_and(|wanted| wanted != id) || !found.has_left() {
            continue;
        }
        let word = incident.task(id).map_or(id.as_str(), |task| task.word().as_str());
        for (number, release) in &found.releases {
            let late = if release.late { ", LATE" } else { "" };
            let _ = writeln!(out, "{word}@{number}, left {}{late}", turn.work.say(release.at));
        }
        let lines = delivery_table::of(turn.work.desk, &incident, id);
        for line in delivery_table::table(&lines) {
            let _ = writeln!(out, "{line}");
        }
        if wanted.is_some() {
            for line in delivery_table::details(&lines, &|at| turn.work.say(at)) {
                let _ = writeln!(out, "{line}");
            }
        }
        out.push('\n');
    }
    for (at, who, _) in &incident.objections {
        let _ = writeln!(out, "{who} has objected, {}", turn.work.say(*at));
    }
    if out.is_empty() {
        return Ok("No notice has left.".to_owned());
    }
    Ok(out)
}

/// `/audience GROUP WHO...|all`
pub fn audience(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let (group, rest) = first(arguments.trim());
    let incident = turn.open_incident()?;
    let groups = &incident.playbook.groups;
    let embargoed = || groups.iter().filter(|(_, group)| group.public.is_empty());
    let Some((group, _)) = embargoed().find(|(id, _)| id.eq_ignore_ascii_case(group)) else {
        let known: Vec<&str> = embargoed().map(|(id, _)| id.as_str()).collect();
        return Err(Refusal::new(
            "no such group",
            format!("`{group}` is no group under embargo."),
            format!("write one of {}, then who of it, or `all`.", known.join(", ")),
        ));
    };
    let group = group.clone();
    needs(rest, "audience", "GROUP WHO...|all")?;
    let before = incident.audiences.get(&group).cloned();
    let members = if rest.eq_ignore_ascii_case("all") {
        None
    } else {
        let mut few: BTreeSet<PersonId> = BTreeSet::new();
        for word in rest.split([' ', ',']).filter(|word| !word.is_empty()) {
            let person = turn.whom(word)?;
            if !person.groups.contains(&group) {
                return Err(Refusal::new(
                    "not in that group",
                    format!("`{word}` gets nothing of `{group}` now."),
                    format!("see `| /member list {group}`, without the bar."),
                ));
            }
            few.insert(person.id.clone());
        }
        Some(few)
    };
    if members == before {
        return Err(Refusal::new("nothing changes", "it stands like that already.", ""));
    }
    // Letting more people know is what cannot be taken back.
    let wider = match (&before, &members) {
        (Some(before), Some(now)) => !now.is_subset(before),
        (Some(_), None) => true,
        (None, _) => false,
    };
    if wider {
        let over = turn.incident()?.known_public().is_some();
        let past = if over { "" } else { "; what has left goes to them now" };
        let what = format!("More people of the group get what this incident sends to it{past}.");
        let all: Vec<&PersonId> = turn.work.desk.roster.members(&group).map(|p| &p.id).collect();
        let now: Vec<&str> = all
            .iter()
            .filter(|id| members.as_ref().is_none_or(|few| few.contains(**id)))
            .map(|id| id.as_str())
            .collect();
        let what = format!("{what}\nThese then: {}", now.join(", "));
        let basis = format!("{before:?} {now:?}");
        if let Some(ask) = turn.confirmed(&what, &[&basis])? {
            return Ok(ask);
        }
    }
    turn.work.add(Event::AudienceSet { group: group.clone(), members: members.clone() });
    let count = notice::recipients(turn.work, &Audience::Group(group.clone())).len();
    Ok(match members {
        None => format!("Everybody of {group} gets what this incident sends to it ({count} now)."),
        Some(_) => {
            let still = still_told(turn, &group)?;
            format!(
                "{count} of {group} get what this incident sends to it, and nobody else of it.{still}"
            )
        }
    })
}

/// A line on those of a group who are not to know of the incident any more and had a notice of it.
fn still_told(turn: &Turn<'_, '_>, group: &str) -> Result<String, Refusal> {
    let incident = turn.incident()?;
    let mut still = Vec::new();
    for to in incident.everybody_told() {
        let Recipient::Person(id) = &to else { continue };
        let person = turn.work.person(id).filter(|person| person.groups.contains(group));
        if person.is_some_and(|person| !incident.is_for(group, person)) {
            still.push(relay::who(turn.work.desk, &to));
        }
    }
    if still.is_empty() {
        return Ok(String::new());
    }
    Ok(format!(
        "\nThese had a notice before; from now on they hear only that a date moves and that the embargo ends: {}.",
        still.join(", ")
    ))
}

//! The words that freeze a notice as a numbered draft, show it, and approve it.

use serde_json::json;

use crate::domain::commands::rehearse::block_words;
use crate::domain::commands::turn::{Answer, Turn, broken, needs};
use crate::domain::decide::notice::{Enclosed, freeze};
use crate::domain::decide::work::{ShownDraft, Work};
use crate::domain::decide::{lint, membership, notice, reminders};
use crate::domain::facts::event::Event;
use crate::domain::facts::letter::Attachment;
use crate::domain::facts::names::{Digest, Moment, PersonId, TaskId};
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::incident::{Incident, Notice};
use crate::domain::model::roster::Person;
use crate::domain::model::schedule;
use crate::domain::model::schedule::{Block, approvals_missing};
use crate::domain::outgoing::texts;
use crate::domain::outgoing::texts::Written;
use crate::domain::process::playbook::{Audience, Task, Truth};

fn notice_task(turn: &Turn<'_, '_>, word: &str) -> Result<Task, Refusal> {
    let (task, _) = turn.task(word)?;
    if task.is_notice() {
        return Ok(task);
    }
    Err(Refusal::new(
        "no notice",
        format!("`{}` is no notice.", task.word()),
        "write `| /agenda` to see them.",
    ))
}

/// The notice of that name, if this person may approve it.
fn approved_task(turn: &Turn<'_, '_>, word: &str) -> Result<Task, Refusal> {
    let task = turn.find_task(word)?;
    let incident = turn.incident()?;
    let draft = incident.notices.get(&task.id).and_then(|notice| notice.draft());
    let editor = draft.and_then(|draft| draft.by.as_ref());
    let own = notice_task(turn, word);
    let mut may = approvers(turn.work, &task, editor).into_iter();
    if !task.is_notice() {
        return own;
    }
    if may.any(|person| person.id == turn.person.id) {
        return Ok(task);
    }
    let outside = task.audience.as_ref().is_some_and(Audience::is_outside);
    let given = incident.joined.get(&turn.person.id).into_iter().flat_map(|roles| roles.values());
    let by_editor = given.flatten().any(|by| Some(by) == editor);
    if outside && by_editor && incident.alone.is_none() {
        let editor = editor.map(|id| turn.work.name(id)).unwrap_or_default();
        return Err(Refusal::new(
            "not a second person",
            format!("{editor} froze `{word}` and gave you your role, so you two count as one."),
            "another of the team must approve it.",
        ));
    }
    own
}

/// `/preview NOTICE`
pub fn preview(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    needs(arguments, "preview", "NOTICE")?;
    let task = notice_task(turn, arguments)?;
    let incident = turn.incident()?;
    let word = task.word().to_string();
    is_done_here(incident, &task)?;
    is_asked_for(incident, &task)?;
    let missing: Vec<_> = schedule::missing(incident, &task).map(ToOwned::to_owned).collect();
    if !missing.is_empty() {
        return Err(Refusal::new(
            "the record is incomplete",
            format!("the notice `{word}` needs these in the record first: {}.", missing.join(", ")),
            reminders::field_words(&missing),
        ));
    }
    let template = task.template.clone().unwrap_or_default();
    if template == "tell" {
        return Err(Refusal::new(
            "its words are yours",
            format!("the desk cannot write `{word}` anew: its words were yours."),
            "send `| /tell GROUP` (without the bar) again with the text below it; this one can be skipped.",
        ));
    }
    is_on_all(turn, &task)?;
    all_records_fit(turn, &task)?;
    let files = Enclosed { attachments: given(turn), doubts: Vec::new() }.lines();
    let written = notice::render_row(turn.work, &task, &files).map_err(broken)?;
    if notice::has_nobody(turn.work, &task) {
        return Ok(to_be_given(turn, &task, &written));
    }
    freeze_and_show(turn, &task, &template, &written)
}

/// What a notice would say that nobody of this desk gets: somebody gives it to them by another way.
fn to_be_given(turn: &Turn<'_, '_>, task: &Task, written: &Written) -> String {
    let (word, audience) = (task.word(), task.audience.as_ref());
    let label = audience.map_or_else(String::new, |audience| label(turn, audience));
    let shown = written.for_recipient("(whoever reads it)", "", None);
    format!(
        "Nobody of this desk is in the group `{label}`, so nothing leaves. Give it to them by their form, or encrypted by your own mail program, and say so with `| /done {word} HOW`. The operator can put them in the group, with their key: then the desk sends it.\n\n> Subject: {}\n>\n{}",
        shown.subject,
        texts::quote(&shown.body),
    )
}

/// What is done once for a release is frozen on its first incident.
fn is_done_here(incident: &Incident, task: &Task) -> Result<(), Refusal> {
    let Some(row) = incident.sharing.elsewhere.get(&task.id) else { return Ok(()) };
    let (word, on) = (task.word(), &row.on);
    let why = match &row.done {
        Some(_) => format!("`{word}` has left, once for the release, on {on}."),
        None => format!("`{word}` leaves once for the release, on {on}."),
    };
    let next = format!(
        "answer a mail on {on}, or write `| /incident {on}` as the first line, without the bar."
    );
    Err(Refusal::new("it is done on another incident", why, next))
}

/// What has left, or has lost its meaning, is neither frozen nor approved: it will not leave.
fn is_asked_for(incident: &Incident, task: &Task) -> Result<(), Refusal> {
    let word = task.word();
    let agenda = "see `| /agenda`, without the bar.";
    if incident.notices.get(&task.id).is_some_and(Notice::has_left) {
        let why = format!("the notice `{word}` has left already.");
        return Err(Refusal::new("it has left", why, ""));
    }
    if schedule::is_moot(incident, task) {
        let why =
            format!("it is public, so `{word}`, which announces that, does not leave any more.");
        return Err(Refusal::new("it has lost its meaning", why, agenda));
    }
    if incident.applies(task) == Truth::No {
        let why = format!("the process does not ask for `{word}` on this incident.");
        return Err(Refusal::new("not asked for here", why, agenda));
    }
    Ok(())
}

/// Who freezes or approves what speaks of several incidents is on each of them.
fn is_on_all(turn: &Turn<'_, '_>, task: &Task) -> Result<(), Refusal> {
    let mates = notice::mates(turn.work, task);
    if mates.iter().all(|mate| mate.is_team(turn.person)) {
        return Ok(());
    }
    let word = task.word();
    let why = format!("`{word}` speaks of all incidents of the release, and you are not on each.");
    Err(Refusal::new("you are not on all of them", why, "somebody who is must do it."))
}

/// The record of each of them has what it needs.
fn all_records_fit(turn: &Turn<'_, '_>, task: &Task) -> Result<(), Refusal> {
    let mates = notice::mates(turn.work, task);
    let lacks = mates.iter().filter_map(|mate| {
        let missing: Vec<_> = schedule::missing(mate, task).collect();
        (!missing.is_empty()).then(|| format!("{} needs {}", mate.handle, missing.join(", ")))
    });
    let lacks: Vec<String> = lacks.collect();
    if lacks.is_empty() {
        return Ok(());
    }
    let (word, lacks) = (task.word(), lacks.join("; "));
    let why = format!("`{word}` speaks of all incidents of the release: {lacks}.");
    let next = "set them there with `| /set FIELD VALUE`, without the bar.";
    Err(Refusal::new("a record is incomplete", why, next))
}

/// Freezes a rendered notice as the next numbered draft, shows it to the others who can approve
/// it, and says what is needed.
pub(super) fn freeze_and_show(
    turn: &mut Turn<'_, '_>,
    task: &Task,
    template: &str,
    written: &Written,
) -> Answer {
    let word = task.word().to_string();
    let to = notice::recipients_of(turn.work, task);
    let by = Some(turn.person.id.clone());
    let enclosed = enclosed(turn, task, template, written)?;
    let doubts = enclosed.doubts.clone();
    let draft = freeze(turn.work, &task.id, template, written, to.clone(), by, enclosed.clone());
    let number = draft.number;
    turn.work.add(Event::Frozen(Box::new(draft)));
    let shown = written.for_recipient("(each recipient)", "Ref: (theirs)", None);
    let audience = task.audience.as_ref().map_or_else(String::new, |a| label(turn, a));
    show_draft(turn.work, task, number, written, Some(turn.person), &enclosed);
    let wanted = schedule::approvals_wanted(turn.incident()?, task);
    let editor = if schedule::excludes_editor(turn.incident()?, task) {
        " You changed it last, so you do not count among them."
    } else {
        ""
    };
    let own = turn.incident()?.own.iter().any(|own| own.task.id == task.id);
    let leaves = match notice::moment(turn.work, task) {
        _ if own => String::new(),
        moment => format!("{moment}\n"),
    };
    if wanted == 0 {
        return Ok(format!(
            "Frozen as {word}@{number}, for: {audience} ({} now). It leaves\n{leaves}and needs nobody's approval.\n{}\n> Subject: {}\n>\n{}",
            to.len(),
            attached_words(&enclosed),
            shown.subject,
            texts::quote(&shown.body),
        ));
    }
    let doubts = match doubts.as_slice() {
        [] => String::new(),
        doubts => format!("Doubtful in the text:\n  - {}\n", doubts.join("\n  - ")),
    };
    Ok(format!(
        "Frozen as {word}@{number}, for: {audience} ({} now). It leaves\n{leaves}once {} approved it.{editor}\n{doubts}{}\n  | /approve {word}@{number}\n  | /rehearse {word}\n\n> Subject: {}\n>\n{}",
        to.len(),
        if wanted == 1 { "one person has".to_owned() } else { format!("{wanted} people have") },
        attached_words(&enclosed),
        shown.subject,
        texts::quote(&shown.body),
    ))
}

/// What is attached to a draft, as people read it.
fn attached_words(enclosed: &Enclosed) -> String {
    let mut out = String::new();
    for part in &enclosed.attachments {
        let hash = Digest::of(&part.bytes);
        out.push_str(&format!(
            "Attached: {} ({} bytes, SHA-256 {})\n",
            part.name,
            part.bytes.len(),
            hash.short()
        ));
    }
    out
}

/// The most that goes with a notice: each recipient gets a copy of their own.
const ENCLOSED_MAX: usize = 10 * 1024 * 1024;

/// What somebody attached for a notice.
fn given(turn: &Turn<'_, '_>) -> Vec<Attachment> {
    let parts = turn.attachments().iter();
    parts.filter(|part| !part.is_text_of_mail() && !part.tells_who_wrote()).cloned().collect()
}

/// What goes with a draft: what the mail attaches, the entry for a calendar, and what is doubtful in
/// the text. What must not leave is refused.
fn enclosed(
    turn: &Turn<'_, '_>,
    task: &Task,
    template: &str,
    written: &Written,
) -> Result<Enclosed, Refusal> {
    let given = given(turn);
    let public = matches!(task.audience, Some(Audience::Public(_)));
    if public && !given.is_empty() {
        return Err(Refusal::new(
            "attachments do not go to the public",
            "your mail has attachments, and a public notice is text only.",
            "say in the text where to find them.",
        ));
    }
    let size: usize = given.iter().map(|part| part.bytes.len()).sum();
    if size > ENCLOSED_MAX || given.len() > 20 {
        return Err(Refusal::new(
            "too much attached",
            format!("the attachments have {size} bytes, and {ENCLOSED_MAX} is the most."),
            "say in the text where to find them.",
        ));
    }
    let incident = turn.incident()?;
    let away = lint::given_away(incident, template, written);
    if !away.is_empty() {
        return Err(Refusal::new(
            "it gives the vulnerability away",
            format!(
                "what the public is told before the fix is out would say: {}.",
                away.join(", ")
            ),
            "change the record or the template; then write the word again.",
        ));
    }
    let mut doubts = lint::doubts(turn.work, task, template, written);
    let sealed = task.audience.as_ref().is_some_and(|to| to.under_embargo().is_some());
    if sealed {
        let keys = membership::keys_in_the_way(turn.work);
        doubts.extend(keys.into_iter().filter(|line| line.contains(&format!("`{}`", task.word()))));
    }
    let enclosed = Enclosed { attachments: given, doubts };
    Ok(if sealed && task.announces() {
        enclosed.with_entry(turn.work, task.audience.as_ref())
    } else {
        enclosed
    })
}

/// Shows a draft to those who can approve it; `by` froze it, or the desk did. What one mail of commands
/// has for somebody to decide goes to them in one mail.
pub(super) fn show_draft(
    work: &mut Work<'_>,
    task: &Task,
    number: u32,
    written: &Written,
    by: Option<&Person>,
    enclosed: &Enclosed,
) {
    if work.incident.as_ref().is_some_and(|i| schedule::approvals_wanted(i, task) == 0) {
        return;
    }
    let shown = written.for_recipient("(each recipient)", "Ref: (theirs)", None);
    let incident = work.incident.as_ref();
    let audience = task.audience.as_ref().zip(incident);
    let audience = audience.map_or_else(String::new, |(a, incident)| notice::label(incident, a));
    let recipients = notice::recipients_of(work, task).len();
    let wanted = incident.map_or(task.approvals, |i| schedule::approvals_wanted(i, task).max(1));
    let facts = json!({
        "by": by.map_or("The desk", |person| person.name.as_str()),
        "notice": task.word(), "number": number,
        "moment": notice::moment(work, task), "audience": audience, "recipients": recipients,
        "approvals": wanted, "subject": shown.subject,
        "body": texts::quote(&shown.body),
        "notes": enclosed.doubts.iter().map(|doubt| texts::wrapped(doubt)).collect::<Vec<_>>(),
        "parts": attached_words(enclosed).lines().collect::<Vec<_>>(),
    });
    let to = approvers(work, task, by.map(|by| &by.id));
    work.shown.push(ShownDraft {
        name: format!("{}@{number}", task.word()),
        facts,
        attachments: enclosed.attachments.clone(),
        to: to.iter().map(|person| person.id.clone()).collect(),
    });
}

fn label(turn: &Turn<'_, '_>, audience: &Audience) -> String {
    turn.work
        .incident
        .as_ref()
        .map_or_else(String::new, |incident| notice::label(incident, audience))
}

/// Who may approve a draft that somebody froze: those who hold a role of its task; where they are too
/// few without the one who does not count, everybody on the incident.
fn approvers<'d>(work: &Work<'d>, task: &Task, editor: Option<&PersonId>) -> Vec<&'d Person> {
    let Some(incident) = work.incident.as_ref() else { return Vec::new() };
    let mates = notice::mates(work, task);
    let on_all = |person: &&Person| mates.iter().all(|mate| mate.is_team(person));
    let outside = task.audience.as_ref().is_some_and(Audience::is_outside);
    if outside && incident.alone.is_none() {
        let may = schedule::approvers(incident, task, editor);
        return may.iter().filter_map(|id| work.person(id)).filter(on_all).collect();
    }
    let counts = |person: &&Person| Some(&person.id) != editor;
    let mut people: Vec<&Person> = Vec::new();
    for person in task.roles().flat_map(|role| work.holders(role)).filter(counts) {
        if people.iter().all(|known| known.id != person.id) {
            people.push(person);
        }
    }
    if schedule::excludes_editor(incident, task) && people.len() < task.approvals {
        people = work.team().into_iter().filter(counts).collect();
    }
    people.retain(on_all);
    people
}

/// `/approve NOTICE@N`
pub fn approve(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    needs(arguments, "approve", "NOTICE@N")?;
    let (word, number) = arguments.split_once('@').unwrap_or((arguments, ""));
    let task = turn.find_task(word)?;
    is_done_here(turn.incident()?, &task)?;
    is_asked_for(turn.incident()?, &task)?;
    is_on_all(turn, &task)?;
    let task = approved_task(turn, word)?;
    let number = approvable(turn, &task, number)?;
    turn.work.add(Event::Approved { notice: task.id.clone(), number });
    let word = task.word().to_string();
    let stale = if notice::would_differ(turn.work, &task) {
        format!(
            "\nThe RECORD HAS CHANGED since {word}@{number} was frozen: it leaves as it was. `| /preview {word}` freezes a new one."
        )
    } else {
        String::new()
    };
    let incident = turn.incident()?;
    let notice = incident.notices.get(&task.id);
    let missing = notice.map_or(0, |notice| approvals_missing(incident, notice, &task));
    if missing > 0 {
        return Ok(format!("You approve {word}@{number}. {missing} more must.{stale}"));
    }
    let blocked = blocked(incident, &task, turn.work.now);
    let moment =
        notice::moment(turn.work, &task).replacen("as soon as it is approved", "at once", 1);
    let outside = task.audience.as_ref().is_some_and(Audience::is_outside);
    if let Some(alone) = turn.incident()?.alone.filter(|_| outside) {
        let from = alone.from(turn.work.now);
        turn.tell_operators(from);
        return Ok(format!(
            "{word}@{number} is approved. You are alone at this desk, so it does not leave before {}, and `| /hold {word}` stops it. It leaves\n{moment}.{blocked}{stale}",
            turn.work.say(from)
        ));
    }
    Ok(format!("{word}@{number} is approved. It leaves\n{moment}.{blocked}{stale}"))
}

/// What else keeps a notice that enough have approved: as whatever lets it leave sees it.
fn blocked(incident: &Incident, task: &Task, now: Moment) -> String {
    let held = "\nIt is held; `| /resume` lets it go.";
    let before = |tasks: &[TaskId]| {
        let tasks: Vec<&str> = tasks.iter().map(TaskId::as_str).collect();
        format!("\nIt still waits for {}.", tasks.join(", "))
    };
    match schedule::may_leave(incident, task, now) {
        Ok(()) | Err(Block::Early(_) | Block::NoMoment) => String::new(),
        Err(Block::Before(tasks)) => before(&tasks),
        // What holds it comes first, and is not all.
        Err(Block::Held) => {
            let tasks: Vec<TaskId> = schedule::open_before(incident, task).cloned().collect();
            if tasks.is_empty() { held.to_owned() } else { before(&tasks) + held }
        }
        Err(block) => format!("\nIt does NOT leave as it is: {}.", block_words(&block)),
    }
}

/// The number of the draft, if this person may approve it now.
fn approvable(turn: &Turn<'_, '_>, task: &Task, number: &str) -> Result<u32, Refusal> {
    let word = task.word();
    let incident = turn.incident()?;
    let notice = incident.notices.get(&task.id).cloned().unwrap_or_default();
    let Some(newest) = notice.valid_draft() else {
        let why = format!("there is no draft of `{word}` yet.");
        let next = format!("write `| /preview {word}`, without the bar.");
        return Err(Refusal::new("no draft", why, next));
    };
    let n = newest.number;
    let next = if task.template.as_deref() == Some("tell") {
        "send `| /tell GROUP` again, with the text below it, for a new draft.".to_owned()
    } else {
        format!(
            "read the newest: `| /preview {word}` freezes and shows one; then `| /approve {word}@N`."
        )
    };
    match number.parse::<u32>() {
        Ok(number) if number == n => {}
        Ok(number) => {
            let why = format!("{word}@{number} is not the newest draft; that is {word}@{n}.");
            return Err(Refusal::new("not the newest draft", why, next));
        }
        Err(_) => {
            let why = format!("say which draft of `{word}` you approve; the newest is {word}@{n}.");
            return Err(Refusal::new("no number", why, next));
        }
    }
    if !incident.is_dated(newest) {
        let why = format!("{word}@{n} speaks of a date that has moved since.");
        return Err(Refusal::new("the draft has another date", why, next));
    }
    if !incident.is_of_all(newest) {
        let why = format!("{word}@{n} speaks of other incidents than share the release now.");
        return Err(Refusal::new("the release has changed", why, next));
    }
    if schedule::excludes_editor(incident, task) && newest.by.as_ref() == Some(&turn.person.id) {
        let why = format!("you froze {word}@{n}, so your own approval does not count.");
        return Err(Refusal::new("you changed it last", why, "others must approve it."));
    }
    Ok(n)
}

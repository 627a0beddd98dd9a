//! What people are reminded of because time passes: an answer that is owed, notices that are not
//! ready, tasks that are due. Everybody gets one mail for all that is due at a moment.

use crate::domain::decide::relay;
use crate::domain::decide::work::Work;
use crate::domain::facts::anchor::SetBy;
use crate::domain::facts::names::{Moment, TaskId};
use crate::domain::model::incident::Incident;
use crate::domain::model::roster::Person;
use crate::domain::model::schedule;
use crate::domain::model::schedule::{Block, may_leave};
use crate::domain::outgoing::texts::OWN_ANSWER;
use crate::domain::process::playbook::Task;

/// Tells the holders of a role, or the team where nobody holds it.
pub(crate) fn remind(work: &mut Work<'_>, role: &str, heading: &str, lines: &[String], next: &str) {
    let mut people = work.holders(role);
    if people.is_empty() {
        people = work.team();
    }
    work.inform(&people, heading, lines, next);
}

/// Tells those who take reports in that nobody has answered the reporter, and those further up once
/// the time for it has ended.
pub(crate) fn human(work: &mut Work<'_>, lapsed: bool) {
    let Some(incident) = work.incident.clone() else {
        return;
    };
    let due = work.say(schedule::human_due(&incident));
    let next =
        "reply with `| /accept`, `| /reject REASON`, `| /unreadable`, or `| /reply` and your text.";
    if !lapsed {
        let lines = [format!("Nobody has answered the reporter yet. An answer is owed by {due}.")];
        let intake = incident.playbook.intake.clone();
        remind(work, &intake, "The reporter waits for an answer", &lines, next);
        return;
    }
    let lines =
        [format!("The time for a person's answer to the reporter ended on {due}. None was sent.")];
    let roles = incident.playbook.human_answer.escalate.iter().chain([&incident.playbook.intake]);
    let people: Vec<&Person> = roles.flat_map(|role| work.holders(role)).collect();
    work.inform(&people, "The reporter was NOT answered in time", &lines, next);
    // The operators hear that it happened, and of what only if they are on it.
    let others = work.desk.roster.operators();
    let others: Vec<&Person> =
        others.into_iter().filter(|person| !incident.is_team(person)).collect();
    relay::tell_outside(
        work,
        &others,
        "A reporter was NOT answered in time",
        &[format!("The time for a person's answer on {} has ended.", incident.handle)],
        "ask the team; `embargod status` shows it.",
    );
}

/// What a person is reminded of, by those who are concerned: the holders of a row's roles, or the
/// team where nobody holds them.
fn concerned<'d>(work: &Work<'d>, task: &Task) -> Vec<&'d Person> {
    let people: Vec<&Person> = task.roles().flat_map(|role| work.holders(role)).collect();
    if people.is_empty() { work.team() } else { people }
}

/// A notice that is not ready: its heading, what is to be said, and the next step.
struct Unready {
    id: TaskId,
    heading: String,
    line: String,
    next: String,
}

/// Tells of notices that are not ready: so many per cent of their time have gone.
pub(crate) fn drafts(work: &mut Work<'_>, due: &[(TaskId, u32)]) {
    let Some(incident) = work.incident.clone() else { return };
    let unready: Vec<Unready> =
        due.iter().filter_map(|(id, percent)| unready(work, &incident, id, *percent)).collect();
    for person in work.team() {
        let own: Vec<&Unready> = unready
            .iter()
            .filter(|notice| {
                let task = incident.task(&notice.id);
                task.is_some_and(|task| concerned(work, task).iter().any(|p| p.id == person.id))
            })
            .collect();
        let (Some(first), count) = (own.first(), own.len()) else { continue };
        let heading =
            if count == 1 { first.heading.clone() } else { "Notices are not ready".to_owned() };
        let lines: Vec<String> = own.iter().map(|notice| notice.line.clone()).collect();
        let next = format!("reply with `{}`, without the bar.", first.next);
        work.inform(&[person], &heading, &lines, &next);
    }
}

fn unready(work: &Work<'_>, incident: &Incident, id: &TaskId, percent: u32) -> Option<Unready> {
    let task = incident.task(id)?;
    let word = task.word();
    let newest = incident.notices.get(id).and_then(|n| n.draft()).map_or(0, |draft| draft.number);
    let (why, next) = match may_leave(incident, task, work.now) {
        Ok(()) | Err(Block::Over | Block::Early(_) | Block::NoMoment) => return None,
        Err(Block::NoDraft) => ("it has no draft".to_owned(), format!("| /preview {word}")),
        Err(Block::OtherDate) if task.template.as_deref() == Some("tell") => {
            ("its draft speaks of another date".to_owned(), "| /tell GROUP".to_owned())
        }
        Err(Block::OtherMates) => (
            "the newest draft speaks of other incidents than share the release now".to_owned(),
            format!("| /preview {word}"),
        ),
        Err(Block::Mates(lack)) => (format!("it waits for {lack}"), "| /batch".to_owned()),
        Err(Block::OtherDate) => {
            ("its draft speaks of another date".to_owned(), format!("| /preview {word}"))
        }
        Err(Block::Approvals(more)) => {
            (format!("{more} more must approve it"), format!("| /approve {word}@{newest}"))
        }
        Err(Block::Held) => ("it is held".to_owned(), format!("| /resume {word}")),
        Err(Block::Unknown(fields)) => {
            (format!("it waits for {fields}"), "| /set FIELD VALUE".to_owned())
        }
        Err(Block::Stale) => {
            ("its moment is long past".to_owned(), format!("| /approve {word}@{newest}"))
        }
        // What nobody can do yet is nothing to remind of.
        Err(Block::Before(tasks)) if percent < 100 && all_ahead(work, incident, &tasks) => {
            return None;
        }
        Err(Block::Before(tasks)) => {
            let playbook = &incident.playbook;
            let words: Vec<_> = incident
                .tasks()
                .filter(|t| tasks.contains(&t.id) && schedule::done_at(incident, t).is_none())
                .map(|t| format!("{} ({})", t.word(), playbook.role_label(&t.role)))
                .collect();
            (format!("it waits for {}", words.join(", ")), "| /agenda".to_owned())
        }
    };
    let own = incident.own.iter().any(|own| own.task.id == *id);
    // What public knowledge brings forward is due, and not overdue.
    let span = schedule::span_of(incident, task);
    let over = span.is_none_or(|(at, _)| incident.asap() != Some(at));
    let heading = if percent >= 100 && !own && over {
        format!("OVERDUE: notice {word}")
    } else {
        format!("Notice {word} is not ready")
    };
    let exact = |(at, due): &(Moment, Option<Moment>)| *due == Some(*at);
    let moment = match schedule::span_of(incident, task) {
        Some((at, Some(due))) if !own && !exact(&(at, Some(due))) => {
            let verb = if due > work.now { "is" } else { "was" };
            format!("{verb} to leave by {}", work.say(due))
        }
        Some((at, _)) if !own && at > work.now => format!("is to leave on {}", work.say(at)),
        Some((at, _)) if !own => format!("was to leave on {}", work.say(at)),
        Some(_) | None => "leaves as soon as it is approved".to_owned(),
    };
    let tail = if percent >= 100 && !own { " It leaves once that is done." } else { "" };
    let line = format!("The notice `{word}` {moment}, and {why}.{tail}");
    Some(Unready { id: id.clone(), heading, line, next })
}

/// Whether rows that something waits for have a moment each, and none has come.
fn all_ahead(work: &Work<'_>, incident: &Incident, ids: &[TaskId]) -> bool {
    let open = incident.tasks().filter(|task| ids.contains(&task.id));
    let mut open = open.filter(|task| schedule::done_at(incident, task).is_none());
    open.all(|task| schedule::span_of(incident, task).is_some_and(|(at, _)| at > work.now))
}

/// Tells people of the tasks that are due, each of all of theirs at once.
pub(crate) fn tasks(work: &mut Work<'_>, ids: &[TaskId]) {
    let Some(incident) = work.incident.clone() else { return };
    let due: Vec<&Task> = incident.tasks().filter(|task| ids.contains(&task.id)).collect();
    for person in work.team() {
        let own: Vec<&Task> = due
            .iter()
            .copied()
            .filter(|task| concerned(work, task).iter().any(|p| p.id == person.id))
            .collect();
        let Some(first) = own.first() else { continue };
        let lines: Vec<String> = own
            .iter()
            .map(|task| format!("  {:<13} {}", task.word(), titled(&incident, task)))
            .collect();
        let word = task_word(&incident, first);
        let next =
            format!("do them, and say so with `| {word}`, without the bar; `| /agenda` shows all.");
        work.inform(&[person], "Tasks are due", &lines, &next);
    }
}

/// The title of a row, with what it still waits for.
fn titled(incident: &Incident, task: &Task) -> String {
    let before = schedule::open_before(incident, task).filter_map(|id| incident.task(id));
    let words: Vec<String> = before.map(|before| before.word().to_string()).collect();
    if words.is_empty() {
        task.title.clone()
    } else {
        format!("{} (waits for {})", task.title, words.join(", "))
    }
}

/// The word that settles a row, as people would write it.
fn task_word(incident: &Incident, task: &Task) -> String {
    if let Some(answer) = &task.answer {
        return answer_word(answer);
    }
    if task.follows.is_some() {
        return "/disclose WHEN".to_owned();
    }
    let by_fact = task.fact.iter().find_map(|anchor| match anchor.set_by() {
        SetBy::Word("disclose") => Some("/disclose WHEN".to_owned()),
        // What ends the embargo is not what people are urged to say.
        SetBy::Word("known-public" | "exploited" | "published" | "close") => {
            Some(format!("/done {} REASON", task.word()))
        }
        SetBy::Word(word) => Some(format!("/{word}")),
        SetBy::Desk | SetBy::Row | SetBy::Field => None,
    });
    let field = schedule::missing(incident, task).next().map(field_word);
    by_fact.or(field).unwrap_or_else(|| format!("/done {}", task.word()))
}

/// The word that sends an answer to the reporter: a prepared one, or a person's own words.
pub(crate) fn answer_word(answer: &str) -> String {
    if answer == OWN_ANSWER { "/reply".to_owned() } else { format!("/answer {answer}") }
}

/// The word that puts a thing in the record.
pub(crate) fn field_word(field: &str) -> String {
    match field {
        "cve" => "/cve ID".to_owned(),
        "cvss" => "/cvss VECTOR".to_owned(),
        "ghsa" => "/ghsa ID".to_owned(),
        "t" => "/disclose WHEN".to_owned(),
        "lead" | "deputy" => format!("/{field} WHO"),
        "published" => "/published".to_owned(),
        "title" => "/title TEXT".to_owned(),
        field => format!("/set {field} VALUE"),
    }
}

/// The words that put several things in the record, for the next step of a refusal.
pub(crate) fn field_words(fields: &[String]) -> String {
    let words: Vec<String> =
        fields.iter().map(|field| format!("`| {}`", field_word(field))).collect();
    format!("write {}, without the bar.", words.join(", "))
}

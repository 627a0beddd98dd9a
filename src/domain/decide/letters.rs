//! How an incident keeps a mail that came in.

use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Author, Event, LetterNote};
use crate::domain::facts::letter::Letter;
use crate::domain::model::schedule;
use crate::domain::outgoing::texts::{clean, quote};
use crate::domain::process::playbook::{Task, Truth};

/// How the incident remembers a mail; its text becomes a sealed body.
pub(crate) fn note(work: &mut Work<'_>, letter: &Letter, author: Author) -> LetterNote {
    let mut text = format!("Subject: {}\n\n{}", &letter.subject, clean(&letter.text));
    if !letter.outside.is_empty() {
        text.push_str("\n\nBeside what was encrypted, protected by nothing:\n\n");
        text.push_str(&quote(&clean(&letter.outside)));
    }
    let text = work.keep(text);
    LetterNote {
        raw: letter.raw,
        received: letter.received,
        message_id: letter.outer.message_id.clone(),
        author,
        protection: letter.verdict.protection,
        failure: letter.verdict.failure,
        text,
        session: letter.verdict.session,
    }
}

pub(crate) fn join(work: &mut Work<'_>, letter: &Letter, author: Author) {
    let letter = note(work, letter, author);
    work.add(Event::Joined { letter });
}

/// Notes that a prepared answer went to the reporter, for the rows that ask for it.
pub(crate) fn settle_answer(work: &mut Work<'_>, name: &str) {
    let Some(incident) = &work.incident else { return };
    let open = |task: &&Task| {
        task.answer.as_deref() == Some(name)
            && schedule::done_at(incident, task).is_none()
            && incident.applies(task) != Truth::No
    };
    let tasks: Vec<_> = incident.tasks().filter(open).map(|t| (t.id.clone(), t.sets)).collect();
    for (task, sets) in tasks {
        work.add(Event::TaskDone { task, evidence: None, sets, seconded: None });
    }
}

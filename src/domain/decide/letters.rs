//! How an incident keeps a mail that came in.

use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Author, Event, LetterNote};
use crate::domain::facts::letter::Letter;
use crate::domain::outgoing::texts::clean;

/// How the incident remembers a mail; its text becomes a sealed body.
pub(crate) fn note(work: &mut Work<'_>, letter: &Letter, author: Author) -> LetterNote {
    let text = work.keep(format!("Subject: {}\n\n{}", clean(&letter.subject), clean(&letter.text)));
    LetterNote {
        raw: letter.raw,
        received: letter.received,
        message_id: letter.message_id.clone(),
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

//! The words of reporters. They only add to the record, and the answer goes to the recorded
//! address and says only: received, being worked on, or closed.

use crate::domain::commands::grammar::{Line, Parsed};
use crate::domain::decide::outdated;
use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Event, Purpose};
use crate::domain::facts::foreign::Foreign;
use crate::domain::facts::letter::Letter;
use crate::domain::facts::names::{Moment, Span, later};
use crate::domain::outgoing::texts::SealedFacts;
use crate::domain::process::vocabulary::{Word, reporter_word};

/// A reporter's words being carried out.
pub struct Asked<'w, 'd> {
    /// The decision in the making.
    pub work: &'w mut Work<'d>,
    /// What the team is told besides the mail itself.
    pub told: Vec<String>,
}

/// The longest credit.
const CREDIT_MAX: usize = 120;

/// The words of a reporter's mail, if its first lines are nothing else. A command line from anyone
/// else, or another word, is ordinary text.
#[must_use]
pub fn words<'p>(letter: &Letter, parsed: &'p Parsed) -> &'p [Line] {
    let lines = parsed.lines.as_slice();
    let known = lines.iter().all(|line| reporter_word(&line.word).is_some());
    if known && !letter.html_only { lines } else { &[] }
}

/// Carries a reporter's words out; says what the team should know of them.
pub fn carry_out(work: &mut Work<'_>, lines: &[Line]) -> Vec<String> {
    let mut asked = Asked { work, told: Vec::new() };
    for line in lines {
        match reporter_word(&line.word).map(|row| row.word) {
            Some(Word::ReportStatus) => status(&mut asked),
            Some(Word::Credit) => credit(&mut asked, &line.arguments),
            Some(Word::WillPublish) => publish(&mut asked, &line.arguments),
            Some(Word::AgreesToDate) => on_date(&mut asked, true, ""),
            Some(Word::ObjectsToDate) => on_date(&mut asked, false, &line.arguments),
            _ => {}
        }
    }
    outdated::tell(asked.work);
    asked.told
}

/// Whether an answer to `/status` may leave: one an hour, whoever asks.
#[must_use]
pub fn may_answer(last: Option<Moment>, now: Moment) -> bool {
    last.is_none_or(|last| later(last, Span::hours(1)) <= now)
}

/// `/status`
pub fn status(asked: &mut Asked<'_, '_>) {
    let last = asked.work.incident.as_ref().and_then(|incident| incident.reporter.asked);
    if !may_answer(last, asked.work.now) {
        return;
    }
    asked.work.add(Event::StatusAsked { alias: None });
    let (facts, now) = (asked.work.clear_facts(), asked.work.now);
    let more = SealedFacts::default();
    asked.work.write_reporter(Purpose::Acknowledgement, "status", &facts, &more, now);
    asked.told.push("They asked where it stands, and were told in one word.".to_owned());
}

/// `/credit NAME|anonymous`
pub fn credit(asked: &mut Asked<'_, '_>, arguments: &str) {
    let credit = Foreign::line(arguments, CREDIT_MAX);
    if !credit.is_empty() {
        asked.told.push(format!("They want to be credited as: {credit}"));
        asked.work.add(Event::Credited { credit });
    }
}

/// `/agree` and `/objection WHY`: to the day that is planned now.
pub fn on_date(asked: &mut Asked<'_, '_>, agrees: bool, why: &str) {
    let t = asked.work.incident.as_ref().and_then(|incident| incident.t());
    let day = t.map_or_else(|| "none is set".to_owned(), |t| asked.work.say(t));
    let said = Foreign::line(why, CREDIT_MAX);
    asked.told.push(match (agrees, said.is_empty()) {
        (true, _) => format!("They agree to the day: {day}"),
        (false, true) => format!("THE DAY DOES NOT SUIT THEM: {day}"),
        (false, false) => format!("THE DAY DOES NOT SUIT THEM: {day}: {said}"),
    });
    asked.work.add(Event::ReporterOnDate { agrees, t, said });
}

/// `/publish WHEN`: in their own words, since it binds nobody but them.
pub fn publish(asked: &mut Asked<'_, '_>, arguments: &str) {
    let said = Foreign::line(arguments, CREDIT_MAX);
    let when = if said.is_empty() { "they do not say when" } else { said.as_str() };
    asked.told.push(format!("THEY INTEND TO PUBLISH: {when}"));
    asked.work.add(Event::WillPublish { said });
}

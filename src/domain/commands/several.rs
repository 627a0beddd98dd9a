//! One word for several reports of the digest: by their numbers, ranges of them, their handles, or all whose
//! handles stand in what is quoted below.

use crate::domain::commands::grammar::{Line, is_quoted};
use crate::domain::commands::rights::may_use;
use crate::domain::commands::second;
use crate::domain::commands::turn::{Answer, Turn};
use crate::domain::decide::work::Work;
use crate::domain::facts::letter::Letter;
use crate::domain::facts::names::Handle;
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::desk::Desk;
use crate::domain::model::roster::Person;
use crate::domain::process::vocabulary::{Row, Word};

/// So many at a time: those of one digest.
const SEVERAL_MAX: usize = 100;

/// Whether a line is about reports that it names; in a mail on one incident a reason is only that.
#[must_use]
pub fn is_for_several(row: &Row, line: &Line, on_one: bool) -> bool {
    let always = matches!(row.word, Word::Show | Word::Spam | Word::Accept | Word::Unreadable);
    (always || row.word == Word::Reject && !on_one) && !line.arguments.is_empty()
}

/// Carries a word out for each report that its line names: for all of them or for none.
pub fn carry_out<'d>(
    work: &mut Work<'d>,
    letter: &Letter,
    person: &'d Person,
    row: &Row,
    line: &Line,
) -> Answer {
    let (handles, rest) = named(work.desk, row, &line.arguments, &letter.text)?;
    let has_reason = row.word == Word::Reject;
    if handles.is_empty() || rest.is_empty() == has_reason {
        let why = format!(
            "`{}` names no report{}.",
            line.text().trim_start_matches('/'),
            if has_reason { ", or no reason" } else { "" }
        );
        let next = format!(
            "write numbers of the digest or handles, like `| /{} 3 7-9{}` (without the bar), or answer a mail on the one.",
            row.name,
            if has_reason { " REASON" } else { "" }
        );
        return Err(Refusal::new("no report named", why, next));
    }
    let mut answers: Vec<(Handle, String)> = Vec::new();
    for handle in handles {
        // One that the person is not on is as good as none: that it exists is not for them.
        if !work.desk.incident(&handle).is_some_and(|incident| incident.is_team(person)) {
            let why = format!("there is no incident {handle} that you are on.");
            let next = "write `| /list` to see yours, without the bar.";
            return Err(Refusal::new("no such incident", why, next));
        }
        let mut done = Ok(String::new());
        let asked = work.questions.len();
        work.on_other(&handle, |work| {
            done = may_use(work, person, row).and_then(|()| {
                let shown = format!("/{} {rest}", row.name);
                let shown = shown.trim_end().to_owned();
                let mut turn = Turn::new(work, Some(letter), person, shown, "");
                second::carry_out(&mut turn, row, &rest)
            });
            // Each would be asked about by itself.
            if done.is_ok() && work.questions.len() > asked {
                let next = "answer a mail on it.";
                let why = "it needs a second person or a `/confirm`.";
                done = Err(Refusal::new("not for several", why, next));
            }
        });
        let answer = done.map_err(|mut refusal| {
            refusal.why = format!("{handle}: {}", refusal.why);
            refusal
        })?;
        answers.push((handle, answer));
    }
    let first = answers.first().map(|(_, answer)| answer.clone()).unwrap_or_default();
    Ok(if row.word != Word::Show && answers.iter().all(|(_, answer)| *answer == first) {
        let handles: Vec<&str> = answers.iter().map(|(handle, _)| handle.as_str()).collect();
        format!("{}: {first}", handles.join(", "))
    } else {
        answers
            .into_iter()
            .map(|(handle, answer)| format!("{handle}: {answer}"))
            .collect::<Vec<_>>()
            .join("\n\n")
    })
}

/// The reports that a line names, and what else stands on it.
///
/// # Errors
/// What is no report of the digest, or more than there are.
pub fn named(
    desk: &Desk,
    row: &Row,
    arguments: &str,
    text: &str,
) -> Result<(Vec<Handle>, String), Refusal> {
    let mut found: Vec<Handle> = Vec::new();
    let mut rest = arguments.trim();
    while !rest.is_empty() {
        let (word, tail) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        let Some(more) = one(desk, row, word.trim_matches(','), text)? else { break };
        for handle in more {
            if !found.contains(&handle) {
                found.push(handle);
            }
        }
        if found.len() > SEVERAL_MAX {
            let next = format!("name {SEVERAL_MAX} at most in one mail.");
            return Err(Refusal::new(
                "too many at once",
                "your line names too many reports.",
                next,
            ));
        }
        rest = tail.trim_start();
    }
    Ok((found, rest.to_owned()))
}

/// The report of an entry of the digest, quoted once: a number and a handle. What strangers wrote stands quoted twice
/// in it, or behind a word of ours, and would close somebody else's report by naming it.
fn entry(line: &str) -> Option<Handle> {
    let mut words = line.trim_start().strip_prefix('>')?.split_whitespace();
    let number = words.next()?;
    number.parse::<u32>().ok()?;
    Handle::parse(words.next()?)
}

/// What one word of a line names; nothing where it is no name of a report.
fn one(desk: &Desk, row: &Row, word: &str, text: &str) -> Result<Option<Vec<Handle>>, Refusal> {
    if word.eq_ignore_ascii_case("ALL-BELOW") {
        // What changes something for everybody at once closes quietly, and nothing else.
        if row.word != Word::Spam {
            let why = format!(
                "`/{} ALL-BELOW` is not done: it writes to each of their reporters.",
                row.name
            );
            return Err(Refusal::new("not for all at once", why, "name each of them."));
        }
        let entries = text.lines().filter(|line| is_quoted(line)).filter_map(entry);
        let all: Vec<Handle> = entries.filter(|handle| desk.waitlist.holds(handle)).collect();
        return if all.is_empty() {
            let next = "leave the entries of the digest in what you quote, as they came.";
            Err(Refusal::new("nothing below", "no waiting report stands in what you quote.", next))
        } else {
            Ok(Some(all))
        };
    }
    if let Some(handle) = Handle::parse(word) {
        return Ok(Some(vec![handle]));
    }
    let (from, to) = word.split_once('-').unwrap_or((word, word));
    let (Ok(from), Ok(to)) = (from.parse::<u32>(), to.parse::<u32>()) else { return Ok(None) };
    if to < from || to.saturating_sub(from) > 10_000 {
        let why = format!("`{word}` is no range.");
        return Err(Refusal::new("no such report", why, "write it like 4-9."));
    }
    // Of a range those that wait still; one that is named must be there.
    let all: Vec<Handle> = (from..=to).filter_map(|n| desk.waitlist.numbered(n)).cloned().collect();
    let is_range = from != to;
    let all: Vec<Handle> =
        all.into_iter().filter(|handle| !is_range || desk.waitlist.holds(handle)).collect();
    if all.is_empty() {
        let why = format!("there is no report `{word}` in a digest.");
        return Err(Refusal::new("no such report", why, "use the numbers of the newest digest."));
    }
    Ok(Some(all))
}

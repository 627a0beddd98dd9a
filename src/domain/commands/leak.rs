//! The word that ends an embargo because it has got out.

use std::collections::BTreeSet;

use crate::domain::commands::member::suspend_member;
use crate::domain::commands::turn::{Answer, Turn, needs};
use crate::domain::commands::who::{find, first};
use crate::domain::commands::{alarm, turn};
use crate::domain::decide::notice::{Enclosed, freeze, render};
use crate::domain::decide::relay;
use crate::domain::facts::event::{Event, Recipient};
use crate::domain::facts::names::TaskId;
use crate::domain::facts::refusal::Refusal;
use crate::domain::facts::seconded::Seconded;
use crate::domain::model::member::Member;
use crate::domain::outgoing::texts::{Written, clean, clean_line, quote};

/// `/leak WHO [suspend] WHAT AND HOW`: one proposes, a second person confirms; then everyone who had
/// a notice is told at once, and open work is due now.
pub fn leak(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let incident = turn.open_incident()?;
    if incident.leaked.is_some() {
        return Err(Refusal::new("known already", "that it leaked was said before.", ""));
    }
    if incident.published().is_some() {
        return Err(Refusal::new("public already", "it is public; there is nothing to leak.", ""));
    }
    let (who, rest) = first(arguments.trim());
    needs(who, "leak", "WHO [suspend] WHAT AND HOW")?;
    let suspected = suspect(turn, who)?;
    let (word, more) = first(rest);
    let suspend = word.eq_ignore_ascii_case("suspend") && suspected.is_some();
    let what = clean(if suspend { more } else { rest }).trim().to_owned();
    needs(
        &what,
        "leak",
        "WHO [suspend] WHAT AND HOW: what got out, to whom and how, on the same line",
    )?;
    let (to, out) = recipients(turn, suspected.as_ref().filter(|_| suspend));
    let shown = notice_text(turn)?;
    let who_words = by_whom(suspected.as_ref(), suspend);
    let question = format!(
        "This says that it has got out, and ends the embargo.\n  by whom  {who_words}\n  what     {what}\nOpen work is due now. Everyone who had a notice ({}) gets this at once, which the confirmation approves:\n\n{}\n\n{out}",
        to.len(),
        quote(&shown.body)
    );
    // Not the recipients: while a notice goes out to many, there are more of them every second.
    let basis = format!("{who_words} {suspend} {}", shown.body);
    if let Some(ask) = turn.confirmed(&question, &[&basis])? {
        return Ok(ask);
    }
    let Some(seconded) = turn.work.two() else { return Ok(String::new()) };
    let kept = turn.work.keep(what.clone());
    let by = suspected.as_ref().map(|member| member.id.clone());
    turn.work.add(Event::Leaked { who: by, words: kept, seconded: seconded.clone() });
    if turn.incident()?.playbook.fields.contains_key("leaked") {
        let value = clean_line(&what, 300);
        turn.work.add(Event::FieldSet { field: "leaked".to_owned(), value });
    }
    let count = to.len();
    send(turn, to, seconded)?;
    let drafts = if turn.incident()?.known_public().is_none() {
        alarm::end_embargo(turn)?
    } else {
        Vec::new()
    };
    if let (Some(member), true) = (suspected.as_ref().filter(|m| m.suspended.is_none()), suspend) {
        suspend_member(turn, member, &format!("suspected of a leak: {}", clean_line(&what, 200)));
    }
    let people = turn.work.team();
    let mut lines = vec![
        format!("It has got out: {what}"),
        format!("By whom: {who_words}"),
        format!("Everyone who had a notice ({count}) is told now. Open work is due now."),
    ];
    lines.extend(Some(out).filter(|out| !out.is_empty()));
    let next = "go public as soon as you can: `| /agenda`; what waits for approval takes the place of the advance notices.";
    turn.tell_concerned(&people, "LEAKED", &lines, next);
    let drafts = match drafts.as_slice() {
        [] => String::new(),
        drafts => format!(" Waiting for approval: {}.", drafts.join(", ")),
    };
    let held = held(turn);
    Ok(format!(
        "Recorded. Everyone who had a notice ({count}) is told now. Open work is due now.{drafts}{held}"
    ))
}

/// The member who is suspected, if it is known who.
fn suspect(turn: &Turn<'_, '_>, who: &str) -> Result<Option<Member>, Refusal> {
    if who.eq_ignore_ascii_case("unknown") {
        return Ok(None);
    }
    let refused = |refusal: Refusal| {
        let next = "or write `unknown`, and who it was behind it, if they are no member now.";
        Refusal { next: format!("{} {next}", refusal.next), ..refusal }
    };
    find(turn, who).map(Some).map_err(refused)
}

fn by_whom(suspected: Option<&Member>, suspend: bool) -> String {
    match suspected {
        Some(member) if suspend => {
            format!("{} ({}), who is suspended by it", member.name, member.id)
        }
        Some(member) => format!("{} ({})", member.name, member.id),
        None => "not known".to_owned(),
    }
}

/// A word on a hold that keeps everything back, this too.
fn held(turn: &Turn<'_, '_>) -> &'static str {
    let held = turn.work.incident.as_ref().is_some_and(|i| i.is_held(&TaskId::leaked()));
    if held { " But all notices are HELD: `| /resume ALL` lets the word go." } else { "" }
}

/// Everyone who had a notice and is to know of it still; and a line on those who had one and are
/// out of it, by now or by this word.
fn recipients(turn: &Turn<'_, '_>, without: Option<&Member>) -> (BTreeSet<Recipient>, String) {
    let Some(incident) = turn.work.incident.as_ref() else { return Default::default() };
    let (mut told, mut out) = (BTreeSet::new(), Vec::new());
    for to in incident.everybody_told() {
        let Recipient::Person(id) = &to else { continue };
        let still = incident.hears_of_what_they_had(&turn.work.desk.roster, &to);
        if still && without.is_none_or(|member| member.id != *id) {
            told.insert(to);
        } else {
            out.push(relay::who(turn.work.desk, &to));
        }
    }
    let out = if out.is_empty() {
        String::new()
    } else {
        format!("Had a notice and is not told, being out of it: {}.", out.join(", "))
    };
    (told, out)
}

fn notice_text(turn: &Turn<'_, '_>) -> Result<Written, Refusal> {
    let written = render(turn.work, "leak", None).map_err(turn::broken)?;
    Ok(written.for_recipient("(each recipient)", "Ref: (theirs)", None))
}

/// Freezes and releases the word that it has got out.
fn send(
    turn: &mut Turn<'_, '_>,
    to: BTreeSet<Recipient>,
    seconded: Seconded,
) -> Result<(), Refusal> {
    if to.is_empty() {
        return Ok(());
    }
    let written = render(turn.work, "leak", None).map_err(turn::broken)?;
    let id = TaskId::leaked();
    let by = Some(turn.person.id.clone());
    let enclosed = Enclosed::default().with_entry_taken_back(turn.work);
    let draft = freeze(turn.work, &id, "leak", &written, to.clone(), by, enclosed);
    let number = draft.number;
    turn.work.add(Event::Frozen(Box::new(draft)));
    turn.work.add(Event::Approved { notice: id.clone(), number });
    let (late, seconded) = (false, Some(seconded));
    turn.work.add(Event::Released { notice: id, number, late, recipients: to, seconded });
    Ok(())
}

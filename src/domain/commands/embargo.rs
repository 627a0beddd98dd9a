//! The words that set the date, hold notices, and end the embargo.

use crate::domain::commands::turn::{Answer, Turn, broken, needs};
use crate::domain::commands::{date, slots};
use crate::domain::decide::notice::render;
use crate::domain::decide::work::Work;
use crate::domain::decide::{ended, membership, notice};
use crate::domain::facts::event::Event;
use crate::domain::facts::names::{Handle, Moment, Span, TaskId, later};
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::incident::Status;
use crate::domain::model::schedule;
use crate::domain::outgoing::texts;
use crate::domain::outgoing::texts::Written;
use crate::domain::process::offset::parse_moment;
use crate::domain::process::playbook::{Playbook, Task};
use crate::domain::process::vocabulary::Word;

/// `/disclose WHEN`
pub fn disclose(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let incident = turn.open_incident()?;
    if incident.status != Status::Accepted {
        return Err(Refusal::new(
            "not accepted yet",
            "a date belongs to a report that was accepted as a vulnerability.",
            "write `| /accept` before `| /disclose`, without the bar.",
        ));
    }
    if incident.published().is_some() {
        return Err(Refusal::new("public already", "it is public; there is no date to set.", ""));
    }
    needs(arguments, "disclose", "WHEN")?;
    let playbook = incident.playbook.clone();
    let now = turn.work.now;
    // A moment counted from now would be another one when it is confirmed, so the question is
    // asked about the moment itself.
    let t = parse_moment(arguments, now, playbook.t.at, &playbook.calendar)
        .map_err(|why| Refusal::new("no moment understood", format!("{why}."), ""))?;
    // Whole seconds: what is shown, confirmed and sent is then the same moment.
    let t = chrono::SubsecRound::trunc_subsecs(t, 0);
    if t <= now {
        return Err(Refusal::new(
            "the moment has passed",
            format!("{} is not ahead.", turn.work.say(t)),
            "name a later one.",
        ));
    }
    let old = incident.t();
    let holders: Vec<_> = incident.holders_of_a_date().into_keys().collect();
    if old == Some(t) {
        return Err(Refusal::new("the same date", "T is that moment already.", ""));
    }
    turn.line = format!("/disclose {}", t.format("%Y-%m-%dT%H:%M:%SZ"));
    let others = date::others(turn)?;
    let doubts = all_doubts(turn, &others, t, old)?;
    let two = turn.must_second || !date::second_for(turn, &others).is_empty();
    if doubts.is_empty() && !two && !turn.needs_second(Word::Disclose) {
        turn.work.add(Event::TSet { t });
        return Ok(format!("T is {}.\n{}{}", turn.work.say(t), plan(turn), keys_note(turn)));
    }
    let mut what = format!("T would be {}.\n", turn.work.say(t));
    for doubt in &doubts {
        what.push_str(&format!("  - {doubt}\n"));
    }
    let theirs: Vec<_> = others
        .iter()
        .filter_map(|handle| turn.work.desk.incident(handle))
        .map(|other| (other.t(), other.holders_of_a_date()))
        .collect();
    let basis = format!("{old:?} {holders:?} {others:?} {theirs:?}");
    // The process of each of them may ask for a second person.
    turn.also_holds = date::second_for(turn, &others);
    turn.also_on.clone_from(&others);
    let ask = ask_with_notice(turn, t, &what, &basis, &others);
    turn.also_holds.clear();
    if let Some(ask) = ask? {
        return Ok(ask);
    }
    let told = match date::set_t_of_all(turn, t, &others)? {
        0 => String::new(),
        count => format!("Those who had the old date ({count}) are told now.\n"),
    };
    Ok(format!("T is {}.\n{told}{}{}", turn.work.say(t), plan(turn), keys_note(turn)))
}

/// Why a date needs a confirmation, here and on all that share the release.
fn all_doubts(
    turn: &mut Turn<'_, '_>,
    others: &[Handle],
    t: Moment,
    old: Option<Moment>,
) -> Result<Vec<String>, Refusal> {
    let playbook = turn.incident()?.playbook.clone();
    let mut doubts = doubts(turn.work, &playbook, t, old);
    for handle in others {
        let mut theirs = Vec::new();
        turn.work.on_other(handle, |work| {
            let Some(incident) = work.incident.clone() else { return };
            if incident.t() != Some(t) {
                theirs = self::doubts(work, &incident.playbook, t, None);
            }
        });
        doubts.extend(theirs.into_iter().map(|doubt| format!("{handle}: {doubt}")));
    }
    if let (Some(name), false) = (&turn.incident()?.batch, others.is_empty()) {
        doubts.push(format!(
            "it is the date of the release `{name}`, and of {} more incidents",
            others.len()
        ));
    }
    let incident = turn.incident()?;
    let (lists, gates) = (incident.lists_with_a_date(), incident.gates_of_the_day());
    if old.is_some() && !lists.is_empty() {
        doubts.push(format!(
            "these public lists were told the old date, and nothing is sent to them: {}. Correct it there",
            lists.join(", ")
        ));
    }
    if old.is_some() && !gates.is_empty() {
        doubts.push(format!("these gates are to be opened again: {}", gates.join(", ")));
    }
    Ok(doubts)
}

/// Why a date needs a confirmation.
fn doubts(work: &Work<'_>, playbook: &Playbook, t: Moment, old: Option<Moment>) -> Vec<String> {
    let moves = old.map(|old| format!("it moves T from {}", work.say(old)));
    let off = slots::outside(work, playbook, t);
    let instead = (!off.is_empty()).then(|| slots::instead(work, playbook, t));
    moves.into_iter().chain(off).chain(instead).collect()
}

/// Asks for the confirmation, showing every "date changed" notice that it also approves.
fn ask_with_notice(
    turn: &mut Turn<'_, '_>,
    t: Moment,
    what: &str,
    basis: &str,
    others: &[Handle],
) -> Result<Option<String>, Refusal> {
    let mut texts = vec![changed_text(turn.work, t)?];
    for handle in others {
        let mut text = Ok(None);
        turn.work.on_other(handle, |work| text = changed_text(work, t));
        texts.push(text?);
    }
    let mut what = what.to_owned();
    let mut all = String::new();
    for (count, written) in texts.into_iter().flatten() {
        let shown = written.for_recipient("(each recipient)", "Ref: (theirs)", None);
        what.push_str(&format!(
            "Those who have the old date ({count}) get this, which your confirmation approves:\n\n{}\n",
            texts::quote(&shown.body)
        ));
        all.push_str(&format!("{}\n{}\n", written.subject, written.body));
    }
    turn.confirmed(&what, &[basis, &all])
}

/// How many hold another date of this incident, and what they would be told.
fn changed_text(work: &Work<'_>, t: Moment) -> Result<Option<(usize, Written)>, Refusal> {
    let Some(incident) = &work.incident else { return Ok(None) };
    let holders = incident.holders_of_a_date().into_keys();
    let holders =
        holders.filter(|to| incident.hears_of_what_they_had(&work.desk.roster, to)).count();
    if holders == 0 || incident.t() == Some(t) {
        return Ok(None);
    }
    // Rendered with the new date on a copy, so that what is shown is what will be frozen.
    let mut trial = Work::on(work.desk, None, work.now, work.fresh.clone());
    trial.incident.clone_from(&work.incident);
    trial.add(Event::TSet { t });
    let written = render(&trial, "date-changed", None).map_err(broken)?;
    Ok(Some((holders, written)))
}

/// Those whose key ends before a notice that they are to get.
fn keys_note(turn: &Turn<'_, '_>) -> String {
    match membership::keys_in_the_way(turn.work).as_slice() {
        [] => String::new(),
        lines => format!("\nKEYS that end too early:\n  - {}\n", lines.join("\n  - ")),
    }
}

/// When the notices leave, now that T is known.
fn plan(turn: &Turn<'_, '_>) -> String {
    let mut out = String::new();
    let incident = turn.work.incident.as_ref();
    let elsewhere = incident.into_iter().flat_map(|incident| &incident.sharing.elsewhere);
    let here = |id: &TaskId| incident.is_some_and(|i| i.task(id).is_some_and(Task::is_notice));
    let elsewhere: Vec<String> = elsewhere
        .filter(|(id, row)| row.done.is_none() && here(id))
        .filter_map(|(id, row)| Some((incident?.task(id)?.word(), &row.on)))
        .map(|(word, on)| format!("  {word:<13} once for the release, on {on}\n"))
        .collect();
    let own = |task: &&Task| incident.is_some_and(|i| !i.sharing.elsewhere.contains_key(&task.id));
    for task in incident.into_iter().flat_map(|incident| incident.notice_tasks()).filter(own) {
        let left = turn
            .work
            .incident
            .as_ref()
            .and_then(|i| i.notices.get(&task.id))
            .is_some_and(|n| n.has_left());
        let span =
            turn.work.incident.as_ref().and_then(|incident| schedule::span_of(incident, task));
        if let (false, Some(_)) = (left, span) {
            out.push_str(&format!("  {:<13} {}\n", task.word(), notice::moment(turn.work, task)));
        }
    }
    out.push_str(&elsewhere.concat());
    if out.is_empty() {
        out
    } else {
        format!("These notices wait for a draft and its approval:\n{out}")
    }
}

fn scope(
    turn: &Turn<'_, '_>,
    arguments: &str,
    word: &str,
) -> Result<(Option<TaskId>, String), Refusal> {
    needs(arguments, word, "NOTICE or ALL")?;
    if arguments.eq_ignore_ascii_case("all") {
        return Ok((None, "all notices".to_owned()));
    }
    let incident = turn.incident()?;
    let known = incident.notice_tasks().find(|task| task.is_called(arguments));
    let task = known.ok_or_else(|| {
        let words: Vec<_> = incident.notice_tasks().map(|task| task.word().as_str()).collect();
        Refusal::new(
            "no such notice",
            format!("there is no notice `{arguments}`."),
            format!("write ALL, or one of {}.", words.join(", ")),
        )
    })?;
    Ok((Some(task.id.clone()), task.word().to_string()))
}

/// `/hold NOTICE|ALL`
pub fn hold(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.incident()?;
    let (notice, name) = scope(turn, arguments, "hold")?;
    turn.work.add(Event::Held { notice });
    Ok(format!(
        "Held: {name}. What the mail server has taken is gone; the rest stays here until `| /resume`."
    ))
}

/// `/resume NOTICE|ALL`
pub fn resume(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let incident = turn.incident()?;
    if incident.held.is_empty() {
        return Err(Refusal::new("nothing is held", "no notice is held.", ""));
    }
    let held = format!("{:?}", incident.held);
    let (notice, name) = scope(turn, arguments, "resume")?;
    let incident = turn.incident()?;
    if notice.is_some() && incident.held.contains(&None) {
        let why = format!("all notices are held, so letting go {name} alone changes nothing.");
        let next =
            "write `| /resume ALL`, without the bar, and `| /hold` for those that are to wait.";
        return Err(Refusal::new("all are held", why, next));
    }
    if notice.is_some() && !incident.held.contains(&notice) {
        return Err(Refusal::new("it is not held", format!("{name} is not held."), ""));
    }
    if let Some(ask) =
        turn.confirmed(&format!("This lets go: {name}. What is due leaves at once."), &[&held])?
    {
        return Ok(ask);
    }
    let Some(seconded) = turn.work.two() else { return Ok(String::new()) };
    turn.work.add(Event::Resumed { notice, seconded });
    Ok(format!("Let go: {name}."))
}

/// `/published`
pub fn published(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let incident = turn.open_incident()?;
    if incident.published().is_some() {
        return Err(Refusal::new("public already", "that it is public was recorded before.", ""));
    }
    let early = incident.t().is_none_or(|t| t > later(turn.work.now, Span::zero()));
    let when =
        if early { " T has not come: this says that it is public all the same." } else { "" };
    let mut what = format!("This records that it is public and ends the embargo.{when}");
    let mut basis = format!("{:?} {early}", incident.t());
    let since = incident.public_since(turn.work.now);
    // What was shown for two, or for one and the time, stays that text.
    let asked = turn.confirmed.as_ref().map(|confirmed| &confirmed.ask);
    let by_two = asked.is_some_and(|ask| ask.by.is_some() || ask.said.is_some());
    let by_two = by_two || turn.must_second || turn.needs_second(Word::Published);
    let shown = ended::template(by_two);
    if let Some((count, written)) = ended::text(turn.work, shown, since).map_err(broken)? {
        // What is approved is this text, but for the moment at which it is confirmed.
        let fixed = ended::text(turn.work, shown, Moment::default()).map_err(broken)?;
        basis.push_str(&fixed.map_or_else(String::new, |(_, text)| text.subject + &text.body));
        let shown = written.for_recipient("(each recipient)", "Ref: (theirs)", None);
        what.push_str(&format!(
            "\nThose who had a notice ({count}) get this, which your confirmation approves:\n\n{}\n",
            texts::quote(&shown.body)
        ));
    }
    if let Some(ask) = turn.confirmed(&what, &[&basis])? {
        return Ok(ask);
    }
    // Two people have made it public by the notice that the list has: this only writes it down.
    let template = ended::template(turn.work.seconded.is_some() || turn.work.trial);
    if turn.work.seconded.is_none() {
        turn.work.seconded = turn.incident()?.made_public_by(turn.work.now);
    }
    let Some(seconded) = turn.work.two() else { return Ok(String::new()) };
    turn.work.add(Event::Published { at: since, seconded: seconded.clone() });
    let told = match ended::tell(turn.work, template, &turn.person.id, seconded).map_err(broken)? {
        0 => String::new(),
        count => format!(" Those who had a notice ({count}) are told now."),
    };
    let linked = all_linked(turn)?;
    let others = match linked.as_slice() {
        [] => String::new(),
        linked => format!(
            "\nIts like was also reported as {}. Tell those reporters, with `| /reply` there.",
            linked.join(", ")
        ),
    };
    Ok(format!("Recorded as public. The embargo is over.{told}{others}"))
}

/// Every incident that is the same as this one, or that came to it over another.
fn all_linked(turn: &Turn<'_, '_>) -> Result<Vec<String>, Refusal> {
    let mut todo: Vec<Handle> = turn.incident()?.linked.keys().cloned().collect();
    let mut found = std::collections::BTreeSet::new();
    while let Some(handle) = todo.pop() {
        if found.insert(handle.to_string())
            && let Some(incident) = turn.work.desk.incident(&handle)
        {
            todo.extend(incident.linked.keys().cloned());
        }
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use crate::domain::process::offset::{Calendar, parse_time};

    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them_and_never_lose_the_hour() {
        let rule = |at: Option<&str>| at.map(|at| parse_time(at).unwrap());
        let now: Moment = "2026-12-01T09:00:00Z".parse().unwrap();
        let calendar = Calendar::plain(chrono_tz::Tz::UTC);
        for (text, wanted) in [
            ("2026-12-16", "2026-12-16T16:00:00Z"),
            ("2026-12-16 15:30", "2026-12-16T15:30:00Z"),
            ("2026-12-16 15:30 UTC", "2026-12-16T15:30:00Z"),
            ("2026-12-16T15:30:00Z", "2026-12-16T15:30:00Z"),
            ("2026-12-16T15:30Z", "2026-12-16T15:30:00Z"),
            ("2026-12-16 17:00 Europe/Berlin", "2026-12-16T16:00:00Z"),
            ("+7d", "2026-12-08T09:00:00Z"),
            ("+90s", "2026-12-01T09:01:30Z"),
        ] {
            let read = parse_moment(text, now, rule(Some("16:00")), &calendar).unwrap();
            assert_eq!(read, wanted.parse::<Moment>().unwrap(), "{text}");
        }
        for bad in [
            "",
            "tomorrow",
            "16.12.2026",
            "2026-12-16 25:00",
            "2026-12-16 16:00 UTC now",
            "9999999-01-01",
        ] {
            assert!(parse_moment(bad, now, rule(Some("16:00")), &calendar).is_err(), "{bad}");
        }
        assert!(
            parse_moment("2026-12-16", now, rule(None), &calendar).is_err(),
            "an hour is never guessed"
        );
    }
}

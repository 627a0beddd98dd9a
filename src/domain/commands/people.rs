//! The words about who does what: lead, deputy, those who join and leave, those who are away.
//!
//! A role is held only after the one who gets it said so in signed mail; until then whoever had it
//! keeps it. Everyone whom a word touches is told.

use crate::domain::commands::turn::{Answer, Turn, needs};
use crate::domain::decide::{rotation, silence};
use crate::domain::facts::event::Event;
use crate::domain::facts::names::{PersonId, Span, later};
use crate::domain::facts::refusal::{Refusal, nearest};
use crate::domain::model::roster::Person;
use crate::domain::process::offset::Calendar;
use crate::domain::process::playbook::Truth;

/// How long an offered lead can be taken.
pub const OFFER_LASTS: Span = Span::hours(24);

fn on_team<'d>(turn: &Turn<'_, 'd>, word: &str) -> Result<&'d Person, Refusal> {
    let person = turn.whom(word)?;
    if turn.incident()?.is_team(person) {
        return Ok(person);
    }
    Err(Refusal::new(
        "not on this incident",
        format!("{} has no role on this incident.", person.name),
        format!("let them join first: `| /join {} ROLE`, without the bar.", person.id),
    ))
}

/// Who is told of a change of lead: those who had and get it, and the deputy.
fn concerned<'d>(turn: &Turn<'_, 'd>, also: &[&'d Person]) -> Vec<&'d Person> {
    let Some(incident) = &turn.work.incident else { return Vec::new() };
    let named = [&incident.lead, &incident.deputy].into_iter().flatten();
    let offer = incident.offer.iter().map(|offer| &offer.to);
    let offered_by = incident.offer.iter().filter_map(|offer| offer.by.as_ref());
    let ids = named.chain(offer).chain(offered_by);
    ids.filter_map(|id| turn.work.person(id)).chain(also.iter().copied()).collect()
}

fn offer(turn: &mut Turn<'_, '_>, to: &Person) -> Answer {
    let until = later(turn.work.now, OFFER_LASTS);
    turn.work.add(Event::LeadOffered { to: to.id.clone(), until, turn: false });
    let lead = turn.incident()?.lead.clone();
    let lead = lead.map_or_else(|| "nobody".to_owned(), |id| turn.work.name(&id));
    let lines = [
        format!(
            "{} asks you to lead this incident. Until you take it, {lead} leads.",
            turn.person.name
        ),
        format!("You can take it until {}.", turn.work.say(until)),
    ];
    let next = "reply with `| /take` or `| /decline`, without the bar.";
    turn.work.inform(&[to], "Will you take the lead?", &lines, next);
    Ok(format!(
        "{} is asked to lead, until {}. Until they take it, {lead} leads.",
        to.name,
        turn.work.say(until)
    ))
}

/// `/lead WHO`: oneself at once, since the mail is signed; somebody else is asked.
pub fn lead(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    needs(arguments, "lead", "WHO")?;
    let person = on_team(turn, arguments)?;
    if turn.incident()?.lead.as_ref() == Some(&person.id) {
        return Ok(format!("{} leads already.", person.name));
    }
    if person.id == turn.person.id { take_it(turn) } else { offer(turn, person) }
}

/// `/handoff WHO`: by the lead or deputy.
pub fn handoff(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    needs(arguments, "handoff", "WHO")?;
    let person = on_team(turn, arguments)?;
    if turn.incident()?.lead.as_ref() == Some(&person.id) {
        return Err(Refusal::new("the lead already", format!("{} leads it.", person.name), ""));
    }
    offer(turn, person)
}

/// `/take`
pub fn take(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    turn.open_incident()?;
    take_it(turn)
}

fn take_it(turn: &mut Turn<'_, '_>) -> Answer {
    let incident = turn.incident()?.clone();
    let me = &turn.person.id;
    if incident.lead.as_ref() == Some(me) {
        return Ok("You lead already.".to_owned());
    }
    let offered = incident.offer.as_ref().filter(|offer| offer.to == *me);
    let usable = offered.filter(|offer| turn.work.now <= offer.until);
    let deputy = incident.deputy.as_ref() == Some(me);
    // A lead who is not on it any more leads nothing.
    let on_it =
        |id: &&PersonId| turn.work.person(id).is_some_and(|person| incident.is_team(person));
    let before = incident.lead.as_ref().filter(on_it).map(|id| turn.work.name(id));
    match (&before, usable, deputy) {
        (None, _, _) | (Some(_), Some(_), _) => {}
        (Some(lead), None, true) => {
            let what = format!("{lead} leads. As their deputy you take over, and they are told.");
            if let Some(ask) = turn.confirmed(&what, &[lead])? {
                return Ok(ask);
            }
        }
        (Some(lead), None, false) => {
            return Err(Refusal::new(
                "somebody leads",
                format!("{lead} leads, and has not handed over to you."),
                format!("ask them for `| /handoff {me}`, without the bar."),
            ));
        }
    }
    let people = concerned(turn, &[]);
    let turns = usable.is_some_and(|offer| offer.turn);
    turn.work.add(Event::LeadSet { person: me.clone(), turn: turns });
    let lines = [format!("{} leads from now on.", turn.person.name)];
    turn.tell_concerned(
        &people,
        "The lead has changed",
        &lines,
        "nothing, unless you see it otherwise.",
    );
    Ok("You lead this incident.".to_owned())
}

/// `/decline`
pub fn decline(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let offer = turn.open_incident()?.offer.clone();
    let Some(offer) = offer.filter(|offer| offer.to == turn.person.id) else {
        return Err(Refusal::new(
            "nothing to decline",
            "nobody asked you to lead this incident.",
            "",
        ));
    };
    turn.work.add(Event::LeadDeclined { person: turn.person.id.clone(), silent: false });
    if let Some(by) = offer.by.as_ref().and_then(|by| turn.work.person(by)) {
        let lead = turn.incident()?.lead.clone().map(|id| turn.work.name(&id));
        let (still, next) = silence::who_leads(lead.as_deref());
        let lines = [format!("{} declined to lead. {still}", turn.person.name)];
        turn.tell_concerned(&[by], "The lead was declined", &lines, next);
    }
    if offer.turn {
        let next = match rotation::next(turn.work) {
            Some(_) => "the next is asked",
            None => "nobody is left to be asked",
        };
        return Ok(format!("You declined; {next}. Your turn is not used up."));
    }
    Ok("You declined.".to_owned())
}

/// `/deputy WHO`
pub fn deputy(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    needs(arguments, "deputy", "WHO")?;
    let person = on_team(turn, arguments)?;
    if turn.incident()?.lead.as_ref() == Some(&person.id) {
        return Err(Refusal::new(
            "the lead needs another deputy",
            format!("{} leads, and cannot stand in for themselves.", person.name),
            "name somebody else.",
        ));
    }
    let people = concerned(turn, &[person]);
    turn.work.add(Event::DeputySet { person: person.id.clone() });
    let lines = [format!("{} named {} to stand in for the lead.", turn.person.name, person.name)];
    let next = "if the lead cannot act, the deputy writes `| /take`, without the bar.";
    turn.tell_concerned(&people, "A deputy was named", &lines, next);
    Ok(format!("{} is the deputy.", person.name))
}

/// Who is to join: somebody of the roster. Where that is the reporter, the process may have a say.
fn joining<'d>(turn: &Turn<'_, 'd>, who: &str) -> Result<&'d Person, Refusal> {
    let incident = turn.incident()?;
    let reporter = &incident.reporter;
    let is_reporter = |person: &Person| {
        reporter.key.as_ref().is_some_and(|key| key.fingerprint == person.fingerprint)
            || reporter.address.as_ref() == Some(&person.address)
    };
    let person = turn.whom(who);
    let named = who.eq_ignore_ascii_case("reporter");
    if !named && !person.as_ref().is_ok_and(|person| is_reporter(person)) {
        return person;
    }
    if let Some((predicate, row)) = &incident.playbook.reporter_joins
        && predicate.holds(incident.as_ref()) != Truth::Yes
    {
        let task = incident.task(row);
        let title = task.map_or("", |task| task.title.as_str());
        let line = task.and_then(|task| task.src.as_ref());
        let line = line.map_or_else(String::new, |line| format!(", line {line} of the process"));
        return Err(Refusal::new(
            "the reporter may not join",
            format!("{title} ({row}{line}). The record says otherwise: {}.", predicate.text),
            "answer them with `| /reply`, without the bar.",
        ));
    }
    let mut people = turn.work.desk.roster.people.values();
    people.find(|person| is_reporter(person)).ok_or_else(|| {
        Refusal::new(
            "the reporter is not in the roster",
            "who joins gets everything, so their key must be pinned by the operator first.",
            "ask the operator to add them as a [[person]], or write to them with `| /reply`.",
        )
    })
}

/// `/join WHO ROLE`
pub fn join(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.open_incident()?;
    needs(arguments, "join", "WHO ROLE")?;
    let (who, role) = arguments.split_once(char::is_whitespace).unwrap_or((arguments, ""));
    let person = joining(turn, who)?;
    let role = role.trim().to_ascii_lowercase();
    let playbook = turn.incident()?.playbook.clone();
    if playbook.roles.get(&role).is_some_and(|role| role.held_by.is_some()) {
        return Err(Refusal::new(
            "nobody joins with that role",
            format!("`{role}` is whoever leads, or stands in."),
            "write `| /lead WHO` or `| /deputy WHO`, without the bar.",
        ));
    }
    if !playbook.roles.contains_key(&role) {
        let free = playbook.roles.iter().filter(|(_, role)| role.held_by.is_none());
        let known = free.map(|(id, _)| id.as_str());
        let next = nearest(&role, known.clone()).map_or_else(
            || format!("write one of {}.", known.collect::<Vec<_>>().join(", ")),
            |hint| format!("did you mean `{hint}`?"),
        );
        return Err(Refusal::new(
            "no such role",
            format!("the process has no role `{role}`."),
            next,
        ));
    }
    // Who has the role anyway is brought in by it: they hear what is said from here on.
    let in_circle = turn.work.circle().iter().any(|other| other.id == person.id);
    if turn.incident()?.holds(person, &role) && in_circle {
        return Err(Refusal::new(
            "has the role already",
            format!("{} holds that role on this incident, and gets its mails.", person.name),
            "",
        ));
    }
    let label = playbook.role_label(&role).to_owned();
    let what = format!("{} would see everything of this incident, as: {label}.", person.name);
    // Not who else has joined: several may be asked about in one mail.
    let incident = turn.incident()?;
    let (roles, left) = (incident.joined.get(&person.id), incident.left.contains(&person.id));
    let basis = format!("{} {role} {roles:?} {left} {}", person.id, incident.status.word());
    if let Some(ask) = turn.confirmed(&what, &[&basis])? {
        return Ok(ask);
    }
    let team = turn.work.circle();
    let seconded = turn.work.seconded.clone();
    turn.work.add(Event::MemberJoined { person: person.id.clone(), role, seconded });
    let lines = [
        format!("{} let you join this incident, as: {label}.", turn.person.name),
        "It is under embargo: nothing of it leaves this circle.".to_owned(),
    ];
    let next = "reply with `| /show` (without the bar) to read what there is.";
    turn.work.inform(&[person], "You have joined an incident", &lines, next);
    let lines = [format!("{} let {} join, as: {label}.", turn.person.name, person.name)];
    let others: Vec<_> = team.into_iter().filter(|other| other.id != person.id).collect();
    turn.tell_concerned(
        &others,
        "Somebody has joined",
        &lines,
        "nothing, unless you see it otherwise.",
    );
    Ok(format!("{} has joined, as: {label}.", person.name))
}

/// `/leave`: the lead hands over first, and the last of the intake role stays.
pub fn leave(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let incident = turn.incident()?.clone();
    let me = turn.person;
    if incident.status.is_open() && incident.lead.as_ref() == Some(&me.id) {
        return Err(Refusal::new(
            "the lead hands over first",
            "you lead this incident, and nobody would.",
            "write `| /handoff WHO` (without the bar), and leave once they have taken it.",
        ));
    }
    let intake = incident.playbook.intake.clone();
    let rest = turn.work.holders(&intake).into_iter().filter(|other| other.id != me.id).count();
    if incident.holds(me, &intake) && rest == 0 {
        return Err(Refusal::new(
            "you are the last",
            format!(
                "nobody else on this incident is of the {}.",
                incident.playbook.role_label(&intake)
            ),
            "let somebody join first: `| /join WHO ROLE`, without the bar.",
        ));
    }
    let what =
        "You would get no mail on this incident any more, and no word of yours on it would count.";
    let basis = format!("{:?} {:?} {:?} {rest}", incident.joined, incident.left, incident.deputy);
    if let Some(ask) = turn.confirmed(what, &[&basis])? {
        return Ok(ask);
    }
    let people = turn.work.circle();
    turn.work.add(Event::MemberLeft { person: me.id.clone() });
    let lines = [format!("{} has left this incident.", me.name)];
    turn.tell_concerned(
        &people,
        "Somebody has left",
        &lines,
        "nothing, unless something was theirs to do.",
    );
    Ok("You have left this incident.".to_owned())
}

/// `/away DATE`
pub fn away(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    needs(arguments, "away", "DATE")?;
    let calendar = Calendar::plain(turn.work.desk.settings.zone);
    let date: Option<chrono::NaiveDate> = arguments.trim().parse().ok();
    let until = date.and_then(|date| calendar.moment(date.and_time(chrono::NaiveTime::MIN)));
    let Some(until) = until.filter(|until| *until > turn.work.now) else {
        return Err(Refusal::new(
            "no date ahead",
            format!("`{arguments}` is no date ahead."),
            "write the day on which you are back, like `| /away 2026-12-28`, without the bar.",
        ));
    };
    let person = turn.person.id.clone();
    turn.work.add_to_desk(Event::AwaySet { person, until: Some(until) });
    Ok(format!(
        "You are away until {}; no turn comes to you. What you lead stays yours.",
        turn.work.say(until)
    ))
}

/// `/back`
pub fn back(turn: &mut Turn<'_, '_>, _: &str) -> Answer {
    let person = turn.person.id.clone();
    turn.work.add_to_desk(Event::AwaySet { person, until: None });
    Ok("You are back.".to_owned())
}

//! Whose turn it is to lead, where the playbook says that the lead goes round.

use crate::domain::decide::work::Work;
use crate::domain::facts::event::Event;
use crate::domain::model::roster::Person;
use crate::domain::model::schedule::NOBODY_LEFT;

/// The next in turn: of those who hold the role, are not away, can be written to and have not declined
/// this incident, the one whose last turn is longest ago. A turn that was declined or ran out was not
/// taken, so it counts for nothing.
#[must_use]
pub fn next<'a>(work: &Work<'a>) -> Option<&'a Person> {
    let (incident, desk) = (work.incident.as_ref()?, work.desk);
    let assign = incident.playbook.assign.as_ref()?;
    let free = |person: &&'a Person| {
        desk.rota.away(&person.id, work.now).is_none()
            && !incident.declined.contains(&person.id)
            // Who can read nothing would let the turn run out.
            && desk.can_seal(person, work.now)
    };
    work.holders(&assign.role).into_iter().filter(free).min_by_key(|person| {
        // Several reports at once go to several people.
        (desk.rota.turns_offered(&person.id), desk.rota.turn(&person.id), person.id.clone())
    })
}

/// Asks the next in turn to lead; if nobody is left, tells those who take reports in. Called because
/// an incident has no lead and nobody was asked, however that came about.
pub fn offer_turn(work: &mut Work<'_>) {
    let Some(incident) = work.incident.clone() else { return };
    let Some(assign) = incident.playbook.assign.clone().filter(|_| incident.lead.is_none()) else {
        return;
    };
    let Some(person) = next(work) else {
        let people = work.holders(&incident.playbook.intake);
        let lines = ["Nobody is left in the rotation: all are away, have declined, or have no key that can be used.".to_owned()];
        let next = "somebody take it: `| /take`, without the bar.";
        work.inform(&people, "Nobody leads this incident", &lines, next);
        let what = format!("{NOBODY_LEFT}{}", work.now.timestamp());
        work.add(Event::Reminded { what });
        return;
    };
    let until = assign.within.from(work.now, &incident.playbook.calendar);
    work.add(Event::LeadOffered { to: person.id.clone(), until, turn: true });
    let lines = [
        "It is your turn to lead. Until you take it, nobody does.".to_owned(),
        format!("If you do not, it goes to the next on {}.", work.say(until)),
    ];
    let next =
        "reply with `| /take` or `| /decline`, without the bar. A declined turn is not used up.";
    work.inform(&[person], "It is your turn to lead", &lines, next);
}

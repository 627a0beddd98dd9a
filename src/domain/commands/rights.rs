//! Who may use which word: asked here and nowhere else.

use crate::domain::decide::work::Work;
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::desk::membership::is_known;
use crate::domain::model::roster::Person;
use crate::domain::process::playbook::Right;
use crate::domain::process::vocabulary::{Needs, Row, Scope, Word};

/// What the incident's playbook says about a word, if it says anything.
#[must_use]
pub fn right<'a>(work: &'a Work<'_>, row: &Row) -> Option<&'a Right> {
    work.incident.as_ref().and_then(|incident| incident.playbook.rights.get(row.name))
}

/// The roles by which a word may be used, where it is not every role of the team.
#[must_use]
pub fn entitling(work: &Work<'_>, row: &Row) -> Option<Vec<String>> {
    let playbook = &work.incident.as_ref()?.playbook;
    let own = right(work, row).map(|right| right.roles.clone()).filter(|roles| !roles.is_empty());
    let intake = || (row.needs == Needs::Intake).then(|| vec![playbook.intake.clone()]);
    // Who leads does so by a role that they have besides.
    let led = |role: &String| playbook.roles.get(role).is_some_and(|role| role.held_by.is_some());
    own.or_else(intake).filter(|roles| !roles.iter().any(led))
}

/// Whether somebody may use a word: by the playbook's own rights, or by the table of words.
///
/// # Errors
/// Who may.
pub fn may_use(work: &Work<'_>, person: &Person, row: &Row) -> Result<(), Refusal> {
    let Some(incident) = &work.incident else {
        if row.scope == Scope::Desk {
            return Ok(());
        }
        return Err(Refusal::new(
            "no incident named",
            format!("`/{}` is about an incident, and your mail names none.", row.name),
            "keep the `Ref:` line of our mail in yours.",
        ));
    };
    let leads = [&incident.lead, &incident.deputy].contains(&&Some(person.id.clone()));
    let own = right(work, row).filter(|right| !right.roles.is_empty());
    let (holds, who) = match (own, row.needs) {
        (Some(right), _) => {
            let label = |role: &String| incident.playbook.role_label(role).to_owned();
            let who: Vec<String> = right.roles.iter().map(label).collect();
            let holds = right.roles.iter().any(|role| incident.holds(person, role));
            (holds, format!("the {}", who.join(" or the ")))
        }
        // Where time stands for the second person, whoever runs the desk may stop it.
        (None, _)
            if row.word == Word::Hold && incident.alone.is_some() && person.is_maintainer() =>
        {
            (true, String::new())
        }
        (None, Needs::Maintainer) => {
            (row.scope == Scope::Desk || incident.is_team(person), "the incident's team".to_owned())
        }
        (None, Needs::Team | Needs::TaskRole) => {
            (incident.is_team(person), row.needs.words().to_owned())
        }
        (None, Needs::Intake) => {
            let intake = &incident.playbook.intake;
            (
                incident.holds(person, intake),
                format!("the {}", incident.playbook.role_label(intake)),
            )
        }
        (None, Needs::Lead) => (leads && incident.is_team(person), row.needs.words().to_owned()),
        (None, Needs::Member) => (is_known(work.desk, &person.id), row.needs.words().to_owned()),
        (None, Needs::Reporter) => (false, row.needs.words().to_owned()),
    };
    if holds {
        return Ok(());
    }
    Err(Refusal::new(
        "not your role",
        format!("`/{}` is for {who}, and you are not among them.", row.name),
        "ask one of them to send it.",
    ))
}

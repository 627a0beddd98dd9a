//! Members and groups, as words name them.

use crate::domain::commands::turn::Turn;
use crate::domain::facts::names::PersonId;
use crate::domain::facts::refusal::{Refusal, nearest};
use crate::domain::model::member::Member;

/// Splits off the first word.
pub(crate) fn first(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word.trim(), rest.trim())
}

/// The member that a command names.
pub(crate) fn find(turn: &Turn<'_, '_>, word: &str) -> Result<Member, Refusal> {
    let members = turn.work.members();
    let found = PersonId::parse(word).and_then(|id| members.get(&id));
    if let Some(member) = found.filter(|member| member.removed.is_none()) {
        return Ok(member.clone());
    }
    let known: Vec<&str> = members
        .iter()
        .filter(|member| member.removed.is_none())
        .map(|member| member.id.as_str())
        .collect();
    let next = nearest(word, known.into_iter()).map_or_else(
        || "write `| /member list` to see them, without the bar.".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Err(Refusal::new("no such member", format!("there is no member `{word}`."), next))
}

/// The group that a command names, or the only one there is.
pub(crate) fn group_named(turn: &Turn<'_, '_>, word: &str) -> Result<String, Refusal> {
    let names = turn.work.desk.group_names();
    let known = names.iter().find(|name| name.eq_ignore_ascii_case(word));
    match (known, word, names.as_slice()) {
        (Some(name), ..) => Ok((*name).to_owned()),
        (None, "", [only]) => Ok((*only).to_owned()),
        _ => Err(Refusal::new(
            "no such group",
            format!("`{word}` is no group with members."),
            format!("write one of {}.", names.join(", ")),
        )),
    }
}

pub(crate) fn label(turn: &Turn<'_, '_>, group: &str) -> String {
    turn.work.desk.group(group).map_or_else(|| group.to_owned(), |rules| rules.label.clone())
}

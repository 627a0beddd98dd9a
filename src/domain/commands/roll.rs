//! Looking at the members: who is in which group, with which key, and what misses.

use std::fmt::Write as _;

use crate::domain::commands::turn::{Answer, Turn};
use crate::domain::commands::who::{find, group_named};
use crate::domain::decide::membership;
use crate::domain::decide::membership::missing;
use crate::domain::facts::names::Moment;
use crate::domain::model::member::Member;
use crate::domain::outgoing::texts::clean_line;
use crate::domain::views::member_words;

/// Until when mails can be sealed to a member, in a few words.
pub(super) fn key_words(turn: &Turn<'_, '_>, member: &Member) -> String {
    let now = turn.work.now;
    let facts: Vec<_> =
        member.keys.iter().filter_map(|key| turn.work.desk.key_facts(&key.fingerprint)).collect();
    let usable = facts.iter().find(|facts| facts.is_usable(now));
    match usable.map(|facts| facts.usable_until(now)) {
        Some(None) => "key for ever".to_owned(),
        Some(Some(until)) => format!("key until {}", until.format("%Y-%m-%d")),
        None => "NO USABLE KEY".to_owned(),
    }
}

/// `/member list [GROUP]`
pub(super) fn list(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let groups = if arguments.is_empty() {
        turn.work.desk.group_names().into_iter().map(ToOwned::to_owned).collect()
    } else {
        vec![group_named(turn, arguments)?]
    };
    let mut out = String::new();
    for group in groups {
        let rules = turn.work.desk.group(&group);
        let members = turn.work.members();
        let active = members.active(&group).count();
        let cap = rules.and_then(|rules| rules.cap).map(|cap| format!(" of at most {cap}"));
        let _ = writeln!(out, "{group}: {active} active{}", cap.unwrap_or_default());
        for member in members.iter().filter(|member| member.groups.contains_key(&group)) {
            let standing = member.standing(&group, rules);
            let old =
                member.terms.is_some_and(|(_, terms)| terms != membership::terms(turn.work.desk));
            let old = if old { ", older terms" } else { "" };
            let _ = writeln!(
                out,
                "  {:<14}{:<15}{}{old}\n    {}",
                member.id.as_str(),
                standing.word(),
                key_words(turn, member),
                clean_line(&member.name, 66),
            );
        }
    }
    Ok(if out.is_empty() { "No group of the process has members.".to_owned() } else { out })
}

/// `/member show WHO`
pub(super) fn show(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let member = find(turn, arguments)?;
    let say = |at: Moment| turn.work.say(at);
    let mut out = format!("{}  {}\n", member.id, clean_line(&member.name, 60));
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name:<10}{value}");
    };
    row("address", member.address.as_str());
    for key in &member.keys {
        row("key", &key.fingerprint.spaced());
    }
    row("", &key_words(turn, &member));
    if let Some(offered) = &member.offered {
        row("new key", &offered.key.fingerprint.spaced());
    }
    if let Some(source) = &member.imported {
        row("put there", &format!("by the operator: {source}"));
    }
    row("key shown", &member.proven.map_or_else(|| "no".to_owned(), say));
    row("terms", &member.terms.map_or_else(|| "not accepted".to_owned(), |(at, _)| say(at)));
    if let Some(suspension) = &member.suspended {
        row("suspended", &format!("{}: {}", say(suspension.at), suspension.reason));
    }
    for (group, membership) in &member.groups {
        let rules = turn.work.desk.group(group);
        let _ = writeln!(out, "\n{group}: {}", member.standing(group, rules).word());
        for (who, at) in &membership.vouched {
            let _ = writeln!(out, "  vouched   {who}, {}", say(*at));
        }
        for (who, at) in &membership.approved {
            let _ = writeln!(out, "  approved  {who}, {}", say(*at));
        }
        for criterion in rules.map(|rules| rules.criteria.as_slice()).unwrap_or_default() {
            let state = match membership.criteria.get(&criterion.id) {
                Some(judged) => {
                    let met = if judged.met { "met" } else { "NOT met" };
                    let by = judged.by.as_ref().map_or("the desk", |by| by.as_str());
                    format!("{met}, by {by}, {}:\n      {}", say(judged.at), judged.evidence)
                }
                None => "not judged".to_owned(),
            };
            let _ = writeln!(out, "  {}: {state}\n      {}", criterion.id, criterion.text);
        }
        if membership.active.is_none() {
            for what in missing(turn.work, &member, group) {
                let what = member_words::missing(&what);
                let _ = writeln!(out, "  missing   {what}");
            }
        } else if let Some(due) = rules.and_then(|rules| member.review_due(group, rules)) {
            let _ = writeln!(out, "  review    {}", say(due));
        }
    }
    Ok(out)
}

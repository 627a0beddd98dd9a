//! The words of members about membership: vouching for somebody, accepting the terms, leaving.

use crate::domain::commands::turn::{Answer, Turn, needs};
use crate::domain::commands::who::{first, label};
use crate::domain::decide::membership;
use crate::domain::decide::membership::{settle, stewards_but, tell_at_desk};
use crate::domain::facts::member_fact::MemberFact;
use crate::domain::facts::names::PersonId;
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::member::Member;

/// Whoever writes, as a member.
pub(super) fn myself(turn: &Turn<'_, '_>) -> Result<Member, Refusal> {
    let member = turn.work.members().get(&turn.person.id).cloned();
    member.filter(|member| member.removed.is_none()).ok_or_else(|| {
        Refusal::new("you are no member", "you are in no group of this desk.", "ask its team.")
    })
}

/// `/vouch WHO [GROUP]`
pub fn vouch(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let (who, rest) = first(arguments.trim());
    needs(who, "vouch", "WHO")?;
    let voucher = myself(turn)?;
    // What somebody is not to know of is as good as not there: who applies is not told around.
    let nobody = || {
        Refusal::new(
            "nobody to vouch for",
            format!("nobody called `{who}` has applied for a group of yours."),
            "ask them which id the desk's mail to them names.",
        )
    };
    let member = PersonId::parse(who).and_then(|id| turn.work.members().get(&id).cloned());
    let member = member.filter(|m| m.removed.is_none() && m.id != voucher.id).ok_or_else(nobody)?;
    let open = |group: &&String| {
        member.groups.get(*group).is_some_and(|m| m.active.is_none())
            && voucher.is_active(group)
            && (rest.is_empty() || group.eq_ignore_ascii_case(rest))
    };
    let groups: Vec<String> = member.groups.keys().filter(open).cloned().collect();
    if groups.is_empty() {
        return Err(nobody());
    }
    let has = |group: &String| {
        member.groups.get(group).is_some_and(|m| m.vouched.contains_key(&voucher.id))
    };
    let groups: Vec<String> = groups.into_iter().filter(|group| !has(group)).collect();
    if groups.is_empty() {
        return Err(Refusal::new(
            "you have vouched already",
            format!("you vouch for `{who}` already."),
            "nothing; the team decides.",
        ));
    }
    for group in &groups {
        turn.work.add_member(&member.id, MemberFact::Vouched { group: group.clone() });
    }
    let labels: Vec<String> = groups.iter().map(|group| label(turn, group)).collect();
    let lines = [format!("{} vouches for {} ({}).", turn.person.name, member.name, member.id)];
    let stewards = stewards_but(turn.work, &turn.person.id);
    let next = format!("see `| /member show {}`, without the bar.", member.id);
    tell_at_desk(turn.work, &stewards, "A member vouches", &lines, &next);
    settle(turn.work, &member.id);
    Ok(format!("You vouch for {} for {}. The team is told.", member.name, labels.join(", ")))
}

/// `/terms [accept]`
pub fn terms(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let member = myself(turn)?;
    if !arguments.trim().eq_ignore_ascii_case("accept") {
        return Err(Refusal::new(
            "do you accept them?",
            "the terms stand in the mail that invited you.",
            "write `| /terms accept`, without the bar.",
        ));
    }
    let digest = membership::terms(turn.work.desk);
    turn.work.add_member(&member.id, MemberFact::TermsAccepted { terms: digest });
    let active = settle(turn.work, &member.id);
    let more = if active.is_empty() && member.active_groups().is_empty() {
        " The team decides next, and you hear from us."
    } else {
        ""
    };
    Ok(format!("You accept the terms {}. Your signed mail is kept.{more}", digest.short()))
}

/// `/leave [GROUP]`, by a member.
pub fn leave(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let member = myself(turn)?;
    let named = arguments.trim();
    let group = member.groups.keys().find(|group| group.eq_ignore_ascii_case(named)).cloned();
    if !named.is_empty() && group.is_none() {
        let names: Vec<&str> = member.groups.keys().map(String::as_str).collect();
        return Err(Refusal::new(
            "no such group",
            format!("you are not in `{named}`."),
            format!("write `| /leave` alone, or one of {}.", names.join(", ")),
        ));
    }
    let what = group.clone().unwrap_or_else(|| "every group".to_owned());
    let fact = MemberFact::Removed { group, reason: "left by their own signed mail".to_owned() };
    turn.work.add_member(&member.id, fact);
    let lines = [format!("{} ({}) has left {what}.", member.name, member.id)];
    let stewards = stewards_but(turn.work, &member.id);
    let next = "nothing; they get no notices of it any more.";
    tell_at_desk(turn.work, &stewards, "A member has left", &lines, next);
    Ok(format!("You have left {what}. What you know stays under embargo until it is public."))
}

//! The words about members' keys: what a member says of their own, and what the team says.
//!
//! A new key takes the place of the old one when its holder has answered a challenge that was sealed
//! to it, and either the old key signed the change and one of the team agrees, or two of the team
//! agree and a day has passed in which either key could say no. A renewed text of the same
//! certificate is only ever merged into what is known, so it can add and revoke and never take back.

use std::fmt::Write as _;

use serde_json::json;

use crate::domain::commands::joining::myself;
use crate::domain::commands::member::{attached, check_key, suspend_member};
use crate::domain::commands::turn::{Answer, Turn, needs};
use crate::domain::commands::who::{find, first};
use crate::domain::decide::membership;
use crate::domain::decide::membership::{
    as_known_by, challenge, settle, settle_key, stewards_but, tell_at_desk, tell_in_clear,
    tell_keys,
};
use crate::domain::facts::event::Purpose;
use crate::domain::facts::key::PinnedKey;
use crate::domain::facts::letter::AttachedKey;
use crate::domain::facts::member_fact::MemberFact;
use crate::domain::facts::names;
use crate::domain::facts::names::{Fingerprint, Moment, PersonId, nonce_hash};
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::member::{KEY_WAITS, Member};
use crate::domain::model::roster::Person;

fn unknown_word(words: &str) -> Refusal {
    Refusal::new(
        "say what about a key",
        "`/key` needs one more word.",
        format!("write one of {words}."),
    )
}

/// `/key show|replace|approve|cancel|revoke WHO`, by the team; without a name it is about their own.
pub fn of_team(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let (what, rest) = first(arguments.trim());
    let what = what.to_ascii_lowercase();
    if rest.is_empty() && what == "show" {
        return Ok(shown(turn, None, &turn.person.fingerprint.clone()));
    }
    if rest.is_empty() && turn.work.members().get(&turn.person.id).is_some() && what != "approve" {
        return Err(Refusal::new(
            "your key stands in the config",
            "you are of the team, so your key is the one that the operator has put in the config.",
            "ask the operator to put the new one in; a revocation in any mail counts at once.",
        ));
    }
    let who = first(rest).0.split('@').next().unwrap_or("");
    let staff = PersonId::parse(who)
        .and_then(|id| turn.work.desk.roster.person(&id))
        .is_some_and(Person::is_maintainer);
    if staff && what != "show" {
        return Err(Refusal::new(
            "their key stands in the config",
            format!(
                "`{who}` is of the team, so their key is the one that the operator has put in the config."
            ),
            "ask the operator; a revocation in any mail counts at once.",
        ));
    }
    if !turn.work.desk.is_steward(&turn.person.id) {
        return Err(Refusal::new(
            "not your role",
            "keys of members are looked after by those who take reports in.",
            "ask one of them to send it.",
        ));
    }
    match what.as_str() {
        "show" => {
            let member = find(turn, rest)?;
            let first = member.keys.first().map(|key| key.fingerprint.clone());
            Ok(shown(turn, Some(&member), &first.unwrap_or_else(Fingerprint::nobody)))
        }
        "replace" => replace_by_team(turn, rest),
        "approve" => approve(turn, rest),
        "cancel" => cancel_by_team(turn, rest),
        "revoke" => revoke_by_team(turn, rest),
        _ => {
            Err(unknown_word("show WHO, replace WHO, approve WHO@N, cancel WHO, revoke WHO REASON"))
        }
    }
}

/// `/key show|replace|confirm|cancel|revoke`, by a member.
pub fn of_member(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let (what, rest) = first(arguments.trim());
    let what = what.to_ascii_lowercase();
    let own = rest.is_empty() || rest.eq_ignore_ascii_case(turn.person.id.as_str());
    if what != "confirm" && !own {
        return Err(Refusal::new(
            "another's key",
            format!("`/key {what}` is about your own key, and stands alone."),
            "leave out what stands behind it.",
        ));
    }
    match what.as_str() {
        "show" => {
            let member = myself(turn)?;
            Ok(shown(turn, Some(&member), &turn.person.fingerprint.clone()))
        }
        "replace" => replace(turn),
        "confirm" => confirm(turn, rest),
        "cancel" => cancel(turn),
        "revoke" => revoke(turn),
        _ => Err(unknown_word("show, replace, confirm NONCE, cancel, revoke")),
    }
}

/// What the desk has of somebody's keys.
fn shown(turn: &Turn<'_, '_>, member: Option<&Member>, own: &Fingerprint) -> String {
    let say = |at: Moment| turn.work.say(at);
    let mut out = String::new();
    let keys: Vec<Fingerprint> = match member {
        Some(member) => member.keys.iter().map(|key| key.fingerprint.clone()).collect(),
        None => vec![own.clone()],
    };
    for (n, fingerprint) in keys.iter().enumerate() {
        let what = if n == 0 { "sealed to" } else { "counts beside it" };
        let _ = writeln!(out, "{}\n  {what}", fingerprint.spaced());
        let Some(facts) = turn.work.desk.key_facts(fingerprint) else { continue };
        if facts.revoked {
            out.push_str("  REVOKED\n");
        }
        if facts.subkeys.is_empty() {
            out.push_str("  NO KEY TO ENCRYPT TO that can be used now or later\n");
        }
        for subkey in &facts.subkeys {
            let until = subkey
                .end()
                .map_or_else(|| "for ever".to_owned(), |end| format!("until {}", say(end)));
            let now = if subkey.is_usable(turn.work.now) { "" } else { ", not now" };
            let _ = writeln!(out, "  encrypt to {}  {until}{now}", subkey.id);
        }
    }
    if let Some(offered) = member.and_then(|member| member.offered.as_ref()) {
        let _ =
            writeln!(out, "{}\n  offered on {}", offered.key.fingerprint.spaced(), say(offered.at));
        let proven = if offered.proven.is_some() { "has answered" } else { "has NOT answered yet" };
        let _ = writeln!(out, "  {proven}; {} more approval(s)", offered.approvals_missing());
        if let Some(at) = offered.takes_effect() {
            let _ = writeln!(out, "  takes effect {}", say(at));
        }
    }
    out
}

//------------ Replacing --------------------------------------------------------------------------

fn pinned(key: &AttachedKey) -> PinnedKey {
    PinnedKey { fingerprint: key.fingerprint.clone(), certificate: key.certificate.clone() }
}

/// A renewed text of a certificate that is pinned already: merged, whoever of those entitled sent it.
fn renewed<'t>(turn: &Turn<'t, '_>, member: &Member) -> Option<&'t AttachedKey> {
    let theirs =
        |key: &&AttachedKey| member.keys.iter().any(|known| known.fingerprint == key.fingerprint);
    turn.certificates().iter().find(theirs)
}

fn renew(turn: &mut Turn<'_, '_>, member: &Member, key: &AttachedKey) -> Answer {
    let fact = MemberFact::KeyUpdated { key: pinned(key), revoked: key.facts.revoked };
    turn.work.add_member(&member.id, fact);
    let until = match key.facts.usable_until(turn.work.now) {
        None => "It can be used for ever.".to_owned(),
        Some(until) if until <= turn.work.now => "It can NOT be used.".to_owned(),
        Some(until) => format!("It can be used until {}.", turn.work.say(until)),
    };
    let lines =
        [format!("The certificate of {} ({}) was renewed. {until}", member.name, member.id)];
    let stewards = stewards_but(turn.work, &turn.person.id);
    let next = "nothing; what was withheld is sent now.";
    tell_at_desk(turn.work, &stewards, "A member's key was renewed", &lines, next);
    Ok(format!("Taken: the same key, with a newer text. {until}"))
}

/// `/key replace`, by a member: signed by the old key.
fn replace(turn: &mut Turn<'_, '_>) -> Answer {
    let member = myself(turn)?;
    if let Some(key) = renewed(turn, &member) {
        return renew(turn, &member, key);
    }
    let key = attached(turn)?;
    check_key(turn, key)?;
    // Only the key in force gives way to another one: not one that it took the place of, nor one that
    // somebody has said may be in other hands.
    let signed = turn.work.signed.as_ref();
    let first = member.keys.first().map(|key| &key.fingerprint);
    let by_old = signed.is_some()
        && signed == first
        && !signed.is_some_and(|key| member.distrusted.contains(key));
    offer(turn, &member, key, by_old)?;
    let who = if by_old {
        "one of the team must agree"
    } else {
        "two of the team must agree, and a day must pass"
    };
    Ok(format!(
        "Offered: {}.\nA mail that is sealed to it asks you to answer with it, and {who}. Until then the old key stays.",
        key.fingerprint.spaced()
    ))
}

/// `/key replace WHO`, by one of the team.
fn replace_by_team(turn: &mut Turn<'_, '_>, who: &str) -> Answer {
    let member = find(turn, who)?;
    if let Some(key) = renewed(turn, &member) {
        return renew(turn, &member, key);
    }
    let key = attached(turn)?;
    check_key(turn, key)?;
    if stewards_but(turn.work, &turn.person.id).is_empty() {
        return Err(Refusal::new(
            "nobody could approve it",
            "two of you must agree, and you are the only one.",
            "the operator can import the member anew: `embargod group import`.",
        ));
    }
    let number = offer(turn, &member, key, false)?;
    Ok(format!(
        "Offered, and approved by you. Another of you approves it:\n\n  | /key approve {}@{number}\n\nThen both keys and the address are told, and a day passes in which either can say no.",
        member.id
    ))
}

/// Offers a key for a member, asks its holder to answer, and tells the team.
fn offer(
    turn: &mut Turn<'_, '_>,
    member: &Member,
    key: &AttachedKey,
    by_old: bool,
) -> Result<u32, Refusal> {
    let id = &member.id;
    turn.work.add_member(id, MemberFact::KeyOffered { key: pinned(key), by_old });
    let nonce = challenge(turn.work, id, &key.fingerprint);
    let number = find(turn, id.as_str())?.number;
    let facts = json!({
        "name": member.name, "by": turn.person.name, "what": key.fingerprint.spaced(), "nonce": nonce,
    });
    let newcomer = as_known_by(member, &pinned(key));
    turn.work.tell_by_key(&newcomer, Purpose::Reminder, "key-challenge", facts);
    let how =
        if by_old { "Their old key signed this." } else { "Their old key did NOT sign this." };
    let lines = [
        format!("A new key is offered for {} ({id}):", member.name),
        format!("  {}", key.fingerprint.spaced()),
        how.to_owned(),
        "Compare the fingerprint with them by another way.".to_owned(),
    ];
    let next = format!("`| /key approve {id}@{number}`, or `| /key cancel {id}`, without the bar.");
    let stewards = stewards_but(turn.work, &turn.person.id);
    tell_at_desk(turn.work, &stewards, "A new key for a member", &lines, &next);
    Ok(number)
}

/// `/key approve WHO@N`
fn approve(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let (who, number) = arguments.split_once('@').unwrap_or((arguments, ""));
    let member = find(turn, who)?;
    let id = member.id.clone();
    let Some(offered) = member.offered.clone() else {
        return Err(Refusal::new(
            "no key is offered",
            format!("no new key is offered for `{id}`."),
            "",
        ));
    };
    if number.parse::<u32>().ok() != Some(offered.number) {
        return Err(Refusal::new(
            "not what stands now",
            format!("the key that is offered for `{id}` is {id}@{}.", offered.number),
            format!(
                "look with `| /key show {id}`, then write `| /key approve {id}@{}`.",
                offered.number
            ),
        ));
    }
    if turn.person.id == id || offered.approved.contains_key(&turn.person.id) {
        return Err(Refusal::new(
            "another must approve it",
            "you have approved it already, or it is your own.",
            "another of the team must approve it.",
        ));
    }
    turn.work.add_member(&id, MemberFact::KeyApproved { number: offered.number });
    let offered = find(turn, id.as_str())?.offered;
    let Some(offered) = offered else { return Ok("Approved.".to_owned()) };
    if !offered.by_old && offered.approvals_missing() == 0 {
        let from = names::later(turn.work.now, KEY_WAITS);
        let lines = [
            format!("The team has put a new key in for you: {}.", offered.key.fingerprint.spaced()),
            format!("It takes effect on {} at the earliest.", turn.work.say(from)),
        ];
        let keys: Vec<PinnedKey> = member.keys.iter().chain([&offered.key]).cloned().collect();
        let next = "if it was not you who wanted this, reply, signed with either key, with `| /key cancel`, without the bar, and reach the team by another way.";
        tell_keys(turn.work, &member, keys.iter(), "Your key is to be changed", &lines, next);
        if let Some(key) = member.keys.first() {
            tell_in_clear(turn.work, &as_known_by(&member, key), "key-change-clear");
        }
    }
    if settle_key(turn.work, &id) {
        return Ok(format!("The key of {id} is now {}.", offered.key.fingerprint.spaced()));
    }
    Ok(match (offered.approvals_missing(), offered.takes_effect()) {
        (0, Some(at)) => format!("Approved. It takes effect on {}.", turn.work.say(at)),
        (0, None) => "Approved. It takes effect once its holder has answered, and where the old key did not sign it not before a day has passed.".to_owned(),
        (more, _) => format!("Approved. {more} more must."),
    })
}

/// `/key confirm NONCE`: whoever holds the key has the nonce that was sealed to it.
fn confirm(turn: &mut Turn<'_, '_>, nonce: &str) -> Answer {
    needs(nonce, "key confirm", "NONCE")?;
    let member = myself(turn)?;
    let signed = turn.work.signed.clone();
    let fits = member.challenge.as_ref().is_some_and(|(hash, fingerprint)| {
        *hash == nonce_hash(nonce) && signed.as_ref() == Some(fingerprint)
    });
    if !fits {
        return Err(Refusal::new(
            "no such question",
            "no key of yours was asked that, or your mail is signed by another key.",
            "sign with the key that our mail was sealed to, and copy its line.",
        ));
    }
    let Some(fingerprint) = signed else { return Err(unknown_word("confirm NONCE")) };
    turn.work.add_member(&member.id, MemberFact::KeyShown { fingerprint });
    if settle_key(turn.work, &member.id) {
        return Ok("Your new key has taken the place of the old one.".to_owned());
    }
    let active = settle(turn.work, &member.id);
    let more = if active.is_empty() { " The rest is up to the team." } else { "" };
    Ok(format!("You hold the key; that is recorded.{more}"))
}

fn called_off(turn: &mut Turn<'_, '_>, member: &Member) -> Answer {
    let Some(offered) = member.offered.clone() else {
        return Err(Refusal::new("no key is offered", "no new key waits here.", ""));
    };
    turn.work.add_member(&member.id, MemberFact::KeyCancelled);
    let lines = [format!(
        "{} called off the new key for {} ({}): {}",
        turn.person.name,
        member.name,
        member.id,
        offered.key.fingerprint.spaced()
    )];
    let stewards = stewards_but(turn.work, &turn.person.id);
    let next = "find out by another way who wanted what.";
    tell_at_desk(turn.work, &stewards, "A new key was called off", &lines, next);
    let keys: Vec<PinnedKey> = member.keys.iter().chain([&offered.key]).cloned().collect();
    let next = "nothing; the old key stays.";
    tell_keys(turn.work, member, keys.iter(), "A new key was called off", &lines, next);
    Ok("Called off; the old key stays.".to_owned())
}

/// `/key cancel`, signed by either key.
fn cancel(turn: &mut Turn<'_, '_>) -> Answer {
    let member = myself(turn)?;
    called_off(turn, &member)
}

/// `/key cancel WHO`
fn cancel_by_team(turn: &mut Turn<'_, '_>, who: &str) -> Answer {
    let member = find(turn, who)?;
    called_off(turn, &member)
}

//------------ Revoking ---------------------------------------------------------------------------

fn distrust(turn: &mut Turn<'_, '_>, member: &Member) {
    membership::call_off_offer(turn.work, member);
    for key in &member.keys {
        let fingerprint = key.fingerprint.clone();
        turn.work.add_member(&member.id, MemberFact::KeyDistrusted { fingerprint });
    }
}

/// `/key revoke`, signed by the key itself: it is not to be trusted any more.
fn revoke(turn: &mut Turn<'_, '_>) -> Answer {
    let member = myself(turn)?;
    distrust(turn, &member);
    if member.suspended.is_some() {
        return Ok(
            "Recorded. Nothing is sealed to your key; the team has been told before.".to_owned()
        );
    }
    suspend_member(turn, &member, "they say that their key is not to be trusted any more");
    Ok("Nothing is sealed to your key from now on. The team is told; it puts in a new one and lets you in again.".to_owned())
}

/// `/key revoke WHO REASON`
fn revoke_by_team(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let (who, reason) = first(arguments);
    let member = find(turn, who)?;
    needs(reason, "key revoke", "WHO REASON")?;
    distrust(turn, &member);
    if member.suspended.is_none() {
        suspend_member(turn, &member, &format!("key not trusted: {reason}"));
    }
    Ok(format!(
        "Nothing is sealed to the key of {} from now on. Put in a new one with `| /key replace {}`, then let them in again with `| /member reinstate {}`, without the bar.",
        member.id, member.id, member.id
    ))
}

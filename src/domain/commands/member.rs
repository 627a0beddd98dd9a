//! The words of the team about members of groups: who is one, who is to become one, and how it ends.

use std::fmt::Write as _;

use serde_json::json;

use crate::domain::commands::roll::{key_words, list, show};
use crate::domain::commands::turn::{Answer, Turn, needs};
use crate::domain::commands::who::{find, first, group_named};
use crate::domain::decide::membership;
use crate::domain::decide::membership::{
    as_known_by, challenge, missing, settle, stewards_but, tell_at_desk,
};
use crate::domain::facts::event::Purpose;
use crate::domain::facts::foreign::Foreign;
use crate::domain::facts::key::PinnedKey;
use crate::domain::facts::letter::AttachedKey;
use crate::domain::facts::member_fact::MemberFact;
use crate::domain::facts::names::{Address, PersonId};
use crate::domain::facts::refusal::{Refusal, nearest};
use crate::domain::model::member::{Member, Suspension};
use crate::domain::outgoing::texts;
use crate::domain::outgoing::texts::clean_line;
use crate::domain::process::playbook::{Criterion, Group};
use crate::domain::views::member_words;

type Run = fn(&mut Turn<'_, '_>, &str) -> Answer;

/// What can stand behind `/member`: the word, what follows it, what it does. One row each.
const WHAT: &[(&str, &str, Run)] = &[
    ("list", "[GROUP]", list),
    ("show", "WHO", show),
    ("propose", "WHO GROUP [NAME], their key attached", propose),
    ("meets", "WHO CRITERION[,CRITERION] EVIDENCE", meets),
    ("fails", "WHO CRITERION REASON", fails),
    ("invite", "WHO", invite_again),
    ("approve", "WHO@N [GROUP]", approve),
    ("suspend", "WHO REASON", suspend),
    ("reinstate", "WHO", reinstate),
    ("remove", "WHO REASON", remove),
    ("reviewed", "WHO NOTE", reviewed),
];

/// The most characters of a reason or an evidence.
const WORDS_MAX: usize = 300;

/// `/member WHAT ...`
pub fn member(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let (what, rest) = first(arguments.trim());
    let row = WHAT.iter().find(|(word, ..)| word.eq_ignore_ascii_case(what));
    let Some((.., run)) = row else {
        let lines: Vec<String> =
            WHAT.iter().map(|(word, more, _)| format!("  | /member {word} {more}")).collect();
        let near = nearest(what, WHAT.iter().map(|(word, ..)| *word));
        let near = near.map_or_else(String::new, |word| format!("did you mean `{word}`? "));
        return Err(Refusal::new(
            "say what about members",
            "`/member` needs one more word.",
            format!("{near}write one of these, without the bar:\n{}", lines.join("\n")),
        ));
    };
    if !turn.work.desk.is_steward(&turn.person.id) {
        let playbook = turn.work.desk.playbooks.get(&turn.work.desk.settings.playbook);
        let role = playbook.map_or_else(String::new, |p| p.role_label(&p.intake).to_owned());
        return Err(Refusal::new(
            "not your role",
            format!(
                "members are looked after by the {role} of the desk, and you are not among them."
            ),
            "ask one of them to send it.",
        ));
    }
    run(turn, rest)
}

//------------ Who is meant -----------------------------------------------------------------------

/// The one group of somebody that a rest of a line names, or their only one; and what follows.
fn group_of<'a>(
    turn: &Turn<'_, '_>,
    member: &Member,
    rest: &'a str,
) -> Result<(String, &'a str), Refusal> {
    let (word, more) = first(rest);
    if let Some(group) = member.groups.keys().find(|group| group.eq_ignore_ascii_case(word)) {
        return Ok((group.clone(), more));
    }
    let names: Vec<&str> = member.groups.keys().map(String::as_str).collect();
    match names.as_slice() {
        [only] => Ok(((*only).to_owned(), rest)),
        _ => {
            let _ = turn;
            Err(Refusal::new(
                "say which group",
                format!("{} is in several groups.", member.id),
                format!("write one of {} behind the name.", names.join(", ")),
            ))
        }
    }
}

//------------ Adding -----------------------------------------------------------------------------

/// The one certificate that came inside the encryption, besides the writer's own.
pub(super) fn attached<'t>(turn: &Turn<'t, '_>) -> Result<&'t AttachedKey, Refusal> {
    let own = |key: &&AttachedKey| !turn.person.fingerprints().any(|f| *f == key.fingerprint);
    let others: Vec<&AttachedKey> = turn.certificates().iter().filter(own).collect();
    match others.as_slice() {
        [one] => Ok(one),
        [] => Err(Refusal::new(
            "no key attached",
            "your mail has no OpenPGP certificate attached, or only your own.",
            "export it (`gpg --export --armor ADDRESS`), attach the file, and send the mail again, encrypted.",
        )),
        _ => Err(Refusal::new(
            "several keys attached",
            "your mail has more than one OpenPGP certificate attached.",
            "attach only the one that you mean.",
        )),
    }
}

/// Refuses a certificate that nothing could be sealed to, or that stands for somebody else.
pub(super) fn check_key(turn: &Turn<'_, '_>, key: &AttachedKey) -> Result<(), Refusal> {
    let now = turn.work.now;
    let wrong = |why: String| {
        Err(Refusal::new("a key that cannot be used", why, "attach another certificate."))
    };
    let revoked = turn.work.desk.revocation(&key.fingerprint).is_some();
    if key.facts.revoked || revoked {
        return wrong(
            "the certificate is revoked, also where this copy does not say so.".to_owned(),
        );
    }
    if !key.facts.is_usable(now) {
        return wrong("the certificate has no key to encrypt to that is valid now.".to_owned());
    }
    let desk = turn.work.desk;
    if desk.settings.fingerprint == key.fingerprint {
        return wrong("the certificate is the desk's own.".to_owned());
    }
    let holder = desk.roster.by_fingerprint(&key.fingerprint).map(|person| person.id.clone());
    let holder =
        holder.or_else(|| turn.work.members().holder(&key.fingerprint).map(|m| m.id.clone()));
    let lost_by = turn.work.members().lost_by(&key.fingerprint).cloned();
    match (holder, lost_by) {
        (None, None) => Ok(()),
        // Whose it is, is not for a member who asks.
        _ if !desk.is_steward(&turn.person.id) => {
            wrong("that key cannot be taken here.".to_owned())
        }
        (Some(id), _) => {
            wrong(format!("that key is pinned for `{id}`, and a key stands for one person."))
        }
        (None, Some(id)) => {
            wrong(format!("that key was `{id}`'s, and is not to be trusted any more."))
        }
    }
}

/// Where mail for somebody new goes: an address of their own certificate, never free text.
fn address_of(
    turn: &Turn<'_, '_>,
    key: &AttachedKey,
    rest: &str,
) -> Result<(Address, String), Refusal> {
    let (word, more) = first(rest);
    let named = word.contains('@').then(|| Address::parse(word)).flatten();
    let name = if word.contains('@') { more } else { rest };
    let known = &key.facts.addresses;
    let address = match (&named, known.as_slice()) {
        (Some(named), _) => known.iter().find(|known| known.same_box(named)),
        (None, [one]) => Some(one),
        (None, _) => None,
    };
    let Some(address) = address else {
        let list: Vec<&str> = known.iter().map(Address::as_str).collect();
        return Err(Refusal::new(
            "no address in the key",
            "mail to a member goes to an address that stands in their own certificate, and this one names none, or several.",
            match list.as_slice() {
                [] => "ask them for a certificate with their address in it.".to_owned(),
                list => format!("write the one you mean behind the group: {}.", list.join(", ")),
            },
        ));
    };
    let taken = turn.work.desk.roster.by_address(address).map(|person| person.id.clone());
    let members = turn.work.members().iter().filter(|member| member.removed.is_none());
    let taken = taken.or_else(|| {
        members.into_iter().find(|m| m.address.same_box(address)).map(|m| m.id.clone())
    });
    if let Some(id) = taken {
        return Err(Refusal::new(
            "an address that is taken",
            format!("{address} is the address of `{id}`."),
            "one address stands for one person.",
        ));
    }
    if turn.work.desk.is_own_address(address) {
        return Err(Refusal::new("the desk's own address", "that is the desk's own address.", ""));
    }
    let name = if name.is_empty() { key.facts.name.as_str() } else { name };
    let name = texts::without_references(&clean_line(name, 80));
    Ok((address.clone(), name))
}

/// `/member propose WHO GROUP [ADDRESS] [NAME]`
fn propose(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let (who, rest) = first(arguments);
    let (group, rest) = first(rest);
    needs(who, "member propose", "WHO GROUP, their key attached")?;
    let group = group_named(turn, group)?;
    let Some(rules) = turn.work.desk.group(&group).cloned() else {
        return Err(Refusal::new("no such group", "no playbook has this group.", ""));
    };
    let id = PersonId::parse(who).ok_or_else(|| {
        Refusal::new(
            "no id",
            format!("`{who}` is no id."),
            "give them a short one of letters and digits.",
        )
    })?;
    if id == turn.person.id {
        return Err(Refusal::new(
            "it is you",
            "nobody proposes themselves.",
            "ask another of you.",
        ));
    }
    if turn.work.desk.is_reserved(&id) {
        return Err(Refusal::new(
            "an id that means something else",
            format!("`{id}` is a word of the desk, or names a group or a role."),
            "give them another one.",
        ));
    }
    let known = turn.work.members().get(&id).filter(|member| member.removed.is_none()).cloned();
    if let Some(member) = &known
        && member.groups.contains_key(&group)
    {
        return Err(Refusal::new(
            "in the group already",
            format!("`{id}` is {} there.", member.standing(&group, Some(&rules)).word()),
            format!("see `| /member show {id}`, without the bar."),
        ));
    }
    let staff = turn.work.desk.roster.person(&id).filter(|person| person.is_maintainer());
    if known.is_none() && staff.is_some() {
        return Err(Refusal::new(
            "the id is taken",
            format!("`{id}` is somebody of the team."),
            "give the member another id.",
        ));
    }
    put_forward(turn, &id, &group, known, rest)?;
    let member = find(turn, id.as_str())?;
    let fact = MemberFact::Approved { group: group.clone(), number: member.number };
    turn.work.add_member(&id, fact);
    if member.proven.is_none() || member.terms.is_none() {
        invite(turn, &member, &rules);
    }
    ask_to_approve(turn, &id, &group, &rules)
}

/// Adds the proposal: of somebody who is in another group already, or of somebody new by their key.
fn put_forward(
    turn: &mut Turn<'_, '_>,
    id: &PersonId,
    group: &str,
    known: Option<Member>,
    rest: &str,
) -> Result<(), Refusal> {
    let group = group.to_owned();
    let fact = match known {
        Some(member) => {
            MemberFact::Proposed { name: member.name, address: member.address, group, key: None }
        }
        None => {
            let key = attached(turn)?;
            check_key(turn, key)?;
            if turn.work.members().was_another(id, &key.fingerprint) {
                return Err(Refusal::new(
                    "an id that was another's",
                    format!("`{id}` was somebody with another key, who was removed."),
                    "give them another id, or attach the certificate that they had.",
                ));
            }
            let (address, name) = address_of(turn, key, rest)?;
            // Whoever made the key chose what it says of them.
            let name = Foreign::line(&name, NAME_MAX).to_string();
            let (fingerprint, certificate) = (key.fingerprint.clone(), key.certificate.clone());
            let key = Some(PinnedKey { fingerprint, certificate });
            MemberFact::Proposed { name, address, group, key }
        }
    };
    turn.work.add_member(id, fact);
    Ok(())
}

/// The longest name of a member.
const NAME_MAX: usize = 80;

/// Asks the others of the team whether they approve a proposal.
fn ask_to_approve(turn: &mut Turn<'_, '_>, id: &PersonId, group: &str, rules: &Group) -> Answer {
    let others = stewards_but(turn.work, &turn.person.id);
    if others.is_empty() {
        return Err(Refusal::new(
            "nobody could approve it",
            "two of you must agree to a member, and you are the only one.",
            "the operator can put them in with `embargod group import`.",
        ));
    }
    let member = find(turn, id.as_str())?;
    let lines = proposal(turn, &member, group, rules);
    let next = format!(
        "see that what misses is found out (`| /member meets {id} CRITERION EVIDENCE`, without the bar); then you are asked to approve."
    );
    let by = format!("{} proposes a member", turn.person.name);
    tell_at_desk(turn.work, &others, &by, &lines, &next);
    let names: Vec<&str> = others.iter().map(|other| other.name.as_str()).collect();
    Ok(format!(
        "Proposed, and approved by you:\n{}\nOne more must approve, once nothing else misses: {}.",
        lines.join("\n"),
        names.join(", ")
    ))
}

/// `/member invite WHO`: the terms and a challenge once more, where the first mail got lost.
fn invite_again(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let member = find(turn, arguments)?;
    let open = member.groups.iter().find(|(_, membership)| membership.active.is_none());
    let rules = open.and_then(|(group, _)| turn.work.desk.group(group).cloned());
    let Some(rules) = rules.filter(|_| member.proven.is_none() || member.terms.is_none()) else {
        return Err(Refusal::new(
            "nothing to ask them",
            format!("`{}` has answered what they were asked, or is not proposed.", member.id),
            "",
        ));
    };
    invite(turn, &member, &rules);
    Ok(format!("{} gets the terms and a new challenge; the one before counts no more.", member.id))
}

/// What a proposal comes to, for those who decide.
fn proposal(turn: &Turn<'_, '_>, member: &Member, group: &str, rules: &Group) -> Vec<String> {
    let mut lines = vec![
        format!("  {} ({}@{}) for {}", member.name, member.id, member.number, rules.label),
        format!("  address   {}", member.address),
    ];
    lines
        .extend(member.keys.first().map(|key| format!("  key       {}", key.fingerprint.spaced())));
    let attached = turn
        .certificates()
        .iter()
        .find(|key| member.keys.first().is_some_and(|own| own.fingerprint == key.fingerprint));
    let words = match attached.map(|key| key.facts.usable_until(turn.work.now)) {
        Some(None) => "key for ever".to_owned(),
        Some(Some(until)) => format!("key until {}", until.format("%Y-%m-%d")),
        None => key_words(turn, member),
    };
    lines.push(format!("  {words}"));
    for what in missing(turn.work, member, group) {
        let what = member_words::missing(&what);
        lines.push(format!("  missing   {what}"));
    }
    lines
}

/// Sends somebody the terms, and what their key must answer.
fn invite(turn: &mut Turn<'_, '_>, member: &Member, rules: &Group) {
    let Some(key) = member.keys.first() else { return };
    let nonce = challenge(turn.work, &member.id, &key.fingerprint);
    let facts = json!({
        "name": member.name, "by": turn.person.name, "audience": rules.label, "nonce": nonce,
        "count": rules.vouch, "what": member.id,
    });
    let person = as_known_by(member, key);
    turn.work.tell_by_key(&person, Purpose::Reminder, "invitation", facts);
}

/// `/member meets WHO [GROUP] CRITERION EVIDENCE`
fn meets(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    judge(turn, arguments, true)
}

/// `/member fails WHO [GROUP] CRITERION REASON`
fn fails(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    judge(turn, arguments, false)
}

fn judge(turn: &mut Turn<'_, '_>, arguments: &str, met: bool) -> Answer {
    let (who, rest) = first(arguments);
    let member = find(turn, who)?;
    let (group, rest) = group_of(turn, &member, rest)?;
    let (word, evidence) = first(rest);
    let rules = turn.work.desk.group(&group).cloned();
    let criteria = rules.map(|rules| rules.criteria).unwrap_or_default();
    let known = |word: &str| criteria.iter().find(|known| known.id.eq_ignore_ascii_case(word));
    let named: Option<Vec<&Criterion>> = word.split(',').map(known).collect();
    let Some(named) = named.filter(|_| !word.is_empty()) else {
        let ids: Vec<&str> = criteria.iter().map(|known| known.id.as_str()).collect();
        let next = match ids.as_slice() {
            [] => "the group has no criteria; nothing is to be judged.".to_owned(),
            ids => format!("write one of {}.", ids.join(", ")),
        };
        return Err(Refusal::new(
            "no such criterion",
            format!("`{word}` is no criterion of `{group}`."),
            next,
        ));
    };
    needs(
        evidence,
        if met { "member meets" } else { "member fails" },
        "WHO CRITERION and a word on why",
    )?;
    for criterion in &named {
        let (group, criterion) = (group.clone(), criterion.id.clone());
        let evidence = clean_line(evidence, WORDS_MAX);
        turn.work.add_member(&member.id, MemberFact::Judged { group, criterion, met, evidence });
    }
    let word = if met { "met" } else { "NOT met" };
    let ids: Vec<&str> = named.iter().map(|criterion| criterion.id.as_str()).collect();
    let more = outcome(turn, &member.id)?;
    Ok(format!("{}: {word}: {}.\n{more}", member.id, ids.join(", ")))
}

/// Makes somebody active where nothing misses any more, and says how it stands.
pub(super) fn outcome(turn: &mut Turn<'_, '_>, id: &PersonId) -> Answer {
    let active = settle(turn.work, id);
    if !active.is_empty() {
        return Ok(format!("{id} is now active in {}.", active.join(", ")));
    }
    let member = find(turn, id.as_str())?;
    let mut out = String::new();
    for (group, membership) in &member.groups {
        if membership.active.is_none() {
            let _ = writeln!(out, "{id} is not active in {group} yet:");
            for what in missing(turn.work, &member, group) {
                let what = member_words::missing(&what);
                let _ = writeln!(out, "  - {what}");
            }
        }
    }
    Ok(out)
}

/// The second word that lets a suspended member in again, if that is what waits.
fn let_in(turn: &mut Turn<'_, '_>, member: &Member) -> Result<Option<String>, Refusal> {
    let (id, me) = (member.id.clone(), turn.person.id.clone());
    let first = member.keys.first().map(|key| &key.fingerprint);
    if first.is_some_and(|key| member.distrusted.contains(key)) {
        return Err(Refusal::new(
            "their key is not trusted",
            format!("the key of `{id}` was said to be in other hands."),
            format!(
                "put a new one in first: `| /key replace {id}`, the key attached, without the bar."
            ),
        ));
    }
    let steward = |by: &PersonId| turn.work.desk.is_steward(by) && *by != id;
    let asked = |s: &&Suspension| s.lifting.keys().any(steward);
    if let Some(suspension) = member.suspended.as_ref().filter(asked) {
        if !suspension.lifting.keys().any(|by| *by != me && steward(by)) {
            return Err(twice());
        }
        turn.work.add_member(&id, MemberFact::ReinstatementAsked);
        let agreed = suspension.lifting.keys().chain([&me]);
        let seconded = turn.work.desk.two_of_stewards(agreed, &id);
        if seconded.is_none() {
            return Err(twice());
        }
        turn.work.add_member(&id, MemberFact::Reinstated { seconded });
        let lines = [format!("{} ({id}) is let in again.", member.name)];
        let others = stewards_but(turn.work, &me);
        let next = "nothing; what they missed is sent to them while the embargo lasts.";
        tell_at_desk(turn.work, &others, "A member was let in again", &lines, next);
        tell_member(turn, member, "You are let in again", "You get our notices again.");
        return Ok(Some(format!("{id} is let in again.")));
    }
    Ok(None)
}

/// `/member approve WHO@N [GROUP]`
fn approve(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let (named, rest) = first(arguments);
    let (who, number) = named.split_once('@').unwrap_or((named, ""));
    let member = find(turn, who)?;
    let id = member.id.clone();
    if number.parse::<u32>().ok() != Some(member.number) {
        return Err(Refusal::new(
            "not what stands now",
            format!("what you would approve of `{id}` is {id}@{}.", member.number),
            format!(
                "look with `| /member show {id}`, then write `| /member approve {id}@{}`.",
                member.number
            ),
        ));
    }
    let me = turn.person.id.clone();
    if me == id {
        return Err(Refusal::new("it is you", "nobody approves themselves.", ""));
    }
    if let Some(answer) = let_in(turn, &member)? {
        return Ok(answer);
    }
    let open = member.groups.iter().filter(|(_, m)| m.active.is_none());
    let mut open: Vec<String> = open.map(|(group, _)| group.clone()).collect();
    if !rest.is_empty() {
        open.retain(|group| group.eq_ignore_ascii_case(rest));
    }
    // What stands in two proposals was shown in two mails.
    if open.len() > 1 {
        return Err(Refusal::new(
            "say which group",
            format!("`{id}` is proposed for {}.", open.join(" and ")),
            format!("write `| /member approve {id}@{} GROUP`, without the bar.", member.number),
        ));
    }
    if open.is_empty() {
        return Err(Refusal::new("nothing to approve", format!("nothing waits for `{id}`."), ""));
    }
    // The approval comes last: what is approved is all that stands by then.
    for group in &open {
        let missing = membership::missing_before_approval(turn.work, &member, group);
        if !missing.is_empty() {
            return Err(Refusal::new(
                "not everything is there",
                format!(
                    "before `{id}` can be approved: {}.",
                    missing.iter().map(member_words::missing).collect::<Vec<_>>().join("; ")
                ),
                "you are asked once it is.",
            ));
        }
    }
    let fresh: Vec<String> = open
        .into_iter()
        .filter(|group| !member.groups.get(group).is_some_and(|m| m.approved.contains_key(&me)))
        .collect();
    if fresh.is_empty() {
        return Err(twice());
    }
    for group in fresh {
        turn.work.add_member(&id, MemberFact::Approved { group, number: member.number });
    }
    Ok(format!("You approve {id}@{}.\n{}", member.number, outcome(turn, &id)?))
}

fn twice() -> Refusal {
    Refusal::new(
        "you have approved it",
        "you have approved this already, and it needs two people.",
        "another of the team must approve it.",
    )
}

//------------ Ending -----------------------------------------------------------------------------

/// Tells a member what was decided about them, if anything can be sealed to them.
fn tell_member(turn: &mut Turn<'_, '_>, member: &Member, heading: &str, line: &str) {
    let Some(key) = member.keys.first() else { return };
    let usable = turn.work.desk.key_facts(&key.fingerprint);
    if !usable.is_some_and(|facts| facts.is_usable(turn.work.now)) {
        return;
    }
    let facts = json!({
        "heading": heading, "lines": [line],
        "next": "if you have a question, answer this mail, signed and\nencrypted; it reaches the team.",
    });
    turn.work.tell_by_key(&as_known_by(member, key), Purpose::Reminder, "alert", facts);
}

/// Takes somebody out for now. Used by `/leak` as well.
pub(super) fn suspend_member(turn: &mut Turn<'_, '_>, member: &Member, reason: &str) {
    let reason = clean_line(reason, WORDS_MAX);
    turn.work.add_member(&member.id, MemberFact::Suspended { reason: reason.clone() });
    let lines = [
        format!("{} ({}) gets nothing for now.", member.name, member.id),
        format!("Reason: {reason}"),
    ];
    let others = stewards_but(turn.work, &turn.person.id);
    let next = format!(
        "nothing; two of you let them in again with `| /member reinstate {}`, without the bar.",
        member.id
    );
    tell_at_desk(turn.work, &others, "A member was suspended", &lines, &next);
    tell_member(
        turn,
        member,
        "Your membership rests",
        "You get no notices of ours for now. What you know stays under embargo.",
    );
}

/// `/member suspend WHO REASON`: at once, by one alone; it is letting in that takes two.
fn suspend(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let (who, reason) = first(arguments);
    let member = find(turn, who)?;
    needs(reason, "member suspend", "WHO REASON")?;
    if member.suspended.is_some() {
        return Err(Refusal::new("suspended already", format!("`{who}` is suspended."), ""));
    }
    suspend_member(turn, &member, reason);
    Ok(format!("{} gets nothing from now on. What was sent before is in the ledger.", member.id))
}

/// `/member reinstate WHO`
fn reinstate(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let member = find(turn, arguments)?;
    let id = member.id.clone();
    if member.suspended.is_none() {
        return Err(Refusal::new("not suspended", format!("`{id}` is not suspended."), ""));
    }
    if id == turn.person.id {
        return Err(Refusal::new("it is you", "nobody lets themselves in.", "ask another of you."));
    }
    let others = stewards_but(turn.work, &turn.person.id);
    if others.is_empty() {
        return Err(Refusal::new(
            "nobody could approve it",
            "two of you must agree, and you are the only one.",
            "the operator can do it: `embargod group reinstate`.",
        ));
    }
    turn.work.add_member(&id, MemberFact::ReinstatementAsked);
    let why = member
        .suspended
        .as_ref()
        .map_or_else(String::new, |s| format!("Suspended {}: {}", turn.work.say(s.at), s.reason));
    let who = format!("{} wants to let {} ({id}) in again.", turn.person.name, member.name);
    let lines = [who, why];
    let next = format!("`| /member approve {id}@{}` if you agree, without the bar.", member.number);
    tell_at_desk(turn.work, &others, "Let a member in again?", &lines, &next);
    Ok(format!(
        "Asked. Another of you approves it:\n\n  | /member approve {id}@{}\n",
        member.number
    ))
}

/// `/member remove WHO REASON`: from every group, at once; the key is dropped with it.
fn remove(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let (who, reason) = first(arguments);
    let member = find(turn, who)?;
    needs(reason, "member remove", "WHO REASON")?;
    let reason = clean_line(reason, WORDS_MAX);
    let fact = MemberFact::Removed { group: None, reason: reason.clone() };
    tell_member(
        turn,
        &member,
        "Your membership has ended",
        "You get no notices of ours any more. What you know stays under embargo.",
    );
    turn.work.add_member(&member.id, fact);
    let lines = [
        format!("{} ({}) was removed from every group.", member.name, member.id),
        format!("Reason: {reason}"),
    ];
    let others = stewards_but(turn.work, &turn.person.id);
    let next = "nothing; to take them in again, propose them anew.";
    tell_at_desk(turn.work, &others, "A member was removed", &lines, next);
    Ok(format!(
        "{} is out of every group, and their key is dropped. What was sent is in the ledger.",
        member.id
    ))
}

/// `/member reviewed WHO [GROUP] NOTE`
fn reviewed(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let (who, rest) = first(arguments);
    let member = find(turn, who)?;
    let (group, note) = group_of(turn, &member, rest)?;
    needs(note, "member reviewed", "WHO NOTE")?;
    if !member.is_active(&group) {
        return Err(Refusal::new("not active", format!("`{who}` is not active in `{group}`."), ""));
    }
    let note = clean_line(note, WORDS_MAX);
    turn.work.add_member(&member.id, MemberFact::Reviewed { group: group.clone(), note });
    let rules = turn.work.desk.group(&group);
    let next = rules.and_then(|rules| find(turn, who).ok()?.review_due(&group, rules));
    let next = next.map_or_else(String::new, |at| format!(" Next: {}.", turn.work.say(at)));
    Ok(format!("{} was reviewed for {group}.{next}", member.id))
}

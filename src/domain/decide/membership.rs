//! What time and facts bring for members and for keys: warnings, reviews, keys that take effect, and
//! the moment at which somebody becomes active.

use std::collections::BTreeMap;

use serde_json::json;

use crate::domain::decide::decision::Decision;
use crate::domain::decide::relay;
use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Event, Purpose, Recipient};
use crate::domain::facts::key::PinnedKey;
use crate::domain::facts::letter::Letter;
use crate::domain::facts::mark::Mark;
use crate::domain::facts::member_fact::MemberFact;
use crate::domain::facts::names::{
    Digest, Fingerprint, Fresh, Handle, Moment, PersonId, base32, nonce_hash,
};
use crate::domain::model::desk::Desk;
use crate::domain::model::desk::cares::{Care, cares, own_warnings};
use crate::domain::model::incident::{Incident, Notice};
use crate::domain::model::member::{Member, Missing, OfferedKey};
use crate::domain::model::roster::Person;
use crate::domain::model::schedule;
use crate::domain::outgoing::mail::{Mail, Words};
use crate::domain::outgoing::texts;
use crate::domain::outgoing::texts::wrapped;
use crate::domain::process::playbook::{Audience, Task, Truth};

/// Does what is due for somebody's keys and memberships.
pub fn due(desk: &Desk, id: &PersonId, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    let due: Vec<_> = cares(desk, id).into_iter().filter(|(at, ..)| *at <= now).collect();
    // Of several warnings about one key the latest speaks, so that a desk that was down says it once.
    let mut keys: BTreeMap<String, (Moment, i64)> = BTreeMap::new();
    for (_, mark, care) in due {
        match care {
            Care::Key { subkey, end, days } => {
                keys.insert(subkey, (end, days));
            }
            // That it is told is what makes the desk look who has missed something.
            Care::Begins => {}
            Care::NoKey => no_key(&mut work, id),
            Care::Review { group, late } => review(&mut work, id, &group, late),
            Care::KeyTakes => take(&mut work, id),
            Care::OverlapEnds => overlap_ends(&mut work, id),
        }
        if let Some(what) = mark {
            work.add_to_desk(Event::Told { person: id.clone(), what });
        }
    }
    for (subkey, (end, days)) in keys {
        key_ends(&mut work, id, &subkey, end, days);
    }
    work.done()
}

//------------ Keys that end ----------------------------------------------------------------------

/// Tells somebody that a key of theirs ends, and the team; what it means for the embargoes stands in
/// the copies of those who are on them.
fn key_ends(work: &mut Work<'_>, id: &PersonId, subkey: &str, end: Moment, days: i64) {
    let Some(person) = work.person(id) else { return };
    let until = work.desk.sealable_until(person, work.now);
    let goes_on = until.is_none_or(|until| until > end);
    let ended = end <= work.now;
    let when = work.say(end);
    let heading = match (ended, days) {
        (true, _) => "A key has ended".to_owned(),
        (false, 1) => "A key ends within a day".to_owned(),
        (false, days) => format!("A key ends in {days} days or less"),
    };
    if work.desk.can_seal(person, work.now) {
        let facts = json!({
            "heading": heading, "moment": when, "what": subkey, "cut": goes_on,
            "subject": "Your OpenPGP key ends",
        });
        work.tell(person, Purpose::Reminder, "key-ends", facts);
    }
    // In clear as well when it is near: the sealed one may lie unread, or be unreadable by now.
    if !goes_on && days <= 7 {
        tell_in_clear(work, person, "key-ends-clear");
    }
    if goes_on {
        return;
    }
    let verb = if ended { "could be used until" } else { "can be used until" };
    let line = format!("The key of {} ({id}) {verb} {when}.", person.name);
    let conflicts = conflicts(work.desk, person, work.now, end);
    for steward in stewards_but(work, id) {
        let mut lines = vec![line.clone()];
        for (handle, word, at) in &conflicts {
            let on_it = |incident: &Incident| incident.is_team(steward);
            if work.desk.incident(handle).is_some_and(on_it) {
                lines.push(format!(
                    "  {handle}: `{word}` leaves on {}, and could not be sealed to them",
                    work.say(*at)
                ));
            }
        }
        let next = "see that they renew it: they answer our mail with `| /key replace` and the new key attached, without the bar.";
        tell_at_desk(work, &[steward], &heading, &lines, next);
    }
}

/// The notices whose copy for somebody would find no usable key.
#[must_use]
pub fn conflicts(
    desk: &Desk,
    person: &Person,
    now: Moment,
    end: Moment,
) -> Vec<(Handle, String, Moment)> {
    let mut found = Vec::new();
    for incident in desk.open() {
        for (word, at) in notices_for(incident, person) {
            if at >= end.max(now) && !desk.can_seal(person, at) {
                found.push((incident.handle.clone(), word, at));
            }
        }
    }
    found
}

/// The notices of an incident that have not left and are for somebody, with their moments.
fn notices_for(incident: &Incident, person: &Person) -> Vec<(String, Moment)> {
    let theirs = |audience: &Audience| incident.is_meant(audience, person);
    let waits = |task: &&Task| {
        task.audience.as_ref().is_some_and(theirs)
            && !incident.notices.get(&task.id).is_some_and(Notice::has_left)
            && incident.applies(task) != Truth::No
            && !schedule::is_moot(incident, task)
    };
    let moments = incident.notice_tasks().filter(waits);
    moments
        .filter_map(|task| Some((task.word().to_string(), schedule::span_of(incident, task)?.0)))
        .collect()
}

/// Everybody to whom a notice of this incident could not be sealed at its moment, as people read it.
#[must_use]
pub fn keys_in_the_way(work: &Work<'_>) -> Vec<String> {
    let Some(incident) = &work.incident else { return Vec::new() };
    let mut lines = Vec::new();
    for person in work.desk.roster.people.values() {
        for (word, at) in notices_for(incident, person) {
            if at >= work.now && !work.desk.can_seal(person, at) {
                let until = work.desk.sealable_until(person, work.now);
                let key = match until.filter(|until| *until > work.now) {
                    Some(until) => format!("the key can be used until {}", work.say(until)),
                    None => "there is no key that can be used".to_owned(),
                };
                lines.push(format!(
                    "{} ({}): {key}, and `{word}` leaves on {}",
                    person.name,
                    person.id,
                    work.say(at)
                ));
            }
        }
    }
    lines
}

fn no_key(work: &mut Work<'_>, id: &PersonId) {
    let Some(person) = work.person(id) else { return };
    tell_in_clear(work, person, "key-ends-clear");
    let lines = [format!("Nothing can be sealed to the key of {} ({id}).", person.name)];
    let next = "ask them for their present key; two of you put it in with `| /key replace WHO`, the key attached, without the bar.";
    let stewards = stewards_but(work, id);
    tell_at_desk(work, &stewards, "A member has no usable key", &lines, next);
}

fn review(work: &mut Work<'_>, id: &PersonId, group: &str, late: bool) {
    let Some(person) = work.person(id) else { return };
    let rules = work.desk.group(group);
    let label = rules.map_or_else(|| group.to_owned(), |rules| rules.label.clone());
    let mut lines = vec![format!(
        "{} ({id}), {label}: look again whether they still belong there.",
        person.name
    )];
    for criterion in rules.map(|rules| rules.criteria.as_slice()).unwrap_or_default() {
        lines.push(format!("  - {}", criterion.text));
    }
    let next = format!(
        "`| /member reviewed {id} NOTE`, or `| /member remove {id} REASON`, without the bar."
    );
    let heading = if late { "A member was not reviewed" } else { "A member is due for review" };
    let stewards = stewards_but(work, id);
    tell_at_desk(work, &stewards, heading, &lines, &next);
}

//------------ Keys that change -------------------------------------------------------------------

/// Whether those who agreed to a key still may, and it can be used.
fn still_stands(work: &Work<'_>, offered: &OfferedKey) -> bool {
    let agreed = offered.approved.keys().filter(|id| work.desk.is_steward(id)).count();
    let facts = work.desk.key_facts(&offered.key.fingerprint);
    agreed >= offered.wanted() && facts.is_none_or(|facts| facts.is_usable(work.now))
}

/// The offered key takes the place of the one before, and both are told; or it is called off, where
/// it cannot be used, or who agreed may not any more.
fn take(work: &mut Work<'_>, id: &PersonId) {
    let Some(member) = work.members().get(id).cloned() else { return };
    let Some(offered) = member.offered.clone() else { return };
    if !still_stands(work, &offered) {
        work.add_member(id, MemberFact::KeyCancelled);
        let lines = [format!(
            "The new key for {} ({id}) was called off: it cannot be used, or somebody who approved it is not of the team any more.",
            member.name
        )];
        let stewards = stewards_but(work, id);
        let next = "offer it again with `| /key replace WHO`, the key attached, without the bar.";
        tell_at_desk(work, &stewards, "A new key was called off", &lines, next);
        return;
    }
    let fingerprint = offered.key.fingerprint.clone();
    let before: Vec<PinnedKey> = member.keys.clone();
    work.add_member(id, MemberFact::KeyTaken { fingerprint: fingerprint.clone() });
    let lines = [format!("The key of {} ({id}) is now {}.", member.name, fingerprint.spaced())];
    let next = "if it was not you who wanted this, reply at once, signed with either key, with `| /key revoke`, without the bar, and reach the team by another way.";
    let keys = before.iter().chain([&offered.key]);
    tell_keys(work, &member, keys, "Your key was changed", &lines, next);
    let stewards = stewards_but(work, id);
    let next = "nothing; what was withheld is sent now.";
    tell_at_desk(work, &stewards, "A member's key was changed", &lines, next);
}

/// Lets the offered key take effect, if all that it takes is there and its moment has come.
pub fn settle_key(work: &mut Work<'_>, id: &PersonId) -> bool {
    let member = work.members().get(id);
    let at = member.and_then(|member| member.offered.as_ref()?.takes_effect());
    let now = at.is_some_and(|at| at <= work.now);
    if now {
        take(work, id);
    }
    now
}

fn overlap_ends(work: &mut Work<'_>, id: &PersonId) {
    let Some(member) = work.members().get(id).cloned() else { return };
    for key in member.keys.iter().skip(1) {
        let fingerprint = key.fingerprint.clone();
        work.add_member(id, MemberFact::KeyDropped { fingerprint });
    }
}

/// Draws a nonce that a key must answer, and remembers its hash.
pub fn challenge(work: &mut Work<'_>, id: &PersonId, fingerprint: &Fingerprint) -> String {
    let nonce = base32(&work.fresh.draw(), 16);
    let fingerprint = fingerprint.clone();
    work.add_member(id, MemberFact::Challenged { nonce: nonce_hash(&nonce), fingerprint });
    nonce
}

/// Sends a member a sealed mail to each of some keys: what concerns a key is said to it and to the
/// one beside it.
pub fn tell_keys<'k>(
    work: &mut Work<'_>,
    member: &Member,
    keys: impl Iterator<Item = &'k PinnedKey>,
    heading: &str,
    lines: &[String],
    next: &str,
) {
    for key in keys {
        let person = as_known_by(member, key);
        let lines: Vec<String> = lines.iter().map(|line| wrapped(line)).collect();
        let facts = json!({
            "heading": heading, "lines": lines,
            "next": wrapped(next),
        });
        work.tell_by_key(&person, Purpose::Alert, "alert", facts);
    }
}

/// A member, as known by one of their keys.
#[must_use]
pub fn as_known_by(member: &Member, key: &PinnedKey) -> Person {
    Person {
        id: member.id.clone(),
        name: member.name.clone(),
        address: member.address.clone(),
        fingerprint: key.fingerprint.clone(),
        certificate: key.certificate.clone(),
        roles: std::collections::BTreeSet::new(),
        groups: std::collections::BTreeSet::new(),
        seal_newer: false,
        further: Vec::new(),
    }
}

/// Sends somebody a content-free word in clear.
pub fn tell_in_clear(work: &mut Work<'_>, person: &Person, template: &str) {
    let incident = work.incident.take();
    let facts = work.clear_facts();
    match work.desk.texts.clear(template, &facts) {
        Ok(text) => {
            let message_id = work.message_id();
            work.post(Mail {
                message_id,
                about: None,
                to: Recipient::Person(person.id.clone()),
                address: person.address.clone(),
                key: None,
                purpose: Purpose::Waiting,
                not_before: work.now,
                words: Words::Clear(text),
                attachments: Vec::new(),
                with_our_key: true,
                answers: None,
            });
        }
        Err(problem) => work.fault(problem.to_string()),
    }
    work.incident = incident;
}

/// Calls off a new key that an old one has offered: whoever has that one could have signed it. Says
/// whether there was one.
pub fn call_off_offer(work: &mut Work<'_>, member: &Member) -> bool {
    let by_old = member.offered.as_ref().is_some_and(|offered| offered.by_old);
    if by_old {
        work.add_member(&member.id, MemberFact::KeyCancelled);
    }
    by_old
}

/// Takes in that keys of people are revoked: by the keys themselves, so it counts whoever sent it.
pub fn revoked(desk: &Desk, letter: &Letter, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    for key in &letter.revoked {
        let newcomer = desk.roster.pending_keys.get(&key.fingerprint);
        let Some(person) = desk.roster.by_fingerprint(&key.fingerprint).or(newcomer) else {
            continue;
        };
        let (fingerprint, certificate) = (key.fingerprint.clone(), key.certificate.clone());
        let pinned = PinnedKey { fingerprint, certificate };
        work.add_member(&person.id, MemberFact::KeyUpdated { key: pinned, revoked: true });
        let member = work.members().get(&person.id).cloned();
        let called_off = member.is_some_and(|member| call_off_offer(&mut work, &member));
        tell_in_clear(&mut work, person, "key-revoked");
        if key.facts.subkeys.is_empty() {
            // Said here, and not once more as a key that nothing can be sealed to.
            let what = Mark::NoKey(person.fingerprint.clone());
            work.add_to_desk(Event::Told { person: person.id.clone(), what });
        }
        let what = match key.facts.usable_until(now) {
            Some(until) if until <= now => "Nothing can be sealed to it any more.",
            Some(_) | None => "Another key of the certificate is left.",
        };
        let mut lines = vec![
            format!("The key of {} ({}) was revoked:", person.name, person.id),
            format!("  {}", key.fingerprint.spaced()),
            what.to_owned(),
        ];
        if called_off {
            lines.push("The new key that it had offered was called off.".to_owned());
        }
        if !letter.text.trim().is_empty() {
            let text: String = texts::clean(&letter.text).chars().take(4_000).collect();
            lines.push("The mail that brought it says:".to_owned());
            lines.push(texts::quote(&texts::without_references(&text)));
        }
        let mut people = stewards_but(&work, &person.id);
        people.extend(desk.roster.operators().into_iter().filter(|o| o.id != person.id));
        let next = "ask them, by another way, for a new key.";
        tell_at_desk(&mut work, &people, "A key was revoked", &lines, next);
    }
    work.done()
}

//------------ The desk's own key -----------------------------------------------------------------

/// Tells the operators that the desk's own key ends.
pub fn own_key(desk: &Desk, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    let due: Vec<_> = own_warnings(desk).into_iter().filter(|(at, ..)| *at <= now).collect();
    let Some(end) = due.iter().map(|(_, _, end)| *end).min() else { return work.done() };
    let lines = [
        format!("The desk's own key can be used until {}.", work.say(end)),
        "After that nobody can write to it sealed, and it can send nothing.".to_owned(),
    ];
    let next = "run `embargod key rotate` on the machine, publish the new certificate, and restart the desk.";
    relay::alert(&mut work, None, "The desk's own key ends", &lines, next);
    for (_, mark, _) in due {
        work.add_to_desk(Event::Told { person: PersonId::of_desk(), what: mark });
    }
    work.done()
}

/// Tells everybody that the desk has another key: signed by the one before, the new one attached.
pub fn new_desk_key(desk: &Desk, before: &Fingerprint, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    let people = desk.roster.people.values();
    let told = people.filter(|person| person.is_maintainer() || !person.groups.is_empty());
    for person in told {
        let facts = json!({
            "what": before.spaced(), "pinned": desk.settings.fingerprint.spaced(),
            "ref": work.desk_reference(&person.id),
        });
        let written = work.write("desk-key", &facts);
        let message_id = work.message_id();
        work.post(Mail {
            message_id,
            about: None,
            to: Recipient::Person(person.id.clone()),
            address: person.address.clone(),
            key: Some(desk.key_for(person, now)),
            purpose: Purpose::NewKey,
            not_before: now,
            words: Words::Sealed(written),
            attachments: Vec::new(),
            with_our_key: true,
            answers: None,
        });
    }
    work.done()
}

//------------ The operator's word ----------------------------------------------------------------

/// Puts people in groups on the operator's word, and tells those who look after the members.
pub fn taken_over(
    desk: &Desk,
    people: &[Person],
    source: &str,
    now: Moment,
    fresh: Fresh,
) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    let mut lines = Vec::new();
    for person in people {
        let groups: Vec<&str> = person.groups.iter().map(String::as_str).collect();
        lines.push(format!("  {} ({}): {}", person.name, person.id, groups.join(", ")));
        let key = PinnedKey {
            fingerprint: person.fingerprint.clone(),
            certificate: person.certificate.clone(),
        };
        let fact = MemberFact::Imported {
            name: person.name.clone(),
            address: person.address.clone(),
            groups: person.groups.clone(),
            key,
            source: source.to_owned(),
        };
        work.add_member(&person.id, fact);
        // Who was put in by hand has heard nothing so far; whom the config had knows us.
        if source != "config" {
            let facts = json!({ "audience": groups.join(", "), "name": person.name, "cut": true });
            work.tell_by_key(person, Purpose::Reminder, "welcome", facts);
        }
    }
    // At the very first start there is nobody yet to whom it would be news.
    if desk.head.number > 1 {
        const SHOWN: usize = 50;
        let more = lines.len().saturating_sub(SHOWN);
        lines.truncate(SHOWN);
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
        lines.insert(0, format!("The operator has put these in groups ({source}):"));
        let stewards: Vec<&Person> = desk.stewards().collect();
        let next = "see `| /member list`, without the bar; if it was not the operator, find out who has a shell there.";
        tell_at_desk(&mut work, &stewards, "Members were put in", &lines, next);
    }
    work.done()
}

/// Takes a fact about a member in on the operator's word, and tells those who look after the members.
pub fn ordered(
    desk: &Desk,
    id: &PersonId,
    fact: MemberFact,
    now: Moment,
    fresh: Fresh,
) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    let lines = [format!("The operator, on the command line: {id} {}.", fact.words())];
    work.add_member(id, fact);
    let stewards: Vec<&Person> = desk.stewards().collect();
    let next = "nothing; if it was not the operator, find out who has a shell there.";
    tell_at_desk(&mut work, &stewards, "The operator changed a member", &lines, next);
    work.done()
}

//------------ Becoming active --------------------------------------------------------------------

/// The text of the terms that members accept, by its hash.
#[must_use]
pub fn terms(desk: &Desk) -> Digest {
    desk.texts.digest("membership-terms")
}

/// What still misses before somebody is active in a group.
#[must_use]
pub fn missing(work: &Work<'_>, member: &Member, group: &str) -> Vec<Missing> {
    let Some(rules) = work.desk.group(group) else { return vec![Missing::Group] };
    let members = work.members();
    let vouches = |id: &PersonId| members.get(id).is_some_and(|voucher| voucher.is_active(group));
    let counts = |id: &PersonId| work.desk.is_steward(id);
    member.missing(group, rules, members.places(group), counts, vouches)
}

/// What still misses besides approvals.
#[must_use]
pub fn missing_before_approval(work: &Work<'_>, member: &Member, group: &str) -> Vec<Missing> {
    let mut missing = missing(work, member, group);
    missing.retain(|what| !matches!(what, Missing::Approvals(_)));
    missing
}

/// Asks those of the team who have not approved somebody to do it, once nothing else misses.
fn ask_approval(work: &mut Work<'_>, member: &Member) {
    for (group, membership) in &member.groups {
        let only_that = membership.active.is_none()
            && missing_before_approval(work, member, group).is_empty()
            && !missing(work, member, group).is_empty();
        if !only_that {
            continue;
        }
        let mut people = stewards_but(work, &member.id);
        people.retain(|person| !membership.approved.contains_key(&person.id));
        let lines = [
            format!("{} ({}) has met everything for `{group}`.", member.name, member.id),
            "Look at it before you approve.".to_owned(),
        ];
        let next = format!(
            "`| /member show {0}`, then `| /member approve {0}@{1} {group}`, without the bar.",
            member.id, member.number
        );
        tell_at_desk(work, &people, "A member waits for your approval", &lines, &next);
    }
}

/// Makes somebody active in each group where nothing misses any more. Says in which.
pub fn settle(work: &mut Work<'_>, id: &PersonId) -> Vec<String> {
    let Some(member) = work.members().get(id).cloned() else { return Vec::new() };
    let waits = |group: &&String| {
        member.groups.get(*group).is_some_and(|membership| membership.active.is_none())
    };
    let ready: Vec<String> = member
        .groups
        .keys()
        .filter(waits)
        .filter(|group| missing(work, &member, group).is_empty())
        .cloned()
        .collect();
    if ready.is_empty() {
        ask_approval(work, &member);
    }
    for group in &ready {
        let agreed = member.groups.get(group).into_iter().flat_map(|m| m.approved.keys());
        let Some(seconded) = work.desk.two_of_stewards(agreed, id) else { continue };
        work.add_member(id, MemberFact::Activated { group: group.clone(), seconded });
        let rules = work.desk.group(group);
        let label = rules.map_or_else(|| group.clone(), |rules| rules.label.clone());
        let Some(key) = member.keys.first() else { continue };
        let person = as_known_by(&member, key);
        let facts = json!({ "audience": label, "name": member.name, "cut": false });
        work.tell_by_key(&person, Purpose::Reminder, "welcome", facts);
        let lines = [format!("{} ({id}) is now active in {label}.", member.name)];
        let stewards = stewards_but(work, id);
        let next = "nothing; notices that they missed are sent to them while the embargo lasts.";
        tell_at_desk(work, &stewards, "A new member", &lines, next);
    }
    ready
}

/// Those who look after the members, without one of them.
#[must_use]
pub fn stewards_but<'a>(work: &Work<'a>, id: &PersonId) -> Vec<&'a Person> {
    work.desk.stewards().filter(|person| person.id != *id).collect()
}

/// Tells people something that is about the desk and about no incident.
pub fn tell_at_desk(
    work: &mut Work<'_>,
    people: &[&Person],
    heading: &str,
    lines: &[String],
    next: &str,
) {
    let incident = work.incident.take();
    work.inform(people, heading, lines, next);
    work.incident = incident;
}

//! What of members and of the desk's own key wants to be looked after, and when.

use crate::domain::facts::key;
use crate::domain::facts::mark::Mark;
use crate::domain::facts::names::{Fingerprint, Moment, PersonId, Span, later};
use crate::domain::model::desk::Desk;

/// Something that is wanted of somebody's key or membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Care {
    /// A key of theirs ends in so many days.
    Key { subkey: String, end: Moment, days: i64 },
    /// Nothing can be sealed to their key, now or later.
    NoKey,
    /// They are to be looked at again; `late` if nobody did.
    Review { group: String, late: bool },
    /// A key takes the place of theirs.
    KeyTakes,
    /// The key before it counts no more.
    OverlapEnds,
    /// A key of theirs can be used from now on.
    Begins,
}

/// How long after a review was due people are told again.
pub(crate) const REVIEW_LATE: Span = Span::days(30);

/// Everything that is wanted of somebody and has not been told or done, with its moment and the mark
/// that says so afterwards.
pub(crate) fn cares(desk: &Desk, id: &PersonId) -> Vec<(Moment, Option<Mark>, Care)> {
    let mut list = Vec::new();
    let Some(person) = desk.roster.person(id) else { return list };
    let member = desk.members.get(id);
    let active = person.is_maintainer() || !person.groups.is_empty();
    for facts in person.fingerprints().filter_map(|key| desk.key_facts(key)).filter(|_| active) {
        for (at, subkey, end, days) in key::warnings(facts) {
            let mark = Mark::Ends(subkey.id.clone(), end, days);
            list.push((at, Some(mark), Care::Key { subkey: subkey.id.clone(), end, days }));
        }
    }
    for facts in person.fingerprints().filter_map(|key| desk.key_facts(key)).filter(|_| active) {
        for subkey in &facts.subkeys {
            let begins = subkey.spans.iter().map(|(from, _)| *from);
            for from in begins.filter(|from| *from > Moment::UNIX_EPOCH) {
                let mark = Mark::Begins(subkey.id.clone(), from);
                list.push((from, Some(mark), Care::Begins));
            }
        }
    }
    // Whose key is dead already when it becomes known; the config's own people are named by `check`.
    let known = |key: &Fingerprint| desk.key_facts(key).map(|facts| facts.subkeys.is_empty());
    if active
        && !person.is_maintainer()
        && person.fingerprints().all(|key| known(key) == Some(true))
    {
        let mark = Mark::NoKey(person.fingerprint.clone());
        list.push((Moment::UNIX_EPOCH, Some(mark), Care::NoKey));
    }
    if let Some(member) = member {
        for group in member.groups.keys() {
            let Some(due) = desk.group(group).and_then(|rules| member.review_due(group, rules))
            else {
                continue;
            };
            for (at, late) in [(due, false), (later(due, REVIEW_LATE), true)] {
                let mark = Mark::Review(group.clone(), due, late);
                list.push((at, Some(mark), Care::Review { group: group.clone(), late }));
            }
        }
        if let Some(at) = member.offered.as_ref().and_then(|offered| offered.takes_effect()) {
            list.push((at, None, Care::KeyTakes));
        }
        if let Some(at) = member.overlap {
            list.push((at, None, Care::OverlapEnds));
        }
    }
    list.retain(|(_, mark, _)| mark.as_ref().is_none_or(|mark| !desk.was_told(id, mark)));
    list.sort_by_key(|(at, mark, _)| (*at, mark.as_ref().map(ToString::to_string)));
    list
}

/// When somebody's key or membership next wants something.
#[must_use]
pub fn next_due(desk: &Desk, id: &PersonId) -> Option<Moment> {
    cares(desk, id).first().map(|(at, ..)| *at)
}

/// The warnings about the desk's own key that nobody was told, with their marks.
pub(crate) fn own_warnings(desk: &Desk) -> Vec<(Moment, Mark, Moment)> {
    let Some(facts) = desk.key_facts(&desk.settings.fingerprint) else { return Vec::new() };
    let own = PersonId::of_desk();
    let marked = key::warnings(facts)
        .into_iter()
        .map(|(at, subkey, end, days)| (at, Mark::Ends(subkey.id.clone(), end, days), end));
    marked.filter(|(_, mark, _)| !desk.was_told(&own, mark)).collect()
}

/// When the operators are next to be told that the desk's own key ends.
#[must_use]
pub fn own_key_due(desk: &Desk) -> Option<Moment> {
    own_warnings(desk).into_iter().map(|(at, ..)| at).min()
}

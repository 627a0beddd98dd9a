//! What ties a mail to an incident and to a person: the references in it, and who signed it.

use crate::domain::facts::letter::Letter;
use crate::domain::facts::names::Handle;
use crate::domain::model::desk::Desk;
use crate::domain::model::roster::{Party, Person, Reference, references_in};

/// Where a mail belongs, and by what.
#[derive(Debug, Default)]
pub struct Place {
    /// The incident.
    pub handle: Option<Handle>,
    /// Whether it holds the reference that the incident's reporter was given.
    pub by_reporter: bool,
    /// The name of a copy, if it holds the reference that its sender was given.
    pub alias: Option<Handle>,
    /// References in its text whose token nobody was given.
    pub foreign: bool,
    /// The incident that its headers speak of.
    pub by_headers: Option<Handle>,
    /// Every incident that a reference in its text names, whoever it was made out to.
    pub named: std::collections::BTreeSet<Handle>,
    /// Whether it holds the reference that binds it to this desk, and that the signer was given.
    pub to_desk: bool,
    /// References that are made out to the signer, if a person signed.
    pub own: Vec<Reference>,
}

/// Finds where a mail belongs: by the reference that we issued, then by the mail that it answers;
/// never by its subject. What somebody of the roster signed is placed by their own reference: the
/// reporter's may stand in anything that they quote.
pub(crate) fn place_of(desk: &Desk, letter: &Letter) -> Place {
    let mut place = Place { by_headers: desk.thread(&letter.answers).cloned(), ..Place::default() };
    let person = signer(desk, letter);
    let author = letter.author().and_then(|author| desk.roster.by_address(author));
    let mut of_reporter = None;
    let mut unsigned = None;
    let references = references_in(&letter.text);
    for reference in references {
        let address = &desk.settings.address;
        let token = |party: Party<'_>| desk.ref_key.token(address, &reference.handle, party);
        if reference.handle == desk.own_handle() {
            let own = person.is_some_and(|who| token(Party::Person(&who.id)) == reference.token);
            place.to_desk |= own;
            place.foreign |= !own;
            continue;
        }
        let alias = desk.alias(&reference.handle);
        let named = alias.map_or(&reference.handle, |alias| &alias.incident);
        let Some(incident) = desk.incidents.get(named) else {
            place.foreign = true;
            continue;
        };
        place.named.insert(named.clone());
        let theirs = |who: Option<&Person>| {
            who.is_some_and(|who| token(Party::Person(&who.id)) == reference.token)
        };
        // Somebody of the roster may be the reporter of an incident.
        let reports = person.is_none_or(|person| {
            incident.reporter.address.as_ref().is_some_and(|at| at.same_box(&person.address))
        });
        if theirs(person) {
            place.own.push(reference);
        } else if token(Party::Reporter) == reference.token && reports {
            place.by_reporter |= alias.is_none();
            of_reporter.get_or_insert_with(|| named.clone());
            if alias.is_some() {
                place.alias = Some(reference.handle.clone());
            }
        } else {
            place.foreign = true;
            // Somebody of the roster who forgot to sign: nothing counts, and it is no new report.
            if person.is_none() && theirs(author) {
                unsigned.get_or_insert_with(|| named.clone());
            }
        }
    }
    let own = place.own.first().map(|reference| reference.handle.clone());
    place.handle = own.or(of_reporter).or(unsigned).or_else(|| place.by_headers.clone());
    place
}

/// The person of the roster who signed the whole mail.
pub(crate) fn signer<'a>(desk: &'a Desk, letter: &Letter) -> Option<&'a Person> {
    let fingerprint = &letter.verdict.signed()?.fingerprint;
    // Also one whose signature is dated before its revocation: whoever has a stolen key can do that.
    if desk.is_revoked(fingerprint) {
        return None;
    }
    desk.roster.by_fingerprint(fingerprint).or_else(|| desk.roster.newcomers.get(fingerprint))
}

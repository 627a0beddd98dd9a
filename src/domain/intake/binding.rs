//! What a mail is tied to: its incident by the references in it, its person by the signature, and the
//! words that it holds. Found once, and handed on.

use crate::domain::commands::grammar::{Parsed, parse};
use crate::domain::facts::letter::Letter;
use crate::domain::facts::names::Handle;
use crate::domain::model::desk::Desk;
use crate::domain::model::roster::{Party, Person, Reference, references_in};

/// Where a mail belongs, and by what.
#[derive(Debug, Default)]
pub struct Binding<'a> {
    /// Whoever its signature speaks for: a person of the roster, or one who offers the key.
    pub speaker: Option<&'a Person>,
    /// The words of the desk in it, and what its writer says to people; whether or not they count.
    pub parsed: Parsed,
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
pub(crate) fn bind<'a>(desk: &'a Desk, letter: &Letter) -> Binding<'a> {
    let person = desk.signer(letter).or_else(|| desk.offering(letter));
    let mut place = Binding {
        speaker: person,
        parsed: parse(&letter.text, &desk.settings.address),
        by_headers: desk.thread(&letter.answers).cloned(),
        ..Binding::default()
    };
    let author = letter.author().and_then(|author| desk.roster.by_address(author));
    let mut of_reporter = None;
    let mut unsigned = None;
    let references = references_in(&letter.text);
    for reference in references {
        let address = &desk.settings.address;
        let is_of = |party: Party<'_>| {
            desk.ref_key.is_token(address, &reference.handle, party, &reference.token)
        };
        if reference.handle == desk.own_handle() {
            let own = person.is_some_and(|who| is_of(Party::Person(&who.id)));
            place.to_desk |= own;
            place.foreign |= !own;
            continue;
        }
        let alias = desk.replay.alias(&reference.handle);
        let named = alias.map_or(&reference.handle, |alias| &alias.incident);
        let Some(incident) = desk.incident(named) else {
            place.foreign = true;
            continue;
        };
        place.named.insert(named.clone());
        let theirs = |who: Option<&Person>| who.is_some_and(|who| is_of(Party::Person(&who.id)));
        // Somebody of the roster may be the reporter of an incident.
        let reports = person.is_none_or(|person| {
            incident.reporter.address.as_ref().is_some_and(|at| at.same_box(&person.address))
        });
        if theirs(person) {
            place.own.push(reference);
        } else if is_of(Party::Reporter) && reports {
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

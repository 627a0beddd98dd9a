//! What a mail is tied to: its incident by the references in it, its person by the signature, and the
//! words that it holds. Found once, and handed on.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Whether it holds a reference of ours that was made out to somebody else.
    pub foreign: bool,
    /// Whether it holds what looks like a reference to something of ours, and was made out to nobody:
    /// planted, or a true one that was broken on the way.
    pub mangled: bool,
    /// The incident that its headers speak of.
    pub by_headers: Option<Handle>,
    /// Every incident that a reference in its text names, whoever it was made out to.
    pub named: BTreeSet<Handle>,
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
    let address = &desk.settings.address;
    let (issued, mangled) = issued_in(desk, &letter.text);
    place.mangled = mangled;
    for reference in issued {
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
        if let Some(alias) = alias
            && alias.incident.is_none()
        {
            // The name of an acknowledgement for a mail that was about no incident.
            if is_of(Party::Reporter) {
                place.alias = Some(reference.handle.clone());
            }
            continue;
        }
        let named = alias.and_then(|alias| alias.incident.as_ref()).unwrap_or(&reference.handle);
        let Some(incident) = desk.incident(named) else { continue };
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

/// So many references of ours are looked at in one mail.
const REFERENCES_MAX: usize = 64;

/// The references in a text that the desk has made out to somebody, and whether there is one to something
/// of ours that it has not. What only looks like one is a
/// stranger's: it counts for nothing, contradicts nothing and pushes none of ours out.
fn issued_in(desk: &Desk, text: &str) -> (BTreeSet<Reference>, bool) {
    // Made once for each handle, so that a mail full of guesses costs no more than one.
    let mut tokens: BTreeMap<Handle, BTreeSet<String>> = BTreeMap::new();
    let (mut found, mut mangled) = (BTreeSet::new(), false);
    for reference in references_in(text) {
        let own = reference.handle == desk.own_handle();
        if !own && !desk.is_taken(&reference.handle) {
            continue;
        }
        let issued = tokens.entry(reference.handle.clone()).or_insert_with(|| {
            let roster = &desk.roster;
            let people = roster.people.values().chain(roster.pending_keys.values());
            let people = people.map(|person| Party::Person(&person.id));
            let parties = people.chain(std::iter::once(Party::Reporter));
            let of = |party| desk.ref_key.tokens(&desk.settings.address, &reference.handle, party);
            parties.flat_map(of).collect()
        });
        if !issued.contains(&reference.token) {
            mangled = true;
        } else if found.len() < REFERENCES_MAX {
            found.insert(reference);
        }
    }
    (found, mangled)
}

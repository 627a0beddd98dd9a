//! The first answer to a report: where it may go, and what it says.

use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Event, Purpose, Recipient};
use crate::domain::facts::language;
use crate::domain::facts::letter::Letter;
use crate::domain::facts::names::{Address, Handle, Moment, Span, later};
use crate::domain::facts::outer_view::{FoundKey, OuterView};
use crate::domain::facts::source::Source;
use crate::domain::model::desk::Desk;
use crate::domain::outgoing::mail::{Mail, Words};
use crate::domain::outgoing::texts::{ClearFacts, SealedFacts};

/// What came into the folder for junk is acknowledged after so long, unless the team says that it is that.
const JUNK_WAITS: Span = Span::hours(4);

/// What an acknowledgement says about a key that came in from outside.
fn from_outside(key: Option<&FoundKey>) -> SealedFacts {
    let prove = "We found your key in a place that others could have changed.";
    SealedFacts { prove: key.map(|_| prove.to_owned()), ..SealedFacts::default() }
}

fn answer_by(work: &Work<'_>, desk: &Desk, received: Moment) -> String {
    let playbook = desk.playbooks.get(&desk.settings.playbook);
    playbook.map_or_else(String::new, |p| work.say(p.human_answer.due.from(received, &p.calendar)))
}

pub(crate) fn draw_handle(work: &mut Work<'_>) -> Handle {
    use chrono::Datelike;
    // Two reports drawing the same five letters is rare; drawing again ends it. The bound is for
    // a generator that is broken.
    let mut handle = Handle::draw(&work.desk.settings.prefix, work.now.year(), &mut work.fresh);
    for _ in 0..1_000 {
        if !work.desk.is_taken(&handle) {
            break;
        }
        handle = Handle::draw(&work.desk.settings.prefix, work.now.year(), &mut work.fresh);
    }
    handle
}

/// To whom an acknowledgement goes, and under which name.
pub(crate) struct Named<'a> {
    pub(crate) name: &'a Handle,
    pub(crate) to: Recipient,
    pub(crate) address: Address,
    pub(crate) received: Moment,
}

/// Acknowledges a mail: the same for one that opened and one that did not, since all of it is made of what
/// anybody could see of the mail.
pub(crate) fn acknowledgement(
    work: &mut Work<'_>,
    outer: &OuterView,
    named: &Named<'_>,
    also: Option<&Address>,
    at: Moment,
) {
    let facts = ClearFacts {
        received: work.say(named.received),
        answer_by: answer_by(work, work.desk, named.received),
        openpgp: outer.openpgp.map(|digest| digest.to_string()),
        hint: outer.hint.map(|hint| hint.words().to_owned()),
        unusable_key: outer.unusable_key.clone(),
        language: language::chosen(&work.desk.settings.languages, &outer.languages),
        ..work.clear_facts_under(named.name)
    };
    let more = from_outside(outer.keys.first());
    post(work, outer, named, "acknowledgement", (facts, more), at);
    if let Some(also) = also {
        second_address(work, outer, named.name, also, named.received, at);
    }
}

/// Tells another address of a mail's writer that it came: without a reference, and as small as can be, since
/// it may be anybody's.
fn second_address(
    work: &mut Work<'_>,
    outer: &OuterView,
    name: &Handle,
    also: &Address,
    received: Moment,
    at: Moment,
) {
    let under = work.clear_facts_under(name);
    let facts = ClearFacts { received: work.say(received), reference: String::new(), ..under };
    let (to, address) = (Recipient::Outsider(also.clone()), also.clone());
    let named = Named { name, to, address, received };
    // The key that came along is not known to be theirs.
    let bare = OuterView {
        keys: Vec::new(),
        unusable_key: None,
        writers: outer.writers.clone(),
        message_id: outer.message_id.clone(),
        ..OuterView::default()
    };
    post(work, &bare, &named, "second-address", (facts, SealedFacts::default()), at);
}

/// Writes to the sender of a mail: sealed to the key that came along outside, if one did. The one place where
/// strangers are answered without a person: of such answers an address gets few in a day.
pub(crate) fn post(
    work: &mut Work<'_>,
    outer: &OuterView,
    named: &Named<'_>,
    template: &str,
    (facts, more): (ClearFacts, SealedFacts),
    at: Moment,
) {
    let (desk, now) = (work.desk, work.now);
    let vouched = outer.vouched == Some(true);
    if !desk.limits.may_answer(&named.address, vouched, now) {
        return;
    }
    // Somebody of the roster by their pinned key alone.
    let pinned = desk.roster.by_address(&named.address).filter(|_| outer.openpgp.is_some());
    let pinned = pinned.map(|person| desk.key_for(person, now));
    let key = pinned.or_else(|| outer.keys.first().map(|found| found.fingerprint.clone()));
    // Small to an address that anybody may have written there: the key is had for the asking.
    let key_attached = vouched && !facts.reference.is_empty();
    let is_last = desk.limits.answers_left(&named.address, vouched, now) == 1;
    let facts = ClearFacts { key_known: key.is_some(), key_attached, is_last, ..facts };
    let texts = &work.desk.texts;
    let words = match &key {
        Some(_) => texts.clear_but_sealed(template, &facts, &more).map(Words::Sealed),
        None => texts.clear(template, &facts).map(Words::Clear),
    };
    match words {
        Ok(words) => {
            let mail = Mail {
                message_id: work.message_id(),
                about: work.incident.as_ref().map(|incident| incident.handle.clone()),
                to: named.to.clone(),
                address: named.address.clone(),
                key,
                purpose: Purpose::Acknowledgement,
                not_before: at,
                words,
                attachments: Vec::new(),
                with_our_key: key_attached,
                answers: outer.message_id.clone().filter(|_| template != "status"),
            };
            work.post(mail);
            let (to, source) = (named.address.clone(), Source::of(outer));
            work.add_to_desk(Event::AutoAnswered { to, vouched, source });
        }
        Err(problem) => work.fault(problem.to_string()),
    }
}

/// Whether a mail that looks encrypted bears the address of somebody of the roster. They hear of it sealed, as
/// what it turned out to be or as a mail in their name that did not count, and never by an acknowledgement:
/// whoever sees that mail come to them would know whether it opened.
pub(crate) fn is_ours(desk: &Desk, letter: &Letter, to: &Address) -> bool {
    letter.outer.openpgp.is_some() && desk.roster.by_address(to).is_some()
}

/// Whether the writer of a mail is acknowledged at all: there is somebody to answer, and an answer to them
/// left.
pub(crate) fn may(desk: &Desk, letter: &Letter, to: &Address, now: Moment) -> bool {
    let vouched = letter.outer.vouched == Some(true);
    !letter.from_before && !is_ours(desk, letter, to) && desk.limits.may_answer(to, vouched, now)
}

/// When a mail is acknowledged: on the next tick, or when its turn comes; and one that the host took for junk
/// later, since whoever wrote it may not be whom it names.
pub(crate) fn at(desk: &Desk, letter: &Letter, now: Moment) -> Moment {
    let source = Source::of(&letter.outer);
    let at = desk.limits.acknowledge_at(&desk.settings, &source, &letter.raw, letter.arrived, now);
    if letter.outer.spam { at.max(later(letter.arrived, JUNK_WAITS)) } else { at }
}

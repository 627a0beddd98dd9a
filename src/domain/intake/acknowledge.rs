//! The first answer to a report: where it may go, and what it says.

use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Purpose, Recipient};
use crate::domain::facts::letter::Letter;
use crate::domain::facts::names::{Address, Handle, Moment, Span, later};
use crate::domain::facts::outer_view::{FoundKey, OuterView};
use crate::domain::model::desk::Desk;
use crate::domain::outgoing::mail::{Mail, Words};
use crate::domain::outgoing::texts::{ClearFacts, SealedFacts};

/// What came into the folder for junk is acknowledged after so long, unless the team says that it is that.
const JUNK_WAITS: Span = Span::hours(4);

/// What an acknowledgement says about a key that came in from outside.
fn from_outside(key: Option<&FoundKey>) -> SealedFacts {
    let prove = "We found your key in a place that others could have changed.";
    SealedFacts { opened_with: None, prove: key.map(|_| prove.to_owned()) }
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
        message_id: outer.message_id.clone(),
        ..OuterView::default()
    };
    post(work, &bare, &named, "second-address", (facts, SealedFacts::default()), at);
}

/// Writes to the sender of a mail: sealed to the key that came along outside, if one did.
pub(crate) fn post(
    work: &mut Work<'_>,
    outer: &OuterView,
    named: &Named<'_>,
    template: &str,
    (facts, more): (ClearFacts, SealedFacts),
    at: Moment,
) {
    let key = outer.keys.first();
    let facts = ClearFacts { key_known: key.is_some(), ..facts };
    let texts = &work.desk.texts;
    let words = match key {
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
                key: key.map(|key| key.fingerprint.clone()),
                purpose: Purpose::Acknowledgement,
                not_before: at,
                words,
                attachments: Vec::new(),
                with_our_key: !facts.reference.is_empty(),
                answers: outer.message_id.clone(),
            };
            work.post(mail);
        }
        Err(problem) => work.fault(problem.to_string()),
    }
}

/// When a mail is acknowledged: on the next tick, or when its turn comes; and one that the host took for junk
/// later, since whoever wrote it may not be whom it names.
pub(crate) fn at(desk: &Desk, letter: &Letter, now: Moment) -> Moment {
    let encrypted = letter.outer.openpgp.is_some();
    let at = desk.limits.acknowledge_at(&desk.settings, encrypted, letter.arrived, now);
    if letter.junk { at.max(later(letter.arrived, JUNK_WAITS)) } else { at }
}

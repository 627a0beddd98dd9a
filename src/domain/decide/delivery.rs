//! Mails on their way: whether one may still leave, and what follows from how that ended.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::decide::copies::{is_entitled, is_meant_there};
use crate::domain::decide::decision::{Decision, Entry};
use crate::domain::decide::relay;
use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Delivery, Event, Purpose, Recipient};
use crate::domain::facts::names::{Fresh, Handle, MessageId, Moment, TaskId};
use crate::domain::model::desk::Desk;
use crate::domain::model::incident::Status;
use crate::domain::outgoing::mail::{Label, Mail, Words};
use crate::domain::outgoing::texts;

/// Whether a mail in the outbox may be handed over now: looked at again before each dialling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// It may.
    Now,
    /// It is held; look again when something changes.
    Held,
    /// Its recipient is no longer entitled; it must not.
    Never,
}

/// Looks again at a mail before it is handed over: is its recipient still who they were, is its
/// notice held?
#[must_use]
pub fn leaves(desk: &Desk, label: &Label) -> Leave {
    let Some(incident) = label.about.as_ref().and_then(|handle| desk.incident(handle)) else {
        return Leave::Now;
    };
    // Sealed to a key that was revoked, or that another one has taken the place of since.
    if let (Recipient::Person(id), Some(key)) = (&label.to, &label.key)
        && let Some(person) = desk.roster.person(id)
        && !person.fingerprints().any(|own| own == key && !desk.is_revoked(own))
    {
        return Leave::Never;
    }
    let talk = matches!(label.purpose, Purpose::Relay | Purpose::Reminder | Purpose::Alert);
    if let (true, Recipient::Person(id)) = (talk, &label.to) {
        // Who has left since it was written.
        let on_it = desk.roster.person(id).is_some_and(|person| incident.is_team(person));
        return if on_it { Leave::Now } else { Leave::Never };
    }
    if let (Purpose::Nudge, Recipient::Person(id)) = (&label.purpose, &label.to) {
        let person = desk.roster.person(id);
        let entitled = person.is_some_and(|person| incident.is_for_what_they_had(person));
        return if entitled { Leave::Now } else { Leave::Never };
    }
    // What the team took for spam meanwhile is answered by nobody.
    if label.purpose == Purpose::Acknowledgement && incident.status == Status::Spam {
        return Leave::Never;
    }
    let Purpose::Notice { notice, number } = &label.purpose else {
        return Leave::Now;
    };
    // A word about the date that a newer one has taken the place of.
    let newest = incident.notices.get(notice).and_then(|n| n.releases.keys().next_back());
    if *notice == TaskId::date_changed() && newest.is_some_and(|newest| newest > number) {
        return Leave::Never;
    }
    if incident.is_held(notice) {
        return Leave::Held;
    }
    let task = incident.task(notice);
    match &label.to {
        Recipient::Person(id) => {
            let person = desk.roster.person(id);
            let notice = incident.notices.get(notice);
            let draft = notice.and_then(|n| n.drafts.iter().find(|draft| draft.number == *number));
            let entitled = person.is_some_and(|person| {
                is_entitled(incident, person, task)
                    && draft.is_none_or(|draft| is_meant_there(desk, draft, person))
            });
            if entitled { Leave::Now } else { Leave::Never }
        }
        Recipient::List(_) | Recipient::Reporter | Recipient::Outsider(_) => Leave::Now,
    }
}

/// Takes in what became of a mail for good. `reply` is the server's answer, for the team.
pub fn delivered(
    desk: &Desk,
    message_id: &MessageId,
    label: &Label,
    outcome: Delivery,
    reply: &str,
    now: Moment,
    fresh: Fresh,
) -> Decision {
    // The way of a thousand copies: no copy of the incident is made for each.
    if let (Delivery::Accepted, Purpose::Notice { .. }, Some(about)) =
        (outcome, &label.purpose, &label.about)
    {
        let reply = texts::clean_line(reply, 120);
        let event = Event::Delivered { message_id: message_id.clone(), outcome, reply };
        let entry = Entry { incident: Some(about.clone()), by: None, event };
        return Decision { entries: vec![entry], ..Decision::default() };
    }
    let mut work = Work::on(desk, label.about.as_ref(), now, fresh);
    let matters = matters(&label.purpose);
    if work.incident.is_some() && (matters || outcome != Delivery::Accepted) {
        let reply = texts::clean_line(reply, 120);
        work.add(Event::Delivered { message_id: message_id.clone(), outcome, reply });
    }
    work.done()
}

/// A mail that will not leave, or of which nobody knows whether it did.
#[derive(Debug, Clone)]
pub struct GivenUp {
    /// What it was.
    pub label: Label,
    /// Whether it may have left.
    pub is_unknown: bool,
    /// What the server said last.
    pub reply: String,
}

/// Tells people of mails that will not leave: those of an incident in one word, however many they are.
pub fn given_up(desk: &Desk, mails: &[GivenUp], now: Moment, mut fresh: Fresh) -> Decision {
    // An alert that cannot be delivered must not make another one; and an answer to an address that
    // a stranger made up is nobody's trouble.
    let matters = |mail: &&GivenUp| {
        let unproven = matches!(mail.label.to, Recipient::Outsider(_))
            || matches!(mail.label.purpose, Purpose::Acknowledgement | Purpose::Key);
        mail.label.purpose != Purpose::Alert && !unproven
    };
    let mut by_incident: BTreeMap<Option<&Handle>, Vec<&GivenUp>> = BTreeMap::new();
    for mail in mails.iter().filter(matters) {
        by_incident.entry(mail.label.about.as_ref()).or_default().push(mail);
    }
    let mut together = Decision::default();
    for (about, mails) in by_incident {
        let mut work = Work::on(desk, about, now, Fresh::new(fresh.draw()));
        let say = |mail: &&GivenUp| {
            let (who, reply) = (relay::who(desk, &mail.label.to), &mail.reply);
            if mail.is_unknown {
                format!(
                    "The connection broke each time after our mail to {who} was handed over. They may have it several times, or not."
                )
            } else {
                format!("Our mail to {who} was refused for good. The server said: {reply}")
            }
        };
        let mut lines: Vec<String> = mails.iter().take(SHOWN_MAX).map(say).collect();
        if let Some(more) = mails.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            lines.push(format!("And {more} more; `embargod outbox list` shows them."));
        }
        let all_unknown = mails.iter().all(|mail| mail.is_unknown);
        let heading = match (all_unknown, mails.len()) {
            (true, _) => "It is not known whether a mail left",
            (false, 1) => "A mail could not be delivered",
            (false, _) => "Mails could not be delivered",
        };
        let next = if all_unknown {
            "ask them."
        } else {
            "check the address, and reach them by another way. The operator can have it tried once more: `embargod outbox retry`."
        };
        let first = mails.first().map(|mail| &mail.label.to);
        let one = first.filter(|to| mails.iter().all(|mail| mail.label.to == **to));
        relay::alert(&mut work, one, heading, &lines, next);
        together.merge(work.done());
    }
    together
}

/// So many are named in one word.
const SHOWN_MAX: usize = 20;

/// Whether being taken by the mail server is part of the history: notices, for the ledger, and
/// what ends the human clock.
pub(crate) fn matters(purpose: &Purpose) -> bool {
    matches!(purpose, Purpose::Notice { .. } | Purpose::Answer)
}

/// Takes in that mails could not be sealed to their recipients' keys: the copies are withheld, each
/// recipient gets a content-free word in clear, and the team is told; once a day for each cause.
pub fn withheld(desk: &Desk, all: &[(Mail, String)], now: Moment, fresh: &Fresh) -> Decision {
    let mut decision = Decision::default();
    let mut fresh = fresh.clone();
    let mut told: BTreeSet<(Option<&Handle>, &Recipient, &str)> = BTreeSet::new();
    for (mail, why) in all {
        fresh = fresh.again();
        let about = mail.about.as_ref().filter(|_| mail.to == Recipient::Reporter);
        let is_new = told.insert((about, &mail.to, why.as_str()));
        let before = desk.limits.withheld_told(about, &mail.to, why, now);
        let is_told = before || !is_new;
        decision.merge(one_withheld(desk, mail, why, is_told, now, fresh.clone()));
    }
    decision
}

fn one_withheld(
    desk: &Desk,
    mail: &Mail,
    why: &str,
    is_told: bool,
    now: Moment,
    fresh: Fresh,
) -> Decision {
    let mut work = Work::on(desk, mail.about.as_ref(), now, fresh);
    if work.incident.is_some() && matters(&mail.purpose) {
        let message_id = mail.message_id.clone();
        let reply = texts::clean_line(why, 120);
        work.add(Event::Delivered { message_id, outcome: Delivery::Withheld, reply });
    }
    // Once a day for each cause: a key that cannot be used is the same for a hundred mails.
    if is_told {
        return work.done();
    }
    let told = Event::WithheldTold { to: mail.to.clone(), why: why.to_owned() };
    if mail.to == Recipient::Reporter && work.incident.is_some() {
        work.add(told);
    } else {
        work.add_to_desk(told);
    }
    work.fault(format!(
        "a mail for {} was withheld: {why}",
        match &mail.to {
            Recipient::Person(id) => id.as_str(),
            Recipient::Reporter => "a reporter",
            Recipient::List(_) => "a list",
            Recipient::Outsider(_) => "an outsider",
        }
    ));
    let mut facts = work.clear_facts();
    facts.key_known = false;
    match desk.texts.clear("waiting", &facts) {
        Ok(text) => {
            let message_id = work.message_id();
            work.post(Mail {
                message_id,
                about: mail.about.clone(),
                to: mail.to.clone(),
                address: mail.address.clone(),
                key: None,
                purpose: Purpose::Waiting,
                not_before: mail.not_before,
                words: Words::Clear(text),
                attachments: Vec::new(),
                with_our_key: true,
                answers: None,
            });
        }
        Err(problem) => work.fault(problem.to_string()),
    }
    // Those who are told must not be the one whose key is broken, or this would go on for ever.
    if mail.purpose != Purpose::Alert {
        let lines = [format!(
            "A mail for {} could not be encrypted: {why}. It was not sent, nor is any other while that \
             lasts; this word comes once a day.",
            relay::who(desk, &mail.to)
        )];
        relay::alert(
            &mut work,
            Some(&mail.to),
            "A mail was withheld",
            &lines,
            "ask them for a usable key.",
        );
    }
    work.done()
}

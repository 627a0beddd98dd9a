//! The history of an incident in words, for `/log` and `embargod log`: one line a fact.
//!
//! Says what happened and never what was written: bodies are named in the journal, not quoted.

use crate::domain::facts::event::{Author, Delivery, Event, Purpose, Recipient};
use crate::domain::facts::names::TaskId;
use crate::domain::facts::record::Record;

/// A line of the history: when, who, what. `None` for facts that are no news to anyone: what the
/// desk put in its outbox by routine, and that it reminded people.
#[must_use]
pub fn line(record: &Record) -> Option<String> {
    let what = words(&record.event)?;
    let by = record.by.as_ref().map_or("the desk", |by| by.as_str());
    let at = record.at.format("%Y-%m-%d %H:%M:%S UTC");
    Some(format!("{:>5}  {at}  {by}: {what}", record.number))
}

#[expect(clippy::too_many_lines, reason = "one arm for each fact; a table of what each is called")]
fn words(event: &Event) -> Option<String> {
    let text = |text: &str| Some(text.to_owned());
    match event {
        Event::Configured { .. }
        | Event::SignatureSpent { .. }
        | Event::KeySent { .. }
        | Event::AutoAnswered { .. }
        | Event::Warned { .. }
        | Event::ServerTakes { .. }
        | Event::ReadsNewer { .. }
        | Event::WithheldTold { .. }
        | Event::Digested { .. }
        | Event::Listed { .. }
        | Event::MadeReport { .. }
        | Event::ReportGone { .. }
        | Event::Reminded { .. }
        | Event::Confirmed { .. } => None,
        Event::Told { .. } => None,
        Event::SaidInClear { .. } => text("wrote to the reporter IN CLEAR; see `/show`"),
        Event::AnswerUnsent { .. } => text("an answer was not sent for want of a key"),
        Event::Member { member, fact } => Some(format!("{member} {}", fact.words())),
        Event::Reported { fate, status, .. } => {
            Some(format!("a delivery report came: {fate:?} {status}").trim_end().to_lowercase())
        }
        Event::CaughtUp { notice, number, recipients } => {
            Some(format!("{notice}@{number} goes to {} who missed it", recipients.len()))
        }
        Event::Answered { notice, number, answer } => {
            Some(format!("{notice}@{number}: {answer:?}").to_lowercase())
        }
        Event::Objected { .. } => text("objects"),
        Event::AudienceSet { group, members } => Some(match members {
            Some(members) => format!("of {group} only {} are to know", members.len()),
            None => format!("everybody of {group} is to know"),
        }),
        Event::Leaked { who, .. } => {
            let who = who.as_ref().map_or("unknown", |who| who.as_str());
            Some(format!("it has got out; by whom: {who}"))
        }
        Event::AwaySet { until, .. } => text(if until.is_some() { "is away" } else { "is back" }),
        Event::AnchorSet { anchor, moment } => {
            Some(format!("{anchor}: {}", moment.format("%Y-%m-%d %H:%M:%S UTC")))
        }
        Event::BatchJoined { batch } => Some(format!("part of the release {batch}")),
        Event::BatchLeft => text("has left the release that it shared"),
        Event::RoleEnded { role } => Some(format!("role {role} ended")),
        Event::Migrated { playbook, .. } => {
            Some(format!("follows another playbook: {}", playbook.short()))
        }
        Event::ClockTrusted => text("the operator said that the clock is right"),
        Event::Restored => text("the store was put back from a backup"),
        Event::Started { down_since } => {
            Some(format!("began again; down since {}", down_since.format("%Y-%m-%d %H:%M UTC")))
        }
        Event::Opened(_) => text("a report came in"),
        Event::Joined { letter } => Some(match &letter.author {
            Author::Person(person) => format!("mail by {person}"),
            Author::Reporter => "mail by the reporter".to_owned(),
            Author::Unproven => "mail by somebody, unproven".to_owned(),
        }),
        Event::CopySeen { .. } => text("a copy of a known ciphertext came in; shown to nobody"),
        Event::KeyPinned { key } => {
            Some(format!("the reporter's key is now {}", key.fingerprint.spaced()))
        }
        Event::KeyProven { fingerprint } => {
            Some(format!("the reporter proved to hold {}", fingerprint.spaced()))
        }
        Event::Mailed { mails } => {
            let answers = mails.iter().filter(|mail| mail.purpose == Purpose::Answer).count();
            (answers > 0).then(|| "a mail to the reporter was written".to_owned())
        }
        Event::Delivered { outcome, .. } => Some(match outcome {
            Delivery::Accepted => "the mail server took a mail".to_owned(),
            Delivery::Queued => return None,
            Delivery::Dead => "a mail was refused for good".to_owned(),
            Delivery::Unknown => "it is not known whether a mail left".to_owned(),
            Delivery::Withheld => "a mail was withheld: it could not be sealed".to_owned(),
            Delivery::Withdrawn => "a mail was withdrawn".to_owned(),
        }),
        Event::Commanded { words } => Some(format!("commands: {}", words.join(", "))),
        Event::Refused { words, why } => Some(format!("refused ({}): {why}", words.join(", "))),
        Event::Accepted => text("accepted"),
        Event::Rejected { .. } => text("rejected"),
        Event::Unreadable => text("called unreadable"),
        Event::Spam => text("called spam"),
        Event::Gathered => None,
        Event::Untouched => text("closed quietly, since nobody touched it"),
        Event::Closed => text("closed"),
        Event::Duplicated { of } => Some(format!("a duplicate of {of}")),
        Event::Merged { into } => Some(format!("goes on as {into}")),
        Event::Linked { handle, merged: true } => Some(format!("{handle} goes on as this one")),
        Event::Linked { handle, merged: false } => Some(format!("{handle} is a duplicate of this")),
        Event::Unlinked { handle } => Some(format!("{handle} goes its own way again")),
        Event::Reopened => text("opened again"),
        Event::KnownPublic => text("the public knows"),
        Event::Exploited => text("it is exploited"),
        Event::FieldSet { field, value } => Some(format!("{field}: {value}")),
        Event::Titled { title } => Some(format!("title: {title}")),
        Event::Scored { vector, .. } => Some(format!("scored {vector}")),
        Event::CveSet { cve } => Some(cve.clone()),
        Event::GhsaSet { ghsa } => Some(ghsa.clone()),
        Event::Credited { credit } => Some(format!("the reporter wants the credit: {credit}")),
        Event::WillPublish { said } => Some(format!("the reporter intends to publish: {said}")),
        Event::ReporterOnDate { agrees: true, .. } => text("the reporter agreed to the day"),
        Event::ReporterOnDate { said, .. } => {
            Some(format!("the day does not suit the reporter: {said}"))
        }
        Event::StatusAsked { .. } => text("the reporter asked where it stands"),
        Event::LeadSet { person, .. } => Some(format!("{person} leads")),
        Event::LeadOffered { to, .. } => Some(format!("{to} was asked to lead")),
        Event::LeadDeclined { person, silent: true } => {
            Some(format!("{person} was asked to lead and said nothing"))
        }
        Event::LeadDeclined { person, silent: false } => Some(format!("{person} declined to lead")),
        Event::DeputySet { person } => Some(format!("{person} stands in for the lead")),
        Event::MemberJoined { person, role, .. } => Some(format!("{person} joined as {role}")),
        Event::MemberLeft { person } => Some(format!("{person} left")),
        Event::TaskDone { task, evidence, .. } => {
            let by = evidence.as_ref().map_or_else(String::new, |by| format!(", by {by}"));
            Some(format!("{task} done{by}"))
        }
        Event::TaskUndone { task } => Some(format!("{task} open again")),
        Event::TaskSkipped { task, reason } => Some(format!("{task} skipped: {reason}")),
        Event::Agreed { task, role } => Some(format!("{task} agreed to, as {role}")),
        Event::Noted { .. } => text("a note was kept"),
        Event::TSet { t } => Some(format!("T is {}", t.format("%Y-%m-%d %H:%M UTC"))),
        Event::Published { .. } => text("published"),
        Event::NoticeAdded { notice, title, .. } => Some(format!("{notice} added: {title}")),
        Event::Frozen(draft) => Some(format!("{}@{} frozen", draft.notice, draft.number)),
        Event::Approved { notice, number } => Some(format!("{notice}@{number} approved")),
        Event::Held { notice } => Some(format!("held: {}", name(notice.as_ref()))),
        Event::Resumed { notice, .. } => Some(format!("let go: {}", name(notice.as_ref()))),
        Event::Released { notice, number, late, recipients, .. } => {
            let late = if *late { ", late" } else { "" };
            Some(format!("{notice}@{number} leaves, to {}{late}", recipients.len()))
        }
        Event::SharedSent { on, notice, number, to, .. } => {
            Some(format!("{notice}@{number} of {on}, which is about this too: to {}", to.len()))
        }
        Event::Sent { notice, number, copies } => {
            let people = copies.iter().filter(|copy| matches!(copy.to, Recipient::Person(_)));
            Some(format!(
                "{notice}@{number}: {} copies written, {} to people",
                copies.len(),
                people.count()
            ))
        }
        Event::ConfirmAsked { ask, .. } => Some(format!(
            "{} was asked to confirm {}",
            ask.person,
            ask.line.trim_start_matches('/')
        )),
        Event::Cancelled { .. } => text("a command was called off"),
    }
}

fn name(notice: Option<&TaskId>) -> &str {
    notice.map_or("all notices", |notice| notice.as_str())
}

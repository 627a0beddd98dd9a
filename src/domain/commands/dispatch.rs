//! Which function carries a word out.

use crate::domain::commands::turn::{Answer, Turn};
use crate::domain::commands::{
    alarm, answers, batch, confirm, drafts, embargo, in_clear, joining, keys, leak, linking,
    member, people, read, record, rehearse, talk, tasks, triage,
};
use crate::domain::process::vocabulary::{Row, Word, unknown};

/// Carries out a word of somebody who signs.
///
/// # Errors
/// Why it is not done.
#[expect(clippy::too_many_lines, reason = "a table: one line a word")]
pub fn run(turn: &mut Turn<'_, '_>, row: &Row, arguments: &str) -> Answer {
    let run: fn(&mut Turn<'_, '_>, &str) -> Answer = match row.word {
        Word::Help => read::help,
        Word::Ping => read::ping,
        Word::Whoami => read::whoami,
        Word::Seal => read::seal,
        Word::List => read::list,
        Word::Incident => read::incident,
        Word::Status => read::status,
        Word::Show => read::show,
        Word::Part => read::part,
        Word::Agenda => read::agenda,
        Word::Checklist => read::checklist,
        Word::Log => read::log,
        Word::Accept => triage::accept,
        Word::Reject => triage::reject,
        Word::Unreadable => triage::unreadable,
        Word::Duplicate => linking::duplicate,
        Word::Merge => linking::merge,
        Word::Spam => triage::spam,
        Word::MakeReport => triage::make_report,
        Word::Close => triage::close,
        Word::Reopen => triage::reopen,
        Word::KnownPublic => alarm::known_public,
        Word::Exploited => alarm::exploited,
        Word::Lead => people::lead,
        Word::Handoff => people::handoff,
        Word::Take => people::take,
        Word::Decline => people::decline,
        Word::Deputy => people::deputy,
        Word::Join => people::join,
        Word::Leave => people::leave,
        Word::Away => people::away,
        Word::Back => people::back,
        Word::Set => record::set,
        Word::Title => record::title,
        Word::Cvss => record::cvss,
        Word::Cve => record::cve,
        Word::Ghsa => record::ghsa,
        Word::Affects => record::affects,
        Word::Fixed => record::fixed,
        Word::Done => tasks::done,
        Word::Undo => tasks::undo,
        Word::Skip => tasks::skip,
        Word::Note => record::note,
        Word::Reply => talk::reply,
        Word::ReplyClear => in_clear::reply,
        Word::Answer => talk::answer,
        Word::Tell => talk::tell,
        Word::Disclose => embargo::disclose,
        Word::Batch => batch::batch,
        Word::Preview => drafts::preview,
        Word::Approve => drafts::approve,
        Word::Hold => embargo::hold,
        Word::Resume => embargo::resume,
        Word::Published => embargo::published,
        Word::Rehearse => rehearse::rehearse,
        Word::Ledger => rehearse::ledger,
        Word::Audience => rehearse::audience,
        Word::Leak => leak::leak,
        Word::Release => tasks::release,
        Word::Member => member::member,
        Word::MemberKey => keys::of_team,
        Word::Cancel => confirm::cancel,
        Word::Ack => answers::ack,
        Word::Ready => answers::ready,
        Word::Objection => answers::objection,
        Word::ReportLeak => answers::leak,
        Word::Vouch => joining::vouch,
        Word::Terms => joining::terms,
        Word::OwnKey => keys::of_member,
        Word::LeaveGroup => joining::leave,
        // Resolved by whoever carries the mail out, since it stands for another line.
        Word::Confirm => return Err(unknown(row.name)),
        Word::ReportStatus
        | Word::Credit
        | Word::WillPublish
        | Word::AgreesToDate
        | Word::ObjectsToDate => return Err(unknown(row.name)),
    };
    run(turn, arguments)
}

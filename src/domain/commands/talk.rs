//! The words that talk: to the reporter, and to a group under embargo.

use serde_json::json;

use crate::domain::commands::turn::{Answer, Turn, needs};
use crate::domain::commands::{drafts, turn};
use crate::domain::decide::letters::settle_answer;
use crate::domain::decide::notice;
use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Event, Purpose};
use crate::domain::facts::letter::Attachment;
use crate::domain::facts::names::{PersonId, TaskId};
use crate::domain::facts::refusal::{Refusal, nearest};
use crate::domain::outgoing::texts::{
    Class, OWN_ANSWER, PREPARED, SealedFacts, Texts, clean, holds_reference, quote,
};
use crate::domain::process::playbook::Audience;
use crate::domain::process::vocabulary;

/// What must not leave in an answer: what the desk itself wrote to the team, quoted by a mail
/// program that marks no quotes.
fn quotes_the_desk(text: &str) -> bool {
    let ours = |line: &str| {
        line.starts_with("TLP:") || line.starts_with("Journal ") || line.starts_with("| /")
    };
    holds_reference(text) || text.lines().any(|line| ours(line.trim()))
}

/// Takes the text below the commands for one of them: it goes to one place, and what is meant for a
/// group must not leave for the reporter as well.
///
/// # Errors
/// When another word of the same mail has it.
pub(super) fn take_text(turn: &mut Turn<'_, '_>) -> Result<(), Refusal> {
    if turn.text_used {
        return Err(Refusal::new(
            "one text for two words",
            "two words of your mail take the text below them, and it can go to one place only.",
            "send them in two mails.",
        ));
    }
    turn.text_used = true;
    Ok(())
}

/// What became of words with content for the reporter.
pub(super) struct Answered {
    /// For the transcript.
    pub said: String,
    /// Whether they left.
    pub left: bool,
}

/// Shows the others what was said in their name, or was to be.
pub(super) fn tell_what_was_answered(
    turn: &mut Turn<'_, '_>,
    answered: &Answered,
    what: &str,
    text: &str,
) {
    let people = turn.work.circle();
    let name = &turn.person.name;
    let (heading, by, next) = if answered.left {
        (
            "Answered the reporter",
            format!("{name} answered the reporter. {what}"),
            "nothing, unless you see it otherwise.",
        )
    } else {
        (
            "NOT sent to the reporter",
            format!(
                "{name} wrote this for the reporter. It did NOT leave: we have no key of theirs that we may use, or no address."
            ),
            "nothing; once their key is there, it can be sent again with `| /reply`.",
        )
    };
    let lines = [by, String::new(), quote(text)];
    turn.tell_concerned(&people, heading, &lines, next);
}

/// The text below the commands, if it is fit to leave.
pub(super) fn own_text(turn: &mut Turn<'_, '_>, before: &str) -> Result<String, Refusal> {
    let text = clean(&[before, turn.text].join("\n")).trim().to_owned();
    if quotes_the_desk(&text) {
        return Err(Refusal::new(
            "it quotes a mail of the desk",
            "your text holds lines of a mail that the desk wrote to the team, not marked as a quote.",
            "delete them, or let your mail program mark quotes with `>`; then send it again.",
        ));
    }
    take_text(turn)?;
    Ok(text)
}

/// What a maintainer attached for the reporter, and the names of what is left out of it: what shows
/// who wrote it, and other forms of the text.
///
/// # Errors
/// When something is attached that holds what is not for the reporter.
fn for_reporter(turn: &Turn<'_, '_>) -> Result<(Vec<Attachment>, Vec<String>), Refusal> {
    let (mut leave, mut stay) = (Vec::new(), Vec::new());
    for attachment in turn.attachments() {
        if attachment.is_text_of_mail() || attachment.tells_who_wrote() {
            if !attachment.is_text_of_mail() {
                stay.push(attachment.name.to_string());
            }
            continue;
        }
        let text = String::from_utf8_lossy(&attachment.bytes);
        let mail = attachment.media.starts_with("message/");
        let ours = holds_reference(&text);
        let html = attachment.media == "text/html"
            && text.contains(turn.line.split(' ').next().unwrap_or("/"));
        if mail || ours || html {
            return Err(Refusal::new(
                "an attachment that is not for the reporter",
                format!(
                    "`{}` is a mail, or repeats a mail of the desk or your command.",
                    attachment.name
                ),
                "leave it out, or save what is meant for the reporter as a file of its own.",
            ));
        }
        leave.push(attachment.clone());
    }
    Ok((leave, stay))
}

/// `/reply`, with the text below the commands.
pub fn reply(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.incident()?;
    let text = own_text(turn, arguments)?;
    needs(&text, "reply", "and below it your text to the reporter")?;
    let kept = turn.work.keep(text.clone());
    turn.work.add(Event::Noted { note: kept });
    let (attachments, left_out) = for_reporter(turn)?;
    let facts = json!({ "text": text, "subject": "Your report" });
    let names: Vec<String> = attachments.iter().map(|part| part.name.to_string()).collect();
    let answered = content_for_reporter(turn.work, "reply", &facts, attachments);
    if answered.left {
        settle_answer(turn.work, OWN_ANSWER);
    }
    let mut answer = answered.said.clone();
    if !left_out.is_empty() {
        answer.push_str(&format!(
            "\nLeft out, since it would show who wrote it: {}.",
            left_out.join(", ")
        ));
    }
    let text = match names.as_slice() {
        [] => text,
        names => format!("{text}\n\n(attached: {})", names.join(", ")),
    };
    tell_what_was_answered(turn, &answered, "This left:", &text);
    Ok(answer)
}

/// `/answer NAME`
pub fn answer(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    turn.incident()?;
    let known = PREPARED.iter().find(|(name, _)| name.eq_ignore_ascii_case(arguments.trim()));
    let Some((name, _)) = known else {
        let list: Vec<String> =
            PREPARED.iter().map(|(name, what)| format!("{name} ({what})")).collect();
        let near = nearest(arguments, PREPARED.iter().map(|(name, _)| *name));
        let next = near.map_or_else(
            || format!("write one of these: {}.", list.join("; ")),
            |hint| format!("did you mean `| /answer {hint}`? Write it without the bar."),
        );
        return Err(Refusal::new(
            "no such answer",
            "there is no prepared answer of that name.",
            next,
        ));
    };
    let text = own_text(turn, "")?;
    if Texts::class(name) == Some(Class::Clear) {
        if !text.is_empty() {
            return Err(Refusal::new(
                "this answer takes no text",
                format!("`{name}` may leave in clear, so nothing can be added to it."),
                "leave the text out, or send it with `| /reply`, without the bar.",
            ));
        }
        let (facts, now) = (turn.work.clear_facts(), turn.work.now);
        turn.work.write_reporter(Purpose::Answer, name, &facts, &SealedFacts::default(), now);
        settle_answer(turn.work, name);
        return Ok(format!("`{name}` was sent. {}", turn::told(turn.work)));
    }
    let answered = content_for_reporter(turn.work, name, &json!({ "text": text }), Vec::new());
    tell_what_was_answered(turn, &answered, &format!("This left, as `{name}`:"), &text);
    if answered.left {
        settle_answer(turn.work, name);
    }
    Ok(answered.said)
}

/// `/tell GROUP` or `/tell MEMBER`: a word to an embargoed group or to one of it, frozen as a numbered
/// draft and approved like every notice, by another person than the one who wrote it.
pub fn tell(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let (group, member, label) = addressees(turn, arguments.trim())?;
    let audience = Audience::of(group.clone(), member.clone());
    let count = turn.incident()?.own.len().saturating_add(1);
    let text = own_text(turn, "")?;
    needs(&text, "tell", "GROUP|MEMBER, and below it your text")?;
    let id = TaskId::parse(&format!("tell-{count}")).ok_or_else(|| vocabulary::unknown("tell"))?;
    turn.work.add(Event::NoticeAdded {
        notice: id.clone(),
        title: format!("A word to {label}"),
        template: "tell".to_owned(),
        group,
        member,
        approvals: 1,
    });
    let written = notice::render_words(turn.work, &audience, &text).map_err(turn::broken)?;
    let task = turn.incident()?.task(&id).cloned();
    let task = task.ok_or_else(|| vocabulary::unknown("tell"))?;
    drafts::freeze_and_show(turn, &task, "tell", &written)
}

type Addressees = (String, Option<PersonId>, String);

/// The embargoed group of that name, or the member who is to know of the incident with the group
/// through which they do; and what people call them.
fn addressees(turn: &Turn<'_, '_>, name: &str) -> Result<Addressees, Refusal> {
    let incident = turn.open_incident()?;
    let groups = &incident.playbook.groups;
    let embargoed = || groups.iter().filter(|(_, group)| group.public.is_empty());
    if let Some((id, group)) = embargoed().find(|(id, _)| id.eq_ignore_ascii_case(name)) {
        return Ok((id.clone(), None, format!("the {}", group.label)));
    }
    let member = PersonId::parse(&name.to_ascii_lowercase());
    if let Some(person) = member.and_then(|id| turn.work.desk.roster.person(&id)) {
        let through = embargoed().find(|(group, _)| incident.is_for(group, person));
        let Some((group, _)) = through else {
            return Err(Refusal::new(
                "not for them",
                format!("`{name}` is in no group that gets what this incident sends."),
                "see `| /member show WHO` and `| /audience GROUP WHO...`, without the bar.",
            ));
        };
        return Ok((group.clone(), Some(person.id.clone()), person.name.clone()));
    }
    let known: Vec<&str> = embargoed().map(|(id, _)| id.as_str()).collect();
    Err(Refusal::new(
        "no such group or member",
        format!("`{name}` is no group under embargo and no member of one."),
        format!("write one of {}, or a member's id (`| /member list`).", known.join(", ")),
    ))
}

/// What a person said in it.
fn said_of(facts: &serde_json::Value) -> String {
    let said = ["text", "reason"].iter().find_map(|name| facts.get(name)?.as_str());
    said.unwrap_or_default().to_owned()
}

/// Sends the reporter words with content: sealed to a key that is known to be theirs, or not at
/// all. Without one the reporter is told, without content, what to do.
pub(super) fn content_for_reporter(
    work: &mut Work<'_>,
    template: &str,
    facts: &serde_json::Value,
    attachments: Vec<Attachment>,
) -> Answered {
    let Some(reporter) = work.incident.as_ref().map(|incident| incident.reporter.clone()) else {
        return Answered { said: String::new(), left: false };
    };
    let Some(address) = reporter.address else {
        let said = "The reporter left no address; nothing was sent.".to_owned();
        return Answered { said, left: false };
    };
    let now = work.now;
    match reporter.key {
        Some(key) if reporter.key_proven => {
            let count = attachments.len();
            work.answer_reporter(address, key.fingerprint, template, facts, attachments);
            let said = match count {
                0 => "Sent to the reporter, sealed to their key.".to_owned(),
                n => format!("Sent to the reporter, sealed to their key, with {n} attached."),
            };
            Answered { said, left: true }
        }
        _ => {
            let text = work.keep(said_of(facts));
            work.add(Event::AnswerUnsent { text });
            let facts = work.clear_facts();
            work.write_reporter(
                Purpose::Answer,
                "answer-waits",
                &facts,
                &SealedFacts::default(),
                now,
            );
            let said = "NOT sent: we have no proven key of the reporter, and content leaves sealed only. The \
             reporter was asked, without content, for a key. Send it again when it is there."
                .to_owned();
            Answered { said, left: false }
        }
    }
}

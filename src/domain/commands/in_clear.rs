//! An answer in clear, on purpose: most reporters have no OpenPGP, and a team that cannot tell them why answers
//! from a private mailbox, outside the record. A word of its own, for whoever wrote in clear, with nothing in it
//! but what a person typed, shown and confirmed before it leaves.

use serde_json::json;

use crate::domain::commands::talk::own_text;
use crate::domain::commands::turn::{Answer, Turn, needs};
use crate::domain::decide::letters::settle_answer;
use crate::domain::decide::lint;
use crate::domain::decide::post::ToReporter;
use crate::domain::facts::event::{Author, Event, Purpose};
use crate::domain::facts::names::{Address, Digest};
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::roster::Party;
use crate::domain::outgoing::mail::{SaidByAPerson, Words};
use crate::domain::outgoing::texts::{
    Class, OWN_ANSWER, PREPARED, Texts, blob_place, quote, without_references,
};

/// `/reply-clear [ANSWER]`, with the text below the commands.
pub fn reply(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    allowed(turn)?;
    match (Frozen::read(arguments), turn.confirmed.is_some()) {
        (Some(frozen), true) => leave(turn, &frozen),
        _ => ask(turn, arguments),
    }
}

/// What was shown and is asked about, as it stands in the line that is confirmed.
struct Frozen {
    /// The mail.
    draft: Digest,
    /// What the person typed, for the record.
    text: Digest,
    /// The prepared answer that it stands in.
    name: Option<String>,
}

impl Frozen {
    fn read(arguments: &str) -> Option<Self> {
        let mut words = arguments.split_whitespace();
        let draft = Digest::parse(words.next()?)?;
        let text = Digest::parse(words.next()?)?;
        Some(Self { draft, text, name: words.next().map(ToOwned::to_owned) })
    }
}

/// Refuses what must not leave in clear, whatever it says.
fn allowed(turn: &Turn<'_, '_>) -> Result<(), Refusal> {
    let settings = &turn.work.desk.settings;
    let incident = turn.incident()?;
    let reporter = &incident.reporter;
    let mut by_reporter =
        incident.letters.iter().filter(|letter| letter.author == Author::Reporter);
    let sealed = reporter.looked_encrypted
        || by_reporter.any(|letter| letter.protection.is_encrypted() || letter.failure.is_some());
    let sealed_next =
        "write `| /reply`, without the bar: it leaves sealed, or asks them for their key.";
    let refuse = |why: &str, next: &str| Err(Refusal::new("nothing leaves in clear", why, next));
    if !settings.clear_answers || !incident.playbook.clear_answers {
        let whose = if settings.clear_answers { "process" } else { "config" };
        return refuse(
            &format!("the {whose} of this desk forbids it (`clear_answers`)."),
            sealed_next,
        );
    }
    if sealed {
        return refuse("they wrote to us encrypted, so they are answered so.", sealed_next);
    }
    if reporter.key_proven {
        return refuse("we have a key of theirs.", sealed_next);
    }
    Ok(())
}

fn address(turn: &Turn<'_, '_>) -> Result<Address, Refusal> {
    turn.incident()?.reporter.address.clone().ok_or_else(|| {
        let next = "look in the report for another way to reach them.";
        Refusal::new("nobody to write to", "the reporter left no address.", next)
    })
}

/// Freezes what would leave, shows it, and asks.
fn ask(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    let address = address(turn)?;
    if let Some(part) =
        turn.attachments().iter().find(|p| !p.is_text_of_mail() && !p.tells_who_wrote())
    {
        let why = format!("`{}` is attached, and nothing attached leaves in clear.", part.name);
        let next = "send your text again without it.";
        return Err(Refusal::new("no attachments in clear", why, next));
    }
    let named = PREPARED.iter().map(|(name, _)| *name).find(|name| {
        name.eq_ignore_ascii_case(arguments.trim()) && Texts::class(name) == Some(Class::Sealed)
    });
    let text = own_text(turn, if named.is_some() { "" } else { arguments })?;
    if named.is_none() {
        needs(&text, "reply-clear", "your text to the reporter below it")?;
        // A name that is mistyped must not leave as a part of the text.
        if !arguments.trim().is_empty() && !turn.text.trim().is_empty() {
            let names: Vec<&str> = PREPARED.iter().map(|(name, _)| *name).collect();
            let next = format!("write the text alone, or one of {}.", names.join(", "));
            let why = format!("`{}` is no prepared answer.", arguments.trim());
            return Err(Refusal::new("no such answer", why, next));
        }
    }
    let incident = turn.incident()?.clone();
    let mut doubts = lint::of_others(turn.work, &incident, &text);
    if let Some(doubt) = doubts.pop() {
        let next = "take it out, and send it again.";
        return Err(Refusal::new("it names another incident", format!("{doubt}."), next));
    }
    let lower = text.to_lowercase();
    let own = incident.cves.iter().chain(&incident.ghsas).map(String::as_str);
    let own: Vec<&str> = own.chain([incident.handle.as_str()]).collect();
    let named_ones: Vec<&str> =
        own.into_iter().filter(|name| lower.contains(&name.to_lowercase())).collect();
    let template = named.unwrap_or("reply");
    let facts = json!({
        "text": text,
        "subject": "Your report",
        "opened_with": null,
        "ref": turn.work.reference(Party::Reporter),
    });
    let written = turn.work.write(template, &facts);
    let frozen = serde_json::to_string(&written).unwrap_or_default();
    let (draft, text) = (turn.work.keep(frozen), turn.work.keep(text));
    // What is kept is a part of what is confirmed.
    turn.line =
        format!("/reply-clear {draft} {text} {}", named.unwrap_or_default()).trim_end().to_owned();
    let doubt = if named_ones.is_empty() {
        String::new()
    } else {
        format!("\nLOOK AGAIN: it names {}.", named_ones.join(", "))
    };
    let has_key = incident.reporter.key.is_some();
    let key = "\nA key came with their report, unproven: `| /reply` (without the bar) would ask them to prove it.";
    let key = if has_key { key } else { "" };
    let what = format!(
        "This would leave IN CLEAR, signed by the desk, readable by everybody on its way, to {address}, with the \
         desk's certificate and the Ref line of their report.{doubt}{key}\n\n\
         Subject: {}\n\n{}",
        written.subject,
        quote(&without_references(&written.body))
    );
    match turn.confirmed(&what, &[address.as_str()])? {
        Some(question) => Ok(question),
        // What only finds out what would follow asks nobody.
        None => Ok("It would leave in clear.".to_owned()),
    }
}

/// Lets it leave, as it was confirmed.
fn leave(turn: &mut Turn<'_, '_>, frozen: &Frozen) -> Answer {
    let address = address(turn)?;
    if let Some(question) = turn.confirmed("", &[address.as_str()])? {
        return Ok(question);
    }
    turn.work.add(Event::SaidInClear { text: frozen.text });
    let words = Words::SaidInClear { draft: frozen.draft, by: SaidByAPerson { _proof: () } };
    let (purpose, at, attachments) = (Purpose::Answer, turn.work.now, Vec::new());
    let letter = ToReporter { purpose, key: None, words, at, with_our_key: true, attachments };
    turn.work.post_reporter(address, letter);
    settle_answer(turn.work, frozen.name.as_deref().unwrap_or(OWN_ANSWER));
    let people = turn.work.circle();
    let lines = [
        format!("{} answered the reporter IN CLEAR. This left:", turn.person.name),
        String::new(),
        blob_place(frozen.text),
    ];
    turn.tell_concerned(
        &people,
        "Answered the reporter",
        &lines,
        "nothing, unless you see it otherwise.",
    );
    Ok("It leaves in clear now, signed by the desk.".to_owned())
}

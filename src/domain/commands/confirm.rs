//! The words that answer the desk's own question.

use crate::domain::facts::event::{Ask, Event};
use crate::domain::facts::names::Digest;
use crate::domain::facts::refusal::Refusal;
use crate::domain::intake::command_mail;
use crate::domain::process::vocabulary::{keyword, unknown};

use crate::domain::commands::{Turn, needs, nonce_hash};

type Answer = Result<String, Refusal>;

/// What a nonce stands for, if it was sealed to this person and is still open.
fn find(turn: &Turn<'_, '_>, nonce: &str) -> Result<(Digest, Ask), Refusal> {
    let hash = nonce_hash(nonce);
    let ask = turn.incident()?.asks.get(&hash).filter(|ask| ask.person == turn.person.id).cloned();
    ask.map(|ask| (hash, ask)).ok_or_else(|| {
        Refusal::new(
            "nothing to confirm",
            format!("`{nonce}` confirms nothing: it is unknown, used, called off, or not yours."),
            "send the command itself again, and use the new word that you get.",
        )
    })
}

/// `/confirm NONCE`: carries the command out as it was understood when it was asked about.
pub fn confirm(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    needs(arguments, "confirm", "NONCE")?;
    let (hash, ask) = find(turn, arguments)?;
    if turn.work.now > ask.until {
        return Err(Refusal::new(
            "too late to confirm",
            format!("that had to be confirmed by {}.", turn.work.say(ask.until)),
            format!("send the command again: `| {}`, without the bar.", ask.line),
        ));
    }
    if ask.by.as_ref() == Some(&turn.person.id) {
        return Err(Refusal::new(
            "another person must confirm it",
            "you gave the command yourself, and it needs a second person.",
            "wait for one of those who were asked.",
        ));
    }
    let line = ask.line.strip_prefix('/').unwrap_or(&ask.line);
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let row = keyword(word).ok_or_else(|| unknown(word))?;
    let confirmer = turn.person;
    let giver = match &ask.by {
        Some(by) => turn.work.person(by).ok_or_else(|| unknown(word))?,
        None => confirmer,
    };
    // Who was asked, or who gave the command, may have lost the role since.
    command_mail::may_use(turn.work, confirmer, row)?;
    command_mail::may_use(turn.work, giver, row)?;
    // Used up before it is carried out, on the same copy: if the command refuses, neither happens.
    turn.work.add(Event::Confirmed { nonce: hash });
    turn.line.clone_from(&ask.line);
    let rest = rest.to_owned();
    turn.confirming = Some(ask);
    turn.confirmer = Some(confirmer);
    turn.person = giver;
    // What stands below the confirmation was not there when it was asked about: it is a word to the
    // team, and never a part of what is confirmed.
    let text = std::mem::take(&mut turn.text);
    let answer = command_mail::run(turn, row, &rest);
    turn.text = text;
    turn.text_used = false;
    turn.confirming = None;
    turn.confirmer = None;
    turn.person = confirmer;
    let answer = answer?;
    if giver.id != confirmer.id {
        let lines =
            [format!("{} confirmed `{}`.", confirmer.name, turn.line.trim_start_matches('/'))];
        turn.work.inform(&[giver], "Confirmed, and done", &lines, "nothing more; it is done.");
    }
    Ok(answer)
}

/// `/cancel NONCE`: whoever was asked can call it off, for all who were asked.
pub fn cancel(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    needs(arguments, "cancel", "NONCE")?;
    let (hash, ask) = find(turn, arguments)?;
    turn.work.add(Event::Cancelled { nonce: hash });
    if let Some(giver) = ask.by.as_ref().and_then(|by| turn.work.person(by)) {
        let line = ask.line.trim_start_matches('/');
        let lines = [format!("{} called off `{line}`.", turn.person.name)];
        turn.tell_concerned(
            &[giver],
            "Called off",
            &lines,
            "talk to them, by a reply to this mail.",
        );
    }
    Ok(format!("Called off: {}", ask.line.trim_start_matches('/')))
}

//! The words that answer the desk's own question.

use crate::domain::commands::rights;
use crate::domain::commands::turn::{Answer, Confirmed, Turn, needs};
use crate::domain::facts::event::{Ask, Event};
use crate::domain::facts::names::{Digest, nonce_hash};
use crate::domain::facts::refusal::Refusal;
use crate::domain::model::roster::Person;
use crate::domain::process::vocabulary::{Row, team_word, unknown};

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

/// A command that was confirmed, to be carried out as it was understood when it was asked about.
pub struct Order<'d> {
    /// Who gave it.
    pub by: &'d Person,
    /// The line.
    pub line: String,
    /// Its word.
    pub row: &'static Row,
    /// What stands behind the word.
    pub arguments: String,
    /// The confirmation.
    pub confirmed: Confirmed<'d>,
}

/// `/confirm NONCE`: uses the nonce up, and says what it stands for.
///
/// # Errors
/// When it stands for nothing that this person may confirm now.
pub fn resolve<'d>(turn: &mut Turn<'_, 'd>, nonce: &str) -> Result<Order<'d>, Refusal> {
    needs(nonce, "confirm", "NONCE")?;
    let (hash, ask) = find(turn, nonce)?;
    ordered(turn, hash, ask)
}

/// The question that somebody answers by giving the same command themselves, the newest if there are
/// several.
#[must_use]
pub fn answered_by(turn: &Turn<'_, '_>) -> Option<(Digest, Ask)> {
    let (me, now) = (&turn.person.id, turn.work.now);
    let same = |ask: &Ask| {
        ask.person == *me
            && ask.by.as_ref().is_some_and(|by| by != me)
            && ask.line == turn.line
            && now <= ask.until
    };
    let asks = &turn.work.incident.as_ref()?.asks;
    let newest = asks.iter().filter(|(_, ask)| same(ask)).max_by_key(|(_, ask)| ask.until)?;
    Some((*newest.0, newest.1.clone()))
}

/// Uses a question up, and says what it stands for.
///
/// # Errors
/// When it stands for nothing that this person may confirm now.
pub fn ordered<'d>(turn: &mut Turn<'_, 'd>, hash: Digest, ask: Ask) -> Result<Order<'d>, Refusal> {
    if turn.work.now > ask.until {
        return Err(Refusal::new(
            "too late to confirm",
            format!("that had to be confirmed by {}.", turn.work.say(ask.until)),
            format!("send the command again: `| {}`, without the bar.", ask.line),
        ));
    }
    let confirmer = turn.person;
    if ask.by.as_ref() == Some(&confirmer.id) {
        return Err(Refusal::new(
            "another person must confirm it",
            "you gave the command yourself, and it needs a second person.",
            "wait for one of those who were asked.",
        ));
    }
    let line = ask.line.strip_prefix('/').unwrap_or(&ask.line);
    let (word, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let row = team_word(word).ok_or_else(|| unknown(word))?;
    let by = match &ask.by {
        Some(by) => turn.work.person(by).ok_or_else(|| unknown(word))?,
        None => confirmer,
    };
    // Who was asked, or who gave the command, may have lost the role since.
    rights::may_use(turn.work, confirmer, row)?;
    rights::may_use(turn.work, by, row)?;
    // Used up before it is carried out, on the same copy: if the command refuses, neither happens.
    turn.work.add(Event::Confirmed { nonce: hash });
    let (line, arguments) = (ask.line.clone(), arguments.to_owned());
    Ok(Order { by, line, row, arguments, confirmed: Confirmed { ask, by: confirmer } })
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

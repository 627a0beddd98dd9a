//! The words that answer the desk's own question.

use super::super::event::Event;
use super::super::keyword::{keyword, unknown};
use super::super::refusal::Refusal;
use super::{Turn, needs, nonce_hash};

type Answer = Result<String, Refusal>;

fn no_such(nonce: &str) -> Refusal {
    Refusal::new(
        "nothing to confirm",
        format!("`{nonce}` confirms nothing: it is unknown, used, called off, or not yours."),
        "send the command itself again, and use the new word that you get.",
    )
}

/// `/confirm NONCE`: carries the command out as it was understood when it was asked about.
pub fn confirm(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    needs(arguments, "confirm", "NONCE")?;
    let hash = nonce_hash(arguments);
    let ask = turn.incident()?.asks.get(&hash).filter(|ask| ask.person == turn.person.id).cloned();
    let ask = ask.ok_or_else(|| no_such(arguments))?;
    if turn.work.now > ask.until {
        return Err(Refusal::new(
            "too late to confirm",
            format!("that had to be confirmed by {}.", turn.work.say(ask.until)),
            format!("send the command again: `| {}`, without the bar.", ask.line),
        ));
    }
    let line = ask.line.strip_prefix('/').unwrap_or(&ask.line);
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let row = keyword(word).ok_or_else(|| unknown(word))?;
    // Who was asked may have lost the role since.
    super::super::steer::may_use(turn.work, turn.person, row)?;
    // Used up before it is carried out, on the same copy: if the command refuses, neither happens.
    turn.work.add(Event::Confirmed { nonce: hash });
    turn.line.clone_from(&ask.line);
    turn.confirming = Some(ask.basis);
    let answer = (row.run)(turn, rest);
    turn.confirming = None;
    answer
}

/// `/cancel NONCE`
pub fn cancel(turn: &mut Turn<'_, '_>, arguments: &str) -> Answer {
    needs(arguments, "cancel", "NONCE")?;
    let hash = nonce_hash(arguments);
    let ask = turn.incident()?.asks.get(&hash).filter(|ask| ask.person == turn.person.id).cloned();
    let ask = ask.ok_or_else(|| no_such(arguments))?;
    turn.work.add(Event::Cancelled { nonce: hash });
    Ok(format!("Called off: {}", ask.line.trim_start_matches('/')))
}

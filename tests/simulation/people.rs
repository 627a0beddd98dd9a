//! Everybody around a desk: what they know of it is what its mails told them, and what they write is what such
//! people write.

use std::collections::{BTreeMap, BTreeSet};

use embargod::domain::facts::names::{Moment, Span};

use super::dice::{Dice, number};
use super::plan::{LIST, TEAM};
use super::vault::{Card, Inbound, Outbound};
use super::world::{begin, card};

/// What somebody writes, after a while.
#[derive(Debug, Clone)]
pub(crate) struct Say {
    pub(crate) who: String,
    pub(crate) handle: String,
    pub(crate) text: String,
    pub(crate) answers: Vec<String>,
    pub(crate) after: Span,
}

/// A question of the desk's for a second person.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) nonce: String,
    pub(crate) by: String,
    pub(crate) line: String,
}

#[derive(Default)]
struct Person {
    /// By handle: the line that binds what they write, and the newest mail about it.
    refs: BTreeMap<String, (String, String)>,
    answered: BTreeSet<String>,
    seen: BTreeSet<String>,
}

/// All of them.
pub(crate) struct People {
    seed: u64,
    all: BTreeMap<String, Person>,
    /// The handles of reports, as somebody has read them.
    handles: BTreeMap<u32, String>,
    written: u64,
}

/// The number behind a word, `SECRET-12`.
pub(crate) fn tokens<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = u32> + 'a {
    text.match_indices(word).map(move |(at, _)| {
        let digits = text.bytes().skip(at + word.len()).take_while(u8::is_ascii_digit);
        digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
    })
}

/// The line that binds an answer, and the handle in it.
pub(crate) fn reference(body: &str) -> Option<(&str, &str)> {
    let line = body.lines().rev().find(|line| line.starts_with("Ref: "))?;
    let handle = line.strip_prefix("Ref: ")?.split_once('/')?.0;
    Some((handle, line))
}

/// Lines of a kind that a mail offers, without the bar.
fn offered<'a>(body: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    body.lines().filter_map(move |line| line.trim_start().strip_prefix("| ")?.strip_prefix(word))
}

/// What a mail asks a second person: each line with the nonce that says yes.
pub(crate) fn questions(body: &str) -> Vec<Question> {
    let by = body.lines().find_map(|line| {
        let by = line.split_once(" gave th").or_else(|| line.split_once(" also gave a command"))?;
        Some(by.0.to_owned())
    });
    let Some(by) = by else { return Vec::new() };
    let given = body.split_once("gave").map_or("", |(_, rest)| rest);
    let given = given.split_once("/confirm").map_or(given, |(before, _)| before);
    let lines = offered(given, "/").map(|line| format!("/{line}"));
    let nonces = offered(body, "/confirm ").map(ToOwned::to_owned);
    lines.zip(nonces).map(|(line, nonce)| Question { nonce, by: by.clone(), line }).collect()
}

impl People {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, all: BTreeMap::new(), handles: BTreeMap::new(), written: 0 }
    }

    /// The handle of a report, once somebody knows it.
    pub(crate) fn handle(&self, case: u32) -> Option<&str> {
        self.handles.get(&case).map(String::as_str)
    }

    pub(crate) fn knows(&self, who: &str, handle: &str) -> bool {
        self.all.get(who).is_some_and(|person| person.refs.contains_key(handle))
    }

    /// The newest mail that somebody had about it.
    pub(crate) fn newest(&self, who: &str, handle: &str) -> Option<&str> {
        Some(self.all.get(who)?.refs.get(handle)?.1.as_str())
    }

    /// Somebody reads a mail, and does what such people do.
    pub(crate) fn read(&mut self, who: &str, mail: &Outbound) -> Vec<Say> {
        let person = self.all.entry(who.to_owned()).or_default();
        if !person.seen.insert(mail.id.clone()) {
            return Vec::new();
        }
        let Some((handle, line)) = reference(&mail.body) else { return Vec::new() };
        person.refs.insert(handle.to_owned(), (line.to_owned(), mail.id.clone()));
        let mut cases = tokens(&mail.body, "SECRET-");
        let case = cases.next().filter(|_| TEAM.contains(&who));
        let case = case.or_else(|| who.strip_prefix('r')?.parse().ok());
        if let Some(case) = case {
            self.handles.entry(case).or_insert_with(|| handle.to_owned());
        }
        let handle = handle.to_owned();
        let mut dice = Dice::of(&[self.seed, 7, number(who), number(&mail.id)]);
        let text = match who {
            _ if TEAM.contains(&who) || who == "uma" => self.steers(who, mail, &mut dice),
            _ if LIST.contains(&who) => answers_notice(mail, &mut dice),
            _ => None,
        };
        let after = Span::minutes(dice.between(3, 500) as i64);
        let (who, answers) = (who.to_owned(), vec![mail.id.clone()]);
        text.map(|text| Say { who, handle, text, answers, after }).into_iter().collect()
    }

    /// What somebody of the team answers: yes, mostly.
    fn steers(&mut self, who: &str, mail: &Outbound, dice: &mut Dice) -> Option<String> {
        let person = self.all.get_mut(who)?;
        let mut lines = Vec::new();
        for nonce in offered(&mail.body, "/confirm ") {
            if !person.answered.insert(nonce.to_owned()) {
                continue;
            }
            match dice.between(0, 99) {
                0..4 => lines.push(format!("/cancel {nonce}")),
                4..10 => {}
                _ => lines.push(format!("/confirm {nonce}")),
            }
        }
        let own = mail.body.contains(&format!("{who} has frozen"));
        for draft in offered(&mail.body, "/approve ") {
            let (handle, _) = reference(&mail.body)?;
            if !person.answered.insert(format!("{handle} {draft}")) {
                continue;
            }
            // Now and then somebody takes themselves for the second person.
            let dares = Dice::of(&[self.seed, 9, number(who), number(draft)]).percent(15);
            if (own && !dares) || (!own && dice.percent(8)) {
                continue;
            }
            lines.push(format!("/approve {draft}"));
        }
        let is_offer = mail.subject.contains("New report") && mail.body.contains("Buy this now");
        let takes = match mail.subject.as_str() {
            subject if subject.contains("your turn to lead") => 60,
            subject if subject.contains("Nobody leads") => 20,
            _ => 0,
        };
        if is_offer && dice.percent(50) {
            lines.push("/spam".to_owned());
        } else if dice.percent(takes) {
            lines.push("/take".to_owned());
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// A mail of somebody whose key the desk knows, signed and sealed.
    pub(crate) fn signed(&mut self, who: &str, handle: &str, text: &str, now: Moment) -> Inbound {
        let known = self.all.get(who).and_then(|person| person.refs.get(handle));
        let text = match known {
            Some((line, _)) => format!("{text}\n\n> {line}\n"),
            None => format!("/incident {handle}\n{text}\n"),
        };
        let (answers, signer) = (Vec::new(), card(who, begin()).fingerprint);
        let mail = self.mail(who, text);
        Inbound { sealed: true, signer: Some((signer, now)), answers, ..mail }
    }

    /// A mail that nothing protects.
    pub(crate) fn mail(&mut self, who: &str, text: String) -> Inbound {
        self.written += 1;
        let drawn = Dice::of(&[self.seed, 8, number(who), self.written]).next();
        Inbound {
            id: format!("{drawn:x}@people.test"),
            from: address(who),
            text,
            sealed: false,
            signer: None,
            drawn,
            session: drawn,
            damaged: false,
            key: None,
            beside: false,
            automatic: false,
            token: None,
            fate: None,
            answers: Vec::new(),
        }
    }
}

/// Somebody's address. Strangers come from as many places as there are.
pub(crate) fn address(who: &str) -> String {
    match who.strip_prefix('r') {
        Some(number) if number.parse::<u32>().is_ok() => format!("{who}@from{number}.test"),
        _ => format!("{who}@people.test"),
    }
}

/// The certificate of a reporter.
pub(crate) fn card_of(who: &str) -> Card {
    Card { address: address(who), ..card(who, begin()) }
}

fn answers_notice(mail: &Outbound, dice: &mut Dice) -> Option<String> {
    let asks = offered(&mail.body, "/ack").next().is_some();
    match dice.between(0, 99) {
        _ if !asks => None,
        0..60 => Some("/ack".to_owned()),
        60..85 => Some("/ready".to_owned()),
        85..88 => Some("/objection that is a holiday with us".to_owned()),
        _ => None,
    }
}

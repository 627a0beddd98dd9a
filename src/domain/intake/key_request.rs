//! Mails that ask for our key and for nothing else.

use crate::domain::decide::answered::answered;
use crate::domain::decide::decision::Decision;
use crate::domain::decide::work::Work;
use crate::domain::facts::event::{Event, Purpose, Recipient};
use crate::domain::facts::letter::Letter;
use crate::domain::facts::names::{Fresh, Moment, Span, later};
use crate::domain::facts::source::Source;
use crate::domain::model::desk::Desk;
use crate::domain::outgoing::mail::{Mail, Words};

/// The longest mail that is taken for nothing but a request for our key.
const KEY_REQUEST_MAX: usize = 400;

/// Whether a mail asks for our key and says nothing else. What is taken for one opens no incident,
/// so a report must never pass for it: every sentence has to be one that such a request is made
/// of, and a single other one makes the mail a report.
#[must_use]
pub fn is_one(letter: &Letter) -> bool {
    let text = letter.text.to_lowercase();
    let plain = letter.outer.openpgp.is_none() && letter.attachments.is_empty();
    if !plain || text.len() > KEY_REQUEST_MAX || text.trim().is_empty() {
        return false;
    }
    let subject = letter.subject.as_it_came().to_lowercase();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut asks = false;
    // The subject counts as a sentence of its own: a report may stand there and nowhere else.
    for sentence in lines.iter().copied().chain([subject.as_str()]).flat_map(sentences) {
        match sentence_of_request(sentence) {
            Some(is_question) => asks |= is_question,
            // A name at the very end, under the greeting.
            None if lines.len() > 1 && lines.last() == Some(&sentence) && is_name(sentence) => {}
            None => return false,
        }
    }
    asks
}

fn sentences(line: &str) -> impl Iterator<Item = &str> {
    let parts = line.split(['.', '?', '!', ';', ':']).map(str::trim);
    parts.filter(|sentence| sentence.chars().any(char::is_alphanumeric))
}

fn is_name(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.len() <= 2 && words.iter().all(|word| word.chars().all(char::is_alphabetic))
}

/// `Some(true)` for a sentence that asks for the key, `Some(false)` for a greeting or the reason
/// without content, `None` for anything else. Word by word: each must be one of these.
fn sentence_of_request(sentence: &str) -> Option<bool> {
    const ASK: &[&str] = &["send", "share", "provide", "give", "have", "get", "point", "tell"];
    const KEY: &[&str] = &["key", "keys"];
    const OTHER: &str = "a address all am an and at before best can could dear do email encrypt \
        encrypted encryption for gnupg good gpg greetings hello hey hi i id if in is issue it kind \
        like mail may me morning my need of openpgp pgp please possible problem public regards \
        report security so team thank thanks that the there to use vulnerability want we where \
        which will with would you your";
    let other = |word: &str| OTHER.split_whitespace().any(|known| known == word);
    let words: Vec<&str> = sentence
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|word| !word.is_empty())
        .collect();
    let known = |word: &&str| ASK.contains(word) || KEY.contains(word) || other(word);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(word));
    if words.iter().all(known) {
        let to_us = has(&["me", "i", "your", "you", "we"]);
        return Some(has(ASK) && has(KEY) && to_us);
    }
    None
}

/// Answers it with our certificate: small, and once a day for each address.
pub(super) fn answer(desk: &Desk, letter: &Letter, now: Moment, fresh: Fresh) -> Decision {
    let mut work = Work::on(desk, None, now, fresh);
    work.dispose("key request");
    let to = answered(&desk.settings.address, &letter.outer).to;
    let address = to.filter(|_| !letter.from_before);
    let Some(address) = address else {
        return work.done();
    };
    // One answer per address and day: small, so that it is no way to flood a third party.
    if desk.limits.key_sent(&address).is_some_and(|at| later(at, Span::days(1)) > now) {
        work.dispose("key request, answered before");
        return work.done();
    }
    let vouched = letter.outer.vouched == Some(true);
    if !desk.limits.may_answer(&address, vouched, now) {
        work.dispose("key request, answered before");
        return work.done();
    }
    let (facts, source) = (work.clear_facts(), Source::of(&letter.outer));
    match desk.texts.clear("key", &facts) {
        Ok(text) => {
            let mail = Mail {
                message_id: work.message_id(),
                about: None,
                to: Recipient::Outsider(address.clone()),
                address: address.clone(),
                key: None,
                purpose: Purpose::Key,
                not_before: desk.limits.acknowledge_at(
                    &desk.settings,
                    &source,
                    &letter.raw,
                    letter.arrived,
                    now,
                ),
                words: Words::Clear(text),
                attachments: Vec::new(),
                with_our_key: true,
                answers: letter.outer.message_id.clone(),
            };
            work.post(mail);
            work.add_to_desk(Event::AutoAnswered { to: address.clone(), vouched, source });
            work.add_to_desk(Event::KeySent { to: address });
        }
        Err(problem) => work.fault(problem.to_string()),
    }
    work.done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::foreign::Foreign;
    use crate::domain::facts::names::Digest;

    fn letter(text: &str) -> Letter {
        let blank = Letter::blank(Digest::of(text.as_bytes()), Moment::default());
        Letter { text: text.to_owned(), ..blank }
    }

    #[test]
    fn a_report_in_the_subject_is_a_report() {
        let ask = "Please send me your PGP key.";
        assert!(is_one(&Letter { subject: Foreign::line("PGP key", 99), ..letter(ask) }));
        assert!(!is_one(&Letter { subject: Foreign::line("RCE in login.php", 99), ..letter(ask) }));
    }

    #[test]
    fn requests_for_the_key_are_known_and_reports_are_never_taken_for_one() {
        for request in [
            "Hello, could you send me your public PGP key please?",
            "Hi team,\n\nI want to report a security issue. Please share your GPG key.\n\nThanks\nPaul Example",
            "May I have your OpenPGP key?",
            "Hi, could you send me your PGP key so that I can encrypt?",
        ] {
            assert!(is_one(&letter(request)), "{request}");
        }
        for report in [
            "Users can request a key import that crashes the daemon. Please send a fix.",
            "Anyone can send a public key with an empty user id and your server signs it.",
            "Login accepts any API request without a key. I use gpg, please share yours.",
            "Your gpg private signing key is in the docker image. Please provide a contact.",
            "Please send me your key.\nSQL injection\nlogin form\nadmin bypass",
            "> the login page leaks passwords\nPlease send me your PGP key.",
            "Please send me your PGP key.\n-- \nThe parser overflows on long names.",
            "Sharing a GPG key twice gives root on host. Please send me your key.",
            "Please send me your PGP key. The admin password is in the page source.",
            "",
        ] {
            assert!(!is_one(&letter(report)), "{report}");
        }
    }
}

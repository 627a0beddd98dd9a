//! Whose fault it is that a mail did not leave: by what the mail server said, and when it said it.
//!
//! A refusal for good is rarely about the mail that met it. A log-in that is missing, a quota that is used
//! up or a queue that cannot be written is said in the same codes as an address that does not exist, and
//! whoever takes them for the same loses an outbox in seconds. So only what is plainly about a recipient or
//! about a mail may end it; all else is the server's, and waits.

/// How far the dialogue had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The greeting, EHLO, STARTTLS.
    Hello,
    /// AUTH.
    LogIn,
    /// MAIL.
    From,
    /// RCPT.
    To,
    /// DATA.
    Data,
    /// The answer to the last bytes.
    Dot,
}

/// What a mail server did with a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It answered 2xx after the last byte; its words.
    Accepted(String),
    /// It refused, for now or for good; when, and its words, the code first.
    Said(Stage, String),
    /// It could not be reached, or the connection broke before the last byte; why.
    Broken(String),
    /// The connection broke, or we stopped, between the last byte and the answer.
    Unknown,
    /// It cannot be handed over at all, whatever the server would say; why.
    Never(String),
    /// Nothing was sent: it was put back.
    Untried,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blame {
    /// This recipient's, for good: there is no such box, or it takes nothing.
    Recipient,
    /// This mail's, for good: too large, or not as the server wants it.
    Mail,
    /// Refused for good, and by what is said it may be the recipient, the mail, or all of us.
    Unclear,
    /// For now, and it may be the recipient or our pace.
    ForNow,
    /// The session's, the sender's or the server's: it would meet every other mail as well.
    Server,
}

/// A row of the table: a class of codes, the subject and details of the enhanced code, the stages, and
/// whose fault it is. The first row that fits counts.
type Row = (u16, u16, &'static [u16], &'static [Stage], Blame);

const ANY: &[u16] = &[];
const ALWAYS: &[Stage] = &[];
const BOX: &[Stage] = &[Stage::To, Stage::Dot];
const CONTENT: &[Stage] = &[Stage::Data, Stage::Dot];

/// By enhanced status codes (RFC 3463, and the registry that RFC 5248 began).
const ENHANCED: &[Row] = &[
    // The sender's address: X.1.7, X.1.8.
    (5, 1, &[7, 8], ALWAYS, Blame::Server),
    (4, 1, &[7, 8], ALWAYS, Blame::Server),
    (5, 1, ANY, BOX, Blame::Recipient),
    (4, 1, ANY, BOX, Blame::ForNow),
    // X.2.3: longer than this box takes.
    (5, 2, &[3], BOX, Blame::Mail),
    (5, 2, ANY, BOX, Blame::Recipient),
    (4, 2, ANY, BOX, Blame::ForNow),
    // X.3.4: larger than the system takes. Before it has seen the mail it says what it was set up to say.
    (5, 3, &[4], &[Stage::From], Blame::Unclear),
    (5, 3, &[4], ALWAYS, Blame::Mail),
    // X.4.1, X.4.4, X.4.6: there is no way to that host, or it leads in a circle.
    (5, 4, &[1, 4, 6], BOX, Blame::Recipient),
    (4, 4, &[1, 4, 6], BOX, Blame::ForNow),
    // X.6.7: the address needs SMTPUTF8.
    (5, 6, &[7], BOX, Blame::Recipient),
    (5, 6, ANY, CONTENT, Blame::Mail),
    (4, 6, ANY, CONTENT, Blame::ForNow),
    // X.7.0, X.7.8, X.7.9, X.7.11, X.7.14: who we are (RFC 4954, 6). X.7.20 and on: our signatures.
    (5, 7, &[0, 8, 9, 11, 14, 20, 21, 22, 23, 24, 25, 26], ALWAYS, Blame::Server),
    (5, 7, ANY, BOX, Blame::Unclear),
    (4, 7, ANY, BOX, Blame::ForNow),
    // The mail system, the network, the protocol, and all that comes before a recipient is named.
    (5, 3, ANY, ALWAYS, Blame::Server),
    (4, 5, ANY, BOX, Blame::ForNow),
];

/// By the code alone (RFC 5321, 4.2.2 and 4.2.3).
const PLAIN: &[(u16, &[Stage], Blame)] = &[
    (450, BOX, Blame::ForNow),
    (451, &[Stage::To], Blame::ForNow),
    (452, &[Stage::To], Blame::ForNow),
    (550, &[Stage::To], Blame::Recipient),
    (551, &[Stage::To], Blame::Recipient),
    (553, &[Stage::To], Blame::Recipient),
    (552, &[Stage::To], Blame::Recipient),
    (552, &[Stage::From], Blame::Unclear),
    (552, &[Stage::Data, Stage::Dot], Blame::Mail),
    (550, &[Stage::Dot], Blame::Unclear),
    (553, &[Stage::Dot], Blame::Unclear),
    (554, BOX, Blame::Unclear),
];

/// What servers write where the code says too much: it is about us, and passes.
const OURS: &[&str] = &[
    "rate limit",
    "too many",
    "too fast",
    "limit exceeded",
    "sending limit",
    "try again",
    "try later",
    "temporar",
    "throttl",
    "authenticat",
    "relay",
    "blocked",
    "blacklist",
    "blocklist",
    "reputation",
];

/// And what they write where it says too little: it is this recipient, and nobody else.
const THEIRS: &[&str] = &[
    "recipient address rejected",
    "recipient rejected",
    "user unknown",
    "unknown user",
    "no such user",
    "does not exist",
];

/// Whose fault it is: the enhanced code first, then the stage, then the code.
///
/// `said` begins with the code, as a server's answer does.
#[must_use]
pub fn blame(stage: Stage, said: &str) -> Blame {
    let code: u16 = said.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
    // 421: it closes the connection, whatever was asked (RFC 5321, 3.8). 50x: it did not understand us.
    if stage < Stage::From || code == 421 || code / 10 == 50 {
        return Blame::Server;
    }
    let at = |stages: &[Stage]| stages.is_empty() || stages.contains(&stage);
    let text = said.to_ascii_lowercase();
    let ours = OURS.iter().any(|word| text.contains(word));
    if let Some((subject, detail)) = enhanced(said).filter(|(subject, _)| *subject != 0) {
        let mut rows = ENHANCED.iter();
        let row = rows.find(|(class, about, details, stages, _)| {
            *class == code / 100
                && *about == subject
                && (details.is_empty() || details.contains(&detail))
                && at(stages)
        });
        let blame = row.map_or(Blame::Server, |(.., blame)| *blame);
        let theirs = || stage == Stage::To && THEIRS.iter().any(|word| text.contains(word));
        return match (blame == Blame::Unclear, ours) {
            (true, true) => Blame::Server,
            (true, false) if theirs() => Blame::Recipient,
            _ => blame,
        };
    }
    let mut rows = PLAIN.iter();
    match rows.find(|(known, stages, _)| *known == code && at(stages)).map(|(.., blame)| *blame) {
        Some(Blame::Recipient | Blame::Unclear | Blame::Mail) if ours => Blame::Server,
        Some(blame) => blame,
        None if at(BOX) && code / 100 == 5 && !ours => Blame::Unclear,
        None => Blame::Server,
    }
}

/// Subject and detail of an enhanced status code (RFC 2034): the word after the code, if it is one of the
/// same class.
fn enhanced(said: &str) -> Option<(u16, u16)> {
    let class = said.get(..1)?;
    let word = said.get(4..)?.split_whitespace().next()?;
    let mut parts = word.split('.');
    let same = parts.next()? == class;
    let (subject, detail) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (same && parts.next().is_none()).then_some((subject, detail))
}

#[cfg(test)]
mod tests {
    use super::Blame::{ForNow, Mail, Recipient, Server, Unclear};
    use super::Stage::{Data, Dot, From, Hello, LogIn, To};
    use super::*;

    #[test]
    fn only_what_is_plainly_about_a_recipient_or_a_mail_is_laid_on_it() {
        let table = [
            (Hello, "421 4.7.0 too many connections", Server),
            (Hello, "554 5.7.1 go away", Server),
            (LogIn, "535 5.7.8 authentication failed", Server),
            (LogIn, "454 4.7.0 temporary authentication failure", Server),
            (From, "530 5.7.0 Authentication required", Server),
            (From, "550 5.4.5 Daily user sending limit exceeded", Server),
            (From, "550 5.7.60 client does not have permissions to send as this sender", Server),
            (From, "553 5.7.1 sender address rejected: not owned by user", Server),
            (From, "550 5.1.8 sender address rejected", Server),
            (From, "552 message size exceeds fixed maximum", Unclear),
            (From, "552 5.3.4 message size exceeds fixed limit", Unclear),
            (From, "451 4.3.0 later", Server),
            (From, "452 4.3.1 insufficient system storage", Server),
            (From, "501 5.1.7 bad sender address syntax", Server),
            (To, "550 5.1.1 no such user", Recipient),
            (To, "550 no such user", Recipient),
            (To, "551 user not local", Recipient),
            (To, "553 mailbox name not allowed", Recipient),
            (To, "552 mailbox full", Recipient),
            (To, "550 5.1.10 recipient not found", Recipient),
            (To, "550 5.1.2 domain not found", Recipient),
            (To, "550 5.2.1 mailbox disabled", Recipient),
            (To, "552 5.2.2 mailbox full", Recipient),
            (To, "552 5.2.3 too long for this mailbox", Mail),
            (To, "550 5.4.1 recipient address rejected: access denied", Recipient),
            (To, "550 5.4.5 quota", Server),
            (To, "550 5.1.8 sender domain not found", Server),
            (To, "550 5.7.1 relaying denied", Server),
            (To, "554 5.7.1 relay access denied", Server),
            (To, "550 5.7.1 rate limit exceeded", Server),
            (To, "550 too many messages, slow down", Server),
            (To, "550 5.7.1 message refused by policy", Unclear),
            (To, "550 5.7.1 <a@b>: Recipient address rejected: Access denied", Recipient),
            (To, "550 5.7.1 <a@b>: Recipient address rejected: too many mails", Server),
            (To, "554 5.7.1 <x>: Client host rejected: Access denied", Unclear),
            (To, "554 refused", Unclear),
            (To, "571 refused", Unclear),
            (To, "550 5.0.0 refused", Recipient),
            (To, "450 4.7.1 greylisted", ForNow),
            (To, "450 mailbox busy", ForNow),
            (To, "451 4.7.1 greylisted, try again", ForNow),
            (To, "452 4.2.2 mailbox full", ForNow),
            (To, "452 too many recipients", ForNow),
            (To, "452 4.3.1 insufficient system storage", Server),
            (To, "421 4.7.0 too many errors", Server),
            (To, "503 5.5.1 need MAIL first", Server),
            (Data, "554 5.5.1 no valid recipients", Server),
            (Data, "554 no valid recipients", Server),
            (Data, "451 4.3.0 queue file write error", Server),
            (Dot, "451 4.3.0 queue file write error", Server),
            (Dot, "451 4.7.1 try later", ForNow),
            (Dot, "552 5.3.4 message too big", Mail),
            (Dot, "552 too much mail data", Mail),
            (Dot, "554 5.6.0 bad content", Mail),
            (Dot, "554 5.7.1 looks like spam", Unclear),
            (Dot, "550 5.7.1 our system has detected unusual mail", Unclear),
            (Dot, "550 5.1.1 no such user", Recipient),
            (Dot, "554 transaction failed", Unclear),
            (Dot, "550 5.7.26 unauthenticated mail is not accepted", Server),
            (Dot, "554 5.3.0 system trouble", Server),
            (Dot, "999 what", Server),
            (Dot, "", Server),
        ];
        for (stage, said, wanted) in table {
            assert_eq!(blame(stage, said), wanted, "{stage:?} {said}");
        }
    }

    #[test]
    fn what_comes_before_a_recipient_is_never_a_recipients() {
        for stage in [Hello, LogIn, From, Data] {
            for code in 400..600 {
                for enhanced in ["", "5.1.1 ", "5.2.1 ", "4.2.2 ", "5.7.1 "] {
                    let said = format!("{code} {enhanced}x");
                    let blame = blame(stage, &said);
                    assert!(
                        matches!(blame, Server | Mail | Unclear),
                        "{stage:?} {said}: {blame:?}"
                    );
                    assert!(blame != Unclear || stage == From, "{stage:?} {said}: {blame:?}");
                }
            }
        }
    }
}

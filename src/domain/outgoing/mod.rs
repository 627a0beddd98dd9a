//! What leaves: the texts, who may read which, the mail in the outbox and its ladder of attempts.
//! Floor 2: it knows facts, and nothing of incidents or of the process that asks for a mail.

pub mod mail;
pub mod texts;

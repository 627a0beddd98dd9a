//! What leaves: the words of mails, what may leave in clear, and the ladder of attempts.
//!
//! Knows facts, and neither incidents nor who is meant: it is given both as values.

pub mod mail;
pub mod pace;
pub mod texts;
pub mod tries;
pub mod verdict;

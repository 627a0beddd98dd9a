//! What follows from a mail, a word or the time, as a decision: facts, bodies and mails that are committed
//! together or not at all.
//!
//! Knows no word of signed mail: the words come here, and not the other way.

pub mod answered;
pub mod auto;
pub mod batch;
pub mod brought_in;
pub mod catch_up;
pub mod copies;
pub mod decision;
pub mod delivery;
pub mod delivery_table;
pub mod digest;
pub mod ended;
pub mod letters;
pub mod lint;
pub mod membership;
pub mod news;
pub mod notice;
pub mod outdated;
pub mod post;
pub mod relay;
pub mod reminders;
pub mod rotation;
pub mod silence;
pub mod time;
pub mod work;

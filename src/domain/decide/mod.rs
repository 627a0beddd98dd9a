//! What follows, as a decision: facts and mails, by time or by an effect of a mail. Floor 6: it
//! knows no word of a command and no letter's classification.

pub mod auto;
pub mod batch;
pub mod catch_up;
pub mod decision;
pub mod delivery_table;
pub mod letters;
pub mod lint;
pub mod membership;
pub mod notice;
pub mod relay;
pub mod reminders;
pub mod rotation;
pub mod silence;
pub mod watch;
pub mod work;

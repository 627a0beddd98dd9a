//! Everything the desk knows and decides. Synchronous and pure: no file, no socket, no clock, no
//! random number, no key. `tests/tidy.rs` holds it to that.

pub mod auto;
pub mod batch;
pub mod calendar;
pub mod checklist;
pub mod commands;
pub mod compare;
pub mod desk;
pub mod diagnosis;
pub mod event;
pub mod grammar;
pub mod history;
pub mod incident;
pub mod intake;
pub mod keyword;
pub mod letter;
pub mod names;
pub mod notice;
pub mod offset;
pub mod outbox;
pub mod plan;
pub mod playbook;
pub mod refusal;
pub mod relay;
pub(crate) mod reminders;
pub mod reporter;
pub mod roster;
pub mod rotation;
pub mod schedule;
pub mod silence;
pub mod statistics;
pub mod steer;
pub mod texts;
pub mod watch;
pub mod work;

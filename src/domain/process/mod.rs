//! A process as data: playbooks, offsets and windows, calendars, and the table of words.
//!
//! Knows no incident: what a row needs to know of one, it asks through `Facts`.

pub mod calendar;
pub mod offset;
pub mod playbook;
pub mod vocabulary;

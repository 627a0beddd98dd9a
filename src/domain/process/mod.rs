//! A security process as data: playbooks, offsets, calendars, and the words that people use.
//! Floor 3: it knows no incident and no desk; what a process says is the same for all of them.

pub mod calendar;
pub mod offset;
pub mod playbook;
pub mod vocabulary;

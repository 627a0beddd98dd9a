//! The model in words and tables, for reading only. Floor 5: nothing here changes or sends
//! anything.

pub mod calendar_entry;
pub mod checklist;
pub mod compare;
pub mod history;
pub mod plan;
pub mod statistics;

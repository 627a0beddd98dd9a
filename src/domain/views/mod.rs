//! The model in words, tables and files. Read only; a new form of export is a row in `formats.rs`.
//!
//! Decides nothing: whoever shows something must not change it.

pub mod agenda;
pub mod calendar_entry;
pub mod checklist;
pub mod compare;
pub mod formats;
pub mod health;
pub mod history;
pub mod member_words;
pub mod plan;
pub mod preview_calendar;
pub mod statistics;

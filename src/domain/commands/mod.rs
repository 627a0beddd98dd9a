//! What each word does: one function a row of the table, on a copy of the incident; who may use which;
//! and how words are found in a text.
//!
//! Knows nothing of how a mail came in: it is given a turn, with the person whose signature counted.

pub mod alarm;
pub mod answers;
pub mod batch;
pub mod confirm;
pub mod date;
pub mod diagnosis;
pub mod dispatch;
pub mod drafts;
pub mod embargo;
pub mod grammar;
pub mod in_clear;
pub mod joining;
pub mod keys;
pub mod leak;
pub mod linking;
pub mod member;
pub mod people;
pub mod read;
pub mod record;
pub mod rehearse;
pub mod reporter;
pub mod rights;
pub mod roll;
pub mod second;
pub mod several;
mod slots;
pub mod talk;
pub mod tasks;
pub mod triage;
pub mod turn;
pub mod who;

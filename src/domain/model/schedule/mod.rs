//! What is due when: derived from an incident's history every time, and stored nowhere.
//!
//! [`agenda`] is for people; [`duties`] is for the desk. Both follow from the same few rules, so
//! that what people are shown is what happens. Nothing here depends on the present except the
//! words "due" and "late": a moment that has passed stays in the list until it is dealt with.

mod agenda;
mod duties;
mod leaving;
mod moments;
mod progress;
mod reach;

pub use crate::domain::model::schedule::agenda::{Item, State, agenda};
pub use crate::domain::model::schedule::duties::{
    DATE_TOLD, Duty, NOBODY_LEFT, News, Next, duties, human_due, news, next, open_for, stale_mark,
};
pub use crate::domain::model::schedule::leaving::{
    Block, approvals_missing, approvals_wanted, approvers, behind, excludes_editor, is_late,
    may_leave,
};
pub use crate::domain::model::schedule::moments::{planned_span, span_of};
pub use crate::domain::model::schedule::progress::{
    a_gate_is_open, done_at, is_moot, is_with_a_person, missing, open_before,
};
pub use crate::domain::model::schedule::reach::{Reach, Wider};

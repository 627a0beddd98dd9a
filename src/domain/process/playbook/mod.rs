//! A published security process as data: the TOML format, and a loader that refuses what it does
//! not understand.
//!
//! A row that this version cannot execute is refused, never skipped: an operator who writes it
//! must not believe that it happens. Every refusal names the file and the line.

pub mod field;
mod file;
pub(crate) mod form;
mod loader;
pub mod predicate;
mod rows;
mod rules;
mod sections;
mod task;

pub use crate::domain::process::playbook::field::{Field, FieldType};
pub use crate::domain::process::playbook::loader::{calendar_of, load, load_stored};
pub use crate::domain::process::playbook::predicate::{Facts, Predicate, Truth};
pub use crate::domain::process::playbook::rules::{
    Assign, BUILTIN, Branch, Cap, Criterion, Effect, Group, HeldBy, HumanAnswer, OWN_WORDS,
    Playbook, Problem, Right, Role, TLP, TRule, common_fields,
};
pub use crate::domain::process::playbook::task::{
    Action, Audience, FanOut, Kind, Origin, Repeat, Rung, Step, Task, When,
};

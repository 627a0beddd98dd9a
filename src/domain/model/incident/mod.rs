//! An incident: what its facts add up to.
//!
//! [`Incident::apply`] is the only thing that changes an incident, and replay uses the same
//! function.

pub mod facts;
mod gone;
mod ledger;
mod parts;
mod state;

pub use crate::domain::model::incident::parts::names;
pub use crate::domain::model::incident::parts::{
    AnchorSet, Done, Elsewhere, Entry, Notice, Offer, OwnNotice, Release, Reporter, Shared,
    Sharing, Status,
};
pub use crate::domain::model::incident::state::Incident;

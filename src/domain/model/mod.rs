//! What facts add up to: roster, members, incidents, the schedule, the desk.
//!
//! Changed by `apply` and by nothing else. Knows no mail that is to leave and no decision.

pub mod clock;
pub mod desk;
pub mod incident;
pub mod member;
pub mod roster;
pub mod schedule;

//! What the facts add up to: the roster, members, incidents, their schedule, the desk. Floor 4: it
//! applies facts and answers questions; it decides nothing and writes no mail.

pub mod desk;
pub mod incident;
pub mod member;
pub mod roster;
pub mod schedule;

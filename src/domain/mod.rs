//! Everything the desk knows and decides. Synchronous and pure: no file, no socket, no clock, no
//! random number, no key.
//!
//! It stands on eight floors, and a file names only what stands on its own floor or below. Ordered
//! here as they stand, from the ground up; `tests/floors.rs` holds it to both.

pub mod facts;

pub mod outgoing;

pub mod process;

pub mod model;

pub mod views;

pub mod decide;

pub mod commands;

pub mod intake;

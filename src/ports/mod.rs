//! What engine and edge share: values, and traits that the edge fills in.
//!
//! Knows facts and what leaves, and nothing of how a desk decides; the engine works against these
//! traits, so that another database, a clock that jumps and drawn numbers that repeat are each one
//! file at the edge.

pub mod clock;
pub mod entropy;
pub mod store;
pub mod vault;

//! What a desk is played with.
#![allow(dead_code, reason = "what is played with grows")]

pub(crate) mod store;
pub(crate) mod vault;
pub(crate) mod world;

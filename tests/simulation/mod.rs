//! What a desk is played with.
#![allow(dead_code, reason = "what is played with grows")]

pub(crate) mod debts;
pub(crate) mod dice;
pub(crate) mod oracle;
pub(crate) mod people;
pub(crate) mod plan;
pub(crate) mod real;
pub(crate) mod run;
pub(crate) mod servers;
pub(crate) mod shrink;
pub(crate) mod stops;
pub(crate) mod store;
pub(crate) mod vault;
pub(crate) mod world;

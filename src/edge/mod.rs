//! Everything that waits, reads, writes, asks the clock or draws a random number.

pub mod mime;
pub mod opening;
pub mod pgp;

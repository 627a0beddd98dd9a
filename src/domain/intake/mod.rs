//! A mail: what it is bound to, what it is, whether its words count, and carrying them out.
//!
//! Takes a letter that the edge has opened; knows no socket, no clock and no key.

pub mod acknowledge;
pub mod admission;
pub mod binding;
pub mod classify;
pub mod command_mail;
pub mod copies;
pub mod key_request;

//! A mail: what it is, where it belongs, whether it counts, and what follows. Floor 8, the top:
//! it names every floor below it, and nobody in the domain names it.

pub mod acknowledge;
pub mod binding;
pub mod classify;
pub mod command_mail;
pub mod copies;
pub mod key_request;

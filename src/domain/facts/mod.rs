//! What has a name, and what is stored: names, letters, keys, facts, records, settings.
//!
//! Knows nothing of what follows from a fact. What stands here is read from journals of every older
//! version: stored texts only ever gain.

pub mod anchor;
pub mod event;
pub mod foreign;
pub mod heart;
pub mod key;
pub mod language;
pub mod letter;
pub mod mark;
pub mod member_fact;
pub mod names;
pub mod outer_view;
pub mod record;
pub mod refusal;
pub mod seconded;
pub mod settings;
pub mod source;

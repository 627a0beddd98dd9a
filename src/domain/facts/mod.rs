//! What has a name, and what is stored: ids, moments, letters as data, events. Floor 1 of the
//! domain: it names no other floor, and knows nothing of what a fact leads to.

pub mod anchor;
pub mod event;
pub mod key;
pub mod letter;
pub mod member_fact;
pub mod names;
pub mod record;
pub mod refusal;
pub mod settings;

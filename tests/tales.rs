//! A tale for each process, from the first report to the end, on the stage without servers: real
//! sealing, a real store, the clock that jumps. Each branch of the process is taken at least once.
//! What is held against the golden files is the sequence of mails and of tasks with their moments.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on should stop, and says so"
)]

mod common;

#[path = "tales/apereo.rs"]
mod apereo;
#[path = "tales/default.rs"]
mod default;
#[path = "tales/emissary.rs"]
mod emissary;
#[path = "tales/isc.rs"]
mod isc;
#[path = "tales/minder.rs"]
mod minder;
#[path = "tales/stalwart.rs"]
mod stalwart;
#[path = "tales/tale.rs"]
mod tale;

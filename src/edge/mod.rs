//! Everything that waits, reads, writes, asks the clock or draws a random number: one file for each thing
//! outside.
//!
//! Fills in the ports and holds no rule. Sisters do not know each other, but for what several need:
//! `tls`, `server`, `mime`, `pgp`, `files`, and `https`, `program` below what asks by them.

pub mod bundle;
pub mod clock;
pub mod compose;
pub mod contained;
pub mod dns;
pub mod files;
pub mod heartbeat;
pub mod https;
pub mod imap;
pub mod mime;
pub mod oauth;
pub mod opening;
pub mod pgp;
pub mod pool;
pub mod process;
pub mod program;
pub mod server;
pub mod smtp;
pub mod sqlite;
pub mod tls;
pub mod wkd;

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::domain::facts::names::Fresh;
use crate::error::{Fault, Place};
use crate::ports::entropy::Entropy;

/// Draws random bytes from the system.
///
/// # Errors
/// When the system has none; nothing is done without.
pub fn random<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).at(|| "drawing random numbers".to_owned())?;
    Ok(bytes)
}

/// The system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fresh(&mut self) -> Result<Fresh, Fault> {
        random().map(Fresh::new)
    }
}

/// Writes a file that only its owner may read. Never over one that is there.
///
/// # Errors
/// When it exists or cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let place = || format!("writing {}", path.display());
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .at(place)?;
    file.write_all(bytes).at(place)?;
    file.sync_all().at(place)
}

/// Writes a file so that whoever reads it sees all of it or what was there before.
///
/// # Errors
/// When it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let place = || format!("writing {}", path.display());
    let new = path.with_extension("new");
    std::fs::write(&new, bytes).at(place)?;
    std::fs::rename(&new, path).at(place)
}

/// Bytes from hex digits.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

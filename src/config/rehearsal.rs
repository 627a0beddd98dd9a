//! What there is of a config for a rehearsal, which needs neither servers nor a running desk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config::{Finding, read_all};
use crate::domain::facts::names::Moment;
use crate::edge::pgp::Passphrase;
use crate::edge::sqlite::Sqlite;
use crate::engine::Sources;
use crate::error::Fault;

/// What can be played, and what is wrong beside it.
pub struct Rehearsed {
    /// What the journal would be told.
    pub sources: Sources,
    /// What is wrong, but for the servers, which nobody calls.
    pub findings: Vec<Finding>,
    /// The same of people who do not fit the playbook of the config: moot where another is played.
    pub fits: Vec<Finding>,
    /// Playbooks of the operator that cannot be used.
    pub refused: BTreeSet<String>,
    store: Option<(PathBuf, Passphrase)>,
}

impl Rehearsed {
    /// The desk's journal; none if there is none yet.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn open_store(&self) -> Result<Option<Sqlite>, Fault> {
        match &self.store {
            Some((path, passphrase)) if path.exists() => Sqlite::open(path, passphrase).map(Some),
            Some(_) | None => Ok(None),
        }
    }
}

/// Reads a config for a rehearsal.
///
/// # Errors
/// What is wrong, where the desk's own part cannot be read.
pub fn read(path: &Path, now: Moment) -> Result<Rehearsed, Vec<Finding>> {
    let read = read_all(path, now)?;
    let Some(sources) = read.sources else { return Err(read.findings) };
    let (mut findings, mut fits) = (Vec::new(), Vec::new());
    for (n, finding) in read.findings.into_iter().enumerate() {
        if read.fits.contains(&n) {
            fits.push(finding);
        } else if finding.is_wrong() && !read.servers.contains(&n) {
            findings.push(finding);
        }
    }
    fits.retain(Finding::is_wrong);
    let (refused, store) = (read.refused, read.store);
    Ok(Rehearsed { sources, findings, fits, refused, store })
}

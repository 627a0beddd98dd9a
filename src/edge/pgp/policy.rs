//! What is accepted as secure, and the times that signatures are looked at from.

use openpgp::policy::StandardPolicy;
use sequoia_openpgp as openpgp;

use crate::domain::facts::names;
use crate::domain::facts::names::{Moment, Span};

/// What is accepted as secure. Sequoia's standard, unchanged: what it refuses (SHA-1, short RSA,
/// messages without integrity protection) is refused here.
pub(crate) fn policy() -> StandardPolicy<'static> {
    StandardPolicy::new()
}

pub(crate) fn time_of(moment: Moment) -> std::time::SystemTime {
    moment.into()
}

/// The time that signatures are looked at from: a day after the mail was received. Keys are judged
/// at the time of the signature in any case; this only lets a signature from a clock that runs
/// ahead be seen for what it is, so that the refusal can name the skew instead of calling it bad.
pub(crate) fn time_to_verify(moment: Moment) -> std::time::SystemTime {
    time_of(names::later(moment, Span::hours(25)))
}

pub(crate) fn root_cause(error: &openpgp::anyhow::Error) -> String {
    error.root_cause().to_string().lines().next().unwrap_or("").to_owned()
}

/// The SHA-1 of some bytes: for the names of files that others look for (WKD), and nothing else.
#[must_use]
pub fn sha1(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 20];
    if let Ok(hash) = openpgp::types::HashAlgorithm::SHA1.context() {
        let mut hash = hash.for_digest();
        hash.update(bytes);
        // It can only fail for a buffer of another size.
        let _ = hash.digest(&mut out);
    }
    out
}

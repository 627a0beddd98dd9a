//! OpenPGP: the desk's own keys, opening what comes in, sealing what goes out.
//!
//! The only folder that names sequoia. It decides nothing: [`Opened`] is what was found, and what
//! that means is the domain's business. No plaintext leaves this folder before its integrity is
//! known: everything is read to the end, and an error throws all of it away.

mod archive;
mod armor;
mod certificate;
mod directory;
mod keyring;
mod open;
mod policy;
mod seen;

pub use crate::edge::pgp::archive::{ArchiveKey, Opener, open_archive, seal_archive};
pub use crate::edge::pgp::certificate::{Certificate, Form, mend_key};
pub use crate::edge::pgp::directory::{Directory, Known, attached, revoked};
pub use crate::edge::pgp::keyring::{
    Keyring, Passphrase, generate, generate_for_gnupg, secret_fingerprint,
};
pub use crate::edge::pgp::open::{
    HoldingSignature, LIMITS, Limits, Opened, open, reason, verify_detached, verify_inline,
};
pub use crate::edge::pgp::policy::sha1;
pub use crate::edge::pgp::seen::{Holds, OurIds, Seen, see, without_unreadable_keys};

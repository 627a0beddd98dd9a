//! The file beside the database that holds its key, wrapped by a key that Argon2id derives from the
//! passphrase; never by the OpenPGP key, to which strangers may encrypt.

use std::path::{Path, PathBuf};

use argon2::Argon2;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::edge::files;
use crate::edge::pgp::Passphrase;
use crate::edge::{random, unhex};
use crate::error::{Fault, Place};

/// The database's key, wrapped; what the key file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    what: String,
    memory_kib: u32,
    passes: u32,
    salt: String,
    nonce: String,
    wrapped: String,
}

const KEY_FILE: &str = "embargod database key, wrapped by the passphrase";
/// Argon2id's cost: 64 MiB and 3 passes, the second recommendation of RFC 9106, 4.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;

/// Bytes as hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn derive(
    passphrase: &Passphrase,
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
) -> Result<Zeroizing<[u8; 32]>, Fault> {
    let bounds = (8..=4 * 1024 * 1024).contains(&memory_kib) && (1..=100).contains(&passes);
    let costs = argon2::Params::new(memory_kib, passes, 1, Some(32)).ok().filter(|_| bounds);
    let costs = costs.ok_or_else(|| Fault::new("the key file's costs are out of range", ""))?;
    let mut key = Zeroizing::new([0; 32]);
    let argon = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, costs);
    passphrase
        .with(|bytes| argon.hash_password_into(bytes, salt, &mut *key))
        .at(|| "deriving the database key".to_owned())?;
    Ok(key)
}

/// Where the wrapped key of a database lies.
#[must_use]
pub(super) fn path(database: &Path) -> PathBuf {
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(".key");
    database.with_file_name(name)
}

/// The text of the key file for a database key.
///
/// # Errors
/// When there is no randomness.
pub(super) fn wrap(key: &[u8; 32], passphrase: &Passphrase) -> Result<String, Fault> {
    let (salt, nonce) = (random::<16>()?, random::<24>()?);
    let wrapping = derive(passphrase, &salt, MEMORY_KIB, PASSES)?;
    let cipher = XChaCha20Poly1305::new((&*wrapping).into());
    let wrapped = cipher
        .encrypt(&XNonce::from(nonce), key.as_slice())
        .map_err(|_| Fault::new("wrapping the database key failed", ""))?;
    let file = KeyFile {
        what: KEY_FILE.to_owned(),
        memory_kib: MEMORY_KIB,
        passes: PASSES,
        salt: hex(&salt),
        nonce: hex(&nonce),
        wrapped: hex(&wrapped),
    };
    serde_json::to_string_pretty(&file).at(|| "key file".to_owned())
}

/// The database key from its file.
///
/// # Errors
/// When the file is missing or damaged, or the passphrase is wrong.
pub(super) fn unwrap(path: &Path, passphrase: &Passphrase) -> Result<Zeroizing<[u8; 32]>, Fault> {
    let place = || format!("key file {}", path.display());
    let text = files::text(path)?;
    let file: KeyFile = serde_json::from_str(&text).at(place)?;
    let broken = || Fault::new(format!("{} is damaged", place()), "restore it from a backup");
    let salt = unhex(&file.salt).ok_or_else(broken)?;
    let nonce: [u8; 24] = unhex(&file.nonce).and_then(|n| n.try_into().ok()).ok_or_else(broken)?;
    let wrapped = unhex(&file.wrapped).ok_or_else(broken)?;
    let wrapping = derive(passphrase, &salt, file.memory_kib, file.passes)?;
    let cipher = XChaCha20Poly1305::new((&*wrapping).into());
    let key = cipher.decrypt(&XNonce::from(nonce), wrapped.as_slice()).map_err(|_| {
        Fault::new(
            format!("the passphrase does not open {}", path.display()),
            "look at `passphrase_file` in the config",
        )
    })?;
    let key = Zeroizing::new(key);
    let bytes = <[u8; 32]>::try_from(key.as_slice()).map_err(|_| broken())?;
    Ok(Zeroizing::new(bytes))
}

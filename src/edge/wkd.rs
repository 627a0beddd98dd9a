//! What the desk publishes: its certificate where programs look for it (WKD), and `security.txt`
//! (RFC 9116), as files for a web server that others run.

use std::path::{Path, PathBuf};

use crate::domain::facts::letter::Signature;
use crate::domain::facts::names::{Address, Moment, Span, later};
use crate::edge::pgp;
use crate::edge::pgp::{Certificate, Directory, Keyring, LIMITS, verify_inline};
use crate::error::{Fault, Place};

/// How long a `security.txt` is good for: less than the year that RFC 9116, 2.5.5 asks for.
const GOOD_FOR: Span = Span::days(180);
/// So long before its end it is renewed.
const RENEW_BEFORE: Span = Span::days(30);

/// The 32 letters of z-base-32, in the order of their values.
const ZBASE32: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";

/// The name under which a certificate lies: z-base-32 of the SHA-1 of the local part in lower case
/// (draft-koch-openpgp-webkey-service, 3.1).
#[must_use]
pub fn name(address: &Address) -> String {
    let hash = pgp::sha1(address.local().to_ascii_lowercase().as_bytes());
    let mut out = String::with_capacity(32);
    // 160 bits are 32 groups of five.
    for n in 0..32_usize {
        let bit = n.saturating_mul(5);
        let byte = |at: usize| u16::from(hash.get(at).copied().unwrap_or(0));
        let pair = byte(bit / 8) << 8 | byte((bit / 8).saturating_add(1));
        let five = (pair >> (11_usize.saturating_sub(bit % 8))) & 31;
        out.push(char::from(ZBASE32.get(usize::from(five)).copied().unwrap_or(b'y')));
    }
    out
}

fn put(path: &Path, bytes: &[u8], written: &mut Vec<PathBuf>) -> Result<(), Fault> {
    let place = || path.display().to_string();
    if std::fs::read(path).is_ok_and(|before| before == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).at(place)?;
    }
    // Replaced in one step: a web server may read it at any moment.
    let new = path.with_extension("new");
    std::fs::write(&new, bytes).at(place)?;
    std::fs::rename(&new, path).at(place)?;
    written.push(path.to_owned());
    Ok(())
}

/// Writes certificate and `security.txt` into a `.well-known` folder; says which files are new. What
/// is there and still good stays as it is.
///
/// # Errors
/// When something cannot be signed or written.
pub fn publish(
    folder: &Path,
    keyring: &Keyring,
    address: &Address,
    now: Moment,
) -> Result<Vec<PathBuf>, Fault> {
    let mut written = Vec::new();
    let certificate = keyring.certificate();
    let bytes = certificate.binary();
    let name = name(address);
    for base in [folder.join("openpgpkey"), folder.join("openpgpkey").join(address.domain())] {
        put(&base.join("hu").join(&name), &bytes, &mut written)?;
        put(&base.join("policy"), b"", &mut written)?;
    }
    let path = folder.join("security.txt");
    let lines = text(address, &certificate);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let before = signed_text(&before, &certificate, now).unwrap_or_default();
    let good = expires(&before).is_some_and(|at| at > later(now, RENEW_BEFORE));
    // All of it: a line that somebody added, or a signature that is not ours, is no line of ours.
    let said = before.lines().filter(|line| !line.starts_with("Expires:"));
    if !(good && said.eq(lines.iter().map(String::as_str))) {
        let at = later(now, GOOD_FOR).format("%Y-%m-%dT%H:%M:%SZ");
        let mut text = lines.join("\n");
        text.push_str(&format!("\nExpires: {at}\n"));
        let signed = keyring.clear_signed(&text, now).at(|| "signing security.txt".to_owned())?;
        put(&path, &signed, &mut written)?;
    }
    Ok(written)
}

/// The lines that do not change with time.
fn text(address: &Address, certificate: &Certificate) -> Vec<String> {
    let domain = address.domain();
    vec![
        format!("Contact: mailto:{address}"),
        format!("Encryption: openpgp4fpr:{}", certificate.fingerprint()),
        "Preferred-Languages: en".to_owned(),
        format!("Canonical: https://{domain}/.well-known/security.txt"),
    ]
}

/// What a `security.txt` says, if the desk's key has signed it.
fn signed_text(text: &str, own: &Certificate, now: Moment) -> Option<String> {
    let mut known = Directory::default();
    known.pin(own.clone(), "desk");
    let found = verify_inline(None, &known, text.as_bytes(), now, LIMITS);
    let (content, signature, _) = found?;
    let Signature::Valid(signed) = signature else { return None };
    (signed.fingerprint == own.fingerprint()).then(|| String::from_utf8(content).ok())?
}

/// When a `security.txt` ends.
#[must_use]
pub fn expires(text: &str) -> Option<Moment> {
    let value = text.lines().find_map(|line| line.strip_prefix("Expires:"))?;
    value.trim().parse().ok()
}

/// What is wrong with what is published in a folder, if something is.
#[must_use]
pub fn trouble(folder: &Path, address: &Address, own: &Certificate, now: Moment) -> Option<String> {
    let path = folder.join("security.txt");
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Some(format!("{} is not there", path.display()));
    };
    if !folder.join("openpgpkey/hu").join(name(address)).exists() {
        return Some(format!("{} has no certificate", folder.join("openpgpkey").display()));
    }
    let Some(text) = signed_text(&text, own, now) else {
        return Some(format!("{} is not signed by the desk's present key", path.display()));
    };
    match expires(&text) {
        None => Some(format!("{} does not say when it ends", path.display())),
        Some(at) if at < now => Some(format!("{} has ended", path.display())),
        Some(at) if at < later(now, RENEW_BEFORE) => {
            Some(format!("{} ends on {}", path.display(), at.format("%Y-%m-%d")))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::pgp::generate;

    #[test]
    fn what_somebody_changed_or_signed_otherwise_is_written_anew() {
        let now: Moment = "2026-03-02T09:00:00Z".parse().unwrap();
        let ring = || {
            let (secret, _) = generate("Desk", "security@desk.test", None, None, now).unwrap();
            Keyring::open(&[secret], None, [0; 32], now).unwrap()
        };
        let (own, others) = (ring(), ring());
        let address = Address::parse("security@desk.test").unwrap();
        let random = crate::edge::random::<8>().unwrap();
        let folder = std::env::temp_dir().join(format!("embargod-{}", u64::from_be_bytes(random)));
        let file = folder.join("security.txt");
        assert!(publish(&folder, &own, &address, now).unwrap().contains(&file));
        assert_eq!(publish(&folder, &own, &address, now).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(trouble(&folder, &address, &own.certificate(), now), None);
        let text = std::fs::read_to_string(&file).unwrap();
        let evil = text.replace("Contact: ", "Contact: mailto:evil@attacker.test\nContact: ");
        std::fs::write(&file, evil).unwrap();
        let said = trouble(&folder, &address, &own.certificate(), now).unwrap();
        assert!(said.contains("not signed"), "{said}");
        assert_eq!(publish(&folder, &own, &address, now).unwrap(), std::slice::from_ref(&file));
        // Renewed before it ends, and after a rotation.
        let soon = later(now, Span::days(151));
        assert_eq!(publish(&folder, &own, &address, soon).unwrap(), std::slice::from_ref(&file));
        assert!(trouble(&folder, &address, &others.certificate(), now).is_some());
        assert!(publish(&folder, &others, &address, now).unwrap().contains(&file));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_name_is_that_of_the_drafts_own_example() {
        // draft-koch-openpgp-webkey-service, 3.1: Joe.Doe@Example.ORG.
        let address = Address::parse("Joe.Doe@Example.ORG").unwrap();
        assert_eq!(name(&address), "iy9q119eutrkn8s1mk4r39qejnbu3n5q");
    }
}

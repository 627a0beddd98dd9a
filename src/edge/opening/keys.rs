//! The certificates that came along with a mail, wherever its writer put them: attached under any name and
//! type, pasted into the text, or in a header.

use crate::domain::facts::names::{Address, Moment};
use crate::domain::facts::outer_view::{FoundKey, KeyRank};
use crate::edge::mime;
use crate::edge::mime::Mime;
use crate::edge::opening::armor;
use crate::edge::opening::armor::Label;
use crate::edge::pgp::Certificate;

/// A certificate, and where it was found.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) rank: KeyRank,
    pub(super) certificate: Certificate,
}

/// The most certificates of one mail that are looked at.
const CERTIFICATES_MAX: usize = 5;
/// The largest that is kept for a reporter.
const CERTIFICATE_MAX: usize = 64 * 1024;

/// What may be certificates: attached under whatever name and type, or pasted into a text.
pub(super) fn candidates(mime: &Mime<'_>) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for part in mime.parts().filter(|part| mime.children(*part).is_empty()) {
        if found.len() >= CERTIFICATES_MAX {
            break;
        }
        // Encoded it is larger by a third, and by its line ends.
        if mime.raw(part).len() > CERTIFICATE_MAX.saturating_mul(2) {
            continue;
        }
        let bytes = mime.bytes(part);
        let is_text = mime.media(part).starts_with("text/") && !mime.is_attached(part);
        if is_text {
            found.extend(pasted(&String::from_utf8_lossy(&bytes)));
        }
        // The tag of a public or a secret key in either form of packet (RFC 9580, 4.2); one of a certificate
        // without armor is followed by what reads as one.
        let is_binary = matches!(bytes.first(), Some(0x94..=0x9b | 0xc5 | 0xc6));
        let armored = bytes.trim_ascii_start().starts_with(b"-----BEGIN PGP P");
        // GnuPG finds a key below whatever stands above it.
        if !is_text && !armored && !is_binary && bytes.len() <= CERTIFICATE_MAX {
            found.extend(pasted(&String::from_utf8_lossy(&bytes)));
        }
        let named = mime.media(part) == "application/pgp-keys";
        if bytes.len() <= CERTIFICATE_MAX && (is_binary || named || (armored && !is_text)) {
            found.push(bytes);
        }
    }
    found.truncate(CERTIFICATES_MAX);
    found
}

/// The blocks of public keys, or of revocations, in a text.
pub(super) fn pasted(text: &str) -> Vec<Vec<u8>> {
    let blocks = armor::blocks(text, Label::Key).into_iter();
    let unquoted = blocks.filter(|block| !block.quoted).filter_map(|block| text.get(block.range));
    unquoted
        .filter(|block| block.len() <= CERTIFICATE_MAX)
        .take(CERTIFICATES_MAX)
        .map(whole)
        .collect()
}

/// A block as it is, or mended where it cannot be read so.
fn whole(block: &str) -> Vec<u8> {
    let read = |text: &str| Certificate::read(text.as_bytes()).is_ok();
    let mended = Some(block).filter(|block| !read(block)).and_then(armor::mended);
    mended.filter(|mended| read(mended)).unwrap_or_else(|| block.to_owned()).into_bytes()
}

/// The certificates among some bytes.
pub(super) fn read(candidates: &[Vec<u8>], rank: KeyRank) -> impl Iterator<Item = Found> {
    let certificates = candidates.iter().flat_map(|bytes| Certificate::read_all(bytes));
    certificates.take(CERTIFICATES_MAX).map(move |certificate| Found { rank, certificate })
}

/// The key of an `Autocrypt` header, if there is exactly one that is valid (Autocrypt 1.1, 2.3).
pub(super) fn autocrypt(mime: &Mime<'_>, rank: KeyRank) -> Option<Found> {
    if mime.count("Autocrypt") != 1 || mime.from().0.len() != 1 {
        return None;
    }
    let header = mime.header("Autocrypt")?;
    let (mut address, mut data) = (None, None);
    for attribute in header.split(';') {
        let (name, value) = attribute.split_once('=')?;
        match name.trim() {
            "addr" => address = Address::parse(value),
            "keydata" => {
                data = Some(value.chars().filter(|c| !c.is_whitespace()).collect::<String>())
            }
            "prefer-encrypt" => {}
            // An attribute that is not known and not marked as optional makes the header invalid.
            other if other.starts_with('_') => {}
            _ => return None,
        }
    }
    let same =
        mime.from().0.first().zip(address.as_ref()).is_some_and(|(from, addr)| from.same_box(addr));
    let bytes = mime::base64(data?.as_bytes())?;
    let certificate =
        Certificate::read(&bytes).ok().filter(|_| same && bytes.len() <= CERTIFICATE_MAX)?;
    Some(Found { rank, certificate })
}

/// The certificates that came along, best rank first, usable ones only; and why one of the writer's own
/// cannot be used, if none can.
pub(super) fn ranked(
    found: Vec<Found>,
    signer: Option<Certificate>,
    from: &[Address],
    at: Moment,
) -> (Vec<FoundKey>, Option<String>) {
    let mut all = Vec::new();
    if let Some(certificate) = signer {
        all.push(Found { rank: KeyRank::Signer, certificate });
    }
    // A key that came in from outside must at least bear the author's address; of several inside,
    // the author's own comes first.
    let own = |found: &Found| from.iter().any(|from| found.certificate.is_for(from));
    all.extend(found.into_iter().filter(|found| found.rank != KeyRank::Outside || own(found)));
    all.sort_by_key(|found| (found.rank, !own(found)));
    let mut keys: Vec<FoundKey> = Vec::new();
    let mut unusable = None;
    for Found { rank, certificate } in all {
        let fingerprint = certificate.fingerprint();
        if keys.iter().any(|key| key.fingerprint == fingerprint) || keys.len() >= CERTIFICATES_MAX {
            continue;
        }
        match certificate.check(at) {
            Ok(()) => keys.push(FoundKey { rank, fingerprint, certificate: certificate.armored() }),
            Err(why) => {
                unusable.get_or_insert(why);
            }
        }
    }
    let unusable = unusable.filter(|_| keys.is_empty());
    (keys, unusable)
}

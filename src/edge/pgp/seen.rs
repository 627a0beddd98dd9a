//! What anybody can see of OpenPGP bytes, without any secret key: what they are, and to which keys.
//!
//! All that a stranger is answered hangs on this and on nothing that opening found out.

use std::borrow::Cow;

use openpgp::packet::Tag;
use openpgp::parse::{PacketParser, PacketParserBuilder, PacketParserResult, Parse};
use openpgp::{KeyHandle, Packet};
use sequoia_openpgp as openpgp;

/// The most packets before the ciphertext that are looked at; one for each recipient.
const PACKETS_MAX: usize = 256;

/// What OpenPGP bytes are, by their first packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Something encrypted.
    Ciphertext,
    /// Something that is signed or only packed, readable by anybody (`gpg --sign`, `gpg --store`).
    Readable,
    /// A certificate, or a secret key.
    Key,
    /// A signature by itself.
    Signature,
}

/// What anybody can see of OpenPGP bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What they are.
    pub holds: Holds,
    /// The ids of the keys that they are encrypted to, in hex; those that are not hidden.
    pub recipients: Vec<String>,
    /// Whether they are encrypted to some key that is hidden.
    pub hidden: bool,
    /// Whether they are encrypted with a password.
    pub password: bool,
    /// Whether one of the recipients is among ours.
    pub ours: bool,
    /// Whether they are in the newer form (SEIPDv2).
    pub newer: bool,
}

/// Ids of the desk's own keys that can be encrypted to: public knowledge.
#[derive(Debug, Clone, Default)]
pub struct OurIds(Vec<KeyHandle>);

impl OurIds {
    pub(super) fn of<'a>(certs: impl Iterator<Item = &'a openpgp::Cert>) -> Self {
        Self(certs.flat_map(|cert| cert.keys().map(|key| key.key().key_handle())).collect())
    }

    fn has(&self, id: &KeyHandle) -> bool {
        self.0.iter().any(|ours| ours.aliases(id))
    }
}

/// Looks at OpenPGP bytes, armored or not; nothing where they are none.
#[must_use]
pub fn see(bytes: &[u8], ours: &OurIds) -> Option<Seen> {
    let mut seen = Seen {
        holds: Holds::Ciphertext,
        recipients: Vec::new(),
        hidden: false,
        password: false,
        ours: false,
        newer: false,
    };
    let mut next = parser(bytes);
    let mut before = None;
    // Of what begins like a session key by chance nothing can be read.
    let mut sound = bytes.starts_with(b"-----BEGIN ");
    for _ in 0..PACKETS_MAX {
        let Some(PacketParserResult::Some(here)) = next else { break };
        let tag = here.packet.tag();
        if let Packet::PKESK(key) = &here.packet {
            sound = true;
            match key.recipient() {
                Some(id) => {
                    seen.ours |= ours.has(&id);
                    seen.recipients.push(openpgp::KeyID::from(&id).to_hex());
                }
                None => seen.hidden = true,
            }
        } else if let Packet::SKESK(_) = &here.packet {
            (seen.password, sound) = (true, true);
        } else if tag == Tag::Signature && before.is_none() {
            seen.holds = Holds::Signature;
        } else if !is_session_key(tag) && tag != Tag::Marker && tag != Tag::Padding {
            sound |= !matches!(here.packet, Packet::Unknown(_));
            seen.newer = matches!(here.packet, Packet::SEIP(openpgp::packet::SEIP::V2(_)));
            seen.holds = if before.is_some_and(is_session_key) {
                // Session keys, and what they open, whatever became of it.
                Holds::Ciphertext
            } else {
                holds(tag)?
            };
            return sound.then_some(seen);
        }
        before = Some(tag);
        next = here.next().ok().map(|(_, next)| next);
    }
    (sound && before.is_some()).then_some(seen)
}

fn is_session_key(tag: Tag) -> bool {
    matches!(tag, Tag::PKESK | Tag::SKESK)
}

/// What begins with a packet.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else begins a message or a key")]
fn holds(tag: Tag) -> Option<Holds> {
    match tag {
        Tag::SEIP | Tag::SED | Tag::AED => Some(Holds::Ciphertext),
        Tag::OnePassSig | Tag::CompressedData | Tag::Literal => Some(Holds::Readable),
        Tag::PublicKey | Tag::SecretKey => Some(Holds::Key),
        Tag::Signature => Some(Holds::Signature),
        _ => None,
    }
}

fn parser(bytes: &[u8]) -> Option<PacketParserResult<'_>> {
    let parser = PacketParserBuilder::from_bytes(bytes).map(|b| b.max_recursion_depth(0));
    parser.and_then(PacketParserBuilder::build).ok()
}

/// The same message in binary, without session keys for others that cannot be read: what a sender's
/// program made of somebody else's key closes nothing that is meant for us (RFC 9580, 4.3: what is not
/// understood is passed over).
#[must_use]
pub fn without_unreadable_keys(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Some(binary) = binary(bytes) else { return Cow::Borrowed(bytes) };
    let (mut kept, mut at, mut dropped) = (Vec::new(), 0_usize, false);
    for _ in 0..PACKETS_MAX {
        let rest = binary.get(at..).unwrap_or_default();
        let Some((tag, length)) = framed(rest) else { break };
        let Some(packet) = rest.get(..length).filter(|_| matches!(tag, 1 | 3)) else { break };
        let is_read = matches!(
            PacketParser::from_bytes(packet),
            Ok(PacketParserResult::Some(here)) if matches!(here.packet, Packet::PKESK(_) | Packet::SKESK(_))
        );
        if is_read {
            kept.extend_from_slice(packet);
        }
        dropped |= !is_read;
        at = at.saturating_add(length);
    }
    if !dropped {
        return Cow::Borrowed(bytes);
    }
    kept.extend_from_slice(binary.get(at..).unwrap_or_default());
    Cow::Owned(kept)
}

/// The bytes without their armor.
fn binary(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    use std::io::Read as _;
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        return Some(Cow::Borrowed(bytes));
    }
    let mut out = Vec::new();
    let mut reader = openpgp::armor::Reader::from_bytes(bytes, None);
    reader.read_to_end(&mut out).ok()?;
    Some(Cow::Owned(out))
}

/// The tag of the packet that some bytes begin with, and how long it is with its header (RFC 9580, 4.2).
/// Nothing where its length is not said at once.
fn framed(bytes: &[u8]) -> Option<(u8, usize)> {
    let first = *bytes.first()?;
    let octet = |n: usize| bytes.get(n).copied().map(usize::from);
    let number = |from: usize, octets: usize| {
        (from..from.saturating_add(octets))
            .try_fold(0_usize, |sum, n| sum.checked_mul(256)?.checked_add(octet(n)?))
    };
    let (tag, header, body) = match first >> 6 {
        0b11 => {
            let (header, body) = match octet(1)? {
                one @ 0..=191 => (2, one),
                one @ 192..=223 => {
                    (3, (one - 192).checked_mul(256)?.checked_add(octet(2)?)?.checked_add(192)?)
                }
                255 => (6, number(2, 4)?),
                _ => return None,
            };
            (first & 0x3f, header, body)
        }
        0b10 => {
            let octets: usize = match first & 3 {
                0 => 1,
                1 => 2,
                2 => 4,
                _ => return None,
            };
            ((first >> 2) & 0x0f, octets.checked_add(1)?, number(1, octets)?)
        }
        _ => return None,
    };
    Some((tag, header.checked_add(body)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_framed() {
        assert_eq!(framed(&[0xc1, 5, 0, 0, 0, 0, 0]), Some((1, 7)));
        assert_eq!(framed(&[0xc1, 0xc0, 0]), Some((1, 195)));
        assert_eq!(framed(&[0xc1, 0xff, 0, 0, 1, 0]), Some((1, 262)));
        assert_eq!(framed(&[0x85, 1, 0x0c]), Some((1, 271)));
        assert_eq!(framed(&[0x84, 9]), Some((1, 11)));
        assert_eq!(framed(&[0xd2, 0xe5]), None);
        assert_eq!(framed(&[0x8c]), None);
        assert_eq!(framed(b"-----BEGIN"), None);
        assert_eq!(framed(&[]), None);
    }

    #[test]
    fn what_is_no_openpgp_is_nothing() {
        for bytes in [b"".as_slice(), b"hello", b"%PDF-1.4", &[0xff; 40], &[0x89, b'P', b'N', b'G']]
        {
            assert_eq!(see(bytes, &OurIds::default()), None, "{bytes:?}");
        }
    }
}

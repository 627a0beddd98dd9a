//! The key zoo: certificates of every odd kind, and whether a mail is sealed
//! to them, to which key, and until when. The animals are files in `tests/zoo`, made once with
//! EMBARGOD_WRITE=1; what they are stands here.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::type_complexity,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on should stop"
)]

use std::time::{Duration, SystemTime};

use embargod::domain::facts::names::{Moment, Span};
use embargod::edge::pgp::{Certificate, Keyring, generate};
use sequoia_openpgp::cert::prelude::*;
use sequoia_openpgp::packet::Packet;
use sequoia_openpgp::packet::key::{Key4, SubordinateRole};
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::parse::Parse;
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::SerializeInto;
use sequoia_openpgp::types::{HashAlgorithm, KeyFlags, ReasonForRevocation, SignatureType};
use sequoia_openpgp::{Cert, PacketPile, Profile};

fn now() -> Moment {
    "2026-03-02T09:00:00Z".parse().unwrap()
}

fn at(days: i64) -> SystemTime {
    (now() + Span::days(days)).into()
}

fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}

fn builder(born: i64) -> CertBuilder<'static> {
    CertBuilder::new()
        .set_creation_time(at(born))
        .add_userid("Dora <dora@people.test>")
        .add_signing_subkey()
}

fn encrypts() -> KeyFlags {
    KeyFlags::empty().set_transport_encryption()
}

fn armored(cert: Cert) -> Vec<u8> {
    SerializeInto::to_vec(&cert.strip_secret_key_material().armored()).unwrap()
}

/// The encryption subkeys, the one that ends first before the others.
fn subkeys(
    cert: &Cert,
) -> Vec<sequoia_openpgp::packet::Key<sequoia_openpgp::packet::key::PublicParts, SubordinateRole>> {
    let policy = StandardPolicy::new();
    let valid = cert.with_policy(&policy, at(-1)).unwrap();
    let keys = valid.keys().subkeys().for_transport_encryption();
    let mut keys: Vec<_> = keys.collect();
    keys.sort_by_key(|key| key.key_expiration_time());
    keys.into_iter().map(|key| key.key().clone().role_into_subordinate()).collect()
}

fn revoked(cert: Cert, subkey: usize) -> Cert {
    let mut signer =
        cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let key = subkeys(&cert)[subkey].clone();
    let revocation = SubkeyRevocationBuilder::new()
        .set_signature_creation_time(at(-1))
        .unwrap()
        .set_reason_for_revocation(ReasonForRevocation::KeyCompromised, b"stolen")
        .unwrap()
        .build(&mut signer, &cert, &key, None)
        .unwrap();
    cert.insert_packets(vec![Packet::from(revocation)]).unwrap().0
}

fn two_subkeys() -> Cert {
    let (cert, _) = builder(-400)
        .add_subkey(encrypts(), days(500), None)
        .add_subkey(encrypts(), days(800), None)
        .generate()
        .unwrap();
    cert
}

/// A key bound by its primary, or by nobody.
fn with_subkey(cert: Cert, hash: HashAlgorithm, bound: bool) -> Cert {
    let mut key: sequoia_openpgp::packet::Key<_, SubordinateRole> =
        Key4::generate_ecc(false, sequoia_openpgp::types::Curve::Cv25519).unwrap().into();
    key.set_creation_time(at(-50)).unwrap();
    let mut packets = vec![Packet::from(key.clone())];
    if bound {
        let mut signer =
            cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
        let binding = SignatureBuilder::new(SignatureType::SubkeyBinding)
            .set_hash_algo(hash)
            .set_signature_creation_time(at(-50))
            .unwrap()
            .set_key_flags(encrypts())
            .unwrap();
        let public = key.clone().parts_into_public();
        packets.push(public.bind(&mut signer, &cert, binding).unwrap().into());
    }
    cert.insert_packets(packets).unwrap().0
}

/// An RSA key that is too short, with everything else in order.
fn weak_rsa() -> Cert {
    let mut key: sequoia_openpgp::packet::Key<_, sequoia_openpgp::packet::key::PrimaryRole> =
        Key4::generate_rsa(1024).unwrap().into();
    key.set_creation_time(at(-100)).unwrap();
    let mut signer = key.clone().into_keypair().unwrap();
    let user = sequoia_openpgp::packet::UserID::from("Dora <dora@people.test>");
    let cert = Cert::from_packets(std::iter::once(Packet::from(key))).unwrap();
    let binding = SignatureBuilder::new(SignatureType::PositiveCertification)
        .set_signature_creation_time(at(-100))
        .unwrap()
        .set_key_flags(KeyFlags::empty().set_certification().set_transport_encryption())
        .unwrap();
    let signature = user.bind(&mut signer, &cert, binding).unwrap();
    cert.insert_packets(vec![Packet::from(user), signature.into()]).unwrap().0
}

/// Each animal: its name, what it is, whether it can be sealed to now, and until when if that ends;
/// days from now.
const ANIMALS: &[(&str, fn() -> Vec<u8>, bool, Option<i64>)] = &[
    (
        "plain",
        || armored(builder(-100).add_transport_encryption_subkey().generate().unwrap().0),
        true,
        None,
    ),
    (
        "expired-primary",
        || {
            let cert =
                builder(-400).set_validity_period(days(365)).add_transport_encryption_subkey();
            armored(cert.generate().unwrap().0)
        },
        false,
        None,
    ),
    (
        "expired-subkey",
        || armored(builder(-400).add_subkey(encrypts(), days(365), None).generate().unwrap().0),
        false,
        None,
    ),
    ("two-subkeys", || armored(two_subkeys()), true, Some(400)),
    (
        "revoked-subkey",
        || {
            let (cert, _) = builder(-400).add_transport_encryption_subkey().generate().unwrap();
            armored(revoked(cert, 0))
        },
        false,
        None,
    ),
    ("revoked-and-replaced", || armored(revoked(two_subkeys(), 1)), true, Some(100)),
    ("no-encryption-flag", || armored(builder(-100).generate().unwrap().0), false, None),
    (
        "sha1-binding",
        || {
            let (cert, _) = builder(-100).generate().unwrap();
            armored(with_subkey(cert, HashAlgorithm::SHA1, true))
        },
        false,
        None,
    ),
    (
        "sound-binding",
        || {
            let (cert, _) = builder(-100).generate().unwrap();
            armored(with_subkey(cert, HashAlgorithm::SHA256, true))
        },
        true,
        None,
    ),
    (
        "unbound-subkey",
        || {
            let (cert, _) = builder(-100).generate().unwrap();
            armored(with_subkey(cert, HashAlgorithm::SHA256, false))
        },
        false,
        None,
    ),
    ("weak-rsa", || armored(weak_rsa()), false, None),
    (
        "v6",
        || {
            let cert = CertBuilder::new()
                .set_profile(Profile::RFC9580)
                .unwrap()
                .set_creation_time(at(-100))
                .add_userid("Dora <dora@people.test>")
                .add_signing_subkey()
                .add_transport_encryption_subkey();
            armored(cert.generate().unwrap().0)
        },
        true,
        None,
    ),
    (
        "revoked-user-id",
        || {
            let (cert, _) = builder(-100)
                .add_userid("Dora <old@people.test>")
                .add_transport_encryption_subkey()
                .generate()
                .unwrap();
            let mut signer = cert
                .primary_key()
                .key()
                .clone()
                .parts_into_secret()
                .unwrap()
                .into_keypair()
                .unwrap();
            let user = cert
                .userids()
                .find(|u| u.userid().value().ends_with(b"<old@people.test>"))
                .unwrap();
            let revocation = UserIDRevocationBuilder::new()
                .set_signature_creation_time(at(-10))
                .unwrap()
                .set_reason_for_revocation(ReasonForRevocation::UIDRetired, b"gone")
                .unwrap()
                .build(&mut signer, &cert, user.userid(), None)
                .unwrap();
            armored(cert.insert_packets(vec![Packet::from(revocation)]).unwrap().0)
        },
        true,
        None,
    ),
    (
        "made-in-the-future",
        || armored(builder(60).add_transport_encryption_subkey().generate().unwrap().0),
        false,
        None,
    ),
    (
        "revoked",
        || {
            let (cert, revocation) =
                builder(-100).add_transport_encryption_subkey().generate().unwrap();
            armored(cert.insert_packets(vec![Packet::from(revocation)]).unwrap().0)
        },
        false,
        None,
    ),
];

fn file(name: &str) -> String {
    format!("tests/zoo/{name}.asc")
}

fn desk() -> Keyring {
    let born = now() - Span::days(1);
    let (secret, _) = generate("Desk", "security@desk.test", None, None, born).unwrap();
    Keyring::open(&[secret], None, [0; 32], now()).unwrap()
}

#[test]
fn d9_s11_a_mail_is_sealed_to_a_key_that_can_be_used_and_to_no_other() {
    if std::env::var_os("EMBARGOD_WRITE").is_some() {
        std::fs::create_dir_all("tests/zoo").unwrap();
        // Made once: what is frozen stays as it is.
        for (name, make, ..) in
            ANIMALS.iter().filter(|(name, ..)| !std::path::Path::new(&file(name)).exists())
        {
            std::fs::write(file(name), make()).unwrap();
        }
    }
    let desk = desk();
    for (name, _, usable, end) in ANIMALS {
        let certificate = Certificate::read(&std::fs::read(file(name)).unwrap()).unwrap();
        let facts = certificate.facts(now());
        assert_eq!(facts.is_usable(now()), *usable, "{name}: {facts:?}");
        let end = end.map(|days| now() + Span::days(days));
        if *usable {
            assert_eq!(facts.usable_until(now()), end, "{name}: {facts:?}");
        }
        // What is said about a key is what sealing does, at every moment that was asked about.
        for day in [0, 1, 50, 61, 99, 101, 399, 401, 2_000] {
            let moment = now() + Span::days(day);
            let sealed = desk.seal(&certificate, b"text\r\n", moment);
            assert_eq!(sealed.is_ok(), facts.is_usable(moment), "{name}, day {day}: {sealed:?}");
            let Ok(sealed) = sealed else { continue };
            let pile = PacketPile::from_bytes(&sealed).unwrap();
            let to: Vec<String> = pile
                .children()
                .filter_map(|packet| match packet {
                    Packet::PKESK(pkesk) => Some(pkesk.recipient().unwrap().to_string()),
                    _ => None,
                })
                .collect();
            assert_eq!(to.len(), 1, "{name}");
            // A version 6 packet names the whole fingerprint, an older one its end.
            let names = |id: &str| to[0].ends_with(id) || to[0].starts_with(id);
            let theirs = facts.subkeys.iter().find(|subkey| names(&subkey.id));
            assert!(
                theirs.is_some_and(|s| s.is_usable(moment)),
                "{name}, day {day}: {to:?} {facts:?}"
            );
        }
    }
}

/// A key that is made in the future can be used from then on, and says so.
#[test]
fn d25_a_key_of_a_clock_that_runs_ahead_can_be_used_once_its_time_has_come() {
    let certificate =
        Certificate::read(&std::fs::read(file("made-in-the-future")).unwrap()).unwrap();
    let facts = certificate.facts(now());
    assert_eq!(facts.usable_from(now()), Some(now() + Span::days(60)));
}

/// S12: whatever a certificate prefers, the desk enciphers with AES.
#[test]
#[expect(deprecated, reason = "weak ciphers are what this is about")]
fn s12_a_certificate_that_prefers_a_weak_cipher_gets_a_strong_one() {
    use sequoia_openpgp::types::SymmetricAlgorithm::{AES128, AES256, CAST5, TripleDES};
    let (cert, _) = builder(-100).add_subkey(encrypts(), days(800), None).generate().unwrap();
    let mut signer =
        cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let user = cert.userids().next().unwrap().userid().clone();
    let policy = StandardPolicy::new();
    let own = cert.with_policy(&policy, at(-1)).unwrap().primary_userid().unwrap();
    let prefers = SignatureBuilder::from(own.binding_signature().clone())
        .set_signature_creation_time(at(-1))
        .unwrap()
        .set_preferred_symmetric_algorithms(vec![TripleDES, CAST5])
        .unwrap();
    let binding = user.bind(&mut signer, &cert, prefers).unwrap();
    let cert = cert.insert_packets(vec![Packet::from(user), binding.into()]).unwrap().0;
    let valid = cert.with_policy(&policy, at(0)).unwrap();
    let preferred = valid.preferred_symmetric_algorithms().unwrap();
    assert_eq!(preferred, [TripleDES, CAST5], "the certificate says what it should here");
    let certificate = Certificate::read(&armored(cert.clone())).unwrap();
    let sealed = desk().seal(&certificate, b"text\r\n", now()).unwrap();
    let pile = PacketPile::from_bytes(&sealed).unwrap();
    let Some(Packet::PKESK(pkesk)) = pile.children().next() else { panic!("{pile:?}") };
    let mut key = valid
        .keys()
        .for_transport_encryption()
        .secret()
        .next()
        .unwrap()
        .key()
        .clone()
        .into_keypair()
        .unwrap();
    let (cipher, _) = pkesk.decrypt(&mut key, None).unwrap();
    assert!(cipher.is_none_or(|cipher| [AES128, AES256].contains(&cipher)), "{cipher:?}");
    if let Some(Packet::SEIP(sequoia_openpgp::packet::SEIP::V2(seip))) = pile.children().nth(1) {
        assert!([AES128, AES256].contains(&seip.symmetric_algo()));
    } else {
        assert!(cipher.is_some(), "version 1 names the cipher with the key");
    }
}

/// A broken part that is read and cannot be written would have the certificate kept as nothing.
#[test]
fn what_cannot_be_written_down_again_is_no_certificate() {
    let bytes = std::fs::read(file("does-not-write-back")).unwrap();
    assert!(Certificate::read_all(&bytes).is_empty());
    let good = std::fs::read(file("plain")).unwrap();
    assert_eq!(Certificate::read_all(&good).len(), 1);
}

/// Two certificates in one file are two people, or one who must say which: not read as one.
#[test]
fn a_file_with_a_version_4_and_a_version_6_certificate_is_refused_or_is_the_first() {
    let read = |name: &str| Cert::from_bytes(&std::fs::read(file(name)).unwrap()).unwrap();
    let (four, six) = (read("plain"), read("v6"));
    let mut both = SerializeInto::to_vec(&four).unwrap();
    both.extend(SerializeInto::to_vec(&six).unwrap());
    if let Ok(certificate) = Certificate::read(&both) {
        assert_eq!(certificate.fingerprint().to_string(), four.fingerprint().to_hex());
    }
}

/// An older copy takes nothing back: neither a revocation nor a key.
#[test]
fn a_certificate_only_ever_grows() {
    let read = |cert: Cert| Certificate::read(&armored(cert)).unwrap();
    let before = two_subkeys();
    let (known, old) = (read(revoked(before.clone(), 1)), read(before));
    let merged = known.merged(&old).unwrap();
    assert_eq!(merged.facts(now()), known.facts(now()));
    let grown = old.merged(&known).unwrap();
    assert_eq!(grown.facts(now()), known.facts(now()));
    assert_ne!(old.facts(now()), known.facts(now()));
}

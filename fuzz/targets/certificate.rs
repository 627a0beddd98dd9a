//! Keys that strangers attach.
#![no_main]

use embargod::domain::facts::names::{Address, Moment};
use embargod::edge::pgp::{Certificate, Directory, attached, revoked, without_unreadable_keys};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: embargod::edge::contained::end_at_other_panics(), |bytes: &[u8]| {
    let at: Moment = "2026-11-01T00:00:00Z".parse().unwrap();
    let known = Directory::default();
    let _ = (Certificate::is_secret(bytes), without_unreadable_keys(bytes));
    let _ = (attached(&known, bytes, at), revoked(&known, bytes, at));
    let address = Address::parse("a@people.test").unwrap();
    for certificate in Certificate::read_all(bytes) {
        let _ = (certificate.check(at), certificate.expires(at), certificate.facts(at));
        let _ = (certificate.is_for(&address), certificate.signing(at));
        let _ = certificate.with_revocations(bytes, at);
        let again = Certificate::read(&certificate.binary());
        let same = again.as_ref().is_ok_and(|again| again.fingerprint() == certificate.fingerprint());
        assert!(same, "a certificate that is written is not the one that was read: {} bytes, {:?}", certificate.binary().len(), again.map(|it| it.fingerprint()));
    }
});

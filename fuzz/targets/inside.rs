//! What lies inside of a seal: the bytes are sealed to the desk, and opened.
#![no_main]

use std::cell::OnceCell;

use embargod::domain::facts::names::Moment;
use embargod::edge::opening::Opener;
use embargod::edge::pgp::{Certificate, Directory, Keyring, LIMITS, generate_for_gnupg};
use embargod::ports::store::RawMail;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static KEYS: OnceCell<(Keyring, Certificate)> = const { OnceCell::new() };
}

fuzz_target!(init: embargod::edge::contained::end_at_other_panics(), |entity: &[u8]| {
    let at: Moment = "2026-11-01T00:00:00Z".parse().unwrap();
    KEYS.with(|it| {
        let (keyring, desk) = it.get_or_init(|| {
            let born: Moment = "2026-10-01T00:00:00Z".parse().unwrap();
            let key = generate_for_gnupg("desk", "security@desk.test", born).unwrap();
            let keyring = Keyring::for_looking(&[key], None).unwrap();
            let desk = keyring.certificate();
            (keyring, desk)
        });
        let sealed = keyring.seal(desk, entity, at).unwrap();
        let head = "From: a@people.test\r\nTo: security@desk.test\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n\
            --b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n\
            --b\r\nContent-Type: application/octet-stream\r\n\r\n";
        let bytes = [head.as_bytes(), &sealed, b"\r\n--b--\r\n"].concat();
        let mut known = Directory::default();
        if entity.first().is_some_and(|byte| byte % 2 == 0) {
            known.pin(desk.clone(), "mia");
        }
        let opener = Opener { keyring, known: &known, settings: None, limits: LIMITS };
        let letter =
            opener.open(&RawMail { bytes, received: at, arrived: at, oversize: false, junk: false });
        assert!(letter.verdict.protection.is_encrypted(), "what was sealed was not opened");
    });
});

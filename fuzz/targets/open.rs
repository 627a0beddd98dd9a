//! A whole mail as it lies in the mailbox, to a desk that has a key.
#![no_main]

use std::cell::OnceCell;

use embargod::domain::facts::names::Moment;
use embargod::edge::opening::Opener;
use embargod::edge::pgp::{Directory, Keyring, LIMITS};
use embargod::ports::store::RawMail;
use libfuzzer_sys::fuzz_target;

const KEY: &[u8] = include_bytes!("../../tests/field/desk.sec.asc");

thread_local! {
    static KEYRING: OnceCell<Keyring> = const { OnceCell::new() };
}

fuzz_target!(init: embargod::edge::contained::end_at_other_panics(), |raw: &[u8]| {
    let at: Moment = "2026-11-01T00:00:00Z".parse().unwrap();
    KEYRING.with(|it| {
        let keyring = it.get_or_init(|| Keyring::for_looking(&[KEY.to_vec()], None).unwrap());
        let known = Directory::default();
        let opener = Opener { keyring, known: &known, settings: None, limits: LIMITS };
        let bytes = raw.to_vec();
        let letter =
            opener.open(&RawMail { bytes, received: at, arrived: at, oversize: false, junk: false });
        let brought: u64 = letter.attachments.iter().map(|part| part.size() as u64).sum();
        assert!(brought < 64 << 20, "a mail of {} bytes brings {brought}", raw.len());
    });
});

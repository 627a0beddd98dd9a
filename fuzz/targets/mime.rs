//! Envelope, MIME and delivery reports: everything that is asked of a mail before anybody's key is.
#![no_main]

use embargod::edge::mime::{self, Mime};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: embargod::edge::contained::end_at_other_panics(), |raw: &[u8]| {
    let _ = mime::says_report(raw);
    let _ = mime::base64(raw);
    let Ok(mail) = Mime::parse(raw) else { return };
    for part in mail.parts() {
        let _ = (mail.name(part), mail.is_attached(part), mail.children(part), mail.media(part));
        let _ = (mail.parameter(part, "charset"), mail.raw(part).len(), mail.bytes(part).len());
        let name = mail.text_of(part);
        assert!(!mime::file_name(&name, 1).contains(['/', '\\', '\0']), "a name that leads elsewhere");
    }
    let _ = (mail.body(), mail.subject(), mail.from(), mail.to(), mail.return_path(), mail.ids());
    let _ = (mail.is_malformed(), mail.has_signed_part(), mail.shape(), mail.delivery_report());
    let _ = mime::decode(raw, mail.parameter(mail.root(), "charset").as_deref());
});

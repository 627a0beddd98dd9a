//! What a desk with a report would do with a mail: commands of the team's, words of a reporter's, a distributor's and a
//! stranger's, and mails as they are. The first byte says whose.
#![no_main]

use std::cell::RefCell;

use embargod::rehearsal::mail::{Draft, Protected};
use embargod::rehearsal::post_office::PostOffice;
use embargod::rehearsal::{Stage, Who};
use libfuzzer_sys::fuzz_target;

struct Ground {
    stage: PostOffice,
    reference: String,
    _folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let start = "2026-03-02T09:00:00Z".parse().unwrap();
        let mut stage = PostOffice::open(folder.path(), start, Box::new(|_| {})).unwrap();
        stage
            .write(Who::Rita, &Draft { with_key: true, ..Draft::sealed("It overflows.") })
            .unwrap();
        stage.pass(embargod::domain::facts::names::Span::minutes(5)).unwrap();
        let mail =
            stage.mailbox(Who::Mia).unwrap().into_iter().find(|mail| mail.handle().is_some());
        let text = mail.unwrap().text;
        let reference = text.lines().find(|line| line.starts_with("Ref: ")).unwrap().to_owned();
        Self { stage, reference, _folder: folder }
    }
}

thread_local! {
    static GROUND: RefCell<Option<Ground>> = const { RefCell::new(None) };
}

fuzz_target!(init: embargod::edge::contained::end_at_other_panics(), |bytes: &[u8]| {
    let Some((whose, bytes)) = bytes.split_first() else { return };
    GROUND.with_borrow_mut(|it| {
        let ground = it.get_or_insert_with(Ground::new);
        let who = match whose % 8 {
            0 => {
                let _ = ground.stage.trial("", bytes);
                return;
            }
            1 => {
                let _ = ground.stage.trial("a@people.test", bytes);
                return;
            }
            2 => Who::Rita,
            3 => Who::Ann,
            4 => Who::Tom,
            5 => Who::Paul,
            _ => Who::Mia,
        };
        let text = String::from_utf8_lossy(bytes);
        let text = format!("{text}\n\n{}\n", ground.reference);
        let draft = Draft::sealed(&text);
        let (entity, now) = (draft.entity(None), ground.stage.now());
        let Ok(key) = ground.stage.keyring(who) else { return };
        let Ok(sealed) = key.seal(ground.stage.desk(), &entity, now) else { return };
        let protected = match whose & 64 {
            0 => Protected::Encrypted(String::from_utf8(sealed).unwrap()),
            _ => Protected::Clear(entity),
        };
        let mail = draft.whole(&who.address(), "1@people.test", &now.to_rfc2822(), &protected);
        let _ = ground.stage.trial("a@people.test", &mail);
    });
});

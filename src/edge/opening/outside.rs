//! What anybody could see of a mail, found without any secret key: nothing here can open anything.

use crate::domain::facts::names::{Digest, Moment};
use crate::domain::facts::outer_view::{Hint, KeyRank, OuterView, Writers};
use crate::edge::mime::Mime;
use crate::edge::opening::forms::Look;
use crate::edge::opening::keys;
use crate::edge::opening::keys::Found;

/// The certificates that came along outside.
pub(super) fn keys(outer: &Mime<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = keys::read(&keys::candidates(outer), KeyRank::Outside).collect();
    found.extend(keys::autocrypt(outer, KeyRank::Outside));
    found
}

/// All of it.
pub(super) fn view(outer: &Mime<'_>, look: &Look, found: &[Found], at: Moment) -> OuterView {
    let writers = writers(outer);
    let (keys, unusable_key) = keys::ranked(found.to_vec(), None, &writers.from, at);
    let (message_id, answers) = outer.ids();
    OuterView {
        message_id,
        answers,
        shape: outer.shape(),
        ciphertexts: look.view(),
        openpgp: look.first().map(|found| Digest::of(&found.bytes)),
        hint: look.hint().or_else(|| is_winmail(outer).then_some(Hint::Winmail)),
        keys,
        unusable_key,
        writers,
    }
}

/// Whether all that it says is in Outlook's own form (TNEF).
fn is_winmail(outer: &Mime<'_>) -> bool {
    let has = outer.parts().any(|part| outer.media(part) == "application/ms-tnef");
    has && outer.body().plain.iter().all(|text| text.trim().is_empty())
}

fn writers(outer: &Mime<'_>) -> Writers {
    let original = ["X-Original-From", "X-Original-Sender", "X-Google-Original-From"];
    let lists = ["List-Post", "List-Id", "List-Unsubscribe", "Mailing-List"];
    Writers {
        from: outer.from().0,
        return_path: outer.return_path(),
        reply_to: outer.one_address("Reply-To"),
        original: original.iter().find_map(|name| outer.one_address(name)),
        sender: outer.one_address("Sender"),
        list: outer.addresses_in(&["List-Post", "Mailing-List", "X-BeenThere"]),
        by_list: lists.iter().any(|name| outer.count(name) > 0),
    }
}

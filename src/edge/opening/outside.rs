//! What anybody could see of a mail, found without any secret key: nothing here can open anything.

use crate::domain::facts::language;
use crate::domain::facts::names::{Address, Digest, Moment};
use crate::domain::facts::outer_view::{Hint, KeyRank, OuterView, Writers};
use crate::domain::facts::settings::Settings;
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
pub(super) fn view(
    outer: &Mime<'_>,
    look: &Look<'_>,
    found: &[Found],
    desk: Option<&Settings>,
    at: Moment,
) -> OuterView {
    let writers = writers(outer);
    let vouched = desk.and_then(|desk| vouched(outer, desk.verdicts_of.as_ref()?, &writers.from));
    let spam = desk.and_then(|desk| desk.spam_header.as_ref());
    let (keys, unusable_key) = keys::ranked(found.to_vec(), None, &writers.from, at);
    let (message_id, answers) = outer.ids();
    OuterView {
        message_id,
        answers,
        shape: outer.shape(),
        ciphertexts: look.view(),
        openpgp: look
            .first()
            .filter(|found| !found.bytes.is_empty())
            .map(|found| Digest::of(&found.bytes)),
        hint: look.hint().or_else(|| is_winmail(outer).then_some(Hint::Winmail)),
        keys,
        unusable_key,
        writers,
        vouched,
        spam: spam.is_some_and(|(name, begins)| says(outer, name, begins)),
        languages: ["Content-Language", "Accept-Language"]
            .iter()
            .filter_map(|name| outer.header(name))
            .flat_map(|value| language::tags(&value))
            .collect(),
    }
}

/// Whether the first header of a name begins so: the own server writes its own above those that came.
fn says(outer: &Mime<'_>, name: &str, begins: &str) -> bool {
    let value = outer.header(name).unwrap_or_default().to_ascii_lowercase();
    !value.is_empty() && value.starts_with(&begins.to_ascii_lowercase())
}

/// What the mailbox's own server says of the address of From (RFC 8601). Only its topmost header counts: what a
/// sender wrote under the server's name stands below it, or was taken out (RFC 8601, 5).
fn vouched(outer: &Mime<'_>, server: &str, from: &[Address]) -> Option<bool> {
    let [from] = from else { return None };
    let said = outer.header("Authentication-Results")?.to_ascii_lowercase();
    let (by, results) = said.split_once(';')?;
    if by.split_whitespace().next()? != server.to_ascii_lowercase() {
        return None;
    }
    let domain = from.domain().to_ascii_lowercase();
    let aligned = |at: &str| {
        let at = at.rsplit('@').next().unwrap_or(at).trim_matches(['"', '<', '>', '.']);
        at.contains('.')
            && (at == domain
                || domain.strip_suffix(at).is_some_and(|rest| rest.ends_with('.'))
                || at.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.')))
    };
    let mut failed = false;
    // Before it is divided: whoever writes may have chosen what stands in comments and quotes.
    for result in plain(results).split(';') {
        let words: Vec<&str> = result.split_whitespace().collect();
        let Some((method, word)) = words.first().and_then(|first| first.split_once('=')) else {
            continue;
        };
        let about = |names: &[&str]| {
            words
                .iter()
                .filter_map(|word| word.split_once('='))
                .any(|(name, value)| names.contains(&name) && aligned(value))
        };
        match (method, word) {
            ("dmarc", "pass") => return Some(about(&["header.from"]) || words.len() == 1),
            ("dkim", "pass") if about(&["header.d", "header.i"]) => return Some(true),
            ("spf", "pass") if about(&["smtp.mailfrom", "smtp.mail"]) => return Some(true),
            ("dmarc" | "spf" | "dkim", "fail" | "softfail" | "none" | "permerror") => failed = true,
            _ => {}
        }
    }
    failed.then_some(false)
}

/// Results without comments and quoted strings, which may say anything (RFC 8601, 2.2).
fn plain(results: &str) -> String {
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    let keep = |c: &char| {
        if std::mem::take(&mut escaped) {
            return false;
        }
        match c {
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth = depth.saturating_add(1),
            ')' => {
                depth = depth.saturating_sub(1);
                return false;
            }
            _ => {}
        }
        depth == 0 && !quoted && !matches!(c, '"' | '\\')
    };
    results.chars().filter(keep).collect()
}

/// Whether all that it says is in Outlook's own form (TNEF).
fn is_winmail(outer: &Mime<'_>) -> bool {
    let has = outer.parts().any(|part| outer.media(part) == "application/ms-tnef");
    has && outer.body().plain.iter().all(|text| text.trim().is_empty())
}

fn writers(outer: &Mime<'_>) -> Writers {
    let original = [
        "X-Original-From",
        "X-Original-Sender",
        "X-Google-Original-From",
        "Original-From",
        "X-MailFrom",
    ];
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_servers_word_counts_and_no_other() {
        for (said, vouched_for) in [
            ("mx.test; dmarc=pass header.from=people.test", Some(true)),
            ("mx.test; dmarc=pass header.from=evil.test", Some(false)),
            ("mx.test; dkim=pass header.d=people.test; spf=fail", Some(true)),
            ("mx.test; dkim=pass header.d=evil.test", None),
            ("mx.test; dkim=pass header.d=test", None),
            ("mx.test 1; spf=pass smtp.mailfrom=rita@mail.people.test", Some(true)),
            ("mx.test; spf=softfail smtp.mailfrom=rita@people.test", Some(false)),
            (
                "mx.test; spf=fail (a; dkim=pass header.d=people.test) smtp.mailfrom=x@evil.test",
                Some(false),
            ),
            (
                "mx.test; spf=none smtp.mailfrom=\"a; dkim=pass header.d=people.test ;\"@evil.test",
                Some(false),
            ),
            ("other.test; dmarc=pass header.from=people.test", None),
            ("mx.test; none", None),
        ] {
            let below = "Authentication-Results: mx.test; dmarc=pass header.from=people.test";
            let mail = format!(
                "Authentication-Results: {said}\r\n{below}\r\nFrom: <rita@people.test>\r\n\r\nx\r\n"
            );
            let mime = Mime::parse(mail.as_bytes()).unwrap();
            assert_eq!(vouched(&mime, "mx.test", &mime.from().0), vouched_for, "{said}");
        }
    }

    #[test]
    fn spam_is_what_the_topmost_header_says() {
        let mail = b"X-Spam-Flag: YES\r\nX-Spam-Flag: NO\r\nFrom: <a@b.test>\r\n\r\nx\r\n";
        let mime = Mime::parse(mail).unwrap();
        assert!(says(&mime, "x-spam-flag", "yes") && !says(&mime, "X-Spam-Flag", "NO"));
        assert!(!says(&mime, "X-Spam-Status", "yes"));
    }
}

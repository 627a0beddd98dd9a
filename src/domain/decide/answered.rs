//! Who is answered without a person looking: a table over what a mail's headers say of its writer.
//!
//! From may be a list's, the envelope a sending service's, and either may be forged. An answer goes where a
//! person can be expected to read it; never to a machine, a list, or ourselves. In doubt two addresses hear
//! that the mail arrived, and only one of them gets the reference that lets its holder add to the record.

use crate::domain::facts::names::Address;
use crate::domain::facts::outer_view::{OuterView, Shape, Writers};

/// Who is answered, and what the team is told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// Where answers go; nowhere where nobody can be answered.
    pub to: Option<Address>,
    /// Who else is told that a mail in their name arrived, without a reference.
    pub also: Option<Address>,
    /// For the team.
    pub told: Option<&'static str>,
}

impl Answered {
    fn to(address: &Address, told: Option<&'static str>) -> Self {
        Self { to: Some(address.clone()), also: None, told }
    }

    fn nobody(told: &'static str) -> Self {
        Self { to: None, also: None, told: Some(told) }
    }
}

/// Who is answered automatically (RFC 3834, 4), and to whom people's answers go.
#[must_use]
pub fn answered(ours: &Address, outer: &OuterView) -> Answered {
    if outer.shape != Shape::Mail {
        return Answered::default();
    }
    let w = &outer.writers;
    let reads = |address: &&Address| reads(address, ours, w);
    let path = w.return_path.as_ref().and_then(Option::as_ref);
    if w.return_path == Some(None) {
        return Answered::default();
    }
    let reply_to = w.reply_to.as_ref().filter(reads);
    let original = w.original.as_ref().filter(reads);
    let [author] = w.from.as_slice() else {
        return match path.filter(reads) {
            Some(path) => Answered::to(
                path,
                Some("its From is not one address; answers go to the address of its envelope"),
            ),
            None => Answered::nobody(
                "NOBODY CAN BE ANSWERED: its From is not one address, and its envelope is a program's",
            ),
        };
    };
    // Who took a mail's From away says so.
    let rewritten = w.by_list && w.original.as_ref().is_some_and(|it| !it.same_box(author));
    if rewritten || !reads(&author) {
        let other = original.or(reply_to).or_else(|| path.filter(reads));
        let other = other.or_else(|| w.sender.as_ref().filter(reads));
        return match other {
            Some(other) => Answered::to(
                other,
                Some(
                    "its From is a list's or a program's; answers go to another address that it \
                     names, which anybody may have written there",
                ),
            ),
            None => Answered::nobody(
                "NOBODY CAN BE ANSWERED: its From is a list's or a program's, and it names no \
                 other address",
            ),
        };
    }
    let other_path = path.map(without_tag).filter(|path| !path.same_box(author));
    let other_box = reply_to.filter(|address| !address.same_box(author));
    let doubt = other_path.as_ref().filter(reads).or(other_box);
    match (doubt, &other_path) {
        // What looks encrypted is answered at one address, whatever it turns out to be: a word to a second one
        // would be owed for every command of a maintainer's as well, or tell that it was one.
        (Some(_), _) if outer.openpgp.is_some() => Answered::to(
            author,
            Some("it names two addresses for its writer; answers go to its From"),
        ),
        (Some(doubt), _) => Answered {
            to: Some(author.clone()),
            also: Some(doubt.clone()),
            told: Some(
                "it names two addresses for its writer; answers go to its From, and the other one \
                 is told that a mail came",
            ),
        },
        (None, Some(_)) => {
            Answered::to(author, Some("a program or a list sent it; answers go to its From"))
        }
        (None, None) => Answered::to(author, None),
    }
}

/// The address without the tag that signs it (BATV, `prvs=TAG=local@domain`).
fn without_tag(path: &Address) -> Address {
    let tagged = path.local().strip_prefix("prvs=").and_then(|rest| rest.split_once('='));
    let bare = tagged.and_then(|(_, local)| Address::parse(&format!("{local}@{}", path.domain())));
    bare.unwrap_or_else(|| path.clone())
}

/// Whether a person may be expected to read what goes to an address: none of ours, of the list that the mail
/// came over, and of a machine.
fn reads(address: &Address, ours: &Address, w: &Writers) -> bool {
    let local = address.local().split('+').next().unwrap_or("");
    let is_ours = address.domain() == ours.domain() && local.eq_ignore_ascii_case(ours.local());
    let is_lists = w.list.iter().any(|list| list.same_box(address));
    !is_ours && !is_lists && !is_machine(address)
}

/// Local parts that no person reads (RFC 2142, RFC 3834, 2), and those by which programs find out which of
/// their mails came back.
#[must_use]
pub fn is_machine(address: &Address) -> bool {
    const WHOLE: &[&str] = &[
        "abuse-report",
        "bounce",
        "bounces",
        "daemon",
        "devnull",
        "listserv",
        "mailer-daemon",
        "mailman",
        "majordomo",
        "nobody",
        "null",
        "postmaster",
        "root",
        "sympa",
        "uucp",
    ];
    const BEGINS: &[&str] = &[
        "owner-",
        "bounce+",
        "bounce-",
        "bounces+",
        "bounces-",
        "bounce_",
        "bounces_",
        "srs0",
        "srs1",
        "noreply",
        "no-reply",
        "no_reply",
        "no.reply",
        "donotreply",
        "do-not-reply",
        "do_not_reply",
        "do.not.reply",
        "ne-pas-repondre",
        "nepasrepondre",
        "nicht-antworten",
        "no-responder",
        "msprvs1",
        "mailer-daemon",
    ];
    const ENDS: &[&str] = &[
        "-owner",
        "-request",
        "-bounce",
        "-bounces",
        "-noreply",
        "-no-reply",
        "_noreply",
        ".noreply",
        "-subscribe",
        "-unsubscribe",
        "-admin-bounces",
        "-admin",
        "-confirm",
        "-leave",
        "-join",
    ];
    let local = address.local().to_ascii_lowercase();
    let bare = local.split('+').next().unwrap_or("");
    // `=` is how the address of a recipient is written into a return path (VERP).
    let verp = local.contains('=') || local.contains("+bnc") || local.contains("+caf");
    let host = address.domain().split('.').next().unwrap_or("");
    let service = matches!(host, "bounce" | "bounces" | "amazonses");
    verp || service
        || WHOLE.contains(&bare)
        || BEGINS.iter().any(|begin| local.starts_with(begin))
        || ENDS.iter().any(|end| bare.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::names::Digest;

    /// From, the envelope (`<>` for the null path), Reply-To, the author before a list took over, the list;
    /// and who is answered, and who is told as well. `-` for none.
    const ROWS: &str = "\
rita@people.test       rita@people.test            -                   -                -               rita@people.test -
rita@people.test       -                           -                   -                -               rita@people.test -
rita@people.test       <>                          -                   -                -               -                -
rita@people.test       Rita@people.test            -                   -                -               rita@people.test -
rita@people.test       bounces+7f3a@mailer.test    -                   -                -               rita@people.test -
rita@people.test       010001-aa@bounce.m.test     -                   -                -               rita@people.test -
rita@people.test       SRS0=x=y=p.test=rita@f.test -                   -                -               rita@people.test -
rita@people.test       prvs=123=rita@people.test   -                   -                -               rita@people.test -
rita@people.test       dev-bounces@lists.test      -                   -                dev@lists.test  rita@people.test -
rita@people.test       paul@other.test             -                   -                -               rita@people.test paul@other.test
rita@people.test       rita@people.test            r@home.test         -                -               rita@people.test r@home.test
security@desk.test     dev+bncA@groups.test        -                   rita@people.test dev@groups.test rita@people.test -
security@desk.test     dev+bncA@groups.test        rita@people.test    -                dev@groups.test rita@people.test -
dev@lists.test         dev-bounces@lists.test      rita@people.test    -                dev@lists.test  rita@people.test -
dev@lists.test         dev@lists.test              -                   rita@people.test anonymous       rita@people.test -
dev@lists.test         dev-bounces@lists.test      dev@lists.test      -                dev@lists.test  -                -
security@desk.test     security@desk.test          -                   -                -               -                -
noreply@form.test      www@form.test               rita@people.test    -                -               rita@people.test -
noreply@form.test      bounce@form.test            -                   -                -               -                -
postmaster@people.test postmaster@people.test      -                   -                -               -                -
dev-request@lists.test -                           -                   -                -               -                -
rita@people.test       rita@people.test            noreply@people.test -                -               rita@people.test -
-                      rita@people.test            -                   -                -               rita@people.test -
-                      bounces@people.test         -                   -                -               -                -
";

    #[test]
    fn who_is_answered() {
        let ours = Address::parse("security@desk.test").unwrap();
        for row in ROWS.lines() {
            let cells: Vec<&str> = row.split_whitespace().collect();
            let [from, path, reply_to, original, list, to, also] = cells.as_slice() else {
                panic!("not a row: {row}")
            };
            let at = |text: &str| Address::parse(text);
            let return_path = match *path {
                "-" => None,
                "<>" => Some(None),
                path => Some(at(path)),
            };
            let writers = Writers {
                from: at(from).into_iter().collect(),
                return_path,
                reply_to: at(reply_to),
                original: at(original),
                sender: None,
                list: at(list).into_iter().collect(),
                by_list: *list != "-",
            };
            let mut outer = OuterView { writers, ..OuterView::default() };
            let found = answered(&ours, &outer);
            assert_eq!((found.to, found.also), (at(to), at(also)), "{row}");
            outer.openpgp = Some(Digest::of(b"x"));
            let found = answered(&ours, &outer);
            assert_eq!((found.to, found.also), (at(to), None), "{row}");
        }
    }

    #[test]
    fn people_are_no_machines() {
        for person in [
            "rita@people.test",
            "r.owner@people.test",
            "no@people.test",
            "rita+x@people.test",
            "noah.reply@people.test",
            "bo-unces@people.test",
            "security@people.test",
            "abuse@people.test",
        ] {
            assert!(!is_machine(&Address::parse(person).unwrap()), "{person}");
        }
    }
}

//! Every text in its final form, in each form and language that it has: one file to read, and the rules of
//! `templates/README.md` held against each.
#![recursion_limit = "512"]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test that cannot go on should stop"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use embargod::domain::outgoing::texts::{
    Class, ClearFacts, FileLine, ForecastFacts, ForthcomingFacts, NewsFacts, NoticeFacts,
    PublicFacts, SealedFacts, TEMPLATES, TRANSLATED, Texts, Vulnerability, WITH_LISTS, Written,
};
use embargod::domain::process::playbook::{BUILTIN, load};
use serde_json::{Value, json};

const T: &str = "Thu 2026-03-26 15:00 UTC (Thu 16:00 CET)";
const REF: &str = "Ref: EXA-2026-7F3K2/0123456789ABCDEF";
const FINGERPRINT: &str = "6CC8 FC9E CCD3 FA94 591C 65CC 5587 B8D0 9B82 B6B9";

fn texts() -> Texts {
    let calendars = embargod::domain::process::calendar::builtin();
    let fields: BTreeSet<String> = BUILTIN
        .iter()
        .flat_map(|(_, text)| load(text, &calendars).unwrap().fields.into_keys())
        .collect();
    Texts::load(&BTreeMap::new(), &fields).unwrap()
}

fn clear(full: bool, language: Option<&str>) -> ClearFacts {
    let some = |text: &str| full.then(|| text.to_owned());
    ClearFacts {
        desk: "Example Project".into(),
        address: "security@example.org".into(),
        fingerprint: FINGERPRINT.into(),
        handle: "EXA-2026-7F3K2".into(),
        received: "Mon 2026-03-02 09:00 UTC (Mon 10:00 CET)".into(),
        answer_by: "Tue 2026-03-03 09:00 UTC (Tue 10:00 CET)".into(),
        ask: "the affected versions, steps that reproduce the problem, and what an attacker gains by it".into(),
        reference: REF.into(),
        openpgp: some("4d1d1a6c5f0e4c1c0a6f3b1e9c7a5d2b8e4f6a1c3d5e7f9b2a4c6e8d0f1b3a5c"),
        hint: some("Your mail looks signed and is not encrypted: anybody on the way could read it."),
        unusable_key: some("it has expired on 2025-11-02 00:00 UTC"),
        key_known: full,
        key_attached: full,
        is_last: full,
        state: "being worked on".into(),
        language: language.map(str::to_owned),
    }
}

fn more(full: bool) -> SealedFacts {
    let some = |text: &str| full.then(|| text.to_owned());
    SealedFacts {
        opened_with: some(FINGERPRINT),
        prove: some("Prove: 0123456789ABCDEFGHJKMNPQRS"),
        news: NewsFacts {
            t: some(T),
            t_day: some("2026-03-26 15:00 UTC"),
            moved: full,
            public: some("Thu 2026-03-26 15:06 UTC (Thu 16:06 CET)"),
            title: some("Assertion failure in the resolver"),
            cve: "CVE-2026-41234".into(),
            fixed: "9.20.5".into(),
            credit: "Rita Reporter".into(),
            leaked: full,
        },
    }
}

fn fields(other: bool) -> BTreeMap<String, String> {
    let own = [
        ("product", "BIND 9"),
        ("component", "the resolver"),
        ("affected", "9.18.0 to 9.18.32, 9.20.0 to 9.20.4, 9.18.11-S1 to 9.18.32-S1"),
        ("fixed", "9.18.33, 9.20.5"),
        (
            "impact",
            "a single query stops the server; whoever can send one to it can do so again and again",
        ),
        ("mitigation", "turn recursion off for clients that you do not know"),
        ("binaries", "https://downloads.example/9.20.5"),
        ("credit", "Rita Reporter"),
        ("severity_note", "every open resolver is affected; an authoritative server is not"),
        ("test", "`named -V` says 9.20.4 or older, and `recursion` is on"),
        ("description", "the answer cache keeps a pointer to a name that a later answer frees"),
        ("patches", "git am, on top of v9_20"),
        (
            "deploy",
            "from Tue 2026-03-24 15:00 UTC on servers whose software nobody outside can read",
        ),
        ("may_know", "those who build and those who deploy"),
        ("how_to", "https://kb.example/update"),
        ("pull_requests", "https://gitlab.example/123, https://gitlab.example/124"),
        ("introduced_by", "https://gitlab.example/17"),
        ("document_version", "2.0"),
    ];
    let mut fields: BTreeMap<String, String> =
        own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    if other {
        fields.insert("component".into(), "zone transfers".into());
        fields.insert("impact".into(), "a transfer stops the server".into());
    }
    fields
}

fn public(other: bool) -> PublicFacts {
    PublicFacts {
        desk: "Example Project".into(),
        address: "security@example.org".into(),
        title: if other { "Crash on a zone transfer" } else { "Assertion failure in the resolver" }
            .into(),
        cve: if other { "CVE-2026-9999" } else { "CVE-2026-41234" }.into(),
        cvss: "7.5 (High)".into(),
        fields: fields(other),
        has: fields(other),
    }
}

fn notice(several: bool, known: bool) -> NoticeFacts {
    let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H";
    let one = |other| Vulnerability { public: public(other), vector: vector.into() };
    let mut all = public(false);
    if several {
        all.title = "2 vulnerabilities".into();
        all.cve = "CVE-2026-9999, CVE-2026-41234".into();
    }
    NoticeFacts {
        public: all,
        handle: "EXA-2026-7F3K2".into(),
        tlp: "AMBER+STRICT".into(),
        t: T.into(),
        t_day: "2026-03-26 15:00 UTC".into(),
        release: T.into(),
        vector: vector.into(),
        ghsa: "GHSA-2345-cfgh-jmpq".into(),
        received: "Mon 2026-03-02 09:00 UTC (Mon 10:00 CET)".into(),
        answered: "Mon 2026-03-02 10:01 UTC (Mon 11:01 CET)".into(),
        published: "Thu 2026-03-26 15:06 UTC (Thu 16:06 CET)".into(),
        known: if known { "Thu 2026-03-26 15:06 UTC (Thu 16:06 CET)" } else { "" }.into(),
        vulnerabilities: if several { vec![one(true), one(false)] } else { vec![one(false)] },
        files: vec![FileLine {
            name: "0001-resolver-keep-the-name.patch".into(),
            sha256: "4d1d1a6c5f0e4c1c0a6f3b1e9c7a5d2b8e4f6a1c3d5e7f9b2a4c6e8d0f1b3a5c".into(),
        }],
        changed: if several { vec!["fixed version".into(), "mitigation".into()] } else { Vec::new() },
        changed_since: "Thu 2026-03-19 15:00 UTC (Thu 16:00 CET)".into(),
        contact: "Mia".into(),
        lead: "Mia".into(),
        people: vec!["Mia (IM, Support)".into(), "Tom (SwEng)".into(), "Rita Reporter (reporter)".into()],
        timeline: vec![
            "Mon 2026-03-02 09:21 UTC (Mon 10:21 CET)  Determine the range of versions affected, including the Subscription Edition (Tom)".into(),
            "Thu 2026-03-19 15:00 UTC (Thu 16:00 CET)  Send ASN to eligible customers: sent, to 12".into(),
        ],
        text: "We found that older versions need a second patch.\nIt is attached.".into(),
    }
}

fn forecast() -> ForthcomingFacts {
    ForthcomingFacts {
        forecast: ForecastFacts {
            desk: "Example Project".into(),
            address: "security@example.org".into(),
            t: T.into(),
            t_day: "2026-03-26 15:00 UTC".into(),
            count: 2,
            severity: "High".into(),
        },
        mitigation: "turn recursion off for clients that you do not know".into(),
    }
}

/// What the texts for the team and for members are filled with.
fn sealed() -> Value {
    json!({
        "desk": "Example Project", "address": "security@example.org", "handle": "EXA-2026-7F3K2",
        "subject": "A query stops the server", "received": "Mon 2026-03-02 09:00 UTC (Mon 10:00 CET)",
        "from": "rita@reporters.example", "protection": "encrypted and signed",
        "signature": "by a key that nobody here knows", "answer_by": "Tue 2026-03-03 09:00 UTC (Tue 10:00 CET)",
        "ref": REF, "text": "> The parser writes past its buffer.", "summary": "Done: accept",
        "journal_hash": "4d1d1a6c5f0e4c1c0a6f3b1e9c7a5d2b8e4f6a1c3d5e7f9b2a4c6e8d0f1b3a5c",
        "reason": "It needs a shell on the machine already.",
        "why": "`asn` waits for `ISC-1.24`, which nobody has done.", "next": "see `| /agenda`, without the bar.",
        "pinned": FINGERPRINT, "heading": "The date has moved", "title": "Assertion failure in the resolver",
        "notice": "asn", "by": "Tom", "moment": "Thu 2026-03-19 15:00 UTC (Thu 16:00 CET)",
        "audience": "ASN-eligible customers", "body": " 1  CVE-2026-9999  EXA-2026-0WWW5\n    Crash on a zone transfer",
        "program": "  it was encrypted to our key\n  it was signed by nobody", "line": "/published",
        "what": FINGERPRINT, "nonce": "Z1T87ZQ3Q859XSA5", "until": "Fri 2026-03-27 15:00 UTC (Fri 16:00 CET)",
        "left_out": "Not part of your text: 3 signature lines.", "name": "Ann of Aleph Linux", "member": "ann",
        "outside": "> Regards", "opened_with": FINGERPRINT, "holds": " and holds commands",
        "became": "It was passed on to nobody.", "notes": ["it names no version"], "told": [], "parts": ["poc.py (1,204 bytes)"],
        "understood": ["/preview asn"], "lines": ["T is Thu 2026-03-26 15:00 UTC (Thu 16:00 CET)."],
        "count": 1, "journal_number": 289, "number": 3, "recipients": 12, "approvals": 1, "more": 2, "late": 1,
        "closed": 1, "days": 14, "machines_count": 1, "machines_more": 0, "text_kept": true, "cut": true,
        "steps": [{ "line": "/accept", "answer": "Accepted. You lead it. The reporter is told, sealed to their key." }],
        "rows": [{ "handle": "EXA-2026-7F3K2", "received": "Mon 2026-03-02 09:00 UTC (Mon 10:00 CET)",
            "from": "paul@reporters.example", "how": "in clear", "ref": REF, "line": "   A query stops the server",
            "what": "It would be recorded as public.", "nonce": "Z1T87ZQ3Q859XSA5", "number": "1", "name": "m1",
            "late": true, "again": false }],
        "machines": [{ "handle": "", "received": "Mon 2026-03-02 09:00 UTC (Mon 10:00 CET)", "from": "x", "how": "x",
            "ref": "", "line": "   Undelivered mail", "what": "", "nonce": "", "number": "1", "name": "m1",
            "late": false, "again": false }],
        "drafts": [{ "by": "Mia", "notice": "asn", "number": 1, "moment": "on Thu 2026-03-19 15:00 UTC (Thu 16:00 CET)",
            "audience": "ASN-eligible customers", "recipients": 12, "approvals": 1,
            "subject": "[TLP:AMBER+STRICT] Advance security notification", "body": "> TLP:AMBER+STRICT",
            "notes": ["whoever gets it will ask: may I deploy it before (`deploy`)"], "parts": [] }],
    })
}

fn least(mut all: Value) -> Value {
    for name in ["cut", "text_kept"] {
        all[name] = json!(false);
    }
    for name in ["text", "outside", "member", "opened_with", "left_out", "title", "ref"] {
        all[name] = json!("");
    }
    for name in ["notes", "parts", "rows", "machines"] {
        all[name] = json!([]);
    }
    all["count"] = json!(0);
    all["machines_count"] = json!(0);
    all
}

/// Every text in every form that it has: what it is called, and its words.
fn everything() -> Vec<(String, Class, Written)> {
    let texts = texts();
    let mut found = Vec::new();
    for (name, class, _) in TEMPLATES {
        let mut add = |form: &str, written: Written| {
            let copy = written.for_recipient("Ann of Aleph Linux", REF, None);
            found.push((format!("{name}, {form}"), *class, copy));
        };
        match class {
            Class::Clear => {
                add("in clear", texts.clear(name, &clear(false, None)).unwrap().written().clone());
                add(
                    "sealed, with all",
                    texts.clear_but_sealed(name, &clear(true, None), &more(true)).unwrap(),
                );
            }
            Class::Sealed => {
                add("with all", texts.sealed(name, &sealed()).unwrap());
                add("with the least", texts.sealed(name, &least(sealed())).unwrap());
            }
            Class::Notice => {
                add("of one vulnerability", texts.freeze(name, &notice(false, false)).unwrap());
                add("of two", texts.freeze(name, &notice(true, true)).unwrap());
            }
            Class::Public => add("to a list", texts.freeze_public(name, &public(false)).unwrap()),
            Class::Forthcoming | Class::Forecast => {
                add("to a list", texts.freeze_forecast(name, &forecast()).unwrap());
            }
            Class::Part => {}
        }
    }
    for (name, class, _) in TRANSLATED {
        let (tag, base) = name.split_once('/').unwrap();
        for full in [false, true] {
            let form = if full { "sealed, with all" } else { "in clear" };
            let facts = clear(full, Some(tag));
            let written = if full {
                texts.clear_but_sealed(base, &facts, &more(true)).unwrap()
            } else {
                texts.clear(base, &facts).unwrap().written().clone()
            };
            found.push((format!("{name}, {form}"), *class, written));
        }
    }
    found
}

/// How wide a line is where each ideograph takes two columns.
fn width(line: &str) -> usize {
    line.chars().map(|c| if c >= '\u{2E80}' { 2 } else { 1 }).sum()
}

fn has_long_word(line: &str) -> bool {
    line.contains("://") || line.split_whitespace().any(|word| word.len() >= 40)
}

fn is_free(line: &str) -> bool {
    let begins = line.chars().next();
    begins.is_none_or(|c| c.is_whitespace() || ">|-#*`".contains(c)) || line.starts_with("Ref:")
}

fn broken(name: &str, body: &str) -> Vec<String> {
    let lines: Vec<&str> = body.lines().collect();
    let mut wrong = Vec::new();
    for pair in lines.windows(2) {
        let [line, next] = pair else { continue };
        let prose =
            |line: &str| !is_free(line) && !line.is_empty() && width(line) == line.chars().count();
        let first = next.split(' ').next().unwrap_or("");
        let ends = line.ends_with(':') || line.ends_with("-- ") || next.starts_with("TLP:");
        let several = next.split(' ').nth(1).is_some();
        let fits = several && width(line) + width(first) < 72;
        // A sentence that goes on although there was room.
        let goes_on =
            next.starts_with(|c: char| c.is_lowercase()) && !line.ends_with(['.', '?', '!']);
        if prose(line) && prose(next) && !ends && fits && goes_on {
            wrong.push(format!("{name}: broken between `{line}` and `{next}`"));
        }
    }
    wrong
}

/// A date is said with hour and zone, wherever it stands.
fn bare_dates(name: &str, text: &str) -> Vec<String> {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut wrong = Vec::new();
    for (at, _) in flat.char_indices().filter(|(_, c)| *c == '2') {
        let Some(date) = flat.get(at..at + 10) else { continue };
        let is_date = date.len() == 10
            && date
                .bytes()
                .enumerate()
                .all(|(n, b)| if [4, 7].contains(&n) { b == b'-' } else { b.is_ascii_digit() });
        let whole =
            at == 0 || !flat[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
        let rest = flat.get(at + 10..).unwrap_or("");
        let timed = rest.get(..10).is_some_and(|rest| rest.contains(':') && rest.contains("UTC"));
        if is_date && whole && !timed {
            wrong.push(format!(
                "{name}: a date without hour and zone: {date}{}",
                rest.get(..12).unwrap_or(rest)
            ));
        }
    }
    wrong
}

/// Words that only this program's builders know, and a word that the field does not use.
const HOUSE: [&str; 14] = [
    "outbox",
    "inbox",
    "fan_out",
    "blob",
    "enqueue",
    "replay",
    "duty",
    "setback",
    "agenda row",
    "anchor",
    "hole",
    "backlog",
    "daemon",
    "template",
];

/// Nobody has to guess whether anything is expected of them.
fn has_next_step(base: &str, body: &str) -> bool {
    let steps = [
        "what to do",
        "what happens next",
        "is asked of you",
        "what you may do",
        "what you can do",
        "to answer",
        "reply",
        "answer this mail",
        "wie es weitergeht",
        "was sie",
        "la suite",
        "ce que vous pouvez",
        "qué sigue",
        "qué puede",
        "今後",
        "このメール",
        "questions",
        "to ask",
        "accepts mail for",
        "write",
    ];
    let whole = body.to_lowercase();
    let exempt = matches!(base, "witness" | "reply" | "transcript");
    exempt || steps.iter().any(|step| whole.contains(step))
}

#[test]
fn every_text_keeps_the_rules_of_the_house() {
    let mut wrong = Vec::new();
    for (name, class, written) in everything() {
        let Written { subject, body } = &written;
        for line in body.lines().filter(|line| width(line) > 72 && !has_long_word(line)) {
            wrong.push(format!("{name}: {} columns: {line}", width(line)));
        }
        if subject.is_empty() || subject.contains("[]") || subject.ends_with([':', ' ']) {
            wrong.push(format!("{name}: subject `{subject}`"));
        }
        wrong.extend(bare_dates(&name, body));
        let base = name.split(',').next().unwrap();
        if !WITH_LISTS.contains(&base) {
            wrong.extend(broken(&name, body));
        }
        let plain = format!("{subject}\n{body}").to_lowercase();
        let words: BTreeSet<&str> =
            plain.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        wrong.extend(
            HOUSE
                .iter()
                .filter(|word| words.contains(**word))
                .map(|word| format!("{name}: says `{word}`")),
        );
        for gap in
            ["  \n", "None", "none\n", "{{", "}}", "\u{E000}", "\u{E006}", "()", " ,", "..", " ."]
        {
            let own = gap == "  \n" || gap == ".." && body.contains("...");
            if !own && body.contains(gap) && !(gap == " ." && base.starts_with("ja/")) {
                wrong.push(format!("{name}: holds `{}`", gap.escape_debug()));
            }
        }
        if !has_next_step(base, body) {
            wrong.push(format!("{name}: no next step"));
        }
        let secret = matches!(class, Class::Clear) && name.ends_with("in clear");
        if secret
            && ["CVE-2026", "resolver", "9.20.5"]
                .iter()
                .any(|word| plain.contains(&word.to_lowercase()))
        {
            wrong.push(format!("{name}: says in clear what is under embargo"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} in all", wrong.join("\n"), wrong.len());
}

#[test]
fn every_text_is_printed_once_in_its_final_form() {
    let mut all = String::from(
        "Every text in its final form. Written by EMBARGOD_WRITE=1 cargo test --test texts.\n",
    );
    for (name, _, written) in everything() {
        let _ = write!(all, "\n==== {name}\nSubject: {}\n\n{}", written.subject, written.body);
    }
    let file = "tests/golden/texts.txt";
    if std::env::var_os("EMBARGOD_WRITE").is_some() {
        std::fs::write(file, &all).unwrap();
        return;
    }
    let known = std::fs::read_to_string(file).unwrap();
    for (n, (now, then)) in all.lines().zip(known.lines()).enumerate() {
        assert_eq!(now, then, "{file}, line {}", n + 1);
    }
    assert_eq!(all.len(), known.len());
}

//! Mails of kinds that went wrong in the field (`tests/field`): each comes out as its `.expect` says, or better.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and says so"
)]

use std::process::Command;

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_embargod");

/// File, kind, protection, signature, failure, a word of the text (or of what stands beside), attachments,
/// rank of the key, hint, who is answered.
const TABLE: &str = "\
01-nested-signed-mixed            report both      valid   -          CANARY-01 poc.pdf:9            signer - rita@people.test
02-alternative-armor-twice        report encrypted none    -          CANARY-02 -                    -      - rita@people.test
03-mixed-up-empty-message         report encrypted none    -          CANARY-03 -                    -      - rita@people.test
04-inline-plus-encrypted-file     report encrypted none    -          CANARY-04 poc.pdf.pgp:166      -      several rita@people.test
05-inline-base64-blank-line-space report encrypted none    -          CANARY-05 -                    -      - rita@people.test
06-armor-headers-without-blank-line report encrypted none  -          CANARY-06 -                    -      - rita@people.test
08-inline-with-greeting           report encrypted none    -          CANARY-08 -                    -      - rita@people.test
09-clearsign-trailing-space       report signed    valid   -          CANARY-09 -                    -      - rita@people.test
10-quoted-clearsign               report none      partial -          Mara      -                    -      - rita@people.test
11-unquoted-clearsign-below-text  report none      partial -          accept    -                    -      - rita@people.test
12-message-id-glued               report none      none    -          CANARY-12 -                    -      - rita@people.test
13-no-separator                   report none      none    -          CANARY-13 -                    -      - rita@people.test
14-newline-in-name                report none      none    -          CANARY-14 -                    -      - rita@people.test
15-name-in-pieces                 report both      valid   -          CANARY-15 test:9               signer - rita@people.test
16-key-as-text-plain              report encrypted none    -          CANARY-16 rita.asc:653         inside - rita@people.test
18-key-pasted                     report encrypted none    -          CANARY-18 -                    inside - rita@people.test
19-pgp-mime-binary                report encrypted none    -          CANARY-19 -                    -      - rita@people.test
22-application-pgp                report encrypted none    -          CANARY-22 -                    -      - rita@people.test
23-read-receipt                   auto   none      none    -          displayed part-358:156         -      - -
24-receipt-inside-encryption      auto   both      valid   -          CANARY-24 part-152:83          signer - -
26-exchange-suppress-header       report none      none    -          CANARY-26 -                    -      - rita@people.test
27-message-id-brackets            report none      none    -          CANARY-27 -                    -      - rita@people.test
28-forwarded-as-attachment        report none      none    elsewhere  CANARY-28 report.eml:851       -      closed info@example.org
29-calendar-reply                 auto   none      none    -          -         part-0:203           -      - -
30-eai-from                       report none      none    -          CANARY-30 -                    -      - j\u{f6}rg@b\u{fc}cher.example
31-two-content-types              report encrypted none    -          CANARY-31 -                    -      - rita@people.test
32-winmail                        report none      none    -          -         winmail.dat:23       -      winmail rita@people.test
33-smime                          report none      none    smime      -         smime.p7m:4          -      smime rita@people.test
34-two-blocks                     report encrypted none    -          CANARY-34 block-2.asc:303      -      several rita@people.test
36-group-munged-from              report none      none    -          CANARY-36 -                    -      - rita@people.test
38-same-message-id-a              report none      none    -          CANARY-38a -                   -      - rita@people.test
39-same-message-id-b              report none      none    -          CANARY-38b -                   -      - rita@people.test
40-sending-service-envelope       report none      none    -          CANARY-40 -                    -      - rita@people.test
41-cut-short                      report none      none    cannot_decrypt -      -                    -      - rita@people.test
";

fn opened(name: &str) -> Value {
    let at = |file: &str| format!("tests/field/{file}");
    let out = Command::new(PROGRAM)
        .args(["open", "--json", "--key", &at("desk.sec.asc")])
        .args(["--cert", &at("mara.asc"), "--cert", &at("rita.asc"), &at(&format!("{name}.eml"))])
        .output()
        .unwrap();
    assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| "-".to_owned(), ToOwned::to_owned)
}

#[test]
fn mails_of_the_field_come_out_as_they_should() {
    let mut seen = 0;
    for row in TABLE.lines() {
        let cells: Vec<&str> = row.split_whitespace().collect();
        let [name, kind, protection, signature, failure, text, attached, key, hint, answered] =
            cells[..]
        else {
            panic!("not a row: {row}")
        };
        let mail = opened(name);
        seen += 1;
        let files: Vec<String> = mail["attachments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| {
                format!("{}:{}", a["name"].as_str().unwrap().split(' ').next().unwrap(), a["size"])
            })
            .collect();
        let or = |found: String| if found.is_empty() { "-".to_owned() } else { found };
        let found = [
            word(&mail["kind"]),
            word(&mail["protection"]),
            word(&mail["signature"]),
            word(&mail["failure"]),
            or(files.join(",")),
            word(&mail["keys"][0]["rank"]),
            word(&mail["hint"]),
            or(mail["answered"].as_array().unwrap().iter().map(word).collect::<Vec<_>>().join(",")),
        ];
        assert_eq!(
            found.each_ref(),
            [kind, protection, signature, failure, attached, key, hint, answered]
                .map(str::to_owned)
                .each_ref(),
            "{name}: {mail:#}"
        );
        let whole = word(&mail["text"]);
        assert!(text == "-" || whole.contains(text), "{name}: {whole}");
        for line in [word(&mail["subject"]), word(&mail["from"][0])] {
            assert!(!line.contains('\n'), "{name}: {line}");
        }
    }
    let mails = std::fs::read_dir("tests/field").unwrap().flatten();
    let mails = mails.filter(|file| file.path().extension().is_some_and(|end| end == "eml"));
    assert_eq!(mails.count(), seen, "a mail of the folder has no row");
}

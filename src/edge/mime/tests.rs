//! Tests of taking mails apart, in mails of our own.

use super::*;
use crate::domain::facts::outer_view::Shape;

#[test]
fn flowed_lines_are_joined_and_signatures_are_not() {
    assert_eq!(unflow("/title a \nb\n-- \nme\n> q \n> r\n", false), "/title a b\n-- \nme\n> q r\n");
    assert_eq!(unflow("a \n> b\n", false), "a \n> b\n");
    assert_eq!(unflow(" >not quoted\n", false), ">not quoted\n");
}

#[test]
fn file_names_are_names_and_nothing_else() {
    for (given, safe) in [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\poc.py", "poc.py"),
        ("-rf", "rf"),
        ("", "part-7"),
        ("a\u{202e}gpj.exe", "agpj.exe"),
        (&format!("{}.tar.gz", "x".repeat(300)), &format!("{}~.tar.gz", "x".repeat(92))),
    ] {
        assert_eq!(file_name(given, 7), safe);
    }
}

#[test]
fn a_mail_of_nothing_is_a_mail() {
    for raw in ["", "\n", "\r\n\r\n", " ", "\nhello\n"] {
        let mime = Mime::parse(raw.as_bytes()).unwrap();
        assert_eq!(mime.ids(), (None, Vec::new()));
        assert!(mime.from().0.is_empty() && mime.is_malformed());
        assert_eq!(mime.subject(), None);
        assert_eq!(mime.body().plain.concat().trim(), raw.trim(), "{raw:?}");
    }
}

#[test]
fn a_text_is_read_whatever_is_wrong_with_its_encoding() {
    let cases: [(&str, &[u8], &str); 5] = [
        ("text/plain; charset=ISO-8859", b"caf\xe9", "caf\u{e9}"),
        ("text/plain", b"caf\xe9", "caf\u{e9}"),
        ("text/html; charset=x-none", b"<p>caf\xe9</p>", "caf\u{e9}"),
        ("text/plain; charset=iso-2022-jp", b"\x1b$B$\"\x1b(B", "\u{3042}"),
        ("text/plain; charset=utf-8", "caf\u{e9}".as_bytes(), "caf\u{e9}"),
    ];
    for (media, body, said) in cases {
        let mail = [b"Content-Type: ", media.as_bytes(), b"\r\n\r\n", body].concat();
        let mime = Mime::parse(&mail).unwrap();
        assert_eq!(mime.body().plain.concat().trim(), said, "{media}");
    }
    assert_eq!(decode(b"\x1b$B$\"\x1b(B", Some("iso-2022-jp")), "\u{3042}");
    let long = "\u{e9}".repeat(text::TEXT_MAX);
    assert!(decode(format!("a{long}").as_bytes(), None).ends_with('\u{e9}'));
    // Cut off on the way: the last part does not end.
    let mail = b"Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9 =\r\nau lait\r\n";
    let mime = Mime::parse(mail).unwrap();
    assert_eq!(mime.body().plain.concat().trim(), "caf\u{e9} au lait");
}

#[test]
fn a_multipart_ends_where_the_one_around_it_goes_on() {
    for newline in ["\r\n", "\n"] {
        for end in ["", "--i\n", "--i\n\n", "--i--\n", "--i\n\n--k\n\ntwo\n"] {
            let content = format!(
                "Content-Type: multipart/mixed; boundary=i\n\n--i\n\
                 Content-Type: multipart/mixed; boundary=k\n\n--k\n\none\n{end}"
            );
            let mail = format!(
                "Content-Type: multipart/signed; boundary=o\n\n--o\n{content}\n--o\n\
                 Content-Type: application/pgp-signature; name=s.asc\n\nsigned\n--o--\n"
            )
            .replace('\n', newline);
            let mime = Mime::parse(mail.as_bytes()).unwrap();
            let [signed, signature] = mime.children(mime.root())[..] else {
                panic!("{end:?}: {:?}", mime.children(mime.root()))
            };
            assert_eq!(mime.raw(signed), content.replace('\n', newline).as_bytes(), "{end:?}");
            assert_eq!(mime.bytes(signature), b"signed");
            let body = mime.body();
            assert!(body.plain[0].starts_with("one") && body.attachments.is_empty());
            assert!(!body.plain.concat().contains("signed"), "{:?}", body.plain);
        }
    }
}

#[test]
fn machines_are_known_by_their_marks() {
    for (head, shape) in [
        ("Return-Path: <MAILER-DAEMON>", Shape::Automatic),
        ("Return-Path: <rita@people.test>", Shape::Mail),
        ("Precedence: auto_reply", Shape::Automatic),
        ("X-Autoreply: yes", Shape::Automatic),
        ("Precedence: list", Shape::Mail),
        (
            "Content-Type: multipart/mixed; report-type=delivery-status; boundary=q",
            Shape::Automatic,
        ),
        ("Content-Type: multipart/mixed; boundary=q", Shape::Mail),
    ] {
        let mail = format!("From: a@b.test\r\n{head}\r\n\r\n--q\r\n\r\nhello\r\n--q--\r\n");
        assert_eq!(Mime::parse(mail.as_bytes()).unwrap().shape(), shape, "{head}");
    }
}

#[test]
fn html_is_lost_nowhere() {
    let body = |kind: &str, plain: &str| {
        let mail = format!(
            "Content-Type: multipart/{kind}; boundary=q\r\n\r\n--q\r\n\
             Content-Type: text/html\r\n\r\n<p>rich</p>\r\n--q\r\n\r\n{plain}\r\n--q--\r\n"
        );
        Mime::parse(mail.as_bytes()).unwrap().body()
    };
    for kind in ["alternative", "mixed"] {
        let empty = body(kind, "");
        assert!(empty.html_only && empty.plain.concat().contains("rich"));
        assert!(empty.attachments.is_empty());
        assert_eq!(body(kind, "plain").plain, ["plain"]);
        assert!(!body(kind, "plain").html_only);
    }
    assert!(body("alternative", "plain").attachments.is_empty());
    assert_eq!(&*body("mixed", "footer").attachments[0].bytes, b"<p>rich</p>");
}

#[test]
fn another_form_of_a_text_is_never_an_attachment() {
    let html = "Content-Type: text/html; name=a.html\r\nContent-Disposition: attachment; filename=a.html\r\n\r\n<p>/accept</p>";
    let mail = format!(
        "From: a@b.test\r\nDate: x\r\nContent-Type: multipart/alternative; boundary=q\r\n\r\n--q\r\n\
         Content-Type: text/plain\r\n\r\nhello\r\n--q\r\nContent-Type: multipart/related; boundary=r\r\n\r\n\
         --r\r\n{html}\r\n--r\r\nContent-Type: image/png; name=logo.png\r\n\r\nPNG\r\n--r--\r\n--q--\r\n"
    );
    let body = Mime::parse(mail.as_bytes()).unwrap().body();
    assert_eq!(body.plain, ["hello"]);
    let names: Vec<_> = body.attachments.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["logo.png"]);
}

#[test]
fn parts_keep_their_bytes() {
    let mail = b"From: a@b.test\r\nDate: x\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\
        Content-Type: text/plain\r\n\r\nhello\r\n--q\r\nContent-Type: text/x-c; charset=latin1; name=a.c\r\n\
        Content-Transfer-Encoding: base64\r\n\r\n/+78\r\n--q--\r\n";
    let mime = Mime::parse(mail).unwrap();
    let body = mime.body();
    assert_eq!(body.plain, ["hello"]);
    assert_eq!(&*body.attachments[0].bytes, [0xff, 0xee, 0xfc]);
    let first = mime.children(mime.root())[0];
    assert_eq!(mime.raw(first), b"Content-Type: text/plain\r\n\r\nhello");
}

#[test]
fn a_report_of_a_mail_server_is_known_by_its_headers() {
    let says = |headers: &str| says_report(format!("{headers}\r\n\r\nbody\r\n").as_bytes());
    assert!(says("From: x\r\nContent-Type: multipart/report; report-type=delivery-status"));
    assert!(says("From: x\r\nCONTENT-TYPE:\r\n Multipart/Report; boundary=b"));
    assert!(!says("From: x\r\nContent-Type: multipart/mixed"));
    assert!(!says("Subject: x\r\n\r\nContent-Type: multipart/report"));
    assert!(!says_report(b""));
}

/// Both ways of decoding say the same of what is plain.
#[test]
fn base64_is_decoded_the_same_by_many_letters_at_once() {
    let bytes: Vec<u8> = (0_u8..=255).cycle().take(3_000).collect();
    for size in [0, 1, 2, 3, 56, 57, 58, 100, 3_000] {
        let bytes = &bytes[..size];
        let letters = base64_simd::STANDARD.encode_to_string(bytes);
        let lines: Vec<&str> =
            letters.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
        assert_eq!(lenient_base64(lines.join("\r\n").as_bytes()), bytes);
        assert_eq!(lenient_base64(format!("{}\r\n", lines.join("\n")).as_bytes()), bytes);
    }
    let cut = lenient_base64(b"aGVsbG8hIGhlbGxv!");
    assert_eq!(cut, b"hello! hello");
}

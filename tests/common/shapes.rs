//! The forms in which mail programs and gateways send ciphertext, as the body of a mail with its headers.

/// What was sealed for the desk: a text by itself, a MIME entity, and a file; each armored.
pub(crate) struct Sealed<'a> {
    pub text: &'a str,
    pub entity: &'a str,
    pub file: &'a str,
    /// Somebody's public key, armored.
    pub key: &'a str,
}

fn mixed(parts: &[String]) -> String {
    multi("multipart/mixed", parts)
}

fn multi(kind: &str, parts: &[String]) -> String {
    let body: String = parts.iter().map(|part| format!("--w\r\n{part}\r\n")).collect();
    format!("Content-Type: {kind}; boundary=w\r\n\r\n{body}--w--\r\n")
}

fn plain(text: &str) -> String {
    format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n")
}

fn html(armor: &str) -> String {
    let lines = armor.replace("\r\n", "<br>\r\n");
    format!(
        "Content-Type: text/html; charset=utf-8\r\n\r\n<html><body><div>Hello</div><div>{lines}</div></body></html>\r\n"
    )
}

fn file(media: &str, name: &str, bytes: &str) -> String {
    format!(
        "Content-Type: {media}; name=\"{name}\"\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n{bytes}\r\n"
    )
}

pub(crate) fn pgp_mime(second: &str, armor: &str) -> String {
    format!(
        "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=e\r\n\r\n\
         --e\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n\
         --e\r\nContent-Type: {second}\r\n\r\n{armor}\r\n--e--\r\n"
    )
}

/// By name: the body, and whether what stands in it is opened.
pub(crate) fn shapes(sealed: &Sealed<'_>) -> Vec<(&'static str, String, bool)> {
    let crlf = |armor: &str| armor.trim_end().replace("\r\n", "\n").replace('\n', "\r\n");
    let (text, entity) = (crlf(sealed.text), crlf(sealed.entity));
    let (doc, key) = (crlf(sealed.file), crlf(sealed.key));
    let octets = "application/octet-stream";
    let keys = file("application/pgp-keys", "key.asc", &key);
    let no_blank = text.replacen("\r\n\r\n", "\r\nVersion: 1\r\nComment: a program\r\n", 1);
    let control = "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n".to_owned();
    let quoted: String = text.lines().map(|line| format!("> {line}\r\n")).collect();
    let inner = format!(
        "From: a@people.test\r\nTo: b@people.test\r\nSubject: x\r\nMIME-Version: 1.0\r\n{}",
        pgp_mime(octets, &entity)
    );
    vec![
        ("one text in mixed", mixed(&[plain(&text)]), true),
        (
            "a text and an encrypted file",
            mixed(&[plain(&text), file(octets, "poc.pdf.pgp", &doc)]),
            true,
        ),
        ("a text and a key", mixed(&[plain(&text), keys.clone()]), true),
        (
            "a greeting and a signature",
            plain(&format!("Hello,\r\n\r\n{text}\r\n\r\n-- \r\nRita")),
            true,
        ),
        ("an attached armor", mixed(&[plain(""), file(octets, "msg.asc", &text)]), true),
        (
            "an attached entity",
            mixed(&[plain("Hello,"), file(octets, "encrypted.asc", &entity)]),
            true,
        ),
        (
            "alternative with HTML",
            multi("multipart/alternative", &[plain(&text), html(&text)]),
            true,
        ),
        (
            "mixed up, with a sentence",
            mixed(&[plain("Empty Message"), control, file(octets, "encrypted.asc", &entity)]),
            true,
        ),
        (
            "a footer around",
            mixed(&[pgp_mime(octets, &entity), plain("_____\r\nThis list is run by nobody.")]),
            true,
        ),
        (
            "another second part",
            pgp_mime("application/pgp-message; name=\"noname\"", &entity),
            true,
        ),
        ("a text as second part", pgp_mime("text/plain", &entity), true),
        ("HTML alone", html(&text), true),
        ("two blocks", plain(&format!("{text}\r\n\r\n{text}")), true),
        (
            "a clear text and an encrypted text",
            mixed(&[plain("See the file."), file(octets, "report.txt.gpg", &text)]),
            true,
        ),
        ("headers without a blank line", plain(&no_blank), true),
        (
            "the old type",
            format!(
                "Content-Type: application/pgp; format=text; x-action=encrypt\r\n\r\n{text}\r\n"
            ),
            true,
        ),
        (
            "signed around",
            multi(
                "multipart/signed",
                &[
                    pgp_mime(octets, &entity),
                    "Content-Type: application/pgp-signature\r\n\r\nnone\r\n".to_owned(),
                ],
            ),
            true,
        ),
        (
            "in a text of its own name",
            format!(
                "Content-Type: text/plain; name=\"mail.txt\"\r\nContent-Disposition: inline; filename=\"mail.txt\"\r\n\r\n{text}\r\n"
            ),
            true,
        ),
        ("quoted", plain(&format!("Look at this:\r\n\r\n{quoted}")), false),
        (
            "handed on",
            mixed(&[
                plain("This came to me."),
                format!("Content-Type: message/rfc822\r\n\r\n{inner}"),
            ]),
            false,
        ),
    ]
}

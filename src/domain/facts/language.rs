//! The languages that a mail asks to be answered in, and the one that the desk answers in.

/// More than this nobody reads.
const TAGS_MAX: usize = 10;

/// The primary tags of a header like `Content-Language` or `Accept-Language` (RFC 3282, RFC 5646), in its
/// order.
#[must_use]
pub fn tags(header: &str) -> Vec<String> {
    let primary = |part: &str| {
        let tag = part.split(';').next().unwrap_or("").trim();
        let tag = tag.split(['-', '_']).next().unwrap_or("").to_ascii_lowercase();
        is_tag(&tag).then_some(tag)
    };
    header.split(',').take(TAGS_MAX).filter_map(primary).collect()
}

/// Whether it is a primary tag: two or three letters.
#[must_use]
pub fn is_tag(tag: &str) -> bool {
    (2..=3).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// The first language that a mail asks for and the operator switched on; none for the program's own.
#[must_use]
pub fn chosen(switched_on: &[String], asked: &[String]) -> Option<String> {
    let asked = asked.iter().find(|tag| *tag == "en" || switched_on.contains(tag))?;
    (asked != "en").then(|| asked.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_switched_on_counts() {
        let on = ["de".to_owned(), "ja".to_owned()];
        let of = |header: &str| chosen(&on, &tags(header));
        assert_eq!(of("de-DE"), Some("de".to_owned()));
        assert_eq!(of("fr-FR, ja;q=0.8, de;q=0.5"), Some("ja".to_owned()));
        assert_eq!(of("en-US, de"), None, "who reads English first is answered in it");
        assert_eq!(of("x-klingon, ../../etc, 12, verylongtag"), None);
        assert!(tags(&"de,".repeat(10_000)).len() <= TAGS_MAX);
    }
}

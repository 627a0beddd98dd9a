//! Texts: out of any charset, out of HTML, with the lines that were broken softly joined again.

use mail_parser::decoders::charsets::map::charset_decoder;

/// The most of one text that is shown: more is for a file. The mail itself is kept whole.
pub(super) const TEXT_MAX: usize = 1024 * 1024;

pub(super) fn cut(text: &str) -> &str {
    let end = (0..=TEXT_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or("")
}

/// Texts as one, and whether it had to be cut.
#[must_use]
pub fn one_text(texts: &[String]) -> (String, bool) {
    let all = texts.join("\n");
    let kept = cut(&all);
    if kept.len() == all.len() { (all, false) } else { (kept.to_owned(), true) }
}

/// HTML with a line break before each element that begins a line of its own: without it, two lines
/// of a recipe would become one.
pub(super) fn with_breaks(html: &str) -> String {
    const LINES: &[&str] =
        &["div", "li", "tr", "p", "pre", "blockquote", "h1", "h2", "h3", "h4", "dt", "dd"];
    let mut out = String::with_capacity(html.len().saturating_add(html.len() / 8));
    for (n, piece) in html.split('<').enumerate() {
        if n > 0 {
            let tag = piece.strip_prefix('/').unwrap_or(piece);
            let end = tag.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tag.len());
            let name = tag.get(..end).unwrap_or("").to_ascii_lowercase();
            if LINES.contains(&name.as_str()) {
                out.push_str("<br>");
            }
            out.push('<');
        }
        out.push_str(piece);
    }
    out
}

/// Whether a text part is longer than what is read of it.
pub(super) fn is_long(bytes: usize) -> bool {
    bytes > TEXT_MAX
}

/// Text in the charset that it says it is in; in UTF-8 if it is that, in Windows-1252 otherwise,
/// which has a letter for every byte.
#[must_use]
pub fn decode(bytes: &[u8], charset: Option<&str>) -> String {
    // Half a letter at the end would make all of it look like another charset.
    let whole = |at: &usize| bytes.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    let end = (TEXT_MAX.saturating_sub(3)..=TEXT_MAX).rev().find(whole).unwrap_or(TEXT_MAX);
    let bytes = bytes.get(..end).unwrap_or(bytes);
    let named = charset.and_then(|charset| charset_decoder(charset.as_bytes()));
    // A charset of seven bits that shifts with an escape (ISO-2022-JP) passes for UTF-8.
    let shifts = named.is_some() && bytes.contains(&0x1b);
    if let Ok(text) = std::str::from_utf8(bytes)
        && !shifts
    {
        return text.to_owned();
    }
    let decoder = named.or_else(|| charset_decoder(b"windows-1252"));
    decoder.map_or_else(|| String::from_utf8_lossy(bytes).into_owned(), |decode| decode(bytes))
}

/// Joins the lines that a mail program broke softly (RFC 3676, 4.1).
pub(super) fn unflow(text: &str, delsp: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut joining: Option<usize> = None;
    for line in text.lines() {
        let depth = line.bytes().take_while(|b| *b == b'>').count();
        let content = line.get(depth..).unwrap_or("");
        let stuffed = content.strip_prefix(' ').unwrap_or(content);
        if joining == Some(depth) {
            out.push_str(stuffed);
        } else {
            if joining.is_some() {
                out.push('\n');
            }
            out.push_str(&">".repeat(depth));
            if depth > 0 && !stuffed.is_empty() {
                out.push(' ');
            }
            out.push_str(stuffed);
        }
        if stuffed.ends_with(' ') && stuffed != "-- " {
            if delsp {
                out.pop();
            }
            joining = Some(depth);
        } else {
            out.push('\n');
            joining = None;
        }
    }
    if joining.is_some() {
        out.push('\n');
    }
    out
}

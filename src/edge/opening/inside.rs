//! What came out of a ciphertext or a signature: an entity, a text or a file, and what it says of itself.

use crate::edge::mime::{Mime, Part};

/// What a ciphertext or a signed text turned out to be.
pub(super) enum Inside {
    /// A MIME entity, with headers.
    Entity(Vec<u8>),
    /// A text, and the charset that it is said to be in.
    Text(Vec<u8>, Option<String>),
    /// A file.
    File(String, Vec<u8>),
}

/// The mail that an entity is, whole, so that its headers are protected as well: `message/rfc822` that
/// says it was not forwarded.
pub(super) fn wrapped_mail(entity: &Mime<'_>) -> Option<Vec<u8>> {
    let root = entity.root();
    let is_mail = matches!(entity.media(root).as_str(), "message/rfc822" | "message/global");
    let own = entity.parameter(root, "forwarded").as_deref() == Some("no");
    (is_mail && own).then(|| entity.bytes(root))
}

/// Whether bytes begin with the headers of a MIME entity: every line up to the first blank one is a
/// header, and one of them says of what type it is.
pub(super) fn is_entity(bytes: &[u8]) -> bool {
    const LINES_MAX: usize = 100;
    let mut has_type = false;
    for line in bytes.split(|byte| *byte == b'\n').take(LINES_MAX) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return has_type;
        }
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let is_header = name.len() < line.len()
            && !name.is_empty()
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        if !folded && !is_header {
            return false;
        }
        has_type |= name.eq_ignore_ascii_case(b"content-type");
    }
    false
}

/// Whether the name of an encrypted file is that of a text; otherwise the name of what is in it.
pub(super) fn text_name(name: &str) -> Result<(), String> {
    let ends = [".asc", ".gpg", ".pgp"];
    let lower = name.to_ascii_lowercase();
    let end = ends.iter().find(|end| lower.ends_with(**end)).map_or(0, |end| end.len());
    let bare = name.get(..name.len().saturating_sub(end)).unwrap_or(name);
    match bare.rsplit_once('.') {
        None => Ok(()),
        Some((_, kind)) if ["txt", "text", "md"].contains(&kind.to_ascii_lowercase().as_str()) => {
            Ok(())
        }
        // A name that is only the ending of what was encrypted.
        Some(_) if end == 0 => Ok(()),
        Some(_) => Err(bare.to_owned()),
    }
}

/// The bytes of a mail that is one text and nothing else, and no file.
pub(super) fn whole_text(outer: &Mime<'_>) -> Option<Vec<u8>> {
    let root = outer.root();
    let media = outer.media(root);
    let is_text = matches!(media.as_str(), "text/plain" | "application/pgp");
    let bytes = (is_text && outer.children(root).is_empty()).then(|| outer.bytes(root))?;
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    Some(text.trim_ascii().to_vec())
}

/// What charset a block is in: by its own armor header, or by the part around it.
pub(super) fn charset_of(outer: &Mime<'_>, part: Part, block: &[u8]) -> Option<String> {
    let block = String::from_utf8_lossy(block.get(..1_000).unwrap_or(block)).into_owned();
    let own = block.lines().take(10).find_map(|line| line.strip_prefix("Charset:"));
    own.map(|charset| charset.trim().to_ascii_lowercase())
        .or_else(|| outer.parameter(part, "charset"))
}

pub(super) fn is_protected(inner: &Mime<'_>) -> bool {
    let root = inner.root();
    inner.parameter(root, "hp").is_some() || inner.parameter(root, "protected-headers").is_some()
}

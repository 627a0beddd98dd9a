//! Transfer encodings undone (RFC 2045, 6).

use mail_parser::decoders::base64::base64_decode;

/// Decodes base64 as far as it goes: what a gateway cut off or wrapped oddly is still worth having.
pub(super) fn lenient_base64(raw: &[u8]) -> Vec<u8> {
    // As every program writes it: by many letters at once.
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'\r' | b'\n');
    let letters = raw.trim_ascii_end();
    let padded = letters.iter().rev().take(2).filter(|b| **b == b'=').count();
    let (letters, _) = letters.split_at(letters.len().saturating_sub(padded));
    if letters.iter().all(is_plain)
        && let Ok(bytes) = base64_simd::forgiving_decode_to_vec(letters)
    {
        return bytes;
    }
    if let Some(bytes) = base64_decode(raw) {
        return bytes;
    }
    let mut letters: Vec<u8> = raw
        .iter()
        .copied()
        .filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
        .collect();
    letters.truncate(letters.len() / 4 * 4);
    base64_decode(&letters).unwrap_or_else(|| raw.to_vec())
}

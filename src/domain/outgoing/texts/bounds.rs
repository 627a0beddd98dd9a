//! How much a template may take: so many steps, so many bytes, and nothing that makes much out of little.

/// What in a template could make much out of little, and so fill the memory: an assignment, a macro, a
/// block that is called or filtered, a multiplication. None where there is nothing.
#[must_use]
pub fn makes_much(text: &str) -> Option<&'static str> {
    let tags = text.split("{%").skip(1).map(|tag| (tag, "%}"));
    let places = text.split("{{").skip(1).map(|place| (place, "}}"));
    for (code, end) in tags.chain(places) {
        let code = code.split(end).next().unwrap_or(code);
        let word = code.trim_start_matches(['-', '+']).split_whitespace().next().unwrap_or("");
        let banned = ["set", "macro", "call", "filter", "from", "import"];
        if let (Some(word), "%}") = (banned.into_iter().find(|banned| *banned == word), end) {
            return Some(word);
        }
        // Not in what is quoted.
        let bare = code.split('"').step_by(2);
        if bare.flat_map(|part| part.split('\'').step_by(2)).any(|part| part.contains('*')) {
            return Some("*");
        }
    }
    None
}

/// So many steps a text may take: the longest of a large incident takes a hundredth.
pub const STEPS_MAX: u64 = 500_000;

/// So many bytes a text may have.
const TEXT_MAX: usize = 32 << 20;

/// Takes in no more than [`TEXT_MAX`].
pub(super) struct Bounded(pub(super) Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len().saturating_add(bytes.len()) > TEXT_MAX {
            return Err(std::io::Error::other("the text is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

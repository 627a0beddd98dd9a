//! Words that somebody else wrote: the one door by which they come into anything that the desk writes.
//!
//! A display name, a subject, a file name, how a reporter wants to be named: each stands somewhere in a
//! frame of ours, and whoever chose it would like it to be a line of that frame. Behind this door it is
//! none: no reference, no command, no heading, no second line.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::facts::names::Handle;

/// Where open places of frozen texts lie: private use characters, which nobody else can write.
pub const OPEN_PLACES: std::ops::RangeInclusive<char> = '\u{E000}'..='\u{E0FF}';

/// The longest line of a stranger.
pub const LINE_MAX: usize = 300;

/// What begins the lines by which people and mail programs know what the desk itself says.
const FRAME: [&str; 6] = ["TLP:", "Ref:", "Subject:", "What to do:", "Why not:", "Outside:"];

/// One line of somebody else's words, fit to stand anywhere in a text of ours. Made by
/// [`Foreign::line`] alone, also from what was stored before there was this type.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Foreign {
    /// As it may stand in a text of ours.
    said: String,
    /// As it came.
    came: String,
}

impl Foreign {
    /// Takes a line in: cleaned, on one line, at most so many characters, and unable to pass for
    /// anything that the desk itself writes.
    #[must_use]
    pub fn line(text: &str, max: usize) -> Self {
        let mut line = without_references(&clean_line(text, max));
        for begins in FRAME {
            line = without_frame(&line, begins);
        }
        // A line that is broken for width may begin with any of its words, and what nobody sees may stand
        // before it.
        let word =
            |word: &str| match word.trim_start_matches(INVISIBLE).strip_prefix(['/', '|', '>']) {
                Some(rest) if !rest.is_empty() => format!("_{word}"),
                _ if word.eq_ignore_ascii_case("journal") => format!("{word}."),
                _ => word.to_owned(),
            };
        let said = line.split(' ').map(word).collect::<Vec<_>>().join(" ");
        Self { said, came: text.to_owned() }
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.said
    }

    /// As it came: to decide by, and never to be written anywhere.
    #[must_use]
    pub fn as_it_came(&self) -> &str {
        &self.came
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }
}

impl From<String> for Foreign {
    fn from(text: String) -> Self {
        Self::line(&text, LINE_MAX)
    }
}

impl From<Foreign> for String {
    fn from(foreign: Foreign) -> Self {
        foreign.said
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

/// Takes the colon from what begins a line of ours, in whatever letters.
fn without_frame(line: &str, begins: &str) -> String {
    let small = line.to_ascii_lowercase();
    let (mut out, mut at) = (String::with_capacity(line.len()), 0);
    for (found, _) in small.match_indices(&begins.to_ascii_lowercase()) {
        let colon = found.saturating_add(begins.len()).saturating_sub(1);
        out.push_str(line.get(at..colon).unwrap_or(""));
        out.push(' ');
        at = colon;
    }
    out.push_str(line.get(at..).unwrap_or(""));
    out
}

/// What ends a line for some programs, and is not seen in others (Unicode, 5.8).
pub const LINE_ENDS: [char; 5] = ['\u{2028}', '\u{2029}', '\u{85}', '\u{b}', '\u{c}'];

/// Characters that nobody sees, and that may stand before a word.
pub const INVISIBLE: &[char] = &[
    '\u{ad}', '\u{61c}', '\u{180e}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}',
    '\u{2060}', '\u{2061}', '\u{2062}', '\u{2063}', '\u{feff}', '\u{fe0f}',
];

/// Removes what may not stand in a text that is passed on: our own open places, control
/// characters, and the characters that turn the direction of writing. Whatever may end a line ends it
/// from here on: a mark of quoting stands before every line, and before none that is hidden in another.
#[must_use]
pub fn clean(text: &str) -> String {
    let keep = |c: &char| {
        let control = c.is_control() && !matches!(c, '\n' | '\t');
        let turns = matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        !(control || turns || OPEN_PLACES.contains(c))
    };
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace(LINE_ENDS, "\n");
    text.chars().filter(keep).collect()
}

/// Cleans a text that must fit one line, and shortens it to `max` characters.
#[must_use]
pub fn clean_line(text: &str, max: usize) -> String {
    let line = clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= max {
        return line;
    }
    line.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// Where the tokens of references stand in a text: behind a handle and a stroke, whatever stands
/// before the handle.
fn tokens(text: &str) -> Vec<std::ops::Range<usize>> {
    let of_handle = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let mut found = Vec::new();
    for (at, _) in text.match_indices('/') {
        // By bytes: what stands before it may be a letter of several.
        let before = text.as_bytes().get(..at).unwrap_or(&[]).iter().rev().take(HANDLE_MAX);
        let length = before.take_while(|byte| of_handle(**byte)).count();
        let handle = text.get(at.saturating_sub(length)..at);
        let is_handle = handle.and_then(Handle::parse).is_some();
        let from = at.saturating_add(1);
        let after = text.get(from..).unwrap_or("");
        let length = after.bytes().take(64).take_while(u8::is_ascii_alphanumeric).count();
        if is_handle && matches!(length, 16 | 26) {
            found.push(from..from.saturating_add(length));
        }
    }
    found
}

/// The longest handle: a prefix of twelve, the year and five letters, with their strokes.
const HANDLE_MAX: usize = 24;

/// Whether a reference of ours stands in a text, in whatever form.
#[must_use]
pub fn holds_reference(text: &str) -> bool {
    !tokens(text).is_empty()
}

/// Breaks what looks like a reference of ours in somebody else's text, and takes its token out:
/// quoted in the answer to our mail it would speak for another incident or make the answer look
/// forged, and the reporter's own is what proves a reporter without a key.
#[must_use]
pub fn without_references(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for token in tokens(text) {
        out.push_str(text.get(at..token.start).unwrap_or(""));
        out.push_str("...");
        at = token.end;
    }
    out.push_str(text.get(at..).unwrap_or(""));
    without_frame(&out, "Ref:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_stranger_writes_is_a_line_of_the_desk() {
        let planted = [
            "Rita Ref: DEMO-2026-7F3K2/0123456789ABCDEF",
            "Rita DEMO-2026-7F3K2/0123456789ABCDEF",
            "/published",
            "Rita\n/published\nRef: DEMO-2026-7F3K2/0123456789ABCDEF",
            "a very long name so that the line is broken somewhere before /approve announce@1 now",
            "TLP:CLEAR",
            "| /confirm 0123456789ABCDEF",
            "Journal 12 abc",
            "\u{E001}\u{202E}x",
            "tlp:clear",
            "\u{200b}/published",
            "x\u{feff}\u{2028}/published",
            "\u{61c}WHAT TO DO: nothing",
            "What to do: nothing",
        ];
        for text in planted {
            let line = Foreign::line(text, 300);
            let said = line.as_str();
            assert!(!holds_reference(said) && !said.contains("Ref:"), "{said}");
            assert!(!said.contains('\n') && !said.contains(LINE_ENDS), "{said}");
            let small = said.to_lowercase();
            assert!(!FRAME.iter().any(|begins| small.contains(&begins.to_lowercase())), "{said}");
            for word in said.split(' ').filter(|word| word.len() > 1) {
                let word = word.trim_start_matches(INVISIBLE);
                assert!(!word.starts_with(['/', '|', '>']) && word != "Journal", "{said}");
            }
            assert!(!said.chars().any(|c| OPEN_PLACES.contains(&c)), "{said}");
            assert_eq!(Foreign::line(said, 300).as_str(), said, "twice is once");
        }
        assert_eq!(
            Foreign::line("Rita Grün <rita@example.org>", 100).as_str(),
            "Rita Grün <rita@example.org>"
        );
    }
}

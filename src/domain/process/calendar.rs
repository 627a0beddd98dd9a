//! Calendars as files: the days on which nobody works although the week says so.
//!
//! A playbook names one. Each line is a date and what the day is called; empty lines and lines that
//! begin with `#` are for readers.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

/// The calendars that come with the program: name and text.
pub const BUILTIN: &[(&str, &str)] = &[
    ("target", include_str!("../../../config/calendars/target.txt")),
    ("us-federal", include_str!("../../../config/calendars/us-federal.txt")),
    ("weekdays", include_str!("../../../config/calendars/weekdays.txt")),
];

/// The calendars that playbooks can name: name and text.
pub type Calendars = BTreeMap<String, String>;

/// Those that come with the program.
#[must_use]
pub fn builtin() -> Calendars {
    BUILTIN.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// Reads the days of a calendar.
///
/// # Errors
/// The first line, from 1, that is no day, and a sentence about it.
pub fn parse(text: &str) -> Result<BTreeSet<NaiveDate>, (usize, String)> {
    let mut days = BTreeSet::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = n.saturating_add(1);
        let date = line.split_whitespace().next().unwrap_or("");
        match date.parse() {
            Ok(day) => {
                if !days.insert(day) {
                    return Err((number, format!("`{date}` stands twice")));
                }
            }
            Err(_) => {
                let wrong =
                    format!("`{date}` is no date; write a line like `2026-12-25 Christmas`");
                return Err((number, wrong));
            }
        }
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendars_of_the_program_load_and_broken_ones_name_their_line() {
        for (name, text) in BUILTIN {
            let days = parse(text).unwrap();
            assert_eq!(days.is_empty(), *name == "weekdays", "{name}");
        }
        assert_eq!(parse("# x\n\nChristmas\n").unwrap_err().0, 3);
        assert_eq!(parse("2026-12-25\n2026-12-25 again\n").unwrap_err().0, 2);
    }
}

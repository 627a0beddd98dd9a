//! A preview as an iCalendar file (RFC 5545), for a calendar program.

use icalendar::{Calendar, Component, Event, EventLike};

use crate::domain::facts::names::{Digest, Moment, Span, later};
use crate::domain::process::playbook::Playbook;
use crate::domain::views::plan::Row;

/// One entry for each row with a moment. The same preview gives the same file: ids and stamps come
/// from the rows, and from no clock.
pub(crate) fn calendar(playbook: &Playbook, rows: &[Row], received: Moment) -> String {
    let mut calendar = Calendar::empty();
    calendar.append_property(("VERSION", "2.0"));
    calendar.append_property(("PRODID", "-//embargod//preview//EN"));
    calendar.append_property(("CALSCALE", "GREGORIAN"));
    for row in rows {
        let Some(due) = row.due.or(row.earliest) else { continue };
        let name = [playbook.id.as_str(), row.id.as_str(), &received.to_rfc3339()].join(" ");
        let id = Digest::of(name.as_bytes()).to_string();
        let mut event = Event::new();
        event
            .uid(&format!("{}@preview", id.get(..32).unwrap_or(&id)))
            .timestamp(received)
            .summary(&format!("{} ({})", row.title, row.role))
            .starts(due)
            .ends(later(due, Span::minutes(30)))
            .description(&format!("{}: {} [{}]", playbook.id, row.id, row.rule));
        calendar.push(event.done());
    }
    calendar.to_string()
}

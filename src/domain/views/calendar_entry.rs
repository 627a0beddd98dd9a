//! The entry for a calendar that goes with a notice (RFC 5545): when the embargo ends, inside the
//! sealed mail, saying nothing but the handle.

use icalendar::{Calendar, Component, Event, EventLike};

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::foreign::Foreign;
use crate::domain::facts::letter::Attachment;
use crate::domain::facts::names::{Digest, Moment, Span, later};
use crate::domain::facts::settings::Settings;
use crate::domain::model::incident::Incident;
use crate::domain::model::roster::RefKey;

/// Its name in the mail.
pub const NAME: &str = "embargo.ics";

/// How often T was set before: the number by which a calendar program sees that an entry takes the
/// place of an earlier one (RFC 5545, 3.8.7.4).
#[must_use]
pub fn sequence(incident: &Incident) -> u32 {
    let set = incident
        .anchor_changes
        .iter()
        .filter(|set| set.anchor == Anchor::T && set.moment.is_some());
    u32::try_from(set.count().saturating_sub(1)).unwrap_or(u32::MAX)
}

/// The entry for the present T. Its id is the same for every recipient and every date of an incident,
/// and says nothing to whoever finds it in a calendar.
#[must_use]
pub fn of(
    incident: &Incident,
    settings: &Settings,
    key: &RefKey,
    tlp: &str,
    now: Moment,
) -> Option<Attachment> {
    entry(incident, settings, key, tlp, now, false)
}

/// The entry taken back: the day will not come.
#[must_use]
pub fn cancelled(
    incident: &Incident,
    settings: &Settings,
    key: &RefKey,
    tlp: &str,
    now: Moment,
) -> Option<Attachment> {
    entry(incident, settings, key, tlp, now, true)
}

fn entry(
    incident: &Incident,
    settings: &Settings,
    key: &RefKey,
    tlp: &str,
    now: Moment,
    cancelled: bool,
) -> Option<Attachment> {
    let number = sequence(incident).saturating_add(u32::from(cancelled));
    let (method, status) =
        if cancelled { ("CANCEL", "CANCELLED") } else { ("PUBLISH", "CONFIRMED") };
    let t = incident.t()?;
    let uid = Digest::of_parts(&[b"calendar entry", &key.0, incident.handle.as_str().as_bytes()]);
    let uid = uid.to_string();
    let mut event = Event::new();
    event
        .uid(&format!("{}@embargo", uid.get(..32).unwrap_or(&uid)))
        .timestamp(now)
        .summary(&format!("[TLP:{tlp}] {}", incident.handle))
        .starts(t)
        .ends(later(t, Span::minutes(15)))
        // Whoever publishes an entry says who they are (RFC 5546, 3.2.1 and 3.2.5).
        .add_property("ORGANIZER", format!("mailto:{}", settings.address))
        .add_property("SEQUENCE", number.to_string())
        .add_property("STATUS", status)
        .add_property("CLASS", "CONFIDENTIAL");
    let mut calendar = Calendar::empty();
    calendar.append_property(("VERSION", "2.0"));
    calendar.append_property(("PRODID", "-//embargod//notice//EN"));
    calendar.append_property(("METHOD", method));
    calendar.push(event.done());
    Some(Attachment {
        name: Foreign::line(NAME, NAME.len()),
        media: "text/calendar".to_owned(),
        parameters: format!("; charset=utf-8; method={method}"),
        bytes: calendar.to_string().into_bytes().into(),
        of_other_form: false,
        outside: false,
        stored: None,
        left: None,
    })
}

//! Offsets from an anchor: `-5bd`, `+24h`, `+1d..+7d`, and the clock they are read by.
//!
//! Up to `h` time is elapsed time, so that 24 hours are 24 hours on the night the clocks change.
//! `d` and `w` are calendar days: the wall time in the playbook's zone stays what it was. `bd`
//! counts working days. An offset that would fall on a wall time that does not exist moves to the
//! first one that does.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Weekday};
use chrono_tz::Tz;

use crate::domain::facts::names::{Moment, Span, later};

/// The unit of an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Elapsed seconds.
    Second,
    /// Elapsed minutes.
    Minute,
    /// Elapsed hours.
    Hour,
    /// Calendar days.
    Day,
    /// Calendar weeks.
    Week,
    /// Working days of the calendar.
    BusinessDay,
}

const UNITS: [(&str, Unit); 6] = [
    ("bd", Unit::BusinessDay),
    ("s", Unit::Second),
    ("m", Unit::Minute),
    ("h", Unit::Hour),
    ("d", Unit::Day),
    ("w", Unit::Week),
];

/// A signed amount of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    amount: i32,
    unit: Unit,
}

/// The largest amount of any unit. Ten years of days; more is a slip of the finger.
const AMOUNT_MAX: i32 = 3_660;

impl Offset {
    /// No time at all.
    pub const ZERO: Self = Self { amount: 0, unit: Unit::Second };

    /// Reads `0`, `-5bd`, `+24h`, `90s`.
    ///
    /// # Errors
    /// A sentence that says what an offset looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no offset; write a number and one of s m h d w bd, like `-5bd` or `+24h`"
            )
        };
        let text = text.trim();
        if text == "0" {
            return Ok(Self::ZERO);
        }
        let (number, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| text.strip_suffix(name).map(|number| (number, *unit)))
            .ok_or_else(wrong)?;
        let amount: i32 =
            number.strip_prefix('+').unwrap_or(number).parse().map_err(|_| wrong())?;
        if amount.abs() > AMOUNT_MAX {
            return Err(format!("`{text}` is further away than {AMOUNT_MAX} of a unit"));
        }
        Ok(Self { amount, unit })
    }

    /// Whether it points before its anchor.
    #[must_use]
    pub fn is_before(self) -> bool {
        self.amount < 0
    }

    /// Whether it counts days, and not elapsed time.
    #[must_use]
    pub fn is_of_days(self) -> bool {
        matches!(self.unit, Unit::Day | Unit::Week | Unit::BusinessDay)
    }

    /// How long it is, for people: `5 working days`, `24 hours`.
    #[must_use]
    pub fn in_words(self) -> String {
        let unit = match self.unit {
            Unit::Second => "second",
            Unit::Minute => "minute",
            Unit::Hour => "hour",
            Unit::Day => "day",
            Unit::Week => "week",
            Unit::BusinessDay => "working day",
        };
        let amount = self.amount.unsigned_abs();
        let many = if amount == 1 { "" } else { "s" };
        format!("{amount} {unit}{many}")
    }

    /// As far the other way.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { amount: self.amount.saturating_neg(), ..self }
    }

    /// As elapsed time, for comparing: business days as calendar days.
    #[must_use]
    pub fn rough(self) -> Span {
        let amount = i64::from(self.amount);
        match self.unit {
            Unit::Second => Span::seconds(amount),
            Unit::Minute => Span::minutes(amount),
            Unit::Hour => Span::hours(amount),
            Unit::Day | Unit::BusinessDay => Span::days(amount),
            Unit::Week => Span::weeks(amount),
        }
    }

    /// The moment this far from `anchor`.
    #[must_use]
    pub fn from(self, anchor: Moment, calendar: &Calendar) -> Moment {
        if self.amount == 0 {
            return anchor;
        }
        match self.unit {
            Unit::Second | Unit::Minute | Unit::Hour => later(anchor, self.rough()),
            Unit::Day | Unit::Week => {
                let local = anchor.with_timezone(&calendar.zone).naive_local();
                let days = if self.unit == Unit::Week {
                    self.amount.saturating_mul(7)
                } else {
                    self.amount
                };
                calendar.moment_or(step(local.date(), days).and_time(local.time()), anchor)
            }
            Unit::BusinessDay => {
                let local = calendar.begin_work(anchor.with_timezone(&calendar.zone).naive_local());
                let day = calendar.work_days(local.date(), self.amount);
                calendar.moment_or(day.and_time(local.time()), anchor)
            }
        }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.amount == 0 {
            return f.write_str("0");
        }
        let unit = UNITS.iter().find(|(_, unit)| *unit == self.unit).map_or("", |(name, _)| name);
        write!(f, "{:+}{unit}", self.amount)
    }
}

fn step(date: NaiveDate, days: i32) -> NaiveDate {
    let by = Days::new(u64::from(days.unsigned_abs()));
    let moved = if days < 0 { date.checked_sub_days(by) } else { date.checked_add_days(by) };
    moved.unwrap_or(date)
}

/// From when to when a thing may be done. For a single offset both ends are the same; an end that
/// is left out is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Not before this; none for what may be done from the beginning.
    pub earliest: Option<Offset>,
    /// Late after this; none for what has no deadline.
    pub due: Option<Offset>,
    /// Whether it is to be done as soon as possible: it has no deadline, and people are reminded.
    pub asap: bool,
}

impl Window {
    /// From the anchor on, without a deadline.
    pub const FROM_THEN_ON: Self = Self { earliest: Some(Offset::ZERO), due: None, asap: false };

    /// Exactly at the anchor.
    pub const AT: Self =
        Self { earliest: Some(Offset::ZERO), due: Some(Offset::ZERO), asap: false };

    /// Reads an offset, `+1d..+7d`, `..-5bd` (any time until then), `0..` (from then on), or `asap`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "asap" {
            return Ok(Self { asap: true, ..Self::FROM_THEN_ON });
        }
        let Some((from, to)) = text.split_once("..") else {
            let one = Some(Offset::parse(text)?);
            return Ok(Self { earliest: one, due: one, asap: false });
        };
        let end = |text: &str| {
            let text = text.trim();
            (!text.is_empty()).then(|| Offset::parse(text)).transpose()
        };
        let (earliest, due) = (end(from)?, end(to)?);
        match (earliest, due) {
            (None, None) => return Err(format!("the window `{text}` has no end at all")),
            (Some(earliest), Some(due)) if earliest.rough() > due.rough() => {
                return Err(format!("the window `{text}` ends before it begins"));
            }
            _ => {}
        }
        Ok(Self { earliest, due, asap: false })
    }

    /// Whether it is one moment.
    #[must_use]
    pub fn is_moment(&self) -> bool {
        self.earliest.is_some() && self.earliest == self.due
    }

    /// Whether it ends before its anchor.
    #[must_use]
    pub fn is_before(&self) -> bool {
        self.due.is_some_and(Offset::is_before)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |end: Option<Offset>| end.map_or_else(String::new, |end| end.to_string());
        match (self.asap, self.is_moment()) {
            (true, _) => f.write_str("asap"),
            (false, true) => f.write_str(&end(self.due)),
            (false, false) => write!(f, "{}..{}", end(self.earliest), end(self.due)),
        }
    }
}

/// The days of the week that something may fall on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeekDays {
    first: Weekday,
    last: Weekday,
}

impl WeekDays {
    /// Reads `mon-thu`, `mon-fri` or `any`.
    ///
    /// # Errors
    /// A sentence that lists what is known.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` are no days; write `any` or a range like `mon-thu`");
        if text == "any" {
            return Ok(Self { first: Weekday::Mon, last: Weekday::Sun });
        }
        let (first, last) = text.split_once('-').ok_or_else(wrong)?;
        let days = Self {
            first: first.parse().map_err(|_| wrong())?,
            last: last.parse().map_err(|_| wrong())?,
        };
        if days.first.num_days_from_monday() > days.last.num_days_from_monday() {
            return Err(format!(
                "`{text}` runs backwards; begin the range with the earlier day of the week"
            ));
        }
        Ok(days)
    }

    /// Whether the day is one of them.
    #[must_use]
    pub fn contains(self, day: Weekday) -> bool {
        (self.first.num_days_from_monday()..=self.last.num_days_from_monday())
            .contains(&day.num_days_from_monday())
    }
}

impl fmt::Display for WeekDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.first, self.last)
    }
}

/// How a day that does not fit moves to one that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Snap {
    /// It stays.
    None,
    /// To the next that fits.
    #[default]
    Next,
    /// To the last that fits.
    Previous,
    /// To the nearest that fits; of two, the earlier.
    Nearest,
}

/// A zone, its working days and its holidays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// The zone in which days begin and end.
    pub zone: Tz,
    /// Days on which nobody works although the week says so.
    pub holidays: BTreeSet<NaiveDate>,
}

/// What a moment must be that a process allows for T.
#[derive(Debug, Clone, Copy)]
pub struct Slots {
    /// At this time of the day.
    pub at: Option<NaiveTime>,
    /// On one of these days.
    pub days: Option<WeekDays>,
    /// Where to look first.
    pub snap: Snap,
    /// Not before.
    pub earliest: Moment,
    /// Not after.
    pub latest: Option<Moment>,
}

impl Calendar {
    /// A calendar without holidays.
    #[must_use]
    pub fn plain(zone: Tz) -> Self {
        Self { zone, holidays: BTreeSet::new() }
    }

    /// Whether people work on that day.
    #[must_use]
    pub fn is_work_day(&self, date: NaiveDate) -> bool {
        !matches!(date.weekday(), Weekday::Sat | Weekday::Sun) && !self.holidays.contains(&date)
    }

    /// A wall time on a working day as it is; on a day off the first instant of the next working
    /// day. Keeping the hour of a day off would let a notice move later when T moves earlier.
    fn begin_work(&self, wall: NaiveDateTime) -> NaiveDateTime {
        if self.is_work_day(wall.date()) {
            return wall;
        }
        self.work_days(wall.date(), 1).and_time(NaiveTime::MIN)
    }

    fn work_days(&self, from: NaiveDate, count: i32) -> NaiveDate {
        let mut date = from;
        let mut left = count.abs();
        let way = if count < 0 { -1 } else { 1 };
        // Bounded: a calendar of nothing but holidays must not hang us.
        for _ in 0..AMOUNT_MAX.saturating_mul(8) {
            if left == 0 {
                break;
            }
            date = step(date, way);
            if self.is_work_day(date) {
                left = left.saturating_sub(1);
            }
        }
        date
    }

    /// The instant of a wall time. Where the clock goes back, the earlier of the two; where it
    /// jumps ahead, the first instant after the gap.
    #[must_use]
    pub fn moment(&self, wall: NaiveDateTime) -> Option<Moment> {
        (0..=4)
            .filter_map(|halves| wall.checked_add_signed(Span::minutes(30 * halves)))
            .find_map(|wall| self.zone.from_local_datetime(&wall).earliest())
            .map(|local| local.to_utc())
    }

    fn moment_or(&self, wall: NaiveDateTime, otherwise: Moment) -> Moment {
        self.moment(wall).unwrap_or(otherwise)
    }

    /// The last second of the day.
    #[must_use]
    pub fn end_of_day(&self, moment: Moment) -> Moment {
        let end = NaiveTime::from_hms_opt(23, 59, 59).unwrap_or_default();
        self.at(moment, end).max(moment)
    }

    /// The same day, at another time of that day.
    #[must_use]
    pub fn at(&self, moment: Moment, time: NaiveTime) -> Moment {
        let local = moment.with_timezone(&self.zone).naive_local();
        self.moment_or(local.date().and_time(time), moment)
    }

    /// The moment, or the same wall time on the nearest day that `days` allows and that is no
    /// holiday, looked for in the direction that `snap` says.
    #[must_use]
    pub fn snap(&self, moment: Moment, days: WeekDays, snap: Snap) -> Moment {
        let local = moment.with_timezone(&self.zone).naive_local();
        let fits =
            |date: &NaiveDate| days.contains(date.weekday()) && !self.holidays.contains(date);
        // Bounded: a calendar of nothing but holidays must not hang us.
        let steps = 0..=60;
        let found = match snap {
            Snap::None => return moment,
            Snap::Next => steps.map(|n| step(local.date(), n)).find(fits),
            Snap::Previous => steps.map(|n: i32| step(local.date(), n.saturating_neg())).find(fits),
            Snap::Nearest => steps
                .flat_map(|n: i32| [step(local.date(), n.saturating_neg()), step(local.date(), n)])
                .find(fits),
        };
        found.map_or(moment, |date| self.moment_or(date.and_time(local.time()), moment))
    }

    /// The moment nearest to `wanted` at that time of a day that fits and is no holiday, from `earliest` to
    /// `latest`; without a time, at that of `wanted`. The day itself first; then in the direction that `snap` says,
    /// and in the other one where that has none. Nothing, where there is none within a year.
    #[must_use]
    pub fn slot(&self, wanted: Moment, rule: &Slots) -> Option<Moment> {
        let nearest = wanted.max(rule.earliest).min(rule.latest.unwrap_or(Moment::MAX_UTC));
        let local = nearest.with_timezone(&self.zone).naive_local();
        let time = rule.at.unwrap_or_else(|| wanted.with_timezone(&self.zone).time());
        let on = |days: i32| -> Option<Moment> {
            let date = step(local.date(), days);
            let fits = rule.days.is_none_or(|these| these.contains(date.weekday()))
                && !self.holidays.contains(&date);
            let at = self.moment(date.and_time(time)).filter(|_| fits)?;
            let late = rule.latest.is_some_and(|latest| at > latest);
            (at >= rule.earliest && !late).then_some(at)
        };
        let ahead = || (0..=366).find_map(on);
        let back = || (1..=366).find_map(|n: i32| on(n.saturating_neg()));
        match rule.snap {
            Snap::Previous => on(0).or_else(back).or_else(ahead),
            Snap::Next | Snap::None => ahead().or_else(back),
            Snap::Nearest => (0..=366).find_map(|n: i32| on(n).or_else(|| on(n.saturating_neg()))),
        }
    }

    /// The moment, or the same wall time on the last working day before a day off.
    #[must_use]
    pub fn roll_earlier(&self, moment: Moment) -> Moment {
        let local = moment.with_timezone(&self.zone).naive_local();
        if self.is_work_day(local.date()) {
            return moment;
        }
        let day = self.work_days(local.date(), -1);
        self.moment_or(day.and_time(local.time()), moment)
    }

    /// Date, hour and zone, in UTC and, where it differs, in this zone.
    #[must_use]
    pub fn say(&self, moment: Moment) -> String {
        let utc = moment.format("%a %Y-%m-%d %H:%M");
        let seconds = if moment.timestamp() % 60 == 0 {
            String::new()
        } else {
            moment.format(":%S").to_string()
        };
        let local = moment.with_timezone(&self.zone);
        if local.naive_local() == moment.naive_utc() {
            return format!("{utc}{seconds} UTC");
        }
        format!("{utc}{seconds} UTC ({} {})", local.format("%a %H:%M"), local.format("%Z"))
    }
}

/// Reads `16:00` or `16:00:30`.
///
/// # Errors
/// A sentence that says what a time looks like.
pub fn parse_time(text: &str) -> Result<NaiveTime, String> {
    NaiveTime::parse_from_str(text, "%H:%M")
        .or_else(|_| NaiveTime::parse_from_str(text, "%H:%M:%S"))
        .map_err(|_| format!("`{text}` is no time of day; write hours and minutes, like `16:00`"))
}

/// Reads a zone by its IANA name.
///
/// # Errors
/// A sentence that says what a zone looks like.
pub fn parse_zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is no time zone; write a name like `UTC` or `Europe/Berlin`")
    })
}

/// Reads the moment behind `/disclose`: a date, a date and time, with or without a zone, or a
/// time from now.
///
/// # Errors
/// A sentence with what can be written.
pub fn parse_moment(
    text: &str,
    now: Moment,
    at: Option<NaiveTime>,
    calendar: &Calendar,
) -> Result<Moment, String> {
    let text = text.trim();
    if text.starts_with('+') {
        return Offset::parse(text).map(|offset| offset.from(now, calendar));
    }
    if let Ok(moment) = text.parse::<chrono::DateTime<chrono::FixedOffset>>() {
        return Ok(moment.to_utc());
    }
    // `2026-12-16T16:00Z` is what machines write without the seconds.
    let spaced = match (text.split_once('T'), text.strip_suffix('Z')) {
        (Some((date, time)), Some(_)) if date.len() == 10 => {
            format!("{date} {} UTC", time.trim_end_matches('Z'))
        }
        _ => text.to_owned(),
    };
    let mut words = spaced.split_whitespace();
    let wrong =
        || format!("`{text}` is no moment; write `2026-12-16`, `2026-12-16 16:00 UTC` or `+7d`");
    let date = words.next().and_then(|word| word.parse::<NaiveDate>().ok()).ok_or_else(wrong)?;
    if !(2000..2200).contains(&Datelike::year(&date)) {
        return Err(wrong());
    }
    let time = match (words.next(), at) {
        (Some(word), _) => parse_time(word)?,
        (None, Some(at)) => at,
        (None, None) => {
            return Err(format!("say the time of day as well, like `{date} 16:00 UTC`"));
        }
    };
    let calendar = match words.next() {
        Some(zone) => Calendar::plain(parse_zone(zone)?),
        None => calendar.clone(),
    };
    if words.next().is_some() {
        return Err(wrong());
    }
    calendar.moment(date.and_time(time)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        text.parse().unwrap()
    }
    fn off(text: &str) -> Offset {
        Offset::parse(text).unwrap()
    }

    #[test]
    fn isc_dates_count_working_days_around_christmas() {
        let mut calendar = Calendar::plain(Tz::UTC);
        calendar.holidays.insert(NaiveDate::from_ymd_opt(2026, 12, 25).unwrap());
        let t = at("2026-12-28T15:00:00Z");
        for (offset, day) in [("-1bd", 24), ("-4bd", 21), ("-5bd", 18)] {
            assert_eq!(
                off(offset).from(t, &calendar),
                at(&format!("2026-12-{day}T15:00:00Z")),
                "{offset}"
            );
        }
        assert_eq!(off("-5d").from(t, &calendar), at("2026-12-23T15:00:00Z"));
        let plain = Calendar::plain(Tz::UTC);
        assert_eq!(
            off("15bd").from(at("2026-11-30T09:00:00Z"), &plain),
            at("2026-12-21T09:00:00Z")
        );
        assert_eq!(
            off("-5bd").from(at("2026-12-16T15:00:00Z"), &plain),
            at("2026-12-09T15:00:00Z")
        );
    }

    #[test]
    fn a_t_on_a_day_off_counts_from_the_next_working_morning() {
        let calendar = Calendar::plain(Tz::UTC);
        for (t, notice) in [
            ("2026-12-18T23:00:00Z", "2026-12-17T23:00:00Z"),
            ("2026-12-19T00:00:00Z", "2026-12-18T00:00:00Z"),
            ("2026-12-20T23:59:59Z", "2026-12-18T00:00:00Z"),
            ("2026-12-21T00:00:00Z", "2026-12-18T00:00:00Z"),
        ] {
            assert_eq!(off("-1bd").from(at(t), &calendar), at(notice), "{t}");
        }
    }

    #[test]
    fn hours_elapse_and_days_keep_the_wall_time_when_clocks_change() {
        let berlin = Calendar::plain(chrono_tz::Europe::Berlin);
        // Clocks go ahead on 2026-03-29 and back on 2026-10-25.
        let before = at("2026-03-28T15:00:00Z");
        assert_eq!(off("24h").from(before, &berlin), at("2026-03-29T15:00:00Z"));
        assert_eq!(off("1d").from(before, &berlin), at("2026-03-29T14:00:00Z"));
        let before = at("2026-10-24T14:00:00Z");
        assert_eq!(off("1d").from(before, &berlin), at("2026-10-25T15:00:00Z"));
        // 02:30 does not exist on the day they go ahead; the first instant after the gap does.
        let night = at("2026-03-28T01:30:00Z");
        assert_eq!(off("1d").from(night, &berlin), at("2026-03-29T01:00:00Z"));
    }

    #[test]
    fn windows_and_days_refuse_nonsense_with_a_sentence() {
        assert_eq!(Window::parse("+1d..+7d").unwrap().to_string(), "+1d..+7d");
        for (text, shown) in [("..-5bd", "..-5bd"), ("0..", "0.."), ("asap", "asap"), ("0", "0")] {
            assert_eq!(Window::parse(text).unwrap().to_string(), shown);
        }
        for bad in ["7", "x", "+7d..+1d", "1y", "99999d", "", "..", "soon..", "--1d"] {
            assert!(Window::parse(bad).is_err(), "{bad}");
        }
        assert!(WeekDays::parse("thu-mon").is_err());
        let days = WeekDays::parse("mon-thu").unwrap();
        let friday = at("2026-12-18T16:00:00Z");
        assert_eq!(
            Calendar::plain(Tz::UTC).snap(friday, days, Snap::Next),
            at("2026-12-21T16:00:00Z")
        );
    }

    #[test]
    fn moments_are_said_with_date_hour_and_zone() {
        let berlin = Calendar::plain(chrono_tz::Europe::Berlin);
        assert_eq!(
            berlin.say(at("2026-12-16T16:00:00Z")),
            "Wed 2026-12-16 16:00 UTC (Wed 17:00 CET)"
        );
        assert_eq!(
            Calendar::plain(Tz::UTC).say(at("2026-12-16T16:00:05Z")),
            "Wed 2026-12-16 16:00:05 UTC"
        );
    }
}

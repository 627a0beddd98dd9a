//! `embargod rehearse`: the desk's own process, played through before anybody relies on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::config::{Finding, rehearsal};
use crate::domain::facts::names::{Address, Moment, Span, TaskId, later};
use crate::domain::model::incident::{Incident, Notice};
use crate::domain::model::roster::{OPERATOR, Person};
use crate::domain::model::schedule;
use crate::domain::outgoing::texts::{clean, clean_line};
use crate::domain::process::offset::{Calendar, parse_moment};
use crate::domain::process::playbook::{Audience, Playbook, load};
use crate::domain::views::plan;
use crate::edge::files;
use crate::edge::pgp::Certificate;
use crate::edge::write_private;
use crate::engine::{Sources, replay};
use crate::error::{Fault, Place};
use crate::rehearsal::play::{Play, Scene, Sent};
use crate::rehearsal::team::Team;

use super::{Done, json, say};

/// So long after T it is played on: what is not done by then, nobody does.
const HORIZON: Span = Span::days(150);

/// So many lines of a kind are shown to people; JSON has all.
const SHOWN_MAX: usize = 20;

/// Arguments of `rehearse`.
#[derive(Debug, Args)]
#[command(
    after_help = "Plays a report from its first mail to its end, with the people, keys (the public ones), texts and \
calendars of your config, each person doing their part as soon as the process lets them. Nothing is sealed, stored or \
sent.\n\nExample:\n  embargod rehearse minder --received \"2026-12-01 09:00 UTC\" --t \"2026-12-16 16:00 UTC\" --folder dry-run"
)]
pub(super) struct Rehearse {
    /// The playbook, or the path of its file; that of the config if left out.
    playbook: Option<String>,
    /// When the report comes in: `2026-12-01 09:00 UTC`; now if left out.
    #[arg(long, value_name = "WHEN")]
    received: Option<String>,
    /// The planned moment of public disclosure; one that the process allows if left out.
    #[arg(long, value_name = "WHEN")]
    t: Option<String>,
    /// A value for the record in place of the sample: `affected=2.0 to 3.1`; nothing behind the `=` leaves the
    /// field out. Can be given more than once.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// The language that the reporter asks to be answered in, of those of the config: `de`.
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// Write every mail in its final words into this new folder, one file each, and the time line.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Print one JSON object: the time line with every mail, and what was found.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    playbook: String,
    version: i64,
    received: Moment,
    t: Option<Moment>,
    public: Option<Moment>,
    /// Where the members come from.
    members: String,
    scenes: Vec<Scene>,
    /// What is wrong with the config, as `check` says it.
    config: Vec<String>,
    /// What the process would ask about T.
    of_t: Vec<String>,
    /// What could not be done: the row, and why.
    blocked: BTreeMap<String, String>,
    /// Notices to people outside the team that never left.
    not_left: Vec<String>,
    /// What is doubtful about the texts, as whoever approves them is told.
    doubts: Vec<String>,
    /// Rows that nobody came to.
    open: Vec<String>,
    /// Who has no key that can be used, from when on.
    keys: Vec<String>,
    /// What goes to people outside the team on a day off.
    days_off: Vec<String>,
}

impl Rehearse {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let mut rehearsed = rehearsal::read(path, now).map_err(|findings| {
            let first =
                findings.iter().find(|finding| finding.is_wrong()).or_else(|| findings.first());
            let what = first.map_or_else(String::new, ToString::to_string);
            Fault::new(format!("the config cannot be used: {what}"), "run `embargod check`")
        })?;
        let of_config = rehearsed.sources.settings.playbook.clone();
        let name = self.playbook_of(&mut rehearsed.sources)?.unwrap_or_else(|| of_config.clone());
        if rehearsed.refused.contains(&name) {
            let of_it = |finding: &&Finding| finding.place.contains(&format!("/{name}.toml:"));
            let lines: Vec<String> =
                rehearsed.findings.iter().filter(of_it).map(ToString::to_string).collect();
            let what = format!("your playbook `{name}` cannot be used:\n{}", lines.join("\n"));
            return Err(Fault::new(what, "mend it and run `embargod check --offline`"));
        }
        rehearsed.sources.settings.playbook.clone_from(&name);
        let mut wrong: Vec<String> = rehearsed.findings.iter().map(ToString::to_string).collect();
        let (members, mut from) = match rehearsed.open_store() {
            Ok(Some(store)) => {
                let (desk, _) = replay(&store, rehearsed.sources.settings.clone())?;
                let own = &rehearsed.sources.roster.people;
                let of_store = desk.roster.people.values().filter(|p| !own.contains_key(&p.id));
                let members = of_store.cloned().collect();
                (members, "those of the config and of the desk's journal".to_owned())
            }
            Ok(None) => (Vec::new(), "those of the config; the desk has no journal yet".to_owned()),
            Err(why) => {
                wrong.push(format!("wrong the journal: {}\n      next: {}", why.what, why.next));
                (Vec::new(), "those of the config alone".to_owned())
            }
        };
        if name == of_config {
            wrong.extend(rehearsed.fits.iter().map(ToString::to_string));
        } else {
            cast(&mut rehearsed.sources)?;
            from.push_str(
                "; the config is for another playbook, so roles and groups are dealt out in turn",
            );
        }
        let found = self.play(&rehearsed.sources, &members, (&from, wrong), now)?;
        if let Some(folder) = &self.folder {
            write(folder, &found)?;
        }
        if self.json {
            say(&json(&found)?);
        } else {
            say(clean(&table(&found)).trim_end());
            if let Some(folder) = &self.folder {
                say(&format!("\nEvery mail is in {}.", folder.display()));
            }
        }
        Ok(if found.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The name of the playbook that is asked for; a file is taken in under its own.
    fn playbook_of(&self, sources: &mut Sources) -> Result<Option<String>, Fault> {
        let Some(asked) = &self.playbook else { return Ok(None) };
        let file = Path::new(asked);
        let stem = file.file_stem().and_then(|stem| stem.to_str());
        if let (Some(stem), true) = (stem, file.extension().is_some_and(|ending| ending == "toml"))
        {
            let text = files::text(file)?;
            sources.playbooks.insert(stem.to_owned(), text);
            return Ok(Some(stem.to_owned()));
        }
        if sources.playbooks.contains_key(asked) {
            return Ok(Some(asked.clone()));
        }
        let known: Vec<&str> = sources.playbooks.keys().map(String::as_str).collect();
        let next = format!("write one of {}, or the path of a file", known.join(", "));
        Err(Fault::new(format!("there is no playbook `{asked}`"), next))
    }

    /// What is given for the record, one line each.
    fn record(&self, known: &BTreeSet<String>) -> Result<BTreeMap<String, String>, Fault> {
        let mut record = BTreeMap::new();
        for pair in &self.set {
            let shown = clean_line(pair, 60);
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                let next = "write it like `affected=2.0 to 3.1`";
                Fault::new(format!("`{shown}` is no FIELD=VALUE"), next)
            })?;
            let (name, value) = (name.trim(), value.trim());
            if !known.contains(name) {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let what = format!("the record has no field `{}`", clean_line(name, 60));
                return Err(Fault::new(what, format!("write one of {}", known.join(", "))));
            }
            if clean(value) != value || value.contains('\n') {
                let what = format!("the value of `{name}` is not one line of plain text");
                return Err(Fault::new(what, "write it without line ends and control characters"));
            }
            record.insert(name.to_owned(), value.to_owned());
        }
        Ok(record)
    }

    fn play(
        &self,
        sources: &Sources,
        members: &[Person],
        (from, wrong): (&str, Vec<String>),
        now: Moment,
    ) -> Result<Found, Fault> {
        let utc = Calendar::plain(chrono_tz::Tz::UTC);
        let moment = |name: &str, text: &str, from: Moment| {
            parse_moment(text, from, None, &utc).map_err(|why| {
                let next =
                    "write day, hour and zone, from 2000 to 2199, like `2026-12-16 16:00 UTC`";
                Fault::new(format!("{name}: {}", clean(&why)), next)
            })
        };
        let received =
            self.received.as_deref().map_or(Ok(now), |text| moment("--received", text, now))?;
        let received = chrono::SubsecRound::trunc_subsecs(received, 0);
        let t = self.t.as_deref().map(|text| moment("--t", text, received)).transpose()?;
        if t.is_some_and(|t| t <= received) {
            let next = "name a later one";
            return Err(Fault::new("T is not after the moment of the report", next));
        }
        let playbook = playbook(sources)?;
        let words = ["title", "cvss", "cve", "ghsa"].map(str::to_owned);
        let known = playbook.fields.keys().cloned().chain(words).collect();
        let record = self.record(&known)?;
        let people = sources.roster.people.values().chain(members);
        let mut keys = BTreeMap::new();
        for person in people {
            for (fingerprint, text) in std::iter::once((&person.fingerprint, &person.certificate))
                .chain(person.further.iter().map(|key| (&key.fingerprint, &key.certificate)))
            {
                if let Ok(certificate) = Certificate::read(text.as_bytes()) {
                    keys.insert(fingerprint.clone(), certificate.facts(received));
                }
            }
        }
        let mut play = Play::of(sources, members, &keys, received)?;
        play.reporter_reads.extend(self.language.clone());
        let reporter = Address::parse("reporter@example.org")
            .ok_or_else(|| Fault::new("no address for the reporter", ""))?;
        play.report(
            &reporter,
            "This stands for a report. The rehearsal has no other words for it.",
        )?;
        let mut team = Team::new(t, record);
        team.plays(&mut play, later(t.unwrap_or(received).max(received), HORIZON))?;
        Ok(Found::of(play, team, from, wrong, received))
    }
}

/// The playbook that is played.
fn playbook(sources: &Sources) -> Result<Playbook, Fault> {
    let name = &sources.settings.playbook;
    let text = sources.playbooks.get(name).map_or("", String::as_str);
    load(text, &sources.calendars).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let next = "run `embargod playbook check` on it";
        Fault::new(format!("playbook `{name}`: {}", lines.join("; ")), next)
    })
}

/// Deals the roles and groups of a playbook out to the people of a config that is for another: each role
/// to two of the team, each group to everybody outside it.
fn cast(sources: &mut Sources) -> Result<(), Fault> {
    let playbook = playbook(sources)?;
    let roles: Vec<&String> = playbook
        .roles
        .iter()
        .filter(|(_, role)| role.held_by.is_none())
        .map(|(id, _)| id)
        .collect();
    let (team, others): (Vec<&mut Person>, Vec<&mut Person>) =
        sources.roster.people.values_mut().partition(|person| person.is_maintainer());
    let each = team.len();
    for (n, person) in team.into_iter().enumerate() {
        person.roles.retain(|role| role == OPERATOR);
        person.groups.clear();
        // The first two take every role that is left over, so that nothing waits for a second person.
        let deals = |k: usize| n < 2 || k.checked_rem(each.max(1)) == Some(n);
        person.roles.extend(
            roles.iter().enumerate().filter(|(k, _)| deals(*k)).map(|(_, role)| (*role).clone()),
        );
    }
    let groups: Vec<String> = playbook
        .groups
        .iter()
        .filter(|(_, group)| group.public.is_empty())
        .map(|(id, _)| id.clone())
        .collect();
    for person in others {
        person.groups = groups.iter().cloned().collect();
    }
    Ok(())
}

impl Found {
    fn of(play: Play, team: Team, from: &str, wrong: Vec<String>, received: Moment) -> Self {
        let incident = play.incident();
        let say = |at: Moment| {
            incident.map_or_else(|| at.to_string(), |incident| incident.playbook.calendar.say(at))
        };
        let (open, not_left) = incident.map_or_else(Default::default, |i| left_over(i, play.now));
        let doubts = incident.map_or_else(Vec::new, doubts);
        let mails = || {
            play.scenes.iter().filter_map(|scene| match scene {
                Scene::Sent(sent) => Some(sent),
                Scene::Said(_) => None,
            })
        };
        let line = |sent: &Sent| format!("{}  {}  {}", say(sent.at), sent.to, sent.subject);
        let mut keys: BTreeMap<&str, &Sent> = BTreeMap::new();
        for sent in mails().filter(|sent| sent.withheld.is_some()) {
            keys.entry(&sent.to).or_insert(sent);
        }
        let mut keys: Vec<&Sent> = keys.into_values().collect();
        keys.sort_by_key(|sent| sent.at);
        let keys = keys.into_iter().map(|sent| {
            format!("{}: none from {} on, for `{}`", sent.to, say(sent.at), sent.subject)
        });
        let keys = keys.collect();
        let days_off = mails().filter(|sent| sent.on_a_day_off).map(line).collect();
        let t = incident.and_then(Incident::t).or(team.t);
        let mut of_t = incident.map_or_else(Vec::new, |i| plan::doubts(&i.playbook, received, t));
        let calendar = incident.map(|incident| &incident.playbook.calendar);
        if let (Some(calendar), Some(t)) = (calendar, t)
            && !calendar.is_work_day(t.with_timezone(&calendar.zone).date_naive())
        {
            of_t.push(format!("{} is a day off", say(t)));
        }
        let mut found = Self {
            playbook: incident.map_or_else(String::new, |incident| incident.playbook.id.clone()),
            version: incident.map_or(0, |incident| i64::from(incident.playbook.version)),
            received,
            t,
            public: incident.and_then(Incident::published),
            members: from.to_owned(),
            config: wrong,
            of_t,
            blocked: team.blocked,
            not_left,
            doubts,
            open,
            keys,
            days_off,
            scenes: play.scenes,
        };
        if found.public.is_none() {
            let why = "it was never said to be public".to_owned();
            found.blocked.entry("published".to_owned()).or_insert(why);
        }
        found.scenes.sort_by_key(Scene::at);
        found
    }

    /// Whether everything came to its end, for everybody.
    fn is_well(&self) -> bool {
        self.config.is_empty()
            && self.blocked.is_empty()
            && self.not_left.is_empty()
            && self.keys.is_empty()
            && self.of_t.is_empty()
    }
}

/// The rows that nobody came to, and the notices to people outside the team that never left.
fn left_over(incident: &Incident, now: Moment) -> (Vec<String>, Vec<String>) {
    use schedule::State::{BlockedBy, Due, Late, Moot, Open, Upcoming, WaitingFor};
    let (mut open, mut not_left) = (Vec::new(), Vec::new());
    for item in schedule::agenda(incident, now) {
        let waits =
            matches!(item.state, Due | Late | Open | Upcoming | WaitingFor(_) | BlockedBy(_));
        let (word, title) = (item.word(), &item.task.title);
        let outside = item.task.audience.as_ref().is_some_and(Audience::is_outside);
        let notice = item.task.is_notice() && outside && !item.task.optional;
        if notice && (waits || item.state == Moot) {
            let why = if waits { item.state.word() } else { "all was public before" };
            not_left.push(format!("{word} ({why}): {title}"));
        } else if waits {
            let optional = if item.task.optional { ", optional" } else { "" };
            open.push(format!("{word} ({}{optional}): {title}", item.state.word()));
        }
    }
    (open, not_left)
}

/// What is doubtful about the newest draft of each notice.
fn doubts(incident: &Incident) -> Vec<String> {
    let of = |(id, notice): (&TaskId, &Notice)| {
        let word = incident.task(id).map_or_else(|| id.to_string(), |t| t.word().to_string());
        let newest = notice.draft().into_iter().flat_map(|draft| &draft.doubts);
        newest.map(|doubt| format!("{word}: {doubt}")).collect::<Vec<_>>()
    };
    incident.notices.iter().flat_map(of).collect()
}

/// A line of the time line: what one person writes, or a mail to one or to several.
struct Line {
    at: Moment,
    who: String,
    what: String,
    count: usize,
}

fn lines(scenes: &[Scene]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for scene in scenes {
        let (at, who, what) = match scene {
            Scene::Said(said) => {
                (said.at, said.by.clone(), format!("writes {}", said.lines.join("; ")))
            }
            Scene::Sent(sent) => {
                let how = if sent.sealed { "" } else { " (in clear)" };
                let off = if sent.on_a_day_off { " DAY OFF" } else { "" };
                let not = if sent.withheld.is_some() { " WITHHELD" } else { "" };
                (sent.at, format!("-> {}", sent.to), format!("{}{how}{off}{not}", sent.subject))
            }
        };
        let same = lines.last_mut().filter(|last| {
            last.at == at
                && last.what == what
                && last.who.starts_with("->")
                && who.starts_with("->")
        });
        match same {
            Some(last) => {
                last.count = last.count.saturating_add(1);
                last.who = format!("-> {} people", last.count);
            }
            None => lines.push(Line { at, who, what, count: 1 }),
        }
    }
    lines
}

fn table(found: &Found) -> String {
    let moment = |at: Option<Moment>| {
        at.map_or_else(
            || "not reached".to_owned(),
            |at| at.format("%a %Y-%m-%d %H:%M UTC").to_string(),
        )
    };
    let mut out = String::new();
    let _ = writeln!(
        out,
        "Rehearsal of `{}`, version {}. Nothing was sent.",
        found.playbook, found.version
    );
    let _ = writeln!(out, "  report  {}", moment(Some(found.received)));
    let _ = writeln!(out, "  T       {}", moment(found.t));
    let _ = writeln!(out, "  public  {}", moment(found.public));
    let _ = writeln!(out, "  people  {}\n", found.members);
    let mut day = String::new();
    for line in lines(&found.scenes) {
        let today = line.at.format("%a %Y-%m-%d").to_string();
        if today != day {
            let _ = writeln!(out, "{today}");
            day = today;
        }
        let _ = writeln!(out, "  {}  {:<32}  {}", line.at.format("%H:%M"), line.who, line.what);
    }
    let mut list = |what: &str, next: &str, lines: &[String]| {
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(out, "\n{what}");
        for line in lines.iter().take(SHOWN_MAX) {
            let _ = writeln!(out, "  {}", line.replace('\n', "\n  "));
        }
        if let Some(more) = lines.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            let _ = writeln!(out, "  and {more} more");
        }
        if !next.is_empty() {
            let _ = writeln!(out, "  Next: {next}");
        }
    };
    let blocked: Vec<String> =
        found.blocked.iter().map(|(row, why)| format!("{row}: {}", clean_line(why, 400))).collect();
    list("The config is not in order:", "embargod check --offline", &found.config);
    list("T:", "name another with --t, or change [t] of the playbook", &found.of_t);
    let next = "give the role or group to somebody, or change the row in the playbook";
    list("Blocked:", next, &blocked);
    let next = "set T later, or change when these rows are due";
    list("Never left, to people outside the team:", next, &found.not_left);
    list("Doubtful in the texts:", "read them with --folder", &found.doubts);
    list("Nobody came to these:", "", &found.open);
    let next = "ask them for a key that is valid for longer";
    list("No key that can be used by then:", next, &found.keys);
    let next = "set another T, or change the calendar of the playbook";
    list("On a day off, to people outside the team:", next, &found.days_off);
    out
}

/// Writes every mail into a file of its own, and the time line.
fn write(folder: &Path, found: &Found) -> Result<(), Fault> {
    let place = || folder.display().to_string();
    let is_empty = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    if !is_empty {
        if folder.symlink_metadata().is_ok() {
            let what = format!("{} is there already, and is no empty folder", folder.display());
            return Err(Fault::new(what, "name a new folder with --folder"));
        }
        std::fs::DirBuilder::new().mode(0o700).create(folder).at(place)?;
    }
    let mut number = 0_u32;
    for scene in &found.scenes {
        let Scene::Sent(sent) = scene else { continue };
        number = number.saturating_add(1);
        let who: String = sent
            .to
            .split('<')
            .next()
            .unwrap_or("")
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let name = format!(
            "{number:04}-{}-to-{}.txt",
            sent.at.format("%Y%m%dT%H%M"),
            who.trim_matches('-')
        );
        let text = format!(
            "At: {}\nTo: {}\nProtected: {}\nAttached: {}\nSubject: {}\n\n{}",
            sent.at.format("%a %Y-%m-%d %H:%M:%S UTC"),
            sent.to,
            if sent.sealed { "sealed and signed" } else { "signed, in clear" },
            if sent.attached.is_empty() { "-".to_owned() } else { sent.attached.join(", ") },
            sent.subject,
            sent.body
        );
        write_private(&folder.join(name), text.as_bytes())?;
    }
    write_private(&folder.join("timeline.txt"), clean(&table(found)).as_bytes())
}

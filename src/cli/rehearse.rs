//! `embargod rehearse`: the desk's own process, played through before anybody relies on it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::config;
use crate::domain::facts::names::{Address, Moment, Span, later};
use crate::domain::model::roster::{OPERATOR, Person};
use crate::domain::model::schedule;
use crate::domain::process::offset::{Calendar, parse_moment};
use crate::domain::process::playbook::load;
use crate::edge::pgp::Certificate;
use crate::engine::{Sources, replay};
use crate::error::{Fault, Place};
use crate::rehearsal::play::{Play, Scene, Sent};
use crate::rehearsal::team::Team;

use super::{Done, json, say};

/// Arguments of `rehearse`.
#[derive(Debug, Args)]
#[command(
    after_help = "Plays a report from its first mail to its end, with the people, keys (the public ones), texts and \
calendars of your config, each person doing their part as soon as the process lets them. Nothing is sealed, stored or \
sent.\n\nExample:\n  embargod rehearse minder --received \"2026-12-01 09:00 UTC\" --t \"2026-12-16 16:00 UTC\" --folder dry-run"
)]
pub(super) struct Rehearse {
    /// The playbook; that of the config if left out.
    playbook: Option<String>,
    /// When the report comes in: `2026-12-01 09:00 UTC`; now if left out.
    #[arg(long, value_name = "WHEN")]
    received: Option<String>,
    /// The planned moment of public disclosure; one that the process allows if left out.
    #[arg(long, value_name = "WHEN")]
    t: Option<String>,
    /// A value for the record in place of the sample: `affected=2.0 to 3.1`. Can be given more than once.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
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
    /// What could not be done: the row, and why.
    blocked: BTreeMap<String, String>,
    /// Rows that nobody came to.
    open: Vec<String>,
    /// Whose key has ended by then.
    keys: Vec<String>,
    /// What goes to people outside the team on a day off.
    days_off: Vec<String>,
}

impl Rehearse {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let (mut sources, config) = config::for_rehearsal(path, now).map_err(|findings| {
            let first = findings.iter().find(|finding| finding.fatal).or_else(|| findings.first());
            let what = first.map_or_else(String::new, ToString::to_string);
            Fault::new(format!("the config cannot be used: {what}"), "run `embargod check`")
        })?;
        let of_config = sources.settings.playbook.clone();
        if let Some(name) = &self.playbook {
            if !sources.playbooks.contains_key(name) {
                let known: Vec<&str> = sources.playbooks.keys().map(String::as_str).collect();
                let next = format!("write one of {}", known.join(", "));
                return Err(Fault::new(format!("there is no playbook `{name}`"), next));
            }
            sources.settings.playbook.clone_from(name);
        }
        let store = config.as_ref().and_then(|config| config.open_store().ok());
        let (members, mut from) = match store {
            Some(store) => {
                let (desk, _) = replay(&store, sources.settings.clone())?;
                let own = &sources.roster.people;
                let of_store = desk.roster.people.values().filter(|p| !own.contains_key(&p.id));
                (
                    of_store.cloned().collect(),
                    "those of the config and of the desk's journal".to_owned(),
                )
            }
            None => (Vec::new(), "those of the config; the journal could not be opened".to_owned()),
        };
        if sources.settings.playbook != of_config {
            cast(&mut sources)?;
            from.push_str(
                "; the config is for another playbook, so roles and groups are dealt out in turn",
            );
        }
        let found = self.play(&sources, &members, &from, now)?;
        if let Some(folder) = &self.folder {
            write(folder, &found)?;
        }
        if self.json {
            say(&json(&found)?);
        } else {
            say(table(&found).trim_end());
            if let Some(folder) = &self.folder {
                say(&format!("\nEvery mail is in {}.", folder.display()));
            }
        }
        let well = found.blocked.is_empty() && found.keys.is_empty();
        Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn play(
        &self,
        sources: &Sources,
        members: &[Person],
        from: &str,
        now: Moment,
    ) -> Result<Found, Fault> {
        let utc = Calendar::plain(chrono_tz::Tz::UTC);
        let moment = |text: &str| {
            parse_moment(text, now, None, &utc)
                .map_err(|why| Fault::new(why, "write it like `2026-12-16 16:00 UTC`"))
        };
        let received = self.received.as_deref().map_or(Ok(now), moment)?;
        let received = chrono::SubsecRound::trunc_subsecs(received, 0);
        let t = self.t.as_deref().map(moment).transpose()?;
        let mut record = BTreeMap::new();
        for pair in &self.set {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                Fault::new(
                    format!("`{pair}` is no FIELD=VALUE"),
                    "write it like `affected=2.0 to 3.1`",
                )
            })?;
            record.insert(name.trim().to_owned(), value.trim().to_owned());
        }
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
        let reporter = Address::parse("reporter@example.org")
            .ok_or_else(|| Fault::new("no address for the reporter", ""))?;
        play.report(
            &reporter,
            "This stands for a report. The rehearsal has no other words for it.",
        )?;
        let mut team = Team::new(t, record);
        team.plays(&mut play, later(received, Span::days(400)))?;
        Ok(found(play, team, from, received))
    }
}

/// Deals the roles and groups of a playbook out to the people of a config that is for another: each role
/// to two of the team, each group to everybody outside it.
fn cast(sources: &mut Sources) -> Result<(), Fault> {
    let name = &sources.settings.playbook;
    let text = sources.playbooks.get(name).map_or("", String::as_str);
    let playbook = load(text, &sources.calendars).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Fault::new(
            format!("playbook `{name}`: {}", lines.join("; ")),
            "run `embargod playbook check`",
        )
    })?;
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

fn found(play: Play, team: Team, from: &str, received: Moment) -> Found {
    let incident = play.incident();
    let open = incident.into_iter().flat_map(|incident| {
        let items = schedule::agenda(incident, play.now);
        let left = items.into_iter().filter(|item| {
            use schedule::State::{BlockedBy, Due, Late, Open, Upcoming, WaitingFor};
            matches!(item.state, Due | Late | Open | Upcoming | WaitingFor(_) | BlockedBy(_))
        });
        left.map(|item| format!("{} ({}): {}", item.word(), item.state.word(), item.task.title))
            .collect::<Vec<_>>()
    });
    let open = open.collect();
    let say = |at: Moment| {
        incident.map_or_else(|| at.to_string(), |incident| incident.playbook.calendar.say(at))
    };
    let mails = || {
        play.scenes.iter().filter_map(|scene| match scene {
            Scene::Sent(sent) => Some(sent),
            Scene::Said(_) => None,
        })
    };
    let line = |sent: &Sent| format!("{}  {}  {}", say(sent.at), sent.to, sent.subject);
    let mut keys: Vec<String> = mails()
        .filter_map(|sent| Some(format!("{}: {}", say(sent.at), sent.withheld.as_ref()?)))
        .collect();
    keys.dedup();
    let days_off = mails().filter(|sent| sent.on_a_day_off).map(line).collect();
    Found {
        playbook: incident.map_or_else(String::new, |incident| incident.playbook.id.clone()),
        version: incident.map_or(0, |incident| i64::from(incident.playbook.version)),
        received,
        t: incident.and_then(crate::domain::model::incident::Incident::t).or(team.t),
        public: incident.and_then(crate::domain::model::incident::Incident::published),
        members: from.to_owned(),
        blocked: team.blocked,
        open,
        keys,
        days_off,
        scenes: play.scenes,
    }
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
    let mut list = |what: &str, lines: &[String]| {
        if !lines.is_empty() {
            let _ = writeln!(out, "\n{what}");
            for line in lines {
                let _ = writeln!(out, "  {line}");
            }
        }
    };
    let blocked: Vec<String> =
        found.blocked.iter().map(|(row, why)| format!("{row}: {why}")).collect();
    list("Blocked:", &blocked);
    list("Nobody came to these:", &found.open);
    list("Keys that have ended by then:", &found.keys);
    list("On a day off, to people outside the team:", &found.days_off);
    out
}

/// Writes every mail into a file of its own, and the time line.
fn write(folder: &Path, found: &Found) -> Result<(), Fault> {
    let place = || folder.display().to_string();
    std::fs::create_dir(folder).at(place)?;
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
        std::fs::write(folder.join(name), text).at(place)?;
    }
    std::fs::write(folder.join("timeline.txt"), table(found)).at(place)
}

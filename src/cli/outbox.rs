//! `embargod outbox`: the mails that wait or will not leave, and what can be done about them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::look::open;
use crate::domain::decide::relay;
use crate::domain::facts::names::Moment;
use crate::domain::model::desk::Desk;
use crate::edge::sqlite::Sqlite;
use crate::error::Fault;
use crate::ports::store::{Listed, Outbox as _};

use super::{Done, say};

/// Arguments of `outbox`.
#[derive(Debug, Args)]
pub(super) struct Outbox {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the mails that wait, or that were given up.
    List {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Show one mail: for whom, why it waits, what the server said.
    Show {
        /// Its number, from the list.
        id: i64,
    },
    /// Try mails again: those that wait at once, those that were given up as well.
    Retry(Which),
    /// Do not send mails that wait.
    Withdraw(Which),
}

/// Which mails are meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Their numbers, from the list.
    id: Vec<i64>,
    /// All for this address.
    #[arg(long, value_name = "ADDRESS")]
    person: Option<String>,
    /// All that were given up.
    #[arg(long)]
    all_dead: bool,
}

/// So many are listed.
const LISTED_MAX: u32 = 10_000;

impl Outbox {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let (mut store, desk) = open(path, now)?;
        match &self.what {
            What::List { json } => list(&store, &desk, *json)?,
            What::Show { id } => say(&shown(&desk, &one(&store, *id)?)),
            What::Retry(which) => {
                let mut done = 0_u32;
                for listed in meant(&store, which)? {
                    done = done.saturating_add(u32::from(store.retry(listed.row.id, now)?));
                }
                say(&format!(
                    "{done} mails are tried again, within half a minute where the desk runs. What was given up goes with its Message-ID; what may have left already goes once more and then no more."
                ));
            }
            What::Withdraw(which) => {
                let mut done = 0_u32;
                for listed in meant(&store, which)? {
                    done = done.saturating_add(u32::from(store.withdraw(listed.row.id, now)?));
                }
                say(&format!("{done} mails are withdrawn, as soon as the desk looks at them."));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn one(store: &Sqlite, id: i64) -> Result<Listed, Fault> {
    let missing = || {
        let next = "see `embargod outbox list` for the numbers";
        Fault::new(format!("there is no mail {id} in the outbox"), next)
    };
    store.listed(Some(id), 1)?.pop().ok_or_else(missing)
}

fn meant(store: &Sqlite, which: &Which) -> Result<Vec<Listed>, Fault> {
    if !which.id.is_empty() {
        return which.id.iter().map(|id| one(store, *id)).collect();
    }
    let all = store.listed(None, LISTED_MAX)?;
    Ok(all
        .into_iter()
        .filter(|listed| match &which.person {
            Some(person) => listed.row.recipient.eq_ignore_ascii_case(person),
            None => which.all_dead && listed.state != "waiting",
        })
        .collect())
}

fn list(store: &Sqlite, desk: &Desk, as_json: bool) -> Result<(), Fault> {
    let all = store.listed(None, LISTED_MAX)?;
    if as_json {
        let rows: Vec<_> = all
            .iter()
            .map(|listed| {
                let row = &listed.row;
                json!({
                    "id": row.id,
                    "state": listed.state,
                    "incident": row.label.about,
                    "to": row.recipient,
                    "purpose": row.label.purpose,
                    "attempts": row.attempts,
                    "at": listed.at,
                    "reply": listed.reply,
                    "bytes": row.size,
                    "retried": listed.retried,
                })
            })
            .collect();
        say(&super::json(&rows)?);
        return Ok(());
    }
    if all.is_empty() {
        say("Nothing waits, and nothing was given up.");
        return Ok(());
    }
    let mut out =
        format!("{:>7}  {:<9} {:>5}  {:<22} {}\n", "number", "state", "tries", "when", "for");
    for listed in all.iter().rev() {
        let row = &listed.row;
        let about = row.label.about.as_ref().map_or("", |handle| handle.as_str());
        let _ = writeln!(
            out,
            "{:>7}  {:<9} {:>5}  {:<22} {} {about}",
            row.id,
            listed.state,
            row.attempts,
            listed.at.format("%Y-%m-%d %H:%M UTC"),
            relay::who(desk, &row.label.to),
        );
        if !listed.reply.is_empty() {
            let _ = writeln!(out, "{:>9}{}", "", listed.reply);
        }
    }
    say(&out);
    Ok(())
}

fn shown(desk: &Desk, listed: &Listed) -> String {
    let row = &listed.row;
    let when = if listed.state == "waiting" { "tried next" } else { "settled" };
    let mut out = format!("mail        {}\n", row.id);
    let mut add = |name: &str, value: &str| {
        let _ = writeln!(out, "{name:<12}{value}");
    };
    add("state", &listed.state);
    add("for", &format!("{} <{}>", relay::who(desk, &row.label.to), row.recipient));
    if let Some(handle) = &row.label.about {
        add("incident", handle.as_str());
    }
    add("Message-ID", &row.message_id);
    add("bytes", &row.size.to_string());
    add("written for", &row.written.format("%Y-%m-%d %H:%M:%S UTC").to_string());
    add(when, &listed.at.format("%Y-%m-%d %H:%M:%S UTC").to_string());
    let tries = format!(
        "{} attempts: put off {}, refused {}, of unknown end {}; tried again by the operator {}",
        row.attempts, row.tries.deferrals, row.tries.refusals, row.tries.unknowns, listed.retried
    );
    add("tries", &tries);
    if !listed.reply.is_empty() {
        add("last answer", &listed.reply);
    }
    if row.unwanted {
        add("withdrawn", "yes, as soon as the desk looks at it");
    }
    out
}

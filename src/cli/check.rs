//! `embargod check`: everything that can be known before it matters.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use clap::Args;

use crate::config;
use crate::config::{Config, Finding};
use crate::domain::facts::names::{Moment, Span, later};
use crate::domain::model::desk::Desk;
use crate::edge::pgp::Certificate;
use crate::edge::smtp::Courier;
use crate::edge::{imap, server};
use crate::engine::replay;
use crate::error::{Fault, Place};

use super::login::InStore;
use super::{Done, json, say};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
    /// Do not log in to the servers.
    #[arg(long)]
    offline: bool,
}

impl Check {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let (mut findings, warnings) = match config::read(path, now) {
            Ok(config) => (self.look(path, &config, now)?, config.warnings.len()),
            Err(findings) => (findings, 0),
        };
        findings.sort_by_key(|finding| (!finding.fatal, finding.next.is_empty()));
        let fatal = findings.iter().filter(|finding| finding.fatal).count();
        let fatal = fatal.saturating_add(warnings);
        if self.json {
            say(&json(&findings)?);
        } else {
            for finding in &findings {
                say(&finding.to_string());
            }
            say(&match fatal {
                0 if findings.iter().any(|finding| !finding.next.is_empty()) => {
                    "It can run; see the warnings above. Next: embargod run".to_owned()
                }
                0 => "All is in order. Next: embargod run".to_owned(),
                1 => "1 thing is wrong.".to_owned(),
                n => format!("{n} things are wrong."),
            });
        }
        Ok(if fatal == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn look(&self, path: &Path, config: &Config, now: Moment) -> Result<Vec<Finding>, Fault> {
        let settings = &config.sources.settings;
        let people = config.sources.roster.people.len();
        let mut findings = vec![
            ok(
                path.display().to_string(),
                format!("read; {people} people; playbook `{}`", settings.playbook),
            ),
            ok("the desk's key".to_owned(), settings.fingerprint.spaced()),
        ];
        findings.extend(config.warnings.iter().cloned());
        findings.extend(config.notes.iter().cloned());
        findings.extend(expiries(config, now));
        findings.extend(watchers(config));
        let place = config.store.display().to_string();
        match config.open_store().and_then(|store| replay(&store, settings.clone())) {
            Ok((desk, _)) => {
                let what = format!("opens; journal of {} records", desk.head.number);
                findings.push(ok(place, what));
                findings.push(forms(config, &desk));
            }
            Err(Fault { what, next }) => {
                findings.push(Finding { place, what, next, fatal: true });
            }
        }
        if !self.offline {
            if let (Some(giver), Ok(store)) = (&config.oauth, config.open_store()) {
                giver.keep_in(Arc::new(InStore(Mutex::new(store))));
            }
            findings.extend(servers(config)?);
        }
        Ok(findings)
    }
}

fn ok(place: String, what: String) -> Finding {
    Finding { place, what, next: String::new(), fatal: false }
}

/// Who is told how the desk is. Nobody is called: that would say that a desk runs.
fn watchers(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(file) = &config.metrics {
        let place = format!("[metrics] {}", file.display());
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        findings.push(match folder.filter(|folder| !folder.is_dir()) {
            None => ok(place, "figures are written there once a minute".to_owned()),
            Some(folder) => Finding {
                place,
                what: format!("there is no folder {}", folder.display()),
                next: "make it, or name another file".to_owned(),
                fatal: true,
            },
        });
    }
    if let Some(beat) = &config.heartbeat {
        let every = beat.every.as_secs();
        let what =
            format!("called every {every} s while a desk runs and is well; not called by `check`");
        findings.push(ok("[heartbeat]".to_owned(), what));
    }
    findings
}

/// In which form mails to whom are sealed.
fn forms(config: &Config, desk: &Desk) -> Finding {
    let people = config.sources.roster.people.values();
    let newer = people.filter(|person| {
        let said = desk.limits.reads_newer(&person.fingerprint).unwrap_or(person.seal_newer);
        // A key of version 6, whose fingerprint has 32 bytes, knows no other form (RFC 9580, 5.13.2).
        said || person.fingerprint.as_str().len() == 64
    });
    let newer: Vec<&str> = newer.map(|person| person.id.as_str()).collect();
    let what = match newer.as_slice() {
        [] => "in v1 (SEIPDv1), which every program reads".to_owned(),
        some => {
            format!("in v1 (SEIPDv1), but for {} in v2, where the key says so", some.join(", "))
        }
    };
    ok("mails are sealed".to_owned(), what)
}

/// Keys that expire within ninety days.
fn expiries(config: &Config, now: Moment) -> Vec<Finding> {
    let soon = later(now, Span::days(90));
    let own = (config.sources.settings.name.clone(), config.sources.settings.certificate.clone());
    let people =
        config.sources.roster.people.values().map(|p| (p.id.to_string(), p.certificate.clone()));
    std::iter::once(own)
        .chain(people)
        .filter_map(|(who, text)| {
            let expires = Certificate::read(text.as_bytes()).ok()?.expires(now)?;
            (expires < soon).then(|| Finding {
                place: format!("the key of {who}"),
                what: format!("expires on {}", expires.format("%Y-%m-%d")),
                next: "see to a new one in time".to_owned(),
                fatal: false,
            })
        })
        .collect()
}

fn servers(config: &Config) -> Result<Vec<Finding>, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .at(|| "runtime".to_owned())?;
    let mut findings = Vec::new();
    let mut add = |what: &str, server: &server::Server, result: Result<(), Fault>| {
        let place = format!("[{what}] {}:{}", server.host, server.port);
        findings.push(match result {
            Ok(()) => ok(place, "logged in over TLS".to_owned()),
            Err(fault) if !fault.next.is_empty() => {
                Finding { place, what: fault.what, next: fault.next, fatal: true }
            }
            Err(fault) => {
                let next = format!("look at [{what}]: host, port, tls, ca_file");
                Finding { place, what: fault.what, next, fatal: true }
            }
        });
    };
    let result = runtime.block_on(imap::connect(&config.mailbox.server));
    add("imap", &config.mailbox.server, result.map(drop));
    let mut courier =
        Courier::new(config.smtp.server.clone(), config.sources.settings.address.clone());
    let result = runtime.block_on(async {
        let result = courier.connect().await;
        courier.close().await;
        result
    });
    add("smtp", &config.smtp.server, result);
    Ok(findings)
}

//! `embargod statistics`: how long things took.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::domain::facts::names::Moment;
use crate::domain::views::statistics::{Figures, Share, Spans, statistics};

use super::{Done, json, look, say};

/// Arguments of `statistics`.
#[derive(Debug, Args)]
pub(super) struct Statistics {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    /// Incidents that are open and not public: not counted.
    left_out: usize,
    figures: Vec<Figures>,
}

impl Statistics {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        let (_, desk) = look::open(path, now)?;
        let (figures, left_out) = statistics(desk.all(), now);
        let report = Report { left_out, figures };
        say(&if self.json { json(&report)? } else { text(&report) });
        Ok(ExitCode::SUCCESS)
    }
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    for figures in &report.figures {
        let name = figures.playbook.as_deref().unwrap_or("all playbooks");
        let _ = writeln!(
            out,
            "{name}: {} incidents, {} vulnerabilities",
            figures.incidents, figures.vulnerabilities
        );
        let rows = [
            ("acknowledged by the desk", &figures.acknowledged),
            ("answered by a person", &figures.answered),
            ("from report to public", &figures.embargo),
            ("from first notice to public", &figures.list_embargo),
        ];
        for (what, spans) in rows {
            let _ = writeln!(out, "  {what:<29}{}", spans_in_words(spans));
        }
        let rows = [
            ("answers on time", figures.answers),
            ("notices on time", figures.notices),
            ("tasks on time", figures.tasks),
        ];
        for (what, share) in rows {
            let _ = writeln!(out, "  {what:<29}{}", share_in_words(share));
        }
    }
    let _ =
        writeln!(out, "{} open incidents are not counted: they are still secret.", report.left_out);
    out
}

fn spans_in_words(spans: &Spans) -> String {
    match (spans.median_s, spans.mean_s, spans.longest_s) {
        (Some(median), Some(mean), Some(longest)) => format!(
            "median {}, mean {}, longest {} ({})",
            span(median),
            span(mean),
            span(longest),
            spans.count
        ),
        _ => "-".to_owned(),
    }
}

fn span(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn share_in_words(share: Share) -> String {
    share.percent().map_or_else(
        || "-".to_owned(),
        |percent| format!("{percent} % ({} of {})", share.on_time, share.all),
    )
}

//! The shape of a playbook's file. Unknown keys are refused everywhere; what is only for readers
//! is read and left alone.

use serde::Deserialize;
use toml::Spanned;

use crate::domain::process::offset::Snap;
use crate::domain::process::playbook::rules::HeldBy;
use crate::domain::process::playbook::task::{Action, FanOut, Kind, Origin};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) playbook: Spanned<Head>,
    #[serde(default)]
    pub(crate) t: Option<Spanned<T>>,
    #[serde(default)]
    pub(crate) human_answer: Option<Spanned<Human>>,
    #[serde(default)]
    pub(crate) assign: Option<Spanned<Assign>>,
    #[serde(default)]
    pub(crate) reporter_update: Option<Spanned<Every>>,
    #[serde(default)]
    pub(crate) silence: Option<Spanned<Silence>>,
    #[serde(default)]
    pub(crate) reporter_joins: Option<Spanned<ReporterJoins>>,
    #[serde(default)]
    pub(crate) checklist: Option<Spanned<Checklist>>,
    #[serde(default, rename = "branch")]
    pub(crate) branches: Vec<Spanned<Branch>>,
    #[serde(default, rename = "right")]
    pub(crate) rights: Vec<Spanned<Right>>,
    #[serde(default, rename = "role")]
    pub(crate) roles: Vec<Spanned<Role>>,
    #[serde(default, rename = "group")]
    pub(crate) groups: Vec<Spanned<Group>>,
    #[serde(default, rename = "field")]
    pub(crate) fields: Vec<Spanned<Field>>,
    #[serde(default, rename = "task")]
    pub(crate) tasks: Vec<Spanned<Task>>,
}
/// Whether people may answer a reporter in clear.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClearAnswers {
    Never,
    Ask,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) id: String,
    pub(crate) version: u32,
    pub(crate) title: String,
    pub(crate) zone: Option<String>,
    #[serde(default)]
    pub(crate) holidays: Vec<String>,
    pub(crate) intake: String,
    pub(crate) ask: Option<String>,
    #[serde(default)]
    pub(crate) clear_answers: Option<ClearAnswers>,
    pub(crate) document: Option<String>,
    pub(crate) calendar: Option<String>,
    #[serde(default)]
    pub(crate) triaged: Vec<String>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct T {
    pub(crate) at: Option<String>,
    pub(crate) days: Option<String>,
    pub(crate) min_lead: Option<String>,
    pub(crate) stale: Option<String>,
    pub(crate) slip: Option<String>,
    #[serde(default)]
    pub(crate) snap: Snap,
    #[serde(default)]
    pub(crate) max_span: Vec<Cap>,
    #[serde(default)]
    pub(crate) min_span: Vec<Cap>,
    pub(crate) grace: Option<String>,
    #[expect(dead_code, reason = "for readers; version 1 of a shipped file has it")]
    pub(crate) src: Option<String>,
    pub(crate) row: Option<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) origin: Option<Origin>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cap {
    pub(crate) from: String,
    pub(crate) span: String,
    pub(crate) line: Option<String>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReporterJoins {
    pub(crate) r#if: String,
    pub(crate) row: String,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checklist {
    pub(crate) text: String,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Branch {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) r#if: String,
    #[serde(default)]
    pub(crate) unless_known: bool,
    pub(crate) r#do: String,
    pub(crate) by: Option<String>,
    #[serde(default)]
    pub(crate) rows: Vec<String>,
    #[serde(default)]
    pub(crate) phases: Vec<String>,
    pub(crate) row: Option<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) origin: Option<Origin>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Human {
    pub(crate) due: String,
    #[serde(default)]
    pub(crate) remind: Vec<u32>,
    #[serde(default)]
    pub(crate) escalate: Vec<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) origin: Option<Origin>,
    #[expect(dead_code, reason = "for readers; version 1 of a shipped file has it")]
    pub(crate) src: Option<String>,
    pub(crate) row: Option<String>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assign {
    pub(crate) role: String,
    pub(crate) order: String,
    pub(crate) within: String,
    #[expect(dead_code, reason = "for readers; version 1 of a shipped file has it")]
    pub(crate) src: Option<String>,
    pub(crate) row: Option<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) origin: Option<Origin>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Every {
    pub(crate) every: String,
    #[expect(dead_code, reason = "for readers; version 1 of a shipped file has it")]
    pub(crate) src: Option<String>,
    pub(crate) row: Option<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) origin: Option<Origin>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Silence {
    pub(crate) after: String,
    #[expect(dead_code, reason = "for readers; version 1 of a shipped file has it")]
    pub(crate) src: Option<String>,
    pub(crate) row: Option<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) origin: Option<Origin>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Right {
    pub(crate) word: String,
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    #[serde(default)]
    pub(crate) second: bool,
    #[expect(dead_code, reason = "for readers; version 1 of a shipped file has it")]
    pub(crate) src: Option<String>,
    pub(crate) row: Option<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) origin: Option<Origin>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) held_by: Option<HeldBy>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) tlp: String,
    #[serde(default)]
    pub(crate) public: Vec<String>,
    #[expect(dead_code, reason = "for readers; version 1 of a shipped file has it")]
    pub(crate) src: Option<String>,
    pub(crate) row: Option<String>,
    #[serde(default)]
    pub(crate) vouch: usize,
    pub(crate) review: Option<String>,
    pub(crate) cap: Option<usize>,
    #[serde(default)]
    pub(crate) criteria: Vec<Criterion>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Criterion {
    pub(crate) id: String,
    pub(crate) text: String,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Field {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) r#type: Option<String>,
    #[serde(default)]
    pub(crate) values: Vec<String>,
    pub(crate) anchor: Option<String>,
    pub(crate) default: Option<String>,
    pub(crate) same_as: Option<String>,
    pub(crate) row: Option<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) origin: Option<Origin>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    pub(crate) anchor: String,
    pub(crate) offset: Option<String>,
    pub(crate) at: Option<String>,
    pub(crate) days: Option<String>,
    #[serde(default)]
    pub(crate) snap: Snap,
    pub(crate) roll: Option<String>,
    pub(crate) repeat: Option<String>,
    pub(crate) until: Option<String>,
    pub(crate) origin: Option<Origin>,
}
/// Evidence of some kind: `true`, or the type of a field.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Evidence {
    Any(bool),
    Of(String),
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) alias: Option<String>,
    pub(crate) phase: String,
    pub(crate) section: Option<String>,
    pub(crate) title: String,
    pub(crate) role: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) when: Option<When>,
    #[serde(default)]
    pub(crate) with: Vec<String>,
    #[serde(default)]
    pub(crate) standing: bool,
    #[serde(default)]
    pub(crate) after: Vec<String>,
    pub(crate) action: Option<Action>,
    pub(crate) sets: Option<String>,
    #[serde(default)]
    pub(crate) agree: Vec<String>,
    pub(crate) evidence: Option<Evidence>,
    #[serde(default)]
    pub(crate) needs: Vec<String>,
    pub(crate) template: Option<String>,
    pub(crate) audience: Option<String>,
    pub(crate) approvals: Option<usize>,
    #[serde(default)]
    pub(crate) four_eyes: bool,
    pub(crate) src: Option<String>,
    pub(crate) origin: Option<Origin>,
    pub(crate) r#if: Option<String>,
    pub(crate) fan_out: Option<FanOut>,
    pub(crate) people: Option<usize>,
    #[serde(default)]
    pub(crate) once: bool,
    #[serde(default)]
    pub(crate) optional: bool,
    #[serde(default)]
    pub(crate) must: bool,
    #[serde(default)]
    pub(crate) escalate: Vec<String>,
    pub(crate) fact: Option<String>,
    pub(crate) follows: Option<String>,
    pub(crate) answer: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) of: Option<String>,
    pub(crate) same_as: Option<String>,
    #[serde(default)]
    pub(crate) close: bool,
}

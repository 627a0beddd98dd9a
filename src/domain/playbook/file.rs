//! The shape of a playbook's file. Unknown keys are refused everywhere; what is only for readers
//! is read and left alone.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::{Action, Kind};

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
    #[expect(dead_code, reason = "says which document the line numbers are of; for readers")]
    pub(crate) document: Option<String>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct T {
    pub(crate) at: Option<String>,
    pub(crate) days: Option<String>,
    pub(crate) min_lead: Option<String>,
    pub(crate) stale: Option<String>,
    pub(crate) slip: Option<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) src: Option<String>,
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
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) src: Option<String>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assign {
    pub(crate) role: String,
    pub(crate) order: String,
    pub(crate) within: String,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) src: Option<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) origin: Option<Origin>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Every {
    pub(crate) every: String,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) src: Option<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) origin: Option<Origin>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Silence {
    pub(crate) after: String,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) src: Option<String>,
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
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) src: Option<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) origin: Option<Origin>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    pub(crate) id: String,
    pub(crate) label: String,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) tlp: String,
    #[serde(default)]
    pub(crate) public: Vec<String>,
    #[expect(dead_code, reason = "for readers of the file")]
    pub(crate) src: Option<String>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Field {
    pub(crate) id: String,
    pub(crate) label: String,
}
/// Where a row comes from when no line of the document says it.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    Upstream,
    Local,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) alias: Option<String>,
    pub(crate) phase: String,
    pub(crate) title: String,
    pub(crate) role: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) when: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(crate) standing: bool,
    #[serde(default)]
    pub(crate) after: Vec<String>,
    pub(crate) action: Option<Action>,
    pub(crate) sets: Option<String>,
    #[serde(default)]
    pub(crate) agree: Vec<String>,
    #[serde(default)]
    pub(crate) evidence: bool,
    #[serde(default)]
    pub(crate) needs: Vec<String>,
    pub(crate) template: Option<String>,
    pub(crate) audience: Option<String>,
    pub(crate) approvals: Option<usize>,
    #[serde(default)]
    pub(crate) four_eyes: bool,
    pub(crate) src: Option<String>,
    pub(crate) origin: Option<Origin>,
    // Known to the format and not executed by this version: refused with a reason, so that
    // nobody relies on them.
    pub(crate) r#if: Option<toml::Value>,
    pub(crate) fan_out: Option<toml::Value>,
    pub(crate) repeat: Option<toml::Value>,
    pub(crate) skip: Option<toml::Value>,
    pub(crate) escalate: Option<toml::Value>,
    pub(crate) optional: Option<toml::Value>,
}

//! The templates of a playbook: tried when it is loaded, filled in when something is written.

use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Value, json};

use crate::domain::outgoing::texts::{STEPS_MAX, makes_much};
use crate::domain::process::playbook::rules::{OWN_WORDS, Playbook};

pub(crate) fn render(text: &str, facts: &Value) -> Result<String, (usize, String)> {
    // Nothing but what a form needs: no filter or function that makes much out of little.
    let mut env = Environment::empty();
    env.add_test("startingwith", |text: &str, start: &str| text.starts_with(start));
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    // A template must not keep the desk busy: so many steps, and no more.
    env.set_fuel(Some(STEPS_MAX));
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    env.render_str(text, facts).map_err(|error| {
        let why = if error.kind() == minijinja::ErrorKind::UndefinedError {
            "names something that a checklist does not have".to_owned()
        } else {
            error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
        };
        (error.line().unwrap_or(1), why)
    })
}

/// Tries a template with an empty record.
///
/// # Errors
/// The line in it, from 1, and what is wrong.
pub(crate) fn try_template(text: &str, playbook: &Playbook) -> Result<(), (usize, String)> {
    // What makes much out of little is no part of a form, and could fill the memory.
    for word in ["~", "{% set", "{%- set", "{% macro", "{%- macro", "loop("] {
        if text.contains(word) {
            return Err((1, format!("`{word}` is not for a checklist")));
        }
    }
    if let Some(word) = makes_much(text) {
        return Err((1, format!("`{word}` is not for a checklist")));
    }
    // With an empty record and with a full one: what stands behind a condition is tried as well.
    for value in ["", "x"] {
        try_with(text, playbook, value)?;
    }
    Ok(())
}

pub(crate) fn try_with(
    text: &str,
    playbook: &Playbook,
    value: &str,
) -> Result<(), (usize, String)> {
    let fields: serde_json::Map<String, Value> =
        playbook.fields.keys().map(|id| (id.clone(), value.into())).collect();
    const WORDS: &str = "handle process title state lead deputy batch cvss score band vector t t_day \
        received published";
    let mut all = serde_json::Map::new();
    all.extend(WORDS.split_whitespace().map(|word| (word.to_owned(), value.into())));
    all.extend(OWN_WORDS.iter().map(|word| ((*word).to_owned(), value.into())));
    let row = json!({ "id": "x", "title": "x", "role": "x", "tick": " ", "state": "due",
        "kind": "human", "section": value, "opens": value.is_empty(), "elsewhere": value, "ours": value, "standing": value.is_empty(),
        "when": value, "by": value, "src": "1" });
    all.insert("version".to_owned(), 1.into());
    all.insert("f".to_owned(), fields.into());
    all.insert("phases".to_owned(), json!([{ "name": "x", "rows": [row] }]));
    render(text, &all.into()).map(drop)
}

//! Every mail's wording: the templates, and the only ways in which one becomes a text.
//!
//! What may leave in clear is a type of its own. [`ClearText`] is made from [`ClearFacts`] and
//! from nothing else, so no edit of a template can name more than a handle, our key and when we
//! answer; [`PublicFacts`] exist only once the gates before a public notice are open. A template
//! that names a field which its context does not have is refused at start.

mod bounds;
mod facts;
mod layout;
mod must;
mod places;
mod table;

pub use crate::domain::facts::foreign::{clean, clean_line, holds_reference, without_references};
pub use crate::domain::outgoing::texts::bounds::{STEPS_MAX, makes_much};
pub use crate::domain::outgoing::texts::facts::{
    ClearFacts, FileLine, ForecastFacts, ForthcomingFacts, NewsFacts, NoticeFacts, PublicFacts,
    SealedFacts, Vulnerability,
};
pub use crate::domain::outgoing::texts::layout::columns;
pub use crate::domain::outgoing::texts::must::omissions;
pub use crate::domain::outgoing::texts::places::{
    blob_place, fill_blobs, fill_history, history_place, indented, quote, wrapped,
};
pub use crate::domain::outgoing::texts::table::{
    Class, OWN_ANSWER, PREPARED, TEMPLATES, TRANSLATED, WITH_LISTS,
};

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;
use serde_json::json;

use crate::domain::facts::language;
use crate::domain::facts::names::Digest;
use crate::domain::outgoing::texts::bounds::Bounded;
use crate::domain::outgoing::texts::places::{LATE, RECIPIENT, REFERENCE, VALUE};

/// A subject and a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Written {
    /// The subject, one line.
    pub subject: String,
    /// The body.
    pub body: String,
}

impl Written {
    /// Makes one person's copy of a frozen text. Only the name, their reference and the line that
    /// says "late" are filled in; everything else is what was approved.
    #[must_use]
    pub fn for_recipient(&self, name: &str, reference: &str, late: Option<&str>) -> Self {
        let fill = |text: &str| {
            text.replace(RECIPIENT, &clean_line(name, 80))
                .replace(REFERENCE, reference)
                .replace(LATE, late.unwrap_or(""))
        };
        let body = fill(&self.body).trim_start_matches('\n').to_owned();
        Self { subject: fill(&self.subject), body }
    }
}

/// A text that may leave in clear. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearText(Written);

impl ClearText {
    /// Subject and body.
    #[must_use]
    pub fn written(&self) -> &Written {
        &self.0
    }
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which one.
    pub template: String,
    /// Where, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "template `{}`, line {}: {}", self.template, self.line, self.message)
    }
}

/// The templates, compiled and tried.
#[derive(Debug, Clone)]
pub struct Texts {
    env: Environment<'static>,
    digests: BTreeMap<String, Digest>,
}

impl Texts {
    /// Compiles the program's templates, with `own` in place of those that it names, and renders
    /// each with sample facts.
    ///
    /// # Errors
    /// Every template that does not compile, names an unknown field, or is unknown itself.
    pub fn load(
        own: &BTreeMap<String, String>,
        fields: &BTreeSet<String>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_keep_trailing_newline(true);
        env.add_function("row", |label: &str, value: &str| layout::row(label, value));
        env.add_function("entry", |text: &str| layout::entry(text));
        // A text must keep neither the desk busy nor its memory full: so many steps, and nothing that
        // makes much out of little.
        env.set_fuel(Some(STEPS_MAX));
        env.remove_global("range");
        for filter in ["replace", "indent", "batch", "slice"] {
            env.remove_filter(filter);
        }
        env.set_formatter(|out, state, value| {
            out.write_str(&VALUE.to_string())?;
            minijinja::escape_formatter(out, state, value)?;
            out.write_str(&VALUE.to_string()).map_err(Into::into)
        });
        let mut digests = BTreeMap::new();
        let program = TEMPLATES.iter().chain(TRANSLATED);
        let mut all: BTreeMap<&str, (Class, &str)> =
            program.map(|(name, class, text)| (*name, (*class, *text))).collect();
        for (name, text) in own {
            if let Some(word) = makes_much(text) {
                let message = format!("`{word}` is not for a mail");
                problems.push(Problem { template: name.clone(), line: 1, message });
                continue;
            }
            match Self::class(name) {
                Some(class) => {
                    all.insert(name, (class, text));
                }
                None => {
                    let message =
                        "no mail of this name is ever sent; check the spelling".to_owned();
                    problems.push(Problem { template: name.clone(), line: 1, message });
                }
            }
        }
        for (name, (_, text)) in &all {
            digests.insert((*name).to_owned(), Digest::of(text.as_bytes()));
            if let Err(error) = env.add_template_owned((*name).to_owned(), (*text).to_owned()) {
                problems.push(problem(name, &error));
            }
        }
        // Tried once all are there, since some name others.
        let trial = Self { env: env.clone(), digests: BTreeMap::new() };
        let mut samples: BTreeMap<Class, Value> = BTreeMap::new();
        for (name, (class, _)) in &all {
            let facts = samples.entry(*class).or_insert_with(|| sample(*class, fields));
            let tried = if *class == Class::Part {
                trial.part(name, facts)
            } else {
                trial.render(name, facts).map(drop)
            };
            let known = |problem: &Problem| problems.iter().any(|p| p.template == problem.template);
            if let Err(problem) = tried
                && !known(&problem)
            {
                problems.push(problem);
            }
        }
        if problems.is_empty() { Ok(Self { env, digests }) } else { Err(problems) }
    }

    /// What a template of this name may say.
    #[must_use]
    pub fn class(name: &str) -> Option<Class> {
        // In another language it says the same.
        let of_language = name.split_once('/').filter(|(tag, base)| {
            language::is_tag(tag)
                && TRANSLATED.iter().any(|(known, ..)| known.ends_with(&format!("/{base}")))
        });
        let base = of_language.map_or(name, |(_, base)| base);
        TEMPLATES.iter().find(|(known, ..)| *known == base).map(|(_, class, _)| *class)
    }

    /// The hash of a template's text, which a frozen draft remembers.
    #[must_use]
    pub fn digest(&self, name: &str) -> Digest {
        self.digests.get(name).copied().unwrap_or_else(|| Digest::of(b""))
    }

    fn text(&self, name: &str, facts: &Value) -> Result<String, Problem> {
        let mut text = Bounded(Vec::new());
        let template = self.env.get_template(name).map_err(|error| problem(name, &error))?;
        let written = template.render_captured_to(facts, &mut text).map(drop);
        written.map_err(|error| problem(name, &error))?;
        Ok(String::from_utf8_lossy(&text.0).into_owned())
    }

    fn render(&self, name: &str, facts: &Value) -> Result<Written, Problem> {
        let text = self.text(name, facts)?;
        let wrong = |message: &str| Problem {
            template: name.to_owned(),
            line: 1,
            message: message.to_owned(),
        };
        let (head, body) = text.split_once('\n').ok_or_else(|| wrong("has no body"))?;
        let subject = head
            .strip_prefix("Subject:")
            .ok_or_else(|| wrong("must begin with a line `Subject: ...`"))?;
        // An empty mail says nothing and looks like a success.
        if layout::plain(body).trim().is_empty() {
            return Err(wrong("has an empty body"));
        }
        let kept = WITH_LISTS.contains(&name);
        let body = if kept { layout::plain(body) } else { layout::filled(body) };
        Ok(Written { subject: keep_places(&layout::plain(subject)), body: tidy(&body) })
    }

    /// Tries a part of notices, which has neither a subject nor places of its own.
    fn part(&self, name: &str, facts: &Value) -> Result<(), Problem> {
        let text = self.text(name, facts)?;
        if text.starts_with("Subject:") || layout::plain(&text).trim().is_empty() {
            let message = "is a part of notices: a text without a subject".to_owned();
            return Err(Problem { template: name.to_owned(), line: 1, message });
        }
        Ok(())
    }

    /// Renders a text that leaves sealed to one key.
    ///
    /// # Errors
    /// The template's problem, if an operator's text names a field that is not always there.
    pub fn sealed(&self, name: &str, facts: &serde_json::Value) -> Result<Written, Problem> {
        let mut facts = facts.clone();
        if !WITH_LISTS.contains(&name)
            && let Some(text) = facts.get_mut("text")
        {
            // What a person wrote keeps its lines, whichever way it leads here.
            *text = text.as_str().map(places::verbatim).unwrap_or_default().into();
        }
        self.render(name, &Value::from_serialize(facts))
    }

    /// Renders a text that may leave in clear.
    ///
    /// # Errors
    /// As [`Self::sealed`].
    pub fn clear(&self, name: &str, facts: &ClearFacts) -> Result<ClearText, Problem> {
        if Self::class(name) != Some(Class::Clear) {
            let message = "may not leave in clear".to_owned();
            return Err(Problem { template: name.to_owned(), line: 1, message });
        }
        let more = SealedFacts::default();
        self.render(&self.named(name, facts), &with_sealed(&local(facts), &more))
            .map(broken_lines)
            .map(ClearText)
    }

    /// The name of a text in the language that its reader is written to in, where there is one.
    fn named(&self, name: &str, facts: &ClearFacts) -> String {
        let translated = facts.language.as_ref().map(|tag| format!("{tag}/{name}"));
        let known = translated.filter(|name| self.env.get_template(name).is_ok());
        known.unwrap_or_else(|| name.to_owned())
    }

    /// Renders a content-free text with what may be added when it is sealed.
    ///
    /// # Errors
    /// As [`Self::sealed`].
    pub fn clear_but_sealed(
        &self,
        name: &str,
        facts: &ClearFacts,
        more: &SealedFacts,
    ) -> Result<Written, Problem> {
        let more = SealedFacts { news: local_news(facts, &more.news), ..more.clone() };
        self.render(&self.named(name, facts), &with_sealed(&local(facts), &more)).map(broken_lines)
    }

    /// Freezes a notice: everything but the recipient's name, their reference and the word "late".
    ///
    /// # Errors
    /// As [`Self::sealed`].
    pub fn freeze(&self, name: &str, facts: &NoticeFacts) -> Result<Written, Problem> {
        let text = places::verbatim(&facts.text);
        self.render(name, &open_places(&NoticeFacts { text, ..facts.clone() }))
    }

    /// Freezes a public notice. It can name what [`PublicFacts`] have, and nothing else.
    ///
    /// # Errors
    /// As [`Self::sealed`].
    pub fn freeze_public(&self, name: &str, facts: &PublicFacts) -> Result<Written, Problem> {
        self.render(name, &open_places(facts))
    }

    /// Freezes what the public is told before the fix is out; what it can name hangs on its class.
    ///
    /// # Errors
    /// As [`Self::sealed`].
    pub fn freeze_forecast(
        &self,
        name: &str,
        facts: &ForthcomingFacts,
    ) -> Result<Written, Problem> {
        match Self::class(name) {
            Some(Class::Forthcoming) => self.render(name, &open_places(facts)),
            _ => self.render(name, &open_places(&facts.forecast)),
        }
    }
}

/// A moment without the names of weekdays, which are English.
fn without_weekdays(facts: &ClearFacts, said: &str) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    if facts.language.is_none() {
        return said.to_owned();
    }
    DAYS.iter().fold(said.to_owned(), |said, day| said.replace(&format!("{day} "), ""))
}

fn local(facts: &ClearFacts) -> ClearFacts {
    ClearFacts {
        received: without_weekdays(facts, &facts.received),
        answer_by: without_weekdays(facts, &facts.answer_by),
        ..facts.clone()
    }
}

fn local_news(facts: &ClearFacts, news: &NewsFacts) -> NewsFacts {
    let local = |said: &Option<String>| said.as_ref().map(|said| without_weekdays(facts, said));
    NewsFacts { t: local(&news.t), public: local(&news.public), ..news.clone() }
}

fn problem(name: &str, error: &minijinja::Error) -> Problem {
    let line = error.line().unwrap_or(1);
    let message = if error.kind() == minijinja::ErrorKind::UndefinedError {
        "names a field that this mail does not have".to_owned()
    } else {
        error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
    };
    Problem { template: name.to_owned(), line, message }
}

/// A text of the desk's own prose, with long lines broken: what fills its places may be long.
fn broken_lines(written: Written) -> Written {
    Written { body: format!("{}\n", wrapped(&written.body)), ..written }
}

/// One line, with the open places kept.
fn keep_places(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Ends lines without blanks and never leaves more than one empty line.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 0_u8;
    for line in text.trim_matches('\n').lines().map(str::trim_end) {
        // The separator before a signature is "-- " with its blank (RFC 3676, 4.3).
        let line = if line == "--" { "-- " } else { line };
        empty = if line.is_empty() { empty.saturating_add(1) } else { 0 };
        if empty < 2 {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

fn merged(parts: &[serde_json::Value]) -> Value {
    let mut all = serde_json::Map::new();
    for part in parts {
        if let serde_json::Value::Object(map) = part {
            all.extend(map.clone());
        }
    }
    Value::from_serialize(all)
}

fn as_json(facts: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(facts).unwrap_or_default()
}

fn with_sealed(facts: &ClearFacts, more: &SealedFacts) -> Value {
    merged(&[as_json(facts), as_json(more)])
}

fn open_places(facts: &impl Serialize) -> Value {
    let places = json!({
        "recipient": RECIPIENT.to_string(),
        "ref": REFERENCE.to_string(),
        "late": LATE.to_string(),
    });
    merged(&[as_json(facts), places])
}

/// Everything that a sealed text may name, whichever it is.
fn sealed_sample() -> Value {
    const WORDS: &str = "desk address handle subject received from protection signature answer_by \
        ref text summary journal_hash reason why next pinned heading title notice by moment audience \
        body program line what nonce until left_out name member outside opened_with holds became";
    const LISTS: &str = "notes told parts understood lines";
    const NUMBERS: &str = "count journal_number number recipients approvals more late closed days \
        machines_count machines_more";
    let mut all = serde_json::Map::new();
    let mut add = |names: &str, value: serde_json::Value| {
        all.extend(names.split_whitespace().map(|name| (name.to_owned(), value.clone())));
    };
    add(WORDS, json!("x"));
    add(LISTS, json!(["x"]));
    add(NUMBERS, json!(1));
    add("text_kept cut", json!(true));
    add("steps", json!([{ "line": "x", "answer": "x" }]));
    add(
        "rows machines",
        json!([{
            "handle": "x", "received": "x", "from": "x", "how": "x", "ref": "x",
            "line": "x", "what": "x", "nonce": "x", "number": "x", "name": "x", "late": true, "again": true,
        }]),
    );
    add(
        "drafts",
        json!([{
            "by": "x", "notice": "x", "number": 1, "moment": "x", "audience": "x", "recipients": 1,
            "approvals": 1, "subject": "x", "body": "x", "notes": ["x"], "parts": ["x"],
        }]),
    );
    Value::from_serialize(all)
}

fn forecast_sample() -> ForecastFacts {
    ForecastFacts {
        desk: "Desk".into(),
        address: "security@example.org".into(),
        t: "x".into(),
        t_day: "x".into(),
        count: 1,
        severity: "High".into(),
    }
}

/// Facts of the right shape, for trying a template at start.
fn sample(class: Class, fields: &BTreeSet<String>) -> Value {
    let fields: BTreeMap<_, _> =
        fields.iter().map(|field| (field.clone(), "x".to_owned())).collect();
    let public = PublicFacts {
        desk: "Desk".into(),
        address: "security@example.org".into(),
        title: "x".into(),
        cve: "CVE-2026-0001".into(),
        cvss: "7.5 (High)".into(),
        has: fields.clone(),
        fields,
    };
    let vulnerability = Vulnerability { public: public.clone(), vector: "x".into() };
    match class {
        Class::Clear => {
            let facts = ClearFacts {
                desk: "Desk".into(),
                address: "security@example.org".into(),
                fingerprint: "0000".into(),
                handle: "X-2026-00000".into(),
                received: "x".into(),
                answer_by: "x".into(),
                ask: "x".into(),
                reference: "Ref: x".into(),
                openpgp: Some("x".into()),
                hint: Some("Encrypt it to us.".to_owned()),
                unusable_key: Some("it has expired".to_owned()),
                key_known: false,
                key_attached: false,
                is_last: false,
                state: "received".into(),
                language: None,
            };
            with_sealed(&facts, &SealedFacts::default())
        }
        Class::Public => open_places(&public),
        Class::Forthcoming => {
            let forecast = forecast_sample();
            open_places(&ForthcomingFacts { forecast, mitigation: "x".into() })
        }
        Class::Forecast => open_places(&forecast_sample()),
        Class::Notice | Class::Part => open_places(&NoticeFacts {
            public,
            handle: "x".into(),
            tlp: "AMBER".into(),
            t: "x".into(),
            t_day: "x".into(),
            release: "x".into(),
            vector: "x".into(),
            ghsa: "x".into(),
            received: "x".into(),
            answered: "x".into(),
            published: "x".into(),
            known: "x".into(),
            vulnerabilities: vec![vulnerability.clone(), vulnerability],
            files: vec![FileLine { name: "x".into(), sha256: "x".into() }],
            changed: vec!["x".into()],
            changed_since: "x".into(),
            contact: "x".into(),
            people: vec!["x".into()],
            lead: "x".into(),
            timeline: vec!["x".into()],
            text: "x".into(),
        }),
        Class::Sealed => sealed_sample(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> BTreeSet<String> {
        crate::domain::process::playbook::common_fields().into_keys().collect()
    }

    #[test]
    fn the_templates_of_the_program_render() {
        Texts::load(&BTreeMap::new(), &fields()).unwrap();
    }

    #[test]
    fn a_template_can_not_name_what_its_mail_may_not_say() {
        for (name, text) in [
            ("acknowledgement", "Subject: x\n\n{{ title }}\n"),
            ("waiting", "Subject: x\n\n{{ fields.impact }}\n"),
            ("announce", "Subject: x\n\n{{ handle }}\n"),
            ("advance", "Subject: x\n\nline\n{{ fields.secret_sauce }}\n"),
            ("reply", "Subject: x\n\n{{ text\n"),
            ("reply", "no subject\n"),
            ("reply", "Subject: x\n\n\n"),
            ("nonsense", "Subject: x\n\nx\n"),
        ] {
            let own = BTreeMap::from([(name.to_owned(), text.to_owned())]);
            let problems = Texts::load(&own, &fields()).unwrap_err();
            assert_eq!(problems.len(), 1, "{name}: {problems:?}");
            assert_eq!(problems[0].template, name);
        }
    }

    #[test]
    fn a_copy_differs_from_the_draft_in_name_reference_and_late_line_only() {
        let texts = Texts::load(&BTreeMap::new(), &fields()).unwrap();
        let facts = PublicFacts {
            has: BTreeMap::new(),
            desk: "D".into(),
            address: "d@d.test".into(),
            title: "t".into(),
            cve: "c".into(),
            cvss: "s".into(),
            fields: fields().into_iter().map(|f| (f, "v".to_owned())).collect(),
        };
        let facts = NoticeFacts {
            public: facts,
            handle: "H".into(),
            tlp: "RED".into(),
            t: "then".into(),
            t_day: "day".into(),
            release: String::new(),
            vector: String::new(),
            ghsa: String::new(),
            received: String::new(),
            answered: String::new(),
            published: String::new(),
            known: String::new(),
            vulnerabilities: Vec::new(),
            files: Vec::new(),
            changed: Vec::new(),
            changed_since: String::new(),
            contact: "Mia".into(),
            lead: String::new(),
            people: Vec::new(),
            timeline: vec![],
            text: String::new(),
        };
        let frozen = texts.freeze("advance", &facts).unwrap();
        let copy = frozen.for_recipient("Ann", "Ref: H/1", Some("LATE"));
        assert!(
            copy.body.contains("\nTo Ann\n") && copy.body.contains("\nLATE\n"),
            "{}",
            copy.body
        );
        assert!(
            frozen.for_recipient("Ann", "Ref: H/1", None).body.starts_with("TLP:RED\n\nTo Ann")
        );
    }
}

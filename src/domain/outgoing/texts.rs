//! Every mail's wording: the templates, and the only ways in which one becomes a text.
//!
//! What may leave in clear is a type of its own. [`ClearText`] is made from [`ClearFacts`] and
//! from nothing else, so no edit of a template can name more than a handle, our key and when we
//! answer; [`PublicFacts`] exist only once the gates before a public notice are open. A template
//! that names a field which its context does not have is refused at start.

mod places;

pub use crate::domain::facts::foreign::{clean, clean_line, holds_reference, without_references};
pub use crate::domain::outgoing::texts::places::{
    blob_place, fill_blobs, fill_history, history_place, indented, quote, wrapped,
};

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;
use serde_json::json;

use crate::domain::facts::names::Digest;
use crate::domain::outgoing::texts::places::{LATE, RECIPIENT, REFERENCE};

/// What a template may say, and so where its text may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Content-free: may leave in clear.
    Clear,
    /// Leaves sealed to one key.
    Sealed,
    /// Frozen as a numbered draft and approved; each copy leaves sealed.
    Notice,
    /// Frozen and approved likewise; leaves signed and in clear, after the gates before it.
    Public,
    /// The same before there is a fix: that one comes, when, how severe at most, and what to do until
    /// then.
    Forthcoming,
    /// The same without any content: that a fix comes, when, how many, and how severe at most.
    Forecast,
    /// A part of notices, which name it.
    Part,
}

/// The templates: name, class, and the text that comes with the program. An operator's folder may
/// replace the text. Adding a notice is a file, a row here, and a row of a playbook.
pub const TEMPLATES: &[(&str, Class, &str)] = &[
    ("acknowledgement", Class::Clear, include_str!("../../../templates/acknowledgement.txt")),
    ("advance", Class::Notice, include_str!("../../../templates/advance.txt")),
    ("advisory", Class::Notice, include_str!("../../../templates/advisory.txt")),
    ("advisory-publish", Class::Notice, include_str!("../../../templates/advisory-publish.txt")),
    ("alert", Class::Sealed, include_str!("../../../templates/alert.txt")),
    ("announce", Class::Public, include_str!("../../../templates/announce.txt")),
    ("answer", Class::Clear, include_str!("../../../templates/answer.txt")),
    ("answer-waits", Class::Clear, include_str!("../../../templates/answer-waits.txt")),
    ("asn", Class::Notice, include_str!("../../../templates/asn.txt")),
    ("batch", Class::Sealed, include_str!("../../../templates/batch.txt")),
    ("complete", Class::Clear, include_str!("../../../templates/complete.txt")),
    ("confirm", Class::Sealed, include_str!("../../../templates/confirm.txt")),
    ("contribute-back", Class::Part, include_str!("../../../templates/contribute-back.txt")),
    ("cve-publish", Class::Notice, include_str!("../../../templates/cve-publish.txt")),
    ("cve-request", Class::Notice, include_str!("../../../templates/cve-request.txt")),
    ("date-changed", Class::Notice, include_str!("../../../templates/date-changed.txt")),
    ("desk-key", Class::Sealed, include_str!("../../../templates/desk-key.txt")),
    ("digest", Class::Sealed, include_str!("../../../templates/digest.txt")),
    ("duplicate", Class::Clear, include_str!("../../../templates/duplicate.txt")),
    ("earliest", Class::Notice, include_str!("../../../templates/earliest.txt")),
    ("embargo-lifted", Class::Notice, include_str!("../../../templates/embargo-lifted.txt")),
    ("embargo-terms", Class::Part, include_str!("../../../templates/embargo-terms.txt")),
    ("ended", Class::Notice, include_str!("../../../templates/ended.txt")),
    ("ended-short", Class::Notice, include_str!("../../../templates/ended-short.txt")),
    ("final", Class::Notice, include_str!("../../../templates/final.txt")),
    ("fixed-in-the-open", Class::Sealed, include_str!("../../../templates/fixed-in-the-open.txt")),
    ("forthcoming", Class::Forthcoming, include_str!("../../../templates/forthcoming.txt")),
    ("forum-post", Class::Notice, include_str!("../../../templates/forum-post.txt")),
    ("invitation", Class::Sealed, include_str!("../../../templates/invitation.txt")),
    ("key", Class::Clear, include_str!("../../../templates/key.txt")),
    ("key-challenge", Class::Sealed, include_str!("../../../templates/key-challenge.txt")),
    ("key-change-clear", Class::Clear, include_str!("../../../templates/key-change-clear.txt")),
    ("key-ends", Class::Sealed, include_str!("../../../templates/key-ends.txt")),
    ("key-ends-clear", Class::Clear, include_str!("../../../templates/key-ends-clear.txt")),
    ("key-revoked", Class::Clear, include_str!("../../../templates/key-revoked.txt")),
    ("known-public", Class::Notice, include_str!("../../../templates/known-public.txt")),
    ("leak", Class::Notice, include_str!("../../../templates/leak.txt")),
    ("mail", Class::Sealed, include_str!("../../../templates/mail.txt")),
    ("membership-terms", Class::Part, include_str!("../../../templates/membership-terms.txt")),
    (
        "not-a-vulnerability",
        Class::Sealed,
        include_str!("../../../templates/not-a-vulnerability.txt"),
    ),
    ("packagers", Class::Notice, include_str!("../../../templates/packagers.txt")),
    ("pre-announcement", Class::Forecast, include_str!("../../../templates/pre-announcement.txt")),
    ("preview", Class::Sealed, include_str!("../../../templates/preview.txt")),
    ("private-handling", Class::Clear, include_str!("../../../templates/private-handling.txt")),
    ("progress", Class::Clear, include_str!("../../../templates/progress.txt")),
    ("refusal", Class::Sealed, include_str!("../../../templates/refusal.txt")),
    ("reject", Class::Sealed, include_str!("../../../templates/reject.txt")),
    ("release-notes", Class::Notice, include_str!("../../../templates/release-notes.txt")),
    ("reminder", Class::Sealed, include_str!("../../../templates/reminder.txt")),
    ("reply", Class::Sealed, include_str!("../../../templates/reply.txt")),
    ("report", Class::Sealed, include_str!("../../../templates/report.txt")),
    ("reporter-closed", Class::Clear, include_str!("../../../templates/reporter-closed.txt")),
    ("reporter-date", Class::Clear, include_str!("../../../templates/reporter-date.txt")),
    ("reporter-leaked", Class::Clear, include_str!("../../../templates/reporter-leaked.txt")),
    ("reporter-public", Class::Clear, include_str!("../../../templates/reporter-public.txt")),
    ("reporter-soon", Class::Clear, include_str!("../../../templates/reporter-soon.txt")),
    ("retrospective", Class::Notice, include_str!("../../../templates/retrospective.txt")),
    ("review", Class::Notice, include_str!("../../../templates/review.txt")),
    ("safe-installation", Class::Sealed, include_str!("../../../templates/safe-installation.txt")),
    ("second-address", Class::Clear, include_str!("../../../templates/second-address.txt")),
    ("silent", Class::Sealed, include_str!("../../../templates/silent.txt")),
    ("slipped", Class::Notice, include_str!("../../../templates/slipped.txt")),
    ("status", Class::Clear, include_str!("../../../templates/status.txt")),
    ("tell", Class::Notice, include_str!("../../../templates/tell.txt")),
    ("third-parties", Class::Notice, include_str!("../../../templates/third-parties.txt")),
    ("transcript", Class::Sealed, include_str!("../../../templates/transcript.txt")),
    ("unreadable", Class::Clear, include_str!("../../../templates/unreadable.txt")),
    ("waiting", Class::Clear, include_str!("../../../templates/waiting.txt")),
    ("warning", Class::Sealed, include_str!("../../../templates/warning.txt")),
    ("welcome", Class::Sealed, include_str!("../../../templates/welcome.txt")),
    ("witness", Class::Clear, include_str!("../../../templates/witness.txt")),
];

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
        Self { subject: fill(&self.subject), body: fill(&self.body) }
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

/// All that a clear text may say.
#[derive(Debug, Clone, Serialize)]
pub struct ClearFacts {
    /// The desk's name.
    pub desk: String,
    /// The desk's address.
    pub address: String,
    /// Our fingerprint, spaced.
    pub fingerprint: String,
    /// The incident, or nothing.
    pub handle: String,
    /// When the mail was received.
    pub received: String,
    /// By when a person answers.
    pub answer_by: String,
    /// What the process asks a reporter to send.
    pub ask: String,
    /// The line that brings an answer home.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The SHA-256 of the OpenPGP bytes as received.
    pub openpgp: Option<String>,
    /// What the writer can do better, by what anybody can see of their mail.
    pub hint: Option<String>,
    /// Why the key that came along outside cannot be sealed to.
    pub unusable_key: Option<String>,
    /// Whether this copy goes to a key.
    pub key_known: bool,
    /// Whether our key is attached to this copy.
    pub key_attached: bool,
    /// Whether it is the last that goes to this address in a day.
    pub is_last: bool,
    /// Where the report stands: received, being worked on, or closed.
    pub state: String,
}

/// What an acknowledgement may say besides, when it is sealed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SealedFacts {
    /// The key that the report was opened with; only to the key that signed inside.
    pub opened_with: Option<String>,
    /// The token by which a key from outside can be proven.
    pub prove: Option<String>,
    /// What a reporter with a proven key is told besides.
    pub news: NewsFacts,
}

/// What a reporter is told without having asked, when it is sealed to a key that is proven theirs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewsFacts {
    /// The planned moment, and the same for a subject.
    pub t: Option<String>,
    /// See `t`.
    pub t_day: Option<String>,
    /// Whether they were told another one before.
    pub moved: bool,
    /// Since when it is public.
    pub public: Option<String>,
    /// What it is called in public.
    pub title: Option<String>,
    /// Its CVE numbers.
    pub cve: String,
    /// The versions that have the fix.
    pub fixed: String,
    /// Who is thanked.
    pub credit: String,
    /// Whether it got out.
    pub leaked: bool,
}

/// What a public notice may say: the fields that its gate released.
#[derive(Debug, Clone, Serialize)]
pub struct PublicFacts {
    /// The desk's name.
    pub desk: String,
    /// The desk's address.
    pub address: String,
    /// The title.
    pub title: String,
    /// CVE numbers.
    pub cve: String,
    /// The score.
    pub cvss: String,
    /// The record's fields.
    pub fields: BTreeMap<String, String>,
}

/// What may be said in public before the fix is out, without any content.
#[derive(Debug, Clone, Serialize)]
pub struct ForecastFacts {
    /// The desk's name.
    pub desk: String,
    /// The desk's address.
    pub address: String,
    /// The planned moment, with date, hour and zone.
    pub t: String,
    /// The same for a subject.
    pub t_day: String,
    /// How many fixes the release has.
    pub count: usize,
    /// The severity of the worst of them, as a word.
    pub severity: String,
}

/// What may be said in public before the fix is out, once a gate has released it.
#[derive(Debug, Clone, Serialize)]
pub struct ForthcomingFacts {
    /// When, how many, how severe.
    #[serde(flatten)]
    pub forecast: ForecastFacts,
    /// What people can do until then.
    pub mitigation: String,
}

/// What a sealed notice may say.
#[derive(Debug, Clone, Serialize)]
pub struct NoticeFacts {
    /// What the public may know as well.
    #[serde(flatten)]
    pub public: PublicFacts,
    /// The incident.
    pub handle: String,
    /// The label of the audience.
    pub tlp: String,
    /// T, with date, hour and zone.
    pub t: String,
    /// T's day.
    pub t_day: String,
    /// The planned release, where it differs from T by a grace.
    pub release: String,
    /// The CVSS vector.
    pub vector: String,
    /// Numbers of advisories.
    pub ghsa: String,
    /// When the report came.
    pub received: String,
    /// When a person answered.
    pub answered: String,
    /// When it became public.
    pub published: String,
    /// Since when the public knows, with or without us; empty under embargo.
    pub known: String,
    /// Who leads.
    pub lead: String,
    /// What happened when.
    pub timeline: Vec<String>,
    /// The words of the person who wrote it; empty but for a word to a group.
    pub text: String,
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
        let mut digests = BTreeMap::new();
        for name in own.keys() {
            if !TEMPLATES.iter().any(|(known, ..)| known == name) {
                let message = "no mail of this name is ever sent; check the spelling".to_owned();
                problems.push(Problem { template: name.clone(), line: 1, message });
            }
        }
        for (name, _, text) in TEMPLATES {
            let text = own.get(*name).map_or(*text, String::as_str);
            digests.insert((*name).to_owned(), Digest::of(text.as_bytes()));
            if let Err(error) = env.add_template_owned(*name, text.to_owned()) {
                problems.push(problem(name, &error));
                continue;
            }
        }
        // Tried once all are there, since some name others.
        for (name, class, _) in TEMPLATES {
            let trial = Self { env: env.clone(), digests: BTreeMap::new() };
            let facts = sample(*class, fields);
            let tried = if *class == Class::Part {
                trial.part(name, &facts)
            } else {
                trial.render(name, &facts).map(drop)
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
        TEMPLATES.iter().find(|(known, ..)| *known == name).map(|(_, class, _)| *class)
    }

    /// The hash of a template's text, which a frozen draft remembers.
    #[must_use]
    pub fn digest(&self, name: &str) -> Digest {
        self.digests.get(name).copied().unwrap_or_else(|| Digest::of(b""))
    }

    fn render(&self, name: &str, facts: &Value) -> Result<Written, Problem> {
        let text = self
            .env
            .get_template(name)
            .and_then(|template| template.render(facts))
            .map_err(|error| problem(name, &error))?;
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
        if body.trim().is_empty() {
            return Err(wrong("has an empty body"));
        }
        Ok(Written { subject: keep_places(subject), body: tidy(body) })
    }

    /// Tries a part of notices, which has neither a subject nor places of its own.
    fn part(&self, name: &str, facts: &Value) -> Result<(), Problem> {
        let template = self.env.get_template(name);
        let text = template.and_then(|t| t.render(facts)).map_err(|error| problem(name, &error))?;
        if text.starts_with("Subject:") || text.trim().is_empty() {
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
        self.render(name, &with_sealed(facts, &SealedFacts::default()))
            .map(broken_lines)
            .map(ClearText)
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
        self.render(name, &with_sealed(facts, more)).map(broken_lines)
    }

    /// Freezes a notice: everything but the recipient's name, their reference and the word "late".
    ///
    /// # Errors
    /// As [`Self::sealed`].
    pub fn freeze(&self, name: &str, facts: &NoticeFacts) -> Result<Written, Problem> {
        self.render(name, &open_places(facts))
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
        fields,
    };
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
            lead: "x".into(),
            timeline: vec!["x".into()],
            text: "x".into(),
        }),
        Class::Sealed => sealed_sample(),
    }
}

/// In place of a prepared answer: what a person wrote to the reporter in their own words.
pub const OWN_ANSWER: &str = "reply";

/// The answers that are prepared as templates: their names, and when they fit.
pub const PREPARED: &[(&str, &str)] = &[
    ("complete", "says that all is published and the incident is over"),
    ("progress", "says that it is still worked on"),
    ("private-handling", "asks somebody to keep it private until there is a fix"),
    ("not-a-vulnerability", "says that it is not a vulnerability; your text below says why"),
    ("fixed-in-the-open", "says that it is fixed like any other bug; your text below says where"),
    (
        "safe-installation",
        "says that a safe installation depends on where it runs; your text below adds to it",
    ),
];

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
            lead: String::new(),
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

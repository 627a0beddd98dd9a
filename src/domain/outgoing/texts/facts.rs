//! What the texts may name: one type for each class of template.

use std::collections::BTreeMap;

use serde::Serialize;

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
    /// The language that it is written in; none for English.
    #[serde(skip)]
    pub language: Option<String>,
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
    /// The record's fields; of what is not known it says so.
    pub fields: BTreeMap<String, String>,
    /// The same, and nothing for what is not known.
    pub has: BTreeMap<String, String>,
}

/// A vulnerability, for those who may know all that a notice says of it.
#[derive(Debug, Clone, Serialize)]
pub struct Vulnerability {
    /// Title, CVE numbers, score, fields.
    #[serde(flatten)]
    pub public: PublicFacts,
    /// The CVSS vector.
    pub vector: String,
}

/// A file that goes with a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileLine {
    /// Its name.
    pub name: String,
    /// The SHA-256 of its bytes, in hex digits.
    pub sha256: String,
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
    /// All that it is about, in the order of their CVE numbers: one, or those that share a release.
    pub vulnerabilities: Vec<Vulnerability>,
    /// What is attached.
    pub files: Vec<FileLine>,
    /// What is new in the record since the group last heard of it.
    pub changed: Vec<String>,
    /// When that was.
    pub changed_since: String,
    /// Who answers.
    pub contact: String,
    /// Who leads.
    pub lead: String,
    /// Who had to do with it, each with their roles.
    pub people: Vec<String>,
    /// What happened when.
    pub timeline: Vec<String>,
    /// The words of the person who wrote it; empty but for a word to a group.
    pub text: String,
}

//! The moments that rows count from: one closed list, planned ones and facts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An event that tasks count from. The list is closed.
//  Warning: this type is used in stored state. Names may be added, none may change its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Anchor {
    /// The first report reached the mailbox.
    #[serde(rename = "received")]
    Received,
    /// The team was told: the same moment unless somebody sets it, since the report may have come
    /// by another way first.
    #[serde(rename = "disclosed")]
    Disclosed,
    /// The report was accepted as a vulnerability.
    #[serde(rename = "accepted")]
    Accepted,
    /// The score is known, and whatever else the playbook asks for.
    #[serde(rename = "triaged")]
    Triaged,
    /// The fix is ready.
    #[serde(rename = "fix_ready")]
    FixReady,
    /// A mitigation is ready.
    #[serde(rename = "mitigation_ready")]
    MitigationReady,
    /// The planned moment of public disclosure.
    #[serde(rename = "T")]
    T,
    /// The fix was in fact released.
    #[serde(rename = "released")]
    Released,
    /// Somebody else made it known.
    #[serde(rename = "public_known")]
    PublicKnown,
    /// It is exploited.
    #[serde(rename = "exploitation_known")]
    ExploitationKnown,
    /// The incident was opened.
    #[serde(rename = "opened")]
    Opened,
    /// The automatic acknowledgement left.
    #[serde(rename = "acknowledged")]
    Acknowledged,
    /// A person's answer left.
    #[serde(rename = "human_ack")]
    HumanAck,
    /// The report was judged to be no vulnerability.
    #[serde(rename = "invalid")]
    Invalid,
    /// The fix was tested and holds.
    #[serde(rename = "fix_confirmed")]
    FixConfirmed,
    /// Somebody can reproduce it.
    #[serde(rename = "reproducer_ready")]
    ReproducerReady,
    /// The first embargoed notice went to a group.
    #[serde(rename = "list_notified")]
    ListNotified,
    /// The planned release: T, less the grace between release and details where there is one.
    #[serde(rename = "release")]
    Release,
    /// It is public, with its details.
    #[serde(rename = "public")]
    Public,
    /// The reporter said that they will publish.
    #[serde(rename = "intent_to_publish")]
    IntentToPublish,
    /// What ends the exploitation is out.
    #[serde(rename = "corrective_measure")]
    CorrectiveMeasure,
    /// Another project's date.
    #[serde(rename = "upstream")]
    Upstream,
    /// T of the release that several incidents share; T, where an incident stands alone.
    #[serde(rename = "batch")]
    Batch,
    /// It is known which incidents the shared release fixes.
    #[serde(rename = "batch.set_final")]
    BatchFinal,
    /// Somebody applied for the list; of the list, not of an incident.
    #[serde(rename = "application")]
    Application,
    /// The list is looked through; of the list, not of an incident.
    #[serde(rename = "review")]
    Review,
    /// The incident was closed.
    #[serde(rename = "closed")]
    Closed,
}

/// What makes an anchor known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetBy {
    /// The desk, from what happens.
    Desk,
    /// A word of people, and nothing else.
    Word(&'static str),
    /// A row of the playbook that says `sets`.
    Row,
    /// A field of type `moment`.
    Field,
}

/// The closed list: what it is called in files and messages, and what sets it. The first name of
/// each is the one it is shown by.
pub const ANCHORS: &[(&str, Anchor, SetBy)] = &[
    ("received", Anchor::Received, SetBy::Desk),
    ("disclosed", Anchor::Disclosed, SetBy::Field),
    ("opened", Anchor::Opened, SetBy::Desk),
    ("acknowledged", Anchor::Acknowledged, SetBy::Desk),
    ("human_ack", Anchor::HumanAck, SetBy::Word("reply")),
    ("accepted", Anchor::Accepted, SetBy::Word("accept")),
    ("invalid", Anchor::Invalid, SetBy::Word("reject")),
    ("triaged", Anchor::Triaged, SetBy::Desk),
    ("reproducer_ready", Anchor::ReproducerReady, SetBy::Row),
    ("fix_ready", Anchor::FixReady, SetBy::Row),
    ("fix_confirmed", Anchor::FixConfirmed, SetBy::Row),
    ("mitigation_ready", Anchor::MitigationReady, SetBy::Row),
    ("mitigation", Anchor::MitigationReady, SetBy::Row),
    ("list_notified", Anchor::ListNotified, SetBy::Desk),
    ("T", Anchor::T, SetBy::Word("disclose")),
    ("release", Anchor::Release, SetBy::Word("disclose")),
    ("released", Anchor::Released, SetBy::Row),
    ("public", Anchor::Public, SetBy::Word("published")),
    ("details_public", Anchor::Public, SetBy::Word("published")),
    ("public_known", Anchor::PublicKnown, SetBy::Word("known-public")),
    ("intent_to_publish", Anchor::IntentToPublish, SetBy::Field),
    ("exploitation_known", Anchor::ExploitationKnown, SetBy::Word("exploited")),
    ("corrective_measure", Anchor::CorrectiveMeasure, SetBy::Row),
    ("upstream", Anchor::Upstream, SetBy::Field),
    ("batch", Anchor::Batch, SetBy::Word("disclose")),
    ("batch.set_final", Anchor::BatchFinal, SetBy::Word("batch")),
    ("application", Anchor::Application, SetBy::Desk),
    ("review", Anchor::Review, SetBy::Desk),
    ("closed", Anchor::Closed, SetBy::Word("close")),
];

impl Anchor {
    /// Reads a name of the closed list.
    ///
    /// # Errors
    /// A sentence that lists it.
    pub fn parse(name: &str) -> Result<Self, String> {
        let row = ANCHORS.iter().find(|(known, ..)| *known == name);
        row.map(|(_, anchor, _)| *anchor).ok_or_else(|| {
            let known: Vec<_> = ANCHORS.iter().map(|(name, ..)| *name).collect();
            format!("`{name}` is no anchor; write one of {}", known.join(", "))
        })
    }

    /// What makes it known.
    #[must_use]
    pub fn set_by(self) -> SetBy {
        let row = ANCHORS.iter().find(|(_, anchor, _)| *anchor == self);
        row.map_or(SetBy::Desk, |(.., set_by)| *set_by)
    }

    /// Whether it is a plan: it can be moved, and its passing makes nothing so.
    #[must_use]
    pub fn is_planned(self) -> bool {
        matches!(self, Self::T | Self::Release | Self::Batch | Self::Upstream)
    }

    /// Whether it comes only after the release, whatever the public knows before.
    #[must_use]
    pub fn is_after_release(self) -> bool {
        matches!(
            self,
            Self::Released | Self::Public | Self::Closed | Self::Application | Self::Review
        )
    }

    /// Whether it is about a list of members, and about no incident.
    #[must_use]
    pub fn is_of_the_list(self) -> bool {
        matches!(self, Self::Application | Self::Review)
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = ANCHORS.iter().find(|(_, anchor, _)| anchor == self);
        f.write_str(row.map_or("?", |(name, ..)| name))
    }
}

//! The facts that the desk's history is made of.
//!
//! [`Event`] is everything that can happen. Bodies, drafts and letters are named by the salted hash
//! of a sealed blob, never quoted, so that one can be erased without breaking the chain.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::foreign::Foreign;
use crate::domain::facts::letter::{Failure, Fate, Protection};
use crate::domain::facts::mark::Mark;
use crate::domain::facts::member_fact::MemberFact;
use crate::domain::facts::names::{
    Address, Digest, Fingerprint, Handle, MessageId, Moment, PersonId, TaskId,
};
use crate::domain::facts::outer_view::KeyRank;
use crate::domain::facts::refusal::Reason;
use crate::domain::facts::seconded::Seconded;
use crate::domain::facts::source::Source;

/// The name of a sealed blob: a salted hash, so that the journal does not confirm a guess at what
/// an erased body said.
pub type Blob = Digest;

/// A fact. Stored for ever, in the words of the day on which it happened.
//  Warning: this type is used in stored state. Variants and fields may be added with a default;
//  none may be renamed, removed, or given another meaning. tests/journal/frozen.jsonl holds one
//  line of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// What config, roster, templates and playbooks say from here on, by the hash of texts kept
    /// in the store.
    Configured {
        settings: Digest,
        roster: Digest,
        templates: Digest,
        playbooks: BTreeMap<String, Digest>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        calendars: BTreeMap<String, Digest>,
    },
    /// A signature was used up. Nobody can use it again.
    SignatureSpent { fingerprint: Fingerprint, hash: Digest },
    /// Somebody got our key, on request.
    KeySent { to: Address },
    /// Somebody at an address got an answer that no person wrote.
    AutoAnswered {
        /// Who.
        to: Address,
        /// Whether the mailbox's own server vouched for it.
        vouched: bool,
        /// Where the mail came from.
        source: Source,
    },
    /// A pinned person was told that a mail in their name was not obeyed.
    Warned {
        person: PersonId,
        /// Whether they had asked what their mail program did.
        #[serde(default, skip_serializing_if = "is_false")]
        ping: bool,
    },
    /// The mail server says how large a mail may be that it takes (RFC 1870), in bytes; or that it does not say.
    ServerTakes { bytes: Option<u64> },
    /// Whoever holds a key reads the newer form of sealed mails, or does not: shown by a mail of theirs, or
    /// said by them.
    ReadsNewer { fingerprint: Fingerprint, reads: bool },
    /// A person's own words went to a reporter who wrote in clear, in clear, by a word that only this means.
    SaidInClear { text: Blob },
    /// A person's answer was not sent for want of a key.
    AnswerUnsent { text: Blob },
    /// Somebody was told that mails for them cannot be sealed, and the team as well; why.
    WithheldTold { to: Recipient, why: String },
    /// Waiting plain reports went to the maintainers in one mail.
    Digested { handles: Vec<Handle> },
    /// A machine sent something that is about no incident: its bytes, and its line in the digest.
    Listed { raw: Digest, line: Blob },
    /// Somebody said that what a machine sent is a report.
    MadeReport { raw: Digest },
    /// What was to be made a report is not kept any more.
    ReportGone { raw: Digest },

    /// People are to be reminded of it by the digest.
    Gathered,
    /// Nobody touched it for as long as the config gives, so that it is closed without a word.
    Untouched,
    /// A report opened an incident.
    Opened(Box<Opening>),
    /// A further mail belongs to it.
    Joined { letter: LetterNote },
    /// A mail with a ciphertext that was seen before came in. It is shown to nobody; its sender got
    /// an acknowledgement like any other, under a name of its own.
    CopySeen {
        raw: Digest,
        alias: Handle,
        #[serde(default)]
        acknowledge: Option<Moment>,
        /// Where the acknowledgement went: what asks under that name is answered there only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<Address>,
        /// What it is written to in; none for English.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
    },
    /// The reporter, known by the reference that they were given, sent a key inside encryption.
    KeyPinned { key: ReporterKey },
    /// The reporter proved to hold a key that had come from outside.
    KeyProven { fingerprint: Fingerprint },
    /// Mails were written and put in the outbox.
    Mailed { mails: Vec<Mailed> },
    /// What became of a mail that people care about.
    Delivered {
        message_id: MessageId,
        outcome: Delivery,
        /// What the mail server answered, shortened.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reply: String,
    },
    /// A delivery report came to the return path of a mail. Evidence, and no more.
    Reported {
        message_id: MessageId,
        fate: Fate,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        status: String,
    },

    /// A maintainer's commands were carried out.
    Commanded { words: Vec<String> },
    /// A maintainer's commands were not carried out, and why.
    Refused { words: Vec<String>, why: Reason },
    /// The report is a vulnerability.
    Accepted,
    /// It is not.
    Rejected { reason: Blob },
    /// Nobody could read it.
    Unreadable,
    /// It is rubbish; closed without a word.
    Spam,
    /// The incident is closed.
    Closed,
    /// The same was reported before, as another incident.
    Duplicated { of: Handle },
    /// It goes on as another incident.
    Merged { into: Handle },
    /// Another incident is the same as this one, or goes on as this one.
    Linked { handle: Handle, merged: bool },
    /// It is not so any more.
    Unlinked { handle: Handle },
    /// It is open again.
    Reopened,
    /// It is known to the public, by whomever.
    KnownPublic,
    /// It is exploited.
    Exploited,
    /// A field has a value.
    FieldSet { field: String, value: String },
    /// It has a title.
    Titled { title: String },
    /// It has a score. The vector is the truth, the score follows; in tenths.
    Scored { vector: String, tenths: u32, band: String },
    /// It has a CVE number.
    CveSet { cve: String },
    /// It has the number of an advisory.
    GhsaSet { ghsa: String },
    /// The reporter said how they want to be named.
    Credited { credit: Foreign },
    /// The reporter said when they will publish, in their own words.
    WillPublish { said: Foreign },
    /// The reporter said whether a day suits them: which one, and why not.
    ReporterOnDate { agrees: bool, t: Option<Moment>, said: Foreign },
    /// Somebody asked where the report stands: the reporter, or under the name of a copy.
    StatusAsked {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alias: Option<Handle>,
    },
    /// Somebody leads it.
    LeadSet {
        person: PersonId,
        /// Whether this used up their turn in the rotation.
        #[serde(default, skip_serializing_if = "is_false")]
        turn: bool,
    },
    /// Somebody is asked to lead it. Until they take it, nothing changes.
    LeadOffered {
        to: PersonId,
        until: Moment,
        #[serde(default, skip_serializing_if = "is_false")]
        turn: bool,
    },
    /// They did not take it: they said so, or said nothing in time. No turn is used up by it.
    LeadDeclined { person: PersonId, silent: bool },
    /// Somebody stands in for the lead.
    DeputySet { person: PersonId },
    /// Somebody has a role on this incident, and on no other.
    MemberJoined {
        person: PersonId,
        role: String,
        /// That two people let them in; none where one brought in a maintainer of the config.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconded: Option<Seconded>,
    },
    /// Somebody has nothing to do with this incident any more, whatever roles they hold.
    MemberLeft { person: PersonId },
    /// Somebody is away until then; `None` means that they are back.
    AwaySet { person: PersonId, until: Option<Moment> },
    /// A task was done.
    TaskDone {
        task: TaskId,
        evidence: Option<String>,
        sets: Option<Anchor>,
        /// The two people who opened it, where it is a gate before something public.
        #[serde(default = "seconded_of_old", skip_serializing_if = "is_of_old")]
        seconded: Option<Seconded>,
    },
    /// A task is open again, whatever was said before.
    TaskUndone { task: TaskId },
    /// A task will not be done, and why.
    TaskSkipped { task: TaskId, reason: String },
    /// Somebody agreed to a gate that needs several roles.
    Agreed { task: TaskId, role: String },
    /// A word to the team was kept.
    Noted { note: Blob },
    /// T was set or moved.
    TSet { t: Moment },
    /// It is public.
    Published {
        at: Moment,
        #[serde(
            default = "Seconded::before_it_was_asked",
            skip_serializing_if = "Seconded::is_of_before"
        )]
        seconded: Seconded,
    },

    /// A notice that the playbook does not have: a word to a group or to one member of it, or what
    /// takes the place of notices that public knowledge made pointless.
    NoticeAdded {
        notice: TaskId,
        title: String,
        template: String,
        group: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<PersonId>,
        approvals: u32,
    },
    /// A notice was frozen as a numbered draft.
    Frozen(Box<Draft>),
    /// Somebody approved exactly that draft.
    Approved { notice: TaskId, number: u32 },
    /// Notices are held; `None` means all.
    Held { notice: Option<TaskId> },
    /// Notices go on; `None` means all.
    Resumed {
        notice: Option<TaskId>,
        #[serde(
            default = "Seconded::before_it_was_asked",
            skip_serializing_if = "Seconded::is_of_before"
        )]
        seconded: Seconded,
    },
    /// A notice leaves: this draft, to these people.
    Released {
        notice: TaskId,
        number: u32,
        late: bool,
        recipients: BTreeSet<Recipient>,
        /// Who stands behind it; none where it stays within the team. No copy goes to anybody else
        /// without.
        #[serde(default = "seconded_of_old", skip_serializing_if = "is_of_old")]
        seconded: Option<Seconded>,
    },
    /// Copies of a notice were put in the outbox or withheld.
    Sent { notice: TaskId, number: u32, copies: Vec<Copy> },

    /// Copies of a notice about this and other incidents of one release were put in the outbox, on
    /// the first of them.
    SharedSent {
        on: Handle,
        notice: TaskId,
        number: u32,
        to: BTreeSet<PersonId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconded: Option<Seconded>,
    },
    /// A notice goes to people who missed it: who came later, was let in again, or has a usable
    /// key again.
    CaughtUp { notice: TaskId, number: u32, recipients: BTreeSet<Recipient> },
    /// A recipient has answered a notice, signed.
    Answered { notice: TaskId, number: u32, answer: Answer },
    /// A recipient objects; the words are kept.
    Objected { words: Blob },
    /// Of a group only these get what this incident sends to it; `None` is everybody.
    AudienceSet { group: String, members: Option<BTreeSet<PersonId>> },
    /// It has got out, by whom as far as it is known, and how.
    Leaked {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        who: Option<PersonId>,
        words: Blob,
        #[serde(
            default = "Seconded::before_it_was_asked",
            skip_serializing_if = "Seconded::is_of_before"
        )]
        seconded: Seconded,
    },

    /// Something about a member of a group.
    Member { member: PersonId, fact: MemberFact },
    /// Somebody was told something about their key or membership, so that they are not told again.
    Told { person: PersonId, what: Mark },

    /// A confirmation was asked for.
    ConfirmAsked { nonce: Digest, ask: Ask },
    /// It was given.
    Confirmed { nonce: Digest },
    /// It was called off.
    Cancelled { nonce: Digest },
    /// People were reminded of something, so that they are not reminded of it again.
    Reminded { what: String },
    /// An anchor is known, or has moved: by a field of the record, or the shared release.
    AnchorSet { anchor: Anchor, moment: Moment },
    /// The incident shares a release with others, and so its T.
    BatchJoined { batch: String },
    /// It does not any more.
    BatchLeft,
    /// Nobody holds this role on the incident any more.
    RoleEnded { role: String },
    /// The incident follows another version of its playbook from here on, or another playbook.
    Migrated { playbook: Digest, calendar: Option<Digest> },
    /// The desk began to run again, having been down since then.
    Started { down_since: Moment },
    /// The operator said that the clock is right, which the desk had doubted.
    ClockTrusted,
    /// The store was put back from a backup: what was signed before may have been carried out in
    /// the history that was lost.
    Restored,
}

/// What left before two people were asked for is on its way, and goes on.
#[expect(clippy::unnecessary_wraps, reason = "the shape that serde asks for")]
fn seconded_of_old() -> Option<Seconded> {
    Some(Seconded::before_it_was_asked())
}

#[expect(clippy::ref_option, reason = "the shape that serde asks for")]
fn is_of_old(seconded: &Option<Seconded>) -> bool {
    seconded.as_ref().is_some_and(Seconded::is_of_before)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

/// What is known when an incident opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The playbook it follows for good, by the hash of its text.
    pub playbook: Digest,
    /// The calendar that it named then, by the hash of its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Digest>,
    /// The report.
    pub letter: LetterNote,
    /// Where answers go; none when the report gave no usable address.
    pub reporter: Option<Address>,
    /// The reporter's key, if one came along.
    pub key: Option<ReporterKey>,
    /// The keyed hash of the session key.
    pub session: Option<Digest>,
    /// When the acknowledgement leaves, if one does.
    pub acknowledge: Option<Moment>,
    /// Whether it waits for the digest, because plain mails come in heaps.
    pub deferred: bool,
    /// Its line in the digest, where it may come to stand there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<Blob>,
    /// Where it came from, for counting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The language that the reporter is written to in; none for English. By headers that anybody
    /// could see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whether it bore OpenPGP data, as anyone on the way could see. Whether that opened must
    /// decide nothing that an outsider can notice, least of all when the answer leaves.
    #[serde(default)]
    pub looks_encrypted: bool,
}

impl Opening {
    /// Whether it is by nobody known, and in clear or one of too many, so that it waits in the digest until somebody
    /// touches it.
    #[must_use]
    pub fn waits(&self) -> bool {
        let known = matches!(self.letter.author, Author::Person(_));
        self.line.is_some() && (self.deferred || !self.letter.protection.is_encrypted()) && !known
    }
}

/// A mail, as the incident remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterNote {
    /// The SHA-256 of its raw bytes.
    pub raw: Digest,
    /// When it was received.
    pub received: Moment,
    /// Its Message-ID.
    pub message_id: Option<MessageId>,
    /// Who wrote it, as far as was proven.
    pub author: Author,
    /// How it was protected.
    pub protection: Protection,
    /// What failed when it was opened.
    pub failure: Option<Failure>,
    /// Subject and text, as a blob.
    pub text: Blob,
    /// The keyed hash of the session key.
    #[serde(default)]
    pub session: Option<Digest>,
}

/// Who wrote a mail, as far as was proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// A person of the roster, by a signature.
    Person(PersonId),
    /// The reporter, by their key or by the answer to a sealed mail of ours.
    Reporter,
    /// Somebody.
    Unproven,
}

/// A reporter's key, pinned to the incident and not to the address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReporterKey {
    /// Its primary fingerprint.
    pub fingerprint: Fingerprint,
    /// Where it was found.
    pub rank: KeyRank,
    /// The certificate, as a blob.
    pub certificate: Blob,
}

/// Who gets a mail. Always a member by id, the reporter, or an address that a rule gave: never
/// free text from a command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// A person of the roster.
    Person(PersonId),
    /// The incident's reporter.
    Reporter,
    /// A public list of the playbook.
    List(Address),
    /// The sender of a mail that belongs to no incident.
    Outsider(Address),
}

/// What a mail is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The automatic acknowledgement.
    Acknowledgement,
    /// A person's answer to the reporter; ends the human clock once SMTP took it.
    Answer,
    /// A report or answer, passed on.
    Relay,
    /// The answer to a command mail.
    Transcript,
    /// A polite no.
    Refusal,
    /// A reminder or an escalation.
    Reminder,
    /// A copy of a notice.
    Notice { notice: TaskId, number: u32 },
    /// Our key, on request.
    Key,
    /// The desk has a new key; signed by the one before it.
    NewKey,
    /// Asks a recipient of a notice for a word.
    Nudge,
    /// A mail to ourselves, by which the clock is compared with the mail server's.
    #[serde(rename = "witness")]
    ClockProbe,
    /// The content-free word that a message waits.
    Waiting,
    /// Something is wrong and people must know.
    Alert,
    /// The regular word to the reporter that it is still worked on.
    Update,
}

/// A mail that was put in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailed {
    /// Its Message-ID, by which answers find their incident.
    pub message_id: MessageId,
    /// Who gets it.
    pub to: Recipient,
    /// What for.
    pub purpose: Purpose,
}

/// What a recipient says about a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// They have read it.
    Received,
    /// They have made ready for the day.
    Ready,
}

/// What is known of a copy's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// In the outbox.
    Queued,
    /// The mail server took it.
    Accepted,
    /// The mail server refused it for good.
    Dead,
    /// The connection broke after the last byte, twice; it may have left.
    Unknown,
    /// It could not be sealed to the recipient's key.
    Withheld,
    /// The recipient was no longer entitled when it was to leave.
    Withdrawn,
}

/// One recipient's copy of a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// Who.
    pub to: Recipient,
    /// Its Message-ID.
    pub message_id: MessageId,
    /// Queued or withheld.
    pub state: Delivery,
}

/// A numbered draft, frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Which notice.
    pub notice: TaskId,
    /// Its number, from 1.
    pub number: u32,
    /// The rendered subject and body, with the recipient's name left open.
    pub body: Blob,
    /// Who gets it, at the moment of freezing.
    pub recipients: BTreeSet<Recipient>,
    /// The T that it speaks of.
    pub t: Option<Moment>,
    /// The release that it may speak of, where there is a grace between that and T.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Moment>,
    /// The hash of the template's text.
    pub template: Digest,
    /// Who froze it, and so changed it last; none for the desk itself.
    pub by: Option<PersonId>,
    /// What goes with it: patches, and the entry for a calendar.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Enclosure>,
    /// A keyed hash of its text, by which it is seen that the record has changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Digest>,
    /// The others of the same release that it speaks of.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub mates: BTreeSet<Handle>,
    /// What was doubtful about its text when it was frozen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
}

/// An attachment of a draft, approved with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enclosure {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// The bytes in hex digits, as a blob.
    pub bytes: Blob,
}

/// What somebody is asked to confirm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Who may confirm.
    pub person: PersonId,
    /// Who gave the command, where another person must confirm it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PersonId>,
    /// The command line as understood.
    pub line: String,
    /// The hash of what the confirmation rests on; when that changes, it is dead.
    pub basis: Digest,
    /// The hashes of what it would bring that takes two people: more than that is another question, and
    /// less of it is not.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub wider: BTreeSet<Digest>,
    /// When it was said, where time stands for the second person: the desk does it by itself then,
    /// unless somebody calls it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Moment>,
    /// Until when.
    pub until: Moment,
}

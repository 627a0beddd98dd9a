//! The templates: which there are, and what each may say.

/// What a template may say, and so where its text may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    ("acknowledgement", Class::Clear, include_str!("../../../../templates/acknowledgement.txt")),
    ("advance", Class::Notice, include_str!("../../../../templates/advance.txt")),
    ("advisory", Class::Notice, include_str!("../../../../templates/advisory.txt")),
    ("advisory-publish", Class::Notice, include_str!("../../../../templates/advisory-publish.txt")),
    ("alert", Class::Sealed, include_str!("../../../../templates/alert.txt")),
    ("announce", Class::Public, include_str!("../../../../templates/announce.txt")),
    ("answer", Class::Clear, include_str!("../../../../templates/answer.txt")),
    ("answer-waits", Class::Clear, include_str!("../../../../templates/answer-waits.txt")),
    ("asn", Class::Notice, include_str!("../../../../templates/asn.txt")),
    ("attached", Class::Part, include_str!("../../../../templates/attached.txt")),
    ("batch", Class::Sealed, include_str!("../../../../templates/batch.txt")),
    ("changed", Class::Part, include_str!("../../../../templates/changed.txt")),
    ("complete", Class::Clear, include_str!("../../../../templates/complete.txt")),
    ("confirm", Class::Sealed, include_str!("../../../../templates/confirm.txt")),
    ("contribute-back", Class::Part, include_str!("../../../../templates/contribute-back.txt")),
    ("cve-publish", Class::Notice, include_str!("../../../../templates/cve-publish.txt")),
    ("cve-request", Class::Notice, include_str!("../../../../templates/cve-request.txt")),
    ("date-changed", Class::Notice, include_str!("../../../../templates/date-changed.txt")),
    ("desk-key", Class::Sealed, include_str!("../../../../templates/desk-key.txt")),
    ("digest", Class::Sealed, include_str!("../../../../templates/digest.txt")),
    ("duplicate", Class::Clear, include_str!("../../../../templates/duplicate.txt")),
    ("earliest", Class::Notice, include_str!("../../../../templates/earliest.txt")),
    ("embargo-lifted", Class::Notice, include_str!("../../../../templates/embargo-lifted.txt")),
    ("embargo-terms", Class::Part, include_str!("../../../../templates/embargo-terms.txt")),
    ("ended", Class::Notice, include_str!("../../../../templates/ended.txt")),
    ("ended-short", Class::Notice, include_str!("../../../../templates/ended-short.txt")),
    ("final", Class::Notice, include_str!("../../../../templates/final.txt")),
    (
        "fixed-in-the-open",
        Class::Sealed,
        include_str!("../../../../templates/fixed-in-the-open.txt"),
    ),
    ("forthcoming", Class::Forthcoming, include_str!("../../../../templates/forthcoming.txt")),
    ("forum-post", Class::Notice, include_str!("../../../../templates/forum-post.txt")),
    ("how-to-answer", Class::Part, include_str!("../../../../templates/how-to-answer.txt")),
    ("invitation", Class::Sealed, include_str!("../../../../templates/invitation.txt")),
    ("key", Class::Clear, include_str!("../../../../templates/key.txt")),
    ("key-challenge", Class::Sealed, include_str!("../../../../templates/key-challenge.txt")),
    ("key-change-clear", Class::Clear, include_str!("../../../../templates/key-change-clear.txt")),
    ("key-ends", Class::Sealed, include_str!("../../../../templates/key-ends.txt")),
    ("key-ends-clear", Class::Clear, include_str!("../../../../templates/key-ends-clear.txt")),
    ("key-revoked", Class::Clear, include_str!("../../../../templates/key-revoked.txt")),
    ("known-public", Class::Notice, include_str!("../../../../templates/known-public.txt")),
    ("leak", Class::Notice, include_str!("../../../../templates/leak.txt")),
    ("mail", Class::Sealed, include_str!("../../../../templates/mail.txt")),
    ("membership-terms", Class::Part, include_str!("../../../../templates/membership-terms.txt")),
    (
        "not-a-vulnerability",
        Class::Sealed,
        include_str!("../../../../templates/not-a-vulnerability.txt"),
    ),
    ("packagers", Class::Notice, include_str!("../../../../templates/packagers.txt")),
    (
        "pre-announcement",
        Class::Forecast,
        include_str!("../../../../templates/pre-announcement.txt"),
    ),
    ("preview", Class::Sealed, include_str!("../../../../templates/preview.txt")),
    ("private-handling", Class::Clear, include_str!("../../../../templates/private-handling.txt")),
    ("progress", Class::Clear, include_str!("../../../../templates/progress.txt")),
    ("refusal", Class::Sealed, include_str!("../../../../templates/refusal.txt")),
    ("public-facts", Class::Part, include_str!("../../../../templates/public-facts.txt")),
    ("reject", Class::Sealed, include_str!("../../../../templates/reject.txt")),
    ("release-notes", Class::Notice, include_str!("../../../../templates/release-notes.txt")),
    ("reminder", Class::Sealed, include_str!("../../../../templates/reminder.txt")),
    ("reply", Class::Sealed, include_str!("../../../../templates/reply.txt")),
    ("report", Class::Sealed, include_str!("../../../../templates/report.txt")),
    ("reporter-closed", Class::Clear, include_str!("../../../../templates/reporter-closed.txt")),
    ("reporter-date", Class::Clear, include_str!("../../../../templates/reporter-date.txt")),
    ("reporter-leaked", Class::Clear, include_str!("../../../../templates/reporter-leaked.txt")),
    ("reporter-public", Class::Clear, include_str!("../../../../templates/reporter-public.txt")),
    ("reporter-soon", Class::Clear, include_str!("../../../../templates/reporter-soon.txt")),
    ("retrospective", Class::Notice, include_str!("../../../../templates/retrospective.txt")),
    ("review", Class::Notice, include_str!("../../../../templates/review.txt")),
    (
        "safe-installation",
        Class::Sealed,
        include_str!("../../../../templates/safe-installation.txt"),
    ),
    ("second-address", Class::Clear, include_str!("../../../../templates/second-address.txt")),
    ("silent", Class::Sealed, include_str!("../../../../templates/silent.txt")),
    ("slipped", Class::Notice, include_str!("../../../../templates/slipped.txt")),
    ("status", Class::Clear, include_str!("../../../../templates/status.txt")),
    ("tell", Class::Notice, include_str!("../../../../templates/tell.txt")),
    ("third-parties", Class::Notice, include_str!("../../../../templates/third-parties.txt")),
    ("transcript", Class::Sealed, include_str!("../../../../templates/transcript.txt")),
    ("unreadable", Class::Clear, include_str!("../../../../templates/unreadable.txt")),
    ("vulnerability", Class::Part, include_str!("../../../../templates/vulnerability.txt")),
    ("waiting", Class::Clear, include_str!("../../../../templates/waiting.txt")),
    ("warning", Class::Sealed, include_str!("../../../../templates/warning.txt")),
    ("welcome", Class::Sealed, include_str!("../../../../templates/welcome.txt")),
    ("witness", Class::Clear, include_str!("../../../../templates/witness.txt")),
];

/// Texts for the team that hold lists, quotes and drafts: their lines stay as they are.
pub const WITH_LISTS: [&str; 10] = [
    "alert",
    "batch",
    "confirm",
    "digest",
    "mail",
    "preview",
    "refusal",
    "reminder",
    "report",
    "transcript",
];

macro_rules! in_language {
    ($tag:literal, $name:literal) => {
        (
            concat!($tag, "/", $name),
            Class::Clear,
            include_str!(concat!("../../../../templates/", $tag, "/", $name, ".txt")),
        )
    };
}

/// What reporters get, in the languages that come with the program. Each needs a native reader before it is
/// switched on; an operator's folder may replace the text or add a language.
pub const TRANSLATED: &[(&str, Class, &str)] = &[
    in_language!("de", "acknowledgement"),
    in_language!("de", "answer"),
    in_language!("de", "progress"),
    in_language!("de", "reporter-closed"),
    in_language!("de", "reporter-date"),
    in_language!("de", "reporter-public"),
    in_language!("de", "reporter-soon"),
    in_language!("es", "acknowledgement"),
    in_language!("es", "answer"),
    in_language!("es", "progress"),
    in_language!("es", "reporter-closed"),
    in_language!("es", "reporter-date"),
    in_language!("es", "reporter-public"),
    in_language!("es", "reporter-soon"),
    in_language!("fr", "acknowledgement"),
    in_language!("fr", "answer"),
    in_language!("fr", "progress"),
    in_language!("fr", "reporter-closed"),
    in_language!("fr", "reporter-date"),
    in_language!("fr", "reporter-public"),
    in_language!("fr", "reporter-soon"),
    in_language!("ja", "acknowledgement"),
    in_language!("ja", "answer"),
    in_language!("ja", "progress"),
    in_language!("ja", "reporter-closed"),
    in_language!("ja", "reporter-date"),
    in_language!("ja", "reporter-public"),
    in_language!("ja", "reporter-soon"),
];

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

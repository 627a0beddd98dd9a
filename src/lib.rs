//! # embargod
//!
//! A daemon that runs a project's security mailbox: it takes reports in over IMAP, opens OpenPGP,
//! acknowledges, records, passes on sealed, follows a playbook, and sends embargo notices on time.
//!
//! ## Bird's eye view
//!
//! Two ideas carry the code. **The domain decides, the edge does**: everything that waits, reads,
//! writes, asks the clock or draws a random number lives in [`edge`]; everything the desk knows
//! and decides lives in [`domain`], is synchronous and pure, and takes the time as an argument.
//! **State is events**: whatever decides works on `&Desk` and returns a
//! [`Decision`](domain::decide::decision::Decision) of facts, bodies and mails; only
//! [`Desk::apply`](domain::model::desk::Desk::apply) changes anything, the same function that replay uses.
//!
//! ```text
//!  IMAP -> RawMail -> inbox row -> Letter -> Decision -> sealed -> ONE TRANSACTION -> marked
//!  imap    opening    store        intake    domain      compose   journal, outbox, inbox
//!  SMTP <- courier <- outbox rows that are due <- delivery         (time: what time brings)
//! ```
//!
//! The [`engine`] holds the one copy of the state and does one thing after the other. It is woken
//! by a closed list of things (see `cli/run.rs`) and then looks at everything that could be due:
//! what woke it decides nothing, so a lost wake-up only costs time.
//!
//! ## Where things are
//!
//! A floor names itself and what stands below it, and nothing above; no two files name each other,
//! directly or round a corner. `tests/floors.rs` holds both.
//!
//! | floor | what it is | it must not know |
//! | --- | --- | --- |
//! | [`error`] | what goes wrong, for whom | anything |
//! | [`domain::facts`] | what has a name, and what is stored | what follows from it |
//! | [`domain::outgoing`] | what leaves: words, mails, the ladder of attempts | who it is for |
//! | [`domain::process`] | a process as data: playbooks, offsets, calendars, the table of words | an incident |
//! | [`domain::model`] | what facts add up to: roster, member, incident, schedule, desk | a mail that is to leave |
//! | [`domain::views`] | the model in words, tables and files; read only | a decision |
//! | [`domain::decide`] | what follows, as a decision: talk, notices, time, deliveries, members | the words of signed mail |
//! | [`domain::commands`] | the words, one function each; who may use which | how a mail came in |
//! | [`domain::intake`] | a mail: what it is, what it is bound to, whether its words count | sockets, clocks, keys |
//! | [`ports`] | what engine and edge share: values, store, clock, randomness | a decision, a database |
//! | [`edge`] | one file for each thing outside | a rule; its sisters but `tls`, `server`, `mime`, `pgp`, `https`, `program` |
//! | [`engine`] | state, and carrying out | a socket, SQL |
//! | [`config`], [`cli`], [`rehearsal`] | the operator's file and commands; the story and its stages | |
//!
//! The ways through it:
//!
//! * A mail comes in: [`edge::imap`] keeps it; [`edge::opening`] makes a
//!   [`Letter`](domain::facts::letter::Letter) of it with its verdict as data; [`domain::intake`] finds
//!   once what it is bound to, who speaks and which words it holds, and says what it is; what comes of
//!   it is decided in [`domain::decide`] or by a word of [`domain::commands`]; `engine/commit.rs` writes it.
//! * A mail leaves: [`domain::decide::work`] collects it with the facts, [`domain::decide::post`]
//!   addresses it, [`domain::outgoing::texts`] has the words and decides what may leave in clear,
//!   [`edge::compose`] is the only maker of sealed bytes, [`edge::smtp`] the courier.
//! * Time: [`domain::process::playbook`] is a process as data, [`domain::model::schedule`] what is due
//!   when, [`domain::decide::time`] what the desk does about it, [`domain::decide::silence`] what comes
//!   of people saying nothing, [`domain::decide::rotation`] whose turn it is.
//!
//! One rule, one place: who signed a mail is [`Desk::signer`](domain::model::desk::Desk::signer); who may
//! use a word is [`domain::commands::rights`]; who is meant by an audience is
//! [`Incident::is_meant`](domain::model::incident::Incident::is_meant); whether a draft speaks of today's
//! dates is [`Incident::is_dated`](domain::model::incident::Incident::is_dated).
//!
//! ## Promises that a type or one place holds
//!
//! * **What cannot be taken back takes two people**: every fact passes
//!   [`Work::add`](domain::decide::work::Work::add), which compares how far things go before and after it
//!   ([`Reach`](domain::model::schedule::Reach)); what goes further is asked about by
//!   [`domain::commands::second`] or not done. A release to people outside, the end of an embargo and a
//!   member's admission take a [`Seconded`](domain::facts::seconded::Seconded), which only two people make
//!   of whom neither made the other; and no copy for anybody outside is made without.
//! * **No past is put back unseen**: `engine/witness.rs` knows the newest head outside of the store.
//! * **A stranger's words are no line of ours**: [`Foreign`](domain::facts::foreign::Foreign).
//! * **Nothing in clear**: the texts that may leave so are types that only
//!   [`domain::outgoing::texts`] makes.
//!
//! ## What is deliberately not there
//!
//! * **No stored schedule.** What is due follows from the journal every time, so a restart or a
//!   moved date needs no healing.
//! * **No way to send content in clear.** A text that may leave in clear is a type that only
//!   [`domain::outgoing::texts`] makes, from facts that hold no content.
//! * **No clock and no random number in the domain**, so that every decision can be tested and
//!   every story can be played on a clock that jumps.
//! * **No listening socket, no web page, no call of `gpg`.**
//! * **No decryption of what is found.** Only the root of a mail is opened; ciphertext anywhere
//!   else is an attachment.
//! * **No retry that a mail decides for itself.** Whether the mail server is asked, and how often, is one
//!   thing for all mails ([`domain::outgoing::pace`]); whose fault a refusal is, is a table
//!   ([`domain::outgoing::verdict`]).
//!
//! ## The words that are ours
//!
//! | word | what we mean by it |
//! | --- | --- |
//! | desk | this program at its mailbox, with its key |
//! | incident, handle | what a report opens, and its name, like `ACME-2026-7F3K2` |
//! | T | the moment of public disclosure that is agreed on |
//! | playbook, row | a published process as data; one line of it |
//! | gate | a row that people open before others may go on |
//! | notice, draft, release, copy | a row that writes to an audience; its numbered frozen text; its leaving; the mail for one recipient |
//! | team, holder | who has a role on an incident; who has had a notice |
//! | member, group, steward | somebody under embargo; the list they are in; who looks after members |
//! | reference | the `Ref:` line that binds a mail to this desk, an incident and a party |
//! | record, line, head | a fact in the journal; as it is written; the newest one |
//! | body | a text that a record names by its salted hash, so that it can be erased |
//! | second, alone | the other person whom an effect takes; a desk that has none, and waits |
//! | witness | what knows the newest head outside of the store |
//! | pace, door | how fast mails are offered to the mail server; closed while it takes nothing |
//! | given up | a mail that will not leave, or may have, and is not tried any more by itself |
//! | trouble | a mail that the mailbox lists and does not hand out |
//! | clock probe | the desk's mail to itself: what the mail server's clock says, how far the journal is, and that mail arrives |
//! | mark | by what the desk knows that it has told somebody something |

pub mod cli;
pub mod config;
pub mod domain;
pub mod edge;
pub mod engine;
pub mod error;
pub mod ports;
pub mod rehearsal;

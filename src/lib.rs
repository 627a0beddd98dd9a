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
//!  SMTP <- courier <- outbox rows that are due <- dispatch        (watch: what time brings)
//! ```
//!
//! The [`engine`] holds the one copy of the state and does one thing after the other. It is woken
//! by a closed list of things (see `cli/run.rs`) and then looks at everything that could be due:
//! what woke it decides nothing, so a lost wake-up only costs time.
//!
//! ## Where things are
//!
//! * A mail's way in: [`edge::imap`] keeps it, [`edge::opening`] makes a
//!   [`Letter`](domain::facts::letter::Letter) of it with its verdict as data, [`domain::intake`] says what
//!   it is, [`domain::commands::grammar`] finds the words in it, [`domain::process::vocabulary`] is their one table,
//!   [`domain::intake::command_mail`] says whether they count,
//!   [`domain::commands`] what each does; [`domain::commands::reporter`] has the words of reporters, and
//!   [`domain::commands::diagnosis`] tells people what their mail program did.
//! * Talk: [`domain::decide::relay`] passes on; who is on an incident, and with which role, is asked of
//!   [`Incident::holds`](domain::model::incident::Incident::holds) and nowhere else.
//! * A mail's way out: [`domain::decide::work`] collects it with the facts, [`domain::outgoing::texts`] has the words
//!   and decides what may leave in clear, [`edge::compose`] is the only maker of sealed bytes,
//!   [`domain::outgoing::mail`] the ladder of attempts, [`edge::smtp`] the courier.
//! * Time: [`domain::process::playbook`] is a process as data, [`domain::model::schedule`] what is due when,
//!   [`domain::decide::watch`] what the desk does about it, [`domain::decide::silence`] what comes of people saying
//!   nothing, [`domain::decide::rotation`] whose turn it is.
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

pub mod cli;
pub mod config;
pub mod domain;
pub mod edge;
pub mod engine;
pub mod error;
pub mod ports;
pub mod rehearsal;

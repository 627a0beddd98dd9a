//! What each word does: one function a row of the table, on a copy of the incident.

pub mod confirm;
pub mod embargo;
pub mod read;
pub mod record;
pub mod triage;

use super::event::{Ask, Event};
use super::incident::Incident;
use super::letter::Letter;
use super::names::{Digest, Span, base32, later};
use super::playbook::Task;
use super::refusal::{Refusal, nearest};
use super::roster::Person;
use super::work::Work;

/// A command mail being carried out.
pub struct Turn<'w, 'd> {
    /// The decision in the making.
    pub work: &'w mut Work<'d>,
    /// Who gave the commands.
    pub person: &'d Person,
    /// The mail that they stand in.
    pub letter: &'w Letter,
    /// The writer's own words below the commands.
    pub text: &'w str,
    /// Whether a command took the text, so that it is not passed on to the team as well.
    pub text_used: bool,
    /// The line being carried out, as understood.
    pub line: String,
    /// The hash that a confirmation rests on, while one is being carried out.
    pub confirming: Option<Digest>,
}

impl<'d> Turn<'_, 'd> {
    /// The incident as it is after the commands so far.
    ///
    /// # Errors
    /// When the mail names none.
    pub fn incident(&self) -> Result<&Incident, Refusal> {
        self.work.incident.as_ref().ok_or_else(|| {
            Refusal::new(
                "no incident named",
                "your mail does not say which incident it is about.",
                "keep the `Ref:` line of our mail in yours, or begin with `| /incident HANDLE`, without the bar.",
            )
        })
    }

    /// Refuses what cannot be done to an incident in its state.
    ///
    /// # Errors
    /// When it is closed, rejected or spam.
    pub fn open_incident(&self) -> Result<&Incident, Refusal> {
        let incident = self.incident()?;
        if incident.status.is_open() {
            return Ok(incident);
        }
        Err(Refusal::new(
            "the incident is closed",
            format!("{} is {}.", incident.handle, incident.status.word()),
            "open a new incident by a new mail to the desk, not an answer.",
        ))
    }

    /// The task that the first word of the arguments names, and the rest.
    ///
    /// # Errors
    /// When there is none of that name, or the person does not hold its role.
    pub fn task<'a>(&self, arguments: &'a str) -> Result<(Task, &'a str), Refusal> {
        let (word, rest) = arguments.split_once(char::is_whitespace).unwrap_or((arguments, ""));
        let task = self.find_task(word)?;
        let roles = std::iter::once(&task.role).chain(&task.agree);
        if roles.clone().any(|role| self.person.roles.contains(role)) {
            return Ok((task, rest.trim()));
        }
        let playbook = &self.incident()?.playbook;
        let roles: Vec<_> = roles.map(|role| playbook.role_label(role)).collect();
        Err(Refusal::new(
            "not your role",
            format!(
                "`{}` is for the {}, and you do not hold that role.",
                task.word(),
                roles.join(" or the ")
            ),
            "ask one of them to send it.",
        ))
    }

    fn find_task(&self, word: &str) -> Result<Task, Refusal> {
        let playbook = &self.incident()?.playbook;
        if let Some(task) = playbook.task(word) {
            return Ok(task.clone());
        }
        let known = playbook.tasks.iter().map(|task| task.word().as_str());
        let next = nearest(word, known).map_or_else(
            || "write `| /agenda` for the list, without the bar.".to_owned(),
            |hint| format!("did you mean `{hint}`?"),
        );
        let why = if word.is_empty() {
            "the line does not say which task or notice.".to_owned()
        } else {
            format!("the playbook `{}` has no task or notice `{word}`.", playbook.id)
        };
        Err(Refusal::new("no such task", why, next))
    }

    /// Goes on if this was confirmed; otherwise asks for it. `basis` is everything that the
    /// confirmation rests on: should any of it change, the confirmation is dead.
    ///
    /// # Errors
    /// Never a refusal in the strict sense: `Ok(Some(text))` is the question to the person.
    pub fn confirmed(&mut self, what: &str, basis: &[&str]) -> Result<Option<String>, Refusal> {
        let incident = self.incident()?;
        let mut parts = vec![incident.handle.as_str(), self.person.id.as_str(), self.line.as_str()];
        parts.extend(basis);
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        let basis = Digest::of_parts(&parts);
        if let Some(confirming) = self.confirming {
            if confirming == basis {
                return Ok(None);
            }
            return Err(Refusal::new(
                "what was to be confirmed has changed",
                "since you were asked, something changed that your confirmation rests on.",
                format!("send the command again: `| {}`, without the bar.", self.line),
            ));
        }
        let nonce = base32(&self.work.fresh.draw(), 16);
        let until = later(self.work.now, Span::hours(24));
        let ask = Ask { person: self.person.id.clone(), line: self.line.clone(), basis, until };
        self.work.add(Event::ConfirmAsked { nonce: nonce_hash(&nonce), ask });
        Ok(Some(format!(
            "Not done yet. {what}\nTo do it, reply by {} with:\n\n  | /confirm {nonce}\n\nTo call it off:\n\n  | /cancel {nonce}\n",
            self.work.say(until)
        )))
    }
}

/// How a nonce is remembered.
#[must_use]
pub fn nonce_hash(nonce: &str) -> Digest {
    Digest::of_parts(&[b"nonce", nonce.trim().to_ascii_uppercase().as_bytes()])
}

/// Refuses a word that came without what it needs.
fn needs(arguments: &str, word: &str, what: &str) -> Result<(), Refusal> {
    if arguments.trim().is_empty() {
        return Err(Refusal::new(
            format!("`/{word}` needs more"),
            format!("`/{word}` stands alone, and needs {what}."),
            format!("write `| /{word} {what}`, without the bar."),
        ));
    }
    Ok(())
}

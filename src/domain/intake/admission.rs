//! What a signed mail must satisfy before its first word is looked at: encrypted, never seen before,
//! fresh, and bound to this desk and one incident.

use crate::domain::commands::grammar::{Line, Parsed, is_misplaced};
use crate::domain::commands::read::named_incident;
use crate::domain::commands::several::is_for_several;
use crate::domain::facts::letter::{Letter, Signed};
use crate::domain::facts::names::{Fresh, Handle, Moment, Span};
use crate::domain::facts::refusal::{Reason, Refusal};
use crate::domain::intake::binding::Binding;
use crate::domain::model::desk::Desk;
use crate::domain::model::desk::membership::is_known;
use crate::domain::model::roster::Person;
use crate::domain::outgoing::texts::clean_line;
use crate::domain::process::vocabulary::{For, Group, Row, Scope, Word, member_word, team_word};

impl SignedMail<'_> {
    /// A word of the desk that stands where none counts: the writer meant something by it, so the
    /// mail is not passed on as if it were talk.
    pub(super) fn out_of_place(&self) -> Option<Refusal> {
        if is_misplaced(self.parsed) {
            return Some(Refusal::new(
                "a word in the wrong place",
                "your mail begins with a word of the desk that does not stand at the beginning of its line.",
                "write it at the very beginning of the line, without blanks and without the bar.",
            ));
        }
        if self.parsed.too_many {
            return Some(Refusal::new(
                "too many words in one mail",
                "your mail has more than 50 lines of words, and all or nothing is carried out.",
                "send them in two mails.",
            ));
        }
        let stray = self.parsed.stray.as_ref()?;
        Some(Refusal::new(
            "a word below the text",
            format!(
                "the line `{}` stands below your text, where no word counts, and would have been passed on as text.",
                clean_line(&stray.text(), 60)
            ),
            "write all words as the first lines of the mail, with no empty line between them. If it is meant as text, put a blank before it.",
        ))
    }

    /// Whether talk was meant for this incident. What somebody signed elsewhere, on a list or for
    /// another desk, can be brought into a thread by anybody who has it: the outer headers are not
    /// signed.
    pub(super) fn talk_is_bound(&self) -> Result<(), Refusal> {
        let for_us = self.signed.names_us && self.letter.subject_protected;
        if self.place.own.is_empty() && !for_us {
            return Err(Refusal::new(
                "not bound to this incident",
                "your mail holds no `Ref:` line of ours, so anybody could have brought it here; it was passed on to nobody.",
                "answer a mail of ours on the incident, and keep its `Ref:` line (quoted is fine).",
            ));
        }
        self.check_age()
    }

    /// Checks everything about a mail that must hold before its first word is looked at, and says
    /// which incident it speaks of.
    pub(super) fn admitted(&self) -> Result<Option<Handle>, Refusal> {
        let (letter, lines) = (self.letter, self.parsed.lines.as_slice());
        if letter.html_only {
            return Err(Refusal::new(
                "HTML only",
                "your mail has no plain text, and commands are read from plain text only.",
                "send it again as plain text (in your mail program: format, plain text only).",
            ));
        }
        if !letter.verdict.protection.is_encrypted() {
            return Err(Refusal::new(
                "not encrypted",
                "your mail was signed and not encrypted; anyone on the way could read it.",
                "send it again, signed and encrypted to our key.",
            ));
        }
        if self.is_spent() {
            return Err(Refusal::new(
                Reason::SentTwice,
                "a mail with this very signature was taken before, so this one is a copy.",
                "to do it again, write a new mail. If you did not send this one, somebody has a copy of the first.",
            ));
        }
        self.check_age()?;
        // What is quoted from elsewhere may hold anything; it counts only where nothing of ours does.
        let named = lines.iter().find(|line| line.word.eq_ignore_ascii_case("incident"));
        // One that was broken on the way is told as what it is, where nothing else says which is meant.
        let lost = self.place.mangled && named.is_none() && self.is_about_an_incident();
        let none_of_ours = self.place.own.is_empty() && !self.place.to_desk;
        if none_of_ours && (self.place.foreign || lost) {
            return Err(Refusal::new(
                "a reference that is not yours",
                "your mail holds a `Ref:` that was not made out to you for that incident.",
                "answer the mail that you got from us yourself.",
            ));
        }
        let named = named.map(|line| named_incident(&line.arguments)).transpose()?;
        self.bound(named)
    }

    /// The one incident that the mail is bound to.
    pub(super) fn bound(&self, named: Option<Handle>) -> Result<Option<Handle>, Refusal> {
        let place = self.place;
        let mut handles: Vec<&Handle> =
            place.own.iter().map(|reference| &reference.handle).collect();
        handles.sort();
        handles.dedup();
        let contradiction = || {
            Refusal::new(
                "two incidents named",
                "your mail speaks of two incidents at once.",
                "answer a mail about the one that you mean, and quote no other.",
            )
        };
        if handles.len() > 1 {
            return Err(contradiction());
        }
        let by_ref = handles.first().copied().cloned();
        let agrees = |a: Option<&Handle>, b: Option<&Handle>| a.is_none() || b.is_none() || a == b;
        if !agrees(by_ref.as_ref(), named.as_ref())
            || !agrees(by_ref.as_ref(), place.by_headers.as_ref())
            || !agrees(named.as_ref(), place.by_headers.as_ref())
        {
            return Err(contradiction());
        }
        match (by_ref, named) {
            (Some(handle), _) => Ok(Some(handle)),
            // Signed for another desk, it would change something at this one.
            (None, None) if !self.signed.names_us && !place.to_desk && self.changes_the_desk() => {
                Err(Refusal::new(
                    "not bound to this desk",
                    "your mail program does not sign for whom the mail is meant, and your mail holds no `Ref:` line of ours.",
                    "answer any mail of ours and keep its `Ref:` line.",
                ))
            }
            (None, None) => Ok(None),
            // One that the person is not on is as good as none: that it exists is not for them.
            (None, Some(handle))
                if !self.desk.incident(&handle).is_some_and(|i| i.is_team(self.person))
                    && !self.only_holds() =>
            {
                Err(Refusal::new(
                    "no such incident",
                    format!("there is no incident {handle} that you are on."),
                    "write `| /list` to see yours, without the bar.",
                ))
            }
            // Without our key among the intended recipients the same signed bytes could have been
            // meant for another desk.
            (None, Some(handle)) if self.signed.names_us => Ok(Some(handle)),
            (None, Some(_)) => Err(Refusal::new(
                "not bound to this desk",
                "your mail program does not sign for whom the mail is meant, so `/incident` alone does not count.",
                "answer a mail of ours on that incident and keep its `Ref:` line.",
            )),
        }
    }

    /// Whether somebody whom the config names a maintainer only holds things back: where time stands for
    /// the second person, that they may do on every incident.
    fn only_holds(&self) -> bool {
        let holds = |line: &Line| {
            self.row(&line.word).is_some_and(|row| matches!(row.word, Word::Hold | Word::Incident))
        };
        let alone = self.desk.settings.alone_minutes.is_some();
        alone && self.person.is_maintainer() && self.parsed.lines.iter().all(holds)
    }

    /// Whether a word is about an incident.
    fn is_about_an_incident(&self) -> bool {
        let mut rows = self.parsed.lines.iter().filter_map(|line| self.row(&line.word));
        rows.any(|row| row.scope == Scope::Incident)
    }

    /// Whether a word changes what the desk knows, and not only asks.
    pub(super) fn changes_the_desk(&self) -> bool {
        let triages = |row: &Row, line: &Line| {
            row.group == Group::Triage
                && (row.scope == Scope::Desk || is_for_several(row, line, false))
        };
        let desk =
            |row: &Row| row.scope == Scope::Desk && (row.dangerous || row.group == Group::People);
        let rows = self.parsed.lines.iter().filter_map(|line| Some((self.row(&line.word)?, line)));
        rows.into_iter().any(|(row, line)| desk(row) || triages(row, line))
    }

    pub(super) fn check_age(&self) -> Result<(), Refusal> {
        let lines = self.parsed.lines.as_slice();
        // Holding something back must work however long the mail took.
        let late = |line: &Line| self.row(&line.word).is_some_and(|row| row.counts_late);
        let only_hold = !lines.is_empty() && lines.iter().all(late);
        if self.letter.unwitnessed && !only_hold {
            return Err(Refusal::new(
                "only holding counts now",
                "the desk cannot tell whether its database is the newest, and may have carried your mail out before. Its operators know.",
                "write `| /hold ALL` (without the bar) if something must not leave; send the rest again, signed anew, once the operators say that the desk is well.",
            ));
        }
        // The history after the backup is lost, and with it which signatures were used up in it.
        if self.desk.replay.restored().is_some_and(|at| self.signed.made <= at) && !only_hold {
            return Err(Refusal::new(
                "from before the desk was restored",
                "the desk was put back from a backup after your mail was signed, and may have carried it out before.",
                "look with `| /status` (without the bar) whether it was done; if not, send it again, signed anew.",
            ));
        }
        let acts = lines.iter().any(|line| self.row(&line.word).is_some_and(Row::ages));
        let made = self.signed.made;
        let at_arrival = self.letter.received.signed_duration_since(made);
        // When it arrived is the mailbox's word: whoever holds that can keep a signed mail for months
        // and file it with a fitting date. So it is measured against the present as well, less the time
        // in which nobody was here to take it.
        let down = self.desk.replay.was_down(made, self.now);
        let here = self.now.signed_duration_since(made) - down;
        // A clock that was set back makes nothing new: what the mailbox says is later by its own clock, or what
        // the desk was sure of, counts as well.
        let server = self.letter.server_time.signed_duration_since(made);
        let sure = self.letter.sure.filter(|_| acts);
        let surely = sure.map(|sure| sure.signed_duration_since(made) - down);
        let elsewhere = surely.map_or(server, |surely| surely.max(server));
        let age = if acts { at_arrival.max(here) } else { at_arrival };
        if age < -AHEAD_MAX {
            return Err(Refusal::new(
                "from the future",
                format!(
                    "your signature is dated {} minutes ahead of our clock.",
                    age.num_minutes().abs()
                ),
                "set your computer's clock, and send it again.",
            ));
        }
        let age = age.max(elsewhere);
        if age > AGE_MAX && !only_hold {
            let until = if age == at_arrival.max(server) { "when it arrived" } else { "by now" };
            let less = if down > Span::zero() && age == here {
                format!(", not counting {} hours in which the desk was down", down.num_hours())
            } else {
                String::new()
            };
            return Err(Refusal::new(
                "too old",
                format!(
                    "your signature was {} hours old {until}{less}, and {} is the most that counts.",
                    age.num_hours(),
                    AGE_MAX.num_hours()
                ),
                "send it again, signed anew.",
            ));
        }
        Ok(())
    }

    pub(super) fn is_spent(&self) -> bool {
        self.desk.replay.is_used(&self.signed.fingerprint, self.signed.hash)
    }

    pub(super) fn row(&self, word: &str) -> Option<&'static Row> {
        row_for(self.desk, self.person, self.audience, word)
    }
}

/// A signature older than this at arrival carries no command.
pub(crate) const AGE_MAX: Span = Span::hours(48);

/// Nor does one from further ahead than this.
pub(crate) const AHEAD_MAX: Span = Span::minutes(10);

/// A mail that a person of the roster signed, being looked at.
pub(crate) struct SignedMail<'a> {
    /// For whom the words of this mail are: the team's, or those of members.
    pub(super) audience: For,
    pub(super) desk: &'a Desk,
    pub(super) letter: &'a Letter,
    pub(super) person: &'a Person,
    pub(super) signed: &'a Signed,
    pub(super) place: &'a Binding<'a>,
    pub(super) parsed: &'a Parsed,
    pub(super) now: Moment,
    pub(super) fresh: &'a Fresh,
}

/// The row of a word for whoever uses it: of the team one may be a member as well.
pub(crate) fn row_for(
    desk: &Desk,
    person: &Person,
    audience: For,
    word: &str,
) -> Option<&'static Row> {
    match audience {
        For::Team => {
            let also = is_known(desk, &person.id);
            // Who has only joined an incident looks after their own key like every member.
            if also && !person.is_maintainer() && word.eq_ignore_ascii_case("key") {
                return member_word(word);
            }
            team_word(word).or_else(|| member_word(word).filter(|_| also))
        }
        For::Members => member_word(word),
        For::Reporters => None,
    }
}

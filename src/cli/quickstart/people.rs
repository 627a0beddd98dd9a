//! The people of a new desk, each by their certificate.

use std::path::Path;

use crate::domain::facts::names::{Address, Moment, is_id};
use crate::domain::model::roster::OPERATOR;
use crate::domain::outgoing::texts::clean_line;
use crate::domain::process::calendar::Calendars;
use crate::domain::process::playbook::BUILTIN;
use crate::domain::process::{calendar, playbook};
use crate::edge::files;
use crate::edge::pgp::{Certificate, mend_key};
use crate::error::Fault;

use super::Quickstart;

/// A maintainer-to-be.
pub(super) struct Someone {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) address: Address,
    pub(super) roles: Vec<String>,
    pub(super) certificate: Certificate,
}

impl Quickstart {
    /// The people, each with a certificate that can be used.
    pub(super) fn someones(&self, now: Moment) -> Result<Vec<Someone>, Fault> {
        let roles = self.roles()?;
        let mut all: Vec<Someone> = Vec::new();
        for text in &self.people {
            let (path, given) = parted(text);
            let bytes = files::read(Path::new(path))?;
            let wrong = |why: String, next: &str| {
                Fault::new(format!("{path}: {why}; nothing was written"), next)
            };
            if Certificate::is_secret(&bytes) {
                let next = "give the certificate: `gpg --export --armor ADDRESS`";
                return Err(wrong("it is a secret key, which only its owner has".to_owned(), next));
            }
            let certificate = Certificate::read(&bytes)
                .map_err(|why| wrong(why, "export it with `gpg --export --armor ADDRESS`"))?;
            certificate.check(now).map_err(|why| wrong(why.clone(), mend_key(&why)))?;
            let (name, address) = certificate.owner(now).ok_or_else(|| {
                wrong(
                    "it names no mail address".to_owned(),
                    "let its owner add one: `gpg --quick-add-uid`",
                )
            })?;
            for role in given.iter().flatten() {
                if !roles.contains(role) {
                    let next = format!("the roles of `{}` are {}", self.playbook, roles.join(", "));
                    return Err(Fault::new(
                        format!("`{role}` is no role; nothing was written"),
                        next,
                    ));
                }
            }
            let base: String = address
                .local()
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
                .collect();
            let base = base.trim_matches('-').to_owned();
            let base = if is_id(&base) { base } else { "person".to_owned() };
            let mut id = base.clone();
            let mut number = 2;
            while all.iter().any(|one| one.id == id) {
                id = format!("{base}-{number}");
                number += 1;
            }
            let roles = given.unwrap_or_else(|| roles.clone());
            all.push(Someone { id, name: clean_line(&name, 80), address, roles, certificate });
        }
        Ok(all)
    }

    /// The roles that people of the config have in the process.
    fn roles(&self) -> Result<Vec<String>, Fault> {
        let known = || BUILTIN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let text = BUILTIN.iter().find(|(name, _)| *name == self.playbook);
        let (_, text) = text.ok_or_else(|| {
            let what = format!("there is no playbook `{}`; nothing was written", self.playbook);
            Fault::new(what, format!("name one of {}", known()))
        })?;
        let calendars: Calendars = calendar::builtin();
        let loaded = playbook::load(text, &calendars);
        let loaded = loaded.map_err(|_| Fault::new("the playbook does not load", ""))?;
        let own = loaded.roles.iter().filter(|(_, role)| role.held_by.is_none());
        Ok(own.map(|(id, _)| id.clone()).chain([OPERATOR.to_owned()]).collect())
    }
}

/// A file and the roles behind it, if there are any.
fn parted(text: &str) -> (&str, Option<Vec<String>>) {
    let is_role = |role: &str| {
        !role.is_empty()
            && role.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
    };
    match text.rsplit_once(':') {
        Some((path, roles)) if roles.split(',').all(is_role) => {
            (path, Some(roles.split(',').map(ToOwned::to_owned).collect()))
        }
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_stand_behind_the_last_colon() {
        let of = |text| {
            let (path, roles) = parted(text);
            (path.to_owned(), roles.map(|all| all.join("+")))
        };
        assert_eq!(
            of("mia.asc:lead,operator"),
            ("mia.asc".to_owned(), Some("lead+operator".to_owned()))
        );
        assert_eq!(of("mia.asc"), ("mia.asc".to_owned(), None));
        assert_eq!(of("a:b/mia.asc"), ("a:b/mia.asc".to_owned(), None));
    }
}

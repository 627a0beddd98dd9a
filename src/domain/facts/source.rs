//! Where a stranger's mail comes from, as far as anybody vouches for it. Floods are counted by it, so that one
//! source that sends a thousand mails keeps no other waiting.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::facts::names::Address;
use crate::domain::facts::outer_view::OuterView;

/// An address that the mailbox's own server vouches for; otherwise the domain alone, since whoever forges one
/// address of it forges them all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source(String);

impl Source {
    /// The source of a mail.
    #[must_use]
    pub fn of(outer: &OuterView) -> Self {
        let writers = &outer.writers;
        let path = writers.return_path.as_ref().and_then(Option::as_ref);
        let author = match writers.from.as_slice() {
            [one] => Some(one),
            _ => None,
        };
        match author.or(path) {
            Some(address) if outer.vouched == Some(true) => Self(mailbox_of(address)),
            Some(address) => Self(format!("@{}", organisation(address.domain()))),
            None => Self("@".to_owned()),
        }
    }
}

impl Source {
    /// What it is counted with: whoever has a domain has every address of it, vouched for or not. What is vouched for
    /// is counted apart, so that nobody uses up what is theirs by forging them.
    #[must_use]
    pub fn group(&self) -> String {
        match self.0.rsplit_once('@') {
            Some((local, domain)) if !local.is_empty() => format!("={}", organisation(domain)),
            Some(_) | None => self.0.clone(),
        }
    }

    /// The domain alone.
    #[must_use]
    pub fn domain(&self) -> String {
        self.0.rsplit_once('@').map_or_else(String::new, |(_, domain)| organisation(domain))
    }

    /// Whether it is an address that the mailbox's own server vouches for.
    #[must_use]
    pub fn is_vouched(&self) -> bool {
        !self.0.starts_with('@')
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The mailbox that an address leads to: what stands behind `+` leads to the same one (RFC 5233).
#[must_use]
pub fn mailbox_of(address: &Address) -> String {
    let wire = address.wire().to_lowercase();
    let (local, domain) = wire.rsplit_once('@').unwrap_or((&wire, ""));
    let local = local.split('+').next().filter(|local| !local.is_empty()).unwrap_or(local);
    // The largest host of all takes no notice of dots either.
    if matches!(domain, "gmail.com" | "googlemail.com") {
        return format!("{}@gmail.com", local.replace('.', ""));
    }
    format!("{local}@{domain}")
}

/// The part of a domain that somebody registers: whoever has it has all below it. By the usual shape of such
/// names and no list of them, which would be old soon; an error only makes a source larger or smaller.
fn organisation(domain: &str) -> String {
    let labels: Vec<&str> = domain.split('.').filter(|label| !label.is_empty()).collect();
    let is_country = labels.last().is_some_and(|last| last.len() == 2);
    let short = labels.iter().rev().nth(1).is_some_and(|second| second.len() <= 3);
    let wanted = if is_country && short { 3 } else { 2 };
    let from = labels.len().saturating_sub(wanted);
    labels.get(from..).unwrap_or_default().join(".").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::outer_view::Writers;

    #[test]
    fn whoever_is_vouched_for_is_a_source_and_otherwise_the_domain_is() {
        for (from, vouched, source) in [
            ("Rita+x@Mail.People.test", Some(true), "rita@mail.people.test"),
            ("rita@mail.people.test", None, "@people.test"),
            ("rita@a.b.c.people.test", Some(false), "@people.test"),
            ("rita@example.co.uk", None, "@example.co.uk"),
            ("rita@mx.example.com.au", None, "@example.com.au"),
            ("rita@heise.de", None, "@heise.de"),
            ("rita@mail.heise.de", None, "@heise.de"),
        ] {
            let writers =
                Writers { from: Address::parse(from).into_iter().collect(), ..Writers::default() };
            let outer = OuterView { writers, vouched, ..OuterView::default() };
            assert_eq!(Source::of(&outer).to_string(), source);
        }
        assert_eq!(Source::of(&OuterView::default()).to_string(), "@");
        let one = Address::parse("V.i.ctim+x@GoogleMail.com").unwrap();
        assert_eq!(mailbox_of(&one), "victim@gmail.com");
        let groups =
            ["rita@mail.people.test", "@people.test"].map(|it| Source(it.to_owned()).group());
        assert_eq!(groups, ["=people.test", "@people.test"]);
    }
}

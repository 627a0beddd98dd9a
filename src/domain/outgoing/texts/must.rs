//! What a text of the operator's leaves out that its readers cannot do without.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Environment;

use crate::domain::outgoing::texts::table::TEMPLATES;

/// What a text must say where the program's own does, and what is missing without it.
const MUST: [(&str, &str); 5] = [
    ("ref", "an answer to it belongs to no incident"),
    ("answer_by", "its reader does not hear by when a person answers"),
    ("late", "a notice that leaves late does not say so"),
    ("t", "its reader does not hear when it becomes public"),
    ("fingerprint", "its reader cannot compare the key that they seal to"),
];

fn says(env: &Environment<'_>, text: &str) -> BTreeSet<String> {
    let template = env.template_from_str(text);
    template.map_or_else(
        |_| BTreeSet::new(),
        |text| text.undeclared_variables(false).into_iter().collect(),
    )
}

/// The operator's texts that leave out what the program's own of that name say: each by its name, and what.
#[must_use]
pub fn omissions(own: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let env = Environment::new();
    let mut found = Vec::new();
    for (name, text) in own {
        // In another language it must say the same.
        let base = name.rsplit('/').next().unwrap_or(name);
        let Some((.., program)) = TEMPLATES.iter().find(|(known, ..)| *known == base) else {
            continue;
        };
        let (must, says) = (says(&env, program), says(&env, text));
        for (word, why) in MUST {
            if must.contains(word) && !says.contains(word) {
                found.push((name.clone(), format!("it does not say `{{{{ {word} }}}}`: {why}")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &str) -> Vec<String> {
        let own = BTreeMap::from([(name.to_owned(), text.to_owned())]);
        omissions(&own).into_iter().map(|(_, message)| message).collect()
    }

    #[test]
    fn an_acknowledgement_that_says_nothing_is_found() {
        let missing = of("acknowledgement", "Subject: Thanks\n\nThanks a lot.\n");
        assert_eq!(missing.len(), 3, "{missing:?}");
        assert!(missing[0].contains("{{ ref }}"), "{missing:?}");
        let missing = of("de/answer", "Subject: Danke\n\nDanke.\n");
        assert!(missing[0].contains("{{ ref }}"), "{missing:?}");
    }

    #[test]
    fn the_texts_of_the_program_leave_nothing_out() {
        for (name, _, text) in TEMPLATES {
            assert_eq!(of(name, text), Vec::<String>::new(), "{name}");
        }
    }
}

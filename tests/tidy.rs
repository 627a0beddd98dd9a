//! The rules of the house, as a test of the source text.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use embargod::domain::outgoing::texts::TEMPLATES;
use embargod::domain::process::calendar;
use embargod::domain::process::playbook;
use embargod::domain::process::playbook::BUILTIN;
use embargod::domain::process::vocabulary;

fn files(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut todo = vec![PathBuf::from(folder)];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for (path, text) in files("src", ".rs") {
        let lines = text.lines().count();
        assert!(lines <= 800, "{} has {lines} lines", path.display());
        assert!(text.starts_with("//! "), "{} does not say what it is", path.display());
    }
}

#[test]
fn the_domain_neither_waits_nor_asks() {
    let forbidden = [
        "tokio",
        "rusqlite",
        "sequoia",
        "lettre",
        "async_imap",
        "mail_parser",
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "::now(",
        "async fn",
        ".await",
        "crate::edge",
        "crate::engine",
    ];
    for (path, text) in files("src/domain", ".rs") {
        let code = text.split("#[cfg(test)]").next().unwrap();
        for word in forbidden {
            assert!(!code.contains(word), "{} names `{word}`", path.display());
        }
    }
}

#[test]
fn each_library_of_the_edge_has_one_room() {
    let rooms = [
        ("sequoia_openpgp", "src/edge/pgp"),
        ("rusqlite", "src/edge/sqlite"),
        ("mail_parser", "src/edge/mime"),
        ("async_imap", "src/edge/imap"),
    ];
    for (path, text) in files("src", ".rs") {
        for (library, room) in rooms {
            let named = text
                .lines()
                .any(|line| !line.trim_start().starts_with("//") && line.contains(library));
            let inside =
                path.starts_with(room) || path.as_os_str() == format!("{room}.rs").as_str();
            assert!(!named || inside, "{} names {library}", path.display());
        }
    }
}

/// Whatever cannot be read is told with its owner, its mode and the next step.
#[test]
fn files_of_the_operator_are_read_in_one_place() {
    // The rehearsal reads what it has written, and so does what is published.
    let others = ["src/edge/files.rs", "src/edge/wkd.rs", "src/rehearsal"];
    for (path, text) in files("src", ".rs") {
        let text = text.split("#[cfg(test)]").next().unwrap();
        let reads = ["fs::read(", "fs::read_to_string("].iter().any(|call| text.contains(call));
        let may = others.iter().any(|other| path.starts_with(other));
        assert!(!reads || may, "{} reads a file by itself", path.display());
    }
}

#[test]
fn every_template_has_a_row_and_every_row_its_file() {
    let rows: BTreeSet<String> = TEMPLATES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let found: BTreeSet<String> = files("templates", ".txt")
        .into_iter()
        .map(|(path, _)| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(rows, found);
}

#[test]
fn every_playbook_in_the_folder_is_built_in_and_loads() {
    let names: BTreeSet<&str> = BUILTIN.iter().map(|(name, _)| *name).collect();
    for (path, text) in files("config/playbooks", ".toml") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(names.contains(name.as_str()), "{name} is not built in");
        let loaded = playbook::load(&text, &calendar::builtin()).unwrap();
        assert_eq!(loaded.id, name);
    }
}

#[test]
fn the_readme_has_the_table_of_words() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let (_, rest) = readme.split_once("<!-- keywords -->\n").unwrap();
    let (table, _) = rest.split_once("<!-- /keywords -->").unwrap();
    let wanted = vocabulary::markdown();
    if std::env::var_os("EMBARGOD_WRITE").is_some() {
        std::fs::write(
            "README.md",
            readme.replace(&format!("-->\n{table}<!-- /"), &format!("-->\n{wanted}<!-- /")),
        )
        .unwrap();
        return;
    }
    assert_eq!(table, wanted, "write it with EMBARGOD_WRITE=1 cargo test --test tidy");
}

#[test]
fn every_dependency_says_why() {
    let manifest = std::fs::read_to_string("Cargo.toml").unwrap();
    let (_, rest) = manifest.split_once("[dependencies]\n").unwrap();
    let mut reason = false;
    for line in rest.split("\n[[bench]]").next().unwrap().lines() {
        if line.starts_with('#') {
            reason = true;
        } else if line.contains(" = ") {
            assert!(
                reason || line.starts_with("serde_json") || line.starts_with("tracing-subscriber"),
                "{line}"
            );
            reason = line.starts_with("serde = ") || line.starts_with("tracing = ");
        }
    }
}

/// What the log says is documented line by line, and nothing else is.
#[test]
fn each_line_of_the_log_has_its_row() {
    let mut known = std::collections::BTreeMap::<String, BTreeSet<String>>::new();
    for (path, text) in files("src", ".rs") {
        for level in ["trace", "debug", "info", "warn", "error"] {
            for (_, rest) in text
                .match_indices(&format!("tracing::{level}!("))
                .map(|(at, found)| text.split_at(at.saturating_add(found.len())))
            {
                let event = rest
                    .trim_start()
                    .strip_prefix("event = \"")
                    .and_then(|rest| rest.split('"').next());
                let event =
                    event.unwrap_or_else(|| panic!("{}: a line without its event", path.display()));
                known.entry(event.to_owned()).or_default().insert(level.to_owned());
            }
        }
    }
    let page = std::fs::read_to_string("docs/log.md").unwrap();
    let mut told = std::collections::BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let levels = cells[2].split(", ").map(str::to_owned).collect();
        told.insert(cells[1].trim_matches('`').to_owned(), levels);
    }
    assert_eq!(known, told);
}

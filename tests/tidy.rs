//! The rules of the house, as a test of the source text.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

use std::collections::{BTreeMap, BTreeSet};
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

//------------ The floors -------------------------------------------------------------------------

/// The floors of the domain, from the ground up: a file names its own floor and those below.
const FLOORS: [&str; 8] =
    ["facts", "outgoing", "process", "model", "views", "decide", "commands", "intake"];

/// The module that a file is, as its path below `domain`.
fn module_of(path: &std::path::Path) -> String {
    let path = path.strip_prefix("src/domain").unwrap().with_extension("");
    let path = path.to_string_lossy().replace('/', "::");
    path.strip_suffix("::mod").unwrap_or(&path).to_owned()
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| module.split("::").next() == Some(*floor))
}

/// The code of a file: without its tests and without comments.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// Every path that begins with `prefix`, use trees unfolded, without the prefix.
fn paths_in(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for after in code.split(prefix).skip(1) {
        unfold("", after, &mut found);
    }
    found
}

/// Reads one path or tree of paths from the beginning of `text`; returns what follows it.
fn unfold<'t>(before: &str, text: &'t str, found: &mut BTreeSet<String>) -> &'t str {
    let name = |c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '*';
    let end = text.find(|c| !name(c)).unwrap_or(text.len());
    let (path, mut rest) = text.split_at(end);
    let path = format!("{before}{path}");
    let Some(tree) = rest.strip_prefix('{').filter(|_| path.ends_with("::")) else {
        found.insert(path.trim_end_matches(':').to_owned());
        return rest;
    };
    rest = tree;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if rest.is_empty() || rest.starts_with('}') {
            return rest.get(1..).unwrap_or("");
        }
        rest = unfold(&path, rest, found);
    }
}

/// Whether a file only says what is below it: `mod`, `use`, attributes and comments.
fn is_face(text: &str) -> bool {
    let code = code_of(text);
    let items = code.split(';').map(str::trim).filter(|item| !item.is_empty());
    items.into_iter().all(|item| {
        let item = item.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        item.starts_with("mod ") || item.starts_with("use ") || item.starts_with("#[")
    })
}

/// A circle of files that name each other, if there is one.
fn circle_in(arrows: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit<'a>(
        file: &'a str,
        arrows: &'a BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<String>> {
        if let Some(at) = way.iter().position(|known| *known == file) {
            return Some(way[at..].iter().map(|file| (*file).to_owned()).collect());
        }
        if !done.insert(file) {
            return None;
        }
        way.push(file);
        let circle = arrows.get(file).into_iter().flatten();
        let circle = circle.into_iter().find_map(|next| visit(next, arrows, way, done));
        way.pop();
        circle
    }
    let mut done = BTreeSet::new();
    arrows.keys().find_map(|file| visit(file, arrows, &mut Vec::new(), &mut done))
}

#[test]
fn imports_go_down_and_never_round() {
    let files = files("src/domain", ".rs");
    let faces: BTreeSet<String> =
        files.iter().filter(|(_, text)| is_face(text)).map(|(path, _)| module_of(path)).collect();
    let modules: BTreeSet<String> = files.iter().map(|(path, _)| module_of(path)).collect();
    let mut up = BTreeSet::new();
    let mut arrows = BTreeMap::<String, BTreeSet<String>>::new();
    for (path, text) in &files {
        let own = module_of(path);
        let Some(floor) = floor_of(&own) else { continue };
        let code = code_of(text);
        assert!(!code.contains("super::super"), "{own}: write crate::domain::");
        for named in paths_in(&code, "crate::domain::") {
            let parts: Vec<&str> = named.split("::").collect();
            let file = (1..=parts.len()).rev().map(|n| parts[..n].join("::"));
            let file = file.into_iter().find(|file| modules.contains(file)).unwrap();
            let own_face = faces.contains(&file) && own.starts_with(&format!("{file}::"));
            assert!(!own_face, "{own} names {named}: write the file, not the face of its folder");
            if floor_of(&file) > Some(floor) {
                up.insert((own.clone(), file));
            } else if file != own && !faces.contains(&file) && !faces.contains(&own) {
                arrows.entry(own.clone()).or_default().insert(file);
            }
        }
    }
    assert!(up.is_empty(), "these name what stands above them: {up:#?}");
    assert_eq!(circle_in(&arrows), None, "these name each other in a circle");
}

/// What a file of this crate names of it, as paths below the crate.
fn names_in(text: &str) -> BTreeSet<String> {
    paths_in(&code_of(text), "crate::")
}

/// The edge fills in ports and holds no rule: it knows facts and what leaves, and no decision.
#[test]
fn ports_and_edge_know_facts_and_no_decision() {
    let may = ["error", "domain::facts", "domain::outgoing", "ports"];
    let within = |named: &str, places: &[&str]| {
        places.iter().any(|place| named == *place || named.starts_with(&format!("{place}::")))
    };
    for (path, text) in files("src/ports", ".rs") {
        for named in names_in(&text) {
            assert!(within(&named, &may), "{} names {named}", path.display());
        }
    }
    for (path, text) in files("src/edge", ".rs") {
        for named in names_in(&text) {
            let fits = within(&named, &may) || within(&named, &["edge"]);
            assert!(fits, "{} names {named}", path.display());
        }
    }
}

/// One file for each thing outside; what two of them need stands in a room that all may enter.
#[test]
fn sisters_at_the_edge_do_not_know_each_other() {
    let shared = ["tls", "server", "mime", "pgp"];
    let room = |path: &std::path::Path| {
        let room = path.strip_prefix("src/edge").unwrap().iter().next().unwrap().to_string_lossy();
        room.trim_end_matches(".rs").to_owned()
    };
    let files: Vec<_> = files("src/edge", ".rs")
        .into_iter()
        .filter(|(path, _)| !path.ends_with("tests.rs"))
        .collect();
    let rooms: BTreeSet<String> = files.iter().map(|(path, _)| room(path)).collect();
    for (path, text) in &files {
        assert!(!code_of(text).contains("use super::"), "{}: write crate::", path.display());
        for named in paths_in(&code_of(text), "crate::edge::") {
            let other = named.split("::").next().unwrap();
            let fits = other == room(path) || shared.contains(&other) || !rooms.contains(other);
            assert!(fits, "{} names its sister {other}", path.display());
        }
    }
}

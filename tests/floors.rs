//! Who may name whom: read from the parsed source, so that neither an alias, a glob nor a path inside
//! a function goes round it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on should stop"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// The floors of the domain, from the ground up: a file names its own floor and those below.
const FLOORS: [&str; 8] =
    ["facts", "outgoing", "process", "model", "views", "decide", "commands", "intake"];

/// A source file, and every path of this crate that it names outside its tests.
struct Source {
    /// Its module, below the crate: `domain::model::desk`.
    module: String,
    names: BTreeSet<String>,
    /// Whether it only says what is below it: `mod`, `use`, attributes and comments.
    is_face: bool,
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![PathBuf::from(folder)];
    while let Some(folder) = todo.pop() {
        for path in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn module_of(path: &Path) -> String {
    let path = path.strip_prefix("src").unwrap().with_extension("");
    let path = path.to_string_lossy().replace('/', "::");
    path.strip_suffix("::mod").unwrap_or(&path).to_owned()
}

fn read(text: &str, module: &str) -> Source {
    let file = syn::parse_file(text).unwrap();
    let is_face = file.items.iter().all(|item| match item {
        syn::Item::Use(_) => true,
        syn::Item::Mod(inner) => inner.content.is_none(),
        _ => false,
    });
    let here = module.split("::").map(ToOwned::to_owned).collect();
    let mut reader = Reader { here, names: BTreeSet::new() };
    reader.visit_file(&file);
    Source { module: module.to_owned(), names: reader.names, is_face }
}

fn sources(folder: &str) -> Vec<Source> {
    let read = |path: PathBuf| read(&std::fs::read_to_string(&path).unwrap(), &module_of(&path));
    rust_files(folder).into_iter().map(read).collect()
}

struct Reader {
    /// The module that is being read, inline ones included.
    here: Vec<String>,
    names: BTreeSet<String>,
}

impl Reader {
    /// Takes a path in, if it is one of this crate; `super` and `self` are what they stand for here.
    fn take(&mut self, parts: &[String]) {
        let mut whole = match parts.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self") => self.here.clone(),
            Some("super") => self.here[..self.here.len() - 1].to_vec(),
            _ => return,
        };
        for part in &parts[1..] {
            match part.as_str() {
                "super" => drop(whole.pop()),
                "self" => {}
                part => whole.push(part.to_owned()),
            }
        }
        self.names.insert(whole.join("::"));
    }

    fn take_tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.take_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.take(&with(&name.ident)),
            syn::UseTree::Rename(name) => self.take(&with(&name.ident)),
            // All that stands there; the place itself is named by it.
            syn::UseTree::Glob(_) => self.take(before),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.take_tree(before, tree));
            }
        }
    }
}

/// Whether an item is there in tests only: exactly `#[cfg(test)]` and nothing wider.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|what| what == "test")
    })
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            _ => return syn::visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.here.push(item.ident.to_string());
        syn::visit::visit_item_mod(self, item);
        self.here.pop();
    }

    /// `pub(crate)` and `pub(super)` name nobody.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.take_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.take(&parts);
        syn::visit::visit_path(self, path);
    }

    /// What stands in a macro is no syntax yet: its words are looked through.
    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        let text = item.tokens.to_string().replace(" :: ", "::");
        for word in text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
            let parts: Vec<String> = word.split("::").map(ToOwned::to_owned).collect();
            if parts.len() > 1 {
                self.take(&parts);
            }
        }
        syn::visit::visit_macro(self, item);
    }
}

fn floor_of(module: &str) -> Option<usize> {
    let floor = module.strip_prefix("domain::")?.split("::").next()?;
    FLOORS.iter().position(|known| *known == floor)
}

/// The longest beginning of a path that is a file.
fn file_of<'m>(named: &str, modules: &BTreeSet<&'m str>) -> Option<&'m str> {
    let mut named = named;
    loop {
        if let Some(file) = modules.get(named) {
            return Some(*file);
        }
        named = named.rsplit_once("::")?.0;
    }
}

/// A circle of files that name each other, if there is one.
fn circle_in(arrows: &BTreeMap<&str, BTreeSet<&str>>) -> Option<Vec<String>> {
    fn visit<'a>(
        file: &'a str,
        arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>,
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
        let mut next = arrows.get(file).into_iter().flatten();
        let circle = next.find_map(|next| visit(next, arrows, way, done));
        way.pop();
        circle
    }
    let mut done = BTreeSet::new();
    arrows.keys().find_map(|file| visit(file, arrows, &mut Vec::new(), &mut done))
}

#[test]
fn imports_go_down_and_never_round() {
    let sources = sources("src/domain");
    let modules: BTreeSet<&str> = sources.iter().map(|source| source.module.as_str()).collect();
    let faces: BTreeSet<&str> =
        sources.iter().filter(|source| source.is_face).map(|s| s.module.as_str()).collect();
    let mut arrows = BTreeMap::<&str, BTreeSet<&str>>::new();
    for source in &sources {
        let own = source.module.as_str();
        for named in &source.names {
            if !named.starts_with("domain") {
                // What stands above the domain as a whole; `error` stands below it.
                assert!(named.starts_with("error"), "{own} names {named}");
                continue;
            }
            let file = file_of(named, &modules).unwrap();
            // The domain as a whole, or a floor as a whole: whoever takes all of it names anything.
            let whole = file == "domain" || (FLOORS.contains(&&named["domain::".len()..]));
            assert!(!whole, "{own} names the whole of {named}: write the file");
            assert!(floor_of(file) <= floor_of(own), "{own} names {named}, which stands above it");
            let own_face = faces.contains(file) && own.starts_with(&format!("{file}::"));
            assert!(!own_face, "{own} names {named}: write the file, not the face of its folder");
            // A face names what it shows, so that a way through two faces is a way as well.
            if file != own {
                arrows.entry(own).or_default().insert(file);
            }
        }
    }
    assert_eq!(circle_in(&arrows), None, "these name each other in a circle");
}

fn is_within(named: &str, places: &[&str]) -> bool {
    places.iter().any(|place| named == *place || named.starts_with(&format!("{place}::")))
}

/// The edge fills in ports and holds no rule: it knows facts and what leaves, and no decision.
#[test]
fn ports_and_edge_know_facts_and_no_decision() {
    let may = ["error", "domain::facts", "domain::outgoing", "ports"];
    for source in sources("src/ports") {
        for named in &source.names {
            assert!(is_within(named, &may), "{} names {named}", source.module);
        }
    }
    for source in sources("src/edge") {
        for named in &source.names {
            let fits = is_within(named, &may) || is_within(named, &["edge"]);
            assert!(fits, "{} names {named}", source.module);
        }
    }
}

/// One file for each thing outside; what two of them need stands in a room that all may enter.
#[test]
fn sisters_at_the_edge_do_not_know_each_other() {
    let shared = ["tls", "server", "mime", "pgp", "https", "program", "contained", "files"];
    let room = |module: &str| module.split("::").nth(1).unwrap_or("").to_owned();
    let sources = sources("src/edge");
    let rooms: BTreeSet<String> = sources.iter().map(|source| room(&source.module)).collect();
    for source in &sources {
        for named in source.names.iter().filter(|named| named.starts_with("edge")) {
            let (own, other) = (room(&source.module), room(named));
            let fits = other == own || shared.contains(&other.as_str()) || !rooms.contains(&other);
            assert!(fits && *named != "edge", "{} names {named}", source.module);
        }
    }
}

/// The reader sees through what somebody might try, or this file says nothing.
#[test]
fn no_dress_hides_a_name() {
    let dresses = [
        "use crate::domain::intake::classify;",
        "use crate::domain::intake::classify as harmless;",
        "use crate::{domain::{intake::{classify::{receive as r}}}};",
        "use super::super::super::domain::intake::classify::*;",
        "pub use crate::domain::intake::classify::receive;",
        "fn f() { crate::domain::intake::classify::receive(); }",
        "fn f() { use super::super::intake::classify::receive as r; r() }",
        "fn f(x: &crate::domain::intake::classify::Arrival<'_>) {}",
        "const X: &str = concat!(crate::domain::intake::classify::NAME, \"\");",
        "mod inner { use super::super::super::intake::classify; }",
        "#[cfg(test)] mod tests {} use crate::domain::intake::classify;",
        "#[cfg(any(test, unix))] use crate::domain::intake::classify;",
        "macro_rules! m { () => { crate::domain::intake::classify::receive() } }",
    ];
    for dress in dresses {
        let source = read(dress, "domain::model::desk");
        let seen = source.names.iter().any(|n| n.starts_with("domain::intake::classify"));
        assert!(seen, "{dress}: {:?}", source.names);
    }
    let source =
        read("#[cfg(test)] mod t { use crate::domain::intake::classify; }", "domain::model");
    assert_eq!(source.names, BTreeSet::new(), "tests may use anything");
    let alias = read("use crate::domain as d;", "domain::model::desk");
    assert_eq!(alias.names, BTreeSet::from(["domain".to_owned()]));
}

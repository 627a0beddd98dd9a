//! The operator's own templates, playbooks and calendars, read from their folders.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::Reader;
use crate::domain::facts::language;
use crate::domain::process::calendar::Calendars;
use crate::domain::process::playbook::BUILTIN;
use crate::domain::process::{calendar, playbook};
use crate::edge::files;
use crate::error::Fault;

/// So large may a text of the operator be, in bytes.
const OWN_TEXT_MAX: u64 = 1 << 20;

impl Reader<'_> {
    pub(super) fn folder(
        &mut self,
        folder: Option<&PathBuf>,
        ending: &str,
    ) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        let Some(folder) = folder.map(|folder| self.full(folder)) else { return texts };
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                let what = files::unread(&folder, &error).what;
                let place = folder.display().to_string();
                self.wrong(place, what, "make the folder, or take it out of [files]");
                return texts;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            let Some(stem) = name.strip_suffix(ending) else { continue };
            // A pipe would be waited for, and nothing of ours is that large.
            let fits = std::fs::metadata(&path)
                .is_ok_and(|meta| meta.is_file() && meta.len() <= OWN_TEXT_MAX);
            let what = format!("it is no file, or has more than {OWN_TEXT_MAX} bytes");
            let no_text = Fault::new(what, "mend or remove the file");
            match if fits { files::text(&path) } else { Err(no_text) } {
                Ok(text) => {
                    texts.insert(stem.to_owned(), text);
                }
                Err(fault) => self.wrong(path.display().to_string(), fault.what, fault.next),
            }
        }
        texts
    }

    /// The operator's own templates; those in a folder named by a language are for that.
    pub(super) fn templates_of(&mut self, folder: Option<&PathBuf>) -> BTreeMap<String, String> {
        let mut texts = self.folder(folder, ".txt");
        let full = folder.map(|folder| self.full(folder));
        let entries = full.and_then(|full| std::fs::read_dir(full).ok());
        for entry in entries.into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let small = name.to_ascii_lowercase();
            if small != name && language::is_tag(&small) && entry.path().is_dir() {
                let place = entry.path().display().to_string();
                let what = format!("`{name}` is no name of a language");
                self.wrong(place, what, format!("call the folder `{small}`"));
            }
            if language::is_tag(&name) && entry.path().is_dir() {
                let own = self.folder(Some(&entry.path()), ".txt");
                texts.extend(own.into_iter().map(|(stem, text)| (format!("{name}/{stem}"), text)));
            }
        }
        texts
    }

    pub(super) fn calendars(&mut self, folder: Option<&PathBuf>) -> Calendars {
        let own = self.folder(folder, ".txt");
        let mut texts = calendar::builtin();
        let shown =
            folder.map_or_else(String::new, |folder| self.full(folder).display().to_string());
        for (name, text) in own {
            if let Err((line, what)) = calendar::parse(&text) {
                self.wrong(format!("{shown}/{name}.txt:{line}"), what, "mend the calendar");
            }
            texts.insert(name, text);
        }
        texts
    }

    pub(super) fn playbooks(
        &mut self,
        folder: Option<&PathBuf>,
        calendars: &Calendars,
    ) -> BTreeMap<String, String> {
        let own = self.folder(folder, ".toml");
        let mut texts: BTreeMap<String, String> =
            BUILTIN.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let shown =
            folder.map_or_else(String::new, |folder| self.full(folder).display().to_string());
        for (name, text) in own {
            match playbook::load(&text, calendars) {
                Ok(_) => {
                    texts.insert(name, text);
                }
                Err(problems) => {
                    for problem in problems {
                        let place = format!("{shown}/{name}.toml:{}", problem.line);
                        self.wrong(place, problem.message, "mend the playbook");
                    }
                    self.refused.insert(name);
                }
            }
        }
        texts
    }
}

//! Where secrets lie: in files of the operator's, or with systemd's credentials.

use std::path::{Path, PathBuf};

use crate::config::{Named, Reader};
use crate::domain::facts::names::is_id;
use crate::edge::files;
use crate::error::Fault;

/// Where systemd keeps the credentials of units that run.
const RUNNING: &str = "/run/credentials";
/// The unit that runs a config: one of its name among several, or the only one. Never another's: its passwords would
/// be shown to a server that is not its own.
fn unit(config: &Path) -> String {
    match config.file_stem().and_then(|name| name.to_str()) {
        None | Some("embargod") => "embargod.service".to_owned(),
        Some(name) => format!("embargod@{name}.service"),
    }
}

/// Where a credential lies: as the unit gets it, or, for a command beside the unit, where that got it.
fn credential(name: &str, config: &Path) -> Result<PathBuf, Fault> {
    if let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        return Ok(PathBuf::from(folder).join(name));
    }
    let unit = unit(config);
    let place = Path::new(RUNNING).join(&unit).join(name);
    if place.exists() {
        return Ok(place);
    }
    Err(Fault::new(
        format!(
            "the credential `{name}` is not given to this command, and {unit} does not run with it"
        ),
        "start the unit and run the command as root, or name a file instead of `credential:`",
    ))
}

impl Reader<'_> {
    /// Where a secret lies. Its file can be read; it is read again whenever what it holds is needed.
    pub(super) fn secret_path(
        &mut self,
        section: usize,
        key: &str,
        value: &str,
    ) -> Option<PathBuf> {
        let place = self.key_place(section, key);
        let path = match value.strip_prefix("credential:") {
            Some(name) if is_id(name) => match credential(name, self.path) {
                Ok(path) => {
                    self.named.push(Named { written: value.to_owned(), path: path.clone() });
                    path
                }
                Err(fault) => {
                    self.wrong(place, fault.what, fault.next);
                    return None;
                }
            },
            Some(name) => {
                let what = format!("`{name}` is no name of a credential");
                self.wrong(place, what, "use letters, digits, `-` and `_`");
                return None;
            }
            None => self.own(Path::new(value)),
        };
        match files::secret(&path) {
            Ok(_) => {
                self.is_private(place, &path);
                Some(path)
            }
            Err(fault) => {
                self.wrong(place, fault.what, fault.next);
                None
            }
        }
    }

    /// Complains where others may read what is the desk's alone.
    pub(super) fn is_private(&mut self, place: String, path: &Path) {
        // systemd sees to its own.
        if path.starts_with(RUNNING) {
            return;
        }
        if let Some(owner) = files::readable_by_others(path) {
            let what = format!("others may read {}: it belongs to {owner}", path.display());
            self.warn(place, what, format!("chmod 600 {}", path.display()));
        }
    }
}

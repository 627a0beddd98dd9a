//! Which desk is meant, on a host that has one or several: each has a config in one folder, by its name.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::domain::facts::names::is_id;
use crate::error::{Fault, Place};

use super::{Done, say, say_error};

/// Where the configs of a host's desks lie, and what says so otherwise.
const FOLDER: &str = "/etc/embargod";
const FOLDER_SAID: &str = "EMBARGOD_DESKS";
/// The config of the only desk.
const ONLY: &str = "embargod.toml";

fn folder() -> PathBuf {
    std::env::var_os(FOLDER_SAID).map_or_else(|| PathBuf::from(FOLDER), PathBuf::from)
}

/// The config that is meant: the one that is named, the one of a desk's name, the one here, or the host's. A link is
/// followed here, for all commands: what a config names lies beside it, and not beside a link to it.
pub(super) fn config(named: Option<PathBuf>, desk: Option<&str>) -> Result<PathBuf, Fault> {
    meant(named, desk).map(followed)
}

fn followed(path: PathBuf) -> PathBuf {
    if path.is_symlink() { path.canonicalize().unwrap_or(path) } else { path }
}

fn meant(named: Option<PathBuf>, desk: Option<&str>) -> Result<PathBuf, Fault> {
    if let Some(named) = named {
        return Ok(named);
    }
    let Some(desk) = desk else {
        let here = PathBuf::from(ONLY);
        let hosts = folder().join(ONLY);
        return Ok(if !here.exists() && hosts.exists() { hosts } else { here });
    };
    if !is_id(desk) {
        let what = format!("`{desk}` is no name of a desk");
        return Err(Fault::new(what, "use letters, digits, `-` and `_`"));
    }
    Ok(folder().join(format!("{desk}.toml")))
}

/// The configs of all desks of the host, in the order of their names.
fn all() -> Result<Vec<PathBuf>, Fault> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).at(|| folder.display().to_string())?;
    let mut all: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|it| it == "toml"))
        .collect();
    all.sort();
    if all.is_empty() {
        let what = format!("no desk has its config in {}", folder.display());
        return Err(Fault::new(what, "put them there as NAME.toml, or name one with --config"));
    }
    Ok(all)
}

/// Does something for each desk, whatever becomes of the others: fine where it is for all of them.
pub(super) fn each(run: impl Fn(&Path) -> Done) -> Done {
    let mut worst = ExitCode::SUCCESS;
    for path in all()? {
        let name =
            path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        say(&format!("== {name}"));
        match run(&followed(path)) {
            Ok(code) if code == ExitCode::SUCCESS => {}
            Ok(_) => worst = ExitCode::FAILURE,
            Err(fault) => {
                say_error(&format!("embargod: {fault}"));
                worst = ExitCode::FAILURE;
            }
        }
    }
    Ok(worst)
}

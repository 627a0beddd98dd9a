//! `embargod key`: the desk's own key: when it ends, a new one, and what is published.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config;
use crate::domain::facts::key::Subkey;
use crate::domain::facts::names::Moment;
use crate::edge::files;
use crate::edge::pgp::{Certificate, generate};
use crate::edge::{wkd, write_private};
use crate::error::{Fault, Place};

use super::{Done, say};

/// Arguments of `key`.
#[derive(Debug, Args)]
pub(super) struct Key {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show the desk's key and when it ends.
    Show,
    /// Make a new key and put it in the config; the old one goes on opening what comes in.
    Rotate {
        /// Do it. Without it, say what would be done.
        #[arg(long)]
        yes: bool,
    },
    /// Write the certificate (WKD) and a signed security.txt into a web server's `.well-known`
    /// folder; what is still good stays. Run it daily.
    Publish {
        /// The folder; `[publish] folder` of the config when it is not given.
        folder: Option<PathBuf>,
    },
}

impl Key {
    pub(super) fn run(&self, path: &Path, now: Moment) -> Done {
        match &self.what {
            What::Show => show(path, now),
            What::Rotate { yes } => rotate(path, now, *yes),
            What::Publish { folder } => publish(path, now, folder.as_deref()),
        }
    }
}

fn show(path: &Path, now: Moment) -> Done {
    let config = config::read_or_fault(path, now)?;
    let settings = &config.sources.settings;
    let certificate =
        Certificate::read(settings.certificate.as_bytes()).at(|| "the desk's key".to_owned())?;
    let facts = certificate.facts(now);
    say(&format!("key      {}", settings.fingerprint.spaced()));
    let line = |what: &str, subkey: &Subkey| {
        let end = subkey.end().map_or_else(
            || "for ever".to_owned(),
            |end| format!("until {}", end.format("%Y-%m-%d %H:%M UTC")),
        );
        say(&format!("{what}  {} {end}", subkey.id));
    };
    if let Some(signing) = certificate.signing(now) {
        line("sign   ", &signing);
    }
    for subkey in &facts.subkeys {
        line("encrypt", subkey);
    }
    say(&format!("old      {}", config.keys.len().saturating_sub(1)));
    say("Next: `embargod key rotate` makes a new one in good time.");
    Ok(ExitCode::SUCCESS)
}

/// The config's text with another key in the place of the present one, which goes in front of the old
/// ones.
fn with_new_key(text: &str, new: &str) -> Option<String> {
    let mut before = None;
    let mut inside = false;
    let mut done = false;
    let mut out = String::with_capacity(text.len().saturating_add(80));
    for line in text.lines() {
        if line.trim_start().starts_with('[') {
            inside = line.trim() == "[keys]";
        }
        let value = |key: &str| {
            let rest = line.trim_start().strip_prefix(key)?.trim_start().strip_prefix('=')?;
            Some(rest.trim())
        };
        if let (true, Some(rest)) = (inside, value("secret")) {
            let old = rest.strip_prefix('"')?.split('"').next()?;
            before = Some(old.to_owned());
            out.push_str(&format!("secret = \"{new}\"\n"));
        } else if let (true, Some(rest), Some(old)) = (inside, value("old"), &before) {
            let list = rest.strip_prefix('[')?.split(']').next()?.trim();
            let comma = if list.is_empty() { "" } else { ", " };
            out.push_str(&format!("old = [\"{old}\"{comma}{list}]\n"));
            done = true;
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    // What is written in another form than this reads is not to be broken by it.
    let parsed: toml::Table = out.parse().ok()?;
    let keys = parsed.get("keys")?;
    let first = keys.get("old")?.as_array()?.first()?.as_str();
    let right = keys.get("secret")?.as_str() == Some(new) && first == before.as_deref();
    (done && right).then_some(out)
}

fn rotate(path: &Path, now: Moment, yes: bool) -> Done {
    let config = config::read_or_fault(path, now)?;
    let settings = &config.sources.settings;
    let text = files::text(path)?;
    let name = format!("keys/desk-{}.asc", now.format("%Y%m%d-%H%M%S"));
    let changed = with_new_key(&text, &name).ok_or_else(|| {
        Fault::new(
            format!(
                "{}: [keys] has no `secret = \"...\"` and below it `old = [...]`, each on one line",
                path.display()
            ),
            "write them so, in this order; nothing was changed",
        )
    })?;
    if !yes {
        say(&format!(
            "This makes {name}, puts it in the config as `secret`, and the present key among"
        ));
        say(
            "`old`, which still open what comes in. At the next start everybody is told, sealed and",
        );
        say("signed by the present key, with the new certificate attached.");
        say("Next: embargod key rotate --yes");
        return Ok(ExitCode::SUCCESS);
    }
    let (_, desk) = super::look::open(path, now)?;
    if desk.configured.is_some() && desk.settings.fingerprint != settings.fingerprint {
        return Err(Fault::new(
            "the key in the config has not been told to anybody yet",
            "start the desk once, so that everybody hears of it; then rotate again if you must",
        ));
    }
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let (key, revocation) =
        generate(&settings.name, settings.address.as_str(), Some(&config.passphrase), Some(3), now)
            .at(|| "making a key".to_owned())?;
    let secret = folder.join(&name);
    let revocation_path = secret.with_extension("revocation.asc");
    let public_path = secret.with_extension("public.asc");
    std::fs::create_dir_all(folder.join("keys")).at(|| "keys".to_owned())?;
    write_private(&secret, &key)?;
    write_private(&revocation_path, &revocation)?;
    let certificate = Certificate::read(&key).at(|| "the new key".to_owned())?;
    write_private(&public_path, certificate.armored().as_bytes())?;
    let new = path.with_extension("toml.new");
    write_private(&new, changed.as_bytes())?;
    std::fs::rename(&new, path).at(|| path.display().to_string())?;
    say(&format!("New key     {}", certificate.fingerprint().spaced()));
    say(&format!("revocation  {}; move it off this machine now", revocation_path.display()));
    say(&format!(
        "certificate {}; publish this one, or `embargod key publish`",
        public_path.display()
    ));
    say(
        "Next: restart the desk; it tells everybody. Keep the old key until nobody uses it any more.",
    );
    Ok(ExitCode::SUCCESS)
}

fn publish(path: &Path, now: Moment, folder: Option<&Path>) -> Done {
    let config = config::read_or_fault(path, now)?;
    let folder =
        folder.map(Path::to_owned).or_else(|| config.publish.clone()).ok_or_else(|| {
            Fault::new(
                "it is not said where",
                "name the folder, or give [publish] folder in the config",
            )
        })?;
    let keyring = config::keyring(&config, [0; 32], now)?;
    let written = wkd::publish(&folder, &keyring, &config.sources.settings.address, now)?;
    for file in &written {
        say(&format!("wrote {}", file.display()));
    }
    if written.is_empty() {
        say("Everything there is still good; nothing was written.");
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_key_goes_in_front_of_those_before_it() {
        let text = "[desk]\nname = \"x\"\n[keys]\nsecret = \"keys/b.asc\"  # now\nold = [\"keys/a.asc\"]  # then\n";
        let wanted = "[desk]\nname = \"x\"\n[keys]\nsecret = \"keys/c.asc\"\nold = [\"keys/b.asc\", \"keys/a.asc\"]\n";
        assert_eq!(with_new_key(text, "keys/c.asc").as_deref(), Some(wanted));
        assert_eq!(with_new_key("[keys]\nsecret = \"x\"\n", "y"), None);
        // A list over several lines is right, and would be broken by this: nothing is changed.
        let text = "[keys]\nsecret = \"keys/b.asc\"\nold = [\n  \"keys/a.asc\",\n]\n";
        assert_eq!(with_new_key(text, "keys/c.asc"), None);
    }
}

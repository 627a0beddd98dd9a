//! The files of a new desk.

use std::path::PathBuf;

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use crate::edge::{files, write_private};
use crate::error::{Fault, Place};

use super::Quickstart;
use super::found::Found;
use super::people::Someone;

impl Quickstart {
    /// Writes certificates, passwords and the config; gives its place.
    pub(super) fn write(
        &self,
        people: &[Someone],
        (imap, smtp): (&Option<Found>, &Option<Found>),
        authority: Option<&[u8]>,
        oauth: Option<&str>,
    ) -> Result<PathBuf, Fault> {
        let config = self.folder.join("embargod.toml");
        let keys = self.folder.join("keys");
        let mut document: DocumentMut =
            files::text(&config)?.parse().at(|| config.display().to_string())?;
        if let Some(authority) = authority {
            write_private(&keys.join("ca.pem"), authority)?;
        }
        for (section, place) in [("imap", imap), ("smtp", smtp)] {
            let (Some(place), Some(table)) =
                (place, document.get_mut(section).and_then(Item::as_table_mut))
            else {
                continue;
            };
            set(table, "host", place.shown.host.as_str());
            set(table, "port", i64::from(place.shown.port));
            set(table, "tls", place.shown.tls);
            set(table, "user", place.shown.user.as_str());
            match &place.password {
                Some(password) => {
                    write_private(&keys.join(format!("{section}-password")), password.as_bytes())?;
                }
                None => drop(table.remove("password_file")),
            }
            if authority.is_some() {
                table.insert("ca_file", value("keys/ca.pem"));
            }
        }
        if let Some(desk) = document.get_mut("desk").and_then(Item::as_table_mut) {
            set(desk, "playbook", self.playbook.as_str());
            set(desk, "zone", self.zone.as_str());
        }
        if let Some(preset) = oauth {
            let mut table = Table::new();
            table.insert("preset", value(preset));
            table.insert("client_id", value("FILL-IN"));
            document.insert("oauth", Item::Table(table));
        }
        let mut tables = ArrayOfTables::new();
        for one in people {
            let file = format!("keys/{}.asc", one.id);
            write_private(&self.folder.join(&file), one.certificate.armored().as_bytes())?;
            let mut table = Table::new();
            table.insert("id", value(one.id.as_str()));
            table.insert("name", value(one.name.as_str()));
            table.insert("address", value(one.address.to_string()));
            table.insert("certificate", value(file));
            table.insert("roles", value(one.roles.iter().collect::<toml_edit::Array>()));
            tables.push(table);
        }
        document.insert("person", Item::ArrayOfTables(tables));
        std::fs::write(&config, document.to_string())
            .map_err(|error| files::unread(&config, &error))?;
        Ok(config)
    }
}

/// Puts a value in the place of another, with the comment behind it.
fn set(table: &mut Table, key: &str, new: impl Into<toml_edit::Value>) {
    let mut new: toml_edit::Value = new.into();
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(key, Item::Value(new));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SAMPLE;

    #[test]
    fn the_sample_has_what_is_filled_in() {
        let document: DocumentMut = SAMPLE.parse().unwrap();
        for (section, keys) in [
            ("imap", &["host", "port", "tls", "user", "password_file"][..]),
            ("smtp", &["host", "port", "tls", "user", "password_file"]),
            ("desk", &["playbook", "zone"]),
        ] {
            let table = document.get(section).unwrap().as_table().unwrap();
            assert!(keys.iter().all(|key| table.contains_key(key)), "{section}");
        }
    }
}

//! `[oauth]`: how tokens are had for a mailbox that takes no passwords.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use crate::config::Reader;
use crate::edge::https::may_ask;
use crate::edge::oauth::{Application, Giver, Host, Source};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OauthPart {
    token_command: Option<Vec<String>>,
    preset: Option<Preset>,
    #[serde(default)]
    grant: Grant,
    tenant: Option<String>,
    client_id: Option<String>,
    client_secret_file: Option<String>,
    refresh_token_file: Option<String>,
    token_url: Option<String>,
    device_url: Option<String>,
    authorize_url: Option<String>,
    scopes: Option<Vec<String>>,
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Preset {
    Google,
    Microsoft,
}

/// Whom the host lets in: somebody who has signed in once, or the application as itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Grant {
    #[default]
    Login,
    ClientCredentials,
}

/// What is known of a host.
fn known(preset: Preset, tenant: &str, grant: Grant) -> Host {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
    match preset {
        // Its device grant gives no access to mail, so that a browser is sent to agree; without these two
        // it gives nothing that lasts.
        Preset::Google => Host {
            token_url: "https://oauth2.googleapis.com/token".to_owned(),
            device_url: None,
            authorize_url: Some("https://accounts.google.com/o/oauth2/v2/auth".to_owned()),
            scopes: texts(&["https://mail.google.com/"]),
            extra: [("access_type", "offline"), ("prompt", "consent")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
        },
        Preset::Microsoft => {
            let at = |what: &str| {
                format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/{what}")
            };
            let scopes: &[&str] = match grant {
                Grant::Login => &[
                    "https://outlook.office.com/IMAP.AccessAsUser.All",
                    "https://outlook.office.com/SMTP.Send",
                    "offline_access",
                ],
                Grant::ClientCredentials => &["https://outlook.office365.com/.default"],
            };
            Host {
                token_url: at("token"),
                device_url: Some(at("devicecode")),
                authorize_url: Some(at("authorize")),
                scopes: texts(scopes),
                extra: Vec::new(),
            }
        }
    }
}

impl Reader<'_> {
    /// Who gives tokens; none where the section is not in order.
    pub(super) fn oauth(&mut self, part: Spanned<OauthPart>) -> Option<Arc<Giver>> {
        let at = part.span().start;
        let part = part.into_inner();
        if let Some(words) = part.token_command {
            let alone = part.preset.is_none() && part.client_id.is_none();
            if words.is_empty() || !alone {
                let place = self.key_place(at, "token_command");
                let what = if alone { "names no program" } else { "stands beside other ways" };
                let next = "write the program and its arguments, and nothing else in [oauth]";
                self.wrong(place, format!("`token_command` {what}"), next);
                return None;
            }
            return Some(Arc::new(Giver::new(Source::Program(words))));
        }
        let tenant = part.tenant.as_deref().unwrap_or("organizations");
        let is_tenant = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        let own = part.grant == Grant::ClientCredentials && part.preset == Some(Preset::Microsoft);
        if tenant.is_empty() || !tenant.chars().all(is_tenant) || (own && part.tenant.is_none()) {
            let place = self.key_place(at, "tenant");
            let next = "write your directory's id, as its administration page shows it";
            self.wrong(place, "`tenant` is no directory of Microsoft 365", next);
        }
        let mut host = match part.preset {
            Some(preset) => known(preset, tenant, part.grant),
            None => Host {
                token_url: String::new(),
                device_url: None,
                authorize_url: None,
                scopes: Vec::new(),
                extra: Vec::new(),
            },
        };
        host.token_url = part.token_url.unwrap_or(host.token_url);
        host.device_url = part.device_url.or(host.device_url);
        host.authorize_url = part.authorize_url.or(host.authorize_url);
        host.scopes = part.scopes.unwrap_or(host.scopes);
        self.urls(at, &host);
        let secret =
            part.client_secret_file.map(|file| self.secret_path(at, "client_secret_file", &file));
        let refresh =
            part.refresh_token_file.map(|file| self.secret_path(at, "refresh_token_file", &file));
        let Some(id) = part.client_id.filter(|id| !id.is_empty()) else {
            let place = self.key_place(at, "client_id");
            let next = "register an application at your mailbox's host and write its id";
            self.wrong(place, "`client_id` is missing in [oauth]", next);
            return None;
        };
        if part.grant == Grant::ClientCredentials && secret.is_none() {
            let place = self.key_place(at, "grant");
            let next = "add `client_secret_file`";
            self.wrong(place, "an application that is let in as itself has a secret", next);
        }
        let ca_file = part.ca_file.as_ref().map(|path| self.own(path));
        let application = Application { id, secret: secret.flatten(), ca_file };
        Some(Arc::new(Giver::new(match part.grant {
            Grant::ClientCredentials => Source::Application(host, application),
            Grant::Login => Source::SignedIn(host, application, refresh.flatten()),
        })))
    }

    fn urls(&mut self, at: usize, host: &Host) {
        let known = [
            ("token_url", Some(&host.token_url)),
            ("device_url", host.device_url.as_ref()),
            ("authorize_url", host.authorize_url.as_ref()),
        ];
        for (key, url) in known {
            if let Some(url) = url.filter(|url| !may_ask(url)) {
                let place = self.key_place(at, key);
                let what = if url.is_empty() {
                    format!("`{key}` is missing, and no `preset` is named")
                } else {
                    format!("`{url}` is no https:// address")
                };
                let next = "write `preset = \"google\"` or `\"microsoft\"`, or the addresses that your host gives";
                self.wrong(place, what, next);
            }
        }
    }
}

//! `[imap]`, `[smtp]`, `[limits]` and `[heartbeat]`: whom the desk talks to, how fast, and who hears that it is
//! well.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use crate::config::shape::{HeartbeatPart, ImapPart, LimitsPart, SmtpPart, Tls};
use crate::config::{Reader, Sending, shape};
use crate::edge::heartbeat::Heartbeat;
use crate::edge::https::may_ask;
use crate::edge::imap::{Junk, Mailbox};
use crate::edge::oauth::Giver;
use crate::edge::server::{Credential, PasswordFile, Secret, Server};

impl Reader<'_> {
    pub(super) fn limits(&mut self, part: Option<Spanned<LimitsPart>>) -> LimitsPart {
        let Some(part) = part else { return LimitsPart::default() };
        let at = part.span().start;
        let limits = part.into_inner();
        self.within(at, "tick_s", limits.tick_s.into(), shape::TICK_S);
        let acknowledgements = limits.acknowledgements_per_hour.into();
        let range = shape::ACKNOWLEDGEMENTS_PER_HOUR;
        self.within(at, "acknowledgements_per_hour", acknowledgements, range);
        self.within(at, "relay_bytes", limits.relay_bytes.into(), shape::RELAY_BYTES);
        limits
    }

    /// Whose word on strangers counts, and the header by which spam is marked.
    pub(super) fn verdicts(
        &mut self,
        part: &Spanned<ImapPart>,
    ) -> (Option<String>, Option<(String, String)>) {
        (part.get_ref().verdicts_of.clone(), self.spam_header(part))
    }

    /// `Name: value`, as the header stands in a mail.
    fn spam_header(&mut self, part: &Spanned<ImapPart>) -> Option<(String, String)> {
        let text = part.get_ref().spam_header.as_ref()?;
        let parts = text.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let found = parts.filter(|(name, value)| is_name(name) && !value.is_empty());
        if found.is_none() {
            let place = self.key_place(part.span().start, "spam_header");
            let next = "write it as it stands in a mail, like \"X-Spam-Flag: YES\"";
            self.wrong(place, format!("`{text}` is no header with a value"), next);
        }
        found.map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    #[expect(clippy::too_many_arguments, reason = "the keys of a section")]
    fn server(
        &mut self,
        section: usize,
        host: String,
        port: u16,
        tls: Tls,
        user: String,
        password_file: Option<&String>,
        ca_file: Option<&PathBuf>,
        tokens: Option<&Arc<Giver>>,
    ) -> Option<Server> {
        let credential = match (password_file, tokens) {
            (Some(file), _) => {
                let path = self.secret_path(section, "password_file", file)?;
                Credential::Password(Arc::new(PasswordFile(path)))
            }
            (None, Some(tokens)) => Credential::Token(Arc::clone(tokens) as Arc<dyn Secret>),
            (None, None) => {
                let place = self.place(section);
                let what = "there is neither a `password_file` here nor an [oauth] section";
                let next = "name a file with the password; where the mailbox's host takes none, see [oauth] in the sample that `embargod init` writes";
                self.wrong(place, what, next);
                return None;
            }
        };
        let (always, starts) = (tls == Tls::Implicit, tls == Tls::Starttls);
        if (starts && matches!(port, 465 | 993)) || (always && matches!(port, 25 | 143 | 587)) {
            let (is, says) =
                if starts { ("implicit", "starttls") } else { ("starttls", "implicit") };
            let what = format!("`tls` is `{says}`, and a server at port {port} expects `{is}`");
            let place = self.key_place(section, "tls");
            self.wrong(place, what, format!("write `tls = \"{is}\"`, or the other port"));
        }
        let ca_file = ca_file.map(|path| self.own(path));
        if let Some(path) = ca_file.as_ref().filter(|path| !path.exists()) {
            let place = self.key_place(section, "ca_file");
            self.wrong(
                place,
                format!("{} is not there", path.display()),
                "give a PEM file, or take the line out",
            );
        }
        Some(Server { host, port, implicit_tls: tls == Tls::Implicit, ca_file, user, credential })
    }

    pub(super) fn mailbox(
        &mut self,
        part: Spanned<ImapPart>,
        tokens: Option<&Arc<Giver>>,
    ) -> Option<Mailbox> {
        let at = part.span().start;
        let imap = part.into_inner();
        self.within(at, "full_look_s", imap.full_look_s, shape::FULL_LOOK_S);
        self.within(at, "letter_bytes_max", imap.letter_bytes_max.into(), shape::LETTER_BYTES);
        let server = self.server(
            at,
            imap.host,
            imap.port,
            imap.tls,
            imap.user,
            imap.password_file.as_ref(),
            imap.ca_file.as_ref(),
            tokens,
        );
        Some(Mailbox {
            server: server?,
            junk: match imap.junk.as_str() {
                "auto" => Junk::Find,
                "none" => Junk::None,
                _ => Junk::Named(imap.junk),
            },
            others: imap.folders.into_iter().filter(|name| *name != imap.folder).collect(),
            folder: imap.folder,
            full_look: Duration::from_secs(imap.full_look_s),
            size_max: imap.letter_bytes_max,
            since: None,
            mark: String::new(),
        })
    }

    pub(super) fn sending(
        &mut self,
        part: Spanned<SmtpPart>,
        tokens: Option<&Arc<Giver>>,
    ) -> Option<Sending> {
        let at = part.span().start;
        let smtp = part.into_inner();
        let (connections, stop) = (smtp.connections, smtp.stop_s);
        let stand = connections.max(shape::CONNECTIONS_STAND);
        let connections_max = smtp.connections_max.unwrap_or(stand);
        self.within(at, "connections", connections.into(), shape::CONNECTIONS);
        let more = connections.into()..=shape::CONNECTIONS_MAX;
        self.within(at, "connections_max", connections_max.into(), more);
        self.within(at, "stop_s", stop, shape::STOP_S);
        let server = self.server(
            at,
            smtp.host,
            smtp.port,
            smtp.tls,
            smtp.user,
            smtp.password_file.as_ref(),
            smtp.ca_file.as_ref(),
            tokens,
        );
        Some(Sending {
            server: server?,
            connections: connections.into(),
            connections_max: connections_max.into(),
            stop: Duration::from_secs(stop),
        })
    }

    pub(super) fn heartbeat(&mut self, part: Spanned<HeartbeatPart>) -> Heartbeat {
        let at = part.span().start;
        let part = part.into_inner();
        self.within(at, "every_s", part.every_s, shape::HEARTBEAT_S);
        if let Some(url) = part.url.as_ref().filter(|url| !may_ask(url)) {
            let place = self.key_place(at, "url");
            let next = "write an https:// address, or http:// on this machine";
            self.wrong(place, format!("`{url}` is no address that may be called"), next);
        }
        let has_command = part.command.as_ref().is_some_and(|words| !words.is_empty());
        if part.url.is_none() && !has_command {
            let place = self.place(at);
            let next = "add `url` or `command`, or take the section out";
            self.wrong(place, "[heartbeat] names nobody", next);
        }
        Heartbeat {
            url: part.url,
            command: part.command.filter(|words| !words.is_empty()),
            every: Duration::from_secs(part.every_s),
            ca_file: part.ca_file.as_ref().map(|path| self.own(path)),
        }
    }
}

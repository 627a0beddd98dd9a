//! Where a mailbox's servers may be: each guess with where it comes from, and whether a password may go there unasked.

use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::Event;
use ureq::http::Request;

use crate::edge::dns::Names;
use crate::edge::https::Asker;

/// One of the two servers of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Where mail is read.
    Imap,
    /// Where mail is handed over.
    Smtp,
}

impl Kind {
    /// Its section in the config.
    pub(super) fn section(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Smtp => "smtp",
        }
    }

    /// The ports that are tried at a host of which nothing is said, and whether TLS is there from the first byte.
    fn ports(self) -> [(u16, bool); 2] {
        match self {
            Self::Imap => [(993, true), (143, false)],
            Self::Smtp => [(465, true), (587, false)],
        }
    }

    /// Its services in the domain name system (RFC 6186; RFC 8314, 5.1), and whether they begin with TLS.
    fn services(self) -> [(&'static str, bool); 2] {
        match self {
            Self::Imap => [("_imaps._tcp", true), ("_imap._tcp", false)],
            Self::Smtp => [("_submissions._tcp", true), ("_submission._tcp", false)],
        }
    }
}

/// A place where a server may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) implicit_tls: bool,
    /// Where that is from, in words.
    pub(super) from: String,
    /// Whether it is the operator's word, the domain's own over TLS, or inside of the domain.
    pub(super) is_trusted: bool,
}

/// A host of mailboxes that says nowhere in a readable form where its servers are.
pub(super) struct Preset {
    pub(super) name: &'static str,
    /// How the names of the hosts that take its mail end.
    takers: &'static [&'static str],
    imap: (&'static str, u16, bool),
    smtp: (&'static str, u16, bool),
    /// Whose tokens it takes in place of a password.
    pub(super) oauth: Option<&'static str>,
    /// What a person has to know.
    pub(super) note: &'static str,
}

/// The hosts that have rows; their addresses are from their own help pages.
pub(super) const PRESETS: &[Preset] = &[
    Preset {
        name: "google",
        takers: &[".google.com", ".googlemail.com"],
        imap: ("imap.gmail.com", 993, true),
        smtp: ("smtp.gmail.com", 465, true),
        oauth: Some("google"),
        note: "Google Workspace takes no passwords: register an application (docs/login.md)",
    },
    Preset {
        name: "microsoft",
        takers: &[".protection.outlook.com"],
        imap: ("outlook.office365.com", 993, true),
        smtp: ("smtp.office365.com", 587, false),
        oauth: Some("microsoft"),
        note: "Microsoft 365 takes no passwords: register an application (docs/login.md)",
    },
    Preset {
        name: "fastmail",
        takers: &[".messagingengine.com"],
        imap: ("imap.fastmail.com", 993, true),
        smtp: ("smtp.fastmail.com", 465, true),
        oauth: None,
        note: "Fastmail wants an app password: make one for IMAP and SMTP in its settings",
    },
    Preset {
        name: "proton-bridge",
        takers: &[],
        imap: ("127.0.0.1", 1143, false),
        smtp: ("127.0.0.1", 1025, false),
        oauth: None,
        note: "Proton Mail is read through its Bridge on this machine: use the password that Bridge shows, and its exported certificate with --ca-file",
    },
    Preset {
        name: "local",
        takers: &[],
        imap: ("localhost", 993, true),
        smtp: ("localhost", 465, true),
        oauth: None,
        note: "the servers on this machine",
    },
];

impl Preset {
    /// The one of a name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// The one to whose hosts a domain's mail goes.
    pub(super) fn of(takers: &[String]) -> Option<&'static Self> {
        let takes = |preset: &&Self| {
            takers.iter().any(|host| preset.takers.iter().any(|end| host.ends_with(end)))
        };
        PRESETS.iter().find(takes)
    }

    fn guess(&self, kind: Kind) -> Vec<Guess> {
        let (host, port, implicit_tls) = match kind {
            Kind::Imap => self.imap,
            Kind::Smtp => self.smtp,
        };
        let from = format!("the preset `{}`", self.name);
        let first = Guess { host: host.to_owned(), port, implicit_tls, from, is_trusted: true };
        let other = kind.ports().into_iter().find(|(other, _)| *other != port);
        let more = other.filter(|_| self.name == "local");
        let more = more.map(|(port, implicit_tls)| Guess { port, implicit_tls, ..first.clone() });
        std::iter::once(first).chain(more).collect()
    }
}

/// What the operator said: `HOST` or `HOST:PORT`.
pub(super) fn said(text: &str, kind: Kind) -> Option<Vec<Guess>> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse::<u16>().ok()?)),
        None => (text, None),
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return None;
    }
    let guess = |port: u16, implicit_tls: bool| Guess {
        host: host.to_owned(),
        port,
        implicit_tls,
        from: format!("--{}", kind.section()),
        is_trusted: true,
    };
    Some(match port {
        None => kind.ports().map(|(port, tls)| guess(port, tls)).to_vec(),
        Some(port) => {
            // Which of the two it is at a port of their own is found by trying.
            let starts = matches!(port, 25 | 143 | 587 | 1025 | 1143);
            match kind.ports().iter().any(|(usual, _)| *usual == port) || starts {
                true => vec![guess(port, !starts)],
                false => vec![guess(port, true), guess(port, false)],
            }
        }
    })
}

/// Whether a host is the domain or below it.
fn is_inside(host: &str, domain: &str) -> bool {
    let (host, domain) = (host.to_ascii_lowercase(), domain.to_ascii_lowercase());
    host == domain || host.ends_with(&format!(".{domain}"))
}

/// Everywhere that a domain's servers may be, the likeliest first.
pub(super) async fn guesses(
    domain: &str,
    kind: Kind,
    names: Option<&Names>,
    preset: Option<&Preset>,
    autoconfig: &[(Kind, Guess)],
) -> Vec<Guess> {
    let mut all: Vec<Guess> = preset.map(|preset| preset.guess(kind)).unwrap_or_default();
    if preset.is_some() {
        return all;
    }
    if let Some(names) = names {
        for (service, implicit_tls) in kind.services() {
            for (host, port) in names.services(&format!("{service}.{domain}")).await {
                let is_trusted = is_inside(&host, domain);
                let from = format!("the name server's {service}.{domain}");
                all.push(Guess { host, port, implicit_tls, from, is_trusted });
            }
        }
    }
    all.extend(autoconfig.iter().filter(|(of, _)| *of == kind).map(|(_, guess)| guess.clone()));
    let usual = if kind == Kind::Imap { "imap" } else { "smtp" };
    for host in [format!("{usual}.{domain}"), format!("mail.{domain}"), domain.to_owned()] {
        for (port, implicit_tls) in kind.ports() {
            let from = "a usual name".to_owned();
            all.push(Guess { host: host.clone(), port, implicit_tls, from, is_trusted: true });
        }
    }
    let mut seen = Vec::new();
    all.retain(|guess| {
        let is_new = !seen.contains(&(guess.host.clone(), guess.port));
        seen.push((guess.host.clone(), guess.port));
        is_new
    });
    all
}

/// Reads a domain's own file about its servers, over TLS: what it says is the domain's word.
pub(super) fn autoconfig(domain: &str, ca_file: Option<&Path>) -> Vec<(Kind, Guess)> {
    let Ok(asker) = Asker::new(ca_file) else { return Vec::new() };
    let places = [
        format!("https://autoconfig.{domain}/mail/config-v1.1.xml"),
        format!("https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml"),
    ];
    for place in places {
        let Ok(request) = Request::get(&place).body(Vec::new()) else { continue };
        if let Ok(answer) = asker.ask(request)
            && answer.status().is_success()
        {
            let found = read(&String::from_utf8_lossy(answer.body()), &place);
            if !found.is_empty() {
                return found;
            }
        }
    }
    Vec::new()
}

/// The servers with TLS that such a file names.
fn read(xml: &str, place: &str) -> Vec<(Kind, Guess)> {
    let mut reader = Reader::from_str(xml);
    let mut all = Vec::new();
    let (mut kind, mut field) = (None, String::new());
    let (mut host, mut port, mut socket) = (String::new(), 0_u16, String::new());
    // A file of 64 KiB has fewer parts than this.
    for _ in 0..20_000 {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                let name = start.name().as_ref().to_owned();
                let of = start.try_get_attribute("type").ok().flatten();
                let of = of.map(|it| it.value.into_owned());
                match (name.as_str(), of.as_deref()) {
                    ("incomingServer", Some("imap")) => kind = Some(Kind::Imap),
                    ("outgoingServer", Some("smtp")) => kind = Some(Kind::Smtp),
                    _ => {}
                }
                field = name;
            }
            Ok(Event::Text(text)) => {
                let text = text.trim().to_owned();
                match (kind.is_some(), field.as_str()) {
                    (true, "hostname") => host = text,
                    (true, "port") => port = text.parse().unwrap_or(0),
                    (true, "socketType") => socket = text,
                    _ => {}
                }
            }
            Ok(Event::End(end)) => {
                field.clear();
                let ends = matches!(end.name().as_ref(), "incomingServer" | "outgoingServer");
                if let (true, Some(of)) = (ends, kind.take_if(|_| ends)) {
                    let tls = matches!(socket.as_str(), "SSL" | "STARTTLS");
                    if tls && !host.is_empty() && port > 0 {
                        let implicit_tls = socket == "SSL";
                        let from = place.to_owned();
                        let host = std::mem::take(&mut host);
                        all.push((of, Guess { host, port, implicit_tls, from, is_trusted: true }));
                    }
                    socket.clear();
                }
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_host_is_read_and_what_is_without_tls_is_passed_over() {
        let xml = r#"<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id="example.org">
            <incomingServer type="pop3"><hostname>pop.example.org</hostname><port>995</port>
              <socketType>SSL</socketType></incomingServer>
            <incomingServer type="imap"><hostname>plain.example.org</hostname><port>143</port>
              <socketType>plain</socketType></incomingServer>
            <incomingServer type="imap"><hostname>in.example.org</hostname><port>993</port>
              <socketType>SSL</socketType><username>%EMAILADDRESS%</username></incomingServer>
            <outgoingServer type="smtp"><hostname>out.example.org</hostname><port>587</port>
              <socketType>STARTTLS</socketType></outgoingServer></emailProvider></clientConfig>"#;
        let found = read(xml, "there");
        let short: Vec<_> = found
            .iter()
            .map(|(kind, it)| (*kind, it.host.as_str(), it.port, it.implicit_tls))
            .collect();
        assert_eq!(
            short,
            [
                (Kind::Imap, "in.example.org", 993, true),
                (Kind::Smtp, "out.example.org", 587, false)
            ]
        );
        for broken in ["", "<a", "<incomingServer type='imap'>", &"<a>".repeat(30_000)] {
            assert!(read(broken, "there").is_empty());
        }
    }

    #[test]
    fn what_the_operator_says_is_tried_with_both_kinds_of_tls_where_the_port_does_not_tell() {
        let ways = |text: &str, kind| {
            let guesses = said(text, kind).unwrap();
            guesses.iter().map(|it| (it.port, it.implicit_tls)).collect::<Vec<_>>()
        };
        assert_eq!(ways("mail.example.org", Kind::Imap), [(993, true), (143, false)]);
        assert_eq!(ways("mail.example.org:143", Kind::Imap), [(143, false)]);
        assert_eq!(ways("mail.example.org:465", Kind::Smtp), [(465, true)]);
        assert_eq!(ways("localhost:31718", Kind::Imap), [(31718, true), (31718, false)]);
        for wrong in ["", ":993", "a b", "host:port", "host:70000"] {
            assert_eq!(said(wrong, Kind::Imap), None, "{wrong}");
        }
    }

    #[test]
    fn a_host_is_known_by_whoever_takes_its_mail() {
        let of = |host: &str| Preset::of(&[host.to_owned()]).map(|preset| preset.name);
        assert_eq!(of("aspmx.l.google.com"), Some("google"));
        assert_eq!(of("example-org.mail.protection.outlook.com"), Some("microsoft"));
        assert_eq!(of("in1-smtp.messagingengine.com"), Some("fastmail"));
        assert_eq!(of("google.com.example.org"), None);
        assert_eq!(of("mail.example.org"), None);
    }

    #[test]
    fn a_name_server_sends_no_password_out_of_the_domain() {
        assert!(
            is_inside("imap.example.org", "example.org") && is_inside("Example.org", "example.org")
        );
        for other in ["imap.example.org.evil.test", "notexample.org", "imap.host.test"] {
            assert!(!is_inside(other, "example.org"), "{other}");
        }
    }
}

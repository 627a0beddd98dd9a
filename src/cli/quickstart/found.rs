//! The servers of a new desk, found and tried with the password.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::cli::say;
use crate::domain::facts::names::Address;
use crate::edge::dns::Names;
use crate::edge::server::{Credential, Secret, Server};
use crate::edge::smtp::Courier;
use crate::edge::{files, imap};
use crate::error::{Fault, Place};

use super::servers::{Guess, Kind, Preset, autoconfig, guesses, said};
use super::{Quickstart, Shown, servers};

/// One of the servers, found and tried.
pub(super) struct Found {
    pub(super) shown: Shown,
    pub(super) password: Option<Zeroizing<String>>,
}

/// The two servers, where there are any yet, and the row of their host.
pub(super) type Both = (Option<Found>, Option<Found>, Option<&'static Preset>);

/// A password that is held while it is tried.
struct Typed(Zeroizing<String>);

impl Secret for Typed {
    fn now(&self) -> Result<Zeroizing<String>, Fault> {
        Ok(self.0.clone())
    }

    fn refused(&self, _: &str) {}

    fn mend(&self) -> String {
        "see that the password, and `--user`, are what the server knows".to_owned()
    }
}

/// So long one guess is tried.
const TRIED_FOR: Duration = Duration::from_secs(12);
impl Quickstart {
    /// Both servers, tried with the password; nothing of them where the host takes none.
    pub(super) fn found(&self, address: &Address) -> Result<Both, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .at(|| "runtime".to_owned())?;
        let domain = address.domain().to_owned();
        let named = self.preset.as_deref().map(|name| {
            Preset::named(name).ok_or_else(|| {
                let all: Vec<_> = servers::PRESETS.iter().map(|preset| preset.name).collect();
                let what = format!("there is no preset `{name}`; nothing was written");
                Fault::new(
                    what,
                    format!("name one of {}, or `--imap` and `--smtp`", all.join(", ")),
                )
            })
        });
        let named = named.transpose()?;
        let both_said = self.imap.is_some() && self.smtp.is_some();
        let looks = !both_said && named.is_none();
        let names = if looks { Names::new(self.resolver).ok() } else { None };
        let preset = match (&names, named) {
            (Some(names), None) => Preset::of(&runtime.block_on(names.takers(&domain))),
            (_, named) => named,
        };
        if let Some(preset) = preset {
            self.tell(&format!("{}.", preset.note));
            if preset.oauth.is_some() && !both_said {
                let guess =
                    |kind| runtime.block_on(guesses(&domain, kind, None, Some(preset), &[]));
                let shown = |kind| guess(kind).first().map(|it| self.untried(it, address));
                return Ok((shown(Kind::Imap), shown(Kind::Smtp), Some(preset)));
            }
        }
        let config_file = if looks && preset.is_none() {
            autoconfig(&domain, self.ca_file.as_deref())
        } else {
            Vec::new()
        };
        let password = self.password(self.password_file.as_deref(), address)?;
        let smtp_password = match &self.smtp_password_file {
            Some(path) => self.password(Some(path), address)?,
            None => password.clone(),
        };
        let mut found = Vec::new();
        for (kind, given, password) in
            [(Kind::Imap, &self.imap, password), (Kind::Smtp, &self.smtp, smtp_password)]
        {
            let all = match given {
                Some(text) => said(text, kind).ok_or_else(|| {
                    let what =
                        format!("`--{} {text}` is no host; nothing was written", kind.section());
                    Fault::new(what, "write it like mail.example.org or mail.example.org:993")
                })?,
                None => {
                    runtime.block_on(guesses(&domain, kind, names.as_ref(), preset, &config_file))
                }
            };
            let server = runtime.block_on(self.tried(kind, all, address, &password))?;
            self.tell(&format!(
                "{} {}:{} lets us in as {} ({}).",
                kind.section(),
                server.host,
                server.port,
                server.user,
                server.from
            ));
            found.push(Found { shown: server, password: Some(password) });
        }
        let smtp = found.pop();
        Ok((found.pop(), smtp, preset))
    }

    fn untried(&self, guess: &Guess, address: &Address) -> Found {
        let user = self.user.clone().unwrap_or_else(|| address.to_string());
        let tls = if guess.implicit_tls { "implicit" } else { "starttls" };
        let (host, from) = (guess.host.clone(), guess.from.clone());
        Found { shown: Shown { host, port: guess.port, tls, user, from }, password: None }
    }

    fn password(&self, file: Option<&Path>, address: &Address) -> Result<Zeroizing<String>, Fault> {
        if let Some(path) = file {
            return files::secret(path);
        }
        if self.yes || !std::io::stdin().is_terminal() {
            let what = "no password was given, and nobody can be asked; nothing was written";
            return Err(Fault::new(what, "name a file that holds it with `--password-file`"));
        }
        let typed = rpassword::prompt_password(format!("Password of the mailbox {address}: "));
        typed.map(Zeroizing::new).at(|| "reading the password".to_owned())
    }

    /// The first guess at which the password is taken. It is shown to no host that does not prove its name, and to
    /// none that an unproven answer names; where it is refused it is not carried to the next.
    async fn tried(
        &self,
        kind: Kind,
        all: Vec<Guess>,
        address: &Address,
        password: &Zeroizing<String>,
    ) -> Result<Shown, Fault> {
        let section = kind.section();
        let mut why = Vec::new();
        for guess in all {
            let place = format!("{}:{}", guess.host, guess.port);
            if !guess.is_trusted && !self.agrees(&guess)? {
                why.push(format!(
                    "{place}: {} names it, and it is outside of the domain; if it is right: --{section} {place}",
                    guess.from
                ));
                continue;
            }
            let local = address.local().to_owned();
            let users = match &self.user {
                Some(user) => vec![user.clone()],
                None => vec![address.to_string(), local],
            };
            for user in users {
                let secret: Arc<dyn Secret> = Arc::new(Typed(password.clone()));
                let server = Server {
                    host: guess.host.clone(),
                    port: guess.port,
                    implicit_tls: guess.implicit_tls,
                    ca_file: self.ca_file.clone(),
                    user,
                    credential: Credential::Password(secret),
                };
                let done = tokio::time::timeout(TRIED_FOR, enter(kind, &server, address)).await;
                match done {
                    Ok(Ok(())) => {
                        return Ok(Shown { from: guess.from.clone(), ..Shown::from(&server) });
                    }
                    Err(_) => why.push(format!("{place}: it does not answer")),
                    // It is the server that we look for, and does not let us in.
                    Ok(Err(fault)) if !fault.next.is_empty() => {
                        why.push(format!("{place}, as {}: {}", server.user, fault.what));
                        continue;
                    }
                    Ok(Err(fault)) => why.push(format!("{place}: {}", fault.what)),
                }
                break;
            }
            if why.last().is_some_and(|last| last.contains(", as ")) {
                let what = format!(
                    "the {section} server does not let us in; nothing was written:\n  {}",
                    why.join("\n  ")
                );
                return Err(Fault::new(
                    what,
                    "see that the password, and `--user`, are what the server knows",
                ));
            }
        }
        let what =
            format!("no {section} server was found; nothing was written:\n  {}", why.join("\n  "));
        Err(Fault::new(
            what,
            format!(
                "name it with `--{section} HOST:PORT`; `--ca-file` where its certificate is your own"
            ),
        ))
    }

    /// Asks whether a password may go to a host that only a name server names (RFC 6186, 6).
    fn agrees(&self, guess: &Guess) -> Result<bool, Fault> {
        if self.yes || !std::io::stdin().is_terminal() {
            return Ok(false);
        }
        say(&format!(
            "{} says that the server is {}:{}, outside of the domain.",
            guess.from, guess.host, guess.port
        ));
        say("May the password go there? Type `yes` if that is your mailbox's host:");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).at(|| "reading the answer".to_owned())?;
        Ok(answer.trim().eq_ignore_ascii_case("yes"))
    }
}

async fn enter(kind: Kind, server: &Server, address: &Address) -> Result<(), Fault> {
    match kind {
        Kind::Imap => imap::connect(server).await.map(drop),
        Kind::Smtp => {
            let mut courier = Courier::new(server.clone(), address.clone());
            let done = courier.connect().await;
            courier.close().await;
            done
        }
    }
}

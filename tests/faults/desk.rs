//! A desk between two servers whose every answer can be changed.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use embargod::edge::pgp::{Keyring, generate};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::imap::Imap;
use crate::smtp::Smtp;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_embargod");

/// A certificate for `localhost`, and who vouches for it.
fn tls(folder: &Path) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("ca.pem"), made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

pub(crate) struct Desk {
    folder: tempfile::TempDir,
    pub(crate) imap: Arc<Imap>,
    pub(crate) smtp: Arc<Smtp>,
    pub(crate) child: Option<Child>,
    /// What the daemon is started with beside.
    pub(crate) environment: Vec<(String, String)>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Desk {
    pub(crate) async fn new() -> Self {
        let mut desk = Self::made("").await;
        desk.run();
        let watching =
            desk.until(Duration::from_secs(60), |desk| desk.log().contains("being watched"));
        assert!(watching.await.is_some(), "{}", desk.log());
        desk
    }

    /// A desk that does not run yet, with more lines in its config.
    pub(crate) async fn made(more_config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let made = Command::new(PROGRAM)
            .args([
                "init",
                at.to_str().unwrap(),
                "--address",
                "security@desk.test",
                "--name",
                "Desk",
            ])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let acceptor = tls(at);
        let (imap, smtp) = (Imap::start(acceptor.clone()).await, Smtp::start(acceptor).await);
        let now = std::time::SystemTime::now().into();
        let (secret, _) = generate("Mia", "mia@people.test", None, None, now).unwrap();
        let mia = Keyring::open(&[secret], None, [0; 32], now).unwrap();
        std::fs::write(at.join("mia.asc"), mia.certificate().armored()).unwrap();
        std::fs::write(at.join("keys/password"), "pw").unwrap();
        let mut config = String::from(
            "[desk]\nname = \"Desk\"\naddress = \"security@desk.test\"\nprefix = \"DESK\"\nzone = \"UTC\"\nplaybook = \"minder\"\n\
             [keys]\nsecret = \"keys/desk.asc\"\npassphrase_file = \"keys/passphrase\"\n[store]\npath = \"embargod.db\"\n\
             [limits]\ntick_s = 1\nplain_per_hour = 1000\nplain_per_day = 1000\nacknowledgements_per_hour = 1000\n\
             [[person]]\nid = \"mia\"\nname = \"Mia\"\naddress = \"mia@people.test\"\ncertificate = \"mia.asc\"\nroles = [\"security_team\", \"lead\", \"operator\"]\n",
        );
        for (name, port, more) in
            [("imap", imap.port, "folder = \"INBOX\"\nfull_look_s = 10\n"), ("smtp", smtp.port, "")]
        {
            let _ = write!(
                config,
                "[{name}]\nhost = \"localhost\"\nport = {port}\ntls = \"implicit\"\nuser = \"u\"\npassword_file = \"keys/password\"\nca_file = \"ca.pem\"\n{more}"
            );
        }
        config.push_str(more_config);
        std::fs::write(at.join("embargod.toml"), config).unwrap();
        Self { folder, imap, smtp, child: None, environment: Vec::new() }
    }

    pub(crate) fn run(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.at("log")).unwrap();
        let child = Command::new(PROGRAM)
            .arg("--config")
            .arg(self.at("embargod.toml"))
            .arg("run")
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().cloned())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
    }

    pub(crate) fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// Runs a command of the program on this desk: its exit code, and what it says.
    pub(crate) fn says(&self, words: &[&str]) -> (i32, String) {
        let config = self.at("embargod.toml");
        let out = Command::new(PROGRAM).arg("--config").arg(config).args(words).output().unwrap();
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        (out.status.code().unwrap_or(-1), said)
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.says(&["status", "--json"]).1).unwrap_or_default()
    }

    pub(crate) async fn until(
        &self,
        most: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Option<Duration> {
        let begun = Instant::now();
        while begun.elapsed() < most {
            if holds(self) {
                return Some(begun.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        None
    }

    pub(crate) fn report(&self, n: usize) {
        self.imap.add(&format!(
            "From: Rita <rita{n}@people.test>\r\nTo: security@desk.test\r\nSubject: bug {n}\r\nMessage-ID: <r{n}@people.test>\r\nDate: {}\r\n\r\nIt breaks in place {n}.\r\n",
            chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).to_rfc2822()
        ));
    }

    /// What each was sent, by Message-ID: mails to people, and to itself none.
    pub(crate) fn mails(&self) -> BTreeMap<String, (String, usize)> {
        let mut mails = BTreeMap::new();
        for taken in self.smtp.taken.lock().unwrap().iter() {
            let entry =
                mails.entry(taken.message_id.clone()).or_insert_with(|| (taken.to.clone(), 0));
            entry.1 += 1;
        }
        mails.retain(|_, (to, _)| !to.starts_with("security@"));
        mails
    }

    /// Who of the reporters was acknowledged.
    pub(crate) fn acknowledged(&self) -> BTreeSet<String> {
        self.mails().into_values().map(|(to, _)| to).filter(|to| to.starts_with("rita")).collect()
    }
}

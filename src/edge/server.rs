//! Where a mail server is, and who we are to it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::edge::files;
use crate::error::Fault;

pub mod login;

/// How a server is reached.
#[derive(Clone)]
pub struct Server {
    /// Host name, which the certificate must bear.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS from the first byte; otherwise STARTTLS, and nothing is said before it.
    pub implicit_tls: bool,
    /// Authorities to trust; the system's when none.
    pub ca_file: Option<PathBuf>,
    /// User.
    pub user: String,
    /// What proves that it is us.
    pub credential: Credential,
}

/// What proves to a server that it is us.
#[derive(Clone)]
pub enum Credential {
    /// A password.
    Password(Arc<dyn Secret>),
    /// A token that somebody else gives us, and that ends.
    Token(Arc<dyn Secret>),
}

/// Whoever gives what is shown to a server. Asked on a thread that may wait, before each log-in: what is shown
/// may have been changed since the last.
pub trait Secret: Send + Sync {
    /// What is good now.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    fn now(&self) -> Result<Zeroizing<String>, Fault>;

    /// A server did not take this one, whatever its end was said to be: the next is another.
    fn refused(&self, secret: &str);

    /// What to do where a server does not take it.
    fn mend(&self) -> String;
}

/// A password in a file, which is read at each log-in: whoever corrects it need not start the desk again.
pub struct PasswordFile(pub PathBuf);

impl Secret for PasswordFile {
    fn now(&self) -> Result<Zeroizing<String>, Fault> {
        files::secret(&self.0)
    }

    fn refused(&self, _: &str) {}

    fn mend(&self) -> String {
        let path = self.0.display();
        format!(
            "see that `user` and the password in {path} are what the server knows; a running desk reads the file again at its next try"
        )
    }
}

impl Server {
    /// What the server is shown now.
    pub(in crate::edge) async fn secret(&self) -> Result<Zeroizing<String>, Fault> {
        let (Credential::Password(secret) | Credential::Token(secret)) = &self.credential;
        let secret = Arc::clone(secret);
        let asked = tokio::task::spawn_blocking(move || secret.now()).await;
        asked.map_err(|_| Fault::new("nobody could be asked for what the server is shown", ""))?
    }

    /// What to do where the server does not let us in.
    #[must_use]
    pub fn mend(&self) -> String {
        let (Credential::Password(secret) | Credential::Token(secret)) = &self.credential;
        secret.mend()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({}:{})", self.host, self.port)
    }
}

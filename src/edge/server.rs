//! Where a mail server is, and who we are to it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

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
    Password(Zeroizing<String>),
    /// A token that somebody else gives us, and that ends.
    Token(Arc<dyn Tokens>),
}

/// Whoever gives tokens. Asked on a thread that may wait.
pub trait Tokens: Send + Sync {
    /// One that is good now.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    fn token(&self) -> Result<Zeroizing<String>, Fault>;

    /// A server did not take this one, whatever its end was said to be: the next is another.
    fn refused(&self, token: &str);
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({}:{})", self.host, self.port)
    }
}

//! Where a mail server is, and who we are to it.

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

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
    /// Password.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({}:{})", self.host, self.port)
    }
}

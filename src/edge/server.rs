//! Where a mail server is, and who we are to it.

use std::path::PathBuf;

/// How a server is reached.
#[derive(Debug, Clone)]
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
    pub password: String,
}

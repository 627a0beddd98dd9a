//! Asking somebody over HTTPS: a token endpoint, and whoever watches over the desk from outside.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::crypto;
use ureq::Agent;
use ureq::http::{Request, Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::edge::tls;
use crate::error::Fault;

/// So long the whole of it may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// What such an endpoint says is short.
const ANSWER_MAX: u64 = 64 * 1024;

/// Whether an address may be asked: with TLS, or on this machine.
#[must_use]
pub fn may_ask(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let Some(host) = url.host() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_here =
        bare == "localhost" || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    match url.scheme_str() {
        Some("https") => true,
        Some("http") => is_here,
        _ => false,
    }
}

/// Whoever asks: TLS as for the mail servers, no redirects, bounded in time.
pub struct Asker(Agent);

impl Asker {
    /// One that trusts the file's authorities, or the system's.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, Fault> {
        let roots = tls::authorities(ca_file)?;
        let roots = roots.iter().map(|der| Certificate::from_der(der).to_owned());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(crypto::ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(&roots.collect::<Vec<_>>()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(PATIENCE))
            // Whoever may send us elsewhere with a secret in hand may have it.
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent("embargod")
            .build();
        Ok(Self(Agent::new_with_config(config)))
    }

    /// Sends a request and reads the answer, whatever its status.
    ///
    /// # Errors
    /// When there is none, or it is too long.
    pub fn ask(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ureq::Error> {
        let (parts, mut body) = self.0.run(request)?.into_parts();
        let read = body.with_config().limit(ANSWER_MAX).read_to_vec()?;
        Ok(Response::from_parts(parts, read))
    }

    /// Calls an address; says what is wrong if it does not answer that all is well.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub fn call(&self, url: &str) -> Result<(), String> {
        let request = Request::get(url).body(Vec::new()).map_err(|error| error.to_string())?;
        let answer = self.ask(request).map_err(|error| error.to_string())?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_leave_with_tls_or_not_at_all() {
        for fine in [
            "https://login.example/token",
            "http://127.0.0.1:9/x",
            "http://[::1]:9/",
            "http://localhost/",
        ] {
            assert!(may_ask(fine), "{fine}");
        }
        for wrong in [
            "http://login.example/token",
            "http://127.0.0.1.example/",
            "ftp://127.0.0.1/",
            "token",
            "http://localhost.example/",
        ] {
            assert!(!may_ask(wrong), "{wrong}");
        }
    }
}

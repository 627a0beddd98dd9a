//! TLS for the mailbox and the mail server: rustls with ring, the host name always checked, the
//! system's authorities or one file of the operator's.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::error::{Fault, Place};

/// The file's authorities, or the system's where no file is given.
///
/// # Errors
/// When the file cannot be read or holds none.
pub fn authorities(ca_file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let Some(path) = ca_file else {
        return Ok(rustls_native_certs::load_native_certs().certs);
    };
    let place = || format!("CA file {}", path.display());
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).at(place)?.collect();
    let found = found.at(place)?;
    if found.is_empty() {
        return Err(Fault::new(format!("{} holds no certificate", place()), "give a PEM file"));
    }
    Ok(found)
}

/// A connector that trusts the file's authorities, or the system's where no file is given.
///
/// # Errors
/// When the file cannot be read or holds none.
pub fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, Fault> {
    let mut roots = RootCertStore::empty();
    let found = authorities(ca_file)?;
    if let Some(path) = ca_file {
        for certificate in found {
            roots.add(certificate).at(|| format!("CA file {}", path.display()))?;
        }
    } else {
        // Single broken certificates in the system's store are skipped; none at all is a fault.
        roots.add_parsable_certificates(found);
        if roots.is_empty() {
            return Err(Fault::new(
                "the system has no certificate authorities",
                "install ca-certificates, or set `ca_file`",
            ));
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .at(|| "TLS".to_owned())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The name that the server's certificate must bear.
///
/// # Errors
/// When it is no host name.
pub fn server_name(host: &str) -> Result<ServerName<'static>, Fault> {
    ServerName::try_from(host.to_owned()).at(|| format!("`{host}` is no host name"))
}

//! Asks the domain name system, within a limit of time: where a domain has its servers. What it says is anybody's word
//! (RFC 6186, 6): whoever uses it asks a person before a password goes to a host outside of the domain.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};

use crate::error::{Fault, Place};

/// So long one answer may take.
const PATIENCE: Duration = Duration::from_secs(6);
/// So many answers to one question are looked at.
const ANSWERS_MAX: usize = 20;

/// Whoever is asked: the system's name servers, or one of the operator's.
pub struct Names(TokioResolver);

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names")
    }
}

impl Names {
    /// The system's name servers, or another one.
    ///
    /// # Errors
    /// When the system names none.
    pub fn new(server: Option<SocketAddr>) -> Result<Self, Fault> {
        let place = || "the system's name servers".to_owned();
        let builder = match server {
            None => TokioResolver::builder_tokio().at(place)?,
            Some(server) => {
                let both = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut way| {
                    way.port = server.port();
                    way
                });
                let server = NameServerConfig::new(server.ip(), true, both.to_vec());
                let config = ResolverConfig::from_name_servers(vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        Ok(Self(builder.build().at(place)?))
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Vec<RData> {
        // With its last point it is not looked for below the machine's own domain.
        let asked = self.0.lookup(format!("{name}."), kind);
        let Ok(Ok(found)) = tokio::time::timeout(PATIENCE, asked).await else { return Vec::new() };
        found.answers().iter().take(ANSWERS_MAX).map(|record| record.data.clone()).collect()
    }

    /// The hosts and ports of a service, those first that are to be tried first (RFC 2782). None where there is none, or
    /// where it says that there is none.
    pub async fn services(&self, name: &str) -> Vec<(String, u16)> {
        let found = self.ask(name, RecordType::SRV).await;
        let mut all: Vec<_> = found
            .into_iter()
            .filter_map(|data| {
                let RData::SRV(service) = data else { return None };
                Some((service.priority, plain(&service.target.to_utf8()), service.port))
            })
            .filter(|(_, host, port)| !host.is_empty() && *port > 0)
            .collect();
        all.sort();
        all.into_iter().map(|(_, host, port)| (host, port)).collect()
    }

    /// The hosts that take a domain's mail.
    pub async fn takers(&self, domain: &str) -> Vec<String> {
        let found = self.ask(domain, RecordType::MX).await;
        let hosts = found.into_iter().filter_map(|data| {
            let RData::MX(taker) = data else { return None };
            Some(plain(&taker.exchange.to_utf8()))
        });
        hosts.collect()
    }
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

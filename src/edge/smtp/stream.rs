//! The connection below SMTP. The library's own leaves the system to wait for more to send with it
//! (Nagle's algorithm), and the server waits before it says that it has something (delayed
//! acknowledgement): each mail would stand still for 40 ms.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::edge::server::Server;
use crate::edge::tls;
use crate::error::{Fault, Place};

/// Connects; with TLS from the first byte where the server wants it so (RFC 8314, 3.3).
///
/// # Errors
/// What the network or the server said.
pub(super) async fn connect(server: &Server) -> Result<Box<dyn AsyncTokioStream>, Fault> {
    let place = || format!("connecting to {}", server.host);
    let tcp = TcpStream::connect((server.host.as_str(), server.port)).await.at(place)?;
    tcp.set_nodelay(true).at(place)?;
    if !server.implicit_tls {
        return Ok(Box::new(tcp));
    }
    let connector = tls::connector(server.ca_file.as_deref())?;
    let name = tls::server_name(&server.host)?;
    Ok(Box::new(Encrypted(connector.connect(name, tcp).await.at(place)?)))
}

/// A connection with TLS, as the library takes it.
#[derive(Debug)]
struct Encrypted(TlsStream<TcpStream>);

impl AsyncTokioStream for Encrypted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().0.peer_addr()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

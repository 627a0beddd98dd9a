//! A server that is far away: each way takes its time.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Listens on a port of its own, and passes on to another after a while; gives the port.
pub(crate) fn listen(port: u16, each_way: Duration) -> u16 {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            tell.send(listener.local_addr().unwrap().port()).unwrap();
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                near.set_nodelay(true).unwrap();
                far.set_nodelay(true).unwrap();
                let ((a, b), (c, d)) = (near.into_split(), far.into_split());
                tokio::spawn(pass(a, d, each_way));
                tokio::spawn(pass(c, b, each_way));
            }
        });
    });
    told.recv().unwrap()
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, wait: Duration) {
    let (say, mut said) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((at, bytes)) = said.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if say.send((Instant::now() + wait, bytes[..count].to_vec())).is_err() {
            return;
        }
    }
}

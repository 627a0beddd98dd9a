//! Whoever hosts the mailbox, as far as tokens go: a token endpoint (RFC 6749), device authorisation
//! (RFC 8628), and the address where the mail servers ask whether a token is good (RFC 7662).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the host knows, and what it was asked.
#[derive(Default)]
pub(crate) struct Book {
    /// How long a token lasts.
    pub(crate) lasts: Duration,
    /// The one refresh token that is good, if any.
    pub(crate) refresh: Option<String>,
    /// Access tokens, and when they end.
    pub(crate) tokens: BTreeMap<String, Instant>,
    /// How many were given.
    pub(crate) given: u32,
    /// How often a mail server was told that a token is good, and that it is not.
    pub(crate) good: u32,
    pub(crate) bad: u32,
    /// Answers to a device that waits, first to last; then it is let in.
    pub(crate) device: Vec<&'static str>,
    /// What the endpoint says instead of a token.
    pub(crate) trouble: Option<&'static str>,
}

pub(crate) struct Host {
    pub(crate) port: u16,
    pub(crate) book: Arc<Mutex<Book>>,
    _runtime: tokio::runtime::Runtime,
}

impl Host {
    pub(crate) fn start(lasts: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let book = Arc::new(Mutex::new(Book { lasts, ..Book::default() }));
        let shared = Arc::clone(&book);
        runtime.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(answer(tcp, Arc::clone(&shared)));
            }
        });
        Self { port, book, _runtime: runtime }
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Takes all tokens back that were given, before their end.
    pub(crate) fn take_back(&self) {
        self.book.lock().unwrap().tokens.clear();
    }

    pub(crate) fn given(&self) -> u32 {
        self.book.lock().unwrap().given
    }
}

async fn answer(mut tcp: TcpStream, book: Arc<Mutex<Book>>) {
    loop {
        let mut bytes = Vec::new();
        let (head, body) = loop {
            let mut piece = [0; 4096];
            match tcp.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(count) => bytes.extend_from_slice(&piece[..count]),
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        };
        let path = head.split(' ').nth(1).unwrap_or("");
        let form: BTreeMap<String, String> =
            oauth2::url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let (status, json) = say(path, &form, &mut book.lock().unwrap());
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
            json.len()
        );
        if tcp.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn say(path: &str, form: &BTreeMap<String, String>, book: &mut Book) -> (&'static str, String) {
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let fault = |name: &str| ("400 Bad Request", format!(r#"{{"error":"{name}"}}"#));
    match path {
        "/introspect" => {
            let until = book.tokens.get(field("token"));
            let active = until.is_some_and(|until| Instant::now() < *until);
            if active {
                book.good += 1;
            } else {
                book.bad += 1;
            }
            ("200 OK", format!(r#"{{"active":{active},"username":"security@desk.test"}}"#))
        }
        "/device" => (
            "200 OK",
            r#"{"device_code":"d1","user_code":"ABCD-EFGH","verification_uri":"https://host.example/device","expires_in":900,"interval":1}"#.to_owned(),
        ),
        "/token" => {
            if let Some(name) = book.trouble {
                return fault(name);
            }
            match field("grant_type") {
                "urn:ietf:params:oauth:grant-type:device_code" if !book.device.is_empty() => {
                    let name = book.device.remove(0);
                    fault(name)
                }
                "urn:ietf:params:oauth:grant-type:device_code" => give(book, true),
                "refresh_token" if book.refresh.as_deref() != Some(field("refresh_token")) => {
                    fault("invalid_grant")
                }
                "refresh_token" => give(book, true),
                "client_credentials" if field("client_secret") == "s3cret" => give(book, false),
                "authorization_code" if !field("code_verifier").is_empty() => give(book, true),
                _ => fault("invalid_client"),
            }
        }
        _ => ("404 Not Found", "{}".to_owned()),
    }
}

/// Gives a token; the refresh token changes each time, and the one before is good no more.
fn give(book: &mut Book, lasting: bool) -> (&'static str, String) {
    book.given += 1;
    let token = format!("access-{}", book.given);
    book.tokens.insert(token.clone(), Instant::now() + book.lasts);
    let seconds = book.lasts.as_secs();
    let refresh = if lasting {
        let refresh = format!("refresh-{}", book.given);
        book.refresh = Some(refresh.clone());
        format!(r#","refresh_token":"{refresh}""#)
    } else {
        String::new()
    };
    let json = format!(
        r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{seconds}{refresh}}}"#
    );
    ("200 OK", json)
}

//! The cells of the opening handshake (RFC 6455 §4): from a stream to a connection, and its end.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sockudo_ws::handshake::generate_accept_key;

use crate::libraries::{Job, LIBRARIES};
use crate::library::Role;
use crate::process::{Absent, Row, Work, attempt, measure};
use crate::stream::{Answer, Answers, Stream};
use crate::table::{self, Progress};

/// A library that opens connections.
pub trait Handshake: Sized + 'static {
    /// Whether it is one, or only a part of the work.
    const IS_LIBRARY: bool = true;
    /// Whether a client looks at the accept key, as RFC 6455 §4.1 demands.
    const CHECKS_ACCEPT_KEY: bool = true;
    /// Why it has no such cell, if so.
    fn refusal(_: Role) -> Option<&'static str> {
        None
    }
    /// Makes what is made once for all connections.
    fn new() -> Self;
    /// Answers the request that the stream gives.
    ///
    /// # Errors
    ///
    /// Says why there is no connection.
    fn accept(&mut self, stream: Stream) -> Result<(), String>;
    /// Makes a request of the resource [`PATH`] of [`HOST`], and reads the response.
    ///
    /// # Errors
    ///
    /// Says why there is no connection.
    fn connect(&mut self, stream: Stream) -> Result<(), String>;
}

/// Who opens a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    pub role: Role,
}

/// What the cell is called.
impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.role {
            Role::Server => "handshake as server, a browser's request of 15 headers",
            Role::Client => "handshake as client",
        })
    }
}

/// Checks a library, and gives what opens so many connections.
///
/// # Errors
///
/// Why there is no such figure.
pub fn prepare<H: Handshake>(job: &Opening) -> Result<Work, Absent> {
    if let Some(why) = H::refusal(job.role) {
        return Err(Absent::refused(why));
    }
    let mut library = H::new();
    match job.role {
        Role::Server => {
            let (request, response) = (Arc::<[u8]>::from(REQUEST.as_bytes()), Arc::new(Mutex::new(Vec::new())));
            if H::IS_LIBRARY {
                attempt(|| {
                    library.accept(Stream::once(request.clone(), response.clone()))?;
                    let response = response.lock().unwrap_or_else(PoisonError::into_inner);
                    check(&String::from_utf8_lossy(&response))
                })?;
            }
            Ok(Box::new(move |count| {
                for _ in 0..count {
                    response.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    library.accept(Stream::once(request.clone(), response.clone())).expect("it was well before");
                }
            }))
        }
        Role::Client => {
            let server = |is_right| Arc::new(Mutex::new(Answers::new(Box::new(Server::new(is_right)))));
            if H::IS_LIBRARY {
                attempt(|| {
                    library.connect(Stream::answered(server(true)))?;
                    match library.connect(Stream::answered(server(false))) {
                        Ok(()) if H::CHECKS_ACCEPT_KEY => Err("it takes a wrong accept key".into()),
                        Err(_) if !H::CHECKS_ACCEPT_KEY => Err("it does look at the accept key".into()),
                        Ok(()) | Err(_) => Ok(()),
                    }
                })?;
            }
            let server = server(true);
            Ok(Box::new(move |count| {
                for _ in 0..count {
                    library.connect(Stream::answered(server.clone())).expect("it was well before");
                }
            }))
        }
    }
}

/// Whether that is a response to [`REQUEST`].
fn check(response: &str) -> Result<(), String> {
    let key = generate_accept_key(KEY);
    let has_key = response.lines().any(|line| {
        line.split_once(':')
            .is_some_and(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == key)
    });
    match response.starts_with("HTTP/1.1 101 ") && response.ends_with("\r\n\r\n") && has_key {
        true => Ok(()),
        false => Err(format!("it answers {response:?}")),
    }
}

/// What answers a client: so much has to be done for each, because most of them make a key of their own.
#[derive(Debug)]
pub struct Server {
    is_right: bool,
    request: Vec<u8>,
}

impl Server {
    fn new(is_right: bool) -> Self {
        Self { is_right, request: Vec::with_capacity(1024) }
    }
}

impl Answer for Server {
    fn answer(&mut self, written: &[u8], answer: &mut Vec<u8>) {
        self.request.extend_from_slice(written);
        if !self.request.ends_with(b"\r\n\r\n") {
            return;
        }
        let mut lines = self.request.split(|&byte| byte == b'\n');
        let value = lines.find_map(|line| match line.split_at_checked(NAME.len()) {
            Some((name, value)) if name.eq_ignore_ascii_case(NAME) => Some(value.trim_ascii()),
            _ => None,
        });
        let key = value.expect("the request has a key");
        let key = generate_accept_key(str::from_utf8(key).expect("a key is ASCII"));
        answer.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
        answer.extend_from_slice(b"Sec-WebSocket-Accept: ");
        answer.extend_from_slice(if self.is_right { key.as_bytes() } else { b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" });
        answer.extend_from_slice(b"\r\n\r\n");
        self.request.clear();
    }
}

/// Measures both cells, if their headings have `only` in them, and prints and returns the figures.
///
/// # Errors
///
/// Where a worker does not do as it is told.
pub fn run(only: &str, rounds: usize) -> Result<Value, Box<dyn Error>> {
    let jobs = [Role::Server, Role::Client].map(|role| Opening { role });
    let jobs: Vec<Opening> = jobs.into_iter().filter(|job| job.to_string().contains(only)).collect();
    let (progress, mut figures) = (Progress::new(jobs.len())?, Vec::new());
    for job in jobs {
        progress.at(&job.to_string());
        let libraries = LIBRARIES.iter().filter(|library| library.handshake.is_some()).map(|library| library.name);
        let rows = measure(libraries, &Job::Handshake(job), COUNT, rounds)?;
        progress.print(&table::of_times(&job.to_string(), &rows));
        figures.push(json!({
            "cell": job.to_string(),
            "job": job,
            "libraries": rows.iter().map(Row::json).collect::<Vec<_>>(),
        }));
        progress.done();
    }
    Ok(Value::Array(figures))
}

/// What a client asks for.
pub const HOST: &str = "server.example.com";
pub const PATH: &str = "/chat?room=1";

/// How many connections a sample opens.
const COUNT: usize = 500;

const NAME: &[u8] = b"sec-websocket-key:";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The least that a client sends.
pub const SHORT_REQUEST: &str = "GET /chat?room=1 HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// What a browser sends.
pub const REQUEST: &str = "GET /chat?room=1 HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Connection: keep-alive, Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: */*\r\n\
    Upgrade: websocket\r\n\
    Origin: http://server.example.com\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9,de;q=0.7\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=necessary\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-Fetch-Mode: websocket\r\n\
    Sec-Fetch-Site: same-origin\r\n\r\n";

//! The example as a process, and a server in the hand of the test.
#![allow(dead_code, unused_imports, reason = "each part uses some of it, if it is there")]

pub(crate) use std::env;
pub(crate) use std::io::{BufRead, BufReader, Read, Write};
pub(crate) use std::net::{TcpListener, TcpStream};
use std::path::Path;
pub(crate) use std::process::Command;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
pub(crate) use std::thread;
use std::time::Duration;

use sockeye::blocking::{Acceptor, WebSocket};
use sockeye::handshake::OriginPolicy;
pub(crate) use sockeye::{Close, CloseCode, Message};

/// Longer than anything here takes, and short enough to be told what hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server of one connection at a time.
pub(crate) struct Server(pub(crate) TcpListener);

/// Header fields, by their names in lower case.
pub(crate) type Fields = std::collections::HashMap<String, String>;

impl Server {
    pub(crate) fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.0.local_addr().unwrap())
    }

    pub(crate) fn stream(&self) -> TcpStream {
        let stream = self.0.accept().unwrap().0;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Accepts a connection; returns it with what the client sent.
    pub(crate) fn accept(&self) -> (WebSocket<TcpStream>, Fields) {
        let mut acceptor = Acceptor::default();
        acceptor.handshake.origins = OriginPolicy::Any;
        let mut fields = Fields::new();
        let socket = acceptor.accept_with(self.stream(), |acceptance| {
            for (name, value) in acceptance.request().headers().iter() {
                fields.insert(name.to_ascii_lowercase(), String::from_utf8_lossy(value).into_owned());
            }
            Ok(acceptance.respond())
        });
        (socket.unwrap(), fields)
    }

    #[cfg(feature = "client")]
    pub(crate) fn refuse(&self, status: &str) {
        let mut reader = BufReader::new(self.stream());
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        write!(reader.get_ref(), "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
}

/// The example, with pipes.
pub(crate) struct Client {
    stdin: Option<ChildStdin>,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
    child: Running,
}

impl Client {
    pub(crate) fn command(arguments: &[&str]) -> Command {
        let this = env::current_exe().unwrap();
        let profile = this.parent().and_then(Path::parent).unwrap();
        let path = profile.join("examples").join(format!("client{}", env::consts::EXE_SUFFIX));
        assert!(path.exists(), "{} is not there: cargo build --example client", path.display());
        let mut command = Command::new(path);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_remove("CLICOLOR_FORCE").env_remove("CLICOLOR");
        command
    }

    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(Self::command(arguments))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = Running(command.spawn().unwrap());
        Self {
            stdin: child.0.stdin.take(),
            stdout: Lines::new(child.0.stdout.take().unwrap()),
            stderr: Lines::new(child.0.stderr.take().unwrap()),
            child,
        }
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end.
    pub(crate) fn code(&mut self) -> Option<i32> {
        self.child.wait()
    }
}

/// What a program prints, as it comes.
pub(crate) struct Lines(pub(crate) Receiver<String>);

impl Lines {
    pub(crate) fn new(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(stream).lines().map_while(Result::ok);
            lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        });
        Self(receiver)
    }

    /// Pieces instead of lines.
    #[cfg(unix)]
    pub(crate) fn raw(mut stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            // A terminal that nobody has open any more is an error on some systems.
            while let Ok(len @ 1..) = stream.read(&mut piece) {
                if sender.send(String::from_utf8_lossy(&piece[..len]).into_owned()).is_err() {
                    break;
                }
            }
        });
        Self(receiver)
    }

    pub(crate) fn line(&self) -> String {
        self.0.recv_timeout(PATIENCE).expect("another line")
    }

    /// Waits for the end of it.
    pub(crate) fn rest(&self) -> String {
        self.0.iter().map(|line| line + "\n").collect()
    }
}

/// A process that does not outlive its test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

//! The example `client`, as somebody uses it: with pipes, and on a terminal. Each test waits for lines and events, never for a
//! time.
//!
//! `cargo test` builds the examples; `cargo test --test client_example` by itself does not: `cargo build --example client`
//! first, with the same features.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use sockeye::blocking::{Acceptor, WebSocket};
use sockeye::handshake::OriginPolicy;
use sockeye::{Close, CloseCode, Message};

/// Longer than anything here takes, and short enough to be told what hangs.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn help_names_every_option() {
    let mut client = Client::start(&["--help"]);
    let help = client.stdout.rest();
    for option in [
        "--send",
        "--binary",
        "--header",
        "--subprotocol",
        "--origin",
        "--help",
        "--user",
        "--proxy",
        "--reconnect",
        "--ping",
        "--ca",
        "--insecure",
    ] {
        assert!(help.contains(option), "no {option} in\n{help}");
    }
    assert!(help.lines().all(|line| line.len() <= 120), "{help}");
    assert_eq!((client.code(), &*client.stderr.rest()), (Some(0), ""));
}

#[test]
fn what_is_wrong_with_the_arguments_is_one_line_without_secrets() {
    for (arguments, why) in [
        (&[][..], "a URL is needed"),
        (&["ws://a", "ws://b"], "there is more than one URL"),
        (&["ws://a", "--frobnicate"], "invalid option '--frobnicate'"),
        (&["ws://a", "--send"], "missing argument for option '--send'"),
        (&["ws://a", "-H", "secret"], "NAME: VALUE is needed there"),
        (&["ws://127.0.0.1:1", "-H", "Host: secret"], "the Host header field is written by the handshake itself"),
        (&["ws://127.0.0.1:1", "--subprotocol", "a b"], "not a token"),
        (&["ws://127.0.0.1:1", "--binary", "/no/such/file", "--send", "x"], "ws://127.0.0.1:1"),
        #[cfg(not(feature = "client"))]
        (&["ws://a", "--reconnect"], "--reconnect needs --features client"),
        #[cfg(not(any(feature = "rustls", feature = "native-tls")))]
        (&["wss://a", "--ca", "file"], "--ca needs --features client,rustls"),
        #[cfg(feature = "client")]
        (&["ws://a", "--user", "secret"], "NAME:PASSWORD is needed there"),
        #[cfg(feature = "client")]
        (&["ws://a", "--ping=soon"], "\"soon\" is no number of seconds"),
        #[cfg(feature = "client")]
        (&["ws://a", "--reconnect=-1"], "\"-1\" is no number of seconds"),
        #[cfg(feature = "client")]
        (&["ws://me:secret@127.0.0.1:1/?secret"], "connection refused"),
    ] {
        let mut client = Client::start(arguments);
        let told = client.stderr.rest();
        assert_eq!((told.lines().count(), client.code()), (1, Some(1)), "{arguments:?}: {told}");
        assert!(told.starts_with("client: ") && told.contains(why), "{arguments:?}: {told}");
        assert!(!told.contains("secret"), "{told}");
    }
}

#[test]
fn header_fields_subprotocols_and_the_origin_are_sent() {
    let server = Server::bind();
    let mut client = Client::start(&[
        &server.url(),
        "-H",
        "X-Room: 1",
        "--header",
        "Cookie: a=b:c",
        "--subprotocol",
        "chat.v2",
        "--subprotocol",
        "chat.v1",
        "--origin",
        "https://a.example",
        "--send",
        "hello",
    ]);
    let (mut socket, seen) = server.accept();
    assert_eq!(seen["x-room"], "1");
    assert_eq!(seen["cookie"], "a=b:c");
    assert_eq!(seen["sec-websocket-protocol"], "chat.v2, chat.v1");
    assert_eq!(seen["origin"], "https://a.example");
    assert_eq!(socket.receive().unwrap(), Some("hello".into()));
    socket.send("you are welcome").unwrap();
    assert_eq!(socket.receive().unwrap(), None);
    assert_eq!(client.stdout.rest(), "you are welcome\n");
    assert_eq!((&*client.stderr.rest(), client.code()), ("", Some(0)));
}

#[test]
fn a_file_goes_out_as_one_binary_message_before_what_is_typed() {
    let directory = std::env::temp_dir().join(format!("sockeye-client-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    for len in [0, 1, 300_000] {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
        let path = directory.join(len.to_string());
        std::fs::write(&path, &bytes).unwrap();
        let server = Server::bind();
        let mut client = Client::start(&[&server.url(), "--binary", path.to_str().unwrap()]);
        client.type_in("typed\n");
        let (mut socket, _) = server.accept();
        assert_eq!(socket.receive().unwrap(), Some(Message::from(&bytes[..])));
        assert_eq!(socket.receive().unwrap(), Some("typed".into()));
        socket.send(&bytes[..]).unwrap();
        assert_eq!(client.stdout.line(), format!("({len} bytes)"));
        client.end_input();
        assert_eq!(socket.receive().unwrap(), None);
        assert_eq!((&*client.stderr.rest(), client.code()), ("closed: 1000\n", Some(0)));
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn it_is_plain_when_piped_and_coloured_where_that_is_forced() {
    for (force, line) in [(false, "a \x1b[2J\ttext"), (true, "\x1b[32ma \x1b[2J\ttext\x1b[0m")] {
        let server = Server::bind();
        let mut command = Client::command(&[&server.url(), "--send", "x"]);
        if force {
            command.env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1");
        }
        let mut client = Client::spawn(command);
        let (mut socket, _) = server.accept();
        socket.send("a \x1b[2J\ttext").unwrap();
        while socket.receive().unwrap().is_some() {}
        assert_eq!(client.stdout.line(), line);
        assert_eq!(client.code(), Some(0));
    }
}

#[test]
fn a_lost_connection_is_one_line_and_exit_code_1() {
    let server = Server::bind();
    let mut client = Client::start(&[&server.url()]);
    drop(server.accept());
    let told = client.stderr.rest();
    assert_eq!(told, format!("client: {}: the connection was lost without a closing handshake\n", server.url()));
    assert_eq!(client.code(), Some(1));
}

#[cfg(feature = "client")]
mod with_the_client {
    use super::*;

    #[test]
    fn a_user_logs_in_by_option_or_url() {
        let server = Server::bind();
        let in_url = server.url().replace("ws://", "ws://me:pass%3Aword@");
        for arguments in
            [[&*in_url, "--send", "x"].to_vec(), vec![&server.url(), "--send", "x", "--user", "me:pass:word"]]
        {
            let mut client = Client::start(&arguments);
            let (mut socket, seen) = server.accept();
            assert_eq!(seen["authorization"], "Basic bWU6cGFzczp3b3Jk");
            socket.send("in").unwrap();
            while socket.receive().unwrap().is_some() {}
            assert_eq!((&*client.stdout.rest(), client.code()), ("in\n", Some(0)));
        }
    }

    #[test]
    fn it_connects_again_and_sends_what_was_typed_meanwhile() {
        let server = Server::bind();
        let mut client = Client::start(&[&server.url(), "--reconnect=0.001"]);
        for round in 0..3 {
            let (mut socket, _) = server.accept();
            let hello = format!("hello {round}");
            socket.send(&hello).unwrap();
            assert_eq!(client.stdout.line(), hello);
            drop(socket);
            assert_eq!(client.stderr.line(), "the connection was lost without a closing handshake");
            assert!(client.stderr.line().starts_with("connecting again in 0.0 s"));
            client.type_in(&format!("typed {round}\n"));
            let (mut socket, _) = server.accept();
            assert_eq!(socket.receive().unwrap(), Some(format!("typed {round}").into()));
            socket.close(Close::new(CloseCode::GOING_AWAY, "moving").unwrap()).unwrap();
            assert_eq!(socket.receive().unwrap(), None);
            assert_eq!(client.stderr.line(), "closed: 1001 moving");
            assert!(client.stderr.line().starts_with("connecting again in 0.0 s"));
        }
        let (mut socket, _) = server.accept();
        client.end_input();
        assert_eq!(socket.receive().unwrap(), None);
        assert_eq!((&*client.stderr.rest(), client.code()), ("closed: 1000\n", Some(0)));
    }

    #[test]
    fn it_tells_why_it_waits_and_stops_at_what_will_not_heal() {
        let server = Server::bind();
        let mut client = Client::start(&[&server.url(), "--reconnect=0.001"]);
        server.refuse("503 Busy");
        let told = client.stderr.line();
        assert!(
            told.starts_with(&format!("{}/ refused the connection: the server answered 503 Busy; ", server.url())),
            "{told}"
        );
        server.refuse("403 Forbidden");
        let told = client.stderr.rest();
        assert_eq!(
            told,
            format!("client: {}/ refused the connection: the server answered 403 Forbidden\n", server.url())
        );
        assert_eq!(client.code(), Some(1));
    }

    #[test]
    fn pings_show_their_round_trip_times() {
        let server = Server::bind();
        let mut client = Client::start(&[&server.url(), "--ping=0.001"]);
        let (mut socket, _) = server.accept();
        let answering = thread::spawn(move || assert_eq!(socket.receive().unwrap(), None));
        for _ in 0..5 {
            let line = client.stderr.line();
            let time = line.strip_prefix("pong after ").and_then(|rest| rest.strip_suffix(" ms")).expect(&line);
            assert!(time.parse::<f64>().unwrap() > 0.0, "{line}");
        }
        client.end_input();
        answering.join().unwrap();
        assert!(client.stderr.rest().ends_with("closed: 1000\n"));
        assert_eq!(client.code(), Some(0));
    }
}

#[cfg(feature = "client")]
mod through_a_proxy {
    use super::*;

    /// Reads the head of what the client asks a proxy for.
    fn asked(stream: &TcpStream) -> String {
        let mut reader = BufReader::with_capacity(1, stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        head
    }

    /// Where `http_proxy` is not heeded, nor anything else that this machine has set.
    fn without_proxies(arguments: &[&str]) -> Command {
        let mut command = Client::command(arguments);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command
    }

    #[test]
    fn of_the_command_line_or_the_environment_it_connects() {
        let proxy = Server::bind();
        let at = proxy.0.local_addr().unwrap();
        let target = "ws://name.invalid:81/";
        let told = without_proxies(&[target, "--send", "x", "--proxy", &format!("http://me:pw@{at}")]);
        let mut environment = without_proxies(&[target, "--send", "x", "--proxy", "env"]);
        environment.env("ALL_PROXY", format!("http://me:pw@{at}"));
        for command in [told, environment] {
            let mut client = Client::spawn(command);
            let stream = proxy.stream();
            let head = asked(&stream);
            assert!(head.starts_with("CONNECT name.invalid:81 HTTP/1.1\r\n"), "{head}");
            assert!(head.contains("\r\nProxy-Authorization: Basic bWU6cHc=\r\n"), "{head}");
            (&stream).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let mut socket = sockeye::blocking::accept(stream).unwrap();
            socket.send("through").unwrap();
            while socket.receive().unwrap().is_some() {}
            assert_eq!((&*client.stdout.rest(), client.code()), ("through\n", Some(0)));
        }
    }

    #[test]
    fn that_refuses_it_says_so_in_one_line() {
        let proxy = Server::bind();
        let at = proxy.0.local_addr().unwrap();
        let mut client =
            Client::spawn(without_proxies(&["ws://name.invalid/", "--proxy", &format!("http://me:secret@{at}")]));
        let stream = proxy.stream();
        asked(&stream);
        (&stream).write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").unwrap();
        let told = client.stderr.rest();
        assert!(told.lines().count() == 1 && told.contains("407") && !told.contains("secret"), "{told}");
        assert_eq!(client.code(), Some(1));
    }

    #[test]
    fn that_is_none_it_says_so_at_once() {
        for url in ["ftp://127.0.0.1", "nonsense"] {
            let mut client = Client::start(&["ws://127.0.0.1:1", "--proxy", url]);
            let told = client.stderr.rest();
            assert!(told.starts_with("client: ") && told.lines().count() == 1, "{told}");
            assert_eq!(client.code(), Some(1));
        }
    }
}

#[cfg(feature = "rustls")]
mod over_tls {
    use super::*;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use sockeye::blocking::Plain;
    use std::path::PathBuf;
    use std::sync::Arc;

    /// A server whose certificate is for `localhost`, and a file with that.
    struct Secure {
        server: Server,
        config: Arc<ServerConfig>,
        ca: PathBuf,
    }

    impl Secure {
        fn bind(name: &str) -> Self {
            let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
            let config =
                config.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
            let ca = env::temp_dir().join(format!("sockeye-client-{}-{name}.pem", std::process::id()));
            std::fs::write(&ca, certified.cert.pem()).unwrap();
            Self { server: Server::bind(), config: Arc::new(config), ca }
        }

        fn url(&self) -> String {
            self.server.url().replace("ws://127.0.0.1", "wss://localhost")
        }

        /// Answers one client, if that trusts it.
        fn answer(&self) -> Result<(), sockeye::Error> {
            let connection = ServerConnection::new(self.config.clone()).unwrap();
            let stream = Plain(StreamOwned::new(connection, self.server.stream()));
            let mut socket = sockeye::blocking::accept(stream)?;
            assert_eq!(socket.receive()?, Some("hello".into()));
            socket.send("over TLS")?;
            while socket.receive()?.is_some() {}
            Ok(())
        }
    }

    impl Drop for Secure {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.ca);
        }
    }

    #[test]
    fn it_trusts_the_file_that_it_is_given_or_anybody() {
        let secure = Secure::bind("trusted");
        let (url, ca) = (secure.url(), secure.ca.to_str().unwrap().to_owned());
        for trust in [&["--ca", &*ca][..], &["--insecure"]] {
            let mut client = Client::start(&[&[&*url, "--send", "hello"], trust].concat());
            secure.answer().unwrap();
            assert_eq!((&*client.stderr.rest(), &*client.stdout.rest()), ("", "over TLS\n"));
            assert_eq!(client.code(), Some(0));
        }
    }

    #[test]
    fn it_trusts_nobody_else_and_does_not_try_again() {
        let (secure, other) = (Secure::bind("here"), Secure::bind("other"));
        let ca = other.ca.to_str().unwrap();
        let mut client = Client::start(&[&secure.url(), "--ca", ca, "--reconnect=0.001"]);
        secure.answer().unwrap_err();
        let told = client.stderr.rest();
        assert!(told.starts_with("client: ") && told.lines().count() == 1 && told.contains("certificate"), "{told}");
        assert_eq!(client.code(), Some(1));
    }

    #[test]
    fn a_file_without_certificates_is_told() {
        let path = env::temp_dir().join(format!("sockeye-client-{}-empty.pem", std::process::id()));
        std::fs::write(&path, "nothing").unwrap();
        for ca in [path.to_str().unwrap(), "/no/such/file.pem"] {
            let mut client = Client::start(&["wss://localhost:1", "--ca", ca]);
            let told = client.stderr.rest();
            assert!(told.starts_with("client: ") && told.lines().count() == 1, "{told}");
            assert_eq!(client.code(), Some(1));
        }
        std::fs::remove_file(path).unwrap();
    }
}

#[cfg(unix)]
mod on_a_terminal {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};
    use std::fs::File;
    use std::os::unix::ffi::OsStrExt;

    /// A terminal, and the program on it.
    struct Terminal {
        typing: File,
        screen: Lines,
        shown: String,
        child: Running,
    }

    impl Terminal {
        fn start(arguments: &[&str]) -> Self {
            let typing = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
            grantpt(&typing).unwrap();
            unlockpt(&typing).unwrap();
            let name = ptsname(&typing, Vec::new()).unwrap();
            let open =
                || File::options().read(true).write(true).open(std::ffi::OsStr::from_bytes(name.to_bytes())).unwrap();
            let mut command = Client::command(arguments);
            command.stdin(open()).stdout(open()).stderr(open());
            command.env_remove("NO_COLOR").env("TERM", "xterm-256color");
            let child = Running(command.spawn().unwrap());
            let typing = File::from(typing);
            let screen = Lines::raw(typing.try_clone().unwrap());
            Self { typing, screen, shown: String::new(), child }
        }

        /// Waits until that is shown, behind what was waited for before.
        fn wait_for(&mut self, text: &str) {
            loop {
                if let Some(at) = self.shown.find(text) {
                    self.shown.drain(..at + text.len());
                    return;
                }
                let Ok(more) = self.screen.0.recv_timeout(PATIENCE) else { panic!("no {text:?} in {:?}", self.shown) };
                self.shown.push_str(&more);
            }
        }

        fn type_in(&mut self, keys: &str) {
            self.typing.write_all(keys.as_bytes()).unwrap();
        }

        fn edits_lines_itself(&self) -> bool {
            tcgetattr(&self.typing).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO)
        }
    }

    #[test]
    fn lines_are_edited_and_messages_appear_above_them_in_colour() {
        let server = Server::bind();
        let mut terminal = Terminal::start(&[&server.url()]);
        let (mut socket, _) = server.accept();
        terminal.wait_for("> ");
        terminal.type_in("hellp");
        terminal.wait_for("hellp");
        socket.send("in between\x1b[2J").unwrap();
        terminal.wait_for("\x1b[32min between\u{fffd}[2J\x1b[0m");
        terminal.wait_for("hellp"); // the line is shown again, below
        terminal.type_in("\x7fo\r");
        assert_eq!(socket.receive().unwrap(), Some("hello".into()));
        terminal.wait_for("> ");
        terminal.type_in("\x1b[A!\r"); // the line before, by the arrow
        assert_eq!(socket.receive().unwrap(), Some("hello!".into()));
        terminal.wait_for("> ");
        terminal.type_in("\x04");
        assert_eq!(socket.receive().unwrap(), None);
        terminal.wait_for("closed: 1000");
        assert_eq!(terminal.child.wait(), Some(0));
        assert!(terminal.edits_lines_itself());
    }

    #[test]
    fn the_terminal_is_as_it_was_when_the_server_closes_in_the_middle_of_a_line() {
        let server = Server::bind();
        let mut terminal = Terminal::start(&[&server.url()]);
        let (mut socket, _) = server.accept();
        terminal.wait_for("> ");
        terminal.type_in("half a li");
        terminal.wait_for("half a li");
        assert!(!terminal.edits_lines_itself());
        socket.close(Close::new(CloseCode::GOING_AWAY, "good night").unwrap()).unwrap();
        assert_eq!(socket.receive().unwrap(), None);
        terminal.wait_for("closed: 1001 good night");
        assert_eq!(terminal.child.wait(), Some(0));
        assert!(terminal.edits_lines_itself());
    }
}

/// A server of one connection at a time.
struct Server(TcpListener);

/// Header fields, by their names in lower case.
type Fields = std::collections::HashMap<String, String>;

impl Server {
    fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn url(&self) -> String {
        format!("ws://{}", self.0.local_addr().unwrap())
    }

    fn stream(&self) -> TcpStream {
        let stream = self.0.accept().unwrap().0;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Accepts a connection; returns it with what the client sent.
    fn accept(&self) -> (WebSocket<TcpStream>, Fields) {
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
    fn refuse(&self, status: &str) {
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
struct Client {
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
    child: Running,
}

impl Client {
    fn command(arguments: &[&str]) -> Command {
        let this = env::current_exe().unwrap();
        let profile = this.parent().and_then(Path::parent).unwrap();
        let path = profile.join("examples").join(format!("client{}", env::consts::EXE_SUFFIX));
        assert!(path.exists(), "{} is not there: cargo build --example client", path.display());
        let mut command = Command::new(path);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_remove("CLICOLOR_FORCE").env_remove("CLICOLOR");
        command
    }

    fn start(arguments: &[&str]) -> Self {
        Self::spawn(Self::command(arguments))
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = Running(command.spawn().unwrap());
        Self {
            stdin: child.0.stdin.take(),
            stdout: Lines::new(child.0.stdout.take().unwrap()),
            stderr: Lines::new(child.0.stderr.take().unwrap()),
            child,
        }
    }

    fn type_in(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end.
    fn code(&mut self) -> Option<i32> {
        self.child.wait()
    }
}

/// What a program prints, as it comes.
struct Lines(Receiver<String>);

impl Lines {
    fn new(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(stream).lines().map_while(Result::ok);
            lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        });
        Self(receiver)
    }

    /// Pieces instead of lines.
    #[cfg(unix)]
    fn raw(mut stream: impl Read + Send + 'static) -> Self {
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

    fn line(&self) -> String {
        self.0.recv_timeout(PATIENCE).expect("another line")
    }

    /// Waits for the end of it.
    fn rest(&self) -> String {
        self.0.iter().map(|line| line + "\n").collect()
    }
}

/// A process that does not outlive its test.
struct Running(Child);

impl Running {
    fn wait(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

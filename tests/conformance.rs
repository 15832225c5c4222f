//! The conformance peers as processes: what their command lines promise, with a raw socket or a server that misbehaves on
//! the other side.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What `--adapter` may say; and flags that go with it.
const ADAPTERS: &[&str] = &[
    "blocking",
    "sans-io",
    #[cfg(feature = "tokio")]
    "tokio",
    #[cfg(feature = "tokio")]
    "tokio --runtime-threads 2",
    #[cfg(feature = "futures")]
    "futures",
];

fn example(name: &str) -> Command {
    let mut path = std::env::current_exe().expect("a test has a path");
    path.pop();
    path.pop();
    Command::new(path.join("examples").join(name))
}

/// A conformance server, killed in the end.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(adapter: &str, flags: &[&str]) -> Self {
        let mut child = example("conformance_server")
            .args(["--addr", "127.0.0.1:0", "--adapter"])
            .args(adapter.split(' '))
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example is built by cargo test");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("listening on ws://127.0.0.1:").expect(&line).parse().unwrap();
        Self { child, port }
    }

    /// Connects and does the opening handshake by hand.
    fn connect(&self) -> TcpStream {
        let mut stream = self.open();
        let request = format!(
            "GET /any/path?x HTTP/1.1\r\nHost: localhost:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://elsewhere.example\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            self.port
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        stream
    }

    fn open(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A frame of a client, masked with a key of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let head = match u16::try_from(payload.len()) {
        Ok(len @ 0..=125) => vec![first, 0x80 | len.to_be_bytes()[1]],
        Ok(len) => [&[first, 0x80 | 126], &len.to_be_bytes()[..]].concat(),
        Err(_) => [&[first, 0x80 | 127], &(payload.len() as u64).to_be_bytes()[..]].concat(),
    };
    [&head[..], &[0; 4], payload].concat()
}

/// Reads to the end, which must be a clean one; what came.
fn read_to_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a clean end of the stream, not a reset");
    bytes
}

/// The code of the Close frame that `bytes` end with.
fn close_code(bytes: &[u8]) -> u16 {
    let at = bytes.iter().rposition(|&byte| byte == 0x88).expect("a Close frame");
    u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])
}

#[test]
fn the_server_echoes_text_and_binary_on_any_path_and_from_any_origin() {
    for adapter in ADAPTERS {
        let server = Server::start(adapter, &[]);
        let mut stream = server.connect();
        stream.write_all(&frame(0x81, b"Hello")).unwrap();
        stream.write_all(&frame(0x82, &[7; 300])).unwrap();
        stream.write_all(&frame(0x88, &[0x03, 0xe8])).unwrap();
        let expected = [&b"\x81\x05Hello\x82\x7e\x01\x2c"[..], &[7; 300], &[0x88, 2, 0x03, 0xe8]].concat();
        assert_eq!(read_to_end(&stream), expected, "{adapter}");
    }
}

#[test]
fn a_violation_is_answered_with_its_close_code_and_a_clean_end_of_the_stream() {
    let violations: [(&[u8], u16); 6] = [
        (b"\x81\x05Hello", 1002),
        (b"\xc1\x80\0\0\0\0", 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\x80\x80\0\0\0\0", 1002),
        (b"\x81\x82\0\0\0\0\xc3\x28", 1007),
        (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 1009),
    ];
    for adapter in ADAPTERS {
        let server = Server::start(adapter, &[]);
        for (violation, code) in violations {
            let mut stream = server.connect();
            stream.write_all(violation).unwrap();
            // A lot that the server will not look at: it must not turn the Close into a reset.
            let _ = stream.write_all(&[0; 200_000]);
            assert_eq!(close_code(&read_to_end(&stream)), code, "{adapter} {violation:x?}");
        }
    }
}

#[test]
fn max_message_and_max_fragments_hold() {
    for adapter in ADAPTERS {
        let server = Server::start(adapter, &["--max-message", "1000", "--max-fragments", "3"]);
        let mut stream = server.connect();
        stream.write_all(&frame(0x82, &[1; 1000])).unwrap();
        stream.write_all(&frame(0x82, &[1; 1001])).unwrap();
        let bytes = read_to_end(&stream);
        assert_eq!(&bytes[..4], [0x82, 126, 0x03, 0xe8], "{adapter}");
        assert_eq!(close_code(&bytes), 1009, "{adapter}");

        let mut stream = server.connect();
        stream.write_all(&frame(0x02, &[1; 600])).unwrap();
        stream.write_all(&frame(0x80, &[1; 401])).unwrap();
        assert_eq!(close_code(&read_to_end(&stream)), 1009, "{adapter}");

        let mut stream = server.connect();
        stream.write_all(&frame(0x02, b"a")).unwrap();
        for _ in 0..3 {
            stream.write_all(&frame(0x00, b"b")).unwrap();
        }
        assert_eq!(close_code(&read_to_end(&stream)), 1009, "{adapter}");
    }
}

#[test]
fn sigint_and_sigterm_close_open_connections_with_1001_and_exit_with_0() {
    for adapter in ADAPTERS {
        for signal in ["-INT", "-TERM"] {
            let mut server = Server::start(adapter, &[]);
            // Some had their first echo, others have only just been accepted.
            let mut streams: Vec<_> = (0..20).map(|_| server.connect()).collect();
            for stream in &mut streams[..10] {
                stream.write_all(&frame(0x81, b"x")).unwrap();
                stream.read_exact(&mut [0; 3]).unwrap();
            }
            server.signal(signal);
            for stream in &mut streams {
                let mut head = [0; 4];
                stream.read_exact(&mut head).unwrap();
                assert_eq!((head[0], u16::from_be_bytes([head[2], head[3]])), (0x88, 1001), "{adapter} {signal}");
                stream.write_all(&frame(0x88, &[0x03, 0xe9])).unwrap();
            }
            for stream in &streams {
                read_to_end(stream);
            }
            assert_eq!(server.child.wait().unwrap().code(), Some(0), "{adapter} {signal}");
        }
    }
}

#[test]
fn a_stop_does_not_wait_for_peers_that_do_not_answer() {
    for adapter in ADAPTERS {
        let mut server = Server::start(adapter, &[]);
        let _silent = server.connect();
        let _half = server.open();
        server.signal("-TERM");
        let started = Instant::now();
        assert_eq!(server.child.wait().unwrap().code(), Some(0), "{adapter}");
        assert!(started.elapsed() < Duration::from_secs(15), "it does end");
    }
}

#[test]
fn what_is_no_handshake_gets_an_http_answer_and_a_clean_end() {
    let requests: [(&[u8], &str); 5] = [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "426"),
        (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "426"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n", "400"),
    ];
    for adapter in ADAPTERS {
        let server = Server::start(adapter, &[]);
        for (request, status) in requests {
            let mut stream = server.open();
            stream.write_all(request).unwrap();
            let answer = read_to_end(&stream);
            assert!(
                answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()),
                "{adapter} {}",
                String::from_utf8_lossy(&answer)
            );
        }
        let mut stream = server.open();
        let _ = stream.write_all(&[&b"GET / HTTP/1.1\r\nX: "[..], &[b'a'; 40_000]].concat());
        assert!(read_to_end(&stream).starts_with(b"HTTP/1.1 431 "), "{adapter}");
    }
}

#[test]
fn a_peer_that_pings_and_never_reads_does_not_make_the_server_grow() {
    for adapter in ADAPTERS {
        let server = Server::start(adapter, &[]);
        let before = resident(&server);
        let mut stream = server.connect();
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let pings = frame(0x89, &[0; 125]).repeat(1000);
        // Until the server no longer reads, or after 64 MiB.
        for _ in 0..500 {
            if stream.write_all(&pings).is_err() {
                break;
            }
        }
        let grown = resident(&server).saturating_sub(before);
        assert!(grown < 8 * 1024, "{adapter} grew by {grown} KiB");
    }
}

/// Resident memory of a server, in KiB; 0 where the system does not tell.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// Runs a probe against a server of one connection that `serve` plays.
fn probe(adapter: &str, serve: impl FnOnce(TcpStream) + Send + 'static) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    thread::spawn(move || serve(listener.accept().unwrap().0));
    example("conformance_client").args(["probe", &url, "--adapter"]).args(adapter.split(' ')).output().unwrap()
}

/// One line on stderr, nothing on stdout, exit code 1; the line.
fn assert_refused(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(output.stdout.is_empty());
    stderr
}

/// Reads the request, and answers it with a 101.
fn accept(stream: &mut TcpStream) {
    let mut request = BufReader::new(stream.try_clone().unwrap());
    let mut key = String::new();
    loop {
        let mut line = String::new();
        request.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("Sec-WebSocket-Key: ") {
            key = value.trim().to_string();
        }
        if line == "\r\n" {
            break;
        }
    }
    let accept = sockeye::handshake::accept_key(&key);
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(response.as_bytes()).unwrap();
}

#[test]
fn a_probe_prints_the_first_message_and_exits_with_0() {
    for adapter in ADAPTERS {
        for server in ADAPTERS {
            let server = Server::start(server, &[]);
            let url = format!("ws://127.0.0.1:{}", server.port);
            let output = example("conformance_client")
                .args(["probe", &url, "--adapter"])
                .args(adapter.split(' '))
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stderr), "");
            assert_eq!(output.stdout, b"probe\n");
            assert_eq!(output.status.code(), Some(0));
        }
    }
}

#[test]
fn a_probe_reports_each_refusal_and_violation_in_one_line() {
    for adapter in ADAPTERS {
        let line = assert_refused(&probe(adapter, |mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").unwrap();
        }));
        assert!(line.contains("403"), "{line}");

        assert_refused(&probe(adapter, drop));
        assert_refused(&probe(adapter, |mut stream| {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        }));
        // A masked frame, reserved bits, text that is not UTF-8, and an end without a Close.
        for violation in [&b"\x81\x81\0\0\0\0x"[..], b"\xf1\x00", b"\x81\x01\xff", b""] {
            assert_refused(&probe(adapter, move |mut stream| {
                accept(&mut stream);
                stream.write_all(violation).unwrap();
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
            }));
        }
        // A wrong accept key.
        assert_refused(&probe(adapter, |mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            );
            let _ = stream.read_to_end(&mut Vec::new());
        }));
    }
}

#[test]
fn a_probe_ends_within_15_seconds_whatever_the_server_does() {
    let started = Instant::now();
    let probes: Vec<_> = ADAPTERS
        .iter()
        .flat_map(|adapter| {
            let silent: fn(TcpStream) = |mut stream| {
                let _ = stream.read_to_end(&mut Vec::new());
            };
            let pinging: fn(TcpStream) = |mut stream| {
                accept(&mut stream);
                while stream.write_all(b"\x89\x00").is_ok() {}
            };
            let never_closing: fn(TcpStream) = |mut stream| {
                accept(&mut stream);
                let _ = stream.write_all(b"\x81\x02hi");
                while stream.write_all(b"\x89\x00").is_ok() {}
            };
            [silent, pinging, never_closing].map(|serve| thread::spawn(move || assert_refused(&probe(adapter, serve))))
        })
        .collect();
    for probe in probes {
        // A message that came is printed only by a probe that went well.
        probe.join().expect("each probe is refused in one line");
    }
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[test]
fn a_wrong_command_line_is_one_line_and_exit_code_1() {
    for (name, arguments) in [
        ("conformance_server", &["--adapter", "carrier-pigeon"][..]),
        ("conformance_server", &["--addr", "not an address"]),
        ("conformance_server", &["--max-message", "many"]),
        ("conformance_server", &["--what"]),
        ("conformance_server", &["--runtime-threads", "0"]),
        ("conformance_client", &[]),
        ("conformance_client", &["probe"]),
        ("conformance_client", &["probe", "ws://127.0.0.1:1", "--adapter", "carrier-pigeon"]),
        ("conformance_client", &["probe", "http://127.0.0.1:1"]),
        ("conformance_client", &["probe", "ws://127.0.0.1:1"]),
    ] {
        assert_refused(&example(name).args(arguments).output().unwrap());
    }
}

#[test]
fn an_adapter_that_was_not_built_says_so() {
    let adapters = [("tokio", cfg!(feature = "tokio")), ("futures", cfg!(feature = "futures"))];
    for (adapter, _) in adapters.into_iter().filter(|(_, is_built)| !is_built) {
        for (name, arguments) in
            [("conformance_server", &[][..]), ("conformance_client", &["probe", "ws://127.0.0.1:1"])]
        {
            let output = example(name).args(arguments).args(["--adapter", adapter]).output().unwrap();
            let line = assert_refused(&output);
            assert!(line.contains(&format!("built without the feature {adapter}")), "{line}");
        }
    }
}

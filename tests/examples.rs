//! The examples that teach, run as a newcomer runs them: as processes, judged by what they print and how they exit.
//!
//! `cargo test` builds the examples; `cargo test --test examples` by itself does not: `cargo build --examples` first.
#![cfg(feature = "std")]

use core::time::Duration;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{MAIN_SEPARATOR_STR, Path};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use sha1::{Digest, Sha1};
use sockeye::blocking::{WebSocket, accept, connect};
use sockeye::{Close, CloseCode};

/// The servers that echo, each on an adapter of its own.
const ECHO_SERVERS: &[&str] = &[
    "echo_server",
    "sans_io",
    #[cfg(feature = "tokio")]
    "tokio_echo_server",
    #[cfg(feature = "futures")]
    "futures_echo_server",
];

/// Longer than anything here takes, and short enough to be told what hangs.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_tour_shows_a_connection_from_its_opening_to_its_close() {
    let tour = Example::run("tour", &[]);
    tour.assert_success();
    for fact in [
        "GET /tour HTTP/1.1",
        "HTTP/1.1 101 Switching Protocols",
        "Sec-WebSocket-Accept: ",
        "── \"hello from the client\" ─",
        "─ \"welcome! you did not ask for this\" ──",
        "── ping ─",
        "─ pong ──",
        "── \"round trip: ",
        "client is Open",
        "server is Open",
        "times the bytes",
        "── Close 1000 the tour is over ─",
        "─ Close 1000 ──│  Closed",
        "cargo run --example echo_server",
        "cargo run --example sans_io",
        "cargo run --release --example http_vs_websocket",
        "cargo run --release --example pubsub",
    ] {
        assert!(tour.stdout.contains(fact), "no {fact:?} in:\n{}", tour.stdout);
    }
}

#[test]
fn the_tour_counts_the_same_on_both_sides() {
    let tour = Example::run("tour", &[]);
    let counts = |direction: &str| -> Vec<Vec<String>> {
        let lines = tour.stdout.lines().filter_map(|line| line.trim_start().strip_prefix(direction));
        lines.map(|line| line.split_whitespace().map(Into::into).collect()).collect()
    };
    let (sent, received) = (counts("sent "), counts("received "));
    assert_eq!((sent.len(), received.len()), (2, 2), "{}", tour.stdout);
    assert_eq!((&sent[0], &sent[1]), (&received[1], &received[0]));
}

#[test]
fn the_tour_is_plain_when_piped_and_fits_a_terminal() {
    let tour = Example::run("tour", &[]);
    assert!(!tour.stdout.contains('\x1b'));
    for line in tour.stdout.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn the_tour_has_colours_unless_no_color_is_set() {
    let mut command = Example::command("tour", &[]);
    let coloured = Example::finish(command.env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1").spawn());
    assert!(coloured.stdout.contains("\x1b["));
    let plain = Example::finish(command.env("NO_COLOR", "1").spawn());
    assert!(!plain.stdout.contains('\x1b'));
}

#[test]
fn the_client_prints_the_first_answer_to_what_it_sends() {
    for server in ECHO_SERVERS {
        let server = Server::start(server, &["127.0.0.1:0"]);
        let client = Example::run("client", &[&server.uri, "--send", "grüß dich"]);
        client.assert_success();
        assert_eq!(client.stdout, "grüß dich\n");
    }
}

#[test]
fn the_client_sends_the_lines_that_are_typed_and_closes_at_their_end() {
    let server = Server::start("echo_server", &["--addr", "127.0.0.1:0"]);
    let mut client = Running(Example::command("client", &[&server.uri]).stdin(Stdio::piped()).spawn().unwrap());
    client.0.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    let client = client.finish();
    assert_eq!((client.code, &*client.stdout, &*client.stderr), (Some(0), "one\ntwo\n", "closed: 1000\n"));
}

#[test]
fn the_client_prints_what_is_pushed_and_how_the_server_closes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("ws://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut socket = accept(listener.accept().unwrap().0).unwrap();
        socket.send("unasked").unwrap();
        socket.close(Close::new(CloseCode::GOING_AWAY, "off to spawn").unwrap()).unwrap();
        assert_eq!(socket.receive().unwrap(), None);
    });
    // Its input stays open: it is the server that ends the connection.
    let mut client = Example::command("client", &[&uri]);
    let mut client = Running(client.stdin(Stdio::piped()).spawn().unwrap());
    let _typing = client.0.stdin.take();
    let client = client.finish();
    assert_eq!((client.code, &*client.stdout), (Some(0), "unasked\n"));
    assert_eq!(client.stderr, "closed: 1001 off to spawn\n");
    server.join().unwrap();
}

#[test]
fn a_refused_connection_is_one_line_and_exit_code_1() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(); // and nobody listens there any more
    let uri = format!("ws://{address}");
    Example::run("client", &[&uri]).assert_failure(&uri);
    Example::run("client", &[&uri, "--send", "hello"]).assert_failure(&uri);
}

#[test]
fn a_refused_handshake_is_one_line_and_exit_code_1() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    Example::run("client", &[&uri, "--send", "hello"]).assert_failure("404");
    server.join().unwrap();
}

#[test]
fn a_server_that_closes_without_an_answer_is_one_line_and_exit_code_1() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut socket = accept(listener.accept().unwrap().0).unwrap();
        socket.close(Close::new(CloseCode::TRY_AGAIN_LATER, "full").unwrap()).unwrap();
        while socket.receive().unwrap().is_some() {}
    });
    Example::run("client", &[&uri, "--send", "hello"]).assert_failure("1013 full");
    server.join().unwrap();
}

#[test]
fn an_address_that_is_taken_is_one_line_and_exit_code_1() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let others = [
        "chat",
        #[cfg(feature = "tokio")]
        "tokio_graceful_shutdown",
    ];
    for server in ECHO_SERVERS.iter().chain(&others) {
        Example::run(server, &[&address]).assert_failure(&address);
    }
}

#[test]
fn a_wrong_argument_is_one_line_and_exit_code_1() {
    for (name, arguments) in [
        ("tour", &["now"][..]),
        ("echo_server", &["--port", "80"]),
        ("echo_server", &["--help"]),
        ("sans_io", &["a", "b"]),
        ("chat", &["--addr"]),
        ("chat", &["no such address"]),
        ("client", &[]),
        ("client", &["ws://127.0.0.1:1", "--say", "hello"]),
        ("client", &["http://127.0.0.1:1"]),
        ("client", &["ws://"]),
        ("streaming", &["--mib", "many"]),
        ("streaming", &["/no/such/file"]),
        ("streaming", &[MAIN_SEPARATOR_STR]),
        #[cfg(feature = "futures")]
        ("futures_echo_server", &["--help"]),
        #[cfg(feature = "tokio")]
        ("tokio_echo_server", &["--port", "80"]),
        #[cfg(feature = "tokio")]
        ("tokio_graceful_shutdown", &["a", "b"]),
        #[cfg(feature = "tokio")]
        ("tokio_stream_file", &["/no/such/file"]),
        #[cfg(feature = "tokio")]
        ("tokio_many_connections", &["--connections", "many"]),
        #[cfg(feature = "tokio")]
        ("http_vs_websocket", &["--rate", "1000"]),
        #[cfg(feature = "tokio")]
        ("http_vs_websocket", &["8080"]),
        #[cfg(feature = "pubsub")]
        ("pubsub", &["--port", "many"]),
        #[cfg(feature = "pubsub")]
        ("pubsub", &["--rooms"]),
    ] {
        Example::run(name, arguments).assert_failure("");
    }
}

#[test]
fn the_echo_server_survives_what_its_clients_do() {
    for server in ECHO_SERVERS {
        let server = Server::start(server, &["127.0.0.1:0"]);
        drop(server.tcp());
        let mut stream = server.tcp();
        stream.write_all(b"not HTTP\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        drop(server.connect()); // without a closing handshake
        Example::run("client", &[&server.uri, "--send", "still there?"]).assert_success();
    }
}

/// What came in one read with the handshake is the connection's; a violation is told before the transport ends.
#[test]
fn the_bare_loop_loses_nothing_behind_the_handshake_and_nothing_at_the_end() {
    let server = Server::start("sans_io", &["--addr", "127.0.0.1:0"]);
    let mut stream = server.tcp();
    let mut request = b"GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        .to_vec();
    request.extend_from_slice(b"\x81\x82\0\0\0\0hi\x81\x82\0\0"); // one frame, and half of another
    stream.write_all(&request).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 101 "));
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"\x81\x02hi");

    stream.write_all(b"\0\0ho\x81\x01!and more that nobody will look at").unwrap(); // the second one is not masked
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    let (echo, close) = rest.split_at(4);
    assert_eq!(echo, b"\x81\x02ho");
    assert_eq!((close[0], &close[2..4]), (0x88, &1002u16.to_be_bytes()[..]));
}

#[test]
fn a_message_of_any_size_streams_in_flat_memory() {
    let streaming = Example::run("streaming", &["--mib", "24"]);
    streaming.assert_success();
    let bytes = (24 * 1024 * 1024).to_string();
    assert_eq!(streaming.stdout.matches(&bytes).count(), 2, "{}", streaming.stdout);
    if let Some((_, memory)) = streaming.stdout.split_once("both sides together: ") {
        let mib: u32 = memory.split('.').next().unwrap().parse().unwrap();
        assert!(mib < 16, "{}", streaming.stdout);
    }
}

#[test]
fn a_file_streams_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let hash: String = Sha1::digest(std::fs::read(&path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
    let streaming = Example::run("streaming", &[path.to_str().unwrap()]);
    streaming.assert_success();
    assert_eq!(streaming.stdout.matches(&hash).count(), 2, "{}", streaming.stdout);
}

#[test]
fn what_one_says_in_the_chat_all_get() {
    let server = Server::start("chat", &["127.0.0.1:0"]);
    let mut first = server.connect();
    wait_for(&mut first, "guest 1 is here");
    let mut second = server.connect();
    wait_for(&mut first, "guest 2 is here");
    wait_for(&mut second, "guest 2 is here");
    second.send("hello").unwrap();
    wait_for(&mut first, "guest 2: hello");
    wait_for(&mut second, "guest 2: hello");
    second.close(Close::normal()).unwrap();
    while second.receive().unwrap().is_some() {}
    wait_for(&mut first, "guest 2 has left");
}

#[test]
fn a_slow_and_a_dead_guest_hold_nobody_up_in_the_chat() {
    let server = Server::start("chat", &["127.0.0.1:0"]);
    let mut lively = server.connect();
    wait_for(&mut lively, "guest 1 is here");
    let _slow = server.connect(); // reads nothing, ever
    wait_for(&mut lively, "guest 2 is here");
    drop(server.connect()); // gone without a word
    wait_for(&mut lively, "guest 3 has left");

    // More than the buffers of the system hold for the slow one.
    let long = "long ".repeat(700);
    for _ in 0..20_000 {
        lively.send(&long).unwrap();
        loop {
            let message = lively.receive().unwrap().unwrap();
            match message.as_text().unwrap() {
                "guest 2 has left" => return,
                text if text.starts_with("guest 1: long") => break,
                _ => {}
            }
        }
    }
    panic!("the slow guest is still there");
}

#[cfg(feature = "tokio")]
#[test]
fn the_tokio_examples_end_by_themselves_and_show_what_they_say() {
    for (name, fact) in [
        ("tokio_tls_server", "the server answers Some(Text(\"hello, over TLSv1_3\"))"),
        ("tokio_select", "both had all 10 answers"),
        ("tokio_split", "alice and bob each got their 1000 lines back, in order"),
        ("tokio_broadcast", "the others got all 250, the slow one "),
    ] {
        let example = Example::run(name, &[]);
        example.assert_success();
        assert!(example.stdout.contains(fact), "no {fact:?} in:\n{}", example.stdout);
    }
}

#[cfg(feature = "pubsub")]
#[test]
fn whoever_comes_back_to_the_chat_has_missed_nothing() {
    let chat = Example::run("pubsub_chat", &[]);
    chat.assert_success();
    assert!(chat.stdout.contains("ann was away for three messages, and has them all"), "{}", chat.stdout);
}

#[cfg(feature = "tokio")]
#[test]
fn a_file_streams_there_and_back_in_flat_memory() {
    let streaming = Example::run("tokio_stream_file", &["--mib", "24"]); // it judges the memory itself
    streaming.assert_success();
    assert_eq!(streaming.stdout.matches(&(24 * 1024 * 1024).to_string()).count(), 2, "{}", streaming.stdout);

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let hash: String = Sha1::digest(std::fs::read(&path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
    let streaming = Example::run("tokio_stream_file", &[path.to_str().unwrap()]);
    streaming.assert_success();
    assert_eq!(streaming.stdout.matches(&hash).count(), 2, "{}", streaming.stdout);
}

#[cfg(all(feature = "tokio", unix))]
#[test]
fn a_server_that_is_told_to_stop_closes_its_connections_and_exits_with_0() {
    for signal in ["-INT", "-TERM"] {
        let mut server = Running(Example::command("tokio_graceful_shutdown", &["127.0.0.1:0"]).spawn().unwrap());
        let mut stdout = BufReader::new(server.0.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let uri = line.trim().strip_prefix("listening on ").unwrap();
        let mut clients = [(); 3].map(|()| connect(uri).unwrap());
        for client in &mut clients {
            client.send("hello").unwrap();
            assert_eq!(client.receive().unwrap(), Some("hello".into()));
        }

        assert!(Command::new("kill").args([signal, &server.0.id().to_string()]).status().unwrap().success());
        for client in &mut clients {
            assert_eq!(client.receive().unwrap(), None);
            let close = client.peer_close().unwrap();
            assert_eq!((close.code(), close.reason()), (CloseCode::SERVICE_RESTART, "back in a moment"));
        }
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "stopping, with 3 connections\nstopped: 3 ended in order, 0 did not\n");
        assert!(server.0.wait().unwrap().success());
    }
}

#[cfg(feature = "tokio")]
#[test]
fn many_connections_cost_little_and_do_not_grow() {
    let many = Example::run("tokio_many_connections", &["--connections", "300", "--rounds", "20"]);
    many.assert_success();
    assert!(many.stdout.contains("300 connections, opened in "), "{}", many.stdout);
    assert!(many.stdout.contains("rounds 3 to 20: "), "{}", many.stdout);
}

#[cfg(feature = "tokio")]
#[test]
fn a_page_of_an_example_comes_whole_and_nothing_else_is_there() {
    for (name, title) in [
        ("http_vs_websocket", "HTTP polling and one WebSocket"),
        #[cfg(feature = "pubsub")]
        ("pubsub", "Publish and subscribe, in a browser"),
    ] {
        let server = Server::start(name, &["--port", "0"]);
        let page = server.request("GET /").1;
        let (head, body) = page.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("default-src 'none'"), "{head}");
        assert!(body.contains(title) && body.ends_with("</html>\n"), "{name}");
        for elsewhere in ["src=", "@import", "url(http", "https:/"] {
            assert!(!body.contains(elsewhere), "{name}: {elsewhere}");
        }
        assert!(server.request("GET /favicon.ico").1.starts_with("HTTP/1.1 404 "));
        assert!(server.request("POST /").1.starts_with("HTTP/1.1 405 "));
    }
}

/// Reads a number out of JSON that is known so well that no parser is needed.
#[cfg(feature = "tokio")]
fn number_in(json: &str, path: &[&str]) -> usize {
    let mut rest = json;
    for name in path {
        rest = rest.split_once(&format!("\"{name}\":")).unwrap_or_else(|| panic!("no {name} in {json}")).1;
    }
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().unwrap()
}

#[cfg(feature = "tokio")]
#[test]
fn polling_and_pushing_are_counted_to_the_byte() {
    let server = Server::start("http_vs_websocket", &["--port", "0", "--rate", "100"]);
    let mut meter = server.connect_to("/meter");
    let begin = meter.receive().unwrap().unwrap();
    let begin = begin.as_text().unwrap();
    let (run, mut after) = (number_in(begin, &["run"]), number_in(begin, &["after"]));
    let first = after + 1;

    let mut pushed = server.connect_to(&format!("/push?run={run}&after={after}"));
    for number in first..first + 20 {
        let update = pushed.receive().unwrap().unwrap();
        assert_eq!(number_in(update.as_text().unwrap(), &["number"]), number);
    }
    pushed.send("enough").unwrap();
    let more = core::iter::from_fn(|| pushed.receive().unwrap()).count();
    assert_eq!(pushed.close_code(), Some(CloseCode::NORMAL));
    let frames = pushed.received();

    let (mut up, mut down, mut polled, mut polls) = (0, 0, 0, 0);
    while polled < 20 {
        let (sent, answer) = server.request(&format!("GET /poll?run={run}&after={after}"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        for update in body.split("},{").filter(|update| !update.is_empty()) {
            after += 1;
            polled += 1;
            assert_eq!(number_in(update, &["number"]), after);
        }
        assert_eq!(head.starts_with("HTTP/1.1 204 "), body.is_empty());
        (up, down, polls) = (up + sent, down + answer.len(), polls + 1);
    }

    // The counts are told as they change, and the last ones are those of all that was.
    let mut told = String::new();
    let polling = |told: &str| ["connections", "up", "down", "updates"].map(|name| number_in(told, &["polling", name]));
    while told.is_empty() || polling(&told) != [polls, up, down, polled] {
        let counts = meter.receive();
        let counts =
            counts.unwrap_or_else(|error| panic!("{error}: {told} instead of {:?}", [polls, up, down, polled]));
        told = counts.unwrap().as_text().unwrap().to_owned();
    }
    assert_eq!(number_in(&told, &["websocket", "connections"]), 1);
    assert_eq!(number_in(&told, &["websocket", "updates"]), 20 + more);
    assert!(number_in(&told, &["websocket", "down"]) as u64 >= frames.wire_bytes);

    meter.close(Close::normal()).unwrap();
    while meter.receive().unwrap().is_some() {}
    // The answer to the Close may be here before the run has ended there.
    let mut polls = (0..1000).map(|_| server.request(&format!("GET /poll?run={run}&after=0")).1);
    assert!(polls.any(|answer| answer.starts_with("HTTP/1.1 410 ")), "the run goes on");
}

/// Receives until a message has all of that in it.
#[cfg(feature = "pubsub")]
fn receive_with(socket: &mut WebSocket<TcpStream>, parts: &[&str]) -> serde_json::Value {
    loop {
        let message = socket.receive().unwrap().expect("it should go on");
        let text = message.as_text().unwrap();
        if parts.iter().all(|part| text.contains(part)) {
            return serde_json::from_str(text).unwrap();
        }
    }
}

/// Receives the next message that is not about who is there.
#[cfg(feature = "pubsub")]
fn receive_but_people(socket: &mut WebSocket<TcpStream>) -> serde_json::Value {
    loop {
        let message = receive_with(socket, &[]);
        if !message["topic"].as_str().is_some_and(|topic| topic.starts_with("people/")) {
            return message;
        }
    }
}

#[cfg(feature = "pubsub")]
#[test]
fn who_comes_back_to_a_room_gets_what_was_said_meanwhile_and_then_the_answer() {
    let server = Server::start("pubsub", &["--port", "0", "--no-ticker"]);
    let mut ada = server.connect_to("/socket");
    ada.send(r#"{"do":"join","room":"lobby","name":"Ada","seen":null}"#).unwrap();
    receive_with(&mut ada, &["people/lobby/", r#""names":["Ada"]"#]);
    receive_with(&mut ada, &[r#""did":"join""#]);
    ada.send(r#"{"do":"say","room":"lobby","id":"a-1","text":"one"}"#).unwrap();
    let first = receive_with(&mut ada, &["room/lobby", "a-1"]);
    assert_eq!((&first["data"]["name"], &first["data"]["text"]), (&"Ada".into(), &"one".into()));

    let mut bo = server.connect_to("/socket");
    let at = first["at"].as_str().unwrap();
    for text in ["two", "three"] {
        ada.send(&format!(r#"{{"do":"say","room":"lobby","id":"{text}","text":"{text}"}}"#)).unwrap();
        receive_with(&mut ada, &["room/lobby", text]);
    }
    bo.send(&format!(r#"{{"do":"join","room":"lobby","name":"Bo","seen":"{at}"}}"#)).unwrap();
    let said = [(); 2].map(|()| receive_but_people(&mut bo)["data"]["text"].clone());
    assert_eq!(said, ["two", "three"]);
    let joined = receive_but_people(&mut bo);
    assert_eq!((&joined["did"], &joined["room"]), (&"join".into(), &"lobby".into()));
    receive_with(&mut ada, &["people/lobby/", r#""names":["Ada","Bo"]"#]);

    bo.close(Close::normal()).unwrap();
    while bo.receive().unwrap().is_some() {}
    receive_with(&mut ada, &["people/lobby/", r#""names":["Ada"]"#]);
}

#[cfg(feature = "pubsub")]
#[test]
fn a_place_of_another_server_is_a_gap_that_is_told_first() {
    let server = Server::start("pubsub", &["--port", "0", "--no-ticker"]);
    let mut ada = server.connect_to("/socket");
    for request in [
        r#"{"do":"join","room":"lobby","name":"Ada","seen":null}"#,
        r#"{"do":"say","room":"lobby","id":"a-1","text":"kept"}"#,
    ] {
        ada.send(request).unwrap();
    }
    receive_with(&mut ada, &["room/lobby", "kept"]);
    let mut bo = server.connect_to("/socket");
    bo.send(r#"{"do":"join","room":"lobby","name":"Bo","seen":"123abc-17"}"#).unwrap();
    let told = [(); 3].map(|()| receive_but_people(&mut bo));
    assert_eq!(told[0]["gap"], "room/lobby");
    assert_eq!(told[1]["data"]["text"], "kept");
    assert_eq!(told[2]["did"], "join");
    assert_eq!(told[2]["at"], told[1]["at"]);
}

#[cfg(feature = "pubsub")]
#[test]
fn what_a_page_may_not_do_is_refused_and_what_no_page_says_ends_the_connection() {
    let server = Server::start("pubsub", &["--port", "0", "--no-ticker"]);
    let mut socket = server.connect_to("/socket");
    for (request, refused) in [
        (r#"{"do":"join","room":"attic","name":"Ada","seen":null}"#, "there is no such room"),
        (r#"{"do":"join","room":"lobby","name":"","seen":null}"#, "a name has"),
        (r#"{"do":"say","room":"lobby","id":"1","text":"from outside"}"#, "only who is in a room"),
    ] {
        socket.send(request).unwrap();
        let answer = receive_with(&mut socket, &["refused"]);
        assert!(answer["refused"].as_str().unwrap().contains(refused), "{answer}");
    }
    socket.send("not a request").unwrap();
    assert_eq!(socket.receive().unwrap(), None);
    assert_eq!(socket.close_code(), Some(CloseCode::POLICY_VIOLATION));
}

/// What an example printed, and its exit code.
struct Example {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Example {
    /// The command of an example, which `cargo test` has built beside this test.
    fn command(name: &str, arguments: &[&str]) -> Command {
        let this = env::current_exe().unwrap();
        let profile = this.parent().and_then(Path::parent).unwrap();
        let path = profile.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
        assert!(path.exists(), "{} is not there: cargo build --examples", path.display());
        let mut command = Command::new(path);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_remove("CLICOLOR_FORCE");
        command
    }

    fn run(name: &str, arguments: &[&str]) -> Self {
        Self::finish(Self::command(name, arguments).spawn())
    }

    fn finish(child: std::io::Result<Child>) -> Self {
        Running(child.unwrap()).finish()
    }

    fn assert_success(&self) {
        assert_eq!((self.code, &*self.stderr), (Some(0), ""), "{}", self.stdout);
    }

    /// One clear line, which says `what`, and exit code 1.
    fn assert_failure(&self, what: &str) {
        assert_eq!((self.code, self.stderr.lines().count()), (Some(1), 1), "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(what), "{}", self.stderr);
        assert!(!self.stderr.contains(['{', '}']), "a Debug dump: {}", self.stderr);
        assert_eq!(self.stdout, "");
    }
}

/// A process that does not outlive its test.
struct Running(Child);

impl Running {
    /// Waits until it has printed everything, and ended.
    fn finish(mut self) -> Example {
        let (mut stdout, mut stderr) = (self.0.stdout.take().unwrap(), self.0.stderr.take().unwrap());
        let (sender, receiver) = channel();
        let errors = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text)
        });
        thread::spawn(move || {
            let mut text = String::new();
            let read = stdout.read_to_string(&mut text).map(|_| text);
            let _ = sender.send((read, errors.join()));
        });
        let (stdout, stderr) = receiver.recv_timeout(PATIENCE).expect("it should have ended by itself");
        let code = self.0.wait().unwrap().code();
        Example { code, stdout: stdout.unwrap(), stderr: stderr.unwrap().unwrap() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running example that serves.
struct Server {
    uri: String,
    _running: Running,
}

impl Server {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = Example::command(name, arguments);
        let mut running = Running(command.stderr(Stdio::null()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let uri = line.trim().strip_prefix("listening on ").expect("it should tell where it listens").into();
        Self { uri, _running: running }
    }

    fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.uri.split_once("://").unwrap().1).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn connect(&self) -> WebSocket<TcpStream> {
        self.connect_to("")
    }

    /// Connects to a resource of a server that is told of as `ws://` or `http://`.
    fn connect_to(&self, target: &str) -> WebSocket<TcpStream> {
        let uri = format!("{}{target}", self.uri.replacen("http://", "ws://", 1));
        let socket = connect(&uri).unwrap();
        socket.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// Sends a request of HTTP; gives how long it was, and the whole answer.
    #[cfg(feature = "tokio")]
    fn request(&self, request_line: &str) -> (usize, String) {
        let mut stream = self.tcp();
        let request = format!("{request_line} HTTP/1.1\r\nHost: a.example\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (request.len(), answer)
    }
}

/// Receives until that text comes.
fn wait_for(socket: &mut WebSocket<TcpStream>, text: &str) {
    while socket.receive().unwrap().expect("the chat should go on").as_text() != Some(text) {}
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

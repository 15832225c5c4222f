//! The example `client`, as somebody uses it: with pipes, and on a terminal. Each test waits for lines and events, never for a
//! time.
//!
//! `cargo test` builds the examples; `cargo test --test client_example` by itself does not: `cargo build --example client`
//! first, with the same features.

#[cfg(unix)]
mod on_a_terminal;
#[cfg(feature = "rustls")]
mod over_tls;
mod support;
#[cfg(feature = "client")]
mod through_a_proxy;
#[cfg(feature = "client")]
mod with_the_client;

use support::{Client, Message, Server};

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

//! Closing over TCP in every order (RFC 6455 §7).

mod blocking_support;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use blocking_support::*;
use sockeye::blocking::{Error, WebSocket};
use sockeye::{Close, CloseCode, Config, EndCause, ProtocolError};

#[test]
fn server_ends_tcp_first_and_the_client_waits_for_it() {
    // The client closes.
    let (mut client, server) = tcp();
    let mut socket = WebSocket::server(server, Config::default());
    client.write_all(&masked(0x88, &close_body(4000, "done"))).unwrap();
    assert_eq!(socket.receive().unwrap(), None);
    assert_eq!(socket.peer_close(), Some(&Close::new(CloseCode::from(4000), "done").unwrap()));
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap(); // the end comes while the server's socket is still here
    assert_eq!(frames(&answer), [(0x88, close_body(4000, ""))]);

    // The server closes; the client does not end before the server has.
    let (client, mut server) = tcp();
    let closing = thread::spawn(move || {
        let mut socket = WebSocket::client(client, Config::default());
        let end = socket.receive().map_err(|error| error.to_string());
        (end, socket.close_code())
    });
    server.write_all(&plain(0x88, &close_body(1000, ""))).unwrap();
    let mut reply = [0; 8];
    server.read_exact(&mut reply).unwrap();
    assert_eq!(frames(&reply), [(0x88, close_body(1000, ""))]);
    server.set_read_timeout(Some(ms(20))).unwrap();
    let error = server.read(&mut reply).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "the client ended first: {error}");
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(closing.join().unwrap(), (Ok(None), Some(CloseCode::NORMAL)));
}

#[test]
fn both_at_once_end_cleanly() {
    let (client, server) = tcp();
    let (mut client, mut server) =
        (WebSocket::client(client, Config::default()), WebSocket::server(server, Config::default()));
    client.close(Close::new(CloseCode::NORMAL, "from the client").unwrap()).unwrap();
    server.close(Close::new(CloseCode::GOING_AWAY, "from the server").unwrap()).unwrap();
    assert_eq!(server.receive().unwrap(), None);
    assert_eq!(client.receive().unwrap(), None);
    assert_eq!(server.peer_close().unwrap().reason(), "from the client");
    assert_eq!(client.peer_close().unwrap().reason(), "from the server");
    assert_eq!((client.sent().frames, server.sent().frames), (1, 1));
    assert_eq!((client.end_cause(), server.end_cause()), (Some(&EndCause::Local), Some(&EndCause::Local)));
}

#[test]
fn messages_on_their_way_are_received_after_our_close() {
    let (client, server) = tcp();
    let (mut client, mut server) =
        (WebSocket::client(client, Config::default()), WebSocket::server(server, Config::default()));
    server.send("one").unwrap();
    client.close(Close::normal()).unwrap();
    server.send("two").unwrap();
    assert_eq!(server.receive().unwrap(), None);
    assert_eq!(client.receive().unwrap(), Some("one".into()));
    assert_eq!(client.receive().unwrap(), Some("two".into()));
    assert_eq!(client.receive().unwrap(), None);
}

#[test]
fn violation_reaches_the_peer_as_a_close_and_a_clean_end_behind_megabytes_that_nobody_read() {
    for (bad, code) in [(masked(0x83, b""), 1002u16), (masked(0x81, b"\xff"), 1007), (masked(0x82, &[0; 200]), 1009)] {
        let (mut peer, server) = tcp();
        let serving = thread::spawn(move || {
            let mut socket = WebSocket::server(server, config(|config| config.max_message_size = 100));
            socket.receive().map(drop).unwrap_err()
        });
        let mut writer = peer.try_clone().unwrap();
        let flooding = thread::spawn(move || {
            writer.write_all(&bad).unwrap();
            let _ = writer.write_all(&vec![0x55; 4 * 1024 * 1024]);
            let _ = writer.shutdown(Shutdown::Write);
        });
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).expect("a clean end, not a reset");
        let frames = frames(&answer);
        assert_eq!((frames.len(), frames[0].0, &frames[0].1[..2]), (1, 0x88, &code.to_be_bytes()[..]));
        flooding.join().unwrap();
        let Error::Protocol(error) = serving.join().unwrap() else { panic!() };
        assert_eq!(u16::from(error.close_code()), code);
    }
}

#[test]
fn peer_that_does_not_end_after_a_violation_is_waited_for_no_longer_than_the_close_timeout() {
    let (mut peer, server) = tcp();
    let mut socket = WebSocket::server(server, config(|config| config.close_timeout = Some(ms(40))));
    peer.write_all(&masked(0x83, b"")).unwrap();
    let started = Instant::now();
    let error = socket.receive().unwrap_err();
    assert!(matches!(error, Error::Protocol(ProtocolError::ReservedOpCode(3))), "{error}");
    assert!((ms(40)..Duration::from_secs(5)).contains(&started.elapsed()));
}

#[test]
fn reset_is_a_typed_error_and_said_again() {
    let (peer, server) = tcp();
    let mut socket = WebSocket::server(server, Config::default());
    socket.send("unread").unwrap();
    // Closed over unread bytes, TCP resets. The peek makes sure that they are there.
    peer.peek(&mut [0]).unwrap();
    drop(peer);
    for _ in 0..3 {
        let Error::Io(error) = socket.receive().unwrap_err() else { panic!() };
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL));
    assert_eq!(socket.end_cause(), Some(&EndCause::TransportLost));
}

#[test]
fn end_without_a_close_is_lost_with_1006() {
    let (peer, server) = tcp();
    let mut socket = WebSocket::server(server, Config::default());
    drop(peer);
    for _ in 0..3 {
        assert!(matches!(socket.receive(), Err(Error::Lost)));
    }
    assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL));
}

#[test]
fn drop_neither_blocks_nor_panics() {
    let (client, server) = tcp();
    let mut client = WebSocket::client(client, Config::default());
    let server = WebSocket::server(server, Config::default());
    client.feed("queued").unwrap();
    drop(client);
    let (receiver, sender) = server.split().unwrap();
    drop(receiver);
    drop(sender);
}

//! Deadlines on real sockets, through the read timeout. No test sleeps: the blocking read itself waits.

mod blocking_support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use blocking_support::*;
use sockeye::blocking::{Error, WebSocket};
use sockeye::{Close, CloseCode, Config, State, Timeout};

fn timeout(error: Error) -> Timeout {
    let Error::Timeout(timeout) = error else { panic!("{error:?}") };
    timeout
}

/// Reads frames from a raw socket until its end.
fn read_frames(stream: &mut TcpStream) -> Vec<(u8, Vec<u8>)> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a clean end");
    frames(&bytes)
}

/// Sends a byte every few milliseconds until the other side ends; the wait is a read that times out.
fn trickle(mut stream: TcpStream, byte: &[u8]) {
    stream.set_read_timeout(Some(ms(5))).unwrap();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        if stream.write_all(byte).is_err() {
            return;
        }
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return,
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
            Ok(_) | Err(_) => {}
        }
    }
}

#[test]
fn close_timeout_ends_a_closing_handshake_that_is_not_answered() {
    let (client, _silent) = tcp();
    let mut socket = WebSocket::client(client, config(|config| config.close_timeout = Some(ms(50))));
    socket.close(Close::normal()).unwrap();
    let started = Instant::now();
    assert_eq!(timeout(socket.receive().unwrap_err()), Timeout::Close);
    assert!((ms(50)..Duration::from_secs(5)).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!(timeout(socket.receive().unwrap_err()), Timeout::Close);
    assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL));
}

#[test]
fn trickling_does_not_restart_the_close_timeout_and_silence_after_it_does_not_hang() {
    let (client, peer) = tcp();
    let peer = thread::spawn(move || trickle(peer, &plain(0x8a, b"")));
    let mut socket = WebSocket::client(client, config(|config| config.close_timeout = Some(ms(60))));
    socket.close(Close::normal()).unwrap();
    let started = Instant::now();
    assert_eq!(timeout(socket.receive().unwrap_err()), Timeout::Close);
    assert!(started.elapsed() < Duration::from_secs(5));
    drop(socket);
    peer.join().unwrap();
}

/// A stream whose reads give a byte just when the deadline has passed, and then would block for ever.
#[derive(Debug)]
struct LastByte {
    given: bool,
    timeout: Option<Duration>,
}

impl Read for LastByte {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let started = Instant::now();
        let Some(timeout) = self.timeout else { panic!("a read without a bound would hang") };
        while started.elapsed() < timeout + ms(2) {
            thread::yield_now();
        }
        if core::mem::replace(&mut self.given, true) {
            return Err(ErrorKind::WouldBlock.into());
        }
        buf[0] = 0x82;
        Ok(1)
    }
}

impl Write for LastByte {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        Ok(buf.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl sockeye::blocking::Transport for LastByte {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> std::io::Result<bool> {
        self.timeout = timeout;
        Ok(true)
    }
}

#[test]
fn byte_that_arrives_as_the_deadline_passes_leaves_no_read_without_a_bound() {
    let stream = LastByte { given: false, timeout: None };
    let mut socket = WebSocket::client(stream, config(|config| config.close_timeout = Some(ms(10))));
    socket.close(Close::normal()).unwrap();
    assert_eq!(timeout(socket.receive().unwrap_err()), Timeout::Close);
}

#[test]
fn idle_timeout_closes_with_1001_and_waits_for_the_answer() {
    let (mut peer, server) = tcp();
    let mut socket = WebSocket::server(server, config(|config| config.idle_timeout = Some(ms(30))));
    let peer = thread::spawn(move || {
        let mut close = [0; 4];
        peer.read_exact(&mut close).unwrap();
        assert_eq!((close[0], &close[2..]), (0x88, &1001u16.to_be_bytes()[..]));
        peer.write_all(&masked(0x88, &close_body(1001, ""))).unwrap();
        peer.read_to_end(&mut Vec::new()).unwrap()
    });
    assert_eq!(timeout(socket.receive().unwrap_err()), Timeout::Idle);
    assert_eq!(socket.state(), State::Closed);
    // Its end reached the peer though the socket is still here.
    peer.join().unwrap();
}

#[test]
fn lifetime_and_message_time_close_with_their_codes() {
    for (change, sent, expected, code) in [
        ((|config| config.lifetime = Some(ms(30))) as fn(&mut Config), masked(0x8a, b""), Timeout::Lifetime, 1001u16),
        (|config| config.message_timeout = Some(ms(30)), masked(0x01, b"half"), Timeout::Message, 1008),
    ] {
        let (mut peer, server) = tcp();
        let mut socket = WebSocket::server(
            server,
            config(|config| {
                config.close_timeout = Some(ms(30));
                change(config);
            }),
        );
        peer.write_all(&sent).unwrap();
        assert_eq!(timeout(socket.receive().unwrap_err()), expected);
        drop(socket);
        let frames = read_frames(&mut peer);
        assert_eq!((frames.len(), &frames[0].1[..2]), (1, &code.to_be_bytes()[..]));
    }
}

#[test]
fn keepalive_pings_and_ends_a_connection_that_does_not_answer() {
    let (mut peer, server) = tcp();
    let mut socket = WebSocket::server(
        server,
        config(|config| {
            config.ping_interval = Some(ms(20));
            config.pong_timeout = Some(ms(40));
        }),
    );
    assert_eq!(timeout(socket.receive().unwrap_err()), Timeout::Pong);
    drop(socket);
    let frames = read_frames(&mut peer);
    assert_eq!(frames[0].0, 0x89);
    assert_eq!((frames.last().unwrap().0, &frames.last().unwrap().1[..2]), (0x88, &1011u16.to_be_bytes()[..]));
}

#[test]
fn keepalive_holds_a_connection_that_answers_and_measures_the_round_trip() {
    let (client, server) = tcp();
    let mut socket = WebSocket::server(
        server,
        config(|config| {
            config.ping_interval = Some(ms(10));
            config.pong_timeout = Some(Duration::from_secs(5));
            config.lifetime = Some(ms(200));
        }),
    );
    let answering = thread::spawn(move || {
        let mut socket = WebSocket::client(client, Config::default());
        (socket.receive(), socket.sent().frames)
    });
    assert_eq!(timeout(socket.receive().unwrap_err()), Timeout::Lifetime);
    let round_trip = socket.round_trip().unwrap();
    assert!(round_trip > Duration::ZERO && round_trip < Duration::from_secs(5), "{round_trip:?}");
    drop(socket);
    let (end, pongs) = answering.join().unwrap();
    assert_eq!(end.unwrap(), None);
    assert!(pongs >= 3, "{pongs}");
}

#[test]
fn round_trip_of_a_ping_is_measured_whole_and_split() {
    let (client, server) = tcp();
    let echo = thread::spawn(move || {
        let mut socket = WebSocket::server(server, Config::default());
        while let Some(message) = socket.receive().unwrap() {
            socket.send(&message).unwrap();
        }
    });
    let mut socket = WebSocket::client(client, Config::default());
    socket.ping().unwrap();
    socket.send("behind the ping").unwrap();
    assert!(socket.receive().unwrap().is_some());
    // The pong has been received; the next look at the clock counts it.
    let (mut receiver, sender) = socket.split().unwrap();
    sender.send("once more").unwrap();
    assert!(receiver.receive().unwrap().is_some());
    let first = sender.round_trip().unwrap();
    assert!(first > Duration::ZERO, "{first:?}");
    sender.ping().unwrap();
    for _ in 0..2 {
        sender.send("behind the ping").unwrap();
        assert!(receiver.receive().unwrap().is_some());
    }
    let second = sender.round_trip().unwrap();
    assert!(second > Duration::ZERO && second != first, "{second:?}");
    sender.close(Close::normal()).unwrap();
    assert_eq!(receiver.receive().unwrap(), None);
    echo.join().unwrap();
}

#[test]
fn read_timeout_of_the_callers_own_is_surfaced_kept_and_restored() {
    let (mut peer, server) = tcp();
    server.set_read_timeout(Some(ms(20))).unwrap();
    let mut socket = WebSocket::server(server, config(|config| config.idle_timeout = Some(Duration::from_secs(5))));
    for _ in 0..3 {
        let started = Instant::now();
        assert!(socket.receive().unwrap_err().is_would_block());
        assert!(started.elapsed() >= ms(15));
    }
    // A message in two halves, with a timeout between.
    let message = masked(0x81, b"hello");
    peer.write_all(&message[..7]).unwrap();
    assert!(socket.receive().unwrap_err().is_would_block());
    peer.write_all(&message[7..]).unwrap();
    assert_eq!(persist(|| socket.receive()).unwrap(), Some("hello".into()));
    assert_eq!(socket.into_inner().read_timeout().unwrap(), Some(ms(20)));
}

#[test]
fn read_timeout_that_the_caller_sets_later_is_kept_and_restored_too() {
    let (_silent, server) = tcp();
    server.set_read_timeout(Some(ms(10))).unwrap();
    let mut socket = WebSocket::server(
        server,
        config(|config| {
            config.ping_interval = Some(Duration::from_secs(60));
            config.pong_timeout = Some(Duration::from_secs(20));
            config.idle_timeout = Some(Duration::from_secs(90));
        }),
    );
    assert!(socket.receive().unwrap_err().is_would_block());
    socket.get_ref().set_read_timeout(Some(ms(40))).unwrap();
    for _ in 0..3 {
        let started = Instant::now();
        assert!(socket.receive().unwrap_err().is_would_block());
        assert!(started.elapsed() >= ms(35));
        // The deadline moves, and the timeout with it.
        socket.ping().unwrap();
    }
    assert_eq!(socket.into_inner().read_timeout().unwrap(), Some(ms(40)));
}

#[test]
fn deadlines_are_kept_where_the_caller_takes_its_read_timeout_back() {
    let (_silent, server) = tcp();
    server.set_read_timeout(Some(ms(10))).unwrap();
    let mut socket = WebSocket::server(
        server,
        config(|config| {
            config.idle_timeout = Some(ms(300));
            config.close_timeout = Some(ms(20));
        }),
    );
    assert!(socket.receive().unwrap_err().is_would_block());
    socket.get_ref().set_read_timeout(None).unwrap();
    assert_eq!(timeout(socket.receive().unwrap_err()), Timeout::Idle);
}

#[test]
fn socket_that_does_not_block_says_so_at_once_and_keeps_its_deadlines() {
    let (mut peer, server) = tcp();
    server.set_nonblocking(true).unwrap();
    let mut socket = WebSocket::server(
        server,
        config(|config| {
            config.idle_timeout = Some(ms(40));
            config.close_timeout = Some(ms(20));
        }),
    );
    assert!(socket.receive().unwrap_err().is_would_block());
    peer.write_all(&masked(0x81, b"hello")).unwrap();
    let until = |socket: &mut WebSocket<TcpStream>| {
        let started = Instant::now();
        loop {
            match socket.receive() {
                Err(error) if error.is_would_block() => thread::yield_now(),
                result => return result,
            }
            assert!(started.elapsed() < Duration::from_secs(5));
        }
    };
    assert_eq!(until(&mut socket).unwrap(), Some("hello".into()));
    assert_eq!(timeout(until(&mut socket).unwrap_err()), Timeout::Idle);
    assert_eq!(read_frames(&mut peer)[0].0, 0x88);
}

#[test]
fn peer_that_reads_nothing_does_not_hold_a_server_that_does_not_block_beyond_the_close_timeout() {
    let stream = Scripted::open(masked(0x88, &close_body(1000, "")));
    stream.script().write_stops = (0..10_000_000).map(|_| (0, Some(ErrorKind::WouldBlock))).collect();
    let mut socket = server(stream, config(|config| config.close_timeout = Some(ms(20))));
    let started = Instant::now();
    loop {
        match socket.receive() {
            Err(error) if error.is_would_block() => assert!(started.elapsed() < Duration::from_secs(5)),
            _ => break,
        }
    }
    assert!(started.elapsed() >= ms(20));
}

#[test]
fn round_trip_is_known_with_the_message_that_came_behind_the_pong() {
    let (client, mut peer) = tcp();
    let mut socket = WebSocket::client(client, Config::default());
    socket.ping().unwrap();
    let mut ping = [0; 2 + 4 + 8];
    peer.read_exact(&mut ping).unwrap();
    let mut payload: Vec<u8> = ping[6..].to_vec();
    sockeye::mask(&mut payload, ping[2..6].try_into().unwrap());
    peer.write_all(&[plain(0x8a, &payload), plain(0x81, b"hi")].concat()).unwrap();
    assert_eq!(socket.receive().unwrap(), Some("hi".into()));
    let round_trip = socket.round_trip();
    assert!(round_trip.is_some());
    peer.write_all(&plain(0x81, b"later")).unwrap();
    socket.receive().unwrap();
    assert_eq!(socket.round_trip(), round_trip);
}

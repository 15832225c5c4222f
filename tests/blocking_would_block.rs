//! A stream that has nothing for now, at every position of every exchange: the call is made again, and nothing is lost,
//! doubled or out of frame.

mod blocking_support;

use std::io::ErrorKind;

use blocking_support::*;
use sockeye::blocking::{Acceptor, Connector, Error, WebSocket};
use sockeye::handshake::ClientRequest;
use sockeye::{Close, Config, Fin, Message, Payload};

const KINDS: [ErrorKind; 3] = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted];

/// Runs an exchange with one stop at each position of its reads, of its writes, and of its flushes; the result and what
/// was written must be as without.
fn at_every_position<T: PartialEq + core::fmt::Debug>(input: &[u8], run: impl Fn(Scripted) -> T) {
    let stream = Scripted::open(input);
    let expected = (run(stream.clone()), stream.output());
    let expect = |stream: Scripted, what: &str, at: usize, kind| {
        assert_eq!((run(stream.clone()), stream.output()), expected, "{kind:?} at {what} {at}");
    };
    for kind in KINDS {
        for at in 0..=input.len() {
            let stream = Scripted::open(input);
            stream.script().read_stops = [(at, Some(kind)), (at, Some(kind))].into_iter().collect();
            expect(stream, "read", at, kind);
        }
        for at in 0..=expected.1.len() {
            let stream = Scripted::open(input);
            stream.script().write_stops = [(at, Some(kind)), (at, Some(kind))].into_iter().collect();
            expect(stream, "write", at, kind);
        }
        let stream = Scripted::open(input);
        stream.script().flush_errors = [kind; 3].into_iter().collect();
        expect(stream.clone(), "flush", 0, kind);
        assert!(stream.script().flushes > 0);
    }
    // And at all positions at once.
    let stream = Scripted::open(input);
    stream.script().read_stops = (0..=input.len()).map(|at| (at, Some(ErrorKind::WouldBlock))).collect();
    stream.script().write_stops = (0..=expected.1.len()).map(|at| (at, Some(ErrorKind::WouldBlock))).collect();
    expect(stream, "every", 0, ErrorKind::WouldBlock);
}

/// Receives to the end.
fn drain(mut receive: impl FnMut() -> Result<Option<Message>, Error>) -> (Vec<Message>, Option<String>) {
    let mut messages = Vec::new();
    loop {
        match persist(&mut receive) {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, None),
            Err(error) => return (messages, Some(error.to_string())),
        }
    }
}

fn received_input(frame: fn(u8, &[u8]) -> Vec<u8>) -> Vec<u8> {
    [
        frame(0x81, "hällo".as_bytes()),
        frame(0x01, &"€uro".as_bytes()[..2]),
        frame(0x89, b"ping"),
        frame(0x80, &"€uro".as_bytes()[2..]),
        frame(0x82, &[9; 130]),
        frame(0x88, &close_body(1000, "bye")),
    ]
    .concat()
}

#[test]
fn accepting_and_echoing() {
    let input = [REQUEST.as_bytes(), &received_input(masked)].concat();
    at_every_position(&input, |stream| {
        let mut accepting = Acceptor::default().start(stream);
        let mut socket = persist(|| accepting.advance(|acceptance| Ok(acceptance.respond()))).unwrap();
        let mut messages = Vec::new();
        while let Some(message) = persist(|| socket.receive()).unwrap() {
            persist(|| socket.send(&message)).unwrap();
            messages.push(message);
        }
        assert_eq!(messages.len(), 3);
        messages
    });
}

#[test]
fn connecting_and_receiving() {
    let input = [RESPONSE.as_bytes(), &received_input(plain)].concat();
    let request = || ClientRequest::with_key("a.example", "/", *b"the sample nonce").unwrap();
    let run = |stream: Scripted| {
        let mut connecting = Connector::default().start(stream.clone(), request());
        let mut socket = persist(|| connecting.advance()).unwrap();
        let (messages, end) = drain(|| socket.receive());
        // The masking keys differ from run to run.
        let output = stream.output();
        let head = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let sent = frames(&output[head..]);
        stream.script().output.truncate(head);
        (messages, end, sent)
    };
    at_every_position(&input, run);
}

#[test]
fn rejecting() {
    let input = "POST / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    at_every_position(input.as_bytes(), |stream| {
        let mut accepting = Acceptor::default().start(stream.clone());
        let error = persist(|| accepting.advance(|acceptance| Ok(acceptance.respond()))).map(drop).unwrap_err();
        assert!(stream.script().is_shut_down);
        error.to_string()
    });
}

#[test]
fn receiving_lent_messages_and_chunks() {
    at_every_position(&received_input(masked), |stream| {
        let mut socket = server(stream, Config::default());
        drain(|| Ok(socket.receive_ref()?.map(|message| message.to_owned())))
    });
    at_every_position(&received_input(masked), |stream| {
        let mut socket = server(stream, Config::default());
        let mut all = Vec::new();
        while persist(|| {
            let Some(chunk) = socket.receive_chunk()? else { return Ok(false) };
            match chunk.payload() {
                Payload::Text { completed, text } => {
                    all.extend_from_slice(completed.map(String::from).unwrap_or_default().as_bytes());
                    all.extend_from_slice(text.as_bytes());
                }
                Payload::Binary(bytes) => all.extend_from_slice(bytes),
                Payload::Encoded { .. } => unreachable!(),
            }
            if chunk.is_last() {
                all.push(b'|');
            }
            Ok(true)
        })
        .unwrap()
        {}
        all
    });
}

#[test]
fn receiving_a_violation() {
    let input = [masked(0x81, b"good"), masked(0x81, b"\xc3(")].concat();
    at_every_position(&input, |stream| {
        let mut socket = server(stream, Config::default());
        drain(|| socket.receive())
    });
    at_every_position(&input, |stream| {
        let (mut receiver, _sender) = server(stream, Config::default()).split().unwrap();
        drain(|| Ok(receiver.receive_ref()?.map(|message| message.to_owned())))
    });
}

/// What is sent in each of the ways there are, then a closing handshake that we begin.
fn send_everything(mut socket: WebSocket<Scripted>) -> Vec<Message> {
    persist(|| socket.feed("fed")).unwrap();
    persist(|| socket.feed(&[1u8; 20])).unwrap();
    persist(|| socket.flush()).unwrap();
    persist(|| socket.send("a message in fragments")).unwrap();
    persist(|| socket.send_fragment("one", Fin::More)).unwrap();
    persist(|| socket.send_fragment("two", Fin::Last)).unwrap();
    persist(|| socket.ping()).unwrap();
    persist(|| socket.close(Close::normal())).unwrap();
    drain(|| socket.receive()).0
}

#[test]
fn sending_and_closing() {
    let small = || config(|config| config.fragment_size = 10);
    let input = [plain(0x81, b"late"), plain(0x88, &close_body(1000, ""))].concat();
    at_every_position(&input, |stream| send_everything(client(stream, small())));
    let input = [masked(0x81, b"late"), masked(0x88, &close_body(1000, ""))].concat();
    at_every_position(&input, |stream| send_everything(server(stream, small())));
}

#[test]
fn sending_and_receiving_through_the_halves() {
    let input = received_input(masked);
    at_every_position(&input, |stream| {
        let (mut receiver, sender) = server(stream, config(|config| config.fragment_size = 10)).split().unwrap();
        persist(|| sender.feed("fed")).unwrap();
        persist(|| sender.flush()).unwrap();
        persist(|| sender.send("a message in fragments")).unwrap();
        persist(|| sender.ping()).unwrap();
        let end = drain(|| receiver.receive());
        assert_eq!(sender.close_code(), Some(sockeye::CloseCode::NORMAL));
        end
    });
}

#[test]
fn bytes_that_the_stream_holds_back_are_flushed_by_the_next_call() {
    let stream = Scripted::open("");
    stream.script().flush_errors.push_back(ErrorKind::WouldBlock);
    let mut socket = server(stream.clone(), Config::default());
    socket.send("hi").unwrap();
    assert_eq!(stream.script().flushes, 0);
    assert!(socket.receive().unwrap_err().is_would_block());
    assert_eq!(stream.script().flushes, 1);
    stream.script().flush_errors.push_back(ErrorKind::WouldBlock);
    let (_, sender) = socket.split().unwrap();
    sender.send("hi").unwrap();
    assert_eq!(stream.script().flushes, 1);
    sender.flush().unwrap();
    assert_eq!(stream.script().flushes, 2);
}

#[test]
fn pong_that_found_no_room_goes_out_with_the_next_receive_of_the_halves() {
    let stream = Scripted::open(masked(0x89, b"1"));
    let (mut receiver, sender) = server(stream.clone(), Config::default()).split().unwrap();
    stream.script().write_stops = (0..2).map(|_| (0, Some(ErrorKind::WouldBlock))).collect();
    sender.send("hi").unwrap();
    assert!(receiver.receive().unwrap_err().is_would_block());
    assert!(receiver.receive().unwrap_err().is_would_block());
    assert_eq!(frames(&stream.output()), [(0x81, b"hi".to_vec()), (0x8a, b"1".to_vec())]);
}

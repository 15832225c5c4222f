//! Receiving: whole messages, lent ones, chunks, readers; the end and what is wrong with the input.

#[path = "common/allocator.rs"]
#[allow(dead_code, reason = "one half of what it tells is wanted here")]
mod allocator;
mod async_support;

use std::io::ErrorKind;

use allocator::{Counting, measure};
use async_support::*;
use futures_util::StreamExt;
use sockeye::tokio::{Error, WebSocket};
use sockeye::{CloseCode, Config, Connection, EndCause, Message, MessageKind, Payload, ProtocolError, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt, sink};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A text in two frames with a ping between, a binary message, and a Close.
fn incoming() -> Vec<u8> {
    [
        masked(0x01, "Grüß".as_bytes()),
        masked(PING, b"p"),
        masked(0x80, " Gott".as_bytes()),
        masked(BINARY, &pattern(300)),
        masked(CLOSE, &close_body(4001, "genug")),
    ]
    .concat()
}

fn told() -> Vec<Message> {
    vec!["Grüß Gott".into(), pattern(300).into()]
}

#[tokio::test(start_paused = true)]
async fn whole_messages_until_the_close_whose_code_and_reason_can_be_read() {
    let stream = Mock::new(incoming());
    let mut socket = server(&stream, Config::default());
    for message in told() {
        assert_eq!(socket.receive().await.unwrap(), Some(message));
    }
    for _ in 0..3 {
        assert_eq!(socket.receive().await.unwrap(), None);
    }
    assert_eq!(socket.close_code(), Some(4001.into()));
    assert_eq!(socket.peer_close().unwrap().reason(), "genug");
    assert_eq!((socket.end_cause(), socket.state()), (Some(&EndCause::Remote), State::Closed));
    assert_eq!(stream.frames(), [(PONG, b"p".to_vec()), (CLOSE, close_body(4001, ""))]);
    // §7.1.1: the server closes first.
    assert_eq!(stream.script().shutdowns, 1);
}

#[tokio::test(start_paused = true)]
async fn halves_tell_the_same_of_the_end() {
    let stream = Mock::new(incoming());
    let (mut receiver, sender) = server(&stream, Config::default()).split();
    for message in told() {
        assert_eq!(receiver.receive().await.unwrap(), Some(message));
    }
    assert_eq!(receiver.receive().await.unwrap(), None);
    assert_eq!((sender.close_code(), sender.state()), (Some(4001.into()), State::Closed));
    assert_eq!(sender.peer_close().unwrap().reason(), "genug");
    assert_eq!(sender.end_cause(), Some(EndCause::Remote));
    soon(sender.closed()).await;
}

#[tokio::test(start_paused = true)]
async fn client_waits_for_the_server_to_end_the_stream_and_then_ends_its_own() {
    let stream = Mock::new(unmasked(CLOSE, &close_body(1000, "")));
    let mut socket = client(&stream, Config::default());
    let started = tokio::time::Instant::now();
    let ending = tokio::spawn(async move { (socket.receive().await, socket) });
    settle().await;
    assert!(!ending.is_finished());
    stream.change(|script| script.at_end = Some(Ok(())));
    let (end, _socket) = soon(ending).await.unwrap();
    assert_eq!(end.unwrap(), None);
    assert_eq!((started.elapsed(), stream.script().shutdowns), (secs(0), 1));
}

#[tokio::test(start_paused = true)]
async fn lent_message_lies_in_the_read_buffer_and_many_are_read_at_once() {
    let stream = Mock::new([masked(TEXT, b"one"), masked(TEXT, b"two")].concat());
    let mut socket = server(&stream, Config::default());
    let first = socket.receive_ref().await.unwrap().unwrap().payload().as_ptr() as usize;
    let second = socket.receive_ref().await.unwrap().unwrap();
    assert_eq!(second.as_text(), Some("two"));
    // The other one lay there, six bytes of header before.
    assert_eq!(second.payload().as_ptr() as usize - first, 3 + 6);
    assert_eq!(stream.script().reads, 1);
}

#[tokio::test(start_paused = true)]
async fn message_that_reads_have_cut_is_lent_from_the_read_buffer_if_it_comes_at_once() {
    let (first, second) = (pattern(50_000), pattern(40_000));
    let stream = Mock::new([masked(BINARY, &first), masked(BINARY, &second)].concat());
    stream.change(|script| script.most = 30_000);
    let mut socket = server(&stream, Config::default());
    let before = measure(|| now(socket.receive_ref()).unwrap().unwrap().unwrap().payload().as_ptr() as usize);
    let lent = socket.receive_ref().await.unwrap().unwrap();
    assert!(lent.payload() == second);
    // The second one was moved to the front of the buffer that the first one lay in, behind a header of eight bytes.
    assert_eq!(lent.payload().as_ptr() as usize, before.0);
    assert_eq!(stream.script().reads, 4);
}

#[tokio::test(start_paused = true)]
async fn message_that_is_read_in_part_and_goes_on_later_is_received_as_far_as_it_is_here() {
    let whole = masked(TEXT, "Grüß Gott".as_bytes());
    for cut in 1..whole.len() {
        let stream = Mock::new(&whole[..cut]);
        let mut socket = server(&stream, Config::default());
        assert!(now(socket.receive()).is_none());
        assert_eq!(socket.received().wire_bytes, cut as u64);
        stream.feed(&whole[cut..]);
        assert_eq!(socket.receive().await.unwrap(), Some("Grüß Gott".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn text_that_is_wrong_is_found_before_its_message_ends() {
    for at_end in [None, Some(Ok(())), Some(Err(ErrorKind::ConnectionReset))] {
        let stream = Mock::new(&masked(TEXT, b"text\xff that goes on and on")[..12]);
        stream.change(|script| script.at_end = at_end);
        let mut socket = server(&stream, timeless());
        let error = now(socket.receive());
        if at_end.is_some() {
            assert!(matches!(error, Some(Err(Error::Protocol(ProtocolError::InvalidUtf8)))), "{error:?}");
        }
        assert_eq!(socket.end_cause(), Some(&EndCause::Violation(ProtocolError::InvalidUtf8)));
    }
}

#[tokio::test(start_paused = true)]
async fn chunks_come_as_they_arrive_and_may_be_longer_than_a_message_may_be() {
    let input = [head(0x02, Some([0; 4]), 1000), vec![1; 400]].concat();
    let stream = Mock::new(input);
    let mut socket = server(&stream, config(|config| config.max_message_size = 10));
    let chunk = socket.receive_chunk().await.unwrap().unwrap();
    assert!(chunk.is_first() && !chunk.is_last() && chunk.frame_remaining() == 600);
    assert!(matches!(chunk.payload(), Payload::Binary(bytes) if bytes == [1; 400]));
    assert!(now(socket.receive_chunk()).is_none());
    stream.feed(&[vec![2; 600], masked(0x80, b"end")].concat());
    let mut rest = Vec::new();
    loop {
        let chunk = socket.receive_chunk().await.unwrap().unwrap();
        let Payload::Binary(bytes) = chunk.payload() else { panic!("{chunk:?}") };
        rest.extend_from_slice(bytes);
        if chunk.is_last() {
            break;
        }
    }
    assert_eq!(rest, [vec![2; 600], b"end".to_vec()].concat());
}

#[tokio::test(start_paused = true)]
async fn receive_in_the_middle_of_a_streamed_message_skips_the_rest_of_it() {
    let stream = Mock::new(masked(0x02, b"begun"));
    let mut socket = server(&stream, Config::default());
    assert!(socket.receive_chunk().await.unwrap().unwrap().is_first());
    stream.feed(&[masked(0x00, b"more"), masked(0x80, b"last"), masked(TEXT, b"next")].concat());
    assert_eq!(socket.receive().await.unwrap(), Some("next".into()));
}

#[tokio::test(start_paused = true)]
async fn reader_takes_a_message_through_a_buffer_of_any_size() {
    for most in [1, 2, 6, 7, usize::MAX] {
        for size in [1, 2, 3, 4, 5, 6, 8, 10, 20, 1000] {
            let stream = Mock::new(incoming());
            stream.script().most = most;
            let mut socket = server(&stream, Config::default());
            let mut received = Vec::new();
            while let Some(mut reader) = soon(socket.receive_reader()).await.unwrap() {
                let (mut bytes, mut buffer) = (Vec::new(), vec![0; size]);
                loop {
                    match soon(reader.read(&mut buffer)).await.unwrap_or_else(|error| panic!("{size}: {error}")) {
                        0 => break,
                        len => bytes.extend_from_slice(&buffer[..len]),
                    }
                }
                received.push(match reader.kind() {
                    MessageKind::Text => Message::Text(String::from_utf8(bytes).unwrap()),
                    MessageKind::Binary => bytes.into(),
                });
            }
            assert_eq!(received, told(), "{most} {size}");
            assert_eq!(stream.frames().len(), 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn empty_message_is_an_empty_reader() {
    let in_frames = [masked(0x02, b""), masked(PING, b""), masked(0x80, b"")].concat();
    for frames in [masked(BINARY, b""), in_frames] {
        let stream = Mock::new([frames, masked(TEXT, b"next")].concat());
        let mut socket = server(&stream, Config::default());
        let mut reader = socket.receive_reader().await.unwrap().unwrap();
        assert_eq!(reader.kind(), MessageKind::Binary);
        assert_eq!(soon(reader.next()).await.unwrap(), None);
        assert_eq!(soon(reader.read(&mut [0; 9])).await.unwrap(), 0);
        assert_eq!(socket.receive().await.unwrap(), Some("next".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn reader_is_a_stream_of_bytes_that_ends_with_the_message() {
    let stream = Mock::new(incoming());
    let mut socket = server(&stream, Config::default());
    let mut reader = socket.receive_reader().await.unwrap().unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = StreamExt::next(&mut reader).await {
        pieces.push(piece.unwrap());
    }
    assert_eq!(pieces.concat(), "Grüß Gott".as_bytes());
    assert!(StreamExt::next(&mut reader).await.is_none());
    assert_eq!(socket.receive().await.unwrap(), Some(pattern(300).into()));
}

#[tokio::test(start_paused = true)]
async fn dropped_reader_skips_the_rest_of_its_message() {
    for read in [0, 1, 5] {
        let stream = Mock::new([masked(0x02, &pattern(50)), masked(PING, b"")].concat());
        let mut socket = server(&stream, Config::default());
        {
            let mut reader = socket.receive_reader().await.unwrap().unwrap();
            let mut bytes = vec![0; read];
            reader.read_exact(&mut bytes).await.unwrap();
            assert_eq!(bytes, pattern(50)[..read]);
        }
        assert!(now(socket.receive_reader()).is_none());
        stream.feed(&[masked(0x00, &pattern(70)), masked(0x80, b""), masked(TEXT, b"next")].concat());
        let mut reader = socket.receive_reader().await.unwrap().unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "next");
        assert_eq!(stream.frames(), [(PONG, Vec::new())]);
    }
}

#[tokio::test(start_paused = true)]
async fn reader_of_a_message_that_is_cut_off_by_a_close_says_so() {
    let stream = Mock::new([masked(0x01, b"half"), masked(CLOSE, &close_body(1000, ""))].concat());
    let mut socket = server(&stream, Config::default());
    let mut reader = socket.receive_reader().await.unwrap().unwrap();
    let mut bytes = Vec::new();
    assert_eq!(reader.read_to_end(&mut bytes).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(bytes, b"half");
    assert!(matches!(reader.next().await, Err(Error::Lost)));
    assert_eq!(socket.receive().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn reader_finds_what_is_wrong_in_a_message() {
    let stream = Mock::new([masked(0x01, "ü".as_bytes()), masked(0x80, b"\xff")].concat());
    let mut socket = server(&stream, Config::default());
    let mut reader = socket.receive_reader().await.unwrap().unwrap();
    assert_eq!(reader.next().await.unwrap().unwrap(), "ü".as_bytes());
    stream.change(|script| script.at_end = Some(Ok(())));
    assert!(matches!(reader.next().await, Err(Error::Protocol(ProtocolError::InvalidUtf8))));
    let (first, body) = stream.frames().remove(0);
    assert_eq!((first, &body[..2]), (CLOSE, &1007u16.to_be_bytes()[..]));
}

#[test]
fn message_of_64_mib_goes_through_a_reader_in_flat_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (stream, mut peer) = tokio::io::duplex(64 * 1024);
    let mut socket = {
        let _entered = runtime.enter();
        WebSocket::server(stream, Config::default())
    };
    let frame = masked(0x00, &pattern(64 * 1024));
    let (mut first, mut last) = (frame.clone(), frame.clone());
    (first[0], last[0]) = (0x02, 0x80);
    let (len, taken) = measure(|| {
        runtime.block_on(async {
            let sending = async {
                peer.write_all(&first).await.unwrap();
                for _ in 0..1022 {
                    peer.write_all(&frame).await.unwrap();
                }
                peer.write_all(&last).await.unwrap();
            };
            let receiving = async {
                let mut reader = socket.receive_reader().await.unwrap().unwrap();
                tokio::io::copy(&mut reader, &mut sink()).await.unwrap()
            };
            tokio::join!(sending, receiving).1
        })
    });
    assert_eq!(len, 64 * 1024 * 1024);
    // The duplex stream's 64 KiB, the copy's 8 and the read buffer's 32, and what a growing buffer holds twice.
    assert!(taken.peak <= 320 * 1024, "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn error_comes_again_and_again_from_receive() {
    let stream = Mock::ending(masked(0x83, b""));
    let mut socket = server(&stream, Config::default());
    for _ in 0..3 {
        let error = socket.receive().await.unwrap_err();
        assert!(matches!(error, Error::Protocol(ProtocolError::ReservedOpCode(0x3))), "{error:?}");
        assert!(matches!(socket.receive_ref().await, Err(Error::Protocol(_))));
        assert!(matches!(socket.receive_chunk().await, Err(Error::Protocol(_))));
        assert!(matches!(socket.receive_reader().await, Err(Error::Protocol(_))));
    }
    assert!(matches!(socket.end_cause(), Some(EndCause::Violation(_))));
}

#[tokio::test(start_paused = true)]
async fn error_comes_once_from_the_stream_of_messages_and_then_its_end() {
    for split in [false, true] {
        let stream = Mock::ending([masked(TEXT, b"before"), masked(0x83, b"")].concat());
        let socket = server(&stream, Config::default());
        let items: Vec<_> = match split {
            true => socket.split().0.collect().await,
            false => socket.collect().await,
        };
        assert!(matches!(&items[..], [Ok(Message::Text(text)), Err(Error::Protocol(_))] if text == "before"));
    }
}

#[tokio::test(start_paused = true)]
async fn stream_of_messages_ends_after_a_clean_close() {
    let stream = Mock::new(incoming());
    let mut socket = server(&stream, Config::default());
    let messages: Vec<Message> = socket.by_ref().map(Result::unwrap).collect().await;
    assert_eq!(messages, told());
    assert!(socket.next().await.is_none());
    assert_eq!(socket.close_code(), Some(4001.into()));
}

#[tokio::test(start_paused = true)]
async fn leftovers_of_the_handshake_come_first() {
    let stream = Mock::new(masked(TEXT, b"second"));
    let leftover = [masked(TEXT, b"first"), masked(0x01, b"ha")].concat();
    stream.script().input = [masked(0x80, b"lf"), masked(TEXT, b"last")].concat();
    let mut socket = WebSocket::resume(stream, Connection::server(Config::default()), &leftover);
    for text in ["first", "half", "last"] {
        assert_eq!(socket.receive().await.unwrap(), Some(text.into()));
    }
}

#[tokio::test(start_paused = true)]
async fn messages_before_a_violation_in_the_same_read_are_delivered_and_the_peer_is_told() {
    for split in [false, true] {
        let bad = unmasked(TEXT, b"not masked");
        let stream = Mock::new([masked(TEXT, b"one"), masked(TEXT, b"two"), bad, vec![0xff; 10_000]].concat());
        let socket = server(&stream, Config::default());
        let (mut receiver, sender) = socket.split();
        let mut whole = None;
        if !split {
            whole = receiver.reunite(sender).ok();
            let socket = whole.as_mut().unwrap();
            assert_eq!(socket.receive().await.unwrap(), Some("one".into()));
            assert_eq!(socket.receive().await.unwrap(), Some("two".into()));
        } else {
            assert_eq!(receiver.receive().await.unwrap(), Some("one".into()));
            assert_eq!(receiver.receive().await.unwrap(), Some("two".into()));
            whole.replace(receiver.reunite(sender).unwrap());
        }
        let mut socket = whole.unwrap();
        let failing = tokio::spawn(async move { (socket.receive().await, socket) });
        settle().await;
        // The Close is written and our direction ended, but what the peer still sends is read, or a reset would take the
        // Close from it.
        let (first, body) = stream.frames().remove(0);
        assert_eq!((first, &body[..2]), (CLOSE, &1002u16.to_be_bytes()[..]));
        assert_eq!((stream.script().shutdowns, failing.is_finished()), (1, false));
        stream.feed(&[0; 100_000]);
        settle().await;
        assert_eq!(stream.unread(), 0);
        stream.change(|script| script.at_end = Some(Ok(())));
        let (error, socket) = soon(failing).await.unwrap();
        assert!(matches!(error, Err(Error::Protocol(ProtocolError::Unmasked))), "{error:?}");
        assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL));
    }
}

#[tokio::test(start_paused = true)]
async fn peer_that_does_not_end_after_a_violation_is_not_waited_for_for_ever() {
    let stream = Mock::new(unmasked(TEXT, b"not masked"));
    let mut socket = server(&stream, Config::default());
    let started = tokio::time::Instant::now();
    assert!(matches!(soon(socket.receive()).await, Err(Error::Protocol(_))));
    assert_eq!(started.elapsed(), secs(10));
}

#[tokio::test(start_paused = true)]
async fn end_without_a_close_is_a_loss_and_a_failed_stream_is_its_error() {
    let stream = Mock::ending(masked(0x01, b"half"));
    let mut socket = server(&stream, Config::default());
    for _ in 0..2 {
        assert!(matches!(socket.receive().await, Err(Error::Lost)));
    }
    assert_eq!(socket.close_code(), Some(CloseCode::ABNORMAL));

    let stream = Mock::new(masked(TEXT, b"one"));
    stream.script().at_end = Some(Err(ErrorKind::ConnectionReset));
    let (mut receiver, sender) = server(&stream, Config::default()).split();
    assert_eq!(receiver.receive().await.unwrap(), Some("one".into()));
    for _ in 0..2 {
        assert!(
            matches!(receiver.receive().await, Err(Error::Io(error)) if error.kind() == ErrorKind::ConnectionReset)
        );
    }
    assert!(matches!(sender.send("no").await, Err(Error::Io(error)) if error.kind() == ErrorKind::ConnectionReset));
    soon(sender.closed()).await;
}

#[tokio::test(start_paused = true)]
async fn broken_output_does_not_take_the_input_away() {
    let stream = Mock::new([masked(PING, b""), masked(TEXT, b"still"), masked(TEXT, b"here")].concat());
    stream.script().write_error = Some((0, ErrorKind::BrokenPipe));
    let mut socket = server(&stream, Config::default());
    assert!(matches!(socket.send("no").await, Err(Error::Io(error)) if error.kind() == ErrorKind::BrokenPipe));
    assert_eq!(socket.receive().await.unwrap(), Some("still".into()));
    assert_eq!(socket.receive().await.unwrap(), Some("here".into()));
    stream.feed(&masked(CLOSE, &close_body(1000, "")));
    assert_eq!(soon(socket.receive()).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn flood_of_what_is_no_message_does_not_keep_the_thread() {
    let stream = Mock::new(masked(PONG, b"").repeat(10_000));
    stream.script().most = 6;
    let socket = server(&stream, Config::default());
    let receiving = tokio::spawn(async move { socket.into_future().await.0.map(Result::unwrap) });
    let mut turns = 0;
    while stream.unread() > 0 {
        tokio::task::yield_now().await;
        turns += 1;
        assert!(turns < 100_000, "nobody goes on");
    }
    assert!(turns >= 3, "{turns}");
    stream.feed(&masked(TEXT, b"at last"));
    assert_eq!(soon(receiving).await.unwrap(), Some("at last".into()));
}

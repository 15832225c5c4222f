//! Sending over the blocking adapter: queued, written, in fragments.

mod blocking_support;

use std::io::ErrorKind;

use blocking_support::*;
use sockeye::blocking::Error;
use sockeye::{Close, Config, Fin, PreparedMessage, SendError};

#[test]
fn many_small_messages_are_one_write() {
    let stream = Scripted::open("");
    let mut socket = server(stream.clone(), Config::default());
    for number in 0..1000 {
        socket.feed(&format!("{number}")).unwrap();
    }
    assert_eq!(stream.script().writes.len(), 0);
    socket.flush().unwrap();
    assert_eq!(stream.script().writes.len(), 1);
    assert_eq!(stream.script().flushes, 1);
    assert_eq!(frames(&stream.output()).len(), 1000);
    socket.flush().unwrap();
    assert_eq!(stream.script().writes.len(), 1);
    assert_eq!(stream.script().flushes, 1);
}

#[test]
fn send_takes_what_was_queued_along() {
    let stream = Scripted::open("");
    let mut socket = server(stream.clone(), Config::default());
    socket.feed("one").unwrap();
    socket.send("two").unwrap();
    assert_eq!(stream.script().writes.len(), 1);
    assert_eq!(frames(&stream.output()), [(0x81, b"one".to_vec()), (0x81, b"two".to_vec())]);
}

#[test]
fn what_is_queued_is_bounded_by_being_written() {
    let stream = Scripted::open("");
    let mut socket = server(stream.clone(), Config::default());
    for _ in 0..1000 {
        socket.feed(&[0u8; 1000]).unwrap();
    }
    assert!(stream.script().writes.len() >= 15);
    assert!(stream.script().largest_write <= 64 * 1024 + 1004, "{}", stream.script().largest_write);
}

#[test]
fn the_high_water_mark_says_how_much_may_be_queued() {
    for mark in [0, 10, 25, 1000] {
        let stream = Scripted::open("");
        let mut socket = server(stream.clone(), config(|config| config.high_water_mark = mark));
        for _ in 0..1000 {
            socket.feed("12345678").unwrap();
            assert!(socket.queued() <= mark.max(10), "{} bytes", socket.queued());
        }
        assert_eq!(stream.script().largest_write, mark.max(10) / 10 * 10, "as few writes as can be");
    }
}

#[test]
fn queued_output_is_flushed_before_a_receive_reads() {
    let stream = Scripted::open("");
    let mut socket = server(stream.clone(), Config::default());
    socket.feed("one").unwrap();
    assert!(socket.receive().unwrap_err().is_would_block());
    assert_eq!(stream.script().written_at_reads, [5]);
    // Through the halves, too.
    let (mut receiver, sender) = socket.split().unwrap();
    sender.feed("two").unwrap();
    assert!(receiver.receive().unwrap_err().is_would_block());
    assert_eq!(stream.script().written_at_reads, [5, 10]);
}

#[test]
fn large_message_goes_out_in_fragments_and_is_never_held_as_a_whole() {
    let text = "a€".repeat(250_000);
    let expected = |stream: &Scripted| {
        let written = frames(&stream.output());
        assert_eq!(written.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [0x01, 0, 0, 0, 0, 0, 0, 0x80]);
        assert!(written.iter().all(|(_, payload)| core::str::from_utf8(payload).is_ok()));
        assert!(written.into_iter().flat_map(|(_, payload)| payload).eq(text.bytes()));
        assert!(stream.script().largest_write <= 128 * 1024 + 14, "{}", stream.script().largest_write);
    };
    let stream = Scripted::open("");
    client(stream.clone(), Config::default()).send(&text).unwrap();
    expected(&stream);
    let stream = Scripted::open("");
    client(stream.clone(), Config::default()).split().unwrap().1.send(&text).unwrap();
    expected(&stream);
}

#[test]
fn fragments_of_any_size_end() {
    for fragment_size in [0, 1, 2, 3, 5] {
        let stream = Scripted::open("");
        let mut socket = server(stream.clone(), config(|config| config.fragment_size = fragment_size));
        socket.send("a€😀").unwrap();
        socket.send(&[0x61u8; 11]).unwrap();
        let (_, sender) = socket.split().unwrap();
        sender.send("a€😀").unwrap();
        sender.send(&[0x61u8; 11]).unwrap();
        let payload: Vec<u8> = frames(&stream.output()).into_iter().flat_map(|(_, payload)| payload).collect();
        assert_eq!(payload, "a€😀aaaaaaaaaaaa€😀aaaaaaaaaaa".as_bytes(), "{fragment_size}");
    }
}

#[test]
fn fragments_of_the_callers_own_are_written_one_by_one() {
    let stream = Scripted::open("");
    let mut socket = server(stream.clone(), Config::default());
    socket.send_fragment("Hel", Fin::More).unwrap();
    assert!(matches!(socket.send("no"), Err(Error::Send(SendError::MessageOpen))));
    assert!(matches!(socket.send(&[0u8; 300_000]), Err(Error::Send(SendError::MessageOpen))));
    assert!(matches!(socket.send_fragment(b"no", Fin::More), Err(Error::Send(SendError::FragmentKind))));
    socket.ping().unwrap();
    socket.send_fragment("lo", Fin::Last).unwrap();
    let written = frames(&stream.output());
    assert_eq!(written[0], (0x01, b"Hel".to_vec()));
    assert_eq!(written[1].0, 0x89);
    assert_eq!(written[2..], [(0x80, b"lo".to_vec())]);
    assert_eq!(stream.script().writes.len(), 3);
    assert_eq!((socket.sent().messages, socket.sent().frames, socket.sent().payload_bytes), (1, 3, 5));
}

#[test]
fn prepared_message_is_sent_by_both_roles_and_both_forms() {
    let message = PreparedMessage::from_static_text("again");
    for make in [server, client] {
        let stream = Scripted::open("");
        let mut socket = make(stream.clone(), Config::default());
        socket.send_prepared(&message).unwrap();
        let (_, sender) = socket.split().unwrap();
        sender.send_prepared(&message).unwrap();
        assert_eq!(frames(&stream.output()), [(0x81, b"again".to_vec()), (0x81, b"again".to_vec())]);
        assert_eq!(stream.script().writes.len(), 2);
    }
}

#[test]
fn nothing_follows_our_close() {
    let stream = Scripted::open("");
    let mut socket = server(stream.clone(), Config::default());
    socket.feed("before").unwrap();
    socket.close(Close::normal()).unwrap();
    assert!(matches!(socket.send("after"), Err(Error::Send(SendError::Closed))));
    assert!(matches!(socket.feed("after"), Err(Error::Send(SendError::Closed))));
    assert!(matches!(socket.ping(), Err(Error::Send(SendError::Closed))));
    assert!(matches!(socket.close(Close::normal()), Err(Error::Send(SendError::Closed))));
    assert_eq!(frames(&stream.output()), [(0x81, b"before".to_vec()), (0x88, close_body(1000, ""))]);
}

#[test]
fn nothing_follows_half_a_frame_on_a_broken_stream() {
    let message = [7u8; 1000];
    let broken = || {
        let stream = Scripted::open("");
        stream.script().write_stops.push_back((100, Some(ErrorKind::BrokenPipe)));
        stream
    };
    let is_broken = |result| matches!(result, Err(Error::Io(error)) if error.kind() == ErrorKind::BrokenPipe);

    let stream = broken();
    let mut socket = server(stream.clone(), Config::default());
    assert!(is_broken(socket.send(&message)));
    assert!(is_broken(socket.send("again")));
    assert!(is_broken(socket.send(&[0u8; 300_000])));
    assert!(is_broken(socket.flush()));
    assert!(is_broken(socket.close(Close::normal())));
    assert_eq!(stream.output().len(), 100);

    let stream = broken();
    let (mut receiver, sender) = server(stream.clone(), Config::default()).split().unwrap();
    assert!(is_broken(sender.send(&message)));
    assert!(is_broken(sender.send("again")));
    assert!(is_broken(sender.send(&[0u8; 300_000])));
    assert!(is_broken(sender.flush()));
    assert!(receiver.receive().unwrap_err().is_would_block());
    assert_eq!(stream.output().len(), 100);
}

#[test]
fn what_came_before_the_stream_broke_for_writing_is_received() {
    let stream = Scripted::new([masked(0x89, b""), masked(0x81, b"last words")].concat());
    stream.script().write_stops.push_back((0, Some(ErrorKind::BrokenPipe)));
    let mut socket = server(stream, Config::default());
    assert!(socket.send("lost").is_err());
    assert_eq!(socket.receive().unwrap(), Some("last words".into()));
    assert!(matches!(socket.receive(), Err(Error::Lost)));
}

#[test]
fn stream_that_takes_nothing_is_an_error_and_not_a_loop() {
    struct Full;
    impl std::io::Read for Full {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Ok(0)
        }
    }
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Ok(0)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl sockeye::blocking::Transport for Full {}
    let mut socket = sockeye::blocking::WebSocket::server(Full, Config::default());
    let Err(Error::Io(error)) = socket.send("hi") else { panic!() };
    assert_eq!(error.kind(), ErrorKind::WriteZero);
}

#[test]
fn full_stream_that_does_not_block_refuses_before_it_takes_and_never_grows_without_bound() {
    let stream = Scripted::open("");
    let mut socket = server(stream.clone(), Config::default());
    stream.script().write_stops = (0..100_000).map(|_| (0, Some(ErrorKind::WouldBlock))).collect();
    let mut taken = 0;
    let refusal = loop {
        match socket.send(&[0u8; 1000]) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(refusal.is_would_block());
    assert_eq!(taken, 65);
    let mut pings = 0;
    while socket.ping().is_ok() {
        pings += 1;
        assert!(pings < 100_000);
    }
    stream.script().write_stops.clear();
    socket.flush().unwrap();
    assert_eq!(frames(&stream.output()).len(), taken + pings);
}

#[test]
fn large_payload_of_a_server_is_written_from_where_it_lies() {
    /// A stream that takes everything, and notes where the last byte of each write came from.
    #[derive(Default)]
    struct Noting(Vec<*const u8>, Vec<u8>);
    impl std::io::Read for Noting {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Ok(0)
        }
    }
    impl std::io::Write for Noting {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.write_vectored(&[std::io::IoSlice::new(bytes)])
        }
        fn write_vectored(&mut self, pieces: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
            self.0.extend(pieces.last().map(|piece| &raw const piece[piece.len() - 1]));
            pieces.iter().for_each(|piece| self.1.extend_from_slice(piece));
            Ok(pieces.iter().map(|piece| piece.len()).sum())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl sockeye::blocking::Transport for Noting {}

    let payload = vec![7; 300_000];
    let fragments = [(0x02, 128 * 1024), (0x00, 128 * 1024), (0x80, 300_000 - 256 * 1024)];
    let mut socket = sockeye::blocking::WebSocket::server(Noting::default(), Config::default());
    socket.send(&payload[..16 * 1024]).unwrap();
    socket.send(&payload).unwrap();
    let Noting(ends, written) = socket.into_inner();
    let expected = [16 * 1024, 128 * 1024, 256 * 1024, 300_000].map(|end| &raw const payload[end - 1]);
    assert_eq!(ends, expected);
    let mut frames = frames(&written).into_iter();
    assert_eq!(frames.next(), Some((0x82, payload[..16 * 1024].to_vec())));
    assert_eq!(frames.collect::<Vec<_>>(), fragments.map(|(first, len)| (first, payload[..len].to_vec())));
}

#[test]
fn what_a_stream_that_does_not_block_leaves_over_of_a_large_payload_goes_with_the_next_call() {
    let payload: Vec<u8> = (0..40_000u32).map(|at| at.to_be_bytes()[3]).collect();
    for stop in [0, 1, 4, 5, 14, 15, 20_000, 39_999, 40_014, 40_015] {
        let stream = Scripted::open("");
        let mut socket = server(stream.clone(), Config::default());
        socket.feed("before it").unwrap();
        stream.script().write_stops = [(stop, Some(ErrorKind::WouldBlock))].into();
        socket.send(&payload).unwrap();
        let left = plain(0x81, b"before it").len() + plain(0x82, &payload).len() - stream.output().len();
        assert_eq!(socket.queued(), left, "stopped at {stop}");
        stream.script().write_stops.clear();
        socket.send("behind it").unwrap();
        let expected = [plain(0x81, b"before it"), plain(0x82, &payload), plain(0x81, b"behind it")].concat();
        assert!(stream.output() == expected, "stopped at {stop}");
    }
}

#[test]
fn large_message_is_refused_in_the_middle_of_one_in_fragments() {
    let mut socket = server(Scripted::open(""), Config::default());
    socket.send_fragment("first", Fin::More).unwrap();
    let Err(Error::Send(error)) = socket.send(&[0u8; 20_000]) else { panic!() };
    assert_eq!(error, SendError::MessageOpen);
}

#[test]
fn who_has_closed_is_told_so_whatever_the_length() {
    for len in [10, 16 * 1024] {
        let mut socket = server(Scripted::open(""), Config::default());
        socket.send_fragment("one", Fin::More).unwrap();
        socket.close(Close::normal()).unwrap();
        let refused = socket.send(&vec![7u8; len][..]);
        assert!(matches!(refused, Err(Error::Send(SendError::Closed))), "{len} bytes: {refused:?}");
    }
}

#[test]
fn no_frame_of_a_text_is_longer_than_the_fragment_size() {
    let stream = Scripted::open("");
    let mut socket = server(stream.clone(), config(|config| config.fragment_size = 2));
    socket.send("a€😀").unwrap();
    assert!(frames(&stream.output()).iter().all(|(_, payload)| payload.len() <= 2), "{:?}", frames(&stream.output()));
}

#[test]
fn a_fragment_is_one_write_where_the_stream_is_not_vectored() {
    let stream = Scripted::open("");
    let mut socket = server(stream.clone(), config(|config| config.fragment_size = 1000));
    socket.send(&[7u8; 3000]).unwrap();
    assert_eq!(stream.script().writes, [1004, 1004, 1004]);
}

//! The two halves of a split connection: whoever waits is woken, and every byte gets out, whatever the order.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use loom::thread;
use sockeye::driver::Error;
use sockeye::{Close, Config, MessageKind, SendError, Timeout};
use sockeye_loom::{Line, block_on, check, wait_once};

const PING: &[u8] = b"\x89\x80\0\0\0\0";
const PONG: &[u8] = b"\x8a\x00";
const MESSAGE: &[u8] = b"\x82\x81\0\0\0\0x";
/// A Close (1000), from the peer and from us.
const CLOSE: &[u8] = b"\x88\x82\0\0\0\0\x03\xe8";
const OUR_CLOSE: &[u8] = b"\x88\x02\x03\xe8";

/// Fragments of four bytes, and room for one.
fn config() -> Config {
    let mut config = Config::default();
    (config.fragment_size, config.high_water_mark, config.low_water_mark) = (4, 6, 0);
    config
}

#[test]
fn what_both_halves_queue_is_written_whoever_is_woken() {
    check(|| {
        let line = Line::new(0, PING);
        let (mut receiver, sender) = line.split(config());
        let receiving = thread::spawn(move || block_on(receiver.receive()));
        let opener = line.clone();
        let opening = thread::spawn(move || {
            opener.open(3);
            opener.open(100);
        });
        block_on(sender.send(b"abc")).unwrap();
        // The pong may have come after the message; then it is the receiver who writes it.
        line.wait_written(|written| written.len() == 7);
        line.end();
        assert!(matches!(receiving.join().unwrap(), Err(Error::Lost)));
        opening.join().unwrap();
        let (message, pong) = (b"\x82\x03abc", PONG);
        assert!([[&message[..], pong].concat(), [pong, &message[..]].concat()].contains(&line.written()));
    });
}

#[test]
fn pong_goes_out_between_the_fragments_of_a_message_that_is_stuck() {
    check(|| {
        let line = Line::new(3, PING);
        let (mut receiver, sender) = line.split(config());
        let mut sending = Box::pin(async move { sender.send(b"aaaabbbb").await });
        wait_once(sending.as_mut());
        wait_once(pin!(receiver.receive()));
        let opener = line.clone();
        let opening = thread::spawn(move || opener.open(100));
        let receiving = thread::spawn(move || block_on(receiver.receive()));
        block_on(sending).unwrap();
        opening.join().unwrap();
        assert_eq!(line.written(), [b"\x02\x04aaaa", PONG, b"\x80\x04bbbb"].concat());
        line.end();
        assert!(matches!(receiving.join().unwrap(), Err(Error::Lost)));
    });
}

#[test]
fn messages_of_two_senders_do_not_mix() {
    check(|| {
        let line = Line::new(3, b"");
        let (_receiver, sender) = line.split(config());
        let other = sender.clone();
        let sending = thread::spawn(move || block_on(other.send(b"aaaabb")));
        let opener = line.clone();
        let opening = thread::spawn(move || opener.open(100));
        block_on(sender.send(b"ccccdd")).unwrap();
        assert!(line.written().windows(10).any(|bytes| bytes == b"\x02\x04cccc\x80\x02dd"), "sent, but not written");
        sending.join().unwrap().unwrap();
        opening.join().unwrap();
        let (one, two) = (&b"\x02\x04aaaa\x80\x02bb"[..], &b"\x02\x04cccc\x80\x02dd"[..]);
        assert!([[one, two].concat(), [two, one].concat()].contains(&line.written()));
    });
}

#[test]
fn short_messages_of_three_senders_are_all_written() {
    check(|| {
        let line = Line::new(1, b"");
        let (_receiver, sender) = line.split(config());
        let sending = [b"a", b"b"].map(|message| {
            let sender = sender.clone();
            thread::spawn(move || block_on(sender.send(message)))
        });
        line.open(100);
        block_on(sender.feed(b"c")).unwrap();
        block_on(sender.flush()).unwrap();
        sending.into_iter().for_each(|sending| sending.join().unwrap().unwrap());
        assert_eq!(line.written().len(), 9);
    });
}

#[test]
fn close_of_a_sender_ends_the_receiver_once_the_peer_has_answered() {
    check(|| {
        let line = Line::new(100, b"");
        let (mut receiver, sender) = line.split(config());
        let closing = thread::spawn(move || block_on(sender.close(Close::normal())));
        let peer = line.clone();
        let answering = thread::spawn(move || {
            peer.wait_written(|written| written == OUR_CLOSE);
            peer.give(CLOSE);
        });
        assert!(matches!(block_on(receiver.receive()), Ok(None)));
        assert!(line.is_shut_down());
        closing.join().unwrap().unwrap();
        answering.join().unwrap();
    });
}

#[test]
fn receiver_that_waits_for_its_close_to_be_written_ends_when_a_sender_writes_it() {
    check(|| {
        let line = Line::new(0, CLOSE);
        let (mut receiver, sender) = line.split(config());
        let opener = line.clone();
        let opening = thread::spawn(move || opener.open(100));
        let flushing = thread::spawn(move || block_on(sender.flush()));
        assert!(matches!(block_on(receiver.receive()), Ok(None)));
        flushing.join().unwrap().unwrap();
        opening.join().unwrap();
        assert_eq!(line.written(), OUR_CLOSE);
        assert!(line.is_shut_down());
    });
}

#[test]
fn send_that_is_dropped_does_not_hold_up_another() {
    check(|| {
        let line = Line::new(3, b"");
        let (_receiver, sender) = line.split(config());
        let other = sender.clone();
        let mut dropped = Box::pin(async move { sender.send(b"aaaabb").await });
        wait_once(dropped.as_mut());
        let sending = thread::spawn(move || block_on(other.send(b"cc")));
        let opener = line.clone();
        let opening = thread::spawn(move || opener.open(100));
        drop(dropped);
        sending.join().unwrap().unwrap();
        opening.join().unwrap();
        assert_eq!(line.written(), b"\x02\x04aaaa\x80\x02bb\x82\x02cc");
    });
}

#[test]
fn send_that_is_dropped_while_it_waits_for_its_turn_does_not_hold_up_another() {
    check(|| {
        let line = Line::new(3, b"");
        let (_receiver, sender) = line.split(config());
        let mut first = Box::pin(sender.send(b"aaaabb"));
        wait_once(first.as_mut());
        let (second, third) = (sender.clone(), sender.clone());
        let dropping = thread::spawn(move || {
            let mut dropped = pin!(second.send(b"never"));
            let waker = Waker::noop();
            let _ = dropped.as_mut().poll(&mut Context::from_waker(waker));
        });
        let sending = thread::spawn(move || block_on(third.send(b"cc")));
        line.open(100);
        sending.join().unwrap().unwrap();
        dropping.join().unwrap();
        block_on(first).unwrap();
        assert!(line.written().starts_with(b"\x02\x04aaaa\x80\x02bb"));
    });
}

#[test]
fn sender_gets_its_turn_when_a_writer_finishes() {
    check(|| {
        let line = Line::new(3, b"");
        let (_receiver, sender) = line.split(config());
        let other = sender.clone();
        let writing = thread::spawn(move || {
            block_on(async {
                let mut writer = other.writer(MessageKind::Binary).await?;
                writer.write_all(b"aa").await?;
                writer.finish().await
            })
        });
        let opener = line.clone();
        let opening = thread::spawn(move || opener.open(100));
        block_on(sender.send(b"cc")).unwrap();
        writing.join().unwrap().unwrap();
        opening.join().unwrap();
        let (one, two) = (&b"\x82\x02aa"[..], &b"\x82\x02cc"[..]);
        assert!([[one, two].concat(), [two, one].concat()].contains(&line.written()));
    });
}

#[test]
fn sender_gets_its_turn_when_a_writer_is_dropped_that_wrote_nothing() {
    check(|| {
        let line = Line::new(3, b"");
        let (_receiver, sender) = line.split(config());
        let other = sender.clone();
        let writer = block_on(sender.writer(MessageKind::Binary)).unwrap();
        let sending = thread::spawn(move || block_on(other.send(b"cc")));
        let opener = line.clone();
        let opening = thread::spawn(move || opener.open(100));
        drop(writer);
        sending.join().unwrap().unwrap();
        opening.join().unwrap();
        assert_eq!(line.written(), b"\x82\x02cc");
    });
}

#[test]
fn sender_that_waits_for_its_turn_fails_when_a_writer_is_dropped_amid_its_message() {
    check(|| {
        let line = Line::new(3, b"");
        let (_receiver, sender) = line.split(config());
        let other = sender.clone();
        let mut writer = block_on(sender.writer(MessageKind::Binary)).unwrap();
        block_on(writer.write_all(&[b'a'; 16 * 1024])).unwrap();
        let sending = thread::spawn(move || block_on(other.send(b"cc")));
        let opener = line.clone();
        let opening = thread::spawn(move || opener.open(100_000));
        drop(writer);
        assert!(matches!(sending.join().unwrap(), Err(Error::Send(SendError::Closed))));
        opening.join().unwrap();
        block_on(sender.flush()).unwrap();
        assert!(line.written().ends_with(b"\x88\x13\x03\xf3message abandoned"));
    });
}

#[test]
fn both_halves_learn_of_a_deadline_that_passes_while_they_wait() {
    check(|| {
        let line = Line::new(0, b"");
        let (mut receiver, sender) = line.split(config());
        let mut sending = pin!(sender.send(b"a"));
        wait_once(sending.as_mut());
        let receiving = thread::spawn(move || block_on(receiver.receive()));
        let clock = line.clone();
        let passing = thread::spawn(move || clock.pass(Duration::from_secs(30)));
        let sent = block_on(sending.as_mut());
        assert!(matches!(sent, Err(Error::Timeout(Timeout::Output))), "{sent:?}");
        passing.join().unwrap();
        assert!(matches!(receiving.join().unwrap(), Err(Error::Timeout(Timeout::Output))));
    });
}

#[test]
fn deadline_that_passes_while_the_receiver_is_polled_is_not_missed() {
    check(|| {
        let line = Line::new(100, b"");
        let mut config = config();
        config.idle_timeout = Some(Duration::from_secs(5));
        let (mut receiver, _sender) = line.split(config);
        // Somebody has received before, and does not wait any more; the timer is set.
        wait_once(pin!(receiver.receive()));
        let clock = line.clone();
        let passing = thread::spawn(move || clock.pass(Duration::from_secs(5)));
        let receiving = thread::spawn(move || block_on(receiver.receive()));
        line.wait_written(|written| written.starts_with(b"\x88"));
        line.end();
        assert!(receiving.join().unwrap().is_err());
        passing.join().unwrap();
    });
}

#[test]
fn receiver_goes_on_when_the_last_sender_is_dropped() {
    check(|| {
        let line = Line::new(3, PING);
        let (mut receiver, sender) = line.split(config());
        let dropping = thread::spawn(move || {
            let _ = sender.try_send(b"aa");
            drop(sender);
        });
        let peer = line.clone();
        let opening = thread::spawn(move || {
            peer.open(100);
            peer.give(MESSAGE);
        });
        let message = block_on(receiver.receive()).unwrap();
        assert_eq!(message, Some(b"x"[..].into()));
        opening.join().unwrap();
        dropping.join().unwrap();
        line.end();
        assert!(matches!(block_on(receiver.receive()), Err(Error::Lost)));
        assert_eq!(line.written().len(), 6);
    });
}

#[test]
fn what_is_queued_and_a_close_are_written_when_the_receiver_is_dropped_while_a_sender_waits() {
    check(|| {
        let line = Line::new(3, PING);
        let (mut receiver, sender) = line.split(config());
        let dropping = thread::spawn(move || {
            let _ = pin!(receiver.receive()).poll(&mut Context::from_waker(Waker::noop()));
            drop(receiver);
        });
        let opener = line.clone();
        let opening = thread::spawn(move || opener.open(100));
        let sent = block_on(sender.send(b"aa"));
        opening.join().unwrap();
        dropping.join().unwrap();
        let _ = block_on(sender.flush());
        // The pong, the message if it came first, and the Close.
        assert_eq!(line.written().len(), if sent.is_ok() { 2 + 4 + 4 } else { 2 + 4 });
    });
}

#[test]
fn sender_that_waits_for_the_end_learns_of_it() {
    check(|| {
        let line = Line::new(1, b"");
        let (mut receiver, sender) = line.split(config());
        let receiving = thread::spawn(move || block_on(receiver.receive()));
        let peer = line.clone();
        let ending = thread::spawn(move || {
            peer.open(100);
            peer.end();
        });
        block_on(sender.closed());
        assert!(matches!(receiving.join().unwrap(), Err(Error::Lost)));
        ending.join().unwrap();
    });
}

#[test]
fn sender_that_waits_for_room_fails_when_the_peer_closes_amid_a_long_message() {
    check(|| {
        let line = Line::new(3, CLOSE);
        let (mut receiver, sender) = line.split(config());
        wait_once(pin!(sender.send(b"aaaabbbbcc")));
        wait_once(pin!(receiver.receive()));
        let other = sender.clone();
        let sending = thread::spawn(move || block_on(other.send(b"dd")));
        let opener = line.clone();
        let opening = thread::spawn(move || opener.open(100));
        assert!(matches!(block_on(receiver.receive()), Ok(None)));
        opening.join().unwrap();
        assert!(matches!(sending.join().unwrap(), Err(Error::Send(SendError::Closed))));
    });
}

#[test]
fn ping_of_a_sender_ends_when_the_receiver_has_its_pong() {
    check(|| {
        let line = Line::new(100, b"");
        let (mut receiver, sender) = line.split(config());
        let receiving = thread::spawn(move || block_on(receiver.receive()));
        let peer = line.clone();
        let answering = thread::spawn(move || {
            peer.wait_written(|written| written.len() == 10);
            peer.give(b"\x8a\x88\0\0\0\0\0\0\0\0\0\0\0\x01");
        });
        assert!(matches!(block_on(sender.ping()), Ok(Duration::ZERO)));
        answering.join().unwrap();
        line.end();
        assert!(matches!(receiving.join().unwrap(), Err(Error::Lost)));
    });
}

#[test]
fn message_of_many_fragments_that_lets_others_on_is_written_to_its_end() {
    check(|| {
        let line = Line::new(usize::MAX, b"");
        let mut config = config();
        config.fragment_size = 1;
        let (_receiver, sender) = line.split(config);
        let other = sender.clone();
        let sending = thread::spawn(move || block_on(other.send(b"b")));
        block_on(sender.send(&[b'a'; 40])).unwrap();
        sending.join().unwrap().unwrap();
        assert_eq!(line.written().len(), 41 * 3);
    });
}

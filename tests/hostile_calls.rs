//! Hostile callers: absurd settings, calls out of order, extensions and key sources that misbehave.

use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sockeye::{
    Assembler, CloseCode, Config, Connection, Decoded, Decoder, Encoder, ExtensionError, Fin, Instant, MaskingKeys,
    Rsv, State,
};

/// A frame of a client, masked with a key of zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let head = match u16::try_from(payload.len()) {
        Ok(len @ 0..=125) => vec![first, 0x80 | len.to_be_bytes()[1]],
        Ok(len) => [&[first, 0x80 | 126], &len.to_be_bytes()[..]].concat(),
        Err(_) => [&[first, 0x80 | 127], &(payload.len() as u64).to_be_bytes()[..]].concat(),
    };
    [&head[..], &[0; 4], payload].concat()
}

const VALUES: [u64; 6] = [0, 1, 2, 125, 1 << 40, u64::MAX];

#[test]
fn no_setting_makes_it_panic_or_loop() {
    let wire = [
        masked(0x81, "é".as_bytes()),
        masked(0x82, b""),
        masked(0x01, b"a"),
        masked(0x89, b"p"),
        masked(0x80, b"b"),
        masked(0x82, &[7; 70_000]),
        masked(0x88, &[3, 232]),
    ]
    .concat();
    for frame in VALUES {
        for message in VALUES {
            for fragments in [0, 1, u32::MAX] {
                for pongs in [0, 1, usize::MAX] {
                    for size in [0, 1, 3, usize::MAX] {
                        let mut config = Config::default();
                        config.max_frame_size = frame;
                        config.max_message_size = usize::try_from(message).unwrap_or(usize::MAX);
                        config.max_fragments = fragments;
                        config.max_pending_pongs = pongs;
                        config.fragment_size = size;
                        for step in [1, 7, usize::MAX] {
                            if step == 1 && (frame, pongs, size) != (u64::MAX, 1, 1) {
                                continue;
                            }
                            let mut server = Connection::server(config.clone());
                            let mut assembler = Assembler::new(config.clone());
                            let (mut wire, mut output) = (wire.clone(), Vec::new());
                            server.send_text("aéb", &mut output).unwrap();
                            'all: for piece in wire.chunks_mut(step.min(100_000)) {
                                let mut input = piece;
                                for n in 0.. {
                                    assert!(n < 100_000, "loops");
                                    match server.receive_message(&mut input, &mut assembler, &mut output) {
                                        Ok(Some(_)) => {}
                                        Ok(None) => break,
                                        Err(_) => break 'all,
                                    }
                                }
                            }
                            assert_ne!(server.state(), State::Open);
                            assert!(server.send_text("x", &mut output).is_err());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn no_deadline_makes_it_panic_or_loop() {
    let values =
        [None, Some(Duration::ZERO), Some(Duration::from_nanos(1)), Some(Duration::from_secs(1)), Some(Duration::MAX)];
    for ping in values {
        for pong in values {
            for idle in values {
                for message in values {
                    for close in values {
                        let mut config = Config::default();
                        config.ping_interval = ping;
                        config.pong_timeout = pong;
                        config.idle_timeout = idle;
                        config.message_timeout = message;
                        config.close_timeout = close;
                        config.lifetime = idle;
                        let mut server = Connection::server(config);
                        let mut output = Vec::new();
                        // Forward, back, and to the end of time.
                        for (i, now) in [5, 0, 3, u64::MAX, 1, u64::MAX].into_iter().enumerate() {
                            let now = Instant::from(Duration::from_secs(now));
                            let mut wire = masked(0x01, b"a");
                            if i == 2 {
                                let _ = server.receive(&mut &mut wire[..], &mut output);
                            }
                            for n in 0.. {
                                assert!(n < 1000, "{ping:?} {pong:?} {idle:?} {message:?} {close:?}");
                                server.handle_timeout(now, &mut output);
                                output.clear();
                                if server.poll_timeout().is_none_or(|at| at > now || at == Instant::from(Duration::MAX))
                                {
                                    break;
                                }
                            }
                        }
                        server.receive_eof();
                        server.receive_eof();
                        server.handle_timeout(Instant::default(), &mut output);
                        assert_eq!(server.state(), State::Closed);
                    }
                }
            }
        }
    }
}

struct Liar(u8);

impl Decoder for Liar {
    fn decode(&mut self, input: &mut &[u8], _: Fin, room: usize) -> Result<Decoded<'_>, ExtensionError> {
        Ok(match self.0 {
            0 => Decoded::More(&[]),
            1 => Decoded::More(vec![0; room * 3].leak()),
            2 => return Err(ExtensionError::new("no", CloseCode::INVALID_PAYLOAD)),
            3 => {
                *input = &[];
                Decoded::All(&[])
            }
            _ => Decoded::All(&[]),
        })
    }
}

impl Encoder for Liar {
    fn encode(&mut self, _: &[u8], _: Fin, output: &mut Vec<u8>) -> Result<(), ExtensionError> {
        output.push(1);
        if self.0 == 2 { Err(ExtensionError::new("no", CloseCode::INVALID_PAYLOAD)) } else { Ok(()) }
    }
}

#[test]
fn a_decoder_that_asks_for_more_without_end_is_refused() {
    for lie in [0, 1, 2, 3, 4] {
        let mut server = Connection::server(Config::default());
        server.extend(Rsv::RSV1, Box::new(Liar(lie)));
        let mut assembler = Assembler::new(Config::default());
        assembler.extend(Box::new(Liar(lie)));
        let (mut wire, mut output) = (masked(0xc2, b"abc"), Vec::new());
        let received = server.receive_message(&mut &mut wire[..], &mut assembler, &mut output).map(|_| ());
        assert_eq!(received.is_err(), lie <= 2, "{lie}");
        assert_eq!(server.send_text("x", &mut output).is_err(), lie <= 2);
    }
}

struct Fuse(u32);

impl MaskingKeys for Fuse {
    fn next_key(&mut self) -> [u8; 4] {
        self.0 = self.0.checked_sub(1).expect("the source of keys is empty");
        [0; 4]
    }
}

#[test]
fn no_message_begins_inside_another_after_a_panic_of_the_key_source() {
    let mut config = Config::default();
    config.fragment_size = 2;
    let mut client = Connection::client_with_keys(config, Fuse(1));
    let mut output = Vec::new();
    let result = catch_unwind(AssertUnwindSafe(|| client.send_text("abcd", &mut output)));
    assert!(result.is_err());
    assert_eq!(output, masked(0x01, b"ab"));
    assert!(client.is_sending_message());
}

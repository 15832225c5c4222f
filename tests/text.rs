//! Text is UTF-8, checked as it arrives: RFC 6455 §8.1.

mod common;

use common::wire::{BINARY, CLOSE, CONTINUATION, FIN, PING, ROLES, TEXT, head_to, only_close_code, to};
use common::{Side, binary, failed, ping, text};
use sockeye::{Event, Payload, ProtocolError, Role};

/// Text with characters of one to four bytes.
const MIXED: &str = "aß€😀b\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}\0~";

/// Sequences that are not UTF-8, and after how many bytes that is certain.
const WRONG: [(&[u8], usize); 16] = [
    (b"\x80", 1),             // continuation of nothing
    (b"\xbf", 1),             //
    (b"\xc0\x80", 1),         // overlong, two bytes
    (b"\xc1\xbf", 1),         //
    (b"\xc3(", 2),            // no continuation
    (b"\xe0\x80\x80", 2),     // overlong, three bytes
    (b"\xe0\x9f\xbf", 2),     //
    (b"\xed\xa0\x80", 2),     // a surrogate
    (b"\xed\xbf\xbf", 2),     //
    (b"\xe2\x82(", 3),        // no second continuation
    (b"\xf0\x8f\xbf\xbf", 2), // overlong, four bytes
    (b"\xf4\x90\x80\x80", 2), // above U+10FFFF
    (b"\xf5\x80\x80\x80", 1), //
    (b"\xfe", 1),             // never in UTF-8
    (b"\xff", 1),             //
    (b"\xf0\x9f\x98(", 4),    // no third continuation
];

#[test]
fn text_arrives_whole_at_every_split_of_its_bytes() {
    for role in ROLES {
        let frame = to(role, FIN | TEXT, MIXED.as_bytes());
        for at in 0..=frame.len() {
            let mut side = Side::of(role);
            side.receive(&frame[..at]);
            side.receive(&frame[at..]);
            assert_eq!(side.heard, [text(MIXED)], "split at {at}");
        }
        for size in 1..6 {
            assert_eq!(Side::of(role).receive_by(size, &frame), [text(MIXED)], "by {size}");
        }
    }
}

#[test]
fn text_arrives_whole_however_it_is_cut_into_fragments() {
    for role in ROLES {
        for size in 1..6 {
            let mut bytes = to(role, TEXT, b"");
            for piece in MIXED.as_bytes().chunks(size) {
                bytes.extend(to(role, CONTINUATION, piece));
                bytes.extend(to(role, FIN | PING, b""));
            }
            bytes.extend(to(role, FIN | CONTINUATION, b""));
            for read in [1, 4, usize::MAX] {
                let heard = Side::of(role).receive_by(read, &bytes);
                assert_eq!(heard.last(), Some(&text(MIXED)), "fragments of {size}, read by {read}");
            }
        }
    }
}

#[test]
fn a_byte_that_cannot_be_right_is_refused_inside_a_frame_and_before_the_message_ends() {
    for role in ROLES {
        for (wrong, certain_after) in WRONG {
            // A frame that announces far more than what arrives of it, and does not end its message.
            let bytes = [b"fine so far: ", wrong].concat();
            let mut frame = to(role, TEXT, &[&bytes[..], &[b'x'; 100]].concat());
            let head_len = frame.len() - bytes.len() - 100;
            frame.truncate(head_len + bytes.len());
            let certain = frame.len() - wrong.len() + certain_after;

            let mut side = Side::of(role);
            assert_eq!(side.receive_by(1, &frame[..certain - 1]), [], "{wrong:x?}");
            let heard = side.receive(&frame[certain - 1..certain]);
            assert_eq!(heard, [failed(ProtocolError::InvalidUtf8)], "{wrong:x?}");
            assert_eq!(only_close_code(&side.output), 1007);

            let heard = Side::of(role).receive(&frame[..certain]);
            assert_eq!(heard, [failed(ProtocolError::InvalidUtf8)], "{wrong:x?} in one read");
        }
    }
}

#[test]
fn a_byte_that_cannot_be_right_is_refused_at_a_fragment_that_is_not_the_last() {
    for role in ROLES {
        for (wrong, certain_after) in WRONG {
            let mut side = Side::of(role);
            for byte in &wrong[..certain_after - 1] {
                let first = if side.connection.received().frames == 0 { TEXT } else { CONTINUATION };
                assert_eq!(side.receive(&to(role, first, &[*byte])), [], "{wrong:x?}");
            }
            let first = if side.connection.received().frames == 0 { TEXT } else { CONTINUATION };
            let heard = side.receive(&to(role, first, &wrong[certain_after - 1..certain_after]));
            assert_eq!(heard, [failed(ProtocolError::InvalidUtf8)], "{wrong:x?}");
        }
    }
}

#[test]
fn a_message_that_ends_inside_a_character_is_refused() {
    for role in ROLES {
        for cut in [&"ß".as_bytes()[..1], &"€".as_bytes()[..1], &"€".as_bytes()[..2], &"😀".as_bytes()[..3]] {
            let mut side = Side::of(role);
            assert_eq!(side.receive(&to(role, FIN | TEXT, cut)), [failed(ProtocolError::InvalidUtf8)], "{cut:x?}");
            assert_eq!(only_close_code(&side.output), 1007);

            let fragments = [to(role, TEXT, cut), to(role, FIN | CONTINUATION, b"")].concat();
            assert_eq!(Side::of(role).receive(&fragments), [failed(ProtocolError::InvalidUtf8)], "{cut:x?}");
            assert_eq!(Side::of(role).receive_by(1, &fragments), [failed(ProtocolError::InvalidUtf8)], "{cut:x?}");
        }
    }
}

#[test]
fn a_fragment_that_ends_inside_a_character_is_fine() {
    for role in ROLES {
        let fragments =
            [to(role, TEXT, b"\xf0"), to(role, CONTINUATION, b"\x9f\x98"), to(role, FIN | CONTINUATION, b"\x80!")];
        assert_eq!(Side::of(role).receive(&fragments.concat()), [text("😀!")]);
    }
}

#[test]
fn a_control_frame_inside_a_character_changes_nothing() {
    for role in ROLES {
        let bytes = [to(role, TEXT, b"\xe2\x82"), to(role, FIN | PING, b"\xff"), to(role, FIN | CONTINUATION, b"\xac")]
            .concat();
        for size in [1, 2, usize::MAX] {
            assert_eq!(Side::of(role).receive_by(size, &bytes), [ping(b"\xff"), text("€")], "by {size}");
        }
    }
}

#[test]
fn a_character_that_was_cut_comes_out_in_front_of_the_text_after_it() {
    let mut client = Side::client().connection;
    let frame = to(Role::Client, FIN | TEXT, "a€b".as_bytes());
    let mut seen = Vec::new();
    for piece in [&frame[..4], &frame[4..]] {
        let mut bytes = piece.to_vec();
        let mut input = &mut bytes[..];
        while let Some(Event::Data(chunk)) = client.receive(&mut input, &mut Vec::new()).unwrap() {
            let Payload::Text { completed, text } = chunk.payload() else { panic!("not text") };
            seen.push((completed, text.to_owned()));
        }
    }
    assert_eq!(seen, [(None, "a".into()), (Some('€'), "b".into())]);
}

#[test]
fn characters_across_the_edges_of_wide_blocks_are_right() {
    for role in ROLES {
        for before in (0..140).chain(250..260).chain(4090..4100) {
            for character in ["ß", "€", "😀"] {
                let message = format!("{}{character}{}", "a".repeat(before), "b".repeat(70));
                let heard = Side::of(role).receive(&to(role, FIN | TEXT, message.as_bytes()));
                assert_eq!(heard, [text(&message)], "{character} after {before} bytes");
            }
        }
    }
}

#[test]
fn a_wrong_byte_is_found_at_every_place_of_wide_blocks() {
    for role in ROLES {
        for len in [1, 16, 63, 64, 65, 126, 128, 200] {
            for at in 0..len {
                let mut message = vec![b'a'; len];
                message[at] = 0xff;
                let heard = Side::of(role).receive(&to(role, FIN | TEXT, &message));
                assert_eq!(heard, [failed(ProtocolError::InvalidUtf8)], "byte {at} of {len}");
            }
        }
    }
}

#[test]
fn messages_before_a_text_that_is_wrong_are_delivered_first() {
    for role in ROLES {
        let mut side = Side::of(role);
        let bytes = [to(role, FIN | TEXT, b"right"), to(role, FIN | TEXT, b"\xff"), to(role, FIN | TEXT, b"after")];
        assert_eq!(side.receive(&bytes.concat()), [text("right"), failed(ProtocolError::InvalidUtf8)]);
        assert_eq!(side.receive(&bytes.concat()), [failed(ProtocolError::InvalidUtf8)]);
    }
}

#[test]
fn a_new_text_does_not_begin_with_the_rest_of_the_last() {
    for role in ROLES {
        let bytes = [
            to(role, TEXT, b"\xe2"),
            to(role, FIN | CONTINUATION, b"\x82\xac"),
            to(role, TEXT, b"a"),
            to(role, FIN | CONTINUATION, b"\x82"),
        ];
        assert_eq!(Side::of(role).receive(&bytes.concat()), [text("€"), failed(ProtocolError::InvalidUtf8)]);
    }
}

#[test]
fn binary_is_not_checked() {
    for role in ROLES {
        for (wrong, _) in WRONG {
            assert_eq!(Side::of(role).receive(&to(role, FIN | BINARY, wrong)), [binary(wrong)]);
            assert_eq!(Side::of(role).receive_by(1, &to(role, FIN | BINARY, wrong)), [binary(wrong)]);
        }
    }
}

#[test]
fn a_close_reason_that_is_not_utf8_is_refused_with_1007() {
    for role in ROLES {
        for (wrong, _) in WRONG {
            let mut side = Side::of(role);
            let heard = side.receive(&to(role, FIN | CLOSE, &[b"\x03\xe8", wrong].concat()));
            assert_eq!(heard, [failed(ProtocolError::InvalidUtf8)], "{wrong:x?}");
            assert_eq!(only_close_code(&side.output), 1007);
        }
    }
}

#[test]
fn a_header_alone_is_no_reason_to_refuse_a_text() {
    for role in ROLES {
        let mut side = Side::of(role);
        assert_eq!(side.receive(&head_to(role, FIN | TEXT, 1000)), []);
        assert_eq!(side.output, b"");
    }
}

//! What a connection that compresses holds of memory: between messages, and while a long one streams.

#[path = "common/allocator.rs"]
#[allow(dead_code, reason = "one half of what it tells is wanted here")]
mod allocator;
mod async_support;
mod blocking_support;

use core::future::poll_fn;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use allocator::{Counting, measure};
use async_support::{Mock, now, timeless};
use blocking_support::Scripted;
use sockeye::deflate::{Agreement, Context, Deflate};
use sockeye::handshake::Extensions;
use sockeye::tokio::WebSocket;
use sockeye::{Connection, Fin, Message, Payload, Role, Rsv, blocking};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The compressors of the process go from thread to thread: one test at a time, so that each sees what it takes itself.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn agreement(deflate: &Deflate, role: Role, answer: &str) -> Agreement {
    deflate.agreed(role, &Extensions::parse(answer).next().unwrap().unwrap()).unwrap()
}

fn client(deflate: &Deflate, answer: &str) -> Connection {
    let mut client = Connection::client_with_keys(timeless(), || [1, 2, 3, 4]);
    client.extend(Rsv::RSV1, agreement(deflate, Role::Client, answer).encoder());
    client
}

/// One message of 64 MiB, in fragments; it goes over the wire in much fewer bytes.
static LONG_MESSAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (mut client, mut wire) = (client(&Deflate::default(), "permessage-deflate"), Vec::new());
    let piece = vec![b'7'; 1 << 20];
    for number in 1..=MEBIBYTES {
        let fin = if number == MEBIBYTES { Fin::Last } else { Fin::More };
        client.send_fragment(&piece, fin, &mut wire).unwrap();
    }
    assert!(wire.len() < MEBIBYTES << 14, "{} bytes", wire.len());
    wire
});

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn server(stream: &Mock, deflate: &Deflate, answer: &str) -> WebSocket<Mock> {
    let agreement = agreement(deflate, Role::Server, answer);
    let mut socket = WebSocket::resume(stream.clone(), Connection::server(timeless()), &[]);
    socket.extend(Rsv::RSV1, agreement.encoder(), agreement.decoder());
    socket
}

const MEBIBYTES: usize = 64;

/// The most that a connection may hold while a message goes through it, in bytes.
const FLAT: i64 = 256 * 1024;

#[test]
fn message_of_64_mib_is_read_in_flat_memory() {
    let _alone = alone();
    let wire = &*LONG_MESSAGE;
    runtime().block_on(async {
        let mut sockets = [(); 3].map(|()| server(&Mock::new(&wire[..]), &Deflate::default(), "permessage-deflate"));
        let mut buffer = vec![0; 20_000];
        // Each future is polled to its end on this thread, between the two marks.
        let (total, taken) = measure(|| {
            smol::block_on(async {
                let mut total = 0;
                let mut reader = sockets[0].receive_reader().await.unwrap().unwrap();
                loop {
                    let len = poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await.unwrap();
                    if len == 0 {
                        break total;
                    }
                    total += len;
                }
            })
        });
        assert_eq!(total, MEBIBYTES << 20);
        assert!((1..FLAT).contains(&taken.peak), "reader: {taken:?}");
        let (total, taken) = measure(|| {
            smol::block_on(async {
                let mut total = 0;
                let mut reader = sockets[1].receive_reader().await.unwrap().unwrap();
                while let Some(piece) = reader.next().await.unwrap() {
                    assert!(piece.len() <= 64 * 1024);
                    total += piece.len();
                }
                total
            })
        });
        assert_eq!(total, MEBIBYTES << 20);
        assert!((1..FLAT).contains(&taken.peak), "pieces: {taken:?}");
        let (total, taken) = measure(|| {
            smol::block_on(async {
                let mut total = 0;
                loop {
                    let chunk = sockets[2].receive_chunk().await.unwrap().unwrap();
                    let Payload::Binary(bytes) = chunk.payload() else { panic!("{chunk:?}") };
                    total += bytes.len();
                    if chunk.is_last() {
                        break total;
                    }
                }
            })
        });
        assert_eq!(total, MEBIBYTES << 20);
        assert!((1..FLAT).contains(&taken.peak), "chunks: {taken:?}");
    });
}

#[test]
fn message_of_64_mib_is_read_in_flat_memory_on_a_thread() {
    let _alone = alone();
    let stream = Scripted::new(&LONG_MESSAGE[..]);
    stream.script().written_at_reads.reserve(4096);
    let agreement = agreement(&Deflate::default(), Role::Server, "permessage-deflate");
    let mut socket = blocking::WebSocket::resume(stream, Connection::server(timeless()), &[]);
    socket.extend(Rsv::RSV1, agreement.encoder(), agreement.decoder());
    let (total, taken) = measure(|| {
        let mut total = 0;
        loop {
            let chunk = socket.receive_chunk().unwrap().unwrap();
            let Payload::Binary(bytes) = chunk.payload() else { panic!("{chunk:?}") };
            total += bytes.len();
            if chunk.is_last() {
                break total;
            }
        }
    });
    assert_eq!(total, MEBIBYTES << 20);
    assert!((1..FLAT).contains(&taken.peak), "{taken:?}");
}

#[test]
fn message_of_64_mib_is_written_in_flat_memory() {
    let _alone = alone();
    runtime().block_on(async {
        let stream = Mock::new("");
        stream.change(|script| {
            script.output.reserve(4 << 20);
            script.writes.reserve(1 << 16);
            script.pieces.reserve(1 << 16);
        });
        let mut socket = server(&stream, &Deflate::default(), "permessage-deflate");
        let piece = vec![b'7'; 1 << 16];
        let ((), taken) = measure(|| {
            smol::block_on(async {
                let mut writer = socket.writer(sockeye::MessageKind::Binary).await.unwrap();
                for _ in 0..MEBIBYTES << 4 {
                    writer.write_all(&piece).await.unwrap();
                }
                writer.finish().await.unwrap();
            });
        });
        assert!((1..FLAT).contains(&taken.peak), "{taken:?}");
        let sent = socket.sent();
        assert_eq!(sent.decoded_bytes, (MEBIBYTES << 20) as u64);
        assert!(sent.encoded_bytes < 1 << 20);
    });
}

/// How much of the heap a connection holds that has echoed a message and waits for the next.
fn idle(deflate: &Deflate, answer: &str, len: usize) -> i64 {
    const CONNECTIONS: usize = 64;
    let text: String = ('a'..='z').cycle().take(len).collect();
    let mut wire = Vec::new();
    client(deflate, answer).send_text(&text, &mut wire).unwrap();
    runtime().block_on(async {
        let mut sockets = Vec::with_capacity(2 * CONNECTIONS);
        let mut held = 0;
        // The first of them fill the pool.
        for number in 0..2 * CONNECTIONS {
            let stream = Mock::new(&wire[..]);
            stream.change(|script| {
                script.output.reserve(2 * len + 64);
                script.writes.reserve(64);
                script.pieces.reserve(64);
            });
            let (socket, taken) = measure(|| {
                smol::block_on(async {
                    let mut socket = server(&stream, deflate, answer);
                    let message = socket.receive().await.unwrap().unwrap();
                    assert_eq!(message, Message::from(text.as_str()));
                    socket.send(message).await.unwrap();
                    assert!(now(socket.receive()).is_none(), "it waits");
                    socket
                })
            });
            assert!(stream.output()[0] & 0x40 != 0, "compressed");
            if number >= CONNECTIONS {
                held += taken.kept;
            }
            sockets.push(socket);
        }
        held / CONNECTIONS as i64
    })
}

#[test]
fn idle_connection_holds_its_two_windows_and_little_else() {
    let _alone = alone();
    let answer = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12";
    let each = idle(&Deflate::default(), answer, 10_000);
    println!("{each} bytes of heap with two windows of 4 KiB");
    assert!((2 * 4096..2 * 4096 + 1536).contains(&each), "{each} bytes");
}

#[test]
fn idle_connection_holds_of_its_windows_only_what_went_by() {
    let _alone = alone();
    let each = idle(&Deflate::default(), "permessage-deflate", 200);
    println!("{each} bytes of heap after 200 bytes each way");
    assert!((400..400 + 1792).contains(&each), "{each} bytes");
}

#[test]
fn idle_connection_without_context_holds_no_window() {
    let _alone = alone();
    let mut deflate = Deflate::default();
    (deflate.context, deflate.peer_context) = (Context::NoTakeover, Context::NoTakeover);
    let answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let each = idle(&deflate, answer, 10_000);
    println!("{each} bytes of heap without a context");
    assert!((1..1536).contains(&each), "{each} bytes");
}

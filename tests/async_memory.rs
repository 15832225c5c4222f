//! What a connection on tokio holds of memory between messages.

#[path = "common/allocator.rs"]
#[allow(dead_code, reason = "one half of what it tells is wanted here")]
mod allocator;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use allocator::Counting;
use sockeye::Message;
use sockeye::tokio::WebSocket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A transport in memory whose own memory is there from the start.
#[derive(Clone)]
struct Memory(Arc<Mutex<Pipes>>);

struct Pipes {
    input: Vec<u8>,
    output: Vec<u8>,
    /// The most bytes of one read.
    most: usize,
}

impl Memory {
    fn new(input: &[u8]) -> Self {
        let mut pipes = Pipes { input: Vec::with_capacity(8192), output: Vec::with_capacity(8192), most: usize::MAX };
        pipes.input.extend_from_slice(input);
        Self(Arc::new(Mutex::new(pipes)))
    }
}

impl AsyncRead for Memory {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Pipes { input, most, .. } = &mut *self.0.lock().unwrap();
        if input.is_empty() {
            return Poll::Pending;
        }
        let len = input.len().min(buffer.remaining()).min(*most);
        buffer.put_slice(&input[..len]);
        input.drain(..len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().output.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A browser's request, and a masked message of 1 KiB behind it.
fn request_and_message() -> Vec<u8> {
    let mut bytes = b"GET /chat HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\r\n"
        .to_vec();
    bytes.extend_from_slice(b"\x82\xfe\x04\x00\0\0\0\0");
    bytes.extend_from_slice(&[b'x'; 1024]);
    bytes
}

/// A server that has accepted, has echoed a message, and waits for the next.
async fn idle(stream: Memory) -> WebSocket<Memory> {
    let mut socket = sockeye::tokio::accept(stream).await.unwrap();
    let message = socket.receive().await.unwrap().unwrap();
    assert_eq!(message, Message::from(&[b'x'; 1024][..]));
    socket.send(message).await.unwrap();
    {
        let mut next = std::pin::pin!(socket.receive());
        std::future::poll_fn(|cx| {
            assert!(next.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    socket
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

#[test]
fn idle_connection_holds_496_bytes_of_heap_at_most() {
    const CONNECTIONS: usize = 64;
    runtime().block_on(async {
        let streams: Vec<_> = (0..=CONNECTIONS).map(|_| Memory::new(&request_and_message())).collect();
        let mut sockets = Vec::with_capacity(CONNECTIONS + 1);
        // What belongs to the thread, and not to a connection, is there after the first one.
        sockets.push(idle(streams[0].clone()).await);
        let before = allocator::held();
        for stream in &streams[1..] {
            sockets.push(idle(stream.clone()).await);
        }
        let each = (allocator::held() - before) / CONNECTIONS as i64;
        let size = size_of::<WebSocket<Memory>>();
        println!("an idle connection: {size} bytes where it lies, {each} bytes of heap");
        assert!(each <= 496, "{each} bytes of heap");
        assert!(each > 0, "nothing was counted");
    });
}

#[test]
fn connection_takes_400_bytes_and_its_stream_where_it_lies_at_most() {
    assert!(size_of::<WebSocket<tokio::net::TcpStream>>() <= 400 + size_of::<tokio::net::TcpStream>());
    assert!(size_of::<WebSocket<tokio::io::DuplexStream>>() <= 400 + size_of::<tokio::io::DuplexStream>());
}

/// What sends keeps its message once, and what accepts next to nothing: the task is that large as long as it lives.
#[test]
fn task_that_echoes_takes_200_bytes_beside_its_connection_at_most() {
    async fn feeds(stream: Memory) -> Result<(), sockeye::tokio::Error> {
        let mut socket = sockeye::tokio::accept(stream).await?;
        while let Some(message) = socket.receive().await? {
            socket.feed(message).await?;
        }
        Ok(())
    }
    async fn sends(stream: Memory) -> Result<(), sockeye::tokio::Error> {
        let mut socket = sockeye::tokio::accept(stream).await?;
        while let Some(message) = socket.receive().await? {
            socket.send(message).await?;
        }
        Ok(())
    }
    let connection = size_of::<WebSocket<Memory>>();
    let (feeds, sends) = (size_of_val(&feeds(Memory::new(b""))), size_of_val(&sends(Memory::new(b""))));
    println!("a connection of {connection} bytes makes a task's future {feeds} with feed and {sends} with send");
    assert!(feeds.max(sends) <= connection + 200, "{feeds} {sends}");
}

#[test]
fn connection_that_lingers_after_a_violation_holds_no_buffer() {
    const CONNECTIONS: usize = 16;
    runtime().block_on(async {
        let unmasked = [&request_and_message()[..], b"\x82\x01\x01\x01 and much more"].concat();
        let mut sockets = Vec::with_capacity(CONNECTIONS + 1);
        let mut before = 0;
        for number in 0..=CONNECTIONS {
            // What belongs to the thread, and not to a connection, is there after the first one.
            if number == 1 {
                before = allocator::held();
            }
            let mut socket = sockeye::tokio::accept(Memory::new(&unmasked)).await.unwrap();
            socket.receive().await.unwrap();
            {
                let mut next = std::pin::pin!(socket.receive());
                assert!(std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending())).await);
            }
            sockets.push(socket);
        }
        let each = (allocator::held() - before) / CONNECTIONS as i64;
        // The stream itself has 16 KiB.
        assert!((1..=18 * 1024).contains(&each), "{each} bytes of heap");
    });
}

/// Whether there is nothing more to read, or others get their turn because there is more and more.
#[test]
fn connection_that_waits_within_a_message_holds_no_buffer() {
    const CONNECTIONS: usize = 16;
    for most in [usize::MAX, 1] {
        runtime().block_on(async {
            let begun = [b"\x82\xfe\x04\x00\0\0\0\0", &[b'x'; 100][..]].concat();
            let streams: Vec<_> = (0..=CONNECTIONS).map(|_| Memory::new(&request_and_message())).collect();
            let mut sockets = Vec::with_capacity(CONNECTIONS + 1);
            let mut before = 0;
            for (number, stream) in streams.iter().enumerate() {
                // What belongs to the thread, and not to a connection, is there after the first one.
                if number == 1 {
                    before = allocator::held();
                }
                let mut socket = idle(stream.clone()).await;
                {
                    let mut pipes = stream.0.lock().unwrap();
                    pipes.input.extend_from_slice(&begun);
                    pipes.most = most;
                }
                {
                    let mut next = std::pin::pin!(socket.receive());
                    assert!(std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending())).await);
                }
                sockets.push(socket);
            }
            let each = (allocator::held() - before) / CONNECTIONS as i64;
            assert!((1..=1024).contains(&each), "{each} bytes of heap, {most} bytes a read");
        });
    }
}

/// A masked binary message of so many bytes.
fn binary(len: u16, byte: u8) -> Vec<u8> {
    [&b"\x82\xfe"[..], &len.to_be_bytes(), &[0; 4], &vec![byte; usize::from(len)]].concat()
}

#[test]
fn a_long_binary_message_is_given_away_with_the_buffer_that_it_was_read_into() {
    runtime().block_on(async {
        let stream = Memory::new(&request_and_message());
        let mut socket = idle(stream.clone()).await;
        let mut receive = async |bytes: &[u8]| {
            stream.0.lock().unwrap().input.extend_from_slice(bytes);
            let (message, taken) = allocator::measure(|| now(socket.receive()));
            (message.unwrap().unwrap().into_payload(), taken)
        };
        // A buffer of the thread: what the message is made of takes little.
        for byte in 0..4 {
            let (payload, taken) = receive(&binary(60_000, byte)).await;
            assert_eq!(payload, [byte; 60_000][..]);
            assert!(taken.bytes < 1024, "{taken:?}");
        }
        // One that is kept keeps its buffer, and what was read behind it goes on in another one.
        let (first, taken) = receive(&[binary(40_000, 1), binary(40_000, 2)].concat()).await;
        assert!(taken.bytes < 70_000, "{taken:?}");
        let (second, _) = receive(b"").await;
        let (third, _) = receive(&binary(40_000, 3)).await;
        for (byte, payload) in (1..).zip([&first, &second, &third]) {
            assert_eq!(*payload, [byte; 40_000][..]);
        }
        // They are given back when they are dropped, and are there for the next ones.
        drop((first, second, third));
        let (kept, taken) = receive(&[binary(40_000, 4), binary(40_000, 5)].concat()).await;
        assert!(taken.bytes < 1024, "{taken:?}");
        assert_eq!((kept.len(), receive(b"").await.0.len()), (40_000, 40_000));
        // One that takes less than half of a buffer is copied.
        let (_, taken) = receive(&binary(20_000, 6)).await;
        assert!((20_000..21_000).contains(&taken.bytes), "{taken:?}");
    });
}

/// At the bounds that the documentation of `receive` names.
#[test]
fn a_binary_message_of_32_to_64_kib_is_given_away_with_its_buffer() {
    runtime().block_on(async {
        for (len, is_shared) in [(32 * 1024 - 1, false), (32 * 1024, true), (64 * 1024 - 1, true), (64 * 1024, true)] {
            let stream = Memory::new(&request_and_message());
            let mut socket = idle(stream.clone()).await;
            let head = match u16::try_from(len) {
                Ok(len) => [&b"\x82\xfe"[..], &len.to_be_bytes(), &[0; 4]].concat(),
                Err(_) => [&b"\x82\xff"[..], &(len as u64).to_be_bytes(), &[0; 4]].concat(),
            };
            stream.0.lock().unwrap().input.extend_from_slice(&[head, vec![1; len]].concat());
            let (message, taken) = allocator::measure(|| now(socket.receive()));
            assert_eq!(message.unwrap().unwrap(), Message::from(vec![1; len]));
            assert_eq!(taken.bytes < 1024, is_shared, "{len} bytes: {taken:?}");
        }
    });
}

/// Polls a future that need not wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(std::task::Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

//! A peer of raw bytes, for what no WebSocket would send, and to see what an application really does.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::task::{Context, Poll, Waker};
use std::io::{self, IoSlice};

use super::expect::{Bytes, Expected};
use super::stream::Stream;
use crate::close::CloseCode;
use crate::config::Role;
use crate::frame::{FrameHeader, OpCode, Rsv};
use crate::handshake::{ClientConfig, ClientHandshake, ClientRequest, ServerConfig, ServerHandshake};
use crate::mask::mask;

/// One end of a pair in the hand of the test, byte by byte and frame by frame. It does nothing by itself: no pong, no
/// Close.
///
/// ```
/// use sockeye::test_kit::{Clock, Expect, Pair, run};
/// use sockeye::{CloseCode, OpCode};
///
/// let clock = Clock::new();
/// run(&clock, async {
///     let (mut client, mut server) = Pair::new(&clock).raw_client();
///     client.write(b"\x89\x80\0\0\0\0");   // a ping, by hand
///     client.send_frame(OpCode::Text, b"hello");
///     server.expect_text("hello").await;
///     server.flush().await.unwrap();
///     client.expect_frame(OpCode::Pong, b"").await;
///     client.write(b"\x83\x80\0\0\0\0");   // an opcode that there is not
///     assert!(server.receive().await.is_err());
///     client.expect_close(CloseCode::PROTOCOL_ERROR).await;
///     client.expect_end().await;
/// });
/// ```
#[derive(Debug)]
pub struct RawPeer {
    stream: Stream,
    role: Role,
    /// What was read and not asked for yet.
    input: Vec<u8>,
}

impl RawPeer {
    /// Makes a client of a stream: its frames are masked, with a key that is always the same.
    #[must_use]
    pub fn client(stream: Stream) -> Self {
        Self { stream, role: Role::Client, input: Vec::new() }
    }

    /// Makes a server of a stream.
    #[must_use]
    pub fn server(stream: Stream) -> Self {
        Self { stream, role: Role::Server, input: Vec::new() }
    }

    /// Writes bytes.
    ///
    /// # Panics
    ///
    /// If the direction has no room for all of them, stalls or fails, or the other end is gone.
    #[track_caller]
    pub fn write(&mut self, mut bytes: &[u8]) {
        let mut cx = Context::from_waker(Waker::noop());
        while !bytes.is_empty() {
            match self.stream.poll_write(&mut cx, &[IoSlice::new(bytes)]) {
                Poll::Ready(Ok(len)) => bytes = &bytes[len..],
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => panic!("{} bytes cannot be written: {error}", bytes.len()),
                Poll::Pending => panic!("{} bytes cannot be written without waiting", bytes.len()),
            }
        }
    }

    /// Writes a frame that is whole: the last, or the only one, of its message.
    ///
    /// # Panics
    ///
    /// As [`Self::write`].
    #[track_caller]
    pub fn send_frame(&mut self, opcode: OpCode, payload: &[u8]) {
        let masking_key = match self.role {
            Role::Client => Some(MASKING_KEY),
            Role::Server => None,
        };
        let payload_len = payload.len() as u64;
        let header = FrameHeader { fin: true, rsv: Rsv::NONE, opcode, masking_key, payload_len };
        let mut frame = header.encode().to_vec();
        let start = frame.len();
        frame.extend_from_slice(payload);
        mask(&mut frame[start..], masking_key.unwrap_or_default());
        self.write(&frame);
    }

    /// Ends our direction. The other one can still be read.
    pub fn shut_down(&mut self) {
        self.stream.shut_down();
    }

    /// Takes all bytes that are there, without waiting.
    pub fn take(&mut self) -> Vec<u8> {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok(1..)) = self.poll_fill(&mut cx) {}
        core::mem::take(&mut self.input)
    }

    /// Reads so many bytes.
    ///
    /// # Panics
    ///
    /// The future does, if the stream ends or fails before.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future; that holds for all of this type.
    #[track_caller]
    pub fn read(&mut self, len: usize) -> impl Future<Output = Vec<u8>> {
        let expected = Expected::new(format!("{len} bytes"));
        async move {
            expected.of(self.fill(len, &expected)).await;
            self.input.drain(..len).collect()
        }
    }

    /// Reads the head of a request or response, to the empty line behind it.
    ///
    /// # Panics
    ///
    /// As [`Self::read`].
    #[track_caller]
    pub fn read_head(&mut self) -> impl Future<Output = Vec<u8>> {
        let expected = Expected::new("a head".into());
        async move { expected.of(self.head(&expected)).await }
    }

    /// Reads a frame: its header, and its payload without the mask.
    ///
    /// # Panics
    ///
    /// The future does, if the stream ends or fails before, or what comes is not a frame.
    #[track_caller]
    pub fn read_frame(&mut self) -> impl Future<Output = (FrameHeader, Vec<u8>)> {
        let expected = Expected::new("a frame".into());
        async move { expected.of(self.frame(&expected)).await }
    }

    /// Expects these bytes.
    ///
    /// # Panics
    ///
    /// The future does, if others come, or the stream ends or fails before.
    #[track_caller]
    pub fn expect_bytes(&mut self, bytes: &[u8]) -> impl Future<Output = ()> {
        let expected = Expected::new(format!("the bytes {}", Bytes(bytes)));
        async move {
            expected.of(self.fill(bytes.len(), &expected)).await;
            let came: Vec<u8> = self.input.drain(..bytes.len()).collect();
            if came != bytes {
                expected.but(&format!("the bytes {} came", Bytes(&came)));
            }
        }
    }

    /// Expects a frame that is whole, with this payload.
    ///
    /// # Panics
    ///
    /// The future does, if anything else comes.
    #[track_caller]
    pub fn expect_frame(&mut self, opcode: OpCode, payload: &[u8]) -> impl Future<Output = ()> {
        let expected = Expected::new(format!("a {opcode:?} frame with {}", Bytes(payload)));
        async move {
            let (header, came) = expected.of(self.frame(&expected)).await;
            if !header.fin || header.opcode != opcode || came != payload {
                expected.but(&tell(header, &came));
            }
        }
    }

    /// Expects a ping, whatever its payload, and gives that.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use sockeye::test_kit::{Clock, Expect, Pair, run, spawn};
    /// # use sockeye::{Instant, OpCode};
    /// # let clock = Clock::new();
    /// # run(&clock, async {
    /// let mut pair = Pair::new(&clock);
    /// pair.server.ping_interval = Some(Duration::from_secs(30));
    /// let (mut client, mut server) = pair.raw_client();
    /// spawn(async move { server.receive().await });
    /// let payload = client.expect_ping().await;
    /// assert_eq!(clock.now() - Instant::default(), Duration::from_secs(30));
    /// client.send_frame(OpCode::Pong, &payload);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// The future does, if anything else comes.
    #[track_caller]
    pub fn expect_ping(&mut self) -> impl Future<Output = Vec<u8>> {
        let expected = Expected::new("a ping".into());
        async move {
            let (header, payload) = expected.of(self.frame(&expected)).await;
            if header.opcode != OpCode::Ping {
                expected.but(&tell(header, &payload));
            }
            payload
        }
    }

    /// Expects a Close frame with this code, [`CloseCode::NO_STATUS`] for one without; gives its reason.
    ///
    /// # Panics
    ///
    /// The future does, if anything else comes.
    #[track_caller]
    pub fn expect_close(&mut self, code: CloseCode) -> impl Future<Output = String> {
        let expected = Expected::new(format!("a Close frame with {code}"));
        async move {
            let (header, payload) = expected.of(self.frame(&expected)).await;
            let (came, reason) = match payload.split_first_chunk() {
                Some((code, reason)) => (u16::from_be_bytes(*code).into(), reason),
                None => (CloseCode::NO_STATUS, &[][..]),
            };
            if header.opcode != OpCode::Close || came != code {
                expected.but(&tell(header, &payload));
            }
            String::from_utf8_lossy(reason).into_owned()
        }
    }

    /// Expects the end of the stream.
    ///
    /// # Panics
    ///
    /// The future does, if bytes come, or the stream fails.
    #[track_caller]
    pub fn expect_end(&mut self) -> impl Future<Output = ()> {
        let expected = Expected::new("the end of the stream".into());
        async move {
            if self.input.is_empty() {
                match expected.of(poll_fn(|cx| self.poll_fill(cx))).await {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) => expected.but(&format!("the stream failed: {error}")),
                }
            }
            expected.but(&format!("the bytes {} came", Bytes(&self.input)));
        }
    }

    /// Makes the opening handshake, in its plainest form.
    ///
    /// ```
    /// # use sockeye::test_kit::{Acceptor, Clock, Expect, Pair, RawPeer, run, spawn};
    /// # use sockeye::OpCode;
    /// # let clock = Clock::new();
    /// # run(&clock, async {
    /// let (client, server) = Pair::new(&clock).streams();
    /// let accepting = spawn(async move { Acceptor::default().accept(server).await });
    /// let mut client = RawPeer::client(client);
    /// client.handshake().await;
    /// client.send_frame(OpCode::Text, b"hello");
    /// accepting.await.unwrap().expect_text("hello").await;
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// The future does, if the other side does not make its part of it; also as [`Self::write`].
    #[track_caller]
    pub fn handshake(&mut self) -> impl Future<Output = ()> {
        let expected = Expected::new("an opening handshake".into());
        async move {
            let made = match self.role {
                Role::Client => expected.of(self.handshake_as_client(&expected)).await,
                Role::Server => expected.of(self.handshake_as_server(&expected)).await,
            };
            if let Err(error) = made {
                expected.but(&error);
            }
        }
    }

    /// Gives the stream back. What was read of it and not asked for is lost.
    #[must_use]
    pub fn into_inner(self) -> Stream {
        self.stream
    }

    /// Returns the stream.
    #[must_use]
    pub fn get_ref(&self) -> &Stream {
        &self.stream
    }

    async fn handshake_as_client(&mut self, expected: &Expected) -> Result<(), String> {
        let request =
            ClientRequest::with_key("localhost", "/", *b"the sample nonce").map_err(|error| error.to_string())?;
        let mut output = Vec::new();
        request.write(&mut output);
        self.write(&output);
        let head = self.head(expected).await;
        let received = ClientHandshake::new(request, &ClientConfig::default()).receive(&mut &head[..]);
        received.map(|_| ()).map_err(|error| format!("there was an error: {error}; the head {} came", Bytes(&head)))
    }

    async fn handshake_as_server(&mut self, expected: &Expected) -> Result<(), String> {
        let (config, head) = (ServerConfig::default(), self.head(expected).await);
        let mut output = Vec::new();
        let answered = ServerHandshake::new(&config).receive(&mut &head[..]).and_then(|request| {
            if let Some(request) = request {
                request.upgrade(&config)?.respond().write(&mut output);
            }
            Ok(())
        });
        match answered {
            Ok(()) => {
                self.write(&output);
                Ok(())
            }
            Err(error) => Err(format!("there was an error: {error}; the head {} came", Bytes(&head))),
        }
    }

    /// Reads a head.
    async fn head(&mut self, expected: &Expected) -> Vec<u8> {
        let mut len = END_OF_HEAD.len();
        loop {
            self.fill(len, expected).await;
            if self.input[..len].ends_with(END_OF_HEAD) {
                return self.input.drain(..len).collect();
            }
            len += 1;
        }
    }

    /// Reads a frame.
    async fn frame(&mut self, expected: &Expected) -> (FrameHeader, Vec<u8>) {
        let mut len = 2;
        let (header, head_len) = loop {
            self.fill(len, expected).await;
            match FrameHeader::parse(&self.input) {
                Ok(Some(parsed)) => break parsed,
                Ok(None) => len = self.input.len() + 1,
                Err(error) => expected.but(&format!("no frame: {error}; the bytes {} came", Bytes(&self.input))),
            }
        };
        // One that does not fit into memory never arrives.
        let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
        self.fill(head_len.saturating_add(payload_len), expected).await;
        self.input.drain(..head_len);
        let mut payload: Vec<u8> = self.input.drain(..payload_len).collect();
        mask(&mut payload, header.masking_key.unwrap_or_default());
        (header, payload)
    }

    /// Reads until so many bytes are there.
    async fn fill(&mut self, len: usize, expected: &Expected) {
        while self.input.len() < len {
            match poll_fn(|cx| self.poll_fill(cx)).await {
                Ok(1..) => {}
                Ok(0) => expected.but(&format!("the stream ended after the bytes {}", Bytes(&self.input))),
                Err(error) => {
                    expected.but(&format!("the stream failed after the bytes {}: {error}", Bytes(&self.input)));
                }
            }
        }
    }

    /// Reads once.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buffer = vec![0; READ];
        loop {
            match self.stream.poll_read(cx, &mut buffer) {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Ok(len)) => {
                    self.input.extend_from_slice(&buffer[..len]);
                    return Poll::Ready(Ok(len));
                }
                other => return other,
            }
        }
    }
}

/// A frame that came, in words.
fn tell(header: FrameHeader, payload: &[u8]) -> String {
    let fin = if header.fin { "" } else { ", not the last of its message," };
    format!("a {:?} frame{fin} with {} came", header.opcode, Bytes(payload))
}

/// What the frames of a client are masked with: the key of RFC 6455 §5.7's examples.
const MASKING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// How much is read at once, in bytes.
const READ: usize = 4096;

//! soketto, over a stream that is memory; it wants no runtime. It makes a compressor and a decompressor for each message, of
//! level 1, and never keeps context. It does not check text.

use std::io;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context as Task, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use sockeye_peers::library::{Agreement, Context, Library, MAX_MESSAGE, Role, Setting, block_on};
use sockeye_peers::messages::{Kind, Message};
use sockeye_peers::wire::Wire;
use sockeye_peers::worker::{self, Job};
use soketto::connection::Builder;
use soketto::extension::deflate::Deflate;
use soketto::extension::{Extension, Param};
use soketto::{Mode, Receiver, Sender};

fn main() -> ExitCode {
    let job = std::env::args().nth(1).unwrap_or_default();
    match worker::run::<Soketto>(&job) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soketto: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Soketto {
    sender: Sender<Stream>,
    receiver: Receiver<Stream>,
    message: Vec<u8>,
}

impl Library for Soketto {
    const DEFAULTS: Agreement = Agreement { context: Context::NoTakeover, window_bits: 15 };

    fn refusal(job: Job) -> Option<&'static str> {
        match job.setting {
            Setting::Same { context: Context::Takeover, .. } => Some("it never keeps context"),
            Setting::Same { level: 1, .. } | Setting::Defaults => None,
            Setting::Same { .. } => Some("it has level 1 only"),
        }
    }

    fn open(role: Role, _: Setting, wire: &Wire) -> Self {
        let mode = match role {
            Role::Server => Mode::Server,
            Role::Client => Mode::Client,
        };
        let mut deflate = Deflate::new(mode);
        let params = [Param::new("server_no_context_takeover"), Param::new("client_no_context_takeover")];
        deflate.configure(&params).expect("it is what was offered");
        let mut builder = Builder::new(Stream(wire.clone()), mode);
        builder.set_max_message_size(MAX_MESSAGE);
        builder.set_max_frame_size(MAX_MESSAGE);
        builder.add_extensions([Box::new(deflate) as Box<dyn Extension + Send>]);
        let (sender, receiver) = builder.finish();
        Self { sender, receiver, message: Vec::new() }
    }

    fn send(&mut self, message: &mut Message) {
        block_on(async {
            match message.kind {
                Kind::Text => self.sender.send_text(&message.text).await,
                Kind::Binary => self.sender.send_binary(&message.bytes).await,
            }?;
            self.sender.flush().await
        })
        .expect("it is open");
    }

    fn receive(&mut self, visit: impl FnOnce(&[u8])) {
        self.message.clear();
        block_on(self.receiver.receive_data(&mut self.message)).expect("it is right");
        visit(&self.message);
    }
}

/// The wire as a stream.
struct Stream(Wire);

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, _: &mut Task<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.0.buffers().read(into) {
            0 => Poll::Pending,
            len => Poll::Ready(Ok(len)),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.buffers().output.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

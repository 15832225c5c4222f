//! What both ends agreed on (RFC 7692 §7.1), and the two objects that carry it out.

use alloc::boxed::Box;
use core::num::NonZeroU32;

use super::compressor::Compressor;
use super::decompressor::Decompressor;
use super::settings::{Context, Deflate, Level, MemoryLevel, WindowBits};
use crate::config::Role;
use crate::extension::{Decoder, Encoder};

/// The parameters of permessage-deflate that an opening handshake agreed on, as one of the two ends has them.
///
/// The adapters find it in the [`Response`](crate::handshake::Response) and do the rest. Who has a connection that was
/// upgraded otherwise gets one from [`Deflate::answer`], [`Deflate::confirm`] or [`Deflate::agreed`], and extends it:
///
/// ```
/// use sockeye::deflate::Deflate;
/// use sockeye::handshake::Extensions;
/// use sockeye::{Config, Connection, Role, Rsv};
///
/// // The header field of the answer, which somebody else wrote or read.
/// let mut answer = Extensions::parse("permessage-deflate; server_no_context_takeover");
/// let agreement = Deflate::default().agreed(Role::Server, &answer.next().ok_or("no extension")??)?;
///
/// let mut connection = Connection::server(Config::default());
/// connection.extend(Rsv::RSV1, agreement.encoder());
/// let mut assembler = connection.assembler();
/// assembler.extend(agreement.decoder());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    role: Role,
    server: Direction,
    client: Direction,
    level: Level,
    memory_level: MemoryLevel,
    /// The window that we want, if the one agreed on is larger.
    window_bits: WindowBits,
    threshold: usize,
    max_ratio: Option<NonZeroU32>,
}

/// The parameters for what one end sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Direction {
    pub(crate) context: Context,
    pub(crate) max_window_bits: WindowBits,
}

impl Agreement {
    /// Puts together what was agreed on and what is set at this end.
    pub(crate) fn new(role: Role, server: Direction, client: Direction, deflate: &Deflate) -> Self {
        let mut this = Self {
            role,
            server,
            client,
            level: deflate.level,
            memory_level: deflate.memory_level,
            window_bits: deflate.window_bits,
            threshold: deflate.threshold,
            max_ratio: deflate.max_ratio,
        };
        // Nobody need be told that we do less than we may.
        if deflate.context == Context::NoTakeover {
            this.ours_mut().context = Context::NoTakeover;
        }
        this
    }

    /// Makes the object that compresses what this end sends: for [`Connection::extend`](crate::Connection::extend), with
    /// [`Rsv::RSV1`](crate::Rsv::RSV1). It holds no memory before the first message.
    #[must_use]
    pub fn encoder(&self) -> Box<dyn Encoder> {
        let ours = self.ours();
        let window_bits = ours.max_window_bits.min(self.window_bits);
        Box::new(Compressor::new(self.level, self.memory_level, window_bits, ours.context, self.threshold))
    }

    /// Makes the object that inflates what this end receives: for [`Assembler::extend`](crate::Assembler::extend). It
    /// holds no memory before the first message.
    #[must_use]
    pub fn decoder(&self) -> Box<dyn Decoder> {
        let theirs = match self.role {
            Role::Server => self.client,
            Role::Client => self.server,
        };
        Box::new(Decompressor::new(theirs.max_window_bits, theirs.context, self.max_ratio))
    }

    /// Returns whether the server keeps its context from message to message.
    #[must_use]
    pub fn server_context(&self) -> Context {
        self.server.context
    }

    /// Returns whether the client keeps its context from message to message.
    #[must_use]
    pub fn client_context(&self) -> Context {
        self.client.context
    }

    /// Returns how far back the server may refer; it may well do with less.
    #[must_use]
    pub fn server_max_window_bits(&self) -> WindowBits {
        self.server.max_window_bits
    }

    /// Returns how far back the client may refer; it may well do with less.
    #[must_use]
    pub fn client_max_window_bits(&self) -> WindowBits {
        self.client.max_window_bits
    }

    fn ours(&self) -> Direction {
        match self.role {
            Role::Server => self.server,
            Role::Client => self.client,
        }
    }

    fn ours_mut(&mut self) -> &mut Direction {
        match self.role {
            Role::Server => &mut self.server,
            Role::Client => &mut self.client,
        }
    }
}

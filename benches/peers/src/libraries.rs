//! The libraries, each behind the same interface.

pub(crate) mod ours;
pub(crate) mod sockudo;
pub(crate) mod soketto;

/// What a cell of the table asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) level: u8,
    /// Whether messages may refer to those before.
    pub(crate) has_context: bool,
}

/// What a library does to the payload of messages, at one end of a connection.
pub(crate) trait Deflate {
    /// Compresses a message, as the payload of its frame, to the end of `output`.
    fn compress(&mut self, message: &[u8], output: &mut Vec<u8>);

    /// Inflates the payload of a frame and lets `check` see the message; says whether it could.
    fn inflate(&mut self, payload: &[u8], check: &mut dyn FnMut(&[u8])) -> bool;
}

/// A library: its name, and how to make an end of a connection; `None` where it cannot do that.
pub(crate) struct Library {
    pub(crate) name: &'static str,
    pub(crate) open: fn(Setting) -> Option<Box<dyn Deflate>>,
}

/// All of them; ours is the first, against which the others are held.
pub(crate) const ALL: [Library; 3] = [
    Library { name: "sockeye", open: ours::open },
    Library { name: "sockudo-ws", open: sockudo::open },
    Library { name: "soketto", open: soketto::open },
];

/// The longest message that is accepted.
pub(crate) const MAX: usize = 1024 * 1024;

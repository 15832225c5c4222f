//! What takes the place of the socket: bytes to read, and bytes that were written. All connections of a worker share it, for
//! its buffers are no part of what a connection holds.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;

use bytes::BytesMut;

/// The two directions.
#[derive(Debug, Default)]
pub struct Buffers {
    /// What is to be read, from `read` on.
    pub input: Vec<u8>,
    pub read: usize,
    /// What was written.
    pub output: Vec<u8>,
    /// The same for a library that does no input and output, and wants `BytesMut` to work in.
    pub shared_input: BytesMut,
    pub shared_output: BytesMut,
}

impl Buffers {
    /// Copies as much as there is and fits; returns how much that was.
    pub fn read(&mut self, into: &mut [u8]) -> usize {
        let rest = &self.input[self.read..];
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        self.read += len;
        len
    }

    /// Makes these the bytes to read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.clear();
        self.input.extend_from_slice(bytes);
        self.read = 0;
    }

    /// Forgets what was written, and returns how much that was.
    pub fn drain(&mut self) -> usize {
        let len = self.output.len() + self.shared_output.len();
        self.output.clear();
        self.shared_output.clear();
        len
    }
}

/// A handle of it.
#[derive(Clone, Debug, Default)]
pub struct Wire(Rc<RefCell<Buffers>>);

impl Wire {
    /// Lends the buffers.
    pub fn buffers(&self) -> RefMut<'_, Buffers> {
        self.0.borrow_mut()
    }
}

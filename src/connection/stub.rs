#![allow(missing_docs, dead_code, unused_variables)]
use super::*;
use crate::error::SendError;
use crate::extension::Fin;
use crate::frame::FrameHead;
use crate::message::{MessageKind, MessageRef};
impl Connection {
    pub(crate) fn fragment_head(
        &mut self,
        kind: MessageKind,
        fin: Fin,
        payload: &mut [u8],
    ) -> Result<FrameHead, SendError> {
        unimplemented!()
    }
    pub(crate) fn shared_fragment_head(
        &mut self,
        kind: MessageKind,
        fin: Fin,
        len: usize,
    ) -> Result<FrameHead, SendError> {
        unimplemented!()
    }
    pub(crate) fn send_piece(
        &mut self,
        kind: MessageKind,
        piece: &[u8],
        fin: Fin,
        output: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.send_fragment(
            match kind {
                MessageKind::Binary => MessageRef::Binary(piece),
                MessageKind::Text => MessageRef::Text(core::str::from_utf8(piece).unwrap()),
            },
            fin,
            output,
        )
    }
    pub(crate) fn is_extended(&self) -> bool {
        true
    }
    pub(crate) fn set_written(&mut self, bytes: usize) {}
    pub(crate) fn answered_ping(&self) -> u64 {
        0
    }
    pub(crate) fn newest_ping(&self) -> u64 {
        0
    }
}

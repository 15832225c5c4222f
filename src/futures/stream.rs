//! Messages in pieces as the `AsyncRead` and `AsyncWrite` of `futures-io`.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

use futures_io::{AsyncRead, AsyncWrite};

use crate::driver::{MessageReader, MessageWriter, Transport};

impl<T: Transport> AsyncRead for MessageReader<'_, T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        MessageReader::poll_read(&mut self, cx, buffer).map_err(Into::into)
    }
}

impl<T: Transport> AsyncWrite for MessageWriter<'_, T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, piece: &[u8]) -> Poll<io::Result<usize>> {
        MessageWriter::poll_write(&mut self, cx, piece).map_err(Into::into)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        MessageWriter::poll_flush(&mut self, cx).map_err(Into::into)
    }

    /// Ends the message.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_finish(cx).map_err(Into::into)
    }
}

//! The floor: one system call for each connection and turn, in a loop, with frames that are there already. No runtime, no
//! library, and nobody is listened to.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use rustix::event::{PollFd, PollFlags, poll};

use super::LOCAL;
use crate::Outcome;
use crate::plan::frame;

pub(super) fn run(connections: usize) -> Outcome<()> {
    let [listener, control] = [TcpListener::bind(LOCAL)?, TcpListener::bind(LOCAL)?];
    println!("{} {}", listener.local_addr()?.port(), control.local_addr()?.port());
    let mut streams = Vec::new();
    for _ in 0..connections {
        let mut stream = listener.accept()?.0;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut bytes = [0; 1024];
            match stream.read(&mut bytes)? {
                0 => return Err("a client went away".into()),
                read => request.extend_from_slice(&bytes[..read]),
            }
        }
        stream.write_all(RESPONSE.as_bytes())?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        streams.push(stream);
    }
    let frames = frame().repeat(usize::from(u8::MAX));
    let (mut control, mut messages) = (control.accept()?.0, [0]);
    while control.read(&mut messages)? > 0 {
        write(&streams, &frames[..usize::from(messages[0]) * frame().len()])?;
    }
    Ok(())
}

/// Writes to each, and what it does not take when it does.
fn write(streams: &[TcpStream], bytes: &[u8]) -> Outcome<()> {
    let mut rest = Vec::new();
    for stream in streams {
        let written = write_some(stream, bytes)?;
        if written < bytes.len() {
            rest.push((stream, written));
        }
    }
    while !rest.is_empty() {
        let mut polled: Vec<_> = rest.iter().map(|(stream, _)| PollFd::new(*stream, PollFlags::OUT)).collect();
        poll(&mut polled, None)?;
        for ((stream, written), polled) in rest.iter_mut().zip(&polled) {
            if !polled.revents().is_empty() {
                *written += write_some(stream, &bytes[*written..])?;
            }
        }
        rest.retain(|(_, written)| *written < bytes.len());
    }
    Ok(())
}

fn write_some(mut stream: &TcpStream, bytes: &[u8]) -> Outcome<usize> {
    match stream.write(bytes) {
        Ok(written) => Ok(written),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// To the key that all clients here send.
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

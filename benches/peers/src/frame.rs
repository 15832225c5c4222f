//! Frames (RFC 6455 §5.2), as a peer would write and read them: to make what is received, and to check what is sent.

use crate::messages::Kind;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const MASK: u8 = 0x80;
const CONTINUATION: u8 = 0;

/// The key of masked frames: any will do.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame that is a whole, compressed message.
pub fn compressed(kind: Kind, payload: &[u8], is_masked: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    append(FIN | RSV1 | kind.opcode(), payload, is_masked, &mut frame);
    frame
}

/// A message in so many frames of about the same length, which may cut characters in two.
pub fn fragmented(kind: Kind, payload: &[u8], fragments: usize, is_masked: bool, output: &mut Vec<u8>) {
    let len = payload.len().div_ceil(fragments).max(1);
    let count = payload.len().div_ceil(len);
    for (index, piece) in payload.chunks(len).enumerate() {
        let opcode = if index == 0 { kind.opcode() } else { CONTINUATION };
        let fin = if index + 1 == count { FIN } else { 0 };
        append(fin | opcode, piece, is_masked, output);
    }
}

/// Appends a frame that begins with this byte.
fn append(head: u8, payload: &[u8], is_masked: bool, frame: &mut Vec<u8>) {
    let mask = if is_masked { MASK } else { 0 };
    frame.push(head);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(len @ ..126), _) => frame.push(mask | len),
        (_, Ok(len)) => {
            frame.push(mask | 126);
            frame.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            frame.push(mask | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    if is_masked {
        frame.extend_from_slice(&KEY);
        frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        frame.extend_from_slice(payload);
    }
}

/// The message that the bytes are, which a server sent: of which kind, whether compressed, and its payload.
///
/// # Errors
///
/// Says what is wrong.
pub fn message(mut bytes: &[u8]) -> Result<(Kind, bool, Vec<u8>), String> {
    let message = next_message(&mut bytes, false)?;
    match bytes {
        [] => Ok(message),
        _ => Err("there is more than a message".into()),
    }
}

/// The messages that the bytes are, none of them compressed, and whether masked.
///
/// # Errors
///
/// Says what is wrong.
pub fn messages(mut bytes: &[u8], is_masked: bool) -> Result<Vec<(Kind, Vec<u8>)>, String> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        match next_message(&mut bytes, is_masked)? {
            (kind, false, message) => messages.push((kind, message)),
            (_, true, _) => return Err("a reserved bit is set".into()),
        }
    }
    Ok(messages)
}

fn next_message(bytes: &mut &[u8], is_masked: bool) -> Result<(Kind, bool, Vec<u8>), String> {
    let (mut first, mut message) = (None, Vec::new());
    loop {
        let &[head, len, ref rest @ ..] = *bytes else { return Err("the message has no end".into()) };
        if (len & MASK != 0) != is_masked {
            return Err("who must mask does not, or who must not does".into());
        }
        let broken = || String::from("a frame breaks off");
        let (len, mut rest) = match len & !MASK {
            126 => rest
                .split_first_chunk()
                .map(|(len, rest)| (usize::from(u16::from_be_bytes(*len)), rest))
                .ok_or_else(broken)?,
            127 => {
                let (len, rest) = rest.split_first_chunk().ok_or_else(broken)?;
                (usize::try_from(u64::from_be_bytes(*len)).map_err(|error| error.to_string())?, rest)
            }
            len => (usize::from(len), rest),
        };
        let mut key = [0; 4];
        if is_masked {
            (key, rest) = rest.split_first_chunk().map(|(key, rest)| (*key, rest)).ok_or_else(broken)?;
        }
        let (payload, rest) = rest.split_at_checked(len).ok_or_else(broken)?;
        message.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        *bytes = rest;
        let first = *first.get_or_insert(head);
        if head & FIN != 0 {
            return match first & 0x0f {
                1 => Ok((Kind::Text, first & RSV1 != 0, message)),
                2 => Ok((Kind::Binary, first & RSV1 != 0, message)),
                other => Err(format!("the opcode is {other}")),
            };
        }
    }
}

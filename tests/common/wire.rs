//! Frames made and read by hand, letter for letter after the figure of RFC 6455 §5.2: the twin of the library's own.

use sockeye::Role;

/// The key that [`masked`] masks with: that of RFC 6455 §5.7.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const RSV2: u8 = 0x20;
pub(crate) const RSV3: u8 = 0x10;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

/// The two roles.
pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// A header that announces `len` bytes in the shortest form.
pub(crate) fn head(first: u8, masking_key: Option<[u8; 4]>, len: u64) -> Vec<u8> {
    let mask = if masking_key.is_some() { 0x80 } else { 0 };
    let mut head = match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ 0..=125), _) => vec![first, mask | len],
        (_, Ok(len)) => [&[first, mask | 126][..], &len.to_be_bytes()].concat(),
        (_, Err(_)) => [&[first, mask | 127][..], &len.to_be_bytes()].concat(),
    };
    head.extend(masking_key.unwrap_or_default().iter().take(if mask == 0 { 0 } else { 4 }));
    head
}

/// A frame from a server.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    [&head(first, None, payload.len() as u64)[..], payload].concat()
}

/// A frame from a client.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    masked_with(KEY, first, payload)
}

/// A frame from a client, masked with a key.
pub(crate) fn masked_with(key: [u8; 4], first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, Some(key), payload.len() as u64);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A frame as the peer of this role would send it.
pub(crate) fn to(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    match role {
        Role::Client => unmasked(first, payload),
        Role::Server => masked(first, payload),
    }
}

/// The header of a frame that the peer of this role would send.
pub(crate) fn head_to(role: Role, first: u8, len: u64) -> Vec<u8> {
    match role {
        Role::Client => head(first, None, len),
        Role::Server => head(first, Some(KEY), len),
    }
}

/// A frame as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) masking_key: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

/// Reads frames, all of which must be whole.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let (len, rest) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(rest[..2].try_into().unwrap())), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().unwrap()), &rest[8..]),
            len => (u64::from(len), rest),
        };
        let (masking_key, rest) = match second & 0x80 {
            0 => (None, rest),
            _ => (Some(rest[..4].try_into().unwrap()), &rest[4..]),
        };
        let (payload, rest) = rest.split_at(usize::try_from(len).unwrap());
        let key: [u8; 4] = masking_key.unwrap_or_default();
        let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        frames.push(Frame { first: *first, masking_key, payload });
        bytes = rest;
    }
    assert!(bytes.is_empty(), "half a frame: {bytes:02x?}");
    frames
}

/// First byte and payload of each frame.
pub(crate) fn plain(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    frames(bytes).into_iter().map(|frame| (frame.first, frame.payload)).collect()
}

/// The body of a Close frame.
pub(crate) fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// The code in the only frame of `bytes`, which must be a Close.
pub(crate) fn only_close_code(bytes: &[u8]) -> u16 {
    match &plain(bytes)[..] {
        [(0x88, body)] => u16::from_be_bytes(body[..2].try_into().unwrap()),
        other => panic!("not a single Close: {other:02x?}"),
    }
}

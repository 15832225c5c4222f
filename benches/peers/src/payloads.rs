//! Payloads of a length and of a kind of content, for cells in which nothing is compressed.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::messages::{Kind, Message, random};

/// What messages consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    Binary,
    /// Text of ASCII alone.
    Ascii,
    /// Text with characters of one to four bytes.
    MultiByte,
}

impl Content {
    pub const ALL: [Self; 3] = [Self::Binary, Self::Ascii, Self::MultiByte];

    pub fn kind(self) -> Kind {
        match self {
            Self::Binary => Kind::Binary,
            Self::Ascii | Self::MultiByte => Kind::Text,
        }
    }

    /// A message of that many bytes; another one for another seed.
    pub fn message(self, len: usize, seed: u64) -> Message {
        let mut next = random(seed);
        let (kind, bytes, text) = match self {
            Self::Binary => (Kind::Binary, (0..len).map(|_| next().to_be_bytes()[0]).collect(), String::new()),
            Self::Ascii => {
                let text: String = (0..len).map(|_| char::from(b' ' + (next() >> 32) as u8 % 95)).collect();
                (Kind::Text, text.clone().into_bytes(), text)
            }
            Self::MultiByte => {
                let text = multi_byte(len, next);
                (Kind::Text, text.clone().into_bytes(), text)
            }
        };
        Message { kind, shared: Bytes::from(bytes.clone()), bytes, text }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Binary => "binary",
            Self::Ascii => "ASCII text",
            Self::MultiByte => "multi-byte text",
        })
    }
}

/// Words of one language after those of another, a dozen of each.
fn multi_byte(len: usize, mut next: impl FnMut() -> u64) -> String {
    let mut text = String::with_capacity(len);
    let mut random = |below: usize| (next() >> 32) as usize % below;
    'text: loop {
        let words = LANGUAGES[random(LANGUAGES.len())];
        for _ in 0..12 {
            let word = words[random(words.len())];
            if text.len() + word.len() + 1 > len {
                break 'text;
            }
            text += word;
            text.push(' ');
        }
    }
    while text.len() < len {
        text.push('.');
    }
    text
}

const LANGUAGES: [[&str; 8]; 6] = [
    ["über", "die", "größte", "Straße", "fährt", "ein", "schöner", "Bus"],
    ["в", "начале", "было", "слово", "и", "оно", "звучит", "сегодня"],
    ["ένας", "λόγος", "για", "την", "αλήθεια", "και", "το", "φως"],
    ["日本語の", "文章は", "空白が", "少なく", "漢字と", "仮名を", "混ぜて", "書く。"],
    ["한국어", "문장은", "낱말", "사이를", "띄어", "쓰고", "짧은", "편이다"],
    ["ok", "👍", "see", "you", "🎉", "at", "noon", "😀😀"],
];

/// A length as people say it.
pub fn size(len: usize) -> String {
    match len {
        0..1024 => format!("{len} B"),
        1024..1_048_576 => format!("{} KiB", len / 1024),
        _ => format!("{} MiB", len / 1_048_576),
    }
}

/// The lengths of messages in these cells, in bytes.
pub const SIZES: [usize; 6] = [16, 125, 1024, 16 * 1024, 64 * 1024, 1024 * 1024];

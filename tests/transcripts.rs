//! Transcripts: what went over the wire, byte for byte, and what a connection must make of it.
//!
//! Each file in `tests/transcripts` is one connection, from the first frame on. It is replayed whole, byte by byte, and
//! cut in two at every point of what is received. Lines:
//!
//! ```text
//! # a comment
//! role: server                  who we are: server or client (required, first)
//! limit: max_message_size 100   a limit of the configuration that is not the default; see `set_limit`
//! @ text "Hi"                   the program sends: text, binary, ping, pong, close CODE "reason", close, or `eof`
//! > 81 85 37fa213d ~ "Hello"    received from the peer; lines that follow each other are one piece
//! < 81 05 "Hello"               sent by us, all of it, since the last line of the kinds above
//! = text "Hello"                reported to the program: text, binary, ping, pong, close CODE "reason"
//! ! 1002 reserved opcode 0x3    the connection is failed: the code and the words of the error
//! . Closed Linger               where the connection stands: its state, and what is to be done with the transport
//! ```
//!
//! Bytes are hex digits, `"text"` in UTF-8, or `00*256`: a byte as often as that. What follows `~` on a line stands there
//! in clear and is masked with the key 37 fa 21 3d, which is that of RFC 6455 §5.7 and also the one that our client
//! always takes here.

mod replay;

use std::path::Path;

use replay::{Seen, connection, receive_messages_with};
use sockeye::{Assembler, Close, CloseCode, Config, Connection, ControlPayload, Message, Role};

#[test]
fn every_transcript_is_replayed_at_every_split() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 12);
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let transcript = Transcript::parse(&name, &std::fs::read_to_string(&path).unwrap());
        transcript.replay(&Cut::Nowhere);
        transcript.replay(&Cut::Everywhere);
        let received = transcript.exchanges.iter().map(|exchange| exchange.received.len()).sum();
        // Of a long one, the ends and a sample in between.
        let is_tried = |&at: &usize| received < 4096 || at < 64 || at + 64 > received || at % 1021 == 0;
        for at in (1..received).filter(is_tried) {
            transcript.replay(&Cut::At(at));
        }
    }
}

struct Transcript {
    name: String,
    role: Role,
    config: Config,
    exchanges: Vec<Exchange>,
}

/// Something that happens to a connection, and what comes of it.
#[derive(Default)]
struct Exchange {
    line: usize,
    action: Option<Action>,
    received: Vec<u8>,
    sent: Vec<u8>,
    seen: Vec<Seen>,
    error: Option<String>,
    standing: Option<String>,
    /// Whether a line of expectations was read, so that the next cause begins another exchange.
    is_answered: bool,
}

enum Action {
    Send(Message),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Close),
    Eof,
}

/// Where the input is cut.
enum Cut {
    Nowhere,
    Everywhere,
    At(usize),
}

impl Transcript {
    fn parse(name: &str, text: &str) -> Self {
        let mut this = Self { name: name.into(), role: Role::Server, config: Config::default(), exchanges: Vec::new() };
        for (number, line) in text.lines().enumerate() {
            let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
            match mark {
                "" | "#" => {}
                "role:" => this.role = if rest == "server" { Role::Server } else { Role::Client },
                "limit:" => set_limit(&mut this.config, rest),
                "@" => this.exchanges.push(Exchange {
                    line: number + 1,
                    action: Some(action(rest)),
                    is_answered: true,
                    ..Exchange::default()
                }),
                ">" => {
                    if this.exchanges.last().is_none_or(|last| last.is_answered) {
                        this.exchanges.push(Exchange { line: number + 1, ..Exchange::default() });
                    }
                    this.exchanges.last_mut().unwrap().received.extend(bytes(rest));
                }
                "<" | "=" | "!" | "." => {
                    let exchange = this.exchanges.last_mut().expect("something was received or done first");
                    exchange.is_answered = true;
                    match mark {
                        "<" => exchange.sent.extend(bytes(rest)),
                        "=" => exchange.seen.push(seen(rest)),
                        "!" => exchange.error = Some(rest.into()),
                        _ => exchange.standing = Some(rest.into()),
                    }
                }
                _ => panic!("{name}:{}: cannot read {line:?}", number + 1),
            }
        }
        this
    }

    fn replay(&self, cut: &Cut) {
        let mut connection = connection(self.role, &self.config);
        let mut assembler = Assembler::new(self.config.clone());
        let mut position = 0;
        for exchange in &self.exchanges {
            let whole = &exchange.received[..];
            let pieces = match *cut {
                Cut::Everywhere => whole.chunks(1).collect(),
                Cut::At(at) if (position..position + whole.len()).contains(&at) => {
                    let (first, second) = whole.split_at(at - position);
                    vec![first, second]
                }
                Cut::Nowhere | Cut::At(_) => vec![whole],
            };
            position += whole.len();

            let mut sent = exchange.action.as_ref().map_or(Vec::new(), |action| action.take(&mut connection));
            let mut outcome = receive_messages_with(&mut connection, &mut assembler, &self.config, pieces);
            sent.append(&mut outcome.output);
            let (name, line) = (&self.name, exchange.line);
            assert_eq!(outcome.seen, exchange.seen, "{name}:{line}: events");
            assert!(sent == exchange.sent, "{name}:{line}: sent\n{}", sent.escape_ascii());
            let error = outcome.error.map(|error| format!("{} {error}", error.close_code()));
            assert_eq!(error, exchange.error, "{name}:{line}: error");
            if let Some(standing) = &exchange.standing {
                let now = format!("{:?} {:?}", connection.state(), connection.teardown());
                assert_eq!(now, *standing, "{name}:{line}: state");
            }
        }
    }
}

impl Action {
    fn take(&self, connection: &mut Connection) -> Vec<u8> {
        let mut output = Vec::new();
        match self {
            Self::Send(message) => connection.send(message.as_ref(), &mut output),
            Self::Ping(payload) => connection.send_ping(payload, &mut output),
            Self::Pong(payload) => connection.send_pong(payload, &mut output),
            Self::Close(close) => connection.close(close.clone(), &mut output),
            Self::Eof => {
                connection.receive_eof();
                Ok(())
            }
        }
        .unwrap();
        output
    }
}

fn action(line: &str) -> Action {
    if line == "eof" {
        return Action::Eof;
    }
    match seen(line) {
        Seen::Message(message) => Action::Send(message),
        Seen::Ping(payload) => Action::Ping(payload.to_vec()),
        Seen::Pong(payload) => Action::Pong(payload.to_vec()),
        Seen::Close(close) => Action::Close(close),
    }
}

fn seen(line: &str) -> Seen {
    let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
    match kind {
        "text" => Seen::Message(Message::Text(String::from_utf8(bytes(rest)).unwrap())),
        "binary" => Seen::Message(Message::from(bytes(rest))),
        "ping" => Seen::Ping(ControlPayload::new(&bytes(rest)).unwrap()),
        "pong" => Seen::Pong(ControlPayload::new(&bytes(rest)).unwrap()),
        "close" if rest.is_empty() => Seen::Close(Close::without_status()),
        "close" => {
            let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            let code = CloseCode::from(code.parse::<u16>().unwrap());
            Seen::Close(Close::new(code, &String::from_utf8(bytes(reason)).unwrap()).unwrap())
        }
        _ => panic!("cannot read {line:?}"),
    }
}

fn bytes(line: &str) -> Vec<u8> {
    let (mut bytes, mut masked_from, mut rest) = (Vec::new(), None, line.trim_start());
    while let Some(first) = rest.chars().next() {
        if let Some(text) = rest.strip_prefix('"') {
            let (text, after) = text.split_once('"').expect("a text ends");
            bytes.extend(text.bytes());
            rest = after.trim_start();
            continue;
        }
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after.trim_start();
        if first == '~' {
            masked_from = Some(bytes.len());
        } else if let Some((byte, times)) = word.split_once('*') {
            bytes.resize(bytes.len() + times.parse::<usize>().unwrap(), u8::from_str_radix(byte, 16).unwrap());
        } else {
            assert!(word.len() % 2 == 0, "hex digits come in pairs: {word}");
            bytes.extend((0..word.len()).step_by(2).map(|i| u8::from_str_radix(&word[i..i + 2], 16).unwrap()));
        }
    }
    if let Some(start) = masked_from {
        sockeye::mask(&mut bytes[start..], [0x37, 0xfa, 0x21, 0x3d]);
    }
    bytes
}

fn set_limit(config: &mut Config, line: &str) {
    let (name, value) = line.split_once(' ').expect("a limit has a value");
    let value: u32 = value.parse().unwrap();
    match name {
        "max_frame_size" => config.max_frame_size = value.into(),
        "max_message_size" => config.max_message_size = value as usize,
        "max_fragments" => config.max_fragments = value,
        "max_pending_pongs" => config.max_pending_pongs = value as usize,
        "fragment_size" => config.fragment_size = value as usize,
        _ => panic!("no limit is called {name}"),
    }
}

//! A split connection under stress, over TCP: four senders a side, long and short messages, pings, and a close at a moment
//! that nobody planned. Nothing may be lost, doubled, out of order or mixed up, and everybody must come to an end.

use std::net::{TcpListener, TcpStream};
use std::thread;

use sockeye::blocking::{Error, Receiver, Sender, WebSocket};
use sockeye::{Close, Config, MessageRef};

const ROUNDS: u64 = 20;
const SENDERS: u8 = 4;

/// A generator for choices that need not be good, only the same again.
struct Choices(u64);

impl Choices {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Sends numbered messages, whose bytes tell who sent them, until the connection is closing.
fn send(sender: &Sender<TcpStream>, who: u8, mut choices: Choices) {
    let last = 30 + choices.below(300);
    for number in 0u32.. {
        let len = match choices.below(8) {
            0 => 100_000,
            1 => 30_000,
            _ => choices.below(500),
        };
        let message = [&[who], &number.to_be_bytes()[..], &vec![who; len]].concat();
        let sent = match choices.below(4) {
            0 => sender.feed(&message),
            1 => sender.ping().and_then(|()| sender.send(&message)),
            _ => sender.send(&message),
        };
        let sent = if number as usize == last { sent.and_then(|()| sender.close(Close::normal())) } else { sent };
        if let Err(error) = sent {
            assert!(matches!(error, Error::Send(_)), "{error}");
            return;
        }
    }
}

/// Receives until a clean close; each sender's messages must come in order and whole.
fn receive(mut receiver: Receiver<TcpStream>) {
    let mut next = [0u32; SENDERS as usize];
    while let Some(message) = receiver.receive_ref().expect("a clean close") {
        let MessageRef::Binary([who, a, b, c, d, body @ ..]) = message else { panic!("{message:?}") };
        let next = &mut next[usize::from(*who)];
        assert_eq!(u32::from_be_bytes([*a, *b, *c, *d]), *next, "sender {who}");
        assert!(body.iter().all(|byte| byte == who), "sender {who}");
        *next += 1;
    }
}

#[test]
fn messages_of_many_senders_arrive_whole_and_in_order_until_a_clean_close() {
    for round in 1..=ROUNDS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        let mut choices = Choices(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut config = Config::default();
        config.fragment_size = 16 << choices.below(14);
        let sides = [WebSocket::client(client, config.clone()), WebSocket::server(server, config)];
        thread::scope(|scope| {
            for socket in sides {
                let (receiver, sender) = socket.split().unwrap();
                scope.spawn(|| receive(receiver));
                for who in 0..SENDERS {
                    let (sender, choices) = (sender.clone(), Choices(choices.0 ^ (choices.below(1 << 20) as u64 + 1)));
                    scope.spawn(move || send(&sender, who, choices));
                }
            }
        });
    }
}

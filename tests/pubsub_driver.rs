//! How messages that many share are written: compressed once or by each, in fragments, masked, between others.

#[path = "async_support/mod.rs"]
mod support;

use proptest::prelude::*;
use sockeye::deflate::{Context, Deflate};
use sockeye::handshake::Extensions;
use sockeye::pubsub::{Hub, HubConfig, Member};
use sockeye::tokio::{Transport, WebSocket};
use sockeye::{Assembler, Config, Connection, Message, Received, Role, Rsv, Uncompressed};
use support::{Mock, now, timeless};

/// A member and a peer that decodes what it gets.
struct End {
    stream: Mock,
    member: Member<Transport<Mock>>,
    peer: Connection,
    assembler: Assembler,
    read: usize,
}

impl End {
    fn new(hub: &Hub, role: Role, deflate: Option<Context>, config: Config) -> Self {
        let stream = Mock::new("");
        stream.script().is_vectored = true;
        let (mut socket, mut peer) = match role {
            Role::Server => (WebSocket::server(stream.clone(), config), Connection::client(timeless())),
            Role::Client => (WebSocket::client(stream.clone(), config), Connection::server(timeless())),
        };
        let mut assembler = peer.assembler();
        if let Some(context) = deflate {
            let mut settings = Deflate::default();
            (settings.context, settings.peer_context) = (context, context);
            let extension = Extensions::parse("permessage-deflate").next().unwrap().unwrap();
            let other = if role == Role::Server { Role::Client } else { Role::Server };
            let agreement = settings.agreed(role, &extension).unwrap();
            socket.extend(Rsv::RSV1, agreement.encoder(), agreement.decoder());
            let agreement = settings.agreed(other, &extension).unwrap();
            peer.extend(Rsv::RSV1, agreement.encoder());
            assembler.extend(agreement.decoder());
        }
        let mut member = hub.join(socket, ());
        member.subscribe("t").unwrap();
        Self { stream, member, peer, assembler, read: 0 }
    }

    /// What the peer has got since it last looked.
    fn got(&mut self) -> Vec<Message> {
        assert!(now(self.member.next()).is_none());
        let mut output = self.stream.output().split_off(self.read);
        self.read += output.len();
        let (mut input, mut got) = (&mut output[..], Vec::new());
        while let Some(received) = self.peer.receive_message(&mut input, &mut self.assembler, &mut Vec::new()).unwrap()
        {
            if let Received::Message(message) = received {
                got.push(message.to_owned());
            }
        }
        got
    }

    /// Where the payloads of whole frames lay that were written since this was last asked.
    fn payloads(&self) -> Vec<usize> {
        let pieces = std::mem::take(&mut self.stream.script().pieces);
        pieces.iter().skip(1).step_by(2).map(|(address, _)| *address).collect()
    }
}

fn text(number: usize) -> String {
    format!("{{\"number\":{number},\"text\":\"a text that repeats, a text that repeats, a text that repeats\"}}")
        .repeat(4)
}

fn publish(hub: &Hub, range: std::ops::Range<usize>) -> Vec<Message> {
    for number in range.clone() {
        hub.publish("t", text(number)).unwrap();
    }
    range.map(|number| text(number).into()).collect()
}

#[tokio::test(start_paused = true)]
async fn message_is_compressed_once_for_all_that_keep_no_context() {
    let hub = Hub::new(HubConfig::default());
    let mut ends = [(); 3].map(|()| End::new(&hub, Role::Server, Some(Context::NoTakeover), timeless()));
    let sent = publish(&hub, 0..5);
    for end in &mut ends {
        assert_eq!(end.got(), sent);
        assert_eq!(end.stream.output()[0], 0xc1);
        assert_eq!(end.stream.script().writes.len(), 1);
    }
    let lay = ends.each_ref().map(End::payloads);
    assert!(lay[0].len() == 5 && lay[0] == lay[1] && lay[1] == lay[2]);
    let counters = ends.each_ref().map(|end| end.member.socket().sent());
    assert_eq!((counters[0].messages, counters[0].frames, counters[0]), (5, 5, counters[1]));
    assert!(counters[0].wire_bytes < sent.iter().map(|text| text.as_ref().payload().len() as u64).sum());
}

#[tokio::test(start_paused = true)]
async fn each_compresses_by_itself_where_it_keeps_a_context_or_masks() {
    for (role, deflate) in [
        (Role::Server, Some(Context::Takeover)),
        (Role::Client, Some(Context::Takeover)),
        (Role::Client, Some(Context::NoTakeover)),
        (Role::Client, None),
    ] {
        let hub = Hub::new(HubConfig::default());
        let mut ends = [(); 2].map(|()| End::new(&hub, role, deflate, timeless()));
        for round in 0..3 {
            let sent = publish(&hub, round * 5..round * 5 + 5);
            for end in &mut ends {
                assert_eq!(end.got(), sent, "{role:?} {deflate:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_sent_as_it_is_is_not_compressed_and_shared_all_the_same() {
    let hub = Hub::new(HubConfig::default());
    let mut ends = [Some(Context::NoTakeover), Some(Context::Takeover), None]
        .map(|deflate| End::new(&hub, Role::Server, deflate, timeless()));
    hub.publish("t", Uncompressed(text(0))).unwrap();
    for end in &mut ends {
        assert_eq!(end.got(), [text(0).into()]);
        assert_eq!(end.stream.output()[0], 0x81);
    }
    let lay = ends.each_ref().map(End::payloads);
    assert!(lay[0] == lay[1] && lay[1] == lay[2]);
}

#[tokio::test(start_paused = true)]
async fn what_many_are_sent_is_joined_for_those_that_encode_it_alike_and_each_gets_it() {
    let hub = Hub::new(HubConfig::default());
    let deflates = [None, Some(Context::NoTakeover)];
    let mut crowds = deflates.map(|deflate| [(); 10].map(|()| End::new(&hub, Role::Server, deflate, timeless())));
    for crowd in &crowds {
        // One is sent what was joined and takes only some of it.
        crowd[7].stream.script().most = 100;
    }
    for round in 0..3 {
        let sent = publish(&hub, round * 5..round * 5 + 5);
        for crowd in &mut crowds {
            for end in &mut *crowd {
                end.stream.script().pieces.clear();
                let mut got = Vec::new();
                while got.len() < sent.len() {
                    got.extend(end.got());
                }
                assert_eq!(got, sent);
                let counters = end.member.socket().sent();
                assert_eq!(counters.messages, 5 * (round as u64 + 1));
                assert_eq!(counters.wire_bytes, end.stream.output().len() as u64);
            }
            let pieces = crowd.each_ref().map(|end| end.stream.script().pieces.clone());
            // A head and a payload for each message, and then all of them as one.
            assert!(pieces[..4].iter().all(|pieces| pieces.len() == 10));
            assert!(pieces[4..7].iter().all(|pieces| pieces.len() == 1));
            assert!(pieces[4] == pieces[5] && pieces[5] == pieces[6], "from the same place");
            assert_eq!(pieces[7][0], (pieces[6][0].0, 100));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn message_longer_than_a_fragment_goes_out_in_fragments_in_its_place() {
    for deflate in [None, Some(Context::NoTakeover), Some(Context::Takeover)] {
        let hub = Hub::new(HubConfig::default());
        let mut config = timeless();
        config.fragment_size = 1000;
        let mut end = End::new(&hub, Role::Server, deflate, config);
        let long: Vec<u8> = (0..50_000_u32).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
        let mut sent = publish(&hub, 0..3);
        hub.publish("t", long.clone()).unwrap();
        sent.push(long.into());
        sent.extend(publish(&hub, 3..6));
        // So many fragments are not written at once.
        let mut got = end.got();
        assert!(got.len() < sent.len());
        while got.len() < sent.len() {
            got.extend(end.got());
        }
        assert!(got == sent);
    }
}

#[tokio::test(start_paused = true)]
async fn peer_that_takes_a_few_bytes_at_a_time_gets_everything() {
    for deflate in [None, Some(Context::NoTakeover), Some(Context::Takeover)] {
        for most in [1, 7, 500, 5000] {
            let hub = Hub::new(HubConfig::default());
            let mut end = End::new(&hub, Role::Server, deflate, timeless());
            end.stream.script().most = most;
            let mut sent = publish(&hub, 0..4);
            hub.publish("t", "x".repeat(20_000)).unwrap();
            sent.push("x".repeat(20_000).into());
            sent.extend(publish(&hub, 4..100));
            let mut got = Vec::new();
            while got.len() < sent.len() {
                got.extend(end.got());
            }
            assert_eq!(got, sent, "{deflate:?} {most}");
            let counters = end.member.socket().sent();
            assert_eq!(counters.wire_bytes, end.stream.output().len() as u64);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_does_not_read_holds_one_message_and_its_time_runs() {
    let hub = Hub::new(HubConfig::default());
    let mut config = timeless();
    config.output_timeout = Some(support::secs(5));
    let mut end = End::new(&hub, Role::Server, None, config);
    end.stream.script().room = 0;
    hub.publish("t", "x".repeat(100_000)).unwrap();
    publish(&hub, 0..50);
    assert!(now(end.member.next()).is_none());
    assert_eq!((end.member.socket().queued(), end.member.lag("t")), (100_010, Some(50)));
    let ended = tokio::time::timeout(support::secs(60), end.member.next()).await.expect("it is given up on");
    assert!(matches!(ended, Err(sockeye::driver::Error::Timeout(_))), "{ended:?}");
    assert_eq!(hub.stats().members, 0);
}

/// What happens in a crowd.
#[derive(Clone, Debug)]
enum Step {
    /// A message of so many bytes to all.
    Publish(usize),
    /// One to a single member, of its own.
    Send(usize, usize),
    Run(usize),
    RunAll,
    /// The peer takes so many bytes more.
    Open(usize, usize),
    Ping(usize),
}

/// Enough for some of them to be sent what was joined.
const CROWD: usize = 9;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = || prop_oneof![4 => 0usize..40, 3 => 100usize..1500, 1 => 4080usize..4110];
    let step = prop_oneof![
        8 => len().prop_map(Step::Publish),
        3 => (0..CROWD, len()).prop_map(|(who, len)| Step::Send(who, len)),
        3 => (0..CROWD).prop_map(Step::Run),
        6 => Just(Step::RunAll),
        3 => (0..CROWD, 0usize..3000).prop_map(|(who, room)| Step::Open(who, room)),
        2 => (0..CROWD).prop_map(Step::Ping),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Slow ones and fast ones, of all ways to encode: each gets what was published and its own in the order in which they were
    /// sent. One of its own is given up where it has to wait, and may be missing then.
    #[test]
    fn each_of_a_crowd_gets_everything_in_order(
        steps in steps(),
        peers in proptest::collection::vec((
            prop_oneof![3 => Just(None), 2 => Just(Some(Context::NoTakeover)), 1 => Just(Some(Context::Takeover))],
            prop_oneof![3 => Just(usize::MAX), 1 => 1usize..50, 1 => 100usize..5000],
            prop_oneof![3 => Just(usize::MAX), 1 => 0usize..3000],
        ), CROWD),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let _entered = runtime.enter();
        let hub = Hub::new(HubConfig::default());
        let mut crowd: Vec<_> = peers.into_iter().map(|(deflate, most, room)| {
            let end = End::new(&hub, Role::Server, deflate, timeless());
            (end.stream.script().most, end.stream.script().room) = (most, room);
            // With each message, whether it must come.
            (end, Vec::<(Message, bool)>::new())
        }).collect();
        let text = |number: usize, len| Message::from(format!("{number} {}", "abc ".repeat(len / 4)));
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Publish(len) => {
                    hub.publish("t", text(number, len)).unwrap();
                    crowd.iter_mut().for_each(|(_, due)| due.push((text(number, len), true)));
                }
                Step::Send(who, len) => {
                    let (end, due) = &mut crowd[who];
                    let is_sent = now(end.member.send(text(number, len))).is_some();
                    due.push((text(number, len), is_sent));
                }
                Step::Run(who) => assert!(now(crowd[who].0.member.next()).is_none()),
                Step::RunAll => crowd.iter_mut().for_each(|(end, _)| assert!(now(end.member.next()).is_none())),
                Step::Open(who, more) => {
                    crowd[who].0.stream.change(|script| script.room = script.room.saturating_add(more));
                }
                Step::Ping(who) => crowd[who].0.stream.feed(&support::masked(support::PING, b"p")),
            }
        }
        for (mut end, due) in crowd {
            end.stream.release();
            let mut got = end.got();
            let mut due = due.into_iter().peekable();
            loop {
                for message in got {
                    let found = due.by_ref().find(|(next, must)| *next == message || *must);
                    prop_assert_eq!(found.map(|(next, _)| next), Some(message));
                }
                if !due.clone().any(|(_, must)| must) {
                    break;
                }
                let before = end.read;
                got = end.got();
                prop_assert!(end.read > before, "{:?} does not come", due.peek());
            }
            prop_assert_eq!(end.member.socket().sent().wire_bytes, end.stream.output().len() as u64);
        }
    }
}

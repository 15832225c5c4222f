//! Every order in which two sides can send, ping, close, receive, lose the transport and let time pass, up to a depth.
//!
//! Each sequence of actions is played from the beginning, the invariants are checked after each action, and then the
//! connection is brought to its end. Sequences that differ only in the order of things that do not touch each other
//! are played once, and those in which an action does nothing are not continued.

mod common;

use common::wire::{self, CLOSE, FIN};
use common::{Heard, Pair, Side, config, secs, text};
use sockeye::{Close, CloseCode, Config, EndCause, ProtocolError, Role, SendError, State, Teardown};

/// How many actions a sequence has. One more costs about six times the time.
const DEPTH: usize = 6;

/// To this depth a sequence is brought to its end in every way, beyond it only in the usual one.
const ALL_ENDS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Send(Role),
    Ping(Role),
    Close(Role),
    /// All that is on its way to that side arrives.
    Deliver(Role),
    /// Half of it arrives.
    DeliverHalf(Role),
    /// Something that is no frame goes to that side.
    Garble(Role),
    LoseTransport,
    /// Long enough for two to reach the ping, and four the end.
    PassTime,
}

use Action::{Deliver, DeliverHalf, Garble, LoseTransport, PassTime, Ping, Send};

const ACTIONS: [Action; 13] = [
    Send(Role::Client),
    Send(Role::Server),
    Ping(Role::Client),
    Action::Close(Role::Client),
    Action::Close(Role::Server),
    Deliver(Role::Client),
    Deliver(Role::Server),
    DeliverHalf(Role::Client),
    DeliverHalf(Role::Server),
    Garble(Role::Server),
    Garble(Role::Client),
    LoseTransport,
    PassTime,
];

impl Action {
    /// The side that an action stays within, if it does.
    fn within(self) -> Option<Role> {
        match self {
            Send(role) | Ping(role) | Self::Close(role) => Some(role),
            Deliver(_) | DeliverHalf(_) | Garble(_) | LoseTransport | PassTime => None,
        }
    }

    /// Whether the same comes of `self` and then `next` as the other way round, and that way is played.
    fn is_played_the_other_way_round(self, next: Self) -> bool {
        matches!((self.within(), next.within()), (Some(Role::Server), Some(Role::Client)))
    }
}

/// A pair, and what must come of it.
struct World {
    pair: Pair,
    /// The messages that each side sent.
    client_sent: Vec<Heard>,
    server_sent: Vec<Heard>,
    /// Whether the transport was lost or garbled, so that messages may be.
    is_disturbed: bool,
    is_lost: bool,
    before: [Snapshot; 2],
}

/// What may only move forward.
#[derive(Clone)]
struct Snapshot {
    state: u8,
    teardown: u8,
    cause: Option<EndCause>,
    heard: usize,
}

/// The deadlines under which all is played.
fn deadlines() -> Config {
    config(|config| {
        config.ping_interval = Some(secs(10));
        config.pong_timeout = Some(secs(10));
        config.close_timeout = Some(secs(10));
    })
}

impl World {
    fn new() -> Self {
        let pair = Pair::with(deadlines(), deadlines());
        let before = [snapshot(&pair.client), snapshot(&pair.server)];
        Self { pair, client_sent: vec![], server_sent: vec![], is_disturbed: false, is_lost: false, before }
    }

    /// Does it; whether anything came of it.
    fn act(&mut self, action: Action, number: usize) -> bool {
        let is_effective = match action {
            Send(role) => {
                let message = format!("{role:?} {number}");
                let side = self.pair.side(role);
                let is_open = side.state() == State::Open;
                let sent = side.connection.send_text(&message, &mut side.output);
                assert_eq!(sent, if is_open { Ok(()) } else { Err(SendError::Closed) });
                if is_open {
                    self.sent_by(role).push(text(&message));
                }
                is_open
            }
            Ping(role) => {
                let side = self.pair.side(role);
                let is_open = side.state() == State::Open;
                let sent = side.connection.ping(&mut side.output);
                assert_eq!(sent, if is_open { Ok(()) } else { Err(SendError::Closed) });
                is_open
            }
            Action::Close(role) => {
                let side = self.pair.side(role);
                let is_open = side.state() == State::Open;
                let close = Close::new(CloseCode::NORMAL, "done").unwrap();
                let sent = side.connection.close(close, &mut side.output);
                assert_eq!(sent, if is_open { Ok(()) } else { Err(SendError::Closed) });
                is_open
            }
            Deliver(role) | DeliverHalf(role) => {
                let len = self.pipe_to(role).len();
                let len = if matches!(action, Deliver(_)) { len } else { len.div_ceil(2) };
                match role {
                    Role::Client => self.pair.deliver_to_client(len),
                    Role::Server => self.pair.deliver_to_server(len),
                }
                len > 0
            }
            Garble(role) => {
                if self.is_lost || self.is_disturbed {
                    return false;
                }
                self.is_disturbed = true;
                self.pipe_to(role).extend([FIN | 0x3; 2]);
                true
            }
            LoseTransport => {
                if self.is_lost {
                    return false;
                }
                self.pair.lose_transport();
                (self.is_disturbed, self.is_lost) = (true, true);
                true
            }
            PassTime => {
                let is_effective = !self.is_lost;
                self.pair.advance(secs(6));
                is_effective
            }
        };
        self.pair.flush();
        self.check();
        is_effective
    }

    fn sent_by(&mut self, role: Role) -> &mut Vec<Heard> {
        match role {
            Role::Client => &mut self.client_sent,
            Role::Server => &mut self.server_sent,
        }
    }

    fn pipe_to(&mut self, role: Role) -> &mut Vec<u8> {
        match role {
            Role::Client => &mut self.pair.to_client,
            Role::Server => &mut self.pair.to_server,
        }
    }

    /// What holds at any time.
    fn check(&mut self) {
        let now = [check_side(&self.pair.client), check_side(&self.pair.server)];
        for (before, now) in self.before.iter().zip(&now) {
            assert!(now.state >= before.state, "the state only moves forward");
            assert!(now.teardown >= before.teardown, "so does the teardown");
            assert!(before.cause.is_none() || now.cause == before.cause, "the first cause stays");
            assert!(before.state < 2 || now.heard == before.heard, "nothing is heard once it is closed");
        }
        self.before = now;
        check_heard(&self.pair.server.heard, &self.client_sent);
        check_heard(&self.pair.client.heard, &self.server_sent);
    }

    /// What holds of all that was written.
    fn check_written(&self) {
        check_written(&self.pair.client_wrote, Role::Client);
        check_written(&self.pair.server_wrote, Role::Server);
    }

    /// What holds at the end.
    fn check_end(&mut self) {
        self.check();
        self.check_written();
        for role in [Role::Client, Role::Server] {
            let side = self.pair.side(role);
            assert_eq!((side.state(), side.teardown()), (State::Closed, Teardown::Close), "{role:?}");
            let before = side.heard.len();
            side.connection.receive_eof();
            side.receive(&wire::to(role, FIN | wire::TEXT, b"late"));
            side.heard.retain(|heard| !matches!(heard, Heard::Failed(_)));
            assert!(side.heard.len() <= before && side.output.is_empty(), "the end is the end");
            assert_eq!(side.connection.poll_timeout(), None);
        }
    }
}

/// What holds of a side at any time.
fn check_side(side: &Side) -> Snapshot {
    let connection = &side.connection;
    let snapshot = snapshot(side);
    assert_eq!(connection.state() == State::Closed, connection.teardown() != Teardown::Keep);
    assert_eq!(connection.state() == State::Open, connection.end_cause().is_none());
    assert_eq!(connection.close_code().is_some(), connection.state() == State::Closed);
    if let Some(code) = connection.close_code() {
        assert_eq!(code == CloseCode::ABNORMAL, connection.peer_close().is_none());
    }
    if let Some(EndCause::Remote) = connection.end_cause() {
        assert!(connection.peer_close().is_some());
    }
    if let Some(Heard::Failed(_)) = side.heard.last() {
        assert_ne!(connection.teardown(), Teardown::AwaitPeer);
    }
    snapshot
}

fn snapshot(side: &Side) -> Snapshot {
    let state = match side.state() {
        State::Open => 0,
        State::Closing => 1,
        State::Closed => 2,
    };
    let teardown = match side.teardown() {
        Teardown::Keep => 0,
        Teardown::AwaitPeer | Teardown::Linger => 1,
        Teardown::Close => 2,
    };
    // A failed connection says the same again whenever it is asked: that is not news.
    let heard = side.heard.iter().filter(|heard| !matches!(heard, Heard::Failed(_))).count();
    Snapshot { state, teardown, cause: side.connection.end_cause().cloned(), heard }
}

/// What was heard is a beginning of what was sent, in order; nothing comes after a Close or a failure.
fn check_heard(heard: &[Heard], sent: &[Heard]) {
    let mut sent = sent.iter();
    let mut is_over = false;
    for heard in heard {
        match heard {
            Heard::Text(_) => assert_eq!(Some(heard), sent.next()),
            Heard::Failed(error) => assert_eq!(*error, ProtocolError::ReservedOpCode(3)),
            Heard::Close(_) | Heard::Ping(_) | Heard::Pong(_) => {}
            Heard::Binary(_) => panic!("nobody sent {heard:?}"),
        }
        assert!(!is_over || matches!(heard, Heard::Failed(_)), "{heard:?} came after the end");
        is_over |= matches!(heard, Heard::Close(_) | Heard::Failed(_));
    }
}

/// A side writes whole frames, masked by its role, and after its one Close nothing.
fn check_written(bytes: &[u8], role: Role) {
    let frames = wire::frames(bytes);
    for (i, frame) in frames.iter().enumerate() {
        assert_eq!(frame.masking_key.is_some(), role == Role::Client);
        assert!(frame.first != FIN | CLOSE || i + 1 == frames.len(), "{role:?} wrote after its Close: {frames:02x?}");
    }
}

/// Plays the actions; the world that came of it, and whether the last action had any effect.
fn play(actions: &[Action]) -> (World, bool) {
    let mut world = World::new();
    let mut is_effective = true;
    for (number, action) in actions.iter().enumerate() {
        is_effective = world.act(*action, number);
    }
    (world, is_effective)
}

/// Brings the connection to its end as adapters do that obey: whoever is still open closes, everything arrives.
fn end_by_closing(mut world: World) {
    for role in [Role::Client, Role::Server] {
        let side = world.pair.side(role);
        let close = side.connection.close(Close::normal(), &mut side.output);
        assert!(close == Ok(()) || close == Err(SendError::Closed));
    }
    world.pair.obey_teardown();
    // A frame of which garbage was the rest takes the answer to it away: then the deadline ends it.
    world.pair.advance(secs(11));
    world.pair.obey_teardown();
    world.check_end();
    let gave_up = [&world.pair.client, &world.pair.server].iter().any(|side| !side.timeouts.is_empty());
    if !world.is_disturbed && !gave_up {
        let texts = |heard: &[Heard]| heard.iter().filter(|heard| matches!(heard, Heard::Text(_))).count();
        assert_eq!(texts(&world.pair.server.heard), world.client_sent.len(), "what was sent before the Close arrives");
        assert_eq!(texts(&world.pair.client.heard), world.server_sent.len(), "what was sent before the Close arrives");
        for role in [Role::Client, Role::Server] {
            assert!(world.pair.side(role).connection.peer_close().is_some());
        }
        assert_eq!(world.pair.hung_up, [Role::Server, Role::Client], "the server closes the transport first");
    }
}

/// Lets time pass while nothing arrives any more.
fn end_by_time(mut world: World) {
    world.pair.advance(secs(100));
    world.check_end();
}

/// Loses the transport.
fn end_by_loss(mut world: World) {
    world.pair.lose_transport();
    world.check_end();
}

/// Plays all sequences that begin with `actions`; how many there were.
fn explore(actions: &mut Vec<Action>) -> u64 {
    struct Told<'a>(&'a [Action]);
    impl Drop for Told<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("after {:?}", self.0);
            }
        }
    }
    {
        let told = Told(actions);
        let (world, is_effective) = play(told.0);
        if !is_effective {
            return 1;
        }
        end_by_closing(world);
        if told.0.len() <= ALL_ENDS {
            end_by_time(play(told.0).0);
            end_by_loss(play(told.0).0);
        }
    }
    let mut count = 1;
    if actions.len() < DEPTH {
        for action in ACTIONS {
            if !actions.last().is_some_and(|last| last.is_played_the_other_way_round(action)) {
                actions.push(action);
                count += explore(actions);
                actions.pop();
            }
        }
    }
    count
}

/// Plays all sequences that begin with one of these actions.
fn explore_from(first: &[Action]) {
    let count: u64 = first.iter().map(|action| explore(&mut vec![*action])).sum();
    assert!(count > 1000, "only {count} sequences");
}

#[test]
fn every_order_that_begins_with_the_client_keeps_the_invariants() {
    explore_from(&[Send(Role::Client), Ping(Role::Client)]);
}

#[test]
fn every_order_that_begins_with_the_server_keeps_the_invariants() {
    explore_from(&[Send(Role::Server), Garble(Role::Server), Garble(Role::Client)]);
}

#[test]
fn every_order_that_begins_with_a_close_keeps_the_invariants() {
    explore_from(&[Action::Close(Role::Client), Action::Close(Role::Server)]);
}

#[test]
fn every_order_that_begins_with_time_or_a_loss_keeps_the_invariants() {
    explore_from(&[PassTime]);
    explore(&mut vec![LoseTransport]);
}

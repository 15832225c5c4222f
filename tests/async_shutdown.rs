//! The gate of a server: who is let in, and how all are asked to leave.

mod async_support;

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_support::*;
use sockeye::driver::{Drain, Drained, Gate, Limits};
use sockeye::handshake::{ClientRequest, Rejection, ResponseError};
use sockeye::tokio::{Acceptor, Connector, Error, Server, Timer, WebSocket, connect};
use sockeye::{Close, CloseCode, Config, State};
use tokio::time::Instant;

fn acceptor(gate: &Gate) -> Acceptor {
    let mut acceptor = Acceptor::default();
    // What a connection writes here, the gate told it to.
    acceptor.config = config(|config| config.ping_interval = None).into();
    acceptor.gate = Some(gate.clone());
    acceptor
}

fn gate(change: impl FnOnce(&mut Limits)) -> Gate {
    let mut limits = Limits::default();
    change(&mut limits);
    Gate::new(limits)
}

fn drain(change: impl FnOnce(&mut Drain)) -> Drain {
    let mut drain = Drain::default();
    change(&mut drain);
    drain
}

/// What came of emptying a house.
fn drained(drained: Drained) -> (usize, usize) {
    (drained.ended, drained.aborted)
}

fn status(stream: &Mock) -> u16 {
    let output = String::from_utf8(stream.output()).unwrap();
    output.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("{output}"))[..3].parse().unwrap()
}

/// A connection behind a gate, that is received on in a task of its own.
struct Member {
    stream: Mock,
    task: tokio::task::JoinHandle<Result<(), Error>>,
}

impl Member {
    async fn of(gate: &Gate) -> Self {
        let stream = Mock::new(REQUEST);
        let mut socket = acceptor(gate).accept(stream.clone()).await.unwrap();
        let task = tokio::spawn(async move {
            while socket.receive().await?.is_some() {}
            Ok(())
        });
        Self { stream, task }
    }

    fn frames(&self) -> Vec<(u8, Vec<u8>)> {
        plain(&self.stream.output()[RESPONSE.len()..])
    }

    fn was_told(&self) -> bool {
        !self.frames().is_empty()
    }

    /// Answers the Close that it got.
    fn answer(&self) {
        let body = self.frames().remove(0).1;
        self.stream.feed(&masked(CLOSE, &body));
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_too_many_is_refused_with_503_and_from_one_address_with_429() {
    let home: IpAddr = "192.0.2.1".parse().unwrap();
    let other: IpAddr = "192.0.2.2".parse().unwrap();
    let gate = gate(|limits| (limits.connections, limits.connections_per_peer) = (3, 2));
    let mut inside = Vec::new();
    for peer in [home, home, other] {
        inside.push(acceptor(&gate).start_from(Mock::new(REQUEST), Some(peer)).accept().await.unwrap());
    }
    assert_eq!((gate.connections(), gate.handshakes()), (3, 0));
    let full = Mock::ending(REQUEST);
    let error = soon(acceptor(&gate).start_from(full.clone(), Some(other)).accept()).await.unwrap_err();
    assert!(matches!(error, Error::Rejected(rejection) if rejection.status() == 503));
    assert_eq!((status(&full), full.script().shutdowns), (503, 1));
    // A seat is given back by dropping the connection.
    inside.pop();
    assert_eq!(gate.connections(), 2);
    let greedy = Mock::ending(REQUEST);
    let error = soon(acceptor(&gate).start_from(greedy.clone(), Some(home)).accept()).await.unwrap_err();
    assert!(matches!(error, Error::Rejected(rejection) if rejection.status() == 429));
    assert_eq!((status(&greedy), gate.connections()), (429, 2));
    inside.push(acceptor(&gate).start_from(Mock::new(REQUEST), Some(other)).accept().await.unwrap());
    inside.remove(0);
    inside.push(acceptor(&gate).start_from(Mock::new(REQUEST), Some(home)).accept().await.unwrap());
    drop(inside);
    assert_eq!(gate.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn handshakes_in_progress_are_limited_and_a_failed_one_gives_its_seat_back() {
    let gate = gate(|limits| limits.handshakes = 2);
    let slow = acceptor(&gate).start(Mock::new(""));
    let failing = acceptor(&gate).start(Mock::ending("nonsense\r\n\r\n"));
    assert_eq!((gate.connections(), gate.handshakes()), (2, 2));
    let full = Mock::ending(REQUEST);
    assert!(soon(acceptor(&gate).accept(full.clone())).await.is_err());
    assert_eq!(status(&full), 503);
    assert!(soon(failing.accept()).await.is_err());
    assert_eq!(gate.handshakes(), 1);
    // An open connection is in no handshake any more.
    let sockets = [
        soon(acceptor(&gate).accept(Mock::new(REQUEST))).await.unwrap(),
        soon(acceptor(&gate).accept(Mock::new(REQUEST))).await.unwrap(),
    ];
    assert_eq!((gate.connections(), gate.handshakes()), (3, 1));
    drop(slow);
    assert_eq!((gate.connections(), gate.handshakes()), (2, 0));
    // Rejected by the application, reset, too late.
    let rejected = acceptor(&gate);
    let rejected = rejected.accept_with(Mock::ending(REQUEST), |_, _| Err(Rejection::new(403).unwrap()));
    assert!(soon(rejected).await.is_err());
    let reset = Mock::new("");
    reset.script().at_end = Some(Err(std::io::ErrorKind::ConnectionReset));
    assert!(soon(acceptor(&gate).accept(reset)).await.is_err());
    assert!(soon(acceptor(&gate).accept(Mock::new("GET"))).await.is_err());
    assert_eq!((gate.connections(), gate.handshakes()), (2, 0));
    drop(sockets);
    assert_eq!(gate.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn connection_that_ended_gives_its_seat_back_though_it_is_kept() {
    let gate = Gate::default();
    let stream = Mock::new([REQUEST.as_bytes(), &masked(CLOSE, b"")].concat());
    let mut socket = acceptor(&gate).accept(stream).await.unwrap();
    assert_eq!(gate.connections(), 1);
    assert_eq!(soon(socket.receive()).await.unwrap(), None);
    assert_eq!(gate.connections(), 0);
    assert_eq!(socket.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn seat_belongs_to_the_connection_and_not_to_who_may_still_hold_a_sender() {
    let gate = Gate::default();
    let (receiver, sender) = acceptor(&gate).accept(Mock::new(REQUEST)).await.unwrap().split();
    drop(sender);
    assert_eq!(gate.connections(), 1);
    let sender = receiver.sender();
    drop(receiver);
    assert_eq!(gate.connections(), 0);
    assert!(sender.send("to nobody").await.unwrap_err().is_closed());
}

#[tokio::test(start_paused = true)]
async fn connection_that_is_aborted_lets_its_stream_go_whoever_holds_its_halves() {
    let gate = Gate::default();
    let stream = Mock::new(REQUEST);
    let (mut receiver, sender) = acceptor(&gate).accept(stream.clone()).await.unwrap().split();
    sender.abort();
    assert_eq!((gate.connections(), sender.state()), (0, State::Closed));
    assert!(stream.is_dropped());
    for _ in 0..2 {
        let Err(Error::Io(error)) = receiver.receive().await else { panic!("it was aborted") };
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    }
    soon(sender.closed()).await;
}

#[tokio::test(start_paused = true)]
async fn plain_echo_loop_ends_in_order_when_the_server_stops_under_load() {
    let gate = Gate::default();
    let mut ends = Vec::new();
    for _ in 0..20 {
        let (client, served) = tokio::io::duplex(256);
        let acceptor = acceptor(&gate);
        let serving = tokio::spawn(async move {
            let mut socket = acceptor.accept(served).await?;
            while let Some(message) = socket.receive().await? {
                socket.send(message).await?;
            }
            Ok::<_, Error>(socket.close_code())
        });
        let request = ClientRequest::new("example.com", "/").unwrap();
        let (mut receiver, sender) = Connector::default().handshake(client, request).await.unwrap().split();
        let sending = tokio::spawn(async move { while sender.send(pattern(300)).await.is_ok() {} });
        let receiving = tokio::spawn(async move {
            while receiver.receive().await?.is_some() {}
            Ok::<_, Error>(receiver.sender().close_code())
        });
        ends.push((serving, sending, receiving));
    }
    settle().await;
    assert_eq!(drained(soon(gate.drain(Timer::default(), Drain::default())).await), (20, 0));
    for (serving, sending, receiving) in ends {
        assert_eq!(soon(serving).await.unwrap().unwrap(), Some(CloseCode::GOING_AWAY));
        assert_eq!(soon(receiving).await.unwrap().unwrap(), Some(CloseCode::GOING_AWAY));
        soon(sending).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn seat_can_be_given_to_a_connection_that_somebody_else_has_upgraded() {
    let gate = Gate::default();
    let stream = Mock::new("");
    let seat = gate.admit(None).unwrap();
    let mut socket = WebSocket::server(stream.clone(), Config::default()).with_seat(seat);
    assert_eq!((gate.connections(), gate.handshakes()), (1, 0));
    let mut receiving = Box::pin(socket.receive());
    assert!(now(receiving.as_mut()).is_none());
    gate.abort();
    assert!(soon(receiving).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn jitter_can_be_switched_off() {
    let gate = Gate::default();
    let members = [Member::of(&gate).await, Member::of(&gate).await, Member::of(&gate).await];
    let draining = tokio::spawn({
        let gate = gate.clone();
        async move { gate.drain(Timer::default(), drain(|drain| (drain.batch, drain.jitter) = (1, 0))).await }
    });
    let told = || members.iter().filter(|member| member.was_told()).count();
    settle().await;
    for so_far in 1..=3 {
        assert_eq!(told(), so_far);
        tokio::time::sleep(ms(999)).await;
        assert_eq!(told(), so_far);
        tokio::time::sleep(ms(2)).await;
        settle().await;
    }
    gate.abort();
    soon(draining).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stop_answers_handshakes_in_flight_with_503_and_lets_nobody_in() {
    let gate = Gate::default();
    let waiting = Mock::new(&REQUEST.as_bytes()[..30]);
    let accepting = tokio::spawn({
        let (acceptor, stream) = (acceptor(&gate), waiting.clone());
        async move { acceptor.accept(stream).await }
    });
    settle().await;
    gate.stop();
    assert!(gate.is_stopping());
    waiting.change(|script| script.at_end = Some(Ok(())));
    let error = soon(accepting).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Rejected(rejection) if rejection.status() == 503));
    assert_eq!(status(&waiting), 503);
    let late = Mock::ending(REQUEST);
    assert!(soon(acceptor(&gate).accept(late.clone())).await.is_err());
    assert_eq!((status(&late), gate.connections()), (503, 0));
}

#[tokio::test(start_paused = true)]
async fn stop_answers_a_handshake_that_the_application_has_not_decided_on_with_503() {
    let gate = Gate::default();
    let stream = Mock::new(REQUEST);
    let mut deciding = acceptor(&gate).start(stream.clone());
    soon(deciding.request()).await.unwrap();
    gate.stop();
    stream.change(|script| script.at_end = Some(Ok(())));
    let result = soon(deciding.accept()).await;
    assert!(matches!(result, Err(Error::Rejected(rejection)) if rejection.status() == 503));
    assert_eq!((status(&stream), gate.connections()), (503, 0));
}

#[tokio::test(start_paused = true)]
async fn drain_tells_everybody_at_once_and_waits_until_all_are_gone() {
    let gate = Gate::default();
    let mut members = Vec::new();
    for _ in 0..5 {
        members.push(Member::of(&gate).await);
    }
    let draining = tokio::spawn({
        let gate = gate.clone();
        async move { gate.drain(Timer::default(), Drain::default()).await }
    });
    settle().await;
    assert!(members.iter().all(|member| member.frames() == [(CLOSE, close_body(1001, ""))]));
    assert!(!draining.is_finished());
    let started = Instant::now();
    tokio::time::sleep(secs(3)).await;
    for member in &members {
        member.answer();
    }
    assert_eq!(drained(soon(draining).await.unwrap()), (5, 0));
    assert_eq!(started.elapsed(), secs(3));
    for member in members {
        soon(member.task).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn drain_tells_so_many_in_each_interval() {
    let gate = Gate::default();
    let mut members = Vec::new();
    for _ in 0..10 {
        members.push(Member::of(&gate).await);
    }
    let how = drain(|drain| {
        (drain.batch, drain.interval) = (3, secs(10));
        drain.close = Close::new(CloseCode::SERVICE_RESTART, "back soon").unwrap();
    });
    let started = Instant::now();
    let draining = tokio::spawn({
        let gate = gate.clone();
        async move { gate.drain(Timer::default(), how).await }
    });
    let told = |members: &[Member]| members.iter().filter(|member| member.was_told()).count();
    let mut steps = Vec::new();
    for _ in 0..(50 * 4) {
        settle().await;
        let count = told(&members);
        if steps.last().is_none_or(|(_, last)| *last != count) {
            steps.push((started.elapsed(), count));
            members.iter().filter(|member| member.was_told()).for_each(Member::answer);
        }
        tokio::time::advance(ms(250)).await;
    }
    assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [3, 6, 9, 10]);
    // Give or take a half, and the quarter of a second in which this looks.
    for pair in steps.windows(2) {
        let pause = pair[1].0 - pair[0].0;
        assert!((ms(4750)..=ms(15_250)).contains(&pause), "{pause:?}");
    }
    assert_eq!(drained(soon(draining).await.unwrap()), (10, 0));
    assert_eq!(members[0].frames(), [(CLOSE, close_body(1012, "back soon"))]);
}

#[tokio::test(start_paused = true)]
async fn drain_aborts_who_is_left_at_the_deadline() {
    let gate = Gate::default();
    let (polite, rude) = (Member::of(&gate).await, Member::of(&gate).await);
    // One that only sends, to a peer that takes nothing, and one that does nothing at all.
    let stuck = Mock::new(REQUEST);
    let mut sender = acceptor(&gate).accept(stuck.clone()).await.unwrap();
    stuck.script().room = 0;
    let sending = tokio::spawn(async move { (sender.send(pattern(1_000_000)).await, sender) });
    let lazy = acceptor(&gate).accept(Mock::new(REQUEST)).await.unwrap();
    settle().await;
    let started = Instant::now();
    let draining = tokio::spawn({
        let gate = gate.clone();
        let how = drain(|drain| drain.patience = secs(5));
        async move { gate.drain(Timer::default(), how).await }
    });
    settle().await;
    polite.answer();
    assert_eq!(drained(soon(draining).await.unwrap()), (1, 3));
    assert_eq!(started.elapsed(), secs(5));
    soon(polite.task).await.unwrap().unwrap();
    let error = soon(rude.task).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionAborted));
    let (sent, sender) = soon(sending).await.unwrap();
    assert!(matches!(sent, Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionAborted));
    assert_eq!(started.elapsed(), secs(5));
    // What the application keeps, only it can give back.
    drop((sender, lazy));
    assert_eq!(gate.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn abort_ends_receives_and_sends_at_once() {
    let gate = Gate::default();
    let stream = Mock::new(REQUEST);
    let (mut receiver, sender) = acceptor(&gate).accept(stream.clone()).await.unwrap().split();
    stream.script().room = 0;
    let other = sender.clone();
    let receiving = tokio::spawn(async move { receiver.receive().await });
    let sending = tokio::spawn(async move { sender.send(pattern(100_000)).await });
    let pinging = tokio::spawn(other.ping());
    settle().await;
    gate.abort();
    let started = Instant::now();
    assert!(soon(receiving).await.unwrap().is_err());
    assert!(soon(sending).await.unwrap().is_err());
    assert!(soon(pinging).await.unwrap().is_err());
    soon(other.closed()).await;
    assert_eq!(started.elapsed(), secs(0));
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_behind_the_close_of_a_drain_are_dropped_because_nobody_could_answer() {
    let gate = Gate::default();
    let stream = Mock::new(REQUEST);
    let mut socket = acceptor(&gate).accept(stream.clone()).await.unwrap();
    let draining = tokio::spawn({
        let gate = gate.clone();
        async move { gate.drain(Timer::default(), Drain::default()).await }
    });
    settle().await;
    assert!(now(socket.receive()).is_none());
    stream.feed(&[masked(TEXT, b"on its way"), masked(CLOSE, &close_body(1001, ""))].concat());
    assert_eq!(soon(socket.receive()).await.unwrap(), None);
    assert_eq!(socket.close_code(), Some(CloseCode::GOING_AWAY));
    drop(socket);
    assert_eq!(drained(soon(draining).await.unwrap()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn connection_that_has_closed_already_is_not_told_again() {
    let gate = Gate::default();
    let stream = Mock::new(REQUEST);
    let mut socket = acceptor(&gate).accept(stream.clone()).await.unwrap();
    socket.close(Close::normal()).await.unwrap();
    let draining = tokio::spawn({
        let gate = gate.clone();
        async move { gate.drain(Timer::default(), Drain::default()).await }
    });
    settle().await;
    assert!(now(socket.receive()).is_none());
    assert_eq!(plain(&stream.output()[RESPONSE.len()..]), [(CLOSE, close_body(1000, ""))]);
    stream.feed(&masked(CLOSE, &close_body(1000, "")));
    assert_eq!(soon(socket.receive()).await.unwrap(), None);
    drop(socket);
    soon(draining).await.unwrap();
}

/// Waits for what goes over real sockets. Only a test that goes wrong looks at the clock.
async fn really<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it never ends")
}

async fn serve() -> (String, sockeye::tokio::ServerHandle, tokio::task::JoinHandle<std::io::Result<()>>) {
    let mut limits = Limits::default();
    limits.connections = 3;
    let server = Server::bind("127.0.0.1:0").await.unwrap().with_limits(limits);
    let (address, handle) = (format!("ws://{}/", server.local_addr().unwrap()), server.handle());
    let serving = tokio::spawn(server.run(|accepting, _| async move {
        let mut socket = accepting.accept().await?;
        while let Some(message) = socket.receive().await? {
            socket.send(message).await?;
        }
        Ok(())
    }));
    (address, handle, serving)
}

#[tokio::test]
async fn server_takes_in_echoes_refuses_and_shuts_down() {
    let (address, handle, serving) = serve().await;
    let mut clients = Vec::new();
    for number in 0..3 {
        let mut client = really(connect(&address)).await.unwrap();
        client.send(format!("number {number}")).await.unwrap();
        assert_eq!(really(client.receive()).await.unwrap(), Some(format!("number {number}").into()));
        clients.push(client);
    }
    assert_eq!(handle.connections(), 3);
    let error = really(connect(&address)).await.unwrap_err();
    assert!(matches!(error, Error::Response(ResponseError::Refused(refused)) if refused.status == 503));
    // Who leaves makes room.
    let mut first = clients.remove(0);
    first.close(Close::normal()).await.unwrap();
    assert_eq!(really(first.receive()).await.unwrap(), None);
    clients.push(really(connect(&address)).await.unwrap());
    let stopping = tokio::spawn({
        let handle = handle.clone();
        async move { handle.shutdown(Drain::default()).await }
    });
    for client in &mut clients {
        assert_eq!(really(client.receive()).await.unwrap(), None);
        assert_eq!(client.close_code(), Some(CloseCode::GOING_AWAY));
    }
    assert_eq!(drained(really(stopping).await.unwrap()), (3, 0));
    really(serving).await.unwrap().unwrap();
    assert!(handle.gate().is_stopping());
    assert!(matches!(really(connect(&address)).await, Err(Error::Io(_))));
}

#[tokio::test(start_paused = true)]
async fn server_aborts_handlers_that_never_receive() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    let alive = Arc::new(());
    let serving = tokio::spawn(server.run({
        let alive = alive.clone();
        move |accepting, _| {
            let alive = alive.clone();
            async move {
                let _socket = accepting.accept().await?;
                core::future::pending::<()>().await;
                drop(alive);
                Ok(())
            }
        }
    }));
    // Without a deadline: the clock of this test runs ahead of the sockets.
    let mut connector = sockeye::tokio::Connector::default();
    connector.handshake.timeout = None;
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut client = connector.handshake(stream, ClientRequest::new(&address.to_string(), "/").unwrap()).await.unwrap();
    let drained = drained(handle.shutdown(drain(|drain| drain.patience = secs(1))).await);
    assert_eq!(drained, (0, 1));
    serving.await.unwrap().unwrap();
    assert_eq!((Arc::strong_count(&alive), handle.connections()), (1, 0));
    assert!(matches!(client.receive().await, Err(Error::Lost | Error::Io(_))));
}

#[tokio::test]
async fn server_that_is_dropped_aborts_its_connections() {
    let (address, handle, serving) = serve().await;
    let mut client = really(connect(&address)).await.unwrap();
    serving.abort();
    assert!(really(serving).await.unwrap_err().is_cancelled());
    assert!(matches!(really(client.receive()).await, Err(Error::Lost | Error::Io(_))));
    assert_eq!(handle.connections(), 0);
}

#[tokio::test]
async fn shutdown_of_a_server_on_which_nobody_is_returns_at_once() {
    let (_, handle, serving) = serve().await;
    assert_eq!(drained(really(handle.shutdown(Drain::default())).await), (0, 0));
    really(serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn server_over_wrapped_streams_refuses_by_their_end_and_gives_seats_back() {
    let mut limits = Limits::default();
    limits.connections = 1;
    let server = Server::bind("127.0.0.1:0").await.unwrap().with_limits(limits);
    let (address, handle) = (format!("ws://{}/", server.local_addr().unwrap()), server.handle());
    let fails = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let wrap = {
        let fails = fails.clone();
        move |stream| {
            let fails = fails.load(std::sync::atomic::Ordering::SeqCst);
            core::future::ready(if fails { Err(std::io::ErrorKind::InvalidData.into()) } else { Ok(stream) })
        }
    };
    let serving = tokio::spawn(server.run_over(wrap, |accepting, _| async move {
        let mut socket = accepting.accept().await?;
        while socket.receive().await?.is_some() {}
        Ok(())
    }));
    assert!(really(connect(&address)).await.is_err());
    fails.store(false, std::sync::atomic::Ordering::SeqCst);
    let mut client = loop {
        // The seat of the one that failed may be given back a moment later.
        match really(connect(&address)).await {
            Ok(client) => break client,
            Err(Error::Response(_) | Error::Io(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error:?}"),
        }
    };
    assert!(matches!(really(connect(&address)).await, Err(Error::Response(_) | Error::Io(_))));
    let stopping = tokio::spawn(async move { handle.shutdown(Drain::default()).await });
    assert_eq!(really(client.receive()).await.unwrap(), None);
    assert_eq!(drained(really(stopping).await.unwrap()), (1, 0));
    really(serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn handle_is_for_the_server_whenever_it_was_taken() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let handle = server.handle();
    let mut acceptor = Acceptor::default();
    acceptor.gate = Some(Gate::default());
    let mut limits = Limits::default();
    limits.connections = 1;
    let server = server.with_acceptor(acceptor).with_limits(limits);
    let address = server.local_addr().unwrap();
    let serving = tokio::spawn(server.run(|accepting, peer| async move {
        assert!(peer.ip().is_loopback());
        let mut socket = accepting.accept().await?;
        while socket.receive().await?.is_some() {}
        Ok(())
    }));
    let mut client = connect(&format!("ws://{address}/")).await.unwrap();
    let refused = connect(&format!("ws://{address}/")).await.unwrap_err();
    assert!(matches!(&refused, Error::Response(ResponseError::Refused(refused)) if refused.status == 503), "{refused}");
    assert_eq!(handle.connections(), 1);
    let stopping = tokio::spawn(async move { handle.shutdown(Drain::default()).await });
    assert_eq!(client.receive().await.unwrap(), None);
    assert_eq!(drained(stopping.await.unwrap()), (1, 0));
    serving.await.unwrap().unwrap();
}

#[test]
fn errors_say_of_which_kind_they_are() {
    let late = Error::Io(ErrorKind::TimedOut.into());
    assert!(late.is_timeout() && Error::Timeout(sockeye::Timeout::Pong).is_timeout());
    assert!(!Error::Lost.is_timeout() && !Error::Lost.is_closed());
    assert!(Error::from(sockeye::SendError::Closed).is_closed());
    let own = Error::application("no such room");
    assert!(!own.is_timeout() && !own.is_closed());
    assert_eq!(own.to_string(), "no such room");
}

#[tokio::test(start_paused = true)]
async fn flood_of_those_who_are_not_let_in_is_bounded_too() {
    let gate = gate(|limits| (limits.connections, limits.handshakes) = (1, 3));
    let _inside = acceptor(&gate).accept(Mock::new(REQUEST)).await.unwrap();
    let streams: Vec<_> = (0..10).map(|_| Mock::new("")).collect();
    let refused: Vec<_> =
        streams.iter().map(|stream| tokio::spawn(acceptor(&gate).start(stream.clone()).accept())).collect();
    settle().await;
    // Three are told and may stay for a moment, the others are gone.
    assert_eq!(streams.iter().filter(|stream| !stream.is_dropped()).count(), 3);
    assert_eq!(streams.iter().filter(|stream| !stream.output().is_empty()).count(), 3);
    for refused in refused {
        let error = soon(refused).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Rejected(rejection) if rejection.status() == 503));
    }
    // And then others can be told.
    let late = Mock::ending("");
    assert!(soon(acceptor(&gate).accept(late.clone())).await.is_err());
    assert_eq!(status(&late), 503);
}

#[tokio::test(start_paused = true)]
async fn two_drains_at_once_both_end_when_the_house_is_empty() {
    let gate = Gate::default();
    let seat = gate.admit(None).unwrap();
    let drains = [(); 2].map(|()| {
        let gate = gate.clone();
        tokio::spawn(async move { gate.drain(Timer::default(), drain(|drain| drain.patience = secs(600))).await })
    });
    settle().await;
    let started = Instant::now();
    drop(seat);
    for draining in drains {
        assert_eq!(soon(draining).await.unwrap().aborted, 0);
    }
    assert_eq!(started.elapsed(), secs(0));
}

#[tokio::test(start_paused = true)]
async fn abort_reaches_those_who_were_told_to_close_before() {
    let gate = Gate::default();
    let member = Member::of(&gate).await;
    let draining = tokio::spawn({
        let gate = gate.clone();
        async move { gate.drain(Timer::default(), Drain::default()).await }
    });
    settle().await;
    assert!(member.was_told());
    let started = Instant::now();
    gate.abort();
    assert!(soon(member.task).await.unwrap().is_err());
    assert_eq!(started.elapsed(), secs(0));
    soon(draining).await.unwrap();
}

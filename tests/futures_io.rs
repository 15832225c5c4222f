//! The adapter for `futures-io`, over TCP on smol. What it shares with the others is tested there, on a paused clock; here
//! are the streams and timers that it brings.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};
use sockeye::driver::{Drain, Gate, Limits, Timer as _};
use sockeye::futures::{Acceptor, Connector, Error, Timer, WebSocket, connect};
use sockeye::handshake::Rejection;
use sockeye::{Close, CloseCode, Message, MessageKind, Timeout};

const MS: Duration = Duration::from_millis(1);

/// A server with one connection, and the address to reach it.
async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}/", listener.local_addr().unwrap());
    (listener, address)
}

/// A client and a server, connected.
async fn pair(acceptor: Acceptor) -> (WebSocket<TcpStream>, WebSocket<TcpStream>) {
    let (listener, address) = listen().await;
    let accepting = smol::spawn(async move { acceptor.accept(listener.accept().await.unwrap().0).await });
    let client = connect(&address).await.unwrap();
    (client, accepting.await.unwrap())
}

#[test]
fn messages_of_every_size_go_both_ways_and_a_close_ends_both_sides() {
    smol::block_on(async {
        let (mut client, mut server) = pair(Acceptor::default()).await;
        let serving = smol::spawn(async move {
            while let Some(message) = server.receive().await? {
                server.send(message).await?;
            }
            Ok::<_, Error>(server.close_code())
        });
        for len in [0, 1, 125, 126, 65_535, 65_536, 3_000_000] {
            let message = Message::from(vec![7; len]);
            let (mut receiver, sender) = client.split();
            let sending = smol::spawn({
                let (sender, message) = (sender.clone(), message.clone());
                async move { sender.send(message).await }
            });
            assert!(receiver.receive().await.unwrap() == Some(message));
            sending.await.unwrap();
            client = receiver.reunite(sender).unwrap();
        }
        client.close(Close::normal()).await.unwrap();
        assert_eq!(client.receive().await.unwrap(), None);
        assert_eq!(serving.await.unwrap(), Some(CloseCode::NORMAL));
    });
}

#[test]
fn deadlines_are_kept_by_its_timers() {
    smol::block_on(async {
        let mut acceptor = Acceptor::default();
        Arc::make_mut(&mut acceptor.config).idle_timeout = Some(30 * MS);
        let (mut client, mut server) = pair(acceptor).await;
        assert!(matches!(
            smol::future::zip(server.receive(), client.receive()).await.0,
            Err(Error::Timeout(Timeout::Idle))
        ));
        assert_eq!(client.close_code(), Some(CloseCode::GOING_AWAY));
    });
}

#[test]
fn timer_is_never_early_and_can_be_set_anew() {
    smol::block_on(async {
        let mut timer = Timer::default();
        let start = timer.now();
        // Far away, then near: the near one counts.
        let far = start + Duration::from_secs(10_000);
        assert!(timer.poll_until(far, &mut Context::from_waker(Waker::noop())).is_pending());
        for wait in [5, 1, 20] {
            let until = timer.now() + wait * MS;
            poll_fn(|cx| timer.poll_until(until, cx)).await;
            assert!(timer.now() >= until);
        }
        // One that has passed is ready at once, and so it is when asked again.
        for _ in 0..2 {
            assert_eq!(timer.poll_until(start, &mut Context::from_waker(Waker::noop())), Poll::Ready(()));
        }
        // Later than any clock reaches.
        let never = start + Duration::MAX;
        assert!(timer.poll_until(never, &mut Context::from_waker(Waker::noop())).is_pending());
    });
}

#[test]
fn streams_of_bytes_are_read_and_written_as_those_of_futures_io() {
    smol::block_on(async {
        let (mut client, mut server) = pair(Acceptor::default()).await;
        let sending = smol::spawn(async move {
            let mut writer = client.writer(MessageKind::Text).await?;
            for _ in 0..50_000 {
                AsyncWriteExt::write_all(&mut writer, "smörgåsbord ".as_bytes()).await.unwrap();
            }
            AsyncWriteExt::close(&mut writer).await.unwrap();
            drop(writer);
            Ok::<_, Error>(client)
        });
        let mut reader = server.receive_reader().await.unwrap().unwrap();
        let mut text = String::new();
        AsyncReadExt::read_to_string(&mut reader, &mut text).await.unwrap();
        assert!(text == "smörgåsbord ".repeat(50_000));
        sending.await.unwrap();
    });
}

#[test]
fn halves_are_a_stream_and_a_sink() {
    smol::block_on(async {
        let (client, server) = pair(Acceptor::default()).await;
        let (sink, stream) = StreamExt::split(server);
        let echoing = smol::spawn(async move { stream.forward(sink).await });
        let (mut receiver, mut sender) = client.split();
        for number in 0..100 {
            SinkExt::send(&mut sender, Message::from(format!("{number}"))).await.unwrap();
            assert_eq!(receiver.next().await.unwrap().unwrap(), Message::from(format!("{number}")));
        }
        SinkExt::<Message>::close(&mut sender).await.unwrap();
        assert!(receiver.next().await.is_none());
        echoing.await.unwrap();
    });
}

#[test]
fn request_is_seen_and_rejected_and_the_client_learns_why() {
    smol::block_on(async {
        let (listener, address) = listen().await;
        let accepting = smol::spawn(async move {
            let mut accepting = Acceptor::default().start(listener.accept().await.unwrap().0);
            assert_eq!(accepting.request().await.unwrap().path(), "/");
            accepting.reject(Rejection::new(403).unwrap()).await
        });
        let error = Connector::default().connect(&address).await.unwrap_err();
        assert!(matches!(error, Error::Response(_)), "{error}");
        assert!(matches!(accepting.await, Error::Rejected(_)));
    });
}

#[test]
fn gate_drains_on_its_timers() {
    smol::block_on(async {
        let gate = Gate::new(Limits::default());
        let mut acceptor = Acceptor::default();
        acceptor.gate = Some(gate.clone());
        let (mut client, mut server) = pair(acceptor).await;
        let serving = smol::spawn(async move { server.receive().await });
        let mut draining = pin!(gate.drain(Timer::default(), Drain::default()));
        assert!(poll_fn(|cx| Poll::Ready(draining.as_mut().poll(cx).is_pending())).await);
        assert_eq!(client.receive().await.unwrap(), None);
        assert_eq!(client.close_code(), Some(CloseCode::GOING_AWAY));
        assert_eq!(draining.await.aborted, 0);
        assert_eq!(serving.await.unwrap(), None);
    });
}

#[test]
fn address_that_nobody_listens_on_and_one_that_is_none_are_errors() {
    smol::block_on(async {
        let (listener, address) = listen().await;
        drop(listener);
        assert!(matches!(connect(&address).await, Err(Error::Io(_))));
        assert!(matches!(connect("http://localhost/").await, Err(Error::Uri(_))));
    });
}

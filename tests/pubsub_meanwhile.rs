//! What happens while a hub is at something else: a write during which others publish, owners of payloads that publish when they are
//! dropped, bridges that are changed at once.

#[path = "async_support/mod.rs"]
mod support;

mod pubsub_support;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use pubsub_support::{hub, messages, numbers};
use sockeye::pubsub::{BridgeConfig, Event, MemoryBackplane, Numbering, Reach};
use support::{Mock, TEXT, now, timeless};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream with which something happens whenever it is written to, as another thread would do it meanwhile.
struct Meanwhile<F>(Mock, F);

impl<F: FnMut() + Send + Unpin + 'static> AsyncRead for Meanwhile<F> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<F: FnMut() + Send + Unpin + 'static> AsyncWrite for Meanwhile<F> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        (self.1)();
        Pin::new(&mut self.0).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn gap_that_comes_during_a_write_is_told_before_what_follows_it_is_sent() {
    let hub = hub(|_| {});
    let mut config = BridgeConfig::default();
    config.queue = messages(3);
    let mut bridge = Box::pin(hub.bridge(MemoryBackplane::new(Numbering::Engine), config).run());
    assert!(now(bridge.as_mut()).is_none() && hub.bridge_status().unwrap().is_up);
    // Nobody wants it yet: others may be told of it before what is delivered here.
    hub.publish("t", "0").unwrap();
    let stream = Mock::new("");
    stream.script().is_vectored = true;
    let mut bridge = Some(bridge);
    let ends = move || drop(bridge.take());
    let socket = sockeye::tokio::WebSocket::server(Meanwhile(stream.clone(), ends), timeless());
    let mut member = hub.join(socket, ());
    member.subscribe("t").unwrap();
    for number in 1..100 {
        let reach = hub.publish("t", number.to_string()).unwrap().reach;
        assert_eq!(reach, if number < 3 { Reach::AllNodes } else { Reach::Cut });
    }
    // With the first write, the bridge ends, so that 1 and 2 are delivered without 0.
    let event = now(member.next()).unwrap().unwrap();
    assert_eq!(event, Some(Event::Gap { topic: "t".into() }));
    let sent = |stream: &Mock| -> Vec<_> {
        let texts = stream.frames().into_iter().filter(|(first, _)| *first == TEXT);
        texts.map(|(_, payload)| String::from_utf8(payload).unwrap()).collect()
    };
    assert_eq!(sent(&stream), numbers(3..67));
    assert!(now(member.next()).is_none());
    assert_eq!(sent(&stream), numbers((3..100).chain(1..3)));
}

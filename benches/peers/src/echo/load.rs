//! The load: many connections on one thread, which never sleeps. A server that sleeps and one that does not would be told apart
//! by how fast this thread wakes otherwise. It reads whether or not it can write, so no server can wait for it.

use std::error::Error;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};

use super::peer::{PATIENCE, Peer};
use super::traffic::Traffic;
use crate::tcp::Process;

/// How many messages are under way.
#[derive(Clone, Copy, Debug)]
pub enum Flow {
    /// So many on each connection: one that comes back is followed by another.
    Each(usize),
    /// So many in all: one that comes back is followed by another on the next connection.
    All(usize),
}

/// For how long.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub warm: Duration,
    pub measured: Duration,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Messages in a second.
    pub rate: f64,
    /// How long messages took there and back, in nanoseconds.
    pub p50: f64,
    pub p99: f64,
    /// How long the server worked for a message, in nanoseconds.
    pub cpu: f64,
}

/// Connections and what goes over them.
pub struct Load<'t> {
    peers: Vec<Peer>,
    traffic: &'t Traffic,
    flow: Flow,
    selector: Poll,
    /// Whose turn it is, if messages are counted in all.
    next: usize,
}

impl<'t> Load<'t> {
    /// # Errors
    ///
    /// Where the connections cannot be watched.
    pub fn new(streams: Vec<TcpStream>, traffic: &'t Traffic, flow: Flow) -> Result<Self, Box<dyn Error>> {
        let selector = Poll::new()?;
        let mut peers = Vec::with_capacity(streams.len());
        for stream in streams {
            let mut peer = Peer::new(stream)?;
            let both = Interest::READABLE | Interest::WRITABLE;
            selector.registry().register(&mut peer.stream, Token(peers.len()), both)?;
            peers.push(peer);
        }
        Ok(Self { peers, traffic, flow, selector, next: 0 })
    }

    /// Lets messages go round.
    ///
    /// # Errors
    ///
    /// Where a connection is lost, something else comes back than should, or nothing.
    pub fn run(mut self, process: &Process, span: Span) -> Result<Figures, Box<dyn Error>> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; BUFFER];
        let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)?;
        let (begun, mut last) = (Instant::now(), Instant::now());
        let (mut from, mut count) = (None, 0);
        match self.flow {
            Flow::Each(count) => {
                self.peers.iter_mut().try_for_each(|peer| peer.send(count, self.traffic, begun))?;
            }
            Flow::All(count) => self.send(count, begun)?,
        }
        loop {
            self.selector.poll(&mut events, Some(Duration::ZERO))?;
            let now = Instant::now();
            match from {
                None if now - begun >= span.warm => from = Some((now, process.worked()?)),
                Some((start, worked)) if now - start >= span.measured => {
                    let (worked, passed) = (process.worked()? - worked, now - start);
                    let count: usize = count;
                    return Ok(Figures {
                        rate: count as f64 / passed.as_secs_f64(),
                        p50: times.value_at_quantile(0.5) as f64,
                        p99: times.value_at_quantile(0.99) as f64,
                        cpu: worked.as_nanos() as f64 / count as f64,
                    });
                }
                None | Some(_) => {}
            }
            if now - last > PATIENCE {
                return Err("nothing comes back".into());
            }
            for event in &events {
                let peer = &mut self.peers[event.token().0];
                if event.is_readable() {
                    let whole = peer.read(&mut buffer, self.traffic)?;
                    if whole > 0 {
                        last = Instant::now();
                        let is_measured = from.is_some();
                        peer.settle(whole, |sent, count| {
                            if is_measured {
                                times.saturating_record_n((last - sent).as_nanos() as u64, count as u64);
                            }
                        });
                        count += if is_measured { whole } else { 0 };
                        match self.flow {
                            Flow::Each(_) => peer.send(whole, self.traffic, last)?,
                            Flow::All(_) => self.send(whole, last)?,
                        }
                        continue;
                    }
                }
                peer.write(self.traffic)?;
            }
        }
    }

    /// Sends so many messages, one on each connection whose turn it is.
    fn send(&mut self, count: usize, now: Instant) -> std::io::Result<()> {
        let turns = count.min(self.peers.len());
        for turn in 0..turns {
            let some = count / turns + usize::from(turn < count % turns);
            self.peers[self.next].send(some, self.traffic, now)?;
            self.next = (self.next + 1) % self.peers.len();
        }
        Ok(())
    }
}

/// The most that is read at once, in bytes.
const BUFFER: usize = 256 * 1024;

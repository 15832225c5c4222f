//! Happy Eyeballs on threads: the [policy](super::super::happy_eyeballs) is the same, and what it waits for comes through a channel.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::io;
use std::panic::catch_unwind;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant as StdInstant;

use crate::client::error::Error;
use crate::client::happy_eyeballs::{Failure, Race, Step};
use crate::client::options::Family;
use crate::client::race::{Failed, Target};
use crate::client::resolve::Resolve;
use crate::time::Instant;

/// What a thread has to say at its end.
enum Outcome<T> {
    Addresses(Family, io::Result<Vec<SocketAddr>>),
    Attempt(SocketAddr, io::Result<T>),
}

/// Connects to the address of the target that answers first.
pub(super) fn race<T: Send + 'static>(
    resolver: &Arc<dyn Resolve>,
    connect: impl Fn(SocketAddr) -> io::Result<T> + Send + Sync + 'static,
    target: Target<'_>,
) -> Result<T, Error> {
    let origin = StdInstant::now();
    let now = || Instant::from(origin.elapsed());
    let mut race = Race::new(target.options, target.lookup, target.connect, target.left, now());
    let mut failed = Failed::default();
    let connect = Arc::new(connect);
    let (sender, receiver) = channel();
    for family in [target.options.prefer, target.options.prefer.other()] {
        match target.known(family) {
            Some(addresses) => race.handle_addresses(family, addresses, now()),
            None => {
                let (resolver, host) = (resolver.clone(), String::from(target.host));
                begin(&sender, move |outcome| match outcome {
                    None => Outcome::Addresses(family, resolver.resolve_blocking(&host, family)),
                    Some(error) => Outcome::Addresses(family, Err(error)),
                });
            }
        }
    }
    loop {
        let outcome = match race.poll(now()) {
            Step::Connect(address) => {
                let connect = connect.clone();
                begin(&sender, move |outcome| match outcome {
                    None => Outcome::Attempt(address, connect(address)),
                    Some(error) => Outcome::Attempt(address, Err(error)),
                });
                continue;
            }
            Step::Fail(failure) => return Err(target.error(failure, &mut failed)),
            Step::Wait(None) => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Step::Wait(Some(until)) => receiver.recv_timeout((until - now()).max(SHORTEST)),
        };
        match outcome {
            Ok(Outcome::Addresses(family, answer)) => {
                race.handle_addresses(family, failed.addresses(answer, family, target.port), now());
            }
            Ok(Outcome::Attempt(_, Ok(stream))) => return Ok(stream),
            Ok(Outcome::Attempt(address, Err(error))) => {
                failed.attempt(address, error);
                race.handle_failure(now());
            }
            Err(RecvTimeoutError::Timeout) => {}
            // We hold a sender ourselves.
            Err(RecvTimeoutError::Disconnected) => return Err(target.error(Failure::NoAddress, &mut failed)),
        }
    }
}

/// Lets a thread do something, and send what comes of it. Where there can be no thread, or what it does panics, that is what comes of
/// it: nobody would be heard of otherwise, and might be waited for without an end.
fn begin<T: Send + 'static>(
    sender: &Sender<Outcome<T>>,
    work: impl FnOnce(Option<io::Error>) -> Outcome<T> + Clone + Send + 'static,
) {
    let (sending, working) = (sender.clone(), work.clone());
    let spawned = thread::Builder::new().spawn(move || {
        let spare = working.clone();
        let worked = catch_unwind(AssertUnwindSafe(|| working(None)));
        // Whoever has won, or given up, does not hear it.
        drop(sending.send(worked.unwrap_or_else(|_| spare(Some(io::Error::other(PANICKED))))));
    });
    if let Err(error) = spawned {
        let _ = sender.send(work(Some(error)));
    }
}

/// What is no time at all would make a loop of a wait that ends a little early.
const SHORTEST: Duration = Duration::from_millis(1);

const PANICKED: &str = "what was to do it has panicked";

//! Happy Eyeballs on tokio: asks the resolver, makes the attempts, and lets the [policy](super::happy_eyeballs) say when.
//!
//! There is no task: everything that is under way lies in the future that is awaited, so that dropping it drops all of it.

use alloc::string::String;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::net::{IpAddr, SocketAddr};
use core::pin::pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;

use ::tokio::time::{Instant as TokioInstant, sleep_until};

use super::error::{Error, FailedAttempt, Stage};
use super::happy_eyeballs::{Failure, Race, Step};
use super::options::{Family, HappyEyeballs};
use super::resolve::{BoxFuture, Resolve};
use crate::time::Instant;

/// What to connect to, and how.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    /// The host and port, as an error names them.
    pub(super) peer: &'a str,
    /// The only family to ask for; `None` for both.
    pub(super) family: Option<Family>,
    pub(super) options: HappyEyeballs,
    pub(super) lookup: Option<Duration>,
    pub(super) connect: Option<Duration>,
    /// The time for all of it.
    pub(super) left: Option<Duration>,
}

impl Target<'_> {
    /// Returns the addresses of a family if nobody need be asked for them: the host is an address, or the family is not wanted.
    pub(super) fn known(&self, family: Family) -> Option<Vec<SocketAddr>> {
        if self.family.is_some_and(|only| only != family) {
            return Some(Vec::new());
        }
        let address: IpAddr = self.host.parse().ok()?;
        let is_of_it = Family::of(address) == family;
        Some(is_of_it.then(|| SocketAddr::new(address, self.port)).into_iter().collect())
    }

    /// Makes an error of what the policy says, and of what it was not told.
    pub(super) fn error(&self, failure: Failure, failed: &mut Failed) -> Error {
        let host = String::from(self.host);
        let peer = String::from(self.peer);
        match failure {
            Failure::NoAddress => match failed.lookup.take() {
                Some(source) => Error::Lookup { host, source },
                None if self.family.is_some() => Error::Lookup { host, source: io::Error::other(WRONG_FAMILY) },
                None => Error::NameNotFound { host },
            },
            Failure::LookupTimedOut { after } => Error::TimedOut { stage: Stage::Lookup, peer: host, after },
            Failure::ConnectTimedOut { after } => Error::TimedOut { stage: Stage::Connect, peer, after },
            Failure::AllFailed => Error::Connect { peer, attempts: core::mem::take(&mut failed.attempts) },
        }
    }
}

/// What went wrong so far.
#[derive(Debug, Default)]
pub(super) struct Failed {
    lookup: Option<io::Error>,
    attempts: Vec<FailedAttempt>,
}

impl Failed {
    /// Takes the answer of a resolver: its addresses, with the port to connect to.
    pub(super) fn addresses(
        &mut self,
        answer: io::Result<Vec<SocketAddr>>,
        family: Family,
        port: u16,
    ) -> Vec<SocketAddr> {
        match answer {
            Ok(addresses) => addresses
                .into_iter()
                .filter(|address| Family::of(address.ip()) == family)
                .map(|mut address| {
                    address.set_port(port);
                    address
                })
                .collect(),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.lookup = Some(error);
                }
                Vec::new()
            }
        }
    }

    pub(super) fn attempt(&mut self, address: SocketAddr, error: io::Error) {
        self.attempts.push(FailedAttempt::new(address, error));
    }
}

/// Connects to the address of the target that answers first.
pub(super) async fn race<'a, T>(
    resolver: &'a dyn Resolve,
    connect: impl Fn(SocketAddr) -> BoxFuture<'a, io::Result<T>>,
    target: Target<'a>,
) -> Result<T, Error> {
    let origin = TokioInstant::now();
    let now = || Instant::from(origin.elapsed());
    let mut racing = Racing {
        race: Race::new(target.options, target.lookup, target.connect, target.left, now()),
        lookups: Vec::new(),
        attempts: Vec::new(),
        failed: Failed::default(),
    };
    for family in [target.options.prefer, target.options.prefer.other()] {
        match target.known(family) {
            Some(addresses) => racing.race.handle_addresses(family, addresses, now()),
            None => racing.lookups.push((family, resolver.resolve(target.host, family))),
        }
    }
    let mut timer = pin!(sleep_until(origin));
    poll_fn(|cx| {
        loop {
            if let Some(stream) = racing.poll_under_way(&target, now(), cx) {
                return Poll::Ready(Ok(stream));
            }
            match racing.race.poll(now()) {
                Step::Connect(address) => racing.attempts.push((address, connect(address))),
                Step::Fail(failure) => return Poll::Ready(Err(target.error(failure, &mut racing.failed))),
                Step::Wait(None) => return Poll::Pending,
                Step::Wait(Some(until)) => {
                    let Some(at) = origin.checked_add(until - Instant::default()) else { return Poll::Pending };
                    if timer.deadline() != at {
                        timer.as_mut().reset(at);
                    }
                    if timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    })
    .await
}

/// Everything that is under way.
struct Racing<'a, T> {
    race: Race,
    lookups: Vec<(Family, BoxFuture<'a, io::Result<Vec<SocketAddr>>>)>,
    attempts: Vec<(SocketAddr, BoxFuture<'a, io::Result<T>>)>,
    failed: Failed,
}

impl<T> Racing<'_, T> {
    /// Polls all of it, and tells the policy; gives the connection if there is one.
    fn poll_under_way(&mut self, target: &Target<'_>, now: Instant, cx: &mut Context<'_>) -> Option<T> {
        let Self { race, lookups, attempts, failed } = self;
        lookups.retain_mut(|(family, lookup)| match lookup.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(answer) => {
                race.handle_addresses(*family, failed.addresses(answer, *family, target.port), now);
                false
            }
        });
        let mut connected = None;
        attempts.retain_mut(|(address, attempt)| {
            if connected.is_some() {
                return true;
            }
            match attempt.as_mut().poll(cx) {
                Poll::Pending => return true,
                Poll::Ready(Ok(stream)) => connected = Some(stream),
                Poll::Ready(Err(error)) => {
                    failed.attempt(*address, error);
                    race.handle_failure(now);
                }
            }
            false
        });
        connected
    }
}

const WRONG_FAMILY: &str = "it has no address of the family that TcpOptions::bind is of";

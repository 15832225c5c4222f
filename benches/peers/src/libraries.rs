//! The libraries, each in a file, and what each of them can be measured at.

pub mod adapters;
pub mod bare;
pub mod compressing;
pub mod crowds;
pub mod engine;
pub mod fastwebsockets;
pub mod over_hyper;
pub mod sockudo;
pub mod soketto;
pub mod tokio_tungstenite;
pub mod tokio_websockets;
pub mod tungstenite;
pub mod web_socket;
pub mod ws_net;
pub mod wtx;
pub mod yawc;

use std::error::Error;

use serde::{Deserialize, Serialize};

use crate::broadcast::{self, Broadcast, Payload, Publication};
use crate::curves::{self, Gather, Rota};
use crate::handshake::{self, Handshake, Opening};
use crate::memory::{self, Idle, Weight};
use crate::process::{self, Absent, Work};
use crate::receive::{self, Gives, Incoming, Receive};
use crate::send::{self, Outgoing};

/// What a worker is to do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Job {
    Receive(Incoming),
    Send(Outgoing),
    Handshake(Opening),
    Broadcast(Publication),
    Gather(Rota),
}

/// What prepares a job of a library.
pub type Prepare<J> = fn(&J) -> Result<Work, Absent>;

/// A library, set up in one way.
#[derive(Clone, Copy, Debug)]
pub struct Library {
    pub name: &'static str,
    pub standing: Standing,
    pub gives: Gives,
    pub receive: Option<Prepare<Incoming>>,
    pub send: Option<Prepare<Outgoing>>,
    pub handshake: Option<Prepare<Opening>>,
    pub memory: Option<fn() -> Result<Weight, Absent>>,
    pub broadcast: Option<Prepare<Publication>>,
    pub broadcast_deflated: Option<Prepare<Publication>>,
    pub gather: Option<Prepare<Rota>>,
}

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Ours,
    Theirs,
    /// Nobody's: a part of the work, which is the limit for all.
    Part,
}

impl Library {
    const fn new(name: &'static str, standing: Standing) -> Self {
        Self {
            name,
            standing,
            gives: Gives::Nothing,
            receive: None,
            send: None,
            handshake: None,
            memory: None,
            broadcast: None,
            broadcast_deflated: None,
            gather: None,
        }
    }

    const fn receives<R: Receive>(mut self) -> Self {
        self.receive = Some(receive::prepare::<R>);
        self.gives = R::GIVES;
        self
    }

    const fn sends<S: send::Send>(mut self) -> Self {
        self.send = Some(send::prepare::<S>);
        self
    }

    const fn opens<H: Handshake>(mut self) -> Self {
        self.handshake = Some(handshake::prepare::<H>);
        self
    }

    const fn broadcasts<B: Broadcast>(mut self) -> Self {
        self.broadcast = Some(broadcast::prepare::<B>);
        self
    }

    const fn broadcasts_deflated<B: Broadcast>(mut self) -> Self {
        self.broadcast_deflated = Some(broadcast::prepare::<B>);
        self
    }

    const fn gathers<G: Gather>(mut self) -> Self {
        self.gather = Some(curves::prepare::<G>);
        self
    }

    /// What prepares a broadcast of it.
    fn of_broadcast(&self, job: &Publication) -> Option<Prepare<Publication>> {
        match job.payload {
            Payload::Plain(_) => self.broadcast,
            Payload::Deflated => self.broadcast_deflated,
        }
    }

    /// Whether there is such a job for it.
    pub fn has(&self, job: &Job) -> bool {
        match job {
            Job::Receive(_) => self.receive.is_some(),
            Job::Send(_) => self.send.is_some(),
            Job::Handshake(_) => self.handshake.is_some(),
            Job::Broadcast(job) => self.of_broadcast(job).is_some(),
            Job::Gather(_) => self.gather.is_some(),
        }
    }

    const fn idles<I: Idle>(mut self) -> Self {
        self.memory = Some(memory::weigh::<I>);
        self
    }
}

/// All of them; ours first, which the others are held against.
pub static LIBRARIES: &[Library] = &[
    engine::LENT,
    engine::OWNED,
    engine::SHARED,
    adapters::BLOCKING,
    adapters::TOKIO,
    adapters::TOKIO_OWNED,
    adapters::TOKIO_SPLIT,
    bare::MEMCPY,
    bare::UNMASK,
    tungstenite::LIBRARY,
    tokio_tungstenite::LIBRARY,
    tokio_websockets::LIBRARY,
    fastwebsockets::LIBRARY,
    sockudo::STREAM,
    sockudo::PROTOCOL,
    sockudo::PUBSUB,
    yawc::SOCKET,
    yawc::CODEC,
    wtx::LIBRARY,
    soketto::LIBRARY,
    web_socket::LIBRARY,
    ws_net::LIBRARY,
];

/// The library of that name.
pub fn of_name(name: &str) -> Option<&'static Library> {
    LIBRARIES.iter().find(|library| library.name == name)
}

/// Whose the library of that name is.
pub fn standing(name: &str) -> Standing {
    of_name(name).map_or(Standing::Theirs, |library| library.standing)
}

/// How the library of that name hands out messages.
pub fn gives(name: &str) -> &'static str {
    of_name(name).map_or("", |library| library.gives.name())
}

/// Prepares a job (JSON) of the library of that name.
///
/// # Errors
///
/// Where there is none, or the job is broken.
pub fn prepare(name: &str, job: &str) -> Result<Result<Work, Absent>, Box<dyn Error>> {
    let library = of_name(name).ok_or_else(|| format!("there is no {name}"))?;
    let absent = || Err(Absent::refused("it has none"));
    Ok(match serde_json::from_str(job)? {
        Job::Receive(job) => library.receive.map_or_else(absent, |prepare| prepare(&job)),
        Job::Send(job) => library.send.map_or_else(absent, |prepare| prepare(&job)),
        Job::Handshake(job) => library.handshake.map_or_else(absent, |prepare| prepare(&job)),
        Job::Broadcast(job) => library.of_broadcast(&job).map_or_else(absent, |prepare| prepare(&job)),
        Job::Gather(job) => library.gather.map_or_else(absent, |prepare| prepare(&job)),
    })
}

/// Is the worker for one of them.
///
/// # Errors
///
/// As [`prepare`], and [`process::serve`].
pub fn serve(name: &str, job: &str) -> Result<(), Box<dyn Error>> {
    process::serve(prepare(name, job)?)
}

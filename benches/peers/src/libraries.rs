//! The libraries, each in a file, and what each of them can be measured at.

pub mod adapters;
pub mod bare;
pub mod compressing;
pub mod engine;
pub mod fastwebsockets;
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

use crate::process::{self, Absent, Work};
use crate::receive::{self, Gives, Incoming, Receive};
use crate::send::{self, Outgoing};

/// What a worker is to do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Job {
    Receive(Incoming),
    Send(Outgoing),
}

/// A library, set up in one way.
#[derive(Clone, Copy, Debug)]
pub struct Library {
    pub name: &'static str,
    pub standing: Standing,
    pub gives: Gives,
    pub receive: Option<fn(&Incoming) -> Result<Work, Absent>>,
    pub send: Option<fn(&Outgoing) -> Result<Work, Absent>>,
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
        Self { name, standing, gives: Gives::Nothing, receive: None, send: None }
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
}

/// All of them; ours first, which the others are held against.
pub static LIBRARIES: &[Library] = &[
    engine::LENT,
    engine::OWNED,
    adapters::BLOCKING,
    adapters::TOKIO,
    adapters::TOKIO_OWNED,
    bare::MEMCPY,
    bare::UNMASK,
    tungstenite::LIBRARY,
    tokio_tungstenite::LIBRARY,
    tokio_websockets::LIBRARY,
    fastwebsockets::LIBRARY,
    sockudo::STREAM,
    sockudo::PROTOCOL,
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

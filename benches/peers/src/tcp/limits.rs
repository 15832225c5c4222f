//! What the system lets a process have: cores, and file descriptors.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of the server and of the load, if there are two.
#[derive(Debug)]
pub struct Cores {
    server: CpuSet,
    load: CpuSet,
    all: CpuSet,
}

impl Cores {
    /// # Errors
    ///
    /// Where the system does not tell which there are.
    pub fn new() -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        let only = |core: usize| {
            let mut set = CpuSet::new();
            set.set(core);
            set
        };
        let mut each = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core));
        Ok(match (each.next(), each.next()) {
            (Some(server), Some(load)) => Self { server: only(server), load: only(load), all },
            _ => Self { server: all, load: all, all },
        })
    }

    /// Whether the server and the load have a core each.
    pub fn are_two(&self) -> bool {
        self.server != self.load
    }

    /// Puts this thread, and so whatever it starts, on the core of the server.
    ///
    /// # Errors
    ///
    /// Where the system does not let it.
    pub fn of_server(&self) -> io::Result<()> {
        Ok(sched_setaffinity(None, &self.server)?)
    }

    /// Puts this thread on the core of the load.
    ///
    /// # Errors
    ///
    /// Where the system does not let it.
    pub fn of_load(&self) -> io::Result<()> {
        Ok(sched_setaffinity(None, &self.load)?)
    }
}

/// Gives this thread all cores back.
impl Drop for Cores {
    fn drop(&mut self) {
        let _ = sched_setaffinity(None, &self.all);
    }
}

/// How many connections this process and its children have file descriptors for, after asking for more.
pub fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let needed = wanted as u64 + SPARE;
    let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let has = limit.current.unwrap_or(u64::MAX);
    let has = match has < needed && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }).is_ok() {
        true => raised,
        false => has,
    };
    usize::try_from(has.saturating_sub(SPARE)).unwrap_or(usize::MAX).min(wanted)
}

/// File descriptors that are not connections.
const SPARE: u64 = 100;

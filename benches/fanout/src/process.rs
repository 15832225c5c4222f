//! A server's process, seen from outside: the time that it has worked, and its memory.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Outcome;
use crate::library::Library;
use crate::plan::Plan;

/// A server, which is ended when this is dropped.
pub struct Process {
    child: Child,
    clock: ClockId,
    pub port: u16,
    control_port: u16,
    control: Option<TcpStream>,
}

impl Process {
    pub fn start(library: Library, plan: Plan, connections: usize, cores: &Cores) -> Outcome<Self> {
        let mut command = library.command(plan, connections)?;
        // It ends when the pipe does, if this program is ended.
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let here = sched_getaffinity(None)?;
        sched_setaffinity(None, &cores.server)?;
        let child = command.spawn();
        sched_setaffinity(None, &here)?;
        let child = child?;
        let clock = clock_getcpuclockid(Pid::from_raw(child.id().cast_signed()))?;
        let mut this = Self { child, clock, port: 0, control_port: 0, control: None };
        let line = this.first_line()?;
        let mut ports = line.split_whitespace().map(str::parse);
        (this.port, this.control_port) = (ports.next().ok_or("no port")??, ports.next().ok_or("no port")??);
        Ok(this)
    }

    /// Lets it publish so many messages in a turn.
    pub fn publish(&mut self, messages: u8) -> Outcome<()> {
        let control = match self.control.take() {
            Some(control) => control,
            None => {
                let control = TcpStream::connect((Ipv4Addr::LOCALHOST, self.control_port))?;
                control.set_nodelay(true)?;
                control
            }
        };
        Ok(self.control.insert(control).write_all(&[messages])?)
    }

    /// The time that all of its threads have worked, for itself and in the kernel.
    pub fn worked(&self) -> Outcome<Duration> {
        Ok(self.clock.now()?.into())
    }

    /// How much of its memory is there, in bytes.
    pub fn resident(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("it is gone")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    /// What it says first, if it does so in time.
    fn first_line(&mut self) -> Outcome<String> {
        let mut output = BufReader::new(self.child.stdout.take().ok_or("no pipe")?);
        let (said, hears) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = output.read_line(&mut line);
            let _ = said.send(line);
        });
        let line = hears.recv_timeout(PATIENCE)?;
        if line.is_empty() { Err("it does not start".into()) } else { Ok(line) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The cores of the server and of the clients, if there are several.
pub struct Cores {
    server: CpuSet,
}

impl Cores {
    /// Gives the first core to the servers, and the others to this process.
    pub fn divide() -> Outcome<Self> {
        let (mut server, mut clients) = (CpuSet::new(), sched_getaffinity(None)?);
        let first = (0..CpuSet::MAX_CPU).find(|&core| clients.is_set(core)).ok_or("no core")?;
        if clients.count() == 1 {
            return Ok(Self { server: clients });
        }
        server.set(first);
        clients.unset(first);
        sched_setaffinity(None, &clients)?;
        Ok(Self { server })
    }
}

/// For how many connections this process and its children have file descriptors, after asking for more.
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

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// File descriptors that are not connections.
const SPARE: u64 = 100;

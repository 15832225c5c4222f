//! A server's process, seen from outside: its port, the time that it has worked, and its memory.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;

use super::limits::Cores;
use super::{Server, Start};

/// It is ended when this is dropped, and ends by itself when this program does.
#[derive(Debug)]
pub struct Process {
    child: Child,
    address: SocketAddr,
    clock: ClockId,
}

impl Process {
    /// Starts a server on its core.
    ///
    /// # Errors
    ///
    /// Says why there is none.
    pub fn start(server: &Server, cores: &Cores) -> Result<Self, String> {
        Self::begin(server, cores).map_err(|error| error.to_string())
    }

    fn begin(server: &Server, cores: &Cores) -> Result<Self, Box<dyn Error>> {
        let mut command = match server.start {
            Start::Here(_) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["serve", server.name]);
                command
            }
            Start::Script(engine) => engine.command()?,
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        cores.of_server()?;
        let child = command.spawn();
        cores.of_load()?;
        let mut child = child?;
        let port = first_line(&mut child).and_then(|line| Ok(line.trim().parse::<u16>()?));
        let clock = clock_getcpuclockid(Pid::from_raw(child.id().cast_signed()));
        match (port, clock) {
            (Ok(port), Ok(clock)) => Ok(Self { child, address: (Ipv4Addr::LOCALHOST, port).into(), clock }),
            (port, clock) => {
                let _ = child.kill();
                let _ = child.wait();
                let clock = clock.map(drop).map_err(Into::into);
                Err(port.map(drop).and(clock).err().unwrap_or_else(|| "it does not start".into()))
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The time that all of its threads have worked, for itself and in the kernel.
    ///
    /// # Errors
    ///
    /// Where it is gone.
    pub fn worked(&self) -> Result<Duration, Box<dyn Error>> {
        Ok(self.clock.now()?.into())
    }

    /// How much of its memory is there, in bytes.
    ///
    /// # Errors
    ///
    /// Where it is gone.
    pub fn resident(&self) -> Result<u64, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("it is gone")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it says first, if it does so in time.
fn first_line(child: &mut Child) -> Result<String, Box<dyn Error>> {
    let output = child.stdout.take().ok_or("no pipe")?;
    let (said, hears) = mpsc::channel();
    // What it says later is nobody's concern, but there must be somebody to hear it.
    thread::spawn(move || {
        let (mut output, mut line) = (BufReader::new(output), String::new());
        let _ = output.read_line(&mut line);
        let _ = said.send(line);
        let _ = std::io::copy(&mut output.take(u64::MAX), &mut std::io::sink());
    });
    let line = hears.recv_timeout(PATIENCE).map_err(|_| "it does not start")?;
    if line.is_empty() { Err("it does not start".into()) } else { Ok(line) }
}

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

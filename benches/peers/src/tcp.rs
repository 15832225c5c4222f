//! Servers that echo on TCP, a library in a file. Each runs in a process of its own: [`Process`] starts it, [`serve`] is what it does.

pub mod event_loop;
pub mod fastwebsockets;
pub mod hyper;
pub mod javascript;
pub mod limits;
pub mod process;
pub mod raw;
pub mod sink;
pub mod sockeye;
pub mod sockudo;
pub mod soketto;
pub mod tokio_tungstenite;
pub mod tokio_websockets;
pub mod tungstenite;
pub mod web_socket;
pub mod ws_net;
pub mod wtx;
pub mod yawc;

pub use self::process::Process;

use std::error::Error;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use crate::libraries::Standing;

/// What a server does with its connections.
pub type Serve = fn(TcpListener) -> Result<(), Box<dyn Error>>;

/// A server.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    pub name: &'static str,
    pub standing: Standing,
    pub speaks: Protocol,
    pub runs: Runs,
    pub measured: Measured,
    pub start: Start,
}

/// What it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    WebSocket,
    /// Nothing: bytes come back as they were.
    Bytes,
}

/// What its connections run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// One thread for all.
    Together,
    /// A thread for each.
    Threads,
}

/// In what it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    TimeAndMemory,
    /// It is another setting of one that is measured in both.
    Memory,
}

/// How it is started.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    /// As this program.
    Here(Serve),
    /// As a script, by something that npm installs.
    Script(javascript::Engine),
}

impl Server {
    const fn new(name: &'static str, serve: Serve) -> Self {
        Self::started(name, Start::Here(serve))
    }

    const fn script(name: &'static str, engine: javascript::Engine) -> Self {
        Self::started(name, Start::Script(engine))
    }

    const fn started(name: &'static str, start: Start) -> Self {
        let (speaks, runs, measured) = (Protocol::WebSocket, Runs::Together, Measured::TimeAndMemory);
        Self { name, standing: Standing::Theirs, speaks, runs, measured, start }
    }

    const fn ours(mut self) -> Self {
        self.standing = Standing::Ours;
        self
    }

    const fn bytes(mut self) -> Self {
        self.standing = Standing::Part;
        self.speaks = Protocol::Bytes;
        self
    }

    const fn threads(mut self) -> Self {
        self.runs = Runs::Threads;
        self
    }

    const fn memory(mut self) -> Self {
        self.measured = Measured::Memory;
        self
    }
}

/// All of them; ours first, which the others are held against.
pub static SERVERS: &[Server] = &[
    Server::new("sockeye, tokio", sockeye::owned).ours(),
    Server::new("sockeye, tokio, lent", sockeye::lent).ours(),
    Server::new("sockeye, tokio, halves", sockeye::halves).ours(),
    Server::new("sockeye, engine", sockeye::engine).ours(),
    Server::new("sockeye, engine on mio", sockeye::on_mio).ours(),
    Server::new("sockeye, blocking", sockeye::blocking).ours().threads(),
    Server::new("raw, tokio", raw::tokio).bytes(),
    Server::new("raw, tokio, timers", raw::tokio_with_timers).bytes(),
    Server::new("raw, mio", raw::mio).bytes(),
    Server::new("tungstenite", tungstenite::serve).threads(),
    Server::new("tokio-tungstenite", tokio_tungstenite::serve),
    Server::new("tokio-websockets", tokio_websockets::serve),
    Server::new("fastwebsockets", fastwebsockets::serve),
    Server::new("sockudo-ws", sockudo::serve),
    Server::new("yawc", yawc::tuned),
    Server::new("yawc, defaults", yawc::defaults).memory(),
    Server::new("wtx", wtx::serve),
    Server::new("soketto", soketto::serve),
    Server::new("web-socket", web_socket::serve),
    Server::new("ws-net", ws_net::serve),
    Server::script("Bun", javascript::Engine::Bun),
    Server::script("Node, ws", javascript::Engine::Node),
];

/// The server of that name.
pub fn of_name(name: &str) -> Option<&'static Server> {
    SERVERS.iter().find(|server| server.name == name)
}

/// Is the server of that name: prints its port, and serves until its standard input ends, as it does when who started it is gone.
///
/// # Errors
///
/// Where there is none, or it cannot listen.
pub fn serve(name: &str) -> Result<(), Box<dyn Error>> {
    let Some(Server { start: Start::Here(serve), .. }) = of_name(name) else {
        return Err(format!("there is no server {name} in this program").into());
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut output = io::stdout().lock();
    writeln!(output, "{}", listener.local_addr()?.port())?;
    output.flush()?;
    drop(output);
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin().lock().take(u64::MAX), &mut io::sink());
        std::process::exit(0);
    });
    serve(listener)
}

/// Serves on tokio, on one thread. How a connection ends is nobody's concern here.
fn on_tokio<F>(listener: TcpListener, serve: fn(tokio::net::TcpStream) -> F) -> Result<(), Box<dyn Error>>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve(stream));
        }
    })
}

/// Serves each connection on a thread of its own; who gets none is turned away.
fn on_threads<R: Send + 'static>(listener: TcpListener, serve: fn(TcpStream) -> R) -> Result<(), Box<dyn Error>> {
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        let _ = thread::Builder::new().spawn(move || serve(stream));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::SocketAddr;

    use super::*;
    use crate::echo::peer;
    use crate::echo::traffic::Traffic;

    /// Starts a server in this process, where it stays.
    fn start(serve: Serve) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
        let address = listener.local_addr().expect("it has an address");
        thread::spawn(move || serve(listener).map_err(|error| error.to_string()));
        address
    }

    fn open(address: SocketAddr, protocol: Protocol) -> TcpStream {
        let mut streams = Vec::new();
        peer::open(address, 1, protocol, &mut streams).expect("it opens");
        streams.pop().expect("it is one")
    }

    /// Sends `count` messages in writes of `piece` bytes, reads at the same time, and compares.
    fn goes_round(server: &Server, address: SocketAddr, traffic: &Traffic, count: usize, piece: usize) {
        let mut stream = open(address, server.speaks);
        let mut writing = stream.try_clone().expect("it can be shared");
        let [bytes, rest] = traffic.sent.slices(0, count * traffic.sent.frame);
        assert!(rest.is_empty(), "the ring is long enough");
        thread::scope(|scope| {
            scope
                .spawn(move || bytes.chunks(piece).for_each(|piece| writing.write_all(piece).expect("it takes bytes")));
            let mut answer = vec![0; count * traffic.answered.frame];
            stream.read_exact(&mut answer).expect("as much comes back");
            assert!(traffic.answered.is(0, &answer), "{} sends something else back", server.name);
        });
    }

    #[test]
    fn every_server_echoes_every_byte_of_messages_that_come_together_and_in_pieces() {
        for server in SERVERS {
            let Start::Here(serve) = server.start else { continue };
            let address = start(serve);
            for (len, count, piece) in [(16, 1000, usize::MAX), (16, 20, 7), (1024, 200, 1500), (64 * 1024, 8, 100_000)]
            {
                let traffic = Traffic::new(len, server.speaks);
                goes_round(server, address, &traffic, 1, usize::MAX);
                goes_round(server, address, &traffic, count, piece);
            }
        }
    }

    #[test]
    fn a_server_that_answers_with_other_bytes_is_found_out() {
        let wrong: Serve = |listener| {
            on_threads(listener, |mut stream| {
                let mut byte = [0];
                while stream.read(&mut byte).is_ok_and(|read| read == 1) {
                    let _ = stream.write_all(&[byte[0] ^ 1]);
                }
            })
        };
        let traffic = Traffic::new(16, Protocol::Bytes);
        let stream = open(start(wrong), Protocol::Bytes);
        assert_eq!(peer::echo(&mut [stream], &traffic), Err("something else comes back".into()));
    }
}

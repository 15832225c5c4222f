//! The tour: one WebSocket connection from its opening to its close, with what went over the wire.
//!
//! ```sh
//! cargo run --release --example tour
//! ```
//!
//! A client and a server talk over TCP in this process, each in its own thread. What the tour shows was recorded at
//! their sockets, and what it claims it asserts.

mod compare;
mod http;
mod page;
mod tape;

use core::time::Duration;
use std::io::{self, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use sockeye::blocking::{Acceptor, Connector, WebSocket};
use sockeye::handshake::ClientRequest;
use sockeye::{Close, CloseCode, Counters, Fin, SendError, State};

use crate::page::Page;
use crate::tape::{Party, Tap, Tape};

type Error = Box<dyn core::error::Error + Send + Sync>;

/// The server's part. It runs in a thread of its own; where the two must be at the same point, they meet.
fn server(listener: &TcpListener, tape: &Tape, meeting: &Meeting) -> Result<(), Error> {
    let stream = Tap::new(listener.accept()?.0, Party::Server, tape)?;
    let mut socket =
        Acceptor::default().accept_with(stream, |request| Ok(request.subprotocol("tour.v1")?.respond()))?;
    meeting.meet(&socket)?;

    socket.send("welcome! you did not ask for this")?;
    socket.send("news: salmon swim upstream")?;
    socket.send("news: so do these bytes")?;
    meeting.meet(&socket)?;
    assert_eq!(socket.receive()?, Some("hello from the client".into()));
    assert_eq!(socket.receive()?, Some("I do not wait for answers".into()));

    socket.send_fragment("one message in two frames, ", Fin::More)?;
    socket.ping()?;
    socket.send_fragment("a ping in between", Fin::Last)?;
    assert_eq!(socket.receive()?, Some("it arrived whole".into()));
    meeting.meet(&socket)?;
    let told = socket.receive()?; // and meanwhile the client's ping was answered
    assert!(told.is_some_and(|message| message.as_text().is_some_and(|text| text.starts_with("round trip"))));
    meeting.meet(&socket)?;

    // The client has closed. We have not read that yet, and go on talking.
    meeting.meet(&socket)?;
    socket.send("one last thing")?;
    meeting.meet(&socket)?;
    assert_eq!(socket.receive()?, None);
    assert_eq!(socket.peer_close().map(Close::reason), Some("the tour is over"));
    meeting.meet(&socket)?;
    Ok(()) // and the socket is dropped: the server closes TCP first
}

/// The client's part, which also tells the story.
fn client(address: &str, tape: &Tape, meeting: &Meeting, page: &mut Page<impl Write>) -> Result<(), Error> {
    let stream = Tap::new(TcpStream::connect(address)?, Party::Client, tape)?;
    let request = ClientRequest::new(address, "/tour")?.subprotocol("tour.v1")?;
    let mut socket = Connector::default().handshake(stream, request)?;
    let server = meeting.meet(&socket)?;
    assert_eq!((socket.state(), server.state), (State::Open, State::Open));

    page.section("The opening handshake", "One HTTP request asks, one answer agrees. After it there is no HTTP.")?;
    page.handshake(&tape.head(Party::Client), &tape.head(Party::Server))?;

    socket.send("hello from the client")?;
    socket.send("I do not wait for answers")?;
    meeting.meet(&socket)?; // all this is on its way, in both directions, and nobody has read anything
    for expected in ["welcome! you did not ask for this", "news: salmon swim upstream", "news: so do these bytes"] {
        assert_eq!(socket.receive()?, Some(expected.into()));
    }
    assert_eq!(socket.receive()?, Some("one message in two frames, a ping in between".into()));
    socket.send("it arrived whole")?;
    meeting.meet(&socket)?;

    page.section("Open: both sides push, whenever they like", "Each arrow is a frame, as it went over the wire.")?;
    let pushed = tape.frames();
    page.timeline(&pushed)?;
    page.text(&[
        "Nobody asked for the first five, and all were sent before either side had read anything.",
        "The server's ping went out in the middle of a message, and was answered without the application.",
        "A client's header has 4 bytes more: the key that masks its payload, new for each frame.",
    ])?;

    let round_trip = measure_round_trip(&mut socket)?;
    socket.send(&format!("round trip: {}", page::time(round_trip)))?;
    let server = meeting.meet(&socket)?;

    page.section("A ping, measured", "The client times its ping, and tells the server what it found.")?;
    let frames = tape.frames();
    let measured = &frames[pushed.len()..];
    let [ping, pong, _] = measured else { return Err("a ping is a frame, and so is a pong".into()) };
    assert!(round_trip >= pong.at - ping.at, "from before the ping was written until after the pong was read");
    page.timeline(measured)?;

    page.section("The state that each side keeps", "What one has sent, the other has received.")?;
    let client = Side::of(&socket);
    assert_eq!((client.sent, server.sent), (server.received, client.received));
    for (party, side) in [(Party::Client, client), (Party::Server, server)] {
        let frames: u64 = frames.iter().filter(|frame| frame.from == party).map(|frame| frame.wire_len()).sum();
        assert_eq!(side.sent.wire_bytes, frames, "counted by the engine, and at the socket");
    }
    page.sides(&client, &server)?;

    compare::chapter(page)?;

    close(&mut socket, meeting, tape, page, frames.len())?;
    page.next()
}

/// The closing handshake. The connection was open all the time; now one side chooses to end it.
fn close(
    socket: &mut WebSocket<Tap<'_>>,
    meeting: &Meeting,
    tape: &Tape,
    page: &mut Page<impl Write>,
    frames_before: usize,
) -> Result<(), Error> {
    let open = socket.state();
    socket.close(Close::new(CloseCode::NORMAL, "the tour is over")?)?;
    let after_close = (socket.state(), meeting.meet(socket)?.state);
    let refused = socket.send("too late");
    assert!(matches!(refused, Err(sockeye::blocking::Error::Send(SendError::Closed))));

    let last_thing = meeting.meet(socket)?;
    assert_eq!(socket.receive()?, Some("one last thing".into()));
    let after_last_thing = (socket.state(), last_thing.state);

    let answered = meeting.meet(socket)?.state;
    let before_answer = socket.state();
    assert_eq!(socket.receive()?, None); // a clean close is no error
    assert_eq!(socket.close_code(), Some(CloseCode::NORMAL));

    let frames = tape.frames().split_off(frames_before);
    let states = [after_close, after_last_thing, (before_answer, answered)];
    assert_eq!(frames.len(), states.len());
    assert_eq!(after_close, (State::Closing, State::Open));
    assert_eq!(after_last_thing, (State::Closing, State::Open));
    assert_eq!((before_answer, answered, socket.state()), (State::Closing, State::Closed, State::Closed));

    page.section("The closing handshake", "It was open all the time. Now the client chooses to end it.")?;
    page.closing(open, &frames, &states, socket.state())?;
    page.text(&[
        "After its own Close a side may only listen: the client's next send was refused, and the",
        "server, which had not closed, could still say one last thing. Nothing was lost: code 1000.",
    ])?;
    Ok(())
}

/// Sends a ping and receives until its pong is there, in steps of a few milliseconds.
fn measure_round_trip(socket: &mut WebSocket<Tap<'_>>) -> Result<Duration, Error> {
    socket.ping()?;
    socket.get_ref().set_patience(Some(Duration::from_millis(5)))?;
    let round_trip = loop {
        if let Some(round_trip) = socket.round_trip() {
            break round_trip;
        }
        match socket.receive() {
            Err(error) if error.is_would_block() => {} // nothing to receive for now
            other => return Err(format!("expected nothing but a pong, got {other:?}").into()),
        }
    };
    socket.get_ref().set_patience(None)?;
    Ok(round_trip)
}

/// Where one side of the connection stands, and what it has seen.
#[derive(Clone, Copy)]
struct Side {
    state: State,
    sent: Counters,
    received: Counters,
}

impl Side {
    fn of(socket: &WebSocket<Tap<'_>>) -> Self {
        Self { state: socket.state(), sent: socket.sent(), received: socket.received() }
    }
}

/// A place where the two threads wait for each other and tell where their sides stand.
struct Meeting {
    ours: Sender<Side>,
    theirs: Receiver<Side>,
}

impl Meeting {
    fn pair() -> (Self, Self) {
        let ((ours, left), (right, theirs)) = (channel(), channel());
        (Self { ours, theirs }, Self { ours: right, theirs: left })
    }

    /// Waits for the other thread; gives its side. It is an error if that thread has ended.
    fn meet(&self, socket: &WebSocket<Tap<'_>>) -> Result<Side, Error> {
        self.ours.send(Side::of(socket))?;
        Ok(self.theirs.recv()?)
    }
}

fn run(page: &mut Page<impl Write>) -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let (here, there) = Meeting::pair();
    let tape = Tape::new();
    page.title(&address)?;
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let there = there; // dropped when the server ends, however it does
            server(&listener, &tape, &there)
        });
        let told = client(&address, &tape, &here, page);
        drop(here);
        let served = server.join().map_err(|_| "the server panicked")?;
        told.and(served)
    })
}

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 {
        eprintln!("tour: it takes no arguments");
        return ExitCode::FAILURE;
    }
    match run(&mut Page::new(anstream::stdout().lock())) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read us has seen enough.
        Err(error) if error.downcast_ref().map(io::Error::kind) == Some(ErrorKind::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tour: {error}");
            ExitCode::FAILURE
        }
    }
}

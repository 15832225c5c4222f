//! A chat with plain threads: what one says, all get. One that reads slowly, or is dead, holds nobody up.
//!
//! Each guest has a thread that receives, a thread that sends, and a short queue in front of the latter. To speak is to
//! put a message, encoded once, into every queue, which never waits: whoever's queue is full is shown out.
//!
//! ```sh
//! cargo run --example chat                         # on 127.0.0.1:9001, or [--addr] HOST:PORT
//! cargo run --example client ws://127.0.0.1:9001   # in two other terminals
//! ```

use core::time::Duration;
use std::collections::HashMap;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{env, io, thread};

use sockeye::blocking::{Acceptor, Error, Receiver};
use sockeye::{Config, PreparedMessage};

/// Messages that may wait for one guest.
const QUEUE: usize = 256;

/// The guests, each by number.
#[derive(Default)]
struct Hall(Mutex<HashMap<u64, Guest>>);

impl Hall {
    /// Says something to all.
    fn say(&self, text: String) {
        let message = PreparedMessage::new(text); // the frame is encoded here, once; clones share it
        self.guests().retain(|_, guest| match guest.queue.try_send(message.clone()) {
            Ok(()) => true,
            Err(TrySendError::Disconnected(_)) => false, // is leaving
            Err(TrySendError::Full(_)) => {
                let _ = guest.stream.shutdown(Shutdown::Both); // wakes both threads, whatever they are stuck in
                false
            }
        });
    }

    fn enter(&self, number: u64, guest: Guest) {
        self.guests().insert(number, guest);
        self.say(format!("guest {number} is here"));
    }

    fn leave(&self, number: u64) {
        self.guests().remove(&number);
        self.say(format!("guest {number} has left"));
    }

    fn guests(&self) -> MutexGuard<'_, HashMap<u64, Guest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Guest {
    queue: SyncSender<PreparedMessage>,
    stream: TcpStream,
}

/// Lets one guest take part, from the opening handshake to the end.
fn welcome(number: u64, stream: TcpStream, acceptor: &Acceptor, hall: &Hall) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?; // for a guest who closes and reads nothing any more
    let handle = stream.try_clone()?;
    let (mut receiver, sender) = acceptor.accept(stream)?.split()?;

    let (queue, messages) = sync_channel(QUEUE);
    thread::spawn(move || messages.iter().try_for_each(|message| sender.send_prepared(&message)));
    hall.enter(number, Guest { queue, stream: handle });
    let end = listen(number, &mut receiver, hall);
    hall.leave(number);
    end
}

fn listen(number: u64, receiver: &mut Receiver<TcpStream>, hall: &Hall) -> Result<(), Error> {
    while let Some(message) = receiver.receive()? {
        if let Some(text) = message.as_text() {
            hall.say(format!("guest {number}: {text}"));
        }
    }
    Ok(())
}

fn serve(address: &str) -> io::Result<()> {
    let mut config = Config::default();
    config.max_message_size = 4 * 1024;
    config.ping_interval = Some(Duration::from_secs(20)); // a guest who is gone without a word is noticed
    let mut acceptor = Acceptor::default();
    acceptor.config = config.into();

    let (hall, listener) = (Hall::default(), TcpListener::bind(address)?);
    println!("listening on ws://{}", listener.local_addr()?);
    thread::scope(|scope| {
        for (number, stream) in (1..).zip(listener.incoming()) {
            let (acceptor, hall) = (&acceptor, &hall);
            scope.spawn(move || {
                let end = stream.map_err(Into::into).and_then(|stream| welcome(number, stream, acceptor, hall));
                if let Err(error) = end {
                    eprintln!("chat: guest {number}: {error}");
                }
            });
        }
    });
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let address = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => "127.0.0.1:9001",
        ["--addr", address] => address,
        [address] if !address.starts_with('-') => address,
        _ => return fail("usage: chat [--addr] [HOST:PORT]"),
    };
    match serve(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot serve {address}: {error}")),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("chat: {why}");
    ExitCode::FAILURE
}

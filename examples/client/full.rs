//! The client on the library's own client: one task that receives, types and pings at once, connection after connection.

use core::convert::Infallible;
use core::error::Error;
use core::future::pending;
use core::time::Duration;
use std::path::{Path, PathBuf};

use sockeye::client::proxy::ProxyRules;
use sockeye::client::{BackoffConfig, Client, Reconnecting, Stream, WebSocket, WsUrl};
use sockeye::tokio::Sender;
use sockeye::{Close, MessageKind};
use tokio::fs::File;
use tokio::io::copy;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{MissedTickBehavior, interval};

use crate::options::Options;
use crate::screen::Screen;
use crate::typing::Lines;

/// Connects, and talks until the connection is closed.
pub(crate) fn run(options: Options, screen: &Screen, typed: Lines) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(connect_and_talk(options, screen, typed));
    runtime.shutdown_background(); // a name lookup may still be under way
    result
}

async fn connect_and_talk(options: Options, screen: &Screen, typed: Lines) -> Result<(), Box<dyn Error>> {
    let url: WsUrl = options.url.parse()?;
    let place = format!("{}://{}", url.scheme(), url.authority());
    let mut connections = Connections::new(client(&options)?, url, options.reconnect, screen)?;

    if let Some(text) = &options.send {
        let socket = connections.next().await.map_err(|error| told(&place, &error))?;
        let Some(socket) = socket else { return Ok(()) };
        return ask(socket, text, options.binary.as_deref(), screen).await.map_err(|error| told(&place, &*error));
    }

    if let Some(path) = &options.binary {
        open(path).await?; // rather than in each connection anew
    }
    let (typing, lines) = channel(1);
    typed.spawn(screen, move |line| typing.blocking_send(line).is_ok());
    let mut talk = Talk { lines, unsent: None, file: options.binary, ping: options.ping, screen };
    while let Some(socket) = connections.next().await.map_err(|error| told(&place, &error))? {
        if screen.is_terminal() {
            screen.note(&format!("connected to {place}"));
        }
        let (code, ended) = talk.over(socket).await;
        match ended {
            Err(error) if !connections.go_on() => return Err(told(&place, &*error)),
            Err(error) => screen.note(&error.to_string()),
            Ok(()) => {}
        }
        connections.closed(code);
    }
    Ok(())
}

/// The client that the command line describes.
fn client(options: &Options) -> Result<Client, Box<dyn Error>> {
    let mut client = Client::new().redirects(5);
    for (name, value) in &options.headers {
        client = client.header(name, value)?;
    }
    for subprotocol in &options.subprotocols {
        client = client.subprotocol(subprotocol)?;
    }
    if let Some(origin) = &options.origin {
        client = client.origin(origin)?;
    }
    if let Some((user, password)) = &options.user {
        client = client.basic_auth(user, password)?;
    }
    match options.proxy.as_deref() {
        Some("env") => client = client.proxies(ProxyRules::from_env()?),
        Some(url) => client = client.proxy(url.parse()?),
        None => {}
    }
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    if let Some(connector) = crate::tls::connector(options)? {
        client = client.tls(connector);
    }
    Ok(client)
}

/// One connection, or one after the other.
enum Connections {
    One(Option<Box<(Client, WsUrl)>>),
    Many(Box<Reconnecting>),
}

impl Connections {
    fn new(
        client: Client,
        url: WsUrl,
        reconnect: Option<Duration>,
        screen: &Screen,
    ) -> Result<Self, sockeye::client::Error> {
        let Some(first) = reconnect else { return Ok(Self::One(Some(Box::new((client, url))))) };
        let mut config = BackoffConfig::default();
        config.first = first;
        let screen = screen.clone();
        let reconnecting = client.reconnecting(url, config)?.on_retry(move |retry| {
            let why = retry.error.map(|error| format!("{error}; ")).unwrap_or_default();
            screen.note(&format!("{why}connecting again in {:.1} s", retry.delay.as_secs_f64()));
        });
        Ok(Self::Many(Box::new(reconnecting)))
    }

    async fn next(&mut self) -> Result<Option<WebSocket>, sockeye::client::Error> {
        match self {
            Self::One(connection) => match connection.take() {
                Some(one) => one.0.connect(one.1).await.map(Some),
                None => Ok(None),
            },
            Self::Many(reconnecting) => reconnecting.next().await,
        }
    }

    fn closed(&mut self, code: Option<sockeye::CloseCode>) {
        if let Self::Many(reconnecting) = self {
            reconnecting.closed(code);
        }
    }

    /// Returns whether there is another one when one is lost.
    fn go_on(&self) -> bool {
        matches!(self, Self::Many(_))
    }
}

/// What goes on over all connections.
struct Talk<'a> {
    lines: Receiver<String>,
    /// A line that was taken and not sent.
    unsent: Option<String>,
    file: Option<PathBuf>,
    ping: Option<Duration>,
    screen: &'a Screen,
}

impl Talk<'_> {
    /// Prints what comes, sends what is typed, and pings, until the connection has ended; returns how.
    async fn over(&mut self, socket: WebSocket) -> (Option<sockeye::CloseCode>, Result<(), Box<dyn Error>>) {
        let (screen, ping) = (self.screen, self.ping);
        let (mut receiver, sender) = socket.split();
        let receiving = async {
            while let Some(message) = receiver.receive().await? {
                screen.message(&message)?;
            }
            Ok(())
        };
        let ended = tokio::select! {
            ended = receiving => ended,
            never = self.send(&sender) => match never {
                Ok(never) => match never {},
                Err(error) => Err(error),
            },
            never = pings(&sender, ping, screen) => match never {},
        };
        if let Some(close) = sender.peer_close() {
            screen.note(format!("closed: {} {}", close.code(), close.reason()).trim_end());
        }
        (sender.close_code(), ended)
    }

    /// Sends the file, then each line, and closes at the end of the input. What cannot be sent is kept for the next
    /// connection; what happened to this one, the receiving side tells.
    async fn send(&mut self, sender: &Sender<Stream>) -> Result<Infallible, Box<dyn Error>> {
        if let Some(path) = &self.file {
            let mut file = open(path).await?;
            if send_file(&mut file, sender).await.is_ok() {
                self.file = None;
            }
        }
        loop {
            if self.unsent.is_none() {
                self.unsent = self.lines.recv().await;
            }
            let sent = match &self.unsent {
                Some(line) => sender.send(line.as_str()).await,
                None => sender.close(Close::normal()).await,
            };
            match (sent, self.unsent.is_some()) {
                (Ok(()), true) => self.unsent = None,
                (Ok(()), false) | (Err(_), _) => return pending().await,
            }
        }
    }
}

/// Pings, and tells how long the answers took.
async fn pings(sender: &Sender<Stream>, every: Option<Duration>, screen: &Screen) -> Infallible {
    if let Some(every) = every {
        let mut interval = interval(every.max(Duration::from_millis(1)));
        // A ping whose answer took long is not made up for.
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            match sender.ping().await {
                Ok(round_trip) => screen.note(&format!("pong after {:.3} ms", round_trip.as_secs_f64() * 1e3)),
                Err(_) => break,
            }
        }
    }
    pending().await
}

async fn open(path: &Path) -> Result<File, Box<dyn Error>> {
    File::open(path).await.map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Sends a file of any size as one message.
async fn send_file(file: &mut File, sender: &Sender<Stream>) -> Result<(), Box<dyn Error>> {
    let mut writer = sender.writer(MessageKind::Binary).await?;
    copy(file, &mut writer).await?;
    Ok(writer.finish().await?)
}

/// Sends one message, prints the first answer, and closes.
async fn ask(socket: WebSocket, text: &str, file: Option<&Path>, screen: &Screen) -> Result<(), Box<dyn Error>> {
    let (mut receiver, sender) = socket.split();
    if let Some(path) = file {
        let mut file = open(path).await?;
        send_file(&mut file, &sender).await?;
    }
    sender.send(text).await?;
    let Some(answer) = receiver.receive().await? else {
        let close = sender.peer_close().map(|close| format!(" ({} {})", close.code(), close.reason()));
        return Err(format!("the server closed without an answer{}", close.unwrap_or_default()).into());
    };
    screen.message(&answer)?;
    sender.close(Close::normal()).await?;
    while receiver.receive().await?.is_some() {} // what was on its way, until the server has closed, too
    Ok(())
}

/// The error with the place in front, unless it tells that itself.
fn told(place: &str, error: &dyn Error) -> Box<dyn Error> {
    let error = error.to_string();
    if error.contains(place) { error.into() } else { format!("{place}: {error}").into() }
}

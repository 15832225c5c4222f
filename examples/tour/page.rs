//! How the tour looks: 96 columns, colours where the terminal has them.

use core::time::Duration;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use sockeye::State;

use crate::compare::Bill;
use crate::tape::{Frame, Party};
use crate::{Error, Side};

const CLIENT: Style = AnsiColor::Cyan.on_default();
const SERVER: Style = AnsiColor::Magenta.on_default();
const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

const WIDTH: usize = 96;
/// Between the lines of the client and the server.
const WIRE: usize = 60;

pub(crate) struct Page<W> {
    out: W,
    sections: usize,
}

impl<W: Write> Page<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, sections: 0 }
    }

    pub(crate) fn title(&mut self, address: &str) -> io::Result<()> {
        let line = "─".repeat(WIDTH - 2);
        let title = "sockeye: a WebSocket connection from its opening to its close";
        let subtitle = format!("a server on {address} and a client, two threads of this process, talking over TCP");
        writeln!(self.out, "{FAINT}╭{line}╮{FAINT:#}")?;
        writeln!(self.out, "{FAINT}│{FAINT:#}  {BOLD}{title:<92}{BOLD:#}{FAINT}│{FAINT:#}")?;
        writeln!(self.out, "{FAINT}│{FAINT:#}  {subtitle:<92}{FAINT}│{FAINT:#}")?;
        writeln!(self.out, "{FAINT}╰{line}╯{FAINT:#}")
    }

    pub(crate) fn section(&mut self, heading: &str, gist: &str) -> io::Result<()> {
        self.sections += 1;
        let heading = format!("{} {heading} ", self.sections);
        let line = "─".repeat(WIDTH - heading.chars().count());
        writeln!(self.out, "\n{BOLD}{heading}{BOLD:#}{FAINT}{line}{FAINT:#}\n  {gist}\n")
    }

    pub(crate) fn text(&mut self, lines: &[&str]) -> io::Result<()> {
        writeln!(self.out)?;
        lines.iter().try_for_each(|line| writeln!(self.out, "  {line}"))
    }

    /// The two heads, side by side.
    pub(crate) fn handshake(&mut self, request: &str, response: &str) -> io::Result<()> {
        let (asks, agrees) =
            (format!("client asks, {} bytes", request.len()), format!("server agrees, {} bytes", response.len()));
        writeln!(self.out, "  {CLIENT}{asks:<45}{CLIENT:#} {FAINT}│{FAINT:#} {SERVER}{agrees}{SERVER:#}")?;
        let (mut left, mut right) = (request.lines(), response.lines());
        loop {
            let (request, response) = match (left.next(), right.next()) {
                (None, None) => return Ok(()),
                (request, response) => (request.unwrap_or_default(), response.unwrap_or_default()),
            };
            let line = format!("  {request:<45} {FAINT}│{FAINT:#} {response}");
            writeln!(self.out, "{}", line.trim_end())?;
        }
    }

    /// Frames as arrows between the two sides, with the time of each and its bytes.
    pub(crate) fn timeline(&mut self, frames: &[Frame]) -> io::Result<()> {
        let start = frames.first().map_or(Duration::ZERO, |frame| frame.at);
        let gap = " ".repeat(WIRE - 8);
        write!(self.out, "  {FAINT}{:>10}{FAINT:#}  {CLIENT}client{CLIENT:#}{gap}", "time")?;
        writeln!(self.out, "{SERVER}server{SERVER:#}  {FAINT}payload+header{FAINT:#}")?;
        for frame in frames {
            let bytes = format!("{:>7}+{}", frame.payload.len(), frame.header_len);
            self.arrow(&format!("{:>10}", time(frame.at - start)), frame, &bytes)?;
        }
        Ok(())
    }

    /// One frame as an arrow, with something to its left and to its right.
    fn arrow(&mut self, left: &str, frame: &Frame, right: &str) -> io::Result<()> {
        let label = frame.label();
        let shaft = "─".repeat((WIRE - 7).saturating_sub(label.chars().count()));
        let (style, arrow) = match frame.from {
            Party::Client => (CLIENT, format!("── {label} {shaft}▶ ")),
            Party::Server => (SERVER, format!(" ◀{shaft} {label} ──")),
        };
        write!(self.out, "  {FAINT}{left}{FAINT:#}  {CLIENT}│{CLIENT:#}{style}{arrow}{style:#}")?;
        writeln!(self.out, "{SERVER}│{SERVER:#}  {FAINT}{right}{FAINT:#}")
    }

    pub(crate) fn sides(&mut self, client: &Side, server: &Side) -> io::Result<()> {
        writeln!(
            self.out,
            "  {FAINT}{:<18}{:>12}{:>12}{:>14}{:>18}{FAINT:#}",
            "", "messages", "frames", "payload", "on the wire"
        )?;
        for (style, party, side) in [(CLIENT, "client", client), (SERVER, "server", server)] {
            writeln!(self.out, "  {style}{party}{style:#} is {BOLD}{:?}{BOLD:#}", side.state)?;
            for (direction, counters) in [("sent", side.sent), ("received", side.received)] {
                writeln!(
                    self.out,
                    "    {direction:<16}{:>12}{:>12}{:>12} B{:>16} B",
                    counters.messages, counters.frames, counters.payload_bytes, counters.wire_bytes,
                )?;
            }
        }
        Ok(())
    }

    pub(crate) fn bills(&mut self, bills: &[Bill]) -> io::Result<()> {
        writeln!(
            self.out,
            "  {FAINT}{:<22}{:>12}{:>10}{:>12}{:>12}{:>12}{:>12}{FAINT:#}",
            "", "connections", "requests", "B up", "B down", "B in all", "time",
        )?;
        let most = bills.iter().map(Bill::bytes).max().unwrap_or(1);
        for bill in bills {
            writeln!(
                self.out,
                "  {BOLD}{:<22}{BOLD:#}{:>12}{:>10}{:>12}{:>12}{:>12}{:>12}",
                bill.name,
                bill.connections,
                bill.requests,
                grouped(bill.up),
                grouped(bill.down),
                grouped(bill.bytes()),
                time(bill.time),
            )?;
        }
        writeln!(self.out)?;
        for bill in bills {
            let bar = "█".repeat(usize::try_from((bill.bytes() * 54).div_ceil(most)).unwrap_or(0));
            let style = if bill.requests == 1 { CLIENT } else { FAINT };
            let times = match bill.bytes() / bills.first().map_or(1, Bill::bytes) {
                1 => String::new(),
                times => format!(" {times} times the bytes"),
            };
            writeln!(self.out, "  {:<22} {style}{bar}{style:#}{times}", bill.name)?;
        }
        Ok(())
    }

    /// The closing handshake: its frames, each with the states of client and server right after it was sent.
    pub(crate) fn closing(
        &mut self,
        open: State,
        frames: &[Frame],
        states: &[(State, State)],
        end: State,
    ) -> io::Result<()> {
        self.states(open)?;
        for (frame, (client, server)) in frames.iter().zip(states) {
            self.arrow(&format!("{:>10}", format!("{client:?}")), frame, &format!("{server:?}"))?;
        }
        self.states(end)
    }

    fn states(&mut self, state: State) -> io::Result<()> {
        let state = format!("{state:?}");
        writeln!(
            self.out,
            "  {BOLD}{state:>10}{BOLD:#}  {CLIENT}│{CLIENT:#}{:WIRE$}{SERVER}│{SERVER:#}  {BOLD}{state}{BOLD:#}",
            ""
        )
    }

    pub(crate) fn next(&mut self) -> Result<(), Error> {
        self.section("What to run next", "Each is short enough to read at a glance: examples/NAME.rs")?;
        for (command, what) in [
            ("echo_server", "the server of the README"),
            ("client ws://127.0.0.1:9001", "talk to it from another terminal"),
            ("chat", "plain threads; join it with two clients"),
            ("streaming", "one message of any size in flat memory"),
            ("sans_io", "the bare loop: the engine without our adapter"),
        ] {
            writeln!(self.out, "  {FAINT}cargo run --example{FAINT:#} {BOLD}{command:<28}{BOLD:#} {what}")?;
        }
        self.text(&["And two pages for a browser:"])?;
        for (name, what) in
            [("http_vs_websocket", "polled and pushed, side by side"), ("pubsub", "rooms and a live ticker")]
        {
            writeln!(self.out, "  {FAINT}cargo run --release --example{FAINT:#} {BOLD}{name:<18}{BOLD:#} {what}")?;
        }
        self.out.flush()?;
        Ok(())
    }
}

/// A time in the unit that suits it.
pub(crate) fn time(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..1000 => format!("{micros} µs"),
        micros => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1000), number % 1000),
    }
}

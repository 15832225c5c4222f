//! On a terminal that has this test on its other side.

use crate::support::*;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

/// A terminal, and the program on it.
struct Terminal {
    typing: File,
    screen: Lines,
    shown: String,
    child: Running,
}

impl Terminal {
    fn start(arguments: &[&str]) -> Self {
        let typing = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&typing).unwrap();
        unlockpt(&typing).unwrap();
        let name = ptsname(&typing, Vec::new()).unwrap();
        let open =
            || File::options().read(true).write(true).open(std::ffi::OsStr::from_bytes(name.to_bytes())).unwrap();
        let mut command = Client::command(arguments);
        command.stdin(open()).stdout(open()).stderr(open());
        command.env_remove("NO_COLOR").env("TERM", "xterm-256color");
        let child = Running(command.spawn().unwrap());
        let typing = File::from(typing);
        let screen = Lines::raw(typing.try_clone().unwrap());
        Self { typing, screen, shown: String::new(), child }
    }

    /// Waits until that is shown, behind what was waited for before.
    fn wait_for(&mut self, text: &str) {
        loop {
            if let Some(at) = self.shown.find(text) {
                self.shown.drain(..at + text.len());
                return;
            }
            let Ok(more) = self.screen.0.recv_timeout(PATIENCE) else { panic!("no {text:?} in {:?}", self.shown) };
            self.shown.push_str(&more);
        }
    }

    fn type_in(&mut self, keys: &str) {
        self.typing.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the program edits lines, once it has taken the one before: a prompt that is shown may still be that of the line
    /// before, and what is typed in between would be edited, and its end of input swallowed, by the terminal.
    fn wait_for_editor(&self) {
        let started = Instant::now();
        while self.edits_lines_itself() {
            assert!(started.elapsed() < PATIENCE, "nobody edits lines");
            std::thread::yield_now();
        }
    }

    fn edits_lines_itself(&self) -> bool {
        tcgetattr(&self.typing).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }
}

#[test]
fn lines_are_edited_and_messages_appear_above_them_in_colour() {
    let server = Server::bind();
    let mut terminal = Terminal::start(&[&server.url()]);
    let (mut socket, _) = server.accept();
    terminal.wait_for("> ");
    terminal.type_in("hellp");
    terminal.wait_for("hellp");
    socket.send("in between\x1b[2J").unwrap();
    terminal.wait_for("\x1b[32min between\u{fffd}[2J\x1b[0m");
    terminal.wait_for("hellp"); // the line is shown again, below
    terminal.type_in("\x7fo\r");
    assert_eq!(socket.receive().unwrap(), Some("hello".into()));
    terminal.wait_for_editor();
    terminal.type_in("\x1b[A!\r"); // the line before, by the arrow
    assert_eq!(socket.receive().unwrap(), Some("hello!".into()));
    terminal.wait_for_editor();
    terminal.type_in("\x04");
    assert_eq!(socket.receive().unwrap(), None);
    terminal.wait_for("closed: 1000");
    assert_eq!(terminal.child.wait(), Some(0));
    assert!(terminal.edits_lines_itself());
}

#[test]
fn the_terminal_is_as_it_was_when_the_server_closes_in_the_middle_of_a_line() {
    let server = Server::bind();
    let mut terminal = Terminal::start(&[&server.url()]);
    let (mut socket, _) = server.accept();
    terminal.wait_for("> ");
    terminal.type_in("half a li");
    terminal.wait_for("half a li");
    assert!(!terminal.edits_lines_itself());
    socket.close(Close::new(CloseCode::GOING_AWAY, "good night").unwrap()).unwrap();
    assert_eq!(socket.receive().unwrap(), None);
    terminal.wait_for("closed: 1001 good night");
    assert_eq!(terminal.child.wait(), Some(0));
    assert!(terminal.edits_lines_itself());
}

//! What is shown: messages on stdout, all else on stderr; with colours, and above the line that is being edited, on a
//! terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
#[cfg(unix)]
use std::{
    thread,
    time::{Duration, Instant},
};

use anstyle::{AnsiColor, Style};
use rustyline::ExternalPrinter;
use sockeye::Message;

/// Where everything is printed; for all threads.
#[derive(Clone)]
pub(crate) struct Screen {
    /// Prints above the line that is being edited, if one may be.
    editor: Option<Arc<Mutex<dyn ExternalPrinter + Send>>>,
    is_terminal: bool,
    has_colours: bool,
    /// How the terminal was before lines were edited.
    #[cfg(unix)]
    saved: Option<rustix::termios::Termios>,
    editing: Arc<Mutex<Editing>>,
}

/// What the thread that edits lines is doing.
#[derive(Default)]
struct Editing {
    /// It is in a line, or about to begin one.
    is_in_line: bool,
    /// It must not begin another one.
    is_over: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let stdout = io::stdout();
        Self {
            editor: None,
            is_terminal: stdout.is_terminal(),
            has_colours: anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never,
            #[cfg(unix)]
            saved: rustix::termios::tcgetattr(io::stdin()).ok(),
            editing: Arc::default(),
        }
    }

    /// The same, for a terminal where lines are edited.
    pub(crate) fn with_editor(self, printer: impl ExternalPrinter + Send + 'static) -> Self {
        Self { editor: Some(Arc::new(Mutex::new(printer))), ..self }
    }

    /// Returns whether somebody is looking.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Prints a message: a text as it is, unless it could steer the terminal.
    pub(crate) fn message(&self, message: &Message) -> io::Result<()> {
        let line = match message {
            Message::Text(text) if self.is_terminal => harmless(text),
            Message::Text(text) => text.to_string(),
            Message::Binary(bytes) => format!("({} bytes)", bytes.len()),
        };
        self.print(&line, RECEIVED, &mut io::stdout().lock())
    }

    /// Tells what goes on. It is no error if nobody can be told.
    pub(crate) fn note(&self, note: &str) {
        let _ = self.print(&harmless(note), NOTE, &mut io::stderr().lock());
    }

    /// Shows what is still to be shown, at the end.
    pub(crate) fn flush(&self) {
        if let Some(editor) = &self.editor {
            let mut editor = editor.lock().unwrap_or_else(PoisonError::into_inner);
            // The editor takes one at a time, so when it has room for the second, all before the first has been printed.
            let _ = editor.print(NOTHING.to_owned()).and_then(|()| editor.print(NOTHING.to_owned()));
        }
    }

    /// Takes note that a line is about to be edited; false if it must not be, because the terminal is as it was.
    pub(crate) fn begin_line(&self) -> bool {
        let mut editing = self.editing();
        editing.is_in_line = !editing.is_over;
        editing.is_in_line
    }

    /// Takes note that a line was edited.
    pub(crate) fn end_line(&self) {
        self.editing().is_in_line = false;
    }

    fn editing(&self) -> MutexGuard<'_, Editing> {
        self.editing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the terminal as it was: the thread that edits lines may be in the middle of one.
    pub(crate) fn restore(&self) {
        self.editing().is_over = true;
        #[cfg(unix)]
        self.wait_for_editor();
        #[cfg(unix)]
        if let (Some(saved), Some(_)) = (&self.saved, &self.editor) {
            let _ = io::stdout().write_all(b"\r\x1b[J").and_then(|()| io::stdout().flush());
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Drain, saved);
        }
    }

    /// Waits until the editor of a line that has begun has taken the terminal, so that it does not take it afterwards.
    #[cfg(unix)]
    fn wait_for_editor(&self) {
        use rustix::termios::{LocalModes, tcgetattr};

        let started = Instant::now();
        let is_taken =
            || tcgetattr(io::stdin()).is_ok_and(|terminal| !terminal.local_modes.contains(LocalModes::ICANON));
        while self.editing().is_in_line && !is_taken() && started.elapsed() < A_MOMENT {
            thread::yield_now();
        }
    }

    fn print(&self, line: &str, style: Style, output: &mut dyn Write) -> io::Result<()> {
        let line = if self.has_colours { format!("{style}{line}{style:#}") } else { line.to_owned() };
        match &self.editor {
            Some(editor) => {
                let mut editor = editor.lock().unwrap_or_else(PoisonError::into_inner);
                editor.print(line + "\n").map_err(io::Error::other)
            }
            None => writeln!(output, "{line}").and_then(|()| output.flush()),
        }
    }
}

/// What a stranger wrote, without what a terminal obeys.
fn harmless(text: &str) -> String {
    let is_harmful = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.chars().map(|c| if is_harmful(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// An editor that takes longer has come to harm.
#[cfg(unix)]
const A_MOMENT: Duration = Duration::from_secs(1);

const RECEIVED: Style = AnsiColor::Green.on_default();
const NOTE: Style = Style::new().dimmed();

/// A line up, and down again: a line that shows nothing.
const NOTHING: &str = "\x1b[A\n";

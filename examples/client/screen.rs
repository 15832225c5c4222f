//! What is shown: messages on stdout, all else on stderr; with colours, and above the line that is being edited, on a
//! terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

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

    /// Leaves the terminal as it was: the thread that edits lines may be in the middle of one.
    pub(crate) fn restore(&self) {
        #[cfg(unix)]
        if let (Some(saved), Some(_)) = (&self.saved, &self.editor) {
            let _ = io::stdout().write_all(b"\r\x1b[J").and_then(|()| io::stdout().flush());
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Drain, saved);
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

const RECEIVED: Style = AnsiColor::Green.on_default();
const NOTE: Style = Style::new().dimmed();

/// A line up, and down again: a line that shows nothing.
const NOTHING: &str = "\x1b[A\n";

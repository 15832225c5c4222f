//! The lines that are typed: with an editor on a terminal, as they come from a pipe.

use std::io::{self, IsTerminal};
use std::process::exit;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rustyline::DefaultEditor;

use crate::screen::Screen;

/// Where lines come from, on a thread of its own.
pub(crate) struct Lines {
    editor: Option<DefaultEditor>,
}

/// Looks at what there is: an editor if both ends are a terminal's.
pub(crate) fn start() -> (Screen, Lines) {
    let screen = Screen::new();
    if !io::stdin().is_terminal() || !screen.is_terminal() {
        return (screen, Lines { editor: None });
    }
    let Ok(mut editor) = DefaultEditor::new() else { return (screen, Lines { editor: None }) };
    match editor.create_external_printer() {
        Ok(printer) => (screen.with_editor(printer), Lines { editor: Some(editor) }),
        Err(_) => (screen, Lines { editor: None }),
    }
}

impl Lines {
    /// Hands over each line, for as long as `take` returns true.
    pub(crate) fn spawn(self, screen: &Screen, take: impl FnMut(String) -> bool + Send + 'static) {
        let Some(editor) = self.editor else {
            thread::spawn(move || io::stdin().lines().map_while(Result::ok).all(take));
            return;
        };
        // What is printed waits for the editor, so that must wait for nobody.
        let (typing, lines) = channel();
        let screen = screen.clone();
        thread::spawn(move || edit(editor, typing, &screen));
        thread::spawn(move || lines.into_iter().all(take));
    }
}

/// Edits lines until the input ends, by Ctrl-D or Ctrl-C. Then it goes on without being heard, so that what comes until the
/// connection is closed is printed; who will not wait for that ends the input once more.
fn edit(mut editor: DefaultEditor, typing: Sender<String>, screen: &Screen) {
    let mut typing = Some(typing);
    while screen.begin_line() {
        let line = editor.readline(if typing.is_some() { "> " } else { "" });
        screen.end_line();
        match (line, &typing) {
            (Ok(line), Some(lines)) => {
                let _ = editor.add_history_entry(&line);
                let _ = lines.send(line); // nobody hears it once the connection is closed
            }
            (Ok(_), None) => {}
            (Err(_), Some(_)) => typing = None,
            (Err(_), None) => {
                screen.restore();
                exit(1);
            }
        }
    }
}

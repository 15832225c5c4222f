//! What the command line says about permessage-deflate (RFC 7692): on, where it is built in, unless it says otherwise.

use sockeye::deflate::{Context, Deflate, Level, WindowBits};

/// Settings under which everything is compressed, as a conformance suite wants it.
pub(crate) fn defaults() -> Deflate {
    let mut deflate = Deflate::default();
    deflate.threshold = 0;
    deflate.window_bits = WindowBits::MAX;
    deflate.peer_window_bits = WindowBits::MAX;
    deflate
}

/// Takes note of an option, with its value where it has one.
pub(crate) fn set(
    deflate: &mut Option<Deflate>,
    option: &str,
    value: impl FnOnce() -> Result<u8, String>,
) -> Result<(), String> {
    let Some(settings) = deflate else { return Err(format!("--{option} stands behind --no-deflate")) };
    match option {
        "no-deflate" => *deflate = None,
        "deflate-level" => settings.level = Level::try_from(value()?).map_err(|error| error.to_string())?,
        "window-bits" => {
            settings.window_bits = WindowBits::try_from(value()?).map_err(|error| error.to_string())?;
            settings.peer_window_bits = settings.window_bits;
        }
        "no-context-takeover" => {
            (settings.context, settings.peer_context) = (Context::NoTakeover, Context::NoTakeover);
        }
        other => return Err(format!("no option --{other}")),
    }
    Ok(())
}

/// The options that [`set`] knows.
pub(crate) const OPTIONS: [&str; 4] = ["no-deflate", "deflate-level", "window-bits", "no-context-takeover"];

//! What the server is asked for on its command line.

/// What it takes.
pub(crate) const USAGE: &str = "usage: pubsub [--host HOST] [--port PORT] [--no-ticker]";

pub(crate) struct Options {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether it publishes the ticker. Of several nodes, one should.
    pub(crate) ticks: bool,
}

impl Options {
    pub(crate) fn parse() -> Result<Self, lexopt::Error> {
        use lexopt::{Arg, ValueExt};
        let mut options = Self { host: "127.0.0.1".into(), port: 8081, ticks: true };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Arg::Long("host") => options.host = arguments.value()?.string()?,
                Arg::Long("port") => options.port = arguments.value()?.parse()?,
                Arg::Long("no-ticker") => options.ticks = false,
                argument => return Err(argument.unexpected()),
            }
        }
        Ok(options)
    }
}

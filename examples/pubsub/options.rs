//! What the server is asked for on its command line.

use crate::engine::{self, Join};

/// What it takes.
pub(crate) const USAGE: &str = "usage: pubsub [--host HOST] [--port PORT] [--no-ticker] [--redis URL] [--nats URL]";

pub(crate) struct Options {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether it publishes the ticker. Of several nodes, one should.
    pub(crate) ticks: bool,
    /// What makes it a node of several.
    pub(crate) engine: Option<Join>,
}

impl Options {
    pub(crate) fn parse() -> Result<Self, lexopt::Error> {
        use lexopt::{Arg, ValueExt};
        let mut options = Self { host: "127.0.0.1".into(), port: 8081, ticks: true, engine: None };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Arg::Long("host") => options.host = arguments.value()?.string()?,
                Arg::Long("port") => options.port = arguments.value()?.parse()?,
                Arg::Long("no-ticker") => options.ticks = false,
                Arg::Long(kind @ ("redis" | "nats")) => {
                    let kind = String::from(kind);
                    options.engine = Some(engine::find(&kind, &arguments.value()?.string()?)?);
                }
                argument => return Err(argument.unexpected()),
            }
        }
        Ok(options)
    }
}

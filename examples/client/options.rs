//! What the command line says.

use core::error::Error;
use core::time::Duration;
use std::path::PathBuf;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
A WebSocket client: lines that are typed go out as text messages, messages are printed as they come.

Usage: client [OPTIONS] URL

Options:
      --send TEXT          Send this, print the first answer, and close
      --binary FILE        Send a file as a binary message, before anything that is typed
  -H, --header LINE        Add a header field to the request, such as 'X-Room: 1'
      --subprotocol NAME   Offer a subprotocol; the first is the one that is liked best
      --origin ORIGIN      Name an origin, as a browser does
  -h, --help               Print this

With the feature client:
      --user NAME:PASSWORD Log in (Basic); a URL may say it, too: ws://name:password@host/
      --proxy URL          Go through a proxy: http://, https://, socks5:// or socks5h://, or 'env' for what
                           HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say
      --reconnect[=SECS]   Connect again when the connection is lost; the first wait is up to 5 seconds, or as many
      --ping[=SECS]        Ping every second, or as often, and print how long the answer took

With the feature rustls (or native-tls: without --insecure), for wss://:
      --ca FILE            Trust the certificates in a PEM file, and no others
      --insecure           Trust any certificate: whoever is in between can read and change everything

On a terminal, Ctrl-D on an empty line or Ctrl-C closes the connection. NO_COLOR is heeded.
";

#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) url: String,
    pub(crate) send: Option<String>,
    pub(crate) binary: Option<PathBuf>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) origin: Option<String>,
    pub(crate) user: Option<(String, String)>,
    pub(crate) proxy: Option<String>,
    /// The longest first wait before connecting again.
    pub(crate) reconnect: Option<Duration>,
    pub(crate) ping: Option<Duration>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) insecure: bool,
}

impl Options {
    /// Reads the command line; `None` where it asks for help.
    pub(crate) fn parse() -> Result<Option<Self>, Box<dyn Error>> {
        use lexopt::prelude::*;
        let mut options = Self::default();
        let mut urls = Vec::new();
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            let needs = match &argument {
                Long("user" | "proxy" | "reconnect" | "ping") if !cfg!(feature = "client") => Some("client"),
                Long("ca") if !cfg!(any(feature = "rustls", feature = "native-tls")) => Some("client,rustls"),
                Long("insecure") if !cfg!(feature = "rustls") => Some("client,rustls"),
                _ => None,
            };
            if let (Long(name), Some(features)) = (&argument, needs) {
                return Err(format!("--{name} needs --features {features}").into());
            }
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Value(url) => urls.push(url.string()?),
                Long("send") => options.send = Some(parser.value()?.string()?),
                Long("binary") => options.binary = Some(parser.value()?.into()),
                Short('H') | Long("header") => options.headers.push(pair(&parser.value()?.string()?, "NAME: VALUE")?),
                Long("subprotocol") => options.subprotocols.push(parser.value()?.string()?),
                Long("origin") => options.origin = Some(parser.value()?.string()?),
                Long("user") => options.user = Some(pair(&parser.value()?.string()?, "NAME:PASSWORD")?),
                Long("proxy") => options.proxy = Some(parser.value()?.string()?),
                Long("reconnect") => options.reconnect = Some(seconds(&mut parser, Duration::from_secs(5))?),
                Long("ping") => options.ping = Some(seconds(&mut parser, Duration::from_secs(1))?),
                Long("ca") => options.ca = Some(parser.value()?.into()),
                Long("insecure") => options.insecure = true,
                other => return Err(other.unexpected().into()),
            }
        }
        let [url] = <[String; 1]>::try_from(urls).map_err(|urls| match urls.len() {
            0 => "a URL is needed",
            _ => "there is more than one URL",
        })?;
        options.url = url;
        Ok(Some(options))
    }
}

/// Cuts at the first colon. What was given is not told: it may be a password.
fn pair(text: &str, form: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| format!("{form} is needed there"))?;
    // A space behind the colon is part of a password, and none of a header field.
    let value = if form.contains(' ') { value.trim() } else { value };
    Ok((name.into(), value.into()))
}

/// Reads `--option=SECONDS`; without a value, the default.
fn seconds(parser: &mut lexopt::Parser, default: Duration) -> Result<Duration, Box<dyn Error>> {
    let Some(value) = parser.optional_value() else { return Ok(default) };
    let value = value.to_string_lossy();
    let seconds = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(seconds.ok_or_else(|| format!("{value:?} is no number of seconds"))?)
}

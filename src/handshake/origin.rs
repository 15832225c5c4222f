//! Which web pages may open a connection (§10.2).
//!
//! A browser sends cookies along with a handshake whatever page asks for it, so a server that looks only at
//! cookies is open to every page that its users visit. The `Origin` header field says where the page comes from;
//! the default refuses those of other hosts. Programs that are no browsers send no `Origin` and pass.

use super::authority::Authority;
use super::error::InvalidOriginPattern;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::str::FromStr;

/// Which values of the `Origin` header field a server accepts; a request without the field passes under all of them.
///
/// ```
/// use sockeye::handshake::{OriginPolicy, ServerConfig};
///
/// let mut config = ServerConfig::default();
/// config.origins = OriginPolicy::allow_list(["https://*.example.org", "https://app.example.com:8443"])?;
/// # Ok::<(), sockeye::handshake::InvalidOriginPattern>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginPolicy {
    /// Accepts an origin whose host and port are those of the `Host` header field; the default.
    ///
    /// Where no port is named, the one that the origin's scheme implies is meant. The schemes need not agree, as the
    /// server may stand behind a proxy that ends TLS.
    #[default]
    SameHost,
    /// Accepts the origins that match one of the patterns, and no others.
    AllowList(Vec<OriginPattern>),
    /// Accepts every origin: any web page may open connections in the name of the user who visits it.
    Any,
}

impl OriginPolicy {
    /// Creates an allow-list from the text of its patterns.
    ///
    /// # Errors
    /// The first text that is no pattern.
    pub fn allow_list<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidOriginPattern> {
        patterns.into_iter().map(str::parse).collect::<Result<_, _>>().map(Self::AllowList)
    }

    /// Says whether a page of that origin may open a connection to that host.
    ///
    /// `origin` and `host` are the values of the two header fields.
    pub fn allows(&self, origin: &str, host: &str) -> bool {
        self.allows_at(origin, || Authority::parse(host))
    }

    /// As [`Self::allows`], with the host as it is read where that matters.
    pub(super) fn allows_at<'h>(&self, origin: &str, host: impl FnOnce() -> Option<Authority<'h>>) -> bool {
        match self {
            Self::SameHost => host().is_some_and(|host| is_same_host(origin, &host)),
            Self::AllowList(patterns) => patterns.iter().any(|pattern| pattern.matches(origin)),
            Self::Any => true,
        }
    }
}

/// A pattern for origins in an allow-list.
///
/// It is written as the origin itself: `https://app.example.com`, with `:8443` behind it for another port than the
/// scheme's own. Instead of its first labels a host may have `*`, which stands for one or more labels:
/// `https://*.example.org` matches `https://a.example.org` and `https://a.b.example.org`, but not
/// `https://example.org`. A port of `*` matches every port. `null` stands for the opaque origin that sandboxed pages
/// and local files have.
///
/// ```
/// use sockeye::handshake::OriginPattern;
///
/// let pattern: OriginPattern = "https://*.example.com".parse()?;
/// assert!(pattern.matches("https://chat.example.com"));
/// # Ok::<(), sockeye::handshake::InvalidOriginPattern>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern(Pattern);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Null,
    Tuple {
        scheme: String,
        /// The whole host, or what follows `*`: a dot and the labels behind it.
        host: String,
        subdomains: bool,
        port: PortPattern,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PortPattern {
    Any,
    Is(Option<u16>),
}

impl OriginPattern {
    /// Says whether an origin matches the pattern, without regard to case.
    pub fn matches(&self, origin: &str) -> bool {
        match &self.0 {
            Pattern::Null => origin == "null",
            Pattern::Tuple { scheme, host, subdomains, port } => Origin::parse(origin).is_some_and(|origin| {
                origin.scheme.eq_ignore_ascii_case(scheme)
                    && match port {
                        PortPattern::Any => true,
                        PortPattern::Is(port) => *port == origin.port(),
                    }
                    && if *subdomains {
                        ends_with_labels(origin.authority.host, host)
                    } else {
                        origin.authority.host.eq_ignore_ascii_case(host)
                    }
            }),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "null" {
            return Some(Self(Pattern::Null));
        }
        let (origin, any_port) = match text.strip_suffix(":*") {
            Some(origin) => (origin, true),
            None => (text, false),
        };
        let origin = Origin::parse(origin)?;
        if any_port && origin.authority.port.is_some() {
            return None;
        }
        let port = if any_port { PortPattern::Any } else { PortPattern::Is(origin.port()) };
        let (host, subdomains) = match origin.authority.host.strip_prefix('*') {
            Some(labels) => (labels, true),
            None => (origin.authority.host, false),
        };
        if host.contains('*') || (subdomains && (host.len() < 2 || !host.starts_with('.'))) {
            return None;
        }
        Some(Self(Pattern::Tuple { scheme: origin.scheme.to_owned(), host: host.to_owned(), subdomains, port }))
    }
}

impl FromStr for OriginPattern {
    type Err = InvalidOriginPattern;

    fn from_str(text: &str) -> Result<Self, InvalidOriginPattern> {
        Self::parse(text).ok_or_else(|| InvalidOriginPattern { pattern: text.to_owned() })
    }
}

/// An origin that is not opaque: scheme, host and port (RFC 6454 §7).
pub(super) struct Origin<'a> {
    scheme: &'a str,
    authority: Authority<'a>,
}

impl<'a> Origin<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        // No scheme has a colon in it.
        let (scheme, rest) = text.split_at_checked(text.bytes().position(|byte| byte == b':')?)?;
        let authority = rest.strip_prefix("://")?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        if !is_scheme {
            return None;
        }
        Some(Self { scheme, authority: Authority::parse(authority)? })
    }

    /// The port that is named, or else the scheme's own.
    fn port(&self) -> Option<u16> {
        self.authority.port.or_else(|| default_port(self.scheme))
    }
}

fn is_same_host(origin: &str, host: &Authority<'_>) -> bool {
    // As most browsers have it: neither names a port.
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    if authority == Some(host.host) && host.port.is_none() {
        return true;
    }
    let Some(origin) = Origin::parse(origin) else { return false };
    origin.authority.host.eq_ignore_ascii_case(host.host)
        && origin.port() == host.port.or_else(|| default_port(origin.scheme))
}

/// Says whether `host` is `labels`, which starts with a dot, with something before it.
fn ends_with_labels(host: &str, labels: &str) -> bool {
    host.len() > labels.len()
        && host
            .as_bytes()
            .get(host.len() - labels.len()..)
            .is_some_and(|end| end.eq_ignore_ascii_case(labels.as_bytes()))
}

fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss") {
        Some(443)
    } else if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("ws") {
        Some(80)
    } else {
        None
    }
}

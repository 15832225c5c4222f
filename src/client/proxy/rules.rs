//! Which connections go through which proxy: the environment's rules, as curl reads them.
//!
//! | variable | for |
//! |---|---|
//! | `WS_PROXY`, then `HTTP_PROXY` | `ws:` |
//! | `WSS_PROXY`, then `HTTPS_PROXY` | `wss:` |
//! | `ALL_PROXY` | what has none of these |
//! | `NO_PROXY` | hosts that are connected to without a proxy, separated by commas or white space |
//!
//! Each may be written in small letters, which win; one that is empty counts as missing. `HTTP_PROXY` in capitals is passed over in a
//! CGI program, where it is a header field of the client's request (CVE-2016-5385), and `REQUEST_METHOD` says so.
//!
//! Where this is not curl's: a port that is missing is that of the scheme, 80 or 443, instead of 1080. `NO_PROXY` also takes
//! `host:port`, `*.host` and a `*` among others, and what cannot be read is an error instead of a direct connection.

use core::net::IpAddr;
use core::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;

use super::{Proxy, ProxyUrlError};

/// Whether a connection is secured by TLS: `wss:`, or not: `ws:`.
///
/// ```
/// use sockeye::client::proxy::{ProxyRules, Security};
///
/// let rules = ProxyRules::default().proxy(Security::Tls, "http://proxy:3128".parse()?);
/// assert!(rules.proxy_for(Security::Tls, "example.com", 443).is_some());
/// assert!(rules.proxy_for(Security::Plain, "example.com", 80).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    /// `ws:`.
    Plain,
    /// `wss:`.
    Tls,
}

/// Which proxy a connection goes through, if any; none by default.
///
/// ```
/// use sockeye::client::proxy::{ProxyRules, Security};
///
/// let rules = ProxyRules::from_vars(|name| match name {
///     "HTTPS_PROXY" => Some("http://proxy.example:3128".to_owned()),
///     "no_proxy" => Some("localhost, .internal.example, 10.0.0.0/8".to_owned()),
///     _ => None,
/// })?;
/// assert!(rules.proxy_for(Security::Tls, "server.example", 443).is_some());
/// assert!(rules.proxy_for(Security::Plain, "server.example", 80).is_none(), "there is no HTTP_PROXY");
/// assert!(rules.proxy_for(Security::Tls, "chat.internal.example", 443).is_none());
/// assert!(rules.proxy_for(Security::Tls, "10.1.2.3", 443).is_none());
/// # Ok::<(), sockeye::client::proxy::InvalidProxyRules>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyRules {
    plain: Option<Proxy>,
    tls: Option<Proxy>,
    exceptions: Vec<Exception>,
}

/// A host, or some, that are connected to without a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exception {
    hosts: Hosts,
    /// `None` for all ports.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    Network(IpNet),
    /// A name and all below it, in small letters, without the dots at its ends.
    Domain(String),
}

impl ProxyRules {
    /// Creates rules by which every connection goes through this proxy.
    #[must_use]
    pub fn all(proxy: Proxy) -> Self {
        Self { plain: Some(proxy.clone()), tls: Some(proxy), exceptions: Vec::new() }
    }

    /// The same, with this proxy for the connections that are secured by TLS, or for those that are not.
    ///
    /// ```
    /// use sockeye::client::proxy::{ProxyRules, Security};
    ///
    /// let rules = ProxyRules::default().proxy(Security::Tls, "socks5h://localhost:9050".parse()?);
    /// assert!(rules.proxy_for(Security::Tls, "server.example", 443).is_some());
    /// assert!(rules.proxy_for(Security::Plain, "server.example", 80).is_none());
    /// # Ok::<(), sockeye::client::proxy::ProxyUrlError>(())
    /// ```
    #[must_use]
    pub fn proxy(mut self, security: Security, proxy: Proxy) -> Self {
        match security {
            Security::Plain => self.plain = Some(proxy),
            Security::Tls => self.tls = Some(proxy),
        }
        self
    }

    /// The same, with these hosts connected to without a proxy, in addition to those that there are: a list as in `NO_PROXY`.
    ///
    /// # Errors
    ///
    /// An element that is neither a host nor a network.
    pub fn except(mut self, hosts: &str) -> Result<Self, InvalidProxyRules> {
        let elements = hosts.split(|c: char| c == ',' || c.is_ascii_whitespace()).filter(|element| !element.is_empty());
        for element in elements {
            let error = || InvalidProxyRules::Exception { element: element.to_owned() };
            self.exceptions.push(element.parse().map_err(|NoHost| error())?);
        }
        Ok(self)
    }

    /// Reads the rules from the environment of the process: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, and so on.
    ///
    /// # Errors
    ///
    /// A variable that cannot be read. To connect directly instead would show to the network what was to go through the proxy.
    pub fn from_env() -> Result<Self, InvalidProxyRules> {
        Self::from_vars(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Reads the rules as [`Self::from_env`], from an environment of the caller's own.
    ///
    /// # Errors
    ///
    /// As [`Self::from_env`].
    pub fn from_vars(mut variable: impl FnMut(&'static str) -> Option<String>) -> Result<Self, InvalidProxyRules> {
        let mut read = |name| variable(name).filter(|value| !value.trim().is_empty());
        let is_cgi = read("REQUEST_METHOD").is_some();
        let mut proxy = |names: &[&'static str]| {
            for &name in names {
                // Windows does not tell small letters from capitals.
                if is_cgi && (name == "HTTP_PROXY" || cfg!(windows) && name == "http_proxy") {
                    continue;
                }
                if let Some(value) = read(name) {
                    let error = |source| InvalidProxyRules::Proxy { variable: name, source };
                    return value.parse::<Proxy>().map(Some).map_err(error);
                }
            }
            Ok(None)
        };
        let all = &["all_proxy", "ALL_PROXY"][..];
        let plain = proxy(&[&["ws_proxy", "WS_PROXY", "http_proxy", "HTTP_PROXY"], all].concat())?;
        let tls = proxy(&[&["wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY"], all].concat())?;
        let exceptions = read("no_proxy").or_else(|| read("NO_PROXY")).unwrap_or_default();
        Self { plain, tls, exceptions: Vec::new() }.except(&exceptions)
    }

    /// Returns the proxy for a connection to this host, a name or an address, an IPv6 address with or without brackets.
    #[must_use]
    pub fn proxy_for(&self, security: Security, host: &str, port: u16) -> Option<&Proxy> {
        let proxy = match security {
            Security::Plain => self.plain.as_ref(),
            Security::Tls => self.tls.as_ref(),
        };
        let host = Host::read(host);
        proxy.filter(|_| !self.exceptions.iter().any(|exception| exception.holds_for(&host, port)))
    }
}

/// A host to be looked for among the exceptions.
enum Host {
    Address(IpAddr),
    /// In small letters, without a dot at its end.
    Name(String),
}

impl Host {
    fn read(host: &str) -> Self {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(address) => Self::Address(address.to_canonical()),
            Err(_) => Self::Name(bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase()),
        }
    }
}

impl Exception {
    fn holds_for(&self, host: &Host, port: u16) -> bool {
        let is_host = match (&self.hosts, host) {
            (Hosts::All, _) => true,
            (Hosts::Network(network), Host::Address(address)) => network.contains(address),
            // `bad-example.com` does not end in `.example.com`.
            (Hosts::Domain(domain), Host::Name(name)) => {
                name.strip_suffix(domain.as_str()).is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
            (Hosts::Network(_), Host::Name(_)) | (Hosts::Domain(_), Host::Address(_)) => false,
        };
        is_host && self.port.is_none_or(|only| only == port)
    }
}

impl FromStr for Exception {
    type Err = NoHost;

    /// Reads `*`, an address, a network in CIDR notation, a name with or without a dot or `*.` before it, and each with a port;
    /// an IPv6 address with a port stands in brackets.
    fn from_str(text: &str) -> Result<Self, NoHost> {
        if let Some(hosts) = Hosts::network(text) {
            return Ok(Self { hosts, port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (host, Some(port.parse().map_err(|_| NoHost)?))
            }
            Some(_) => return Err(NoHost),
            None => (text, None),
        };
        if host == "*" {
            return Ok(Self { hosts: Hosts::All, port });
        }
        if let Some(hosts) = Hosts::network(host) {
            return Ok(Self { hosts, port });
        }
        let name = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let name = name.strip_prefix('.').unwrap_or(name);
        let name = name.strip_suffix('.').unwrap_or(name);
        // Read as the host of a URL is, or the two would not meet: `bücher.example` is `xn--bcher-kva.example`, `127.1` an address.
        let hosts = match url::Host::parse(name) {
            Ok(url::Host::Domain(domain)) if domain.bytes().all(is_name_byte) => Hosts::Domain(domain),
            Ok(url::Host::Ipv4(address)) => Hosts::Network(IpAddr::from(address).into()),
            Ok(url::Host::Domain(_) | url::Host::Ipv6(_)) | Err(_) => return Err(NoHost),
        };
        Ok(Self { hosts, port })
    }
}

impl Hosts {
    /// Reads an address, in brackets or not, or a network.
    fn network(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let address = bare.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        address.ok().or_else(|| text.parse().ok()).map(Self::Network)
    }
}

/// Says whether a byte may stand in a name.
const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Not a host.
struct NoHost;

/// What is wrong with the rules. The URL of a proxy is not repeated, for it may hold a password.
///
/// ```
/// use sockeye::client::proxy::{InvalidProxyRules, ProxyRules};
///
/// let rules = ProxyRules::from_vars(|name| (name == "all_proxy").then(|| "ftp://proxy".into()));
/// assert!(matches!(rules, Err(InvalidProxyRules::Proxy { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidProxyRules {
    /// A variable of the environment does not name a proxy.
    #[error("the environment variable {variable}: {source}")]
    Proxy {
        /// The name of the variable.
        variable: &'static str,
        /// What is wrong with it.
        source: ProxyUrlError,
    },
    /// An element of `NO_PROXY`, or of [`ProxyRules::except`], is neither a host nor a network.
    #[error("{element:?} in the list of hosts without a proxy (NO_PROXY) is neither a host nor a network")]
    Exception {
        /// The element.
        element: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(vars: &[(&str, &str)]) -> Result<ProxyRules, InvalidProxyRules> {
        ProxyRules::from_vars(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    /// The proxies' hosts for `ws:` and for `wss:`.
    fn chosen(vars: &[(&str, &str)]) -> (Option<String>, Option<String>) {
        let rules = rules(vars).unwrap();
        let host = |security| rules.proxy_for(security, "server.example", 1).map(|proxy| proxy.host().to_owned());
        (host(Security::Plain), host(Security::Tls))
    }

    fn some(host: &str) -> Option<String> {
        Some(host.to_owned())
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_is_for_the_rest() {
        assert_eq!(chosen(&[]), (None, None));
        assert_eq!(chosen(&[("HTTP_PROXY", "h")]), (some("h"), None));
        assert_eq!(chosen(&[("HTTPS_PROXY", "s")]), (None, some("s")));
        assert_eq!(chosen(&[("ALL_PROXY", "a")]), (some("a"), some("a")));
        assert_eq!(chosen(&[("HTTPS_PROXY", "s"), ("ALL_PROXY", "a")]), (some("a"), some("s")));
        assert_eq!(chosen(&[("ws_proxy", "w"), ("http_proxy", "h")]), (some("w"), None));
        assert_eq!(chosen(&[("WSS_PROXY", "w"), ("https_proxy", "h")]), (None, some("w")));
    }

    #[test]
    fn small_letters_win_and_an_empty_variable_counts_as_missing() {
        assert_eq!(chosen(&[("HTTP_PROXY", "big"), ("http_proxy", "small")]), (some("small"), None));
        assert_eq!(chosen(&[("http_proxy", ""), ("HTTP_PROXY", "big")]), (some("big"), None));
        assert_eq!(chosen(&[("https_proxy", " "), ("all_proxy", "a")]), (some("a"), some("a")));
    }

    #[test]
    fn in_a_cgi_program_a_header_field_sets_no_proxy() {
        assert_eq!(chosen(&[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "evil")]), (None, None));
        assert_eq!(chosen(&[("REQUEST_METHOD", "GET"), ("http_proxy", "good")]), (some("good"), None));
    }

    #[test]
    fn a_variable_that_cannot_be_read_is_named_and_its_value_is_not() {
        let error = |vars: &[(&str, &str)]| rules(vars).unwrap_err().to_string();
        assert_eq!(
            error(&[("https_proxy", "socks4://me:secret@p")]),
            "the environment variable https_proxy: a proxy of the kind \"socks4\" is not supported: http, https, socks5 and \
             socks5h are"
        );
        assert_eq!(
            error(&[("NO_PROXY", "a,10.0.0.0/99")]),
            "\"10.0.0.0/99\" in the list of hosts without a proxy (NO_PROXY) is neither a host nor a network"
        );
    }

    /// Says whether a host and port are excepted by a list.
    fn is_excepted(list: &str, host: &str, port: u16) -> bool {
        let rules = ProxyRules::all("proxy.example".parse().unwrap()).except(list).unwrap();
        rules.proxy_for(Security::Tls, host, port).is_none()
    }

    #[test]
    fn a_name_excepts_itself_and_what_is_below_it() {
        for list in ["example.com", ".example.com", "*.example.com", "EXAMPLE.com.", "a b,example.com"] {
            for host in ["example.com", "www.example.com", "a.b.Example.COM", "example.com."] {
                assert!(is_excepted(list, host, 443), "{list} {host}");
            }
            for host in ["bad-example.com", "example.org", "com", "example.com.evil", "10.0.0.1"] {
                assert!(!is_excepted(list, host, 443), "{list} {host}");
            }
        }
    }

    #[test]
    fn what_is_excepted_is_read_as_the_host_of_a_url_is() {
        assert!(is_excepted("bücher.example", "xn--bcher-kva.example", 443));
        assert!(is_excepted(".Bücher.example:443", "www.xn--bcher-kva.example", 443));
        assert!(is_excepted("127.1", "127.0.0.1", 443));
        for list in ["10.*", "a|b", "%", "a%2fb", "me@a", "a b/c", "a!", ".", ".."] {
            let rules = ProxyRules::default().except(list);
            assert!(matches!(rules, Err(InvalidProxyRules::Exception { .. })), "{list}: {rules:?}");
        }
    }

    #[test]
    fn addresses_and_networks_are_compared_as_numbers() {
        assert!(is_excepted("127.0.0.1", "127.0.0.1", 1));
        assert!(!is_excepted("127.0.0.1", "127.0.0.10", 1));
        assert!(is_excepted("192.168.0.0/16", "192.168.7.8", 1));
        assert!(!is_excepted("192.168.0.0/16", "192.169.0.1", 1));
        assert!(is_excepted("::1", "[::1]", 1));
        assert!(is_excepted("[0:0:0:0:0:0:0:1]", "::1", 1));
        assert!(is_excepted("2001:db8::/32", "2001:db8:1::9", 1));
        assert!(is_excepted("127.0.0.1", "::ffff:127.0.0.1", 1), "the same address, written as IPv6");
        assert!(!is_excepted("1.2.3.4", "a.1.2.3.4", 1), "an address has nothing below it");
        assert!(!is_excepted("10.0.0.0/8", "10.example", 1));
    }

    #[test]
    fn a_port_excepts_that_port_alone_and_a_star_all_hosts() {
        assert!(is_excepted("example.com:8080", "www.example.com", 8080));
        assert!(!is_excepted("example.com:8080", "example.com", 443));
        assert!(is_excepted("[::1]:9001", "::1", 9001));
        assert!(!is_excepted("[::1]:9001", "::1", 9002));
        assert!(is_excepted("127.0.0.1:80", "127.0.0.1", 80));
        assert!(is_excepted("*", "anything.example", 1));
        assert!(is_excepted("a, *", "::1", 1));
        assert!(!is_excepted("", "anything.example", 1));
    }

    #[test]
    fn what_is_no_host_is_no_exception() {
        for element in ["a/b", "10.0.0.0/33", "http://a", "a:b", "a:99999", ".", "*a", "[::1", "a@b"] {
            let refused = ProxyRules::default().except(element);
            assert_eq!(refused, Err(InvalidProxyRules::Exception { element: element.to_owned() }));
        }
    }
}

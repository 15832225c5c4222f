//! From a name to addresses: the trait, and the system's resolver behind it.
//!
//! The system is asked for each family by itself, because it answers a question for both only when it has both answers, and a name
//! server that drops the question for IPv6 would then hold up the addresses of IPv4. What it knows beside the DNS (the file of
//! hosts, mDNS, a VPN's name server) stays as good as ever.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::pin::Pin;
use std::io::{self, ErrorKind};

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};

use super::options::Family;

/// What a resolver or a connector answers with, later.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Finds the addresses of a name.
///
/// ```
/// use std::io;
/// use std::net::SocketAddr;
/// use sockeye::client::{BoxFuture, Client, Family, Resolve};
///
/// /// Sends everybody to this machine.
/// struct Here;
///
/// impl Resolve for Here {
///     fn resolve<'a>(&'a self, _: &'a str, family: Family) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
///         let address: SocketAddr = match family {
///             Family::V4 => ([127, 0, 0, 1], 0).into(),
///             Family::V6 => ([0, 0, 0, 0, 0, 0, 0, 1], 0).into(),
///         };
///         Box::pin(async move { Ok(vec![address]) })
///     }
/// }
///
/// let client = Client::new().resolver(Here);
/// ```
pub trait Resolve: Send + Sync {
    /// Returns the addresses of one family, best first; none if the name has none in it. Their ports mean nothing: the client
    /// puts its own in.
    ///
    /// It is asked for both families at the same time. A future that is dropped is not wanted any more.
    ///
    /// # Errors
    ///
    /// What went wrong; [`ErrorKind::NotFound`] if there is no such name.
    fn resolve<'a>(&'a self, host: &'a str, family: Family) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;

    /// Returns the addresses of one family for the [blocking client](super::blocking), which calls it on a thread of its own. By
    /// default it cannot.
    ///
    /// # Errors
    ///
    /// As [`Self::resolve`]; [`ErrorKind::Unsupported`] where there is no such resolver.
    fn resolve_blocking(&self, host: &str, family: Family) -> io::Result<Vec<SocketAddr>> {
        let _ = (host, family);
        Err(io::Error::new(ErrorKind::Unsupported, "the resolver is one for asynchronous clients only"))
    }
}

/// The resolver of the operating system, which is what a client has unless it is given another one.
///
/// Its calls block, so each runs on a thread of tokio's for such calls; one whose time is over goes on there until the system gives it
/// up.
///
/// ```no_run
/// use sockeye::client::{Family, Resolve, SystemResolver};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let found = SystemResolver::default().resolve("localhost", Family::V4).await?;
/// assert!(found.iter().all(|address| address.is_ipv4()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, family: Family) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let host = String::from(host);
        Box::pin(async move {
            let looking_up = ::tokio::task::spawn_blocking(move || look_up(&host, family));
            looking_up.await.map_err(io::Error::other)?
        })
    }

    fn resolve_blocking(&self, host: &str, family: Family) -> io::Result<Vec<SocketAddr>> {
        look_up(host, family)
    }
}

/// Asks the system for the addresses of one family.
fn look_up(host: &str, family: Family) -> io::Result<Vec<SocketAddr>> {
    let address = match family {
        Family::V4 => socket2::Domain::IPV4,
        Family::V6 => socket2::Domain::IPV6,
    };
    let hints =
        AddrInfoHints { address: address.into(), socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = match getaddrinfo(Some(host), None, Some(hints)) {
        Ok(found) => found,
        Err(error) => {
            return match error.kind() {
                LookupErrorKind::NoName => Err(ErrorKind::NotFound.into()),
                LookupErrorKind::NoData => Ok(Vec::new()),
                _ => Err(error.into()),
            };
        }
    };
    Ok(found.flatten().map(|found| found.sockaddr).collect())
}

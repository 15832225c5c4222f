//! The public interface of the client: what is removed or changes its shape does not compile here.

mod client_support;

use std::fmt::Debug;
use std::future::Future;
use std::net::SocketAddr;

use client_support::{Answer, Server, echo};
use sockeye::CloseCode;
use sockeye::client::{
    Backoff, BackoffConfig, Client, Connect, Credentials, Error, FailedAttempt, Failure, Family, HappyEyeballs,
    InvalidCredentials, Reconnecting, RedirectError, Refused, Resolve, Retry, RetryAfter, Stage, Stream,
    SystemResolver, TcpOptions, Timeouts, UrlError, WebSocket, WsUrl, blocking, connect,
};
use sockeye::handshake::{BuildError, ClientConfig, RefusedResponse};

fn is_value<T: Clone + PartialEq + Debug + Send + Sync + 'static>() {}
fn is_kept<T: Debug + Send + Sync + 'static>() {}
fn is_send<T: Debug + Send + 'static>() {}
fn is_send_future<T>(future: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
    future
}

#[test]
fn every_type_has_the_traits_that_it_promises() {
    is_value::<BackoffConfig>();
    is_value::<Credentials>();
    is_value::<Family>();
    is_value::<HappyEyeballs>();
    is_value::<InvalidCredentials>();
    is_value::<RedirectError>();
    is_value::<Refused>();
    is_value::<RetryAfter>();
    is_value::<Stage>();
    is_value::<TcpOptions>();
    is_value::<Timeouts>();
    is_value::<UrlError>();
    is_value::<WsUrl>();
    is_kept::<Backoff>();
    is_kept::<Client>();
    is_kept::<Error>();
    is_kept::<FailedAttempt>();
    is_kept::<SystemResolver>();
    is_send::<Reconnecting>();
    is_send::<blocking::Reconnecting>();
    is_send::<blocking::Stop>();
    is_send::<Stream>();
    is_send::<WebSocket>();
    is_send::<blocking::Stream>();
    is_send::<blocking::WebSocket>();
}

#[test]
fn every_method_has_its_signature() {
    let _: fn() -> Client = Client::new;
    let _: fn(Client, &str) -> Result<Client, BuildError> = Client::subprotocol;
    let _: fn(Client, &str, &'static str) -> Result<Client, BuildError> = Client::header;
    let _: fn(Client, &str) -> Result<Client, BuildError> = Client::origin;
    let _: fn(Client, &str, &str) -> Result<Client, Error> = Client::basic_auth;
    let _: fn(Client, &str) -> Result<Client, Error> = Client::bearer_auth;
    let _: fn(Client, ClientConfig) -> Client = Client::handshake;
    let _: fn(Client, sockeye::Config) -> Client = Client::config;
    let _: fn(Client, Timeouts) -> Client = Client::timeouts;
    let _: fn(Client, TcpOptions) -> Client = Client::tcp;
    let _: fn(Client, HappyEyeballs) -> Client = Client::happy_eyeballs;
    let _: fn(Client, SystemResolver) -> Client = Client::resolver;
    let _: fn(Client, TcpOptions) -> Client = Client::connector;
    let _: fn(Client, usize) -> Client = Client::redirects;
    let _: fn(Client, sockeye::client::proxy::Proxy) -> Client = Client::proxy;
    let _: fn(Client, sockeye::client::proxy::ProxyRules) -> Client = Client::proxies;
    let _: fn(&Client, &'static str) -> Result<blocking::WebSocket, Error> = Client::connect_blocking;
    let _: fn(&Error) -> Stage = Error::stage;
    let _: fn(&Error) -> bool = Error::is_permanent;
    let _: fn(&Error) -> bool = Error::is_timeout;
    let _: fn(&Error) -> Option<RetryAfter> = Error::retry_after;
    let _: fn(&Error) -> Option<&RefusedResponse> = Error::refusal;
    let _: fn(&Stream) -> Option<SocketAddr> = Stream::peer_addr;
    let _: fn(&Stream) -> bool = Stream::is_tls;
    let _: fn(&blocking::Stream) -> Option<SocketAddr> = blocking::Stream::peer_addr;
    let _: fn(&blocking::Stream) -> bool = blocking::Stream::is_tls;
    let _: fn(&str, &str) -> Result<Credentials, InvalidCredentials> = Credentials::new;
    let _: fn(&Client, &'static str, BackoffConfig) -> Result<Reconnecting, Error> = Client::reconnecting;
    let _: fn(&Client, &'static str, BackoffConfig) -> Result<blocking::Reconnecting, Error> =
        Client::reconnecting_blocking;
    let _: Option<fn(Reconnecting) -> Reconnecting> = Some(|one| one.on_retry(|_: &Retry<'_, Error>| {}));
    let _: fn(&mut Reconnecting, Option<CloseCode>) = Reconnecting::closed;
    let _: fn(&mut blocking::Reconnecting) -> Result<Option<blocking::WebSocket>, Error> = blocking::Reconnecting::next;
    let _: fn(&mut blocking::Reconnecting, Option<CloseCode>) = blocking::Reconnecting::closed;
    let _: fn(&blocking::Reconnecting) -> blocking::Stop = blocking::Reconnecting::stop_handle;
    let _: fn(&blocking::Stop) = blocking::Stop::stop;
    let _: fn(&Error) -> bool = <Error as Failure>::is_permanent;
    let _: Option<Box<dyn Resolve>> = None;
    let _: Option<Box<dyn Connect>> = None;
}

/// Whatever the URL is given as, the future can move to another thread, and is small: what is large lies on the heap.
#[tokio::test]
async fn futures_move_between_threads_and_are_small() {
    let server = Server::saying(Answer::Open).await;
    let text = server.url("/");
    let url: WsUrl = text.parse().unwrap();
    let client = Client::new();
    let connecting = is_send_future(client.connect(&url));
    assert!(size_of_val(&connecting) <= 512, "{}", size_of_val(&connecting));
    connecting.await.unwrap();
    is_send_future(client.connect(url.as_url().clone())).await.unwrap();
    is_send_future(client.connect(url)).await.unwrap();
    is_send_future(client.connect(&*text)).await.unwrap();
    is_send_future(connect(text)).await.unwrap();
    is_send_future(client.connect_over(echo(), "ws://h/")).await.unwrap();
    assert_eq!(server.heads().len(), 5);
}

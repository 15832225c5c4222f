//! The time that an opening handshake may take, under a clock in the test's hand.

use core::time::Duration;
use sockeye::Instant;
use sockeye::handshake::{
    ClientConfig, ClientHandshake, ClientRequest, HeadError, RequestError, ResponseError, ServerConfig, ServerHandshake,
};

const TIMED_OUT: HeadError = HeadError::TimedOut { timeout: Duration::from_secs(10) };

fn at(seconds: u64) -> Instant {
    Duration::from_secs(seconds).into()
}

fn client() -> ClientHandshake {
    let request = ClientRequest::with_key("a", "/", *b"the sample nonce").unwrap();
    ClientHandshake::new(request, &ClientConfig::default())
}

#[test]
fn the_first_call_starts_the_clock_and_early_ones_change_nothing() {
    let mut server = ServerHandshake::new(&ServerConfig::default());
    assert_eq!(server.poll_timeout(), None);
    for now in [100, 100, 109] {
        assert_eq!(server.handle_timeout(at(now)), Ok(()));
        assert_eq!(server.poll_timeout(), Some(at(110)));
    }
}

#[test]
fn a_request_that_is_too_slow_is_answered_with_408_whatever_trickles_in() {
    let mut server = ServerHandshake::new(&ServerConfig::default());
    for now in 0..10 {
        assert_eq!(server.handle_timeout(at(now)), Ok(()));
        assert_eq!(server.receive(&mut &b"G"[..]), Ok(None));
    }
    let rejection = server.handle_timeout(at(10)).unwrap_err();
    assert_eq!((rejection.status(), rejection.cause()), (408, Some(&RequestError::Head(TIMED_OUT))));
    assert_eq!(server.receive(&mut &b"ET / HTTP/1.1\r\n\r\n"[..]), Err(rejection.clone()));
    assert_eq!(server.handle_timeout(at(0)), Err(rejection));
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn a_whole_request_has_no_deadline_any_more() {
    let mut server = ServerHandshake::new(&ServerConfig::default());
    server.handle_timeout(at(0)).unwrap();
    server.receive(&mut &b"GET / HTTP/1.1\r\n\r\n"[..]).unwrap();
    assert_eq!(server.poll_timeout(), None);
    assert_eq!(server.handle_timeout(at(1000)), Ok(()));
}

#[test]
fn an_answer_that_is_too_slow_is_an_error_that_stays() {
    let mut client = client();
    client.handle_timeout(at(5)).unwrap();
    assert_eq!(client.poll_timeout(), Some(at(15)));
    client.receive(&mut &b"HTTP/1.1 101"[..]).unwrap();
    let error = Err(ResponseError::Head(TIMED_OUT));
    assert_eq!(client.handle_timeout(at(15)), error);
    assert_eq!(client.handle_timeout(at(5)), error);
    assert_eq!(client.receive(&mut &b" x"[..]).map(drop), error);
    assert_eq!(client.poll_timeout(), None);
}

#[test]
fn a_refusal_whose_body_is_too_slow_is_a_refusal_all_the_same() {
    let mut client = client();
    client.handle_timeout(at(0)).unwrap();
    client.receive(&mut &b"HTTP/1.1 503 x\r\nContent-Length: 9\r\n\r\nback "[..]).unwrap();
    assert_eq!(client.poll_timeout(), Some(at(10)));
    let Err(ResponseError::Refused(response)) = client.handle_timeout(at(10)) else { panic!("not a refusal") };
    assert_eq!((response.status, response.body.as_slice(), response.truncated), (503, &b"back "[..], true));
}

#[test]
fn without_a_timeout_the_clock_never_starts() {
    let mut config = ServerConfig::default();
    config.timeout = None;
    let mut server = ServerHandshake::new(&config);
    assert_eq!(server.handle_timeout(at(0)), Ok(()));
    assert_eq!(server.poll_timeout(), None);
    assert_eq!(server.handle_timeout(at(u64::MAX)), Ok(()));
}

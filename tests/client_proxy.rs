//! Tunnels through proxies of the test's own: on streams in memory under a paused clock, and on threads.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use proptest::prelude::*;
use sockeye::client::Credentials;
use sockeye::client::proxy::{
    Proxy, ProxyError, ProxyRules, Security, SocksReply, Tunnel, TunnelConfig, TunnelError, TunnelState, Tunneled,
};
use sockeye::handshake::{HeadError, HeadPart};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const TARGET: &str = "server.example:443";

fn proxy(url: &str) -> Proxy {
    url.parse().unwrap()
}

fn http() -> Proxy {
    proxy("http://proxy.example:3128")
}

fn socks() -> Proxy {
    proxy("socks5h://proxy.example")
}

fn target() -> String {
    TARGET.to_owned()
}

/// Feeds a machine pieces of these sizes, over and over; returns what it says, what it sent and what it left.
fn feed(proxy: &Proxy, bytes: &[u8], sizes: &[usize]) -> (Result<TunnelState, TunnelError>, Vec<u8>, Vec<u8>) {
    let mut output = Vec::new();
    let mut tunnel = Tunnel::new(proxy, "server.example", 443, &TunnelConfig::default(), &mut output).unwrap();
    let mut rest = bytes;
    let mut sizes = sizes.iter().cycle();
    let mut state = Ok(TunnelState::Opening);
    while !rest.is_empty() && state == Ok(TunnelState::Opening) {
        let (mut piece, behind) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        state = tunnel.receive(&mut piece, &mut output);
        assert!(state != Ok(TunnelState::Opening) || piece.is_empty(), "all is taken until the tunnel is open");
        rest = &rest[rest.len() - behind.len() - piece.len()..];
    }
    if let Err(error) = &state {
        assert_eq!(tunnel.receive(&mut &b"more"[..], &mut output).as_ref(), Err(error), "it says the same again");
        assert_eq!(tunnel.receive_eof().as_ref(), Err(error));
    }
    (state, output, rest.to_vec())
}

/// What a machine says to all of this at once.
fn verdict(proxy: &Proxy, bytes: &[u8]) -> Result<TunnelState, TunnelError> {
    feed(proxy, bytes, &[usize::MAX]).0
}

fn error_text(proxy: &Proxy, bytes: &[u8]) -> String {
    verdict(proxy, bytes).unwrap_err().to_string()
}

/// What is sent first.
fn first_output(proxy: &Proxy, host: &str, port: u16) -> Result<Vec<u8>, TunnelError> {
    let mut output = Vec::new();
    Tunnel::new(proxy, host, port, &TunnelConfig::default(), &mut output)?;
    Ok(output)
}

mod connect {
    use super::*;

    fn request(proxy: &Proxy, host: &str, port: u16) -> String {
        String::from_utf8(first_output(proxy, host, port).unwrap()).unwrap()
    }

    #[test]
    fn the_request_names_host_and_port_twice() {
        assert_eq!(
            request(&http(), "server.example", 80),
            "CONNECT server.example:80 HTTP/1.1\r\nHost: server.example:80\r\n\r\n"
        );
        for host in ["::1", "[::1]"] {
            assert_eq!(request(&http(), host, 443), "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n");
        }
    }

    #[test]
    fn credentials_go_into_the_request_and_header_fields_behind() {
        let proxy = proxy("http://Aladdin:open%20sesame@p").with_header("User-Agent", "sockeye").unwrap();
        assert_eq!(
            request(&proxy, "a", 1),
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\
             User-Agent: sockeye\r\n\r\n"
        );
    }

    #[test]
    fn an_authorization_of_the_callers_own_goes_in_place_of_basic() {
        let proxy = proxy("http://a:b@p").with_header("proxy-authorization", "Bearer x").unwrap();
        assert_eq!(
            request(&proxy, "a", 1),
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nproxy-authorization: Bearer x\r\n\r\n"
        );
    }

    #[test]
    fn a_host_that_would_break_the_request_apart_is_refused() {
        for host in ["", "a b", "a\r\nX: y", "a/b", "a:1", "u@a", "exämple", "[::1", "[a]", &"a".repeat(256)] {
            assert_eq!(first_output(&http(), host, 80), Err(TunnelError::Host { host: host.to_owned() }));
            assert_eq!(first_output(&socks(), host, 80), Err(TunnelError::Host { host: host.to_owned() }));
        }
    }

    #[test]
    fn any_2xx_opens_the_tunnel_right_behind_its_head() {
        for head in [
            "HTTP/1.1 200 Connection established\r\n\r\n",
            "HTTP/1.0 200 OK\r\nProxy-Agent: x\r\n\r\n",
            "HTTP/1.1 204\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            let (state, _, leftover) = feed(&http(), &[head.as_bytes(), b"abc"].concat(), &[usize::MAX]);
            assert_eq!((state, &leftover[..]), (Ok(TunnelState::Open), &b"abc"[..]), "{head}");
        }
    }

    #[test]
    fn a_refusal_tells_what_the_proxy_said() {
        let refused =
            |status: u16, reason: &str| TunnelError::Refused { target: target(), status, reason: reason.into() };
        let cases = [
            (403, "Filtered", "the proxy does not allow a connection to server.example:443: 403 Filtered"),
            (502, "Bad Gateway", "the proxy cannot reach server.example:443: 502 Bad Gateway"),
            (504, "", "the proxy cannot reach server.example:443: 504"),
            (400, "Bad Request", "the proxy refused to connect to server.example:443: 400 Bad Request"),
            (500, "Oops", "the proxy refused to connect to server.example:443: 500 Oops"),
            (302, "Found", "the proxy refused to connect to server.example:443: 302 Found"),
            (101, "Switching", "the proxy refused to connect to server.example:443: 101 Switching"),
        ];
        for (status, reason, text) in cases {
            let error = verdict(&http(), format!("HTTP/1.1 {status} {reason}\r\n\r\nbody").as_bytes()).unwrap_err();
            assert_eq!(error, refused(status, reason));
            assert_eq!(error.to_string(), text);
            assert_eq!(error.is_permanent(), status < 500, "{status}");
        }
        assert!(!refused(429, "").is_permanent());
        let endless = format!("HTTP/1.1 400 {}\r\n\r\n", "x".repeat(9000));
        assert!(error_text(&http(), endless.as_bytes()).len() < 300);
    }

    #[test]
    fn what_is_wrong_about_the_credentials_is_told() {
        let with_password = proxy("http://a:b@p");
        let answer = |status: u16, scheme: &str| {
            format!("HTTP/1.1 {status} No\r\nProxy-Authenticate: {scheme}\r\n\r\n").into_bytes()
        };
        assert_eq!(
            error_text(&http(), &answer(407, "Basic realm=\"x\"")),
            "the proxy wants a user name and a password (407): put them in its URL, http://user:password@proxy"
        );
        assert_eq!(
            error_text(&with_password, &answer(407, "Basic realm=\"x\"")),
            "the proxy does not accept the user name and the password (407)"
        );
        assert_eq!(
            error_text(&with_password, b"HTTP/1.0 401 Unauthorized\r\n\r\n"),
            "the proxy does not accept the user name and the password (401)"
        );
        for proxy in [http(), with_password] {
            let error = verdict(&proxy, &answer(407, "Negotiate, NTLM")).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the proxy wants Negotiate or NTLM authentication (407), and only Basic is spoken here"
            );
            assert!(error.is_permanent());
        }
    }

    #[test]
    fn garbage_is_refused_at_its_first_wrong_byte() {
        for garbage in [&b"SSH-2.0-OpenSSH"[..], b"\x15\x03\x01", b"\x05\x00", b"<html>", b"\r\n\r\n"] {
            let error = verdict(&http(), garbage).unwrap_err();
            assert_eq!(error, TunnelError::Head(HeadError::Malformed { part: HeadPart::StartLine }));
            assert_eq!(verdict(&http(), &garbage[..1]), Err(error), "one byte says it already");
        }
        assert_eq!(
            error_text(&http(), b"SSH"),
            "the answer of the proxy is not that of an HTTP proxy: the head is not HTTP/1.1: malformed start line"
        );
        assert!(verdict(&http(), b"HTTP/1.1 200 OK\nX: y\n\n").is_err(), "lines end with CR LF");
        assert!(verdict(&http(), b"HTTP/2 200\r\n\r\n").is_err());
    }

    #[test]
    fn an_endless_head_ends_at_the_limit() {
        let endless = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'a'; 20_000]].concat();
        assert_eq!(verdict(&http(), &endless), Err(TunnelError::Head(HeadError::TooLarge { max: 16 * 1024 })));
        assert_eq!(
            error_text(&http(), &endless),
            "the answer of the proxy is not that of an HTTP proxy: the head is longer than 16384 bytes"
        );
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
        assert_eq!(verdict(&http(), &interim), Err(TunnelError::Head(HeadError::TooLarge { max: 16 * 1024 })));
        let fields = [&b"HTTP/1.1 200 OK\r\n"[..], &b"a:b\r\n".repeat(101), b"\r\n"].concat();
        assert_eq!(verdict(&http(), &fields), Err(TunnelError::Head(HeadError::TooManyHeaders { max: 100 })));
    }
}

mod socks5 {
    use super::*;

    /// The answer to the greeting, then that to the request.
    const OPEN: &[u8] = b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x1f\x90";

    #[test]
    fn the_conversation_is_that_of_rfc_1928() {
        let (state, output, leftover) = feed(&socks(), &[OPEN, b"abc"].concat(), &[usize::MAX]);
        assert_eq!(state, Ok(TunnelState::Open));
        assert_eq!(output, b"\x05\x01\x00\x05\x01\x00\x03\x0eserver.example\x01\xbb");
        assert_eq!(leftover, b"abc");
    }

    #[test]
    fn addresses_are_sent_as_addresses() {
        let output = |host: &str| {
            let mut output = Vec::new();
            let mut tunnel = Tunnel::new(&socks(), host, 80, &TunnelConfig::default(), &mut output).unwrap();
            output.clear();
            tunnel.receive(&mut &b"\x05\x00"[..], &mut output).unwrap();
            output
        };
        assert_eq!(output("1.2.3.4"), b"\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50");
        let expected = b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50";
        assert_eq!(output("2001:db8::1"), expected);
        assert_eq!(output("[2001:db8::1]"), expected);
    }

    #[test]
    fn nothing_that_is_shown_of_a_tunnel_has_the_password_in_it() {
        let proxy = proxy("socks5://me:pass@p");
        let mut tunnel = Tunnel::new(&proxy, "server.example", 80, &TunnelConfig::default(), &mut Vec::new()).unwrap();
        for answer in [&b""[..], b"\x05", b"\x02"] {
            tunnel.receive(&mut &*answer, &mut Vec::new()).unwrap();
            let shown = format!("{tunnel:?}");
            assert!(shown.contains("server.example") && !shown.contains("112, 97, 115, 115"), "{shown}");
        }
    }

    #[test]
    fn user_name_and_password_follow_rfc_1929() {
        let proxy = proxy("socks5://me:pass@p");
        let (state, output, _) = feed(&proxy, &[b"\x05\x02\x01\x00", &OPEN[2..]].concat(), &[usize::MAX]);
        assert_eq!(state, Ok(TunnelState::Open));
        assert_eq!(output, b"\x05\x02\x00\x02\x01\x02me\x04pass\x05\x01\x00\x03\x0eserver.example\x01\xbb");
        let (state, output, _) = feed(&proxy, OPEN, &[usize::MAX]);
        assert_eq!(state, Ok(TunnelState::Open));
        assert_eq!(
            output, b"\x05\x02\x00\x02\x05\x01\x00\x03\x0eserver.example\x01\xbb",
            "unless the proxy wants none"
        );
    }

    #[test]
    fn an_address_of_each_kind_is_passed_over() {
        for address in [&b"\x01abcd"[..], b"\x03\x00", b"\x03\x05proxy", b"\x04abcdefghijklmnop"] {
            let answer = [b"\x05\x00\x05\x00\x00", address, b"\x00\x00", b"rest"].concat();
            let (state, _, leftover) = feed(&socks(), &answer, &[usize::MAX]);
            assert_eq!((state, &leftover[..]), (Ok(TunnelState::Open), &b"rest"[..]));
        }
        let error = verdict(&socks(), b"\x05\x00\x05\x00\x00\x02").unwrap_err();
        assert_eq!(error, TunnelError::SocksAddress { kind: 2 });
        assert_eq!(error.to_string(), "the answer of the SOCKS proxy has an address of the unknown kind 0x02");
    }

    #[test]
    fn a_reply_is_told_in_words() {
        let cases = [
            (1, "general failure", false),
            (2, "not allowed by its rules", true),
            (3, "network unreachable", false),
            (4, "host unreachable", false),
            (5, "connection refused", false),
            (6, "time to live expired", false),
            (7, "command not supported", true),
            (8, "kind of address not supported", true),
            (91, "unknown reason 91", false),
        ];
        for (code, words, is_permanent) in cases {
            let error = verdict(&socks(), &[5, 0, 5, code]).unwrap_err();
            assert_eq!(error, TunnelError::SocksRefused { target: target(), reply: SocksReply(code) });
            assert_eq!(error.to_string(), format!("the SOCKS proxy has no connection to server.example:443: {words}"));
            assert_eq!(error.is_permanent(), is_permanent, "{words}");
        }
    }

    #[test]
    fn what_is_wrong_about_the_authentication_is_told() {
        let with_password = proxy("socks5://me:pass@p");
        assert_eq!(
            error_text(&socks(), b"\x05\xff"),
            "the SOCKS proxy wants a user name and a password: put them in its URL, socks5://user:password@proxy"
        );
        assert_eq!(
            error_text(&with_password, b"\x05\xff"),
            "the SOCKS proxy accepts no authentication that is spoken here: neither none nor user name and password"
        );
        assert_eq!(
            error_text(&with_password, b"\x05\x02\x01\x01"),
            "the SOCKS proxy does not accept the user name and the password"
        );
        assert_eq!(
            error_text(&socks(), b"\x05\x02"),
            "the SOCKS proxy chose the authentication method 0x02, which was not offered"
        );
        assert_eq!(verdict(&with_password, b"\x05\x01"), Err(TunnelError::SocksMethod { method: 1 }));
    }

    #[test]
    fn credentials_that_socks_cannot_carry_are_refused() {
        let output = |user: &str, password: &str| {
            first_output(&socks().with_credentials(Credentials::new(user, password).unwrap()), "a", 1)
        };
        for (user, password) in [("", "x"), (&"u".repeat(256)[..], "x"), ("u", &"p".repeat(256))] {
            let error = output(user, password).unwrap_err();
            assert_eq!(error, TunnelError::SocksCredentialsLength);
            assert_eq!(
                error.to_string(),
                "a SOCKS proxy can be given a user name of 1 to 255 bytes and a password of up to 255"
            );
        }
        assert!(output("u", "").is_ok());
    }

    #[test]
    fn garbage_is_refused_at_its_first_byte_with_a_guess() {
        assert_eq!(
            error_text(&socks(), b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            "the answer of the proxy is not that of a SOCKS5 proxy: it begins with 0x48; is it an HTTP proxy?"
        );
        assert_eq!(
            error_text(&socks(), b"\x00\x5b"),
            "the answer of the proxy is not that of a SOCKS5 proxy: it begins with 0x00; is it a SOCKS4 proxy?"
        );
        assert_eq!(
            error_text(&socks(), b"\x15"),
            "the answer of the proxy is not that of a SOCKS5 proxy: it begins with 0x15"
        );
        assert_eq!(verdict(&socks(), b"\x05\x00\x04"), Err(TunnelError::SocksVersion { version: 4 }));
    }
}

/// Answers of both kinds of proxy, whole and broken off, right and wrong.
fn answer() -> impl Strategy<Value = (Proxy, Vec<u8>)> {
    let heads = prop::sample::select(vec![
        &b"HTTP/1.1 200 OK\r\n\r\n"[..],
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n",
        b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nX\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
    ]);
    let replies = prop::sample::select(vec![
        &b"\x05\x00\x05\x00\x00\x01abcd\x00\x01"[..],
        b"\x05\x02\x01\x00\x05\x00\x00\x03\x03abc\x00\x01",
        b"\x05\x02\x05\x01",
        b"\x05\x00\x05\x05\x00\x01\0\0\0\0\0\0",
        b"\x05\x00\x05\x00\x00\x07",
        b"\x05\xff",
    ]);
    let noise = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        (heads, noise.clone()).prop_map(|(head, noise)| (http(), [head, &noise].concat())),
        (replies, noise.clone()).prop_map(|(reply, noise)| (proxy("socks5://me:x@p"), [reply, &noise].concat())),
        noise.clone().prop_map(|noise| (http(), noise)),
        noise.prop_map(|noise| (socks(), noise)),
    ]
}

proptest! {
    #[test]
    fn any_split_of_the_same_bytes_gives_the_same(
        (proxy, bytes) in answer(),
        sizes in prop::collection::vec(1usize..9, 1..12),
    ) {
        prop_assert_eq!(feed(&proxy, &bytes, &sizes), feed(&proxy, &bytes, &[usize::MAX]));
    }

    #[test]
    fn no_bytes_make_a_tunnel_panic_or_take_more_than_belongs_to_it(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        size in 1usize..50,
    ) {
        let _ = feed(&http(), &[b"HTTP/1.1 200 ", &bytes[..]].concat(), &[size]);
        let (_, _, leftover) = feed(&socks(), &[b"\x05\x00\x05\x00\x00", &bytes[..]].concat(), &[size]);
        prop_assert!(bytes.ends_with(&leftover));
    }
}

/// Runs a proxy that reads each of these and answers each with the other, and the client through it.
async fn converse(
    proxy: &Proxy,
    config: &TunnelConfig,
    size: usize,
    script: &[(&[u8], &[u8])],
) -> (Result<Tunneled<DuplexStream>, ProxyError>, DuplexStream) {
    let (ours, mut theirs) = duplex(size);
    let serving = async {
        for (expected, answer) in script {
            let mut read = vec![0; expected.len()];
            theirs.read_exact(&mut read).await.unwrap();
            assert_eq!(&read, expected);
            theirs.write_all(answer).await.unwrap();
        }
        theirs
    };
    tokio::join!(proxy.tunnel(ours, "server.example", 443, config), serving)
}

const CONNECT: &[u8] = b"CONNECT server.example:443 HTTP/1.1\r\nHost: server.example:443\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn what_comes_along_with_the_answer_is_read_first() {
    for size in [1, 7, 4096] {
        let answer = b"HTTP/1.1 200 OK\r\n\r\nalong";
        let (tunneled, mut theirs) =
            converse(&http(), &TunnelConfig::default(), size.max(32), &[(CONNECT, answer)]).await;
        let mut tunneled = tunneled.unwrap();
        theirs.write_all(b" and behind").await.unwrap();
        drop(theirs);
        let mut all = Vec::new();
        let mut buffer = vec![0; size];
        loop {
            match tunneled.read(&mut buffer).await.unwrap() {
                0 => break,
                n => all.extend_from_slice(&buffer[..n]),
            }
        }
        assert_eq!(all, b"along and behind");
    }
}

#[tokio::test(start_paused = true)]
async fn socks_is_spoken_on_tokio_in_pieces_of_any_size() {
    let script: [(&[u8], &[u8]); 3] = [
        (b"\x05\x02\x00\x02", b"\x05\x02"),
        (b"\x01\x02me\x04pass", b"\x01\x00"),
        (b"\x05\x01\x00\x03\x0eserver.example\x01\xbb", b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"),
    ];
    for size in [1, 3, 4096] {
        let (tunneled, mut theirs) =
            converse(&proxy("socks5h://me:pass@p"), &TunnelConfig::default(), size, &script).await;
        let (mut stream, leftover) = tunneled.unwrap().into_parts();
        assert!(leftover.is_empty());
        let (written, mut read) = (stream.write_all(b"hello"), [0; 5]);
        let (written, _) = tokio::join!(written, theirs.read_exact(&mut read));
        written.unwrap();
        assert_eq!(&read, b"hello");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_hangs_is_left_when_time_is_over() {
    let begun = tokio::time::Instant::now();
    for (proxy, sent, partial) in
        [(http(), CONNECT, &b""[..]), (http(), CONNECT, b"HTTP/1.1 200 OK\r\nX: "), (socks(), b"\x05\x01\x00", b"\x05")]
    {
        let mut config = TunnelConfig::default();
        config.timeout = Some(Duration::from_secs(3));
        let before = tokio::time::Instant::now();
        let (tunneled, _theirs) = converse(&proxy, &config, 4096, &[(sent, partial)]).await;
        let Err(ProxyError::Tunnel(error)) = tunneled else { panic!("there is no tunnel") };
        assert_eq!(error.to_string(), "the proxy did not open a tunnel to server.example:443 within 3s");
        assert!(!error.is_permanent());
        assert_eq!(before.elapsed(), Duration::from_secs(3));
    }
    let (tunneled, _theirs) = converse(&http(), &TunnelConfig::default(), 4096, &[(CONNECT, b"")]).await;
    assert!(matches!(tunneled, Err(ProxyError::Tunnel(TunnelError::TimedOut { .. }))));
    assert_eq!(begun.elapsed(), Duration::from_secs(9 + 30), "the default");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_trickles_is_left_when_time_is_over() {
    let (ours, mut theirs) = duplex(4096);
    let trickling = tokio::spawn(async move {
        let mut answered = 0;
        theirs.write_all(b"HTTP/1.1 200 OK\r\nX: ").await.unwrap();
        while theirs.write_all(b"a").await.is_ok() {
            answered += 1;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        answered
    });
    let proxy = http();
    let tunneled = proxy.tunnel(ours, "server.example", 443, &TunnelConfig::default()).await;
    assert!(matches!(tunneled, Err(ProxyError::Tunnel(TunnelError::TimedOut { .. }))));
    assert!(trickling.await.unwrap() >= 29);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_closes_is_told_from_one_that_refuses() {
    for partial in [&b""[..], b"HTTP/1.1 200 OK\r\n"] {
        let (ours, mut theirs) = duplex(4096);
        theirs.write_all(partial).await.unwrap();
        theirs.shutdown().await.unwrap();
        let error = http().tunnel(ours, "server.example", 443, &TunnelConfig::default()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the proxy closed the connection before there was a tunnel to server.example:443"
        );
        assert!(!error.is_permanent());
    }
    let (ours, theirs) = duplex(4096);
    drop(theirs);
    let error = http().tunnel(ours, "server.example", 443, &TunnelConfig::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "the connection to the proxy failed: broken pipe");
}

/// Runs a proxy on a thread that serves one connection, and gives a connection to it.
fn serve(serving: impl FnOnce(TcpStream) + Send + 'static) -> (TcpStream, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let thread = std::thread::spawn(move || serving(listener.accept().unwrap().0));
    (stream, thread)
}

#[test]
fn a_blocking_stream_is_tunneled_and_keeps_its_own_read_timeout() {
    let (stream, serving) = serve(|mut stream| {
        let mut request = vec![0; CONNECT.len()];
        stream.read_exact(&mut request).unwrap();
        assert_eq!(request, CONNECT);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nalong").unwrap();
        let mut read = [0; 5];
        stream.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"hello");
        stream.write_all(b" and behind").unwrap();
    });
    stream.set_read_timeout(Some(Duration::from_secs(77))).unwrap();
    let mut tunneled = http().tunnel_blocking(stream, "server.example", 443, &TunnelConfig::default()).unwrap();
    assert_eq!(tunneled.get_ref().read_timeout().unwrap(), Some(Duration::from_secs(77)));
    tunneled.write_all(b"hello").unwrap();
    let mut all = String::new();
    tunneled.read_to_string(&mut all).unwrap();
    assert_eq!(all, "along and behind");
    serving.join().unwrap();
}

#[test]
fn socks_is_spoken_on_a_blocking_stream() {
    let (stream, serving) = serve(|mut stream| {
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).unwrap();
        stream.write_all(b"\x05\x00").unwrap();
        let mut request = [0; 21];
        stream.read_exact(&mut request).unwrap();
        assert_eq!(&request, b"\x05\x01\x00\x03\x0eserver.example\x01\xbb");
        stream.write_all(b"\x05\x05\x00\x01\0\0\0\0\0\0").unwrap();
    });
    let error = socks().tunnel_blocking(stream, "server.example", 443, &TunnelConfig::default()).unwrap_err();
    assert_eq!(error.to_string(), "the SOCKS proxy has no connection to server.example:443: connection refused");
    serving.join().unwrap();
}

#[test]
fn a_proxy_that_hangs_before_or_in_its_head_is_left_by_a_blocking_stream() {
    for partial in [&b""[..], b"HTTP/1.1 200 OK\r\nX: "] {
        let (stream, serving) = serve(move |mut stream| {
            stream.write_all(partial).unwrap();
            assert_eq!(std::io::copy(&mut stream, &mut std::io::sink()).unwrap(), CONNECT.len() as u64);
        });
        let mut config = TunnelConfig::default();
        config.timeout = Some(Duration::from_millis(50));
        let begun = std::time::Instant::now();
        let error = http().tunnel_blocking(stream, "server.example", 443, &config).unwrap_err();
        assert_eq!(error.to_string(), "the proxy did not open a tunnel to server.example:443 within 50ms");
        assert!(begun.elapsed() >= Duration::from_millis(50));
        serving.join().unwrap();
    }
}

#[test]
fn the_environment_of_the_process_is_read() {
    const NAME: &str = "the_environment_of_the_process_is_read";
    // The environment of this process is every test's: another process has one for this test.
    if std::env::var_os(NAME).is_none() {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .envs([(NAME, "1"), ("wss_proxy", "socks5h://proxy.example"), ("NO_PROXY", "direct.example")])
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"), "{child:?}");
        return;
    }
    let rules = ProxyRules::from_env().unwrap();
    assert_eq!(rules.proxy_for(Security::Tls, "server.example", 443), Some(&socks()));
    assert_eq!(rules.proxy_for(Security::Tls, "direct.example", 443), None);
}

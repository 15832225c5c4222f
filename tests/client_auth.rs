//! What an opening handshake of the client says: header fields, subprotocols, origin, and who asks.

mod client_support;

use client_support::*;
use sockeye::client::{Client, Credentials, Error, InvalidCredentials};
use sockeye::handshake::{BuildError, InvalidHeader};

#[tokio::test]
async fn connect_in_one_line() {
    let server = Server::saying(Answer::Open).await;
    let mut socket = sockeye::client::connect(server.url("/chat?room=1")).await.unwrap();
    assert_works(&mut socket).await;
    assert!(server.head().starts_with("GET /chat?room=1 HTTP/1.1\r\n"));
    assert_eq!(field(&server.head(), "Host"), Some(server.address.to_string()));
    assert_eq!(field(&server.head(), "Authorization"), None);
    assert!(socket.get_ref().tcp().unwrap().nodelay().unwrap());
}

#[tokio::test]
async fn header_fields_subprotocols_and_origin_are_sent() {
    let server = Server::saying(Answer::Open).await;
    let client = Client::new()
        .header("User-Agent", "tests/1")
        .unwrap()
        .header("Cookie", "id=7")
        .unwrap()
        .subprotocol("chat.v2")
        .unwrap()
        .subprotocol("chat.v1")
        .unwrap()
        .origin("https://page.example")
        .unwrap();
    client.connect(server.url("/")).await.unwrap();
    let head = server.head();
    assert_eq!(field(&head, "User-Agent").as_deref(), Some("tests/1"));
    assert_eq!(field(&head, "Cookie").as_deref(), Some("id=7"));
    assert_eq!(field(&head, "Sec-WebSocket-Protocol").as_deref(), Some("chat.v2, chat.v1"));
    assert_eq!(field(&head, "Origin").as_deref(), Some("https://page.example"));
}

#[tokio::test]
async fn every_connection_has_a_key_of_its_own() {
    let server = Server::saying(Answer::Open).await;
    let client = Client::new();
    for _ in 0..2 {
        client.connect(server.url("/")).await.unwrap();
    }
    let keys: Vec<_> = server.heads().iter().map(|head| field(head, "Sec-WebSocket-Key").unwrap()).collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test]
async fn user_name_and_password_of_the_url_are_sent_and_are_not_in_it() {
    let server = Server::saying(Answer::Open).await;
    let url = server.url("/x").replace("ws://", "ws://me:open%20sesame@");
    sockeye::client::connect(&url).await.unwrap();
    let head = server.head();
    // RFC 7617: base64 of `me:open sesame`.
    assert_eq!(field(&head, "Authorization").as_deref(), Some("Basic bWU6b3BlbiBzZXNhbWU="));
    assert!(head.starts_with("GET /x HTTP/1.1\r\n"));
    assert_eq!(field(&head, "Host"), Some(server.address.to_string()));
}

#[tokio::test]
async fn basic_and_bearer_auth_and_the_header_field_take_each_others_place_and_that_of_the_url() {
    let server = Server::saying(Answer::Open).await;
    let url = server.url("/").replace("ws://", "ws://other:user@");
    let sent = async |client: Client| {
        client.connect(&url).await.unwrap();
        let head = server.head();
        let count = head.lines().filter(|line| line.starts_with("Authorization:")).count();
        assert_eq!(count, 1, "{head}");
        field(&head, "Authorization").unwrap()
    };
    let basic = || Client::new().basic_auth("Aladdin", "open sesame").unwrap();
    // The example of RFC 7617 §2.
    assert_eq!(sent(basic()).await, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(sent(basic().bearer_auth("abc.d-e_f~+/==").unwrap()).await, "Bearer abc.d-e_f~+/==");
    assert_eq!(sent(basic().header("authorization", "Digest x=1").unwrap()).await, "Digest x=1");
    assert_eq!(sent(Client::new().bearer_auth("a").unwrap().basic_auth("", "").unwrap()).await, "Basic Og==");
}

#[test]
fn what_cannot_be_sent_is_refused_when_it_is_set() {
    let message = |set: Result<Client, Error>| set.map(|_| ()).unwrap_err().to_string();
    assert_eq!(message(Client::new().basic_auth("a:b", "")), "a user name cannot have a colon in it");
    assert_eq!(
        message(Client::new().basic_auth("a", "b\r\nX: y")),
        "a user name or password cannot have a control character in it"
    );
    for token in ["", "=", "a b", "a\r\nb", "ä", "a=b"] {
        assert_eq!(
            message(Client::new().bearer_auth(token)),
            "a bearer token consists of letters, digits and -._~+/= only",
            "{token:?}"
        );
    }
    let refused = |set: Result<Client, BuildError>| set.map(|_| ()).unwrap_err();
    assert!(matches!(refused(Client::new().header("Host", "h")), BuildError::ReservedHeader { .. }));
    assert!(matches!(refused(Client::new().header("sec-websocket-key", "h")), BuildError::ReservedHeader { .. }));
    let value = BuildError::Header(InvalidHeader::Value { name: "Authorization".into() });
    assert_eq!(refused(Client::new().header("Authorization", "a\r\nb")), value);
    assert!(matches!(refused(Client::new().subprotocol("a b")), BuildError::Subprotocol { .. }));
    assert!(matches!(refused(Client::new().origin("nowhere")), BuildError::Origin { .. }));
}

#[test]
fn secrets_are_not_printed() {
    let client = Client::new().basic_auth("me", "hunter2").unwrap().header("Cookie", "hunter2").unwrap();
    assert!(!format!("{client:?}").contains("hunter2"));
    let credentials = Credentials::new("me", "hunter2").unwrap();
    assert_eq!(format!("{credentials:?}"), "Credentials { user: \"me\", .. }");
    assert_eq!(Credentials::new("me:x", "hunter2"), Err(InvalidCredentials::Colon));
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn compression_is_offered_where_it_is_asked_for() {
    let server = Server::saying(Answer::Open).await;
    Client::new().deflate(sockeye::deflate::Deflate::default()).connect(server.url("/")).await.unwrap();
    let offered = field(&server.head(), "Sec-WebSocket-Extensions").unwrap();
    assert!(offered.starts_with("permessage-deflate"), "{offered}");
}

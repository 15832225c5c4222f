//! What it can do with the feature `client`.

use crate::support::*;

#[test]
fn a_user_logs_in_by_option_or_url() {
    let server = Server::bind();
    let in_url = server.url().replace("ws://", "ws://me:pass%3Aword@");
    for arguments in [[&*in_url, "--send", "x"].to_vec(), vec![&server.url(), "--send", "x", "--user", "me:pass:word"]]
    {
        let mut client = Client::start(&arguments);
        let (mut socket, seen) = server.accept();
        assert_eq!(seen["authorization"], "Basic bWU6cGFzczp3b3Jk");
        socket.send("in").unwrap();
        while socket.receive().unwrap().is_some() {}
        assert_eq!((&*client.stdout.rest(), client.code()), ("in\n", Some(0)));
    }
}

#[test]
fn it_connects_again_and_sends_what_was_typed_meanwhile() {
    let server = Server::bind();
    let mut client = Client::start(&[&server.url(), "--reconnect=0.001"]);
    for round in 0..3 {
        let (mut socket, _) = server.accept();
        let hello = format!("hello {round}");
        socket.send(&hello).unwrap();
        assert_eq!(client.stdout.line(), hello);
        drop(socket);
        assert_eq!(client.stderr.line(), "the connection was lost without a closing handshake");
        assert!(client.stderr.line().starts_with("connecting again in 0.0 s"));
        client.type_in(&format!("typed {round}\n"));
        let (mut socket, _) = server.accept();
        assert_eq!(socket.receive().unwrap(), Some(format!("typed {round}").into()));
        socket.close(Close::new(CloseCode::GOING_AWAY, "moving").unwrap()).unwrap();
        assert_eq!(socket.receive().unwrap(), None);
        assert_eq!(client.stderr.line(), "closed: 1001 moving");
        assert!(client.stderr.line().starts_with("connecting again in 0.0 s"));
    }
    let (mut socket, _) = server.accept();
    client.end_input();
    assert_eq!(socket.receive().unwrap(), None);
    assert_eq!((&*client.stderr.rest(), client.code()), ("closed: 1000\n", Some(0)));
}

#[test]
fn it_tells_why_it_waits_and_stops_at_what_will_not_heal() {
    let server = Server::bind();
    let mut client = Client::start(&[&server.url(), "--reconnect=0.001"]);
    server.refuse("503 Busy");
    let told = client.stderr.line();
    assert!(
        told.starts_with(&format!("{}/ refused the connection: the server answered 503 Busy; ", server.url())),
        "{told}"
    );
    server.refuse("403 Forbidden");
    let told = client.stderr.rest();
    assert_eq!(told, format!("client: {}/ refused the connection: the server answered 403 Forbidden\n", server.url()));
    assert_eq!(client.code(), Some(1));
}

#[test]
fn pings_show_their_round_trip_times() {
    let server = Server::bind();
    let mut client = Client::start(&[&server.url(), "--ping=0.001"]);
    let (mut socket, _) = server.accept();
    let answering = thread::spawn(move || assert_eq!(socket.receive().unwrap(), None));
    for _ in 0..5 {
        let line = client.stderr.line();
        let time = line.strip_prefix("pong after ").and_then(|rest| rest.strip_suffix(" ms")).expect(&line);
        assert!(time.parse::<f64>().unwrap() > 0.0, "{line}");
    }
    client.end_input();
    answering.join().unwrap();
    assert!(client.stderr.rest().ends_with("closed: 1000\n"));
    assert_eq!(client.code(), Some(0));
}

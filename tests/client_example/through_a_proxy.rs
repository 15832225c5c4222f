//! Proxies, which are this test itself.

use crate::support::*;

/// Reads the head of what the client asks a proxy for.
fn asked(stream: &TcpStream) -> String {
    let mut reader = BufReader::with_capacity(1, stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
    }
    head
}

/// Where `http_proxy` is not heeded, nor anything else that this machine has set.
fn without_proxies(arguments: &[&str]) -> Command {
    let mut command = Client::command(arguments);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
}

#[test]
fn of_the_command_line_or_the_environment_it_connects() {
    let proxy = Server::bind();
    let at = proxy.0.local_addr().unwrap();
    let target = "ws://name.invalid:81/";
    let told = without_proxies(&[target, "--send", "x", "--proxy", &format!("http://me:pw@{at}")]);
    let mut environment = without_proxies(&[target, "--send", "x", "--proxy", "env"]);
    environment.env("ALL_PROXY", format!("http://me:pw@{at}"));
    for command in [told, environment] {
        let mut client = Client::spawn(command);
        let stream = proxy.stream();
        let head = asked(&stream);
        assert!(head.starts_with("CONNECT name.invalid:81 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nProxy-Authorization: Basic bWU6cHc=\r\n"), "{head}");
        (&stream).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        let mut socket = sockeye::blocking::accept(stream).unwrap();
        socket.send("through").unwrap();
        while socket.receive().unwrap().is_some() {}
        assert_eq!((&*client.stdout.rest(), client.code()), ("through\n", Some(0)));
    }
}

#[test]
fn that_refuses_it_says_so_in_one_line() {
    let proxy = Server::bind();
    let at = proxy.0.local_addr().unwrap();
    let mut client =
        Client::spawn(without_proxies(&["ws://name.invalid/", "--proxy", &format!("http://me:secret@{at}")]));
    let stream = proxy.stream();
    asked(&stream);
    (&stream).write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").unwrap();
    let told = client.stderr.rest();
    assert!(told.lines().count() == 1 && told.contains("407") && !told.contains("secret"), "{told}");
    assert_eq!(client.code(), Some(1));
}

#[test]
fn that_is_none_it_says_so_at_once() {
    for url in ["ftp://127.0.0.1", "nonsense"] {
        let mut client = Client::start(&["ws://127.0.0.1:1", "--proxy", url]);
        let told = client.stderr.rest();
        assert!(told.starts_with("client: ") && told.lines().count() == 1, "{told}");
        assert_eq!(client.code(), Some(1));
    }
}

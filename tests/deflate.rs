//! permessage-deflate (RFC 7692) in the engine: the RFC's worked examples, the shape of what is sent, and what is made of
//! whatever comes.

use sockeye::deflate::{Agreement, Deflate, Level, MemoryLevel, WindowBits};
use sockeye::handshake::Extensions;
use sockeye::{Assembler, Config, Connection, ProtocolError, Received, Role, Rsv};

const PLAIN: &str = "permessage-deflate";

/// The settings of the RFC's examples: everything is compressed.
fn settings() -> Deflate {
    let mut deflate = Deflate::default();
    deflate.threshold = 0;
    deflate.window_bits = WindowBits::MAX;
    deflate.level = Level::new(6).unwrap();
    deflate.memory_level = MemoryLevel::new(8).unwrap();
    deflate
}

fn agreed(deflate: &Deflate, role: Role, answer: &str) -> Agreement {
    deflate.agreed(role, &Extensions::parse(answer).next().unwrap().unwrap()).unwrap()
}

/// A connection that compresses, and its assembler.
fn end(deflate: &Deflate, role: Role, answer: &str) -> (Connection, Assembler) {
    let agreement = agreed(deflate, role, answer);
    let mut connection = match role {
        Role::Server => Connection::server(Config::default()),
        Role::Client => Connection::client_with_keys(Config::default(), || [0; 4]),
    };
    connection.extend(Rsv::RSV1, agreement.encoder());
    let mut assembler = connection.assembler();
    assembler.extend(agreement.decoder());
    (connection, assembler)
}

/// What a client makes of these bytes from its server: whole messages, or what is wrong.
fn receive((client, assembler): &mut (Connection, Assembler), wire: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let (mut wire, mut output, mut messages) = (wire.to_vec(), Vec::new(), Vec::new());
    let mut input = &mut wire[..];
    while let Some(received) = client.receive_message(&mut input, assembler, &mut output)? {
        let Received::Message(message) = received else { continue };
        messages.push(message.payload().to_vec());
    }
    Ok(messages)
}

#[test]
fn the_examples_of_rfc_7692_are_read() {
    let client = || end(&settings(), Role::Client, PLAIN);
    let hello = vec![b"Hello".to_vec()];
    // §7.2.3.1: one frame; the same in two.
    let one = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00";
    assert_eq!(receive(&mut client(), one).unwrap(), hello);
    assert_eq!(receive(&mut client(), b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00").unwrap(), hello);
    // §7.2.3.2: a second message that refers to the first.
    let mut both = client();
    assert_eq!(receive(&mut both, one).unwrap(), hello);
    assert_eq!(receive(&mut both, b"\xc1\x05\xf2\x00\x11\x00\x00").unwrap(), hello);
    // §7.2.3.3: a block without compression.
    let stored = b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00";
    assert_eq!(receive(&mut client(), stored).unwrap(), hello);
    // §7.2.3.4: a final block, and an empty one behind it.
    assert_eq!(receive(&mut client(), b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00").unwrap(), hello);
    // §7.2.3.5: two blocks.
    let two = b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00";
    assert_eq!(receive(&mut client(), two).unwrap(), hello);
    // §7.2.3.6: nothing.
    assert_eq!(receive(&mut client(), b"\xc1\x01\x00").unwrap(), [b""]);
}

#[test]
fn the_examples_of_rfc_7692_are_written() {
    let mut output = Vec::new();
    let (mut server, _) = end(&settings(), Role::Server, PLAIN);
    server.send_text("Hello", &mut output).unwrap();
    assert_eq!(output, b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", "§7.2.3.1");
    output.clear();
    server.send_text("Hello", &mut output).unwrap();
    assert_eq!(output, b"\xc1\x05\xf2\x00\x11\x00\x00", "§7.2.3.2");
    output.clear();
    server.send_text("", &mut output).unwrap();
    assert_eq!(output, b"\xc1\x01\x00", "§7.2.3.6");

    output.clear();
    let mut stored = settings();
    stored.level = Level::MIN;
    let (mut server, _) = end(&stored, Role::Server, PLAIN);
    server.send_text("Hello", &mut output).unwrap();
    assert_eq!(output, b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "§7.2.3.3");
}

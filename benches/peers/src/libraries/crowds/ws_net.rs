//! ws-net: the message is lent to each, whose output is then written.

use ws_net::{Connection, Event};

use super::crowd;
use crate::broadcast::{Broadcast, Publication};
use crate::curves::Gather;
use crate::libraries::ws_net::connection;
use crate::library::Role;
use crate::messages::{Kind, Message};
use crate::stream::Stream;

pub struct WsNet(Vec<Box<(Connection, Stream)>>);

impl WsNet {
    fn new(streams: Vec<Stream>) -> Self {
        Self(crowd(streams, |stream| (connection(Role::Server), stream)))
    }
}

impl Broadcast for WsNet {
    fn open(_: &Publication, streams: Vec<Stream>) -> Self {
        Self::new(streams)
    }

    fn publish(&mut self, message: &mut Message) {
        for end in &mut self.0 {
            let (connection, stream) = &mut **end;
            match message.kind {
                Kind::Text => connection.send_text(&message.text).expect("it is open"),
                Kind::Binary => connection.send_binary(&message.bytes).expect("it is open"),
            }
            let written = stream.put(connection.output());
            connection.advance_output(written);
        }
    }
}

impl Gather for WsNet {
    fn open(streams: Vec<Stream>) -> Self {
        Self::new(streams)
    }

    fn gather(&mut self, mut visit: impl FnMut(&[u8])) {
        for end in &mut self.0 {
            let (connection, stream) = &mut **end;
            loop {
                match connection.poll().expect("it is right") {
                    Event::Text(text) => visit(text.as_bytes()),
                    Event::Binary(bytes) => visit(bytes),
                    Event::NeedInput => match stream.fill(connection.read_buf()) {
                        0 => break,
                        read => connection.commit(read),
                    },
                    other => panic!("it receives {other:?}"),
                }
            }
        }
    }
}

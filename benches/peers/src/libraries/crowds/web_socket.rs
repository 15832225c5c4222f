//! web-socket: the message is lent to each.

use tokio::io::BufReader;
use tokio::runtime::Runtime;
use web_socket::WebSocket;

use super::crowd;
use crate::broadcast::{Broadcast, Publication};
use crate::libraries::web_socket::socket;
use crate::library::{Role, runtime};
use crate::messages::{Kind, Message};
use crate::stream::Stream;

pub struct Web(Vec<Box<WebSocket<BufReader<Stream>>>>, Runtime);

impl Broadcast for Web {
    fn open(_: &Publication, streams: Vec<Stream>) -> Self {
        Self(crowd(streams, |stream| socket(Role::Server, stream)), runtime())
    }

    fn publish(&mut self, message: &mut Message) {
        let Self(ends, runtime) = self;
        runtime.block_on(async {
            for socket in ends {
                match message.kind {
                    Kind::Text => socket.send(&message.text[..]).await.expect("it is open"),
                    Kind::Binary => socket.send(&message.bytes[..]).await.expect("it is open"),
                }
                socket.flash().await.expect("it is open");
            }
        });
    }
}

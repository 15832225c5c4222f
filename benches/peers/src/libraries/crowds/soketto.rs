//! soketto: the message is lent to each.

use soketto::connection::{Receiver, Sender};
use tokio::runtime::Runtime;

use super::crowd;
use crate::broadcast::{Broadcast, Publication};
use crate::libraries::soketto::halves;
use crate::library::{Role, runtime};
use crate::messages::{Kind, Message};
use crate::stream::Stream;

pub struct Soketto(Vec<Box<(Sender<Stream>, Receiver<Stream>)>>, Runtime);

impl Broadcast for Soketto {
    fn open(_: &Publication, streams: Vec<Stream>) -> Self {
        Self(crowd(streams, |stream| halves(Role::Server, stream)), runtime())
    }

    fn publish(&mut self, message: &mut Message) {
        let Self(ends, runtime) = self;
        runtime.block_on(async {
            for end in ends {
                let (sender, _) = &mut **end;
                match message.kind {
                    Kind::Text => sender.send_text(&message.text).await.expect("it is open"),
                    Kind::Binary => sender.send_binary_mut(&mut message.bytes).await.expect("it is open"),
                }
                sender.flush().await.expect("it is open");
            }
        });
    }
}

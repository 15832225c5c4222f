//! What the asynchronous adapters promise of their types: what can move, what can be shared, what can be spawned.

use std::fmt::Debug;
use std::future::Future;

use futures_util::{Sink, Stream};
use sockeye::driver::{Drain, Drained, Gate, Limits, Outgoing, Seat};
use sockeye::tokio::{Accepting, Acceptor, Connecting, Connector, Receiver, Sender, Server, ServerHandle, WebSocket};
use sockeye::{Close, Message, MessageKind, PreparedMessage, driver, futures, test_kit};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;

fn is_shared<T: Send + Sync + Unpin + Debug + 'static>() {}

/// What a task can be made of.
fn is_spawned<F: Future + Send>(_: F) {}

#[test]
fn connections_halves_and_handshakes_move_between_threads_and_are_shared() {
    is_shared::<WebSocket<TcpStream>>();
    is_shared::<Receiver<TcpStream>>();
    is_shared::<Sender<TcpStream>>();
    is_shared::<Accepting<TcpStream>>();
    is_shared::<Connecting<TcpStream>>();
    is_shared::<Acceptor>();
    is_shared::<Connector>();
    is_shared::<Server>();
    is_shared::<ServerHandle>();
    is_shared::<futures::WebSocket<smol::net::TcpStream>>();
    is_shared::<futures::Receiver<smol::net::TcpStream>>();
    is_shared::<futures::Sender<smol::net::TcpStream>>();
    is_shared::<futures::Acceptor>();
    is_shared::<futures::Connector>();
    is_shared::<test_kit::WebSocket>();
    is_shared::<Gate>();
    is_shared::<Seat>();
    is_shared::<Limits>();
    is_shared::<Drain>();
    is_shared::<Drained>();
    is_shared::<driver::Error>();
    is_shared::<Outgoing<'static>>();
}

#[test]
fn a_connection_is_a_stream_and_a_sink_of_messages_and_so_are_its_halves() {
    fn is_stream<T: Stream<Item = Result<Message, driver::Error>>>() {}
    fn is_sink<T: Sink<Message, Error = driver::Error>>() {}
    is_stream::<WebSocket<DuplexStream>>();
    is_sink::<WebSocket<DuplexStream>>();
    is_stream::<Receiver<DuplexStream>>();
    is_sink::<Sender<DuplexStream>>();
}

#[test]
fn a_message_in_pieces_is_read_and_written_in_the_way_of_each_runtime() {
    fn is_reader<T: AsyncRead + smol::io::AsyncRead + Stream + Send + Sync>() {}
    fn is_writer<T: AsyncWrite + smol::io::AsyncWrite + Send + Sync>() {}
    is_reader::<sockeye::tokio::MessageReader<'static, DuplexStream>>();
    is_writer::<sockeye::tokio::MessageWriter<'static, DuplexStream>>();
}

#[test]
fn every_future_can_be_part_of_a_task() {
    #[allow(dead_code, reason = "it is enough that it compiles")]
    fn of_a_connection(socket: &mut WebSocket<TcpStream>) {
        is_spawned(socket.receive());
        is_spawned(socket.receive_ref());
        is_spawned(socket.receive_chunk());
        is_spawned(socket.receive_reader());
        is_spawned(socket.send("text"));
        is_spawned(socket.send(String::new()));
        is_spawned(socket.feed(&[1, 2, 3]));
        is_spawned(socket.flush());
        is_spawned(socket.writer(MessageKind::Text));
        is_spawned(socket.ping());
        is_spawned(socket.close(Close::normal()));
    }
    #[allow(dead_code, reason = "it is enough that it compiles")]
    fn of_halves(receiver: &mut Receiver<TcpStream>, sender: &Sender<TcpStream>, prepared: &PreparedMessage) {
        is_spawned(receiver.receive());
        is_spawned(receiver.receive_ref());
        is_spawned(receiver.receive_chunk());
        is_spawned(receiver.receive_reader());
        is_spawned(sender.send(prepared));
        is_spawned(sender.feed(vec![1]));
        is_spawned(sender.flush());
        is_spawned(sender.writer(MessageKind::Binary));
        is_spawned(sender.close(Close::normal()));
        is_spawned(sender.closed());
        // What waits for a pong needs nobody else.
        fn is_free<F: Future + Send + 'static>(_: F) {}
        is_free(sender.ping());
    }
    #[allow(dead_code, reason = "it is enough that it compiles")]
    fn of_a_server(server: Server, handle: &ServerHandle, acceptor: &Acceptor, stream: TcpStream) {
        is_spawned(acceptor.accept(stream));
        is_spawned(server.run(|accepting, _peer| async move {
            accepting.accept().await?;
            Ok(())
        }));
        is_spawned(handle.shutdown(Drain::default()));
        is_spawned(sockeye::tokio::connect("ws://localhost/"));
        is_spawned(futures::connect("ws://localhost/"));
    }
}

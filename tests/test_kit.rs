//! The kit for tests of applications: each fault, the clock, the executor, and the expectations that fail.

use core::future::{pending, poll_fn};
use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use sockeye::driver::Error;
use sockeye::handshake::ClientRequest;
use sockeye::test_kit::{
    self, Acceptor, Clock, Connector, Expect, Faults, Link, Pair, RawPeer, Stream, WebSocket, run, spawn,
};
use sockeye::{Close, CloseCode, EndCause, Instant, OpCode, ProtocolError, Timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a story over a pair of the defaults.
fn story<F: Future>(story: impl FnOnce(Clock, WebSocket, WebSocket) -> F) -> F::Output {
    story_with(|_| {}, story)
}

/// Runs a story over a pair with a change.
fn story_with<F: Future>(
    change: impl FnOnce(&mut Pair),
    story: impl FnOnce(Clock, WebSocket, WebSocket) -> F,
) -> F::Output {
    let clock = Clock::new();
    let mut pair = Pair::new(&clock);
    change(&mut pair);
    let (client, server) = pair.sockets();
    run(&clock, story(clock.clone(), client, server))
}

/// How much time has passed on a new clock.
fn passed(clock: &Clock) -> Duration {
    clock.now() - Instant::default()
}

/// Counts how often it is woken.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Counter {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A waker that owns something, as one that owns its task does.
struct Owner<T>(T);

impl<T: Send + Sync> Wake for Owner<T> {
    fn wake(self: Arc<Self>) {}
}

/// Polls once, with a waker that nobody waits for.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What a story panics with.
fn panic_of(story: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(story)).unwrap_err();
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => (*panic.downcast::<&str>().unwrap()).into(),
    }
}

/// That a panic tells this, and a place in this file.
#[track_caller]
fn assert_tells(message: &str, what: &str) {
    assert!(message.starts_with(what) && message.contains("test_kit.rs:"), "{message}");
}

mod pairs {
    use super::*;

    #[test]
    fn messages_go_both_ways_and_a_close_ends_both_sides() {
        story(async |_, mut client, mut server| {
            client.send("to the server").await.unwrap();
            server.send(b"to the client").await.unwrap();
            server.expect_text("to the server").await;
            client.expect_binary(b"to the client").await;
            client.close(Close::new(CloseCode::GOING_AWAY, "bye").unwrap()).await.unwrap();
            let serving = spawn(async move { server.expect_close(CloseCode::GOING_AWAY).await });
            client.expect_close(CloseCode::GOING_AWAY).await;
            assert_eq!(serving.await.reason(), "bye");
        });
    }

    #[test]
    fn the_opening_handshake_can_be_left_to_the_application() {
        let clock = Clock::new();
        run(&clock, async {
            let (client, server) = Pair::new(&clock).streams();
            let accepting = spawn(async move { Acceptor::default().accept(server).await });
            let request = ClientRequest::new("localhost", "/").unwrap();
            let mut client = Connector::default().handshake(client, request).await.unwrap();
            let mut server = accepting.await.unwrap();
            assert!(client.response().is_some());
            server.send("welcome").await.unwrap();
            client.expect_text("welcome").await;
        });
    }

    #[test]
    fn a_handshake_that_is_not_answered_ends_at_its_deadline() {
        let clock = Clock::new();
        run(&clock, async {
            let (client, _server) = Pair::new(&clock).streams();
            let request = ClientRequest::new("localhost", "/").unwrap();
            let refused = Connector::default().handshake(client, request).await;
            assert!(matches!(refused, Err(Error::Response(_))), "{refused:?}");
            assert_eq!(passed(&clock), Connector::default().handshake.timeout.unwrap());
        });
    }

    #[test]
    fn a_full_direction_makes_the_writer_wait_until_it_is_read() {
        story_with(
            |pair| pair.to_server_capacity = 10,
            async |clock, mut client, mut server| {
                let sent = clock.timeout(SECOND, client.send("twenty bytes of text")).await;
                assert!(sent.is_none());
                assert_eq!(client.get_ref().outgoing().written(), 10);
                let sending = async {
                    client.flush().await.unwrap();
                    client
                };
                futures_util::future::join(sending, server.expect_text("twenty bytes of text")).await;
            },
        );
    }

    #[test]
    fn an_end_that_is_dropped_is_an_end_to_read_and_broken_to_write() {
        story(async |_, mut client, mut server| {
            client.send("last words").await.unwrap();
            drop(client);
            server.expect_text("last words").await;
            let sent = server.send("too late").await;
            assert!(matches!(sent, Err(Error::Io(error)) if error.kind() == ErrorKind::BrokenPipe));
        });
        story(async |_, client, mut server| {
            drop(client);
            server.expect_lost().await;
        });
    }

    #[test]
    fn a_reader_and_a_writer_that_wait_are_woken_when_the_other_end_is_dropped() {
        story_with(
            |pair| pair.to_server_capacity = 1,
            async |clock, client, server| {
                let (mut receiver, sender) = client.split();
                let reading = spawn(async move { receiver.receive().await });
                let writing = spawn(async move { sender.send("too long").await });
                clock.sleep(SECOND).await;
                drop(server);
                assert!(reading.await.is_err());
                assert!(writing.await.is_err());
                assert_eq!(passed(&clock), SECOND);
            },
        );
    }

    #[test]
    fn the_wakers_of_the_two_directions_do_not_push_each_other_out() {
        use sockeye::driver::Transport;
        let mut pair = Pair::new(&Clock::new());
        pair.to_server_capacity = 1;
        let (client, server) = pair.streams();
        let (mut client, mut server) = (test_kit::Transport::new(client), RawPeer::server(server));
        let (reader, writer) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
        let (read, write) = (Waker::from(reader.clone()), Waker::from(writer.clone()));
        assert!(client.poll_write(&mut Context::from_waker(&write), b"a").is_ready());
        assert!(client.poll_write(&mut Context::from_waker(&write), b"b").is_pending());
        assert!(client.poll_read(&mut Context::from_waker(&read), &mut [0]).is_pending());
        assert_eq!(server.take(), b"a");
        assert_eq!((reader.count(), writer.count()), (0, 1));
        server.write(b"c");
        assert_eq!((reader.count(), writer.count()), (1, 1));
        // Each is woken once for each time that it waits.
        server.write(b"d");
        assert_eq!((reader.count(), writer.count()), (1, 1));
    }

    #[test]
    fn a_waker_that_owns_an_end_or_a_timer_can_be_replaced() {
        use sockeye::driver::{Timer, Transport};
        let clock = Clock::new();
        let (client, server) = Pair::new(&clock).streams();
        let mut client = test_kit::Transport::new(client);
        let owner = Waker::from(Arc::new(Owner(server)));
        assert!(client.poll_read(&mut Context::from_waker(&owner), &mut [0]).is_pending());
        drop(owner);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(client.poll_read(&mut cx, &mut [0]).is_pending());
        assert!(matches!(client.poll_read(&mut cx, &mut [0]), Poll::Ready(Ok(0))));

        let (mut timer, mut owned) = (clock.timer(), clock.timer());
        assert!(owned.poll_until(clock.now() + SECOND, &mut cx).is_pending());
        let owner = Waker::from(Arc::new(Owner(owned)));
        assert!(timer.poll_until(clock.now() + 2 * SECOND, &mut Context::from_waker(&owner)).is_pending());
        drop(owner);
        assert!(timer.poll_until(clock.now() + 2 * SECOND, &mut cx).is_pending());
        assert_eq!(clock.next_timer(), Some(clock.now() + 2 * SECOND));
    }

    #[test]
    fn everything_is_send_and_sync() {
        fn check<T: Send + Sync>() {}
        fn check_value<T: Send>(_: &T) {}
        check::<Clock>();
        check::<Stream>();
        check::<Link>();
        check::<Pair>();
        check::<RawPeer>();
        check_value(&Pair::new(&Clock::new()).sockets());
        let clock = Clock::new();
        let (mut client, _server) = Pair::new(&clock).sockets();
        check_value(&client.expect_text("so it can be awaited in a task of tokio"));
        check_value(&client.expect_nothing(&clock, SECOND));
    }
}

mod clocks {
    use super::*;

    #[test]
    fn time_passes_only_when_it_is_told_to() {
        let clock = Clock::new();
        assert_eq!((passed(&clock), clock.next_timer()), (Duration::ZERO, None));
        clock.advance(2 * SECOND);
        assert_eq!(passed(&clock.clone()), 2 * SECOND);
    }

    #[test]
    fn a_timer_fires_at_its_time_and_not_before() {
        let clock = Clock::new();
        let mut sleep = pin!(clock.sleep(SECOND));
        assert!(poll_once(sleep.as_mut()).is_pending());
        clock.advance(SECOND - Duration::from_nanos(1));
        assert!(poll_once(sleep.as_mut()).is_pending());
        clock.advance(Duration::from_nanos(1));
        assert!(poll_once(sleep).is_ready());
        assert_eq!(clock.next_timer(), None);
    }

    #[test]
    fn a_timer_that_is_set_anew_or_dropped_leaves_nothing_behind() {
        use sockeye::driver::Timer;
        let clock = Clock::new();
        let mut cx = Context::from_waker(Waker::noop());
        let mut timer = clock.timer();
        assert!(timer.poll_until(clock.now() + 3 * SECOND, &mut cx).is_pending());
        assert!(timer.poll_until(clock.now() + SECOND, &mut cx).is_pending());
        assert_eq!(clock.next_timer(), Some(clock.now() + SECOND));
        drop(timer);
        assert!(!clock.advance_to_next());
    }

    #[test]
    fn advancing_wakes_all_whose_time_has_come_in_the_order_of_their_times() {
        let clock = Clock::new();
        let order = Rc::new(RefCell::new(Vec::new()));
        run(&clock, async {
            let tasks: Vec<_> = [3, 1, 2, 5]
                .map(|seconds| {
                    let (sleep, order) = (clock.sleep(seconds * SECOND), order.clone());
                    spawn(async move {
                        sleep.await;
                        order.borrow_mut().push(seconds);
                    })
                })
                .into();
            // They get to wait, and then three of them are late at once.
            clock.sleep(Duration::from_millis(1)).await;
            clock.advance(4 * SECOND);
            for task in tasks {
                task.await;
            }
        });
        assert_eq!(*order.borrow(), [1, 2, 3, 5]);
    }

    #[test]
    fn a_timeout_lets_through_what_is_ready_and_ends_what_is_not() {
        let clock = Clock::new();
        run(&clock, async {
            assert_eq!(clock.timeout(SECOND, async { 1 }).await, Some(1));
            assert_eq!(clock.timeout(SECOND, pending::<()>()).await, None);
            assert_eq!(passed(&clock), SECOND);
        });
    }

    #[test]
    fn a_keepalive_ping_goes_out_at_its_interval() {
        let clock = Clock::new();
        let mut pair = Pair::new(&clock);
        pair.server.ping_interval = Some(30 * SECOND);
        let (mut client, mut server) = pair.raw_client();
        run(&clock, async {
            let serving = spawn(async move { server.receive().await });
            for round in 1..=3 {
                let payload = client.expect_ping().await;
                assert_eq!(passed(&clock), round * 30 * SECOND);
                client.send_frame(OpCode::Pong, &payload);
            }
            // This one is not answered.
            client.expect_ping().await;
            assert!(matches!(serving.await, Err(Error::Timeout(Timeout::Pong))));
            assert_eq!(passed(&clock), (4 * 30 + 20) * SECOND);
            client.expect_close(CloseCode::INTERNAL_ERROR).await;
        });
    }

    #[test]
    fn an_idle_connection_is_closed_at_its_deadline() {
        story_with(
            |pair| pair.server.idle_timeout = Some(60 * SECOND),
            async |clock, mut client, mut server| {
                let serving = spawn(async move {
                    let ended = server.receive().await;
                    (ended, server.end_cause().cloned())
                });
                client.expect_close(CloseCode::GOING_AWAY).await;
                assert_eq!(passed(&clock), 60 * SECOND);
                let (ended, cause) = serving.await;
                assert!(matches!(ended, Err(Error::Timeout(Timeout::Idle))), "{ended:?}");
                assert_eq!(cause, Some(EndCause::Timeout(Timeout::Idle)));
            },
        );
    }

    #[test]
    fn a_peer_that_does_not_read_runs_into_the_output_deadline() {
        story_with(
            |pair| {
                pair.to_client = Faults::new().stall_writes(0);
                pair.server.output_timeout = Some(7 * SECOND);
            },
            async |clock, _client, mut server| {
                let sent = server.send("into nothing").await;
                assert!(matches!(sent, Err(Error::Timeout(Timeout::Output))), "{sent:?}");
                assert_eq!(passed(&clock), 7 * SECOND);
            },
        );
    }
}

mod executor {
    use super::*;

    #[test]
    fn a_future_of_days_takes_no_time_and_tasks_run_beside_it() {
        let clock = Clock::new();
        let ticks = Rc::new(Cell::new(0));
        let sum = run(&clock, async {
            let (each, counted) = (clock.clone(), ticks.clone());
            spawn(async move {
                loop {
                    each.sleep(3600 * SECOND).await;
                    counted.set(counted.get() + 1);
                }
            });
            clock.sleep(3 * 24 * 3600 * SECOND + SECOND).await;
            spawn(async { 4 }).await + 3
        });
        assert_eq!((sum, ticks.get()), (7, 72));
        assert_eq!(Rc::strong_count(&ticks), 1, "the task was dropped");
        assert_eq!(clock.next_timer(), None);
    }

    #[test]
    fn a_task_that_nobody_waits_for_runs_and_one_can_spawn_another() {
        let clock = Clock::new();
        let done = Rc::new(Cell::new(false));
        run(&clock, async {
            let done = done.clone();
            spawn(async move {
                spawn(async move { done.set(true) });
            });
            clock.sleep(SECOND).await;
        });
        assert!(done.get());
    }

    #[test]
    fn a_task_that_is_woken_twice_is_polled_once() {
        let clock = Clock::new();
        let polls = Cell::new(0);
        run(
            &clock,
            poll_fn(|cx| {
                polls.set(polls.get() + 1);
                cx.waker().wake_by_ref();
                cx.waker().wake_by_ref();
                if polls.get() == 3 { Poll::Ready(()) } else { Poll::Pending }
            }),
        );
        assert_eq!(polls.get(), 3);
    }

    #[test]
    #[should_panic(expected = "every task waits and no timer is set, at Instant(1s)")]
    fn a_test_in_which_nothing_can_happen_any_more_panics() {
        let clock = Clock::new();
        run(&clock, async {
            spawn(pending::<()>());
            clock.sleep(SECOND).await;
            pending::<()>().await;
        });
    }

    #[test]
    fn that_panic_tells_what_was_expected() {
        let message = panic_of(|| {
            story(async |_, mut client, mut server| {
                spawn(async move { server.expect_text("hello").await });
                client.expect_binary(b"\0").await;
            });
        });
        let (first, rest) = message.split_once('\n').unwrap();
        assert_eq!(first, "every task waits and no timer is set, at Instant(0ns)");
        let lines: Vec<_> = rest.lines().map(|line| line.split(", at ").next().unwrap()).collect();
        assert_eq!(lines, ["  for the binary message b\"\\x00\"", "  for the text \"hello\""]);
    }

    #[test]
    #[should_panic(expected = "the test is not done after 1000000 timers")]
    fn a_test_in_which_only_time_passes_panics() {
        let clock = Clock::new();
        run(&clock, async {
            loop {
                clock.sleep(SECOND).await;
            }
        });
    }

    #[test]
    fn a_panic_of_a_task_is_that_of_the_run_and_leaves_the_thread_usable() {
        let clock = Clock::new();
        let message = panic_of(|| {
            run(&clock, async { spawn(async { panic!("in a task") }).await });
        });
        assert_eq!(message, "in a task");
        assert_eq!(run(&clock, async { 1 }), 1);
    }

    #[test]
    #[should_panic(expected = "spawned outside of test_kit::run")]
    fn nothing_is_spawned_outside_of_a_run() {
        spawn(async {});
    }

    #[test]
    #[should_panic(expected = "test_kit::run inside of test_kit::run")]
    fn a_run_inside_of_a_run_is_refused() {
        let clock = Clock::new();
        run(&clock, async { run(&clock, async {}) });
    }

    #[test]
    fn a_task_that_spawns_while_it_is_dropped_does_no_harm() {
        struct Spawns;
        impl Drop for Spawns {
            fn drop(&mut self) {
                spawn(async {});
            }
        }
        run(&Clock::new(), async {
            let spawns = Spawns;
            spawn(async move {
                pending::<()>().await;
                drop(spawns);
            });
        });
    }

    #[tokio::test]
    async fn tokio_will_do_with_the_clock_moved_by_hand() {
        let clock = Clock::new();
        let mut pair = Pair::new(&clock);
        pair.server.idle_timeout = Some(60 * SECOND);
        let (mut client, mut server) = pair.sockets();
        let serving = tokio::spawn(async move { server.receive().await });
        client.send("hello").await.unwrap();
        assert!(matches!(serving.await.unwrap(), Ok(Some(_))));

        let (mut client, mut server) = pair.sockets();
        let serving = tokio::spawn(async move { server.expect_error().await });
        let closed = tokio::spawn(async move { client.expect_close(CloseCode::GOING_AWAY).await });
        while clock.next_timer().is_none() {
            tokio::task::yield_now().await;
        }
        clock.advance(60 * SECOND);
        assert!(matches!(serving.await.unwrap(), Error::Timeout(Timeout::Idle)));
        closed.await.unwrap();
    }
}

mod expectations {
    use super::*;

    #[test]
    fn another_message_is_shown() {
        let message = panic_of(|| {
            story(async |_, mut client, mut server| {
                server.send("bye").await.unwrap();
                client.expect_text("hello").await;
            });
        });
        assert_tells(&message, "expected the text \"hello\", but the text \"bye\" came; at ");
    }

    #[test]
    fn another_kind_of_message_is_not_the_one() {
        let message = panic_of(|| {
            story(async |_, mut client, mut server| {
                server.send("hello").await.unwrap();
                client.expect_binary(b"hello").await;
            });
        });
        assert_tells(&message, "expected the binary message b\"hello\", but the text \"hello\" came; at ");
    }

    #[test]
    fn a_long_message_is_shown_in_part() {
        let message = panic_of(|| {
            story(async |_, mut client, mut server| {
                server.send(vec![b'x'; 300]).await.unwrap();
                client.expect_text(&"é".repeat(300)).await;
            });
        });
        let (text, bytes) = ("é".repeat(200), "x".repeat(200));
        assert_tells(
            &message,
            &format!(
                "expected the text of 600 bytes that begins with {text:?}, \
                 but the binary message of 300 bytes that begins with b\"{bytes}\" came; at "
            ),
        );
    }

    #[test]
    fn a_close_is_no_message_and_another_close_is_not_the_one() {
        let close = || Close::new(CloseCode::GOING_AWAY, "later").unwrap();
        let message = panic_of(|| {
            story(async |_, mut client, mut server| {
                server.close(close()).await.unwrap();
                client.expect_text("hello").await;
            });
        });
        assert_tells(&message, "expected the text \"hello\", but a close with 1001 and the reason \"later\" came; at ");
        let message = panic_of(|| {
            story(async |_, mut client, mut server| {
                server.close(close()).await.unwrap();
                client.expect_close(CloseCode::NORMAL).await;
            });
        });
        assert_tells(&message, "expected a close with 1000, but a close with 1001 and the reason \"later\" came; at ");
    }

    #[test]
    fn an_error_is_no_message_and_a_message_no_error() {
        let message = panic_of(|| {
            story(async |_, mut client, server| {
                drop(server);
                client.expect_text("hello").await;
            });
        });
        assert_tells(&message, "expected the text \"hello\", but the connection ended: the connection was lost");
        let message = panic_of(|| {
            story(async |_, mut client, mut server| {
                server.send("hello").await.unwrap();
                client.expect_error().await;
            });
        });
        assert_tells(&message, "expected an error, but the text \"hello\" came; at ");
    }

    #[test]
    fn a_close_is_no_loss() {
        let message = panic_of(|| {
            story(async |_, mut client, mut server| {
                server.close(Close::normal()).await.unwrap();
                client.expect_lost().await;
            });
        });
        assert_tells(
            &message,
            "expected the connection to be lost, but a close with 1000 and the reason \"\" came; at ",
        );
    }

    #[test]
    fn nothing_is_awaited_for_as_long_as_it_is_expected() {
        let message = panic_of(|| {
            story(async |clock, mut client, mut server| {
                let time = clock.clone();
                spawn(async move {
                    time.sleep(10 * SECOND).await;
                    server.send("hello").await.unwrap();
                    server.receive().await.unwrap();
                });
                client.expect_nothing(&clock, 9 * SECOND).await;
                assert_eq!(passed(&clock), 9 * SECOND);
                client.expect_nothing(&clock, 2 * SECOND).await;
            });
        });
        assert_tells(&message, "expected nothing for 2s, but the text \"hello\" came; at ");
    }

    #[test]
    fn an_expectation_that_was_dropped_has_lost_nothing() {
        story_with(
            |pair| pair.to_client = Faults::new().stall_reads(3),
            async |clock, mut client, mut server| {
                server.send("hello").await.unwrap();
                assert!(clock.timeout(SECOND, client.expect_text("hello")).await.is_none());
                client.get_ref().incoming().resume();
                client.expect_text("hello").await;
            },
        );
    }

    #[test]
    fn a_receiver_has_them_too() {
        story(async |clock, mut client, server| {
            let (mut receiver, sender) = server.split();
            client.send("hello").await.unwrap();
            receiver.expect_text("hello").await;
            receiver.expect_nothing(&clock, SECOND).await;
            client.close(Close::normal()).await.unwrap();
            receiver.expect_close(CloseCode::NORMAL).await;
            drop(sender);
        });
    }
}

mod faults {
    use super::*;

    #[test]
    fn reads_fail_at_the_byte() {
        story_with(
            |pair| pair.to_client = Faults::new().fail_reads(7, ErrorKind::ConnectionReset),
            async |_, mut client, mut server| {
                server.send("first").await.unwrap();
                server.send("second").await.unwrap();
                client.expect_text("first").await;
                let error = client.expect_error().await;
                assert!(matches!(error, Error::Io(error) if error.kind() == ErrorKind::ConnectionReset));
                assert_eq!(client.get_ref().incoming().read(), 7);
            },
        );
    }

    #[test]
    fn writes_fail_at_the_byte() {
        story_with(
            |pair| pair.to_client = Faults::new().fail_writes(9, ErrorKind::ConnectionAborted),
            async |_, mut client, mut server| {
                server.send("first").await.unwrap();
                let sent = server.send("second").await;
                assert!(matches!(sent, Err(Error::Io(error)) if error.kind() == ErrorKind::ConnectionAborted));
                assert_eq!(server.get_ref().outgoing().written(), 9);
                drop(server);
                client.expect_text("first").await;
                client.expect_lost().await;
            },
        );
    }

    #[test]
    fn an_interruption_comes_once_and_hurts_nobody() {
        story_with(
            |pair| {
                let faults = Faults::new().fail_reads(3, ErrorKind::Interrupted);
                pair.to_client = faults.fail_writes(4, ErrorKind::Interrupted);
            },
            async |_, mut client, mut server| {
                server.send("hello").await.unwrap();
                client.expect_text("hello").await;
            },
        );
    }

    #[test]
    fn the_stream_ends_at_the_byte_and_what_follows_is_lost() {
        story_with(
            |pair| {
                pair.to_client = Faults::new().end(8);
                pair.to_client_capacity = 16;
            },
            async |_, mut client, mut server| {
                server.send("first").await.unwrap();
                server.send("second, which is longer than there is room for").await.unwrap();
                client.expect_text("first").await;
                client.expect_lost().await;
                assert_eq!(client.get_ref().incoming().read(), 8);
            },
        );
    }

    #[test]
    fn reads_stall_at_the_byte_until_they_are_resumed() {
        story_with(
            |pair| pair.to_client = Faults::new().stall_reads(4),
            async |clock, mut client, mut server| {
                server.send("hello").await.unwrap();
                client.expect_nothing(&clock, 60 * SECOND).await;
                let link = client.get_ref().incoming();
                assert_eq!((link.written(), link.read()), (7, 4));
                let time = clock.clone();
                spawn(async move {
                    time.sleep(SECOND).await;
                    link.resume();
                });
                client.expect_text("hello").await;
                assert_eq!(passed(&clock), 61 * SECOND);
            },
        );
    }

    #[test]
    fn writes_stall_at_the_byte_until_they_are_resumed() {
        story_with(
            |pair| pair.to_client = Faults::new().stall_writes(4),
            async |clock, mut client, mut server| {
                let link = server.get_ref().outgoing();
                let time = clock.clone();
                let watching = link.clone();
                spawn(async move {
                    time.sleep(SECOND).await;
                    assert_eq!(watching.written(), 4);
                    watching.resume();
                });
                server.send("hello").await.unwrap();
                assert_eq!((passed(&clock), link.written()), (SECOND, 7));
                client.expect_text("hello").await;
            },
        );
    }

    #[test]
    fn a_stall_that_nobody_resumes_is_told_as_a_test_that_hangs() {
        let message = panic_of(|| {
            story_with(
                |pair| pair.to_client = Faults::new().stall_reads(0),
                async |_, mut client, mut server| {
                    server.send("hello").await.unwrap();
                    client.expect_text("hello").await;
                },
            );
        });
        assert_tells(&message, "every task waits and no timer is set");
    }

    #[test]
    fn reads_and_writes_are_as_short_as_they_shall_be() {
        for len in [0, 1, 2, 5] {
            story_with(
                |pair| {
                    pair.to_client = Faults::new().max_read(len);
                    pair.to_server = Faults::new().max_write(len);
                },
                async |_, mut client, mut server| {
                    let long = "long ".repeat(100);
                    client.send(&long).await.unwrap();
                    server.expect_text(&long).await;
                    server.send(&long).await.unwrap();
                    client.expect_text(&long).await;
                },
            );
        }
    }

    #[test]
    fn a_short_write_takes_no_more_than_it_shall() {
        let clock = Clock::new();
        let mut pair = Pair::new(&clock);
        pair.to_server = Faults::new().max_write(2).max_read(1);
        let (client, server) = pair.streams();
        let (mut client, mut server) = (RawPeer::client(client), RawPeer::server(server));
        client.write(b"abc");
        assert_eq!(server.take(), b"abc");
    }

    #[test]
    fn a_byte_is_spoilt_and_no_other() {
        story_with(
            |pair| pair.to_client = Faults::new().corrupt(2, 0x20).corrupt(6, 0x01).corrupt(6, 0x02),
            async |_, mut client, mut server| {
                server.send("hello").await.unwrap();
                client.expect_text("Helll").await;
                server.send("hello").await.unwrap();
                client.expect_text("hello").await;
            },
        );
        story_with(
            |pair| pair.to_client = Faults::new().corrupt(0, 0x40),
            async |_, mut client, mut server| {
                server.send("hello").await.unwrap();
                let error = client.expect_error().await;
                assert!(matches!(error, Error::Protocol(ProtocolError::ReservedBits)), "{error:?}");
            },
        );
    }

    #[test]
    fn faults_can_be_changed_during_a_test() {
        story(async |clock, mut client, mut server| {
            server.send("first").await.unwrap();
            client.expect_text("first").await;
            server.send("second").await.unwrap();
            let link = client.get_ref().incoming();
            link.set_faults(Faults::new().stall_reads(10));
            client.expect_nothing(&clock, SECOND).await;
            // Whoever waits is woken, and the position counts from the first byte of all.
            let waiting = spawn(async move { client.expect_lost().await });
            clock.sleep(SECOND).await;
            link.set_faults(Faults::new().end(0));
            waiting.await;
        });
    }

    #[test]
    fn where_several_are_due_an_error_comes_before_the_end_and_that_before_a_stall() {
        let faults = Faults::new().stall_reads(0).end(0);
        story_with(|pair| pair.to_client = faults.clone(), async |_, mut client, _server| client.expect_lost().await);
        story_with(
            |pair| pair.to_client = faults.clone().fail_reads(0, ErrorKind::TimedOut),
            async |_, mut client, _server| {
                let error = client.expect_error().await;
                assert!(matches!(error, Error::Io(error) if error.kind() == ErrorKind::TimedOut));
            },
        );
    }
}

mod raw {
    use super::*;

    #[test]
    fn a_raw_client_and_a_raw_server_understand_each_other() {
        let clock = Clock::new();
        run(&clock, async {
            let (client, server) = Pair::new(&clock).streams();
            let (mut client, mut server) = (RawPeer::client(client), RawPeer::server(server));
            futures_util::future::join(client.handshake(), server.handshake()).await;
            client.send_frame(OpCode::Ping, b"now");
            server.expect_frame(OpCode::Ping, b"now").await;
            server.send_frame(OpCode::Binary, &[7; 70_000 - 10_000]);
            let (header, payload) = client.read_frame().await;
            assert_eq!((header.opcode, header.masking_key, payload.len()), (OpCode::Binary, None, 60_000));
            client.send_frame(OpCode::Close, b"\x03\xe9bye");
            assert_eq!(server.expect_close(CloseCode::GOING_AWAY).await, "bye");
            server.send_frame(OpCode::Close, b"");
            assert_eq!(client.expect_close(CloseCode::NO_STATUS).await, "");
            server.shut_down();
            client.expect_end().await;
        });
    }

    #[test]
    fn a_raw_client_shakes_hands_with_an_application() {
        let clock = Clock::new();
        run(&clock, async {
            let (client, server) = Pair::new(&clock).streams();
            let accepting = spawn(async move { Acceptor::default().accept(server).await });
            let mut client = RawPeer::client(client);
            client.handshake().await;
            client.write(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
            accepting.await.unwrap().expect_text("Hello").await;
        });
    }

    #[test]
    fn a_raw_server_shakes_hands_with_an_application() {
        let clock = Clock::new();
        run(&clock, async {
            let (client, server) = Pair::new(&clock).streams();
            let request = ClientRequest::new("localhost", "/chat").unwrap();
            let connecting = spawn(async move { Connector::default().handshake(client, request).await });
            let mut server = RawPeer::server(server);
            server.handshake().await;
            server.write(b"\x81\x05Hello");
            connecting.await.unwrap().expect_text("Hello").await;
        });
    }

    #[test]
    fn what_an_application_writes_can_be_looked_at_byte_by_byte() {
        let clock = Clock::new();
        run(&clock, async {
            let (mut client, mut server) = Pair::new(&clock).raw_client();
            server.send("Hello").await.unwrap();
            client.expect_bytes(b"\x81\x05").await;
            assert_eq!(client.read(3).await, b"Hel");
            assert_eq!(client.take(), b"lo");
            assert_eq!(client.take(), b"");
        });
    }

    #[test]
    fn a_request_can_be_read_as_it_is() {
        let clock = Clock::new();
        run(&clock, async {
            let (client, server) = Pair::new(&clock).streams();
            let request = ClientRequest::new("localhost", "/chat").unwrap();
            let connecting = spawn(async move { Connector::default().handshake(client, request).await });
            let mut server = RawPeer::server(server);
            let head = server.read_head().await;
            assert!(head.starts_with(b"GET /chat HTTP/1.1\r\n") && head.ends_with(b"\r\n\r\n"));
            server.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            assert!(matches!(connecting.await, Err(Error::Response(_))));
        });
    }

    /// A server of raw bytes that goes on as the story says, after the client has sent a ping and "a".
    fn fails<F: Future>(story: impl FnOnce(RawPeer) -> F) -> String {
        panic_of(|| {
            let clock = Clock::new();
            let (client, server) = Pair::new(&clock).streams();
            let mut client = RawPeer::client(client);
            client.send_frame(OpCode::Ping, b"");
            client.send_frame(OpCode::Text, b"a");
            drop(client);
            run(&clock, story(RawPeer::server(server)));
        })
    }

    #[test]
    fn expectations_that_fail_say_what_came() {
        let message = fails(async |mut server| server.expect_frame(OpCode::Text, b"b").await);
        assert_tells(&message, "expected a Text frame with b\"b\", but a Ping frame with b\"\" came; at ");
        let message = fails(async |mut server| server.expect_close(CloseCode::NORMAL).await);
        assert_tells(&message, "expected a Close frame with 1000, but a Ping frame with b\"\" came; at ");
        let message = fails(async |mut server| server.expect_bytes(b"ab").await);
        assert_tells(&message, "expected the bytes b\"ab\", but the bytes b\"\\x89\\x80\" came; at ");
        let message = fails(async |mut server| server.expect_end().await);
        assert_tells(&message, "expected the end of the stream, but the bytes b\"\\x89\\x80");
        let message = fails(async |mut server| {
            server.expect_ping().await;
            server.expect_ping().await
        });
        assert_tells(&message, "expected a ping, but a Text frame with b\"a\" came; at ");
        let message = fails(async |mut server| server.read(100).await);
        assert_tells(&message, "expected 100 bytes, but the stream ended after the bytes b\"\\x89\\x80");
        let message = fails(async |mut server| server.handshake().await);
        assert_tells(&message, "expected an opening handshake, but the stream ended after the bytes b\"\\x89\\x80");
    }

    #[test]
    fn a_write_that_would_have_to_wait_or_that_fails_panics() {
        let clock = Clock::new();
        let mut pair = Pair::new(&clock);
        pair.to_server_capacity = 4;
        let (mut client, server) = pair.raw_client();
        assert_eq!(panic_of(|| client.write(b"hello")), "1 bytes cannot be written without waiting");
        drop(server);
        assert_eq!(panic_of(|| client.write(b"hello")), "5 bytes cannot be written: broken pipe");
    }
}

#[cfg(feature = "tokio")]
mod on_tokio {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_application_for_tokio_runs_on_a_pair_with_the_timers_of_tokio() {
        let (client, server) = Pair::new(&Clock::new()).streams();
        let serving = tokio::spawn(async move {
            let mut acceptor = sockeye::tokio::Acceptor::default();
            let config = Arc::make_mut(&mut acceptor.config);
            (config.ping_interval, config.idle_timeout) = (None, Some(60 * SECOND));
            let mut server = acceptor.accept(server).await?;
            while let Some(message) = server.receive().await? {
                server.send(message).await?;
            }
            Ok::<_, Error>(())
        });
        let request = ClientRequest::new("localhost", "/").unwrap();
        let mut connector = sockeye::tokio::Connector::default();
        Arc::make_mut(&mut connector.config).ping_interval = None;
        let mut client = connector.handshake(client, request).await.unwrap();
        client.send("hello").await.unwrap();
        client.expect_text("hello").await;
        client.expect_close(CloseCode::GOING_AWAY).await;
        assert!(matches!(serving.await.unwrap(), Err(Error::Timeout(Timeout::Idle))));
    }
}

#[cfg(feature = "futures")]
mod on_futures {
    use super::*;

    #[test]
    fn an_application_for_futures_io_runs_on_a_pair() {
        let clock = Clock::new();
        run(&clock, async {
            let (client, server) = Pair::new(&clock).streams();
            let accepting = spawn(sockeye::futures::accept(server));
            let request = ClientRequest::new("localhost", "/").unwrap();
            let mut client = sockeye::futures::Connector::default().handshake(client, request).await.unwrap();
            let mut server = accepting.await.unwrap();
            client.send("hello").await.unwrap();
            server.expect_text("hello").await;
            drop(server);
            client.expect_lost().await;
        });
    }
}

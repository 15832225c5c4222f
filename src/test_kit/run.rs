//! A small executor of one thread, which knows that nothing happens but what its tasks do: so when all of them wait,
//! only time can help, and where no timer is set either, nothing can.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::panic::Location;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::{Mutex, PoisonError};

use super::clock::Clock;

/// Runs a future to its end, with the tasks that it [spawns](spawn), on this thread.
///
/// Whenever every task waits, the clock is advanced to the next timer: so a test of an hour takes no time. When the
/// future is done, tasks that are not are dropped. All that happens has to happen here: a task that waits for another
/// thread counts as one that waits for ever.
///
/// ```
/// use core::time::Duration;
/// use sockeye::test_kit::{Clock, run, spawn};
///
/// let clock = Clock::new();
/// let sum = run(&clock, async {
///     let hour = clock.sleep(Duration::from_secs(60 * 60));
///     let task = spawn(async move {
///         hour.await;
///         3
///     });
///     task.await + 4
/// });
/// assert_eq!(sum, 7);
/// ```
///
/// # Panics
///
/// When every task waits and no timer is set, for then nothing would ever happen; with what the
/// [expectations](super::Expect) among them wait for. When the future is not done after a million timers. When a task
/// panics. Inside of another `run`.
#[track_caller]
pub fn run<F: Future>(clock: &Clock, future: F) -> F::Output {
    let tasks = Rc::new(Tasks::default());
    let _running = Running::begin(tasks.clone());
    let mut future = pin!(future);
    let main =
        Arc::new(TaskWaker { number: None, is_ready: AtomicBool::new(false), ready: Arc::downgrade(&tasks.ready) });
    let waker = Waker::from(main.clone());
    main.wake_by_ref();
    let mut timers = 0;
    loop {
        match tasks.ready.take() {
            Some(task) => {
                task.is_ready.store(false, Ordering::SeqCst);
                match task.number {
                    Some(number) => tasks.poll(number, &Waker::from(task)),
                    None => {
                        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                            return output;
                        }
                    }
                }
            }
            None if clock.advance_to_next() => {
                timers += 1;
                assert!(timers < MAX_TIMERS, "the test is not done after {timers} timers, at {:?}", clock.now());
            }
            None => panic!("every task waits and no timer is set, at {:?}{}", clock.now(), tasks.awaited()),
        }
    }
}

/// Runs a future beside the one that was given to [`run`].
///
/// Whether or not the handle is awaited, it runs; if it panics, so does [`run`].
///
/// ```
/// use sockeye::test_kit::{Clock, Expect, Pair, run, spawn};
///
/// let clock = Clock::new();
/// run(&clock, async {
///     let (mut client, mut server) = Pair::new(&clock).sockets();
///     spawn(async move {
///         while let Some(message) = server.receive().await.unwrap() {
///             server.send(message).await.unwrap();
///         }
///     });
///     client.send("an echo").await.unwrap();
///     client.expect_text("an echo").await;
/// });
/// ```
///
/// # Panics
///
/// Outside of [`run`].
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let result = Rc::new(RefCell::new(TaskResult { output: None, waiting: None }));
    let handle = JoinHandle { result: result.clone() };
    let task = Box::pin(async move {
        let output = future.await;
        let waiting = {
            let mut result = result.borrow_mut();
            result.output = Some(output);
            result.waiting.take()
        };
        waiting.into_iter().for_each(Waker::wake);
    });
    assert!(with_running(|tasks| tasks.add(task)).is_some(), "spawned outside of test_kit::run");
    handle
}

/// Waits for a task and gives its result; dropping it does not end the task. See [`spawn`].
pub struct JoinHandle<T> {
    result: Rc<RefCell<TaskResult<T>>>,
}

struct TaskResult<T> {
    output: Option<T>,
    waiting: Option<Waker>,
}

impl<T> Future for JoinHandle<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut result = self.result.borrow_mut();
        match result.output.take() {
            Some(output) => Poll::Ready(output),
            None => {
                result.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("is_done", &self.result.borrow().output.is_some()).finish()
    }
}

/// That something is waited for, until it is dropped; told when nothing can happen any more.
#[derive(Debug)]
pub(super) struct Awaited {
    /// `None` where nothing is run by [`run`]. A number, so that it can go to another thread.
    number: Option<u64>,
}

impl Awaited {
    pub(super) fn new(what: &str, location: &Location<'_>) -> Self {
        let number = with_running(|tasks| {
            let mut awaited = tasks.awaited.borrow_mut();
            let number = awaited.last_key_value().map_or(0, |(last, _)| last + 1);
            awaited.insert(number, format!("\n  for {what}, at {location}"));
            number
        });
        Self { number }
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            with_running(|tasks| tasks.awaited.borrow_mut().remove(&number));
        }
    }
}

std::thread_local! {
    static RUNNING: RefCell<Option<Rc<Tasks>>> = const { RefCell::new(None) };
}

/// Lets `f` use the tasks that this thread runs, if it does.
fn with_running<R>(f: impl FnOnce(&Tasks) -> R) -> Option<R> {
    let tasks = RUNNING.try_with(|running| running.borrow().clone()).ok().flatten()?;
    Some(f(&tasks))
}

/// Sees to it that the thread runs nothing any more when `run` is left, by whichever way.
struct Running(Rc<Tasks>);

impl Running {
    #[track_caller]
    fn begin(tasks: Rc<Tasks>) -> Self {
        let is_first = RUNNING.with_borrow_mut(|running| match running {
            Some(_) => false,
            None => {
                *running = Some(tasks.clone());
                true
            }
        });
        assert!(is_first, "test_kit::run inside of test_kit::run");
        Self(tasks)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // While the thread still knows of them, for what a task owns may spawn when it is dropped; and not borrowed.
        let tasks = core::mem::take(&mut *self.0.tasks.borrow_mut());
        drop(tasks);
        RUNNING.set(None);
        let late = core::mem::take(&mut *self.0.tasks.borrow_mut());
        drop(late);
    }
}

/// The tasks of one `run`.
#[derive(Default)]
struct Tasks {
    /// By their numbers; `None` for one that is done, or is being polled.
    tasks: RefCell<Vec<Option<Task>>>,
    ready: Arc<Ready>,
    /// What is waited for.
    awaited: RefCell<BTreeMap<u64, String>>,
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

impl Tasks {
    fn add(&self, task: Task) {
        let mut tasks = self.tasks.borrow_mut();
        let waker = TaskWaker {
            number: Some(tasks.len()),
            is_ready: AtomicBool::new(false),
            ready: Arc::downgrade(&self.ready),
        };
        tasks.push(Some(task));
        Arc::new(waker).wake();
    }

    fn poll(&self, number: usize, waker: &Waker) {
        let task = self.tasks.borrow_mut()[number].take();
        let Some(mut task) = task else { return };
        if task.as_mut().poll(&mut Context::from_waker(waker)).is_pending() {
            self.tasks.borrow_mut()[number] = Some(task);
        }
    }

    /// What is waited for, to stand in a message.
    fn awaited(&self) -> String {
        self.awaited.borrow().values().map(String::as_str).collect()
    }
}

/// The tasks that are to be polled.
#[derive(Default)]
struct Ready {
    queue: Mutex<VecDeque<Arc<TaskWaker>>>,
}

impl Ready {
    fn take(&self) -> Option<Arc<TaskWaker>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Puts a task among those that are ready.
struct TaskWaker {
    /// `None` for the future that was given to `run`.
    number: Option<usize>,
    /// Whether it is among them already.
    is_ready: AtomicBool,
    ready: Weak<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.is_ready.swap(true, Ordering::SeqCst) {
            let Some(ready) = self.ready.upgrade() else { return };
            ready.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(self);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.clone().wake();
    }
}

/// Timers that fire before a test that is not done counts as one that never will be.
const MAX_TIMERS: u32 = 1_000_000;

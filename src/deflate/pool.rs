//! Compressors and decompressors that are not in use.
//!
//! A compressor takes far more memory than the bytes that a message may refer to, so no connection keeps one: it takes one
//! for a message, gives it what is in its [`Window`](super::window::Window), and puts it back. One that was put back remembers
//! whose it was. A connection that comes back for the next message before others needed it goes on with it as it is, so
//! that a few busy connections are as fast as if each had its own, and ten thousand idle ones hold none.
//!
//! The pool is one for the process, not for each thread: where each connection has a thread, that would be one for each
//! connection again. It is cut into parts by connection, so that threads seldom meet at a lock.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use zlib_rs::{Deflate, DeflateConfig, Inflate};

use super::settings::{Level, MemoryLevel, WindowBits};
use super::window::Window;

/// What a compressor is made for. Only connections with the same can use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) level: Level,
    pub(super) memory_level: MemoryLevel,
    pub(super) window_bits: WindowBits,
}

/// A point in the life of a connection's compressor: whose it is, and how many messages it has compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) owner: Owner,
    pub(super) message: u64,
}

/// A connection that compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(u64);

/// A compressor, and whether it stands where it was left by the one who takes it.
pub(super) enum Taken {
    Warm(Box<Deflate>),
    /// It is empty.
    Cold(Box<Deflate>),
}

/// A decompressor with the memory that it writes to.
pub(super) struct Inflater {
    pub(super) inflate: Inflate,
    pub(super) output: Box<[u8]>,
    /// What a message refers to, where nothing is kept from one to the next.
    pub(super) window: Window,
}

struct Part {
    /// Those that were put back last stand at the end.
    compressors: Vec<(Settings, Option<Place>, Box<Deflate>)>,
    #[expect(clippy::vec_box, reason = "it comes and goes in its box")]
    decompressors: Vec<Box<Inflater>>,
}

static PARTS: [Mutex<Part>; COUNT] =
    [const { Mutex::new(Part { compressors: Vec::new(), decompressors: Vec::new() }) }; COUNT];

/// Says how many compressors, and decompressors, the process keeps that are not in use: 32 of each where nothing was said,
/// and always a multiple of 16.
///
/// As many busy connections with [context takeover](super::Context::Takeover) compress as fast as if each had a compressor of
/// its own; where there are more, most messages take some microseconds longer. See [the module](crate::deflate) for what a
/// compressor takes.
///
/// ```
/// sockeye::deflate::keep_compressors(512);   // for a server with some hundred busy connections
/// ```
pub fn keep_compressors(count: usize) {
    KEPT.store(count.div_ceil(COUNT), Ordering::Relaxed);
    for part in &PARTS {
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept();
        let compressors = part.compressors.len().saturating_sub(kept);
        let dropped = (part.compressors.drain(..compressors).collect::<Vec<_>>(), {
            let decompressors = part.decompressors.len().min(kept);
            part.decompressors.split_off(decompressors)
        });
        drop(part);
        drop(dropped);
    }
}

fn kept() -> usize {
    KEPT.load(Ordering::Relaxed)
}

impl Owner {
    /// One that is like no other.
    pub(super) fn new() -> Self {
        static NEXT: Mutex<u64> = Mutex::new(0);
        let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        Self(*next)
    }

    /// The part of the pool where its compressors are.
    fn part(self) -> MutexGuard<'static, Part> {
        let at = usize::try_from(self.0 % PARTS.len() as u64).unwrap_or_default();
        PARTS[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a compressor for the next message, the same as last time if it is there still.
pub(super) fn take_compressor(settings: Settings, owner: Owner, place: Option<Place>) -> Taken {
    let mut part = owner.part();
    let position = |wanted: &dyn Fn(Option<Place>) -> bool| {
        part.compressors.iter().position(|(has, place, _)| *has == settings && wanted(*place))
    };
    if let Some(at) = place.and_then(|place| position(&|at| at == Some(place))) {
        return Taken::Warm(part.compressors.remove(at).2);
    }
    // Rather one that is nobody's, and one of somebody else only if there can be no more.
    let free = position(&|place| place.is_none_or(|place| place.owner == owner));
    let oldest = || position(&|_| true).filter(|_| place.is_none() || part.compressors.len() >= kept());
    let Some(at) = free.or_else(oldest) else {
        drop(part);
        return Taken::Cold(Box::new(Deflate::new_with_config(DeflateConfig {
            level: i32::from(settings.level.get()),
            // Negative: no header in front.
            window_bits: -i32::from(settings.window_bits.of_zlib()),
            mem_level: i32::from(settings.memory_level.get()),
            ..DeflateConfig::default()
        })));
    };
    let (_, _, mut deflate) = part.compressors.remove(at);
    drop(part);
    deflate.reset();
    Taken::Cold(deflate)
}

/// Puts a compressor back, with the place where it stands if that matters.
pub(super) fn give_compressor(settings: Settings, owner: Owner, place: Option<Place>, deflate: Box<Deflate>) {
    let mut part = owner.part();
    let dropped = (part.compressors.len() >= kept()).then(|| part.compressors.remove(0));
    part.compressors.push((settings, place, deflate));
    drop(part);
    // Where nobody waits for the lock.
    drop(dropped);
}

/// Takes a decompressor that knows nothing.
pub(super) fn take_decompressor(owner: Owner) -> Box<Inflater> {
    let taken = owner.part().decompressors.pop();
    match taken {
        Some(mut inflater) => {
            inflater.inflate.reset(false);
            inflater.window.clear();
            inflater
        }
        None => Box::new(Inflater {
            inflate: Inflate::new(false, WindowBits::MAX.get()),
            output: alloc::vec![0; OUTPUT].into(),
            window: Window::new(WindowBits::MAX.size()),
        }),
    }
}

/// Puts a decompressor back.
pub(super) fn give_decompressor(owner: Owner, inflater: Box<Inflater>) {
    let mut part = owner.part();
    if part.decompressors.len() < kept() {
        part.decompressors.push(inflater);
    }
}

impl core::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Inflater").finish_non_exhaustive()
    }
}

/// How many of each a part of the pool keeps.
static KEPT: AtomicUsize = AtomicUsize::new(2);

/// How many parts there are.
const COUNT: usize = 16;

/// What a decompressor gives in one step, at most, and a byte to see that there is no more.
const OUTPUT: usize = 16 * 1024 + 1;

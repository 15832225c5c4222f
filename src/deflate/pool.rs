//! Compressors and decompressors that are not in use.
//!
//! A compressor takes far more memory than the bytes that a message may refer to, so no connection keeps one: it takes one
//! for a message, gives it what is in its [`Window`], and puts it back. One that was put back remembers
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

/// A point in the life of a connection's direction: whose it is, and how many messages have gone by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) owner: Owner,
    pub(super) message: u64,
}

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(u64);

/// Something taken from the pool, and whether it stands where it was left by the one who takes it.
pub(super) enum Taken<T> {
    Warm(Box<T>),
    /// It knows nothing.
    Cold(Box<T>),
}

/// A decompressor with the memory that it writes to.
pub(super) struct Inflater {
    pub(super) inflate: Inflate,
    pub(super) output: Box<[u8]>,
    /// How much of the output is filled, and how much of that is in the window.
    pub(super) filled: usize,
    pub(super) remembered: usize,
    /// What a message refers to, where nothing is kept from one to the next.
    pub(super) window: Window,
}

/// Things that are not in use, each with what it is made for and the place where it stands, if it stands anywhere. Those that
/// were put back last stand at the end.
struct Shelf<K, T>(Vec<(K, Option<Place>, Box<T>)>);

impl<K: PartialEq, T> Shelf<K, T> {
    /// Takes the one that stands in that place, or another if there is one to spare; and says where that stands.
    fn take(&mut self, key: &K, owner: Owner, place: Option<Place>) -> Option<(Box<T>, Option<Place>)> {
        let position = |is_wanted: &dyn Fn(Option<Place>) -> bool| {
            self.0.iter().position(|(has, place, _)| has == key && is_wanted(*place))
        };
        if let Some(at) = place.and_then(|place| position(&|at| at == Some(place))) {
            return Some((self.0.remove(at).2, place));
        }
        // Rather one that is nobody's, and one of somebody else only if there can be no more.
        let free = position(&|place| place.is_none_or(|place| place.owner == owner));
        let oldest = || position(&|_| true).filter(|_| place.is_none() || self.0.len() >= kept());
        let (_, place, it) = self.0.remove(free.or_else(oldest)?);
        Some((it, place))
    }

    /// Puts one back; gives one that there is no place for, to be dropped where nobody waits.
    #[must_use]
    fn give(&mut self, key: K, place: Option<Place>, it: Box<T>) -> Option<Box<T>> {
        self.0.push((key, place, it));
        (self.0.len() > kept()).then(|| self.0.remove(0).2)
    }

    /// Takes those out that are too many.
    fn surplus(&mut self) -> Vec<(K, Option<Place>, Box<T>)> {
        let count = self.0.len().saturating_sub(kept());
        self.0.drain(..count).collect()
    }
}

struct Part {
    compressors: Shelf<Settings, Deflate>,
    decompressors: Shelf<(), Inflater>,
}

static PARTS: [Mutex<Part>; COUNT] =
    [const { Mutex::new(Part { compressors: Shelf(Vec::new()), decompressors: Shelf(Vec::new()) }) }; COUNT];

/// Says how many compressors, and decompressors, the process keeps that are not in use: 32 of each where nothing was said;
/// rounded up to a multiple of 16, and 0 is none.
///
/// As many busy connections with [context takeover](super::Context::Takeover) compress as fast as if each had a compressor of
/// its own; where there are more, most messages take some microseconds longer, and more than there are busy connections only
/// take memory: each what [the module](crate::deflate) says, so 512 at the defaults up to 85 MB, and as many decompressors 74 MB.
/// A decompressor only serves the same connection again with a window of 15 bits; others begin anew each time. What was made is
/// kept until fewer are asked for.
///
/// ```
/// sockeye::deflate::keep_compressors(128);   // for a server on which about a hundred connections are busy at a time
/// ```
pub fn keep_compressors(count: usize) {
    KEPT.store(count.div_ceil(COUNT), Ordering::Relaxed);
    for part in &PARTS {
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        let surplus = (part.compressors.surplus(), part.decompressors.surplus());
        drop(part);
        drop(surplus);
    }
}

fn kept() -> usize {
    KEPT.load(Ordering::Relaxed)
}

impl Owner {
    /// One that is like no other that compresses. They are counted by themselves, so that all parts of the pool get their
    /// share.
    pub(super) fn of_compressor() -> Self {
        static COUNT: Mutex<u64> = Mutex::new(0);
        Self::next(&COUNT)
    }

    /// One that is like no other that decompresses.
    pub(super) fn of_decompressor() -> Self {
        static COUNT: Mutex<u64> = Mutex::new(0);
        Self::next(&COUNT)
    }

    fn next(count: &Mutex<u64>) -> Self {
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        Self(*count)
    }

    /// The part of the pool where its compressors are.
    fn part(self) -> MutexGuard<'static, Part> {
        let at = usize::try_from(self.0 % PARTS.len() as u64).unwrap_or_default();
        PARTS[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a compressor for the next message, the same as last time if it is there still.
pub(super) fn take_compressor(settings: Settings, owner: Owner, place: Option<Place>) -> Taken<Deflate> {
    let taken = owner.part().compressors.take(&settings, owner, place);
    match taken {
        Some((deflate, stands)) if stands.is_some() && stands == place => Taken::Warm(deflate),
        Some((mut deflate, stands)) => {
            if stands.is_some() {
                deflate.reset();
            }
            Taken::Cold(deflate)
        }
        None => Taken::Cold(Box::new(Deflate::new_with_config(DeflateConfig {
            level: i32::from(settings.level.get()),
            // Negative: no header in front.
            window_bits: -i32::from(settings.window_bits.of_zlib()),
            mem_level: i32::from(settings.memory_level.get()),
            ..DeflateConfig::default()
        }))),
    }
}

/// Puts a compressor back, at the end of a message; without a place, it must know nothing.
pub(super) fn give_compressor(settings: Settings, owner: Owner, place: Option<Place>, deflate: Box<Deflate>) {
    let surplus = owner.part().compressors.give(settings, place, deflate);
    drop(surplus);
}

/// Takes a decompressor for the next message, the same as last time if it is there still.
pub(super) fn take_decompressor(owner: Owner, place: Option<Place>) -> Taken<Inflater> {
    let taken = owner.part().decompressors.take(&(), owner, place);
    match taken {
        Some((inflater, stands)) if stands.is_some() && stands == place => Taken::Warm(inflater),
        Some((mut inflater, _)) => {
            inflater.inflate.reset(false);
            inflater.window.clear();
            inflater.forget_output();
            Taken::Cold(inflater)
        }
        None => Taken::Cold(Box::new(Inflater {
            inflate: Inflate::new(false, WindowBits::MAX.get()),
            output: alloc::vec![0; OUTPUT].into(),
            filled: 0,
            remembered: 0,
            window: Window::new(WindowBits::MAX.size()),
        })),
    }
}

/// Puts a decompressor back.
pub(super) fn give_decompressor(owner: Owner, place: Option<Place>, inflater: Box<Inflater>) {
    let surplus = owner.part().decompressors.give((), place, inflater);
    drop(surplus);
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

/// What a decompressor gives in one step, at most, in bytes. Most messages are inflated in one such step, and every step costs
/// what it takes to keep the last 32 KiB of it.
const OUTPUT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_are_kept_stay_warm_and_no_more() {
        let settings = Settings { level: Level::MIN, memory_level: MemoryLevel::MIN, window_bits: WindowBits::MIN };
        let use_one = |owner: Owner| {
            let place = Some(Place { owner, message: 1 });
            let taken = take_compressor(settings, owner, place);
            let (deflate, is_warm) = match taken {
                Taken::Warm(deflate) => (deflate, true),
                Taken::Cold(deflate) => (deflate, false),
            };
            give_compressor(settings, owner, place, deflate);
            is_warm
        };
        // A connection makes one of each kind, in turn.
        let owners: Vec<_> = (0..32).map(|_| (Owner::of_compressor(), Owner::of_decompressor()).0).collect();
        assert!(!owners.iter().any(|owner| use_one(*owner)), "they are new");
        assert!(owners.iter().all(|owner| use_one(*owner)));
        let more: Vec<_> = (0..32).map(|_| Owner::of_compressor()).collect();
        more.iter().for_each(|owner| assert!(!use_one(*owner)));
        assert!(!owners.iter().any(|owner| use_one(*owner)), "others needed them");
    }
}

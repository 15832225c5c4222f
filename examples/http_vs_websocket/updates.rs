//! The updates: a price that moves at random, at random times, and the last of them for those who ask late.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// The updates, numbered from 1; each is a line of JSON that is made once and told to all.
pub(crate) struct Updates {
    origin: Instant,
    rate: f64,
    kept: Mutex<VecDeque<Arc<str>>>,
    /// The number of the newest one.
    newest: watch::Sender<u64>,
}

impl Updates {
    /// Begins to make so many updates a second, on average, for as long as the process lives.
    pub(crate) fn begin(rate: f64) -> Arc<Self> {
        let updates =
            Arc::new(Self { origin: Instant::now(), rate, kept: Mutex::default(), newest: watch::Sender::new(0) });
        let making = updates.clone();
        tokio::spawn(async move {
            let mut price = 100.0;
            loop {
                // As long as it takes where each moment is as good as any other, but within reason.
                let pause = -rand::random::<f64>().max(f64::MIN_POSITIVE).ln() / rate;
                tokio::time::sleep(Duration::from_secs_f64(pause.min(4.0 / rate))).await;
                price += 2.0 * (rand::random::<f64>() - 0.5) + (100.0 - price) * 0.02;
                making.update(price);
            }
        });
        updates
    }

    fn update(&self, price: f64) {
        let mut kept = self.kept();
        let number = *self.newest.borrow() + 1;
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(format!("{{\"number\":{number},\"time\":{:.3},\"price\":{price:.2}}}", self.time()).into());
        self.newest.send_replace(number); // while nobody looks at what is kept
    }

    /// Milliseconds since the server began, which is what `time` is in an update.
    pub(crate) fn time(&self) -> f64 {
        self.origin.elapsed().as_secs_f64() * 1000.0
    }

    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }

    /// Watches the number of the newest.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// What came after a number, as far as it is kept, and the number of the newest.
    pub(crate) fn after(&self, number: u64) -> (Vec<Arc<str>>, u64) {
        let kept = self.kept();
        let newest = *self.newest.borrow();
        let missing = usize::try_from(newest.saturating_sub(number)).unwrap_or(usize::MAX);
        (kept.iter().skip(kept.len().saturating_sub(missing)).cloned().collect(), newest)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<str>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many are kept for those who have not got them.
const KEPT: usize = 1000;

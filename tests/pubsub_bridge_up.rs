//! Waiting until a hub's bridge is up.
#![cfg(feature = "pubsub")]

use core::time::Duration;

use sockeye::pubsub::{
    Backplane, BackplaneError, BridgeConfig, Hub, HubConfig, MemoryBackplane, MemoryInbound, MemoryOutbound, Numbering,
};
use tokio::time::{Instant, timeout};

/// An engine that is away until a moment.
struct Late(MemoryBackplane, Instant);

impl Backplane for Late {
    type Outbound = MemoryOutbound;
    type Inbound = MemoryInbound;

    fn numbering(&self) -> Numbering {
        self.0.numbering()
    }
    async fn connect(&self) -> Result<(MemoryOutbound, MemoryInbound), BackplaneError> {
        if Instant::now() < self.1 {
            return Err(BackplaneError::new("away"));
        }
        self.0.connect().await
    }
}

fn late(seconds: u64) -> Late {
    Late(MemoryBackplane::new(Numbering::Engine), Instant::now() + Duration::from_secs(seconds))
}

fn hub() -> Hub {
    Hub::new(HubConfig::default())
}

#[tokio::test(start_paused = true)]
async fn it_waits_while_the_engine_is_away_and_no_longer() {
    let hub = hub();
    let begun = Instant::now();
    tokio::spawn(hub.bridge(late(60), BridgeConfig::default()).run());

    assert!(timeout(Duration::from_secs(59), hub.bridge_up()).await.is_err());
    hub.bridge_up().await;

    assert!(hub.bridge_status().unwrap().is_up);
    let waited = begun.elapsed();
    let longest = Duration::from_secs(60) + BridgeConfig::default().max_backoff;
    assert!((Duration::from_secs(60)..=longest).contains(&waited), "{waited:?}");
    hub.bridge_up().await; // at once, now
    assert_eq!(begun.elapsed(), waited);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_bridge_that_is_not_there() {
    let hub = hub();
    hub.bridge_up().await;

    let bridge = tokio::spawn(hub.bridge(late(u64::MAX >> 32), BridgeConfig::default()).run());
    let mut waiting = tokio::spawn({
        let hub = hub.clone();
        async move { hub.bridge_up().await }
    });
    assert!(timeout(Duration::from_secs(1), &mut waiting).await.is_err());
    bridge.abort();
    timeout(Duration::from_secs(1), waiting).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_bridge_waits_for_the_one_that_takes_its_place() {
    let hub = hub();
    let _first = hub.bridge(late(0), BridgeConfig::default()); // never runs
    let mut waiting = tokio::spawn({
        let hub = hub.clone();
        async move { hub.bridge_up().await }
    });
    assert!(timeout(Duration::from_secs(1), &mut waiting).await.is_err());
    tokio::spawn(hub.bridge(late(1), BridgeConfig::default()).run());
    timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap();
    assert!(hub.bridge_status().unwrap().is_up);
}

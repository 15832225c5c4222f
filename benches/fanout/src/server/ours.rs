//! A hub.

use sockeye::pubsub::{Hub, HubConfig};
use tokio::net::TcpListener;

use super::{Publish, accept};
use crate::Outcome;
use crate::plan::{Plan, payload};

pub(super) async fn serve(listener: TcpListener, plan: Plan, connections: usize) -> Outcome<Publish> {
    let hub = Hub::<()>::new(HubConfig::default());
    for connection in 0..connections {
        let mut member = hub.join(sockeye::tokio::accept(accept(&listener).await?).await?, ());
        for subscription in plan.subscriptions(connection) {
            member.subscribe(subscription.as_str())?;
        }
        tokio::spawn(async move { while let Ok(Some(_)) = member.next().await {} });
    }
    Ok(Box::new(move |topic| {
        let _ = hub.publish(topic, payload());
    }))
}

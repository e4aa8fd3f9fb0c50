//! Gateways that do not take a tunnel on: it was none (T-05, T-14).

use super::*;

#[tokio::test]
async fn an_incompatible_gateway_learns_which_side_to_update() {
    let stage = Stage::new().await;
    let play = async {
        let newer = Versions { lowest: VERSIONS.highest + 1, highest: VERSIONS.highest + 2 };
        let mut gateway = stage.connected(&GatewayHello { versions: newer, ..hello() }).await;
        let Ok(Said::Goodbye(why)) = gateway.said().await else { panic!("no goodbye") };
        assert!(why.ends_with("update the connection point"), "{why}");
        drop(gateway);
        // Somebody has to act first: it stays away for as long as the gateway would ask it to.
        let waits = async {
            loop {
                let places = stage.place.instance.places();
                if let Some(next) = places[0].next_dial.filter(|_| places[0].last_error.is_some()) {
                    return (next.told, places[0].last_error.clone());
                }
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(waits.await, (limits::REFUSED_RETRY, Some(why)));
    };
    stage.while_kept(play).await;
}

#[tokio::test]
async fn what_the_gateway_says_last_is_kept_and_it_is_dialed_again() {
    let stage = Stage::new().await;
    let play = async {
        let mut gateway = stage.greeted_at(&stage.listener, &hello()).await;
        gateway
            .control
            .say(Saying::Goodbye(GoodbyeReason::NotAllowed, "cp-1 may not attach".into(), Duration::ZERO))
            .await;
        drop(gateway);
        let gateway = stage.connected(&hello()).await;
        let places = stage.place.instance.places();
        assert_eq!(places[0].last_error.as_deref(), Some("gateway said: cp-1 may not attach"));
        // Who was only sent away has had no tunnel, and does not know what the gateway wants.
        assert_eq!(stage.point.metrics.tunnels_lost.get(), 0);
        stage.place.instance.until_up(stage.place.id).await;
        drop(gateway);
    };
    stage.while_kept(play).await;
}

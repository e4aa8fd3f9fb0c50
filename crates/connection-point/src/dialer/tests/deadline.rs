//! A tunnel that is to go, and an answer on it that never ends (T-13).

use super::violations::early_answer;
use super::*;

/// Its place is retired, and not the process: nobody else would end it.
#[tokio::test]
async fn what_a_retired_tunnel_does_not_finish_is_ended_at_its_deadline() {
    let stage = Stage::new().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let role = listener.local_addr().unwrap().to_string();
    stage.site_with(3, &role, "methods = [\"GET\"]");
    let file = stage.folder.path().join("connection-point.toml");
    let mut settings = ConnectionPointSettings::load(&file, Overrides::none(), &ProxyVariables::none()).unwrap();
    settings.drain.deadline = Duration::from_secs(1);
    stage.point.take_over(settings).unwrap();
    let play = async {
        let mut gateway = stage.connected(&hello()).await;
        gateway.apply(3).await;
        let opening = Opening::new(request("GET", "/open/x"), Bytes::new(), Some(Fields::new()));
        let mut calling = gateway.caller.start(opening).unwrap();
        let _role = early_answer(&stage.folder, &listener).await;
        assert!(matches!(poll_fn(|cx| calling.poll_event(cx)).await, Ok(Event::Head(_))));
        stage.place.retiring.cancel();
        assert!(matches!(gateway.said().await, Ok(Said::Drain)));
        assert!(matches!(poll_fn(|cx| calling.poll_event(cx)).await, Ok(Event::Data(_))), "it goes on for now");
        assert!(matches!(gateway.said().await, Ok(Said::Goodbye(_))));
        drop(gateway);
        assert!(poll_fn(|cx| calling.poll_event(cx)).await.is_err());
    };
    // Far below the minute after which the answer would end by itself.
    let both = timeout(Duration::from_secs(15), async { tokio::join!(play, stage.keep()) });
    both.await.expect("nobody ended it");
}

/// A slow link: what was answered is still on its way, and the word of the drain behind it.
#[tokio::test]
async fn a_tunnel_that_leaves_waits_for_the_gateway_to_hang_up() {
    let stage = Stage::new().await;
    stage.site(3);
    let play = async {
        let mut gateway = stage.connected(&hello()).await;
        gateway.apply(3).await;
        gateway.frozen.send_replace(true);
        stage.place.retiring.cancel();
        tokio::time::pause();
        tokio::time::advance(limits::DRAIN_NOTICE * 2).await;
        for _ in 0..5 {
            tokio::time::advance(limits::HANG_UP).await;
        }
        tokio::time::resume();
        gateway.frozen.send_replace(false);
        assert!(matches!(gateway.said().await, Ok(Said::Drain)));
        assert!(matches!(gateway.said().await, Ok(Said::Goodbye(_))));
        // The goodbye has overtaken the rest.
        let GatewayEnd { caller, control, _connection, .. } = gateway;
        drop(control);
        let late = Opening::new(request("GET", "/open/x"), Bytes::new(), Some(Fields::new()));
        let mut late = caller.start(late).unwrap();
        let event = poll_fn(|cx| late.poll_event(cx)).await;
        let Ok(Event::Refused(refused)) = event else { panic!("it has left already: {event:?}") };
        assert_eq!((refused.reason, refused.not_started), (RefusedReason::Draining, true));
    };
    tokio::join!(play, stage.keep());
    assert!(stage.place.instance.places().is_empty());
}

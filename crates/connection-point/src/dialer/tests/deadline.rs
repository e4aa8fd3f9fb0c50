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

//! How a conversation ends, with a connection point that only listens.

use std::future::poll_fn;
use std::pin::pin;

use cmg_core::build_info::BUILD;
use cmg_core::tls::Pulse;
use cmg_core::tunnel::calling;
use cmg_core::tunnel::message::Lane;
use futures_util::FutureExt;
use http::{HeaderValue, Response};
use tokio::io::DuplexStream;

use super::*;
use crate::test_instance::{self, TestInstance};

/// Takes the control call and tells what it hears when it hears these words, which is the last that it does.
async fn hear(far_end: DuplexStream, last_words: &str) -> String {
    let mut connection = h2::server::handshake(far_end).await.unwrap();
    let (request, mut respond) = connection.accept().await.unwrap().unwrap();
    let mut answer = Response::new(());
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let _says_nothing = respond.send_response(answer, false).unwrap();
    let (mut body, mut heard) = (request.into_body(), String::new());
    let hearing = async {
        while !heard.contains(last_words) {
            let bytes = poll_fn(|cx| body.poll_data(cx)).await.unwrap().unwrap();
            body.flow_control().release_capacity(bytes.len()).unwrap();
            heard.push_str(&String::from_utf8_lossy(&bytes));
        }
    };
    tokio::select! {
        () = hearing => heard,
        _ = connection.accept() => panic!("a second call, or the end"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_hands_requests_back_ends_with_a_goodbye_when_it_is_idle() {
    let mut gateway = TestInstance::start().await;
    let (near_end, far_end) = tokio::io::duplex(limits::TLS_WRITE_AT);
    let (caller, connection) = calling::open(near_end, std::sync::Arc::default(), Lane::Interactive).await.unwrap();
    let hearing = gateway.keeper_tasks.spawn("hearing", async { hear(far_end, "dial another in its place").await });
    let driving = gateway.keeper_tasks.spawn("driving", async { drop(connection.await) });
    gateway.points[0].leave().await;
    let instance = &gateway.worker.instance;
    let (registration, told) = (&gateway.points[0].tunnel, Told::new(instance, "PS1"));
    let own = super::super::own_hello(instance, &told.in_force);
    let control = Control::call(&caller, &gateway.keeper_tasks, &own).await.unwrap();
    let liveness = Liveness::new(Arc::new(Pulse::new()));
    let conversation = Conversation { control, told, liveness, registration, instance };
    let mut talk = pin!(conversation.run());
    assert!(talk.as_mut().now_or_never().is_none(), "all is well");
    let request = gateway.allowed("GET", "/CCM_Proxy_MutualAuth/5/CCM_System/request");
    let running = instance.registry.lease(&request, gateway.worker.index).unwrap();
    assert!(running.tunnel().start(test_instance::opening()).is_err());
    assert_eq!(instance.registry.usable("PS1"), 0, "it is given nothing more");
    assert!(timeout(limits::IDLE_LOOK * 10, talk.as_mut()).await.is_err(), "what runs finishes first");
    drop(running);
    assert_eq!(talk.await, Ok(ControlEnd::Retired));
    assert!(hearing.await.unwrap().contains(BUILD.version), "the hello came before");
    drop(driving);
    gateway.keeper_tasks.end();
}

//! A panic in the path of a request, on a whole instance without sockets (O-08, G-20).

use std::process::Command;

use bytes::Buf;
use cmg_core::logs::Logs;
use cmg_core::refusal::Side;
use cmg_core::shutdown::PANICS;
use cmg_core::tunnel::frame::answer_piece;
use rcgen::CertificateParams;
use tokio::io::DuplexStream;
use tokio::sync::oneshot;

use super::*;
use crate::test_instance::{TestEdge, TestInstance};
use crate::test_site::{Authority, SERVICE, client, custom, published};

/// Set for the process in which the exchanges run: their log is its standard error.
const INSIDE: &str = "CMG_TEST_EXCHANGES_RUN_HERE";

/// The log of the exchanges of a test, which runs again in a process of its own.
fn log_of(test: &str) -> Vec<serde_json::Value> {
    let own = std::env::current_exe().unwrap();
    let mut again = Command::new(own);
    again.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").env_remove("CMG_LOG");
    let output = again.output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}{log}", String::from_utf8_lossy(&output.stdout));
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The one line that an exchange has in a log, by its code.
fn only_line<'a>(log: &'a [serde_json::Value], code: &str) -> &'a serde_json::Value {
    let lines: Vec<_> = log.iter().filter(|line| line["component"] == "exchange" && line["code"] == code).collect();
    assert_eq!(lines.len(), 1, "{log:?}");
    lines[0]
}

fn panics_in(log: &[serde_json::Value]) -> usize {
    log.iter().filter(|line| line["message"] == "panic").count()
}

/// Answers one exchange with a head that holds these fields, and with these trailers.
async fn answer_one(far_end: DuplexStream, fields: &[(&'static str, &'static str)], trailers: Fields) {
    let fields = fields.iter().map(|(name, value)| Field::new(*name, *value)).collect();
    let reason = Bytes::from_static(b"OK");
    let head = AnswerHead { status: 200, reason, fields, content_length: None, role_micros: 1 };
    let mut connection = h2::server::handshake(far_end).await.unwrap();
    let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
    let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
    let mut piece = answer_piece(Some(head), Bytes::from_static(b"whole"), Some(trailers));
    stream.send_data(piece.copy_to_bytes(piece.remaining()), true).unwrap();
    while connection.accept().await.is_some() {}
}

const METADATA: &str = "/CCM_Proxy_MutualAuth/ServiceMetadata";
const UPLOAD: &str = "/CCM_Proxy_MutualAuth/5/CCM_System/request";

#[tokio::test]
async fn a_panic_costs_one_exchange_and_is_answered() {
    if std::env::var_os(INSIDE).is_none() {
        let log = log_of("request_path::tests::a_panic_costs_one_exchange_and_is_answered");
        let line = only_line(&log, RefusalKind::InternalError.code());
        assert_eq!((&line["status"], &line["outcome"]), (&500.into(), &"refused".into()), "{line}");
        assert_eq!((&line["level"], &line["endpoint"]), (&"error".into(), &"CCM_System".into()), "{line}");
        assert_eq!(panics_in(&log), 1, "{log:?}");
        return;
    }
    let gateway = TestInstance::start().await;
    let _logs = Logs::start(&gateway.worker.instance.settings.log).unwrap();
    let (leave, leaves) = oneshot::channel();
    let neighbour = gateway.serve("POST", UPLOAD, TestEdge { leaves: Some(leaves), ..TestEdge::default() });
    let panicking = async {
        let edge = gateway.serve("POST", UPLOAD, TestEdge { panics_in_body: true, ..TestEdge::default() }).await;
        assert_eq!(gateway.points[0].tunnel.tunnel().load(), (1, 0), "the neighbour's place, and no other");
        leave.send(()).unwrap();
        edge
    };
    let (neighbour, answered) = tokio::join!(neighbour, panicking);
    assert_eq!((answered.status, answered.has_ended, answered.is_cut), (Some(500), true, false));
    assert_eq!(answered.field("x-cmg-error"), Some(&b"CMGService_InternalError"[..]));
    let body: serde_json::Value = serde_json::from_slice(&answered.body).unwrap();
    assert_eq!((&body["code"], &body["side"]), (&"CMGService_InternalError".into(), &Side::Gateway.name().into()));
    assert_eq!((neighbour.status, neighbour.is_cut), (None, true), "it left, and nobody answered");
    assert_eq!(gateway.points[0].tunnel.tunnel().load(), (0, 0));
    assert_eq!(PANICS.get(), 1);
    assert!(gateway.metric("cmg_refusals_total{code=\"CMGService_InternalError\"} 1"));
    assert!(gateway.metric("cmg_exchanges_total{outcome=\"refused\",status=\"5xx\"} 1"));
    assert!(gateway.metric("cmg_exchanges_running 0"));
    let metadata = gateway.serve("GET", METADATA, TestEdge::default()).await;
    assert!(metadata.status == Some(200) && metadata.has_ended, "the worker goes on");
    gateway.keeper_tasks.end();
}

/// What had begun cannot be answered again.
#[tokio::test]
async fn a_panic_after_the_head_cuts_the_answer() {
    if std::env::var_os(INSIDE).is_none() {
        let log = log_of("request_path::tests::a_panic_after_the_head_cuts_the_answer");
        let line = only_line(&log, RefusalKind::InternalError.code());
        assert_eq!(line["outcome"], "cut", "{line}");
        assert_eq!(panics_in(&log), 1, "{log:?}");
        return;
    }
    let gateway = TestInstance::start().await;
    let _logs = Logs::start(&gateway.worker.instance.settings.log).unwrap();
    let edge = TestEdge { panics_in_answer: true, ..TestEdge::default() };
    let edge = gateway.serve("GET", METADATA, edge).await;
    assert!(edge.is_cut && !edge.has_ended);
    assert_eq!(PANICS.get(), 1);
    assert!(gateway.metric("cmg_refusals_total{code=\"CMGService_InternalError\"} 1"));
    assert!(gateway.metric("cmg_exchanges_total{outcome=\"cut\",status=\"2xx\"} 1"));
    gateway.keeper_tasks.end();
}

/// Whoever owns some certificate gets through the handshake; that makes nobody known.
#[tokio::test]
async fn service_metadata_tells_no_version_to_a_client_that_no_site_believes() {
    let mut gateway = TestInstance::start().await;
    let expired = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    for (who, shown, is_told) in [
        ("known", gateway.trusted.leaf("device"), true),
        ("of a stranger with the same name", Authority::root("R").leaf("device"), false),
        ("expired", gateway.trusted.leaf_with("device", expired), false),
    ] {
        gateway.client = client([shown]);
        let answer = gateway.serve("GET", METADATA, TestEdge::default()).await;
        assert_eq!((answer.status, answer.has_ended), (Some(200), true), "{who}");
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((&body["service_name"], &body["instance"]), (&SERVICE.into(), &"gw-1".into()), "{who}");
        assert_eq!(body.get("version").is_some(), is_told, "{who}: {body}");
    }
    gateway.keeper_tasks.end();
}

/// What a role says behind its body without having announced it reaches nobody, asked for or not.
#[tokio::test]
async fn trailers_that_the_role_did_not_announce_are_dropped_and_counted() {
    let mut gateway = TestInstance::start().await;
    let trailers = [("X-Sum", "1"), ("X-Sudden", "2"), ("X-More", "3")];
    let trailers = trailers.into_iter().map(|(name, value)| Field::new(name, value)).collect();
    let role = answer_one(gateway.points[0].far_end.take().unwrap(), &[("Trailer", "X-Sum")], trailers);
    let asks = [Field::new("TE", "trailers")].into_iter().collect();
    let edge = tokio::select! {
        edge = gateway.serve_with(asks, "POST", UPLOAD, TestEdge::default()) => edge,
        () = role => panic!("the tunnel is gone"),
    };
    assert_eq!((edge.status, edge.body.as_slice(), edge.has_ended), (Some(200), &b"whole"[..], true));
    assert_eq!(edge.trailers, [Field::new("X-Sum", "1")].into_iter().collect());
    assert!(gateway.metric("cmg_trailers_dropped_total 2"));
    gateway.keeper_tasks.end();
}

/// Begins the answer to one exchange and is gone before it says that this was all.
async fn begin_one(far_end: DuplexStream, fields: &[(&'static str, &'static str)], content_length: Option<u64>) {
    let fields = fields.iter().map(|(name, value)| Field::new(*name, *value)).collect();
    let reason = Bytes::from_static(b"OK");
    let head = AnswerHead { status: 200, reason, fields, content_length, role_micros: 1 };
    let mut connection = h2::server::handshake(far_end).await.unwrap();
    let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
    let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
    let mut piece = answer_piece(Some(head), Bytes::from_static(b"whole"), None);
    stream.send_data(piece.copy_to_bytes(piece.remaining()), false).unwrap();
    // Polled once, it writes what there is; a reset would take it back.
    assert!(connection.accept().now_or_never().is_none());
    stream.send_reset(h2::Reason::CANCEL);
    while connection.accept().await.is_some() {}
}

/// A client that has every byte it was told of has the answer: its connection goes on, and nobody says that it was cut.
#[tokio::test]
async fn an_answer_that_has_all_its_bytes_outlives_its_tunnel() {
    for (content_length, fields, is_whole) in [
        (Some(5), [("X-Any", "1")], true),
        (Some(6), [("X-Any", "1")], false),
        (None, [("X-Any", "1")], false),
        (Some(5), [("Trailer", "X-Sum")], false),
    ] {
        let mut gateway = TestInstance::start().await;
        let role = begin_one(gateway.points[0].far_end.take().unwrap(), &fields, content_length);
        let asks = [Field::new("TE", "trailers")].into_iter().collect();
        let edge = tokio::select! {
            edge = gateway.serve_with(asks, "POST", UPLOAD, TestEdge::default()) => edge,
            () = role => panic!("the tunnel is gone"),
        };
        assert_eq!((edge.status, edge.body.as_slice()), (Some(200), &b"whole"[..]));
        assert_eq!((edge.has_ended, edge.is_cut), (is_whole, !is_whole), "{content_length:?} {fields:?}");
        let outcome = if is_whole { "answered" } else { "cut" };
        assert!(gateway.metric(&format!("cmg_exchanges_total{{outcome=\"{outcome}\",status=\"2xx\"}} 1")));
        gateway.keeper_tasks.end();
    }
}

/// A laptop that sleeps in the middle of a download says nothing about the tunnel.
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_its_answer_blames_no_tunnel() {
    for (takes_nothing, never_flushes) in [(true, false), (false, true)] {
        let mut gateway = TestInstance::start().await;
        let role = answer_one(gateway.points[0].far_end.take().unwrap(), &[], Fields::new());
        let edge = TestEdge { takes_nothing, never_flushes, ..TestEdge::default() };
        let edge = tokio::select! {
            edge = gateway.serve("POST", UPLOAD, edge) => edge,
            () = role => panic!("the tunnel is gone"),
        };
        assert_eq!((edge.status, edge.is_cut), (Some(200), true));
        assert!(gateway.metric("cmg_exchanges_total{outcome=\"client gone\",status=\"2xx\"} 1"));
        assert_eq!(gateway.sum("cmg_refusals_total"), 0);
        gateway.keeper_tasks.end();
    }
}

/// The bucket of an address is looked at when it is used.
#[tokio::test(start_paused = true)]
async fn a_refusal_meanwhile_does_not_shut_the_mouth_of_a_long_request() {
    let mut gateway = TestInstance::start().await;
    let anonymous = custom(9, "/open/", "authentication = \"anonymous\"\nallow_anonymous = true\n");
    gateway.worker.instance.published_cell().store(published(&gateway.trusted, &[anonymous]).into());
    gateway.client = client([]);
    let (_stalls, waits) = oneshot::channel();
    let stalled = TestEdge { sends: [Bytes::new()].into(), last_waits: Some(waits), ..TestEdge::default() };
    let meanwhile = async {
        tokio::time::advance(limits::ANSWER_TIMEOUT).await;
        gateway.serve("GET", "/nowhere", TestEdge::default()).await
    };
    let (stalled, meanwhile) = tokio::join!(gateway.serve("POST", "/open/x", stalled), meanwhile);
    assert_eq!((meanwhile.status, meanwhile.is_last), (Some(404), false));
    assert_eq!((stalled.status, stalled.is_last), (Some(408), false));
    gateway.keeper_tasks.end();
}

/// It sees neither a slow role nor a dead one: what the tunnel took is not yet with the role.
#[tokio::test(start_paused = true)]
async fn what_a_tunnel_holds_of_a_body_gives_the_role_time_to_read_it() {
    let mut gateway = TestInstance::start().await;
    let far_end = gateway.points[0].far_end.take().unwrap();
    let silent = async {
        let mut connection = h2::server::handshake(far_end).await.unwrap();
        let _unread = connection.accept().await.unwrap().unwrap();
        connection.accept().await.is_none()
    };
    let seconds = 3;
    let chunk = Bytes::from(vec![0; limits::SLOWEST_ROLE as usize]);
    let sends = std::iter::repeat_n(chunk, seconds).collect();
    let begun = tokio::time::Instant::now();
    let edge = tokio::select! {
        edge = gateway.serve("POST", UPLOAD, TestEdge { sends, ..TestEdge::default() }) => edge,
        _ = silent => panic!("the tunnel is gone"),
    };
    assert_eq!((edge.status, edge.field("x-cmg-error")), (Some(504), Some(&b"CMGService_TunnelTimeout"[..])));
    let patience = limits::ANSWER_TIMEOUT + limits::ANSWER_MARGIN;
    assert_eq!((begun.elapsed() - patience).as_secs(), seconds as u64);
    gateway.keeper_tasks.end();
}

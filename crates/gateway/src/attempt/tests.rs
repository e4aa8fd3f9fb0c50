//! Which requests reach a second connection point, and which must not.

mod handed_back;

use std::cell::RefCell;
use std::future::poll_fn;

use bytes::Buf;
use cmg_core::tunnel::frame::{Event, Reader, Requests, answer_piece, handed_piece, refused_piece};
use cmg_core::tunnel::message::AnswerHead;
use cmg_core::tunnel::piece::Piece;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use tokio::io::DuplexStream;

use super::*;
use crate::test_instance::{TestEdge, TestInstance};

const TARGET: &str = "/CCM_Proxy_MutualAuth/5/CCM_System/request";

/// What a connection point does with an exchange.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answer,
    Refuse(RefusedReason, bool),
    /// HTTP/2's own word for it.
    RefuseStream,
    /// The tunnel ends without a word, and nobody has noticed yet.
    Vanish,
    HandOverAndVanish,
    /// The tunnel has ended before the request came.
    IsGone,
}

/// What a connection point got: one body per exchange.
type Got = RefCell<Vec<Vec<u8>>>;

/// Plays a connection point that reads so many bytes of a body, or to its end, and then does this.
async fn play(far_end: DuplexStream, does: Does, reads: usize, got: &Got) {
    let Ok(mut connection) = h2::server::handshake(far_end).await else { return std::future::pending().await };
    while let Some(exchange) = connection.accept().await {
        let Ok((request, mut respond)) = exchange else { continue };
        if matches!(does, Does::RefuseStream) {
            respond.send_reset(Reason::REFUSED_STREAM);
            continue;
        }
        let serving = async {
            let body = read(request.into_body(), reads).await;
            got.borrow_mut().push(body);
            act(does, &mut respond)
        };
        // The connection moves only while it is asked for more.
        let stays = tokio::select! {
            stays = serving => stays,
            _ = connection.accept() => panic!("a second exchange, or the end, in the middle of the first"),
        };
        if !stays {
            drop(connection);
            return std::future::pending().await;
        }
    }
    std::future::pending().await
}

async fn read(mut stream: RecvStream, most: usize) -> Vec<u8> {
    let (mut reader, mut body) = (Reader::<Requests>::default(), Vec::new());
    loop {
        while let Some(event) = reader.next_event().unwrap() {
            match event {
                Event::Data(data) => body.extend_from_slice(&data),
                Event::End(_) => return body,
                Event::Head(_) | Event::HandedToRole | Event::Refused(_) => {}
            }
        }
        if body.len() >= most {
            return body;
        }
        let chunk = poll_fn(|cx| stream.poll_data(cx)).await.unwrap().unwrap();
        stream.flow_control().release_capacity(chunk.len()).unwrap();
        reader.feed(chunk);
    }
}

/// Says whether the tunnel lives on.
fn act(does: Does, respond: &mut SendResponse<Bytes>) -> bool {
    let mut begin = || respond.send_response(http::Response::new(()), false).unwrap();
    match does {
        Does::Answer => {
            let fields = Fields::new();
            let reason = Bytes::from_static(b"OK");
            let head = AnswerHead { status: 200, reason, fields, content_length: None, role_micros: 1 };
            say(&mut begin(), answer_piece(Some(head), Bytes::new(), Some(Fields::new())), true);
        }
        Does::Refuse(reason, not_started) => {
            say(&mut begin(), refused_piece(Refused { reason, detail: "told so".to_owned(), not_started }), true);
        }
        Does::HandOverAndVanish => {
            say(&mut begin(), handed_piece(), false);
            return false;
        }
        Does::Vanish => return false,
        Does::RefuseStream | Does::IsGone => {}
    }
    true
}

fn say(stream: &mut SendStream<Bytes>, mut piece: Piece, is_end: bool) {
    stream.send_data(piece.copy_to_bytes(piece.remaining()), is_end).unwrap();
}

/// A request, what the first connection point does with it, and what comes of it.
struct Case {
    method: &'static str,
    /// Chunks of its body.
    sends: &'static [usize],
    first: Does,
    /// How much of the body the first reads before that.
    reads: usize,
    second: Option<Does>,
    status: u16,
    code: Option<RefusalKind>,
    decision: &'static str,
}

const POST: Case = Case {
    method: "POST",
    sends: &[100],
    first: Does::Answer,
    reads: usize::MAX,
    second: Some(Does::Answer),
    status: 200,
    code: None,
    decision: "",
};
const GET: Case = Case { method: "GET", sends: &[], ..POST };

const fn refuses(reason: RefusedReason) -> Does {
    Does::Refuse(reason, true)
}

const SENT_AGAIN: &[Case] = &[
    Case { first: Does::IsGone, decision: "unwritten", ..POST },
    Case { first: Does::RefuseStream, decision: "full", ..POST },
    Case { first: refuses(RefusedReason::Draining), decision: "draining", ..POST },
    Case { first: refuses(RefusedReason::Full), decision: "full", ..POST },
    Case { first: refuses(RefusedReason::RoleUnreachable), decision: "role unreachable", ..POST },
    Case { first: refuses(RefusedReason::RoleTlsFailed), decision: "role tls failed", ..POST },
    Case { first: refuses(RefusedReason::Draining), sends: &[20_000, 20_000, 20_000], decision: "draining", ..POST },
    Case { first: refuses(RefusedReason::Draining), sends: &[1, 2, 20_000, 3, 4], decision: "draining", ..POST },
    Case { first: Does::Vanish, decision: "repeatable", ..GET },
    Case { first: Does::Vanish, method: "HEAD", decision: "repeatable", ..GET },
    Case { first: Does::Vanish, method: "PROPFIND", sends: &[500], decision: "repeatable", ..GET },
    Case { first: Does::HandOverAndVanish, decision: "repeatable", ..GET },
];

const LOST: Option<RefusalKind> = Some(RefusalKind::TunnelLost);

const NOT_SENT_AGAIN: &[Case] = &[
    Case { first: Does::Vanish, status: 502, code: LOST, decision: "may have started", ..POST },
    Case { first: Does::HandOverAndVanish, status: 502, code: LOST, decision: "may have started", ..POST },
    Case { first: Does::Vanish, method: "CCM_POST", status: 502, code: LOST, decision: "may have started", ..POST },
    Case {
        first: Does::Refuse(RefusedReason::RoleUnreachable, false),
        status: 502,
        code: Some(RefusalKind::RoleUnreachable),
        decision: "may have started",
        ..POST
    },
    Case {
        first: refuses(RefusedReason::RoleAborted),
        status: 502,
        code: Some(RefusalKind::RoleAborted),
        decision: "may have started",
        ..GET
    },
    Case {
        first: Does::Refuse(RefusedReason::RoleTimeout, false),
        status: 504,
        code: Some(RefusalKind::RoleTimeout),
        decision: "may have started",
        ..GET
    },
    Case {
        first: refuses(RefusedReason::Draining),
        sends: &[40_000, 40_000],
        status: 503,
        code: Some(RefusalKind::Draining),
        decision: "body not kept",
        ..POST
    },
    Case {
        first: refuses(RefusedReason::Draining),
        second: None,
        status: 503,
        code: Some(RefusalKind::Draining),
        decision: "nobody else",
        ..POST
    },
    Case {
        first: Does::IsGone,
        second: None,
        status: 503,
        code: Some(RefusalKind::NoConnectionPoint),
        decision: "nobody else",
        ..POST
    },
    // What was handed back was not sent.
    Case {
        first: refuses(RefusedReason::Draining),
        second: Some(Does::IsGone),
        status: 503,
        code: Some(RefusalKind::Draining),
        decision: "nobody else",
        ..POST
    },
    Case { first: Does::Vanish, second: Some(Does::IsGone), status: 502, code: LOST, decision: "nobody else", ..GET },
];

const TWICE: &[Case] = &[
    Case {
        first: refuses(RefusedReason::Draining),
        second: Some(refuses(RefusedReason::Full)),
        status: 503,
        code: Some(RefusalKind::Overloaded),
        decision: "second time",
        ..POST
    },
    Case { first: Does::IsGone, second: Some(Does::Vanish), status: 502, code: LOST, decision: "second time", ..GET },
    // The first may have run it: a 503 of the second would lie.
    Case {
        first: Does::Vanish,
        second: Some(refuses(RefusedReason::Draining)),
        status: 502,
        code: LOST,
        decision: "second time",
        ..GET
    },
];

async fn run(case: &Case) -> (TestEdge, TestInstance, [Got; 2]) {
    let mut gateway = TestInstance::with_points(if case.second.is_some() { 2 } else { 1 }).await;
    let got = [Got::default(), Got::default()];
    for (point, does) in gateway.points.iter_mut().zip([Some(case.first), case.second]) {
        if matches!(does, Some(Does::IsGone)) {
            point.leave().await;
        }
    }
    let far_ends: Vec<_> = gateway.points.iter_mut().map(|point| point.far_end.take().unwrap()).collect();
    let mut far_ends = far_ends.into_iter();
    let first = play(far_ends.next().unwrap(), case.first, case.reads, &got[0]);
    let second = async {
        match case.second.zip(far_ends.next()) {
            Some((does, far_end)) => play(far_end, does, usize::MAX, &got[1]).await,
            None => std::future::pending().await,
        }
    };
    let mut fill = 0..;
    let sends = case.sends.iter().map(|length| fill.by_ref().take(*length).map(|byte| byte as u8).collect());
    let edge = TestEdge { sends: sends.collect(), ..TestEdge::default() };
    let edge = tokio::select! {
        edge = gateway.serve(case.method, TARGET, edge) => edge,
        () = first => panic!("the first connection point stopped playing"),
        () = second => panic!("the second connection point stopped playing"),
    };
    (edge, gateway, got)
}

fn judge(number: usize, case: &Case, (edge, gateway, got): &(TestEdge, TestInstance, [Got; 2])) {
    let name = format!("case {number}: {} {:?} then {:?}", case.method, case.first, case.second);
    let code = case.code.map(|code| code.code().as_bytes());
    assert_eq!((edge.status, edge.field("x-cmg-error")), (Some(case.status), code), "{name}");
    let body: Vec<u8> = (0..case.sends.iter().sum::<usize>()).map(|byte| byte as u8).collect();
    for whole in got[1].borrow().iter() {
        assert_eq!(*whole, body, "{name}: the second got another body");
    }
    for point in &gateway.points {
        assert_eq!(point.tunnel.tunnel().load(), (0, 0), "{name}: a place is held");
    }
}

#[tokio::test]
async fn what_was_surely_not_started_or_does_no_harm_twice_is_sent_again() {
    for (number, case) in SENT_AGAIN.iter().enumerate() {
        let ran = run(case).await;
        judge(number, case, &ran);
        assert_eq!(ran.2[1].borrow().len(), 1, "case {number} did not reach the second");
        let counted = format!("cmg_requests_sent_again_total{{reason=\"{}\"}} 1", case.decision);
        assert!(ran.1.metric(&counted), "case {number}: not {counted}");
        ran.1.keeper_tasks.end();
    }
}

#[tokio::test]
async fn what_may_have_started_is_not_sent_again() {
    for (number, case) in NOT_SENT_AGAIN.iter().enumerate() {
        let ran = run(case).await;
        judge(number, case, &ran);
        assert!(ran.2[1].borrow().is_empty(), "case {number} reached the second");
        assert_eq!(ran.1.sum("cmg_requests_sent_again_total"), 0, "case {number}");
        let counted = format!("cmg_requests_not_sent_again_total{{reason=\"{}\"}} 1", case.decision);
        assert!(ran.1.metric(&counted), "case {number}: not {counted}");
        ran.1.keeper_tasks.end();
    }
}

#[tokio::test]
async fn a_request_is_sent_again_once_only_and_503_never_lies() {
    for (number, case) in TWICE.iter().enumerate() {
        let ran = run(case).await;
        judge(number, case, &ran);
        assert_eq!(ran.2[1].borrow().len(), 1, "case {number} did not reach the second");
        let counted = format!("cmg_requests_not_sent_again_total{{reason=\"{}\"}} 1", case.decision);
        assert!(ran.1.metric(&counted), "case {number}: not {counted}");
        ran.1.keeper_tasks.end();
    }
}

/// Where the first one stopped reading the second goes on.
#[tokio::test]
async fn an_upload_goes_on_to_the_second() {
    let mut gateway = TestInstance::with_points(2).await;
    let got = [Got::default(), Got::default()];
    let far_ends = gateway.points.iter_mut().map(|point| point.far_end.take().unwrap()).collect::<Vec<_>>();
    let [first, second] = far_ends.try_into().unwrap();
    let players = async {
        let first = play(first, refuses(RefusedReason::Draining), 10, &got[0]);
        tokio::join!(first, play(second, Does::Answer, usize::MAX, &got[1]));
    };
    let (go, waits) = tokio::sync::oneshot::channel();
    let sends = [Bytes::from(vec![1; 10]), Bytes::from(vec![2; 20_000])].into();
    let edge = TestEdge { sends, last_waits: Some(waits), ..TestEdge::default() };
    let registered = gateway.points[1].tunnel.tunnel();
    let second_is_tried = async {
        while registered.load() == (0, 0) {
            tokio::task::yield_now().await;
        }
        go.send(()).unwrap();
        std::future::pending().await
    };
    let edge = tokio::select! {
        edge = gateway.serve("POST", TARGET, edge) => edge,
        () = players => panic!("the connection points stopped playing"),
        () = second_is_tried => panic!("it never ends"),
    };
    assert_eq!(edge.status, Some(200));
    assert_eq!(*got[1].borrow(), [[vec![1; 10], vec![2; 20_000]].concat()]);
    gateway.keeper_tasks.end();
}

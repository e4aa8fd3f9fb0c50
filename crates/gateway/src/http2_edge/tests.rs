//! What HTTP/2 itself lets pass, as raw frames: requests that no library of a client would send.

use std::cell::Cell;
use std::future::poll_fn;

use cmg_core::refusal::RefusalKind::{self, BadRequest, HeaderTooLarge, UriTooLong};
use cmg_core::request_target::RequestTarget;
use cmg_core::shutdown::{TaskHandle, Tasks};
use futures_util::FutureExt;
use tokio::io::AsyncWriteExt;

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
/// What every end takes in one frame.
const FRAME: usize = 16_384;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

type Lines<'a> = [(&'a str, &'a str)];

const GET: [(&str, &str); 3] = [(":method", "GET"), (":scheme", "https"), (":path", "/a?b")];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal field with a name of its own, never indexed: two strings with their lengths (RFC 7541, 6.2.2).
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    for text in [name, value] {
        match text.len() {
            short @ 0..127 => out.push(u8::try_from(short).unwrap()),
            long => {
                out.push(127);
                let mut rest = long - 127;
                while rest >= 128 {
                    out.push(u8::try_from(rest % 128).unwrap() | 128);
                    rest /= 128;
                }
                out.push(u8::try_from(rest).unwrap());
            }
        }
        out.extend_from_slice(text);
    }
    out
}

/// What becomes of a head; `None`: h2 did not make a request of it, but of the next.
async fn judge_bytes(head: &[(&[u8], &[u8])], ends: bool) -> Option<Result<ClientRequest, Refusal>> {
    let block =
        |head: &[(&[u8], &[u8])]| head.iter().flat_map(|(name, value)| literal(name, value)).collect::<Vec<u8>>();
    let next = GET.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let first = head_frames(&block(head), if ends { END_STREAM } else { 0 });
    let second = frame(HEADERS, END_HEADERS | END_STREAM, 3, &block(&next));
    let (mut client, server) = tokio::io::duplex(limits::TLS_WRITE_AT);
    client.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), &first, &second].concat()).await.unwrap();
    let mut connection = settings().handshake::<_, Bytes>(server).await.unwrap();
    let (request, respond) = connection.accept().await?.ok()?;
    (respond.stream_id().as_u32() == 1).then(|| client_request(&request))
}

/// A head that is longer than a frame goes on in others.
fn head_frames(block: &[u8], flags: u8) -> Vec<u8> {
    let (first, rest) = block.split_at(block.len().min(FRAME));
    if rest.is_empty() {
        return frame(HEADERS, flags | END_HEADERS, 1, first);
    }
    let mut frames = frame(HEADERS, flags, 1, first);
    for part in rest.chunks(FRAME) {
        frames.extend(frame(CONTINUATION, 0, 1, part));
    }
    frames.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
    frames
}

async fn judge(lines: &Lines<'_>) -> Option<Result<ClientRequest, Refusal>> {
    let head: Vec<(&[u8], &[u8])> = lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    judge_bytes(&head, true).await
}

/// A GET with further lines.
async fn get(more: &Lines<'_>) -> Option<Result<ClientRequest, Refusal>> {
    judge(&[&GET, more].concat()).await
}

async fn passes(more: &Lines<'_>) -> ClientRequest {
    get(more).await.expect("a request").unwrap_or_else(|refusal| panic!("{more:?}: {refusal:?}"))
}

fn refused(judged: Option<Result<ClientRequest, Refusal>>) -> (RefusalKind, String) {
    let refusal = judged.expect("h2 makes a request of it").unwrap_err();
    (refusal.kind, refusal.detail)
}

#[tokio::test]
async fn a_request_is_taken_as_it_is() {
    let request = passes(&[(":authority", "gw:443"), ("soapaction", "\"x\""), ("x-a", "1"), ("x-a", "2")]).await;
    assert_eq!((&request.method[..], &request.target[..]), (&b"GET"[..], &b"/a?b"[..]));
    assert_eq!(request.host.as_deref(), Some(&b"gw:443"[..]));
    assert_eq!(request.fields.all("x-a").collect::<Vec<_>>(), ["1", "2"]);
    assert!(request.fields.first(":authority").is_none() && !request.expects_continue);
    assert_eq!(request.body, BodyLength::None);
}

#[tokio::test]
async fn targets_keep_their_bytes() {
    let behind = "/CCM_Proxy_MutualAuth/72057594037927941";
    for rest in
        ["/CCM_Incoming/{4F2C8A77}", "/SMS_MP/.sms_aut?MPLIST", "/a/sccm?/file", "/SMS_DP_SMSPKG$/a%20b", "/a?%zz"]
    {
        let path = format!("{behind}{rest}");
        let head = [(":method", "CCM_POST"), (":scheme", "https"), (":path", &path), (":authority", "gw")];
        let request = judge(&head).await.unwrap().unwrap();
        assert_eq!((&request.target[..], &request.method[..]), (path.as_bytes(), &b"CCM_POST"[..]));
    }
    // What the parser of request targets refuses gets there.
    for path in ["/a/../b", "/a%2e%2e/b", "/a\\b", "*"] {
        let Some(judged) = judge(&[(":method", "OPTIONS"), (":scheme", "https"), (":path", path)]).await else {
            continue;
        };
        let target = judged.unwrap().target;
        assert_eq!(target, path);
        assert!(RequestTarget::parse(target).is_err(), "{path}");
    }
}

#[tokio::test]
async fn there_is_one_host() {
    for (more, host) in [
        (&[(":authority", "gw")][..], Some("gw")),
        (&[("host", "gw")], Some("gw")),
        (&[(":authority", "gw"), ("host", "GW")], Some("gw")),
        (&[], None),
    ] {
        assert_eq!(passes(more).await.host.as_deref(), host.map(str::as_bytes), "{more:?}");
    }
    for (more, detail) in [
        (&[(":authority", "gw"), ("host", "inside")][..], "Host and :authority differ"),
        (&[(":authority", "gw"), ("host", "gw:443")], "Host and :authority differ"),
        (&[("host", "gw"), ("host", "gw")], "more than one Host"),
        (&[(":authority", "gw"), ("host", "gw"), ("host", "gw")], "more than one Host"),
    ] {
        assert_eq!(refused(get(more).await), (BadRequest, detail.to_owned()), "{more:?}");
    }
}

#[tokio::test]
async fn a_length_has_one_meaning() {
    let head: Vec<(&[u8], &[u8])> = GET.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let body = |more: Option<&'static str>| {
        let mut head = head.clone();
        head.extend(more.map(|length| (&b"content-length"[..], length.as_bytes())));
        async move { judge_bytes(&head, false).await.unwrap().unwrap().body }
    };
    assert_eq!(body(None).await, BodyLength::Chunked);
    assert_eq!(body(Some("5")).await, BodyLength::Known(5));
    assert_eq!(body(Some("007")).await, BodyLength::Known(7));
    let lengths: [&Lines<'_>; 8] = [
        &[("content-length", "0"), ("content-length", "0")],
        &[("content-length", "0, 0")],
        &[("content-length", "+0")],
        &[("content-length", "-1")],
        &[("content-length", "0x0")],
        &[("content-length", "")],
        &[("content-length", "18446744073709551616")],
        &[("content-length", "5")],
    ];
    for lines in lengths {
        // h2 itself refuses some of them; none becomes a request.
        match get(lines).await {
            None => {}
            Some(judged) => assert_eq!(judged.unwrap_err().kind, BadRequest, "{lines:?}"),
        }
    }
}

#[tokio::test]
async fn heads_have_limits() {
    let long = format!("/{}", "a".repeat(limits::REQUEST_TARGET));
    let judged = judge(&[(":method", "GET"), (":scheme", "https"), (":path", &long)]).await;
    assert_eq!(refused(judged).0, UriTooLong);
    let fits = judge(&[(":method", "GET"), (":scheme", "https"), (":path", &long[1..])]).await;
    assert!(fits.is_none_or(|judged| judged.is_err()), "a path without its slash is no path");
    let names: Vec<String> = (0..=limits::HEAD_FIELDS).map(|number| format!("x-{number}")).collect();
    let lines: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "a")).collect();
    assert_eq!(refused(get(&lines).await).0, HeaderTooLarge);
    assert_eq!(passes(&lines[1..]).await.fields.len(), limits::HEAD_FIELDS);
    let value = "a".repeat(limits::REQUEST_HEAD / 8);
    let lines: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
    assert_eq!(refused(get(&lines[..8]).await).0, HeaderTooLarge);
    assert_eq!(passes(&lines[..7]).await.fields.len(), 7);
}

#[tokio::test]
async fn what_asks_for_a_connection_is_refused() {
    let connect = judge(&[(":method", "CONNECT"), (":authority", "inside:443")]).await;
    assert_eq!(refused(connect), (BadRequest, "the request has no :path".to_owned()));
    for lines in [
        &[("connection", "close")][..],
        &[("transfer-encoding", "chunked")],
        &[("upgrade", "h2c")],
        &[("keep-alive", "5")],
        &[("te", "gzip")],
        &[("X-Upper", "a")],
        &[(":path", "/b")],
        &[("x-a", "1"), (":authority", "gw")],
        &[("x-a", "b\r\nc")],
        &[("x-a", "b\0")],
        &[("x a", "b")],
        &[("", "b")],
    ] {
        assert!(get(lines).await.is_none_or(|judged| judged.is_err()), "{lines:?}");
    }
    assert!(get(&[("te", "trailers")]).await.is_some_and(|judged| judged.is_ok()));
}

#[tokio::test]
async fn a_client_may_wait_for_100() {
    assert!(passes(&[("expect", "100-Continue")]).await.expects_continue);
    assert!(!passes(&[("expect", "something")]).await.expects_continue);
}

/// What the other end of a tunnel would not take is the client's fault, not the tunnel's.
#[test]
fn trailers_are_judged_like_fields() {
    let trailers = |lines: &[(&'static str, &'static [u8])]| {
        let lines =
            lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap()));
        judged_trailers(lines.collect())
    };
    assert_eq!(trailers(&[]).unwrap().len(), 0);
    assert_eq!(trailers(&[("x-sum", b"a b"), ("x-sum", b"\xff")]).unwrap().len(), 2);
    for spoilt in [&b" a"[..], b"a ", b"\ta"] {
        assert_eq!(trailers(&[("x-sum", spoilt)]).unwrap_err().kind, BadRequest, "{spoilt:?}");
    }
    let lines = [("x-sum", &b"a"[..]); limits::HEAD_FIELDS + 1];
    assert_eq!(trailers(&lines).unwrap_err().kind, BadRequest);
    assert_eq!(trailers(&lines[1..]).unwrap().len(), limits::HEAD_FIELDS);
}

/// h2 reads paths with the grammar of `http`: what that refuses or cuts off never gets to us (docs/limits.md).
#[tokio::test]
async fn what_h2_makes_of_paths_outside_its_grammar() {
    let path = async |bytes: &[u8]| {
        let head: [(&[u8], &[u8]); 3] = [(b":method", b"GET"), (b":scheme", b"https"), (b":path", bytes)];
        judge_bytes(&head, true).await.map(|judged| judged.unwrap().target.to_vec())
    };
    for refused in ["/a b", "/a\x7f", "/a\0", "/<", "/>", "/`", "/?\"", "/?<", "/?>", "/?a b", "a", ""] {
        assert_eq!(path(refused.as_bytes()).await, None, "{refused:?}");
    }
    assert_eq!(path(b"/\xff").await, None);
    for same in ["/\u{e4}", "/a\"b", "/{}", "/a\\b", "/a|b^", "/?`{}|\\^[]\u{e4}%zz"] {
        assert_eq!(path(same.as_bytes()).await.as_deref(), Some(same.as_bytes()), "{same}");
    }
    assert_eq!(path(b"/a#b").await.as_deref(), Some(&b"/a"[..]));
}

#[test]
fn pieces_of_a_cookie_become_one_field() {
    let mut fields: Fields =
        [Field::new("cookie", "a=1"), Field::new("x", "y"), Field::new("cookie", "b=2")].into_iter().collect();
    join_cookies(&mut fields);
    let expected: Fields = [Field::new("x", "y"), Field::new("cookie", "a=1; b=2")].into_iter().collect();
    assert_eq!(fields, expected);
}

/// A client that opens its window by hand, and our exchange with it.
struct Reader {
    client: h2::client::SendRequest<Bytes>,
    answer: RecvStream,
    exchange: Http2Exchange,
    _connections: [TaskHandle<()>; 2],
}

impl Reader {
    async fn of(body: ClientAnswerBody, window: u32) -> Self {
        let (tasks, (near_end, far_end)) = (Tasks::new(), tokio::io::duplex(limits::TLS_WRITE_AT));
        let mut small = h2::client::Builder::new();
        let (client, server) =
            tokio::join!(small.initial_window_size(window).handshake(far_end), settings().handshake(near_end));
        let ((mut client, connection), mut server) = (client.unwrap(), server.unwrap());
        let driven = tasks.spawn("client", connection.map(drop));
        let request = Request::get("https://gw/").body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        let (request, respond) = server.accept().await.unwrap().unwrap();
        let served = tasks.spawn("server", async move { while server.accept().await.is_some() {} });
        let mut exchange = Http2Exchange::new(request.into_body(), respond, false);
        let head = ClientAnswer { status: 200, reason: Bytes::new(), fields: Fields::new(), body };
        exchange.send_head(head).unwrap();
        let answer = response.await.unwrap().into_body();
        Self { client, answer, exchange, _connections: [driven, served] }
    }
}

/// Reads what there is and lets as much again come.
async fn read_on(answer: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let data = poll_fn(|cx| answer.poll_data(cx)).await?;
    if let Ok(data) = &data {
        answer.flow_control().release_capacity(data.len()).unwrap();
    }
    Some(data)
}

/// What h2 held would outlast everything that bounds the exchange.
#[tokio::test]
async fn an_answer_is_over_when_the_client_has_room_for_all_of_it() {
    let whole = Bytes::from_static(b"0123456789");
    for (body, trailers) in [
        (ClientAnswerBody::Known(10), Fields::new()),
        (ClientAnswerBody::Streamed, Fields::new()),
        (ClientAnswerBody::Streamed, [Field::new("x-sum", "1")].into_iter().collect()),
    ] {
        let mut reader = Reader::of(body, 4).await;
        poll_fn(|cx| reader.exchange.poll_room(cx)).await.unwrap();
        reader.exchange.send_data(whole.clone()).unwrap();
        reader.exchange.send_end(trailers.clone()).unwrap();
        assert!(poll_fn(|cx| reader.exchange.poll_room(cx)).now_or_never().is_none(), "{body:?}: there is no room");
        let Reader { answer, exchange, .. } = &mut reader;
        let (read, mut got) = (Cell::new(0), Vec::new());
        let flushing = async {
            poll_fn(|cx| exchange.poll_flush(cx)).await.unwrap();
            read.get()
        };
        let reading = async {
            while let Some(data) = read_on(answer).await {
                got.extend(data.unwrap());
                read.set(got.len());
            }
        };
        let (read_before, ()) = tokio::join!(flushing, reading);
        assert!(read_before >= 6, "{body:?}: over when {read_before} bytes had been read");
        assert_eq!(got, whole);
        let got = poll_fn(|cx| reader.answer.poll_trailers(cx)).await.unwrap().unwrap_or_default();
        assert_eq!(judged_trailers(got).unwrap(), trailers);
    }
}

#[tokio::test]
async fn an_answer_that_the_client_has_no_room_for_is_cut() {
    let mut reader = Reader::of(ClientAnswerBody::Known(10), 4).await;
    poll_fn(|cx| reader.exchange.poll_room(cx)).await.unwrap();
    reader.exchange.send_data(Bytes::from_static(b"0123456789")).unwrap();
    reader.exchange.cut();
    let mut read = 0;
    let ended = loop {
        match read_on(&mut reader.answer).await {
            Some(Ok(data)) => read += data.len(),
            ended => break ended,
        }
    };
    assert!(ended.is_some_and(|ended| ended.is_err()) && read <= 4, "it seems whole");
    drop(reader.client);
}

#[tokio::test]
async fn a_client_that_resets_is_gone_though_it_has_no_room() {
    let mut reader = Reader::of(ClientAnswerBody::Streamed, 0).await;
    poll_fn(|cx| reader.exchange.poll_room(cx)).await.unwrap();
    reader.exchange.send_data(Bytes::from_static(b"0123456789")).unwrap();
    drop(reader.answer);
    assert_eq!(poll_fn(|cx| reader.exchange.poll_flush(cx)).await, Err(ClientGone));
}

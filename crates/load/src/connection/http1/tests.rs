//! How exchanges end when the far end misbehaves.

use std::task::Context;

use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use super::*;
use crate::kind::{Kind, Mix};
use crate::outcome::Outcome;
use crate::wording::{Wording, tests::site};

fn worded(kind: Kind) -> Worded {
    let (site, mix) = (site(), Mix::only(kind));
    Wording { run: "r", seed: 1, mix: &mix, site: &site, wait: 1 }.request(0)
}

async fn read_head(far: &mut DuplexStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(far.read_u8().await.unwrap());
    }
}

/// One exchange with a far end that reads the head, writes this and goes on; the connection after it.
async fn exchange(kind: Kind, answer: &str) -> (Outcome, Http1<DuplexStream>, DuplexStream) {
    let (near, mut far) = duplex(8 << 20);
    let (mut connection, worded) = (Http1::new(near, "gateway.example.net"), worded(kind));
    let mut judge = Judge::of(&worded);
    let (ended, ()) = tokio::join!(connection.exchange(&worded, &mut judge), async {
        read_head(&mut far).await;
        write_whole(&mut far, answer.as_bytes()).await.unwrap();
    });
    (ended.judged(&mut judge).0, connection, far)
}

const REFUSED: &str =
    "HTTP/1.1 404 No\r\nx-cmg-request-id: a\r\nx-cmg-error: CMGService_NotPublished\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn an_answer_with_something_behind_it_is_corrupted() {
    let (outcome, mut connection, mut far) = exchange(Kind::Get, REFUSED).await;
    assert_eq!((outcome, connection.state().await), (Outcome::Refused, State::Open));
    write_whole(&mut far, b"x").await.unwrap();
    assert_eq!(connection.state().await, State::Carries);
    let (outcome, ..) = exchange(Kind::Get, &format!("{REFUSED}x")).await;
    assert_eq!(outcome, Outcome::Corrupted);
    let with_body = REFUSED.replace("Length: 0", "Length: 3") + "abc";
    assert_eq!(exchange(Kind::Head, &with_body).await.0, Outcome::Corrupted, "no body comes after HEAD");
    assert_eq!(exchange(Kind::Get, "nonsense\r\n\r\n").await.0, Outcome::Corrupted);
}

#[tokio::test]
async fn an_end_is_seen_before_the_next_request() {
    let (outcome, mut connection, far) = exchange(Kind::Get, REFUSED).await;
    drop(far);
    assert_eq!((outcome, connection.state().await), (Outcome::Refused, State::Closed));
}

/// Takes a head and no body, and then closes in good order.
#[derive(Default)]
struct TakesNoBody {
    has_head: bool,
    has_refused: bool,
}

impl AsyncWrite for TakesNoBody {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.has_refused = self.has_head;
        self.has_head = true;
        Poll::Ready(if self.has_refused { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(bytes.len()) })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for TakesNoBody {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.has_refused {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Whether or not the upload had come to its end: an end in good order says nothing of the request.
#[tokio::test]
async fn an_end_in_good_order_without_an_answer_is_a_loss() {
    let worded_get = worded(Kind::Get);
    let (near, mut far) = duplex(256);
    let (mut connection, mut judge) = (Http1::new(near, "gateway.example.net"), Judge::of(&worded_get));
    let (ended, ()) = tokio::join!(connection.exchange(&worded_get, &mut judge), async {
        read_head(&mut far).await;
        drop(far);
    });
    assert_eq!(ended.judged(&mut judge).0, Outcome::Lost);

    let upload = worded(Kind::BitsPost);
    let (mut connection, mut judge) = (Http1::new(TakesNoBody::default(), "gateway.example.net"), Judge::of(&upload));
    let ended = connection.exchange(&upload, &mut judge).await;
    assert_eq!(ended.judged(&mut judge).0, Outcome::Lost);
}

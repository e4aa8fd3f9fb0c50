//! What comes back is what the role sent, however it was cut.

use super::*;

#[tokio::test]
async fn an_answer_comes_back_as_it_is() {
    let stage = Stage::new().await;
    let role = async {
        let mut stream = stage.accept().await;
        let head = read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 299 Very Odd\r\nx-Case: A\r\nContent-Length: 5\r\n\r\nhello").await;
        head
    };
    let (answer, asked) = tokio::join!(stage.get(get()), role);
    let (head, body) = answer.unwrap();
    assert_eq!(asked, "GET /SMS_MP/.sms_aut?MPLIST HTTP/1.1\r\nHost: mp1.test\r\n\r\n");
    assert_eq!((head.status, head.reason.as_ref(), body.as_slice()), (299, &b"Very Odd"[..], &b"hello"[..]));
    assert_eq!(head.fields.first("x-case").map(Bytes::as_ref), Some(&b"A"[..]));
}

#[tokio::test]
async fn it_does_not_matter_how_an_answer_is_cut() {
    let stage = Stage::new().await;
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nX-T: 1\r\n\r\n";
    let role = async {
        let mut stream = stage.accept().await;
        for byte in answer.bytes() {
            stream.write_all(&[byte]).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (answer, ()) = tokio::join!(stage.get(get()), role);
    assert_eq!(answer.unwrap().1, b"hello!");
}

#[tokio::test]
async fn trailers_come_with_the_end_and_small_chunks_together() {
    let stage = Stage::new().await;
    let role = async {
        let mut stream = stage.accept().await;
        read_head(&mut stream).await;
        let chunks = "1\r\nx\r\n".repeat(1000);
        write(
            &mut stream,
            &format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\nX-Sum: 9\r\n\r\n"),
        )
        .await;
        stream
    };
    let client = async {
        let mut exchange = stage.begin(get(), PATIENT);
        head(&mut exchange, &mut Vec::new()).await.unwrap();
        let (mut pieces, mut length) = (0, 0);
        loop {
            match poll_fn(|cx| exchange.poll_body(cx)).await.unwrap() {
                RolePiece::Data(data) => (pieces, length) = (pieces + 1, length + data.len()),
                RolePiece::End(trailers) => break (pieces, length, trailers),
            }
        }
    };
    let ((pieces, length, trailers), _stream) = tokio::join!(client, role);
    assert_eq!(length, 1000);
    assert!(pieces < 100, "{pieces} pieces");
    assert_eq!(trailers.first("x-sum").map(Bytes::as_ref), Some(&b"9"[..]));
}

#[tokio::test]
async fn a_byte_of_the_role_is_passed_on_at_once() {
    let stage = Stage::new().await;
    let (go, wait) = tokio::sync::oneshot::channel();
    let role = async {
        let mut stream = stage.accept().await;
        write(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na").await;
        wait.await.unwrap();
        write(&mut stream, "b").await;
    };
    let client = async {
        let mut exchange = stage.begin(get(), PATIENT);
        head(&mut exchange, &mut Vec::new()).await.unwrap();
        assert_eq!(poll_fn(|cx| exchange.poll_body(cx)).await.unwrap(), RolePiece::Data("a".into()));
        go.send(()).unwrap();
        assert_eq!(poll_fn(|cx| exchange.poll_body(cx)).await.unwrap(), RolePiece::Data("b".into()));
        assert_eq!(poll_fn(|cx| exchange.poll_body(cx)).await.unwrap(), RolePiece::End(Fields::new()));
    };
    tokio::join!(client, role);
}

#[tokio::test]
async fn answers_without_a_body_end_with_their_head() {
    let stage = Stage::new().await;
    let role = async {
        let mut stream = stage.accept().await;
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ] {
            read_head(&mut stream).await;
            write(&mut stream, answer).await;
        }
    };
    let client = async {
        let (head, body) = stage.get(request("HEAD", BodyLength::None)).await.unwrap();
        assert_eq!((head.content_length, body.len()), (Some(10_737_418_240), 0));
        for status in [204, 304, 200] {
            let (head, body) = stage.get(get()).await.unwrap();
            assert_eq!((head.status, body.len()), (status, 0));
        }
    };
    tokio::join!(client, role);
    assert_eq!(stage.counters.connected.get(), 1);
}

#[tokio::test]
async fn interim_answers_are_dropped_and_counted() {
    let stage = Stage::new().await;
    let role = async {
        let mut stream = stage.accept().await;
        read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await;
        write(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    };
    let (answer, ()) = tokio::join!(stage.get(get()), role);
    assert_eq!(answer.unwrap().0.status, 200);
    assert_eq!(stage.counters.informational_dropped.get(), 2);
}

#[tokio::test]
async fn a_close_delimited_answer_is_whole_only_after_close_notify() {
    let stage = Stage::new().await;
    let role = async {
        for properly in [true, false] {
            let mut stream = stage.accept().await;
            read_head(&mut stream).await;
            write(&mut stream, "HTTP/1.1 200 OK\r\n\r\nuntil the end").await;
            if properly {
                stream.shutdown().await.unwrap();
            }
        }
    };
    let client = async {
        assert_eq!(stage.get(get()).await.unwrap().1, b"until the end");
        let cut = stage.get(get()).await.unwrap_err();
        assert!(matches!(&cut, RoleError::AnswerBroken { .. }), "{cut}");
    };
    tokio::join!(client, role);
    assert_eq!(stage.pool.idle(), 0);
}

//! Bodies towards the role: both framings, and early answers in every shape.

use super::*;
use crate::limits;

const MIB: usize = 1024 * 1024;

fn parts(count: usize) -> Vec<Bytes> {
    vec![Bytes::from(vec![b'u'; limits::TUNNEL_CHUNK]); count]
}

#[tokio::test]
async fn head_and_first_part_share_a_record() {
    let stage = Stage::new().await;
    let server = async {
        let mut stream = stage.accept().await;
        let mut at_once = vec![0; 4096];
        let count = stream.read(&mut at_once).await.unwrap();
        write(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        String::from_utf8(at_once[..count].to_vec()).unwrap()
    };
    let mut exchange = stage.begin(request("CCM_POST", BodyLength::Known(5)), PATIENT);
    let (answer, read) = tokio::join!(whole(&mut exchange, vec!["hello".into()]), server);
    assert_eq!(answer.unwrap().0.status, 200);
    assert!(read.starts_with("CCM_POST ") && read.ends_with("\r\n\r\nhello"), "{read}");
    assert_eq!(stage.pool.idle(), 1);
}

#[tokio::test]
async fn a_chunked_body_arrives_with_its_trailers() {
    let stage = Stage::new().await;
    let server = async {
        let mut stream = stage.accept().await;
        let head = read_head(&mut stream).await;
        let mut body = Vec::new();
        while !body.ends_with(b"X-Sum: 1\r\n\r\n") {
            body.push(stream.read_u8().await.unwrap());
        }
        write(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        (head, String::from_utf8(body).unwrap())
    };
    let mut exchange = stage.begin(request("POST", BodyLength::Chunked), PATIENT);
    let mut given = 0;
    let client = poll_fn(|cx| {
        while exchange.poll_room(cx) == Poll::Ready(true) {
            given += 1;
            match given {
                1 => exchange.part("hello".into()).unwrap(),
                2 => exchange.part(Bytes::new()).unwrap(),
                3 => exchange.part("world!".into()).unwrap(),
                _ => exchange.end([Field::new("X-Sum", "1")].into_iter().collect()).unwrap(),
            }
        }
        exchange.poll_head(cx)
    });
    let (answer, (head, body)) = tokio::join!(client, server);
    assert_eq!(answer.unwrap().status, 200);
    assert!(head.to_ascii_lowercase().contains("transfer-encoding: chunked\r\n"), "{head}");
    assert_eq!(body, "5\r\nhello\r\n6\r\nworld!\r\n0\r\nX-Sum: 1\r\n\r\n");
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let stage = Stage::new().await;
    let length = 8 * MIB;
    let server = async {
        let mut stream = stage.accept().await;
        read_head(&mut stream).await;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        write(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        body.iter().all(|byte| *byte == b'u')
    };
    let mut exchange = stage.begin(request("BITS_POST", BodyLength::Known(length as u64)), PATIENT);
    let (answer, is_right) = tokio::join!(whole(&mut exchange, parts(length / limits::TUNNEL_CHUNK)), server);
    assert_eq!((answer.unwrap().0.status, is_right), (200, true));
    assert_eq!(stage.pool.idle(), 1);
}

#[tokio::test]
async fn an_early_answer_is_delivered_though_writing_fails_after_it() {
    let stage = Stage::new().await;
    for _ in 0..20 {
        let server = async {
            let mut stream = stage.accept().await;
            read_head(&mut stream).await;
            let answer = "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig";
            write(&mut stream, answer).await;
            // Closing over unread bytes makes TCP reset the connection.
            drop(stream);
        };
        let mut exchange = stage.begin(request("POST", BodyLength::Known(64 * MIB as u64)), PATIENT);
        let mut parts = parts(1024);
        let (answer, ()) = tokio::join!(head(&mut exchange, &mut parts), server);
        assert_eq!(answer.unwrap().status, 413);
    }
    assert_eq!(stage.pool.idle(), 0);
}

#[tokio::test]
async fn an_early_answer_in_full_ends_the_exchange_and_the_connection() {
    let stage = Stage::new().await;
    let server = async {
        let mut stream = stage.accept().await;
        read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly").await;
        until_gone(&mut stream).await;
    };
    let client = async {
        let mut exchange = stage.begin(request("POST", BodyLength::Chunked), PATIENT);
        let mut never_ends = parts(1);
        let head = poll_fn(|cx| {
            while exchange.poll_room(cx) == Poll::Ready(true) {
                let Some(part) = never_ends.pop() else { break };
                exchange.part(part).unwrap();
            }
            exchange.poll_head(cx)
        });
        assert_eq!(head.await.unwrap().status, 200);
        assert_eq!(poll_fn(|cx| exchange.poll_body(cx)).await.unwrap(), RolePiece::Data("early".into()));
        assert_eq!(poll_fn(|cx| exchange.poll_body(cx)).await.unwrap(), RolePiece::End(Fields::new()));
    };
    tokio::join!(client, server);
    assert_eq!((stage.pool.idle(), stage.counters.open.get()), (0, 0));
}

#[tokio::test]
async fn both_directions_run_at_the_same_time() {
    let stage = Stage::new().await;
    let length = 4 * MIB;
    let server = async {
        let mut stream = stage.accept().await;
        read_head(&mut stream).await;
        write(&mut stream, &format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")).await;
        let (mut echoed, mut buffer) = (0, vec![0; 16 * 1024]);
        while echoed < length {
            let count = stream.read(&mut buffer).await.unwrap();
            stream.write_all(&buffer[..count]).await.unwrap();
            stream.flush().await.unwrap();
            echoed += count;
        }
    };
    let mut exchange = stage.begin(request("POST", BodyLength::Known(length as u64)), PATIENT);
    let (answer, ()) = tokio::join!(whole(&mut exchange, parts(length / limits::TUNNEL_CHUNK)), server);
    assert_eq!(answer.unwrap().1.len(), length);
    assert_eq!(stage.pool.idle(), 1);
}

#[tokio::test]
async fn a_body_of_another_length_than_announced_is_refused() {
    let stage = Stage::new().await;
    let mut exchange = stage.begin(request("POST", BodyLength::Known(4)), PATIENT);
    assert!(exchange.part("hello".into()).is_err());
    let mut exchange = stage.begin(request("POST", BodyLength::Known(4)), PATIENT);
    exchange.part("hel".into()).unwrap();
    assert!(exchange.end(Fields::new()).is_err());
}

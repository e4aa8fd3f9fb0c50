//! The stream against tokio-rustls on real sockets, and against rustls alone where records are counted.

mod ends;
mod promptness;

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use rustls::{ClientConnection, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::*;
use crate::limits;
use crate::tls::test_pki::{Pki, gateway_name, in_a_minute, sockets};
use crate::tls::{ClientHello, accept, connect};

/// Our server and their client.
async fn serving(rule: FlushRule) -> (TlsStream, client::TlsStream<TcpStream>) {
    let pki = Pki::new();
    let (here, there) = sockets().await;
    let (ours, theirs) = tokio::join!(
        accept_with(here, pki.server_config(), rule),
        TlsConnector::from(pki.client_config()).connect(gateway_name(), there)
    );
    let (mut ours, mut theirs) = (ours, theirs.unwrap());
    // Takes the session tickets out of the way.
    ours.write_u8(0).await.unwrap();
    ours.flush().await.unwrap();
    theirs.read_u8().await.unwrap();
    (ours, theirs)
}

async fn accept_with(mut tcp: TcpStream, config: Arc<ServerConfig>, rule: FlushRule) -> TlsStream {
    let hello = ClientHello::read(&mut tcp, in_a_minute()).await.unwrap();
    accept(tcp, hello, config, rule).await.unwrap()
}

/// Our client and their server.
async fn calling(rule: FlushRule) -> (TlsStream, server::TlsStream<TcpStream>) {
    let pki = Pki::new();
    let (here, there) = sockets().await;
    let (ours, theirs) = tokio::join!(
        connect(here, gateway_name(), pki.client_config(), rule),
        TlsAcceptor::from(pki.server_config()).accept(there)
    );
    (ours.unwrap(), theirs.unwrap())
}

const BULK: usize = 64 * 1024 * 1024;
/// A prime, so that no boundary of records, reads or writes ever falls on the same place twice.
const PERIOD: usize = 65_521;

fn pattern() -> Vec<u8> {
    (0..2 * PERIOD).map(|at| ((at % PERIOD) * 31 % 251) as u8).collect()
}

async fn send_bulk(to: &mut (impl AsyncWrite + Unpin), step: usize) {
    let pattern = pattern();
    let mut sent = 0;
    while sent < BULK {
        let at = sent % PERIOD;
        let length = step.min(BULK - sent).min(PERIOD);
        to.write_all(&pattern[at..at + length]).await.unwrap();
        sent += length;
    }
    to.shutdown().await.unwrap();
}

async fn check_bulk(from: &mut (impl AsyncRead + Unpin)) {
    let pattern = pattern();
    let mut buffer = vec![0; 50_000];
    let mut got = 0;
    loop {
        let count = from.read(&mut buffer).await.unwrap();
        if count == 0 {
            break;
        }
        let at = got % PERIOD;
        assert!(buffer[..count] == pattern[at..at + count], "at {got}");
        got += count;
    }
    assert_eq!(got, BULK);
}

#[tokio::test]
async fn bulk_passes_both_ways_at_once() {
    for (ours, theirs) in [(60_000, 7_000), (1_500, 60_000)] {
        let (here, there) = serving(FlushRule::AtOnce).await;
        let (mut from_here, mut to_there) = tokio::io::split(here);
        let (mut from_there, mut to_here) = tokio::io::split(there);
        tokio::join!(
            send_bulk(&mut to_there, ours),
            check_bulk(&mut from_there),
            send_bulk(&mut to_here, theirs),
            check_bulk(&mut from_here)
        );
    }
}

#[tokio::test]
async fn bulk_passes_through_the_flush_gate() {
    let (mut here, mut there) = calling(FlushRule::EverySecondTurn).await;
    tokio::join!(send_bulk(&mut here, 60_000), check_bulk(&mut there));
    let (mut here, mut there) = calling(FlushRule::EverySecondTurn).await;
    tokio::join!(send_bulk(&mut there, 60_000), check_bulk(&mut here));
}

#[tokio::test]
async fn a_conversation_of_small_messages_is_never_stuck() {
    for rule in [FlushRule::AtOnce, FlushRule::EverySecondTurn] {
        let (mut here, mut there) = serving(rule).await;
        let ours = async {
            for round in 0..200_u32 {
                here.write_all(&round.to_be_bytes()).await.unwrap();
                here.flush().await.unwrap();
                assert_eq!(here.read_u32().await.unwrap(), round + 1);
            }
            here
        };
        let theirs = async {
            for _ in 0..200 {
                let round = there.read_u32().await.unwrap();
                there.write_all(&(round + 1).to_be_bytes()).await.unwrap();
                there.flush().await.unwrap();
            }
        };
        tokio::join!(ours, theirs);
    }
}

/// Payload lengths of the records that wait in `bytes`; all must be application data.
fn records(mut bytes: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    while let [23, 3, 3, high, low, rest @ ..] = bytes {
        let length = usize::from(*high) << 8 | usize::from(*low);
        found.push(length);
        bytes = rest.get(length..).unwrap();
    }
    assert!(bytes.is_empty());
    found
}

/// Reads raw TLS from their socket until `plaintext` bytes of it could be decrypted.
async fn raw(tcp: &mut TcpStream, tls: &mut ClientConnection, plaintext: usize) -> (Vec<usize>, Vec<u8>) {
    let (mut wire, mut plain) = (Vec::new(), Vec::new());
    while plain.len() < plaintext {
        let before = wire.len();
        tcp.read_buf(&mut wire).await.unwrap();
        let mut news = &wire[before..];
        while !news.is_empty() {
            tls.read_tls(&mut news).unwrap();
            tls.process_new_packets().unwrap();
            let _ = tls.reader().read_to_end(&mut plain);
        }
    }
    (records(&wire), plain)
}

#[tokio::test]
async fn small_writes_share_a_record_and_large_ones_take_them_along() {
    let (mut here, there) = serving(FlushRule::AtOnce).await;
    let (mut tcp, mut tls) = there.into_inner();

    for _ in 0..100 {
        here.write_all(&[b'x'; 50]).await.unwrap();
    }
    assert!(!here.tls.wants_write() && here.gathered.len() == 5000, "nothing is encrypted before the flush");
    here.flush().await.unwrap();
    let (lengths, plain) = raw(&mut tcp, &mut tls, 5000).await;
    assert_eq!((lengths.len(), plain.len()), (1, 5000));

    let large = [b'y'; 30_000];
    here.write_all(b"frame header").await.unwrap();
    here.write_all(&large).await.unwrap();
    here.flush().await.unwrap();
    let (lengths, plain) = raw(&mut tcp, &mut tls, 30_012).await;
    assert_eq!(lengths.len(), 2, "header and data fill two records");
    assert!(plain.starts_with(b"frame headeryyy"));

    let pieces = [IoSlice::new(b"abc"), IoSlice::new(b""), IoSlice::new(&large), IoSlice::new(b"def")];
    let taken = poll_fn(|cx| Pin::new(&mut here).poll_write_vectored(cx, &pieces)).await.unwrap();
    here.flush().await.unwrap();
    assert_eq!(taken, 30_006);
    let (lengths, plain) = raw(&mut tcp, &mut tls, taken).await;
    assert_eq!(lengths.len(), 2);
    assert!(plain.starts_with(b"abcy") && plain.ends_with(b"ydef"));

    for _ in 0..5 {
        here.write_all(&[b'z'; 4000]).await.unwrap();
    }
    here.flush().await.unwrap();
    let (lengths, _) = raw(&mut tcp, &mut tls, 20_000).await;
    assert_eq!(lengths.len(), 2, "a full record is not overfilled");
}

#[tokio::test]
async fn the_tunnel_is_flushed_by_others_turns_or_by_64_kib() {
    let (mut here, there) = serving(FlushRule::EverySecondTurn).await;
    let (mut tcp, mut tls) = there.into_inner();
    let mut noop = Context::from_waker(Waker::noop());

    here.write_all(b"first").await.unwrap();
    assert!(Pin::new(&mut here).poll_flush(&mut noop).is_pending());
    here.write_all(b"second").await.unwrap();
    here.flush().await.unwrap();
    assert_eq!(raw(&mut tcp, &mut tls, 11).await.0.len(), 1);

    here.write_all(&[0; limits::TLS_WRITE_AT]).await.unwrap();
    assert!(!here.tls.wants_write(), "enough was queued to be written without a flush");
    assert_eq!(raw(&mut tcp, &mut tls, limits::TLS_WRITE_AT).await.1.len(), limits::TLS_WRITE_AT);
}

#[tokio::test]
async fn a_peer_that_does_not_read_stops_the_writer_at_the_bound() {
    let (mut here, mut there) = serving(FlushRule::AtOnce).await;
    let chunk = vec![7; 1_000_000];
    let taken = poll_fn(|cx| Pin::new(&mut here).poll_write(cx, &chunk)).await.unwrap();
    assert_eq!(taken, limits::TLS_QUEUE, "a longer write is taken in part");
    let chunk = [7; 50_000];
    let mut noop = Context::from_waker(Waker::noop());
    let mut sent = taken;
    while let Poll::Ready(taken) = Pin::new(&mut here).poll_write(&mut noop, &chunk) {
        sent += taken.unwrap();
    }
    assert!(here.queued >= limits::TLS_WRITE_AT && here.queued < limits::TLS_QUEUE, "{}", here.queued);
    assert!(Pin::new(&mut here).poll_write(&mut noop, b"x").is_pending(), "nor a small one");

    let finish = async {
        here.write_all(&chunk).await.unwrap();
        here.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    let (_, read) = tokio::join!(finish, there.read_to_end(&mut got));
    read.unwrap();
    assert!(got.len() == sent + chunk.len() && got.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn an_idle_connection_holds_no_buffers() {
    let (mut here, mut there) = serving(FlushRule::AtOnce).await;
    let large = vec![1; 100_000];
    let exchange = async {
        let mut got = vec![0; large.len()];
        here.read_exact(&mut got).await.unwrap();
        here.write_all(b"thanks").await.unwrap();
        here.flush().await.unwrap();
    };
    let ask = async {
        there.write_all(&large).await.unwrap();
        there.flush().await.unwrap();
        there.read_exact(&mut [0; 6]).await.unwrap();
    };
    tokio::join!(exchange, ask);
    assert!(here.poll_plaintext_ready(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(!here.unread.holds_memory() && here.gathered.is_empty() && !here.tls.wants_write());
    assert!(!here.read_buffer_grew, "and rustls was told to make its own small");
}

#[tokio::test]
async fn plaintext_is_announced_and_read_in_portions() {
    let (mut here, mut there) = serving(FlushRule::AtOnce).await;
    there.write_all(b"0123456789").await.unwrap();
    there.flush().await.unwrap();
    assert_eq!(poll_fn(|cx| here.poll_plaintext_ready(cx)).await.unwrap(), 10);
    assert_eq!(poll_fn(|cx| here.poll_plaintext_ready(cx)).await.unwrap(), 10, "asking takes nothing");
    let mut into = BytesMut::from(&b">"[..]);
    assert_eq!(poll_fn(|cx| here.poll_read_into(cx, &mut into, 4)).await.unwrap(), 4);
    assert_eq!(poll_fn(|cx| here.poll_read_into(cx, &mut into, 100)).await.unwrap(), 6);
    assert_eq!(&into[..], b">0123456789");
}

#[tokio::test]
async fn bytes_once_handed_out_are_never_followed_by_pending() {
    let (mut here, there) = serving(FlushRule::AtOnce).await;
    let (mut tcp, mut tls) = there.into_inner();
    let mut wire = Vec::new();
    tls.writer().write_all(&[5; 20_000]).unwrap();
    while tls.wants_write() {
        tls.write_tls(&mut wire).unwrap();
    }
    // All of the first record and a part of the second.
    let cut = 18_000;
    tcp.write_all(&wire[..cut]).await.unwrap();
    let mut got = 0;
    let mut buffer = [0; 64 * 1024];
    while got < 16_384 {
        got += here.read(&mut buffer).await.unwrap();
    }
    assert_eq!(got, 16_384);
    tcp.write_all(&wire[cut..]).await.unwrap();
    while got < 20_000 {
        got += here.read(&mut buffer).await.unwrap();
    }
    assert_eq!(got, 20_000);
}

#[tokio::test]
async fn a_connection_tells_who_and_how() {
    let (here, _there) = serving(FlushRule::AtOnce).await;
    assert_eq!(here.server_name(), Some("gw.example"));
    assert_eq!(here.peer_certificates().map(<[_]>::len), Some(1));
    assert_eq!(here.alpn(), None);
    assert_eq!(here.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert!(here.cipher_suite().is_some() && !here.is_resumed());
    assert!(here.tcp.nodelay().unwrap());
    assert!(here.is_write_vectored());
}

/// On a slow link a record comes in pieces: each of them is heard. And whoever writes to a peer that does not read
/// can tell.
#[tokio::test]
async fn bytes_are_heard_before_their_record_is_whole() {
    let (mut ours, theirs) = calling(FlushRule::AtOnce).await;
    let pulse = ours.pulse();
    let (mut tcp, mut tls) = theirs.into_inner();
    tls.writer().write_all(b"a record").unwrap();
    let mut record = Vec::new();
    tls.write_tls(&mut record).unwrap();
    let (first, rest) = record.split_at(7);
    let before = pulse.heard_at();
    tcp.write_all(first).await.unwrap();
    pulse.stall();
    let mut read = [0; 8];
    {
        let mut reading = std::pin::pin!(ours.read_exact(&mut read));
        while pulse.is_stalled() {
            assert!(poll_fn(|cx| Poll::Ready(Future::poll(reading.as_mut(), cx).is_pending())).await);
            tokio::task::yield_now().await;
        }
        assert!(pulse.heard_at() > before, "nothing can be read yet, and it was heard");
        tcp.write_all(rest).await.unwrap();
        reading.await.unwrap();
    }
    assert_eq!(&read, b"a record");
    let chunk = vec![0; 64 * 1024];
    while !pulse.is_blocked() {
        let written = poll_fn(|cx| Poll::Ready(Pin::new(&mut ours).poll_write(cx, &chunk))).await;
        assert!(written.is_ready() || pulse.is_blocked());
    }
}

//! Hellos in every segmentation, and what is none, on real sockets.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;

use super::*;
use crate::tls::test_pki::{Pki, gateway_name, in_a_minute, sockets};
use crate::tls::{FlushRule, accept};

fn hello_of(config: ClientConfig, name: &str) -> Vec<u8> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

fn client_config(alpn: &[&str]) -> ClientConfig {
    let mut config = (*Pki::new().client_config()).clone();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

/// Cuts the one record of a hello into records of `length` bytes.
fn in_records(hello: &[u8], length: usize) -> Vec<u8> {
    let record = |part: &[u8]| [&[22, 3, 1], &(part.len() as u16).to_be_bytes()[..], part].concat();
    hello[5..].chunks(length).flat_map(record).collect()
}

async fn read_segments(segments: impl IntoIterator<Item = &[u8]>) -> Result<ClientHello, HelloFault> {
    let (mut here, mut there) = sockets().await;
    let send = async {
        there.set_nodelay(true).unwrap();
        for segment in segments {
            if there.write_all(segment).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        there.shutdown().await.unwrap();
    };
    tokio::join!(ClientHello::read(&mut here, in_a_minute()), send).0
}

#[tokio::test]
async fn a_hello_is_read_in_any_number_of_segments_and_records() {
    let bytes = hello_of(client_config(&["h2", "http/1.1"]), "GW.Example");
    assert!(bytes.len() > 1400, "a post-quantum hello does not fit into one packet");
    let records = in_records(&bytes, 100);
    let tiny = in_records(&bytes, 1);
    for (wire, step) in
        [(&bytes, bytes.len()), (&bytes, 1), (&bytes, 1000), (&records, 333), (&records, 1), (&tiny, 4000)]
    {
        let hello = read_segments(wire.chunks(step)).await.unwrap();
        assert_eq!(hello.alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert_eq!(hello.bytes(), wire);
        assert!(hello.offers(b"h2") && !hello.offers(b"cmg-tunnel/1"));
    }
}

#[tokio::test]
async fn a_hello_may_lack_name_and_protocols() {
    let hello = read_segments([&hello_of(client_config(&[]), "192.0.2.1")[..]]).await.unwrap();
    assert!(hello.alpn.is_empty());
}

#[tokio::test]
async fn a_connection_goes_on_from_a_hello_in_pieces() {
    let pki = Pki::new();
    let (mut here, mut there) = sockets().await;
    let mut client = ClientConnection::new(pki.client_config(), gateway_name()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let wire = in_records(&hello, 500);
    let ours = async {
        let hello = ClientHello::read(&mut here, in_a_minute()).await.unwrap();
        let mut stream = accept(here, hello, pki.server_config(), FlushRule::AtOnce).await.unwrap();
        stream.read_u8().await.unwrap()
    };
    let theirs = async {
        for byte in &wire {
            there.write_all(&[*byte]).await.unwrap();
        }
        let mut buffer = [0; 4096];
        while client.is_handshaking() {
            let count = there.read(&mut buffer).await.unwrap();
            client.read_tls(&mut &buffer[..count]).unwrap();
            client.process_new_packets().unwrap();
        }
        std::io::Write::write_all(&mut client.writer(), b"!").unwrap();
        let mut rest = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut rest).unwrap();
        }
        there.write_all(&rest).await.unwrap();
        there
    };
    assert_eq!(tokio::join!(ours, theirs).0, b'!');
}

#[tokio::test]
async fn what_is_not_tls_is_named() {
    for http in ["GET / HTTP/1.1\r\n\r\n", "CCM_POST /CCM_System/request HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n"] {
        let fault = read_segments([http.as_bytes()]).await.unwrap_err();
        assert!(matches!(fault, HelloFault::NotTls { looks_like_http: true }), "{http}: {fault}");
        assert!(fault.to_string().contains("use https://"));
    }
    for junk in [&b"\0\0\0\0"[..], b"\x80\x2e\x01\x03\x01", b"SSH-2.0-OpenSSH_9.2\r\n", b"lower case", &[b'A'; 100]] {
        let fault = read_segments([junk]).await.unwrap_err();
        assert!(matches!(fault, HelloFault::NotTls { looks_like_http: false }), "{fault}");
        assert!(!fault.is_quiet());
    }
}

#[tokio::test]
async fn bad_tls_is_answered_by_an_alert() {
    let (mut here, mut there) = sockets().await;
    let junk = [&[22, 3, 1, 0, 6, 1, 0, 0, 2], &[9; 2][..]].concat();
    there.write_all(&junk).await.unwrap();
    let fault = ClientHello::read(&mut here, in_a_minute()).await.unwrap_err();
    assert!(matches!(fault, HelloFault::Invalid(_)), "{fault}");
    drop(here);
    let mut answer = Vec::new();
    there.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer.get(..2), Some(&[21, 3][..]), "an alert record: {answer:?}");
}

#[tokio::test]
async fn a_hello_has_its_limit() {
    // A handshake message that announces 60,000 bytes, in full records.
    let message = [&[1, 0, 0xea, 0x60][..], &[0; 60_000]].concat();
    let long = in_records(&[&[0; 5][..], &message].concat(), 16_000);
    let fault = read_segments(long.chunks(3000)).await.unwrap_err();
    assert!(matches!(fault, HelloFault::TooLong), "{fault}");
}

#[tokio::test]
async fn a_peer_that_goes_away_or_is_slow_is_told_apart() {
    let fault = read_segments([]).await.unwrap_err();
    assert!(matches!(fault, HelloFault::Closed { after: 0 }) && fault.is_quiet());
    let fault = read_segments([&b"\x16\x03\x01"[..]]).await.unwrap_err();
    assert!(matches!(fault, HelloFault::Closed { after: 3 }) && !fault.is_quiet(), "{fault}");

    let (mut here, mut there) = sockets().await;
    there.write_all(b"\x16\x03").await.unwrap();
    here.readable().await.unwrap();
    tokio::time::pause();
    let fault = ClientHello::read(&mut here, Instant::now() + Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(fault, HelloFault::TooSlow { after: 2 }), "{fault}");
}

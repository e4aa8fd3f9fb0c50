//! How connections end, and how they move.

use super::*;

#[tokio::test]
async fn a_cut_is_not_an_end() {
    let (mut here, mut there) = serving(FlushRule::AtOnce).await;
    there.write_all(b"half an ans").await.unwrap();
    there.flush().await.unwrap();
    drop(there.into_inner().0);
    let mut got = Vec::new();
    assert_eq!(here.read_to_end(&mut got).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(got, b"half an ans");
    assert_eq!(here.read_u8().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let ready = poll_fn(|cx| here.poll_plaintext_ready(cx)).await;
    assert_eq!(ready.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let into = poll_fn(|cx| here.poll_read_into(cx, &mut BytesMut::new(), 10)).await;
    assert_eq!(into.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn close_notify_is_an_end_and_halves_close_alone() {
    let (mut here, mut there) = serving(FlushRule::AtOnce).await;
    there.write_all(b"request").await.unwrap();
    there.shutdown().await.unwrap();
    let mut got = Vec::new();
    here.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"request");
    assert_eq!(poll_fn(|cx| here.poll_plaintext_ready(cx)).await.unwrap(), 0);
    assert_eq!(poll_fn(|cx| here.poll_read_into(cx, &mut BytesMut::new(), 10)).await.unwrap(), 0);

    here.write_all(b"late answer").await.unwrap();
    here.shutdown().await.unwrap();
    let mut answer = Vec::new();
    there.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"late answer");

    let (mut here, mut there) = calling(FlushRule::EverySecondTurn).await;
    here.write_all(b"done").await.unwrap();
    here.shutdown().await.unwrap();
    let mut got = Vec::new();
    there.read_to_end(&mut got).await.unwrap();
    there.write_all(b"goes on").await.unwrap();
    there.shutdown().await.unwrap();
    got.clear();
    here.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"goes on");
}

#[tokio::test]
async fn a_broken_record_ends_the_connection_with_an_alert_and_stays_broken() {
    let (mut here, mut there) = serving(FlushRule::AtOnce).await;
    there.write_all(b"fine").await.unwrap();
    there.flush().await.unwrap();
    there
        .get_mut()
        .0
        .write_all(&[23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20])
        .await
        .unwrap();
    let mut got = Vec::new();
    for _ in 0..2 {
        let error = here.read_to_end(&mut got).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(matches!(crate::tls::tls_fault(&error), Some(rustls::Error::DecryptError)));
    }
    assert_eq!(got, b"fine");
    let alert = there.read_u8().await.unwrap_err();
    assert!(alert.to_string().contains("BadRecordMac"), "{alert}");
    assert!(here.write_all(&[0; 10_000]).await.is_err());
}

#[test]
fn a_connection_moves_to_another_runtime_in_mid_conversation() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pki = Pki::new();
    let (server, client) = (pki.server_config(), pki.client_config());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();

    // The peer is plain rustls on a blocking socket.
    let peer = std::thread::spawn(move || {
        let socket = std::net::TcpStream::connect(address).unwrap();
        let mut tls = rustls::StreamOwned::new(ClientConnection::new(client, gateway_name()).unwrap(), socket);
        let mut asked = [0; 3];
        tls.write_all(&pattern()).unwrap();
        tls.read_exact(&mut asked).unwrap();
        tls.conn.send_close_notify();
        tls.flush().unwrap();
        let mut rest = Vec::new();
        tls.read_to_end(&mut rest).unwrap();
        (asked, rest)
    });

    let (first_part, detached) = runtime().block_on(async {
        listener.set_nonblocking(true).unwrap();
        let (tcp, _) = tokio::net::TcpListener::from_std(listener).unwrap().accept().await.unwrap();
        let mut here = accept_with(tcp, server, FlushRule::EverySecondTurn).await;
        let mut first_part = vec![0; 100];
        here.read_exact(&mut first_part).await.unwrap();
        here.write_all(b"as").await.unwrap();
        assert!(!here.gathered.is_empty(), "written, not flushed");
        (first_part, here.detach().unwrap())
    });
    let rest = std::thread::spawn(move || {
        runtime().block_on(async {
            let mut here = detached.attach().unwrap();
            assert_eq!(here.server_name(), Some("gw.example"));
            let mut rest = vec![0; pattern().len() - 100];
            here.read_exact(&mut rest).await.unwrap();
            here.write_all(b"k").await.unwrap();
            here.flush().await.unwrap();
            assert_eq!(here.read(&mut [0; 10]).await.unwrap(), 0);
            here.write_all(b"bye").await.unwrap();
            here.shutdown().await.unwrap();
            rest
        })
    });
    let rest = rest.join().unwrap();
    assert!([first_part, rest].concat() == pattern());
    assert_eq!(peer.join().unwrap(), (*b"ask", b"bye".to_vec()));
}

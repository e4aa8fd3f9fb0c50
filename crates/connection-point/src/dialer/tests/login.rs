//! A login that the proxy refuses: every time that it is presented brings its account nearer to being locked (T-07).

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::retiring::nobody_comes;
use super::*;

/// Reads what the proxy is asked, and refuses the login.
async fn refuse(proxy: &TcpListener) -> String {
    let (mut tcp, _) = proxy.accept().await.unwrap();
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        tcp.read_buf(&mut asked).await.unwrap();
    }
    tcp.write_all(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    String::from_utf8(asked).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_refused_is_not_presented_again_for_minutes() {
    let mut stage = Stage::new().await;
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = proxy.local_addr().unwrap();
    stage.through(&format!("http://cmg:wrong@{address}"));
    // It has two addresses, and so has another that is dialed at the same time.
    let other = place(&stage.point, &[1, 2]);
    let (place, open) = place(&stage.point, &[1, 2]);
    (stage.place, stage.open) = (place, Cell::new(Some(open)));
    let play = async {
        let began = Instant::now();
        assert!(refuse(&proxy).await.contains("Proxy-Authorization: Basic "));
        nobody_comes(&proxy).await;
        let why = stage.place.instance.places()[0].last_error.clone().unwrap();
        assert!(why.contains("refused the login of cmg (407 No)"), "{why}");
        refuse(&proxy).await;
        assert!(began.elapsed() >= limits::LOGIN_RETRY);
        nobody_comes(&proxy).await;
        // Another one is another matter.
        stage.through(&format!("http://cmg:other@{address}"));
        refuse(&proxy).await;
        nobody_comes(&proxy).await;
    };
    tokio::select! {
        () = play => {}
        () = stage.keep() => panic!("the place was given up"),
        () = keep(other.0, other.1) => panic!("the other place was given up"),
    }
}

//! A place that is retired, at each step of dialling: it ends at once, and no socket appears behind it (T-06).

use std::sync::mpsc;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream, lookup_host};

use super::*;

/// Keeps the place, retires it when it has got so far, and waits for its end, for which no time passes.
async fn retired_after(stage: &Stage, step: impl Future<Output = ()>) {
    let play = async {
        step.await;
        stage.place.retiring.cancel();
        Instant::now()
    };
    let both = async { tokio::join!(play, stage.keep()) };
    let (retired, ()) = timeout(limits::TUNNEL_ESTABLISH * 10, both).await.expect("it goes on");
    assert_eq!(retired.elapsed(), Duration::ZERO, "it did not end at once");
    assert!(stage.place.instance.places().is_empty());
}

async fn until(stage: &Stage, state: PlaceState) {
    while stage.place.instance.places().first().is_none_or(|place| place.state != state) {
        pass(Duration::from_millis(1)).await;
    }
}

/// Lets time pass, which costs none while the clock is paused.
async fn pass(time: Duration) {
    let _ = timeout(time, pending::<()>()).await;
}

/// Long enough for every dial that could still come.
pub async fn nobody_comes(listener: &TcpListener) {
    let waited = timeout(limits::REDIAL_LONGEST * 10, listener.accept()).await;
    assert!(waited.is_err(), "a socket appeared later");
}

#[tokio::test(start_paused = true)]
async fn while_it_waits() {
    let stage = Stage::new().await;
    retired_after(&stage, until(&stage, PlaceState::Waiting)).await;
    nobody_comes(&stage.listener).await;
}

#[tokio::test(start_paused = true)]
async fn while_others_dial() {
    let stage = Stage::new().await;
    let _all = Arc::clone(&stage.point.dials).acquire_many_owned(limits::DIALS as u32).await.unwrap();
    retired_after(&stage, pass(limits::DIAL_AT_START * 2)).await;
    nobody_comes(&stage.listener).await;
}

/// The only thread that looks names up is busy with something else.
#[test]
fn while_the_name_is_looked_up() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let mut stage = Stage::new().await;
        stage.listen(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(), "localhost");
        let port = stage.listener.local_addr().unwrap().port();
        let (release, released) = mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || released.recv());
        let play = async {
            until(&stage, PlaceState::Dialing).await;
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            stage.place.retiring.cancel();
        };
        let both = async { tokio::join!(play, stage.keep()) };
        timeout(limits::RESOLVE * 2, both).await.expect("it goes on");
        drop(release);
        let _ = busy.await;
        // Whoever looks a name up now comes after the place's own question.
        lookup_host(("localhost", port)).await.unwrap().count();
        let own = TcpStream::connect(stage.listener.local_addr().unwrap()).await.unwrap();
        let (_, first) = stage.listener.accept().await.unwrap();
        assert_eq!(first, own.local_addr().unwrap(), "a socket appeared later");
    });
}

/// The gateway's queue of connections is full.
#[tokio::test(start_paused = true)]
async fn while_it_connects() {
    let full = TcpSocket::new_v4().unwrap();
    full.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let mut stage = Stage::new().await;
    stage.listen(full.listen(0).unwrap(), "127.0.0.1");
    let queued = TcpStream::connect(stage.listener.local_addr().unwrap()).await.unwrap();
    let step = async {
        until(&stage, PlaceState::Dialing).await;
        pass(limits::TUNNEL_ESTABLISH / 2).await;
    };
    retired_after(&stage, step).await;
    stage.listener.accept().await.unwrap();
    drop(queued);
    nobody_comes(&stage.listener).await;
}

#[tokio::test(start_paused = true)]
async fn while_tls_is_agreed_on() {
    let stage = Stage::new().await;
    let (told, accepted) = tokio::sync::oneshot::channel();
    let step = async {
        let (tcp, _) = stage.listener.accept().await.unwrap();
        told.send(tcp).unwrap();
    };
    retired_after(&stage, step).await;
    let mut tcp = accepted.await.unwrap();
    let mut hello = Vec::new();
    let _ = tcp.read_to_end(&mut hello).await;
    nobody_comes(&stage.listener).await;
}

/// Between TLS and the hello there is a tunnel already: it is told that it ends, and ends.
#[tokio::test(start_paused = true)]
async fn while_the_hello_is_awaited() {
    let stage = Stage::new().await;
    let step = async {
        let (mut tcp, _) = stage.listener.accept().await.unwrap();
        let first = ClientHello::read(&mut tcp, Instant::now() + limits::TUNNEL_ESTABLISH).await.unwrap();
        let stream = tls::accept(tcp, first, Arc::clone(&stage.tls), FlushRule::AtOnce).await.unwrap();
        stage.place.retiring.cancel();
        drop(stream);
    };
    let both = async { tokio::join!(step, stage.keep()) };
    timeout(limits::TUNNEL_ESTABLISH * 10, both).await.expect("it goes on");
    assert!(stage.place.instance.places().is_empty());
    nobody_comes(&stage.listener).await;
}

#[tokio::test(start_paused = true)]
async fn while_the_proxy_is_asked() {
    let stage = Stage::new().await;
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    stage.through(&proxy.local_addr().unwrap().to_string());
    let (told, accepted) = tokio::sync::oneshot::channel();
    let step = async {
        let (mut tcp, _) = proxy.accept().await.unwrap();
        let mut asked = [0; 8];
        tcp.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"CONNECT ");
        told.send(tcp).unwrap();
    };
    retired_after(&stage, step).await;
    let mut tcp = accepted.await.unwrap();
    let _ = tcp.read_to_end(&mut Vec::new()).await;
    nobody_comes(&proxy).await;
    nobody_comes(&stage.listener).await;
}

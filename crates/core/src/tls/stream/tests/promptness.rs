//! What may wait ahead of a small write: in our queue and, as the kernel tells, behind it.

use super::*;

/// More than TLS adds to what is queued or sent at once.
const ADDED: usize = 64;

/// Writes chunks until the socket and the queue before it are full, and says how much.
fn fill(stream: &mut TlsStream, chunk: usize) -> usize {
    let chunk = vec![7; chunk];
    let (mut noop, mut written) = (Context::from_waker(Waker::noop()), 0);
    while let Poll::Ready(taken) = Pin::new(&mut *stream).poll_write(&mut noop, &chunk) {
        written += taken.unwrap();
    }
    written
}

/// Bytes of ours that the peer's kernel has not acknowledged; of a peer that does not read: that have not left.
fn unsent(stream: &TlsStream) -> usize {
    let (here, there) = (stream.tcp.local_addr().unwrap(), stream.tcp.peer_addr().unwrap());
    let ports = [here, there].map(|address| format!(":{:04X}", address.port()));
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let lines = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let ours = lines.into_iter().find(|line| line[1].ends_with(&ports[0]) && line[2].ends_with(&ports[1]));
    let (sending, _) = ours.as_ref().unwrap()[4].split_once(':').unwrap();
    usize::from_str_radix(sending, 16).unwrap()
}

#[tokio::test]
async fn little_waits_ahead_of_a_small_write_on_a_slow_connection() {
    let longest = limits::TLS_GATHER_BELOW + limits::TLS_RECORD;
    for (chunk, at_once) in [(limits::TUNNEL_PART, limits::TUNNEL_PART), (limits::TUNNEL_CHUNK, longest)] {
        let (mut here, _there) = serving(FlushRule::EverySecondTurn).await;
        fill(&mut here, chunk);
        assert!(here.promptness.is_slow() && (1..=at_once + ADDED).contains(&here.queued), "{}", here.queued);
        let settles = async {
            while unsent(&here) > limits::TUNNEL_UNSENT + at_once + ADDED {
                tokio::task::yield_now().await;
            }
        };
        let settled = tokio::time::timeout(limits::TUNNEL_ESTABLISH, settles).await;
        assert!(settled.is_ok(), "the kernel holds {} bytes of chunks of {chunk}", unsent(&here));
    }
}

/// Writes so much while the peer reads it.
async fn pass(here: &mut TlsStream, there: &mut client::TlsStream<TcpStream>, bytes: usize) {
    let writing = async {
        here.write_all(&vec![7; bytes]).await?;
        here.flush().await
    };
    let (written, read) = tokio::join!(writing, async { there.read_exact(&mut vec![0; bytes]).await });
    written.and(read.map(drop)).unwrap();
}

#[tokio::test]
async fn a_connection_is_fast_while_it_takes_much_in_a_second() {
    let (mut here, mut there) = serving(FlushRule::EverySecondTurn).await;
    tokio::time::pause();
    pass(&mut here, &mut there, limits::TUNNEL_FAST).await;
    assert!(!here.promptness.is_slow());
    let queued = fill(&mut here, limits::TUNNEL_CHUNK);
    assert!(here.queued >= limits::TLS_WRITE_AT, "{}", here.queued);

    // What was taken counts for the second in which it was taken.
    tokio::time::advance(limits::TUNNEL_FAST_WITHIN).await;
    let (flushed, read) = tokio::join!(here.flush(), async { there.read_exact(&mut vec![0; queued]).await });
    flushed.and(read.map(drop)).unwrap();
    assert!(!here.promptness.is_slow());
    tokio::time::advance(limits::TUNNEL_FAST_WITHIN).await;
    pass(&mut here, &mut there, limits::TUNNEL_FAST / 2).await;
    assert!(here.promptness.is_slow());
}

#[tokio::test]
async fn who_writes_alone_is_never_slow() {
    let (mut here, _there) = serving(FlushRule::AtOnce).await;
    fill(&mut here, limits::TUNNEL_CHUNK);
    assert!(!here.promptness.is_slow() && here.queued >= limits::TLS_WRITE_AT, "{}", here.queued);
}

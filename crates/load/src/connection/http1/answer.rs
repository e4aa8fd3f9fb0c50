//! One answer of HTTP/1.1: head, body in one of its framings, end. Believes nothing that is not there.

use std::fmt;
use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::expected::Head;
use crate::limits;

/// Takes what comes.
pub trait Sink {
    fn head(&mut self, head: Head);
    fn data(&mut self, data: &[u8]);
}

/// Why an answer has no end.
#[derive(Debug)]
pub enum Broken {
    /// Closed in good order before its first byte.
    Closed,
    /// Closed in good order in the middle.
    Short(&'static str),
    Failed(io::Error),
    /// Not HTTP.
    Garbled(&'static str),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Closed => f.write_str("closed before an answer"),
            Broken::Short(place) => write!(f, "closed in {place}"),
            Broken::Failed(error) => write!(f, "broken off: {error}"),
            Broken::Garbled(what) => write!(f, "not HTTP: {what}"),
        }
    }
}

/// How the end of a body is known.
#[derive(Clone, Copy)]
enum Framing {
    Length(u64),
    Chunked,
}

/// Reads one answer; whether the connection goes on after it.
pub async fn read_answer(
    reading: &mut (impl AsyncRead + Unpin),
    unread: &mut BytesMut,
    is_head: bool,
    sink: &mut impl Sink,
) -> Result<bool, Broken> {
    let (framing, keeps_alive) = loop {
        let end = read_head(reading, unread).await?;
        let lines = unread.split_to(end);
        let (head, framing, keeps_alive) = parse(&lines).ok_or(Broken::Garbled("a head that cannot be read"))?;
        if head.status >= 200 {
            let is_empty = is_head || head.status == 204 || head.status == 304;
            sink.head(head);
            break (if is_empty { Some(Framing::Length(0)) } else { framing }, keeps_alive);
        }
    };
    match framing {
        Some(Framing::Length(length)) => read_length(reading, unread, length, sink).await?,
        Some(Framing::Chunked) => read_chunks(reading, unread, sink).await?,
        None => return Err(Broken::Garbled("an answer whose end nobody can know")),
    }
    Ok(keeps_alive)
}

async fn read_head(reading: &mut (impl AsyncRead + Unpin), unread: &mut BytesMut) -> Result<usize, Broken> {
    loop {
        if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            return Ok(end + 4);
        }
        if unread.len() > limits::HEAD {
            return Err(Broken::Garbled("a head without end"));
        }
        match fill(reading, unread).await {
            Ok(0) if unread.is_empty() => return Err(Broken::Closed),
            Ok(0) => return Err(Broken::Short("the head")),
            Ok(_) => {}
            Err(error) => return Err(Broken::Failed(error)),
        }
    }
}

fn parse(lines: &[u8]) -> Option<(Head, Option<Framing>, bool)> {
    let text = std::str::from_utf8(lines).ok()?;
    let mut lines = text.trim_end().split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let mut head = Head { status, ..Head::default() };
    let (mut framing, mut keeps_alive) = (None, true);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                head.told_length = Some(value.parse().ok()?);
                framing = head.told_length.map(Framing::Length);
            }
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => framing = Some(Framing::Chunked),
            "transfer-encoding" => return None,
            "connection" => keeps_alive = !value.eq_ignore_ascii_case("close"),
            "x-cmg-error" => head.code = Some(value.to_owned()),
            "x-cmg-request-id" => head.request_id = Some(value.to_owned()),
            other if !cmg_client::fields::is_allowed(other) => head.leaked = Some(other.to_owned()),
            _ => {}
        }
    }
    Some((head, framing, keeps_alive))
}

async fn read_length(
    reading: &mut (impl AsyncRead + Unpin),
    unread: &mut BytesMut,
    mut left: u64,
    sink: &mut impl Sink,
) -> Result<(), Broken> {
    while left > 0 {
        if unread.is_empty() {
            more(reading, unread, "the body").await?;
        }
        let count = (unread.len() as u64).min(left);
        sink.data(&unread.split_to(count as usize));
        left -= count;
    }
    Ok(())
}

async fn read_chunks(
    reading: &mut (impl AsyncRead + Unpin),
    unread: &mut BytesMut,
    sink: &mut impl Sink,
) -> Result<(), Broken> {
    loop {
        let line = read_line(reading, unread).await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| Broken::Garbled("a chunk without size"))?;
        if size == 0 {
            break;
        }
        read_length(reading, unread, size, sink).await?;
        if !read_line(reading, unread).await?.is_empty() {
            return Err(Broken::Garbled("a chunk longer than its size"));
        }
    }
    while !read_line(reading, unread).await?.is_empty() {}
    Ok(())
}

async fn read_line(reading: &mut (impl AsyncRead + Unpin), unread: &mut BytesMut) -> Result<String, Broken> {
    loop {
        if let Some(end) = unread.windows(2).position(|window| window == b"\r\n") {
            let line = unread.split_to(end);
            unread.advance(2);
            return String::from_utf8(line.to_vec()).map_err(|_| Broken::Garbled("a line of the body's framing"));
        }
        if unread.len() > limits::HEAD {
            return Err(Broken::Garbled("a line without end"));
        }
        more(reading, unread, "the body's framing").await?;
    }
}

async fn more(
    reading: &mut (impl AsyncRead + Unpin),
    unread: &mut BytesMut,
    place: &'static str,
) -> Result<(), Broken> {
    match fill(reading, unread).await {
        Ok(0) => Err(Broken::Short(place)),
        Ok(_) => Ok(()),
        Err(error) => Err(Broken::Failed(error)),
    }
}

/// Reads some bytes; none at an end in good order.
async fn fill(reading: &mut (impl AsyncRead + Unpin), unread: &mut BytesMut) -> io::Result<usize> {
    unread.reserve(limits::READ);
    reading.read_buf(unread).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Vec<u16>, Vec<u8>);

    impl Sink for Kept {
        fn head(&mut self, head: Head) {
            self.0.push(head.status);
        }

        fn data(&mut self, data: &[u8]) {
            self.1.extend_from_slice(data);
        }
    }

    async fn read(bytes: &[u8], is_head: bool) -> (Result<bool, Broken>, Kept) {
        let (mut kept, mut reading) = (Kept::default(), bytes);
        let answer = read_answer(&mut reading, &mut BytesMut::new(), is_head, &mut kept).await;
        (answer, kept)
    }

    #[tokio::test]
    async fn answers_are_whole_in_every_framing() {
        let length = b"HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
        let (answer, kept) = read(length, false).await;
        assert!(answer.unwrap() && kept.0 == [200] && kept.1 == b"ab");
        let chunks = b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
            2\r\nab\r\n1;x\r\nc\r\n0\r\nT: 1\r\n\r\n";
        let (answer, kept) = read(chunks, false).await;
        assert!(!answer.unwrap() && kept.1 == b"abc");
        assert!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true).await.0.unwrap());
        assert!(read(b"HTTP/1.1 204 No\r\n\r\n", false).await.0.unwrap());
    }

    #[tokio::test]
    async fn what_is_not_whole_is_never_taken_for_it() {
        assert!(matches!(read(b"", false).await.0, Err(Broken::Closed)));
        for short in [
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        ] {
            assert!(matches!(read(short.as_bytes(), false).await.0, Err(Broken::Short(_))), "{short}");
        }
        for garbled in ["HTTP/1.1 2\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nabc", "nonsense\r\n\r\n"] {
            assert!(matches!(read(garbled.as_bytes(), false).await.0, Err(Broken::Garbled(_))), "{garbled}");
        }
    }
}

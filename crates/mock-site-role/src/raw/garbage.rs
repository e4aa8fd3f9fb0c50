//! Answers that are no answers of HTTP/1.1. The connection stays open, so that nobody takes the end of the
//! connection for the reason.

use super::{After, Failure, Raw};
use crate::content;
use crate::limits;

#[derive(Clone, Copy)]
enum Kind {
    Fixed(&'static [u8]),
    Binary,
    LongLine,
}

const KINDS: [(&str, Kind); 8] = [
    ("text", Kind::Fixed(b"SSH-2.0-OpenSSH_9.9\r\n220 not a web server\r\n\r\n")),
    ("binary", Kind::Binary),
    ("version", Kind::Fixed(b"HTTP/3.7 200 OK\r\nContent-Length: 0\r\n\r\n")),
    ("status", Kind::Fixed(b"HTTP/1.1 2xx OK\r\nContent-Length: 0\r\n\r\n")),
    ("status-line", Kind::Fixed(b"HTTP/1.1\r\nContent-Length: 0\r\n\r\n")),
    ("http2", Kind::Fixed(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64")),
    ("long-line", Kind::LongLine),
    ("empty-line", Kind::Fixed(b"\r\n\r\n\r\n\r\n")),
];

impl Raw<'_> {
    pub(super) async fn garbage(&mut self) -> Result<After, Failure> {
        let bytes = match self.wish.parameters.word("kind", &KINDS)? {
            Kind::Fixed(bytes) => bytes.to_vec(),
            Kind::Binary => [&b"\0\x01\xff\xfe"[..], &content::piece(1, 0, 256)].concat(),
            Kind::LongLine => [&b"HTTP/1.1 200 "[..], &vec![b'a'; 4 * limits::HEAD]].concat(),
        };
        self.connection.read_body().await?;
        self.connection.write(&bytes).await?;
        Ok(self.connection.until_gone().await)
    }
}

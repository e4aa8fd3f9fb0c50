//! Answers whose framing contradicts itself, lies or cannot be read.

use super::connection::End;
use super::{After, Failure, Raw};

/// The fields that frame, what follows the head, and whether the connection then ends.
#[derive(Clone, Copy)]
struct Wrong {
    status: &'static str,
    fields: &'static str,
    body: &'static str,
    ends: bool,
}

const fn wrong(fields: &'static str, body: &'static str) -> Wrong {
    Wrong { status: "200 OK", fields, body, ends: false }
}

const KINDS: [(&str, Wrong); 13] = [
    ("conflicting", wrong("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")),
    ("duplicate", wrong("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
    ("list", wrong("Content-Length: 5, 5\r\n", "hello")),
    ("negative", wrong("Content-Length: -5\r\n", "hello")),
    ("plus", wrong("Content-Length: +5\r\n", "hello")),
    ("hex", wrong("Content-Length: 0x5\r\n", "hello")),
    ("huge", wrong("Content-Length: 99999999999999999999999\r\n", "hello")),
    ("with-chunked", wrong("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n")),
    ("long", wrong("Content-Length: 5\r\n", "hello and more than was announced")),
    ("bad-chunk", wrong("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\nzz\r\nhello\r\n0\r\n\r\n")),
    ("bad-chunk-end", wrong("Transfer-Encoding: chunked\r\n", "5\r\nhelloXX5\r\nhello\r\n0\r\n\r\n")),
    ("unknown-coding", wrong("Transfer-Encoding: gzip\r\n", "hello")),
    ("on-204", Wrong { status: "204 No Content", ..wrong("Content-Length: 5\r\n", "hello") }),
];

const SHORT: (&str, Wrong) = ("short", Wrong { ends: true, ..wrong("Content-Length: 10\r\n", "hello") });

impl Raw<'_> {
    pub(super) async fn lengths(&mut self) -> Result<After, Failure> {
        let kinds: Vec<_> = KINDS.into_iter().chain([SHORT]).collect();
        let wrong = self.wish.parameters.word("kind", &kinds)?;
        self.connection.read_body().await?;
        self.connection.answering(if wrong.status.starts_with("204") { 204 } else { 200 });
        let head = format!("HTTP/1.1 {}\r\n{}\r\n", wrong.status, wrong.fields);
        self.connection.write(format!("{head}{}", wrong.body).as_bytes()).await?;
        if wrong.ends {
            return Ok(self.connection.end(End::Clean).await?);
        }
        // What the other end makes of it decides whether another request comes.
        Ok(self.connection.answered())
    }
}

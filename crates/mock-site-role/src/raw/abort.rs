//! Breaking off: before the head of the answer, in it, or in its body.

use super::connection::{ENDS, field, head};
use super::{After, Failure, Raw};
use crate::content;

#[derive(Clone, Copy)]
enum At {
    Body,
    Head,
    Before,
}

const AT: [(&str, At); 3] = [("body", At::Body), ("head", At::Head), ("before", At::Before)];

impl Raw<'_> {
    pub(super) async fn abort(&mut self) -> Result<After, Failure> {
        let parameters = &self.wish.parameters;
        let (at, how) = (parameters.word("at", &AT)?, parameters.word("how", &ENDS)?);
        let bytes = parameters.number("bytes", 10)?;
        let is_chunked = parameters.word("framing", &[("length", false), ("chunked", true)])?;
        if parameters.word("read", &[("yes", true), ("no", false)])? {
            self.connection.read_body().await?;
        }
        match at {
            At::Before => {}
            At::Head => self.connection.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/pl").await?,
            At::Body => {
                self.connection.answering(200);
                let length = if is_chunked {
                    field("Transfer-Encoding", "chunked")
                } else {
                    field("Content-Length", 2 * bytes + 1)
                };
                self.connection.write(&head(b"200 OK", &[length])).await?;
                if is_chunked && bytes > 0 {
                    self.connection.write(format!("{bytes:x}\r\n").as_bytes()).await?;
                }
                self.connection.write_body(&content::piece(0, 0, bytes as usize)).await?;
                if is_chunked && bytes > 0 {
                    self.connection.write(b"\r\n").await?;
                }
            }
        }
        Ok(self.connection.end(how).await?)
    }
}

//! Answers that come before the body of the request was read, and answers that never come.

use super::connection::{End, field, head};
use super::{After, Failure, Raw};
use crate::content;

#[derive(Clone, Copy)]
enum Then {
    Read,
    Stop,
    Close,
}

const THEN: [(&str, Then); 3] = [("read", Then::Read), ("stop", Then::Stop), ("close", Then::Close)];
const YES: [(&str, bool); 2] = [("yes", true), ("no", false)];

impl Raw<'_> {
    /// The whole answer at once. Then the body is read, or never, or the connection is closed.
    pub(super) async fn early(&mut self) -> Result<After, Failure> {
        let status = self.wish.parameters.number("status", 200)?;
        let bytes = self.wish.parameters.number("bytes", 5)?;
        let then = self.wish.parameters.word("after", &THEN)?;
        let fields = self.wished_fields();
        let body = content::piece(0, 0, bytes as usize);
        self.connection.answer(&format!("{status} Early"), &fields, &body).await?;
        match then {
            Then::Read => {
                self.connection.read_body().await?;
                Ok(After::GoesOn)
            }
            Then::Stop => Ok(self.connection.until_gone_unread().await?),
            Then::Close => Ok(self.connection.end(End::Clean).await?),
        }
    }

    /// No answer, or `after` bytes of the body of one, until the other end gives up.
    pub(super) async fn never(&mut self) -> Result<After, Failure> {
        let reads = self.wish.parameters.word("read", &YES)?;
        let after = self.wish.parameters.bytes("after").is_some();
        let bytes = self.wish.parameters.number("after", 0)?;
        if reads {
            self.connection.read_body().await?;
        }
        if after {
            self.connection.answering(200);
            let fields = [field("Content-Length", bytes + 1)];
            self.connection.write(&head(b"200 OK", &fields)).await?;
            self.connection.write_body(&content::piece(0, 0, bytes as usize)).await?;
        }
        match reads {
            true => Ok(self.connection.until_gone().await),
            false => Ok(self.connection.until_gone_unread().await?),
        }
    }
}

//! Answers whose body is framed by hand: chunks of any size, trailers, and bodies that end with the
//! connection.

use super::connection::{ENDS, End, field, head};
use super::{After, Failure, Raw};
use crate::content;
use crate::limits;

impl Raw<'_> {
    /// `count` chunks of `size` bytes, in one write or each in a write (and a TLS record) of its own.
    pub(super) async fn chunks(&mut self) -> Result<After, Failure> {
        let parameters = &self.wish.parameters;
        let (count, size) = (parameters.number("count", 1000)?, parameters.number("size", 1)?);
        let is_one_write = parameters.word("writes", &[("one", true), ("each", false)])?;
        let extension = parameters.text("extension").map(|text| format!(";{text}")).unwrap_or_default();
        self.connection.read_body().await?;
        self.connection.answering(200);
        let mut out = head(b"200 OK", &[field("Transfer-Encoding", "chunked")]);
        for number in 0..count {
            out.extend_from_slice(format!("{size:x}{extension}\r\n").as_bytes());
            out.extend_from_slice(&content::piece(0, number * size, size as usize));
            out.extend_from_slice(b"\r\n");
            if !is_one_write || out.len() > limits::PIECE {
                self.connection.write_body(&std::mem::take(&mut out)).await?;
            }
        }
        out.extend_from_slice(b"0\r\n\r\n");
        self.connection.write(&out).await?;
        Ok(self.connection.answered())
    }

    /// A chunked answer with trailers, announced or not.
    pub(super) async fn trailers(&mut self) -> Result<After, Failure> {
        let announces = self.wish.parameters.word("announce", &[("yes", true), ("no", false)])?;
        let count = self.wish.parameters.number("n", 1)?;
        let mut trailers = self.wished_fields();
        if trailers.is_empty() {
            trailers.extend((0..count).map(|number| field(&format!("X-Trailer-{number}"), format!("value {number}"))));
        }
        self.connection.read_body().await?;
        self.connection.answering(200);
        let mut fields = vec![field("Transfer-Encoding", "chunked")];
        if announces {
            let names: Vec<&[u8]> = trailers.iter().map(|(name, _)| name.as_slice()).collect();
            fields.push((b"Trailer".to_vec(), names.join(&b", "[..])));
        }
        let mut out = head(b"200 OK", &fields);
        out.extend_from_slice(b"4\r\nbody\r\n0\r\n");
        for (name, value) in &trailers {
            out.extend_from_slice(&[name, &b": "[..], value, b"\r\n"].concat());
        }
        out.extend_from_slice(b"\r\n");
        self.connection.write(&out).await?;
        Ok(self.connection.answered())
    }

    /// A body without a length. It is whole only if the connection ends as TLS wants it.
    pub(super) async fn until_close(&mut self) -> Result<After, Failure> {
        let (bytes, seed) = (self.wish.parameters.number("bytes", 1 << 20)?, self.wish.parameters.number("seed", 0)?);
        let how = self.wish.parameters.word("how", &[("clean", End::Clean), ENDS[0], ENDS[2]])?;
        self.connection.read_body().await?;
        self.connection.answering(200);
        self.connection.write(&head(b"200 OK", &[field("Connection", "close")])).await?;
        let mut offset = 0;
        while offset < bytes {
            let length = (bytes - offset).min(limits::PIECE as u64);
            self.connection.write_body(&content::piece(seed, offset, length as usize)).await?;
            offset += length;
        }
        if how == End::Clean {
            self.connection.answered();
        }
        Ok(self.connection.end(how).await?)
    }
}

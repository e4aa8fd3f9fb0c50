//! Any status with any reason phrase.

use bytes::Bytes;
use http::StatusCode;

use super::connection::{field, head};
use super::{After, Failure, Raw};
use crate::behaviour::BadParameter;
use crate::content;

impl Raw<'_> {
    /// `/status/<code>?reason=...`: the standard phrase unless one is given; an empty one is none.
    pub(super) async fn status(&mut self) -> Result<After, Failure> {
        let code = self.code()?;
        let standard = StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason()).unwrap_or("");
        let reason = self.wish.parameters.bytes("reason").unwrap_or(standard.as_bytes()).to_vec();
        let bytes = self.wish.parameters.number("bytes", 0)?;
        self.connection.read_body().await?;
        let mut fields = self.wished_fields();
        let has_body = !matches!(code, 100..200 | 204 | 304);
        if has_body {
            fields.push(field("Content-Length", bytes));
        }
        self.connection.answering(code);
        let status = [code.to_string().as_bytes(), b" ", &reason].concat();
        let body = if has_body && !self.is_head() { content::piece(0, 0, bytes as usize) } else { Bytes::new() };
        self.connection.write_at_once(head(&status, &fields), &body).await?;
        Ok(self.connection.answered())
    }

    /// A redirect to anywhere.
    pub(super) async fn redirect(&mut self) -> Result<After, Failure> {
        let code = self.wish.parameters.number("status", 302)?;
        let to = self.wish.parameters.bytes("to").unwrap_or(b"https://elsewhere.example/").to_vec();
        self.connection.read_body().await?;
        let fields = [(b"Location".to_vec(), to)];
        Ok(self.connection.answer(&format!("{code} Moved"), &fields, b"").await?)
    }

    fn code(&self) -> Result<u16, BadParameter> {
        let text = self.wish.rest.split('/').next().unwrap_or_default();
        let bad = || BadParameter {
            name: "<code>".to_owned(),
            value: text.to_owned(),
            instead: "write /status/<three digits>".to_owned(),
        };
        text.parse().ok().filter(|code| (100..1000).contains(code)).ok_or_else(bad)
    }
}

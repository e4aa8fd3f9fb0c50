//! Generated content: as fast as it is read, or a piece at a time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::json;

use super::{Answer, streamed, told};
use crate::behaviour::{BadParameter, Parameters, Wish};
use crate::content;
use crate::limits;
use crate::role::Role;
use crate::wire::hex;

/// Whether the length is told before the body.
const FRAMINGS: [(&str, bool); 2] = [("length", true), ("chunked", false)];

/// So many bytes, as fast as they are read.
pub fn huge(wish: &Wish) -> Result<Answer, BadParameter> {
    let (bytes, seed) = (wish.parameters.number("bytes", 1 << 20)?, wish.parameters.number("seed", 0)?);
    let tells_length = wish.parameters.word("framing", &FRAMINGS)?;
    let pieces = stream::unfold(0, move |offset| async move {
        let length = (bytes - offset).min(limits::PIECE as u64);
        (length > 0).then(|| (data(content::piece(seed, offset, length as usize)), offset + length))
    });
    Ok(streamed(StreamBody::new(pieces), tells_length.then_some(bytes)))
}

/// The SHA-256 of what `huge` sends.
pub fn digest(wish: &Wish) -> Result<Answer, BadParameter> {
    let (bytes, seed) = (wish.parameters.number("bytes", 1 << 20)?, wish.parameters.number("seed", 0)?);
    let mut hash = Context::new(&SHA256);
    let mut offset = 0;
    while offset < bytes {
        let length = (bytes - offset).min(limits::PIECE as u64);
        hash.update(&content::piece(seed, offset, length as usize));
        offset += length;
    }
    let sha256 = hex(hash.finish().as_ref());
    Ok(told(StatusCode::OK, &json!({ "bytes": bytes, "seed": seed, "sha256": sha256 })))
}

/// What the next piece waits for.
#[derive(Clone)]
enum Pace {
    Every(Duration),
    Gate(String),
}

/// The head at once; the first piece too, the others when their time has come.
pub fn slow(wish: &Wish, role: Arc<Role>) -> Result<Answer, BadParameter> {
    let parameters = &wish.parameters;
    let (pieces, piece) = (parameters.number("pieces", 2)?, parameters.number("piece", 1)?);
    let seed = parameters.number("seed", 0)?;
    let tells_length = !parameters.word("framing", &[("chunked", true), ("length", false)])?;
    let pace = pace(parameters)?;
    let body = stream::unfold(0, move |number| {
        let (role, pace) = (role.clone(), pace.clone());
        async move {
            if number == pieces {
                return None;
            }
            if number > 0 {
                match pace {
                    Pace::Every(pause) => tokio::time::sleep(pause).await,
                    Pace::Gate(key) => role.gates.pass(&key).await,
                }
            }
            Some((data(content::piece(seed, number * piece, piece as usize)), number + 1))
        }
    });
    Ok(streamed(StreamBody::new(body), tells_length.then_some(pieces * piece)))
}

fn pace(parameters: &Parameters) -> Result<Pace, BadParameter> {
    Ok(match parameters.text("hold") {
        Some(key) => Pace::Gate(key.to_owned()),
        None => Pace::Every(Duration::from_millis(parameters.number("every", 100)?)),
    })
}

fn data(bytes: Bytes) -> io::Result<Frame<Bytes>> {
    Ok(Frame::data(bytes))
}

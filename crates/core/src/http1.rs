//! HTTP/1.1 as bytes: heads in and out, framing of bodies, and the strict judge of field syntax. Used by the
//! gateway towards clients and by the role client towards roles. What it accepts has one reading only
//! (G-13); it never waits, never reads a clock and never touches a socket.
#![deny(clippy::indexing_slicing)]

mod answer;
mod body;
mod chunk;
pub mod fuzzing;
mod head;
mod reason;
mod request;
mod syntax;
mod write;

pub use answer::{AnswerBody, AnswerHead, take_answer_head};
pub use body::{BodyDecoder, BodyFault, BodyPiece};
pub use head::{HeadFault, HeadFaultKind, HttpVersion};
pub use reason::connector_reason;
pub use request::{BodyLength, RequestHead, take_request_head};
pub(crate) use syntax::list_elements;
pub use syntax::{is_repeatable, valid_field, valid_host, valid_method, valid_reason};
pub use write::{
    AnswerFraming, write_answer_head, write_chunk_prefix, write_chunk_suffix, write_continue, write_last_chunk,
    write_request_head,
};

//! A file that is always the same: conditions, ranges, HEAD (RFC 9110 sections 13 and 14).

use std::io;
use std::ops::Range;

use bytes::Bytes;
use futures_util::stream;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, LAST_MODIFIED, RANGE,
};
use http::{HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;

use super::ranges::{Wanted, wanted};
use super::{Answer, empty, not_allowed, streamed};
use crate::behaviour::{BadParameter, Wish};
use crate::content;
use crate::limits;
use crate::wire::RawHead;

/// The moment at which every file was made.
const MODIFIED: &str = "Thu, 01 Jan 2015 00:00:00 GMT";
const BOUNDARY: &str = "cmg-mock-site-role-boundary";

/// What a file is.
#[derive(Clone, Copy)]
struct File {
    seed: u64,
    length: u64,
}

/// Something to send: text of ours, or a part of the file.
#[derive(Clone)]
enum Section {
    Text(String),
    Part(Range<u64>),
}

pub fn file(wish: &Wish, head: &RawHead) -> Result<Answer, BadParameter> {
    let file = File { seed: wish.parameters.number("seed", 0)?, length: wish.parameters.number("bytes", 1 << 20)? };
    let is_head = head.method == "HEAD";
    if !is_head && head.method != "GET" {
        return Ok(not_allowed("GET, HEAD"));
    }
    let mut answer = file.answer(head);
    let fields = answer.headers_mut();
    fields.insert(ETAG, text(&file.tag()));
    fields.insert(LAST_MODIFIED, HeaderValue::from_static(MODIFIED));
    fields.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    Ok(answer)
}

impl File {
    fn tag(self) -> String {
        format!("\"{:x}-{:x}\"", self.seed, self.length)
    }

    fn answer(self, head: &RawHead) -> Answer {
        if self.is_known(head) {
            return empty(StatusCode::NOT_MODIFIED);
        }
        let range = if self.range_holds(head) { field(head, &RANGE) } else { None };
        match wanted(range, self.length) {
            Wanted::Whole => self.send(vec![Section::Part(0..self.length)], StatusCode::OK),
            Wanted::Nothing => {
                let mut answer = empty(StatusCode::RANGE_NOT_SATISFIABLE);
                answer.headers_mut().insert(CONTENT_RANGE, text(&format!("bytes */{}", self.length)));
                answer
            }
            Wanted::Parts(parts) => match parts.as_slice() {
                [one] => {
                    let range = self.content_range(one);
                    let mut answer = self.send(vec![Section::Part(one.clone())], StatusCode::PARTIAL_CONTENT);
                    answer.headers_mut().insert(CONTENT_RANGE, text(&range));
                    answer
                }
                many => self.multipart(many),
            },
        }
    }

    /// The client has it: If-None-Match, or else If-Modified-Since.
    fn is_known(self, head: &RawHead) -> bool {
        match field(head, &IF_NONE_MATCH) {
            Some(tags) => tags.split(',').any(|tag| tag.trim() == "*" || tag.trim() == self.tag()),
            None => field(head, &IF_MODIFIED_SINCE) == Some(MODIFIED),
        }
    }

    /// Without If-Range, or with one that names this very file.
    fn range_holds(self, head: &RawHead) -> bool {
        field(head, &IF_RANGE).is_none_or(|condition| condition == self.tag() || condition == MODIFIED)
    }

    fn content_range(self, part: &Range<u64>) -> String {
        format!("bytes {}-{}/{}", part.start, part.end - 1, self.length)
    }

    fn multipart(self, parts: &[Range<u64>]) -> Answer {
        let mut sections = Vec::new();
        for part in parts {
            let range = self.content_range(part);
            let head =
                format!("\r\n--{BOUNDARY}\r\nContent-Type: application/octet-stream\r\nContent-Range: {range}\r\n\r\n");
            sections.extend([Section::Text(head), Section::Part(part.clone())]);
        }
        sections.push(Section::Text(format!("\r\n--{BOUNDARY}--\r\n")));
        let mut answer = self.send(sections, StatusCode::PARTIAL_CONTENT);
        let kind = text(&format!("multipart/byteranges; boundary={BOUNDARY}"));
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        answer
    }

    fn send(self, sections: Vec<Section>, status: StatusCode) -> Answer {
        let length = |section: &Section| match section {
            Section::Text(text) => text.len() as u64,
            Section::Part(part) => part.end - part.start,
        };
        let total: u64 = sections.iter().map(length).sum();
        let pieces = stream::unfold(
            sections.into_iter().collect::<std::collections::VecDeque<_>>(),
            move |mut left| async move {
                let piece = match left.pop_front()? {
                    Section::Text(text) => Bytes::from(text),
                    Section::Part(part) => {
                        let length = (part.end - part.start).min(limits::PIECE as u64);
                        let rest = part.start + length..part.end;
                        if !rest.is_empty() {
                            left.push_front(Section::Part(rest));
                        }
                        content::piece(self.seed, part.start, length as usize)
                    }
                };
                Some((io::Result::Ok(Frame::data(piece)), left))
            },
        );
        let mut answer = streamed(StreamBody::new(pieces), Some(total));
        *answer.status_mut() = status;
        answer.headers_mut().insert(CONTENT_LENGTH, total.into());
        answer
    }
}

fn field<'a>(head: &'a RawHead, name: &HeaderName) -> Option<&'a str> {
    head.text(name.as_str())
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

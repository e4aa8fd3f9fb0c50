//! What the answer to a request must be, and the judge that looks at it byte by byte as it arrives. Short text is
//! kept until its end, everything else is compared at once and forgotten.

use serde::Deserialize;

use crate::content::first_difference;
use crate::limits;
use crate::wording::Worded;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// JSON that tells the request as the role saw it.
    Echo,
    /// These bytes of the content of this seed.
    Content { status: u16, seed: u64, offset: u64, length: u64 },
    /// No body, and the length that it would have had.
    Nothing { status: u16, told_length: Option<u64> },
    /// A wait that was released, or was not.
    Released,
    /// The gateway's own answer.
    Refusal { status: u16, code: &'static str },
}

/// The head of an answer, as far as it is judged.
#[derive(Clone, Debug, Default)]
pub struct Head {
    pub status: u16,
    /// `X-CMG-Error`: the gateway answered by itself.
    pub code: Option<String>,
    pub request_id: Option<String>,
    pub told_length: Option<u64>,
    /// The first field that no client may see.
    pub leaked: Option<String>,
}

/// Looks at one answer.
pub struct Judge<'a> {
    worded: &'a Worded,
    pub head: Head,
    pub has_head: bool,
    pub bytes: u64,
    text: Vec<u8>,
    problem: Option<String>,
}

/// What an echo tells.
#[derive(Deserialize)]
struct Echo {
    method: String,
    fields: Vec<(String, String)>,
    body_length: u64,
    body_sha256: String,
}

impl<'a> Judge<'a> {
    pub fn of(worded: &'a Worded) -> Self {
        Self { worded, head: Head::default(), has_head: false, bytes: 0, text: Vec::new(), problem: None }
    }

    pub fn head(&mut self, head: Head) {
        if let Some(name) = &head.leaked {
            self.wrong(format!("the field {name:?} may not reach a client"));
        }
        if head.request_id.is_none() {
            self.wrong("the answer has no X-CMG-Request-Id".to_owned());
        }
        self.head = head;
        self.has_head = true;
    }

    pub fn data(&mut self, data: &[u8]) {
        let at = self.bytes;
        self.bytes += data.len() as u64;
        match &self.worded.expected {
            Expected::Content { seed, offset, .. } if self.head.code.is_none() => {
                if let Some(difference) = first_difference(*seed, offset + at, data) {
                    self.wrong(format!("byte {} is not the one that was sent", difference - offset));
                }
            }
            _ if self.text.len() + data.len() <= limits::TEXT => self.text.extend_from_slice(data),
            _ => self.wrong("the answer is longer than any that was asked for".to_owned()),
        }
    }

    /// Says what is wrong with an answer that came to its end.
    pub fn end(&mut self) -> Option<String> {
        if self.head.code.is_none() {
            self.judge_roles_answer();
        } else {
            self.judge_refusal();
        }
        self.problem.take()
    }

    fn judge_roles_answer(&mut self) {
        let status = self.head.status;
        match self.worded.expected.clone() {
            Expected::Echo => {
                self.judge_status(200).judge_echo();
            }
            Expected::Content { status, length, .. } => {
                let bytes = self.bytes;
                self.judge_status(status).judge(bytes == length, || format!("{bytes} bytes came instead of {length}"));
            }
            Expected::Nothing { status, told_length } => {
                let (bytes, told) = (self.bytes, self.head.told_length);
                self.judge_status(status)
                    .judge(bytes == 0, || format!("{bytes} bytes came where none may be"))
                    .judge(told == told_length, || format!("the length is told as {told:?}, not {told_length:?}"));
            }
            Expected::Released => {
                let is_right = match status {
                    204 => self.bytes == 0,
                    200 => self.text.starts_with(b"{\"released\":\"load-"),
                    _ => false,
                };
                self.judge(is_right, || format!("a wait does not end with {status}"));
            }
            Expected::Refusal { code, .. } => {
                self.wrong(format!("a role answered {status} where {code} was due"));
            }
        }
    }

    fn judge_echo(&mut self) {
        let Ok(echo) = serde_json::from_slice::<Echo>(&self.text) else {
            return self.wrong(format!("{} bytes came that are no echo", self.text.len()));
        };
        let worded = self.worded;
        let ids: Vec<&str> = echo.fields.iter().filter(|(name, _)| is_our_field(name)).map(|(_, id)| &**id).collect();
        let (length, sha256) = match worded.body {
            Some(body) => (body.length, hex(&body.sha256())),
            None => (0, EMPTY_SHA256.to_owned()),
        };
        self.judge(ids == [worded.id.as_str()], || format!("the answer belongs to {ids:?}"))
            .judge(echo.method == worded.kind.method(), || format!("the role saw {}", echo.method))
            .judge(echo.body_length == length, || format!("the role got {} of {length} bytes", echo.body_length))
            .judge(echo.body_sha256 == sha256, || "the role got other bytes than were sent".to_owned());
    }

    fn judge_refusal(&mut self) {
        let (status, bytes) = (self.head.status, self.text.len());
        let told = self.head.code.clone().unwrap_or_default();
        // Its words are for people; that they are whole shows in the JSON that they are.
        let is_whole = bytes == 0 || serde_json::from_slice::<serde_json::Value>(&self.text).is_ok();
        self.judge(is_whole || self.worded.kind.method() == "HEAD", || "the refusal is not whole".to_owned());
        if let Expected::Refusal { status: due, code } = self.worded.expected {
            let is_due = (status, told.as_str()) == (due, code);
            self.judge(is_due || status >= 500, || format!("{status} {told} came where {due} {code} was due"));
        }
    }

    fn judge_status(&mut self, due: u16) -> &mut Self {
        let status = self.head.status;
        self.judge(status == due, || format!("the role's answer is {status} instead of {due}"))
    }

    fn judge(&mut self, is_right: bool, problem: impl FnOnce() -> String) -> &mut Self {
        if !is_right {
            self.wrong(problem());
        }
        self
    }

    /// The first thing that is wrong says most.
    pub fn wrong(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }
}

pub const REQUEST_FIELD: &str = "x-test-request";

fn is_our_field(name: &str) -> bool {
    name.eq_ignore_ascii_case(REQUEST_FIELD)
}

/// Of no bytes at all.
pub const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

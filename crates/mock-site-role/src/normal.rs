//! Behaviours that hyper serves: well-formed answers, streamed where they are long.

mod body;
mod echo;
mod files;
mod ranges;
mod streams;
mod waiting;

use std::io;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

pub use body::{RequestBody, Witnessed};

use crate::behaviour::{BadParameter, Behaviour, KNOWN, Wish};
use crate::ledger::Seen;
use crate::role::Link;
use crate::tap::Asked;

/// What is asked of the role.
pub struct Ask {
    pub asked: Asked,
    pub request: hyper::Request<RequestBody>,
    pub link: Link,
}

type AnswerBody = http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error>;
type Answer = Response<AnswerBody>;

/// Answers; an error means that the request broke off and there is nobody to answer.
pub async fn answer(mut ask: Ask) -> Result<Response<Witnessed>, io::Error> {
    let seen = ask.asked.seen.clone();
    let is_head = ask.request.method() == http::Method::HEAD;
    let answer = if ask.link.is_site {
        ask.link.role.site.clone().answer(&mut ask).await?
    } else {
        match ask.asked.wish.clone() {
            Ok(wish) => behave(&wish, ask).await?.unwrap_or_else(|bad| problem(&bad.to_string())),
            Err(unknown) => {
                let known: Vec<_> = KNOWN.iter().map(|known| known.name).collect();
                problem(&format!("{:?} is no behaviour; known are {}", unknown.0, known.join(", ")))
            }
        }
    };
    Ok(Witnessed::new(answer, seen, is_head))
}

async fn behave(wish: &Wish, ask: Ask) -> Result<Result<Answer, BadParameter>, io::Error> {
    let role = ask.link.role.clone();
    Ok(match wish.behaviour {
        Behaviour::Help => Ok(text(&help())),
        Behaviour::Mirror => return Ok(Ok(echo::mirror(ask))),
        Behaviour::Echo => return echo::echo(ask).await.map(Ok),
        other => {
            ask.request.into_body().read_to_end().await?;
            match other {
                Behaviour::Huge => streams::huge(wish),
                Behaviour::Digest => streams::digest(wish),
                Behaviour::Slow => streams::slow(wish, role),
                Behaviour::Poll => waiting::poll(wish, &role).await,
                Behaviour::Release => waiting::release(wish, &role),
                Behaviour::Static => files::file(wish, &ask.asked.head),
                raw => Ok(problem(&format!("{} writes bytes by hand, which HTTP/2 does not allow", raw.name()))),
            }
        }
    })
}

/// The list of behaviours.
pub fn help() -> String {
    let mut out = String::from("<any path>/_/<name>[/...]?<parameters>, or X-Role-Behaviour: <name>?<parameters>\n\n");
    for known in &KNOWN {
        out.push_str(&format!("{:12} {}\n{:12}   {}\n", known.name, known.parameters, "", known.does));
    }
    out
}

/// What an HTTP/2 stream gets when its request broke off.
pub fn failed(error: &io::Error, seen: Seen) -> Response<Witnessed> {
    Witnessed::new(problem(&error.to_string()), seen, false)
}

fn full(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(boxed(Full::new(body.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

pub fn told(status: StatusCode, value: &Value) -> Answer {
    full(status, "application/json", value.to_string())
}

fn text(text: &str) -> Answer {
    full(StatusCode::OK, "text/plain; charset=utf-8", text.to_owned())
}

fn problem(words: &str) -> Answer {
    told(StatusCode::BAD_REQUEST, &json!({ "problem": words }))
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(boxed(Full::default()));
    *answer.status_mut() = status;
    answer
}

/// 200 with these bytes.
pub fn whole(body: Bytes) -> Answer {
    full(StatusCode::OK, "application/octet-stream", body)
}

/// 405 for a verb that this place does not take.
pub fn not_allowed(verbs: &'static str) -> Answer {
    let mut answer = empty(StatusCode::METHOD_NOT_ALLOWED);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(verbs));
    answer
}

/// 200 with a body that says nothing of its length unless it is given.
fn streamed(body: impl Body<Data = Bytes, Error = io::Error> + Send + 'static, length: Option<u64>) -> Answer {
    let mut answer = Response::new(body.boxed_unsync());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Some(length) = length {
        answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    answer
}

fn boxed(body: Full<Bytes>) -> AnswerBody {
    body.map_err(|never| match never {}).boxed_unsync()
}

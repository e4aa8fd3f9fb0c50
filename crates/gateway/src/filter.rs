//! What may be asked, and how much of it at a time: [`PreAuthenticated`] -> [`AllowedRequest`]. Verb and length per
//! endpoint, then the identity's share. Rules only allow; what no rule allows is refused.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cmg_core::http1::BodyLength;
use cmg_core::limits;
use cmg_core::refusal::{Refusal, RefusalKind};
use cmg_core::request_target::RequestTarget;
use cmg_core::tunnel::message::{ClientProof, Lane};

use crate::fairness::Allowance;
use crate::pre_auth::PreAuthenticated;
use crate::published::PublishedRoute;
use crate::relay::Bounds;

/// A request that may be sent down a tunnel as soon as there is a lease.
#[derive(Debug)]
pub struct AllowedRequest {
    request: PreAuthenticated,
    request_body: u64,
    lane: Lane,
    /// Counts the exchange for its identity until it is over; an endpoint without proof has nobody to count for.
    _allowance: Option<Allowance>,
}

impl AllowedRequest {
    /// `cap` is the gateway's own, which no site can exceed.
    pub fn filter(
        request: PreAuthenticated,
        method: &[u8],
        body: BodyLength,
        cap: u64,
        now: Instant,
    ) -> Result<Self, Refusal> {
        let endpoint = &request.selection().route().endpoint;
        let request_body = endpoint.max_request_body.min(cap);
        let declared = match body {
            BodyLength::None => 0,
            BodyLength::Known(length) => length,
            // Counted while it streams.
            BodyLength::Chunked => 0,
        };
        let lane = if endpoint.bulk || declared >= limits::BULK_FROM { Lane::Bulk } else { Lane::Interactive };
        if endpoint.methods.allows(method) {
            if declared > request_body {
                return Err(too_large(declared, request_body));
            }
            let _allowance = request.account().map(|account| account.begin(now)).transpose()?;
            return Ok(Self { request, request_body, lane, _allowance });
        }
        let detail = format!("{} is not a verb of {}", String::from_utf8_lossy(method), endpoint.name);
        Err(Refusal::method_not_allowed(detail, endpoint.methods.allow()))
    }

    pub fn target(&self) -> &RequestTarget {
        self.request.selection().target()
    }

    pub fn route(&self) -> &PublishedRoute {
        self.request.selection().route()
    }

    pub fn site(&self) -> &str {
        &self.route().site.code
    }

    pub fn proof(&self) -> ClientProof {
        self.request.proof()
    }

    /// `X-CMG-Client`.
    pub fn identity_field(&self) -> Bytes {
        self.request.identity_field()
    }

    pub fn waits(&self) -> bool {
        self.route().endpoint.waits
    }

    pub fn lane(&self) -> Lane {
        self.lane
    }

    pub fn bounds(&self) -> Bounds {
        let endpoint = &self.route().endpoint;
        // The connection point's own deadline comes first, so that the inside explains the delay.
        let answer: Duration = endpoint.answer_timeout + limits::ANSWER_MARGIN;
        Bounds { request_body: self.request_body, answer, idle: endpoint.idle_timeout + limits::ANSWER_MARGIN }
    }
}

fn too_large(declared: u64, most: u64) -> Refusal {
    let detail = format!("Content-Length is {declared}, this endpoint takes {most} bytes");
    Refusal::new(RefusalKind::ContentTooLarge, detail)
}

#[cfg(test)]
mod tests;

//! The gateway's half of a control call: messages of ours out, checked messages in. The connection point's half
//! is serving_control.rs.

use bytes::Bytes;
use std::fmt;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::calling::Caller;
use super::generated as wire;
use super::generated::from_connection_point::Message as FromPoint;
use super::generated::from_gateway::Message as FromGateway;
use super::handshake::{ConnectionPointHello, GatewayHello, HelloError};
use super::message::GoodbyeReason;
use crate::limits;
use crate::shutdown::Tasks;

/// What a gateway says after its hello.
#[derive(Debug)]
pub enum Saying {
    /// With the time for which nothing had come.
    Heartbeat(Duration),
    Verdict(ConfigurationVerdict),
    InForce(ConfigurationInForce),
    Drain(Duration),
    /// With the time that the connection point is to wait before it dials again.
    Goodbye(GoodbyeReason, String, Duration),
}

/// What a connection point said.
#[derive(Debug)]
pub enum Said {
    /// With the time for which nothing had come.
    Heartbeat(Duration),
    Configuration {
        version: u64,
        publication: Bytes,
    },
    Drain,
    Goodbye(String),
}

/// The gateway's judgement of a site configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationVerdict {
    pub version: u64,
    pub applied: bool,
    pub problems: Vec<String>,
    pub version_in_force: u64,
    pub digest_in_force: Vec<u8>,
}

/// The site configuration that a gateway instance has in force; version 0 and no digest is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigurationInForce {
    pub version: u64,
    pub digest: Vec<u8>,
}

/// Why a control call is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlEnd {
    #[error("its connection ended")]
    ConnectionLost,
    #[error("nothing was heard from the other end for too long")]
    Silent,
    #[error("the other end hears nothing of what is sent to it")]
    Unheard,
    #[error("the other end said goodbye: {0}")]
    Goodbye(String),
    #[error("the other end may not attach here")]
    NotAllowed,
    #[error("the other end speaks no common version")]
    Incompatible,
    #[error("this program is stopping")]
    Stopping,
    #[error("another process of the same connection id has taken over")]
    Replaced,
    #[error("it took no requests any more")]
    Retired,
    #[error("the other end's control call failed: {0}")]
    Failed(String),
    #[error(transparent)]
    Hello(#[from] HelloError),
}

impl ControlEnd {
    /// As a label of metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            ControlEnd::ConnectionLost => "connection lost",
            ControlEnd::Silent => "silent",
            ControlEnd::Unheard => "unheard",
            ControlEnd::Goodbye(_) => "goodbye",
            ControlEnd::NotAllowed => "not allowed",
            ControlEnd::Incompatible => "incompatible",
            ControlEnd::Stopping => "stopping",
            ControlEnd::Replaced => "replaced",
            ControlEnd::Retired => "retired",
            ControlEnd::Failed(_) | ControlEnd::Hello(_) => "failed",
        }
    }
}

/// A control call that has been made.
pub struct Control {
    outgoing: mpsc::Sender<wire::FromGateway>,
    incoming: Streaming<wire::FromConnectionPoint>,
    sequence: u64,
    seen: u64,
}

impl Control {
    /// Calls and says hello.
    pub async fn call(caller: &Caller, tasks: &Tasks, hello: &GatewayHello) -> Result<Self, ControlEnd> {
        let (outgoing, queue) = mpsc::channel(limits::CONTROL_QUEUE);
        let hello = FromGateway::Hello(hello.to_wire());
        // The queue is empty: there is room.
        let _ = outgoing.send(wire::FromGateway { message: Some(hello) }).await;
        let answer = caller.control(tasks).control(ReceiverStream::new(queue)).await;
        let incoming = answer.map_err(|status| failed(&status))?.into_inner();
        Ok(Self { outgoing, incoming, sequence: 0, seen: 0 })
    }

    /// The connection point's first message.
    pub async fn hello(&mut self) -> Result<ConnectionPointHello, ControlEnd> {
        match self.message().await? {
            Some(FromPoint::Hello(hello)) => Ok(ConnectionPointHello::from_wire(hello)?),
            Some(_) | None => Err(HelloError::Missing.into()),
        }
    }

    /// The next message of any other kind. May be dropped and called again.
    pub async fn next(&mut self) -> Result<Said, ControlEnd> {
        loop {
            match self.message().await? {
                Some(FromPoint::Heartbeat(heartbeat)) => {
                    self.seen = heartbeat.sequence;
                    return Ok(Said::Heartbeat(quiet_of(&heartbeat)));
                }
                Some(FromPoint::Configuration(configuration)) => {
                    let wire::SiteConfiguration { version, publication } = configuration;
                    return Ok(Said::Configuration { version, publication });
                }
                Some(FromPoint::Drain(_)) => return Ok(Said::Drain),
                Some(FromPoint::Goodbye(goodbye)) => return Ok(Said::Goodbye(goodbye.detail)),
                Some(FromPoint::Hello(_)) => return Err(HelloError::NotAllowed("a second hello").into()),
                // A message of a newer version: unknown, ignored.
                None => {}
            }
        }
    }

    async fn message(&mut self) -> Result<Option<FromPoint>, ControlEnd> {
        match self.incoming.message().await {
            Ok(Some(message)) => Ok(message.message),
            Ok(None) => Err(ControlEnd::ConnectionLost),
            Err(status) => Err(failed(&status)),
        }
    }

    /// Says something. When the call is over nobody hears it, which `next` tells.
    pub async fn say(&mut self, saying: Saying) {
        let message = match saying {
            Saying::Heartbeat(quiet) => {
                self.sequence += 1;
                FromGateway::Heartbeat(heartbeat(self.sequence, self.seen, quiet))
            }
            Saying::Verdict(verdict) => FromGateway::Configuration(wire::ConfigurationVerdict {
                version: verdict.version,
                applied: verdict.applied,
                problems: verdict.problems,
                version_in_force: verdict.version_in_force,
                digest_in_force: verdict.digest_in_force.into(),
            }),
            Saying::InForce(ConfigurationInForce { version, digest }) => {
                FromGateway::InForce(wire::ConfigurationInForce { version, digest: digest.into() })
            }
            Saying::Drain(deadline) => {
                FromGateway::Drain(wire::Drain { deadline_ms: u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX) })
            }
            Saying::Goodbye(reason, detail, retry_after) => {
                return self.say_goodbye(reason, detail, retry_after).await;
            }
        };
        let _ = self.outgoing.send(wire::FromGateway { message: Some(message) }).await;
    }

    /// Says the last word and waits until the other end has read it and hung up, for a moment.
    async fn say_goodbye(&mut self, reason: GoodbyeReason, detail: String, retry_after: Duration) {
        let retry_after_ms = u32::try_from(retry_after.as_millis()).unwrap_or(u32::MAX);
        let goodbye = wire::Goodbye { reason: goodbye_to_wire(reason).into(), detail, retry_after_ms };
        let message = wire::FromGateway { message: Some(FromGateway::Goodbye(goodbye)) };
        let _ = self.outgoing.send(message).await;
        let hung_up = async { while let Ok(Some(_)) = self.incoming.message().await {} };
        let _ = tokio::time::timeout(limits::HANG_UP, hung_up).await;
    }
}

pub(super) fn heartbeat(sequence: u64, seen: u64, quiet: Duration) -> wire::Heartbeat {
    wire::Heartbeat { sequence, seen, quiet_ms: u32::try_from(quiet.as_millis()).unwrap_or(u32::MAX) }
}

pub(super) fn quiet_of(heartbeat: &wire::Heartbeat) -> Duration {
    Duration::from_millis(heartbeat.quiet_ms.into())
}

pub(super) fn failed(status: &tonic::Status) -> ControlEnd {
    ControlEnd::Failed(format!("{:?}: {}", status.code(), status.message()))
}

pub(super) const fn goodbye_to_wire(reason: GoodbyeReason) -> wire::GoodbyeReason {
    match reason {
        GoodbyeReason::Incompatible => wire::GoodbyeReason::Incompatible,
        GoodbyeReason::NotAllowed => wire::GoodbyeReason::NotAllowed,
        GoodbyeReason::Violation => wire::GoodbyeReason::Violation,
        GoodbyeReason::Replaced => wire::GoodbyeReason::Replaced,
        GoodbyeReason::Stopping => wire::GoodbyeReason::Stopping,
        GoodbyeReason::Other => wire::GoodbyeReason::Unspecified,
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("sequence", &self.sequence).field("seen", &self.seen).finish_non_exhaustive()
    }
}

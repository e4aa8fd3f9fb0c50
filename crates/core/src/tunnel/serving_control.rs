//! The connection point's half of a control call: the one call of a tunnel is handed to its owner as messages of
//! ours, checked on the way in. Exchanges never come here.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::control::{
    ConfigurationInForce, ConfigurationVerdict, ControlEnd, failed, goodbye_to_wire, heartbeat, quiet_of,
};
use super::generated as wire;
use super::generated::from_connection_point::Message as FromPoint;
use super::generated::from_gateway::Message as FromGateway;
use super::generated::tunnel_server::{Tunnel, TunnelServer};
use super::handshake::{ConnectionPointHello, GatewayHello, HelloError};
use super::message::GoodbyeReason;
use crate::limits;

/// What a connection point says after its hello.
#[derive(Debug)]
pub enum PointSaying {
    /// With the time for which nothing had come.
    Heartbeat(Duration),
    Configuration {
        version: u64,
        publication: Bytes,
    },
    Drain(Duration),
    Goodbye(GoodbyeReason, String),
}

/// What a gateway said.
#[derive(Debug, PartialEq, Eq)]
pub enum GatewaySaid {
    /// With the time for which nothing had come.
    Heartbeat(Duration),
    Verdict(ConfigurationVerdict),
    InForce(ConfigurationInForce),
    Drain,
    Goodbye {
        is_replaced: bool,
        detail: String,
        retry_after: Duration,
    },
}

/// What serves the calls of one tunnel that are not exchanges, and where its control call will come out.
pub fn server() -> (TunnelServer<ServedCalls>, ControlCall) {
    let (sender, receiver) = mpsc::channel(1);
    let server = TunnelServer::new(ServedCalls(sender)).max_decoding_message_size(limits::TUNNEL_MESSAGE);
    (server, ControlCall(receiver))
}

/// The control call that has not been made yet.
#[derive(Debug)]
pub struct ControlCall(mpsc::Receiver<ServedControl>);

impl ControlCall {
    /// The call, when the gateway has made it.
    pub async fn made(&mut self) -> Result<ServedControl, ControlEnd> {
        self.0.recv().await.ok_or(ControlEnd::ConnectionLost)
    }
}

/// A control call that is being served.
pub struct ServedControl {
    outgoing: mpsc::Sender<Result<wire::FromConnectionPoint, Status>>,
    incoming: Streaming<wire::FromGateway>,
    sequence: u64,
    seen: u64,
}

impl ServedControl {
    /// Both hellos: ours goes first, so that neither end waits for the other.
    pub async fn hello(&mut self, ours: &ConnectionPointHello) -> Result<GatewayHello, ControlEnd> {
        self.send(FromPoint::Hello(ours.to_wire())).await;
        match self.message().await? {
            Some(FromGateway::Hello(hello)) => Ok(GatewayHello::from_wire(hello)?),
            Some(_) | None => Err(HelloError::Missing.into()),
        }
    }

    /// The next message after the hello. May be dropped and called again.
    pub async fn next(&mut self) -> Result<GatewaySaid, ControlEnd> {
        loop {
            match self.message().await? {
                Some(FromGateway::Heartbeat(heartbeat)) => {
                    self.seen = heartbeat.sequence;
                    return Ok(GatewaySaid::Heartbeat(quiet_of(&heartbeat)));
                }
                Some(FromGateway::Configuration(verdict)) => return Ok(GatewaySaid::Verdict(verdict_of(verdict))),
                Some(FromGateway::InForce(wire::ConfigurationInForce { version, digest })) => {
                    return Ok(GatewaySaid::InForce(ConfigurationInForce { version, digest: digest.to_vec() }));
                }
                Some(FromGateway::Drain(_)) => return Ok(GatewaySaid::Drain),
                Some(FromGateway::Goodbye(goodbye)) => {
                    let retry_after = Duration::from_millis(goodbye.retry_after_ms.into());
                    let is_replaced = goodbye.reason() == wire::GoodbyeReason::Replaced;
                    return Ok(GatewaySaid::Goodbye { is_replaced, detail: plain(goodbye.detail), retry_after });
                }
                Some(FromGateway::Hello(_)) => return Err(HelloError::NotAllowed("a second hello").into()),
                // A message of a newer version: unknown, ignored.
                None => {}
            }
        }
    }

    /// Says something. When the call is over nobody hears it, which `next` tells.
    pub async fn say(&mut self, saying: PointSaying) {
        let message = match saying {
            PointSaying::Heartbeat(quiet) => {
                self.sequence += 1;
                FromPoint::Heartbeat(heartbeat(self.sequence, self.seen, quiet))
            }
            PointSaying::Configuration { version, publication } => {
                FromPoint::Configuration(wire::SiteConfiguration { version, publication })
            }
            PointSaying::Drain(deadline) => {
                FromPoint::Drain(wire::Drain { deadline_ms: u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX) })
            }
            PointSaying::Goodbye(reason, detail) => {
                FromPoint::Goodbye(wire::Goodbye { reason: goodbye_to_wire(reason).into(), detail, retry_after_ms: 0 })
            }
        };
        self.send(message).await;
    }

    /// After a goodbye: completes when the other end has hung up.
    pub async fn hung_up(&mut self) {
        while let Ok(Some(_)) = self.incoming.message().await {}
    }

    async fn send(&self, message: FromPoint) {
        // An error means that the call is over, which `next` tells.
        let _ = self.outgoing.send(Ok(wire::FromConnectionPoint { message: Some(message) })).await;
    }

    async fn message(&mut self) -> Result<Option<FromGateway>, ControlEnd> {
        match self.incoming.message().await {
            Ok(Some(message)) => Ok(message.message),
            Ok(None) => Err(ControlEnd::ConnectionLost),
            Err(status) => Err(failed(&status)),
        }
    }
}

impl fmt::Debug for ServedControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedControl")
            .field("sequence", &self.sequence)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

fn verdict_of(verdict: wire::ConfigurationVerdict) -> ConfigurationVerdict {
    ConfigurationVerdict {
        version: verdict.version,
        applied: verdict.applied,
        // One more says how many are left out.
        problems: verdict.problems.into_iter().take(limits::VERDICT_PROBLEMS + 1).map(plain).collect(),
        version_in_force: verdict.version_in_force,
        digest_in_force: verdict.digest_in_force.to_vec(),
    }
}

/// Text of the other end as it may stand in a log.
fn plain(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(limits::PROBLEM_TEXT));
    if text.chars().any(char::is_control) { text.replace(char::is_control, " ") } else { text }
}

/// What tonic calls.
pub struct ServedCalls(mpsc::Sender<ServedControl>);

type Outgoing<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Tunnel for ServedCalls {
    type ControlStream = Outgoing<wire::FromConnectionPoint>;
    type ExchangeStream = Outgoing<wire::ResponsePart>;
    type PassthroughStream = Outgoing<wire::Bytes>;

    async fn control(
        &self,
        request: Request<Streaming<wire::FromGateway>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        let (outgoing, queue) = mpsc::channel(limits::CONTROL_QUEUE);
        let control = ServedControl { outgoing, incoming: request.into_inner(), sequence: 0, seen: 0 };
        match self.0.try_send(control) {
            Ok(()) => Ok(Response::new(Box::pin(ReceiverStream::new(queue)))),
            Err(_) => Err(Status::already_exists("this tunnel has its control call")),
        }
    }

    async fn exchange(
        &self,
        _: Request<Streaming<wire::RequestPart>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        Err(Status::internal("exchanges are taken from the connection before they come here"))
    }

    async fn passthrough(
        &self,
        _: Request<Streaming<wire::Bytes>>,
    ) -> Result<Response<Self::PassthroughStream>, Status> {
        Err(Status::unimplemented("nothing is passed through unopened in this version"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_no_longer_than_ours_would_be() {
        let problems = vec!["ä\n".repeat(limits::PROBLEM_TEXT); 2 * limits::VERDICT_PROBLEMS];
        let taken = verdict_of(wire::ConfigurationVerdict { problems, ..Default::default() }).problems;
        assert_eq!(taken.len(), limits::VERDICT_PROBLEMS + 1);
        assert!(taken.iter().all(|text| text.len() <= limits::PROBLEM_TEXT && text.starts_with("ä ä ")));
    }
}

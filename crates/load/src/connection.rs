//! One connection of a client, and one request on it. Says precisely how a request ended: what was lost without a word
//! and what broke off visibly are two things. Never sends anything twice.

pub mod http1;
mod http2;
mod watched;

use std::net::SocketAddr;

use cmg_client::{Client, Protocol, tls::ClientCertificate};

use crate::error::LoadError;
use crate::expected::Judge;
use crate::limits;
use crate::outcome::Outcome;
use crate::site::Site;

pub use http1::Http1;
pub use http2::Http2;

/// How an exchange ended; whether the answer was right is the judge's to say.
#[derive(Debug)]
pub enum Ended {
    /// The answer came to its end.
    Whole,
    /// Nothing of the request was written: there is no request.
    Unsent(String),
    /// The peer says that it did not look at it.
    HandedBack(String),
    /// Closed in good order before an answer.
    Lost(String),
    /// Broken off.
    Cut(String),
    /// Not at all for longer than anybody waits.
    TimedOut(String),
    /// What came is no answer, or more than one.
    Garbled(String),
}

/// What a connection is like between two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Open,
    Closed,
    /// Bytes have come that nobody asked for.
    Carries,
}

impl Ended {
    /// The outcome with the judge's verdict, and the words for it.
    pub fn judged(self, judge: &mut Judge<'_>) -> (Outcome, Option<String>) {
        match self {
            Ended::Whole => match judge.end() {
                Some(problem) => (Outcome::Corrupted, Some(problem)),
                None if judge.head.code.is_some() => (Outcome::Refused, None),
                None => (Outcome::Answered, None),
            },
            Ended::Unsent(why) => (Outcome::NotConnected, Some(why)),
            Ended::HandedBack(why) => (Outcome::HandedBack, Some(why)),
            Ended::Lost(why) => (Outcome::Lost, Some(why)),
            Ended::Cut(why) => (Outcome::Cut, Some(why)),
            Ended::TimedOut(why) => (Outcome::TimedOut, Some(why)),
            Ended::Garbled(why) => (Outcome::Corrupted, Some(why)),
        }
    }
}

/// A client's certificate and version of HTTP, towards every address.
pub struct Dialler {
    clients: Vec<Client>,
}

impl Dialler {
    /// The device of this number: it shows one of the identities and speaks one version.
    pub fn new(site: &Site, device: usize, protocol: Protocol) -> Result<Self, LoadError> {
        let identity = site.identities.get(device % site.identities.len().max(1));
        let identity = identity.ok_or(LoadError::Nothing { what: "client certificate" })?;
        let shown = ClientCertificate { chain: &identity.certificate, key: &identity.key };
        let client = |address: &SocketAddr| {
            let client = Client::new(*address, &site.service_name, &site.service_ca, Some(shown))?;
            Ok::<_, LoadError>(client.speaking(protocol))
        };
        let clients = site.addresses.iter().map(client).collect::<Result<Vec<_>, _>>()?;
        if clients.is_empty() { Err(LoadError::Nothing { what: "gateway" }) } else { Ok(Self { clients }) }
    }

    pub fn addresses(&self) -> usize {
        self.clients.len()
    }

    fn client(&self, at: usize) -> Option<&Client> {
        self.clients.get(at % self.clients.len())
    }

    pub async fn http1(&self, at: usize) -> Option<Http1> {
        let client = self.client(at)?;
        let stream = tokio::time::timeout(limits::CONNECT, client.connect_tls()).await.ok()?.ok()?;
        Some(Http1::new(stream, client.service_name()))
    }

    pub async fn http2(&self, at: usize) -> Option<Http2> {
        let client = self.client(at)?;
        let stream = tokio::time::timeout(limits::CONNECT, client.connect_tls()).await.ok()?.ok()?;
        Http2::over(stream, client.service_name()).await
    }
}

//! Behaviours that write their bytes by hand onto the socket: what hyper would not write, or not in this
//! order. A behaviour that ends well gives the connection back for the next request.

mod abort;
mod connection;
mod early;
mod fields;
mod framing;
mod garbage;
mod pieces;
mod status;

use std::io;

pub use connection::RawConnection;

use crate::behaviour::{BadParameter, Behaviour, Wish};
use crate::role::Link;
use crate::tap::Asked;
use crate::wire::RawHead;

/// What one behaviour has to work with.
struct Raw<'a> {
    connection: RawConnection,
    wish: &'a Wish,
    head: &'a RawHead,
}

/// Why a behaviour did not go on: its parameters, or the connection.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Parameter(#[from] BadParameter),
    #[error(transparent)]
    Connection(#[from] io::Error),
}

/// Whether the connection may serve another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    GoesOn,
    Ends,
}

/// Runs the behaviour that was asked for; the connection comes back if it can go on.
pub async fn run(connection: RawConnection, asked: &Asked, link: &Link) -> io::Result<Option<RawConnection>> {
    // Only known behaviours are kept back from hyper.
    let Ok(wish) = &asked.wish else { return Ok(None) };
    let mut raw = Raw { connection, wish, head: &asked.head };
    let ran = tokio::select! {
        ran = raw.behave() => ran,
        () = link.role.tasks.ending() => Ok(After::Ends),
    };
    match ran {
        Ok(After::GoesOn) => Ok(Some(raw.connection)),
        Ok(After::Ends) => Ok(None),
        Err(Failure::Connection(error)) => Err(error),
        Err(Failure::Parameter(bad)) => {
            raw.connection.read_body().await?;
            let body = serde_json::json!({ "problem": bad.to_string() }).to_string();
            raw.connection.answer("400 Bad Request", &[], body.as_bytes()).await?;
            Ok(Some(raw.connection))
        }
    }
}

impl Raw<'_> {
    async fn behave(&mut self) -> Result<After, Failure> {
        match self.wish.behaviour {
            Behaviour::Status => self.status().await,
            Behaviour::Redirect => self.redirect().await,
            Behaviour::Early => self.early().await,
            Behaviour::Abort => self.abort().await,
            Behaviour::Fields => self.odd_fields().await,
            Behaviour::Interim => self.interim().await,
            Behaviour::Trailers => self.trailers().await,
            Behaviour::Chunks => self.chunks().await,
            Behaviour::UntilClose => self.until_close().await,
            Behaviour::Lengths => self.lengths().await,
            Behaviour::Garbage => self.garbage().await,
            Behaviour::Never => self.never().await,
            // Everything else is hyper's and never comes here.
            _ => Ok(After::Ends),
        }
    }

    /// The fields that the request wants in its answer: `field=Name:value`, as often as needed.
    fn wished_fields(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let split = |field: &[u8]| {
            let at = field.iter().position(|byte| *byte == b':').unwrap_or(field.len());
            let value = field.get(at + 1..).unwrap_or_default().trim_ascii_start();
            (field.get(..at).unwrap_or_default().to_vec(), value.to_vec())
        };
        self.wish.parameters.all("field").map(split).collect()
    }

    fn is_head(&self) -> bool {
        self.head.method == "HEAD"
    }
}

//! Why a run could not be made or counted. What a request suffers is an outcome and never an error.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the clients cannot be made: {0}")]
    Client(#[from] cmg_client::ClientError),
    #[error("there is no {what} to send requests with")]
    Nothing { what: &'static str },
    #[error("{text:?} is no mix; write kinds with weights, such as get=30,post=10; kinds are {kinds}")]
    Mix { text: String, kinds: String },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("the admin page {page} of {address} does not answer: {why}")]
    Admin { address: SocketAddr, page: String, why: String },
    #[error("the ledger of {address} is not whole: {why}")]
    Export { address: SocketAddr, why: String },
}

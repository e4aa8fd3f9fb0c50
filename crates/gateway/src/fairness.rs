//! That one of many takes no more than its share: of exchanges for each identity, which is believed by then, and of
//! handshakes and refusals for each address. Locks are held for a look, never for a request of a known connection.

mod addresses;
mod bucket;
mod identities;

pub use addresses::{AddressLimits, Addresses, Manner, Peer, Welcome};
pub use identities::{Account, Allowance, Identities, Identity, IdentityLimits, KeptConnection};

#[cfg(test)]
mod tests;

//! The first messages on a tunnel: which version both ends speak, and who they are. Decisions only; the
//! messages are moved by the gateway's and the connection point's control halves.

use std::fmt;

use super::frame::{lane_from_wire, lane_to_wire};
use super::generated as wire;
use super::message::Lane;
use crate::limits;

/// The versions of the protocol that this program speaks.
pub const VERSIONS: Versions = Versions { lowest: 1, highest: 1 };

/// Length of a boot id.
pub const BOOT_ID: usize = 16;

/// A range of protocol versions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub lowest: u32,
    pub highest: u32,
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lowest == self.highest {
            write!(f, "{}", self.lowest)
        } else {
            write!(f, "{} to {}", self.lowest, self.highest)
        }
    }
}

impl Versions {
    /// The highest version that both speak.
    pub fn agree(self, theirs: Versions) -> Result<u32, Incompatible> {
        let highest = self.highest.min(theirs.highest);
        if highest >= self.lowest.max(theirs.lowest) && theirs.lowest <= theirs.highest {
            return Ok(highest);
        }
        Err(Incompatible { ours: self, theirs, update_us: theirs.lowest > self.highest })
    }

    fn to_wire(self) -> wire::VersionRange {
        wire::VersionRange { lowest: self.lowest, highest: self.highest }
    }

    fn from_wire(range: Option<wire::VersionRange>) -> Result<Self, HelloError> {
        let range = range.ok_or(HelloError::NotAllowed("no protocol versions"))?;
        Ok(Self { lowest: range.lowest, highest: range.highest })
    }
}

/// No version that both ends speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incompatible {
    pub ours: Versions,
    pub theirs: Versions,
    pub update_us: bool,
}

impl Incompatible {
    /// Says which side to update, in words that both ends may log. `us` and `them` name the programs.
    pub fn explain(&self, us: &str, them: &str) -> String {
        let update = if self.update_us { us } else { them };
        format!("{us} speaks tunnel protocol {}, {them} speaks {}: update {update}", self.ours, self.theirs)
    }
}

/// A hello that cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    #[error("the hello is not usable: {0}")]
    NotAllowed(&'static str),
    #[error("the first message was not a hello")]
    Missing,
}

/// What a gateway instance says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayHello {
    pub versions: Versions,
    pub program: String,
    pub instance: String,
    pub boot_id: [u8; BOOT_ID],
    pub workers: u32,
    pub bulk_connections: u32,
    pub lane: Lane,
    pub configuration_version: u64,
    pub configuration_digest: Vec<u8>,
}

/// What a connection point says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionPointHello {
    pub versions: Versions,
    pub program: String,
    pub boot_id: [u8; BOOT_ID],
    pub started_micros: u64,
    pub lane: Lane,
    pub max_exchanges: u32,
}

/// Random per start of a process.
pub fn new_boot_id() -> [u8; BOOT_ID] {
    let mut id = [0; BOOT_ID];
    // Fails only without any source of entropy; two processes with one id would then be taken for one.
    let _ = aws_lc_rs::rand::fill(&mut id);
    id
}

impl GatewayHello {
    pub fn to_wire(&self) -> wire::GatewayHello {
        wire::GatewayHello {
            versions: Some(self.versions.to_wire()),
            program: self.program.clone(),
            capabilities: Vec::new(),
            instance: self.instance.clone(),
            boot_id: self.boot_id.to_vec().into(),
            workers: self.workers,
            bulk_connections: self.bulk_connections,
            lane: lane_to_wire(self.lane).into(),
            configuration_version: self.configuration_version,
            configuration_digest: self.configuration_digest.clone().into(),
        }
    }

    pub fn from_wire(hello: wire::GatewayHello) -> Result<Self, HelloError> {
        let workers = usize::try_from(hello.workers).unwrap_or(usize::MAX);
        if workers == 0 || workers > limits::WORKERS {
            return Err(HelloError::NotAllowed("number of workers"));
        }
        if usize::try_from(hello.bulk_connections).unwrap_or(usize::MAX) > limits::WORKERS {
            return Err(HelloError::NotAllowed("number of bulk connections"));
        }
        Ok(Self {
            versions: Versions::from_wire(hello.versions)?,
            program: short_text(hello.program)?,
            instance: short_text(hello.instance)?,
            boot_id: boot_id(&hello.boot_id)?,
            workers: hello.workers,
            bulk_connections: hello.bulk_connections,
            lane: lane_from_wire(hello.lane),
            configuration_version: hello.configuration_version,
            configuration_digest: hello.configuration_digest.to_vec(),
        })
    }
}

impl ConnectionPointHello {
    pub fn to_wire(&self) -> wire::ConnectionPointHello {
        wire::ConnectionPointHello {
            versions: Some(self.versions.to_wire()),
            program: self.program.clone(),
            capabilities: Vec::new(),
            boot_id: self.boot_id.to_vec().into(),
            started_micros: self.started_micros,
            lane: lane_to_wire(self.lane).into(),
            max_exchanges: self.max_exchanges,
        }
    }

    pub fn from_wire(hello: wire::ConnectionPointHello) -> Result<Self, HelloError> {
        Ok(Self {
            versions: Versions::from_wire(hello.versions)?,
            program: short_text(hello.program)?,
            boot_id: boot_id(&hello.boot_id)?,
            started_micros: hello.started_micros,
            lane: lane_from_wire(hello.lane),
            max_exchanges: hello.max_exchanges,
        })
    }
}

fn boot_id(bytes: &[u8]) -> Result<[u8; BOOT_ID], HelloError> {
    bytes.try_into().map_err(|_| HelloError::NotAllowed("boot id is not 16 bytes"))
}

/// Text that ends up in logs and status.
fn short_text(text: String) -> Result<String, HelloError> {
    if text.len() > limits::HELLO_NAME || text.chars().any(char::is_control) {
        return Err(HelloError::NotAllowed("a name is too long or has control characters"));
    }
    Ok(text)
}

/// Body of a fuzz target: what passes for a hello is written again as the same hello, and agreeing on a version
/// never gives one that an end does not speak. The first byte chooses who says it.
pub fn fuzz_hellos(data: &[u8]) {
    use prost::Message as _;
    let (first, data) = data.split_first().unwrap_or((&0, &[]));
    let theirs = if first.is_multiple_of(2) {
        let Some(hello) = wire::GatewayHello::decode(data).ok().and_then(|it| GatewayHello::from_wire(it).ok()) else {
            return;
        };
        assert_eq!(GatewayHello::from_wire(hello.to_wire()).as_ref(), Ok(&hello));
        assert!(hello.workers > 0 && !hello.instance.contains(char::is_control));
        hello.versions
    } else {
        let read = wire::ConnectionPointHello::decode(data).ok();
        let Some(hello) = read.and_then(|it| ConnectionPointHello::from_wire(it).ok()) else { return };
        assert_eq!(ConnectionPointHello::from_wire(hello.to_wire()).as_ref(), Ok(&hello));
        assert!(!hello.program.contains(char::is_control));
        hello.versions
    };
    match VERSIONS.agree(theirs) {
        Ok(agreed) => assert!([VERSIONS, theirs].iter().all(|one| (one.lowest..=one.highest).contains(&agreed))),
        Err(incompatible) => assert!(incompatible.explain("us", "them").contains(": update ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(lowest: u32, highest: u32) -> Versions {
        Versions { lowest, highest }
    }

    #[test]
    fn neighbours_understand_each_other() {
        assert_eq!(versions(1, 2).agree(versions(2, 3)), Ok(2));
        assert_eq!(versions(2, 3).agree(versions(1, 2)), Ok(2));
        assert_eq!(versions(1, 1).agree(versions(1, 1)), Ok(1));
    }

    #[test]
    fn an_incompatible_peer_learns_which_side_to_update() {
        let newer = versions(1, 1).agree(versions(3, 4)).unwrap_err();
        assert_eq!(
            newer.explain("the gateway", "the connection point"),
            "the gateway speaks tunnel protocol 1, the connection point speaks 3 to 4: update the gateway"
        );
        let older = versions(3, 4).agree(versions(1, 1)).unwrap_err();
        assert!(older.explain("the gateway", "the connection point").ends_with("update the connection point"));
        assert!(versions(1, 3).agree(versions(3, 1)).is_err(), "a range that is no range");
    }

    #[test]
    fn hellos_survive_the_wire_and_bad_ones_do_not_pass() {
        let hello = GatewayHello {
            versions: VERSIONS,
            program: "cmg-gateway 0.1.0".into(),
            instance: "gw1".into(),
            boot_id: new_boot_id(),
            workers: 2,
            bulk_connections: 1,
            lane: Lane::Bulk,
            configuration_version: 7,
            configuration_digest: vec![1; 32],
        };
        assert_eq!(GatewayHello::from_wire(hello.to_wire()), Ok(hello.clone()));
        for broken in [
            wire::GatewayHello { workers: 0, ..hello.to_wire() },
            wire::GatewayHello { workers: 1_000_000, ..hello.to_wire() },
            wire::GatewayHello { bulk_connections: u32::MAX, ..hello.to_wire() },
            wire::GatewayHello { boot_id: vec![1; 15].into(), ..hello.to_wire() },
            wire::GatewayHello { instance: "a\nb".into(), ..hello.to_wire() },
            wire::GatewayHello { versions: None, ..hello.to_wire() },
        ] {
            assert!(GatewayHello::from_wire(broken).is_err());
        }
    }
}

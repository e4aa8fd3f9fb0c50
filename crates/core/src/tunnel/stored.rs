//! A site configuration as it is kept on disk: the wire message, the site and a digest over both, so that a
//! file which was damaged or cut is noticed.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

use super::generated as wire;
use super::publication::digest;

const MAGIC: &[u8] = b"cmg-site\x01";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConfiguration {
    pub site: String,
    pub version: u64,
    pub publication: Bytes,
}

impl StoredConfiguration {
    /// Magic, digest of the rest, length of the site code, site code, message.
    pub fn encode(&self) -> Bytes {
        let message = wire::SiteConfiguration { version: self.version, publication: self.publication.clone() };
        let mut rest = BytesMut::new();
        rest.put_u8(u8::try_from(self.site.len()).unwrap_or(u8::MAX));
        rest.put_slice(self.site.as_bytes());
        rest.put_slice(&message.encode_to_vec());
        let mut file = BytesMut::new();
        file.put_slice(MAGIC);
        file.put_slice(&digest(&rest));
        file.put_slice(&rest);
        file.freeze()
    }

    pub fn decode(mut file: Bytes) -> Result<Self, String> {
        if !file.starts_with(MAGIC) {
            return Err("it is not a stored site configuration of this version".to_owned());
        }
        file.advance(MAGIC.len());
        if file.len() < 33 {
            return Err("it is cut short".to_owned());
        }
        let told = file.split_to(32);
        if told != digest(&file)[..] {
            return Err("its content does not match its digest".to_owned());
        }
        let length = usize::from(file.get_u8());
        if length > file.len() {
            return Err("it is cut short".to_owned());
        }
        let site = String::from_utf8(file.split_to(length).to_vec()).map_err(|_| "its site code is not text")?;
        let message = wire::SiteConfiguration::decode(file).map_err(|error| error.to_string())?;
        Ok(Self { site, version: message.version, publication: message.publication })
    }
}

/// Body of a fuzz target: the bytes as they are, which no digest fits, and with magic and digest before them. What
/// is read is written again as the same configuration.
pub fn fuzz_stored(data: &[u8]) {
    let _ = StoredConfiguration::decode(Bytes::copy_from_slice(data));
    let whole = [MAGIC, &digest(data), data].concat();
    if let Ok(stored) = StoredConfiguration::decode(whole.into()) {
        assert_eq!(StoredConfiguration::decode(stored.encode()).as_ref(), Ok(&stored), "reading undoes writing");
    }
}

//! Shares, by a clock that the tests turn.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cmg_core::limits;
use cmg_core::refusal::RefusalKind;
use cmg_core::tls::certificate::Thumbprint;

use super::*;
use crate::test_site::{address_limits, identity_limits};

fn identity(number: u8) -> Identity {
    Identity::Certificate(Thumbprint([number; 32]))
}

fn identities() -> Identities {
    Identities::new(identity_limits())
}

/// How many of so many requests are let through at this moment.
fn let_through(account: &Arc<Account>, requests: usize, now: Instant) -> usize {
    (0..requests).filter(|_| account.begin(now).is_ok()).count()
}

#[test]
fn an_identity_has_its_burst_and_then_its_rate() {
    let account = identities().account(identity(1));
    let now = Instant::now();
    assert_eq!(let_through(&account, 1000, now), limits::IDENTITY_BURST);
    let refusal = account.begin(now).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::TooManyRequests);
    assert_eq!(let_through(&account, 1000, now + Duration::from_secs(1)), limits::IDENTITY_REQUESTS);
    assert_eq!(let_through(&account, 1000, now + Duration::from_secs(1)), 0);
    let rested = now + Duration::from_secs(60);
    assert_eq!(let_through(&account, 1000, rested), limits::IDENTITY_BURST, "no more is saved than a burst");
}

#[test]
fn an_identity_has_its_number_of_exchanges_at_a_time() {
    let account = identities().account(identity(1));
    let now = Instant::now();
    let mut held: Vec<_> = (0..limits::IDENTITY_EXCHANGES).map(|_| account.begin(now).unwrap()).collect();
    assert_eq!(account.begin(now).unwrap_err().kind, RefusalKind::TooManyRequests);
    held.pop();
    held.push(account.begin(now).unwrap());
    assert!(account.begin(now).is_err());
    drop(held);
    // A request that its rate refuses takes no place either.
    while account.begin(now).is_ok() {}
    let rested = now + Duration::from_secs(60);
    let held: Vec<_> = (0..limits::IDENTITY_EXCHANGES).map(|_| account.begin(rested).unwrap()).collect();
    assert_eq!(held.len(), limits::IDENTITY_EXCHANGES);
}

#[test]
fn one_identitys_flood_is_not_anothers() {
    let identities = identities();
    let (flooder, other) = (identities.account(identity(1)), identities.account(identity(2)));
    let now = Instant::now();
    assert_eq!(let_through(&flooder, 10_000, now), limits::IDENTITY_BURST);
    assert_eq!(let_through(&other, 10, now), 10);
}

/// A flooder that reconnects finds what it left; who is at rest leaves nothing behind.
#[test]
fn an_identity_is_remembered_until_there_is_nothing_to_remember() {
    let identities = identities();
    let now = Instant::now();
    for _ in 0..10_000 {
        let account = identities.account(identity(1));
        let _ = account.begin(now);
        assert_eq!((identities.connected(), identities.remembered()), (1, 1));
    }
    identities.sweep(now);
    assert_eq!((identities.connected(), identities.remembered()), (0, 1));
    assert_eq!(let_through(&identities.account(identity(1)), 10, now), 0, "it would have reset itself");
    for number in 2..200 {
        drop(identities.account(identity(number)).begin(now));
    }
    let kept = identities.account(identity(200));
    identities.sweep(now + Duration::from_secs(60));
    assert_eq!((identities.connected(), identities.remembered()), (1, 1));
    drop(kept);
}

const OFFICE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

fn addresses() -> Addresses {
    Addresses::new(address_limits())
}

fn welcomed(addresses: &Addresses, address: IpAddr, peer: Peer, times: usize, now: Instant) -> usize {
    (0..times).filter(|_| addresses.welcome(address, peer, now) == Welcome::Yes).count()
}

#[test]
fn an_office_may_come_back_whole_and_then_at_its_rate() {
    let (addresses, now) = (addresses(), Instant::now());
    assert_eq!(welcomed(&addresses, OFFICE, Peer::Client, 6000, now), 6000, "as many as an instance is rated for");
    assert_eq!(addresses.welcome(OFFICE, Peer::Client, now), Welcome::NoAndSaySo);
    assert_eq!(addresses.welcome(OFFICE, Peer::Client, now), Welcome::No, "the log has heard of it");
    let later = now + Duration::from_secs(1);
    assert_eq!(welcomed(&addresses, OFFICE, Peer::Client, 6000, later), limits::ADDRESS_HANDSHAKES);
    assert_eq!(addresses.welcome(OFFICE, Peer::ConnectionPoint, now), Welcome::Yes, "its connection points come in");
    let neighbour = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 8));
    assert_eq!(addresses.welcome(neighbour, Peer::Client, now), Welcome::Yes);
}

#[test]
fn one_party_has_one_entry() {
    let (addresses, now) = (addresses(), Instant::now());
    assert_eq!(welcomed(&addresses, OFFICE, Peer::Client, 6000, now), 6000);
    let mapped = IpAddr::V6(Ipv4Addr::new(198, 51, 100, 7).to_ipv6_mapped());
    assert_ne!(addresses.welcome(mapped, Peer::Client, now), Welcome::Yes);
    let host = |network: u16, host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host));
    for number in 0..6000 {
        assert_eq!(addresses.welcome(host(1, number), Peer::Client, now), Welcome::Yes);
    }
    assert_ne!(addresses.welcome(host(1, 9999), Peer::Client, now), Welcome::Yes, "a /64 is one party");
    assert_eq!(addresses.welcome(host(2, 1), Peer::Client, now), Welcome::Yes);
}

#[test]
fn refusals_are_told_then_end_connections_then_stop() {
    let (addresses, now) = (addresses(), Instant::now());
    let mut counts = [0_usize; 3];
    for _ in 0..20_000 {
        match addresses.refuse(OFFICE, now) {
            Manner::Answer => counts[0] += 1,
            Manner::LastAnswer => counts[1] += 1,
            Manner::Silence => counts[2] += 1,
        }
    }
    let burst = limits::ADDRESS_REFUSAL_BURST;
    let far = burst * usize::try_from(limits::ADDRESS_SILENCE_AT).unwrap();
    assert_eq!(counts, [burst, far - burst, 20_000 - far]);
    assert_eq!(addresses.refuse(OFFICE, now + Duration::from_secs(1)), Manner::LastAnswer);
    let rested = now + Duration::from_secs(600);
    assert_eq!(addresses.refuse(OFFICE, rested), Manner::Answer, "it recovers by itself");
    assert_eq!(addresses.welcome(OFFICE, Peer::Client, now), Welcome::Yes, "handshakes are counted apart");
}

/// However many come, the table is as long as it was, and who asked most is the last to be forgotten.
#[test]
fn a_flood_of_addresses_takes_no_memory() {
    let (addresses, now) = (addresses(), Instant::now());
    let places = addresses.places();
    welcomed(&addresses, OFFICE, Peer::Client, limits::ADDRESS_HANDSHAKE_BURST, now);
    for number in 0..100_000_u32 {
        let stranger = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number));
        assert_eq!(addresses.welcome(stranger, Peer::Client, now), Welcome::Yes);
    }
    assert_eq!(addresses.places(), places);
    assert_ne!(addresses.welcome(OFFICE, Peer::Client, now), Welcome::Yes, "it was forgotten");
}

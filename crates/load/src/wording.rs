//! What request a number stands for: the same for the same seed, whoever sends it and when. Its number stands in the
//! path, because gateways log that, and in a field, because roles keep that.

use crate::content::Content;
use crate::expected::Expected;
use crate::kind::{Kind, Mix};
use crate::limits;
use crate::random::Random;
use crate::site::Site;

/// A request before it is sent.
#[derive(Clone, Debug)]
pub struct Worded {
    pub number: u64,
    pub kind: Kind,
    /// `<run>-<number>`.
    pub id: String,
    pub target: String,
    /// A field beside those that every request has.
    pub field: Option<(&'static str, String)>,
    pub body: Option<Content>,
    /// Whether the body's length is told before it.
    pub tells_length: bool,
    pub expected: Expected,
    /// Whether it wants a connection of its own, where that can be had.
    pub fresh: bool,
}

/// What all requests of a run have in common.
pub struct Wording<'a> {
    pub run: &'a str,
    pub seed: u64,
    pub mix: &'a Mix,
    pub site: &'a Site,
    /// Milliseconds that a wait lasts if nobody releases it.
    pub wait: u64,
}

/// One connection in so many is used for one request only.
const FRESH: u64 = 12;

impl Wording<'_> {
    pub fn request(&self, number: u64) -> Worded {
        let mut random = Random::new(self.seed, number);
        let kind = self.mix.pick(&mut random);
        self.of_kind(kind, number, random)
    }

    /// A request of a client that only waits.
    pub fn wait(&self, number: u64) -> Worded {
        self.of_kind(Kind::Wait, number, Random::new(self.seed, number))
    }

    /// A request of a client that holds it at a gate.
    pub fn held(&self, number: u64, kind: Kind) -> Worded {
        self.of_kind(kind, number, Random::new(self.seed, number))
    }

    fn of_kind(&self, kind: Kind, number: u64, mut random: Random) -> Worded {
        let id = format!("{}-{number}", self.run);
        let site = self.site;
        let fresh = random.one_in(FRESH);
        let tells_length = !random.one_in(2);
        let content = Content { seed: random.number() >> 1, length: self.length(kind, &mut random) };
        let (prefix, behaviour) = match kind {
            Kind::Get | Kind::Propfind => (under(&site.management_point, "SMS_MP"), "echo".to_owned()),
            Kind::Head => (under(&site.distribution_point, "SMS_DP_SMSPKG$"), file("static", content)),
            Kind::CcmPost => (under(&site.management_point, "CCM_System"), "echo".to_owned()),
            Kind::Post => (under(&site.management_point, "CCM_System"), "mirror".to_owned()),
            Kind::BitsPost => (under(&site.management_point, "CCM_Incoming"), "echo".to_owned()),
            Kind::Put => (site.open.clone(), "mirror".to_owned()),
            Kind::Download => {
                let framing = if tells_length { "length" } else { "chunked" };
                let prefix = under(&site.distribution_point, "SMS_DP_SMSPKG$");
                (prefix, format!("{}&framing={framing}", file("huge", content)))
            }
            Kind::Range => (under(&site.distribution_point, "SMS_DP_SMSPKG$"), file("static", content)),
            Kind::Slow => {
                let piece = content.length / SLOW_PIECES;
                let asked = format!("slow?pieces={SLOW_PIECES}&piece={piece}&every=20&seed={}", content.seed);
                (site.open.clone(), asked)
            }
            Kind::Poll | Kind::Wait => (under(&site.management_point, "BGB"), self.poll(kind, &mut random)),
            Kind::HeldGet | Kind::HeldPost => {
                (under(&site.management_point, "CCM_System"), format!("poll?key={}", held_gate(self.run)))
            }
            Kind::RoleError => (under(&site.management_point, "SMS_MP"), format!("status/{ROLE_ERROR}?bytes=100")),
            Kind::Unpublished => ("/not-published".to_owned(), "echo".to_owned()),
        };
        let (expected, field) = expected(kind, content, &mut random);
        let body = has_body(kind).then_some(content);
        let target = format!("{prefix}/{id}/_/{behaviour}");
        Worded { number, kind, id, target, field, body, tells_length, expected, fresh }
    }

    fn length(&self, kind: Kind, random: &mut Random) -> u64 {
        let (least, most) = limits::LARGE_BODY;
        match kind {
            Kind::BitsPost | Kind::Put | Kind::Download | Kind::Head | Kind::Range => random.magnitude(least, most),
            Kind::Slow => random.between(1, limits::SMALL_BODY / SLOW_PIECES) * SLOW_PIECES,
            _ => random.between(0, limits::SMALL_BODY),
        }
    }

    fn poll(&self, kind: Kind, random: &mut Random) -> String {
        let (least, most) = limits::POLL;
        match kind {
            Kind::Wait => format!("poll?key={}&within={}", wait_gate(self.run), self.wait),
            _ => format!("poll?key={}&within={}", poll_gate(self.run), random.between(least, most)),
        }
    }
}

/// The gate at which the short waits of a run wait.
pub fn poll_gate(run: &str) -> String {
    format!("load-{run}")
}

/// The gate of those clients that only wait.
pub fn wait_gate(run: &str) -> String {
    format!("load-{run}-wait")
}

/// The gate of those that are held while harm is done.
pub fn held_gate(run: &str) -> String {
    format!("load-{run}-held")
}

const SLOW_PIECES: u64 = 5;
/// What a role says of itself: no promise of ours.
const ROLE_ERROR: u16 = 503;

fn under(role: &str, endpoint: &str) -> String {
    format!("{role}/{endpoint}")
}

fn file(behaviour: &str, content: Content) -> String {
    format!("{behaviour}?bytes={}&seed={}", content.length, content.seed)
}

fn has_body(kind: Kind) -> bool {
    matches!(kind, Kind::Propfind | Kind::CcmPost | Kind::Post | Kind::HeldPost | Kind::BitsPost | Kind::Put)
}

fn expected(kind: Kind, content: Content, random: &mut Random) -> (Expected, Option<(&'static str, String)>) {
    let whole = |status| Expected::Content { status, seed: content.seed, offset: 0, length: content.length };
    match kind {
        Kind::Get | Kind::Propfind | Kind::CcmPost | Kind::BitsPost => (Expected::Echo, None),
        Kind::Post | Kind::Put | Kind::Download | Kind::Slow => (whole(200), None),
        Kind::Head => (Expected::Nothing { status: 200, told_length: Some(content.length) }, None),
        Kind::Range => {
            let first = random.between(0, content.length - 1);
            let last = random.between(first, content.length - 1);
            let part = Expected::Content { status: 206, seed: content.seed, offset: first, length: last - first + 1 };
            (part, Some(("range", format!("bytes={first}-{last}"))))
        }
        Kind::Poll | Kind::Wait | Kind::HeldGet | Kind::HeldPost => (Expected::Released, None),
        Kind::RoleError => (Expected::Content { status: ROLE_ERROR, seed: 0, offset: 0, length: 100 }, None),
        Kind::Unpublished => (Expected::Refusal { status: 404, code: "CMGService_NotPublished" }, None),
    }
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeSet;

    use super::*;

    pub fn site() -> Site {
        Site {
            addresses: Vec::new(),
            service_name: "gateway.example.net".to_owned(),
            service_ca: "ca.pem".into(),
            identities: Vec::new(),
            role_admin: "127.0.0.1:0".parse().unwrap(),
            management_point: "/mp".to_owned(),
            distribution_point: "/dp".to_owned(),
            open: "/open".to_owned(),
        }
    }

    #[test]
    fn a_number_is_one_request_and_its_id_stands_in_the_path() {
        let (site, mix) = (site(), Mix::default());
        let wording = Wording { run: "r", seed: 5, mix: &mix, site: &site, wait: 1000 };
        let mut kinds = BTreeSet::new();
        for number in 0..2000 {
            let worded = wording.request(number);
            assert_eq!(worded.target, wording.request(number).target);
            assert!(worded.target.contains(&format!("/r-{number}/_/")), "{}", worded.target);
            kinds.insert(worded.kind);
        }
        let usual = Kind::ALL.iter().filter(|(kind, ..)| !kind.is_held() && *kind != Kind::Wait);
        assert_eq!(kinds.len(), usual.count(), "every kind but those that wait comes: {kinds:?}");
        assert_eq!(wording.wait(1).kind, Kind::Wait);
    }
}

//! Chains as clients send them, good and bad, and the words for each.

mod restrictions;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512,
    PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize, SanType, SignatureAlgorithm, date_time_ymd,
};

use super::*;
use crate::tls::test_pki::{Authority, Leaf, authority_params, client_params, today};

/// A site with one root and one uploaded intermediate.
struct Site {
    root: Authority,
    uploaded: Authority,
}

impl Site {
    fn new() -> Self {
        let root = Authority::root("Site Root");
        let uploaded = root.authority("Site Issuing CA");
        Self { root, uploaded }
    }

    fn judge(&self, chain: &[CertificateDer<'static>]) -> Result<VerifiedChain, ChainFault> {
        judge(&[&self.root], &[&self.uploaded], chain)
    }
}

fn judge(
    roots: &[&Authority],
    uploaded: &[&Authority],
    chain: &[CertificateDer<'static>],
) -> Result<VerifiedChain, ChainFault> {
    let roots: Vec<_> = roots.iter().map(|root| root.der.clone()).collect();
    let uploaded = uploaded.iter().map(|uploaded| uploaded.der.clone()).collect();
    ClientChains::new(&roots, uploaded).unwrap().judge(chain, today())
}

/// What the verdict must say.
enum Says {
    Trusted,
    NotTrusted(&'static str),
    Expired(&'static str),
    NotAllowed(&'static str),
    Unreadable(&'static str),
}
use Says::{Expired, NotAllowed, NotTrusted, Trusted, Unreadable};

#[track_caller]
fn check(name: &str, verdict: Result<VerifiedChain, ChainFault>, says: Says) {
    let words = verdict.as_ref().map_or_else(ToString::to_string, |_| String::new());
    let expected = match (&says, &verdict) {
        (Trusted, Ok(_)) => return,
        (NotTrusted(part), Err(ChainFault::NotTrusted(_)))
        | (Expired(part), Err(ChainFault::Expired(_)))
        | (NotAllowed(part), Err(ChainFault::NotAllowed(_)))
        | (Unreadable(part), Err(ChainFault::Unreadable(_))) => part,
        _ => panic!("{name}: {verdict:?}"),
    };
    assert!(words.contains(expected), "{name}: {words}");
}

fn edited(edit: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = client_params("PC-1");
    edit(&mut params);
    params
}

fn edited_authority(name: &str, edit: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = authority_params(name);
    edit(&mut params);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

#[test]
fn paths_are_built_from_what_was_uploaded_and_sent() {
    let site = Site::new();
    let by_root = site.root.leaf(client_params("PC-1")).der;
    let by_uploaded = site.uploaded.leaf(client_params("PC-2")).der;
    let sent = site.uploaded.authority("Branch CA");
    let by_sent = sent.leaf(client_params("PC-3")).der;
    let foreign = Authority::root("Other Root");

    check("leaf of the root", site.judge(std::slice::from_ref(&by_root)), Trusted);
    check("leaf alone, intermediate uploaded", site.judge(std::slice::from_ref(&by_uploaded)), Trusted);
    check("intermediate sent as well", site.judge(&[by_uploaded.clone(), site.uploaded.der.clone()]), Trusted);
    check(
        "root sent as well",
        site.judge(&[by_uploaded.clone(), site.uploaded.der.clone(), site.root.der.clone()]),
        Trusted,
    );
    check("one uploaded, one sent", site.judge(&[by_sent.clone(), sent.der.clone()]), Trusted);
    check(
        "sent in disorder with a stranger",
        site.judge(&[by_sent.clone(), foreign.der.clone(), sent.der.clone()]),
        Trusted,
    );
    check(
        "missing intermediate",
        site.judge(std::slice::from_ref(&by_sent)),
        NotTrusted("the client's certificate `CN=PC-3`: its issuer `CN=Branch CA` is neither"),
    );
    check(
        "the intermediate was uploaded but its root was not",
        judge(&[&foreign], &[&site.uploaded], std::slice::from_ref(&by_uploaded)),
        NotTrusted("the uploaded intermediate `CN=Site Issuing CA`: its issuer `CN=Site Root` is neither"),
    );
    check(
        "the root is only sent",
        judge(&[&foreign], &[&site.uploaded], &[by_uploaded, site.root.der.clone()]),
        NotTrusted("certificate 2 of the client's chain `CN=Site Root`: it is self-signed and not a root of the site"),
    );
    check(
        "no certificate",
        site.judge(&[])
            .map_err(|fault| {
                assert_eq!(fault, ChainFault::NoCertificate);
                fault
            })
            .or(site.judge(&[by_root])),
        Trusted,
    );
}

#[test]
fn strangers_are_not_trusted() {
    let site = Site::new();
    let foreign = Authority::root("Other Root");
    let forged = Authority::root("Site Root");
    let forged_uploaded = forged.authority("Site Issuing CA");
    let self_signed = Leaf::self_signed(client_params("PC-1")).der;

    check("self-signed", site.judge(&[self_signed]), NotTrusted("`CN=PC-1`: it is self-signed and not a root"));
    check(
        "of another CA",
        site.judge(&[foreign.leaf(client_params("PC-1")).der]),
        NotTrusted("its issuer `CN=Other Root`"),
    );
    check(
        "of a forged root with the same name",
        site.judge(&[forged.leaf(client_params("PC-1")).der, forged.der.clone()]),
        NotTrusted("it was not signed by the key of the `CN=Site Root` that the site trusts"),
    );
    check(
        "of a forged intermediate below a forged root",
        site.judge(&[forged_uploaded.leaf(client_params("PC-1")).der, forged_uploaded.der.clone(), forged.der.clone()]),
        NotTrusted("was not signed by the key of the `CN=Site Root`"),
    );
    let expired_stranger = edited(|params| params.not_after = date_time_ymd(2020, 1, 1));
    check(
        "expired and of another CA",
        site.judge(&[foreign.leaf(expired_stranger).der]),
        NotTrusted("`CN=Other Root`"),
    );
}

#[test]
fn time_is_judged_along_the_whole_path() {
    let site = Site::new();
    let past = date_time_ymd(2026, 1, 1);
    let future = date_time_ymd(2030, 1, 1);
    let leaf = |authority: &Authority| authority.leaf(client_params("PC-1")).der;

    let expired = site.uploaded.leaf(edited(|params| params.not_after = past)).der;
    check(
        "expired leaf",
        site.judge(&[expired]),
        Expired("the client's certificate `CN=PC-1`: it expired on 2026-01-01 00:00:00 UTC"),
    );
    let early = site.uploaded.leaf(edited(|params| params.not_before = future)).der;
    check("leaf not yet valid", site.judge(&[early]), Expired("`CN=PC-1`: it is valid only from 2030-01-01"));
    let old = site.root.authority_of(edited_authority("Old CA", |params| params.not_after = past), key());
    check(
        "expired intermediate, sent",
        site.judge(&[leaf(&old), old.der.clone()]),
        Expired("certificate 2 of the client's chain `CN=Old CA`: it expired"),
    );
    check(
        "expired intermediate, uploaded",
        judge(&[&site.root], &[&old], &[leaf(&old)]),
        Expired("the uploaded intermediate `CN=Old CA`"),
    );
    let old_root = Authority::root_of(edited_authority("Old Root", |params| params.not_after = past), key());
    check("expired root", judge(&[&old_root], &[], &[leaf(&old_root)]), Expired("the root `CN=Old Root`: it expired"));
    let early_root = Authority::root_of(edited_authority("Early Root", |params| params.not_before = future), key());
    check(
        "root not yet valid",
        judge(&[&early_root], &[], &[leaf(&early_root)]),
        Expired("the root `CN=Early Root`: it is valid only from"),
    );
    let twice = old.leaf(edited(|params| params.not_after = past)).der;
    check("expired leaf of an expired intermediate", site.judge(&[twice, old.der.clone()]), Expired("expired"));
    let weak = old.leaf(edited(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])).der;
    check(
        "expired intermediate, and a leaf that is not for clients",
        site.judge(&[weak, old.der.clone()]),
        NotAllowed("client authentication"),
    );
}

#[test]
fn an_expired_intermediate_does_not_hide_a_valid_one() {
    let root = Authority::root("Site Root");
    let pair = KeyPair::generate().unwrap();
    let same_key = KeyPair::try_from(pair.serialize_der()).unwrap();
    let old =
        root.authority_of(edited_authority("Issuing CA", |params| params.not_after = date_time_ymd(2026, 1, 1)), pair);
    let renewed = root.authority_of(authority_params("Issuing CA"), same_key);
    let leaf = old.leaf(client_params("PC-1")).der;
    check("renewed with the same key", judge(&[&root], &[&old, &renewed], &[leaf]), Trusted);
}

#[test]
fn a_root_of_the_same_key_takes_over_from_an_expired_one() {
    let pair = KeyPair::generate().unwrap();
    let same_key = KeyPair::try_from(pair.serialize_der()).unwrap();
    let old =
        Authority::root_of(edited_authority("Site Root", |params| params.not_after = date_time_ymd(2026, 1, 1)), pair);
    let renewed = Authority::root_of(authority_params("Site Root"), same_key);
    check("expired and renewed", judge(&[&old, &renewed], &[], &[old.leaf(client_params("PC-1")).der]), Trusted);
}

#[test]
fn number_and_size_are_capped_before_anything_is_parsed() {
    let site = Site::new();
    let leaf = site.root.leaf(client_params("PC-1")).der;
    let junk = CertificateDer::from(vec![0; 100]);
    let chain: Vec<_> = std::iter::once(leaf.clone()).chain(std::iter::repeat_n(junk.clone(), 40)).collect();
    assert_eq!(site.judge(&chain), Err(ChainFault::TooMany { sent: 41 }));
    check(
        "as many as allowed, junk among them",
        site.judge(chain.get(..limits::CLIENT_CERTIFICATES).unwrap()),
        Trusted,
    );
    let large = CertificateDer::from(vec![0; limits::CLIENT_CERTIFICATE_BYTES]);
    assert!(matches!(site.judge(&[leaf, large]), Err(ChainFault::TooLarge { .. })));
    check("junk as a leaf", site.judge(&[junk]), Unreadable("(unreadable certificate)"));
}

#[test]
fn many_intermediates_of_one_name_are_given_up_on() {
    let site = Site::new();
    let many: Vec<_> = (0..limits::CLIENT_CERTIFICATES - 1).map(|_| Authority::root("Loop")).collect();
    let leaf = Authority::root("Loop").leaf(client_params("PC-1")).der;
    let chain: Vec<_> = std::iter::once(leaf).chain(many.iter().map(|authority| authority.der.clone())).collect();
    check("all of one name", site.judge(&chain), NotTrusted(""));
}

#[test]
fn the_verdict_holds_until_the_first_certificate_expires() {
    let root =
        Authority::root_of(edited_authority("Root", |params| params.not_after = date_time_ymd(2040, 1, 1)), key());
    let sub = root.authority_of(edited_authority("Sub", |params| params.not_after = date_time_ymd(2028, 1, 1)), key());
    let leaf = sub.leaf(edited(|params| params.not_after = date_time_ymd(2035, 1, 1))).der;
    let verdict = judge(&[&root], &[&sub], std::slice::from_ref(&leaf)).unwrap();
    assert_eq!(certificate::date_text(verdict.not_after), "2028-01-01 00:00:00 UTC");
    assert_eq!(verdict.thumbprint, Thumbprint::of(&leaf));
    assert_eq!(verdict.subject, "CN=PC-1");
}

#[test]
fn roots_and_intermediates_are_checked_when_they_are_loaded() {
    let site = Site::new();
    let roots = [
        site.root.leaf(client_params("No CA")).der,
        CertificateDer::from(b"junk".to_vec()),
        Authority::root_of(
            edited_authority("No Sign", |params| params.key_usages = vec![KeyUsagePurpose::CrlSign]),
            key(),
        )
        .der,
        site.root.der.clone(),
    ];
    let faults = ClientChains::new(&roots, vec![roots[0].clone()]).err().unwrap();
    let words: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), 4, "{words:?}");
    assert!(words[0].starts_with("root 1 `CN=No CA`: it is not a CA certificate"), "{words:?}");
    assert!(words[1].starts_with("root 2 `(unreadable certificate)`"), "{words:?}");
    assert!(words[2].contains("root 3 `CN=No Sign`: its key usage lacks keyCertSign"), "{words:?}");
    assert!(words[3].starts_with("intermediate 1 `CN=No CA`"), "{words:?}");
}

#[test]
fn subjects_cannot_forge_log_lines() {
    let site = Site::new();
    let leaf = Authority::root("Evil\r\nINFO all is well").leaf(client_params("PC\u{1b}[31m")).der;
    let words = site.judge(&[leaf]).unwrap_err().to_string();
    assert!(!words.contains(['\r', '\n', '\u{1b}']), "{words}");
}

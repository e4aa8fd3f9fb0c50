//! What certificates of a sound path may not be used for.

use super::*;

#[test]
fn use_is_restricted() {
    use ExtendedKeyUsagePurpose::{ClientAuth, CodeSigning, ServerAuth};
    let site = Site::new();
    let leaf = |edit: &dyn Fn(&mut CertificateParams)| [site.uploaded.leaf(edited(edit)).der];

    check(
        "no extended key usage: anything goes",
        site.judge(&leaf(&|params| params.extended_key_usages.clear())),
        Trusted,
    );
    check(
        "client and server",
        site.judge(&leaf(&|params| params.extended_key_usages = vec![ServerAuth, ClientAuth])),
        Trusted,
    );
    check(
        "server only",
        site.judge(&leaf(&|params| params.extended_key_usages = vec![ServerAuth])),
        NotAllowed("`CN=PC-1`: its extended key usage lacks client authentication (it has server authentication)"),
    );
    check(
        "code signing only",
        site.judge(&leaf(&|params| params.extended_key_usages = vec![CodeSigning])),
        NotAllowed("lacks client authentication"),
    );
    check("no key usage: anything goes", site.judge(&leaf(&|params| params.key_usages.clear())), Trusted);
    check(
        "key usage without digitalSignature",
        site.judge(&leaf(&|params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment])),
        NotAllowed("the client's certificate `CN=PC-1`: its key usage lacks digitalSignature"),
    );
    let garbled = CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![0x04, 0x01, 0x80]);
    let garble = move |params: &mut CertificateParams| {
        params.key_usages.clear();
        params.custom_extensions.push(garbled.clone());
    };
    check("garbled key usage", site.judge(&leaf(&garble)), NotAllowed("its key usage cannot be read"));
    let ca = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    check("a CA as client", site.judge(&leaf(&ca)), NotAllowed("it is a CA certificate"));
    let policies =
        CustomExtension::from_oid_content(&[2, 5, 29, 32], vec![0x30, 0x06, 0x30, 0x04, 0x06, 0x02, 0x2a, 0x03]);
    let critical = move |params: &mut CertificateParams| {
        let mut policies = policies.clone();
        policies.set_criticality(true);
        params.custom_extensions.push(policies);
    };
    check(
        "critical certificate policies",
        site.judge(&leaf(&critical)),
        NotAllowed("its critical extension 2.5.29.32 (certificate policies)"),
    );
}

#[test]
fn authorities_are_restricted() {
    let site = Site::new();
    let below = |params: CertificateParams| {
        let authority = site.root.authority_of(params, key());
        [authority.leaf(client_params("PC-1")).der, authority.der.clone()]
    };
    let path_length = |length| IsCa::Ca(BasicConstraints::Constrained(length));

    check(
        "server-only intermediate",
        site.judge(&below(edited_authority("Web CA", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]
        }))),
        NotAllowed("`CN=Web CA`: its extended key usage lacks client authentication"),
    );
    check(
        "intermediate without keyCertSign",
        site.judge(&below(edited_authority("Sub", |params| params.key_usages = vec![KeyUsagePurpose::CrlSign]))),
        NotAllowed("certificate 2 of the client's chain `CN=Sub`: its key usage lacks keyCertSign"),
    );
    check(
        "intermediate without key usage",
        site.judge(&below(edited_authority("Sub", |params| params.key_usages.clear()))),
        Trusted,
    );
    check(
        "intermediate that is no CA",
        site.judge(&below(edited_authority("Not a CA", |params| params.is_ca = IsCa::ExplicitNoCa))),
        NotAllowed("`CN=Not a CA`: it issued a certificate but is not a CA"),
    );

    let short = site.root.authority_of(edited_authority("Short", |params| params.is_ca = path_length(0)), key());
    let too_deep = short.authority("Too Deep");
    check(
        "path length 0 and no CA below",
        site.judge(&[short.leaf(client_params("PC-1")).der, short.der.clone()]),
        Trusted,
    );
    check(
        "path length 0 and a CA below",
        site.judge(&[too_deep.leaf(client_params("PC-1")).der, too_deep.der.clone(), short.der.clone()]),
        NotAllowed("path length"),
    );

    let short_root = Authority::root_of(edited_authority("Short Root", |params| params.is_ca = path_length(0)), key());
    let sub = short_root.authority("Sub");
    check(
        "path length of the root kept",
        judge(&[&short_root], &[], &[short_root.leaf(client_params("PC-1")).der]),
        Trusted,
    );
    check(
        "path length of the root broken",
        judge(&[&short_root], &[&sub], &[sub.leaf(client_params("PC-1")).der]),
        NotAllowed("the root `CN=Short Root`: its path length allows 0 intermediate CAs below it, the chain has 1"),
    );
}

#[test]
fn name_constraints_hold() {
    let site = Site::new();
    let permits = |subtree| Some(NameConstraints { permitted_subtrees: vec![subtree], excluded_subtrees: vec![] });
    let corp = edited_authority("Corp CA", |params| {
        params.name_constraints = permits(GeneralSubtree::DnsName("corp.example".into()))
    });
    let corp = site.root.authority_of(corp, key());
    let leaf = |name: &str| {
        let params = edited(|params| params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())]);
        [corp.leaf(params).der, corp.der.clone()]
    };
    check("permitted name", site.judge(&leaf("pc1.corp.example")), Trusted);
    check("other name", site.judge(&leaf("pc1.other.example")), NotAllowed("name constraints"));

    let mut directory = rcgen::DistinguishedName::new();
    directory.push(DnType::OrganizationName, "Corp");
    let by_directory = edited_authority("Dir CA", |params| {
        params.name_constraints = permits(GeneralSubtree::DirectoryName(directory))
    });
    let by_directory = site.root.authority_of(by_directory, key());
    check(
        "constraint on directory names",
        site.judge(&[by_directory.leaf(client_params("PC-1")).der, by_directory.der.clone()]),
        NotAllowed("directory names"),
    );
}

/// A public key without its private half: 1024 bits, which no library here would make.
struct ShortRsa(Vec<u8>);

impl PublicKeyData for ShortRsa {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

fn short_rsa() -> ShortRsa {
    let mut modulus = vec![0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00];
    modulus.extend([0xc7; 128]);
    modulus.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
    ShortRsa(modulus)
}

#[test]
fn keys_are_strong() {
    let site = Site::new();
    for kind in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ECDSA_P521_SHA512, &PKCS_ED25519] {
        let authority = site.root.authority_of(authority_params("Sub"), KeyPair::generate_for(kind).unwrap());
        let leaf = authority.leaf_of_kind(client_params("PC-1"), kind).der;
        check(&format!("{kind:?}"), site.judge(&[leaf, authority.der.clone()]), Trusted);
    }
    for size in [RsaKeySize::_2048, RsaKeySize::_4096] {
        let rsa = || KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).unwrap();
        let authority = site.root.authority_of(authority_params("RSA CA"), rsa());
        let leaf = authority.leaf_with(client_params("PC-1"), KeyPair::generate().unwrap()).der;
        check("RSA authority", site.judge(&[leaf, authority.der.clone()]), Trusted);
        if matches!(size, RsaKeySize::_2048) {
            check("RSA leaf", site.judge(&[site.root.leaf_with(client_params("PC-1"), rsa()).der]), Trusted);
        }
    }
    let short = client_params("PC-1").signed_by(&short_rsa(), site.root.issuer()).unwrap().der().clone();
    check(
        "RSA of 1024 bits",
        site.judge(&[short]),
        NotAllowed("its RSA key has 1024 bits; at least 2048 are required"),
    );
}

//! External targets and the internal ones that they become.

use super::*;
use proptest::prelude::*;

const SITE: &str = r#"
version = 1
site.code = "PS1"
roles = [
    { id = 5, kind = "fallback-status-point", internal_url = "https://fsp", enabled = true },
    { id = 6, kind = "custom", internal_url = "https://bench:8443", custom = [
        { name = "Bench", external_prefix = "/bench/", internal_path = "/", methods = ["GET"], authentication = "anonymous", allow_anonymous = true },
        { name = "Deep", external_prefix = "/bench/deep/", internal_path = "/x/y/", methods = ["GET"], encoded = "relaxed", authentication = "anonymous", allow_anonymous = true },
        { name = "Kept", external_prefix = "/kept/", methods = ["GET"], authentication = "anonymous", allow_anonymous = true },
        { name = "Plain", internal_path = "/plain-inside/", methods = ["GET"], authentication = "anonymous", allow_anonymous = true },
    ] },
    { id = 7, kind = "custom", internal_url = "https://off", enabled = false, custom = [
        { name = "Off", external_prefix = "/off/", methods = ["GET"], authentication = "anonymous", allow_anonymous = true },
    ] },
]
"#;

fn mapping() -> UrlMapping {
    UrlMapping::new(&SiteConfiguration::parse(SITE, None, "site.toml").unwrap_or_else(|problems| panic!("{problems}")))
}

fn map(target: &str) -> Result<String, NotMapped> {
    let target = RequestTarget::parse(Bytes::from(target.to_owned())).unwrap();
    let mapped = mapping().map(&target)?;
    let host = String::from_utf8_lossy(&mapped.host).into_owned();
    Ok(format!("{host}{} {}", String::from_utf8_lossy(&mapped.target), mapped.endpoint.name))
}

#[test]
fn prefix_is_swapped_for_prefix_and_the_rest_stays() {
    for (external, internal) in [
        ("/CCM_Proxy_MutualAuth/5/SMS_FSP", "fsp/SMS_FSP SMS_FSP"),
        ("/CCM_Proxy_ServerAuth/5/sms_FSP/{4F2C}/a$?b=%2e&/c", "fsp/sms_FSP/{4F2C}/a$?b=%2e&/c SMS_FSP"),
        ("/bench", "bench:8443/ Bench"),
        ("/bench?q", "bench:8443/?q Bench"),
        ("/bench/", "bench:8443/ Bench"),
        ("/BENCH/sccm?/file", "bench:8443/sccm?/file Bench"),
        ("/bench/deep", "bench:8443/x/y Deep"),
        ("/bench/deep/?MPLIST", "bench:8443/x/y/?MPLIST Deep"),
        ("/bench/deep/a%2520b", "bench:8443/x/y/a%2520b Deep"),
        ("/Kept/a?", "bench:8443/Kept/a? Kept"),
        ("/CCM_Proxy_MutualAuth/6/plain/a", "bench:8443/plain-inside/a Plain"),
    ] {
        assert_eq!(map(external).as_deref(), Ok(internal), "{external}");
    }
}

#[test]
fn what_is_not_published_or_not_legal_is_not_mapped() {
    for external in ["/", "/off/", "/CCM_Proxy_MutualAuth/5/SMS_MP", "/CCM_Proxy_MutualAuth/6/Bench", "/bench%2f"] {
        assert!(matches!(map(external), Err(NotMapped::Nothing)), "{external}");
    }
    assert!(matches!(map("/bench/a%2520b"), Err(NotMapped::Encoding(_))), "{:?}", map("/bench/a%2520b"));
}

#[test]
fn behind_the_token_prefix_a_certificate_endpoint_is_not_there() {
    let text = SITE.replace(r#"authentication = "anonymous", allow_anonymous = true"#, "");
    let roots = tempfile::tempdir().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
    std::fs::write(roots.path().join("root.pem"), root).unwrap();
    let text = format!("{text}\n[client_trust]\nroots = [\"root.pem\"]\n").replace(", }", " }").replace(",  }", " }");
    let site = SiteConfiguration::parse(&text, Some(roots.path()), "site.toml").unwrap_or_else(|p| panic!("{p}"));
    let mapping = UrlMapping::new(&site);
    let found = |target: &str| mapping.map(&RequestTarget::parse(Bytes::from(target.to_owned())).unwrap()).is_ok();
    assert!(found("/CCM_Proxy_MutualAuth/6/Plain"));
    assert!(!found("/CCM_Proxy_ServerAuth/6/Plain"));
}

proptest! {
    #[test]
    fn rest_and_query_are_byte_identical(rest in "(/[a-zA-Z0-9{}$@_-]{1,8}){0,3}/?", query in "(\\?[!-\"$-~]{0,16})?") {
        let expected = if rest.is_empty() { format!("/{query}") } else { format!("{rest}{query}") };
        prop_assert_eq!(map(&format!("/Bench{rest}{query}")), Ok(format!("bench:8443{expected} Bench")));
        let kept = format!("/CCM_Proxy_MutualAuth/5/sms_fsp{rest}{query}");
        prop_assert_eq!(map(&kept), Ok(format!("fsp/sms_fsp{rest}{query} SMS_FSP")));
    }
}

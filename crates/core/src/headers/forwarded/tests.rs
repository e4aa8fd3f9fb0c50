//! The fields that we set, value by value.

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef";

fn forwarded(certificate: Option<CertificateFields>) -> Forwarded {
    let identity = ClientIdentity { method: "certificate", thumbprint: Some("AB12"), subject: Some("CN=PC1") };
    Forwarded {
        client: identity.field_value(),
        request_id: RequestId::parse(ID).unwrap(),
        address: Bytes::from_static(b"192.0.2.1"),
        host: Bytes::from_static(b"gw.example.net"),
        certificate,
    }
}

fn lines(fields: &Fields) -> Vec<String> {
    let line = |field: &Field| format!("{}: {}", field.name.escape_ascii(), field.value.escape_ascii());
    fields.iter().map(line).collect()
}

#[test]
fn what_a_role_sees() {
    let mut fields: Fields = [Field::new("Range", "bytes=0-1")].into_iter().collect();
    let certificate = CertificateFields::chain(b"leaf", [&b"issuer"[..]]);
    assert_eq!(add_request_fields(&mut fields, &forwarded(Some(certificate)), 100, 16_000), LeftOut::Nothing);
    let expected = [
        "Range: bytes=0-1",
        r#"X-CMG-Client: method=certificate; thumbprint=AB12; subject=\"CN=PC1\""#,
        "X-CMG-Request-Id: 0123456789abcdef0123456789abcdef",
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: gw.example.net",
        "Client-Cert: :bGVhZg==:",
        "Client-Cert-Chain: :aXNzdWVy:",
    ];
    assert_eq!(lines(&fields), expected);
}

#[test]
fn nothing_of_ours_survives_cleaning() {
    let mut fields = Fields::new();
    let certificate = CertificateFields::chain(b"leaf", [&b"issuer"[..]]);
    let _ = add_request_fields(&mut fields, &forwarded(Some(certificate)), 0, 16_000);
    crate::headers::clean_request(&mut fields);
    assert!(fields.is_empty(), "{:?}", lines(&fields));
}

#[test]
fn a_certificate_that_does_not_fit_is_left_out() {
    let count = |max_head: usize| {
        let mut fields = Fields::new();
        let certificate = CertificateFields::chain(&[0; 300], [&[0; 300][..]]);
        let left_out = add_request_fields(&mut fields, &forwarded(Some(certificate)), 100, max_head);
        assert!(fields.wire_length() + 100 <= max_head || fields.len() == 5);
        (left_out, fields.len())
    };
    let bare = {
        let mut fields = Fields::new();
        assert_eq!(add_request_fields(&mut fields, &forwarded(None), 100, 0), LeftOut::Nothing);
        fields.wire_length() + 100
    };
    let leaf = "Client-Cert: ".len() + 402 + 2;
    let chain = "Client-Cert-Chain: ".len() + 402 + 2;
    assert_eq!(count(0), (LeftOut::Certificate, 5));
    assert_eq!(count(bare + leaf - 1), (LeftOut::Certificate, 5));
    assert_eq!(count(bare + leaf), (LeftOut::CertificateChain, 6));
    assert_eq!(count(bare + leaf + chain - 1), (LeftOut::CertificateChain, 6));
    assert_eq!(count(bare + leaf + chain), (LeftOut::Nothing, 7));
}

#[test]
fn a_subject_cannot_break_out_of_its_field() {
    let cases = [
        (r#"CN=a"b\c"#, r#"method=token; subject="CN=a\"b\\c""#),
        ("CN=a\r\nX-CMG-Client: root", r#"method=token; subject="CN=a%0D%0AX-CMG-Client: root""#),
        ("CN=100%\0\u{7f}", r#"method=token; subject="CN=100%25%00%7F""#),
        ("CN=\u{e4}", r#"method=token; subject="CN=%C3%A4""#),
        ("", r#"method=token; subject="""#),
    ];
    for (subject, expected) in cases {
        let value = ClientIdentity { method: "token", thumbprint: None, subject: Some(subject) }.field_value();
        assert_eq!(value, expected);
        assert!(crate::http1::valid_field(b"X-CMG-Client", &value));
    }
    let forged = ClientIdentity { method: "none\r\nA: b", thumbprint: Some("x; subject=\"y\""), subject: None };
    assert_eq!(forged.field_value(), "method=noneAb; thumbprint=xsubjecty");
}

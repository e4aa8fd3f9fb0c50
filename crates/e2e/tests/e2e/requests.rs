//! What a client sends arrives at the role as it was sent: targets, verbs, bodies, fields (G-09, G-12, G-14).

use anyhow::{Context, Result};
use cmg_client::{Request, RequestBody};
use cmg_e2e::pki::{Authority, Leaf};
use cmg_e2e::raw_client::RawConnection;
use cmg_e2e::stack::{CUSTOM, DISTRIBUTION_POINT, MANAGEMENT_POINT, SERVICE_NAME, SOFTWARE_UPDATE_POINT};
use cmg_e2e::{Stack, mp};

use crate::expect::{ask, echoed, echoed_whole, fields_at_role, request};

#[tokio::test]
async fn raw_targets_arrive_byte_for_byte() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    let rests = [
        "CCM_Incoming/{4F2C51B7-0C2D-4B1E-9F53-0D3C6F6E7A11}",
        "SMS_MP/.sms_aut?MPLIST",
        "SMS_MP/.sms_aut?MPLIST2&PS1",
        "SMS_MP/.sms_pol?{a5c2}.1_00",
        "CCM_Client/sccm?/file",
        "CCM_Client/a%20b%7Ec%2ed",
        "CCM_Client/A%C3%A9/~x!$&'()*+,=:@",
        "CCM_System/request?a=%2f%5c%00/../&b={}",
        "SMS_MP/?",
        "SMS_MP",
        "sms_mp/lower",
        "BGB/handler.ashx?RequestType=LogIn",
    ];
    for rest in rests {
        let answer = connection.exchange(request("GET", &mp(rest), &[])).await?;
        let seen = echoed(&answer).with_context(|| rest)?;
        assert_eq!(seen["target"], format!("/{rest}"));
    }
    // What the mock's own HTTP library would not read, its ledger still sees.
    let odd = "SMS_MP/_/status/200?<odd>&^`|\"\\";
    assert_eq!(connection.exchange(request("GET", &mp(odd), &[])).await?.status, 200);
    assert_eq!(stack.wait_at_role("odd", "ended", 1).await?[0]["target"], format!("/{odd}"));
    drop(connection);
    stack.finish().await
}

#[tokio::test]
async fn prefix_and_endpoint_match_in_any_case() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for prefix in ["CCM_PROXY_MUTUALAUTH", "ccm_proxy_mutualauth", "CCM_Proxy_MutualAuth"] {
        let answer = ask(&stack, "GET", &format!("/{prefix}/{MANAGEMENT_POINT}/sMs_Mp/KeepsCase"), &[]).await?;
        assert_eq!(echoed(&answer)?["target"], "/sMs_Mp/KeepsCase");
    }
    let absolute = format!("https://{SERVICE_NAME}{}", mp("SMS_MP/absolute"));
    assert_eq!(echoed(&ask(&stack, "GET", &absolute, &[]).await?)?["target"], "/SMS_MP/absolute");
    stack.finish().await
}

#[tokio::test]
async fn every_kind_of_role_answers_under_its_own_paths() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let paths = [
        (
            format!("/CCM_Proxy_MutualAuth/{SOFTWARE_UPDATE_POINT}/ClientWebService/client.asmx"),
            "/ClientWebService/client.asmx",
        ),
        (
            format!("/CCM_Proxy_MutualAuth/{DISTRIBUTION_POINT}/SMS_DP_SMSPKG$/PS100001/a.cab"),
            "/SMS_DP_SMSPKG$/PS100001/a.cab",
        ),
        ("/open/a/b".to_owned(), "/open/a/b"),
    ];
    for (external, internal) in paths {
        assert_eq!(echoed(&ask(&stack, "GET", &external, &[]).await?)?["target"], internal);
    }
    let hidden = format!("/CCM_Proxy_MutualAuth/{SOFTWARE_UPDATE_POINT}/ServerSyncWebService/x");
    assert_eq!(ask(&stack, "GET", &hidden, &[]).await?.status, 404);
    assert_eq!(ask(&stack, "GET", &format!("/CCM_Proxy_MutualAuth/{CUSTOM}/other"), &[]).await?.status, 404);
    stack.finish().await
}

#[tokio::test]
async fn an_anonymous_endpoint_needs_no_certificate_and_relaxed_names_pass() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let client = stack.client_without_certificate()?;
    let mut connection = RawConnection::open(&client).await?;
    for target in ["/files/a.txt", "/files/100%2525.txt", "/files/a%2Fb.txt"] {
        assert_eq!(echoed(&connection.exchange(request("GET", target, &[])).await?)?["target"], target);
    }
    let traversal = connection.exchange(request("GET", "/files/a%2F..%2Fb", &[])).await?;
    assert_eq!(traversal.status, 400);
    drop(connection);
    stack.finish().await
}

#[tokio::test]
async fn verbs_of_the_products_arrive_with_their_bodies() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    for method in ["POST", "CCM_POST", "BITS_POST", "PROPFIND"] {
        let whole =
            request(method, &mp("CCM_System/request"), &["Content-Length: 5", "Content-Type: text/plain"]) + "hello";
        connection.write(whole).await?;
        let seen = echoed(&connection.answer(method).await?)?;
        assert_eq!(
            (&seen["method"], &seen["body_length"], &seen["body_complete"]),
            (&method.into(), &5.into(), &true.into())
        );
        let chunked = request(method, &mp("CCM_System/request"), &["Transfer-Encoding: chunked"]);
        connection.write(chunked + "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n").await?;
        let seen = echoed(&connection.answer(method).await?)?;
        assert_eq!((&seen["method"], &seen["body_length"]), (&method.into(), &5.into()));
        assert_eq!(seen["body_sha256"], "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    }
    drop(connection);
    stack.finish().await
}

#[tokio::test]
async fn a_body_streams_to_the_role_while_it_is_written() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for (number, client) in [stack.client()?, stack.http2_client()?].into_iter().enumerate() {
        let mut connection = client.connect().await?;
        let (writer, body) = RequestBody::streamed(None);
        let target = mp(&format!("CCM_Incoming/streamed-{number}"));
        let upload = Request::new("POST", &target).body(body);
        let role = stack.role_admin()?;
        let writing = async {
            for sent in 1..=3_u64 {
                assert!(writer.write(vec![b'u'; 1000]).await);
                let path = format!("/_ledger/wait?target=streamed-{number}&body={}&within=60000", sent * 1000);
                role.json(&path).await?;
            }
            drop(writer);
            anyhow::Ok(())
        };
        let (reply, written) = tokio::join!(connection.send(upload), writing);
        written?;
        assert_eq!(echoed_whole(&reply?.whole().await?)?["body_length"], 3000);
    }
    stack.finish().await
}

#[tokio::test]
async fn a_body_is_asked_for_only_after_admission() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    let expecting = ["Content-Length: 5", "Expect: 100-continue"];
    connection.write(request("POST", &mp("CCM_Incoming/expected"), &expecting)).await?;
    assert_eq!(connection.head().await?.status, 100);
    connection.write("hello").await?;
    let seen = echoed(&connection.answer("POST").await?)?;
    assert_eq!(seen["body_length"], 5);
    assert_eq!(fields_at_role(&seen, "expect"), Vec::<String>::new());
    connection.write(request("POST", &mp("Secrets/x"), &expecting)).await?;
    assert_eq!(connection.head().await?.status, 404);
    drop(connection);
    stack.finish().await
}

#[tokio::test]
async fn trailers_of_a_request_arrive() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    connection
        .write(request("POST", &mp("CCM_Incoming/trailers"), &["Transfer-Encoding: chunked", "Trailer: X-Test-Sum"]))
        .await?;
    let answer = connection.exchange("3\r\nabc\r\n0\r\nX-Test-Sum: 6\r\n\r\n").await?;
    let id = answer.field("x-cmg-request-id").unwrap().to_owned();
    echoed(&answer)?;
    let seen = stack.at_role(&id).await?;
    assert!(seen["trailers"].to_string().contains("6"), "{seen}");
    drop(connection);
    stack.finish().await
}

#[tokio::test]
async fn forged_fields_are_removed_and_ours_are_set() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let forged = [
        "X-CMG-Client: method=certificate; thumbprint=00",
        "X_CMG_Client: forged",
        "X-CMG-Request-Id: forged",
        "Client-Cert: :AAAA:",
        "Client_Cert: :AAAA:",
        "X-Forwarded-For: 10.0.0.1",
        "Forwarded: for=10.0.0.1",
        "X-Forwarded-Host: forged",
        "X-Real-IP: 10.0.0.1",
        "X-ARR-ClientCert: forged",
        "X-SSL-Client-Verify: SUCCESS",
        "X-Original-URL: /admin",
        "X-Rewrite-URL: /admin",
        "X-HTTP-Method-Override: DELETE",
        "Proxy-Authorization: Basic Zm9v",
        "Proxy: evil",
        "X-Client-Cert: forged",
        "Connection: X-Test-Hop, Host, Content-Length",
        "X-Test-Hop: hop",
        "Keep-Alive: 5",
        "TE: gzip",
        "Upgrade: websocket",
        "X-Test-Order: 1",
        "x-test-order: 2",
        "CCMClientID: abc",
        "ClientToken: t",
        "SOAPAction: \"a\"",
        "BITS-Session-Id: {1}",
    ];
    for target in [mp("SMS_MP/forged"), "/open/forged".to_owned()] {
        let answer = ask(&stack, "GET", &target, &forged).await?;
        let id = answer.field("x-cmg-request-id").unwrap().to_owned();
        let seen = echoed(&answer)?;
        let all = seen["fields"].to_string();
        for gone in [
            "forged",
            "10.0.0.1",
            "AAAA",
            "/admin",
            "DELETE",
            "Zm9v",
            "evil",
            "hop",
            "websocket",
            "gzip",
            "thumbprint=00",
        ] {
            assert!(!all.contains(gone), "{gone} arrived: {all}");
        }
        assert_eq!(fields_at_role(&seen, "x-test-order"), ["1", "2"]);
        for (name, value) in
            [("ccmclientid", "abc"), ("clienttoken", "t"), ("soapaction", "\"a\""), ("bits-session-id", "{1}")]
        {
            assert_eq!(fields_at_role(&seen, name), [value]);
        }
        assert_eq!(fields_at_role(&seen, "x-cmg-request-id"), [id]);
        assert_eq!(fields_at_role(&seen, "x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(fields_at_role(&seen, "x-forwarded-proto"), ["https"]);
        assert_eq!(fields_at_role(&seen, "x-forwarded-host"), [SERVICE_NAME]);
        let client = fields_at_role(&seen, "x-cmg-client");
        assert!(client.len() == 1 && client[0].starts_with("method=certificate; thumbprint="), "{client:?}");
        // Built-in kinds are not handed the certificate, custom ones are handed the leaf.
        assert_eq!(fields_at_role(&seen, "client-cert").len(), usize::from(target.starts_with("/open/")));
    }
    stack.finish().await
}

/// An anonymous endpoint asks for no proof: what somebody merely owns must not look like proof to the role (G-14).
#[tokio::test]
async fn a_certificate_that_nobody_has_judged_is_not_handed_on() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let strange = Authority::root(&stack.pki.folder, "other-client-ca")?.issue(Leaf::client("other-client"))?;
    let mut connection = RawConnection::open(&stack.client_of(0, Some(&strange))?).await?;
    let seen = echoed(&connection.exchange(request("GET", "/files/x", &[])).await?)?;
    assert_eq!(fields_at_role(&seen, "client-cert"), [""; 0]);
    assert_eq!(fields_at_role(&seen, "x-cmg-client"), ["method=none"]);
    drop(connection);
    stack.finish().await
}

#[tokio::test]
async fn host_is_the_role_s_own() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let seen = echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    let host = fields_at_role(&seen, "host");
    assert_eq!(host, [format!("localhost:{}", stack.site_role.listener("roles")?.port())]);
    stack.finish().await
}

#[tokio::test]
async fn one_request_id_on_every_hop() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let answer = ask(&stack, "POST", &mp("CCM_System/request"), &["Content-Length: 0"]).await?;
    let id = answer.field("x-cmg-request-id").unwrap();
    assert_eq!(id.len(), 32);
    let (outside, inside) = (stack.exchange_line(id).await?, stack.connection_point_line(id).await?);
    assert_eq!(
        (&outside["status"], &outside["endpoint"], &outside["connection_point"]),
        (&200.into(), &"CCM_System".into(), &"cp1".into())
    );
    assert!(outside["ms"].is_number() && outside["ms_role"].is_number(), "{outside}");
    assert!(outside["client"].as_str().is_some_and(|thumbprint| thumbprint.len() == 64), "{outside}");
    assert_eq!(inside["status"], 200);
    assert_eq!(stack.at_role(id).await?["id"], id);
    stack.finish().await
}

/// Whoever asks for another protocol is answered in HTTP/1.1, by a role that knows nothing of the wish.
#[tokio::test]
async fn a_wish_for_another_protocol_is_not_heard() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    let wishes: [&[&str]; 4] = [
        &["Connection: Upgrade", "Upgrade: websocket", "X-Test-Key: dGhlIHNhbXBsZSBub25jZQ=="],
        &["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"],
        &["Connection: keep-alive, upgrade", "Upgrade: TLS/1.3, h2c"],
        &["Upgrade: websocket"],
    ];
    for wish in wishes {
        connection.write(request("GET", &mp("SMS_MP/upgrade"), wish)).await?;
        // The first head that comes, not the first final one.
        let head = connection.head().await?;
        assert_eq!(head.status, 200, "{wish:?}: {head:?}");
        assert_eq!((head.field("upgrade"), head.field("connection")), (None, None), "{wish:?}");
        let length = head.field("content-length").context("no length")?.parse()?;
        let seen: serde_json::Value = serde_json::from_slice(&connection.take(length).await?)?;
        assert_eq!(seen["target"], "/SMS_MP/upgrade");
        for name in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(fields_at_role(&seen, name), Vec::<String>::new(), "{name} of {wish:?}");
        }
    }
    // The connection speaks HTTP/1.1 still.
    echoed(&connection.exchange(request("GET", &mp("SMS_MP/after"), &[])).await?)?;
    drop(connection);
    stack.finish().await
}

//! Listeners that misbehave before TLS, settings that are wrong, and the program as a process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use cmg_mock_site_role::settings::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stack::{Stack, listener};

#[tokio::test]
async fn listeners_misbehave_as_told() {
    let faults = ["close", "silent", "plain", "no-accept"];
    let sections: String = faults.iter().map(|fault| listener(fault, &format!("fault = {fault:?}"))).collect();
    let stack = Stack::start(&sections).await;
    assert!(stack.client_of("close", stack.tls()).await.is_err());

    let plain = stack.client_of("plain", stack.tls()).await.err().unwrap();
    assert!(plain.to_string().contains("corrupt"), "{plain}");

    for quiet in ["silent", "no-accept"] {
        let mut stream = TcpStream::connect(stack.address(quiet)).await.unwrap();
        stream.write_all(b"\x16\x03\x01").await.unwrap();
        stream.shutdown().await.unwrap();
        if quiet == "silent" {
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "it ends without having said a word");
        }
    }
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered() {
    let stack = Stack::start(&listener("two", "http2 = true")).await;
    let mut tls = (**stack.tls()).clone();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(stack.address("two")).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(tls));
    let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let tasks = cmg_core::shutdown::Tasks::new();
    let _connection = tasks.spawn("client", connection);
    for (target, status) in [("https://localhost/a?b", 200), ("https://localhost/_/garbage", 400)] {
        let body = http_body_util::Full::new(bytes::Bytes::from_static(b"hello"));
        let request = http::Request::post(target).header("x-cmg-request-id", "two").body(body).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), status);
    }
    let entry = stack.entry("two", "body").await;
    assert_eq!((&entry["body_length"], &entry["method"]), (&5.into(), &"POST".into()));
}

#[test]
fn all_problems_are_reported_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site-role.toml");
    let text = "[[listeners]]\nname = \"a\"\ncertificate = \"no.pem\"\nkey = \"no.key\"\nfault = \"loud\"\nclient_certificates = \"required\"\nlisen = \"x\"\n";
    std::fs::write(&file, text).unwrap();
    let problems = Settings::load(&file).unwrap_err().to_string();
    for part in ["no.pem", "loud", "client_ca", "lisen"] {
        assert!(problems.contains(part), "{part} is not in\n{problems}");
    }
}

/// The program as it is started by others: one line on stdout, JSON on stderr, a drain at SIGTERM.
#[tokio::test]
async fn the_program_says_where_it_listens_and_drains() {
    let stack = Stack::start("").await;
    let mut program = Command::new(env!("CARGO_BIN_EXE_cmg-mock-site-role"))
        .arg("--config")
        .arg(stack.folder.path().join("site-role.toml"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(ready["ready"], true);
    assert!(ready["listeners"]["role"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(ready["admin"].is_string());
    assert!(Command::new("kill").arg(program.id().to_string()).status().unwrap().success());
    let mut log = String::new();
    program.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(program.wait().unwrap().code(), Some(0));
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["message"] == "drained: everything finished"), "{log}");
}

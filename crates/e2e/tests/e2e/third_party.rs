//! Clients that are not ours: curl and Python (K-03). A missing one fails the test with the line that
//! installs it.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cmg_e2e::stack::SERVICE_NAME;
use cmg_e2e::{Stack, mp};
use serde_json::Value;

/// Far beyond what any of these commands takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a command to its end while the stack goes on.
async fn run(program: &str, package: &str, arguments: Vec<String>) -> Result<Output> {
    let command = program.to_owned();
    let ran = tokio::task::spawn_blocking(move || std::process::Command::new(command).args(arguments).output());
    let output = tokio::time::timeout(PATIENCE, ran).await.context("the client does not end")??;
    output.with_context(|| format!("{program} cannot be started; install it with: sudo apt-get install {package}"))
}

struct Curl<'a> {
    stack: &'a Stack,
    arguments: Vec<String>,
}

impl<'a> Curl<'a> {
    /// curl as this device, told only what every client is told.
    fn new(stack: &'a Stack) -> Result<Self> {
        let device = &stack.pki.clients[0];
        let shown = ["--cert", &path(&device.certificate), "--key", &path(&device.key)].map(str::to_owned);
        let mut curl = Self::without_certificate(stack)?;
        curl.arguments.extend(shown);
        Ok(curl)
    }

    fn without_certificate(stack: &'a Stack) -> Result<Self> {
        let address = stack.client_address(0)?;
        let resolve = format!("{SERVICE_NAME}:{}:{}", address.port(), address.ip());
        let arguments =
            ["--silent", "--show-error", "--cacert", &path(&stack.pki.service_ca.certificate), "--resolve", &resolve];
        Ok(Self { stack, arguments: arguments.map(str::to_owned).into() })
    }

    fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    async fn get(mut self, target: &str) -> Result<Output> {
        self.arguments.push(format!("https://{SERVICE_NAME}:{}{target}", self.stack.client_address(0)?.port()));
        run("curl", "curl", self.arguments).await
    }

    /// The body of an answer that must be good.
    async fn body(self, target: &str) -> Result<Vec<u8>> {
        let output = self.with(&["--fail"]).get(target).await?;
        ensure!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn curl_gets_answers_with_a_certificate_and_the_code_without() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for version in ["--http1.1", "--http2"] {
        let seen: Value = serde_json::from_slice(&Curl::new(&stack)?.with(&[version]).body(&mp("SMS_MP/x?y")).await?)?;
        assert_eq!(seen["target"], "/SMS_MP/x?y", "{version}");
        let refused = Curl::without_certificate(&stack)?.with(&[version, "--include"]).get(&mp("SMS_MP/x")).await?;
        let text = String::from_utf8_lossy(&refused.stdout).to_ascii_lowercase();
        assert!(text.contains("x-cmg-error: cmgservice_clientcertificaterequired"), "{text}");
        let phrase = "http/1.1 403 cmgservice_clientcertificaterequired";
        assert_eq!(text.contains(phrase), version == "--http1.1", "{text}");
    }
    stack.finish().await
}

#[tokio::test]
async fn curl_speaks_tls_1_2() -> Result<()> {
    let stack = Stack::builder().start().await?;
    Curl::new(&stack)?.with(&["--tls-max", "1.2"]).body(&mp("SMS_MP/x")).await?;
    stack.finish().await
}

/// Above a megabyte curl waits for 100 Continue before it sends the body.
#[tokio::test]
async fn curl_uploads_with_expect() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let file = stack.folder().join("upload.bin");
    std::fs::write(&file, vec![b'u'; 3 << 20])?;
    let data = format!("@{}", file.display());
    for more in [&["--expect100-timeout", "60"][..], &["--header", "Transfer-Encoding: chunked"], &["--http2"]] {
        let curl = Curl::new(&stack)?.with(&["--data-binary", &data]).with(more);
        let seen: Value = serde_json::from_slice(&curl.body(&mp("CCM_Incoming/{1}")).await?)?;
        assert_eq!(seen["body_length"], 3 << 20, "{more:?}");
        assert_eq!(seen["body_complete"], true, "{more:?}");
    }
    stack.finish().await
}

#[tokio::test]
async fn curl_goes_on_where_it_broke_off() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let file = stack.folder().join("file.bin");
    let target = "/open/_/static/file.bin?bytes=1000000";
    let whole = Curl::new(&stack)?.body(target).await?;
    assert_eq!(whole.len(), 1_000_000);
    std::fs::write(&file, &whole[..400_000])?;
    Curl::new(&stack)?.with(&["--continue-at", "-", "--output", &path(&file)]).body(target).await?;
    assert!(std::fs::read(&file)? == whole, "the two parts are not the whole");
    stack.finish().await
}

#[tokio::test]
async fn curl_sends_the_verbs_of_the_products() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for method in ["CCM_POST", "BITS_POST", "PROPFIND"] {
        let curl = Curl::new(&stack)?.with(&["--request", method, "--data", "hello"]);
        let seen: Value = serde_json::from_slice(&curl.body(&mp("CCM_System/request")).await?)?;
        assert_eq!((&seen["method"], &seen["body_length"]), (&method.into(), &5.into()));
    }
    stack.finish().await
}

#[tokio::test]
async fn curl_asks_for_a_head_and_uploads_what_it_is_given_piece_by_piece() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let head = Curl::new(&stack)?.with(&["--head"]).body("/open/_/static/a?bytes=5000").await?;
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    assert!(head.contains("content-length: 5000\r\n"), "{head}");
    let pipe = stack.folder().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status()?;
    ensure!(made.success(), "mkfifo failed; install it with: sudo apt-get install coreutils");
    // Opening a pipe for writing waits for its reader, and its end is not known beforehand.
    let writing = tokio::task::spawn_blocking({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, vec![b'p'; 300_000])
    });
    let curl = Curl::new(&stack)?.with(&["--http1.1", "--request", "POST", "--upload-file", &path(&pipe)]);
    let chunked = curl.with(&["--header", "Transfer-Encoding: chunked"]).body(&mp("CCM_Incoming/x")).await?;
    writing.await??;
    let seen: Value = serde_json::from_slice(&chunked)?;
    assert_eq!((&seen["body_length"], &seen["body_complete"]), (&300_000.into(), &true.into()));
    stack.finish().await
}

/// A role whose answer breaks off: curl must notice.
#[tokio::test]
async fn curl_notices_an_answer_that_is_cut() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for framing in ["length", "chunked"] {
        for version in ["--http1.1", "--http2"] {
            let target = format!("/open/_/abort?at=body&bytes=200000&framing={framing}");
            let output = Curl::new(&stack)?.with(&[version, "--fail"]).get(&target).await?;
            assert!(
                !output.status.success(),
                "{framing} {version}: curl takes {} bytes for whole",
                output.stdout.len()
            );
        }
    }
    stack.finish().await
}

/// Debian's package serves Debian's own Python, which need not be the first one in the path.
async fn python_with_requests() -> Result<PathBuf> {
    for python in ["python3", "/usr/bin/python3"] {
        let probe = run(python, "python3", vec!["-c".to_owned(), "import requests".to_owned()]).await;
        if probe.is_ok_and(|output| output.status.success()) {
            return Ok(python.into());
        }
    }
    bail!("Python's requests is missing; install it with: sudo apt-get install python3 python3-requests")
}

#[tokio::test]
async fn python_requests_streams_both_ways() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let script = stack.folder().join("client.py");
    std::fs::write(&script, PYTHON)?;
    let device = &stack.pki.clients[1];
    let files = [&script, &stack.pki.service_ca.certificate, &device.certificate, &device.key];
    let mut arguments: Vec<String> = files.iter().map(|file| path(file)).collect();
    arguments.extend([
        stack.client_address(0)?.to_string(),
        SERVICE_NAME.to_owned(),
        mp("CCM_System/request"),
        mp("SMS_MP/x"),
    ]);
    let output = run(&path(&python_with_requests().await?), "python3", arguments).await?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.trim(), "10 checks passed");
    stack.finish().await
}

const PYTHON: &str = include_str!("third_party/client.py");

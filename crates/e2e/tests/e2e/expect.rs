//! What tests say about answers, in words of this product.

use anyhow::{Context, Result, ensure};
use cmg_client::Answer;
use cmg_core::refusal::RefusalKind;
use cmg_e2e::Stack;
use cmg_e2e::raw_client::{RawAnswer, RawConnection};
use cmg_e2e::stack::SERVICE_NAME;
use serde_json::Value;

/// The text of a request, with Host and these further lines.
pub fn request(method: &str, target: &str, lines: &[&str]) -> String {
    let more: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\nHost: {SERVICE_NAME}\r\n{more}\r\n")
}

/// Sends one request of a device with a certificate on a connection of its own.
pub async fn ask(stack: &Stack, method: &str, target: &str, lines: &[&str]) -> Result<RawAnswer> {
    let mut connection = RawConnection::open(&stack.client()?).await?;
    connection.write(request(method, target, lines)).await?;
    connection.answer(method).await
}

/// What the role says that it saw.
pub fn echoed(answer: &RawAnswer) -> Result<Value> {
    ensure!(answer.status == 200, "{} {}: {}", answer.status, answer.reason, answer.text());
    serde_json::from_slice(&answer.body).with_context(|| format!("no JSON: {}", answer.text()))
}

pub fn echoed_whole(answer: &Answer) -> Result<Value> {
    ensure!(answer.status == 200, "{} {}: {}", answer.status, answer.reason, answer.text());
    serde_json::from_slice(&answer.body).with_context(|| format!("no JSON: {}", answer.text()))
}

/// The values of a field as the role saw them, in order.
pub fn fields_at_role(seen: &Value, name: &str) -> Vec<String> {
    let fields = seen["fields"].as_array().cloned().unwrap_or_default();
    let is_wanted = |field: &&Value| field[0].as_str().is_some_and(|key| key.eq_ignore_ascii_case(name));
    fields.iter().filter(is_wanted).filter_map(|field| field[1].as_str().map(str::to_owned)).collect()
}

/// The refusal in all its places: status, reason phrase, header, body, log line and metric (G-20).
pub async fn refused(stack: &Stack, answer: &RawAnswer, kind: RefusalKind) -> Result<Value> {
    let code = kind.code();
    let about = || format!("{} {} {}", answer.status, answer.reason, answer.text());
    ensure!(answer.status == kind.status(), "not {} but {}", kind.status(), about());
    ensure!(answer.reason == code, "reason phrase: {}", about());
    ensure!(answer.field("x-cmg-error") == Some(code), "X-CMG-Error: {:?} in {}", answer.field("x-cmg-error"), about());
    let body: Value = serde_json::from_slice(&answer.body).with_context(about)?;
    ensure!(body["code"] == code && body["status"] == kind.status(), "body: {body}");
    ensure!(body["decided_by"] == kind.decided_by() && body["side"] == kind.side().name(), "body: {body}");
    // What was wrong is told to whoever sent it, but not to who looks for what there is.
    let is_told = kind.side().name() == "client" && ![403, 404].contains(&kind.status());
    ensure!(body.get("detail").is_some() == is_told, "body: {body}");
    ensure!(body["next"].as_str().is_some_and(|next| !next.is_empty()), "body: {body}");
    let is_retryable = [429, 503].contains(&kind.status());
    ensure!(answer.field("retry-after").is_some() == is_retryable, "Retry-After belongs to 429 and 503: {answer:?}");
    let id = answer.field("x-cmg-request-id").context("no X-CMG-Request-Id")?;
    ensure!(body["request_id"] == id, "another id in the body: {body}");
    for inside in ["localhost", "127.0.0.1", "cp1", "corp.example"] {
        ensure!(!answer.text().contains(inside), "{inside} in an answer for a client: {body}");
    }
    let line = stack.exchange_line(id).await?;
    ensure!(line["code"] == code && line["status"] == kind.status(), "log line: {line}");
    ensure!(line["outcome"] == "refused", "log line: {line}");
    let label = format!("code=\"{code}\"");
    let counted = |admin: cmg_e2e::admin::Admin| async move {
        admin
            .wait_for_metrics("that the refusal is counted", |metrics| {
                metrics.sum("cmg_refusals_total", &[&label]) >= 1.0
            })
            .await
    };
    counted(stack.gateway_admin()?).await?;
    Ok(line)
}

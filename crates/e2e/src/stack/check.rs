//! What every test asserts at its end: nothing runs any more, nothing panicked, nothing reached a role that is
//! not on the list. And the questions that tests ask of logs.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Stack;
use crate::admin::{Admin, until};
use crate::program::Program;

/// Fields that may reach a role. Closed on purpose, like the client's own list.
const ALLOWED_AT_ROLE: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "depth",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "origin",
    "overwrite",
    "pragma",
    "range",
    "referer",
    "soapaction",
    "te",
    "trailer",
    "transfer-encoding",
    "translate",
    "user-agent",
    "client-cert",
    "client-cert-chain",
    "x-cmg-client",
    "x-cmg-request-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];
/// Families of the products' clients, and the tests' own.
const ALLOWED_PREFIXES: &[&str] = &["bits-", "ccmclient", "clienttoken", "x-role-", "x-test-"];
/// Set by the gateway alone, so a role sees each at most once.
const OURS: &[&str] =
    &["x-cmg-client", "x-cmg-request-id", "client-cert", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

impl Stack {
    /// Asserts that nothing is left behind. Every test ends with it.
    pub async fn finish(self) -> Result<()> {
        let checked = self.check().await;
        checked.with_context(|| self.last_words())
    }

    async fn check(&self) -> Result<()> {
        let role = self.role_admin()?;
        until(async || Ok(role.json("/_ledger/totals").await?["open_requests"] == 0))
            .await
            .context("the role still has open requests")?;
        for program in self.gateways.iter().chain(&self.connection_points) {
            nothing_runs(program).await?;
        }
        let seen = role.json("/_ledger").await?;
        for entry in seen["entries"].as_array().context("a ledger without entries")? {
            judge_fields(entry)?;
        }
        Ok(())
    }

    /// The one line in which a gateway tells how this exchange ended.
    pub async fn exchange_line(&self, request_id: &str) -> Result<Value> {
        self.line_of(self.gateways.iter().collect(), request_id).await
    }

    /// The line in which a connection point tells how this exchange ended.
    pub async fn connection_point_line(&self, request_id: &str) -> Result<Value> {
        self.line_of(self.connection_points.iter().collect(), request_id).await
    }

    async fn line_of(&self, programs: Vec<&Program>, request_id: &str) -> Result<Value> {
        let mut found = Vec::new();
        let waiting = until(async || {
            found = programs.iter().flat_map(|program| lines_with(program, "request_id", request_id)).collect();
            found.retain(|line| line["outcome"].is_string());
            Ok(!found.is_empty())
        });
        waiting.await.with_context(|| format!("no line about exchange {request_id}{}", self.last_words()))?;
        ensure!(found.len() == 1, "{} lines tell the end of exchange {request_id}: {found:?}", found.len());
        found.pop().context("a line")
    }

    /// What the role saw of this exchange, once it is over there.
    pub async fn at_role(&self, request_id: &str) -> Result<Value> {
        let role = self.role_admin()?;
        let path = format!("/_ledger/wait?id={request_id}&until=ended");
        let answer = role.json(&path).await?;
        answer["entries"].get(0).cloned().with_context(|| format!("the role did not see {request_id}: {answer}"))
    }
}

/// The lines of a program's log, as JSON, in which this key has this value.
pub fn lines_with(program: &Program, key: &str, value: &str) -> Vec<Value> {
    let text = program.log_text();
    let lines = text.lines().filter(|line| line.contains(value));
    lines.filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|line| line[key] == value).collect()
}

async fn nothing_runs(program: &Program) -> Result<()> {
    let admin = Admin::of(program)?;
    let metrics =
        admin.wait_for_metrics("that nothing runs any more", |metrics| metrics.still_running().is_empty()).await;
    let metrics = match metrics {
        Ok(metrics) => metrics,
        Err(error) => {
            let left = admin.metrics().await?.still_running();
            return Err(error.context(format!("left behind: {}", left.join(", "))));
        }
    };
    ensure!(!metrics.is_empty(), "{} has no metrics", program.name);
    let panics = metrics.sum("cmg_panics_total", &[]);
    ensure!(panics == 0.0, "{} caught {panics} panic(s)", program.name);
    Ok(())
}

fn judge_fields(entry: &Value) -> Result<()> {
    let fields = entry["fields"].as_array().cloned().unwrap_or_default();
    let names: Vec<String> = fields.iter().filter_map(|field| field[0].as_str()).map(str::to_ascii_lowercase).collect();
    // The connection point's own connection to the role names TE, as RFC 9110 wants it.
    let is_te = |field: &&Value| field[0] == "Connection" && field[1] == "TE";
    let te = fields.iter().filter(is_te).count();
    for name in names.iter().filter(|name| te != 1 || *name != "connection") {
        let is_allowed =
            ALLOWED_AT_ROLE.contains(&name.as_str()) || ALLOWED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        ensure!(is_allowed, "the field {name:?} reached the role: {entry}");
    }
    for ours in OURS {
        let count = names.iter().filter(|name| name == ours).count();
        ensure!(count <= 1, "the role saw {ours} {count} times: {entry}");
    }
    Ok(())
}

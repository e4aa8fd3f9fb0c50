//! The role's own pages on its admin listener: the ledger, gates and reports. Tests ask and wait here.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use crate::behaviour::{BadParameter, Parameters};
use crate::ledger::{Question, State as Progress};
use crate::limits;
use crate::normal;
use crate::role::Role;

pub fn pages(role: Arc<Role>) -> Router {
    Router::new()
        .route("/_behaviours", get(async || normal::help()))
        .route("/_ledger", get(ledger))
        .route("/_ledger/wait", get(wait))
        .route("/_ledger/totals", get(totals))
        .route("/_ledger/export", get(export))
        .route("/_ledger/clear", post(clear))
        .route("/_gates", get(gates))
        .route("/_gates/wait", get(wait_at_gate))
        .route("/_release", post(release))
        .route("/_reports", get(reports))
        .with_state(role)
}

async fn ledger(State(role): State<Arc<Role>>, RawQuery(asked): RawQuery) -> Response {
    let asked = parameters(asked);
    answer(question(&asked).map(|question| role.ledger.ask(&question)))
}

/// Answers when enough entries fit; 504 with those that do after `within` milliseconds.
async fn wait(State(role): State<Arc<Role>>, RawQuery(asked): RawQuery) -> Response {
    let asked = parameters(asked);
    let (question, within) = match question(&asked).and_then(|question| Ok((question, within(&asked)?))) {
        Ok(both) => both,
        Err(bad) => return answer(Err(bad)),
    };
    let in_time = tokio::time::timeout(within, role.ledger.wait(&question)).await.is_ok();
    let status = if in_time { StatusCode::OK } else { StatusCode::GATEWAY_TIMEOUT };
    (status, Json(role.ledger.ask(&question))).into_response()
}

/// Every request that the ledger counts, a line of JSON each, and a last line by which a reader knows that it has all.
async fn export(State(role): State<Arc<Role>>, RawQuery(asked): RawQuery) -> Response {
    let since = match parameters(asked).number("since", 0) {
        Ok(since) => since,
        Err(bad) => return answer(Err(bad)),
    };
    let pages = stream::unfold(Some(since), move |from| {
        let role = role.clone();
        async move {
            let from = from?;
            let (page, next) = match role.ledger.export(from) {
                Some((page, next)) => (page, Some(next)),
                None => (export_end(&role), None),
            };
            Some((Ok::<_, Infallible>(page), next))
        }
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pages)).into_response()
}

fn export_end(role: &Role) -> Bytes {
    format!("{}\n", json!({ "end": role.ledger.totals() })).into()
}

async fn totals(State(role): State<Arc<Role>>) -> Json<Value> {
    Json(role.ledger.totals())
}

async fn clear(State(role): State<Arc<Role>>) -> Json<Value> {
    role.ledger.clear();
    Json(json!({ "cleared": true }))
}

async fn gates(State(role): State<Arc<Role>>) -> Json<Value> {
    Json(json!({ "waiting": role.gates.waiting() }))
}

/// Answers when so many wait at the gate.
async fn wait_at_gate(State(role): State<Arc<Role>>, RawQuery(asked): RawQuery) -> Response {
    let asked = parameters(asked);
    let (waiting, within) = match asked.number("waiting", 1).and_then(|waiting| Ok((waiting, within(&asked)?))) {
        Ok(both) => both,
        Err(bad) => return answer(Err(bad)),
    };
    let arrived = role.gates.waited_for(key(&asked), waiting as usize);
    let status = match tokio::time::timeout(within, arrived).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::GATEWAY_TIMEOUT,
    };
    (status, Json(json!({ "waiting": role.gates.waiting() }))).into_response()
}

/// Lets so many through, those who come later too unless `only=waiting`.
async fn release(State(role): State<Arc<Role>>, RawQuery(asked): RawQuery) -> Response {
    let asked = parameters(asked);
    answer(asked.number("count", 1).map(|count| {
        match asked.text("only") {
            Some("waiting") => role.gates.release_waiting(key(&asked), count as usize),
            _ => role.gates.release(key(&asked), count as usize),
        }
        json!({ "released": key(&asked), "count": count })
    }))
}

async fn reports(State(role): State<Arc<Role>>) -> Json<Value> {
    Json(role.site.reports())
}

fn parameters(query: Option<String>) -> Parameters {
    Parameters::parse(query.as_deref().unwrap_or_default())
}

fn question(asked: &Parameters) -> Result<Question, BadParameter> {
    Ok(Question {
        id: asked.text("id").map(str::to_owned),
        target: asked.text("target").map(str::to_owned),
        since: asked.number("since", 0)?,
        until: asked.word("until", &Progress::NAMES)?,
        body: asked.number("body", 0)?,
        limit: asked.number("limit", limits::LEDGER_PAGE as u64)?.min(limits::LEDGER_PAGE as u64) as usize,
        count: asked.number("count", 1)? as usize,
    })
}

fn within(asked: &Parameters) -> Result<Duration, BadParameter> {
    Ok(Duration::from_millis(asked.number("within", limits::WAIT.as_millis() as u64)?))
}

fn key(asked: &Parameters) -> &str {
    asked.text("key").unwrap_or("poll")
}

fn answer(result: Result<Value, BadParameter>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(bad) => (StatusCode::BAD_REQUEST, Json(json!({ "problem": bad.to_string() }))).into_response(),
    }
}

//! The pages. Reading is GET and HEAD, changing is POST; anything else is 405 with Allow.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Admin, ReloadTrigger};
use crate::build_info::BUILD;
use crate::logs::Logs;
use crate::metrics;

/// /healthz and /readyz.
pub fn health(admin: &Admin) -> Router {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(admin.clone())
}

/// All that is read-only, and what the program adds.
pub fn all(admin: &Admin) -> Router {
    let more = Router::new().route("/metrics", get(metrics)).route("/status", get(status)).with_state(admin.clone());
    health(admin).merge(more).merge(admin.own_pages.clone())
}

/// What changes something; for the Unix socket only.
pub fn changes(reload: ReloadTrigger, logs: Option<Arc<Logs>>) -> Router {
    let reloading = Router::new().route("/reload", post(reload_now)).with_state(reload);
    match logs {
        Some(logs) => reloading.merge(Router::new().route("/log-level", post(log_level)).with_state(logs)),
        None => reloading,
    }
}

/// The process answers: that is all it says.
async fn healthz() -> Json<Value> {
    Json(json!({ "healthy": true }))
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let reasons = admin.readiness.reasons();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": reasons.is_empty(), "reasons": reasons }))).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], admin.metrics.render()).into_response()
}

/// What the program says, with what all programs have.
async fn status(State(admin): State<Admin>) -> Json<Value> {
    let mut status = (admin.status)();
    if let Some(fields) = status.as_object_mut() {
        let reasons = admin.readiness.reasons();
        fields.insert("build".to_owned(), json!(BUILD));
        fields.insert("process_id".to_owned(), json!(std::process::id()));
        fields.insert("ready".to_owned(), json!(reasons.is_empty()));
        fields.insert("not_ready_because".to_owned(), json!(reasons));
    }
    Json(status)
}

async fn reload_now(State(reload): State<ReloadTrigger>) -> Response {
    match reload.reload().await {
        Ok(applied) => Json(json!({ "reloaded": true, "applied": applied })).into_response(),
        Err(problems) => {
            let answer = Json(json!({ "reloaded": false, "problems": problems }));
            (StatusCode::UNPROCESSABLE_ENTITY, answer).into_response()
        }
    }
}

async fn log_level(State(logs): State<Arc<Logs>>, level: String) -> Response {
    match logs.set_level(level.trim()) {
        Ok(()) => Json(json!({ "level": level.trim() })).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({ "problem": error.to_string() }))).into_response(),
    }
}

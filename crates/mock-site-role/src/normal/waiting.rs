//! Long polls, and the request that ends them.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::{Answer, empty, told};
use crate::behaviour::{BadParameter, Wish};
use crate::role::Role;

/// Says nothing until the gate is released; after the time, if there is one, 204.
pub async fn poll(wish: &Wish, role: &Role) -> Result<Answer, BadParameter> {
    let key = wish.parameters.text("key").unwrap_or("poll");
    let within = match wish.parameters.number("within", 0)? {
        0 => None,
        milliseconds => Some(Duration::from_millis(milliseconds)),
    };
    let passed = match within {
        Some(within) => tokio::time::timeout(within, role.gates.pass(key)).await.is_ok(),
        None => {
            role.gates.pass(key).await;
            true
        }
    };
    Ok(if passed { told(StatusCode::OK, &json!({ "released": key })) } else { empty(StatusCode::NO_CONTENT) })
}

pub fn release(wish: &Wish, role: &Role) -> Result<Answer, BadParameter> {
    let (key, count) = (wish.parameters.text("key").unwrap_or("poll"), wish.parameters.number("count", 1)?);
    role.gates.release(key, count as usize);
    Ok(told(StatusCode::OK, &json!({ "released": key, "count": count })))
}

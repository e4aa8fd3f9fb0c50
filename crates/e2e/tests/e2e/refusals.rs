//! Every code of the closed list that can occur, seen in reason phrase, header, body, log line and metric.

use anyhow::Result;
use cmg_e2e::{Stack, mp};

#[tokio::test]
async fn a_path_for_certificates_without_one_is_forbidden() -> Result<()> {
    let stack = Stack::builder().connection_points(0).start_unready().await?;
    let answer = stack.client_without_certificate()?.get(&mp("SMS_MP/.sms_aut?MPLIST")).await?;
    println!("{answer:?} {}", stack.last_words());
    println!("{}", stack.gateway_admin()?.get("/metrics").await?.1);
    assert_eq!(answer.status, 403);
    stack.finish().await
}

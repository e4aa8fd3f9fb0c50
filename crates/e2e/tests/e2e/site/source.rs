//! The source as a server: who may read it, and how much is read of it (S-02).

use std::fs;

use anyhow::Result;
use cmg_core::limits::SITE_CONFIGURATION;
use cmg_e2e::pki::Leaf;
use cmg_e2e::stack::{SITE, connection_point};
use cmg_e2e::{Stack, mp};

use crate::expect::{ask, echoed};

/// A server that wants to know who reads it: without a certificate nothing comes, with one that a reload brings all.
#[tokio::test]
async fn a_source_that_asks_for_a_certificate_gets_one() -> Result<()> {
    let mut stack = Stack::builder().connection_points(0).site_over_https().start_unready().await?;
    let (name, id) = connection_point(1);
    let shown = stack.pki.connection_point(SITE, &name, &id)?;
    let source = format!("https://localhost:{}/site.toml", stack.site_role.listener("mutual-site")?.port());
    let point = stack.connection_point_reading(&name, &shown, &source).await?;
    let unread = "the source of the site configuration cannot be read";
    point.wait_for_line(&[unread, &source, "CertificateRequired"]).await?;
    let reader = stack.pki.internal_ca.issue(Leaf::client("site-reader"))?;
    let file = stack.folder().join("cp1.toml");
    let keys = format!(
        "poll = \"1s\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
        reader.certificate.display(),
        reader.key.display()
    );
    fs::write(&file, fs::read_to_string(&file)?.replace("poll = \"1s\"\n", &keys))?;
    point.signal("HUP")?;
    stack.connection_points.push(point);
    stack.wait_ready().await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    stack.finish().await
}

/// As long as the bound is read, one byte more is not, from a file and from a server.
#[tokio::test]
async fn a_source_is_read_up_to_its_bound() -> Result<()> {
    for over_https in [false, true] {
        let builder = Stack::builder();
        let stack = if over_https { builder.site_over_https() } else { builder }.start().await?;
        let file = stack.folder().join("site.toml");
        let text = fs::read_to_string(&file)?;
        let padded = |version: u32, length: usize| {
            let text = text.replacen("version = 1", &format!("version = {version}"), 1);
            let padding = length - text.len() - 1;
            format!("{text}#{}", "x".repeat(padding))
        };
        let whole = stack.folder().join("next.toml");
        fs::write(&whole, padded(2, SITE_CONFIGURATION + 1))?;
        fs::rename(&whole, &file)?;
        stack.connection_points[0].wait_for_line(&["is larger than 4194304 bytes"]).await?;
        fs::write(&whole, padded(3, SITE_CONFIGURATION))?;
        fs::rename(&whole, &file)?;
        stack.gateways[0].wait_for_line(&["a site configuration is in force", "\"version\":3"]).await?;
        assert!(!stack.gateways[0].log_text().contains("\"version\":2"), "what was too long was read");
        echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
        stack.finish().await?;
    }
    Ok(())
}

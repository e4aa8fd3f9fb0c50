//! Roles that cannot be reached, say nothing, or restart. The load goes to a good role and must not feel the bad one.

use anyhow::{Context, Result, ensure};
use cmg_e2e::admin::Admin;
use cmg_e2e::fault_proxy::Fault;
use cmg_e2e::full_queue::FullQueue;
use cmg_e2e::metrics::Metrics;
use cmg_e2e::until;
use cmg_load::Allowed;

use super::scenario::{Scenario, Scene};

/// The role goes away under what it has, and nobody else has it.
const ROLE_LOST: Allowed = Allowed {
    codes: &["CMGConnector_RoleAborted", "CMGConnector_RoleUnreachable", "CMGConnector_RoleTlsFailed"],
    reads: true,
    ..Allowed::NOTHING
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "role-refuses",
        injected: "a role at a port where nobody listens",
        promised: "502 at once for it, and nothing for others",
        in_ci: true,
        installation: |usual, _| usual.site(&role(&"https://localhost:1")),
        fault: |scene| Box::pin(async { scene.ask_often(20, BAD, 502, "CMGConnector_RoleUnreachable").await }),
        ..Scenario::USUAL
    },
    Scenario {
        name: "role-hangs-on-connect",
        injected: "a role whose queue of connections is full, so that the kernel drops what comes",
        promised: "504 for it after the time to connect, and nothing for others",
        in_ci: true,
        fault: |scene| Box::pin(hang_on_connect(scene)),
        ..Scenario::USUAL
    },
    Scenario {
        name: "role-says-nothing",
        injected: "a role that takes connections and says nothing",
        promised: "504 for it after the time of a handshake, and nothing for others",
        in_ci: true,
        installation: |usual, _| usual.site(&role(&"{silent}")),
        fault: |scene| Box::pin(times_out(scene, "did not finish the TLS handshake within")),
        ..Scenario::USUAL
    },
    Scenario {
        name: "role-restarts",
        injected: "every connection to the role is reset and new ones are for a second, three times",
        promised: "what only reads is sent again on a fresh connection, nothing else twice",
        in_ci: true,
        allowed: ROLE_LOST,
        installation: |usual, _| usual.faulty_roles(),
        fault: |scene| Box::pin(restart(scene)),
        ..Scenario::USUAL
    },
];

const BAD: &str = "/extra/bad/x";

fn role(internal_url: &impl std::fmt::Display) -> String {
    format!(
        "\n[[roles]]\nid = 20\nkind = \"custom\"\ninternal_url = \"{internal_url}\"\n\n\
         [[roles.custom]]\nname = \"bad\"\nexternal_prefix = \"/extra/bad/\"\nmethods = [\"GET\"]\n"
    )
}

async fn hang_on_connect(scene: &mut Scene) -> Result<()> {
    let queue = FullQueue::fill()?;
    let url = format!("https://localhost:{}", queue.address.port());
    scene.stack.publish(&role(&url)).await?;
    for program in scene.stack.gateways.iter().chain(&scene.stack.connection_points) {
        let in_force = |metrics: &Metrics| metrics.sum("cmg_site_configuration_version", &[]) == 2.0;
        Admin::of(program)?.wait_for_metrics("that the second version is in force", in_force).await?;
    }
    scene.note(format!("{} connections fill its queue", queue.connections()));
    times_out(scene, "did not take a connection within").await
}

/// A request of it is answered 504, and a connection point says that it was for this reason.
async fn times_out(scene: &mut Scene, why: &str) -> Result<()> {
    scene.ask_often(1, BAD, 504, "CMGConnector_RoleTimeout").await?;
    let is_said = async || Ok(scene.stack.connection_points.iter().any(|program| program.log_text().contains(why)));
    until(is_said).await.with_context(|| format!("no connection point says that the role {why} some time"))
}

async fn restart(scene: &mut Scene) -> Result<()> {
    for _ in 0..3 {
        scene.pause(1).await;
        let proxy = scene.stack.role_proxy.as_ref().context("no proxy before the role")?;
        let before = proxy.connections();
        proxy.set(Fault::Cut);
        scene.pause(1).await;
        proxy.set(Fault::None);
        ensure!(proxy.connections() > before, "nobody noticed that the role was away");
    }
    Ok(())
}

//! Programs that stop, are killed, hang or are reloaded under load.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cmg_client::Request;
use cmg_e2e::pki::{Leaf, TUNNEL_NAME};
use cmg_e2e::stack::{SERVICE_NAME, SITE, connection_point};
use cmg_e2e::{Stack, until};
use cmg_load::Stopped;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::scenario::{ALL_TUNNELS_LOST, SOME_TUNNELS_LOST, Scenario, Scene};
use super::{ECHO, tunnels};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "none",
        injected: "nothing",
        promised: "every request is answered once and whole",
        in_ci: true,
        fault: |scene| Box::pin(leave_alone(scene)),
        ..Scenario::USUAL
    },
    Scenario {
        name: "term-gateways",
        injected: "SIGTERM to one gateway after the other, each started again on its ports",
        promised: "no request fails but what outlasts the drain's deadline",
        in_ci: true,
        installation: |usual, _| usual.gateway_setting("DRAIN__DEADLINE", &written(DRAIN)),
        fault: |scene| Box::pin(term(scene, vec![Stopped::Gateway(0), Stopped::Gateway(1)])),
        ..Scenario::USUAL
    },
    Scenario {
        name: "term-connection-points",
        injected: "SIGTERM to one connection point after the other, each started again",
        promised: "no request fails but what outlasts the drain's deadline",
        in_ci: true,
        installation: |usual, _| usual.connection_point_setting("DRAIN__DEADLINE", &written(DRAIN)),
        fault: |scene| {
            Box::pin(term(scene, ["cp1", "cp2"].map(|name| Stopped::ConnectionPoint(name.to_owned())).to_vec()))
        },
        ..Scenario::USUAL
    },
    Scenario {
        name: "kill-gateway",
        injected: "kill -9 of one of two gateways, started again on its ports",
        promised: "clients use the other; connection points are back within 5 s; its sites are on its disk",
        in_ci: true,
        fault: |scene| Box::pin(kill_gateway(scene)),
        ..Scenario::USUAL
    },
    Scenario {
        name: "kill-connection-point",
        injected: "kill -9 of one of two connection points, started again",
        promised: "what only reads is answered by the other, the rest there ends with 502; new requests go to the other",
        in_ci: true,
        fault: |scene| Box::pin(kill_connection_point(scene)),
        ..Scenario::USUAL
    },
    Scenario {
        name: "last-connection-point-gone",
        injected: "kill -9 of the only connection point, started again",
        promised: "503 with Retry-After at once, and service within 2 s of its return",
        in_ci: true,
        installation: |usual, _| usual.connection_points(1),
        allowed: ALL_TUNNELS_LOST,
        fault: |scene| Box::pin(last_connection_point(scene)),
        ..Scenario::USUAL
    },
    Scenario {
        name: "stop-connection-point",
        injected: "SIGSTOP to one of two connection points until both gateways have noticed (--full: at least 30 s), SIGCONT",
        promised: "noticed within 15 s; nothing is routed there after; late answers reach nobody",
        in_ci: true,
        allowed: SOME_TUNNELS_LOST,
        fault: |scene| Box::pin(stop_connection_point(scene)),
        ..Scenario::USUAL
    },
    Scenario {
        name: "stop-gateway",
        injected: "SIGSTOP to one of two gateways until both connection points have noticed (--full: at least 30 s), SIGCONT",
        promised: "noticed within 15 s; the connection points come back by themselves",
        allowed: ALL_TUNNELS_LOST,
        fault: |scene| Box::pin(stop_gateway(scene)),
        ..Scenario::USUAL
    },
    Scenario {
        name: "reload-under-load",
        injected: "ten times new certificates for service and tunnels on disk, and SIGHUP to every gateway and connection point",
        promised: "each is shown at once to who connects; nobody else notices",
        in_ci: true,
        fault: |scene| Box::pin(reload(scene)),
        ..Scenario::USUAL
    },
];

/// Shorter than by default, so that waits that outlast it do not hold up the CI.
pub const DRAIN: Duration = Duration::from_secs(5);

/// As files write it.
pub fn written(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

async fn leave_alone(scene: &mut Scene) -> Result<()> {
    scene.pause(2).await;
    Ok(())
}

/// Each of them in good order, one after the other.
async fn term(scene: &mut Scene, programs: Vec<Stopped>) -> Result<()> {
    for program in programs {
        scene.pause(1).await;
        let mut stop = scene.stack.stop(program, DRAIN, scene.clock).await?;
        scene.stack.bring_back(&mut stop, scene.clock).await?;
        scene.stops.push(stop);
    }
    Ok(())
}

async fn kill_gateway(scene: &mut Scene) -> Result<()> {
    scene.pause(1).await;
    kill(scene, Stopped::Gateway(0), async |_| Ok(())).await
}

async fn kill_connection_point(scene: &mut Scene) -> Result<()> {
    scene.pause(1).await;
    kill(scene, Stopped::ConnectionPoint("cp1".to_owned()), async |scene| scene.ask_often(10, ECHO, 200, "").await)
        .await
}

/// Kills a program that has requests of both sorts under way, and starts it again, with something to see in between.
pub async fn kill(
    scene: &mut Scene,
    program: Stopped,
    meanwhile: impl AsyncFnOnce(&mut Scene) -> Result<()>,
) -> Result<()> {
    let holding = scene.holding.take().context("no requests to hold")?;
    ensure!(holding.gather().await?, "the load ended before the harm was done");
    let killed = scene.stack.kill(program, scene.clock).await;
    holding.let_go().await?;
    let mut stop = killed?;
    scene.note(format!(
        "those who were connected to it had noticed after {} ms",
        (stop.noticed - stop.gone).as_millis()
    ));
    meanwhile(scene).await?;
    let begin = scene.clock.elapsed();
    scene.stack.bring_back(&mut stop, scene.clock).await?;
    scene.note(format!("it was there again with every tunnel after {} ms", (stop.back - begin).as_millis()));
    scene.stops.push(stop);
    Ok(())
}

async fn last_connection_point(scene: &mut Scene) -> Result<()> {
    scene.pause(1).await;
    scene.stack.crash_connection_point(0)?;
    tunnels::wait_for_tunnels_of(scene, 0).await?;
    scene.ask_often(10, ECHO, 503, "CMGService_NoConnectionPoint").await?;
    let client = scene.stack.client()?;
    ensure!(client.get(ECHO).await?.field("retry-after").is_some(), "the refusal has no Retry-After");
    scene.stack.restart_connection_point(0).await?;
    let begin = Instant::now();
    scene.stack.wait_for_answer(ECHO, 200).await?;
    scene.note(format!("served again {} ms after the connection point was up", begin.elapsed().as_millis()));
    Ok(())
}

async fn stop_connection_point(scene: &mut Scene) -> Result<()> {
    scene.pause(1).await;
    let begin = Instant::now();
    scene.stack.connection_points[0].signal("STOP")?;
    let noticed = tunnels::wait_for_tunnels_of(scene, 1).await;
    scene.note(format!("both gateways have noticed after {} ms", begin.elapsed().as_millis()));
    let served = match &noticed {
        Ok(()) => scene.ask_often(10, ECHO, 200, "").await,
        Err(_) => Ok(()),
    };
    scene.pause(scene.seconds(0, 30_u64.saturating_sub(begin.elapsed().as_secs()))).await;
    scene.stack.connection_points[0].signal("CONT")?;
    noticed.and(served)?;
    tunnels::note_return(scene).await
}

async fn stop_gateway(scene: &mut Scene) -> Result<()> {
    scene.pause(1).await;
    let begin = Instant::now();
    scene.stack.gateways[0].signal("STOP")?;
    let noticed = tunnels::wait_for_lost_gateway(scene).await;
    scene.note(format!("both connection points have noticed after {} ms", begin.elapsed().as_millis()));
    scene.pause(scene.seconds(0, 30_u64.saturating_sub(begin.elapsed().as_secs()))).await;
    scene.stack.gateways[0].signal("CONT")?;
    noticed?;
    tunnels::note_return(scene).await
}

async fn reload(scene: &mut Scene) -> Result<()> {
    let mut open = scene.stack.client()?.connect().await?;
    for time in 1..=10 {
        let renewed = renew_certificates(&scene.stack)?;
        for program in scene.stack.gateways.iter().chain(&scene.stack.connection_points) {
            program.signal("HUP")?;
        }
        for program in scene.stack.gateways.iter().chain(&scene.stack.connection_points) {
            until(async || Ok(program.log_text().matches(RELOADED).count() == time))
                .await
                .with_context(|| format!("{} has not said {time} times that it has reloaded", program.name))?;
        }
        for gateway in 0..scene.stack.gateways.len() {
            let stream = scene.stack.client_of(gateway, None)?.connect_tls().await?;
            let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).cloned();
            ensure!(
                shown.as_ref() == Some(&renewed),
                "gateway {gateway} shows another certificate after reload {time}"
            );
        }
        ensure!(open.send(Request::get(ECHO)).await?.whole().await?.status == 200, "refused after reload {time}");
    }
    Ok(())
}

/// Writes new ones over those of the service and of both ends of the tunnels; the service's.
fn renew_certificates(stack: &Stack) -> Result<CertificateDer<'static>> {
    let service = stack.pki.service_ca.issue(Leaf::server("service", &[SERVICE_NAME]))?;
    stack.pki.tunnel_ca.issue(Leaf::server("gateway-tunnel", &[TUNNEL_NAME]))?;
    for number in 1..=stack.connection_points.len() {
        let (name, id) = connection_point(number);
        stack.pki.connection_point(SITE, &name, &id)?;
    }
    Ok(CertificateDer::from_pem_file(&service.certificate)?)
}

const RELOADED: &str = "\"message\":\"reloaded\"";

//! Site configurations: that cannot be kept because a disk is full or can only be read, and such as nobody may take.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cmg_e2e::admin::Admin;
use cmg_e2e::metrics::Metrics;
use cmg_e2e::program::Program;
use cmg_e2e::stack::Builder;
use cmg_e2e::{Stack, until};

use super::ECHO;
use super::scenario::{Scenario, Scene};

const ON_SMALL_DISKS: Scenario = Scenario {
    promised: "service goes on; gateways refuse what is published with its reason and take it when they can keep it; \
               connection points use it at once and keep it when they can",
    installation: on_small_disks,
    ..Scenario::USUAL
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "disk-full",
        injected: "every state directory is full while a site configuration is published",
        in_ci: true,
        fault: |scene| Box::pin(publish_without(scene, "No space left", fill, make_room)),
        ..ON_SMALL_DISKS
    },
    Scenario {
        name: "disk-read-only",
        injected: "every state directory can only be read while a site configuration is published",
        fault: |scene| {
            let remount = |how| move |stack: &Stack, program: &Program| remount(stack, program, how);
            Box::pin(publish_without(scene, "Read-only file system", remount("ro"), remount("rw")))
        },
        ..ON_SMALL_DISKS
    },
    Scenario {
        name: "bad-site-configuration",
        injected: "the source holds no TOML, then garbage for a root, a device's certificate for a root, 100 MB",
        promised: "each is refused with its reason, the one in force stays, and the next good one is taken",
        in_ci: true,
        fault: |scene| Box::pin(publish_bad(scene)),
        ..Scenario::USUAL
    },
];

/// Each program sees a small file system of its own in place of the folder of all state directories. It ends with the
/// process, because it is in a mount namespace of the process's own.
fn on_small_disks(usual: Builder, folder: &Path) -> Builder {
    let state = state_folder(folder).display().to_string();
    let script =
        "mount -t tmpfs -o size=128k none \"$0\" && cd \"$0\" && mkdir gateway-1 gateway-2 cp1 cp2 && exec \"$@\"";
    let command = ["unshare", "--mount", "sh", "-c", script, &state];
    usual.gateways_started_by(&command).connection_points_started_by(&command)
}

fn state_folder(folder: &Path) -> PathBuf {
    folder.join("state")
}

/// A program's small file system, as seen from outside.
fn small_disk(stack: &Stack, program: &Program) -> PathBuf {
    let state = state_folder(stack.folder());
    Path::new(&format!("/proc/{}/root", program.pid())).join(state.strip_prefix("/").unwrap_or(&state))
}

/// Puts a file there that takes all room.
fn fill(stack: &Stack, program: &Program) -> Result<()> {
    let path = small_disk(stack, program).join(FILLER);
    let mut file = fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    while file.write(&[0; 512]).is_ok_and(|count| count > 0) {}
    Ok(())
}

fn make_room(stack: &Stack, program: &Program) -> Result<()> {
    fs::remove_file(small_disk(stack, program).join(FILLER)).context("cannot make room again")
}

const FILLER: &str = "filler";

/// `ro` or `rw`.
fn remount(stack: &Stack, program: &Program, how: &str) -> Result<()> {
    let (target, options) = (program.pid().to_string(), format!("remount,{how}"));
    let mut command = Command::new("nsenter");
    command.args(["--mount", "--target", &target, "mount", "-o", &options]).arg(state_folder(stack.folder()));
    ensure!(command.status().context("cannot run nsenter")?.success(), "{} cannot be made {how}", program.name);
    Ok(())
}

async fn publish_without(
    scene: &mut Scene,
    reason: &str,
    break_disk: impl Fn(&Stack, &Program) -> Result<()>,
    mend_disk: impl Fn(&Stack, &Program) -> Result<()>,
) -> Result<()> {
    scene.pause(1).await;
    let stack = &mut scene.stack;
    stack.gateways.iter().chain(&stack.connection_points).try_for_each(|program| break_disk(stack, program))?;
    stack.publish("").await?;
    for program in stack.gateways.iter().chain(&stack.connection_points) {
        program.wait_for_line(&[reason]).await?;
    }
    in_force(&stack.connection_points, 2).await?;
    in_force(&stack.gateways, 1).await?;
    let said = scene.stack.gateways[0].wait_for_line(&[reason]).await?;
    scene.note(format!("a gateway says: {}", said.chars().take(300).collect::<String>()));
    scene.ask_often(5, ECHO, 200, "").await?;
    let stack = &mut scene.stack;
    for program in &stack.connection_points {
        mend_disk(stack, program)?;
        let kept = small_disk(stack, program).join(&program.name).join("site-in-force.toml");
        let is_kept = async || Ok(fs::read_to_string(&kept).unwrap_or_default().contains("version = 2\n"));
        until(is_kept).await.with_context(|| format!("{} does not keep what is in force", program.name))?;
    }
    stack.gateways.iter().try_for_each(|program| mend_disk(stack, program))?;
    stack.publish("").await?;
    in_force(&stack.gateways, 3).await
}

/// Waits until this version of the site's configuration is in force at each of them.
async fn in_force(programs: &[Program], version: u64) -> Result<()> {
    for program in programs {
        let is_taken = |metrics: &Metrics| metrics.sum("cmg_site_configuration_version", &[]) == version as f64;
        Admin::of(program)?.wait_for_metrics(&format!("that version {version} is in force"), is_taken).await?;
    }
    Ok(())
}

async fn publish_bad(scene: &mut Scene) -> Result<()> {
    let (folder, pki) = (scene.stack.folder().to_owned(), &scene.stack.pki);
    let good = fs::read_to_string(folder.join("site.toml"))?.replace("version = 1\n", "version = 2\n");
    let garbage = folder.join("garbage.pem");
    fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")?;
    let root = pki.client_ca.certificate.display().to_string();
    let with_root = |path: &Path| good.replace(&root, &path.display().to_string());
    let bad = [
        ("version = = 2\n".to_owned(), "not valid TOML"),
        (with_root(&garbage), "it is not an X.509 certificate"),
        (with_root(&pki.clients[0].certificate), "is not one of a certification authority"),
        (good.clone() + &"#".repeat(100_000_000), "is larger than"),
    ];
    for (text, why) in bad {
        put(&folder, &text)?;
        for program in &scene.stack.connection_points {
            let admin = Admin::of(program)?;
            let is_refused = async || Ok(admin.json("/status").await?["source"]["problems"].to_string().contains(why));
            until(is_refused).await.with_context(|| format!("nobody says that it {why}"))?;
        }
        in_force(&scene.stack.connection_points, 1).await?;
        in_force(&scene.stack.gateways, 1).await?;
        scene.ask_often(1, ECHO, 200, "").await?;
    }
    put(&folder, &good)?;
    in_force(&scene.stack.connection_points, 2).await?;
    in_force(&scene.stack.gateways, 2).await
}

/// Renamed into place, so that nobody reads half of it.
fn put(folder: &Path, text: &str) -> Result<()> {
    fs::write(folder.join("site.toml.new"), text)?;
    Ok(fs::rename(folder.join("site.toml.new"), folder.join("site.toml"))?)
}

//! The third-party programs of the test suite: there, or installed where that is possible, or named with the line
//! that installs them. A test that needs one never skips.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use crate::run::is_installed;

struct Need {
    what: &'static str,
    package: &'static str,
    is_there: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need { what: "curl", package: "curl", is_there: || is_installed("curl") },
    Need { what: "openssl", package: "openssl", is_there: || is_installed("openssl") },
    Need { what: "ip", package: "iproute2", is_there: || is_installed("ip") },
    Need { what: "Python 3", package: "python3", is_there: || is_installed("python3") },
    Need { what: "Python's requests", package: "python3-requests", is_there: python_has_requests },
];

/// Debian's package serves Debian's own Python, which need not be the first one in the path.
fn python_has_requests() -> bool {
    ["python3", "/usr/bin/python3"].iter().any(|python| succeeds(python, &["-c", "import requests"]))
}

pub fn see_to_programs() -> Result<()> {
    let missing: Vec<_> = NEEDS.iter().filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.iter().map(|need| need.what).collect::<Vec<_>>().join(", ");
    let packages: Vec<_> = missing.iter().map(|need| need.package).collect();
    println!("missing: {names}");
    if succeeds("sh", &["-c", "test $(id -u) = 0"]) && is_installed("apt-get") {
        println!("installing {}", packages.join(" "));
        succeeds("apt-get", &["update", "-qq"]);
        let install = ["install", "-y", "-qq", "--no-install-recommends"];
        succeeds("apt-get", &[&install[..], &packages[..]].concat());
    }
    let still: Vec<_> = missing.iter().filter(|need| !(need.is_there)()).map(|need| need.package).collect();
    ensure!(
        still.is_empty(),
        "the tests need more programs; install them with: sudo apt-get install {}",
        still.join(" ")
    );
    Ok(())
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
